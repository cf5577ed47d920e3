package main

import (
	"context"
	"time"

	"changde/postgis"
	"changde/tiles"
)

// copies is how many cities like the sample one lie side by side where growth is
// measured, and apart how many degrees of longitude each is from the next.
const (
	copies = 5
	apart  = 3
)

// growth cuts the tiles of the parcels, and of several times as many.
func (b *bench) growth(ctx context.Context) error {
	d := *b.dataset
	r := *d.Current
	one, err := timed(func() error { return b.cutInto(ctx, new(tally)) })
	if err != nil {
		return err
	}
	many := [2]string{"content", "many"}
	q := new(postgis.SQL).Raw("CREATE TABLE ").Ident(many[:]...).Raw(" AS SELECT fid + k * ").Int(r.Rows).Raw(" AS fid, rev, span, ST_Translate(geom, k * ").Int(apart).Raw(", 0) AS geom")
	for _, c := range r.Columns {
		q.Raw(", ").Ident(c.Name)
	}
	q.Raw(" FROM ").Ident(r.Relation[:]...).Raw(" CROSS JOIN generate_series(0, ").Int(copies - 1).Raw(") k")
	for _, q := range []*postgis.SQL{
		q,
		new(postgis.SQL).Raw("CREATE INDEX ON ").Ident(many[:]...).Raw(" USING gist (geom)"),
		new(postgis.SQL).Raw("ANALYZE ").Ident(many[:]...),
	} {
		if _, err := b.pool.Exec(ctx, q.String()); err != nil {
			return err
		}
	}
	extent := *r.Extent
	extent[2] += apart * (copies - 1)
	r.Relation, r.Rows, r.Extent, r.Unpublished = many, copies*r.Rows, &extent, true
	d.Current = &r
	b.dataset = &d
	t := new(tally)
	all, err := timed(func() error { return b.cutInto(ctx, t) })
	if err != nil {
		return err
	}
	b.add("切全部瓦片，五倍的图斑 cut all tiles of five times as many parcels", "一倍 of the parcels", []time.Duration{all}, []time.Duration{one}, 5.5)
	return nil
}

func (b *bench) cutInto(ctx context.Context, t *tally) error {
	_, err := tiles.Cut(ctx, b.pool, b.dataset, b.dataset.Current, tiles.ArchiveZoom, tiles.Config{}, t)
	return err
}
