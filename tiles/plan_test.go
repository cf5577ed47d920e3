package tiles

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"changde/catalog"
	types "changde/ingest/layer"
	"changde/postgis"
	"changde/postgis/postgistest"
)

// parcels are n irregular parcels of 12 vertices, about 35 m wide, side in a row,
// with attributes like those of a land register.
func parcels(t testing.TB, pool *pgxpool.Pool, n, side int) *catalog.Dataset {
	t.Helper()
	d := table(t, pool, fmt.Sprintf("parcels_%d", n), "MultiPolygon", []catalog.Column{
		{Name: "BSM", Type: types.Text},
		{Name: "DLBM", Type: types.Text},
		{Name: "DLMC", Type: types.Text},
		{Name: "QSDWMC", Type: types.Text},
		{Name: "TBMJ", Type: types.Real},
		{Name: "XZQDM", Type: types.Text},
		{Name: "n", Type: types.Integer},
	})
	d.BusinessKey, d.Label, d.Class = "BSM", "DLMC", "DLBM"
	q := new(postgis.SQL).Raw("INSERT INTO ").Ident(d.Current.Relation[:]...).
		Raw(` SELECT i, '430703' || lpad(i::text, 12, '0'), '0' || 1 + i % 9, (array['水田','旱地','林地','住宅用地'])[1 + i % 4], '常德市第' || i % 500 || '村', i / 7.0, '43070' || i % 9, i % 1000, 1,
			ST_SetSRID(ST_Multi(ST_MakePolygon(ST_MakeLine(ARRAY[p(x, y, 0), p(x, y, 1), p(x, y, 2), p(x, y, 3), p(x, y, 4), p(x, y, 5), p(x, y, 6), p(x, y, 7), p(x, y, 8), p(x, y, 9), p(x, y, 10), p(x, y, 0)]))), 4490)
			FROM (SELECT i, 111 + (i % `).Int(int64(side)).Raw(`) * 0.00045 x, 28.5 + (i / `).Int(int64(side)).Raw(`) * 0.0004 y FROM generate_series(1, `).Int(int64(n)).Raw(") i) a")
	run(t, pool, new(postgis.SQL).Raw(`CREATE FUNCTION p(x float8, y float8, k int) RETURNS geometry LANGUAGE sql IMMUTABLE AS
		$$SELECT ST_MakePoint(x + 0.0002 * cos(k * 0.5712) + 0.00001 * sin(k * 17 + x * 1000), y + 0.0002 * sin(k * 0.5712))$$`))
	fill(t, pool, d, q)
	return d
}

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
	d := parcels(t, pool, 100_000, 400)
	dots := table(t, pool, "dots", "Point", nil)
	fill(t, pool, dots, new(postgis.SQL).Raw("INSERT INTO content.dots SELECT i, 1, ST_SetSRID(ST_MakePoint(111 + i % 300 * 0.001, 28.5 + i / 300 * 0.001), 4490) FROM generate_series(1, 60000) i"))
	tests := []struct {
		name  string
		d     *catalog.Dataset
		limit int
		z     int
		want  []string
	}{
		{"everything is below a pixel", d, 1000, 6, []string{"parcels_100000_span_idx", "span >= "}},
		{"the limit bites", d, 1000, 11, []string{"parcels_100000_span_idx"}},
		{"a deep tile", d, 50_000, 15, []string{"parcels_100000_geom_idx"}},
		{"a deep tile of points", dots, 50_000, 15, []string{"dots_geom_idx"}},
		{"points at a low zoom", dots, 1000, 6, []string{"dots_pkey"}},
	}
	for _, tt := range tests {
		s := NewSource(pool, Config{MaxFeatures: tt.limit})
		set, _ := Set("WebMercatorQuad")
		sel := s.selection(Part{Dataset: tt.d, Release: tt.d.Current}, at(111.08, 28.55, tt.z), set.degrees(tt.z))
		got := plan(t, pool, sel.rowsSQL())
		for _, want := range tt.want {
			if !strings.Contains(got, want) || strings.Contains(got, "Seq Scan") {
				t.Errorf("%s: want %s in\n%s", tt.name, want, got)
			}
		}
	}
}

// One tile of about 2,000 parcels: all of it, its parts, and the SQL that tile
// servers send.
func BenchmarkTile(b *testing.B) {
	pool := postgistest.New(b)
	d := parcels(b, pool, 200_000, 600)
	ctx := context.Background()
	s := NewSource(pool, Config{})
	for _, z := range []int{14, 12} {
		a := at(111.1, 28.56, z)
		tile := get(b, s, d, a)
		b.Run(fmt.Sprintf("z%d/ours", z), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.build(ctx, Part{Dataset: d, Release: d.Current}, a); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(tile.Features), "features")
			b.ReportMetric(float64(len(tile.Gzip)), "gzip-B")
			b.ReportMetric(float64(tile.Length), "raw-B")
		})
		b.Run(fmt.Sprintf("z%d/AsMVT", z), func(b *testing.B) {
			var n int
			for b.Loop() {
				n = len(peerTile(b, pool, d, a))
			}
			b.ReportMetric(float64(n), "raw-B")
		})
		sel := s.selection(Part{Dataset: d, Release: d.Current}, a, 360/float64(int(1)<<z))
		q := sel.rowsSQL()
		formats := pgx.QueryResultFormats{1, 1, 1}
		for _, a := range attributes(sel.columns) {
			formats = append(formats, a.format)
		}
		args := append([]any{pgx.QueryExecModeCacheDescribe, formats}, q.Args()...)
		b.Run(fmt.Sprintf("z%d/fetch", z), func(b *testing.B) {
			for b.Loop() {
				rows, err := pool.Query(ctx, q.String(), args...)
				if err != nil {
					b.Fatal(err)
				}
				for rows.Next() {
					_ = rows.RawValues()
				}
				rows.Close()
			}
		})
		var kept [][][]byte
		rows, err := pool.Query(ctx, q.String(), args...)
		if err != nil {
			b.Fatal(err)
		}
		for rows.Next() {
			var row [][]byte
			for _, v := range rows.RawValues() {
				row = append(row, append([]byte(nil), v...))
			}
			kept = append(kept, row)
		}
		rows.Close()
		b.Run(fmt.Sprintf("z%d/encode", z), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bl := builder{layer: newLayer(d.ID, names(sel.columns)), shaper: newShaper(a, 1), attrs: attributes(sel.columns)}
				for _, row := range kept {
					bl.add(row)
				}
				bl.layer.encode(nil, len(bl.layer.marks))
			}
		})
		content := raw(b, tile)
		b.Run(fmt.Sprintf("z%d/gzip", z), func(b *testing.B) {
			for b.Loop() {
				s.finish(content, 1)
			}
		})
	}
	b.Run("warm", func(b *testing.B) {
		a := at(111.1, 28.56, 14)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Tile(ctx, d, d.Current, a); err != nil {
				b.Fatal(err)
			}
		}
	})
}
