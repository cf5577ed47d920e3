package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"changde/ingest"
	"changde/problem"
)

type deliveryCommand struct {
	List     deliveryListCommand   `cmd:"" help:"列出交付与作业 / list deliveries and jobs."`
	Show     deliveryShowCommand   `cmd:"" help:"一个交付的报告 / the report of one delivery."`
	Report   deliveryReportCommand `cmd:"" help:"导出报告：html、json、xlsx、geojson、gpkg / write the report as a file."`
	Approve  approveCommand        `cmd:"" help:"批准发布 / approve the release."`
	Reject   rejectCommand         `cmd:"" help:"退回 / reject."`
	Withdraw withdrawCommand       `cmd:"" help:"撤回 / withdraw."`
	Retry    retryCommand          `cmd:"" help:"重新检查比对 / check and compare again."`
	Cancel   cancelCommand         `cmd:"" help:"取消等待或进行中的交付 / cancel one that waits or runs."`
}

type deliveryListCommand struct {
	Dataset string `name:"dataset" help:"数据集 / dataset."`
	State   string `name:"state" help:"状态 / state."`
	Limit   int    `name:"limit" default:"30" help:"条数 / how many."`
}

// Run lists the deliveries, the newest first.
func (c *deliveryListCommand) Run(ctx context.Context, s *settings, out *streams) error {
	i, done, err := s.ingester(ctx, s.logger(out))
	if err != nil {
		return err
	}
	defer done()
	list, _, err := i.Deliveries(ctx, s.decider("", ""), ingest.Filter{Dataset: c.Dataset, State: c.State, Limit: c.Limit})
	if err != nil {
		return err
	}
	t := newTable(out.out)
	t.AppendHeader(table.Row{"交付 delivery", "数据集 dataset", "状态 state", "交付单位 sender", "开始 started", "阻断/错误/提醒 block/error/warn", "变化 changes"})
	for _, d := range list {
		state := d.State
		if d.Progress != nil {
			state += fmt.Sprintf(" %s %d/%d", d.Progress.Phase, d.Progress.Done, d.Progress.Total)
		}
		t.AppendRow(table.Row{d.Delivery, d.Dataset, state, d.Sender, d.StartedAt.Local().Format(time.DateTime), fmt.Sprintf("%d/%d/%d", d.Blocking, d.Errors, d.Warnings), d.ZH + d.Error})
	}
	t.SetColumnConfigs([]table.ColumnConfig{{Number: 7, WidthMax: 60}})
	t.Render()
	return nil
}

type deliveryShowCommand struct {
	Delivery int64 `arg:"" help:"交付编号 / number."`
	Findings int   `name:"findings" default:"20" help:"显示的问题条数 / findings shown."`
}

// Run prints the report.
func (c *deliveryShowCommand) Run(ctx context.Context, s *settings, out *streams) error {
	i, done, err := s.ingester(ctx, s.logger(out))
	if err != nil {
		return err
	}
	defer done()
	d, err := i.Delivery(ctx, c.Delivery, c.Findings)
	if err != nil {
		return err
	}
	fmt.Fprintf(out.out, "%s：%s（%s）%s\n", d.Dataset, strings.Join(d.Files, "、"), d.State, d.Error)
	printReport(out.out, &d.Report)
	for _, decision := range d.Decisions {
		fmt.Fprintf(out.out, "%s %s %s %s %s %s\n", decision.DecidedAt.Local().Format(time.DateTime), decision.Action, decision.Actor, decision.Document, decision.Note, decision.Error)
	}
	return nil
}

type deliveryReportCommand struct {
	Delivery int64  `arg:"" help:"交付编号 / number."`
	File     string `arg:"" help:"输出文件，格式按扩展名 / file to write; its extension says the format."`
}

// Run writes the report.
func (c *deliveryReportCommand) Run(ctx context.Context, s *settings, out *streams) error {
	format := strings.TrimPrefix(strings.ToLower(filepath.Ext(c.File)), ".")
	if !slices.Contains(ingest.ReportFormats(), format) {
		return problem.New(problem.Invalid, "report-format", c.File, "扩展名应为 .html、.json、.xlsx、.geojson 或 .gpkg", "the extension is one of .html, .json, .xlsx, .geojson, .gpkg")
	}
	i, done, err := s.ingester(ctx, s.logger(out))
	if err != nil {
		return err
	}
	defer done()
	d, err := i.Delivery(ctx, c.Delivery, 0)
	if err != nil {
		return err
	}
	f, err := openReport(c.File)
	if err != nil {
		return err
	}
	err = i.WriteReport(ctx, f, d, format, nil)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	fmt.Fprintf(out.out, "报告已写入 / written: %s\n", c.File)
	return nil
}

type (
	approveCommand  struct{ decideFlags }
	rejectCommand   struct{ decideFlags }
	withdrawCommand struct{ decideFlags }
	retryCommand    struct{ decideFlags }
	cancelCommand   struct{ decideFlags }
)

// Run approves.
func (c *approveCommand) Run(ctx context.Context, s *settings, out *streams) error {
	return c.decide(ctx, s, out, ingest.Approve)
}

// Run rejects.
func (c *rejectCommand) Run(ctx context.Context, s *settings, out *streams) error {
	return c.decide(ctx, s, out, ingest.Reject)
}

// Run withdraws.
func (c *withdrawCommand) Run(ctx context.Context, s *settings, out *streams) error {
	return c.decide(ctx, s, out, ingest.Withdraw)
}

// Run begins again.
func (c *retryCommand) Run(ctx context.Context, s *settings, out *streams) error {
	return c.decide(ctx, s, out, ingest.Retry)
}

// Run cancels.
func (c *cancelCommand) Run(ctx context.Context, s *settings, out *streams) error {
	return c.decide(ctx, s, out, ingest.Cancel)
}

// decideFlags are what every decision takes.
type decideFlags struct {
	Delivery int64  `arg:"" help:"交付编号 / number."`
	Document string `name:"document" help:"文号 / document number."`
	Note     string `name:"note" help:"意见 / note."`
}

// decide carries out an action at once.
func (c *decideFlags) decide(ctx context.Context, s *settings, out *streams, action ingest.Action) error {
	i, done, err := s.ingester(ctx, s.logger(out))
	if err != nil {
		return err
	}
	defer done()
	if err := i.Decide(ctx, c.Delivery, action, s.decider(c.Document, c.Note)); err != nil {
		return err
	}
	d, err := i.Delivery(ctx, c.Delivery, 0)
	if err != nil {
		return err
	}
	fmt.Fprintf(out.out, "交付 %d：%s / delivery %d is %s\n", c.Delivery, d.State, c.Delivery, d.State)
	if d.Release > 0 {
		fmt.Fprintf(out.out, "已发布：%s 第 %d 版 / released: %s release %d\n", d.Dataset, d.Release, d.Dataset, d.Release)
	}
	return nil
}

// printDifference prints what a delivery changes.
func printDifference(w io.Writer, d *ingest.Difference) {
	fmt.Fprintf(w, "%s\n%s\n", d.ZH, d.EN)
	for _, note := range d.Schema {
		fmt.Fprintf(w, "  字段结构 fields: %s / %s\n", note.ZH, note.EN)
	}
	if len(d.Fields) > 0 {
		var fields []string
		for n, f := range d.Fields {
			if n == 12 {
				fields = append(fields, "…")
				break
			}
			fields = append(fields, fmt.Sprintf("%s %d", f.Field, f.Rows))
		}
		fmt.Fprintf(w, "  变更字段 changed fields: %s\n", strings.Join(fields, "，"))
	}
	before := make(map[string]ingest.ClassCount)
	for _, c := range d.Before.Classes {
		before[c.Class] = c
	}
	t := newTable(w)
	t.AppendHeader(table.Row{"分类 class", "原行数 rows before", "现行数 after", "原面积 area before (m²)", "现面积 after (m²)"})
	shown := 0
	for _, c := range d.After.Classes {
		if old := before[c.Class]; (old.Rows != c.Rows || abs(old.Area-c.Area) > 0.01) && shown < 20 {
			t.AppendRow(table.Row{c.Class, old.Rows, c.Rows, fmt.Sprintf("%.2f", old.Area), fmt.Sprintf("%.2f", c.Area)})
			shown++
		}
	}
	if shown > 0 {
		t.Render()
	}
}

func abs(v float64) float64 {
	if v < 0 {
		return -v
	}
	return v
}

// depotFolder is where delivered files wait when no depot is named.
func depotFolder(dir string) string { return filepath.Join(dir, "depot") }
