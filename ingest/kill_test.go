package ingest_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"changde/ingest"
	"changde/postgis"
)

// The environment of a child: the database, and the file it loads.
const (
	childURL  = "CHANGDE_TEST_CHILD_URL"
	childFile = "CHANGDE_TEST_CHILD_FILE"
)

// childMain is what a killed process runs: load the file as dataset p.
func childMain(url string) {
	ctx := context.Background()
	pool, err := postgis.Open(ctx, postgis.Config{URL: url, MaxConns: 4})
	if err == nil {
		err = childLoad(ctx, pool)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func childLoad(ctx context.Context, pool *pgxpool.Pool) error {
	i := ingest.New(pool, ingest.Config{City: changde})
	plan, err := i.Plan(ctx, ingest.Request{Files: []string{os.Getenv(childFile)}, Dataset: "p", Confirm: true})
	if err != nil {
		return err
	}
	_, err = i.Run(ctx, plan, nil)
	return err
}

// A loader killed at any moment leaves the release of before or the one it made,
// whole, and nothing that the next run does not clean.
func TestKilledAtAnyMoment(t *testing.T) {
	t.Parallel()
	b := setup(t)
	url := b.pool.Config().ConnString()
	files := []string{points(t, 3000), points(t, 4000)}
	b.deliver(ingest.Request{Files: files[:1], Dataset: "p"})
	begin := time.Now()
	if out, err := child(t, url, files[1]).CombinedOutput(); err != nil {
		t.Fatalf("child: %v\n%s", err, out)
	}
	whole := time.Since(begin)
	random := rand.New(rand.NewPCG(1, 2))
	survived := 0
	for n := range 24 {
		c := child(t, url, files[n%2])
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(random.Int64N(int64(whole))))
		_ = c.Process.Kill()
		if c.Wait() == nil {
			survived++
		}
		// What readers see: one whole release, and the catalog says the same.
		got := b.rows(`SELECT (SELECT count(*) FROM data.p) = r.rows AND r.rows IN (3000, 4000)
			FROM changde.datasets d JOIN changde.releases r ON r.dataset = d.id AND r.release = d.release WHERE d.id = 'p'`)
		if got != "true" {
			t.Fatalf("kill %d: the served release is not whole", n)
		}
	}
	t.Logf("%d of 24 runs ended before they were killed; a whole run takes %v", survived, whole)
	// The killed sessions end on their own; then one run cleans up after all.
	deadline := time.Now().Add(20 * time.Second)
	for b.rows(`SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`) != "0" {
		if time.Now().After(deadline) {
			t.Fatal("sessions of killed loaders live on")
		}
		time.Sleep(50 * time.Millisecond)
	}
	b.deliver(ingest.Request{Files: files[:1], Dataset: "p"})
	if got := b.rows(`SELECT count(*) FROM changde.deliveries WHERE state NOT IN ('released', 'failed')`); got != "0" {
		t.Errorf("%s deliveries are left open", got)
	}
	orphans := b.rows(`SELECT tablename FROM pg_tables WHERE schemaname = 'content'
		AND 'content.' || regexp_replace(tablename, '_[hc]$', '') NOT IN (SELECT relation FROM changde.releases WHERE relation IS NOT NULL)`)
	if orphans != "" {
		t.Errorf("tables without a release: %s", orphans)
	}
}

func child(t *testing.T, url, path string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0])
	c.Env = append(os.Environ(), childURL+"="+url, childFile+"="+path)
	return c
}
