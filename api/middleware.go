package api

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-chi/chi/v5/middleware"

	"changde/access"
)

type requestIDKey struct{}

func requestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// identify gives each request an id that the answer, the problem and the log
// share. Ids from outside are not taken over: they would let a caller write into
// the log.
func (s *Server) identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var b [8]byte
		_, _ = rand.Read(b[:]) // never fails
		id := hex.EncodeToString(b[:])
		w.Header().Set("X-Request-Id", id)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id)))
	})
}

// observe logs each request without its key.
func (s *Server) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		ww := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		defer func() {
			s.config.Log.DebugContext(r.Context(), "request", "method", r.Method, "url", access.RedactURL(r.URL),
				"status", ww.Status(), "bytes", ww.BytesWritten(), "ms", time.Since(start).Milliseconds(), "request", requestID(r.Context()))
		}()
		next.ServeHTTP(ww, r)
	})
}

// guard bounds the body, sets the headers every answer has, and turns a panic
// into an internal problem.
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
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Add("Vary", "Authorization, X-API-Key")
		if streams(r) { // long by nature, with bounds of their own
			next.ServeHTTP(w, r)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, s.config.MaxBody)
		ctx, cancel := context.WithTimeout(r.Context(), s.config.Timeout)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
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
