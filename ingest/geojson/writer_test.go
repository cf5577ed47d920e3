package geojson

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twpayne/go-geom"
	"pgregory.net/rapid"

	"changde/ingest/layer"
)

func TestWriter(t *testing.T) {
	t.Parallel()
	fields := []layer.Field{
		{Name: "名称", Type: layer.Text},
		{Name: "n", Type: layer.Integer},
		{Name: "r", Type: layer.Real},
		{Name: "d", Type: layer.Decimal},
		{Name: "b", Type: layer.Boolean},
		{Name: "day", Type: layer.Date},
		{Name: "at", Type: layer.Timestamp},
		{Name: "nil", Type: layer.Text},
	}
	at := time.Date(2024, 2, 29, 8, 30, 0, 500e6, time.UTC)
	var buf bytes.Buffer
	w := NewWriter(&buf, "县界\"", "urn:ogc:def:crs:EPSG::4490")
	clockwise := geom.NewPolygonFlat(geom.XYM, []float64{0, 0, 7, 0, 9, 7, 9, 9, 7, 0, 0, 7, 1, 2, 7, 3, 2, 7, 3, 3, 7, 1, 2, 7}, []int{12, 24})
	rows := []geom.T{
		clockwise,
		geom.NewPointFlat(geom.XYZ, []float64{111.5, 29, 34.25}),
		geom.NewPointEmpty(geom.XY),
		geom.NewGeometryCollection().MustPush(geom.NewLineStringFlat(geom.XY, []float64{1e-10, 2, 3e21, 4})),
		nil,
	}
	for _, g := range rows {
		if err := w.Write(g, fields, []any{"a\"\\\n\x01德\xff", int64(-5), 0.1, "12.50", true, at.Truncate(24 * time.Hour), at, nil}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	props := `,"properties":{"名称":"a\"\\\n\u0001德` + "\ufffd" + `","n":-5,"r":0.1,"d":12.50,"b":true,"day":"2024-02-29","at":"2024-02-29T08:30:00.5Z","nil":null}}`
	want := `{"type":"FeatureCollection","name":"县界\"","crs":{"type":"name","properties":{"name":"urn:ogc:def:crs:EPSG::4490"}},"features":[
{"type":"Feature","geometry":{"type":"Polygon","coordinates":[[[0,0],[9,9],[0,9],[0,0]],[[1,2],[3,3],[3,2],[1,2]]]}` + props + `,
{"type":"Feature","geometry":{"type":"Point","coordinates":[111.5,29,34.25]}` + props + `,
{"type":"Feature","geometry":{"type":"Point","coordinates":[]}` + props + `,
{"type":"Feature","geometry":{"type":"GeometryCollection","geometries":[{"type":"LineString","coordinates":[[1e-10,2],[3e+21,4]]}]}` + props + `,
{"type":"Feature","geometry":null` + props + `
]}
`
	if diff := cmp.Diff(want, buf.String()); diff != "" {
		t.Error(diff)
	}
	if !json.Valid(buf.Bytes()) {
		t.Error("not JSON")
	}
}

func TestWriterRefuses(t *testing.T) {
	t.Parallel()
	field := []layer.Field{{Name: "a", Type: layer.Decimal}}
	w := NewWriter(io.Discard, "", "")
	for _, tt := range []struct {
		g      geom.T
		values []any
	}{
		{nil, nil},
		{nil, []any{"1,5"}},
		{nil, []any{math.NaN()}},
		{nil, []any{int32(1)}},
		{geom.NewPointFlat(geom.XY, []float64{1, math.Inf(1)}), []any{"1"}},
		{geom.NewLinearRing(geom.XY), []any{"1"}},
	} {
		if err := w.Write(tt.g, field, tt.values); err == nil {
			t.Errorf("%v %v was written", tt.g, tt.values)
		}
	}
	if err := w.Write(nil, field, []any{"1"}); err != nil {
		t.Errorf("a refused row must not end the file: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if err := w.Write(nil, field, []any{"1"}); err == nil {
		t.Error("written after Close")
	}
}

// What is written is read back the same.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fields := []layer.Field{{Name: "i", Type: layer.Integer}, {Name: "r", Type: layer.Real}, {Name: "s", Type: layer.Text}}
	rapid.Check(t, func(t *rapid.T) {
		coord := rapid.Float64Range(-1e7, 1e8)
		n := rapid.IntRange(2, 20).Draw(t, "n")
		flat := rapid.SliceOfN(coord, 3*n, 3*n).Draw(t, "flat")
		g := geom.NewLineStringFlat(geom.XYZ, flat)
		values := []any{rapid.Int64().Draw(t, "i"), rapid.Float64Range(-1e300, 1e300).Draw(t, "r"), "x" + strings.ReplaceAll(rapid.String().Draw(t, "s"), "\x00", "")}
		var buf bytes.Buffer
		w := NewWriter(&buf, "", "")
		if err := w.Write(g, fields, values); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "a.geojson")
		if err := os.WriteFile(path, buf.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		info, err := Inspect(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		// A whole number is an integer to the schema, whatever it was.
		info.Fields[0].Type, info.Fields[1].Type = layer.Integer, layer.Real
		r, err := Open(path, info)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		f, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(values, f.Values); diff != "" || len(f.Faults) > 0 {
			t.Fatal(diff, f.Faults)
		}
		if diff := cmp.Diff(flat, f.Geom.FlatCoords()); diff != "" {
			t.Fatal(diff)
		}
	})
}

// ogr runs a GDAL program.
func ogr(t *testing.T, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(args[0]); err != nil {
		if testing.Short() {
			t.Skip(args[0] + " is not installed")
		}
		t.Fatal(err)
	}
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v: %s", args, err, out)
	}
	return string(out)
}

// GDAL reads what the writer wrote as it reads what it wrote itself by RFC 7946.
func TestWriterAgainstGDAL(t *testing.T) {
	t.Parallel()
	const in = "testdata/counties.geojson"
	info, err := Inspect(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Open(in, info)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	path := filepath.Join(t.TempDir(), "counties.geojson")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := NewWriter(f, "changde_counties", "")
	for {
		row, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil || len(row.Faults) > 0 {
			t.Fatal(err, row)
		}
		if err := w.Write(row.Geom, r.Fields(), row.Values); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	// GDAL writes a multipolygon of one part as a polygon.
	lines := func(path string) []string {
		return strings.Split(ogr(t, "ogr2ogr", "-f", "CSV", "/vsistdout/", path, "-lco", "GEOMETRY=AS_WKT", "-nlt", "PROMOTE_TO_MULTI"), "\n")
	}
	wound := filepath.Join(t.TempDir(), "gdal.geojson")
	ogr(t, "ogr2ogr", "-f", "GeoJSON", wound, in, "-lco", "RFC7946=YES")
	if diff := cmp.Diff(lines(wound), lines(path)); diff != "" {
		t.Error(diff)
	}
}

// The reader agrees with GDAL on every vertex of the counties.
func TestReaderAgainstGDAL(t *testing.T) {
	t.Parallel()
	const in = "testdata/counties.geojson"
	info, err := Inspect(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	seq := filepath.Join(t.TempDir(), "counties.geojsonl")
	ogr(t, "ogr2ogr", "-f", "GeoJSONSeq", seq, in, "-lco", "RS=YES")
	if got, err := Inspect(t.Context(), seq); err != nil || got.Features != 9 || !got.Seq || got.Box != info.Box || !cmp.Equal(got.Fields, info.Fields) {
		t.Errorf("as a sequence: %+v %v", got, err)
	}
	path := filepath.Join(t.TempDir(), "gdal.geojson")
	ogr(t, "ogr2ogr", "-f", "GeoJSON", path, in, "-lco", "COORDINATE_PRECISION=15")
	other, err := Inspect(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Features != 9 || other.Features != 9 || info.Box != other.Box {
		t.Fatal(info, other)
	}
	if diff := cmp.Diff(info.Fields, other.Fields); diff != "" {
		t.Error(diff)
	}
	a, err := Open(in, info)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := Open(path, other)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	vertices := 0
	for {
		x, err := a.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		y, err := b.Next()
		if err != nil {
			t.Fatal(err)
		}
		vertices += len(x.Geom.FlatCoords()) / 2
		if diff := cmp.Diff(x.Geom.FlatCoords(), y.Geom.FlatCoords()); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(x.Values, y.Values); diff != "" {
			t.Error(diff)
		}
	}
	if vertices != 15317 {
		t.Errorf("%d vertices", vertices)
	}
}
