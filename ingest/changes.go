package ingest

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"changde/ingest/finding"
	"changde/ingest/layer"
	"changde/postgis"
	"changde/problem"
)

// changeFields are the usual names of the field that says what a row of a
// differential delivery does.
var changeFields = []string{"op", "change", "changetype", "bgzt", "bgbs", "bglx", "变更标识", "变更类型", "变化类型", "增量标识", "操作"}

// findChangeField settles which field says what a row does.
func (p *Plan) findChangeField(fields []layer.Field) error {
	p.changeField = -1
	if p.request.Mode != Changes {
		return nil
	}
	wanted := changeFields
	if p.request.ChangeField != "" {
		wanted = []string{p.request.ChangeField}
	}
	for _, name := range wanted {
		for n, f := range fields {
			if strings.EqualFold(f.Name, name) {
				if p.changeField >= 0 && p.changeField != n {
					return problem.New(problem.Invalid, "change-field-ambiguous", f.Name,
						fmt.Sprintf("字段 %s 与 %s 都像变更标识，请用 --change-field 指定", fields[p.changeField].Name, f.Name),
						fmt.Sprintf("the fields %s and %s both look like the change flag; name one with --change-field", fields[p.changeField].Name, f.Name))
				}
				p.changeField = n
			}
		}
	}
	if p.changeField < 0 {
		return problem.New(problem.Invalid, "change-field-missing", p.request.ChangeField,
			"差异交付须有变更标识字段（值为 I、U、D 或 增、改、删），没有找到；请用 --change-field 指定",
			"a differential delivery has a field with I, U or D, which is not found; name it with --change-field")
	}
	return nil
}

// checkMode refuses a differential delivery that has nothing to change, or whose
// rows do not fit the table.
func (p *Plan) checkMode() error {
	if p.request.Mode == Full {
		return nil
	}
	name := p.Dataset
	switch {
	case p.settings.release == 0:
		return problem.New(problem.Conflict, "no-release-to-change", name,
			"数据集还没有版本，差异或追加交付没有可比的对象；第一次请全量交付", "the dataset has no release to change or append to; deliver all of it first")
	case p.request.Mode == Changes && p.settings.businessKey == "":
		return problem.New(problem.Conflict, "no-business-key", name,
			"差异交付按业务主键对应要素，数据集没有业务主键；请全量交付并用 --business-key 指定", "changes are matched by the business key, which the dataset lacks; deliver all of it with --business-key")
	case p.request.Settings.BusinessKey != "" && p.request.Settings.BusinessKey != p.settings.storedKey:
		return problem.New(problem.Conflict, "business-key-fixed", name, "差异或追加交付不能改变业务主键", "a delivery of changes cannot change the business key")
	case len(p.drift) > 0:
		return problem.New(problem.Conflict, "fields-differ", name,
			"差异或追加交付的字段须与当前版一致："+p.drift[0].ZH+"；改变字段请全量交付", "a delivery of changes has the fields of the current release: "+p.drift[0].EN+"; to change fields deliver all of it")
	}
	return nil
}

func tooManyChanges(n int64) error {
	return problem.New(problem.TooLarge, "too-many-changes", "",
		fmt.Sprintf("差异或追加交付有 %d 行，最多 %d 行；请改为全量交付", n, maxListed), fmt.Sprintf("the delivery changes %d rows; at most %d: deliver all of the dataset instead", n, maxListed))
}

// The columns by which the list of a differential delivery is made, and which it
// loses when it is done: what the row does, the changed fields one by one, and where
// the current and the staged row lie, which holds until the end of the transaction
// alone.
const (
	listedOp     = "staged op"
	listedFields = "changed fields"
	listedPlace  = "current place"
	listedStaged = "staged place"
)

// reconcile lists what a differential delivery changes in difference.<list>, and
// refuses the staged rows that contradict the current ones: an insertion of what is
// there, a change or deletion of what is not. Staged and current rows are read once.
func (l *loader) reconcile(ctx context.Context, tx pgx.Tx, s *sides, list string, as listing) error {
	// Comparing costs far more than reading: it is worth several processes whatever
	// the number of rows.
	if _, err := tx.Exec(ctx, "SET LOCAL parallel_setup_cost = 0; SET LOCAL parallel_tuple_cost = 0; SET LOCAL min_parallel_table_scan_size = 0"); err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	q := new(postgis.SQL).Raw("CREATE TABLE ").Ident("difference", list).Raw(" AS SELECT c.fid, c.op AS ").Ident(listedOp).Raw(", c.fields AS ").Ident(listedFields).
		Raw(", c.place AS ").Ident(listedPlace).Raw(", c.staged AS ").Ident(listedStaged).Raw(", ")
	// Numbers, for a name with a letter more may be too long.
	numbers := map[string]string{"span": "1", "geom": "2"}
	for n, c := range s.columns {
		numbers[c.Name] = strconv.Itoa(n + 3)
	}
	s.appendListed(q, as, func(q *postgis.SQL, side, name string) { q.Ident("c", side+numbers[name]) })
	q.Raw(` FROM (SELECT y.fid, y.op, x.ctid AS place, y.ctid AS staged, x.fid AS a, CASE WHEN y.op <> 'D' THEN y.fid END AS b,
		CASE WHEN x.fid IS NULL THEN 'added' WHEN y.op = 'D' THEN 'removed' ELSE 'changed' END AS kind, CASE WHEN x.fid IS NOT NULL AND y.op <> 'D' THEN `)
	s.appendFields(q)
	q.Raw(" END AS fields, CASE WHEN x.fid IS NULL OR y.op = 'D' THEN true ").Raw(movedSQL).Raw(" END AS moved")
	for name, number := range numbers {
		q.Raw(", ").Ident("x", name).Raw(" AS ").Ident("x"+number).Raw(", ").Ident("y", name).Raw(" AS ").Ident("y" + number)
	}
	// Without the barrier the changed fields would be found out wherever they are named.
	// One of another type would be computed, for what the planner knows, and keep what
	// is made of the rows from several processes.
	q.Raw(" FROM ").Add(s.b).Raw(" y LEFT JOIN ").Add(s.a).Raw(" x ON x.").Ident(s.key).Raw(" = y.").Ident(s.key).Raw(" OFFSET '0'::bigint) c")
	if _, err := tx.Exec(ctx, q.String(), q.Args()...); err != nil {
		return fmt.Errorf("list changes: %w", err)
	}
	if _, err := tx.Exec(ctx, "SET LOCAL parallel_setup_cost TO DEFAULT; SET LOCAL parallel_tuple_cost TO DEFAULT; SET LOCAL min_parallel_table_scan_size TO DEFAULT"); err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	s.changes = new(postgis.SQL).Raw("(SELECT before_fid AS a, row_number AS b, kind, ").Ident(listedFields).Raw(" AS fields, kind <> 'changed' OR moved AS moved FROM ").
		Ident("difference", list).Raw(")")
	return l.contradictions(ctx, tx, s, list)
}

// contradictions takes out of the list the rows that do not change anything, and
// those that contradict the current rows, which are refused.
func (l *loader) contradictions(ctx context.Context, tx pgx.Tx, s *sides, list string) error {
	q := new(postgis.SQL).Raw("WITH gone AS (DELETE FROM ").Ident("difference", list).Raw(" WHERE (before_fid IS NULL) <> (").Ident(listedOp).
		Raw(" = 'I') OR kind = 'changed' AND NOT moved AND ").Ident(listedFields).Raw(" = '{}' RETURNING fid, ").Ident(listedOp).
		Raw(" AS op, coalesce(key, '') AS key, (before_fid IS NULL) <> (").Ident(listedOp).Raw(" = 'I') AS wrong), refused AS (DELETE FROM ").Add(s.b).
		Raw(" b USING gone g WHERE g.wrong AND g.fid = b.fid) SELECT fid, op, key FROM gone WHERE wrong ORDER BY fid")
	rows, err := tx.Query(ctx, q.String())
	if err != nil {
		return fmt.Errorf("compare with the current rows: %w", err)
	}
	var fid int64
	var op, key string
	_, err = pgx.ForEachRow(rows, []any{&fid, &op, &key}, func() error {
		row, file := l.rowOf(fid)
		f := finding.Finding{Row: row, File: file, Action: finding.Refused, Field: s.key}
		key = cut(key, 100)
		switch op {
		case "I":
			f.Code, f.ZH, f.EN = "insert-present", fmt.Sprintf("新增的 %q 已在当前版中", key), fmt.Sprintf("%q is to be inserted but is there already", key)
		case "U":
			f.Code, f.ZH, f.EN = "update-missing", fmt.Sprintf("变更的 %q 不在当前版中", key), fmt.Sprintf("%q is to be changed but is not there", key)
		default:
			f.Code, f.ZH, f.EN = "delete-missing", fmt.Sprintf("删除的 %q 不在当前版中", key), fmt.Sprintf("%q is to be deleted but is not there", key)
		}
		l.found.add(f)
		return nil
	})
	if err != nil {
		return fmt.Errorf("compare with the current rows: %w", err)
	}
	return nil
}

// forgetPlaces takes from the list of a differential delivery where the rows lie.
func forgetPlaces(ctx context.Context, tx pgx.Tx, id int64) error {
	q := new(postgis.SQL).Raw("ALTER TABLE ").Ident("difference", fmt.Sprintf("d%d", id)).Raw(" DROP COLUMN ").Ident(listedPlace).Raw(", DROP COLUMN ").Ident(listedStaged)
	if _, err := tx.Exec(ctx, q.String()); err != nil {
		return fmt.Errorf("list changes: %w", err)
	}
	return nil
}

// finishList takes from the list of a differential delivery the columns by which it
// was compared, and indexes it.
func finishList(ctx context.Context, tx pgx.Tx, list string, rows int64) error {
	q := new(postgis.SQL).Raw("ALTER TABLE ").Ident("difference", list).Raw(" DROP COLUMN ").Ident(listedOp).Raw(", DROP COLUMN ").Ident(listedFields)
	if _, err := tx.Exec(ctx, q.String()); err != nil {
		return fmt.Errorf("list changes: %w", err)
	}
	return indexList(ctx, tx, list, rows)
}

// present refuses rows of an appending delivery whose key is there already.
func (l *loader) present(ctx context.Context, tx pgx.Tx, s *sides) error {
	if s.key == "" {
		return nil
	}
	q := new(postgis.SQL).Raw("WITH wrong AS (DELETE FROM ").Add(s.b).Raw(" b USING ").Add(s.a).Raw(" a WHERE a.").Ident(s.key).Raw(" = b.").Ident(s.key).
		Raw(" RETURNING b.fid, b.").Ident(s.key).Raw("::text AS key) SELECT fid, key FROM wrong ORDER BY fid")
	rows, err := tx.Query(ctx, q.String(), q.Args()...)
	if err != nil {
		return fmt.Errorf("compare with the current rows: %w", err)
	}
	var fid int64
	var key string
	_, err = pgx.ForEachRow(rows, []any{&fid, &key}, func() error {
		row, file := l.rowOf(fid)
		key = cut(key, 100)
		l.found.add(finding.Finding{
			Row: row, File: file, Code: "insert-present", Action: finding.Refused, Field: s.key,
			ZH: fmt.Sprintf("追加的 %q 已在当前版中", key), EN: fmt.Sprintf("%q is to be appended but is there already", key),
		})
		return nil
	})
	if err != nil {
		return fmt.Errorf("compare with the current rows: %w", err)
	}
	return nil
}
