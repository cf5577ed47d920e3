package geojson

import (
	"context"
	"errors"
	"fmt"
	"io"

	"changde/ingest/layer"
	"changde/problem"
)

// form is the outer shape of a file.
type form int

const (
	collection form = iota // one FeatureCollection, RFC 7946, 3.3
	lines                  // features or geometries one after the other; also a single one
	sequence               // the same, each after a record separator, RFC 8142
)

// record is one row: the bytes of a feature, or why there are none.
type record struct {
	b      []byte // good until the next record
	offset int64  // of b in the file
	row    int64
	lost   *layer.Fault
}

// document finds the rows of a file.
type document struct {
	s     *stream
	where string // the file, for problems
	form  form
	row   int64
	first bool   // no feature of the collection was read yet
	typed bool   // the collection said that it is one
	crs   string // the name in the "crs" member of GeoJSON 2008
	esri  bool   // members of Esri's own JSON were seen
	held  *record
	done  bool
}

// openDocument reads up to the first row.
func openDocument(ctx context.Context, r io.Reader, base int64, where string) (*document, error) {
	d := &document{s: newStream(ctx, r, base), where: where, first: true}
	c, err := d.s.peek()
	switch {
	case err == io.EOF:
		return nil, d.fail("geojson-empty", "文件是空的", "the file is empty")
	case err != nil:
		return nil, d.broken(err)
	case c == recordSeparator:
		d.form = sequence
		return d, nil
	case c == '[':
		return nil, d.fail("geojson-array", `文件是一个 JSON 数组，不是 GeoJSON；请把数组放进 {"type":"FeatureCollection","features":[…]}`,
			`the file is a JSON array, not GeoJSON; put the array into {"type":"FeatureCollection","features":[...]}`)
	case c != '{':
		return nil, d.fail("geojson-not-json", "文件不是 GeoJSON：应以 { 开头", "the file is not GeoJSON: it should begin with {")
	}
	return d, d.top()
}

// top reads the members of the first object up to its features. When the object
// turns out to be a feature or geometry itself, it becomes the first row.
func (d *document) top() error {
	d.s.mark = d.s.pos
	d.s.pos++
	return d.members(true)
}

// members reads members of the collection. It stops at the features, and at the end
// of the object.
func (d *document) members(first bool) error {
	for ; ; first = false {
		c, err := d.s.peek()
		if err != nil {
			return d.broken(truncation(err))
		}
		if c == '}' {
			d.s.pos++
			return d.closeObject()
		}
		if !first {
			if c != ',' {
				return d.syntax("逗号或 }", "a comma or }")
			}
			d.s.pos++
			if c, err = d.s.peek(); err != nil {
				return d.broken(truncation(err))
			}
		}
		if c != '"' {
			return d.syntax("带双引号的成员名", "a member name in double quotes")
		}
		stop, err := d.member()
		if err != nil || stop {
			return err
		}
	}
}

// member reads one member; stop is true when rows follow.
func (d *document) member() (stop bool, err error) {
	raw, _, err := d.s.value()
	if err != nil {
		return false, d.broken(err)
	}
	if len(raw) > maxKey+2 {
		return false, d.keyTooLong()
	}
	key, _ := text(d.unquote(raw))
	c, err := d.s.peek()
	if err != nil {
		return false, d.broken(truncation(err))
	}
	if c != ':' {
		return false, d.syntax("冒号", "a colon")
	}
	d.s.pos++
	if c, err = d.s.peek(); err != nil {
		return false, d.broken(truncation(err))
	}
	switch key {
	case "type":
		return d.typeMember()
	case "features":
		if c != '[' {
			return false, d.fail("geojson-features", `"features" 不是数组`, `"features" is not an array`)
		}
		if d.esri && !d.typed {
			return false, d.esriProblem()
		}
		if !d.first {
			return false, d.fail("geojson-features", `"features" 出现了两次`, `"features" appears twice`)
		}
		d.s.pos++
		d.s.mark = -1
		return true, nil
	case "crs":
		if c != '{' {
			break
		}
		at := d.s.offset()
		raw, _, err := d.s.value()
		if err != nil {
			return false, d.broken(err)
		}
		if len(raw) <= maxKey*64 {
			name, cerr := crsName(raw)
			if cerr != nil {
				return false, d.failAt(at+int64(cerr.at), cerr.code, cerr.zh, cerr.en)
			}
			d.crs = name
		}
		return false, nil
	case "geometryType", "spatialReference", "displayFieldName", "fieldAliases":
		d.esri = true
	}
	if err := d.s.skip(); err != nil {
		return false, d.broken(err)
	}
	return false, nil
}

// typeMember reads the type of the first object of the file.
func (d *document) typeMember() (stop bool, err error) {
	raw, _, err := d.s.value()
	if err != nil {
		return false, d.broken(err)
	}
	name, _ := text(d.unquote(raw))
	switch {
	case name == "FeatureCollection":
		d.typed = true
		d.s.mark = -1
		return false, nil
	case !d.first || d.s.mark < 0:
		return false, d.fail("geojson-type", fmt.Sprintf(`含 "features" 的对象的 "type" 应为 "FeatureCollection"，却是 %.40q`, name),
			fmt.Sprintf(`the "type" of an object with "features" should be "FeatureCollection", not %.40q`, name))
	case name == "Feature" || isGeometryType(name):
		d.form = lines
		d.s.pos = d.s.mark
		d.s.mark = -1
		b, offset, err := d.s.value()
		if err != nil {
			d.row = 1
			return false, d.broken(err)
		}
		d.held = &record{b: b, offset: offset}
		return true, nil
	case name == "Topology":
		return false, d.fail("geojson-topojson", "这是 TopoJSON，不是 GeoJSON，请先转换（例如 topo2geo 或 mapshaper）", "this is TopoJSON, not GeoJSON; convert it first (topo2geo, mapshaper)")
	}
	return false, d.fail("geojson-type", fmt.Sprintf(`"type" 为 %.40q，不是 GeoJSON 的类型（区分大小写）`, name), fmt.Sprintf(`"type" is %.40q, which is no type of GeoJSON (letter case counts)`, name))
}

// closeObject checks what must be known when the object of the file has ended.
func (d *document) closeObject() error {
	switch {
	case d.first && d.esri && !d.typed:
		return d.esriProblem()
	case d.first && d.typed:
		return d.fail("geojson-features", `FeatureCollection 缺少 "features"`, `the FeatureCollection has no "features"`)
	case !d.typed:
		return d.fail("geojson-type", `文件缺少 "type":"FeatureCollection"，不是 GeoJSON`, `the file has no "type":"FeatureCollection": it is not GeoJSON`)
	}
	c, err := d.s.peek()
	if err == io.EOF {
		d.done = true
		return io.EOF
	}
	if err != nil {
		return d.broken(err)
	}
	return d.fail("geojson-trailing", fmt.Sprintf("FeatureCollection 结束后还有多余内容 %q", rune(c)), fmt.Sprintf("there is %q after the end of the FeatureCollection", rune(c)))
}

// next returns the next row, io.EOF after the last one.
func (d *document) next() (record, error) {
	switch {
	case d.done:
		return record{}, io.EOF
	case d.held != nil:
		r := *d.held
		d.held = nil
		d.row++
		r.row = d.row
		return r, nil
	case d.form == lines:
		return d.nextLine()
	case d.form == sequence:
		return d.nextInSequence()
	}
	return d.nextInCollection()
}

func (d *document) nextInCollection() (record, error) {
	c, err := d.s.peek()
	if err != nil {
		return record{}, d.broken(truncation(err))
	}
	if c == ']' {
		d.s.pos++
		d.first = false
		// What follows the features ends the file or is an error.
		err := d.members(false)
		if err == nil {
			err = d.fail("geojson-features", `"features" 出现了两次`, `"features" appears twice`)
		}
		return record{}, err
	}
	if !d.first {
		if c != ',' {
			return record{}, d.syntax("逗号或 ]", "a comma or ]")
		}
		d.s.pos++
		if _, err = d.s.peek(); err != nil {
			return record{}, d.broken(truncation(err))
		}
	}
	d.first = false
	d.row++
	b, offset, err := d.s.value()
	if err != nil {
		return record{}, d.broken(err)
	}
	return record{b: b, offset: offset, row: d.row}, nil
}

func (d *document) nextLine() (record, error) {
	if _, err := d.s.peek(); err == io.EOF {
		d.done = true
		return record{}, io.EOF
	} else if err != nil {
		return record{}, d.broken(err)
	}
	d.row++
	b, offset, err := d.s.value()
	if err != nil {
		return record{}, d.broken(err)
	}
	return record{b: b, offset: offset, row: d.row}, nil
}

func (d *document) nextInSequence() (record, error) {
	for {
		c, err := d.s.peek()
		if err == io.EOF {
			d.done = true
			return record{}, io.EOF
		}
		if err != nil {
			return record{}, d.broken(err)
		}
		if c == recordSeparator {
			d.s.pos++
			if c, err = d.s.peek(); err == nil && c != recordSeparator {
				break
			}
			continue
		}
		// Text that no separator announces: the rest of a broken record.
		return d.lostRecord(d.s.offset())
	}
	d.row++
	b, offset, err := d.s.value()
	if err == nil {
		return record{b: b, offset: offset, row: d.row}, nil
	}
	if errors.Is(err, errRecordCut) || errors.Is(err, errBrackets) || errors.Is(err, errNoValue) {
		d.row--
		return d.lostRecord(offset)
	}
	return record{}, d.broken(err)
}

// lostRecord gives up a record of a sequence and goes on at the next separator, as
// RFC 8142, 2.3 has it.
func (d *document) lostRecord(offset int64) (record, error) {
	d.row++
	if err := d.s.toSeparator(); err != nil {
		return record{}, d.broken(err)
	}
	return record{row: d.row, offset: offset, lost: &layer.Fault{
		Row: d.row, Code: "json-syntax", Lost: true,
		ZH: fmt.Sprintf("第 %d 字节处的记录不是完整的 JSON", offset),
		EN: fmt.Sprintf("the record at byte %d is not a whole JSON value", offset),
	}}, nil
}

// unquote returns the inside of a string whose escapes are valid, or nothing.
func (d *document) unquote(raw []byte) []byte {
	c := cursor{b: raw}
	if c.next() != '"' {
		return nil
	}
	s, err := c.str()
	if err != nil {
		return nil
	}
	return s
}

// crsName reads {"type":"name","properties":{"name":"..."}} of GeoJSON 2008, 3.
func crsName(raw []byte) (string, *rowError) {
	c := cursor{b: raw}
	name := ""
	var object func(depth int) *rowError
	object = func(depth int) *rowError {
		c.i++
		for first := true; ; first = false {
			if ok, err := c.more(first, '}'); err != nil || !ok {
				return err
			}
			k, err := c.key()
			if err != nil {
				return err
			}
			switch {
			case depth == 0 && string(k) == "properties" && c.next() == '{':
				err = object(1)
			case depth == 1 && string(k) == "name" && c.next() == '"':
				var s []byte
				if s, err = c.str(); err == nil {
					name, _ = text(s)
				}
			default:
				err = c.skip()
			}
			if err != nil {
				return err
			}
		}
	}
	err := object(0)
	return name, err
}

func (d *document) esriProblem() error {
	return d.fail("geojson-esri", "这是 Esri JSON，不是 GeoJSON，请在 ArcGIS 中导出为 GeoJSON（“要素转 JSON”勾选 GeoJSON）",
		"this is Esri JSON, not GeoJSON; export it as GeoJSON (Features To JSON with the GeoJSON option)")
}

func (d *document) keyTooLong() error {
	return d.problem(problem.TooLarge, d.s.offset(), "geojson-name-length", fmt.Sprintf("成员名超过 %d 字节", maxKey), fmt.Sprintf("a member name is longer than %d bytes", maxKey))
}

// fail makes a problem at the next byte.
func (d *document) fail(code, zh, en string) error {
	return d.failAt(d.s.offset(), code, zh, en)
}

func (d *document) failAt(offset int64, code, zh, en string) error {
	return d.problem(problem.Invalid, offset, code, zh, en)
}

func (d *document) problem(kind problem.Kind, offset int64, code, zh, en string) error {
	d.done = true
	at, atEN := fmt.Sprintf("（第 %d 字节", offset), fmt.Sprintf(" (byte %d", offset)
	if d.row > 0 {
		at += fmt.Sprintf("，第 %d 个要素", d.row)
		atEN += fmt.Sprintf(", feature %d", d.row)
	}
	return problem.New(kind, code, d.where, zh+at+"）", en+atEN+")")
}

func (d *document) syntax(zh, en string) error {
	found := "文件结尾"
	foundEN := "the end of the file"
	if d.s.pos < d.s.end {
		found = fmt.Sprintf("%q", rune(d.s.buf[d.s.pos]))
		foundEN = found
	}
	return d.fail("geojson-syntax", fmt.Sprintf("JSON 语法错误：应为%s，却是 %s", zh, found), fmt.Sprintf("JSON syntax: %s where %s should be", foundEN, en))
}

// broken turns an error of the stream into a problem.
func (d *document) broken(err error) error {
	switch {
	case errors.Is(err, errTruncated):
		return d.fail("geojson-truncated", "文件不完整，可能上传中断，请重新上传", "the file ends too early, perhaps the upload was cut off; send it again")
	case errors.Is(err, errBrackets):
		return d.fail("geojson-syntax", "JSON 语法错误：括号不配对", "JSON syntax: brackets do not match")
	case errors.Is(err, errRecordCut):
		return d.fail("geojson-syntax", "JSON 语法错误：出现记录分隔符（0x1E）", "JSON syntax: a record separator (0x1E)")
	case errors.Is(err, errNoValue):
		return d.syntax("一个值", "a value")
	case errors.Is(err, errDepth):
		return d.problem(problem.TooLarge, d.s.offset(), "geojson-depth", fmt.Sprintf("嵌套超过 %d 层", maxDepth), fmt.Sprintf("nested more than %d levels deep", maxDepth))
	case errors.Is(err, errTooLarge):
		return d.problem(problem.TooLarge, d.s.offset(), "geojson-feature-size", fmt.Sprintf("一个要素超过 %d MiB，请拆分", maxRecord>>20), fmt.Sprintf("one feature is larger than %d MiB; split it", maxRecord>>20))
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("read %s: %w", d.where, err)
	}
	d.done = true
	return fmt.Errorf("read %s at byte %d: %w", d.where, d.s.offset(), err)
}
