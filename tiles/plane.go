package tiles

import "math"

// plane gives positions in units of a tile.
//
// Within the tile and its margin the rows of all matrix sets follow from the
// latitude so smoothly that a polynomial of the fourth degree through five exact
// places is as good as the projection, and costs a fifth of it. Whether it is so
// good is tried when the plane is made; where not, as for the tiles of the whole
// world or at its edges, and beyond the margin the projection itself is asked.
type plane struct {
	project   func(lon, lat float64) (x, y float64)
	left, top float64 // of the tile, in units of the matrix set's CRS
	scale     float64 // units of Extent in one unit of the CRS

	// x = (lon - west) * dx, as in all matrix sets.
	west, dx float64
	// y is the polynomial in lat - origin between south and north.
	south, north, origin float64
	c                    [5]float64
}

// newPlane makes the plane of a tile whose address is valid.
func newPlane(a Address) plane {
	set, _ := Set(a.Set)
	b := a.Bounds(0)
	p := plane{project: set.Project, left: b[0], top: b[3], scale: Extent / (b[2] - b[0])}
	west, _ := set.Project(-180, 0)
	east, _ := set.Project(180, 0)
	p.dx = (east - west) / 360 * p.scale
	p.west = a.Degrees(0)[0]

	box := a.Degrees(Buffer)
	south, north := box[1], box[3]
	p.origin = (south + north) / 2
	// Newton's divided differences at Chebyshev's places, multiplied out.
	var places, d [5]float64
	for i := range places {
		places[i] = (north - south) / 2 * math.Cos(math.Pi*(2*float64(i)+1)/10)
		_, d[i] = p.exact(0, p.origin+places[i])
	}
	for k := 1; k < len(d); k++ {
		for i := len(d) - 1; i >= k; i-- {
			d[i] = (d[i] - d[i-1]) / (places[i] - places[i-k])
		}
	}
	for i := len(d) - 1; i >= 0; i-- {
		for k := len(p.c) - 1; k > 0; k-- {
			p.c[k] = p.c[k-1] - places[i]*p.c[k]
		}
		p.c[0] = d[i] - places[i]*p.c[0]
	}
	p.south, p.north = south, north
	for i := range 33 {
		lat := south + (north-south)*float64(i)/32
		_, want := p.exact(0, lat)
		// Not the other way about: NaN must not pass.
		if _, y := p.at(0, lat); !(math.Abs(y-want) < 1e-4) {
			p.south, p.north = math.Inf(1), math.Inf(-1)
			break
		}
	}
	return p
}

func (p *plane) exact(lon, lat float64) (x, y float64) {
	x, y = p.project(lon, lat)
	return (x - p.left) * p.scale, (p.top - y) * p.scale
}

// at gives a position right and down from the tile's upper left corner, within
// 1e-4 of a unit.
func (p *plane) at(lon, lat float64) (x, y float64) {
	x = (lon - p.west) * p.dx
	if lat < p.south || lat > p.north {
		_, y = p.project(lon, lat)
		return x, (p.top - y) * p.scale
	}
	t := lat - p.origin
	return x, p.c[0] + t*(p.c[1]+t*(p.c[2]+t*(p.c[3]+t*p.c[4])))
}
