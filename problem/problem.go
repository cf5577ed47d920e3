// Package problem is the one error type by which the house tells a caller what
// is wrong with what they sent or asked: what, where, and how to mend it, in
// Chinese and English. Packages that meet bad input return a *problem.Error;
// package api alone turns it into an HTTP status (RFC 9457), cmd into a line on
// the terminal. Any other error is the platform's own fault.
package problem

import (
	"errors"
	"fmt"
)

// Kind says whose move it is; it decides the HTTP status and the exit code.
type Kind int

// The kinds.
const (
	Invalid         Kind = iota // the input is wrong
	NotFound                    // no such thing, or not for this caller: the two are not told apart
	Unauthenticated             // the key is unknown, expired or revoked
	Forbidden                   // the caller is known and may not do this
	Conflict                    // right in itself, but not in the present state
	TooLarge                    // beyond a bound
	Unsupported                 // understood, but of a kind that is refused by rule
	Busy                        // try again later
)

// Error is a problem with its texts. Code is stable, lower case with dashes, and
// ends the RFC 9457 "type". Where names the file, row, field or parameter.
type Error struct {
	Kind  Kind
	Code  string
	Where string
	ZH    string
	EN    string
	Err   error // cause for the log; never shown to a caller over HTTP
}

// Error gives both texts, Chinese first.
func (e *Error) Error() string {
	s := e.ZH + " / " + e.EN
	if e.Where != "" {
		s = e.Where + ": " + s
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// New makes a problem.
func New(kind Kind, code, where, zh, en string) *Error {
	return &Error{Kind: kind, Code: code, Where: where, ZH: zh, EN: en}
}

// Wrap makes a problem with a cause.
func Wrap(err error, kind Kind, code, where, zh, en string) *Error {
	return &Error{Kind: kind, Code: code, Where: where, ZH: zh, EN: en, Err: err}
}

// Is reports whether err is, or wraps, a problem of the kind.
func Is(err error, kind Kind) bool {
	var p *Error
	return errors.As(err, &p) && p.Kind == kind
}

// String names the kind.
func (k Kind) String() string {
	names := [...]string{"invalid", "not-found", "unauthenticated", "forbidden", "conflict", "too-large", "unsupported", "busy"}
	if k >= 0 && int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("Kind(%d)", int(k))
}
