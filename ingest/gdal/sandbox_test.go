package gdal

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"changde/problem"
)

func TestMain(m *testing.M) {
	RunChild()
	code := m.Run()
	if evilDir != "" {
		os.RemoveAll(evilDir)
	}
	os.Exit(code)
}

// evilDir is where the evil tool was built.
var evilDir string

// evil is a tool whose programs do what their source says.
var evil = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "evil-")
	if err != nil {
		return "", err
	}
	evilDir = dir
	cmd := exec.Command("go", "build", "-o", filepath.Join(dir, "ogrinfo"), "./testdata/evil")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return dir, os.Link(filepath.Join(dir, "ogrinfo"), filepath.Join(dir, "ogr2ogr"))
})

func evilTool(t *testing.T) *Tool {
	t.Helper()
	dir, err := evil()
	if err != nil {
		t.Fatal(err)
	}
	tool, err := Find(t.Context(), Options{Dir: dir})
	var p *problem.Error
	if errors.As(err, &p) && p.Code == "gdal-sandbox" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return tool
}

// commit runs one deed and returns what became of it.
func commit(t *testing.T, ctx context.Context, l Limits, deed ...string) error {
	t.Helper()
	tool := evilTool(t)
	dir, out := t.TempDir(), t.TempDir()
	path := filepath.Join(dir, "evil.fgb")
	if err := os.WriteFile(path, []byte("fgb\x03fgb\x00"+strings.Join(deed, " ")), 0o600); err != nil {
		t.Fatal(err)
	}
	f, ok := Recognise(path)
	if !ok {
		t.Fatal("not recognised")
	}
	_, err := tool.Convert(ctx, Source{Path: path, Dir: dir, Format: f}, filepath.Join(out, "x.gpkg"), l)
	if err == nil {
		t.Fatal("the conversion succeeded")
	}
	if left, _ := os.ReadDir(out); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
	return err
}

func code(err error) string {
	var p *problem.Error
	if errors.As(err, &p) {
		return p.Code
	}
	return ""
}

// Each way to end badly is a problem of its own, and comes in time.
func TestEndsOfAChild(t *testing.T) {
	t.Parallel()
	small := Limits{Time: 20 * time.Second, Memory: 2 << 30, Size: 32 << 20}
	for _, tt := range []struct {
		deed string
		set  func(*Limits)
		want string
	}{
		{"sleep", func(l *Limits) { l.Time = time.Second }, "gdal-timeout"},
		{"spin", func(l *Limits) { l.CPU = time.Second }, "gdal-cpu"},
		{"memory", func(l *Limits) {}, "gdal-memory"},
		{"fill", func(l *Limits) {}, "gdal-size"},
		{"many", func(l *Limits) {}, "gdal-size"},
		{"flood", func(l *Limits) { l.Time = time.Second }, "gdal-timeout"},
		{"crash", func(l *Limits) {}, "gdal-crash"},
		{"killed", func(l *Limits) {}, "gdal-killed"},
	} {
		t.Run(tt.deed, func(t *testing.T) {
			t.Parallel()
			l := small
			tt.set(&l)
			begin := time.Now()
			err := commit(t, t.Context(), l, tt.deed)
			if code(err) != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
			if took := time.Since(begin); took > 15*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// What a program taken over by its file tries is refused.
func TestLockedIn(t *testing.T) {
	t.Parallel()
	tool := evilTool(t)
	elsewhere := t.TempDir()
	secret := filepath.Join(elsewhere, "secret")
	if err := os.WriteFile(secret, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tcp.Close() })
	local, err := net.Listen("unix", filepath.Join(elsewhere, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { local.Close() })
	needsFilter := []string{"chmod", "touch", "fork", "limit"}
	for _, deed := range [][]string{
		{"read", secret},
		{"read", "/etc/passwd"},
		{"read", "/proc/self/environ"},
		{"read", fmt.Sprintf("/proc/%d/environ", os.Getpid())},
		{"list", elsewhere},
		{"list", "/"},
		{"list", "/tmp"},
		{"write", secret},
		{"write", filepath.Join(elsewhere, "new")},
		{"write", "evil.fgb"},
		{"write", "new"},
		{"write", "/dev/shm/new"},
		{"truncate", secret},
		{"truncate", "evil.fgb"},
		{"remove", secret},
		{"remove", "evil.fgb"},
		{"chmod", secret},
		{"chmod", "evil.fgb"},
		{"touch", secret},
		{"link", "evil.fgb"},
		{"symlink", secret},
		{"connect", "tcp", tcp.Addr().String()},
		{"connect", "udp", tcp.Addr().String()},
		{"connect", "unix", local.Addr().String()},
		{"listen"},
		{"fork"},
		{"exec", "/bin/sh"},
		{"run", "/bin/true"},
		{"kill"},
		{"limit"},
		{"core"},
		{"open"},
		{"descriptors"},
	} {
		t.Run(strings.Join(deed[:1], " "), func(t *testing.T) {
			t.Parallel()
			if slices.Contains(needsFilter, deed[0]) && !tool.Sandbox().Filter {
				t.Skip("no filter of system calls here")
			}
			err := commit(t, t.Context(), Limits{Time: 20 * time.Second}, deed...)
			if code(err) != "gdal-failed" || !strings.Contains(err.Error(), "refused") {
				t.Errorf("%q: %v", deed, err)
			}
		})
	}
	t.Cleanup(func() {
		if b, err := os.ReadFile(secret); err != nil || string(b) != "x" {
			t.Errorf("the secret is %q, %v", b, err)
		}
	})
}

// The child knows nothing of its parent's environment.
func TestEnvironment(t *testing.T) {
	t.Setenv("CHANGDE_TEST_SECRET", "hunter2")
	err := commit(t, t.Context(), Limits{}, "environment")
	if s := err.Error(); strings.Contains(s, "hunter2") || strings.Contains(s, "CHANGDE") || !strings.Contains(s, "PROJ_NETWORK=OFF") {
		t.Errorf("the environment is %s", s)
	}
}

// The end of the caller's context ends the child, and is no problem of the file.
func TestCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err := commit(t, ctx, Limits{}, "sleep")
	if !errors.Is(err, context.DeadlineExceeded) || code(err) != "" {
		t.Errorf("got %v", err)
	}
}

// A child does not outlive the process that started it.
func TestDiesWithItsParent(t *testing.T) {
	t.Parallel()
	dir, err := evil()
	if err != nil {
		t.Fatal(err)
	}
	mark := fmt.Sprintf("orphan-%d.fgb", os.Getpid())
	cmd := exec.Command(os.Args[0], "-test.run=^TestParentToKill$")
	cmd.Env = append(os.Environ(), "CHANGDE_TEST_EVIL="+dir, "CHANGDE_TEST_MARK="+mark)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(15 * time.Second)
	for !running(t, mark) {
		if time.Now().After(deadline) {
			t.Fatal("the child did not start")
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	for running(t, mark) {
		if time.Now().After(deadline) {
			t.Fatal("the child is still there")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// running reports whether a program with the mark among its arguments runs.
func running(t *testing.T, mark string) bool {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if b, err := os.ReadFile(f); err == nil && strings.HasPrefix(string(b), "ogrinfo\x00") && strings.Contains(string(b), mark) {
			return true
		}
	}
	return false
}

func TestParentToKill(t *testing.T) {
	dir := os.Getenv("CHANGDE_TEST_EVIL")
	if dir == "" {
		t.Skip("run by TestDiesWithItsParent")
	}
	tool, err := Find(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	path := filepath.Join(folder, os.Getenv("CHANGDE_TEST_MARK"))
	if err := os.WriteFile(path, []byte("fgb\x03fgb\x00sleep"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = tool.Convert(t.Context(), Source{Path: path, Dir: folder, Format: format(FlatGeobuf)}, filepath.Join(folder, "x.gpkg"), Limits{Time: time.Minute})
	t.Fatal(err)
}

func TestMissing(t *testing.T) {
	t.Parallel()
	if _, err := Find(t.Context(), Options{Dir: t.TempDir()}); !errors.Is(err, error(ErrMissing)) {
		t.Errorf("got %v", err)
	}
}

// Messages hold no path of the machine and are short.
func TestFloodIsCut(t *testing.T) {
	t.Parallel()
	j := job{name: "x.dxf", hide: []string{"/srv/data/delivery"}}
	text := "ERROR 4: /srv/data/delivery/x.dxf: cannot open /etc/secret/folder/y, `/usr/lib/z'\nFAILURE:\nUnable to open datasource `./x.dxf' with the following drivers.\n  -> DXF\n"
	got := j.words([]byte(text + strings.Repeat("ERROR 1: more and more of it\nERROR 2: other\n", 10000)))
	want := "ERROR 4: x.dxf: cannot open y, `z'; Unable to open datasource `x.dxf'; ERROR 1: more and more of it; ERROR 2: other; ERROR 1: more and more of it; ERROR 2: other"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
