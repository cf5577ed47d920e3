package features

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"pgregory.net/rapid"

	"changde/catalog"
	"changde/features/cql2"
	"changde/ingest/layer"
	"changde/postgis"
	"changde/postgis/postgistest"
	"changde/problem"
)

// mixture is a dataset with a column of each type, whose values are few, come
// together in many ways and are often missing.
func mixture(t testing.TB, pool *pgxpool.Pool) (*catalog.Dataset, []row) {
	t.Helper()
	d := table(t, pool, "mixture", "Point", []catalog.Column{
		{Name: "名称", Type: layer.Text, Alias: "地名"},
		{Name: "n", Type: layer.Integer},
		{Name: "r", Type: layer.Real},
		{Name: "m", Type: layer.Decimal},
		{Name: "b", Type: layer.Boolean},
		{Name: "日期", Type: layer.Date},
		{Name: "t", Type: layer.Timestamp},
		{Name: `a "b'; --`, Type: layer.Text},
	})
	texts := []any{nil, "水田", "水 田", "旱地", "ABC", "abc", `a%c`, `a_c`, `a\c`, "O'Neil", "", "a\nc"}
	whole := []any{nil, int64(0), int64(1), int64(-2), int64(3), int64(9007199254740993)}
	reals := []any{nil, 0.0, 0.1, -2.0, 1.5, 3.0, 9007199254740992.0}
	exact := []any{nil, "0", "0.1", "-2.00", "1.50", "3", "9007199254740993.01"}
	bools := []any{nil, true, false}
	day := func(n int) time.Time { return time.Date(2012, 1, n, 0, 0, 0, 0, time.UTC) }
	dates := []any{nil, day(1), day(2), day(31)}
	times := []any{nil, day(1), day(1).Add(time.Microsecond), day(2).Add(8 * time.Hour)}
	var rows []row
	for i := range 240 {
		pick := func(from []any, step int) any { return from[(i/step+i*step)%len(from)] }
		r := row{
			"fid": int64(i), "名称": pick(texts, 1), "n": pick(whole, 2), "r": pick(reals, 3), "b": pick(bools, 7), "日期": pick(dates, 4), "t": pick(times, 6),
			`a "b'; --`: pick(texts, 5),
		}
		decimal := pick(exact, 5)
		if decimal != nil {
			r["m"], _ = new(big.Rat).SetString(decimal.(string))
		}
		var x, y any
		if i%7 > 0 {
			p := [2]float64{float64(i % 12), float64(i / 12 % 12)}
			r[GeometryProperty], x, y = p, p[0], p[1]
		}
		rows = append(rows, r)
		q := new(postgis.SQL).Raw("INSERT INTO content.mixture SELECT ").Arg(int64(i)).Raw("::bigint, ").Arg(r["名称"]).Raw("::text, ").Arg(r["n"]).Raw("::bigint, ").
			Arg(r["r"]).Raw("::float8, ").Arg(decimal).Raw("::text::numeric, ").Arg(r["b"]).Raw("::boolean, ").Arg(r["日期"]).Raw("::date, ").Arg(r["t"]).
			Raw("::timestamptz, ").Arg(r[`a "b'; --`]).Raw("::text, 1, ST_SetSRID(ST_MakePoint(").Arg(x).Raw("::float8, ").Arg(y).Raw("::float8), 4490)")
		exec(t, pool, q)
	}
	d.Current.Rows = int64(len(rows))
	d.Current.Extent = &catalog.Bounds{0, 0, 11, 11}
	return d, rows
}

// conditions writes random filters on the mixture.
func conditions() *rapid.Generator[string] {
	text := rapid.SampledFrom([]string{`名称`, `"a ""b'; --"`})
	texts := rapid.SampledFrom([]string{`'水田'`, `'旱地'`, `'abc'`, `'ABC'`, `'O''Neil'`, `''`, `'b'`, `'a\c'`})
	number := rapid.SampledFrom([]string{`n`, `r`, `m`, `fid`})
	numbers := rapid.SampledFrom([]string{`0`, `-2`, `1`, `1.5`, `0.1`, `3.0`, `17`, `9007199254740993`, `9007199254740992`, `9007199254740993.02`, `1e300`, `-1e-300`, `99999999999999999999`})
	date, dates := rapid.Just(`日期`), rapid.SampledFrom([]string{`DATE('2012-01-01')`, `DATE('2012-01-02')`, `DATE('1999-12-31')`})
	instant, instants := rapid.Just(`t`), rapid.SampledFrom([]string{`TIMESTAMP('2012-01-01T00:00:00Z')`, `TIMESTAMP('2012-01-01T00:00:00.000001Z')`, `TIMESTAMP('2012-01-02T08:00:00Z')`})
	type kind struct{ property, literal *rapid.Generator[string] }
	kinds := []kind{{text, texts}, {number, numbers}, {date, dates}, {instant, instants}}
	shapes := rapid.SampledFrom([]string{
		`BBOX(1.5, 2, 6, 8)`, `BBOX(10, 0, 3, 5)`, `BBOX(4, 4, 4, 4)`, `POLYGON((2.5 2.5, 8 2.5, 8 9, 2.5 9, 2.5 2.5))`, `POINT(3 4)`, `MULTIPOLYGON(((0 0, 5 0, 5 5, 0 5, 0 0)))`,
	})
	likes := rapid.SampledFrom([]string{`'%'`, `'a%'`, `'a_c'`, `'a\%c'`, `'a\_c'`, `'a\\c'`, `'水%田'`, `'_地'`, `'%''%'`, `''`, `'%b%'`})
	ops := rapid.SampledFrom([]string{"=", "<>", "<", "<=", ">", ">="})
	maybe := rapid.SampledFrom([]string{"", " NOT"})
	predicate := rapid.Custom(func(t *rapid.T) string {
		k := rapid.SampledFrom(kinds).Draw(t, "kind")
		p, v, op, not := k.property.Draw(t, "property"), k.literal.Draw(t, "value"), ops.Draw(t, "op"), maybe.Draw(t, "not")
		switch rapid.IntRange(0, 12).Draw(t, "predicate") {
		case 0:
			return p + " " + op + " " + v
		case 1:
			return v + op + p
		case 2:
			return p + op + k.property.Draw(t, "other")
		case 3:
			return p + not + " BETWEEN " + v + " AND " + k.literal.Draw(t, "high")
		case 4:
			return v + not + " BETWEEN " + p + " AND " + k.property.Draw(t, "high")
		case 5:
			return p + not + " IN (" + strings.Join(rapid.SliceOfN(k.literal, 1, 4).Draw(t, "list"), ",") + ")"
		case 6:
			return v + not + " IN (" + strings.Join(rapid.SliceOfN(k.property, 1, 3).Draw(t, "list"), ",") + ")"
		case 7:
			return text.Draw(t, "text") + not + " LIKE " + likes.Draw(t, "pattern")
		case 8:
			return "CASEI(" + text.Draw(t, "text") + ")" + not + " LIKE CASEI(" + likes.Draw(t, "pattern") + ")"
		case 9:
			return "CASEI(" + text.Draw(t, "text") + ")" + not + " IN (CASEI(" + texts.Draw(t, "one") + "), " + texts.Draw(t, "two") + ")"
		case 10:
			return rapid.SampledFrom([]string{p, "geom", "b"}).Draw(t, "of") + " IS" + not + " NULL"
		case 11:
			return "b " + rapid.SampledFrom([]string{"= TRUE", "<> FALSE", "IN (true, false)", "NOT IN (false)", "= b"}).Draw(t, "truth")
		}
		return "S_INTERSECTS(geom, " + shapes.Draw(t, "shape") + ")"
	})
	var nested func(depth int) *rapid.Generator[string]
	nested = func(depth int) *rapid.Generator[string] {
		if depth == 0 {
			return predicate
		}
		return rapid.Custom(func(t *rapid.T) string {
			one, two := nested(depth-1), nested(depth-1)
			switch rapid.IntRange(0, 3).Draw(t, "shape") {
			case 0:
				return "(" + one.Draw(t, "one") + " AND " + two.Draw(t, "two") + ")"
			case 1:
				return "(" + one.Draw(t, "one") + " OR " + two.Draw(t, "two") + ")"
			case 2:
				return "NOT (" + one.Draw(t, "one") + ")"
			}
			return predicate.Draw(t, "predicate")
		})
	}
	return nested(3)
}

// agree finds where PostgreSQL says another thing of a row, true, false or unknown,
// than the nodes of the filter do, and counts what was said.
func agree(t testing.TB, s *Store, d *catalog.Dataset, rows []row, text string, seen map[verdict]int) error {
	n, err := cql2.Parse(text, cql2.Options{})
	if err != nil {
		return err
	}
	f, err := s.Filter(d.Current, text, cql2.Options{})
	if err != nil {
		return err
	}
	if err := f.Check(t.Context()); err != nil {
		return err
	}
	q := new(postgis.SQL).Raw("SELECT fid, CASE WHEN c THEN 2 WHEN c IS NULL THEN 1 ELSE 0 END FROM (SELECT fid, ").Add(f.SQL()).Raw(" AS c")
	d.Current.From(q).Raw(") answers ORDER BY fid")
	got, err := s.pool.Query(t.Context(), q.String(), append([]any{pgx.QueryExecModeDescribeExec}, q.Args()...)...)
	if err != nil {
		return err
	}
	var fid int64
	var says verdict
	count := 0
	if _, err := pgx.ForEachRow(got, []any{&fid, &says}, func() error {
		if want := evaluate(t, n, rows[fid]); says != want {
			return fmt.Errorf("row %v: PostgreSQL says %d, the nodes %d: %s", rows[fid], says, want, q)
		}
		seen[says]++
		count++
		return nil
	}); err != nil {
		return err
	}
	if count != len(rows) {
		return fmt.Errorf("%d rows were read", count)
	}
	return nil
}

func TestFilterAgreesWithTheNodes(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	d, rows := mixture(t, pool)
	s := NewStore(pool, Config{})
	seen := map[verdict]int{}
	// What chance seldom meets: numbers that are the same as doubles alone, and what
	// is unknown of lists.
	for _, text := range []string{
		`m = 9007199254740993.02`, `m >= 9007199254740993.02`, `m IN (9007199254740993.02, 1)`, `n = 9007199254740992`, `n IN (9007199254740992)`, `n < 9007199254740993.5`,
		`r = 9007199254740993`, `n = r`, `m = n`, `m < r`, `NOT n IN (1.5)`, `n NOT IN (1.5, 2.5)`, `n IN (1e300, 1)`, `NOT (名称 IN ('水田') OR n = 1)`, `b NOT IN (TRUE, FALSE)`,
		`日期 NOT IN (DATE('2012-01-01'))`, `t IN (TIMESTAMP('2012-01-01T00:00:00.000001Z'))`, `名称 = 'a\c'`, `TRUE`, `FALSE OR n = 1`, `r IN (0.1, -2)`,
	} {
		if err := agree(t, s, d, rows, text, seen); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		text := conditions().Draw(rt, "filter")
		if err := agree(t, s, d, rows, text, seen); err != nil {
			rt.Fatalf("%s: %v", text, err)
		}
	})
	for _, v := range []verdict{isFalse, unknown, isTrue} {
		if seen[v] == 0 {
			t.Errorf("no row was ever %d", v)
		}
	}
}

func filterOf(t testing.TB, s *Store, d *catalog.Dataset, text string) *Filter {
	t.Helper()
	f, err := s.Filter(d.Current, text, cql2.Options{})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return f
}

func TestFilterFaults(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	d, _ := mixture(t, pool)
	s := NewStore(pool, Config{})
	tests := []struct {
		text string
		near string // where the fault lies
		zh   string
		en   string
	}{
		{`名字 = 'x'`, `名字 = 'x'`, "相近的有：名称", "similar ones: 名称"},
		{`地名 = 'x'`, `地名 = 'x'`, "相近的有：名称", "similar ones: 名称"},
		{`N = 1`, `N = 1`, "相近的有：n", "similar ones: n"},
		{`nowhere IS NULL`, `nowhere IS NULL`, "queryables", "queryables"},
		{`rev = 1`, `rev = 1`, "没有这个字段", "no such property"},
		{`span > 0`, `span > 0`, "没有这个字段", "no such property"},
		{`名称 = 5`, `5`, "名称 是文字", "名称 is of type text"},
		{`n = '5'`, `'5'`, "n 是整数", "n is of type integer"},
		{`r IN (1, 'x')`, `'x')`, "r 是实数", "r is of type real"},
		{`m < TRUE`, `TRUE`, "m 是小数", "m is of type decimal"},
		{`b = 1`, `1`, "TRUE", "TRUE"},
		{`b < TRUE`, `b < TRUE`, "没有大小", "no order"},
		{`日期 = '2012-01-01'`, `'2012-01-01'`, "DATE('", "DATE('"},
		{`日期 < TIMESTAMP('2012-01-01T00:00:00Z')`, `TIMESTAMP('2012-…`, "日期", "date"},
		{`t BETWEEN DATE('2012-01-01') AND DATE('2012-01-02')`, `DATE('2012-01-01…`, "TIMESTAMP('", "TIMESTAMP('"},
		{`n = 名称`, `名称`, "不能与字段", "cannot be compared"},
		{`1 = 1`, `1 = 1`, "至少应有一个字段", "must be a property"},
		{`n LIKE '1%'`, `n LIKE '1%'`, "LIKE 只用于文字", "LIKE is for text"},
		{`CASEI(n) = 'x'`, `n) = 'x'`, "CASEI 只用于文字", "CASEI is for text"},
		{`geom = 'x'`, `geom = 'x'`, "几何字段", "the geometry"},
		{`S_INTERSECTS(名称, POINT(1 2))`, `名称, POINT(1 2))`, "不是几何", "no geometry"},
		{`S_INTERSECTS(shape, POINT(1 2))`, `shape, POINT(1 2…`, "没有这个字段", "no such property"},
		{`S_INTERSECTS(geom, geom)`, `geom)`, "另一个参数", "other argument"},
		{`S_INTERSECTS(geom, POINT(29 111))`, `POINT(29 111))`, "filter-crs", "filter-crs"},
		{`S_INTERSECTS(geom, BBOX(0, 0, 181, 1))`, `BBOX(0, 0, 181, …`, "经纬度", "longitude"},
		{`S_INTERSECTS(geom, GEOMETRYCOLLECTION(POINT(1 91)))`, `GEOMETRYCOLLECTI…`, "经纬度", "longitude"},
		{`S_INTERSECTS(geom, POINT(1 2)) AND S_INTERSECTS(geom, POLYGON((0 0, 1 1, 1 0, 0 1, 0 0)))`, `POLYGON((0 0, 1 …`, "几何无效（Self-intersection", "not valid: Self-intersection"},
		{`S_INTERSECTS(geom, POLYGON((0 0, 0 0, 0 0, 0 0)))`, `POLYGON((0 0, 0 …`, "几何无效", "not valid"},
	}
	for _, tt := range tests {
		f, err := s.Filter(d.Current, tt.text, cql2.Options{})
		if err == nil {
			q := Query{Filter: f}
			_, _, err = s.Items(t.Context(), d, d.Current, q, nil, nil)
		}
		var p *problem.Error
		var e *cql2.Error
		if !errors.As(err, &p) || !errors.As(err, &e) || p.Kind != problem.Invalid || e.Near != tt.near || !strings.Contains(p.ZH, tt.zh) || !strings.Contains(p.EN, tt.en) {
			t.Errorf("%s: %v", tt.text, err)
		}
	}
}

func (s *Store) count(t testing.TB, d *catalog.Dataset, text string) int64 {
	t.Helper()
	page, _, err := s.Items(t.Context(), d, d.Current, Query{Limit: 1, Filter: filterOf(t, s, d, text)}, nil, nil)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return page.Matched
}

// Whatever stands in a name or a literal stays one: the table is there afterwards,
// and nothing matches that should not.
func TestFilterInjection(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	d, rows := mixture(t, pool)
	s := NewStore(pool, Config{})
	for _, hostile := range []string{
		`x'' OR ''1''=''1`, `''; DROP TABLE content.mixture; --`, `\\''; DROP TABLE content.mixture; --`, `$1`, `$$`, `%s`, `x'') OR (1=1`, `\'' OR 1=1 --`,
	} {
		for _, text := range []string{`名称 = '%s'`, `名称 IN ('%s', 'q')`, `CASEI(名称) = CASEI('%s')`, `名称 LIKE 'q%s'`, `"a ""b'; --" = '%s'`} {
			filter := strings.Replace(text, "%s", hostile, 1)
			f, err := s.Filter(d.Current, filter, cql2.Options{})
			if err != nil {
				continue // no filter at all
			}
			page, _, err := s.Items(t.Context(), d, d.Current, Query{Filter: f}, nil, nil)
			if err != nil || page.Returned != 0 {
				t.Errorf("%s: %d features, %v", filter, page.Returned, err)
			}
		}
		name := strings.ReplaceAll(hostile, "''", "'")
		if _, err := s.Filter(d.Current, `"`+name+`" = 1`, cql2.Options{}); !problem.Is(err, problem.Invalid) {
			t.Errorf("the name %s: %v", name, err)
		}
	}
	want := int64(0)
	for _, r := range rows {
		if r[`a "b'; --`] == "O'Neil" {
			want++
		}
	}
	if got := s.count(t, d, `"a ""b'; --" = 'O\'Neil'`); got != want || got == 0 {
		t.Errorf("%d rows of a column with a hostile name, want %d", got, want)
	}
}

// A page, the page after it and the counts are of the same filter.
func TestFilterPages(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	d := parcels(t, pool, 2000, 50)
	s := NewStore(pool, Config{})
	f := filterOf(t, s, d, `DLMC = '林地' AND 面积 >= 100 AND S_INTERSECTS(geom, BBOX(111, 28.5, 111.0061, 29))`)
	var want []int64
	rows, err := pool.Query(t.Context(), `SELECT fid FROM content.parcels_2000 WHERE "DLMC" = '林地' AND "面积" >= 100 AND ST_Intersects(geom, ST_MakeEnvelope(111, 28.5, 111.0061, 29, 4490)) ORDER BY fid`)
	if err == nil {
		want, err = pgx.CollectRows(rows, pgx.RowTo[int64])
	}
	if err != nil {
		t.Fatal(err)
	}
	var got []int64
	q := Query{Limit: 7, Filter: f}
	for {
		page, _, err := s.Items(t.Context(), d, d.Current, q, nil, func(dst []byte, fid int64) []byte {
			got = append(got, fid)
			return dst
		})
		if err != nil {
			t.Fatal(err)
		}
		if page.Matched != int64(len(want)) && page.Matched != -1 || q.AfterFID == nil && page.Matched < 0 {
			t.Errorf("%d match, want %d", page.Matched, len(want))
		}
		if page.Next == nil {
			break
		}
		q.AfterFID = page.Next
	}
	if !slices.Equal(got, want) || len(want) < 20 {
		t.Errorf("pages hold %v, want %v", got, want)
	}
}

func TestFilterPlans(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	d := parcels(t, pool, 50_000, 250)
	exec(t, pool, new(postgis.SQL).Raw(`CREATE UNIQUE INDEX parcels_key ON content.parcels_50000 ("地块编号")`))
	exec(t, pool, new(postgis.SQL).Raw(`CREATE INDEX parcels_date ON content.parcels_50000 ("登记日期")`))
	exec(t, pool, new(postgis.SQL).Raw(`CREATE INDEX parcels_n ON content.parcels_50000 (n)`))
	exec(t, pool, new(postgis.SQL).Raw(`ANALYZE content.parcels_50000`))
	s := NewStore(pool, Config{})
	for text, want := range map[string]string{
		`地块编号 = 'P00000042'`:                                       "parcels_key",
		`'P00000042' = 地块编号`:                                       "parcels_key",
		`地块编号 IN ('P00000042', 'P00000043')`:                       "parcels_key",
		`地块编号 > 'P00049990'`:                                       "parcels_key",
		`登记日期 = DATE('2020-01-05')`:                                "parcels_date",
		`n BETWEEN 5 AND 6`:                                        "parcels_n",
		`n IN (7)`:                                                 "parcels_n",
		`fid = 7`:                                                  "parcels_50000_pkey",
		`S_INTERSECTS(geom, POINT(111.01 28.51))`:                  "parcels_50000_geom_idx",
		`S_INTERSECTS(geom, BBOX(111.01, 28.51, 111.012, 28.512))`: "parcels_50000_geom_idx",
		`S_INTERSECTS(POLYGON((111.01 28.51, 111.012 28.51, 111.012 28.512, 111.01 28.51)), geometry)`: "parcels_50000_geom_idx",
	} {
		got := plan(t, pool, pageSQL(d, d.Current, &Query{Limit: 100, Filter: filterOf(t, s, d, text)}))
		if !strings.Contains(got, want) || strings.Contains(got, "Seq Scan on parcels_50000 ") {
			t.Errorf("%s: want %q in\n%s", text, want, got)
		}
	}
}

// The axis order is the caller's; the name is the same for the same place.
func TestFilterAxisOrder(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	d, _ := mixture(t, pool)
	s := NewStore(pool, Config{})
	lonLat := filterOf(t, s, d, `S_INTERSECTS(geom, POINT(3 4))`)
	latLon, err := s.Filter(d.Current, `s_intersects(geom,POINT(4 3.0))`, cql2.Options{LatitudeFirst: true})
	if err != nil || lonLat.String() != latLon.String() {
		t.Errorf("%s, %s, %v", lonLat, latLon, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f := filterOf(t, s, d, `S_INTERSECTS(geom, LINESTRING(1 2, 3 4))`)
	if err := f.Check(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a check whose caller has gone: %v", err)
	}
}

// geometry is the geometry unless a column has the name; geom always is.
func TestFilterGeometryName(t *testing.T) {
	t.Parallel()
	s := NewStore(nil, Config{})
	const meets, text = `S_INTERSECTS(geometry, POINT(1 2))`, `geometry = 'x'`
	bare, taken := &catalog.Release{}, &catalog.Release{Columns: []catalog.Column{{Name: "geometry", Type: layer.Text}}}
	for _, tt := range []struct {
		release *catalog.Release
		text    string
		ok      bool
	}{
		{bare, meets, true}, {bare, text, false}, {taken, meets, false}, {taken, text, true}, {taken, `S_INTERSECTS(geom, POINT(1 2))`, true},
	} {
		if _, err := s.Filter(tt.release, tt.text, cql2.Options{}); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.text, err)
		}
	}
}
