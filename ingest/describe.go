package ingest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"changde/catalog"
	"changde/problem"
)

// ensure makes the dataset's row when there is none. Without a release it is
// visible to nobody.
func ensure(ctx context.Context, db interface {
	Exec(context.Context, string, ...any) (pgconn.CommandTag, error)
}, dataset string,
) error {
	_, err := db.Exec(ctx, `INSERT INTO changde.datasets (id, title_zh) VALUES ($1, $1) ON CONFLICT (id) DO NOTHING`, dataset)
	if err != nil {
		return fmt.Errorf("make dataset %s: %w", dataset, err)
	}
	return nil
}

// describe changes what the request says of the dataset, in the transaction that
// publishes: settings and rows change together or not at all.
func describe(ctx context.Context, tx pgx.Tx, dataset string, set Settings) error {
	var box []float64
	if set.Box != nil {
		box = set.Box[:]
	}
	metadata, err := json.Marshal(set.Metadata)
	if err != nil {
		return fmt.Errorf("encode metadata: %w", err)
	}
	if set.Metadata == nil {
		metadata = []byte("{}")
	}
	var tiles []byte // nil leaves the rules as they are
	if set.Tiles != nil {
		if tiles, err = json.Marshal(set.Tiles); err != nil {
			return fmt.Errorf("encode rules of tiles: %w", err)
		}
	}
	var narrowed bool
	err = tx.QueryRow(ctx, `
		WITH old AS (SELECT id, sharing FROM changde.datasets WHERE id = $1)
		UPDATE changde.datasets d SET
			title_zh = coalesce(nullif($2, ''), title_zh), title_en = coalesce(nullif($3, ''), title_en),
			description = coalesce(nullif($4, ''), description), owner = coalesce(nullif($5, ''), owner),
			sharing = coalesce(nullif($6, ''), d.sharing), business_key = nullif(coalesce(nullif($7, ''), business_key), '-'),
			label = nullif(coalesce(nullif($8, ''), label), '-'), class = nullif(coalesce(nullif($9, ''), class), '-'),
			time_column = nullif(coalesce(nullif($10, ''), time_column), '-'), attribution = coalesce(nullif($11, ''), attribution),
			synthetic = coalesce($12, synthetic), box = coalesce($13, box),
			profile = coalesce(nullif(coalesce(nullif($14, ''), profile), '-'), ''), approval = coalesce(nullif($15, ''), approval), editable = coalesce($16, editable),
			metadata = (SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each_text(metadata || coalesce($17::jsonb, '{}')) WHERE value <> '-'),
			tiles = coalesce($18::jsonb, tiles), grids = CASE WHEN $19::text[] IS NULL THEN grids WHEN $19 = '{-}' THEN '{}' ELSE $19 END
		FROM old WHERE d.id = old.id
		RETURNING (array_position(ARRAY['private', 'internal', 'public'], d.sharing) < array_position(ARRAY['private', 'internal', 'public'], old.sharing))`,
		dataset, set.TitleZH, set.TitleEN, set.Description, set.Owner, string(set.Sharing), set.BusinessKey, set.Label, set.Class, set.TimeColumn,
		set.Attribution, set.Synthetic, box, set.Profile, string(set.Approval), set.Editable, metadata, tiles, set.Grids).Scan(&narrowed)
	if err != nil {
		return fmt.Errorf("describe dataset %s: %w", dataset, err)
	}
	if !narrowed {
		return nil
	}
	// A project's point was drawn from what everybody could see; it must not go on
	// telling where the features of this dataset are.
	tag, err := tx.Exec(ctx, `
		WITH affected AS (
			SELECT fid FROM changde.projects p WHERE geom IS NOT NULL
			AND EXISTS (SELECT FROM changde.project_assets a WHERE a.project_fid = p.fid AND a.collection = $1)
		), taken AS (
			UPDATE changde.datasets SET revision = revision + 1 WHERE id = 'projects' AND EXISTS (SELECT FROM affected) RETURNING revision
		)
		UPDATE changde.projects p SET geom = NULL, rev = t.revision FROM taken t WHERE p.fid IN (SELECT fid FROM affected)`, dataset)
	if err != nil {
		return fmt.Errorf("withdraw points of projects: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return nil
	}
	return notify(ctx, tx, "projects")
}

// Describe changes a dataset's settings without a delivery. It takes a revision,
// for tiles show labels and classes, and every server hears of it. A dataset without
// rules for its tiles takes those of a profile that it is given.
func (i *Ingester) Describe(ctx context.Context, dataset string, set Settings) error {
	s, err := i.settings(ctx, Request{Dataset: dataset, Settings: set})
	if err != nil {
		return err
	}
	if !s.exists {
		return problem.New(problem.NotFound, "dataset-unknown", dataset, "没有这个数据集", "there is no such dataset")
	}
	if err := s.checkColumns(s.columns); err != nil {
		return err
	}
	if set.BusinessKey != "" {
		return problem.New(problem.Conflict, "business-key-fixed", dataset,
			"业务主键随交付设定，以便检查唯一性：请在下一次 ingest 中用 --business-key 指定", "a business key is set by a delivery, which proves it unique: give --business-key to the next ingest")
	}
	if set.Profile != "" && set.Profile != NoColumn {
		std, ok := i.config.Library.Profile(set.Profile)
		if !ok {
			return unknownProfile(set.Profile)
		}
		if set.Tiles == nil && s.tiles.IsZero() {
			set.Tiles = tileRules(std, func(name string) bool {
				return slices.ContainsFunc(s.columns, func(c catalog.Column) bool { return c.Name == name })
			})
		}
	}
	return pgx.BeginFunc(ctx, i.pool, func(tx pgx.Tx) error {
		_, revision, err := next(ctx, tx, dataset)
		if err != nil {
			return err
		}
		if err := describe(ctx, tx, dataset, set); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "UPDATE changde.datasets SET revision = $2, updated_at = now() WHERE id = $1", dataset, revision); err != nil {
			return fmt.Errorf("describe dataset %s: %w", dataset, err)
		}
		if _, err := (catalog.Revision{Dataset: dataset, Number: revision, Kind: "settings"}).Record(ctx, tx); err != nil {
			return err
		}
		if err := grantEdits(ctx, tx, dataset); err != nil {
			return err
		}
		// How the dataset is shared is decided for what is current, not for what was
		// released before.
		if _, err := tx.Exec(ctx, `UPDATE changde.releases r SET sharing = d.sharing FROM changde.datasets d
			WHERE d.id = $1 AND r.dataset = d.id AND r.release = d.release AND $2 <> ''`, dataset, string(set.Sharing)); err != nil {
			return fmt.Errorf("describe dataset %s: %w", dataset, err)
		}
		return notify(ctx, tx, dataset)
	})
}

// notify tells every server, when the transaction commits.
func notify(ctx context.Context, tx pgx.Tx, dataset string) error {
	if _, err := tx.Exec(ctx, "SELECT pg_notify($1, $2)", catalog.Channel, dataset); err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	return nil
}
