package crs

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
)

// CheckPoint is a point known in both systems. Source is X, Y in the source system
// of the transformation: easting, northing in metres or longitude, latitude in
// degrees. Target is X, Y in the CRS of the code EPSG, one of ProjectionOf; 0 is
// 4490. Points known in both systems give the parameters away, so that a printed,
// logged or encoded CheckPoint is its name alone.
type CheckPoint struct {
	Name           string
	Source, Target [2]float64
	EPSG           int
}

// String gives the name.
func (p CheckPoint) String() string { return "check point " + p.Name }

// GoString is String.
func (p CheckPoint) GoString() string { return p.String() }

// Format writes String whatever the verb.
func (p CheckPoint) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, p.String()) }

// LogValue gives the name.
func (p CheckPoint) LogValue() slog.Value { return slog.StringValue(p.Name) }

// MarshalJSON gives the name.
func (p CheckPoint) MarshalJSON() ([]byte, error) { return json.Marshal(p.Name) }

// Residual is how far a transformation puts a check point from where it is, in
// metres on the ellipsoid. Outside says that the point is outside the grid, or its
// CRS unknown: it has no residual.
type Residual struct {
	Name     string  `json:"name"`
	East     float64 `json:"east"`
	North    float64 `json:"north"`
	Distance float64 `json:"distance"`
	Outside  bool    `json:"outside,omitempty"`
}

// Residuals are those of check points. RMS is the root of the mean square
// distance and Worst the greatest distance of the points that have a residual, in
// metres; Checked is how many these are.
type Residuals struct {
	Points  []Residual `json:"points"`
	Checked int        `json:"checked"`
	RMS     float64    `json:"rms"`
	Worst   float64    `json:"worst"`
}

// Residuals applies the transformation to check points, to its own when points is
// nil. They are in the source system the document names, whatever From bound.
func (t *Transformation) Residuals(points []CheckPoint) Residuals {
	if points == nil && t.checks != nil {
		points = t.checks()
	}
	own := t
	if t.open != nil {
		own = t.bind(t.open().source)
	}
	out := Residuals{Points: make([]Residual, 0, len(points))}
	ground := newSpheroid(CGCS2000)
	var sum float64
	for _, p := range points {
		r := Residual{Name: p.Name}
		epsg := p.EPSG
		if epsg == 0 {
			epsg = epsgCGCS2000
		}
		is, should := p.Source, p.Target
		projection, known := ProjectionOf(epsg)
		own.Inverse(is[:], 2)
		projection.Inverse(should[:], 2)
		meridian, prime := ground.radii(should[1])
		r.East = (is[0] - should[0]) * degree * prime * math.Cos(should[1]*degree)
		r.North = (is[1] - should[1]) * degree * meridian
		r.Distance = math.Hypot(r.East, r.North)
		if !known || math.IsNaN(r.Distance) || math.IsInf(r.Distance, 0) {
			out.Points = append(out.Points, Residual{Name: p.Name, Outside: true})
			continue
		}
		out.Points = append(out.Points, r)
		out.Checked++
		sum += r.Distance * r.Distance
		out.Worst = max(out.Worst, r.Distance)
	}
	if out.Checked > 0 {
		out.RMS = math.Sqrt(sum / float64(out.Checked))
	}
	return out
}
