package cql2

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/twpayne/go-geom"
)

// The String methods implement Node.

func (n And) String() string       { return string(n.append(nil)) }
func (n Or) String() string        { return string(n.append(nil)) }
func (n Not) String() string       { return string(n.append(nil)) }
func (n Compare) String() string   { return string(n.append(nil)) }
func (n Between) String() string   { return string(n.append(nil)) }
func (n In) String() string        { return string(n.append(nil)) }
func (n Like) String() string      { return string(n.append(nil)) }
func (n IsNull) String() string    { return string(n.append(nil)) }
func (n Spatial) String() string   { return string(n.append(nil)) }
func (n Property) String() string  { return string(n.append(nil)) }
func (n Text) String() string      { return string(n.append(nil)) }
func (n Number) String() string    { return string(n.append(nil)) }
func (n Bool) String() string      { return string(n.append(nil)) }
func (n Date) String() string      { return string(n.append(nil)) }
func (n Timestamp) String() string { return string(n.append(nil)) }
func (n CaseI) String() string     { return string(n.append(nil)) }
func (n Geometry) String() string  { return string(n.append(nil)) }
func (n Box) String() string       { return string(n.append(nil)) }

func (n And) append(dst []byte) []byte { return appendTerms(dst, n.Terms, " AND ") }

func (n Or) append(dst []byte) []byte { return appendTerms(dst, n.Terms, " OR ") }

func appendTerms(dst []byte, terms []Node, between string) []byte {
	for i, t := range terms {
		if i > 0 {
			dst = append(dst, between...)
		}
		_, and := t.(And)
		_, or := t.(Or)
		if and && between == " OR " || !and && !or { // AND binds closer than OR
			dst = t.append(dst)
		} else {
			dst = append(t.append(append(dst, '(')), ')')
		}
	}
	return dst
}

// append writes NOT inside the predicates that have a place for it.
func (n Not) append(dst []byte) []byte {
	switch t := n.Term.(type) {
	case Between:
		return t.write(dst, " NOT BETWEEN ")
	case In:
		return t.write(dst, " NOT IN (")
	case Like:
		return t.write(dst, " NOT LIKE ")
	case IsNull:
		return append(t.Value.append(dst), " IS NOT NULL"...)
	case And, Or:
		return append(t.append(append(dst, "NOT ("...)), ')')
	}
	return n.Term.append(append(dst, "NOT "...))
}

func (n Compare) append(dst []byte) []byte {
	dst = append(n.Left.append(dst), ' ')
	dst = append(append(dst, n.Op.String()...), ' ')
	return n.Right.append(dst)
}

func (n Between) append(dst []byte) []byte { return n.write(dst, " BETWEEN ") }

func (n Between) write(dst []byte, word string) []byte {
	dst = append(n.Value.append(dst), word...)
	dst = append(n.Low.append(dst), " AND "...)
	return n.High.append(dst)
}

func (n In) append(dst []byte) []byte { return n.write(dst, " IN (") }

func (n In) write(dst []byte, word string) []byte {
	dst = append(n.Value.append(dst), word...)
	for i, v := range n.List {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = v.append(dst)
	}
	return append(dst, ')')
}

func (n Like) append(dst []byte) []byte { return n.write(dst, " LIKE ") }

func (n Like) write(dst []byte, word string) []byte {
	return n.Pattern.append(append(n.Value.append(dst), word...))
}

func (n IsNull) append(dst []byte) []byte { return append(n.Value.append(dst), " IS NULL"...) }

func (n Spatial) append(dst []byte) []byte {
	dst = append(append(dst, n.Op.String()...), '(')
	dst = append(n.Left.append(dst), ", "...)
	return append(n.Right.append(dst), ')')
}

func (n Property) append(dst []byte) []byte {
	dst = append(dst, '"')
	dst = append(dst, strings.ReplaceAll(n.Name, `"`, `""`)...)
	return append(dst, '"')
}

// append doubles quotes. After a backslash, which would escape the first of the
// two, a quote has a backslash of its own instead.
func (n Text) append(dst []byte) []byte {
	dst = append(dst, '\'')
	for i := range len(n.Value) {
		c := n.Value[i]
		switch {
		case c == '\'' && i > 0 && n.Value[i-1] == '\\':
			dst = append(dst, '\\')
		case c == '\'':
			dst = append(dst, '\'')
		}
		dst = append(dst, c)
	}
	return append(dst, '\'')
}

func (n Number) append(dst []byte) []byte { return append(dst, n.Value...) }

func (n Bool) append(dst []byte) []byte {
	if n.Value {
		return append(dst, "TRUE"...)
	}
	return append(dst, "FALSE"...)
}

func (n Date) append(dst []byte) []byte {
	return append(n.Value.AppendFormat(append(dst, "DATE('"...), time.DateOnly), "')"...)
}

func (n Timestamp) append(dst []byte) []byte {
	return append(n.Value.AppendFormat(append(dst, "TIMESTAMP('"...), "2006-01-02T15:04:05.999999Z"), "')"...)
}

func (n CaseI) append(dst []byte) []byte {
	return append(n.Value.append(append(dst, "CASEI("...)), ')')
}

func (n Box) append(dst []byte) []byte {
	dst = append(dst, "BBOX("...)
	for i, v := range n.Value {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = appendOrdinate(dst, v)
	}
	return append(dst, ')')
}

func (n Geometry) append(dst []byte) []byte { return appendWKT(dst, n.Value) }

func appendWKT(dst []byte, g geom.T) []byte {
	switch g := g.(type) {
	case *geom.Point:
		return appendPositions(append(dst, "POINT"...), g.FlatCoords())
	case *geom.LineString:
		return appendPositions(append(dst, "LINESTRING"...), g.FlatCoords())
	case *geom.Polygon:
		return appendRings(append(dst, "POLYGON"...), g.FlatCoords(), 0, g.Ends())
	case *geom.MultiPoint:
		return appendList(append(dst, "MULTIPOINT"...), g.NumPoints(), func(dst []byte, i int) []byte {
			return appendPositions(dst, g.Point(i).FlatCoords())
		})
	case *geom.MultiLineString:
		return appendRings(append(dst, "MULTILINESTRING"...), g.FlatCoords(), 0, g.Ends())
	case *geom.MultiPolygon:
		return appendList(append(dst, "MULTIPOLYGON"...), g.NumPolygons(), func(dst []byte, i int) []byte {
			p := g.Polygon(i)
			return appendRings(dst, p.FlatCoords(), 0, p.Ends())
		})
	case *geom.GeometryCollection:
		return appendList(append(dst, "GEOMETRYCOLLECTION"...), g.NumGeoms(), func(dst []byte, i int) []byte {
			return appendWKT(dst, g.Geom(i))
		})
	}
	return dst
}

func appendList(dst []byte, n int, item func([]byte, int) []byte) []byte {
	dst = append(dst, '(')
	for i := range n {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = item(dst, i)
	}
	return append(dst, ')')
}

func appendRings(dst []byte, flat []float64, from int, ends []int) []byte {
	return appendList(dst, len(ends), func(dst []byte, i int) []byte {
		dst = appendPositions(dst, flat[from:ends[i]])
		from = ends[i]
		return dst
	})
}

func appendPositions(dst []byte, flat []float64) []byte {
	return appendList(dst, len(flat)/2, func(dst []byte, i int) []byte {
		dst = append(appendOrdinate(dst, flat[2*i]), ' ')
		return appendOrdinate(dst, flat[2*i+1])
	})
}

func appendOrdinate(dst []byte, v float64) []byte {
	format := byte('f')
	if a := math.Abs(v); a != 0 && (a < 1e-6 || a >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, v, format, -1, 64)
}
