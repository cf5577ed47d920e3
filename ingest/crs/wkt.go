package crs

import (
	"fmt"
	"strconv"
	"strings"

	"changde/problem"
)

// Bounds of a text that Parse reads. The longest WKT2 text in the EPSG data set
// is below 10 kB and 8 levels deep.
const (
	maxWKTBytes = 64 << 10
	maxWKTDepth = 32
	maxWKTNodes = 4096
)

// node is one element of a WKT text: a keyword with children, or a value.
type node struct {
	key   string // upper case; empty for a value
	value string // text of a quoted string, number or bare word
	kids  []*node
}

// child returns the first child with one of the keywords, or nil.
func (n *node) child(keys ...string) *node {
	if n == nil {
		return nil
	}
	for _, k := range n.kids {
		for _, key := range keys {
			if k.key == key {
				return k
			}
		}
	}
	return nil
}

// name returns the first value among the children.
func (n *node) name() string { return n.valueAt(0) }

// valueAt returns the i-th value child as text, "" when there is none.
func (n *node) valueAt(i int) string {
	if n == nil {
		return ""
	}
	for _, k := range n.kids {
		if k.key != "" {
			continue
		}
		if i == 0 {
			return k.value
		}
		i--
	}
	return ""
}

// number returns the i-th value child as a number.
func (n *node) number(i int) (float64, bool) {
	f, err := strconv.ParseFloat(n.valueAt(i), 64)
	return f, err == nil
}

// wktReader is a recursive descent reader over bytes; depth and node count are
// bounded so that a hostile text costs no more than its length.
type wktReader struct {
	s     string
	pos   int
	nodes int
}

func parseWKT(s string) (*node, error) {
	if len(s) > maxWKTBytes {
		return nil, unreadable(fmt.Sprintf("长达 %d 字节，上限 %d", len(s), maxWKTBytes),
			fmt.Sprintf("it is %d bytes long, the limit is %d", len(s), maxWKTBytes))
	}
	s = strings.TrimPrefix(s, "\ufeff")
	s = strings.Trim(s, " \t\r\n\x00")
	if s == "" {
		return nil, unreadable("内容为空", "it is empty")
	}
	if s[0] == '<' {
		return nil, unreadable("内容是网页（HTML/XML），不是坐标系文本", "it is a web page (HTML or XML), not a CRS text")
	}
	r := &wktReader{s: s}
	n, err := r.element(0)
	if err != nil {
		return nil, err
	}
	if n.key == "" {
		return nil, unreadable("没有 WKT 关键字", "it has no WKT keyword")
	}
	r.space()
	if r.pos < len(r.s) {
		return nil, r.fail("末尾有多余内容", "text after the end")
	}
	return n, nil
}

func (r *wktReader) fail(zh, en string) error {
	return unreadable(fmt.Sprintf("第 %d 字节处%s", r.pos+1, zh), fmt.Sprintf("%s at byte %d", en, r.pos+1))
}

func unreadable(zh, en string) error {
	return problem.New(problem.Invalid, "crs-wkt-unreadable", ".prj",
		"坐标系文本无法读懂："+zh+"。请删除该 .prj 并指明坐标系的 EPSG 代码，或换成正确的 .prj",
		"the CRS text cannot be read: "+en+"; remove the .prj and name the EPSG code, or supply a correct .prj")
}

func (r *wktReader) space() {
	for r.pos < len(r.s) && strings.IndexByte(" \t\r\n", r.s[r.pos]) >= 0 {
		r.pos++
	}
}

func (r *wktReader) element(depth int) (*node, error) {
	if depth > maxWKTDepth {
		return nil, r.fail("嵌套过深", "nested too deep")
	}
	if r.nodes++; r.nodes > maxWKTNodes {
		return nil, r.fail("成分过多", "too many elements")
	}
	r.space()
	if r.pos >= len(r.s) {
		return nil, r.fail("内容中断", "text ends early")
	}
	if r.s[r.pos] == '"' {
		return r.quoted()
	}
	start := r.pos
	for r.pos < len(r.s) && strings.IndexByte("[](),\" \t\r\n", r.s[r.pos]) < 0 {
		r.pos++
	}
	word := r.s[start:r.pos]
	if word == "" {
		return nil, r.fail("缺少内容", "a value is missing")
	}
	r.space()
	if r.pos >= len(r.s) || (r.s[r.pos] != '[' && r.s[r.pos] != '(') {
		return &node{value: clean(word)}, nil
	}
	end := byte(']')
	if r.s[r.pos] == '(' {
		end = ')'
	}
	r.pos++
	n := &node{key: strings.ToUpper(clean(word))}
	for {
		kid, err := r.element(depth + 1)
		if err != nil {
			return nil, err
		}
		n.kids = append(n.kids, kid)
		r.space()
		if r.pos >= len(r.s) {
			return nil, r.fail("括号未闭合", "a bracket is not closed")
		}
		c := r.s[r.pos]
		r.pos++
		if c == end {
			return n, nil
		}
		if c != ',' {
			r.pos--
			return nil, r.fail("应为逗号或括号", "a comma or bracket is expected")
		}
	}
}

func (r *wktReader) quoted() (*node, error) {
	r.pos++
	var b strings.Builder
	for r.pos < len(r.s) {
		i := strings.IndexByte(r.s[r.pos:], '"')
		if i < 0 {
			break
		}
		b.WriteString(r.s[r.pos : r.pos+i])
		r.pos += i + 1
		if r.pos < len(r.s) && r.s[r.pos] == '"' { // "" is a quote inside the text
			b.WriteByte('"')
			r.pos++
			continue
		}
		return &node{value: clean(b.String())}, nil
	}
	return nil, r.fail("引号未闭合", "a quote is not closed")
}

// clean makes text safe to show: valid UTF-8 of bounded length without control
// characters.
func clean(s string) string {
	s = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return -1
		}
		return c
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "")
	}
	return s
}
