package profile

import (
	"fmt"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
)

// The checks of Q15.
const (
	NameOfCode   = "name-of-code"
	RequiredWhen = "required-when"
	ValueWhen    = "value-when"
	Product      = "product"
	Difference   = "difference"
)

// What a rule takes for a parameter that the profile does not give.
const (
	defaultGrid       = 0.0001
	defaultTopology   = 0.001
	defaultTinyArea   = 0.01
	defaultSliver     = 1.0
	defaultThinness   = 0.01
	defaultSpike      = 1.0
	defaultDangle     = 1.0
	defaultAbsolute   = 0.5
	defaultRelative   = 0.0001
	defaultEarliest   = "1949-10-01"
	defaultCount      = 0.2
	defaultArea       = 0.01
	defaultDifference = 0.01
)

// Filled returns the tolerance with the defaults for what is zero: grid 0.0001 m,
// topology 0.001 m, area 0.01 m².
func (t Tolerance) Filled() Tolerance {
	fill := func(v *float64, with float64) {
		if *v <= 0 {
			*v = with
		}
	}
	fill(&t.Grid, defaultGrid)
	fill(&t.Topology, defaultTopology)
	fill(&t.Area, defaultTinyArea)
	return t
}

// OverlapParams are of Q06: overlaps narrower than Tolerance metres or smaller
// than Area square metres are none.
type OverlapParams struct {
	Tolerance float64 `json:"tolerance"` // default: the profile's topology tolerance
	Area      float64 `json:"area"`      // default: the profile's area tolerance
}

// GapParams are of Q07. Parent is the dataset that the layer must cover; when it
// is empty, gaps are holes inside the layer's own outer boundary.
type GapParams struct {
	Parent string `json:"parent"`
}

// SliverParams are of Q08: a polygon is a sliver below Area square metres, or
// when 4πA/P² is below Thinness.
type SliverParams struct {
	Area     float64 `json:"area"`     // default 1
	Thinness float64 `json:"thinness"` // default 0.01
}

// DuplicateParams are of Q09: vertices that follow each other within Distance
// metres, and angles below Spike degrees.
type DuplicateParams struct {
	Distance float64 `json:"distance"` // default: the profile's topology tolerance
	Spike    float64 `json:"spike"`    // default 1
}

// DangleParams are of Q10: a line end within Tolerance metres of another line
// that it does not touch.
type DangleParams struct {
	Tolerance float64 `json:"tolerance"` // default 1
}

// ContainParams are of Q11: every feature lies inside the dataset Parent.
type ContainParams struct {
	Parent string `json:"parent"`
}

// UniqueParams are of Q12.
type UniqueParams struct {
	Field string `json:"field"` // default: the profile's business key
}

// NameOfCodeParams are of Q15 name-of-code: the field Name holds the name that the
// table Codes gives the code in the field Code.
type NameOfCodeParams struct {
	Code  string `json:"code"`
	Name  string `json:"name"`
	Codes string `json:"codes"` // default: the code table of the field
}

// RequiredWhenParams are of Q15 required-when: Field is filled when the field When
// has one of the values In. A value that ends in * stands for all that begin so.
type RequiredWhenParams struct {
	Field string   `json:"field"`
	When  string   `json:"when"`
	In    []string `json:"in"`
}

// ValueWhenParams are of Q15 value-when: Field has one of the values Value when
// the field When has one of the values In. A value of In that ends in * stands for
// all that begin so.
type ValueWhenParams struct {
	Field string   `json:"field"`
	Value Values   `json:"value"`
	When  string   `json:"when"`
	In    []string `json:"in"`
}

// ProductParams are of Q15 product: Result is the product of the two Factors
// within Tolerance.
type ProductParams struct {
	Result    string   `json:"result"`
	Factors   []string `json:"factors"`
	Tolerance float64  `json:"tolerance"` // default 0.01
}

// DifferenceParams are of Q15 difference: Result is Minuend - Subtrahend within
// Tolerance. A missing subtrahend counts as zero.
type DifferenceParams struct {
	Result     string  `json:"result"`
	Minuend    string  `json:"minuend"`
	Subtrahend string  `json:"subtrahend"`
	Tolerance  float64 `json:"tolerance"` // default 0.01
}

// AreaParams are of Q16: the area field differs from the area on the ellipsoid by
// at most the larger of Absolute square metres and Relative times the area.
type AreaParams struct {
	Absolute float64 `json:"absolute"` // default 0.5
	Relative float64 `json:"relative"` // default 0.0001
	// Control is what the areas of the layer add up to, nil for nothing.
	Control *ControlParams `json:"control,omitempty"`
}

// ControlParams are of Q16: the rows of a unit add up to its control area, but for
// the larger of AreaParams.Absolute and Relative times that area. A row is of the
// unit whose code its own begins with.
type ControlParams struct {
	Unit     string  `json:"unit"`     // field of the layer
	Dataset  string  `json:"dataset"`  // of the units
	Code     string  `json:"code"`     // field of the dataset
	Area     string  `json:"area"`     // field of the dataset; empty: the area of its shape on the ellipsoid
	Relative float64 `json:"relative"` // 0 is 0.000001
}

// EdgeParams are of Q17.
type EdgeParams struct {
	Tolerance float64 `json:"tolerance"` // metres, default: the profile's topology tolerance
}

// CurrentParams are of Q18: dates from Earliest to the day of the delivery. An
// empty Field means every date and timestamp field.
type CurrentParams struct {
	Field    string `json:"field"`    // default: the profile's time column
	Earliest string `json:"earliest"` // a date, default 1949-10-01
}

// EarliestDate is Earliest as a time at midnight UTC.
func (c CurrentParams) EarliestDate() (time.Time, error) {
	t, err := time.Parse(time.DateOnly, c.Earliest)
	if err != nil {
		return time.Time{}, fmt.Errorf("earliest date: %w", err)
	}
	return t, nil
}

// ChangeParams are of Q20: the number of features changes by at most the share
// Count, the sum of areas by at most the share Area.
type ChangeParams struct {
	Count float64 `json:"count"` // default 0.2
	Area  float64 `json:"area"`  // default 0.01
}

// Values is one string or a list of them in JSON.
type Values []string

// UnmarshalJSON reads either form.
func (v *Values) UnmarshalJSON(b []byte) error {
	var one string
	if err := jsonv2.Unmarshal(b, &one); err == nil && len(b) > 0 && b[0] == '"' {
		*v = Values{one}
		return nil
	}
	var list []string
	if err := jsonv2.Unmarshal(b, &list); err != nil {
		return fmt.Errorf("a string or a list of strings: %w", err)
	}
	*v = list
	return nil
}

// Among reports whether a value is one of a list whose members may end in *.
func Among(value string, list []string) bool {
	for _, item := range list {
		if prefix, ok := strings.CutSuffix(item, "*"); ok && strings.HasPrefix(value, prefix) || value == item {
			return true
		}
	}
	return false
}
