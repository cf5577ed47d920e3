package main

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"changde/catalog"
	"changde/features"
	"changde/tiles"
)

// archived cuts the parcels into an archive, reads cold tiles of every zoom from
// it, and after each of some edits waits for the fresh tile.
func (b *bench) archived(ctx context.Context) error {
	log := slog.New(slog.DiscardHandler)
	archives, err := tiles.OpenArchives(b.pool, filepath.Join(b.dir, "tiles"), log)
	if err != nil {
		return err
	}
	d, err := timed(func() error { return archives.Build(ctx, b.dataset, b.dataset.Current, b.dataset.Current.Revision) })
	if err != nil {
		return err
	}
	fmt.Printf("切片入档 cut into an archive：%s", show(d))
	files, err := os.ReadDir(filepath.Join(b.dir, "tiles"))
	if err != nil {
		return err
	}
	for _, f := range files {
		if info, err := f.Info(); err == nil {
			fmt.Printf("，%s %.1f MB", filepath.Ext(f.Name()), float64(info.Size())/1e6)
		}
	}
	fmt.Println()
	for _, zooms := range [][2]int{{0, tiles.ArchiveZoom}, {tiles.ArchiveZoom + 1, tiles.MaxTileZoom}, {tiles.MaxTileZoom + 1, tiles.MaxZoom}} {
		if err := b.coldOf(ctx, archives, zooms); err != nil {
			return err
		}
	}
	return b.fresh(ctx, archives, log)
}

// coldOf reads tiles of some zooms anywhere in the parcels' extent, each for the first
// time.
func (b *bench) coldOf(ctx context.Context, archives *tiles.Archives, zooms [2]int) error {
	e := b.dataset.Current.Extent
	r := rand.New(rand.NewPCG(1, 1))
	var cold []time.Duration
	for range 2000 {
		z := zooms[0] + r.IntN(zooms[1]-zooms[0]+1)
		a := around(e[0]+r.Float64()*(e[2]-e[0]), e[1]+r.Float64()*(e[3]-e[1]), z)[4]
		// A source of its own has nothing cached.
		source := tiles.NewSource(b.pool, tiles.Config{Archives: archives})
		d, err := timed(func() error { _, err := source.Tile(ctx, b.dataset, b.dataset.Current, a); return err })
		if err != nil {
			return err
		}
		cold = append(cold, d)
	}
	fmt.Printf("发布后的冷瓦片 cold tile after a release z%d-%d：%s\n", zooms[0], zooms[1], quantiles(cold))
	return nil
}

// quantiles tells the median, the 95th percentile and the largest.
func quantiles(v []time.Duration) string {
	v = slices.Sorted(slices.Values(v))
	return fmt.Sprintf("p50 %s, p95 %s, max %s", show(v[len(v)/2]), show(v[len(v)*95/100]), show(v[len(v)-1]))
}

// fresh edits parcels and reads tiles that they lie in, as a server does: told of
// the revision by the database.
func (b *bench) fresh(ctx context.Context, archives *tiles.Archives, log *slog.Logger) error {
	if _, err := b.pool.Exec(ctx, "UPDATE changde.datasets SET editable = true WHERE id = 'dltb'"); err != nil {
		return err
	}
	known, err := catalog.Open(ctx, b.pool, catalog.Config{Log: log})
	if err != nil {
		return err
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	go func() { _ = known.Watch(watching) }() // ends with the context
	time.Sleep(time.Second)
	store := features.NewStore(b.pool, features.Config{})
	source := tiles.NewSource(b.pool, tiles.Config{Archives: archives})
	current := func() *catalog.Dataset {
		d, _ := known.Snapshot().For(everything{}).Dataset("dltb")
		return d
	}
	edits := []struct {
		name, which, geometry, class string
	}{
		{"属性 attributes", "true", "geom", `"DLBM"`},
		{"小图斑的图形与地类 shape and class of a small parcel", "span < 0.0006", "ST_Scale(geom, ST_MakePoint(0.9, 0.9), ST_Centroid(geom))", `(SELECT "DLBM" FROM data.dltb WHERE fid = d.fid / 2 + 1)`},
	}
	r := rand.New(rand.NewPCG(2, 2))
	zooms := []int{15, 14, 13, 12, 10, 8, 5}
	for _, edit := range edits {
		waits := make(map[int][]time.Duration)
		for range 40 {
			for _, z := range zooms {
				var fid int64
				var feature string
				var lon, lat float64
				if err := b.pool.QueryRow(ctx, `SELECT fid, json_build_object('type', 'Feature', 'geometry', ST_AsGeoJSON(`+edit.geometry+`, 12)::json,
					'properties', to_jsonb(d) - 'fid' - 'rev' - 'geom' || jsonb_build_object('BZ', $2::text, 'DLBM', `+edit.class+`))::text, ST_XMin(geom), ST_YMin(geom)
					FROM data.dltb d WHERE fid = (SELECT fid FROM content.dltb_d1 WHERE fid >= $1 AND `+edit.which+` ORDER BY fid LIMIT 1)`,
					1+r.Int64N(current().Current.Rows*9/10), fmt.Sprint(r.Int64())).Scan(&fid, &feature, &lon, &lat); err != nil {
					return err
				}
				a := around(lon, lat, z)[4]
				start := time.Now()
				_, revision, err := store.Write(ctx, current(), features.Edit{FID: fid, Feature: []byte(feature), Box: catalog.Bounds{-180, -90, 180, 90}})
				if err != nil {
					return err
				}
				for current().Revision < revision {
					time.Sleep(200 * time.Microsecond)
				}
				if _, err := source.Tile(ctx, current(), current().Current, a); err != nil {
					return err
				}
				waits[z] = append(waits[z], time.Since(start))
			}
		}
		for _, z := range zooms {
			fmt.Printf("编辑提交到新瓦片 edit to fresh tile，%s z%d：%s\n", edit.name, z, quantiles(waits[z]))
		}
	}
	return nil
}
