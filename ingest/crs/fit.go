package crs

import (
	"fmt"
	"math"
)

// search finds the first candidate under which the sample lies in the box.
func (e Evidence) search() (epsg int, swapped, found bool) {
	if e.Box == ([4]float64{}) {
		return 0, false, false
	}
	candidates := append([]int{}, e.Zones[:min(len(e.Zones), 64)]...)
	candidates = append(candidates, epsgCGCS2000, epsgMercator)
	// A zone number in front of the easting names its own code.
	for c := epsgZone3; c < epsgCM3; c++ {
		candidates = append(candidates, c)
	}
	for c := epsgZone6; c < epsgCM6; c++ {
		candidates = append(candidates, c)
	}
	for _, c := range candidates {
		if ok, swap, _ := e.fits(c); ok {
			return c, swap, true
		}
	}
	return 0, false, false
}

// fits reports whether the sample lies in the box under a code, in either axis
// order; can is false when it cannot be tested.
func (e Evidence) fits(epsg int) (ok, swapped, can bool) {
	p, known := ProjectionOf(epsg)
	if !known {
		return false, false, false
	}
	return e.fitsBy(p)
}

// fitsBy is fits for coordinates that a converter brings to degrees.
func (e Evidence) fitsBy(p Converter) (ok, swapped, can bool) {
	if len(e.Points) == 0 || e.Box == ([4]float64{}) {
		return false, false, false
	}
	if e.share(p, e.flat(false)) >= fitShare {
		return true, false, true
	}
	if e.share(p, e.flat(true)) >= fitShare {
		return true, true, true
	}
	return false, false, true
}

// flat is the sample as one array, exchanged when asked.
func (e Evidence) flat(swap bool) []float64 {
	out := make([]float64, 0, 2*len(e.Points))
	for _, p := range e.Points {
		out = append(out, p[0], p[1])
	}
	if swap {
		SwapXY(out, 2)
	}
	return out
}

// share is the part of the points inside the box; flat is overwritten.
func (e Evidence) share(p Converter, flat []float64) float64 {
	p.Inverse(flat, 2)
	in := 0
	for i := 0; i+1 < len(flat); i += 2 {
		x, y := flat[i], flat[i+1]
		if x >= e.Box[0]-boxMargin && x <= e.Box[2]+boxMargin && y >= e.Box[1]-boxMargin && y <= e.Box[3]+boxMargin {
			in++
		}
	}
	return float64(in) / float64(len(flat)/2)
}

// degrees reports whether the sample can be nothing but degrees.
func (e Evidence) degrees() bool {
	for _, p := range e.Points {
		if !(math.Abs(p[0]) <= 180 && math.Abs(p[1]) <= 180) {
			return false
		}
	}
	return len(e.Points) > 0
}

func (e Evidence) boxText() string {
	return fmt.Sprintf("%.2f–%.2f°E, %.2f–%.2f°N", e.Box[0], e.Box[2], e.Box[1], e.Box[3])
}

// firstText shows one coordinate, so that a person sees what is meant.
func (e Evidence) firstText() string {
	for _, p := range e.Points {
		if !math.IsNaN(p[0]) && !math.IsNaN(p[1]) {
			return fmt.Sprintf(" [%.8g, %.8g]", p[0], p[1])
		}
	}
	return ""
}
