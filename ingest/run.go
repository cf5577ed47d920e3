package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"changde/catalog"
	"changde/ingest/finding"
	"changde/postgis"
	"changde/problem"
)

// Phase is a step of a run.
type Phase string

// The phases, in order.
const (
	Loading    Phase = "load"
	Checking   Phase = "check"
	Comparing  Phase = "compare"
	Indexing   Phase = "index"
	Tiling     Phase = "tiles"
	Publishing Phase = "publish"
)

// Progress tells how far a run is. Total is 0 when it is not known.
type Progress struct {
	Phase Phase `json:"phase"`
	Done  int64 `json:"done,omitempty"`
	Total int64 `json:"total,omitempty"`
}

// The states of a delivery.
const (
	StateReceiving = "receiving" // its files are coming
	StateReceived  = "received"  // its files are here
	StateInspected = "inspected" // somebody must name the datasets of its layers
	StateSplit     = "split"     // it became a delivery for each dataset
	StateLoading   = "loading"   // a worker has it
	StateChecked   = "checked"   // staged, checked and compared
	StateAwaiting  = "awaiting"  // a person decides
	StateReleased  = "released"
	StateRejected  = "rejected"  // by the person who decides
	StateWithdrawn = "withdrawn" // by the sender
	StateFailed    = "failed"
)

// Report is what became of a delivery.
type Report struct {
	Delivery  int64            `json:"delivery"`
	Dataset   string           `json:"dataset"`
	State     string           `json:"state"`
	Mode      Mode             `json:"mode"`
	Release   int              `json:"release,omitempty"`
	Read      int64            `json:"read"`
	Published int64            `json:"published"` // rows that stand the checks
	Repaired  int64            `json:"repaired"`
	Refused   int64            `json:"refused"`
	Noted     int64            `json:"noted"`
	Codes     map[string]int64 `json:"codes"`
	// Blocking, Errors and Warnings count the findings by severity.
	Blocking int64 `json:"blocking"`
	Errors   int64 `json:"errors"`
	Warnings int64 `json:"warnings"`
	// Rules are the quality rules of the profile that were applied.
	Rules      []RuleResult      `json:"rules,omitempty"`
	Difference *Difference       `json:"difference,omitempty"`
	Confirm    bool              `json:"confirm,omitempty"` // a person must confirm what changed
	Error      string            `json:"error,omitempty"`
	Findings   []finding.Finding `json:"findings"`
	// Kept is how many findings were stored; Findings may hold fewer.
	Kept int64 `json:"kept"`
}

// lockClass is the first key of the advisory lock that a run holds on its
// delivery for as long as it lives; the second is the delivery's number. A
// delivery that is loading without its lock was left by a process that died.
const lockClass = 0x43444956

// datasetClass is the first key of the advisory lock by which the deliveries of a
// dataset take turns; the second is a hash of its id.
const datasetClass = 0x43444953

// maxRecompare is how often a delivery that publishes itself is compared anew
// because the dataset was changed meanwhile.
const maxRecompare = 3

// Run carries out a plan: load, check, compare, and publish unless a person must
// decide first. It closes the plan. The report is given for a failed delivery too,
// when it got as far as having a number. progress may be nil and is called from
// several goroutines, one at a time.
func (i *Ingester) Run(ctx context.Context, p *Plan, progress func(Progress)) (_ *Report, err error) {
	defer func() { err = errors.Join(err, p.Close()) }()
	if err := i.Sweep(ctx); err != nil {
		i.config.Log.Warn("leftovers of dead runs not removed", "err", err)
	}
	conn, err := i.pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	defer conn.Release()
	if err := ensure(ctx, conn, p.Dataset); err != nil {
		return nil, err
	}
	id, table, err := i.begin(ctx, conn, p)
	if err != nil {
		return nil, err
	}
	defer unlock(conn, id)
	watched, done := i.watch(ctx, id, progress)
	defer done()
	if _, err := conn.Exec(watched.ctx, "SELECT pg_advisory_lock($1::int, hashtext($2))", datasetClass, p.Dataset); err != nil {
		if context.Cause(watched.ctx) == errCancelled {
			err = cancelled(id)
		}
		err = fmt.Errorf("wait for the dataset's other delivery: %w", err)
		return nil, errors.Join(err, i.end(id, StateFailed, err.Error()))
	}
	defer unlockDataset(conn, p.Dataset)
	report, err := i.execute(watched.ctx, conn, p, id, table, watched.report, false)
	if errors.Is(err, errCancelled) {
		err = cancelled(id)
	}
	return report, err
}

// execute loads, checks, compares and publishes a delivery whose lock conn holds.
// With again, a fault that another try may not meet leaves the delivery to be
// begun again.
func (i *Ingester) execute(ctx context.Context, conn *pgxpool.Conn, p *Plan, id int64, table string, progress func(Progress), again bool) (*Report, error) {
	if progress == nil {
		progress = func(Progress) {}
	}
	found := newFindings(i.config.MaxFindings)
	report := &Report{Delivery: id, Dataset: p.Dataset, Mode: p.request.Mode, State: StateLoading}
	l := newLoader(p, found, progress)
	err := i.stage(ctx, conn, l, id, table, report)
	waits := false
	for tries := 0; err == nil && report.Release == 0; tries++ {
		progress(Progress{Phase: Publishing})
		if waits = p.waits(report); waits {
			err = i.await(ctx, conn, id)
			break
		}
		report.Release, err = i.publish(ctx, conn, id, 0, p.sender())
		if !errors.Is(err, errOutdated) || tries == maxRecompare {
			break
		}
		err = i.recompare(ctx, conn, l, id, table, report)
	}
	err = postgis.Fault(ctx, i.space(err), fmt.Sprintf("delivery %d", id))
	switch {
	case errors.Is(err, errCancelled):
		report.State, report.Error = StateWithdrawn, cancelled(id).Error()
		if e := i.fail(conn, id, table, found, report); e != nil {
			err = errors.Join(err, e)
		}
	case again && (problem.Is(err, problem.Busy) || err != nil && ctx.Err() != nil && context.Cause(ctx) != errCancelled):
		report.State, report.Error = StateReceived, err.Error()
		i.postpone(id, err)
	case err != nil:
		report.State, report.Error = StateFailed, err.Error()
		if e := i.fail(conn, id, table, found, report); e != nil {
			err = errors.Join(err, e)
		}
	case waits:
		report.State = StateAwaiting
	default:
		report.State = StateReleased
		i.retain(ctx, p.Dataset)
	}
	report.Codes, report.Findings, report.Kept = found.codes, found.kept, int64(len(found.kept))
	return report, err
}

// sender is who a delivery that nobody has to decide on is released by.
func (p *Plan) sender() Decider {
	return Decider{Actor: p.request.Actor, Organisation: p.request.Sender, Document: p.request.Document, Note: p.request.Note}
}

// waits reports whether somebody must decide on the delivery: what it changes must
// be confirmed, the dataset wants it, before or after the delivery, or the sender
// has not the standing for what it asks.
func (p *Plan) waits(r *Report) bool {
	if r.Confirm && !p.request.Confirm {
		return true
	}
	if p.settings.approval != catalog.Automatic || p.settings.storedApproval != "" && p.settings.storedApproval != catalog.Automatic || p.request.Foreign {
		return true
	}
	set := p.request.Settings
	return p.request.Standing == AsContributor && p.settings.release > 0 && (set.Sharing != "" || set.Approval != "" || set.Editable != nil)
}

// postpone leaves a delivery to another try, and says why where it is not the
// worker that ends. Where the database cannot be told, Sweep finds the delivery
// later.
func (i *Ingester) postpone(id int64, cause error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var reason *string
	var p *problem.Error
	if errors.As(cause, &p) {
		text := cleanText("将自动重试 / will be tried again: " + p.Error())
		reason = &text
	}
	if _, err := i.pool.Exec(ctx, "UPDATE changde.deliveries SET state = 'received', error = $2 WHERE id = $1 AND state IN ('received', 'loading', 'checked')", id, reason); err != nil {
		i.config.Log.Warn("delivery not postponed", "delivery", id, "err", err)
	}
}

// space tells a full disk of this machine from other trouble.
func (i *Ingester) space(err error) error {
	var p *problem.Error
	if err == nil || errors.As(err, &p) || !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		return err
	}
	return problem.Wrap(err, problem.Busy, "workspace-full", i.config.TempDir,
		"服务器存放临时文件的磁盘已满，没有任何改动；请清理空间后重试", "the server's disk for temporary files is full and nothing was changed; make room and try again")
}

// begin records the delivery and takes its lock before it commits, so that the
// delivery is never seen open without its lock.
func (i *Ingester) begin(ctx context.Context, conn *pgxpool.Conn, p *Plan) (id int64, table string, err error) {
	plan, err := json.Marshal(p)
	if err != nil {
		return 0, "", fmt.Errorf("encode plan: %w", err)
	}
	request, err := json.Marshal(p.request)
	if err != nil {
		return 0, "", fmt.Errorf("encode request: %w", err)
	}
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `
			INSERT INTO changde.deliveries (dataset, sender, files, bytes, sha256, state, plan, relation, request, mode, actor, document, note)
			VALUES ($1, nullif($2, ''), $3, $4, decode($5, 'hex'), 'loading', $6, '', $7, $8, $9, $10, $11) RETURNING id`,
			p.Dataset, p.request.Sender, p.Files, p.Bytes, p.SHA256, plan, request, string(p.request.Mode), p.request.Actor, p.request.Document, p.request.Note).Scan(&id)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_lock($1::int, $2::int)", lockClass, int32(id)); err != nil {
			return err
		}
		table = fmt.Sprintf("%s_d%d", p.Dataset, id)
		if _, err := tx.Exec(ctx, "UPDATE changde.deliveries SET relation = $2, profile = $3 WHERE id = $1", id, table, p.settings.profile); err != nil {
			return err
		}
		return p.recordTransformation(ctx, tx, id)
	})
	if err != nil {
		return 0, "", fmt.Errorf("record delivery: %w", err)
	}
	return id, table, nil
}

func unlock(conn *pgxpool.Conn, id int64) {
	release(conn, "SELECT pg_advisory_unlock($1::int, $2::int)", lockClass, int32(id))
}

func unlockDataset(conn *pgxpool.Conn, dataset string) {
	release(conn, "SELECT pg_advisory_unlock($1::int, hashtext($2))", datasetClass, dataset)
}

func release(conn *pgxpool.Conn, sql string, args ...any) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	// A broken connection has lost its lock already.
	_, _ = conn.Exec(ctx, sql, args...)
}

// fail records why a delivery failed or was cancelled, with the findings made until then, and
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
		// The commit may have gone through although its answer did not arrive.
		var open bool
		if err := tx.QueryRow(ctx, "SELECT state IN ('loading', 'checked') FROM changde.deliveries WHERE id = $1 FOR UPDATE", id).Scan(&open); err != nil || !open {
			return err
		}
		if err := dropStaged(ctx, tx, id, table); err != nil {
			return err
		}
		if err := found.save(ctx, tx, id); err != nil {
			return err
		}
		rules, err := json.Marshal(report.Rules)
		if err != nil {
			return fmt.Errorf("encode rules: %w", err)
		}
		_, err = tx.Exec(ctx, `UPDATE changde.deliveries SET state = CASE WHEN cancelled THEN 'withdrawn' ELSE 'failed' END, error = $2, rows_read = $3, published = 0,
			repaired = $4, refused = $5, noted = $6, blocking = $7, errors = $8, warnings = $9, codes = $10, rules = $11, finished_at = now() WHERE id = $1`,
			id, cleanText(report.Error), report.Read, report.Repaired, report.Refused, report.Noted,
			report.Blocking, report.Errors, report.Warnings, found.codes, rules)
		return err
	})
}
