package shapefile

import (
	"errors"
	"io"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twpayne/go-geom"
	"pgregory.net/rapid"

	"changde/ingest/layer"
)

var allTypes = []ShapeType{
	Point, MultiPoint, PolyLine, Polygon, PointZ, MultiPointZ, PolyLineZ, PolygonZ, PointM, MultiPointM, PolyLineM, PolygonM,
}

// shapeGen draws a geometry that fits a type. Polygons are shells on a grid of
// cells, each with at most one hole, so that they nest without doubt.
func shapeGen(typ ShapeType) *rapid.Generator[geom.T] {
	layout := geom.XY
	switch {
	case typ.HasZ():
		layout = geom.XYZ
	case typ.HasM():
		layout = geom.XYM
	}
	stride := layout.Stride()
	return rapid.Custom(func(t *rapid.T) geom.T {
		coords := func(n int) []float64 {
			return rapid.SliceOfN(rapid.Float64Range(-4e7, 4e7), n*stride, n*stride).Draw(t, "coords")
		}
		switch typ.base() {
		case Point:
			return geom.NewPointFlat(layout, coords(1))
		case MultiPoint:
			return geom.NewMultiPointFlat(layout, coords(rapid.IntRange(1, 5).Draw(t, "n")))
		case PolyLine:
			var flat []float64
			var ends []int
			for range rapid.IntRange(1, 3).Draw(t, "parts") {
				flat = append(flat, coords(rapid.IntRange(2, 5).Draw(t, "n"))...)
				ends = append(ends, len(flat))
			}
			if len(ends) == 1 {
				return geom.NewLineStringFlat(layout, flat)
			}
			return geom.NewMultiLineStringFlat(layout, flat, ends)
		}
		var flat []float64
		var endss [][]int
		for cell := range rapid.IntRange(1, 4).Draw(t, "shells") {
			x, y := 37500000+float64(cell)*100, 3200000+rapid.Float64Range(0, 50).Draw(t, "y")
			var ends []int
			flat = appendRing(flat, stride, square(x, y, 50))
			ends = append(ends, len(flat))
			if rapid.Bool().Draw(t, "hole") {
				flat = appendRing(flat, stride, backwards(square(x+10, y+10, rapid.Float64Range(1, 30).Draw(t, "size"))))
				ends = append(ends, len(flat))
			}
			endss = append(endss, ends)
		}
		if len(endss) == 1 {
			return geom.NewPolygonFlat(layout, flat, endss[0])
		}
		return geom.NewMultiPolygonFlat(layout, flat, endss)
	})
}

func appendRing(flat []float64, stride int, ring [][2]float64) []float64 {
	for i, c := range ring {
		flat = append(flat, c[0], c[1])
		if stride == 3 {
			flat = append(flat, float64(i%(len(ring)-1)))
		}
	}
	return flat
}

// withoutM is what is read back of a geometry.
func withoutM(g geom.T) geom.T {
	if g.Layout() != geom.XYM {
		return g
	}
	var flat []float64
	for i, v := range g.FlatCoords() {
		if i%3 != 2 {
			flat = append(flat, v)
		}
	}
	shrink := func(ends []int) []int {
		out := make([]int, len(ends))
		for i, e := range ends {
			out[i] = e / 3 * 2
		}
		return out
	}
	switch g := g.(type) {
	case *geom.Point:
		return geom.NewPointFlat(geom.XY, flat)
	case *geom.MultiPoint:
		return geom.NewMultiPointFlat(geom.XY, flat)
	case *geom.LineString:
		return geom.NewLineStringFlat(geom.XY, flat)
	case *geom.MultiLineString:
		return geom.NewMultiLineStringFlat(geom.XY, flat, shrink(g.Ends()))
	case *geom.Polygon:
		return geom.NewPolygonFlat(geom.XY, flat, shrink(g.Ends()))
	case *geom.MultiPolygon:
		var endss [][]int
		for _, e := range g.Endss() {
			endss = append(endss, shrink(e))
		}
		return geom.NewMultiPolygonFlat(geom.XY, flat, endss)
	}
	return g
}

// plain makes a geometry comparable.
func plain(g geom.T) any {
	if g == nil {
		return nil
	}
	return struct {
		Type   string
		Layout geom.Layout
		Flat   []float64
		Ends   []int
		Endss  [][]int
	}{typeName(g), g.Layout(), g.FlatCoords(), g.Ends(), g.Endss()}
}

func typeName(g geom.T) string {
	switch g.(type) {
	case *geom.Point:
		return "Point"
	case *geom.MultiPoint:
		return "MultiPoint"
	case *geom.LineString:
		return "LineString"
	case *geom.MultiLineString:
		return "MultiLineString"
	case *geom.Polygon:
		return "Polygon"
	case *geom.MultiPolygon:
		return "MultiPolygon"
	}
	return "?"
}

var roundTripFields = []layer.Field{
	{Name: "TEXT", Type: layer.Text, Width: 60},
	{Name: "整数", Type: layer.Integer, Width: 18},
	{Name: "REAL", Type: layer.Real, Width: 15, Decimals: 3},
	{Name: "DEC", Type: layer.Decimal, Width: 20, Decimals: 4},
	{Name: "BOOL", Type: layer.Boolean, Width: 1},
	{Name: "DATE", Type: layer.Date, Width: 8},
}

// rowGen draws the values of roundTripFields. Text begins and ends with a
// character that is no padding; a Real has the declared decimals.
func rowGen() *rapid.Generator[[]any] {
	return rapid.Custom(func(t *rapid.T) []any {
		values := make([]any, len(roundTripFields))
		if s := rapid.StringOfN(rapid.SampledFrom([]rune("ab 12常德武陵")), 1, 18, -1).Draw(t, "text"); strings.TrimSpace(s) == s {
			values[0] = s
		}
		if rapid.Bool().Draw(t, "int") {
			values[1] = rapid.Int64Range(-99999999999999999, 999999999999999999).Draw(t, "i")
		}
		if rapid.Bool().Draw(t, "real") {
			values[2] = float64(rapid.Int64Range(-9999999999999, 99999999999999).Draw(t, "r")) / 1000
		}
		if rapid.Bool().Draw(t, "dec") {
			values[3] = rapid.StringMatching(`-?[1-9][0-9]{0,12}\.[0-9]{4}`).Draw(t, "d")
		}
		if rapid.Bool().Draw(t, "bool") {
			values[4] = rapid.Bool().Draw(t, "b")
		}
		if rapid.Bool().Draw(t, "date") {
			values[5] = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, rapid.IntRange(0, 90000).Draw(t, "days"))
		}
		return values
	})
}

func TestWriteThenRead(t *testing.T) {
	t.Parallel()
	for _, typ := range allTypes {
		t.Run(typ.String(), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "r.shp")
			rapid.Check(t, func(t *rapid.T) {
				type row struct {
					g      geom.T
					values []any
				}
				rows := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) row {
					r := row{values: rowGen().Draw(t, "values")}
					if rapid.IntRange(0, 9).Draw(t, "null") > 0 {
						r.g = shapeGen(typ).Draw(t, "g")
					}
					return r
				}), 0, 5).Draw(t, "rows")
				w, err := Create(path, WriteOptions{Type: typ, Fields: roundTripFields, PRJ: "prj", CPG: "UTF-8", LDID: 0x4D})
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range rows {
					if err := w.Write(r.g, r.values); err != nil {
						t.Fatal(err)
					}
				}
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
				info, err := Inspect(path)
				if err != nil {
					t.Fatal(err)
				}
				if info.ShapeType != typ || info.Records != int64(len(rows)) || info.PRJ != "prj" || info.CPG != "UTF-8" || info.LDID != 0x4D || len(info.Notes) > 0 {
					t.Fatalf("%+v", info)
				}
				r, err := Open(path, Options{})
				if err != nil {
					t.Fatal(err)
				}
				defer r.Close()
				if diff := cmp.Diff(roundTripFields, r.Fields()); diff != "" {
					t.Fatal(diff)
				}
				for _, want := range rows {
					f, err := r.Next()
					if err != nil {
						t.Fatal(err)
					}
					if diff := cmp.Diff(want.values, f.Values); diff != "" {
						t.Fatal(diff)
					}
					var g geom.T
					if want.g != nil {
						g = withoutM(want.g)
					}
					if diff := cmp.Diff(plain(g), plain(f.Geom)); diff != "" {
						t.Fatal(diff)
					}
					for _, fault := range f.Faults {
						if fault.Code != "m-dropped" {
							t.Fatal(fault)
						}
					}
				}
				if _, err := r.Next(); !errors.Is(err, io.EOF) {
					t.Fatal(err)
				}
			})
		})
	}
}

// TestWriterOrients: the rings of a GeoJSON-like polygon come out as the
// specification wants them, and the caller's geometry stays as it is.
func TestWriterOrients(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "o.shp")
	var flat []float64
	flat = appendRing(flat, 2, backwards(square(0, 0, 10)))
	flat = appendRing(flat, 2, square(2, 2, 3))
	g := geom.NewPolygonFlat(geom.XY, flat, []int{10, 20})
	before := append([]float64(nil), flat...)
	w, err := Create(path, WriteOptions{Type: Polygon})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(g, nil); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, g.FlatCoords()); diff != "" {
		t.Error("the caller's polygon was changed", diff)
	}
	r, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	f, err := r.Next()
	if err != nil || len(f.Faults) > 0 {
		t.Fatal(err, f)
	}
	p := f.Geom.(*geom.Polygon)
	if signedArea(p.LinearRing(0).FlatCoords(), 2) != -100 || signedArea(p.LinearRing(1).FlatCoords(), 2) != 9 {
		t.Error(p.FlatCoords())
	}
	if f.Values[0] != int64(1) || r.Fields()[0].Name != "FID" {
		t.Error(f.Values)
	}
}

func TestWriterRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fields := []layer.Field{
		{Name: "T", Type: layer.Text, Width: 4},
		{Name: "I", Type: layer.Integer, Width: 3},
		{Name: "R", Type: layer.Real, Width: 6, Decimals: 2},
		{Name: "D", Type: layer.Decimal, Width: 8, Decimals: 2},
	}
	w, err := Create(filepath.Join(dir, "w.shp"), WriteOptions{Type: Point, Fields: fields})
	if err != nil {
		t.Fatal(err)
	}
	at := geom.NewPointFlat(geom.XY, []float64{1, 2})
	good := []any{"abcd", int64(123), 12.346, "12.50"}
	with := func(i int, v any) []any {
		row := append([]any(nil), good...)
		row[i] = v
		return row
	}
	for name, row := range map[string]struct {
		g      geom.T
		values []any
	}{
		"text too long":       {at, with(0, "汉字")},
		"integer too wide":    {at, with(1, int64(1234))},
		"real too wide":       {at, with(2, 1234.5)},
		"real not finite":     {at, with(2, math.Inf(1))},
		"too many decimals":   {at, with(3, "1.234")},
		"no decimal":          {at, with(3, "1.2.3")},
		"wrong type":          {at, with(1, "5")},
		"a float for decimal": {at, with(3, 1.5)},
		"too few values":      {at, good[:3]},
		"wrong geometry":      {geom.NewLineStringFlat(geom.XY, []float64{1, 2, 3, 4}), good},
		"wrong layout":        {geom.NewPointFlat(geom.XYZ, []float64{1, 2, 3}), good},
		"nan":                 {geom.NewPointFlat(geom.XY, []float64{1, nan}), good},
	} {
		if err := w.Write(row.g, row.values); err == nil {
			t.Errorf("%s: written", name)
		}
	}
	if err := w.Write(at, good); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Write(at, good); err == nil {
		t.Error("written after Close")
	}
	r, err := Open(filepath.Join(dir, "w.shp"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	f, err := r.Next()
	if err != nil || r.Records() != 1 {
		t.Fatal(err, r.Records())
	}
	// A number of 8 digits is read as Real: 15 digits are exact.
	if diff := cmp.Diff([]any{"abcd", int64(123), 12.35, 12.5}, f.Values); diff != "" {
		t.Error(diff)
	}
	for name, o := range map[string]WriteOptions{
		"null type":     {Type: Null},
		"multipatch":    {Type: MultiPatch},
		"long name":     {Type: Point, Fields: []layer.Field{{Name: "权属单位名", Type: layer.Text}, {Name: "权属单位名称", Type: layer.Text}}},
		"empty name":    {Type: Point, Fields: []layer.Field{{Type: layer.Text}}},
		"wide text":     {Type: Point, Fields: []layer.Field{{Name: "A", Type: layer.Text, Width: 300}}},
		"decimals only": {Type: Point, Fields: []layer.Field{{Name: "A", Type: layer.Real, Width: 5, Decimals: 4}}},
		"unknown type":  {Type: Point, Fields: []layer.Field{{Name: "A", Type: 42}}},
	} {
		if w, err := Create(filepath.Join(dir, "x.shp"), o); err == nil {
			t.Errorf("%s: created", name)
			w.Close()
		}
	}
	if _, err := Create(filepath.Join(dir, "no", "x.shp"), WriteOptions{Type: Point}); err == nil {
		t.Error("created in a folder that does not exist")
	}
}
