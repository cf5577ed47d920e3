package vct

import (
	"math/rand/v2"
	"testing"
)

// TestIndex looks up identifiers that came in order, in order by runs, and in none, in
// memory and on disk.
func TestIndex(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		n  int
		id func(i int) int64
	}{
		"memory":     {1000, func(i int) int64 { return int64(i*7919) % 1000 }},
		"ascending":  {runEntries + 1000, func(i int) int64 { return int64(2 * i) }},
		"descending": {2*runEntries + 5, func(i int) int64 { return int64(-2 * i) }},
		"scattered":  {2*runEntries + 5, func(i int) int64 { return int64(uint64(i) * 0x9e3779b97f4a7c15 >> 1) }},
		"twins":      {runEntries + 600, func(i int) int64 { return int64(i / 600) }},
	} {
		b := &builder{dir: t.TempDir(), where: "test"}
		defer b.abandon()
		for i := range c.n {
			if err := b.add(c.id(i), int64(i), i%3); err != nil {
				t.Fatal(err)
			}
		}
		x, err := b.finish()
		if err != nil {
			t.Fatal(err)
		}
		defer x.close()
		if (x.file != nil) != (c.n >= runEntries) {
			t.Errorf("%s: file %v", name, x.file != nil)
		}
		at := cursor{x: x}
		random := rand.New(rand.NewPCG(1, 2))
		for range 2000 {
			i := random.IntN(c.n)
			layer := i % 3
			e, position, err := at.lookup(c.id(i), layer, nil)
			if err != nil || position < 0 || e.id != c.id(i) || e.layer() != layer || c.id(int(e.offset())) != c.id(i) {
				t.Fatalf("%s: %d: %+v at %d, %v", name, i, e, position, err)
			}
		}
		for _, id := range []int64{-1, -3, 1 << 62, -1 << 62} {
			if _, position, _ := at.lookup(id, noLayer, nil); position >= 0 {
				if e, _ := at.at(position); e.id != id {
					t.Errorf("%s: %d found as %+v", name, id, e)
				}
			}
		}
		if name == "twins" {
			used := newBitmap(x.n)
			seen := make(map[int64]bool)
			for range 600 {
				e, position, err := at.lookup(77, noLayer, used)
				if err != nil || used.has(position) || seen[e.offset()] {
					t.Fatalf("%+v at %d twice", e, position)
				}
				used.set(position)
				seen[e.offset()] = true
			}
			if _, position, _ := at.lookup(77, noLayer, used); position < 0 || !used.has(position) {
				t.Error("all twins are used, and one is found that is not")
			}
		}
		last := entry{id: -1 << 62}
		for i := range x.n {
			e, err := at.at(i)
			if err != nil || compareEntries(last, e) >= 0 {
				t.Fatalf("%s: %+v follows %+v, %v", name, e, last, err)
			}
			last = e
		}
	}
}
