package tiles

import (
	"slices"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/clip"

	"changde/catalog"
)

// area is the box outside which nothing of a release is cut. Nil is everywhere.
type area struct {
	box   catalog.Bounds
	world orb.Bound // the box in units of the tile of zoom 0
}

// limit has the cutter cut what lies in a box alone: the extent becomes that of the
// box, and the rows the share of them that is likely to lie there.
func (t *cutter) limit(box catalog.Bounds) {
	west, north := t.world(box[0], box[3])
	east, south := t.world(box[2], box[1])
	t.area = &area{box: box, world: orb.Bound{Min: orb.Point{west, north}, Max: orb.Point{east, south}}}
	r := *t.release
	if r.Extent != nil {
		whole := *r.Extent
		r.Extent = nil
		if meet(whole, box) {
			within := intersection(whole, box)
			r.Extent, r.Rows = &within, int64(float64(r.Rows)*overlap(whole, box))
		}
	}
	t.release = &r
}

// intersection is what two boxes that meet have in common.
func intersection(a, b catalog.Bounds) catalog.Bounds {
	return catalog.Bounds{max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])}
}

// of is the part of a box that lies in the area, which meets it.
func (a *area) of(box catalog.Bounds) catalog.Bounds {
	if a == nil {
		return box
	}
	return intersection(box, a.box)
}

// trim cuts a figure off at the area. It reports whether anything is left.
func (a *area) trim(f *figure) bool {
	if len(f.parts) == 0 {
		return false
	}
	if a == nil || a.world.Contains(f.bound.Min) && a.world.Contains(f.bound.Max) {
		return true
	}
	at, parts := f.at, f.parts
	f.at, f.parts, f.bound = nil, nil, emptyBound()
	left := false
	for _, p := range parts {
		path := at[p.from:p.to]
		switch p.kind {
		case points:
			if a.world.Contains(path[0]) {
				f.take(p, path)
			}
		case lines:
			for _, line := range clip.LineString(a.world, path) {
				f.take(p, line)
			}
		default:
			// A ring that is gone stays as one without positions: its holes go with it.
			f.take(p, clip.Ring(a.world, slices.Clone(path)))
		}
		left = left || len(f.at) > 0
	}
	return left
}

// take adds a part of the kind of p with the positions.
func (f *figure) take(p part, path []orb.Point) {
	p.from = len(f.at)
	f.at = append(f.at, path...)
	f.end(p)
}

// meets reports whether a tile without its margin meets the area of the cutter.
func (t *cutter) meets(a Address) bool {
	low, high := t.address(a.zoom(), t.area.box[0], t.area.box[3]), t.address(a.zoom(), t.area.box[2], t.area.box[1])
	return a.Col >= low.Col && a.Col <= high.Col && a.Row >= low.Row && a.Row <= high.Row
}
