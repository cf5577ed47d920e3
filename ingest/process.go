package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"changde/problem"
	"changde/scratch"
)

// Process inspects, loads, checks, compares and, where nobody has to decide,
// releases a delivery that was submitted. Several workers may be given the same
// delivery: one processes it, the others get ErrBusy or find nothing to do. A
// delivery that a dead worker had begun is begun again.
//
// A fault of the delivery is recorded on it and is no error here; the error is for
// faults that another try may not meet.
func (i *Ingester) Process(ctx context.Context, id int64, progress func(Progress)) error {
	conn, err := i.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Release()
	if err := lock(ctx, conn, id); err != nil {
		return err
	}
	defer unlock(conn, id)
	return i.process(ctx, conn, id, progress)
}

func (i *Ingester) process(ctx context.Context, conn *pgxpool.Conn, id int64, progress func(Progress)) error {
	var data []byte
	var files []string
	var state string
	var folder int64
	err := conn.QueryRow(ctx, "SELECT request, files, state, coalesce(parent, id) FROM changde.deliveries WHERE id = $1 AND depot", id).
		Scan(&data, &files, &state, &folder)
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrNoDelivery
	}
	if err != nil {
		return fmt.Errorf("read delivery %d: %w", id, err)
	}
	switch state {
	case StateReceived, StateInspected, StateLoading, StateChecked:
	default:
		return nil // done, or withdrawn meanwhile
	}
	var r Request
	if err := json.Unmarshal(data, &r); err != nil {
		return fmt.Errorf("request of delivery %d: %w", id, err)
	}
	watched, done := i.watch(ctx, id, progress)
	defer done()
	err = i.space(i.attempt(watched.ctx, conn, id, folder, r, files, watched.report))
	var p *problem.Error
	switch {
	case err == nil, errors.Is(err, ErrBusy):
		return err
	case context.Cause(watched.ctx) == errCancelled, errors.Is(err, errCancelled):
		return i.end(id, StateWithdrawn, cancelled(id).Error())
	case ctx.Err() != nil:
		return ctx.Err() // the worker stops; the delivery is begun again elsewhere
	case errors.As(err, &p) && p.Kind != problem.Busy:
		return i.end(id, StateFailed, err.Error())
	}
	i.postpone(id, err)
	return err
}

// attempt runs a delivery from its files to its end.
func (i *Ingester) attempt(ctx context.Context, conn *pgxpool.Conn, id, folder int64, r Request, files []string, progress func(Progress)) (err error) {
	if i.config.Depot == nil {
		return errNoDepot
	}
	dir, remove, err := scratch.New(i.config.TempDir, tempPrefix)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	for _, name := range files {
		path, err := i.config.Depot.Fetch(ctx, fmt.Sprintf("%d/%s", folder, name), dir)
		if err != nil {
			return err
		}
		r.Files = append(r.Files, path)
	}
	if r.Dataset == "" {
		return i.distribute(ctx, conn, id, r)
	}
	var free bool
	if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1::int, hashtext($2))", datasetClass, r.Dataset).Scan(&free); err != nil {
		return fmt.Errorf("take the dataset's turn: %w", err)
	}
	if !free {
		return ErrBusy
	}
	defer unlockDataset(conn, r.Dataset)
	// The dataset may have been released, given away or closed since.
	if err := i.authorize(ctx, conn, &r); err != nil {
		return err
	}
	plan, err := i.Plan(ctx, r)
	if err != nil {
		return err
	}
	defer plan.Close()
	table := fmt.Sprintf("%s_d%d", r.Dataset, id)
	if err := i.resume(ctx, conn, id, plan, table); err != nil {
		return err
	}
	_, err = i.execute(ctx, conn, plan, id, table, progress, true)
	return err
}

// resume records the plan of a delivery that is about to be loaded, and removes
// what an earlier attempt left.
func (i *Ingester) resume(ctx context.Context, conn *pgxpool.Conn, id int64, p *Plan, table string) error {
	plan, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode plan: %w", err)
	}
	request, err := json.Marshal(p.request)
	if err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if err := ensure(ctx, tx, p.Dataset); err != nil {
			return err
		}
		if err := dropStaged(ctx, tx, id, table); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "DELETE FROM changde.findings WHERE delivery = $1", id); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `UPDATE changde.deliveries SET state = 'loading', dataset = $2, plan = $3, relation = $4, request = $5, profile = $6, error = NULL, finished_at = NULL, difference = NULL WHERE id = $1 AND NOT cancelled`,
			id, p.Dataset, plan, table, request, p.settings.profile)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return errCancelled
		}
		return p.recordTransformation(ctx, tx, id)
	})
}

// end writes the end of a delivery that came to nothing.
func (i *Ingester) end(id int64, state, text string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_, err := i.pool.Exec(ctx, `UPDATE changde.deliveries SET state = CASE WHEN cancelled THEN 'withdrawn' ELSE $2 END, error = coalesce(error, $3), finished_at = now() WHERE id = $1 AND state NOT IN ('released', 'rejected', 'withdrawn')`,
		id, state, cleanText(text))
	if err != nil {
		return fmt.Errorf("record delivery %d: %w", id, err)
	}
	return nil
}

// errCancelled ends the attempt at a delivery that a person has cancelled.
var errCancelled = errors.New("cancelled")

// cancelled answers for a delivery that a person has cancelled.
func cancelled(id int64) error {
	return problem.New(problem.Conflict, "delivery-cancelled", fmt.Sprint(id), "交付已被取消，没有发布任何内容", "the delivery was cancelled and nothing was published")
}

// progressEvery is how often progress is written, and a cancellation noticed.
const progressEvery = time.Second

// watch is a run that is watched: it writes its progress to the delivery and ends
// when somebody cancels it.
type watch struct {
	ctx    context.Context
	report func(Progress)
}

func (i *Ingester) watch(ctx context.Context, id int64, progress func(Progress)) (*watch, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	latest := make(chan Progress, 1)
	go func() {
		ticker := time.NewTicker(progressEvery)
		defer ticker.Stop()
		var shown Progress
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			select {
			case shown = <-latest:
			default:
			}
			var cancelled bool
			if err := i.pool.QueryRow(ctx, "UPDATE changde.deliveries SET progress = $2 WHERE id = $1 RETURNING cancelled", id, shown).Scan(&cancelled); err == nil && cancelled {
				cancel(errCancelled)
			}
		}
	}()
	report := func(p Progress) {
		select {
		case <-latest: // only the last counts
		default:
		}
		select {
		case latest <- p:
		default:
		}
		if progress != nil {
			progress(p)
		}
	}
	return &watch{ctx, report}, func() { cancel(nil) }
}

// cancel ends a delivery that waits, and tells the worker that is at it. One that
// has come to its end first is refused: what was released is not cancelled.
func (i *Ingester) cancel(ctx context.Context, conn *pgxpool.Conn, id int64) error {
	tag, err := conn.Exec(ctx, `UPDATE changde.deliveries SET cancelled = true,
		state = CASE WHEN state IN ('receiving', 'received', 'inspected') THEN 'withdrawn' ELSE state END,
		finished_at = CASE WHEN state IN ('receiving', 'received', 'inspected') THEN now() ELSE finished_at END
		WHERE id = $1 AND state IN ('receiving', 'received', 'inspected', 'loading', 'checked')`, id)
	if err != nil {
		return fmt.Errorf("cancel delivery %d: %w", id, err)
	}
	if tag.RowsAffected() > 0 {
		return nil
	}
	var state string
	var already bool
	if err := conn.QueryRow(ctx, "SELECT state, cancelled FROM changde.deliveries WHERE id = $1", id).Scan(&state, &already); err != nil {
		return fmt.Errorf("cancel delivery %d: %w", id, err)
	}
	if already && state == StateWithdrawn {
		return nil
	}
	return problem.New(problem.Conflict, "delivery-finished", fmt.Sprint(id),
		fmt.Sprintf("取消之前交付已处理完毕（%s），没有取消", state), fmt.Sprintf("the delivery was %s before it could be cancelled; it is not cancelled", state))
}

// again processes a delivery once more, from its files.
func (i *Ingester) again(ctx context.Context, conn *pgxpool.Conn, id int64, progress func(Progress)) error {
	tag, err := conn.Exec(ctx, "UPDATE changde.deliveries SET state = 'received', cancelled = false, finished_at = NULL WHERE id = $1 AND depot AND state IN ('failed', 'awaiting')", id)
	if err != nil {
		return fmt.Errorf("begin delivery %d again: %w", id, err)
	}
	if tag.RowsAffected() == 0 {
		return problem.New(problem.Conflict, "files-gone", fmt.Sprint(id), "交付的文件不在平台上，不能重试；请重新交付", "the delivery's files are not kept here; deliver them again")
	}
	return i.process(ctx, conn, id, progress)
}

// Recover finds deliveries whose worker died and decisions that nobody carried
// out, and hands them to the workers again. Any process may call it at any time.
func (i *Ingester) Recover(ctx context.Context) error {
	if err := i.Sweep(ctx); err != nil {
		return err
	}
	if err := i.dropSpent(ctx); err != nil {
		i.config.Log.Warn("differences of old deliveries not dropped", "err", err)
	}
	if err := i.expire(ctx); err != nil {
		i.config.Log.Warn("files of old deliveries not removed", "err", err)
	}
	if i.config.Enqueue == nil {
		return nil
	}
	if _, err := i.pool.Exec(ctx, lostWith+giveUpSQL, lockClass); err != nil {
		return fmt.Errorf("give up old decisions: %w", err)
	}
	return pgx.BeginFunc(ctx, i.pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, lostWith+lostSQL, lockClass)
		if err != nil {
			return fmt.Errorf("find lost jobs: %w", err)
		}
		lost, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Job])
		if err != nil {
			return fmt.Errorf("find lost jobs: %w", err)
		}
		for _, job := range lost {
			if err := i.config.Enqueue(ctx, tx, job); err != nil {
				return err
			}
		}
		return nil
	})
}

// lostWith finds the deliveries and decisions whose job no worker will take: none
// waits, and none that was taken holds the delivery's lock. A worker has five
// seconds to take it.
const lostWith = `
WITH open AS (
	SELECT v.id AS delivery, 0::bigint AS decision, false AS old FROM changde.deliveries v WHERE v.state = 'received' AND v.depot
	UNION ALL
	SELECT c.delivery, c.id, c.decided_at < now() - interval '1 day' FROM changde.decisions c WHERE c.carried_at IS NULL AND c.decided_at < now() - interval '5 seconds'
), lost AS (
	SELECT * FROM open o
	WHERE NOT EXISTS (
		SELECT FROM jobs.river_job j
		WHERE (j.kind = 'delivery' AND o.decision = 0 AND (j.args->>'delivery')::bigint = o.delivery
		       OR j.kind = 'decision' AND o.decision > 0 AND (j.args->>'decision')::bigint = o.decision)
		AND (j.state IN ('available', 'pending', 'scheduled', 'retryable') OR j.state = 'running' AND j.attempted_at > now() - interval '5 seconds')
	)
	AND NOT EXISTS (
		SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
		AND l.classid = $1 AND l.objid = o.delivery AND l.granted
	)
)`

// lostSQL reads what is to be given to the workers again.
const lostSQL = `
SELECT CASE WHEN decision = 0 THEN delivery ELSE 0 END, 0, decision, NULL::jsonb FROM lost WHERE NOT old ORDER BY 1, 3 LIMIT 100`

// giveUpSQL ends decisions that were tried for a day: whoever decided reads why
// nothing came of it, and may decide again.
const giveUpSQL = `
UPDATE changde.decisions c SET carried_at = now(),
	error = '一天内未能执行，已放弃，请重新决定 / not carried out within a day and given up; decide again' || coalesce(': ' || c.error, '')
FROM lost l WHERE l.old AND c.id = l.decision AND c.carried_at IS NULL`

// GiveUp records that a delivery was tried too often.
func (i *Ingester) GiveUp(id int64, cause error) error {
	return i.end(id, StateFailed, fmt.Sprintf("多次重试仍未成功 / tried too often: %v", cause))
}

// Refused reports whether err says that a decision cannot be carried out, rather
// than that it should be tried again.
func Refused(err error) bool {
	var p *problem.Error
	return errors.As(err, &p) && p.Kind != problem.Busy
}
