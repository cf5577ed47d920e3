package api_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"changde/catalog"
	"changde/ingest"
)

// principals are all kinds of callers, with the one whose rights each has: an
// organisation's key may read the same whatever its role.
var principals = map[string]string{anonymous: anonymous, land: land, water: water, reader: water, contributor: water, egov: egov}

// shownIn are requests for tiles and what goes with them, each with the datasets that
// it names; nil: whatever the caller may read.
func shownIn() map[string][]string {
	out := map[string][]string{
		"/tiles/" + address: nil, "/tilejson": nil, "/styles/default": nil, "/tiles/WebMercatorQuad": nil,
	}
	all := []string{"counties", "wells", "plots", "pipes"}
	for i, d := range all {
		one := "/collections/" + d
		for _, target := range []string{
			"/tiles/" + address, "/tiles/" + address + "?rev=1", "/tiles/" + address + "?release=1", "/tiles/" + address + "?filter=fid%3C9",
			"/tiles/" + address + "?properties=", "/tiles/WebMercatorQuad/16/27136/53093", "/tiles/c/9/106/414", "/tilejson", "/styles/default", archiveOf,
		} {
			out[one+target] = []string{d}
		}
		out["/tiles/"+address+"?collections="+d] = []string{d}
		for _, other := range all[i+1:] {
			for _, more := range []string{"", "&rev=1-1", "&filter=fid%3C9"} {
				out["/tiles/"+address+"?collections="+d+","+other+more] = []string{d, other}
				out["/tiles/"+address+"?collections="+other+","+d+more] = []string{d, other}
			}
			out["/tilejson?collections="+d+","+other] = []string{d, other}
			out["/styles/default?collections="+d+","+other] = []string{d, other}
		}
	}
	out["/tiles/"+address+"?collections=counties,wells,plots,pipes"] = all
	out["/tiles/"+address+"?collections=counties,wells,plots,pipes&filter=fid%3C9"] = all
	return out
}

// mayRead tells whether a principal may read all of some datasets.
func mayRead(who map[string][]string, principal string, datasets []string) bool {
	return !slices.ContainsFunc(datasets, func(d string) bool { return !slices.Contains(who[d], principals[principal]) })
}

// codingOf spreads the codings over the requests.
func codingOf(target string) string { return []string{"gzip", "zstd", "identity"}[len(target)%3] }

// asked are the answers of one caller by request.
func (w *world) asked(t testing.TB, caller string) map[string]answer {
	t.Helper()
	out := map[string]answer{}
	for target := range shownIn() {
		out[target] = w.get(t, caller, target, header{"Accept-Encoding": codingOf(target)})
	}
	return out
}

// opensNothing asks as the caller for all that another has just been answered, with
// the tags of these answers, and holds what comes against who may read.
func (w *world) opensNothing(t testing.TB, who map[string][]string, caller string, others map[string]answer, when string) (shown, refused int) {
	t.Helper()
	for target, datasets := range shownIn() {
		coding, tag := codingOf(target), others[target].header.Get("ETag")
		own := w.get(t, caller, target, header{"Accept-Encoding": coding})
		if !mayRead(who, caller, datasets) {
			refused++
			matches := []header{{}, {"If-None-Match": "*"}}
			if tag != "" {
				matches = append(matches, header{"If-None-Match": tag, "Accept-Encoding": coding}, header{"If-None-Match": "W/" + tag}, header{"If-Range": tag, "Range": "bytes=0-9"})
			}
			for _, h := range matches {
				if a := w.get(t, caller, target, h); a.status != http.StatusNotFound || a.header.Get("ETag") != "" || a.header.Get("Cache-Control") != "no-store" {
					t.Errorf("%s: %q GET %s %v: status %d, ETag %q, %q", when, caller, target, h, a.status, a.header.Get("ETag"), a.header.Get("Cache-Control"))
				}
			}
			continue
		}
		shown++
		if own.status != http.StatusOK && own.status != http.StatusNoContent && !strings.HasSuffix(target, archiveOf) {
			t.Errorf("%s: %q GET %s: status %d: %.200s", when, caller, target, own.status, own.body)
			continue
		}
		public := caller == anonymous && !slices.ContainsFunc(datasets, func(d string) bool { return !slices.Contains(who[d], anonymous) })
		if want := map[bool]string{true: "public", false: "private"}[public]; own.status < 300 && !strings.HasPrefix(own.header.Get("Cache-Control"), want) {
			t.Errorf("%s: %q GET %s: Cache-Control %q", when, caller, target, own.header.Get("Cache-Control"))
		}
		if strings.Contains(target, address) && own.status == http.StatusOK {
			for _, l := range layersOf(t, answer{status: own.status, header: http.Header{}, body: unpacked(t, own)}) {
				if !mayRead(who, caller, []string{l}) || datasets != nil && !slices.Contains(datasets, l) {
					t.Errorf("%s: %q GET %s: has the layer %s", when, caller, target, l)
				}
			}
		}
		// Another's tag is good where the answer is the same, and nowhere else.
		if tag == "" {
			continue
		}
		again := w.get(t, caller, target, header{"Accept-Encoding": coding, "If-None-Match": tag})
		if same := tag == own.header.Get("ETag"); same != (again.status == http.StatusNotModified) || again.header.Get("ETag") != own.header.Get("ETag") {
			t.Errorf("%s: %q GET %s with the tag %s of another, own %s: status %d", when, caller, target, tag, own.header.Get("ETag"), again.status)
		}
	}
	return shown, refused
}

// remind reads the catalog, which nobody follows here and which is not trusted after
// two minutes.
func (w *world) remind(t testing.TB) {
	t.Helper()
	check(t, w.catalog.Reload(t.Context()))
}

// Whoever fills the caches, nobody is shown by them what they may not read, nor told
// that it has not changed.
func TestCachesKeepCallersApart(t *testing.T) {
	t.Parallel()
	w, _ := archived(t, "counties", "wells", "pipes")
	for first := range principals {
		w.remind(t)
		for second := range principals {
			w.forget()
			others := w.asked(t, first)
			shown, refused := w.opensNothing(t, readers, second, others, fmt.Sprintf("after %q", first))
			if shown == 0 || refused == 0 && principals[second] != egov {
				t.Errorf("%q after %q: %d shown, %d refused: the test says little", second, first, shown, refused)
			}
		}
	}
}

// What is shared less is refused from the next request on, though all of it is cached.
func TestCachesAfterSharingNarrows(t *testing.T) {
	t.Parallel()
	w, _ := archived(t, "counties", "wells")
	before := map[string]map[string]answer{}
	for p := range principals {
		w.remind(t)
		before[p] = w.asked(t, p)
	}
	narrowed := map[string][]string{"counties": {land, egov}, "wells": {water, egov}, "plots": {land, egov}, "pipes": {water, egov}}
	for _, d := range []string{"counties", "wells"} {
		check(t, w.ingester.Describe(t.Context(), d, ingest.Settings{Sharing: catalog.Private}))
	}
	for first := range principals {
		w.remind(t)
		for second := range principals {
			w.opensNothing(t, narrowed, second, before[first], fmt.Sprintf("narrowed, with what %q had", first))
		}
	}
}
