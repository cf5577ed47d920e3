package charset

import (
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
)

// The names that code here compares with.
const (
	utf8Name    = "UTF-8"
	gb18030Name = "GB18030"
	big5Name    = "Big5"
	latinName   = "windows-1252"
)

// codings holds every encoding but UTF-8 by its canonical name.
var codings = map[string]encoding.Encoding{
	gb18030Name:    simplifiedchinese.GB18030,
	big5Name:       traditionalchinese.Big5,
	"Shift_JIS":    japanese.ShiftJIS,
	"EUC-JP":       japanese.EUCJP,
	"EUC-KR":       korean.EUCKR,
	"windows-874":  charmap.Windows874,
	"windows-1250": charmap.Windows1250,
	"windows-1251": charmap.Windows1251,
	latinName:      charmap.Windows1252,
	"windows-1253": charmap.Windows1253,
	"windows-1254": charmap.Windows1254,
	"windows-1255": charmap.Windows1255,
	"windows-1256": charmap.Windows1256,
	"windows-1257": charmap.Windows1257,
	"windows-1258": charmap.Windows1258,
	"ISO-8859-1":   charmap.ISO8859_1,
	"ISO-8859-2":   charmap.ISO8859_2,
	"ISO-8859-3":   charmap.ISO8859_3,
	"ISO-8859-4":   charmap.ISO8859_4,
	"ISO-8859-5":   charmap.ISO8859_5,
	"ISO-8859-6":   charmap.ISO8859_6,
	"ISO-8859-7":   charmap.ISO8859_7,
	"ISO-8859-8":   charmap.ISO8859_8,
	"ISO-8859-9":   charmap.ISO8859_9,
	"ISO-8859-10":  charmap.ISO8859_10,
	"ISO-8859-13":  charmap.ISO8859_13,
	"ISO-8859-14":  charmap.ISO8859_14,
	"ISO-8859-15":  charmap.ISO8859_15,
	"ISO-8859-16":  charmap.ISO8859_16,
	"IBM437":       charmap.CodePage437,
	"IBM850":       charmap.CodePage850,
	"IBM852":       charmap.CodePage852,
	"IBM855":       charmap.CodePage855,
	"IBM00858":     charmap.CodePage858,
	"IBM860":       charmap.CodePage860,
	"IBM862":       charmap.CodePage862,
	"IBM863":       charmap.CodePage863,
	"IBM865":       charmap.CodePage865,
	"IBM866":       charmap.CodePage866,
	"KOI8-R":       charmap.KOI8R,
	"KOI8-U":       charmap.KOI8U,
	"macintosh":    charmap.Macintosh,
}

// aliases maps a label, reduced by fold, to a canonical name.
var aliases = map[string]string{
	"utf8": utf8Name, "65001": utf8Name, "utf8mb4": utf8Name, "utf8bom": utf8Name, "unicodeutf8": utf8Name,
	// ASCII is the part that UTF-8 shares with everything.
	"ascii": utf8Name, "usascii": utf8Name, "20127": utf8Name,
	"gb18030": gb18030Name, "gb180302000": gb18030Name, "gb180302005": gb18030Name, "gb180302022": gb18030Name,
	"54936": gb18030Name, "gbk": gb18030Name, "xgbk": gb18030Name, "936": gb18030Name, "gb2312": gb18030Name,
	"gb231280": gb18030Name, "gb": gb18030Name, "euccn": gb18030Name, "20936": gb18030Name, "51936": gb18030Name,
	"chinesegb2312": gb18030Name, "chinesegbk": gb18030Name,
	"big5": big5Name, "big5hkscs": big5Name, "950": big5Name, "951": big5Name, "chinesebig5": big5Name,
	"shiftjis": "Shift_JIS", "sjis": "Shift_JIS", "932": "Shift_JIS", "31j": "Shift_JIS",
	"eucjp": "EUC-JP", "51932": "EUC-JP", "20932": "EUC-JP",
	"euckr": "EUC-KR", "949": "EUC-KR", "51949": "EUC-KR", "uhc": "EUC-KR",
	"874": "windows-874", "1250": "windows-1250", "1251": "windows-1251", "1252": latinName, "1253": "windows-1253",
	"1254": "windows-1254", "1255": "windows-1255", "1256": "windows-1256", "1257": "windows-1257", "1258": "windows-1258",
	"88591": "ISO-8859-1", "28591": "ISO-8859-1", "latin1": "ISO-8859-1", "88592": "ISO-8859-2", "28592": "ISO-8859-2",
	"88593": "ISO-8859-3", "28593": "ISO-8859-3", "88594": "ISO-8859-4", "28594": "ISO-8859-4",
	"88595": "ISO-8859-5", "28595": "ISO-8859-5", "88596": "ISO-8859-6", "28596": "ISO-8859-6",
	"88597": "ISO-8859-7", "28597": "ISO-8859-7", "88598": "ISO-8859-8", "28598": "ISO-8859-8",
	"88599": "ISO-8859-9", "28599": "ISO-8859-9", "885910": "ISO-8859-10", "28600": "ISO-8859-10",
	"885913": "ISO-8859-13", "28603": "ISO-8859-13", "885914": "ISO-8859-14", "28604": "ISO-8859-14",
	"885915": "ISO-8859-15", "28605": "ISO-8859-15", "885916": "ISO-8859-16", "28606": "ISO-8859-16",
	"437": "IBM437", "850": "IBM850", "852": "IBM852", "855": "IBM855", "858": "IBM00858", "00858": "IBM00858",
	"860": "IBM860", "862": "IBM862", "863": "IBM863", "865": "IBM865", "866": "IBM866",
	"koi8r": "KOI8-R", "20866": "KOI8-R", "koi8u": "KOI8-U", "21866": "KOI8-U",
	"macintosh": "macintosh", "macroman": "macintosh", "10000": "macintosh",
}

// languageDriver maps the language driver id of a DBF header to a canonical
// name, "" where it means only "the code page of the machine". Ids whose code
// page is not among the codings are left out.
var languageDriver = map[byte]string{
	0x01: "IBM437", 0x02: "IBM850", 0x03: latinName, 0x04: "macintosh",
	0x08: "IBM865", 0x09: "IBM437", 0x0A: "IBM850", 0x0B: "IBM437", 0x0D: "IBM437", 0x0E: "IBM850", 0x0F: "IBM437",
	0x10: "IBM850", 0x11: "IBM437", 0x12: "IBM850", 0x13: "Shift_JIS", 0x14: "IBM850", 0x15: "IBM437", 0x16: "IBM850",
	0x17: "IBM865", 0x18: "IBM437", 0x19: "IBM437", 0x1A: "IBM850", 0x1B: "IBM437", 0x1C: "IBM863", 0x1D: "IBM850",
	0x1F: "IBM852", 0x22: "IBM852", 0x23: "IBM852", 0x24: "IBM860", 0x25: "IBM850", 0x26: "IBM866",
	0x37: "IBM850", 0x40: "IBM852", 0x4D: gb18030Name, 0x4E: "EUC-KR", 0x4F: big5Name, 0x50: "windows-874",
	0x57: "", 0x58: latinName, 0x59: latinName, 0x64: "IBM852", 0x65: "IBM866", 0x66: "IBM865", 0x6C: "IBM863",
	0x78: big5Name, 0x79: "EUC-KR", 0x7A: gb18030Name, 0x7B: "Shift_JIS", 0x7C: "windows-874", 0x87: "IBM852",
	0xC8: "windows-1250", 0xC9: "windows-1251", 0xCA: "windows-1254", 0xCB: "windows-1253", 0xCC: "windows-1257",
}

// Canonical returns the canonical name for a label such as "gbk", "CP936",
// "ANSI 936", "65001" or "LDID/77", and whether the label is known.
func Canonical(label string) (string, bool) {
	key := fold(label)
	if name, ok := aliases[key]; ok {
		return name, true
	}
	for _, prefix := range [...]string{"ldid", "codepage", "windows", "ansi", "oem", "ibm", "iso", "dos", "win", "xcp", "cp", "ms", "x"} {
		rest, found := strings.CutPrefix(key, prefix)
		if !found || rest == "" {
			continue
		}
		if prefix == "ldid" {
			name := languageDriver[number(rest)]
			return name, name != ""
		}
		if name, ok := aliases[rest]; ok {
			return name, true
		}
	}
	return "", false
}

// Names returns the canonical names that Detect and NewDecoder know, sorted.
func Names() []string {
	names := make([]string, 0, len(codings)+1)
	names = append(names, utf8Name)
	for name := range codings {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// fold reduces a label to its lower-case letters and digits.
func fold(label string) string {
	if len(label) > 64 {
		return ""
	}
	var b strings.Builder
	for _, r := range label {
		switch {
		case r >= 'A' && r <= 'Z':
			b.WriteRune(r + 'a' - 'A')
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			b.WriteRune(r)
		case r > unicode.MaxASCII:
			return ""
		}
	}
	return b.String()
}

// number reads a decimal number below 256, 0 if it is none.
func number(digits string) byte {
	n := 0
	for _, c := range []byte(digits) {
		if c < '0' || c > '9' || n > 25 {
			return 0
		}
		n = n*10 + int(c-'0')
	}
	if n > 255 {
		return 0
	}
	return byte(n)
}

// cpgState is what the content of a .cpg file turned out to be.
type cpgState int

const (
	cpgEmpty cpgState = iota
	cpgNamed
	cpgVague   // "OEM" or "ANSI" alone: the code page of a machine we do not see
	cpgMarkup  // a web page that a server sent instead of the file
	cpgRubbish // anything else
)

// readCPG reads the first line of a .cpg file. Files saved by Windows editors
// begin with a byte order mark, or are UTF-16 altogether.
func readCPG(raw string) (name, label string, state cpgState) {
	if strings.HasPrefix(raw, "\xff\xfe") || strings.HasPrefix(raw, "\xfe\xff") {
		raw = raw[2:]
	}
	raw = strings.ReplaceAll(strings.TrimPrefix(raw, "\ufeff"), "\x00", "")
	raw = strings.TrimSpace(raw)
	if raw == "" {
		return "", "", cpgEmpty
	}
	if strings.HasPrefix(raw, "<") {
		return "", "", cpgMarkup
	}
	if i := strings.IndexAny(raw, "\r\n"); i >= 0 {
		raw = raw[:i]
	}
	label = clip(strings.Trim(raw, " \t\"'"))
	switch fold(label) {
	case "oem", "ansi", "default", "system":
		return "", label, cpgVague
	}
	if name, ok := Canonical(label); ok {
		return name, label, cpgNamed
	}
	return "", label, cpgRubbish
}

// clip keeps what is quoted in a message short.
func clip(s string) string {
	const most = 40
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
