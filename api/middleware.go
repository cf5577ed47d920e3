package api

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-chi/chi/v5/middleware"

	"changde/access"
)

// Header values that many answers have. They are never changed in place: adding to
// one of their length makes another.
var (
	nosniff = []string{"nosniff"}
	varies  = []string{"Authorization, X-API-Key"}
)

const requestIDHeader = "X-Request-Id"

func newRequestID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	var text [2 * len(b)]byte
	hex.Encode(text[:], b[:])
	return string(text[:])
}

// open gives each request an id that the answer, the problem and the log share, and a
// time limit, bounds the body, and sets the headers every answer has. Ids from outside
// are not taken over: they would let a caller write into the log.
func (s *Server) open(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.answerKept(w, r) {
			return
		}
		c := &opened{Context: r.Context(), id: newRequestID()}
		defer c.close()
		h := w.Header()
		h[requestIDHeader] = []string{c.id}
		h["X-Content-Type-Options"] = nosniff
		h["Vary"] = varies
		bounded := !streams(r) // those are long by nature, with bounds of their own
		if bounded {
			c.until = time.Now().Add(s.config.Timeout)
		}
		r = r.WithContext(c)
		if bounded && r.Body != nil && r.Body != http.NoBody {
			r.Body = http.MaxBytesReader(w, r.Body, s.config.MaxBody)
		}
		next.ServeHTTP(w, r)
	})
}

// observe logs each request without its key.
func (s *Server) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.config.Log.Enabled(r.Context(), slog.LevelDebug) {
			next.ServeHTTP(w, r)
			return
		}
		start := time.Now()
		ww := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		defer func() {
			s.config.Log.DebugContext(r.Context(), "request", "method", r.Method, "url", access.RedactURL(r.URL),
				"status", ww.Status(), "bytes", ww.BytesWritten(), "ms", time.Since(start).Milliseconds(), "request", requestID(r.Context()))
		}()
		next.ServeHTTP(ww, r)
	})
}

// guard turns a panic into an internal problem.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if v == http.ErrAbortHandler {
				panic(v)
			}
			s.config.Log.ErrorContext(r.Context(), "panic", "value", fmt.Sprint(v), "stack", string(debug.Stack()))
			s.writeProblem(w, r, fmt.Errorf("panic: %v", v))
		}()
		next.ServeHTTP(w, r)
	})
}

// streams reports whether a request is an upload of a delivery's file, or watches
// a delivery.
func streams(r *http.Request) bool {
	if !strings.HasPrefix(r.URL.Path, "/deliveries/") {
		return false
	}
	return (r.Method == http.MethodPut || r.Method == http.MethodPatch) && strings.Contains(r.URL.Path, "/files/") ||
		r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/events")
}
