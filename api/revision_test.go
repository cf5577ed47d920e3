package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// A server that has not heard of a change shows it to who has seen it elsewhere.
func TestReadersDoNotGoBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	title := func(h header) string {
		t.Helper()
		return w.do(t, http.MethodGet, anonymous, "/collections/counties", nil, h).json(t)["title"].(string)
	}
	before := title(nil)
	// No notification goes with it.
	var revision int64
	change := func(name string) {
		t.Helper()
		check(t, w.pool.QueryRow(t.Context(), "UPDATE changde.datasets SET title_zh = $1, title_en = $1, revision = revision + 1 WHERE id = 'counties' RETURNING revision", name).Scan(&revision))
	}
	change("changed")
	if got := title(nil); got != before {
		t.Fatalf("the server has heard of the change: %s", got)
	}
	for _, h := range []string{"", "x", "-", "1-2", fmt.Sprint(revision - 1), strings.Repeat("9", 30)} {
		if got := title(header{"Changde-Revision": h}); got != before {
			t.Errorf("revision %q reads the catalog: %s", h, got)
		}
	}
	if got := title(header{"Changde-Revision": fmt.Sprint(revision)}); got != "changed" {
		t.Errorf("who has seen revision %d is shown %q", revision, got)
	}
	change("again")
	for _, path := range []string{
		fmt.Sprintf("/collections/counties/tiles/WebMercatorQuad/8/106/207?rev=%d", revision),
		fmt.Sprintf("/tiles/WebMercatorQuad/8/106/207?collections=counties,projects&rev=%d-1", revision),
	} {
		change("once more")
		path = strings.Replace(path, fmt.Sprintf("rev=%d", revision-1), fmt.Sprintf("rev=%d", revision), 1)
		path = strings.Replace(path, fmt.Sprintf("rev=%d-", revision-2), fmt.Sprintf("rev=%d-", revision), 1)
		if a := w.get(t, anonymous, path); a.status != http.StatusOK || !strings.Contains(a.header.Get("Cache-Control"), "immutable") && !strings.Contains(path, "collections=") {
			t.Errorf("%s: %d, %s", path, a.status, a.header.Get("Cache-Control"))
		}
		if got := title(nil); got != "once more" {
			t.Errorf("after %s the server shows %q", path, got)
		}
		change("again")
	}
	// A tile that was given before does not stand in the way.
	tile := "/collections/counties/tiles/WebMercatorQuad/8/106/207"
	w.get(t, anonymous, tile)
	change("later")
	if a := w.do(t, http.MethodGet, anonymous, tile, nil, header{"Changde-Revision": fmt.Sprint(revision)}); a.header.Get("Changde-Revision") != fmt.Sprint(revision) {
		t.Errorf("who has seen revision %d is shown the tile of %s", revision, a.header.Get("Changde-Revision"))
	}
	// What no server has shown is no fault.
	if a := w.do(t, http.MethodGet, anonymous, "/collections/counties", nil, header{"Changde-Revision": fmt.Sprint(revision + 1000)}); a.status != http.StatusOK {
		t.Errorf("a revision that is not there yet: %d", a.status)
	}
}
