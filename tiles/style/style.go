// Package style says how datasets are drawn: MapLibre styles (version 8) of one
// dataset or of several, coloured by the standards of their layers where there is
// one. They name no glyphs and no font, so that a map draws every label from the fonts
// of the reader's system; tiles and icons are from where the style is, and nobody else
// is asked for anything.
package style

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"changde/catalog"
)

// Media is the media type of a Style.
const Media = "application/vnd.mapbox.style+json"

// Style is a style document.
type Style struct {
	Version  int               `json:"version"`
	Name     string            `json:"name"`
	Metadata Metadata          `json:"metadata"`
	Center   *[2]float64       `json:"center,omitempty"` // longitude, latitude
	Zoom     float64           `json:"zoom,omitempty"`
	Sprite   string            `json:"sprite,omitempty"`
	Sources  map[string]Source `json:"sources"`
	Layers   []Layer           `json:"layers"`
}

// Metadata is what a page beside the map shows.
type Metadata struct {
	Legends map[string]Legend `json:"changde:legends"` // by dataset
	// Webfonts is where ol-mapbox-style fetches fonts from that the system lacks, by
	// default from another host; noFonts keeps it to those of the system.
	Webfonts string `json:"ol:webfonts"`
}

// Legend says what the colours of a dataset mean. Classes is empty where it is
// drawn in one colour.
type Legend struct {
	ZH      string  `json:"zh"`
	EN      string  `json:"en"`
	Column  string  `json:"column,omitempty"`
	Match   string  `json:"match,omitempty"` // how codes name values: prefix, value or part
	Source  string  `json:"source,omitempty"`
	Note    string  `json:"note,omitempty"`  // what was not checked
	Color   string  `json:"color,omitempty"` // of all, where there are no classes
	Icon    string  `json:"icon,omitempty"`  // of all points, where there are no classes
	Classes []Class `json:"classes,omitempty"`
}

// Source is where the tiles of a dataset are. A style names one for each dataset,
// by its id, and a layer in it of the same name.
type Source struct {
	Type        string          `json:"type"`
	Scheme      string          `json:"scheme"`
	Tiles       []string        `json:"tiles"`
	MinZoom     int             `json:"minzoom"`
	MaxZoom     int             `json:"maxzoom"`
	Bounds      *catalog.Bounds `json:"bounds,omitempty"`
	Attribution string          `json:"attribution,omitempty"`
}

// Layer is one layer of a style. Its id is the dataset's, a colon and a part.
type Layer struct {
	ID          string         `json:"id"`
	Type        string         `json:"type"`
	Source      string         `json:"source,omitempty"`
	SourceLayer string         `json:"source-layer,omitempty"`
	MinZoom     float64        `json:"minzoom,omitempty"`
	Filter      any            `json:"filter,omitempty"`
	Layout      map[string]any `json:"layout,omitempty"`
	Paint       map[string]any `json:"paint,omitempty"`
	Metadata    LayerMetadata  `json:"metadata"`

	order int
}

// LayerMetadata is what a page that joins layers of several styles must know.
type LayerMetadata struct {
	Order int `json:"changde:order"` // lower is further down
}

// Drawn is a dataset of a style.
type Drawn struct {
	Dataset *catalog.Dataset
	// Tiles is the template of the addresses of its tiles; MinZoom and MaxZoom are
	// the zooms between which there are such.
	Tiles            string
	MinZoom, MaxZoom int
	// Classes are the values of the class column of a dataset that is not Foreseen;
	// each has a colour of its own, as far as there are any.
	Classes []string
}

// noFonts is the address of a style sheet without fonts.
const noFonts = "data:text/css,"

// paper is the colour of the map where nothing is drawn.
const paper = "#efeae0"

// Make makes the style of the datasets. Areas lie under lines, lines under points,
// points under names, whatever the order of the datasets. With overview, as for
// the whole city, layers that would cover the framework are there but not visible,
// and assets begin at zoom 11.
// view is what the map shows first; nil for the extent of the datasets. sprites is the
// address, whole and without a slash at its end, below which the files of the book's
// sheet are.
func (b *Book) Make(name string, drawn []Drawn, overview bool, view *catalog.Bounds, sprites string) *Style {
	s := &Style{
		Version: 8, Name: name, Sprite: sprites + "/" + b.sprite.Name(), Metadata: Metadata{Legends: map[string]Legend{}, Webfonts: noFonts}, Sources: map[string]Source{},
		Layers: []Layer{{ID: "paper", Type: "background", Paint: map[string]any{"background-color": paper}}},
	}
	var extent *catalog.Bounds
	for _, d := range drawn {
		id := d.Dataset.ID
		s.Sources[id] = Source{
			Type: "vector", Scheme: "xyz", Tiles: []string{d.Tiles}, MinZoom: d.MinZoom, MaxZoom: d.MaxZoom,
			Bounds: d.Dataset.Current.Extent, Attribution: d.Dataset.Attribution,
		}
		layers, legend := b.layers(d)
		for _, l := range layers {
			l.ID, l.Source, l.SourceLayer, l.Metadata.Order = id+":"+l.ID, id, id, l.order
			if overview {
				l = b.ofOverview(d.Dataset, l)
			}
			s.Layers = append(s.Layers, l)
		}
		s.Metadata.Legends[id] = legend
		extent = catalog.Union(extent, d.Dataset.Current.Extent)
	}
	slices.SortStableFunc(s.Layers, func(a, b Layer) int { return cmp.Compare(a.order, b.order) })
	if view == nil {
		view = extent
	}
	if view != nil {
		s.Center, s.Zoom = camera(*view)
	}
	return s
}

// layers draws one dataset.
func (b *Book) layers(d Drawn) ([]Layer, Legend) {
	p := &pen{dataset: d.Dataset, class: classOf(d.Dataset), label: labelOf(d.Dataset)}
	t := b.themeOf(d.Dataset)
	legend := Legend{ZH: d.Dataset.TitleZH, EN: d.Dataset.TitleEN}
	draw := generic
	switch {
	case t != nil:
		p.palette, draw = t.palette, manners[t.Manner]
	case p.class != "" && len(d.Classes) > 0:
		p.palette = b.any.of(d.Classes)
	default:
		p.palette = &palette{Other: Class{ZH: legend.ZH, EN: legend.EN, Color: b.any.hue(d.Dataset.ID)}}
	}
	if p.class == "" || len(p.palette.Classes) == 0 {
		legend.Color, legend.Icon = p.palette.Other.Color, p.palette.Other.Icon
	} else {
		legend.Column, legend.Match, legend.Source, legend.Note = p.class, p.palette.Match, p.palette.Source, p.palette.Uncertain
		legend.Classes = p.palette.legend()
	}
	return draw(p), legend
}

// assetsFrom is the zoom from which a map of the whole city shows assets.
const assetsFrom = 11

// ofOverview is a layer of a dataset as the style of the whole city has it.
func (b *Book) ofOverview(d *catalog.Dataset, l Layer) Layer {
	if b.covers(d) {
		l.Layout = invisible(l.Layout)
	}
	if t := b.themeOf(d); t != nil && t.Manner == mannerAssets {
		l.MinZoom = max(l.MinZoom, assetsFrom)
	}
	return l
}

// covers reports whether a dataset would hide the framework of the city: areas of
// plans, and areas that nobody foresaw.
func (b *Book) covers(d *catalog.Dataset) bool {
	t := b.themeOf(d)
	if t == nil {
		return strings.Contains(d.Current.GeometryType, "olygon")
	}
	return t.Manner == mannerPlan || t.Manner == mannerParcels || t.Manner == mannerLimits
}

// invisible is the layout of a layer that is there to be shown later.
func invisible(layout map[string]any) map[string]any {
	out := map[string]any{"visibility": "none"}
	maps.Copy(out, layout)
	return out
}

// The room that a map is thought to have, in pixels, and the width of a tile.
const (
	mapPixels  = 900
	tilePixels = 512
)

// camera is a centre and a zoom at which a map shows the bounds, to four digits
// and a tenth.
func camera(b catalog.Bounds) (*[2]float64, float64) {
	lon, lat := (b[0]+b[2])/2, (b[1]+b[3])/2
	width := max(b[2]-b[0], (b[3]-b[1])/max(math.Cos(lat*math.Pi/180), 0.01), 1e-3)
	zoom := math.Log2(360 * mapPixels / tilePixels / width)
	round := func(v, to float64) float64 { return math.Round(v*to) / to }
	return &[2]float64{round(lon, 1e4), round(lat, 1e4)}, round(min(max(zoom, 0), 17), 10)
}

// String tells a layer in tests and logs.
func (l Layer) String() string { return fmt.Sprintf("%s (%s)", l.ID, l.Type) }
