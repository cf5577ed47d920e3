package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"changde/tiles"
)

// tally counts the tiles that a cut makes.
type tally struct {
	mu             sync.Mutex
	tiles          int
	bytes, largest int
	omitted        int64
	at             tiles.Address
}

// Add implements tiles.Sink.
func (t *tally) Add(a tiles.Address, tile *tiles.Tile) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tiles++
	t.bytes += len(tile.Gzip)
	t.omitted += tile.Omitted
	if len(tile.Gzip) > t.largest {
		t.largest, t.at = len(tile.Gzip), a
	}
	return nil
}

// cut makes all tiles of the parcels, and asks PostGIS for a sample of them, from
// which the time for all of them is reckoned.
func (b *bench) cut(ctx context.Context) error {
	var ours []time.Duration
	var t *tally
	for range b.runs {
		t = new(tally)
		d, err := timed(func() error { return b.cutInto(ctx, t) })
		if err != nil {
			return err
		}
		ours = append(ours, d)
	}
	fmt.Printf("全部瓦片 all tiles z0-%d：%d 个，%.1f MB，最大 %d kB（%s），%d 个要素未绘 features left out\n",
		tiles.ArchiveZoom, t.tiles, float64(t.bytes)/1e6, t.largest/1000, t.at, t.omitted)
	b.add(fmt.Sprintf("切全部瓦片 cut all tiles z0-%d", tiles.ArchiveZoom), "", ours, nil, 0)
	return nil
}
