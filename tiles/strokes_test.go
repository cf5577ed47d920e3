package tiles

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/paulmach/orb"

	"changde/catalog"
	"changde/postgis"
	"changde/postgis/postgistest"
)

// cutFrom cuts all tiles with blocks of a zoom, as if there were many rows.
func cutFrom(t testing.TB, pool *pgxpool.Pool, d *catalog.Dataset, c Config, base int) *heap {
	t.Helper()
	s := &heap{tiles: make(map[Address]*Tile)}
	cut, err := newCut(pool, d, d.Current, matrixSet(""), ArchiveZoom, c, s)
	if err != nil {
		t.Fatal(err)
	}
	cut.plan.least, cut.plan.last = base, base
	if _, err := cut.all(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// cutDivided cuts all tiles with blocks of about some rows, and tells how many there
// are of each zoom.
func cutDivided(t testing.TB, pool *pgxpool.Pool, d *catalog.Dataset, rows int) (*heap, map[int]int) {
	t.Helper()
	s := &heap{tiles: make(map[Address]*Tile)}
	cut, err := newCut(pool, d, d.Current, matrixSet(""), ArchiveZoom, Config{BlockRows: rows}, s)
	if err != nil {
		t.Fatal(err)
	}
	blocks, err := cut.blocks(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	zooms := make(map[int]int)
	for _, a := range blocks {
		zooms[a.Z]++
	}
	if _, err := cut.all(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, zooms
}

// Tiles of lines are the same whether they are cut, from blocks of whatever zoom, or
// made of the rows: the same features, and the same said of what is left out. Each
// row is told of, drawn or not.
func TestTilesOfLines(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	list := network(7, 40)
	d := networked(t, pool, list)
	source := NewSource(pool, Config{})
	plain := cutFrom(t, pool, d, Config{}, 0)
	joined := 0
	for _, base := range []int{4, 10, 12, DetailZoom} {
		cut := cutFrom(t, pool, d, Config{}, base)
		if len(cut.tiles) != len(plain.tiles) {
			t.Errorf("blocks of zoom %d: %d tiles, want %d", base, len(cut.tiles), len(plain.tiles))
		}
		for a, want := range plain.tiles {
			got := cut.tiles[a]
			if got == nil {
				t.Errorf("blocks of zoom %d: %s is missing", base, a)
				continue
			}
			if !bytes.Equal(raw(t, got), raw(t, want)) || got.Omitted != want.Omitted || got.Generalized != want.Generalized || got.Features != want.Features {
				t.Fatalf("blocks of zoom %d: %s has %d features, %d gathered, %d omitted, want %d, %d, %d", base, a, got.Features, got.Generalized, got.Omitted, want.Features, want.Generalized, want.Omitted)
			}
		}
	}
	divided, zooms := cutDivided(t, pool, d, 500)
	if len(zooms) < 2 {
		t.Errorf("all blocks are of one zoom: %v", zooms)
	}
	for a, want := range plain.tiles {
		if got := divided.tiles[a]; got == nil || !bytes.Equal(raw(t, got), raw(t, want)) || got.Omitted != want.Omitted {
			t.Fatalf("blocks of zooms %v: %s is not the tile of one block", zooms, a)
		}
		if a.Z < DetailZoom {
			got := get(t, source, d, a)
			if !bytes.Equal(raw(t, got), raw(t, want)) || got.Omitted != want.Omitted || got.Generalized != want.Generalized {
				t.Fatalf("%s has %d features, %d gathered, %d omitted; cut it has %d, %d, %d", a, got.Features, got.Generalized, got.Omitted, want.Features, want.Generalized, want.Omitted)
			}
		}
		if a.Z == 4 || a.Z == 8 || a.Z == 11 {
			ids, stands := 0, 0.0
			for _, f := range decoded(t, want)[0].Features {
				if f.ID != nil {
					ids++
					if f.Properties["generalized"] != nil {
						t.Errorf("%s: feature %v stands for %v", a, f.ID, f.Properties["generalized"])
					}
					continue
				}
				stands += f.Properties["generalized"].(float64)
				joined++
			}
			if int64(stands) != want.Generalized {
				t.Errorf("%s: joined lines stand for %.0f, says %d", a, stands, want.Generalized)
			}
			if rows := int64(ids) + want.Generalized + want.Omitted; a.Z < 9 && rows != int64(len(list)) {
				t.Errorf("%s tells of %d rows, want %d", a, rows, len(list))
			}
		}
	}
	if joined < 50 {
		t.Errorf("%d joined lines: the test says little", joined)
	}
}

// The length of each class in the tiles of a zoom is the true one within a part of
// a pixel for each vertex, although most rows are shorter than a pixel; and tiles beside
// each other have the same lines at their edge.
func TestTilesOfLinesKeepLength(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	list := network(3, 60)
	d := networked(t, pool, list)
	truth := make(map[string]float64)
	rows, err := pool.Query(context.Background(), "SELECT class, sum(ST_Length(ST_Transform(geom, 3857))) / 40075016.68557849 FROM content.net GROUP BY 1")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var class string
		var length float64
		if err := rows.Scan(&class, &length); err != nil {
			t.Fatal(err)
		}
		truth[class] = length
	}
	cut := cutFrom(t, pool, d, Config{}, 11)
	seams := 0
	for _, z := range []int{9, 10, 12, 13} {
		got := make(map[string]float64)
		right, left := make(map[[2]int][]string), make(map[[2]int][]string)
		for a, tile := range cut.tiles {
			if a.Z != z {
				continue
			}
			for _, f := range decoded(t, tile)[0].Features {
				for _, line := range multi(f.Geometry) {
					got[f.Properties["class"].(string)] += lengthInside(line) / Extent / math.Ldexp(1, z)
					for i := 1; i < len(line); i++ {
						p, q := line[i-1], line[i]
						if p[1] < 0 || p[1] >= Extent || q[1] < 0 || q[1] >= Extent {
							continue
						}
						if before(q, p) {
							p, q = q, p
						}
						// As the tile to the right sees it.
						if p[0] < Extent && q[0] >= Extent && q[0] < Extent+Buffer && p[0] > Extent-Buffer {
							k := [2]int{a.Col + 1, a.Row}
							right[k] = append(right[k], fmt.Sprint(p[0]-Extent, p[1], q[0]-Extent, q[1], f.Properties["class"]))
						}
						if p[0] < 0 && q[0] >= 0 && p[0] > -Buffer && q[0] < Buffer {
							k := [2]int{a.Col, a.Row}
							left[k] = append(left[k], fmt.Sprint(p[0], p[1], q[0], q[1], f.Properties["class"]))
						}
					}
				}
			}
		}
		for class, want := range truth {
			if diff := math.Abs(got[class]-want) / want; diff > 0.02 {
				t.Errorf("zoom %d: class %s is %.2f%% off", z, class, 100*diff)
			}
		}
		for k, want := range right {
			slices.Sort(want)
			slices.Sort(left[k])
			if !slices.Equal(want, left[k]) {
				t.Errorf("zoom %d: at the left edge of %v are %v, beside it %v", z, k, left[k], want)
			}
			seams += len(want)
		}
	}
	if seams < 100 {
		t.Errorf("%d lines at edges: the test says little", seams)
	}
}

func multi(g orb.Geometry) orb.MultiLineString {
	switch g := g.(type) {
	case orb.LineString:
		return orb.MultiLineString{g}
	case orb.MultiLineString:
		return g
	}
	return nil
}

// lengthInside is the length of a line in the tile proper.
func lengthInside(line orb.LineString) (l float64) {
	box := orb.Bound{Max: orb.Point{Extent, Extent}}
	for i := 1; i < len(line); i++ {
		a, b := line[i-1], line[i]
		t0, t1 := 0.0, 1.0
		for k := range 2 {
			d := b[k] - a[k]
			if d == 0 {
				if a[k] < box.Min[k] || a[k] >= box.Max[k] {
					t1 = -1
				}
				continue
			}
			lo, hi := (box.Min[k]-a[k])/d, (box.Max[k]-a[k])/d
			t0, t1 = max(t0, min(lo, hi)), min(t1, max(lo, hi))
		}
		if t1 > t0 {
			l += (t1 - t0) * math.Hypot(b[0]-a[0], b[1]-a[1])
		}
	}
	return l
}

// After edits a tile of lines is the one that all tiles cut anew would have.
func TestArchivesOfLinesAreFresh(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	d := networked(t, pool, network(11, 20))
	released(t, pool, d)
	archives := openArchives(t, pool)
	if err := archives.Build(t.Context(), d, d.Current, 0); err != nil {
		t.Fatal(err)
	}
	source := NewSource(pool, Config{Archives: archives})
	r := rand.New(rand.NewPCG(4, 4))
	made := 0
	for revision := int64(2); revision < 6; revision++ {
		fid := 1 + r.Int64N(100)
		for _, s := range []string{
			"INSERT INTO content.net_h SELECT t.*, $2 FROM content.net t WHERE fid = $1",
			"INSERT INTO content.net_c VALUES ($2, $1)",
			[]string{
				"UPDATE content.net SET name = '新路', rev = $2 WHERE fid = $1",
				"UPDATE content.net SET geom = ST_Translate(geom, 0.003, 0), rev = $2 WHERE fid = $1",
				"DELETE FROM content.net WHERE fid = $1 AND $2 > 0",
				"UPDATE content.net SET class = 'C1', rev = $2 WHERE fid = $1",
			}[revision-2],
		} {
			if _, err := pool.Exec(t.Context(), s, fid, revision); err != nil {
				t.Fatal(err)
			}
		}
		d = later(d, revision)
		for a, want := range cutFrom(t, pool, d, Config{}, 11).tiles {
			got := get(t, source, d, a)
			if _, ok, err := archives.Tile(t.Context(), d, d.Current, a); err != nil {
				t.Fatal(err)
			} else if !ok {
				made++
			}
			if diff := cmp.Diff(contents(t, want), contents(t, got)); diff != "" || got.Generalized != want.Generalized {
				t.Errorf("revision %d: %s has %d gathered, cut anew %d:\n%s", revision, a, got.Generalized, want.Generalized, diff)
			}
		}
	}
	if made < 20 {
		t.Errorf("%d tiles were made of rows: the test says little", made)
	}
}

// A line that moves by less than a millimetre does not show, but no longer meets
// those it was joined with.
func TestLinesThatMoveApart(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	d := networked(t, pool, network(12, 10))
	released(t, pool, d)
	archives := openArchives(t, pool)
	if err := archives.Build(t.Context(), d, d.Current, 0); err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{
		"INSERT INTO content.net_h SELECT t.*, 2 FROM content.net t WHERE fid <= 10",
		"INSERT INTO content.net_c SELECT 2, fid FROM content.net WHERE fid <= 10",
		"UPDATE content.net SET geom = ST_Translate(geom, 1e-9, 0), rev = 2 WHERE fid <= 10",
	} {
		if _, err := pool.Exec(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	a := at(111.61, 28.91, 8)
	before := get(t, NewSource(pool, Config{Archives: archives}), d, a)
	d = later(d, 2)
	want, got := cutFrom(t, pool, d, Config{}, 0).tiles[a], get(t, NewSource(pool, Config{Archives: archives}), d, a)
	if diff := cmp.Diff(contents(t, want), contents(t, got)); diff != "" {
		t.Errorf("%s differs from the one that is cut anew:\n%s", a, diff)
	}
	if before.Generalized <= got.Generalized {
		t.Errorf("%d lines are joined, %d were: the test says little", got.Generalized, before.Generalized)
	}
}

// Beyond the bound on what is held, lines lose positions that do not show, but
// neither their ends nor where they go from there.
func TestCoarseLines(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 5))
	for range 200 {
		var path []orb.Point
		p := orb.Point{0.5, 0.5}
		for range 2 + r.IntN(60) {
			if r.IntN(5) > 0 {
				p = orb.Point{p[0] + 0.001*r.Float64(), p[1] + 0.001*r.NormFloat64()}
			}
			path = append(path, p)
		}
		before := row{}
		before.figure.take(part{kind: lines}, path)
		after := before
		after.figure = before.figure.coarse(0.004)
		for _, last := range []bool{false, true} {
			want, ok := before.heading(0, last)
			if got, still := after.heading(0, last); got != want || ok != still || before.end(0, last) != after.end(0, last) {
				t.Fatalf("%v becomes %v", path, after.figure.at)
			}
		}
		k := 0
		for _, q := range path {
			if k+1 < len(after.figure.at) && q == after.figure.at[k+1] {
				k++
			}
			if l := after.figure.at[k]; math.Abs(q[0]-l[0]) >= 0.004 || math.Abs(q[1]-l[1]) >= 0.004 {
				t.Fatalf("%v is not near what is kept of %v: %v", q, path, after.figure.at)
			}
		}
	}
}

// The tiles above the blocks show the same lines when more are handed up than are
// held as they are.
func TestLinesBeyondTheBound(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	d := networked(t, pool, network(8, 20))
	run(t, pool, new(postgis.SQL).Raw("UPDATE content.net SET geom = ST_Segmentize(geom, 0.00001)"))
	cut := func(held int) (*heap, int) {
		s := &heap{tiles: make(map[Address]*Tile)}
		c, err := newCut(pool, d, d.Current, matrixSet(""), 9, Config{}, s)
		if err != nil {
			t.Fatal(err)
		}
		c.plan.least, c.plan.last, c.held = 9, 9, held
		if _, err := c.all(t.Context()); err != nil {
			t.Fatal(err)
		}
		return s, c.held - held
	}
	whole, all := cut(0)
	coarse, few := cut(maxHeld + 1)
	if few > all/2 {
		t.Errorf("%d positions are held, %d otherwise: the test says little", few, all)
	}
	for a, want := range whole.tiles {
		got := coarse.tiles[a]
		if got == nil || got.Features != want.Features || got.Generalized != want.Generalized || got.Omitted != want.Omitted {
			t.Fatalf("%s differs", a)
		}
		length := func(tile *Tile) (l float64) {
			for _, f := range decoded(t, tile)[0].Features {
				for _, line := range multi(f.Geometry) {
					l += lengthInside(line)
				}
			}
			return l
		}
		if l, m := length(got), length(want); math.Abs(l-m) > 0.01*m {
			t.Errorf("%s: the lines are %.0f long, want %.0f", a, l, m)
		}
	}
}
