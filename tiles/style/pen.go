package style

import (
	"changde/catalog"
	"changde/tiles"
)

// pen draws one dataset.
type pen struct {
	dataset      *catalog.Dataset
	palette      *palette
	class, label string // columns, empty without one
}

type (
	values = map[string]any
	list   = []any
)

var (
	polygons = list{"==", list{"geometry-type"}, "Polygon"}
	lines    = list{"==", list{"geometry-type"}, "LineString"}
	points   = list{"==", list{"geometry-type"}, "Point"}
	round    = values{"line-cap": "round", "line-join": "round"}
)

const halo = "rgba(255,253,248,0.92)"

// grow is a number that grows with the zoom: pairs of a zoom and a value.
func grow(stops ...any) list {
	return append(list{"interpolate", list{"exponential", 1.5}, list{"zoom"}}, stops...)
}

// times is a number times a class's.
func times(n float64, of any) list { return list{"*", n, of} }

func (p *pen) color() any { return p.palette.choose(p.class, color) }

// all joins conditions; nil is none.
func all(conditions ...any) any {
	out := list{"all"}
	for _, c := range conditions {
		if c != nil {
			out = append(out, c)
		}
	}
	switch len(out) {
	case 1:
		return nil
	case 2:
		return out[1]
	}
	return out
}

// single keeps a layer to features that stand for themselves. What a tile below
// tiles.DetailZoom gathered has neither outline nor name; where the features have
// a column that is called as the mark of it, the layer begins at that zoom.
func (p *pen) single(l Layer) Layer {
	mark := tiles.GeneralizedKey(p.dataset, p.dataset.Current)
	if _, taken := p.dataset.Current.Column(mark); taken {
		l.MinZoom = max(l.MinZoom, tiles.DetailZoom)
		return l
	}
	l.Filter = all(l.Filter, list{"!", list{"has", mark}})
	return l
}

// icons is the layout of points with the icons of their classes, which all are drawn
// and leave room to names.
func (p *pen) icons(size any) values {
	return values{"icon-image": p.palette.choose(p.class, iconOf), "icon-size": size, "icon-allow-overlap": true, "icon-ignore-placement": true}
}

// names writes the labels, or nothing where the dataset has none. layout is
// changed.
func (p *pen) names(order int, from float64, filter any, layout values, ink any) []Layer {
	if p.label == "" {
		return nil
	}
	layout["text-field"] = text(p.label)
	return []Layer{p.single(Layer{
		ID: "names", Type: "symbol", MinZoom: from, Filter: filter, Layout: layout, order: order,
		Paint: values{"text-color": ink, "text-halo-color": halo, "text-halo-width": 1.4},
	})}
}
