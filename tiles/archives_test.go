package tiles

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"changde/catalog"
	"changde/postgis"
	"changde/postgis/postgistest"
)

func openArchives(t testing.TB, pool *pgxpool.Pool) *Archives {
	t.Helper()
	s, err := OpenArchives(pool, filepath.Join(t.TempDir(), "tiles"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fileOf is a file of archives in a folder.
func fileOf(t testing.TB, s *Archives, name string) string {
	t.Helper()
	dir, _, err := s.shelf.Scratch()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// later is the dataset at another revision.
func later(d *catalog.Dataset, revision int64) *catalog.Dataset {
	next, r := *d, *d.Current
	next.Revision, r.Revision, next.Current = revision, revision, &r
	return &next
}

// released records the dataset's first revision, from which its content is read.
func released(t testing.TB, pool *pgxpool.Pool, d *catalog.Dataset) {
	t.Helper()
	run(t, pool, new(postgis.SQL).Raw("INSERT INTO changde.datasets (id, title_zh) VALUES (").Literal(d.ID).Raw(", 'x')"))
	run(t, pool, new(postgis.SQL).Raw("INSERT INTO changde.revisions (dataset, revision, relation, kind, committed_at) VALUES (").Literal(d.ID).
		Raw(", 1, ").Literal(d.Current.Relation[0]+"."+d.Current.Relation[1]).Raw(", 'release', now())"))
}

// edit moves, changes, removes or adds a row, as an edit through the API does.
func edit(t testing.TB, pool *pgxpool.Pool, r *rand.Rand, revision int64) {
	t.Helper()
	var fid int64
	if err := pool.QueryRow(t.Context(), "SELECT fid FROM content.cadastre ORDER BY fid OFFSET $1 LIMIT 1", r.IntN(300)).Scan(&fid); err != nil {
		t.Fatal(err)
	}
	statements := []string{
		"INSERT INTO content.cadastre_h SELECT t.*, $2 FROM content.cadastre t WHERE fid = $1",
		"INSERT INTO content.cadastre_c VALUES ($2, $1)",
	}
	switch r.IntN(5) {
	case 4:
		statements = append(statements, "UPDATE content.cadastre SET area = 7, rev = $2 WHERE fid = $1")
	case 0:
		statements = append(statements, "UPDATE content.cadastre SET class = 'C9', rev = $2 WHERE fid = $1")
	case 1:
		statements = append(statements, "UPDATE content.cadastre SET geom = ST_Translate(geom, 0.01, 0.004), rev = $2 WHERE fid = $1")
	case 2:
		statements = append(statements, "DELETE FROM content.cadastre WHERE fid = $1 AND $2 > 0")
	default:
		fid = 9_000_000 + revision
		statements = []string{
			"INSERT INTO content.cadastre_c VALUES ($2, $1)",
			"INSERT INTO content.cadastre SELECT $1, 'N', 'C9', 0, $2, ST_Translate(geom, 0.03, 0) FROM content.cadastre ORDER BY fid LIMIT 1",
		}
	}
	for _, s := range statements {
		if _, err := pool.Exec(t.Context(), s, fid, revision); err != nil {
			t.Fatal(err)
		}
	}
}

// After any edits a tile is the one that all tiles cut anew would have: where the
// edits have touched it, it is made of the rows; elsewhere it is the archive's. The
// tiles of before are still those of before.
func TestArchivesAreFresh(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	d := cadastre(t, pool, 40)
	released(t, pool, d)
	archives := openArchives(t, pool)
	if err := archives.Build(t.Context(), d, d.Current, 0); err != nil {
		t.Fatal(err)
	}
	source, plain := NewSource(pool, Config{Archives: archives}), NewSource(pool, Config{})
	first := cutAll(t, pool, d, Config{})
	for a, want := range first.tiles {
		got := get(t, source, d, a)
		if !bytes.Equal(raw(t, got), raw(t, want)) || got.Features != want.Features || got.Generalized != want.Generalized {
			t.Fatalf("%s is not the tile that was cut", a)
		}
	}
	r := rand.New(rand.NewPCG(2, 2))
	kept, made := 0, 0
	for revision := int64(2); revision < 8; revision++ {
		edit(t, pool, r, revision)
		d = later(d, revision)
		anew := cutAll(t, pool, d, Config{})
		for a, want := range anew.tiles {
			if a.Z < DetailZoom && r.IntN(4) > 0 {
				continue
			}
			got := get(t, source, d, a)
			if _, ok, err := archives.Tile(t.Context(), d, d.Current, a); err != nil {
				t.Fatal(err)
			} else if ok && bytes.Equal(raw(t, got), raw(t, want)) {
				kept++
				continue
			}
			made++
			if dynamic := get(t, plain, d, a); dynamic.Features != want.Features {
				t.Errorf("revision %d: %s is made of %d rows, want %d", revision, a, dynamic.Features, want.Features)
			}
			if diff := cmp.Diff(contents(t, want), contents(t, got)); diff != "" || got.Features != want.Features || got.Generalized != want.Generalized {
				t.Errorf("revision %d: %s has %d features, cut anew %d:\n%s", revision, a, got.Features, want.Features, diff)
			}
		}
		for a := range first.tiles {
			if anew.tiles[a] == nil {
				if got := get(t, source, d, a); got.Features != 0 {
					t.Errorf("revision %d: %s is not empty", revision, a)
				}
			}
		}
	}
	if kept < 100 || made < 40 {
		t.Errorf("%d tiles of the archive and %d of rows: the test says little", kept, made)
	}
	before := later(d, 1)
	for a, want := range first.tiles {
		if got, ok, err := archives.Tile(t.Context(), before, before.Current, a); err != nil || !ok || !bytes.Equal(raw(t, got), raw(t, want)) {
			t.Fatalf("%s of the first revision: %v, %v", a, ok, err)
		}
	}
	// An archive of now is used from now on, and no other.
	if err := archives.Build(t.Context(), d, d.Current, d.Revision); err != nil {
		t.Fatal(err)
	}
	for a := range cutAll(t, pool, d, Config{}).tiles {
		if _, ok, err := archives.Tile(t.Context(), d, d.Current, a); err != nil || !ok {
			t.Fatalf("%s is not in the archive of now: %v", a, err)
		}
	}
}

// contents are the features of a tile in no order of their own.
func contents(t testing.TB, tile *Tile) []string {
	t.Helper()
	out := []string{}
	for _, l := range decoded(t, tile) {
		for _, f := range l.Features {
			out = append(out, fmt.Sprint(f.ID, f.Properties, f.Geometry))
		}
	}
	slices.Sort(out)
	return out
}

// An archive of other settings, a broken one and one that was taken away are no
// fault of a request.
func TestArchivesNotServed(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	d := cadastre(t, pool, 10)
	released(t, pool, d)
	archives := openArchives(t, pool)
	if err := archives.Build(t.Context(), d, d.Current, 0); err != nil {
		t.Fatal(err)
	}
	a := at(111.602, 28.902, 14)
	served := func(d *catalog.Dataset) bool {
		t.Helper()
		_, ok, err := archives.Tile(t.Context(), d, d.Current, a)
		if err != nil {
			t.Fatal(err)
		}
		if tile := get(t, NewSource(pool, Config{Archives: archives}), d, a); tile.Features == 0 {
			t.Error("the tile is empty")
		}
		return ok
	}
	if !served(d) {
		t.Error("the archive is not served")
	}
	other := *d
	other.Class = "no"
	if served(&other) {
		t.Error("an archive of another class is served")
	}
	path := fileOf(t, archives, "cadastre@0.pmtiles")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if !served(d) {
		t.Error("an open archive is not served when its name is gone")
	}
	if err := os.WriteFile(path, bytes.Repeat([]byte("PMTiles"), 100), 0o600); err != nil {
		t.Fatal(err)
	}
	archives.looks.lapse()
	if served(d) {
		t.Error("a broken archive is served")
	}
}

func TestStamp(t *testing.T) {
	t.Parallel()
	s := NewSource(nil, Config{})
	tile := s.finish([]byte("some bytes of a tile"), 3)
	tile.Generalized, tile.Omitted = 40_000, 7
	got, ok := unstamped(stamped(tile))
	if !ok || got.Features != 3 || got.Generalized != 40_000 || got.Omitted != 7 || got.Length != tile.Length || !bytes.Equal(raw(t, got), []byte("some bytes of a tile")) {
		t.Errorf("%+v, %v", got, ok)
	}
	if _, ok := unstamped(tile.Gzip); ok {
		t.Error("a tile without counts is taken")
	}
}

func FuzzUnstamped(f *testing.F) {
	tile := NewSource(nil, Config{}).finish([]byte("x"), 1)
	f.Add(stamped(tile))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, ok := unstamped(b); ok && !bytes.Equal(stampedAgain(got), b) {
			// A varint may be written longer than it need be; the counts are the same.
			if again, ok := unstamped(stampedAgain(got)); !ok || again.Features != got.Features {
				t.Errorf("%x", b)
			}
		}
	})
}

// stampedAgain stamps a tile whose bytes are stamped.
func stampedAgain(t *Tile) []byte {
	size := int(t.Gzip[gzipHeader]) | int(t.Gzip[gzipHeader+1])<<8
	plain := append(bytes.Clone(t.Gzip[:gzipHeader]), t.Gzip[gzipHeader+2+size:]...)
	plain[3] = 0
	again := *t
	again.Gzip = plain
	return stamped(&again)
}

func FuzzParseLayer(f *testing.F) {
	l := newLayer("l", []string{"k"})
	l.tagInt(0, 5)
	l.add(7, &[kinds]commands{points: {b: []byte{9, 2, 2}}})
	f.Add(l.encode(nil, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, kept, ok := parseLayer(b, map[int64]bool{7: false}, false)
		if !ok || kept == 0 {
			return
		}
		if again, n, ok := parseLayer(got.encode(nil, len(got.marks)), nil, false); !ok || n != kept || again.count != got.count {
			t.Errorf("%x: %d rows are kept, then %d", b, kept, n)
		}
	})
}
