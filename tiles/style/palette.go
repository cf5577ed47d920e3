package style

import (
	"fmt"
	"hash/fnv"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// How a palette's codes name the values of a class.
const (
	matchPrefix = "prefix" // the value begins with the code; the longest code counts
	matchValue  = "value"  // the value is the code
	matchPart   = "part"   // the code is a part of the value; the first class counts
)

// Class is one entry of a legend: values that are drawn alike.
type Class struct {
	Codes []string `json:"codes,omitempty"`
	ZH    string   `json:"zh"`
	EN    string   `json:"en"`
	Color string   `json:"color"` // #rrggbb
	// Icon is what points are drawn with, one of the sheet; empty for none.
	Icon string `json:"icon,omitempty"`
	// Width of lines and Size of names, both relative, and From, the zoom at which
	// the class appears; 0 where the manner of drawing has no use for them.
	Width float64 `json:"width,omitempty"`
	Size  float64 `json:"size,omitempty"`
	From  float64 `json:"from,omitempty"`
}

// palette is a table of classes.
type palette struct {
	ID        string   `json:"id"`
	Title     title    `json:"title"`
	Source    string   `json:"source"`
	Uncertain string   `json:"uncertain"`
	Match     string   `json:"match"`
	Strength  float64  `json:"strength"` // share of the colour over the paper; 0 is all
	Hues      []string `json:"hues"`     // colours of classes that no table names
	Classes   []Class  `json:"classes"`
	Other     Class    `json:"other"`
}

type title struct {
	ZH string `json:"zh"`
	EN string `json:"en"`
}

// prefixCode is what a value in capitals may begin with, a byte to a character.
var prefixCode = regexp.MustCompile(`^[0-9A-Z]+$`)

var hexColor = regexp.MustCompile(`^#[0-9a-f]{6}$`)

func parsePalette(b []byte) (*palette, error) {
	var p palette
	if err := strict(b, &p); err != nil {
		return nil, err
	}
	if p.Match != matchPrefix && p.Match != matchValue && p.Match != matchPart {
		return nil, fmt.Errorf("match is %q", p.Match)
	}
	seen := map[string]bool{}
	for i, c := range append(p.Classes, p.Other) {
		if !hexColor.MatchString(c.Color) || c.ZH == "" || c.EN == "" {
			return nil, fmt.Errorf("class %d lacks a colour or a title", i)
		}
		for _, code := range c.Codes {
			if code == "" || seen[code] || p.Match == matchPrefix && !prefixCode.MatchString(code) || p.Match == matchPart && code != strings.ToLower(code) {
				return nil, fmt.Errorf("code %q is empty, of two classes, or in letters that match no value", code)
			}
			seen[code] = true
		}
	}
	for _, hue := range p.Hues {
		if !hexColor.MatchString(hue) {
			return nil, fmt.Errorf("hue %q is no colour", hue)
		}
	}
	if p.Strength > 0 {
		for i := range p.Classes {
			p.Classes[i].Color = mix(p.Classes[i].Color, paper, p.Strength)
		}
	}
	return &p, nil
}

// mix lays a share of a colour over another.
func mix(over, under string, share float64) string {
	a, _ := strconv.ParseUint(over[1:], 16, 32)
	b, _ := strconv.ParseUint(under[1:], 16, 32)
	var out uint64
	for _, shift := range []int{16, 8, 0} {
		x, y := float64(a>>shift&0xff), float64(b>>shift&0xff)
		out |= uint64(x*share+y*(1-share)+0.5) << shift
	}
	return fmt.Sprintf("#%06x", out)
}

// hue is the colour of a name that no table has, the same every time.
func (p *palette) hue(name string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return p.Hues[h.Sum32()%uint32(len(p.Hues))]
}

// of returns the palette with the classes of a dataset that no table names.
func (p *palette) of(values []string) *palette {
	named := *p
	named.Classes = make([]Class, len(values))
	for i, v := range values {
		named.Classes[i] = Class{Codes: []string{v}, ZH: v, EN: v, Color: p.hue(v)}
	}
	return &named
}

// legend lists what there is to see.
func (p *palette) legend() []Class { return append(p.Classes[:len(p.Classes):len(p.Classes)], p.Other) }

func color(c Class) any     { return c.Color }
func lineWidth(c Class) any { return c.Width }
func nameSize(c Class) any  { return c.Size }
func fromZoom(c Class) any  { return c.From }
func iconOf(c Class) any    { return c.Icon }

// hasIcons reports whether points of any class are drawn with an icon.
func (p *palette) hasIcons() bool {
	return slices.ContainsFunc(p.legend(), func(c Class) bool { return c.Icon != "" })
}

// choose is the expression that finds of for the class a feature is in, by its
// field. Without a field every feature is of the class of the others.
func (p *palette) choose(field string, of func(Class) any) any {
	rest := of(p.Other)
	if field == "" || len(p.Classes) == 0 {
		return rest
	}
	switch p.Match {
	case matchPrefix:
		return p.byPrefix(field, of)
	case matchPart:
		out := []any{"case"}
		for _, c := range p.Classes {
			parts := []any{"any"}
			for _, code := range c.Codes {
				parts = append(parts, []any{"in", code, []any{"downcase", text(field)}})
			}
			out = append(out, parts, of(c))
		}
		return append(out, rest)
	}
	out := []any{"match", text(field)}
	for _, c := range p.Classes {
		out = append(out, c.Codes, of(c))
	}
	return append(out, rest)
}

// byPrefix asks for the longest codes first, and for shorter ones where none fits.
func (p *palette) byPrefix(field string, of func(Class) any) any {
	longest := 0
	for _, c := range p.Classes {
		for _, code := range c.Codes {
			longest = max(longest, len(code))
		}
	}
	out := of(p.Other)
	for n := 1; n <= longest; n++ {
		branches := []any{"match", []any{"slice", []any{"upcase", text(field)}, 0, n}}
		bare := len(branches)
		for _, c := range p.Classes {
			var codes []string
			for _, code := range c.Codes {
				if len(code) == n {
					codes = append(codes, code)
				}
			}
			if len(codes) > 0 {
				branches = append(branches, codes, of(c))
			}
		}
		if len(branches) > bare {
			out = append(branches, out)
		}
	}
	return out
}

// text is a field's value as text, empty where the feature has none.
func text(field string) any { return []any{"to-string", []any{"get", field}} }
