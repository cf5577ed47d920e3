package catalog

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"changde/postgis"
)

// Forever ends the validity of a row that nothing has superseded.
const Forever = math.MaxInt64

// HistorySuffix ends the name of the table that holds a content's superseded
// rows with the revisions [rev, until) in which they were current.
const HistorySuffix = "_h"

// ChangesSuffix ends the name of the table that lists the changes of a content: a
// row (rev, fid) for each row that a revision inserted, updated or deleted.
const ChangesSuffix = "_c"

// Versioned reports whether the release's rows are kept with their history.
// Rows of the platform's own tables are not.
func (r *Release) Versioned() bool { return r.Relation[0] == "content" }

// From appends " FROM … WHERE …", the rows of the release as they were at its
// revision, whatever has been changed in place since: fid, rev, until, span, geom
// and the release's columns. The caller goes on with " AND ".
//
// The conditions stand outside the union, so that PostgreSQL carries them and the
// order to the indexes of both tables.
func (r *Release) From(s *postgis.SQL) *postgis.SQL {
	if !r.Versioned() || r.Unpublished {
		return s.Raw(" FROM ").Ident(r.Relation[:]...).Raw(" WHERE true")
	}
	s.Raw(" FROM (")
	r.AppendVersions(s)
	return s.Raw(") rows WHERE rev <= ").Int(r.Revision).Raw(" AND until > ").Int(r.Revision)
}

// FromAll is From with the hash of each row as well, NULL where there is none.
func (r *Release) FromAll(s *postgis.SQL) *postgis.SQL {
	s.Raw(" FROM (")
	r.appendLegs(s, true)
	return s.Raw(") rows WHERE rev <= ").Int(r.Revision).Raw(" AND until > ").Int(r.Revision)
}

// AppendVersions appends the query for every version of every row of a versioned
// release's content.
func (r *Release) AppendVersions(s *postgis.SQL) *postgis.SQL { return r.appendLegs(s, false) }

func (r *Release) appendLegs(s *postgis.SQL, hash bool) *postgis.SQL {
	leg := func(until func(), table string) {
		s.Raw("SELECT fid, rev, ")
		until()
		s.Raw(" AS until, span, geom")
		if hash {
			s.Raw(", hash")
		}
		for _, c := range r.Columns {
			s.Raw(", ").Ident(c.Name)
		}
		s.Raw(" FROM ").Ident(r.Relation[0], table)
	}
	leg(func() { s.Int(Forever).Raw("::bigint") }, r.Relation[1])
	s.Raw(" UNION ALL ")
	leg(func() { s.Raw("until") }, r.Relation[1]+HistorySuffix)
	return s
}

// At returns a release with the edits made through the API until a revision, which
// lies between it and the next. It is false for any other revision, and for one
// that was shared more narrowly than the caller may read.
func At(ctx context.Context, pool *pgxpool.Pool, d *Dataset, r *Release, revision int64) (*Release, bool, error) {
	if revision == r.Revision {
		return r, true, nil
	}
	var sharing Sharing
	err := pool.QueryRow(ctx, `SELECT sharing FROM changde.revisions WHERE dataset = $1 AND revision = $2 AND kind <> 'settings'
		AND $3 = (SELECT max(release) FROM changde.revisions WHERE dataset = $1 AND revision <= $2)`, d.ID, revision, r.Number).Scan(&sharing)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && !d.MayRead(sharing) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, postgis.Fault(ctx, err, fmt.Sprintf("find revision %d of %s", revision, d.ID))
	}
	edited := *r
	edited.Revision, edited.Rows = revision, -1
	return &edited, true, nil
}

// AsOf returns the release as the dataset stood at a time: with the edits made
// through the API until then. Rows is -1 where edits had been made. It is false
// when the dataset had no release yet, or the caller's view of d lacks the one of
// then.
func AsOf(ctx context.Context, pool *pgxpool.Pool, d *Dataset, t time.Time) (*Release, bool, error) {
	var revision int64
	var number int
	var sharing Sharing
	err := pool.QueryRow(ctx, `
		SELECT r.revision, r.sharing, coalesce((SELECT max(e.release) FROM changde.revisions e WHERE e.dataset = r.dataset AND e.revision <= r.revision), 0)
		FROM changde.revisions r WHERE r.dataset = $1 AND r.committed_at <= $2 AND r.kind <> 'settings'
		ORDER BY r.committed_at DESC LIMIT 1`, d.ID, t).Scan(&revision, &sharing, &number)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, postgis.Fault(ctx, err, fmt.Sprintf("find the state of %s at %s", d.ID, t.Format(time.RFC3339)))
	}
	r, ok := d.Release(number)
	if !ok || r.Revision == revision {
		return r, ok, nil
	}
	if !d.MayRead(sharing) {
		return nil, false, nil
	}
	edited := *r
	edited.Revision, edited.Rows = revision, -1
	return &edited, true, nil
}
