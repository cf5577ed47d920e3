package profile

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	jsonv2 "github.com/go-json-experiment/json"

	"changde/ingest/finding"
	"changde/problem"
)

// The rules.
const (
	FileOpens       = "Q01" // encoding, field names not cut
	LayerKnown      = "Q02" // layer, field names and geometry type as the profile says
	Located         = "Q03" // coordinate reference system declared, coordinates plausible
	GeometryValid   = "Q04"
	SinglePart      = "Q05"
	NoOverlap       = "Q06"
	NoGap           = "Q07"
	NoSliver        = "Q08"
	NoDuplicate     = "Q09" // geometry, vertices, spikes
	NoDangle        = "Q10"
	Contained       = "Q11"
	KeyUnique       = "Q12"
	Filled          = "Q13"
	CodesKnown      = "Q14" // codes, and the bounds of numbers
	AttributesAgree = "Q15"
	AreaAgrees      = "Q16"
	EdgesMatch      = "Q17"
	Current         = "Q18"
	Described       = "Q19" // metadata
	ChangeSane      = "Q20"
)

var severities = []finding.Severity{finding.Block, finding.Error, finding.Warn}

// DefaultSeverity is the severity of a rule whose profile names none; empty for
// an unknown code.
func DefaultSeverity(code string) finding.Severity {
	switch code {
	case FileOpens, LayerKnown, Located, GeometryValid, KeyUnique, Described:
		return finding.Block
	case SinglePart, NoOverlap, NoGap, Contained, Filled, CodesKnown, AttributesAgree, AreaAgrees:
		return finding.Error
	case NoSliver, NoDuplicate, NoDangle, EdgesMatch, Current, ChangeSane:
		return finding.Warn
	}
	return ""
}

// RuleTitle names a rule for people; empty for an unknown code.
func RuleTitle(code string) (zh, en string) {
	switch code {
	case FileOpens:
		return "文件可读、编码正确、字段名未截断", "file readable, encoding known, field names whole"
	case LayerKnown:
		return "图层与几何类型符合标准", "layer and geometry type as the standard says"
	case Located:
		return "坐标系已声明且坐标合理", "coordinate reference system declared, coordinates plausible"
	case GeometryValid:
		return "几何有效", "geometry valid"
	case SinglePart:
		return "无多部件要素", "no multipart features"
	case NoOverlap:
		return "面无重叠", "no overlaps"
	case NoGap:
		return "面无缝隙", "no gaps"
	case NoSliver:
		return "无碎面与狭长面", "no slivers"
	case NoDuplicate:
		return "无重复要素、重复点与尖刺", "no duplicate features or vertices, no spikes"
	case NoDangle:
		return "线端点已接边", "no dangling line ends"
	case Contained:
		return "位于上级范围内", "inside the parent layer"
	case KeyUnique:
		return "标识唯一", "identifier unique"
	case Filled:
		return "必填字段已填", "mandatory fields filled"
	case CodesKnown:
		return "代码与数值在值域内", "codes and numbers within their domains"
	case AttributesAgree:
		return "属性逻辑一致", "attributes agree with each other"
	case AreaAgrees:
		return "面积与图形一致", "area agrees with the shape"
	case EdgesMatch:
		return "图幅或批次接边", "edges match between sheets"
	case Current:
		return "日期合理", "dates plausible"
	case Described:
		return "元数据完整", "metadata complete"
	case ChangeSane:
		return "变化幅度合理", "change within limits"
	}
	return "", ""
}

// Parameters returns the rule's parameters as the type that its code and check
// have in this package (OverlapParams for Q06, ...), with the defaults of the
// profile for what the rule leaves out; nil for rules without parameters. An
// unknown code or check, and parameters that do not fit, are a *problem.Error.
// The values are as written: Check says whether they make sense.
func (r Rule) Parameters(p *Profile) (any, error) {
	v, ok := r.blank(p)
	if !ok {
		where := r.Code
		if r.Check != "" {
			where += " " + r.Check
		}
		if DefaultSeverity(r.Code) == "" {
			return nil, problem.New(problem.Invalid, "rule-unknown", where,
				"没有这个质检规则，规则为 Q01 至 Q20", "there is no such quality rule; rules are Q01 to Q20")
		}
		return nil, problem.New(problem.Invalid, "rule-check-unknown", where,
			"该规则没有这项检查；只有 Q15 有 name-of-code、required-when、value-when、product、difference",
			"the rule has no such check; only Q15 has name-of-code, required-when, value-when, product and difference")
	}
	raw := r.Params
	if len(raw) == 0 {
		raw = json.RawMessage("{}")
	}
	if v == nil {
		v = &struct{}{}
	}
	if err := jsonv2.Unmarshal(raw, v, jsonv2.RejectUnknownMembers(true)); err != nil {
		where := r.Code + ".params"
		var semantic *jsonv2.SemanticError
		if errors.As(err, &semantic) {
			where += string(semantic.JSONPointer)
			if errors.Is(err, jsonv2.ErrUnknownName) {
				return nil, problem.Wrap(err, problem.Invalid, "rule-params", where,
					"规则没有这个参数", "the rule has no such parameter")
			}
		}
		return nil, problem.Wrap(err, problem.Invalid, "rule-params", where,
			"参数的类型不对，见 docs/formats/profile.md", "the parameter is of the wrong type, see docs/formats/profile.md")
	}
	if _, none := v.(*struct{}); none {
		return nil, nil
	}
	return reflect.ValueOf(v).Elem().Interface(), nil
}

// Params is Parameters for a caller who knows the type that the rule's code has.
// Another type is an error.
func Params[T any](p *Profile, r Rule) (T, error) {
	var none T
	v, err := r.Parameters(p)
	if err != nil {
		return none, err
	}
	t, ok := v.(T)
	if !ok {
		return none, fmt.Errorf("rule %s has parameters of type %T, not %T", r.Code, v, none)
	}
	return t, nil
}

// blank returns a pointer to the parameters of the rule with their defaults, nil
// for a rule without parameters; ok is false when there is no such rule.
func (r Rule) blank(p *Profile) (v any, ok bool) {
	if r.Check != "" && r.Code != AttributesAgree {
		return nil, false
	}
	t := p.Tolerance.Filled()
	switch r.Code {
	case FileOpens, LayerKnown, Located, GeometryValid, SinglePart, Filled, CodesKnown, Described:
		return nil, true
	case NoOverlap:
		return &OverlapParams{Tolerance: t.Topology, Area: t.Area}, true
	case NoGap:
		return &GapParams{}, true
	case NoSliver:
		return &SliverParams{Area: defaultSliver, Thinness: defaultThinness}, true
	case NoDuplicate:
		return &DuplicateParams{Distance: t.Topology, Spike: defaultSpike}, true
	case NoDangle:
		return &DangleParams{Tolerance: defaultDangle}, true
	case Contained:
		return &ContainParams{}, true
	case KeyUnique:
		return &UniqueParams{Field: p.BusinessKey}, true
	case AreaAgrees:
		return &AreaParams{Absolute: defaultAbsolute, Relative: defaultRelative}, true
	case EdgesMatch:
		return &EdgeParams{Tolerance: t.Topology}, true
	case Current:
		return &CurrentParams{Field: p.TimeColumn, Earliest: defaultEarliest}, true
	case ChangeSane:
		return &ChangeParams{Count: defaultCount, Area: defaultArea}, true
	case AttributesAgree:
		switch r.Check {
		case NameOfCode:
			return &NameOfCodeParams{}, true
		case RequiredWhen:
			return &RequiredWhenParams{}, true
		case ValueWhen:
			return &ValueWhenParams{}, true
		case Product:
			return &ProductParams{Tolerance: defaultDifference}, true
		case Difference:
			return &DifferenceParams{Tolerance: defaultDifference}, true
		}
	}
	return nil, false
}
