package tiles

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/paulmach/orb"
	"golang.org/x/sync/errgroup"

	"changde/catalog"
)

// ArchiveZoom is the deepest zoom of an archive; deeper tiles hold few rows and are
// made when they are asked for.
const ArchiveZoom = 15

// drawnPixels is how large a polygon is drawn on its own below DetailZoom, in pixels
// of a 512-pixel tile. Smaller ones are gathered by class.
const drawnPixels = 4

// Sink takes the tiles of a Cut, each once, from several goroutines.
type Sink interface {
	// Add takes a tile. The tile must not be changed.
	Add(a Address, t *Tile) error
}

// Cut makes all tiles of WebMercatorQuad from zoom 0 to maxZoom of a release, the
// empty ones left out. It reads each row once, in blocks of the map of which each
// processor has one, and tells how many tiles and features it drew.
//
// From DetailZoom on a tile holds what Source.Tile makes of it. Below, polygons
// smaller than a few pixels are gathered by class on cells of a pixel, so that each
// class keeps its area; where a tile would be too large the cells, and with them
// the polygons that go into cells, are made larger. Lines of the same class and label
// that meet end to end are joined there.
func Cut(ctx context.Context, pool *pgxpool.Pool, d *catalog.Dataset, r *catalog.Release, maxZoom int, c Config, sink Sink) (tiles int64, err error) {
	cut, err := newCut(pool, d, r, matrixSet(""), maxZoom, c, sink)
	if err != nil {
		return 0, err
	}
	return cut.all(ctx)
}

func (t *cutter) all(ctx context.Context) (tiles int64, err error) {
	if t.release.Extent == nil {
		return 0, nil
	}
	blocks, err := t.blocks(ctx)
	if err != nil {
		return 0, err
	}
	done := atomic.Int64{}
	group, working := errgroup.WithContext(ctx)
	next := atomic.Int64{}
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() error {
			w := t.worker()
			for {
				n := int(next.Add(1)) - 1
				if n >= len(blocks) {
					return nil
				}
				if err := w.block(working, blocks[n]); err != nil {
					return fmt.Errorf("cut tiles of %s below %s: %w", t.dataset.ID, blocks[n], err)
				}
				if t.step != nil {
					t.step(done.Add(1), int64(len(blocks)))
				}
			}
		})
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	if err := t.overview(ctx); err != nil {
		return 0, fmt.Errorf("cut tiles of %s: %w", t.dataset.ID, err)
	}
	return t.made.Load(), nil
}

// cutter is the state of Cut.
type cutter struct {
	dataset *catalog.Dataset
	release *catalog.Release
	source  *Source // whose rows, bounds and compressor they are
	sink    Sink
	set     MatrixSet
	plan    blockPlan
	base    int // the zoom of the smallest blocks
	maxZoom int
	dim     int
	columns []catalog.Column // of rows: those that tiles of any zoom carry
	chosen  []catalog.Column // that tiles carry at every zoom; nil: those of TileColumns
	made    atomic.Int64
	area    *area                // what is cut; nil: everything
	step    func(done, of int64) // called after each block, from several goroutines; may be nil
	// keep takes the covers that later changes need, from several goroutines; may be nil.
	keep func(a Address, c *cover) error

	classAt int // of columns, -1 for none
	classes classes
	ranking *ranking

	mu     sync.Mutex
	large  []*row            // those that are drawn above the blocks
	held   int               // positions of them, where they are lines
	lost   map[[2]int]int64  // lines that no tile above the blocks draws, by column and row
	covers map[[2]int]*cover // of the tiles above the blocks, by column and row
}

// newCut makes the cutter of the tiles of a set down to a zoom.
func newCut(pool *pgxpool.Pool, d *catalog.Dataset, r *catalog.Release, set MatrixSet, maxZoom int, c Config, sink Sink) (*cutter, error) {
	if maxZoom < set.ahead() || maxZoom > MaxZoom {
		return nil, fmt.Errorf("zoom %d is not within %d to %d", maxZoom, set.ahead(), MaxZoom)
	}
	t := newCutter(NewSource(pool, c), d, r, set, TileColumns(d, r, DetailZoom))
	t.sink, t.maxZoom, t.covers, t.lost = sink, maxZoom, make(map[[2]int]*cover), make(map[[2]int]int64)
	t.plan = t.planOf(maxZoom)
	return t, nil
}

// newCutter makes what draws tiles of rows with some columns.
func newCutter(source *Source, d *catalog.Dataset, r *catalog.Release, set MatrixSet, columns []catalog.Column) *cutter {
	return &cutter{
		dataset: d, release: r, source: source, set: set, dim: dimensionOf(r), columns: columns,
		classAt: slices.IndexFunc(columns, func(c catalog.Column) bool { return c.Name == d.Class }),
		classes: classes{index: make(map[string]int32)}, ranking: rankingOf(d, r),
	}
}

// address is the tile of a zoom that holds a position.
func (t *cutter) address(z int, lon, lat float64) Address {
	x, y := t.world(lon, lat)
	n := float64(int(1) << z)
	return t.set.at(z, int(min(max(x*n, 0), n-1)), int(min(max(y*n, 0), n-1)))
}

// world gives a position in units of the tile of zoom 0, right and down.
func (t *cutter) world(lon, lat float64) (x, y float64) {
	return worldOf(&t.set, lon, lat)
}

// cutWorker makes the tiles of one block after another.
type cutWorker struct {
	*cutter
	shaper *shaper
	rows   []*row
	joiner *joiner
	keys   []int // of the values in which joined lines agree
	unkept int64 // lines that are not among the rows of the next tile because they are too small

	// The memory of rows.
	figure  figure // scratch
	points  slab[orb.Point]
	parts   slab[part]
	bytes   slab[byte]
	values  slab[[]byte]
	headers slab[row]
}

func (t *cutter) worker() *cutWorker {
	w := &cutWorker{cutter: t, shaper: newShaper(Address{Set: t.set.ID}, 1), joiner: newJoiner(), figure: figure{project: t.world}}
	if t.dim == 1 {
		for _, c := range joinColumns(t.dataset, t.release, t.chosen) {
			if i := slices.IndexFunc(t.columns, func(o catalog.Column) bool { return o.Name == c.Name }); i >= 0 {
				w.keys = append(w.keys, i)
			}
		}
	}
	return w
}

// block makes the tiles of a block from the base zoom down.
func (w *cutWorker) block(ctx context.Context, block Address) error {
	if err := w.read(ctx, block); err != nil {
		return err
	}
	within := make(map[[2]int][]*row)
	within[[2]int{block.Col, block.Row}] = w.rows
	for z := block.zoom(); z <= w.maxZoom; z++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		below := make(map[[2]int][]*row)
		for place, rows := range within {
			a := w.set.at(z, place[0], place[1])
			if z >= w.base {
				if err := w.based(a, rows); err != nil {
					return err
				}
			}
			if z < w.maxZoom {
				scatter(rows, a, below)
			}
		}
		within = below
	}
	w.rows = nil
	return nil
}

// based makes a tile of the base zoom or below it.
func (w *cutWorker) based(a Address, rows []*row) error {
	z := a.zoom()
	var small *cover
	if w.dim == 2 && z < DetailZoom {
		small = newCover(z, coverSide)
	}
	if err := w.tile(a, rows, small, drawnPixels); err != nil {
		return err
	}
	if small != nil && z == w.base && z > w.set.ahead() {
		w.raise(small, a)
	}
	return nil
}

// margin is how far content reaches beyond a tile, as a part of its width.
const margin = float64(Buffer) / Extent

// scatter sorts the rows of a tile into the four below it.
func scatter(rows []*row, a Address, below map[[2]int][]*row) {
	z := a.zoom() + 1
	for _, r := range rows {
		low, high := reach(r.figure.bound, z, margin)
		for row := max(low[1], 2*a.Row); row <= min(high[1], 2*a.Row+1); row++ {
			for col := max(low[0], 2*a.Col); col <= min(high[0], 2*a.Col+1); col++ {
				k := [2]int{col, row}
				below[k] = append(below[k], r)
			}
		}
	}
}

// gatherAbove adds those of a block's own rows to the covers of the tiles above the
// base zoom that are first too small there.
func (w *cutWorker) gatherAbove(rows []*row) {
	z := w.base - 1
	covers := make(map[Address]*cover)
	for _, r := range rows {
		if r.pixels(w.base) >= drawnPixels {
			low, high := reach(r.figure.bound, z, 0)
			w.spread(covers, r, z, low, high)
		}
	}
	for _, c := range covers {
		c.settle()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for a, c := range covers {
		coverAt(w.covers, z, a.Col, a.Row).merge(c, 0, 0, 0)
	}
}

// coverAt is the cover of a tile of a zoom among those by column and row.
func coverAt(covers map[[2]int]*cover, z, col, row int) *cover {
	k := [2]int{col, row}
	if covers[k] == nil {
		covers[k] = newCover(z, coverSide)
	}
	return covers[k]
}

// raise adds the cover of a block to that of the tile above.
func (w *cutWorker) raise(c *cover, a Address) {
	c.settle()
	w.mu.Lock()
	defer w.mu.Unlock()
	raise(w.covers, c, a)
}

// raise adds the settled cover of a tile to that of the tile above, by column and
// row.
func raise(above map[[2]int]*cover, c *cover, a Address) {
	coverAt(above, a.zoom()-1, a.Col/2, a.Row/2).merge(c, 1, a.Col%2, a.Row%2)
}

// read reads the rows of a block, and hands on those that are drawn above it.
func (w *cutWorker) read(ctx context.Context, block Address) error {
	sel := &selection{release: w.release, columns: w.columns, box: w.area.of(block.Degrees(Buffer))}
	var whole bool
	var err error
	if w.rows, whole, err = w.load(ctx, sel, sel.allSQL(0), w.rows[:0], w.plan.most); err != nil {
		return err
	}
	if !whole {
		return errCrowded
	}
	w.link(w.rows, block)
	if w.dim == 1 && w.base > w.set.ahead() {
		w.joiner.survey(w.rows, w.keys)
	}
	var large, lost []*row // of the block's own rows
	n, first := math.Ldexp(1, block.zoom()), w.set.ahead()
	for _, r := range w.rows {
		b := r.figure.bound
		if w.base == first || int(max(b.Min[0]*n, 0)) != block.Col || int(max(b.Min[1]*n, 0)) != block.Row {
			continue
		}
		if w.outlives(r) {
			large = append(large, r)
		} else {
			lost = append(lost, r)
		}
	}
	switch w.dim {
	case 0:
		large = w.handUp(large)
	case 2:
		w.gatherAbove(lost)
	}
	for n, r := range large {
		large[n] = r.clone()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dim == 1 {
		w.hold(large)
		w.lose(lost, w.base-1)
	}
	w.large = append(w.large, large...)
	return nil
}

// outlives reports whether a row is drawn above the blocks, or goes into cells only
// there.
func (t *cutter) outlives(r *row) bool {
	switch t.dim {
	case 2:
		return r.pixels(t.base-1) >= drawnPixels
	case 1:
		return !r.leaves(t.base - 1)
	case 0:
		return true
	}
	return r.pixels(t.base-1) >= 1 || slices.ContainsFunc(r.figure.parts, func(p part) bool { return p.kind == points })
}

// overview makes the tiles above the blocks from the rows that are large there and
// from the covers of the blocks.
func (t *cutter) overview(ctx context.Context) error {
	slices.SortFunc(t.large, byFID)
	if t.dim == 1 {
		w := t.worker()
		w.joiner.link(t.large, w.keys, everywhere())
		w.joiner.measure(t.large)
	}
	for z := t.base - 1; z >= t.set.ahead(); z-- {
		if err := ctx.Err(); err != nil {
			return err
		}
		places := make(map[[2]int][]*row)
		for k := range t.covers {
			places[k] = nil
		}
		for _, r := range t.large {
			low, high := reach(r.figure.bound, z, margin)
			for row := low[1]; row <= high[1]; row++ {
				for col := low[0]; col <= high[0]; col++ {
					k := [2]int{col, row}
					places[k] = append(places[k], r)
				}
			}
		}
		if err := t.aloft(ctx, z, places); err != nil {
			return err
		}
		if t.dim == 1 {
			t.large = t.thinOut(t.large, z-1)
		}
		// What went into cells at this zoom is in their covers from here on.
		t.large = slices.DeleteFunc(t.large, func(r *row) bool {
			return t.dim == 2 && r.pixels(z) < drawnPixels // those of the other kinds may hold points
		})
	}
	return nil
}

// aloft makes the tiles of a zoom above the base zoom of the rows that are large
// there, by column and row, and puts their covers together for the zoom above.
func (t *cutter) aloft(ctx context.Context, z int, places map[[2]int][]*row) error {
	group, working := errgroup.WithContext(ctx)
	// Lines are joined tile by tile, for which their rows are marked.
	if group.SetLimit(runtime.GOMAXPROCS(0)); t.dim == 1 {
		group.SetLimit(1)
	}
	above := make(map[[2]int]*cover)
	var mu sync.Mutex // of above
	for k, rows := range places {
		group.Go(func() error {
			if err := working.Err(); err != nil {
				return err
			}
			small := t.covers[k]
			if small == nil && t.dim == 2 {
				small = newCover(z, coverSide)
			}
			a := t.set.at(z, k[0], k[1])
			w := t.worker()
			w.unkept = t.lost[k]
			if err := w.tile(a, rows, small, drawnPixels); err != nil {
				return err
			}
			if small == nil || z == t.set.ahead() {
				return nil
			}
			small.settle()
			mu.Lock()
			defer mu.Unlock()
			raise(above, small, a)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	t.covers = above
	return nil
}
