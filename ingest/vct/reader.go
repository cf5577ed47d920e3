package vct

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/twpayne/go-geom"

	"changde/ingest/layer"
)

// Reader streams the features of a layer: first the rows of its table with the
// objects of the same identifiers, then objects without a row. It is a layer.Reader.
type Reader struct {
	f     *os.File
	info  *Info
	l     *LayerInfo
	index int // of the layer
	rows  *lines
	part  int  // of the table
	open  bool // rows is within that part
	row   int64

	p       parser
	windows [8]*lines // of the objects, which lie in several places
	oldest  int
	find    [kinds]cursor
	used    [kinds]bitmap
	rest    [2]int // kind and position of the next object without a row
	err     error
}

var _ layer.Reader = (*Reader)(nil)

func newReader(ctx context.Context, f *os.File, info *Info, index int, where string) *Reader {
	r := &Reader{f: f, info: info, l: info.Layers[index], index: index, rows: newLines(ctx, f, where, 256<<10)}
	for i := range r.windows {
		r.windows[i] = newLines(ctx, f, where, 32<<10)
	}
	r.p = parser{h: info.head, enc: info.Encoding, known: func(c string) bool { return info.known[c] }}
	for k := range kinds {
		r.find[k].x = info.indexes[k]
		if r.l.kinds[k] {
			r.used[k] = newBitmap(info.indexes[k].n)
		}
	}
	return r
}

// Fields returns the fields of the layer.
func (r *Reader) Fields() []layer.Field { return r.l.Fields }

// Close closes the file.
func (r *Reader) Close() error { return r.f.Close() }

// Next returns the next feature as layer.Reader describes.
func (r *Reader) Next() (*layer.Feature, error) {
	if r.err != nil {
		return nil, r.err
	}
	f, err := r.nextRow()
	if err == io.EOF {
		f, err = r.nextRest()
	}
	r.err = err
	return f, err
}

func (r *Reader) feature() *layer.Feature {
	r.row++
	return &layer.Feature{Row: r.row, Values: make([]any, len(r.l.Fields))}
}

func lost(f *layer.Feature, code, zh, en string) {
	f.Faults = append(f.Faults, layer.Fault{Row: f.Row, Code: code, Lost: true, ZH: zh, EN: en})
}

func noted(f *layer.Feature, code, zh, en string) {
	f.Faults = append(f.Faults, layer.Fault{Row: f.Row, Code: code, ZH: zh, EN: en})
}

// nextRow returns the next row of the table, io.EOF after the last.
func (r *Reader) nextRow() (*layer.Feature, error) {
	for {
		if !r.open {
			if r.part == len(r.l.parts) {
				return nil, io.EOF
			}
			r.rows.seek(r.l.parts[r.part])
			r.part++
			r.open = true
		}
		line, err := r.rows.next()
		if err != nil {
			if err == io.EOF {
				err = truncated(r.rows, "TableEnd")
			}
			return nil, err
		}
		if is(line, "TableEnd") || is(line, "AttributeEnd") || r.named(line) {
			r.open = false
			continue
		}
		f := r.feature()
		return f, r.fill(f, line)
	}
}

// named tells whether a line is the name of a table, as the scanner does.
func (r *Reader) named(line []byte) bool {
	if len(line) > maxName || strings.Contains(string(line), r.info.head.separator) {
		return false
	}
	text, _ := r.info.Encoding.decode(line)
	for _, l := range r.info.Layers {
		if strings.EqualFold(l.Name, text) {
			return true
		}
	}
	return false
}

// fill reads a row: the identifier and the values, or the values of which the first
// is the identifier.
func (r *Reader) fill(f *layer.Feature, line []byte) error {
	text, repaired := r.info.Encoding.decode(line)
	columns := r.l.table.columns
	cells := strings.Split(text, r.info.head.separator)
	if len(cells) == len(columns)+2 && strings.TrimSpace(cells[len(cells)-1]) == "" {
		cells = cells[:len(cells)-1]
	}
	values := cells
	switch len(cells) {
	case len(columns) + 1:
		values = cells[1:]
	case len(columns):
	default:
		lost(f, "row-width", fmt.Sprintf("属性行有 %d 项，表 %s 有 %d 个字段：%.60q；字段值中不得含分隔符", len(cells), r.l.Name, len(columns), text),
			fmt.Sprintf("the row has %d items but the table %s has %d fields: %.60q; values must not hold the separator", len(cells), r.l.Name, len(columns), text))
		if id, err := strconv.ParseInt(strings.TrimSpace(cells[0]), 10, 64); err == nil {
			_, _, _, err := r.claim(id)
			return err
		}
		return nil
	}
	id, err := strconv.ParseInt(strings.TrimSpace(cells[0]), 10, 64)
	if err != nil {
		lost(f, "row-id", fmt.Sprintf("属性行的标识码 %.40q 不是整数", cells[0]), fmt.Sprintf("the identifier %.40q of the row is no integer", cells[0]))
		return nil
	}
	if repaired {
		noted(f, "text-repaired", "属性文本含不能解码的字节或空字符 NUL，已换成 U+FFFD 或略去", "the row has bytes that cannot be decoded, or NUL; they became U+FFFD or were left out")
	}
	for i, v := range values {
		f.Values[i], f.Faults = value(v, columns[i].Field, f.Row, f.Faults)
	}
	return r.join(f, id)
}

// claim finds the object of an identifier that no row has claimed before. found is
// noKind without one; twin tells that there is one and it is taken.
func (r *Reader) claim(id int64) (e entry, found kind, twin bool, err error) {
	for k := range kinds {
		if !r.l.kinds[k] {
			continue
		}
		e, at, err := r.find[k].lookup(id, r.index, r.used[k])
		if err != nil {
			return e, noKind, false, err
		}
		if at < 0 {
			continue
		}
		if r.used[k].has(at) {
			return e, noKind, true, nil
		}
		r.used[k].set(at)
		return e, k, false, nil
	}
	return entry{}, noKind, false, nil
}

// join finds the object of a row.
func (r *Reader) join(f *layer.Feature, id int64) error {
	e, k, twin, err := r.claim(id)
	switch {
	case err != nil:
		return err
	case k != noKind:
		return r.geometry(f, k, e)
	case twin:
		noted(f, "id-duplicate", fmt.Sprintf("标识码 %d 的图形已属于前面的属性行，本行没有图形", id), fmt.Sprintf("the object of the identifier %d belongs to a row before; this one has none", id))
	case r.l.kinds != [kinds]bool{}:
		noted(f, "geometry-missing", fmt.Sprintf("没有标识码为 %d 的图形对象", id), fmt.Sprintf("there is no object of the identifier %d", id))
	}
	return nil
}

// nextRest returns the next object that no row belongs to.
func (r *Reader) nextRest() (*layer.Feature, error) {
	for ; r.rest[0] < int(kinds); r.rest = [2]int{r.rest[0] + 1, 0} {
		k := kind(r.rest[0])
		if !r.l.kinds[k] {
			continue
		}
		for r.rest[1] < r.find[k].x.n {
			i := r.rest[1]
			r.rest[1]++
			e, err := r.find[k].at(i)
			if err != nil {
				return nil, err
			}
			if e.layer() != r.index || r.used[k].has(i) {
				continue
			}
			f := r.feature()
			noted(f, "attributes-missing", fmt.Sprintf("标识码为 %d 的图形没有属性行", e.id), fmt.Sprintf("there is no row for the object of the identifier %d", e.id))
			return f, r.geometry(f, k, e)
		}
	}
	return nil, io.EOF
}

// geometry reads the object of an entry into a feature.
func (r *Reader) geometry(f *layer.Feature, k kind, e entry) error {
	o, b, err := r.object(k, e)
	if err != nil {
		return err
	}
	var g geom.T
	a := assembly{r: r, layout: geom.XY, gap: gapMetres}
	if r.info.HasZ {
		a.layout = geom.XYZ
	}
	if strings.EqualFold(r.info.head.get("coordinatesystemtype"), "D") || strings.EqualFold(r.info.head.get("xyunit", "unit"), "D") {
		a.gap = gapDegrees
	}
	if b == nil {
		if k == annotations && o.text != "" {
			f.Values[len(f.Values)-1] = o.text
		}
		g, b, err = a.build(k, o)
		if err != nil {
			return err
		}
	}
	if b != nil {
		lost(f, b.code, fmt.Sprintf("图形 %d：%s", e.id, b.zh), fmt.Sprintf("object %d: %s", e.id, b.en))
		return nil
	}
	f.Geom = g
	if g == nil {
		noted(f, "geometry-empty", fmt.Sprintf("图形 %d 没有坐标", e.id), fmt.Sprintf("object %d has no coordinates", e.id))
	}
	if a.odd {
		noted(f, "line-order", "构成面的线其次序或方向与标识码的符号不符，已按端点连接", "the lines of the polygon are out of order or their signs wrong; they were joined by their ends")
	}
	if a.closed {
		noted(f, "ring-closed", "圈未闭合，已补上首点", "a ring was not closed; its first vertex was added at the end")
	}
	if a.stroked {
		noted(f, "arc-stroked", "圆弧已化为折线，每度一点", "arcs became lines with a vertex for each degree")
	}
	if a.dropped {
		noted(f, "ring-dropped", "少于四点的圈已略去", "rings of less than four vertices were left out")
	}
	return nil
}

// object reads the record of an entry, through the window that shows its place or the
// one that was filled first.
func (r *Reader) object(k kind, e entry) (*object, *badObject, error) {
	r.p.l = nil
	for _, w := range r.windows {
		if w.shows(e.offset()) {
			r.p.l = w
			break
		}
	}
	if r.p.l == nil {
		r.p.l = r.windows[r.oldest]
		r.oldest = (r.oldest + 1) % len(r.windows)
	}
	r.p.l.seek(e.offset())
	return r.p.parse(k)
}
