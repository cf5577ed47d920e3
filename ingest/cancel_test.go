package ingest_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"changde/ingest"
	"changde/problem"
)

// run plans and runs a request, calling at once when a phase begins.
func (b bundle) run(r ingest.Request, phase ingest.Phase, at func()) (*ingest.Report, error) {
	b.Helper()
	plan, err := b.Plan(b.Context(), r)
	if err != nil {
		b.Fatal(err)
	}
	met := false
	return b.Run(b.Context(), plan, func(p ingest.Progress) {
		if p.Phase == phase && !met {
			met = true
			at()
		}
	})
}

// The findings of a delivery are those of the comparison it was released by, not of
// one with a release that gave way meanwhile.
func TestFindingsOfTheLastComparison(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, c := range []struct {
		to   int
		want string
	}{{1, "count-changed"}, {2, ""}} {
		dataset := fmt.Sprintf("p%d", c.to)
		for _, n := range []int{5, 12, 6}[:c.to+1] {
			b.deliver(ingest.Request{Files: []string{points(t, n)}, Dataset: dataset})
		}
		report, err := b.run(ingest.Request{Files: []string{points(t, 13)}, Dataset: dataset, Confirm: true}, ingest.Publishing, func() {
			if _, err := b.Rollback(t.Context(), dataset, c.to, ingest.Decider{}); err != nil {
				t.Error(err)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := b.rows(`SELECT code FROM changde.findings WHERE delivery = $1 ORDER BY n`, report.Delivery); got != c.want || int(report.Kept) != len(strings.Fields(c.want)) {
			t.Errorf("compared with release %d at last, the findings are %q (%d kept)", c.to, got, report.Kept)
		}
		if got := b.rows(`SELECT warnings, noted, coalesce(codes->>'count-changed', '') FROM changde.deliveries WHERE id = $1`, report.Delivery); c.want == "" && got != "0 0 " || c.want != "" && got != "1 1 1" {
			t.Errorf("compared with release %d at last, the counts are %q", c.to, got)
		}
	}
}

// A cancellation is carried out, or says that the delivery came first.
func TestCancelComesFirstOrLate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	done := b.deliver(ingest.Request{Files: []string{points(t, 3)}, Dataset: "p"})
	// The decision is recorded while the delivery runs and carried out when it is over.
	if _, err := b.pool.Exec(t.Context(), `INSERT INTO changde.decisions (delivery, action, actor) VALUES ($1, 'cancel', 'k')`, done.Delivery); err != nil {
		t.Fatal(err)
	}
	if err := b.Carry(t.Context(), 1, nil); !problem.Is(err, problem.Conflict) {
		t.Errorf("cancelling what is released: %v", err)
	}
	if got := b.rows(`SELECT error LIKE '%released%' FROM changde.decisions WHERE id = 1`); got != "true" {
		t.Errorf("the decision tells so: %s", got)
	}
	if got := b.rows(`SELECT cancelled, state FROM changde.deliveries`); got != "false released" {
		t.Errorf("the delivery is %s", got)
	}
	for phase, r := range map[ingest.Phase]ingest.Request{
		ingest.Comparing:  {Files: []string{points(t, 30)}, Dataset: "p"},               // would wait for a person
		ingest.Publishing: {Files: []string{points(t, 3)}, Dataset: "p", Confirm: true}, // would be released
	} {
		var id string
		report, err := b.run(r, phase, func() {
			id = b.rows(`SELECT max(id) FROM changde.deliveries`)
			if _, err := b.pool.Exec(t.Context(), `UPDATE changde.deliveries SET cancelled = true WHERE id = $1::bigint`, id); err != nil {
				t.Error(err)
			}
		})
		if !problem.Is(err, problem.Conflict) || !strings.Contains(err.Error(), "cancelled") || report.State != ingest.StateWithdrawn {
			t.Errorf("%s: cancelled, %+v, %v", phase, report, err)
		}
		if got := b.rows(`SELECT state, finished_at IS NOT NULL FROM changde.deliveries WHERE id = $1::bigint`, id); got != "withdrawn true" {
			t.Errorf("%s: the delivery is %s", phase, got)
		}
	}
	if got := b.rows(`SELECT count(*) FROM pg_tables WHERE schemaname IN ('content', 'difference') AND tablename NOT LIKE 'p\_d1%'`); got != "0" {
		t.Errorf("%s tables are left that are not the release's", got)
	}
}

// What a process of its own runs is cancelled as what a worker does, while it waits
// for its turn too.
func TestCancelReachesARunOfItsOwn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deliver(ingest.Request{Files: []string{points(t, 3)}, Dataset: "p"})
	turn, err := b.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := turn.Exec(t.Context(), `SELECT pg_advisory_lock($1::int, hashtext('p'))`, 0x43444953); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(15*time.Second, func() { _, _ = turn.Exec(context.Background(), `SELECT pg_advisory_unlock_all()`) })
	ended := make(chan error, 1)
	plan, err := b.Plan(t.Context(), ingest.Request{Files: []string{points(t, 3)}, Dataset: "p"})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, err := b.Run(t.Context(), plan, nil)
		ended <- err
	}()
	for cancelled := ""; cancelled == ""; time.Sleep(20 * time.Millisecond) {
		cancelled = b.rows(`UPDATE changde.deliveries SET cancelled = true WHERE state = 'loading' RETURNING id`)
	}
	if err := <-ended; !problem.Is(err, problem.Conflict) || !strings.Contains(err.Error(), "cancelled") {
		t.Errorf("the cancelled run: %v", err)
	}
	if !late.Stop() {
		t.Error("the run waited for its turn although it was cancelled")
	}
	turn.Release()
	if got := b.rows(`SELECT state FROM changde.deliveries ORDER BY id DESC LIMIT 1`); got != ingest.StateWithdrawn {
		t.Errorf("the delivery is %s", got)
	}
}

// A decision that no worker carries out within a day says so, and why.
func TestDecisionsAreGivenUpAloud(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	done := d.deliver(ingest.Request{Files: []string{points(t, 3)}, Dataset: "p"})
	if _, err := d.pool.Exec(t.Context(), `INSERT INTO changde.decisions (delivery, action, actor, decided_at, error)
		SELECT $1, 'reject', 'k', now() - age, reason FROM (VALUES (interval '25 hours', '忙'), (interval '25 hours', NULL), (interval '23 hours', NULL)) v (age, reason)`, done.Delivery); err != nil {
		t.Fatal(err)
	}
	if _, err := d.pool.Exec(t.Context(), `INSERT INTO jobs.river_job (kind, args, max_attempts) VALUES ('decision', '{"decision": 2}', 8)`); err != nil {
		t.Fatal(err)
	}
	if err := d.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := d.rows(`SELECT id, error LIKE '%已放弃%: 忙' FROM changde.decisions WHERE carried_at IS NOT NULL`); got != "1 true" {
		t.Errorf("given up: %q", got)
	}
	if len(d.jobs) != 1 || d.jobs[0].Decision != 3 {
		t.Errorf("to be tried again: %+v", d.jobs)
	}
}
