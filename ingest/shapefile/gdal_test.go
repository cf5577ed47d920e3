package shapefile_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twpayne/go-geom"

	"changde/ingest/charset"
	"changde/ingest/layer"
	"changde/ingest/shapefile"
)

// gdal runs a GDAL program; the test is skipped where it is not installed.
func gdal(t *testing.T, program string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skip(program + " is not installed")
	}
	cmd := exec.Command(path, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %v: %v\n%s", program, args, err, stderr.String())
	}
	if s := stderr.String(); s != "" {
		t.Errorf("%s %v complains: %s", program, args, s)
	}
	return stdout.String()
}

// row is a feature made comparable: polygons as a sorted list of their shells and
// holes, each ring from its smallest vertex on and clockwise.
type row struct {
	Geom   string
	Values map[string]string
}

// viaGDAL reads a shapefile with GDAL, as GeoJSON with full precision.
func viaGDAL(t *testing.T, path, encoding string) []row {
	t.Helper()
	text := gdal(t, "ogr2ogr", "-f", "GeoJSON", "-lco", "COORDINATE_PRECISION=15", "-lco", "SIGNIFICANT_FIGURES=17", "-oo", "ENCODING="+encoding, "/vsistdout/", path)
	var doc struct {
		Features []struct {
			Geometry *struct {
				Type        string
				Coordinates json.RawMessage
			}
			Properties map[string]any
		}
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	var rows []row
	for _, f := range doc.Features {
		r := row{Geom: "none", Values: map[string]string{}}
		if f.Geometry != nil {
			var c any
			if err := json.Unmarshal(f.Geometry.Coordinates, &c); err != nil {
				t.Fatal(err)
			}
			r.Geom = canonical(f.Geometry.Type, c)
		}
		for k, v := range f.Properties {
			if v != nil {
				r.Values[k] = show(v)
			}
		}
		rows = append(rows, r)
	}
	return rows
}

// viaReader reads it with this package.
func viaReader(t *testing.T, path, encoding string) ([]row, []layer.Fault) {
	t.Helper()
	d, err := charset.NewDecoder(encoding)
	if err != nil {
		t.Fatal(err)
	}
	r, err := shapefile.Open(path, shapefile.Options{Decode: d.Decode})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var rows []row
	var faults []layer.Fault
	for {
		f, err := r.Next()
		if errors.Is(err, io.EOF) {
			return rows, faults
		}
		if err != nil {
			t.Fatal(err)
		}
		out := row{Geom: "none", Values: map[string]string{}}
		if f.Geom != nil {
			out.Geom = canonical(nested(f.Geom))
		}
		for i, field := range r.Fields() {
			if f.Values[i] != nil {
				out.Values[field.Name] = show(f.Values[i])
			}
		}
		rows = append(rows, out)
		faults = append(faults, f.Faults...)
	}
}

// show writes numbers of any kind alike.
func show(v any) string {
	switch v := v.(type) {
	case json.Number:
		f, _ := v.Float64()
		return strconv.FormatFloat(f, 'g', 15, 64)
	case int64:
		return strconv.FormatFloat(float64(v), 'g', 15, 64)
	case float64:
		return strconv.FormatFloat(v, 'g', 15, 64)
	case bool: // GDAL gives the letter
		return strings.ToUpper(fmt.Sprint(v))[:1]
	case time.Time:
		return v.Format("2006-01-02")
	}
	s := fmt.Sprint(v)
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		return strconv.FormatFloat(f, 'g', 15, 64)
	}
	return strings.ReplaceAll(s, "/", "-")
}

// nested gives the type and the coordinates as GeoJSON has them.
func nested(g geom.T) (string, any) {
	var out any
	b, err := json.Marshal(coords(g))
	if err != nil {
		panic(err)
	}
	if err := json.Unmarshal(b, &out); err != nil {
		panic(err)
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", g), "*geom."), out
}

func coords(g geom.T) any {
	switch g := g.(type) {
	case *geom.Point:
		return g.Coords()
	case *geom.MultiPoint:
		return g.Coords()
	case *geom.LineString:
		return g.Coords()
	case *geom.MultiLineString:
		return g.Coords()
	case *geom.Polygon:
		return g.Coords()
	case *geom.MultiPolygon:
		return g.Coords()
	}
	return nil
}

func canonical(typ string, c any) string {
	switch typ {
	case "Polygon":
		return typ + polygonText(c)
	case "MultiPolygon":
		var all []string
		for _, p := range c.([]any) {
			all = append(all, polygonText(p))
		}
		slices.Sort(all)
		return typ + strings.Join(all, "")
	}
	return typ + fmt.Sprint(c)
}

func polygonText(c any) string {
	var rings []string
	for _, r := range c.([]any) {
		points := r.([]any)
		points = points[:len(points)-1]
		var texts []string
		for _, p := range points {
			texts = append(texts, fmt.Sprint(p))
		}
		first := slices.Index(texts, slices.Min(texts))
		texts = append(slices.Clone(texts[first:]), texts[:first]...)
		if texts[1] > texts[len(texts)-1] {
			slices.Reverse(texts[1:])
		}
		rings = append(rings, strings.Join(texts, ","))
	}
	if len(rings) > 1 {
		slices.Sort(rings[1:])
	}
	return "(" + strings.Join(rings, ";") + ")"
}

// TestFixturesAgainstGDAL reads real boundaries with GBK attributes, with and
// without a .cpg.
func TestFixturesAgainstGDAL(t *testing.T) {
	t.Parallel()
	for name, by := range map[string]string{"xzq_gbk_4525": charset.ByCPG, "xzq_gbk_nocpg_4546": charset.ByContent} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join("testdata", name+".shp")
			info, err := shapefile.Inspect(path)
			if err != nil {
				t.Fatal(err)
			}
			choice, err := charset.Detect(charset.Evidence{CPG: info.CPG, LDID: info.LDID, Sample: info.Sample})
			if err != nil || choice.Name != "GB18030" || choice.By != by {
				t.Errorf("%+v %v", choice, err)
			}
			if info.Records != 9 || info.ShapeType != shapefile.Polygon || len(info.FirstPoints) != 9 || !strings.Contains(info.PRJ, "CGCS2000") || len(info.Notes) > 0 {
				t.Errorf("%+v", info)
			}
			got, faults := viaReader(t, path, choice.Name)
			if len(faults) > 0 {
				t.Error(faults)
			}
			if got[0].Values["name"] != "武陵区" {
				t.Errorf("%v", got[0].Values)
			}
			if diff := cmp.Diff(viaGDAL(t, path, "CP936"), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestGeometriesAgainstGDAL lets GDAL write every shape type and compares what both
// read.
func TestGeometriesAgainstGDAL(t *testing.T) {
	t.Parallel()
	shapes := map[string][]string{
		"POINT":        {"POINT (37512345.678 3201234.5678)", "POINT (0 -0.1)"},
		"MULTIPOINT":   {"MULTIPOINT ((1 2),(3 4))", "MULTIPOINT ((5 6))"},
		"LINESTRING":   {"LINESTRING (0 0,1 1,2 0)", "MULTILINESTRING ((0 0,1 1),(5 5,6 6,7 5))"},
		"POLYGON":      {"POLYGON ((0 0,10 0,10 10,0 10,0 0),(2 2,2 4,4 4,4 2,2 2),(6 6,6 8,8 8,8 6,6 6))", "MULTIPOLYGON (((0 0,10 0,10 10,0 10,0 0),(1 1,1 9,9 9,9 1,1 1)),((2 2,8 2,8 8,2 8,2 2),(3 3,3 4,4 4,3 3)),((20 20,30 20,30 30,20 20)))"},
		"POINTZ":       {"POINT Z (1 2 3.5)", "POINT Z (-1 -2 -3)"},
		"MULTIPOINTZ":  {"MULTIPOINT Z ((1 2 3),(3 4 5))"},
		"LINESTRINGZ":  {"LINESTRING Z (0 0 1,1 1 2,2 0 3)", "MULTILINESTRING Z ((0 0 1,1 1 2),(5 5 3,6 6 4))"},
		"POLYGONZ":     {"POLYGON Z ((0 0 1,10 0 2,10 10 3,0 10 4,0 0 1),(2 2 5,2 4 6,4 4 7,4 2 8,2 2 5))"},
		"POINTM":       {"POINT M (1 2 3.5)"},
		"LINESTRINGM":  {"LINESTRING M (0 0 1,1 1 2)"},
		"POLYGONM":     {"POLYGON M ((0 0 1,10 0 2,10 10 3,0 0 1))"},
		"POLYGONZM":    {"POLYGON ZM ((0 0 1 7,10 0 2 7,10 10 3 7,0 0 1 7))"},
		"LINESTRINGZM": {"LINESTRING ZM (0 0 1 7,1 1 2 8)"},
		"POINTZM":      {"POINT ZM (1 2 3 4)"},
	}
	for shpt, wkts := range shapes {
		t.Run(shpt, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			text := "id,WKT\n"
			for i, w := range wkts {
				text += fmt.Sprintf("%d,\"%s\"\n", i, w)
			}
			text += "99,\n" // a null shape
			if err := os.WriteFile(filepath.Join(dir, "in.csv"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "out.shp")
			layerType := strings.Replace(shpt, "LINESTRING", "ARC", 1)
			gdal(t, "ogr2ogr", "-f", "ESRI Shapefile", "-lco", "SHPT="+layerType, path, filepath.Join(dir, "in.csv"), "-oo", "GEOM_POSSIBLE_NAMES=WKT", "-oo", "KEEP_GEOM_COLUMNS=NO")
			got, faults := viaReader(t, path, "UTF-8")
			if diff := cmp.Diff(viaGDAL(t, path, "UTF-8"), got); diff != "" {
				t.Error(diff)
			}
			if len(got) != len(wkts)+1 || got[len(wkts)].Geom != "none" {
				t.Errorf("%d rows", len(got))
			}
			for _, f := range faults {
				if f.Code != "m-dropped" {
					t.Error(f)
				}
			}
			if strings.HasSuffix(shpt, "M") != (len(faults) == 1) {
				t.Errorf("faults %v", faults)
			}
		})
	}
}

// TestGDALReadsTheWriter: what the Writer makes, GDAL takes for what it is.
func TestGDALReadsTheWriter(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "地类图斑.shp")
	prj, err := os.ReadFile("testdata/xzq_gbk_4525.prj")
	if err != nil {
		t.Fatal(err)
	}
	encode, err := charset.Encoder("GBK")
	if err != nil {
		t.Fatal(err)
	}
	fields := append(slices.Clone(parcelFields), layer.Field{Name: "RQ", Type: layer.Date}, layer.Field{Name: "JBNT", Type: layer.Boolean},
		layer.Field{Name: "JE", Type: layer.Decimal, Width: 20, Decimals: 2})
	w, err := shapefile.Create(path, shapefile.WriteOptions{Type: shapefile.Polygon, Fields: fields, Encode: encode, PRJ: string(prj), CPG: "GBK", LDID: 0x4D})
	if err != nil {
		t.Fatal(err)
	}
	const n = 200
	for i := range n {
		g, values := parcel(i)
		values = append(values, time.Date(2023, 12, 31, 0, 0, 0, 0, time.UTC), i%2 == 0, "12345678901234.50")
		var shape geom.T = g
		if i == 7 {
			shape = nil
		}
		if err := w.Write(shape, values); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	info := gdal(t, "ogrinfo", "-al", "-so", path)
	for _, want := range []string{
		"Geometry: Polygon", "Feature Count: 200", `ID["EPSG",4525]`,
		"Extent: (500000.000000, 3199999.500000) - (504049.250000, 3200019.250000)",
		"BSM: String (18.0)", "TBMJ: Real (15.2)", "SJNF: Integer (4.0)", "坐落单位: String (60.0)", "RQ: Date", "JE: Real (20.2)", "JBNT: ",
	} {
		if !strings.Contains(info, want) {
			t.Errorf("ogrinfo does not say %q:\n%s", want, info)
		}
	}
	got, faults := viaReader(t, path, "GBK")
	if len(faults) > 0 {
		t.Error(faults)
	}
	if diff := cmp.Diff(viaGDAL(t, path, "CP936"), got); diff != "" {
		t.Error(diff)
	}
}
