package api_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"changde/ingest"
)

// page is an answer of items, reduced to what paging is about.
type page struct {
	ids     []int64
	release int
	matched any
	next    string // target of the next link, empty on the last page
}

func (w *world) page(t testing.TB, caller, target string) page {
	t.Helper()
	a := w.get(t, caller, target)
	if a.status != http.StatusOK {
		t.Fatalf("GET %s: status %d: %s", target, a.status, a.body)
	}
	v := a.json(t)
	p := page{release: int(v["release"].(float64)), matched: v["numberMatched"]}
	for _, f := range v["features"].([]any) {
		p.ids = append(p.ids, int64(f.(map[string]any)["id"].(float64)))
	}
	if got := fmt.Sprint(p.release); a.header.Get("Changde-Release") != got {
		t.Errorf("GET %s: header Changde-Release %q, body %s", target, a.header.Get("Changde-Release"), got)
	}
	for _, l := range v["links"].([]any) {
		if l := l.(map[string]any); l["rel"] == "next" {
			href := l["href"].(string)
			p.next = strings.TrimPrefix(href, w.server.URL)
			if !strings.Contains(a.header.Get("Link"), "<"+href+`>; rel="next"`) {
				t.Errorf("GET %s: Link %q, the body leads to %s", target, a.header.Get("Link"), href)
			}
		}
	}
	if p.next == "" && a.header.Get("Link") != "" {
		t.Errorf("GET %s: Link %q on the last page", target, a.header.Get("Link"))
	}
	return p
}

// walk follows next from the target on.
func (w *world) walk(t testing.TB, caller, target string) (ids []int64, pages int) {
	t.Helper()
	for target != "" {
		p := w.page(t, caller, target)
		ids = append(ids, p.ids...)
		target = p.next
		if pages++; pages > 1000 {
			t.Fatal("the pages never end")
		}
	}
	return ids, pages
}

func (w *world) idsOf(t testing.TB, query string, args ...any) []int64 {
	t.Helper()
	rows, err := w.pool.Query(t.Context(), query, args...)
	check(t, err)
	defer rows.Close()
	var out []int64
	for rows.Next() {
		var id int64
		check(t, rows.Scan(&id))
		out = append(out, id)
	}
	check(t, rows.Err())
	return out
}

// TestPagesAreTheWhole holds pages by next and by offset against what PostGIS has.
func TestPagesAreTheWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rapid.Check(t, func(r *rapid.T) {
		if t.Failed() {
			r.Fatal("failed already")
		}
		limit := rapid.IntRange(1, 60).Draw(r, "limit")
		west := rapid.Float64Range(111.4, 111.95).Draw(r, "west")
		width := rapid.Float64Range(0, 0.5).Draw(r, "width")
		boxed := rapid.Bool().Draw(r, "boxed")
		filter, want := "", []int64(nil)
		if boxed {
			filter = fmt.Sprintf("&bbox=%.6f,28,%.6f,30", west, west+width)
			want = w.idsOf(t, `SELECT fid FROM data.wells WHERE ST_Intersects(geom, ST_MakeEnvelope(round($1::numeric, 6)::float8, 28, round($2::numeric, 6)::float8, 30, 4490)) ORDER BY fid`,
				fmt.Sprintf("%.6f", west), fmt.Sprintf("%.6f", west+width))
		} else {
			want = w.idsOf(t, `SELECT fid FROM data.wells ORDER BY fid`)
		}
		target := fmt.Sprintf("/collections/wells/items?limit=%d%s", limit, filter)
		byNext, pages := w.walk(t, water, target)
		if diff := cmp.Diff(want, byNext); diff != "" {
			r.Fatalf("%s by next:\n%s", target, diff)
		}
		if most := len(want)/limit + 1; pages > most {
			r.Fatalf("%s: %d pages for %d features", target, pages, len(want))
		}
		var byOffset []int64
		for offset := 0; ; offset += limit {
			p := w.page(t, water, fmt.Sprintf("%s&offset=%d", target, offset))
			if p.matched != float64(len(want)) {
				r.Fatalf("%s: numberMatched %v, want %d", target, p.matched, len(want))
			}
			byOffset = append(byOffset, p.ids...)
			if len(p.ids) == 0 {
				break
			}
		}
		if diff := cmp.Diff(want, byOffset); diff != "" {
			r.Fatalf("%s by offset:\n%s", target, diff)
		}
	})
}

// TestPagesAreOfOneRelease publishes between two pages.
func TestPagesAreOfOneRelease(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const target = "/collections/wells/items?limit=50"
	first := w.page(t, water, target)
	if first.release != 1 || len(first.ids) != 50 || first.next == "" {
		t.Fatalf("first page: %+v", first)
	}
	w.deliver(t, ingest.Request{Files: []string{wells(t, 20, 0)}, Dataset: "wells", Sender: water})

	rest, _ := w.walk(t, water, first.next)
	if got := len(first.ids) + len(rest); got != wellCount {
		t.Errorf("the walk that began before the release has %d features, want %d", got, wellCount)
	}
	if second := w.page(t, water, first.next); second.release != 1 {
		t.Errorf("the second page is of release %d, the first was of 1", second.release)
	}
	if now := w.page(t, water, target); now.release != 2 || len(now.ids) != 20 || now.matched != 20.0 {
		t.Errorf("a walk that begins after the release: %+v", now)
	}
	if old := w.page(t, water, target+"&release=1"); old.release != 1 || old.matched != float64(wellCount) {
		t.Errorf("release 1 after release 2: %+v", old)
	}
	// A mark of one release does not serve for another.
	mark := first.next[strings.Index(first.next, "next="):]
	if a := w.get(t, water, "/collections/wells/items?release=2&"+mark); a.status != http.StatusBadRequest {
		t.Errorf("a mark of release 1 with release=2: status %d: %s", a.status, a.body)
	}

	restored, err := w.ingester.Rollback(t.Context(), "wells", 1, ingest.Decider{Note: "误发", Admin: true})
	check(t, err)
	check(t, w.catalog.Reload(t.Context()))
	if back := w.page(t, water, target); restored.Release != 3 || back.release != 3 || back.matched != float64(wellCount) {
		t.Errorf("after the rollback (%d): %+v", restored.Release, back)
	}
	for release, want := range map[int]float64{1: wellCount, 2: 20, 3: wellCount} {
		if p := w.page(t, water, fmt.Sprintf("%s&release=%d", target, release)); p.matched != want || p.release != release {
			t.Errorf("release %d after the rollback: %+v", release, p)
		}
		tile := w.get(t, water, fmt.Sprintf("/collections/wells/tiles/%s?release=%d", address, release))
		if tile.status != http.StatusOK || tile.header.Get("Changde-Release") != fmt.Sprint(release) {
			t.Errorf("tile of release %d: status %d, Changde-Release %q", release, tile.status, tile.header.Get("Changde-Release"))
		}
	}
	list := w.get(t, water, "/datasets/wells/releases").json(t)
	if list["current"] != 3.0 || len(list["releases"].([]any)) != 3 {
		t.Errorf("releases: %v", list)
	}
	if last := list["releases"].([]any)[2].(map[string]any); last["restores"] != 1.0 || last["note"] != "误发" || last["current"] != true {
		t.Errorf("the release of the rollback: %v", last)
	}
}

// TestReadersWhilePublishing asks without pause while releases come and go. Each
// answer is of one release, whole.
func TestReadersWhilePublishing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sizes := map[int]int{1: wellCount}
	for n := 2; n <= 4; n++ {
		sizes[n] = 10 * n
	}
	stop, done := make(chan struct{}), make(chan int)
	for range 2 {
		go func() {
			asked := 0
			defer func() { done <- asked }()
			for {
				select {
				case <-stop:
					return
				default:
				}
				target := "/collections/wells/items?limit=1000"
				if rand.IntN(2) == 0 {
					target = "/collections/wells"
				}
				a := w.get(t, water, target)
				if a.status != http.StatusOK {
					t.Errorf("GET %s: status %d: %s", target, a.status, a.body)
					return
				}
				v := a.json(t)
				count, ok := v["numberReturned"].(float64)
				if !ok {
					count, _ = v["rows"].(float64)
				}
				release, _ := v["release"].(float64)
				if want := sizes[int(release)]; int(count) != want {
					t.Errorf("GET %s: release %v with %v features, want %d", target, release, count, want)
				}
				asked++
			}
		}()
	}
	for n := 2; n <= 4; n++ {
		w.deliver(t, ingest.Request{Files: []string{wells(t, sizes[n], n)}, Dataset: "wells", Sender: water})
	}
	close(stop)
	if n := <-done + <-done; n < 6 {
		t.Errorf("only %d answers", n)
	}
}
