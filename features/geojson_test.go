package features

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/twpayne/go-geom"
	"github.com/twpayne/go-geom/encoding/wkt"
	"pgregory.net/rapid"

	"changde/postgis"
	"changde/problem"
)

func ewkb(t testing.TB, text string) []byte {
	t.Helper()
	g, err := wkt.Unmarshal(text)
	if err != nil {
		t.Fatal(err)
	}
	b, err := postgis.AppendEWKB(nil, g, 4490)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAppendGeoJSON(t *testing.T) {
	t.Parallel()
	tests := []struct{ wkt, want string }{
		{"POINT (111.7 29)", `{"type":"Point","coordinates":[111.7,29]}`},
		{"POINT Z (111.123456789 -0.00000001 12.5)", `{"type":"Point","coordinates":[111.12345679,-0.00000001,12.5]}`},
		{"POINT M (1 2 3)", `{"type":"Point","coordinates":[1,2]}`},
		{"POINT ZM (1 2 3 4)", `{"type":"Point","coordinates":[1,2,3]}`},
		{"POINT (-0.000000001 100)", `{"type":"Point","coordinates":[0,100]}`},
		{"POINT EMPTY", `{"type":"Point","coordinates":[]}`},
		{"LINESTRING (0 0, 1.5 1)", `{"type":"LineString","coordinates":[[0,0],[1.5,1]]}`},
		{"LINESTRING EMPTY", `{"type":"LineString","coordinates":[]}`},
		// A clockwise exterior ring and a counter-clockwise hole are turned.
		{
			"POLYGON ((0 0, 0 9, 9 9, 9 0, 0 0), (1 1, 2 1, 2 2, 1 1))",
			`{"type":"Polygon","coordinates":[[[0,0],[9,0],[9,9],[0,9],[0,0]],[[1,1],[2,2],[2,1],[1,1]]]}`,
		},
		{
			"POLYGON ((0 0, 9 0, 9 9, 0 0), (2 1, 3 2, 3 1, 2 1))",
			`{"type":"Polygon","coordinates":[[[0,0],[9,0],[9,9],[0,0]],[[2,1],[3,2],[3,1],[2,1]]]}`,
		},
		{"POLYGON EMPTY", `{"type":"Polygon","coordinates":[]}`},
		{"MULTIPOINT ((1 2), EMPTY, (3 4))", `{"type":"MultiPoint","coordinates":[[1,2],[3,4]]}`},
		{"MULTILINESTRING ((0 0, 1 1), (2 2, 3 3))", `{"type":"MultiLineString","coordinates":[[[0,0],[1,1]],[[2,2],[3,3]]]}`},
		{
			"MULTIPOLYGON (((0 0, 0 1, 1 1, 0 0)), ((5 5, 6 5, 6 6, 5 5)))",
			`{"type":"MultiPolygon","coordinates":[[[[0,0],[1,1],[0,1],[0,0]]],[[[5,5],[6,5],[6,6],[5,5]]]]}`,
		},
		{
			"GEOMETRYCOLLECTION (POINT (1 2), GEOMETRYCOLLECTION (LINESTRING (0 0, 1 1)))",
			`{"type":"GeometryCollection","geometries":[{"type":"Point","coordinates":[1,2]},{"type":"GeometryCollection","geometries":[{"type":"LineString","coordinates":[[0,0],[1,1]]}]}]}`,
		},
		{"GEOMETRYCOLLECTION EMPTY", `{"type":"GeometryCollection","geometries":[]}`},
	}
	for _, tt := range tests {
		got, err := AppendGeoJSON([]byte("x"), ewkb(t, tt.wkt), 8)
		if err != nil {
			t.Errorf("%s: %v", tt.wkt, err)
		} else if string(got) != "x"+tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.wkt, got[1:], tt.want)
		}
	}
}

func TestAppendGeoJSONRefuses(t *testing.T) {
	t.Parallel()
	nan := ewkb(t, "LINESTRING (0 0, 1 1)")
	for i := range 8 {
		nan[len(nan)-1-i] = 0xff
	}
	deep := ewkb(t, "POINT (1 2)")[9:]
	deep = append([]byte{1, 1, 0, 0, 0}, deep...)
	for range 100 {
		deep = append([]byte{1, 7, 0, 0, 0, 1, 0, 0, 0}, deep...)
	}
	line := ewkb(t, "LINESTRING (0 0, 1 1)")
	for name, b := range map[string][]byte{
		"nothing": nil, "no coordinates": {1, 1, 0, 0, 0}, "byte order": {7, 1, 0, 0, 0}, "circular string": {1, 8, 0, 0, 0, 0, 0, 0, 0},
		"four thousand million points": {1, 2, 0, 0, 0, 255, 255, 255, 255}, "NaN": nan, "deep": deep,
		"too long": append(line[:len(line):len(line)], 0), "too short": line[:len(line)-1],
		"point in a multi-line": {1, 5, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 0},
	} {
		got, err := AppendGeoJSON([]byte("x"), b, 8)
		if !problem.Is(err, problem.Invalid) && !problem.Is(err, problem.Unsupported) {
			t.Errorf("%s: got the error %v", name, err)
		}
		if string(got) != "x" {
			t.Errorf("%s: dst has become %q", name, got)
		}
	}
}

func TestAppendDecimalIsRoundedFloat(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.OneOf(rapid.Float64Range(-180, 180), rapid.Float64Range(-1e9, 1e9), rapid.Float64Range(-1e300, 1e300)).Draw(t, "v")
		decimals := rapid.IntRange(0, 15).Draw(t, "decimals")
		s := string(appendDecimal(nil, v, decimals))
		if !json.Valid([]byte(s)) {
			t.Fatalf("%v is written %s", v, s)
		}
		if i := strings.IndexByte(s, '.'); i >= 0 && (len(s)-i-1 > decimals || strings.HasSuffix(s, "0")) {
			t.Fatalf("%v with %d decimals is written %s", v, decimals, s)
		}
		got, err := strconv.ParseFloat(s, 64)
		if err != nil {
			t.Fatal(err)
		}
		// Half a unit of the last digit, and the error of the arithmetic of doubles.
		if e := math.Abs(got - v); e > 0.5000001*math.Pow(10, -float64(decimals))+math.Abs(v)*4e-16 {
			t.Fatalf("%v with %d decimals is written %s", v, decimals, s)
		}
	})
}

func FuzzAppendGeoJSON(f *testing.F) {
	for _, s := range []string{"POINT Z (1 2 3)", "MULTIPOLYGON (((0 0, 0 1, 1 1, 0 0)))", "GEOMETRYCOLLECTION (POINT EMPTY, MULTIPOINT (1 2, 3 4))"} {
		f.Add(ewkb(f, s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := AppendGeoJSON(nil, b, 8)
		if err != nil {
			return
		}
		if !json.Valid(got) {
			t.Fatalf("no JSON: %s", got)
		}
		// What we take the other decoder takes too, unless it minds the SRID, which we
		// do not look at.
		if _, err := postgis.DecodeEWKB(b); err != nil && !strings.Contains(err.Error(), "SRID") {
			t.Fatalf("%s is written for bytes that are %v", got, err)
		}
	})
}

func BenchmarkAppendGeoJSON(b *testing.B) {
	var flat []float64
	for i := range 11 {
		flat = append(flat, 111.123456+math.Cos(float64(i))/1000, 28.654321+math.Sin(float64(i))/1000)
	}
	flat = append(flat, flat[0], flat[1])
	in, err := postgis.AppendEWKB(nil, geom.NewPolygonFlat(geom.XY, flat, []int{len(flat)}), 4490)
	if err != nil {
		b.Fatal(err)
	}
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		if dst, err = AppendGeoJSON(dst[:0], in, 8); err != nil {
			b.Fatal(err)
		}
	}
}
