package postgis

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/twpayne/go-geom"

	"changde/problem"
)

// The type codes and flags of EWKB, for those who read it byte by byte.
const (
	EWKBPoint           = 1
	EWKBLineString      = 2
	EWKBPolygon         = 3
	EWKBMultiPoint      = 4
	EWKBMultiLineString = 5
	EWKBMultiPolygon    = 6
	EWKBCollection      = 7

	EWKBZ    = 0x80000000
	EWKBM    = 0x40000000
	EWKBSRID = 0x20000000
)

// maxDepth bounds how deep collections nest, when writing and when reading.
// PostGIS itself refuses more than 200.
const maxDepth = 64

// emptyCoordinate is the quiet NaN that PostGIS writes for an empty point; Go's
// own has another payload.
const emptyCoordinate = 0x7ff8 << 48

// maxSRID is the largest SRID PostGIS keeps.
const maxSRID = 999999

// AppendEWKB appends g to dst as little-endian EWKB with the given SRID, 0 for
// none; the SRID that g itself carries is not looked at. Coordinates are
// written as they are, in the order and units of g.
//
// It takes Point, LineString, Polygon, their Multi forms and GeometryCollection
// in XY, XYZ, XYM and XYZM. An empty point is written as NaN, as PostGIS does.
// Everything else is a *problem.Error and leaves dst as it was: another type, a
// coordinate that is not finite, a collection of mixed dimensions or nested
// deeper than 64, flat coordinates that do not agree with their ends.
func AppendEWKB(dst []byte, g geom.T, srid int) ([]byte, error) {
	if srid < 0 || srid > maxSRID {
		return dst, problem.New(problem.Invalid, "srid-range", "",
			fmt.Sprintf("SRID %d 超出 PostGIS 的范围 0 至 %d", srid, maxSRID),
			fmt.Sprintf("SRID %d is outside the range of PostGIS, 0 to %d", srid, maxSRID))
	}
	e := encoder{b: dst}
	if !e.geometry(g, uint32(srid), geom.NoLayout, 0) {
		return dst, e.problem()
	}
	return e.b, nil
}

// encoder appends to b until the first fault.
type encoder struct {
	b      []byte
	code   string
	zh, en string
}

func (e *encoder) fail(code, zh, en string) bool {
	e.code, e.zh, e.en = code, zh, en
	return false
}

func (e *encoder) problem() error {
	return problem.New(problem.Invalid, e.code, "", e.zh, e.en)
}

// geometry writes one geometry. parent is the layout of the collection it
// stands in, NoLayout at the top; the SRID is written at the top only.
func (e *encoder) geometry(g geom.T, srid uint32, parent geom.Layout, depth int) bool {
	switch g := g.(type) {
	case *geom.Point:
		return e.header(EWKBPoint, g.Layout(), parent, srid) && e.point(g.FlatCoords(), g.Layout().Stride())
	case *geom.LineString:
		return e.header(EWKBLineString, g.Layout(), parent, srid) && e.line(g.FlatCoords(), g.Layout().Stride())
	case *geom.Polygon:
		return e.header(EWKBPolygon, g.Layout(), parent, srid) &&
			e.rings(g.FlatCoords(), 0, g.Ends(), g.Layout().Stride())
	case *geom.MultiPoint:
		if !e.header(EWKBMultiPoint, g.Layout(), parent, srid) {
			return false
		}
		return e.parts(EWKBPoint, g.Layout(), g.FlatCoords(), g.Ends())
	case *geom.MultiLineString:
		if !e.header(EWKBMultiLineString, g.Layout(), parent, srid) {
			return false
		}
		return e.parts(EWKBLineString, g.Layout(), g.FlatCoords(), g.Ends())
	case *geom.MultiPolygon:
		if !e.header(EWKBMultiPolygon, g.Layout(), parent, srid) {
			return false
		}
		flat, stride, offset := g.FlatCoords(), g.Layout().Stride(), 0
		e.count(len(g.Endss()))
		for _, ends := range g.Endss() {
			if !e.header(EWKBPolygon, g.Layout(), g.Layout(), 0) || !e.rings(flat, offset, ends, stride) {
				return false
			}
			if len(ends) > 0 {
				offset = ends[len(ends)-1]
			}
		}
		return true
	case *geom.GeometryCollection:
		return e.collection(g, srid, parent, depth)
	}
	return e.fail("geometry-type-unsupported",
		fmt.Sprintf("几何类型 %T 不能写入 PostGIS；请转换为点、线、面、其多部件形式或几何集合", g),
		fmt.Sprintf("a geometry of type %T cannot be written to PostGIS; convert it to a point, line, polygon, a multi-part form of these or a collection", g))
}

func (e *encoder) collection(g *geom.GeometryCollection, srid uint32, parent geom.Layout, depth int) bool {
	if depth >= maxDepth {
		return e.fail("geometry-too-deep", fmt.Sprintf("几何集合嵌套超过 %d 层", maxDepth),
			fmt.Sprintf("geometry collections are nested deeper than %d", maxDepth))
	}
	layout := g.Layout()
	if layout == geom.NoLayout {
		layout = geom.XY
		if parent != geom.NoLayout {
			layout = parent
		}
	}
	if !e.header(EWKBCollection, layout, parent, srid) {
		return false
	}
	e.count(g.NumGeoms())
	for _, member := range g.Geoms() {
		if !e.geometry(member, 0, layout, depth+1) {
			return false
		}
	}
	return true
}

func (e *encoder) header(kind uint32, layout, parent geom.Layout, srid uint32) bool {
	switch layout {
	case geom.XY:
	case geom.XYZ:
		kind |= EWKBZ
	case geom.XYM:
		kind |= EWKBM
	case geom.XYZM:
		kind |= EWKBZ | EWKBM
	default:
		return e.fail("geometry-dimension", "几何没有 XY、XYZ、XYM 或 XYZM 维度",
			"the geometry has none of the dimensions XY, XYZ, XYM and XYZM")
	}
	if parent != geom.NoLayout && parent != layout {
		return e.fail("geometry-dimension", fmt.Sprintf("几何集合中混有 %v 与 %v 维度；请统一维度", parent, layout),
			fmt.Sprintf("a collection mixes the dimensions %v and %v; give all members the same", parent, layout))
	}
	if srid == 0 {
		e.b = append(e.b, 1)
		e.b = binary.LittleEndian.AppendUint32(e.b, kind)
		return true
	}
	e.b = append(e.b, 1)
	e.b = binary.LittleEndian.AppendUint32(e.b, kind|EWKBSRID)
	e.b = binary.LittleEndian.AppendUint32(e.b, srid)
	return true
}

func (e *encoder) count(n int) { e.b = binary.LittleEndian.AppendUint32(e.b, uint32(n)) }

func (e *encoder) point(flat []float64, stride int) bool {
	if len(flat) == 0 {
		for range stride {
			e.b = binary.LittleEndian.AppendUint64(e.b, emptyCoordinate)
		}
		return true
	}
	if len(flat) != stride {
		return e.mismatch()
	}
	return e.floats(flat)
}

func (e *encoder) line(flat []float64, stride int) bool {
	if len(flat)%stride != 0 {
		return e.mismatch()
	}
	e.count(len(flat) / stride)
	return e.floats(flat)
}

func (e *encoder) rings(flat []float64, offset int, ends []int, stride int) bool {
	e.count(len(ends))
	for _, end := range ends {
		if end < offset || end > len(flat) {
			return e.mismatch()
		}
		if !e.line(flat[offset:end], stride) {
			return false
		}
		offset = end
	}
	return true
}

// parts writes the points or lines of a MultiPoint or MultiLineString.
func (e *encoder) parts(kind uint32, layout geom.Layout, flat []float64, ends []int) bool {
	e.count(len(ends))
	offset, stride := 0, layout.Stride()
	for _, end := range ends {
		if end < offset || end > len(flat) {
			return e.mismatch()
		}
		if !e.header(kind, layout, layout, 0) {
			return false
		}
		part := flat[offset:end]
		if kind == EWKBPoint && !e.point(part, stride) || kind == EWKBLineString && !e.line(part, stride) {
			return false
		}
		offset = end
	}
	return true
}

// floats writes coordinates and refuses those that are not finite: PostGIS
// would take a point of NaN for an empty one and lose others from its index.
func (e *encoder) floats(flat []float64) bool {
	const exponent = 0x7ff << 52
	at := len(e.b)
	e.b = slices.Grow(e.b, 8*len(flat))[:at+8*len(flat)]
	for out := e.b[at:]; len(flat) > 0 && len(out) >= 8; flat, out = flat[1:], out[8:] {
		bits := math.Float64bits(flat[0])
		if bits&exponent == exponent {
			return e.fail("coordinate-not-finite", fmt.Sprintf("坐标值 %v 不是有限数", flat[0]),
				fmt.Sprintf("the coordinate value %v is not a finite number", flat[0]))
		}
		binary.LittleEndian.PutUint64(out, bits)
	}
	return true
}

func (e *encoder) mismatch() bool {
	return e.fail("geometry-corrupt", "几何的坐标个数与其分段不符",
		"the number of coordinates of the geometry does not agree with its parts")
}
