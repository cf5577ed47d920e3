package ingest_test

import (
	"fmt"
	"strings"
	"testing"

	"changde/catalog"
	"changde/ingest"
	"changde/problem"
)

// org registers organisations.
func (b bundle) org(ids ...string) {
	b.Helper()
	for _, id := range ids {
		if _, err := b.pool.Exec(b.Context(), `INSERT INTO changde.organisations (id, name_zh) VALUES ($1, $1)`, id); err != nil {
			b.Fatal(err)
		}
	}
}

func (b bundle) state(id int64) string {
	b.Helper()
	return b.rows(`SELECT state FROM changde.deliveries WHERE id = $1`, id)
}

// A delivery that changes more than usual waits for a person; what is rejected
// leaves nothing.
func TestUnusualChangesWait(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deliver(ingest.Request{Files: []string{points(t, 10)}, Dataset: "p"})
	for _, action := range []ingest.Action{ingest.Reject, ingest.Approve} {
		report, err := b.try(ingest.Request{Files: []string{points(t, 15)}, Dataset: "p"})
		if err != nil || report.State != ingest.StateAwaiting || !report.Confirm || report.Codes["count-changed"] != 1 {
			t.Fatalf("15 points after 10: %+v, %v", report, err)
		}
		if got := b.rows(`SELECT count(*) FROM data.p`); got != "10" {
			t.Errorf("%s rows are served while the delivery waits", got)
		}
		if err := b.Decide(t.Context(), report.Delivery, action, ingest.Decider{Actor: "k", Admin: true, Document: "常政办〔2012〕3号", Note: "属实"}); err != nil {
			t.Fatal(err)
		}
		if err := b.Decide(t.Context(), report.Delivery, action, ingest.Decider{Admin: true}); !problem.Is(err, problem.Conflict) {
			t.Errorf("%s twice: %v", action, err)
		}
		if action == ingest.Reject {
			if got := b.rows(`SELECT count(*) FROM pg_tables WHERE schemaname IN ('content', 'difference')`); got != "3" || b.state(report.Delivery) != ingest.StateRejected {
				t.Errorf("rejected leaves %s tables, state %s", got, b.state(report.Delivery))
			}
		}
	}
	if got := b.rows(`SELECT release, rows FROM changde.datasets WHERE id = 'p'`); got != "2 15" {
		t.Errorf("approved: release and rows %s", got)
	}
	if got := b.rows(`SELECT kind, actor, document, note FROM changde.revisions WHERE revision = 2`); got != "release k 常政办〔2012〕3号 属实" {
		t.Errorf("the revision says %q", got)
	}
	if got := b.rows(`SELECT action, actor, object FROM changde.audit ORDER BY id`); got != "reject k delivery:2\napprove k delivery:3" {
		t.Errorf("the audit says\n%s", got)
	}
	if _, err := b.pool.Exec(t.Context(), `DELETE FROM changde.audit`); err == nil {
		t.Error("the audit can be deleted")
	}
}

// Who may decide follows from organisation and role; four eyes are two people.
func TestWhoMayDecide(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.org("land", "planning", "water")
	b.deliver(ingest.Request{Files: []string{points(t, 5)}, Dataset: "p", Settings: ingest.Settings{Owner: "land", Approval: catalog.FourEyes}})
	if got := b.rows(`SELECT approval FROM changde.datasets WHERE id = 'p'`); got != "four-eyes" {
		// A setting of the request holds for the delivery itself, which therefore waits.
		if err := b.Decide(t.Context(), 1, ingest.Approve, ingest.Decider{Actor: "k", Admin: true}); err != nil {
			t.Fatal(err)
		}
	}
	report, err := b.try(ingest.Request{Files: []string{points(t, 5)}, Dataset: "p", Sender: "planning", Actor: "p1"})
	if err != nil || report.State != ingest.StateAwaiting {
		t.Fatalf("%+v, %v", report, err)
	}
	for _, c := range []struct {
		name   string
		action ingest.Action
		by     ingest.Decider
		kind   problem.Kind
	}{
		{"a stranger", ingest.Approve, ingest.Decider{Actor: "w1", Organisation: "water", Approver: true, Contributor: true}, problem.NotFound},
		{"a reader of the owner", ingest.Approve, ingest.Decider{Actor: "l1", Organisation: "land"}, problem.Forbidden},
		{"a contributor of the owner", ingest.Approve, ingest.Decider{Actor: "l2", Organisation: "land", Contributor: true}, problem.Forbidden},
		{"an approver of the sender", ingest.Approve, ingest.Decider{Actor: "p2", Organisation: "planning", Approver: true}, problem.Forbidden},
		{"a reader of the sender", ingest.Withdraw, ingest.Decider{Actor: "p3", Organisation: "planning"}, problem.Forbidden},
		{"the person who delivered", ingest.Approve, ingest.Decider{Actor: "p1", Admin: true}, problem.Forbidden},
		{"nobody", ingest.Approve, ingest.Decider{}, problem.NotFound},
		{"an unknown action", "publish", ingest.Decider{Admin: true}, problem.Invalid},
	} {
		if err := b.Decide(t.Context(), report.Delivery, c.action, c.by); !problem.Is(err, c.kind) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	waiting, err := b.Delivery(t.Context(), report.Delivery, 0)
	if err != nil {
		t.Fatal(err)
	}
	for actor, want := range map[string]string{"p1": "[reject withdraw retry]", "l3": "[approve reject withdraw retry]"} {
		if got := fmt.Sprint(waiting.May(ingest.Decider{Actor: actor, Admin: true})); got != want {
			t.Errorf("%s may %s, want %s", actor, got, want)
		}
	}
	if err := b.Decide(t.Context(), report.Delivery, ingest.Approve, ingest.Decider{Actor: "l3", Organisation: "land", Approver: true}); err != nil {
		t.Errorf("an approver of the owner: %v", err)
	}
	report, err = b.try(ingest.Request{Files: []string{points(t, 5)}, Dataset: "p", Sender: "planning", Actor: "p1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Decide(t.Context(), report.Delivery, ingest.Withdraw, ingest.Decider{Actor: "p1", Organisation: "planning", Contributor: true}); err != nil || b.state(report.Delivery) != ingest.StateWithdrawn {
		t.Errorf("the sender withdraws: %v", err)
	}
}

// A decision is about the difference that was shown: when the dataset changed
// meanwhile nothing is released.
func TestDecisionOnAnOldDifference(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deliver(ingest.Request{Files: []string{points(t, 10)}, Dataset: "p"})
	waiting, err := b.try(ingest.Request{Files: []string{points(t, 15)}, Dataset: "p"})
	if err != nil {
		t.Fatal(err)
	}
	b.deliver(ingest.Request{Files: []string{points(t, 11)}, Dataset: "p"})
	err = b.Decide(t.Context(), waiting.Delivery, ingest.Approve, ingest.Decider{Admin: true})
	if !problem.Is(err, problem.Conflict) || !strings.Contains(err.Error(), "retry") {
		t.Errorf("approving an old difference: %v", err)
	}
	if got := b.state(waiting.Delivery); got != ingest.StateAwaiting {
		t.Errorf("the delivery is %s", got)
	}
	if got := b.rows(`SELECT error IS NOT NULL FROM changde.decisions`); got != "true" {
		t.Errorf("the decision's failure is recorded: %s", got)
	}
	// Settings alone change no rows: the difference still holds.
	again, err := b.try(ingest.Request{Files: []string{points(t, 20)}, Dataset: "p"})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Describe(t.Context(), "p", ingest.Settings{TitleZH: "点"}); err != nil {
		t.Fatal(err)
	}
	if err := b.Decide(t.Context(), again.Delivery, ingest.Approve, ingest.Decider{Admin: true}); err != nil {
		t.Errorf("approving after a change of the title: %v", err)
	}
}
