package pmtiles

import "math/bits"

// MaxZoom is the deepest zoom of an archive.
const MaxZoom = 26

// idCount is the number of ids, which end with those of MaxZoom.
const idCount = (uint64(1)<<(2*(MaxZoom+1)) - 1) / 3

// ID returns the id of a tile, counted along the Hilbert curve of its zoom from
// where the curve of the zoom above ends; y grows southwards. It is not ok for a
// tile that does not exist.
func ID(z, x, y int) (id uint64, ok bool) {
	if z < 0 || z > MaxZoom || x < 0 || y < 0 || x>>z != 0 || y>>z != 0 {
		return 0, false
	}
	id = first(z)
	// Each turn enters one of four squares; the curve within it is that of the
	// whole, mirrored at one or the other diagonal or not at all.
	for s := 1 << z >> 1; s > 0; s >>= 1 {
		right, below := x&s != 0, y&s != 0
		quarter := uint64(s) * uint64(s)
		switch {
		case right && below:
			id += 2 * quarter
		case right:
			id += 3 * quarter
			x, y = ^y, ^x
		case below:
			id += quarter
		default:
			x, y = y, x
		}
	}
	return id, true
}

// ZXY is the inverse of ID. It is not ok for a number that is no id.
func ZXY(id uint64) (z, x, y int, ok bool) {
	if id >= idCount {
		return 0, 0, 0, false
	}
	z = zoom(id)
	rest := id - first(z)
	for s := 1; s < 1<<z; s <<= 1 {
		switch rest & 3 {
		case 0:
			x, y = y, x
		case 1:
			y += s
		case 2:
			x, y = x+s, y+s
		case 3:
			x, y = 2*s-1-y, s-1-x
		}
		rest >>= 2
	}
	return z, x, y, true
}

// first is the id with which a zoom begins: the number of tiles above it.
func first(z int) uint64 { return (uint64(1)<<(2*z) - 1) / 3 }

// zoom is the zoom of an id.
func zoom(id uint64) int { return (bits.Len64(3*id+1) - 1) / 2 }
