package tiles

import (
	"slices"

	"changde/catalog"
)

// tile makes one tile of rows. Polygons below a size in pixels go into the cover,
// where there is one, which may hold others already.
func (w *cutWorker) tile(a Address, rows []*row, small *cover, pixels float64) error {
	t, shown := w.best(a, rows, small, pixels)
	if w.keep != nil && shown.kept() {
		if err := w.keep(a, shown); err != nil {
			return err
		}
	}
	if t.Features == 0 {
		return nil
	}
	t.Omitted += w.unkept
	w.made.Add(1)
	return w.sink.Add(a, t)
}

// best draws a tile with as much detail as it has room for, and tells the cover
// that it shows.
func (w *cutWorker) best(a Address, rows []*row, small *cover, pixels float64) (t *Tile, shown *cover) {
	if w.dim != 2 {
		return w.sketch(a, rows), nil
	}
	t, whole := w.draw(a, rows, small, pixels)
	shown = small
	zoom := a.zoom()
	// Detail falls until the tile is small enough: larger cells, and more in them.
	for side := coverSide / 2; small != nil && !whole && side >= 8*window; side /= 2 {
		pixels *= 2
		shown = newCover(zoom, side)
		small.settle()
		shown.merge(small, 0, 0, 0)
		t, whole = w.draw(a, slices.DeleteFunc(slices.Clone(rows), func(r *row) bool { return r.pixels(zoom) < drawnPixels }), shown, pixels)
	}
	return t, shown
}

// centred reports whether the middle of a row lies in a tile.
func centred(r *row, a Address) bool {
	return tileOf(r.figure.bound.Center(), a.zoom()) == [2]int{a.Col, a.Row}
}

// sketch draws a tile of lines or points, of mixed kinds too: as a whole where it has
// room for all, otherwise the first in the order of falls.
func (w *cutWorker) sketch(a Address, rows []*row) *Tile {
	if a.zoom() < DetailZoom {
		switch {
		case w.dim == 1:
			rows = w.joiner.tile(rows, a)
		case w.dim == 0 && total(rows) > thinFrom:
			rows = thin(ranked(rows), a)
		}
	}
	if len(rows) <= w.source.config.MaxFeatures {
		if t, whole := w.draw(a, rows, nil, 0); whole {
			return t
		}
	}
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, falls)
	t, _ := w.draw(a, rows, nil, 0)
	return t
}

// draw makes a tile as it comes, and tells whether all of it is within the bounds;
// what is not is left out.
func (w *cutWorker) draw(a Address, rows []*row, small *cover, pixels float64) (t *Tile, whole bool) {
	zoom := a.zoom()
	scale, origin := a.frame()
	columns := w.chosen
	if columns == nil {
		columns = TileColumns(w.dataset, w.release, zoom)
	}
	keys := make([]int, len(columns)) // of columns in the rows' values
	for i, c := range columns {
		keys[i] = slices.IndexFunc(w.columns, func(o catalog.Column) bool { return o.Name == c.Name })
	}
	attrs := attributes(columns)
	s := w.shaper
	s.at(a)
	var drawn []*row
	for _, r := range rows {
		if small != nil && r.pixels(zoom) < pixels {
			small.add(&r.figure, scale, origin, r.class)
			continue
		}
		drawn = append(drawn, r)
	}
	key := generalizedKey(columns)
	if w.chosen == nil {
		key = countKey(w.dataset, w.release, zoom)
	}
	l := newLayer(w.dataset.ID, append(names(columns), key))
	merged, lost := w.cells(l, small, columns, attrs)
	omitted, dropped := lost, int64(0)
	if w.dim == 2 && len(drawn) > w.source.config.MaxFeatures {
		slices.SortStableFunc(drawn, falls) // the bound will bite
	}
	stand := make([]*row, len(l.marks)) // by mark; of cells none
	for n, r := range drawn {
		if n >= w.source.config.MaxFeatures || l.size() > rawFactor*w.source.config.MaxBytes {
			for _, r := range drawn[n:] {
				omitted += r.count()
			}
			dropped = int64(len(drawn) - n)
			break
		}
		s.draw(&r.figure, scale, origin)
		if w.dim != 0 && w.dim != 2 && r.pixels(zoom) < 1 {
			for _, kind := range []int{lines, polygons} {
				s.collapsed = s.collapsed || len(s.out[kind].b) > 0
				s.out[kind].b = s.out[kind].b[:0]
			}
		}
		if s.empty() {
			// Where the row lies in the tile by less than a unit it is its neighbour's.
			if s.collapsed {
				omitted += r.inside(a)
			}
			continue
		}
		for i, at := range keys {
			attrs[i].tag(l, i, r.values[at])
		}
		if r.count() > 1 {
			l.tagInt(len(columns), r.count())
		}
		merged += r.gathered()
		l.add(r.fid, &s.out)
		stand = append(stand, r)
	}
	t = w.source.pack(l)
	dropped += int64(len(l.marks)) - t.Features
	for n := int(t.Features); n < len(stand); n++ {
		if stand[n] == nil {
			omitted++
			continue
		}
		omitted, merged = omitted+stand[n].count(), merged-stand[n].gathered()
	}
	t.Generalized, t.Omitted, t.lost, t.dropped = merged, omitted, lost, dropped
	return t, dropped == 0
}

// count is how many rows are drawn as the row.
func (r *row) count() int64 { return max(int64(r.stands), 1) }

// gathered is how many of them are not drawn one by one.
func (r *row) gathered() int64 {
	switch {
	case r.fid < 0:
		return r.count()
	default:
		return r.count() - 1
	}
}

// inside is how many of them have their middle in a tile.
func (r *row) inside(a Address) int64 {
	switch {
	case r.stands > 0:
		return int64(r.centred)
	case centred(r, a):
		return 1
	}
	return 0
}
