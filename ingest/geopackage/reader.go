package geopackage

import (
	"context"
	"io"
	"strings"

	"github.com/ncruces/go-sqlite3"

	"changde/ingest/layer"
	"changde/problem"
)

// Reader streams the rows of a layer; it is a layer.Reader.
type Reader struct {
	d     *database
	stmt  *sqlite3.Stmt
	l     Layer
	w     wkbReader
	row   int64
	mDone bool // the loss of M was reported
	err   error
}

var _ layer.Reader = (*Reader)(nil)

// Open begins to read the layer of the table layerName. A letter's case matters only
// where two layers differ by it.
func Open(path, layerName string) (*Reader, error) {
	d, err := openDatabase(context.Background(), path)
	if err != nil {
		return nil, err
	}
	r := &Reader{d: d}
	if err := r.open(layerName); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

func (r *Reader) open(name string) (err error) {
	layers, err := r.d.layers()
	if err != nil {
		return err
	}
	found := -1
	for i, l := range layers {
		if l.Name == name || (found < 0 && strings.EqualFold(l.Name, name)) {
			found = i
		}
	}
	if found < 0 {
		return problem.New(problem.NotFound, "layer-unknown", r.d.where+": "+name, "GeoPackage 中没有该图层", "the GeoPackage has no such layer")
	}
	r.l = layers[found]
	if err := r.d.describe(&r.l); err != nil {
		return err
	}
	var sql strings.Builder
	sql.WriteString("SELECT " + quote(r.l.GeometryColumn))
	for _, c := range r.l.columns {
		sql.WriteString(", " + quote(c.name))
	}
	sql.WriteString(" FROM " + quote(r.l.table))
	defer r.d.guard(&err)
	r.d.wind()
	r.stmt, _, err = r.d.conn.Prepare(sql.String())
	return r.d.mend(err)
}

// Fields returns the fields in the order of the table's columns.
func (r *Reader) Fields() []layer.Field { return r.l.Fields }

// Close closes the file.
func (r *Reader) Close() (err error) {
	defer r.d.guard(&err)
	r.stmt.Close()
	return r.d.Close()
}

// Next returns the next row as layer.Reader describes.
func (r *Reader) Next() (f *layer.Feature, err error) {
	if r.err != nil {
		return nil, r.err
	}
	defer func() {
		if err != nil {
			f, r.err = nil, err
		}
	}()
	defer r.d.guard(&err)
	r.d.wind()
	if !r.stmt.Step() {
		if err := r.stmt.Err(); err != nil {
			return nil, r.d.mend(err)
		}
		return nil, io.EOF
	}
	r.row++
	f = &layer.Feature{Row: r.row, Values: make([]any, len(r.l.Fields))}
	r.geometry(f)
	for i, field := range r.l.Fields {
		f.Values[i], f.Faults = value(r.stmt, i+1, field, r.row, f.Faults)
	}
	// A cell that cannot be fetched shows as an error of the statement.
	if err := r.stmt.Err(); err != nil {
		return nil, r.d.mend(err)
	}
	return f, nil
}

func (r *Reader) geometry(f *layer.Feature) {
	var err *rowError
	switch r.stmt.ColumnType(0) {
	case sqlite3.NULL:
	case sqlite3.BLOB:
		var marks int
		f.Geom, marks, err = r.w.parse(r.stmt.ColumnRawBlob(0), int32(r.l.srsID))
		if r.mDone {
			marks &^= noteM
		}
		r.mDone = r.mDone || marks&noteM != 0
		f.Faults = faultsOf(r.row, marks, f.Faults)
	default:
		err = &rowError{"geometry-header", "几何字段的内容不是二进制", "the content of the geometry column is not binary"}
	}
	if err != nil {
		f.Faults = append(f.Faults, layer.Fault{Row: r.row, Code: err.code, Lost: true, ZH: err.zh, EN: err.en})
	}
}
