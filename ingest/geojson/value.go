package geojson

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"changde/ingest/layer"
)

// What was seen in a column, as bits.
const (
	sawBoolean = 1 << iota
	sawInteger // fits int64
	sawWide    // an integer that float64 does not hold exactly
	sawBig     // an integer beyond int64
	sawReal
	sawDate
	sawTimestamp
	sawText
	sawNested
)

// maxDigits bounds the digits of a number that is kept exactly.
const maxDigits = 1000

// see returns the bit for a value, 0 for null and for numbers nothing can hold.
func see(p property) int {
	switch p.kind {
	case truth, falsehood:
		return sawBoolean
	case number:
		return seeNumber(p.raw)
	case str:
		if _, ok := date(p.raw); ok {
			return sawDate
		}
		if _, ok := timestamp(p.raw); ok {
			return sawTimestamp
		}
		return sawText
	case nested:
		return sawNested
	}
	return 0
}

func seeNumber(raw []byte) int {
	exponent := bytes.IndexByte(raw, 'e') >= 0 || bytes.IndexByte(raw, 'E') >= 0
	if exponent || bytes.IndexByte(raw, '.') >= 0 {
		// without an exponent it takes 309 digits to leave the range
		if !exponent && len(raw) < 300 {
			return sawReal
		}
		if v, err := strconv.ParseFloat(string(raw), 64); err != nil || math.IsInf(v, 0) {
			return 0
		}
		return sawReal
	}
	if len(raw) <= 15 {
		return sawInteger
	}
	v, err := strconv.ParseInt(string(raw), 10, 64)
	switch {
	case err == nil && v <= 1<<53 && v >= -1<<53:
		return sawInteger
	case err == nil:
		return sawInteger | sawWide
	case len(raw) <= maxDigits:
		return sawBig
	}
	return 0
}

// typeOf returns the narrowest type that holds everything seen without loss.
func typeOf(saw int) layer.Type {
	const numbers = sawInteger | sawWide | sawBig | sawReal
	switch {
	case saw == 0:
		return layer.Text
	case saw == sawBoolean:
		return layer.Boolean
	case saw == sawDate:
		return layer.Date
	case saw == sawTimestamp:
		return layer.Timestamp
	case saw&^numbers != 0:
		return layer.Text
	case saw&sawBig != 0, saw&sawWide != 0 && saw&sawReal != 0:
		return layer.Decimal
	case saw&sawReal != 0:
		return layer.Real
	}
	return layer.Integer
}

// date reads YYYY-MM-DD.
func date(raw []byte) (time.Time, bool) {
	if len(raw) != len(time.DateOnly) || raw[4] != '-' || raw[7] != '-' {
		return time.Time{}, false
	}
	t, err := time.Parse(time.DateOnly, string(raw))
	return t, err == nil && t.Year() > 0
}

// timestamp reads RFC 3339.
func timestamp(raw []byte) (time.Time, bool) {
	if len(raw) < len("2006-01-02T15:04:05Z") || len(raw) > 40 || raw[4] != '-' || raw[10] != 'T' {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339, string(raw))
	return t.UTC(), err == nil && t.UTC().Year() > 0 && t.UTC().Year() < 10000
}

// convert turns a value into the type of its field. A fault is a note: the value is
// nil or repaired then.
func convert(p property, f layer.Field, row int64, out []layer.Fault) (any, []layer.Fault) {
	if p.kind == null {
		return nil, out
	}
	switch f.Type {
	case layer.Boolean:
		if p.kind == truth || p.kind == falsehood {
			return p.kind == truth, out
		}
	case layer.Integer:
		if p.kind == number {
			if v, err := strconv.ParseInt(string(p.raw), 10, 64); err == nil {
				return v, out
			}
		}
	case layer.Real:
		if p.kind == number {
			c := cursor{b: p.raw}
			if v, err := c.float(); err == nil {
				return v, out
			}
		}
	case layer.Decimal:
		if p.kind == number {
			if s, ok := decimal(p.raw); ok {
				return s, out
			}
		}
	case layer.Date:
		if p.kind == str {
			if t, ok := date(p.raw); ok {
				return t, out
			}
		}
	case layer.Timestamp:
		if p.kind == str {
			if t, ok := timestamp(p.raw); ok {
				return t, out
			}
		}
	case layer.Text:
		return textValue(p, f, row, out)
	}
	if p.kind == number && (f.Type == layer.Integer || f.Type == layer.Real || f.Type == layer.Decimal) && seeNumber(p.raw) == 0 {
		return nil, append(out, layer.Fault{
			Row: row, Field: f.Name, Code: "number-range",
			ZH: fmt.Sprintf("数字 %.40s 超出范围，按空值处理", p.raw), EN: fmt.Sprintf("the number %.40s is out of range and is taken as null", p.raw),
		})
	}
	shown := strings.ToValidUTF8(fmt.Sprintf("%.40s", p.raw), "")
	return nil, append(out, layer.Fault{
		Row: row, Field: f.Name, Code: "type-mismatch",
		ZH: fmt.Sprintf("值 %s 不是 %s 类型，按空值处理", shown, f.Type), EN: fmt.Sprintf("the value %s is not of type %s and is taken as null", shown, f.Type),
	})
}

func textValue(p property, f layer.Field, row int64, out []layer.Fault) (any, []layer.Fault) {
	switch p.kind {
	case truth:
		return "true", out
	case falsehood:
		return "false", out
	case number:
		return string(p.raw), out
	case nested:
		var buf bytes.Buffer
		buf.Grow(len(p.raw))
		if err := json.Compact(&buf, p.raw); err != nil {
			buf.Reset()
			buf.Write(p.raw)
		}
		s := buf.String()
		if clean := strings.ToValidUTF8(s, "\uFFFD"); clean != s {
			return clean, textFaults(row, f.Name, textUTF8, out)
		}
		return s, out
	}
	s, repairs := text(p.raw)
	return s, textFaults(row, f.Name, repairs, out)
}

// decimal writes a JSON number without an exponent.
func decimal(raw []byte) (string, bool) {
	s := string(raw)
	e := strings.IndexAny(s, "eE")
	if e < 0 {
		return s, len(s) <= maxDigits
	}
	exp, err := strconv.Atoi(s[e+1:])
	if err != nil || exp > maxDigits || exp < -maxDigits || e > maxDigits {
		return "", false
	}
	sign := ""
	m := s[:e]
	if m[0] == '-' {
		sign, m = "-", m[1:]
	}
	whole, fraction, _ := strings.Cut(m, ".")
	digits := whole + fraction
	point := len(whole) + exp
	if point <= 0 {
		digits = strings.Repeat("0", 1-point) + digits
		point = 1
	} else if point > len(digits) {
		digits += strings.Repeat("0", point-len(digits))
	}
	whole, fraction = strings.TrimLeft(digits[:point], "0"), digits[point:]
	if whole == "" {
		whole = "0"
	}
	if fraction != "" {
		whole += "." + fraction
	}
	return sign + whole, true
}
