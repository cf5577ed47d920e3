package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"changde/ingest/crs"
	"changde/problem"
)

type transformationCommand struct {
	Add    transformationAddCommand    `cmd:"" help:"添加坐标转换（四参数、七参数或格网）到受保护的存储 / add a transformation to the protected store."`
	List   transformationListCommand   `cmd:"" help:"列出坐标转换，不含参数 / list the transformations, without their parameters."`
	Remove transformationRemoveCommand `cmd:"" help:"删除坐标转换 / remove a transformation."`
}

type transformationAddCommand struct {
	File string `arg:"" help:"JSON 文件，格网在同一文件夹；- 为标准输入 / JSON file, with its grid beside it; - for standard input."`
}

const maxTransformationBytes = 64 << 20

// Run reads the file, shows the residuals of its check points, and keeps it.
// Parameters are never shown.
func (c *transformationAddCommand) Run(ctx context.Context, s *settings, out *streams) error {
	var t *crs.Transformation
	if c.File == "-" {
		data, err := io.ReadAll(io.LimitReader(out.in, maxTransformationBytes))
		if err != nil {
			return fmt.Errorf("read standard input: %w", err)
		}
		if t, err = crs.ParseTransformation(data); err != nil {
			return err
		}
	} else {
		if _, err := os.Stat(c.File); err != nil {
			return problem.Wrap(err, problem.Invalid, "file-unreadable", c.File, "文件不存在或不可读", "the file does not exist or cannot be read")
		}
		var err error
		if t, err = crs.ReadTransformation(os.DirFS(filepath.Dir(c.File)), filepath.Base(c.File)); err != nil {
			return err
		}
	}
	i, done, err := s.ingester(ctx, s.logger(out))
	if err != nil {
		return err
	}
	defer done()
	if err := i.AddTransformation(ctx, t, s.decider("", "")); err != nil {
		return err
	}
	r := t.Residuals(nil)
	tab := newTable(out.out)
	tab.AppendHeader(table.Row{"检查点 check point", "东 east (m)", "北 north (m)", "距离 distance (m)"})
	for _, p := range r.Points {
		if p.Outside {
			tab.AppendRow(table.Row{p.Name, "", "", "范围外 outside"})
			continue
		}
		tab.AppendRow(table.Row{p.Name, fmt.Sprintf("%.4f", p.East), fmt.Sprintf("%.4f", p.North), fmt.Sprintf("%.4f", p.Distance)})
	}
	tab.Render()
	fmt.Fprintf(out.out, "坐标转换 %s 已添加：%d 个检查点，均方根 %.4f 米，最大 %.4f 米 / added: RMS %.4f m, worst %.4f m\n", t.ID(), r.Checked, r.RMS, r.Worst, r.RMS, r.Worst)
	return nil
}

type transformationListCommand struct{}

// Run lists the transformations.
func (c *transformationListCommand) Run(ctx context.Context, s *settings, out *streams) error {
	i, done, err := s.ingester(ctx, s.logger(out))
	if err != nil {
		return err
	}
	defer done()
	list, err := i.Transformations(ctx)
	if err != nil {
		return err
	}
	t := newTable(out.out)
	t.AppendHeader(table.Row{"标识 id", "方法 kind", "源坐标系 source", "默认 default", "检查点 points", "均方根 RMS (m)", "添加 added", "添加人 by"})
	for _, x := range list {
		t.AppendRow(table.Row{x.ID, x.Kind, x.Source, x.Default, x.Checked, fmt.Sprintf("%.4f", x.RMS), x.CreatedAt.Local().Format(time.DateTime), x.Actor})
	}
	t.Render()
	return nil
}

type transformationRemoveCommand struct {
	ID string `arg:"" help:"标识 / id."`
}

// Run removes a transformation; what was released by it stays.
func (c *transformationRemoveCommand) Run(ctx context.Context, s *settings, out *streams) error {
	i, done, err := s.ingester(ctx, s.logger(out))
	if err != nil {
		return err
	}
	defer done()
	if err := i.RemoveTransformation(ctx, c.ID, s.decider("", "")); err != nil {
		return err
	}
	fmt.Fprintf(out.out, "坐标转换 %s 已删除 / removed\n", c.ID)
	return nil
}
