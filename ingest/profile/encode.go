package profile

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// Encode writes the profile in the one form that Decode reads back as an equal
// profile: members in a fixed order, those without a value left out, one line for
// each field and rule. A severity is written only where it is not the default.
func Encode(w io.Writer, p *Profile) error {
	var b bytes.Buffer
	b.WriteString("{\n")
	member := func(name string, value []byte) {
		if value == nil {
			return
		}
		if b.Len() > 2 {
			b.WriteString(",\n")
		}
		fmt.Fprintf(&b, "  %q: %s", name, value)
	}
	member("id", quoted(p.ID))
	member("title", line(pair{"zh", quoted(p.TitleZH)}, pair{"en", quoted(p.TitleEN)}))
	member("standard", filled(p.Standard))
	member("layers", stringList(p.Layers))
	member("geometry", quoted(p.Geometry))
	member("businessKey", filled(p.BusinessKey))
	member("label", filled(p.Label))
	member("class", filled(p.Class))
	member("timeColumn", filled(p.TimeColumn))
	member("areaField", filled(p.AreaField))
	if t := p.Tolerance; t != (Tolerance{}) {
		member("tolerance", line(pair{"grid", positive(t.Grid)}, pair{"topology", positive(t.Topology)}, pair{"area", positive(t.Area)}))
	}
	fields := make([][]byte, len(p.Fields))
	for i, f := range p.Fields {
		fields[i] = line(
			pair{"name", quoted(f.Name)}, pair{"alias", filled(f.Alias)}, pair{"type", quoted(f.Type.String())},
			pair{"length", positive(float64(f.Length))}, pair{"decimals", positive(float64(f.Decimals))}, pair{"mandatory", set(f.Mandatory)},
			pair{"codes", filled(f.Codes)}, pair{"within", stringList(f.Within)}, pair{"min", written(f.Min)}, pair{"max", written(f.Max)},
			pair{"names", stringList(f.Names)}, pair{"uncertain", filled(f.Uncertain)})
	}
	member("fields", lines(fields))
	rules := make([][]byte, len(p.Rules))
	for i, r := range p.Rules {
		var severity []byte
		if r.Severity != DefaultSeverity(r.Code) {
			severity = quoted(string(r.Severity))
		}
		var params []byte
		if len(r.Params) > 0 {
			v := jsontext.Value(r.Params).Clone()
			if err := v.Compact(jsontext.SpaceAfterColon(true), jsontext.SpaceAfterComma(true)); err != nil {
				return fmt.Errorf("write rule %s: %w", r.Code, err)
			}
			params = v
		}
		rules[i] = line(pair{"code", quoted(r.Code)}, pair{"severity", severity}, pair{"check", filled(r.Check)}, pair{"params", params})
	}
	member("rules", lines(rules))
	if t := p.Tiles; len(t.Rank)+len(t.Attributes) > 0 {
		var attributes []byte
		for i, a := range t.Attributes {
			if i > 0 {
				attributes = append(attributes, ", "...)
			}
			attributes = append(attributes, line(pair{"minzoom", strconv.AppendInt(nil, int64(a.MinZoom), 10)}, pair{"fields", stringList(a.Fields)})...)
		}
		if attributes != nil {
			attributes = slices.Concat([]byte{'['}, attributes, []byte{']'})
		}
		member("tiles", line(pair{"rank", stringList(t.Rank)}, pair{"attributes", attributes}))
	}
	member("uncertain", stringList(p.Uncertain))
	b.WriteString("\n}\n")
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write a profile: %w", err)
	}
	return nil
}

type pair struct {
	name  string
	value []byte // nil leaves the member out
}

func line(pairs ...pair) []byte {
	b := []byte{'{'}
	for _, p := range pairs {
		if p.value == nil {
			continue
		}
		if len(b) > 1 {
			b = append(b, ", "...)
		}
		b = append(b, '"')
		b = append(b, p.name...)
		b = append(b, `": `...)
		b = append(b, p.value...)
	}
	return append(b, '}')
}

func lines(items [][]byte) []byte {
	if len(items) == 0 {
		return []byte("[]")
	}
	b := []byte("[\n    ")
	b = append(b, bytes.Join(items, []byte(",\n    "))...)
	return append(b, "\n  ]"...)
}

// quoted is the JSON string; AppendQuote fails on no string but one that is not
// UTF-8, and then still gives it with U+FFFD.
func quoted(s string) []byte {
	b, _ := jsontext.AppendQuote(nil, s)
	return b
}

func filled(s string) []byte {
	if s == "" {
		return nil
	}
	return quoted(s)
}

func stringList(list []string) []byte {
	if len(list) == 0 {
		return nil
	}
	b := []byte{'['}
	for i, s := range list {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = append(b, quoted(s)...)
	}
	return append(b, ']')
}

func written(v *float64) []byte {
	if v == nil {
		return nil
	}
	return strconv.AppendFloat(nil, *v, 'f', -1, 64)
}

func positive(v float64) []byte {
	if v == 0 {
		return nil
	}
	return written(&v)
}

func set(v bool) []byte {
	if !v {
		return nil
	}
	return []byte("true")
}
