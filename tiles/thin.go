package tiles

import (
	"math"

	"github.com/paulmach/orb"
)

// thinFrom is how many points of a tile are drawn one by one, and thinCell how wide
// the cells are that hold one each where there are more, in units of the tile.
const (
	thinFrom = 5000
	thinCell = 32
)

// thin keeps the first point of each cell, which stands for the others. Points in the
// margin are counted by the neighbour too.
func thin(rows []*row, scale float64, origin orb.Point) []*row {
	first := make(map[[2]int]int, len(rows)/4)
	kept := make([]*row, 0, len(rows)/4)
	for _, r := range rows {
		p := place(r.figure.bound.Min, scale, origin)
		k := [2]int{int(math.Floor(p[0] / thinCell)), int(math.Floor(p[1] / thinCell))}
		n, ok := first[k]
		if !ok {
			first[k] = len(kept)
			kept = append(kept, r)
			continue
		}
		if kept[n].stands == 0 {
			// The row itself is of other tiles too.
			own := *kept[n]
			own.stands = 1
			kept[n] = &own
		}
		kept[n].stands++
	}
	return kept
}
