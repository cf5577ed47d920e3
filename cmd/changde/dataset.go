package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"

	"changde/catalog"
	"changde/ingest"
	"changde/problem"
)

type datasetCommand struct {
	List datasetListCommand `cmd:"" help:"列出数据集 / list the datasets."`
	Show datasetShowCommand `cmd:"" help:"显示数据集的设置 / show a dataset's settings."`
	Set  datasetSetCommand  `cmd:"" help:"修改数据集的名称、所属、共享等 / change a dataset's title, owner, sharing and so on."`
}

type datasetListCommand struct{}

// operator sees every dataset: who can reach the database directly can anyway.
type operator struct{}

// MayRead implements catalog.Reader.
func (operator) MayRead(string, string) bool { return true }

// datasets reads the catalog as an operator sees it.
func (s *settings) datasets(ctx context.Context, log *slog.Logger) (catalog.View, error) {
	pool, done, err := s.database(ctx, log)
	if err != nil {
		return catalog.View{}, err
	}
	defer done()
	known, err := catalog.Open(ctx, pool, catalog.Config{Log: log})
	if err != nil {
		return catalog.View{}, err
	}
	return known.Snapshot().For(operator{}), nil
}

// Run lists the datasets that have a release.
func (c *datasetListCommand) Run(ctx context.Context, s *settings, out *streams) error {
	view, err := s.datasets(ctx, s.logger(out))
	if err != nil {
		return err
	}
	t := newTable(out.out)
	t.AppendHeader(table.Row{"标识 id", "名称 title", "所属 owner", "共享 sharing", "版本 release", "行数 rows"})
	for _, d := range view.Datasets() {
		owner := ""
		if d.Owner != nil {
			owner = d.Owner.NameZH
		}
		t.AppendRow(table.Row{d.ID, d.TitleZH, owner, d.Sharing, d.Current.Number, d.Current.Rows})
	}
	t.Render()
	return nil
}

// describeFlags describe a dataset, on a delivery or by themselves.
type describeFlags struct {
	Title    string            `name:"title" help:"数据集名称 / the dataset's title."`
	TitleEN  string            `name:"title-en" help:"英文名称 / English title."`
	Owner    string            `name:"owner" help:"所属单位 / owning organisation."`
	Sharing  string            `name:"sharing" enum:",public,internal,private" default:"" help:"共享方式，新数据集默认 internal / public, internal (default for a new one) or private."`
	Label    string            `name:"label" placeholder:"FIELD" help:"标注字段 / field for labels."`
	Class    string            `name:"class" placeholder:"FIELD" help:"图例分类字段 / field of the legend."`
	Time     string            `name:"time" placeholder:"FIELD" help:"时间字段 / field that datetime filters on."`
	Source   string            `name:"attribution" help:"数据来源说明 / attribution."`
	Profile  string            `name:"profile" help:"图层标准，- 为取消 / layer standard, - for none."`
	Approval string            `name:"approval" enum:",automatic,approval,four-eyes" default:"" help:"审批：automatic 检查通过即发布；approval 须审批；four-eyes 交付与审批不得同一人 / what a checked delivery waits for."`
	Editable *bool             `name:"editable" negatable:"" help:"允许通过接口逐个编辑要素 / features may be edited through the API."`
	Grids    []string          `name:"grid" placeholder:"SET" help:"发布前还要切片的瓦片矩阵集（CGCS2000Quad），- 为不再切 / tile matrix set to be cut before a release too, - for none."`
	Describe string            `name:"description" help:"摘要 / abstract."`
	Meta     map[string]string `name:"meta" placeholder:"NAME=TEXT" help:"核心元数据，如 secrecy=公开 topic=规划地籍；- 为删除 / core metadata."`
	Tiles    string            `name:"tile-rules" placeholder:"JSON" help:"瓦片规则：分类的重要性与各级字段，- 为取消（见 docs/tiles.md）/ rules of tiles: the rank of classes and the fields by zoom, - for none (docs/tiles.md)."`
	Box      []float64         `name:"box" placeholder:"W,S,E,N" help:"允许的坐标范围（度），默认城市范围 / where coordinates may lie, in degrees."`
}

func (f *describeFlags) settings() (ingest.Settings, error) {
	set := ingest.Settings{
		TitleZH: f.Title, TitleEN: f.TitleEN, Owner: f.Owner, Sharing: catalog.Sharing(f.Sharing),
		Label: f.Label, Class: f.Class, TimeColumn: f.Time, Attribution: f.Source,
		Description: f.Describe, Metadata: f.Meta, Profile: f.Profile, Approval: catalog.Approval(f.Approval), Editable: f.Editable, Grids: f.Grids,
	}
	switch f.Tiles {
	case "":
	case ingest.NoColumn:
		set.Tiles = new(catalog.TileRules)
	default:
		rules, err := catalog.ParseTileRules([]byte(f.Tiles))
		if err != nil {
			return set, err
		}
		set.Tiles = &rules
	}
	switch len(f.Box) {
	case 0:
	case 4:
		set.Box = &catalog.Bounds{f.Box[0], f.Box[1], f.Box[2], f.Box[3]}
	default:
		return set, errBox
	}
	return set, nil
}

type datasetShowCommand struct {
	Dataset string `arg:"" help:"数据集 / dataset."`
}

// Run shows one dataset that has a release.
func (c *datasetShowCommand) Run(ctx context.Context, s *settings, out *streams) error {
	view, err := s.datasets(ctx, s.logger(out))
	if err != nil {
		return err
	}
	d, ok := view.Dataset(c.Dataset)
	if !ok {
		return problem.New(problem.NotFound, "dataset-unknown", c.Dataset, "没有这个数据集；changde dataset list 列出全部", "there is no such dataset; changde dataset list shows them")
	}
	owner := ""
	if d.Owner != nil {
		owner = d.Owner.ID
	}
	rules := ""
	if !d.Tiles.IsZero() {
		b, err := json.Marshal(d.Tiles)
		if err != nil {
			return fmt.Errorf("write rules of tiles: %w", err)
		}
		rules = string(b)
	}
	t := newTable(out.out)
	for _, row := range [][2]any{
		{"标识 id", d.ID},
		{"名称 title", d.TitleZH},
		{"英文名称 title-en", d.TitleEN},
		{"所属 owner", owner},
		{"共享 sharing", d.Sharing},
		{"业务主键 business-key", d.BusinessKey},
		{"标注字段 label", d.Label},
		{"分类字段 class", d.Class},
		{"时间字段 time", d.TimeColumn},
		{"图层标准 profile", d.Profile},
		{"审批 approval", d.Approval},
		{"瓦片规则 tiles", rules},
		{"预切格网 grids", strings.Join(d.Grids, " ")},
		{"版本 release", d.Current.Number},
		{"修订号 revision", d.Revision},
		{"行数 rows", d.Current.Rows},
	} {
		t.AppendRow(table.Row{row[0], row[1]})
	}
	t.Render()
	return nil
}

type datasetSetCommand struct {
	Dataset string `arg:"" help:"数据集 / dataset."`
	describeFlags
}

// Run changes what was given and leaves the rest.
func (c *datasetSetCommand) Run(ctx context.Context, s *settings, out *streams) error {
	set, err := c.settings()
	if err != nil {
		return err
	}
	i, done, err := s.ingester(ctx, s.logger(out))
	if err != nil {
		return err
	}
	defer done()
	if err := i.Describe(ctx, c.Dataset, set); err != nil {
		return err
	}
	fmt.Fprintf(out.out, "%s 已修改 / changed\n", c.Dataset)
	return nil
}
