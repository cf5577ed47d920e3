package postgis

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/twpayne/go-geom"

	"changde/problem"
)

// DecodeEWKB reads one geometry from EWKB of either byte order, as PostGIS
// sends it; plain WKB of two dimensions is EWKB too. The geometry carries the
// SRID of the bytes, and so do the members of a collection. Coordinates keep
// their order and units; a point whose X and Y are NaN is an empty point.
//
// Memory stays in proportion to len(b): each count is compared with the bytes
// that are left before anything is allocated for it. Curves, surfaces and
// triangles, bytes that end early or go on, members of another dimension than
// their collection and collections nested deeper than 64 are a *problem.Error
// that names the offset. The geometry does not refer to b afterwards.
func DecodeEWKB(b []byte) (geom.T, error) {
	d := decoder{b: b}
	g, err := d.geometry(0, 0, 0, 0)
	if err != nil {
		return nil, err
	}
	if d.at != len(b) {
		return nil, d.corrupt("几何之后还有多余字节", "there are bytes after the geometry")
	}
	return g, nil
}

// decoder reads b from at, in the byte order of the geometry it is in.
type decoder struct {
	b  []byte
	at int
	be bool
}

// head is the header of one geometry.
type head struct {
	kind   uint32
	layout geom.Layout
	srid   int
}

func (d *decoder) corrupt(zh, en string) error {
	return problem.New(problem.Invalid, "ewkb-corrupt", fmt.Sprintf("EWKB byte %d", d.at), zh, en)
}

func (d *decoder) short() error {
	return d.corrupt("几何数据不完整", "the geometry ends early")
}

// geometry reads one geometry. want is the type a member must have and layout
// the one of its parent, 0 for any.
func (d *decoder) geometry(depth int, want uint32, parent geom.Layout, srid int) (geom.T, error) {
	h, err := d.header(want, parent, srid)
	if err != nil {
		return nil, err
	}
	stride := h.layout.Stride()
	switch h.kind {
	case EWKBPoint:
		flat, err := d.point(nil, stride)
		if err != nil {
			return nil, err
		}
		if len(flat) == 0 {
			return geom.NewPointEmpty(h.layout).SetSRID(h.srid), nil
		}
		return geom.NewPointFlat(h.layout, flat).SetSRID(h.srid), nil
	case EWKBLineString:
		flat, err := d.line(nil, stride)
		if err != nil {
			return nil, err
		}
		return geom.NewLineStringFlat(h.layout, flat).SetSRID(h.srid), nil
	case EWKBPolygon:
		flat, ends, err := d.rings(nil, stride)
		if err != nil {
			return nil, err
		}
		return geom.NewPolygonFlat(h.layout, flat, ends).SetSRID(h.srid), nil
	case EWKBMultiPoint, EWKBMultiLineString:
		return d.parts(h)
	case EWKBMultiPolygon:
		return d.multiPolygon(h)
	case EWKBCollection:
		return d.collection(h, depth)
	}
	return nil, problem.New(problem.Unsupported, "geometry-type-unsupported", fmt.Sprintf("EWKB byte %d", d.at),
		fmt.Sprintf("几何类型 %d（曲线、曲面或三角网）不受支持；请先用 ST_CurveToLine 等转换", h.kind),
		fmt.Sprintf("geometry type %d (a curve, surface or triangle) is not supported; convert it with ST_CurveToLine or the like", h.kind))
}

func (d *decoder) header(want uint32, parent geom.Layout, srid int) (head, error) {
	if len(d.b)-d.at < 5 {
		return head{}, d.short()
	}
	switch d.b[d.at] {
	case 0:
		d.be = true
	case 1:
		d.be = false
	default:
		return head{}, d.corrupt("字节序标志既不是 0 也不是 1", "the byte order mark is neither 0 nor 1")
	}
	d.at++
	t := d.uint32()
	h := head{kind: t &^ (EWKBZ | EWKBM | EWKBSRID), layout: geom.XY, srid: srid}
	switch t & (EWKBZ | EWKBM) {
	case EWKBZ:
		h.layout = geom.XYZ
	case EWKBM:
		h.layout = geom.XYM
	case EWKBZ | EWKBM:
		h.layout = geom.XYZM
	}
	if t&EWKBSRID != 0 {
		if len(d.b)-d.at < 4 {
			return head{}, d.short()
		}
		own := int(int32(d.uint32()))
		if own < 0 || own > maxSRID {
			return head{}, d.corrupt(fmt.Sprintf("SRID %d 超出范围", own), fmt.Sprintf("SRID %d is out of range", own))
		}
		if parent == geom.NoLayout {
			h.srid = own
		}
	}
	if want != 0 && h.kind != want {
		return head{}, d.corrupt(fmt.Sprintf("成员类型为 %d，应为 %d", h.kind, want),
			fmt.Sprintf("a member has type %d where %d is due", h.kind, want))
	}
	if parent != geom.NoLayout && h.layout != parent {
		return head{}, d.corrupt("成员与集合的维度不同", "a member has other dimensions than its collection")
	}
	return h, nil
}

// uint32 needs the caller to have seen that four bytes are left.
func (d *decoder) uint32() uint32 {
	v := d.b[d.at:]
	d.at += 4
	if d.be {
		return binary.BigEndian.Uint32(v)
	}
	return binary.LittleEndian.Uint32(v)
}

// count reads a count of things of at least size bytes each.
func (d *decoder) count(size int) (int, error) {
	if len(d.b)-d.at < 4 {
		return 0, d.short()
	}
	n := int64(d.uint32())
	if n > int64((len(d.b)-d.at)/size) {
		d.at -= 4
		return 0, d.corrupt(fmt.Sprintf("计数 %d 超过剩余数据", n), fmt.Sprintf("the count %d exceeds the bytes that are left", n))
	}
	return int(n), nil
}

// floats appends n numbers to flat; the caller has compared n with what is left.
func (d *decoder) floats(flat []float64, n int) []float64 {
	if cap(flat)-len(flat) < n {
		flat = append(make([]float64, 0, max(len(flat)+n, 2*len(flat))), flat...)
	}
	in := d.b[d.at : d.at+8*n]
	d.at += 8 * n
	if d.be {
		for ; len(in) >= 8; in = in[8:] {
			flat = append(flat, math.Float64frombits(binary.BigEndian.Uint64(in)))
		}
		return flat
	}
	for ; len(in) >= 8; in = in[8:] {
		flat = append(flat, math.Float64frombits(binary.LittleEndian.Uint64(in)))
	}
	return flat
}

// point appends one point to flat, nothing when it is empty.
func (d *decoder) point(flat []float64, stride int) ([]float64, error) {
	if len(d.b)-d.at < 8*stride {
		return nil, d.short()
	}
	from := len(flat)
	flat = d.floats(flat, stride)
	if math.IsNaN(flat[from]) && math.IsNaN(flat[from+1]) {
		return flat[:from], nil
	}
	return flat, nil
}

func (d *decoder) line(flat []float64, stride int) ([]float64, error) {
	n, err := d.count(8 * stride)
	if err != nil {
		return nil, err
	}
	return d.floats(flat, n*stride), nil
}

// rings appends the rings of one polygon to flat; ends count from flat's start.
func (d *decoder) rings(flat []float64, stride int) ([]float64, []int, error) {
	n, err := d.count(4)
	if err != nil || n == 0 {
		return flat, nil, err
	}
	ends := make([]int, n)
	for i := range ends {
		if flat, err = d.line(flat, stride); err != nil {
			return nil, nil, err
		}
		ends[i] = len(flat)
	}
	return flat, ends, nil
}

func (d *decoder) parts(h head) (geom.T, error) {
	stride := h.layout.Stride()
	want, size := uint32(EWKBPoint), 5+8*stride
	if h.kind == EWKBMultiLineString {
		want, size = EWKBLineString, 9
	}
	n, err := d.count(size)
	if err != nil {
		return nil, err
	}
	var flat []float64
	ends := make([]int, n)
	for i := range ends {
		if _, err := d.header(want, h.layout, h.srid); err != nil {
			return nil, err
		}
		if want == EWKBPoint {
			flat, err = d.point(flat, stride)
		} else {
			flat, err = d.line(flat, stride)
		}
		if err != nil {
			return nil, err
		}
		ends[i] = len(flat)
	}
	if want == EWKBPoint {
		return geom.NewMultiPointFlat(h.layout, flat, geom.NewMultiPointFlatOptionWithEnds(ends)).SetSRID(h.srid), nil
	}
	return geom.NewMultiLineStringFlat(h.layout, flat, ends).SetSRID(h.srid), nil
}

func (d *decoder) multiPolygon(h head) (geom.T, error) {
	n, err := d.count(9)
	if err != nil {
		return nil, err
	}
	var flat []float64
	endss := make([][]int, n)
	for i := range endss {
		if _, err := d.header(EWKBPolygon, h.layout, h.srid); err != nil {
			return nil, err
		}
		if flat, endss[i], err = d.rings(flat, h.layout.Stride()); err != nil {
			return nil, err
		}
	}
	return geom.NewMultiPolygonFlat(h.layout, flat, endss).SetSRID(h.srid), nil
}

func (d *decoder) collection(h head, depth int) (geom.T, error) {
	if depth >= maxDepth {
		return nil, d.corrupt(fmt.Sprintf("几何集合嵌套超过 %d 层", maxDepth),
			fmt.Sprintf("geometry collections are nested deeper than %d", maxDepth))
	}
	n, err := d.count(9)
	if err != nil {
		return nil, err
	}
	gc := geom.NewGeometryCollection().SetSRID(h.srid)
	if n == 0 {
		if err := gc.SetLayout(h.layout); err != nil {
			return nil, fmt.Errorf("set the layout of an empty collection: %w", err)
		}
		return gc, nil
	}
	for range n {
		member, err := d.geometry(depth+1, 0, h.layout, h.srid)
		if err != nil {
			return nil, err
		}
		if err := gc.Push(member); err != nil {
			return nil, fmt.Errorf("add to a collection: %w", err)
		}
	}
	return gc, nil
}
