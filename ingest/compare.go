package ingest

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/jackc/pgx/v5"

	"changde/catalog"
	"changde/ingest/finding"
	"changde/postgis"
)

// Difference is what a delivery changes of the current release, or one release
// of another.
type Difference struct {
	From      int           `json:"from"`         // release, 0 for none
	To        int           `json:"to,omitempty"` // release, 0 for a delivery
	Added     int64         `json:"added"`
	Removed   int64         `json:"removed"`
	Changed   int64         `json:"changed"` // the same feature with other values or shape
	Moved     int64         `json:"moved"`   // of the changed, those with another geometry
	Unchanged int64         `json:"unchanged"`
	Fields    []FieldChange `json:"fields"` // of the changed, rows by field
	Before    Statistics    `json:"before"`
	After     Statistics    `json:"after"`
	// Schema says which fields came, went or changed their type.
	Schema []Note `json:"schema"`
	// InPlace tells that only the changed rows are written; otherwise the content is
	// replaced as a whole.
	InPlace bool `json:"inPlace"`
	// Listed tells that the changed features can be listed and mapped one by one.
	Listed bool `json:"listed"`
	// Values tells that the list has the values before and after.
	Values bool `json:"values,omitempty"`
	// Dropped tells that they could be listed and the list is no longer kept.
	Dropped bool   `json:"dropped,omitempty"`
	ZH      string `json:"zh"` // one sentence for whoever decides
	EN      string `json:"en"`
}

// FieldChange is how many rows have another value in a field.
type FieldChange struct {
	Field string `json:"field"`
	Rows  int64  `json:"rows"`
}

// A difference is applied in place, and its rows are listed, up to these bounds;
// beyond them a table written anew is cheaper for writer and readers.
const (
	maxListed    = 500_000
	inPlaceShare = 0.3
)

// The sanity limits (rule Q20): a delivery that changes more is confirmed by a
// person.
const (
	saneRows = 0.20
	saneArea = 0.01
)

// sides are the two contents of a comparison: a is the current one.
type sides struct {
	a, b     *postgis.SQL // each a source of fid, hash, geom and the columns
	key      string       // empty: rows are matched by their hash
	columns  []catalog.Column
	comparer Mode
	// changes is the source of a, b, kind, fields and moved, once they are known.
	changes *postgis.SQL
	// touched, where the sides are two revisions of one content, selects the fids of
	// the rows that may differ.
	touched *postgis.SQL
}

// match fills the temporary table pairs with the fids of both sides, NULL where
// there is none, leaving out rows whose hashes agree.
func (s *sides) match(ctx context.Context, tx pgx.Tx) error {
	q := new(postgis.SQL).Raw("CREATE TEMP TABLE pairs ON COMMIT DROP AS ")
	switch {
	case s.comparer == Append:
		q.Raw("SELECT NULL::bigint AS a, fid AS b FROM ").Add(s.b).Raw(" b")
	case s.key != "":
		side := func(from *postgis.SQL) {
			q.Raw("(SELECT fid, hash, ").Ident(s.key).Raw(" AS k FROM ").Add(from).Raw(" t")
			if s.touched != nil {
				q.Raw(" WHERE fid IN (").Add(s.touched).Raw(")")
			}
			q.Raw(")")
		}
		q.Raw("SELECT a.fid AS a, b.fid AS b FROM ")
		side(s.a)
		q.Raw(" a FULL JOIN ")
		side(s.b)
		q.Raw(" b ON a.k = b.k WHERE a.fid IS NULL OR b.fid IS NULL OR (a.hash = b.hash) IS NOT TRUE")
	default:
		side := func(from *postgis.SQL) {
			q.Raw("(SELECT fid, hash, row_number() OVER (PARTITION BY hash ORDER BY fid) AS n FROM ").Add(from).Raw(" t)")
		}
		q.Raw("SELECT a.fid AS a, b.fid AS b FROM ")
		side(s.a)
		q.Raw(" a FULL JOIN ")
		side(s.b)
		q.Raw(" b ON a.hash = b.hash AND a.n = b.n WHERE a.fid IS NULL OR b.fid IS NULL")
	}
	tag, err := tx.Exec(ctx, q.String(), q.Args()...)
	if err != nil {
		return fmt.Errorf("match rows: %w", err)
	}
	if _, err := tx.Exec(ctx, "ANALYZE pairs"); err != nil {
		return fmt.Errorf("match rows: %w", err)
	}
	if tag.RowsAffected() > maxListed {
		return nil
	}
	return s.narrow(ctx, tx)
}

// narrow copies the rows that may differ, so that what follows does not look for
// each of them again among all. A side that holds no others is left as it is.
func (s *sides) narrow(ctx context.Context, tx pgx.Tx) error {
	if s.comparer != Full {
		return nil
	}
	before := new(postgis.SQL).Raw("CREATE TEMP TABLE rows_before ON COMMIT DROP AS SELECT x.* FROM pairs p JOIN ").Add(s.a).Raw(" x ON x.fid = p.a")
	after := new(postgis.SQL).Raw("CREATE TEMP TABLE rows_after ON COMMIT DROP AS SELECT y.* FROM pairs p JOIN ").Add(s.b).Raw(" y ON y.fid = p.b")
	for _, q := range []*postgis.SQL{before, after} {
		if _, err := tx.Exec(ctx, q.String(), q.Args()...); err != nil {
			return fmt.Errorf("read rows that differ: %w", err)
		}
	}
	s.a, s.b = new(postgis.SQL).Raw("rows_before"), new(postgis.SQL).Raw("rows_after")
	return nil
}

// describe fills the temporary table changes: a, b, kind, the changed fields and
// whether the geometry moved. Rows that turn out to be the same are left out.
func (s *sides) describe(ctx context.Context, tx pgx.Tx) error {
	q := new(postgis.SQL).Raw(`CREATE TEMP TABLE changes ON COMMIT DROP AS
		SELECT p.a, p.b, CASE WHEN p.a IS NULL THEN 'added' WHEN p.b IS NULL THEN 'removed' ELSE 'changed' END AS kind,
		CASE WHEN p.a IS NOT NULL AND p.b IS NOT NULL THEN `)
	s.appendFields(q)
	q.Raw(" END AS fields, CASE WHEN p.a IS NULL OR p.b IS NULL THEN true ").Raw(movedSQL).Raw(" END AS moved FROM pairs p LEFT JOIN ").
		Add(s.a).Raw(" x ON x.fid = p.a LEFT JOIN ").Add(s.b).Raw(" y ON y.fid = p.b")
	if _, err := tx.Exec(ctx, q.String(), q.Args()...); err != nil {
		return fmt.Errorf("describe changes: %w", err)
	}
	// As a condition of the join the comparison would mislead the planner about the
	// cost of looking rows up.
	if _, err := tx.Exec(ctx, "DELETE FROM changes WHERE kind = 'changed' AND NOT moved AND fields = '{}'"); err != nil {
		return fmt.Errorf("describe changes: %w", err)
	}
	if _, err := tx.Exec(ctx, "ANALYZE changes"); err != nil {
		return fmt.Errorf("describe changes: %w", err)
	}
	s.changes = new(postgis.SQL).Raw("changes")
	return nil
}

// appendFields appends the names of the columns in which the rows x and y differ.
func (s *sides) appendFields(q *postgis.SQL) {
	q.Raw("array_remove(ARRAY[")
	for i, c := range s.columns {
		if i > 0 {
			q.Raw(", ")
		}
		q.Raw("CASE WHEN x.").Ident(c.Name).Raw(" IS DISTINCT FROM y.").Ident(c.Name).Raw(" THEN ").Literal(c.Name).Raw(" END")
	}
	q.Raw("]::text[], NULL)")
}

// movedSQL are the branches that tell whether the rows x and y, which are both
// there, lie elsewhere. Geometries closer than a tenth of a millimetre are the same.
const movedSQL = `WHEN x.geom = y.geom THEN false
	WHEN x.geom IS NULL OR y.geom IS NULL OR ST_NPoints(x.geom) <> ST_NPoints(y.geom) OR ST_IsEmpty(x.geom) OR ST_IsEmpty(y.geom) THEN true
	WHEN ST_SnapToGrid(x.geom, 1e-9) = ST_SnapToGrid(y.geom, 1e-9) THEN false
	ELSE ST_HausdorffDistance(x.geom, y.geom) > 1e-9`

// count fills d from the changes.
func (s *sides) count(ctx context.Context, tx pgx.Tx, d *Difference) error {
	q := new(postgis.SQL).Raw("SELECT kind, moved, coalesce(fields, '{}'), count(*) FROM ").Add(s.changes).Raw(" c GROUP BY 1, 2, 3")
	rows, err := tx.Query(ctx, q.String())
	if err != nil {
		return fmt.Errorf("count changes: %w", err)
	}
	byField := make(map[string]int64)
	var kind string
	var moved bool
	var fields []string
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&kind, &moved, &fields, &n}, func() error {
		switch kind {
		case "added":
			d.Added += n
		case "removed":
			d.Removed += n
		default:
			d.Changed += n
			if moved {
				d.Moved += n
			}
			for _, f := range fields {
				byField[f] += n
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("count changes: %w", err)
	}
	d.Fields = make([]FieldChange, 0, len(byField))
	for f, n := range byField {
		d.Fields = append(d.Fields, FieldChange{f, n})
	}
	slices.SortFunc(d.Fields, func(a, b FieldChange) int {
		return cmp.Or(cmp.Compare(b.Rows, a.Rows), cmp.Compare(a.Field, b.Field))
	})
	return nil
}

// list writes the changed features into difference.<table>, each with the shape
// it will have, or had when it is removed: what is shown as a table and a map.
func (s *sides) list(ctx context.Context, tx pgx.Tx, table string, rows int64, as listing) error {
	q := new(postgis.SQL).Raw("CREATE TABLE ").Ident("difference", table).Raw(" AS SELECT row_number() OVER (ORDER BY c.a, c.b) AS fid, ")
	s.appendListed(q, as, func(q *postgis.SQL, side, name string) { q.Ident(side, name) })
	q.Raw(" FROM changes c LEFT JOIN ").Add(s.a).Raw(" x ON x.fid = c.a LEFT JOIN ").Add(s.b).Raw(" y ON y.fid = c.b")
	if _, err := tx.Exec(ctx, q.String(), q.Args()...); err != nil {
		return fmt.Errorf("list changes: %w", err)
	}
	return indexList(ctx, tx, table, rows)
}

// listing says what a list of changes shows of its rows.
type listing struct {
	label    string // column, empty for none
	geometry string // type of the shapes
	z        bool
}

// appendListed appends the columns of a list of changes but fid, of the rows x
// before and y after, whose columns column appends, and what c tells of them.
func (s *sides) appendListed(q *postgis.SQL, as listing, column func(q *postgis.SQL, side, name string)) {
	either := func(name string) {
		if name == "" {
			q.Raw("NULL::text")
			return
		}
		q.Raw("CASE WHEN c.kind = 'removed' THEN ")
		column(q, "x", name)
		q.Raw(" ELSE coalesce(")
		column(q, "y", name)
		q.Raw(", ")
		column(q, "x", name)
		q.Raw(") END::text")
	}
	last := func(name string) {
		q.Raw("CASE WHEN c.b IS NULL THEN ")
		column(q, "x", name)
		q.Raw(" ELSE ")
		column(q, "y", name)
		q.Raw(" END")
	}
	q.Raw("c.kind, ")
	either(s.key)
	q.Raw(" AS key, ")
	either(as.label)
	q.Raw(` AS label, array_to_string(c.fields, ', ') AS fields, c.kind = 'changed' AND c.moved AS moved, c.a AS before_fid, c.b AS row_number, `)
	s.appendValues(q, "x", column)
	q.Raw(" AS before, ")
	s.appendValues(q, "y", column)
	q.Raw(" AS after, ")
	last("span")
	q.Raw(" AS span, (")
	last("geom")
	q.Raw(")::")
	geometryType(q, as.geometry, as.z, storageSRID)
	q.Raw(" AS geom")
}

// shortList is how many changes are looked through for those in a box as fast as an
// index on their shapes is made: in a few milliseconds.
const shortList = 30_000

// indexList gives a list of so many changes what readers and the release need.
func indexList(ctx context.Context, tx pgx.Tx, table string, rows int64) error {
	statements := []*postgis.SQL{
		// A second process would be started for longer than it works.
		new(postgis.SQL).Raw("SET LOCAL max_parallel_maintenance_workers = 0"),
		new(postgis.SQL).Raw("ALTER TABLE ").Ident("difference", table).Raw(" ADD PRIMARY KEY (fid)"),
		// Of what kind the rows are, a few of them tell.
		new(postgis.SQL).Raw("SET LOCAL default_statistics_target = 5"),
		new(postgis.SQL).Raw("ANALYZE ").Ident("difference", table).Raw(" (kind, before_fid, row_number)"),
		new(postgis.SQL).Raw("SET LOCAL default_statistics_target TO DEFAULT"),
	}
	if rows > shortList {
		statements = append(statements, new(postgis.SQL).Raw("CREATE INDEX ON ").Ident("difference", table).Raw(" USING gist (geom)"))
	}
	for _, q := range statements {
		if _, err := tx.Exec(ctx, q.String()); err != nil {
			return fmt.Errorf("list changes: %w", err)
		}
	}
	return nil
}

// sum brings the statistics of before, whose classes are given, up to date with the
// changes. A row that stays where it is, in its class, counts as before.
func (s *sides) sum(ctx context.Context, tx pgx.Tx, d *Difference, classes tally, geometry, class string) (Statistics, error) {
	out := d.Before
	out.Classes, out.Folded = classes.list()
	reclassed := slices.ContainsFunc(d.Fields, func(c FieldChange) bool { return c.Field == class })
	if d.Added+d.Removed+d.Moved == 0 && !reclassed {
		return out, nil
	}
	for _, side := range []struct {
		from *postgis.SQL
		on   *postgis.SQL
		sign int64
	}{
		{s.a, new(postgis.SQL).Raw("c.a"), -1},
		{s.b, new(postgis.SQL).Raw("c.b"), 1},
	} {
		q := new(postgis.SQL).Raw("SELECT ")
		if class == "" {
			q.Raw("''")
		} else {
			q.Raw("coalesce(t.").Ident(class).Raw("::text, '')")
		}
		q.Raw(", count(*), sum(")
		appendArea(q, dimension(geometry)).Raw(") FROM ").Add(s.changes).Raw(" c JOIN ").Add(side.from).Raw(" t ON t.fid = ").Add(side.on).
			Raw(" WHERE c.moved OR ").Literal(class).Raw(" = ANY(c.fields) GROUP BY 1")
		rows, err := tx.Query(ctx, q.String(), q.Args()...)
		if err != nil {
			return out, fmt.Errorf("count classes: %w", err)
		}
		var c ClassCount
		_, err = pgx.ForEachRow(rows, []any{&c.Class, &c.Rows, &c.Area}, func() error {
			out.Rows += side.sign * c.Rows
			out.Area += float64(side.sign) * c.Area
			if class != "" {
				classes.add(c, side.sign)
			}
			return nil
		})
		if err != nil {
			return out, fmt.Errorf("count classes: %w", err)
		}
	}
	out.Classes, out.Folded = classes.list()
	return out, nil
}

func table(schema, name string) *postgis.SQL { return new(postgis.SQL).Ident(schema, name) }

// compare finds what the staged table changes of the current release. It leaves
// difference.d<id> when the changes are few enough to be listed.
func (l *loader) compare(ctx context.Context, tx pgx.Tx, b *base, id int64, staged string) (*Difference, error) {
	p := l.plan
	s := &sides{a: table("content", b.relation), b: table("content", staged), comparer: p.request.Mode, columns: b.shared(p.columns)}
	for _, c := range s.columns {
		if c.Name == p.settings.businessKey {
			s.key = c.Name
		}
	}
	d := &Difference{From: b.release, Schema: p.drift, Before: b.statistics}
	class := p.settings.named["class"]
	if b.edited || b.statistics.Column != class || b.statistics.Rows != b.rows {
		if _, ok := b.column(class); !ok {
			class = ""
		}
		var err error
		if d.Before, _, err = measure(ctx, tx, b.relation, p.geometry, class); err != nil {
			return nil, err
		}
	}
	rows, err := countRows(ctx, tx, staged)
	if err != nil {
		return nil, err
	}
	// The content's index is on the key of its first delivery.
	same := b.same(p.geometry, p.z, p.columns) && p.settings.businessKey == p.settings.storedKey
	if s.comparer == Full && s.key == "" && !same {
		// Without a key and with other fields no row can be recognised.
		d.Added, d.Removed = rows, b.rows
		return d, nil
	}
	as := listing{geometry: p.geometry, z: p.z}
	if !same {
		as = listing{geometry: "Geometry"}
	}
	for _, c := range s.columns {
		if c.Name == p.settings.named["label"] {
			as.label = c.Name
		}
	}
	list := fmt.Sprintf("d%d", id)
	if s.comparer == Changes {
		err = l.reconcile(ctx, tx, s, list, as)
	} else {
		err = l.pair(ctx, tx, s)
	}
	if err != nil {
		return nil, err
	}
	if err := s.count(ctx, tx, d); err != nil {
		return nil, err
	}
	touched := d.Added + d.Removed + d.Changed
	d.Unchanged = b.rows - d.Removed - d.Changed
	d.InPlace = same && touched <= maxListed && (s.comparer != Full || float64(touched) <= inPlaceShare*float64(max(rows, b.rows)))
	d.Listed = touched <= maxListed
	d.Values = d.Listed
	if s.comparer != Full && !d.InPlace {
		return nil, tooManyChanges(touched)
	}
	if s.comparer != Changes && d.Listed {
		if err := s.list(ctx, tx, list, touched, as); err != nil {
			return nil, err
		}
	}
	if d.InPlace {
		classes := make(tally)
		for _, c := range d.Before.Classes {
			classes.add(c, 1)
		}
		if d.Before.folds() {
			// What changes may be among the classes that were counted together.
			if _, classes, _, err = measureAll(ctx, tx, b.relation, p.geometry, d.Before.Column); err != nil {
				return nil, err
			}
		}
		if d.After, err = s.sum(ctx, tx, d, classes, p.geometry, p.settings.named["class"]); err != nil {
			return nil, err
		}
	}
	if s.comparer == Changes {
		err = finishList(ctx, tx, list, touched)
	}
	return d, err
}

// pair finds what a delivery changes by matching all of its rows with the current
// ones. It leaves the temporary table changes.
func (l *loader) pair(ctx context.Context, tx pgx.Tx, s *sides) error {
	// The planner must know how many rows were staged, not what is in them.
	if _, err := tx.Exec(ctx, new(postgis.SQL).Raw("ANALYZE ").Add(s.b).Raw(" (fid, hash)").String()); err != nil {
		return fmt.Errorf("analyse staged rows: %w", err)
	}
	if s.comparer == Append {
		if err := l.present(ctx, tx, s); err != nil {
			return err
		}
	}
	if err := s.match(ctx, tx); err != nil {
		return err
	}
	if err := s.leaveTwins(ctx, tx); err != nil {
		return err
	}
	return s.describe(ctx, tx)
}

// sanity finds whether the change is beyond the usual (Q20).
func (d *Difference) sanity() []finding.Finding {
	var out []finding.Finding
	beyond := func(code, zh, en string, before, after, limit float64) {
		if before <= 0 {
			return
		}
		share := (after - before) / before
		if math.Abs(share) > limit {
			out = append(out, finding.Finding{
				Code: code, Severity: finding.Warn, Action: finding.Noted,
				ZH: fmt.Sprintf("%s由 %.0f 变为 %.0f（%+.2f%%），超出常规 ±%g%%，须人确认", zh, before, after, share*100, limit*100),
				EN: fmt.Sprintf("%s from %.0f to %.0f (%+.2f%%), beyond the usual ±%g%%: a person must confirm it", en, before, after, share*100, limit*100),
			})
		}
	}
	beyond("count-changed", "行数", "rows go", float64(d.Before.Rows), float64(d.After.Rows), saneRows)
	if before := float64(d.Before.Rows); before > 0 && float64(max(d.Added, d.Removed)) > saneRows*before && len(out) == 0 {
		out = append(out, finding.Finding{
			Code: "rows-turned-over", Severity: finding.Warn, Action: finding.Noted,
			ZH: fmt.Sprintf("新增 %d 行、删除 %d 行，超出现有 %d 行的 %g%%，须人确认", d.Added, d.Removed, d.Before.Rows, saneRows*100),
			EN: fmt.Sprintf("%d rows come and %d go, beyond %g%% of the %d there are: a person must confirm it", d.Added, d.Removed, saneRows*100, d.Before.Rows),
		})
	}
	beyond("area-changed", "总面积（平方米）", "the area (m²) goes", d.Before.Area, d.After.Area, saneArea)
	return out
}

// summarise writes the sentence for whoever decides.
func (d *Difference) summarise() {
	d.ZH = fmt.Sprintf("与第 %d 版相比：新增 %d，删除 %d，变更 %d（其中图形 %d），未变 %d；行数 %d → %d",
		d.From, d.Added, d.Removed, d.Changed, d.Moved, d.Unchanged, d.Before.Rows, d.After.Rows)
	d.EN = fmt.Sprintf("against release %d: %d added, %d removed, %d changed (%d in shape), %d unchanged; rows %d → %d",
		d.From, d.Added, d.Removed, d.Changed, d.Moved, d.Unchanged, d.Before.Rows, d.After.Rows)
	if d.Before.Area > 0 || d.After.Area > 0 {
		d.ZH += fmt.Sprintf("；面积 %.4f → %.4f 平方公里", d.Before.Area/1e6, d.After.Area/1e6)
		d.EN += fmt.Sprintf("; area %.4f → %.4f km²", d.Before.Area/1e6, d.After.Area/1e6)
	}
	if len(d.Schema) > 0 {
		d.ZH += fmt.Sprintf("；字段结构变化 %d 处", len(d.Schema))
		d.EN += fmt.Sprintf("; %d changes of fields", len(d.Schema))
	}
}
