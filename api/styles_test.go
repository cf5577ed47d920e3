package api_test

import (
	"bytes"
	"encoding/json"
	"image"
	"image/png"
	"net/http"
	"strings"
	"testing"

	"changde/ingest"
)

type styleDocument struct {
	Metadata struct {
		Legends map[string]struct {
			Column  string
			Classes []struct{ ZH, Color string }
		} `json:"changde:legends"`
	}
	Center  []float64
	Sources map[string]struct {
		Tiles            []string
		MinZoom, MaxZoom int
		Bounds           []float64
	}
	Layers []struct {
		ID, Type, Source string
		SourceLayer      string `json:"source-layer"`
		Layout           map[string]any
	}
}

func styleOf(t *testing.T, a answer) styleDocument {
	t.Helper()
	if a.status != http.StatusOK || a.header.Get("Content-Type") != "application/vnd.mapbox.style+json" {
		t.Fatalf("status %d, type %q: %s", a.status, a.header.Get("Content-Type"), a.body)
	}
	var s styleDocument
	check(t, json.Unmarshal(a.body, &s))
	return s
}

func TestStyleLeadsToTiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := styleOf(t, w.get(t, water, "/collections/wells/styles/default"))
	j := w.get(t, water, "/collections/wells/tilejson").json(t)
	source := s.Sources["wells"]
	if len(s.Sources) != 1 || source.Tiles[0] != j["tiles"].([]any)[0] || float64(source.MinZoom) != j["minzoom"] || float64(source.MaxZoom) != j["maxzoom"] || len(source.Bounds) != 4 {
		t.Errorf("sources %+v, TileJSON %v", s.Sources, j)
	}
	kinds := map[string]bool{}
	for _, l := range s.Layers {
		if l.Type != "background" && (l.Source != "wells" || l.SourceLayer != "wells" || !strings.HasPrefix(l.ID, "wells:")) {
			t.Errorf("layer %+v", l)
		}
		kinds[l.Type] = true
	}
	if !kinds["background"] || !kinds["circle"] || !kinds["symbol"] {
		t.Errorf("kinds of layers: %v", kinds)
	}
	fill := strings.NewReplacer(w.server.URL, "", "{z}", "8", "{y}", "106", "{x}", "207")
	if a := w.get(t, water, fill.Replace(source.Tiles[0])); a.status != http.StatusOK || !strings.Contains(a.header.Get("Cache-Control"), "immutable") {
		t.Errorf("a tile of the style: status %d, %q", a.status, a.header.Get("Cache-Control"))
	}
}

// TestStyleNamesClassesOfItsOwn: no table has the classes of the wells, the release
// counted them.
func TestStyleNamesClassesOfItsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	of := func(target string) []string {
		legend := styleOf(t, w.get(t, water, target)).Metadata.Legends["wells"]
		if legend.Column != "类别" {
			t.Errorf("%s: the legend is of %q", target, legend.Column)
		}
		var out []string
		for _, c := range legend.Classes {
			out = append(out, c.ZH)
		}
		return out
	}
	// Of 137 wells 46 are of the first two uses and 45 of the third.
	for _, target := range []string{"/collections/wells/styles/default", "/styles/default?collections=counties,wells", "/styles/default"} {
		if got := strings.Join(of(target), " "); got != "农用 民用 工业 其他" {
			t.Errorf("%s: classes %q", target, got)
		}
	}
	w.deliver(t, ingest.Request{Files: []string{wells(t, 2, 0)}, Dataset: "wells", Sender: water})
	if got := strings.Join(of("/collections/wells/styles/default"), " "); got != "农用 民用 其他" {
		t.Errorf("after a release: classes %q", got)
	}
}

func TestStyleOfTheCity(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all := styleOf(t, w.get(t, land, "/styles/default"))
	if len(all.Center) != 2 || all.Center[0] != 111.65 || all.Center[1] != 29.05 {
		t.Errorf("the city is shown around %v", all.Center)
	}
	hidden := func(s styleDocument) map[string]bool {
		out := map[string]bool{}
		for _, l := range s.Layers {
			if l.Layout["visibility"] == "none" {
				out[l.Source] = true
			}
		}
		return out
	}
	if h := hidden(all); !h["plots"] || h["counties"] || h["wells"] {
		t.Errorf("hidden in the city: %v", h)
	}
	if h := hidden(styleOf(t, w.get(t, land, "/styles/default?collections=plots,counties"))); len(h) != 0 {
		t.Errorf("hidden although asked for: %v", h)
	}
	// The key a client sends as tk must not go on in a document that may be kept.
	if a := w.get(t, anonymous, "/styles/default?tk="+w.keys[land]); strings.Contains(string(a.body), w.keys[land]) || len(styleOf(t, a).Sources) != len(all.Sources) {
		t.Errorf("by tk: %s", a.body)
	}
	// Nothing to see is a style too.
	if s := styleOf(t, w.get(t, anonymous, "/styles/default?collections=counties")); len(s.Sources) != 1 {
		t.Errorf("sources of one: %v", s.Sources)
	}
}

func TestStyleIsCompressed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.get(t, anonymous, "/collections/counties/styles/default", header{"Accept-Encoding": "gzip"})
	if a.header.Get("Content-Encoding") != "gzip" {
		t.Errorf("Content-Encoding %q", a.header.Get("Content-Encoding"))
	}
}

// TestStyleInDegrees: a style of CGCS2000Quad has tiles whose {z} is the zoom.
func TestStyleInDegrees(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := styleOf(t, w.get(t, water, "/styles/default?collections=counties,wells&tileMatrixSet=CGCS2000Quad"))
	mercator := styleOf(t, w.get(t, water, "/styles/default?collections=counties,wells&tileMatrixSet=WebMercatorQuad"))
	for id, source := range s.Sources {
		want := strings.Replace(mercator.Sources[id].Tiles[0], "/tiles/WebMercatorQuad/", "/tiles/c/", 1)
		if len(source.Tiles) != 1 || source.Tiles[0] != want || source.MinZoom < 1 || source.MaxZoom != 18 {
			t.Errorf("source %s: %+v, want tiles of %s", id, source, want)
		}
	}
	fill := strings.NewReplacer(w.server.URL, "", "{z}", "8", "{y}", "43", "{x}", "207")
	if a := w.get(t, water, fill.Replace(s.Sources["counties"].Tiles[0])); a.status != http.StatusOK {
		t.Errorf("a tile of the style: status %d: %s", a.status, a.body)
	}
	for _, grid := range []string{"WorldCRS84Quad", "c", "", "EPSG:4490"} {
		for _, target := range []string{"/styles/default", "/collections/wells/styles/default"} {
			a := w.get(t, water, target+"?tileMatrixSet="+grid)
			if a.status != http.StatusBadRequest || a.text(t, "type") != "/problems/parameter-invalid" || a.text(t, "where") != "tileMatrixSet" {
				t.Errorf("%s in %q: status %d: %s", target, grid, a.status, a.body)
			}
		}
	}
}

func TestSprites(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var s struct{ Sprite string }
	check(t, json.Unmarshal(w.get(t, anonymous, "/styles/default?collections=counties").body, &s))
	named, ok := strings.CutPrefix(s.Sprite, w.server.URL)
	if !ok {
		t.Fatalf("the sprite is at %q", s.Sprite)
	}
	for _, at := range []string{named, named + "@2x", "/sprites/default", "/sprites/default@2x"} {
		var places map[string]struct{ X, Y, Width, Height int }
		index := w.get(t, anonymous, at+".json")
		check(t, json.Unmarshal(index.body, &places))
		picture := w.get(t, anonymous, at+".png")
		img, err := png.Decode(bytes.NewReader(picture.body))
		check(t, err)
		if p := places["camera"]; p.Width == 0 || p.Width != p.Height || !image.Rect(p.X, p.Y, p.X+p.Width, p.Y+p.Height).In(img.Bounds()) {
			t.Errorf("%s: a camera at %+v of %v", at, p, img.Bounds())
		}
		cache := "public, no-cache"
		if strings.HasPrefix(at, named) {
			cache = "public, max-age=31536000, immutable"
		}
		for media, a := range map[string]answer{"application/json": index, "image/png": picture} {
			if a.status != http.StatusOK || a.header.Get("Content-Type") != media || a.header.Get("Cache-Control") != cache || a.header.Get("ETag") == "" {
				t.Errorf("%s: status %d, %v", at, a.status, a.header)
			}
		}
		if a := w.get(t, anonymous, at+".png", header{"If-None-Match": picture.header.Get("ETag")}); a.status != http.StatusNotModified {
			t.Errorf("%s.png again: status %d", at, a.status)
		}
	}
	for _, missing := range []string{"/sprites/default-0000000000000000.json", "/sprites/other.png", "/sprites/default@3x.png", "/sprites/default.svg", "/sprites/"} {
		if a := w.get(t, anonymous, missing); a.status != http.StatusNotFound {
			t.Errorf("%s: status %d", missing, a.status)
		}
	}
}
