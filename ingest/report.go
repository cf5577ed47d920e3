package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"changde/ingest/finding"
	"changde/postgis"
	"changde/problem"
)

// RuleResult is what became of one quality rule.
type RuleResult struct {
	Rule     string           `json:"rule"`
	Check    string           `json:"check,omitempty"`
	Severity finding.Severity `json:"severity"`
	Found    int64            `json:"found"`
	AtLeast  bool             `json:"atLeast,omitempty"` // Found was not counted to the end
	Rows     int64            `json:"rows"`              // looked at
	Seconds  float64          `json:"seconds"`
	SkipZH   string           `json:"skipZh,omitempty"` // why it was not applied, or not to the end
	SkipEN   string           `json:"skipEn,omitempty"`
}

// count takes over what was found.
func (r *Report) count(found *findings) {
	r.Codes = found.codes
	r.Repaired, r.Refused, r.Noted = found.count(finding.Repaired), found.count(finding.Refused), found.count(finding.Noted)
	for n := range r.Rules {
		// The loader and the comparison have applied these.
		rule := &r.Rules[n]
		if read := rule.Rule <= "Q04"; read || rule.Rule == "Q20" && r.Difference != nil {
			rule.Found, rule.Rows, rule.SkipZH, rule.SkipEN = found.rules[rule.Rule], r.Read, "", ""
		}
	}
	r.Blocking, r.Errors, r.Warnings = found.grades[finding.Block], found.grades[finding.Error], found.grades[finding.Warn]
}

// ReleaseInfo is a release as an operator sees it, those without content too.
type ReleaseInfo struct {
	Number     int
	Revision   int64
	Rows       int64
	Delivery   int64 // 0 for none
	Restores   int   // 0 for none
	Kept       bool
	Current    bool
	ReleasedAt time.Time
	Note       string
	Document   string
	Actor      string
}

// Releases lists a dataset's releases, oldest first, the last 1,000 at most.
func (i *Ingester) Releases(ctx context.Context, dataset string) ([]ReleaseInfo, error) {
	rows, err := i.pool.Query(ctx, `
		SELECT * FROM (
			SELECT r.release, r.revision, r.rows, coalesce(r.delivery, 0), coalesce(r.restores, 0),
			       r.relation IS NOT NULL, r.release = d.release, r.released_at, r.note, r.document, r.actor
			FROM changde.releases r JOIN changde.datasets d ON d.id = r.dataset
			WHERE r.dataset = $1 ORDER BY r.release DESC LIMIT 1000) x
		ORDER BY release`, dataset)
	if err != nil {
		return nil, fmt.Errorf("list releases: %w", err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowToStructByPos[ReleaseInfo])
	if err != nil {
		return nil, fmt.Errorf("list releases: %w", err)
	}
	if len(out) == 0 {
		return nil, problem.New(problem.NotFound, "dataset-unknown", dataset, "没有这个数据集，或它还没有版本", "no such dataset, or it has no release yet")
	}
	return out, nil
}

// Delivery is a delivery as recorded, with its report.
type Delivery struct {
	Report
	Plan       *Plan      `json:"plan,omitempty"`
	Progress   *Progress  `json:"progress,omitempty"`
	Decisions  []Decision `json:"decisions"`
	Sender     string     `json:"sender,omitempty"`
	Actor      string     `json:"actor,omitempty"`
	Document   string     `json:"document,omitempty"`
	Note       string     `json:"note,omitempty"`
	Owner      string     `json:"owner,omitempty"` // of the dataset
	SenderName string     `json:"senderName,omitempty"`
	OwnerName  string     `json:"ownerName,omitempty"`
	Files      []string   `json:"files"`
	Bytes      int64      `json:"bytes"`
	SHA256     string     `json:"sha256"`
	StartedAt  time.Time  `json:"started"`
	FinishedAt *time.Time `json:"finished"`

	actors   []string // who took part in delivering
	fourEyes bool
}

// Delivery reads a delivery with up to limit findings, in the order of rows.
func (i *Ingester) Delivery(ctx context.Context, id int64, limit int) (*Delivery, error) {
	var d Delivery
	err := pgx.BeginTxFunc(ctx, i.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if err := d.read(ctx, tx, id); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT id, action, actor, organisation, document, note, decided_at, carried_at, coalesce(error, '')
			FROM changde.decisions WHERE delivery = $1 ORDER BY id LIMIT 1000`, id)
		if err != nil {
			return err
		}
		if d.Decisions, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Decision]); err != nil {
			return err
		}
		d.Findings = []finding.Finding{}
		return eachFinding(ctx, tx, id, limit, func(f finding.Finding) error {
			d.Findings = append(d.Findings, f)
			return nil
		})
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrNoDelivery
	}
	if err != nil {
		return nil, postgis.Fault(ctx, err, fmt.Sprintf("read delivery %d", id))
	}
	return &d, nil
}

// read reads a delivery without its decisions and findings.
func (d *Delivery) read(ctx context.Context, tx pgx.Tx, id int64) error {
	var plan, difference, rules, progress []byte
	err := tx.QueryRow(ctx, `
		SELECT v.id, coalesce(v.dataset, ''), v.state, v.mode, coalesce(r.release, 0), v.rows_read, v.published, v.repaired, v.refused, v.noted, coalesce(v.error, ''),
		       v.blocking, v.errors, v.warnings, coalesce(v.codes, '{}'), v.confirm, v.plan, v.difference, v.rules, v.progress,
		       coalesce(v.sender, ''), v.actor, v.document, v.note, coalesce(d.owner, v.request->'settings'->>'owner', ''), v.files, v.bytes, coalesce(encode(v.sha256, 'hex'), ''),
		       v.started_at, v.finished_at, (SELECT count(*) FROM changde.findings f WHERE f.delivery = v.id),
		       coalesce(s.name_zh, ''), coalesce(o.name_zh, ''), v.actors || v.actor, `+fourEyesSQL+`
		FROM changde.deliveries v LEFT JOIN changde.datasets d ON d.id = v.dataset
		LEFT JOIN changde.organisations s ON s.id = v.sender
		LEFT JOIN changde.organisations o ON o.id = coalesce(d.owner, v.request->'settings'->>'owner')
		LEFT JOIN changde.releases r ON r.delivery = v.id AND r.restores IS NULL
		WHERE v.id = $1`, id).Scan(&d.Report.Delivery, &d.Dataset, &d.State, &d.Mode, &d.Release, &d.Read, &d.Published, &d.Repaired, &d.Refused, &d.Noted, &d.Error,
		&d.Blocking, &d.Errors, &d.Warnings, &d.Codes, &d.Confirm, &plan, &difference, &rules, &progress,
		&d.Sender, &d.Actor, &d.Document, &d.Note, &d.Owner, &d.Files, &d.Bytes, &d.SHA256, &d.StartedAt, &d.FinishedAt, &d.Kept,
		&d.SenderName, &d.OwnerName, &d.actors, &d.fourEyes)
	if err != nil {
		return err
	}
	for _, part := range []struct {
		data []byte
		into any
	}{{plan, &d.Plan}, {difference, &d.Difference}, {rules, &d.Rules}, {progress, &d.Progress}} {
		if part.data == nil {
			continue
		}
		if err := json.Unmarshal(part.data, part.into); err != nil {
			return fmt.Errorf("report of delivery %d: %w", id, err)
		}
	}
	return nil
}

// eachFinding calls f with up to limit stored findings, in the order of rows.
func eachFinding(ctx context.Context, tx pgx.Tx, id int64, limit int, f func(finding.Finding) error) error {
	rows, err := tx.Query(ctx, `SELECT row_number, file, rule, code, severity, action, field, reason_zh, reason_en, before, after, ST_X(place), ST_Y(place)
		FROM changde.findings WHERE delivery = $1 ORDER BY n LIMIT $2`, id, limit)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var found finding.Finding
		var lon, lat *float64
		err := rows.Scan(&found.Row, &found.File, &found.Rule, &found.Code, &found.Severity, &found.Action, &found.Field,
			&found.ZH, &found.EN, &found.Before, &found.After, &lon, &lat)
		if err != nil {
			return err
		}
		if lon != nil && lat != nil {
			found.Place = &[2]float64{*lon, *lat}
		}
		if err := f(found); err != nil {
			return err
		}
	}
	return rows.Err()
}

// ErrNoDelivery answers for a delivery that does not exist, and for one the
// caller may not see.
var ErrNoDelivery = problem.New(problem.NotFound, "delivery-not-found", "", "没有这个交付，或不对您开放", "there is no such delivery, or it is not shared with you")
