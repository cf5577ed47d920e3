package api

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"

	"changde/catalog"
	"changde/tiles"
)

// kept are the answers with tiles that the public has been given under one snapshot of
// the catalog. The request line, the coding and the snapshot decide all of such an
// answer, so that asking once more takes nothing but a look. With another snapshot,
// which is what another revision or another sharing comes with, all are forgotten; a
// request with a key is never answered from here.
type kept struct {
	mu       sync.RWMutex
	snapshot *catalog.Snapshot
	answers  map[keptKey]*keptAnswer
	bytes    int
}

type keptKey struct {
	uri    string
	coding tiles.Coding
}

// keptAnswer is never changed.
type keptAnswer struct {
	header http.Header
	etag   string
	body   []byte
}

// maxKept bounds the bytes of the answers, which are mostly those of cached tiles; when
// it is reached no more are kept under this snapshot. keptOverhead is what one takes
// beside.
const (
	maxKept      = 64 << 20
	keptOverhead = 2 << 10
)

func (k *kept) find(snapshot *catalog.Snapshot, key keptKey) *keptAnswer {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.snapshot != snapshot {
		return nil
	}
	return k.answers[key]
}

func (k *kept) add(snapshot *catalog.Snapshot, key keptKey, a *keptAnswer) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.snapshot != snapshot {
		k.snapshot, k.answers, k.bytes = snapshot, make(map[keptKey]*keptAnswer), 0
	}
	weight := len(a.body) + len(key.uri) + keptOverhead
	if _, ok := k.answers[key]; ok || k.bytes+weight > maxKept {
		return
	}
	k.answers[key] = a
	k.bytes += weight
}

// public reports whether nothing in the header of a request makes its answer another
// than that to anybody.
func public(r *http.Request) bool {
	return r.Method == http.MethodGet && len(r.Header["Authorization"]) == 0 && len(r.Header["X-Api-Key"]) == 0 && len(r.Header["Origin"]) == 0 &&
		len(r.Header[revisionHeader]) == 0
}

// keep keeps the answer that was just given to the public, whole.
func (s *Server) keep(w http.ResponseWriter, r *request, coding tiles.Coding, body []byte) {
	if !r.settled || !r.principal.Anonymous() || !public(r.Request) || r.ahead() {
		return
	}
	header := make(http.Header, len(w.Header()))
	for name, values := range w.Header() {
		if name != requestIDHeader {
			header[name] = slices.Clip(values)
		}
	}
	s.kept.add(r.snapshot, keptKey{r.RequestURI, coding}, &keptAnswer{header, header.Get("ETag"), body})
}

// answerKept answers what is kept. It reports false where nothing is, or where the
// request must go the long way.
func (s *Server) answerKept(w http.ResponseWriter, r *http.Request) bool {
	if !strings.Contains(r.URL.Path, "/tiles/") || !public(r) || s.config.Log.Enabled(r.Context(), slog.LevelDebug) {
		return false
	}
	coding, err := codingFor(r.Header["Accept-Encoding"])
	if err != nil {
		return false
	}
	a := s.kept.find(s.Catalog.Snapshot(), keptKey{r.RequestURI, coding})
	if a == nil || s.Catalog.Stale() {
		return false
	}
	same := matches(r.Header.Get("If-None-Match"), a.etag)
	h := w.Header()
	for name, values := range a.header {
		if same && (name == "Content-Type" || name == "Content-Encoding" || name == "Content-Length") {
			continue
		}
		h[name] = values
	}
	h[requestIDHeader] = []string{newRequestID()}
	if same {
		w.WriteHeader(http.StatusNotModified)
		return true
	}
	w.WriteHeader(http.StatusOK)
	// A client that left cannot be told.
	_, _ = w.Write(a.body)
	return true
}
