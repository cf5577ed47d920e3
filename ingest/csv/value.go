package csv

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"changde/ingest/layer"
)

// maxDigits is the number of digits up to which an integer is a quantity. Longer
// ones are codes (a cadastral parcel has 19), which spreadsheets round to 15.
const maxDigits = 15

// kind is the set of shapes that the values of a column have.
type kind uint8

const (
	isInteger kind = 1 << iota
	isReal
	isDate
	isTimestamp
	isText
)

// see adds a value; blank ones say nothing.
func (k *kind) see(s string) {
	if *k&isText != 0 {
		return
	}
	if s = trim(s); s != "" {
		*k |= kindOf(s)
	}
}

func (k kind) fieldType() layer.Type {
	switch k {
	case isInteger:
		return layer.Integer
	case isReal, isReal | isInteger:
		return layer.Real
	case isDate:
		return layer.Date
	case isTimestamp:
		return layer.Timestamp
	}
	return layer.Text
}

func kindOf(s string) kind {
	if k := numberKind(s); k != 0 {
		return k
	}
	if s[0]-'0' > 9 || len(s) < len("2026-1-1") {
		return isText
	}
	if _, ok := date(s); ok {
		return isDate
	}
	if _, ok := timestamp(s); ok {
		return isTimestamp
	}
	return isText
}

// numberKind tells integers and reals from codes that consist of digits: 0101 and
// numbers of more than 15 digits are codes, and so is 2E10, which a parcel may be
// called; an exponent needs a sign or a fraction before it.
func numberKind(s string) kind {
	i := 0
	if s[0] == '-' {
		i = 1
	}
	whole := digits(s[i:])
	if whole > 1 && s[i] == '0' || whole > maxDigits {
		return 0
	}
	i += whole
	if i == len(s) {
		if whole == 0 {
			return 0
		}
		return isInteger
	}
	fraction := 0
	if s[i] == '.' {
		fraction = digits(s[i+1:])
		i += 1 + fraction
	}
	if whole+fraction == 0 {
		return 0
	}
	if i < len(s) {
		if s[i]|0x20 != 'e' || i+1 == len(s) {
			return 0
		}
		i++
		if s[i] == '+' || s[i] == '-' {
			i++
		} else if fraction == 0 {
			return 0
		}
		n := digits(s[i:])
		if n == 0 || i+n < len(s) {
			return 0
		}
	}
	if v, err := strconv.ParseFloat(s, 64); err != nil || math.IsInf(v, 0) {
		return 0
	}
	return isReal
}

// digits is the number of decimal digits that s begins with.
func digits(s string) int {
	n := 0
	for n < len(s) && s[n]-'0' <= 9 {
		n++
	}
	return n
}

// dateLayouts are the forms of a date; the single digits also match two.
var dateLayouts = [...]string{"2006-1-2", "2006/1/2", "2006.1.2", "2006年1月2日"}

func date(s string) (time.Time, bool) {
	for _, l := range dateLayouts {
		if t, err := time.Parse(l, s); err == nil && t.Year() > 0 {
			return t, true
		}
	}
	return time.Time{}, false
}

// beijing is the zone of times that state none.
var beijing = time.FixedZone("UTC+8", 8*60*60)

var timeLayouts = [...]string{"15:04", "15:04:05"} // a fraction of a second matches too

func timestamp(s string) (time.Time, bool) {
	if t, err := time.Parse(time.RFC3339, s); err == nil && t.Year() > 0 {
		return t.UTC(), true
	}
	i := strings.IndexAny(s, " T")
	if i < 0 {
		return time.Time{}, false
	}
	day, ok := date(s[:i])
	if !ok {
		return time.Time{}, false
	}
	clock := strings.TrimSpace(s[i+1:])
	for _, l := range timeLayouts {
		if t, err := time.Parse(l, clock); err == nil {
			return time.Date(day.Year(), day.Month(), day.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), beijing).UTC(), true
		}
	}
	return time.Time{}, false
}

// value converts a cell to the type of its field. A blank one is missing.
func value(s string, field layer.Field, row int64, faults []layer.Fault) (any, []layer.Fault) {
	s = trim(s)
	if s == "" {
		return nil, faults
	}
	switch field.Type {
	case layer.Integer:
		if v, err := strconv.ParseInt(s, 10, 64); err == nil {
			return v, faults
		}
	case layer.Real:
		if v, err := strconv.ParseFloat(s, 64); err == nil && !math.IsInf(v, 0) && !math.IsNaN(v) {
			return v, faults
		}
	case layer.Date:
		if v, ok := date(s); ok {
			return v, faults
		}
	case layer.Timestamp:
		if v, ok := timestamp(s); ok {
			return v, faults
		}
	default:
		v, repaired := clean(s)
		if repaired {
			faults = append(faults, layer.Fault{
				Row: row, Field: field.Name, Code: "text-repaired",
				ZH: "文本含不能解码的字节或空字符 NUL，已换成 U+FFFD 或略去", EN: "the text has bytes that cannot be decoded, or NUL; they became U+FFFD or were left out",
			})
		}
		if v == "" {
			return nil, faults
		}
		return v, faults
	}
	return nil, append(faults, layer.Fault{
		Row: row, Field: field.Name, Code: "type-mismatch",
		ZH: fmt.Sprintf("值 %.40q 与检查文件时的类型 %s 不符，文件可能已变动", s, field.Type), EN: fmt.Sprintf("the value %.40q is not of the type %s found at inspection; the file may have changed", s, field.Type),
	})
}

// trim takes blanks off both ends.
func trim(s string) string { return strings.Trim(s, " \t\r\n\u00a0\u3000") }

// clean makes a text fit for layer.Text, without blanks around it; repaired tells
// that something was lost.
func clean(s string) (_ string, repaired bool) {
	plain := true
	for i := 0; i < len(s); i++ {
		if s[i] == 0 || s[i] >= utf8.RuneSelf {
			plain = false
			break
		}
	}
	if !plain {
		repaired = strings.Contains(s, "\uFFFD") || !utf8.ValidString(s) || strings.Contains(s, "\x00")
		s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
	}
	return trim(s), repaired
}
