package tiles

import (
	"cmp"
	"math"
	"slices"
)

// mender makes valid polygons of rings that meet or cross on the grid: the region
// that they enclose, by the positive winding number. The bounds of the region are
// traced along edges that meet at their ends alone, which puts every crossing on
// the grid too.
type mender struct {
	edges []segment
	next  []segment
	cuts  []incision
}

// segment is a directed edge.
type segment struct{ a, b vertex }

// incision is a place on a segment where another meets it.
type incision struct {
	segment int
	at      vertex
}

// maxRounds bounds how often edges are cut: rounding a crossing to the grid moves
// an edge, which may then cross another.
const maxRounds = 32

// outline returns the mended rings, each exterior one followed by its holes.
// Nothing is left of what encloses nothing on the grid.
func (m *mender) outline(at []vertex, rings []ring) ([]vertex, []ring) {
	m.edges = m.edges[:0]
	for _, r := range rings {
		g := at[r.from:r.to]
		for i := range g {
			m.edges = append(m.edges, segment{g[i], g[(i+1)%len(g)]})
		}
	}
	settled := false
	for range maxRounds {
		if settled = !m.node(); settled {
			break
		}
	}
	if !settled {
		return at[:0], rings[:0]
	}
	return assemble(trace(m.bounds()), at[:0], rings[:0])
}

// node cuts edges where others meet them, and reports whether it cut any.
func (m *mender) node() bool {
	slices.SortFunc(m.edges, func(e, f segment) int { return cmp.Compare(min(e.a[0], e.b[0]), min(f.a[0], f.b[0])) })
	m.cuts = m.cuts[:0]
	for i, e := range m.edges {
		right := max(e.a[0], e.b[0])
		for j := i + 1; j < len(m.edges) && min(m.edges[j].a[0], m.edges[j].b[0]) <= right; j++ {
			f := m.edges[j]
			if !touch(e.a, e.b, f.a, f.b) {
				continue
			}
			m.cut(i, f.a)
			m.cut(i, f.b)
			m.cut(j, e.a)
			m.cut(j, e.b)
			if p, ok := crossing(e, f); ok {
				m.split(i, p)
				m.split(j, p)
			}
		}
	}
	if len(m.cuts) == 0 {
		return false
	}
	slices.SortFunc(m.cuts, func(c, d incision) int {
		if c.segment != d.segment {
			return c.segment - d.segment
		}
		from := m.edges[c.segment].a
		return cmp.Or(cmp.Compare(distance(from, c.at), distance(from, d.at)), slices.Compare(c.at[:], d.at[:]))
	})
	m.next = m.next[:0]
	k := 0
	for i, e := range m.edges {
		from := e.a
		for ; k < len(m.cuts) && m.cuts[k].segment == i; k++ {
			if p := m.cuts[k].at; p != from {
				m.next = append(m.next, segment{from, p})
				from = p
			}
		}
		if from != e.b {
			m.next = append(m.next, segment{from, e.b})
		}
	}
	m.edges, m.next = m.next, m.edges
	return true
}

// cut cuts a segment at a vertex that lies between its ends.
func (m *mender) cut(n int, p vertex) {
	e := m.edges[n]
	if turn(e.a, e.b, p) == 0 && p != e.a && p != e.b &&
		min(e.a[0], e.b[0]) <= p[0] && p[0] <= max(e.a[0], e.b[0]) && min(e.a[1], e.b[1]) <= p[1] && p[1] <= max(e.a[1], e.b[1]) {
		m.cuts = append(m.cuts, incision{n, p})
	}
}

// split leads a segment through a place beside it.
func (m *mender) split(n int, p vertex) {
	if e := m.edges[n]; p != e.a && p != e.b {
		m.cuts = append(m.cuts, incision{n, p})
	}
}

func distance(a, b vertex) int64 {
	dx, dy := int64(b[0]-a[0]), int64(b[1]-a[1])
	return dx*dx + dy*dy
}

// crossing is where two segments cross between their ends, on the grid.
func crossing(e, f segment) (vertex, bool) {
	s, t := turn(e.a, e.b, f.a), turn(e.a, e.b, f.b)
	u, v := turn(f.a, f.b, e.a), turn(f.a, f.b, e.b)
	if sign(s)*sign(t) >= 0 || sign(u)*sign(v) >= 0 {
		return vertex{}, false
	}
	k := float64(s) / float64(s-t)
	x := float64(f.a[0]) + k*float64(f.b[0]-f.a[0])
	y := float64(f.a[1]) + k*float64(f.b[1]-f.a[1])
	return vertex{int32(math.Floor(x + 0.5)), int32(math.Floor(y + 0.5))}, true
}

// bounds keeps the edges with the region on one side, directed so that it lies as
// the interior lies of an exterior ring.
func (m *mender) bounds() []segment {
	slices.SortFunc(m.edges, func(e, f segment) int {
		e, f = e.canonical(), f.canonical()
		return cmp.Or(slices.Compare(e.a[:], f.a[:]), slices.Compare(e.b[:], f.b[:]))
	})
	var out []segment
	for i := 0; i < len(m.edges); {
		e := m.edges[i].canonical()
		net, j := 0, i
		for ; j < len(m.edges) && m.edges[j].canonical() == e; j++ {
			if m.edges[j] == e {
				net++
			} else {
				net--
			}
		}
		// On the inner side an edge has its own winding more than on the other.
		outer := m.winding(e, i, j)
		inner := outer + net
		switch {
		case inner > 0 && outer <= 0:
			out = append(out, e)
		case inner <= 0 && outer > 0:
			out = append(out, segment{e.b, e.a})
		}
		i = j
	}
	return out
}

func (e segment) canonical() segment {
	if slices.Compare(e.a[:], e.b[:]) > 0 {
		return segment{e.b, e.a}
	}
	return e
}

// winding is the winding number beside the middle of an edge, on the side that is
// not the interior of a ring with this edge. The edges from i to j are the edge
// itself. A canonical edge goes right or straight down, so a ray from its middle
// upwards, or to the right of a vertical one, leaves on the outer side.
func (m *mender) winding(e segment, i, j int) (w int) {
	x, y := int64(e.a[0])+int64(e.b[0]), int64(e.a[1])+int64(e.b[1]) // doubled
	vertical := e.a[0] == e.b[0]
	for k, f := range m.edges {
		if k >= i && k < j {
			continue
		}
		ax, ay, bx, by := 2*int64(f.a[0]), 2*int64(f.a[1]), 2*int64(f.b[0]), 2*int64(f.b[1])
		side := (bx-ax)*(y-ay) - (by-ay)*(x-ax)
		if vertical { // the ray goes to the right
			switch {
			case ay <= y && y < by && side > 0:
				w++
			case by <= y && y < ay && side < 0:
				w--
			}
			continue
		}
		switch { // the ray goes up, to smaller y
		case ax <= x && x < bx && side > 0:
			w++
		case bx <= x && x < ax && side < 0:
			w--
		}
	}
	return w
}

// trace follows the edges, keeping to the region, into closed paths, and takes
// apart those that pass a vertex twice.
func trace(edges []segment) [][]vertex {
	from := make(map[vertex][]int, len(edges))
	for n, e := range edges {
		from[e.a] = append(from[e.a], n)
	}
	used := make([]bool, len(edges))
	var out [][]vertex
	for start := range edges {
		if used[start] {
			continue
		}
		var path []vertex
		seen := make(map[vertex]int)
		for n := start; n >= 0; {
			used[n] = true
			e := edges[n]
			if at, ok := seen[e.a]; ok {
				loop := slices.Clone(path[at:])
				for _, p := range loop {
					delete(seen, p)
				}
				path = path[:at]
				out = append(out, loop)
			}
			seen[e.a] = len(path)
			path = append(path, e.a)
			if e.b == edges[start].a && sharpest(edges, from[e.b], used, e) < 0 {
				break
			}
			n = sharpest(edges, from[e.b], used, e)
		}
		out = append(out, path)
	}
	return out
}

// sharpest is the unused edge that turns most towards the region after e, -1 where
// there is none.
func sharpest(edges []segment, leaving []int, used []bool, e segment) int {
	best, most := -1, math.Inf(-1)
	dx, dy := float64(e.b[0]-e.a[0]), float64(e.b[1]-e.a[1])
	for _, n := range leaving {
		if used[n] {
			continue
		}
		f := edges[n]
		fx, fy := float64(f.b[0]-f.a[0]), float64(f.b[1]-f.a[1])
		if angle := math.Atan2(dx*fy-dy*fx, dx*fx+dy*fy); angle > most {
			best, most = n, angle
		}
	}
	return best
}

// assemble orders closed paths into polygons.
func assemble(paths [][]vertex, at []vertex, rings []ring) ([]vertex, []ring) {
	var shells, holes [][]vertex
	for _, p := range paths {
		switch area := doubleArea(p); {
		case len(p) < 3 || area == 0:
		case area > 0:
			shells = append(shells, p)
		default:
			holes = append(holes, p)
		}
	}
	slices.SortStableFunc(shells, func(a, b []vertex) int { return cmp.Compare(doubleArea(a), doubleArea(b)) })
	of := make([][][]vertex, len(shells))
	for _, h := range holes {
		for n, s := range shells {
			if within(h, s) {
				of[n] = append(of[n], h)
				break
			}
		}
	}
	add := func(g []vertex, hole bool) {
		rings = append(rings, ring{len(at), len(at) + len(g), hole})
		at = append(at, g...)
	}
	for n, s := range shells {
		add(s, false)
		for _, h := range of[n] {
			add(h, true)
		}
	}
	return at, rings
}

// within reports whether a ring lies in another, which it may touch at vertices.
func within(h, s []vertex) bool {
	for i := range h {
		j := (i + 1) % len(h)
		x, y := int64(h[i][0])+int64(h[j][0]), int64(h[i][1])+int64(h[j][1])
		if in, on := contains(s, x, y); !on {
			return in
		}
	}
	return false
}

// contains tells whether a place, in doubled coordinates, is in or on a ring.
func contains(s []vertex, x, y int64) (in, on bool) {
	for i, j := 0, len(s)-1; i < len(s); j, i = i, i+1 {
		ax, ay, bx, by := 2*int64(s[j][0]), 2*int64(s[j][1]), 2*int64(s[i][0]), 2*int64(s[i][1])
		side := (bx-ax)*(y-ay) - (by-ay)*(x-ax)
		if side == 0 && min(ax, bx) <= x && x <= max(ax, bx) && min(ay, by) <= y && y <= max(ay, by) {
			return false, true
		}
		if ay <= y != (by <= y) && (by > ay) == (side > 0) {
			in = !in
		}
	}
	return in, false
}
