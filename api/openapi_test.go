package api_test

import (
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"changde/ingest"
	"changde/schemas"
)

var update = flag.Bool("update", false, "write the golden files")

// operations lists what the document describes, a line each.
func operations(c *contract) string {
	var lines []string
	for path, item := range c.document.Paths.Map() {
		for method, op := range item.Operations() {
			var query []string
			for _, p := range op.Parameters {
				if p.Value.In == "query" {
					query = append(query, p.Value.Name)
				}
			}
			statuses := slices.Sorted(maps.Keys(op.Responses.Map()))
			lines = append(lines, fmt.Sprintf("%-4s %-72s %-20s %-8s ?%-55s %s\n", method, path, op.OperationID, op.Tags[0], strings.Join(query, ","), strings.Join(statuses, " ")))
		}
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[5:], b[5:]) })
	return strings.Join(lines, "")
}

func TestDefinition(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	document := w.contract.document
	if err := document.Validate(t.Context()); err != nil {
		t.Errorf("the document is not valid OpenAPI: %v", err)
	}
	if got := document.Servers[0].URL; got != w.server.URL {
		t.Errorf("server %q, want %q", got, w.server.URL)
	}
	got := operations(w.contract)
	const golden = "testdata/operations.txt"
	if *update {
		check(t, os.WriteFile(golden, []byte(got), 0o600))
	}
	want, err := os.ReadFile(golden)
	check(t, err)
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("the operations changed; run with -update when that is meant:\n%s", diff)
	}

	used := map[string]bool{}
	var visit func(s *openapi3.SchemaRef)
	visit = func(s *openapi3.SchemaRef) {
		if s == nil || s.Value == nil {
			return
		}
		if name, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok {
			if used[name] {
				return
			}
			used[name] = true
		}
		visit(s.Value.Items)
		visit(s.Value.AdditionalProperties.Schema)
		for _, p := range s.Value.Properties {
			visit(p)
		}
		for _, list := range []openapi3.SchemaRefs{s.Value.OneOf, s.Value.AnyOf, s.Value.AllOf} {
			for _, p := range list {
				visit(p)
			}
		}
	}
	for path, item := range document.Paths.Map() {
		for method, op := range item.Operations() {
			if !strings.ContainsFunc(op.Summary, isHan) || op.Description == "" || strings.ContainsFunc(op.Description, isHan) {
				t.Errorf("%s %s: summary %q must be Chinese, description %q English", method, path, op.Summary, op.Description)
			}
			for _, p := range op.Parameters {
				if !strings.Contains(p.Value.Description, " / ") {
					t.Errorf("%s %s: parameter %s is described as %q, not in both languages", method, path, p.Value.Name, p.Value.Description)
				}
			}
			if op.RequestBody != nil {
				for _, m := range op.RequestBody.Value.Content {
					visit(m.Schema)
				}
			}
			for status, r := range op.Responses.Map() {
				if len(r.Value.Headers) == 0 {
					t.Errorf("%s %s: no headers described for %s", method, path, status)
				}
				for _, m := range r.Value.Content {
					visit(m.Schema)
				}
			}
		}
	}
	for _, name := range schemas.JSONNames() {
		if !used[name] {
			t.Errorf("schema %s is used by no operation", name)
		}
	}
	if _, ok := schemas.JSON("../sql/00001_platform"); ok {
		t.Error("JSON reads outside its folder")
	}
}

func isHan(r rune) bool { return unicode.Is(unicode.Han, r) }

// examples are a request for each path. The contract judges the answers.
var examples = map[string]string{
	"/":                                    "/",
	"/conformance":                         "/conformance",
	"/api":                                 "/api?f=json",
	"/healthz":                             "/healthz",
	"/readyz":                              "/readyz",
	"/collections":                         "/collections",
	"/collections/{collection}":            "/collections/counties",
	"/collections/{collection}/items":      "/collections/wells/items?limit=3&bbox=111,28,112,30&datetime=2011-01-02/..&offset=1&release=1",
	"/collections/{collection}/queryables": "/collections/wells/queryables",
	"/collections/{collection}/items/{feature}":                                        "/collections/counties/items/1?release=1",
	"/collections/{collection}/items/{feature}/projects":                               "/collections/counties/items/1/projects",
	"/collections/{collection}/tiles":                                                  "/collections/counties/tiles",
	"/collections/{collection}/tiles/{tileMatrixSet}":                                  "/collections/wells/tiles/WebMercatorQuad",
	"/collections/{collection}/tiles/{tileMatrixSet}/{tileMatrix}/{tileRow}/{tileCol}": "/collections/counties/tiles/WebMercatorQuad/8/106/207?release=1",
	"/collections/{collection}/tiles/{tileMatrixSet}/archive.pmtiles":                  "/collections/counties/tiles/WebMercatorQuad/archive.pmtiles",
	"/collections/{collection}/tilejson":                                               "/collections/wells/tilejson",
	"/tiles":                                                                           "/tiles?collections=counties,wells",
	"/tiles/{tileMatrixSet}":                                                           "/tiles/WebMercatorQuad",
	"/tiles/{tileMatrixSet}/{tileMatrix}/{tileRow}/{tileCol}":                          "/tiles/WebMercatorQuad/8/106/207?collections=counties,wells",
	"/collections/{collection}/styles":                                                 "/collections/wells/styles",
	"/collections/{collection}/styles/{style}":                                         "/collections/wells/styles/default",
	"/styles":                                           "/styles",
	"/styles/{style}":                                   "/styles/default?collections=counties,wells",
	"/tilejson":                                         "/tilejson?collections=counties,plots",
	"/sprites/{sprite}.json":                            "/sprites/default.json",
	"/sprites/{sprite}.png":                             "/sprites/default@2x.png",
	"/tileMatrixSets":                                   "/tileMatrixSets",
	"/tileMatrixSets/{tileMatrixSet}":                   "/tileMatrixSets/WebMercatorQuad",
	"/datasets/{collection}/releases":                   "/datasets/counties/releases",
	"/datasets/{collection}/differences":                "/datasets/counties/differences?from=1",
	"/collections/{collection}/changes":                 "/collections/counties/changes?since=1",
	"/collections/{collection}/items/{feature}/history": "/collections/counties/items/1/history",
	"/deliveries":                                       "/deliveries?limit=2&dataset=wells",
	"/deliveries/{delivery}/changes":                    "/deliveries/5/changes?limit=5",
	"/deliveries/{delivery}/changes/tiles/{tileMatrixSet}/{tileMatrix}/{tileRow}/{tileCol}": "/deliveries/5/changes/tiles/WebMercatorQuad/0/0/0",
	"/deliveries/{delivery}/events": "/deliveries/1/events",
	"/deliveries/{delivery}/report": "/deliveries/5/report",
	"/deliveries/{delivery}":        "/deliveries/1?limit=5",
	"/projects":                     "/projects?limit=1&step=planned&from=2012-01-01&to=2012-12-31&q=%E6%A0%B8%E6%9F%A5",
	"/projects/{project}":           "/projects/CD-EG-2012-001",
	"/assets/{asset}":               "/assets/CAM-001",
	"/statistics":                   "/statistics?from=2012-01-01&to=2012-12-31",
}

func TestEveryOperationAnswers(t *testing.T) {
	t.Parallel()
	w, _ := archived(t, "counties")
	w.declare(t)
	w.deliver(t, ingest.Request{Files: []string{changedWells(t)}, Dataset: "wells", Sender: water}) // the fifth
	for path, item := range w.contract.document.Paths.Map() {
		target, ok := examples[path]
		if !ok && item.Get != nil && !strings.HasPrefix(path, "/deliveries/{delivery}/files") {
			t.Errorf("%s: there is no example", path)
			continue
		}
		for method := range item.Operations() {
			if method != http.MethodGet || strings.HasPrefix(path, "/deliveries/{delivery}/files") {
				continue // what changes things, or is there while it comes, has tests of its own
			}
			a := w.get(t, egov, target)
			if a.status != http.StatusOK {
				t.Errorf("GET %s: status %d: %s", target, a.status, a.body)
			}
			head := w.do(t, http.MethodHead, egov, target, nil)
			for _, name := range []string{"Content-Type", "Content-Length", "ETag", "Cache-Control", "Changde-Release"} {
				if head.header.Get(name) != a.header.Get(name) {
					t.Errorf("HEAD %s: %s %q, GET has %q", target, name, head.header.Get(name), a.header.Get(name))
				}
			}
			if head.status != a.status {
				t.Errorf("HEAD %s: status %d, GET has %d", target, head.status, a.status)
			}
		}
	}
}

// TestLinksLead follows every link there is from the landing page.
func TestLinksLead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.declare(t)
	for _, caller := range []string{anonymous, egov} {
		seen := map[string]bool{}
		queue := []string{"/?f=json"}
		for len(queue) > 0 {
			target := queue[0]
			queue = queue[1:]
			a := w.get(t, caller, target)
			if a.status != http.StatusOK {
				t.Errorf("%q follows a link to %s: status %d: %s", caller, target, a.status, a.body)
				continue
			}
			if strings.HasPrefix(target, "/api") {
				continue
			}
			for _, next := range links(a.json(t)) {
				local, ok := strings.CutPrefix(next, w.server.URL)
				if !ok {
					t.Errorf("%s links away, to %s", target, next)
					continue
				}
				if !seen[local] && len(seen) < 400 {
					seen[local] = true
					queue = append(queue, local)
				}
			}
		}
		if len(seen) < 30 {
			t.Errorf("%q finds %d links", caller, len(seen))
		}
	}
}

// links collects the href of all links in v that are not templates.
func links(v any) []string {
	var out []string
	switch v := v.(type) {
	case map[string]any:
		if href, ok := v["href"].(string); ok && v["templated"] != true {
			out = append(out, href)
		}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			out = append(out, links(v[name])...)
		}
	case []any:
		for _, e := range v {
			out = append(out, links(e)...)
		}
	}
	return out
}
