package charset

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"changde/problem"
)

// in encodes text for a test and joins the values as a sample.
func in(t *testing.T, name string, values ...string) []byte {
	t.Helper()
	enc, err := Encoder(name)
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	for i, v := range values {
		b, err := enc(v)
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			out = append(out, '\n')
		}
		out = append(out, b...)
	}
	return out
}

var places = []string{"武陵区", "鼎城区", "安乡县", "汉寿县", "澧县", "临澧县", "桃源县", "石门县", "津市市", "常德市人民路"}

func TestDetect(t *testing.T) {
	t.Parallel()
	gbk := in(t, "GBK", places...)
	u8 := in(t, "UTF-8", places...)
	big5 := in(t, "Big5", "臺北市", "國土測繪中心", "經濟部水利署", "臺灣省", "這是一個測試", "土地使用分區")
	latin := in(t, "windows-1252", "Gemüse", "Straße", "Île-de-France", "forêt", "Niño")
	cutGBK := append(bytes.Clone(gbk), "\n\xb3\xa3\xb5\xc2\xca"...)
	cutUTF8 := append(bytes.Clone(u8), "\n常德\xe5\xb8"...)

	tests := []struct {
		name string
		e    Evidence
		want string
		by   string
		says string // part of the Chinese sentence
	}{
		{"nothing", Evidence{}, "UTF-8", ByDefault, "没有可供判断"},
		{"ascii", Evidence{Sample: []byte("430702\nabc")}, "UTF-8", ByContent, "全是 ASCII"},
		{"gbk by content", Evidence{Sample: gbk}, "GB18030", ByContent, "10 个非 ASCII 值全部是合法的 GB18030"},
		{"gbk cut", Evidence{Sample: cutGBK}, "GB18030", ByContent, "合法的 GB18030"},
		{"utf-8 by content", Evidence{Sample: u8}, "UTF-8", ByContent, "合法的 UTF-8"},
		{"utf-8 cut", Evidence{Sample: cutUTF8}, "UTF-8", ByContent, "合法的 UTF-8"},
		{"big5 by content", Evidence{Sample: big5}, "Big5", ByContent, "Big5"},
		{"superscript in utf-8", Evidence{Sample: []byte("m²\n45°")}, "UTF-8", ByContent, "UTF-8"},
		{"short gbk that is valid utf-8", Evidence{Sample: []byte("\xd2\xbb")}, "GB18030", ByContent, "证据不强"},
		{"lone bytes", Evidence{Sample: []byte("Caf\xe9\nMontr\xe9")}, "windows-1252", ByDefault, "请核对"},
		{"cpg gbk", Evidence{CPG: "GBK", Sample: gbk}, "GB18030", ByCPG, `"GBK"`},
		{"cpg 936 crlf", Evidence{CPG: "936\r\n", Sample: gbk}, "GB18030", ByCPG, "相符"},
		{"cpg ansi 936", Evidence{CPG: "ANSI 936"}, "GB18030", ByCPG, "无从核对"},
		{"cpg bom", Evidence{CPG: "\ufeffUTF-8", Sample: u8}, "UTF-8", ByCPG, "UTF-8"},
		{"cpg utf-16", Evidence{CPG: "\xff\xfeG\x00B\x00K\x00", Sample: gbk}, "GB18030", ByCPG, "GBK"},
		{"cpg before ldid", Evidence{CPG: "UTF-8", LDID: 0x4D, Sample: u8}, "UTF-8", ByCPG, "0x4D"},
		{"cpg oem", Evidence{CPG: "OEM", LDID: 0x4D, Sample: gbk}, "GB18030", ByLDID, "不能说明编码"},
		{"cpg html", Evidence{CPG: "<!DOCTYPE html><html>404</html>", Sample: gbk}, "GB18030", ByContent, "网页"},
		{"cpg rubbish", Evidence{CPG: "\x01\x02", LDID: 0x7A, Sample: gbk}, "GB18030", ByLDID, "已忽略"},
		{"cpg wrong utf-8", Evidence{CPG: "UTF-8", Sample: gbk}, "GB18030", ByContent, "以内容为准"},
		{"cpg wrong gbk", Evidence{CPG: "GBK", Sample: u8}, "UTF-8", ByContent, "以内容为准"},
		{"cpg wrong gbk, no byte out of place", Evidence{CPG: "GBK", Sample: in(t, "UTF-8", "常德", "桃源")}, "UTF-8", ByContent, "以内容为准"},
		{"big5 that is valid gbk", Evidence{Sample: in(t, "Big5", "臺灣", "這是測試")}, "Big5", ByContent, "证据不强"},
		{"cpg wrong latin", Evidence{CPG: "ISO-8859-1", Sample: gbk}, "GB18030", ByContent, "以内容为准"},
		{"cpg wrong big5", Evidence{CPG: "Big5", Sample: u8}, "UTF-8", ByContent, "以内容为准"},
		{"cpg right latin", Evidence{CPG: "1252", Sample: latin}, "windows-1252", ByCPG, "相符"},
		{"cpg right big5", Evidence{CPG: "950", Sample: big5}, "Big5", ByCPG, "相符"},
		{"ldid 4d", Evidence{LDID: 0x4D, Sample: gbk}, "GB18030", ByLDID, "0x4D"},
		{"ldid 7a", Evidence{LDID: 0x7A}, "GB18030", ByLDID, "0x7A"},
		{"ldid wrong", Evidence{LDID: 0x4D, Sample: u8}, "UTF-8", ByContent, "以内容为准"},
		{"ldid ansi says nothing", Evidence{LDID: 0x57, Sample: gbk}, "GB18030", ByContent, "本机代码页"},
		{"ldid unknown", Evidence{LDID: 0xEE, Sample: gbk}, "GB18030", ByContent, "未知"},
		{"few bad values do not overrule", Evidence{CPG: "GBK", Sample: append(bytes.Clone(gbk), "\na\xffb"...)}, "GB18030", ByCPG, "11 个非 ASCII 值中有 1 个"},
		{"mixed", Evidence{Sample: append(append(bytes.Clone(gbk), '\n'), "常德区\n桃源"...)}, "GB18030", ByContent, "合法的 GB18030"},
		{"user", Evidence{User: "utf-8", CPG: "GBK", Sample: u8}, "UTF-8", ByUser, "用户指定"},
		{"user against content", Evidence{User: "UTF-8", Sample: gbk}, "UTF-8", ByUser, "内容看来是 GB18030"},
		{"user gbk against utf-8", Evidence{User: "GBK", Sample: u8}, "GB18030", ByUser, "内容看来是 UTF-8"},
		{"user against both", Evidence{User: "cp437", CPG: "UTF-8", LDID: 0x4D, Sample: u8}, "IBM437", ByUser, "内容看来是 UTF-8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := Detect(tt.e)
			if err != nil {
				t.Fatal(err)
			}
			if got.Name != tt.want || got.By != tt.by || !strings.Contains(got.ZH, tt.says) {
				t.Errorf("got %+v, want %s by %s saying %q", got, tt.want, tt.by, tt.says)
			}
			if !strings.HasSuffix(got.ZH, "。") || !strings.HasSuffix(got.EN, ".") || len(got.EN) < 10 {
				t.Errorf("not sentences: %q %q", got.ZH, got.EN)
			}
			if _, err := NewDecoder(got.Name); err != nil {
				t.Errorf("chosen encoding has no decoder: %v", err)
			}
		})
	}
}

func TestUnknownNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"klingon", "UTF-16", strings.Repeat("汉", 100), "LDID/999", "<html>"} {
		_, err := Detect(Evidence{User: name})
		var p *problem.Error
		if !errors.As(err, &p) || p.Code != "charset-unknown" || p.Kind != problem.Invalid {
			t.Errorf("%q: %v", name, err)
		}
		if _, err := NewDecoder(name); !problem.Is(err, problem.Invalid) {
			t.Errorf("decoder %q: %v", name, err)
		}
		if _, err := Encoder(name); !problem.Is(err, problem.Invalid) {
			t.Errorf("encoder %q: %v", name, err)
		}
	}
}

func TestCanonical(t *testing.T) {
	t.Parallel()
	for label, want := range map[string]string{
		"GBK": "GB18030", "936": "GB18030", "CP936": "GB18030", "cp-936": "GB18030", "GB2312": "GB18030", "ms936": "GB18030",
		"GB18030": "GB18030", "GB_2312-80": "GB18030", "ANSI 936": "GB18030", "OEM 936": "GB18030", "LDID/77": "GB18030",
		"65001": "UTF-8", "utf8": "UTF-8", "UTF-8": "UTF-8", "cp65001": "UTF-8", "US-ASCII": "UTF-8",
		"Big5": "Big5", "950": "Big5", "big5-hkscs": "Big5", "ISO 88591": "ISO-8859-1", "ISO-8859-15": "ISO-8859-15",
		"ANSI 1252": "windows-1252", "windows-1251": "windows-1251", "IBM437": "IBM437", "OEM 437": "IBM437", "Shift-JIS": "Shift_JIS",
	} {
		if got, ok := Canonical(label); !ok || got != want {
			t.Errorf("%q: %q %v, want %q", label, got, ok, want)
		}
	}
	for _, name := range Names() {
		if got, ok := Canonical(name); !ok || got != name {
			t.Errorf("%q is not its own name: %q %v", name, got, ok)
		}
		if _, err := NewDecoder(name); err != nil {
			t.Error(err)
		}
	}
	for id, name := range languageDriver {
		if _, ok := Canonical(name); !ok && name != "" {
			t.Errorf("language driver 0x%02X: %q is unknown", id, name)
		}
	}
}
