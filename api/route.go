package api

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-chi/chi/v5"

	"changde/access"
	"changde/catalog"
	"changde/ingest"
	"changde/postgis"
	"changde/problem"
	"changde/tiles/sprite"
)

// route is one operation. The router and the OpenAPI document are both made from
// the table of routes, so neither can say what the other does not.
type route struct {
	method     string
	pattern    string // chi pattern, whose {names} are the path parameters
	id         string // operationId
	tag        string
	zh, en     string // summary
	query      []parameter
	body       string // schema name of the request body, empty for none
	bytes      bool   // the request body is the bytes of a file
	response   string // schema name of the 200 response, empty for bytes of media
	reports    bool   // the formats are those of a report
	media      string // media type of the 200 response, default application/json
	status     int    // status of success, default 200
	compressed bool   // the handler answers compressed bytes itself
	handle     func(w http.ResponseWriter, r *request) error
}

// parameter is a query parameter. A request that has any other is refused.
type parameter struct {
	name   string
	zh, en string
	schema map[string]any
}

// always are the query parameters every operation takes.
func (route route) always() []parameter {
	return []parameter{
		{name: "f", zh: "响应格式", en: "response format", schema: map[string]any{"type": "string", "enum": route.formats()}},
		{name: "tk", zh: "单位密钥（也可用 Authorization: Bearer 或 X-API-Key）", en: "organisation key (also by Authorization: Bearer or X-API-Key)", schema: map[string]any{"type": "string"}},
	}
}

// formats are the values that f may have.
func (route route) formats() []string {
	switch {
	case route.media == mediaMVT:
		return []string{"mvt"}
	case route.media == sprite.MediaPNG:
		return []string{"png"}
	case route.media == mediaPMTiles:
		return []string{"pmtiles"}
	case route.reports:
		return ingest.ReportFormats()
	case route.pattern == "/":
		return []string{"json", "html"}
	}
	return []string{"json"}
}

// request is an HTTP request with what every handler needs of it.
type request struct {
	*http.Request
	principal access.Principal
	snapshot  *catalog.Snapshot
	view      catalog.View // of the snapshot
	query     url.Values
	// settled tells that the request, the caller and the snapshot decide the answer.
	settled bool
}

// param returns a path parameter, decoded.
func (r *request) param(name string) string {
	v := chi.URLParam(r.Request, name)
	// The router matches the path as it was sent only where that is not how Go
	// would write it; otherwise it is decoded already, and once is enough.
	if r.URL.RawPath == "" {
		return v
	}
	if d, err := url.PathUnescape(v); err == nil {
		return d
	}
	return v
}

// dataset returns the dataset of the path, or the one problem for all that the
// caller cannot see.
func (r *request) dataset() (*catalog.Dataset, error) { return find(r.view, r.param("collection")) }

func find(view catalog.View, id string) (*catalog.Dataset, error) {
	d, ok := view.Dataset(id)
	if !ok {
		return nil, problem.New(problem.NotFound, "collection-not-found", id, "没有这个数据集，或不对您开放", "there is no such collection, or it is not shared with you")
	}
	return d, nil
}

// release returns the state of d that the request asks for: the current one, that
// of the release parameter, or that of a time.
func (s *Server) release(r *request, d *catalog.Dataset) (*catalog.Release, error) {
	if rel, asked, err := s.asOf(r, d); asked || err != nil {
		return rel, err
	}
	if !r.query.Has("release") {
		return d.Current, nil
	}
	n, err := integer(r.query, "release", 0, 1, 1<<31-1)
	if err != nil {
		return nil, err
	}
	return keptRelease(d, int(n))
}

func noReleaseThen(d *catalog.Dataset, when string) error {
	return problem.New(problem.NotFound, "no-release-then", d.ID,
		"数据集在 "+when+" 时还没有对您开放的版本；见 /datasets/"+d.ID+"/releases", "the dataset had no release for you at "+when+"; see /datasets/"+d.ID+"/releases")
}

func keptRelease(d *catalog.Dataset, number int) (*catalog.Release, error) {
	rel, ok := d.Release(number)
	if !ok {
		return nil, problem.New(problem.NotFound, "release-not-kept", d.ID,
			"没有这个版本，或其内容已不再保留；见 /datasets/"+d.ID+"/releases", "there is no such release, or its content is no longer kept; see /datasets/"+d.ID+"/releases")
	}
	return rel, nil
}

// handle checks a request against its route and answers what the handler says.
func (s *Server) handle(route route) http.HandlerFunc {
	known := make(map[string]bool)
	for _, p := range append(route.always(), route.query...) {
		known[p.name] = true
	}
	formats := route.formats()
	return func(w http.ResponseWriter, hr *http.Request) {
		r, err := s.admit(hr, known)
		if err == nil && r.query.Has("f") && !slices.Contains(formats, r.query.Get("f")) {
			err = invalid("f", "这里可用的格式："+strings.Join(formats, "、"), "the formats here are: "+strings.Join(formats, ", "))
		}
		if err == nil && route.tag != tagCore && s.Catalog.Stale() {
			err = errNotReady // nobody can say any more who may see what
		}
		if err == nil {
			err = route.handle(w, r)
		}
		if err != nil {
			s.writeProblem(w, hr, err)
		}
	}
}

// admit finds out who asks and refuses parameters the route does not have.
func (s *Server) admit(hr *http.Request, known map[string]bool) (*request, error) {
	query, err := url.ParseQuery(hr.URL.RawQuery)
	if err != nil {
		return nil, problem.Wrap(err, problem.Invalid, "query-malformed", "", "查询串格式错误，请检查百分号编码", "the query string is malformed; check its percent-encoding")
	}
	for name, values := range query {
		if !known[name] {
			return nil, problem.New(problem.Invalid, "parameter-unknown", name,
				"没有这个参数；可用："+names(known), "there is no such parameter; there are: "+names(known))
		}
		for _, v := range values {
			if !utf8.ValidString(v) || strings.IndexByte(v, 0) >= 0 {
				return nil, problem.New(problem.Invalid, "parameter-text", name, "参数须为不含 NUL 的 UTF-8 文字", "a parameter is UTF-8 text without NUL")
			}
		}
		if len(values) > 1 {
			return nil, problem.New(problem.Invalid, "parameter-repeated", name, "参数只能出现一次", "the parameter may be given once")
		}
	}
	r := &request{Request: hr, query: query}
	key, err := access.KeyFromRequest(hr)
	if err != nil {
		return nil, err
	}
	if key != "" {
		if r.principal, err = s.Access.Authenticate(hr.Context(), key); err != nil {
			return nil, err
		}
	}
	s.look(r)
	if r.ahead() {
		// Another server has shown the caller what this one has not heard of yet.
		if err := s.Catalog.ReloadSince(hr.Context(), time.Now()); err != nil {
			return nil, postgis.Fault(hr.Context(), err, "read the catalog")
		}
		s.look(r)
	}
	return r, nil
}

// look takes the request's view of the catalog as it is.
func (s *Server) look(r *request) {
	r.snapshot = s.Catalog.Snapshot()
	r.view = r.snapshot.For(&r.principal)
}

// ahead reports whether the caller has been shown a later revision of what it asks for
// than the view has: the header Changde-Revision and the parameter rev tell.
func (r *request) ahead() bool {
	return r.shown(r.Header.Get(revisionHeader)) || r.shown(r.query.Get("rev"))
}

// shown reports whether revisions, of one dataset or of several joined by hyphens, are
// later than those of the view.
func (r *request) shown(seen string) bool {
	if seen == "" {
		return false
	}
	if id := r.param("collection"); id != "" {
		return r.later(id, seen)
	}
	ids, revisions := strings.Split(r.query.Get("collections"), ","), strings.Split(seen, "-")
	if len(ids) != len(revisions) || len(ids) > maxCollections {
		return false
	}
	for i, id := range ids {
		if r.later(id, revisions[i]) {
			return true
		}
	}
	return false
}

// later reports whether a revision is later than that of a dataset in the view.
func (r *request) later(id, revision string) bool {
	n, err := strconv.ParseInt(revision, 10, 64)
	return err == nil && r.view.Behind(id, n)
}

// origin is what absolute links begin with.
func (s *Server) origin(r *http.Request) string {
	if s.config.PublicURL != "" {
		return strings.TrimRight(s.config.PublicURL, "/")
	}
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}
