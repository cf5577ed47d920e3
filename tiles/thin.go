package tiles

import "math"

// thinFrom is how many points of a tile are drawn one by one, and thinCell how wide
// the cells are that hold one each where there are more, in units of the tile.
const (
	thinFrom = 5000
	thinCell = 32
)

// thin keeps the first point of each cell of a tile, which stands for the others. Points in the
// margin are counted by the neighbour too.
func thin(rows []*row, a Address) []*row {
	scale, origin := a.frame()
	first := make(map[[2]int]int, len(rows)/4)
	kept := make([]*row, 0, len(rows)/4)
	own := make(map[int]bool)
	for _, r := range rows {
		p := place(r.figure.bound.Min, scale, origin)
		k := [2]int{int(math.Floor(p[0] / thinCell)), int(math.Floor(p[1] / thinCell))}
		n, ok := first[k]
		if !ok {
			first[k] = len(kept)
			kept = append(kept, r)
			continue
		}
		if !own[n] {
			// The row itself is of other tiles too.
			r := *kept[n]
			r.stands = int32(r.count())
			kept[n], own[n] = &r, true
		}
		kept[n].stands += int32(r.count())
	}
	return kept
}

// handUp are the points that a tile above a block needs to be thinned as of all of
// them: where it has many, the first of each of its cells. Cells of the tiles above
// that are made of whole such cells.
func (w *cutWorker) handUp(rows []*row) []*row {
	z := w.base - 1
	within := make(map[[2]int][]*row)
	for _, r := range rows {
		k := tileOf(r.figure.bound.Min, z)
		within[k] = append(within[k], r)
	}
	var up []*row
	for k, rows := range within {
		if len(rows) > thinFrom {
			rows = thin(ranked(rows), w.set.at(z, k[0], k[1]))
		}
		up = append(up, rows...)
	}
	return up
}

// total is how many rows are drawn as these.
func total(rows []*row) (n int64) {
	for _, r := range rows {
		n += r.count()
	}
	return n
}
