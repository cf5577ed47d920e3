package main

import (
	"context"
	"fmt"
	"os"

	"github.com/jedib0t/go-pretty/v6/table"

	"changde/ingest/profile"
	"changde/problem"
)

type profileCommand struct {
	List  profileListCommand  `cmd:"" help:"列出图层标准 / list the layer standards."`
	Show  profileShowCommand  `cmd:"" help:"一个图层标准的字段与规则 / fields and rules of one."`
	Check profileCheckCommand `cmd:"" help:"检查一个图层标准文件 / check the file of a layer standard."`
}

type profileListCommand struct{}

// Run lists the standards, those of the operator included.
func (c *profileListCommand) Run(_ context.Context, s *settings, out *streams) error {
	library, err := s.library()
	if err != nil {
		return err
	}
	t := newTable(out.out)
	t.AppendHeader(table.Row{"标识 id", "名称 title", "依据 standard", "几何 geometry", "业务主键 key", "字段 fields", "规则 rules"})
	for _, p := range library.Profiles() {
		t.AppendRow(table.Row{p.ID, p.TitleZH, p.Standard, p.Geometry, p.BusinessKey, len(p.Fields), len(p.Rules)})
	}
	t.Render()
	return nil
}

type profileShowCommand struct {
	ID string `arg:"" help:"标识 / id."`
}

// Run shows one standard.
func (c *profileShowCommand) Run(_ context.Context, s *settings, out *streams) error {
	library, err := s.library()
	if err != nil {
		return err
	}
	p, ok := library.Profile(c.ID)
	if !ok {
		return problem.New(problem.NotFound, "profile-unknown", c.ID, "没有这个图层标准；changde profile list 列出全部", "there is no such layer standard; changde profile list shows them")
	}
	t := newTable(out.out)
	t.SetTitle(p.TitleZH + "（" + p.Standard + "）")
	t.AppendHeader(table.Row{"字段 field", "名称 alias", "类型 type", "长度 length", "必填 mandatory", "代码表 codes"})
	for _, f := range p.Fields {
		mandatory := ""
		if f.Mandatory {
			mandatory = "M"
		}
		t.AppendRow(table.Row{f.Name, f.Alias, f.Type, f.Length, mandatory, f.Codes})
	}
	t.Render()
	for _, r := range p.Rules {
		zh, en := profile.RuleTitle(r.Code)
		fmt.Fprintf(out.out, "%s %s %s / %s %s\n", r.Code, r.Check, zh, en, r.Params)
	}
	return nil
}

type profileCheckCommand struct {
	File string `arg:"" help:"JSON 文件 / JSON file."`
}

// Run checks a file and prints every fault with its place.
func (c *profileCheckCommand) Run(_ context.Context, s *settings, out *streams) error {
	library, err := s.library()
	if err != nil {
		return err
	}
	f, err := os.Open(c.File)
	if err != nil {
		return problem.Wrap(err, problem.Invalid, "file-unreadable", c.File, "文件不存在或不可读", "the file does not exist or cannot be read")
	}
	defer f.Close()
	p, issues, err := profile.Decode(f)
	if err != nil {
		return err
	}
	failed := len(issues) > 0
	if !failed {
		issues = profile.Check(p, library)
		failed = profile.Failed(issues)
	}
	for _, issue := range issues {
		fmt.Fprintln(out.out, issue)
	}
	if failed {
		return problem.New(problem.Invalid, "profile-invalid", c.File, fmt.Sprintf("图层标准有 %d 处问题", len(issues)), fmt.Sprintf("the layer standard has %d faults", len(issues)))
	}
	fmt.Fprintf(out.out, "%s：合格 / valid\n", c.File)
	return nil
}
