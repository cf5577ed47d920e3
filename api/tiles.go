package api

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"changde/catalog"
	"changde/problem"
	"changde/tiles"
)

// maxCollections bounds the collections of one tile.
const maxCollections = 20

var errNotReady = problem.New(problem.Busy, "not-ready", "", "数据库暂不可用，请稍后重试", "the database is not available at the moment; try again")

// address reads the tile's place in the path: z, row, column (OGC API - Tiles).
func (r *request) address() (tiles.Address, error) {
	var n [3]int // level, row, column
	for i, name := range [...]string{"tileMatrix", "tileRow", "tileCol"} {
		var err error
		if n[i], err = strconv.Atoi(r.param(name)); err != nil {
			return tiles.Address{}, problem.New(problem.NotFound, "tile-outside", r.param(name), "瓦片地址须为整数：级别/行/列", "a tile's address is whole numbers: level/row/column")
		}
	}
	return tiles.Locate(r.param("tileMatrixSet"), n[0], n[1], n[2])
}

// tile answers one collection's tile.
func (s *Server) tile(w http.ResponseWriter, r *request) error {
	d, err := r.dataset()
	if err != nil {
		return err
	}
	a, err := r.address()
	if err != nil {
		return err
	}
	rel, err := s.release(r, d)
	if err != nil {
		return err
	}
	part, err := s.tilePart(r, d, rel)
	if err != nil {
		return err
	}
	t, err := s.Tiles.Join(r.Context(), []tiles.Part{part}, a)
	if err != nil {
		return err
	}
	stamp(w, d, rel)
	r.settled = !r.query.Has("as-of")
	named := r.query.Get("rev") == strconv.FormatInt(d.Revision, 10)
	return s.sendTile(w, r, t, named, d)
}

// tilesOfSeveral answers several collections' features in one tile, a layer each.
func (s *Server) tilesOfSeveral(w http.ResponseWriter, r *request) error {
	datasets, err := r.collections()
	if err != nil {
		return err
	}
	a, err := r.address()
	if err != nil {
		return err
	}
	parts := make([]tiles.Part, 0, len(datasets))
	releases := make([]string, 0, len(datasets))
	for _, d := range datasets {
		part, err := s.partOfSeveral(r, d)
		if err != nil {
			return err
		}
		parts = append(parts, part)
		releases = append(releases, d.ID+"="+itoa(d.Current.Number))
	}
	t, err := s.Tiles.Join(r.Context(), parts, a)
	if err != nil {
		return err
	}
	w.Header().Set(releaseHeader, strings.Join(releases, ", "))
	r.settled = true
	// Without their names the same revisions may be of other collections tomorrow.
	named := r.query.Has("collections") && r.query.Get("rev") == revisions(datasets)
	return s.sendTile(w, r, t, named, datasets...)
}

// revisions names the state of several datasets at once.
func revisions(datasets []*catalog.Dataset) string {
	out := make([]string, len(datasets))
	for i, d := range datasets {
		out[i] = strconv.FormatInt(d.Revision, 10)
	}
	return strings.Join(out, "-")
}

// collections reads the collections parameter for a tile; without it all that the
// caller sees, up to the bound.
func (r *request) collections() ([]*catalog.Dataset, error) { return r.several(maxCollections) }

// several reads the collections parameter; without it all that the caller sees, if
// there are no more than most.
func (r *request) several(most int) ([]*catalog.Dataset, error) {
	if !r.query.Has("collections") {
		all := r.view.Datasets()
		if len(all) > most {
			return nil, invalid("collections", fmt.Sprintf("数据集超过 %d 个，请用 collections 指定", most), fmt.Sprintf("there are more than %d collections; name them by collections", most))
		}
		return all, nil
	}
	ids := strings.Split(r.query.Get("collections"), ",")
	if len(ids) > most {
		return nil, invalid("collections", fmt.Sprintf("最多 %d 个数据集", most), fmt.Sprintf("at most %d collections", most))
	}
	seen := make(map[string]bool)
	var out []*catalog.Dataset
	for _, id := range ids {
		d, err := find(r.view, strings.TrimSpace(id))
		if err != nil {
			return nil, err
		}
		if !seen[d.ID] {
			seen[d.ID] = true
			out = append(out, d)
		}
	}
	return out, nil
}

// keeping is the Cache-Control of tiles by their visibility, and by whether they were
// asked for by the revision they have.
var keeping = map[string]map[bool]string{
	"public":  {false: "public, no-cache", true: "public, max-age=31536000, immutable"},
	"private": {false: "private, no-cache", true: "private, max-age=31536000, immutable"},
}

// codings are header values, which are never changed in place.
var codings = map[tiles.Coding][]string{tiles.GZIP: {string(tiles.GZIP)}, tiles.ZSTD: {string(tiles.ZSTD)}}

// sendTile answers a tile in the coding that the caller likes best, gzip as it is
// cached. A tile asked for by the revision it has never changes.
func (s *Server) sendTile(w http.ResponseWriter, r *request, t *tiles.Tile, named bool, datasets ...*catalog.Dataset) error {
	cache := keeping[visibility(r, datasets...)][named]
	h := w.Header()
	if t.Omitted > 0 {
		omitted := strconv.FormatInt(t.Omitted, 10)
		if t.OmittedAtLeast {
			omitted = ">=" + omitted
		}
		h.Set(omittedHeader, omitted)
	}
	if t.Generalized > 0 {
		h.Set(generalizedHeader, strconv.FormatInt(t.Generalized, 10))
	}
	h["Vary"] = append(h["Vary"], "Accept-Encoding")
	if t.Features == 0 {
		return send(w, r, mediaMVT, t.ETag, cache, http.StatusNoContent, nil)
	}
	coding, err := codingFor(r.Header.Values("Accept-Encoding"))
	if err != nil {
		return err
	}
	body, etag, err := s.Tiles.Encoded(r.Context(), t, coding)
	if err != nil {
		return err
	}
	if coding != tiles.Identity {
		h["Content-Encoding"] = codings[coding]
	}
	if err := send(w, r, mediaMVT, etag, cache, http.StatusOK, body); err != nil {
		return err
	}
	if len(h["Content-Length"]) > 0 { // not 304
		s.keep(w, r, coding, body)
	}
	return nil
}
