package features

import (
	"math/big"
	"strconv"
	"strings"
	"time"

	"changde/catalog"
	"changde/features/cql2"
	"changde/ingest/layer"
	"changde/postgis"
)

// operand is a side of a comparison: a column or a literal.
type operand struct {
	node     cql2.Node
	column   *catalog.Column // nil for a literal
	literal  cql2.Node       // nil for a column
	caseless bool
}

func (b *filterBuilder) operand(n cql2.Node) (operand, error) {
	o := operand{node: n}
	if c, ok := n.(cql2.CaseI); ok {
		o.caseless, n = true, c.Value
	}
	p, ok := n.(cql2.Property)
	if !ok {
		o.literal = n
		return o, nil
	}
	c, err := b.column(p)
	if err != nil {
		return o, err
	}
	o.column = &c
	if o.caseless && c.Type != layer.Text {
		return o, b.fault(p, "CASEI 只用于文字，而字段 "+c.Name+" 是"+typeZH(c.Type), "CASEI is for text; "+c.Name+" is of type "+c.Type.String())
	}
	return o, nil
}

// append writes the operand, of which s is the value.
func (o operand) append(dst, s *postgis.SQL) {
	if o.caseless {
		dst.Raw("lower(").Add(s).Raw(")")
		return
	}
	dst.Add(s)
}

func (o operand) columnSQL() *postgis.SQL {
	s := new(postgis.SQL)
	catalog.SelectColumn(s, *o.column)
	return s
}

// compare makes the comparison of two scalars, of which one is a column at least.
// Columns are compared as they are, so that an index serves.
func (b *filterBuilder) compare(op cql2.Op, left, right cql2.Node) (*postgis.SQL, error) {
	l, err := b.operand(left)
	if err != nil {
		return nil, err
	}
	r, err := b.operand(right)
	if err != nil {
		return nil, err
	}
	if l.column == nil {
		l, r, op = r, l, op.Turned()
	}
	if l.column == nil {
		return nil, b.fault(left, "比较的两边至少应有一个字段", "one side of a comparison must be a property")
	}
	if l.column.Type == layer.Boolean && op != cql2.Equal && op != cql2.NotEqual {
		return nil, b.fault(l.node, "布尔字段 "+l.column.Name+" 没有大小，只能用 = 或 <>", "the boolean "+l.column.Name+" has no order; use = or <>")
	}
	var value *postgis.SQL
	if r.column == nil {
		value, err = b.value(l.column, r.literal)
	} else if value = r.columnSQL(); !comparable(l.column.Type, r.column.Type) {
		err = b.fault(r.node, "字段 "+l.column.Name+"（"+typeZH(l.column.Type)+"）不能与字段 "+r.column.Name+"（"+typeZH(r.column.Type)+"）比较",
			"the property "+l.column.Name+" ("+l.column.Type.String()+") cannot be compared with "+r.column.Name+" ("+r.column.Type.String()+")")
	}
	if err != nil {
		return nil, err
	}
	s := new(postgis.SQL).Raw("(")
	l.append(s, l.columnSQL())
	appendOp(s, op)
	r.append(s, value)
	return s.Raw(")"), nil
}

func appendOp(s *postgis.SQL, op cql2.Op) {
	switch op {
	case cql2.NotEqual:
		s.Raw(" <> ")
	case cql2.Less:
		s.Raw(" < ")
	case cql2.LessEqual:
		s.Raw(" <= ")
	case cql2.Greater:
		s.Raw(" > ")
	case cql2.GreaterEqual:
		s.Raw(" >= ")
	default:
		s.Raw(" = ")
	}
}

func comparable(a, b layer.Type) bool { return a == b || numeric(a) && numeric(b) }

func numeric(t layer.Type) bool { return t == layer.Integer || t == layer.Real || t == layer.Decimal }

// value makes a literal a value of the column's type.
func (b *filterBuilder) value(c *catalog.Column, n cql2.Node) (*postgis.SQL, error) {
	s := new(postgis.SQL)
	switch v := n.(type) {
	case cql2.Text:
		if c.Type == layer.Text {
			return s.Arg(v.Value).Raw("::text"), nil
		}
	case cql2.Bool:
		if c.Type == layer.Boolean {
			return s.Arg(v.Value).Raw("::boolean"), nil
		}
	case cql2.Date:
		if c.Type == layer.Date {
			return s.Arg(v.Value.Format(time.DateOnly)).Raw("::text::date"), nil
		}
	case cql2.Timestamp:
		if c.Type == layer.Timestamp {
			return s.Arg(v.Value).Raw("::timestamptz"), nil
		}
	case cql2.Number:
		whole, isWhole := wholeNumber(v.Value)
		switch {
		case c.Type == layer.Integer && isWhole:
			return s.Arg(whole).Raw("::bigint"), nil
		case c.Type == layer.Real:
			return s.Arg(realNumber(v.Value)).Raw("::float8"), nil
		case numeric(c.Type):
			return s.Arg(v.Value).Raw("::text::numeric"), nil
		}
	}
	return nil, b.mismatch(c, n)
}

// mismatch tells that a literal is not of the column's type, and how to write one
// that is.
func (b *filterBuilder) mismatch(c *catalog.Column, n cql2.Node) error {
	example := ""
	switch c.Type {
	case layer.Integer, layer.Real, layer.Decimal:
		example = "12.5"
	case layer.Boolean:
		example = "TRUE"
	case layer.Date:
		example = "DATE('2012-09-05')"
	case layer.Timestamp:
		example = "TIMESTAMP('2012-09-05T08:30:00Z')"
	default:
		example = "'…'"
	}
	return b.fault(n, "字段 "+c.Name+" 是"+typeZH(c.Type)+"，值应写作 "+example, "the property "+c.Name+" is of type "+c.Type.String()+"; its values are written "+example)
}

func typeZH(t layer.Type) string {
	return [...]string{"文字", "整数", "实数", "小数", "布尔", "日期", "时刻"}[t]
}

// wholeNumber is the number when it is whole and a bigint holds it.
func wholeNumber(s string) (int64, bool) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, true
	}
	r, ok := new(big.Rat).SetString(s)
	if !ok || !r.IsInt() || !r.Num().IsInt64() {
		return 0, false
	}
	return r.Num().Int64(), true
}

// realNumber is the double nearest to a number that the parser has found in range.
func realNumber(s string) float64 {
	f, _ := strconv.ParseFloat(s, 64)
	return f
}

// in makes one array of a list of plain literals, which a plan can look up at
// once, and comparisons of any other list.
func (b *filterBuilder) in(n cql2.In) (*postgis.SQL, error) {
	o, err := b.operand(n.Value)
	if err != nil {
		return nil, err
	}
	plain := o.column != nil && !o.caseless
	for _, v := range n.List {
		switch v := v.(type) {
		case cql2.Property, cql2.CaseI:
			plain = false
		case cql2.Number:
			_, whole := wholeNumber(v.Value)
			plain = plain && (whole || o.column.Type != layer.Integer)
		}
	}
	if plain {
		return b.inArray(o, n.List)
	}
	parts := make([]*postgis.SQL, len(n.List))
	for i, v := range n.List {
		if parts[i], err = b.compare(cql2.Equal, n.Value, v); err != nil {
			return nil, err
		}
	}
	return junction(parts, false), nil
}

func (b *filterBuilder) inArray(o operand, list []cql2.Node) (*postgis.SQL, error) {
	for _, v := range list {
		if _, err := b.value(o.column, v); err != nil {
			return nil, err
		}
	}
	s := new(postgis.SQL).Raw("(").Add(o.columnSQL()).Raw(" = ANY(")
	switch o.column.Type {
	case layer.Boolean:
		s.Arg(collect(list, func(n cql2.Bool) bool { return n.Value })).Raw("::boolean[]")
	case layer.Date:
		s.Arg(collect(list, func(n cql2.Date) string { return n.Value.Format(time.DateOnly) })).Raw("::text[]::date[]")
	case layer.Timestamp:
		s.Arg(collect(list, func(n cql2.Timestamp) time.Time { return n.Value })).Raw("::timestamptz[]")
	case layer.Real:
		s.Arg(collect(list, func(n cql2.Number) float64 { return realNumber(n.Value) })).Raw("::float8[]")
	case layer.Integer:
		s.Arg(collect(list, func(n cql2.Number) int64 { whole, _ := wholeNumber(n.Value); return whole })).Raw("::bigint[]")
	case layer.Decimal:
		s.Arg(collect(list, func(n cql2.Number) string { return n.Value })).Raw("::text[]::numeric[]")
	default:
		s.Arg(collect(list, func(n cql2.Text) string { return n.Value })).Raw("::text[]")
	}
	return s.Raw("))"), nil
}

// collect gives the values of literals that value has found to be of the type.
func collect[N cql2.Node, V any](list []cql2.Node, of func(N) V) []V {
	out := make([]V, len(list))
	for i, n := range list {
		out[i] = of(n.(N))
	}
	return out
}

// maxNear is how many similar names a fault tells.
const maxNear = 3

// nearNames are the columns that a name may have meant: by its case, by its title
// for people, or but for a few characters.
func nearNames(columns []catalog.Column, name string) []string {
	const longest = 100 // characters
	wanted := []rune(strings.ToLower(name))
	if len(wanted) > longest {
		return nil
	}
	var same, similar []string
	for _, c := range columns {
		own := []rune(strings.ToLower(c.Name))
		switch {
		case string(own) == string(wanted), c.Alias != "" && strings.EqualFold(c.Alias, name):
			same = append(same, c.Name)
		case len(wanted) > 1 && edits(own, wanted) <= max(len(wanted)/3, 1):
			similar = append(similar, c.Name)
		}
	}
	all := append(same, similar...)
	return all[:min(len(all), maxNear)]
}

// edits is how many characters must be inserted, deleted, replaced or exchanged
// with their neighbour to make b of a.
func edits(a, b []rune) int {
	before, row := []int(nil), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range a {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range b {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next[j+1] = min(row[j+1]+1, next[j]+1, row[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
