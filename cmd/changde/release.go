package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"changde/ingest"
)

type releaseCommand struct {
	List     releaseListCommand     `cmd:"" help:"列出数据集的版本 / list a dataset's releases."`
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

type releaseRollbackCommand struct {
	Dataset string `arg:"" help:"数据集 / dataset."`
	To      int    `name:"to" help:"要恢复的版本，默认上一版 / release to restore, the one before by default."`
	Note    string `name:"note" help:"备注，例如文号 / note, such as a document number."`
}

// Run rolls back.
func (c *releaseRollbackCommand) Run(ctx context.Context, s *settings, out *streams) error {
	i, done, err := s.ingester(ctx, s.logger(out))
	if err != nil {
		return err
	}
	defer done()
	n, err := i.Rollback(ctx, c.Dataset, c.To, s.decider("", c.Note))
	if err != nil {
		return err
	}
	fmt.Fprintf(out.out, "%s：已回退，当前为第 %d 版 / rolled back, the current release is %d\n", c.Dataset, n, n)
	return nil
}

// ingester opens the database of a command that loads or releases.
func (s *settings) ingester(ctx context.Context, log *slog.Logger) (*ingest.Ingester, func(), error) {
	city, err := s.city()
	if err != nil {
		return nil, nil, err
	}
	pool, done, err := s.database(ctx, log)
	if err != nil {
		return nil, nil, err
	}
	return ingest.New(pool, ingest.Config{City: city, Log: log}), done, nil
}
