package pmtiles

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// counted counts what is read of a file.
type counted struct {
	io.ReaderAt
	reads atomic.Int64
}

func (c *counted) ReadAt(b []byte, at int64) (int, error) {
	c.reads.Add(1)
	return c.ReaderAt.ReadAt(b, at)
}

func TestLeavesAreReadOnce(t *testing.T) {
	tiles := manyTiles(100_000)
	a := write(t, city, tiles...)
	c := &counted{ReaderAt: a.r}
	a.r = c
	for range 3 {
		for i := 0; i < len(tiles); i += 10 {
			if _, _, ok, err := a.TileAt(tiles[i].id); !ok || err != nil {
				t.Fatal(ok, err)
			}
		}
	}
	if reads := c.reads.Load(); reads != int64(len(a.root)) {
		t.Errorf("%d leaf directories were read %d times", len(a.root), reads)
	}
	id := tiles[50_000].id
	if n := testing.AllocsPerRun(100, func() { _, _, _, _ = a.TileAt(id) }); n > 0 {
		t.Errorf("TileAt allocates %g times", n)
	}
	if n := testing.AllocsPerRun(100, func() { _, _, _ = a.Tile(id) }); n > 1 {
		t.Errorf("Tile allocates %g times", n)
	}
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	var c cache
	leafOf := func(i int) []entry {
		leaf := make([]entry, maxCached/16)
		leaf[0].id = uint64(i)
		return leaf
	}
	for i := range 100 {
		c.put(uint64(i), leafOf(i))
		if _, ok := c.get(0, 0); !ok {
			t.Fatalf("what is asked for again and again is forgotten after %d others", i)
		}
		if kept := len(c.young) + len(c.old); kept > 16 {
			t.Fatalf("%d leaf directories are kept", kept)
		}
	}
	if _, ok := c.get(1, 1); ok {
		t.Error("what nobody asks for is kept")
	}
	if _, ok := c.get(99, 98); ok {
		t.Error("a leaf directory that begins with another id is given")
	}
	c.put(200, make([]entry, maxCached/2+1))
	if _, ok := c.get(200, 0); ok {
		t.Error("a leaf directory beyond the bound is kept")
	}
}

func TestReadByManyAtOnce(t *testing.T) {
	t.Parallel()
	tiles := manyTiles(50_000)
	a := write(t, city, tiles...)
	var group sync.WaitGroup
	for g := range 4 {
		group.Go(func() {
			for i := g; i < len(tiles); i += 7 {
				got, ok, err := a.Tile(tiles[i].id)
				if err != nil || !ok || string(got) != string(tiles[i].bytes) {
					t.Errorf("tile %d: %t, %v", tiles[i].id, ok, err)
					return
				}
			}
		})
	}
	group.Wait()
}

func TestEachStops(t *testing.T) {
	t.Parallel()
	a := write(t, city, manyTiles(5000)...)
	stop := errors.New("stop")
	n := 0
	if err := a.Each(t.Context(), func(uint64, []byte) error { n++; return stop }); !errors.Is(err, stop) || n != 1 {
		t.Errorf("after %d tiles: %v", n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	n = 0
	err := a.Each(ctx, func(uint64, []byte) error { n++; cancel(); return nil })
	if !errors.Is(err, context.Canceled) || n > 2000 {
		t.Errorf("cancelled, after %d tiles: %v", n, err)
	}
}

func TestNoTileBeyondTheIDs(t *testing.T) {
	t.Parallel()
	a := write(t, city, tile{idCount - 1, []byte("x")})
	for _, id := range []uint64{idCount, 1<<64 - 1} {
		if _, ok, err := a.Tile(id); ok || err != nil {
			t.Errorf("tile %d: %t, %v", id, ok, err)
		}
	}
}

// benchTiles are as many tiles as a city has, of 12 kB each where they are its own.
func benchTiles() []tile {
	tiles := manyTiles(23_425)
	random := newRandom(4)
	for i := range tiles {
		if len(tiles[i].bytes) >= 25 { // water is shorter or longer than these
			continue
		}
		b := make([]byte, 12_000)
		for j := range b {
			b[j] = byte(random.Uint32())
		}
		tiles[i].bytes = b
	}
	return tiles
}

func BenchmarkAdd(b *testing.B) {
	ordered := benchTiles()
	shuffled := append([]tile(nil), ordered...)
	newRandom(5).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	for name, tiles := range map[string][]tile{"ordered": ordered, "shuffled": shuffled} {
		b.Run(name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "a.pmtiles")
			for b.Loop() {
				w, err := Create(path, city)
				if err != nil {
					b.Fatal(err)
				}
				for _, t := range tiles {
					if err := w.Add(t.id, t.bytes); err != nil {
						b.Fatal(err)
					}
				}
				if err := w.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(tiles)*b.N)/b.Elapsed().Seconds(), "tiles/s")
		})
	}
}

func BenchmarkLookup(b *testing.B) {
	tiles := benchTiles()
	a := write(b, city, tiles...)
	for name, lookup := range map[string]func(uint64) error{
		"TileAt": func(id uint64) error { _, _, _, err := a.TileAt(id); return err },
		"Tile":   func(id uint64) error { _, _, err := a.Tile(id); return err },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if err := lookup(tiles[i%len(tiles)].id); err != nil {
					b.Fatal(err)
				}
				i += 7919
			}
		})
	}
}
