package charset

import (
	"sync"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// gbTable holds the characters of GB 18030 in the basic plane. It is derived from
// golang.org/x/text once: a look-up is several times as fast as the general
// decoder, and text is most of a delivery.
type gbTable struct {
	two  [126 * 192]uint16 // lead 0x81-0xFE, trail 0x40-0xFF; 0 where there is no character
	four [39420]uint16     // by linear index from 81308130 to 8431A439
}

// supplement is the linear index of U+10000, 90308130.
const supplement = 189000

var gbTables = sync.OnceValue(buildTables)

func buildTables() *gbTable {
	t := new(gbTable)
	dec := simplifiedchinese.GB18030.NewDecoder().Transformer
	var dst [8]byte
	src := make([]byte, 4)
	character := func(src []byte) uint16 {
		n, _, err := dec.Transform(dst[:], src, true)
		if err != nil {
			return 0
		}
		r, size := utf8.DecodeRune(dst[:n])
		if size != n || r == utf8.RuneError || r > 0xFFFF {
			return 0
		}
		return uint16(r)
	}
	for i := range t.two {
		src[0], src[1] = byte(0x81+i/192), byte(0x40+i%192)
		if src[1] != 0x7F && src[1] != 0xFF {
			t.two[i] = character(src[:2])
		}
	}
	for i := range t.four {
		src[0], src[1], src[2], src[3] = byte(0x81+i/12600), byte('0'+i/1260%10), byte(0x81+i/10%126), byte('0'+i%10)
		t.four[i] = character(src)
	}
	return t
}

// Outcomes of step besides a character.
const (
	gbBad rune = -1 // the first byte means nothing here
	gbCut rune = -2 // the bytes end within a character
)

// step reads the character at the start of b, which is not ASCII, and returns it
// with its length in bytes: one, two or four (GB 18030-2022).
func (t *gbTable) step(b []byte) (rune, int) {
	lead := b[0]
	if lead == 0x80 {
		return '€', 1 // as in code page 936
	}
	if lead == 0xFF {
		return gbBad, 1
	}
	if len(b) == 1 {
		return gbCut, 1
	}
	trail := b[1]
	if trail >= 0x40 {
		if r := t.two[int(lead-0x81)*192+int(trail-0x40)]; r != 0 {
			return rune(r), 2
		}
		return gbBad, 1
	}
	if !digit(trail) || len(b) > 2 && (b[2] < 0x81 || b[2] == 0xFF) || len(b) > 3 && !digit(b[3]) {
		return gbBad, 1
	}
	if len(b) < 4 {
		return gbCut, len(b)
	}
	i := ((int(lead-0x81)*10+int(trail-'0'))*126+int(b[2]-0x81))*10 + int(b[3]-'0')
	switch {
	case i < len(t.four) && t.four[i] != 0:
		return rune(t.four[i]), 4
	case i >= supplement && i < supplement+0x100000:
		return rune(i - supplement + 0x10000), 4
	}
	return gbBad, 1
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

func (d *Decoder) decodeGB(b []byte) (string, int, int) {
	// No character of GB 18030 grows to more than three times its bytes.
	out := d.buffer(3*len(b) + 4)
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
		r, size := d.gb.step(b[i:])
		if r == gbCut {
			cut = size
			break
		}
		i += size
		switch {
		case r == gbBad:
			bad += size
			out = appendReplacement(out)
		case r >= 0x800 && r <= 0xFFFF:
			out = append(out, 0xE0|byte(r>>12), 0x80|byte(r>>6)&0xBF, 0x80|byte(r)&0xBF)
		default:
			out = utf8.AppendRune(out, r)
		}
	}
	return string(out), cut, bad
}
