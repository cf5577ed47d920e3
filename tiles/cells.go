package tiles

import (
	"slices"

	"changde/catalog"
)

// GeneralizedKey is the attribute by which tiles of the release below DetailZoom
// mark what was gathered there. Where it is also the name of a column of the
// release, tiles from that zoom on have it of every feature.
func GeneralizedKey(d *catalog.Dataset, r *catalog.Release) string {
	return countKey(d, r, 0)
}

// countKey is generalizedKey of tiles of a zoom, the same for all below DetailZoom.
func countKey(d *catalog.Dataset, r *catalog.Release, zoom int) string {
	return generalizedKey(TileColumns(d, r, max(zoom, DetailZoom-1)))
}

// generalizedKey is the attribute of what was gathered: how many features it stands
// for. Another feature has no such attribute.
func generalizedKey(columns []catalog.Column) string { return freeKey("generalized", columns) }

// freeKey is a key that no column has.
func freeKey(key string, columns []catalog.Column) string {
	for slices.ContainsFunc(columns, func(c catalog.Column) bool { return c.Name == key }) {
		key += "_"
	}
	return key
}

// cells adds what a cover gathered, one feature without an id for each class, with
// its class and how many features it stands for. It returns how many that are, and of how
// many nothing is seen because all of their class comes to less than a cell.
func (w *cutWorker) cells(l *layer, small *cover, columns []catalog.Column, attrs []attribute) (merged, lost int64) {
	if small == nil || len(small.shares) == 0 {
		return 0, 0
	}
	small.settle()
	class := slices.IndexFunc(columns, func(c catalog.Column) bool { return c.Name == w.dataset.Class })
	values := w.classes.all()
	// Classes are numbered as they are met; what is drawn must not depend on it.
	small, values = small.ranked(values)
	grid := contour{grid: small.allot(), side: small.side, unit: int32(Extent / small.side)}
	for k, geometry := range grid.draw(len(small.counts)) {
		if len(geometry.b) == 0 {
			lost += small.counts[k]
			continue
		}
		merged += small.counts[k]
		if class >= 0 {
			attrs[class].tag(l, class, values[k])
		}
		l.tagInt(len(columns), small.counts[k])
		l.add(-1, &[kinds]commands{polygons: geometry})
	}
	return merged, lost
}
