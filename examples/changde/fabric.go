package changde

import "math"

// fabric is the division of one block into parcels and streets: lines 0..n each
// way, of which the outermost cells are the border road (one ring) and some cells
// inside are streets. All shapes are made of its corners and edges, so neighbours
// share every vertex.
type fabric struct {
	b       *block
	n       int // cells each way, border and streets included
	x, y    []float64
	streetX []bool // columns that are streets, the border excluded
	streetY []bool
	urban   bool
	corners []point
	border  []point // shared vertices on the four sides, anticlockwise from the south-west, open
	flat    []float64
	ends    []int
}

// load makes the fabric of a block, reusing the memory of the previous one.
func (f *fabric) load(c *city, b *block) {
	f.b = b
	f.n = b.m + b.s + 2
	f.urban = b.m >= 21
	f.x, f.streetX = f.lines(f.x[:0], f.streetX[:0], 0x11)
	f.y, f.streetY = f.lines(f.y[:0], f.streetY[:0], 0x22)
	f.corners = f.corners[:0]
	for j := 0; j <= f.n; j++ {
		for i := 0; i <= f.n; i++ {
			f.corners = append(f.corners, f.place(i, j))
		}
	}
	f.border = f.border[:0]
	for k := range 4 * edgePoints {
		t := float64(k%edgePoints) * edgeStep
		switch k / edgePoints {
		case 0:
			f.border = append(f.border, b.at(t, 0))
		case 1:
			f.border = append(f.border, b.at(blockSize, t))
		case 2:
			f.border = append(f.border, b.at(blockSize-t, blockSize))
		default:
			f.border = append(f.border, b.at(0, blockSize-t))
		}
	}
}

// lines divides a side of the block: offsets of the lines and which cells are
// streets.
func (f *fabric) lines(pos []float64, street []bool, salt uint64) ([]float64, []bool) {
	half, width := 4.0, 5.0
	if f.urban {
		half, width = 12, 13
	}
	m, s := f.b.m, f.b.s
	weight := func(k int) float64 { return 0.72 + 0.56*unit(hash(f.b.key, salt, uint64(k))) }
	sum := 0.0
	for k := range m {
		sum += weight(k)
	}
	scale := (blockSize - 2*half - float64(s)*width) / sum
	pos = append(pos, 0, half)
	street = append(street, false)
	at := half
	done := 0
	for k := range m {
		at += weight(k) * scale
		pos, street = append(pos, at), append(street, false)
		if done < s && (k+1)*(s+1) >= (done+1)*m && k+1 < m {
			at += width
			pos, street = append(pos, at), append(street, true)
			done++
		}
	}
	for done < s { // cannot happen while s < m, but a street must not be lost
		at += width
		pos, street = append(pos, at), append(street, true)
		done++
	}
	pos[len(pos)-1] = blockSize - half
	return append(pos, blockSize), append(street, false)
}

// place finds a corner, moved a little off the lines inside the block.
func (f *fabric) place(i, j int) point {
	x, y := f.x[i], f.y[j]
	if i > 0 && i < f.n && j > 0 && j < f.n {
		r := 0.15 * min(f.x[i]-f.x[i-1], f.x[i+1]-f.x[i], f.y[j]-f.y[j-1], f.y[j+1]-f.y[j])
		h := hash(f.b.key, 0x33, uint64(i), uint64(j))
		x += (unit(h) - 0.5) * 2 * r
		y += (unit(mix(h)) - 0.5) * 2 * r
	}
	return f.b.at(x, y)
}

func (f *fabric) corner(i, j int) point { return f.corners[j*(f.n+1)+i] }

// edge appends the start and the inner vertices of the edge between two
// neighbouring corners; along is 0 for an edge to the east, 1 to the north.
func (f *fabric) edge(i, j, along int, back bool) {
	a, b := f.corner(i, j), f.corner(i+1-along, j+along)
	first := a
	if back {
		first = b
	}
	f.flat = append(f.flat, first.x, first.y)
	h := hash(f.b.key, 0x44, uint64(i), uint64(j), uint64(along))
	k := [...]int{0, 1, 1, 1, 1, 2, 2, 3}[h%8]
	if f.onStreet(i, j, along) {
		k = 0 // streets are straight from corner to corner
	}
	dx, dy := b.x-a.x, b.y-a.y
	for m := 1; m <= k; m++ {
		q := m
		if back {
			q = k + 1 - m
		}
		t := float64(q) / float64(k+1)
		o := (unit(mix(h+uint64(q))) - 0.5) * 0.4 * min(t, 1-t) * 0.6
		f.flat = append(f.flat, a.x+t*dx-o*dy, a.y+t*dy+o*dx)
	}
}

// onStreet reports whether an edge is the side of a street or of the border road.
func (f *fabric) onStreet(i, j, along int) bool {
	if along == 0 {
		return j <= 1 || j >= f.n-1 || f.streetY[j] || f.streetY[j-1] || f.streetX[i]
	}
	return i <= 1 || i >= f.n-1 || f.streetX[i] || f.streetX[i-1] || f.streetY[j]
}

// walk appends the anticlockwise ring around the cells [i0,i1) x [j0,j1), closed.
func (f *fabric) walk(i0, j0, i1, j1 int) {
	start := len(f.flat)
	for i := i0; i < i1; i++ {
		f.edge(i, j0, 0, false)
	}
	for j := j0; j < j1; j++ {
		f.edge(i1, j, 1, false)
	}
	for i := i1 - 1; i >= i0; i-- {
		f.edge(i, j1, 0, true)
	}
	for j := j1 - 1; j >= j0; j-- {
		f.edge(i0, j, 1, true)
	}
	f.flat = append(f.flat, f.flat[start], f.flat[start+1])
}

// kind of a piece of the fabric.
type kind int

const (
	cell   kind = iota
	street      // inside the block
	ring        // the border road
)

// piece is one parcel: the cells it covers and its shape in EPSG:4546, outer ring
// anticlockwise, valid until the next piece.
type piece struct {
	kind           kind
	serial         int // stable within the block
	i0, j0, i1, j1 int
	flat           []float64
	ends           []int
}

// pieces calls fn for every parcel of the block, in a fixed order.
func (f *fabric) pieces(fn func(*piece) error) error {
	p := piece{}
	emit := func(k kind, i0, j0, i1, j1 int) error {
		p.kind, p.i0, p.j0, p.i1, p.j1 = k, i0, j0, i1, j1
		p.serial++
		f.flat, f.ends = f.flat[:0], f.ends[:0]
		if k == ring {
			for _, q := range f.border {
				f.flat = append(f.flat, q.x, q.y)
			}
			f.flat = append(f.flat, f.border[0].x, f.border[0].y)
			f.ends = append(f.ends, len(f.flat))
			f.walk(i0, j0, i1, j1)
			reverse(f.flat[f.ends[0]:])
		} else {
			f.walk(i0, j0, i1, j1)
		}
		f.ends = append(f.ends, len(f.flat))
		p.flat, p.ends = f.flat, f.ends
		return fn(&p)
	}
	if err := emit(ring, 1, 1, f.n-1, f.n-1); err != nil {
		return err
	}
	for j := 1; j < f.n-1; j++ {
		if f.streetY[j] {
			for from, i := 1, 1; i < f.n-1; i++ {
				if f.streetX[i] || i == f.n-2 { // up to and with the crossing
					if err := emit(street, from, j, i+1, j+1); err != nil {
						return err
					}
					from = i + 1
				}
			}
			continue
		}
		for i := 1; i < f.n-1; i++ {
			if !f.streetX[i] {
				if err := emit(cell, i, j, i+1, j+1); err != nil {
					return err
				}
				continue
			}
			if j > 1 && !f.streetY[j-1] {
				continue // part of the piece that began below
			}
			top := j + 1
			for top < f.n-1 && !f.streetY[top] {
				top++
			}
			if err := emit(street, i, j, i+1, top); err != nil {
				return err
			}
		}
	}
	return nil
}

// reverse turns a ring of x, y pairs around.
func reverse(flat []float64) {
	for a, b := 0, len(flat)-2; a < b; a, b = a+2, b-2 {
		flat[a], flat[b] = flat[b], flat[a]
		flat[a+1], flat[b+1] = flat[b+1], flat[a+1]
	}
}

// centroid and plane area of the piece.
func (p *piece) centroid() (point, float64) {
	var cx, cy, area float64
	x0, y0 := p.flat[0], p.flat[1]
	start := 0
	for _, end := range p.ends {
		for v := start; v+3 < end; v += 2 {
			ax, ay, bx, by := p.flat[v]-x0, p.flat[v+1]-y0, p.flat[v+2]-x0, p.flat[v+3]-y0
			w := ax*by - bx*ay
			area += w
			cx += (ax + bx) * w
			cy += (ay + by) * w
		}
		start = end
	}
	return point{x0 + cx/(3*area), y0 + cy/(3*area)}, area / 2
}

// middles returns the offsets of the street centre lines of a side.
func (f *fabric) middles(pos []float64, street []bool, out []float64) []float64 {
	for k, s := range street {
		if s {
			out = append(out, (pos[k]+pos[k+1])/2)
		}
	}
	return out
}

// scaleSquared is the square of the point scale of EPSG:4546 (Gauss-Krueger on
// CGCS2000): plane area divided by it is the area on the ellipsoid, within 1e-8 for
// shapes of a kilometre. phi is the latitude in radians.
func scaleSquared(easting, phi float64) float64 {
	const a, f = 6378137.0, 1 / 298.257222101
	const e2 = f * (2 - f)
	s := math.Sin(phi)
	w := 1 - e2*s*s
	mn := a * a * (1 - e2) / (w * w) // product of the radii of curvature
	x := easting - 500000
	q := x * x / mn
	k := 1 + q/2 + q*q/24
	return k * k
}
