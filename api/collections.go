package api

import (
	"net/http"
	"time"

	"changde/catalog"
)

const (
	crs84       = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
	relItems    = "items"
	relTilesets = "http://www.opengis.net/def/rel/ogc/1.0/tilesets-vector"
)

type fieldJSON struct {
	Name  string `json:"name"`
	Alias string `json:"alias"`
	Type  string `json:"type"`
}

type ownerJSON struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	NameEN string `json:"nameEn"`
}

type collectionJSON struct {
	ID           string          `json:"id"`
	Title        string          `json:"title"`
	TitleEN      string          `json:"titleEn"`
	Description  string          `json:"description,omitempty"`
	Extent       map[string]any  `json:"extent,omitempty"`
	ItemType     string          `json:"itemType"`
	CRS          []string        `json:"crs"`
	GeometryType string          `json:"geometryType"`
	Owner        *ownerJSON      `json:"owner"`
	Sharing      catalog.Sharing `json:"sharing"`
	Kind         catalog.Kind    `json:"kind"`
	Label        string          `json:"label"`
	Class        string          `json:"class"`
	BusinessKey  string          `json:"businessKey"`
	TimeColumn   string          `json:"timeColumn"`
	Attribution  string          `json:"attribution"`
	Synthetic    bool            `json:"synthetic"`
	Release      int             `json:"release"`
	Revision     int64           `json:"revision"`
	Released     time.Time       `json:"released"`
	Rows         int64           `json:"rows"`
	Fields       []fieldJSON     `json:"fields"`
	Links        []link          `json:"links"`
}

func describe(base string, d *catalog.Dataset) collectionJSON {
	rel := d.Current
	c := collectionJSON{
		ID: d.ID, Title: d.TitleZH, TitleEN: d.TitleEN, Description: d.Description,
		ItemType: "feature", CRS: []string{crs84}, GeometryType: rel.GeometryType,
		Sharing: d.Sharing, Kind: d.Kind, Label: d.Label, Class: d.Class, BusinessKey: d.BusinessKey, TimeColumn: d.TimeColumn,
		Attribution: d.Attribution, Synthetic: d.Synthetic,
		Release: rel.Number, Revision: d.Revision, Released: rel.ReleasedAt.UTC(), Rows: rel.Rows,
		Fields: make([]fieldJSON, 0, len(rel.Columns)),
	}
	for _, name := range []*string{&c.Label, &c.Class, &c.BusinessKey, &c.TimeColumn} {
		if _, ok := rel.Column(*name); !ok { // a release brought back may lack it
			*name = ""
		}
	}
	if d.Owner != nil {
		c.Owner = &ownerJSON{ID: d.Owner.ID, Name: d.Owner.NameZH, NameEN: d.Owner.NameEN}
	}
	if rel.Extent != nil {
		c.Extent = map[string]any{"spatial": map[string]any{"bbox": []catalog.Bounds{*rel.Extent}, "crs": crs84}}
	}
	for _, f := range rel.Columns {
		c.Fields = append(c.Fields, fieldJSON{Name: f.Name, Alias: f.Alias, Type: f.Type.String()})
	}
	at := base + "/collections/" + d.ID
	c.Links = []link{
		{Href: at, Rel: "self", Type: mediaJSON, Title: d.TitleZH},
		{Href: at + "/items", Rel: relItems, Type: mediaGeoJSON, Title: "要素 / features"},
		{Href: at + "/queryables", Rel: relQueryables, Type: mediaSchema, Title: "可过滤的字段 / queryables"},
		{Href: at + "/tiles", Rel: relTilesets, Type: mediaJSON, Title: "矢量瓦片 / vector tiles"},
		{Href: at + "/tilejson", Rel: "alternate", Type: mediaJSON, Title: "TileJSON"},
		{Href: at + "/styles", Rel: relStyles, Type: mediaJSON, Title: "样式 / styles"},
		{Href: base + "/datasets/" + d.ID + "/releases", Rel: "version-history", Type: mediaJSON, Title: "版本 / releases"},
	}
	return c
}

func (s *Server) collections(w http.ResponseWriter, r *request) error {
	base := s.origin(r.Request)
	datasets := r.view.Datasets()
	out := make([]collectionJSON, 0, len(datasets))
	for _, d := range datasets {
		out = append(out, describe(base, d))
	}
	return writeJSON(w, r, mediaJSON, map[string]any{
		"links":       []link{{Href: base + "/collections", Rel: "self", Type: mediaJSON, Title: "数据集 / collections"}},
		"collections": out,
	}, datasets...)
}

func (s *Server) collection(w http.ResponseWriter, r *request) error {
	d, err := r.dataset()
	if err != nil {
		return err
	}
	stamp(w, d, d.Current)
	return writeJSON(w, r, mediaJSON, describe(s.origin(r.Request), d), d)
}

// maxReleases bounds the releases of one answer; the latest are shown.
const maxReleases = 1000

type releaseJSON struct {
	Release  int             `json:"release"`
	Revision int64           `json:"revision"`
	Current  bool            `json:"current"`
	Restores int             `json:"restores,omitempty"`
	Rows     int64           `json:"rows"`
	Extent   *catalog.Bounds `json:"bbox"`
	Released time.Time       `json:"released"`
	Note     string          `json:"note,omitempty"`
	Links    []link          `json:"links"`
}

func (s *Server) releases(w http.ResponseWriter, r *request) error {
	d, err := r.dataset()
	if err != nil {
		return err
	}
	base := s.origin(r.Request)
	kept := d.Releases[max(0, len(d.Releases)-maxReleases):]
	out := make([]releaseJSON, 0, len(kept))
	for _, rel := range kept {
		out = append(out, releaseJSON{
			Release: rel.Number, Revision: rel.Revision, Current: rel.Number == d.Current.Number, Restores: rel.Restores,
			Rows: rel.Rows, Extent: rel.Extent, Released: rel.ReleasedAt.UTC(), Note: rel.Note,
			Links: []link{{Href: base + "/collections/" + d.ID + "/items?release=" + itoa(rel.Number), Rel: relItems, Type: mediaGeoJSON}},
		})
	}
	stamp(w, d, d.Current)
	return writeJSON(w, r, mediaJSON, map[string]any{
		"dataset": d.ID, "current": d.Current.Number, "revision": d.Revision, "releases": out,
		"links": []link{{Href: base + "/datasets/" + d.ID + "/releases", Rel: "self", Type: mediaJSON}, {Href: base + "/collections/" + d.ID, Rel: "collection", Type: mediaJSON, Title: d.TitleZH}},
	}, d)
}
