package api_test

import (
	"fmt"
	"testing"

	"github.com/paulmach/orb/encoding/mvt"

	"changde/ingest"
)

// The list of what a delivery changes has the values before and after as they are in
// the features; tiles do not carry them, and a list made without them is still read.
func TestChangesHaveValues(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.get(t, water, "/collections/wells/items/7").json(t)["properties"].(map[string]any)["名称"].(string)
	report := w.deliver(t, ingest.Request{Files: []string{changedWells(t)}, Dataset: "wells", Sender: water})
	at := fmt.Sprintf("/deliveries/%d/changes", report.Delivery)
	properties := func(kind string) map[string]any {
		t.Helper()
		for _, f := range w.get(t, water, at+"?limit=100").json(t)["features"].([]any) {
			if p := f.(map[string]any)["properties"].(map[string]any); p["kind"] == kind && (kind != "changed" || p["before_fid"] == float64(7)) {
				return p
			}
		}
		t.Fatalf("nothing is %s", kind)
		return nil
	}
	p := properties("changed")
	before, _ := p["before"].(map[string]any)
	after, _ := p["after"].(map[string]any)
	if len(before) != 1 || len(after) != 1 || before["名称"] != first || after["名称"] != "改名" {
		t.Errorf("before %v, after %v, want %q and 改名", p["before"], p["after"], first)
	}
	if p := properties("removed"); p["before"] != nil || p["after"] != nil {
		t.Errorf("what was removed: %v", p)
	}
	a := w.get(t, water, at+"/tiles/WebMercatorQuad/8/106/207")
	layers, err := mvt.Unmarshal(a.body)
	if err != nil || len(layers) != 1 || len(layers[0].Features) == 0 {
		t.Fatalf("tile: %d, %v, %v", a.status, layers, err)
	}
	for _, f := range layers[0].Features {
		if _, there := f.Properties["before"]; there || f.Properties["kind"] == nil {
			t.Errorf("the tile carries %v", f.Properties)
		}
	}
	_, err = w.pool.Exec(t.Context(), fmt.Sprintf(`ALTER TABLE difference.d%d DROP COLUMN before, DROP COLUMN after`, report.Delivery))
	check(t, err)
	_, err = w.pool.Exec(t.Context(), `UPDATE changde.deliveries SET difference = difference - 'values' WHERE id = $1`, report.Delivery)
	check(t, err)
	if _, there := properties("changed")["before"]; there {
		t.Error("a list without values has some")
	}
}
