package tiles

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/paulmach/orb"

	"changde/postgis"
)

// row is a feature in memory.
type row struct {
	fid    int64
	figure figure // in units of the tile of zoom 0
	size   float64
	class  int32
	rank   int32    // of lines and points, 0 the first
	values [][]byte // nil for NULL

	// Of lines and points: how many rows it stands for, 0 for itself alone, and how
	// many of them have their middle in the tile it was made for.
	stands, centred int32

	// Of lines.
	links [][2]link // by part, of its first position and its last; nil: none is joined
	reach float64   // the size of what it belongs to
	index int32     // in the rows at hand
}

// pixels is the width or height of the row at a zoom, the larger, in pixels; for a
// polygon so thin that it would fall into the grid, less.
func (r *row) pixels(z int) float64 { return math.Ldexp(r.size*pixelsOfTile, z) }

// clone gives the row memory of its own, so that it may outlive its block.
func (r *row) clone() *row {
	out := *r
	out.links = nil
	out.figure.at, out.figure.parts = slices.Clone(r.figure.at), slices.Clone(r.figure.parts)
	out.values = make([][]byte, len(r.values))
	for i, v := range r.values {
		out.values[i] = bytes.Clone(v)
	}
	return &out
}

// load appends the rows of a statement of the selection to rows, in the order of
// their fids. Where there are more than most, 0 being no bound, it stops reading and
// whole is false.
func (w *cutWorker) load(ctx context.Context, sel *selection, q *postgis.SQL, rows []*row, most int) (_ []*row, whole bool, err error) {
	// Rows that are not wanted any more are not read to their end.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	found, err := w.source.pool.Query(ctx, q.String(), append([]any{sel.mode(), formatsOf(attributes(w.columns), 2)}, q.Args()...)...)
	if err != nil {
		return nil, false, fmt.Errorf("read rows of %s: %w", w.dataset.ID, err)
	}
	defer found.Close()
	for found.Next() {
		if most > 0 && len(rows) == most {
			cancel()
			return nil, false, nil
		}
		if r := w.row(found.RawValues()); r != nil {
			rows = append(rows, r)
		}
	}
	if err := found.Err(); err != nil {
		return nil, false, fmt.Errorf("read rows of %s: %w", w.dataset.ID, err)
	}
	slices.SortFunc(rows, byFID)
	return rows, true, nil
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
		r.size = min(r.size, thinness*r.figure.area()/r.size)
		var class []byte
		if w.classAt >= 0 {
			class = r.values[w.classAt]
		}
		r.class = w.classes.of(class)
	} else if w.classAt >= 0 {
		r.rank = w.ranking.of(r.values[w.classAt])
	}
	return r
}

// thinness makes a polygon as thin as the coarsest grid, half a pixel, count as too
// small to be drawn.
const thinness = 2 * drawnPixels

func byFID(a, b *row) int {
	switch {
	case a.fid < b.fid:
		return -1
	case a.fid > b.fid:
		return 1
	}
	return 0
}

// reach gives the columns and rows of the tiles of a zoom whose content, a margin
// in parts of their width included, meets a bound in units of the tile of zoom 0.
// high is below low where there are none.
func reach(b orb.Bound, z int, margin float64) (low, high [2]int) {
	n := math.Ldexp(1, z)
	for i := range low {
		low[i] = max(int(math.Floor(b.Min[i]*n-margin)), 0)
		high[i] = min(int(math.Floor(b.Max[i]*n+margin)), int(n)-1)
	}
	return low, high
}
