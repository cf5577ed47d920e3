package tiles

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/paulmach/orb"

	"changde/catalog"
	"changde/postgis"
)

// touched knows which tiles of a content the changes since a revision have touched,
// and in which revision first. It is safe for many goroutines.
type touched struct {
	set MatrixSet

	mu    sync.Mutex
	from  int64 // the revision that nothing is touched at
	known int64 // until which changes are known
	many  bool  // too many changes: every tile counts as touched
	// changes are the places where rows were and came to lie.
	changes []change
	// tiles are those that are touched, with the changes that touch them.
	tiles map[place3][]int32
	// whole are tiles below which everything is touched, with the first revision.
	whole map[place3]int64
}

// change is a version of a row that a revision made or superseded.
type change struct {
	rev, fid int64
	size     float64 // the larger side of its box, in units of the tile of zoom 0
	before   bool    // the version is of the revision that the changes are counted from
}

// place3 is a tile by zoom, column and row.
type place3 struct{ z, col, row int }

// maxTouched bounds the changes that are followed, and maxSpread the tiles of one
// zoom that one change touches on its own.
const (
	maxTouched = 1_000_000
	maxSpread  = 64
)

func newTouched(from int64, set MatrixSet) *touched {
	return &touched{set: set, from: from, known: from, tiles: make(map[place3][]int32), whole: make(map[place3]int64)}
}

// hit reports whether a tile of the content at the release's revision may differ
// from the one at the revision that the changes are counted from, and the changes
// that may be why; all is false where these cannot be told one by one.
func (t *touched) hit(ctx context.Context, pool *pgxpool.Pool, r *catalog.Release, a Address) (hit bool, changes []change, all bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.follow(ctx, pool, r); err != nil {
		return false, nil, false, err
	}
	if t.many {
		return true, nil, false, nil
	}
	k := place3{a.zoom(), a.Col, a.Row}
	for _, n := range t.tiles[k] {
		if c := t.changes[n]; c.rev <= r.Revision {
			changes = append(changes, c)
		}
	}
	for ; k.z >= 0; k = (place3{k.z - 1, k.col / 2, k.row / 2}) {
		if first, ok := t.whole[k]; ok && first <= r.Revision {
			return true, nil, false, nil
		}
	}
	return len(changes) > 0, changes, true, nil
}

// read brings what is known up to the release's revision.
func (t *touched) read(ctx context.Context, pool *pgxpool.Pool, r *catalog.Release) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.follow(ctx, pool, r)
}

// none reports whether no tile at the release's revision differs from the one at the
// revision that the changes are counted from.
func (t *touched) none(ctx context.Context, pool *pgxpool.Pool, r *catalog.Release) (bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.follow(ctx, pool, r); err != nil {
		return false, err
	}
	return !t.many && !slices.ContainsFunc(t.changes, func(c change) bool { return c.rev <= r.Revision }), nil
}

// follow reads the changes up to the release's revision: where each row was and
// where it came to lie.
func (t *touched) follow(ctx context.Context, pool *pgxpool.Pool, r *catalog.Release) error {
	if t.many || r.Revision <= t.known {
		return nil
	}
	current, history := new(postgis.SQL).Ident(r.Relation[:]...), new(postgis.SQL).Ident(r.Relation[0], r.Relation[1]+catalog.HistorySuffix)
	q := new(postgis.SQL).Raw("SELECT c.rev, c.fid, v.rev <= ").Arg(t.from).Raw("::bigint, ST_XMin(v.geom), ST_YMin(v.geom), ST_XMax(v.geom), ST_YMax(v.geom) FROM ").
		Ident(r.Relation[0], r.Relation[1]+catalog.ChangesSuffix).Raw(" c CROSS JOIN LATERAL (SELECT rev, geom FROM ").Add(current).
		Raw(" t WHERE t.fid = c.fid AND t.rev = c.rev UNION ALL SELECT rev, geom FROM ").Add(history).
		Raw(" h WHERE h.fid = c.fid AND (h.rev = c.rev OR h.until = c.rev)) v WHERE v.geom IS NOT NULL AND NOT ST_IsEmpty(v.geom) AND c.rev > ").Arg(t.known).
		Raw("::bigint AND c.rev <= ").Arg(r.Revision).Raw("::bigint LIMIT ").Arg(int64(maxTouched-len(t.changes)) + 1)
	rows, err := pool.Query(ctx, q.String(), append([]any{pgx.QueryExecModeCacheDescribe}, q.Args()...)...)
	if err != nil {
		return fmt.Errorf("read changes of %s: %w", r.Relation[1], err)
	}
	var boxes []catalog.Bounds
	var c change
	var box catalog.Bounds
	before := len(t.changes)
	if _, err := pgx.ForEachRow(rows, []any{&c.rev, &c.fid, &c.before, &box[0], &box[1], &box[2], &box[3]}, func() error {
		t.changes, boxes = append(t.changes, c), append(boxes, box)
		return nil
	}); err != nil {
		t.changes = t.changes[:before]
		return fmt.Errorf("read changes of %s: %w", r.Relation[1], err)
	}
	if len(t.changes) > maxTouched {
		t.many, t.changes, t.tiles, t.whole = true, nil, nil, nil
		return nil
	}
	for n, box := range boxes {
		t.add(box, before+n)
	}
	t.known = r.Revision
	return nil
}

// add marks the tiles whose content, margin included, meets the box of a change.
func (t *touched) add(box catalog.Bounds, n int) {
	left, top := worldOf(&t.set, box[0], box[3])
	right, bottom := worldOf(&t.set, box[2], box[1])
	c := &t.changes[n]
	c.size = max(right-left, bottom-top)
	bound := orb.Bound{Min: orb.Point{left, top}, Max: orb.Point{right, bottom}}
	// A unit more, for rounding.
	const margin = float64(Buffer+1) / Extent
	for z := range ArchiveZoom + 1 {
		low, high := reach(bound, z, margin)
		if (high[0]-low[0]+1)*(high[1]-low[1]+1) > maxSpread {
			low, high = reach(bound, z-1, margin)
			for col := low[0]; col <= high[0]; col++ {
				for row := low[1]; row <= high[1]; row++ {
					k := place3{z - 1, col, row}
					if first, ok := t.whole[k]; !ok || c.rev < first {
						t.whole[k] = c.rev
					}
				}
			}
			return
		}
		for col := low[0]; col <= high[0]; col++ {
			for row := low[1]; row <= high[1]; row++ {
				k := place3{z, col, row}
				t.tiles[k] = append(t.tiles[k], int32(n))
			}
		}
	}
}

// worldOf gives a position in units of the tile of zoom 0, right and down, which is
// as wide as the world: of a set that begins later, as wide as its first tiles together.
func worldOf(set *MatrixSet, lon, lat float64) (x, y float64) {
	x, y = set.Project(lon, lat)
	w := set.width(0) * float64(set.Columns)
	return (x - set.Left) / w, (set.Top - y) / w
}
