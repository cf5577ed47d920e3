package tiles

import (
	"encoding/binary"
	"math"

	"changde/postgis"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/clip"
)

// maxDepth bounds how deep collections nest.
const maxDepth = 64

// The geometry types of MVT (4.3.4), one less than their numbers.
const (
	points = iota
	lines
	polygons
	kinds
)

// shaper turns the EWKB of one feature after another into the geometry commands
// of one tile: read, project, simplify, clip, round to the grid, drop what that
// leaves without length or area, wind, write. Its buffers are used again for
// each feature, so that a feature costs no allocation.
//
// Simplifying comes before clipping, so that a line on both sides of a tile's
// edge loses the same vertices in both tiles. Polygons are simplified by a coarser
// grid alone: where it leads a vertex depends on nothing but the vertex, so a
// border that two polygons share stays shared.
type shaper struct {
	plane     plane
	tolerance float64 // of the simplification of lines, in units of Extent; 0 for none
	snap      float64 // the grid of polygons, in units of Extent
	box       orb.Bound

	// b is what is left to read of the geometry.
	b       []byte
	be      bool
	corrupt bool

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
	return &shaper{
		plane: newPlane(a), tolerance: tolerance, snap: snapAt(a.Z),
		box: orb.Bound{Min: orb.Point{-Buffer, -Buffer}, Max: orb.Point{Extent + Buffer, Extent + Buffer}},
	}
}

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

// shape makes out of one geometry. It reports false for bytes that are no EWKB
// and for coordinates that are not finite; out is then of no use. Members of a
// collection go to the kind they are of.
func (s *shaper) shape(ewkb []byte) bool {
	s.b, s.corrupt, s.collapsed, s.dots = ewkb, false, false, s.dots[:0]
	s.outline.reset()
	for i := range s.out {
		s.out[i] = commands{b: s.out[i].b[:0]}
	}
	s.geometry(0)
	if s.corrupt || len(s.b) != 0 {
		return false
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
	return true
}

// empty reports whether the last geometry left nothing in the tile.
func (s *shaper) empty() bool {
	return len(s.out[points].b)+len(s.out[lines].b)+len(s.out[polygons].b) == 0
}

func (s *shaper) fail() {
	s.corrupt, s.b = true, nil
}

func (s *shaper) geometry(depth int) {
	kind, stride := s.header()
	if s.corrupt {
		return
	}
	switch kind {
	case postgis.EWKBPoint:
		s.point(stride)
	case postgis.EWKBLineString:
		s.line(stride)
	case postgis.EWKBPolygon:
		s.polygon(stride)
	case postgis.EWKBMultiPoint, postgis.EWKBMultiLineString, postgis.EWKBMultiPolygon, postgis.EWKBCollection:
		if depth >= maxDepth {
			s.fail()
			return
		}
		for i, n := 0, s.count(5); i < n && !s.corrupt; i++ {
			s.geometry(depth + 1)
		}
	default:
		s.fail()
	}
}

func (s *shaper) header() (kind uint32, stride int) {
	if len(s.b) < 5 || s.b[0] > 1 {
		s.fail()
		return 0, 2
	}
	s.be = s.b[0] == 0
	t := s.uint32(1)
	s.b = s.b[5:]
	if t&postgis.EWKBSRID != 0 {
		if len(s.b) < 4 {
			s.fail()
			return 0, 2
		}
		s.b = s.b[4:]
	}
	stride = 2
	if t&postgis.EWKBZ != 0 {
		stride++
	}
	if t&postgis.EWKBM != 0 {
		stride++
	}
	return t &^ (postgis.EWKBZ | postgis.EWKBM | postgis.EWKBSRID), stride
}

func (s *shaper) uint32(at int) uint32 {
	if s.be {
		return binary.BigEndian.Uint32(s.b[at:])
	}
	return binary.LittleEndian.Uint32(s.b[at:])
}

// count reads a count of things that take at least size bytes each.
func (s *shaper) count(size int) int {
	if len(s.b) < 4 {
		s.fail()
		return 0
	}
	n := s.uint32(0)
	if uint64(n) > uint64((len(s.b)-4)/size) {
		s.fail()
		return 0
	}
	s.b = s.b[4:]
	return int(n)
}

func (s *shaper) float(at int) float64 {
	if s.be {
		return math.Float64frombits(binary.BigEndian.Uint64(s.b[at:]))
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(s.b[at:]))
}

// position reads one position and gives it in units of the tile.
func (s *shaper) position(stride int) orb.Point {
	lon, lat := s.float(0), s.float(8)
	s.b = s.b[8*stride:]
	if sum := lon + lat; sum-sum != 0 { // NaN or an infinity
		s.fail()
		return orb.Point{}
	}
	x, y := s.plane.at(lon, lat)
	return orb.Point{x, y}
}

// positions reads a count and as many positions into path, with their bound.
func (s *shaper) positions(stride int) orb.Bound {
	n := s.count(8 * stride)
	s.path = s.path[:0]
	bound := orb.Bound{Min: orb.Point{math.Inf(1), math.Inf(1)}, Max: orb.Point{math.Inf(-1), math.Inf(-1)}}
	for i := 0; i < n && !s.corrupt; i++ {
		p := s.position(stride)
		bound.Min = orb.Point{min(bound.Min[0], p[0]), min(bound.Min[1], p[1])}
		bound.Max = orb.Point{max(bound.Max[0], p[0]), max(bound.Max[1], p[1])}
		s.path = append(s.path, p)
	}
	return bound
}

func (s *shaper) point(stride int) {
	if len(s.b) < 8*stride {
		s.fail()
		return
	}
	if math.IsNaN(s.float(0)) && math.IsNaN(s.float(8)) { // how PostGIS writes an empty point
		s.b = s.b[8*stride:]
		return
	}
	p := s.position(stride)
	p = orb.Point{math.Floor(p[0] + 0.5), math.Floor(p[1] + 0.5)}
	if !s.corrupt && s.box.Contains(p) {
		s.dots = append(s.dots, vertex{int32(p[0]), int32(p[1])})
	}
}

func round(p orb.Point) vertex {
	return vertex{int32(math.Floor(p[0] + 0.5)), int32(math.Floor(p[1] + 0.5))}
}

func (s *shaper) line(stride int) {
	bound := s.positions(stride)
	if s.corrupt || len(s.path) == 0 || !bound.Intersects(s.box) {
		return
	}
	path := s.simplify.line(s.path, s.tolerance)
	if s.holds(bound) {
		s.addLine(path)
		return
	}
	for _, part := range clip.LineString(s.box, path) {
		s.addLine(part)
	}
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

func (s *shaper) polygon(stride int) {
	kept := false
	for i, n := 0, s.count(4); i < n && !s.corrupt; i++ {
		if i > 0 && !kept {
			// The holes of a polygon that is not there.
			if n := s.count(8 * stride); !s.corrupt {
				s.b = s.b[n*8*stride:]
			}
			continue
		}
		bound := s.positions(stride)
		if s.corrupt || len(s.path) == 0 || !bound.Intersects(s.box) {
			continue
		}
		if s.snap > 1 {
			for k, p := range s.path {
				s.path[k] = orb.Point{math.Floor(p[0]/s.snap+0.5) * s.snap, math.Floor(p[1]/s.snap+0.5) * s.snap}
			}
		}
		path := s.path
		if !s.holds(bound) {
			path = clip.Ring(s.box, path)
		}
		if added := s.outline.add(path, i > 0); i == 0 {
			if kept = added; !kept {
				s.lost(path)
			}
		}
	}
}
