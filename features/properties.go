package features

import (
	"encoding/binary"
	"math"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"changde/catalog"
	"changde/ingest/layer"
)

// The formats of pgx.QueryResultFormats.
const (
	textFormat   = 0
	binaryFormat = 1
)

// formats are those of the rows of selectFeatures; more columns follow in binary.
func formats(props []property, more int) pgx.QueryResultFormats {
	out := make(pgx.QueryResultFormats, 2+len(props)+more)
	for i := range out {
		out[i] = binaryFormat
	}
	for i := range props {
		out[2+i] = props[i].format
	}
	return out
}

// property writes one column of the rows of a result. Whole and decimal numbers
// travel as text, which PostgreSQL writes as JSON would; what depends on settings
// of the session (dates, times, the digits of a real) travels in binary.
type property struct {
	key    []byte // `"name":`, ready to append
	typ    layer.Type
	json   bool // the value is JSON already
	format int16
}

func properties(columns []catalog.Column) []property {
	out := make([]property, len(columns))
	for i, c := range columns {
		p := property{key: append(appendString(nil, c.Name), ':'), typ: c.Type, json: c.JSON}
		switch c.Type {
		case layer.Real, layer.Boolean, layer.Date, layer.Timestamp:
			p.format = binaryFormat
		}
		out[i] = p
	}
	return out
}

// append writes the value as JSON. NULL, NaN and the infinities, for which JSON
// has no number, are null.
func (p *property) append(dst, raw []byte) []byte {
	if raw == nil {
		return append(dst, "null"...)
	}
	if p.json {
		return append(dst, raw...)
	}
	switch p.typ {
	case layer.Integer:
		return append(dst, raw...)
	case layer.Real:
		return appendReal(dst, math.Float64frombits(binary.BigEndian.Uint64(raw)))
	case layer.Decimal:
		if last := raw[len(raw)-1]; last < '0' || last > '9' { // NaN, Infinity, -Infinity
			return append(dst, "null"...)
		}
		return append(dst, raw...)
	case layer.Boolean:
		if raw[0] != 0 {
			return append(dst, "true"...)
		}
		return append(dst, "false"...)
	case layer.Date:
		days := int32(binary.BigEndian.Uint32(raw))
		if days == math.MaxInt32 || days == math.MinInt32 {
			return append(dst, "null"...)
		}
		return appendTime(dst, epoch().AddDate(0, 0, int(days)), "-01-02")
	case layer.Timestamp:
		us := int64(binary.BigEndian.Uint64(raw))
		if us == math.MaxInt64 || us == math.MinInt64 {
			return append(dst, "null"...)
		}
		t := time.Unix(epochUnix+floorDiv(us, 1e6), (us-floorDiv(us, 1e6)*1e6)*1000).UTC()
		return appendTime(dst, t, "-01-02T15:04:05.999999Z")
	}
	return appendString(dst, raw)
}

// appendReal writes the shortest number that reads back as v.
func appendReal(dst []byte, v float64) []byte {
	if v-v != 0 { // NaN, an infinity
		return append(dst, "null"...)
	}
	format := byte('f')
	if a := math.Abs(v); a != 0 && (a < 1e-6 || a >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, v, format, -1, 64)
}

// epochUnix is 2000-01-01, where PostgreSQL counts days and microseconds from.
const epochUnix = 946684800

func epoch() time.Time { return time.Unix(epochUnix, 0).UTC() }

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// appendTime writes a quoted time as RFC 3339 does; a year that RFC 3339 cannot
// write gets the sign ISO 8601 asks for.
func appendTime(dst []byte, t time.Time, rest string) []byte {
	dst = append(dst, '"')
	year := t.Year()
	switch {
	case year > 9999:
		dst = append(dst, '+')
	case year < 0:
		dst = append(dst, '-')
		year = -year
	}
	for width := 1000; width > 1 && year < width; width /= 10 {
		dst = append(dst, '0')
	}
	dst = strconv.AppendInt(dst, int64(year), 10)
	dst = t.AppendFormat(dst, rest)
	return append(dst, '"')
}

// appendString writes s as a JSON string (RFC 8259 section 7). s is UTF-8.
func appendString[S []byte | string](dst []byte, s S) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}
