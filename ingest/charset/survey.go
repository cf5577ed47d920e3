package charset

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// survey is what the sample says about each candidate. Values of pure ASCII are
// left aside: they read the same in all of them.
type survey struct {
	sample []byte
	empty  bool // there is no sample at all
	values int  // non-ASCII values
	utf8   tally
	gb     tally
	big5   tally
}

// tally counts how one encoding reads the non-ASCII values.
type tally struct {
	bad     int // values with bytes that mean nothing
	chars   int // complete characters beyond ASCII
	long    int // UTF-8 only: characters of three or four bytes
	foreign int // UTF-8 only: two-byte characters outside Latin-1
	hanzi   int
	common  int // hanzi of the frequent half of the national character set
}

// share returns the part of the hanzi that are frequent ones.
func (t tally) share() float64 {
	if t.hanzi == 0 {
		return 0
	}
	return float64(t.common) / float64(t.hanzi)
}

func newSurvey(sample []byte) *survey {
	s := &survey{sample: sample, empty: len(sample) == 0}
	table := gbTables()
	big5, _ := NewDecoder(big5Name)
	s.each(func(v []byte) {
		s.values++
		s.utf8.addUTF8(v)
		s.gb.addGB(v, table)
		s.big5.addBig5(v, big5)
	})
	return s
}

// each calls f for the non-ASCII values of the sample.
func (s *survey) each(f func([]byte)) {
	for rest := s.sample; len(rest) > 0; {
		v := rest
		if i := bytes.IndexByte(rest, '\n'); i >= 0 {
			v, rest = rest[:i], rest[i+1:]
		} else {
			rest = nil
		}
		for _, c := range v {
			if c >= utf8.RuneSelf {
				f(v)
				break
			}
		}
	}
}

// badValues returns how many values hold bytes that mean nothing in the encoding.
func (s *survey) badValues(name string) int {
	switch name {
	case utf8Name:
		return s.utf8.bad
	case gb18030Name:
		return s.gb.bad
	case big5Name:
		return s.big5.bad
	}
	d, err := NewDecoder(name)
	if err != nil {
		return 0
	}
	n := 0
	s.each(func(v []byte) {
		if _, _, bad := d.Decode(v); bad > 0 {
			n++
		}
	})
	return n
}

func (t *tally) addUTF8(v []byte) {
	for i := 0; i < len(v); {
		if v[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, size := utf8.DecodeRune(v[i:])
		if r == utf8.RuneError && size == 1 {
			if utf8.FullRune(v[i:]) {
				t.bad++
			}
			return
		}
		t.chars++
		if size > 2 {
			t.long++
		} else if r > 0xFF {
			t.foreign++
		}
		i += size
	}
}

func (t *tally) addGB(v []byte, table *gbTable) {
	for i := 0; i < len(v); {
		if v[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, size := table.step(v[i:])
		if r == gbBad {
			t.bad++
			return
		}
		if r == gbCut {
			return
		}
		t.chars++
		if r >= 0x3400 && r <= 0x9FFF {
			t.hanzi++
			// Rows 16-55 of GB/T 2312 are its 3755 frequent hanzi.
			if v[i] >= 0xB0 && v[i] <= 0xD7 && size == 2 && v[i+1] >= 0xA1 {
				t.common++
			}
		}
		i += size
	}
}

func (t *tally) addBig5(v []byte, d *Decoder) {
	if _, _, bad := d.Decode(v); bad > 0 {
		t.bad++
		return
	}
	for i := 0; i+1 < len(v); i++ {
		if v[i] < utf8.RuneSelf {
			continue
		}
		t.chars++
		if v[i] >= 0xA4 {
			t.hanzi++
			// The 5401 frequent hanzi of Big5 are at 0xA440-0xC67E.
			if v[i] <= 0xC6 {
				t.common++
			}
		}
		i++
	}
}

// verdict is what the content alone says. sure means that it may overrule a
// declaration.
type verdict struct {
	name string
	by   string
	sure bool
	zh   string
	en   string
}

func (s *survey) verdict() verdict {
	switch {
	case s.empty:
		return verdict{utf8Name, ByDefault, false, "没有可供判断的文字，按 UTF-8 读取", "there is no text to judge by, read as UTF-8"}
	case s.values == 0:
		return verdict{utf8Name, ByContent, false, "抽样的值全是 ASCII，按 UTF-8 读取", "the sampled values are all ASCII, read as UTF-8"}
	case s.utf8.bad == 0 && s.utf8.long > 0:
		return s.clean(utf8Name, s.utf8.long > 1 || s.gb.bad > 0)
	case s.utf8.bad == 0 && s.utf8.chars > 0 && (s.utf8.foreign == 0 || s.gb.bad > 0):
		return s.clean(utf8Name, s.gb.bad > 0)
	case s.big5.bad == 0 && s.big5.hanzi > 0 && (s.gb.bad > 0 || s.big5.share() > s.gb.share()+0.3):
		return s.clean(big5Name, s.gb.bad > 0)
	case s.gb.bad == 0 && s.gb.chars > 0:
		return s.clean(gb18030Name, s.utf8.bad > 0 && s.gb.hanzi > 0 && s.gb.share() >= 0.5)
	}
	return s.least()
}

// clean words a verdict for an encoding that reads every value.
func (s *survey) clean(name string, sure bool) verdict {
	v := verdict{
		name, ByContent, sure,
		fmt.Sprintf("抽样的 %d 个非 ASCII 值全部是合法的 %s", s.values, name),
		fmt.Sprintf("all %d sampled non-ASCII values are valid %s", s.values, name),
	}
	if name != utf8Name && s.utf8.bad > 0 {
		v.zh += fmt.Sprintf("，其中 %d 个不是合法的 UTF-8", s.utf8.bad)
		v.en += fmt.Sprintf(", %d of them are not valid UTF-8", s.utf8.bad)
	}
	if !sure {
		v.zh += "，但字数少或不典型，证据不强"
		v.en += ", though they are few or untypical and the evidence is weak"
	}
	return v
}

// least chooses when no candidate reads every value: the one that fails least,
// as long as it reads the better half.
func (s *survey) least() verdict {
	name, t := gb18030Name, s.gb
	if s.utf8.bad < t.bad || t.chars == 0 && s.utf8.chars > 0 {
		name, t = utf8Name, s.utf8
	}
	if s.big5.bad < t.bad && s.big5.share() > t.share() {
		name, t = big5Name, s.big5
	}
	if t.chars == 0 || 2*t.bad > s.values {
		return verdict{
			latinName, ByDefault, false,
			fmt.Sprintf("抽样的 %d 个非 ASCII 值既不是 UTF-8 也不是 GB18030（分别有 %d 和 %d 个不合法，其余没有完整的汉字），暂按 windows-1252 读取，请核对并指定编码", s.values, s.utf8.bad, s.gb.bad),
			fmt.Sprintf("the %d sampled non-ASCII values are neither UTF-8 nor GB18030 (%d and %d invalid, the others hold no complete character), read as windows-1252 for want of better: please check and name the encoding", s.values, s.utf8.bad, s.gb.bad),
		}
	}
	v := verdict{
		name, ByContent, false,
		fmt.Sprintf("抽样的 %d 个非 ASCII 值中 %d 个是合法的 %s,%d 个不是", s.values, s.values-t.bad, name, t.bad),
		fmt.Sprintf("%d of %d sampled non-ASCII values are valid %s, %d are not", s.values-t.bad, s.values, name, t.bad),
	}
	mixed := s.mixed()
	if mixed > 0 {
		v.zh += fmt.Sprintf("(%d 个值只能是另一种编码：文件可能混用了 UTF-8 和 GBK)", mixed)
		v.en += fmt.Sprintf(" (%d values can only be the other encoding: the file seems to mix UTF-8 and GBK)", mixed)
	}
	v.zh += "，请核对"
	v.en += ", please check"
	return v
}

// mixed counts the values that the lesser of UTF-8 and GB18030 reads and the
// other does not.
func (s *survey) mixed() int {
	table := gbTables()
	onlyUTF8, onlyGB := 0, 0
	s.each(func(v []byte) {
		var u, g tally
		u.addUTF8(v)
		g.addGB(v, table)
		if u.bad == 0 && u.chars > 0 && g.bad > 0 {
			onlyUTF8++
		}
		if g.bad == 0 && g.chars > 0 && u.bad > 0 {
			onlyGB++
		}
	})
	return min(onlyUTF8, onlyGB)
}

// contradicts reports whether the content overrules a declared encoding.
func (s *survey) contradicts(declared string, v verdict) bool {
	if !v.sure {
		return false
	}
	switch declared {
	case gb18030Name:
		// UTF-8 Chinese reads as GB18030 without an error, into rare hanzi;
		// GB18030 text does not read as UTF-8.
		return v.name == utf8Name || s.gb.bad > 0
	case utf8Name, big5Name, "Shift_JIS", "EUC-JP", "EUC-KR":
		return v.name == utf8Name || s.badValues(declared) > 0
	}
	// A single-byte encoding reads anything. Text that happens to be whole
	// hanzi, most of them frequent, is Chinese.
	if v.name == gb18030Name {
		return s.gb.hanzi >= 4 && s.gb.share() >= 0.8
	}
	return v.name == utf8Name && s.utf8.long > 0
}
