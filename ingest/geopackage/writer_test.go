package geopackage

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twpayne/go-geom"

	"changde/ingest/layer"
	"changde/problem"
)

func TestSeveralTables(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "多层 100%?.gpkg")
	own := `LOCAL_CS["somewhere"]`
	w, err := Create(path, Table{Name: "点", EPSG: 4326, GeometryType: "Point", Fields: []layer.Field{
		{Name: "FID", Type: layer.Integer}, {Name: "geom", Type: layer.Text}, {Name: "money", Type: layer.Decimal, Width: 18, Decimals: 2}, {Name: "area", Type: layer.Decimal, Width: 15, Decimals: 2},
	}})
	if err != nil {
		t.Fatal(err)
	}
	step := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	step(w.Write(geom.NewPointFlat(geom.XYZ, []float64{1, 2, 3}), []any{int64(5), "g", "12345678901234567.89", "1234567890123.25"}))
	step(w.Write(geom.NewPointEmpty(geom.XYZ), []any{nil, nil, nil, nil}))
	step(w.AddTable(Table{Name: "线", SRSName: "local", WKT: own, GeometryType: "LineString"}))
	step(w.Write(geom.NewLineStringFlat(geom.XY, []float64{-5, 7, 3, 9}), nil))
	step(w.Write(geom.NewLineStringFlat(geom.XYZ, []float64{-5, 7, 1, 3, 9, 1}), nil))
	step(w.AddTable(Table{Name: "again", SRSName: "local", WKT: own}))
	step(w.AddTable(Table{Name: "other", WKT: own + " "}))
	step(w.AddTable(Table{Name: "nothing"}))
	step(w.AddTable(Table{Name: "gk", EPSG: 4546}))
	step(w.Write(geom.NewPointFlat(geom.XYM, []float64{500000, 3212000, 1}), nil))
	step(w.Close())
	step(w.Close())
	if err := w.Write(nil, nil); err == nil {
		t.Error("written after Close")
	}

	layers, err := Inspect(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range layers {
		box := "nil"
		if l.Box != nil {
			box = fmt.Sprint(*l.Box)
		}
		got = append(got, fmt.Sprintf("%s %d %d %q %s %s z=%v m=%v %d rows box %s", l.Name, l.srsID, l.EPSG, l.WKT[:min(len(l.WKT), 20)], l.GeometryColumn, l.GeometryType, l.HasZ, l.HasM, l.Features, box))
	}
	want := []string{
		`点 4326 4326 "GEOGCS[\"WGS 84\",DATU" geometry POINT z=true m=false 2 rows box [1 2 1 2]`,
		`线 100000 0 "LOCAL_CS[\"somewhere\"" geom LINESTRING z=true m=false 2 rows box [-5 7 3 9]`,
		`again 100000 0 "LOCAL_CS[\"somewhere\"" geom GEOMETRY z=false m=false 0 rows box nil`,
		`other 100001 0 "LOCAL_CS[\"somewhere\"" geom GEOMETRY z=false m=false 0 rows box nil`,
		`nothing -1 0 "" geom GEOMETRY z=false m=false 0 rows box nil`,
		`gk 4546 4546 "" geom GEOMETRY z=false m=true 1 rows box [500000 3.212e+06 500000 3.212e+06]`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	_, rows := read(t, path, "点")
	if diff := cmp.Diff([]any{int64(1), int64(5), "g", "12345678901234567.89", 1234567890123.25}, rows[0].Values); diff != "" || rows[1].Geom != nil {
		t.Error(diff)
	}

	if _, err := exec.LookPath("ogrinfo"); err != nil {
		if testing.Short() {
			t.Skip("ogrinfo is not installed")
		}
		t.Fatal(err)
	}
	out, err := exec.Command("ogrinfo", "-ro", "-so", "-al", path).CombinedOutput()
	if err != nil || strings.Contains(string(out), "Warning") || strings.Contains(string(out), "ERROR") {
		t.Errorf("%v: %s", err, out)
	}
	for _, want := range []string{"Layer name: 点\nGeometry: 3D Point\nFeature Count: 2\nExtent: (1.000000, 2.000000)", "Layer name: gk\nGeometry: Measured Unknown (any)", `ID["EPSG",4546]`, "FID Column = ogc_fid\nGeometry Column = geometry"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("ogrinfo does not say %q in %s", want, out)
		}
	}
}

func TestWriterRefusesNames(t *testing.T) {
	t.Parallel()
	for _, table := range []Table{
		{},
		{Name: "a\x00b"},
		{Name: "gpkg_contents"},
		{Name: "SQLite_x"},
		{Name: "rtree_x_geom"},
		{Name: "a", Fields: []layer.Field{{Name: "x"}, {Name: "X"}}},
		{Name: "a", Fields: []layer.Field{{Name: ""}}},
		{Name: "a", Fields: make([]layer.Field, maxColumns+1)},
		{Name: "a", EPSG: -5},
	} {
		path := filepath.Join(t.TempDir(), "a.gpkg")
		_, err := Create(path, table)
		if _, ok := errors.AsType[*problem.Error](err); !ok {
			t.Errorf("%.40q: %v", table.Name, err)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%.40q left a file", table.Name)
		}
	}
}

// A row that is refused does not spoil the file.
func TestWriterRefusesRows(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.gpkg")
	w, err := Create(path, Table{Name: "a", EPSG: 4490, GeometryType: "Point", Fields: []layer.Field{{Name: "d", Type: layer.Decimal, Width: 10}}})
	if err != nil {
		t.Fatal(err)
	}
	p := geom.NewPointFlat(geom.XY, []float64{1, 2})
	for _, row := range []struct {
		g      geom.T
		values []any
	}{
		{p, nil},
		{p, []any{"1,5"}},
		{p, []any{math.NaN()}},
		{p, []any{[]byte("x")}},
		{geom.NewPointFlat(geom.XY, []float64{1, math.Inf(1)}), []any{"1"}},
		{geom.NewPointFlat(geom.XY, []float64{math.NaN(), 1}), []any{"1"}},
		{geom.NewMultiPointFlat(geom.XY, []float64{1, 2}), []any{"1"}},
	} {
		if err := w.Write(row.g, row.values); err == nil {
			t.Errorf("%v %v was written", row.g, row.values)
		}
	}
	if err := w.Write(p, []any{"1.5"}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, rows := read(t, path, "a"); len(rows) != 1 || rows[0].Values[0] != 1.5 {
		t.Error(rows)
	}
}

// A table that cannot be added ends the file, and Close leaves nothing behind.
func TestWriterLeavesNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.gpkg")
	w, err := Create(path, Table{Name: "a"})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.AddTable(Table{Name: "A"}); err == nil {
		t.Fatal("the same name twice")
	}
	if err := w.Write(nil, nil); err == nil {
		t.Error("written without a table")
	}
	if err := w.Close(); err == nil {
		t.Error("closed as if nothing had happened")
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func parcel(i int) (geom.T, []any) {
	flat := make([]float64, 0, 22)
	x, y := 110.5+float64(i%1000)*0.0013, 28.5+float64(i/1000)*0.0007
	for k := range 11 {
		d := float64(k % 10)
		flat = append(flat, x+d*0.0001, y+d*d*0.00001)
	}
	return geom.NewMultiPolygonFlat(geom.XY, flat, [][]int{{22}}), []any{int64(430725000000 + i), "0101", "水田", float64(i%977) * 1.37, "桃源县漳江街道", time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)}
}

func parcels(b *testing.B, n int) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "parcels.gpkg")
	w, err := Create(path, Table{Name: "parcels", EPSG: 4490, GeometryType: "MultiPolygon", Fields: []layer.Field{
		{Name: "BSM", Type: layer.Integer}, {Name: "DLBM", Type: layer.Text}, {Name: "DLMC", Type: layer.Text}, {Name: "TBMJ", Type: layer.Real}, {Name: "QSDWMC", Type: layer.Text}, {Name: "SJNF", Type: layer.Date},
	}})
	if err != nil {
		b.Fatal(err)
	}
	for i := range n {
		g, values := parcel(i)
		if err := w.Write(g, values); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	return path
}

func BenchmarkWriter(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		parcels(b, 250_000)
	}
	b.ReportMetric(250_000*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkReader(b *testing.B) {
	path := parcels(b, 100_000)
	b.ReportAllocs()
	for b.Loop() {
		r, err := Open(path, "parcels")
		if err != nil {
			b.Fatal(err)
		}
		for range 100_000 {
			if f, err := r.Next(); err != nil || f.Faults != nil {
				b.Fatal(err, f)
			}
		}
		r.Close()
	}
	b.ReportMetric(100_000*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
