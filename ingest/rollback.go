package ingest

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"changde/catalog"
	"changde/postgis"
	"changde/problem"
)

// Rollback makes the content of an earlier release current again, as a release
// of its own: readers, tiles and counts change together, and a second Rollback
// undoes the first. Only rows that differ are written. to is the release to
// restore, 0 for the one before the current.
func (i *Ingester) Rollback(ctx context.Context, dataset string, to int, by Decider) (release int, err error) {
	err = postgis.Transact(ctx, i.pool, i.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL statement_timeout = 0"); err != nil {
			return err
		}
		var exists bool
		if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM changde.datasets WHERE id = $1 AND release > 0 AND kind = 'delivered')", dataset).Scan(&exists); err != nil {
			return err
		}
		if !exists {
			return problem.New(problem.NotFound, "dataset-unknown", dataset, "没有这个数据集，或它没有可回退的版本", "no such dataset, or it has no release to roll back")
		}
		var revision int64
		if release, revision, err = next(ctx, tx, dataset); err != nil {
			return err
		}
		if to == 0 {
			if err := tx.QueryRow(ctx, "SELECT release - 1 FROM changde.datasets WHERE id = $1", dataset).Scan(&to); err != nil {
				return err
			}
			if to == 0 {
				return problem.New(problem.Conflict, "release-first", dataset, "当前为第一版，没有更早的版本可回退", "the current release is the first; there is none before it")
			}
		}
		v, target, err := kept(ctx, tx, dataset, to)
		if err != nil {
			return err
		}
		if err := v.restore(ctx, tx, target, revision); err != nil {
			return err
		}
		at, err := catalog.Revision{
			Dataset: dataset, Number: revision, Kind: "rollback", Relation: v.relation, Release: release,
			Actor: by.Actor, Organisation: by.Organisation, Document: by.Document, Note: by.Note,
		}.Record(ctx, tx)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			INSERT INTO changde.releases (dataset, release, revision, delivery, restores, relation, geometry_type, columns, rows, extent, sharing, released_at, statistics, document, actor, note)
			SELECT dataset, $3, $4, delivery, $2, relation, geometry_type, columns, rows, extent, sharing, $5, statistics, $6, $7, $8
			FROM changde.releases WHERE dataset = $1 AND release = $2`, dataset, to, release, revision, at, by.Document, by.Actor, by.Note); err != nil {
			return fmt.Errorf("record release: %w", err)
		}
		if err := point(ctx, tx, dataset, release, revision, v); err != nil {
			return err
		}
		if err := audit(ctx, tx, by, "rollback", "dataset:"+dataset, map[string]any{"release": release, "restores": to}); err != nil {
			return err
		}
		return i.announce(ctx, tx, dataset, release, revision)
	})
	if err != nil {
		return 0, postgis.Fault(ctx, err, "roll back "+dataset)
	}
	i.retain(ctx, dataset)
	return release, nil
}

// kept reads a release whose content is still there.
func kept(ctx context.Context, tx pgx.Tx, dataset string, number int) (*staged, int64, error) {
	v := staged{dataset: dataset}
	var relation *string
	var columns []byte
	var extent []float64
	var revision int64
	err := tx.QueryRow(ctx, "SELECT revision, relation, columns, rows, extent, coalesce(statistics, '{}') FROM changde.releases WHERE dataset = $1 AND release = $2", dataset, number).
		Scan(&revision, &relation, &columns, &v.rows, &extent, &v.statistics)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && relation == nil {
		return nil, 0, problem.New(problem.Conflict, "release-not-kept", fmt.Sprintf("%s/%d", dataset, number),
			"没有这个版本，或其内容已超过保留数量而清除；可用 changde release list 查看", "no such release, or its content is no longer kept; see changde release list")
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read release: %w", err)
	}
	v.relation = (*relation)[len("content."):]
	if len(extent) == 4 {
		v.extent = &catalog.Bounds{extent[0], extent[1], extent[2], extent[3]}
	}
	v.columns, err = catalog.DecodeColumns(columns)
	return &v, revision, err
}

// restore makes the current rows of the content those of an earlier revision of
// it: what came since becomes history, and what went comes back.
func (v *staged) restore(ctx context.Context, tx pgx.Tx, target, revision int64) error {
	history, changes := table("content", v.relation+catalog.HistorySuffix), table("content", v.relation+catalog.ChangesSuffix)
	q := new(postgis.SQL).Raw("WITH gone AS (DELETE FROM ").Ident("content", v.relation).Raw(" t WHERE fid IN (SELECT fid FROM ").Add(changes).
		Raw(" WHERE rev > ").Int(target).Raw(") AND rev > ").Int(target).Raw(" RETURNING t.*), kept AS (INSERT INTO ").Add(history).
		Raw(" SELECT gone.*, ").Int(revision).Raw(" FROM gone) INSERT INTO ").Add(changes).Raw(" SELECT ").Int(revision).Raw(", fid FROM gone")
	if _, err := tx.Exec(ctx, q.String()); err != nil {
		return fmt.Errorf("supersede rows: %w", err)
	}
	q = new(postgis.SQL).Raw("WITH back AS (INSERT INTO ").Ident("content", v.relation).Raw(" (fid")
	for _, c := range v.columns {
		q.Raw(", ").Ident(c.Name)
	}
	q.Raw(", geom, span, hash, rev) SELECT fid")
	for _, c := range v.columns {
		q.Raw(", ").Ident(c.Name)
	}
	q.Raw(", geom, span, hash, ").Int(revision).Raw(" FROM ").Add(history).Raw(" WHERE rev <= ").Int(target).Raw(" AND until > ").Int(target).
		Raw(" RETURNING fid) INSERT INTO ").Add(changes).Raw(" SELECT ").Int(revision).Raw(", fid FROM back ON CONFLICT DO NOTHING")
	if _, err := tx.Exec(ctx, q.String()); err != nil {
		return fmt.Errorf("restore rows: %w", err)
	}
	return nil
}

// retain drops contents beyond the number kept. It is housekeeping: what it
// cannot do it leaves to the next run.
func (i *Ingester) retain(ctx context.Context, dataset string) {
	if i.config.Keep <= 0 {
		return
	}
	err := pgx.BeginFunc(ctx, i.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '2s'"); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			SELECT relation FROM changde.releases WHERE dataset = $1 AND relation IS NOT NULL
			GROUP BY relation ORDER BY max(release) DESC OFFSET $2`, dataset, i.config.Keep)
		if err != nil {
			return err
		}
		old, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, relation := range old {
			if _, err := tx.Exec(ctx, "UPDATE changde.releases SET relation = NULL WHERE dataset = $1 AND relation = $2", dataset, relation); err != nil {
				return err
			}
			content := relation[len("content."):]
			drop := new(postgis.SQL).Raw("DROP TABLE ").Ident("content", content).Raw(", ").Ident("content", content+catalog.HistorySuffix).
				Raw(", ").Ident("content", content+catalog.ChangesSuffix)
			if _, err := tx.Exec(ctx, drop.String()); err != nil {
				return err
			}
		}
		if len(old) == 0 {
			return nil
		}
		return notify(ctx, tx, dataset)
	})
	if err != nil {
		i.config.Log.Warn("old contents not dropped", "dataset", dataset, "err", err)
	}
}
