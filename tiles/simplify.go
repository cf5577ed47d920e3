package tiles

import (
	"math"

	"github.com/paulmach/orb"
)

// simplifier is the algorithm of Douglas and Peucker (1973), in place and with
// buffers that are used again.
type simplifier struct {
	keep  []bool
	stack [][2]int
}

// line drops the vertices that lie within the tolerance of the line without
// them. The first and last stay, so a ring stays closed; a ring may shrink to
// less than a triangle. It works in the memory of path.
//
// With a cell, those on both sides of an edge between two cells of a grid stay as
// well. What becomes of the line in a cell then depends on nothing beyond it, nor on
// which way the line is passed.
func (s *simplifier) line(path []orb.Point, tolerance, cell float64) []orb.Point {
	if tolerance <= 0 || len(path) < 3 {
		return path
	}
	last := len(path) - 1
	s.keep = append(s.keep[:0], make([]bool, len(path))...)
	s.keep[0], s.keep[last] = true, true
	s.stack = s.stack[:0]
	from := 0
	if cell > 0 {
		for i := 1; i <= last; i++ {
			if p, q := path[i-1], path[i]; math.Floor(p[0]/cell) != math.Floor(q[0]/cell) || math.Floor(p[1]/cell) != math.Floor(q[1]/cell) {
				s.keep[i-1], s.keep[i] = true, true
				s.stack = append(s.stack, [2]int{from, i - 1})
				from = i
			}
		}
	}
	s.stack = append(s.stack, [2]int{from, last})
	for len(s.stack) > 0 {
		span := s.stack[len(s.stack)-1]
		s.stack = s.stack[:len(s.stack)-1]
		a, b := path[span[0]], path[span[1]]
		if cell > 0 && before(b, a) {
			a, b = b, a
		}
		at, most := 0, tolerance*tolerance
		for i := span[0] + 1; i < span[1]; i++ {
			if d := squareDistance(path[i], a, b); d > most || cell > 0 && at > 0 && d == most && before(path[i], path[at]) {
				at, most = i, d
			}
		}
		if at == 0 {
			continue
		}
		s.keep[at] = true
		s.stack = append(s.stack, [2]int{span[0], at}, [2]int{at, span[1]})
	}
	out := path[:0]
	for i, p := range path {
		if s.keep[i] {
			out = append(out, p)
		}
	}
	return out
}

// before orders places, by x and then by y.
func before(a, b orb.Point) bool { return a[0] < b[0] || a[0] == b[0] && a[1] < b[1] }

// squareDistance is the square of the distance from p to the segment a-b.
func squareDistance(p, a, b orb.Point) float64 {
	dx, dy := b[0]-a[0], b[1]-a[1]
	px, py := p[0]-a[0], p[1]-a[1]
	if l := dx*dx + dy*dy; l > 0 {
		t := min(max((px*dx+py*dy)/l, 0), 1)
		px, py = px-t*dx, py-t*dy
	}
	return px*px + py*py
}
