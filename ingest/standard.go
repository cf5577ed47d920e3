package ingest

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"changde/catalog"
	"changde/ingest/finding"
	"changde/ingest/layer"
	"changde/ingest/profile"
	"changde/problem"
)

// standard is how a delivery's fields are those of the dataset's profile.
type standard struct {
	profile *profile.Profile
	// names and types are those of the profile for the fields it knows, by the
	// field's index.
	fields map[int]profile.Field
}

// applyProfile maps the fields by the dataset's profile, and takes from it what
// the dataset does not say itself.
func (i *Ingester) applyProfile(p *Plan, fields []layer.Field) error {
	id := p.settings.profile
	if id == "" {
		if p.settings.release == 0 {
			for _, s := range i.config.Library.Suggest(p.Layers[0], p.geometry, fields) {
				p.note(fmt.Sprintf("图层像是标准 %s（%s）；加 --profile %s 即按该标准检查", s.ProfileID, s.ZH, s.ProfileID),
					fmt.Sprintf("the layer looks like the standard %s (%s); --profile %s checks it by that", s.ProfileID, s.EN, s.ProfileID))
				break
			}
		}
		return nil
	}
	std, ok := i.config.Library.Profile(id)
	if !ok {
		return unknownProfile(id)
	}
	p.standard = &standard{profile: std, fields: make(map[int]profile.Field)}
	p.Profile = Choice{Value: std.ID, ZH: std.TitleZH + "（" + std.Standard + "）", EN: std.TitleEN + " (" + std.Standard + ")"}
	mapping := profile.Match(std, fields)
	for _, a := range mapping.Ambiguous {
		return problem.New(problem.Invalid, "fields-ambiguous", p.Layers[0], a.ZH, a.EN)
	}
	for _, pair := range mapping.Pairs {
		f := std.Fields[pair.Field]
		p.standard.fields[pair.Source] = f
		if pair.How != profile.ByName || pair.Converts != profile.SameType || pair.Overflow || pair.Narrow {
			p.note(f.Name+"："+pair.ZH, f.Name+": "+pair.EN)
		}
		if pair.Converts == profile.WrongType {
			p.found = append(p.found, finding.Finding{
				Rule: "Q02", Code: "field-type", Severity: finding.Error, Action: finding.Noted, Field: f.Name, ZH: pair.ZH, EN: pair.EN,
			})
		}
	}
	for _, m := range mapping.Missing {
		f := std.Fields[m.Field]
		if !m.Mandatory {
			continue
		}
		p.found = append(p.found, finding.Finding{
			Rule: "Q02", Code: "field-missing", Severity: finding.Error, Action: finding.Noted, Field: f.Name,
			ZH: fmt.Sprintf("缺少标准规定的必填字段 %s（%s）", f.Name, f.Alias), EN: fmt.Sprintf("the mandatory field %s of the standard is missing", f.Name),
		})
	}
	for _, n := range mapping.Extra {
		if n != p.changeField {
			p.note("标准之外的字段 "+fields[n].Name+"，照原样入库", "field beyond the standard, loaded as it is: "+fields[n].Name)
		}
	}
	if std.Geometry != "Geometry" && std.Geometry != p.geometry && !(std.Geometry == "MultiPoint" && p.geometry == "Point") {
		p.found = append(p.found, finding.Finding{
			Rule: "Q02", Code: "geometry-of-layer", Severity: finding.Block, Action: finding.Noted,
			ZH: fmt.Sprintf("图层几何为 %s，标准规定为 %s", p.geometry, std.Geometry), EN: fmt.Sprintf("the layer is of %s, the standard wants %s", p.geometry, std.Geometry),
		})
	}
	p.inherit(std, fields)
	return nil
}

// inherit takes the business key, label, class, time and the rules of tiles of a
// profile for a dataset that is given the profile, where they are not named.
func (p *Plan) inherit(std *profile.Profile, fields []layer.Field) {
	set := &p.request.Settings
	if p.settings.release > 0 && set.Profile == "" {
		return
	}
	has := func(name string) bool {
		for _, f := range p.standard.fields {
			if f.Name == name {
				return true
			}
		}
		return false
	}
	for _, role := range []struct {
		given *string
		role  string
		name  string
	}{
		{&set.BusinessKey, "business-key", std.BusinessKey},
		{&set.Label, "label", std.Label},
		{&set.Class, "class", std.Class},
		{&set.TimeColumn, "time", std.TimeColumn},
	} {
		if *role.given != "" || role.name == "" || p.settings.named[role.role] != "" || !has(role.name) {
			continue
		}
		*role.given = role.name
		p.settings.named[role.role] = role.name
		switch role.role {
		case "business-key":
			p.settings.businessKey = role.name
		case "time":
			p.settings.timeColumn = role.name
		}
	}
	if set.Tiles == nil && p.settings.tiles.IsZero() {
		if set.Tiles = tileRules(std, has); set.Tiles != nil {
			p.settings.tiles = *set.Tiles
		}
	}
	if set.TitleZH == "" && p.settings.release == 0 {
		set.TitleZH, set.TitleEN = std.TitleZH, std.TitleEN
	}
}

func unknownProfile(id string) error {
	return problem.New(problem.Invalid, "profile-unknown", id, "没有这个图层标准；changde profile list 列出全部", "there is no such layer standard; changde profile list shows them")
}

// tileRules are the rules of a profile for the fields that there are; nil for none.
func tileRules(std *profile.Profile, has func(field string) bool) *catalog.TileRules {
	canonical := func(name string) string {
		for _, f := range std.Fields {
			if strings.EqualFold(f.Name, name) {
				return f.Name
			}
		}
		return name
	}
	rules := catalog.TileRules{Rank: std.Tiles.Rank}
	for _, a := range std.Tiles.Attributes {
		fields := make([]string, len(a.Fields))
		for n, name := range a.Fields {
			fields[n] = canonical(name)
		}
		rules.Attributes = append(rules.Attributes, catalog.TileAttributes{MinZoom: a.MinZoom, Fields: fields})
	}
	if rules = rules.Only(has); rules.IsZero() {
		return nil
	}
	return &rules
}

// column gives a field its name, title and type by the standard; ok is false for a
// field the standard does not know.
func (s *standard) column(n int) (f profile.Field, ok bool) {
	if s == nil {
		return profile.Field{}, false
	}
	f, ok = s.fields[n]
	return f, ok
}

// convertible reports whether values of one type may be values of another.
func convertible(from, to layer.Type) bool {
	if from == to {
		return true
	}
	switch to {
	case layer.Text:
		return true
	case layer.Integer, layer.Real, layer.Decimal:
		return from == layer.Integer || from == layer.Real || from == layer.Decimal || from == layer.Text
	case layer.Date, layer.Timestamp:
		return from == layer.Date || from == layer.Timestamp || from == layer.Text
	case layer.Boolean:
		return from == layer.Text || from == layer.Integer
	}
	return false
}

// convert brings a value to another type without losing any of it; ok is false
// where that cannot be.
func convert(v any, to layer.Type) (out any, ok bool) {
	if v == nil {
		return nil, true
	}
	if s, isText := v.(string); isText && to != layer.Text {
		if s = strings.TrimSpace(s); s == "" {
			return nil, true
		}
		v = s
	}
	switch to {
	case layer.Text:
		return textOf(v), true
	case layer.Integer:
		switch v := v.(type) {
		case int64:
			return v, true
		case float64:
			n := int64(v)
			return n, float64(n) == v && math.Abs(v) < 1<<53
		case string:
			whole, fraction, _ := strings.Cut(v, ".")
			n, err := strconv.ParseInt(whole, 10, 64)
			return n, err == nil && strings.Trim(fraction, "0") == ""
		}
	case layer.Real:
		switch v := v.(type) {
		case int64:
			return float64(v), v > -1<<53 && v < 1<<53
		case float64:
			return v, true
		case string:
			f, err := strconv.ParseFloat(v, 64)
			return f, err == nil && !math.IsNaN(f) && !math.IsInf(f, 0)
		}
	case layer.Decimal:
		switch v := v.(type) {
		case int64:
			return strconv.FormatInt(v, 10), true
		case float64:
			return strconv.FormatFloat(v, 'f', -1, 64), true
		case string:
			f, err := strconv.ParseFloat(v, 64)
			return v, err == nil && !math.IsNaN(f) && !math.IsInf(f, 0) && !strings.ContainsAny(v, "xXpP_")
		}
	case layer.Date, layer.Timestamp:
		switch v := v.(type) {
		case time.Time:
			if to == layer.Date {
				return time.Date(v.Year(), v.Month(), v.Day(), 0, 0, 0, 0, time.UTC), v.Hour() == 0 && v.Minute() == 0 && v.Second() == 0
			}
			return v, true
		case string:
			for _, form := range []string{time.DateOnly, "20060102", "2006/1/2", "2006-1-2", "2006.1.2", "2006年1月2日", time.RFC3339, time.DateTime} {
				if t, err := time.Parse(form, v); err == nil {
					return t, to == layer.Timestamp || t.Hour() == 0 && t.Minute() == 0 && t.Second() == 0
				}
			}
		}
	case layer.Boolean:
		switch strings.ToLower(textOf(v)) {
		case "1", "t", "true", "y", "yes", "是":
			return true, true
		case "0", "f", "false", "n", "no", "否":
			return false, true
		}
	}
	return nil, false
}

func textOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	case time.Time:
		if v.Hour() == 0 && v.Minute() == 0 && v.Second() == 0 {
			return v.Format(time.DateOnly)
		}
		return v.UTC().Format(time.RFC3339)
	}
	return fmt.Sprint(v)
}

// conform brings a row's values to the types of the columns, or refuses the row.
func (l *loader) conform(b *batch, f *layer.Feature, values []any) bool {
	for n, to := range l.plan.conversions {
		if to < 0 || n >= len(values) {
			continue
		}
		v, ok := convert(values[n], to)
		if !ok {
			name := l.plan.columns[n].Name
			given := cut(textOf(values[n]), 100)
			l.found.add(finding.Finding{
				Row: f.Row, File: b.file, Rule: "Q02", Code: "value-type", Action: finding.Refused, Field: name, Before: given,
				ZH: fmt.Sprintf("字段 %s 的值 %q 不是标准规定的类型 %s", name, given, to), EN: fmt.Sprintf("the value %q of %s is not of the type %s that the standard wants", given, name, to),
			})
			return false
		}
		values[n] = v
	}
	return true
}
