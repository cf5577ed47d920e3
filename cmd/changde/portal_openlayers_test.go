package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// openLayersPage bundles the page that draws with OpenLayers and serves it from a host
// of its own, as another department would.
func openLayersPage(t *testing.T) string {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("needs node: Node 20")
	}
	if _, err := os.Stat("../../web/node_modules/ol-mapbox-style"); err != nil {
		t.Skip("needs the npm package ol-mapbox-style: npm ci in web")
	}
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, node, "../../web/test/bundle.mjs", dir).CombinedOutput(); err != nil {
		t.Fatalf("bundle: %v\n%s", err, out)
	}
	s := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(s.Close)
	return s.URL
}

// degreeCollections are drawn in CGCS2000; everybody may see them.
const degreeCollections = "/styles/default?collections=xzq,dltb,rivers,lakes,roads,places,service_terminals"

// testOpenLayers draws the city with OpenLayers in CGCS2000, from tiles of
// CGCS2000Quad, and with MapLibre from those of WebMercatorQuad, by the same style: at
// almost every position both show the same, and parcels are where they are.
func testOpenLayers(t *testing.T, p portal, browser context.Context) {
	at := openLayersPage(t)
	reference := open(t, browser, p.url+"/#10/29.035/111.69", 1000, 800)
	reference.idle()
	const lon, lat = 111.69, 29.035
	style := url.QueryEscape(p.url + degreeCollections + "&tileMatrixSet=CGCS2000Quad")
	for _, c := range []struct {
		zoom, atLeast int // of a hundred positions so many agree; labels do not
	}{{7, 95}, {10, 92}, {13, 93}, {16, 70}} {
		page := open(t, browser, fmt.Sprintf("%s/?lon=%v&lat=%v&zoom=%d&style=%s", at, lon, lat, c.zoom, style), 560, 660)
		page.wait(`!!window.__portal`)
		eval[bool](page, `window.__portal.idle()`)
		degrees := decode(t, page.shot(fmt.Sprintf("openlayers-%02d", c.zoom)))
		page.quiet()

		eval[bool](reference, showStyle(degreeCollections, lon, lat, c.zoom))
		mercator := decode(t, reference.shot(fmt.Sprintf("maplibre-%02d", c.zoom)))

		var positions [][2]float64
		degree := 360.0 / 512 / float64(int(1)<<c.zoom) // of a pixel
		for y := -280; y <= 280; y += 8 {
			for x := -250; x <= 250; x += 8 {
				positions = append(positions, [2]float64{lon + float64(x)*degree, lat - float64(y)*degree})
			}
		}
		here, there := page.places(positions), reference.places(positions)
		agree, beside, seen := 0, 0, 0
		for i := range positions {
			if !there[i].In(image.Rect(430, 110, 970, 750)) {
				continue
			}
			seen++
			if alike(degrees, here[i], mercator, there[i]) {
				agree++
			}
			if alike(degrees, here[i].Add(image.Pt(9, 23)), mercator, there[i]) {
				beside++
			}
		}
		t.Logf("zoom %d: of %d positions %d agree, and %d with what is beside them", c.zoom, seen, agree, beside)
		if seen < 3000 || agree*100 < c.atLeast*seen || agree <= beside {
			t.Errorf("zoom %d: of %d positions %d agree, and %d with what is beside them", c.zoom, seen, agree, beside)
		}
		if c.zoom == 10 && !eval[bool](page, `window.__portal.named('xzq')`) {
			t.Error("districts have no names at zoom 10")
		}
		if c.zoom == 16 {
			parcelsAreThere(t, p, page, degrees)
		}
	}
	reference.quiet()
}

// parcelsAreThere looks in a picture for the colours of parcels where the API says that
// they lie.
func parcelsAreThere(t *testing.T, p portal, page *page, picture image.Image) {
	t.Helper()
	var document struct {
		Metadata struct {
			Legends map[string]struct {
				Classes []struct {
					Codes []string
					Color string
				}
			} `json:"changde:legends"`
		}
	}
	p.get(t, "/collections/dltb/styles/default", &document)
	var parcels struct {
		Features []struct {
			Geometry   struct{ Coordinates [][][][2]float64 }
			Properties struct{ DLBM string }
		}
	}
	p.get(t, "/collections/dltb/items?bbox=111.688,29.033,111.692,29.037&limit=200", &parcels)
	var middles [][2]float64
	for _, f := range parcels.Features {
		ring := f.Geometry.Coordinates[0][0][1:] // the first position is the last
		var middle [2]float64
		for _, at := range ring {
			middle[0] += at[0] / float64(len(ring))
			middle[1] += at[1] / float64(len(ring))
		}
		middles = append(middles, middle)
	}
	right, seen := 0, 0
	for i, at := range page.places(middles) {
		if !at.In(picture.Bounds()) {
			continue
		}
		seen++
		want, longest := "", 0
		for _, class := range document.Metadata.Legends["dltb"].Classes {
			for _, code := range class.Codes {
				if strings.HasPrefix(parcels.Features[i].Properties.DLBM, code) && len(code) > longest {
					want, longest = class.Color, len(code)
				}
			}
		}
		if r, g, b, _ := picture.At(at.X, at.Y).RGBA(); fmt.Sprintf("#%02x%02x%02x", r>>8, g>>8, b>>8) == want {
			right++
		}
	}
	t.Logf("%d of %d parcels have the colour of their class in their middle", right, seen)
	if seen < 50 || right*100 < 65*seen { // labels and roads lie over the others
		t.Errorf("%d of %d parcels have the colour of their class in their middle", right, seen)
	}
}

// showStyle gives the portal's map a style of the API.
func showStyle(style string, lon, lat float64, zoom int) string {
	return fmt.Sprintf(`(async () => {
		const map = window.__portal.map;
		map.setStyle(await (await fetch(%q)).json(), { diff: false });
		map.jumpTo({ center: [%v, %v], zoom: %d });
		return window.__portal.idle();
	})()`, style, lon, lat, zoom)
}

// places are where positions are on a page.
func (p *page) places(positions [][2]float64) []image.Point {
	p.t.Helper()
	list, err := json.Marshal(positions)
	if err != nil {
		p.t.Fatal(err)
	}
	var out []image.Point
	for _, at := range eval[[]struct{ X, Y float64 }](p, fmt.Sprintf(`%s.map(([lon, lat]) => window.__portal.screen(lon, lat))`, list)) {
		out = append(out, image.Pt(int(at.X), int(at.Y)))
	}
	return out
}

func decode(t *testing.T, picture []byte) image.Image {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// alike reports whether a point of one picture has the colour of a point, or of one
// next to it, of another.
func alike(a image.Image, at image.Point, b image.Image, there image.Point) bool {
	r, g, bl, _ := a.At(at.X, at.Y).RGBA()
	near := func(x, y uint32) bool { return max(x, y)-min(x, y) < 16<<8 }
	for dy := -1; dy <= 1; dy++ {
		for dx := -1; dx <= 1; dx++ {
			r2, g2, b2, _ := b.At(there.X+dx, there.Y+dy).RGBA()
			if near(r, r2) && near(g, g2) && near(bl, b2) {
				return true
			}
		}
	}
	return false
}
