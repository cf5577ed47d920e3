package tiles

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/paulmach/orb"
	"github.com/paulmach/orb/encoding/wkb"
	"github.com/paulmach/orb/planar"

	"changde/catalog"
	types "changde/ingest/layer"
	"changde/postgis"
	"changde/postgis/postgistest"
)

// street is a row of a network of streets.
type street struct {
	fid          int64
	class, label string // empty: NULL
	parts        []orb.LineString
}

// network are streets along the lines of a lattice that is bent here and there, in
// degrees: pieces of one to three edges, either way round, some of several parts, some that
// are not there, and some that are there twice.
func network(seed uint64, side int) []street {
	r := rand.New(rand.NewPCG(seed, seed))
	node := make(map[[2]int]orb.Point)
	at := func(i, j int) orb.Point {
		if _, ok := node[[2]int{i, j}]; !ok {
			node[[2]int{i, j}] = orb.Point{111.6 + 0.002*(float64(i)+0.4*r.Float64()), 28.9 + 0.002*(float64(j)+0.4*r.Float64())}
		}
		return node[[2]int{i, j}]
	}
	var out []street
	for k := range 2 * side {
		class := fmt.Sprintf("C%d", k%7%4)
		label := ""
		if k%3 > 0 {
			label = fmt.Sprintf("第%d路", k/2%5)
		}
		for from := 0; from < side; {
			to := min(from+1+r.IntN(3), side)
			var path orb.LineString
			for n := from; n <= to; n++ {
				i, j := k/2, n
				if k%2 == 1 {
					i, j = n, k/2
				}
				p := at(i, j)
				if n > from {
					q := path[len(path)-1]
					path = append(path, orb.Point{(p[0]+q[0])/2 + 0.0001*r.Float64(), (p[1]+q[1])/2 + 0.0001*r.Float64()})
				}
				path = append(path, p)
			}
			from = to
			if r.IntN(2) == 0 {
				path.Reverse()
			}
			s := street{class: class, label: label, parts: []orb.LineString{path}}
			switch n := len(out) - 1; r.IntN(20) {
			case 0:
				continue
			case 1:
				out = append(out, s)
			case 2:
				if n >= 0 && out[n].class == class && out[n].label == label {
					out[n].parts = append(out[n].parts, path)
					continue
				}
			}
			out = append(out, s)
		}
	}
	// A ring of two, and one of its own.
	a, b, c := orb.Point{111.59, 28.89}, orb.Point{111.592, 28.892}, orb.Point{111.594, 28.889}
	out = append(out, street{class: "C0", parts: []orb.LineString{{a, b}}}, street{class: "C0", parts: []orb.LineString{{a, c, b}}},
		street{class: "C1", parts: []orb.LineString{{a, b, c, a}}}, street{class: "C2", parts: []orb.LineString{{a, a}}})
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	for n := range out {
		out[n].fid = int64(n + 1)
	}
	return out
}

func streetColumns() []catalog.Column {
	return []catalog.Column{{Name: "class", Type: types.Text}, {Name: "name", Type: types.Text}, {Name: "n", Type: types.Integer}}
}

// networked is a dataset of a network.
func networked(t testing.TB, pool *pgxpool.Pool, list []street) *catalog.Dataset {
	t.Helper()
	d := table(t, pool, "net", "MultiLineString", streetColumns())
	d.Class, d.Label = "class", "name"
	for _, s := range list {
		b, err := wkb.Marshal(orb.MultiLineString(s.parts))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pool.Exec(t.Context(), "INSERT INTO content.net VALUES ($1, $2, nullif($3, ''), 1, 1, ST_SetSRID(ST_GeomFromWKB($4), 4490))", s.fid, s.class, s.label, b); err != nil {
			t.Fatal(err)
		}
	}
	fill(t, pool, d, new(postgis.SQL).Raw("SELECT 1"))
	return d
}

// rowsOf are the streets in memory, as they are read, in an order of their own.
func rowsOf(list []street, order []int) []*row {
	set, _ := Set("WebMercatorQuad")
	var out []*row
	for _, n := range order {
		s := list[n]
		r := &row{fid: s.fid, values: [][]byte{[]byte(s.class), nil}}
		if s.label != "" {
			r.values[1] = []byte(s.label)
		}
		r.figure.bound = emptyBound()
		for _, path := range s.parts {
			world := make([]orb.Point, len(path))
			for i, p := range path {
				world[i][0], world[i][1] = worldOf(&set, p[0], p[1])
			}
			r.figure.take(part{kind: lines}, world)
		}
		out = append(out, r)
	}
	slices.SortFunc(out, byFID)
	return out
}

// edges are the straight pieces of rows by what joined rows agree in, either way
// round, and how often each is there.
func edges(rows []*row) map[string]int {
	out := make(map[string]int)
	for _, r := range rows {
		for _, p := range r.figure.parts {
			for i := p.from + 1; i < p.to; i++ {
				a, b := r.figure.at[i-1], r.figure.at[i]
				if before(b, a) {
					a, b = b, a
				}
				out[fmt.Sprintf("%q %v %v", r.values, a, b)]++
			}
		}
	}
	return out
}

func lengths(rows []*row) map[string]float64 {
	out := make(map[string]float64)
	for _, r := range rows {
		for _, p := range r.figure.parts {
			out[fmt.Sprintf("%q", r.values)] += planar.Length(orb.LineString(r.figure.at[p.from:p.to]))
		}
	}
	return out
}

// Joined lines are the lines they are made of, each once, of one class and label;
// they do not depend on the order in which rows lie; and where two of the same
// meet none ends.
func TestJoinedLines(t *testing.T) {
	t.Parallel()
	world := Address{Set: "WebMercatorQuad"}
	for seed := range uint64(40) {
		list := network(seed, 12)
		r := rand.New(rand.NewPCG(seed, 1))
		var first string
		for range 3 {
			rows := rowsOf(list, r.Perm(len(list)))
			want, length := edges(rows), lengths(rows)
			j := newJoiner()
			j.link(rows, []int{0, 1}, everywhere())
			drawn := j.tile(rows, world)
			got := edges(drawn)
			for e, n := range want {
				if got[e] != n {
					t.Fatalf("seed %d: the edge %s is there %d times, want %d", seed, e, got[e], n)
				}
			}
			if len(got) != len(want) {
				t.Fatalf("seed %d: %d edges, want %d", seed, len(got), len(want))
			}
			for k, l := range lengths(drawn) {
				if math.Abs(l-length[k]) > 1e-9*length[k] {
					t.Errorf("seed %d: %s is %g long, want %g", seed, k, l, length[k])
				}
			}
			stands, text := 0, ""
			for _, r := range drawn {
				stands += int(r.count())
				if (r.fid < 0) != (r.stands > 1) {
					t.Errorf("seed %d: a row of %d has the id %d", seed, r.stands, r.fid)
				}
				text += fmt.Sprintf("%d %d %q %v %v\n", r.fid, r.stands, r.values, r.figure.parts, r.figure.at)
			}
			if stands != len(list) {
				t.Errorf("seed %d: the drawn rows stand for %d, want %d", seed, stands, len(list))
			}
			if len(drawn) > len(list)/2 {
				t.Errorf("seed %d: %d rows of %d: the test says little", seed, len(drawn), len(list))
			}
			if first == "" {
				first = text
			} else if first != text {
				t.Fatalf("seed %d: the order of the rows shows", seed)
			}
			free := meetings(drawn)
			for place, n := range meetings(rows) {
				if n == 2 && free[place] == 2 && !closed(drawn, place) {
					t.Errorf("seed %d: two lines end at %s", seed, place)
				}
			}
		}
	}
}

// meetings counts the ends at each place.
func meetings(rows []*row) map[string]int {
	out := make(map[string]int)
	for _, r := range rows {
		for k := range r.figure.parts {
			if _, ok := r.heading(int32(k), false); ok {
				out[fmt.Sprintf("%q %v", r.values, r.end(int32(k), false))]++
				out[fmt.Sprintf("%q %v", r.values, r.end(int32(k), true))]++
			}
		}
	}
	return out
}

// closed reports whether a line begins and ends at a place.
func closed(rows []*row, place string) bool {
	for _, r := range rows {
		for k := range r.figure.parts {
			if r.end(int32(k), false) == r.end(int32(k), true) && fmt.Sprintf("%q %v", r.values, r.end(int32(k), true)) == place {
				return true
			}
		}
	}
	return false
}

// GEOS finds the same set of points in joined lines as in their parts.
func TestJoinedLinesUnion(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	list := network(99, 15)
	order := rand.New(rand.NewPCG(9, 9)).Perm(len(list))
	rows := rowsOf(list, order)
	j := newJoiner()
	j.link(rows, []int{0, 1}, everywhere())
	drawn := j.tile(rows, Address{Set: "WebMercatorQuad"})
	shapes := func(rows []*row) (out [][]byte) {
		for _, r := range rows {
			var g orb.MultiLineString
			for _, p := range r.figure.parts {
				g = append(g, r.figure.at[p.from:p.to])
			}
			b, err := wkb.Marshal(g)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, b)
		}
		return out
	}
	var equal bool
	err := pool.QueryRow(t.Context(), "SELECT ST_Equals((SELECT ST_Union(ST_GeomFromWKB(b)) FROM unnest($1::bytea[]) b), (SELECT ST_Union(ST_GeomFromWKB(b)) FROM unnest($2::bytea[]) b))", shapes(rows), shapes(drawn)).Scan(&equal)
	if err != nil || !equal {
		t.Errorf("the union is another: %v", err)
	}
}

// Where more than two of the same meet, those that go on straight are joined.
func TestCrossing(t *testing.T) {
	t.Parallel()
	o := orb.Point{0.5, 0.5}
	ray := func(fid int64, x, y float64) *row {
		r := &row{fid: fid, values: [][]byte{[]byte("a")}}
		r.figure.bound = emptyBound()
		r.figure.take(part{kind: lines}, []orb.Point{o, {0.5 + x, 0.5 + y}})
		return r
	}
	for _, tt := range []struct {
		name string
		rays []*row
		want []int64 // how many rows each drawn row stands for
	}{
		{"a corner", []*row{ray(1, 0.1, 0), ray(2, 0.1, 0.01)}, []int64{2}},
		{"a crossing", []*row{ray(1, 0.1, 0), ray(2, 0, 0.1), ray(3, -0.1, 0), ray(4, 0, -0.1)}, []int64{2, 2}},
		{"a branch", []*row{ray(1, 0.1, 0), ray(2, 0.1, 0.1), ray(3, -0.1, 0.01)}, []int64{2, 1}},
		{"a star", []*row{ray(1, 0.1, 0), ray(2, -0.05, 0.0866), ray(3, -0.05, -0.0866)}, []int64{1, 1, 1}},
		{"too many", func() (out []*row) {
			for n := range int64(maxMeeting + 2) {
				out = append(out, ray(n, math.Cos(float64(n)), math.Sin(float64(n))))
			}
			return out
		}(), slices.Repeat([]int64{1}, maxMeeting+2)},
	} {
		j := newJoiner()
		j.link(tt.rays, []int{0}, everywhere())
		var got []int64
		for _, r := range j.tile(tt.rays, Address{Set: "WebMercatorQuad"}) {
			got = append(got, r.count())
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
