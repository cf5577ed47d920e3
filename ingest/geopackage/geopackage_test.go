package geopackage

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ncruces/go-sqlite3"
	"github.com/twpayne/go-geom"

	"changde/ingest/layer"
	"changde/problem"
)

const sample = "testdata/changde_4490.gpkg"

func TestInspectSample(t *testing.T) {
	t.Parallel()
	layers, err := Inspect(t.Context(), sample)
	if err != nil {
		t.Fatal(err)
	}
	type brief struct {
		Name, Type string
		EPSG       int
		Features   int64
	}
	var got []brief
	for _, l := range layers {
		got = append(got, brief{l.Name, l.GeometryType, l.EPSG, l.Features})
		if len(l.FirstPoints) != int(l.Features) || l.FirstPoints[0][0] < 110 || l.FirstPoints[0][0] > 113 {
			t.Errorf("%s: first points %v", l.Name, l.FirstPoints[:1])
		}
	}
	want := []brief{{"xzq", "MULTIPOLYGON", 4490, 9}, {"places", "POINT", 4490, 162}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("layers (-want +got):\n%s", diff)
	}
}

// read collects a layer.
func read(t testing.TB, path, name string) ([]layer.Field, []*layer.Feature) {
	t.Helper()
	r, err := Open(path, name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var out []*layer.Feature
	for {
		f, err := r.Next()
		if errors.Is(err, io.EOF) {
			return r.Fields(), out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, f)
	}
}

// What GDAL reads of the sample, we read.
func TestReaderAgainstGDAL(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs ogr2ogr")
	}
	out, err := exec.Command("ogr2ogr", "-f", "GeoJSON", "-lco", "COORDINATE_PRECISION=15", "/vsistdout/", sample, "xzq").Output()
	if err != nil {
		t.Skip("ogr2ogr is not installed")
	}
	var theirs struct {
		Features []struct {
			Properties map[string]any
			Geometry   struct{ Coordinates [][][][]float64 }
		}
	}
	if err := json.Unmarshal(out, &theirs); err != nil {
		t.Fatal(err)
	}
	fields, ours := read(t, sample, "xzq")
	if len(ours) != len(theirs.Features) {
		t.Fatalf("%d rows, GDAL has %d", len(ours), len(theirs.Features))
	}
	for i, f := range ours {
		want := theirs.Features[i]
		for k, field := range fields {
			if diff := cmp.Diff(want.Properties[field.Name], f.Values[k]); diff != "" {
				t.Errorf("row %d %s (-gdal +ours):\n%s", f.Row, field.Name, diff)
			}
		}
		var flat []float64
		for _, polygon := range want.Geometry.Coordinates {
			for _, ring := range polygon {
				for _, p := range ring {
					flat = append(flat, p...)
				}
			}
		}
		if diff := cmp.Diff(flat, f.Geom.FlatCoords()); diff != "" {
			t.Errorf("row %d: coordinates differ", f.Row)
		}
	}
}

func fields() []layer.Field {
	return []layer.Field{
		{Name: "名称", Type: layer.Text, Width: 40},
		{Name: `"; drop table`, Type: layer.Integer},
		{Name: "area", Type: layer.Real},
		{Name: "built", Type: layer.Date},
		{Name: "seen", Type: layer.Timestamp},
		{Name: "open", Type: layer.Boolean},
	}
}

func geometries() []geom.T {
	square := []float64{0, 0, 4, 0, 4, 4, 0, 4, 0, 0, 1, 1, 1, 2, 2, 2, 2, 1, 1, 1}
	return []geom.T{
		geom.NewPointFlat(geom.XY, []float64{111.5, 29}),
		geom.NewPointFlat(geom.XYZ, []float64{111.5, 29, 35.5}),
		geom.NewMultiPointFlat(geom.XY, []float64{1, 2, 3, 4}),
		geom.NewLineStringFlat(geom.XY, []float64{1, 2, 3, 4, 5, 6}),
		geom.NewMultiLineStringFlat(geom.XYZ, []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, []int{6, 12}),
		geom.NewPolygonFlat(geom.XY, square, []int{10, 20}),
		geom.NewMultiPolygonFlat(geom.XY, square, [][]int{{10, 20}}),
		nil,
	}
}

func write(t testing.TB) (path string, rows [][]any) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "x.gpkg")
	w, err := Create(path, Table{Name: "图层", EPSG: 4490, GeometryType: "Geometry", Fields: fields()})
	if err != nil {
		t.Fatal(err)
	}
	for i, g := range geometries() {
		row := []any{"第" + strings.Repeat("一", i) + "行", int64(i) << 40, float64(i) / 3, time.Date(2012, 9, 5, 0, 0, 0, 0, time.UTC), time.Date(2012, 9, 5, 8, 30, 15, 250e6, time.UTC), i%2 == 0}
		if i == 3 {
			row = make([]any, 6)
		}
		rows = append(rows, row)
		if err := w.Write(g, row); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return path, rows
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	path, rows := write(t)
	got, features := read(t, path, "图层")
	if diff := cmp.Diff(fields(), got); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	for i, f := range features {
		if diff := cmp.Diff(rows[i], f.Values); diff != "" {
			t.Errorf("row %d (-want +got):\n%s", f.Row, diff)
		}
		want := geometries()[i]
		if (want == nil) != (f.Geom == nil) {
			t.Errorf("row %d: geometry %v, want %v", f.Row, f.Geom, want)
			continue
		}
		if want == nil {
			continue
		}
		if want.Layout() != f.Geom.Layout() || cmp.Diff(want.FlatCoords(), f.Geom.FlatCoords()) != "" || cmp.Diff(want.Ends(), f.Geom.Ends()) != "" || cmp.Diff(want.Endss(), f.Geom.Endss()) != "" {
			t.Errorf("row %d: geometry %#v, want %#v", f.Row, f.Geom, want)
		}
		if len(f.Faults) > 0 {
			t.Errorf("row %d: faults %v", f.Row, f.Faults)
		}
	}
	again, _ := write(t)
	a, _ := os.ReadFile(path)
	b, _ := os.ReadFile(again)
	if string(a) != string(b) {
		t.Error("equal input makes unlike files")
	}
}

func TestWriterAgainstGDAL(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs ogrinfo")
	}
	path, _ := write(t)
	out, err := exec.Command("ogrinfo", "-al", "-ro", path).CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("ogrinfo is not installed")
	}
	for _, want := range []string{"Feature Count: 8", `ID["EPSG",4490]`, "名称 (String) = 第一行", "POINT Z (111.5 29.0 35.5)", `"; drop table: Integer64`, "built (Date) = 2012/09/05"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("ogrinfo does not say %q in:\n%s", want, out)
		}
	}
	if strings.Contains(string(out), "Warning") || strings.Contains(string(out), "ERROR") {
		t.Errorf("ogrinfo complains:\n%s", out)
	}
}

// change runs SQL on a copy of a good file.
func change(t *testing.T, sql string) string {
	t.Helper()
	path, _ := write(t)
	db, err := sqlite3.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Exec("PRAGMA foreign_keys=OFF; "+sql), db.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestHostileFiles(t *testing.T) {
	t.Parallel()
	put := func(data []byte) string {
		path := filepath.Join(t.TempDir(), "x.gpkg")
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, _ := write(t)
	data, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ path, code string }{
		"text":               {put([]byte("hello")), "geopackage-not-sqlite"},
		"empty":              {put(nil), "geopackage-empty-file"},
		"header alone":       {put(data[:100]), "geopackage-truncated"},
		"truncated":          {put(data[:len(data)/2]), "geopackage-truncated"},
		"no system tables":   {change(t, "DROP TABLE gpkg_contents"), "geopackage-tables"},
		"missing table":      {change(t, `DROP TABLE "图层"`), "geopackage-table-missing"},
		"no features":        {change(t, "DELETE FROM gpkg_geometry_columns; DELETE FROM gpkg_contents"), "geopackage-empty"},
		"geometry elsewhere": {change(t, "UPDATE gpkg_geometry_columns SET column_name = 'nowhere'"), "geopackage-geometry-column"},
		"not registered":     {change(t, "DELETE FROM gpkg_geometry_columns"), "geopackage-geometry-column"},
	} {
		_, err := Inspect(t.Context(), c.path)
		var p *problem.Error
		if !errors.As(err, &p) || p.Code != c.code || p.ZH == "" || p.EN == "" {
			t.Errorf("%s: got %v, want %s", name, err, c.code)
		}
	}
}
