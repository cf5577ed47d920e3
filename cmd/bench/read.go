package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"changde/features"
	"changde/postgis"
	"changde/tiles"
)

// tiles makes cold tiles over the parcels' middle at several levels, and asks
// PostGIS for the same tiles by the SQL that dynamic tile servers send.
func (b *bench) tiles(ctx context.Context) error {
	e := b.dataset.Current.Extent
	if e == nil {
		return fmt.Errorf("the parcels have no extent")
	}
	lon, lat := (e[0]+e[2])/2, (e[1]+e[3])/2
	for _, band := range [][2]int{{10, 11}, {12, 13}, {14, 16}} {
		var ours, theirs []time.Duration
		for z := band[0]; z <= band[1]; z++ {
			for _, a := range around(lon, lat, z) {
				// A source of its own has nothing cached.
				d, err := timed(func() error {
					_, err := tiles.NewSource(b.pool, tiles.Config{}).Tile(ctx, b.dataset, b.dataset.Current, a)
					return err
				})
				if err != nil {
					return err
				}
				ours = append(ours, d)
				if d, err = timed(func() error { return b.asMVT(ctx, a) }); err != nil {
					return err
				}
				theirs = append(theirs, d)
			}
		}
		b.add(fmt.Sprintf("冷瓦片 cold tile z%d-%d", band[0], band[1]), "ST_AsMVT(ST_AsMVTGeom(ST_Transform))", ours, theirs, 0.5)
	}
	return nil
}

// around gives the tile at a place and its eight neighbours.
func around(lon, lat float64, z int) []tiles.Address {
	n := math.Exp2(float64(z))
	rad := lat * math.Pi / 180
	col := int((lon + 180) / 360 * n)
	row := int((1 - math.Asinh(math.Tan(rad))/math.Pi) / 2 * n)
	var out []tiles.Address
	for dr := -1; dr <= 1; dr++ {
		for dc := -1; dc <= 1; dc++ {
			out = append(out, tiles.Address{Set: "WebMercatorQuad", Z: z, Row: row + dr, Col: col + dc})
		}
	}
	return out
}

func (b *bench) asMVT(ctx context.Context, a tiles.Address) error {
	r := b.dataset.Current
	s := new(postgis.SQL)
	s.Raw("SELECT ST_AsMVT(t, 'dltb', 4096, 'geom', 'fid') FROM (SELECT fid")
	for _, c := range tiles.TileColumns(b.dataset, r, a.Z) {
		s.Raw(", ").Ident(c.Name)
	}
	s.Raw(", ST_AsMVTGeom(ST_Transform(geom, 3857), ST_TileEnvelope(").Int(int64(a.Z)).Raw(", ").Int(int64(a.Col)).Raw(", ").Int(int64(a.Row)).
		Raw("), 4096, 64, true) AS geom FROM ").Ident(r.Relation[0], r.Relation[1]).
		Raw(" WHERE geom && ST_Transform(ST_TileEnvelope(").Int(int64(a.Z)).Raw(", ").Int(int64(a.Col)).Raw(", ").Int(int64(a.Row)).
		Raw(", margin => 64.0/4096), 4490)) t WHERE geom IS NOT NULL")
	var tile []byte
	return b.pool.QueryRow(ctx, s.String()).Scan(&tile)
}

// items reads pages of 1,000 features, and asks PostGIS for the same by the SQL
// that feature servers send.
func (b *bench) items(ctx context.Context) error {
	store := features.NewStore(b.pool, features.Config{})
	r := b.dataset.Current
	var ours, theirs []time.Duration
	buffer := make([]byte, 0, 4<<20)
	for n := range 30 {
		after := int64(n) * min(1000, max(0, r.Rows-1000)/30)
		d, err := timed(func() error {
			_, _, err := store.Items(ctx, b.dataset, r, features.Query{Limit: 1000, AfterFID: &after}, buffer, nil)
			return err
		})
		if err != nil {
			return err
		}
		ours = append(ours, d)
		s := new(postgis.SQL)
		s.Raw("SELECT json_agg(f) FROM (SELECT json_build_object('type', 'Feature', 'id', fid, 'geometry', ST_AsGeoJSON(geom)::json, 'properties', to_jsonb(t) - 'geom') f FROM (SELECT * FROM ").
			Ident(r.Relation[0], r.Relation[1]).Raw(" WHERE fid > ").Arg(after).Raw(" ORDER BY fid LIMIT 1000) t) x")
		if d, err = timed(func() error {
			var page []byte
			return b.pool.QueryRow(ctx, s.String(), s.Args()...).Scan(&page)
		}); err != nil {
			return err
		}
		theirs = append(theirs, d)
	}
	b.add("一页 1000 要素 / page of 1,000 features", "json_agg(ST_AsGeoJSON)", ours, theirs, 0.4)
	return nil
}
