package jobs_test

import (
	"bytes"
	"context"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"changde/ingest"
	"changde/ingest/jobs"
	"changde/postgis"
	"changde/schemas"
)

// PostgreSQL that is killed while deliveries are loaded and releases rolled back
// comes back with whole releases, and every delivery is carried to its end.
func TestKilledPostgreSQL(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts PostgreSQL; skipped under -short")
	}
	dir, err := os.MkdirTemp("", "changde-outage-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil { // the server's user passes through
		t.Fatal(err)
	}
	cluster := postgis.ClusterConfig{Dir: filepath.Join(dir, "pg"), Durable: true, Log: slog.New(slog.DiscardHandler)}
	c, err := postgis.StartCluster(t.Context(), cluster)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Stop(context.Background()) }()
	if err := schemas.Migrate(t.Context(), c.URL()); err != nil {
		t.Fatal(err)
	}
	s := &site{TB: t, url: c.URL(), depot: t.TempDir()}
	open := func() {
		if s.pool, err = postgis.Open(t.Context(), postgis.Config{URL: c.URL(), MaxConns: 8}); err != nil {
			t.Fatal(err)
		}
		if s.Ingester, err = ingester(s.pool, s.depot, t.TempDir()); err != nil {
			t.Fatal(err)
		}
	}
	open()
	random := rand.New(rand.NewPCG(11, 13))
	sizes := map[int64]int{}
	for n := range 6 {
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			// A worker that loses its database ends; its service starts it again.
			_ = jobs.Run(ctx, s.pool, s.Ingester, jobs.Config{Workers: 2, Recover: 200 * time.Millisecond, Snooze: time.Second, StopTimeout: time.Second, Log: slog.New(slog.DiscardHandler)})
		}()
		size := 3000 + n
		sizes[s.deliver(ingest.Request{Dataset: "p", Confirm: true}, points(size))] = size
		time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond)
		if n > 2 {
			go func() { _, _ = s.Rollback(ctx, "p", 0, operator) }()
		}
		killPostgreSQL(t, cluster.Dir)
		stop()
		<-ended
		s.pool.Close()
		_ = c.Stop(context.Background()) // lets go of the folder
		restarted, err := postgis.StartCluster(t.Context(), cluster)
		if err != nil {
			t.Fatalf("start after kill %d: %v", n, err)
		}
		c = restarted
		open()
		var whole bool
		err = s.pool.QueryRow(t.Context(), `SELECT coalesce(bool_and(rows BETWEEN 3000 AND 3005), true) FROM changde.releases WHERE dataset = 'p'`).Scan(&whole)
		if err != nil || !whole {
			t.Fatalf("kill %d: a release is not whole, %v", n, err)
		}
	}
	s.work(2)
	for id, size := range sizes {
		if d := s.await(id, ingest.StateReleased, ingest.StateFailed); d.State != ingest.StateReleased || d.Published != int64(size) {
			t.Errorf("delivery %d of %d points: %s %d %s", id, size, d.State, d.Published, d.Error)
		}
	}
}

// killPostgreSQL ends the postmaster as a power cut would, and waits until it is
// gone.
func killPostgreSQL(t *testing.T, dir string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*", "postmaster.pid"))
	if err != nil || len(found) != 1 {
		t.Fatalf("postmaster.pid: %v %v", found, err)
	}
	data, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := bytes.Cut(data, []byte("\n"))
	pid, err := strconv.Atoi(string(line))
	if err != nil {
		t.Fatal(err)
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
	for range 200 {
		if syscall.Kill(pid, 0) != nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	time.Sleep(300 * time.Millisecond) // its children notice
}

// Connections that are cut in the middle of the work are made anew, and the work
// is done.
func TestCutConnections(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.work(2)
	random := rand.New(rand.NewPCG(17, 19))
	sizes := map[int64]int{}
	for n := range 8 {
		size := 2500 + n
		sizes[s.deliver(ingest.Request{Dataset: "p", Confirm: true}, points(size))] = size
		time.Sleep(time.Duration(random.IntN(150)) * time.Millisecond)
		if _, err := s.pool.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND (query LIKE 'COPY%' OR query LIKE '%INSERT INTO changde.releases%')`); err != nil {
			t.Fatal(err)
		}
	}
	for id, size := range sizes {
		if d := s.await(id, ingest.StateReleased, ingest.StateFailed); d.State != ingest.StateReleased || d.Published != int64(size) {
			t.Errorf("delivery %d of %d points: %s %d %s", id, size, d.State, d.Published, d.Error)
		}
	}
}
