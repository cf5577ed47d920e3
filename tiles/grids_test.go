package tiles

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"changde/catalog"
	"changde/postgis/postgistest"
)

func TestArchiveNames(t *testing.T) {
	t.Parallel()
	for _, n := range []archiveName{{"dltb_d1", "", 0}, {"dltb_d1", "", 77}, {"a@b", "CGCS2000Quad", 3}} {
		for _, suffix := range []string{archiveSuffix, coversSuffix} {
			if got, ok := parseArchiveName(n.String() + suffix); !ok || got != n {
				t.Errorf("%s%s is read as %+v, %t", n, suffix, got, ok)
			}
		}
	}
	for _, name := range []string{"", "x@1", "x@.pmtiles", "@1.pmtiles", "x@-1.pmtiles", "x@1+.pmtiles", "x@1+WorldCRS84Quad.pmtiles", "x@1+no.pmtiles", "x@1.pmtiles.A.tmp", "x@1+WebMercatorQuad.pmtiles"} {
		if n, ok := parseArchiveName(name); ok {
			t.Errorf("%q is read as %+v", name, n)
		}
	}
	if gridOf("WorldCRS84Quad") != "CGCS2000Quad" || gridOf("WebMercatorQuad") != "" {
		t.Error("sets of the same tiles have archives of their own")
	}
}

// Tiles of degrees are cut as they are made of the rows, below DetailZoom and from it
// on, and the archive gives them for both sets, fresh after edits.
func TestArchivesOfDegrees(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	d := cadastre(t, pool, 40)
	released(t, pool, d)
	d.Grids = []string{catalog.CGCS2000Quad}
	archives := openArchives(t, pool)
	if err := archives.Build(t.Context(), d, d.Current, 0); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"cadastre@0+CGCS2000Quad.covers", "cadastre@0+CGCS2000Quad.pmtiles", "cadastre@0.covers", "cadastre@0.pmtiles"}, listing(t, fileOf(t, archives, ""))); diff != "" {
		t.Fatal(diff)
	}
	plain := NewSource(pool, Config{})
	set, _ := Set("CGCS2000Quad")
	r := rand.New(rand.NewPCG(7, 7))
	served := 0
	for revision := int64(1); revision < 5; revision++ {
		if revision > 1 {
			edit(t, pool, r, revision)
			d = later(d, revision)
		}
		for z := 0; z <= set.Level(ArchiveZoom); z++ {
			low, high := tileAt(set, z, 111.6, 28.93), tileAt(set, z, 111.64, 28.9)
			for row := low.Row; row <= high.Row; row++ {
				for col := low.Col; col <= high.Col; col++ {
					a := Address{Set: set.ID, Z: z, Row: row, Col: col}
					got, ok, err := archives.Tile(t.Context(), d, d.Current, a)
					if err != nil {
						t.Fatal(err)
					}
					want := get(t, plain, d, a)
					if !ok {
						continue
					}
					served++
					if diff := cmp.Diff(contents(t, want), contents(t, got)); diff != "" || got.Features != want.Features || got.Generalized != want.Generalized {
						t.Fatalf("revision %d: %s has %d features, of rows %d:\n%s", revision, a, got.Features, want.Features, diff)
					}
					a.Set = "WorldCRS84Quad"
					if other, ok, err := archives.Tile(t.Context(), d, d.Current, a); err != nil || !ok || !bytes.Equal(raw(t, other), raw(t, got)) {
						t.Fatalf("%s is not the tile of the same grid: %t, %v", a, ok, err)
					}
				}
			}
		}
	}
	if served < 100 {
		t.Errorf("%d tiles are of the archive: the test says little", served)
	}
	// A grid that is not asked for any more is not kept.
	d.Grids = nil
	if err := archives.drop(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"cadastre@0.covers", "cadastre@0.pmtiles"}, listing(t, fileOf(t, archives, ""))); diff != "" {
		t.Error(diff)
	}
}

// tileAt is the tile of a level of a set that holds a position.
func tileAt(set MatrixSet, level int, lon, lat float64) Address {
	x, y := set.Project(lon, lat)
	return Address{Set: set.ID, Z: level, Col: int((x - set.Left) / set.width(level)), Row: int((set.Top - y) / set.width(level))}
}
