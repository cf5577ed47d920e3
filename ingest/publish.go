package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"changde/catalog"
	"changde/postgis"
	"changde/problem"
)

// checked records a staged content on its delivery, in the load's transaction.
func (i *Ingester) checked(ctx context.Context, tx pgx.Tx, id int64, c *content, r *Report) error {
	columns, err := catalog.EncodeColumns(c.columns)
	if err != nil {
		return fmt.Errorf("encode columns: %w", err)
	}
	var parts [3][]byte
	for n, v := range []any{r.Difference, r.Rules, c.statistics} {
		if parts[n], err = json.Marshal(v); err != nil {
			return fmt.Errorf("encode report: %w", err)
		}
	}
	var extent []float64
	if c.extent != nil {
		extent = c.extent[:]
	}
	var revision *int64
	var relation *string
	if c.base != nil {
		revision, relation = &c.base.revision, &c.base.relation
	}
	_, err = tx.Exec(ctx, `UPDATE changde.deliveries SET state = 'checked', rows_read = $2, published = $3, repaired = $4, refused = $5, noted = $6,
		geometry_type = $7, columns = $8, extent = $9, difference = nullif($10::jsonb, 'null'), rules = nullif($11::jsonb, 'null'), statistics = $12,
		base_revision = $13, base_relation = $14, dataset_revision = (SELECT revision FROM changde.datasets d WHERE d.id = deliveries.dataset), blocking = $15, errors = $16, warnings = $17, codes = $18, confirm = $19 WHERE id = $1`,
		id, r.Read, c.rows, r.Repaired, r.Refused, r.Noted, c.geometry, columns, extent, parts[0], parts[1], parts[2],
		revision, relation, r.Blocking, r.Errors, r.Warnings, r.Codes, r.Confirm)
	if err != nil {
		return fmt.Errorf("record checked delivery: %w", err)
	}
	return nil
}

// await leaves a checked delivery to the person who decides, unless somebody has
// cancelled it.
func (i *Ingester) await(ctx context.Context, conn *pgxpool.Conn, id int64) error {
	tag, err := conn.Exec(ctx, "UPDATE changde.deliveries SET state = 'awaiting' WHERE id = $1 AND state = 'checked' AND NOT cancelled", id)
	if err != nil {
		return fmt.Errorf("leave delivery %d to be decided: %w", id, err)
	}
	if tag.RowsAffected() == 0 {
		return errCancelled
	}
	return nil
}

// staged is a delivery that is ready to be published.
type staged struct {
	id           int64
	dataset      string
	relation     string
	geometry     string
	columns      []catalog.Column
	rows         int64
	extent       *catalog.Bounds
	mode         Mode
	settings     Settings
	difference   *Difference
	statistics   []byte
	baseRevision *int64
	baseRelation *string
	resettled    bool // the dataset's settings were changed since the check
	// placed tells that the list of changes knows where the current rows lie.
	placed bool
}

func readStaged(ctx context.Context, tx pgx.Tx, id int64) (*staged, error) {
	v := staged{id: id}
	var columns, request, difference []byte
	var extent []float64
	var withdrawn bool
	err := tx.QueryRow(ctx, `SELECT cancelled, dataset, relation, geometry_type, columns, published, extent, mode, request, difference, coalesce(statistics, '{}'), base_revision, base_relation,
		dataset_revision IS DISTINCT FROM (SELECT revision FROM changde.datasets d WHERE d.id = deliveries.dataset)
		FROM changde.deliveries WHERE id = $1 AND state IN ('checked', 'awaiting') FOR UPDATE`, id).
		Scan(&withdrawn, &v.dataset, &v.relation, &v.geometry, &columns, &v.rows, &extent, &v.mode, &request, &difference, &v.statistics, &v.baseRevision, &v.baseRelation, &v.resettled)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, problem.New(problem.Conflict, "delivery-not-waiting", fmt.Sprint(id), "交付不在待发布状态，可能刚被他人处理", "the delivery is not waiting to be released; somebody may just have decided it")
	}
	if err != nil {
		return nil, fmt.Errorf("read staged delivery %d: %w", id, err)
	}
	if withdrawn {
		return nil, errCancelled
	}
	if v.columns, err = catalog.DecodeColumns(columns); err != nil {
		return nil, err
	}
	if len(extent) == 4 {
		v.extent = &catalog.Bounds{extent[0], extent[1], extent[2], extent[3]}
	}
	var r Request
	if err := json.Unmarshal(request, &r); err != nil {
		return nil, fmt.Errorf("request of delivery %d: %w", id, err)
	}
	v.settings = r.Settings
	if difference != nil {
		v.difference = new(Difference)
		if err := json.Unmarshal(difference, v.difference); err != nil {
			return nil, fmt.Errorf("difference of delivery %d: %w", id, err)
		}
	}
	return &v, nil
}

// publish makes a checked delivery the dataset's next release, in a transaction of
// its own. decision is the one that is carried out so, 0 for none.
func (i *Ingester) publish(ctx context.Context, conn *pgxpool.Conn, id, decision int64, by Decider) (release int, err error) {
	err = postgis.Transact(ctx, i.pool, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL statement_timeout = 0; SET LOCAL client_min_messages = warning; SET LOCAL jit = off; SET LOCAL random_page_cost = 1.1"); err != nil {
			return err
		}
		release, err = i.promote(ctx, tx, id, decision, by, false)
		return err
	})
	return release, err
}

// promote makes a checked delivery the dataset's next release. Everything a reader
// may ask changes with the transaction. Where the current release is no longer the
// one the delivery was compared with, it is errOutdated. placed tells that the
// transaction made the list of changes, with where the current rows lie.
func (i *Ingester) promote(ctx context.Context, tx pgx.Tx, id, decision int64, by Decider, placed bool) (release int, err error) {
	v, err := readStaged(ctx, tx, id)
	if err != nil {
		return 0, err
	}
	v.placed = placed
	var revision int64
	if release, revision, err = next(ctx, tx, v.dataset); err != nil {
		return 0, err
	}
	before, err := current(ctx, tx, v.dataset)
	if err != nil {
		return 0, err
	}
	if v.outdated(before) || v.resettled && !isZero(v.settings) {
		return 0, errOutdated
	}
	if err := describe(ctx, tx, v.dataset, v.settings); err != nil {
		return 0, err
	}
	if v.difference != nil && v.difference.InPlace {
		err = v.change(ctx, tx, before, revision)
	} else {
		err = v.replace(ctx, tx, revision)
	}
	if err != nil {
		return 0, err
	}
	at, err := catalog.Revision{
		Dataset: v.dataset, Number: revision, Kind: "release", Relation: v.relation, Release: release, Delivery: id,
		Actor: by.Actor, Organisation: by.Organisation, Document: by.Document, Note: by.Note,
	}.Record(ctx, tx)
	if err != nil {
		return 0, err
	}
	var extent []float64
	if v.extent != nil {
		extent = v.extent[:]
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO changde.releases (dataset, release, revision, delivery, relation, geometry_type, columns, rows, extent, sharing, released_at, difference, statistics, document, actor, note)
		SELECT v.dataset, $2, $3, v.id, 'content.' || $4::text, v.geometry_type, v.columns, $5, $6, d.sharing, $7, v.difference, $8, $9, $10, $11
		FROM changde.deliveries v JOIN changde.datasets d ON d.id = v.dataset WHERE v.id = $1`,
		id, release, revision, v.relation, v.rows, extent, at, v.statistics, by.Document, by.Actor, by.Note); err != nil {
		return 0, fmt.Errorf("record release: %w", err)
	}
	if _, err := tx.Exec(ctx, "UPDATE changde.deliveries SET state = 'released', relation = $2, finished_at = clock_timestamp() WHERE id = $1", id, v.relation); err != nil {
		return 0, fmt.Errorf("record release: %w", err)
	}
	if err := point(ctx, tx, v.dataset, release, revision, v); err != nil {
		return 0, err
	}
	if err := remember(ctx, tx, id); err != nil {
		return 0, err
	}
	if err := carried(ctx, tx, decision); err != nil {
		return 0, err
	}
	return release, i.announce(ctx, tx, v.dataset, release, revision)
}

// outdated reports whether the dataset's rows were changed since the comparison.
func (v *staged) outdated(b *base) bool {
	if b == nil || v.baseRevision == nil {
		return (b == nil) != (v.baseRevision == nil)
	}
	return b.revision != *v.baseRevision
}

var errOutdated = problem.New(problem.Conflict, "release-changed", "",
	"比对之后数据集又有了新的版本或编辑，本次的差异已不成立；请重新检查后再审批（changde delivery retry）",
	"the dataset was released or edited after the comparison, so the difference no longer holds; check again (changde delivery retry) and decide anew")

// replace makes the staged table the content.
func (v *staged) replace(ctx context.Context, tx pgx.Tx, revision int64) error {
	// A constant default is stored once, not in each row.
	q := new(postgis.SQL).Raw("ALTER TABLE ").Ident("content", v.relation).Raw(" ADD COLUMN rev bigint NOT NULL DEFAULT ").Int(revision)
	if _, err := tx.Exec(ctx, q.String()); err != nil {
		return fmt.Errorf("stamp revision: %w", err)
	}
	var key *string
	if err := tx.QueryRow(ctx, "SELECT business_key FROM changde.datasets WHERE id = $1", v.dataset).Scan(&key); err != nil {
		return fmt.Errorf("read business key: %w", err)
	}
	if _, err := tx.Exec(ctx, "SELECT changde.keep_history($1, $2, $3)", v.relation, revision, key); err != nil {
		return fmt.Errorf("make history: %w", err)
	}
	return nil
}

// change writes the listed difference into the current content: rows that are
// changed or removed become history, the others are not touched. A row is changed
// where it lies, so that indexes on values that stay have nothing to learn.
func (v *staged) change(ctx context.Context, tx pgx.Tx, b *base, revision int64) error {
	current, list := table("content", b.relation), table("difference", fmt.Sprintf("d%d", v.id))
	history, changes := table("content", b.relation+catalog.HistorySuffix), table("content", b.relation+catalog.ChangesSuffix)
	var last int64
	q := new(postgis.SQL).Raw("SELECT greatest((SELECT max(fid) FROM ").Add(current).Raw("), (SELECT max(fid) FROM ").Add(history).Raw("), 0)")
	if err := tx.QueryRow(ctx, q.String()).Scan(&last); err != nil {
		return fmt.Errorf("number rows: %w", err)
	}
	update := new(postgis.SQL).Raw("UPDATE ").Add(current).Raw(" t SET rev = ").Int(revision).
		Raw(", hash = s.hash, geom = CASE WHEN d.moved THEN s.geom ELSE t.geom END, span = CASE WHEN d.moved THEN s.span ELSE t.span END")
	insert := new(postgis.SQL).Raw("WITH came AS (INSERT INTO ").Add(current).Raw(" (fid, geom, span, hash, rev")
	values := new(postgis.SQL)
	for _, c := range v.columns {
		update.Raw(", ").Ident(c.Name).Raw(" = s.").Ident(c.Name)
		insert.Raw(", ").Ident(c.Name)
		values.Raw(", s.").Ident(c.Name)
	}
	meets, stands := new(postgis.SQL).Raw("t.fid = d.before_fid"), new(postgis.SQL).Raw("s.fid = d.row_number")
	if v.placed {
		// Not by =, which would let the planner meet them by their numbers after all.
		meets = new(postgis.SQL).Raw("t.ctid = d.").Ident(listedPlace).Raw(" AND t.fid IS NOT DISTINCT FROM d.before_fid")
		stands = new(postgis.SQL).Raw("s.ctid = d.").Ident(listedStaged).Raw(" AND s.fid IS NOT DISTINCT FROM d.row_number")
	}
	from := new(postgis.SQL).Raw(" FROM ").Add(list).Raw(" d JOIN ").Ident("content", v.relation).Raw(" s ON ").Add(stands).Raw(" WHERE d.kind = ")
	d := v.difference
	for _, step := range []struct {
		rows  int64
		write *postgis.SQL
	}{
		// Sorted before the rows are read, there is less to sort, and they are read as
		// they lie.
		{d.Changed + d.Removed, new(postgis.SQL).Raw("INSERT INTO ").Add(history).Raw(" SELECT t.*, ").Int(revision).Raw(" FROM (SELECT * FROM ").Add(list).
			Raw(" WHERE before_fid IS NOT NULL ORDER BY before_fid) d JOIN ").Add(current).Raw(" t ON ").Add(meets)},
		{d.Changed + d.Removed, new(postgis.SQL).Raw("INSERT INTO ").Add(changes).Raw(" SELECT ").Int(revision).Raw(", before_fid FROM ").Add(list).
			Raw(" WHERE before_fid IS NOT NULL ORDER BY before_fid")},
		{d.Removed, new(postgis.SQL).Raw("DELETE FROM ").Add(current).Raw(" t USING ").Add(list).Raw(" d WHERE d.kind = 'removed' AND ").Add(meets)},
		{d.Changed, update.Add(from).Raw("'changed' AND ").Add(meets)},
		{d.Added, insert.Raw(") SELECT ").Int(last).Raw(" + row_number() OVER (ORDER BY d.row_number), s.geom, s.span, s.hash, ").Int(revision).Add(values).Add(from).
			Raw("'added' ORDER BY 1 RETURNING fid) INSERT INTO ").Add(changes).Raw(" SELECT ").Int(revision).Raw(", fid FROM came")},
	} {
		if step.rows == 0 {
			continue
		}
		tag, err := tx.Exec(ctx, step.write.String())
		if err != nil {
			return fmt.Errorf("write changed rows: %w", err)
		}
		if tag.RowsAffected() != step.rows {
			return fmt.Errorf("write changed rows of delivery %d: %d were written, %d are listed", v.id, tag.RowsAffected(), step.rows)
		}
	}
	if v.placed {
		if err := forgetPlaces(ctx, tx, v.id); err != nil {
			return err
		}
	}
	var statistics Statistics
	if err := json.Unmarshal(v.statistics, &statistics); err != nil {
		return fmt.Errorf("statistics of delivery %d: %w", v.id, err)
	}
	v.rows = statistics.Rows
	if err := v.stretch(ctx, tx, b, list, history, revision); err != nil {
		return err
	}
	drop := new(postgis.SQL).Raw("DROP TABLE ").Ident("content", v.relation)
	if _, err := tx.Exec(ctx, drop.String()); err != nil {
		return fmt.Errorf("drop staged rows: %w", err)
	}
	v.relation = b.relation
	return nil
}

// stretch finds the extent after a change. Only where a row that went from its place
// had touched the extent before is the whole table measured.
func (v *staged) stretch(ctx context.Context, tx pgx.Tx, b *base, list, history *postgis.SQL, revision int64) error {
	v.extent = b.extent
	if d := v.difference; d.Added+d.Removed+d.Moved == 0 && b.extent != nil {
		return nil
	}
	var box [4]*float64
	var left bool
	q := new(postgis.SQL).Raw("SELECT min(ST_XMin(geom)), min(ST_YMin(geom)), max(ST_XMax(geom)), max(ST_YMax(geom)), coalesce(bool_or(kind = 'removed' OR moved), false) FROM (SELECT kind, moved, CASE WHEN kind <> 'removed' THEN geom END AS geom FROM ").
		Add(list).Raw(" WHERE kind <> 'changed' OR moved) d")
	if err := tx.QueryRow(ctx, q.String()).Scan(&box[0], &box[1], &box[2], &box[3], &left); err != nil {
		return fmt.Errorf("measure changed rows: %w", err)
	}
	if box[0] != nil {
		v.extent = joinBounds(b.extent, catalog.Bounds{*box[0], *box[1], *box[2], *box[3]})
	}
	if b.extent == nil || !left {
		return nil
	}
	e := b.extent
	var touched bool
	q = new(postgis.SQL).Raw("SELECT EXISTS (SELECT FROM ").Add(history).Raw(" WHERE until = ").Int(revision).
		Raw(" AND (ST_XMin(geom) <= ").Arg(e[0]).Raw("::float8 OR ST_YMin(geom) <= ").Arg(e[1]).Raw("::float8 OR ST_XMax(geom) >= ").Arg(e[2]).
		Raw("::float8 OR ST_YMax(geom) >= ").Arg(e[3]).Raw("::float8) AND fid IN (SELECT before_fid FROM ").Add(list).Raw(" WHERE kind = 'removed' OR moved))")
	if err := tx.QueryRow(ctx, q.String(), q.Args()...).Scan(&touched); err != nil || !touched {
		return err
	}
	_, extent, err := measure(ctx, tx, b.relation, "Point", "")
	v.extent = extent
	return err
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
func point(ctx context.Context, tx pgx.Tx, dataset string, release int, revision int64, v *staged) error {
	var extent []float64
	if v.extent != nil {
		extent = v.extent[:]
	}
	if err := revokeEdits(ctx, tx, dataset, v.relation); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `UPDATE changde.datasets SET release = $2, revision = $3, relation = 'content.' || $4::text, rows = $5, extent = $6, updated_at = clock_timestamp() WHERE id = $1`,
		dataset, release, revision, v.relation, v.rows, extent); err != nil {
		return fmt.Errorf("point dataset %s at release %d: %w", dataset, release, err)
	}
	view := new(postgis.SQL).Raw(" AS SELECT fid")
	for _, c := range v.columns {
		view.Raw(", ").Ident(c.Name)
	}
	view.Raw(", rev, geom FROM ").Ident("content", v.relation)
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
	if err := grantEdits(ctx, tx, dataset); err != nil {
		return err
	}
	return notify(ctx, tx, dataset)
}

// revokeEdits takes the right to write from the content that gives way to another:
// what was released is edited no more.
func revokeEdits(ctx context.Context, tx pgx.Tx, dataset, next string) error {
	var relation *string
	var role bool
	err := tx.QueryRow(ctx, `SELECT relation, EXISTS (SELECT FROM pg_roles WHERE rolname = 'changde_api') FROM changde.datasets WHERE id = $1`, dataset).Scan(&relation, &role)
	if err != nil || relation == nil || !role || *relation == "content."+next {
		return err
	}
	content := (*relation)[len("content."):]
	if _, err := tx.Exec(ctx, editRights(content, false).String()); err != nil {
		return fmt.Errorf("revoke edits of %s: %w", dataset, err)
	}
	return nil
}

// grantEdits lets the server's role write the rows of a dataset that is edited
// through the API, and of no other.
func grantEdits(ctx context.Context, tx pgx.Tx, dataset string) error {
	var relation *string
	var editable, role bool
	err := tx.QueryRow(ctx, `SELECT relation, editable, EXISTS (SELECT FROM pg_roles WHERE rolname = 'changde_api') FROM changde.datasets WHERE id = $1`, dataset).
		Scan(&relation, &editable, &role)
	if err != nil || relation == nil || !role {
		return err
	}
	content := (*relation)[len("content."):]
	if _, err := tx.Exec(ctx, editRights(content, editable).String()); err != nil {
		return fmt.Errorf("grant edits of %s: %w", dataset, err)
	}
	return nil
}

// editRights gives or takes what writing the rows of a content needs.
func editRights(content string, give bool) *postgis.SQL {
	q := new(postgis.SQL)
	for _, suffix := range []string{"", catalog.HistorySuffix, catalog.ChangesSuffix} {
		if give {
			q.Raw("GRANT INSERT ON ").Ident("content", content+suffix).Raw(" TO changde_api; ")
		} else {
			q.Raw("REVOKE INSERT ON ").Ident("content", content+suffix).Raw(" FROM changde_api; ")
		}
	}
	if give {
		return q.Raw("GRANT DELETE ON ").Ident("content", content).Raw(" TO changde_api")
	}
	return q.Raw("REVOKE DELETE ON ").Ident("content", content).Raw(" FROM changde_api")
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
