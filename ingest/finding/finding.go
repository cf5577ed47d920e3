// Package finding is the vocabulary of quality: what is found wrong with a row of
// a delivery, by which rule, how grave it is, and what was done.
package finding

// Action is what was done with the row of a finding.
type Action string

// The actions.
const (
	Refused  Action = "refused"  // the row is not in the content
	Repaired Action = "repaired" // the row was changed, Before and After say how
	Noted    Action = "noted"    // the row is in the content as the finding says
)

// Severity is what a finding means for the release of the delivery.
type Severity string

// The severities. A delivery with a finding that blocks is not released; errors
// and warnings are for the person who decides.
const (
	Block Severity = "block"
	Error Severity = "error"
	Warn  Severity = "warn"
)

// Finding is one thing that the sender of a delivery must be told.
type Finding struct {
	Row      int64       `json:"row"` // in the file, from 1; 0 when it concerns the whole layer
	File     string      `json:"file,omitempty"`
	Rule     string      `json:"rule"` // Q01 to Q20
	Code     string      `json:"code"` // lower case with dashes, stable
	Severity Severity    `json:"severity"`
	Action   Action      `json:"action"`
	Field    string      `json:"field,omitempty"`
	ZH       string      `json:"zh"`
	EN       string      `json:"en"`
	Place    *[2]float64 `json:"place,omitempty"`  // longitude, latitude, EPSG:4490
	Before   string      `json:"before,omitempty"` // of a repaired row, in words or WKT, at most 1 kB
	After    string      `json:"after,omitempty"`
}
