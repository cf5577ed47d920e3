package tiles

import (
	"encoding/binary"
	"math"

	"github.com/paulmach/orb"

	"changde/postgis"
)

// maxDepth bounds how deep collections nest.
const maxDepth = 64

// figure is a geometry read from EWKB and projected. Its buffers are used again
// for each feature. Members of a collection go to the kind they are of; Z and M are
// left out.
type figure struct {
	at    []orb.Point
	parts []part
	bound orb.Bound

	// project turns degrees into the units of the figure.
	project func(lon, lat float64) (x, y float64)

	// b is what is left to read.
	b       []byte
	be      bool
	corrupt bool
}

// part is a point, a line or a ring of a figure.
type part struct {
	kind     int // points, lines, polygons
	hole     bool
	from, to int // of figure.at
	bound    orb.Bound
}

func emptyBound() orb.Bound {
	return orb.Bound{Min: orb.Point{math.Inf(1), math.Inf(1)}, Max: orb.Point{math.Inf(-1), math.Inf(-1)}}
}

// read takes one geometry. It reports false for bytes that are no EWKB and for
// coordinates that are not finite; the figure is then of no use.
func (f *figure) read(ewkb []byte) bool {
	f.b, f.corrupt = ewkb, false
	f.at, f.parts, f.bound = f.at[:0], f.parts[:0], emptyBound()
	f.geometry(0)
	return !f.corrupt && len(f.b) == 0
}

func (f *figure) fail() { f.corrupt, f.b = true, nil }

func (f *figure) geometry(depth int) {
	kind, stride := f.header()
	if f.corrupt {
		return
	}
	switch kind {
	case postgis.EWKBPoint:
		f.point(stride)
	case postgis.EWKBLineString:
		f.positions(lines, false, stride)
	case postgis.EWKBPolygon:
		for i, n := 0, f.count(4); i < n && !f.corrupt; i++ {
			f.positions(polygons, i > 0, stride)
		}
	case postgis.EWKBMultiPoint, postgis.EWKBMultiLineString, postgis.EWKBMultiPolygon, postgis.EWKBCollection:
		if depth >= maxDepth {
			f.fail()
			return
		}
		for i, n := 0, f.count(5); i < n && !f.corrupt; i++ {
			f.geometry(depth + 1)
		}
	default:
		f.fail()
	}
}

func (f *figure) header() (kind uint32, stride int) {
	if len(f.b) < 5 || f.b[0] > 1 {
		f.fail()
		return 0, 2
	}
	f.be = f.b[0] == 0
	t := f.uint32(1)
	f.b = f.b[5:]
	if t&postgis.EWKBSRID != 0 {
		if len(f.b) < 4 {
			f.fail()
			return 0, 2
		}
		f.b = f.b[4:]
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

func (f *figure) uint32(at int) uint32 {
	if f.be {
		return binary.BigEndian.Uint32(f.b[at:])
	}
	return binary.LittleEndian.Uint32(f.b[at:])
}

// count reads a count of things that take at least size bytes each.
func (f *figure) count(size int) int {
	if len(f.b) < 4 {
		f.fail()
		return 0
	}
	n := f.uint32(0)
	if uint64(n) > uint64((len(f.b)-4)/size) {
		f.fail()
		return 0
	}
	f.b = f.b[4:]
	return int(n)
}

func (f *figure) float(at int) float64 {
	if f.be {
		return math.Float64frombits(binary.BigEndian.Uint64(f.b[at:]))
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(f.b[at:]))
}

// position reads one position.
func (f *figure) position(stride int) orb.Point {
	lon, lat := f.float(0), f.float(8)
	f.b = f.b[8*stride:]
	if sum := lon + lat; sum-sum != 0 { // NaN or an infinity
		f.fail()
		return orb.Point{}
	}
	x, y := f.project(lon, lat)
	return orb.Point{x, y}
}

// positions reads a count and as many positions into a part.
func (f *figure) positions(kind int, hole bool, stride int) {
	n := f.count(8 * stride)
	p := part{kind: kind, hole: hole, from: len(f.at), bound: emptyBound()}
	for i := 0; i < n && !f.corrupt; i++ {
		q := f.position(stride)
		p.bound.Min = orb.Point{min(p.bound.Min[0], q[0]), min(p.bound.Min[1], q[1])}
		p.bound.Max = orb.Point{max(p.bound.Max[0], q[0]), max(p.bound.Max[1], q[1])}
		f.at = append(f.at, q)
	}
	f.add(p)
}

func (f *figure) point(stride int) {
	if len(f.b) < 8*stride {
		f.fail()
		return
	}
	if math.IsNaN(f.float(0)) && math.IsNaN(f.float(8)) { // how PostGIS writes an empty point
		f.b = f.b[8*stride:]
		return
	}
	q := f.position(stride)
	f.at = append(f.at, q)
	f.add(part{kind: points, from: len(f.at) - 1, bound: orb.Bound{Min: q, Max: q}})
}

// add ends a part. One without positions is kept where it is a ring, for a polygon
// without its exterior ring has no holes.
func (f *figure) add(p part) {
	p.to = len(f.at)
	if p.to == p.from && p.kind != polygons {
		return
	}
	f.parts = append(f.parts, p)
	if p.to > p.from {
		f.bound.Min = orb.Point{min(f.bound.Min[0], p.bound.Min[0]), min(f.bound.Min[1], p.bound.Min[1])}
		f.bound.Max = orb.Point{max(f.bound.Max[0], p.bound.Max[0]), max(f.bound.Max[1], p.bound.Max[1])}
	}
}

// area is the area of the polygons, holes taken off.
func (f *figure) area() float64 {
	sum := 0.0
	for _, p := range f.parts {
		if p.kind != polygons {
			continue
		}
		area := math.Abs(ringArea(f.at[p.from:p.to])) / 2
		if p.hole {
			area = -area
		}
		sum += area
	}
	return sum
}

// ringArea is twice the area of a closed ring, positive where it is an exterior one in
// a tile's coordinates.
func ringArea(at []orb.Point) (area float64) {
	for i := 1; i < len(at); i++ {
		area += (at[i-1][0]-at[0][0])*(at[i][1]-at[0][1]) - (at[i][0]-at[0][0])*(at[i-1][1]-at[0][1])
	}
	return area
}

// end adds a part of the positions from p.from on.
func (f *figure) end(p part) {
	p.bound = emptyBound()
	for _, q := range f.at[p.from:] {
		p.bound.Min = orb.Point{min(p.bound.Min[0], q[0]), min(p.bound.Min[1], q[1])}
		p.bound.Max = orb.Point{max(p.bound.Max[0], q[0]), max(p.bound.Max[1], q[1])}
	}
	f.add(p)
}
