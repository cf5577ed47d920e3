package ingest

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"changde/catalog"
	"changde/postgis"
	"changde/problem"
)

// ensure makes the dataset's row when there is none. Without a release it is
// visible to nobody.
func ensure(ctx context.Context, conn *pgxpool.Conn, p *Plan) error {
	_, err := conn.Exec(ctx, `INSERT INTO changde.datasets (id, title_zh) VALUES ($1, $1) ON CONFLICT (id) DO NOTHING`, p.Dataset)
	if err != nil {
		return fmt.Errorf("make dataset %s: %w", p.Dataset, err)
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
	_, err := tx.Exec(ctx, `
		UPDATE changde.datasets SET
			title_zh = coalesce(nullif($2, ''), title_zh), title_en = coalesce(nullif($3, ''), title_en),
			description = coalesce(nullif($4, ''), description), owner = coalesce(nullif($5, ''), owner),
			sharing = coalesce(nullif($6, ''), sharing), business_key = nullif(coalesce(nullif($7, ''), business_key), '-'),
			label = nullif(coalesce(nullif($8, ''), label), '-'), class = nullif(coalesce(nullif($9, ''), class), '-'),
			time_column = nullif(coalesce(nullif($10, ''), time_column), '-'), attribution = coalesce(nullif($11, ''), attribution),
			synthetic = coalesce($12, synthetic), box = coalesce($13, box)
		WHERE id = $1`,
		dataset, set.TitleZH, set.TitleEN, set.Description, set.Owner, string(set.Sharing), set.BusinessKey, set.Label, set.Class, set.TimeColumn,
		set.Attribution, set.Synthetic, box)
	if err != nil {
		return fmt.Errorf("describe dataset %s: %w", dataset, err)
	}
	if set.Sharing == "" || set.Sharing == catalog.Public {
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
// for tiles show labels and classes, and every server hears of it.
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

// staged records a checked content on its delivery, in the load's transaction.
func (i *Ingester) staged(ctx context.Context, tx pgx.Tx, id int64, c *content, r *Report) error {
	columns, err := catalog.EncodeColumns(c.columns)
	if err != nil {
		return fmt.Errorf("encode columns: %w", err)
	}
	_, err = tx.Exec(ctx, `UPDATE changde.deliveries SET state = 'staged', rows_read = $2, published = $3, repaired = $4, refused = $5, noted = $6,
		geometry_type = $7, columns = $8, extent = $9 WHERE id = $1`,
		id, r.Read, c.rows, r.Repaired, r.Refused, r.Noted, c.geometry, columns, c.extent[:])
	if err != nil {
		return fmt.Errorf("record staged delivery: %w", err)
	}
	return nil
}

// publishStaged makes a staged delivery the dataset's next release. Everything a
// reader may ask changes in this one transaction.
func (i *Ingester) publishStaged(ctx context.Context, conn *pgxpool.Conn, id int64, set Settings) (release int, err error) {
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		var dataset, table string
		var columns []byte
		if err := tx.QueryRow(ctx, `SELECT dataset, relation, columns FROM changde.deliveries WHERE id = $1 AND state = 'staged' FOR UPDATE`, id).
			Scan(&dataset, &table, &columns); err != nil {
			return fmt.Errorf("read staged delivery %d: %w", id, err)
		}
		var revision int64
		if release, revision, err = next(ctx, tx, dataset); err != nil {
			return err
		}
		if err := describe(ctx, tx, dataset, set); err != nil {
			return err
		}
		// A constant default is stored once, not in each row.
		rev := new(postgis.SQL).Raw("ALTER TABLE ").Ident("content", table).Raw(" ADD COLUMN rev bigint NOT NULL DEFAULT ").Int(revision)
		if _, err := tx.Exec(ctx, rev.String()); err != nil {
			return fmt.Errorf("stamp revision: %w", err)
		}
		if _, err := tx.Exec(ctx, `
			INSERT INTO changde.releases (dataset, release, revision, delivery, relation, geometry_type, columns, rows, extent, sharing)
			SELECT v.dataset, $2, $3, v.id, 'content.' || v.relation, v.geometry_type, v.columns, v.published, v.extent, d.sharing
			FROM changde.deliveries v JOIN changde.datasets d ON d.id = v.dataset WHERE v.id = $1`,
			id, release, revision); err != nil {
			return fmt.Errorf("record release: %w", err)
		}
		if _, err := tx.Exec(ctx, "UPDATE changde.deliveries SET state = 'released', finished_at = now() WHERE id = $1", id); err != nil {
			return fmt.Errorf("record release: %w", err)
		}
		names, err := catalog.DecodeColumns(columns)
		if err != nil {
			return err
		}
		return point(ctx, tx, dataset, release, revision, table, names)
	})
	return release, err
}

// next locks the dataset and gives the numbers of its next release.
func next(ctx context.Context, tx pgx.Tx, dataset string) (release int, revision int64, err error) {
	if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '30s'"); err != nil {
		return 0, 0, err
	}
	// The lock and the count are two statements: a statement that waited for the
	// lock still sees the releases of before it waited.
	err = tx.QueryRow(ctx, "SELECT revision + 1 FROM changde.datasets WHERE id = $1 FOR UPDATE", dataset).Scan(&revision)
	if err == nil {
		err = tx.QueryRow(ctx, "SELECT coalesce(max(release), 0) + 1 FROM changde.releases WHERE dataset = $1", dataset).Scan(&release)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("lock dataset %s: %w", dataset, err)
	}
	return release, revision, nil
}

// point makes a release the one readers see: the dataset's row, the view for SQL
// tools, and the word to every server.
func point(ctx context.Context, tx pgx.Tx, dataset string, release int, revision int64, table string, columns []catalog.Column) error {
	if _, err := tx.Exec(ctx, "UPDATE changde.datasets SET release = $2, revision = $3, updated_at = now() WHERE id = $1",
		dataset, release, revision); err != nil {
		return fmt.Errorf("point dataset %s at release %d: %w", dataset, release, err)
	}
	view := new(postgis.SQL).Raw(" AS SELECT fid")
	for _, c := range columns {
		view.Raw(", ").Ident(c.Name)
	}
	view.Raw(", rev, geom FROM ").Ident("content", table)
	if err := replaceView(ctx, tx, dataset, view); err != nil {
		var e *pgconn.PgError
		if errors.As(err, &e) && e.Code == "2BP01" {
			return problem.Wrap(err, problem.Conflict, "view-in-use", "data."+dataset,
				"有其他视图依赖 data."+dataset+"，无法替换："+e.Detail, "other views depend on data."+dataset+", so it cannot be replaced: "+e.Detail)
		}
		if errors.As(err, &e) && e.Code == "55P03" {
			return problem.Wrap(err, problem.Busy, "view-read", "data."+dataset,
				"有 SQL 会话长时间占用视图 data."+dataset+"，30 秒内无法替换；请结束该会话后重试", "an SQL session has held the view data."+dataset+" for 30 seconds; end it and try again")
		}
		return fmt.Errorf("replace view data.%s: %w", dataset, err)
	}
	return notify(ctx, tx, dataset)
}

// replaceView keeps the view itself where it can, so that what others built on it
// stays.
func replaceView(ctx context.Context, tx pgx.Tx, dataset string, body *postgis.SQL) error {
	create := new(postgis.SQL).Raw("CREATE OR REPLACE VIEW ").Ident("data", dataset).Add(body)
	err := pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, create.String())
		return err
	})
	var e *pgconn.PgError
	if !errors.As(err, &e) || e.Code != "42P16" { // invalid_table_definition: other columns
		return err
	}
	drop := new(postgis.SQL).Raw("DROP VIEW ").Ident("data", dataset).Raw("; ").Add(create)
	_, err = tx.Exec(ctx, drop.String())
	return err
}

// Rollback makes the content of an earlier release current again, as a release
// of its own: readers, tiles and counts change together, and a second Rollback
// undoes the first. to is the release to restore, 0 for the one before the
// current.
func (i *Ingester) Rollback(ctx context.Context, dataset string, to int, note string) (release int, err error) {
	err = pgx.BeginFunc(ctx, i.pool, func(tx pgx.Tx) error {
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
		var relation *string
		var columns []byte
		err := tx.QueryRow(ctx, "SELECT relation, columns FROM changde.releases WHERE dataset = $1 AND release = $2", dataset, to).Scan(&relation, &columns)
		if errors.Is(err, pgx.ErrNoRows) || err == nil && relation == nil {
			return problem.New(problem.Conflict, "release-not-kept", fmt.Sprintf("%s/%d", dataset, to),
				"没有这个版本，或其内容已超过保留数量而清除；可用 changde release list 查看", "no such release, or its content is no longer kept; see changde release list")
		}
		if err != nil {
			return fmt.Errorf("read release: %w", err)
		}
		if _, err := tx.Exec(ctx, `
			INSERT INTO changde.releases (dataset, release, revision, delivery, restores, relation, geometry_type, columns, rows, extent, sharing, note)
			SELECT dataset, $3, $4, delivery, $2, relation, geometry_type, columns, rows, extent, sharing, $5
			FROM changde.releases WHERE dataset = $1 AND release = $2`, dataset, to, release, revision, note); err != nil {
			return fmt.Errorf("record release: %w", err)
		}
		names, err := catalog.DecodeColumns(columns)
		if err != nil {
			return err
		}
		return point(ctx, tx, dataset, release, revision, (*relation)[len("content."):], names)
	})
	if err != nil {
		return 0, err
	}
	i.retain(ctx, dataset)
	return release, nil
}

// retain drops contents beyond the number kept. It is housekeeping: what it
// cannot do it leaves to the next run.
func (i *Ingester) retain(ctx context.Context, dataset string) {
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
			drop := new(postgis.SQL).Raw("DROP TABLE ").Ident("content", relation[len("content."):])
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
