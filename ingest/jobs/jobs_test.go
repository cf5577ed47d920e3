package jobs_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"changde/catalog"
	"changde/ingest"
	"changde/ingest/depot"
	"changde/ingest/jobs"
	"changde/postgis"
	"changde/postgis/postgistest"
	"changde/problem"
)

// The environment of a child worker.
const (
	childURL   = "CHANGDE_TEST_CHILD_URL"
	childDepot = "CHANGDE_TEST_CHILD_DEPOT"
	childTemp  = "CHANGDE_TEST_CHILD_TEMP"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(childURL); url != "" {
		if err := childWork(url); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	postgistest.Main(m)
}

// childWork is a worker process, which its test kills.
func childWork(url string) error {
	ctx := context.Background()
	pool, err := postgis.Open(ctx, postgis.Config{URL: url, MaxConns: 8})
	if err != nil {
		return err
	}
	i, err := ingester(pool, os.Getenv(childDepot), os.Getenv(childTemp))
	if err != nil {
		return err
	}
	return jobs.Run(ctx, pool, i, jobs.Config{Workers: 2, Recover: 200 * time.Millisecond, Snooze: time.Second})
}

func ingester(pool *pgxpool.Pool, folder, temp string) (*ingest.Ingester, error) {
	queue, err := jobs.NewQueue(pool)
	if err != nil {
		return nil, err
	}
	store, err := depot.Open(folder, depot.Config{MinFree: -1})
	if err != nil {
		return nil, err
	}
	return ingest.New(pool, ingest.Config{
		City:    catalog.City{Box: catalog.Bounds{110.3, 28.3, 112.5, 30.3}, CRS: []int{4525, 4546, 4490}},
		TempDir: temp, Depot: store, Enqueue: queue.Enqueue, Log: slog.New(slog.DiscardHandler),
	}), nil
}

type site struct {
	testing.TB
	*ingest.Ingester
	url, depot string
	pool       *pgxpool.Pool
}

var operator = ingest.Decider{Actor: "console:test", Admin: true}

func newSite(t testing.TB) *site {
	t.Helper()
	s := &site{TB: t, url: postgistest.URL(t), depot: t.TempDir()}
	var err error
	if s.pool, err = postgis.Open(t.Context(), postgis.Config{URL: s.url, MaxConns: 8}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.pool.Close)
	if s.Ingester, err = ingester(s.pool, s.depot, t.TempDir()); err != nil {
		t.Fatal(err)
	}
	return s
}

// work runs workers in this process until the test ends.
func (s *site) work(workers int) {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- jobs.Run(ctx, s.pool, s.Ingester, jobs.Config{Workers: workers, Recover: 200 * time.Millisecond, Snooze: time.Second, StopTimeout: 5 * time.Second, Log: slog.New(slog.DiscardHandler)})
	}()
	s.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			s.Errorf("workers: %v", err)
		}
	})
}

func points(n int) string {
	var b strings.Builder
	b.WriteString(`{"type":"FeatureCollection","features":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"type":"Feature","properties":{"n":%d},"geometry":{"type":"Point","coordinates":[%.5f,29]}}`, i, 111.5+float64(i%1000)*0.0005)
	}
	b.WriteString("]}")
	return b.String()
}

// deliver uploads a file in pieces and submits it.
func (s *site) deliver(r ingest.Request, text string) int64 {
	s.Helper()
	ctx := s.Context()
	id, err := s.Receive(ctx, r, operator)
	if err != nil {
		s.Fatal(err)
	}
	for offset := 0; offset < len(text); {
		end := min(offset+100_000, len(text))
		size, err := s.Upload(ctx, id, "点.geojson", int64(offset), strings.NewReader(text[offset:end]), operator)
		if err != nil || size != int64(end) {
			s.Fatalf("upload at %d: %d, %v", offset, size, err)
		}
		offset = end
	}
	if err := s.Submit(ctx, id, false, operator); err != nil {
		s.Fatal(err)
	}
	return id
}

// await waits until the delivery is in one of the states.
func (s *site) await(id int64, states ...string) *ingest.Delivery {
	s.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for {
		d, err := s.Delivery(s.Context(), id, 10)
		if err != nil {
			s.Fatal(err)
		}
		for _, state := range states {
			if d.State == state {
				return d
			}
		}
		if time.Now().After(deadline) {
			s.Fatalf("delivery %d is %s (%s), want %v", id, d.State, d.Error, states)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// An upload in pieces becomes a release by a worker, a decision is carried out by
// one, and subscribers are told with a signature they can check.
func TestUploadToRelease(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	events := make(chan string, 10)
	key := []byte("a key of sixteen+ bytes")
	answered := 0
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		stamp, mac, _ := strings.Cut(strings.TrimPrefix(r.Header.Get(jobs.SignatureHeader), "t="), ",v1=")
		want := hmac.New(sha256.New, key)
		want.Write([]byte(stamp + "." + string(body)))
		if hex.EncodeToString(want.Sum(nil)) != mac {
			t.Errorf("the signature %q does not fit %s", r.Header.Get(jobs.SignatureHeader), body)
		}
		if answered++; answered == 1 {
			w.WriteHeader(http.StatusBadGateway) // tried again
			return
		}
		events <- string(body)
	}))
	defer hook.Close()
	if _, err := s.pool.Exec(t.Context(), `WITH h AS (INSERT INTO changde.webhooks (dataset, url) VALUES (NULL, $1) RETURNING id) INSERT INTO secret.webhooks SELECT id, $2 FROM h`, hook.URL, key); err != nil {
		t.Fatal(err)
	}
	s.work(2)
	d := s.await(s.deliver(ingest.Request{Dataset: "p", Settings: ingest.Settings{Sharing: catalog.Public}}, points(3000)), ingest.StateReleased, ingest.StateFailed)
	if d.State != ingest.StateReleased || d.Published != 3000 || d.Files[0] != "点.geojson" || d.Actor != operator.Actor {
		t.Fatalf("%+v", d)
	}
	select {
	case got := <-events:
		var e map[string]any
		if err := json.Unmarshal([]byte(got), &e); err != nil || e["type"] != "release" || e["dataset"] != "p" || e["release"] != 1.0 || e["revision"] != 1.0 {
			t.Errorf("told %s", got)
		}
	case <-time.After(30 * time.Second):
		t.Error("the subscriber was not told")
	}
	// The same files again are recognised.
	id, err := s.Receive(t.Context(), ingest.Request{Dataset: "p"}, operator)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Upload(t.Context(), id, "点.geojson", 0, strings.NewReader(points(3000)), operator); err != nil {
		t.Fatal(err)
	}
	if err := s.Submit(t.Context(), id, false, operator); !problem.Is(err, problem.Conflict) || !strings.Contains(err.Error(), "delivery 1") {
		t.Errorf("the same files twice: %v", err)
	}
	// What waits is decided through the queue.
	d = s.await(s.deliver(ingest.Request{Dataset: "p"}, points(100)), ingest.StateAwaiting, ingest.StateFailed)
	if _, err := s.Request(t.Context(), d.Report.Delivery, ingest.Approve, operator); err != nil {
		t.Fatal(err)
	}
	if d = s.await(d.Report.Delivery, ingest.StateReleased); d.Release != 2 || len(d.Decisions) != 1 || d.Decisions[0].CarriedAt == nil {
		t.Errorf("decided: %+v", d)
	}
	// What cannot be read fails with its reason.
	d = s.await(s.deliver(ingest.Request{Dataset: "p"}, "not JSON"), ingest.StateFailed)
	if d.Error == "" {
		t.Error("a delivery fails without a reason")
	}
}

// Workers that are killed at any moment leave nothing behind: every delivery is
// carried to its end by another, and readers see whole releases only.
func TestKilledWorkers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	temp := t.TempDir()
	random := rand.New(rand.NewPCG(3, 5))
	var child *exec.Cmd
	start := func() {
		child = exec.Command(os.Args[0])
		child.Env = append(os.Environ(), childURL+"="+s.url, childDepot+"="+s.depot, childTemp+"="+temp)
		child.Stderr = os.Stderr
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
	}
	sizes := map[int64]int{}
	start()
	defer func() { _ = child.Process.Kill(); _ = child.Wait() }()
	for n := range 12 {
		size := 2000 + n
		sizes[s.deliver(ingest.Request{Dataset: "p", Confirm: true}, points(size))] = size
		time.Sleep(time.Duration(random.IntN(400)) * time.Millisecond)
		_ = child.Process.Kill()
		_ = child.Wait()
		start()
		var whole bool
		err := s.pool.QueryRow(t.Context(), `SELECT coalesce(bool_and(rows BETWEEN 2000 AND 2011), true) FROM changde.releases WHERE dataset = 'p'`).Scan(&whole)
		if err != nil || !whole {
			t.Fatalf("kill %d: a release is not whole, %v", n, err)
		}
	}
	for id, size := range sizes {
		if d := s.await(id, ingest.StateReleased, ingest.StateFailed); d.State != ingest.StateReleased || d.Published != int64(size) {
			t.Errorf("delivery %d of %d points: %s %d %s", id, size, d.State, d.Published, d.Error)
		}
	}
	var orphans int
	err := s.pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_tables WHERE schemaname = 'content'
		AND 'content.' || regexp_replace(tablename, '_[hc]$', '') NOT IN (SELECT relation FROM changde.releases WHERE relation IS NOT NULL)`).Scan(&orphans)
	if err != nil || orphans != 0 {
		t.Errorf("%d tables without a release, %v", orphans, err)
	}
}

// A delivery that waits or runs can be cancelled, by those it concerns.
func TestCancel(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id := s.deliver(ingest.Request{Dataset: "p"}, points(10))
	if err := s.Decide(t.Context(), id, ingest.Cancel, ingest.Decider{Organisation: "water", Contributor: true}); !errors.Is(err, ingest.ErrNoDelivery) {
		t.Errorf("a stranger cancels: %v", err)
	}
	if err := s.Decide(t.Context(), id, ingest.Cancel, operator); err != nil {
		t.Fatal(err)
	}
	s.work(1)
	running := s.deliver(ingest.Request{Dataset: "p"}, points(400_000))
	s.await(running, ingest.StateLoading)
	if err := s.Decide(t.Context(), running, ingest.Cancel, operator); err != nil {
		t.Fatal(err)
	}
	if d := s.await(running, ingest.StateWithdrawn, ingest.StateFailed, ingest.StateReleased); d.State == ingest.StateReleased {
		t.Errorf("a cancelled delivery is released")
	}
	if d := s.await(id, ingest.StateWithdrawn); d.Release != 0 {
		t.Errorf("a cancelled delivery is released: %+v", d)
	}
}

// The files of deliveries that ended long ago are removed, those of others kept.
func TestFilesExpire(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.work(1)
	old := s.deliver(ingest.Request{Dataset: "p"}, points(10))
	s.await(old, ingest.StateReleased)
	recent := s.deliver(ingest.Request{Dataset: "q"}, points(11))
	s.await(recent, ingest.StateReleased)
	if _, err := s.pool.Exec(t.Context(), "UPDATE changde.deliveries SET finished_at = now() - interval '31 days' WHERE id = $1", old); err != nil {
		t.Fatal(err)
	}
	if err := s.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	store, err := depot.Open(s.depot, depot.Config{})
	if err != nil {
		t.Fatal(err)
	}
	left, err := store.List(t.Context(), "")
	if err != nil || len(left) != 1 || !strings.HasPrefix(left[0].Name, fmt.Sprintf("%d/", recent)) {
		t.Errorf("left are %v, %v", left, err)
	}
	if err := s.Decide(t.Context(), old, ingest.Retry, operator); !problem.Is(err, problem.Conflict) {
		t.Errorf("retrying without files: %v", err)
	}
}
