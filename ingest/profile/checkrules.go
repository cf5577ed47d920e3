package profile

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"changde/ingest/layer"
	"changde/problem"
)

func (c *checker) rules() {
	seen := map[string]int{}
	for i, r := range c.p.Rules {
		at := fmt.Sprintf("$.rules[%d]", i)
		params, err := r.Parameters(c.p)
		if err != nil {
			var p *problem.Error
			if errors.As(err, &p) {
				path := at + ".code"
				if rest, ok := strings.CutPrefix(p.Where, r.Code+".params"); ok {
					path = at + ".params" + strings.ReplaceAll(rest, "/", ".")
				}
				c.out.error(path, p.Code, p.ZH, p.EN)
			}
			continue
		}
		if !slices.Contains(severities, r.Severity) {
			c.out.error(at+".severity", "rule-severity", "严重程度只能是 block、error、warn", "a severity is block, error or warn")
		}
		key := r.Code + " " + r.Check + " " + string(r.Params)
		if r.Code != AttributesAgree {
			key = r.Code
		}
		if first, twice := seen[key]; twice {
			c.out.error(at, "rule-duplicate", fmt.Sprintf("与 rules[%d] 重复", first), fmt.Sprintf("this is rules[%d] again", first))
		} else {
			seen[key] = i
		}
		c.rule(at, r, params)
	}
}

// polygons and lines report whether features of the layer can be such.
func (c *checker) polygons() bool {
	return c.p.Geometry == "MultiPolygon" || c.p.Geometry == "Geometry"
}

func (c *checker) lines() bool {
	return c.p.Geometry == "MultiLineString" || c.p.Geometry == "Geometry"
}

// rule checks one rule whose parameters could be read.
func (c *checker) rule(at string, r Rule, params any) {
	switch r.Code {
	case NoOverlap, NoGap, AreaAgrees:
		if !c.polygons() {
			c.out.error(at, "rule-geometry", "该规则只用于面图层", "the rule is for layers of polygons")
		}
	case NoDangle:
		if !c.lines() {
			c.out.error(at, "rule-geometry", "该规则只用于线图层", "the rule is for layers of lines")
		}
	case SinglePart:
		if c.p.Geometry == "Point" {
			c.out.error(at, "rule-geometry", "点图层没有多部件要素", "layers of points have no multipart features")
		}
	case Filled:
		if !c.any(func(f Field) bool { return f.Mandatory }) {
			c.out.warn(at, "rule-idle", "没有必填字段，规则不起作用", "no field is mandatory: the rule does nothing")
		}
	case CodesKnown:
		if !c.any(func(f Field) bool { return f.Codes != "" || f.Min != nil || f.Max != nil }) {
			c.out.warn(at, "rule-idle", "没有带代码表或上下限的字段，规则不起作用", "no field has codes or bounds: the rule does nothing")
		}
	}
	at += ".params"
	switch v := params.(type) {
	case OverlapParams:
		c.amount(at+".tolerance", v.Tolerance, maxTolerance)
		c.amount(at+".area", v.Area, maxTolerance)
	case GapParams:
		c.dataset(at+".parent", v.Parent, false)
	case SliverParams:
		c.amount(at+".area", v.Area, maxTolerance)
		c.amount(at+".thinness", v.Thinness, 1)
	case DuplicateParams:
		c.amount(at+".distance", v.Distance, maxTolerance)
		c.amount(at+".spike", v.Spike, 90)
	case DangleParams:
		c.amount(at+".tolerance", v.Tolerance, maxTolerance)
	case ContainParams:
		c.dataset(at+".parent", v.Parent, true)
	case UniqueParams:
		c.named(at+".field", v.Field)
	case AreaParams:
		c.amount(at+".absolute", v.Absolute, maxTolerance)
		c.amount(at+".relative", v.Relative, 1)
		if v.Control != nil {
			c.named(at+".control.unit", v.Control.Unit)
			c.dataset(at+".control.dataset", v.Control.Dataset, true)
			c.amount(at+".control.relative", v.Control.Relative, 1)
			if v.Control.Code == "" {
				c.out.error(at+".control.code", "member-missing", "缺少控制数据集的代码字段", "the field of the code in the control dataset is needed")
			}
		}
		if c.p.AreaField == "" {
			c.out.error(at, "rule-area-field", "该规则需要 areaField", "the rule needs areaField")
		}
	case EdgeParams:
		c.amount(at+".tolerance", v.Tolerance, maxTolerance)
	case CurrentParams:
		if v.Field != "" {
			if f, ok := c.named(at+".field", v.Field); ok && f.Type != layer.Date && f.Type != layer.Timestamp {
				c.out.error(at+".field", "field-type", "应为 date 或 timestamp 字段", "must be a date or timestamp field")
			}
		}
		if _, err := v.EarliestDate(); err != nil {
			c.out.error(at+".earliest", "rule-date", "日期写作 1949-10-01", "a date is written 1949-10-01")
		}
	case ChangeParams:
		c.amount(at+".count", v.Count, maxTolerance)
		c.amount(at+".area", v.Area, maxTolerance)
	default:
		c.logic(at, params)
	}
}

// logic checks the parameters of Q15.
func (c *checker) logic(at string, params any) {
	switch v := params.(type) {
	case NameOfCodeParams:
		f, ok := c.named(at+".code", v.Code)
		c.named(at+".name", v.Name)
		table := v.Codes
		if table == "" && ok {
			table = f.Codes
		}
		if table == "" {
			c.out.error(at+".codes", "codes-unknown", "缺少代码表", "a code table is needed")
		} else if c.lib != nil {
			if _, ok := c.lib.Codes(table); !ok {
				c.out.error(at+".codes", "codes-unknown", "没有代码表 "+cite(table), "there is no code table "+cite(table))
			}
		}
	case RequiredWhenParams:
		c.named(at+".field", v.Field)
		c.named(at+".when", v.When)
		c.some(at+".in", v.In)
		if f, ok := c.field(v.When); ok {
			c.known(at+".in", f, v.In)
		}
	case ValueWhenParams:
		f, ok := c.named(at+".field", v.Field)
		c.some(at+".value", v.Value)
		if ok {
			c.known(at+".value", f, v.Value)
		}
		w, ok := c.named(at+".when", v.When)
		c.some(at+".in", v.In)
		if ok {
			c.known(at+".in", w, v.In)
		}
	case ProductParams:
		c.numberField(at+".result", v.Result)
		if len(v.Factors) != 2 {
			c.out.error(at+".factors", "rule-factors", "应有两个因数字段", "two factor fields are needed")
		}
		for i, name := range v.Factors {
			c.numberField(fmt.Sprintf("%s.factors[%d]", at, i), name)
		}
		c.amount(at+".tolerance", v.Tolerance, maxNumber)
	case DifferenceParams:
		c.numberField(at+".result", v.Result)
		c.numberField(at+".minuend", v.Minuend)
		c.numberField(at+".subtrahend", v.Subtrahend)
		c.amount(at+".tolerance", v.Tolerance, maxNumber)
	}
}

func (c *checker) any(is func(Field) bool) bool {
	for _, f := range c.p.Fields {
		if is(f) {
			return true
		}
	}
	return false
}

func (c *checker) amount(at string, v, most float64) {
	if v < 0 || v > most || math.IsNaN(v) {
		c.out.error(at, "number-out-of-range", "应在 0 至 "+short(most)+" 之间", "must be from 0 to "+short(most))
	}
}

func (c *checker) named(at, name string) (Field, bool) {
	if name == "" {
		c.out.error(at, "member-missing", "缺少字段名", "a field name is needed")
		return Field{}, false
	}
	f, ok := c.field(name)
	if !ok {
		c.out.error(at, "field-unknown", "没有字段 "+cite(name), "there is no field "+cite(name))
	}
	return f, ok
}

func (c *checker) numberField(at, name string) {
	if f, ok := c.named(at, name); ok && !numeric(f.Type) {
		c.out.error(at, "field-type", "应为数字字段", "must be a field of numbers")
	}
}

func (c *checker) dataset(at, id string, required bool) {
	switch {
	case id == "" && !required:
	case id == "":
		c.out.error(at, "member-missing", "缺少上级数据集的编号", "the id of the parent dataset is needed")
	case !datasetForm.MatchString(id):
		c.out.error(at, "rule-parent", "数据集编号不合规则", "this is no id of a dataset")
	}
}

func (c *checker) some(at string, list []string) {
	if len(list) == 0 || len(list) > 1000 {
		c.out.error(at, "member-missing", "应有 1 至 1000 个值", "1 to 1000 values are needed")
	}
	for i, v := range list {
		if v == "" || len(v) > maxText || strings.Contains(strings.TrimSuffix(v, "*"), "*") {
			c.out.error(fmt.Sprintf("%s[%d]", at, i), "rule-value", "值为空、过长，或 * 不在末尾",
				"the value is empty or too long, or has a * that is not at its end")
		}
	}
}

// known warns of values that the code table of their field does not have.
func (c *checker) known(at string, f Field, list []string) {
	if c.lib == nil || f.Codes == "" {
		return
	}
	codes, ok := c.lib.Codes(f.Codes)
	if !ok {
		return
	}
	for i, v := range list {
		prefix, star := strings.CutSuffix(v, "*")
		if star && codes.begins(prefix) || !star && codes.Valid(v) {
			continue
		}
		c.out.error(fmt.Sprintf("%s[%d]", at, i), "rule-value", "代码表 "+f.Codes+" 中没有 "+cite(v),
			"the code table "+f.Codes+" has no "+cite(v))
	}
}
