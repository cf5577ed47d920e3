package quality

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"changde/postgis"
)

// tiles is the polygons of the layer in tiles, in the spill file.
type tiles struct {
	c      *checker
	tiling *tiling
	spill  *spill
	margin float64 // degrees: rows this near to a tile are in it too
	lat    float64 // of the middle of the layer
	record []byte
	found  []int
	whole  box // of the layer
	count  int64
	cut    atomic.Bool // a tile had too many rows, all in one place
}

// sampled is how many rows the tiling is made from.
const sampled = 30_000

// tiled makes sure that the scan fills the tiles, and returns them.
func (c *checker) tiled(ctx context.Context, s *scan, r *rule) (*tiles, error) {
	if c.tiles != nil {
		return c.tiles, nil
	}
	t := &tiles{c: c, margin: 4 * c.tol.Topology / 20_000, whole: emptyBox()}
	if err := t.plan(ctx); err != nil {
		return nil, err
	}
	var err error
	if t.spill, err = c.newSpill(len(t.tiling.tiles)); err != nil {
		return nil, err
	}
	c.tiles = t
	s.all(r, func(w *row) error { return t.put(w.fid, w.shape, false) })
	return t, nil
}

// plan makes the tiling from a sample of the rows.
func (t *tiles) plan(ctx context.Context) error {
	name := t.c.layer.Relation
	var n int64
	q := new(postgis.SQL).Raw("SELECT count(*) FROM ").Ident(name[0], name[1])
	if err := t.c.tx.QueryRow(ctx, q.String()).Scan(&n); err != nil {
		return fmt.Errorf("count the rows: %w", err)
	}
	part := 1.0
	if n > sampled {
		part = sampled / float64(n)
	}
	q = new(postgis.SQL).Raw("SELECT (ST_XMin(geom) + ST_XMax(geom)) / 2, (ST_YMin(geom) + ST_YMax(geom)) / 2, pg_column_size(geom) + 20.0::float8 FROM ").
		Ident(name[0], name[1]).Raw(" TABLESAMPLE BERNOULLI (").Arg(100 * part).Raw(") REPEATABLE (1) WHERE NOT ST_IsEmpty(geom)")
	rows, err := t.c.tx.Query(ctx, q.String(), q.Args()...)
	if err != nil {
		return fmt.Errorf("sample the rows: %w", err)
	}
	defer rows.Close()
	var samples []sample
	for rows.Next() {
		var s sample
		if err := rows.Scan(&s.xy[0], &s.xy[1], &s.weight); err != nil {
			return fmt.Errorf("sample the rows: %w", err)
		}
		s.weight = math.Min(s.weight, t.c.o.tileBytes) / part
		t.lat += s.xy[1]
		samples = append(samples, s)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("sample the rows: %w", err)
	}
	if len(samples) > 0 {
		t.lat /= float64(len(samples))
	}
	t.tiling = newTiling(wholePlane(), samples, t.c.o.tileBytes)
	return nil
}

// put writes a row into each tile it meets.
func (t *tiles) put(fid int64, s *shape, union bool) error {
	if !s.areal() {
		return nil
	}
	if !union {
		t.whole.add(s.box.x0, s.box.y0)
		t.whole.add(s.box.x1, s.box.y1)
		if fid > 0 {
			t.count++
		}
	}
	t.found = t.tiling.find(t.found[:0], s.box.grow(t.margin, t.margin))
	if len(t.found) == 1 || len(s.xy) <= 64 {
		t.record = appendArea(t.record[:0], fid, s, union, nil)
		for _, n := range t.found {
			if err := t.spill.write(n, t.record); err != nil {
				return err
			}
		}
		return nil
	}
	for _, n := range t.found {
		b := t.tiling.tiles[n].grow(t.margin, t.margin)
		t.record = appendArea(t.record[:0], fid, s, union, &b)
		if err := t.spill.write(n, t.record); err != nil {
			return err
		}
	}
	return nil
}

// mostAge bounds how often a tile is divided: rows that all lie over each other
// are in every part.
const mostAge = 4

// settle divides the tiles that came out too large, for the sample did not show
// what lies there.
func (t *tiles) settle() error {
	var s shape
	age := make([]int, len(t.tiling.tiles))
	for n := 0; n < len(t.tiling.tiles); n++ {
		if float64(t.spill.buckets[n].size) <= 4*t.c.o.tileBytes || age[n] >= mostAge {
			continue
		}
		var samples []sample
		err := t.spill.records(n, func(b []byte) error {
			s.record(b)
			samples = s.sampled(samples, t.tiling.tiles[n])
			return nil
		})
		if err != nil {
			return err
		}
		from := len(t.tiling.tiles)
		if !t.tiling.split(n, samples, t.c.o.tileBytes) {
			continue
		}
		for range t.tiling.tiles[from:] {
			t.spill.add()
			age = append(age, age[n]+1)
		}
		err = t.spill.records(n, func(b []byte) error {
			fid, union := s.record(b)
			t.found = t.tiling.find(t.found[:0], s.box.grow(t.margin, t.margin))
			for _, k := range t.found {
				if k < from {
					continue // another tile, which has the row already
				}
				g := t.tiling.tiles[k].grow(t.margin, t.margin)
				t.record = appendArea(t.record[:0], fid, &s, union, &g)
				if err := t.spill.write(k, t.record); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		t.spill.drop(n)
	}
	return nil
}

// sampleStep is how many positions of a row make one sample.
const sampleStep = 256

// sampled appends the weight of a row, where its positions are, if in the tile.
func (s *shape) sampled(dst []sample, tile box) []sample {
	for i := 0; i < len(s.xy); i += 2 * sampleStep {
		n := min(sampleStep, (len(s.xy)-i)/2)
		m := i + n/2*2
		if x, y := s.xy[m], s.xy[m+1]; x > tile.x0 && x < tile.x1 && y > tile.y0 && y < tile.y1 {
			dst = append(dst, sample{[2]float64{x, y}, 16 * float64(n+2)})
		}
	}
	return dst
}

// split divides a tile; its number is not used afterwards. False: it cannot be.
func (t *tiling) split(tile int, s []sample, weight float64) bool {
	for i := range t.nodes {
		if t.nodes[i].axis < 0 && t.nodes[i].low == tile {
			from := len(t.nodes)
			kept := len(t.tiles)
			t.divide(t.tiles[tile], s, weight, maxSplits/2)
			if t.nodes[from].axis < 0 {
				t.nodes, t.tiles = t.nodes[:from], t.tiles[:kept]
				return false
			}
			t.nodes[i] = t.nodes[from]
			t.tiles[tile] = emptyBox()
			return true
		}
	}
	return false
}

// record takes a record of a tile back into a shape.
func (s *shape) record(b []byte) (fid int64, union bool) {
	s.xy, s.paths, s.parts, s.box = s.xy[:0], s.paths[:0], 0, recordBox(b)
	fid = int64(binary.LittleEndian.Uint64(b))
	rings := binary.LittleEndian.Uint32(b[8:])
	b = b[recordHead:]
	for range rings &^ unionBit {
		n := binary.LittleEndian.Uint32(b)
		b = b[4:]
		from := len(s.xy)
		for range n &^ reversedBit {
			x := math.Float64frombits(binary.LittleEndian.Uint64(b))
			y := math.Float64frombits(binary.LittleEndian.Uint64(b[8:]))
			b = b[16:]
			s.xy = append(s.xy, x, y)
		}
		s.paths = append(s.paths, path{from: from, to: len(s.xy), kind: shellPath, signed: true, reversed: n&reversedBit != 0})
	}
	return fid, rings&unionBit != 0
}

// each judges all tiles, several at a time: f is called by one goroutine for each
// worker number, with a tile that is its until it returns.
func (t *tiles) each(ctx context.Context, dirty map[int64]bool, f func(worker int, t *tile) error) error {
	return t.both(ctx, nil, dirty, func(w int, one, _ *tile) error { return f(w, one) })
}

// both is each with the same tile of another dataset beside it, nil for none.
func (t *tiles) both(ctx context.Context, other *tiles, dirty map[int64]bool, f func(worker int, t, o *tile) error) error {
	var next atomic.Int64
	work, ctx := errgroup.WithContext(ctx)
	for w := range t.c.o.Workers {
		work.Go(func() error {
			var one, two tile
			for {
				n := int(next.Add(1)) - 1
				if n >= len(t.tiling.tiles) {
					return nil
				}
				if err := ctx.Err(); err != nil {
					return err
				}
				if t.spill.buckets[n].size == 0 && (other == nil || other.spill.buckets[n].size == 0) {
					continue
				}
				if t.spill.buckets[n].size > mostLoaded {
					t.cut.Store(true)
				}
				if err := one.load(t.spill, n, t.tiling.tiles[n], dirty); err != nil {
					return err
				}
				if other != nil {
					if err := two.load(other.spill, n, t.tiling.tiles[n], nil); err != nil {
						return err
					}
				}
				if err := f(w, &one, &two); err != nil {
					return err
				}
			}
		})
	}
	return work.Wait()
}
