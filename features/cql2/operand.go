package cql2

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// operand reads a value, a geometry, a function, or a condition in parentheses.
func (p *parser) operand() (Node, error) {
	at, err := p.node()
	if err != nil {
		return nil, err
	}
	t := p.token
	switch {
	case t.is("("):
		return p.parenthesis()
	case t.kind == number, t.is("+"), t.is("-"):
		value, err := p.number()
		return Number{at, value}, err
	case t.kind == text:
		return Text{at, t.value}, p.next()
	case t.kind == quoted:
		return Property{at, t.value}, p.next()
	case t.kind != name:
	case p.opens() && !reserved(t.value):
		return p.function(at)
	case t.is("TRUE"), t.is("FALSE"):
		return Bool{at, t.is("TRUE")}, p.next()
	case p.heighted():
		return p.function(at)
	case !reserved(t.value):
		return Property{at, t.value}, p.next()
	default:
		return nil, p.fault(t.from, "此处应为字段或值，而 "+t.value+" 是保留字；同名字段请放在双引号中", "expected a property or a value; "+t.value+" is a reserved word, so put a property of that name in double quotes")
	}
	return nil, p.expected("字段、值、S_INTERSECTS 或左括号", "a property, a value, S_INTERSECTS or a parenthesis")
}

// reserved reports whether a bare word cannot be a property's name.
func reserved(word string) bool {
	switch strings.ToUpper(word) {
	case "AND", "OR", "NOT", "IS", "NULL", "LIKE", "BETWEEN", "IN", "TRUE", "FALSE":
		return true
	}
	return false
}

func (p *parser) parenthesis() (Node, error) {
	up, err := p.deeper()
	if err != nil {
		return nil, err
	}
	defer up()
	if err := p.next(); err != nil {
		return nil, err
	}
	n, err := p.condition()
	if err != nil {
		return nil, err
	}
	if !condition(n) {
		return nil, p.needsComparison(n)
	}
	if !p.token.is(")") {
		return nil, p.expected("AND、OR 或 )", "AND, OR or )")
	}
	return n, p.next()
}

// function reads a function, whose name is the next token.
func (p *parser) function(at At) (Node, error) {
	word := strings.ToUpper(p.token.value)
	if _, ok := tags[word]; ok {
		g, err := p.geometry()
		return Geometry{at, g}, err
	}
	read := map[string]func(At) (Node, error){
		"S_INTERSECTS": p.intersects, "CASEI": p.caseless, "DATE": p.date, "TIMESTAMP": p.timestamp, "BBOX": p.box,
	}[word]
	if read == nil {
		const known = "S_INTERSECTS, CASEI, DATE, TIMESTAMP, BBOX, POINT, LINESTRING, POLYGON, MULTI…, GEOMETRYCOLLECTION"
		return nil, p.fault(int(at), "没有这个函数；可用："+known, "there is no such function; there are: "+known)
	}
	up, err := p.deeper()
	if err != nil {
		return nil, err
	}
	defer up()
	if err := p.next(); err != nil {
		return nil, err
	}
	if err := p.must("("); err != nil {
		return nil, err
	}
	n, err := read(at)
	if err != nil {
		return nil, err
	}
	return n, p.must(")")
}

func (p *parser) intersects(at At) (Node, error) {
	left, err := p.spatial()
	if err != nil {
		return nil, err
	}
	if err := p.must(","); err != nil {
		return nil, err
	}
	right, err := p.spatial()
	if err != nil {
		return nil, err
	}
	_, l := left.(Property)
	if _, r := right.(Property); !l && !r {
		return nil, p.fault(int(at), "两个参数中应有一个是几何字段", "one of the two arguments must be the geometry property")
	}
	return Spatial{at, Intersects, left, right}, nil
}

func (p *parser) spatial() (Node, error) {
	n, err := p.operand()
	if err != nil {
		return nil, err
	}
	switch n.(type) {
	case Property, Geometry, Box:
		return n, nil
	}
	return nil, p.fault(n.Pos(), "此处应为几何字段、BBOX(…) 或 WKT 几何", "expected the geometry property, BBOX(…) or a WKT geometry")
}

func (p *parser) caseless(at At) (Node, error) {
	n, err := p.operand()
	if err != nil {
		return nil, err
	}
	switch n := n.(type) {
	case Property, Text:
		return CaseI{at, n}, nil
	case CaseI:
		return CaseI{at, n.Value}, nil
	}
	return nil, p.fault(n.Pos(), "CASEI 中应为字段或文字", "expected a property or a text in CASEI")
}

func (p *parser) date(at At) (Node, error) {
	t, err := p.instant(time.DateOnly, "日期，例如 DATE('2012-09-05')", "a date, such as DATE('2012-09-05')")
	return Date{at, t}, err
}

func (p *parser) timestamp(at At) (Node, error) {
	t, err := p.instant("2006-01-02T15:04:05.999999Z", "UTC 时刻，精确到微秒为止，例如 TIMESTAMP('2012-09-05T08:30:00Z')", "an instant in UTC, to the microsecond at most, such as TIMESTAMP('2012-09-05T08:30:00Z')")
	return Timestamp{at, t}, err
}

func (p *parser) instant(layout, zh, en string) (time.Time, error) {
	if p.token.kind != text {
		return time.Time{}, p.expected(zh, en)
	}
	t, err := time.Parse(layout, p.token.value)
	// Parse is content with a comma before the fraction, and with any length of it.
	if err != nil || t.Year() < 1 || strings.Contains(p.token.value, ",") || t.Nanosecond()%1000 != 0 {
		return time.Time{}, p.expected(zh, en)
	}
	return t, p.next()
}

// number reads a number with its sign in its shortest exact form.
func (p *parser) number() (string, error) {
	from := p.token.from
	minus, err := p.take("-")
	if err != nil {
		return "", err
	}
	if !minus {
		if _, err := p.take("+"); err != nil {
			return "", err
		}
	}
	if p.token.kind != number {
		return "", p.expected("数", "a number")
	}
	value := shortest(p.token.value)
	if f, err := strconv.ParseFloat(value, 64); err != nil || math.IsInf(f, 0) {
		return "", p.fault(from, "数超出双精度数的范围", "the number is beyond the range of a double")
	}
	if minus && value != "0" {
		value = "-" + value
	}
	return value, p.next()
}

// shortest drops what does not change an unsigned number.
func shortest(s string) string {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(s), "e")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	whole, fraction = strings.TrimLeft(whole, "0"), strings.TrimRight(fraction, "0")
	if whole == "" && fraction == "" {
		return "0"
	}
	if whole == "" {
		whole = "0"
	}
	if fraction != "" {
		whole += "." + fraction
	}
	digits := strings.TrimLeft(exponent, "+-0")
	switch {
	case digits == "":
		return whole
	case exponent[0] == '-':
		return whole + "e-" + digits
	}
	return whole + "e" + digits
}
