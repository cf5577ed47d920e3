package ingest_test

import (
	"strings"
	"testing"

	"changde/ingest"
	"changde/postgis"
)

// The server's role receives deliveries and records decisions; what becomes of them
// it cannot write.
func TestServerRoleDecidesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deliver(ingest.Request{Files: []string{points(t, 10)}, Dataset: "p"})
	waiting, err := b.try(ingest.Request{Files: []string{points(t, 50)}, Dataset: "p"})
	if err != nil || waiting.State != ingest.StateAwaiting {
		t.Fatalf("%+v, %v", waiting, err)
	}
	pool, err := postgis.Open(t.Context(), postgis.Config{URL: b.pool.Config().ConnString(), Role: "changde_api", MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	const insert = `INSERT INTO changde.deliveries (dataset, files, bytes, state, relation, parent) VALUES ('p', '{}', 0, `
	for sql, want := range map[string]string{
		`UPDATE changde.deliveries SET state = 'released' WHERE id = 2`:                                         "awaiting>released",
		`UPDATE changde.deliveries SET state = 'received' WHERE id = 2`:                                         "awaiting>received",
		`UPDATE changde.deliveries SET actors = '{}' WHERE id = 2`:                                              "awaiting>awaiting",
		`UPDATE changde.deliveries SET request = '{}' WHERE id = 2`:                                             "permission denied",
		`UPDATE changde.deliveries SET cancelled = true WHERE id = 2`:                                           "permission denied",
		insert + `'awaiting', '', NULL)`:                                                                        "go awaiting",
		insert + `'received', '', NULL)`:                                                                        "go received",
		insert + `'receiving', 'p_d1', NULL)`:                                                                   "go receiving",
		`INSERT INTO changde.decisions (delivery, action, actor, carried_at) VALUES (2, 'approve', 'k', now())`: "permission denied",
		`UPDATE changde.decisions SET error = NULL`:                                                             "permission denied",
	} {
		if _, err := pool.Exec(t.Context(), sql); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", sql, err, want)
		}
	}
	for _, sql := range []string{
		insert + `'receiving', '', NULL)`,
		`UPDATE changde.deliveries SET actors = '{k}' WHERE state = 'receiving'`,
		`UPDATE changde.deliveries SET state = 'received', files = '{a}' WHERE state = 'receiving'`,
		`INSERT INTO changde.decisions (delivery, action, actor) VALUES (2, 'reject', 'k')`,
	} {
		if _, err := pool.Exec(t.Context(), sql); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
}
