// Command evil stands in for ogrinfo and ogr2ogr and misbehaves as its source file
// says: what a GDAL would do that a hostile file has taken over.
package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

func main() {
	args := os.Args[1:]
	switch args[0] {
	case "--version":
		fmt.Println("GDAL 3.6.2, released 2023/01/02")
		return
	case "--formats":
		fmt.Print("Supported Formats:\n  GPKG -raster,vector- (rw+vs): GeoPackage\n  FlatGeobuf -vector- (rw+v): FlatGeobuf\n")
		return
	}
	source := args[len(args)-1]
	b, err := os.ReadFile(source)
	if err != nil {
		fail(err)
	}
	words := strings.Fields(string(b[8:]))
	deed, rest := words[0], words[1:]
	fail(deeds[deed](rest))
}

// fail tells what happened; a deed that succeeds says so on standard error too.
func fail(err error) {
	if err == nil {
		fmt.Fprintln(os.Stderr, "ERROR 1: it was possible")
	} else {
		fmt.Fprintln(os.Stderr, "ERROR 1: refused:", err)
	}
	os.Exit(1)
}

var deeds = map[string]func([]string) error{
	"spin": func([]string) error {
		for {
		}
	},
	"sleep": func([]string) error {
		time.Sleep(time.Hour)
		return nil
	},
	"memory": func([]string) error {
		var all [][]byte
		for {
			b := make([]byte, 64<<20)
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1
			}
			all = append(all, b)
		}
	},
	"fill": func([]string) error {
		f, err := os.Create(filepath.Join(os.Getenv("TMPDIR"), "big"))
		if err != nil {
			return err
		}
		b := make([]byte, 1<<20)
		for {
			if _, err := f.Write(b); err != nil {
				return err
			}
		}
	},
	"many": func([]string) error {
		b := make([]byte, 1<<20)
		for i := 0; ; i++ {
			if err := os.WriteFile(filepath.Join(os.Getenv("TMPDIR"), strconv.Itoa(i)), b, 0o600); err != nil {
				return err
			}
			time.Sleep(time.Millisecond)
		}
	},
	"flood": func([]string) error {
		for {
			if _, err := os.Stderr.WriteString(strings.Repeat("ERROR 1: /etc/secret/folder/x is broken\n", 1000)); err != nil {
				return err
			}
		}
	},
	"read": func(a []string) error { _, err := os.ReadFile(a[0]); return err },
	"list": func(a []string) error { _, err := os.ReadDir(a[0]); return err },
	"write": func(a []string) error {
		f, err := os.OpenFile(a[0], os.O_WRONLY|os.O_CREATE, 0o600)
		if err == nil {
			f.Close()
		}
		return err
	},
	"truncate": func(a []string) error { return os.Truncate(a[0], 0) },
	"remove":   func(a []string) error { return os.Remove(a[0]) },
	"chmod":    func(a []string) error { return os.Chmod(a[0], 0o777) },
	"touch":    func(a []string) error { return os.Chtimes(a[0], time.Unix(0, 0), time.Unix(0, 0)) },
	"link":     func(a []string) error { return os.Link(a[0], filepath.Join(os.Getenv("TMPDIR"), "link")) },
	"symlink":  func(a []string) error { return os.Symlink(a[0], filepath.Join(os.Getenv("TMPDIR"), "link")) },
	"connect": func(a []string) error {
		c, err := net.DialTimeout(a[0], a[1], 2*time.Second)
		if err != nil {
			return err
		}
		_, err = c.Write([]byte("x"))
		return err
	},
	"listen": func(a []string) error { _, err := net.Listen("tcp", "127.0.0.1:0"); return err },
	"fork": func([]string) error {
		pid, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
		if errno != 0 {
			return errno
		}
		if pid == 0 {
			syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 0, 0, 0)
		}
		return nil
	},
	"exec": func(a []string) error { return syscall.Exec(a[0], a, nil) },
	"run":  func(a []string) error { return exec.Command(a[0]).Run() },
	"kill": func(a []string) error { return syscall.Kill(os.Getppid(), syscall.SIGCONT) },
	"limit": func(a []string) error {
		type rlimit struct{ cur, max uint64 }
		l := rlimit{1 << 40, 1 << 40}
		_, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(os.Getppid()), syscall.RLIMIT_CPU, uintptr(unsafe.Pointer(&l)), 0, 0, 0)
		if errno != 0 {
			return errno
		}
		return nil
	},
	"core": func([]string) error {
		var l syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_CORE, &l); err != nil {
			return err
		}
		if l.Max == 0 {
			return syscall.EPERM
		}
		return nil
	},
	"open": func(a []string) error {
		for {
			if _, err := syscall.Open(os.Getenv("TMPDIR"), syscall.O_RDONLY, 0); err != nil {
				return err
			}
		}
	},
	"environment": func(a []string) error {
		return fmt.Errorf("%q", os.Environ())
	},
	"descriptors": func(a []string) error {
		for fd := 3; fd < 200; fd++ {
			var s syscall.Stat_t
			if syscall.Fstat(fd, &s) == nil && s.Mode&syscall.S_IFMT == syscall.S_IFREG {
				return nil
			}
		}
		return syscall.EPERM
	},
	"crash": func([]string) error {
		die(syscall.SIGSEGV)
		return nil
	},
	"killed": func([]string) error {
		die(syscall.SIGKILL)
		return nil
	},
}

// die ends the process by a signal as a fault in C would: Go's own handler is taken
// away first.
func die(sig syscall.Signal) {
	type action struct{ handler, flags, restorer, mask uintptr }
	var a action
	syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&a)), 0, 8, 0, 0)
	syscall.Kill(os.Getpid(), sig)
	time.Sleep(time.Minute)
}
