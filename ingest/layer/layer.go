// Package layer is the vocabulary between the format readers and ingest: what a
// layer of a delivery looks like once its bytes are understood. It knows no
// format, no database and no coordinate reference system.
package layer

import (
	"fmt"

	"github.com/twpayne/go-geom"
)

// Type is the type of a field's values.
type Type int

// The field types and the Go type of their values in Feature.Values; a missing
// value is nil whatever the type.
const (
	Text      Type = iota // string, valid UTF-8 without NUL
	Integer               // int64
	Real                  // float64, finite
	Decimal               // string, an exact decimal number such as "-12.50"
	Boolean               // bool
	Date                  // time.Time at midnight UTC
	Timestamp             // time.Time
)

// The names are stored in the catalog and shown by the API: they never change.
var typeNames = [...]string{"text", "integer", "real", "decimal", "boolean", "date", "timestamp"}

// String returns the lower-case English name of the type.
func (t Type) String() string {
	if t >= 0 && int(t) < len(typeNames) {
		return typeNames[t]
	}
	return fmt.Sprintf("Type(%d)", int(t))
}

// ParseType is the inverse of String.
func ParseType(name string) (Type, bool) {
	for i, n := range typeNames {
		if n == name {
			return Type(i), true
		}
	}
	return 0, false
}

// Field describes one attribute of a layer, named as the delivery names it.
// Width is the number of bytes or digits the format declares, 0 when it
// declares none; Decimals is the number of digits after the point.
type Field struct {
	Name     string
	Type     Type
	Width    int
	Decimals int
}

// Feature is one row. Row counts from 1 in the order of the file, deleted and
// refused rows included, so that a report can name it. Geom is in the layer's
// own coordinates, X then Y as stored, nil when the row has no geometry. Values
// has one entry for each field of the reader.
type Feature struct {
	Row    int64
	Geom   geom.T
	Values []any
	Faults []Fault
}

// Fault is something about one row that a person must be told. Lost is true
// when the row cannot be used at all; otherwise the row goes on and the fault
// is a note (a character cut at a field's end, an M value dropped, ...).
type Fault struct {
	Row   int64
	Field string // empty when the fault concerns the whole row
	Code  string // short and stable, lower case with dashes: "text-cut", "geometry-corrupt"
	Lost  bool
	ZH    string
	EN    string
}

// Reader streams the features of one layer in the order of the file, in
// constant memory. It is used by one goroutine.
//
// Next returns io.EOF after the last feature, and a *problem.Error (Where names the
// file or layer) when the file can be read no further. A row that cannot be used is not an error: Next returns it
// with a Fault whose Lost is true, and reading goes on. The feature returned is
// the caller's to keep.
type Reader interface {
	// Fields never changes after the reader is opened.
	Fields() []Field
	Next() (*Feature, error)
	Close() error
}
