package vct

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"

	"changde/problem"
)

// Encoding is how the text of a file is written and why that is believed.
type Encoding struct {
	Name   string // "UTF-8", "GB18030" or the name a person chose
	ZH, EN string

	coding encoding.Encoding // nil for UTF-8
}

// detect finds the encoding: a person's choice, else the bytes of the whole file.
func detect(ctx context.Context, f *os.File, user, where string) (Encoding, error) {
	if user = strings.TrimSpace(user); user != "" {
		coding, err := htmlindex.Get(user)
		if err != nil {
			return Encoding{}, problem.New(problem.Invalid, "vct-encoding", where,
				fmt.Sprintf("不认识编码名 %.40q；请用 UTF-8、GB18030、Big5 等", user), fmt.Sprintf("the encoding %.40q is not known; use UTF-8, GB18030, Big5 or the like", user))
		}
		switch coding {
		case unicode.UTF8:
			coding = nil
		case simplifiedchinese.GBK:
			// Files that call themselves GBK or GB2312 hold characters of the extensions.
			coding = simplifiedchinese.GB18030
		}
		return Encoding{Name: user, ZH: "按用户指定的编码 " + user + " 读取", EN: "read as " + user + " by the user's choice", coding: coding}, nil
	}
	head := make([]byte, 4)
	n, err := f.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return Encoding{}, fmt.Errorf("read %s: %w", where, err)
	}
	if head = head[:n]; bytes.IndexByte(head, 0) >= 0 || bytes.HasPrefix(head, []byte{0xff, 0xfe}) || bytes.HasPrefix(head, []byte{0xfe, 0xff}) {
		return Encoding{}, encodingError(where, "文件不是文本，或是 UTF-16/UTF-32 编码", "the file is not text, or is UTF-16/UTF-32")
	}
	var s survey
	if err := s.file(ctx, f, where); err != nil {
		return Encoding{}, err
	}
	switch {
	case s.bad == 0 && s.good == 0:
		return Encoding{Name: "UTF-8", ZH: "文件全是 ASCII 字符", EN: "the file is all ASCII"}, nil
	case s.bad == 0:
		return Encoding{Name: "UTF-8", ZH: "文件的非 ASCII 字符都是合法的 UTF-8", EN: "all characters beyond ASCII are valid UTF-8"}, nil
	case s.good >= s.bad:
		return Encoding{
			Name: "UTF-8", ZH: fmt.Sprintf("文件是 UTF-8，但有 %d 个不合法的字节，相应文本中已换成 U+FFFD", s.bad),
			EN: fmt.Sprintf("the file is UTF-8 but for %d bytes, which became U+FFFD in the texts concerned", s.bad),
		}, nil
	case s.gbBad == 0:
		return Encoding{
			Name: "GB18030", ZH: "文件不是 UTF-8，其字节符合 GB18030（GBK、GB2312）", EN: "the file is not UTF-8 and its bytes are those of GB18030 (GBK, GB2312)",
			coding: simplifiedchinese.GB18030,
		}, nil
	}
	return Encoding{}, encodingError(where, "文件既不是 UTF-8 也不是 GB18030/GBK 编码", "the file is neither UTF-8 nor GB18030/GBK")
}

func encodingError(where, zh, en string) error {
	return problem.New(problem.Unsupported, "vct-encoding", where, zh+"；请另存为 UTF-8，或指明编码", en+"; save it as UTF-8, or name the encoding")
}

// decode returns the text of a line, and whether bytes of it could not be decoded or
// NUL was left out.
func (e Encoding) decode(b []byte) (s string, repaired bool) {
	plain := true
	for _, c := range b {
		if c == 0 || c >= utf8.RuneSelf {
			plain = false
			break
		}
	}
	if plain {
		return string(b), false
	}
	s = string(b)
	if e.coding != nil {
		// Decoders put U+FFFD where they fail and return no error.
		if d, err := e.coding.NewDecoder().Bytes(b); err == nil {
			s = string(d)
		}
	}
	repaired = !utf8.ValidString(s) || strings.ContainsAny(s, "\x00\uFFFD")
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", ""), repaired
}

// survey counts what the bytes of a file could be. One damaged byte must not turn a
// whole UTF-8 file into nonsense that happens to decode, so characters are counted,
// not just tested.
type survey struct {
	good, bad int64 // characters of UTF-8 beyond ASCII, bytes that are none
	gbBad     int64 // bytes that do not fit the two and four byte forms of GB 18030
	gb        uint8 // bytes of a form seen so far
}

func (s *survey) file(ctx context.Context, f *os.File, where string) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read %s: %w", where, err)
	}
	buf := make([]byte, 256<<10)
	n := 0
	for {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("read %s: %w", where, err)
		}
		k, err := io.ReadFull(f, buf[n:])
		last := err == io.EOF || err == io.ErrUnexpectedEOF
		if err != nil && !last {
			return fmt.Errorf("read %s: %w", where, err)
		}
		s.gb18030(buf[n : n+k])
		b := buf[:n+k]
		for len(b) > 0 {
			if b[0] < utf8.RuneSelf {
				b = b[1:]
				continue
			}
			if !last && !utf8.FullRune(b) {
				break
			}
			r, size := utf8.DecodeRune(b)
			if r == utf8.RuneError && size == 1 {
				s.bad++
			} else {
				s.good++
			}
			b = b[size:]
		}
		if last {
			if s.gb > 0 {
				s.gbBad++
			}
			return nil
		}
		n = copy(buf, b)
	}
}

func (s *survey) gb18030(b []byte) {
	for _, c := range b {
		digit := c >= '0' && c <= '9'
		lead := c >= 0x81 && c <= 0xfe
		switch s.gb {
		case 0:
			if lead {
				s.gb = 1
			} else if c >= 0x80 {
				s.gbBad++
			}
		case 1:
			switch {
			case digit:
				s.gb = 2
			case c >= 0x40 && c != 0x7f && c != 0xff:
				s.gb = 0
			default:
				s.gbBad++
				s.gb = 0
			}
		case 2:
			if s.gb = 3; !lead {
				s.gbBad++
				s.gb = 0
			}
		case 3:
			if s.gb = 0; !digit {
				s.gbBad++
			}
		}
	}
}
