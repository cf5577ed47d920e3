package api_test

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"changde/ingest"
)

// An answer that is kept is the one that was given, and is given to the same request
// under the same catalog alone.
func TestKeptAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	same := func(what string, a, b answer) {
		t.Helper()
		for _, h := range []http.Header{a.header, b.header} {
			h.Del("Date")
			if h.Get("X-Request-Id") == "" {
				t.Errorf("%s: no number of the request", what)
			}
		}
		if a.header.Get("X-Request-Id") == b.header.Get("X-Request-Id") {
			t.Errorf("%s: two requests have one number", what)
		}
		a.header.Del("X-Request-Id")
		b.header.Del("X-Request-Id")
		if diff := cmp.Diff(a.header, b.header); diff != "" || a.status != b.status || !bytes.Equal(a.body, b.body) {
			t.Errorf("%s: status %d and %d, %d and %d bytes:\n%s", what, a.status, b.status, len(a.body), len(b.body), diff)
		}
	}
	for _, target := range []string{
		"/collections/counties/tiles/" + address, "/collections/counties/tiles/" + address + "?rev=1", "/collections/counties/tiles/" + address + "?release=1",
		"/collections/counties/tiles/" + address + "?filter=fid%3C3&properties=name", "/collections/counties/tiles/WebMercatorQuad/0/0/0",
		"/tiles/" + address, "/tiles/" + address + "?collections=counties",
	} {
		for _, with := range []header{{"Accept-Encoding": "gzip"}, {"Accept-Encoding": "zstd"}, {"Accept-Encoding": "identity"}} {
			first := w.get(t, anonymous, target, with)
			if first.status != http.StatusOK {
				t.Errorf("GET %s: status %d: %.200s", target, first.status, first.body)
			}
			tag := first.header.Get("ETag")
			same(target, first, w.get(t, anonymous, target, with))
			with["If-None-Match"] = tag
			kept := w.get(t, anonymous, target, with)
			w.forget()
			same("304 "+target, w.get(t, anonymous, target, with), kept)
			if kept.status != http.StatusNotModified {
				t.Errorf("GET %s with its tag: status %d", target, kept.status)
			}
		}
	}
	// What makes another answer is seen.
	const target = "/collections/counties/tiles/" + address + "?rev=1"
	first := w.get(t, anonymous, target)
	if a := w.get(t, anonymous, target, header{"Origin": otherOrigin}); a.header.Get("Access-Control-Allow-Origin") != "*" || !bytes.Equal(a.body, first.body) {
		t.Errorf("from another origin: %v", a.header)
	}
	if a := w.get(t, anonymous, target); a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("after another origin: %v", a.header)
	}
	if a := w.do(t, http.MethodHead, anonymous, target, nil); a.status != http.StatusOK || len(a.body) > 0 {
		t.Errorf("HEAD: status %d, %d bytes", a.status, len(a.body))
	}
	if a := w.do(t, http.MethodDelete, anonymous, target, nil); a.status != http.StatusMethodNotAllowed {
		t.Errorf("DELETE: status %d", a.status)
	}
	for _, h := range []header{{"X-API-Key": w.keys[revoked]}, {"Authorization": "Bearer " + w.keys[malformed]}} {
		if a := w.get(t, anonymous, target, h); a.status != http.StatusUnauthorized {
			t.Errorf("%v: status %d", h, a.status)
		}
	}
	if a := w.get(t, anonymous, target+"&tk="+w.keys[land]); a.header.Get("Cache-Control") != "private, max-age=31536000, immutable" {
		t.Errorf("with tk: %q", a.header.Get("Cache-Control"))
	}
	// A key in the address is asked for each time.
	withKey := "/collections/plots/tiles/" + address + "?tk=" + w.keys[land]
	for range 2 {
		if a := w.get(t, anonymous, withKey); a.status != http.StatusOK {
			t.Errorf("with tk: status %d", a.status)
		}
	}
	keys, err := w.access.Keys(t.Context(), land)
	check(t, err)
	for _, k := range keys {
		check(t, w.access.RevokeKey(t.Context(), k.ID))
	}
	if a := w.get(t, anonymous, withKey); a.status != http.StatusUnauthorized {
		t.Errorf("with the tk of before: status %d", a.status)
	}
	// Another revision is another catalog.
	w.deliver(t, ingest.Request{Files: []string{wells(t, wellCount-1, 1)}, Dataset: "wells", Sender: water})
	check(t, w.ingester.Describe(t.Context(), "counties", ingest.Settings{Label: "adcode"}))
	check(t, w.catalog.Reload(t.Context()))
	if a := w.get(t, anonymous, target); a.header.Get("Cache-Control") != "public, no-cache" || a.header.Get("Changde-Revision") != "2" {
		t.Errorf("after another revision: %q, revision %s", a.header.Get("Cache-Control"), a.header.Get("Changde-Revision"))
	}
}
