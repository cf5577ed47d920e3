package ingest_test

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"changde/ingest"
	"changde/ingest/depot"
	"changde/postgis"
	"changde/postgis/postgistest"
	"changde/problem"
	"changde/schemas"
)

// insideMounts in the environment says that the process has mounts of its own.
const insideMounts = "CHANGDE_TEST_MOUNTS"

// ownMounts runs the test that calls it once more, in a process that may mount disks
// that nobody else sees and that are gone with it. It reports whether this is it.
func ownMounts(t *testing.T) bool {
	t.Helper()
	if os.Getenv(insideMounts) != "" {
		return true
	}
	if testing.Short() {
		t.Skip("starts PostgreSQL; skipped under -short")
	}
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	c.Env = append(os.Environ(), insideMounts+"=1")
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	out, err := c.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err != nil && !errors.As(err, &exit):
		t.Skipf("a disk of its own cannot be mounted here (root may): %v", err)
	case err != nil:
		t.Errorf("%v\n%s", err, out)
	case strings.Contains(string(out), "--- SKIP"):
		t.Skipf("%s", out)
	}
	return false
}

// disk is a small disk in memory.
type disk struct {
	testing.TB
	path string
}

func newDisk(t testing.TB, size string) disk {
	t.Helper()
	path, err := os.MkdirTemp("", "changde-disk-")
	if err != nil {
		t.Fatal(err)
	}
	d := disk{t, path}
	t.Cleanup(func() { _ = os.Remove(path) })
	// What is mounted here stays here.
	err = syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
	if err == nil {
		err = syscall.Mount("tmpfs", d.path, "tmpfs", 0, "mode=0711,size="+size)
	}
	if errors.Is(err, syscall.EPERM) {
		t.Skipf("a disk of its own cannot be mounted here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(d.path, syscall.MNT_DETACH) })
	return d
}

// grow makes room.
func (d disk) grow(size string) {
	d.Helper()
	if err := syscall.Mount("tmpfs", d.path, "tmpfs", syscall.MS_REMOUNT, "size="+size); err != nil {
		d.Fatal(err)
	}
}

// free is the room that is left, in bytes.
func (d disk) free() int64 {
	d.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(d.path, &st); err != nil {
		d.Fatal(err)
	}
	return int64(st.Bavail) * int64(st.Bsize)
}

// lines is a delivery of n points with a text each.
func lines(n int) io.Reader {
	read, write := io.Pipe()
	go func() {
		_, err := io.WriteString(write, `{"type":"FeatureCollection","features":[`)
		for i := 0; i < n && err == nil; i++ {
			comma := ","
			if i == 0 {
				comma = ""
			}
			_, err = fmt.Fprintf(write, `%s{"type":"Feature","properties":{"n":%d,"说明":"%s"},"geometry":{"type":"Point","coordinates":[%.5f,29]}}`,
				comma, i, strings.Repeat(fmt.Sprintf("常德%x", sha256.Sum256([]byte{byte(i), byte(i >> 8), byte(i >> 16)})), 3), 111.5+float64(i%1000)*0.0005)
		}
		if err == nil {
			_, err = io.WriteString(write, "]}")
		}
		_ = write.CloseWithError(err)
	}()
	return read
}

// packed is the same in an archive.
func packed(t testing.TB, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "点.zip")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	w, err := z.Create("点.geojson")
	if err == nil {
		_, err = io.Copy(w, lines(n))
	}
	if err := errors.Join(err, z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// full tests that err says, in both languages, that a disk is full.
func full(t testing.TB, err error, codes ...string) {
	t.Helper()
	var p *problem.Error
	if !errors.As(err, &p) || p.Kind != problem.Busy || p.ZH == "" || p.EN == "" || !strings.Contains(" "+strings.Join(codes, " ")+" ", " "+p.Code+" ") {
		t.Errorf("a full disk: %v, want one of %v", err, codes)
	}
}

// The disk of PostgreSQL is full: the delivery says so and changes nothing, what is
// served stays, and there is room again the delivery is released.
func TestFullDiskOfPostgreSQL(t *testing.T) {
	t.Parallel()
	if !ownMounts(t) {
		return
	}
	const many = 100_000
	d := newDisk(t, "400m")
	config := postgis.ClusterConfig{Dir: filepath.Join(d.path, "pg"), Log: slog.New(slog.DiscardHandler)}
	cluster, err := postgis.StartCluster(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cluster.Stop(context.Background()) }()
	if err := schemas.Migrate(t.Context(), cluster.URL()); err != nil {
		t.Fatal(err)
	}
	b := bundle{TB: t}
	open := func() {
		if b.pool, err = postgis.Open(t.Context(), postgis.Config{URL: cluster.URL(), MaxConns: 6}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.pool.Close)
		b.Ingester = ingest.New(b.pool, ingest.Config{City: changde, TempDir: t.TempDir()})
	}
	open()
	b.deliver(ingest.Request{Files: []string{points(t, 30)}, Dataset: "p"})
	path := packed(t, many)
	again := ingest.Request{Files: []string{path}, Dataset: "p", Confirm: true}
	ballast := filepath.Join(d.path, "ballast")
	for _, room := range []int64{2 << 20, 24 << 20} { // the more, the later it is full
		size := d.free() - room
		if err := os.WriteFile(ballast, make([]byte, size), 0o644); err != nil {
			t.Fatal(err)
		}
		report, err := b.try(again)
		t.Logf("with %d bytes of room: %v", room, err)
		full(t, err, "disk-full", "database-away") // PostgreSQL stops where it cannot write its log
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		select {
		case <-cluster.Done():
			_ = cluster.Stop(context.Background())
			if cluster, err = postgis.StartCluster(t.Context(), config); err != nil {
				t.Fatalf("start after the disk was full: %v", err)
			}
			open()
		case <-time.After(100 * time.Millisecond):
		}
		if err := b.Sweep(t.Context()); err != nil {
			t.Error(err)
		}
		b.whole("1", "30")
		if got := b.rows(`SELECT state, error LIKE '%/%' FROM changde.deliveries ORDER BY id DESC LIMIT 1`); got != "failed true" {
			t.Errorf("with %d bytes of room the delivery is %q, the report %+v", room, got, report)
		}
	}
	if report, err := b.try(again); err != nil || report.Release != 2 {
		t.Errorf("with room: %+v, %v", report, err)
	}
	b.whole("2", fmt.Sprint(many))
}

// The disks of uploads and of temporary files are full: what was sent is kept, the
// delivery waits and says why, and goes on when there is room.
func TestFullDiskOfFiles(t *testing.T) {
	t.Parallel()
	if !ownMounts(t) {
		return
	}
	const many = 5000 // about 2 MB
	uploads, temp := newDisk(t, "64k"), newDisk(t, "1m")
	b := bundle{TB: t, pool: postgistest.New(t)}
	store, err := depot.OpenFolder(uploads.path, depot.Config{MinFree: -1})
	if err != nil {
		t.Fatal(err)
	}
	b.Ingester = ingest.New(b.pool, ingest.Config{
		City: changde, TempDir: temp.path, Depot: store,
		Enqueue: func(context.Context, pgx.Tx, ingest.Job) error { return nil },
	})
	b.deliver(ingest.Request{Files: []string{points(t, 30)}, Dataset: "p"})
	by := ingest.Decider{Actor: "k", Admin: true}
	id, err := b.Receive(t.Context(), ingest.Request{Dataset: "p", Confirm: true}, by)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(packed(t, many))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size, err := b.Upload(t.Context(), id, "点.zip", 0, f, by)
	full(t, err, "depot-full")
	if kept, err := b.Uploaded(t.Context(), id, "点.zip", by); err != nil || kept != size {
		t.Errorf("of what was sent %d are kept, %d were answered, %v", kept, size, err)
	}
	uploads.grow("64m")
	if _, err := f.Seek(size, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Upload(t.Context(), id, "点.zip", size, f, by); err != nil {
		t.Fatal(err)
	}
	if err := b.Submit(t.Context(), id, false, by); err != nil {
		t.Fatal(err)
	}
	full(t, b.Process(t.Context(), id, nil), "workspace-full")
	if got := b.rows(`SELECT state, error LIKE '%磁盘已满%/%full%' FROM changde.deliveries ORDER BY id DESC LIMIT 1`); got != "received true" {
		t.Errorf("the delivery is %q", got)
	}
	b.whole("1", "30")
	if left, err := os.ReadDir(temp.path); err != nil || len(left) != 0 {
		t.Errorf("left is %v, %v", left, err)
	}
	temp.grow("64m")
	if err := b.Process(t.Context(), id, nil); err != nil {
		t.Error(err)
	}
	b.whole("2", fmt.Sprint(many))
	if got := b.rows(`SELECT state, error FROM changde.deliveries ORDER BY id DESC LIMIT 1`); got != "released <nil>" {
		t.Errorf("the delivery is %q", got)
	}
}
