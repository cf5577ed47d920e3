package geopackage

import (
	"encoding/binary"
	"fmt"

	"github.com/twpayne/go-geom"

	"changde/ingest/layer"
)

// rowError says why a geometry cannot be used.
type rowError struct{ code, zh, en string }

func (e *rowError) Error() string { return e.code + ": " + e.en }

// header is the GeoPackageBinaryHeader of clause 2.1.3.1.1.
type header struct {
	srs  int32
	size int // of the header with its envelope
}

// parseHeader reads the header of a geometry blob.
func parseHeader(b []byte) (header, *rowError) {
	if len(b) < 8 || b[0] != 'G' || b[1] != 'P' {
		return header{}, &rowError{"geometry-header", "几何字段的内容不是 GeoPackage 几何（缺少 GP 标识）", "the content of the geometry column is no GeoPackage geometry (no GP at its start)"}
	}
	if b[2] != 0 {
		return header{}, &rowError{"geometry-header", fmt.Sprintf("GeoPackage 几何的版本为 %d，只支持 0", b[2]), fmt.Sprintf("the version of the GeoPackage geometry is %d, only 0 is known", b[2])}
	}
	flags := b[3]
	if flags&0x20 != 0 {
		return header{}, &rowError{"geometry-extended", "几何采用扩展类型，不予读取", "the geometry is of an extended type, which is not read"}
	}
	order := binary.ByteOrder(binary.BigEndian)
	if flags&1 != 0 {
		order = binary.LittleEndian
	}
	envelopes := [...]int{0, 32, 48, 48, 64}
	code := int(flags >> 1 & 7)
	if code >= len(envelopes) {
		return header{}, &rowError{"geometry-header", fmt.Sprintf("GeoPackage 几何的范围代码 %d 无效", code), fmt.Sprintf("the envelope code %d of the GeoPackage geometry is invalid", code)}
	}
	h := header{srs: int32(order.Uint32(b[4:])), size: 8 + envelopes[code]}
	if len(b) < h.size {
		return header{}, corrupt
	}
	return h, nil
}

var corrupt = &rowError{"geometry-corrupt", "几何数据不完整或已损坏", "the data of the geometry are incomplete or corrupt"}

// blobHasZ looks at the type at the head of the WKB.
func blobHasZ(b []byte) bool {
	h, err := parseHeader(b)
	if err != nil {
		return false
	}
	w := wkbReader{b: b, i: h.size}
	_, z, _, err := w.head()
	return err == nil && z
}

// Marks of what was repaired or left out of a geometry.
const (
	noteUnclosed = 1 << iota
	noteEmpty
	notePart
	noteM
	noteZ
	noteFlattened
	noteTrailing
)

var notes = [...]struct {
	mark         int
	code, zh, en string
}{
	{noteUnclosed, "ring-closed", "环未闭合，已补上首点", "a ring was not closed; its first position was added at the end"},
	{noteEmpty, "geometry-empty", "几何没有坐标，按空几何处理", "the geometry has no coordinates and is taken as none"},
	{notePart, "part-empty", "略去了没有坐标的部分", "parts without coordinates were left out"},
	{noteM, "m-dropped", "M 值被略去", "the M values were left out"},
	{noteZ, "z-mixed", "部分高程无效（NaN），该几何只保留平面坐标", "some heights are NaN; the geometry keeps X and Y only"},
	{noteFlattened, "collection-flattened", "嵌套的 GeometryCollection 已展开", "collections inside the collection were dissolved"},
	{noteTrailing, "geometry-trailing", "几何数据之后的多余字节被略去", "bytes after the geometry were left out"},
}

func faultsOf(row int64, marks int, out []layer.Fault) []layer.Fault {
	if marks == 0 {
		return out
	}
	for _, n := range notes {
		if marks&n.mark != 0 {
			out = append(out, layer.Fault{Row: row, Code: n.code, ZH: n.zh, EN: n.en})
		}
	}
	return out
}

// parse reads a geometry blob of a layer with the srs_id. The geometry is in XY or XYZ
// and shares no memory with b; it is nil when it has no coordinates.
func (w *wkbReader) parse(b []byte, srs int32) (g geom.T, marks int, err *rowError) {
	h, err := parseHeader(b)
	if err != nil {
		return nil, 0, err
	}
	if h.srs != srs {
		return nil, 0, &rowError{
			"srs-mixed",
			fmt.Sprintf("该行的 srs_id 为 %d，图层为 %d；同一图层只能用一个坐标系", h.srs, srs),
			fmt.Sprintf("the srs_id of the row is %d, that of the layer %d; a layer has one CRS", h.srs, srs),
		}
	}
	w.b, w.i, w.marks = b, h.size, 0
	g, err = w.geometry(1)
	if err != nil {
		return nil, 0, err
	}
	if w.i < len(b) {
		w.marks |= noteTrailing
	}
	if g == nil {
		w.marks |= noteEmpty
	} else if w.marks&noteZ != 0 {
		g, _ = layer.Layout(g, false)
	}
	return g, w.marks, nil
}
