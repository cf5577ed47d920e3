package profile

import (
	"iter"
	"slices"
	"strings"
	"time"
)

// Codes is a code table of one edition of a standard. It never changes and may be
// used by many goroutines.
type Codes struct {
	ID        string // "survey-3"
	TitleZH   string
	TitleEN   string
	Edition   string // "TD/T 1055-2019"
	Source    string // credit, when the table comes from somebody's data
	Uncertain string // what was not checked against the standard, empty for nothing
	MapsTo    string // id of the table that Code.Maps leads to, empty for none
	// Partial tables may lack codes: a value that is not listed is doubtful, not wrong.
	Partial bool
	Open    *OpenCodes

	rows  []Code
	index map[string]int
}

// Code is one row of a table.
type Code struct {
	Code   string
	Name   string
	Parent string // empty at the top
	Group  bool   // a heading, not a value
	// Geometry has the letters P, L and A for the points, lines and areas that may
	// carry the code; empty when it is not said.
	Geometry  string
	From, To  string   // dates the code is valid from and before, as 2006-01-02; empty for always
	Maps      []string // codes of the same meaning in the table MapsTo
	Uncertain string
}

// OpenCodes says which values a table accepts that it does not list: those with
// one of the lengths whose first Prefix characters, filled with zeros to Pad
// characters, are in the table; and those that are a code of the table with
// zeros behind it.
type OpenCodes struct {
	Lengths []int
	Prefix  int
	Pad     int // 0 for no filling
}

// Get returns the row of a code.
func (c *Codes) Get(code string) (Code, bool) {
	i, ok := c.index[code]
	if !ok {
		return Code{}, false
	}
	return c.rows[i], true
}

// Name is the Chinese name of a code in the table, empty for any other.
func (c *Codes) Name(code string) string {
	row, _ := c.Get(code)
	return row.Name
}

// Valid reports whether a field may hold the code: it is in the table and no
// heading, or an open table accepts it.
func (c *Codes) Valid(code string) bool {
	row, exact, ok := c.find(code)
	return ok && !(exact && row.Group)
}

// ValidOn is Valid for a day: the code, or the row that an open table takes for
// it, was in force.
func (c *Codes) ValidOn(code string, day time.Time) bool {
	row, exact, ok := c.find(code)
	if !ok || exact && row.Group {
		return false
	}
	on := day.Format(time.DateOnly)
	return (row.From == "" || row.From <= on) && (row.To == "" || on < row.To)
}

// Fits reports whether features of a geometry type may carry the code. Points
// carry P, lines L, polygons A; a code that does not say takes the word of its
// parents, and fits everything if they do not say either. An unknown code fits
// nothing.
func (c *Codes) Fits(code, geometry string) bool {
	row, _, ok := c.find(code)
	if !ok {
		return false
	}
	letter := ""
	switch strings.TrimPrefix(geometry, "Multi") {
	case "Point":
		letter = "P"
	case "LineString":
		letter = "L"
	case "Polygon":
		letter = "A"
	default:
		return true
	}
	for range maxDepth {
		if row.Geometry != "" {
			return strings.Contains(row.Geometry, letter)
		}
		if row, ok = c.Get(row.Parent); !ok {
			return true
		}
	}
	return true
}

// Path returns the code's row and those above it, the top first; empty for an
// unknown code.
func (c *Codes) Path(code string) []Code {
	var path []Code
	for row, ok := c.Get(code); ok && len(path) < maxDepth; row, ok = c.Get(row.Parent) {
		path = append(path, row)
	}
	slices.Reverse(path)
	return path
}

// Each yields the rows in the order of the table.
func (c *Codes) Each() iter.Seq[Code] { return slices.Values(c.rows) }

// Len is the number of rows.
func (c *Codes) Len() int { return len(c.rows) }

// find returns the row of a code, or the one an open table takes for it.
func (c *Codes) find(code string) (row Code, exact, ok bool) {
	if row, ok = c.Get(code); ok {
		return row, true, true
	}
	if c.Open == nil || !slices.Contains(c.Open.Lengths, len(code)) {
		return Code{}, false, false
	}
	for _, b := range []byte(code) {
		if b < '0' || b > '9' {
			return Code{}, false, false
		}
	}
	short := strings.TrimRight(code, "0")
	for n := len(code) - 1; n >= max(len(short), 1); n-- {
		if row, ok = c.Get(code[:n]); ok {
			return row, false, true
		}
	}
	prefix := code[:min(c.Open.Prefix, len(code))]
	if fill := c.Open.Pad - len(prefix); fill > 0 {
		prefix += strings.Repeat("0", fill)
	}
	row, ok = c.Get(prefix)
	return row, false, ok
}

// longest returns a listed value longer than most characters.
func (c *Codes) longest(most int) (string, bool) {
	for _, row := range c.rows {
		if !row.Group && len([]rune(row.Code)) > most {
			return row.Code, true
		}
	}
	return "", false
}

// begins reports whether a code of the table begins with the prefix.
func (c *Codes) begins(prefix string) bool {
	return slices.ContainsFunc(c.rows, func(row Code) bool { return strings.HasPrefix(row.Code, prefix) })
}

// Verdict is what a code table says of a value.
type Verdict string

// The verdicts.
const (
	Accepted   Verdict = ""
	Unlisted   Verdict = "code-unknown"  // not in the table
	Doubtful   Verdict = "code-doubtful" // not in the table, which may lack codes
	Heading    Verdict = "code-heading"  // a heading, too coarse for a value
	Misplaced  Verdict = "code-layer"    // in the table, but not for this field's layer
	Mismatched Verdict = "code-geometry" // in the table, but not for this geometry type
)

// Judge says whether a field of a layer with the geometry type may hold the code,
// and if not, why. It looks at Within of the field; the table is the field's. A
// Doubtful value is for a warning, whatever the severity of the rule.
func (c *Codes) Judge(f Field, geometry, code string) Verdict {
	row, exact, ok := c.find(code)
	switch {
	case !ok && c.Partial:
		return Doubtful
	case !ok:
		return Unlisted
	case exact && row.Group:
		return Heading
	case len(f.Within) > 0 && !slices.ContainsFunc(f.Within, func(p string) bool { return strings.HasPrefix(code, p) }):
		return Misplaced
	case !c.Fits(code, geometry):
		return Mismatched
	}
	return Accepted
}
