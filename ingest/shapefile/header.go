package shapefile

import (
	"encoding/binary"
	"fmt"
	"math"

	"changde/problem"
)

var (
	be = binary.BigEndian
	le = binary.LittleEndian
)

// header is the main file header (Technical Description, table 1).
type header struct {
	length int64 // bytes, as declared
	typ    ShapeType
	box    [4]float64 // minimum X, minimum Y, maximum X, maximum Y
}

func readHeader(src *source) (header, error) {
	var b [headerLength]byte
	if n, _ := src.ReadAt(b[:], 0); n < headerLength {
		return header{}, problem.New(problem.Invalid, "shapefile-truncated", src.name,
			fmt.Sprintf("文件只有 %d 字节，不足 100 字节的文件头；请重新复制或解压后再报送", src.size),
			fmt.Sprintf("the file has %d bytes, less than its header of 100; copy or unpack it again and resend", src.size))
	}
	if be.Uint32(b[0:]) != 9994 {
		return header{}, problem.New(problem.Invalid, "shapefile-header", src.name,
			"文件头不是 Shapefile 的标识(9994)，这不是 .shp 文件或已损坏；请从原软件重新导出",
			"the header does not begin with the mark of a shapefile (9994): this is no .shp file or it is damaged; export it again")
	}
	h := header{length: 2 * int64(be.Uint32(b[24:])), typ: ShapeType(le.Uint32(b[32:]))}
	for i := range h.box {
		h.box[i] = math.Float64frombits(le.Uint64(b[36+8*i:]))
	}
	if !h.typ.Known() {
		return header{}, problem.New(problem.Unsupported, "shapefile-type", src.name,
			fmt.Sprintf("不认识的图形类型 %d；请导出为点、线、面或多点", int32(h.typ)),
			fmt.Sprintf("the shape type %d is not known; export points, lines, polygons or multipoints", int32(h.typ)))
	}
	return h, nil
}

// parse reads the headers and checks that the files belong together.
func (fs *files) parse() error {
	var err error
	if fs.head, err = readHeader(fs.shp); err != nil {
		return err
	}
	if fs.table, err = readTable(fs.dbf); err != nil {
		return err
	}
	fs.notes = append(fs.notes, fs.table.notes...)
	fs.records = fs.table.records
	switch {
	case fs.shx == nil:
		fs.notes = append(fs.notes, note("no-shx", "缺少 .shx 索引文件，按 .shp 中的顺序读取", "the .shx index is missing, the .shp is read in its own order"))
	default:
		n, ok := indexCount(fs.shx)
		if !ok {
			fs.notes = append(fs.notes, note("shx-unusable", ".shx 索引文件的文件头不正确，未使用它，按 .shp 中的顺序读取",
				"the header of the .shx index is wrong; it is not used and the .shp is read in its own order"))
			fs.shx = nil
			break
		}
		if n != fs.records {
			return mismatch(fs.shx.name, n, fs.records)
		}
	}
	if fs.head.length > fs.shp.size {
		if row := fs.firstBroken(); row > 0 {
			return truncated(fs.shp.name, row)
		}
		fs.notes = append(fs.notes, note("shp-header-length", ".shp 文件头所记长度大于文件实际大小，但各条记录完整",
			"the header of the .shp declares more bytes than the file has, though every record is complete"))
	}
	return nil
}

// indexCount returns the number of entries of a .shx by its header and size, the
// smaller of the two, and whether its header is one.
func indexCount(src *source) (int64, bool) {
	var b [28]byte
	if n, _ := src.ReadAt(b[:], 0); n < len(b) || be.Uint32(b[0:]) != 9994 || src.size < headerLength {
		return 0, false
	}
	n := (src.size - headerLength) / 8
	if declared := (2*int64(be.Uint32(b[24:])) - headerLength) / 8; declared >= 0 && declared < n {
		n = declared
	}
	return n, true
}

// firstBroken returns the first row whose record goes beyond the end of the .shp,
// 0 if there is none.
func (fs *files) firstBroken() int64 {
	shp, shx := window{src: fs.shp}, window{src: fs.shx}
	pos := int64(headerLength)
	for row := int64(1); row <= fs.records; row++ {
		if fs.shx != nil {
			b, err := shx.bytes(headerLength+8*(row-1), 8)
			if err != nil || 2*int64(be.Uint32(b))+8+2*int64(be.Uint32(b[4:])) > fs.shp.size {
				return row
			}
			continue
		}
		b, err := shp.bytes(pos, 8)
		if err != nil {
			return row
		}
		if pos += 8 + 2*int64(be.Uint32(b[4:])); pos > fs.shp.size {
			return row
		}
	}
	return 0
}
