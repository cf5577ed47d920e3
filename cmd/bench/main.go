// Command bench measures the platform against its peers in one run: the same
// files, the same cluster, the same machine. It prints medians and ratios;
// absolute figures drift from machine to machine.
//
//	make bench                        20,000 parcels, a minute or two
//	make bench ARGS="--scale 0.1"     200,000 parcels
//	make bench ARGS="--scale 1 --runs 3"
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"changde/catalog"
	sample "changde/examples/changde"
	"changde/postgis"
	"changde/schemas"
)

func main() {
	scale := flag.Float64("scale", 0.01, "scale of the sample city")
	runs := flag.Int("runs", 5, "runs of each load; the median counts")
	only := flag.String("only", "", "ingest, changes (of ingest, without the peers), cut, growth (of cut), archive, tiles or items")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *scale, *runs, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is what the measurements share.
type bench struct {
	url      string
	pool     *pgxpool.Pool
	city     catalog.City
	dir      string
	parcels  sample.Delivery
	runs     int
	dataset  *catalog.Dataset
	outcomes []outcome
}

// outcome is one row of the table: ours and a peer's median, and the ratio that
// is allowed. bar is 0 where there is none.
type outcome struct {
	what, peer   string
	ours, theirs time.Duration
	bar          float64
}

func run(ctx context.Context, scale float64, runs int, only string) error {
	dir, err := os.MkdirTemp("", "changde-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // the cluster's user passes through
		return err
	}
	cluster, err := postgis.StartCluster(ctx, postgis.ClusterConfig{Dir: filepath.Join(dir, "cluster"), Durable: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer func() { _ = cluster.Stop(context.Background()) }()
	if err := schemas.Migrate(ctx, cluster.URL()); err != nil {
		return err
	}
	b := &bench{url: cluster.URL(), dir: filepath.Join(dir, "sample"), runs: runs}
	if b.pool, err = postgis.Open(ctx, postgis.Config{URL: b.url}); err != nil {
		return err
	}
	defer b.pool.Close()
	if b.city, err = sample.City(); err != nil {
		return err
	}
	if err := b.write(ctx, scale); err != nil {
		return err
	}
	fmt.Printf("规模 scale %g：%d 图斑 parcels，%d 核 cores\n", scale, b.parcels.Features, runtime.GOMAXPROCS(0))
	if only == "changes" {
		err := b.onlyChanges(ctx)
		b.print()
		return err
	}
	for _, m := range []struct {
		name    string
		measure func(context.Context) error
		apart   bool // measured where it is named alone
	}{
		{name: "ingest", measure: b.ingest},
		{name: "cut", measure: b.cut},
		{name: "archive", measure: b.archived},
		{name: "tiles", measure: b.tiles},
		{name: "items", measure: b.items},
		{name: "growth", measure: b.growth, apart: true},
	} {
		if only != m.name && (only != "" || m.apart) {
			if m.name == "ingest" { // the others need the parcels
				if err := b.load(ctx); err != nil {
					return err
				}
			}
			continue
		}
		if err := m.measure(ctx); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	b.print()
	return nil
}

func (b *bench) write(ctx context.Context, scale float64) error {
	if err := os.Mkdir(b.dir, 0o755); err != nil {
		return err
	}
	deliveries, err := sample.Write(ctx, sample.Options{Scale: scale, Seed: 1, Dir: b.dir})
	if err != nil {
		return err
	}
	for _, d := range deliveries {
		if d.Dataset == "dltb" {
			b.parcels = d
		}
	}
	return nil
}

func (b *bench) add(what, peer string, ours, theirs []time.Duration, bar float64) {
	b.outcomes = append(b.outcomes, outcome{what: what, peer: peer, ours: median(ours), theirs: median(theirs), bar: bar})
}

func median(v []time.Duration) time.Duration {
	if len(v) == 0 {
		return 0
	}
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

func (b *bench) print() {
	t := table.NewWriter()
	t.SetOutputMirror(os.Stdout)
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header = text.FormatDefault
	t.AppendHeader(table.Row{"测量 what", "本平台 ours", "对照 peer", "对照值 theirs", "比值 ratio", "指标 bar", ""})
	for _, o := range b.outcomes {
		ratio, bar, verdict := "", "", ""
		if o.theirs > 0 {
			r := float64(o.ours) / float64(o.theirs)
			ratio = fmt.Sprintf("%.2f", r)
			if o.bar > 0 {
				bar, verdict = fmt.Sprintf("≤ %.2f", o.bar), "达标 pass"
				if r > o.bar {
					verdict = "未达 miss"
				}
			}
		}
		theirs := "没有安装 not installed"
		if o.theirs > 0 {
			theirs = show(o.theirs)
		}
		t.AppendRow(table.Row{o.what, show(o.ours), o.peer, theirs, ratio, bar, verdict})
	}
	t.Render()
}

func show(d time.Duration) string {
	if d >= time.Second {
		return fmt.Sprintf("%.2f s", d.Seconds())
	}
	return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1000)
}
