package api

import (
	"net/http"
	"slices"
	"strings"

	"changde/catalog"
	"changde/problem"
	"changde/tiles"
	"changde/tiles/sprite"
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
	drawn, err := s.drawn(r, d)
	if err != nil {
		return err
	}
	stamp(w, d, d.Current)
	return writeJSON(w, r, style.Media, s.Styles.Make(d.TitleZH, drawn, false, nil, s.sprites(r)), d)
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
	drawn, err := s.drawn(r, datasets...)
	if err != nil {
		return err
	}
	view := &s.config.City.View
	if r.query.Has("collections") {
		view = nil
	}
	return writeJSON(w, r, style.Media, s.Styles.Make(s.cityTitle(), drawn, view != nil, view, s.sprites(r)), datasets...)
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
func (s *Server) drawn(r *request, datasets ...*catalog.Dataset) ([]style.Drawn, error) {
	set, err := styleGrid(r)
	if err != nil {
		return nil, err
	}
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
		low, high := s.Tiles.Levels(set, d, d.Current)
		grid := set.ID
		if set.TiandituFirst > 0 {
			grid, low, high = set.Tianditu, low+set.TiandituFirst, high+set.TiandituFirst
		}
		out = append(out, style.Drawn{Dataset: d, Tiles: s.tilesOf(r, d, grid), MinZoom: low, MaxZoom: high, Classes: classes[d.ID]})
	}
	return out, nil
}

// styleGrids are the grids that a style may be of: those with a name by which their
// levels count as the zoom of a style does, from a tile around the whole earth on.
func styleGrids() []string {
	var ids []string
	for _, set := range tiles.Sets() {
		if set.Tianditu != "" {
			ids = append(ids, set.ID)
		}
	}
	return ids
}

func styleGrid(r *request) (tiles.MatrixSet, error) {
	id := defaultSet
	if r.query.Has("tileMatrixSet") {
		id = r.query.Get("tileMatrixSet")
	}
	if there := styleGrids(); !slices.Contains(there, id) {
		return tiles.MatrixSet{}, invalid("tileMatrixSet", "样式可用的格网："+strings.Join(there, "、"), "the grids of styles are: "+strings.Join(there, ", "))
	}
	return tiles.Find(id)
}

// sprites is where the icons are.
func (s *Server) sprites(r *request) string { return s.origin(r.Request) + "/sprites" }

// spriteIndex says where the icons of the styles are on the picture.
func (s *Server) spriteIndex(w http.ResponseWriter, r *request) error {
	return s.writeSprite(w, r, sprite.MediaJSON)
}

// spritePicture answers the icons of the styles.
func (s *Server) spritePicture(w http.ResponseWriter, r *request) error {
	return s.writeSprite(w, r, sprite.MediaPNG)
}

func (s *Server) writeSprite(w http.ResponseWriter, r *request, media string) error {
	name := r.param("sprite")
	content, lasting, ok := s.Styles.Sprite().File(name, media)
	if !ok {
		return problem.New(problem.NotFound, "sprite-not-found", name, "没有这个图标集；样式的 sprite 给出现有的地址", "there is no such sheet of icons; the sprite of a style has the address of what there is")
	}
	if lasting {
		return writeLasting(w, r, media, content)
	}
	return write(w, r, media, content)
}
