package api_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Every list of tilesets has every matrix set, and every matrix set its definition.
func TestMatrixSetsAreListed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	want := []string{"CGCS2000Quad", "WebMercatorQuad", "WorldCRS84Quad"}
	if diff := cmp.Diff(want, named(t, w.get(t, anonymous, "/tileMatrixSets").json(t)["tileMatrixSets"], "id")); diff != "" {
		t.Errorf("/tileMatrixSets:\n%s", diff)
	}
	for _, target := range []string{"/tiles?collections=counties", "/collections/counties/tiles"} {
		if diff := cmp.Diff(want, named(t, w.get(t, anonymous, target).json(t)["tilesets"], "tileMatrixSetId")); diff != "" {
			t.Errorf("%s:\n%s", target, diff)
		}
	}
	levels := map[string][2]any{}
	for _, id := range want {
		if got := w.get(t, anonymous, "/tileMatrixSets/"+id).text(t, "id"); got != id {
			t.Errorf("/tileMatrixSets/%s is %s", id, got)
		}
		set := w.get(t, anonymous, "/collections/counties/tiles/"+id).json(t)
		layer := set["layers"].([]any)[0].(map[string]any)
		levels[id] = [2]any{layer["minTileMatrix"], layer["maxTileMatrix"]}
	}
	// Tiles of a level of degrees are as wide as mercator's of the next.
	if diff := cmp.Diff(map[string][2]any{"WebMercatorQuad": {"1", "18"}, "WorldCRS84Quad": {"0", "17"}, "CGCS2000Quad": {"0", "17"}}, levels); diff != "" {
		t.Errorf("levels:\n%s", diff)
	}
	if tiles := fmt.Sprint(w.get(t, anonymous, "/collections/counties/tilejson").json(t)["tiles"]); !strings.Contains(tiles, "/WebMercatorQuad/") {
		t.Errorf("TileJSON has %s", tiles)
	}
}

// The templates of a tileset lead to its tiles, those with the levels of 天地图 too.
func TestTilesetTemplates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		set        string
		z, row     int
		col        int
		tianditu   string
		tiandituIs int
	}{
		{"WebMercatorQuad", 8, 106, 207, "/w/", 8},
		{"WorldCRS84Quad", 7, 43, 207, "", 0},
		{"CGCS2000Quad", 7, 43, 207, "/c/", 8},
	} {
		for _, at := range []string{"/collections/counties/tiles/" + c.set, "/tiles/" + c.set + "?collections=counties,wells"} {
			templates := map[string]string{}
			for _, l := range w.get(t, egov, at).json(t)["links"].([]any) {
				if l := l.(map[string]any); l["templated"] == true {
					templates[l["rel"].(string)] = strings.TrimPrefix(l["href"].(string), w.server.URL)
				}
			}
			get := func(rel string, z int) answer {
				target := strings.NewReplacer("{tileMatrix}", fmt.Sprint(z), "{tileRow}", fmt.Sprint(c.row), "{tileCol}", fmt.Sprint(c.col)).Replace(templates[rel])
				a := w.get(t, egov, target)
				if a.status != http.StatusOK || len(a.body) == 0 {
					t.Fatalf("%s: %d %s", target, a.status, a.body)
				}
				return a
			}
			tile := get("item", c.z)
			if c.tianditu == "" {
				if len(templates) != 1 {
					t.Errorf("%s has %v", at, templates)
				}
				continue
			}
			if !strings.Contains(templates["alternate"], c.tianditu) {
				t.Errorf("%s has %v", at, templates)
			}
			if other := get("alternate", c.tiandituIs); !bytes.Equal(tile.body, other.body) || tile.header.Get("ETag") != other.header.Get("ETag") {
				t.Errorf("%s: %v leads elsewhere", at, templates)
			}
		}
	}
}

func TestUnknownMatrixSet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const all = "WebMercatorQuad, WorldCRS84Quad, CGCS2000Quad"
	for target, want := range map[string]string{
		"/tileMatrixSets/EPSG:4490":                      all,
		"/tileMatrixSets/c":                              all,
		"/collections/counties/tiles/c":                  all,
		"/tiles/GoogleMapsCompatible":                    all,
		"/collections/counties/tiles/EPSG:4490/0/0/0":    all + ", w, c",
		"/tiles/x/0/0/0?collections=counties":            all + ", w, c",
		"/collections/counties/tiles/c/0/0/0":            "level 0 is not between 1 and 23",
		"/collections/counties/tiles/CGCS2000Quad/0/1/0": "level 0 has 1 rows and 2 columns",
	} {
		a := w.get(t, egov, target)
		if a.status != http.StatusNotFound || !strings.Contains(string(a.body), want) {
			t.Errorf("%s: %d %s, want %q", target, a.status, a.body, want)
		}
	}
}
