package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"changde/ingest"
)

// Features of an editable dataset are edited one by one between deliveries. Each
// edit is a revision; what was released stays as it was.
func TestEditBetweenReleases(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	asJSON := header{"Content-Type": "application/geo+json"}
	well := func(name, key string, lon float64) string {
		return fmt.Sprintf(`{"type":"Feature","geometry":{"type":"Point","coordinates":[%g,29]},"properties":{"编号":%q,"名称":%q,"深度":12.5,"建成日期":"2012-09-05"}}`, lon, key, name)
	}
	if a := w.do(t, http.MethodPost, water, "/collections/wells/items", strings.NewReader(well("新井", "N1", 111.5)), asJSON); a.status != http.StatusForbidden {
		t.Fatalf("a dataset that only takes deliveries: %d %s", a.status, a.body)
	}
	yes := true
	check(t, w.ingester.Describe(t.Context(), "wells", ingest.Settings{Editable: &yes}))
	check(t, w.catalog.Reload(t.Context()))

	for name, c := range map[string]struct {
		caller, body string
		want         int
	}{
		"anybody":           {anonymous, well("新井", "N1", 111.5), 404},
		"another bureau":    {land, well("新井", "N1", 111.5), 403},
		"a reader":          {reader, well("新井", "N1", 111.5), 403},
		"not a feature":     {water, `{"type":"Point"}`, 400},
		"no geometry":       {water, `{"type":"Feature","geometry":null,"properties":{}}`, 400},
		"a line":            {water, `{"type":"Feature","geometry":{"type":"LineString","coordinates":[[111.5,29],[111.6,29]]},"properties":{}}`, 400},
		"outside the city":  {water, well("新井", "N1", 121), 400},
		"nonsense geometry": {water, `{"type":"Feature","geometry":{"type":"Point","coordinates":["a"]},"properties":{}}`, 400},
		"an unknown field":  {water, `{"type":"Feature","geometry":{"type":"Point","coordinates":[111.5,29]},"properties":{"x":1}}`, 400},
		"a wrong type":      {water, `{"type":"Feature","geometry":{"type":"Point","coordinates":[111.5,29]},"properties":{"深度":"deep"}}`, 400},
		"a taken key":       {water, well("新井", "W00001", 111.5), 409},
	} {
		if a := w.do(t, http.MethodPost, c.caller, "/collections/wells/items", strings.NewReader(c.body), asJSON); a.status != c.want {
			t.Errorf("%s: status %d, want %d: %s", name, a.status, c.want, a.body)
		}
	}

	a := w.do(t, http.MethodPost, contributor, "/collections/wells/items?document=%E5%B8%B8%E6%B0%B4%E3%80%942012%E3%80%9511%E5%8F%B7", strings.NewReader(well("新井", "N1", 111.5)), asJSON)
	if a.status != http.StatusCreated || a.number(t, "fid") != wellCount+1 {
		t.Fatalf("insert: %d %s", a.status, a.body)
	}
	read := a.number(t, "revision")
	item := fmt.Sprintf("/collections/wells/items/%d", wellCount+1)
	if a := w.get(t, water, item); a.status != 200 || a.number(t, "revision") != read {
		t.Errorf("what was inserted: %d %s", a.status, a.body)
	}
	if a := w.get(t, water, item+"?release=1"); a.status != 404 {
		t.Errorf("the release has what came after it: %d", a.status)
	}
	a = w.do(t, http.MethodPut, water, item, strings.NewReader(well("改井", "N1", 111.6)), header{"Content-Type": "application/geo+json", "If-Match": fmt.Sprint(read)})
	if a.status != 200 {
		t.Fatalf("replace: %d %s", a.status, a.body)
	}
	if a := w.do(t, http.MethodPut, water, item, strings.NewReader(well("又改", "N1", 111.6)), header{"Content-Type": "application/geo+json", "If-Match": fmt.Sprint(read)}); a.status != http.StatusConflict {
		t.Errorf("replacing what somebody changed: %d %s", a.status, a.body)
	}
	if a := w.do(t, http.MethodDelete, water, "/collections/wells/items/3", nil); a.status != 200 {
		t.Errorf("delete: %d %s", a.status, a.body)
	}
	if a := w.do(t, http.MethodDelete, water, "/collections/wells/items/3", nil); a.status != 404 {
		t.Errorf("delete again: %d %s", a.status, a.body)
	}
	if a := w.get(t, water, "/collections/wells/items?limit=1"); a.number(t, "numberMatched") != wellCount {
		t.Errorf("%d wells, want %d", a.number(t, "numberMatched"), wellCount)
	}
	if a := w.get(t, water, "/collections/wells/items?limit=1&release=1"); a.number(t, "numberMatched") != wellCount {
		t.Errorf("the release has %d wells", a.number(t, "numberMatched"))
	}
	a = w.get(t, water, fmt.Sprintf("/collections/wells/changes?since=%d", read-1))
	for _, want := range []string{`"op":"insert","fid":138`, `"op":"update","fid":138`, `"op":"delete","fid":3`} {
		if !strings.Contains(string(a.body), want) {
			t.Errorf("the feed lacks %s: %s", want, a.body)
		}
	}
	a = w.get(t, water, item+"/history")
	if versions := a.json(t)["versions"].([]any); len(versions) != 2 || versions[0].(map[string]any)["kind"] != "edit" || versions[0].(map[string]any)["document"] != "常水〔2012〕11号" {
		t.Errorf("history: %s", a.body)
	}
	// The next delivery is compared with the dataset as edited.
	report := w.deliver(t, ingest.Request{Files: []string{wells(t, wellCount, 0)}, Dataset: "wells", Sender: water})
	if d := report.Difference; d.Added != 1 || d.Removed != 1 || d.Changed != 0 {
		t.Errorf("the delivery takes the edits back: %+v", d)
	}
	if a := w.get(t, water, "/collections/wells/items/3/history"); len(a.json(t)["versions"].([]any)) < 1 {
		t.Errorf("history after the delivery: %s", a.body)
	}
}
