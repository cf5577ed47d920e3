package quality

import (
	"bytes"
	"fmt"
	"time"

	"changde/ingest/layer"
	"changde/ingest/profile"
	"changde/problem"
)

// dates is Q18.
func (c *checker) dates(s *scan, r *rule) error {
	p, err := profile.Params[profile.CurrentParams](c.o.Profile, r.spec)
	if err != nil {
		return err
	}
	earliest, ok := parseDay([]byte(p.Earliest))
	if !ok {
		return problem.New(problem.Invalid, "rule-params", r.Code+".params/earliest", "不是日期", "is no date")
	}
	var fields []string
	if p.Field != "" {
		col, ok := c.column(p.Field)
		if !ok {
			c.missing(r, p.Field)
			return nil
		}
		fields = append(fields, col.Name)
	} else {
		for _, col := range c.layer.Columns {
			if col.Type == layer.Date || col.Type == layer.Timestamp {
				fields = append(fields, col.Name)
			}
		}
		if len(fields) == 0 {
			r.skip("没有日期字段", "there is no date field")
			return nil
		}
	}
	y, m, d := c.o.Today.Date()
	today := day{y, int(m), d}
	for _, field := range fields {
		at := s.column(field)
		s.each(r, false, func(w *row) error {
			if v := bytes.TrimSpace(w.values[at]); len(v) > 0 {
				c.judgeDay(r, w.fid, field, v, earliest, today)
			}
			return nil
		})
	}
	return nil
}

func (c *checker) judgeDay(r *rule, fid int64, field string, v []byte, earliest, today day) {
	var code, zh, en string
	switch when, ok := parseDay(v); {
	case !ok:
		code, zh, en = "date-invalid", "不是日期", "is no date"
	case when.after(today):
		code, zh, en = "date-future", "晚于今天", "is in the future"
	case earliest.after(when):
		code, zh, en = "date-early", "早于 "+earliest.String(), "is before "+earliest.String()
	default:
		return
	}
	if c.found(r) {
		c.tell(r, fid, code, field, nil, fmt.Sprintf("%s 的值“%s”%s", field, shown(v), zh), fmt.Sprintf("%s is %s, which %s", field, shown(v), en))
	}
}

// day is a date; month and day are 0 where they are not given.
type day struct{ year, month, day int }

// after says whether d is later than o as far as both are given.
func (d day) after(o day) bool {
	if d.year != o.year {
		return d.year > o.year
	}
	if d.month == 0 || o.month == 0 || d.month != o.month {
		return d.month > o.month && o.month != 0
	}
	return d.day > o.day && o.day != 0
}

func (d day) String() string {
	switch {
	case d.month == 0:
		return fmt.Sprintf("%04d", d.year)
	case d.day == 0:
		return fmt.Sprintf("%04d-%02d", d.year, d.month)
	}
	return fmt.Sprintf("%04d-%02d-%02d", d.year, d.month, d.day)
}

// parseDay reads a year, a month or a day, with or without separators; what
// follows a day is a time.
func parseDay(v []byte) (day, bool) {
	var d [8]int
	n := 0
	for i, b := range v {
		switch {
		case b >= '0' && b <= '9':
			if n == 8 {
				return day{}, false
			}
			d[n] = int(b - '0')
			n++
		case n == 8 && (b == ' ' || b == 'T'):
			return dayOf(d[:])
		case (b == '-' || b == '/' || b == '.') && (n == 4 || n == 6) && i > 0 && v[i-1] >= '0' && v[i-1] <= '9':
		default:
			return day{}, false
		}
	}
	return dayOf(d[:n])
}

func dayOf(d []int) (day, bool) {
	out := day{}
	if len(d) != 4 && len(d) != 6 && len(d) != 8 {
		return out, false
	}
	out.year = d[0]*1000 + d[1]*100 + d[2]*10 + d[3]
	if len(d) > 4 {
		out.month = d[4]*10 + d[5]
		if out.month < 1 || out.month > 12 {
			return out, false
		}
	}
	if len(d) > 6 {
		out.day = d[6]*10 + d[7]
		t := time.Date(out.year, time.Month(out.month), out.day, 0, 0, 0, 0, time.UTC)
		return out, t.Day() == out.day && out.day > 0
	}
	return out, true
}
