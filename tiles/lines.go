package tiles

import (
	"bytes"
	"cmp"
	"hash/maphash"
	"math"
	"slices"

	"github.com/paulmach/orb"

	"changde/catalog"
)

// Below DetailZoom lines of the same that meet end to end are drawn as one. The
// same are those that agree in class and label and in whatever else a tile there may
// carry: no attribute is lost by it, and lines are joined alike at each zoom.
//
// Where two ends meet they are joined. Where more do, those pairs are that go on
// most nearly straight, so that a road goes on through its crossings. What is joined
// at a place follows from the ends there alone, and a tile joins at places that
// lie in it or in its margin, all of whose ends are in rows of the tile. So
// neighbouring tiles agree, and tiles made of rows agree with those that are cut.

// maxMeeting bounds the ends of the same that are matched at one place; where more
// meet none is joined.
const maxMeeting = 16

// straightOn is the cosine between two ends, seen from where they meet, up to which
// one is taken to go on as the other: a turn of 45 degrees.
const straightOn = -math.Sqrt2 / 2

// joinMargin is how far beyond a tile lines are joined, as a part of its width: a unit
// less than rows are read, for rounding.
const joinMargin = float64(Buffer-1) / Extent

// joinColumns are the columns in which lines agree that are joined, in the order of
// the release. chosen are those that the tiles carry at every zoom; nil: those of
// TileColumns.
func joinColumns(d *catalog.Dataset, r *catalog.Release, chosen []catalog.Column) []catalog.Column {
	if chosen == nil {
		chosen = TileColumns(d, r, DetailZoom-1)
	}
	return slices.DeleteFunc(slices.Clone(r.Columns), func(c catalog.Column) bool {
		return c.Name != d.Class && c.Name != d.Label && !slices.ContainsFunc(chosen, func(o catalog.Column) bool { return o.Name == c.Name })
	})
}

// around is a tile with a margin, in units of the tile of zoom 0.
func (a Address) around(margin float64) orb.Bound {
	n := math.Ldexp(1, a.zoom())
	return orb.Bound{
		Min: orb.Point{(float64(a.Col) - margin) / n, (float64(a.Row) - margin) / n},
		Max: orb.Point{(float64(a.Col) + 1 + margin) / n, (float64(a.Row) + 1 + margin) / n},
	}
}

// everywhere holds every place.
func everywhere() orb.Bound {
	return orb.Bound{Min: orb.Point{math.Inf(-1), math.Inf(-1)}, Max: orb.Point{math.Inf(1), math.Inf(1)}}
}

// link is the end that an end of a line is joined to; row nil: none.
type link struct {
	row  *row
	part int32
	last bool
}

// lineEnd is an end of a part of a row. Ends of the same at one place have the same
// hash; n counts them as they come.
type lineEnd struct {
	hash   uint64
	n, row int32
	part   int32
	last   bool
}

// end is where a part of the row begins or ends.
func (r *row) end(part int32, last bool) orb.Point {
	p := &r.figure.parts[part]
	if last {
		return r.figure.at[p.to-1]
	}
	return r.figure.at[p.from]
}

// heading is the direction in which a part leaves one of its ends, of length 1; ok
// is false for a part without length.
func (r *row) heading(part int32, last bool) (d orb.Point, ok bool) {
	p := &r.figure.parts[part]
	path := r.figure.at[p.from:p.to]
	from := r.end(part, last)
	for i := range path {
		q := path[i]
		if last {
			q = path[len(path)-1-i]
		}
		if q != from {
			x, y := q[0]-from[0], q[1]-from[1]
			l := math.Hypot(x, y)
			return orb.Point{x / l, y / l}, true
		}
	}
	return d, false
}

// joiner joins lines. Its buffers are used again.
type joiner struct {
	seed  maphash.Seed
	ends  []lineEnd
	pairs []meeting
	sets  disjoint

	// Of one tile.
	rows   []*row
	within orb.Bound
	linked []bool // by row
	seen   []bool // by part, of one row after another
	first  []int  // by row, of its parts in seen
	head   []int32
	next   []int32
	at     []orb.Point
}

// meeting is a pair of ends that meet, and the cosine between them.
type meeting struct {
	cos  float64
	i, j int
}

func newJoiner() *joiner { return &joiner{seed: maphash.MakeSeed()} }

// link finds which ends of rows, in the order of their fids, are joined, as far as
// they lie within a bound. keys are the values that must agree.
func (j *joiner) link(rows []*row, keys []int, within orb.Bound) {
	j.meet(rows, keys, within)
	for ends := range j.places(rows, keys) {
		if len(ends) > 1 && len(ends) <= maxMeeting {
			j.match(rows, ends)
		}
	}
}

// meet lists the ends within a bound, those of the same at one place together.
func (j *joiner) meet(rows []*row, keys []int, within orb.Bound) {
	j.ends = j.ends[:0]
	var h maphash.Hash
	h.SetSeed(j.seed)
	for n, r := range rows {
		r.links = nil
		h.Reset()
		for _, k := range keys {
			v := r.values[k]
			size := len(v)
			if v == nil {
				size = -1
			}
			maphash.WriteComparable(&h, size)
			_, _ = h.Write(v) // never fails
		}
		values := h.Sum64()
		for k := range int32(len(r.figure.parts)) {
			if _, ok := r.heading(k, false); !ok {
				continue
			}
			for _, last := range []bool{false, true} {
				if p := r.end(k, last); within.Contains(p) {
					hash := maphash.Comparable(j.seed, [3]uint64{values, math.Float64bits(p[0]), math.Float64bits(p[1])})
					j.ends = append(j.ends, lineEnd{hash, int32(len(j.ends)), int32(n), k, last})
				}
			}
		}
	}
	slices.SortFunc(j.ends, func(a, b lineEnd) int { return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.n, b.n)) })
}

// places goes over the ends that meet at one place, each time in the order of their
// rows.
func (j *joiner) places(rows []*row, keys []int) func(yield func([]lineEnd) bool) {
	return func(yield func([]lineEnd) bool) {
		for from := 0; from < len(j.ends); {
			to := from + 1
			for to < len(j.ends) && j.ends[to].hash == j.ends[from].hash {
				to++
			}
			ends := j.ends[from:to]
			from = to
			// Of different ends with one hash none is joined.
			if !slices.ContainsFunc(ends[1:], func(e lineEnd) bool { return !alike(rows, keys, ends[0], e) }) && !yield(ends) {
				return
			}
		}
	}
}

// alike reports whether two ends are at one place and of rows that agree.
func alike(rows []*row, keys []int, a, b lineEnd) bool {
	r, s := rows[a.row], rows[b.row]
	if r.end(a.part, a.last) != s.end(b.part, b.last) {
		return false
	}
	for _, k := range keys {
		if v, w := r.values[k], s.values[k]; (v == nil) != (w == nil) || !bytes.Equal(v, w) {
			return false
		}
	}
	return true
}

// match joins ends that meet at one place, two and two.
func (j *joiner) match(rows []*row, ends []lineEnd) {
	if len(ends) == 2 {
		join(rows, ends[0], ends[1])
		return
	}
	j.pairs = j.pairs[:0]
	var headings [maxMeeting]orb.Point
	for n, e := range ends {
		headings[n], _ = rows[e.row].heading(e.part, e.last)
		for m, d := range headings[:n] {
			if cos := d[0]*headings[n][0] + d[1]*headings[n][1]; cos <= straightOn {
				j.pairs = append(j.pairs, meeting{cos, m, n})
			}
		}
	}
	slices.SortFunc(j.pairs, func(a, b meeting) int {
		return cmp.Or(cmp.Compare(a.cos, b.cos), cmp.Compare(a.i, b.i), cmp.Compare(a.j, b.j))
	})
	var taken [maxMeeting]bool
	for _, p := range j.pairs {
		if !taken[p.i] && !taken[p.j] {
			taken[p.i], taken[p.j] = true, true
			join(rows, ends[p.i], ends[p.j])
		}
	}
}

func join(rows []*row, a, b lineEnd) {
	link := func(a, b lineEnd) {
		r := rows[a.row]
		if r.links == nil {
			r.links = make([][2]link, len(r.figure.parts))
		}
		r.links[a.part][side(a.last)] = link{rows[b.row], b.part, b.last}
	}
	link(a, b)
	link(b, a)
}

func side(last bool) int {
	if last {
		return 1
	}
	return 0
}
