package crs

import (
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"changde/problem"
)

// maxFaults bounds what one document can make the reader say.
const maxFaults = 20

// faults collects what is wrong with a document, each with its place. No text
// quotes a value of the document, which may be classified.
type faults struct {
	paths []string
	notes []note
}

func (f *faults) add(path, zh, en string) {
	if len(f.paths) < maxFaults {
		f.paths = append(f.paths, path)
		f.notes = append(f.notes, note{zh: zh, en: en})
	}
}

// err is the faults as one *problem.Error, nil when there are none.
func (f *faults) err() error {
	switch len(f.paths) {
	case 0:
		return nil
	case 1:
		return problem.New(problem.Invalid, "transformation-invalid", f.paths[0], f.notes[0].zh, f.notes[0].en)
	}
	var zh, en []string
	for i, n := range f.notes {
		zh = append(zh, f.paths[i]+" "+n.zh)
		en = append(en, f.paths[i]+" "+n.en)
	}
	return problem.New(problem.Invalid, "transformation-invalid", f.paths[0], strings.Join(zh, "；"), strings.Join(en, "; "))
}

// object reads the members of a JSON object one by one; close reports those that
// nobody asked for.
type object struct {
	path    string
	members map[string]jsontext.Value
	out     *faults
}

func openObject(path string, raw jsontext.Value, out *faults) (object, bool) {
	o := object{path: path, out: out}
	if raw.Kind() != '{' || json.Unmarshal(raw, &o.members) != nil {
		out.add(path, "此处应为对象 {…}", "an object {…} is expected here")
		return o, false
	}
	return o, true
}

func (o object) at(name string) string { return o.path + "." + name }

func (o object) close() {
	names := make([]string, 0, len(o.members))
	for name := range o.members {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if r := []rune(name); len(r) > 40 {
			name = string(r[:40]) + "…"
		}
		o.out.add(o.path, "没有名为 "+strconv.Quote(name)+" 的成员，请检查拼写", "there is no member "+strconv.Quote(name)+"; check the spelling")
	}
}

func (o object) has(name string) bool {
	_, ok := o.members[name]
	return ok
}

func (o object) take(name string, required bool) (jsontext.Value, bool) {
	raw, ok := o.members[name]
	delete(o.members, name)
	if !ok && required {
		o.out.add(o.at(name), "缺少成员 "+name, "the member "+name+" is missing")
	}
	return raw, ok
}

// object opens a member that is an object.
func (o object) object(name string, required bool) (object, bool) {
	raw, ok := o.take(name, required)
	if !ok {
		return object{}, false
	}
	return openObject(o.at(name), raw, o.out)
}

// text reads a string of one to most characters without control characters.
func (o object) text(name string, most int, required bool) string {
	raw, ok := o.take(name, required)
	if !ok {
		return ""
	}
	var s string
	if raw.Kind() != '"' || json.Unmarshal(raw, &s) != nil {
		o.out.add(o.at(name), "此处应为文字", "a string is expected here")
		return ""
	}
	if n := utf8.RuneCountInString(s); n == 0 || n > most || strings.ContainsFunc(s, unicode.IsControl) {
		o.out.add(o.at(name), fmt.Sprintf("应为 1 至 %d 个字符，不含控制字符", most), fmt.Sprintf("must have 1 to %d characters and no control characters", most))
		return ""
	}
	return s
}

// oneOf reads a string that is one of the choices.
func (o object) oneOf(name string, required bool, choices ...string) string {
	before := len(o.out.paths)
	s := o.text(name, 64, required)
	for _, c := range choices {
		if s == c {
			return s
		}
	}
	if s != "" && len(o.out.paths) == before {
		o.out.add(o.at(name), "只能是 "+strings.Join(choices, "、"), "is one of "+strings.Join(choices, ", "))
	}
	return ""
}

// number reads a number between the bounds, inclusive.
func (o object) number(name string, least, most float64, required bool) float64 {
	raw, ok := o.take(name, required)
	if !ok {
		return 0
	}
	var v float64
	if raw.Kind() != '0' || json.Unmarshal(raw, &v) != nil || math.IsInf(v, 0) {
		o.out.add(o.at(name), "此处应为数字", "a number is expected here")
		return 0
	}
	if v < least || v > most {
		lo, hi := strconv.FormatFloat(least, 'g', -1, 64), strconv.FormatFloat(most, 'g', -1, 64)
		o.out.add(o.at(name), "应在 "+lo+" 至 "+hi+" 之间", "must be from "+lo+" to "+hi)
		return 0
	}
	return v
}

// whole reads a whole number.
func (o object) whole(name string, least, most int, required bool) int {
	v := o.number(name, float64(least), float64(most), required)
	if v != math.Trunc(v) {
		o.out.add(o.at(name), "应为整数", "must be a whole number")
		return 0
	}
	return int(v)
}

func (o object) flag(name string) bool {
	raw, ok := o.take(name, false)
	if !ok {
		return false
	}
	if k := raw.Kind(); k != 't' && k != 'f' {
		o.out.add(o.at(name), "此处应为 true 或 false", "true or false is expected here")
	}
	return raw.Kind() == 't'
}

// list reads an array of at most most items.
func (o object) list(name string, most int) []jsontext.Value {
	raw, ok := o.take(name, false)
	if !ok {
		return nil
	}
	var items []jsontext.Value
	if raw.Kind() != '[' || json.Unmarshal(raw, &items) != nil {
		o.out.add(o.at(name), "此处应为列表 […]", "a list […] is expected here")
		return nil
	}
	if len(items) > most {
		o.out.add(o.at(name), fmt.Sprintf("有 %d 项，最多 %d 项", len(items), most), fmt.Sprintf("has %d items, the most is %d", len(items), most))
		return nil
	}
	return items
}
