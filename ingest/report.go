package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"changde/problem"
)

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
}

// Releases lists a dataset's releases, oldest first, the last 1,000 at most.
func (i *Ingester) Releases(ctx context.Context, dataset string) ([]ReleaseInfo, error) {
	rows, err := i.pool.Query(ctx, `
		SELECT * FROM (
			SELECT r.release, r.revision, r.rows, coalesce(r.delivery, 0), coalesce(r.restores, 0),
			       r.relation IS NOT NULL, r.release = d.release, r.released_at, r.note
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
	Sender     string     `json:"sender,omitempty"`
	Owner      string     `json:"-"` // of the dataset: may read the report
	Files      []string   `json:"files"`
	Bytes      int64      `json:"bytes"`
	SHA256     string     `json:"sha256"`
	StartedAt  time.Time  `json:"started"`
	FinishedAt *time.Time `json:"finished"`
}

// Delivery reads a delivery with up to limit findings, in the order of rows.
func (i *Ingester) Delivery(ctx context.Context, id int64, limit int) (*Delivery, error) {
	var d Delivery
	err := pgx.BeginTxFunc(ctx, i.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `
			SELECT v.id, v.dataset, v.state, coalesce(r.release, 0), v.rows_read, v.published, v.repaired, v.refused, v.noted, coalesce(v.error, ''),
			       coalesce(v.sender, ''), coalesce(d.owner, ''), v.files, v.bytes, encode(v.sha256, 'hex'), v.started_at, v.finished_at,
			       (SELECT count(*) FROM changde.findings f WHERE f.delivery = v.id)
			FROM changde.deliveries v JOIN changde.datasets d ON d.id = v.dataset
			LEFT JOIN changde.releases r ON r.delivery = v.id AND r.restores IS NULL
			WHERE v.id = $1`, id).Scan(&d.Report.Delivery, &d.Dataset, &d.State, &d.Release, &d.Read, &d.Published, &d.Repaired, &d.Refused, &d.Noted, &d.Error,
			&d.Sender, &d.Owner, &d.Files, &d.Bytes, &d.SHA256, &d.StartedAt, &d.FinishedAt, &d.Kept)
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, "SELECT code, count(*) FROM changde.findings WHERE delivery = $1 GROUP BY code", id)
		if err != nil {
			return err
		}
		d.Codes = make(map[string]int64)
		var code string
		var n int64
		if _, err := pgx.ForEachRow(rows, []any{&code, &n}, func() error { d.Codes[code] = n; return nil }); err != nil {
			return err
		}
		rows, err = tx.Query(ctx, `SELECT row_number, code, action, field, reason_zh, reason_en, ST_X(place), ST_Y(place)
			FROM changde.findings WHERE delivery = $1 ORDER BY n LIMIT $2`, id, limit)
		if err != nil {
			return err
		}
		d.Findings, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (Finding, error) {
			var f Finding
			var lon, lat *float64
			err := row.Scan(&f.Row, &f.Code, &f.Action, &f.Field, &f.ZH, &f.EN, &lon, &lat)
			if lon != nil && lat != nil {
				f.Place = &[2]float64{*lon, *lat}
			}
			return f, err
		})
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrNoDelivery
	}
	if err != nil {
		return nil, fmt.Errorf("read delivery %d: %w", id, err)
	}
	return &d, nil
}

// ErrNoDelivery answers for a delivery that does not exist, and for one the
// caller may not see.
var ErrNoDelivery = problem.New(problem.NotFound, "delivery-not-found", "", "没有这个交付，或不对您开放", "there is no such delivery, or it is not shared with you")
