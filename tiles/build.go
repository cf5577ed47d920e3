package tiles

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"

	"github.com/klauspost/compress/gzip"

	"changde/catalog"
)

// Tile is a tile ready to be sent. It must not be changed.
type Tile struct {
	Gzip   []byte // application/vnd.mapbox-vector-tile, gzip; nil for an empty tile
	Length int    // of the tile itself, in bytes
	// ETag is a strong entity tag, quotes included, of Gzip. Source.Encoded has those of
	// other codings.
	ETag string
	// Features is how many rows are drawn; a tile of none is empty.
	Features int64
	// Omitted is how many rows whose box meets the tile are left out because they
	// are smaller than a pixel, because there are too many or because the tile would
	// be too large; a row that cannot be drawn counts too. OmittedAtLeast tells
	// that there are more.
	Omitted        int64
	OmittedAtLeast bool
	// Generalized is how many features are not drawn one by one: polygons gathered by
	// class, lines that are joined, points that another stands for.
	Generalized int64

	// Of Omitted: those whose class comes to less than a cell, and those for which
	// there was no room.
	lost, dropped int64

	zstd []byte // of an entry of the cache that holds a tile in this coding, and nothing else
}

const (
	// maxOmitted is how far omitted rows are counted.
	maxOmitted = 1_000_000
	// rawFactor times Config.MaxBytes is where reading rows ends: no tile shrinks
	// so far, and what is behind it would be cut again.
	rawFactor = 16
)

// build makes one tile from the database.
func (s *Source) build(ctx context.Context, p Part, a Address) (*Tile, error) {
	if p.Cluster != 0 {
		return s.cluster(ctx, p, a)
	}
	d, r := p.Dataset, p.Release
	set, _ := Set(a.Set)
	sel := s.selection(p, a, set.degrees(a.Z))
	if !sel.edited && (r.Extent == nil || !meet(*r.Extent, sel.box)) {
		return s.finish(nil, 0), nil
	}
	if t, ok, err := s.gather(ctx, p, a, sel); ok || err != nil {
		return t, err
	}
	b := builder{
		layer:    newLayer(d.ID, names(sel.columns)),
		shaper:   newShaper(a, 1),
		attrs:    attributes(sel.columns),
		least:    float32(set.degrees(a.Z) / pixelsOfTile),
		maxRows:  s.config.MaxFeatures,
		maxBytes: rawFactor * s.config.MaxBytes,
	}
	if a.zoom() >= MaxTileZoom {
		b.shaper.tolerance = 0
	}
	if err := b.read(ctx, s, sel); err != nil {
		return nil, fmt.Errorf("read rows of %s: %w", d.ID, err)
	}
	omitted, atLeast := b.omitted, false
	if b.full || sel.least > 0 {
		total, more, err := s.total(ctx, r, sel, b.rows)
		if err != nil {
			return nil, fmt.Errorf("count rows of %s: %w", d.ID, err)
		}
		omitted, atLeast = omitted+max(total-b.rows, 0), more
	}
	t := s.pack(b.layer)
	t.Omitted, t.OmittedAtLeast = omitted+int64(len(b.layer.marks))-t.Features, atLeast
	return t, nil
}

func (s *Source) selection(p Part, a Address, degrees float64) *selection {
	d, r := p.Dataset, p.Release
	sel := &selection{
		release: r, columns: p.Columns, box: a.Degrees(Buffer),
		edited: d.Kind == catalog.Edited, dim: dimensionOf(r), limit: s.config.MaxFeatures + 1,
	}
	if p.Columns == nil {
		sel.columns = TileColumns(d, r, a.zoom())
	}
	if sel.dim != 2 {
		sel.ranking = rankingOf(d, r)
	}
	if p.Filter != nil {
		sel.filter = p.Filter.SQL()
	}
	// Rows below a pixel are read and counted on the way while the tile is likely to
	// hold few rows; where it would hold many the database sorts them out.
	if sel.dim != 0 && !sel.edited && r.Extent != nil && r.Rows > 0 &&
		float64(r.Rows)*overlap(*r.Extent, sel.box) > float64(s.config.MaxFeatures)/2 {
		sel.least = float32(degrees / pixelsOfTile)
	}
	return sel
}

// total counts the rows in the tile, seen being those already read.
func (s *Source) total(ctx context.Context, r *catalog.Release, sel *selection, seen int64) (n int64, more bool, err error) {
	if sel.filter == nil && !sel.edited && r.Extent != nil && r.Rows >= 0 && covers(sel.box, *r.Extent) {
		return r.Rows, false, nil
	}
	limit := seen + maxOmitted + 1
	q := sel.countSQL(limit)
	if err := s.pool.QueryRow(ctx, q.String(), append([]any{sel.mode()}, q.Args()...)...).Scan(&n); err != nil {
		return 0, false, err
	}
	if n == limit {
		return n - 1, true, nil
	}
	return n, false, nil
}

// builder reads rows into a layer.
type builder struct {
	layer    *layer
	shaper   *shaper
	attrs    []attribute
	least    float32
	maxRows  int
	maxBytes int

	rows    int64 // read
	omitted int64 // of these, left out
	full    bool  // there are rows that were not read
}

func (b *builder) read(ctx context.Context, s *Source, sel *selection) error {
	// Rows that are not wanted any more are not read to their end: the connection
	// is dropped.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	q := sel.rowsSQL()
	rows, err := s.pool.Query(ctx, q.String(), append([]any{sel.mode(), formatsOf(b.attrs, 3)}, q.Args()...)...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if b.rows == int64(b.maxRows) {
			b.full = true
			break
		}
		if b.layer.size() > b.maxBytes {
			b.full = true
			cancel()
			rows.Close()
			return nil
		}
		b.add(rows.RawValues())
	}
	rows.Close()
	return rows.Err()
}

// add takes a row of fid, span, geom and the attributes.
func (b *builder) add(raw [][]byte) {
	b.rows++
	if raw[2] == nil || !b.shaper.shape(raw[2]) {
		b.omitted++
		return
	}
	small := false
	if raw[1] != nil && math.Float32frombits(binary.BigEndian.Uint32(raw[1])) < b.least {
		for _, kind := range []int{lines, polygons} {
			small = small || len(b.shaper.out[kind].b) > 0
			b.shaper.out[kind].b = b.shaper.out[kind].b[:0]
		}
	}
	if b.shaper.empty() {
		if small || b.shaper.collapsed {
			b.omitted++
		}
		return
	}
	for i, a := range b.attrs {
		a.tag(b.layer, i, raw[3+i])
	}
	b.layer.add(int64(binary.BigEndian.Uint64(raw[0])), &b.shaper.out)
}

// pack encodes as many rows as the size allows, the first ones.
func (s *Source) pack(l *layer) *Tile {
	n := len(l.marks)
	var raw []byte
	for {
		raw = l.encode(raw[:0], n)
		t := s.finish(raw, int64(n))
		if len(t.Gzip) <= s.config.MaxBytes || n <= 1 {
			return t
		}
		n = max(1, min(n-1, int(0.97*float64(n)*float64(s.config.MaxBytes)/float64(len(t.Gzip)))))
	}
}

func emptyTile() *Tile {
	sum := sha256.Sum256(nil)
	return &Tile{ETag: `"` + hex.EncodeToString(sum[:16]) + `"`}
}

// finish compresses a tile of n rows.
func (s *Source) finish(raw []byte, n int64) *Tile {
	sum := sha256.Sum256(raw)
	t := &Tile{Length: len(raw), ETag: `"` + hex.EncodeToString(sum[:16]) + `"`, Features: n}
	if n == 0 {
		return t
	}
	out := bytes.NewBuffer(make([]byte, 0, len(raw)/3+64))
	w, ok := s.writers.Get().(*gzip.Writer)
	if ok {
		w.Reset(out)
	} else {
		// The level is in range, which is the one fault there is.
		w, _ = gzip.NewWriterLevel(out, gzipLevel)
	}
	// A bytes.Buffer takes everything.
	_, _ = w.Write(raw)
	_ = w.Close()
	s.writers.Put(w)
	t.Gzip = out.Bytes()
	return t
}

// gzipLevel is where compressing a tile costs about what making it does.
const gzipLevel = 3

func names(columns []catalog.Column) []string {
	out := make([]string, len(columns))
	for i, c := range columns {
		out[i] = c.Name
	}
	return out
}

func meet(a, b catalog.Bounds) bool {
	return a[0] <= b[2] && b[0] <= a[2] && a[1] <= b[3] && b[1] <= a[3]
}

func covers(a, b catalog.Bounds) bool {
	return a[0] <= b[0] && a[1] <= b[1] && a[2] >= b[2] && a[3] >= b[3]
}

// overlap is the part of the extent that lies in the box.
func overlap(extent, box catalog.Bounds) float64 {
	part := func(i int) float64 {
		side := extent[i+2] - extent[i]
		if side <= 0 {
			return 1
		}
		return min(max(min(extent[i+2], box[i+2])-max(extent[i], box[i]), 0)/side, 1)
	}
	return part(0) * part(1)
}
