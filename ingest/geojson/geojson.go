// Package geojson reads and writes GeoJSON (RFC 7946, and GeoJSON 2008 with its
// "crs" member), GeoJSON text sequences (RFC 8142) and newline-delimited GeoJSON,
// as streams: memory does not grow with the number of features.
//
// Coordinates are returned as the file has them, X (longitude, easting) before Y.
// docs/formats/geojson.md lists what is read, the bounds and the odd cases.
package geojson

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"github.com/twpayne/go-geom"

	"changde/ingest/layer"
	"changde/problem"
)

// The bounds.
const (
	maxRecord      = 64 << 20 // bytes of one feature
	maxDepth       = 64       // brackets around a value, counted from the feature
	maxScalar      = 1 << 20  // bytes of a number or word
	maxFields      = 1000     // distinct properties
	maxKey         = 1 << 10  // bytes of the name of a property
	maxFirstPoints = 1000
)

// Info is what one pass over a file tells about it.
type Info struct {
	// Fields is the union of the properties in the order of first appearance, with
	// the narrowest types that hold every value: integers become Real beside
	// fractions, Decimal when one exceeds int64 (or exceeds 2^53 beside fractions);
	// text of which every value is YYYY-MM-DD is Date, or RFC 3339, Timestamp;
	// objects and arrays are Text holding JSON; a mixture is Text, and so is a
	// property that is always null. A field "id" comes first when a feature has a
	// top-level "id" and none has a property of that name.
	Fields        []layer.Field
	Features      int64            // rows, those that cannot be used included
	GeometryTypes map[string]int64 // number of usable rows for each type as the file names it
	CRSName       string           // of the "crs" member of GeoJSON 2008, empty without one
	FirstPoints   [][2]float64     // the first position of the first 1,000 geometries
	Box           [4]float64       // min X, min Y, max X, max Y of the usable rows; zero without any
	HasZ          bool             // a usable geometry has heights
	Seq           bool             // features follow one another without a FeatureCollection
	Notes         []layer.Fault    // about the file as a whole; Row is 0

	encoding encoding
	id       bool // the first field is the top-level id
}

// Inspect reads the whole file. Rows that cannot be used are counted and do not take
// part in the schema; Reader reports them one by one. What makes the file unreadable
// is a *problem.Error with the byte offset and the row.
func Inspect(ctx context.Context, path string) (*Info, error) {
	where := filepath.Base(path)
	f, err := openFile(path, where)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info := &Info{GeometryTypes: make(map[string]int64)}
	if info.encoding, err = detect(ctx, f, where); err != nil {
		return nil, err
	}
	d, err := openEncoded(ctx, f, info.encoding, where)
	if err == io.EOF {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	in := inspector{info: info, names: make(map[string]int), box: [4]float64{math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)}}
	for {
		r, err := d.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		info.Features = r.row
		if r.lost != nil || in.p.parse(r.b, d.form != collection) != nil {
			continue
		}
		if err := in.row(d); err != nil {
			return nil, err
		}
	}
	in.finish(d)
	return info, nil
}

func openFile(path, where string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, problem.Wrap(err, problem.Invalid, "geojson-unreadable", where,
			"文件不存在或不可读，请检查路径与权限", "the file does not exist or cannot be read; check the path and its permissions")
	}
	return f, nil
}

// openEncoded begins to read a file whose encoding is known.
func openEncoded(ctx context.Context, f *os.File, e encoding, where string) (*document, error) {
	head := make([]byte, len(byteOrderMark))
	n, err := f.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("read %s: %w", where, err)
	}
	var base int64
	if bytes.Equal(head[:n], byteOrderMark) {
		base = int64(n)
	}
	if _, err := f.Seek(base, io.SeekStart); err != nil {
		return nil, fmt.Errorf("read %s: %w", where, err)
	}
	var r io.Reader = f
	if e == gb18030 {
		r = decodeGB18030(f)
	}
	return openDocument(ctx, r, base, where)
}

// column is a property as far as it is known.
type column struct {
	name string
	saw  int
}

// inspector gathers an Info.
type inspector struct {
	info    *Info
	p       parsed
	columns []column
	names   map[string]int
	id      int // bits seen in top-level ids
	hasID   bool
	box     [4]float64
}

// row adds a usable row.
func (in *inspector) row(d *document) error {
	p := &in.p
	if p.geom != nil {
		in.info.GeometryTypes[p.typ]++
		in.measure(p.geom, true)
	}
	if p.hasID {
		in.hasID = true
		in.id |= see(p.id)
	}
	for i, prop := range p.props {
		c, err := in.column(d, i, prop.key)
		if err != nil {
			return err
		}
		if c == nil {
			continue
		}
		c.saw |= see(prop)
	}
	return nil
}

// column finds the column of the i-th property of a row, nil for one without name.
// Features mostly have their properties in one order.
func (in *inspector) column(d *document, i int, key []byte) (*column, error) {
	if !escaped(key) {
		if i < len(in.columns) && in.columns[i].name == string(key) {
			return &in.columns[i], nil
		}
		if j, ok := in.names[string(key)]; ok {
			return &in.columns[j], nil
		}
	}
	if len(key) > maxKey {
		return nil, d.keyTooLong()
	}
	name, _ := text(key)
	if name == "" {
		return nil, nil
	}
	j, ok := in.names[name]
	if !ok {
		if len(in.columns) == maxFields {
			return nil, d.problem(problem.TooLarge, d.s.offset(), "geojson-fields", fmt.Sprintf("不同的属性超过 %d 个", maxFields), fmt.Sprintf("more than %d distinct properties", maxFields))
		}
		j = len(in.columns)
		in.columns = append(in.columns, column{name: name})
		in.names[name] = j
	}
	return &in.columns[j], nil
}

// measure takes the box, the sample points and the heights of a geometry.
func (in *inspector) measure(g geom.T, sample bool) {
	if gc, ok := g.(*geom.GeometryCollection); ok {
		for i, part := range gc.Geoms() {
			in.measure(part, sample && i == 0)
		}
		return
	}
	flat, stride := g.FlatCoords(), g.Stride()
	if sample && len(in.info.FirstPoints) < maxFirstPoints {
		in.info.FirstPoints = append(in.info.FirstPoints, [2]float64{flat[0], flat[1]})
	}
	in.info.HasZ = in.info.HasZ || stride > 2
	box := in.box
	for i := 0; i+1 < len(flat); i += stride {
		x, y := flat[i], flat[i+1]
		if x < box[0] {
			box[0] = x
		}
		if x > box[2] {
			box[2] = x
		}
		if y < box[1] {
			box[1] = y
		}
		if y > box[3] {
			box[3] = y
		}
	}
	in.box = box
}

func (in *inspector) finish(d *document) {
	info := in.info
	info.CRSName = d.crs
	info.Seq = d.form == sequence || (d.form == lines && info.Features > 1)
	if !math.IsInf(in.box[0], 1) {
		info.Box = in.box
	}
	note := func(code, zh, en string) {
		info.Notes = append(info.Notes, layer.Fault{Code: code, ZH: zh, EN: en})
	}
	switch info.encoding {
	case gb18030:
		note("encoding-gb18030", "文件不是 UTF-8，已按 GB18030 解码；报告中的字节位置按解码后计算", "the file is not UTF-8 and was decoded as GB18030; byte offsets in the report are those after decoding")
	case utf8Damaged:
		note("encoding-damaged", "文件含不合法的 UTF-8 字节，相应文本中已换成 U+FFFD", "the file has bytes that are not UTF-8; they became U+FFFD in the texts concerned")
	}
	if in.hasID {
		if _, taken := in.names["id"]; taken {
			note("id-shadowed", `要素既有顶层 "id" 又有属性 "id"，只保留属性`, `features have both a top-level "id" and a property "id"; the property is kept`)
		} else {
			info.id = true
			info.Fields = append(info.Fields, layer.Field{Name: "id", Type: typeOf(in.id)})
		}
	}
	for _, c := range in.columns {
		info.Fields = append(info.Fields, layer.Field{Name: c.name, Type: typeOf(c.saw)})
	}
}
