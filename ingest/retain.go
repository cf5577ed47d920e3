package ingest

import (
	"context"

	"github.com/jackc/pgx/v5"

	"changde/catalog"
	"changde/postgis"
)

// retain drops contents beyond the number kept. It is housekeeping: what it
// cannot do it leaves to the next run.
func (i *Ingester) retain(ctx context.Context, dataset string) {
	if i.config.Keep <= 0 {
		return
	}
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
