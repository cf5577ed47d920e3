package main

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"changde/catalog"
	"changde/ingest"
)

// ingest loads the parcels by the platform, by ogr2ogr and by shp2pgsql, each
// from the same unpacked GBK Shapefile into EPSG:4490 with a spatial index.
func (b *bench) ingest(ctx context.Context) error {
	shp, err := unpack(b.parcels.File, filepath.Join(b.dir, "shp"))
	if err != nil {
		return err
	}
	var ours, ogr, pgsql []time.Duration
	for n := range b.runs {
		// A dataset of its own, or it would be compared with the run before.
		dataset := fmt.Sprintf("first_%d", n)
		d, err := timed(func() error { return b.release(ctx, dataset, shp, "") })
		if err != nil {
			return err
		}
		ours = append(ours, d)
		if err := b.drop(ctx, dataset); err != nil {
			return err
		}
		if _, err := exec.LookPath("ogr2ogr"); err == nil {
			if d, err = timed(func() error { return b.ogr2ogr(ctx, shp) }); err != nil {
				return err
			}
			ogr = append(ogr, d)
		}
		if _, err := exec.LookPath("shp2pgsql"); err == nil {
			if d, err = timed(func() error { return b.shp2pgsql(ctx, shp) }); err != nil {
				return err
			}
			pgsql = append(pgsql, d)
		}
	}
	what := "交付入库：检查、索引、发布 / delivery checked, indexed, released"
	b.add(what, "ogr2ogr COPY -t_srs EPSG:4490, GIST", ours, ogr, 0.4)
	b.add(what, fmt.Sprintf("shp2pgsql -D -s %d:4490 -I | psql", b.parcels.EPSG), ours, pgsql, 0.4)
	if err := b.load(ctx); err != nil {
		return err
	}
	if err := b.floor(ctx, ours); err != nil {
		return err
	}
	if err := b.changes(ctx, shp, ours); err != nil {
		return err
	}
	return b.rules(ctx, shp, ours)
}

// load releases the parcels once, unmeasured.
func (b *bench) load(ctx context.Context) error {
	if err := b.release(ctx, "dltb", b.parcels.File, ""); err != nil {
		return err
	}
	return b.open(ctx)
}

// floor copies the ready rows in PostgreSQL's binary format into a table made in
// the same transaction and indexes it: what no load can do without.
func (b *bench) floor(ctx context.Context, ours []time.Duration) error {
	var relation, file string
	if err := b.pool.QueryRow(ctx, "SELECT relation, current_setting('data_directory') || '/rows' FROM changde.datasets WHERE id = 'dltb'").Scan(&relation, &file); err != nil {
		return err
	}
	if _, err := b.pool.Exec(ctx, "COPY "+relation+" TO '"+file+"' (FORMAT binary)"); err != nil {
		return err
	}
	var floor []time.Duration
	for range b.runs {
		d, err := timed(func() error {
			_, err := b.pool.Exec(ctx, "BEGIN; SET LOCAL maintenance_work_mem = '512MB'; CREATE TABLE floor (LIKE "+relation+"); COPY floor FROM '"+file+"' (FORMAT binary); "+
				"ALTER TABLE floor ADD PRIMARY KEY (fid); CREATE UNIQUE INDEX ON floor (\""+b.parcels.BusinessKey+"\"); CREATE INDEX ON floor USING gist (geom); COMMIT")
			return err
		})
		if err != nil {
			return err
		}
		floor = append(floor, d)
		if _, err := b.pool.Exec(ctx, "DROP TABLE floor"); err != nil {
			return err
		}
	}
	b.add("交付入库 / delivery loaded and released", "COPY binary + 3 indexes, the floor", ours, floor, 2)
	return nil
}

// rules loads the parcels by their standard, with every quality rule.
func (b *bench) rules(ctx context.Context, shp string, full []time.Duration) error {
	d, err := timed(func() error { return b.release(ctx, "ruled", shp, "dltb-3") })
	if err != nil {
		return err
	}
	b.add("首次入库并查全部规则 / first load with every quality rule", "不查规则 / without rules", []time.Duration{d}, full, 0)
	rules := d - median(full)
	fmt.Printf("质量规则 quality rules：%s，每秒 %.0f 行 rows/s\n", show(rules), float64(b.parcels.Features)/rules.Seconds())
	return b.drop(ctx, "ruled")
}

// drop removes a dataset that was measured.
func (b *bench) drop(ctx context.Context, dataset string) error {
	_, err := b.pool.Exec(ctx, "DROP VIEW data."+dataset)
	if err != nil {
		return err
	}
	var tables []string
	if err := b.pool.QueryRow(ctx, "SELECT array_agg(format('content.%I', tablename)) FROM pg_tables WHERE schemaname = 'content' AND tablename ~ ('^' || $1 || '_d')", dataset).Scan(&tables); err != nil {
		return err
	}
	_, err = b.pool.Exec(ctx, "DROP TABLE "+strings.Join(tables, ", "))
	return err
}

func (b *bench) open(ctx context.Context) error {
	c, err := catalog.Open(ctx, b.pool, catalog.Config{})
	if err != nil {
		return err
	}
	d, ok := c.Snapshot().For(everything{}).Dataset("dltb")
	if !ok {
		return fmt.Errorf("the parcels are not released")
	}
	b.dataset = d
	return nil
}

// everything is a reader who may see all.
type everything struct{}

// MayRead implements catalog.Reader.
func (everything) MayRead(string, string) bool { return true }

func (b *bench) release(ctx context.Context, dataset, path, profile string) error {
	i := ingest.New(b.pool, ingest.Config{City: b.city})
	plan, err := i.Plan(ctx, ingest.Request{Files: []string{path}, Dataset: dataset, Confirm: true, Settings: ingest.Settings{
		BusinessKey: b.parcels.BusinessKey, Label: b.parcels.Label, Class: b.parcels.Class, Profile: profile,
	}})
	if err != nil {
		return err
	}
	_, err = i.Run(ctx, plan, nil)
	return err
}

func (b *bench) ogr2ogr(ctx context.Context, shp string) error {
	c := b.pool.Config().ConnConfig
	to := fmt.Sprintf("PG:host=%s port=%d user=%s dbname=%s", c.Host, c.Port, c.User, c.Database)
	return command(exec.CommandContext(ctx, "ogr2ogr", "-f", "PostgreSQL", to, shp, "-nln", "peer_ogr", "-overwrite",
		"-t_srs", "EPSG:4490", "-nlt", "PROMOTE_TO_MULTI", "-lco", "SPATIAL_INDEX=GIST", "-oo", "ENCODING=GBK", "--config", "PG_USE_COPY", "YES"))
}

func (b *bench) shp2pgsql(ctx context.Context, shp string) error {
	script := `set -o pipefail; shp2pgsql -d -D -s "$1":4490 -I -W GBK "$2" peer_shp 2>/dev/null | psql -q -v ON_ERROR_STOP=1 "$3" >/dev/null`
	if err := command(exec.CommandContext(ctx, "psql", "-q", b.url, "-c", "DROP TABLE IF EXISTS peer_shp; CREATE TABLE peer_shp (geom geometry)")); err != nil {
		return err
	}
	return command(exec.CommandContext(ctx, "bash", "-c", script, "bash", fmt.Sprint(b.parcels.EPSG), shp, b.url))
}

func command(c *exec.Cmd) error {
	var stderr bytes.Buffer
	c.Stderr = &stderr
	if err := c.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", c.Path, err, stderr.String())
	}
	return nil
}

func timed(f func() error) (time.Duration, error) {
	start := time.Now()
	err := f()
	return time.Since(start), err
}

// unpack writes the members of a zip of our own making and returns the .shp.
func unpack(path, dir string) (shp string, err error) {
	z, err := zip.OpenReader(path)
	if err != nil {
		return "", err
	}
	defer z.Close()
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	for _, m := range z.File {
		to := filepath.Join(dir, filepath.Base(m.Name))
		if filepath.Ext(to) == ".shp" {
			shp = to
		}
		if err := extract(m, to); err != nil {
			return "", err
		}
	}
	return shp, nil
}

func extract(m *zip.File, to string) error {
	r, err := m.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, r); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}
