package ingest

import (
	"math"

	"github.com/twpayne/go-geom"
)

// maxSure is the most vertices of a ring that surelyValid looks at: it compares
// each edge with each other.
const maxSure = 128

// surelyValid reports whether a geometry is valid beyond doubt (OGC 06-103r4,
// 6.1.11.1). Most parcels are: one ring whose edges keep clear of each other. What
// it does not vouch for is PostGIS's to judge, which costs many times as much.
// Decisions rest on signs that rounding cannot have turned.
func surelyValid(g geom.T) bool {
	switch g := g.(type) {
	case *geom.Point, *geom.MultiPoint:
		return true
	case *geom.LineString:
		return differs(g.FlatCoords(), g.Stride())
	case *geom.MultiLineString:
		start := 0
		for _, end := range g.Ends() {
			if !differs(g.FlatCoords()[start:end], g.Stride()) {
				return false
			}
			start = end
		}
		return true
	case *geom.Polygon:
		return len(g.Ends()) == 1 && simpleRing(g.FlatCoords(), g.Stride())
	case *geom.MultiPolygon:
		return len(g.Endss()) == 1 && len(g.Endss()[0]) == 1 && simpleRing(g.FlatCoords(), g.Stride())
	}
	return false
}

// differs reports whether a line has two positions.
func differs(flat []float64, stride int) bool {
	for i := stride; i < len(flat); i += stride {
		if flat[i] != flat[0] || flat[i+1] != flat[1] {
			return true
		}
	}
	return false
}

type position struct{ x, y float64 }

// simpleRing reports whether a ring is closed and surely neither crosses nor
// touches itself.
func simpleRing(flat []float64, stride int) bool {
	n := len(flat)/stride - 1 // edges
	if n < 3 || n > maxSure || flat[0] != flat[n*stride] || flat[1] != flat[n*stride+1] {
		return false
	}
	var ring [maxSure + 2]position
	for i := range n + 1 {
		ring[i] = position{flat[i*stride], flat[i*stride+1]}
	}
	ring[n+1] = ring[1]
	for i := range n {
		a, b, c := ring[i], ring[i+1], ring[i+2]
		if a == b || !turns(a, b, c) {
			return false
		}
	}
	for i := range n - 2 {
		a, b := ring[i], ring[i+1]
		left, right := min(a.x, b.x), max(a.x, b.x)
		bottom, top := min(a.y, b.y), max(a.y, b.y)
		last := n
		if i == 0 {
			last-- // the last edge is its neighbour
		}
		for j := i + 2; j < last; j++ {
			c, d := ring[j], ring[j+1]
			if c.x < left && d.x < left || c.x > right && d.x > right || c.y < bottom && d.y < bottom || c.y > top && d.y > top {
				continue
			}
			if !sameSide(a, b, c, d) && !sameSide(c, d, a, b) {
				return false
			}
		}
	}
	return true
}

// turns reports whether the edges ab and bc surely have no more than b in common.
func turns(a, b, c position) bool {
	if side(a, b, c) != 0 {
		return true
	}
	// Nearly in line: c must lie ahead.
	ux, uy, vx, vy := b.x-a.x, b.y-a.y, c.x-b.x, c.y-b.y
	return ux*vx+uy*vy > doubtful*(math.Abs(ux*vx)+math.Abs(uy*vy))
}

// sameSide reports whether p and q surely lie on one side of the line ab.
func sameSide(a, b, p, q position) bool {
	s := side(a, b, p)
	return s != 0 && s == side(a, b, q)
}

// doubtful is how large a sum of two products is against their sizes for its sign
// to be beyond rounding, with a margin (Shewchuk 1997, section 4.3).
const doubtful = 1e-15

// side tells on which side of the line ab c surely lies: 1, -1, or 0 where
// rounding leaves it open.
func side(a, b, c position) int {
	l, r := (a.x-c.x)*(b.y-c.y), (a.y-c.y)*(b.x-c.x)
	det, bound := l-r, doubtful*(math.Abs(l)+math.Abs(r))
	switch {
	case det > bound:
		return 1
	case det < -bound:
		return -1
	}
	return 0
}
