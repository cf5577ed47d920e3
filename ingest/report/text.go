package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// beijing is the zone of the times that are shown: China keeps one, without
// summer time.
var beijing = time.FixedZone("UTC+8", 8*60*60)

// visible is s as it is shown to a person: at most limit characters of it, and each
// that would not be seen, or would turn what follows (controls, marks of direction,
// joiners), as its code point: a name that hides one must not look like another.
// Line ends and tabs stay.
func visible(s string, limit int) string {
	var b strings.Builder
	n := 0
	for i := 0; i < len(s); n++ {
		if n == limit {
			total := strconv.Itoa(n + utf8.RuneCountInString(s[i:]))
			b.WriteString("… [共 " + total + " 字 / " + total + " characters]")
			break
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		i += size
		switch {
		case r == '\r':
			if i < len(s) && s[i] == '\n' {
				n--
				continue
			}
			b.WriteByte('\n')
		case r == '\n' || r == '\t':
			b.WriteRune(r)
		case r == utf8.RuneError && size == 1:
			b.WriteRune(utf8.RuneError)
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) || r&0xFFFE == 0xFFFE || r >= 0xFDD0 && r <= 0xFDEF:
			fmt.Fprintf(&b, "[U+%04X]", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// grouped writes n with commas between thousands.
func grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	return group(digits)
}

// group puts commas into a decimal number without exponent.
func group(digits string) string {
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	whole, fraction, found := strings.Cut(digits, ".")
	var b strings.Builder
	b.WriteString(sign)
	for i, c := range whole {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	if found {
		b.WriteString("." + fraction)
	}
	return b.String()
}

// change writes the difference of two numbers with its sign.
func change(before, after float64, decimals int) string {
	text := strconv.FormatFloat(after-before, 'f', decimals, 64)
	switch {
	case strings.Trim(text, "-0.") == "":
		return "0"
	case text[0] == '-':
		return "−" + group(text[1:])
	}
	return "+" + group(text)
}

// share writes what a change is of what was before, as a percentage; nothing when
// there was nothing, or nothing changed.
func share(before, after float64) string {
	if before <= 0 || before == after {
		return ""
	}
	text := strconv.FormatFloat((after-before)/before*100, 'f', 2, 64)
	switch {
	case text == "0.00" || text == "-0.00":
		return "±0.00 %"
	case text[0] == '-':
		return "−" + group(text[1:]) + " %"
	}
	return "+" + group(text) + " %"
}

// size writes a number of bytes in the binary unit that suits it.
func size(bytes int64) string {
	if bytes < 1024 {
		return strconv.FormatInt(bytes, 10) + " B"
	}
	v, unit := float64(bytes), ""
	for _, u := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if v < 1024 {
			break
		}
		v, unit = v/1024, u
	}
	return strconv.FormatFloat(v, 'f', 1, 64) + " " + unit
}

// moment writes a time as Beijing's clocks show it; nothing for the zero time.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(beijing).Format("2006-01-02 15:04:05")
}
