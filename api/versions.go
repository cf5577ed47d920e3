package api

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"changde/catalog"
	"changde/features"
	"changde/ingest"
)

const (
	defaultChanges = 1000
	maxChanges     = 10_000
)

// changes answers the feed of changes of a dataset since a revision: what a
// subscriber reads to follow it row by row.
func (s *Server) changes(w http.ResponseWriter, r *request) error {
	d, err := r.dataset()
	if err != nil {
		return err
	}
	since, err := feedMark(r, d)
	if err != nil {
		return err
	}
	n, err := limit(r.query, defaultChanges, maxChanges)
	if err != nil {
		return err
	}
	body, next, more, err := s.Features.Changes(r.Context(), d, since, n, append(make([]byte, 0, 64<<10), `{"changes":[`...))
	if err != nil {
		return err
	}
	at := s.origin(r.Request) + "/collections/" + d.ID + "/changes"
	mark := strconv.FormatInt(d.Current.Revision, 10)
	if more {
		mark = fmt.Sprintf("%d.%d", next.Revision, next.FID)
	}
	href := at + "?since=" + mark
	if r.query.Has("limit") {
		href += "&limit=" + itoa(n)
	}
	body = append(body, `],"more":`...)
	body = strconv.AppendBool(body, more)
	body = append(body, `,"since":`...)
	body = appendJSON(body, mark)
	body = append(body, `,"revision":`...)
	body = strconv.AppendInt(body, d.Current.Revision, 10)
	body = append(body, `,"links":`...)
	body = appendJSON(body, []link{{Href: href, Rel: "next", Type: mediaJSON}, {Href: s.origin(r.Request) + "/collections/" + d.ID, Rel: "collection", Type: mediaJSON}})
	body = append(body, '}')
	linkNext(w, href, mediaJSON)
	stamp(w, d, d.Current)
	return write(w, r, mediaJSON, body, d)
}

// feedMark reads since: a revision, or the mark of the page before.
func feedMark(r *request, d *catalog.Dataset) (features.Mark, error) {
	given := r.query.Get("since")
	if given == "" {
		return features.Mark{}, invalid("since", fmt.Sprintf("请给出修订号；当前为 %d", d.Current.Revision), fmt.Sprintf("give a revision; the current one is %d", d.Current.Revision))
	}
	bad := invalid("since", "应为修订号，或上一页 next 链接中的标记", "must be a revision, or the mark in the next link of the page before")
	number, fid, paged := strings.Cut(given, ".")
	revision, err := strconv.ParseInt(number, 10, 64)
	if err != nil || revision < 0 {
		return features.Mark{}, bad
	}
	if revision > d.Current.Revision {
		return features.Mark{}, invalid("since", fmt.Sprintf("修订号晚于当前的 %d", d.Current.Revision), fmt.Sprintf("the revision is later than the current %d", d.Current.Revision))
	}
	if !paged {
		return features.After(revision), nil
	}
	after, err := strconv.ParseInt(fid, 10, 64)
	if err != nil || after < 0 {
		return features.Mark{}, bad
	}
	return features.Mark{Revision: revision, FID: after}, nil
}

// history answers the versions of one feature: what it was, from when to when, by
// whose decision.
func (s *Server) history(w http.ResponseWriter, r *request) error {
	d, err := r.dataset()
	if err != nil {
		return err
	}
	fid, err := r.fid()
	if err != nil {
		return err
	}
	versions, err := s.Features.History(r.Context(), d, fid)
	if err != nil {
		return err
	}
	// Which key acted is the owner's business.
	by := reading(r.principal)
	owner := by.Admin || d.Owner != nil && by.Organisation == d.Owner.ID
	body := append(make([]byte, 0, 8<<10), `{"collection":`...)
	body = appendJSON(body, d.ID)
	body = append(body, `,"versions":[`...)
	for n, v := range versions {
		if n > 0 {
			body = append(body, ',')
		}
		head := map[string]any{"release": v.Release, "revision": v.Revision, "kind": v.Kind, "fid": v.FID, "from": v.From.UTC(), "document": v.Document, "note": v.Note, "organisation": v.Organisation}
		if owner {
			head["actor"] = v.Actor
		}
		if v.Until != nil {
			head["until"] = *v.Until
		}
		if v.To != nil {
			head["to"] = v.To.UTC()
		}
		member := appendJSON(nil, head)
		body = append(body, member[:len(member)-1]...)
		body = append(body, `,"feature":`...)
		body = append(body, v.Feature...)
		body = append(body, '}')
	}
	base := s.origin(r.Request)
	body = append(body, `],"links":`...)
	body = appendJSON(body, []link{{Href: itemURL(base, d.ID, fid) + "/history", Rel: "self", Type: mediaJSON}, {Href: itemURL(base, d.ID, fid), Rel: "item", Type: mediaGeoJSON}})
	body = append(body, '}')
	stamp(w, d, d.Current)
	return write(w, r, mediaJSON, body, d)
}

// differences compares two releases that the caller may see.
func (s *Server) differences(w http.ResponseWriter, r *request) error {
	d, err := r.dataset()
	if err != nil {
		return err
	}
	to, err := integer(r.query, "to", int64(d.Current.Number), 1, 1<<31-1)
	if err != nil {
		return err
	}
	later, err := keptRelease(d, int(to))
	if err != nil {
		return err
	}
	from, err := integer(r.query, "from", max(to-1, 1), 1, 1<<31-1)
	if err != nil {
		return err
	}
	earlier, err := keptRelease(d, int(from))
	if err != nil {
		return err
	}
	if !later.Versioned() {
		return invalid("collection", "该数据集没有可比较的版本", "this dataset has no releases to compare")
	}
	if !s.comparisons.TryAcquire(1) {
		return errCrowded
	}
	defer s.comparisons.Release(1)
	difference, list, err := s.Ingest.Between(r.Context(), d, earlier, later)
	if err != nil {
		return err
	}
	if list == nil {
		list = []ingest.ChangedFeature{}
	}
	at := s.origin(r.Request) + "/datasets/" + d.ID
	return writeJSON(w, r, mediaJSON, map[string]any{
		"dataset": d.ID, "difference": difference, "features": list,
		"links": []link{
			{Href: fmt.Sprintf("%s/differences?from=%d&to=%d", at, earlier.Number, later.Number), Rel: "self", Type: mediaJSON},
			{Href: at + "/releases", Rel: "up", Type: mediaJSON},
		},
	}, d)
}

// asOf is the state of a dataset that a request asks for by time: the parameter
// as-of, or an instant of datetime where the dataset has no time column of its
// own (the validity of its rows is then their time).
func (s *Server) asOf(r *request, d *catalog.Dataset) (*catalog.Release, bool, error) {
	given, parameter := r.query.Get("as-of"), "as-of"
	if !r.query.Has("as-of") {
		given, parameter = r.query.Get("datetime"), "datetime"
		if given == "" || strings.Contains(given, "/") || d.TimeColumn != "" || !d.Current.Versioned() {
			return nil, false, nil
		}
	}
	if r.query.Has("release") {
		return nil, false, invalid(parameter, "release 与 "+parameter+" 不能同时使用", "release and "+parameter+" exclude each other")
	}
	t, err := time.Parse(time.RFC3339Nano, given)
	if err != nil {
		day, dayErr := time.Parse(time.DateOnly, given)
		if dayErr != nil {
			return nil, false, invalid(parameter, "应为 RFC 3339 时刻，例如 2012-09-05T00:00:00+08:00", "must be an RFC 3339 instant, such as 2012-09-05T00:00:00+08:00")
		}
		t = day.Add(24*time.Hour - time.Microsecond)
	}
	if !d.Current.Versioned() {
		return nil, false, invalid(parameter, "该数据集不保留历史", "this dataset keeps no history")
	}
	rel, ok, err := catalog.AsOf(r.Context(), s.Pool, d, t)
	if err == nil && !ok {
		err = noReleaseThen(d, given)
	}
	return rel, true, err
}
