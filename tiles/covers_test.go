package tiles

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/paulmach/orb"

	"changde/catalog"
	"changde/postgis/postgistest"
)

// reshape changes a gathered row in ways that a cover must follow.
func reshape(t *testing.T, pool *pgxpool.Pool, r *rand.Rand, revision int64) {
	t.Helper()
	var fid int64
	if err := pool.QueryRow(t.Context(), "SELECT fid FROM content.cadastre ORDER BY fid OFFSET $1 LIMIT 1", r.IntN(3000)).Scan(&fid); err != nil {
		t.Fatal(err)
	}
	change := []string{
		"UPDATE content.cadastre SET geom = ST_Scale(geom, ST_MakePoint(8, 8), ST_Centroid(geom)), rev = $2 WHERE fid = $1",
		"UPDATE content.cadastre SET geom = ST_Scale(geom, ST_MakePoint(0.3, 0.4), ST_Centroid(geom)), rev = $2 WHERE fid = $1",
		"UPDATE content.cadastre SET class = NULL, rev = $2 WHERE fid = $1",
		"UPDATE content.cadastre SET class = '新类', rev = $2 WHERE fid = $1",
		"UPDATE content.cadastre SET geom = ST_Translate(geom, 0.02, 0.01), rev = $2 WHERE fid = $1",
		"DELETE FROM content.cadastre WHERE fid = $1 AND $2 > 0",
	}[r.IntN(6)]
	for _, s := range []string{
		"INSERT INTO content.cadastre_h SELECT t.*, $2 FROM content.cadastre t WHERE fid = $1",
		"INSERT INTO content.cadastre_c VALUES ($2, $1)", change,
	} {
		if _, err := pool.Exec(t.Context(), s, fid, revision); err != nil {
			t.Fatal(err)
		}
	}
}

// Below DetailZoom a tile whose gathered rows were changed is the one that a new cut
// gives, drawn of the cover of before: above the blocks and in them, and where cells
// are coarse for want of room.
func TestCoversFollowChanges(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		blockRows int // where blocks begin follows from it
		maxBytes  int
	}{"blocks": {}, "overview": {blockRows: 2000}, "coarse": {blockRows: 3000, maxBytes: 6000}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := postgistest.New(t)
			d := cadastre(t, pool, 80)
			released(t, pool, d)
			config := Config{MaxBytes: c.maxBytes, BlockRows: c.blockRows}
			archives := openArchives(t, pool)
			archives.source = NewSource(pool, config)
			if err := archives.Build(t.Context(), d, d.Current, 0); err != nil {
				t.Fatal(err)
			}
			_, before := cutKept(t, pool, d, config)
			r := rand.New(rand.NewPCG(8, uint64(c.blockRows)))
			patched, coarse := 0, 0
			for revision := int64(2); revision < 6; revision++ {
				for range 12 {
					reshape(t, pool, r, revision)
				}
				d = later(d, revision)
				e := new(catalog.Bounds)
				if err := pool.QueryRow(t.Context(), "SELECT ST_XMin(e), ST_YMin(e), ST_XMax(e), ST_YMax(e) FROM (SELECT ST_Extent(geom) AS e FROM content.cadastre) t").
					Scan(&e[0], &e[1], &e[2], &e[3]); err != nil {
					t.Fatal(err)
				}
				d.Current.Extent = e
				anew, now := cutKept(t, pool, d, config)
				for a, want := range anew.tiles {
					if a.Z >= DetailZoom {
						continue
					}
					got, ok, err := archives.Tile(t.Context(), d, d.Current, a)
					if err != nil {
						t.Fatal(err)
					}
					// The size of cells stays as it is until all tiles are cut anew.
					if !ok || now[a].side() != before[a].side() {
						continue
					}
					if now[a] != nil {
						patched++
					}
					if now[a] != nil && now[a].side() < coverSide {
						coarse++
					}
					if got.Features != want.Features || got.Generalized != want.Generalized || got.Omitted != want.Omitted {
						t.Errorf("revision %d: %s has %d features of %d gathered, %d omitted, cut anew %d, %d, %d", revision, a,
							got.Features, got.Generalized, got.Omitted, want.Features, want.Generalized, want.Omitted)
					}
					if now[a] != nil {
						sameCover(t, archives, d, a, now[a])
					}
					if diff := cmp.Diff(contents(t, want), contents(t, got)); diff != "" {
						t.Fatalf("revision %d: %s:\n%s", revision, a, diff)
					}
				}
			}
			if patched < 20 || c.maxBytes > 0 && coarse < 5 {
				t.Errorf("%d tiles with a kept cover, %d of coarse cells: the test says little", patched, coarse)
			}
		})
	}
}

// areas are the shares of a cover by the values of its classes.
type areas struct {
	cover *cover
	of    map[string]int64
}

func areasOf(c *cover, values [][]byte) *areas {
	out := &areas{cover: c, of: make(map[string]int64, len(c.shares))}
	for _, s := range c.shares {
		out.of[fmt.Sprintf("%d %q %t", s.cell(), values[s.class()], values[s.class()] == nil)] = s.area
	}
	for class, n := range c.counts {
		if n != 0 {
			out.of[fmt.Sprintf("%q %t", values[class], values[class] == nil)] = n
		}
	}
	return out
}

func (a *areas) side() int {
	if a == nil {
		return 0
	}
	return a.cover.side
}

// sameCover compares the cover that a patched tile shows with that of a new cut.
func sameCover(t *testing.T, s *Archives, d *catalog.Dataset, a Address, want *areas) {
	t.Helper()
	from := s.contents["cadastre"].archives()[0]
	_, changes, _, err := from.touched.hit(t.Context(), s.pool, d.Current, a)
	if err != nil {
		t.Fatal(err)
	}
	tile, _, err := s.read(from, a)
	if err != nil {
		t.Fatal(err)
	}
	p, ok := s.patch(d, d.Current, from, a, tile, changes)
	if !ok || p.cover == nil {
		return
	}
	if ok, err := p.take(t.Context(), changes); !ok || err != nil {
		t.Fatal(ok, err)
	}
	p.cover.settle()
	if diff := cmp.Diff(want.of, areasOf(p.cover, p.classes.all()).of); diff != "" {
		t.Fatalf("the cover of %s:\n%s", a, diff)
	}
}

// cutKept cuts all tiles, and gives those covers that are kept.
func cutKept(t *testing.T, pool *pgxpool.Pool, d *catalog.Dataset, c Config) (*heap, map[Address]*areas) {
	t.Helper()
	s, covers := &heap{tiles: make(map[Address]*Tile)}, make(map[Address]*areas)
	cut, err := newCut(pool, d, d.Current, matrixSet(""), ArchiveZoom, c, s)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	cut.keep = func(a Address, c *cover) error {
		mu.Lock()
		defer mu.Unlock()
		covers[a] = areasOf(c, cut.classes.all())
		return nil
	}
	if _, err := cut.all(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, covers
}

func TestCoverRoundTrip(t *testing.T) {
	t.Parallel()
	c := newCover(11, 256)
	codec, known := newCoverCodec(), classes{index: make(map[string]int32)}
	for _, v := range [][]byte{[]byte("061"), nil, {}, []byte("unused"), []byte("011")} {
		known.of(v)
	}
	r := rand.New(rand.NewPCG(4, 4))
	quilt(r, 17, 3, func(f *figure, class int32) {
		if class == 2 {
			class = 4
		}
		c.add(f, 1, orb.Point{}, class)
	})
	c.settle()
	b := codec.encode(c, known.all(), 9)
	got, base, err := codec.decode(b, 11, &known)
	if err != nil || base != 9 {
		t.Fatal(base, err)
	}
	if diff := cmp.Diff(c, got, cmp.AllowUnexported(cover{}, share{}), cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".local" }, cmp.Ignore())); diff != "" {
		t.Error(diff)
	}
	// A cover less its parts is none.
	got.without(c)
	got.settle()
	if len(got.shares) > 0 || got.polygons() != 0 {
		t.Errorf("%d shares of %d polygons are left", len(got.shares), got.polygons())
	}
	if len(b) > 4*len(c.shares) {
		t.Errorf("%d bytes for %d shares", len(b), len(c.shares))
	}
	if _, _, err := codec.decode(b[:len(b)-20], 11, &known); err == nil {
		t.Error("half a cover is read")
	}
}

func FuzzParseCover(f *testing.F) {
	known := classes{index: make(map[string]int32)}
	c := newCover(12, coverSide)
	c.shares = []share{shareOf(3, known.of([]byte("061")), 100), shareOf(3, known.of(nil), 7), shareOf(900, 0, c.cell)}
	c.counts = []int64{5, 1}
	f.Add(c.append(nil, known.all(), 10), 12)
	f.Fuzz(func(t *testing.T, b []byte, z int) {
		if z < 0 || z >= DetailZoom {
			return
		}
		known := classes{index: make(map[string]int32)}
		c, base, err := parseCover(b, z, &known)
		if err != nil {
			return
		}
		other, _, err := parseCover(c.append(nil, known.all(), base), z, &known)
		if err != nil || len(other.shares) != len(c.shares) || other.polygons() != c.polygons() {
			t.Fatalf("%d shares, then %d: %v", len(c.shares), len(other.shares), err)
		}
	})
}

// Areas are the same whatever order they are added in.
func TestCoverIsOneInAnyOrder(t *testing.T) {
	t.Parallel()
	var figures []figure
	var of []int32
	quilt(rand.New(rand.NewPCG(1, 6)), 9.3, 5, func(f *figure, class int32) {
		figures, of = append(figures, *f), append(of, class)
	})
	var first []byte
	for n := range 3 {
		c := newCover(3, coverSide)
		for _, i := range rand.New(rand.NewPCG(uint64(n), 0)).Perm(len(figures)) {
			c.add(&figures[i], 1, orb.Point{}, of[i])
		}
		c.settle()
		b := newCoverCodec().encode(c, [][]byte{{1}, {2}, {3}, {4}, {5}}, 3)
		if n == 0 {
			first = b
			total := 0.0
			for _, s := range c.shares {
				total += float64(s.area) / float64(c.cell)
			}
			if math.Abs(total-coverSide*coverSide) > 1 {
				t.Errorf("%v cells are covered", total)
			}
		} else if !bytes.Equal(first, b) {
			t.Fatal("another order gives another cover")
		}
	}
}

// What a patched tile of many gathered polygons costs beside the database.
func BenchmarkRegather(b *testing.B) {
	codec, known := newCoverCodec(), classes{index: make(map[string]int32)}
	for k := range 12 {
		known.of(fmt.Appendf(nil, "%03d", (k*7)%12))
	}
	c := newCover(12, coverSide)
	quilt(rand.New(rand.NewPCG(1, 6)), 30, 12, func(f *figure, class int32) { c.add(f, 1, orb.Point{}, class) })
	c.settle()
	kept := codec.encode(c, known.all(), 9)
	set, _ := Set("WebMercatorQuad")
	w := newCutter(NewSource(nil, Config{}), &catalog.Dataset{ID: "b", Class: "c"}, &catalog.Release{}, set, []catalog.Column{{Name: "c"}}).worker()
	for b.Loop() {
		w.classes = classes{index: make(map[string]int32)}
		c, _, err := codec.decode(kept, 12, &w.classes)
		if err != nil {
			b.Fatal(err)
		}
		l := newLayer("b", []string{"c", "generalized"})
		w.cells(l, c, w.columns, attributes(w.columns))
		w.source.finish(l.encode(nil, len(l.marks)), 1)
	}
	b.ReportMetric(float64(len(c.shares)), "shares")
	b.ReportMetric(float64(len(kept)), "bytes")
}

// What goes with an archive goes with it: when a newer one replaces it, when the
// content is gone, and when a process died while it was cut.
func TestCoversGoWithTheirTiles(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	d := cadastre(t, pool, 4)
	released(t, pool, d)
	archives := openArchives(t, pool)
	for _, revision := range []int64{0, 1, 2} {
		if err := archives.Build(t.Context(), d, d.Current, revision); err != nil {
			t.Fatal(err)
		}
	}
	there := func(want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, listing(t, fileOf(t, archives, ""))); diff != "" {
			t.Error(diff)
		}
	}
	if err := archives.prune(t.Context(), archiveName{content: "cadastre", revision: 2}); err != nil {
		t.Fatal(err)
	}
	there("cadastre@0.covers", "cadastre@0.pmtiles", "cadastre@2.covers", "cadastre@2.pmtiles")
	for _, name := range []string{"cadastre@3.covers.X.tmp", "cadastre@3.pmtiles.X.tmp"} {
		path := fileOf(t, archives, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(-2*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(fileOf(t, archives, "cadastre@2.pmtiles")); err != nil {
		t.Fatal(err)
	}
	// No release names the content.
	if err := archives.clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	there()
}
