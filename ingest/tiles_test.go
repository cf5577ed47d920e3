package ingest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"changde/catalog"
	"changde/ingest"
	"changde/problem"
)

// places are n names of settlements as the standard agnp has them, without 汉语拼音.
func places(t testing.TB, n int) string {
	t.Helper()
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(`{"type":"Feature","properties":{"CLASS":"AI","NAME":"镇%d","GNID":"43070%d","XZNAME":"常德"},"geometry":{"type":"Point","coordinates":[111.%d,29]}}`, i, i, 61+i))
	}
	return file(t, "agnp.geojson", `{"type":"FeatureCollection","features":[`+strings.Join(list, ",")+`]}`)
}

// A dataset takes the rules of tiles from its profile, as far as it has the fields,
// and keeps those that it is given.
func TestTileRulesOfTheProfile(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rules := func() string {
		return b.rows(`SELECT tiles->'rank'->>0, tiles->>'attributes', revision FROM changde.datasets WHERE id = 'places'`)
	}
	b.deliver(ingest.Request{Files: []string{places(t, 3)}, Dataset: "places", Settings: ingest.Settings{Profile: "agnp"}})
	if got, want := rules(), `AA [{"fields": ["GNID", "XZNAME"], "minzoom": 12}] 1`; got != want {
		t.Errorf("the rules are %s, want %s", got, want)
	}
	describe := func(set ingest.Settings) {
		t.Helper()
		if err := b.Describe(t.Context(), "places", set); err != nil {
			t.Fatal(err)
		}
	}
	describe(ingest.Settings{Tiles: &catalog.TileRules{Rank: []string{"BB"}}})
	if got, want := rules(), "BB <nil> 2"; got != want {
		t.Errorf("the rules are %s, want %s", got, want)
	}
	describe(ingest.Settings{TitleZH: "地名", Profile: "agnp"})
	b.deliver(ingest.Request{Files: []string{places(t, 4)}, Dataset: "places", Settings: ingest.Settings{Profile: "agnp"}})
	if got, want := rules(), "BB <nil> 4"; got != want {
		t.Errorf("the rules are %s, want %s", got, want)
	}
	describe(ingest.Settings{Tiles: &catalog.TileRules{}})
	if got, want := rules(), "<nil> <nil> 5"; got != want {
		t.Errorf("the rules are %s, want %s", got, want)
	}
	describe(ingest.Settings{Profile: "agnp"})
	if got, want := rules(), `AA [{"fields": ["GNID", "XZNAME"], "minzoom": 12}] 6`; got != want {
		t.Errorf("the rules are %s, want %s", got, want)
	}
	for code, set := range map[string]ingest.Settings{
		"column-missing":  {Tiles: &catalog.TileRules{Attributes: []catalog.TileAttributes{{MinZoom: 3, Fields: []string{"PINYIN"}}}}},
		"tile-rules":      {Tiles: &catalog.TileRules{Rank: []string{"A*A"}}},
		"profile-unknown": {Profile: "agnq"},
	} {
		err := b.Describe(t.Context(), "places", set)
		var p *problem.Error
		if !errors.As(err, &p) || p.Code != code || p.Kind != problem.Invalid {
			t.Errorf("%s: %v", code, err)
		}
		if _, err := b.Plan(t.Context(), ingest.Request{Files: []string{places(t, 2)}, Dataset: "places", Settings: set}); !errors.As(err, &p) || p.Code != code {
			t.Errorf("a delivery, %s: %v", code, err)
		}
	}
}
