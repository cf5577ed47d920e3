package shapefile

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"changde/problem"
)

func isProblem(t *testing.T, err error, code string) {
	t.Helper()
	var p *problem.Error
	if !errors.As(err, &p) || p.Code != code || p.ZH == "" || p.EN == "" || p.Where == "" {
		t.Errorf("got %v, want a problem %q", err, code)
	}
}

// sampleFiles makes a small bundle with text in it.
func sampleFiles() (shp, shx, dbf []byte) {
	shp, shx = makeSHP(Polygon,
		partsRecord(Polygon, square(0, 0, 10), backwards(square(2, 2, 3))),
		partsRecord(Polygon, square(20, 0, 10)),
		[]byte{0, 0, 0, 0},
		partsRecord(Polygon, square(40, 0, 10), square(60, 0, 10)),
	)
	dbf = makeDBF([]col{{"ID", 'N', 4, 0}, {"NAME", 'C', 12, 0}, {"AREA", 'N', 12, 2}},
		[]string{"1", "武陵区", "100.00"}, []string{"2", "鼎城区", "100.00"}, []string{"3", "", ""}, []string{"4", "澧县", "200.00"})
	return shp, shx, dbf
}

// TestTruncated: a file cut anywhere is an error, whichever file it is and with or
// without the index; it is never read as if it were whole.
func TestTruncated(t *testing.T) {
	t.Parallel()
	shp, shx, dbf := sampleFiles()
	if all, _ := mustRead(t, inMemory(shp, shx, dbf), Options{}); len(all) != 4 {
		t.Fatal(len(all))
	}
	check := func(what string, at int, fs *files) {
		t.Helper()
		_, _, err := readAll(fs, Options{})
		var p *problem.Error
		if !errors.As(err, &p) {
			t.Errorf("%s cut at %d: %v", what, at, err)
		}
	}
	for at := 0; at < len(shp); at += 7 {
		check("shp", at, inMemory(shp[:at], shx, dbf))
		check("shp without shx", at, inMemory(shp[:at], nil, dbf))
		stale := bytes.Clone(shp[:at]) // the header does not tell
		if at >= headerLength {
			be.PutUint32(stale[24:], uint32(at/2))
			check("shp with its header", at, inMemory(stale, shx, dbf))
			check("shp with its header without shx", at, inMemory(stale, nil, dbf))
		}
	}
	for at := 0; at < len(dbf)-1; at += 7 {
		check("dbf", at, inMemory(shp, shx, dbf[:at]))
	}
	for at := headerLength; at < len(shx); at += 7 {
		check("shx", at, inMemory(shp, shx[:at], dbf))
	}
	// The header tells before the first row is read, and the record is named.
	for _, index := range [][]byte{nil, shx} {
		_, err := newReader(inMemory(shp[:len(shp)-1], index, dbf), Options{})
		isProblem(t, err, "shapefile-truncated")
		if err == nil || !strings.Contains(err.Error(), "record 4") {
			t.Errorf("the record is not named: %v", err)
		}
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	shp, shx, dbf := sampleFiles()
	edit := func(b []byte, at int, v ...byte) []byte {
		b = bytes.Clone(b)
		copy(b[at:], v)
		return b
	}
	tests := []struct {
		name string
		fs   *files
		code string
	}{
		{"no shapefile", inMemory(edit(shp, 0, 'P', 'K'), shx, dbf), "shapefile-header"},
		{"unknown type", inMemory(edit(shp, 32, 99), shx, dbf), "shapefile-type"},
		{"dbase 7", inMemory(shp, shx, edit(dbf, 0, 4)), "dbf-version"},
		{"no dbf", inMemory(shp, shx, edit(dbf, 0, '<', '!')), "dbf-version"},
		{"header length 0", inMemory(shp, shx, edit(dbf, 8, 0, 0)), "dbf-header"},
		{"header length beyond the file", inMemory(shp, shx, edit(dbf, 8, 0xFF, 0xFF)), "dbf-header"},
		{"row size 0", inMemory(shp, shx, edit(dbf, 10, 0, 0)), "dbf-header"},
		{"row size too small", inMemory(shp, shx, edit(dbf, 10, 9, 0)), "dbf-header"},
		{"field without width", inMemory(shp, shx, edit(dbf, 32+16, 0)), "dbf-header"},
		{"4 billion rows", inMemory(shp, shx, edit(dbf, 4, 0xFF, 0xFF, 0xFF, 0xFF)), "shapefile-truncated"},
		{"a row less", inMemory(shp, shx, edit(dbf, 4, 3)), "shapefile-count-mismatch"},
		{"a row less without shx", inMemory(shp, nil, edit(dbf, 4, 3)), "shapefile-count-mismatch"},
		{"a record less", inMemory(edit(shp[:len(shp)-220], 24, be.AppendUint32(nil, uint32(len(shp)-220)/2)...), nil, dbf), "shapefile-count-mismatch"},
		{"index out of the file", inMemory(shp, edit(shx, 108, 0x7F, 0xFF, 0xFF, 0xFF), dbf), "shapefile-truncated"},
		{"index into the header", inMemory(shp, edit(shx, 108, 0, 0, 0, 1), dbf), "shapefile-index"},
		{"record longer than the file", inMemory(edit(shp, 104, 0x7F, 0xFF, 0xFF, 0xFF), shx, dbf), "shapefile-truncated"},
		{"record longer than the file without shx", inMemory(edit(shp, 104, 0x7F, 0xFF, 0xFF, 0xFF), nil, dbf), "shapefile-truncated"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := readAll(tt.fs, Options{})
			isProblem(t, err, tt.code)
		})
	}
}

// TestIndexRepeats: an index that names the same record again and again cannot
// make the reader read more than the file.
func TestIndexRepeats(t *testing.T) {
	t.Parallel()
	rec := partsRecord(Polygon, square(0, 0, 1))
	shp, shx := makeSHP(Polygon, rec, rec)
	rows := [][]string{{"1"}, {"1"}}
	for range 1000 {
		shx = append(shx, shx[headerLength:headerLength+8]...)
		rows = append(rows, rows[0])
	}
	be.PutUint32(shx[24:], uint32(len(shx)/2))
	all, _, err := readAll(inMemory(shp, shx, makeDBF(one, rows...)), Options{})
	isProblem(t, err, "shapefile-index")
	if len(all) > 2 {
		t.Error(len(all))
	}
}

// TestEditedInPlace: the index leads to the shape that was moved to the end, not to
// the one left behind.
func TestEditedInPlace(t *testing.T) {
	t.Parallel()
	shp, shx := makeSHP(Point, pointRecord(1, 1), pointRecord(-1, -1), pointRecord(3, 3), pointRecord(2, 2))
	be.PutUint32(shp[100+3*28:], 2)
	copy(shx[108:116], shx[124:132])
	shx = shx[:124]
	be.PutUint32(shx[24:], uint32(len(shx)/2))
	all, _ := mustRead(t, inMemory(shp, shx, makeDBF(one, rowsOf(3)...)), Options{})
	var xs []float64
	var notes []string
	for _, f := range all {
		xs = append(xs, f.Geom.FlatCoords()[0])
		notes = append(notes, codes(f.Faults)...)
	}
	if diff := cmp.Diff([]float64{1, 2, 3}, xs); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"shp-not-sequential"}, notes); diff != "" {
		t.Error(diff)
	}
}

func TestRecordNumbers(t *testing.T) {
	t.Parallel()
	shp, shx := makeSHP(Point, pointRecord(1, 1), pointRecord(2, 2), pointRecord(3, 3))
	for i := range 3 {
		be.PutUint32(shp[100+28*i:], uint32(i)) // counted from 0
	}
	all, _ := mustRead(t, inMemory(shp, shx, makeDBF(one, rowsOf(3)...)), Options{})
	if got := strings.Join(codes(all[0].Faults), " "); got != "record-number" || len(all[1].Faults)+len(all[2].Faults) > 0 {
		t.Error(got)
	}
}

// TestNoIndex: without a .shx, or with a broken one, the file is read and the note
// says so.
func TestNoIndex(t *testing.T) {
	t.Parallel()
	shp, shx, dbf := sampleFiles()
	want, _ := mustRead(t, inMemory(shp, shx, dbf), Options{})
	for code, index := range map[string][]byte{"no-shx": nil, "shx-unusable": []byte("<html>not found</html>")} {
		got, r := mustRead(t, inMemory(shp, index, dbf), Options{})
		if diff := cmp.Diff([]string{code}, codes(r.Notes())); diff != "" {
			t.Error(diff)
		}
		if len(got) != len(want) || got[3].Values[1] != "澧县" {
			t.Errorf("%s: %d rows", code, len(got))
		}
	}
}

// TestAbsurdCountsAllocateNothing: a record of 60 bytes that claims two billion
// points costs no more memory than one that does not.
func TestAbsurdCountsAllocateNothing(t *testing.T) {
	line := partsRecord(PolyLine, [][2]float64{{0, 0}, {1, 1}})
	shp, shx := makeSHP(PolyLine, put(line, 40, 0x07FFFFFF), put(line, 36, 0x07FFFFFF))
	dbf := makeDBF(one, rowsOf(2)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	all, _ := mustRead(t, inMemory(shp, shx, dbf), Options{})
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
		t.Errorf("%d bytes allocated", grown)
	}
	for _, f := range all {
		if strings.Join(codes(f.Faults), "") != "geometry-corrupt!" {
			t.Error(codes(f.Faults))
		}
	}
}

func write(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSiblings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	shp, shx, dbf := sampleFiles()
	html := []byte("<!DOCTYPE html><html>404 Not Found</html>")
	write(t, dir, map[string][]byte{
		"地类.SHP": shp, "地类.Shx": shx, "地类.DBF": dbf, "地类.prj": html, "地类.CPG": html,
		"alone.shp": shp, "other.dbf": dbf,
		"big.shp": shp, "BIG.DBF": html, "big.DBF": html, "big.dbf": dbf, "Big.dbf": html, "big.prj": bytes.Repeat([]byte("x"), 100<<10),
	})
	info, err := Inspect(filepath.Join(dir, "地类.SHP"))
	if err != nil {
		t.Fatal(err)
	}
	if info.PRJ != string(html) || info.CPG != string(html) || info.Records != 4 || len(info.Notes) != 0 || info.ShapeType != Polygon {
		t.Errorf("%+v", info)
	}
	if want := "ID\nNAME\nAREA\n武陵区\n鼎城区\n澧县"; string(info.Sample) != want {
		t.Errorf("sample %q", info.Sample)
	}
	if diff := cmp.Diff([][2]float64{{0, 0}, {20, 0}, {40, 0}}, info.FirstPoints); diff != "" {
		t.Error(diff)
	}
	_, err = Inspect(filepath.Join(dir, "alone.shp"))
	isProblem(t, err, "shapefile-no-dbf")
	_, err = Open(filepath.Join(dir, "alone.shp"), Options{})
	isProblem(t, err, "shapefile-no-dbf")
	info, err = Inspect(filepath.Join(dir, "big.shp"))
	if err != nil {
		t.Fatal(err)
	}
	if len(info.PRJ) != maxSidecar {
		t.Error(len(info.PRJ))
	}
	if diff := cmp.Diff([]string{"sidecar-too-large", "no-shx"}, codes(info.Notes)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([][2]float64{{0, 0}, {20, 0}, {40, 0}}, info.FirstPoints); diff != "" {
		t.Error(diff)
	}
	_, err = Open(dir, Options{})
	isProblem(t, err, "shapefile-not-a-file")
	if _, err = Open(filepath.Join(dir, "missing.shp"), Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// TestSampleLooksFurther: one Chinese name among many ASCII rows is in the sample.
func TestSampleLooksFurther(t *testing.T) {
	t.Parallel()
	const n = 100_000 // 25 MB, of which the blocks cover two thirds
	null, ascii := []byte{0, 0, 0, 0}, []string{strings.Repeat("x", 90)}
	records, rows := slices.Repeat([][]byte{null}, n), slices.Repeat([][]string{ascii}, n)
	rows[1400] = []string{"澧县"}
	shp, shx := makeSHP(Point, records...)
	fs := inMemory(shp, shx, makeDBF([]col{{"NAME", 'C', 254, 0}}, rows...))
	if err := fs.parse(); err != nil {
		t.Fatal(err)
	}
	info, err := fs.inspect()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasSuffix(info.Sample, []byte("\n澧县")) || len(info.Sample) > maxSample {
		t.Errorf("%d bytes", len(info.Sample))
	}
}

// FuzzReader: whatever the bytes, reading ends, within the bounds of the contract.
func FuzzReader(f *testing.F) {
	shp, shx, dbf := sampleFiles()
	f.Add(shp, dbf, true)
	f.Add(shp, dbf, false)
	f.Add(shp[:200], dbf[:100], false)
	p, _ := makeSHP(PointZ, appendFloat(appendFloat(put(pointRecord(1, 2), 0, uint32(PointZ)), 3), 4))
	f.Add(p, makeDBF([]col{{"D", 'D', 8, 0}, {"L", 'L', 1, 0}, {"T", 'T', 8, 0}, {"Y", 'Y', 8, 0}, {"F", 'F', 19, 11}},
		[]string{"20120905", "T", "12345678", "12345678", "1.234e+003"}), true)
	l, _ := makeSHP(PolyLineM, partsRecord(PolyLineM, [][2]float64{{0, 0}, {1, 1}}))
	f.Add(l, makeDBF(one, []string{"***"}), true)
	f.Fuzz(func(t *testing.T, shp, dbf []byte, index bool) {
		var with []byte
		if index {
			with = shx
			if len(shp) > 100 {
				// An index of its own: every record as the walk finds it.
				with = indexOf(shp)
			}
		}
		fs := inMemory(shp, with, dbf)
		if fs.parse() == nil {
			if info, err := fs.inspect(); err == nil && (len(info.Sample) > maxSample || len(info.FirstPoints) > maxPoints) {
				t.Fatal("inspection passes its bounds")
			}
		}
		r, err := newReader(inMemory(shp, with, dbf), Options{})
		if err != nil {
			return
		}
		for row := int64(1); ; row++ {
			feature, err := r.Next()
			if err != nil {
				var p *problem.Error
				if !errors.Is(err, io.EOF) && !errors.As(err, &p) {
					t.Fatal(err)
				}
				if _, again := r.Next(); again != err {
					t.Fatalf("%v, then %v", err, again)
				}
				return
			}
			if feature.Row != row || len(feature.Values) != len(r.Fields()) {
				t.Fatalf("row %d: %+v", row, feature)
			}
			for i, v := range feature.Values {
				if s, ok := v.(string); ok && (!utf8.ValidString(s) || strings.Contains(s, "\x00")) {
					t.Fatalf("field %d: %q", i, s)
				}
			}
			if feature.Geom == nil {
				continue
			}
			for _, c := range feature.Geom.FlatCoords() {
				if math.IsNaN(c) || math.IsInf(c, 0) {
					t.Fatal("a coordinate is not finite")
				}
			}
			if e := feature.Geom.Ends(); len(e) > 0 && e[len(e)-1] != len(feature.Geom.FlatCoords()) {
				t.Fatalf("ends %v of %d", e, len(feature.Geom.FlatCoords()))
			}
		}
	})
}

// indexOf makes the index of a .shp by walking its records.
func indexOf(shp []byte) []byte {
	shx := bytes.Clone(shp[:headerLength])
	for pos := headerLength; pos+8 <= len(shp) && len(shx) < 1<<16; {
		shx = be.AppendUint32(shx, uint32(pos/2))
		shx = append(shx, shp[pos+4:pos+8]...)
		pos += 8 + 2*int(be.Uint32(shp[pos+4:]))
	}
	be.PutUint32(shx[24:], uint32(len(shx)/2))
	return shx
}
