package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"changde/access"
	"changde/catalog"
	"changde/problem"
	"changde/tiles"
)

type tilesCommand struct {
	Export tilesExportCommand `cmd:"" help:"把数据集的瓦片导出为离线包（PMTiles 或 MBTiles）/ write the tiles of datasets to a pack for use offline (PMTiles or MBTiles)."`
}

type tilesExportCommand struct {
	Datasets []string  `arg:"" name:"dataset" help:"数据集，每个成为一个图层 / datasets, a layer each."`
	Out      string    `name:"out" required:"" placeholder:"FILE" help:"输出文件，.pmtiles 或 .mbtiles / the file to write."`
	Box      []float64 `name:"bbox" placeholder:"W,S,E,N" help:"只导出此范围（度），图形在边界处切断 / this area alone, in degrees; shapes are cut off at its edge."`
	Zoom     string    `name:"zoom" default:"0-15" placeholder:"MIN-MAX" help:"级别，最深 18，默认 0-15 / zooms, 18 at the deepest, 0-15 by default."`
	Release  int       `name:"release" help:"版本，默认当前版；只限一个数据集 / release, the current one by default; for one dataset."`
	As       string    `name:"as" xor:"who" placeholder:"ORG" help:"只导出该单位可见的内容 / what this organisation may see alone."`
	Key      string    `name:"key" xor:"who" placeholder:"ID" help:"只导出该密钥（8 位编号）可见的内容 / what this key (by its id) may see alone."`
	Public   bool      `name:"public" xor:"who" help:"只导出公开的内容 / what everybody may see alone."`
	Force    bool      `name:"force" help:"覆盖已有文件 / replace a file that is there."`
}

// Run writes the pack.
func (c *tilesExportCommand) Run(ctx context.Context, s *settings, out *streams) error {
	pack := tiles.Pack{Path: c.Out, Replace: c.Force, Generator: "changde"}
	var err error
	if pack.MinZoom, pack.MaxZoom, err = parseZooms(c.Zoom); err != nil {
		return err
	}
	switch len(c.Box) {
	case 0:
	case 4:
		pack.Box = (*catalog.Bounds)(c.Box)
	default:
		return problem.New(problem.Invalid, "box-invalid", "--bbox", errBox.ZH, errBox.EN)
	}
	if c.Release != 0 && len(c.Datasets) > 1 {
		return problem.New(problem.Invalid, "export-release", "--release", "各数据集的版本号互不相干；给出 --release 时只能导出一个数据集",
			"each dataset has release numbers of its own; with --release export one dataset")
	}
	log := s.logger(out)
	pool, done, err := s.database(ctx, log)
	if err != nil {
		return err
	}
	defer done()
	reader, err := c.reader(ctx, pool)
	if err != nil {
		return err
	}
	known, err := catalog.Open(ctx, pool, catalog.Config{Log: log})
	if err != nil {
		return err
	}
	if pack.Parts, err = c.parts(known.Snapshot().For(reader)); err != nil {
		return err
	}
	if err := pack.Check(); err != nil {
		return err
	}
	if err := c.record(ctx, pool, pack.Parts); err != nil {
		return err
	}
	show, stop := showCount(out.err)
	pack.Progress = func(p tiles.Progress) {
		step := "合并写出 write"
		if p.Dataset != "" {
			step = "切片 cut " + p.Dataset
		}
		show(step, p.Done, p.Total)
	}
	packed, err := tiles.Export(ctx, pool, pack, tiles.Config{})
	stop()
	if err != nil {
		return err
	}
	for _, l := range packed.Layers {
		fmt.Fprintf(out.out, "%s：%d 个瓦片 / %d tiles\n", l.Dataset, l.Tiles, l.Tiles)
		if l.Thinned > 0 {
			fmt.Fprintf(out.out, "  其中 %d 个有未绘出的要素（过小或过多）/ %d of them leave features out that are too small or too many\n", l.Thinned, l.Thinned)
		}
	}
	fmt.Fprintf(out.out, "%s：%d 个瓦片，%.1f MB / %d tiles, %.1f MB\n", c.Out, packed.Tiles, float64(packed.Bytes)/1e6, packed.Tiles, float64(packed.Bytes)/1e6)
	return nil
}

// parseZooms reads MIN-MAX, or one zoom.
func parseZooms(text string) (low, high int, err error) {
	from, to, several := strings.Cut(text, "-")
	if !several {
		to = from
	}
	low, errLow := strconv.Atoi(strings.TrimSpace(from))
	high, errHigh := strconv.Atoi(strings.TrimSpace(to))
	if errLow != nil || errHigh != nil {
		return 0, 0, problem.New(problem.Invalid, "export-zoom", "--zoom", "应写作 最小-最大，例如 8-15", "must be MIN-MAX, such as 8-15")
	}
	return low, high, nil
}

// reader is who the pack is for: without a flag the operator, who sees everything.
func (c *tilesExportCommand) reader(ctx context.Context, pool *pgxpool.Pool) (catalog.Reader, error) {
	switch {
	case c.As != "":
		return access.NewStore(pool).AsOrganisation(ctx, c.As)
	case c.Key != "":
		return access.NewStore(pool).AsKey(ctx, c.Key)
	case c.Public:
		return access.Principal{}, nil
	}
	return operator{}, nil
}

// parts finds the datasets in a view. What the reader may not see is not there.
func (c *tilesExportCommand) parts(view catalog.View) ([]tiles.Part, error) {
	var parts []tiles.Part
	for _, id := range c.Datasets {
		d, ok := view.Dataset(id)
		if !ok {
			return nil, problem.New(problem.NotFound, "dataset-unknown", id, "没有这个数据集", "there is no such dataset")
		}
		r := d.Current
		if c.Release != 0 && c.Release != r.Number {
			if r, ok = d.Release(c.Release); !ok {
				return nil, problem.New(problem.NotFound, "release-not-kept", fmt.Sprintf("%s/%d", id, c.Release),
					"没有这个版本，或其内容已清除", "there is no such release, or its content is no longer kept")
			}
		}
		parts = append(parts, tiles.Part{Dataset: d, Release: r})
	}
	return parts, nil
}

// record notes who took what, before it is taken.
func (c *tilesExportCommand) record(ctx context.Context, pool *pgxpool.Pool, parts []tiles.Part) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		for _, p := range parts {
			detail := map[string]any{"release": p.Release.Number, "revision": p.Release.Revision, "zoom": c.Zoom, "file": filepath.Base(c.Out)}
			if c.Box != nil {
				detail["bbox"] = c.Box
			}
			if c.As+c.Key != "" {
				detail["for"] = c.As + c.Key
			} else if c.Public {
				detail["for"] = "public"
			}
			act := access.Act{Actor: console(), Action: "export-tiles", Object: "dataset:" + p.Dataset.ID, Detail: detail}
			if err := act.Record(ctx, tx); err != nil {
				return err
			}
		}
		return nil
	})
}
