package gdal

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/simplifiedchinese"

	"changde/ingest/geopackage"
	"changde/ingest/layer"
)

// real is the GDAL of this machine; the test is skipped only where there is none.
func real(t *testing.T) *Tool {
	t.Helper()
	tool, err := Find(t.Context(), Options{})
	if errors.Is(err, error(ErrMissing)) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return tool
}

// ogr runs a program of GDAL without any lock, as the oracle and to make fixtures.
func ogr(t *testing.T, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "OGR_ARC_STEPSIZE=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", program, args, err, stderr.String())
	}
	return string(out)
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func gbk(t *testing.T, s string) string {
	t.Helper()
	b, err := simplifiedchinese.GBK.NewEncoder().String(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// convert converts a source that must be recognised.
func convert(t *testing.T, path, encoding string) (*Result, error) {
	t.Helper()
	tool := real(t)
	f, ok := Recognise(path)
	if !ok {
		t.Fatalf("%s is not recognised", path)
	}
	return tool.Convert(t.Context(), Source{Path: path, Dir: filepath.Dir(path), Format: f, Encoding: encoding}, filepath.Join(t.TempDir(), "x.gpkg"), Limits{Time: time.Minute})
}

func mustConvert(t *testing.T, path, encoding string) *Result {
	t.Helper()
	r, err := convert(t, path, encoding)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// rows reads a layer through the reader that ingest uses.
func rows(t *testing.T, r *Result, name string) (fields []layer.Field, out []*layer.Feature) {
	t.Helper()
	reader, err := geopackage.Open(r.Path, name)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	for {
		f, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return reader.Fields(), out
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, fault := range f.Faults {
			if fault.Lost {
				t.Errorf("row %d is lost: %s", f.Row, fault.EN)
			}
		}
		out = append(out, f)
	}
}

func values(fields []layer.Field, f *layer.Feature) map[string]any {
	m := map[string]any{}
	for i, v := range f.Values {
		if v != nil {
			m[fields[i].Name] = v
		}
	}
	return m
}

func noteCodes(r *Result) []string {
	out := []string{}
	for _, n := range r.Notes {
		out = append(out, n.Code)
	}
	sort.Strings(out)
	return out
}

// county data of the city in every format GDAL writes, beside the country's data of
// the shared samples, which tests cannot count on.
const countyCSV = `dm,mc,mj,rq,xx,wkt
430702,武陵区,412.75,2026-01-02,7,"MULTIPOLYGON(((111.6 29,111.7 29,111.7 29.1,111.6 29)))"
430703,鼎城区,2451.5,2026/03/04,9007199254740993,"MULTIPOLYGON(((111.5 28.9,111.6 28.9,111.6 29,111.5 28.9)),((111 28,111.1 28,111.1 28.1,111 28)))"
430781,津市市,556,,,"MULTIPOLYGON(((111.9 29.5,112 29.5,112 29.7,111.9 29.5),(111.95 29.55,111.98 29.6,111.98 29.55,111.95 29.55)))"
`

func counties(t *testing.T, dir string) string {
	t.Helper()
	csv := write(t, dir, "county.csv", countyCSV)
	write(t, dir, "county.csvt", `"String","String","Real","Date","Integer64","String"`)
	path := filepath.Join(dir, "county_source.gpkg")
	ogr(t, "ogr2ogr", "-f", "GPKG", path, csv, "-oo", "GEOM_POSSIBLE_NAMES=wkt", "-oo", "KEEP_GEOM_COLUMNS=NO", "-a_srs", "EPSG:4490", "-nln", "行政区", "-nlt", "MULTIPOLYGON", "-lco", "FID=fid")
	return path
}

var featureLine = regexp.MustCompile(`(?m)^  ([^ ].*?) \([A-Za-z0-9()]+\) = (.*)$`)

// summary is what GDAL itself reads: counts, extents and values, layer by layer.
func summary(t *testing.T, path string, layers ...string) string {
	t.Helper()
	var b strings.Builder
	for _, l := range layers {
		text := ogr(t, "ogrinfo", "-ro", "-al", "-geom=NO", path, l)
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "Feature Count") || strings.HasPrefix(line, "Extent") {
				b.WriteString(line)
			}
		}
		for _, m := range featureLine.FindAllStringSubmatch(text, -1) {
			if m[1] != "Style" && m[2] != "(null)" {
				b.WriteString(m[1] + "=" + m[2] + "\n")
			}
		}
	}
	return b.String()
}

// Every format is converted to what GDAL itself reads of it, and the platform's own
// reader takes the result.
func TestAgainstGDAL(t *testing.T) {
	t.Parallel()
	real(t)
	dir := t.TempDir()
	source := counties(t, dir)
	for _, tt := range []struct {
		file, driver string
		args         []string
		layer        string // of the source
		crs          string
		geometry     string
		encoding     string
		notes        []string
	}{
		{"a.gdb", "OpenFileGDB", nil, "行政区", "EPSG:4490", "MULTIPOLYGON", "UTF-8", []string{}},
		{"b.fgb", "FlatGeobuf", nil, "行政区", "EPSG:4490", "MULTIPOLYGON", "UTF-8", []string{}},
		{"c.fgb", "FlatGeobuf", []string{"-t_srs", "EPSG:4546", "-nln", "图斑"}, "图斑", "EPSG:4546", "MULTIPOLYGON", "UTF-8", []string{}},
		{"d.gml", "GML", []string{"-dsco", "FORMAT=GML3", "-t_srs", "EPSG:4546"}, "行政区", "EPSG:4546", "MULTIPOLYGON", "UTF-8", []string{}},
		{"e.gml", "GML", []string{"-dsco", "FORMAT=GML3.2"}, "行政区", "EPSG:4490", "MULTIPOLYGON", "UTF-8", []string{}},
		{"f.tab", "MapInfo File", []string{"-lco", "ENCODING=CP936", "-nln", "f"}, "f", "WGS 84", "MULTIPOLYGON", "GB18030", []string{}},
		{"g.mif", "MapInfo File", []string{"-lco", "ENCODING=CP936", "-nln", "g"}, "g", "WGS 84", "MULTIPOLYGON", "GB18030", []string{}},
		{"h.kml", "LIBKML", []string{"-t_srs", "EPSG:4326"}, "行政区", "EPSG:4326", "MULTIPOLYGON", "UTF-8", []string{}},
		{"i.kmz", "LIBKML", []string{"-t_srs", "EPSG:4326"}, "行政区", "EPSG:4326", "MULTIPOLYGON", "UTF-8", []string{}},
	} {
		t.Run(tt.file, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), tt.file)
			ogr(t, "ogr2ogr", append([]string{"-f", tt.driver, path, source}, tt.args...)...)
			r := mustConvert(t, path, "")
			if len(r.Layers) != 1 {
				t.Fatalf("layers: %+v", r.Layers)
			}
			l := r.Layers[0]
			if l.CRS != tt.crs && !(tt.crs == "WGS 84" && l.CRS != "") || l.Geometry != tt.geometry || l.Features != 3 || r.Encoding.Name != tt.encoding || r.Driver != tt.driver {
				t.Errorf("layer %+v, encoding %+v, driver %s", l, r.Encoding, r.Driver)
			}
			if d := cmp.Diff(tt.notes, noteCodes(r)); d != "" {
				t.Errorf("notes: %s%v", d, r.Notes)
			}
			oracle := path
			if filepath.Ext(path) == ".kmz" { // GDAL 3.6 does not find members with Chinese names in it
				oracle = filepath.Join(t.TempDir(), "i.kml")
				ogr(t, "ogr2ogr", "-f", "LIBKML", oracle, source, "-t_srs", "EPSG:4326")
			}
			if d := cmp.Diff(summary(t, oracle, tt.layer), summary(t, r.Path, l.Name)); d != "" {
				t.Error(d)
			}
			info, err := geopackage.Inspect(t.Context(), r.Path)
			if err != nil {
				t.Fatal(err)
			}
			if len(info) != 1 || info[0].Features != 3 || info[0].GeometryType != tt.geometry {
				t.Errorf("the reader sees %+v", info)
			}
			_, features := rows(t, r, l.Name)
			if len(features) != 3 {
				t.Errorf("%d rows", len(features))
			}
		})
	}
}

// Types of fields arrive as the types the platform has, dates and 64-bit numbers
// included.
func TestFieldTypes(t *testing.T) {
	t.Parallel()
	real(t)
	dir := t.TempDir()
	csv := write(t, dir, "t.csv", "文本,整数,长整数,实数,日期,时刻,真假,fid,geom,wkt\n图斑,1,9007199254740993,2.5,2026-01-02,2026-01-02T03:04:05Z,1,f,g,POINT Z(111 29 35.5)\n")
	write(t, dir, "t.csvt", `"String(20)","Integer","Integer64","Real","Date","DateTime","Integer(Boolean)","String","String","String"`)
	path := filepath.Join(dir, "t.fgb")
	ogr(t, "ogr2ogr", "-f", "FlatGeobuf", path, csv, "-oo", "GEOM_POSSIBLE_NAMES=wkt", "-oo", "KEEP_GEOM_COLUMNS=NO", "-a_srs", "EPSG:4490", "-nlt", "POINTZ")
	r := mustConvert(t, path, "")
	fields, features := rows(t, r, r.Layers[0].Name)
	got := values(fields, features[0])
	want := map[string]any{
		"文本": "图斑", "整数": int64(1), "长整数": int64(9007199254740993), "实数": 2.5, "真假": true,
		"日期": time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), "时刻": time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), "fid": "f", "geom": "g", "ogc_fid": int64(1),
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if c := features[0].Geom.FlatCoords(); !cmp.Equal(c, []float64{111, 29, 35.5}) {
		t.Errorf("coordinates %v", c)
	}
}

// Curves become lines, and a person is told how many.
func TestCurves(t *testing.T) {
	t.Parallel()
	real(t)
	dir := t.TempDir()
	csv := write(t, dir, "c.csv", `id,wkt
1,"CURVEPOLYGON(COMPOUNDCURVE(CIRCULARSTRING(0 0,1 1,2 0),(2 0,0 0)))"
2,"POLYGON((0 0,1 0,1 1,0 0))"
3,
`)
	path := filepath.Join(dir, "c.gml")
	ogr(t, "ogr2ogr", "-f", "GML", "-dsco", "FORMAT=GML3", path, csv, "-oo", "GEOM_POSSIBLE_NAMES=wkt", "-oo", "KEEP_GEOM_COLUMNS=NO", "-nlt", "CURVEPOLYGON", "-a_srs", "EPSG:4546")
	r := mustConvert(t, path, "")
	_, features := rows(t, r, r.Layers[0].Name)
	if len(features) != 3 || features[2].Geom != nil {
		t.Fatalf("rows %v", features)
	}
	// The half circle has a vertex at each degree, or a little less.
	if n := len(features[0].Geom.FlatCoords()) / 2; n < 182 || n > 184 {
		t.Errorf("%d positions", n)
	}
	if d := cmp.Diff([]string{"curve-linearised"}, noteCodes(r)); d != "" || !strings.Contains(r.Notes[0].EN, "2 geometries") {
		t.Errorf("notes %v", r.Notes)
	}
	if l := r.Layers[0]; l.Features != 3 || l.Geometry != "POLYGON" {
		t.Errorf("layer %+v", l)
	}
}

// A geodatabase keeps its layers, empty ones too, and its code tables; tables without
// geometry are told of. It may be zipped.
func TestFileGeodatabase(t *testing.T) {
	t.Parallel()
	real(t)
	dir := t.TempDir()
	source := counties(t, dir)
	csv := write(t, dir, "表.csv", "a,b\n1,2\n")
	path := filepath.Join(dir, "库.gdb")
	ogr(t, "ogr2ogr", "-f", "OpenFileGDB", path, source)
	ogr(t, "ogr2ogr", "-f", "OpenFileGDB", "-update", path, source, "-nln", "空层", "-where", "dm='none'")
	ogr(t, "ogr2ogr", "-f", "OpenFileGDB", "-update", path, csv)
	zipped := filepath.Join(dir, "库.zip")
	zipFolder(t, zipped, path)
	for _, p := range []string{path, zipped} {
		r := mustConvert(t, p, "")
		var got []string
		for _, l := range r.Layers {
			got = append(got, fmt.Sprintf("%s %s %d %s", l.Name, l.Geometry, l.Features, l.CRS))
		}
		if d := cmp.Diff([]string{"行政区 MULTIPOLYGON 3 EPSG:4490", "空层 MULTIPOLYGON 0 EPSG:4490"}, got); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff([]string{"table-without-geometry"}, noteCodes(r)); d != "" {
			t.Error(d, r.Notes)
		}
		if d := cmp.Diff(summary(t, path, "行政区"), summary(t, r.Path, "行政区")); d != "" {
			t.Error(d)
		}
	}
}

func zipFolder(t *testing.T, name, folder string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := zip.NewWriter(f)
	files, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range files {
		b, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		m, err := w.Create(filepath.Base(folder) + "/" + e.Name())
		if err == nil {
			_, err = m.Write(b)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// The code table and the alias of a field are handed on.
func TestDomains(t *testing.T) {
	t.Parallel()
	real(t)
	text := `INFO: Open of x
Layer name: 图斑
Geometry: 3D Multi Polygon
Feature Count: 12
Layer SRS WKT:
PROJCRS["CGCS2000 / 3-degree Gauss-Kruger CM 111E",
    BASEGEOGCRS["China Geodetic Coordinate System 2000",
        ID["EPSG",4490]],
    ID["EPSG",4546]]
Data axis to CRS axis mapping: 2,1
FID Column = OBJECTID
Geometry Column = SHAPE
DLBM: String (5.0) NOT NULL DEFAULT '01', alternative name="地类编码", domain name=地类
odd: name (x): Real (0.0)

Layer name: 表
Geometry: None
Feature Count: 1
Layer SRS WKT:
(unknown)
a: Integer(Boolean) (0.0)
`
	got := parseInfo(text)
	if len(got) != 2 || got[0].crs() != "EPSG:4546" || got[1].crs() != "" || !got[1].flat() || got[0].features != 12 {
		t.Fatalf("%+v", got)
	}
	want := []Field{{"DLBM", "地类编码", "String", 5, "地类"}, {"odd: name (x)", "", "Real", 0, ""}}
	if d := cmp.Diff(want, got[0].fields); d != "" {
		t.Error(d)
	}
	d := parseDomain("地类", "Domain 地类:\n  Type: coded\n  Coded values:\n    01: 耕地\n    02: 园地: 果园\n\n1: x (Point)\n")
	if d := cmp.Diff(Domain{"地类", []Coded{{"01", "耕地"}, {"02", "园地: 果园"}}}, d); d != "" {
		t.Error(d)
	}
}

// The code tables of a real geodatabase.
func TestDomainsOfGDAL(t *testing.T) {
	t.Parallel()
	real(t)
	dir := t.TempDir()
	source := counties(t, dir)
	for _, sql := range []string{
		"CREATE TABLE gpkg_data_columns (table_name TEXT NOT NULL, column_name TEXT NOT NULL, name TEXT, title TEXT, description TEXT, mime_type TEXT, constraint_name TEXT, PRIMARY KEY (table_name, column_name))",
		"CREATE TABLE gpkg_data_column_constraints (constraint_name TEXT NOT NULL, constraint_type TEXT NOT NULL, value TEXT, min NUMERIC, min_is_inclusive BOOLEAN, max NUMERIC, max_is_inclusive BOOLEAN, description TEXT)",
		"INSERT INTO gpkg_data_column_constraints (constraint_name, constraint_type, value, description) VALUES ('县级代码', 'enum', '430702', '武陵区'), ('县级代码', 'enum', '430703', '鼎城区')",
		"INSERT INTO gpkg_data_columns (table_name, column_name, constraint_name) VALUES ('行政区', 'dm', '县级代码')",
		"INSERT INTO gpkg_extensions VALUES ('gpkg_data_columns', NULL, 'gpkg_schema', 'http://www.geopackage.org/spec121/#extension_schema', 'read-write'), ('gpkg_data_column_constraints', NULL, 'gpkg_schema', 'http://www.geopackage.org/spec121/#extension_schema', 'read-write')",
	} {
		ogr(t, "ogrinfo", source, "-sql", sql)
	}
	path := filepath.Join(dir, "d.gdb")
	ogr(t, "ogr2ogr", "-f", "OpenFileGDB", path, source)
	r := mustConvert(t, path, "")
	if d := cmp.Diff([]Domain{{"县级代码", []Coded{{"430702", "武陵区"}, {"430703", "鼎城区"}}}}, r.Domains); d != "" {
		t.Error(d)
	}
	if f := r.Layers[0].Fields[0]; f.Name != "dm" || f.Domain != "县级代码" {
		t.Errorf("field %+v", f)
	}
}

// A way out of the delivery's folder is refused before anything runs.
func TestOutside(t *testing.T) {
	t.Parallel()
	tool := real(t)
	dir, other := t.TempDir(), t.TempDir()
	path := write(t, other, "x.kml", "<kml/>")
	link := filepath.Join(dir, "x.kml")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, link, dir} {
		if _, err := tool.Convert(t.Context(), Source{Path: p, Dir: dir, Format: format(KML)}, filepath.Join(t.TempDir(), "y.gpkg"), Limits{}); err == nil || code(err) != "" {
			t.Errorf("%s: %v", p, err)
		}
	}
}
