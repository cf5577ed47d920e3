package postgis

import (
	"slices"
	"strconv"
	"strings"
)

// maxIdentifier is NAMEDATALEN-1: PostgreSQL cuts a longer name without an
// error, and the cut name may be somebody else's table.
const maxIdentifier = 63

// text is string under a name other packages cannot spell, so that they can
// only pass constants where it is asked for.
type text string

// SQL builds a statement from constant text, identifiers and values, and keeps
// the three apart: text is constant, identifiers are quoted, values travel as
// parameters $1, $2, ... The zero value is an empty statement. It is not safe
// for concurrent use; String and Args may be called at any time.
//
//	q := new(postgis.SQL).Raw("SELECT fid FROM ").Ident("data", table).
//		Raw(" WHERE ").Ident(column).Raw(" = ").Arg(value)
//	rows, err := pool.Query(ctx, q.String(), q.Args()...)
type SQL struct {
	pieces []piece
	args   []any
}

// piece is constant text, or the place of an argument when arg >= 0.
type piece struct {
	text string
	arg  int
}

// Raw appends text that stands in the caller's source: only an untyped constant
// can be passed from another package.
func (s *SQL) Raw(t text) *SQL { return s.write(string(t)) }

// Ident appends a quoted identifier, qualified when there are several parts.
// A part that PostgreSQL could not hold as it is (empty, longer than 63 bytes,
// or with a NUL) is written as "", which no server executes: the statement
// fails rather than reach another table.
func (s *SQL) Ident(parts ...string) *SQL {
	if len(parts) == 0 {
		return s.write(`""`)
	}
	var b strings.Builder
	for i, p := range parts {
		if i > 0 {
			b.WriteByte('.')
		}
		if len(p) > maxIdentifier || strings.IndexByte(p, 0) >= 0 {
			p = ""
		}
		b.WriteByte('"')
		b.WriteString(strings.ReplaceAll(p, `"`, `""`))
		b.WriteByte('"')
	}
	return s.write(b.String())
}

// Idents appends a comma-separated list of quoted identifiers.
func (s *SQL) Idents(names []string) *SQL {
	for i, n := range names {
		if i > 0 {
			s.write(", ")
		}
		s.Ident(n)
	}
	return s
}

// Arg appends a value as the next parameter.
func (s *SQL) Arg(v any) *SQL {
	s.pieces = append(s.pieces, piece{arg: len(s.args)})
	s.args = append(s.args, v)
	return s
}

// Int appends a whole number as text, for places where PostgreSQL takes no
// parameter: a type modifier, the definition of a view, SET.
func (s *SQL) Int(n int64) *SQL { return s.write(strconv.FormatInt(n, 10)) }

// Literal appends a quoted string, for places where PostgreSQL takes no
// parameter: COMMENT ON, the definition of a view. A text with a NUL, which no
// PostgreSQL text can hold, is written as "", which no server executes.
func (s *SQL) Literal(v string) *SQL {
	if strings.IndexByte(v, 0) >= 0 {
		return s.write(`""`)
	}
	q := "'" + strings.ReplaceAll(v, "'", "''") + "'"
	if strings.IndexByte(v, '\\') >= 0 {
		// E'' reads the same whatever standard_conforming_strings says.
		q = " E" + strings.ReplaceAll(q, `\`, `\\`)
	}
	return s.write(q)
}

// Add appends another statement with its arguments, numbered on from here.
func (s *SQL) Add(o *SQL) *SQL {
	base := len(s.args)
	for _, p := range slices.Clone(o.pieces) {
		if p.arg >= 0 {
			p.arg += base
		}
		s.pieces = append(s.pieces, p)
	}
	s.args = append(s.args, o.args...)
	return s
}

// Join appends the statements with the separator between them.
func (s *SQL) Join(separator text, parts ...*SQL) *SQL {
	for i, p := range parts {
		if i > 0 {
			s.Raw(separator)
		}
		s.Add(p)
	}
	return s
}

// Empty reports whether nothing was appended.
func (s *SQL) Empty() bool { return len(s.pieces) == 0 }

// String returns the text of the statement.
func (s *SQL) String() string {
	var b strings.Builder
	for _, p := range s.pieces {
		if p.arg < 0 {
			b.WriteString(p.text)
			continue
		}
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(p.arg + 1))
	}
	return b.String()
}

// Args returns the values of the parameters, in order. The slice is a copy.
func (s *SQL) Args() []any { return slices.Clone(s.args) }

func (s *SQL) write(t string) *SQL {
	s.pieces = append(s.pieces, piece{text: t, arg: -1})
	return s
}
