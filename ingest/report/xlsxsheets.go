package report

import (
	"strconv"
	"time"

	"github.com/xuri/excelize/v2"

	"changde/ingest/finding"
)

// findings lists the first findings and counts all.
func (b *book) findings(d *Document, counted *tally, limit int64) error {
	s, err := b.sheet(sheetFindings, 1, 0, 9, 24, 10, 8, 26, 24, 13, 13, 16, 60, 60, 15, 14, 30, 30)
	if err != nil {
		return err
	}
	titles := []string{
		"序号 No.", "文件 File", "行 Row", "规则 Rule", "规则名称 Title", "代码 Code", "级别 Severity", "处理 Action", "字段 Field",
		"问题", "Finding", "经度 Longitude", "纬度 Latitude", "修复前 Before", "修复后 After",
	}
	s.head(titles...)
	err = d.each(func(f finding.Finding) error {
		counted.add(f)
		if counted.total > limit {
			return nil
		}
		title, _ := RuleTitle(f.Rule)
		var row, lon, lat any
		if f.Row > 0 {
			row = b.whole(f.Row)
		}
		if f.Place != nil {
			lon = excelize.Cell{StyleID: b.style.degree, Value: f.Place[0]}
			lat = excelize.Cell{StyleID: b.style.degree, Value: f.Place[1]}
		}
		s.write(b.whole(counted.total), b.text(f.File), row, b.text(f.Rule), b.text(title), b.text(f.Code), b.severity(f.Severity),
			b.text(named(actions, f.Action).both()), b.text(f.Field), b.text(f.ZH), b.text(f.EN), lon, lat, b.text(f.Before), b.text(f.After))
		return s.err
	})
	if err != nil {
		return err
	}
	return s.finish("Findings", len(titles))
}

// rules lists what became of each rule.
func (b *book) rules(results []RuleResult) error {
	s, err := b.sheet(sheetRules, 1, 0, 8, 22, 30, 38, 13, 13, 12, 13, 14, 12, 44, 44)
	if err != nil {
		return err
	}
	titles := []string{
		"规则 Rule", "检查 Check", "名称", "Title", "级别 Severity", "问题数 Found", "至少 At least", "明细数 Listed", "检查行 Rows", "秒 Seconds", "未应用或未完的原因", "Why it was not applied",
	}
	s.head(titles...)
	for i, r := range results {
		if i == sheetRows {
			break
		}
		title := r.title()
		s.write(b.text(r.Code), b.text(r.Check), b.text(title.ZH), b.text(title.EN), b.severity(r.Severity), b.whole(r.Found), b.text(atLeast(r.AtLeast)), b.whole(r.Kept),
			b.whole(r.Rows), excelize.Cell{StyleID: b.style.seconds, Value: r.Seconds}, b.text(r.SkipZH), b.text(r.SkipEN))
	}
	return s.finish("Rules", len(titles))
}

// atLeast marks a number that was not counted to the end.
func atLeast(yes bool) string {
	if yes {
		return "至少 at least"
	}
	return ""
}

// difference lists what changes, by kind, class and field.
func (b *book) difference(d *Difference) error {
	s, err := b.sheet(sheetDifference, 0, 0, 30, 24, 14, 14, 14, 20, 20, 20)
	if err != nil {
		return err
	}
	if d == nil {
		s.write(b.text("没有对比。Nothing was compared."))
		return s.finish("", 0)
	}
	fact := func(name string, n int64) { s.write(b.name(name), b.whole(n)) }
	if d.SummaryZH != "" || d.SummaryEN != "" {
		s.write(b.text(d.SummaryZH))
		s.write(b.text(d.SummaryEN))
		s.row++
	}
	s.head("项目 Item", "数量 Rows")
	if d.FromRelease > 0 {
		fact("对比版本 Compared with release", int64(d.FromRelease))
	}
	if d.ToRelease > 0 {
		fact("发布为 Released as", int64(d.ToRelease))
	}
	fact("新增 Added", d.Added)
	fact("删除 Removed", d.Removed)
	fact("仅属性变化 Attributes only", d.ChangedAttributes)
	fact("图形变化 Geometry", d.ChangedGeometry)
	fact("未变 Unchanged", d.Unchanged)
	if len(d.ByClass) > 0 {
		s.row++
		s.head("类别 Class", "名称 Title", "原数量 Rows before", "新数量 Rows after", "增减 Change", "原面积 Area before m²", "新面积 Area after m²", "增减 Change m²")
		area := func(v float64) any { return excelize.Cell{StyleID: b.style.area, Value: v} }
		for _, c := range d.ByClass[:min(len(d.ByClass), sheetRows/2)] {
			s.write(b.text(c.Class), b.text(c.Title), b.whole(c.CountBefore), b.whole(c.CountAfter), b.whole(c.CountAfter-c.CountBefore),
				area(c.AreaBefore), area(c.AreaAfter), area(c.AreaAfter-c.AreaBefore))
		}
	}
	if len(d.ByField) > 0 {
		s.row++
		s.head("字段 Field", "变化行数 Rows changed")
		for _, c := range d.ByField[:min(len(d.ByField), sheetRows/4)] {
			s.write(b.text(c.Field), b.whole(c.Rows))
		}
	}
	return s.finish("", 0)
}

// name is the cell in front of a value.
func (b *book) name(s string) any { return excelize.Cell{StyleID: b.style.name, Value: s} }

// summary is the first sheet: the facts, the plan, the counts and the decisions.
func (b *book) summary(d *Document, c Counts, results []RuleResult, streamed, limit int64) error {
	s, err := b.sheet(sheetSummary, 1, 0, 30, 52, 40, 40, 44)
	if err != nil {
		return err
	}
	fact := func(name, value string) {
		if value != "" {
			s.write(b.name(name), b.wrap(value))
		}
	}
	count := func(name string, n int64) { s.write(b.name(name), b.whole(n)) }
	at := func(t time.Time) any {
		if t.IsZero() {
			return nil
		}
		// A cell has no zone: it holds what the clocks of the time's zone show.
		return excelize.Cell{StyleID: b.style.time, Value: t.In(beijing)}
	}
	s.head("数据交付质量检查报告 Quality report of a delivery", "")
	_, zh, en := verdict(d, c, results)
	fact("结论 Conclusion", zh+"\n"+en)
	fact("失败原因 Error", d.Error)
	s.write(b.name("交付 Delivery"), b.text(strconv.FormatInt(d.Delivery, 10)))
	fact("数据集 Dataset", d.Dataset)
	fact("数据集名称", d.TitleZH)
	fact("Title of the dataset", d.TitleEN)
	fact("状态 State", named(states, d.State).both())
	fact("交付单位 Sender", label{d.SenderName, d.Sender}.both())
	fact("数据集归口 Owner", d.Owner)
	s.write(b.name("接收时间（北京时间） Received, Beijing time"), at(d.Received))
	s.write(b.name("完成时间（北京时间） Finished, Beijing time"), at(d.Finished))
	for _, f := range d.Files[:min(len(d.Files), sheetRows/4)] {
		fact("文件 File", f)
	}
	count("字节 Bytes", d.Bytes)
	fact("SHA-256", d.SHA256)
	count("读取行 Rows read", c.Read)
	count("通过行 Rows staged", c.Staged)
	count("修复行 Rows repaired", c.Repaired)
	count("拒绝行 Rows refused", c.Refused)
	count("提示行 Rows noted", c.Noted)
	count("阻断问题 Findings that block", c.Blocking)
	count("错误 Errors", c.Errors)
	count("警告 Warnings", c.Warnings)
	count("明细表行数 Findings listed", min(streamed, limit))
	if streamed > limit {
		fact("未列出 Not listed", grouped(streamed-limit)+" 条，见 JSON。They are in the JSON.")
	}
	if len(d.Plan) > 0 {
		s.row++
		s.head("读取与处理方式 How the files were read", "结果 Value", "依据", "Why")
		for _, p := range d.Plan[:min(len(d.Plan), sheetRows/4)] {
			s.write(b.name(visible(label{p.NameZH, p.NameEN}.both(), cellText)), b.wrap(p.Value), b.wrap(p.ZH), b.wrap(p.EN))
		}
	}
	if len(d.Decisions) > 0 {
		s.row++
		s.head("决定时间（北京时间） Decided", "决定 Decision", "单位与经办 By", "文号 Document", "意见 Note")
		for _, v := range d.Decisions[:min(len(d.Decisions), sheetRows/4)] {
			s.write(at(v.At), b.text(named(decisions, v.Action).both()), b.wrap(label{v.Organisation, v.Actor}.both()), b.wrap(v.DocumentNumber), b.wrap(v.Note))
		}
	}
	return s.finish("", 0)
}
