package quality

import (
	"context"
	"math"
	"slices"
	"sync/atomic"
)

// tracer finds what the rows of one tile after the other do not cover but
// surround. An edge that two rows share runs once each way and is struck out;
// the edges that are left bound what is not covered, and are followed around it.
// Corners of rows nearer than the tolerance are one corner there.
//
// A corner is judged in the tile it is in, where all rows around it are known.
// Boundaries that lead out of the tile are kept as chains, to be joined when all
// tiles are done.
type tracer struct {
	tolerance float64 // metres
	least     float64 // square metres: cycles with less are dropped
	kx, ky    float64 // one scale for the whole layer: all tiles must agree
	lon, q    float64 // origin of the areas
	budget    *atomic.Int64

	mesh
	open   []openEdge
	canon  []int32
	order  []int32
	rows   []int64
	first  []int32 // of departures by corner
	depart []int32
	first2 []int32
	arrive []int32
	next   []int32
	taken  []bool
	work   []float64

	cycles []cycle
	chains []chain
}

// openEdge is an edge that no other row shares, with the uncovered side on its
// left.
type openEdge struct {
	from, to int32 // corners as delivered
	a, b     int32 // corners as judged
	row      int32
}

// cycle is the boundary of an uncovered area, or a part of it.
type cycle struct {
	twice   float64 // twice the area in square metres, anticlockwise positive
	round   float64 // metres
	longest float64
	at      [2]float64 // the middle of the longest edge
	fid     int64      // the first of the rows around
	count   int        // corners
	xy      []float64  // nil when there was no room for it
	lost    bool
	// doubtful cycles are told only when a comparison with the rows around says so.
	doubtful bool
}

// chain is a boundary from the edge by which it enters a tile to the one by which
// it leaves; the latter is not counted.
type chain struct {
	cycle
	enter, leave [4]float64
}

// mostPositions bounds the positions of boundaries that are kept, over all tiles.
const mostPositions = 2_000_000

func (t *tracer) trace(ctx context.Context, a *tile) error {
	t.fill(a)
	if err := ctx.Err(); err != nil {
		return err
	}
	t.collect()
	t.snap(a)
	t.link(a)
	t.follow(a)
	return nil
}

// collect lists the edges that are left.
func (t *tracer) collect() {
	t.open = t.open[:0]
	for i := range t.edges {
		e := &t.edges[i]
		for ; e.net > 0; e.net-- {
			t.open = append(t.open, openEdge{from: e.high, to: e.low, row: e.there - 1})
		}
		for ; e.net < 0; e.net++ {
			t.open = append(t.open, openEdge{from: e.low, to: e.high, row: e.back - 1})
		}
	}
}

// snap judges corners within the tolerance of a smaller one, west first, as that
// one. It depends on the corners around alone, so that all tiles agree.
func (t *tracer) snap(a *tile) {
	n := len(t.corners) / 2
	t.canon = slices.Grow(t.canon[:0], n)[:n]
	t.rows = slices.Grow(t.rows[:0], n)[:n]
	for i := range t.canon {
		t.canon[i] = -1
	}
	t.order = t.order[:0]
	near := a.box.grow(t.known, t.known)
	for _, e := range t.open {
		for _, v := range [2]int32{e.from, e.to} {
			if t.canon[v] >= 0 {
				continue
			}
			t.canon[v] = v
			x, y := t.corners[2*v], t.corners[2*v+1]
			if x >= near.x0 && x <= near.x1 && y >= near.y0 && y <= near.y1 {
				t.rows[v] = int64(math.Floor(y * t.ky / t.tolerance))
				t.order = append(t.order, v)
			}
		}
	}
	less := func(v, w int32) int {
		switch {
		case t.rows[v] != t.rows[w]:
			if t.rows[v] < t.rows[w] {
				return -1
			}
			return 1
		case t.corners[2*v] < t.corners[2*w]:
			return -1
		case t.corners[2*v] > t.corners[2*w]:
			return 1
		}
		return 0
	}
	slices.SortFunc(t.order, less)
	up := 0
	for i, v := range t.order {
		for _, w := range t.order[i+1:] {
			if t.rows[w] != t.rows[v] || (t.corners[2*w]-t.corners[2*v])*t.kx > t.tolerance {
				break
			}
			t.join(v, w)
		}
		// up is the first in the line above that is not too far west.
		up = max(up, i+1)
		for up < len(t.order) {
			w := t.order[up]
			if t.rows[w] > t.rows[v]+1 || t.rows[w] == t.rows[v]+1 && (t.corners[2*v]-t.corners[2*w])*t.kx <= t.tolerance {
				break
			}
			up++
		}
		for k := up; k < len(t.order); k++ {
			w := t.order[k]
			if t.rows[w] != t.rows[v]+1 || (t.corners[2*w]-t.corners[2*v])*t.kx > t.tolerance {
				break
			}
			t.join(v, w)
		}
	}
}

// join judges the larger of two corners as the smaller, when they are near.
func (t *tracer) join(v, w int32) {
	dx, dy := (t.corners[2*v]-t.corners[2*w])*t.kx, (t.corners[2*v+1]-t.corners[2*w+1])*t.ky
	if dx*dx+dy*dy > t.tolerance*t.tolerance {
		return
	}
	if t.smaller(w, v) {
		v, w = w, v
	}
	if t.smaller(v, t.canon[w]) {
		t.canon[w] = v
	}
}

func (t *tracer) smaller(v, w int32) bool {
	if t.corners[2*v] != t.corners[2*w] {
		return t.corners[2*v] < t.corners[2*w]
	}
	return t.corners[2*v+1] < t.corners[2*w+1]
}

// link finds for each edge that ends at a corner of the tile the one that goes on.
func (t *tracer) link(a *tile) {
	k := 0
	for _, e := range t.open {
		e.a, e.b = t.canon[e.from], t.canon[e.to]
		if e.a != e.b && (t.home(a, e.a) || t.home(a, e.b)) {
			t.open[k] = e
			k++
		}
	}
	t.open = t.open[:k]
	n := len(t.corners) / 2
	t.first, t.depart = t.byCorner(t.first, t.depart, n, func(e *openEdge) int32 { return e.a })
	t.first2, t.arrive = t.byCorner(t.first2, t.arrive, n, func(e *openEdge) int32 { return e.b })
	t.next = slices.Grow(t.next[:0], k)[:k]
	for i := range t.next {
		t.next[i] = -1
	}
	t.taken = zeroed(t.taken, k)
	for v := range n {
		d := t.depart[t.first[v]:t.first[v+1]]
		in := t.arrive[t.first2[v]:t.first2[v+1]]
		if len(d) == 0 || !t.home(a, int32(v)) {
			continue
		}
		if len(d) == 1 && len(in) == 1 {
			t.next[in[0]] = d[0]
			continue
		}
		for _, i := range in {
			best, turn := int32(-1), math.Inf(1)
			for _, o := range d {
				if w := t.turn(i, o); !t.taken[o] && w < turn {
					best, turn = o, w
				}
			}
			if best >= 0 {
				t.next[i], t.taken[best] = best, true
			}
		}
	}
}

func (t *tracer) byCorner(first, list []int32, n int, of func(*openEdge) int32) (starts, edges []int32) {
	first = zeroed(first, n+1)
	for i := range t.open {
		first[of(&t.open[i])+1]++
	}
	for i := range n {
		first[i+1] += first[i]
	}
	list = slices.Grow(list[:0], len(t.open))[:len(t.open)]
	for i := range t.open {
		v := of(&t.open[i])
		list[first[v]] = int32(i)
		first[v]++
	}
	copy(first[1:], first[:n])
	first[0] = 0
	return first, list
}

func (t *tracer) home(a *tile, v int32) bool {
	return a.box.contains(t.corners[2*v], t.corners[2*v+1])
}

// turn is the angle, clockwise, from the way back along edge in to edge out: the
// smallest keeps to the same uncovered area. Going straight back, within the
// tolerance and drift, is the smallest of all.
func (t *tracer) turn(in, out int32) float64 {
	bx, by := t.vector(t.open[in].to, t.open[in].from)
	ox, oy := t.vector(t.open[out].from, t.open[out].to)
	w := math.Atan2(by, bx) - math.Atan2(oy, ox)
	if w < 0 {
		w += 2 * math.Pi
	}
	one, two := math.Hypot(bx, by), math.Hypot(ox, oy)
	// Drift bends an edge by four times its share of the length at either end.
	bend := 6 * drift(max(one, two), t.corners[2*t.open[in].to+1]) / max(one, two)
	if w > 2*math.Pi-min(0.1, 3*t.tolerance/min(one, two)+bend) {
		return 0
	}
	return w
}

func (t *tracer) vector(from, to int32) (x, y float64) {
	return (t.corners[2*to] - t.corners[2*from]) * t.kx, (t.corners[2*to+1] - t.corners[2*from+1]) * t.ky
}

// follow turns the links into cycles and chains.
func (t *tracer) follow(a *tile) {
	done := zeroed(t.taken, len(t.open))
	t.taken = done
	for i := range t.open {
		// Chains first: an edge that comes from another tile.
		if !done[i] && t.home(a, t.open[i].b) && !t.home(a, t.open[i].a) {
			t.walk(a, int32(i), done, true)
		}
	}
	for i := range t.open {
		if !done[i] && t.home(a, t.open[i].b) {
			t.walk(a, int32(i), done, false)
		}
	}
}

func (t *tracer) walk(a *tile, from int32, done []bool, enters bool) {
	c := cycle{fid: math.MaxInt64}
	t.work = t.work[:0]
	e := from
	for {
		o := &t.open[e]
		if !t.home(a, o.b) { // it leaves, and counts where it arrives
			break
		}
		done[e] = true
		t.add(&c, o.from, o.to)
		c.fid = min(c.fid, a.areas[o.row].fid)
		if e = t.next[e]; e < 0 {
			break
		}
		if n := t.open[e].from; n != o.to { // across the corner, where it was snapped
			t.add(&c, o.to, n)
		}
		if e == from {
			break
		}
	}
	if !enters {
		var significant bool
		if significant, c.doubtful = c.judge(t.least, t.tolerance); significant && e == from {
			c.xy = t.keep()
			t.cycles = append(t.cycles, c)
		}
		return
	}
	if e < 0 {
		return // cannot be: as many edges leave a corner as come to it
	}
	c.xy = t.keep()
	c.lost = c.xy == nil
	t.chains = append(t.chains, chain{cycle: c, enter: t.key(from), leave: t.key(e)})
}

func (t *tracer) key(e int32) [4]float64 {
	o := &t.open[e]
	return [4]float64{t.corners[2*o.from], t.corners[2*o.from+1], t.corners[2*o.to], t.corners[2*o.to+1]}
}

// add counts a way from one corner to another.
func (t *tracer) add(c *cycle, from, to int32) {
	x0, y0 := t.corners[2*from], t.corners[2*from+1]
	x1, y1 := t.corners[2*to], t.corners[2*to+1]
	q0, q1 := authalic(y0)-t.q, authalic(y1)-t.q
	c.twice += ((x0-t.lon)*q1 - (x1-t.lon)*q0) * radians
	dx, dy := (x1-x0)*t.kx, (y1-y0)*t.ky
	d := math.Sqrt(dx*dx + dy*dy)
	c.round += d
	if d > c.longest {
		c.longest, c.at = d, [2]float64{(x0 + x1) / 2, (y0 + y1) / 2}
	}
	c.count++
	t.work = append(t.work, x1, y1)
}

// keep is a copy of the positions walked, nil when there is no room.
func (t *tracer) keep() []float64 {
	if t.budget.Add(-int64(len(t.work)/2)) < 0 {
		return nil
	}
	return slices.Clone(t.work)
}

// judge says whether the cycle surrounds an uncovered area that is neither small
// nor thin. It is doubtful when drift along a long edge hides its sign and width,
// or when it may be a hairline but for one place: then only a comparison with the
// rows around tells.
func (c *cycle) judge(least, tolerance float64) (significant, doubtful bool) {
	d := drift(c.longest, c.at[1])
	area := c.twice / 2
	if area > least && width(area, c.round) > tolerance+d {
		return true, false
	}
	doubtful = d > tolerance && math.Abs(area) <= c.round*(tolerance+d) || area > least && c.count > simple
	return doubtful, doubtful
}

// simple is how many corners a cycle has that is as wide as it is on average: that
// of a corner on an edge, or of two.
const simple = 6
