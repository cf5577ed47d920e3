package ingest

import (
	"testing"

	"changde/postgis/postgistest"
)

// A short list of changes is found by its numbers alone, a longer one by its shapes too.
func TestListsAreIndexedByTheirLength(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	for name, c := range map[string]struct {
		rows  int64
		gists int
	}{"d1": {shortList, 0}, "d2": {shortList + 1, 1}} {
		tx, err := pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(t.Context(), "CREATE TABLE difference."+name+" (fid bigint, kind text, before_fid bigint, row_number bigint, geom geometry)"); err != nil {
			t.Fatal(err)
		}
		if err := indexList(t.Context(), tx, name, c.rows); err != nil {
			t.Fatal(err)
		}
		var unique, gists int
		if err := tx.QueryRow(t.Context(), "SELECT count(*) FILTER (WHERE indexdef LIKE 'CREATE UNIQUE%(fid)'), count(*) FILTER (WHERE indexdef LIKE '%gist (geom)') FROM pg_indexes WHERE schemaname = 'difference' AND tablename = $1", name).
			Scan(&unique, &gists); err != nil {
			t.Fatal(err)
		}
		if unique != 1 || gists != c.gists {
			t.Errorf("a list of %d rows has %d indexes by number and %d by shape, want 1 and %d", c.rows, unique, gists, c.gists)
		}
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
