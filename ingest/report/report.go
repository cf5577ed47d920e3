// Package report writes what the sender and the approver of a delivery get to
// see of it: a page to read, print and sign (HTML), the same as data (JSON), a
// workbook (XLSX), and the places of the findings (GeoJSON, GeoPackage). It knows
// no database: a Document holds all that is written, and the findings come as a
// stream, so that memory does not grow with their number.
//
// docs/formats/report.md describes each form.
package report

import (
	"fmt"
	"math"
	"strings"
	"time"

	"changde/ingest/finding"
)

// Document is the report of one delivery. Members without a value are left out of
// what is written. A document is only read, and may be written in several forms
// at a time if its Findings may be called so.
type Document struct {
	Delivery   int64     `json:"delivery"`
	Dataset    string    `json:"dataset"`
	TitleZH    string    `json:"titleZh,omitempty"` // of the dataset
	TitleEN    string    `json:"titleEn,omitempty"`
	State      string    `json:"state"` // as the platform names it, such as "awaiting"
	Sender     string    `json:"sender,omitempty"`
	SenderName string    `json:"senderName,omitempty"`
	Owner      string    `json:"owner,omitempty"` // of the dataset
	Files      []string  `json:"files"`
	Bytes      int64     `json:"bytes"`
	SHA256     string    `json:"sha256,omitempty"` // hexadecimal
	Received   time.Time `json:"received,omitzero"`
	Finished   time.Time `json:"finished,omitzero"`
	Error      string    `json:"error,omitempty"` // why the delivery failed

	Plan       []Item       `json:"plan"` // what was found in the files, and what is done with it
	Counts     Counts       `json:"counts"`
	Rules      []RuleResult `json:"rules"`
	Difference *Difference  `json:"difference,omitempty"` // nil when nothing was compared
	Decisions  []Decision   `json:"decisions"`

	// Extent of the data: west, south, east, north in degrees, EPSG:4490. Nil: the
	// map is as wide as its points.
	Extent *[4]float64 `json:"extent,omitempty"`
	// Outline is drawn under the points of the map: lines of longitude and latitude,
	// EPSG:4490, such as simplified district boundaries. The map draws the first
	// 20,000 positions.
	Outline [][][2]float64 `json:"-"`
	// Others says where the report is found in other forms.
	Others []Other `json:"others,omitempty"`

	// Findings calls yield with each finding in the order of the report and stops at
	// the first error, which it returns. Nil: there are none. It is called once for
	// each form that is written.
	Findings func(yield func(finding.Finding) error) error `json:"-"`
}

// Item is one line of the plan, such as "Encoding: GB18030 (as the .cpg file says)".
type Item struct {
	NameZH string `json:"nameZh"`
	NameEN string `json:"nameEn"`
	Value  string `json:"value"`
	ZH     string `json:"zh,omitempty"` // why
	EN     string `json:"en,omitempty"`
}

// Counts counts rows by what became of them and findings by severity.
type Counts struct {
	Read     int64 `json:"read"`   // rows in the files
	Staged   int64 `json:"staged"` // rows that stand the checks
	Repaired int64 `json:"repaired"`
	Refused  int64 `json:"refused"`
	Noted    int64 `json:"noted"`
	Blocking int64 `json:"blocking"` // findings
	Errors   int64 `json:"errors"`
	Warnings int64 `json:"warnings"`
}

// RuleResult is what became of one rule.
type RuleResult struct {
	Code     string           `json:"code"`              // Q01 to Q20
	Check    string           `json:"check,omitempty"`   // which of the checks of Q15
	TitleZH  string           `json:"titleZh,omitempty"` // empty: RuleTitle
	TitleEN  string           `json:"titleEn,omitempty"`
	Severity finding.Severity `json:"severity"`
	Found    int64            `json:"found"`
	AtLeast  bool             `json:"atLeast,omitempty"` // Found was not counted to the end
	Kept     int64            `json:"kept"`              // of those found, how many Findings gives
	Rows     int64            `json:"rows"`              // looked at
	Seconds  float64          `json:"seconds"`
	SkipZH   string           `json:"skipZh,omitempty"` // why it was not applied, or not to the end
	SkipEN   string           `json:"skipEn,omitempty"`
}

// Difference is what the delivery changes of the release before.
type Difference struct {
	FromRelease int   `json:"fromRelease"` // 0: there is none before
	ToRelease   int   `json:"toRelease"`   // 0: not released
	Added       int64 `json:"added"`
	Removed     int64 `json:"removed"`
	// The changed rows are counted once: with another geometry, or else with other
	// attributes alone.
	ChangedAttributes int64         `json:"changedAttributes"`
	ChangedGeometry   int64         `json:"changedGeometry"`
	Unchanged         int64         `json:"unchanged"`
	ByClass           []ClassChange `json:"byClass,omitempty"`
	ByField           []FieldChange `json:"byField,omitempty"`
	SummaryZH         string        `json:"summaryZh,omitempty"`
	SummaryEN         string        `json:"summaryEn,omitempty"`
}

// ClassChange is one class before and after. Areas are square metres on the
// ellipsoid, 0 for what has none.
type ClassChange struct {
	Class       string  `json:"class"`
	Title       string  `json:"title,omitempty"`
	CountBefore int64   `json:"countBefore"`
	CountAfter  int64   `json:"countAfter"`
	AreaBefore  float64 `json:"areaBefore"`
	AreaAfter   float64 `json:"areaAfter"`
}

// FieldChange is how many of the changed rows have another value in a field.
type FieldChange struct {
	Field string `json:"field"`
	Rows  int64  `json:"rows"`
}

// Decision is what somebody decided of the delivery.
type Decision struct {
	At             time.Time `json:"at"`
	Actor          string    `json:"actor"`
	Organisation   string    `json:"organisation,omitempty"`
	Action         string    `json:"action"` // as the platform names it, such as "approve"
	DocumentNumber string    `json:"documentNumber,omitempty"`
	Note           string    `json:"note,omitempty"`
}

// Other says where another form of the report is: Where is an address or a command.
type Other struct {
	Format string `json:"format"` // such as "XLSX"
	Where  string `json:"where"`
}

// check tells what cannot be written.
func (d *Document) check() error {
	bad := func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }
	for _, r := range d.Rules {
		if bad(r.Seconds) {
			return fmt.Errorf("report of delivery %d: rule %s took %v seconds", d.Delivery, r.Code, r.Seconds)
		}
	}
	if d.Extent != nil && !plausible(*d.Extent) {
		return fmt.Errorf("report of delivery %d: an extent of %v", d.Delivery, *d.Extent)
	}
	if d.Difference == nil {
		return nil
	}
	for _, c := range d.Difference.ByClass {
		if bad(c.AreaBefore) || bad(c.AreaAfter) {
			return fmt.Errorf("report of delivery %d: class %q has an area that is not finite", d.Delivery, c.Class)
		}
	}
	return nil
}

// plausible reports whether a box is one of longitudes and latitudes.
func plausible(b [4]float64) bool {
	return onEarth(b[0], b[1]) && onEarth(b[2], b[3]) && b[0] <= b[2] && b[1] <= b[3]
}

func onEarth(lon, lat float64) bool {
	return lon >= -180 && lon <= 180 && lat >= -90 && lat <= 90
}

// each streams the findings. A place that is none on earth is dropped, so that no
// form has to deal with it; texts are valid UTF-8 without NUL.
func (d *Document) each(f func(finding.Finding) error) error {
	if d.Findings == nil {
		return nil
	}
	err := d.Findings(func(x finding.Finding) error {
		if x.Place != nil && !onEarth(x.Place[0], x.Place[1]) {
			x.Place = nil
		}
		for _, s := range []*string{&x.File, &x.Rule, &x.Code, &x.Field, &x.ZH, &x.EN, &x.Before, &x.After} {
			*s = storable(*s)
		}
		x.Severity = finding.Severity(storable(string(x.Severity)))
		x.Action = finding.Action(storable(string(x.Action)))
		return f(x)
	})
	if err != nil {
		return fmt.Errorf("findings of delivery %d: %w", d.Delivery, err)
	}
	return nil
}

// storable is s with what is no UTF-8, and NUL, replaced by U+FFFD.
func storable(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "\uFFFD")
	}
	return s
}
