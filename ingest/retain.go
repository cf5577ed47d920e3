package ingest

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"changde/catalog"
	"changde/postgis"
)

// retain drops contents beyond the number kept, and lists of changes that are no
// longer kept. It is housekeeping: what it cannot do it leaves to the next run.
func (i *Ingester) retain(ctx context.Context, dataset string) {
	if i.config.Keep > 0 {
		i.dropContents(ctx, dataset)
	}
	if err := i.dropSpent(ctx); err != nil {
		i.config.Log.Warn("differences of old deliveries not dropped", "err", err)
	}
}

func (i *Ingester) dropContents(ctx context.Context, dataset string) {
	err := pgx.BeginFunc(ctx, i.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '2s'"); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			SELECT relation FROM changde.releases WHERE dataset = $1 AND relation IS NOT NULL
			GROUP BY relation ORDER BY max(release) DESC OFFSET $2`, dataset, i.config.Keep)
		if err != nil {
			return err
		}
		old, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, relation := range old {
			if _, err := tx.Exec(ctx, "UPDATE changde.releases SET relation = NULL WHERE dataset = $1 AND relation = $2", dataset, relation); err != nil {
				return err
			}
			content := relation[len("content."):]
			drop := new(postgis.SQL).Raw("DROP TABLE ").Ident("content", content).Raw(", ").Ident("content", content+catalog.HistorySuffix).
				Raw(", ").Ident("content", content+catalog.ChangesSuffix)
			if _, err := tx.Exec(ctx, drop.String()); err != nil {
				return err
			}
		}
		if len(old) == 0 {
			return nil
		}
		return notify(ctx, tx, dataset)
	})
	if err != nil {
		i.config.Log.Warn("old contents not dropped", "dataset", dataset, "err", err)
	}
}

// keepDifferences is how many of a dataset's released deliveries keep the list of
// what they changed, feature by feature. What two releases differ in is found from
// their rows and needs no list.
const keepDifferences = 20

// spentSQL finds deliveries that are over and whose list of changes, or staged
// rows, are still there: those that were not released, and those whose release is
// not among the last, or has no content any more.
const spentSQL = `
SELECT v.id, v.state <> 'released'
FROM changde.deliveries v
WHERE v.state IN ('released', 'rejected', 'withdrawn', 'failed')
AND (to_regclass('difference.d' || v.id) IS NOT NULL OR v.state <> 'released' AND to_regclass('content.' || v.dataset || '_d' || v.id) IS NOT NULL)
AND (v.state <> 'released' OR NOT EXISTS (
	SELECT FROM changde.releases r WHERE r.delivery = v.id AND r.restores IS NULL AND r.relation IS NOT NULL
	AND (SELECT count(*) FROM changde.releases o WHERE o.dataset = r.dataset AND o.restores IS NULL AND o.release > r.release) < $1))
ORDER BY v.id LIMIT 100`

// dropSpent drops the lists of changes that nobody will ask for, and what deliveries
// that came to nothing had staged. What is in use is left to the next run.
func (i *Ingester) dropSpent(ctx context.Context) error {
	rows, err := i.pool.Query(ctx, spentSQL, keepDifferences)
	if err != nil {
		return fmt.Errorf("find differences to drop: %w", err)
	}
	type spent struct {
		ID     int64
		Staged bool
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[spent])
	if err != nil {
		return fmt.Errorf("find differences to drop: %w", err)
	}
	for _, v := range list {
		err := pgx.BeginFunc(ctx, i.pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '2s'"); err != nil {
				return err
			}
			// Begun again meanwhile, the delivery has a use for its tables.
			var relation string
			err := tx.QueryRow(ctx, `UPDATE changde.deliveries SET difference = difference || '{"listed": false, "dropped": true}'
				WHERE id = $1 AND state IN ('released', 'rejected', 'withdrawn', 'failed') RETURNING CASE WHEN $2 THEN dataset || '_d' || id ELSE '' END`, v.ID, v.Staged).Scan(&relation)
			if errors.Is(err, pgx.ErrNoRows) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("look at delivery %d: %w", v.ID, err)
			}
			return dropStaged(ctx, tx, v.ID, relation)
		})
		if err != nil {
			i.config.Log.Warn("difference not dropped", "delivery", v.ID, "err", err)
		}
	}
	return nil
}
