package cql2

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"changde/problem"
)

// Options say how a text is to be read.
type Options struct {
	// LatitudeFirst is set when geometries are written latitude first, as EPSG
	// defines 4490 and 4326. The nodes have the longitude first all the same.
	LatitudeFirst bool
}

// Parse reads a filter. What is wrong with it is a problem.Invalid whose cause is
// an *Error.
func Parse(s string, o Options) (Node, error) {
	p := &parser{text: s, options: o}
	switch {
	case len(s) > MaxText:
		return nil, problem.New(problem.Invalid, "filter-invalid", "filter",
			fmt.Sprintf("过滤条件最长 %d 字节，这里有 %d 字节", MaxText, len(s)), fmt.Sprintf("a filter has at most %d bytes; this one has %d", MaxText, len(s)))
	case !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0:
		return nil, problem.New(problem.Invalid, "filter-invalid", "filter", "过滤条件须为不含 NUL 的 UTF-8 文字", "a filter is UTF-8 text without NUL")
	}
	if err := p.next(); err != nil {
		return nil, err
	}
	n, err := p.condition()
	if err != nil {
		return nil, err
	}
	if p.token.kind != end {
		return nil, p.expected("AND、OR 或结尾", "AND, OR or the end")
	}
	return n, nil
}

type parser struct {
	text      string
	options   Options
	token     token // the next to be taken
	depth     int
	nodes     int
	positions int
}

func (p *parser) fault(offset int, zh, en string) error { return Fault(p.text, offset, zh, en) }

func (p *parser) expected(zh, en string) error {
	return p.fault(p.token.from, "此处应为 "+zh, "expected "+en)
}

// take takes the next token when it is the word.
func (p *parser) take(word string) (bool, error) {
	if !p.token.is(word) {
		return false, nil
	}
	return true, p.next()
}

// must takes the word, which has to be next.
func (p *parser) must(word string) error {
	ok, err := p.take(word)
	if err == nil && !ok {
		return p.expected(word, word)
	}
	return err
}

// opens reports whether a parenthesis follows the next token: then a name is that
// of a function.
func (p *parser) opens() bool {
	return strings.HasPrefix(strings.TrimLeft(p.text[p.token.to:], " \t\r\n"), "(")
}

// deeper counts what stands within something; the returned func ends it.
func (p *parser) deeper() (func(), error) {
	p.depth++
	if p.depth > MaxDepth {
		return nil, p.fault(p.token.from, fmt.Sprintf("嵌套超过 %d 层", MaxDepth), fmt.Sprintf("more than %d levels within each other", MaxDepth))
	}
	return func() { p.depth-- }, nil
}

// node counts a node that begins at the next token.
func (p *parser) node() (At, error) {
	p.nodes++
	if p.nodes > MaxNodes {
		return 0, p.fault(p.token.from, fmt.Sprintf("条件和操作数超过 %d 个；多个值请用 IN", MaxNodes), fmt.Sprintf("more than %d conditions and operands; use IN for many values", MaxNodes))
	}
	return At(p.token.from), nil
}

// condition reads terms with AND and OR between them.
func (p *parser) condition() (Node, error) {
	return p.terms("OR", func() (Node, error) { return p.terms("AND", p.factor) })
}

// terms reads one term or several with the word between them.
func (p *parser) terms(word string, term func() (Node, error)) (Node, error) {
	at := At(p.token.from)
	n, err := term()
	if err != nil || !p.token.is(word) {
		return n, err
	}
	if _, err := p.node(); err != nil {
		return nil, err
	}
	var all []Node
	for {
		if !condition(n) {
			return nil, p.needsComparison(n)
		}
		all = appendTerm(all, n, word)
		ok, err := p.take(word)
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		if n, err = term(); err != nil {
			return nil, err
		}
	}
	if word == "AND" {
		return And{at, all}, nil
	}
	return Or{at, all}, nil
}

// appendTerm appends the terms of a term that is of the same word.
func appendTerm(all []Node, n Node, word string) []Node {
	switch n := n.(type) {
	case And:
		if word == "AND" {
			return append(all, n.Terms...)
		}
	case Or:
		if word == "OR" {
			return append(all, n.Terms...)
		}
	}
	return append(all, n)
}

func (p *parser) factor() (Node, error) {
	if !p.token.is("NOT") {
		return p.predicate()
	}
	at, err := p.node()
	if err != nil {
		return nil, err
	}
	up, err := p.deeper()
	if err != nil {
		return nil, err
	}
	defer up()
	if err := p.next(); err != nil {
		return nil, err
	}
	n, err := p.factor()
	if err != nil {
		return nil, err
	}
	if !condition(n) {
		return nil, p.needsComparison(n)
	}
	return not(at, n), nil
}

// not is the opposite of the condition.
func not(at At, n Node) Node {
	if n, ok := n.(Not); ok {
		return n.Term
	}
	return Not{at, n}
}

// predicate reads an operand and what is said of it.
func (p *parser) predicate() (Node, error) {
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	at := At(left.Pos())
	if op, ok := p.operator(); ok {
		return p.comparison(at, left, op)
	}
	if ok, err := p.take("IS"); ok || err != nil {
		return p.null(at, left, err)
	}
	negated := p.token.is("NOT")
	if negated {
		if err := p.next(); err != nil {
			return nil, err
		}
	}
	var n Node
	switch {
	case p.token.is("LIKE"):
		n, err = p.like(at, left)
	case p.token.is("BETWEEN"):
		n, err = p.between(at, left)
	case p.token.is("IN"):
		n, err = p.in(at, left)
	case negated:
		return nil, p.expected("LIKE、BETWEEN 或 IN", "LIKE, BETWEEN or IN")
	default:
		if _, name := left.(Property); !condition(left) && (!name || p.token.kind != end && !p.token.is(")") && !p.token.is("AND") && !p.token.is("OR")) {
			return nil, p.needsOperator()
		}
		if !condition(left) {
			return nil, p.needsComparison(left)
		}
		return left, nil
	}
	if err == nil && negated {
		n = not(at, n)
	}
	return n, err
}

func (p *parser) needsOperator() error {
	for _, s := range []string{"+", "-", "*", "/", "^"} {
		if p.token.is(s) {
			return p.fault(p.token.from, "不支持算术运算", "arithmetic is not supported")
		}
	}
	return p.expected("= <> < <= > >= 、IS NULL、LIKE、BETWEEN 或 IN", "= <> < <= > >=, IS NULL, LIKE, BETWEEN or IN")
}

func (p *parser) needsComparison(n Node) error {
	if name, ok := n.(Property); ok {
		return p.fault(n.Pos(), "字段本身不是条件；若为布尔字段，请写 "+name.String()+" = TRUE", "a property is no condition; of a boolean write "+name.String()+" = TRUE")
	}
	return p.fault(n.Pos(), "这个值本身不是条件", "a value is no condition")
}

func (p *parser) operator() (Op, bool) {
	if p.token.kind == symbol {
		for op := Equal; op <= GreaterEqual; op++ {
			if p.token.value == op.String() {
				return op, true
			}
		}
	}
	return 0, false
}

// after passes the operator that stands after a scalar.
func (p *parser) after(left Node) error {
	if err := p.scalar(left); err != nil {
		return err
	}
	if _, err := p.node(); err != nil {
		return err
	}
	return p.next()
}

func (p *parser) comparison(at At, left Node, op Op) (Node, error) {
	if err := p.after(left); err != nil {
		return nil, err
	}
	right, err := p.value()
	if err != nil {
		return nil, err
	}
	return Compare{at, op, left, right}, nil
}

// value reads a scalar.
func (p *parser) value() (Node, error) {
	n, err := p.operand()
	if err != nil {
		return nil, err
	}
	return n, p.scalar(n)
}

func (p *parser) scalar(n Node) error {
	if scalar(n) {
		return nil
	}
	return p.fault(n.Pos(), "此处应为字段、文字、数、TRUE、FALSE、DATE 或 TIMESTAMP", "expected a property, a text, a number, TRUE, FALSE, DATE or TIMESTAMP")
}

func (p *parser) null(at At, left Node, err error) (Node, error) {
	if err != nil {
		return nil, err
	}
	value, ok := left.(Property)
	if !ok {
		return nil, p.fault(left.Pos(), "IS NULL 前应为字段", "expected a property before IS NULL")
	}
	if _, err := p.node(); err != nil {
		return nil, err
	}
	negated, err := p.take("NOT")
	if err != nil {
		return nil, err
	}
	if err := p.must("NULL"); err != nil {
		return nil, err
	}
	if negated {
		return Not{at, IsNull{at, value}}, nil
	}
	return IsNull{at, value}, nil
}

func (p *parser) between(at At, left Node) (Node, error) {
	if err := p.after(left); err != nil {
		return nil, err
	}
	low, err := p.value()
	if err != nil {
		return nil, err
	}
	if err := p.must("AND"); err != nil {
		return nil, err
	}
	high, err := p.value()
	if err != nil {
		return nil, err
	}
	return Between{at, left, low, high}, nil
}

func (p *parser) in(at At, left Node) (Node, error) {
	if err := p.after(left); err != nil {
		return nil, err
	}
	if err := p.must("("); err != nil {
		return nil, err
	}
	n := In{At: at, Value: left}
	before := p.nodes
	for {
		if len(n.List) == MaxValues {
			return nil, p.fault(p.token.from, fmt.Sprintf("IN 最多 %d 个值", MaxValues), fmt.Sprintf("IN takes at most %d values", MaxValues))
		}
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		n.List = append(n.List, v)
		p.nodes = before // the values are bounded by their own number
		ok, err := p.take(",")
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
	}
	if !p.token.is(")") {
		return nil, p.expected(", 或 )", ", or )")
	}
	return n, p.next()
}

func (p *parser) like(at At, left Node) (Node, error) {
	switch left.(type) {
	case Property, CaseI:
	default:
		return nil, p.fault(left.Pos(), "LIKE 前应为字段", "expected a property before LIKE")
	}
	if _, err := p.node(); err != nil {
		return nil, err
	}
	if err := p.next(); err != nil {
		return nil, err
	}
	pattern, err := p.operand()
	if err != nil {
		return nil, err
	}
	_, ok := pattern.(Text)
	if c, caseless := pattern.(CaseI); caseless {
		_, ok = c.Value.(Text)
	}
	if !ok {
		return nil, p.fault(pattern.Pos(), "LIKE 后应为单引号中的模式", "expected a pattern in single quotes after LIKE")
	}
	return Like{at, left, pattern}, nil
}
