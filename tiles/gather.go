package tiles

import (
	"context"
)

// gather makes a tile below DetailZoom as Cut does, of all its rows. ok is false where
// it has more than twice Config.MaxFeatures that are no points, of which the first in
// the order of rowsSQL alone are drawn, and for other tiles.
func (s *Source) gather(ctx context.Context, p Part, a Address, sel *selection) (t *Tile, ok bool, err error) {
	r := p.Release
	if sel.dim < 0 || a.zoom() >= DetailZoom || sel.edited {
		return nil, false, nil
	}
	most := 2 * s.config.MaxFeatures
	if sel.filter == nil && r.Extent != nil && float64(r.Rows)*overlap(*r.Extent, sel.box) > 4*float64(most) {
		return s.crowd(ctx, p, a, sel)
	}
	set, _ := Set(a.Set)
	all := *sel
	if sel.dim != 2 {
		all.columns = joinColumns(p.Dataset, r, p.Columns)
	}
	c := newCutter(s, p.Dataset, r, set, all.columns)
	c.chosen = p.Columns
	w := c.worker()
	rows, whole, err := w.load(ctx, &all, all.allSQL(int64(most)+1), nil, most)
	if err != nil {
		return nil, false, err
	}
	if !whole {
		return s.crowd(ctx, p, a, sel)
	}
	if sel.dim != 2 {
		w.link(rows, a)
		return w.sketch(a, rows), true, nil
	}
	t, _ = w.best(a, rows, newCover(a.zoom(), coverSide), drawnPixels)
	return t, true, nil
}

// crowd makes a tile of more points than are read.
func (s *Source) crowd(ctx context.Context, p Part, a Address, sel *selection) (t *Tile, ok bool, err error) {
	if sel.dim != 0 {
		return nil, false, nil
	}
	t, err = s.sieve(ctx, p, a)
	return t, err == nil, err
}
