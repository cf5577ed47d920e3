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

// warm asks the whole router for a tile that is in memory, again and again.
func warm(t testing.TB, w *world, target string) func() {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.Header.Set("Accept-Encoding", "gzip, deflate, br, zstd")
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

// What a tile in memory costs beyond its bytes. Half of it is the router's and the
// header's; the rest is the request, the view of the dataset and the key of the tile.
const warmAllocations = 32

func TestWarmTileIsLean(t *testing.T) {
	ask := warm(t, newWorld(t), "/collections/counties/tiles/"+address+"?rev=1")
	if n := testing.AllocsPerRun(1000, ask); n > warmAllocations {
		t.Errorf("a tile in memory costs %.0f allocations, may cost %d", n, warmAllocations)
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
	ask := warm(b, newWorld(b), "/collections/counties/tiles/"+address+"?rev=1")
	for b.Loop() {
		ask()
	}
}
