package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"changde/catalog"
	"changde/ingest/finding"
	"changde/postgis"
	"changde/problem"
)

// content is a loaded, checked table.
type content struct {
	geometry   string
	columns    []catalog.Column
	rows       int64
	extent     *catalog.Bounds
	statistics Statistics
	base       *base // what it was compared with, nil for the first release
	difference *Difference
}

// whole reports whether the table itself will be read, not its difference alone.
func (c *content) whole() bool { return c.difference == nil || !c.difference.InPlace }

// maxClasses bounds the classes that are counted one by one; the others are
// counted together as "…".
const maxClasses = 1000

// Statistics are the rows and areas of a release. Areas are square metres on the
// ellipsoid of CGCS2000, 0 where the rows are no polygons.
type Statistics struct {
	Rows    int64        `json:"rows"`
	Area    float64      `json:"area"`
	Column  string       `json:"column,omitempty"` // the class column
	Classes []ClassCount `json:"classes"`          // by class, empty without a class column
	Folded  int          `json:"folded,omitempty"` // classes that are counted together as "…"
}

// ClassCount is the rows and the area of one value of the class column.
type ClassCount struct {
	Class string  `json:"class"`
	Rows  int64   `json:"rows"`
	Area  float64 `json:"area"`
}

// appendArea appends the area of geom in square metres: the plane area in square
// degrees times the ellipsoid's (a² (1-e²) cos φ) / (1 - e² sin² φ)² at the middle
// latitude. For shapes below 10 km it is within 1e-5 of the geodesic area and a
// hundredth of its cost.
func appendArea(s *postgis.SQL, dimension int) *postgis.SQL {
	if dimension >= 0 && dimension != 2 {
		return s.Raw("0::float8")
	}
	return s.Raw(`coalesce(ST_Area(geom) * 12309072078.888908 * cos(radians((ST_YMin(geom) + ST_YMax(geom)) / 2))
		/ power(1 - 0.006694380022900787 * power(sin(radians((ST_YMin(geom) + ST_YMax(geom)) / 2)), 2), 2), 0)`)
}

// measure gives the statistics and the extent of the staged rows.
func (l *loader) measure(ctx context.Context, tx pgx.Tx, table string) (Statistics, *catalog.Bounds, error) {
	class := l.plan.settings.named["class"]
	if l.inGo && l.plan.request.Mode == Full && l.found.altered() == l.untouched {
		if s, extent, ok := l.gauge.statistics(class); ok {
			return s, extent, nil
		}
	}
	return measure(ctx, tx, table, l.plan.geometry, class)
}

// measure counts a table's rows and areas by class and finds its extent, reading
// it once.
func measure(ctx context.Context, tx pgx.Tx, table string, geometry string, class string) (Statistics, *catalog.Bounds, error) {
	out, _, extent, err := measureAll(ctx, tx, table, geometry, class)
	return out, extent, err
}

// measureAll is measure with every class by itself.
func measureAll(ctx context.Context, tx pgx.Tx, table string, geometry string, class string) (Statistics, tally, *catalog.Bounds, error) {
	s := new(postgis.SQL).Raw("SELECT ")
	if class == "" {
		s.Raw("''")
	} else {
		s.Raw("coalesce(").Ident(class).Raw("::text, '')")
	}
	s.Raw(", count(*), sum(")
	appendArea(s, dimension(geometry)).Raw("), min(ST_XMin(geom)), min(ST_YMin(geom)), max(ST_XMax(geom)), max(ST_YMax(geom)) FROM ").Ident("content", table).
		Raw(" GROUP BY 1 ORDER BY 2 DESC, 1")
	rows, err := tx.Query(ctx, s.String())
	if err != nil {
		return Statistics{}, nil, nil, fmt.Errorf("measure: %w", err)
	}
	out := Statistics{Column: class}
	classes := make(tally)
	var extent *catalog.Bounds
	var c ClassCount
	var box [4]*float64
	_, err = pgx.ForEachRow(rows, []any{&c.Class, &c.Rows, &c.Area, &box[0], &box[1], &box[2], &box[3]}, func() error {
		out.Rows += c.Rows
		out.Area += c.Area
		if box[0] != nil {
			extent = joinBounds(extent, catalog.Bounds{*box[0], *box[1], *box[2], *box[3]})
		}
		if class != "" {
			classes.add(c, 1)
		}
		return nil
	})
	if err != nil {
		return Statistics{}, nil, nil, fmt.Errorf("measure: %w", err)
	}
	out.Classes, out.Folded = classes.list()
	return out, classes, extent, nil
}

func countRows(ctx context.Context, tx pgx.Tx, table string) (n int64, err error) {
	if err := tx.QueryRow(ctx, new(postgis.SQL).Raw("SELECT count(*) FROM ").Ident("content", table).String()).Scan(&n); err != nil {
		return 0, fmt.Errorf("count rows: %w", err)
	}
	return n, nil
}

// tally counts by class.
type tally map[string]ClassCount

// add counts c in, or out again when sign is -1.
func (t tally) add(c ClassCount, sign int64) {
	sum := t[c.Class]
	t[c.Class] = ClassCount{Class: c.Class, Rows: sum.Rows + sign*c.Rows, Area: sum.Area + float64(sign)*c.Area}
}

// list gives the classes that have rows, those of most rows first, and how many are
// counted together as the last.
func (t tally) list() (classes []ClassCount, folded int) {
	out := make([]ClassCount, 0, len(t))
	for _, c := range t {
		if c.Rows > 0 {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b ClassCount) int {
		return cmp.Or(cmp.Compare(b.Rows, a.Rows), cmp.Compare(a.Class, b.Class))
	})
	if len(out) <= maxClasses {
		return out, 0
	}
	folded = len(out) - (maxClasses - 1)
	return append(out[:maxClasses-1:maxClasses-1], fold(out[maxClasses-1:])), folded
}

// folds reports whether classes are counted together. Statistics of earlier versions
// did not say how many.
func (s *Statistics) folds() bool {
	return s.Folded > 0 || len(s.Classes) == maxClasses && slices.ContainsFunc(s.Classes, func(c ClassCount) bool { return c.Class == foldedClass })
}

// fold counts classes together.
func fold(classes []ClassCount) ClassCount {
	rest := ClassCount{Class: foldedClass}
	for _, c := range classes {
		rest.Rows += c.Rows
		rest.Area += c.Area
	}
	return rest
}

// foldedClass is what the classes that are counted together are called.
const foldedClass = "…"

// foldAlike counts a class together on both sides where it is on one of them: a class
// that one side names and the other has among many is no class that came or went.
func (d *Difference) foldAlike() {
	before, after := d.Before.classes(), d.After.classes()
	folds := [2]bool{d.Before.folds(), d.After.folds()}
	d.Before.foldUnless(after, folds[1])
	d.After.foldUnless(before, folds[0])
}

// classes are the names that the statistics count one by one.
func (s *Statistics) classes() map[string]bool {
	out := make(map[string]bool)
	for _, c := range s.Classes {
		out[c.Class] = true
	}
	return out
}

// foldUnless counts those classes together that the other side, which folds some,
// does not name.
func (s *Statistics) foldUnless(named map[string]bool, folds bool) {
	if !folds {
		return
	}
	var kept, rest []ClassCount
	for _, c := range s.Classes {
		switch {
		case c.Class == foldedClass:
			rest = append(rest, c)
		case named[c.Class]:
			kept = append(kept, c)
		default:
			rest = append(rest, c)
			s.Folded++
		}
	}
	if len(rest) > 0 {
		kept = append(kept, fold(rest))
	}
	s.Classes = kept
}

func joinBounds(b *catalog.Bounds, o catalog.Bounds) *catalog.Bounds {
	if b == nil {
		return &o
	}
	return &catalog.Bounds{min(b[0], o[0]), min(b[1], o[1]), max(b[2], o[2]), max(b[3], o[3])}
}

// unique makes the index of the business key, where the table is read by it or a
// value may repeat, and finds every row of values that do.
func (l *loader) unique(ctx context.Context, tx pgx.Tx, table string) error {
	key := l.plan.settings.businessKey
	if key == "" {
		return nil
	}
	if l.gauge.keyless > 0 {
		if err := l.keyless(ctx, tx, table, key); err != nil {
			return err
		}
	}
	if !l.gauge.mayRepeat {
		return nil
	}
	err := pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
		s := new(postgis.SQL).Raw("CREATE UNIQUE INDEX ON ").Ident("content", table).Raw(" (").Ident(key).Raw(")")
		_, err := tx.Exec(ctx, s.String())
		return err
	})
	var p *pgconn.PgError
	if err == nil || !errors.As(err, &p) || p.Code != "23505" {
		return err
	}
	s := new(postgis.SQL).Raw("SELECT fid, ").Ident(key).Raw("::text, ST_X(c), ST_Y(c) FROM (SELECT fid, ").Ident(key).
		Raw(", ST_Centroid(Box2D(geom)::geometry) AS c, count(*) OVER (PARTITION BY ").Ident(key).Raw(") AS n FROM ").Ident("content", table).
		Raw(" WHERE ").Ident(key).Raw(" IS NOT NULL) t WHERE n > 1 ORDER BY 2, fid")
	rows, err := tx.Query(ctx, s.String())
	if err != nil {
		return fmt.Errorf("find repeated keys: %w", err)
	}
	var fid int64
	var value string
	var lon, lat *float64
	_, err = pgx.ForEachRow(rows, []any{&fid, &value, &lon, &lat}, func() error {
		row, file := l.rowOf(fid)
		f := finding.Finding{
			Row: row, File: file, Code: "key-duplicate", Severity: finding.Block, Action: finding.Noted, Field: key,
			ZH: fmt.Sprintf("业务主键 %q 重复", cut(value, 100)), EN: fmt.Sprintf("the business key %q is there more than once", cut(value, 100)),
		}
		if lon != nil && lat != nil {
			f.Place = placeOf([4]float64{*lon, *lat, *lon, *lat})
		}
		l.found.add(f)
		return nil
	})
	if err != nil {
		return fmt.Errorf("find repeated keys: %w", err)
	}
	return nil
}

// keyless finds the rows without a business key: no later delivery can change or
// delete them.
func (l *loader) keyless(ctx context.Context, tx pgx.Tx, table, key string) error {
	s := new(postgis.SQL).Raw("SELECT fid FROM ").Ident("content", table).Raw(" WHERE ").Ident(key).Raw(" IS NULL OR ").Ident(key).Raw("::text = '' ORDER BY fid")
	rows, err := tx.Query(ctx, s.String())
	if err != nil {
		return fmt.Errorf("find rows without a key: %w", err)
	}
	var fid int64
	if _, err := pgx.ForEachRow(rows, []any{&fid}, func() error {
		row, file := l.rowOf(fid)
		l.found.add(finding.Finding{
			Row: row, File: file, Code: "key-missing", Severity: finding.Error, Action: finding.Noted, Field: key,
			ZH: "业务主键为空：以后的交付无法变更或删除该行", EN: "the business key is empty: no later delivery can change or delete the row",
		})
		return nil
	}); err != nil {
		return fmt.Errorf("find rows without a key: %w", err)
	}
	return nil
}

// index gives a table that will be read what readers need. The spatial index, which
// costs as much as the others together, is built on conn and those on a second
// connection, where the pool has one free.
func (l *loader) index(ctx context.Context, pool *pgxpool.Pool, conn *pgxpool.Conn, table string) error {
	if l.indexed {
		return nil
	}
	l.progress(Progress{Phase: Indexing})
	id := new(postgis.SQL).Ident("content", table)
	build := func(conn *pgxpool.Conn, statements ...*postgis.SQL) error {
		return l.begin(ctx, conn, func(tx pgx.Tx) error {
			for _, s := range statements {
				if _, err := tx.Exec(ctx, s.String()); err != nil {
					return fmt.Errorf("index: %w", err)
				}
			}
			return nil
		})
	}
	number := table + "_pkey"
	ordered := []*postgis.SQL{
		new(postgis.SQL).Raw("CREATE UNIQUE INDEX ").Ident(number).Raw(" ON ").Add(id).Raw(" (fid)"),
		// Tiles take the largest features first where not all fit.
		new(postgis.SQL).Raw("CREATE INDEX ON ").Add(id).Raw(" (span DESC, fid)"),
	}
	if column := l.plan.settings.timeColumn; column != "" {
		ordered = append(ordered, new(postgis.SQL).Raw("CREATE INDEX ON ").Add(id).Raw(" (").Ident(column).Raw(")"))
	}
	var err error
	if l.gist {
		err = build(conn, ordered...)
	} else {
		err = beside(ctx, pool, conn, func(other *pgxpool.Conn) error { return build(other, ordered...) },
			func() error { return build(conn, l.gistSQL(table)) })
	}
	if err != nil {
		return err
	}
	l.indexed = true
	return build(conn,
		new(postgis.SQL).Raw("ALTER TABLE ").Add(id).Raw(" ADD PRIMARY KEY USING INDEX ").Ident(number),
		new(postgis.SQL).Raw("ANALYZE ").Add(id))
}

// beside runs one function with another connection while the other runs with conn,
// or, where no other connection is free in a moment, both with conn one by one.
func beside(ctx context.Context, pool *pgxpool.Pool, conn *pgxpool.Conn, there func(*pgxpool.Conn) error, here func() error) error {
	wait, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	other, err := pool.Acquire(wait)
	if err != nil {
		if err := there(conn); err != nil {
			return err
		}
		return here()
	}
	defer other.Release()
	var group errgroup.Group
	group.Go(func() error { return there(other) })
	group.Go(here)
	return group.Wait()
}

func (l *loader) gistSQL(table string) *postgis.SQL {
	l.gist = true
	return new(postgis.SQL).Raw("CREATE INDEX ON ").Ident("content", table).Raw(" USING gist (geom)")
}

// empty refuses a delivery of which nothing is left.
func (l *loader) empty() error {
	return problem.New(problem.Invalid, "nothing-to-publish", strings.Join(l.plan.Files, ", "),
		"没有一行可以发布：全部被拒收，或文件没有数据。原因见报告", "not one row can be published: all were refused, or the files hold none. The report has the reasons")
}
