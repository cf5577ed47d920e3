package api

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"changde/catalog"
)

// The headers that say which state of a dataset an answer shows.
const (
	releaseHeader     = "Changde-Release"
	revisionHeader    = "Changde-Revision"
	omittedHeader     = "Changde-Omitted"
	generalizedHeader = "Changde-Generalized"
)

const (
	mediaJSON    = "application/json"
	mediaGeoJSON = "application/geo+json"
	mediaMVT     = "application/vnd.mapbox-vector-tile"
	mediaOpenAPI = "application/vnd.oai.openapi+json;version=3.0"
)

type link struct {
	Href  string `json:"href"`
	Rel   string `json:"rel"`
	Type  string `json:"type,omitempty"`
	Title string `json:"title,omitempty"`
	// Length is how many bytes it leads to, where that matters.
	Length int64 `json:"length,omitempty"`
}

// templatedLink is a link whose href has {variables} (OGC API - Tiles).
type templatedLink struct {
	link
	Templated bool `json:"templated"`
}

// stamp names the release an answer shows.
func stamp(w http.ResponseWriter, d *catalog.Dataset, rel *catalog.Release) {
	values := [...]string{strconv.Itoa(rel.Number), strconv.FormatInt(d.Revision, 10)}
	h := w.Header()
	h[releaseHeader], h[revisionHeader] = values[:1:1], values[1:]
}

// linkNext names the next page in the header too (RFC 8288).
func linkNext(w http.ResponseWriter, href, media string) {
	w.Header().Add("Link", "<"+href+`>; rel="next"; type="`+media+`"`)
}

// visibility is the cache directive's first word: what was shown to a key, or is
// not public, must not reach a shared cache.
func visibility(r *request, datasets ...*catalog.Dataset) string {
	if !r.principal.Anonymous() {
		return "private"
	}
	for _, d := range datasets {
		if d.Sharing != catalog.Public {
			return "private"
		}
	}
	return "public"
}

// write answers bytes that a cache may keep and must ask about again.
func write(w http.ResponseWriter, r *request, media string, body []byte, datasets ...*catalog.Dataset) error {
	return send(w, r, media, etagOf(body), visibility(r, datasets...)+", no-cache", http.StatusOK, body)
}

// writeLasting answers bytes that are for everybody and never other ones at this
// address.
func writeLasting(w http.ResponseWriter, r *request, media string, body []byte) error {
	return send(w, r, media, etagOf(body), "public, max-age=31536000, immutable", http.StatusOK, body)
}

func etagOf(body []byte) string {
	sum := sha256.Sum256(body)
	return `W/"` + hex.EncodeToString(sum[:12]) + `"`
}

// writeJSON answers v as write does.
func writeJSON(w http.ResponseWriter, r *request, media string, v any, datasets ...*catalog.Dataset) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	return write(w, r, media, body, datasets...)
}

// send answers 304 when the caller has the entity, otherwise the entity.
func send(w http.ResponseWriter, r *request, media, etag, cache string, status int, body []byte) error {
	h := w.Header()
	values := [...]string{media, cache, etag, ""} // one piece of memory for all
	h["Cache-Control"] = values[1:2:2]
	if etag != "" {
		h["Etag"] = values[2:3:3]
		if matches(r.Header.Get("If-None-Match"), etag) {
			delete(h, "Content-Encoding")
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
	}
	h["Content-Type"] = values[:1:1]
	if status != http.StatusNoContent {
		values[3] = strconv.Itoa(len(body))
		h["Content-Length"] = values[3:]
	}
	w.WriteHeader(status)
	if r.Method == http.MethodHead || status == http.StatusNoContent {
		return nil
	}
	// A client that left cannot be told.
	_, _ = w.Write(body)
	return nil
}

// matches compares as RFC 9110 13.1.2 asks for If-None-Match: weakly.
func matches(header, etag string) bool {
	if header == "" {
		return false
	}
	weak := func(s string) string { return strings.TrimPrefix(strings.TrimSpace(s), "W/") }
	for _, candidate := range strings.Split(header, ",") {
		if c := weak(candidate); c == "*" || c == weak(etag) {
			return true
		}
	}
	return false
}

// appendJSON appends v, which is of a type that always encodes.
func appendJSON(dst []byte, v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("api: %T does not encode: %v", v, err))
	}
	return append(dst, b...)
}
