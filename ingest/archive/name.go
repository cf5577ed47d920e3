package archive

import (
	"archive/zip"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/unicode/norm"

	"changde/problem"
)

const (
	flagUTF8       = 0x800  // general purpose bit 11, APPNOTE 4.4.4
	unicodePath    = 0x7075 // Info-ZIP Unicode Path extra field, APPNOTE 4.6.9
	maxNameBytes   = 1024
	maxFolderBytes = 255 // what file systems allow for one part
)

// needsGB18030 tells whether the names of the archive that do not say their
// encoding are GB18030: one packer wrote all of them, so one that is not UTF-8
// decides for all. A short GBK name can be valid UTF-8 by accident.
func needsGB18030(files []*zip.File) bool {
	for _, f := range files {
		if f.Flags&flagUTF8 == 0 && !utf8.ValidString(f.Name) {
			return true
		}
	}
	return false
}

// decodeName returns the name of the i-th member as text.
func decodeName(f *zip.File, gb bool, base string, i int) (name, encoding string, err error) {
	if name, ok := infoZIPName(f); ok {
		return name, "UTF-8", nil
	}
	if utf8.ValidString(f.Name) && (!gb || f.Flags&flagUTF8 != 0 || isASCII(f.Name)) {
		return f.Name, "UTF-8", nil
	}
	name, err = simplifiedchinese.GB18030.NewDecoder().String(f.Name)
	if err != nil || strings.ContainsRune(name, utf8.RuneError) {
		return "", "", nameProblem(fmt.Sprintf("%s: #%d %.80q", base, i+1, f.Name),
			"文件名既不是 UTF-8 也不是 GB18030/GBK 编码，请改名后重新打包", "the name is neither UTF-8 nor GB18030/GBK; rename the file and pack again")
	}
	return name, "GB18030", nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// infoZIPName returns the UTF-8 name of the Unicode Path field, which counts only
// while its sum shows that it belongs to the name in the header.
func infoZIPName(f *zip.File) (string, bool) {
	for extra := f.Extra; len(extra) >= 4; {
		tag, n := binary.LittleEndian.Uint16(extra), int(binary.LittleEndian.Uint16(extra[2:]))
		if len(extra) < 4+n {
			return "", false
		}
		data := extra[4 : 4+n]
		extra = extra[4+n:]
		if tag != unicodePath || n < 6 || data[0] != 1 {
			continue
		}
		name := string(data[5:])
		if binary.LittleEndian.Uint32(data[1:]) == crc32.ChecksumIEEE([]byte(f.Name)) && utf8.ValidString(name) {
			return name, true
		}
	}
	return "", false
}

// cleanName returns a member's name with slashes between its parts and without
// empty and "." parts. A name that could reach outside the folder is refused, not
// bent into shape.
func cleanName(name, base string, depth int) (string, error) {
	where := fmt.Sprintf("%s: %.120q", base, name)
	if len(name) > maxNameBytes {
		return "", nameProblem(where, fmt.Sprintf("路径过长（上限 %d 字节）", maxNameBytes), fmt.Sprintf("the path is too long (at most %d bytes)", maxNameBytes))
	}
	for _, c := range name {
		// Bidirectional overrides show a name as another one.
		if unicode.IsControl(c) || c == utf8.RuneError || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) {
			return "", nameProblem(where, "文件名含控制字符，请改名后重新打包", "the name contains a control character; rename the file and pack again")
		}
	}
	// Some packers of Windows write its own separator. The name is decoded by
	// then: in GBK a backslash byte may be the second half of a character.
	name = strings.ReplaceAll(name, `\`, "/")
	if strings.HasPrefix(name, "/") {
		return "", nameProblem(where, "文件名是绝对路径，请用相对路径重新打包", "the name is an absolute path; pack again with relative ones")
	}
	var parts []string
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "" || part == ".":
			continue
		case part == "..":
			return "", nameProblem(where, "文件名含 “..”，指向压缩包之外", `the name contains "..", which points outside the archive`)
		case len(parts) == 0 && len(part) >= 2 && part[1] == ':' && unicode.IsLetter(rune(part[0])):
			return "", nameProblem(where, "文件名带盘符，请用相对路径重新打包", "the name has a drive letter; pack again with relative paths")
		case len(part) > maxFolderBytes:
			return "", nameProblem(where, "文件名过长（UTF-8 编码不得超过 255 字节）", "the name is too long (at most 255 bytes in UTF-8)")
		}
		parts = append(parts, part)
	}
	if len(parts) > depth {
		return "", problem.New(problem.TooLarge, "zip-depth", where,
			fmt.Sprintf("目录层数 %d 超过上限 %d", len(parts), depth), fmt.Sprintf("the path has %d parts, the bound is %d", len(parts), depth))
	}
	return strings.Join(parts, "/"), nil
}

// litter tells whether a member was put there by an operating system.
func litter(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		switch strings.ToLower(part) {
		case "__macosx", ".ds_store", "thumbs.db", "desktop.ini":
			return true
		}
	}
	return false
}

// claim refuses a second member with the name of an earlier one, and a file that
// is a folder elsewhere in the archive. Names that differ in case or in Unicode
// composition only count as one: on another disk they would be.
func claim(kinds map[string]string, name string, folder bool, base string) error {
	for i := 0; i <= len(name); i++ {
		if i < len(name) && name[i] != '/' {
			continue
		}
		key := cases.Fold().String(norm.NFC.String(name[:i]))
		isFolder := folder || i < len(name)
		other, taken := kinds[key]
		switch {
		case !taken && isFolder:
			kinds[key] = ""
		case !taken:
			kinds[key] = name
		case isFolder && other == "":
			// folders may be named as often as there are files in them
		default:
			if other == "" {
				other = name[:i] + "/"
			}
			return nameProblem(fmt.Sprintf("%s: %.120q", base, name),
				fmt.Sprintf("与成员 %q 重名（不分大小写），请改名后重新打包", other),
				fmt.Sprintf("the name collides with member %q (letter case does not count); rename one and pack again", other))
		}
	}
	return nil
}

func nameProblem(where, zh, en string) error {
	return problem.New(problem.Invalid, "zip-name", where, zh, en)
}
