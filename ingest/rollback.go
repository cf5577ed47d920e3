package ingest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"changde/catalog"
	"changde/postgis"
	"changde/problem"
)

// Restored is what a rollback made.
type Restored struct {
	Release int
	Cleared []Cleared // settings that named fields the release does not have
}

// Cleared is a setting of a dataset that a rollback emptied.
type Cleared struct {
	Setting string `json:"setting"` // business-key, label, class or time
	Field   string `json:"field"`   // what it named
}

// Rollback makes the content of an earlier release current again, as a release
// of its own: readers, tiles and counts change together, and a second Rollback
// undoes the first. Only rows that differ are written. Settings that name a field
// which the restored release lacks are cleared, and told. to is the release to
// restore, 0 for the one before the current.
func (i *Ingester) Rollback(ctx context.Context, dataset string, to int, by Decider) (Restored, error) {
	var out Restored
	err := postgis.Transact(ctx, i.pool, i.pool, func(tx pgx.Tx) error {
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
		release, revision, err := next(ctx, tx, dataset)
		if err != nil {
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
		if out.Cleared, err = v.clear(ctx, tx); err != nil {
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
		detail := map[string]any{"release": release, "restores": to}
		if len(out.Cleared) > 0 {
			detail["cleared"] = out.Cleared
		}
		if err := audit(ctx, tx, by, "rollback", "dataset:"+dataset, detail); err != nil {
			return err
		}
		out.Release = release
		return i.announce(ctx, tx, dataset, release, revision)
	})
	if err != nil {
		return Restored{}, postgis.Fault(ctx, err, "roll back "+dataset)
	}
	i.retain(ctx, dataset)
	return out, nil
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

// clear empties the settings of the dataset that name a field which the content
// lacks: no delivery and no change of settings would pass with them.
func (v *staged) clear(ctx context.Context, tx pgx.Tx) ([]Cleared, error) {
	var named [4]string
	err := tx.QueryRow(ctx, `SELECT coalesce(business_key, ''), coalesce(label, ''), coalesce(class, ''), coalesce(time_column, '')
		FROM changde.datasets WHERE id = $1`, v.dataset).Scan(&named[0], &named[1], &named[2], &named[3])
	if err != nil {
		return nil, fmt.Errorf("read settings of %s: %w", v.dataset, err)
	}
	var out []Cleared
	var set Settings
	for n, role := range []struct {
		name string
		set  *string
	}{{"business-key", &set.BusinessKey}, {"label", &set.Label}, {"class", &set.Class}, {"time", &set.TimeColumn}} {
		field := named[n]
		if field == "" || slices.ContainsFunc(v.columns, func(c catalog.Column) bool { return c.Name == field }) {
			continue
		}
		*role.set = NoColumn
		out = append(out, Cleared{role.name, field})
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, describe(ctx, tx, v.dataset, set)
}
