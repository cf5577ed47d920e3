package tiles

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"changde/catalog"
	"changde/postgis/postgistest"
	"changde/s3/s3test"
	"changde/tiles/pmtiles"
	"changde/tiles/shelf"
)

// service is a server of S3 that tests may spoil, and that counts what is read.
type service struct {
	ranges, all atomic.Int64
	mu          sync.Mutex
	spoil       func(w http.ResponseWriter, r *http.Request) bool
}

func (s *service) hook(w http.ResponseWriter, r *http.Request) bool {
	s.all.Add(1)
	if r.Header.Get("Range") != "" {
		s.ranges.Add(1)
	}
	s.mu.Lock()
	spoil := s.spoil
	s.mu.Unlock()
	return spoil != nil && spoil(w, r)
}

func (s *service) spoilWith(spoil func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spoil = spoil
}

// shelfAt opens the shelf at an address, as one more machine does.
func shelfAt(t testing.TB, address string) shelf.Shelf {
	t.Helper()
	on, err := shelf.Open(address, shelf.Config{Credentials: s3test.Keys(), TempDir: t.TempDir(), Patience: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return on
}

func archivesAt(t testing.TB, pool *pgxpool.Pool, address string) *Archives {
	t.Helper()
	return NewArchives(pool, shelfAt(t, address), slog.New(slog.DiscardHandler))
}

func filesAt(t testing.TB, address string) string {
	t.Helper()
	entries, err := shelfAt(t, address).List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name)
	}
	return strings.Join(names, " ")
}

// eachPlace runs a test with archives in a folder and in S3.
func eachPlace(t *testing.T, test func(t *testing.T, address string)) {
	t.Run("folder", func(t *testing.T) {
		t.Parallel()
		test(t, filepath.Join(t.TempDir(), "tiles"))
	})
	t.Run("s3", func(t *testing.T) {
		t.Parallel()
		test(t, s3test.Address(t, nil))
	})
}

// Tiles that one machine has cut are what another serves, before and after edits; what
// is replaced or of no content is removed.
func TestArchivesOnShelves(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, address string) {
		pool := postgistest.New(t)
		d := cadastre(t, pool, 40)
		released(t, pool, d)
		builder := archivesAt(t, pool, address)
		if err := builder.Build(t.Context(), d, d.Current, 0); err != nil {
			t.Fatal(err)
		}
		reader := archivesAt(t, pool, address)
		source := NewSource(pool, Config{Archives: reader})
		for a, want := range cutAll(t, pool, d, Config{}).tiles {
			if got, ok, err := reader.Tile(t.Context(), d, d.Current, a); err != nil || !ok || !bytes.Equal(raw(t, got), raw(t, want)) {
				t.Fatalf("%s: %t, %v", a, ok, err)
			}
		}
		edit(t, pool, rand.New(rand.NewPCG(3, 3)), 2)
		d = later(d, 2)
		anew := cutAll(t, pool, d, Config{})
		for a, want := range anew.tiles {
			if diff := cmp.Diff(contents(t, want), contents(t, get(t, source, d, a))); diff != "" {
				t.Fatalf("%s after an edit:\n%s", a, diff)
			}
		}
		if got := filesAt(t, address); got != "cadastre@0.covers cadastre@0.pmtiles" {
			t.Errorf("there are %q", got)
		}
		if _, err := builder.bring(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		if behind, err := builder.behind(t.Context(), d, ""); behind || err != nil {
			t.Errorf("behind after it was brought: %t, %v", behind, err)
		}
		if _, err := builder.bring(t.Context(), later(d, 3)); err != nil {
			t.Fatal(err)
		}
		if got := filesAt(t, address); got != "cadastre@0.covers cadastre@0.pmtiles cadastre@2.covers cadastre@2.pmtiles" {
			t.Errorf("without changes there are %q", got)
		}
		edit(t, pool, rand.New(rand.NewPCG(4, 4)), 4)
		if _, err := builder.bring(t.Context(), later(d, 4)); err != nil {
			t.Fatal(err)
		}
		if got := filesAt(t, address); got != "cadastre@0.covers cadastre@0.pmtiles cadastre@4.covers cadastre@4.pmtiles" {
			t.Errorf("there are %q", got)
		}
		// No release names the content.
		if err := builder.clear(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := filesAt(t, address); got != "" {
			t.Errorf("left are %q", got)
		}
	})
}

// Of two machines that cut the same content the archive of one stands, whole, and
// readers have a right tile at every moment.
func TestTwoBuildTheSame(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, address string) {
		pool := postgistest.New(t)
		d := cadastre(t, pool, 12)
		released(t, pool, d)
		want := cutAll(t, pool, d, Config{}).tiles
		var building sync.WaitGroup
		for range 2 {
			archives := archivesAt(t, pool, address)
			building.Go(func() {
				for range 3 {
					if err := archives.Build(t.Context(), d, d.Current, 0); err != nil {
						t.Error(err)
					}
				}
			})
		}
		done := make(chan struct{})
		go func() { building.Wait(); close(done) }()
		reader := archivesAt(t, pool, address)
		right := func(mustBeThere bool) {
			reader.looks.lapse()
			for a, want := range want {
				got, ok, err := reader.Tile(t.Context(), d, d.Current, a)
				if err != nil || mustBeThere && !ok || ok && !bytes.Equal(raw(t, got), raw(t, want)) {
					t.Fatalf("%s: %t, %v", a, ok, err)
				}
			}
		}
		for building := true; building; {
			select {
			case <-done:
				building = false
			default:
				right(false)
			}
		}
		right(true)
		if got := filesAt(t, address); got != "cadastre@0.covers cadastre@0.pmtiles" {
			t.Errorf("there are %q", got)
		}
	})
}

// inS3 are archives of a released cadastre on a service, whose files are larger than a
// block.
func inS3(t testing.TB) (*service, string, *pgxpool.Pool, *catalog.Dataset, *heap) {
	t.Helper()
	pool := postgistest.New(t)
	d := cadastre(t, pool, 120)
	released(t, pool, d)
	s := new(service)
	address := s3test.Address(t, s.hook)
	if err := archivesAt(t, pool, address).Build(t.Context(), d, d.Current, 0); err != nil {
		t.Fatal(err)
	}
	return s, address, pool, d, cutAll(t, pool, d, Config{})
}

// An object that was replaced or removed under a reader is never mixed with another:
// the tile is right, and the archive that is there is the one that is read.
func TestReplacedUnderAReader(t *testing.T) {
	t.Parallel()
	_, address, pool, d, cut := inS3(t)
	reader, tiles := archivesAt(t, pool, address), cut.tiles
	read := func(when string, archived bool) {
		t.Helper()
		source, of := NewSource(pool, Config{Archives: reader}), 0
		for a, want := range tiles {
			if _, ok, err := reader.Tile(t.Context(), d, d.Current, a); err != nil {
				t.Fatalf("%s: %s: %v", when, a, err)
			} else if ok {
				of++
			}
			if got := get(t, source, d, a); a.Z >= DetailZoom && !slices.Equal(contents(t, got), contents(t, want)) {
				t.Fatalf("%s: %s is not the tile of the rows", when, a)
			}
		}
		if archived != (of == len(tiles)) || !archived && of > 0 {
			t.Errorf("%s: %d tiles of %d are of the archive", when, of, len(tiles))
		}
	}
	some := at(111.602, 28.902, 14)
	if _, ok, err := reader.Tile(t.Context(), d, d.Current, some); !ok || err != nil {
		t.Fatal(ok, err)
	}
	// Cut anew from other rows, which is a file of the same name.
	if _, err := pool.Exec(t.Context(), "UPDATE content.cadastre SET class = 'C9' WHERE fid % 3 = 0"); err != nil {
		t.Fatal(err)
	}
	if err := archivesAt(t, pool, address).Build(t.Context(), d, d.Current, 0); err != nil {
		t.Fatal(err)
	}
	tiles = cutAll(t, pool, d, Config{}).tiles
	reader.looks.lapse()
	read("replaced", true)
	for _, name := range []string{"cadastre@0.pmtiles", "cadastre@0.covers"} {
		if err := shelfAt(t, address).Remove(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	reader.looks.lapse()
	read("removed", false)
}

// A reader that does not know yet that the object is another finds out when it reads.
func TestReplacedUnknown(t *testing.T) {
	t.Parallel()
	_, address, pool, d, cut := inS3(t)
	reader := archivesAt(t, pool, address)
	of := func() (n int) {
		t.Helper()
		for a := range cut.tiles {
			_, ok, err := reader.Tile(t.Context(), d, d.Current, a)
			if err != nil {
				t.Fatal(err)
			}
			if ok {
				n++
			}
		}
		return n
	}
	if _, ok, err := reader.Tile(t.Context(), d, d.Current, at(111.602, 28.902, 0)); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if _, err := pool.Exec(t.Context(), "UPDATE content.cadastre SET class = 'C9' WHERE fid % 3 = 0"); err != nil {
		t.Fatal(err)
	}
	if err := archivesAt(t, pool, address).Build(t.Context(), d, d.Current, 0); err != nil {
		t.Fatal(err)
	}
	// The list is good for a while yet: what is not in memory cannot be had, which
	// makes the shelf be looked at again.
	reader.looks.mu.Lock()
	reader.looks.last.at = time.Now().Add(time.Hour)
	reader.looks.mu.Unlock()
	if n := of(); n == 0 || n >= len(cut.tiles) {
		t.Errorf("%d tiles of %d at first", n, len(cut.tiles))
	}
	if n := of(); n != len(cut.tiles) {
		t.Errorf("%d tiles of %d afterwards", n, len(cut.tiles))
	}
}

// While the service does not answer tiles are made of the rows, soon, and it is not
// asked for each.
func TestServiceIsAway(t *testing.T) {
	t.Parallel()
	s, address, pool, d, cut := inS3(t)
	hang := func(_ http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return true }
	refuse := func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	}
	for name, away := range map[string]func(http.ResponseWriter, *http.Request) bool{"silent": hang, "refusing": refuse} {
		for _, known := range []bool{false, true} {
			logged := new(atomic.Int64)
			reader := NewArchives(pool, shelfAt(t, address), slog.New(logLines{slog.DiscardHandler, logged}))
			if known { // the first block alone
				if _, ok, err := reader.Tile(t.Context(), d, d.Current, at(111.602, 28.902, 0)); !ok || err != nil {
					t.Fatal(ok, err)
				}
			}
			s.spoilWith(away)
			before, start := s.all.Load(), time.Now()
			source := NewSource(pool, Config{Archives: reader})
			served := 0
			for a, want := range cut.tiles {
				if a.Z < DetailZoom {
					continue
				}
				served++
				if got := get(t, source, d, a); !slices.Equal(contents(t, got), contents(t, want)) {
					t.Fatalf("%s, known %t: %s is not the tile of the rows", name, known, a)
				}
			}
			took := time.Since(start)
			asked := s.all.Load() - before
			if asked > 6+10*int64(took/time.Second) || served < 40 {
				t.Errorf("%s, known %t: %d requests for %d tiles in %s", name, known, asked, served, took)
			}
			if n := logged.Load(); n > 3+2*int64(took/time.Second) {
				t.Errorf("%s, known %t: %d lines of log in %s", name, known, n, took)
			}
			if _, err := reader.bring(t.Context(), d); (!known || err != nil) && !errors.Is(err, shelf.ErrUnreachable) {
				t.Errorf("%s, known %t: contents are cut while it is not known what there is: %v", name, known, err)
			}
			s.spoilWith(nil)
			for end := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
				if _, ok, err := reader.Tile(t.Context(), d, d.Current, at(111.65, 28.95, 14)); err != nil || time.Now().After(end) {
					t.Fatalf("%s, known %t: archives are not read when it is back: %v", name, known, err)
				} else if ok {
					break
				}
			}
			if logged.Load() == 0 {
				t.Errorf("%s, known %t: nothing is logged", name, known)
			}
		}
	}
}

// logLines counts what is logged.
type logLines struct {
	slog.Handler
	n *atomic.Int64
}

func (c logLines) Enabled(ctx context.Context, l slog.Level) bool { return l >= slog.LevelWarn }

func (c logLines) Handle(context.Context, slog.Record) error { c.n.Add(1); return nil }

// manyInS3 is an archive with leaf directories on a service, of n tiles.
func manyInS3(t testing.TB, n int) (s *service, address string, first uint64) {
	t.Helper()
	s = new(service)
	address = s3test.Address(t, s.hook)
	path := filepath.Join(t.TempDir(), "many.tmp")
	w, err := pmtiles.Create(path, pmtiles.Config{Metadata: []byte(`{"vector_layers":[]}`), MaxZoom: 15, Bounds: [4]float64{111, 28, 112, 29}})
	if err != nil {
		t.Fatal(err)
	}
	first, _ = pmtiles.ID(15, 26000, 13600)
	r := rand.New(rand.NewPCG(5, 5))
	tile := make([]byte, 800)
	for i := range n {
		for j := range tile {
			tile[j] = byte(r.Uint32())
		}
		if err := w.Add(first+uint64(i), tile[:200+r.IntN(600)]); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), shelfAt(t, address).Put(t.Context(), "many@0.pmtiles", path)); err != nil {
		t.Fatal(err)
	}
	return s, address, first
}

func openMany(t testing.TB, address string) *pmtiles.Archive {
	t.Helper()
	f, err := shelfAt(t, address).Open(t.Context(), "many@0.pmtiles")
	if err != nil {
		t.Fatal(err)
	}
	a, err := pmtiles.Open(f, f.Size())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// A tile that nobody has asked for takes at most three requests of an archive that is
// open, its leaf directory included, and none again.
func TestFewRequests(t *testing.T) {
	t.Parallel()
	const n = 20_000
	s, address, first := manyInS3(t, n)
	most := int64(0)
	for i := 0; i < n; i += 1999 {
		a := openMany(t, address)
		for turn, bound := range []int64{3, 0, 1} {
			before := s.ranges.Load()
			id := first + uint64(i)
			if turn == 2 {
				id++ // beside it, by the same directory
			}
			if _, ok, err := a.Tile(id); !ok || err != nil {
				t.Fatal(ok, err)
			}
			asked := s.ranges.Load() - before
			if asked > bound {
				t.Errorf("tile %d, turn %d: %d requests", i, turn, asked)
			}
			most = max(most, asked)
		}
	}
	if most != 2 {
		t.Errorf("at most %d requests for a tile, want 2: of a leaf directory and of the tile", most)
	}
}

// BenchmarkColdTileInS3 reads tiles of an archive in S3 that is open, of which nothing
// else was read.
func BenchmarkColdTileInS3(b *testing.B) {
	const n = 20_000
	s, address, first := manyInS3(b, n)
	before := s.ranges.Load()
	i := 0
	for b.Loop() {
		b.StopTimer()
		a := openMany(b, address)
		before++ // of the header
		b.StartTimer()
		if _, ok, err := a.Tile(first + uint64(i%n)); !ok || err != nil {
			b.Fatal(ok, err)
		}
		i += 7919
	}
	b.ReportMetric(float64(s.ranges.Load()-before)/float64(b.N), "requests/op")
}
