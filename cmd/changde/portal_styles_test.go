package main

import (
	"bytes"
	"context"
	"fmt"
	"image/png"
	"testing"
)

// testStyles gives the map the styles that the API answers in place of the
// portal's own, and looks at what it draws of them.
func testStyles(t *testing.T, p portal, browser context.Context) {
	page := open(t, browser, p.url+"/#10/29.035/111.69", 1000, 800)
	page.idle()
	for _, c := range []struct {
		name, style string
		zoom        float64
		shows       []string
		class       [2]string // a dataset and its class whose colour is to be seen
	}{
		{"city-07", "/styles/default", 7, []string{"xzq", "rivers"}, [2]string{}},
		{"city-10", "/styles/default", 10, []string{"xzq", "dltb", "roads", "places"}, [2]string{}},
		{"city-13", "/styles/default", 13, []string{"dltb", "roads"}, [2]string{"dltb", "城镇住宅用地"}},
		{"city-16", "/styles/default", 16, []string{"dltb", "buildings", "roads"}, [2]string{"dltb", "水域及水利设施用地"}},
		{"dltb-11", "/collections/dltb/styles/default", 11, []string{"dltb"}, [2]string{"dltb", "城镇住宅用地"}},
		{"points-14", "/styles/default?collections=dltb,roads,places,service_terminals,network_nodes,assets,projects&tk=" + p.key, 14, []string{"service_terminals", "network_nodes", "projects"}, [2]string{}},
		{"planning-14", "/styles/default?collections=planning,roads&tk=" + p.key, 14, []string{"planning", "roads"}, [2]string{"planning", "居住用地"}},
	} {
		eval[bool](page, fmt.Sprintf(`(async () => {
			const map = window.__portal.map;
			const style = await (await fetch(%q)).json();
			map.setTransformRequest((url) => ({ url, headers: { 'X-API-Key': %q } }));
			map.setStyle(style, { diff: false });
			map.jumpTo({ center: [111.69, 29.035], zoom: %v });
			return window.__portal.idle();
		})()`, c.style, p.key, c.zoom))
		for _, id := range c.shows {
			page.wait(fmt.Sprintf(`window.__portal.rendered(%q) > 0`, id))
		}
		eval[bool](page, `window.__portal.idle()`)
		picture := page.shot("style-" + c.name)
		if c.class[0] != "" {
			colour := eval[string](page, fmt.Sprintf(`window.__portal.map.getStyle().metadata['changde:legends'][%q].classes.find((k) => k.zh === %q).color`, c.class[0], c.class[1]))
			if n := coloured(t, picture, colour); n < 100 {
				t.Errorf("%s: %d points have the colour %s of %s", c.name, n, colour, c.class[1])
			}
		}
		if c.name == "points-14" {
			for layer, icon := range map[string]string{"places:dot": "seat-city", "service_terminals:icon": "service-terminal", "network_nodes:icon": "network-node", "assets:icon": "camera", "projects:icon": "project"} {
				if !eval[bool](page, fmt.Sprintf(`window.__portal.map.hasImage(%q) && window.__portal.map.queryRenderedFeatures({ layers: [%q] }).length > 0`, icon, layer)) {
					t.Errorf("%s draws nothing, or there is no icon %s", layer, icon)
				}
			}
		}
		page.quiet()
	}
}

// coloured counts the points of the map's part of a picture that have a colour.
func coloured(t *testing.T, picture []byte, hex string) int {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for y := 100; y < 760; y++ {
		for x := 420; x < 980; x++ {
			if r, g, b, _ := img.At(x, y).RGBA(); fmt.Sprintf("#%02x%02x%02x", r>>8, g>>8, b>>8) == hex {
				n++
			}
		}
	}
	return n
}
