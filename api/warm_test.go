package api_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"changde/api"
	"changde/features"
	"changde/tiles"
)

// sink takes an answer and keeps nothing.
type sink struct {
	header http.Header
	status int
	bytes  int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(b []byte) (int, error) { s.bytes += len(b); return len(b), nil }

// warm asks the whole router for a tile that is in memory, again and again: as the
// public, whose answers are kept whole, or from a page of another origin, whose are not.
func warm(t testing.TB, w *world, origin string) func() {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/collections/counties/tiles/"+address+"?rev=1", nil)
	r.Header.Set("Accept-Encoding", "gzip, deflate, br, zstd")
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	ask := func() {
		a := &sink{header: http.Header{}}
		w.server.Config.Handler.ServeHTTP(a, r)
		if a.status != http.StatusOK || a.bytes == 0 || a.header.Get("Content-Encoding") != "gzip" {
			t.Fatalf("status %d, %d bytes, %v", a.status, a.bytes, a.header)
		}
	}
	ask()
	return ask
}

// otherOrigin is a page that shows tiles of ours.
const otherOrigin = "https://gh.changde.gov.cn"

// What a tile in memory costs beyond its bytes. Of what is kept whole it is the number
// of the request and the header; the long way it is the router, the request, the view
// of the dataset and the key of the tile. The race detector costs some more.
func TestWarmTileIsLean(t *testing.T) {
	w := newWorld(t)
	for origin, most := range map[string]float64{"": 12, otherOrigin: 40} {
		if n := testing.AllocsPerRun(1000, warm(t, w, origin)); n > most {
			t.Errorf("from %q a tile in memory costs %.0f allocations, may cost %.0f", origin, n, most)
		}
	}
}

// The time for a request is limited, also where the limit is set when somebody first
// waits.
func TestRequestTooSlow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	handler := api.New(api.Config{City: city, Timeout: time.Nanosecond, Log: slog.New(slog.DiscardHandler)}, api.Services{
		Catalog: w.catalog, Access: w.access, Features: features.NewStore(w.pool, features.Config{}), Tiles: tiles.NewSource(w.pool, tiles.Config{}), Pool: w.pool,
	})
	for _, target := range []string{"/collections/counties/items", "/collections/counties/tiles/" + address, "/collections/counties/tiles/" + address + "?as-of=2030-01-01"} {
		a := httptest.NewRecorder()
		handler.ServeHTTP(a, httptest.NewRequest(http.MethodGet, target, nil))
		if a.Code != http.StatusServiceUnavailable || !strings.Contains(a.Body.String(), "request-too-slow") || !strings.Contains(a.Body.String(), a.Header().Get("X-Request-Id")) {
			t.Errorf("GET %s: status %d: %s", target, a.Code, a.Body)
		}
	}
}

func BenchmarkWarmTile(b *testing.B) {
	w := newWorld(b)
	for name, origin := range map[string]string{"kept": "", "long": otherOrigin} {
		b.Run(name, func(b *testing.B) {
			ask := warm(b, w, origin)
			for b.Loop() {
				ask()
			}
		})
	}
}
