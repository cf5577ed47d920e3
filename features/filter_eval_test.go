package features

import (
	"math/big"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twpayne/go-geom"

	"changde/features/cql2"
)

// verdict is what a condition says of a row.
type verdict int

const (
	isFalse verdict = iota
	unknown
	isTrue
)

func verdictOf(b bool) verdict {
	if b {
		return isTrue
	}
	return isFalse
}

// row holds string, int64, float64, *big.Rat, bool, time.Time or, for the
// geometry, a position; what is missing is nil.
type row map[string]any

// evaluate is the oracle: what the filter says of the row, worked out from the
// nodes alone.
func evaluate(t testing.TB, n cql2.Node, r row) verdict {
	t.Helper()
	switch n := n.(type) {
	case cql2.Bool:
		return verdictOf(n.Value)
	case cql2.And:
		v := isTrue
		for _, term := range n.Terms {
			v = min(v, evaluate(t, term, r))
		}
		return v
	case cql2.Or:
		v := isFalse
		for _, term := range n.Terms {
			v = max(v, evaluate(t, term, r))
		}
		return v
	case cql2.Not:
		return isTrue - evaluate(t, n.Term, r)
	case cql2.IsNull:
		return verdictOf(r[n.Value.Name] == nil)
	case cql2.Compare:
		return compared(t, n.Op, n.Left, n.Right, r)
	case cql2.Between:
		return min(compared(t, cql2.GreaterEqual, n.Value, n.Low, r), compared(t, cql2.LessEqual, n.Value, n.High, r))
	case cql2.In:
		v := isFalse
		for _, one := range n.List {
			v = max(v, compared(t, cql2.Equal, n.Value, one, r))
		}
		return v
	case cql2.Like:
		value, pattern := valueOf(t, n.Value, r), valueOf(t, n.Pattern, r)
		if value == nil {
			return unknown
		}
		return verdictOf(likePattern(pattern.(string)).MatchString(value.(string)))
	case cql2.Spatial:
		return meetsIn(t, n, r)
	}
	t.Fatalf("no oracle for %T", n)
	return unknown
}

func likePattern(pattern string) *regexp.Regexp {
	var b strings.Builder
	escaped := false
	for _, c := range pattern {
		switch {
		case c == '\\' && !escaped:
			escaped = true
			continue
		case c == '%' && !escaped:
			b.WriteString(".*")
		case c == '_' && !escaped:
			b.WriteString(".")
		default:
			b.WriteString(regexp.QuoteMeta(string(c)))
		}
		escaped = false
	}
	return regexp.MustCompile(`(?s)\A` + b.String() + `\z`)
}

func compared(t testing.TB, op cql2.Op, left, right cql2.Node, r row) verdict {
	a, b := valueOf(t, left, r), valueOf(t, right, r)
	if a == nil || b == nil {
		return unknown
	}
	var c int
	switch a := a.(type) {
	case string:
		c = strings.Compare(a, b.(string))
	case bool:
		c = 1
		if a == b.(bool) {
			c = 0
		}
	case time.Time:
		c = a.Compare(b.(time.Time))
	default:
		c = compareNumbers(a, b)
	}
	return verdictOf([...]bool{c == 0, c != 0, c < 0, c <= 0, c > 0, c >= 0}[op])
}

// compareNumbers compares exactly, but with a real as doubles.
func compareNumbers(a, b any) int {
	_, x := a.(float64)
	_, y := b.(float64)
	exact := func(v any) *big.Rat {
		switch v := v.(type) {
		case int64:
			return new(big.Rat).SetInt64(v)
		case float64:
			return new(big.Rat).SetFloat64(v)
		}
		return v.(*big.Rat)
	}
	p, q := exact(a), exact(b)
	if x || y {
		f, _ := p.Float64()
		g, _ := q.Float64()
		p, q = new(big.Rat).SetFloat64(f), new(big.Rat).SetFloat64(g)
	}
	return p.Cmp(q)
}

func valueOf(t testing.TB, n cql2.Node, r row) any {
	switch n := n.(type) {
	case cql2.Property:
		return r[n.Name]
	case cql2.Text:
		return n.Value
	case cql2.Number:
		v, _ := new(big.Rat).SetString(n.Value)
		return v
	case cql2.Bool:
		return n.Value
	case cql2.Date:
		return n.Value
	case cql2.Timestamp:
		return n.Value
	case cql2.CaseI:
		if s, ok := valueOf(t, n.Value, r).(string); ok {
			return strings.ToLower(s)
		}
		return nil
	}
	t.Fatalf("no value for %T", n)
	return nil
}

// meetsIn knows points, boxes, and polygons that are boxes.
func meetsIn(t testing.TB, n cql2.Spatial, r row) verdict {
	shape := n.Right
	if _, ok := shape.(cql2.Property); ok {
		shape = n.Left
	}
	p, ok := r[GeometryProperty].([2]float64)
	if !ok {
		return unknown
	}
	var b [4]float64
	switch s := shape.(type) {
	case cql2.Box:
		b = s.Value
	case cql2.Geometry:
		bounds := geom.NewBounds(geom.XY).Extend(s.Value)
		b = [4]float64{bounds.Min(0), bounds.Min(1), bounds.Max(0), bounds.Max(1)}
	}
	in := p[0] >= b[0] && p[0] <= b[2]
	if b[0] > b[2] {
		in = p[0] >= b[0] || p[0] <= b[2]
	}
	return verdictOf(in && p[1] >= b[1] && p[1] <= b[3])
}
