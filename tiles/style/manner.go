package style

// The manners in which datasets are drawn.
const (
	mannerPlan    = "plan"
	mannerParcels = "parcels"
	mannerLimits  = "limits"
	mannerAssets  = "assets"
)

// manners finds the layers of a dataset by its theme's manner. The order of layers
// is one for all: areas below 20, water from 20, roads from 30, what is above the
// ground from 40, names from 68.
var manners = map[string]func(p *pen) []Layer{
	"boundary":    boundary,
	"areas":       func(p *pen) []Layer { return areas(p, 10, 1) },
	mannerParcels: func(p *pen) []Layer { return areas(p, 13, 0.75) },
	mannerPlan:    func(p *pen) []Layer { return areas(p, 16, 1) },
	"water":       water,
	"roads":       roads,
	"buildings":   buildings,
	"places":      places,
	mannerAssets:  generic,
	mannerLimits:  limits,
}

// tints tell districts that lie side by side apart, by their ids.
var tints = list{"match", list{"%", list{"to-number", list{"id"}}, 5}, 0, "#fbf7ee", 1, "#f7f5e9", 2, "#faf3ea", 3, "#f5f5ec", "#f9f4f1"}

// boundary draws districts: pale areas, a dashed line on a band, and their names as
// far as the view holds districts.
func boundary(p *pen) []Layer {
	return append([]Layer{
		{ID: "fill", Type: "fill", Filter: polygons, order: 5, Paint: values{"fill-color": tints, "fill-antialias": false}},
		{ID: "band", Type: "line", Layout: values{"line-join": "round"}, order: 34, Paint: values{
			"line-color": p.color(), "line-opacity": 0.16, "line-width": grow(6, 2, 10, 6, 14, 11),
		}},
		{ID: "line", Type: "line", Layout: values{"line-join": "round"}, order: 35, Paint: values{
			"line-color": p.color(), "line-width": grow(6, 0.5, 9, 0.9, 14, 1.8), "line-dasharray": list{5, 2, 1, 2},
		}},
	}, p.districts()...)
}

func (p *pen) districts() []Layer {
	// ol-mapbox-style takes a maxzoom for one in metres, whatever the map's units.
	return p.names(76, 0, list{"<=", list{"zoom"}, 11}, values{"text-size": grow(6, 12, 8, 16, 10.5, 24), "text-letter-spacing": 0.25, "text-padding": list{"interpolate", list{"linear"}, list{"zoom"}, 6, 2, 8, 10, 10, 90}}, "#7b5f78")
}

// areas fills polygons by class.
func areas(p *pen, order int, opacity float64) []Layer {
	return append([]Layer{
		{ID: "fill", Type: "fill", Filter: polygons, order: order, Paint: values{"fill-color": p.color(), "fill-opacity": opacity}},
		p.single(Layer{ID: "edge", Type: "line", MinZoom: 12, Filter: polygons, order: order + 1, Paint: values{
			"line-color": "#7a6a50", "line-opacity": list{"interpolate", list{"linear"}, list{"zoom"}, 12, 0, 14, 0.2, 16, 0.45}, "line-width": grow(12, 0.4, 16, 1),
		}}),
	}, p.names(68, 16, nil, values{"text-size": 11, "text-max-width": 6, "text-padding": 14}, "#5f5546")...)
}

// water draws water areas and lines, wider by level.
func water(p *pen) []Layer {
	width := p.palette.choose(p.class, lineWidth)
	return append([]Layer{
		{ID: "fill", Type: "fill", Filter: polygons, order: 20, Paint: values{"fill-color": p.color()}},
		p.single(Layer{ID: "edge", Type: "line", Filter: polygons, order: 21, Paint: values{"line-color": "#7db4d2", "line-width": 0.8}}),
		{ID: "line", Type: "line", Filter: lines, Layout: round, order: 22, Paint: values{
			"line-color": p.color(), "line-width": grow(6, times(0.4, width), 10, times(0.8, width), 14, times(2, width), 18, times(6, width)),
		}},
	}, p.waterNames()...)
}

// waterNames writes along lines and within areas.
func (p *pen) waterNames() []Layer {
	layout := func() values { return values{"text-size": 12, "text-letter-spacing": 0.3, "text-padding": 20} }
	along := layout()
	along["symbol-placement"], along["symbol-spacing"] = "line", 380
	within := p.names(72, 8, polygons, layout(), waterInk)
	for i := range within {
		within[i].ID = "area-names"
	}
	return append(p.names(72, 8, lines, along, waterInk), within...)
}

const waterInk = "#3f7fa6"

// roads draws roads as wide as their rank, the greater above, each from the zoom of
// its rank.
func roads(p *pen) []Layer {
	width := p.palette.choose(p.class, lineWidth)
	shown := list{">=", list{"zoom"}, p.palette.choose(p.class, fromZoom)}
	wide := func(plus float64) list {
		at := func(share, n float64) list { return list{"+", plus * share, times(n, width)} }
		return grow(6, at(0.3, 0.35), 10, at(0.7, 0.75), 14, at(1, 2.6), 18, at(1.5, 11))
	}
	layout := values{"line-cap": "round", "line-join": "round", "line-sort-key": width}
	return append([]Layer{
		{ID: "casing", Type: "line", Filter: shown, Layout: layout, order: 30, Paint: values{
			"line-color": "#b8a688", "line-width": wide(1.4), "line-opacity": list{"interpolate", list{"linear"}, list{"zoom"}, 8, 0.5, 12, 0.95},
		}},
		{ID: "line", Type: "line", Filter: shown, Layout: layout, order: 31, Paint: values{"line-color": p.color(), "line-width": wide(0)}},
	}, p.names(70, 12.5, shown, values{
		"symbol-placement": "line", "text-size": grow(12, 10.5, 16, 13), "symbol-spacing": 320, "text-max-angle": 30, "text-padding": 6,
		"symbol-sort-key": list{"-", 0, width},
	}, "#6b5a41")...)
}

// buildings are drawn from the zoom at which they do not hide the land that they
// stand on.
func buildings(p *pen) []Layer {
	return append([]Layer{
		{ID: "fill", Type: "fill", MinZoom: 12.5, Filter: polygons, order: 28, Paint: values{"fill-color": p.color(), "fill-opacity": list{"interpolate", list{"linear"}, list{"zoom"}, 13, 0.7, 15, 0.95}}},
		p.single(Layer{ID: "edge", Type: "line", MinZoom: 14.5, Filter: polygons, order: 29, Paint: values{"line-color": "#ab9d8b", "line-width": 0.7}}),
	}, p.names(69, 17, nil, values{"text-size": 11, "text-max-width": 7, "text-padding": 6}, "#6a5f4e")...)
}

// places names settlements, the greater first and from farther out.
func places(p *pen) []Layer {
	size := p.palette.choose(p.class, nameSize)
	shown := list{">=", list{"zoom"}, p.palette.choose(p.class, fromZoom)}
	return append([]Layer{
		{ID: "dot", Type: "symbol", Filter: shown, Layout: p.icons(grow(6, 0.55, 10, 0.75, 14, 1.1)), order: 50},
	}, p.names(75, 0, shown, values{
		"text-size":            list{"interpolate", list{"linear"}, list{"zoom"}, 8, times(0.86, size), 13, size},
		"text-variable-anchor": list{"left", "right", "top", "bottom"}, "text-radial-offset": 0.6, "text-justify": "auto",
		"text-anchor": "left", "text-offset": list{0.6, 0}, // for maps that know one place only
		"symbol-sort-key": list{"-", 0, size}, "text-padding": 3,
	}, p.color())...)
}

// limits draws the control lines of plans, each in the colour it is called by.
func limits(p *pen) []Layer {
	return append([]Layer{
		{ID: "fill", Type: "fill", Filter: polygons, order: 18, Paint: values{"fill-color": p.color(), "fill-opacity": 0.12}},
		p.single(Layer{ID: "line", Type: "line", Layout: values{"line-join": "round"}, order: 37, Paint: values{"line-color": p.color(), "line-width": grow(8, 0.8, 14, 2, 18, 4)}}),
	}, p.names(71, 14, nil, values{"text-size": 11.5, "text-max-width": 8, "text-padding": 8}, p.color())...)
}

// generic draws whatever geometry there is, points with the icon of their class on a
// disc in its colour.
func generic(p *pen) []Layer {
	radius, away := grow(8, 2.4, 13, 5.5, 16, 8), 0.8
	var icons []Layer
	if p.palette.hasIcons() {
		radius, away = grow(8, 2.4, 12, 4.5, 13, 7.5, 16, 10), 1.05
		icons = []Layer{{ID: "icon", Type: "symbol", MinZoom: 12.5, Filter: points, Layout: p.icons(grow(13, 0.7, 16, 0.95)), order: 55}}
	}
	return append(append([]Layer{
		{ID: "fill", Type: "fill", Filter: polygons, order: 14, Paint: values{"fill-color": p.color(), "fill-opacity": 0.35}},
		p.single(Layer{ID: "edge", Type: "line", Filter: polygons, order: 15, Paint: values{"line-color": p.color(), "line-width": grow(8, 0.5, 14, 1.2)}}),
		{ID: "under", Type: "line", Filter: lines, Layout: round, order: 42, Paint: values{"line-color": "#fffdf8", "line-width": grow(8, 2, 14, 5)}},
		{ID: "line", Type: "line", Filter: lines, Layout: round, order: 43, Paint: values{"line-color": p.color(), "line-width": grow(8, 1, 14, 2.6)}},
		{ID: "point", Type: "circle", Filter: points, order: 54, Paint: values{
			"circle-color": p.color(), "circle-stroke-color": "#fffdf8", "circle-radius": radius, "circle-stroke-width": grow(8, 0.6, 13, 1.4),
		}},
	}, icons...), p.names(71, 14, nil, values{
		"text-size": 11.5, "text-max-width": 8, "text-padding": 6, "text-variable-anchor": list{"top", "bottom", "left", "right"}, "text-radial-offset": away,
		"text-anchor": "top", "text-offset": list{0, away}, // for maps that know one place only
	}, p.color())...)
}
