package dropbox

import (
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"

	"changde/problem"
)

// Names within a box that are ours.
const (
	doneName    = "done"
	refusedName = "refused"
	takenName   = ".taken"
)

// decodeName returns a stored name as text. FTP clients of Windows send GBK.
// Bytes that are neither are replaced, and checkName refuses them.
func decodeName(raw string) string {
	if utf8.ValidString(raw) {
		return raw
	}
	if s, err := simplifiedchinese.GB18030.NewDecoder().String(raw); err == nil {
		return s
	}
	return strings.ToValidUTF8(raw, "\ufffd")
}

// checkName refuses a path that could not be written below a folder as it is.
func checkName(name string) *problem.Error {
	for _, c := range name {
		// Bidirectional overrides show a name as another one.
		if unicode.IsControl(c) || c == utf8.RuneError || c == '\\' || c >= 0x202a && c <= 0x202e || c >= 0x2066 && c <= 0x2069 {
			return nameProblem(name, "文件名含控制字符、反斜杠或无法识别的编码", "the name has control characters, backslashes or an unknown encoding")
		}
	}
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "" || part == "." || part == "..":
			return nameProblem(name, "路径含空的或 “.”、“..” 的部分", `the path has parts that are empty, "." or ".."`)
		case len(part) > 255:
			return nameProblem(name, "文件名过长（UTF-8 编码不得超过 255 字节）", "the name is too long (at most 255 bytes in UTF-8)")
		}
	}
	return nil
}

func nameProblem(name, zh, en string) *problem.Error {
	return problem.New(problem.Invalid, "dropbox-name", fmt.Sprintf("%.120q", name), zh+"，请改名后再投递", en+"; rename it and send it again")
}

// litter tells whether a name is of no parcel: hidden, of an operating system, or
// one of ours.
func litter(name string) bool {
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "~$") {
		return true
	}
	switch strings.ToLower(name) {
	case "__macosx", "thumbs.db", "desktop.ini", doneName, refusedName:
		return true
	}
	return false
}

// unfinished reports whether a name is one that clients give to a file while they
// send it, and the name it will have.
func unfinished(name string) (final string, ok bool) {
	switch ext := path.Ext(name); strings.ToLower(ext) {
	case ".part", ".partial", ".filepart", ".tmp", ".temp", ".crdownload", ".download", ".uploading":
		return strings.TrimSuffix(name, ext), true
	}
	return name, false
}

// marker reports whether a name is the sender's sign that something is complete,
// and of what: "DLTB.ok" and "DLTB.shp.ok" both stand for DLTB.shp and its set.
func marker(name string) (of string, ok bool) {
	switch ext := path.Ext(name); strings.ToLower(ext) {
	case ".ok", ".done":
		return strings.TrimSuffix(name, ext), true
	}
	return "", false
}

// set is a format of several files with one base name.
type set struct {
	main  string
	needs []string // parts without which it cannot be read
	takes []string // parts it may have
}

var sets = []set{
	{".shp", []string{".dbf", ".shx"}, []string{".dbf", ".shx", ".prj", ".cpg", ".sbn", ".sbx", ".qix", ".fix", ".qpj", ".shp.xml"}},
	{".tab", []string{".dat"}, []string{".dat", ".map", ".id", ".ind"}},
	{".mif", []string{".mid"}, []string{".mid"}},
}

// splitSet returns the base and the extension of a file that may belong to a set.
func splitSet(name string) (base, ext string, of *set) {
	lower := strings.ToLower(name)
	for i := range sets {
		for _, ext := range append([]string{sets[i].main}, sets[i].takes...) {
			if strings.HasSuffix(lower, ext) && len(lower) > len(ext) {
				return lower[:len(lower)-len(ext)], ext, &sets[i]
			}
		}
	}
	return lower, "", nil
}
