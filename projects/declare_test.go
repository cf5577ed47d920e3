package projects_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"changde/access"
	"changde/catalog"
	"changde/problem"
)

func point(lon, lat float64) string {
	return fmt.Sprintf(`{"type":"Point","coordinates":[%v,%v]}`, lon, lat)
}

func TestDeclareWhole(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	conn, err := pgx.ConnectConfig(ctx, b.pool.Config().ConnConfig.Copy())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "LISTEN "+catalog.Channel); err != nil {
		t.Fatal(err)
	}
	got := b.mustDeclare(land, `{
		"name": "视频监控一期", "nameEn": "Cameras I", "category": "terminal", "unit": "市公安局", "fund": "dept_budget",
		"description": "一\n二", "planYear": 2011, "declaredAmount": "79090000", "approvedAmount": 47280000.5, "planAmount": 0,
		"plannedOn": "2012-01-10", "acceptedOn": "2012-02-01", "reviewedOn": "2012-03-01", "tenderFiledOn": "2012-04-01",
		"constructionStartedOn": "2012-05-01", "finalAcceptedOn": "2012-06-30", "acceptanceResult": "pass_after_rectify", "supervised": true,
		"assets": [
			{"type": "camera", "name": "东门", "geometry": {"type": "Point", "coordinates": [111.7, 29.03]}, "attributes": {"方位": 90, "云台": true, "备注": "", "杆": null}},
			{"type": "line", "name": "光缆", "code": "GL-1", "status": "idle", "role": "uses", "geometry": {"type": "MultiLineString", "coordinates": [[[111.7, 29.03], [111.72, 29.04]]]}},
			{"type": "server_room", "name": "机房", "geometry": {"type": "Polygon", "coordinates": [[[111.70, 29.00], [111.71, 29.00], [111.71, 29.01], [111.70, 29.00]]]}},
			{"collection": "roads", "key": "R2", "role": "uses"},
			{"collection": "wells", "id": 1, "role": "hosts"},
			{"collection": "bunkers", "id": 1, "role": "consumes_layer"}
		]}`)
	text, err := json.MarshalIndent(got, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	want := `{
 "id": 1,
 "code": "CD-EG-2011-0001",
 "name": "视频监控一期",
 "nameEn": "Cameras I",
 "unit": "市公安局",
 "organisation": "land",
 "category": "terminal",
 "fund": "dept_budget",
 "state": "accepted_final",
 "declaredAmount": "79090000.00",
 "approvedAmount": "47280000.50",
 "planAmount": "0.00",
 "planYear": 2011,
 "plannedOn": "2012-01-10",
 "acceptedOn": "2012-02-01",
 "reviewedOn": "2012-03-01",
 "tenderFiledOn": "2012-04-01",
 "constructionStartedOn": "2012-05-01",
 "finalAcceptedOn": "2012-06-30",
 "acceptanceResult": "pass_after_rectify",
 "supervised": true,
 "description": "一\n二",
 "bbox": [111.5011, 29, 111.9, 29.9],
 "assets": [
  {"collection":"assets","id":1,"key":"CD-EG-2011-0001-A001","role":"constructs","title":"东门","present":true,"bbox":[111.7,29.03,111.7,29.03]},
  {"collection":"assets","id":3,"key":"CD-EG-2011-0001-A002","role":"constructs","title":"机房","present":true,"bbox":[111.7,29,111.71,29.01]},
  {"collection":"assets","id":2,"key":"GL-1","role":"uses","title":"光缆","present":true,"bbox":[111.7,29.03,111.72,29.04]},
  {"collection":"bunkers","id":1,"role":"consumes_layer","title":"一号库","present":true,"bbox":[111.9,29.9,111.9,29.9]},
  {"collection":"roads","id":2,"key":"R2","role":"uses","title":"柳叶大道","present":true,"bbox":[111.7,29.05,111.8,29.05]},
  {"collection":"wells","id":1,"role":"hosts","title":"一号井","present":true,"bbox":[111.5011,29.1013,111.5011,29.1013]}
 ]
}`
	if diff := cmp.Diff(decode(t, want), decode(t, string(text))); diff != "" {
		t.Errorf("%s\n%s", diff, text)
	}

	waiting, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var notes []string
	for range 2 {
		n, err := conn.WaitForNotification(waiting)
		if err != nil {
			t.Fatal(err)
		}
		notes = append(notes, n.Payload)
	}
	if !slices.Equal(notes, []string{"assets", "projects"}) {
		t.Errorf("notified %v", notes)
	}
	if err := b.catalog.Reload(ctx); err != nil {
		t.Fatal(err)
	}
	p, _ := b.view(egov).Dataset("projects")
	a, _ := b.view(egov).Dataset("assets")
	r, _ := b.view(egov).Dataset("roads")
	if p.Revision != 2 || p.Current.Rows != 1 || a.Revision != 2 || a.Current.Rows != 3 || r.Revision != 7 {
		t.Errorf("projects %d with %d rows, assets %d with %d, roads %d", p.Revision, p.Current.Rows, a.Revision, a.Current.Rows, r.Revision)
	}
	if diff := cmp.Diff(&catalog.Bounds{111.7, 29, 111.72, 29.04}, a.Current.Extent); diff != "" {
		t.Error(diff)
	}
	var row string
	b.scan(&row, `SELECT string_agg(concat_ws(' ', code, rev, status, owner_unit, project_fid, attributes, ST_SRID(geom)), '; ' ORDER BY fid) FROM changde.assets`)
	if want := `CD-EG-2011-0001-A001 2 in_use 市公安局 1 {"杆": null, "云台": true, "备注": "", "方位": 90} 4490; GL-1 2 idle 市公安局 {} 4490; CD-EG-2011-0001-A002 2 in_use 市公安局 1 {} 4490`; row != want {
		t.Errorf("assets:\n%s\n%s", row, want)
	}
	b.scan(&row, `SELECT concat_ws(' ', rev, created_by, declared_amount, acceptance_result) FROM changde.projects`)
	if row != "2 landkey1 79090000.00 pass_after_rectify" {
		t.Errorf("project: %s", row)
	}
	// The figures kept by hand agree with the tables.
	var agree bool
	b.scan(&agree, `SELECT bool_and(ok) FROM (
		SELECT r.rows = (SELECT count(*) FROM changde.assets) AND r.extent = (SELECT ARRAY[ST_XMin(e), ST_YMin(e), ST_XMax(e), ST_YMax(e)] FROM (SELECT ST_Extent(geom) e FROM changde.assets) x) AS ok FROM changde.releases r WHERE dataset = 'assets'
		UNION ALL SELECT r.rows = (SELECT count(*) FROM changde.projects) AND r.extent = (SELECT ARRAY[ST_XMin(e), ST_YMin(e), ST_XMax(e), ST_YMax(e)] FROM (SELECT ST_Extent(geom) e FROM changde.projects) x) FROM changde.releases r WHERE dataset = 'projects') t`)
	if !agree {
		t.Error("rows or extent of a release differ from its table")
	}
}

func decode(t *testing.T, s string) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(s), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// What the public point of a project says about its assets.
func TestPointShowsNoMoreThanItsReadersMayKnow(t *testing.T) {
	b := setup(t)
	for _, tt := range []struct{ name, assets, want string }{
		{"none", ``, ``},
		{"public", `{"collection":"roads","id":1,"role":"uses"}`, `111.65 29`},
		{"public, twice the same", `{"collection":"roads","id":1,"role":"uses"},{"collection":"roads","key":"R1","role":"upgrades"},{"collection":"roads","key":"R2","role":"uses"}`, `111.7 29.025`},
		{"public, one over the other", `{"collection":"roads","id":1,"role":"uses"},{"collection":"roads","id":3,"role":"uses"}`, `111.7 29`},
		{"internal", `{"collection":"wells","id":1,"role":"uses"}`, `111.5 29.1`},
		{"internal, new", `{"type":"camera","name":"x","geometry":` + point(111.7111, 29.0333) + `}`, `111.72 29.04`},
		{"private", `{"collection":"bunkers","id":1,"role":"uses"}`, ``},
		{"private and public", `{"collection":"bunkers","id":1,"role":"uses"},{"collection":"roads","id":1,"role":"uses"}`, `111.65 29`},
		{"without a place", `{"collection":"wells","id":2,"role":"uses"}`, ``},
	} {
		p := b.mustDeclare(land, body("assets:["+tt.assets+"]"))
		var got string
		b.scan(&got, `SELECT coalesce(round(ST_X(geom)::numeric, 6)::float8 || ' ' || round(ST_Y(geom)::numeric, 6)::float8, '') FROM changde.projects WHERE code = $1`, p.Code)
		if got != tt.want {
			t.Errorf("%s: point %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestViewNarrowsProjects(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	code := b.mustDeclare(land, body(`assets:[{"collection":"roads","id":1,"role":"uses"},{"collection":"wells","id":1,"role":"uses"},
		{"collection":"bunkers","id":1,"role":"uses"},{"type":"camera","name":"x","geometry":`+point(112, 30)+`}]`)).Code
	for name, tt := range map[string]struct {
		p    access.Principal
		want []string
		box  catalog.Bounds
	}{
		"anonymous": {anonymous, []string{"roads"}, catalog.Bounds{111.6, 29, 111.7, 29}},
		"plan":      {plan, []string{"assets", "roads", "wells"}, catalog.Bounds{111.5011, 29, 112, 30}},
		"land":      {land, []string{"assets", "bunkers", "roads", "wells"}, catalog.Bounds{111.5011, 29, 112, 30}},
		"egov":      {egov, []string{"assets", "bunkers", "roads", "wells"}, catalog.Bounds{111.5011, 29, 112, 30}},
	} {
		p, err := b.store.Project(ctx, b.view(tt.p), code)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, a := range p.Assets {
			got = append(got, a.Collection)
		}
		if !slices.Equal(got, tt.want) || *p.BBox != tt.box {
			t.Errorf("%s sees %v in %v, want %v in %v", name, got, *p.BBox, tt.want, tt.box)
		}
		text, _ := json.Marshal(p)
		if !slices.Contains(tt.want, "bunkers") && (strings.Contains(string(text), "bunkers") || strings.Contains(string(text), "一号库")) {
			t.Errorf("%s is told of a private dataset: %s", name, text)
		}
		for _, collection := range []string{"roads", "wells", "bunkers"} {
			ref := catalog.FeatureRef{Collection: collection, FID: 1}
			if collection == "roads" {
				ref.Key = "R1"
			}
			_, links, err := b.store.OfFeature(ctx, b.view(tt.p), ref)
			visible := slices.Contains(tt.want, collection)
			if err != nil && (visible || !problem.Is(err, problem.NotFound)) {
				t.Fatal(err)
			}
			if (len(links) == 1) != visible || visible && links[0].Code != code {
				t.Errorf("%s: the projects of %s/1 are %+v", name, collection, links)
			}
		}
	}

	// Without the dataset "projects" nothing is answered.
	if _, err := b.pool.Exec(ctx, `UPDATE changde.datasets SET sharing = 'private' WHERE id = 'projects'`); err != nil {
		t.Fatal(err)
	}
	if err := b.catalog.Reload(ctx); err != nil {
		t.Fatal(err)
	}
	_, err := b.store.Project(ctx, b.view(land), code)
	wantProblem(t, err, problem.NotFound, "project-not-found", "")
	_, err = b.store.List(ctx, b.view(land), listAll)
	wantProblem(t, err, problem.NotFound, "project-not-found", "")
	_, err = b.store.Statistics(ctx, b.view(land), time.Time{}, time.Time{})
	wantProblem(t, err, problem.NotFound, "project-not-found", "")
	_, err = b.declare(land, body())
	wantProblem(t, err, problem.NotFound, "project-not-found", "")
	_, links, err := b.store.OfFeature(ctx, b.view(land), catalog.FeatureRef{Collection: "roads", FID: 1, Key: "R1"})
	if err != nil || len(links) != 0 {
		t.Errorf("links %v, %v", links, err)
	}
	if _, err := b.store.Project(ctx, b.view(egov), code); err != nil {
		t.Errorf("the administrators: %v", err)
	}
	if _, err := b.store.Project(ctx, catalog.View{}, code); err == nil {
		t.Error("the zero view sees a project")
	}
}

// A link by key follows the key to another release; a feature that is gone is
// told by its old title.
func TestLinksOutliveReleases(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	code := b.mustDeclare(land, body(`assets:[{"collection":"roads","id":1,"role":"uses"},{"collection":"roads","id":2,"role":"uses"}]`)).Code
	for _, sql := range []string{
		`CREATE TABLE content.roads_2 AS SELECT fid + 10 AS fid, gid, name || '（新）' AS name, geom, span, 8::bigint AS rev FROM content.roads_1 WHERE gid = 'R1'`,
		`SELECT changde.keep_history('roads_2', 8, NULL)`,
		`INSERT INTO changde.releases (dataset, release, revision, relation, geometry_type, columns, rows) SELECT dataset, 2, 8, 'content.roads_2', geometry_type, columns, 1 FROM changde.releases WHERE dataset = 'roads'`,
		`UPDATE changde.datasets SET release = 2, revision = 8 WHERE id = 'roads'`,
	} {
		if _, err := b.pool.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.catalog.Reload(ctx); err != nil {
		t.Fatal(err)
	}
	p, err := b.store.Project(ctx, b.view(anonymous), code)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Assets) != 2 || p.Assets[0].ID != 11 || p.Assets[0].Title != "武陵大道（新）" || !p.Assets[0].Present {
		t.Errorf("the feature that moved: %+v", p.Assets)
	}
	if a := p.Assets[1]; a.Present || a.BBox != nil || a.Title != "柳叶大道" || a.ID != 2 {
		t.Errorf("the feature that is gone: %+v", a)
	}
	_, links, err := b.store.OfFeature(ctx, b.view(anonymous), catalog.FeatureRef{Collection: "roads", FID: 11, Key: "R1"})
	if err != nil || len(links) != 1 {
		t.Errorf("links %v, %v", links, err)
	}
}

func TestRefusalsLeaveNothing(t *testing.T) {
	b := setup(t)
	existing := b.mustDeclare(land, body(`code:"CD-OLD-1"`, `assets:[{"type":"camera","name":"旧","code":"CAM-1","geometry":`+point(111.7, 29)+`}]`))
	before := b.state()
	good := `{"type":"camera","name":"好","geometry":` + point(111.7, 29) + `}`
	asset := func(s string) string { return "assets:[" + good + "," + s + "]" }
	camera := func(geometry string) string { return asset(`{"type":"camera","name":"x","geometry":` + geometry + `}`) }
	building := func(rings string) string {
		return asset(`{"type":"building","name":"x","geometry":{"type":"Polygon","coordinates":` + rings + `}}`)
	}
	const invalid, conflict, large = problem.Invalid, problem.Conflict, problem.TooLarge
	for _, tt := range []struct {
		name  string
		who   access.Principal
		body  string
		kind  problem.Kind
		code  string
		where string
	}{
		{"anonymous", anonymous, body(), problem.Unauthenticated, "key-needed", ""},
		{"for another", land, body(`organisation:"plan"`), problem.Forbidden, "organisation-other", "/organisation"},
		{"for nobody", egov, body(`organisation:"nobody"`), invalid, "organisation-unknown", "/organisation"},
		{"code taken", land, body(`code:"CD-OLD-1"`), conflict, "project-exists", "/code"},
		{"code of another form", land, body(`code:"cd-1"`), invalid, "project-code", "/code"},
		{"no name", land, body(`name:`), invalid, "text-empty", "/name"},
		{"blank name", land, body(`name:" \t"`), invalid, "text-empty", "/name"},
		{"long name", land, body(`name:"` + strings.Repeat("名", 201) + `"`), large, "text-long", "/name"},
		{"NUL in the name", land, body(`name:"a\u0000"`), invalid, "text-characters", "/name"},
		{"long description", land, body(`description:"` + strings.Repeat("a", 4001) + `"`), large, "text-long", "/description"},
		{"category", land, body(`category:"road"`), invalid, "code-unknown", "/category"},
		{"fund", land, body(`fund:""`), invalid, "code-unknown", "/fund"},
		{"plan year", land, body(`planYear:1066`), invalid, "plan-year", "/planYear"},
		{"half a year", land, body(`planYear:2012.5`), invalid, "member-type", "/planYear"},
		{"three decimals", land, body(`declaredAmount:"1.005"`), invalid, "amount-form", "/declaredAmount"},
		{"exponent", land, body(`planAmount:1e6`), invalid, "amount-form", "/planAmount"},
		{"negative", land, body(`planAmount:-1`), invalid, "amount-form", "/planAmount"},
		{"too much", land, body(`planAmount:10000000000000000`), invalid, "amount-form", "/planAmount"},
		{"true money", land, body(`planAmount:true`), invalid, "amount-form", "/planAmount"},
		{"rule M2", land, body(`declaredAmount:"100.00"`, `approvedAmount:"100.01"`), invalid, "rule-m2", "/approvedAmount"},
		{"approved of nothing", land, body(`approvedAmount:"1"`), invalid, "amount-missing", "/declaredAmount"},
		{"accepted without an amount", land, body(`acceptedOn:"2012-01-01"`), invalid, "amount-missing", "/declaredAmount"},
		{"reviewed without an amount", land, body(`declaredAmount:1`, `reviewedOn:"2012-01-01"`), invalid, "amount-missing", "/approvedAmount"},
		{"planned without an amount", land, body(`plannedOn:"2012-01-01"`), invalid, "amount-missing", "/planAmount"},
		{"no such day", land, body(`plannedOn:"2011-02-29"`), invalid, "date-form", "/plannedOn"},
		{"a time", land, body(`plannedOn:"2011-02-28T00:00:00Z"`), invalid, "date-form", "/plannedOn"},
		{"a number for a day", land, body(`plannedOn:20110228`), invalid, "date-form", "/plannedOn"},
		{"filed before accepted", land, body(`declaredAmount:1`, `acceptedOn:"2012-02-02"`, `tenderFiledOn:"2012-02-01"`), invalid, "date-order", "/tenderFiledOn"},
		{"result without a date", land, body(`acceptanceResult:"fail"`), invalid, "acceptance-result", "/acceptanceResult"},
		{"date without a result", land, body(`finalAcceptedOn:"2012-02-02"`), invalid, "acceptance-result", "/acceptanceResult"},
		{"unknown member", land, body(`budget:1`), invalid, "member-unknown", "/budget"},
		{"unknown member of an asset", land, body(asset(`{"typ":"camera"}`)), invalid, "member-unknown", "/assets/1/typ"},
		{"other case", land, body(`Supervised:true`), invalid, "member-unknown", "/Supervised"},
		{"member twice", land, `{"name":"a","name":"b"}`, invalid, "member-twice", "/name"},
		{"wrong type", land, body(`name:[1]`), invalid, "member-type", "/name"},
		{"not JSON", land, `{"name":`, invalid, "json-syntax", "/name"},
		{"more after it", land, body() + `{}`, invalid, "json-syntax", ""},
		{"empty", land, ``, invalid, "json-syntax", ""},
		{"deep", land, body(`assets:` + strings.Repeat("[", 100_000)), large, "declaration-structure", ""},
		{"many objects", land, body(`assets:[` + strings.Repeat("{},", 5000) + `{}]`), large, "declaration-structure", ""},
		{"many assets", land, body(`assets:[` + strings.Repeat("{},", 1000) + `{}]`), large, "assets-many", "/assets"},

		{"empty asset", land, body(asset(`{}`)), invalid, "asset-form", "/assets/1"},
		{"both kinds", land, body(asset(`{"collection":"roads","id":1,"role":"uses","type":"camera"}`)), invalid, "asset-form", "/assets/1"},
		{"role", land, body(asset(`{"collection":"roads","id":1,"role":"connects"}`)), invalid, "code-unknown", "/assets/1/role"},
		{"no role", land, body(asset(`{"collection":"roads","id":1}`)), invalid, "code-unknown", "/assets/1/role"},
		{"no collection", land, body(asset(`{"id":1,"role":"uses"}`)), invalid, "asset-collection", "/assets/1/collection"},
		{"a project", land, body(asset(`{"collection":"projects","id":1,"role":"uses"}`)), invalid, "asset-collection", "/assets/1/collection"},
		{"no feature", land, body(asset(`{"collection":"roads","role":"uses"}`)), invalid, "asset-reference", "/assets/1"},
		{"two references", land, body(asset(`{"collection":"roads","id":1,"key":"R1","role":"uses"}`)), invalid, "asset-reference", "/assets/1"},
		{"id 0", land, body(asset(`{"collection":"roads","id":0,"role":"uses"}`)), invalid, "asset-reference", "/assets/1/id"},
		{"the same twice", land, body(asset(`{"collection":"roads","id":1,"role":"uses"},{"collection":"roads","key":"R1","role":"uses"}`)), invalid, "asset-twice", "/assets/2"},
		{"not there", land, body(asset(`{"collection":"roads","id":99,"role":"uses"}`)), invalid, "feature-unknown", "/assets/1"},
		{"no such key", land, body(asset(`{"collection":"roads","key":"R9","role":"uses"}`)), invalid, "feature-unknown", "/assets/1"},
		{"no such dataset", land, body(asset(`{"collection":"ufos","id":1,"role":"uses"}`)), invalid, "feature-unknown", "/assets/1"},
		{"not for the caller", plan, body(asset(`{"collection":"bunkers","id":1,"role":"uses"}`)), invalid, "feature-unknown", "/assets/1"},
		{"constructed by another", land, body(asset(fmt.Sprintf(`{"collection":"assets","id":%d,"role":"constructs"}`, existing.Assets[0].ID))), conflict, "asset-constructed", "/assets/1"},
		{"asset code taken", land, body(asset(`{"type":"camera","name":"x","code":"CAM-1","geometry":` + point(111.7, 29) + `}`)), conflict, "asset-exists", "/assets/1/code"},
		{"asset code twice", land, body(asset(strings.Repeat(`{"type":"camera","name":"x","code":"CAM-2","geometry":`+point(111.7, 29)+`},`, 2) + good)), invalid, "asset-code-twice", "/assets/2/code"},
		{"asset code form", land, body(asset(`{"type":"camera","name":"x","code":"-A","geometry":` + point(111.7, 29) + `}`)), invalid, "asset-code", "/assets/1/code"},
		{"asset type", land, body(asset(`{"type":"ufo","name":"x","geometry":` + point(111.7, 29) + `}`)), invalid, "asset-type", "/assets/1/type"},
		{"survey mark", land, body(asset(`{"type":"survey_mark","name":"x","geometry":` + point(111.7, 29) + `}`)), problem.Unsupported, "asset-type-classified", "/assets/1/type"},
		{"asset status", land, body(asset(`{"type":"camera","name":"x","status":"lost","geometry":` + point(111.7, 29) + `}`)), invalid, "code-unknown", "/assets/1/status"},
		{"asset name", land, body(asset(`{"type":"camera","geometry":` + point(111.7, 29) + `}`)), invalid, "text-empty", "/assets/1/name"},

		{"no geometry", land, body(asset(`{"type":"camera","name":"x"}`)), invalid, "geometry-missing", "/assets/1/geometry"},
		{"null geometry", land, body(camera(`null`)), problem.Unsupported, "geometry-type-unsupported", "/assets/1/geometry/type"},
		{"collection of geometries", land, body(camera(`{"type":"GeometryCollection","geometries":[]}`)), invalid, "member-unknown", "/assets/1/geometry/geometries"},
		{"with a crs", land, body(camera(`{"type":"Point","coordinates":[111.7,29],"crs":{}}`)), invalid, "member-unknown", "/assets/1/geometry/crs"},
		{"no coordinates", land, body(camera(`{"type":"Point"}`)), invalid, "geometry-coordinates", "/assets/1/geometry/coordinates"},
		{"empty point", land, body(camera(`{"type":"Point","coordinates":[]}`)), invalid, "geometry-coordinates", "/assets/1/geometry/coordinates"},
		{"altitude", land, body(camera(`{"type":"Point","coordinates":[111.7,29,30]}`)), invalid, "geometry-coordinates", "/assets/1/geometry/coordinates"},
		{"text coordinates", land, body(camera(`{"type":"Point","coordinates":["111.7",29]}`)), invalid, "member-type", "/assets/1/geometry/coordinates/0"},
		{"infinite", land, body(camera(`{"type":"Point","coordinates":[1e999,29]}`)), invalid, "member-type", "/assets/1/geometry/coordinates/0"},
		{"too deep coordinates", land, body(camera(`{"type":"Point","coordinates":[[111.7,29]]}`)), invalid, "member-type", "/assets/1/geometry/coordinates/0"},
		{"outside the city", land, body(camera(point(113, 28.2))), invalid, "geometry-coordinates", "/assets/1/geometry/coordinates"},
		{"swapped", land, body(camera(point(29, 111.7))), invalid, "geometry-coordinates", "/assets/1/geometry/coordinates"},
		{"second point outside", land, body(asset(`{"type":"line","name":"x","geometry":{"type":"LineString","coordinates":[[111.7,29],[0,0]]}}`)), invalid, "geometry-coordinates", "/assets/1/geometry/coordinates/1"},
		{"line of one point", land, body(asset(`{"type":"line","name":"x","geometry":{"type":"LineString","coordinates":[[111.7,29]]}}`)), invalid, "geometry-coordinates", "/assets/1/geometry/coordinates"},
		{"line without length", land, body(asset(`{"type":"line","name":"x","geometry":{"type":"LineString","coordinates":[[111.7,29],[111.7,29]]}}`)), invalid, "geometry-invalid", "/assets/1/geometry"},
		{"a line for a camera", land, body(camera(`{"type":"LineString","coordinates":[[111.7,29],[111.8,29]]}`)), invalid, "geometry-type", "/assets/1/geometry/type"},
		{"open ring", land, body(building(`[[[111,29],[111.1,29],[111.1,29.1],[111,29.1]]]`)), invalid, "geometry-coordinates", "/assets/1/geometry/coordinates/0"},
		{"no ring", land, body(building(`[]`)), invalid, "geometry-coordinates", "/assets/1/geometry/coordinates"},
		{"bow tie", land, body(building(`[[[111,29],[111.1,29.1],[111.1,29],[111,29.1],[111,29]]]`)), invalid, "geometry-invalid", "/assets/1/geometry"},
		{"many vertices", land, body(asset(`{"type":"line","name":"x","geometry":{"type":"LineString","coordinates":[` + strings.Repeat("[111,29],", 10_000) + `[111,29.1]]}}`)), large, "geometry-vertices", "/assets/1/geometry/coordinates"},
		{"far too many vertices", land, body(asset(`{"type":"line","name":"x","geometry":{"type":"LineString","coordinates":[` + strings.Repeat("[1,2],", 200_000) + `[111,29.1]]}}`)), large, "geometry-vertices", "/assets/1/geometry"},

		{"attributes list", land, body(asset(`{"type":"camera","name":"x","attributes":[],"geometry":` + point(111.7, 29) + `}`)), invalid, "member-type", "/assets/1/attributes"},
		{"attributes null", land, body(asset(`{"type":"camera","name":"x","attributes":null,"geometry":` + point(111.7, 29) + `}`)), invalid, "attributes-form", "/assets/1/attributes"},
		{"attributes nested", land, body(asset(`{"type":"camera","name":"x","attributes":{"a/b":{}},"geometry":` + point(111.7, 29) + `}`)), invalid, "attribute-type", "/assets/1/attributes/a~1b"},
		{"attribute NUL", land, body(asset(`{"type":"camera","name":"x","attributes":{"a":"\u0000"},"geometry":` + point(111.7, 29) + `}`)), invalid, "text-characters", "/assets/1/attributes/a"},
		{"attribute surrogate", land, body(asset(`{"type":"camera","name":"x","attributes":{"a":"\ud800"},"geometry":` + point(111.7, 29) + `}`)), invalid, "json-syntax", "/assets/1/attributes/a"},
		{"attribute number", land, body(asset(`{"type":"camera","name":"x","attributes":{"a":1e99999},"geometry":` + point(111.7, 29) + `}`)), invalid, "attribute-number", "/assets/1/attributes/a"},
		{"attribute without a name", land, body(asset(`{"type":"camera","name":"x","attributes":{"":1},"geometry":` + point(111.7, 29) + `}`)), invalid, "text-empty", "/assets/1/attributes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := b.declare(tt.who, tt.body)
			wantProblem(t, err, tt.kind, tt.code, tt.where)
		})
	}
	if after := b.state(); after != before {
		t.Errorf("something was left behind:\n%s", cmp.Diff(before, after))
	}
	_, err := b.declare(land, body(camera(point(29, 111.7))))
	if err == nil || !strings.Contains(err.Error(), "swapped") {
		t.Errorf("no hint that the axes are swapped: %v", err)
	}
}

// Whether a dataset does not exist or is another's cannot be told from the answer.
func TestInvisibleIsNonexistent(t *testing.T) {
	b := setup(t)
	var texts []string
	for _, ref := range []string{`"collection":"bunkers","id":1`, `"collection":"bunkers","id":99`, `"collection":"ufos","id":1`, `"collection":"roads","id":99`, `"collection":"bunkers","key":"x"`} {
		_, err := b.declare(plan, body(`assets:[{`+ref+`,"role":"uses"}]`))
		wantProblem(t, err, problem.Invalid, "feature-unknown", "/assets/0")
		texts = append(texts, err.Error())
	}
	for _, text := range texts[1:] {
		if text != texts[0] {
			t.Errorf("%q is not %q", text, texts[0])
		}
	}
}
