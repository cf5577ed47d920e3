// Package profile reads layer standards: which fields a layer has, which values
// they may take, what names a feature, how exact it must be and which quality
// rules it must pass. Profiles and code tables are data, kept in
// schemas/profiles.
package profile

import (
	"encoding/json"

	"changde/ingest/finding"
	"changde/ingest/layer"
)

// Profile is the standard of one layer.
type Profile struct {
	ID       string // "dltb-3", lower case with dashes
	TitleZH  string
	TitleEN  string
	Standard string // "TD/T 1057-2020"
	// Layers are the names a layer of this standard has in deliveries, compared
	// without regard to case: "DLTB".
	Layers      []string
	Geometry    string // Point, MultiPoint, MultiLineString, MultiPolygon, Geometry
	Fields      []Field
	BusinessKey string // field that names a feature across releases, empty for none
	Label       string
	Class       string
	TimeColumn  string
	AreaField   string // holds the area of the row in square metres, empty for none
	Tolerance   Tolerance
	Rules       []Rule
	Tiles       Tiles
	// Uncertain are notes on what in the profile was not checked against the text
	// of the standard.
	Uncertain []string
}

// Field is one attribute of the standard.
type Field struct {
	Name      string // full name; deliveries may cut it to 10 bytes
	Alias     string // Chinese title
	Type      layer.Type
	Length    int // characters, 0 for no bound
	Decimals  int
	Mandatory bool
	Codes     string   // id of the code table its values come from, empty for none
	Min, Max  *float64 // bounds of a number, inclusive
	// Names are other names that deliveries give the field, whole.
	Names []string
	// Within narrows Codes to those that begin with one of these: "2" for the water
	// of GB/T 13923. Empty for all.
	Within    []string
	Uncertain string // what about the field was not checked against the standard
}

// Tolerance is how exact the layer must be.
type Tolerance struct {
	Grid     float64 // metres: coordinates closer are one
	Topology float64 // metres: overlaps and gaps narrower than this are none
	Area     float64 // square metres: overlaps and gaps smaller than this are none
}

// Tiles is how the layer is generalised in map tiles.
type Tiles struct {
	// Rank lists values of Class from the most important to the least, one that ends in *
	// for all that begin so.
	Rank []string
	// Attributes are the fields that tiles below zoom 14 carry beside label and class.
	Attributes []TileAttributes
}

// TileAttributes are fields that tiles carry from a zoom on.
type TileAttributes struct {
	MinZoom int
	Fields  []string
}

// Rule is one quality rule that applies, with its parameters.
type Rule struct {
	Code     string           // Q01 to Q20
	Severity finding.Severity // as domain rules say unless the profile overrules
	// Check tells rules of one code apart, such as "required-when" and "sum" of Q15;
	// empty for codes with one check.
	Check  string
	Params json.RawMessage // the rule's own object, nil for none
}
