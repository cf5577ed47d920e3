package vct

import (
	"cmp"
	"math"
	"slices"

	"github.com/twpayne/go-geom"
)

// gap is the distance in units of the file within which two ends are one node: a
// tenth of a millimetre, or of a thousandth of a second of arc and less.
const (
	gapMetres  = 1e-4
	gapDegrees = 1e-9
)

// workLimit bounds the vertices looked at to nest the rings of one polygon, about a
// second of work.
const workLimit = 200_000_000

// chain joins the lines of a polygon into closed rings. Lines mostly come in order
// and are turned by the sign of their identifiers, but programs leave out the signs,
// the order or the zeros between rings; what the nodes tell goes before that. ok is
// false when a ring does not close. odd tells that order or signs were wrong.
func chain(lines [][]float64, stride int, gap float64) (rings [][]float64, odd, ok bool) {
	used := make([]bool, len(lines))
	var nodes map[[2]float64][]int32
	left, next := len(lines), 0
	for left > 0 {
		for used[next] {
			next++
		}
		ring := slices.Clone(lines[next])
		used[next] = true
		left--
		at := next
		for !meets(ring, len(ring)-stride, ring, 0, gap) || len(ring) < 4*stride {
			if left == 0 {
				return nil, odd, false
			}
			found := -1
			// The next line that is left, in most cases the right one.
			for i := at + 1; i < len(lines); i++ {
				if !used[i] {
					if ends(ring, lines[i], stride, gap) {
						found = i
					}
					break
				}
			}
			if found < 0 {
				if nodes == nil {
					nodes = make(map[[2]float64][]int32)
					for i, l := range lines {
						for _, v := range [...]int{0, len(l) - stride} {
							n := [2]float64{l[v], l[v+1]}
							nodes[n] = append(nodes[n], int32(i))
						}
					}
				}
				n := [2]float64{ring[len(ring)-stride], ring[len(ring)-stride+1]}
				list := nodes[n]
				for len(list) > 0 && used[list[0]] {
					list = list[1:]
				}
				nodes[n] = list
				if len(list) == 0 {
					return nil, odd, false
				}
				found, odd = int(list[0]), true
			}
			l := lines[found]
			if !meets(ring, len(ring)-stride, l, 0, gap) {
				l = reverse(l, stride)
				odd = true
			}
			ring = append(ring, l[stride:]...)
			used[found] = true
			left--
			at = found
		}
		copy(ring[len(ring)-stride:], ring[:2])
		rings = append(rings, ring)
	}
	return rings, odd, true
}

func meets(a []float64, i int, b []float64, j int, gap float64) bool {
	return math.Abs(a[i]-b[j]) <= gap && math.Abs(a[i+1]-b[j+1]) <= gap
}

// ends tells whether a line begins or ends where a ring has come to.
func ends(ring, l []float64, stride int, gap float64) bool {
	return meets(ring, len(ring)-stride, l, 0, gap) || meets(ring, len(ring)-stride, l, len(l)-stride, gap)
}

func reverse(l []float64, stride int) []float64 {
	out := make([]float64, 0, len(l))
	for i := len(l) - stride; i >= 0; i -= stride {
		out = append(out, l[i:i+stride]...)
	}
	return out
}

// closeRing makes the end of a ring its beginning.
func closeRing(ring []float64, stride int, gap float64) (_ []float64, closed bool) {
	if meets(ring, len(ring)-stride, ring, 0, gap) {
		copy(ring[len(ring)-stride:], ring[:2])
		return ring, false
	}
	return append(ring, ring[:stride]...), true
}

// ringInfo is a ring while rings are nested.
type ringInfo struct {
	flat                   []float64
	area                   float64
	minX, minY, maxX, maxY float64
	parent, depth          int
}

// nest makes polygons of rings by what contains what: a ring within an even number of
// others is a shell. ok is false when the work would pass the limit.
func nest(rings [][]float64, layout geom.Layout) (t geom.T, ok bool) {
	stride := layout.Stride()
	list := make([]ringInfo, len(rings))
	for i, r := range rings {
		list[i] = measure(r, stride)
	}
	// From the largest down, so that what contains a ring stands before it.
	slices.SortStableFunc(list, func(a, b ringInfo) int { return cmp.Compare(b.area, a.area) })
	work := 0
	for i := range list {
		list[i].parent = -1
		in := &list[i]
		for j := i - 1; j >= 0; j-- {
			out := &list[j]
			if work++; work > workLimit {
				return nil, false
			}
			if in.minX < out.minX || in.minY < out.minY || in.maxX > out.maxX || in.maxY > out.maxY {
				continue
			}
			inside, cost := contains(out.flat, in.flat, stride)
			if work += cost; inside {
				in.parent, in.depth = j, out.depth+1
				break
			}
		}
	}
	var flat []float64
	var endss [][]int
	shells := make([]int, len(list)) // polygon of each shell
	members := make([][]int, 0, 1)
	for i := range list {
		if list[i].depth%2 == 0 {
			shells[i] = len(members)
			members = append(members, []int{i})
		} else {
			p := shells[list[i].parent]
			members[p] = append(members[p], i)
		}
	}
	for _, m := range members {
		var ends []int
		for _, i := range m {
			flat = append(flat, list[i].flat...)
			ends = append(ends, len(flat))
		}
		endss = append(endss, ends)
	}
	if len(endss) == 1 {
		return geom.NewPolygonFlat(layout, flat, endss[0]), true
	}
	return geom.NewMultiPolygonFlat(layout, flat, endss), true
}

// measure takes the area relative to the first vertex: products of eastings of 37
// million metres would lose it.
func measure(flat []float64, stride int) ringInfo {
	x0, y0 := flat[0], flat[1]
	r := ringInfo{flat: flat, minX: x0, minY: y0, maxX: x0, maxY: y0}
	px, py := 0.0, 0.0
	for i := stride; i < len(flat); i += stride {
		x, y := flat[i]-x0, flat[i+1]-y0
		r.area += px*y - x*py
		px, py = x, y
		r.minX, r.minY = min(r.minX, flat[i]), min(r.minY, flat[i+1])
		r.maxX, r.maxY = max(r.maxX, flat[i]), max(r.maxY, flat[i+1])
	}
	r.area = math.Abs(r.area) / 2
	return r
}

// contains tells whether a ring lies in another, and how many vertices it took. A
// vertex on the outer ring does not tell, as islands may touch their lake; when all
// lie there, the middles of the edges are asked, and then it is inside.
func contains(outer, inner []float64, stride int) (inside bool, cost int) {
	const tries = 64
	n := 0
	for i := 0; i+stride < len(inner) && n < tries; i += stride {
		n++
		cost += len(outer) / stride
		if side := locate(outer, stride, inner[i], inner[i+1]); side != 0 {
			return side > 0, cost
		}
	}
	for i := 0; i+stride < len(inner) && n < 2*tries; i += stride {
		n++
		cost += len(outer) / stride
		if side := locate(outer, stride, (inner[i]+inner[i+stride])/2, (inner[i+1]+inner[i+stride+1])/2); side != 0 {
			return side > 0, cost
		}
	}
	return true, cost
}

// locate returns 1 inside a closed ring, -1 outside, 0 on it.
func locate(ring []float64, stride int, x, y float64) int {
	side := -1
	for i := 0; i+stride < len(ring); i += stride {
		x1, y1, x2, y2 := ring[i]-x, ring[i+1]-y, ring[i+stride]-x, ring[i+stride+1]-y
		cross := x1*y2 - x2*y1
		if cross == 0 && x1*x2 <= 0 && y1*y2 <= 0 {
			return 0
		}
		if (y1 > 0) != (y2 > 0) && (cross > 0) == (y2 > y1) {
			side = -side
		}
	}
	return side
}

// step is the angle between the vertices of an arc that is stroked. The sagitta is
// then 0.00004 of the radius.
const step = math.Pi / 180

// arc strokes the arc through three positions, or the circle. Heights are those of
// the first. Positions on a line give that line.
func (p *parser) arc(flat []float64, whole bool) *badObject {
	stride := p.h.dim
	if p.skim {
		return nil
	}
	if len(flat) != 3*stride {
		return bad("object-syntax", "三点圆弧应有三个点", "an arc of three points has three positions")
	}
	x1, y1, x2, y2, x3, y3 := flat[0], flat[1], flat[stride], flat[stride+1], flat[2*stride], flat[2*stride+1]
	bx, by, cx, cy := x2-x1, y2-y1, x3-x1, y3-y1
	d := 2 * (bx*cy - by*cx)
	if math.Abs(d) < 1e-12*(bx*bx+by*by+cx*cx+cy*cy) {
		if whole {
			return bad("object-syntax", "确定圆的三点共线", "the three positions of the circle lie on a line")
		}
		p.add(flat)
		return nil
	}
	b2, c2 := bx*bx+by*by, cx*cx+cy*cy
	ux, uy := (cy*b2-by*c2)/d, (bx*c2-cx*b2)/d
	r := math.Hypot(ux, uy)
	p.o.stroked = true
	centre := []float64{x1 + ux, y1 + uy}
	if p.h.dim == 3 {
		centre = append(centre, flat[2])
	}
	if whole {
		p.add(circle(centre, r, stride))
		return nil
	}
	start, end := math.Atan2(-uy, -ux), math.Atan2(y3-centre[1], x3-centre[0])
	turn := math.Mod(end-start+4*math.Pi, 2*math.Pi)
	if d < 0 {
		turn -= 2 * math.Pi
	}
	n := max(2, int(math.Ceil(math.Abs(turn)/step)))
	out := slices.Clone(flat[:stride])
	for i := 1; i < n; i++ {
		a := start + turn*float64(i)/float64(n)
		out = append(out, centre[0]+r*math.Cos(a), centre[1]+r*math.Sin(a))
		out = append(out, centre[2:]...)
	}
	p.add(append(out, flat[2*stride:]...))
	return nil
}

// circle strokes a circle counter-clockwise.
func circle(centre []float64, r float64, stride int) []float64 {
	var out []float64
	for i := range 360 {
		a := float64(i) * step
		out = append(out, centre[0]+r*math.Cos(a), centre[1]+r*math.Sin(a))
		out = append(out, centre[2:stride]...)
	}
	return append(out, out[:stride]...)
}
