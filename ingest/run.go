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
	for tries := 0; err == nil; tries++ {
		waits = p.waits() || report.Confirm && !p.request.Confirm
		progress(Progress{Phase: Publishing})
		if waits {
			err = i.await(ctx, conn, id)
			break
		}
		report.Release, err = i.publish(ctx, conn, id, 0, Decider{Actor: p.request.Actor, Organisation: p.request.Sender, Document: p.request.Document, Note: p.request.Note})
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

// waits reports whether somebody must decide on the delivery whatever was found:
// the dataset wants it, before or after the delivery, or the sender has not the
// standing for what it asks.
func (p *Plan) waits() bool {
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

// stage loads, checks and compares a delivery.
func (i *Ingester) stage(ctx context.Context, conn *pgxpool.Conn, l *loader, id int64, table string, report *Report) error {
	return i.settle(ctx, conn, l, id, table, report, func(tx pgx.Tx) error {
		// What a try before this one left.
		if err := dropStaged(ctx, tx, id, table); err != nil {
			return err
		}
		var err error
		if report.Read, err = l.load(ctx, tx, table); err != nil {
			return err
		}
		for _, f := range l.plan.found {
			l.found.add(f)
		}
		l.progress(Progress{Phase: Checking})
		if !l.inGo {
			if err := l.transform(ctx, tx, table); err != nil {
				return err
			}
		}
		if err := l.validate(ctx, tx, table); err != nil {
			return err
		}
		if err := l.unique(ctx, tx, table); err != nil {
			return err
		}
		report.Rules, err = i.inspectQuality(ctx, tx, l, table)
		return err
	})
}

// recompare compares a staged delivery with the release that came meanwhile. What
// the comparison before found beyond the usual gives way to what this one finds;
// rows that were refused stay out.
func (i *Ingester) recompare(ctx context.Context, conn *pgxpool.Conn, l *loader, id int64, table string, report *Report) error {
	return i.settle(ctx, conn, l, id, table, report, func(tx pgx.Tx) error { return dropStaged(ctx, tx, id, "") })
}

// settle prepares the staged table, compares it and records the delivery as
// checked: in one transaction where the difference alone will be written. A table
// that will be read as a whole is committed in between, so that its indexes are
// built on two connections; where the process dies Sweep drops it.
func (i *Ingester) settle(ctx context.Context, conn *pgxpool.Conn, l *loader, id int64, table string, report *Report, prepare func(pgx.Tx) error) error {
	var c *content
	err := l.begin(ctx, conn, func(tx pgx.Tx) error {
		if err := prepare(tx); err != nil {
			return err
		}
		var err error
		if c, err = l.contrast(ctx, tx, id, table); err != nil {
			return err
		}
		if c.whole() {
			report.count(l.found)
			return report.blocked()
		}
		return i.conclude(ctx, tx, l, id, c, report)
	})
	if err != nil || !c.whole() {
		return err
	}
	if err := l.index(ctx, i.pool, conn, table); err != nil {
		return err
	}
	err = l.begin(ctx, conn, func(tx pgx.Tx) error {
		if c.statistics, c.extent, err = l.measure(ctx, tx, table); err != nil {
			return err
		}
		c.rows = c.statistics.Rows
		return i.conclude(ctx, tx, l, id, c, report)
	})
	if err == nil {
		i.cutTiles(ctx, l, c, table)
	}
	return err
}

// cutTiles makes the tiles of a content before it is released. Without them the
// release is as good, and its tiles are made when they are asked for.
func (i *Ingester) cutTiles(ctx context.Context, l *loader, c *content, table string) {
	if i.config.Tiles == nil {
		return
	}
	l.progress(Progress{Phase: Tiling})
	p := l.plan
	d := &catalog.Dataset{
		ID: p.Dataset, TitleZH: p.Dataset, Kind: catalog.Delivered, Label: p.settings.named["label"], Class: p.settings.named["class"],
		BusinessKey: p.settings.businessKey, TimeColumn: p.settings.timeColumn, Grids: p.settings.grids,
	}
	r := &catalog.Release{
		Relation: [2]string{"content", table}, GeometryType: c.geometry, Columns: c.columns, Rows: c.rows, Extent: c.extent, Unpublished: true,
	}
	if err := i.config.Tiles.Build(ctx, d, r, 0); err != nil && ctx.Err() == nil {
		i.config.Log.Warn("tiles not cut before the release", "dataset", p.Dataset, "err", err)
	}
}

// begin runs a transaction with the settings that work on whole tables wants.
func (l *loader) begin(ctx context.Context, conn *pgxpool.Conn, f func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		// PostGIS tells of each invalid geometry by a NOTICE, millions at the worst;
		// the check interval ends the statement of a client that died. Compiling the
		// long comparisons costs more than it saves.
		if _, err := tx.Exec(ctx, `SET LOCAL client_min_messages = warning; SET LOCAL statement_timeout = 0;
			SET LOCAL maintenance_work_mem = '512MB'; SET LOCAL work_mem = '64MB'; SET LOCAL jit = off; SET LOCAL random_page_cost = 1.1; SET LOCAL client_connection_check_interval = '2s'`); err != nil {
			return fmt.Errorf("prepare: %w", err)
		}
		return f(tx)
	})
}

// contrast compares the staged rows with the current release.
func (l *loader) contrast(ctx context.Context, tx pgx.Tx, id int64, table string) (*content, error) {
	l.progress(Progress{Phase: Comparing})
	c := &content{geometry: l.plan.geometry, columns: l.plan.columns}
	var err error
	if c.base, err = current(ctx, tx, l.plan.Dataset); err != nil || c.base == nil {
		return c, err
	}
	if c.difference, err = l.compare(ctx, tx, c.base, id, table); err != nil {
		return nil, err
	}
	c.rows, err = countRows(ctx, tx, table)
	return c, err
}

// conclude reports what came of the comparison and records the delivery as
// checked.
func (i *Ingester) conclude(ctx context.Context, tx pgx.Tx, l *loader, id int64, c *content, report *Report) error {
	d := c.difference
	report.Published, report.Difference, report.Confirm = c.rows, d, false
	l.found.withdraw(l.odd...)
	l.odd = nil
	if c.rows == 0 {
		return l.empty()
	}
	if d != nil {
		if d.InPlace {
			c.statistics, c.columns = d.After, c.base.ordered(l.plan.columns)
		}
		d.After = c.statistics
		if d.After.Rows == 0 {
			return l.empty()
		}
		d.foldAlike()
		d.summarise()
		if l.odd = append(d.sanity(), c.base.lost(l.plan.columns)...); len(l.odd) > 0 {
			report.Confirm = true
			l.found.add(l.odd...)
		}
	}
	report.count(l.found)
	if err := l.found.save(ctx, tx, id); err != nil {
		return err
	}
	if err := report.blocked(); err != nil {
		return err
	}
	return i.checked(ctx, tx, id, c, report)
}

// blocked refuses a delivery with findings that block it.
func (r *Report) blocked() error {
	if r.Blocking == 0 {
		return nil
	}
	return problem.New(problem.Invalid, "quality-blocked", r.Dataset,
		fmt.Sprintf("有 %d 条阻断性问题，不能发布；请按报告改正后重新交付", r.Blocking),
		fmt.Sprintf("%d findings block the release; mend them as the report says and deliver again", r.Blocking))
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
