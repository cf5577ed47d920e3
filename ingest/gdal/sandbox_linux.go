package gdal

import (
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// cell is what a child is told before it locks itself in.
type cell struct {
	Program string // empty: only report what can be locked
	Env     []string
	Read    []string // files and folders
	Write   []string // folders
	Exec    []string // files
	Landlock,
	Filter bool
	CPU, Memory, Size, Files, Processes uint64
}

// become locks this process in and replaces it by the program. It returns only what
// went wrong.
func become(text string, args []string) error {
	// Landlock and the filter bind the thread that asks; the program inherits the
	// bonds of the thread that executes it.
	runtime.LockOSThread()
	var c cell
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return fmt.Errorf("what to do is not readable: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("give up privileges: %w", err)
	}
	if c.Program == "" {
		return try(c)
	}
	for _, l := range []struct {
		what int
		soft uint64
		hard uint64
	}{
		{unix.RLIMIT_CORE, 0, 0},
		// The soft limit sends SIGXCPU, which tells why; the hard one kills.
		{unix.RLIMIT_CPU, c.CPU, c.CPU + 2},
		{unix.RLIMIT_FSIZE, c.Size, c.Size},
		{unix.RLIMIT_NOFILE, c.Files, c.Files},
		{unix.RLIMIT_NPROC, c.Processes, c.Processes},
	} {
		if err := unix.Setrlimit(l.what, &unix.Rlimit{Cur: l.soft, Max: l.hard}); err != nil {
			return fmt.Errorf("set limit %d: %w", l.what, err)
		}
	}
	if c.Landlock {
		if err := restrict(c); err != nil {
			return fmt.Errorf("keep files apart: %w", err)
		}
	}
	if c.Filter {
		if err := filter(); err != nil {
			return fmt.Errorf("filter system calls: %w", err)
		}
	}
	argv := append([]string{filepath.Base(c.Program)}, args...)
	// Last, because this process may have reserved more than the program may have.
	if err := unix.Setrlimit(unix.RLIMIT_AS, &unix.Rlimit{Cur: c.Memory, Max: c.Memory}); err != nil {
		return fmt.Errorf("set the limit of memory: %w", err)
	}
	return fmt.Errorf("execute %s: %w", filepath.Base(c.Program), syscall.Exec(c.Program, argv, c.Env))
}

// Rights over a folder, by the version of Landlock that knows them. Links, devices,
// sockets and pipes may be made nowhere.
const (
	readRights  = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	writeRights = readRights | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE |
		unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_TRUNCATE
	fileRights = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_EXECUTE |
		unix.LANDLOCK_ACCESS_FS_TRUNCATE
)

// landlockVersion is the version of the kernel's interface, 0 where there is none.
func landlockVersion() int {
	v, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return int(v)
}

// handled are the rights that are refused where no rule grants them.
func handled(version int) unix.LandlockRulesetAttr {
	attr := unix.LandlockRulesetAttr{Handled_access_fs: unix.LANDLOCK_ACCESS_FS_MAKE_SYM<<1 - 1}
	if version >= 2 {
		attr.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if version >= 3 {
		attr.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if version >= 4 {
		attr.Handled_access_net = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	if version >= 5 {
		attr.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	if version >= 6 {
		attr.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
	}
	return attr
}

func restrict(c cell) error {
	attr := handled(landlockVersion())
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if errno != 0 {
		return fmt.Errorf("make a set of rules: %w", errno)
	}
	defer unix.Close(int(fd))
	allow := func(path string, rights uint64) error {
		file, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if errors.Is(err, unix.ENOENT) {
			return nil // nothing there to be read
		}
		if err != nil {
			return err
		}
		defer unix.Close(file)
		var stat unix.Stat_t
		if err := unix.Fstat(file, &stat); err != nil {
			return err
		}
		if stat.Mode&unix.S_IFMT != unix.S_IFDIR {
			rights &= fileRights
		}
		rule := unix.LandlockPathBeneathAttr{Allowed_access: rights & attr.Handled_access_fs, Parent_fd: int32(file)}
		if _, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, fd, unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0); errno != 0 {
			return errno
		}
		return nil
	}
	for _, set := range []struct {
		paths  []string
		rights uint64
	}{
		{c.Read, readRights},
		{c.Write, writeRights},
		{c.Exec, unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE},
		{[]string{"/dev/null"}, unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE},
		{[]string{"/dev/urandom"}, unix.LANDLOCK_ACCESS_FS_READ_FILE},
	} {
		for _, p := range set.paths {
			if err := allow(p, set.rights); err != nil {
				return fmt.Errorf("allow %s: %w", p, err)
			}
		}
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); errno != 0 {
		return fmt.Errorf("bind this process: %w", errno)
	}
	return nil
}

// try reports on standard output what of the cell can be had, and ends the process.
func try(c cell) error {
	s := Sandbox{Filter: filter() == nil}
	if v := landlockVersion(); v > 0 && restrict(c) == nil {
		s.Landlock = v
	}
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if _, err := os.Stdout.Write(b); err != nil {
		return err
	}
	os.Exit(0)
	return nil
}

// probe finds out what the kernel gives by trying it in a child.
func probe(ctx context.Context) Sandbox {
	ctx, cancel := context.WithTimeout(ctx, findTimeout)
	defer cancel()
	for _, namespace := range []bool{true, false} {
		cmd := exec.CommandContext(ctx, "/proc/self/exe")
		cmd.Args = []string{marker, "{}"}
		cmd.Env = []string{}
		cmd.SysProcAttr = attributes(namespace)
		cmd.WaitDelay = time.Second
		runtime.LockOSThread() // Pdeathsig is about the thread
		out, err := cmd.Output()
		runtime.UnlockOSThread()
		var s Sandbox
		if err == nil && json.Unmarshal(out, &s) == nil {
			s.Namespace = namespace
			return s
		}
	}
	return Sandbox{}
}

// attributes make a child that dies with the thread that started it, leads a process
// group, and has an empty network of its own. In its namespace it is nobody, so that
// it has no powers there once the program is executed.
func attributes(namespace bool) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if namespace {
		const nobody = 65534
		a.Cloneflags = syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: os.Geteuid(), Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: os.Getegid(), Size: 1}}
	}
	return a
}

// needs finds what the programs must be able to read and execute.
func (t *Tool) needs() error {
	t.library = []string{"/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache", "/usr/share/gdal", "/usr/share/proj"}
	t.programs = []string{t.ogr2ogr, t.ogrinfo}
	prefix := filepath.Dir(filepath.Dir(t.ogr2ogr))
	if prefix != "/usr" && prefix != "/" {
		t.library = append(t.library, filepath.Join(prefix, "lib"), filepath.Join(prefix, "lib64"), filepath.Join(prefix, "share", "gdal"), filepath.Join(prefix, "share", "proj"))
	}
	for _, v := range []struct{ name, folder string }{{"GDAL_DATA", "gdal"}, {"PROJ_DATA", "proj"}, {"PROJ_LIB", "proj"}} {
		dir := os.Getenv(v.name)
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(prefix, "share", v.folder)
		}
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			t.library = append(t.library, dir)
			t.data = append(t.data, v.name+"="+dir)
		}
	}
	for _, p := range []string{t.ogr2ogr, t.ogrinfo} {
		loader, err := interpreter(p)
		if err != nil {
			return fmt.Errorf("gdal: %s: %w", p, err)
		}
		if loader != "" {
			t.programs = append(t.programs, loader)
		}
	}
	return nil
}

// interpreter is the loader that a program names, which is executed with it.
func interpreter(program string) (string, error) {
	f, err := elf.Open(program)
	if err != nil {
		return "", fmt.Errorf("it is not a program: %w", err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP || p.Filesz > 4096 {
			continue
		}
		b := make([]byte, p.Filesz)
		if _, err := p.ReadAt(b, 0); err != nil {
			return "", err
		}
		return filepath.EvalSymlinks(strings.TrimRight(string(b), "\x00"))
	}
	return "", nil
}
