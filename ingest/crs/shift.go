package crs

import "math"

// shift is one step between two systems: of plane coordinates in metres for a
// similarity, of longitude and latitude in degrees for the other two.
type shift interface {
	// toTarget takes a position in the source system to the target system; NaN
	// where it is not defined.
	toTarget(x, y float64) (float64, float64)
	// toSource is its reverse.
	toSource(x, y float64) (float64, float64)
}

// similarity is the four-parameter transformation of a plane, easting and
// northing in metres:
//
//	E' = e + p·E − q·N
//	N' = n + q·E + p·N
//
// with p = scale·cos, q = scale·sin of the rotation, counter-clockwise.
type similarity struct{ e, n, p, q float64 }

// newSimilarity takes the parameters in either order of axes. With northFirst, x
// and dx are north and the formulas above hold for (N, E), so that a positive
// rotation turns clockwise.
func newSimilarity(northFirst bool, dx, dy, radians, scale float64) similarity {
	s, c := math.Sincos(radians)
	if northFirst {
		return similarity{e: dy, n: dx, p: scale * c, q: -scale * s}
	}
	return similarity{e: dx, n: dy, p: scale * c, q: scale * s}
}

func (s similarity) toTarget(x, y float64) (float64, float64) {
	return s.e + s.p*x - s.q*y, s.n + s.q*x + s.p*y
}

func (s similarity) toSource(x, y float64) (float64, float64) {
	x, y = x-s.e, y-s.n
	d := s.p*s.p + s.q*s.q
	return (s.p*x + s.q*y) / d, (s.p*y - s.q*x) / d
}

// helmert is the seven-parameter transformation between geocentric systems, with
// the rotations linearised: EPSG methods 9606 (position vector) and 9607
// (coordinate frame), which differ in the sign of the rotations. Points lie on the
// ellipsoid of their system (height 0).
type helmert struct {
	from, to   *spheroid
	tx, ty, tz float64 // metres
	rx, ry, rz float64 // radians, position vector
	m          float64 // scale factor
}

// newHelmert takes metres, arc-seconds and parts per million.
func newHelmert(from, to Ellipsoid, coordinateFrame bool, t, r [3]float64, ppm float64) helmert {
	const second = degree / 3600
	if coordinateFrame {
		r[0], r[1], r[2] = -r[0], -r[1], -r[2]
	}
	return helmert{
		from: newSpheroid(from), to: newSpheroid(to), tx: t[0], ty: t[1], tz: t[2],
		rx: r[0] * second, ry: r[1] * second, rz: r[2] * second, m: 1 + ppm*1e-6,
	}
}

func (h helmert) toTarget(lon, lat float64) (float64, float64) {
	x, y, z := h.from.geocentric(lon, lat)
	return h.to.geographic(
		h.tx+h.m*(x-h.rz*y+h.ry*z),
		h.ty+h.m*(h.rz*x+y-h.rx*z),
		h.tz+h.m*(-h.ry*x+h.rx*y+z),
	)
}

// toSource iterates, as the height that toTarget drops is not to be had back. A
// round gains four digits or more.
func (h helmert) toSource(lon, lat float64) (float64, float64) {
	return invert(lon, lat, lon, lat, h.toTarget)
}

// spheroid holds what conversion to geocentric coordinates needs of an ellipsoid.
type spheroid struct{ a, b, e2, second2 float64 }

func newSpheroid(e Ellipsoid) *spheroid {
	a, rf := e.axes()
	f := 1 / rf
	e2 := f * (2 - f)
	return &spheroid{a: a, b: a * (1 - f), e2: e2, second2: e2 / (1 - e2)}
}

// geocentric takes a point on the ellipsoid, in degrees, to X, Y, Z in metres.
func (s *spheroid) geocentric(lon, lat float64) (x, y, z float64) {
	sp, cp := math.Sincos(lat * degree)
	sl, cl := math.Sincos(lon * degree)
	n := s.a / math.Sqrt(1-s.e2*sp*sp)
	return n * cp * cl, n * cp * sl, n * (1 - s.e2) * sp
}

// geographic takes X, Y, Z to degrees by B. R. Bowring's formula (1976) applied
// twice; within 100 km of the ellipsoid it is exact to 1e-11 arc-seconds.
func (s *spheroid) geographic(x, y, z float64) (lon, lat float64) {
	p := math.Hypot(x, y)
	tan := z * s.a / (p * s.b) // of the reduced latitude
	for range 2 {
		c := 1 / math.Sqrt(1+tan*tan)
		sn := tan * c
		t := (z + s.second2*s.b*sn*sn*sn) / (p - s.e2*s.a*c*c*c)
		lat = math.Atan(t)
		tan = t * s.b / s.a
	}
	return math.Atan2(y, x) / degree, lat / degree
}

// radii are those of curvature along the meridian and across, at a latitude in
// degrees.
func (s *spheroid) radii(lat float64) (meridian, prime float64) {
	sp := math.Sin(lat * degree)
	w2 := 1 - s.e2*sp*sp
	prime = s.a / math.Sqrt(w2)
	return prime * (1 - s.e2) / w2, prime
}
