package geopackage

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/twpayne/go-geom"
)

const maxCollectionDepth = 4

// The codes of the geometry types, OGC 06-103r4, table 7.
const (
	wkbPoint = iota + 1
	wkbLineString
	wkbPolygon
	wkbMultiPoint
	wkbMultiLineString
	wkbMultiPolygon
	wkbCollection
)

// wkbReader reads well-known binary (ISO 19125 with Z and M by the thousands; the high
// bits that older programs set instead are understood too). A count is believed only as
// far as the bytes that are left could hold so many. It is used again for each row.
type wkbReader struct {
	b     []byte
	i     int
	marks int

	order  binary.ByteOrder
	stride int // numbers of a position in b
	dim    int // numbers that are kept
	flat   []float64
	ends   []int
	endss  [][]int
}

// head reads the byte order and type of a geometry.
func (w *wkbReader) head() (code uint32, z, m bool, err *rowError) {
	if len(w.b)-w.i < 5 {
		return 0, false, false, corrupt
	}
	switch w.b[w.i] {
	case 0:
		w.order = binary.BigEndian
	case 1:
		w.order = binary.LittleEndian
	default:
		return 0, false, false, corrupt
	}
	code = w.order.Uint32(w.b[w.i+1:])
	w.i += 5
	const flagZ, flagM = 1 << 31, 1 << 30
	z, m = code&flagZ != 0, code&flagM != 0
	code &^= flagZ | flagM
	switch code / 1000 {
	case 0:
	case 1:
		z = true
	case 2:
		m = true
	case 3:
		z, m = true, true
	default:
		return 0, false, false, unknownType(code)
	}
	return code % 1000, z, m, nil
}

func unknownType(code uint32) *rowError {
	names := map[uint32]string{
		8: "CircularString", 9: "CompoundCurve", 10: "CurvePolygon", 11: "MultiCurve", 12: "MultiSurface",
		13: "Curve", 14: "Surface", 15: "PolyhedralSurface", 16: "TIN", 17: "Triangle",
	}
	if name, ok := names[code%1000]; ok && code < 4000 {
		return &rowError{
			"geometry-type",
			fmt.Sprintf("几何类型 %s（曲线、曲面）不予读取，请先转为折线或多边形", name),
			fmt.Sprintf("geometries of type %s (curves, surfaces) are not read; convert them to lines or polygons first", name),
		}
	}
	return &rowError{"geometry-type", fmt.Sprintf("未知的几何类型代码 %d", code), fmt.Sprintf("unknown geometry type code %d", code)}
}

// count reads a number of items that take at least size bytes each.
func (w *wkbReader) count(size int) (int, *rowError) {
	if len(w.b)-w.i < 4 {
		return 0, corrupt
	}
	n := int64(w.order.Uint32(w.b[w.i:]))
	w.i += 4
	if n*int64(size) > int64(len(w.b)-w.i) {
		return 0, corrupt
	}
	return int(n), nil
}

// geometry reads one geometry of any type, nil when it is empty.
func (w *wkbReader) geometry(depth int) (geom.T, *rowError) {
	code, z, m, err := w.head()
	if err != nil {
		return nil, err
	}
	w.setLayout(z, m)
	w.flat, w.ends, w.endss = w.flat[:0], w.ends[:0], nil
	switch code {
	case wkbPoint:
		err = w.point()
	case wkbLineString:
		err = w.line()
	case wkbPolygon:
		err = w.polygon()
	case wkbMultiPoint, wkbMultiLineString, wkbMultiPolygon:
		err = w.multi(code-wkbMultiPoint+wkbPoint, z, m)
	case wkbCollection:
		return w.collection(depth)
	default:
		err = unknownType(code)
	}
	if err != nil || len(w.flat) == 0 {
		return nil, err
	}
	return w.build(code), nil
}

func (w *wkbReader) setLayout(z, m bool) {
	w.stride, w.dim = 2, 2
	if z {
		w.stride, w.dim = 3, 3
	}
	if m {
		w.stride++
		w.marks |= noteM
	}
}

// build makes a geometry of the coordinates in hand.
func (w *wkbReader) build(code uint32) geom.T {
	layout := geom.XY
	if w.dim == 3 {
		layout = geom.XYZ
	}
	flat := append([]float64(nil), w.flat...)
	switch code {
	case wkbPoint:
		return geom.NewPointFlat(layout, flat)
	case wkbLineString:
		return geom.NewLineStringFlat(layout, flat)
	case wkbPolygon:
		return geom.NewPolygonFlat(layout, flat, append([]int(nil), w.ends...))
	case wkbMultiPoint:
		return geom.NewMultiPointFlat(layout, flat)
	case wkbMultiLineString:
		return geom.NewMultiLineStringFlat(layout, flat, append([]int(nil), w.ends...))
	}
	return geom.NewMultiPolygonFlat(layout, flat, w.endss)
}

// multi reads the parts of a multi geometry; each has a head of its own.
func (w *wkbReader) multi(part uint32, z, m bool) *rowError {
	n, err := w.count(9)
	if err != nil {
		return err
	}
	order := w.order
	for range n {
		w.order = order
		code, pz, pm, err := w.head()
		if err != nil {
			return err
		}
		if code != part || pz != z || pm != m {
			return corrupt
		}
		before := len(w.flat)
		switch part {
		case wkbPoint:
			err = w.point()
		case wkbLineString:
			if err = w.line(); err == nil && len(w.flat) > before {
				w.ends = append(w.ends, len(w.flat))
			}
		default:
			w.ends = nil // kept in endss
			if err = w.polygon(); err == nil && len(w.flat) > before {
				w.endss = append(w.endss, w.ends)
			}
		}
		if err != nil {
			return err
		}
		if len(w.flat) == before {
			w.marks |= notePart
		}
	}
	return nil
}

// point reads a position; one of NaN is the empty point (clause 2.1.3, requirement 152
// of the abstract test suite).
func (w *wkbReader) point() *rowError {
	if len(w.b)-w.i < 8*w.stride {
		return corrupt
	}
	if math.IsNaN(w.float(w.i)) && math.IsNaN(w.float(w.i+8)) {
		w.i += 8 * w.stride
		return nil
	}
	return w.positions(1)
}

func (w *wkbReader) line() *rowError {
	n, err := w.count(8 * w.stride)
	if err != nil {
		return err
	}
	if n == 1 {
		return &rowError{"line-too-short", "线少于两个坐标", "a line has fewer than two positions"}
	}
	return w.positions(n)
}

func (w *wkbReader) polygon() *rowError {
	rings, err := w.count(4)
	if err != nil {
		return err
	}
	for ring := range rings {
		n, err := w.count(8 * w.stride)
		if err != nil {
			return err
		}
		if n == 0 {
			if ring == 0 && rings > 1 {
				return &rowError{"ring-order", "面的外环为空，却有内环", "the exterior ring is empty and yet there are interior rings"}
			}
			w.marks |= notePart
			continue
		}
		from := len(w.flat)
		if err := w.positions(n); err != nil {
			return err
		}
		last := len(w.flat) - w.dim
		if w.flat[from] != w.flat[last] || w.flat[from+1] != w.flat[last+1] {
			w.marks |= noteUnclosed
			w.flat = append(w.flat, w.flat[from:from+w.dim]...)
		}
		if (len(w.flat)-from)/w.dim < 4 {
			return &rowError{"ring-too-short", "环少于四个坐标（首尾相同计两个）", "a ring has fewer than four positions (first and last are the same and count twice)"}
		}
		w.ends = append(w.ends, len(w.flat))
	}
	return nil
}

func (w *wkbReader) float(at int) float64 {
	return math.Float64frombits(w.order.Uint64(w.b[at:]))
}

// positions reads n positions, whose bytes are there, without M.
func (w *wkbReader) positions(n int) *rowError {
	for range n {
		for k := range w.dim {
			v := w.float(w.i + 8*k)
			if k == 2 && math.IsNaN(v) {
				w.marks |= noteZ
			} else if v-v != 0 { // NaN or infinite
				return &rowError{"coordinate-range", fmt.Sprintf("坐标为 %v", v), fmt.Sprintf("a coordinate is %v", v)}
			}
			w.flat = append(w.flat, v)
		}
		w.i += 8 * w.stride
	}
	return nil
}

// collection reads the members of a collection, and of collections inside it.
func (w *wkbReader) collection(depth int) (geom.T, *rowError) {
	if depth > maxCollectionDepth {
		return nil, &rowError{"collection-depth", fmt.Sprintf("GeometryCollection 嵌套超过 %d 层", maxCollectionDepth), fmt.Sprintf("collections are nested more than %d levels deep", maxCollectionDepth)}
	}
	n, err := w.count(9)
	if err != nil {
		return nil, err
	}
	gc := geom.NewGeometryCollection()
	order := w.order
	for range n {
		w.order = order
		g, err := w.geometry(depth + 1)
		switch {
		case err != nil:
			return nil, err
		case g == nil:
			w.marks |= notePart
			continue
		}
		if inner, ok := g.(*geom.GeometryCollection); ok {
			w.marks |= noteFlattened
			gc.MustPush(inner.Geoms()...)
		} else {
			gc.MustPush(g)
		}
	}
	if gc.NumGeoms() == 0 {
		return nil, nil
	}
	for _, g := range gc.Geoms() {
		if g.Layout() != gc.Geom(0).Layout() {
			w.marks |= noteZ
		}
	}
	return gc, nil
}

// firstFlat returns the flat coordinates of a geometry that is not empty, or of the
// first member of a collection.
func firstFlat(g geom.T) []float64 {
	if gc, ok := g.(*geom.GeometryCollection); ok {
		return gc.Geom(0).FlatCoords()
	}
	return g.FlatCoords()
}
