package cql2

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

type kind int

const (
	end    kind = iota
	name        // bare: a keyword, a function or a property
	quoted      // a property in double quotes
	text        // a character literal
	number      // without sign
	symbol
)

// token is a word of the text. value is what a quoted name or a literal stands
// for, and the word itself otherwise.
type token struct {
	kind     kind
	from, to int
	value    string
}

// is reports whether the token is the symbol, or the keyword in any case.
func (t token) is(word string) bool {
	return t.kind == symbol && t.value == word || t.kind == name && strings.EqualFold(t.value, word)
}

// fullWidth are the signs of Chinese typing that stand for one of the language.
var fullWidth = map[rune]string{
	'（': "(", '）': ")", '，': ",", '、': ",", '＝': "=", '＜': "<", '＞': ">", '‘': "'", '’': "'", '＇': "'", '“': `"`, '”': `"`, '＂': `"`,
	'《': "<", '》': ">", '－': "-", '＋': "+", '。': ".", '．': ".", '％': "%",
}

func nameStart(r rune) bool { return unicode.IsLetter(r) || r == '_' || r == ':' }

func namePart(r rune) bool {
	return nameStart(r) || unicode.IsNumber(r) || unicode.IsMark(r) || r == '.' || r == '\u203F' || r == '\u2040' || r == '\u200C' || r == '\u200D'
}

// next reads the token after p.token.
func (p *parser) next() error {
	from := p.token.to
	for from < len(p.text) && strings.IndexByte(" \t\r\n", p.text[from]) >= 0 {
		from++
	}
	rest := p.text[from:]
	if rest == "" {
		p.token = token{kind: end, from: from, to: from}
		return nil
	}
	r, size := utf8.DecodeRuneInString(rest)
	switch {
	case r == '\'':
		return p.nextText(from)
	case r == '"':
		return p.nextQuoted(from)
	case nameStart(r) || unicode.IsNumber(r) && r > unicode.MaxASCII:
		to := size
		for to < len(rest) {
			r, size := utf8.DecodeRuneInString(rest[to:])
			if !namePart(r) {
				break
			}
			to += size
		}
		p.token = token{name, from, from + to, rest[:to]}
		return nil
	case digit(rest) || r == '.' && digit(rest[1:]):
		return p.nextNumber(from)
	}
	for _, s := range []string{"<>", "<=", ">=", "(", ")", ",", "=", "<", ">", "+", "-", "*", "/", "^"} {
		if strings.HasPrefix(rest, s) {
			p.token = token{symbol, from, from + len(s), s}
			return nil
		}
	}
	if half := fullWidth[r]; half != "" {
		return p.fault(from, "这是全角符号，请改用半角的 "+half+" ；名称中含有它时请把名称放在双引号中", "this is a full-width sign; write "+half+", or put a name that contains it in double quotes")
	}
	if strings.HasPrefix(rest, "!=") {
		return p.fault(from, "不等号写作 <>", "unequal is written <>")
	}
	return p.fault(from, "这个字符在此没有意义；含特殊字符的名称请放在双引号中，文字请放在单引号中",
		"this character means nothing here; put a name with special characters in double quotes, text in single quotes")
}

func digit(s string) bool { return s != "" && s[0] >= '0' && s[0] <= '9' }

// nextText reads a character literal, in which a quote is doubled or has a
// backslash before it.
func (p *parser) nextText(from int) error {
	var b strings.Builder
	for i := from + 1; i < len(p.text); i++ {
		c := p.text[i]
		quote := i+1 < len(p.text) && p.text[i+1] == '\''
		switch {
		case (c == '\\' || c == '\'') && quote:
			b.WriteByte('\'')
			i++
		case c == '\'':
			p.token = token{text, from, i + 1, b.String()}
			return nil
		default:
			b.WriteByte(c)
		}
	}
	return p.fault(from, `文字没有结束的单引号；文字中的单引号写两个（''），\' 也表示单引号`, `the text has no closing quote; a quote within is doubled (''), and \' is a quote too`)
}

func (p *parser) nextQuoted(from int) error {
	var b strings.Builder
	for i := from + 1; i < len(p.text); i++ {
		c := p.text[i]
		switch {
		case c == '"' && i+1 < len(p.text) && p.text[i+1] == '"':
			b.WriteByte('"')
			i++
		case c == '"' && b.Len() == 0:
			return p.fault(from, "双引号中没有字段名；文字用单引号", "there is no name between the double quotes; text is in single quotes")
		case c == '"':
			p.token = token{quoted, from, i + 1, b.String()}
			return nil
		default:
			b.WriteByte(c)
		}
	}
	return p.fault(from, "字段名没有结束的双引号", "the name has no closing double quote")
}

// maxDigits bounds the characters of a number.
const maxDigits = 100

func (p *parser) nextNumber(from int) error {
	rest := p.text[from:]
	n := digits(rest)
	if n < len(rest) && rest[n] == '.' {
		n += 1 + digits(rest[n+1:])
	}
	if n < len(rest) && (rest[n] == 'e' || rest[n] == 'E') {
		m := n + 1
		if m < len(rest) && (rest[m] == '+' || rest[m] == '-') {
			m++
		}
		exponent := digits(rest[m:])
		if exponent == 0 || exponent > 3 {
			return p.fault(from, "指数应为 1 到 3 位数字", "an exponent has 1 to 3 digits")
		}
		n = m + exponent
	}
	if r, _ := utf8.DecodeRuneInString(rest[n:]); n < len(rest) && namePart(r) {
		return p.fault(from, "数后面不能直接接文字；以数字开头的字段名请放在双引号中，文字放在单引号中",
			"a number runs into a word; put a name that begins with a digit in double quotes, text in single quotes")
	}
	if n > maxDigits {
		return p.fault(from, "数超过 100 位", "the number has more than 100 digits")
	}
	p.token = token{number, from, from + n, rest[:n]}
	return nil
}

func digits(s string) int {
	n := 0
	for n < len(s) && digit(s[n:]) {
		n++
	}
	return n
}
