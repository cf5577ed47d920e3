package profile

import (
	"fmt"
	"slices"
	"strings"

	"changde/ingest/layer"
)

// How says by what a field of a delivery was known.
type How string

// The ways, surest first.
const (
	ByName  How = "name"  // the name of the standard, case and width of letters aside
	ByOther How = "other" // another name that the profile lists
	ByAlias How = "alias" // the Chinese title
	ByCut   How = "cut"   // one of these, cut by the format
)

// Conversion says what becomes of values when the file has another type than the
// standard.
type Conversion string

// The conversions.
const (
	SameType  Conversion = "same"
	SafeType  Conversion = "safe"  // every value can be converted
	ByRow     Conversion = "row"   // each value must be tried; some may not fit
	WrongType Conversion = "wrong" // no value can be converted
)

// Pair is a field of the profile with the field of the delivery that holds it.
type Pair struct {
	Field  int // index into Profile.Fields
	Source int // index into the fields of the delivery
	How    How
	// Converts tells what the types mean for the values; its sentence is in ZH and EN.
	Converts Conversion
	// Overflow is true when the file declares a width that values of the standard
	// must not have, so that some may be too long; Narrow when the file's width is
	// less than the standard's, so that values may have been cut.
	Overflow bool
	Narrow   bool
	ZH, EN   string // why the two are one field, and what the types and widths mean
}

// Missing is a field of the profile that the delivery lacks.
type Missing struct {
	Field     int // index into Profile.Fields
	Mandatory bool
}

// Ambiguity is a set of names that could be one another in more than one way.
// Nobody guesses: the person who delivers must say.
type Ambiguity struct {
	Fields  []int // indices into Profile.Fields, ascending
	Sources []int // indices into the fields of the delivery, ascending
	ZH, EN  string
}

// Mapping is how the fields of a delivery are those of a profile.
type Mapping struct {
	Pairs     []Pair      // in the order of the profile
	Missing   []Missing   // in the order of the profile; fields of an ambiguity are not among them
	Extra     []int       // fields of the delivery that the profile does not have, nor an ambiguity
	Ambiguous []Ambiguity // in the order of the profile
}

// Complete reports whether every mandatory field has its pair, nothing is
// ambiguous and no type is wrong.
func (m Mapping) Complete() bool {
	return len(m.Ambiguous) == 0 &&
		!slices.ContainsFunc(m.Missing, func(f Missing) bool { return f.Mandatory }) &&
		!slices.ContainsFunc(m.Pairs, func(p Pair) bool { return p.Converts == WrongType })
}

// Match maps the fields of a delivery to those of a profile: by name, then by the
// other names of the profile, then by the Chinese title, then by any of these cut
// to 10 bytes in GBK (five Chinese characters) or UTF-8 (three), as a DBF does, or
// to 31. A pair is made only when neither field could be paired otherwise at the
// same step. The result does not depend on the order of the delivery's fields
// except for their indices.
func Match(p *Profile, fields []layer.Field) Mapping {
	m := matcher{p: p, fields: fields, fieldDone: make([]bool, len(p.Fields)), sourceDone: make([]bool, len(fields))}
	for _, how := range []How{ByName, ByOther, ByAlias, ByCut} {
		m.step(how)
	}
	slices.SortFunc(m.out.Pairs, func(a, b Pair) int { return a.Field - b.Field })
	slices.SortFunc(m.out.Ambiguous, func(a, b Ambiguity) int { return a.Fields[0] - b.Fields[0] })
	for i, done := range m.fieldDone {
		if !done {
			m.out.Missing = append(m.out.Missing, Missing{Field: i, Mandatory: p.Fields[i].Mandatory})
		}
	}
	for i, done := range m.sourceDone {
		if !done {
			m.out.Extra = append(m.out.Extra, i)
		}
	}
	return m.out
}

type matcher struct {
	p          *Profile
	fields     []layer.Field
	fieldDone  []bool
	sourceDone []bool
	out        Mapping
}

// keys are the folded names that a field may have in a delivery at a step.
func keys(f Field, how How) []string {
	var names []string
	switch how {
	case ByName:
		names = []string{f.Name}
	case ByOther:
		names = f.Names
	case ByAlias:
		names = []string{f.Alias}
	case ByCut:
		for _, name := range append([]string{f.Name, f.Alias}, f.Names...) {
			for _, short := range []string{
				cutGBK(name, dbfName), cutUTF8(name, dbfName), cutGBK(name, longName), cutUTF8(name, longName), cut(name, longName),
			} {
				if short != name {
					names = append(names, short)
				}
			}
		}
	}
	var folded []string
	for _, name := range names {
		if key := fold(strings.TrimSpace(name)); key != "" && !slices.Contains(folded, key) {
			folded = append(folded, key)
		}
	}
	return folded
}

// step pairs what is known by how and only in one way, and sets aside what could
// be paired in several. Fields and sources hang together by the names they share.
func (m *matcher) step(how How) {
	g := graph{sources: map[string][]int{}, fields: map[string][]int{}, keys: map[int][]string{}}
	for i, f := range m.fields {
		if key := fold(strings.TrimSpace(f.Name)); !m.sourceDone[i] && key != "" {
			g.sources[key] = append(g.sources[key], i)
		}
	}
	for i, f := range m.p.Fields {
		if m.fieldDone[i] {
			continue
		}
		for _, key := range keys(f, how) {
			if len(g.sources[key]) > 0 {
				g.keys[i] = append(g.keys[i], key)
				g.fields[key] = append(g.fields[key], i)
			}
		}
	}
	for i := range m.p.Fields {
		if len(g.keys[i]) == 0 || m.fieldDone[i] {
			continue
		}
		fs, ss := g.component(i)
		for _, f := range fs {
			m.fieldDone[f] = true
		}
		for _, s := range ss {
			m.sourceDone[s] = true
		}
		if len(fs) == 1 && len(ss) == 1 {
			m.out.Pairs = append(m.out.Pairs, m.pair(fs[0], ss[0], how))
		} else {
			m.out.Ambiguous = append(m.out.Ambiguous, m.ambiguity(fs, ss))
		}
	}
}

// graph joins fields of the profile and of the delivery by the names they share.
// A source has one name, a field of the profile may have several.
type graph struct {
	sources, fields map[string][]int
	keys            map[int][]string
}

// component returns everything that hangs together with a field, ascending.
func (g graph) component(field int) (fields, sources []int) {
	seenField, seenKey := map[int]bool{field: true}, map[string]bool{}
	fields = []int{field}
	for next := 0; next < len(fields); next++ {
		for _, key := range g.keys[fields[next]] {
			if seenKey[key] {
				continue
			}
			seenKey[key] = true
			sources = append(sources, g.sources[key]...)
			for _, f := range g.fields[key] {
				if !seenField[f] {
					seenField[f] = true
					fields = append(fields, f)
				}
			}
		}
	}
	slices.Sort(fields)
	slices.Sort(sources)
	return fields, sources
}

func (m *matcher) ambiguity(fields, sources []int) Ambiguity {
	var names, given []string
	for _, i := range fields {
		names = append(names, m.p.Fields[i].Name)
	}
	for _, i := range sources {
		given = append(given, m.fields[i].Name)
	}
	ours, theirs := cut(strings.Join(names, "、"), maxText), cut(strings.Join(given, "、"), maxText)
	return Ambiguity{
		Fields: fields, Sources: sources,
		ZH: "文件中的字段 " + theirs + " 与标准字段 " + ours + " 有多种对应可能，请指定",
		EN: "the fields " + theirs + " of the file could be " + ours + " of the standard in more than one way; say which is which",
	}
}

func (m *matcher) pair(field, source int, how How) Pair {
	f, s := m.p.Fields[field], m.fields[source]
	p := Pair{Field: field, Source: source, How: how}
	switch how {
	case ByName:
		p.ZH, p.EN = "字段名相同", "the same name"
	case ByOther:
		p.ZH, p.EN = cite(s.Name)+" 是 "+f.Name+" 的另一名称", cite(s.Name)+" is another name of "+f.Name
	case ByAlias:
		p.ZH, p.EN = cite(s.Name)+" 是 "+f.Name+" 的中文名", cite(s.Name)+" is the title of "+f.Name
	case ByCut:
		p.ZH, p.EN = whole(f, s.Name)
	}
	var zh, en string
	p.Converts, zh, en = convert(s.Type, f.Type)
	if zh != "" {
		p.ZH, p.EN = p.ZH+"；"+zh, p.EN+"; "+en
	}
	if f.Type == layer.Text && s.Type == layer.Text && f.Length > 0 && s.Width > 0 && s.Width != f.Length {
		// Widths are bytes or characters, lengths are characters: a width of up to
		// four times the length may hold nothing but values that fit.
		p.Overflow, p.Narrow = s.Width > f.Length, s.Width < f.Length
		if p.Overflow {
			p.ZH += fmt.Sprintf("；文件宽 %d，标准长 %d，值可能超长", s.Width, f.Length)
			p.EN += fmt.Sprintf("; the file is %d wide, the standard %d: values may be too long", s.Width, f.Length)
		} else {
			p.ZH += fmt.Sprintf("；文件宽 %d，标准长 %d，值可能已被截断", s.Width, f.Length)
			p.EN += fmt.Sprintf("; the file is %d wide, the standard %d: values may have been cut", s.Width, f.Length)
		}
	}
	return p
}

// whole says of which name, and how, a cut name is the beginning.
func whole(f Field, given string) (zh, en string) {
	key := fold(strings.TrimSpace(given))
	for _, name := range append([]string{f.Name, f.Alias}, f.Names...) {
		for _, c := range []struct{ short, zh, en string }{
			{same(cutGBK(name, dbfName), cutUTF8(name, dbfName), name), "截断为 10 字节", "cut to 10 bytes"},
			{cutGBK(name, dbfName), "截断为 10 字节（GBK）", "cut to 10 bytes in GBK"},
			{cutUTF8(name, dbfName), "截断为 10 字节（UTF-8）", "cut to 10 bytes in UTF-8"},
			{cutGBK(name, longName), "截断为 31 字节（GBK）", "cut to 31 bytes in GBK"},
			{cutUTF8(name, longName), "截断为 31 字节（UTF-8）", "cut to 31 bytes in UTF-8"},
			{cut(name, longName), "截断为 31 个字符", "cut to 31 characters"},
		} {
			if name != "" && c.short != name && fold(strings.TrimSpace(c.short)) == key {
				return cite(given) + " 是 " + cite(name) + c.zh, cite(given) + " is " + cite(name) + " " + c.en
			}
		}
	}
	return "字段名被截断", "the name is cut"
}

// same returns a cut that is one in both encodings, and otherwise the whole name.
func same(gbk, utf8, name string) string {
	if gbk == utf8 {
		return gbk
	}
	return name
}

// convert tells what becomes of values of a file's type in a field of the
// standard's.
func convert(from, to layer.Type) (how Conversion, zh, en string) {
	zhHead := "文件类型 " + from.String() + "，标准类型 " + to.String() + "，"
	enHead := "the file has " + from.String() + ", the standard " + to.String() + ": "
	switch {
	case from == to:
		return SameType, "", ""
	case to == layer.Text && numeric(from):
		return ByRow, zhHead + "转为文字；代码开头的零可能已丢失", enHead + "becomes text; leading zeros of codes may be lost"
	case to == layer.Text:
		return SafeType, zhHead + "转为文字", enHead + "becomes text"
	case from == layer.Text:
		return ByRow, zhHead + "逐行转换，不能转换的报告", enHead + "converted row by row, what cannot be is reported"
	case from == layer.Integer && numeric(to), from == layer.Real && to == layer.Decimal, from == layer.Date && to == layer.Timestamp:
		return SafeType, zhHead + "可直接转换", enHead + "converts as it is"
	case numeric(from) && numeric(to):
		return ByRow, zhHead + "逐行转换，有小数或位数过多的报告", enHead + "converted row by row, fractions and too many digits are reported"
	case from == layer.Timestamp && to == layer.Date:
		return ByRow, zhHead + "只保留日期", enHead + "the time of day is dropped"
	case from == layer.Boolean && to == layer.Integer, from == layer.Integer && to == layer.Boolean:
		return ByRow, zhHead + "按 0 与 1 转换", enHead + "converted as 0 and 1"
	case from == layer.Integer && to == layer.Date:
		return ByRow, zhHead + "按 YYYYMMDD 转换", enHead + "converted as YYYYMMDD"
	}
	return WrongType, zhHead + "无法转换", enHead + "cannot be converted"
}
