package shapefile

import (
	"fmt"
	"math"

	"github.com/twpayne/go-geom"

	"changde/ingest/layer"
)

// corrupt is why a geometry cannot be used; it becomes a fault that loses the row.
type corrupt struct{ code, zh, en string }

func broken(zh, en string) *corrupt { return &corrupt{"geometry-corrupt", zh, en} }

// shape is one record taken apart.
type shape struct {
	typ    ShapeType
	stride int
	layout geom.Layout
	parts  []byte // int32 offsets
	xy     []byte
	z, m   []byte
	points int
}

// geometry decodes the content of a record. Everything it allocates is bounded by
// the length of the content.
func (r *Reader) geometry(b []byte, f *layer.Feature) (geom.T, *corrupt) {
	if len(b) < 4 {
		return nil, broken("图形记录过短，没有图形类型", "the record is too short to hold a shape type")
	}
	typ := ShapeType(le.Uint32(b))
	switch {
	case typ == Null:
		return nil, nil
	case typ == MultiPatch:
		return nil, &corrupt{"multipatch-unsupported", "三维多面体(MultiPatch)不支持；请转换为多边形后再报送", "a MultiPatch is not supported; convert it to polygons"}
	case !typ.Known():
		return nil, broken(fmt.Sprintf("不认识的图形类型 %d", int32(typ)), fmt.Sprintf("the shape type %d is not known", int32(typ)))
	case typ != r.head.typ && r.first(&r.told.mixed):
		f.Faults = append(f.Faults, layer.Fault{
			Row: f.Row, Code: "shape-type-mixed",
			ZH: fmt.Sprintf("自本条起有图形的类型(%s)与文件声明的(%s)不同，按各自类型读取", typ, r.head.typ),
			EN: fmt.Sprintf("from this record on some shapes are of another type (%s) than the file declares (%s); each is read as what it is", typ, r.head.typ),
		})
	}
	s := shape{typ: typ, stride: 2, layout: geom.XY}
	if typ.HasZ() {
		s.stride, s.layout = 3, geom.XYZ
	}
	if typ.base() == Point {
		return r.point(&s, b[4:], f)
	}
	if c := s.split(b[4:]); c != nil {
		return nil, c
	}
	r.measures(s.m, f)
	if s.points == 0 {
		return nil, nil
	}
	switch typ.base() {
	case MultiPoint:
		flat, ok := s.coordinates()
		if !ok {
			return nil, notFinite()
		}
		return geom.NewMultiPointFlat(s.layout, flat), nil
	case PolyLine:
		return r.polyline(&s, f)
	}
	return r.polygon(&s, f)
}

func notFinite() *corrupt {
	return broken("坐标中有无效数值(NaN 或无穷大)", "a coordinate is not a finite number (NaN or infinite)")
}

func (r *Reader) point(s *shape, b []byte, f *layer.Feature) (geom.T, *corrupt) {
	n := 8 * s.stride
	if len(b) < n {
		return nil, broken("点记录过短", "the record of the point is too short")
	}
	flat := make([]float64, s.stride)
	if !floats(flat, b) {
		return nil, notFinite()
	}
	if s.typ != Point && len(b) >= n+8 {
		r.measures(b[n:n+8], f)
	}
	return geom.NewPointFlat(s.layout, flat), nil
}

// split finds the arrays of a record with many points (Technical Description,
// tables 3 to 16): box, counts, part offsets, X and Y; then for Z types the range
// and values of Z; then, optionally for Z types, the range and values of M.
func (s *shape) split(b []byte) *corrupt {
	counts, head := 36, 40
	if s.typ.base() == MultiPoint {
		counts, head = 32, 36
	}
	if len(b) < head {
		return broken("图形记录过短，没有点数", "the record is too short to hold its counts")
	}
	parts := 0
	if s.typ.base() != MultiPoint {
		parts = int(int32(le.Uint32(b[32:])))
	}
	points := int(int32(le.Uint32(b[counts:])))
	rest := b[head:]
	// One by one, so that no sum overflows.
	if parts < 0 || points < 0 || parts > len(rest)/4 || points > (len(rest)-4*parts)/(8*s.stride) {
		return broken(fmt.Sprintf("记录声称有 %d 个部分、%d 个点，与记录长度 %d 字节不符", parts, points, len(b)+4),
			fmt.Sprintf("the record claims %d parts and %d points, which its %d bytes cannot hold", parts, points, len(b)+4))
	}
	s.points = points
	s.parts, rest = rest[:4*parts], rest[4*parts:]
	s.xy, rest = rest[:16*points], rest[16*points:]
	if s.stride == 3 {
		if len(rest) < 16+8*points {
			return broken("记录中缺少部分 Z 值", "a part of the Z values is missing in the record")
		}
		s.z, rest = rest[16:16+8*points], rest[16+8*points:]
	}
	if s.typ > 10 && len(rest) >= 16+8*points {
		s.m = rest[16 : 16+8*points]
	}
	return nil
}

// part returns the range of points of one part.
func (s *shape) part(i int) (from, to int, ok bool) {
	from, to = int(int32(le.Uint32(s.parts[4*i:]))), s.points
	if 4*(i+1) < len(s.parts) {
		to = int(int32(le.Uint32(s.parts[4*(i+1):])))
	}
	return from, to, from >= 0 && from <= to && to <= s.points && (i > 0 || from == 0)
}

func (s *shape) numParts() int { return len(s.parts) / 4 }

func badParts() *corrupt {
	return broken("各部分的起点顺序有误", "the offsets of the parts are out of order")
}

// coordinates returns the flat coordinates and whether all are finite.
func (s *shape) coordinates() ([]float64, bool) {
	flat := make([]float64, s.points*s.stride)
	if s.stride == 2 {
		return flat, floats(flat, s.xy)
	}
	ok := true
	for i := range s.points {
		ok = floats(flat[3*i:3*i+2], s.xy[16*i:]) && floats(flat[3*i+2:3*i+3], s.z[8*i:]) && ok
	}
	return flat, ok
}

// floats decodes len(dst) numbers and reports whether all are finite.
func floats(dst []float64, src []byte) bool {
	const exponent = 0x7FF0000000000000
	src = src[:8*len(dst)]
	ok := true
	for i := range dst {
		bits := le.Uint64(src[8*i:])
		if bits&exponent == exponent {
			ok = false
		}
		dst[i] = math.Float64frombits(bits)
	}
	return ok
}

// measures tells once in a file that real M values are dropped.
func (r *Reader) measures(m []byte, f *layer.Feature) {
	if r.told.measures {
		return
	}
	for ; len(m) >= 8; m = m[8:] {
		if v := math.Float64frombits(le.Uint64(m)); v > noDataM {
			r.told.measures = true
			f.Faults = append(f.Faults, layer.Fault{
				Row: f.Row, Code: "m-dropped", ZH: "自本条起图形带有 M 值（测量值）,M 值不入库", EN: "from this record on shapes carry M values (measures), which are not kept",
			})
			return
		}
	}
}

func (r *Reader) polyline(s *shape, f *layer.Feature) (geom.T, *corrupt) {
	flat, ok := s.coordinates()
	if !ok {
		return nil, notFinite()
	}
	if s.numParts() == 0 {
		return nil, badParts()
	}
	ends := make([]int, 0, s.numParts())
	used, dropped := 0, 0
	for i := range s.numParts() {
		from, to, ok := s.part(i)
		if !ok {
			return nil, badParts()
		}
		if to-from < 2 {
			dropped++
			continue
		}
		used += copy(flat[used:], flat[from*s.stride:to*s.stride])
		ends = append(ends, used)
	}
	if len(ends) == 0 {
		return nil, broken("线的各部分都不足两个点", "no part of the line has two points")
	}
	if dropped > 0 {
		f.Faults = append(f.Faults, layer.Fault{
			Row: f.Row, Code: "part-dropped", ZH: fmt.Sprintf("有 %d 个部分不足两个点，已舍去", dropped), EN: fmt.Sprintf("%d parts have less than two points and were dropped", dropped),
		})
	}
	flat = flat[:used]
	if len(ends) == 1 {
		return geom.NewLineStringFlat(s.layout, flat), nil
	}
	return geom.NewMultiLineStringFlat(s.layout, flat, ends), nil
}

func (r *Reader) polygon(s *shape, f *layer.Feature) (geom.T, *corrupt) {
	parts := s.numParts()
	if parts == 0 {
		return nil, badParts()
	}
	flat, ok := s.coordinates()
	if !ok {
		return nil, notFinite()
	}
	if parts == 1 && s.closed(flat) && s.points >= 4 {
		if from, _, ok := s.part(0); !ok || from != 0 {
			return nil, badParts()
		}
		if signedArea(flat, s.stride) > 0 {
			r.reversed(f)
		}
		ends := []int{len(flat)}
		return geom.NewPolygonFlat(s.layout, flat, ends), nil
	}
	rings := r.rings[:0]
	short, open := 0, 0
	for i := range parts {
		from, to, ok := s.part(i)
		if !ok {
			return nil, badParts()
		}
		c := flat[from*s.stride : to*s.stride : to*s.stride]
		if len(c) > 0 && !s.closed(c) {
			open++
			c = append(c, c[:s.stride]...)
		}
		if len(c) < 4*s.stride {
			short++
			continue
		}
		rings = append(rings, newRing(c, s.stride))
	}
	r.rings = rings
	defer clear(rings) // the coordinates are the feature's
	if len(rings) == 0 {
		return nil, broken("多边形的各环都不足 4 个点", "no ring of the polygon has 4 points")
	}
	if short > 0 {
		f.Faults = append(f.Faults, layer.Fault{
			Row: f.Row, Code: "ring-dropped", ZH: fmt.Sprintf("有 %d 个环不足 4 个点，已舍去", short), EN: fmt.Sprintf("%d rings have less than 4 points and were dropped", short),
		})
	}
	if open > 0 {
		f.Faults = append(f.Faults, layer.Fault{
			Row: f.Row, Code: "ring-closed", ZH: fmt.Sprintf("有 %d 个环首尾不闭合，已补上终点", open), EN: fmt.Sprintf("%d rings were not closed; the last point was added", open),
		})
	}
	groups, turned, ok := nest(rings, s.stride, workLimit)
	if !ok {
		return nil, &corrupt{"geometry-too-complex", "环数过多且相互重叠，无法判定内外环；请检查并拆分该图形", "too many overlapping rings to tell shells from holes; check and split the shape"}
	}
	if turned {
		r.reversed(f)
	}
	return build(s.layout, rings, groups), nil
}

// closed reports whether the first and the last point of a ring are the same.
func (s *shape) closed(c []float64) bool {
	last := len(c) - s.stride
	return last >= 0 && c[0] == c[last] && c[1] == c[last+1]
}

// reversed tells once in a file that the rings run the wrong way.
func (r *Reader) reversed(f *layer.Feature) {
	if !r.first(&r.told.reversed) {
		return
	}
	f.Faults = append(f.Faults, layer.Fault{
		Row: f.Row, Code: "ring-orientation",
		ZH: "自本条起有多边形的环方向与规范（外环顺时针）相反，已按包含关系判定内外环",
		EN: "from this record on some polygons have rings that do not run as specified (shells clockwise); shells and holes were told apart by what contains what",
	})
}

// build makes a Polygon of one group of rings, or a MultiPolygon of several. A
// group is a shell followed by its holes.
func build(layout geom.Layout, rings []ring, groups [][]int32) geom.T {
	n := 0
	for i := range rings {
		n += len(rings[i].flat)
	}
	flat := make([]float64, 0, n)
	endss := make([][]int, len(groups))
	for i, group := range groups {
		endss[i] = make([]int, len(group))
		for j, id := range group {
			flat = append(flat, rings[id].flat...)
			endss[i][j] = len(flat)
		}
	}
	if len(groups) == 1 {
		return geom.NewPolygonFlat(layout, flat, endss[0])
	}
	return geom.NewMultiPolygonFlat(layout, flat, endss)
}
