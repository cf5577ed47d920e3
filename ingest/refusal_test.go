package ingest_test

import (
	"archive/zip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"changde/catalog"
	"changde/ingest"
	"changde/problem"
)

// Deliveries that must be refused: each with the code of its problem, texts in
// both languages, and nothing published.
func TestRefusedDeliveries(t *testing.T) {
	t.Parallel()
	b := setup(t)
	shapes := func(t *testing.T, change func(dir string)) []string {
		dir := t.TempDir()
		for _, ext := range []string{"shp", "shx", "dbf", "prj", "cpg"} {
			data, err := os.ReadFile("shapefile/testdata/xzq_gbk_4525." + ext)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "x."+ext), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		change(dir)
		return []string{filepath.Join(dir, "x.shp")}
	}
	remove := func(name string) func(string) {
		return func(dir string) { _ = os.Remove(filepath.Join(dir, name)) }
	}
	put := func(name, text string) func(string) {
		return func(dir string) { _ = os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644) }
	}
	const xian80 = `PROJCS["Xian_1980_3_Degree_GK_Zone_37",GEOGCS["GCS_Xian_1980",DATUM["D_Xian_1980",SPHEROID["Xian_1980",6378140.0,298.257]],PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]],PROJECTION["Gauss_Kruger"],PARAMETER["False_Easting",37500000.0],PARAMETER["False_Northing",0.0],PARAMETER["Central_Meridian",111.0],PARAMETER["Scale_Factor",1.0],PARAMETER["Latitude_Of_Origin",0.0],UNIT["Meter",1.0]]`
	for name, c := range map[string]struct {
		files func(*testing.T) []string
		set   func(*ingest.Request)
		kind  problem.Kind
	}{
		"no .dbf": {files: func(t *testing.T) []string { return shapes(t, remove("x.dbf")) }, kind: problem.Invalid},
		"truncated shp": {files: func(t *testing.T) []string {
			return shapes(t, func(dir string) { _ = os.Truncate(filepath.Join(dir, "x.shp"), 50_000) })
		}, kind: problem.Invalid},
		"Xi'an 1980": {files: func(t *testing.T) []string { return shapes(t, put("x.prj", xian80)) }, kind: problem.Unsupported},
		"a .dbf alone": {files: func(t *testing.T) []string {
			dir := t.TempDir()
			put("a.dbf", "x")(dir)
			return []string{filepath.Join(dir, "a.dbf")}
		}, kind: problem.Invalid},
		"no such file":    {files: func(*testing.T) []string { return []string{"/nowhere/x.shp"} }, kind: problem.Invalid},
		"not spatial":     {files: func(t *testing.T) []string { return []string{file(t, "x.docx", "hello")} }, kind: problem.Unsupported},
		"gpkg not SQLite": {files: func(t *testing.T) []string { return []string{file(t, "x.gpkg", "hello")} }, kind: problem.Invalid},
		"zip escapes":     {files: func(t *testing.T) []string { return []string{zipOf(t, "../x.shp", "hello")} }, kind: problem.Invalid},
		"no features":     {files: func(t *testing.T) []string { return []string{file(t, "x.geojson", `{"type":"FeatureCollection"}`)} }, kind: problem.Invalid},
		"empty collection": {files: func(t *testing.T) []string {
			return []string{file(t, "x.geojson", `{"type":"FeatureCollection","features":[]}`)}
		}, kind: problem.Invalid},
		"deep nesting":      {files: func(t *testing.T) []string { return []string{file(t, "x.geojson", strings.Repeat("[", 1_000_000))} }, kind: problem.Invalid},
		"cut in the middle": {files: func(t *testing.T) []string { return []string{file(t, "x.geojson", parcels[:len(parcels)/2])} }, kind: problem.Invalid},
		"all outside": {files: func(t *testing.T) []string {
			return []string{file(t, "x.geojson", strings.ReplaceAll(`{"type":"FeatureCollection","features":[`+point(1)+`]}`, "29.0", "9.0"))}
		}, kind: problem.Invalid},
		"dataset id":        {files: func(*testing.T) []string { return []string{countiesCM} }, set: func(r *ingest.Request) { r.Dataset = `"; drop table` }, kind: problem.Invalid},
		"no such layer":     {files: func(*testing.T) []string { return []string{countiesCM} }, set: func(r *ingest.Request) { r.Layers = []string{"x"} }, kind: problem.Invalid},
		"no such encoding":  {files: func(*testing.T) []string { return []string{countiesCM} }, set: func(r *ingest.Request) { r.Encoding = "klingon" }, kind: problem.Invalid},
		"no such key field": {files: func(*testing.T) []string { return []string{countiesCM} }, set: func(r *ingest.Request) { r.Settings.BusinessKey = "BSM" }, kind: problem.Invalid},
		"key not unique":    {files: func(*testing.T) []string { return []string{countiesCM} }, set: func(r *ingest.Request) { r.Settings.BusinessKey = "city" }, kind: problem.Invalid},
		"no such owner":     {files: func(*testing.T) []string { return []string{countiesCM} }, set: func(r *ingest.Request) { r.Settings.Owner = "nobody" }, kind: problem.Invalid},
		"no such sender":    {files: func(*testing.T) []string { return []string{countiesCM} }, set: func(r *ingest.Request) { r.Sender = "nobody" }, kind: problem.Invalid},
		"no such CRS":       {files: func(*testing.T) []string { return []string{countiesCM} }, set: func(r *ingest.Request) { r.EPSG = 999998 }, kind: problem.Invalid},
		"odd sharing":       {files: func(*testing.T) []string { return []string{countiesCM} }, set: func(r *ingest.Request) { r.Settings.Sharing = "everyone" }, kind: problem.Invalid},
		"odd grid":          {files: func(*testing.T) []string { return []string{countiesCM} }, set: func(r *ingest.Request) { r.Settings.Grids = []string{"WebMercatorQuad"} }, kind: problem.Invalid},
		"box inside out":    {files: func(*testing.T) []string { return []string{countiesCM} }, set: func(r *ingest.Request) { r.Settings.Box = &catalog.Bounds{112, 30, 110, 28} }, kind: problem.Invalid},
		"an edited dataset": {files: func(*testing.T) []string { return []string{countiesCM} }, set: func(r *ingest.Request) { r.Dataset = "projects" }, kind: problem.Conflict},
		"many columns":      {files: func(t *testing.T) []string { return []string{file(t, "x.geojson", wide(1001, "c%d"))} }, kind: problem.TooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			r := ingest.Request{Files: c.files(t), Dataset: "x"}
			if c.set != nil {
				c.set(&r)
			}
			_, err := b.try(r)
			var p *problem.Error
			if !errors.As(err, &p) {
				t.Fatalf("got %v, want a problem", err)
			}
			if p.Kind != c.kind || p.Code == "" || p.ZH == "" || p.EN == "" {
				t.Errorf("got %s %+v, want kind %s", p.Kind, p, c.kind)
			}
		})
	}
	if got := b.rows(`SELECT count(*) FROM changde.releases WHERE dataset = 'x'`); got != "0" {
		t.Errorf("%s releases came of refused deliveries", got)
	}
	if got := b.rows(`SELECT count(*) FROM pg_tables WHERE schemaname = 'content'`); got != "0" {
		t.Errorf("%s tables came of refused deliveries", got)
	}
}

// wide is one point with n properties, named by a format.
func wide(n int, format string) string {
	var s strings.Builder
	for i := range n {
		if i > 0 {
			s.WriteByte(',')
		}
		fmt.Fprintf(&s, "%q:%d", fmt.Sprintf(format, i), i)
	}
	return `{"type":"FeatureCollection","features":[{"type":"Feature","properties":{` + s.String() + `},"geometry":{"type":"Point","coordinates":[111.5,29]}}]}`
}

func zipOf(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.zip")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z := zip.NewWriter(f)
	w, err := z.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// Names that are hostile, long, doubled or reserved become columns all the same.
func TestOddColumnNames(t *testing.T) {
	t.Parallel()
	b := setup(t)
	long := strings.Repeat("很长的字段名", 5)
	text := `{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"\"; drop table changde.datasets; --":1,"地类名称":"水田","fid":7,"FID":8,"geom":9,"ctid":10,"` +
		long + `甲":11,"` + long + `乙":12},"geometry":{"type":"Point","coordinates":[111.5,29]}}]}`
	b.deliver(ingest.Request{Files: []string{file(t, "x.geojson", text)}, Dataset: "odd"})
	got := b.rows(`SELECT column_name FROM information_schema.columns WHERE table_schema = 'data' AND table_name = 'odd' ORDER BY ordinal_position`)
	want := []string{"fid", `"; drop table changde.datasets; --`, "地类名称", "fid_", "FID_2", "geom_", "ctid_", "很长的字段名很长的字段名很长的字段名很长的", "很长的字段名很长的字段名很长的字段名很长_", "rev", "geom"}
	for _, name := range want {
		if !strings.Contains("\n"+got+"\n", "\n"+name+"\n") {
			t.Errorf("no column %q in\n%s", name, got)
		}
	}
	if got := b.rows(`SELECT "地类名称", "fid_", "FID_2" FROM data.odd`); got != "水田 7 8" {
		t.Errorf("values %q", got)
	}
	b.deliver(ingest.Request{Files: []string{file(t, "x.geojson", wide(300, "字段%d"))}, Dataset: "wide"})
	if got := b.rows(`SELECT "字段299" FROM data.wide`); got != "299" {
		t.Errorf("the last of 300 columns holds %q", got)
	}
}

// A field that a delivery drops or retypes is never lost without a word.
func TestDroppedFieldIsConfirmed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	whole := `{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"a":"x","n":1},"geometry":{"type":"Point","coordinates":[111.5,29]}}]}`
	b.deliver(ingest.Request{Files: []string{file(t, "p.geojson", whole)}, Dataset: "p"})
	for change, code := range map[string]string{`,"n":1`: "field-dropped", `"n":1`: "field-retyped"} {
		less := strings.Replace(whole, change, map[string]string{"field-dropped": "", "field-retyped": `"n":"one"`}[code], 1)
		report, err := b.try(ingest.Request{Files: []string{file(t, "p.geojson", less)}, Dataset: "p"})
		if err != nil || report.State != ingest.StateAwaiting || report.Codes[code] != 1 || len(report.Difference.Schema) == 0 {
			t.Errorf("%s: %+v, %v", code, report, err)
		}
		if err := b.Decide(t.Context(), report.Delivery, ingest.Reject, ingest.Decider{Admin: true}); err != nil {
			t.Error(err)
		}
	}
	// A layer that lost its geometry is refused.
	lost := strings.Replace(whole, `{"type":"Point","coordinates":[111.5,29]}`, "null", 1)
	if _, err := b.try(ingest.Request{Files: []string{file(t, "p.geojson", lost)}, Dataset: "p"}); !problem.Is(err, problem.Invalid) {
		t.Errorf("a layer without geometry: %v", err)
	}
}

// A dataset whose owner keeps metadata is not released without those that are
// mandatory (Q19).
func TestMetadataMustBeComplete(t *testing.T) {
	t.Parallel()
	b := setup(t)
	request := ingest.Request{Files: []string{countiesZone}, Dataset: "xzq", Settings: ingest.Settings{Profile: "xzq-3", Metadata: map[string]string{"secrecy": "公开"}}}
	report, err := b.try(request)
	if !problem.Is(err, problem.Invalid) || report.Codes["metadata-missing"] == 0 {
		t.Errorf("without a topic: %+v, %v", report.Codes, err)
	}
	request.Settings.Metadata["scale"] = "1:10000"
	request.Settings.Metadata["nonsense"] = "x"
	if _, err := b.try(request); !problem.Is(err, problem.Invalid) || !strings.Contains(err.Error(), "topic") {
		t.Errorf("an unknown element: %v", err)
	}
}
