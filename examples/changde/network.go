package changde

import (
	"container/heap"
	"fmt"
	"math"
	"slices"
)

// spot is a place on the border roads of the lattice: steps of edgeStep along the
// south border of block i, j from its corner.
type spot struct{ i, j, step int }

func (s spot) point() point { return linePoint(s.i, s.j, 0, float64(s.step)*edgeStep) }

// node is a node of the government network.
type node struct {
	id, name, level string // level: 核心, 汇聚, 接入
	at              spot
	parent          int // index of the node it hangs on, -1 for the first
	county          int
}

// cable is a fibre between two nodes, along the border roads.
type cable struct {
	from, to int
	path     []spot // corners between the ends
}

// network holds the assets. It does not depend on Options.Scale, so that projects
// can point to assets by their codes.
type network struct {
	c      *city
	nodes  []node
	cables []cable
	inner  []*block // the built-up area
}

const (
	coreNodes   = 3
	urbanNodes  = 130 // access nodes in the built-up centre
	accessLimit = 320
)

// network lays out nodes and fibres.
func (c *city) network() *network {
	n := &network{c: c, inner: c.pick(60_000)}
	used := map[spot]bool{}
	add := func(level, name string, s spot, parent int) int {
		for used[s] { // two nodes never share a place
			s.step++
			if s.step > edgePoints {
				s.i, s.step = s.i+1, 0
			}
		}
		used[s] = true
		k := c.countyAt(s.point())
		if k < 0 || c.blockAt(s.i, s.j) == nil {
			return -1
		}
		n.nodes = append(n.nodes, node{id: fmt.Sprintf("JD-%04d", len(n.nodes)+1), name: name, level: level, at: s, parent: parent, county: k})
		return len(n.nodes) - 1
	}
	centre := c.centre()
	for k := range coreNodes {
		s := c.nearest(point{centre.x + float64(k%2)*2100 - 900, centre.y + float64(k/2)*1900 + 500})
		add("核心", []string{"政务网络中心核心节点", "灾备中心核心节点", "柳叶湖核心节点"}[k], s, k-1)
	}
	for i := range c.counties {
		k := &c.counties[i]
		add("汇聚", k.name+"汇聚节点", c.nearest(k.seat), i%coreNodes)
	}
	aggregates := len(n.nodes)
	inner := c.pick(120_000)
	for q := range urbanNodes {
		b := inner[hash(c.seed, 0xb1, uint64(q))%uint64(len(inner))]
		s := spot{b.i, b.j, int(hash(c.seed, 0xb2, uint64(q)) % uint64(edgePoints))}
		add("接入", fmt.Sprintf("%s接入节点", syllables(hash(c.seed, 0xb3, uint64(q)))), s, n.closest(s.point(), 0, aggregates))
	}
	for i := range c.counties {
		for _, t := range c.counties[i].townships {
			if len(n.nodes) >= accessLimit {
				break
			}
			s := c.nearest(t.at)
			add("接入", t.name+"接入节点", s, n.closest(s.point(), 0, aggregates))
		}
	}
	n.lay()
	return n
}

// closest returns the node in [from, to) nearest to a point.
func (n *network) closest(p point, from, to int) int {
	best := from
	for k := from; k < to; k++ {
		if n.nodes[k].at.point().dist(p) < n.nodes[best].at.point().dist(p) {
			best = k
		}
	}
	return best
}

// nearest returns the lattice corner nearest to a point, of a block of the city.
func (c *city) nearest(p point) spot {
	best, bd := spot{}, math.Inf(1)
	ci, cj := int((p.x-originE)/blockSize), int((p.y-originN)/blockSize)
	for i := ci - 2; i <= ci+2; i++ {
		for j := cj - 2; j <= cj+2; j++ {
			s := spot{i, j, 0}
			if d := s.point().dist(p); c.blockAt(i, j) != nil && c.countyAt(s.point()) >= 0 && d < bd {
				best, bd = s, d
			}
		}
	}
	return best
}

// lay finds the way of every cable: from each parent, shortest ways over the border
// roads to all its children, larger roads preferred.
func (n *network) lay() {
	for parent := range n.nodes {
		var children []int
		for k, child := range n.nodes {
			if child.parent == parent {
				children = append(children, k)
			}
		}
		if len(children) == 0 {
			continue
		}
		came := n.search(n.nodes[parent].at, children)
		for _, k := range children {
			goal := [2]int{n.nodes[k].at.i, n.nodes[k].at.j}
			var path []spot
			for at := goal; ; at = came[at] {
				path = append(path, spot{at[0], at[1], 0})
				if prev, ok := came[at]; !ok || prev == at {
					break
				}
			}
			slices.Reverse(path)
			n.cables = append(n.cables, cable{from: parent, to: k, path: path})
		}
	}
}

type step struct {
	at   [2]int
	cost float64
}

type frontier []step

func (f frontier) Len() int           { return len(f) }
func (f frontier) Less(a, b int) bool { return f[a].cost < f[b].cost }
func (f frontier) Swap(a, b int)      { f[a], f[b] = f[b], f[a] }
func (f *frontier) Push(x any)        { *f = append(*f, x.(step)) }
func (f *frontier) Pop() any {
	old := *f
	x := old[len(old)-1]
	*f = old[:len(old)-1]
	return x
}

// search is Dijkstra's algorithm over lattice corners from a spot's corner until
// every goal is reached. The result maps a corner to the one before it; the start
// maps to itself.
func (n *network) search(from spot, goals []int) map[[2]int][2]int {
	left := map[[2]int]bool{}
	for _, g := range goals {
		left[[2]int{n.nodes[g].at.i, n.nodes[g].at.j}] = true
	}
	start := [2]int{from.i, from.j}
	cost := map[[2]int]float64{start: 0}
	came := map[[2]int][2]int{start: start}
	done := map[[2]int]bool{}
	open := &frontier{{start, 0}}
	for open.Len() > 0 && len(left) > 0 {
		s := heap.Pop(open).(step)
		if done[s.at] {
			continue
		}
		done[s.at] = true
		delete(left, s.at)
		for _, d := range [...][2]int{{1, 0}, {0, 1}, {-1, 0}, {0, -1}} {
			to := [2]int{s.at[0] + d[0], s.at[1] + d[1]}
			if done[to] || !n.c.road(s.at, to) {
				continue
			}
			line := s.at[1] // a step east or west runs along a line of constant j
			if d[0] == 0 {
				line = s.at[0]
			}
			w := 1.0
			switch {
			case line%12 == 0:
				w = 0.6
			case line%4 == 0:
				w = 0.75
			case line%2 == 0:
				w = 0.9
			}
			if old, ok := cost[to]; !ok || s.cost+w < old {
				cost[to], came[to] = s.cost+w, s.at
				heap.Push(open, step{to, s.cost + w})
			}
		}
	}
	return came
}

// road reports whether a border road joins two neighbouring corners.
func (c *city) road(a, b [2]int) bool {
	i, j := min(a[0], b[0]), min(a[1], b[1])
	if a[1] == b[1] {
		return c.blockAt(i, j) != nil || c.blockAt(i, j-1) != nil
	}
	return c.blockAt(i, j) != nil || c.blockAt(i-1, j) != nil
}

// line gives the vertices of a cable in EPSG:4546, from node to node.
func (n *network) line(k cable) []float64 {
	var flat []float64
	add := func(p point) {
		if l := len(flat); l >= 2 && flat[l-2] == p.x && flat[l-1] == p.y {
			return
		}
		flat = append(flat, p.x, p.y)
	}
	a, b := n.nodes[k.from].at, n.nodes[k.to].at
	for t := a.step; t >= 0; t-- {
		add(spot{a.i, a.j, t}.point())
	}
	for q := 1; q < len(k.path); q++ {
		u, v := k.path[q-1], k.path[q]
		along := 0
		if u.i == v.i {
			along = 1
		}
		i, j := min(u.i, v.i), min(u.j, v.j)
		for t := 1; t <= edgePoints; t++ {
			off := float64(t) * edgeStep
			if u.i+u.j > v.i+v.j {
				off = blockSize - off
			}
			add(linePoint(i, j, along, off))
		}
	}
	for t := range b.step {
		add(spot{b.i, b.j, t + 1}.point())
	}
	return flat
}
