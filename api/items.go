package api

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"changde/catalog"
	"changde/features"
	"changde/problem"
)

const defaultLimit = 10

func itoa(n int) string { return strconv.Itoa(n) }

// items answers a page of features (OGC API - Features Part 1, 7.15). The body is
// appended piece by piece: its features are bytes already.
func (s *Server) items(w http.ResponseWriter, r *request) error {
	d, err := r.dataset()
	if err != nil {
		return err
	}
	return s.answerItems(w, r, d, s.origin(r.Request)+"/collections/"+d.ID+"/items")
}

// answerItems answers a page of a dataset that is read at the URL at.
func (s *Server) answerItems(w http.ResponseWriter, r *request, d *catalog.Dataset, at string) error {
	rel, q, err := s.itemsQuery(r, d)
	if err != nil {
		return err
	}
	base := s.origin(r.Request)
	body := append(make([]byte, 0, 64<<10), `{"type":"FeatureCollection","features":[`...)
	page, body, err := s.Features.Items(r.Context(), d, rel, q, body, nil)
	if err != nil {
		return err
	}
	body = append(body, `],"numberReturned":`...)
	body = strconv.AppendInt(body, int64(page.Returned), 10)
	if page.Matched >= 0 {
		body = append(body, `,"numberMatched":`...)
		body = strconv.AppendInt(body, page.Matched, 10)
	}
	body = appendRelease(body, d, rel)
	body = append(body, `,"links":`...)
	links := []link{
		{Href: pageURL(at, r.query, nil), Rel: "self", Type: mediaGeoJSON},
		{Href: base + "/collections/" + d.ID, Rel: "collection", Type: mediaJSON, Title: d.TitleZH},
	}
	if page.Next != nil {
		next := pageURL(at, r.query, &pageMark{release: rel.Number, revision: rel.Revision, after: *page.Next})
		links = append(links, link{Href: next, Rel: "next", Type: mediaGeoJSON})
		linkNext(w, next, mediaGeoJSON)
	}
	body = appendJSON(body, links)
	body = append(body, '}')
	// A page waits in memory for as long as its client reads.
	if len(body) > largeAnswer {
		if !s.large.TryAcquire(int64(cap(body))) {
			return errCrowded
		}
		defer s.large.Release(int64(cap(body)))
	}
	stamp(w, d, rel)
	return write(w, r, mediaGeoJSON, body, d)
}

// largeAnswer is the size from which an answer counts as large.
const largeAnswer = 256 << 10

var errCrowded = problem.New(problem.Busy, "crowded", "", "正在传送的大页面过多；请减小 limit，或稍后重试", "too many large pages are being read at the moment; ask for a smaller limit, or try again later")

func (s *Server) itemsQuery(r *request, d *catalog.Dataset) (*catalog.Release, features.Query, error) {
	var q features.Query
	rel, err := s.release(r, d)
	if err != nil {
		return nil, q, err
	}
	mark, err := next(r.query)
	if err != nil {
		return nil, q, err
	}
	if mark != nil {
		if r.query.Has("release") && mark.release != rel.Number {
			return nil, q, invalid("next", "翻页标记属于另一个版本", "the mark belongs to another release")
		}
		if r.query.Has("offset") {
			return nil, q, invalid("offset", "offset 与 next 不能同时使用", "offset and next exclude each other")
		}
		if rel, err = s.markedRelease(r, d, mark); err != nil {
			return nil, q, err
		}
		q.AfterFID = &mark.after
	}
	if q.Limit, err = limit(r.query, defaultLimit, s.config.MaxLimit); err != nil {
		return nil, q, err
	}
	if q.Offset, err = integer(r.query, "offset", 0, 0, 1<<62); err != nil {
		return nil, q, err
	}
	if q.Bounds, err = bbox(r.query); err != nil {
		return nil, q, err
	}
	if q.Filter, err = s.filter(r, rel); err != nil {
		return nil, q, err
	}
	if d.TimeColumn == "" && rel.Versioned() {
		// An instant has chosen the state of then; an interval narrows nothing here.
		_, _, err = datetime(r.query)
		return rel, q, err
	}
	q.From, q.To, err = datetime(r.query)
	return rel, q, err
}

// markedRelease is the state that a page mark goes on with: a release, or one with
// the edits of then.
func (s *Server) markedRelease(r *request, d *catalog.Dataset, mark *pageMark) (*catalog.Release, error) {
	if mark.release == d.Current.Number && mark.revision == d.Current.Revision {
		return d.Current, nil
	}
	if !d.Current.Versioned() {
		if mark.release == d.Current.Number {
			return d.Current, nil // the platform's own rows are read as they are
		}
		return keptRelease(d, mark.release)
	}
	rel, err := keptRelease(d, mark.release)
	if err != nil {
		return nil, err
	}
	at, ok, err := catalog.At(r.Context(), s.Pool, d, rel, mark.revision)
	if err == nil && !ok {
		err = errPageMark
	}
	return at, err
}

// pageURL repeats the query with another page mark and without the key, which
// must not travel in links.
func pageURL(at string, query url.Values, mark *pageMark) string {
	q := url.Values{}
	for name, values := range query {
		if name != "tk" && (mark == nil || name != "next" && name != "offset") {
			q[name] = values
		}
	}
	if mark != nil {
		q.Set("next", mark.String())
	}
	if len(q) == 0 {
		return at
	}
	return at + "?" + q.Encode()
}

func appendRelease(body []byte, d *catalog.Dataset, rel *catalog.Release) []byte {
	body = append(body, `,"collection":`...)
	body = appendJSON(body, d.ID)
	body = append(body, `,"release":`...)
	body = strconv.AppendInt(body, int64(rel.Number), 10)
	body = append(body, `,"revision":`...)
	body = strconv.AppendInt(body, d.Revision, 10)
	body = append(body, `,"released":"`...)
	body = rel.ReleasedAt.UTC().AppendFormat(body, time.RFC3339)
	return append(body, '"')
}

// fid reads the feature's number in the path. What is no number is no feature.
func (r *request) fid() (int64, error) {
	n, err := strconv.ParseInt(r.param("feature"), 10, 64)
	if err != nil {
		return 0, problem.New(problem.NotFound, "feature-not-found", r.param("feature"), "没有这个要素；要素标识是 fid，为整数", "there is no such feature; features are named by fid, a whole number")
	}
	return n, nil
}

func (s *Server) item(w http.ResponseWriter, r *request) error {
	d, err := r.dataset()
	if err != nil {
		return err
	}
	rel, err := s.release(r, d)
	if err != nil {
		return err
	}
	fid, err := r.fid()
	if err != nil {
		return err
	}
	body, err := s.Features.Feature(r.Context(), d, rel, fid, make([]byte, 0, 8<<10))
	if err != nil {
		return err
	}
	base := s.origin(r.Request)
	at := itemURL(base, d.ID, fid)
	self := at
	if r.query.Has("release") {
		self += "?release=" + itoa(rel.Number)
	}
	// The feature is an object; its members go on before its closing brace.
	body = appendRelease(body[:len(body)-1], d, rel)
	body = append(body, `,"links":`...)
	body = appendJSON(body, []link{
		{Href: self, Rel: "self", Type: mediaGeoJSON},
		{Href: base + "/collections/" + d.ID, Rel: "collection", Type: mediaJSON, Title: d.TitleZH},
		{Href: at + "/projects", Rel: "related", Type: mediaJSON, Title: "相关项目 / projects"},
	})
	body = append(body, '}')
	stamp(w, d, rel)
	return write(w, r, mediaGeoJSON, body, d)
}

func itemURL(base, collection string, fid int64) string {
	return base + "/collections/" + collection + "/items/" + strconv.FormatInt(fid, 10)
}
