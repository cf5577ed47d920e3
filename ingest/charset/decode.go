package charset

import (
	"encoding/binary"
	"errors"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/transform"
)

// Decoder turns bytes of one encoding into text. It keeps a scratch buffer:
// use one Decoder in each goroutine.
type Decoder struct {
	name    string
	decode  func(*Decoder, []byte) (string, int, int)
	scratch []byte
	gb      *gbTable
	single  *[256][4]byte // UTF-8 of each byte, the length in [3]; length 0 if the byte means nothing
	other   transform.Transformer
}

// NewDecoder returns a decoder for a label that Canonical knows, else a
// *problem.Error.
func NewDecoder(name string) (*Decoder, error) {
	canonical, ok := Canonical(name)
	if !ok {
		return nil, unknown(name)
	}
	d := &Decoder{name: canonical}
	switch canonical {
	case utf8Name:
		d.decode = (*Decoder).decodeUTF8
		return d, nil
	case gb18030Name:
		d.gb = gbTables()
		d.decode = (*Decoder).decodeGB
		return d, nil
	}
	if table, ok := codings[canonical].(*charmap.Charmap); ok {
		d.single = singleTable(table)
		d.decode = (*Decoder).decodeSingle
		return d, nil
	}
	d.other = codings[canonical].NewDecoder().Transformer
	d.decode = (*Decoder).decodeOther
	return d, nil
}

// Decode returns the text of b, valid UTF-8 without NUL and without the control
// characters below U+0020 except tab, line feed and carriage return, which
// PostgreSQL or people could not bear. cut is the number of bytes of an
// unfinished character dropped at the end of b; bad is the number of bytes before
// it that mean nothing in the encoding and are shown as U+FFFD, a run of them as one or several.
//
// It allocates the string alone.
func (d *Decoder) Decode(b []byte) (s string, cut, bad int) {
	if plainPrefix(b) == len(b) {
		return string(b), 0, 0
	}
	return d.decode(d, b)
}

// plainPrefix returns the length of the leading part of b that is printable
// ASCII. Eight bytes are looked at in one step: a byte has its high bit set, or
// borrows when 0x20 is taken from it.
func plainPrefix(b []byte) int {
	const (
		high   = 0x8080808080808080
		spaces = 0x2020202020202020
	)
	i := 0
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		if (x|(x-spaces))&high != 0 {
			break
		}
	}
	for i < len(b) && b[i] >= 0x20 && b[i] < 0x80 {
		i++
	}
	return i
}

// kept reports whether an ASCII character belongs into the text.
func kept(c byte) bool { return c >= 0x20 || c == '\t' || c == '\n' || c == '\r' }

// buffer returns the scratch buffer, empty, with room for n bytes.
func (d *Decoder) buffer(n int) []byte {
	if cap(d.scratch) < n {
		d.scratch = make([]byte, 0, max(n, 1024))
	}
	return d.scratch[:0]
}

func (d *Decoder) decodeUTF8(b []byte) (string, int, int) {
	if utf8.Valid(b) && !hasControl(b) {
		return string(b), 0, 0
	}
	out := d.buffer(3 * len(b))
	cut, bad := 0, 0
	for i := 0; i < len(b); {
		c := b[i]
		if c < utf8.RuneSelf {
			if kept(c) {
				out = append(out, c)
			}
			i++
			continue
		}
		r, size := utf8.DecodeRune(b[i:])
		if r != utf8.RuneError || size > 1 {
			out = append(out, b[i:i+size]...)
			i += size
			continue
		}
		if !utf8.FullRune(b[i:]) {
			cut = len(b) - i
			break
		}
		bad++
		out = appendReplacement(out)
		i++
	}
	return string(out), cut, bad
}

func (d *Decoder) decodeSingle(b []byte) (string, int, int) {
	out := d.buffer(3 * len(b))
	bad := 0
	for _, c := range b {
		u := &d.single[c]
		switch {
		case c < utf8.RuneSelf:
			if kept(c) {
				out = append(out, c)
			}
		case u[3] == 0:
			bad++
			out = appendReplacement(out)
		default:
			out = append(out, u[:u[3]]...)
		}
	}
	return string(out), 0, bad
}

func (d *Decoder) decodeOther(b []byte) (string, int, int) {
	buf := d.buffer(4 * len(b))
	buf = buf[:cap(buf)]
	n, consumed := 0, 0
	for consumed < len(b) {
		d.other.Reset()
		nDst, nSrc, err := d.other.Transform(buf[n:], b[consumed:], false)
		n += nDst
		consumed += nSrc
		if errors.Is(err, transform.ErrShortDst) {
			grown := make([]byte, 2*len(buf)+64)
			copy(grown, buf[:n])
			buf, d.scratch = grown, grown[:0]
			continue
		}
		if err != nil {
			break
		}
	}
	bad, w := 0, 0
	out := buf[:n]
	for i := 0; i < n; {
		c := out[i]
		if c < utf8.RuneSelf {
			if kept(c) {
				out[w] = c
				w++
			}
			i++
			continue
		}
		r, size := utf8.DecodeRune(out[i:])
		if r == utf8.RuneError {
			bad++
		}
		w += copy(out[w:], out[i:i+size])
		i += size
	}
	return string(out[:w]), len(b) - consumed, bad
}

func hasControl(b []byte) bool {
	for _, c := range b {
		if !kept(c) {
			return true
		}
	}
	return false
}

func appendReplacement(out []byte) []byte {
	const mark = "\uFFFD"
	if n := len(out); n >= len(mark) && string(out[n-len(mark):]) == mark {
		return out
	}
	return append(out, mark...)
}

func singleTable(m *charmap.Charmap) *[256][4]byte {
	t := new([256][4]byte)
	for c := range t {
		r := m.DecodeByte(byte(c))
		if r == utf8.RuneError {
			continue
		}
		t[c][3] = byte(utf8.EncodeRune(t[c][:3], r))
	}
	return t
}

// Encoder returns a function that encodes text for a writer, for a label that
// Canonical knows, else a *problem.Error. The bytes it returns are valid until its
// next call; it is used by one goroutine. A character that the encoding does not
// have is an error, never a substitute.
func Encoder(name string) (func(string) ([]byte, error), error) {
	canonical, ok := Canonical(name)
	if !ok {
		return nil, unknown(name)
	}
	var buf []byte
	if canonical == utf8Name {
		return func(s string) ([]byte, error) {
			if !utf8.ValidString(s) {
				return nil, errors.New("charset: text is not valid UTF-8")
			}
			buf = append(buf[:0], s...)
			return buf, nil
		}, nil
	}
	enc := codings[canonical].NewEncoder()
	var src []byte
	return func(s string) ([]byte, error) {
		src = append(src[:0], s...)
		if plainPrefix(src) == len(src) {
			return src, nil
		}
		return encode(enc, &buf, src)
	}, nil
}

func encode(enc *encoding.Encoder, buf *[]byte, src []byte) ([]byte, error) {
	if need := 4 * len(src); cap(*buf) < need {
		*buf = make([]byte, need)
	}
	dst := (*buf)[:cap(*buf)]
	enc.Reset()
	n, _, err := enc.Transform(dst, src, true)
	if err != nil {
		return nil, &encodeError{text: clip(strings.ToValidUTF8(string(src), "\uFFFD")), err: err}
	}
	return dst[:n], nil
}

// encodeError names the text that an encoding cannot hold.
type encodeError struct {
	text string
	err  error
}

func (e *encodeError) Error() string {
	return "charset: cannot encode " + e.text + ": " + e.err.Error()
}
func (e *encodeError) Unwrap() error { return e.err }
