package quality

import (
	"context"
	"fmt"
	"testing"

	"changde/ingest/finding"
	"changde/postgis/postgistest"
)

// BenchmarkCoverage checks a clean coverage of quadrilaterals for overlaps and
// gaps. Ten times the rows should take about ten times as long.
func BenchmarkCoverage(b *testing.B) {
	for _, side := range []int{141, 447} {
		b.Run(fmt.Sprintf("rows=%d", side*side), func(b *testing.B) {
			tx := stage(b, postgistest.New(b), "none", nil)
			b.Cleanup(func() { _ = tx.Rollback(context.Background()) })
			if _, err := tx.Exec(b.Context(), `CREATE FUNCTION public.p(x int, y int) RETURNS geometry LANGUAGE sql IMMUTABLE AS
				$$ SELECT ST_MakePoint(111 + (x + 0.3 * sin(x * 12.9 + y * 78.2)) * 2e-4, 29 + (y + 0.3 * sin(x * 39.3 + y * 11.1)) * 2e-4) $$`); err != nil {
				b.Fatal(err)
			}
			_, err := tx.Exec(b.Context(), `CREATE TABLE public.rows AS SELECT (y * $1::int + x + 1)::bigint AS fid,
				ST_SetSRID(ST_Multi(ST_MakePolygon(ST_MakeLine(ARRAY[public.p(x, y), public.p(x + 1, y), public.p(x + 1, y + 1), public.p(x, y + 1), public.p(x, y)]))), 4490)::geometry(MultiPolygon, 4490) AS geom
				FROM generate_series(0, $1::int - 1) x, generate_series(0, $1::int - 1) y`, side)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := tx.Exec(b.Context(), `CREATE INDEX ON public.rows USING gist (geom)`); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				s, err := Check(b.Context(), tx, Layer{Relation: [2]string{"public", "rows"}, Geometry: "MultiPolygon"},
					Options{Profile: rulesOf("Q06", "Q07"), TempDir: b.TempDir()}, func(f finding.Finding) { b.Error(f) })
				if err != nil {
					b.Fatal(err)
				}
				if s.Rules[0].Rows != int64(side*side) {
					b.Fatalf("%d rows were looked at", s.Rules[0].Rows)
				}
			}
			b.ReportMetric(float64(side*side)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// BenchmarkChanges checks a delivery that changes each hundredth row of a coverage
// of quadrilaterals, together with what stays beside them.
func BenchmarkChanges(b *testing.B) {
	for _, side := range []int{141, 447} {
		b.Run(fmt.Sprintf("rows=%d", side*side), func(b *testing.B) {
			tx := begin(b, postgistest.New(b))
			b.Cleanup(func() { _ = tx.Rollback(context.Background()) })
			_, err := tx.Exec(b.Context(), `CREATE TABLE public.current AS SELECT (y * $1::int + x + 1)::bigint AS fid, ST_Multi(ST_MakeEnvelope(111 + x * 2e-4, 29 + y * 2e-4, 111 + (x + 1) * 2e-4, 29 + (y + 1) * 2e-4, 4490)) AS geom
				FROM generate_series(0, $1::int - 1) x, generate_series(0, $1::int - 1) y`, side)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := tx.Exec(b.Context(), `ALTER TABLE public.current ADD PRIMARY KEY (fid); CREATE INDEX ON public.current USING gist (geom); ANALYZE public.current;
				CREATE TABLE public.rows AS SELECT fid, 'U' AS op, geom FROM public.current WHERE fid % 101 = 0
					UNION ALL SELECT fid, 'D', NULL FROM public.current WHERE fid % 303 = 1 UNION ALL SELECT fid + 1000000, 'I', geom FROM public.current WHERE fid % 303 = 1;
				CREATE INDEX ON public.rows USING gist (geom)`); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				_, err := Check(b.Context(), tx, Layer{Relation: [2]string{"public", "rows"}, Geometry: "MultiPolygon"}, Options{
					Profile: rulesOf("Q06", "Q07"), TempDir: b.TempDir(), Current: &Current{Relation: [2]string{"public", "current"}, Key: "fid", Operation: "op"},
				}, func(f finding.Finding) { b.Error(f) })
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
