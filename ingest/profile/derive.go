package profile

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"changde/ingest/layer"
)

// Derive makes the free profile of a layer that follows no standard: its fields as
// they are, and the rules that apply to every layer. The title is given to both
// languages; a Polygon layer becomes MultiPolygon and an unknown type Geometry.
// Fields without a usable name, and those whose name another has, case aside, are
// left out: Match reports them as extra. The profile passes Check when id does.
func Derive(id, title, layerName, geometry string, fields []layer.Field) *Profile {
	title = clean(title, maxText)
	if title == "" {
		title = id
	}
	p := &Profile{ID: id, TitleZH: title, TitleEN: title, Geometry: multi(geometry)}
	if name := clean(layerName, maxName); name != "" {
		p.Layers = []string{name}
	}
	seen := map[string]bool{}
	for _, f := range fields {
		if len(p.Fields) == maxFields {
			break
		}
		key := fold(f.Name)
		if clean(f.Name, maxName) != f.Name || f.Name == "" || seen[key] {
			continue
		}
		seen[key] = true
		d := Field{Name: f.Name, Type: f.Type}
		if numeric(f.Type) || f.Type == layer.Text {
			d.Length = min(max(f.Width, 0), maxLength)
		}
		if (f.Type == layer.Real || f.Type == layer.Decimal) && f.Decimals > 0 && f.Decimals <= maxDecimals &&
			(d.Length == 0 || f.Decimals < d.Length) {
			d.Decimals = f.Decimals
		}
		p.Fields = append(p.Fields, d)
	}
	for _, code := range []string{FileOpens, LayerKnown, Located, GeometryValid, NoSliver, NoDuplicate, Current, ChangeSane} {
		p.Rules = append(p.Rules, Rule{Code: code, Severity: DefaultSeverity(code)})
	}
	return p
}

// SetBusinessKey names the field that names a feature across releases, makes it
// mandatory and adds the rule that it is unique (Q12); it reports false when there
// is no such field. The profile must not be of a Library.
func (p *Profile) SetBusinessKey(name string) bool {
	for i, f := range p.Fields {
		if fold(f.Name) != fold(name) {
			continue
		}
		p.Fields[i].Mandatory = true
		p.BusinessKey = f.Name
		for _, r := range p.Rules {
			if r.Code == KeyUnique {
				return true
			}
		}
		p.Rules = append(p.Rules, Rule{Code: KeyUnique, Severity: DefaultSeverity(KeyUnique)})
		return true
	}
	return false
}

// clean takes spaces around and control characters out of a text, and cuts it.
func clean(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, s)
	return strings.TrimSpace(cut(strings.TrimSpace(s), most))
}

func multi(geometry string) string {
	switch geometry {
	case "Polygon", "MultiPolygon":
		return "MultiPolygon"
	case "LineString", "MultiLineString":
		return "MultiLineString"
	case "Point", "MultiPoint":
		return geometry
	}
	return "Geometry"
}
