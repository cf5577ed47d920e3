package api_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"changde/ingest"
)

func TestUnchangedIs304(t *testing.T) {
	t.Parallel()
	w, _ := archived(t, "counties")
	w.declare(t)
	w.deliver(t, ingest.Request{Files: []string{changedWells(t)}, Dataset: "wells", Sender: water}) // the fifth
	for path, target := range examples {
		first := w.get(t, egov, target)
		tag := first.header.Get("ETag")
		if path == "/healthz" || path == "/readyz" || strings.HasSuffix(path, "/events") || strings.HasSuffix(path, "/report") {
			if tag != "" {
				t.Errorf("GET %s: ETag %q", target, tag)
			}
			continue
		}
		if tag == "" {
			t.Errorf("GET %s: no ETag", target)
			continue
		}
		again := w.get(t, egov, target)
		if again.header.Get("ETag") != tag || !bytes.Equal(again.body, first.body) {
			t.Errorf("GET %s twice: ETag %q, then %q", target, tag, again.header.Get("ETag"))
		}
		weak := strings.TrimPrefix(tag, "W/")
		for _, match := range []string{tag, weak, "W/" + weak, `"other", ` + tag, "*"} {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				a := w.do(t, method, egov, target, nil, header{"If-None-Match": match})
				if a.status != http.StatusNotModified || len(a.body) != 0 {
					t.Errorf("%s %s with If-None-Match %s: status %d, %d bytes", method, target, match, a.status, len(a.body))
				}
				if a.header.Get("ETag") != tag || a.header.Get("Cache-Control") != first.header.Get("Cache-Control") {
					t.Errorf("%s %s: a 304 with ETag %q and Cache-Control %q, the 200 has %q and %q", method, target,
						a.header.Get("ETag"), a.header.Get("Cache-Control"), tag, first.header.Get("Cache-Control"))
				}
				if a.header.Get("Content-Type") != "" || a.header.Get("Content-Encoding") != "" {
					t.Errorf("%s %s: a 304 of type %q, encoding %q", method, target, a.header.Get("Content-Type"), a.header.Get("Content-Encoding"))
				}
			}
		}
		if a := w.get(t, egov, target, header{"If-None-Match": `"other"`}); a.status != http.StatusOK {
			t.Errorf("GET %s with another tag: status %d", target, a.status)
		}
	}
}

// TestCompressedTile holds the two representations of a tile apart.
func TestCompressedTile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, target := range []string{"/collections/counties/tiles/" + address, "/tiles/" + address + "?collections=counties,wells"} {
		plain := w.get(t, egov, target)
		packed := w.get(t, egov, target, header{"Accept-Encoding": "br, gzip;q=0.8"})
		if packed.header.Get("Content-Encoding") != "gzip" || plain.header.Get("Content-Encoding") != "" {
			t.Errorf("GET %s: encodings %q and %q", target, packed.header.Get("Content-Encoding"), plain.header.Get("Content-Encoding"))
		}
		z, err := gzip.NewReader(bytes.NewReader(packed.body))
		check(t, err)
		body, err := io.ReadAll(z)
		check(t, err)
		if !bytes.Equal(body, plain.body) || len(packed.body) >= len(plain.body) {
			t.Errorf("GET %s: %d bytes unpack to %d, plain has %d", target, len(packed.body), len(body), len(plain.body))
		}
		if a, b := packed.header.Get("ETag"), plain.header.Get("ETag"); a == b || a == "" || b == "" || strings.HasPrefix(a, "W/") {
			t.Errorf("GET %s: ETag %q packed and %q plain", target, a, b)
		}
		for _, a := range []answer{plain, packed} {
			if !strings.Contains(strings.Join(a.header.Values("Vary"), ","), "Accept-Encoding") {
				t.Errorf("GET %s: Vary %q", target, a.header.Values("Vary"))
			}
			if a.header.Get("Content-Length") != fmt.Sprint(len(a.body)) {
				t.Errorf("GET %s: Content-Length %q of %d bytes", target, a.header.Get("Content-Length"), len(a.body))
			}
		}
		// The tag of one representation is not good for the other.
		if a := w.get(t, egov, target, header{"If-None-Match": packed.header.Get("ETag")}); a.status != http.StatusOK {
			t.Errorf("GET %s plain with the packed tag: status %d", target, a.status)
		}
		if a := w.get(t, egov, target, header{"If-None-Match": packed.header.Get("ETag"), "Accept-Encoding": "gzip"}); a.status != http.StatusNotModified {
			t.Errorf("GET %s packed with its tag: status %d", target, a.status)
		}
		if a := w.get(t, egov, target, header{"Accept-Encoding": "gzip;q=0"}); a.header.Get("Content-Encoding") != "" {
			t.Errorf("GET %s with gzip refused: encoding %q", target, a.header.Get("Content-Encoding"))
		}
	}
}

func TestCompressedJSON(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const target = "/collections/counties/items"
	plain := w.get(t, egov, target)
	packed := w.get(t, egov, target, header{"Accept-Encoding": "gzip"})
	if packed.header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("encoding %q", packed.header.Get("Content-Encoding"))
	}
	z, err := gzip.NewReader(bytes.NewReader(packed.body))
	check(t, err)
	body, err := io.ReadAll(z)
	check(t, err)
	if !bytes.Equal(body, plain.body) {
		t.Error("the two representations differ")
	}
	if a := w.get(t, egov, target, header{"Accept-Encoding": "gzip", "If-None-Match": packed.header.Get("ETag")}); a.status != http.StatusNotModified {
		t.Errorf("packed with its tag %s: status %d", packed.header.Get("ETag"), a.status)
	}
}

func TestEmptyTile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, target := range []string{"/collections/counties/tiles/WebMercatorQuad/8/0/0", "/tiles/WebMercatorQuad/8/0/0?collections=counties,wells"} {
		a := w.get(t, egov, target)
		if a.status != http.StatusNoContent || len(a.body) != 0 || a.header.Get("Content-Length") != "" || a.header.Get("ETag") == "" {
			t.Errorf("GET %s: status %d, %d bytes, %v", target, a.status, len(a.body), a.header)
		}
		if a := w.get(t, egov, target, header{"If-None-Match": a.header.Get("ETag")}); a.status != http.StatusNotModified {
			t.Errorf("GET %s with its tag: status %d", target, a.status)
		}
	}
}

func TestReleaseChangesTags(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	targets := []string{
		"/collections/wells", "/collections/wells/items", "/collections/wells/items/1", "/collections/wells/tilejson",
		"/collections/wells/styles/default", "/styles/default",
		"/collections/wells/tiles/" + address, "/tiles/" + address, "/datasets/wells/releases", "/collections",
	}
	tags := map[string]string{}
	for _, target := range targets {
		tags[target] = w.get(t, water, target).header.Get("ETag")
	}
	revision := w.get(t, water, "/collections/wells").json(t)["revision"]
	tilesBefore := w.get(t, water, "/collections/wells/tilejson").json(t)["tiles"].([]any)[0].(string)

	w.deliver(t, ingest.Request{Files: []string{wells(t, wellCount-1, 1)}, Dataset: "wells", Sender: water})
	for _, target := range targets {
		a := w.get(t, water, target, header{"If-None-Match": tags[target]})
		if a.status != http.StatusOK || a.header.Get("ETag") == tags[target] {
			t.Errorf("GET %s after a release: status %d, ETag %q as before", target, a.status, tags[target])
		}
	}
	collection := w.get(t, water, "/collections/wells").json(t)
	if collection["release"] != 2.0 || collection["revision"].(float64) <= revision.(float64) || collection["rows"] != float64(wellCount-1) {
		t.Errorf("after a release: release %v, revision %v (before %v), rows %v", collection["release"], collection["revision"], revision, collection["rows"])
	}
	tilesAfter := w.get(t, water, "/collections/wells/tilejson").json(t)["tiles"].([]any)[0].(string)
	if tilesBefore == tilesAfter {
		t.Errorf("the tiles have the address %s before and after a release", tilesAfter)
	}
	// The address of before still answers, and no longer for good.
	fill := strings.NewReplacer(w.server.URL, "", "{z}", "8", "{y}", "106", "{x}", "207")
	for template, want := range map[string]string{tilesBefore: "private, no-cache", tilesAfter: "private, max-age=31536000, immutable"} {
		a := w.get(t, water, fill.Replace(template))
		if a.status != http.StatusOK || a.header.Get("Cache-Control") != want || a.header.Get("Changde-Release") != "2" {
			t.Errorf("GET %s: status %d, Cache-Control %q, want %q, release %s", template, a.status, a.header.Get("Cache-Control"), want, a.header.Get("Changde-Release"))
		}
	}
}

// TestOldReleaseIsNotForGood: what is asked of an older release by the revision
// of now must not be kept as if it were of now.
func TestNamedRevisionIsOfTheRelease(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deliver(t, ingest.Request{Files: []string{wells(t, 5, 0)}, Dataset: "wells", Sender: water})
	revision := fmt.Sprint(w.get(t, water, "/collections/wells").json(t)["revision"])
	a := w.get(t, water, "/collections/wells/tiles/"+address+"?release=1&rev="+revision)
	b := w.get(t, water, "/collections/wells/tiles/"+address+"?rev="+revision)
	if a.status != http.StatusOK || a.header.Get("Changde-Release") != "1" || bytes.Equal(a.body, b.body) {
		t.Errorf("release 1 by the revision of release 2: status %d, release %s, same tile %v", a.status, a.header.Get("Changde-Release"), bytes.Equal(a.body, b.body))
	}
}
