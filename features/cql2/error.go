package cql2

import (
	"fmt"
	"unicode/utf8"

	"changde/problem"
)

// The bounds of a filter.
const (
	MaxText      = 16 << 10 // bytes
	MaxDepth     = 50       // parentheses, NOTs and collections within each other
	MaxNodes     = 1000     // conditions and operands, the values of IN apart
	MaxValues    = 1000     // values of one IN
	MaxPositions = 10_000   // of all geometries together
)

// Error tells where a text is no filter, or one beyond a bound. It is the cause
// of the problem that Parse returns.
type Error struct {
	Offset    int    // in the text, in bytes
	Character int    // the same, counted in characters from 1
	Near      string // what stands there, shortened; empty at the end
	ZH, EN    string // what is wrong and what was expected
}

// Error says it in both languages.
func (e *Error) Error() string {
	zh, en := e.texts()
	return zh + " / " + en
}

func (e *Error) texts() (zh, en string) {
	if e.Near == "" {
		return "在结尾处：" + e.ZH, "at the end: " + e.EN
	}
	return fmt.Sprintf("第 %d 个字符“%s”处：%s", e.Character, e.Near, e.ZH), fmt.Sprintf("at character %d, “%s”: %s", e.Character, e.Near, e.EN)
}

// Fault makes the problem of something wrong with the filter text at an offset.
// Callers use it for what only they can know, such as a property's name.
func Fault(text string, offset int, zh, en string) *problem.Error {
	offset = min(max(offset, 0), len(text))
	e := &Error{Offset: offset, Character: utf8.RuneCountInString(text[:offset]) + 1, Near: near(text[offset:]), ZH: zh, EN: en}
	zh, en = e.texts()
	return problem.Wrap(e, problem.Invalid, "filter-invalid", "filter", zh, en)
}

// near is the beginning of what is left of the text.
func near(rest string) string {
	const most = 16 // characters
	n := 0
	for i := range rest {
		if n++; n > most {
			return rest[:i] + "…"
		}
	}
	return rest
}
