package features

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"changde/catalog"
	"changde/ingest/layer"
	"changde/postgis"
	"changde/postgis/postgistest"
	"changde/problem"
)

// everything is a dataset with a column of each type, names and values that are
// hard to write, and geometries of many types.
func everything(t testing.TB, pool *pgxpool.Pool) *catalog.Dataset {
	t.Helper()
	d := table(t, pool, "everything", "GeometryZ", []catalog.Column{
		{Name: `"; drop table`, Type: layer.Text},
		{Name: "名称", Type: layer.Text},
		{Name: `a\b"c`, Type: layer.Integer},
		{Name: "real", Type: layer.Real},
		{Name: "金额", Type: layer.Decimal},
		{Name: "ok", Type: layer.Boolean},
		{Name: "日期", Type: layer.Date},
		{Name: "时间", Type: layer.Timestamp},
	})
	d.TimeColumn, d.Label, d.BusinessKey = "时间", "名称", `a\b"c`
	insert := new(postgis.SQL).Raw("INSERT INTO ").Ident(d.Current.Relation[:]...).Raw(` VALUES
		(1, E'line\nbreak "quoted" \\ tab\t bell\x07', '常德市𠮷', 42, 0.1, 12.50, true, '2024-02-29', '2024-02-29 23:59:59.123456+08', 1, ST_GeomFromEWKT('SRID=4490;POINT Z (111.7 29 35.25)')),
		(2, '', E'U+2028 \u2028', -9223372036854775808, 'NaN', 'NaN', false, 'infinity', '-infinity', 1, ST_GeomFromEWKT('SRID=4490;POLYGON Z ((111 29 1, 111 29.1 1, 111.1 29.1 1, 111.1 29 1, 111 29 1))')),
		(3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1, NULL),
		(4, 'x', 'y', 0, '-Infinity', 123456789012345678901234567890.123, true, '0044-03-15 BC', '1969-12-31 23:59:59.5+00', 1, ST_GeomFromEWKT('SRID=4490;GEOMETRYCOLLECTION Z (POINT Z (1 2 3), LINESTRING Z (0 0 0, 1 1 1))')),
		(5, 'x', 'y', 7, 1e300, 0, true, '12024-01-01', '0001-01-01 00:00:00+00', 1, ST_GeomFromEWKT('SRID=4490;POINT Z EMPTY'))`)
	fill(t, pool, d, insert)
	return d
}

func items(t testing.TB, s *Store, d *catalog.Dataset, q Query) (Page, []byte) {
	t.Helper()
	page, b, err := s.Items(context.Background(), d, d.Current, q, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if all := "[" + string(b) + "]"; !json.Valid([]byte(all)) {
		t.Fatalf("no JSON: %s", all)
	}
	return page, b
}

func ids(t testing.TB, b []byte) []int64 {
	t.Helper()
	var fs []struct {
		ID int64 `json:"id"`
	}
	if err := json.Unmarshal([]byte("["+string(b)+"]"), &fs); err != nil {
		t.Fatal(err)
	}
	out := []int64{}
	for _, f := range fs {
		out = append(out, f.ID)
	}
	return out
}

func TestItemsOfEveryType(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	// What sessions may be set to must not show.
	for _, set := range []string{"DateStyle = 'German'", "TimeZone = 'Asia/Shanghai'", "extra_float_digits = 0"} {
		exec(t, pool, new(postgis.SQL).Raw("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET ").Add(rawSetting(set)).Raw("', current_database()); END $$"))
	}
	pool.Reset()
	d := everything(t, pool)
	_, b := items(t, NewStore(pool, Config{}), d, Query{})
	got := strings.ReplaceAll(string(b), `},{"type":"Feature"`, "},\n"+`{"type":"Feature"`) + "\n"
	const golden = "testdata/everything.txt"
	if os.Getenv("BLESS") != "" {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// rawSetting lets the test's own constants into a statement, quotes doubled for
// the string they stand in.
func rawSetting(s string) *postgis.SQL {
	q := new(postgis.SQL)
	switch s {
	case "DateStyle = 'German'":
		return q.Raw("DateStyle = ''German''")
	case "TimeZone = 'Asia/Shanghai'":
		return q.Raw("TimeZone = ''Asia/Shanghai''")
	}
	return q.Raw("extra_float_digits = 0")
}

// PostGIS itself writes the same rows.
func TestItemsAsPostGIS(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	d := parcels(t, pool, 500, 25)
	_, b := items(t, NewStore(pool, Config{}), d, Query{Limit: 500})
	q := new(postgis.SQL).Raw(`SELECT json_agg(json_build_object('type', 'Feature', 'id', fid,
		'geometry', ST_AsGeoJSON(ST_ForcePolygonCCW(geom), 8, 0)::json, 'properties', to_jsonb(p) - 'fid' - 'rev' - 'geom' - 'span') ORDER BY fid) FROM `).
		Ident(d.Current.Relation[:]...).Raw(" p")
	var want []byte
	if err := pool.QueryRow(context.Background(), q.String()).Scan(&want); err != nil {
		t.Fatal(err)
	}
	var gotV, wantV any
	if err := errors.Join(json.Unmarshal([]byte("["+string(b)+"]"), &gotV), json.Unmarshal(want, &wantV)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wantV, gotV); diff != "" {
		t.Errorf("-PostGIS +ours:\n%.2000s", diff)
	}
}

func TestItemsPages(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	s := NewStore(pool, Config{})
	d := parcels(t, pool, 1003, 50)
	var got []int64
	q := Query{Limit: 100}
	for range 20 {
		page, b := items(t, s, d, q)
		got = append(got, ids(t, b)...)
		if page.Matched != 1003 {
			t.Fatalf("matched %d", page.Matched)
		}
		if page.Next == nil {
			break
		}
		if page.Returned != 100 || *page.Next != got[len(got)-1] {
			t.Fatalf("returned %d, next %d", page.Returned, *page.Next)
		}
		q.AfterFID = page.Next
	}
	if len(got) != 1003 || got[0] != 1 || got[1002] != 1003 {
		t.Errorf("walked %d features", len(got))
	}
	page, b := items(t, s, d, Query{Limit: 3, Offset: 1000})
	if diff := cmp.Diff([]int64{1001, 1002, 1003}, ids(t, b)); diff != "" || page.Next != nil {
		t.Errorf("at the last offset: %s, next %v", diff, page.Next)
	}
	if page, b := items(t, s, d, Query{Offset: 5000}); len(b) != 0 || page.Returned != 0 || page.Bounds != nil {
		t.Errorf("beyond the end: %+v %s", page, b)
	}
	_, _, err := s.Items(context.Background(), d, d.Current, Query{Offset: 1_000_001}, nil, nil)
	if !problem.Is(err, problem.Invalid) || !strings.Contains(err.Error(), "next") {
		t.Errorf("an offset too far: %v", err)
	}
	// A page that is large in bytes ends early and goes on.
	small := NewStore(pool, Config{MaxBytes: 2000})
	page, b = items(t, small, d, Query{Limit: 100})
	if page.Returned >= 100 || page.Returned < 2 || page.Next == nil || *page.Next != int64(page.Returned) {
		t.Errorf("a page of %d bytes: %+v", len(b), page)
	}
	if page, _ = items(t, NewStore(pool, Config{MaxLimit: 7}), d, Query{Limit: 100}); page.Returned != 7 {
		t.Errorf("beyond the limit of limits: %d", page.Returned)
	}
}

func TestItemsInBounds(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	s := NewStore(pool, Config{})
	d := table(t, pool, "shapes", "Geometry", []catalog.Column{{Name: "t", Type: layer.Date}})
	d.TimeColumn = "t"
	fill(t, pool, d, new(postgis.SQL).Raw(`INSERT INTO content.shapes VALUES
		(1, '2020-01-01', 1, ST_GeomFromEWKT('SRID=4490;POINT (10 10)')),
		(2, '2021-01-01', 1, ST_GeomFromEWKT('SRID=4490;POINT (179.5 -16)')),
		(3, '2022-01-01', 1, ST_GeomFromEWKT('SRID=4490;POINT (-179.5 -16)')),
		(4, NULL, 1, ST_GeomFromEWKT('SRID=4490;LINESTRING (0 0, 0 20, 20 20)')),
		(5, '2023-06-15', 1, ST_GeomFromEWKT('SRID=4490;POLYGON ((30 30, 40 30, 40 40, 30 40, 30 30))')),
		(6, '2024-01-01', 1, NULL)`))
	day := func(s string) *time.Time {
		d, err := time.Parse(time.DateOnly, s)
		if err != nil {
			t.Fatal(err)
		}
		return &d
	}
	tests := []struct {
		name string
		q    Query
		want []int64
	}{
		{"all", Query{}, []int64{1, 2, 3, 4, 5, 6}},
		{"box", Query{Bounds: &catalog.Bounds{9, 9, 11, 11}}, []int64{1}}, // in the box of 4, but not on the line
		{"edge", Query{Bounds: &catalog.Bounds{10, 10, 11, 11}}, []int64{1}},
		{"inside a polygon", Query{Bounds: &catalog.Bounds{34, 34, 35, 35}}, []int64{5}},
		{"antimeridian", Query{Bounds: &catalog.Bounds{179, -20, -179, -10}}, []int64{2, 3}},
		{"point", Query{Bounds: &catalog.Bounds{10, 10, 10, 10}}, []int64{1}},
		{"point in a polygon", Query{Bounds: &catalog.Bounds{35, 35, 35, 35}}, []int64{5}},
		{"line", Query{Bounds: &catalog.Bounds{-1, 10, 15, 10}}, []int64{1, 4}},
		{"nothing", Query{Bounds: &catalog.Bounds{50, 50, 51, 51}}, []int64{}},
		{"world", Query{Bounds: &catalog.Bounds{-180, -90, 180, 90}}, []int64{1, 2, 3, 4, 5}},
		{"from", Query{From: day("2022-01-01")}, []int64{3, 5, 6}},
		{"to", Query{To: day("2021-01-01")}, []int64{1, 2}},
		{"between", Query{From: day("2021-01-01"), To: day("2022-01-01")}, []int64{2, 3}},
		{"both", Query{From: day("2021-01-01"), Bounds: &catalog.Bounds{0, 0, 90, 90}}, []int64{5}},
		{"after", Query{AfterFID: new(int64(2)), Bounds: &catalog.Bounds{-180, -90, 180, 90}}, []int64{3, 4, 5}},
	}
	for _, tt := range tests {
		page, b := items(t, s, d, tt.q)
		if diff := cmp.Diff(tt.want, ids(t, b)); diff != "" {
			t.Errorf("%s: -want +got:\n%s", tt.name, diff)
		}
		if want := int64(len(tt.want)); tt.q.AfterFID == nil && page.Matched != want {
			t.Errorf("%s: matched %d of %d", tt.name, page.Matched, want)
		}
	}
	if page, _ := items(t, s, d, Query{Limit: 1, Bounds: &catalog.Bounds{-180, -90, 180, 90}}); page.Matched != 5 || page.Next == nil {
		t.Errorf("a first page of one: %+v", page)
	}
	if page, _ := items(t, s, d, Query{Limit: 1, NoCount: true, Bounds: &catalog.Bounds{-180, -90, 180, 90}}); page.Matched != -1 {
		t.Errorf("without counting: %+v", page)
	}
	if page, _ := items(t, s, d, Query{Limit: 2}); page.Bounds == nil || *page.Bounds != (catalog.Bounds{10, -16, 179.5, 10}) {
		t.Errorf("bounds of the page: %v", page.Bounds)
	}
	for _, b := range []catalog.Bounds{{0, 1, 1, 0}, {0, 0, 1, nan()}} {
		if _, _, err := s.Items(context.Background(), d, d.Current, Query{Bounds: &b}, nil, nil); !problem.Is(err, problem.Invalid) {
			t.Errorf("the box %v: %v", b, err)
		}
	}
	// Without a column of time every feature matches.
	d.TimeColumn = ""
	if _, b := items(t, s, d, Query{From: day("2030-01-01")}); len(ids(t, b)) != 6 {
		t.Errorf("without a time column: %s", b)
	}
}

func nan() float64 { v, _ := strconv.ParseFloat("NaN", 64); return v }

func TestMatchedIsBounded(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	d := table(t, pool, "many", "Point", nil)
	fill(t, pool, d, new(postgis.SQL).Raw("INSERT INTO content.many SELECT i, 1, ST_SetSRID(ST_MakePoint(i, 1), 4490) FROM generate_series(1, 10001) i"))
	for east, want := range map[float64]int64{10000: 10000, 10001: -1} {
		if page, _ := items(t, NewStore(pool, Config{}), d, Query{Bounds: &catalog.Bounds{0, 0, east, 2}}); page.Matched != want {
			t.Errorf("to %v: matched %d, want %d", east, page.Matched, want)
		}
	}
}

func TestItemsWide(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	var columns []catalog.Column
	for i := range 300 {
		columns = append(columns, catalog.Column{Name: fmt.Sprintf("第%d列", i), Type: layer.Integer})
	}
	d := table(t, pool, "wide", "Point", columns)
	fill(t, pool, d, new(postgis.SQL).Raw("INSERT INTO content.wide (fid, ").Ident("第299列").Raw(") VALUES (1, 9)"))
	_, b := items(t, NewStore(pool, Config{}), d, Query{})
	if !bytes.Contains(b, []byte(`"第298列":null,"第299列":9}}`)) {
		t.Errorf("got %s", b)
	}
}

func TestItemsLink(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	d := table(t, pool, "linked", "Point", nil)
	fill(t, pool, d, new(postgis.SQL).Raw("INSERT INTO content.linked VALUES (7, 1, NULL), (8, 1, NULL)"))
	_, b, err := NewStore(pool, Config{}).Items(context.Background(), d, d.Current, Query{}, []byte("["), func(dst []byte, fid int64) []byte {
		return fmt.Appendf(dst, `,"links":[%d]`, fid)
	})
	const want = `[{"type":"Feature","id":7,"geometry":null,"properties":{},"links":[7]},{"type":"Feature","id":8,"geometry":null,"properties":{},"links":[8]}`
	if err != nil || string(b) != want {
		t.Errorf("got %s, %v", b, err)
	}
}

// An edited dataset has no span, and its rows are more than its release says.
func TestItemsEdited(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	exec(t, pool, new(postgis.SQL).Raw("CREATE TABLE changde.works (fid bigint PRIMARY KEY, name varchar(20), rev bigint, geom geometry(Geometry, 4490))"))
	exec(t, pool, new(postgis.SQL).Raw("INSERT INTO changde.works VALUES (1, 'a', 1, NULL), (2, 'b', 1, ST_SetSRID(ST_MakePoint(1, 2), 4490)), (3, 'c', 1, NULL)"))
	r := &catalog.Release{Relation: [2]string{"changde", "works"}, GeometryType: "Geometry", Columns: []catalog.Column{{Name: "name", Type: layer.Text}}}
	d := &catalog.Dataset{ID: "works", Kind: catalog.Edited, Current: r}
	page, b := items(t, NewStore(pool, Config{}), d, Query{Limit: 2})
	if page.Matched != 3 || page.Next == nil || !strings.Contains(string(b), `"properties":{"name":"b"}`) {
		t.Errorf("%+v %s", page, b)
	}
}

func TestItemsTooSlow(t *testing.T) {
	t.Parallel()
	url := postgistest.URL(t)
	pool, err := postgis.Open(t.Context(), postgis.Config{URL: url, StatementTimeout: 1500 * time.Millisecond, MaxConns: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	d := table(t, pool, "locked", "Point", nil)
	s := NewStore(pool, Config{})
	items(t, s, d, Query{})
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background())
	if _, err := tx.Exec(t.Context(), "LOCK TABLE content.locked IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	if _, _, err = s.Items(t.Context(), d, d.Current, Query{}, nil, nil); !problem.Is(err, problem.Busy) {
		t.Errorf("Items: %v", err)
	}
	if _, err = s.Feature(t.Context(), d, d.Current, 1, nil); !problem.Is(err, problem.Busy) {
		t.Errorf("Feature: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, _, err = s.Items(ctx, d, d.Current, Query{}, nil, nil); !errors.Is(err, context.DeadlineExceeded) || problem.Is(err, problem.Busy) {
		t.Errorf("a caller in a hurry: %v", err)
	}
}
