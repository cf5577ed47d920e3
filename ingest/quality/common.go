package quality

import "slices"

// edge is a piece of a boundary above the floor of a rectangle, from left to
// right. sign is 1 when the row lies below it and -1 when above.
type edge struct{ x0, y0, x1, y1, sign float64 }

// intersector computes what two rows of a tile have in common. The area under
// the boundary of a row is the sum of the areas under its edges, with their
// signs; so that of what two rows have in common is the sum, over all pairs of
// their edges, of the area under both. No topology is built, and there is no
// arrangement of the rows that it could not handle.
type intersector struct {
	a, b  []edge
	ring  []float64
	other []float64
}

// common is the area in square degrees of what a and b have in common within r.
func (in *intersector) common(t *tile, a, b *area, r box) float64 {
	in.a = in.clip(in.a[:0], t, a, r)
	if len(in.a) == 0 {
		return 0
	}
	in.b = in.clip(in.b[:0], t, b, r)
	return under(in.a, in.b)
}

// within is the area in square degrees of a within r.
func (in *intersector) within(t *tile, a *area, r box) float64 {
	in.a = in.clip(in.a[:0], t, a, r)
	sum := 0.0
	for _, e := range in.a {
		sum += e.sign * (e.x1 - e.x0) * (e.y0 + e.y1) / 2
	}
	return sum
}

// under is the sum of the areas under both edges of all pairs.
func under(a, b []edge) float64 {
	if len(a)*len(b) > 4096 {
		return sweepUnder(a, b)
	}
	sum := 0.0
	for i := range a {
		e := &a[i]
		for k := range b {
			f := &b[k]
			if f.x0 < e.x1 && e.x0 < f.x1 {
				sum += e.sign * f.sign * both(e, f)
			}
		}
	}
	return sum
}

// sweepUnder is under for long boundaries: it looks only at pairs of edges above
// the same place.
func sweepUnder(a, b []edge) float64 {
	left := func(e, f edge) int {
		switch {
		case e.x0 < f.x0:
			return -1
		case e.x0 > f.x0:
			return 1
		}
		return 0
	}
	slices.SortFunc(a, left)
	slices.SortFunc(b, left)
	sum := 0.0
	var liveA, liveB []*edge
	meet := func(e *edge, live []*edge) []*edge {
		k := 0
		for _, f := range live {
			if f.x1 <= e.x0 {
				continue
			}
			live[k] = f
			k++
			sum += e.sign * f.sign * both(e, f)
		}
		return live[:k]
	}
	for i, k := 0, 0; i < len(a) || k < len(b); {
		if k == len(b) || i < len(a) && a[i].x0 <= b[k].x0 {
			liveB = meet(&a[i], liveB)
			liveA = append(liveA, &a[i])
			i++
		} else {
			liveA = meet(&b[k], liveA)
			liveB = append(liveB, &b[k])
			k++
		}
	}
	return sum
}

// both is the area under both edges, which overlap in x.
func both(e, f *edge) float64 {
	x0, x1 := max(e.x0, f.x0), min(e.x1, f.x1)
	se := (e.y1 - e.y0) / (e.x1 - e.x0)
	sf := (f.y1 - f.y0) / (f.x1 - f.x0)
	e0, e1 := e.y0+se*(x0-e.x0), e.y0+se*(x1-e.x0)
	f0, f1 := f.y0+sf*(x0-f.x0), f.y0+sf*(x1-f.x0)
	d0, d1 := e0-f0, e1-f1
	w := x1 - x0
	switch {
	case d0 <= 0 && d1 <= 0:
		return w * (e0 + e1) / 2
	case d0 >= 0 && d1 >= 0:
		return w * (f0 + f1) / 2
	}
	t := d0 / (d0 - d1)
	m := e0 + t*(e1-e0)
	if d0 < 0 {
		return w * (t*(e0+m) + (1-t)*(m+f1)) / 2
	}
	return w * (t*(f0+m) + (1-t)*(m+e1)) / 2
}

// clip appends the edges of what a row covers in r, relative to the south-west
// corner of r. Those that run along its west, south and east sides, which bound
// no area, are left out.
func (in *intersector) clip(dst []edge, t *tile, a *area, r box) []edge {
	w, h := r.x1-r.x0, r.y1-r.y0
	if !(w > 0 && h > 0) {
		return dst
	}
	for _, g := range t.rings[a.rings[0]:a.rings[1]] {
		xy := in.near(t, &g, r)
		xy = clipSide(in.other[:0], xy, 0, 0, 1)
		in.other = xy
		in.ring = clipSide(in.ring[:0], xy, 0, w, -1)
		in.other = clipSide(in.other[:0], in.ring, 1, 0, 1)
		in.ring = clipSide(in.ring[:0], in.other, 1, h, -1)
		xy = in.ring
		for i := 2; i < len(xy); i += 2 {
			x0, y0, x1, y1 := xy[i-2], xy[i-1], xy[i], xy[i+1]
			switch {
			case x0 == x1 || y0 == 0 && y1 == 0:
			case x0 < x1:
				dst = append(dst, edge{x0, y0, x1, y1, -g.sign})
			default:
				dst = append(dst, edge{x1, y1, x0, y0, g.sign})
			}
		}
	}
	return dst
}

// near copies a ring relative to the corner of r; of a long one, runs on one side
// of r are reduced to their ends.
func (in *intersector) near(t *tile, g *ring, r box) []float64 {
	src := t.xy[g.from:g.to]
	dst := in.ring[:0]
	if g.chunks[0] == g.chunks[1] {
		for i := 0; i < len(src); i += 2 {
			dst = append(dst, src[i]-r.x0, src[i+1]-r.y0)
		}
		in.ring = dst
		return dst
	}
	dst = append(dst, src[0]-r.x0, src[1]-r.y0)
	for k, c := range t.chunks[g.chunks[0]:g.chunks[1]] {
		from, to := 2*chunkSize*k, min(2*chunkSize*(k+1), len(src)-2)
		if c.meets(r) {
			from += 2
		} else {
			from = to
		}
		for i := from; i <= to; i += 2 {
			dst = append(dst, src[i]-r.x0, src[i+1]-r.y0)
		}
	}
	in.ring = dst
	return dst
}

// clipSide cuts a closed ring at the line where the coordinate of the axis is at
// and keeps the side where it is larger (keep 1) or smaller (keep -1), after
// Sutherland and Hodgman; the ring stays closed.
func clipSide(dst, src []float64, axis int, at, keep float64) []float64 {
	if len(src) < 4 {
		return dst
	}
	first := len(dst)
	for i := 0; i+3 < len(src); i += 2 {
		d0, d1 := (src[i+axis]-at)*keep, (src[i+2+axis]-at)*keep
		if d0 >= 0 {
			dst = append(dst, src[i], src[i+1])
		}
		if d0 < 0 && d1 > 0 || d0 > 0 && d1 < 0 {
			t := d0 / (d0 - d1)
			o := src[i+1-axis] + t*(src[i+3-axis]-src[i+1-axis])
			if axis == 0 {
				dst = append(dst, at, o)
			} else {
				dst = append(dst, o, at)
			}
		}
	}
	if len(dst) > first {
		dst = append(dst, dst[first], dst[first+1])
	}
	return dst
}
