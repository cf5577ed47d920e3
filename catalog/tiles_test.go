package catalog_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"changde/catalog"
	"changde/postgis/postgistest"
	"changde/problem"
)

func TestTileRules(t *testing.T) {
	t.Parallel()
	rules, err := catalog.ParseTileRules([]byte(`{"rank": ["4201*", "4202"], "attributes": [{"minzoom": 12, "fields": ["RTEG"]}, {"minzoom": 8, "fields": ["RN", "TYPE"]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for zoom, want := range map[int]string{7: "[]", 8: "[RN TYPE]", 11: "[RN TYPE]", 12: "[RN TYPE RTEG]", 20: "[RN TYPE RTEG]"} {
		if got := fmt.Sprint(rules.Fields(zoom)); got != want {
			t.Errorf("zoom %d: %s, want %s", zoom, got, want)
		}
	}
	want := catalog.TileRules{Rank: []string{"4201*", "4202"}, Attributes: []catalog.TileAttributes{{MinZoom: 8, Fields: []string{"RN"}}}}
	if diff := cmp.Diff(want, rules.Only(func(name string) bool { return name == "RN" })); diff != "" {
		t.Errorf("of one field (-want +got):\n%s", diff)
	}
	if empty, err := catalog.ParseTileRules([]byte(`{"rank": [], "attributes": []}`)); err != nil || !empty.IsZero() || rules.IsZero() {
		t.Errorf("%v, %v", empty, err)
	}
	long := strings.Repeat("国", 101)
	many := func(n int) string {
		list := make([]string, n)
		for i := range list {
			list[i] = fmt.Sprint(i)
		}
		b, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for text, where := range map[string]string{
		`[]`:                                                 "tiles",
		`{"rank": "4201"}`:                                   "tiles",
		`{"ranks": []}`:                                      "tiles",
		`{"rank": ["1"], "rank": ["2"]}`:                     "tiles",
		`{"rank": ["1", ""]}`:                                "tiles.rank[1]",
		`{"rank": ["` + long + `"]}`:                         "tiles.rank[0]",
		`{"rank": ["4*2"]}`:                                  "tiles.rank[0]",
		`{"rank": ["1", "2", "1"]}`:                          "tiles.rank[2]",
		`{"rank": ` + many(201) + `}`:                        "tiles.rank",
		`{"rank": ["a\u0000b"]}`:                             "tiles.rank[0]",
		`{"attributes": [{"minzoom": 8}]}`:                   "tiles.attributes[0].fields",
		`{"attributes": [{"minzoom": -1, "fields": ["a"]}]}`: "tiles.attributes[0].minzoom",
		`{"attributes": [{"minzoom": 14, "fields": ["a"]}]}`: "tiles.attributes[0].minzoom",
		`{"attributes": [{"minzoom": 1, "fields": ["a"]}, {"minzoom": 2, "fields": ["b", "a"]}]}`: "tiles.attributes[1].fields",
		`{"attributes": [{"minzoom": 1, "fields": ` + many(15) + `}]}`:                            "tiles.attributes",
	} {
		if _, err := catalog.ParseTileRules([]byte(text)); !problem.Is(err, problem.Invalid) || !strings.Contains(err.Error(), where) {
			t.Errorf("%.80s: %v, want %s", text, err, where)
		}
	}
}

// A dataset has the rules that the database keeps.
func TestTileRulesAreRead(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	for _, q := range []string{
		`INSERT INTO changde.datasets (id, title_zh, release, revision, tiles) VALUES ('roads', '路', 1, 1, '{"rank": ["4201*"], "attributes": [{"minzoom": 3, "fields": ["RN"]}]}'), ('plain', '无', 1, 1, DEFAULT)`,
		`INSERT INTO changde.releases (dataset, release, revision, relation, geometry_type, columns, rows) SELECT id, 1, 1, 'content.x', 'Point', '[]', 0 FROM changde.datasets WHERE id IN ('roads', 'plain')`,
	} {
		if _, err := pool.Exec(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	known, err := catalog.Open(t.Context(), pool, catalog.Config{})
	if err != nil {
		t.Fatal(err)
	}
	view := known.Snapshot().For(reader{{"", "internal"}: true, {"", "public"}: true})
	for id, want := range map[string]catalog.TileRules{
		"roads": {Rank: []string{"4201*"}, Attributes: []catalog.TileAttributes{{MinZoom: 3, Fields: []string{"RN"}}}},
		"plain": {},
	} {
		d, ok := view.Dataset(id)
		if !ok {
			t.Fatalf("%s is not there", id)
		}
		if diff := cmp.Diff(want, d.Tiles); diff != "" {
			t.Errorf("%s (-want +got):\n%s", id, diff)
		}
	}
}
