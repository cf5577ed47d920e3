package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"changde/access"
	"changde/catalog"
	sample "changde/examples/changde"
	"changde/features"
	"changde/ingest"
	"changde/postgis"
	"changde/problem"
	"changde/projects"
)

type sampleCommand struct {
	Dir   string  `name:"dir" default:"sample" help:"输出文件夹 / folder for the files."`
	Scale float64 `name:"scale" default:"0.03" help:"规模，1 为约 200 万图斑、80 万房屋、25 万道路 / 1 is about 2,000,000 parcels, 800,000 buildings, 250,000 roads."`
	Seed  int64   `name:"seed" default:"20120905" help:"随机种子；相同的种子与规模得到相同的文件 / the same seed and scale make the same files."`
	Load  bool    `name:"load" help:"写出后按普通交付入库 / load the files as ordinary deliveries."`
}

// Run writes the deliveries, and loads them when asked.
func (c *sampleCommand) Run(ctx context.Context, s *settings, out *streams) error {
	if c.Load {
		pool, done, err := s.database(ctx, s.logger(out))
		if err != nil {
			return err
		}
		defer done()
		l := sampleLoader{settings: s, pool: pool, dir: c.Dir, scale: c.Scale, seed: c.Seed, log: s.logger(out), out: out}
		return l.load(ctx)
	}
	_, err := writeSample(ctx, c.Dir, c.Scale, c.Seed, out)
	return err
}

func writeSample(ctx context.Context, dir string, scale float64, seed int64, out *streams) ([]sample.Delivery, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, problem.Wrap(err, problem.Invalid, "sample-folder", dir, "无法创建输出文件夹", "the folder cannot be made")
	}
	return sample.Write(ctx, sample.Options{Scale: scale, Seed: seed, Dir: dir, Log: func(line string) { fmt.Fprintln(out.out, line) }})
}

const defaultSeed = 20120905

// loadWhenEmpty loads the sample city into a database without any release, and
// goes on with a load that was interrupted.
func loadWhenEmpty(ctx context.Context, s *settings, url, dir string, scale float64, log *slog.Logger, out *streams) error {
	pool, err := postgis.Open(ctx, postgis.Config{URL: url, ApplicationName: "changde sample"})
	if err != nil {
		return err
	}
	defer pool.Close()
	l := sampleLoader{settings: s, pool: pool, dir: dir, scale: scale, seed: defaultSeed, log: log, out: out}
	if !exists(l.unfinished()) {
		var empty bool
		if err := pool.QueryRow(ctx, "SELECT NOT EXISTS (SELECT FROM changde.datasets WHERE kind = 'delivered' AND release > 0)").Scan(&empty); err != nil {
			return fmt.Errorf("look for datasets: %w", err)
		}
		if !empty {
			return nil
		}
	}
	return l.load(ctx)
}

// sampleLoader brings the sample city in by the ordinary paths: organisations and
// keys as an operator adds them, files as deliveries, projects as declarations.
// What is there already it leaves, so that it can be run again.
type sampleLoader struct {
	settings *settings
	pool     *pgxpool.Pool
	dir      string
	scale    float64
	seed     int64
	log      *slog.Logger
	out      *streams
}

// unfinished marks a load that has begun and not ended.
func (l *sampleLoader) unfinished() string { return filepath.Join(l.dir, "unfinished") }

func keyFile(dir string) string { return filepath.Join(dir, "keys.txt") }

func (l *sampleLoader) load(ctx context.Context) error {
	start := time.Now()
	if err := os.MkdirAll(l.dir, 0o755); err != nil {
		return problem.Wrap(err, problem.Invalid, "sample-folder", l.dir, "无法创建示例文件夹", "the sample's folder cannot be made")
	}
	if err := os.WriteFile(l.unfinished(), nil, 0o644); err != nil {
		return fmt.Errorf("mark the load: %w", err)
	}
	fmt.Fprintf(l.out.out, "载入示例城市（规模 %g）/ loading the sample city (scale %g)\n", l.scale, l.scale)
	deliveries, err := writeSample(ctx, l.dir, l.scale, l.seed, l.out)
	if err != nil {
		return err
	}
	if err := l.organisations(ctx); err != nil {
		return err
	}
	if err := l.deliver(ctx, deliveries); err != nil {
		return err
	}
	if err := l.declare(ctx); err != nil {
		return err
	}
	fmt.Fprintf(l.out.out, "示例城市已载入，用时 %.1f 秒 / loaded in %.1f s\n", time.Since(start).Seconds(), time.Since(start).Seconds())
	return os.Remove(l.unfinished())
}

// organisations adds the sample's organisations, each with a key. The keys are
// kept in a file only their owner can read: they open a sample, and a person must
// be able to find them again.
func (l *sampleLoader) organisations(ctx context.Context) error {
	store := access.NewStore(l.pool)
	known, err := store.Organisations(ctx)
	if err != nil {
		return err
	}
	have := make(map[string]bool)
	for _, o := range known {
		have[o.ID] = true
	}
	for _, o := range sample.Organisations() {
		if have[o.ID] {
			continue
		}
		if err := store.AddOrganisation(ctx, access.Organisation{ID: o.ID, NameZH: o.NameZH, NameEN: o.NameEN, Admin: o.Admin}); err != nil {
			return err
		}
		plain, _, err := store.CreateKey(ctx, o.ID, "示例 sample", access.Approver, time.Time{})
		if err != nil {
			return err
		}
		f, err := os.OpenFile(keyFile(l.dir), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return fmt.Errorf("keep key: %w", err)
		}
		_, err = fmt.Fprintf(f, "%s\t%s\t%s\n", o.ID, o.NameZH, plain)
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("keep key: %w", err)
		}
	}
	return nil
}

func (l *sampleLoader) deliver(ctx context.Context, deliveries []sample.Delivery) error {
	city, err := l.settings.city()
	if err != nil {
		return err
	}
	ingester := ingest.New(l.pool, ingest.Config{City: city, Log: l.log})
	for _, d := range deliveries {
		var released bool
		if err := l.pool.QueryRow(ctx, "SELECT EXISTS (SELECT FROM changde.datasets WHERE id = $1 AND release > 0)", d.Dataset).Scan(&released); err != nil {
			return fmt.Errorf("look for dataset %s: %w", d.Dataset, err)
		}
		if released {
			continue
		}
		request := ingest.Request{Files: []string{d.File}, Dataset: d.Dataset, Sender: d.Owner, Settings: ingest.Settings{
			TitleZH: d.TitleZH, TitleEN: d.TitleEN, Description: d.Description, Owner: d.Owner, Sharing: catalog.Sharing(d.Sharing),
			BusinessKey: d.BusinessKey, Label: d.Label, Class: d.Class, Profile: d.Profile, Attribution: d.Attribution, Synthetic: &d.Synthetic,
		}}
		if len(d.Rank) > 0 {
			request.Settings.Tiles = &catalog.TileRules{Rank: d.Rank}
		}
		if len(d.Box) == 4 {
			request.Settings.Box = &catalog.Bounds{d.Box[0], d.Box[1], d.Box[2], d.Box[3]}
		}
		plan, err := ingester.Plan(ctx, request)
		if err != nil {
			return fmt.Errorf("sample %s: %w", d.Dataset, err)
		}
		report, err := ingester.Run(ctx, plan, nil)
		if err != nil {
			return fmt.Errorf("sample %s: %w", d.Dataset, err)
		}
		fmt.Fprintf(l.out.out, "%s %s：发布 %d 行，拒收 %d，修复 %d / %d rows released\n", d.Dataset, d.TitleZH, report.Published, report.Refused, report.Repaired, report.Published)
	}
	return nil
}

// declare registers the sample's projects as the e-government office would, with
// links to features of the releases just made.
func (l *sampleLoader) declare(ctx context.Context) error {
	city, err := l.settings.city()
	if err != nil {
		return err
	}
	known, err := catalog.Open(ctx, l.pool, catalog.Config{Log: l.log})
	if err != nil {
		return err
	}
	office := access.Principal{Organisation: "egov", NameZH: "常德市电子政务办公室", Admin: true}
	view := known.Snapshot().For(office)
	store := projects.New(l.pool, features.NewStore(l.pool, features.Config{}), projects.Config{Box: city.Box})
	declared := 0
	for _, p := range sample.Projects() {
		declaration, err := projects.ParseDeclaration(p.Declaration())
		if err != nil {
			return fmt.Errorf("sample project %s: %w", p.Code, err)
		}
		_, err = store.Declare(ctx, office, view, declaration)
		if problem.Is(err, problem.Conflict) { // declared by the load that was interrupted
			continue
		}
		if err != nil {
			return fmt.Errorf("sample project %s: %w", p.Code, err)
		}
		declared++
	}
	fmt.Fprintf(l.out.out, "projects 电子政务工程项目：登记 %d 个 / %d projects declared\n", declared, declared)
	return nil
}
