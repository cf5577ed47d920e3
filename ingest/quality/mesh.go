package quality

import (
	"math"
	"math/bits"
)

// mesh is the edges of the rows of one tile after the other, those that several
// rows share put together.
type mesh struct {
	known float64 // degrees around the tile in which every edge is known

	slots   []int32 // hash table of corners: number + 1
	corners []float64
	edges   []meshEdge // hash table
	doubt   []bool     // rows of the tile with an edge that is not shared by two
}

// meshEdge is the rows' edges between two corners: net is how many more run from
// low to high than back, there and back a row to the left of either, number + 1.
type meshEdge struct {
	low, high   int32 // high is 0 in an empty slot, for it is the larger
	net         int32
	there, back int32
}

// fill puts every edge with an end in or near the tile into the table. A row with
// an edge through the tile that has no end in it is in doubt.
func (t *mesh) fill(a *tile) {
	n := 1 << bits.Len(uint(len(a.xy)))
	t.slots = zeroed(t.slots, n)
	t.edges = zeroed(t.edges, n)
	t.doubt = zeroed(t.doubt, len(a.areas))
	t.corners = t.corners[:0]
	near := a.box.grow(t.known, t.known)
	for i := range a.areas {
		for _, g := range a.rings[a.areas[i].rings[0]:a.areas[i].rings[1]] {
			xy := a.xy[g.from:g.to]
			last, out := int32(-1), uint8(0)
			for k := 0; k < len(xy); k += 2 {
				x, y := xy[k], xy[k+1]
				me, o := int32(-1), near.outside(x, y)
				if o == 0 {
					me = t.corner(x, y)
				}
				switch {
				case k == 0:
				case o == 0 || out == 0:
					if me < 0 {
						me = t.corner(x, y)
					}
					if last < 0 {
						last = t.corner(xy[k-2], xy[k-1])
					}
					if g.sign > 0 {
						t.count(last, me, int32(i))
					} else {
						t.count(me, last, int32(i))
					}
				case o&out == 0:
					t.doubt[i] = true
				}
				last, out = me, o
			}
		}
	}
}

// settle puts the rows with an edge that is not shared in doubt.
func (t *mesh) settle() {
	for i := range t.edges {
		if e := &t.edges[i]; e.net > 0 {
			t.doubt[e.there-1] = true
		} else if e.net < 0 {
			t.doubt[e.back-1] = true
		}
	}
}

func zeroed[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	s = s[:n]
	clear(s)
	return s
}

func mix(h uint64) uint64 {
	h ^= h >> 32
	h *= 0xd6e8feb86659fd93
	h ^= h >> 32
	h *= 0xd6e8feb86659fd93
	return h ^ h>>32
}

// corner is the number of a corner, from 0.
func (t *mesh) corner(x, y float64) int32 {
	x, y = x+0, y+0 // -0 is 0
	mask := uint64(len(t.slots) - 1)
	for h := mix(math.Float64bits(x)*3 + bits.RotateLeft64(math.Float64bits(y), 29)*7); ; h++ {
		k := t.slots[h&mask]
		if k == 0 {
			k = int32(len(t.corners)/2) + 1
			t.slots[h&mask] = k
			t.corners = append(t.corners, x, y)
			return k - 1
		}
		if t.corners[2*k-2] == x && t.corners[2*k-1] == y {
			return k - 1
		}
	}
}

// count adds an edge with its row on the left.
func (t *mesh) count(from, to, row int32) {
	if from == to {
		return
	}
	low, high := min(from, to), max(from, to)
	mask := uint64(len(t.edges) - 1)
	for h := mix(uint64(low)<<32 | uint64(high)); ; h++ {
		e := &t.edges[h&mask]
		if e.high == 0 {
			e.low, e.high = low, high
		} else if e.low != low || e.high != high {
			continue
		}
		if from == low {
			e.net++
			e.there = row + 1
		} else {
			e.net--
			e.back = row + 1
		}
		return
	}
}
