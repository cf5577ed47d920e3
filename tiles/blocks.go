package tiles

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/paulmach/orb"

	"changde/postgis"
)

// Rows are read in blocks, tiles of different zooms beside each other: where rows are
// dense the blocks are small, so that each has about as many and the rows of a dense
// place are not all in memory at once. Tiles from the zoom of the smallest block on,
// the base zoom, are made of the rows of a block; those above of what the blocks hand
// up, which is held until they are made.

// maxBlock is how many times Config.BlockRows a block may have at the deepest zoom.
const maxBlock = 10

// errCrowded tells of more rows in one place than are cut.
var errCrowded = errors.New("too many rows in one place for tiles to be cut before they are asked for")

// blockPlan bounds the blocks of a cut.
type blockPlan struct {
	rows  float64 // of a block, about
	least int     // the zoom that blocks have at least
	last  int     // the deepest zoom of blocks
	most  int     // rows of a block that are taken into memory; of more nothing is cut
}

// planOf is the plan of a cut down to a zoom.
func (t *cutter) planOf(maxZoom int) blockPlan {
	last := min(maxZoom, DetailZoom)
	if t.dim == 2 {
		// Above the base zoom small polygons are known by the covers of the tiles there.
		last = min(maxZoom, DetailZoom-1)
	}
	rows := t.source.config.BlockRows
	return blockPlan{rows: float64(rows), least: t.set.ahead(), last: last, most: maxBlock * rows}
}

// sampled is about how many rows are looked at to find where they are dense.
const sampled = 50_000

// blocks finds the blocks of the release, and sets the base zoom.
func (t *cutter) blocks(ctx context.Context) ([]Address, error) {
	places, each, err := t.sample(ctx)
	if err != nil {
		return nil, err
	}
	e := t.release.Extent
	d := divider{cutter: t, each: each}
	d.bound.Min[0], d.bound.Min[1] = t.world(e[0], e[3])
	d.bound.Max[0], d.bound.Max[1] = t.world(e[2], e[1])
	t.base = t.set.ahead()
	low, high := t.address(t.base, e[0], e[3]), t.address(t.base, e[2], e[1])
	for row := low.Row; row <= high.Row; row++ {
		for col := low.Col; col <= high.Col; col++ {
			a := t.set.at(t.set.ahead(), col, row)
			d.divide(a, inTileOf(places, a))
		}
	}
	return d.blocks, nil
}

// sample gives places of rows, in units of the tile of zoom 0, and how many rows each
// stands for. There are none where one block is enough.
func (t *cutter) sample(ctx context.Context) (places []orb.Point, each float64, err error) {
	rows := float64(t.release.Rows)
	if rows <= t.plan.rows {
		return nil, 1, nil
	}
	percent := min(100, 100*sampled/rows)
	q := new(postgis.SQL).Raw("SELECT (ST_XMin(geom) + ST_XMax(geom)) / 2, (ST_YMin(geom) + ST_YMax(geom)) / 2 FROM ").Ident(t.release.Relation[:]...).
		Raw(" TABLESAMPLE SYSTEM (").Arg(percent).Raw("::real) REPEATABLE (1) WHERE geom IS NOT NULL AND NOT ST_IsEmpty(geom)")
	if t.area != nil {
		b := t.area.box
		q.Raw(" AND geom && ST_MakeEnvelope(").Arg(b[0]).Raw("::float8, ").Arg(b[1]).Raw("::float8, ").Arg(b[2]).Raw("::float8, ").Arg(b[3]).Raw("::float8, 4490)")
	}
	found, err := t.source.pool.Query(ctx, q.String(), append([]any{pgx.QueryExecModeDescribeExec}, q.Args()...)...)
	if err != nil {
		return nil, 0, fmt.Errorf("sample rows of %s: %w", t.dataset.ID, err)
	}
	var lon, lat float64
	if _, err := pgx.ForEachRow(found, []any{&lon, &lat}, func() error {
		x, y := t.world(lon, lat)
		places = append(places, orb.Point{x, y})
		return nil
	}); err != nil {
		return nil, 0, fmt.Errorf("sample rows of %s: %w", t.dataset.ID, err)
	}
	return places, 100 / percent, nil
}

// divider divides tiles into blocks.
type divider struct {
	*cutter
	each   float64
	bound  orb.Bound // of the release
	blocks []Address
}

// divide takes a tile as a block, or the four below it where it has too many rows.
func (d *divider) divide(a Address, places []orb.Point) {
	z := a.zoom()
	if z >= d.plan.last || float64(len(places))*d.each <= d.plan.rows && z >= d.plan.least {
		d.base = max(d.base, z)
		d.blocks = append(d.blocks, a)
		return
	}
	low, high := reach(d.bound, z+1, 0)
	for row := max(low[1], 2*a.Row); row <= min(high[1], 2*a.Row+1); row++ {
		for col := max(low[0], 2*a.Col); col <= min(high[0], 2*a.Col+1); col++ {
			below := d.set.at(z+1, col, row)
			d.divide(below, inTileOf(places, below))
		}
	}
}

// inTileOf are the places in a tile.
func inTileOf(places []orb.Point, a Address) (in []orb.Point) {
	z := a.zoom()
	for _, p := range places {
		if tileOf(p, z) == [2]int{a.Col, a.Row} {
			in = append(in, p)
		}
	}
	return in
}
