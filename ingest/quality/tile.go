package quality

import (
	"encoding/binary"
	"math"
	"slices"
)

// The sizes of tiles, in bytes of their rows.
const (
	tileBytes = 2 << 20
	// mostLoaded bounds what is loaded of a tile. One that is larger is divided, but
	// for rows that all lie in one place.
	mostLoaded = 12 << 20

	// reversedBit marks a ring in the count of its positions, unionBit a union in
	// the count of rings.
	reversedBit = 1 << 31
	unionBit    = 1 << 31
)

// tiling divides the plane into rectangles, a k-d tree whose leaves are the
// tiles. Each is half open, so that a position is in one.
type tiling struct {
	nodes []node
	tiles []box
}

// node divides at a longitude (axis 0) or latitude (axis 1), or is a tile.
type node struct {
	axis      int // -1 for a tile
	at        float64
	low, high int // nodes, or low the tile
}

// sample is a place where rows are, and how heavy they are.
type sample struct {
	xy     [2]float64
	weight float64
}

// newTiling divides area into tiles of about the weight given.
func newTiling(area box, samples []sample, weight float64) *tiling {
	t := &tiling{}
	t.divide(area, samples, weight, 0)
	return t
}

// maxSplits bounds the depth of the tree.
const maxSplits = 24

func (t *tiling) divide(b box, s []sample, weight float64, depth int) int {
	me := len(t.nodes)
	t.nodes = append(t.nodes, node{axis: -1})
	sum := 0.0
	in := emptyBox()
	for _, p := range s {
		sum += p.weight
		in.add(p.xy[0], p.xy[1])
	}
	axis := 0
	if in.y1-in.y0 > (in.x1-in.x0)*0.85 { // a degree of longitude is the shorter one
		axis = 1
	}
	if sum > weight && len(s) > 1 && depth < maxSplits {
		slices.SortFunc(s, func(a, c sample) int {
			switch {
			case a.xy[axis] < c.xy[axis]:
				return -1
			case a.xy[axis] > c.xy[axis]:
				return 1
			}
			return 0
		})
		k, half := 1, s[0].weight
		for k < len(s)-1 && half < sum/2 {
			half += s[k].weight
			k++
		}
		// The line lies between two samples, for rows often share their edges.
		if at := (s[k-1].xy[axis] + s[k].xy[axis]) / 2; s[k-1].xy[axis] < at {
			low, high := b, b
			if axis == 0 {
				low.x1, high.x0 = at, at
			} else {
				low.y1, high.y0 = at, at
			}
			l := t.divide(low, s[:k], weight, depth+1)
			h := t.divide(high, s[k:], weight, depth+1)
			t.nodes[me] = node{axis: axis, at: at, low: l, high: h}
			return me
		}
	}
	t.nodes[me].low = len(t.tiles)
	t.tiles = append(t.tiles, b)
	return me
}

// find appends to dst the tiles that a box meets.
func (t *tiling) find(dst []int, b box) []int { return t.walk(dst, 0, b) }

func (t *tiling) walk(dst []int, n int, b box) []int {
	for {
		d := t.nodes[n]
		var low, high bool
		switch d.axis {
		case 0:
			low, high = b.x0 < d.at, b.x1 >= d.at
		case 1:
			low, high = b.y0 < d.at, b.y1 >= d.at
		default:
			return append(dst, d.low)
		}
		switch {
		case low && high:
			dst = t.walk(dst, d.low, b)
			n = d.high
		case low:
			n = d.low
		default:
			n = d.high
		}
	}
}

// contains says whether a position is in a tile.
func (b box) contains(x, y float64) bool { return x >= b.x0 && x < b.x1 && y >= b.y0 && y < b.y1 }

func wholePlane() box {
	return box{math.Inf(-1), math.Inf(-1), math.Inf(1), math.Inf(1)}
}

// area is a row of a tile: its rings and their bounds.
type area struct {
	fid   int64
	rings [2]int32 // tile.rings from, to
	box   box
	union bool // the union of rows that overlap, named by the first
}

// ring is a closed run of positions, tile.xy[from:to]; sign is 1 when the row lies
// to the left of it and -1 when to the right. chunks are bounds of runs of
// chunkSize edges, for rings that are long.
type ring struct {
	from, to int32
	chunks   [2]int32
	sign     float64
}

// tile is the rows that meet a rectangle.
type tile struct {
	box    box
	areas  []area
	rings  []ring
	xy     []float64
	chunks []box
}

// chunkSize is how many edges share a bound.
const chunkSize = 16

// recordHead is the length of what stands before the rings of a record: fid, how
// many rings, how many bytes, bounds.
const recordHead = 48

// recordBox is the bounds of the whole row, however it was thinned.
func recordBox(record []byte) box {
	at := func(i int) float64 {
		return math.Float64frombits(binary.LittleEndian.Uint64(record[16+8*i:]))
	}
	return box{at(0), at(1), at(2), at(3)}
}

// appendArea appends the polygons of a shape as a record. When b is given, runs
// of positions that lie on one side of it are thinned to their ends: what the
// row covers within b stays the same, and so does each edge with an end in b.
func appendArea(dst []byte, fid int64, s *shape, union bool, b *box) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, recordHead)...)
	rings := uint32(0)
	for _, p := range s.paths {
		if p.kind < shellPath {
			continue
		}
		head := len(dst)
		dst = append(dst, 0, 0, 0, 0)
		n := uint32(0)
		xy := s.xy[p.from:p.to]
		var run uint8 // the sides that all positions since the last one kept are beyond
		for i := 0; i < len(xy); i += 2 {
			if b != nil {
				o := b.outside(xy[i], xy[i+1])
				if i > 0 && i+2 < len(xy) && run&o&b.outside(xy[i+2], xy[i+3]) != 0 {
					run &= o
					continue
				}
				run = o
			}
			dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(xy[i]))
			dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(xy[i+1]))
			n++
		}
		if p.signed && p.reversed || !p.signed && (twice(xy) < 0) != (p.kind == holePath) {
			n |= reversedBit
		}
		binary.LittleEndian.PutUint32(dst[head:], n)
		rings++
	}
	if union {
		rings |= unionBit
	}
	binary.LittleEndian.PutUint64(dst[start:], uint64(fid))
	binary.LittleEndian.PutUint32(dst[start+8:], rings)
	binary.LittleEndian.PutUint32(dst[start+12:], uint32(len(dst)-start))
	for i, v := range [4]float64{s.box.x0, s.box.y0, s.box.x1, s.box.y1} {
		binary.LittleEndian.PutUint64(dst[start+16+8*i:], math.Float64bits(v))
	}
	return dst
}

// longest is the length in metres of the longest edge of a row that comes near r.
func (t *tile) longest(a *area, r box) float64 {
	kx, ky := scale((r.y0 + r.y1) / 2)
	most := 0.0
	for _, g := range t.rings[a.rings[0]:a.rings[1]] {
		xy := t.xy[g.from:g.to]
		for i := 2; i < len(xy); i += 2 {
			if r.outside(xy[i-2], xy[i-1])&r.outside(xy[i], xy[i+1]) == 0 {
				dx, dy := (xy[i]-xy[i-2])*kx, (xy[i+1]-xy[i-1])*ky
				most = max(most, dx*dx+dy*dy)
			}
		}
	}
	return math.Sqrt(most)
}

// outside has a bit for each side of the box that the position is beyond.
func (b *box) outside(x, y float64) uint8 {
	var o uint8
	if x < b.x0 {
		o = 1
	} else if x > b.x1 {
		o = 2
	}
	if y < b.y0 {
		o |= 4
	} else if y > b.y1 {
		o |= 8
	}
	return o
}

// load takes a bucket apart, as far as mostLoaded. Rows of dirty that are not unions are left out.
func (t *tile) load(s *spill, n int, b box, dirty map[int64]bool) error {
	t.box = b
	t.areas, t.rings, t.xy, t.chunks = t.areas[:0], t.rings[:0], t.xy[:0], t.chunks[:0]
	most := mostLoaded
	return s.records(n, func(record []byte) error {
		if most -= len(record); most < 0 && len(t.areas) > 0 {
			return nil
		}
		fid := int64(binary.LittleEndian.Uint64(record))
		rings := binary.LittleEndian.Uint32(record[8:])
		a := area{fid: fid, box: recordBox(record), union: rings&unionBit != 0}
		record = record[recordHead:]
		if !a.union && dirty[fid] {
			return nil
		}
		a.rings[0] = int32(len(t.rings))
		for range rings &^ unionBit {
			n := binary.LittleEndian.Uint32(record)
			record = record[4:]
			r := ring{from: int32(len(t.xy)), sign: 1}
			if n&reversedBit != 0 {
				r.sign = -1
				n &^= reversedBit
			}
			for range n {
				x := math.Float64frombits(binary.LittleEndian.Uint64(record))
				y := math.Float64frombits(binary.LittleEndian.Uint64(record[8:]))
				record = record[16:]
				t.xy = append(t.xy, x, y)
			}
			r.to = int32(len(t.xy))
			xy := t.xy[r.from:r.to]
			if n > 3*chunkSize {
				r.chunks[0] = int32(len(t.chunks))
				for i := 0; i+2 < len(xy); i += 2 * chunkSize {
					c := emptyBox()
					for k := i; k <= min(i+2*chunkSize, len(xy)-2); k += 2 {
						c.add(xy[k], xy[k+1])
					}
					t.chunks = append(t.chunks, c)
				}
				r.chunks[1] = int32(len(t.chunks))
			}
			t.rings = append(t.rings, r)
		}
		a.rings[1] = int32(len(t.rings))
		t.areas = append(t.areas, a)
		return nil
	})
}
