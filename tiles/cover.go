package tiles

import (
	"bytes"
	"cmp"
	"math"
	"slices"

	"github.com/paulmach/orb"
)

// cover gathers the polygons of a tile that are too small to be drawn one by one:
// for each cell of a grid over the tile, what area of it each class takes. Covers
// of four tiles make that of the tile above them.
//
// Areas are whole numbers of one unit of the map, whatever the zoom: sums do not
// depend on their order, and what was added can be taken off again.
type cover struct {
	side   int   // cells along a side of the tile, a multiple of window
	cell   int64 // the area of a cell
	shares []share
	counts []int64 // polygons by class

	local []float32 // scratch of add
}

// share is the area of a cell that a class takes.
type share struct {
	key  uint64 // the cell, and in the lower half the class
	area int64
}

// shareOf makes the share of a class in a cell, which is counted window by window,
// and row by row in each.
func shareOf(cell uint32, class int32, area int64) share {
	return share{uint64(cell)<<32 | uint64(class), area}
}

func (s share) cell() uint32 { return uint32(s.key >> 32) }
func (s share) class() int32 { return int32(uint32(s.key)) }

// window is the side of the blocks of cells in which areas are made up.
const window = 8

// coverSide is the finest grid: a cell is a pixel of a 512-pixel tile.
const coverSide = 512

// worldArea is the area of the tile of zoom 0, as a power of two: a cell of the
// finest grid has 2^14 units at zoom 13 and 2^40 at zoom 0.
const worldArea = 58

// newCover makes an empty cover of a tile of a zoom below DetailZoom.
func newCover(z, side int) *cover {
	return &cover{side: side, cell: int64(1) << (worldArea - 2*z) / int64(side*side)}
}

func (c *cover) index(x, y int) uint32 {
	w := (y/window)*(c.side/window) + x/window
	return uint32(w*window*window + (y%window)*window + x%window)
}

func (c *cover) position(cell uint32) (x, y int) {
	w, in := int(cell)/(window*window), int(cell)%(window*window)
	return w%(c.side/window)*window + in%window, w/(c.side/window)*window + in/window
}

func (c *cover) count(class int32, n int64) {
	for int(class) >= len(c.counts) {
		c.counts = append(c.counts, 0)
	}
	c.counts[class] += n
}

// add takes the polygons of a figure, whose position p is at scale·p - origin in
// units of the tile.
func (c *cover) add(f *figure, scale float64, origin orb.Point, class int32) {
	unit := float64(c.side) / Extent
	scale, origin = scale*unit, orb.Point{origin[0] * unit, origin[1] * unit}
	low, high := place(f.bound.Min, scale, origin), place(f.bound.Max, scale, origin)
	inside := int64(0)
	if x, y := (low[0]+high[0])/2, (low[1]+high[1])/2; x >= 0 && y >= 0 && x < float64(c.side) && y < float64(c.side) {
		inside = 1
	}
	c.count(class, inside)
	x0, y0 := int(math.Floor(low[0])), int(math.Floor(low[1]))
	width, height := int(math.Floor(high[0]))-x0+1, int(math.Floor(high[1]))-y0+1
	if x0 >= c.side || y0 >= c.side || x0+width <= 0 || y0+height <= 0 {
		return
	}
	stride := width + 2
	c.local = append(c.local[:0], make([]float32, stride*height)...)
	shift := orb.Point{origin[0] + float64(x0), origin[1] + float64(y0)}
	for n := range f.parts {
		if p := &f.parts[n]; p.kind == polygons && p.to-p.from > 3 {
			c.ring(f.at[p.from:p.to], scale, shift, stride, p.hole)
		}
	}
	for row := range height {
		sum := float32(0)
		for col := range width {
			sum += c.local[row*stride+col]
			x, y := x0+col, y0+row
			if sum <= 1e-6 || x < 0 || y < 0 || x >= c.side || y >= c.side {
				continue
			}
			if area := int64(math.Round(float64(min(sum, 1)) * float64(c.cell))); area > 0 {
				c.shares = append(c.shares, shareOf(c.index(x, y), class, area))
			}
		}
	}
}

// put takes the polygons of a row of the tile.
func (c *cover) put(r *row, a Address) {
	scale, origin := a.frame()
	c.add(&r.figure, scale, origin, r.class)
}

// ring adds the exact area that a ring takes of each cell, or takes it off. What
// an edge adds to a cell and to all cells right of it is summed up row by row.
func (c *cover) ring(at []orb.Point, scale float64, shift orb.Point, stride int, hole bool) {
	sign := 1.0
	if ringArea(at) > 0 != hole {
		sign = -1
	}
	p := place(at[0], scale, shift)
	for _, next := range at[1:] {
		q := place(next, scale, shift)
		c.edge(p, q, sign, stride)
		p = q
	}
}

func (c *cover) edge(p, q orb.Point, sign float64, stride int) {
	if p[1] == q[1] {
		return
	}
	if p[1] > q[1] {
		p, q, sign = q, p, -sign
	}
	slope := (q[0] - p[0]) / (q[1] - p[1])
	x := p[0]
	for row := int(p[1]); float64(row) < q[1] && row*stride < len(c.local); row++ {
		dy := min(float64(row+1), q[1]) - max(float64(row), p[1])
		next := x + slope*dy
		line := c.local[row*stride : (row+1)*stride]
		d := sign * dy
		left, right := min(x, next), max(x, next)
		first, last := min(max(int(left), 0), stride-2), min(max(int(math.Ceil(right)), 0), stride-1)
		x = next
		if last <= first+1 {
			middle := (left+right)/2 - float64(first)
			line[first] += float32(d * (1 - middle))
			line[first+1] += float32(d * middle)
			continue
		}
		// The edge passes several cells of the row: of each the part right of it.
		before := 0.0
		for col := first; col < last; col++ {
			// The part of the row's width in which the edge is left of the cell's right
			// side, integrated over the cell.
			a, b := max(left, float64(col)), min(right, float64(col+1))
			share := (b - a) / (right - left)
			covered := (a-left)/(right-left) + share*(float64(col+1)-(a+b)/2)
			line[col] += float32(d * (covered - before))
			before = covered
		}
		line[last] += float32(d * (1 - before))
	}
}

// merge adds a settled cover of no coarser cells, that of the tile at a column and
// row among those some zooms below this one: 0 and 0 at 0 zooms below is the tile
// itself.
func (c *cover) merge(o *cover, depth, col, row int) {
	ratio := o.side << depth / c.side
	for _, s := range o.shares {
		x, y := o.position(s.cell())
		c.shares = append(c.shares, shareOf(c.index((col*o.side+x)/ratio, (row*o.side+y)/ratio), s.class(), s.area))
	}
	for class, n := range o.counts {
		c.count(int32(class), n)
	}
}

// without takes off what a settled cover of the same cells has.
func (c *cover) without(o *cover) {
	for _, s := range o.shares {
		c.shares = append(c.shares, share{s.key, -s.area})
	}
	for class, n := range o.counts {
		c.count(int32(class), -n)
	}
}

// ranked numbers the classes of a settled cover in the order of their values.
func (c *cover) ranked(values [][]byte) (*cover, [][]byte) {
	order := make([]int32, len(c.counts))
	for n := range order {
		order[n] = int32(n)
	}
	slices.SortFunc(order, func(a, b int32) int {
		switch { // NULL is another class than the empty text
		case values[a] == nil:
			return -1
		case values[b] == nil:
			return 1
		}
		return bytes.Compare(values[a], values[b])
	})
	if slices.IsSorted(order) {
		return c, values
	}
	out := &cover{side: c.side, cell: c.cell, shares: make([]share, len(c.shares)), counts: make([]int64, len(c.counts))}
	rank, sorted := make([]int32, len(order)), make([][]byte, len(order))
	for n, class := range order {
		rank[class], sorted[n], out.counts[n] = int32(n), values[class], c.counts[class]
	}
	cell := 0
	for n, s := range c.shares {
		out.shares[n] = shareOf(s.cell(), rank[s.class()], s.area)
		if n+1 == len(c.shares) || c.shares[n+1].cell() != s.cell() {
			slices.SortFunc(out.shares[cell:n+1], byKey)
			cell = n + 1
		}
	}
	return out, sorted
}

func byKey(a, b share) int { return cmp.Compare(a.key, b.key) }

// settle sorts the shares and makes one of those of a class in a cell. Shares that
// come to nothing are left out.
func (c *cover) settle() {
	// What is settled already stands first.
	n := 1
	for n < len(c.shares) && c.shares[n-1].key <= c.shares[n].key {
		n++
	}
	if n < len(c.shares) {
		added := slices.Clone(c.shares[n:])
		slices.SortFunc(added, byKey)
		for at := len(c.shares) - 1; len(added) > 0; at-- {
			if last := len(added) - 1; n == 0 || c.shares[n-1].key <= added[last].key {
				c.shares[at], added = added[last], added[:last]
			} else {
				n--
				c.shares[at] = c.shares[n]
			}
		}
	}
	out := c.shares[:0]
	for _, s := range c.shares {
		if n := len(out); n > 0 && out[n-1].key == s.key {
			out[n-1].area += s.area
			continue
		}
		out = append(out, s)
	}
	c.shares = slices.DeleteFunc(out, func(s share) bool { return s.area <= 0 })
}

// allot gives each cell to one class, or to none, as class+1 row by row. In each
// window as many cells are given as the areas come to, and of these to every class
// as many as its area comes to. What is left over is carried to the next window, so
// that over the tile a class keeps its area within some cells. A class gets the
// cells of which it takes most. The cover is settled.
func (c *cover) allot() []int32 {
	grid := make([]int32, c.side*c.side)
	k := len(c.counts)
	a := allotment{cover: c, grid: grid, carry: make([]float64, k), quota: make([]float64, k), given: make([]int, k), here: make([]bool, k)}
	perRow := c.side / window
	starts := make([]int, perRow*perRow+1)
	n := 0
	for w := range starts {
		for n < len(c.shares) && int(c.shares[n].cell()) < w*window*window {
			n++
		}
		starts[w] = n
	}
	for wy := range perRow {
		for i := range perRow {
			wx := i
			if wy%2 == 1 { // to and fro, so that what is carried stays near
				wx = perRow - 1 - i
			}
			w := wy*perRow + wx
			if from, to := starts[w], starts[w+1]; from < to {
				a.window(c.shares[from:to])
			}
		}
	}
	return grid
}

// allotment is the state of allot.
type allotment struct {
	cover   *cover
	grid    []int32
	carry   []float64
	quota   []float64
	given   []int
	here    []bool  // the class is in the window
	owed    float64 // cells that the areas came to and nobody got
	classes []int32
	order   []wish
}

// wish is a share of a window as one number: the larger the area the less, and of
// one area in the order of cells and classes.
type wish uint64

const (
	wishArea  = 1<<45 - 1
	wishClass = 12 // bits
)

func wishOf(s share) wish {
	return wish(wishArea-min(s.area, wishArea))<<(6+wishClass) | wish(s.cell()%(window*window))<<wishClass | wish(s.class())
}

// cell counts within the window.
func (w wish) cell() uint32 { return uint32(w>>wishClass) % (window * window) }
func (w wish) class() int32 { return int32(w % (1 << wishClass)) }

func (a *allotment) window(shares []share) {
	a.classes = a.classes[:0]
	unit := 1 / float64(a.cover.cell) // a power of two
	for _, s := range shares {
		if !a.here[s.class()] {
			a.classes = append(a.classes, s.class())
			a.here[s.class()], a.quota[s.class()], a.given[s.class()] = true, a.carry[s.class()], 0
		}
		part := float64(s.area) * unit
		a.quota[s.class()] += part
		a.owed += part
	}
	cells := int(math.Floor(a.owed + 0.5))
	a.owed -= float64(cells)
	for ; cells > 0; cells-- {
		most := a.classes[0]
		for _, k := range a.classes[1:] {
			if a.quota[k]-float64(a.given[k]) > a.quota[most]-float64(a.given[most]) {
				most = k
			}
		}
		a.given[most]++
	}
	for _, k := range a.classes {
		a.carry[k] = a.quota[k]
	}
	a.order = a.order[:0]
	for _, s := range shares {
		a.order = append(a.order, wishOf(s))
	}
	slices.Sort(a.order)
	left := 0
	for _, k := range a.classes {
		left += a.given[k]
	}
	first := shares[0].cell() / (window * window) * (window * window)
	for _, w := range a.order {
		if k := w.class(); a.given[k] > 0 && a.take(first+w.cell(), k) {
			left--
		}
	}
	// Cells of which another class took more are left for those that want more.
	for n := 0; n < len(a.order) && left > 0; n++ {
		for _, k := range a.classes {
			if a.given[k] > 0 && a.take(first+a.order[n].cell(), k) {
				left--
				break
			}
		}
	}
	for _, k := range a.classes {
		a.here[k] = false
		// What found no room in a window is not pushed on without end.
		a.carry[k] = min(max(a.carry[k], -window), window)
	}
}

// take gives a cell to a class unless it is given already.
func (a *allotment) take(cell uint32, class int32) bool {
	x, y := a.cover.position(cell)
	at := &a.grid[y*a.cover.side+x]
	if *at != 0 {
		return false
	}
	*at = class + 1
	a.given[class]--
	a.carry[class]--
	return true
}
