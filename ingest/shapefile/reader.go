package shapefile

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"changde/ingest/layer"
	"changde/problem"
)

// Options say how to read. The zero value works.
type Options struct {
	// Decode turns the bytes of a name or text into valid UTF-8 without NUL. cut is
	// the number of bytes of an unfinished character it dropped at the end, bad
	// the number of bytes it could not decode and replaced. b is valid during the
	// call only. Nil decodes UTF-8 leniently.
	Decode func(b []byte) (s string, cut, bad int)
}

// Reader reads the rows of a shapefile in order. It implements layer.Reader.
type Reader struct {
	*files
	decode func([]byte) (string, int, int)
	fields []layer.Field

	mainFile, index, rows window

	row   int64 // last row returned
	pos   int64 // where the next record of the .shp begins
	spent int64 // bytes of records read
	err   error // sticky
	rings []ring
	told  struct{ measures, reversed, mixed, number, order bool }

	// Features and their values are cut from slabs: one allocation for many rows.
	slab   []layer.Feature
	values []any
}

var _ layer.Reader = (*Reader)(nil)

// Open opens the shapefile whose .shp is at path; the other files are found beside
// it whatever the case of their names. It returns a *problem.Error when the files
// are no shapefile, are incomplete or do not belong together.
func Open(path string, o Options) (*Reader, error) {
	fs, err := openFiles(path)
	if err != nil {
		return nil, err
	}
	r, err := newReader(fs, o)
	if err != nil {
		fs.close()
		return nil, err
	}
	return r, nil
}

func newReader(fs *files, o Options) (*Reader, error) {
	if err := fs.parse(); err != nil {
		return nil, err
	}
	r := &Reader{files: fs, decode: o.Decode, pos: headerLength}
	if r.decode == nil {
		r.decode = lenient
	}
	r.mainFile.src, r.index.src, r.rows.src = fs.shp, fs.shx, fs.dbf
	for i := range fs.table.columns {
		c := &fs.table.columns[i]
		name, cut, bad := r.decode(c.raw)
		name = strings.TrimSpace(name)
		if name == "" {
			name = fmt.Sprintf("field_%d", i+1)
			r.noteField(name, "field-name-empty", fmt.Sprintf("第 %d 个字段没有名称，称为 %s", i+1, name), fmt.Sprintf("field %d has no name and is called %s", i+1, name))
		}
		c.name = name
		if cut > 0 {
			r.noteField(name, "field-name-cut", "字段名在 10 字节处截断了半个汉字，已舍去半个字，名称可能不全",
				"the field name is cut within a character at 10 bytes; the half was dropped and the name may be incomplete")
		}
		if bad > 0 {
			r.noteField(name, "field-name-undecodable", "字段名中有不能按所选编码解释的字节", "the field name holds bytes that mean nothing in the chosen encoding")
		}
		if c.kind == 'M' {
			r.noteField(name, "memo-not-read", "备注(Memo)类字段的内容不在 .dbf 内，不读取，按空值处理", "the content of a memo field is not in the .dbf; it is not read and taken as missing")
		}
		r.fields = append(r.fields, layer.Field{Name: name, Type: c.typ, Width: c.width, Decimals: c.decimals})
	}
	return r, nil
}

func (r *Reader) noteField(field, code, zh, en string) {
	r.notes = append(r.notes, layer.Fault{Field: field, Code: code, ZH: zh, EN: en})
}

// Fields returns the fields of the table. A number is Real where 15 digits suffice,
// because a float64 keeps 15 significant digits exactly, else Decimal; an integer
// of more than 18 digits is Decimal too.
func (r *Reader) Fields() []layer.Field { return r.fields }

// Notes returns what is to be told about the file as a whole: a missing .shx,
// field names cut within a character, and the like. Row is 0.
func (r *Reader) Notes() []layer.Fault { return r.notes }

// Records returns the number of rows, deleted ones included.
func (r *Reader) Records() int64 { return r.records }

// Close closes the files.
func (r *Reader) Close() error { return r.close() }

const slabRows = 32

// Next implements layer.Reader. Rows marked as deleted are returned with a fault
// that loses them, so that the report can name them.
func (r *Reader) Next() (*layer.Feature, error) {
	if r.err != nil {
		return nil, r.err
	}
	f, err := r.next()
	if err != nil {
		r.err = err
		return nil, err
	}
	return f, nil
}

func (r *Reader) next() (*layer.Feature, error) {
	if r.row == r.records {
		return nil, r.end()
	}
	r.row++
	f := r.feature()
	content, size, err := r.record(f)
	if err != nil {
		return nil, err
	}
	row, err := r.rows.bytes(r.table.start+(r.row-1)*int64(r.table.rowSize), r.table.rowSize)
	if err != nil {
		return nil, r.cutShort(r.dbf, err)
	}
	if row[0] == '*' {
		f.Faults = append(f.Faults, layer.Fault{Row: f.Row, Code: "row-deleted", Lost: true, ZH: "该行在源文件中已标记删除", EN: "the row is marked as deleted in the source file"})
		return f, nil
	}
	r.decodeRow(row, f)
	if size > maxRecord {
		lose(f, &corrupt{
			"geometry-too-large", fmt.Sprintf("图形记录有 %d 字节，超过 512 MiB 的上限；请拆分该图形", size),
			fmt.Sprintf("the record of the shape has %d bytes, beyond the limit of 512 MiB; split the shape", size),
		})
		return f, nil
	}
	g, c := r.geometry(content, f)
	if c != nil {
		lose(f, c)
		return f, nil
	}
	f.Geom = g
	return f, nil
}

func lose(f *layer.Feature, c *corrupt) {
	f.Faults = append(f.Faults, layer.Fault{Row: f.Row, Code: c.code, Lost: true, ZH: c.zh, EN: c.en})
}

func (r *Reader) feature() *layer.Feature {
	n := len(r.fields)
	if len(r.slab) == 0 {
		// Wide tables get smaller slabs, as one feature kept keeps its slab.
		rows := min(slabRows, max(1, 2048/max(1, n)), int(r.records-r.row+1))
		r.slab = make([]layer.Feature, rows)
		r.values = make([]any, rows*n)
	}
	f := &r.slab[0]
	r.slab = r.slab[1:]
	f.Row = r.row
	f.Values, r.values = r.values[:n:n], r.values[n:]
	return f
}

// record returns the content of the record of the current row, or nothing but its
// size when that is beyond the limit.
//
// The .shx says where it is: programs that edit a shapefile in place append the
// longer shape at the end and leave the old one behind.
func (r *Reader) record(f *layer.Feature) ([]byte, int64, error) {
	if r.shx != nil {
		e, err := r.index.bytes(headerLength+8*(r.row-1), 8)
		if err != nil {
			return nil, 0, r.cutShort(r.shx, err)
		}
		at := 2 * int64(be.Uint32(e))
		if at != r.pos {
			if at < headerLength {
				return nil, 0, problem.New(problem.Invalid, "shapefile-index", fmt.Sprintf("%s:%d", r.shx.name, r.row),
					fmt.Sprintf("索引中第 %d 条记录的位置 %d 无效，.shx 已损坏；请删除 .shx 或从原软件重新导出", r.row, at),
					fmt.Sprintf("the index puts record %d at %d, which cannot be: the .shx is damaged; delete it or export again", r.row, at))
			}
			r.pos = at
			if r.first(&r.told.order) {
				f.Faults = append(f.Faults, layer.Fault{
					Row: f.Row, Code: "shp-not-sequential",
					ZH: "自本条起 .shp 中的图形不是顺序存放（曾被就地编辑），按 .shx 索引读取", EN: "from this record on the shapes do not lie in order in the .shp (it was edited in place); they are read by the .shx index",
				})
			}
		}
	}
	head, err := r.mainFile.bytes(r.pos, 8)
	if err != nil {
		if r.shx == nil && r.pos == r.shp.size && r.pos >= r.head.length {
			return nil, 0, mismatch(r.shp.name, r.row-1, r.records)
		}
		return nil, 0, r.cutShort(r.shp, err)
	}
	number, size := int64(be.Uint32(head)), 2*int64(be.Uint32(head[4:]))
	if number != r.row && r.first(&r.told.number) {
		f.Faults = append(f.Faults, layer.Fault{
			Row: f.Row, Code: "record-number",
			ZH: fmt.Sprintf("自本条起 .shp 中的记录号(%d)与顺序号(%d)不符，按顺序与属性对应", number, r.row),
			EN: fmt.Sprintf("from this record on the record numbers in the .shp (%d) differ from the order (%d); shapes and rows are paired by order", number, r.row),
		})
	}
	if r.pos+8+size > r.shp.size {
		return nil, 0, truncated(r.shp.name, r.row)
	}
	// Records do not overlap, so that together they are no longer than the file.
	if r.spent += 8 + size; r.spent > r.shp.size {
		return nil, 0, problem.New(problem.Invalid, "shapefile-index", fmt.Sprintf("%s:%d", r.shp.name, r.row),
			".shx 索引让多条记录指向同一处图形，索引已损坏；请删除 .shx 或从原软件重新导出",
			"the .shx index points several records at the same bytes: it is damaged; delete it or export again")
	}
	from := r.pos + 8
	r.pos = from + size
	if size > maxRecord {
		return nil, size, nil
	}
	content, err := r.mainFile.bytes(from, int(size))
	if err != nil {
		return nil, 0, r.cutShort(r.shp, err)
	}
	return content, size, nil
}

// end checks that nothing is left over.
func (r *Reader) end() error {
	if r.shx == nil && r.pos+12 <= min(r.shp.size, r.head.length) {
		n := r.records
		for pos := r.pos; pos+12 <= min(r.shp.size, r.head.length); n++ {
			b, err := r.mainFile.bytes(pos, 8)
			if err != nil {
				return r.cutShort(r.shp, err)
			}
			pos += 8 + 2*int64(be.Uint32(b[4:]))
		}
		return mismatch(r.shp.name, n, r.records)
	}
	return io.EOF
}

// cutShort tells a file that ends too early from one that cannot be read.
func (r *Reader) cutShort(src *source, err error) error {
	if err == io.ErrUnexpectedEOF {
		return truncated(src.name, r.row)
	}
	return fmt.Errorf("shapefile: read %s, record %d: %w", src.name, r.row, err)
}

// first reports whether something is to be told for the first time.
func (r *Reader) first(told *bool) bool {
	was := *told
	*told = true
	return !was
}

// lenient decodes UTF-8 and counts what is not.
func lenient(b []byte) (s string, cut, bad int) {
	plain := true
	for _, c := range b {
		if c < 0x20 && c != '\t' && c != '\n' && c != '\r' {
			plain = false
		}
	}
	if plain && utf8.Valid(b) {
		return string(b), 0, 0
	}
	out := make([]byte, 0, 3*len(b))
	for i := 0; i < len(b); {
		r, size := utf8.DecodeRune(b[i:])
		switch {
		case r == utf8.RuneError && size == 1 && !utf8.FullRune(b[i:]):
			return string(out), len(b) - i, bad
		case r == utf8.RuneError && size == 1:
			bad++
			out = utf8.AppendRune(out, r)
		case r >= 0x20 || r == '\t' || r == '\n' || r == '\r':
			out = append(out, b[i:i+size]...)
		}
		i += size
	}
	return string(out), 0, bad
}
