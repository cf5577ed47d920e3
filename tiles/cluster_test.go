package tiles

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/paulmach/orb"

	"changde/catalog"
	types "changde/ingest/layer"
	"changde/postgis"
	"changde/postgis/postgistest"
	"changde/problem"
)

// wells are points in knots of many and some alone.
func wells(t testing.TB, kind string, n int) (*Source, *catalog.Dataset) {
	t.Helper()
	pool := postgistest.New(t)
	d := table(t, pool, "wells", kind, []catalog.Column{{Name: "name", Type: types.Text}, {Name: "point_count", Type: types.Integer}, {Name: "class", Type: types.Text}})
	geom := "ST_SetSRID(ST_MakePoint(x, y), 4490)"
	if kind != "Point" {
		geom = "ST_Multi(" + geom + ")"
	}
	run(t, pool, new(postgis.SQL).Raw("SELECT setseed(0.4)"))
	q := fmt.Sprintf("INSERT INTO content.wells SELECT i, 'W' || i, -i, CASE WHEN i <= 20 THEN 'few' ELSE 'many' END, 1, %s FROM (SELECT i, 111.2 + floor(9 * random()) * 0.1 + power(random(), 3) * 0.1 AS x, 28.7 + floor(6 * random()) * 0.1 + power(random(), 3) * 0.1 AS y FROM generate_series(1, %d) i) p", geom, n)
	if _, err := pool.Exec(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	fill(t, pool, d, new(postgis.SQL).Raw("SELECT 1"))
	return NewSource(pool, Config{}), d
}

func clustered(t testing.TB, s *Source, d *catalog.Dataset, a Address, side int) *Tile {
	t.Helper()
	tile, err := s.Join(t.Context(), []Part{{Dataset: d, Release: d.Current, Cluster: side}}, a)
	if err != nil {
		t.Fatal(err)
	}
	return tile
}

// dot is a feature of a clustered tile.
type dot struct {
	at    orb.Point
	id    any
	count float64
	name  any
}

func dotsOf(t testing.TB, tile *Tile) (out []dot) {
	t.Helper()
	for _, l := range decoded(t, tile) {
		for _, f := range l.Features {
			d := dot{at: f.Geometry.Bound().Center(), id: f.ID, count: 1, name: f.Properties["name"]}
			if n, ok := f.Properties["point_count_"].(float64); ok {
				d.count = n
			}
			out = append(out, d)
		}
	}
	return out
}

// The points of a cell are one feature at their mean with their number, one that is
// alone is itself; the cells are those of a grid over the whole matrix, whichever tile is
// asked.
func TestClusters(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"Point", "MultiPoint"} {
		s, d := wells(t, kind, 1500)
		type well struct{ lon, lat float64 }
		all := make(map[int64]well)
		rows, err := s.pool.Query(t.Context(), "SELECT fid, ST_X(ST_Centroid(geom)), ST_Y(ST_Centroid(geom)) FROM content.wells")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var fid int64
			var w well
			if err := rows.Scan(&fid, &w.lon, &w.lat); err != nil {
				t.Fatal(err)
			}
			all[fid] = w
		}
		r := rand.New(rand.NewPCG(6, 6))
		alone, joined := 0, 0
		for _, set := range Sets() {
			for _, z := range []int{0, 7, 10, 22} {
				for _, side := range []int{MinCluster, 50, 100, MaxCluster} {
					w := all[1+r.Int64N(int64(len(all)))]
					x, y := worldOf(&set, w.lon, w.lat)
					n := math.Ldexp(1, z+set.ahead())
					a := Address{Set: set.ID, Z: z, Row: int(y * n), Col: int(x * n)}
					// What each cell has, counted here.
					cell := float64(side * Extent / pixelsOfTile)
					type knot struct {
						n        float64
						lon, lat float64
						fid      int64
					}
					cells := make(map[[2]int]knot)
					for fid, w := range all {
						x, y := worldOf(&set, w.lon, w.lat)
						at := [2]int{int(math.Floor(x * n * Extent / cell)), int(math.Floor(y * n * Extent / cell))}
						k := cells[at]
						cells[at] = knot{k.n + 1, k.lon + w.lon, k.lat + w.lat, fid}
					}
					want := make(map[string]dot)
					for _, k := range cells {
						x, y := worldOf(&set, k.lon/k.n, k.lat/k.n)
						at := round(orb.Point{(x*n - float64(a.Col)) * Extent, (y*n - float64(a.Row)) * Extent})
						if at[0] < -Buffer || at[1] < -Buffer || at[0] > Extent+Buffer || at[1] > Extent+Buffer {
							continue
						}
						f := dot{at: orb.Point{float64(at[0]), float64(at[1])}, count: k.n}
						if k.n == 1 {
							f.id, f.name = float64(k.fid), fmt.Sprintf("W%d", k.fid)
						}
						want[fmt.Sprint(f)] = f
					}
					tile := clustered(t, s, d, a, side)
					got := dotsOf(t, tile)
					missing := 0
					gathered := 0.0
					for _, f := range got {
						if _, ok := want[fmt.Sprint(f)]; !ok {
							missing++
						}
						if f.count > 1 {
							gathered += f.count
							joined++
						} else {
							alone++
						}
					}
					// A mean between two units may be rounded otherwise.
					if missing > len(want)/100 || len(got) != len(want) {
						t.Fatalf("%s %s by %d: %d features, want %d, %d others", kind, a, side, len(got), len(want), missing)
					}
					if tile.Omitted != 0 || float64(tile.Generalized) != gathered || int(tile.Features) != len(got) {
						t.Errorf("%s by %d: %d features, %d gathered, %d omitted", a, side, tile.Features, tile.Generalized, tile.Omitted)
					}
				}
			}
		}
		if alone < 100 || joined < 200 {
			t.Errorf("%d alone and %d clusters: the test says little", alone, joined)
		}
	}
}

// A cluster at the edge of two tiles is the same in both.
func TestClustersOfNeighbours(t *testing.T) {
	t.Parallel()
	s, d := wells(t, "Point", 5000)
	shared := 0
	for _, side := range []int{9, 48, 100, 250} {
		for z := 7; z <= 11; z++ {
			left := at(111.65, 28.95, z)
			right := left
			right.Col++
			// What lies in both margins, in the units of the left.
			near := func(a Address, shift float64) map[string]bool {
				out := make(map[string]bool)
				for _, f := range dotsOf(t, clustered(t, s, d, a, side)) {
					f.at[0] += shift
					if f.at[0] >= Extent-Buffer && f.at[0] <= Extent+Buffer {
						out[fmt.Sprint(f)] = true
					}
				}
				return out
			}
			a, b := near(left, 0), near(right, Extent)
			for f := range a {
				if !b[f] {
					t.Errorf("by %d, zoom %d: %s is in the left tile alone", side, z, f)
				}
			}
			if len(a) != len(b) {
				t.Errorf("by %d, zoom %d: %d beside %d", side, z, len(a), len(b))
			}
			shared += len(a)
		}
	}
	if shared < 20 {
		t.Errorf("%d clusters at edges: the test says little", shared)
	}
}

// Clusters go with filters and chosen columns, are their own in memory, and what has no
// room is counted.
func TestClustersOfParts(t *testing.T) {
	t.Parallel()
	s, d := wells(t, "Point", 2000)
	a := at(111.65, 28.95, 7)
	part := Part{Dataset: d, Release: d.Current, Cluster: 64}
	plain := part
	plain.Cluster = 0
	other := part
	other.Cluster = 32
	bare := part
	bare.Columns = []catalog.Column{}
	some := part
	some.Filter = classFilter{class: "few"}
	counts := make(map[string]bool)
	for _, p := range []Part{part, plain, other, some} {
		tile, err := s.Join(t.Context(), []Part{p}, a)
		if err != nil {
			t.Fatal(err)
		}
		counts[fmt.Sprint(tile.Features)] = true
		if p.Filter != nil && accounted(t, tile) != 20 {
			t.Errorf("with a filter the tile tells of %d rows", accounted(t, tile))
		}
	}
	if len(counts) != 4 {
		t.Errorf("features: %v", counts)
	}
	tile, err := s.Join(t.Context(), []Part{bare}, a)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range decoded(t, tile)[0].Features {
		if _, ok := f.Properties["name"]; ok || f.ID == nil && f.Properties["point_count"] == nil {
			t.Errorf("without columns a cluster has %v", f.Properties)
		}
	}
	small := NewSource(s.pool, Config{MaxBytes: 700})
	part.Cluster = 8
	tile, err = small.Join(t.Context(), []Part{part}, a)
	if err != nil || tile.Omitted == 0 || tile.Omitted+tile.Generalized+int64(alones(t, tile)) != 2000 {
		t.Errorf("%d features, %d gathered, %d omitted, %v", tile.Features, tile.Generalized, tile.Omitted, err)
	}
}

func alones(t testing.TB, tile *Tile) (n int) {
	for _, f := range dotsOf(t, tile) {
		if f.count == 1 {
			n++
		}
	}
	return n
}

func TestClustersRefused(t *testing.T) {
	t.Parallel()
	s := NewSource(nil, Config{})
	for kind, sides := range map[string][]int{"Point": {-1, 1, 7, 257}, "MultiPolygon": {64}, "MultiLineString": {64}, "Geometry": {64}} {
		d := &catalog.Dataset{ID: "d"}
		r := &catalog.Release{GeometryType: kind}
		for _, side := range sides {
			_, err := s.Join(t.Context(), []Part{{Dataset: d, Release: r, Cluster: side}}, Address{Set: "WebMercatorQuad"})
			if !problem.Is(err, problem.Invalid) || !strings.Contains(err.Error(), "cluster") {
				t.Errorf("%s by %d: %v", kind, side, err)
			}
		}
	}
}

// Where points are too many to be read they are thinned in the database, as they are
// otherwise.
func TestPointsTooManyToRead(t *testing.T) {
	t.Parallel()
	s, d := wells(t, "Point", 20_000)
	d.Class = "class"
	for _, rank := range [][]string{nil, {"ma*", "few"}} {
		d.Tiles.Rank = rank
		for _, z := range []int{6, 8, 9} {
			a := at(111.65, 28.95, z)
			want := get(t, NewSource(s.pool, Config{}), d, a)
			got := get(t, NewSource(s.pool, Config{MaxFeatures: 4100}), d, a)
			if diff := cmp.Diff(contents(t, want), contents(t, got)); diff != "" || got.Generalized != want.Generalized || got.Omitted != 0 {
				t.Errorf("%s, ranked by %v: %d features, %d gathered, %d omitted, want %d, %d:\n%s", a, rank, got.Features, got.Generalized, got.Omitted, want.Features, want.Generalized, diff)
			}
			few := get(t, NewSource(s.pool, Config{MaxFeatures: 50}), d, a)
			if few.Features != 50 || few.Features+few.Generalized+few.Omitted != want.Features+want.Generalized {
				t.Errorf("%s: %d features, %d gathered, %d omitted, want %d, %d, %d", a, few.Features, few.Generalized, few.Omitted, want.Features, want.Generalized, want.Omitted)
			}
		}
	}
}
