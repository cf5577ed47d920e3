package catalog

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Revision is one committed change of a dataset, as it is recorded.
type Revision struct {
	Dataset  string
	Number   int64
	Kind     string // release, rollback, edit, settings
	Relation string // content that holds the rows, without its schema; empty where they did not change
	Release  int    // 0 for none
	Delivery int64  // 0 for none
	// Who made it, and by which document.
	Actor, Organisation, Document, Note string
}

// Record writes the revision in the transaction that makes the change, and gives
// the time it counts from. Times of a dataset's revisions always grow, also where
// the clock was set back.
func (r Revision) Record(ctx context.Context, tx pgx.Tx) (at time.Time, err error) {
	err = tx.QueryRow(ctx, `
		INSERT INTO changde.revisions (dataset, revision, relation, release, delivery, kind, actor, organisation, document, note, sharing, committed_at)
		SELECT $1, $2, 'content.' || nullif($3, ''), nullif($4, 0), nullif($5, 0), $6, $7, $8, $9, $10,
			(SELECT sharing FROM changde.datasets WHERE id = $1),
			greatest(clock_timestamp(), (SELECT max(committed_at) + interval '1 microsecond' FROM changde.revisions WHERE dataset = $1))
		RETURNING committed_at`,
		r.Dataset, r.Number, r.Relation, r.Release, r.Delivery, r.Kind, r.Actor, r.Organisation, r.Document, r.Note).Scan(&at)
	if err != nil {
		return at, fmt.Errorf("record revision %d of %s: %w", r.Number, r.Dataset, err)
	}
	return at, nil
}
