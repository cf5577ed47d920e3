package ingest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"changde/access"
	"changde/postgis"
	"changde/problem"
)

// Decider is who decides or changes something, and by which document.
type Decider struct {
	Actor        string // a key's id, or a login of the console
	Organisation string
	Document     string // 文号
	Note         string
	Admin        bool // of the platform
	Approver     bool // may decide for the datasets of the organisation
	Contributor  bool // may deliver and withdraw for the organisation
}

// Action is what is decided of a delivery.
type Action string

// The actions.
const (
	Approve  Action = "approve"
	Reject   Action = "reject"
	Withdraw Action = "withdraw"
	Retry    Action = "retry"  // check and compare again
	Cancel   Action = "cancel" // stop what is waiting or running
)

// Decision is an action as recorded.
type Decision struct {
	ID           int64      `json:"id"`
	Action       Action     `json:"action"`
	Actor        string     `json:"actor"`
	Organisation string     `json:"organisation,omitempty"`
	Document     string     `json:"document,omitempty"`
	Note         string     `json:"note,omitempty"`
	DecidedAt    time.Time  `json:"decided"`
	CarriedAt    *time.Time `json:"carried,omitempty"`
	Error        string     `json:"error,omitempty"`
}

const maxNote = 2000 // characters of a note or a document's number

// waiting are the states in which an action may be taken.
var waiting = map[Action][]string{
	Approve:  {StateAwaiting},
	Reject:   {StateAwaiting},
	Withdraw: {StateReceiving, StateReceived, StateInspected, StateAwaiting},
	Retry:    {StateFailed, StateAwaiting},
	Cancel:   {StateReceiving, StateReceived, StateInspected, StateLoading, StateChecked},
}

// Request records a decision that a worker will carry out, after checking that
// by may take it. It needs no more than the rights of the server.
func (i *Ingester) Request(ctx context.Context, id int64, action Action, by Decider) (decision int64, err error) {
	err = postgis.Transact(ctx, i.pool, i.pool, func(tx pgx.Tx) error {
		if decision, err = record(ctx, tx, id, action, by); err != nil {
			return err
		}
		if i.config.Enqueue == nil {
			return errNoWorkers
		}
		return i.config.Enqueue(ctx, tx, Job{Decision: decision})
	})
	return decision, err
}

var errNoWorkers = problem.New(problem.Busy, "no-workers", "", "没有配置入库工作进程，请联系管理员（changde worker）", "no workers are configured; ask the operator (changde worker)")

// Decide records a decision and carries it out at once.
func (i *Ingester) Decide(ctx context.Context, id int64, action Action, by Decider) error {
	var decision int64
	err := pgx.BeginFunc(ctx, i.pool, func(tx pgx.Tx) (err error) {
		decision, err = record(ctx, tx, id, action, by)
		return err
	})
	if err != nil {
		return err
	}
	return i.Carry(ctx, decision, nil)
}

// record checks and writes a decision.
func record(ctx context.Context, tx pgx.Tx, id int64, action Action, by Decider) (int64, error) {
	if len([]rune(by.Note)) > maxNote || len([]rune(by.Document)) > 200 {
		return 0, problem.New(problem.TooLarge, "note-long", "note", fmt.Sprintf("意见最多 %d 字，文号最多 200 字", maxNote), fmt.Sprintf("a note has at most %d characters, a document's number 200", maxNote))
	}
	states, ok := waiting[action]
	if !ok {
		return 0, problem.New(problem.Invalid, "action-unknown", string(action), "操作只能是 approve、reject、withdraw、retry 或 cancel", "the action is one of approve, reject, withdraw, retry, cancel")
	}
	var state, sender, owner string
	var actors []string
	var fourEyes bool
	err := tx.QueryRow(ctx, `SELECT v.state, coalesce(v.sender, ''), v.actors || v.actor, coalesce(d.owner, v.request->'settings'->>'owner', ''),
		`+fourEyesSQL+`
		FROM changde.deliveries v LEFT JOIN changde.datasets d ON d.id = v.dataset WHERE v.id = $1`, id).Scan(&state, &sender, &actors, &owner, &fourEyes)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, ErrNoDelivery
	}
	if err != nil {
		return 0, fmt.Errorf("read delivery %d: %w", id, err)
	}
	if !by.Admin && by.Organisation != sender && by.Organisation != owner {
		return 0, ErrNoDelivery // who may not see it is not told of it
	}
	allowed := by.may(action, sender, owner)
	if !allowed {
		return 0, problem.New(problem.Forbidden, "decision-forbidden", fmt.Sprint(id),
			"您的密钥没有作此决定的权限：审批属于数据集所属单位的审批人，撤回属于交付单位", "your key may not decide this: approvers of the dataset's owner approve, the sender withdraws")
	}
	if action == Approve && fourEyes && slices.Contains(actors, by.Actor) {
		return 0, problem.New(problem.Forbidden, "four-eyes", fmt.Sprint(id),
			"该数据集要求双人把关：参与交付的人不能审批", "this dataset wants four eyes: who took part in the delivery cannot approve it")
	}
	for _, s := range states {
		if s == state {
			return insertDecision(ctx, tx, id, action, by)
		}
	}
	return 0, problem.New(problem.Conflict, "delivery-state", fmt.Sprint(id),
		fmt.Sprintf("交付处于 %s 状态，不能执行 %s", state, action), fmt.Sprintf("the delivery is %s; %s is not possible", state, action))
}

// fourEyesSQL tells whether a delivery, or its dataset, wants two persons.
const fourEyesSQL = `coalesce(v.request->'settings'->>'approval', '') = 'four-eyes' OR coalesce(d.approval, '') = 'four-eyes'`

// may reports whether the organisation and role of by allow an action on a delivery
// of sender for a dataset of owner.
func (by Decider) may(action Action, sender, owner string) bool {
	sending := by.Admin || by.Contributor && by.Organisation != "" && by.Organisation == sender
	deciding := by.Admin || by.Approver && by.Organisation != "" && by.Organisation == owner
	if action == Withdraw || action == Retry || action == Cancel {
		return sending || deciding
	}
	return deciding
}

// May lists the actions that by may take on the delivery as it stands.
func (d *Delivery) May(by Decider) []Action {
	out := []Action{}
	for _, action := range []Action{Approve, Reject, Withdraw, Retry, Cancel} {
		if slices.Contains(waiting[action], d.State) && by.may(action, d.Sender, d.Owner) &&
			(action != Approve || !d.fourEyes || !slices.Contains(d.actors, by.Actor)) {
			out = append(out, action)
		}
	}
	return out
}

func insertDecision(ctx context.Context, tx pgx.Tx, id int64, action Action, by Decider) (decision int64, err error) {
	err = tx.QueryRow(ctx, `INSERT INTO changde.decisions (delivery, action, actor, organisation, document, note, difference)
		SELECT $1, $2, $3, $4, $5, $6, md5(coalesce(difference::text, '')) FROM changde.deliveries WHERE id = $1 RETURNING id`,
		id, string(action), by.Actor, by.Organisation, cleanText(by.Document), cleanText(by.Note)).Scan(&decision)
	if err != nil {
		return 0, fmt.Errorf("record decision: %w", err)
	}
	return decision, audit(ctx, tx, by, string(action), fmt.Sprintf("delivery:%d", id), map[string]any{"decision": decision})
}

// audit records an action for good.
func audit(ctx context.Context, tx pgx.Tx, by Decider, action, object string, detail map[string]any) error {
	if by.Document != "" {
		detail["document"] = by.Document
	}
	if by.Note != "" {
		detail["note"] = cleanText(by.Note)
	}
	return access.Act{Actor: by.Actor, Organisation: by.Organisation, Action: action, Object: object, Detail: detail}.Record(ctx, tx)
}

// Carry carries out a recorded decision once; a decision that was carried out is
// left alone. A decision that the delivery no longer allows is recorded as failed
// and returned as a problem.
func (i *Ingester) Carry(ctx context.Context, decision int64, progress func(Progress)) error {
	conn, err := i.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Release()
	var id int64
	var action Action
	var by Decider
	var carried bool
	err = conn.QueryRow(ctx, "SELECT delivery, action, actor, organisation, document, note, carried_at IS NOT NULL FROM changde.decisions WHERE id = $1", decision).
		Scan(&id, &action, &by.Actor, &by.Organisation, &by.Document, &by.Note, &carried)
	if err != nil {
		return fmt.Errorf("read decision %d: %w", decision, err)
	}
	if carried {
		return nil
	}
	err = i.carry(ctx, conn, id, decision, action, by, progress)
	var p *problem.Error
	if err != nil && (!errors.As(err, &p) || p.Kind == problem.Busy) { // to be tried again
		err = postgis.Fault(ctx, err, fmt.Sprintf("%s delivery %d", action, id))
		i.hold(decision, err)
		return err
	}
	text := ""
	if p != nil {
		text = p.Error()
	}
	// The connection may have been lost although the decision was carried out.
	if _, e := i.pool.Exec(ctx, "UPDATE changde.decisions SET carried_at = now(), error = nullif($2, '') WHERE id = $1", decision, text); e != nil {
		return errors.Join(err, fmt.Errorf("record decision %d: %w", decision, e))
	}
	return err
}

// hold writes why a decision is not carried out yet, for those who wait for it.
func (i *Ingester) hold(decision int64, cause error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if _, err := i.pool.Exec(ctx, "UPDATE changde.decisions SET error = $2 WHERE id = $1 AND carried_at IS NULL", decision, cleanText(reason(cause))); err != nil {
		i.config.Log.Warn("the reason why a decision waits is not recorded", "decision", decision, "err", err)
	}
}

// reason is what people are told of an error: a problem's own words, and of a fault
// of the platform no more than that there was one.
func reason(err error) string {
	var p *problem.Error
	if errors.As(err, &p) {
		return p.Error()
	}
	return "平台故障，将再次尝试 / a fault of the platform; it will be tried again"
}

func (i *Ingester) carry(ctx context.Context, conn *pgxpool.Conn, id, decision int64, action Action, by Decider, progress func(Progress)) error {
	if action == Cancel {
		return i.cancel(ctx, conn, id)
	}
	if err := lock(ctx, conn, id); err != nil {
		return err
	}
	defer unlock(conn, id)
	switch action {
	case Approve:
		var dataset string
		var seen bool
		err := conn.QueryRow(ctx, `SELECT v.dataset, d.difference = md5(coalesce(v.difference::text, '')) FROM changde.deliveries v
			JOIN changde.decisions d ON d.delivery = v.id WHERE v.id = $1 AND d.id = $2`, id, decision).Scan(&dataset, &seen)
		if err != nil {
			return err
		}
		if !seen {
			return errOutdated // compared again after the person looked
		}
		_, err = i.publish(ctx, conn, id, decision, by)
		if errors.Is(err, errCancelled) {
			return cancelled(id)
		}
		if err != nil {
			return err
		}
		i.retain(ctx, dataset)
		return nil
	case Reject:
		return i.close(ctx, conn, id, decision, StateRejected, by)
	case Withdraw:
		return i.close(ctx, conn, id, decision, StateWithdrawn, by)
	}
	return i.again(ctx, conn, id, progress)
}

// lock takes the delivery's lock for the session, or says that somebody has it.
func lock(ctx context.Context, conn *pgxpool.Conn, id int64) error {
	var free bool
	if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1::int, $2::int)", lockClass, int32(id)).Scan(&free); err != nil {
		return fmt.Errorf("lock delivery %d: %w", id, err)
	}
	if !free {
		return ErrBusy
	}
	return nil
}

// ErrBusy answers for a delivery, or a dataset, that a worker is at.
var ErrBusy = problem.New(problem.Busy, "delivery-busy", "", "有工作进程正在处理，请稍后再试", "a worker is at it; try again later")

// close ends a delivery that will not be released.
func (i *Ingester) close(ctx context.Context, conn *pgxpool.Conn, id, decision int64, state string, by Decider) error {
	return postgis.Transact(ctx, i.pool, conn, func(tx pgx.Tx) error {
		var relation string
		err := tx.QueryRow(ctx, `UPDATE changde.deliveries SET state = $2, finished_at = now(), error = nullif($3, '')
			WHERE id = $1 AND state IN ('receiving', 'received', 'inspected', 'awaiting') RETURNING relation`, id, state, cleanText(by.Note)).Scan(&relation)
		if errors.Is(err, pgx.ErrNoRows) {
			return problem.New(problem.Conflict, "delivery-state", fmt.Sprint(id), "交付的状态已变，请刷新", "the delivery's state has changed; read it again")
		}
		if err != nil {
			return fmt.Errorf("close delivery %d: %w", id, err)
		}
		if err := carried(ctx, tx, decision); err != nil {
			return err
		}
		return dropStaged(ctx, tx, id, relation)
	})
}

// carried records, in the transaction that does it, that a decision was carried
// out, so that a worker that dies right after does not do it again.
func carried(ctx context.Context, tx pgx.Tx, decision int64) error {
	if decision == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, "UPDATE changde.decisions SET carried_at = now(), error = NULL WHERE id = $1", decision); err != nil {
		return fmt.Errorf("record decision %d: %w", decision, err)
	}
	return nil
}

// dropStaged removes what a delivery that is not released had staged.
func dropStaged(ctx context.Context, tx pgx.Tx, id int64, relation string) error {
	q := new(postgis.SQL).Raw("DROP TABLE IF EXISTS ").Ident("difference", fmt.Sprintf("d%d", id))
	if relation != "" {
		q.Raw("; DROP TABLE IF EXISTS ").Ident("content", relation)
	}
	if _, err := tx.Exec(ctx, q.String()); err != nil {
		return fmt.Errorf("drop what delivery %d staged: %w", id, err)
	}
	return nil
}
