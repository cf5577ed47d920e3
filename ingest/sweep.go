package ingest

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"changde/postgis"
	"changde/scratch"
)

// tempPrefix begins the name of a folder of unpacked archives.
const tempPrefix = "changde-delivery-"

// Sweep marks deliveries whose process died as failed, drops their tables and
// removes the files they had unpacked on this machine. Any process may call it at
// any time.
func (i *Ingester) Sweep(ctx context.Context) error {
	if err := scratch.Sweep(i.config.TempDir, tempPrefix); err != nil {
		i.config.Log.Warn("unpacked files of dead runs not removed", "err", err)
	}
	conn, err := i.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	rows, err := conn.Query(ctx, "SELECT id, relation, depot FROM changde.deliveries WHERE state IN ('loading', 'staged', 'checked') ORDER BY id LIMIT 1000")
	if err != nil {
		return err
	}
	type open struct {
		ID       int64
		Relation string
		Depot    bool
	}
	left, err := pgx.CollectRows(rows, pgx.RowToStructByPos[open])
	if err != nil {
		return err
	}
	for _, d := range left {
		err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			var dead bool
			if err := tx.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock($1::int, $2::int)", lockClass, int32(d.ID)).Scan(&dead); err != nil || !dead {
				return err
			}
			// Released meanwhile: nothing to do. The state is read again under the lock.
			// A delivery whose files are in the depot is begun again.
			again := d.Depot && i.config.Enqueue != nil
			tag, err := tx.Exec(ctx, `UPDATE changde.deliveries SET state = CASE WHEN $3 THEN 'received' WHEN cancelled THEN 'withdrawn' ELSE 'failed' END,
				error = CASE WHEN $3 THEN NULL ELSE $2 END, finished_at = CASE WHEN $3 THEN NULL ELSE now() END
				WHERE id = $1 AND state IN ('loading', 'staged', 'checked')`, d.ID,
				"处理进程中断，未发布任何内容；请重新交付 / the process died and nothing was published; deliver again", again)
			if err != nil || tag.RowsAffected() == 0 || d.Relation == "" {
				return err
			}
			if again {
				if err := i.config.Enqueue(ctx, tx, Job{Delivery: d.ID}); err != nil {
					return err
				}
			}
			_, err = tx.Exec(ctx, new(postgis.SQL).Raw("DROP TABLE IF EXISTS ").Ident("content", d.Relation).
				Raw("; DROP TABLE IF EXISTS ").Ident("difference", fmt.Sprintf("d%d", d.ID)).String())
			return err
		})
		if err != nil {
			return fmt.Errorf("sweep delivery %d: %w", d.ID, err)
		}
	}
	return nil
}
