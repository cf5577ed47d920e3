package tiles

import (
	"math"
	"slices"

	"github.com/paulmach/orb"

	"changde/catalog"
)

// tile makes one tile of rows. Polygons below a size in pixels go into the cover,
// where there is one, which may hold others already.
func (w *cutWorker) tile(a Address, rows []*row, small *cover, pixels float64) error {
	t := w.best(a, rows, small, pixels)
	if t.Features == 0 {
		return nil
	}
	w.made.Add(1)
	return w.sink.Add(a, t)
}

// best draws a tile with as much detail as it has room for.
func (w *cutWorker) best(a Address, rows []*row, small *cover, pixels float64) *Tile {
	t, whole := w.draw(a, rows, small, pixels)
	// Detail falls until the tile is small enough: larger cells, and more in them.
	for side := coverSide / 2; small != nil && !whole && side >= 8*window; side /= 2 {
		pixels *= 2
		coarse := newCover(side)
		small.settle()
		coarse.from(small)
		t, whole = w.draw(a, slices.DeleteFunc(slices.Clone(rows), func(r *row) bool { return r.pixels(a.Z) < drawnPixels }), coarse, pixels)
	}
	return t
}

// centred reports whether the middle of a row lies in a tile.
func centred(r *row, a Address) bool {
	b, n := r.figure.bound, math.Ldexp(1, a.Z)
	return int(math.Floor((b.Min[0]+b.Max[0])/2*n)) == a.Col && int(math.Floor((b.Min[1]+b.Max[1])/2*n)) == a.Row
}

// draw makes a tile as it comes, and tells whether all of it is within the bounds;
// what is not is left out.
func (w *cutWorker) draw(a Address, rows []*row, small *cover, pixels float64) (t *Tile, whole bool) {
	scale := math.Ldexp(Extent, a.Z)
	origin := orb.Point{float64(a.Col) * Extent, float64(a.Row) * Extent}
	columns := w.chosen
	if columns == nil {
		columns = TileColumns(w.dataset, w.release, a.zoom())
	}
	keys := make([]int, len(columns)) // of columns in the rows' values
	for i, c := range columns {
		keys[i] = slices.IndexFunc(w.columns, func(o catalog.Column) bool { return o.Name == c.Name })
	}
	attrs := attributes(columns)
	s := w.shaper
	s.snap, s.tolerance = snapAt(a.zoom()), 1
	if a.zoom() >= MaxTileZoom {
		s.tolerance = 0
	}
	var drawn []*row
	for _, r := range rows {
		if small != nil && r.pixels(a.Z) < pixels {
			small.add(&r.figure, scale, origin, r.class)
			continue
		}
		drawn = append(drawn, r)
	}
	l := newLayer(w.dataset.ID, append(names(columns), generalizedKey(columns)))
	merged, omitted := w.cells(l, small, columns, attrs)
	if len(drawn) > w.source.config.MaxFeatures || w.dim < 2 && len(drawn) > comfortable {
		// The bound may bite: the largest come first.
		slices.SortStableFunc(drawn, func(a, b *row) int {
			switch {
			case a.size > b.size:
				return -1
			case a.size < b.size:
				return 1
			}
			return 0
		})
	}
	var stands []int64
	if w.dim == 0 && a.zoom() < DetailZoom && len(drawn) > thinFrom {
		drawn, stands = thin(drawn, scale, origin)
		for _, n := range stands {
			merged += n - 1
		}
	}
	full := false
	for n, r := range drawn {
		if n >= w.source.config.MaxFeatures || l.size() > rawFactor*w.source.config.MaxBytes {
			omitted += int64(len(drawn) - n)
			full = true
			break
		}
		s.draw(&r.figure, scale, origin)
		if w.dim != 0 && w.dim != 2 && r.pixels(a.Z) < 1 {
			for _, kind := range []int{lines, polygons} {
				s.collapsed = s.collapsed || len(s.out[kind].b) > 0
				s.out[kind].b = s.out[kind].b[:0]
			}
		}
		if s.empty() {
			// Where the row lies in the tile by less than a unit it is its neighbour's.
			if s.collapsed && centred(r, a) {
				omitted++
			}
			continue
		}
		for i, at := range keys {
			attrs[i].tag(l, i, r.values[at])
		}
		if stands != nil && stands[n] > 1 {
			l.tagInt(len(columns), stands[n])
		}
		l.add(r.fid, &s.out)
	}
	t = w.source.pack(l)
	whole = !full && int64(len(l.marks)) == t.Features
	t.Omitted = omitted + int64(len(l.marks)) - t.Features
	t.Generalized = merged
	return t, whole
}
