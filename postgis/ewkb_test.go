package postgis_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twpayne/go-geom"
	"github.com/twpayne/go-geom/encoding/ewkb"
	"pgregory.net/rapid"

	"changde/postgis"
	"changde/postgis/postgistest"
	"changde/problem"
)

// shapes are all types; # stands for the dimensions, and each number pair gets
// as many more numbers as they need.
var shapes = []string{
	"POINT # (111.69 29.03)",
	"POINT # EMPTY",
	"LINESTRING # (111 29, 112 30, 113 28)",
	"LINESTRING # EMPTY",
	"POLYGON # ((111 29, 112 29, 112 30, 111 29))",
	"POLYGON # ((0 0, 10 0, 10 10, 0 10, 0 0), (2 2, 2 4, 4 4, 4 2, 2 2))",
	"POLYGON # EMPTY",
	"MULTIPOINT # ((1 2), (3 4))",
	"MULTIPOINT # ((1 2), EMPTY, (3 4))",
	"MULTIPOINT # EMPTY",
	"MULTILINESTRING # ((1 2, 3 4), (5 6, 7 8, 9 10))",
	"MULTILINESTRING # (EMPTY, (5 6, 7 8))",
	"MULTILINESTRING # EMPTY",
	"MULTIPOLYGON # (((0 0, 9 0, 9 9, 0 0), (1 1, 2 1, 2 2, 1 1)), ((20 20, 30 20, 30 30, 20 20)))",
	"MULTIPOLYGON # (EMPTY, ((20 20, 30 20, 30 30, 20 20)))",
	"MULTIPOLYGON # EMPTY",
	"GEOMETRYCOLLECTION # EMPTY",
	"GEOMETRYCOLLECTION # (POINT # (1 2), LINESTRING # (1 2, 3 4), POLYGON # ((0 0, 1 0, 1 1, 0 0)))",
	"GEOMETRYCOLLECTION # (GEOMETRYCOLLECTION # (POINT # (1 2), MULTIPOINT # ((5 6))), GEOMETRYCOLLECTION # EMPTY, POINT # EMPTY)",
}

// ewkt writes a shape in the given dimensions.
func ewkt(shape, dims string, srid int) string {
	var b strings.Builder
	n := 0
	for i := 0; i < len(shape); i++ {
		c := shape[i]
		if (c == ',' || c == ')') && i > 0 && shape[i-1] >= '0' && shape[i-1] <= '9' {
			for range len(dims) {
				n++
				fmt.Fprintf(&b, " %d.5", n)
			}
		}
		b.WriteByte(c)
	}
	s := strings.ReplaceAll(b.String(), "#", dims)
	if srid != 0 {
		s = fmt.Sprintf("SRID=%d;%s", srid, s)
	}
	return s
}

// TestEWKBAgainstPostGIS: what PostGIS sends is read and written back byte for
// byte, and PostGIS reads what we write, by way of the pool's binary format.
func TestEWKBAgainstPostGIS(t *testing.T) {
	t.Parallel()
	ctx, pool := t.Context(), postgistest.New(t)
	for _, shape := range shapes {
		for _, dims := range []string{"", "Z", "M", "ZM"} {
			for _, srid := range []int{0, 4490} {
				text := ewkt(shape, dims, srid)
				var little, big, column []byte
				err := pool.QueryRow(ctx, `SELECT ST_AsEWKB(g, 'NDR'), ST_AsEWKB(g, 'XDR'), g FROM ST_GeomFromEWKT($1) g`, text).
					Scan(&little, &big, &column)
				if err != nil {
					t.Fatalf("%s: %v", text, err)
				}
				if !bytes.Equal(little, column) {
					t.Errorf("%s: the column came as %x, want %x", text, column, little)
				}
				g, err := postgis.DecodeEWKB(little)
				if err != nil {
					t.Errorf("%s: %v", text, err)
					continue
				}
				if g.SRID() != srid {
					t.Errorf("%s: SRID %d, want %d", text, g.SRID(), srid)
				}
				fromBig, err := postgis.DecodeEWKB(big)
				if err != nil {
					t.Errorf("%s, big-endian: %v", text, err)
				} else if d := cmp.Diff(g, fromBig, exportAll); d != "" {
					t.Errorf("%s: the byte orders differ:\n%s", text, d)
				}
				out, err := postgis.AppendEWKB([]byte("head"), g, srid)
				if err != nil {
					t.Errorf("%s: %v", text, err)
					continue
				}
				if want := append([]byte("head"), little...); !bytes.Equal(out, want) {
					t.Errorf("%s: wrote %x, want %x", text, out, want)
				}
				var back string
				if err := pool.QueryRow(ctx, `SELECT ST_AsEWKT($1::geometry)`, out[4:]).Scan(&back); err != nil {
					t.Errorf("%s: PostGIS refuses what was written: %v", text, err)
					continue
				}
				var same string
				if err := pool.QueryRow(ctx, `SELECT ST_AsEWKT(ST_GeomFromEWKT($1))`, text).Scan(&same); err != nil || same != back {
					t.Errorf("%s: PostGIS reads %s, want %s (%v)", text, back, same, err)
				}
			}
		}
	}
}

// exportAll lets cmp look into the types of go-geom, and takes NaN for equal.
var exportAll = cmp.Options{
	cmp.Exporter(func(reflect.Type) bool { return true }),
	cmp.Comparer(func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }),
}

// TestEWKBAgainstGoGeom checks against the codec of go-geom, which shares no
// code with ours.
func TestEWKBAgainstGoGeom(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		layout := rapid.SampledFrom([]geom.Layout{geom.XY, geom.XYZ, geom.XYM, geom.XYZM}).Draw(t, "layout")
		g := drawGeometry(t, layout, 3)
		srid := rapid.SampledFrom([]int{0, 4490, 4546}).Draw(t, "srid")
		top, err := geom.SetSRID(g, srid)
		if err != nil {
			t.Fatal(err)
		}
		got, err := postgis.AppendEWKB(nil, top, srid)
		if err != nil {
			t.Fatal(err)
		}
		back, err := postgis.DecodeEWKB(got)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := ewkb.Unmarshal(got)
		if err != nil {
			t.Fatal(err)
		}
		again, err := postgis.AppendEWKB(nil, theirs, srid)
		if err != nil || !bytes.Equal(again, got) {
			t.Fatalf("go-geom read something else: %x, want %x (%v)", again, got, err)
		}
		again, err = postgis.AppendEWKB(nil, back, srid)
		if err != nil || !bytes.Equal(again, got) {
			t.Fatalf("the round trip changed %x to %x (%v)", got, again, err)
		}
		if want, err := ewkb.Marshal(top, binary.LittleEndian); err != nil || !bytes.Equal(got, want) && !nestedSRID(top) {
			t.Fatalf("wrote %x, go-geom writes %x (%v)", got, want, err)
		}
	})
}

// nestedSRID: go-geom repeats the SRID in the members of a collection.
func nestedSRID(g geom.T) bool {
	_, ok := g.(*geom.GeometryCollection)
	return ok
}

func drawGeometry(t *rapid.T, layout geom.Layout, depth int) geom.T {
	stride := layout.Stride()
	floats := func(n int) []float64 {
		return rapid.SliceOfN(rapid.Float64Range(-1e9, 1e9), n*stride, n*stride).Draw(t, "coordinates")
	}
	few := rapid.IntRange(0, 4)
	lines := func() (flat []float64, ends []int) {
		for range few.Draw(t, "lines") {
			flat = append(flat, floats(few.Draw(t, "points"))...)
			ends = append(ends, len(flat))
		}
		return flat, ends
	}
	last := 6
	if depth == 0 {
		last = 5
	}
	switch rapid.IntRange(0, last).Draw(t, "type") {
	case 0:
		return geom.NewPointFlat(layout, floats(1))
	case 1:
		return geom.NewLineStringFlat(layout, floats(few.Draw(t, "points")))
	case 2:
		flat, ends := lines()
		return geom.NewPolygonFlat(layout, flat, ends)
	case 3:
		return geom.NewMultiPointFlat(layout, floats(few.Draw(t, "points")))
	case 4:
		flat, ends := lines()
		return geom.NewMultiLineStringFlat(layout, flat, ends)
	case 5:
		g := geom.NewMultiPolygon(layout)
		for range few.Draw(t, "polygons") {
			flat, ends := lines()
			if err := g.Push(geom.NewPolygonFlat(layout, flat, ends)); err != nil {
				t.Fatal(err)
			}
		}
		return g
	}
	g := geom.NewGeometryCollection()
	if err := g.SetLayout(layout); err != nil {
		t.Fatal(err)
	}
	for range few.Draw(t, "members") {
		if err := g.Push(drawGeometry(t, layout, depth-1)); err != nil {
			t.Fatal(err)
		}
	}
	return g
}

func TestAppendEWKBRefuses(t *testing.T) {
	t.Parallel()
	deep := geom.T(geom.NewPointFlat(geom.XY, []float64{1, 2}))
	for range 70 {
		deep = geom.NewGeometryCollection().MustPush(deep)
	}
	mixed := geom.NewGeometryCollection().MustPush(
		geom.NewPointFlat(geom.XY, []float64{1, 2}), geom.NewPointFlat(geom.XYZ, []float64{1, 2, 3}))
	tests := []struct {
		name string
		g    geom.T
		srid int
		code string
	}{
		{"nil", nil, 0, "geometry-type-unsupported"},
		{"ring", geom.NewLinearRingFlat(geom.XY, []float64{0, 0, 1, 1, 1, 0, 0, 0}), 0, "geometry-type-unsupported"},
		{"no layout", geom.NewLineString(geom.NoLayout), 0, "geometry-dimension"},
		{"five dimensions", geom.NewLineStringFlat(geom.Layout(5), []float64{1, 2, 3, 4, 5}), 0, "geometry-dimension"},
		{"NaN", geom.NewPointFlat(geom.XY, []float64{math.NaN(), math.NaN()}), 0, "coordinate-not-finite"},
		{"infinite", geom.NewLineStringFlat(geom.XY, []float64{1, 2, math.Inf(-1), 4}), 0, "coordinate-not-finite"},
		{"NaN in a ring", geom.NewPolygonFlat(geom.XY, []float64{1, 2, math.NaN(), 4}, []int{4}), 0, "coordinate-not-finite"},
		{"NaN in a multipolygon", geom.NewMultiPolygonFlat(geom.XY, []float64{1, 2, math.NaN(), 4}, [][]int{{4}}), 0, "coordinate-not-finite"},
		{"half a point of a ring", geom.NewPolygonFlat(geom.XY, []float64{1, 2, 3}, []int{3}), 0, "geometry-corrupt"},
		{"half a point", geom.NewLineStringFlat(geom.XY, []float64{1, 2, 3}), 0, "geometry-corrupt"},
		{"end past the coordinates", geom.NewPolygonFlat(geom.XY, []float64{1, 2}, []int{8}), 0, "geometry-corrupt"},
		{"ends go back", geom.NewMultiLineStringFlat(geom.XY, []float64{1, 2, 3, 4}, []int{4, 2}), 0, "geometry-corrupt"},
		{"too deep", deep, 0, "geometry-too-deep"},
		{"mixed dimensions", mixed, 0, "geometry-dimension"},
		{"negative SRID", geom.NewPointFlat(geom.XY, []float64{1, 2}), -1, "srid-range"},
		{"large SRID", geom.NewPointFlat(geom.XY, []float64{1, 2}), 1_000_000, "srid-range"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := postgis.AppendEWKB([]byte("head"), tt.g, tt.srid)
			var p *problem.Error
			if !errors.As(err, &p) || p.Code != tt.code {
				t.Errorf("got %v, want the problem %s", err, tt.code)
			}
			if string(got) != "head" {
				t.Errorf("dst became %q", got)
			}
		})
	}
}

func TestDecodeEWKBRefuses(t *testing.T) {
	t.Parallel()
	le := binary.LittleEndian
	number := func(n uint32) string { return string(le.AppendUint32(nil, n)) }
	deep := strings.Repeat("\x01"+number(7)+number(1), 100) + "\x01" + number(7) + number(0)
	tests := []struct {
		name, in string
		kind     problem.Kind
	}{
		{"nothing", "", problem.Invalid},
		{"byte order", "\x02" + number(1) + strings.Repeat("\x00", 16), problem.Invalid},
		{"cut in the type", "\x01\x01\x00", problem.Invalid},
		{"cut in the SRID", "\x01" + number(1|0x20000000) + "\x00", problem.Invalid},
		{"large SRID", "\x01" + number(1|0x20000000) + number(1<<30) + strings.Repeat("\x00", 16), problem.Invalid},
		{"cut point", "\x01" + number(1) + "\x00", problem.Invalid},
		{"four billion points", "\x01" + number(2) + number(math.MaxUint32), problem.Invalid},
		{"four billion rings", "\x01" + number(3) + number(math.MaxUint32), problem.Invalid},
		{"four billion members", "\x01" + number(7) + number(math.MaxUint32), problem.Invalid},
		{"bytes left", "\x01" + number(2) + number(0) + "x", problem.Invalid},
		{"line in a multipoint", "\x01" + number(4) + number(1) + "\x01" + number(2) + number(0) + strings.Repeat("\x00", 16), problem.Invalid},
		{"Z in a plain collection", "\x01" + number(7) + number(1) + "\x01" + number(2|0x80000000) + number(0), problem.Invalid},
		{"too deep", deep, problem.Invalid},
		{"curve", "\x01" + number(8) + number(0), problem.Unsupported},
		{"triangle", "\x01" + number(17) + number(0), problem.Unsupported},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if g, err := postgis.DecodeEWKB([]byte(tt.in)); !problem.Is(err, tt.kind) {
				t.Errorf("got %v and %v, want a problem of kind %s", g, err, tt.kind)
			}
		})
	}
}

func FuzzDecodeEWKB(f *testing.F) {
	for _, layout := range []geom.Layout{geom.XY, geom.XYZM} {
		one := make([]float64, 0, 16)
		for i := range 4 * layout.Stride() {
			one = append(one, float64(i))
		}
		line := geom.NewLineStringFlat(layout, one)
		polygon := geom.NewPolygonFlat(layout, one, []int{len(one)})
		points := geom.NewMultiPointFlat(layout, one)
		polygons := geom.NewMultiPolygonFlat(layout, one, [][]int{nil, {len(one)}})
		for _, g := range []geom.T{line, polygon, points, polygons, geom.NewGeometryCollection().MustPush(line, points, polygons)} {
			b, err := postgis.AppendEWKB(nil, g, 4490)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
		}
	}
	f.Add([]byte{0, 0, 0, 0, 1, 0x40, 0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := postgis.DecodeEWKB(b)
		if err != nil {
			var p *problem.Error
			if !errors.As(err, &p) {
				t.Fatalf("not a problem: %v", err)
			}
			return
		}
		out, err := postgis.AppendEWKB(nil, g, g.SRID())
		if err != nil {
			if !problem.Is(err, problem.Invalid) {
				t.Fatalf("what was read cannot be written: %v", err)
			}
			return
		}
		again, err := postgis.DecodeEWKB(out)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if d := cmp.Diff(g, again, exportAll); d != "" {
			t.Fatalf("the round trip changed the geometry:\n%s", d)
		}
	})
}

// parcel has ten vertices, as a parcel of a city has on average.
func parcel() *geom.Polygon {
	flat := make([]float64, 0, 22)
	for i := range 11 {
		a := 2 * math.Pi * float64(i%10) / 10
		flat = append(flat, 111.69+0.001*math.Cos(a), 29.03+0.001*math.Sin(a))
	}
	return geom.NewPolygonFlat(geom.XY, flat, []int{22})
}

func BenchmarkAppendEWKB(b *testing.B) {
	g := parcel()
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if buf, err = postgis.AppendEWKB(buf[:0], g, 4490); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "Mpolygons/s")
}

func BenchmarkDecodeEWKB(b *testing.B) {
	in, err := postgis.AppendEWKB(nil, parcel(), 4490)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := postgis.DecodeEWKB(in); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "Mpolygons/s")
}
