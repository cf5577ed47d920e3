package features

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"

	"changde/catalog"
	"changde/postgis"
	"changde/problem"
)

// maxDepth bounds how deep collections nest.
const maxDepth = 64

// maxDecimals is the most digits after the point that AppendGeoJSON writes.
const maxDecimals = 15

var geoJSONTypes = [...]string{
	postgis.EWKBPoint: "Point", postgis.EWKBLineString: "LineString", postgis.EWKBPolygon: "Polygon",
	postgis.EWKBMultiPoint: "MultiPoint", postgis.EWKBMultiLineString: "MultiLineString", postgis.EWKBMultiPolygon: "MultiPolygon",
	postgis.EWKBCollection: "GeometryCollection",
}

// AppendGeoJSON appends the geometry as a GeoJSON geometry object (RFC 7946
// section 3.1) to dst. Numbers carry at most decimals digits after the point,
// 0 to 15, without trailing zeros; 8 digits of a degree are about a millimetre.
// Z is kept, M has no place in GeoJSON and is left out. Exterior rings come out
// counter-clockwise and interior rings clockwise (3.1.6). An empty geometry has
// empty coordinates.
//
// Types outside GeoJSON, coordinates that are not finite, collections nested
// deeper than 64 and bytes that are no EWKB are a *problem.Error and leave dst
// as it was.
func AppendGeoJSON(dst []byte, ewkb []byte, decimals int) ([]byte, error) {
	w := geometryWriter{b: ewkb, decimals: min(max(decimals, 0), maxDecimals), box: emptyBox()}
	return w.append(dst)
}

// geometryWriter turns EWKB into GeoJSON without a geometry in between.
type geometryWriter struct {
	b        []byte // what is left to read
	total    int
	decimals int
	be       bool
	box      catalog.Bounds // grows with every position written
	err      error
}

func emptyBox() catalog.Bounds {
	return catalog.Bounds{math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)}
}

func (w *geometryWriter) append(dst []byte) ([]byte, error) {
	w.total = len(w.b)
	out := w.geometry(dst, 0, 0, 0)
	if w.err == nil && len(w.b) != 0 {
		w.fail("几何之后还有多余字节", "there are bytes after the geometry")
	}
	if w.err != nil {
		return dst, w.err
	}
	return out, nil
}

func (w *geometryWriter) fail(zh, en string) {
	if w.err == nil {
		w.err = problem.New(problem.Invalid, "ewkb-corrupt", fmt.Sprintf("EWKB byte %d", w.total-len(w.b)), zh, en)
		w.b = nil
	}
}

func (w *geometryWriter) mixed() {
	w.fail("成员与集合的维度不同", "a member has other dimensions than its collection")
}

// header reads the start of a geometry: its type, how many numbers a position
// has and how many of them GeoJSON keeps. A member of a collection has the numbers
// of the collection.
func (w *geometryWriter) header() (kind uint32, stride, keep int) {
	if len(w.b) < 5 {
		w.fail("几何数据不完整", "the geometry ends early")
		return 0, 2, 2
	}
	switch w.b[0] {
	case 0:
		w.be = true
	case 1:
		w.be = false
	default:
		w.fail("字节序标志既不是 0 也不是 1", "the byte order mark is neither 0 nor 1")
		return 0, 2, 2
	}
	t := w.uint32(1)
	w.b = w.b[5:]
	if t&postgis.EWKBSRID != 0 {
		if len(w.b) < 4 {
			w.fail("几何数据不完整", "the geometry ends early")
			return 0, 2, 2
		}
		w.b = w.b[4:]
	}
	stride, keep = 2, 2
	if t&postgis.EWKBZ != 0 {
		stride, keep = 3, 3
	}
	if t&postgis.EWKBM != 0 {
		stride++
	}
	return t &^ (postgis.EWKBZ | postgis.EWKBM | postgis.EWKBSRID), stride, keep
}

// count reads a count of things that take at least size bytes each.
func (w *geometryWriter) count(size int) int {
	if len(w.b) < 4 {
		w.fail("几何数据不完整", "the geometry ends early")
		return 0
	}
	n := w.uint32(0)
	if uint64(n) > uint64((len(w.b)-4)/size) {
		w.fail("计数超过剩余数据", "a count exceeds the bytes that are left")
		return 0
	}
	w.b = w.b[4:]
	return int(n)
}

// geometry writes one geometry; in a collection, inStride and inKeep are the
// collection's, at the top they are 0.
func (w *geometryWriter) geometry(dst []byte, depth, inStride, inKeep int) []byte {
	kind, stride, keep := w.header()
	if w.err == nil && depth > 0 && (stride != inStride || keep != inKeep) {
		w.mixed()
	}
	if w.err != nil {
		return dst
	}
	if kind < postgis.EWKBPoint || kind > postgis.EWKBCollection {
		w.err = problem.New(problem.Unsupported, "geometry-type-unsupported", "",
			fmt.Sprintf("几何类型 %d（曲线、曲面或三角网）不能写成 GeoJSON；请先用 ST_CurveToLine 等转换", kind),
			fmt.Sprintf("geometry type %d (a curve, surface or triangle) has no GeoJSON; convert it with ST_CurveToLine or the like", kind))
		return dst
	}
	dst = append(dst, `{"type":"`...)
	dst = append(dst, geoJSONTypes[kind]...)
	if kind == postgis.EWKBCollection {
		dst = append(dst, `","geometries":[`...)
		if depth >= maxDepth {
			w.fail("几何集合嵌套过深", "geometry collections are nested too deep")
			return dst
		}
		for i, n := 0, w.count(5); i < n && w.err == nil; i++ {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = w.geometry(dst, depth+1, stride, keep)
		}
		return append(dst, `]}`...)
	}
	dst = append(dst, `","coordinates":`...)
	switch kind {
	case postgis.EWKBPoint:
		if w.emptyPoint(stride) {
			dst = append(dst, `[]`...)
		} else {
			dst = w.position(dst, stride, keep)
		}
	case postgis.EWKBLineString:
		dst = w.positions(dst, stride, keep)
	case postgis.EWKBPolygon:
		dst = w.polygon(dst, stride, keep)
	default:
		dst = w.members(dst, kind-3, stride, keep)
	}
	return append(dst, '}')
}

// members writes the parts of a MultiPoint, MultiLineString or MultiPolygon. An
// empty point among them has no position and is left out.
func (w *geometryWriter) members(dst []byte, want uint32, stride, keep int) []byte {
	dst = append(dst, '[')
	first := true
	for i, n := 0, w.count(5); i < n && w.err == nil; i++ {
		kind, s, k := w.header()
		if w.err == nil && kind != want {
			w.fail("成员类型与其集合不符", "a member is of another type than its collection")
		}
		if w.err == nil && (s != stride || k != keep) {
			w.mixed()
		}
		if w.err != nil {
			return dst
		}
		if want == postgis.EWKBPoint && w.emptyPoint(stride) {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		switch want {
		case postgis.EWKBPoint:
			dst = w.position(dst, stride, keep)
		case postgis.EWKBLineString:
			dst = w.positions(dst, stride, keep)
		case postgis.EWKBPolygon:
			dst = w.polygon(dst, stride, keep)
		}
	}
	return append(dst, ']')
}

// emptyPoint reports whether the point that follows is all NaN, which is how
// PostGIS writes an empty one, and reads past it when it is.
func (w *geometryWriter) emptyPoint(stride int) bool {
	if len(w.b) < 8*stride {
		w.fail("几何数据不完整", "the geometry ends early")
		return true
	}
	for i := range stride {
		if !math.IsNaN(w.float(i)) {
			return false
		}
	}
	w.b = w.b[8*stride:]
	return true
}

func (w *geometryWriter) uint32(at int) uint32 {
	if w.be {
		return binary.BigEndian.Uint32(w.b[at:])
	}
	return binary.LittleEndian.Uint32(w.b[at:])
}

// float reads the i-th number from here.
func (w *geometryWriter) float(i int) float64 {
	if w.be {
		return math.Float64frombits(binary.BigEndian.Uint64(w.b[8*i:]))
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(w.b[8*i:]))
}

func (w *geometryWriter) polygon(dst []byte, stride, keep int) []byte {
	dst = append(dst, '[')
	for i, n := 0, w.count(4); i < n && w.err == nil; i++ {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = w.ring(dst, stride, keep, i == 0)
	}
	return append(dst, ']')
}

func (w *geometryWriter) positions(dst []byte, stride, keep int) []byte {
	dst = append(dst, '[')
	for i, n := 0, w.count(8*stride); i < n && w.err == nil; i++ {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = w.position(dst, stride, keep)
	}
	return append(dst, ']')
}

// ring writes one ring in the direction RFC 7946 asks for.
func (w *geometryWriter) ring(dst []byte, stride, keep int, exterior bool) []byte {
	n := w.count(8 * stride)
	if w.err != nil {
		return dst
	}
	size := 8 * stride
	all := w.b
	rest := all[n*size:]
	area := w.area(n, stride)
	backwards := area < 0 && exterior || area > 0 && !exterior
	dst = append(dst, '[')
	for i := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		at := i * size
		if backwards {
			at = (n - 1 - i) * size
		}
		w.b = all[at:]
		dst = w.position(dst, stride, keep)
		if w.err != nil {
			return dst
		}
	}
	w.b = rest
	return append(dst, ']')
}

// area is twice the signed area of the n positions that follow, positive when
// they turn counter-clockwise, 0 for what has none. The
// first position is the origin, which keeps the digits that large coordinates
// would lose.
func (w *geometryWriter) area(n, stride int) float64 {
	if n < 3 {
		return 0
	}
	x0, y0 := w.float(0), w.float(1)
	var sum, px, py float64
	for i := 1; i < n; i++ {
		x, y := w.float(i*stride)-x0, w.float(i*stride+1)-y0
		sum += px*y - x*py
		px, py = x, y
	}
	return sum
}

func (w *geometryWriter) position(dst []byte, stride, keep int) []byte {
	if len(w.b) < 8*stride {
		w.fail("几何数据不完整", "the geometry ends early")
		return dst
	}
	dst = append(dst, '[')
	for i := range keep {
		v := w.float(i)
		if math.IsNaN(v) || math.IsInf(v, 0) {
			w.fail("坐标值不是有限数", "a coordinate is not a finite number")
			return dst
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendDecimal(dst, v, w.decimals)
		if i < 2 {
			w.box[i] = min(w.box[i], v)
			w.box[i+2] = max(w.box[i+2], v)
		}
	}
	w.b = w.b[8*stride:]
	return append(dst, ']')
}

var powers = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// appendDecimal writes v rounded to that many digits after the point, without
// trailing zeros and without an exponent.
func appendDecimal(dst []byte, v float64, decimals int) []byte {
	scaled := v * powers[decimals]
	if !(math.Abs(scaled) < 1<<52) {
		from := len(dst)
		dst = strconv.AppendFloat(dst, v, 'f', decimals, 64)
		return trimZeros(dst, from)
	}
	n := int64(math.Abs(scaled) + 0.5)
	if n == 0 {
		return append(dst, '0')
	}
	for decimals > 0 && n%10 == 0 {
		n /= 10
		decimals--
	}
	var buf [40]byte // filled from the right
	at := len(buf)
	if decimals > 0 {
		for range decimals {
			at--
			buf[at] = byte('0' + n%10)
			n /= 10
		}
		at--
		buf[at] = '.'
	}
	for {
		at--
		buf[at] = byte('0' + n%10)
		if n /= 10; n == 0 {
			break
		}
	}
	if v < 0 {
		at--
		buf[at] = '-'
	}
	return append(dst, buf[at:]...)
}

func trimZeros(dst []byte, from int) []byte {
	point := false
	for _, c := range dst[from:] {
		point = point || c == '.'
	}
	if !point {
		return dst
	}
	for dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
	}
	if dst[len(dst)-1] == '.' {
		dst = dst[:len(dst)-1]
	}
	if string(dst[from:]) == "-0" {
		dst = append(dst[:from], '0')
	}
	return dst
}
