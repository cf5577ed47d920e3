package tiles

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
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
// the polygons that go into cells, are made larger.
func Cut(ctx context.Context, pool *pgxpool.Pool, d *catalog.Dataset, r *catalog.Release, maxZoom int, c Config, sink Sink) (tiles int64, err error) {
	cut, err := newCut(pool, d, r, maxZoom, c, sink)
	if err != nil {
		return 0, err
	}
	return cut.all(ctx)
}

func (t *cutter) all(ctx context.Context) (tiles int64, err error) {
	if t.release.Extent == nil {
		return 0, nil
	}
	blocks := t.blocks()
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
	pool    *pgxpool.Pool
	dataset *catalog.Dataset
	release *catalog.Release
	config  Config
	source  *Source // for its compressor
	sink    Sink
	set     MatrixSet
	base    int // the zoom of blocks
	maxZoom int
	dim     int
	columns []catalog.Column // of rows: those that tiles of any zoom carry
	chosen  []catalog.Column // that tiles carry at every zoom; nil: those of TileColumns
	made    atomic.Int64
	area    *area                // what is cut; nil: everything
	step    func(done, of int64) // called after each block, from several goroutines; may be nil

	classAt int // of columns, -1 for none
	classes classes

	mu     sync.Mutex
	large  []*row            // those that are drawn above the blocks
	covers map[[2]int]*cover // of the tiles above the blocks, by column and row
}

func newCut(pool *pgxpool.Pool, d *catalog.Dataset, r *catalog.Release, maxZoom int, c Config, sink Sink) (*cutter, error) {
	set, _ := Set("WebMercatorQuad")
	if maxZoom < 0 || maxZoom > MaxZoom {
		return nil, fmt.Errorf("zoom %d is not within 0 to %d", maxZoom, MaxZoom)
	}
	source := NewSource(pool, c)
	t := &cutter{
		pool: pool, dataset: d, release: r, config: source.config, source: source, sink: sink, set: set, maxZoom: maxZoom,
		dim: dimensionOf(r), covers: make(map[[2]int]*cover), classes: classes{index: make(map[string]int32)},
	}
	t.columns = TileColumns(d, r, DetailZoom)
	t.classAt = classAt(d, t.columns)
	t.base = t.baseZoom()
	return t, nil
}

// blockRows is about how many rows a block has.
const blockRows = 60_000

// baseZoom is the first zoom at which the tiles over the extent have blockRows on
// average.
func (t *cutter) baseZoom() int {
	e := t.release.Extent
	if e == nil {
		return 0
	}
	for z := range min(t.maxZoom, DetailZoom) {
		low, high := t.address(z, e[0], e[3]), t.address(z, e[2], e[1])
		n := int64(high.Col-low.Col+1) * int64(high.Row-low.Row+1)
		if t.release.Rows/n <= blockRows {
			return z
		}
	}
	return min(t.maxZoom, DetailZoom)
}

// address is the tile of a zoom that holds a position.
func (t *cutter) address(z int, lon, lat float64) Address {
	x, y := t.world(lon, lat)
	n := float64(int(1) << z)
	return Address{Set: t.set.ID, Z: z, Col: int(min(max(x*n, 0), n-1)), Row: int(min(max(y*n, 0), n-1))}
}

// world gives a position in units of the tile of zoom 0, right and down.
func (t *cutter) world(lon, lat float64) (x, y float64) {
	return worldOf(&t.set, lon, lat)
}

// blocks are the tiles of the base zoom over the extent, neighbours near each other.
func (t *cutter) blocks() []Address {
	e := t.release.Extent
	low, high := t.address(t.base, e[0], e[3]), t.address(t.base, e[2], e[1])
	var out []Address
	for row := low.Row; row <= high.Row; row++ {
		for col := low.Col; col <= high.Col; col++ {
			out = append(out, Address{Set: t.set.ID, Z: t.base, Row: row, Col: col})
		}
	}
	return out
}

// row is a feature in memory.
type row struct {
	fid    int64
	figure figure // in units of the tile of zoom 0
	size   float64
	class  int32
	values [][]byte // nil for NULL
}

// pixels is the width or height of the row at a zoom, the larger, in pixels.
func (r *row) pixels(z int) float64 { return math.Ldexp(r.size*pixelsOfTile, z) }

// classes numbers the values of the class column.
type classes struct {
	mu     sync.Mutex
	index  map[string]int32
	values [][]byte
}

// maxCovered is how many classes are told apart; the others count as one.
const maxCovered = 4096

func (c *classes) of(value []byte) int32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n, ok := c.index[string(value)]; ok {
		return n
	}
	if len(c.values) >= maxCovered {
		return maxCovered - 1
	}
	n := int32(len(c.values))
	c.index[string(value)] = n
	c.values = append(c.values, slices.Clone(value))
	return n
}

func (c *classes) all() [][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.values[:len(c.values):len(c.values)]
}

// cutWorker makes the tiles of one block after another.
type cutWorker struct {
	*cutter
	shaper *shaper
	rows   []*row

	// The memory of rows.
	figure  figure // scratch
	points  slab[orb.Point]
	parts   slab[part]
	bytes   slab[byte]
	values  slab[[]byte]
	headers slab[row]
}

func (t *cutter) worker() *cutWorker {
	return &cutWorker{cutter: t, shaper: newShaper(Address{Set: t.set.ID}, 1), figure: figure{project: t.world}}
}

// block makes the tiles of a block from the base zoom down.
func (w *cutWorker) block(ctx context.Context, block Address) error {
	if err := w.read(ctx, block); err != nil {
		return err
	}
	within := make(map[[2]int][]*row)
	within[[2]int{block.Col, block.Row}] = w.rows
	for z := w.base; z <= w.maxZoom; z++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		below := make(map[[2]int][]*row)
		for place, rows := range within {
			a := Address{Set: block.Set, Z: z, Col: place[0], Row: place[1]}
			var small *cover
			if w.dim == 2 && z < DetailZoom {
				small = newCover(coverSide)
			}
			if err := w.tile(a, rows, small, drawnPixels); err != nil {
				return err
			}
			if small != nil && z == w.base && z > 0 {
				w.keep(small, a)
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

// margin is how far content reaches beyond a tile, as a part of its width.
const margin = float64(Buffer) / Extent

// scatter sorts the rows of a tile into the four below it.
func scatter(rows []*row, a Address, below map[[2]int][]*row) {
	n := math.Ldexp(1, a.Z+1)
	for _, r := range rows {
		b := r.figure.bound
		for row := max(int(math.Floor(b.Min[1]*n-margin)), 2*a.Row); row <= min(int(math.Floor(b.Max[1]*n+margin)), 2*a.Row+1); row++ {
			for col := max(int(math.Floor(b.Min[0]*n-margin)), 2*a.Col); col <= min(int(math.Floor(b.Max[0]*n+margin)), 2*a.Col+1); col++ {
				k := [2]int{col, row}
				below[k] = append(below[k], r)
			}
		}
	}
}

// keep adds the cover of a block to that of the tile above.
func (w *cutWorker) keep(c *cover, a Address) {
	c.settle()
	w.mu.Lock()
	defer w.mu.Unlock()
	k := [2]int{a.Col / 2, a.Row / 2}
	above := w.covers[k]
	if above == nil {
		above = newCover(coverSide)
		w.covers[k] = above
	}
	above.above(c, a.Col%2, a.Row%2)
}

// read reads the rows of a block, and hands on those that are drawn above it.
func (w *cutWorker) read(ctx context.Context, block Address) error {
	sel := &selection{release: w.release, columns: w.columns, box: w.area.of(block.Degrees(Buffer))}
	q := sel.allSQL(0)
	attrs := attributes(w.columns)
	formats := pgx.QueryResultFormats{1, 1}
	for _, a := range attrs {
		formats = append(formats, a.format)
	}
	rows, err := w.pool.Query(ctx, q.String(), append([]any{pgx.QueryExecModeCacheDescribe, formats}, q.Args()...)...)
	if err != nil {
		return err
	}
	defer rows.Close()
	w.rows = w.rows[:0]
	var large []*row
	n := math.Ldexp(1, block.Z)
	for rows.Next() {
		r := w.row(rows.RawValues())
		if r == nil {
			continue
		}
		w.rows = append(w.rows, r)
		b := r.figure.bound
		if w.base > 0 && w.outlives(r) && int(max(b.Min[0]*n, 0)) == block.Col && int(max(b.Min[1]*n, 0)) == block.Row {
			large = append(large, r.clone())
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	sortRows(w.rows)
	w.mu.Lock()
	w.large = append(w.large, large...)
	w.mu.Unlock()
	return nil
}

// row makes a row of fid, geom and the values of the columns; nil for one that
// cannot be drawn.
func (w *cutWorker) row(raw [][]byte) *row {
	f := &w.figure
	if raw[1] == nil || !f.read(raw[1]) || !w.area.trim(f) {
		return nil
	}
	r := &w.headers.clone([]row{{}})[0]
	r.fid = int64(binary.BigEndian.Uint64(raw[0]))
	r.figure = figure{at: w.points.clone(f.at), parts: w.parts.clone(f.parts), bound: f.bound}
	b := r.figure.bound
	r.size = max(b.Max[0]-b.Min[0], b.Max[1]-b.Min[1])
	r.values = w.values.clone(raw[2:])
	for i, v := range r.values {
		if v != nil {
			r.values[i] = w.bytes.clone(v)
		}
	}
	if w.dim == 2 {
		var class []byte
		if w.classAt >= 0 {
			class = r.values[w.classAt]
		}
		r.class = w.classes.of(class)
	}
	return r
}

// sortRows puts rows in the order of their fids, in which they are drawn.
func sortRows(rows []*row) { slices.SortFunc(rows, byFID) }

func byFID(a, b *row) int {
	switch {
	case a.fid < b.fid:
		return -1
	case a.fid > b.fid:
		return 1
	}
	return 0
}

// outlives reports whether a row is drawn above the blocks, or goes into cells only
// there.
func (t *cutter) outlives(r *row) bool {
	switch t.dim {
	case 2:
		return r.pixels(t.base) >= drawnPixels
	case 0:
		return true
	}
	return r.pixels(t.base-1) >= 1 || slices.ContainsFunc(r.figure.parts, func(p part) bool { return p.kind == points })
}

// overview makes the tiles above the blocks from the rows that are large there and
// from the covers of the blocks.
func (t *cutter) overview(ctx context.Context) error {
	sortRows(t.large)
	w := t.worker()
	for z := t.base - 1; z >= 0; z-- {
		if err := ctx.Err(); err != nil {
			return err
		}
		places := make(map[[2]int][]*row)
		for k := range t.covers {
			places[k] = nil
		}
		n := math.Ldexp(1, z)
		last := int(n) - 1
		for _, r := range t.large {
			b := r.figure.bound
			for row := max(int(math.Floor(b.Min[1]*n-margin)), 0); row <= min(int(math.Floor(b.Max[1]*n+margin)), last); row++ {
				for col := max(int(math.Floor(b.Min[0]*n-margin)), 0); col <= min(int(math.Floor(b.Max[0]*n+margin)), last); col++ {
					k := [2]int{col, row}
					places[k] = append(places[k], r)
				}
			}
		}
		above := make(map[[2]int]*cover)
		for k, rows := range places {
			small := t.covers[k]
			if small == nil && t.dim == 2 {
				small = newCover(coverSide)
			}
			a := Address{Set: t.set.ID, Z: z, Col: k[0], Row: k[1]}
			if err := w.tile(a, rows, small, drawnPixels); err != nil {
				return err
			}
			if small == nil || z == 0 {
				continue
			}
			small.settle()
			up := [2]int{k[0] / 2, k[1] / 2}
			if above[up] == nil {
				above[up] = newCover(coverSide)
			}
			above[up].above(small, k[0]%2, k[1]%2)
		}
		t.covers = above
		// What went into cells at this zoom is in their covers from here on.
		t.large = slices.DeleteFunc(t.large, func(r *row) bool {
			return t.dim == 2 && r.pixels(z) < drawnPixels || t.dim == 1 && r.pixels(z-1) < 1 // those of the other kinds may hold points
		})
	}
	return nil
}

// tile makes one tile of rows. Polygons below a size in pixels go into the cover,
// where there is one, which may hold others already.
func (w *cutWorker) tile(a Address, rows []*row, small *cover, pixels float64) error {
	t := w.best(a, rows, small, pixels)
	if t.Features == 0 {
		return nil
	}
	w.made.Add(1)
	return w.sink.Add(a, t)
}

// best draws a tile with as much detail as it has room for.
func (w *cutWorker) best(a Address, rows []*row, small *cover, pixels float64) *Tile {
	t, whole := w.draw(a, rows, small, pixels)
	// Detail falls until the tile is small enough: larger cells, and more in them.
	for side := coverSide / 2; small != nil && !whole && side >= 8*window; side /= 2 {
		pixels *= 2
		coarse := newCover(side)
		small.settle()
		coarse.from(small)
		t, whole = w.draw(a, slices.DeleteFunc(slices.Clone(rows), func(r *row) bool { return r.pixels(a.Z) < drawnPixels }), coarse, pixels)
	}
	return t
}

// centred reports whether the middle of a row lies in a tile.
func centred(r *row, a Address) bool {
	b, n := r.figure.bound, math.Ldexp(1, a.Z)
	return int(math.Floor((b.Min[0]+b.Max[0])/2*n)) == a.Col && int(math.Floor((b.Min[1]+b.Max[1])/2*n)) == a.Row
}

// draw makes a tile as it comes, and tells whether all of it is within the bounds;
// what is not is left out.
func (w *cutWorker) draw(a Address, rows []*row, small *cover, pixels float64) (t *Tile, whole bool) {
	scale := math.Ldexp(Extent, a.Z)
	origin := orb.Point{float64(a.Col) * Extent, float64(a.Row) * Extent}
	columns := w.chosen
	if columns == nil {
		columns = TileColumns(w.dataset, w.release, a.zoom())
	}
	keys := make([]int, len(columns)) // of columns in the rows' values
	for i, c := range columns {
		keys[i] = slices.IndexFunc(w.columns, func(o catalog.Column) bool { return o.Name == c.Name })
	}
	attrs := attributes(columns)
	s := w.shaper
	s.snap, s.tolerance = snapAt(a.zoom()), 1
	if a.zoom() >= MaxTileZoom {
		s.tolerance = 0
	}
	var drawn []*row
	for _, r := range rows {
		if small != nil && r.pixels(a.Z) < pixels {
			small.add(&r.figure, scale, origin, r.class)
			continue
		}
		drawn = append(drawn, r)
	}
	l := newLayer(w.dataset.ID, append(names(columns), generalizedKey(columns)))
	merged, omitted := w.cells(l, small, columns, attrs)
	if len(drawn) > w.config.MaxFeatures || w.dim < 2 && len(drawn) > comfortable {
		// The bound may bite: the largest come first.
		slices.SortStableFunc(drawn, func(a, b *row) int {
			switch {
			case a.size > b.size:
				return -1
			case a.size < b.size:
				return 1
			}
			return 0
		})
	}
	var stands []int64
	if w.dim == 0 && a.zoom() < DetailZoom && len(drawn) > thinFrom {
		drawn, stands = thin(drawn, scale, origin)
		for _, n := range stands {
			merged += n - 1
		}
	}
	full := false
	for n, r := range drawn {
		if n >= w.config.MaxFeatures || l.size() > rawFactor*w.config.MaxBytes {
			omitted += int64(len(drawn) - n)
			full = true
			break
		}
		s.draw(&r.figure, scale, origin)
		if w.dim != 0 && w.dim != 2 && r.pixels(a.Z) < 1 {
			for _, kind := range []int{lines, polygons} {
				s.collapsed = s.collapsed || len(s.out[kind].b) > 0
				s.out[kind].b = s.out[kind].b[:0]
			}
		}
		if s.empty() {
			// Where the row lies in the tile by less than a unit it is its neighbour's.
			if s.collapsed && centred(r, a) {
				omitted++
			}
			continue
		}
		for i, at := range keys {
			attrs[i].tag(l, i, r.values[at])
		}
		if stands != nil && stands[n] > 1 {
			l.tagInt(len(columns), stands[n])
		}
		l.add(r.fid, &s.out)
	}
	t = w.source.pack(l)
	whole = !full && int64(len(l.marks)) == t.Features
	t.Omitted = omitted + int64(len(l.marks)) - t.Features
	t.Generalized = merged
	return t, whole
}
