// Package gdal reads the formats the platform has no reader of its own for: GDAL's
// ogr2ogr, run as a child that is locked in, turns one data source into a GeoPackage
// in a folder of its own, which package ingest/geopackage then reads.
//
// The child is the running program itself, started again under a marker: it gives up
// what it does not need (see Sandbox) and then becomes ogr2ogr. A program that uses
// this package therefore calls RunChild first in main, and a test in TestMain.
//
// Coordinates are handed on in the order X (longitude, easting), Y, whatever the
// source's CRS says; nothing is projected. docs/formats/gdal.md tells which formats
// there are and what becomes of them.
package gdal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"changde/problem"
)

// Options say where GDAL is and how strictly it is kept. The zero value looks along
// PATH and demands a kernel that keeps the child's files apart.
type Options struct {
	Dir  string // the folder of ogr2ogr and ogrinfo, such as /opt/gdal/bin; empty: PATH
	Weak bool   // convert even where the kernel has no Landlock; Sandbox says what is missing
}

// Tool is a GDAL that was found. It may be used by any number of goroutines.
type Tool struct {
	version  string
	ogr2ogr  string
	ogrinfo  string
	library  []string // files and folders the programs need to start
	programs []string // what may be executed: the programs and their loader
	data     []string // environment: where GDAL and PROJ find their data
	drivers  []string
	sandbox  Sandbox
	weak     bool
}

// ErrMissing is returned by Find where there is no GDAL.
var ErrMissing = problem.New(problem.Unsupported, "gdal-missing", "",
	"该格式要用 GDAL 读取，本机没有 GDAL（ogr2ogr、ogrinfo）；Debian/Ubuntu 请安装：apt-get install gdal-bin",
	"this format is read by GDAL, which is not installed here (ogr2ogr, ogrinfo); on Debian or Ubuntu: apt-get install gdal-bin")

// The oldest GDAL whose OpenFileGDB driver reads what is delivered today.
const oldestMajor, oldestMinor = 3, 4

// findTimeout bounds each question Find asks.
const findTimeout = 20 * time.Second

// ready is set by RunChild. Without that call a child would run the caller's whole
// program again, which would start a child, and so on; only a variable of the process
// can tell.
var ready atomic.Bool

// marker is argument 0 of a child.
const marker = "changde-gdal-child"

// RunChild must be the first statement of main, or of TestMain. It returns at once,
// unless this process is a child this package started: then it locks the process in,
// becomes the program of GDAL and never returns.
func RunChild() {
	if len(os.Args) < 2 || os.Args[0] != marker {
		ready.Store(true)
		return
	}
	err := become(os.Args[1], os.Args[2:])
	fmt.Fprintln(os.Stderr, childFailed+err.Error())
	os.Exit(childExit)
}

// How a child that could not become GDAL tells its parent.
const (
	childFailed = marker + ": "
	childExit   = 125
)

var versionLine = regexp.MustCompile(`^GDAL (\d+)\.(\d+)(\.\S*?)?,`)

// Find locates ogr2ogr and ogrinfo, asks their version and drivers, and tries what the
// kernel can keep apart. ErrMissing tells that GDAL is not there.
func Find(ctx context.Context, o Options) (*Tool, error) {
	if !ready.Load() {
		return nil, errors.New("gdal: the program does not call gdal.RunChild first in main")
	}
	t := &Tool{weak: o.Weak}
	for _, p := range []struct {
		name string
		path *string
	}{{"ogr2ogr", &t.ogr2ogr}, {"ogrinfo", &t.ogrinfo}} {
		path, err := locate(o.Dir, p.name)
		if err != nil {
			return nil, ErrMissing
		}
		*p.path = path
	}
	if err := t.needs(); err != nil {
		return nil, err
	}
	t.sandbox = probe(ctx)
	// A folder for the questions, which read and write nothing.
	dir, err := os.MkdirTemp("", "changde-gdal-")
	if err != nil {
		return nil, fmt.Errorf("gdal: %w", err)
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(ctx, findTimeout)
	defer cancel()
	ask := func(arg string) (string, error) {
		out, err := t.run(ctx, job{program: t.ogrinfo, args: []string{arg}, dir: dir, out: dir, limits: Limits{}.filled(), skip: []string{}})
		return string(out.stdout), err
	}
	version, err := ask("--version")
	if err != nil {
		return nil, fmt.Errorf("gdal: ask the version of GDAL: %w", err)
	}
	m := versionLine.FindStringSubmatch(version)
	if m == nil {
		return nil, problem.New(problem.Unsupported, "gdal-version", "", "ogrinfo 没有报告 GDAL 版本，请重新安装 gdal-bin", "ogrinfo does not tell its version; install gdal-bin again")
	}
	t.version = m[1] + "." + m[2] + m[3]
	major, _ := strconv.Atoi(m[1])
	minor, _ := strconv.Atoi(m[2])
	if major < oldestMajor || major == oldestMajor && minor < oldestMinor {
		return nil, problem.New(problem.Unsupported, "gdal-version", "",
			fmt.Sprintf("GDAL %s 过旧，需要 %d.%d 或更新的版本", t.version, oldestMajor, oldestMinor),
			fmt.Sprintf("GDAL %s is too old; %d.%d or later is needed", t.version, oldestMajor, oldestMinor))
	}
	list, err := ask("--formats")
	if err != nil {
		return nil, fmt.Errorf("gdal: ask the drivers of GDAL: %w", err)
	}
	t.drivers = parseDrivers(list)
	if !slices.Contains(t.drivers, "GPKG") {
		return nil, problem.New(problem.Unsupported, "gdal-driver", "", "GDAL 没有 GPKG 驱动，请安装完整的 gdal-bin", "GDAL has no GPKG driver; install the whole of gdal-bin")
	}
	return t, nil
}

// locate finds a program and resolves its links, because access is granted to files.
func locate(dir, name string) (string, error) {
	var err error
	path := filepath.Join(dir, name)
	if dir == "" {
		if path, err = exec.LookPath(name); err != nil {
			return "", err
		}
	}
	if path, err = filepath.Abs(path); err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(path)
}

// driverLine is a line such as "  MapInfo File -vector- (rw+v): MapInfo File".
var driverLine = regexp.MustCompile(`(?m)^  (.+?) -[a-z,]+- \([a-z+]+\): `)

func parseDrivers(list string) []string {
	var out []string
	for _, m := range driverLine.FindAllStringSubmatch(list, 1000) {
		out = append(out, m[1])
	}
	return out
}

// Version is GDAL's, such as "3.6.2".
func (t *Tool) Version() string { return t.version }

// Sandbox tells what keeps the child in on this machine.
func (t *Tool) Sandbox() Sandbox { return t.sandbox }

// Reads reports whether this GDAL has the driver for a format.
func (t *Tool) Reads(f Format) bool { return t.driver(f) != "" }

// driver is the first of the format's drivers that is there.
func (t *Tool) driver(f Format) string {
	for _, d := range f.Drivers {
		if slices.Contains(t.drivers, d) {
			return d
		}
	}
	return ""
}

// others are the drivers to switch off: all but the format's own, the one that writes
// the result, and the one ogr2ogr keeps things in memory with. Drivers that reach
// over a network are among them.
func (t *Tool) others(driver string) []string {
	out := []string{}
	for _, d := range t.drivers {
		if d != driver && d != "GPKG" && d != "Memory" && d != "MEM" {
			out = append(out, d)
		}
	}
	return out
}

// Limits bound one conversion. The zero value of each field takes the default.
type Limits struct {
	Time      time.Duration // of the whole conversion; 15 min
	CPU       time.Duration // of each child; as Time
	Memory    int64         // address space of a child in bytes; 2 GiB
	Size      int64         // of any file a child writes, and of a source unpacked or recoded; 16 GiB
	Files     int           // open at once; 256
	Processes int           // of the child and its threads; 8. A second process is refused in any case
}

// filled puts the defaults in.
func (l Limits) filled() Limits {
	if l.Time <= 0 {
		l.Time = 15 * time.Minute
	}
	if l.CPU <= 0 {
		l.CPU = l.Time
	}
	if l.Memory <= 0 {
		l.Memory = 2 << 30
	}
	if l.Size <= 0 {
		l.Size = 16 << 30
	}
	if l.Files <= 0 {
		l.Files = 256
	}
	if l.Processes <= 0 {
		l.Processes = 8
	}
	return l
}

// Sandbox is what holds a child on this machine. The limits of Limits hold everywhere.
type Sandbox struct {
	Landlock  int  // version of the kernel's interface, 0 none: files are not kept apart
	Namespace bool // the child has a network of its own, with nothing in it
	Filter    bool // the system calls that make processes and sockets, or reach other processes, are refused
}

// Whole reports whether nothing is missing that the kernel could give.
func (s Sandbox) Whole() bool { return s.Landlock >= 1 && (s.Namespace || s.Filter) }

// Describe says in a sentence of each language what is in force.
func (s Sandbox) Describe() (zh, en string) {
	var z, e []string
	add := func(on bool, zhOn, enOn, zhOff, enOff string) {
		if on {
			z, e = append(z, zhOn), append(e, enOn)
		} else {
			z, e = append(z, zhOff), append(e, enOff)
		}
	}
	add(s.Landlock > 0, fmt.Sprintf("只能读交付文件夹、只能写输出文件夹（Landlock %d）", s.Landlock), fmt.Sprintf("reads the delivery's folder and writes the output folder alone (Landlock %d)", s.Landlock),
		"内核没有 Landlock，文件未隔离", "no Landlock in the kernel: files are not kept apart")
	switch {
	case s.Namespace && s.Filter:
		add(true, "无网络（空的网络命名空间，禁止建立套接字）", "no network (an empty namespace, no sockets)", "", "")
	case s.Namespace:
		add(true, "无网络（空的网络命名空间）", "no network (an empty namespace)", "", "")
	case s.Filter:
		add(true, "无网络（禁止建立套接字）", "no network (no sockets)", "", "")
	case s.Landlock >= 4:
		add(true, "无 TCP（Landlock）", "no TCP (Landlock)", "", "")
	default:
		add(true, "网络未隔离", "the network is not kept apart", "", "")
	}
	add(s.Filter, "不能建立进程、不能触及其他进程（seccomp）", "makes no processes and reaches none (seccomp)", "进程数只受 RLIMIT_NPROC 限制，对 root 无效", "processes are bounded by RLIMIT_NPROC alone, which does not bind root")
	z, e = append(z, "时间、CPU、内存、文件大小有上限，不留转储"), append(e, "time, CPU, memory and file size are bounded, no core dump")
	return strings.Join(z, "；") + "。", strings.ToUpper(e[0][:1]) + strings.Join(e, "; ")[1:] + "."
}
