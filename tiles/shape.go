package tiles

import (
	"encoding/binary"
	"math"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/clip"
)

// The geometry types of MVT (4.3.4), one less than their numbers.
const (
	points = iota
	lines
	polygons
	kinds
)

// shaper draws one figure after another into the geometry commands of one tile:
// simplify, clip, round to the grid, drop what that leaves without length or area,
// wind, mend, write. Its buffers are used again for each feature, so that a feature
// costs no allocation.
//
// Simplifying comes before clipping, so that a line on both sides of a tile's
// edge loses the same vertices in both tiles. Polygons are simplified by a coarser
// grid alone: where it leads a vertex depends on nothing but the vertex, so a
// border that two polygons share stays shared.
type shaper struct {
	tolerance float64 // of the simplification of lines, in units of Extent; 0 for none
	cell      float64 // in which lines are simplified for themselves, in units of Extent; 0: everywhere at once
	snap      float64 // the grid of polygons, in units of Extent
	box       orb.Bound
	plane     plane  // of the tile of shape
	figure    figure // read by shape

	path     []orb.Point
	grid     []vertex
	simplify simplifier
	outline  outline

	// collapsed tells that a part inside the tile was lost for being too small.
	collapsed bool
	dots      []vertex
	out       [kinds]commands
}

// newShaper makes the shaper of a tile whose address is valid.
func newShaper(a Address, tolerance float64) *shaper {
	s := &shaper{
		plane: newPlane(a), tolerance: tolerance, snap: snapAt(a.zoom()),
		box: orb.Bound{Min: orb.Point{-Buffer, -Buffer}, Max: orb.Point{Extent + Buffer, Extent + Buffer}},
	}
	s.figure.project = s.plane.at
	return s
}

// at has figures drawn for a tile of that zoom.
func (s *shaper) at(a Address) {
	s.snap, s.tolerance, s.cell = snapAt(a.zoom()), 1, 0
	if a.zoom() < DetailZoom {
		s.cell = lineCell
	}
	if a.zoom() >= MaxTileZoom {
		s.tolerance = 0
	}
}

// lineCell is the cell of lines below DetailZoom, an even part of a tile: lines are
// joined differently in tiles that lie beside each other, and meet at their edge all
// the same.
const lineCell = Extent / 4

// snapAt is the grid of polygons at a zoom: a pixel of a 512-pixel tile is 8 units
// wide, and features are many where a tile shows much.
func snapAt(z int) float64 {
	switch {
	case z >= DetailZoom:
		return 1
	case z >= DetailZoom-2:
		return 2
	}
	return 4
}

// commands is an MVT geometry (4.3) in the making, as packed varints. The cursor
// runs on from part to part.
type commands struct {
	b    []byte
	x, y int32
}

const (
	moveTo    = 1
	lineTo    = 2
	closePath = 7
)

func (c *commands) command(id, count int) {
	c.b = binary.AppendUvarint(c.b, uint64(id&7|count<<3))
}

func (c *commands) to(p vertex) {
	c.b = binary.AppendUvarint(c.b, zigzag(p[0]-c.x))
	c.b = binary.AppendUvarint(c.b, zigzag(p[1]-c.y))
	c.x, c.y = p[0], p[1]
}

func zigzag(v int32) uint64 { return uint64(uint32(v<<1) ^ uint32(v>>31)) }

// ring writes a ring as it is.
func (c *commands) ring(g []vertex) {
	c.command(moveTo, 1)
	c.to(g[0])
	c.command(lineTo, len(g)-1)
	for _, p := range g[1:] {
		c.to(p)
	}
	c.command(closePath, 1)
}

// shape makes out of one geometry. It reports false for bytes that are no EWKB
// and for coordinates that are not finite; out is then of no use.
func (s *shaper) shape(ewkb []byte) bool {
	if !s.figure.read(ewkb) {
		return false
	}
	s.draw(&s.figure, 1, orb.Point{})
	return true
}

// draw makes out of a figure, whose position p is at scale·p - origin in the tile.
func (s *shaper) draw(f *figure, scale float64, origin orb.Point) {
	s.collapsed, s.dots = false, s.dots[:0]
	s.outline.reset()
	for i := range s.out {
		s.out[i] = commands{b: s.out[i].b[:0]}
	}
	kept := false
	for n := range f.parts {
		p := &f.parts[n]
		if p.hole && !kept {
			continue // of a polygon that is not there
		}
		bound := orb.Bound{Min: place(p.bound.Min, scale, origin), Max: place(p.bound.Max, scale, origin)}
		if p.kind == polygons && !p.hole {
			kept = false
		}
		if p.to == p.from || !bound.Intersects(s.box) && p.kind != points {
			continue
		}
		s.path = s.path[:0]
		for _, q := range f.at[p.from:p.to] {
			s.path = append(s.path, place(q, scale, origin))
		}
		switch p.kind {
		case points:
			q := orb.Point{math.Floor(s.path[0][0] + 0.5), math.Floor(s.path[0][1] + 0.5)}
			if s.box.Contains(q) {
				s.dots = append(s.dots, vertex{int32(q[0]), int32(q[1])})
			}
		case lines:
			s.line(bound)
		default:
			added := s.ring(bound, p.hole)
			if !p.hole {
				kept = added
			}
		}
	}
	if rings := len(s.outline.rings); rings > 0 && !s.outline.write(&s.out[polygons]) {
		s.collapsed = true
	}
	if len(s.dots) > 0 {
		c := &s.out[points]
		c.command(moveTo, len(s.dots))
		for _, p := range s.dots {
			c.to(p)
		}
	}
}

func place(p orb.Point, scale float64, origin orb.Point) orb.Point {
	return orb.Point{p[0]*scale - origin[0], p[1]*scale - origin[1]}
}

// line draws the path as a line.
func (s *shaper) line(bound orb.Bound) {
	path := s.simplify.line(s.path, s.tolerance, s.cell)
	if s.holds(bound) {
		s.addLine(path)
		return
	}
	for _, part := range clip.LineString(s.box, path) {
		s.addLine(part)
	}
}

// ring adds the path to the outline.
func (s *shaper) ring(bound orb.Bound, hole bool) bool {
	if s.snap > 1 {
		for k, p := range s.path {
			s.path[k] = orb.Point{math.Floor(p[0]/s.snap+0.5) * s.snap, math.Floor(p[1]/s.snap+0.5) * s.snap}
		}
	}
	path := s.path
	if !s.holds(bound) {
		path = clip.Ring(s.box, path)
	}
	added := s.outline.add(path, hole)
	if !added && !hole {
		s.lost(path)
	}
	return added
}

// empty reports whether the last geometry left nothing in the tile.
func (s *shaper) empty() bool {
	return len(s.out[points].b)+len(s.out[lines].b)+len(s.out[polygons].b) == 0
}

func round(p orb.Point) vertex {
	return vertex{int32(math.Floor(p[0] + 0.5)), int32(math.Floor(p[1] + 0.5))}
}

// holds reports whether nothing of the bound needs clipping.
func (s *shaper) holds(b orb.Bound) bool {
	return b.Min[0] >= s.box.Min[0] && b.Min[1] >= s.box.Min[1] && b.Max[0] <= s.box.Max[0] && b.Max[1] <= s.box.Max[1]
}

func (s *shaper) addLine(path []orb.Point) {
	s.round(path)
	if len(s.grid) < 2 {
		s.lost(path)
		return
	}
	c := &s.out[lines]
	c.command(moveTo, 1)
	c.to(s.grid[0])
	c.command(lineTo, len(s.grid)-1)
	for _, p := range s.grid[1:] {
		c.to(p)
	}
}

// round puts the path on the grid, without repeating a vertex.
func (s *shaper) round(path []orb.Point) {
	s.grid = s.grid[:0]
	for _, p := range path {
		q := round(p)
		if n := len(s.grid); n > 0 && s.grid[n-1] == q {
			continue
		}
		s.grid = append(s.grid, q)
	}
}

// lost notes a part that has no length or area on the grid, when it lay in the
// tile proper: what does so in the margin is in the neighbour's care.
func (s *shaper) lost(path []orb.Point) {
	if len(path) == 0 {
		return
	}
	b := orb.LineString(path).Bound()
	if b.Max[0] > 0 && b.Min[0] < Extent && b.Max[1] > 0 && b.Min[1] < Extent {
		s.collapsed = true
	}
}
