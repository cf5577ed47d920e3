package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"changde/access"
	"changde/ingest/crs"
	"changde/problem"
)

// maxTransformations bounds what an operator may add.
const maxTransformations = 100

// TransformationUse is what is recorded of a transformation that a delivery was
// taken to CGCS2000 by: never its parameters.
type TransformationUse struct {
	ID      string  `json:"id"`
	Kind    string  `json:"kind"`
	Checked int     `json:"checkPoints"`
	RMS     float64 `json:"rms"`   // metres, of the check points
	Worst   float64 `json:"worst"` // metres
}

func useOf(id string, known []*crs.Transformation) *TransformationUse {
	for _, t := range known {
		if t.ID() == id && id != "" {
			r := t.Residuals(nil)
			return &TransformationUse{ID: id, Kind: string(t.Kind()), Checked: r.Checked, RMS: r.RMS, Worst: r.Worst}
		}
	}
	return nil
}

// recordTransformation keeps on the delivery, and in the audit, by what its
// coordinates were taken to CGCS2000.
func (p *Plan) recordTransformation(ctx context.Context, tx pgx.Tx, id int64) error {
	if p.Transformation == nil {
		return nil
	}
	data, err := json.Marshal(p.Transformation)
	if err != nil {
		return fmt.Errorf("encode transformation: %w", err)
	}
	if _, err := tx.Exec(ctx, "UPDATE changde.deliveries SET transformation = $2 WHERE id = $1", id, data); err != nil {
		return fmt.Errorf("record transformation: %w", err)
	}
	return access.Act{
		Actor: p.request.Actor, Organisation: p.request.Sender, Action: "transformation-use", Object: "transformation:" + p.Transformation.ID,
		Detail: map[string]any{"delivery": id, "rms": p.Transformation.RMS},
	}.Record(ctx, tx)
}

// transformations reads the protected store. The server's role may not, and has
// none.
func (i *Ingester) transformations(ctx context.Context) ([]*crs.Transformation, error) {
	rows, err := i.pool.Query(ctx, "SELECT document FROM secret.transformations ORDER BY id LIMIT $1", maxTransformations)
	if err != nil {
		return nil, fmt.Errorf("read transformations: %w", err)
	}
	documents, err := pgx.CollectRows(rows, pgx.RowTo[string])
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "42501" {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read transformations: %w", err)
	}
	out := make([]*crs.Transformation, 0, len(documents))
	for _, d := range documents {
		t, err := crs.ParseTransformation([]byte(d))
		if err != nil {
			return nil, fmt.Errorf("read transformations: %w", err)
		}
		out = append(out, t)
	}
	return out, nil
}

// TransformationInfo is a transformation as an operator sees it.
type TransformationInfo struct {
	TransformationUse
	Source    string
	Default   bool
	CreatedAt time.Time
	Actor     string
}

// AddTransformation keeps a transformation in the protected store.
func (i *Ingester) AddTransformation(ctx context.Context, t *crs.Transformation, by Decider) error {
	return pgx.BeginFunc(ctx, i.pool, func(tx pgx.Tx) error {
		var n int
		if err := tx.QueryRow(ctx, "SELECT count(*) FROM secret.transformations").Scan(&n); err != nil {
			return fmt.Errorf("add transformation: %w", err)
		}
		if n >= maxTransformations {
			return problem.New(problem.Conflict, "transformations-too-many", "", fmt.Sprintf("最多 %d 个坐标转换", maxTransformations), fmt.Sprintf("at most %d transformations", maxTransformations))
		}
		_, err := tx.Exec(ctx, "INSERT INTO secret.transformations (id, document, actor) VALUES ($1, $2, $3)", t.ID(), string(t.Document()), by.Actor)
		var pg *pgconn.PgError
		if errors.As(err, &pg) && pg.Code == "23505" {
			return problem.New(problem.Conflict, "transformation-exists", t.ID(), "已有同名的坐标转换；请先删除，或换一个标识", "there is a transformation of this id; remove it first, or take another id")
		}
		if err != nil {
			return errors.New("add transformation: the protected store does not take it") // the statement holds the parameters
		}
		return access.Act{Actor: by.Actor, Action: "transformation-add", Object: "transformation:" + t.ID()}.Record(ctx, tx)
	})
}

// RemoveTransformation takes a transformation out of the protected store.
func (i *Ingester) RemoveTransformation(ctx context.Context, id string, by Decider) error {
	return pgx.BeginFunc(ctx, i.pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "DELETE FROM secret.transformations WHERE id = $1", id)
		if err != nil {
			return fmt.Errorf("remove transformation: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return problem.New(problem.NotFound, "transformation-unknown", id, "没有这个坐标转换", "there is no such transformation")
		}
		return access.Act{Actor: by.Actor, Action: "transformation-remove", Object: "transformation:" + id}.Record(ctx, tx)
	})
}

// Transformations lists what is in the protected store, without parameters.
func (i *Ingester) Transformations(ctx context.Context) ([]TransformationInfo, error) {
	known, err := i.transformations(ctx)
	if err != nil {
		return nil, err
	}
	var out []TransformationInfo
	for _, t := range known {
		info := TransformationInfo{TransformationUse: *useOf(t.ID(), known), Default: t.Default()}
		info.Source, _ = t.Source()
		if err := i.pool.QueryRow(ctx, "SELECT created_at, actor FROM secret.transformations WHERE id = $1", t.ID()).Scan(&info.CreatedAt, &info.Actor); err != nil {
			return nil, fmt.Errorf("read transformations: %w", err)
		}
		out = append(out, info)
	}
	return out, nil
}
