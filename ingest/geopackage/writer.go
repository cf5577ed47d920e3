package geopackage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/twpayne/go-geom"
	"github.com/twpayne/go-geom/encoding/wkb"
	"github.com/twpayne/go-geom/encoding/wkbcommon"

	"changde/ingest/layer"
)

// commitRows is the number of rows of a transaction.
const commitRows = 100_000

// Writer writes the layers of a new file one after the other. It is used by one
// goroutine.
type Writer struct {
	path string
	conn *sqlite3.Conn
	own  map[int32]string // WKT of the CRSs that are not of EPSG
	err  error            // once the file cannot be finished
	rows int64            // of all tables

	// The table in hand.
	table    Table
	srsID    int32
	declared string // geometry type, upper case
	insert   *sqlite3.Stmt
	box      [4]float64
	z, m     counts
	blob     blobBuffer
}

// counts tells whether all, some or no geometries have a dimension.
type counts struct{ with, without int64 }

func (c *counts) add(has bool) {
	if has {
		c.with++
	} else {
		c.without++
	}
}

// declaration is the value for gpkg_geometry_columns: 0 prohibited, 1 mandatory, 2
// optional.
func (c counts) declaration() int64 {
	switch {
	case c.with == 0:
		return 0
	case c.without == 0:
		return 1
	}
	return 2
}

// Create begins a GeoPackage 1.3 with its first table; a file that is there is
// replaced. Names that cannot be written are a *problem.Error.
func Create(path string, t Table) (w *Writer, err error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", path, err)
	}
	for _, suffix := range []string{"", "-wal", "-journal"} {
		if err := os.Remove(abs + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("replace %s: %w", path, err)
		}
	}
	w = &Writer{path: abs, own: make(map[int32]string)}
	defer w.guard(&err)
	uri := url.URL{Scheme: "file", Path: abs}
	w.conn, err = sqlite3.OpenFlags(uri.String(), sqlite3.OPEN_READWRITE|sqlite3.OPEN_CREATE|sqlite3.OPEN_URI)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", path, err)
	}
	if err := w.conn.Exec(createSQL); err != nil {
		return nil, w.abandon(fmt.Errorf("create %s: %w", path, err))
	}
	if err := w.AddTable(t); err != nil {
		return nil, w.abandon(err)
	}
	return w, nil
}

// guard turns a panic of the SQLite driver, which is how it reports want of memory, into
// an error.
func (w *Writer) guard(err *error) {
	switch r := recover().(type) {
	case nil:
	case error:
		*err = fmt.Errorf("write %s: %w", filepath.Base(w.path), r)
		w.err = *err
	default:
		panic(r)
	}
}

// abandon closes and removes the file. It returns why.
func (w *Writer) abandon(why error) error {
	w.err = why
	if w.insert != nil {
		w.insert.Close()
		w.insert = nil
	}
	w.conn.Close()
	if err := os.Remove(w.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		why = errors.Join(why, err)
	}
	return why
}

// run runs one statement with parameters of type string, int64 or float64.
func (w *Writer) run(sql string, params ...any) error {
	s, _, err := w.conn.Prepare(sql)
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(w.path), err)
	}
	defer s.Close()
	for i, p := range params {
		if err := bind(s, i+1, layer.Field{}, p); err != nil {
			return err
		}
	}
	if err := s.Exec(); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(w.path), err)
	}
	return nil
}

// AddTable ends the table in hand and begins another. Its primary key is fid and its
// geometry column geom, or the like where a field has that name.
func (w *Writer) AddTable(t Table) (err error) {
	if w.err != nil {
		return w.err
	}
	if err := t.check(); err != nil {
		return err
	}
	defer w.guard(&err)
	defer func() {
		if err != nil {
			w.err = err // there is no table to write to
		}
	}()
	if err := w.finishTable(); err != nil {
		return err
	}
	if w.srsID, err = w.srs(t); err != nil {
		return err
	}
	w.table = t
	w.declared = strings.ToUpper(orElse(t.GeometryType, "Geometry"))
	w.box = [4]float64{math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)}
	w.z, w.m = counts{}, counts{}
	changed := t.LastChange
	if changed.IsZero() {
		changed = time.Unix(0, 0)
	}
	if err := w.run(`INSERT INTO gpkg_contents (table_name, data_type, identifier, last_change, srs_id) VALUES (?, 'features', ?, ?, ?)`,
		t.Name, t.Name, changed.UTC().Format(timestampFormat), int64(w.srsID)); err != nil {
		return err
	}
	key, geometry := t.free("fid", "ogc_fid"), t.free("geom", "geometry")
	if err := w.run(`INSERT INTO gpkg_geometry_columns VALUES (?, ?, ?, ?, 0, 0)`, t.Name, geometry, w.declared, int64(w.srsID)); err != nil {
		return err
	}
	var create, insert strings.Builder
	fmt.Fprintf(&create, "CREATE TABLE %s (%s INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, %s %s", quote(t.Name), quote(key), quote(geometry), quote(w.declared))
	fmt.Fprintf(&insert, "INSERT INTO %s VALUES (NULL, ?", quote(t.Name))
	for _, f := range t.Fields {
		fmt.Fprintf(&create, ", %s %s", quote(f.Name), declaredType(f))
		insert.WriteString(", ?")
	}
	if err := w.run(create.String() + ")"); err != nil {
		return err
	}
	if w.insert, _, err = w.conn.Prepare(insert.String() + ")"); err != nil {
		return fmt.Errorf("write %s: %w", t.Name, err)
	}
	return nil
}

// finishTable writes what is known at the end of the table in hand.
func (w *Writer) finishTable() error {
	if w.insert == nil {
		return nil
	}
	err := w.insert.Close()
	w.insert = nil
	if err != nil {
		return fmt.Errorf("write %s: %w", w.table.Name, err)
	}
	if w.box[0] <= w.box[2] {
		if err := w.run(`UPDATE gpkg_contents SET min_x = ?, min_y = ?, max_x = ?, max_y = ? WHERE table_name = ?`,
			w.box[0], w.box[1], w.box[2], w.box[3], w.table.Name); err != nil {
			return err
		}
	}
	return w.run(`UPDATE gpkg_geometry_columns SET z = ?, m = ? WHERE table_name = ?`, w.z.declaration(), w.m.declaration(), w.table.Name)
}

// Write adds a row to the table in hand. g may be nil or empty and keeps Z and M; it
// must be of the table's geometry type. values has one entry of the Go type that
// layer.Type documents for each field. A row that is refused leaves the file as it was.
func (w *Writer) Write(g geom.T, values []any) (err error) {
	if w.err != nil {
		return w.err
	}
	if len(values) != len(w.table.Fields) {
		return fmt.Errorf("write %s: %d values for %d fields", w.table.Name, len(values), len(w.table.Fields))
	}
	defer w.guard(&err)
	err = w.insert.BindNull(1)
	if g != nil {
		if err := w.encode(g); err != nil {
			return fmt.Errorf("write %s: %w", w.table.Name, err)
		}
		err = w.insert.BindBlob(1, w.blob)
	}
	for i, v := range values {
		if err == nil {
			err = bind(w.insert, i+2, w.table.Fields[i], v)
		}
	}
	if err != nil {
		return fmt.Errorf("write %s: row %d: %w", w.table.Name, w.rows+1, err)
	}
	// Exec resets the statement; parameters that are bound again need no clearing.
	if err := w.insert.Exec(); err != nil {
		w.err = fmt.Errorf("write %s: row %d: %w", w.table.Name, w.rows+1, err)
		return w.err
	}
	if g != nil && !g.Empty() {
		w.measure(g)
	}
	w.rows++
	if w.rows%commitRows == 0 {
		if err := w.conn.Exec("COMMIT; BEGIN"); err != nil {
			w.err = fmt.Errorf("write %s: %w", w.table.Name, err)
		}
	}
	return w.err
}

// Close finishes the file. When it cannot be finished, or a write failed, the file is
// removed and the reason returned.
func (w *Writer) Close() (err error) {
	defer w.guard(&err)
	if w.err != nil {
		if w.err == errClosed {
			return nil
		}
		return w.abandon(w.err)
	}
	if err = w.finishTable(); err == nil {
		err = w.conn.Exec("COMMIT")
	}
	if err != nil {
		return w.abandon(err)
	}
	w.err = errClosed
	if err = w.conn.Close(); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(w.path), err)
	}
	return nil
}

var errClosed = errors.New("geopackage: the writer is closed")

const timestampFormat = "2006-01-02T15:04:05.000Z"

func bind(s *sqlite3.Stmt, param int, f layer.Field, v any) error {
	switch v := v.(type) {
	case nil:
		return s.BindNull(param)
	case string:
		if f.Type == layer.Decimal {
			if !isDecimal(v) {
				return fmt.Errorf("field %q: %q is not a decimal number", f.Name, v)
			}
			if exactAsDouble(f) {
				d, err := strconv.ParseFloat(v, 64)
				if err != nil {
					return fmt.Errorf("field %q: %w", f.Name, err)
				}
				return s.BindFloat(param, d)
			}
		}
		return s.BindText(param, v)
	case int64:
		return s.BindInt64(param, v)
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("field %q: the value is %v", f.Name, v)
		}
		return s.BindFloat(param, v)
	case bool:
		return s.BindBool(param, v)
	case time.Time:
		if f.Type == layer.Date {
			return s.BindText(param, v.Format(time.DateOnly))
		}
		return s.BindText(param, v.UTC().Format(timestampFormat))
	}
	return fmt.Errorf("field %q: values of type %T are not written", f.Name, v)
}

// blobBuffer takes the bytes of one geometry; it is used again for each.
type blobBuffer []byte

func (b *blobBuffer) Write(p []byte) (int, error) {
	*b = append(*b, p...)
	return len(p), nil
}

// encode makes the blob of a geometry: header, envelope in X and Y unless it is a point,
// WKB (clause 2.1.3).
func (w *Writer) encode(g geom.T) error {
	if name := typeName(g); w.declared != "GEOMETRY" && w.declared != name {
		return fmt.Errorf("a %s in a column of %s", name, w.declared)
	}
	const little, envelopeXY, empty = 0x01, 1 << 1, 0x10
	b := append(w.blob[:0], 'G', 'P', 0, little)
	b = binary.LittleEndian.AppendUint32(b, uint32(w.srsID))
	if g.Empty() {
		b[3] |= empty
	} else {
		box := boxOf(g, [4]float64{math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)})
		for _, v := range box {
			if math.IsInf(v, 0) || math.IsNaN(v) {
				return errors.New("a coordinate is not finite")
			}
		}
		if _, point := g.(*geom.Point); !point {
			b[3] |= envelopeXY
			for _, i := range []int{0, 2, 1, 3} {
				b = binary.LittleEndian.AppendUint64(b, math.Float64bits(box[i]))
			}
		}
	}
	w.blob = b
	return wkb.Write(&w.blob, wkb.NDR, g, wkbcommon.WKBOptionEmptyPointHandling(wkbcommon.EmptyPointHandlingNaN))
}

// typeName is the upper-case name of a geometry's type.
func typeName(g geom.T) string {
	switch g.(type) {
	case *geom.Point:
		return "POINT"
	case *geom.LineString:
		return "LINESTRING"
	case *geom.Polygon:
		return "POLYGON"
	case *geom.MultiPoint:
		return "MULTIPOINT"
	case *geom.MultiLineString:
		return "MULTILINESTRING"
	case *geom.MultiPolygon:
		return "MULTIPOLYGON"
	case *geom.GeometryCollection:
		return "GEOMETRYCOLLECTION"
	}
	return fmt.Sprintf("%T", g)
}

// boxOf widens a box to hold a geometry; NaN stays in it.
func boxOf(g geom.T, box [4]float64) [4]float64 {
	if gc, ok := g.(*geom.GeometryCollection); ok {
		for _, part := range gc.Geoms() {
			box = boxOf(part, box)
		}
		return box
	}
	flat, stride := g.FlatCoords(), g.Stride()
	for i := 0; i+1 < len(flat); i += stride {
		box = [4]float64{min(box[0], flat[i]), min(box[1], flat[i+1]), max(box[2], flat[i]), max(box[3], flat[i+1])}
	}
	return box
}

// measure takes a written geometry into account.
func (w *Writer) measure(g geom.T) {
	w.box = boxOf(g, w.box)
	l := g.Layout()
	w.z.add(l == geom.XYZ || l == geom.XYZM)
	w.m.add(l == geom.XYM || l == geom.XYZM)
}
