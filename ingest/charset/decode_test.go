package charset

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
	"pgregory.net/rapid"
)

func TestDecode(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, enc, in, want string
		cut, bad            int
	}{
		{"ascii", "GBK", "430702 abc", "430702 abc", 0, 0},
		{"empty", "GBK", "", "", 0, 0},
		{"controls go", "GBK", "a\x00b\x01c\td\r\ne\x1f", "abc\td\r\ne", 0, 0},
		{"control among eight", "GBK", "abc\x00defgh", "abcdefgh", 0, 0},
		{"eight with a control", "GBK", "abc\x00defg", "abcdefg", 0, 0},
		{"delete stays", "GBK", "abcdefg\x7f", "abcdefg\x7f", 0, 0},
		{"hanzi", "GBK", "\xce\xe4\xc1\xea\xc7\xf8", "武陵区", 0, 0},
		{"cut lead", "GBK", "\xce\xe4\xc1\xea\xc7", "武陵", 1, 0},
		{"four bytes", "GB2312", "\x95\x32\x82\x36", "𠀀", 0, 0},
		{"four bytes basic plane", "GBK", "\x81\x30\x81\x30", "\u0080", 0, 0},
		{"four bytes cut at two", "GBK", "a\x95\x32", "a", 2, 0},
		{"four bytes cut at three", "GBK", "a\x95\x32\x82", "a", 3, 0},
		{"euro of cp936", "GBK", "\x80", "€", 0, 0},
		{"bad lead", "GBK", "a\xffb", "a\uFFFDb", 0, 1},
		{"bad trail", "GBK", "\xb0\x20x", "\uFFFD x", 0, 1},
		{"run of bad", "GBK", "\xff\xff\xff", "\uFFFD", 0, 3},
		{"nul within", "GBK", "\xce\xe4\x00\xc1\xea", "武陵", 0, 0},
		{"utf-8", "UTF-8", "武陵区", "武陵区", 0, 0},
		{"utf-8 nul", "UTF-8", "武\x00陵", "武陵", 0, 0},
		{"utf-8 cut", "UTF-8", "武\xe9\x99", "武", 2, 0},
		{"utf-8 bad", "UTF-8", "武\xff陵", "武\uFFFD陵", 0, 1},
		{"utf-8 surrogate", "UTF-8", "a\xed\xa0\x80b", "a\uFFFDb", 0, 3},
		{"latin", "1252", "Stra\xdfe \x80", "Straße €", 0, 0},
		{"latin hole", "1252", "a\x81", "a\uFFFD", 0, 1},
		{"big5", "950", "\xbb\x4f\xa5\x5f\xa5\xab", "臺北市", 0, 0},
		{"big5 cut", "950", "\xbb\x4f\xa5", "臺", 1, 0},
		{"big5 bad", "950", "\xbb\x4f\xff\xa5\x5f", "臺\uFFFD北", 0, 1},
		{"shift jis", "932", "\x93\x8c\x8b\x9e\x00", "東京", 0, 0},
		{"korean", "949", "\xbc\xad\xbf\xef", "서울", 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d, err := NewDecoder(tt.enc)
			if err != nil {
				t.Fatal(err)
			}
			s, cut, bad := d.Decode([]byte(tt.in))
			if s != tt.want || cut != tt.cut || bad != tt.bad {
				t.Errorf("got %q cut %d bad %d, want %q %d %d", s, cut, bad, tt.want, tt.cut, tt.bad)
			}
		})
	}
}

// TestGB18030AgainstIconv compares the whole two-byte table with glibc's.
func TestGB18030AgainstIconv(t *testing.T) {
	t.Parallel()
	path, err := exec.LookPath("iconv")
	if err != nil {
		t.Skip("iconv is not installed")
	}
	var src []byte
	for lead := 0x81; lead <= 0xFE; lead++ {
		for trail := 0x40; trail <= 0xFE; trail++ {
			// Rows of user-defined characters have no fixed meaning, and the
			// editions of the standard differ in rows 0xA2-0xA9 and 0xFE.
			if trail == 0x7F || lead >= 0xA1 && lead <= 0xA9 || lead == 0xFE || lead >= 0xAA && lead <= 0xAF || lead >= 0xF8 ||
				lead == 0xD7 && trail >= 0xFA {
				continue
			}
			src = append(src, byte(lead), byte(trail))
		}
	}
	cmd := exec.Command(path, "-f", "GB18030", "-t", "UTF-8")
	cmd.Stdin = bytes.NewReader(src)
	want, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	d, _ := NewDecoder("GBK")
	got, cut, bad := d.Decode(src)
	if cut != 0 || bad != 0 || got != string(want) {
		t.Errorf("cut %d bad %d, %d and %d bytes", cut, bad, len(got), len(want))
	}
}

func TestTextAgainstXText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringOfN(rapid.Rune(), 0, 40, -1).Draw(t, "s")
		if !utf8.ValidString(s) || strings.ContainsRune(s, utf8.RuneError) {
			return
		}
		raw, err := simplifiedchinese.GB18030.NewEncoder().Bytes([]byte(s))
		if err != nil {
			return
		}
		want, err := simplifiedchinese.GB18030.NewDecoder().Bytes(raw)
		if err != nil {
			t.Fatal(err)
		}
		d, _ := NewDecoder("GB18030")
		got, cut, bad := d.Decode(raw)
		if got != string(stripControls(want)) || cut != 0 || bad != 0 {
			t.Fatalf("%q: got %q cut %d bad %d", want, got, cut, bad)
		}
	})
}

// TestRoundTrip: what an Encoder writes, a Decoder reads; cut anywhere, the text
// before the cut is untouched and nothing counts as bad.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"UTF-8", "GB18030", "Big5", "EUC-KR"} {
		enc, err := Encoder(name)
		if err != nil {
			t.Fatal(err)
		}
		dec, err := NewDecoder(name)
		if err != nil {
			t.Fatal(err)
		}
		rapid.Check(t, func(t *rapid.T) {
			s := rapid.StringOf(rapid.SampledFrom([]rune("abc 123中文國土測繪山川"))).Draw(t, "s")
			raw, err := enc(s)
			if err != nil {
				return
			}
			at := rapid.IntRange(0, len(raw)).Draw(t, "at")
			whole, cut, bad := dec.Decode(raw)
			if whole != s || cut != 0 || bad != 0 {
				t.Fatalf("%s: %q became %q (%d, %d)", name, s, whole, cut, bad)
			}
			part, cut, bad := dec.Decode(raw[:at])
			if !strings.HasPrefix(s, part) || bad != 0 {
				t.Fatalf("%s: %q cut at %d became %q (%d, %d)", name, s, at, part, cut, bad)
			}
		})
	}
}

func TestEncoderRefuses(t *testing.T) {
	t.Parallel()
	enc, err := Encoder("windows-1252")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := enc("汉"); err == nil {
		t.Errorf("encoded as %q", b)
	}
	if b, err := enc("é"); err != nil || string(b) != "\xe9" {
		t.Errorf("%q %v after an error", b, err)
	}
}

func TestDecodeAllocatesTheStringOnly(t *testing.T) {
	for name, text := range map[string]string{
		"GBK": "\xce\xe4\xc1\xea\xc7\xf8\x95\x32\x82\x36\xff", "UTF-8": "武陵区\xff", "1252": "Stra\xdfe stra\xdfe", "950": "\xbb\x4f\xa5\x5f",
	} {
		d, err := NewDecoder(name)
		if err != nil {
			t.Fatal(err)
		}
		b := []byte(text)
		d.Decode(b)
		if n := testing.AllocsPerRun(100, func() { d.Decode(b) }); n > 1 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func FuzzDetectAndDecode(f *testing.F) {
	f.Add("", "GBK", byte(0x4D), []byte("\xce\xe4\xc1\xea\xc7\xf8"))
	f.Add("950", "<html>", byte(0), []byte("常德\xe5\xb8\n\xff"))
	f.Add("", "", byte(0x57), []byte("\x95\x32\x82\n\x80\xfe\xfe"))
	f.Add("", "UTF-8", byte(3), []byte("Caf\xe9\nm\xc2\xb2"))
	f.Fuzz(func(t *testing.T, user, cpg string, ldid byte, sample []byte) {
		c, err := Detect(Evidence{User: user, CPG: cpg, LDID: ldid, Sample: sample})
		if err != nil {
			if c, ok := Canonical(user); ok {
				t.Fatalf("%s refused: %v", c, err)
			}
			return
		}
		if !utf8.ValidString(c.ZH) || !utf8.ValidString(c.EN) {
			t.Fatalf("invalid sentence %q %q", c.ZH, c.EN)
		}
		for _, name := range []string{c.Name, "GB18030", "UTF-8", "Big5", "Shift_JIS"} {
			d, err := NewDecoder(name)
			if err != nil {
				t.Fatal(err)
			}
			s, cut, bad := d.Decode(sample)
			if !utf8.ValidString(s) || string(stripControls([]byte(s))) != s {
				t.Fatalf("%s: unclean text %q", name, s)
			}
			if cut < 0 || cut > 3 || bad < 0 || cut+bad > len(sample) {
				t.Fatalf("%s: cut %d bad %d of %d", name, cut, bad, len(sample))
			}
		}
	})
}

func stripControls(b []byte) []byte {
	return bytes.Map(func(r rune) rune {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' {
			return -1
		}
		return r
	}, b)
}

func BenchmarkDecode(b *testing.B) {
	for _, bench := range []struct{ name, enc, text string }{
		{"ASCII18", "GBK", "430702001001000123"},
		{"GBK12", "GBK", "\xce\xe4\xc1\xea\xc7\xf8\xb3\xa3\xb5\xc2\xca\xd0"},
		{"UTF8x18", "UTF-8", "武陵区常德市"},
	} {
		b.Run(bench.name, func(b *testing.B) {
			d, _ := NewDecoder(bench.enc)
			src := []byte(bench.text)
			b.ReportAllocs()
			for b.Loop() {
				d.Decode(src)
			}
		})
	}
}

func BenchmarkTables(b *testing.B) {
	for b.Loop() {
		buildTables()
	}
}
