package profile

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/width"
)

// How long a field name may be in a DBF (dBASE III) and in MapInfo and Oracle.
const (
	dbfName  = 10
	longName = 31
)

// fold makes names equal that differ in case or in the width of their letters.
func fold(name string) string {
	return strings.ToLower(width.Fold.String(name))
}

// cutGBK returns the whole characters of a name within the first most bytes of
// its GB 18030 form: half a character at the end is no character.
func cutGBK(name string, most int) string {
	// An Encoder keeps state, so each call has its own.
	encoder := simplifiedchinese.GB18030.NewEncoder()
	used := 0
	for i, r := range name {
		n := 1
		if r >= utf8.RuneSelf {
			b, err := encoder.String(string(r))
			if err != nil {
				return name[:i]
			}
			n = len(b)
		}
		if used+n > most {
			return name[:i]
		}
		used += n
	}
	return name
}

// cutUTF8 returns the whole characters within the first most bytes.
func cutUTF8(name string, most int) string {
	if len(name) <= most {
		return name
	}
	for most > 0 && !utf8.RuneStart(name[most]) {
		most--
	}
	return name[:most]
}
