package geopackage

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ncruces/go-sqlite3"
	"golang.org/x/text/encoding/simplifiedchinese"

	"changde/ingest/layer"
)

// declaredField makes a field of a column's declared type: those of GeoPackage
// (clause 1.1.1.1.3, table 1) and the common ones of SQL beside them. It is not ok for
// binary and geometry columns. A column without a type, as views have, is Text.
func declaredField(name, declared string) (f layer.Field, ok bool) {
	f.Name = name
	base, width, decimals := splitType(declared)
	switch base {
	case "BOOLEAN", "BOOL":
		f.Type = layer.Boolean
	case "TINYINT", "SMALLINT", "MEDIUMINT", "INT", "INTEGER", "BIGINT", "INT2", "INT4", "INT8", "INT64", "UNSIGNED BIG INT":
		f.Type = layer.Integer
	case "FLOAT", "DOUBLE", "DOUBLE PRECISION", "REAL":
		f.Type = layer.Real
	case "NUMERIC", "DECIMAL":
		f.Type, f.Width, f.Decimals = layer.Decimal, width, decimals
	case "DATE":
		f.Type = layer.Date
	case "DATETIME", "TIMESTAMP":
		f.Type = layer.Timestamp
	case "BLOB", "BINARY", "VARBINARY",
		"GEOMETRY", "POINT", "LINESTRING", "POLYGON", "MULTIPOINT", "MULTILINESTRING", "MULTIPOLYGON", "GEOMETRYCOLLECTION", "GEOMCOLLECTION",
		"CIRCULARSTRING", "COMPOUNDCURVE", "CURVEPOLYGON", "MULTICURVE", "MULTISURFACE", "CURVE", "SURFACE":
		return f, false
	default:
		f.Type, f.Width = layer.Text, width
	}
	return f, true
}

// splitType takes "NAME(width,decimals)" apart.
func splitType(declared string) (base string, width, decimals int) {
	base, rest, _ := strings.Cut(strings.ToUpper(declared), "(")
	w, d, _ := strings.Cut(strings.TrimSuffix(strings.TrimSpace(rest), ")"), ",")
	number := func(s string) int {
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || n < 0 || n > math.MaxInt32 {
			return 0
		}
		return n
	}
	return strings.Join(strings.Fields(base), " "), number(w), number(d)
}

// value reads a cell as the type of its field. SQLite types values, not columns: what
// does not fit is nil with a note.
func value(s *sqlite3.Stmt, col int, f layer.Field, row int64, faults []layer.Fault) (any, []layer.Fault) {
	t := s.ColumnType(col)
	if t == sqlite3.NULL {
		return nil, faults
	}
	switch f.Type {
	case layer.Integer:
		if t == sqlite3.INTEGER {
			return s.ColumnInt64(col), faults
		}
		if v := s.ColumnFloat(col); t == sqlite3.FLOAT && v == math.Trunc(v) && math.Abs(v) <= 1<<53 {
			return int64(v), faults
		}
	case layer.Real:
		if v := s.ColumnFloat(col); (t == sqlite3.INTEGER || t == sqlite3.FLOAT) && !math.IsInf(v, 0) && !math.IsNaN(v) {
			return v, faults
		}
	case layer.Decimal:
		if v, ok := decimal(s, col, t); ok {
			return v, faults
		}
	case layer.Boolean:
		if t == sqlite3.INTEGER {
			if v := s.ColumnInt64(col); v == 0 || v == 1 {
				return v == 1, faults
			}
		}
	case layer.Date, layer.Timestamp:
		if t == sqlite3.TEXT {
			if v, ok := moment(s.ColumnText(col), f.Type); ok {
				return v, faults
			}
		}
	case layer.Text:
		switch t {
		case sqlite3.TEXT:
			return textValue(s.ColumnText(col), f, row, faults)
		case sqlite3.INTEGER:
			return strconv.FormatInt(s.ColumnInt64(col), 10), faults
		case sqlite3.FLOAT:
			return strconv.FormatFloat(s.ColumnFloat(col), 'g', -1, 64), faults
		}
	}
	shown := "BLOB"
	if t != sqlite3.BLOB {
		shown = fmt.Sprintf("%.40q", strings.ToValidUTF8(s.ColumnText(col), "\uFFFD"))
	}
	return nil, append(faults, layer.Fault{
		Row: row, Field: f.Name, Code: "type-mismatch",
		ZH: fmt.Sprintf("值 %s 不是 %s 类型，按空值处理", shown, f.Type), EN: fmt.Sprintf("the value %s is not of type %s and is taken as null", shown, f.Type),
	})
}

// decimal reads a number as text without an exponent. SQLite keeps NUMERIC as integer
// or float64, unless the text has more digits than those hold.
func decimal(s *sqlite3.Stmt, col int, t sqlite3.Datatype) (string, bool) {
	switch t {
	case sqlite3.INTEGER:
		return strconv.FormatInt(s.ColumnInt64(col), 10), true
	case sqlite3.FLOAT:
		v := s.ColumnFloat(col)
		return strconv.FormatFloat(v, 'f', -1, 64), !math.IsInf(v, 0) && !math.IsNaN(v)
	case sqlite3.TEXT:
		v := s.ColumnText(col)
		return v, isDecimal(v)
	}
	return "", false
}

func isDecimal(v string) bool {
	whole, fraction, point := strings.Cut(strings.TrimPrefix(v, "-"), ".")
	digits := func(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
	return digits(whole) && (!point || digits(fraction)) && len(v) <= 1000
}

// moment reads a date or time. GeoPackage has YYYY-MM-DD and YYYY-MM-DDTHH:MM:SS.SSSZ;
// the others are what SQLite and GDAL write too, in UTC when they name no zone.
func moment(v string, t layer.Type) (time.Time, bool) {
	layouts := []string{time.DateOnly}
	if t == layer.Timestamp {
		layouts = []string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00", time.DateTime, "2006-01-02 15:04", "2006-01-02T15:04", time.DateOnly}
	}
	if len(v) > 40 {
		return time.Time{}, false
	}
	for _, l := range layouts {
		if at, err := time.Parse(l, v); err == nil {
			at = at.UTC()
			return at, at.Year() > 0 && at.Year() < 10000
		}
	}
	return time.Time{}, false
}

// textValue makes a text valid. Programs that write GBK into GeoPackages exist; text
// that is not UTF-8 and decodes as GB18030 without a gap is taken as that.
func textValue(v string, f layer.Field, row int64, faults []layer.Fault) (any, []layer.Fault) {
	note := func(code, zh, en string) {
		faults = append(faults, layer.Fault{Row: row, Field: f.Name, Code: code, ZH: zh, EN: en})
	}
	if !utf8.ValidString(v) {
		if gb, err := simplifiedchinese.GB18030.NewDecoder().String(v); err == nil && !strings.ContainsRune(gb, utf8.RuneError) {
			v = gb
			note("text-gb18030", "文本不是 UTF-8，已按 GB18030 解码", "the text is not UTF-8 and was decoded as GB18030")
		} else {
			v = strings.ToValidUTF8(v, "\uFFFD")
			note("text-not-utf8", "文本中不合法的 UTF-8 字节已换成 U+FFFD", "bytes that are not UTF-8 were replaced by U+FFFD")
		}
	}
	if strings.IndexByte(v, 0) >= 0 {
		v = strings.ReplaceAll(v, "\x00", "")
		note("text-nul", "文本中的 NUL 字符已去掉", "NUL characters were taken out of the text")
	}
	return v, faults
}
