package shapefile

import (
	"bytes"
	"errors"
	"io"
	"math"
	"testing"

	"changde/ingest/layer"
)

// col is a column of a table made for a test.
type col struct {
	name     string
	kind     byte
	width    int
	decimals int
}

// makeDBF makes a table; a cell is padded with spaces.
func makeDBF(cols []col, rows ...[]string) []byte {
	size := 1
	for _, c := range cols {
		size += c.width
	}
	h := make([]byte, 32)
	h[0] = 3
	le.PutUint32(h[4:], uint32(len(rows)))
	le.PutUint16(h[8:], uint16(33+32*len(cols)))
	le.PutUint16(h[10:], uint16(size))
	for _, c := range cols {
		var f [32]byte
		copy(f[:11], c.name)
		f[11], f[16], f[17] = c.kind, byte(c.width), byte(c.decimals)
		h = append(h, f[:]...)
	}
	h = append(h, 0x0D)
	for _, row := range rows {
		h = append(h, ' ')
		for i, c := range cols {
			cell := bytes.Repeat([]byte{' '}, c.width)
			copy(cell, row[i])
			h = append(h, cell...)
		}
	}
	return append(h, 0x1A)
}

// makeSHP makes a main file and its index from the contents of the records.
func makeSHP(typ ShapeType, records ...[]byte) (shp, shx []byte) {
	h := make([]byte, headerLength)
	be.PutUint32(h, 9994)
	le.PutUint32(h[28:], 1000)
	le.PutUint32(h[32:], uint32(typ))
	shp, shx = bytes.Clone(h), h
	for i, c := range records {
		shx = be.AppendUint32(shx, uint32(len(shp)/2))
		shx = be.AppendUint32(shx, uint32(len(c)/2))
		shp = be.AppendUint32(shp, uint32(i+1))
		shp = be.AppendUint32(shp, uint32(len(c)/2))
		shp = append(shp, c...)
	}
	be.PutUint32(shp[24:], uint32(len(shp)/2))
	be.PutUint32(shx[24:], uint32(len(shx)/2))
	return shp, shx
}

// pointRecord is the content of a Point.
func pointRecord(x, y float64) []byte {
	return appendFloat(appendFloat(le.AppendUint32(nil, uint32(Point)), x), y)
}

// partsRecord is the content of a PolyLine or Polygon with the rings as given.
func partsRecord(typ ShapeType, parts ...[][2]float64) []byte {
	b := le.AppendUint32(nil, uint32(typ))
	b = append(b, make([]byte, 32)...)
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	b = le.AppendUint32(b, uint32(len(parts)))
	b = le.AppendUint32(b, uint32(n))
	n = 0
	for _, p := range parts {
		b = le.AppendUint32(b, uint32(n))
		n += len(p)
	}
	for _, p := range parts {
		for _, c := range p {
			b = appendFloat(appendFloat(b, c[0]), c[1])
		}
	}
	return b
}

// square is a closed square with its lower left corner at x, y; clockwise, which
// makes it a shell.
func square(x, y, size float64) [][2]float64 {
	return [][2]float64{{x, y}, {x, y + size}, {x + size, y + size}, {x + size, y}, {x, y}}
}

func backwards(ring [][2]float64) [][2]float64 {
	out := make([][2]float64, len(ring))
	for i, c := range ring {
		out[len(ring)-1-i] = c
	}
	return out
}

// inMemory makes the files of a bundle; shx nil leaves the index out.
func inMemory(shp, shx, dbf []byte) *files {
	src := func(name string, b []byte) *source {
		return &source{ReaderAt: bytes.NewReader(b), name: name, size: int64(len(b))}
	}
	fs := &files{shp: src("t.shp", shp), dbf: src("t.dbf", dbf)}
	if shx != nil {
		fs.shx = src("t.shx", shx)
	}
	return fs
}

// readAll reads every row.
func readAll(fs *files, o Options) ([]*layer.Feature, *Reader, error) {
	r, err := newReader(fs, o)
	if err != nil {
		return nil, nil, err
	}
	var all []*layer.Feature
	for {
		f, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all, r, nil
		}
		if err != nil {
			return all, r, err
		}
		all = append(all, f)
	}
}

func mustRead(t *testing.T, fs *files, o Options) ([]*layer.Feature, *Reader) {
	t.Helper()
	all, r, err := readAll(fs, o)
	if err != nil {
		t.Fatal(err)
	}
	return all, r
}

// codes lists the codes of faults, with a mark on those that lose the row.
func codes(faults []layer.Fault) []string {
	var out []string
	for _, f := range faults {
		c := f.Code
		if f.Field != "" {
			c = f.Field + ":" + c
		}
		if f.Lost {
			c += "!"
		}
		if f.ZH == "" || f.EN == "" {
			c += " without text"
		}
		out = append(out, c)
	}
	return out
}

var one = []col{{"ID", 'N', 4, 0}}

var nan = math.NaN()
