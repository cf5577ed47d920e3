package features

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"changde/catalog"
	"changde/postgis"
	"changde/postgis/postgistest"
)

// plan is how PostgreSQL would run the statement with its values.
func plan(t testing.TB, pool *pgxpool.Pool, q *postgis.SQL) string {
	t.Helper()
	rows, err := pool.Query(context.Background(), "EXPLAIN (COSTS OFF) "+q.String(), append([]any{pgx.QueryExecModeCacheDescribe}, q.Args()...)...)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

func TestPlans(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	d := parcels(t, pool, 50_000, 250)
	small, large := catalog.Bounds{111.01, 28.51, 111.012, 28.512}, catalog.Bounds{110, 28, 112, 29}
	tests := []struct {
		name string
		q    Query
		want string
	}{
		{"first page", Query{Limit: 100}, "Index Scan using parcels_50000_pkey"},
		{"page at depth", Query{Limit: 100, AfterFID: new(int64(40_000))}, "Index Cond: (fid > "},
		{"small box", Query{Limit: 100, Bounds: &small}, "parcels_50000_geom_idx"},
		{"small box at depth", Query{Limit: 100, Bounds: &small, AfterFID: new(int64(10))}, "parcels_50000_geom_idx"},
		{"large box", Query{Limit: 100, Bounds: &large}, "Index Scan using parcels_50000_pkey"},
		{"large box at depth", Query{Limit: 100, Bounds: &large, AfterFID: new(int64(40_000))}, "Index Cond: (fid > "},
	}
	for _, tt := range tests {
		if got := plan(t, pool, pageSQL(d, d.Current, &tt.q)); !strings.Contains(got, tt.want) || strings.Contains(got, "Seq Scan") {
			t.Errorf("%s: want %q in\n%s", tt.name, tt.want, got)
		}
	}
}

// The bars of performance.md: a page of 1,000 features against the SQL that
// makes GeoJSON in the database, and a page at depth against the first.
func BenchmarkItems1000(b *testing.B) {
	pool := postgistest.New(b)
	d := parcels(b, pool, 100_000, 400)
	s := NewStore(pool, Config{})
	ctx := context.Background()
	peer := new(postgis.SQL).Raw(`SELECT json_agg(json_build_object('type', 'Feature', 'id', fid, 'geometry', ST_AsGeoJSON(geom, 8, 0)::json,
		'properties', to_jsonb(p) - 'fid' - 'rev' - 'geom' - 'span')) FROM (SELECT * FROM content.parcels_100000 WHERE fid > $1 ORDER BY fid LIMIT 1000) p`)
	b.Run("ours", func(b *testing.B) {
		var dst []byte
		var err error
		var after int64
		b.ReportAllocs()
		for b.Loop() {
			after = (after + 1000) % 90_000
			if _, dst, err = s.Items(ctx, d, d.Current, Query{Limit: 1000, AfterFID: &after}, dst[:0], nil); err != nil {
				b.Fatal(err)
			}
		}
		b.SetBytes(int64(len(dst)))
	})
	b.Run("json_agg", func(b *testing.B) {
		var got []byte
		var after int64
		for b.Loop() {
			after = (after + 1000) % 90_000
			if err := pool.QueryRow(ctx, peer.String(), after).Scan(&got); err != nil {
				b.Fatal(err)
			}
		}
	})
	fetch := pageSQL(d, d.Current, &Query{Limit: 1000, AfterFID: new(int64(1000))})
	b.Run("fetch", func(b *testing.B) {
		for b.Loop() {
			rows, err := pool.Query(ctx, fetch.String(), options(properties(d.Current.Columns), nil, fetch.Args())...)
			if err != nil {
				b.Fatal(err)
			}
			for rows.Next() {
				_ = rows.RawValues()
			}
			rows.Close()
		}
	})
	box := catalog.Bounds{111, 28.5, 111.01, 28.51}
	b.Run("box", func(b *testing.B) {
		var dst []byte
		var err error
		for b.Loop() {
			if _, dst, err = s.Items(ctx, d, d.Current, Query{Limit: 1000, Bounds: &box}, dst[:0], nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	for name, after := range map[string]int64{"first": 0, "deep": 95_000} {
		b.Run(name, func(b *testing.B) {
			var dst []byte
			var err error
			for b.Loop() {
				if _, dst, err = s.Items(ctx, d, d.Current, Query{Limit: 100, AfterFID: &after}, dst[:0], nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
