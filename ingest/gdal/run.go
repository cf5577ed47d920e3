package gdal

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"changde/problem"
)

// job is one run of a program of GDAL.
type job struct {
	program string
	args    []string
	dir     string   // the working folder, so that the program's messages hold no path of the machine
	read    []string // folders that may be read, beside what the program needs to start
	out     string   // the folder that may be written
	skip    []string // drivers to switch off
	config  []string // "NAME=VALUE"
	limits  Limits
	hide    []string // folders to leave out of messages
	name    string   // of the source, as a person knows it
}

// output is what a program said, each part bounded.
type output struct {
	stdout, stderr []byte
	state          state
}

// state is how a program ended.
type state struct {
	code   int // -1 when a signal ended it
	signal syscall.Signal
	cpu    time.Duration
	late   bool // it was killed because the time was over
	large  bool // it was killed because its folder grew too large
}

// Why a child is killed.
var (
	errTooLarge = errors.New("the folder of the child grew too large")
	errLate     = errors.New("the time of the conversion is over")
)

// Bounds of what is kept of a program's words.
const (
	maxStderr = 64 << 10
	maxStdout = 16 << 20
)

// bounded keeps the first bytes and takes the rest without a word, so that a program
// that talks without end does not wait for us.
type bounded struct {
	buf  bytes.Buffer
	most int
	cut  bool
}

func (b *bounded) Write(p []byte) (int, error) {
	keep := min(len(p), b.most-b.buf.Len())
	b.buf.Write(p[:keep])
	b.cut = b.cut || keep < len(p)
	return len(p), nil
}

// environment is all the program has.
func (t *Tool) environment(j job) []string {
	env := append([]string{
		"LANG=C.UTF-8", "LC_ALL=C.UTF-8", "TZ=UTC",
		"HOME=" + j.out, "TMPDIR=" + j.out, "SQLITE_TMPDIR=" + j.out, "CPL_TMPDIR=" + j.out,
		"PROJ_NETWORK=OFF", "GDAL_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1", "OMP_NUM_THREADS=1",
		"CPL_VSIL_CURL_ALLOWED_EXTENSIONS={none}", "GML_DOWNLOAD_SCHEMA=NO", "GML_SKIP_RESOLVE_ELEMS=ALL",
		"GDAL_PYTHON_DRIVER_PATH=disabled", "CPL_DEBUG=OFF", "CPL_LOG_ERRORS=ON",
		"OGR_SQLITE_SYNCHRONOUS=OFF", "OGR_ARC_STEPSIZE=1",
	}, t.data...)
	if len(j.skip) > 0 {
		env = append(env, "GDAL_SKIP="+strings.Join(j.skip, ","))
	}
	return append(env, j.config...)
}

// folderSize adds up what a program has written.
func folderSize(dir string) int64 {
	var n int64
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil
	})
	return n
}

// failure turns the end of a program into the error that tells why, nil when it ended
// well. What is the platform's own fault is no problem.Error.
func (j job) failure(o output) error {
	s := o.state
	words := j.words(o.stderr)
	if words == "" {
		words = j.words(o.stdout) // where ogrinfo says that it cannot open a file
	}
	if words == "" {
		words = "GDAL 没有说明原因 (no reason given)"
	}
	short := func(code, zh, en string) error {
		return problem.Wrap(fmt.Errorf("%s: %s", filepath.Base(j.program), words), problem.TooLarge, code, j.name, zh, en)
	}
	text := strings.ToLower(string(o.stderr))
	switch {
	case s.late:
		return short("gdal-timeout", fmt.Sprintf("GDAL 在 %v 内未能读完该文件，请拆分后分批交付", j.limits.Time),
			fmt.Sprintf("GDAL could not read the file in %v; deliver it in parts", j.limits.Time))
	case s.large, s.signal == syscall.SIGXFSZ, strings.Contains(text, "file too large"):
		return short("gdal-size", fmt.Sprintf("转换结果超过 %s，请拆分后分批交付", bytesText(j.limits.Size)),
			fmt.Sprintf("the result of the conversion exceeds %s; deliver it in parts", bytesText(j.limits.Size)))
	case s.signal == syscall.SIGXCPU, s.signal == syscall.SIGKILL && s.cpu >= j.limits.CPU:
		return short("gdal-cpu", fmt.Sprintf("GDAL 处理该文件的 CPU 时间超过 %v，请拆分后分批交付", j.limits.CPU),
			fmt.Sprintf("GDAL used more than %v of CPU time on the file; deliver it in parts", j.limits.CPU))
	case s.code == 0:
		return nil
	case strings.Contains(text, "no space left") || strings.Contains(text, "disk is full"):
		return fmt.Errorf("convert %s: no space left on the disk of the server （服务器磁盘已满）: %s", j.name, words)
	case s.code == childExit && strings.HasPrefix(string(o.stderr), childFailed):
		return fmt.Errorf("gdal: %s", strings.TrimSpace(string(o.stderr)))
	case outOfMemory.MatchString(text):
		return short("gdal-memory", fmt.Sprintf("GDAL 处理该文件所需内存超过 %s，请拆分后分批交付", bytesText(j.limits.Memory)),
			fmt.Sprintf("GDAL needs more than %s of memory for the file; deliver it in parts", bytesText(j.limits.Memory)))
	case s.signal == syscall.SIGKILL:
		return problem.Wrap(fmt.Errorf("killed: %s", words), problem.Busy, "gdal-killed", j.name,
			"GDAL 被系统终止，多半是服务器内存不足；请稍后再试", "GDAL was killed by the system, most likely because the server ran out of memory; try again later")
	case s.signal != 0:
		return problem.Wrap(fmt.Errorf("%v: %s", s.signal, words), problem.Invalid, "gdal-crash", j.name,
			fmt.Sprintf("GDAL 读取该文件时崩溃（%v），文件可能已损坏；请用原软件检查修复后另存，或换一种格式交付", s.signal),
			fmt.Sprintf("GDAL crashed on the file (%v), which may be damaged; check and save it anew in the program it comes from, or deliver another format", s.signal))
	}
	return problem.New(problem.Invalid, "gdal-failed", j.name, "GDAL 未能读取该文件："+words, "GDAL could not read the file: "+words)
}

// outOfMemory is what programs say when they get no more memory.
var outOfMemory = regexp.MustCompile(`bad_alloc|out of memory|cannot allocate|not enough memory|cannot reserve|failed to allocate`)

const (
	maxLines = 6
	maxWords = 600
)

// words are the first lines a program said, without what only says where things are
// on this machine and without the list of its drivers.
func (j job) words(stderr []byte) string {
	var lines []string
	for line := range strings.Lines(j.clean(string(stderr))) {
		line = strings.TrimSpace(line)
		if line == "" || line == "FAILURE:" || strings.HasPrefix(line, "-> ") {
			continue
		}
		line = strings.TrimSuffix(line, " with the following drivers.")
		if len(lines) > 0 && lines[len(lines)-1] == line {
			continue
		}
		if lines = append(lines, line); len(lines) == maxLines {
			break
		}
	}
	return cut(strings.Join(lines, "; "), maxWords)
}

// folders are the folders of a path of this machine in a message; the file's own name
// is kept.
var folders = regexp.MustCompile(`(^|[\s'"(=` + "`" + `])/(?:[^/\s'"` + "`" + `:,;]+/)+`)

// clean takes the paths of this machine out of a message.
func (j job) clean(s string) string {
	s = strings.ToValidUTF8(s, "�")
	for _, dir := range j.hide {
		s = strings.ReplaceAll(s, dir+"/", "")
	}
	s = strings.ReplaceAll(s, "/vsizip/", "")
	s = folders.ReplaceAllString(s, "$1")
	s = strings.ReplaceAll(s, "./", "")
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7F {
			return -1
		}
		return r
	}, s)
}

// cut shortens a text to n bytes at a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

func bytesText(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.4g MiB", float64(n)/(1<<20))
}
