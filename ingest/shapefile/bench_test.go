package shapefile_test

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/twpayne/go-geom"

	"changde/ingest/charset"
	"changde/ingest/layer"
	"changde/ingest/shapefile"
)

// parcelFields is a land use table of 20 fields as surveys deliver it.
var parcelFields = []layer.Field{
	{Name: "BSM", Type: layer.Text, Width: 18},
	{Name: "YSDM", Type: layer.Text, Width: 10},
	{Name: "TBYBH", Type: layer.Text, Width: 18},
	{Name: "TBBH", Type: layer.Text, Width: 8},
	{Name: "DLBM", Type: layer.Text, Width: 5},
	{Name: "DLMC", Type: layer.Text, Width: 60},
	{Name: "QSXZ", Type: layer.Text, Width: 2},
	{Name: "QSDWDM", Type: layer.Text, Width: 19},
	{Name: "权属单位", Type: layer.Text, Width: 60},
	{Name: "ZLDWDM", Type: layer.Text, Width: 19},
	{Name: "坐落单位", Type: layer.Text, Width: 60},
	{Name: "TBMJ", Type: layer.Real, Width: 15, Decimals: 2},
	{Name: "KCDLBM", Type: layer.Text, Width: 5},
	{Name: "KCXS", Type: layer.Real, Width: 6, Decimals: 4},
	{Name: "KCMJ", Type: layer.Real, Width: 15, Decimals: 2},
	{Name: "TBDLMJ", Type: layer.Real, Width: 15, Decimals: 2},
	{Name: "GDPDJB", Type: layer.Text, Width: 2},
	{Name: "SJNF", Type: layer.Integer, Width: 4},
	{Name: "MSSM", Type: layer.Text, Width: 2},
	{Name: "BZ", Type: layer.Text, Width: 100},
}

var landUse = []string{"水田", "旱地", "乔木林地", "农村宅基地", "坑塘水面", "果园", "公路用地"}

func parcel(i int) (*geom.Polygon, []any) {
	x, y := 500000+float64(i%1000)*20.25, 3200000+float64(i/1000)*20.125
	flat := make([]float64, 0, 22)
	for _, d := range [...][2]float64{{0, 0}, {0, 9.5}, {0, 19}, {6, 19.25}, {12, 19}, {19, 19}, {19, 12}, {19.5, 6}, {19, 0}, {9, -.5}, {0, 0}} {
		flat = append(flat, x+d[0], y+d[1])
	}
	area := float64(35000+i%4000) / 100
	village := fmt.Sprintf("武陵区河洑镇第%d村民委员会", i/500%180)
	code := fmt.Sprintf("430702001%03d0000000", i/500%180)
	return geom.NewPolygonFlat(geom.XY, flat, []int{22}), []any{
		fmt.Sprintf("430702%012d", i), "2001010100", nil, fmt.Sprintf("%08d", i%100000),
		fmt.Sprintf("01%02d", i*7%11), landUse[i*5%7], "30", code, village, code, village,
		area, nil, 0.0, 0.0, area, "1", int64(2023), "00", nil,
	}
}

// unlike gives a parcel whose texts are those of no other: next to nothing for the
// reader to remember.
func unlike(i int) (*geom.Polygon, []any) {
	g, values := parcel(i)
	for j, f := range parcelFields {
		switch f.Type {
		case layer.Text:
			values[j] = strconv.Itoa(i)[:min(len(strconv.Itoa(i)), f.Width)]
			if f.Width >= 60 {
				values[j] = fmt.Sprintf("武陵区河洑镇第%d村民委员会", i)
			}
		case layer.Real:
			values[j] = float64(i%40) / 4
		}
	}
	return g, values
}

func writeParcels(tb testing.TB, path string, n int, parcel func(int) (*geom.Polygon, []any)) {
	tb.Helper()
	encode, err := charset.Encoder("GBK")
	if err != nil {
		tb.Fatal(err)
	}
	w, err := shapefile.Create(path, shapefile.WriteOptions{Type: shapefile.Polygon, Fields: parcelFields, Encode: encode, CPG: "GBK", LDID: 0x4D})
	if err != nil {
		tb.Fatal(err)
	}
	for i := range n {
		g, values := parcel(i)
		if err := w.Write(g, values); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
}

func BenchmarkReader(b *testing.B) {
	b.Run("Parcels", func(b *testing.B) { benchmarkReader(b, parcel) })
	b.Run("Unlike", func(b *testing.B) { benchmarkReader(b, unlike) })
}

func benchmarkReader(b *testing.B, parcel func(int) (*geom.Polygon, []any)) {
	const n = 100_000
	path := filepath.Join(b.TempDir(), "parcels.shp")
	writeParcels(b, path, n, parcel)
	d, err := charset.NewDecoder("GBK")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		r, err := shapefile.Open(path, shapefile.Options{Decode: d.Decode})
		if err != nil {
			b.Fatal(err)
		}
		rows := 0
		for {
			f, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil || f.Geom == nil || len(f.Faults) > 0 {
				b.Fatal(err, f)
			}
			rows++
		}
		if rows != n {
			b.Fatal(rows)
		}
		r.Close()
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "features/s")
}

func BenchmarkInspect(b *testing.B) {
	path := filepath.Join(b.TempDir(), "parcels.shp")
	writeParcels(b, path, 100_000, parcel)
	for b.Loop() {
		if _, err := shapefile.Inspect(path); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWriter(b *testing.B) {
	encode, err := charset.Encoder("GBK")
	if err != nil {
		b.Fatal(err)
	}
	w, err := shapefile.Create(filepath.Join(b.TempDir(), "parcels.shp"), shapefile.WriteOptions{Type: shapefile.Polygon, Fields: parcelFields, Encode: encode})
	if err != nil {
		b.Fatal(err)
	}
	g, values := parcel(1)
	b.ReportAllocs()
	for b.Loop() {
		if err := w.Write(g, values); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "features/s")
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
}
