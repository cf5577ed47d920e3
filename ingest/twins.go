package ingest

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"changde/postgis"
)

// leaveTwins takes out of the table pairs the rows that go on one side and come on
// the other with the same values and shape: such a row did not change, only what it
// is known by. Without a business key that befalls rows that were edited through
// the API, which have no hash, and rows that went and came back under another fid.
// Where more than maxListed go or come, they are left as they are.
func (s *sides) leaveTwins(ctx context.Context, tx pgx.Tx) error {
	if s.key != "" && s.key != "fid" || s.comparer != Full {
		return nil
	}
	var gone, come int64
	if err := tx.QueryRow(ctx, "SELECT count(*) FILTER (WHERE b IS NULL), count(*) FILTER (WHERE a IS NULL) FROM pairs").Scan(&gone, &come); err != nil {
		return fmt.Errorf("match rows: %w", err)
	}
	if gone == 0 || come == 0 || max(gone, come) > maxListed {
		return nil
	}
	q := new(postgis.SQL).Raw("CREATE TEMP TABLE twins ON COMMIT DROP AS SELECT x.fid AS a, y.fid AS b FROM ")
	s.appendDigests(q, s.a, "a", "b", s.key == "")
	q.Raw(" x JOIN ")
	s.appendDigests(q, s.b, "b", "a", false)
	q.Raw(" y USING (digest, n)")
	if _, err := tx.Exec(ctx, q.String(), q.Args()...); err != nil {
		return fmt.Errorf("match equal rows: %w", err)
	}
	for _, sql := range []string{
		"DELETE FROM pairs p USING twins t WHERE p.b IS NULL AND p.a = t.a",
		"DELETE FROM pairs p USING twins t WHERE p.a IS NULL AND p.b = t.b",
	} {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return fmt.Errorf("match equal rows: %w", err)
		}
	}
	return nil
}

// appendDigests appends a source of the rows that are on one side of pairs only:
// fid, a digest of what they hold, and a number among those that hold the same.
// Shapes are rounded as describe does.
func (s *sides) appendDigests(q, from *postgis.SQL, side, other string, edited bool) {
	q.Raw("(SELECT fid, digest, row_number() OVER (PARTITION BY digest ORDER BY fid) AS n FROM (SELECT t.fid, md5(ROW(ST_AsBinary(ST_SnapToGrid(t.geom, 1e-9))")
	for _, c := range s.columns {
		q.Raw(", t.").Ident(c.Name)
	}
	q.Raw(")::text) AS digest FROM pairs p JOIN ").Add(from).Raw(" t ON t.fid = p.").Ident(side).Raw(" WHERE p.").Ident(other).Raw(" IS NULL")
	if edited {
		q.Raw(" AND t.hash IS NULL")
	}
	q.Raw(") d)")
}
