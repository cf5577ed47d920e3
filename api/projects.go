package api

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"

	"changde/catalog"
	"changde/problem"
	"changde/projects"
)

// How many projects a list has when no limit is asked for, and at most: the
// bounds of projects.Query.
const (
	defaultProjects = 50
	maxProjects     = 1000
)

// The datasets that projects and their assets are.
const (
	projectsCollection = "projects"
	assetsCollection   = "assets"
)

// linkedSummary is a project in a list, with where to read more.
type linkedSummary struct {
	projects.Summary
	Href string `json:"href"`
}

func projectURL(base, code string) string { return base + "/projects/" + url.PathEscape(code) }

// stampProjects names the state of the projects an answer shows.
func stampProjects(w http.ResponseWriter, r *request) {
	if d, ok := r.view.Dataset(projectsCollection); ok {
		stamp(w, d, d.Current)
	}
}

func (s *Server) listProjects(w http.ResponseWriter, r *request) error {
	values := url.Values{}
	for name, v := range r.query {
		if name == "next" {
			name = "after"
		}
		values[name] = v
	}
	q, err := projects.ParseQuery(values)
	var p *problem.Error
	if errors.As(err, &p) && p.Where == "after" {
		return errPageMark
	}
	if err != nil {
		return err
	}
	page, err := s.Projects.List(r.Context(), r.view, q)
	if err != nil {
		return err
	}
	base := s.origin(r.Request)
	list := make([]linkedSummary, 0, len(page.Projects))
	for _, p := range page.Projects {
		list = append(list, linkedSummary{p, projectURL(base, p.Code)})
	}
	links := []link{{Href: listURL(base, q), Rel: "self", Type: mediaJSON}}
	if page.Next != "" {
		q.After = page.Next
		next := listURL(base, q)
		links = append(links, link{Href: next, Rel: "next", Type: mediaJSON})
		linkNext(w, next, mediaJSON)
	}
	stampProjects(w, r)
	return writeJSON(w, r, mediaJSON, map[string]any{"projects": list, "numberMatched": page.Matched, "numberReturned": len(list), "links": links})
}

// listURL is where a list of projects is read. The place after which a page
// begins is called next, as it is for features.
func listURL(base string, q projects.Query) string {
	v := q.Values()
	if after := v.Get("after"); after != "" {
		v.Del("after")
		v.Set("next", after)
	}
	if len(v) == 0 {
		return base + "/projects"
	}
	return base + "/projects?" + v.Encode()
}

type linkedAsset struct {
	projects.Asset
	Href string `json:"href"`
}

type linkedProject struct {
	projects.Project
	Assets []linkedAsset `json:"assets"`
	Href   string        `json:"href"`
	Links  []link        `json:"links"`
}

func (s *Server) linkProject(r *request, p *projects.Project) linkedProject {
	base := s.origin(r.Request)
	out := linkedProject{Project: *p, Assets: make([]linkedAsset, 0, len(p.Assets)), Href: projectURL(base, p.Code)}
	for _, a := range p.Assets {
		href := ""
		if a.Present {
			href = itemURL(base, a.Collection, a.ID)
		}
		out.Assets = append(out.Assets, linkedAsset{a, href})
	}
	out.Links = []link{
		{Href: out.Href, Rel: "self", Type: mediaJSON, Title: p.Name},
		{Href: itemURL(base, projectsCollection, p.FID), Rel: "alternate", Type: mediaGeoJSON},
		{Href: base + "/projects", Rel: "collection", Type: mediaJSON},
	}
	return out
}

func (s *Server) project(w http.ResponseWriter, r *request) error {
	p, err := s.Projects.Project(r.Context(), r.view, r.param("project"))
	if err != nil {
		return err
	}
	stampProjects(w, r)
	return writeJSON(w, r, mediaJSON, s.linkProject(r, p))
}

// declareProject answers 201 with the project as it is stored.
func (s *Server) declareProject(w http.ResponseWriter, r *request) error {
	switch {
	case r.principal.Anonymous():
		return problem.New(problem.Unauthenticated, "key-required", "", "登记项目需要单位密钥（Authorization: Bearer、X-API-Key）", "declaring a project needs an organisation's key (Authorization: Bearer, X-API-Key)")
	case !r.principal.MayDeclareProjects():
		return problem.New(problem.Forbidden, "not-permitted", "", "贵单位无权登记项目", "your organisation may not declare projects")
	}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != mediaJSON {
		return errMedia
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return err
		}
		return problem.Wrap(err, problem.Invalid, "body-unreadable", "", "请求体没有收全", "the body did not arrive whole")
	}
	d, err := projects.ParseDeclaration(body)
	if err != nil {
		return err
	}
	p, err := s.Projects.Declare(r.Context(), r.principal, r.view, d)
	if err != nil {
		return err
	}
	// The declarer's next request must find what it declared on this server.
	if err := s.Catalog.Reload(r.Context()); err != nil {
		s.config.Log.WarnContext(r.Context(), "catalog not reloaded", "err", err)
	}
	out := s.linkProject(r, p)
	w.Header().Set("Location", out.Href)
	return send(w, r, mediaJSON, "", "private, no-store", http.StatusCreated, appendJSON(nil, out))
}

type linkedFeatureProject struct {
	projects.Link
	Href string `json:"href"`
}

func (s *Server) itemProjects(w http.ResponseWriter, r *request) error {
	d, err := r.dataset()
	if err != nil {
		return err
	}
	fid, err := r.fid()
	if err != nil {
		return err
	}
	rel, err := s.release(r, d)
	if err != nil {
		return err
	}
	ref, list, err := s.Projects.OfFeature(r.Context(), r.view, catalog.FeatureRef{Collection: d.ID, FID: fid, Release: rel})
	if err != nil {
		return err
	}
	return s.writeFeatureProjects(w, r, d, ref, list, nil)
}

func noAsset(name string) error {
	return problem.New(problem.NotFound, "asset-not-found", name, "没有这项资产，或不对您开放", "there is no such asset, or it is not shared with you")
}

// asset answers a project asset, named by its code or its fid, with its projects.
func (s *Server) asset(w http.ResponseWriter, r *request) error {
	d, err := find(r.view, assetsCollection)
	if err != nil {
		return noAsset(r.param("asset"))
	}
	ref := catalog.FeatureRef{Collection: d.ID, Key: r.param("asset")}
	if fid, err := strconv.ParseInt(ref.Key, 10, 64); err == nil {
		ref = catalog.FeatureRef{Collection: d.ID, FID: fid}
	}
	ref, list, err := s.Projects.OfFeature(r.Context(), r.view, ref)
	if problem.Is(err, problem.NotFound) {
		return noAsset(r.param("asset"))
	}
	if err != nil {
		return err
	}
	feature, err := s.Features.Feature(r.Context(), d, d.Current, ref.FID, nil)
	if err != nil {
		return err
	}
	return s.writeFeatureProjects(w, r, d, ref, list, map[string]any{"asset": json.RawMessage(feature)})
}

// writeFeatureProjects answers the projects of a feature, beside what more holds.
func (s *Server) writeFeatureProjects(w http.ResponseWriter, r *request, d *catalog.Dataset, ref catalog.FeatureRef, list []projects.Link, more map[string]any) error {
	base := s.origin(r.Request)
	out := make([]linkedFeatureProject, 0, len(list))
	for _, l := range list {
		out = append(out, linkedFeatureProject{l, projectURL(base, l.Code)})
	}
	body := map[string]any{"projects": out, "links": []link{{Href: itemURL(base, d.ID, ref.FID), Rel: "related", Type: mediaGeoJSON}}}
	for name, v := range more {
		body[name] = v
	}
	stamp(w, d, d.Current)
	return writeJSON(w, r, mediaJSON, body, d)
}

func (s *Server) statistics(w http.ResponseWriter, r *request) error {
	q, err := projects.ParseQuery(url.Values{"from": r.query["from"], "to": r.query["to"], "step": {string(projects.Accepted)}})
	if err != nil {
		return err
	}
	st, err := s.Projects.Statistics(r.Context(), r.view, q.From, q.To)
	if err != nil {
		return err
	}
	base := s.origin(r.Request)
	type figure struct {
		projects.Figure
		Href     string `json:"href"`
		BaseHref string `json:"baseHref,omitempty"`
	}
	figures := make([]figure, 0, len(st.Figures))
	for _, f := range st.Figures {
		out := figure{Figure: f, Href: listURL(base, f.Query)}
		if out.Amounts == nil { // an object in every figure, so that callers need not ask
			out.Amounts = &projects.Amounts{}
		}
		if f.BaseQuery != nil {
			out.BaseHref = listURL(base, *f.BaseQuery)
		}
		figures = append(figures, out)
	}
	stampProjects(w, r)
	return writeJSON(w, r, mediaJSON, map[string]any{
		"from": st.From, "to": st.To, "figures": figures, "sentence": st.Sentence, "sentenceEn": st.SentenceEN,
		"links": []link{{Href: pageURL(base+"/statistics", r.query, nil), Rel: "self", Type: mediaJSON}},
	})
}
