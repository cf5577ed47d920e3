// Package csv reads delimited text tables (RFC 4180 and what spreadsheets make of
// it) with a geometry in a WKT column or in a pair of coordinate columns, as
// streams: memory does not grow with the number of rows.
//
// Coordinates are returned X (longitude, easting) before Y, whatever the order of
// the columns. docs/formats/csv.md lists what is read, how columns and types are
// told, the bounds and the odd cases.
package csv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"changde/ingest/layer"
	"changde/problem"
)

// The bounds.
const (
	maxRecord      = 16 << 20 // bytes of one row as UTF-8, give or take a buffer
	maxFields      = 1000     // columns
	maxName        = 1 << 10  // bytes of the name of a column
	maxDepth       = 16       // parentheses of a WKT
	maxSRIDs       = 16       // distinct SRIDs that are counted
	maxFirstPoints = 10000
	sampleRows     = 1000 // rows that tell where the geometry is
)

// Options says how to read a file; the zero value finds out.
type Options struct {
	Encoding string // a name of the WHATWG Encoding Standard such as "gb18030", empty to detect
	// Geometry names the columns of the geometry: one of WKT, or east (longitude) and
	// north (latitude). Empty finds them by their names.
	Geometry []string
}

// Info is what one pass over a file tells about it.
type Info struct {
	// Fields are the columns in the order of the file without the WKT column, with
	// the narrowest type that holds every value. Columns of coordinates stay.
	Fields        []layer.Field
	Rows          int64            // rows after the header, those that cannot be used included
	GeometryTypes map[string]int64 // number of geometries for each type, by the word they begin with
	HasZ          bool             // a geometry has heights
	EPSG          int              // SRID of the EWKT, 0 without one
	FirstPoints   [][2]float64     // the first position of the first 10,000 geometries
	Delimiter     rune
	Encoding      Encoding
	Geometry      Geometry
	Notes         []layer.Fault // about the file as a whole; Row is 0

	names  []string // of all columns
	fields []int    // column of each field
	skip   bool     // the first line is "sep="
}

// Geometry tells where the geometry of a row stands. A column is counted from 0, -1
// for none. ZH and EN are sentences that say how that was decided.
type Geometry struct {
	WKT, X, Y, Z int
	ZH, EN       string
}

// Inspect reads the whole file. Rows that cannot be used are counted and do not take
// part in the schema; Reader reports them one by one. Of a WKT only the beginning is
// looked at, so one that proves wrong further on is still among the types. What
// makes the file unreadable is a *problem.Error.
func Inspect(ctx context.Context, path string, o Options) (*Info, error) {
	where := filepath.Base(path)
	f, err := openFile(path, where)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info := &Info{GeometryTypes: make(map[string]int64)}
	if info.Encoding, err = detect(ctx, f, o.Encoding, where); err != nil {
		return nil, err
	}
	if err := info.findDelimiter(f, where); err != nil {
		return nil, err
	}
	if err := info.header(ctx, f, where); err != nil {
		return nil, err
	}
	if err := info.locate(ctx, f, o.Geometry, where); err != nil {
		return nil, err
	}
	for i := range info.names {
		if i != info.Geometry.WKT {
			info.fields = append(info.fields, i)
		}
	}
	return info, info.survey(ctx, f, where)
}

// survey makes the pass over all rows.
func (info *Info) survey(ctx context.Context, f *os.File, where string) error {
	rows, err := info.rows(ctx, f, where)
	if err != nil {
		return err
	}
	kinds := make([]kind, len(info.names))
	srids := make(map[int]int64)
	for {
		cells, fault, err := rows.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if fault != nil {
			continue
		}
		p := info.peek(cells)
		if p.lost {
			continue
		}
		for _, i := range info.fields {
			kinds[i].see(cells[i])
		}
		if p.typ == "" {
			continue
		}
		info.GeometryTypes[p.typ]++
		info.HasZ = info.HasZ || p.z
		if p.point != nil && len(info.FirstPoints) < maxFirstPoints {
			info.FirstPoints = append(info.FirstPoints, *p.point)
		}
		if p.srid != 0 && (srids[p.srid] > 0 || len(srids) < maxSRIDs) {
			srids[p.srid]++
		}
	}
	info.Rows = rows.row
	for _, i := range info.fields {
		info.Fields = append(info.Fields, layer.Field{Name: info.names[i], Type: kinds[i].fieldType()})
	}
	return info.chooseSRID(srids, where)
}

func (info *Info) chooseSRID(srids map[int]int64, where string) error {
	codes := make([]int, 0, len(srids))
	for c := range srids {
		codes = append(codes, c)
	}
	slices.Sort(codes)
	switch len(codes) {
	case 0:
		return nil
	case 1:
		info.EPSG = codes[0]
		return nil
	}
	var said []string
	for _, c := range codes {
		said = append(said, fmt.Sprintf("%d (%d)", c, srids[c]))
	}
	list := strings.Join(said, ", ")
	return problem.New(problem.Invalid, "csv-srid-mixed", where,
		"几何列的 SRID 不止一个："+list+"（括号内为行数）；请统一坐标系，或按坐标系分成几个文件",
		"the geometries have more than one SRID: "+list+" (rows in brackets); bring them into one CRS or split the file by CRS")
}

func (info *Info) note(code, zh, en string) {
	info.Notes = append(info.Notes, layer.Fault{Code: code, ZH: zh, EN: en})
}

func openFile(path, where string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, problem.Wrap(err, problem.Invalid, "csv-unreadable", where,
			"文件不存在或不可读，请检查路径与权限", "the file does not exist or cannot be read; check the path and its permissions")
	}
	return f, nil
}

// Reader streams the rows of a file; it is a layer.Reader.
type Reader struct {
	f    *os.File
	info *Info
	rows *rows
	m    bool // the loss of M was reported
	err  error
}

var _ layer.Reader = (*Reader)(nil)

// Open begins to read a file that Inspect has described; values have the types of
// info.Fields. info is not changed and may serve several readers.
func Open(path string, info *Info) (*Reader, error) {
	if info == nil {
		return nil, errors.New("csv: Open needs the Info of Inspect")
	}
	where := filepath.Base(path)
	f, err := openFile(path, where)
	if err != nil {
		return nil, err
	}
	r := &Reader{f: f, info: info}
	if r.rows, err = info.rows(context.Background(), f, where); err != nil {
		f.Close()
		return nil, err
	}
	return r, nil
}

// Fields returns the fields of the Info.
func (r *Reader) Fields() []layer.Field { return r.info.Fields }

// Close closes the file.
func (r *Reader) Close() error { return r.f.Close() }

// Next returns the next row as layer.Reader describes.
func (r *Reader) Next() (*layer.Feature, error) {
	if r.err != nil {
		return nil, r.err
	}
	cells, fault, err := r.rows.next()
	if err != nil {
		r.err = err
		return nil, err
	}
	f := &layer.Feature{Row: r.rows.row, Values: make([]any, len(r.info.Fields))}
	if fault != nil {
		f.Faults = []layer.Fault{*fault}
		return f, nil
	}
	g, faults := r.info.geometry(cells)
	for _, fault := range faults {
		if fault.Code == "m-dropped" {
			if r.m {
				continue
			}
			r.m = true
		}
		fault.Row = f.Row
		f.Faults = append(f.Faults, fault)
		if fault.Lost {
			return f, nil
		}
	}
	f.Geom = g
	for i, c := range r.info.fields {
		f.Values[i], f.Faults = value(cells[c], r.info.Fields[i], f.Row, f.Faults)
	}
	return f, nil
}
