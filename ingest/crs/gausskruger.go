package crs

import (
	"fmt"
	"math"

	"changde/problem"
)

// Ellipsoid is one of the three on which Chinese coordinates were computed.
type Ellipsoid int

// The ellipsoids: semi-major axis in metres, reciprocal flattening.
const (
	CGCS2000       Ellipsoid = iota // 6378137, 298.257222101 (GB 22021)
	IAG1975                         // 6378140, 298.257, of Xi'an 1980
	Krassovsky1940                  // 6378245, 298.3, of Beijing 1954
)

// axes gives the semi-major axis in metres and the reciprocal flattening.
func (e Ellipsoid) axes() (a, rf float64) {
	switch e {
	case IAG1975:
		return 6378140, 298.257
	case Krassovsky1940:
		return 6378245, 298.3
	}
	return cgcsA, cgcsRF
}

// GaussKruger is a Gauss-Krueger projection with any central meridian. Its zero
// value lies on CGCS2000 at Greenwich without false origin.
type GaussKruger struct {
	Ellipsoid       Ellipsoid
	CentralMeridian float64 // degrees east
	FalseEasting    float64 // metres, without the zone number
	FalseNorthing   float64 // metres
	Zone            int     // number in front of the easting, in millions of metres; 0 for none
	Scale           float64 // on the central meridian; 0 is taken as 1
}

// Bounds of the parameters of a GaussKruger.
const (
	maxFalse  = 1e8 // metres
	maxZone   = 120
	minScale  = 0.9
	maxScale  = 1.1
	maxDegree = 180
)

// Projection returns the projection between easting, northing in metres and
// longitude, latitude in degrees of the datum of the ellipsoid: no change of datum
// takes place. A parameter out of bounds is a *problem.Error that does not quote
// it.
func (g GaussKruger) Projection() (Projection, error) {
	if g.Scale == 0 {
		g.Scale = 1
	}
	out := func(v, lo, hi float64) bool { return !(v >= lo && v <= hi) } // NaN is out
	switch {
	case g.Ellipsoid < CGCS2000 || g.Ellipsoid > Krassovsky1940:
		return Projection{}, gaussProblem("ellipsoid", "椭球不在已知的三种之内", "the ellipsoid is none of the three")
	case out(g.CentralMeridian, -maxDegree, maxDegree):
		return Projection{}, gaussProblem("centralMeridian", "中央子午线应在 -180 至 180 度之间", "the central meridian must be from -180 to 180 degrees")
	case out(g.FalseEasting, -maxFalse, maxFalse), out(g.FalseNorthing, -maxFalse, maxFalse):
		return Projection{}, gaussProblem("falseEasting", "加常数超出范围（±1e8 米）", "a false origin is out of bounds (1e8 metres either way)")
	case g.Zone < 0 || g.Zone > maxZone:
		return Projection{}, gaussProblem("zone", fmt.Sprintf("带号应在 0 至 %d 之间", maxZone), fmt.Sprintf("the zone must be from 0 to %d", maxZone))
	case out(g.Scale, minScale, maxScale):
		return Projection{}, gaussProblem("scale", "中央子午线长度比应在 0.9 至 1.1 之间", "the scale on the central meridian must be from 0.9 to 1.1")
	}
	a, rf := g.Ellipsoid.axes()
	return Projection{
		method: gauss, series: newKruger(a, rf), lon0: g.CentralMeridian,
		fe: g.FalseEasting + 1e6*float64(g.Zone), fn: g.FalseNorthing, excess: g.Scale - 1,
	}, nil
}

func gaussProblem(where, zh, en string) error {
	return problem.New(problem.Invalid, "crs-projection", where, zh, en)
}

// run is an unbroken run of EPSG codes of one datum and kind.
type run struct {
	first, last int
	is          family
	step        int // degrees between meridians: 3 or 6; 0 for geographic
	begins      int // zone number, or central meridian in degrees, of the first code
	prefixed    bool
}

// legacyRuns are the codes of the legacy Chinese datums in the EPSG data set.
var legacyRuns = [...]run{
	{4610, 4610, xian1980, 0, 0, false},
	{2327, 2337, xian1980, 6, 13, true},
	{2338, 2348, xian1980, 6, 75, false},
	{2349, 2369, xian1980, 3, 25, true},
	{2370, 2390, xian1980, 3, 75, false},
	{4214, 4214, beijing1954, 0, 0, false},
	{2401, 2421, beijing1954, 3, 25, true},
	{2422, 2442, beijing1954, 3, 75, false},
	{21413, 21423, beijing1954, 6, 13, true},
	{21453, 21463, beijing1954, 6, 75, false},
	{21473, 21483, beijing1954, 6, 75, false}, // withdrawn by EPSG, still written
	{4555, 4555, newBeijing, 0, 0, false},
	{4568, 4578, newBeijing, 6, 13, true},
	{4579, 4589, newBeijing, 6, 75, false},
	{4652, 4656, newBeijing, 3, 25, true},
	{4766, 4781, newBeijing, 3, 30, true},
	{4782, 4800, newBeijing, 3, 75, false},
	{4812, 4812, newBeijing, 3, 132, false},
	{4822, 4822, newBeijing, 3, 135, false},
}

func legacyRun(epsg int) (run, bool) {
	for _, r := range legacyRuns {
		if epsg >= r.first && epsg <= r.last {
			return r, true
		}
	}
	return run{}, false
}

// legacyProjection returns the projection of a code of a legacy datum, to degrees
// of that datum.
func legacyProjection(epsg int) (Projection, family, bool) {
	r, ok := legacyRun(epsg)
	if !ok {
		return Projection{}, otherDatum, false
	}
	if r.step == 0 {
		return Projection{}, r.is, true
	}
	a, rf := r.is.ellipsoid().axes()
	p := Projection{method: gauss, series: newKruger(a, rf), fe: 500000}
	n := r.begins + epsg - r.first
	switch {
	case r.prefixed && r.step == 6:
		p.lon0 = float64(6*n - 3)
	case r.prefixed:
		p.lon0 = float64(3 * n)
	default:
		p.lon0 = float64(r.begins + r.step*(epsg-r.first))
	}
	if r.prefixed {
		p.fe += 1e6 * float64(n)
	}
	return p, r.is, true
}

// legacyName is the name of a code of a legacy datum.
func legacyName(epsg int) string {
	r, ok := legacyRun(epsg)
	if !ok {
		return ""
	}
	n := r.begins + epsg - r.first
	switch {
	case r.step == 0:
		return r.is.en()
	case r.prefixed:
		return fmt.Sprintf("%s / %d-degree Gauss-Kruger zone %d", r.is.en(), r.step, n)
	}
	return fmt.Sprintf("%s / %d-degree Gauss-Kruger CM %dE", r.is.en(), r.step, r.begins+r.step*(epsg-r.first))
}

// same reports whether two projections are one.
func (p Projection) same(q Projection) bool {
	if p.method != q.method {
		return false
	}
	return p.method != gauss || *p.series == *q.series && p.samePlane(q) && p.fe == q.fe && p.fn == q.fn
}

// samePlane reports whether two Gauss-Krueger projections differ in their false
// origin at most.
func (p Projection) samePlane(q Projection) bool {
	return p.method == q.method && math.Abs(p.lon0-q.lon0) < 1e-12 && p.excess == q.excess
}
