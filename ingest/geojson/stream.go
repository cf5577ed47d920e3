package geojson

import (
	"context"
	"errors"
	"io"
)

// Reasons why a value cannot be cut out of the stream. They are turned into
// problems by document, which knows the row.
var (
	errTruncated = errors.New("the file ends inside a value")
	errBrackets  = errors.New("brackets do not match")
	errDepth     = errors.New("nested too deeply")
	errTooLarge  = errors.New("too large")
	errRecordCut = errors.New("the record ends inside a value")
	errNoValue   = errors.New("no value")
)

const (
	chunk           = 256 << 10
	recordSeparator = 0x1e // RFC 8142, 2.1
)

// What a byte means while the end of a value is looked for.
const (
	plain = iota
	quote
	opening
	closing
	separator
	backslash
)

var class = [256]uint8{
	'"': quote, '{': opening, '[': opening, '}': closing, ']': closing,
	recordSeparator: separator, '\\': backslash,
}

// stream cuts JSON values out of a file without understanding them. It keeps as
// much of the file as the value in hand needs, at most maxRecord and a chunk.
type stream struct {
	ctx    context.Context
	r      io.Reader
	buf    []byte
	pos    int   // next byte
	end    int   // end of what was read
	base   int64 // offset in the file of buf[0]
	mark   int   // bytes from here on are kept for rewind, -1 for none
	anchor int   // bytes from here on belong to the value in hand, -1 for none
	eof    bool
}

func newStream(ctx context.Context, r io.Reader, base int64) *stream {
	return &stream{ctx: ctx, r: r, buf: make([]byte, 2*chunk), base: base, mark: -1, anchor: -1}
}

// offset is the place in the file of the next byte.
func (s *stream) offset() int64 { return s.base + int64(s.pos) }

// fill reads on. It returns io.EOF at the end of the file.
func (s *stream) fill() error {
	if s.eof {
		return io.EOF
	}
	if err := s.ctx.Err(); err != nil {
		return err
	}
	keep := s.pos
	if s.mark >= 0 {
		keep = min(keep, s.mark)
	}
	if s.anchor >= 0 {
		keep = min(keep, s.anchor)
	}
	if s.end-keep > maxRecord {
		return errTooLarge
	}
	if keep > 0 {
		copy(s.buf, s.buf[keep:s.end])
		s.pos -= keep
		s.end -= keep
		s.base += int64(keep)
		if s.mark >= 0 {
			s.mark -= keep
		}
		if s.anchor >= 0 {
			s.anchor -= keep
		}
	}
	if len(s.buf)-s.end < chunk {
		grown := make([]byte, min(2*len(s.buf), maxRecord+2*chunk))
		copy(grown, s.buf[:s.end])
		s.buf = grown
	}
	for range 100 {
		n, err := s.r.Read(s.buf[s.end:])
		s.end += n
		if err == io.EOF {
			s.eof = true
			if n > 0 {
				return nil
			}
			return io.EOF
		}
		if err != nil || n > 0 {
			return err
		}
	}
	return io.ErrNoProgress
}

// peek skips white space and returns the byte after it without taking it, 0 and
// io.EOF at the end of the file.
func (s *stream) peek() (byte, error) {
	for {
		for s.pos < s.end {
			switch c := s.buf[s.pos]; c {
			case ' ', '\t', '\n', '\r':
				s.pos++
			default:
				return c, nil
			}
		}
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
}

// value cuts out the value that begins at the next byte. The bytes are good
// until the next call.
func (s *stream) value() (b []byte, offset int64, err error) {
	offset = s.offset()
	s.anchor = s.pos
	err = s.pass()
	b = s.buf[s.anchor:s.pos]
	s.anchor = -1
	if err == nil && len(b) > maxRecord {
		err = errTooLarge
	}
	return b, offset, err
}

// skip passes over a value of any length without keeping it, unless a mark is
// set.
func (s *stream) skip() error { return s.pass() }

// pass moves behind the value that begins at the next byte. It looks at quotes
// and brackets only.
func (s *stream) pass() error {
	if s.pos >= s.end {
		if err := s.fill(); err != nil {
			return truncation(err)
		}
	}
	var (
		depth    int
		objects  uint64 // bit i: the i-th open bracket is a brace
		inString bool
		escaped  bool
	)
	switch class[s.buf[s.pos]] {
	case plain:
		return s.passScalar()
	case closing, separator, backslash:
		return errNoValue
	}
	for {
		b := s.buf[:s.end]
		i := s.pos
		for i < len(b) {
			if inString {
				if escaped {
					escaped = false
					i++
					continue
				}
				for i < len(b) && (class[b[i]] == plain || class[b[i]] == opening || class[b[i]] == closing) {
					i++
				}
				if i == len(b) {
					break
				}
				switch class[b[i]] {
				case backslash:
					escaped = true
				case separator:
					s.pos = i
					return errRecordCut
				default:
					inString = false
					if depth == 0 {
						s.pos = i + 1
						return nil
					}
				}
				i++
				continue
			}
			for i < len(b) && class[b[i]] == plain {
				i++
			}
			if i == len(b) {
				break
			}
			switch class[b[i]] {
			case quote:
				inString = true
			case opening:
				if depth == maxDepth {
					s.pos = i
					return errDepth
				}
				objects <<= 1
				if b[i] == '{' {
					objects |= 1
				}
				depth++
			case closing:
				if (objects&1 == 1) != (b[i] == '}') {
					s.pos = i
					return errBrackets
				}
				objects >>= 1
				if depth--; depth == 0 {
					s.pos = i + 1
					return nil
				}
			case separator:
				s.pos = i
				return errRecordCut
			}
			// a backslash outside a string is for the parser to complain about
			i++
		}
		s.pos = i
		if err := s.fill(); err != nil {
			return truncation(err)
		}
	}
}

// passScalar moves behind a number or a word.
func (s *stream) passScalar() error {
	start := s.offset()
	for {
		for s.pos < s.end {
			switch c := s.buf[s.pos]; {
			case c == ',' || c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ':' || class[c] != plain:
				if s.offset() == start {
					return errNoValue
				}
				return nil
			}
			s.pos++
		}
		if s.offset()-start > maxScalar {
			return errTooLarge
		}
		if err := s.fill(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// toSeparator moves to the next record separator, or to the end of the file.
func (s *stream) toSeparator() error {
	for {
		for s.pos < s.end {
			if s.buf[s.pos] == recordSeparator {
				return nil
			}
			s.pos++
		}
		if err := s.fill(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func truncation(err error) error {
	if err == io.EOF {
		return errTruncated
	}
	return err
}
