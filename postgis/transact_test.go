package postgis_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"changde/postgis"
	"changde/postgis/postgistest"
)

// What becomes of a transaction is known also where the line is cut around its
// commit.
func TestTransact(t *testing.T) {
	t.Parallel()
	link := postgistest.URL(t)
	line := postgistest.NewLine(t, link)
	pool, err := postgis.Open(t.Context(), postgis.Config{URL: line.URL, MaxConns: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec(t.Context(), "CREATE TABLE marks (n int)"); err != nil {
		t.Fatal(err)
	}
	write := func(ctx context.Context) error {
		return postgis.Transact(ctx, pool, pool, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "INSERT INTO marks VALUES (1)")
			return err
		})
	}
	own := errors.New("own")
	cancelled, cancel := context.WithCancel(t.Context())
	for _, c := range []struct {
		name string
		do   func() error
		made bool
		want error
	}{
		{"uncut", func() error { return write(t.Context()) }, true, nil},
		{"cut before the commit", func() error { line.CutAt(false, postgistest.Commit); return write(t.Context()) }, false, nil},
		{"the commit's answer lost", func() error { line.CutAt(true, postgistest.Commit); return write(t.Context()) }, true, nil},
		{"the function's own error", func() error {
			return postgis.Transact(t.Context(), pool, pool, func(tx pgx.Tx) error {
				_, err := tx.Exec(t.Context(), "INSERT INTO marks VALUES (1)")
				return errors.Join(err, own)
			})
		}, false, own},
		{"cancelled", func() error { cancel(); return write(cancelled) }, false, context.Canceled},
	} {
		err := c.do()
		if (err == nil) != c.made || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
		var n int
		if err := pool.QueryRow(t.Context(), "WITH gone AS (DELETE FROM marks RETURNING n) SELECT count(*) FROM gone").Scan(&n); err != nil || (n == 1) != c.made || n > 1 {
			t.Errorf("%s: %d rows, %v", c.name, n, err)
		}
	}
	if line.Cuts() != 2 {
		t.Errorf("the line was cut %d times", line.Cuts())
	}
}
