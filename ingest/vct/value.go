package vct

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"changde/ingest/layer"
)

// value converts a cell to the type of its field. A blank one is missing.
func value(s string, field layer.Field, row int64, faults []layer.Fault) (any, []layer.Fault) {
	s = strings.Trim(s, " \t\r\u3000")
	if s == "" {
		return nil, faults
	}
	ok := true
	var v any
	switch field.Type {
	case layer.Integer:
		v, ok = integer(s)
	case layer.Real:
		f, err := strconv.ParseFloat(s, 64)
		v, ok = f, err == nil && !math.IsNaN(f) && !math.IsInf(f, 0)
	case layer.Decimal:
		v, ok = s, decimal.MatchString(s)
	case layer.Boolean:
		switch strings.ToUpper(s) {
		case "T", "TRUE", "Y", "YES", "1", "是":
			v = true
		case "F", "FALSE", "N", "NO", "0", "否":
			v = false
		default:
			ok = false
		}
	case layer.Date, layer.Timestamp:
		t, zero, good := moment(s, field.Type == layer.Date)
		if zero {
			return nil, faults
		}
		v, ok = t, good
	default:
		return s, faults
	}
	if ok {
		return v, faults
	}
	return nil, append(faults, layer.Fault{
		Row: row, Field: field.Name, Code: "value-unreadable",
		ZH: fmt.Sprintf("值 %.40q 不是 %s，按缺失处理", s, typeZH[field.Type]), EN: fmt.Sprintf("the value %.40q is no %s and is taken as missing", s, field.Type),
	})
}

var typeZH = map[layer.Type]string{layer.Integer: "整数", layer.Real: "实数", layer.Decimal: "十进制数", layer.Boolean: "布尔值", layer.Date: "日期", layer.Timestamp: "时间"}

var decimal = regexp.MustCompile(`^[+-]?(\d{1,500}(\.\d{0,500})?|\.\d{1,500})$`)

// integer also reads whole numbers with a fraction of zeros, which programs write.
func integer(s string) (int64, bool) {
	if whole, fraction, ok := strings.Cut(s, "."); ok && strings.Trim(fraction, "0") == "" {
		s = whole
	}
	v, err := strconv.ParseInt(s, 10, 64)
	return v, err == nil
}

var (
	dateLayouts = [...]string{"20060102", "2006-1-2", "2006/1/2", "2006.1.2", "2006年1月2日"}
	timeLayouts = [...]string{"15:04:05", "15:04", "150405"}
)

// beijing is the zone of times, which state none.
var beijing = time.FixedZone("UTC+8", 8*60*60)

// moment reads a date with or without a time. zero tells of a date of zeros.
func moment(s string, day bool) (t time.Time, zero, ok bool) {
	if strings.Trim(s, "0-/.: ") == "" {
		return t, true, true
	}
	d, clock, timed := strings.Cut(strings.Replace(s, "T", " ", 1), " ")
	if !timed && len(s) == 14 && strings.Trim(s, "0123456789") == "" {
		d, clock, timed = s[:8], s[8:], true
	}
	for _, l := range dateLayouts {
		if t, err := time.Parse(l, d); err == nil && t.Year() > 0 {
			if day {
				// Programs write dates with a time of midnight.
				return t, false, true
			}
			if !timed {
				return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, beijing).UTC(), false, true
			}
			for _, l := range timeLayouts {
				if c, err := time.Parse(l, strings.TrimSpace(clock)); err == nil {
					return time.Date(t.Year(), t.Month(), t.Day(), c.Hour(), c.Minute(), c.Second(), c.Nanosecond(), beijing).UTC(), false, true
				}
			}
			return t, false, false
		}
	}
	return t, false, false
}
