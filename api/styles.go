package api

import (
	"net/http"

	"changde/catalog"
	"changde/problem"
	"changde/tiles/style"
)

// maxDrawn bounds the collections of one style, maxOwnClasses the classes of a
// collection that no table names and that have a colour of their own.
const (
	maxDrawn      = 100
	maxOwnClasses = 40
)

// defaultStyle is the id of the only style there is.
const defaultStyle = "default"

const (
	relStyles     = "http://www.opengis.net/def/rel/ogc/1.0/styles"
	relStylesheet = "stylesheet"
)

// styles lists the styles of a collection.
func (s *Server) styles(w http.ResponseWriter, r *request) error {
	d, err := r.dataset()
	if err != nil {
		return err
	}
	stamp(w, d, d.Current)
	return s.writeStyles(w, r, "/collections/"+d.ID+"/styles", d.TitleZH+" / "+d.TitleEN, d)
}

// stylesOfSeveral lists the styles of the city.
func (s *Server) stylesOfSeveral(w http.ResponseWriter, r *request) error {
	return s.writeStyles(w, r, "/styles", s.cityTitle())
}

func (s *Server) cityTitle() string { return s.config.City.NameZH + " / " + s.config.City.NameEN }

func (s *Server) writeStyles(w http.ResponseWriter, r *request, path, title string, of ...*catalog.Dataset) error {
	at := s.origin(r.Request) + path
	return writeJSON(w, r, mediaJSON, map[string]any{
		"default": defaultStyle,
		"styles": []any{map[string]any{
			"id": defaultStyle, "title": title,
			"links": []link{{Href: at + "/" + defaultStyle, Rel: relStylesheet, Type: style.Media, Title: title}},
		}},
		"links": []link{{Href: at, Rel: "self", Type: mediaJSON}},
	}, of...)
}

// style answers the style of a collection.
func (s *Server) style(w http.ResponseWriter, r *request) error {
	d, err := r.dataset()
	if err != nil {
		return err
	}
	if err := r.defaultStyle(); err != nil {
		return err
	}
	drawn, err := s.drawn(r, []*catalog.Dataset{d})
	if err != nil {
		return err
	}
	stamp(w, d, d.Current)
	return writeJSON(w, r, style.Media, s.Styles.Make(d.TitleZH, drawn, false, nil), d)
}

// styleOfSeveral answers the style of the city, or of the collections asked for.
func (s *Server) styleOfSeveral(w http.ResponseWriter, r *request) error {
	if err := r.defaultStyle(); err != nil {
		return err
	}
	datasets, err := r.several(maxDrawn)
	if err != nil {
		return err
	}
	drawn, err := s.drawn(r, datasets)
	if err != nil {
		return err
	}
	view := &s.config.City.View
	if r.query.Has("collections") {
		view = nil
	}
	return writeJSON(w, r, style.Media, s.Styles.Make(s.cityTitle(), drawn, view != nil, view), datasets...)
}

// defaultStyle refuses a style that is not the one.
func (r *request) defaultStyle() error {
	if id := r.param("style"); id != defaultStyle {
		return problem.New(problem.NotFound, "style-not-found", id, "没有这个样式；有 "+defaultStyle, "there is no such style; there is "+defaultStyle)
	}
	return nil
}

// drawn says of each dataset where its tiles are and, where no table does, which
// classes it has.
func (s *Server) drawn(r *request, datasets []*catalog.Dataset) ([]style.Drawn, error) {
	var unforeseen []*catalog.Dataset
	for _, d := range datasets {
		if !s.Styles.Foreseen(d) {
			unforeseen = append(unforeseen, d)
		}
	}
	classes, err := s.Features.Classes(r.Context(), unforeseen, maxOwnClasses)
	if err != nil {
		return nil, err
	}
	out := make([]style.Drawn, 0, len(datasets))
	for _, d := range datasets {
		layer := s.vectorLayerOf(d)
		out = append(out, style.Drawn{Dataset: d, Tiles: s.tilesOf(r, d), MinZoom: layer.MinZoom, MaxZoom: layer.MaxZoom, Classes: classes[d.ID]})
	}
	return out, nil
}
