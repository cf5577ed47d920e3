package profile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"changde/ingest/finding"
	"changde/ingest/layer"
	"changde/problem"
)

// The bounds of a profile.
const (
	maxDocument  = 1 << 20 // bytes
	maxFields    = 2048    // a DBF holds no more
	maxRules     = 200
	maxLayers    = 50
	maxNames     = 50
	maxID        = 63
	maxName      = 128 // characters of a field or layer name
	maxText      = 500 // characters of a title or note
	maxLength    = 1 << 20
	maxDecimals  = 30
	maxNumber    = 1e15
	maxTolerance = 1e6
	maxParams    = 1 << 16 // bytes
	maxRank      = 200
	maxRankText  = 100
	maxTileZoom  = 13 // from the next on tiles carry all fields
	maxTileSteps = maxTileZoom + 1
	maxTileNames = 14 // fields of tiles
)

// Decode reads a profile from its JSON form (docs/formats/profile.md). It is
// strict: unknown and repeated members, wrong types and values out of bounds are
// issues, each with its place, and the profile returned beside them is only for
// Check to find more. A profile without issues still may not fit together: Check
// tells.
//
// What is no JSON object at all, and what is longer than 1 MiB, is a
// *problem.Error; a failing reader is an error as it is.
func Decode(r io.Reader) (*Profile, []Issue, error) {
	raw, err := readObject(r, maxDocument)
	if err != nil {
		return nil, nil, err
	}
	var out issues
	o, ok := open("$", raw, &out)
	if !ok {
		return &Profile{}, out.list, nil
	}
	p := &Profile{ID: o.text("id", maxID, true)}
	p.TitleZH, p.TitleEN = readTitle(o)
	p.Standard = o.text("standard", maxText, false)
	p.Layers = o.texts("layers", maxLayers, maxName)
	p.Geometry = o.text("geometry", maxID, true)
	for i, raw := range o.list("fields", maxFields, true) {
		p.Fields = append(p.Fields, readField(fmt.Sprintf("$.fields[%d]", i), raw, &out))
	}
	p.BusinessKey = o.text("businessKey", maxName, false)
	p.Label = o.text("label", maxName, false)
	p.Class = o.text("class", maxName, false)
	p.TimeColumn = o.text("timeColumn", maxName, false)
	p.AreaField = o.text("areaField", maxName, false)
	if raw, ok := o.take("tolerance", false); ok {
		p.Tolerance = readTolerance(raw, &out)
	}
	for i, raw := range o.list("rules", maxRules, true) {
		p.Rules = append(p.Rules, readRule(fmt.Sprintf("$.rules[%d]", i), raw, &out))
	}
	if raw, ok := o.take("tiles", false); ok {
		p.Tiles = readTiles(raw, &out)
	}
	p.Uncertain = o.texts("uncertain", maxNames, maxText)
	o.close()
	return p, out.list, nil
}

// readObject reads one JSON value of at most limit bytes, UTF-8, without
// repeated member names.
func readObject(r io.Reader, limit int64) (jsontext.Value, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read a profile: %w", err)
	}
	if int64(len(b)) > limit {
		return nil, problem.New(problem.TooLarge, "profile-too-large", "",
			fmt.Sprintf("文件超过 %d KiB", limit>>10), fmt.Sprintf("the file is longer than %d KiB", limit>>10))
	}
	b = []byte(strings.TrimPrefix(string(b), "\ufeff"))
	var v jsontext.Value
	if err := jsonv2.Unmarshal(b, &v); err != nil {
		where := ""
		var syntax *jsontext.SyntacticError
		if errors.As(err, &syntax) {
			if at := int(syntax.ByteOffset); at >= 0 && at <= len(b) {
				where = fmt.Sprintf("第 %[1]d 行 line %[1]d", 1+strings.Count(string(b[:at]), "\n"))
			}
			if errors.Is(syntax, jsontext.ErrDuplicateName) {
				name := cut(string(syntax.JSONPointer), 200)
				return nil, problem.Wrap(err, problem.Invalid, "profile-not-json", where,
					"成员 "+name+" 重复出现，请只保留一个", "the member "+name+" is there twice; keep one")
			}
		}
		return nil, problem.Wrap(err, problem.Invalid, "profile-not-json", where,
			"不是合法的 JSON（UTF-8 编码）", "this is not valid JSON in UTF-8")
	}
	return v, nil
}

func readTitle(o object) (zh, en string) {
	raw, ok := o.take("title", true)
	if !ok {
		return "", ""
	}
	t, ok := open(o.at("title"), raw, o.out)
	if !ok {
		return "", ""
	}
	defer t.close()
	return t.text("zh", maxText, true), t.text("en", maxText, true)
}

func readField(path string, raw jsontext.Value, out *issues) Field {
	o, ok := open(path, raw, out)
	if !ok {
		return Field{}
	}
	defer o.close()
	f := Field{Name: o.text("name", maxName, true), Alias: o.text("alias", maxName, false)}
	if name := o.text("type", maxID, true); name != "" {
		if f.Type, ok = layer.ParseType(name); !ok {
			out.error(o.at("type"), "field-type", "字段类型只能是 text、integer、real、decimal、boolean、date、timestamp",
				"a field type is text, integer, real, decimal, boolean, date or timestamp")
		}
	}
	f.Length = o.count("length", maxLength)
	f.Decimals = o.count("decimals", maxDecimals)
	f.Mandatory = o.flag("mandatory")
	f.Codes = o.text("codes", maxID, false)
	f.Within = o.texts("within", maxNames, maxID)
	f.Min = o.number("min", -maxNumber, maxNumber)
	f.Max = o.number("max", -maxNumber, maxNumber)
	f.Names = o.texts("names", maxNames, maxName)
	f.Uncertain = o.text("uncertain", maxText, false)
	return f
}

func readTolerance(raw jsontext.Value, out *issues) Tolerance {
	o, ok := open("$.tolerance", raw, out)
	if !ok {
		return Tolerance{}
	}
	defer o.close()
	var t Tolerance
	for name, to := range map[string]*float64{"grid": &t.Grid, "topology": &t.Topology, "area": &t.Area} {
		if v := o.number(name, 0, maxTolerance); v != nil {
			*to = *v
		}
	}
	return t
}

func readTiles(raw jsontext.Value, out *issues) Tiles {
	o, ok := open("$.tiles", raw, out)
	if !ok {
		return Tiles{}
	}
	defer o.close()
	t := Tiles{Rank: o.texts("rank", maxRank, maxRankText)}
	for i, raw := range o.list("attributes", maxTileSteps, false) {
		a, ok := open(fmt.Sprintf("$.tiles.attributes[%d]", i), raw, out)
		if !ok {
			continue
		}
		if _, ok := a.members["minzoom"]; !ok {
			out.error(a.at("minzoom"), "member-missing", "缺少成员 minzoom", "the member minzoom is missing")
		}
		t.Attributes = append(t.Attributes, TileAttributes{MinZoom: a.count("minzoom", maxTileZoom), Fields: a.texts("fields", maxTileNames, maxName)})
		a.close()
	}
	return t
}

func readRule(path string, raw jsontext.Value, out *issues) Rule {
	o, ok := open(path, raw, out)
	if !ok {
		return Rule{}
	}
	defer o.close()
	r := Rule{Code: o.text("code", maxID, true), Check: o.text("check", maxID, false)}
	r.Severity = DefaultSeverity(r.Code)
	if s := o.text("severity", maxID, false); s != "" {
		if !slices.Contains(severities, finding.Severity(s)) {
			out.error(o.at("severity"), "rule-severity", "严重程度只能是 block、error、warn", "a severity is block, error or warn")
		}
		r.Severity = finding.Severity(s)
	}
	if raw, ok := o.take("params", false); ok {
		switch {
		case raw.Kind() != '{':
			out.error(o.at("params"), "not-an-object", "此处应为对象 {…}", "an object {…} is expected here")
		case len(raw) > maxParams:
			out.error(o.at("params"), "text-too-long", "参数过长", "the parameters are too long")
		default:
			v := raw.Clone()
			if v.Compact() == nil && string(v) != "{}" {
				r.Params = json.RawMessage(v)
			}
		}
	}
	return r
}
