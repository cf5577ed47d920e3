package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"changde/catalog"
	"changde/ingest"
	"changde/problem"
)

type releaseCommand struct {
	List     releaseListCommand     `cmd:"" help:"列出数据集的版本 / list a dataset's releases."`
	Diff     releaseDiffCommand     `cmd:"" help:"比较两个版本 / compare two releases."`
	Rollback releaseRollbackCommand `cmd:"" help:"恢复较早的版本，一步完成 / bring an earlier release back, in one step."`
}

type releaseListCommand struct {
	Dataset string `arg:"" help:"数据集 / dataset."`
}

// Run prints the releases, the current one marked.
func (c *releaseListCommand) Run(ctx context.Context, s *settings, out *streams) error {
	i, done, err := s.ingester(ctx, s.logger(out))
	if err != nil {
		return err
	}
	defer done()
	releases, err := i.Releases(ctx, c.Dataset)
	if err != nil {
		return err
	}
	t := newTable(out.out)
	t.AppendHeader(table.Row{"版本 release", "修订 revision", "行数 rows", "发布时间 released", "交付 delivery", "恢复 restores", "内容 content", "备注 note"})
	for _, r := range releases {
		mark, restores, content := "", "", "保留 kept"
		if r.Current {
			mark = " ← 当前 current"
		}
		if r.Restores != 0 {
			restores = fmt.Sprint(r.Restores)
		}
		if !r.Kept {
			content = "已清除 dropped"
		}
		t.AppendRow(table.Row{fmt.Sprint(r.Number) + mark, r.Revision, r.Rows, r.ReleasedAt.Local().Format(time.DateTime), r.Delivery, restores, content, r.Note})
	}
	t.Render()
	return nil
}

type releaseDiffCommand struct {
	Dataset string `arg:"" help:"数据集 / dataset."`
	From    int    `arg:"" help:"较早的版本 / earlier release."`
	To      int    `arg:"" optional:"" help:"较晚的版本，默认当前版 / later release, the current one by default."`
}

// Run prints what differs.
func (c *releaseDiffCommand) Run(ctx context.Context, s *settings, out *streams) error {
	log := s.logger(out)
	pool, done, err := s.database(ctx, log)
	if err != nil {
		return err
	}
	defer done()
	config, err := s.ingestConfig(pool, "", log)
	if err != nil {
		return err
	}
	known, err := catalog.Open(ctx, pool, catalog.Config{Log: log})
	if err != nil {
		return err
	}
	d, ok := known.Snapshot().For(operator{}).Dataset(c.Dataset)
	if !ok {
		return problem.New(problem.NotFound, "dataset-unknown", c.Dataset, "没有这个数据集", "there is no such dataset")
	}
	if c.To == 0 {
		c.To = d.Current.Number
	}
	var sides [2]*catalog.Release
	for n, number := range []int{c.From, c.To} {
		if sides[n], ok = d.Release(number); !ok {
			return problem.New(problem.NotFound, "release-not-kept", fmt.Sprintf("%s/%d", c.Dataset, number), "没有这个版本，或其内容已清除", "there is no such release, or its content is no longer kept")
		}
	}
	difference, list, err := ingest.New(pool, config).Between(ctx, d, sides[0], sides[1])
	if err != nil {
		return err
	}
	printDifference(out.out, difference)
	for n, f := range list {
		if n == 50 {
			fmt.Fprintf(out.out, "… 共 %d 个 / in all\n", len(list))
			break
		}
		shape := ""
		if f.Moved {
			shape = "图形 shape"
		}
		fmt.Fprintf(out.out, "%s fid %d %s %s %s\n", f.Kind, f.FID, f.Key, strings.Join(f.Fields, ","), shape)
	}
	return nil
}

type releaseRollbackCommand struct {
	Dataset  string `arg:"" help:"数据集 / dataset."`
	To       int    `name:"to" help:"要恢复的版本，默认上一版 / release to restore, the one before by default."`
	Document string `name:"document" help:"文号 / document number."`
	Note     string `name:"note" help:"备注 / note."`
}

// Run rolls back.
func (c *releaseRollbackCommand) Run(ctx context.Context, s *settings, out *streams) error {
	i, done, err := s.ingester(ctx, s.logger(out))
	if err != nil {
		return err
	}
	defer done()
	restored, err := i.Rollback(ctx, c.Dataset, c.To, s.decider(c.Document, c.Note))
	if err != nil {
		return err
	}
	fmt.Fprintf(out.out, "%s：已回退，当前为第 %d 版 / rolled back, the current release is %d\n", c.Dataset, restored.Release, restored.Release)
	for _, x := range restored.Cleared {
		fmt.Fprintf(out.out, "该版没有字段 %s，设置 %s 已取消 / that release lacks the field %s, the setting %s is cleared\n", x.Field, x.Setting, x.Field, x.Setting)
	}
	return nil
}

// ingester opens the database of a command that loads or releases.
func (s *settings) ingester(ctx context.Context, log *slog.Logger) (*ingest.Ingester, func(), error) {
	pool, done, err := s.database(ctx, log)
	if err != nil {
		return nil, nil, err
	}
	store := s.Depot
	if store == "" && s.Database == "" {
		if dir, err := s.dataFolder(); err == nil && exists(depotFolder(dir)) {
			store = depotFolder(dir)
		}
	}
	config, err := s.ingestConfig(pool, store, log)
	if err != nil {
		done()
		return nil, nil, err
	}
	return ingest.New(pool, config), done, nil
}
