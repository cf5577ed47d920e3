package api

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"changde/catalog"
	"changde/tiles"
)

const defaultSet = "WebMercatorQuad"

func (s *Server) vectorLayerOf(d *catalog.Dataset) tiles.VectorLayer {
	set, _ := tiles.Set(defaultSet)
	low, high := s.Tiles.Levels(set, d, d.Current)
	return tiles.VectorLayerOf(d, d.Current, low, high)
}

type tileJSON struct {
	TileJSON     string              `json:"tilejson"`
	Name         string              `json:"name"`
	Tiles        []string            `json:"tiles"`
	VectorLayers []tiles.VectorLayer `json:"vector_layers"`
	Bounds       *catalog.Bounds     `json:"bounds,omitempty"`
	MinZoom      int                 `json:"minzoom"`
	MaxZoom      int                 `json:"maxzoom"`
	Attribution  string              `json:"attribution,omitempty"`
	Scheme       string              `json:"scheme"`
	Release      any                 `json:"release"`
	Revision     any                 `json:"revision"`
}

// tilejson answers TileJSON 3.0.0 for one collection.
func (s *Server) tilejson(w http.ResponseWriter, r *request) error {
	d, err := r.dataset()
	if err != nil {
		return err
	}
	layer := s.vectorLayerOf(d)
	stamp(w, d, d.Current)
	return writeJSON(w, r, mediaJSON, tileJSON{
		TileJSON: "3.0.0", Name: d.TitleZH, Scheme: "xyz",
		Tiles:        []string{s.tilesOf(r, d, defaultSet)},
		VectorLayers: []tiles.VectorLayer{layer}, Bounds: d.Current.Extent, MinZoom: layer.MinZoom, MaxZoom: layer.MaxZoom,
		Attribution: d.Attribution, Release: d.Current.Number, Revision: d.Revision,
	}, d)
}

// tilesOf is the template of the addresses of a collection's tiles as they are now,
// in a grid by one of its names.
func (s *Server) tilesOf(r *request, d *catalog.Dataset, grid string) string {
	return s.origin(r.Request) + "/collections/" + d.ID + "/tiles/" + grid + "/{z}/{y}/{x}?rev=" + strconv.FormatInt(d.Revision, 10)
}

// tilejsonOfSeveral answers TileJSON for several collections in one tile.
func (s *Server) tilejsonOfSeveral(w http.ResponseWriter, r *request) error {
	datasets, err := r.collections()
	if err != nil {
		return err
	}
	t := tileJSON{TileJSON: "3.0.0", Scheme: "xyz", MinZoom: tiles.MaxZoom, VectorLayers: []tiles.VectorLayer{}}
	ids := make([]string, 0, len(datasets))
	releases, states := map[string]int{}, map[string]int64{}
	for _, d := range datasets {
		layer := s.vectorLayerOf(d)
		t.VectorLayers = append(t.VectorLayers, layer)
		t.MinZoom, t.MaxZoom = min(t.MinZoom, layer.MinZoom), max(t.MaxZoom, layer.MaxZoom)
		t.Bounds = catalog.Union(t.Bounds, d.Current.Extent)
		ids = append(ids, d.ID)
		releases[d.ID], states[d.ID] = d.Current.Number, d.Revision
	}
	t.MinZoom = min(t.MinZoom, t.MaxZoom)
	t.Name, t.Attribution, t.Release, t.Revision = tiles.Title(datasets), tiles.Attribution(datasets), releases, states
	if len(ids) == 0 { // nothing to see, and no tiles to ask for
		t.Tiles, t.MaxZoom = []string{}, tiles.MaxTileZoom
		return writeJSON(w, r, mediaJSON, t)
	}
	t.Tiles = []string{s.origin(r.Request) + "/tiles/" + defaultSet + "/{z}/{y}/{x}?collections=" + strings.Join(ids, ",") + "&rev=" + revisions(datasets)}
	return writeJSON(w, r, mediaJSON, t, datasets...)
}

// tileset describes the tiles below at (OGC API - Tiles, 17-083r4 TileSet).
func (s *Server) tileset(r *request, base, at, query, title string, set tiles.MatrixSet, datasets []*catalog.Dataset, whole bool) map[string]any {
	links := []any{
		link{Href: at + "/" + set.ID + query, Rel: "self", Type: mediaJSON},
		link{Href: base + "/tileMatrixSets/" + set.ID, Rel: "http://www.opengis.net/def/rel/ogc/1.0/tiling-scheme", Type: mediaJSON},
		templatedLink{link{Href: at + "/" + set.ID + "/{tileMatrix}/{tileRow}/{tileCol}" + query, Rel: "item", Type: mediaMVT}, true},
	}
	if set.Tianditu != "" {
		first, last := set.TiandituFirst, set.TiandituFirst+min(tiles.MaxZoom, set.Levels-1)
		links = append(links, templatedLink{link{
			Href: at + "/" + set.Tianditu + "/{tileMatrix}/{tileRow}/{tileCol}" + query, Rel: "alternate", Type: mediaMVT,
			Title: fmt.Sprintf("天地图 %s 的级别 %d 到 %d / levels %d to %d of 天地图 %s", set.Tianditu, first, last, first, last, set.Tianditu),
		}, true})
	}
	if l, ok := s.archiveLink(r, at, set, datasets); ok {
		links = append(links, l)
	}
	t := map[string]any{"title": title, "dataType": "vector", "crs": set.CRS, "tileMatrixSetId": set.ID, "links": links}
	if set.URI != "" {
		t["tileMatrixSetURI"] = set.URI
	}
	if !whole {
		return t
	}
	layers := make([]map[string]any, 0, len(datasets))
	for _, d := range datasets {
		low, high := s.Tiles.Levels(set, d, d.Current)
		properties := map[string]any{}
		for _, c := range tiles.TileColumns(d, d.Current, tiles.MaxTileZoom) {
			properties[c.Name] = schemaOf(c.Type)
		}
		layers = append(layers, map[string]any{
			"id": d.ID, "title": d.TitleZH, "dataType": "vector", "minTileMatrix": itoa(low), "maxTileMatrix": itoa(high),
			"propertiesSchema": map[string]any{"type": "object", "properties": properties},
		})
	}
	t["layers"] = layers
	return t
}

// tilesets lists a collection's tilesets, or describes the one in the path.
func (s *Server) tilesets(w http.ResponseWriter, r *request) error {
	d, err := r.dataset()
	if err != nil {
		return err
	}
	base := s.origin(r.Request)
	stamp(w, d, d.Current)
	return s.writeTilesets(w, r, base, base+"/collections/"+d.ID+"/tiles", "", d.TitleZH, []*catalog.Dataset{d})
}

func (s *Server) tilesetsOfSeveral(w http.ResponseWriter, r *request) error {
	datasets, err := r.collections()
	if err != nil {
		return err
	}
	query := ""
	if r.query.Has("collections") {
		ids := make([]string, 0, len(datasets))
		for _, d := range datasets {
			ids = append(ids, d.ID)
		}
		query = "?collections=" + strings.Join(ids, ",")
	}
	base := s.origin(r.Request)
	return s.writeTilesets(w, r, base, base+"/tiles", query, "多数据集瓦片 / tiles of several collections", datasets)
}

func (s *Server) writeTilesets(w http.ResponseWriter, r *request, base, at, query, title string, datasets []*catalog.Dataset) error {
	if id := r.param("tileMatrixSet"); id != "" {
		set, err := tiles.Find(id)
		if err != nil {
			return err
		}
		return writeJSON(w, r, mediaJSON, s.tileset(r, base, at, query, title, set, datasets, true), datasets...)
	}
	list := []map[string]any{}
	for _, set := range tiles.Sets() {
		list = append(list, s.tileset(r, base, at, query, title, set, datasets, false))
	}
	return writeJSON(w, r, mediaJSON, map[string]any{
		"tilesets": list, "links": []link{{Href: at + query, Rel: "self", Type: mediaJSON}},
	}, datasets...)
}

func (s *Server) matrixSets(w http.ResponseWriter, r *request) error {
	base := s.origin(r.Request)
	list := []map[string]any{}
	for _, set := range tiles.Sets() {
		item := map[string]any{
			"id": set.ID, "title": set.Title, "crs": set.CRS,
			"links": []link{{Href: base + "/tileMatrixSets/" + set.ID, Rel: "self", Type: mediaJSON}},
		}
		if set.URI != "" {
			item["uri"] = set.URI
		}
		list = append(list, item)
	}
	return writeJSON(w, r, mediaJSON, map[string]any{"tileMatrixSets": list})
}

func (s *Server) matrixSet(w http.ResponseWriter, r *request) error {
	set, err := tiles.Find(r.param("tileMatrixSet"))
	if err != nil {
		return err
	}
	return writeJSON(w, r, mediaJSON, set)
}
