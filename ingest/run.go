package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"changde/postgis"
)

// Phase is a step of a run.
type Phase string

// The phases, in order.
const (
	Loading    Phase = "load"
	Checking   Phase = "check"
	Indexing   Phase = "index"
	Publishing Phase = "publish"
)

// Progress tells how far a run is. Total is 0 when it is not known.
type Progress struct {
	Phase       Phase
	Done, Total int64
}

// Report is what became of a delivery.
type Report struct {
	Delivery  int64            `json:"delivery"`
	Dataset   string           `json:"dataset"`
	State     string           `json:"state"`
	Release   int              `json:"release,omitempty"`
	Read      int64            `json:"read"`
	Published int64            `json:"published"`
	Repaired  int64            `json:"repaired"`
	Refused   int64            `json:"refused"`
	Noted     int64            `json:"noted"`
	Codes     map[string]int64 `json:"codes"`
	Error     string           `json:"error,omitempty"`
	Findings  []Finding        `json:"findings"`
	// Kept is how many findings were stored; Findings may hold fewer.
	Kept int64 `json:"kept"`
}

// lockClass is the first key of the advisory lock that a run holds on its
// delivery for as long as it lives; the second is the delivery's number. A
// delivery that is open without its lock was left by a process that died.
const lockClass = 0x43444956

// Run carries out a plan: load, check, publish. It closes the plan. The report
// is given for a failed delivery too, when it got as far as having a number.
// progress may be nil and is called from several goroutines, one at a time.
func (i *Ingester) Run(ctx context.Context, p *Plan, progress func(Progress)) (_ *Report, err error) {
	defer func() { err = errors.Join(err, p.Close()) }()
	if progress == nil {
		progress = func(Progress) {}
	}
	if err := i.Sweep(ctx); err != nil {
		i.config.Log.Warn("leftovers of dead runs not removed", "err", err)
	}
	conn, err := i.pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	defer conn.Release()
	if err := ensure(ctx, conn, p); err != nil {
		return nil, err
	}
	id, table, err := i.begin(ctx, conn, p)
	if err != nil {
		return nil, err
	}
	defer unlock(conn, id)
	found := newFindings(i.config.MaxFindings)
	report := &Report{Delivery: id, Dataset: p.Dataset}
	err = i.stage(ctx, conn, p, id, table, found, report, progress)
	if err == nil {
		progress(Progress{Phase: Publishing})
		report.Release, err = i.publishStaged(ctx, conn, id, p.request.Settings)
	}
	if err != nil {
		err = postgis.Fault(ctx, err, fmt.Sprintf("delivery %d", id))
		report.State, report.Error = "failed", err.Error()
		if e := i.fail(conn, id, table, found, report); e != nil {
			err = errors.Join(err, e)
		}
	} else {
		report.State = "released"
		i.retain(ctx, p.Dataset)
	}
	report.Codes, report.Findings, report.Kept = found.codes, found.kept, int64(len(found.kept))
	return report, err
}

// begin records the delivery and takes its lock before it commits, so that the
// delivery is never seen open without its lock.
func (i *Ingester) begin(ctx context.Context, conn *pgxpool.Conn, p *Plan) (id int64, table string, err error) {
	plan, err := json.Marshal(p)
	if err != nil {
		return 0, "", fmt.Errorf("encode plan: %w", err)
	}
	var sender *string
	if p.request.Sender != "" {
		sender = &p.request.Sender
	}
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `
			INSERT INTO changde.deliveries (dataset, sender, files, bytes, sha256, state, plan, relation)
			VALUES ($1, $2, $3, $4, decode($5, 'hex'), 'loading', $6, '') RETURNING id`,
			p.Dataset, sender, p.Files, p.Bytes, p.SHA256, plan).Scan(&id)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_lock($1::int, $2::int)", lockClass, int32(id)); err != nil {
			return err
		}
		table = fmt.Sprintf("%s_d%d", p.Dataset, id)
		_, err = tx.Exec(ctx, "UPDATE changde.deliveries SET relation = $2 WHERE id = $1", id, table)
		return err
	})
	if err != nil {
		return 0, "", fmt.Errorf("record delivery: %w", err)
	}
	return id, table, nil
}

func unlock(conn *pgxpool.Conn, id int64) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	// A broken connection has lost its lock already.
	_, _ = conn.Exec(ctx, "SELECT pg_advisory_unlock($1::int, $2::int)", lockClass, int32(id))
}

// stage loads and checks in one transaction: a process that dies leaves no table.
func (i *Ingester) stage(ctx context.Context, conn *pgxpool.Conn, p *Plan, id int64, table string, found *findings, report *Report, progress func(Progress)) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		// PostGIS tells of each invalid geometry by a NOTICE, millions at the worst;
		// the check interval ends the statement of a client that died.
		if _, err := tx.Exec(ctx, `SET LOCAL client_min_messages = warning; SET LOCAL statement_timeout = 0;
			SET LOCAL maintenance_work_mem = '512MB'; SET LOCAL client_connection_check_interval = '2s'`); err != nil {
			return fmt.Errorf("prepare: %w", err)
		}
		l := newLoader(p, found, progress)
		var err error
		if report.Read, err = l.load(ctx, tx, table); err != nil {
			return err
		}
		progress(Progress{Phase: Checking})
		if !l.inGo {
			if err := l.transform(ctx, tx, table); err != nil {
				return err
			}
		}
		if err := l.validate(ctx, tx, table); err != nil {
			return err
		}
		progress(Progress{Phase: Indexing})
		c, err := l.finish(ctx, tx, table)
		if err != nil {
			return err
		}
		report.Published = c.rows
		report.count(found)
		if err := found.save(ctx, tx, id); err != nil {
			return err
		}
		return i.staged(ctx, tx, id, c, report)
	})
}

func (r *Report) count(found *findings) {
	r.Repaired, r.Refused, r.Noted = found.count(Repaired), found.count(Refused), found.count(Noted)
}

// fail records why a delivery failed, with the findings made until then, and
// removes what a run that was staged but not published left.
func (i *Ingester) fail(conn *pgxpool.Conn, id int64, table string, found *findings, report *Report) error {
	// The run's own context may be what ended it.
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	report.Published = 0
	report.count(found)
	var from interface {
		Begin(context.Context) (pgx.Tx, error)
	} = conn
	if conn.Conn().IsClosed() {
		from = i.pool
	}
	return pgx.BeginFunc(ctx, from, func(tx pgx.Tx) error {
		s := new(postgis.SQL).Raw("DROP TABLE IF EXISTS ").Ident("content", table)
		if _, err := tx.Exec(ctx, s.String()); err != nil {
			return fmt.Errorf("drop content of failed delivery: %w", err)
		}
		if _, err := tx.Exec(ctx, "DELETE FROM changde.findings WHERE delivery = $1", id); err != nil {
			return err
		}
		if err := found.save(ctx, tx, id); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE changde.deliveries SET state = 'failed', error = $2, rows_read = $3, published = 0,
			repaired = $4, refused = $5, noted = $6, finished_at = now() WHERE id = $1`,
			id, cleanText(report.Error), report.Read, report.Repaired, report.Refused, report.Noted)
		return err
	})
}

// Sweep marks deliveries whose process died as failed, drops their tables and
// removes the files they had unpacked on this machine. Any process may call it at
// any time.
func (i *Ingester) Sweep(ctx context.Context) error {
	if err := sweepTemp(i.config.TempDir); err != nil {
		return fmt.Errorf("remove unpacked files of dead runs: %w", err)
	}
	conn, err := i.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	rows, err := conn.Query(ctx, "SELECT id, relation FROM changde.deliveries WHERE state IN ('loading', 'staged') ORDER BY id LIMIT 1000")
	if err != nil {
		return err
	}
	type open struct {
		ID       int64
		Relation string
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
			tag, err := tx.Exec(ctx, `UPDATE changde.deliveries SET state = 'failed', error = $2, finished_at = now()
				WHERE id = $1 AND state IN ('loading', 'staged')`, d.ID,
				"处理进程中断，未发布任何内容；请重新交付 / the process died and nothing was published; deliver again")
			if err != nil || tag.RowsAffected() == 0 || d.Relation == "" {
				return err
			}
			_, err = tx.Exec(ctx, new(postgis.SQL).Raw("DROP TABLE IF EXISTS ").Ident("content", d.Relation).String())
			return err
		})
		if err != nil {
			return fmt.Errorf("sweep delivery %d: %w", d.ID, err)
		}
	}
	return nil
}
