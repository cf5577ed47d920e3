package ingest

import (
	"math"
	"strings"

	"github.com/twpayne/go-geom"
)

// geometryOf returns the OGC type of the column that takes all the given types:
// polygons and lines go into their multi types, so that a column has one type;
// unlike dimensions go into Geometry.
func geometryOf(types ...string) string {
	out := ""
	for _, t := range types {
		t = strings.ToLower(strings.TrimRight(strings.ToUpper(t), " ZM"))
		var one string
		switch t {
		case "point":
			one = "Point"
		case "multipoint":
			one = "MultiPoint"
		case "linestring", "multilinestring":
			one = "MultiLineString"
		case "polygon", "multipolygon":
			one = "MultiPolygon"
		case "", "null", "none":
			continue
		default:
			return "Geometry"
		}
		switch {
		case out == "" || out == one:
			out = one
		case strings.HasSuffix(out, "Point") && strings.HasSuffix(one, "Point"):
			out = "MultiPoint"
		default:
			return "Geometry"
		}
	}
	if out == "" {
		return "Geometry"
	}
	return out
}

// dimension returns the topological dimension of an OGC type, -1 for any.
func dimension(geometry string) int {
	switch geometry {
	case "Point", "MultiPoint":
		return 0
	case "MultiLineString":
		return 1
	case "MultiPolygon":
		return 2
	}
	return -1
}

// fit makes g a geometry of the column's type, false when it cannot be one.
func fit(g geom.T, geometry string) (geom.T, bool) {
	switch geometry {
	case "Geometry":
		return g, true
	case "Point":
		switch g := g.(type) {
		case *geom.Point:
			return g, true
		case *geom.MultiPoint:
			if g.NumPoints() == 1 {
				return g.Point(0), true
			}
		}
	case "MultiPoint":
		switch g := g.(type) {
		case *geom.MultiPoint:
			return g, true
		case *geom.Point:
			return geom.NewMultiPointFlat(g.Layout(), g.FlatCoords()), true
		}
	case "MultiLineString":
		switch g := g.(type) {
		case *geom.MultiLineString:
			return g, true
		case *geom.LineString:
			return geom.NewMultiLineStringFlat(g.Layout(), g.FlatCoords(), []int{len(g.FlatCoords())}), true
		}
	case "MultiPolygon":
		switch g := g.(type) {
		case *geom.MultiPolygon:
			return g, true
		case *geom.Polygon:
			return geom.NewMultiPolygonFlat(g.Layout(), g.FlatCoords(), [][]int{g.Ends()}), true
		}
	}
	return nil, false
}

// closed makes areas of lines whose ends meet. Where one's do not, gap is how far
// apart they are and the geometry is nil.
func closed(g geom.T) (areas *geom.MultiPolygon, gap float64) {
	var lines []*geom.LineString
	switch g := g.(type) {
	case *geom.LineString:
		lines = append(lines, g)
	case *geom.MultiLineString:
		for i := range g.NumLineStrings() {
			lines = append(lines, g.LineString(i))
		}
	}
	if len(lines) == 0 {
		return nil, math.NaN()
	}
	areas = geom.NewMultiPolygon(g.Layout())
	for _, l := range lines {
		flat, stride := l.FlatCoords(), l.Stride()
		if len(flat) == 0 {
			return nil, math.NaN()
		}
		end := flat[len(flat)-stride:]
		if gap := math.Hypot(end[0]-flat[0], end[1]-flat[1]); gap != 0 {
			return nil, gap
		}
		if len(flat) < 4*stride {
			return nil, 0
		}
		if err := areas.Push(geom.NewPolygonFlat(l.Layout(), flat, []int{len(flat)})); err != nil {
			return nil, math.NaN()
		}
	}
	return areas, 0
}

// closeLines takes the closed lines of a drawing for areas where the dataset is of
// areas: as it is, or as its standard wants for the first time.
func (i *Ingester) closeLines(p *Plan, s source) {
	if !s.drawn || s.geometry != "MultiLineString" {
		return
	}
	target := p.settings.geometry
	if std, ok := i.config.Library.Profile(p.settings.profile); ok && p.settings.release == 0 {
		target = std.Geometry
	}
	if target == "MultiPolygon" {
		p.geometry, p.closes = target, true
	}
}

// eachFlat calls f with every flat coordinate array of g.
func eachFlat(g geom.T, f func(flat []float64, stride int)) {
	if c, ok := g.(*geom.GeometryCollection); ok {
		for _, member := range c.Geoms() {
			eachFlat(member, f)
		}
		return
	}
	f(g.FlatCoords(), g.Stride())
}

// extent returns min x, min y, max x, max y of g; it is inverted when g is empty
// and NaN when any coordinate is.
func extent(g geom.T) [4]float64 {
	b := [4]float64{math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)}
	eachFlat(g, func(flat []float64, stride int) {
		for i := 0; i+1 < len(flat); i += stride {
			x, y := flat[i], flat[i+1]
			b[0], b[1] = min(b[0], x), min(b[1], y)
			b[2], b[3] = max(b[2], x), max(b[3], y)
		}
	})
	return b
}
