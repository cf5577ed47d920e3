package shapefile

import (
	"bytes"
	"fmt"

	"changde/ingest/layer"
	"changde/problem"
)

// column is one field of the table as the file declares it.
type column struct {
	raw      []byte // name as stored
	name     string // name for messages, set when the reader decodes it
	kind     byte   // type letter
	off      int    // offset in the row, the deletion flag counted
	width    int
	decimals int
	typ      layer.Type
	memo     memo
}

// table is the header of a DBF.
type table struct {
	version byte
	ldid    byte
	records int64
	start   int64 // offset of the first row
	rowSize int
	columns []column
	notes   []layer.Fault
}

// readTable reads the header of a dBASE III/IV or FoxPro table.
func readTable(src *source) (*table, error) {
	bad := func(zh, en string) error {
		return problem.New(problem.Invalid, "dbf-header", src.name,
			zh+"，属性表已损坏；请从原软件重新导出", en+": the table is damaged; export it again")
	}
	var h [32]byte
	if n, _ := src.ReadAt(h[:], 0); n < len(h) {
		return nil, problem.New(problem.Invalid, "shapefile-truncated", src.name,
			fmt.Sprintf("文件只有 %d 字节，不足 32 字节的文件头；请重新复制或解压后再报送", src.size),
			fmt.Sprintf("the file has %d bytes, less than its header of 32; copy or unpack it again and resend", src.size))
	}
	t := &table{
		version: h[0], ldid: h[29], records: int64(le.Uint32(h[4:])),
		start: int64(le.Uint16(h[8:])), rowSize: int(le.Uint16(h[10:])),
	}
	switch {
	case t.version&7 == 4:
		return nil, problem.New(problem.Unsupported, "dbf-version", src.name,
			"属性表是 dBASE 7 格式，不支持；请导出为 dBASE III/IV 格式(Shapefile 的标准格式)",
			"the table is in dBASE 7 format, which is not supported; export it as dBASE III or IV, the standard of shapefiles")
	case t.version&7 != 3 && (t.version < 0x30 || t.version > 0x32) && t.version != 0xF5:
		return nil, problem.New(problem.Unsupported, "dbf-version", src.name,
			fmt.Sprintf("属性表的版本标识 0x%02X 不受支持，或这不是 .dbf 文件；请导出为 dBASE III/IV 格式", t.version),
			fmt.Sprintf("the version mark 0x%02X of the table is not supported, or this is no .dbf file; export it as dBASE III or IV", t.version))
	}
	if t.start < 33 || t.start > src.size {
		return nil, bad(fmt.Sprintf("文件头长度 %d 不合理", t.start), fmt.Sprintf("the header length %d makes no sense", t.start))
	}
	head := make([]byte, t.start-32)
	if n, _ := src.ReadAt(head, 32); n < len(head) {
		return nil, bad("文件头不完整", "the header is incomplete")
	}
	for len(head) >= 32 && head[0] != 0x0D {
		if err := t.add(head[:32]); err != nil {
			return nil, bad(fmt.Sprintf("第 %d 个字段的定义有误", len(t.columns)+1), fmt.Sprintf("the descriptor of field %d is wrong", len(t.columns)+1))
		}
		head = head[32:]
	}
	if !t.place() {
		return nil, bad(fmt.Sprintf("各字段宽度之和超过记录长度 %d", t.rowSize), fmt.Sprintf("the fields are wider than the record of %d bytes", t.rowSize))
	}
	if whole := (src.size - t.start) / int64(t.rowSize); whole < t.records {
		return nil, truncated(src.name, whole+1)
	} else if rest := src.size - t.start - t.records*int64(t.rowSize); rest > 1024 && rest >= int64(t.rowSize) {
		// Some bytes of padding and an end mark are usual.
		t.notes = append(t.notes, note("dbf-trailing", fmt.Sprintf(".dbf 在 %d 条记录之后还有 %d 字节，未读取", t.records, rest),
			fmt.Sprintf("the .dbf has %d bytes after its %d rows, which are not read", rest, t.records)))
	}
	kept := t.columns[:0]
	for _, c := range t.columns {
		// The null flags of Visual FoxPro are no attribute.
		if c.kind == '0' {
			continue
		}
		t.classify(&c)
		kept = append(kept, c)
	}
	t.columns = kept
	return t, nil
}

// add reads one field descriptor.
func (t *table) add(d []byte) error {
	raw := d[:11]
	if i := bytes.IndexByte(raw, 0); i >= 0 {
		raw = raw[:i]
	}
	c := column{raw: bytes.Clone(bytes.Trim(raw, " ")), kind: d[11], width: int(d[16]), decimals: int(d[17])}
	if c.kind >= 'a' && c.kind <= 'z' {
		c.kind -= 'a' - 'A'
	}
	t.columns = append(t.columns, c)
	if c.kind == 'C' && c.width+c.decimals == 0 || c.kind != 'C' && c.width == 0 {
		return fmt.Errorf("field %d has no width", len(t.columns))
	}
	return nil
}

// place gives every column its offset. The decimals byte of a text field is the
// high byte of its width in some dialects and a leftover in others: the record
// length tells which.
func (t *table) place() bool {
	wide, narrow := 1, 1
	for _, c := range t.columns {
		narrow += c.width
		wide += c.width
		if c.kind == 'C' {
			wide += c.decimals << 8
		}
	}
	if t.rowSize < 1 || narrow > t.rowSize {
		return false
	}
	trick := wide <= t.rowSize && narrow != t.rowSize
	off := 1
	for i := range t.columns {
		c := &t.columns[i]
		if c.kind == 'C' {
			if trick {
				c.width += c.decimals << 8
			}
			c.decimals = 0
		}
		c.off = off
		off += c.width
	}
	return true
}

// classify chooses the type of a column's values. A float64 keeps every decimal
// number of 15 significant digits; a wider number stays an exact decimal, and an
// integer of up to 18 digits fits an int64.
func (t *table) classify(c *column) {
	switch c.kind {
	case 'N', 'F':
		switch {
		case c.decimals == 0 && c.width <= 18:
			c.typ = layer.Integer
		case c.width <= 15:
			c.typ = layer.Real
		default:
			c.typ = layer.Decimal
		}
	case 'L':
		c.typ = layer.Boolean
	case 'D':
		c.typ = layer.Date
	case 'I':
		if c.width == 4 {
			c.typ, c.decimals = layer.Integer, 0
			return
		}
		c.kind = 'C'
	case 'B', 'O':
		if c.width == 8 {
			c.typ = layer.Real
			return
		}
		c.kind = 'M'
	case 'Y':
		if c.width == 8 {
			c.typ, c.decimals = layer.Decimal, 4
			return
		}
		c.kind = 'C'
	case 'T', '@':
		if c.width == 8 {
			c.typ = layer.Timestamp
			return
		}
		c.kind = 'C'
	case 'M', 'G', 'P', 'W':
		c.kind = 'M'
	case 'C':
	default:
		t.notes = append(t.notes, layer.Fault{
			Field: string(bytes.ToValidUTF8(c.raw, []byte("\uFFFD"))), Code: "field-type-unknown",
			ZH: fmt.Sprintf("字段类型 %q 不认识，按文本读取", c.kind), EN: fmt.Sprintf("the field type %q is not known, read as text", c.kind),
		})
		c.kind = 'C'
	}
}
