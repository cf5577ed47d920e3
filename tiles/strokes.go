package tiles

import (
	"math"
	"slices"

	"github.com/paulmach/orb"
)

// disjoint are sets of the numbers from 0, each named by one of its members.
type disjoint []int32

// reset makes n sets of one number.
func (s *disjoint) reset(n int) {
	*s = (*s)[:0]
	for i := range n {
		*s = append(*s, int32(i))
	}
}

func (s disjoint) of(n int32) int32 {
	for s[n] != n {
		s[n] = s[s[n]]
		n = s[n]
	}
	return n
}

// unite makes one set of two, named by the lower of their names.
func (s disjoint) unite(a, b int32) {
	a, b = s.of(a), s.of(b)
	s[max(a, b)] = min(a, b)
}

// tile gives the rows of a tile as they are drawn, in the order of the first row of
// each: those that are joined within a bound as one row without a fid. Rows and
// joined rows are good until the next call.
func (j *joiner) tile(rows []*row, a Address) []*row {
	j.rows, j.within = rows, a.around(joinMargin)
	if !j.connect() {
		return rows
	}
	out := make([]*row, 0, len(rows))
	made := make([]row, 0, j.members())
	j.at = j.at[:0]
	for n, r := range rows {
		switch root := j.sets.of(int32(n)); {
		case int(root) != n:
		case !j.linked[n]:
			out = append(out, r)
		default:
			made = append(made, j.joined(root, a))
			out = append(out, &made[len(made)-1])
		}
	}
	return out
}

// connect makes sets of the rows that are joined within the bound, and tells whether
// any are.
func (j *joiner) connect() (any bool) {
	j.sets.reset(len(j.rows))
	j.linked, j.first = j.linked[:0], j.first[:0]
	parts := 0
	for n, r := range j.rows {
		r.index = int32(n)
		j.linked = append(j.linked, false)
		j.first = append(j.first, parts)
		parts += len(r.figure.parts)
	}
	for n, r := range j.rows {
		for k := range r.links {
			for _, last := range []bool{false, true} {
				to, ok := j.step(cursor{int32(n), int32(k), !last})
				if !ok || int(to.row) == n && int(to.part) == k {
					continue
				}
				j.sets.unite(int32(n), to.row)
				j.linked[n], any = true, true
			}
		}
	}
	j.seen = append(j.seen[:0], make([]bool, parts)...)
	return any
}

// members lists the rows of each set in their order, and counts the sets whose lines
// are joined.
func (j *joiner) members() (sets int) {
	j.head, j.next = j.head[:0], j.next[:0]
	for range j.rows {
		j.head, j.next = append(j.head, -1), append(j.next, -1)
	}
	for n := len(j.rows) - 1; n >= 0; n-- {
		root := j.sets.of(int32(n))
		j.next[n], j.head[root] = j.head[root], int32(n)
		if int(root) == n && j.linked[n] {
			sets++
		}
	}
	return sets
}

// cursor is a part of a row that is passed from its first position to its last, or
// back.
type cursor struct {
	row, part int32
	back      bool
}

// step goes on from where a part is left to the part that is joined there.
func (j *joiner) step(c cursor) (next cursor, ok bool) {
	r := j.rows[c.row]
	if r.links == nil {
		return next, false
	}
	l := r.links[c.part][side(!c.back)]
	if l.row == nil || !j.within.Contains(r.end(c.part, !c.back)) {
		return next, false
	}
	// Rows that have left the zoom, or are in other tiles alone, are not there.
	if n := l.row.index; int(n) < len(j.rows) && j.rows[n] == l.row {
		return cursor{n, l.part, l.last}, true
	}
	return next, false
}

// joined makes one row of a set: a line for each chain of parts. Of a row that is
// joined with no other, the parts that meet are joined.
func (j *joiner) joined(root int32, a Address) row {
	out := *j.rows[root]
	out.links, out.stands, out.centred = nil, 0, 0
	f := figure{bound: emptyBound()}
	begin := len(j.at)
	for n := j.head[root]; n >= 0; n = j.next[n] {
		r := j.rows[n]
		out.stands++
		if centred(r, a) {
			out.centred++
		}
		for k := range r.figure.parts {
			if !j.seen[j.first[n]+k] {
				from := len(j.at)
				j.chain(cursor{n, int32(k), false})
				f.parts = append(f.parts, part{kind: lines, from: from - begin, to: len(j.at) - begin})
			}
		}
	}
	f.at = j.at[begin:len(j.at):len(j.at)]
	for k := range f.parts {
		p := &f.parts[k]
		b := orb.LineString(f.at[p.from:p.to]).Bound()
		p.bound = b
		f.bound.Min = orb.Point{min(f.bound.Min[0], b.Min[0]), min(f.bound.Min[1], b.Min[1])}
		f.bound.Max = orb.Point{max(f.bound.Max[0], b.Max[0]), max(f.bound.Max[1], b.Max[1])}
	}
	if out.stands > 1 {
		out.fid = -1
	}
	out.figure = f
	out.size = max(f.bound.Max[0]-f.bound.Min[0], f.bound.Max[1]-f.bound.Min[1])
	return out
}

// chain appends the positions of the parts that are joined with one, which lies in
// its own direction in it. A ring begins with the part.
func (j *joiner) chain(c cursor) {
	begin := c
	for back := (cursor{c.row, c.part, true}); ; {
		next, ok := j.step(back)
		if !ok || next.row == c.row && next.part == c.part {
			break
		}
		back, begin = next, cursor{next.row, next.part, !next.back}
	}
	for first := true; ; first = false {
		j.seen[j.first[begin.row]+int(begin.part)] = true
		f := &j.rows[begin.row].figure
		p := f.parts[begin.part]
		path := f.at[p.from:p.to]
		for i := range path {
			if i == 0 && !first {
				continue // where the one before ended
			}
			if begin.back {
				i = len(path) - 1 - i
			}
			j.at = append(j.at, path[i])
		}
		next, ok := j.step(begin)
		if !ok || j.seen[j.first[next.row]+int(next.part)] {
			return
		}
		begin = next
	}
}

// survey gives each row the size of all of the same that it hangs together with,
// joined or not, once link has been called for a tile. For a row that begins in
// the tile proper it is right where it is less than a pixel: what goes on beyond the
// margin is wider.
func (j *joiner) survey(rows []*row, keys []int) {
	j.sets.reset(len(rows))
	for ends := range j.places(rows, keys) {
		for _, e := range ends[1:] {
			j.sets.unite(ends[0].row, e.row)
		}
	}
	j.spread(rows)
}

// measure gives each row the size of all that it is joined with, wherever.
func (j *joiner) measure(rows []*row) {
	j.rows, j.within = rows, everywhere()
	j.connect()
	j.spread(rows)
}

// spread gives each row the size of its set.
func (j *joiner) spread(rows []*row) {
	bounds := make([]orb.Bound, len(rows))
	for n, r := range rows {
		bounds[n] = r.figure.bound
		if root := j.sets.of(int32(n)); int(root) != n {
			bounds[root] = bounds[root].Union(bounds[n])
		}
	}
	for n, r := range rows {
		b := bounds[j.sets.of(int32(n))]
		r.reach = max(b.Max[0]-b.Min[0], b.Max[1]-b.Min[1])
	}
}

// leaves reports whether nothing of what a row of lines belongs to is a pixel wide
// at a zoom or above.
func (r *row) leaves(z int) bool { return math.Ldexp(r.reach*pixelsOfTile, z) < 1 }

// link finds which lines of a tile, and of the tiles below it, are joined.
func (w *cutWorker) link(rows []*row, a Address) {
	if w.dim == 1 {
		w.joiner.link(rows, w.keys, a.around(joinMargin))
	}
}

// maxHeld is how many positions of lines are held for the tiles above the blocks as
// they are. Of further lines those are left out that a tile of the base zoom would
// hardly tell apart.
const maxHeld = 16 << 20

// hold counts the positions of lines that are drawn above the blocks. The cutter is
// locked.
func (t *cutter) hold(large []*row) {
	unit := math.Ldexp(1, 1-t.base) / Extent
	for _, r := range large {
		if t.held > maxHeld {
			r.figure = r.figure.coarse(unit / 4)
		}
		t.held += len(r.figure.at)
	}
}

// coarse leaves out positions of lines that are nearer to the one before than a
// distance. The ends keep their headings.
func (f *figure) coarse(distance float64) figure {
	out := figure{bound: f.bound}
	for _, p := range f.parts {
		path := f.at[p.from:p.to]
		from, tail := len(out.at), len(path)-1
		for tail > 0 && path[tail] == path[len(path)-1] {
			tail--
		}
		for i, q := range path {
			if kept := len(out.at) - from; kept > 0 {
				last := out.at[len(out.at)-1]
				if q == last || kept > 1 && i < tail && math.Abs(q[0]-last[0]) < distance && math.Abs(q[1]-last[1]) < distance {
					continue
				}
			}
			out.at = append(out.at, q)
		}
		p.from, p.to = from, len(out.at)
		out.parts = append(out.parts, p)
	}
	return out
}

// lose counts lines that no tile of a zoom or above draws. The cutter is locked.
func (t *cutter) lose(rows []*row, z int) {
	for _, r := range rows {
		t.lost[tileOf(r.figure.bound.Center(), z)]++
	}
}

// thinOut keeps the lines that are drawn at a zoom, and counts the others there.
func (t *cutter) thinOut(rows []*row, z int) []*row {
	above := make(map[[2]int]int64, len(t.lost))
	for k, n := range t.lost {
		above[[2]int{k[0] >> 1, k[1] >> 1}] += n
	}
	t.lost = above
	var lost []*row
	rows = slices.DeleteFunc(rows, func(r *row) bool {
		if !r.leaves(z) {
			return false
		}
		lost = append(lost, r)
		return true
	})
	t.lose(lost, z)
	return rows
}
