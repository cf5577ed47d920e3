package tiles

import (
	"context"
	"fmt"
	"math"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"changde/catalog"
	"changde/postgis"
)

// touched knows which tiles of a content the changes since a revision have touched,
// and in which revision first. It is safe for many goroutines.
type touched struct {
	mu    sync.Mutex
	from  int64 // the revision that nothing is touched at
	known int64 // until which changes are known
	many  bool  // too many changes: every tile counts as touched
	count int
	tiles map[place3]int64
	// whole are tiles below which everything is touched.
	whole map[place3]int64
}

// place3 is a tile by zoom, column and row.
type place3 struct{ z, col, row int }

// maxTouched bounds the changes that are followed, and maxSpread the tiles of one
// zoom that one change touches on its own.
const (
	maxTouched = 1_000_000
	maxSpread  = 64
)

func newTouched(from int64) *touched {
	return &touched{from: from, known: from, tiles: make(map[place3]int64), whole: make(map[place3]int64)}
}

// hit reports whether a tile of the content at the release's revision may differ
// from the one at the revision that the changes are counted from.
func (t *touched) hit(ctx context.Context, pool *pgxpool.Pool, r *catalog.Release, a Address) (bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.follow(ctx, pool, r); err != nil {
		return false, err
	}
	if t.many {
		return true, nil
	}
	k := place3{a.Z, a.Col, a.Row}
	if first, ok := t.tiles[k]; ok && first <= r.Revision {
		return true, nil
	}
	for ; k.z >= 0; k = (place3{k.z - 1, k.col / 2, k.row / 2}) {
		if first, ok := t.whole[k]; ok && first <= r.Revision {
			return true, nil
		}
	}
	return false, nil
}

// follow reads the changes up to the release's revision: where each row was and
// where it came to lie.
func (t *touched) follow(ctx context.Context, pool *pgxpool.Pool, r *catalog.Release) error {
	if t.many || r.Revision <= t.known {
		return nil
	}
	current, history := new(postgis.SQL).Ident(r.Relation[:]...), new(postgis.SQL).Ident(r.Relation[0], r.Relation[1]+catalog.HistorySuffix)
	q := new(postgis.SQL).Raw("SELECT c.rev, ST_XMin(v.geom), ST_YMin(v.geom), ST_XMax(v.geom), ST_YMax(v.geom) FROM ").
		Ident(r.Relation[0], r.Relation[1]+catalog.ChangesSuffix).Raw(" c CROSS JOIN LATERAL (SELECT geom FROM ").Add(current).
		Raw(" t WHERE t.fid = c.fid AND t.rev = c.rev UNION ALL SELECT geom FROM ").Add(history).
		Raw(" h WHERE h.fid = c.fid AND (h.rev = c.rev OR h.until = c.rev)) v WHERE v.geom IS NOT NULL AND NOT ST_IsEmpty(v.geom) AND c.rev > ").Arg(t.known).
		Raw("::bigint AND c.rev <= ").Arg(r.Revision).Raw("::bigint LIMIT ").Arg(int64(maxTouched-t.count) + 1)
	rows, err := pool.Query(ctx, q.String(), append([]any{pgx.QueryExecModeCacheDescribe}, q.Args()...)...)
	if err != nil {
		return fmt.Errorf("read changes of %s: %w", r.Relation[1], err)
	}
	type change struct {
		rev int64
		box catalog.Bounds
	}
	var changes []change
	var c change
	if _, err := pgx.ForEachRow(rows, []any{&c.rev, &c.box[0], &c.box[1], &c.box[2], &c.box[3]}, func() error {
		changes = append(changes, c)
		return nil
	}); err != nil {
		return fmt.Errorf("read changes of %s: %w", r.Relation[1], err)
	}
	if t.count += len(changes); t.count > maxTouched {
		t.many, t.tiles, t.whole = true, nil, nil
		return nil
	}
	for _, c := range changes {
		t.add(c.box, c.rev)
	}
	t.known = r.Revision
	return nil
}

// add marks the tiles whose content, margin included, meets a box.
func (t *touched) add(box catalog.Bounds, rev int64) {
	set, _ := Set("WebMercatorQuad")
	left, top := worldOf(&set, box[0], box[3])
	right, bottom := worldOf(&set, box[2], box[1])
	mark := func(in map[place3]int64, k place3) {
		if first, ok := in[k]; !ok || rev < first {
			in[k] = rev
		}
	}
	reach := func(z int) (low, high place3) {
		n := math.Ldexp(1, z)
		last := int(n) - 1
		at := func(v, m float64) int { return min(max(int(math.Floor(v*n+m)), 0), last) }
		// A unit more, for rounding.
		const m = float64(Buffer+1) / Extent
		return place3{z, at(left, -m), at(top, -m)}, place3{z, at(right, m), at(bottom, m)}
	}
	for z := range ArchiveZoom + 1 {
		low, high := reach(z)
		if (high.col-low.col+1)*(high.row-low.row+1) > maxSpread {
			low, high = reach(z - 1)
			for col := low.col; col <= high.col; col++ {
				for row := low.row; row <= high.row; row++ {
					mark(t.whole, place3{z - 1, col, row})
				}
			}
			return
		}
		for col := low.col; col <= high.col; col++ {
			for row := low.row; row <= high.row; row++ {
				mark(t.tiles, place3{z, col, row})
			}
		}
	}
}

// worldOf gives a position in units of the tile of zoom 0, right and down.
func worldOf(set *MatrixSet, lon, lat float64) (x, y float64) {
	x, y = set.Project(lon, lat)
	w := set.width(0)
	return (x - set.Left) / w, (set.Top - y) / w
}
