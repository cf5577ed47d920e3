package ingest_test

import (
	"errors"
	"strings"
	"testing"

	"changde/ingest"
	"changde/postgis"
	"changde/postgis/postgistest"
	"changde/problem"
)

// The moments at which a connection is cut: what it had sent.
var (
	duringCopy    = []string{"COPY "}
	duringPublish = []string{"CREATE OR REPLACE VIEW"}
	atCommit      = []string{"CREATE OR REPLACE VIEW", postgistest.Commit}
)

// wired is a bundle whose database is at the end of a line that is cut. rows asks
// past the line.
func wired(t *testing.T) (bundle, *postgistest.Line) {
	t.Helper()
	link := postgistest.URL(t)
	line := postgistest.NewLine(t, link)
	b := bundle{TB: t}
	for _, url := range []string{line.URL, link} {
		pool, err := postgis.Open(t.Context(), postgis.Config{URL: url, MaxConns: 6})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)
		if b.Ingester == nil {
			b.Ingester = ingest.New(pool, ingest.Config{City: changde, TempDir: t.TempDir()})
		}
		b.pool = pool
	}
	return b, line
}

// whole tests that the dataset p holds so many rows, as release number release says.
func (b bundle) whole(release, rows string) {
	b.Helper()
	got := b.rows(`SELECT d.release, r.rows, d.rows, (SELECT count(*) FROM data.p), (SELECT count(*) FROM changde.releases WHERE dataset = 'p')
		FROM changde.datasets d JOIN changde.releases r ON r.dataset = d.id AND r.release = d.release WHERE d.id = 'p'`)
	if want := strings.Join([]string{release, rows, rows, rows, release}, " "); got != want {
		b.Errorf("the release, its rows and the number of releases are %q, want %q", got, want)
	}
	got = b.rows(`SELECT tablename FROM pg_tables WHERE schemaname = 'content'
		AND 'content.' || regexp_replace(tablename, '_[hc]$', '') NOT IN (SELECT relation FROM changde.releases WHERE relation IS NOT NULL)`)
	if got != "" {
		b.Errorf("tables without a release: %s", got)
	}
}

// A connection that is cut while rows are copied, or while the release is written,
// publishes nothing; the delivery says so, and is taken again.
func TestCutWhileDelivering(t *testing.T) {
	t.Parallel()
	for name, marks := range map[string][]string{"copy": duringCopy, "publish": duringPublish, "commit": atCommit} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, line := wired(t)
			b.deliver(ingest.Request{Files: []string{points(t, 30)}, Dataset: "p"})
			again := ingest.Request{Files: []string{points(t, 40)}, Dataset: "p", Confirm: true}
			line.CutAt(false, marks...)
			report, err := b.try(again)
			var p *problem.Error
			if !errors.As(err, &p) || p.Kind != problem.Busy || p.ZH == "" || p.EN == "" || report.State != ingest.StateFailed {
				t.Errorf("a cut connection: %+v, %v", report, err)
			}
			if line.Cuts() != 1 {
				t.Errorf("the line was cut %d times", line.Cuts())
			}
			b.whole("1", "30")
			if got := b.rows(`SELECT state, error LIKE '%/%' FROM changde.deliveries ORDER BY id DESC LIMIT 1`); got != "failed true" {
				t.Errorf("the delivery is %q", got)
			}
			if report, err := b.try(again); err != nil || report.Release != 2 {
				t.Errorf("again: %+v, %v", report, err)
			}
			b.whole("2", "40")
		})
	}
}

// A release whose commit was made is a release, although the answer was lost.
func TestLostAnswerOfRelease(t *testing.T) {
	t.Parallel()
	b, line := wired(t)
	b.deliver(ingest.Request{Files: []string{points(t, 30)}, Dataset: "p"})
	line.CutAt(true, atCommit...)
	report, err := b.try(ingest.Request{Files: []string{points(t, 40)}, Dataset: "p", Confirm: true})
	if err != nil || report.State != ingest.StateReleased || report.Release != 2 || line.Cuts() != 1 {
		t.Errorf("an answer was lost: %+v, %v, %d cuts", report, err, line.Cuts())
	}
	b.whole("2", "40")
}

// A decision whose answer was lost is carried out once, and known as carried out.
func TestLostAnswerOfApproval(t *testing.T) {
	t.Parallel()
	b, line := wired(t)
	b.deliver(ingest.Request{Files: []string{points(t, 30)}, Dataset: "p"})
	report, err := b.try(ingest.Request{Files: []string{points(t, 40)}, Dataset: "p"})
	if err != nil || report.State != ingest.StateAwaiting {
		t.Fatalf("%+v, %v", report, err)
	}
	line.CutAt(true, atCommit...)
	if err := b.Decide(t.Context(), report.Delivery, ingest.Approve, ingest.Decider{Actor: "k", Admin: true}); err != nil || line.Cuts() != 1 {
		t.Errorf("an answer was lost: %v, %d cuts", err, line.Cuts())
	}
	b.whole("2", "40")
	if got := b.rows(`SELECT action, carried_at IS NOT NULL, error FROM changde.decisions`); got != "approve true <nil>" {
		t.Errorf("the decision is %q", got)
	}
}

// A rollback that is cut off changes nothing and can be asked for again; one whose
// answer was lost was made, once: the next would undo it.
func TestCutWhileRollingBack(t *testing.T) {
	t.Parallel()
	b, line := wired(t)
	for _, n := range []int{30, 40} {
		b.deliver(ingest.Request{Files: []string{points(t, n)}, Dataset: "p"})
	}
	by := ingest.Decider{Admin: true}
	for _, marks := range [][]string{duringPublish, atCommit} {
		line.CutAt(false, marks...)
		if _, err := b.Rollback(t.Context(), "p", 0, by); !problem.Is(err, problem.Busy) {
			t.Errorf("a cut rollback: %v", err)
		}
		b.whole("2", "40")
	}
	line.CutAt(true, atCommit...)
	if restored, err := b.Rollback(t.Context(), "p", 0, by); err != nil || restored.Release != 3 {
		t.Errorf("an answer was lost: %+v, %v", restored, err)
	}
	b.whole("3", "30")
	if line.Cuts() != 3 {
		t.Errorf("the line was cut %d times", line.Cuts())
	}
}
