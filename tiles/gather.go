package tiles

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"changde/catalog"
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
	c := &cutter{
		dataset: p.Dataset, release: r, config: s.config, source: s, set: set, maxZoom: a.Z, dim: sel.dim,
		columns: sel.columns, chosen: sel.columns, classAt: classAt(p.Dataset, sel.columns), classes: classes{index: make(map[string]int32)},
	}
	q := sel.allSQL(int64(most) + 1)
	attrs := attributes(sel.columns)
	formats := pgx.QueryResultFormats{1, 1}
	for _, a := range attrs {
		formats = append(formats, a.format)
	}
	// Rows that are not wanted any more are not read to their end.
	reading, cancel := context.WithCancel(ctx)
	defer cancel()
	rows, err := s.pool.Query(reading, q.String(), append([]any{sel.mode(), formats}, q.Args()...)...)
	if err != nil {
		return nil, false, fmt.Errorf("read rows of %s: %w", p.Dataset.ID, err)
	}
	defer rows.Close()
	w := c.worker()
	for rows.Next() {
		if len(w.rows) == most {
			cancel()
			return nil, false, nil
		}
		if r := w.row(rows.RawValues()); r != nil {
			w.rows = append(w.rows, r)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, false, fmt.Errorf("read rows of %s: %w", p.Dataset.ID, err)
	}
	sortRows(w.rows)
	return w.best(a, w.rows, newCover(coverSide), drawnPixels), true, nil
}

// classAt is where the class column stands, -1 where it does not.
func classAt(d *catalog.Dataset, columns []catalog.Column) int {
	for i, c := range columns {
		if c.Name == d.Class {
			return i
		}
	}
	return -1
}
