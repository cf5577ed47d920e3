package report

import (
	"cmp"

	"changde/ingest/finding"
)

// label is a word in both languages.
type label struct{ ZH, EN string }

// ruleTitles are the rules Q01 to Q20 in order.
var ruleTitles = [...]label{
	{"文件可读、编码与字段名完整", "File opens, encoding and field names whole"},
	{"图层、字段与几何类型", "Layer, fields and geometry type"},
	{"坐标系与坐标范围", "Coordinate reference system and range"},
	{"几何有效", "Geometry valid"},
	{"无多部件要素", "No multipart features"},
	{"层内无重叠", "No overlaps inside the layer"},
	{"无缝隙、覆盖完整", "No gaps, cover complete"},
	{"无碎小和狭长图斑", "No slivers"},
	{"无重复要素、重复节点和尖角", "No duplicates, no spikes"},
	{"线无悬挂", "No dangling ends"},
	{"位于上级范围内", "Inside the parent"},
	{"标识码唯一", "Identifier unique"},
	{"必填属性完整", "Mandatory attributes filled"},
	{"属性值域与代码", "Codes known, values within bounds"},
	{"属性逻辑一致", "Attributes agree with each other"},
	{"面积一致", "Area agrees"},
	{"接边一致", "Edges match"},
	{"现势性与日期合理", "Currency, dates plausible"},
	{"元数据完整", "Metadata complete"},
	{"与上一版本变化合理", "Change since the last release plausible"},
}

// RuleTitle is the title of a rule, Q01 to Q20; both are empty for another code.
func RuleTitle(code string) (zh, en string) {
	if n := ruleNumber(code); n > 0 {
		return ruleTitles[n-1].ZH, ruleTitles[n-1].EN
	}
	return "", ""
}

// ruleNumber is 1 to 20 for Q01 to Q20, else 0.
func ruleNumber(code string) int {
	if len(code) != 3 || code[0] != 'Q' || code[1] < '0' || code[1] > '9' || code[2] < '0' || code[2] > '9' {
		return 0
	}
	if n := int(code[1]-'0')*10 + int(code[2]-'0'); n <= len(ruleTitles) {
		return n
	}
	return 0
}

// title fills in what a rule leaves to RuleTitle.
func (r RuleResult) title() label {
	zh, en := RuleTitle(r.Code)
	return label{cmp.Or(r.TitleZH, zh), cmp.Or(r.TitleEN, en)}
}

var severities = map[finding.Severity]label{
	finding.Block: {"阻断", "block"},
	finding.Error: {"错误", "error"},
	finding.Warn:  {"警告", "warning"},
}

var actions = map[finding.Action]label{
	finding.Refused:  {"拒绝", "refused"},
	finding.Repaired: {"已修复", "repaired"},
	finding.Noted:    {"提示", "noted"},
}

var states = map[string]label{
	"receiving": {"接收中", "being received"},
	"received":  {"已接收", "received"},
	"inspected": {"已探查", "inspected"},
	"loading":   {"入库中", "loading"},
	"staged":    {"已入暂存表", "staged"},
	"checked":   {"已检查比对", "checked"},
	"awaiting":  {"待审批", "awaiting approval"},
	"released":  {"已发布", "released"},
	"rejected":  {"已退回", "rejected"},
	"withdrawn": {"已撤回", "withdrawn"},
	"failed":    {"失败", "failed"},
	"split":     {"已分为多个交付", "split into several deliveries"},
}

var decisions = map[string]label{
	"approve":  {"批准", "approve"},
	"reject":   {"退回", "reject"},
	"withdraw": {"撤回", "withdraw"},
	"retry":    {"重新检查", "check again"},
	"cancel":   {"取消", "cancel"},
}

// named looks a word up; one that is not known stands for itself.
func named[K ~string](words map[K]label, key K) label {
	if l, ok := words[key]; ok {
		return l
	}
	return label{ZH: string(key)}
}

// both is the word in both languages, Chinese first.
func (l label) both() string {
	switch {
	case l.EN == "":
		return l.ZH
	case l.ZH == "":
		return l.EN
	}
	return l.ZH + " " + l.EN
}

// gravity orders severities, the gravest highest.
func gravity(s finding.Severity) int {
	switch s {
	case finding.Block:
		return 3
	case finding.Error:
		return 2
	case finding.Warn:
		return 1
	}
	return 0
}
