package gdal

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/simplifiedchinese"

	"changde/problem"
)

// The encodings named in decisions. GB18030 stands for GB2312, GBK and code page 936
// too: it holds them all.
const (
	utf8Name    = "UTF-8"
	gb18030Name = "GB18030"
	latinName   = "windows-1252"
)

// canonical names an encoding, and gives its decoder, nil for UTF-8. ok is false for
// names that are not known.
func canonical(label string) (name string, e encoding.Encoding, ok bool) {
	l := strings.ToLower(strings.TrimSpace(label))
	for _, prefix := range []string{"ansi_", "dos", "windows-", "cp"} {
		l = strings.TrimPrefix(l, prefix)
	}
	switch l {
	case "utf-8", "utf8", "65001":
		return utf8Name, nil, true
	case "936", "gbk", "gb2312", "gb18030", "gb-18030", "54936", "x-gbk":
		return gb18030Name, simplifiedchinese.GB18030, true
	case "950":
		l = "big5"
	case "932":
		l = "shift_jis"
	case "949":
		l = "euc-kr"
	case "874", "1250", "1251", "1252", "1253", "1254", "1255", "1256", "1257", "1258":
		l = "windows-" + l
	}
	e, err := htmlindex.Get(l)
	if err != nil {
		return "", nil, false
	}
	name, err = htmlindex.Name(e)
	if err != nil || name == "replacement" || name == "x-user-defined" {
		return "", nil, false
	}
	if name == "utf-8" {
		return utf8Name, nil, true
	}
	if name == "gbk" || name == "gb18030" {
		return gb18030Name, simplifiedchinese.GB18030, true
	}
	return name, e, true
}

// survey counts what the bytes of a text could be. It is an io.Writer.
type survey struct {
	high            int64             // bytes above ASCII
	runes, badRunes int64             // characters of UTF-8 above ASCII, and what is none
	pairs, badPairs int64             // characters of GB18030 of several bytes, and what is none
	common          int64             // of pairs: in the area of GB 2312, where Chinese text lives
	escapes         int64             // \U+XXXX and \M+nXXXX
	carry           [utf8.UTFMax]byte // the first n bytes of a character
	n               int
	gb              int
	gbLead          byte
	last            [2]byte
}

func (s *survey) Write(p []byte) (int, error) {
	for _, c := range p {
		if c == '+' && s.last[0] == '\\' && (s.last[1] == 'U' || s.last[1] == 'u' || s.last[1] == 'M' || s.last[1] == 'm') {
			s.escapes++
		}
		s.last[0], s.last[1] = s.last[1], c
		if c >= utf8.RuneSelf {
			s.high++
		} else if s.gb == 0 {
			continue
		}
		s.gbByte(c)
	}
	for _, c := range p {
		if s.n == 0 && c < utf8.RuneSelf {
			continue
		}
		s.carry[s.n] = c
		s.n++
		s.drain(false)
	}
	return len(p), nil
}

// drain takes whole characters from the carried bytes.
func (s *survey) drain(end bool) {
	for s.n > 0 && (end || utf8.FullRune(s.carry[:s.n])) {
		r, size := utf8.DecodeRune(s.carry[:s.n])
		switch {
		case r == utf8.RuneError && size <= 1:
			s.badRunes++
		case r >= utf8.RuneSelf:
			s.runes++
		}
		copy(s.carry[:], s.carry[size:s.n])
		s.n -= size
	}
}

func (s *survey) gbByte(c byte) {
	lead := c >= 0x81 && c <= 0xFE
	switch s.gb {
	case 0:
		if lead {
			s.gb, s.gbLead = 1, c
		} else if c >= utf8.RuneSelf {
			s.badPairs++
		}
		return
	case 1:
		switch {
		case c >= '0' && c <= '9':
			s.gb = 2
			return
		case c >= 0x40 && c != 0x7F && c != 0xFF:
			s.pairs++
			if s.gbLead >= 0xA1 && s.gbLead <= 0xF7 && c >= 0xA1 {
				s.common++
			}
		default:
			s.badPairs++
		}
	case 2:
		if lead {
			s.gb = 3
			return
		}
		s.badPairs++
	case 3:
		if c >= '0' && c <= '9' {
			s.pairs++
		} else {
			s.badPairs++
		}
	}
	s.gb = 0
}

// end counts what was begun and not finished.
func (s *survey) end() {
	s.drain(true)
	if s.gb != 0 {
		s.badPairs++
		s.gb = 0
	}
}

// looks names what the bytes are beyond doubt: UTF-8, GB18030 or nothing. A value cut
// at the end of its field makes a fault or two.
func (s *survey) looks() string {
	switch {
	case s.high == 0:
		return ""
	case s.runes > 0 && s.badRunes*50 <= s.runes:
		return utf8Name
	case s.pairs > 0 && s.badPairs*50 <= s.pairs && s.common*10 >= s.pairs*8:
		return gb18030Name
	}
	return ""
}

// fits reports whether the bytes can be of an encoding.
func (s *survey) fits(name string) bool {
	switch name {
	case utf8Name:
		return s.badRunes*50 <= s.runes
	case gb18030Name:
		return s.badPairs*50 <= s.pairs
	}
	return true
}

// sureRunes is the number of characters of UTF-8 that no text of GB18030 has by chance.
const sureRunes = 4

// decide chooses the encoding of a text. A person's choice is followed. A declaration
// is, unless the bytes are clearly something else; without one the bytes decide.
func decide(user, declared, where string, s *survey) (Encoding, error) {
	if user != "" {
		name, _, ok := canonical(user)
		if !ok {
			shown := cut(strings.ToValidUTF8(user, "�"), 40)
			return Encoding{}, problem.New(problem.Invalid, "charset-unknown", "encoding",
				fmt.Sprintf("不认识编码名 %q；请用 UTF-8、GB18030（GBK、GB2312、936）、Big5 等", shown),
				fmt.Sprintf("the encoding %q is not known; use UTF-8, GB18030 (GBK, GB2312, 936), Big5 or the like", shown))
		}
		return Encoding{name, "按用户指定的编码 " + name + " 读取。", "Read as " + name + " by the user's choice."}, nil
	}
	looks := s.looks()
	name, _, known := canonical(declared)
	switch {
	case declared != "" && known:
		zh, en := fmt.Sprintf("%s写明 %s，即 %s", where, declared, name), fmt.Sprintf("the file declares %s, that is %s", declared, name)
		switch {
		case s.high == 0:
			return Encoding{name, zh + "；内容全是 ASCII。", upper(en) + "; the content is ASCII throughout."}, nil
		case looks != "" && looks != name && (!s.fits(name) || looks == utf8Name && s.runes >= sureRunes || name == latinName && s.common >= 2):
			return Encoding{looks, zh + "，但内容明显是 " + looks + "，以内容为准。", upper(en) + ", but the content is clearly " + looks + " and goes before it."}, nil
		case !s.fits(name):
			return Encoding{name, zh + "；有些字节不能解释，但没有更合适的编码。", upper(en) + "; some bytes mean nothing in it, but nothing else fits better."}, nil
		}
		return Encoding{name, zh + "，内容与之相符。", upper(en) + "; the content agrees."}, nil
	case s.high == 0:
		return Encoding{utf8Name, "内容全是 ASCII。", "The content is ASCII throughout."}, nil
	}
	zh, en := "文件没有写明编码", "the file declares no encoding"
	if declared != "" {
		zh, en = fmt.Sprintf("%s写的编码名 %q 不认识", where, cut(declared, 40)), fmt.Sprintf("the file declares an unknown encoding %q", cut(declared, 40))
	}
	switch {
	case looks != "":
		return Encoding{looks, zh + "，内容是 " + looks + "。", upper(en) + "; the content is " + looks + "."}, nil
	case s.fits(gb18030Name):
		return Encoding{gb18030Name, zh + "，按 GB18030 读取。", upper(en) + "; read as GB18030."}, nil
	}
	return Encoding{gb18030Name, zh + "，内容也不能断定，按 GB18030 读取。", upper(en) + ", and the content does not tell either; read as GB18030."}, nil
}

func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
