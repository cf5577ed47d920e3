package quality

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"changde/catalog"
	"changde/ingest/finding"
	"changde/postgis/postgistest"
)

// moved is a cell with one corner pulled to its middle, or pushed out of it.
func moved(p polygon, r *rand.Rand, by float64) polygon {
	ring := slices.Clone(p[0])
	i, c := r.IntN(4), center(p[0])
	ring[i] = [2]float64{ring[i][0] + (c[0]-ring[i][0])*by, ring[i][1] + (c[1]-ring[i][1])*by}
	ring[4] = ring[0]
	return polygon{ring}
}

// changesOf draws what was there and what a delivery changes of it, by key.
func changesOf(r *rand.Rand, n, m int) (current map[int]polygon, changes map[int]string, shapes map[int]polygon) {
	cells := lattice(r, n, m)
	current, changes, shapes = map[int]polygon{}, map[int]string{}, map[int]polygon{}
	for k, p := range cells {
		current[k] = p
		if r.IntN(8) == 0 { // a fault of before
			current[k] = moved(p, r, 0.4*r.Float64()-0.2)
		}
	}
	for range 1 + r.IntN(n*m/4) {
		k := r.IntN(len(cells))
		if changes[k] != "" {
			continue
		}
		switch r.IntN(4) {
		case 0:
			changes[k] = "D"
		case 1:
			changes[k], shapes[k] = "U", moved(current[k], r, 0.4*r.Float64()-0.2)
		case 2:
			changes[k], shapes[k] = "U", current[k]
		default:
			changes[1000+k], shapes[1000+k] = "I", star(r, 20*float64(n)*r.Float64(), 20*float64(m)*r.Float64(), 8)
		}
	}
	return current, changes, shapes
}

// putChanges makes the tables current and rows.
func putChanges(t testing.TB, tx pgx.Tx, current map[int]polygon, changes map[int]string, shapes map[int]polygon) {
	t.Helper()
	_, err := tx.Exec(t.Context(), `CREATE TABLE public.current (fid bigint PRIMARY KEY, k int, geom geometry); CREATE INDEX ON public.current USING gist (geom);
		CREATE TABLE public.rows (fid bigint, op text, k int, geom geometry); CREATE INDEX ON public.rows USING gist (geom)`)
	if err != nil {
		t.Fatal(err)
	}
	for k, p := range current {
		if _, err := tx.Exec(t.Context(), `INSERT INTO public.current VALUES ($1::int + 500, $1, ST_Multi(ST_GeomFromText($2, 4490)))`, k, p.wkt()); err != nil {
			t.Fatal(err)
		}
	}
	fid := 0
	for k, op := range changes {
		fid++
		var wkt *string
		if op != "D" {
			text := shapes[k].wkt()
			wkt = &text
		}
		if _, err := tx.Exec(t.Context(), `INSERT INTO public.rows VALUES ($1, $2, $3, ST_Multi(ST_GeomFromText($4, 4490)))`, fid, op, k, wkt); err != nil {
			t.Fatal(err)
		}
	}
}

// TestChangesAreCheckedAsAWhole: a delivery of changes is told the overlaps and
// gaps that PostGIS sees in the dataset as it will be, where a change takes part,
// and no others. Gaps that reach farther than the rows near changes may be
// missed, a gap that a change touches hardly or in a corner told or not, and gaps
// that meet at a point, or where a corner between them overlaps a row, told as one or
// each by itself.
func TestChangesAreCheckedAsAWhole(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	rapid.Check(t, func(rt *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		tx := begin(t, pool)
		defer func() { _ = tx.Rollback(context.Background()) }()
		current, changes, shapes := changesOf(r, rapid.IntRange(3, 9).Draw(rt, "columns"), rapid.IntRange(3, 9).Draw(rt, "rows"))
		putChanges(t, tx, current, changes, shapes)
		var overlaps, near, gaps int
		err := tx.QueryRow(t.Context(), `
			WITH after AS MATERIALIZED (SELECT fid, true AS own, geom FROM public.rows WHERE op <> 'D'
				UNION ALL SELECT -fid, false, geom FROM public.current WHERE k NOT IN (SELECT k FROM public.rows)),
			touched AS MATERIALIZED (SELECT geom, geom AS around FROM public.rows WHERE op <> 'D' UNION ALL
				SELECT a.geom, CASE op WHEN 'D' THEN ST_Expand(a.geom, ST_XMax(a.geom) - ST_XMin(a.geom), ST_YMax(a.geom) - ST_YMin(a.geom)) ELSE a.geom END FROM public.current a JOIN public.rows USING (k)),
			u AS MATERIALIZED (SELECT ST_Buffer(ST_Union(geom), 1e-10, 'join=mitre') AS geom FROM after),
			holes AS MATERIALIZED (SELECT ST_BuildArea(ST_InteriorRingN(d.geom, n)) AS geom FROM u, ST_Dump(u.geom) d, generate_series(1, ST_NumInteriorRings(d.geom)) n),
			gaps AS MATERIALIZED (SELECT h.geom FROM holes h WHERE ST_Area(h.geom::geography) > 0.01 AND EXISTS (SELECT FROM touched t WHERE ST_DWithin(t.geom, h.geom, 2e-8))),
			joined AS MATERIALIZED (SELECT gap, geom, ST_ClusterDBSCAN(geom, 2e-8, 1) OVER () AS met FROM (SELECT true AS gap, geom FROM gaps
				UNION ALL SELECT false, ST_CollectionExtract(ST_Intersection(a.geom, b.geom), 3) FROM after a JOIN after b ON a.fid < b.fid AND ST_Intersects(a.geom, b.geom)) j WHERE NOT ST_IsEmpty(geom))
			SELECT (SELECT count(*) FROM after a JOIN after b ON a.fid < b.fid AND (a.own OR b.own) AND ST_Area(ST_Intersection(a.geom, b.geom)::geography) > 0.01),
				(SELECT count(DISTINCT g.met) FROM joined g WHERE g.gap AND EXISTS (SELECT FROM touched t WHERE t.geom && g.geom AND ST_Area(ST_Intersection(t.geom, ST_Buffer(g.geom, 1e-8))) > 1e-13) AND NOT EXISTS (SELECT FROM after a WHERE ST_DWithin(a.geom, g.geom, 1e-8) AND NOT EXISTS (SELECT FROM touched t WHERE t.around && a.geom))),
				(SELECT count(*) FROM gaps)`).Scan(&overlaps, &near, &gaps)
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		_, err = Check(t.Context(), tx, Layer{Relation: [2]string{"public", "rows"}, Geometry: "MultiPolygon", Columns: []catalog.Column{{Name: "k"}}},
			Options{
				Profile: rulesOf("Q06", "Q07"), tileBytes: rapid.SampledFrom([]float64{500, 2_000, 1e6}).Draw(rt, "tile"), TempDir: t.TempDir(),
				Current: &Current{Relation: [2]string{"public", "current"}, Key: "k", Operation: "op"},
			}, func(f finding.Finding) { found = append(found, f.Code) })
		if err != nil {
			t.Fatal(err)
		}
		count := func(code string) (n int) {
			for _, c := range found {
				if c == code {
					n++
				}
			}
			return n
		}
		if got := count("overlap"); got != overlaps {
			rt.Errorf("%d overlaps, PostGIS sees %d", got, overlaps)
		}
		if got := count("gap"); got < near || got > gaps {
			rt.Errorf("%d gaps, PostGIS sees %d, of which %d reach no farther than the rows near changes", got, gaps, near)
		}
	})
}

// begin opens a transaction that the caller rolls back.
func begin(t testing.TB, pool interface {
	Begin(context.Context) (pgx.Tx, error)
},
) pgx.Tx {
	t.Helper()
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

// TestBesideByIndex: the rows beside a few changes of many rows are found by the
// spatial index.
func TestBesideByIndex(t *testing.T) {
	t.Parallel()
	tx := begin(t, postgistest.New(t))
	defer func() { _ = tx.Rollback(context.Background()) }()
	_, err := tx.Exec(t.Context(), `CREATE TABLE public.current AS SELECT (y * 200 + x + 1)::bigint AS fid, ST_MakeEnvelope(111 + x * 1e-3, 29 + y * 1e-3, 111 + (x + 1) * 1e-3, 29 + (y + 1) * 1e-3, 4490) AS geom
			FROM generate_series(0, 199) x, generate_series(0, 199) y;
		ALTER TABLE public.current ADD PRIMARY KEY (fid); CREATE INDEX ON public.current USING gist (geom); ANALYZE public.current;
		CREATE TABLE public.rows AS SELECT fid, geom FROM public.current WHERE fid % 101 = 0;
		CREATE INDEX ON public.rows USING gist (geom)`)
	if err != nil {
		t.Fatal(err)
	}
	c := checker{tx: tx, layer: Layer{Relation: [2]string{"public", "rows"}}, o: Options{Profile: rulesOf("Q06"), Current: &Current{Relation: [2]string{"public", "current"}}}}
	if err := c.besides(t.Context()); err != nil {
		t.Fatal(err)
	}
	x, y := reach(1, "t.geom")
	q := besideSQL(c.o.Current, x, y)
	var plan json.RawMessage
	if err := tx.QueryRow(t.Context(), "EXPLAIN (FORMAT JSON) "+q.String(), q.Args()...).Scan(&plan); err != nil {
		t.Fatal(err)
	}
	if s := string(plan); !strings.Contains(s, `"current_geom_idx"`) || slices.Contains(seqScans(plan), "current") {
		t.Errorf("the plan reads all of the current rows:\n%s", s)
	}
	var n int
	if err := tx.QueryRow(t.Context(), "SELECT count(*) FROM quality_layer WHERE fid < 0").Scan(&n); err != nil || n < 2_000 || n > 4_000 {
		t.Errorf("%d rows beside 400 changes, %v", n, err)
	}
}

// seqScans lists the tables that a plan reads from end to end.
func seqScans(plan []byte) []string {
	var out []string
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if v["Node Type"] == "Seq Scan" {
				out = append(out, fmt.Sprint(v["Relation Name"]))
			}
			for _, child := range v {
				walk(child)
			}
		case []any:
			for _, child := range v {
				walk(child)
			}
		}
	}
	var v any
	_ = json.Unmarshal(plan, &v)
	walk(v)
	return out
}
