package tiles

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/klauspost/compress/zstd"

	"changde/catalog"
)

// The covers that tiles were cut with are kept beside them, where making one again
// would need many rows: a polygon that was gathered and is changed is taken off its
// cover and put on it as it is now, and the tile is drawn of that.

// keptFrom is how many gathered polygons a tile has whose cover is kept. A cover
// that is not the finest is always kept.
const keptFrom = 3000

func (c *cover) kept() bool {
	if c == nil || len(c.shares) == 0 {
		return false
	}
	return c.side < coverSide || c.polygons() > keptFrom
}

func (c *cover) polygons() (n int64) {
	for _, k := range c.counts {
		n += k
	}
	return n
}

// coverCodec writes and reads kept covers. It is safe for many goroutines.
type coverCodec struct {
	pack   *zstd.Encoder
	unpack *zstd.Decoder
}

func newCoverCodec() *coverCodec {
	// The options are in range, which is the one fault there is.
	pack, _ := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest))
	unpack, _ := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxCoverBytes))
	return &coverCodec{pack, unpack}
}

// encode gives a settled cover as bytes, with the values of its classes and base,
// the zoom of the blocks that it was cut in.
func (k *coverCodec) encode(c *cover, values [][]byte, base int) []byte {
	return k.pack.EncodeAll(c.append(nil, values, base), nil)
}

func (c *cover) append(b []byte, values [][]byte, base int) []byte {
	used := make([]int, len(c.counts))
	for _, s := range c.shares {
		used[s.class()] = 1
	}
	b = binary.AppendUvarint(append(b, byte(base)), uint64(c.side/window))
	at := len(b)
	n := 0
	for class, count := range c.counts {
		if used[class] == 0 && count == 0 {
			continue
		}
		used[class] = n
		n++
		// NULL has the length 0.
		if v := values[class]; v == nil {
			b = binary.AppendUvarint(b, 0)
		} else {
			b = append(binary.AppendUvarint(b, uint64(len(v))+1), v...)
		}
		b = binary.AppendVarint(b, count)
	}
	b = slices.Insert(b, at, binary.AppendUvarint(nil, uint64(n))...)
	b = binary.AppendUvarint(b, uint64(len(c.shares)))
	last := uint32(0)
	for _, s := range c.shares {
		b = binary.AppendUvarint(b, uint64(s.cell()-last))
		b = binary.AppendUvarint(b, uint64(used[s.class()]))
		// Most cells are of one class alone.
		b = binary.AppendVarint(b, c.cell-s.area)
		last = s.cell()
	}
	return b
}

// maxCoverBytes bounds a cover that is read: all cells of three hundred classes.
const maxCoverBytes = 512 << 20

// decode reads what encode gave for a tile of a zoom; the classes are numbered by
// known.
func (k *coverCodec) decode(b []byte, z int, known *classes) (c *cover, base int, err error) {
	raw, err := k.unpack.DecodeAll(b, nil)
	if err != nil {
		return nil, 0, fmt.Errorf("read a cover: %w", err)
	}
	return parseCover(raw, z, known)
}

func parseCover(raw []byte, z int, known *classes) (c *cover, base int, err error) {
	in := coverReader{b: raw}
	base = int(in.uvarint(DetailZoom))
	side := int(in.uvarint(coverSide/window)) * window
	if side < window || coverSide%side != 0 {
		return nil, 0, errCover
	}
	c = newCover(z, side)
	numbers := make([]int32, in.uvarint(maxCovered))
	for n := range numbers {
		var value []byte
		if size := in.uvarint(uint64(len(in.b)) + 1); size > 0 {
			value = in.take(int(size) - 1)
		}
		numbers[n] = known.of(value)
		c.count(numbers[n], in.varint())
	}
	c.shares = make([]share, 0, in.uvarint(uint64(len(in.b))))
	cell := uint64(0)
	for range cap(c.shares) {
		cell += in.uvarint(coverSide * coverSide)
		class := in.uvarint(uint64(len(numbers)))
		area := c.cell - in.varint()
		if in.bad || cell >= uint64(side*side) || class >= uint64(len(numbers)) {
			return nil, 0, errCover
		}
		c.shares = append(c.shares, shareOf(uint32(cell), numbers[class], area))
	}
	if in.bad || len(in.b) > 0 {
		return nil, 0, errCover
	}
	return c, base, nil
}

var errCover = errors.New("a cover is not as it was written")

// coverReader reads numbers; what follows the first that is none is zero.
type coverReader struct {
	b   []byte
	bad bool
}

func (r *coverReader) uvarint(most uint64) uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > most {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *coverReader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 || v > math.MaxInt64/4 || v < -math.MaxInt64/4 {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[n:]
	return v
}

// take gives the next bytes, which are never nil.
func (r *coverReader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.b, r.bad = nil, true
		return []byte{}
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

// drawnFrom is the size in pixels from which polygons are drawn one by one where
// this cover is shown.
func (c *cover) drawnFrom() float64 { return float64(drawnPixels * (coverSide / c.side)) }

// part is the cover of rows on the cells of c, the cover of a tile that was cut in
// blocks of the zoom base: as the cutter adds them, so that they can be taken off.
// Rows that are drawn one by one have no part.
func (w *cutWorker) part(c *cover, a Address, base int, rows []*row) *cover {
	out := &cover{side: c.side, cell: c.cell}
	zoom := a.zoom()
	finer := make(map[Address]*cover)
	for _, r := range rows {
		if r.pixels(zoom) >= c.drawnFrom() {
			continue
		}
		if r.pixels(zoom) >= drawnPixels {
			out.put(r, a)
			continue
		}
		// Above the blocks a polygon goes into the cells where it is first too small.
		z := zoom
		for z < base && r.pixels(z+1) < drawnPixels {
			z++
		}
		depth := z - zoom
		low, high := reach(r.figure.bound, z, 0)
		low = [2]int{max(low[0], a.Col<<depth), max(low[1], a.Row<<depth)}
		high = [2]int{min(high[0], (a.Col+1)<<depth-1), min(high[1], (a.Row+1)<<depth-1)}
		w.spread(finer, r, z, low, high)
	}
	for at, f := range finer {
		f.settle()
		depth := at.Z - a.Z
		out.merge(f, depth, at.Col-a.Col<<depth, at.Row-a.Row<<depth)
	}
	out.settle()
	return out
}

// spread puts a row on the covers of the tiles of a zoom between two columns and rows.
func (t *cutter) spread(covers map[Address]*cover, r *row, z int, low, high [2]int) {
	for row := low[1]; row <= high[1]; row++ {
		for col := low[0]; col <= high[0]; col++ {
			a := t.set.at(z, col, row)
			if covers[a] == nil {
				covers[a] = newCover(z, coverSide)
			}
			covers[a].put(r, a)
		}
	}
}

// gathered makes the cover of a tile of the rows that are too small to be drawn
// there; ok is false where they are many.
func (w *cutWorker) gathered(ctx context.Context, a Address) (c *cover, ok bool, err error) {
	// On the map a degree of latitude is never narrower than one of longitude, and a
	// span may be rounded up by a sixteenth: no row is smaller there than it is by this.
	zoom := a.zoom()
	span := drawnPixels * math.Ldexp(360, -zoom) / pixelsOfTile * (1 + 1.0/16 + 1e-6)
	sel := &selection{release: w.release, columns: w.columns, box: a.Degrees(Buffer)}
	const most = 2 * keptFrom
	rows, whole, err := w.load(ctx, sel, sel.allSQL(0).Raw(" AND least(span, ").Arg(float64(thinness)).Raw("::float8 * ST_Area(geom) / nullif(span, 0)) <= ").Arg(span).Raw("::float8 LIMIT ").Arg(int64(most)+1), nil, most)
	if !whole || err != nil {
		return nil, false, err
	}
	c = newCover(zoom, coverSide)
	for _, r := range rows {
		if r.pixels(zoom) < drawnPixels {
			c.put(r, a)
		}
	}
	c.settle()
	return c, true, nil
}

// stateAt is the release at another revision of its content.
func stateAt(r *catalog.Release, revision int64) *catalog.Release {
	out := *r
	out.Revision = revision
	return &out
}
