package shapefile

import (
	"cmp"
	"math"
	"slices"
)

// boxTree is a packed tree over the boxes of rings (sort-tile-recursive): levels
// of boxes, each over fanout boxes of the level below.
type boxTree struct {
	ids    []int32 // of the leaves
	levels [][]box // levels[0] are the leaves
}

const fanout = 16

func newBoxTree(rings []ring, ids []int32) *boxTree {
	t := &boxTree{ids: slices.Clone(ids)}
	middle := func(id int32) (x, y float64) {
		b := rings[id].box
		return b.minX/2 + b.maxX/2, b.minY/2 + b.maxY/2
	}
	slices.SortFunc(t.ids, func(a, b int32) int {
		ax, _ := middle(a)
		bx, _ := middle(b)
		return cmp.Compare(ax, bx)
	})
	leaves := (len(ids) + fanout - 1) / fanout
	slice := fanout * int(math.Ceil(math.Sqrt(float64(leaves))))
	for i := 0; i < len(t.ids); i += slice {
		slices.SortFunc(t.ids[i:min(i+slice, len(t.ids))], func(a, b int32) int {
			_, ay := middle(a)
			_, by := middle(b)
			return cmp.Compare(ay, by)
		})
	}
	level := make([]box, len(t.ids))
	for i, id := range t.ids {
		level[i] = rings[id].box
	}
	t.levels = append(t.levels, level)
	for len(level) > fanout {
		above := make([]box, 0, (len(level)+fanout-1)/fanout)
		for i := 0; i < len(level); i += fanout {
			b := level[i]
			for _, o := range level[i+1 : min(i+fanout, len(level))] {
				b = b.join(o)
			}
			above = append(above, b)
		}
		level = above
		t.levels = append(t.levels, level)
	}
	return t
}

// around appends the ids of the rings whose box contains b, counting the boxes
// looked at.
func (t *boxTree) around(b box, found []int32, work *int) []int32 {
	top := len(t.levels) - 1
	return t.search(top, 0, len(t.levels[top]), b, found, work)
}

func (t *boxTree) search(level, from, to int, b box, found []int32, work *int) []int32 {
	*work += to - from
	for i := from; i < to; i++ {
		if !t.levels[level][i].contains(b) {
			continue
		}
		if level == 0 {
			found = append(found, t.ids[i])
			continue
		}
		found = t.search(level-1, i*fanout, min((i+1)*fanout, len(t.levels[level-1])), b, found, work)
	}
	return found
}
