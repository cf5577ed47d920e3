package ingest

import (
	"math"
	"strconv"

	"github.com/twpayne/go-geom"
	"github.com/zeebo/xxh3"

	"changde/catalog"
	"changde/ingest/layer"
)

// gauge measures rows while they are encoded, so that a statement over the loaded
// table need not read them all again. What it says of rows and areas holds as long
// as no row of the table is repaired or removed. It is used by one goroutine;
// gauges of several are added.
type gauge struct {
	class, key int // positions of the columns among the values, -1 for none
	areal      bool

	rows    int64
	area    float64
	extent  *catalog.Bounds
	classes map[string]ClassCount
	// keyless counts rows without a business key.
	keyless int64
	// keys are the hashes of the business keys, nil where they are not looked at, and
	// mayRepeat tells that one may be there twice.
	keys      map[uint64]struct{}
	mayRepeat bool
	// unsure are the fids of rows whose geometry is not surely valid; nil with
	// manyUnsure when they are too many to be listed.
	unsure     []int64
	manyUnsure bool
	// manyClasses tells that there are too many classes to be counted here.
	manyClasses bool
}

// The bounds of what a gauge keeps.
const (
	maxUnsure  = 100_000
	maxGrouped = 100_000
	maxKeys    = 2 * maxListed
)

// newGauge makes the gauge for rows of a plan.
func newGauge(p *Plan) *gauge {
	g := &gauge{class: -1, key: -1, classes: make(map[string]ClassCount)}
	d := dimension(p.geometry)
	g.areal = d < 0 || d == 2
	for n, c := range p.columns {
		if c.Name == p.settings.named["class"] {
			g.class = n
			g.manyClasses = c.Type != layer.Text && c.Type != layer.Integer // their text is PostgreSQL's to write
		}
		if c.Name == p.settings.businessKey {
			g.key = n
		}
	}
	if p.request.Mode == Changes && p.standard == nil {
		g.keys = make(map[uint64]struct{})
	}
	g.mayRepeat = g.keys == nil
	return g
}

// add measures a row; e is the extent of its geometry.
func (g *gauge) add(fid int64, values []any, shape geom.T, e [4]float64) {
	g.rows++
	if g.key >= 0 {
		g.addKey(values[g.key])
	}
	if shape == nil {
		return
	}
	if !surelyValid(shape) {
		g.doubt(fid)
	}
	g.extent = joinBounds(g.extent, e)
	c := ClassCount{Rows: 1}
	if g.areal {
		c.Area = squareMetres(planeArea(shape), (e[1]+e[3])/2)
	}
	g.area += c.Area
	if g.class >= 0 && !g.manyClasses {
		c.Class = textOfKey(values[g.class])
		g.count(c)
	}
}

func (g *gauge) addKey(v any) {
	key := textOfKey(v)
	if key == "" {
		g.keyless++
	}
	if v != nil { // keys that are not there do not repeat
		g.meet(xxh3.HashString(key))
	}
}

// meet counts the hash of a key in.
func (g *gauge) meet(key uint64) {
	if g.mayRepeat {
		return
	}
	_, known := g.keys[key]
	if known || len(g.keys) == maxKeys {
		g.keys, g.mayRepeat = nil, true
		return
	}
	g.keys[key] = struct{}{}
}

func (g *gauge) count(c ClassCount) {
	sum, ok := g.classes[c.Class]
	if !ok && len(g.classes) == maxGrouped {
		g.manyClasses = true
		return
	}
	g.classes[c.Class] = ClassCount{Class: c.Class, Rows: sum.Rows + c.Rows, Area: sum.Area + c.Area}
}

func (g *gauge) doubt(fids ...int64) {
	if g.manyUnsure || len(g.unsure)+len(fids) > maxUnsure {
		g.unsure, g.manyUnsure = nil, true
		return
	}
	g.unsure = append(g.unsure, fids...)
}

// join adds what another gauge measured.
func (g *gauge) join(o *gauge) {
	g.rows += o.rows
	g.area += o.area
	g.keyless += o.keyless
	if o.extent != nil {
		g.extent = joinBounds(g.extent, *o.extent)
	}
	g.manyClasses = g.manyClasses || o.manyClasses
	for _, c := range o.classes {
		g.count(c)
	}
	g.mayRepeat = g.mayRepeat || o.mayRepeat
	for key := range o.keys {
		g.meet(key)
	}
	g.manyUnsure = g.manyUnsure || o.manyUnsure
	g.doubt(o.unsure...)
}

// statistics gives what measure would; ok tells that it can.
func (g *gauge) statistics(class string) (s Statistics, extent *catalog.Bounds, ok bool) {
	if g.class >= 0 && g.manyClasses {
		return s, nil, false
	}
	s = Statistics{Rows: g.rows, Area: g.area, Column: class}
	s.Classes, s.Folded = tally(g.classes).list()
	return s, g.extent, true
}

// textOfKey is the text of a value of type text or integer as it is stored.
func textOfKey(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return cleanText(v)
	case int64:
		return strconv.FormatInt(v, 10)
	}
	return "?" // of another type, never empty
}

// squareMetres turns an area in square degrees at a latitude into one on the
// ellipsoid; see appendArea.
func squareMetres(area, lat float64) float64 {
	sin, cos := math.Sincos(lat * (math.Pi / 180))
	w := 1 - 0.006694380022900787*sin*sin
	return area * 12309072078.888908 * cos / (w * w)
}

// planeArea is the area in the plane of the coordinates, holes taken off, as
// PostGIS's ST_Area.
func planeArea(g geom.T) (area float64) {
	polygon := func(flat []float64, start int, ends []int, stride int) {
		for n, end := range ends {
			a := math.Abs(ringArea(flat[start:end], stride))
			if n > 0 {
				a = -a
			}
			area += a
			start = end
		}
	}
	switch g := g.(type) {
	case *geom.Polygon:
		polygon(g.FlatCoords(), 0, g.Ends(), g.Stride())
	case *geom.MultiPolygon:
		start := 0
		for _, ends := range g.Endss() {
			polygon(g.FlatCoords(), start, ends, g.Stride())
			if len(ends) > 0 {
				start = ends[len(ends)-1]
			}
		}
	case *geom.GeometryCollection:
		for _, member := range g.Geoms() {
			area += planeArea(member)
		}
	}
	return area
}

// ringArea is the signed area of a closed ring, taken about its first vertex to
// keep the digits.
func ringArea(flat []float64, stride int) float64 {
	if len(flat) < 3*stride {
		return 0
	}
	x0, sum := flat[0], 0.0
	for i := stride; i+stride < len(flat); i += stride {
		sum += (flat[i] - x0) * (flat[i+stride+1] - flat[i-stride+1])
	}
	return sum / 2
}
