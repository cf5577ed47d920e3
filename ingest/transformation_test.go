package ingest_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"changde/ingest"
	"changde/ingest/crs"
	"changde/problem"
)

// Harmless numbers: no datum shift of a real place.
const madeUp = `{"id": "made-up-80", "title": {"zh": "测试用", "en": "for tests"}, "kind": "helmert",
	"source": {"datum": "xian-1980", "epsg": 2382},
	"helmert": {"tx": 12.5, "ty": -7.25, "tz": 3, "rx": 0.1, "ry": -0.2, "rz": 0.3, "scale": 1.5, "convention": "position-vector"}}`

// Data on a legacy datum are loaded by the operator's transformation when it is
// named, the release knows by which, and its parameters are nowhere to be read.
func TestOperatorTransformation(t *testing.T) {
	t.Parallel()
	b := setup(t)
	dir := t.TempDir()
	for _, ext := range []string{"shp", "shx", "dbf", "cpg"} {
		data, err := os.ReadFile("shapefile/testdata/xzq_gbk_nocpg_4546." + ext)
		if err != nil && ext != "cpg" {
			t.Fatal(err)
		}
		if err == nil {
			if err := os.WriteFile(filepath.Join(dir, "xzq80."+ext), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	const prj = `PROJCS["Xian_1980_3_Degree_GK_CM_111E",GEOGCS["GCS_Xian_1980",DATUM["D_Xian_1980",SPHEROID["Xian_1980",6378140.0,298.257]],PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]],PROJECTION["Gauss_Kruger"],PARAMETER["False_Easting",500000.0],PARAMETER["False_Northing",0.0],PARAMETER["Central_Meridian",111.0],PARAMETER["Scale_Factor",1.0],PARAMETER["Latitude_Of_Origin",0.0],UNIT["Meter",1.0]]`
	if err := os.WriteFile(filepath.Join(dir, "xzq80.prj"), []byte(prj), 0o600); err != nil {
		t.Fatal(err)
	}
	request := ingest.Request{Files: []string{filepath.Join(dir, "xzq80.shp")}, Dataset: "xzq"}
	if _, err := b.Plan(t.Context(), request); !problem.Is(err, problem.Unsupported) || !strings.Contains(err.Error(), "transformation add") {
		t.Fatalf("without a transformation: %v", err)
	}
	transformation, err := crs.ParseTransformation([]byte(madeUp))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.AddTransformation(t.Context(), transformation, ingest.Decider{Actor: "console:op"}); err != nil {
		t.Fatal(err)
	}
	if err := b.AddTransformation(t.Context(), transformation, ingest.Decider{}); !problem.Is(err, problem.Conflict) {
		t.Errorf("added twice: %v", err)
	}
	if _, err := b.Plan(t.Context(), request); !problem.Is(err, problem.Unsupported) || !strings.Contains(err.Error(), "made-up-80") {
		t.Errorf("a transformation that nobody named: %v", err)
	}
	request.CRS = "made-up-80"
	report := b.deliver(request)
	if report.Published != 9 {
		t.Fatalf("%+v", report)
	}
	// PROJ, told the same numbers, puts the first corner at the same place.
	proj := b.rows(`SELECT round(ST_Distance(ST_Transform(ST_SetSRID(ST_MakePoint(500000, 3200000), 0),
		'+proj=tmerc +lat_0=0 +lon_0=111 +k=1 +x_0=500000 +y_0=0 +a=6378140 +rf=298.257 +towgs84=12.5,-7.25,3,0.1,-0.2,0.3,1.5 +units=m', '+proj=longlat +ellps=GRS80 +towgs84=0,0,0')::geometry,
		ST_SetSRID(ST_MakePoint($1, $2), 0))::numeric, 8)::text`, corner(t, transformation)[0], corner(t, transformation)[1])
	if proj != "0.00000000" {
		t.Errorf("PROJ is %s degrees away", proj)
	}
	if got := b.rows(`SELECT transformation->>'id', transformation->>'kind' FROM changde.deliveries WHERE state = 'released'`); got != "made-up-80 helmert" {
		t.Errorf("the delivery says %q", got)
	}
	d, err := b.Delivery(t.Context(), report.Delivery, 10)
	if err != nil || d.Plan.Transformation == nil || d.Plan.Transformation.ID != "made-up-80" {
		t.Errorf("the plan says %+v, %v", d.Plan, err)
	}
	shown, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	open := string(shown) + b.rows(`SELECT string_agg(to_jsonb(a)::text, ' ') FROM changde.audit a`) + b.rows(`SELECT string_agg(to_jsonb(v)::text, ' ') FROM changde.deliveries v`)
	for _, secret := range []string{"12.5", "-7.25"} {
		if strings.Contains(open, secret) {
			t.Errorf("the parameter %s can be read", secret)
		}
	}
	if got := b.rows(`SELECT string_agg(action, ' ' ORDER BY id) FROM changde.audit`); got != "transformation-add transformation-use" {
		t.Errorf("the audit says %q", got)
	}
	if got := b.rows(`SELECT has_schema_privilege('changde_api', 'secret', 'USAGE')`); got != "false" {
		t.Error("the server's role reaches the protected store")
	}
}

// corner is easting 500,000 northing 3,200,000 by the transformation.
func corner(t *testing.T, transformation *crs.Transformation) []float64 {
	t.Helper()
	flat := []float64{500000, 3200000}
	bound, ok := transformation.From(2382)
	if !ok {
		t.Fatal("the transformation does not serve EPSG:2382")
	}
	bound.Inverse(flat, 2)
	return flat
}

// Coordinates of internet maps are converted when they are declared, and never
// otherwise.
func TestDeclaredGCJ02(t *testing.T) {
	t.Parallel()
	b := setup(t)
	shifted := `{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"n":1},"geometry":{"type":"Point","coordinates":[111.6973,29.0253]}}]}`
	at := func(name string) string {
		b.deliver(ingest.Request{Files: []string{file(t, "a.geojson", shifted)}, Dataset: "p", CRS: name})
		return b.rows(`SELECT round(ST_X(geom)::numeric, 4)::text, round(ST_Y(geom)::numeric, 4)::text FROM data.p`)
	}
	if got := at(""); got != "111.6973 29.0253" {
		t.Errorf("undeclared: %s", got)
	}
	if got := at("GCJ-02"); got == "111.6973 29.0253" {
		t.Errorf("declared GCJ-02 is not converted: %s", got)
	}
	if _, err := b.try(ingest.Request{Files: []string{file(t, "a.geojson", shifted)}, Dataset: "p", CRS: "mars"}); !problem.Is(err, problem.Invalid) {
		t.Errorf("an unknown name: %v", err)
	}
}
