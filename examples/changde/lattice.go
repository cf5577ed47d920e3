package changde

import (
	"cmp"
	"math"
	"slices"
)

// The generated city lies on a lattice of 1 km blocks over the plane of EPSG:4546.
const (
	blockSize  = 1000.0
	originE    = 449000.0
	originN    = 3141000.0
	latticeW   = 180
	latticeH   = 196
	edgeStep   = 50.0 // spacing of the vertices that neighbouring blocks share
	edgePoints = int(blockSize / edgeStep)

	wholeParcels = 2_000_000
)

// bend moves a point of the lattice into the plane: the blocks are not squares but
// a smoothly bent net, the same for all of them, so that neighbours fit.
func bend(u, v float64) point {
	x, y := u-originE, v-originN
	return point{
		u + 170*math.Sin(y/2400+0.9) + 60*math.Sin(x/1300+y/900),
		v + 160*math.Sin(x/2600+2.1) + 60*math.Sin(y/1200-x/1000),
	}
}

// block is one cell of the lattice: 1 km on a side, m rows and columns of parcels
// and s streets each way.
type block struct {
	i, j   int
	m, s   int
	centre point
	towns  []town    // that reach it
	rivers []segment // that may touch it
	weight float64   // density before calibration
	inside float64   // share in the city
	key    uint64
}

// layBlocks finds the blocks that touch the city and gives each its density, scaled
// so that the whole city has wholeParcels parcels.
func (c *city) layBlocks() {
	for j := range latticeH {
		for i := range latticeW {
			b := &block{i: i, j: j, key: hash(c.seed, uint64(i), uint64(j))}
			in := 0
			for a := range 9 {
				if c.countyAt(b.at((float64(a%3)+0.5)/3*blockSize, (float64(a/3)+0.5)/3*blockSize)) >= 0 {
					in++
				}
			}
			if in == 0 {
				continue
			}
			b.inside = float64(in) / 9
			b.centre = b.at(blockSize/2, blockSize/2)
			for _, t := range c.towns {
				if t.at.dist(b.centre) < 3.2*t.s+1000 {
					b.towns = append(b.towns, t)
				}
			}
			b.rivers = c.rivers[[2]int{i, j}]
			b.weight = c.density(b, b.centre) * (0.85 + 0.3*unit(b.key))
			c.blocks = append(c.blocks, b)
			c.lattice[i][j] = b
		}
	}
	lo, hi := 0.0, 10.0
	for range 40 {
		mid := (lo + hi) / 2
		sum := 0.0
		for _, b := range c.blocks {
			b.divide(mid)
			sum += float64(b.parcels()) * b.inside
		}
		if sum > wholeParcels {
			hi = mid
		} else {
			lo = mid
		}
	}
	for _, b := range c.blocks {
		b.divide(lo)
	}
	c.outward = slices.Clone(c.blocks)
	centre := c.centre()
	slices.SortStableFunc(c.outward, func(a, b *block) int { return cmp.Compare(a.centre.dist(centre), b.centre.dist(centre)) })
}

// density is the parcels per square kilometre at a place, before calibration.
func (c *city) density(b *block, p point) float64 {
	d := 92 - 50*c.hills(p)
	for _, t := range b.towns {
		r := t.at.dist(p) / t.s
		d += t.amp * math.Exp(-r*r/2)
	}
	return d
}

// hills is 1 in the mountains of the north-west, 0 in the lake plain of the east.
func (c *city) hills(p point) float64 {
	t := ((p.x-530000)*0.8 - (p.y-3230000)*0.45) / 16000
	return 1 / (1 + math.Exp(t+3*(0.5-fbm(c.seed^0x4111, p.x, p.y, 7000))))
}

// divide sets m and s for the density times f: streets so many that there is one
// road segment for eight parcels.
func (b *block) divide(f float64) {
	d := max(16, b.weight*f)
	b.m = max(4, int(math.Sqrt(d/1.08)+0.5))
	n := float64(b.m*b.m) * 1.08 / 8
	b.s = int((math.Sqrt(36+8*max(0, n-2))-6)/4 + unit(b.key^0x5) - 0.08)
	b.s = max(0, min(b.s, b.m/2-1))
}

// parcels is the number of parcels: cells, the ring of border roads, and the
// streets in pieces from crossing to crossing.
func (b *block) parcels() int { return b.m*b.m + 1 + 2*b.s*(b.s+1) }

// at gives the plane point of an offset within the block.
func (b *block) at(dx, dy float64) point {
	return bend(originE+float64(b.i)*blockSize+dx, originN+float64(b.j)*blockSize+dy)
}

func (c *city) blockAt(i, j int) *block {
	if i < 0 || j < 0 || i >= latticeW || j >= latticeH {
		return nil
	}
	return c.lattice[i][j]
}

// pick returns the blocks nearest to the centre of the city that hold n parcels,
// row by row from the south-west.
func (c *city) pick(n int) []*block {
	list := slices.Clone(c.outward)
	sum := 0.0
	for i, b := range list {
		share := float64(b.parcels()) * b.inside
		if i > 0 && sum+share/2 > float64(n) && n < wholeParcels {
			list = list[:i]
			break
		}
		sum += share
	}
	slices.SortFunc(list, func(a, b *block) int { return cmp.Or(cmp.Compare(a.j, b.j), cmp.Compare(a.i, b.i)) })
	return list
}

// centre is the middle of 武陵区, 111.69E 29.03N.
func (c *city) centre() point {
	f := c.flatten([][]float64{{111.69, 29.03}})
	return point{f[0], f[1]}
}

// division finds township and village of a point in a county. Villages have no
// places of their own: each takes a patch of land about 1.5 km wide.
func (c *city) division(k int, p point) (*township, *village) {
	list := c.counties[k].townships
	best, bd := 0, math.Inf(1)
	for i := range list {
		if d := list[i].at.dist(p); d < bd {
			best, bd = i, d
		}
	}
	t := &list[best]
	h := hash(uint64(int64(p.x/1500)), uint64(int64(p.y/1500)))
	return t, &t.villages[h%uint64(len(t.villages))]
}
