package quality

import "math"

// The ellipsoid of CGCS2000 (GB/T 17798 and the definition of EPSG:1024).
const (
	semiMajor  = 6378137.0
	flattening = 1 / 298.257222101
	e2         = flattening * (2 - flattening)
	radians    = math.Pi / 180
	// earthRadius is good enough for how far a chord and a geodesic part.
	earthRadius = 6371000.0
)

var eccentricity = math.Sqrt(e2)

// scale gives the length in metres of a degree of longitude and of latitude.
func scale(lat float64) (x, y float64) {
	sin, cos := math.Sincos(lat * radians)
	w := 1 - e2*sin*sin
	n := semiMajor / math.Sqrt(w)
	return n * cos * radians, n * (1 - e2) / w * radians
}

// authalic is q of the equal-area cylindrical projection times a²/2: a figure in
// the plane of longitude in radians and authalic has the area it has on the
// ellipsoid, when its edges are straight there.
func authalic(lat float64) float64 {
	s := math.Sin(lat * radians)
	es := eccentricity * s
	q := (1 - e2) * (s/(1-es*es) + math.Atanh(es)/eccentricity)
	return semiMajor * semiMajor / 2 * q
}

// drift is how far in metres an edge of the given length may lie from the one
// that is straight on the map: rows are straight where they were drawn, and what
// is straight in a projection is not in longitude and latitude. A corner of one
// row on the edge of another therefore leaves a sliver of this width.
func drift(length, lat float64) float64 {
	return length * length * math.Tan(math.Min(math.Abs(lat), 80)*radians) / (8 * earthRadius)
}

// width is that of a rectangle with the area and the perimeter given, in metres:
// the mean width of what is long and thin.
func width(area, round float64) float64 {
	half := round / 2
	if d := half*half - 4*area; d > 0 {
		return 2 * area / (half + math.Sqrt(d))
	}
	return half / 2
}
