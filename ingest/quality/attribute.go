package quality

import (
	"bytes"
	"fmt"

	"changde/ingest/finding"
	"changde/ingest/profile"
)

func blank(v []byte) bool { return len(bytes.TrimSpace(v)) == 0 }

// shown is a value in a sentence, cut when it is long.
func shown(v []byte) string {
	s := string(bytes.TrimSpace(v))
	if len(s) > 60 {
		return cut(s, 57) + "…"
	}
	return s
}

// mandatory is Q13.
func (c *checker) mandatory(s *scan, r *rule) error {
	if err := c.none(r); err != nil {
		return err
	}
	for _, f := range c.o.Profile.Fields {
		if !f.Mandatory {
			continue
		}
		col, ok := c.column(f.Name)
		if !ok {
			if c.found(r) {
				c.tell(r, 0, "mandatory-missing", f.Name, nil, fmt.Sprintf("交付中没有必填字段 %s%s", f.Name, f.Alias), fmt.Sprintf("the delivery has no mandatory field %s", f.Name))
			}
			continue
		}
		at := s.column(col.Name)
		s.each(r, false, func(w *row) error {
			if blank(w.values[at]) && c.found(r) {
				c.tell(r, w.fid, "mandatory-missing", col.Name, nil, fmt.Sprintf("必填字段 %s%s 为空", col.Name, f.Alias), fmt.Sprintf("the mandatory field %s is empty", col.Name))
			}
			return nil
		})
	}
	return nil
}

// codes is Q14: values of code tables, and numbers within their bounds.
func (c *checker) codes(s *scan, r *rule) error {
	if err := c.none(r); err != nil {
		return err
	}
	looked := false
	for _, f := range c.o.Profile.Fields {
		col, ok := c.column(f.Name)
		if !ok || f.Codes == "" && f.Min == nil && f.Max == nil {
			continue
		}
		var judge func(code []byte) profile.Verdict
		if f.Codes != "" {
			if judge, ok = c.judge(r, f); !ok {
				continue
			}
		}
		looked = true
		at := s.column(col.Name)
		s.each(r, false, func(w *row) error {
			v := bytes.TrimSpace(w.values[at])
			if len(v) == 0 {
				return nil
			}
			if judge != nil {
				if verdict := judge(v); verdict != profile.Accepted && c.found(r) {
					c.tellCode(r, w.fid, verdict, col.Name, v, f.Codes)
				}
			}
			if n, ok := number(v); ok && (f.Min != nil && n < *f.Min || f.Max != nil && n > *f.Max) && c.found(r) {
				zh, en := bounds(f.Min, f.Max)
				c.tell(r, w.fid, "value-range", col.Name, nil, fmt.Sprintf("%s 的值 %s 超出范围%s", col.Name, shown(v), zh), fmt.Sprintf("%s is %s, outside %s", col.Name, shown(v), en))
			}
			return nil
		})
	}
	if !looked && r.SkippedZH == "" {
		r.skip("没有可检查的代码字段", "no field has a code table or bounds to check it by")
	}
	return nil
}

// mostJudged bounds the values whose verdict is remembered.
const mostJudged = 10_000

// judge finds the code table of a field; what it says is remembered, for few
// values stand in many rows.
func (c *checker) judge(r *rule, f profile.Field) (func([]byte) profile.Verdict, bool) {
	known := map[string]profile.Verdict{}
	if c.o.Library != nil {
		if t, ok := c.o.Library.Codes(f.Codes); ok {
			return func(code []byte) profile.Verdict {
				v, ok := known[string(code)]
				if !ok {
					v = t.Judge(f, c.o.Profile.Geometry, string(code))
					if len(known) < mostJudged {
						known[string(code)] = v
					}
				}
				return v
			}, true
		}
	}
	names, ok := c.names(r, f.Codes)
	return func(code []byte) profile.Verdict {
		if _, ok := names(string(code)); ok {
			return profile.Accepted
		}
		return profile.Unlisted
	}, ok
}

// tellCode tells what a code table says of a value. A doubtful one is a warning,
// for the table may lack it.
func (c *checker) tellCode(r *rule, fid int64, verdict profile.Verdict, field string, v []byte, table string) {
	why := map[profile.Verdict][2]string{
		profile.Unlisted:   {"不在代码表 %s 中", "is not in the code table %s"},
		profile.Doubtful:   {"未列入代码表 %s（该表可能不全）", "is not listed in the code table %s, which may lack codes"},
		profile.Heading:    {"在代码表 %s 中是类目名，不能作为取值", "is a heading of the code table %s, too coarse for a value"},
		profile.Misplaced:  {"在代码表 %s 中，但不属于本图层", "is in the code table %s, but not for this layer"},
		profile.Mismatched: {"在代码表 %s 中，但不用于这种几何类型", "is in the code table %s, but not for this type of geometry"},
	}[verdict]
	severity := r.Severity
	if verdict == profile.Doubtful {
		r.Severity = finding.Warn
	}
	c.tell(r, fid, string(verdict), field, nil, fmt.Sprintf("%s 的值“%s”"+why[0], field, shown(v), table), fmt.Sprintf("%s %q "+why[1], field, shown(v), table))
	r.Severity = severity
}

// names finds the names by code of a table, or notes that the rule does without.
func (c *checker) names(r *rule, id string) (func(code string) (string, bool), bool) {
	if c.o.Library != nil {
		if t, ok := c.o.Library.Codes(id); ok {
			return func(code string) (string, bool) {
				row, ok := t.Get(code)
				return row.Name, ok
			}, true
		}
	}
	if c.o.Codes != nil {
		if t, ok := c.o.Codes(id); ok {
			return func(code string) (string, bool) {
				name, ok := t[code]
				return name, ok
			}, true
		}
	}
	r.NoteZH, r.NoteEN = fmt.Sprintf("没有代码表 %s，相应字段未检查", id), fmt.Sprintf("there is no code table %s, and its fields were not checked", id)
	return nil, false
}

func bounds(low, high *float64) (zh, en string) {
	switch {
	case high == nil:
		return fmt.Sprintf("（不小于 %g）", *low), fmt.Sprintf("at least %g", *low)
	case low == nil:
		return fmt.Sprintf("（不大于 %g）", *high), fmt.Sprintf("at most %g", *high)
	}
	return fmt.Sprintf(" %g 至 %g", *low, *high), fmt.Sprintf("%g to %g", *low, *high)
}
