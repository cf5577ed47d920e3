package tiles

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"changde/catalog"
	types "changde/ingest/layer"
	"changde/postgis"
	"changde/postgis/postgistest"
)

// Where rows lie close in one place and thinly elsewhere, as with a point far away
// that makes the extent the world, blocks are small there and large elsewhere, and
// the tiles are those of a single block.
func TestBlocksFollowDensity(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	d := table(t, pool, "wells", "Point", []catalog.Column{{Name: "no", Type: types.Integer}})
	fill(t, pool, d, new(postgis.SQL).Raw(`INSERT INTO content.wells SELECT i, i, 1, ST_SetSRID(ST_MakePoint(
		CASE WHEN i % 400 = 0 THEN -170 + (i / 400) * 13 % 340 WHEN i % 20 = 0 THEN 110 + (i / 20) % 37 * 0.09 ELSE 111.69 + (i * 7919 % 1000) * 2e-6 + i * 1e-9 END,
		CASE WHEN i % 400 = 0 THEN -60 + (i / 400) * 7 % 120 WHEN i % 20 = 0 THEN 28 + (i / 740) % 41 * 0.07 ELSE 29.03 + (i * 104729 % 997) * 2e-6 END), 4490)
		FROM generate_series(1, 20000) i`))
	plain := cutAll(t, pool, d, Config{})
	divided, zooms := cutDivided(t, pool, d, 2500)
	if len(zooms) < 5 || zooms[0] > 0 {
		t.Errorf("blocks by zoom: %v", zooms)
	}
	blocks := 0
	for _, n := range zooms {
		blocks += n
	}
	if blocks > 200 {
		t.Errorf("%d blocks for 20,000 rows", blocks)
	}
	if len(plain.tiles) != len(divided.tiles) {
		t.Errorf("%d tiles, of one block %d", len(divided.tiles), len(plain.tiles))
	}
	thinned := 0
	for a, want := range plain.tiles {
		got := divided.tiles[a]
		if got == nil {
			t.Fatalf("%s is missing", a)
		}
		if want.Generalized > 0 {
			thinned++
		}
		if diff := cmp.Diff(contents(t, want), contents(t, got)); diff != "" || got.Generalized != want.Generalized || got.Omitted != want.Omitted {
			t.Fatalf("%s has %d features of %d gathered, of one block %d of %d:\n%s", a, got.Features, got.Generalized, want.Features, want.Generalized, diff)
		}
	}
	if thinned < 10 {
		t.Errorf("%d tiles are thinned: the test says little", thinned)
	}
}

// The tiles of polygons are the same, whatever the blocks.
func TestBlocksOfPolygons(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	d := cadastre(t, pool, 70)
	plain := cutAll(t, pool, d, Config{})
	divided, zooms := cutDivided(t, pool, d, 1200)
	if zooms[0] > 0 {
		t.Errorf("blocks by zoom: %v", zooms)
	}
	for a, want := range plain.tiles {
		got := divided.tiles[a]
		if got == nil {
			t.Fatalf("%s is missing", a)
		}
		if got.Features != want.Features || got.Generalized != want.Generalized {
			t.Errorf("%s has %d features of %d gathered, of one block %d of %d", a, got.Features, got.Generalized, want.Features, want.Generalized)
		}
		// What an area is rounded to depends on where it is first gathered.
		if a.Z >= DetailZoom-1 {
			if diff := cmp.Diff(contents(t, want), contents(t, got)); diff != "" {
				t.Fatalf("%s:\n%s", a, diff)
			}
			continue
		}
		if a, b := areaByClass(t, want), areaByClass(t, got); !alikeAreas(a, b) {
			t.Errorf("areas are %v, of one block %v", b, a)
		}
	}
}

// areaByClass is what each class takes of a tile, in its units.
func areaByClass(t *testing.T, tile *Tile) map[string]float64 {
	t.Helper()
	out := make(map[string]float64)
	for _, l := range decoded(t, tile) {
		for _, f := range l.Features {
			out[fmt.Sprint(f.Properties["class"])] += areaInside(f.Geometry)
		}
	}
	return out
}

func alikeAreas(a, b map[string]float64) bool {
	for k, v := range a {
		if d := v - b[k]; d > 0.02*v+256 || d < -0.02*v-256 {
			return false
		}
	}
	return len(a) == len(b)
}

// A place with more rows than a block may have is told, not taken into memory.
func TestBlocksAreBounded(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	d := cadastre(t, pool, 20)
	cut, err := newCut(pool, d, d.Current, matrixSet(""), ArchiveZoom, Config{}, &heap{tiles: make(map[Address]*Tile)})
	if err != nil {
		t.Fatal(err)
	}
	cut.plan.most = 100
	if _, err := cut.all(t.Context()); !errors.Is(err, errCrowded) {
		t.Errorf("a crowded block: %v", err)
	}
}
