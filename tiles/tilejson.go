package tiles

import (
	"slices"
	"strings"

	"changde/catalog"
)

// VectorLayer describes a layer as TileJSON 3, 3.3 does.
type VectorLayer struct {
	ID          string            `json:"id"`
	Description string            `json:"description,omitempty"`
	Fields      map[string]string `json:"fields"` // name to type
	MinZoom     int               `json:"minzoom"`
	MaxZoom     int               `json:"maxzoom"`
}

// VectorLayerOf describes the layer of a release's tiles between two zooms. Its fields
// are all that a tile of any of them carries; those of the lower zooms may lack some,
// and have the attribute of gathered features.
func VectorLayerOf(d *catalog.Dataset, r *catalog.Release, minZoom, maxZoom int) VectorLayer {
	l := VectorLayer{ID: d.ID, Description: d.TitleZH, Fields: map[string]string{}, MinZoom: minZoom, MaxZoom: maxZoom}
	for _, c := range TileColumns(d, r, maxZoom) {
		l.Fields[c.Name] = c.Type.String()
	}
	if minZoom < DetailZoom && dimensionOf(r) >= 0 {
		l.Fields[GeneralizedKey(d, r)] = "integer"
	}
	return l
}

// Title names datasets shown together.
func Title(datasets []*catalog.Dataset) string {
	var titles []string
	for _, d := range datasets {
		titles = append(titles, d.TitleZH)
	}
	return strings.Join(titles, "、")
}

// Attribution names the sources of datasets shown together, each once.
func Attribution(datasets []*catalog.Dataset) string {
	var sources []string
	for _, d := range datasets {
		if d.Attribution != "" && !slices.Contains(sources, d.Attribution) {
			sources = append(sources, d.Attribution)
		}
	}
	return strings.Join(sources, "; ")
}
