package ingest

import (
	"context"
	"fmt"
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

// stagedFID and stagedOp are the columns of rows_before that tell which staged row
// each current row meets, and what that row does.
const (
	stagedFID = "staged fid"
	stagedOp  = "staged op"
)

// reconcile copies the current rows that a differential delivery names into the
// temporary table rows_before, the side a from there on, and refuses the staged
// rows that contradict them: an insertion of what is there, a change or deletion of
// what is not.
func (l *loader) reconcile(ctx context.Context, tx pgx.Tx, s *sides) error {
	q := new(postgis.SQL).Raw("CREATE TEMP TABLE rows_before ON COMMIT DROP AS SELECT b.fid AS ").Ident(stagedFID).Raw(", b.op AS ").Ident(stagedOp).
		Raw(", a.* FROM ").Add(s.b).Raw(" b LEFT JOIN ").Add(s.a).Raw(" a ON a.").Ident(s.key).Raw(" = b.").Ident(s.key)
	if _, err := tx.Exec(ctx, q.String()); err != nil {
		return fmt.Errorf("find the current rows: %w", err)
	}
	s.a = new(postgis.SQL).Raw("rows_before")
	q = new(postgis.SQL).Raw("WITH wrong AS (DELETE FROM rows_before WHERE (fid IS NULL) <> (").Ident(stagedOp).Raw(" = 'I') RETURNING ").Ident(stagedFID).
		Raw(" AS fid), gone AS (DELETE FROM ").Add(s.b).Raw(" b USING wrong w WHERE w.fid = b.fid RETURNING b.fid, b.op, b.").Ident(s.key).
		Raw("::text AS key) SELECT fid, op, coalesce(key, '') FROM gone ORDER BY fid")
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
