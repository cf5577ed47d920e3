package tiles

import (
	"context"
)

// gather makes a tile of polygons below DetailZoom as Cut does, of all its rows. ok
// is false where it has more than twice Config.MaxFeatures, of which the largest
// alone are drawn, and for other tiles.
func (s *Source) gather(ctx context.Context, p Part, a Address, sel *selection) (t *Tile, ok bool, err error) {
	r := p.Release
	if sel.dim != 2 || a.zoom() >= DetailZoom || sel.edited {
		return nil, false, nil
	}
	most := 2 * s.config.MaxFeatures
	if sel.filter == nil && r.Extent != nil && float64(r.Rows)*overlap(*r.Extent, sel.box) > 4*float64(most) {
		return nil, false, nil
	}
	set, _ := Set(a.Set)
	c := newCutter(s, p.Dataset, r, set, sel.columns)
	c.chosen = sel.columns
	w := c.worker()
	rows, whole, err := w.load(ctx, sel, sel.allSQL(int64(most)+1), nil, most)
	if !whole || err != nil {
		return nil, false, err
	}
	return w.best(a, rows, newCover(coverSide), drawnPixels), true, nil
}
