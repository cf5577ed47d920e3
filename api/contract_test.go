package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// contract holds answers against the OpenAPI document that the server gives.
type contract struct {
	document *openapi3.T
	paths    []contractPath
}

type contractPath struct {
	template string
	pattern  *regexp.Regexp
}

func readContract(t testing.TB, server *httptest.Server) *contract {
	t.Helper()
	response, err := server.Client().Get(server.URL + "/api")
	check(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	check(t, err)
	document, err := openapi3.NewLoader().LoadFromData(body)
	if err != nil {
		t.Fatalf("the OpenAPI document does not load: %v\n%.2000s", err, body)
	}
	c := &contract{document: document}
	// The templates with the fewest variables are asked first.
	templates := slices.SortedFunc(maps.Keys(document.Paths.Map()), func(a, b string) int {
		if n := strings.Count(a, "{") - strings.Count(b, "{"); n != 0 {
			return n
		}
		return strings.Compare(a, b)
	})
	for _, template := range templates {
		pattern := regexp.MustCompile(`\\\{\w+\\\}`).ReplaceAllString(regexp.QuoteMeta(template), `[^/]+`)
		c.paths = append(c.paths, contractPath{template, regexp.MustCompile("^" + pattern + "$")})
	}
	return c
}

func (c *contract) find(method, path string) (template string, op *openapi3.Operation) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for _, p := range c.paths {
		if p.pattern.MatchString(path) {
			return p.template, c.document.Paths.Value(p.template).GetOperation(method)
		}
	}
	return "", nil
}

// answer is a response read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) json(t testing.TB) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(a.body, &v); err != nil {
		t.Fatalf("status %d, not a JSON object: %v\n%.500s", a.status, err, a.body)
	}
	return v
}

type header map[string]string

// get asks as the caller and holds the answer against the contract.
func (w *world) get(t testing.TB, caller, target string, headers ...header) answer {
	t.Helper()
	return w.do(t, http.MethodGet, caller, target, nil, headers...)
}

// do sends the target as it is, without tidying its escapes.
func (w *world) do(t testing.TB, method, caller, target string, body io.Reader, headers ...header) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), method, w.server.URL+"/", body)
	check(t, err)
	path, query, _ := strings.Cut(target, "?")
	request.URL.Opaque = strings.TrimPrefix(w.server.URL, "http:") + path
	request.URL.RawQuery = query
	if caller != anonymous {
		request.Header.Set("Authorization", "Bearer "+w.keys[caller])
	}
	// Without this the client asks for gzip and undoes it unseen.
	request.Header.Set("Accept-Encoding", "identity")
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		for name, value := range h {
			request.Header.Set(name, value)
		}
	}
	response, err := w.server.Client().Do(request)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	defer response.Body.Close()
	a := answer{status: response.StatusCode, header: response.Header}
	if a.body, err = io.ReadAll(response.Body); err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	w.contract.hold(t, method, target, a)
	return a
}

// hold fails the test when the answer is not one the document describes.
func (c *contract) hold(t testing.TB, method, target string, a answer) {
	t.Helper()
	if a.status >= 500 && a.status != http.StatusServiceUnavailable {
		t.Errorf("%s %s: status %d: %s", method, target, a.status, a.body)
		return
	}
	if a.header.Get("X-Request-Id") == "" {
		t.Errorf("%s %s: no X-Request-Id", method, target)
	}
	media, _, _ := mime.ParseMediaType(a.header.Get("Content-Type"))
	if a.status >= 400 {
		if media != "application/problem+json" {
			t.Errorf("%s %s: status %d with media type %q", method, target, a.status, media)
			return
		}
		if a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s: a problem that may be stored: %q", method, target, a.header.Get("Cache-Control"))
		}
	}
	path, _, _ := strings.Cut(target, "?")
	if unescaped, err := url.PathUnescape(path); err == nil && !strings.Contains(path, "%2F") && !strings.Contains(path, "%2f") {
		path = unescaped
	}
	template, op := c.find(method, path)
	var schema *openapi3.SchemaRef
	switch {
	case op == nil:
		if a.status < 400 && method != http.MethodOptions {
			t.Errorf("%s %s: status %d, and the document does not have it", method, target, a.status)
		}
		schema = c.document.Components.Schemas["problem"]
	default:
		described := op.Responses.Status(a.status)
		if described == nil {
			t.Errorf("%s %s: status %d is not described for %s: %s", method, target, a.status, template, a.body)
			return
		}
		for name := range described.Value.Content {
			if parsed, _, _ := mime.ParseMediaType(name); parsed == media {
				schema = described.Value.Content[name].Schema
			}
		}
		if schema == nil && a.status != http.StatusNoContent && a.status != http.StatusNotModified {
			t.Errorf("%s %s: media type %q is not described for %s", method, target, media, template)
			return
		}
		for name := range a.header {
			if strings.HasPrefix(name, "Changde-") && described.Value.Headers[name] == nil {
				t.Errorf("%s %s: header %s is not described", method, target, name)
			}
		}
	}
	if method == http.MethodHead {
		if len(a.body) > 0 {
			t.Errorf("HEAD %s: a body of %d bytes", target, len(a.body))
		}
		return
	}
	if len(a.body) == 0 || !strings.HasSuffix(media, "json") || a.header.Get("Content-Encoding") != "" {
		return
	}
	d := json.NewDecoder(bytes.NewReader(a.body))
	var v any
	if err := d.Decode(&v); err != nil {
		t.Errorf("%s %s: %v", method, target, err)
		return
	}
	if err := schema.Value.VisitJSON(v, openapi3.VisitAsResponse(), openapi3.EnableFormatValidation(), openapi3.MultiErrors()); err != nil {
		t.Errorf("%s %s: not as the schema says: %.2000v", method, target, err)
	}
}

// problemOf gives the code of a problem's type.
func problemOf(t testing.TB, a answer) string {
	t.Helper()
	kind, _ := a.json(t)["type"].(string)
	return strings.TrimPrefix(kind, "/problems/")
}
