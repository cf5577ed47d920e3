package shapefile

import (
	"cmp"
	"math"
	"slices"
)

// ring is one closed ring of a polygon record. area is positive when it runs
// counter-clockwise.
type ring struct {
	flat []float64
	area float64
	box  box
}

type box struct{ minX, minY, maxX, maxY float64 }

func (b box) contains(o box) bool {
	return b.minX <= o.minX && b.minY <= o.minY && b.maxX >= o.maxX && b.maxY >= o.maxY
}

func (b box) join(o box) box {
	return box{min(b.minX, o.minX), min(b.minY, o.minY), max(b.maxX, o.maxX), max(b.maxY, o.maxY)}
}

func newRing(flat []float64, stride int) ring {
	b := box{flat[0], flat[1], flat[0], flat[1]}
	for i := stride; i < len(flat); i += stride {
		x, y := flat[i], flat[i+1]
		b = box{min(b.minX, x), min(b.minY, y), max(b.maxX, x), max(b.maxY, y)}
	}
	return ring{flat: flat, area: signedArea(flat, stride), box: b}
}

// signedArea is the area of a closed ring, positive counter-clockwise. It is
// taken relative to the first point: with eastings of 37 million metres the
// products of whole coordinates would lose the area of a parcel.
func signedArea(flat []float64, stride int) float64 {
	x0, y0 := flat[0], flat[1]
	sum, px, py := 0.0, 0.0, 0.0
	for i := stride; i < len(flat); i += stride {
		x, y := flat[i]-x0, flat[i+1]-y0
		sum += px*y - x*py
		px, py = x, y
	}
	return sum / 2
}

// workLimit bounds the vertices and boxes looked at for one record, about a
// second of work, so that no record can hold up a delivery.
const workLimit = 400_000_000

// nest sorts rings into polygons, each a shell followed by its holes in the order
// of the record. Clockwise rings are shells and each hole goes to the smallest
// shell around it (Technical Description, "Polygon"). When there is no clockwise
// ring, or a hole without a shell, orientation means nothing and only containment
// counts: turned is then true. ok is false when the work would pass the limit.
func nest(rings []ring, stride, limit int) (groups [][]int32, turned, ok bool) {
	shells, holes := make([]int32, 0, len(rings)), []int32(nil)
	for i := range rings {
		if rings[i].area < 0 {
			shells = append(shells, int32(i))
		} else {
			holes = append(holes, int32(i))
		}
	}
	n := nesting{rings: rings, stride: stride, limit: limit}
	if len(shells) > 0 {
		parents, all := n.parents(shells, holes)
		if n.work > n.limit {
			return nil, false, false
		}
		if all {
			return group(len(rings), shells, holes, parents), false, true
		}
	}
	return n.byContainment()
}

// byContainment nests by depth: a ring within an even number of others is a shell.
func (n *nesting) byContainment() (groups [][]int32, turned, ok bool) {
	all := make([]int32, len(n.rings))
	for i := range all {
		all[i] = int32(i)
	}
	parents, _ := n.parents(all, all)
	if n.work > n.limit {
		return nil, false, false
	}
	// From the largest down, so that a parent's depth is known before its children's.
	order := slices.Clone(all)
	slices.SortStableFunc(order, n.larger)
	depth := make([]int, len(all))
	for _, i := range order {
		if p := parents[i]; p >= 0 {
			depth[i] = depth[p] + 1
		}
	}
	var shells, holes, around []int32
	for _, i := range all {
		if depth[i]%2 == 0 {
			shells = append(shells, i)
		} else {
			holes = append(holes, i)
			around = append(around, parents[i])
		}
	}
	// Rings without an area have no orientation to be wrong.
	turned = slices.ContainsFunc(n.rings, func(r ring) bool { return r.area > 0 })
	return group(len(all), shells, holes, around), turned, true
}

// group lists each shell with the holes whose parent it is.
func group(n int, shells, holes, parents []int32) [][]int32 {
	at := make([]int32, n)
	groups := make([][]int32, len(shells))
	for i, s := range shells {
		groups[i] = append(groups[i], s)
		at[s] = int32(i)
	}
	for i, h := range holes {
		g := at[parents[i]]
		groups[g] = append(groups[g], h)
	}
	return groups
}

// nesting finds what contains what, counting its work.
type nesting struct {
	rings  []ring
	stride int
	work   int
	limit  int
}

// larger orders rings by area, the largest first; equal ones by their order.
func (n *nesting) larger(a, b int32) int {
	if c := cmp.Compare(math.Abs(n.rings[b].area), math.Abs(n.rings[a].area)); c != 0 {
		return c
	}
	return cmp.Compare(a, b)
}

// parents returns for each inner ring the smallest of the outer rings that
// contains it, -1 if none does, and whether all have one. A ring is not its own
// parent, and of two equal rings the earlier is the parent.
func (n *nesting) parents(outer, inner []int32) ([]int32, bool) {
	tree := newBoxTree(n.rings, outer)
	parents := make([]int32, len(inner))
	all := true
	var candidates []int32
	for i, in := range inner {
		parents[i] = -1
		candidates = tree.around(n.rings[in].box, candidates[:0], &n.work)
		candidates = slices.DeleteFunc(candidates, func(out int32) bool { return out == in || n.larger(out, in) > 0 })
		if len(candidates) == 1 && (len(outer) == 1 || n.work > n.limit/4) {
			// Nothing to choose from, or no time for more than the box; whether
			// the hole really lies inside is a question of validity, asked later.
			parents[i] = candidates[0]
			continue
		}
		for len(candidates) > 0 && parents[i] < 0 && n.work <= n.limit {
			n.work += len(candidates)
			least := 0
			for j := range candidates {
				if n.larger(candidates[least], candidates[j]) < 0 {
					least = j
				}
			}
			if out := candidates[least]; n.inside(&n.rings[out], &n.rings[in]) {
				parents[i] = out
			}
			candidates = slices.Delete(candidates, least, least+1)
		}
		all = all && parents[i] >= 0
		if n.work > n.limit {
			return parents, false
		}
	}
	return parents, all
}

// inside reports whether in lies in out, by the vote of three of its vertices that
// are not on the boundary: rounding may put a vertex that touches an edge on
// either side of it. When all vertices are on the boundary the middles of the
// edges vote; rings that coincide contain each other.
func (n *nesting) inside(out, in *ring) bool {
	vote := 0
	points := len(in.flat)/n.stride - 1
	step := max(1, points/7)
	ask := func(x, y float64) bool {
		n.work += len(out.flat) / n.stride
		vote += locate(out.flat, n.stride, x, y)
		return vote == 2 || vote == -2 || n.work > n.limit
	}
	for start := range step {
		for i := start; i < points; i += step {
			if ask(in.flat[i*n.stride], in.flat[i*n.stride+1]) {
				return vote > 0
			}
		}
		if vote != 0 {
			return vote > 0
		}
	}
	for i := range points {
		a, b := in.flat[i*n.stride:], in.flat[(i+1)*n.stride:]
		if ask(a[0]/2+b[0]/2, a[1]/2+b[1]/2) {
			break
		}
	}
	return vote >= 0
}

// locate returns 1 if the point is inside the ring, -1 outside, 0 on its boundary.
func locate(flat []float64, stride int, x, y float64) int {
	side := -1
	x1, y1 := flat[0]-x, flat[1]-y
	for i := stride; i < len(flat); i += stride {
		x2, y2 := flat[i]-x, flat[i+1]-y
		if (y1 > 0) == (y2 > 0) {
			// A level edge, or one that does not reach the height of the point.
			if y1 == 0 && (x1 == 0 || y2 == 0 && min(x1, x2) <= 0 && max(x1, x2) >= 0) {
				return 0
			}
			x1, y1 = x2, y2
			continue
		}
		cross := x1*y2 - x2*y1
		if cross == 0 {
			return 0
		}
		if (cross > 0) == (y2 > y1) {
			side = -side
		}
		x1, y1 = x2, y2
	}
	return side
}
