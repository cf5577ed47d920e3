package api_test

import (
	"net/http"
	"strings"
	"testing"
)

// Points of a cell are one feature with their number; a caller gets those of what it
// may see and asks for, and bad sides are refused in both languages.
func TestTilesClustered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const tile = "/collections/wells/tiles/WebMercatorQuad/8/106/207"
	count := func(target string) (features int, points float64) {
		a := w.get(t, water, target)
		for _, l := range decodedTile(t, a) {
			for _, f := range l.Features {
				features++
				if n, ok := f.Properties["point_count"].(float64); ok {
					points += n
				} else {
					points++
				}
			}
		}
		return features, points
	}
	all, _ := count(tile)
	some, points := count(tile + "?cluster=32")
	if some >= all/2 || int(points) != all {
		t.Errorf("%d features stand for %.0f points of %d", some, points, all)
	}
	if fewer, points := count(tile + "?cluster=256"); fewer >= some || int(points) != all {
		t.Errorf("%d features stand for %.0f points", fewer, points)
	}
	if _, points := count(filtered(tile, `类别='民用'`) + "&cluster=64"); points == 0 || int(points) >= all {
		t.Errorf("%.0f points of %d are let through", points, all)
	}
	if a := w.get(t, water, "/collections/wells/tiles/c/9/106/207?cluster=64"); a.status != http.StatusOK && a.status != http.StatusNoContent {
		t.Errorf("status %d %s", a.status, a.body)
	}
	for target, want := range map[string][]string{
		tile + "?cluster=7":    {"8 到 256", "8 to 256"},
		tile + "?cluster=257":  {"8 到 256", "8 to 256"},
		tile + "?cluster=0":    {"8 到 256", "8 to 256"},
		tile + "?cluster=":     {"8 到 256", "8 to 256"},
		tile + "?cluster=64.5": {"8 到 256", "8 to 256"},
		"/collections/counties/tiles/WebMercatorQuad/8/106/207?cluster=64": {"只有点数据集", "only points"},
	} {
		a := w.get(t, water, target)
		if a.status != http.StatusBadRequest {
			t.Errorf("%s: status %d", target, a.status)
		}
		for _, text := range append(want, "cluster") {
			if !strings.Contains(string(a.body), text) {
				t.Errorf("%s: %s does not say %q", target, a.body, text)
			}
		}
	}
}
