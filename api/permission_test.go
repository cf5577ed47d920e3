package api_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/paulmach/orb/encoding/mvt"
)

// readers says who may read which dataset. It is the contract, not computed.
var readers = map[string][]string{
	"counties": {anonymous, land, water, egov},
	"projects": {anonymous, land, water, egov},
	"assets":   {land, water, egov},
	"wells":    {land, water, egov},
	"plots":    {land, egov},
	"pipes":    {water, egov},
	"sketches": {},
}

var callers = []string{anonymous, land, water, egov}

// visible lists what the caller may read, sorted.
func visible(caller string) []string {
	out := []string{}
	for d, who := range readers {
		if slices.Contains(who, caller) {
			out = append(out, d)
		}
	}
	slices.Sort(out)
	return out
}

// The tile that holds the middle of the data, and something of each dataset.
const address = "WebMercatorQuad/8/106/207"

// ofDataset are the requests that name one dataset.
func ofDataset(d string) []string {
	return []string{
		"/collections/" + d,
		"/collections/" + d + "/items",
		"/collections/" + d + "/items?limit=2&bbox=111,28,112,30",
		"/collections/" + d + "/items?release=1",
		"/collections/" + d + "/items?filter=fid%3E0",
		"/collections/" + d + "/queryables",
		"/collections/" + d + "/items?next=1-1-0",
		"/collections/" + d + "/items/1",
		"/collections/" + d + "/items/1/projects",
		"/collections/" + d + "/tiles",
		"/collections/" + d + "/tiles/WebMercatorQuad",
		"/collections/" + d + "/tiles/" + address,
		"/collections/" + d + "/tiles/" + address + "?release=1",
		"/collections/" + d + "/tiles/" + address + "?filter=fid%3E0&properties=",
		"/collections/" + d + "/tiles/WebMercatorQuad/0/0/0?rev=1",
		"/collections/" + d + "/tilejson",
		"/collections/" + d + "/styles",
		"/collections/" + d + "/styles/default",
		"/styles/default?collections=" + d,
		"/styles/default?collections=counties," + d,
		"/datasets/" + d + "/releases",
		"/tiles?collections=" + d,
		"/tiles/WebMercatorQuad?collections=" + d,
		"/tiles/" + address + "?collections=" + d,
		"/tiles/" + address + "?collections=counties," + d,
		"/tilejson?collections=" + d,
		"/tilejson?collections=counties," + d,
	}
}

// normal is what of a refusal must not depend on whether the thing exists: the
// name asked for and the number of the request are put aside.
func normal(a answer, name string) map[string]string {
	out := map[string]string{"status": fmt.Sprint(a.status)}
	for k, v := range a.header {
		if k != "X-Request-Id" && k != "Date" && k != "Content-Length" {
			out[k] = strings.ReplaceAll(strings.Join(v, "|"), name, "NAME")
		}
	}
	body := strings.ReplaceAll(string(a.body), name, "NAME")
	if id := a.header.Get("X-Request-Id"); id != "" {
		body = strings.ReplaceAll(body, id, "ID")
	}
	out["body"] = body
	return out
}

func TestEachCallerSeesItsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.declare(t)
	datasets := []string{"sketches"}
	for d := range readers {
		if d != "sketches" {
			datasets = append(datasets, d)
		}
	}
	for _, caller := range callers {
		for _, d := range datasets {
			missing := ofDataset("nosuch")
			for i, target := range ofDataset(d) {
				a := w.get(t, caller, target)
				if slices.Contains(readers[d], caller) {
					if a.status != http.StatusOK && a.status != http.StatusNoContent {
						t.Errorf("%q GET %s: status %d: %s", caller, target, a.status, a.body)
					}
					continue
				}
				if a.status != http.StatusNotFound {
					t.Errorf("%q GET %s: status %d, want 404: %s", caller, target, a.status, a.body)
					continue
				}
				none := w.get(t, caller, missing[i])
				if diff := cmp.Diff(normal(none, "nosuch"), normal(a, d)); diff != "" {
					t.Errorf("%q GET %s: what is hidden differs from what does not exist:\n%s", caller, target, diff)
				}
			}
		}
	}
}

// named collects a member of each object in a list.
func named(t testing.TB, list any, member string) []string {
	t.Helper()
	out := []string{}
	elements, ok := list.([]any)
	if !ok {
		t.Fatalf("%v is no list", list)
	}
	for _, e := range elements {
		out = append(out, e.(map[string]any)[member].(string))
	}
	slices.Sort(out)
	return out
}

// layersOf names the layers of a tile, sorted.
func layersOf(t testing.TB, a answer) []string {
	t.Helper()
	if a.status == http.StatusNoContent {
		return []string{}
	}
	body := a.body
	if a.header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(bytes.NewReader(body))
		check(t, err)
		body, err = io.ReadAll(z)
		check(t, err)
	}
	layers, err := mvt.Unmarshal(body)
	check(t, err)
	out := []string{}
	for _, l := range layers {
		out = append(out, l.Name)
	}
	slices.Sort(out)
	return out
}

func TestListsHoldWhatTheCallerSees(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.declare(t)
	for _, caller := range callers {
		want := visible(caller)
		list := w.get(t, caller, "/collections")
		if diff := cmp.Diff(want, named(t, list.json(t)["collections"], "id")); diff != "" {
			t.Errorf("%q /collections:\n%s", caller, diff)
		}
		if diff := cmp.Diff(want, named(t, w.get(t, caller, "/tilejson").json(t)["vector_layers"], "id")); diff != "" {
			t.Errorf("%q /tilejson:\n%s", caller, diff)
		}
		if diff := cmp.Diff(want, named(t, w.get(t, caller, "/tiles/WebMercatorQuad").json(t)["layers"], "id")); diff != "" {
			t.Errorf("%q /tiles/WebMercatorQuad:\n%s", caller, diff)
		}
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(w.get(t, caller, "/styles/default").json(t)["sources"].(map[string]any)))); diff != "" {
			t.Errorf("%q /styles/default:\n%s", caller, diff)
		}
		tile := w.get(t, caller, "/tiles/"+address)
		if diff := cmp.Diff(want, layersOf(t, tile)); diff != "" {
			t.Errorf("%q tile of all:\n%s", caller, diff)
		}
		for _, a := range []answer{list, tile} {
			for d, who := range readers {
				if !slices.Contains(who, caller) && (strings.Contains(string(a.body), `"`+d+`"`) || strings.Contains(a.header.Get("Changde-Release"), d)) {
					t.Errorf("%q reads of %s: %v %s", caller, d, a.header, a.body)
				}
			}
		}
		if diff := cmp.Diff([]string{landProject, waterProject}, named(t, w.get(t, caller, "/projects").json(t)["projects"], "code")); diff != "" {
			t.Errorf("%q /projects:\n%s", caller, diff)
		}
	}
	// The figures are of projects, which are public: they are the same for all.
	want := normal(w.get(t, anonymous, "/statistics"), "-")["body"]
	for _, caller := range callers[1:] {
		if got := normal(w.get(t, caller, "/statistics"), "-")["body"]; got != want {
			t.Errorf("%q /statistics: %s, the anonymous has %s", caller, got, want)
		}
	}
	// The definition names no dataset at all.
	for d := range readers {
		if d != "projects" && d != "assets" && strings.Contains(string(w.get(t, anonymous, "/api").body), `"`+d+`"`) {
			t.Errorf("the definition names %s", d)
		}
	}
}

func TestDeliveriesAreForThoseTheyConcern(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	owner := map[string]string{} // by number of the delivery
	rows, err := w.pool.Query(t.Context(), "SELECT id::text, sender FROM changde.deliveries")
	check(t, err)
	for rows.Next() {
		var id, sender string
		check(t, rows.Scan(&id, &sender))
		owner[id] = sender
	}
	check(t, rows.Err())
	if len(owner) != 4 {
		t.Fatalf("%d deliveries", len(owner))
	}
	for id, org := range owner {
		for _, caller := range callers {
			a := w.get(t, caller, "/deliveries/"+id)
			if caller == org || caller == egov {
				if a.status != http.StatusOK {
					t.Errorf("%q /deliveries/%s of %s: status %d", caller, id, org, a.status)
				}
				continue
			}
			none := w.get(t, caller, "/deliveries/999999")
			if diff := cmp.Diff(normal(none, "/999999"), normal(a, "/"+id)); diff != "" || a.status != http.StatusNotFound {
				t.Errorf("%q /deliveries/%s of %s: status %d, and not as one that does not exist:\n%s", caller, id, org, a.status, diff)
			}
		}
	}
}

func TestDeadKeysOpenNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	targets := append(ofDataset("counties"), ofDataset("pipes")...)
	targets = append(targets, "/", "/api", "/collections", "/conformance", "/healthz", "/projects", "/statistics", "/tiles", "/tilejson", "/styles", "/styles/default", "/tileMatrixSets", "/deliveries/1")
	for _, target := range targets {
		first := ""
		for _, caller := range []string{revoked, malformed} {
			a := w.get(t, caller, target)
			if a.status != http.StatusUnauthorized || problemOf(t, a) != "key-invalid" {
				t.Errorf("%s key GET %s: status %d: %s", caller, target, a.status, a.body)
				continue
			}
			if a.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s key GET %s: no WWW-Authenticate", caller, target)
			}
			if body := normal(a, "-")["body"]; first == "" {
				first = body
			} else if body != first {
				t.Errorf("GET %s tells a revoked key from a malformed one: %s, %s", target, first, body)
			}
			if strings.Contains(string(a.body), w.keys[caller]) {
				t.Errorf("the problem shows the key: %s", a.body)
			}
		}
	}
}

func TestKeyByEveryDoor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	target := "/collections/pipes/items?limit=1"
	key := w.keys[water]
	for name, a := range map[string]answer{
		"Bearer":    w.get(t, water, target),
		"X-API-Key": w.get(t, anonymous, target, header{"X-API-Key": key}),
		"tk":        w.get(t, anonymous, target+"&tk="+key),
	} {
		if a.status != http.StatusOK {
			t.Errorf("%s: status %d", name, a.status)
		}
		if strings.Contains(string(a.body), key) || strings.Contains(a.header.Get("Link"), key) {
			t.Errorf("%s: the key is in the answer: %s", name, a.body)
		}
		if !strings.HasPrefix(a.header.Get("Cache-Control"), "private") {
			t.Errorf("%s: Cache-Control %q", name, a.header.Get("Cache-Control"))
		}
	}
	if a := w.get(t, water, target, header{"X-API-Key": w.keys[land]}); a.status != http.StatusBadRequest || problemOf(t, a) != "keys-differ" {
		t.Errorf("two keys: status %d: %s", a.status, a.body)
	}
}

func TestCacheDirectives(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct{ caller, target, want string }{
		{anonymous, "/collections/counties", "public, no-cache"},
		{land, "/collections/counties", "private, no-cache"},
		{anonymous, "/collections/counties/items", "public, no-cache"},
		{water, "/collections/pipes/items/1", "private, no-cache"},
		{anonymous, "/collections", "public, no-cache"},
		{water, "/collections", "private, no-cache"},
		{anonymous, "/collections/counties/tiles/" + address, "public, no-cache"},
		{anonymous, "/collections/counties/tiles/" + address + "?rev=1", "public, max-age=31536000, immutable"},
		{anonymous, "/collections/counties/tiles/" + address + "?rev=2", "public, no-cache"},
		{anonymous, "/collections/counties/tiles/" + address + "?rev=", "public, no-cache"},
		{water, "/collections/pipes/tiles/" + address + "?rev=1", "private, max-age=31536000, immutable"},
		{water, "/tiles/" + address + "?collections=counties,pipes&rev=1-1", "private, max-age=31536000, immutable"},
		{water, "/tiles/" + address + "?collections=counties,pipes&rev=1", "private, no-cache"},
		{anonymous, "/tiles/" + address + "?rev=1-1", "public, no-cache"}, // of which collections is not said
		{anonymous, "/collections/counties/styles/default", "public, no-cache"},
		{water, "/collections/pipes/styles/default", "private, no-cache"},
		{anonymous, "/styles/default", "public, no-cache"},
		{water, "/styles/default", "private, no-cache"},
		{anonymous, "/healthz", "no-store"},
	} {
		a := w.get(t, c.caller, c.target)
		if got := a.header.Get("Cache-Control"); got != c.want {
			t.Errorf("%q GET %s: Cache-Control %q, want %q (status %d)", c.caller, c.target, got, c.want, a.status)
		}
		vary := strings.Join(a.header.Values("Vary"), ", ")
		if !strings.Contains(vary, "Authorization") || !strings.Contains(vary, "X-API-Key") {
			t.Errorf("%q GET %s: Vary %q does not name the key", c.caller, c.target, vary)
		}
	}
}

// TestTagsOpenNothing asks with the entity tags of somebody who may read.
func TestTagsOpenNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, target := range ofDataset("pipes") {
		tag := w.get(t, water, target).header.Get("ETag")
		if tag == "" {
			t.Errorf("GET %s: no ETag", target)
		}
		for _, caller := range []string{anonymous, land} {
			for _, match := range []string{tag, "*", "W/" + tag} {
				if a := w.get(t, caller, target, header{"If-None-Match": match}); a.status != http.StatusNotFound || a.header.Get("ETag") != "" {
					t.Errorf("%q GET %s with the tag %s: status %d, ETag %q", caller, target, match, a.status, a.header.Get("ETag"))
				}
			}
		}
	}
	for _, target := range []string{"/collections", "/tilejson", "/tiles/" + address} {
		tag := w.get(t, water, target).header.Get("ETag")
		for _, caller := range []string{anonymous, land, egov} {
			if a := w.get(t, caller, target, header{"If-None-Match": tag}); a.status != http.StatusOK {
				t.Errorf("%q GET %s with another's tag: status %d, want 200", caller, target, a.status)
			}
		}
	}
}

// TestCallersAreNotMixed asks for the same tiles as different callers at once.
func TestCallersAreNotMixed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.declare(t)
	var group sync.WaitGroup
	for i := range 12 {
		caller := callers[i%len(callers)]
		want := visible(caller)
		group.Go(func() {
			for n := range 8 {
				tile := w.get(t, caller, "/tiles/"+address, header{"Accept-Encoding": []string{"gzip", "identity"}[n%2]})
				if diff := cmp.Diff(want, layersOf(t, tile)); diff != "" {
					t.Errorf("%q tile of all:\n%s", caller, diff)
				}
				one := w.get(t, caller, "/collections/pipes/tiles/"+address)
				if got := one.status == http.StatusOK; got != slices.Contains(readers["pipes"], caller) {
					t.Errorf("%q tile of pipes: status %d", caller, one.status)
				}
				var list struct {
					Collections []struct {
						ID string `json:"id"`
					} `json:"collections"`
				}
				if err := json.Unmarshal(w.get(t, caller, "/collections").body, &list); err != nil {
					t.Error(err)
				}
				if len(list.Collections) != len(want) {
					t.Errorf("%q /collections: %v, want %v", caller, list, want)
				}
			}
		})
	}
	group.Wait()
}

func TestRevocationCountsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	target := "/collections/pipes/tiles/" + address
	tag := w.get(t, water, target).header.Get("ETag")
	keys, err := w.access.Keys(t.Context(), water)
	check(t, err)
	for _, k := range keys {
		check(t, w.access.RevokeKey(t.Context(), k.ID))
	}
	if a := w.get(t, water, target, header{"If-None-Match": tag}); a.status != http.StatusUnauthorized {
		t.Errorf("after the revocation: status %d", a.status)
	}
}
