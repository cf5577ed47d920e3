package api

import (
	"io"
	"net/http"
	"strconv"
	"strings"

	"changde/catalog"
	"changde/features"
	"changde/problem"
)

// editing checks that the caller may edit the dataset of the path: a contributor of
// its owner, or an operator.
func (s *Server) editing(r *request) (*catalog.Dataset, features.Edit, error) {
	d, err := r.dataset()
	if err != nil {
		return nil, features.Edit{}, err
	}
	p := r.principal
	if p.Anonymous() {
		return nil, features.Edit{}, problem.New(problem.Unauthenticated, "key-required", "", "编辑需要单位密钥（Authorization: Bearer、X-API-Key）", "editing needs an organisation's key (Authorization: Bearer, X-API-Key)")
	}
	if !p.Operates() && !(p.MayContribute() && d.Owner != nil && d.Owner.ID == p.Organisation) {
		return nil, features.Edit{}, problem.New(problem.Forbidden, "edit-forbidden", d.ID, "只有所属单位的 contributor 或 approver 密钥可以编辑", "only contributors and approvers of the owning organisation may edit")
	}
	switch {
	case p.Operates(), d.Approval == catalog.Automatic, d.Approval == "":
	case d.Approval == catalog.FourEyes:
		return nil, features.Edit{}, problem.New(problem.Forbidden, "four-eyes", d.ID, "该数据集要求双人把关，只接受交付", "this dataset wants four eyes and takes deliveries only")
	case !p.MayApprove():
		return nil, features.Edit{}, problem.New(problem.Forbidden, "edit-forbidden", d.ID, "该数据集须审批，只有 approver 密钥可以直接编辑", "this dataset wants approval: only approvers may edit it directly")
	}
	by := decider(p)
	e := features.Edit{Actor: by.Actor, Organisation: by.Organisation, Document: r.query.Get("document"), Note: r.query.Get("note"), Box: s.config.City.Box}
	if d.Box != nil {
		e.Box = *d.Box
	}
	if tag := strings.Trim(r.Header.Get("If-Match"), `"`); tag != "" {
		if e.Expect, err = strconv.ParseInt(tag, 10, 64); err != nil || e.Expect < 1 {
			return nil, e, problem.New(problem.Invalid, "if-match", "If-Match", "If-Match 应为读取时的修订号（Changde-Revision）", "If-Match must be the revision that was read (Changde-Revision)")
		}
	}
	return d, e, nil
}

func (s *Server) insertItem(w http.ResponseWriter, r *request) error { return s.edit(w, r, true) }

func (s *Server) replaceItem(w http.ResponseWriter, r *request) error { return s.edit(w, r, false) }

// edit writes the feature of the body (OGC API - Features Part 4).
func (s *Server) edit(w http.ResponseWriter, r *request, create bool) error {
	d, e, err := s.editing(r)
	if err != nil {
		return err
	}
	if !create {
		if e.FID, err = r.fid(); err != nil {
			return err
		}
	}
	if e.Feature, err = io.ReadAll(r.Body); err != nil {
		return err
	}
	fid, revision, err := s.Features.Write(r.Context(), d, e)
	if err != nil {
		return err
	}
	return s.answerEdit(w, r, d, fid, revision, create)
}

func (s *Server) deleteItem(w http.ResponseWriter, r *request) error {
	d, e, err := s.editing(r)
	if err != nil {
		return err
	}
	if e.FID, err = r.fid(); err != nil {
		return err
	}
	fid, revision, err := s.Features.Write(r.Context(), d, e)
	if err != nil {
		return err
	}
	return s.answerEdit(w, r, d, fid, revision, false)
}

// answerEdit names the revision that the edit made.
func (s *Server) answerEdit(w http.ResponseWriter, r *request, d *catalog.Dataset, fid, revision int64, created bool) error {
	// The editor's next request must find what it wrote on this server.
	if err := s.Catalog.Reload(r.Context()); err != nil {
		s.config.Log.WarnContext(r.Context(), "catalog not reloaded", "err", err)
	}
	h := w.Header()
	h.Set(releaseHeader, strconv.Itoa(d.Current.Number))
	h.Set(revisionHeader, strconv.FormatInt(revision, 10))
	status := http.StatusOK
	if created {
		status = http.StatusCreated
		h.Set("Location", itemURL(s.origin(r.Request), d.ID, fid))
	}
	return send(w, r, mediaJSON, "", "no-store", status, appendJSON(nil, map[string]any{"collection": d.ID, "fid": fid, "revision": revision}))
}
