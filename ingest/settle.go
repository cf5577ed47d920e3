package ingest

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"changde/catalog"
	"changde/postgis"
	"changde/problem"
)

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
// checked: in one transaction where the difference alone will be written, which
// releases it as well where nobody has to decide. A table that will be read as a
// whole is committed in between, so that its indexes are built on two connections;
// where the process dies Sweep drops it.
func (i *Ingester) settle(ctx context.Context, conn *pgxpool.Conn, l *loader, id int64, table string, report *Report, prepare func(pgx.Tx) error) error {
	var c *content
	err := postgis.Transact(ctx, i.pool, conn, func(tx pgx.Tx) error {
		if err := l.set(ctx, tx); err != nil {
			return err
		}
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
		l.progress(Progress{Phase: Publishing})
		if err := i.conclude(ctx, tx, l, id, c, report); err != nil {
			return err
		}
		if l.plan.waits(report) {
			if l.plan.request.Mode == Changes {
				return forgetPlaces(ctx, tx, id)
			}
			return nil
		}
		return i.promoteAtOnce(ctx, tx, l, id, report)
	})
	if err != nil {
		report.Release = 0
		return err
	}
	if !c.whole() {
		return nil
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

// promoteAtOnce releases a difference in the transaction that found it. Where the
// current release has changed meanwhile the delivery stays checked, to be compared
// again.
func (i *Ingester) promoteAtOnce(ctx context.Context, tx pgx.Tx, l *loader, id int64, report *Report) error {
	err := pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
		var err error
		report.Release, err = i.promote(ctx, tx, id, 0, l.plan.sender(), l.plan.request.Mode == Changes)
		return err
	})
	if errors.Is(err, errOutdated) {
		return nil
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
		BusinessKey: p.settings.businessKey, TimeColumn: p.settings.timeColumn, Grids: p.settings.grids, Tiles: p.settings.tiles,
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
		if err := l.set(ctx, tx); err != nil {
			return err
		}
		return f(tx)
	})
}

// set makes these settings for a transaction.
func (l *loader) set(ctx context.Context, tx pgx.Tx) error {
	// PostGIS tells of each invalid geometry by a NOTICE, millions at the worst;
	// the check interval ends the statement of a client that died. Compiling the
	// long comparisons costs more than it saves.
	if _, err := tx.Exec(ctx, `SET LOCAL client_min_messages = warning; SET LOCAL statement_timeout = 0;
		SET LOCAL maintenance_work_mem = '512MB'; SET LOCAL work_mem = '64MB'; SET LOCAL jit = off; SET LOCAL random_page_cost = 1.1; SET LOCAL client_connection_check_interval = '2s'`); err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	return nil
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
