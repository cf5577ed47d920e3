package api_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
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

func BenchmarkWarmTile(b *testing.B) {
	ask := warm(b, newWorld(b), "/collections/counties/tiles/"+address)
	for b.Loop() {
		ask()
	}
}
