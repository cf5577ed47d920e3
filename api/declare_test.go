package api_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"changde/catalog"
	"changde/ingest"
)

const (
	landProject  = "CD-EG-2012-001"
	waterProject = "CD-EG-2012-002"
	cameraCode   = "CAM-001"
)

// The declarations of the two ordinary organisations. Each links features of
// every kind of sharing that the organisation sees.
var (
	landDeclaration = map[string]any{
		"code": landProject, "name": "国土资源核查系统", "nameEn": "Land check", "category": "application", "unit": "市国土资源局", "fund": "egov_special",
		"planYear": 2012, "planAmount": "1200000.50", "declaredAmount": "1300000.00", "plannedOn": "2012-03-01",
		"assets": []any{
			map[string]any{"collection": "counties", "key": "430702", "role": "uses"},
			map[string]any{"collection": "plots", "key": "PLOTS-001", "role": "uses"},
			map[string]any{"collection": "wells", "key": "W00001", "role": "uses"},
			map[string]any{"type": "camera", "name": "监控点", "code": cameraCode, "geometry": map[string]any{"type": "Point", "coordinates": []float64{111.69, 29.03}}},
		},
	}
	waterDeclaration = map[string]any{
		"code": waterProject, "name": "水资源监测", "category": "infrastructure", "unit": "市水利局", "fund": "dept_budget",
		"planYear": 2012, "planAmount": "800000.00", "declaredAmount": "900000.00", "plannedOn": "2012-06-30", "acceptedOn": "2012-07-15",
		"assets": []any{
			map[string]any{"collection": "pipes", "key": "PIPES-001", "role": "uses"},
			map[string]any{"collection": "wells", "key": "W00002", "role": "upgrades"},
		},
	}
)

// declare makes the projects of the two organisations.
func (w *world) declare(t testing.TB) {
	t.Helper()
	for caller, d := range map[string]map[string]any{land: landDeclaration, water: waterDeclaration} {
		a := w.post(t, caller, d)
		if a.status != http.StatusCreated {
			t.Fatalf("%s declares: status %d: %s", caller, a.status, a.body)
		}
	}
	check(t, w.catalog.Reload(t.Context()))
}

func (w *world) post(t testing.TB, caller string, declaration any) answer {
	t.Helper()
	body, err := json.Marshal(declaration)
	check(t, err)
	return w.do(t, http.MethodPost, caller, "/projects", strings.NewReader(string(body)))
}

func with(d map[string]any, name string, value any) map[string]any {
	c := maps.Clone(d)
	c[name] = value
	return c
}

func TestDeclareRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.declare(t)
	fresh := with(with(landDeclaration, "code", "CD-EG-2012-900"), "assets", []any{})
	asset := func(a map[string]any) map[string]any { return with(fresh, "assets", []any{a}) }
	for name, c := range map[string]struct {
		caller string
		body   map[string]any
		status int
		code   string
	}{
		"anonymous":             {anonymous, fresh, http.StatusUnauthorized, "key-required"},
		"revoked":               {revoked, fresh, http.StatusUnauthorized, "key-invalid"},
		"for another":           {land, with(fresh, "organisation", water), http.StatusForbidden, "organisation-other"},
		"code taken":            {land, with(fresh, "code", waterProject), http.StatusConflict, ""},
		"unknown member":        {land, with(fresh, "colour", "red"), http.StatusBadRequest, "member-unknown"},
		"wrong type":            {land, with(fresh, "planYear", "next"), http.StatusBadRequest, "member-type"},
		"unknown category":      {land, with(fresh, "category", "castle"), http.StatusBadRequest, ""},
		"no name":               {land, with(fresh, "name", ""), http.StatusBadRequest, ""},
		"invisible feature":     {land, asset(map[string]any{"collection": "pipes", "key": "PIPES-001", "role": "uses"}), http.StatusBadRequest, "feature-unknown"},
		"missing feature":       {land, asset(map[string]any{"collection": "plots", "key": "PLOTS-999", "role": "uses"}), http.StatusBadRequest, "feature-unknown"},
		"missing collection":    {land, asset(map[string]any{"collection": "nosuch", "key": "PIPES-001", "role": "uses"}), http.StatusBadRequest, "feature-unknown"},
		"place outside the box": {land, asset(map[string]any{"type": "camera", "name": "远", "geometry": map[string]any{"type": "Point", "coordinates": []float64{10, 50}}}), http.StatusBadRequest, ""},
	} {
		a := w.post(t, c.caller, c.body)
		if a.status != c.status {
			t.Errorf("%s: status %d, want %d: %s", name, a.status, c.status, a.body)
			continue
		}
		if got := problemOf(t, a); c.code != "" && got != c.code {
			t.Errorf("%s: problem %s, want %s", name, got, c.code)
		}
	}
	a := w.get(t, egov, "/projects/CD-EG-2012-900")
	if a.status != http.StatusNotFound {
		t.Errorf("a refused project can be read: status %d", a.status)
	}
	if a := w.post(t, egov, with(fresh, "organisation", water)); a.status != http.StatusCreated {
		t.Errorf("the administrators declare for another: status %d: %s", a.status, a.body)
	}
}

// collectionsOf names the collections that v's assets are of, sorted.
func collectionsOf(t testing.TB, project map[string]any) []string {
	t.Helper()
	list, ok := project["assets"].([]any)
	if !ok {
		t.Fatalf("no assets in %v", project)
	}
	out := []string{}
	for _, a := range list {
		out = append(out, a.(map[string]any)["collection"].(string))
	}
	slices.Sort(out)
	return out
}

// Closing a dataset takes back the points that were drawn from it.
func TestClosedDatasetTakesItsPointsBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.declare(t)
	bbox := func() any { return w.get(t, anonymous, "/projects/"+landProject).json(t)["bbox"] }
	if bbox() == nil {
		t.Fatal("the project has no place to begin with")
	}
	if err := w.ingester.Describe(t.Context(), "counties", ingest.Settings{Sharing: catalog.Private}); err != nil {
		t.Fatal(err)
	}
	check(t, w.catalog.Reload(t.Context()))
	if got := bbox(); got != nil {
		t.Errorf("the project still tells its place %v", got)
	}
}

func TestProjectsShowWhatTheCallerSees(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.declare(t)
	for project, wants := range map[string]map[string][]string{
		landProject: {
			anonymous: {"counties"}, land: {"assets", "counties", "plots", "wells"},
			water: {"assets", "counties", "wells"}, egov: {"assets", "counties", "plots", "wells"},
		},
		waterProject: {anonymous: {}, land: {"wells"}, water: {"pipes", "wells"}, egov: {"pipes", "wells"}},
	} {
		for caller, want := range wants {
			a := w.get(t, caller, "/projects/"+project)
			if a.status != http.StatusOK {
				t.Errorf("%q asks for %s: status %d", caller, project, a.status)
				continue
			}
			if diff := cmp.Diff(want, collectionsOf(t, a.json(t))); diff != "" {
				t.Errorf("%q asks for %s:\n%s", caller, project, diff)
			}
			for _, hidden := range []string{"plots", "pipes", "wells", "PLOTS-001", "PIPES-001", "W00001", cameraCode} {
				name := map[string]string{"PLOTS-001": "plots", "PIPES-001": "pipes", "W00001": "wells", cameraCode: "assets"}[hidden]
				if name == "" {
					name = hidden
				}
				if !slices.Contains(want, name) && strings.Contains(string(a.body), hidden) {
					t.Errorf("%q asks for %s and reads %q: %s", caller, project, hidden, a.body)
				}
			}
		}
	}
	for caller, status := range map[string]int{anonymous: http.StatusNotFound, land: http.StatusOK, water: http.StatusOK, egov: http.StatusOK} {
		if a := w.get(t, caller, "/assets/"+cameraCode); a.status != status {
			t.Errorf("%q asks for the asset: status %d, want %d", caller, a.status, status)
		}
	}
	hidden, missing := w.get(t, anonymous, "/assets/"+cameraCode), w.get(t, anonymous, "/assets/NOSUCH1")
	if diff := cmp.Diff(normal(missing, "NOSUCH1"), normal(hidden, cameraCode)); diff != "" {
		t.Errorf("an asset that is hidden and one that is missing differ:\n%s", diff)
	}
}

// TestFeatureLeadsToItsProjects goes from a feature to the projects that link it,
// by key and by number, through collections the caller may see.
func TestFeatureLeadsToItsProjects(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.declare(t)
	fid := func(dataset, key, value string) string {
		var id string
		check(t, w.pool.QueryRow(t.Context(), `SELECT fid::text FROM data.`+dataset+` WHERE "`+key+`" = $1`, value).Scan(&id))
		return id
	}
	for _, c := range []struct {
		caller, target string
		want           []string
	}{
		{anonymous, "/collections/counties/items/" + fid("counties", "adcode", "430702") + "/projects", []string{landProject}},
		{anonymous, "/collections/counties/items/" + fid("counties", "adcode", "430703") + "/projects", []string{}},
		{land, "/collections/plots/items/" + fid("plots", "编号", "PLOTS-001") + "/projects", []string{landProject}},
		{water, "/collections/wells/items/" + fid("wells", "编号", "W00001") + "/projects", []string{landProject}},
		{land, "/collections/wells/items/" + fid("wells", "编号", "W00002") + "/projects", []string{waterProject}},
		{egov, "/collections/pipes/items/" + fid("pipes", "编号", "PIPES-001") + "/projects", []string{waterProject}},
		{land, "/collections/assets/items/" + fid("assets", "code", cameraCode) + "/projects", []string{landProject}},
		{land, "/assets/" + fid("assets", "code", cameraCode), []string{landProject}},
		{water, "/assets/" + cameraCode, []string{landProject}},
	} {
		a := w.get(t, c.caller, c.target)
		if a.status != http.StatusOK {
			t.Errorf("%q GET %s: status %d: %s", c.caller, c.target, a.status, a.body)
			continue
		}
		if diff := cmp.Diff(c.want, named(t, a.json(t)["projects"], "code")); diff != "" {
			t.Errorf("%q GET %s:\n%s", c.caller, c.target, diff)
		}
	}
	if a := w.get(t, egov, "/collections/wells/items/999999/projects"); a.status != http.StatusNotFound {
		t.Errorf("projects of a feature that is not there: status %d: %s", a.status, a.body)
	}
	// A link by key holds when the feature gets another number.
	w.deliver(t, ingest.Request{Files: []string{wells(t, 3, 0)}, Dataset: "wells", Sender: water})
	a := w.get(t, land, "/collections/wells/items/"+fid("wells", "编号", "W00002")+"/projects")
	if diff := cmp.Diff([]string{waterProject}, named(t, a.json(t)["projects"], "code")); diff != "" {
		t.Errorf("after a release:\n%s", diff)
	}
	// A feature of an earlier release is asked for in that release.
	w.deliver(t, ingest.Request{Files: []string{wells(t, 1, 0)}, Dataset: "wells", Sender: water})
	const gone = "/collections/wells/items/2/projects"
	if a := w.get(t, land, gone); a.status != http.StatusNotFound {
		t.Errorf("projects of a feature that is gone: %d %s", a.status, a.body)
	}
	if diff := cmp.Diff([]string{waterProject}, named(t, w.get(t, land, gone+"?release=1").json(t)["projects"], "code")); diff != "" {
		t.Errorf("in the release that had it:\n%s", diff)
	}
}

// TestFiguresOpen follows each figure to the projects it counts.
func TestFiguresOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.declare(t)
	a := w.get(t, anonymous, "/statistics?from=2012-01-01&to=2012-12-31")
	counted := 0.0
	for _, f := range a.json(t)["figures"].([]any) {
		f := f.(map[string]any)
		for href, count := range map[string]string{"href": "count", "baseHref": "base"} {
			target, ok := f[href].(string)
			if !ok {
				continue
			}
			list := w.get(t, anonymous, strings.TrimPrefix(target, w.server.URL)).json(t)
			if list["numberMatched"] != f[count] {
				t.Errorf("%v %v: %s is %v, and %s lists %v", f["id"], f["title"], count, f[count], target, list["numberMatched"])
			}
			n, _ := f[count].(float64)
			counted += n
		}
		if f["id"] == "K-01" && (f["count"] != 2.0 || f["amounts"].(map[string]any)["plan"] != "2000000.50") {
			t.Errorf("planned projects: %v", f)
		}
	}
	if counted < 3 {
		t.Errorf("the figures count %v projects in all", counted)
	}
	// A list of projects has pages too.
	first := w.get(t, anonymous, "/projects?limit=1").json(t)
	next := ""
	for _, l := range first["links"].([]any) {
		if l := l.(map[string]any); l["rel"] == "next" {
			next = strings.TrimPrefix(l["href"].(string), w.server.URL)
		}
	}
	if first["numberMatched"] != 2.0 || next == "" {
		t.Fatalf("first page: %v", first)
	}
	second := w.get(t, anonymous, next).json(t)
	if diff := cmp.Diff([]string{waterProject}, named(t, second["projects"], "code")); diff != "" {
		t.Errorf("second page %s:\n%s", next, diff)
	}
}
