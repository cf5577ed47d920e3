// Package cql2 reads filters in the text form of the Common Query Language
// (OGC 21-065r2, "CQL2 Text"). It knows no database and no dataset: whether a
// property exists and what it may be compared with is for its callers to say.
//
// What it reads is comparison, IS NULL, BETWEEN, IN, LIKE, CASEI, S_INTERSECTS
// with AND, OR and NOT, and the literals of all of these. Everything else of the
// language is refused with its place.
package cql2

import (
	"time"

	"github.com/twpayne/go-geom"
)

// Node is a part of a filter: a condition or an operand of one. Its String is
// canonical: filters that differ in white space, in the case of keywords, in
// quotes or parentheses without effect, or in how a number is written have the
// same, and parsing it gives the same filter.
//
// A condition is true, false or, where a value it needs is missing, unknown; AND,
// OR and NOT work on the three as in SQL.
type Node interface {
	// Pos is where the part begins in the text, in bytes.
	Pos() int
	String() string
	append(dst []byte) []byte
}

// At is the place of a node.
type At int

// Pos implements Node.
func (a At) Pos() int { return int(a) }

// The conditions. Bool, of the operands, is one too.
type (
	// And is true when all terms are. There are two or more, none of them an And.
	And struct {
		At
		Terms []Node
	}
	// Or is true when any term is. There are two or more, none of them an Or.
	Or struct {
		At
		Terms []Node
	}
	// Not is true when its term, which is no Not, is false.
	Not struct {
		At
		Term Node
	}
	// Compare compares two scalars.
	Compare struct {
		At
		Op          Op
		Left, Right Node
	}
	// Between is true of values from Low to High, both included.
	Between struct {
		At
		Value, Low, High Node
	}
	// In is true of values that equal any of the list, which is not empty.
	In struct {
		At
		Value Node
		List  []Node
	}
	// Like is true of text that Pattern describes: in it % stands for any text, _
	// for any character, and \ before one of the three for that character itself.
	Like struct {
		At
		Value   Node // a Property or a CaseI
		Pattern Node // a Text or a CaseI of one
	}
	// IsNull is true when the property has no value.
	IsNull struct {
		At
		Value Property
	}
	// Spatial relates two geometries, of which at least one is a property.
	Spatial struct {
		At
		Op          SpatialOp
		Left, Right Node // Property, Geometry or Box
	}
)

// The operands: scalars first, then the geometries.
type (
	// Property is a property of the feature, by its name as written.
	Property struct {
		At
		Name string
	}
	// Text is a character literal. It has no NUL, and never ends in a backslash,
	// which in the language would take the closing quote with it.
	Text struct {
		At
		Value string
	}
	// Number is a numeric literal in its shortest exact form, within the range of
	// a double, such as -12.5 or 6e23.
	Number struct {
		At
		Value string
	}
	// Bool is TRUE or FALSE.
	Bool struct {
		At
		Value bool
	}
	// Date is a day: midnight UTC of a year from 1 to 9999.
	Date struct {
		At
		Value time.Time
	}
	// Timestamp is an instant in UTC, to the microsecond, of a year from 1 to 9999.
	Timestamp struct {
		At
		Value time.Time
	}
	// CaseI is its text without distinction of case.
	CaseI struct {
		At
		Value Node // a Property or a Text
	}
	// Geometry is a geometry literal: longitude first, XY, not empty. Lines have two
	// positions or more, rings four or more and the last is the first; whether the
	// rings make a valid polygon is not known.
	Geometry struct {
		At
		Value geom.T
	}
	// Box is west, south, east, north, with south not above north; west is greater
	// than east where it spans the antimeridian.
	Box struct {
		At
		Value [4]float64
	}
)

// Op is an operator of comparison.
type Op int

// The operators of comparison.
const (
	Equal Op = iota
	NotEqual
	Less
	LessEqual
	Greater
	GreaterEqual
)

// String returns the operator as it is written.
func (o Op) String() string { return [...]string{"=", "<>", "<", "<=", ">", ">="}[o] }

// Turned is the operator that means the same with the sides exchanged.
func (o Op) Turned() Op { return [...]Op{Equal, NotEqual, Greater, GreaterEqual, Less, LessEqual}[o] }

// SpatialOp is a spatial relation.
type SpatialOp int

// Intersects is true of geometries that share a position.
const Intersects SpatialOp = iota

// String returns the name of the function.
func (o SpatialOp) String() string { return [...]string{"S_INTERSECTS"}[o] }

// condition reports whether the node can stand where a filter or a term of AND,
// OR and NOT stands.
func condition(n Node) bool {
	switch n.(type) {
	case And, Or, Not, Compare, Between, In, Like, IsNull, Spatial, Bool:
		return true
	}
	return false
}

// scalar reports whether the node can be compared.
func scalar(n Node) bool {
	switch n.(type) {
	case Property, Text, Number, Bool, Date, Timestamp, CaseI:
		return true
	}
	return false
}
