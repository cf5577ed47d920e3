package depot

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"changde/problem"
)

const (
	maxID   = 64
	maxName = 255 // bytes: what file systems allow
)

// splitName takes a name apart and refuses whatever could mean a place other than
// a file directly within the delivery's folder.
func splitName(name string) (id, file string, err error) {
	id, file, _ = strings.Cut(name, "/")
	if !validID(id) {
		return "", "", nameProblem(name, "交付编号须为 1 至 64 个字母、数字、“-”或“_”", `the id of the delivery has 1 to 64 letters, digits, "-" and "_"`)
	}
	switch {
	case file == "" || file == "." || file == "..":
		return "", "", nameProblem(name, "缺少文件名", "there is no file name")
	case len(file) > maxName:
		return "", "", nameProblem(name, "文件名过长（UTF-8 编码不得超过 255 字节）", "the file name is too long (at most 255 bytes in UTF-8)")
	case !utf8.ValidString(file):
		return "", "", nameProblem(name, "文件名须为 UTF-8 编码", "the file name is not UTF-8")
	}
	for _, c := range file {
		switch {
		case c == '/' || c == '\\':
			return "", "", nameProblem(name, "文件名不得含路径分隔符", "the file name contains a path separator")
		// Bidirectional overrides show a name as another one.
		case unicode.IsControl(c) || c == utf8.RuneError || c >= 0x202a && c <= 0x202e || c >= 0x2066 && c <= 0x2069:
			return "", "", nameProblem(name, "文件名含控制字符", "the file name contains a control character")
		}
	}
	return id, file, nil
}

func validID(id string) bool {
	if id == "" || len(id) > maxID {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// checkPrefix refuses a prefix that no name can begin with.
func checkPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	id, file, _ := strings.Cut(prefix, "/")
	if !validID(id) || len(file) > maxName || strings.ContainsAny(file, "/\\\x00") || !utf8.ValidString(file) {
		return nameProblem(prefix, "前缀须为“交付编号”或“交付编号/文件名开头”", "a prefix is the beginning of <delivery id>/<file name>")
	}
	return nil
}

func nameProblem(name, zh, en string) error {
	return problem.New(problem.Invalid, "depot-name", fmt.Sprintf("%.120q", name), zh+"，请改名后再上传", en+"; rename the file and send it again")
}
