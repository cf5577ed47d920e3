package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"

	"changde/ingest"
	"changde/ingest/charset"
	"changde/ingest/layer"
	"changde/ingest/shapefile"
)

// onlyChanges loads the parcels once and measures what differs from them.
func (b *bench) onlyChanges(ctx context.Context) error {
	shp, err := unpack(b.parcels.File, filepath.Join(b.dir, "shp"))
	if err != nil {
		return err
	}
	full, err := timed(func() error { return b.release(ctx, "dltb", shp, "") })
	if err != nil {
		return err
	}
	return b.changes(ctx, shp, []time.Duration{full})
}

// part is one row in a hundred, as SQL and by the number of the row.
type part struct {
	zh, en string
	sql    string
	has    func(row, rows int64) bool
}

var parts = []part{
	{"遍布全市", "from all over the city", "fid % 100 = 7", func(row, _ int64) bool { return row%100 == 7 }},
	{"集中一片", "of one part", "fid <= (SELECT max(fid) / 100 FROM data.dltb)", func(row, rows int64) bool { return row <= rows/100 }},
}

// changes delivers one row in a hundred, changed, as a differential delivery: rows
// from all over the city and those of one part of it, each in the format of the full
// delivery and as GeoJSON. Then all rows again.
func (b *bench) changes(ctx context.Context, shp string, full []time.Duration) error {
	formats := []struct {
		name  string
		write func(ctx context.Context, shp string, p part, remark string) (string, error)
	}{{"GBK Shapefile", b.changedShapefile}, {"GeoJSON", b.changedGeoJSON}}
	times := make(map[string][]time.Duration)
	var same []time.Duration
	name := func(p part, format string) string {
		return fmt.Sprintf("差异交付 1 %%，%s / differential delivery of 1 %%, %s, %s", p.zh, p.en, format)
	}
	for n := range b.runs {
		for _, f := range formats {
			for _, p := range parts {
				path, err := f.write(ctx, shp, p, fmt.Sprintf("第 %d 次变更 %.3s", n, f.name))
				if err != nil {
					return err
				}
				d, err := b.differential(ctx, path)
				if err != nil {
					return err
				}
				times[name(p, f.name)] = append(times[name(p, f.name)], d)
			}
		}
		d, err := timed(func() error { return b.release(ctx, "dltb", shp, "") })
		if err != nil {
			return err
		}
		same = append(same, d)
	}
	for _, f := range formats {
		for _, p := range parts {
			b.add(name(p, f.name), "全量首次入库 / our first full load", times[name(p, f.name)], full, 0.05)
		}
	}
	b.add("全量再交付，2 % 不同 / full delivery again, 2 % differs", "全量首次入库 / our first full load", same, full, 0)
	return nil
}

// differential delivers changed parcels.
func (b *bench) differential(ctx context.Context, path string) (time.Duration, error) {
	// The first write of a page after a checkpoint logs all of it: a monthly delivery
	// meets no page that was written since.
	if _, err := b.pool.Exec(ctx, "CHECKPOINT"); err != nil {
		return 0, err
	}
	i := ingest.New(b.pool, ingest.Config{City: b.city})
	return timed(func() error {
		plan, err := i.Plan(ctx, ingest.Request{Files: []string{path}, Dataset: "dltb", Mode: ingest.Changes, Confirm: true})
		if err != nil {
			return err
		}
		report, err := i.Run(ctx, plan, nil)
		if err == nil && (report.Refused > 0 || report.Difference.Changed == 0) {
			return fmt.Errorf("the differential delivery changed %d rows and lost %d", report.Difference.Changed, report.Refused)
		}
		return err
	})
}

// changedShapefile writes some of the parcels with another remark and a change flag,
// otherwise as they were delivered.
func (b *bench) changedShapefile(_ context.Context, shp string, p part, remark string) (string, error) {
	info, err := shapefile.Inspect(shp)
	if err != nil {
		return "", err
	}
	decoder, err := charset.NewDecoder("GBK")
	if err != nil {
		return "", err
	}
	r, err := shapefile.Open(shp, shapefile.Options{Decode: decoder.Decode})
	if err != nil {
		return "", err
	}
	defer r.Close()
	fields := append(r.Fields(), layer.Field{Name: "op", Type: layer.Text, Width: 1})
	path := filepath.Join(b.dir, "changes.shp")
	encoder := simplifiedchinese.GBK.NewEncoder()
	w, err := shapefile.Create(path, shapefile.WriteOptions{
		Type: info.ShapeType, Fields: fields, PRJ: info.PRJ, CPG: "GBK", LDID: 0x4d,
		Encode: func(s string) ([]byte, error) { return encoder.Bytes([]byte(s)) },
	})
	if err != nil {
		return "", err
	}
	for {
		f, err := r.Next()
		if errors.Is(err, io.EOF) {
			return path, w.Close()
		}
		if err != nil {
			return "", errors.Join(err, w.Close())
		}
		if !p.has(f.Row, info.Records) {
			continue
		}
		for n, field := range fields {
			switch field.Name {
			case "BZ":
				f.Values[n] = remark
			case "op":
				f.Values = append(f.Values, "U")
			}
		}
		if err := w.Write(f.Geom, f.Values); err != nil {
			return "", errors.Join(err, w.Close())
		}
	}
}

// changedGeoJSON writes some of the parcels with another remark and a change flag.
func (b *bench) changedGeoJSON(ctx context.Context, _ string, p part, remark string) (string, error) {
	path := filepath.Join(b.dir, "changes.geojson")
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	rows, err := b.pool.Query(ctx, `SELECT json_build_object('type', 'Feature', 'geometry', ST_AsGeoJSON(geom, 12)::json,
		'properties', to_jsonb(d) - 'fid' - 'rev' - 'geom' || jsonb_build_object('BZ', $1::text, 'op', 'U'))::text
		FROM data.dltb d WHERE `+p.sql+` ORDER BY fid`, remark)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	w := bufio.NewWriter(f)
	for rows.Next() {
		if _, err := w.Write(append(rows.RawValues()[0], '\n')); err != nil {
			return "", err
		}
	}
	if err := errors.Join(rows.Err(), w.Flush()); err != nil {
		return "", err
	}
	return path, nil
}
