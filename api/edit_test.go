package api_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"changde/catalog"

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

// Without a business key a feature is known by its fid within one content, and by
// what it is where a delivery brings the edit again: an edit is a change, no coming
// and going.
func TestEditsWithoutAKeyAreChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	yes := true
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "ditches.geojson")
		check(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	w.deliver(t, ingest.Request{Files: []string{file(lines(20, 1))}, Dataset: "ditches", Sender: water, Settings: ingest.Settings{Owner: water, Sharing: catalog.Internal, Editable: &yes}})
	edited := `{"type":"Feature","properties":{"编号":"L3","名称":"改名"},"geometry":{"type":"LineString","coordinates":[[111.5,29.002],[111.6,29.002]]}}`
	if a := w.do(t, http.MethodPut, water, "/collections/ditches/items/3", strings.NewReader(edited), header{"Content-Type": "application/geo+json"}); a.status != 200 {
		t.Fatalf("replace: %d %s", a.status, a.body)
	}
	check(t, w.catalog.Reload(t.Context()))
	// The bureau's next file has the edit and two lines more.
	text := strings.Replace(lines(22, 1), `"名称":"渠2"`, `"名称":"改名"`, 1)
	report := w.deliver(t, ingest.Request{Files: []string{file(text)}, Dataset: "ditches", Sender: water})
	if d := report.Difference; d.Added != 2 || d.Removed != 0 || d.Changed != 0 || d.Unchanged != 20 {
		t.Errorf("the delivery brings the edit again: %+v", d)
	}
	difference := func(query, added, removed, changed string) {
		t.Helper()
		a := w.get(t, water, "/datasets/ditches/differences?"+query)
		d := a.json(t)["difference"].(map[string]any)
		if got := fmt.Sprint(d["added"], d["removed"], d["changed"]); got != fmt.Sprint(added, " ", removed, " ", changed) {
			t.Errorf("differences?%s are %s: %s", query, got, a.body)
		}
	}
	difference("from=1&to=2", "2", "0", "1")
	// The one after it is the file of before: the row is new, and the same as it was.
	w.deliver(t, ingest.Request{Files: []string{file(lines(20, 1))}, Dataset: "ditches", Sender: water})
	difference("from=1&to=3", "0", "0", "0")
}
