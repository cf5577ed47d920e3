package tiles

import (
	"slices"

	"github.com/paulmach/orb"
)

// vertex is a place on a tile's grid, right and down from its upper left corner.
type vertex [2]int32

// outline collects the rings of one feature's polygons on the grid. Exterior rings
// have a positive area in the tile's coordinates, where y points down, interior
// ones a negative (MVT 4.3.3.3). Its buffers are used again for each feature.
type outline struct {
	at    []vertex
	rings []ring
	edges []edge
	mend  mender
}

// ring is a part of outline.at, without the closing vertex.
type ring struct {
	from, to int
	hole     bool
}

// edge is a directed edge of a ring, and its place in it.
type edge struct {
	a, b            vertex
	ring, place, of int32
}

func (o *outline) reset() { o.at, o.rings = o.at[:0], o.rings[:0] }

// add puts a ring on the grid. Vertices that coincide or lie straight between
// their neighbours fall away, so that the ring encloses what it enclosed; a ring
// that encloses nothing is not added.
func (o *outline) add(path []orb.Point, hole bool) bool {
	from := len(o.at)
	for _, p := range path {
		o.push(from, round(p))
	}
	// The ends meet: what is true of neighbours within the path must be true there.
	for len(o.at)-from > 2 {
		n := len(o.at)
		switch {
		case o.at[n-1] == o.at[from] || straight(o.at[n-2], o.at[n-1], o.at[from]):
			o.at = o.at[:n-1]
			continue
		case straight(o.at[n-1], o.at[from], o.at[from+1]):
			o.at = append(o.at[:from], o.at[from+1:]...)
			continue
		}
		break
	}
	g := o.at[from:]
	area := doubleArea(g)
	if len(g) < 3 || area == 0 {
		o.at = o.at[:from]
		return false
	}
	if area > 0 == hole {
		slices.Reverse(g[1:])
	}
	o.rings = append(o.rings, ring{from, len(o.at), hole})
	return true
}

// push appends a vertex to the ring that starts at from.
func (o *outline) push(from int, p vertex) {
	for n := len(o.at); n > from; n = len(o.at) {
		if o.at[n-1] == p {
			return
		}
		if n-from < 2 || !straight(o.at[n-2], o.at[n-1], p) {
			break
		}
		o.at = o.at[:n-1]
	}
	o.at = append(o.at, p)
}

// straight reports whether a, b and c are on one line, whichever way it goes on.
func straight(a, b, c vertex) bool { return turn(a, b, c) == 0 }

// turn is positive where c lies clockwise of the direction from a to b as the map
// shows it, where y points down.
func turn(a, b, c vertex) int64 {
	return int64(b[0]-a[0])*int64(c[1]-a[1]) - int64(b[1]-a[1])*int64(c[0]-a[0])
}

// doubleArea is twice the signed area.
func doubleArea(g []vertex) (area int64) {
	for i, j := 0, len(g)-1; i < len(g); j, i = i, i+1 {
		area += int64(g[j][0])*int64(g[i][1]) - int64(g[i][0])*int64(g[j][1])
	}
	return area
}

// sound reports whether no two edges of the outline have more in common than the
// end of one where its neighbour begins. A sound outline is valid (OGC 06-103r4,
// 6.1.11.1) as long as its polygons were beside each other before they came to the
// grid.
func (o *outline) sound() bool {
	o.edges = o.edges[:0]
	var shell []vertex
	for n, r := range o.rings {
		g := o.at[r.from:r.to]
		if !r.hole {
			shell = g
		} else if shell == nil || !within(g, shell) {
			return false
		}
		for i := range g {
			o.edges = append(o.edges, edge{g[i], g[(i+1)%len(g)], int32(n), int32(i), int32(len(g))})
		}
	}
	if len(o.edges) == 3 {
		return true
	}
	if len(o.edges) > 12 {
		slices.SortFunc(o.edges, func(e, f edge) int { return int(min(e.a[0], e.b[0]) - min(f.a[0], f.b[0])) })
	}
	sorted := len(o.edges) > 12
	for i := range o.edges {
		e := &o.edges[i]
		right := max(e.a[0], e.b[0])
		top, bottom := min(e.a[1], e.b[1]), max(e.a[1], e.b[1])
		for j := i + 1; j < len(o.edges); j++ {
			f := &o.edges[j]
			if sorted && min(f.a[0], f.b[0]) > right {
				break
			}
			if f.a[1] < top && f.b[1] < top || f.a[1] > bottom && f.b[1] > bottom {
				continue
			}
			if e.follows(f) || f.follows(e) {
				continue // they are not in line, so they share their common end alone
			}
			if touch(e.a, e.b, f.a, f.b) {
				return false
			}
		}
	}
	return true
}

// follows reports whether e begins in its ring where f ends.
func (e *edge) follows(f *edge) bool {
	return e.ring == f.ring && e.place == (f.place+1)%f.of
}

// touch reports whether two segments have a point in common.
func touch(a, b, c, d vertex) bool {
	if max(a[0], b[0]) < min(c[0], d[0]) || max(c[0], d[0]) < min(a[0], b[0]) || max(a[1], b[1]) < min(c[1], d[1]) || max(c[1], d[1]) < min(a[1], b[1]) {
		return false
	}
	s, t := sign(turn(a, b, c)), sign(turn(a, b, d))
	if s*t > 0 {
		return false
	}
	return sign(turn(c, d, a))*sign(turn(c, d, b)) <= 0
}

func sign(v int64) int {
	switch {
	case v > 0:
		return 1
	case v < 0:
		return -1
	}
	return 0
}

// write appends the outline to an MVT geometry, mended where the grid has made
// edges meet. It reports whether anything was left to be drawn.
func (o *outline) write(c *commands) bool {
	if len(o.rings) == 0 {
		return false
	}
	if !o.sound() {
		o.at, o.rings = o.mend.outline(o.at, o.rings)
	}
	for _, r := range o.rings {
		c.ring(o.at[r.from:r.to])
	}
	return len(o.rings) > 0
}
