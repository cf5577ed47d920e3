//go:build linux

package postgis_test

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"changde/postgis"
	"changde/problem"
)

// clusterDir is a folder the server's user can reach, also when root runs the
// tests; t.TempDir would be closed to others.
func clusterDir(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("starts PostgreSQL; skipped under -short")
	}
	dir, err := os.MkdirTemp("", "changde-cluster-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "数据 data")
}

func start(t *testing.T, c postgis.ClusterConfig) *postgis.Cluster {
	t.Helper()
	cl, err := postgis.StartCluster(t.Context(), c)
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	t.Cleanup(func() { stop(t, cl) })
	return cl
}

func stop(t *testing.T, c *postgis.Cluster) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func ask[T any](t *testing.T, c *postgis.Cluster, sql string) T {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), c.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	rows, err := conn.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	v, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[T])
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

func wantProblem(t *testing.T, err error, code string) {
	t.Helper()
	var p *problem.Error
	if !errors.As(err, &p) || p.Code != code {
		t.Errorf("got %v, want the problem %s", err, code)
	}
	if p != nil && strings.Contains(p.Error(), "\n") {
		t.Errorf("more than one line: %v", p)
	}
}

func TestClusterLife(t *testing.T) {
	t.Parallel()
	dir := clusterDir(t)
	began := time.Now()
	c := start(t, postgis.ClusterConfig{Dir: dir, Durable: true})
	t.Logf("made and started in %s", time.Since(began))
	if !c.Owned() {
		t.Error("not owned")
	}
	got := map[string]string{}
	for _, name := range []string{
		"fsync", "synchronous_commit", "full_page_writes", "data_checksums", "listen_addresses",
		"server_encoding", "jit", "unix_socket_permissions",
	} {
		got[name] = ask[string](t, c, "SELECT current_setting('"+name+"')")
	}
	want := map[string]string{
		"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "data_checksums": "on", "listen_addresses": "",
		"server_encoding": "UTF8", "jit": "off", "unix_socket_permissions": "0700",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("settings (-want +got):\n%s", d)
	}
	if got := ask[string](t, c, "SELECT datcollate FROM pg_database WHERE datname = 'changde'"); got != "C.UTF-8" {
		t.Errorf("the locale is %s", got)
	}
	if got := ask[string](t, c, "SELECT current_database() || ' ' || current_user"); got != "changde changde" {
		t.Errorf("database and user are %s", got)
	}
	for _, name := range []string{"pg", "run", "log"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v %v, want mode 0700", name, info.Mode(), err)
		}
	}
	conn, err := pgx.Connect(t.Context(), c.URL())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "CREATE TABLE kept AS SELECT 常德 FROM generate_series(1, 7) AS 常德"); err != nil {
		t.Fatal(err)
	}
	stop(t, c) // with a connection open
	select {
	case <-c.Done():
	default:
		t.Error("Done is open after Stop")
	}
	if _, err := postgis.AttachCluster(t.Context(), dir); !errors.Is(err, postgis.ErrNotRunning) {
		t.Errorf("attached to a stopped cluster: %v", err)
	}
	began = time.Now()
	c = start(t, postgis.ClusterConfig{Dir: dir, Durable: true})
	t.Logf("started again in %s", time.Since(began))
	if n := ask[int64](t, c, "SELECT count(*) FROM kept"); n != 7 {
		t.Errorf("%d rows, want 7", n)
	}
}

func TestClusterSecondStart(t *testing.T) {
	t.Parallel()
	dir := clusterDir(t)
	c := start(t, postgis.ClusterConfig{Dir: dir})
	_, err := postgis.StartCluster(t.Context(), postgis.ClusterConfig{Dir: dir})
	wantProblem(t, err, "folder-in-use")
	if !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("%v does not name the process", err)
	}
	a, err := postgis.AttachCluster(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if a.Owned() || a.URL() != c.URL() {
		t.Errorf("attached: owned %t, %s; want %s", a.Owned(), a.URL(), c.URL())
	}
	stop(t, a)
	ask[int32](t, c, "SELECT 1")
}

// TestClusterSurvivesKill kills the owner, the server or everything with SIGKILL
// in the middle of a transaction; each committed row must be there afterwards.
func TestClusterSurvivesKill(t *testing.T) {
	t.Parallel()
	dir := clusterDir(t)
	kinds := []struct {
		name          string
		server, group bool // what is killed beside the owner
		socket        bool // whether the socket is lost too
	}{
		{"everything", true, true, false},
		{"owner only", false, false, false},
		{"owner only, and the socket is lost", false, false, true},
		{"owner and server, not its children", true, false, false},
		{"everything again", true, true, false},
	}
	for i, kind := range kinds {
		owner := exec.Command(os.Args[0])
		owner.Env = append(os.Environ(), starterEnv+"="+dir)
		out, err := owner.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := owner.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil || strings.TrimSpace(line) != "ready <nil>" {
			t.Fatalf("%s: the owner said %q (%v)", kind.name, line, err)
		}
		pid := serverPid(t, dir)
		owner.Process.Kill()
		if kind.server {
			target := pid
			if kind.group {
				target = -pid
			}
			if err := syscall.Kill(target, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
		owner.Wait()
		if kind.socket {
			must(t, os.Remove(filepath.Join(dir, "run", ".s.PGSQL.5432")))
		}
		c, err := postgis.StartCluster(t.Context(), postgis.ClusterConfig{Dir: dir, Durable: true})
		if err != nil {
			t.Fatalf("%s: start again: %v", kind.name, err)
		}
		if n := ask[int64](t, c, "SELECT count(*) FROM kept"); n != int64(i+1) {
			t.Errorf("%s: %d rows, want %d", kind.name, n, i+1)
		}
		if adopted := serverPid(t, dir) == pid; adopted == (kind.server || kind.socket) {
			t.Errorf("%s: the same server goes on: %t", kind.name, adopted)
		}
		if !c.Owned() {
			t.Errorf("%s: not owned", kind.name)
		}
		stop(t, c)
		if _, err := os.Stat(filepath.Join(dir, "pg", "postmaster.pid")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: the server runs on after Stop (%v)", kind.name, err)
		}
	}
}

func serverPid(t *testing.T, dir string) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "pg", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(b), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// TestClusterIgnoresStalePid: after a reboot the number in postmaster.pid may be
// that of any process, here one of the server's own user.
func TestClusterIgnoresStalePid(t *testing.T) {
	t.Parallel()
	dir := clusterDir(t)
	c := start(t, postgis.ClusterConfig{Dir: dir})
	pidFile := filepath.Join(dir, "pg", "postmaster.pid")
	b, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	stop(t, c)
	info, err := os.Stat(filepath.Join(dir, "pg"))
	if err != nil {
		t.Fatal(err)
	}
	st := info.Sys().(*syscall.Stat_t)
	other := exec.Command("sleep", "60")
	other.Dir = "/"
	if os.Geteuid() == 0 {
		other.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: st.Uid, Gid: st.Gid}}
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { other.Process.Kill(); other.Wait() }()
	_, rest, _ := strings.Cut(string(b), "\n")
	content := strconv.Itoa(other.Process.Pid) + "\n" + rest
	if err := os.WriteFile(pidFile, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(pidFile, int(st.Uid), int(st.Gid)); err != nil {
		t.Fatal(err)
	}
	start(t, postgis.ClusterConfig{Dir: dir})
}

func TestClusterRepairsHalfMadeFolder(t *testing.T) {
	t.Parallel()
	dir := clusterDir(t)
	half := filepath.Join(dir, "pg.tmp-123")
	if err := os.MkdirAll(filepath.Join(half, "base"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(half, "PG_VERSION"), []byte("15\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "pg"), 0o700); err != nil {
		t.Fatal(err)
	}
	c := start(t, postgis.ClusterConfig{Dir: dir})
	ask[int32](t, c, "SELECT 1")
	if _, err := os.Stat(half); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the half-made folder is still there (%v)", err)
	}
}

func TestClusterCancelledWhileMade(t *testing.T) {
	t.Parallel()
	dir := clusterDir(t)
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
	defer cancel()
	if _, err := postgis.StartCluster(ctx, postgis.ClusterConfig{Dir: dir}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the deadline", err)
	}
	start(t, postgis.ClusterConfig{Dir: dir})
}

func TestClusterLongPath(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(clusterDir(t), strings.Repeat("很长的路径", 10))
	c := start(t, postgis.ClusterConfig{Dir: dir})
	ask[int32](t, c, "SELECT 1")
	a, err := postgis.AttachCluster(t.Context(), dir)
	if err != nil || a.URL() != c.URL() {
		t.Errorf("attached to %v (%v)", a, err)
	}
}

func TestClusterExplains(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, code string
		make       func(t *testing.T, dir string) postgis.ClusterConfig
	}{
		{"no folder", "data-folder", func(*testing.T, string) postgis.ClusterConfig { return postgis.ClusterConfig{} }},
		{"unreachable", "folder-unreachable", func(t *testing.T, dir string) postgis.ClusterConfig {
			asRoot(t)
			closed := filepath.Join(dir, "root")
			must(t, os.Mkdir(closed, 0o700))
			return postgis.ClusterConfig{Dir: filepath.Join(closed, "a", "b")}
		}},
		{"a file", "folder-is-file", func(t *testing.T, dir string) postgis.ClusterConfig {
			must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
			return postgis.ClusterConfig{Dir: filepath.Join(dir, "file", "data")}
		}},
		{"foreign data", "folder-foreign", func(t *testing.T, dir string) postgis.ClusterConfig {
			must(t, os.Mkdir(filepath.Join(dir, "pg"), 0o700))
			must(t, os.WriteFile(filepath.Join(dir, "pg", "photos.zip"), nil, 0o600))
			return postgis.ClusterConfig{Dir: dir}
		}},
		{"foreign socket folder", "folder-foreign", func(t *testing.T, dir string) postgis.ClusterConfig {
			must(t, os.Symlink("/tmp", filepath.Join(dir, "run")))
			return postgis.ClusterConfig{Dir: dir}
		}},
		{"other version", "postgresql-version", func(t *testing.T, dir string) postgis.ClusterConfig {
			must(t, os.Mkdir(filepath.Join(dir, "pg"), 0o755))
			must(t, os.WriteFile(filepath.Join(dir, "pg", "PG_VERSION"), []byte("9\n"), 0o644))
			return postgis.ClusterConfig{Dir: dir}
		}},
		{"no server", "postgresql-missing", func(_ *testing.T, dir string) postgis.ClusterConfig {
			return postgis.ClusterConfig{Dir: dir, Bin: dir}
		}},
		{"no PostGIS", "postgis-missing", func(t *testing.T, dir string) postgis.ClusterConfig {
			bin := filepath.Join(dir, "bin")
			must(t, os.Mkdir(bin, 0o755))
			script(t, filepath.Join(bin, "postgres"), "echo 'postgres (PostgreSQL) 98.7 (Debian 98.7-1)'")
			script(t, filepath.Join(bin, "initdb"), "exit 1")
			return postgis.ClusterConfig{Dir: dir, Bin: bin}
		}},
		{"full disk", "disk-full", func(t *testing.T, dir string) postgis.ClusterConfig {
			return postgis.ClusterConfig{Dir: tmpfs(t, dir, "size=16m")}
		}},
		{"read-only disk", "folder-unwritable", func(t *testing.T, dir string) postgis.ClusterConfig {
			return postgis.ClusterConfig{Dir: filepath.Join(tmpfs(t, dir, "ro"), "data")}
		}},
		{"read-only folder", "folder-unwritable", func(t *testing.T, dir string) postgis.ClusterConfig {
			if os.Geteuid() == 0 {
				t.Skip("root may write anywhere")
			}
			must(t, os.Chmod(dir, 0o555))
			t.Cleanup(func() { os.Chmod(dir, 0o755) })
			return postgis.ClusterConfig{Dir: filepath.Join(dir, "data")}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := clusterDir(t)
			must(t, os.Mkdir(dir, 0o755))
			cl, err := postgis.StartCluster(t.Context(), tt.make(t, dir))
			if err == nil {
				stop(t, cl)
			}
			wantProblem(t, err, tt.code)
			t.Log(err)
		})
	}
}

// TestClusterAsOrdinaryUser runs the starting under another user when the tests
// run as root; otherwise the other tests are that already.
func TestClusterAsOrdinaryUser(t *testing.T) {
	t.Parallel()
	dir := clusterDir(t)
	asRoot(t)
	parent := filepath.Dir(dir)
	must(t, os.Chown(parent, 65534, 65534))
	binary := filepath.Join(parent, "starter")
	b, err := os.ReadFile(os.Args[0])
	must(t, err)
	must(t, os.WriteFile(binary, b, 0o755))
	owner := exec.Command(binary)
	owner.Dir = "/"
	owner.Env = append(os.Environ(), starterEnv+"="+dir)
	owner.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := owner.StdoutPipe()
	must(t, err)
	must(t, owner.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	owner.Process.Kill()
	owner.Wait()
	if err != nil || strings.TrimSpace(line) != "ready <nil>" {
		t.Fatalf("the owner said %q (%v)", line, err)
	}
	// Root goes on with the folder, under the user whose it is.
	c := start(t, postgis.ClusterConfig{Dir: dir, Durable: true})
	if n := ask[int64](t, c, "SELECT count(*) FROM kept"); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
}

func asRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func script(t *testing.T, path, body string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o755))
}

// tmpfs mounts a small disk of its own, where that is allowed.
func tmpfs(t *testing.T, dir, options string) string {
	t.Helper()
	asRoot(t)
	disk := filepath.Join(dir, "disk")
	must(t, os.Mkdir(disk, 0o755))
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "mode=0755,"+options, "tmpfs", disk).CombinedOutput(); err != nil {
		t.Skipf("cannot mount: %s", out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", disk).CombinedOutput(); err != nil {
			t.Errorf("unmount: %s", out)
		}
	})
	return disk
}
