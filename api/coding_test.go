package api_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// unpacked undoes the coding that an answer names.
func unpacked(t testing.TB, a answer) []byte {
	t.Helper()
	switch coding := a.header.Get("Content-Encoding"); coding {
	case "":
		return a.body
	case "gzip":
		z, err := gzip.NewReader(bytes.NewReader(a.body))
		check(t, err)
		body, err := io.ReadAll(z)
		check(t, err)
		return body
	case "zstd":
		// A browser reads no window beyond 8 MB (RFC 9659).
		z, err := zstd.NewReader(bytes.NewReader(a.body), zstd.WithDecoderMaxWindow(8<<20))
		check(t, err)
		defer z.Close()
		body, err := io.ReadAll(z)
		check(t, err)
		return body
	default:
		t.Fatalf("the coding %q", coding)
		return nil
	}
}

// A tile comes in the coding that the request likes best, gzip where it likes several
// as much, each with a tag of its own.
func TestTileCodings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, of := range []struct{ caller, target string }{
		{water, "/tiles/" + address + "?collections=counties,wells"},
		{anonymous, "/collections/counties/tiles/" + address}, // whose answers are kept
		{water, "/collections/counties/tiles/" + address},
	} {
		target := of.target
		plain := w.get(t, of.caller, target)
		tags := map[string]string{"": plain.header.Get("ETag")}
		for _, c := range []struct{ header, want string }{
			{"gzip, deflate, br, zstd", "gzip"},       // Chrome, Edge, Firefox by TLS
			{"gzip, deflate, br", "gzip"},             // Safari
			{"gzip, deflate", "gzip"},                 // browsers without TLS
			{"gzip", "gzip"},                          // Go, QGIS
			{"deflate, gzip, br, zstd", "gzip"},       // curl --compressed
			{"gzip,deflate", "gzip"},                  // OkHttp and MapLibre Native
			{"br;q=1.0, gzip;q=0.8, *;q=0.1", "gzip"}, // MDN's example
			{"zstd", "zstd"},
			{"zstd, br, gzip;q=0.9", "zstd"},
			{"gzip;q=0.5,zstd;q=0.501", "zstd"},
			{"ZSTD ; q=1 , gzip;Q=0.3", "zstd"},
			{"gzip;q=0, *", "zstd"},
			{"x-gzip", "gzip"},
			{"*", "gzip"},
			{"*;q=0.001", "gzip"},
			{"identity;q=0, gzip;q=0.001", "gzip"},
			{",", ""},
			{"br", ""},
			{"br, deflate", ""},
			{"identity", ""},
			{"identity, gzip;q=0.5, zstd;q=0.5", ""},
			{"gzip;q=0", ""},
			{"gzip;q=0, zstd;q=0.000", ""},
			{"*;q=0, identity", ""},
			{"gzip;q=x, zstd;q=2, identity;q=NaN, ;q=1", ""}, // nothing of it counts
			{strings.Repeat("br,", 5000) + "zstd", "zstd"},
		} {
			a := w.get(t, of.caller, target, header{"Accept-Encoding": c.header})
			if a.status != http.StatusOK || a.header.Get("Content-Encoding") != c.want {
				t.Errorf("%.60q: status %d, coding %q, want %q", c.header, a.status, a.header.Get("Content-Encoding"), c.want)
				continue
			}
			if !bytes.Equal(unpacked(t, a), plain.body) || a.header.Get("Content-Length") != fmt.Sprint(len(a.body)) {
				t.Errorf("%.60q: %d bytes unpack to %d, want %d", c.header, len(a.body), len(unpacked(t, a)), len(plain.body))
			}
			if !slices.Contains(a.header.Values("Vary"), "Accept-Encoding") {
				t.Errorf("%.60q: Vary %q", c.header, a.header.Values("Vary"))
			}
			tag := a.header.Get("ETag")
			if known, ok := tags[c.want]; ok && known != tag || strings.HasPrefix(tag, "W/") {
				t.Errorf("%.60q: tag %s, and %s before", c.header, tag, known)
			}
			tags[c.want] = tag
		}
		for coding, tag := range tags {
			for with, other := range tags {
				accept := with
				if with == "" {
					accept = "identity"
				}
				a := w.get(t, of.caller, target, header{"Accept-Encoding": accept, "If-None-Match": tag})
				if want := map[bool]int{true: http.StatusNotModified, false: http.StatusOK}[coding == with]; a.status != want || a.header.Get("ETag") != other {
					t.Errorf("%q with the tag of %q: status %d, tag %s", with, coding, a.status, a.header.Get("ETag"))
				}
				if !slices.Contains(a.header.Values("Vary"), "Accept-Encoding") {
					t.Errorf("%q with the tag of %q: Vary %q", with, coding, a.header.Values("Vary"))
				}
			}
		}
		if len(tags) != 3 || tags[""] == tags["gzip"] || tags["gzip"] == tags["zstd"] || tags["zstd"] == tags[""] {
			t.Errorf("the tags are %v", tags)
		}
		for _, refused := range []string{"*;q=0", "identity;q=0", "br, identity;q=0", "gzip;q=0, zstd;q=0, identity;q=0"} {
			a := w.get(t, of.caller, target, header{"Accept-Encoding": refused})
			if a.status != http.StatusNotAcceptable || problemOf(t, a) != "coding-not-acceptable" || a.header.Get("ETag") != "" {
				t.Errorf("%q: status %d: %s", refused, a.status, a.body)
			}
		}
	}
	// Of an empty tile there is nothing to refuse.
	a := w.get(t, water, "/collections/counties/tiles/WebMercatorQuad/8/0/0", header{"Accept-Encoding": "*;q=0"})
	if a.status != http.StatusNoContent || !slices.Contains(a.header.Values("Vary"), "Accept-Encoding") {
		t.Errorf("an empty tile: status %d, Vary %q", a.status, a.header.Values("Vary"))
	}
}
