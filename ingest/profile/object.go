package profile

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// object reads the members of a JSON object one by one and notes what is wrong
// with each, so that its author sees everything at once. Members never asked
// for are unknown: close reports them.
type object struct {
	path    string
	members map[string]jsontext.Value
	out     *issues
}

// open reads a value that must be an object; ok is false when it is none.
func open(path string, raw jsontext.Value, out *issues) (o object, ok bool) {
	o = object{path: path, out: out}
	if raw.Kind() != '{' {
		out.error(path, "not-an-object", "此处应为对象 {…}", "an object {…} is expected here")
		return o, false
	}
	if err := json.Unmarshal(raw, &o.members); err != nil {
		out.error(path, "not-an-object", "此处的对象无法读取", "the object here cannot be read")
		return o, false
	}
	return o, true
}

// close reports the members that were not asked for.
func (o object) close() {
	names := make([]string, 0, len(o.members))
	for name := range o.members {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		o.out.error(o.at(cut(name, 40)), "member-unknown", "没有名为 "+cite(name)+" 的成员，请检查拼写",
			"there is no member "+cite(name)+"; check the spelling")
	}
}

func (o object) at(name string) string { return o.path + "." + name }

// take removes a member; a missing one is reported when it is required.
func (o object) take(name string, required bool) (jsontext.Value, bool) {
	raw, ok := o.members[name]
	delete(o.members, name)
	if !ok && required {
		o.out.error(o.at(name), "member-missing", "缺少成员 "+name, "the member "+name+" is missing")
	}
	return raw, ok
}

// text reads a string of at most most characters without control characters.
func (o object) text(name string, most int, required bool) string {
	raw, ok := o.take(name, required)
	if !ok {
		return ""
	}
	return text(o.at(name), raw, most, required, o.out)
}

func text(path string, raw jsontext.Value, most int, required bool, out *issues) string {
	var s string
	if raw.Kind() != '"' || json.Unmarshal(raw, &s) != nil {
		out.error(path, "not-a-string", "此处应为文字", "a string is expected here")
		return ""
	}
	switch {
	case required && s == "":
		out.error(path, "text-empty", "不得为空", "must not be empty")
	case utf8.RuneCountInString(s) > most:
		out.error(path, "text-too-long", fmt.Sprintf("超过 %d 个字符", most), fmt.Sprintf("has more than %d characters", most))
		return ""
	case slices.ContainsFunc([]rune(s), unicode.IsControl):
		out.error(path, "text-control", "含有控制字符", "has control characters")
		return ""
	}
	return s
}

// texts reads a list of strings that are not empty.
func (o object) texts(name string, mostItems, most int) []string {
	var list []string
	for i, raw := range o.list(name, mostItems, false) {
		list = append(list, text(fmt.Sprintf("%s[%d]", o.at(name), i), raw, most, true, o.out))
	}
	return list
}

// list reads an array of at most most items.
func (o object) list(name string, most int, required bool) []jsontext.Value {
	raw, ok := o.take(name, required)
	if !ok {
		return nil
	}
	var items []jsontext.Value
	if raw.Kind() != '[' || json.Unmarshal(raw, &items) != nil {
		o.out.error(o.at(name), "not-a-list", "此处应为列表 […]", "a list […] is expected here")
		return nil
	}
	if len(items) > most {
		o.out.error(o.at(name), "list-too-long", fmt.Sprintf("有 %d 项，最多 %d 项", len(items), most),
			fmt.Sprintf("has %d items, the most is %d", len(items), most))
		return nil
	}
	return items
}

// number reads a number between the bounds, inclusive; nil when there is none.
func (o object) number(name string, least, most float64) *float64 {
	raw, ok := o.take(name, false)
	if !ok {
		return nil
	}
	return number(o.at(name), raw, least, most, o.out)
}

func number(path string, raw jsontext.Value, least, most float64, out *issues) *float64 {
	var v float64
	if raw.Kind() != '0' || json.Unmarshal(raw, &v) != nil || math.IsInf(v, 0) {
		out.error(path, "not-a-number", "此处应为数字", "a number is expected here")
		return nil
	}
	if v < least || v > most {
		out.error(path, "number-out-of-range", fmt.Sprintf("应在 %s 至 %s 之间", short(least), short(most)),
			fmt.Sprintf("must be from %s to %s", short(least), short(most)))
		return nil
	}
	if v == 0 {
		v = 0 // a negative zero would not be read again as it was written
	}
	return &v
}

// count reads a whole number from 0 to most, 0 when there is none.
func (o object) count(name string, most int) int {
	raw, ok := o.take(name, false)
	if !ok {
		return 0
	}
	return count(o.at(name), raw, most, o.out)
}

func count(path string, raw jsontext.Value, most int, out *issues) int {
	v := number(path, raw, 0, float64(most), out)
	if v == nil {
		return 0
	}
	if *v != math.Trunc(*v) {
		out.error(path, "not-whole", "应为整数", "must be a whole number")
		return 0
	}
	return int(*v)
}

func (o object) flag(name string) bool {
	raw, ok := o.take(name, false)
	if !ok {
		return false
	}
	if k := raw.Kind(); k != 't' && k != 'f' {
		o.out.error(o.at(name), "not-a-boolean", "此处应为 true 或 false", "true or false is expected here")
	}
	return raw.Kind() == 't'
}

func short(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// cut returns at most the first most characters.
func cut(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most])
	}
	return s
}
