package ingest

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"changde/postgis"
)

// Summary is a delivery in a list.
type Summary struct {
	Delivery   int64      `json:"delivery"`
	Dataset    string     `json:"dataset"`
	State      string     `json:"state"`
	Mode       Mode       `json:"mode"`
	Release    int        `json:"release,omitempty"`
	Sender     string     `json:"sender,omitempty"`
	SenderName string     `json:"senderName,omitempty"`
	Actor      string     `json:"actor,omitempty"`
	Document   string     `json:"document,omitempty"`
	Files      []string   `json:"files"`
	Bytes      int64      `json:"bytes"`
	Read       int64      `json:"read"`
	Published  int64      `json:"published"`
	Refused    int64      `json:"refused"`
	Blocking   int64      `json:"blocking"`
	Errors     int64      `json:"errors"`
	Warnings   int64      `json:"warnings"`
	Confirm    bool       `json:"confirm,omitempty"`
	ZH         string     `json:"zh,omitempty"` // what it changes, in a sentence
	EN         string     `json:"en,omitempty"`
	Progress   *Progress  `json:"progress,omitempty"`
	Error      string     `json:"error,omitempty"`
	StartedAt  time.Time  `json:"started"`
	FinishedAt *time.Time `json:"finished"`
}

// Filter narrows a list of deliveries. Before continues after the delivery of that
// number; the newest come first.
type Filter struct {
	Dataset, State string
	Before         int64
	Limit          int // at most 1,000, default 50
}

// Deliveries lists the deliveries that concern the reader: those of its
// organisation and to its datasets, all for an operator. next is the Before of the
// next page, 0 on the last.
func (i *Ingester) Deliveries(ctx context.Context, by Decider, f Filter) (list []Summary, next int64, err error) {
	if f.Limit <= 0 {
		f.Limit = 50
	}
	f.Limit = min(f.Limit, 1000)
	rows, err := i.pool.Query(ctx, `
		SELECT v.id, coalesce(v.dataset, ''), v.state, v.mode, coalesce(r.release, 0), coalesce(v.sender, ''), coalesce(s.name_zh, ''), v.actor, v.document, v.files, v.bytes,
		       v.rows_read, v.published, v.refused, v.blocking, v.errors, v.warnings, v.confirm, coalesce(v.difference->>'zh', ''), coalesce(v.difference->>'en', ''),
		       CASE WHEN v.state = 'loading' THEN v.progress END, coalesce(v.error, ''), v.started_at, v.finished_at
		FROM changde.deliveries v LEFT JOIN changde.datasets d ON d.id = v.dataset
		LEFT JOIN changde.releases r ON r.delivery = v.id AND r.restores IS NULL
		LEFT JOIN changde.organisations s ON s.id = v.sender
		WHERE ($1 OR v.sender = $2 OR coalesce(d.owner, v.request->'settings'->>'owner') = $2) AND ($3 = '' OR v.dataset = $3) AND ($4 = '' OR v.state = $4) AND ($5 = 0 OR v.id < $5)
		ORDER BY v.id DESC LIMIT $6`, by.Admin, by.Organisation, f.Dataset, f.State, f.Before, f.Limit+1)
	if err != nil {
		return nil, 0, postgis.Fault(ctx, err, "list deliveries")
	}
	list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Summary])
	if err != nil {
		return nil, 0, postgis.Fault(ctx, err, fmt.Sprintf("list deliveries of %s", by.Organisation))
	}
	if len(list) > f.Limit {
		list = list[:f.Limit]
		next = list[f.Limit-1].Delivery
	}
	return list, next, nil
}

// Concerns reports whether a delivery may be read: by its sender, the owner of its
// dataset and operators.
func (d *Delivery) Concerns(by Decider) bool {
	return by.Admin || by.Organisation != "" && (by.Organisation == d.Owner || by.Organisation == d.Sender)
}

// EachFinding calls f with every stored finding of a delivery, in the order of
// rows, reading them as a stream.
func (i *Ingester) EachFinding(ctx context.Context, id int64, f func(Finding) error) error {
	return pgx.BeginTxFunc(ctx, i.pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		return eachFinding(ctx, tx, id, 1<<31-1, f)
	})
}
