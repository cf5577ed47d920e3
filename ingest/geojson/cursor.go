package geojson

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// rowError says why a row cannot be used; at is the place in the row's bytes.
type rowError struct {
	at     int
	code   string
	zh, en string
}

func (e *rowError) Error() string { return e.code + ": " + e.en }

// cursor reads JSON (RFC 8259) in the bytes of one value, whose brackets stream
// has already matched and counted.
type cursor struct {
	b []byte
	i int
}

func (c *cursor) fail(code, zh, en string) *rowError { return &rowError{c.i, code, zh, en} }

// unexpected describes the byte at the cursor.
func (c *cursor) unexpected(wantZH, wantEN string) *rowError {
	if c.i >= len(c.b) {
		return c.fail("json-syntax", "JSON 提前结束，应为"+wantZH, "the JSON ends where "+wantEN+" should be")
	}
	r, _ := utf8.DecodeRune(c.b[c.i:])
	return c.fail("json-syntax", fmt.Sprintf("JSON 语法错误：应为%s，却是 %q", wantZH, r), fmt.Sprintf("JSON syntax: %q where %s should be", r, wantEN))
}

// next skips white space and returns the byte after it, 0 at the end.
func (c *cursor) next() byte {
	for c.i < len(c.b) {
		switch ch := c.b[c.i]; ch {
		case ' ', '\t', '\n', '\r':
			c.i++
		default:
			return ch
		}
	}
	return 0
}

func (c *cursor) take(ch byte) bool {
	if c.next() == ch {
		c.i++
		return true
	}
	return false
}

// more moves to the next item of a list or object that ends with closing, and
// tells whether there is one. The opening bracket was taken before the first call.
func (c *cursor) more(first bool, closing byte) (bool, *rowError) {
	ch := c.next()
	if ch == closing {
		c.i++
		return false, nil
	}
	if first {
		return true, nil
	}
	if ch != ',' {
		return false, c.unexpected("逗号或括号", "a comma or a bracket")
	}
	c.i++
	if c.next() == closing {
		return false, c.unexpected("下一项", "another item")
	}
	return true, nil
}

// key reads the name of a member and the colon after it.
func (c *cursor) key() ([]byte, *rowError) {
	if c.next() != '"' {
		return nil, c.unexpected("带双引号的成员名", "a member name in double quotes")
	}
	k, err := c.str()
	if err != nil {
		return nil, err
	}
	if !c.take(':') {
		return nil, c.unexpected("冒号", "a colon")
	}
	c.next()
	return k, nil
}

// str reads a string and returns what is between its quotes, escapes as they are.
func (c *cursor) str() ([]byte, *rowError) {
	from := c.i + 1
	for i := from; i < len(c.b); i++ {
		switch ch := c.b[i]; {
		case ch == '"':
			c.i = i + 1
			return c.b[from:i], nil
		case ch == '\\':
			i++
			if i >= len(c.b) {
				break
			}
			if ch := c.b[i]; ch == 'u' {
				if i+4 >= len(c.b) || !hex4(c.b[i+1:i+5]) {
					c.i = i
					return nil, c.fail("json-syntax", `\u 之后不是四位十六进制数`, `\u is not followed by four hexadecimal digits`)
				}
			} else if strings.IndexByte(`"\/bfnrt`, ch) < 0 {
				c.i = i
				return nil, c.fail("json-syntax", fmt.Sprintf(`不合法的转义 \%c，反斜杠应写作 \\`, ch), fmt.Sprintf(`invalid escape \%c; a backslash is written \\`, ch))
			}
		case ch < 0x20:
			c.i = i
			return nil, c.fail("json-syntax", "字符串内有未转义的换行、制表符等控制字符", "an unescaped control character, such as a line break or tab, in a string")
		}
	}
	c.i = len(c.b)
	return nil, c.unexpected("双引号", "a double quote")
}

func hex4(b []byte) bool {
	for _, ch := range b[:4] {
		if !(ch >= '0' && ch <= '9' || ch >= 'a' && ch <= 'f' || ch >= 'A' && ch <= 'F') {
			return false
		}
	}
	return true
}

// number reads a number of RFC 8259, 6, and returns its bytes.
func (c *cursor) number() ([]byte, *rowError) {
	from := c.i
	i := from
	if i < len(c.b) && c.b[i] == '-' {
		i++
	}
	digits := func() bool {
		start := i
		for i < len(c.b) && c.b[i]-'0' <= 9 {
			i++
		}
		return i > start
	}
	zero := i < len(c.b) && c.b[i] == '0'
	start := i
	if !digits() || (zero && i > start+1) {
		return nil, c.badNumber()
	}
	if i < len(c.b) && c.b[i] == '.' {
		i++
		if !digits() {
			return nil, c.badNumber()
		}
	}
	if i < len(c.b) && c.b[i]|0x20 == 'e' {
		i++
		if i < len(c.b) && (c.b[i] == '+' || c.b[i] == '-') {
			i++
		}
		if !digits() {
			return nil, c.badNumber()
		}
	}
	if i < len(c.b) && !delimiter(c.b[i]) {
		return nil, c.badNumber()
	}
	c.i = i
	return c.b[from:i], nil
}

func delimiter(ch byte) bool {
	switch ch {
	case ' ', '\t', '\n', '\r', ',', ']', '}', ':':
		return true
	}
	return false
}

// word returns what stands at the cursor up to the next delimiter, for a message.
func (c *cursor) word() string {
	i := c.i
	for i < len(c.b) && i < c.i+20 && !delimiter(c.b[i]) {
		i++
	}
	return strings.ToValidUTF8(string(c.b[c.i:i]), "\uFFFD")
}

func (c *cursor) badNumber() *rowError {
	w := c.word()
	return c.fail("number-invalid", fmt.Sprintf("%q 不是合法的 JSON 数字", w), fmt.Sprintf("%q is not a JSON number", w))
}

// powers are the powers of ten that a float64 holds exactly.
var powers = [...]float64{
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

// float reads a number as the nearest float64. An integer below 2^53 divided by a
// power of ten that is exact is correctly rounded (Clinger 1990), which covers what
// coordinates look like; strconv does the rest.
func (c *cursor) float() (float64, *rowError) {
	b, i := c.b, c.i
	neg := i < len(b) && b[i] == '-'
	if neg {
		i++
	}
	start := i
	var m uint64
	for i < len(b) && b[i]-'0' <= 9 {
		m = m*10 + uint64(b[i]-'0')
		i++
	}
	whole, fraction := i-start, 0
	if whole > 0 && i < len(b) && b[i] == '.' {
		i++
		dot := i
		for i < len(b) && b[i]-'0' <= 9 {
			m = m*10 + uint64(b[i]-'0')
			i++
		}
		fraction = i - dot
		if fraction == 0 {
			whole = 0
		}
	}
	if whole > 0 && whole+fraction <= 18 && m < 1<<53 && (whole == 1 || b[start] != '0') && (i == len(b) || delimiter(b[i])) {
		c.i = i
		v := float64(m) / powers[fraction]
		if neg {
			v = -v
		}
		return v, nil
	}
	at := c.i
	raw, err := c.number()
	if err != nil {
		return 0, err
	}
	v, perr := strconv.ParseFloat(string(raw), 64)
	if perr != nil || math.IsInf(v, 0) {
		c.i = at
		return 0, c.fail("number-range", fmt.Sprintf("数字 %.40s 超出双精度范围", raw), fmt.Sprintf("the number %.40s is beyond double precision", raw))
	}
	return v, nil
}

// skip moves behind a value of any kind and checks its syntax.
func (c *cursor) skip() *rowError {
	switch ch := c.next(); ch {
	case '"':
		_, err := c.str()
		return err
	case '{':
		c.i++
		for first := true; ; first = false {
			if ok, err := c.more(first, '}'); err != nil || !ok {
				return err
			}
			if _, err := c.key(); err != nil {
				return err
			}
			if err := c.skip(); err != nil {
				return err
			}
		}
	case '[':
		c.i++
		for first := true; ; first = false {
			if ok, err := c.more(first, ']'); err != nil || !ok {
				return err
			}
			if err := c.skip(); err != nil {
				return err
			}
		}
	case 't', 'f', 'n':
		_, err := c.literal()
		return err
	default:
		_, err := c.number()
		return err
	}
}

// literal reads true, false or null and returns its first letter.
func (c *cursor) literal() (byte, *rowError) {
	for _, w := range [...]string{"true", "false", "null"} {
		if end := c.i + len(w); end <= len(c.b) && string(c.b[c.i:end]) == w && (end == len(c.b) || delimiter(c.b[end])) {
			c.i = end
			return w[0], nil
		}
	}
	w := c.word()
	return 0, c.fail("json-syntax", fmt.Sprintf("%q 不是 JSON 值", w), fmt.Sprintf("%q is not a JSON value", w))
}

// escaped tells whether the inside of a string is not yet what it means.
func escaped(raw []byte) bool { return bytes.IndexByte(raw, '\\') >= 0 }

// Marks of repairs that text made.
const (
	textNUL       = 1 << iota // NUL taken out
	textUTF8                  // bytes that are not UTF-8 became U+FFFD
	textSurrogate             // half a surrogate pair became U+FFFD
)

// text resolves the escapes of a string that str returned, and makes it valid for
// layer.Text.
func text(raw []byte) (s string, repairs int) {
	simple := true
	for _, ch := range raw {
		if ch == '\\' || ch >= utf8.RuneSelf {
			simple = false
			break
		}
	}
	if simple {
		return string(raw), 0
	}
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); {
		ch := raw[i]
		switch {
		case ch == '\\' && raw[i+1] == 'u':
			r := hexRune(raw[i+2:])
			i += 6
			if utf16.IsSurrogate(r) {
				low := rune(-1)
				if i+6 <= len(raw) && raw[i] == '\\' && raw[i+1] == 'u' {
					low = hexRune(raw[i+2:])
				}
				if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
					repairs |= textSurrogate
				} else {
					i += 6
				}
			}
			if r == 0 {
				repairs |= textNUL
				continue
			}
			out = utf8.AppendRune(out, r)
		case ch == '\\':
			e := raw[i+1]
			if k := strings.IndexByte("bfnrt", e); k >= 0 {
				e = "\b\f\n\r\t"[k]
			}
			out = append(out, e)
			i += 2
		case ch < utf8.RuneSelf:
			out = append(out, ch)
			i++
		default:
			r, n := utf8.DecodeRune(raw[i:])
			if r == utf8.RuneError && n == 1 {
				repairs |= textUTF8
			}
			out = utf8.AppendRune(out, r)
			i += n
		}
	}
	return string(out), repairs
}

func hexRune(b []byte) rune {
	var r rune
	for _, ch := range b[:4] {
		d := rune(ch|0x20) - '0'
		if d > 9 {
			d -= 'a' - '0' - 10
		}
		r = r<<4 | d
	}
	return r
}
