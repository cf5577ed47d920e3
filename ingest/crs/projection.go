package crs

import (
	"fmt"
	"math"
)

// The EPSG codes of the CGCS2000 Gauss-Krueger family are four unbroken runs.
const (
	epsgCGCS2000  = 4490
	epsgWGS84     = 4326
	epsgMercator  = 3857
	epsgZone6     = 4491 // zones 13..23, easting with the zone number in front
	epsgCM6       = 4502 // central meridians 75..135 by 6
	epsgZone3     = 4513 // zones 25..45, easting with the zone number in front
	epsgCM3       = 4534 // central meridians 75..135 by 3
	epsgLastGauss = 4554
)

type method int

const (
	geographic method = iota
	gauss
	mercator
)

// Projection converts between a projected or geographic CRS of the family this
// package knows and longitude, latitude in degrees of CGCS2000; one made by
// GaussKruger.Projection on another ellipsoid, degrees of the datum of that
// ellipsoid. It is immutable and safe for concurrent use. The zero value is the
// identity.
type Projection struct {
	method method
	series *kruger
	lon0   float64 // central meridian, degrees
	fe     float64 // false easting with the zone number, metres
	fn     float64 // false northing, metres
	excess float64 // scale on the central meridian, less 1
}

// ProjectionOf returns the projection of an EPSG code: 4490 and 4326 (also used
// for CRS84; longitude first here), 3857, and the CGCS2000 Gauss-Krueger codes
// 4491 to 4554. WGS 84 and CGCS2000 are taken as equal, which holds within a few
// centimetres.
func ProjectionOf(epsg int) (Projection, bool) {
	switch {
	case epsg == epsgCGCS2000 || epsg == epsgWGS84:
		return Projection{}, true
	case epsg == epsgMercator:
		return Projection{method: mercator}, true
	}
	lon0, fe, ok := gaussOf(epsg)
	if !ok {
		return Projection{}, false
	}
	return Projection{method: gauss, series: newKruger(cgcsA, cgcsRF), lon0: lon0, fe: fe}, true
}

// gaussOf gives central meridian and false easting of a code of the family.
func gaussOf(epsg int) (lon0, fe float64, ok bool) {
	switch {
	case epsg < epsgZone6 || epsg > epsgLastGauss:
		return 0, 0, false
	case epsg < epsgCM6:
		z := float64(epsg - epsgZone6 + 13)
		return 6*z - 3, z*1e6 + 500000, true
	case epsg < epsgZone3:
		return float64(75 + 6*(epsg-epsgCM6)), 500000, true
	case epsg < epsgCM3:
		z := float64(epsg - epsgZone3 + 25)
		return 3 * z, z*1e6 + 500000, true
	}
	return float64(75 + 3*(epsg-epsgCM3)), 500000, true
}

// nameOf is the EPSG name of a code this package can project, else "EPSG:n".
func nameOf(epsg int) string {
	if name := legacyName(epsg); name != "" {
		return name
	}
	switch {
	case epsg == epsgCGCS2000:
		return "CGCS2000"
	case epsg == epsgWGS84:
		return "WGS 84"
	case epsg == epsgMercator:
		return "WGS 84 / Pseudo-Mercator"
	case epsg >= epsgZone6 && epsg < epsgCM6:
		return fmt.Sprintf("CGCS2000 / Gauss-Kruger zone %d", epsg-epsgZone6+13)
	case epsg >= epsgCM6 && epsg < epsgZone3:
		return fmt.Sprintf("CGCS2000 / Gauss-Kruger CM %dE", 75+6*(epsg-epsgCM6))
	case epsg >= epsgZone3 && epsg < epsgCM3:
		return fmt.Sprintf("CGCS2000 / 3-degree Gauss-Kruger zone %d", epsg-epsgZone3+25)
	case epsg >= epsgCM3 && epsg <= epsgLastGauss:
		return fmt.Sprintf("CGCS2000 / 3-degree Gauss-Kruger CM %dE", 75+3*(epsg-epsgCM3))
	case epsg > 32600 && epsg <= 32660:
		return fmt.Sprintf("WGS 84 / UTM zone %dN", epsg-32600)
	case epsg > 32700 && epsg <= 32760:
		return fmt.Sprintf("WGS 84 / UTM zone %dS", epsg-32700)
	}
	return fmt.Sprintf("EPSG:%d", epsg)
}

// Inverse converts in place: X (easting, or longitude) and Y (northing, or
// latitude) become longitude and latitude in degrees of CGCS2000. Each point is
// stride numbers long, X and Y first; what follows (Z, M) is left alone. A stride
// below 2 changes nothing. Numbers far outside the projection give NaN or
// nonsense, never a panic.
func (p Projection) Inverse(flat []float64, stride int) {
	if stride < 2 {
		return
	}
	switch p.method {
	case gauss:
		reduce := 1 / (1 + p.excess)
		for i := 0; i+1 < len(flat); i += stride {
			lam, phi := p.series.inverse((flat[i]-p.fe)*reduce, (flat[i+1]-p.fn)*reduce)
			flat[i], flat[i+1] = p.lon0+lam/degree, phi/degree
		}
	case mercator:
		for i := 0; i+1 < len(flat); i += stride {
			flat[i], flat[i+1] = flat[i]/cgcsA/degree, math.Atan(math.Sinh(flat[i+1]/cgcsA))/degree
		}
	}
}

// Forward is the reverse of Inverse: longitude, latitude become X, Y.
func (p Projection) Forward(flat []float64, stride int) {
	if stride < 2 {
		return
	}
	switch p.method {
	case gauss:
		scale := 1 + p.excess
		for i := 0; i+1 < len(flat); i += stride {
			x, y := p.series.forward((flat[i]-p.lon0)*degree, flat[i+1]*degree)
			flat[i], flat[i+1] = x*scale+p.fe, y*scale+p.fn
		}
	case mercator:
		for i := 0; i+1 < len(flat); i += stride {
			flat[i], flat[i+1] = flat[i]*degree*cgcsA, math.Asinh(math.Tan(flat[i+1]*degree))*cgcsA
		}
	}
}

// SwapXY exchanges the first two numbers of every point in place, for files that
// store northing or latitude first.
func SwapXY(flat []float64, stride int) {
	if stride < 2 {
		return
	}
	for i := 0; i+1 < len(flat); i += stride {
		flat[i], flat[i+1] = flat[i+1], flat[i]
	}
}
