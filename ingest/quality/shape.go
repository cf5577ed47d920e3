package quality

import (
	"encoding/binary"
	"errors"
	"math"

	"changde/postgis"
)

// pathKind is what a run of positions is.
type pathKind uint8

const (
	pointPath pathKind = iota
	linePath
	shellPath
	holePath
)

// path is a run of positions of a shape: xy[from:to], numbers and not positions.
type path struct {
	from, to int
	kind     pathKind
	// reversed says that the row lies to the right of the ring; it is known of a
	// ring that may have been thinned, and otherwise found out.
	signed, reversed bool
}

// shape is a geometry taken apart: longitudes and latitudes in turn, Z and M
// left out. It is used again for one row after the other.
type shape struct {
	xy    []float64
	paths []path
	parts int // members of a multi geometry or collection, 1 for a single one
	box   box
}

// box is west, south, east, north.
type box struct{ x0, y0, x1, y1 float64 }

func emptyBox() box { return box{math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)} }

func (b *box) add(x, y float64) {
	b.x0, b.y0 = min(b.x0, x), min(b.y0, y)
	b.x1, b.y1 = max(b.x1, x), max(b.y1, y)
}

func (b box) meets(o box) bool { return b.x0 <= o.x1 && o.x0 <= b.x1 && b.y0 <= o.y1 && o.y0 <= b.y1 }

func (b box) within(o box) bool { return b.x0 >= o.x0 && b.x1 <= o.x1 && b.y0 >= o.y0 && b.y1 <= o.y1 }

func (b box) cut(o box) box {
	return box{max(b.x0, o.x0), max(b.y0, o.y0), min(b.x1, o.x1), min(b.y1, o.y1)}
}

func (b box) grow(x, y float64) box { return box{b.x0 - x, b.y0 - y, b.x1 + x, b.y1 + y} }

var errShape = errors.New("the geometry is no EWKB of points, lines and polygons")

// parse reads EWKB into the shape. postgis.DecodeEWKB says what is wrong with a
// geometry; this one, which reads what PostGIS has just written, only says that
// something is, and allocates nothing.
func (s *shape) parse(b []byte) error {
	s.xy, s.paths, s.parts, s.box = s.xy[:0], s.paths[:0], 0, emptyBox()
	p := parser{b: b, s: s}
	p.geometry(0)
	if p.bad || len(p.b) != 0 {
		return errShape
	}
	return nil
}

type parser struct {
	b   []byte
	s   *shape
	bad bool
}

// maxNesting bounds collections in collections.
const maxNesting = 64

func (p *parser) geometry(depth int) {
	if len(p.b) < 5 || p.b[0] != 1 || depth > maxNesting {
		p.bad = true
		return
	}
	t := binary.LittleEndian.Uint32(p.b[1:])
	p.b = p.b[5:]
	if t&postgis.EWKBSRID != 0 {
		if len(p.b) < 4 {
			p.bad = true
			return
		}
		p.b = p.b[4:]
	}
	stride := 2
	if t&postgis.EWKBZ != 0 {
		stride++
	}
	if t&postgis.EWKBM != 0 {
		stride++
	}
	switch t &^ (postgis.EWKBZ | postgis.EWKBM | postgis.EWKBSRID) {
	case postgis.EWKBPoint:
		p.s.parts++
		p.positions(1, stride, pointPath)
	case postgis.EWKBLineString:
		p.s.parts++
		p.positions(p.count(), stride, linePath)
	case postgis.EWKBPolygon:
		p.s.parts++
		kind := shellPath
		for range p.count() {
			p.positions(p.count(), stride, kind)
			kind = holePath
			if p.bad {
				return
			}
		}
	case postgis.EWKBMultiPoint, postgis.EWKBMultiLineString, postgis.EWKBMultiPolygon, postgis.EWKBCollection:
		for range p.count() {
			if p.geometry(depth + 1); p.bad {
				return
			}
		}
	default:
		p.bad = true
	}
}

func (p *parser) count() int {
	if len(p.b) < 4 {
		p.bad = true
		return 0
	}
	n := binary.LittleEndian.Uint32(p.b)
	p.b = p.b[4:]
	if int64(n) > int64(len(p.b)) {
		p.bad = true
		return 0
	}
	return int(n)
}

func (p *parser) positions(n, stride int, kind pathKind) {
	if p.bad || n > len(p.b)/(8*stride) {
		p.bad = true
		return
	}
	from := len(p.s.xy)
	for range n {
		x := math.Float64frombits(binary.LittleEndian.Uint64(p.b))
		y := math.Float64frombits(binary.LittleEndian.Uint64(p.b[8:]))
		p.b = p.b[8*stride:]
		if x != x || y != y { // an empty point
			continue
		}
		p.s.xy = append(p.s.xy, x, y)
		p.s.box.add(x, y)
	}
	if len(p.s.xy) > from {
		p.s.paths = append(p.s.paths, path{from: from, to: len(p.s.xy), kind: kind})
	}
}

// areal says whether the shape has a ring.
func (s *shape) areal() bool {
	for _, p := range s.paths {
		if p.kind >= shellPath {
			return true
		}
	}
	return false
}

// twice is twice the signed area of a closed run of positions in square degrees,
// anticlockwise positive; relative to its start, so that nothing is lost.
func twice(xy []float64) float64 {
	x0, y0 := xy[0], xy[1]
	sum := 0.0
	px, py := 0.0, 0.0
	for i := 2; i < len(xy); i += 2 {
		x, y := xy[i]-x0, xy[i+1]-y0
		sum += px*y - x*py
		px, py = x, y
	}
	return sum
}

// length is the length in metres of a run of positions, and that of its longest
// edge, at the scale given.
func length(xy []float64, kx, ky float64) (sum, longest float64) {
	for i := 2; i < len(xy); i += 2 {
		dx, dy := (xy[i]-xy[i-2])*kx, (xy[i+1]-xy[i-1])*ky
		d := math.Sqrt(dx*dx + dy*dy)
		sum += d
		longest = max(longest, d)
	}
	return sum, longest
}

// surface is the area of the shape in square metres on the ellipsoid, with its
// edges straight in longitude and authalic latitude, and a bound of how far that
// is from the area whose edges are geodesics.
func (s *shape) surface() (area, bound float64) {
	if len(s.xy) == 0 {
		return 0, 0
	}
	kx, ky := scale((s.box.y0 + s.box.y1) / 2)
	for _, p := range s.paths {
		if p.kind < shellPath {
			continue
		}
		xy := s.xy[p.from:p.to]
		sum := 0.0
		x0, q0 := xy[0], authalic(xy[1])
		px, pq := 0.0, 0.0
		for i := 2; i < len(xy); i += 2 {
			x, q := (xy[i]-x0)*radians, authalic(xy[i+1])-q0
			sum += px*q - x*pq
			px, pq = x, q
			dx, dy := (xy[i]-xy[i-2])*kx, (xy[i+1]-xy[i-1])*ky
			d := math.Sqrt(dx*dx + dy*dy)
			bound += d * drift(d, xy[i+1])
		}
		sum = math.Abs(sum) / 2
		if p.kind == holePath {
			sum = -sum
		}
		area += sum
	}
	// A segment of a circle fills two thirds of its box; the rest is margin.
	return area, bound + 1e-9*area + 2e-4
}
