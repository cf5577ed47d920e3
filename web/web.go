// Package web is the portal: one page for the browser, built from the TypeScript
// beside it and embedded with its build, so that neither compiling nor running
// the program needs npm or the network.
package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

// dist is what `npm run build` made. The pattern takes .sources too, which names
// what it was made from.
//
//go:embed all:dist
var dist embed.FS

// Prefix is where the page expects Handler.
const Prefix = "/portal/"

// policy lets the page load its own files and speak to its own server, nothing
// else. Styles set from scripts go through the CSSOM, which the policy does not
// concern; data: images are the icons of the stylesheets.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; worker-src 'self'; " +
	"img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Handler serves the files of the portal at their paths below "/": mount it with
// http.StripPrefix(Prefix[:len(Prefix)-1], Handler()). A request that still
// carries the prefix is understood too. "/" is the page.
//
// Files with a digest in their name may be kept for ever, the page must be asked
// for again. Answers carry a strong ETag, a Content-Security-Policy and the usual
// protective headers, and are gzip for clients that take it. Unknown paths answer
// 404, methods other than GET and HEAD 405. The handler is safe for concurrent
// use; a file is compressed when it is first asked for and kept, about 2 MB in all.
func Handler() http.Handler {
	assets := make(map[string]*asset)
	err := fs.WalkDir(dist, "dist", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(path.Base(name), ".") {
			return err
		}
		a, err := newAsset(name)
		if err != nil {
			return err
		}
		assets["/"+strings.TrimPrefix(name, "dist/")] = a
		return nil
	})
	if err != nil {
		// The embedded files are part of the program: they are readable or the
		// program is damaged.
		panic(fmt.Sprintf("web: embedded files: %v", err))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := "/" + strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, Prefix), "/")
		if name == "/" {
			name = "/index.html"
		}
		a, ok := assets[name]
		if !ok {
			protect(w.Header())
			http.Error(w, "没有这个文件 / no such file", http.StatusNotFound)
			return
		}
		a.ServeHTTP(w, r)
	})
}

// Index returns a handler that answers with the page: for "/", when a browser
// asks. The links of the page lead below Prefix.
func Index() http.HandlerFunc {
	a, err := newAsset("dist/index.html")
	if err != nil {
		panic(fmt.Sprintf("web: embedded page: %v", err)) // as in Handler
	}
	return a.ServeHTTP
}

// asset is one file, ready to be sent.
type asset struct {
	content      []byte
	contentType  string
	cacheControl string
	digest       string
	// compressed gives the gzip form, nil when it would not be smaller by a tenth.
	compressed func() []byte
}

func newAsset(name string) (*asset, error) {
	content, err := dist.ReadFile(name)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(content)
	a := &asset{
		content:      content,
		contentType:  contentType(name),
		cacheControl: "no-cache",
		digest:       base64.RawURLEncoding.EncodeToString(sum[:16]),
		compressed:   sync.OnceValue(func() []byte { return compress(content) }),
	}
	if strings.HasPrefix(name, "dist/assets/") {
		a.cacheControl = "public, max-age=31536000, immutable"
	}
	return a, nil
}

// contentType does not leave the types of the page's own files to the tables of
// the machine it runs on.
func contentType(name string) string {
	switch ext := path.Ext(name); ext {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	default:
		if t := mime.TypeByExtension(ext); t != "" {
			return t
		}
		return "application/octet-stream"
	}
}

func compress(content []byte) []byte {
	if len(content) < 1024 {
		return nil
	}
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil
	}
	if _, err := w.Write(content); err != nil {
		return nil
	}
	if err := w.Close(); err != nil || b.Len() > len(content)*9/10 {
		return nil
	}
	return b.Bytes()
}

// ServeHTTP sends the file. Ranges are not served: no client of the page asks.
func (a *asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	protect(h)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "只能用 GET 或 HEAD / only GET or HEAD", http.StatusMethodNotAllowed)
		return
	}
	h.Set("Content-Type", a.contentType)
	h.Set("Cache-Control", a.cacheControl)
	h.Add("Vary", "Accept-Encoding")
	body, etag := a.content, `"`+a.digest+`"`
	if acceptsGzip(r.Header.Values("Accept-Encoding")) {
		if c := a.compressed(); c != nil {
			body, etag = c, `"`+a.digest+`-gz"`
			h.Set("Content-Encoding", "gzip")
		}
	}
	h.Set("ETag", etag)
	if matches(r.Header.Values("If-None-Match"), etag) {
		h.Del("Content-Encoding")
		h.Del("Content-Type")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodGet {
		// A client that left is nobody's fault.
		_, _ = w.Write(body)
	}
}

func protect(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
}

// acceptsGzip reads Accept-Encoding (RFC 9110, 12.5.3) as far as gzip is
// concerned: named, or covered by "*", with a weight above zero.
func acceptsGzip(values []string) bool {
	accepted := false
	for _, item := range strings.Split(strings.Join(values, ","), ",") {
		coding, parameters, _ := strings.Cut(item, ";")
		coding = strings.ToLower(strings.TrimSpace(coding))
		if coding != "gzip" && coding != "*" {
			continue
		}
		weight := 1.0
		if q, ok := strings.CutPrefix(strings.ReplaceAll(strings.ToLower(parameters), " ", ""), "q="); ok {
			v, err := strconv.ParseFloat(q, 64)
			if err != nil {
				v = 0
			}
			weight = v
		}
		if coding == "gzip" {
			return weight > 0
		}
		accepted = weight > 0
	}
	return accepted
}

// matches compares entity tags weakly, as If-None-Match asks (RFC 9110, 13.1.2).
func matches(values []string, etag string) bool {
	for _, item := range strings.Split(strings.Join(values, ","), ",") {
		item = strings.TrimSpace(item)
		if item == "*" || strings.TrimPrefix(item, "W/") == etag {
			return true
		}
	}
	return false
}
