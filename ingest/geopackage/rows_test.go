package geopackage

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twpayne/go-geom"
	"github.com/twpayne/go-geom/encoding/wkb"
	"github.com/twpayne/go-geom/encoding/wkt"
)

// cell makes a geometry blob with the srs_id of CGCS2000 and WKB of parts: numbers are
// written as WKB has them, little-endian.
func cell(parts ...any) []byte {
	b := []byte{'G', 'P', 0, 1, 0x8a, 0x11, 0, 0}
	return append(b, body(parts...)...)
}

func body(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case byte:
			b = append(b, p)
		case int:
			b = binary.LittleEndian.AppendUint32(b, uint32(p))
		case float64:
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(p))
		case []byte:
			b = append(b, p...)
		}
	}
	return b
}

const le = byte(1)

func point(code int, v ...float64) []byte {
	b := body(le, code)
	for _, f := range v {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(f))
	}
	return b
}

func nest(depth int) []byte {
	if depth == 0 {
		return point(1, 1, 2)
	}
	return body(le, 7, 1, nest(depth-1))
}

func TestBlobs(t *testing.T) {
	t.Parallel()
	nan, inf := math.NaN(), math.Inf(1)
	bigEndian, err := wkb.Marshal(geom.NewMultiPolygonFlat(geom.XYZ, []float64{0, 0, 1, 9, 0, 1, 9, 9, 1, 0, 0, 1}, [][]int{{12}}), wkb.XDR)
	if err != nil {
		t.Fatal(err)
	}
	withEnvelope := func(code byte, n int) []byte {
		return body([]byte{'G', 'P', 0, 1 | code<<1, 0x8a, 0x11, 0, 0}, make([]byte, n), point(1, 1, 2))
	}
	tests := []struct {
		name string
		blob []byte
		want string
	}{
		{"point", cell(point(1, 1, 2)), "POINT (1 2)"},
		{"point Z", cell(point(1001, 1, 2, 3)), "POINT Z (1 2 3)"},
		{"point Z by the high bit", cell(point(1|1<<31, 1, 2, 3)), "POINT Z (1 2 3)"},
		{"point M", cell(point(2001, 1, 2, 3)), "POINT (1 2) m-dropped"},
		{"point ZM", cell(point(3001, 1, 2, 3, 4)), "POINT Z (1 2 3) m-dropped"},
		{"point M by the high bit", cell(point(1|1<<30, 1, 2, 3)), "POINT (1 2) m-dropped"},
		{"big-endian", append([]byte{'G', 'P', 0, 0, 0, 0, 0x11, 0x8a}, bigEndian...), "MULTIPOLYGON Z (((0 0 1, 9 0 1, 9 9 1, 0 0 1)))"},
		{"envelope XY", withEnvelope(1, 32), "POINT (1 2)"},
		{"envelope XYZ", withEnvelope(2, 48), "POINT (1 2)"},
		{"envelope XYZM", withEnvelope(4, 64), "POINT (1 2)"},
		{"envelope 5", withEnvelope(5, 64), "LOST geometry-header"},
		{"envelope cut off", []byte{'G', 'P', 0, 3, 0x8a, 0x11, 0, 0, 1, 2}, "LOST geometry-corrupt"},
		{"no GP", []byte("XX\x00\x01\x8a\x11\x00\x00"), "LOST geometry-header"},
		{"short", []byte("GP"), "LOST geometry-header"},
		{"version 1", []byte("GP\x01\x01\x8a\x11\x00\x00"), "LOST geometry-header"},
		{"extended", []byte("GP\x00\x21\x8a\x11\x00\x00"), "LOST geometry-extended"},
		{"other CRS", append([]byte{'G', 'P', 0, 1, 0xe6, 0x10, 0, 0}, point(1, 1, 2)...), "LOST srs-mixed"},
		{"NaN point", cell(point(1, nan, nan)), "nil geometry-empty"},
		{"half NaN", cell(point(1, 1, nan)), "LOST coordinate-range"},
		{"infinite", cell(point(1, inf, 2)), "LOST coordinate-range"},
		{"Z is NaN", cell(point(1001, 1, 2, nan)), "POINT (1 2) z-mixed"},
		{"point cut off", cell(point(1, 1)), "LOST geometry-corrupt"},
		{"bytes behind", cell(point(1, 1, 2), byte(0)), "POINT (1 2) geometry-trailing"},
		{"byte order 2", cell(byte(2), 1, 1.0, 2.0), "LOST geometry-corrupt"},
		{"line", cell(le, 2, 2, 1.0, 2.0, 3.0, 4.0), "LINESTRING (1 2, 3 4)"},
		{"line of four thousand million", cell(le, 2, -1, 1.0, 2.0), "LOST geometry-corrupt"},
		{"line of one", cell(le, 2, 1, 1.0, 2.0), "LOST line-too-short"},
		{"empty line", cell(le, 2, 0), "nil geometry-empty"},
		{"polygon", cell(le, 3, 1, 4, 0.0, 0.0, 9.0, 0.0, 9.0, 9.0, 0.0, 0.0), "POLYGON ((0 0, 9 0, 9 9, 0 0))"},
		{"open ring", cell(le, 3, 1, 3, 0.0, 0.0, 9.0, 0.0, 9.0, 9.0), "POLYGON ((0 0, 9 0, 9 9, 0 0)) ring-closed"},
		{"short ring", cell(le, 3, 1, 3, 0.0, 0.0, 9.0, 0.0, 0.0, 0.0), "LOST ring-too-short"},
		{"hole without exterior", cell(le, 3, 2, 0, 4, 0.0, 0.0, 9.0, 0.0, 9.0, 9.0, 0.0, 0.0), "LOST ring-order"},
		{"many rings", cell(le, 3, -1, 0), "LOST geometry-corrupt"},
		{"empty polygon", cell(le, 3, 0), "nil geometry-empty"},
		{"multipoint", cell(le, 4, 2, point(1, 1, 2), point(1, nan, nan)), "MULTIPOINT (1 2) part-empty"},
		{"multiline", cell(le, 5, 2, le, 2, 2, 1.0, 2.0, 3.0, 4.0, le, 2, 0), "MULTILINESTRING ((1 2, 3 4)) part-empty"},
		{"multipolygon with a point in it", cell(le, 6, 1, point(1, 1, 2)), "LOST geometry-corrupt"},
		{"multipoint of mixed dimensions", cell(le, 4, 2, point(1, 1, 2), point(1001, 1, 2, 3)), "LOST geometry-corrupt"},
		{"multi of many", cell(le, 6, -1, 0), "LOST geometry-corrupt"},
		{"collection", cell(le, 7, 2, point(1, 1, 2), le, 2, 2, 1.0, 2.0, 3.0, 4.0), "GEOMETRYCOLLECTION (POINT (1 2), LINESTRING (1 2, 3 4))"},
		{"collection of mixed dimensions", cell(le, 7, 2, point(1, 1, 2), point(1001, 3, 4, 5)), "GEOMETRYCOLLECTION (POINT (1 2), POINT (3 4)) z-mixed"},
		{"nested", cell(nest(4)), "GEOMETRYCOLLECTION (POINT (1 2)) collection-flattened"},
		{"nested too deeply", cell(nest(5)), "LOST collection-depth"},
		{"nested a million times", cell(heads(1_000_000)), "LOST collection-depth"},
		{"empty collection", cell(le, 7, 0), "nil geometry-empty"},
		{"curve", cell(le, 9, 0), "LOST geometry-type"},
		{"curve with Z", cell(le, 1010, 0), "LOST geometry-type"},
		{"TIN", cell(le, 16, 0), "LOST geometry-type"},
		{"unknown type", cell(le, 99, 0), "LOST geometry-type"},
		{"type with SRID", cell(le, 1|1<<29, 4490, 1.0, 2.0), "LOST geometry-type"},
	}
	var w wkbReader
	for _, tt := range tests {
		if got := describeBlob(&w, tt.blob); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

// heads is the head of n collections, each in the one before.
func heads(n int) []byte {
	return []byte(strings.Repeat("\x01\x07\x00\x00\x00\x01\x00\x00\x00", n))
}

func describeBlob(w *wkbReader, blob []byte) string {
	g, marks, err := w.parse(blob, 4490)
	if err != nil {
		return "LOST " + err.code
	}
	out := "nil"
	if g != nil {
		var werr error
		if out, werr = wkt.Marshal(g); werr != nil {
			out = werr.Error()
		}
	}
	for _, f := range faultsOf(1, marks, nil) {
		out += " " + f.Code
	}
	return out
}

// Rows that are wrong in themselves are told of, and the others come through.
func TestHostileRows(t *testing.T) {
	t.Parallel()
	mpoint := hex.EncodeToString(cell(point(2001, 1, 2, 3)))
	path := change(t, `UPDATE "图层" SET geom = x'00' WHERE fid = 1; UPDATE "图层" SET geom = 'text' WHERE fid = 2;
		UPDATE "图层" SET geom = x'`+mpoint+`' WHERE fid IN (3, 4);
		UPDATE "图层" SET area = 'wide', open = 7, built = '2012-13-01', seen = 5, "名称" = x'00' WHERE fid = 5;
		UPDATE "图层" SET "名称" = CAST(x'B3A3B5C2' AS TEXT), """; drop table" = 2.5 WHERE fid = 6;
		UPDATE "图层" SET "名称" = CAST(x'41FFFF' AS TEXT), """; drop table" = 2.0 WHERE fid = 7;
		UPDATE "图层" SET "名称" = 'a' || char(0) || 'b', area = 7, seen = '2012-09-05 08:30:15', built = '' WHERE fid = 8`)
	_, rows := read(t, path, "图层")
	var got []string
	for _, f := range rows {
		var line []string
		for _, fault := range f.Faults {
			s := fault.Code
			if fault.Lost {
				s += "!"
			}
			line = append(line, strings.TrimSuffix(fault.Field+" "+s, " "))
		}
		got = append(got, strings.TrimSpace(strings.Join(line, ",")))
	}
	want := []string{
		"geometry-header!", "geometry-header!", "m-dropped", "",
		"名称 type-mismatch,area type-mismatch,built type-mismatch,seen type-mismatch,open type-mismatch",
		`名称 text-gb18030,"; drop table type-mismatch`, "名称 text-not-utf8", "名称 text-nul,built type-mismatch",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
	if rows[5].Values[0] != "常德" || rows[6].Values[0] != "A\uFFFD" || rows[6].Values[1] != int64(2) || rows[7].Values[0] != "ab" || rows[7].Values[2] != 7.0 ||
		rows[7].Values[4] != time.Date(2012, 9, 5, 8, 30, 15, 0, time.UTC) {
		t.Errorf("values: %v %v %v", rows[5].Values, rows[6].Values, rows[7].Values)
	}
}

func TestDeclaredTypes(t *testing.T) {
	t.Parallel()
	for declared, want := range map[string]string{
		"BOOLEAN": "boolean", "TINYINT": "integer", "mediumint": "integer", "INTEGER": "integer", "FLOAT": "real", "DOUBLE  precision": "real",
		"TEXT": "text", "TEXT(40)": "text 40", "varchar( 7 )": "text 7", "TEXT(-1)": "text", "TEXT(": "text", "DATE": "date", "DATETIME": "timestamp",
		"NUMERIC(18,2)": "decimal 18 2", "": "text", "JSON": "text", "BLOB": "skipped", "BLOB(5)": "skipped", "POINT": "skipped", "TEXT(99999999999999999999)": "text",
	} {
		got := "skipped"
		if f, ok := declaredField("a", declared); ok {
			got = f.Type.String()
			if f.Width > 0 {
				got += fmt.Sprint(" ", f.Width)
			}
			if f.Decimals > 0 {
				got += fmt.Sprint(" ", f.Decimals)
			}
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", declared, got, want)
		}
	}
}

// FuzzBlob checks that no bytes crash the parser, that what it accepts is finite and
// closed, and that the writer's encoding of it reads back the same.
func FuzzBlob(f *testing.F) {
	for _, b := range [][]byte{
		cell(point(1, 1, 2)), cell(point(3001, 1, 2, 3, 4)), cell(nest(4)), cell(le, 2, -1, 1.0),
		cell(le, 3, 1, 3, 0.0, 0.0, 9.0, 0.0, 9.0, 9.0), cell(le, 4, 2, point(1, 1, 2), point(1, 3, 4)),
		cell(le, 6, 1, le, 3, 1, 4, 0.0, 0.0, 9.0, 0.0, 9.0, 9.0, 0.0, 0.0), cell(le, 7, 1, point(1001, 1, 2, 3)), []byte("GP\x00\x03\x8a\x11"),
	} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var w wkbReader
		g, _, err := w.parse(b, 4490)
		if err != nil || g == nil {
			return
		}
		if g.Empty() || len(firstFlat(g)) < 2 {
			t.Fatal("an empty geometry is not nil")
		}
		out := Writer{srsID: 4490, declared: "GEOMETRY"}
		if err := out.encode(g); err != nil {
			t.Fatal(err)
		}
		again, marks, err := w.parse(out.blob, 4490)
		if err != nil || marks != 0 {
			t.Fatalf("%v %d", err, marks)
		}
		before, err1 := wkt.Marshal(g)
		after, err2 := wkt.Marshal(again)
		if err1 != nil || err2 != nil || before != after {
			t.Fatalf("%s became %s, %v, %v", before, after, err1, err2)
		}
	})
}
