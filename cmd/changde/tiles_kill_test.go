package main

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/paulmach/orb"
	"github.com/paulmach/orb/encoding/mvt"
	"github.com/paulmach/orb/maptile"

	"changde/catalog"
	"changde/postgis"
	"changde/postgis/postgistest"
	"changde/tiles"
)

// TestKilledWhileTilesAreCut kills, as kill -9 does, the worker that cuts a changed
// content anew, and the delivery that cuts a new one, at random moments. Tiles with
// the archives that are there are those of the rows at any time, and the next worker
// brings the archives to what is current.
func TestKilledWhileTilesAreCut(t *testing.T) {
	t.Parallel()
	moments, seed := killPlan(t)
	random := rand.New(rand.NewPCG(seed, 2))
	p := program{t, postgistest.URL(t)}
	dir, folder := t.TempDir(), filepath.Join(t.TempDir(), "tiles")
	begin := func(args ...string) *exec.Cmd {
		t.Helper()
		c := exec.Command(os.Args[0], args...)
		c.Env = append(os.Environ(), asProgram+"=1", "DATABASE_URL="+p.url, "CHANGDE_TILES="+folder, "CHANGDE_DEPOT="+filepath.Join(dir, "depot"), "CHANGDE_LOG=error")
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Process.Kill() })
		return c
	}
	kill := func(c *exec.Cmd, within time.Duration) {
		time.Sleep(time.Duration(random.Int64N(int64(within))))
		_ = c.Process.Kill()
		_ = c.Wait()
	}
	p.expect(0, nil, "--tiles", folder, "ingest", squares(t, dir, 0, 4000, "first", ""), "--dataset", "p", "--yes", "--business-key", "k", "--class", "name")
	pool, err := postgis.Open(t.Context(), postgis.Config{URL: p.url, MaxConns: 8})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	for n := range moments {
		if random.IntN(4) == 0 {
			// All of it is other than before: a content of its own.
			kill(begin("ingest", squares(t, dir, 0, 4000, fmt.Sprintf("all%d", n), ""), "--dataset", "p", "--yes", "--confirm"), 3*time.Second)
		} else {
			from := random.IntN(3900)
			p.expect(0, nil, "ingest", squares(t, dir, from, from+1+random.IntN(90), fmt.Sprintf("some%d", n), "UD"[n%2:n%2+1]), "--dataset", "p", "--yes", "--mode", "changes", "--confirm")
			kill(begin("worker"), 1500*time.Millisecond)
		}
		sameTiles(t, pool, folder)
	}
	worker := begin("worker")
	for end := time.Now().Add(2 * time.Minute); !archived(t, pool, folder); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the archives do not come to what is current")
		}
	}
	_ = worker.Process.Kill()
	_ = worker.Wait()
	sameTiles(t, pool, folder)
}

func currentOf(t *testing.T, pool *pgxpool.Pool) *catalog.Dataset {
	t.Helper()
	known, err := catalog.Open(t.Context(), pool, catalog.Config{})
	if err != nil {
		t.Fatal(err)
	}
	d, ok := known.Snapshot().For(operator{}).Dataset("p")
	if !ok {
		t.Fatal("the dataset is not there")
	}
	return d
}

func archivesIn(t *testing.T, pool *pgxpool.Pool, folder string) *tiles.Archives {
	t.Helper()
	archives, err := tiles.OpenArchives(pool, folder, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return archives
}

// sameTiles compares tiles of each zoom with those made of the rows alone.
func sameTiles(t *testing.T, pool *pgxpool.Pool, folder string) {
	t.Helper()
	d := currentOf(t, pool)
	with, without := tiles.NewSource(pool, tiles.Config{Archives: archivesIn(t, pool, folder)}), tiles.NewSource(pool, tiles.Config{})
	for z := 5; z <= tiles.ArchiveZoom; z++ {
		for _, place := range []orb.Point{{111.61, 29.01}, {111.65, 29.1}, {111.679, 29.199}} {
			at := maptile.At(place, maptile.Zoom(z))
			a := tiles.Address{Set: "WebMercatorQuad", Z: z, Row: int(at.Y), Col: int(at.X)}
			got, want := drawnBy(t, with, d, a), drawnBy(t, without, d, a)
			if !slices.Equal(got, want) {
				t.Fatalf("revision %d: %s has %d features with archives, %d without, or others", d.Revision, a, len(got), len(want))
			}
		}
	}
}

// drawnBy are the features of a tile in no order of their own.
func drawnBy(t *testing.T, s *tiles.Source, d *catalog.Dataset, a tiles.Address) (features []string) {
	t.Helper()
	tile, err := s.Tile(t.Context(), d, d.Current, a)
	if err != nil {
		t.Fatal(err)
	}
	if tile.Features == 0 {
		return nil
	}
	layers, err := mvt.UnmarshalGzipped(tile.Gzip)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range layers {
		for _, f := range l.Features {
			features = append(features, fmt.Sprint(f.ID, f.Properties, f.Geometry))
		}
	}
	slices.Sort(features)
	return features
}

// archived reports whether an archive shows the dataset as it is.
func archived(t *testing.T, pool *pgxpool.Pool, folder string) bool {
	t.Helper()
	d := currentOf(t, pool)
	content := d.Current.Relation[1]
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	first := ""
	if err := pool.QueryRow(t.Context(), "SELECT min(revision)::text FROM changde.revisions WHERE dataset = 'p' AND relation = 'content.' || $1 AND kind <> 'settings'", content).Scan(&first); err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := e.Name()
		if name == fmt.Sprintf("%s@%d.pmtiles", content, d.Revision) || name == content+"@0.pmtiles" && first == fmt.Sprint(d.Revision) {
			return true
		}
	}
	return false
}
