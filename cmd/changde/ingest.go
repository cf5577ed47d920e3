package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"changde/ingest"
	"changde/ingest/profile"
	"changde/problem"
)

type ingestCommand struct {
	Files    []string `arg:"" name:"file" help:"交付文件：.zip .shp .gpkg .geojson / files of one delivery."`
	Dataset  string   `name:"dataset" help:"目标数据集标识；不给出则按以往交付与标准逐图层判断 / dataset id; without it each layer's is told by earlier deliveries and standards."`
	Layers   []string `name:"layer" help:"含多个图层时指定；多个为同一图层的分幅 / which layers, when there are several; several are sheets of one."`
	Encoding string   `name:"encoding" help:"指定文字编码，例如 GBK / text encoding, overrules the evidence."`
	CRS      string   `name:"crs" placeholder:"EPSG" help:"指定坐标系：EPSG 代码、GCJ-02、BD-09 或坐标转换标识 / EPSG code, GCJ-02, BD-09 or the id of a transformation."`
	Invalid  string   `name:"invalid" default:"repair" enum:"repair,refuse" help:"无效几何：repair 修复或 refuse 拒收 / invalid geometry: ${enum}."`
	Plan     bool     `name:"plan" help:"只显示计划 / print the plan only."`
	Yes      bool     `name:"yes" short:"y" help:"接受计划 / accept the plan."`
	Report   string   `name:"report" placeholder:"FILE" help:"把报告写成 JSON / write the report as JSON."`
	Sender   string   `name:"sender" help:"交付单位 / sending organisation."`
	Mode     string   `name:"mode" default:"full" enum:"full,changes,append" help:"full 全量；changes 差异（增改删标识）；append 追加 / what the rows are: ${enum}."`
	Geometry string   `name:"geometry-columns" placeholder:"COLUMN|X,Y" help:"文本表的几何列：一列 WKT，或东（经度）、北（纬度）两列 / columns of a text table that are its geometry."`
	Flag     string   `name:"change-field" placeholder:"FIELD" help:"差异交付的变更标识字段（I/U/D 或 增/改/删）/ field with the change flag."`
	Document string   `name:"document" help:"文号 / number of the covering letter."`
	Note     string   `name:"note" help:"说明 / note."`
	Confirm  bool     `name:"confirm" help:"预先确认超出常规的变化 / accept changes beyond the usual."`
	Key      string   `name:"business-key" placeholder:"FIELD" help:"业务主键字段 / field that names a feature across releases."`
	describeFlags
}

var errBox = problem.New(problem.Invalid, "box-invalid", "--box", "应为 4 个数：西,南,东,北", "must be 4 numbers: west,south,east,north")

func (c *ingestCommand) request() (ingest.Request, error) {
	set, err := c.settings()
	set.BusinessKey = c.Key
	name := c.CRS
	code, number := strconv.Atoi(strings.TrimPrefix(strings.ToUpper(name), "EPSG:"))
	if number == nil {
		name = ""
	}
	return ingest.Request{
		Files: c.Files, Dataset: c.Dataset, Sender: c.Sender, Layers: c.Layers, Encoding: c.Encoding, EPSG: code, CRS: name,
		Policy: ingest.Policy(c.Invalid), Mode: ingest.Mode(c.Mode), ChangeField: c.Flag, GeometryColumns: c.Geometry, Actor: console(),
		Document: c.Document, Note: c.Note, Confirm: c.Confirm, Settings: set,
	}, err
}

// Run shows the plan, asks, and carries it out; without a dataset once for each
// that the layers go into.
func (c *ingestCommand) Run(ctx context.Context, s *settings, out *streams) error {
	r, err := c.request()
	if err != nil {
		return err
	}
	i, done, err := s.ingester(ctx, s.logger(out))
	if err != nil {
		return err
	}
	defer done()
	if r.Dataset != "" {
		return c.one(ctx, i, r, out)
	}
	assignments, err := i.Assign(ctx, r)
	if err != nil {
		return err
	}
	t := newTable(out.out)
	t.SetTitle("图层去向 / where the layers go")
	t.AppendHeader(table.Row{"图层 layers", "几何 geometry", "行数 rows", "数据集 dataset", "理由 reason"})
	unknown := ""
	for _, a := range assignments {
		t.AppendRow(table.Row{strings.Join(a.Layers, ", "), a.Geometry, a.Rows, a.Dataset, a.ZH + " / " + a.EN})
		if a.Dataset == "" {
			unknown = a.Layers[0]
		}
	}
	t.Render()
	if unknown != "" {
		return problem.New(problem.Invalid, "dataset-missing", unknown, "无从判断该图层的数据集；请用 --layer 与 --dataset 分别入库", "nothing tells the dataset of this layer; load it with --layer and --dataset")
	}
	for _, a := range assignments {
		if err := c.one(ctx, i, a.Apply(r), out); err != nil {
			return err
		}
	}
	return nil
}

// one carries out one request.
func (c *ingestCommand) one(ctx context.Context, i *ingest.Ingester, r ingest.Request, out *streams) error {
	plan, err := i.Plan(ctx, r)
	if err != nil {
		return err
	}
	printPlan(out.out, plan)
	if c.Plan {
		return plan.Close()
	}
	if !c.Yes {
		if err := ask(out); err != nil {
			_ = plan.Close()
			return err
		}
	}
	file, err := openReport(c.Report)
	if err != nil {
		_ = plan.Close()
		return err
	}
	show, shown := showProgress(out.err)
	report, err := i.Run(ctx, plan, show)
	shown()
	if report != nil {
		printReport(out.out, report)
		err = errors.Join(err, writeReport(file, report))
	}
	return err
}

// openReport opens the file before anything is published. It is nil without a
// path.
func openReport(path string) (*os.File, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, problem.Wrap(err, problem.Invalid, "report-file", path, "报告文件无法写入", "the report's file cannot be written")
	}
	return f, nil
}

// ask wants a yes on a terminal; a script says --yes.
func ask(out *streams) error {
	if !isTerminal(out.in) {
		fmt.Fprintln(out.err, "未接受计划：请核对后加 --yes / the plan is not accepted: read it and add --yes")
		return errUnagreed
	}
	fmt.Fprint(out.err, "按此计划入库并发布？/ carry out this plan? [y/N] ")
	line, err := bufio.NewReader(io.LimitReader(out.in, 100)).ReadString('\n')
	if answer := strings.ToLower(strings.TrimSpace(line)); err != nil || answer != "y" && answer != "yes" && answer != "是" {
		return errUnagreed
	}
	return nil
}

func newTable(w io.Writer) table.Writer {
	t := table.NewWriter()
	t.SetOutputMirror(w)
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header = text.FormatDefault
	return t
}

func printPlan(w io.Writer, p *ingest.Plan) {
	t := newTable(w)
	t.SetTitle("入库计划 / plan")
	t.SetColumnConfigs([]table.ColumnConfig{{Number: 2, WidthMax: 44, WidthMaxEnforcer: text.WrapSoft}, {Number: 3, WidthMax: 72, WidthMaxEnforcer: text.WrapSoft}})
	t.AppendHeader(table.Row{"项目 item", "决定 decision", "理由 reason"})
	for _, row := range []struct {
		name string
		d    ingest.Choice
	}{
		{"格式 format", p.Format},
		{"标准 profile", p.Profile},
		{"编码 encoding", p.Encoding},
		{"坐标系 CRS", p.CRS},
		{"几何 geometry", p.Geometry},
		{"无效几何 invalid", p.Policy},
		{"目标 target", p.Target},
	} {
		if row.d.Value == "" {
			continue
		}
		t.AppendRow(table.Row{row.name, row.d.Value, row.d.ZH})
		t.AppendRow(table.Row{"", "", row.d.EN})
	}
	t.AppendRow(table.Row{"行数 rows", p.Rows, "文件声明 / as the files declare"})
	t.AppendSeparator()
	for n, c := range p.Columns {
		if n == 60 {
			t.AppendRow(table.Row{"…", fmt.Sprintf("%d 个字段 / fields", len(p.Columns)), ""})
			break
		}
		t.AppendRow(table.Row{"字段 " + c.Field, c.Column + " " + c.Type, strings.TrimSpace(c.ZH + " " + c.EN)})
	}
	t.Render()
	for n, note := range p.Notes {
		if n == 20 {
			fmt.Fprintf(w, "注意 note: … (%d)\n", len(p.Notes))
			break
		}
		fmt.Fprintf(w, "注意 note: %s / %s\n", note.ZH, note.EN)
	}
}

// shownFindings is how many findings the terminal shows; the JSON has them all.
const shownFindings = 20

func printReport(w io.Writer, r *ingest.Report) {
	t := newTable(w)
	t.SetTitle(fmt.Sprintf("交付报告 / report of delivery %d", r.Delivery))
	t.AppendHeader(table.Row{"读取 read", "发布 published", "修复 repaired", "拒收 refused", "提示 noted"})
	t.AppendRow(table.Row{r.Read, r.Published, r.Repaired, r.Refused, r.Noted})
	t.Render()
	for n, f := range r.Findings {
		if n == shownFindings {
			fmt.Fprintf(w, "… 共 %d 条，用 --report FILE 导出全部 / %d in all; --report FILE writes them\n", r.Kept, r.Kept)
			break
		}
		place := ""
		if f.Place != nil {
			place = fmt.Sprintf(" (%.6f, %.6f)", f.Place[0], f.Place[1])
		}
		field := ""
		if f.Field != "" {
			field = " " + f.Field
		}
		fmt.Fprintf(w, "第 %d 行 row %d%s [%s %s]%s %s / %s\n", f.Row, f.Row, field, f.Action, f.Code, place, f.ZH, f.EN)
	}
	for _, rule := range r.Rules {
		zh, en := profile.RuleTitle(rule.Rule)
		note, least := rule.SkipZH, ""
		if rule.AtLeast {
			least = "至少 at least "
		}
		fmt.Fprintf(w, "%s %s %s / %s：%s%d（%s，%.2f s）%s\n", rule.Rule, rule.Check, zh, en, least, rule.Found, rule.Severity, rule.Seconds, note)
	}
	if r.Difference != nil {
		printDifference(w, r.Difference)
	}
	switch r.State {
	case ingest.StateAwaiting:
		fmt.Fprintf(w, "待审批：changde delivery approve %d 发布，reject %d 退回 / waits to be decided: changde delivery approve %d releases it, reject %d does not\n", r.Delivery, r.Delivery, r.Delivery, r.Delivery)
	case ingest.StateFailed:
		fmt.Fprintf(w, "未发布 / not released\n")
	}
	if r.Release > 0 {
		fmt.Fprintf(w, "已发布：%s 第 %d 版 / released: %s release %d\n", r.Dataset, r.Release, r.Dataset, r.Release)
	}
}

func writeReport(f *os.File, r *ingest.Report) error {
	if f == nil {
		return nil
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err == nil {
		_, err = f.Write(append(data, '\n'))
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}
