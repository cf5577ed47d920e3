package tiles

import (
	"context"
	"errors"
	"time"

	"changde/catalog"
)

// followEvery is how often the catalog is looked at for a new snapshot.
const followEvery = time.Second

// Follow opens the archives of what a catalog shows and reads the changes of each,
// whenever it has a new snapshot, until ctx ends. Tiles that nothing has touched can
// then be had while the database is away, also those nobody has asked for before.
func (s *Archives) Follow(ctx context.Context, known *catalog.Catalog) {
	var seen *catalog.Snapshot
	for {
		if now := known.Snapshot(); now != seen {
			seen = now
			s.prepare(ctx, now)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(followEvery):
		}
	}
}

func (s *Archives) prepare(ctx context.Context, now *catalog.Snapshot) {
	for _, d := range now.For(everybody{}).Datasets() {
		if ctx.Err() != nil {
			return
		}
		if !d.Current.Versioned() {
			continue
		}
		archives, err := s.of(ctx, d, d.Current)
		if err == nil {
			for _, grid := range gridsOf(d) {
				if c := serving(archives, d, d.Current, grid, 0); c != nil {
					err = errors.Join(err, c.touched.read(ctx, s.pool, d.Current))
				}
			}
		}
		if err != nil && ctx.Err() == nil {
			s.log.Warn("changes of tiles not read; they are when a tile is asked for", "dataset", d.ID, "err", err)
		}
	}
}
