package quality

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"sync/atomic"

	"github.com/jackc/pgx/v5"

	"changde/ingest/profile"
	"changde/postgis"
)

// pair is two rows that have an area in common; a < b.
type pair struct {
	a, b  int64
	area  float64 // square metres
	wide  float64 // metres; before it is verified, how wide it must be
	place [2]float64
}

// pairs is all pairs of rows that overlap by more than least square metres, wider
// than the tolerance.
type pairs struct {
	tolerance, least float64
	all              []pair
	full             bool // there are more
	known            bool
}

// mostPairs bounds the pairs that are kept: as many findings as a person will
// never look at, and as much memory as we have.
const mostPairs = 500_000

// verified is how many pairs PostGIS is asked about at a time.
const verified = 20_000

// overlaps is Q06.
func (c *checker) overlaps(ctx context.Context, s *scan, r *rule) (func(context.Context) error, error) {
	p, err := profile.Params[profile.OverlapParams](c.o.Profile, r.spec)
	if err != nil {
		return nil, err
	}
	if !c.areal {
		r.skip("图层不是面", "the layer has no polygons")
		return nil, nil
	}
	if err := c.wantPairs(ctx, s, r); err != nil {
		return nil, err
	}
	c.pairs.tolerance, c.pairs.least = p.Tolerance, p.Area
	return func(ctx context.Context) error {
		if err := c.findPairs(ctx); err != nil {
			return err
		}
		r.Rows = c.tiles.count
		r.AtLeast = c.pairs.full
		for _, p := range c.pairs.all {
			own, other := p.a, p.b
			if own < 0 {
				own, other = other, own
			}
			if own < 0 || !c.found(r) {
				continue
			}
			zh, en := c.name(other, own)
			place := p.place
			c.tell(r, own, "overlap", "", &place,
				fmt.Sprintf("与%s重叠 %.2f 平方米，平均宽 %.3f 米", zh, p.area, p.wide),
				fmt.Sprintf("overlaps %s by %.2f m², %.3f m wide on average", en, p.area, p.wide))
		}
		return nil
	}, nil
}

// wantPairs makes sure that findPairs has what it needs. Rule Q06 says which pairs
// count; without it the tolerances of the profile do.
func (c *checker) wantPairs(ctx context.Context, s *scan, r *rule) error {
	if _, err := c.tiled(ctx, s, r); err != nil {
		return err
	}
	if c.pairs == nil {
		c.pairs = &pairs{tolerance: c.tol.Topology, least: c.tol.Area}
	}
	return nil
}

// finder looks for pairs in one tile after the other. Where each edge is shared
// by two rows, one on either side, as many rows cover one side as the other: so
// what several rows cover is bounded by edges that are not shared. Rows that have
// such an edge are compared with all around them, and so are, in turn, all rows
// that touch a place where two overlap; the others need not be.
type finder struct {
	in               intersector
	mesh             mesh
	grid             grid
	start            []int32
	cells            []int32
	queue            []int32
	whole            []pair // complete
	partial          []pair // in several tiles, to be added up
	count            *atomic.Int64
	tolerance, least float64
}

// findPairs fills c.pairs.
func (c *checker) findPairs(ctx context.Context) error {
	if c.pairs.known {
		return nil
	}
	var count atomic.Int64
	finders := make([]finder, c.o.Workers)
	for i := range finders {
		finders[i].count, finders[i].tolerance, finders[i].least = &count, c.pairs.tolerance, c.pairs.least
		finders[i].mesh.known = c.tiles.margin
	}
	err := c.tiles.each(ctx, nil, func(w int, t *tile) error { return finders[w].find(ctx, t) })
	if err != nil {
		return err
	}
	var partial []pair
	for i := range finders {
		c.pairs.all = append(c.pairs.all, finders[i].whole...)
		partial = append(partial, finders[i].partial...)
	}
	slices.SortFunc(partial, comparePairs)
	for i := 0; i < len(partial); {
		p := partial[i]
		for i++; i < len(partial) && partial[i].a == p.a && partial[i].b == p.b; i++ {
			p.area += partial[i].area
			p.wide = max(p.wide, partial[i].wide)
		}
		if p.area > c.pairs.least {
			c.pairs.all = append(c.pairs.all, p)
		}
	}
	slices.SortFunc(c.pairs.all, comparePairs)
	if err := c.verifyPairs(ctx); err != nil {
		return err
	}
	c.pairs.full = count.Load() > mostPairs || c.tiles.cut.Load()
	c.pairs.known = true
	return nil
}

func comparePairs(p, q pair) int {
	return cmp.Or(cmp.Compare(p.a, q.a), cmp.Compare(p.b, q.b))
}

// find compares the rows of a tile whose bounds meet.
func (f *finder) find(ctx context.Context, t *tile) error {
	f.mesh.fill(t)
	f.mesh.settle()
	if f.several(t) {
		for i := range f.mesh.doubt {
			f.mesh.doubt[i] = true
		}
	}
	f.queue = f.queue[:0]
	for i, d := range f.mesh.doubt {
		if d {
			f.queue = append(f.queue, int32(i))
		}
	}
	if len(f.queue) == 0 {
		return nil
	}
	f.grid = newGrid(t, len(t.areas))
	f.fill(t, f.grid)
	done := zeroed(f.mesh.doubt, len(t.areas)) // compared with all around it
	f.mesh.doubt = done
	queued := make([]bool, len(t.areas))
	for _, i := range f.queue {
		queued[i] = true
	}
	for n := 0; n < len(f.queue); n++ {
		if n%256 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if f.count.Load() > mostPairs {
			return nil
		}
		i := f.queue[n]
		f.around(t, t.areas[i].box, func(k int32) {
			if k == i || done[k] || !f.compare(t, &t.areas[i], &t.areas[k]) {
				return
			}
			place := t.areas[i].box.cut(t.areas[k].box).grow(f.mesh.known, f.mesh.known)
			f.around(t, place, func(l int32) {
				if !queued[l] {
					queued[l] = true
					f.queue = append(f.queue, l)
				}
			})
		})
		done[i] = true
	}
	return nil
}

// several says that the tile is covered more than once all over, so that no edge
// in it would show what overlaps.
func (f *finder) several(t *tile) bool {
	whole := (t.box.x1 - t.box.x0) * (t.box.y1 - t.box.y0)
	if math.IsInf(whole, 0) || math.IsNaN(whole) {
		return false
	}
	sum := 0.0
	for i := range t.areas {
		sum += f.in.within(t, &t.areas[i], t.areas[i].box.cut(t.box))
	}
	return sum > 1.5*whole
}

// around gives each row whose bounds meet a box, once.
func (f *finder) around(t *tile, b box, do func(int32)) {
	g := &f.grid
	x0, x1 := g.column(b.x0), g.column(b.x1)
	for y := g.line(b.y0); y <= g.line(b.y1); y++ {
		for x := x0; x <= x1; x++ {
			n := y*g.nx + x
			for _, k := range f.cells[f.start[n]:f.start[n+1]] {
				o := &t.areas[k].box
				if !b.meets(*o) {
					continue
				}
				// The cell of the corner of what the bounds share has the pair.
				if g.cell(max(b.x0, o.x0, g.box.x0), max(b.y0, o.y0, g.box.y0)) == n {
					do(k)
				}
			}
		}
	}
}

// compare keeps a pair when it has enough in common, and says whether it has
// anything in common.
func (f *finder) compare(t *tile, a, b *area) bool {
	r := a.box.cut(b.box)
	kx, ky := scale((r.y0 + r.y1) / 2)
	k := kx * ky
	if a.fid == b.fid || (r.x1-r.x0)*(r.y1-r.y0)*k <= f.least*trace {
		return false
	}
	p := pair{a: min(a.fid, b.fid), b: max(a.fid, b.fid)}
	if r.within(t.box) {
		if p.area = f.in.common(t, a, b, r) * k; p.area > f.least {
			p.wide = f.tolerance + drift(max(t.longest(a, r), t.longest(b, r)), r.y0)
			f.whole = append(f.whole, p)
			f.count.Add(1)
		}
		return p.area > f.least*trace
	}
	// The scale is that of the whole, so that the parts of a pair add up.
	if p.area = f.in.common(t, a, b, r.cut(t.box)) * k; p.area > f.least*trace {
		p.wide = f.tolerance + drift(max(t.longest(a, r.cut(t.box)), t.longest(b, r.cut(t.box))), r.y0)
		f.partial = append(f.partial, p)
		f.count.Add(1)
		return true
	}
	return false
}

// trace is the share of the least area that still tells an overlap from nothing.
const trace = 1e-4

// grid divides the rows' bounds in a tile into cells.
type grid struct {
	box    box
	nx, ny int
	fx, fy float64
}

func newGrid(t *tile, n int) grid {
	b := emptyBox()
	for i := range t.areas {
		b.add(t.areas[i].box.x0, t.areas[i].box.y0)
		b.add(t.areas[i].box.x1, t.areas[i].box.y1)
	}
	b = b.cut(t.box)
	side := max(1, int(math.Sqrt(float64(n))))
	g := grid{box: b, nx: side, ny: side}
	g.fx, g.fy = float64(side)/(b.x1-b.x0), float64(side)/(b.y1-b.y0)
	return g
}

func (g grid) column(x float64) int { return clampCell((x-g.box.x0)*g.fx, g.nx) }
func (g grid) line(y float64) int   { return clampCell((y-g.box.y0)*g.fy, g.ny) }

func clampCell(v float64, n int) int {
	switch {
	case !(v > 0): // NaN of a grid without extent is 0
		return 0
	case v >= float64(n):
		return n - 1
	}
	return int(v)
}

func (g grid) cell(x, y float64) int { return g.line(y)*g.nx + g.column(x) }

// fill sorts the rows into the cells that their bounds meet.
func (f *finder) fill(t *tile, g grid) {
	f.start = append(f.start[:0], make([]int32, g.nx*g.ny+1)...)
	visit := func(do func(cell int, i int32)) {
		for i := range t.areas {
			b := t.areas[i].box
			if !b.meets(g.box) {
				continue
			}
			x0, x1 := g.column(b.x0), g.column(b.x1)
			for y := g.line(b.y0); y <= g.line(b.y1); y++ {
				for x := x0; x <= x1; x++ {
					do(y*g.nx+x, int32(i))
				}
			}
		}
	}
	total := int32(0)
	visit(func(cell int, _ int32) { f.start[cell+1]++; total++ })
	for i := 1; i < len(f.start); i++ {
		f.start[i] += f.start[i-1]
	}
	f.cells = slices.Grow(f.cells[:0], int(total))[:total]
	visit(func(cell int, i int32) {
		f.cells[f.start[cell]] = i
		f.start[cell]++
	})
	copy(f.start[1:], f.start[:len(f.start)-1])
	f.start[0] = 0
}

// verifyPairs asks PostGIS for what the rows of each pair have in common, and
// keeps the pairs of which something is left that is neither small nor thin.
func (c *checker) verifyPairs(ctx context.Context) error {
	k := 0
	for some := range slices.Chunk(c.pairs.all, verified) {
		fids := make([]int64, 0, 2*len(some))
		a, b, least := make([]int64, len(some)), make([]int64, len(some)), make([]float64, len(some))
		for i, p := range some {
			a[i], b[i], least[i] = p.a, p.b, p.wide
			fids = append(fids, p.a, p.b)
		}
		q := new(postgis.SQL).Raw("WITH r AS MATERIALIZED (SELECT fid, ST_Force2D(geom) AS geom FROM ").Ident(c.layer.Relation[0], c.layer.Relation[1]).
			Raw(" WHERE fid = ANY(").Arg(fids).Raw(")), i AS MATERIALIZED (SELECT p.a, p.b, p.t, ST_CollectionExtract(ST_Intersection(x.geom, y.geom), 3) AS geom FROM unnest(").
			Arg(a).Raw("::bigint[], ").Arg(b).Raw("::bigint[], ").Arg(least).Raw("::float8[]) p(a, b, t) JOIN r x ON x.fid = p.a JOIN r y ON y.fid = p.b) SELECT i.a, i.b, ").
			Add(thickColumns()).Raw(" FROM i, ").Add(thick()).Raw(" ORDER BY i.a, i.b")
		rows, err := c.tx.Query(ctx, q.String(), q.Args()...)
		if err != nil {
			return fmt.Errorf("intersect: %w", err)
		}
		var p pair
		var t thickPart
		_, err = pgx.ForEachRow(rows, append([]any{&p.a, &p.b}, t.targets()...), func() error {
			var err error
			if p.area, err = t.area(); err != nil {
				return err
			}
			if p.wide, p.place = t.wide, t.place; p.area > c.pairs.least {
				c.pairs.all[k] = p // never ahead of what is read
				k++
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("intersect: %w", err)
		}
	}
	c.pairs.all = c.pairs.all[:k]
	return nil
}
