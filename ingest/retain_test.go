package ingest_test

import (
	"testing"

	"changde/ingest"
)

// The lists of changes are kept for the last releases, and nothing is kept of what
// came to nothing.
func TestDifferencesAreDropped(t *testing.T) {
	t.Parallel()
	b := setup(t)
	lists := func() string {
		return b.rows(`SELECT count(*), min(substr(tablename, 2)::int) FROM pg_tables WHERE schemaname = 'difference'`)
	}
	b.deliver(ingest.Request{Files: []string{points(t, 30)}, Dataset: "p"})
	b.deliver(ingest.Request{Files: []string{points(t, 31)}, Dataset: "p"})
	waiting, err := b.try(ingest.Request{Files: []string{points(t, 99)}, Dataset: "p"})
	if err != nil || waiting.State != ingest.StateAwaiting {
		t.Fatalf("%+v, %v", waiting, err)
	}
	for n := range 20 {
		b.deliver(ingest.Request{Files: []string{points(t, 32+n)}, Dataset: "p"})
	}
	// Of deliveries 2, 3 and 4 to 23 the second is one release too old, the third waits.
	if got := lists(); got != "21 3" {
		t.Errorf("there are lists %q, want 21 from 3 on", got)
	}
	if got := b.rows(`SELECT difference->>'listed', difference->>'dropped', difference->>'added' FROM changde.deliveries WHERE id = 2`); got != "false true 1" {
		t.Errorf("the difference says %q", got)
	}
	// A delivery that was checked again and could not even be planned.
	if _, err := b.pool.Exec(t.Context(), `UPDATE changde.deliveries SET state = 'failed' WHERE id = $1`, waiting.Delivery); err != nil {
		t.Fatal(err)
	}
	b.deliver(ingest.Request{Files: []string{points(t, 60)}, Dataset: "p"})
	if got := lists(); got != "20 5" {
		t.Errorf("there are lists %q, want 20 from 5 on", got)
	}
	if got := b.rows(`SELECT count(*) FROM pg_tables WHERE schemaname = 'content' AND tablename = 'p_d3'`); got != "0" {
		t.Error("what the failed delivery had staged is left")
	}
	if d, err := b.Delivery(t.Context(), 2, 0); err != nil || !d.Difference.Dropped {
		t.Errorf("delivery 2: %+v, %v", d, err)
	}
}
