package crs

import "math"

// CGCS2000 ellipsoid: GB 22021, CH/T 2009; a in metres.
const (
	cgcsA  = 6378137.0
	cgcsRF = 298.257222101
	degree = math.Pi / 180
)

// kruger is a transverse Mercator projection of one ellipsoid by Krüger's
// series in the third flattening n, with the coefficients to order 6 of
// C. F. F. Karney, "Transverse Mercator with an accuracy of a few nanometers"
// (2011), equations 14, 35 and 36. The truncation error stays below 5 nm within
// 35 degrees of the central meridian.
type kruger struct {
	e     float64    // first eccentricity
	a     float64    // radius of the rectifying sphere, metres
	alpha [6]float64 // spherical to ellipsoidal transverse Mercator
	beta  [6]float64 // the reverse
	delta [6]float64 // conformal to geographic latitude
}

// newKruger computes the series of the ellipsoid with semi-major axis a and
// reciprocal flattening rf.
func newKruger(a, rf float64) *kruger {
	f := 1 / rf
	n := f / (2 - f)
	n2 := n * n
	n3 := n2 * n
	n4, n5, n6 := n2*n2, n2*n3, n3*n3
	return &kruger{
		e: math.Sqrt(f * (2 - f)),
		a: a / (1 + n) * (1 + n2/4 + n4/64 + n6/256),
		alpha: [6]float64{
			n/2 - 2*n2/3 + 5*n3/16 + 41*n4/180 - 127*n5/288 + 7891*n6/37800,
			13*n2/48 - 3*n3/5 + 557*n4/1440 + 281*n5/630 - 1983433*n6/1935360,
			61*n3/240 - 103*n4/140 + 15061*n5/26880 + 167603*n6/181440,
			49561*n4/161280 - 179*n5/168 + 6601661*n6/7257600,
			34729*n5/80640 - 3418889*n6/1995840,
			212378941 * n6 / 319334400,
		},
		beta: [6]float64{
			n/2 - 2*n2/3 + 37*n3/96 - n4/360 - 81*n5/512 + 96199*n6/604800,
			n2/48 + n3/15 - 437*n4/1440 + 46*n5/105 - 1118711*n6/3870720,
			17*n3/480 - 37*n4/840 - 209*n5/4480 + 5569*n6/90720,
			4397*n4/161280 - 11*n5/504 - 830251*n6/7257600,
			4583*n5/161280 - 108847*n6/3991680,
			20648693 * n6 / 638668800,
		},
		delta: [6]float64{
			2*n - 2*n2/3 - 2*n3 + 116*n4/45 + 26*n5/45 - 2854*n6/675,
			7*n2/3 - 8*n3/5 - 227*n4/45 + 2704*n5/315 + 2323*n6/945,
			56*n3/15 - 136*n4/35 - 1262*n5/105 + 73814*n6/2835,
			4279*n4/630 - 332*n5/35 - 399572*n6/14175,
			4174*n5/315 - 144838*n6/6237,
			601676 * n6 / 22275,
		},
	}
}

// series sums c[j-1]·sin(2jζ) for ζ = ξ+iη by Clenshaw's recurrence and returns
// its real and imaginary part.
func series(c *[6]float64, xi, eta float64) (re, im float64) {
	s, co := math.Sincos(2 * xi)
	ep := math.Exp(2 * eta)
	em := 1 / ep
	ch, sh := (ep+em)/2, (ep-em)/2
	if eta < 1e-3 && eta > -1e-3 {
		t := 2 * eta // sinh by its Taylor series: the difference above loses digits near 0
		sh = t * (1 + t*t/6*(1+t*t/20))
	}
	// a = 2·cos(2ζ)
	ar, ai := 2*co*ch, -2*s*sh
	var br, bi, b2r, b2i float64
	for j := 5; j >= 0; j-- {
		br, bi, b2r, b2i = ar*br-ai*bi-b2r+c[j], ar*bi+ai*br-b2i, br, bi
	}
	// sin(2ζ)·b
	sr, si := s*ch, co*sh
	return sr*br - si*bi, sr*bi + si*br
}

// forward turns longitude from the central meridian and latitude, in radians,
// into easting and northing in metres at scale 1, without false origins.
func (k *kruger) forward(lam, phi float64) (x, y float64) {
	sp, cp := math.Sincos(phi)
	tau := math.Sinh(math.Asinh(sp/cp) - k.e*math.Atanh(k.e*sp))
	sl, cl := math.Sincos(lam)
	xi := math.Atan2(tau, cl)
	eta := math.Asinh(sl / math.Hypot(tau, cl))
	dr, di := series(&k.alpha, xi, eta)
	return k.a * (eta + di), k.a * (xi + dr)
}

// inverse is the reverse of forward.
func (k *kruger) inverse(x, y float64) (lam, phi float64) {
	xi, eta := y/k.a, x/k.a
	dr, di := series(&k.beta, xi, eta)
	xi, eta = xi-dr, eta-di
	sx, cx := math.Sincos(xi)
	sh := math.Sinh(eta)
	tau := sx / math.Sqrt(sh*sh+cx*cx)
	// sin(2χ) and cos(2χ) from tan(χ); Clenshaw for Σ delta[j-1]·sin(2jχ)
	d := 1 / (1 + tau*tau)
	s2, a := 2*tau*d, 2*(1-tau*tau)*d
	var b, b2 float64
	for j := 5; j >= 0; j-- {
		b, b2 = a*b-b2+k.delta[j], b
	}
	return math.Atan2(sh, cx), math.Atan(tau) + s2*b
}
