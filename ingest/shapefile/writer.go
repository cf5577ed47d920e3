package shapefile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/twpayne/go-geom"

	"changde/ingest/layer"
)

// WriteOptions say what to write. Type is required; without Fields the table gets
// one number, FID, since a table without a field is not one.
type WriteOptions struct {
	Type   ShapeType // any but Null and MultiPatch
	Fields []layer.Field
	Encode func(string) ([]byte, error) // nil writes UTF-8; the bytes may be reused by its next call
	PRJ    string                       // content of the .prj, no file if empty
	CPG    string                       // content of the .cpg, no file if empty
	LDID   byte                         // language driver id, 0x4D for GBK
}

// maxFile is the length that the header of a .shp can declare.
const maxFile = 2 * math.MaxInt32

// Writer writes a shapefile, streaming. It is used by one goroutine. The files are
// complete only after Close has returned nil.
type Writer struct {
	opts WriteOptions
	shp  *output
	shx  *output
	dbf  *dbfWriter
	rec  []byte
	next int64 // offset of the next record in the .shp
	row  int64
	box  box
	z, m span
	err  error // sticky
}

// span is a range of Z or M, empty at first.
type span struct{ min, max float64 }

func (s *span) add(v float64) { s.min, s.max = min(s.min, v), max(s.max, v) }

// known returns the range, 0 to 0 when it is empty.
func (s span) known() (float64, float64) {
	if s.min > s.max {
		return 0, 0
	}
	return s.min, s.max
}

func emptySpan() span { return span{math.Inf(1), math.Inf(-1)} }

// output is a file behind a buffer.
type output struct {
	*bufio.Writer
	f *os.File
}

const writeBuffer = 1 << 20

func create(path string) (*output, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("shapefile: %w", err)
	}
	return &output{bufio.NewWriterSize(f, writeBuffer), f}, nil
}

// finish flushes, writes the header over the one at the start, and closes.
func (o *output) finish(header []byte) error {
	err := o.Flush()
	if err == nil {
		_, err = o.f.WriteAt(header, 0)
	}
	return errors.Join(err, o.f.Close())
}

// Create makes the .shp at path with its .shx and .dbf, and the .prj and .cpg when
// given; files of the same names are replaced.
func Create(path string, o WriteOptions) (*Writer, error) {
	if !o.Type.Known() || o.Type == Null || o.Type == MultiPatch {
		return nil, fmt.Errorf("shapefile: cannot write shape type %s", o.Type)
	}
	if o.Encode == nil {
		var buf []byte
		o.Encode = func(s string) ([]byte, error) {
			buf = append(buf[:0], s...)
			return buf, nil
		}
	}
	w := &Writer{
		opts: o, next: headerLength, z: emptySpan(), m: emptySpan(),
		box: box{math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)},
	}
	stem := strings.TrimSuffix(path, filepath.Ext(path))
	table, err := newDBFWriter(o)
	if err != nil {
		return nil, err
	}
	w.dbf = table
	if err := w.open(path, stem); err != nil {
		return nil, errors.Join(err, w.abandon())
	}
	return w, nil
}

func (w *Writer) open(path, stem string) error {
	var err error
	if w.shp, err = create(path); err != nil {
		return err
	}
	if w.shx, err = create(stem + ".shx"); err != nil {
		return err
	}
	if w.dbf.out, err = create(stem + ".dbf"); err != nil {
		return err
	}
	var blank [headerLength]byte
	w.shp.Write(blank[:])
	w.shx.Write(blank[:])
	if _, err := w.dbf.out.Write(w.dbf.header()); err != nil {
		return fmt.Errorf("shapefile: %w", err)
	}
	for ext, text := range map[string]string{".prj": w.opts.PRJ, ".cpg": w.opts.CPG} {
		if text == "" {
			continue
		}
		if err := os.WriteFile(stem+ext, []byte(text), 0o666); err != nil {
			return fmt.Errorf("shapefile: %w", err)
		}
	}
	return nil
}

// abandon closes what is open.
func (w *Writer) abandon() error {
	var errs []error
	for _, o := range []*output{w.shp, w.shx, w.dbf.out} {
		if o != nil {
			errs = append(errs, o.f.Close())
		}
	}
	return errors.Join(errs...)
}

// Write appends a row: a geometry of the type of the file, nil for none, and one
// value for each field, typed as package layer says. A value that the file cannot
// hold is an error and nothing of the row is written; rounding to the decimals of a
// Real field is no error.
func (w *Writer) Write(g geom.T, values []any) error {
	if w.err != nil {
		return w.err
	}
	row, err := w.dbf.encode(values, w.row+1)
	if err != nil {
		return fmt.Errorf("shapefile: row %d: %w", w.row+1, err)
	}
	rec, err := w.shape(append(w.rec[:0], 0, 0, 0, 0, 0, 0, 0, 0), g)
	w.rec = rec
	if err != nil {
		return fmt.Errorf("shapefile: row %d: %w", w.row+1, err)
	}
	if w.next+int64(len(rec)) > maxFile {
		return fmt.Errorf("shapefile: row %d: the file would pass the 4 GiB that its header can declare", w.row+1)
	}
	be.PutUint32(rec, uint32(w.row+1))
	be.PutUint32(rec[4:], uint32((len(rec)-8)/2))
	var entry [8]byte
	be.PutUint32(entry[:], uint32(w.next/2))
	copy(entry[4:], rec[4:8])
	// After a failed write the files no longer match each other.
	for _, part := range []struct {
		to   io.Writer
		what []byte
	}{{w.shp, rec}, {w.shx, entry[:]}, {w.dbf.out, row}} {
		if _, err := part.to.Write(part.what); err != nil {
			w.err = fmt.Errorf("shapefile: %w", err)
			return w.err
		}
	}
	w.next += int64(len(rec))
	w.row++
	return nil
}

// Close writes the headers and closes the files.
func (w *Writer) Close() error {
	if w.err != nil {
		return errors.Join(w.err, w.abandon())
	}
	w.err = errors.New("shapefile: the writer is closed")
	_, endErr := w.dbf.out.Write([]byte{0x1A})
	err := errors.Join(
		endErr,
		w.shp.finish(w.header(w.next)),
		w.shx.finish(w.header(headerLength+8*w.row)),
		w.dbf.finish(w.row),
	)
	if err != nil {
		return fmt.Errorf("shapefile: %w", err)
	}
	return nil
}

// header is the main file header for a file of the length.
func (w *Writer) header(length int64) []byte {
	h := make([]byte, headerLength)
	be.PutUint32(h[0:], 9994)
	be.PutUint32(h[24:], uint32(length/2))
	le.PutUint32(h[28:], 1000)
	le.PutUint32(h[32:], uint32(w.opts.Type))
	b := w.box
	if b.minX > b.maxX {
		b = box{}
	}
	zMin, zMax := w.z.known()
	mMin, mMax := w.m.known()
	for i, v := range [...]float64{b.minX, b.minY, b.maxX, b.maxY, zMin, zMax, mMin, mMax} {
		le.PutUint64(h[36+8*i:], math.Float64bits(v))
	}
	return h
}
