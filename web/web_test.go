package web

import (
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// digest is the digest of sources.mjs: each file adds its path, a NUL, its length
// in decimal, a NUL, and its bytes; files in the order of their paths.
func digest(t *testing.T, roots ...string) string {
	t.Helper()
	var paths []string
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && path != "dist/.sources" {
				paths = append(paths, filepath.ToSlash(path))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(paths)
	h := sha256.New()
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(h, "%s\x00%d\x00", path, len(content))
		h.Write(content)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

func TestBuildIsOfThisSource(t *testing.T) {
	t.Parallel()
	recorded, err := dist.ReadFile("dist/.sources")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(recorded))
	if len(lines) != 4 || lines[0] != "sources" || lines[2] != "dist" {
		t.Fatalf("dist/.sources is not two lines of name and digest: %q", recorded)
	}
	if got := digest(t, "index.html", "package.json", "package-lock.json", "sources.mjs", "src", "tsconfig.json", "vite.config.ts"); got != lines[1] {
		t.Error("the portal's source changed without a build: run `npm ci && npm run build` in web/ and commit web/dist")
	}
	if got := digest(t, "dist"); got != lines[3] {
		t.Error("web/dist is not what the build made: run `npm ci && npm run build` in web/ and commit all of web/dist")
	}
}

func TestLockFileNamesNoRegistry(t *testing.T) {
	t.Parallel()
	lock, err := os.ReadFile("package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(lock), `"resolved"`) {
		t.Error("package-lock.json records where packages were fetched; .npmrc should prevent that")
	}
	if !strings.Contains(string(lock), `"integrity"`) {
		t.Error("package-lock.json has no integrity digests")
	}
}

func get(t *testing.T, h http.Handler, path string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var (
	reference = regexp.MustCompile(`(?:src|href)="([^"]+)"`)
	inline    = regexp.MustCompile(`(?i)<style|<script(?:[^>]*)>[^<]|\son\w+=|style="`)
)

// The page's own references all lead to files of the build, and nothing in it
// would need a weaker policy.
func TestPage(t *testing.T) {
	t.Parallel()
	h := Handler()
	page := body(t, get(t, h, "/"))
	refs := reference.FindAllStringSubmatch(page, -1)
	if len(refs) < 3 {
		t.Fatalf("the page refers to %d files, want its icon, script and style:\n%s", len(refs), page)
	}
	for _, m := range refs {
		ref := m[1]
		if !strings.HasPrefix(ref, Prefix) {
			t.Errorf("the page refers to %q, which is not below %s", ref, Prefix)
			continue
		}
		for _, path := range []string{ref, strings.TrimPrefix(ref, Prefix[:len(Prefix)-1])} {
			r := get(t, h, path)
			if r.StatusCode != http.StatusOK {
				t.Errorf("GET %s: %d", path, r.StatusCode)
			}
			if got, want := r.Header.Get("Cache-Control"), "public, max-age=31536000, immutable"; got != want {
				t.Errorf("GET %s: Cache-Control %q, want %q", path, got, want)
			}
		}
	}
	if found := inline.FindString(page); found != "" {
		t.Errorf("the page has inline script or style, which its policy forbids: %q", found)
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]http.Handler{"handler": Handler(), "index": Index()} {
		r := get(t, h, "/")
		if r.StatusCode != http.StatusOK {
			t.Fatalf("%s: status %d", name, r.StatusCode)
		}
		for header, want := range map[string]string{
			"Content-Type":           "text/html; charset=utf-8",
			"Cache-Control":          "no-cache",
			"X-Content-Type-Options": "nosniff",
			"X-Frame-Options":        "DENY",
			"Referrer-Policy":        "same-origin",
		} {
			if got := r.Header.Get(header); got != want {
				t.Errorf("%s: %s %q, want %q", name, header, got, want)
			}
		}
		csp := r.Header.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
			if !strings.Contains(csp, part) {
				t.Errorf("%s: policy %q lacks %q", name, csp, part)
			}
		}
		if strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") || strings.Contains(csp, "blob:") {
			t.Errorf("%s: policy %q is too wide", name, csp)
		}
	}
}

// Every script, decompressed, is byte for byte the file; the second request with
// its ETag costs no body.
func TestCompressionAndETag(t *testing.T) {
	t.Parallel()
	h := Handler()
	files, err := fs.Glob(dist, "dist/assets/*.js")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts in the build: %v", err)
	}
	for _, file := range files {
		want, err := dist.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		path := strings.TrimPrefix(file, "dist")
		plain := get(t, h, path)
		if got := body(t, plain); got != string(want) {
			t.Errorf("%s: plain body differs from the file", path)
		}
		packed := get(t, h, path, "Accept-Encoding", "br;q=1, gzip;q=0.8")
		if got := packed.Header.Get("Content-Encoding"); got != "gzip" {
			t.Fatalf("%s: Content-Encoding %q, want gzip", path, got)
		}
		z, err := gzip.NewReader(packed.Body)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(z); err != nil || string(got) != string(want) {
			t.Errorf("%s: gzip body differs from the file (%v)", path, err)
		}
		if plain.Header.Get("ETag") == packed.Header.Get("ETag") {
			t.Errorf("%s: two encodings share one strong ETag", path)
		}
		again := get(t, h, path, "Accept-Encoding", "gzip", "If-None-Match", `"other", W/`+packed.Header.Get("ETag"))
		if again.StatusCode != http.StatusNotModified || body(t, again) != "" {
			t.Errorf("%s: status %d for a known ETag, want 304 without a body", path, again.StatusCode)
		}
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	h := Handler()
	for _, path := range []string{"/assets/", "/assets", "/nothing.js", "/.sources", "/dist/index.html", "/..%2fweb.go", "/index.html/"} {
		r := get(t, h, path)
		if r.StatusCode != http.StatusNotFound {
			t.Errorf("GET %s: %d, want 404", path, r.StatusCode)
		}
		if r.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("GET %s: no protective headers", path)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", nil))
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
	w = httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodHead, "/", nil))
	if w.Code != http.StatusOK || w.Body.Len() != 0 || w.Header().Get("Content-Length") == "0" {
		t.Errorf("HEAD: %d, %d bytes, Content-Length %s", w.Code, w.Body.Len(), w.Header().Get("Content-Length"))
	}
}

func TestAcceptsGzip(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		header string
		want   bool
	}{
		{"", false},
		{"gzip", true},
		{"GZIP", true},
		{"br, gzip; q=0.5", true},
		{"gzip;q=0", false},
		{"*", true},
		{"*;q=0", false},
		{"*, gzip;q=0", false},
		{"identity", false},
		{"gzip;q=high", false},
	} {
		if got := acceptsGzip([]string{c.header}); got != c.want {
			t.Errorf("acceptsGzip(%q) = %v, want %v", c.header, got, c.want)
		}
	}
}

// The page asks nothing of other hosts: a city's network may have no way out.
func TestOffline(t *testing.T) {
	t.Parallel()
	// Links in texts and namespaces are not fetched.
	foreign := regexp.MustCompile(`(?:src|url|import|fetch)\s*[=(]\s*["'\x60]?(?:https?:)?//[^"'\s)]+`)
	files, err := fs.Glob(dist, "dist/assets/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, "dist/index.html") {
		content, err := dist.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if found := foreign.Find(content); found != nil {
			t.Errorf("%s refers to another host: %s", file, found)
		}
	}
}
