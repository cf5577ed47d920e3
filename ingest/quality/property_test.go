package quality

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"pgregory.net/rapid"

	"changde/catalog"
	"changde/ingest/finding"
	"changde/ingest/profile"
	"changde/postgis/postgistest"
)

// polygon is rings of positions in metres from 111.7°E 29.0°N, closed.
type polygon [][][2]float64

func (p polygon) wkt() string {
	var b strings.Builder
	b.WriteString("POLYGON(")
	for i, ring := range p {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('(')
		for k, q := range ring {
			if k > 0 {
				b.WriteByte(',')
			}
			b.WriteString(strconv.FormatFloat(111.7+q[0]/97_438.439, 'g', 17, 64) + " " + strconv.FormatFloat(29+q[1]/110_835.773, 'g', 17, 64))
		}
		b.WriteByte(')')
	}
	b.WriteByte(')')
	return b.String()
}

// lattice is n x m quadrilaterals of about 20 m that share their corners.
func lattice(r *rand.Rand, n, m int) []polygon {
	at := make([][2]float64, (n+1)*(m+1))
	for y := range m + 1 {
		for x := range n + 1 {
			at[y*(n+1)+x] = [2]float64{20*float64(x) + 8*r.Float64() - 4, 20*float64(y) + 8*r.Float64() - 4}
		}
	}
	var out []polygon
	for y := range m {
		for x := range n {
			k := y*(n+1) + x
			out = append(out, polygon{{at[k], at[k+1], at[k+n+2], at[k+n+1], at[k]}})
		}
	}
	return out
}

// stage puts polygons into the table "rows" of a transaction; f is given what
// is found with the rules and ends with it.
func stage(t testing.TB, pool *pgxpool.Pool, table string, rows []polygon) pgx.Tx {
	t.Helper()
	ctx := context.Background()
	tx, err := pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	put(t, tx, table, rows)
	return tx
}

func put(t testing.TB, tx pgx.Tx, table string, rows []polygon) {
	t.Helper()
	ctx := context.Background()
	if _, err := tx.Exec(ctx, `CREATE TABLE public.`+table+` (fid bigint, geom geometry(MultiPolygon, 4490)); CREATE INDEX ON public.`+table+` USING gist (geom)`); err != nil {
		t.Fatal(err)
	}
	wkt := make([]string, len(rows))
	for i, p := range rows {
		wkt[i] = p.wkt()
	}
	if _, err := tx.Exec(ctx, `INSERT INTO public.`+table+` SELECT n, ST_Multi(ST_GeomFromText(w, 4490)) FROM unnest($1::text[]) WITH ORDINALITY u(w, n)`, wkt); err != nil {
		t.Fatal(err)
	}
}

func rulesOf(codes ...string) *profile.Profile {
	p := &profile.Profile{Geometry: "MultiPolygon"}
	for _, c := range codes {
		code, params, _ := strings.Cut(c, " ")
		p.Rules = append(p.Rules, profile.Rule{Code: code, Params: []byte(params)})
	}
	return p
}

func checkRows(t testing.TB, tx pgx.Tx, p *profile.Profile, tile float64) ([]finding.Finding, Summary) {
	t.Helper()
	var out []finding.Finding
	s, err := Check(context.Background(), tx, Layer{Relation: [2]string{"public", "rows"}, Geometry: "MultiPolygon"},
		Options{Profile: p, tileBytes: tile, TempDir: t.TempDir(), Neighbour: func(d string) ([2]string, []catalog.Column, bool) { return [2]string{"public", d}, nil, true }},
		func(f finding.Finding) { out = append(out, f) })
	if err != nil {
		t.Fatal(err)
	}
	return out, s
}

// TestCleanLattice: a clean coverage has no finding, and a single perturbation of
// it is found, at the row where it is, whatever the tiles.
func TestCleanLattice(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	rapid.Check(t, func(rt *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		n, m := rapid.IntRange(3, 9).Draw(rt, "columns"), rapid.IntRange(3, 9).Draw(rt, "rows")
		tile := rapid.SampledFrom([]float64{500, 2_000, 1e6}).Draw(rt, "tile")
		rows := lattice(r, n, m)
		x, y := r.IntN(n-2)+1, r.IntN(m-2)+1
		k := y*n + x // a cell inside
		kind := rapid.SampledFrom([]string{"none", "missing", "doubled", "moved", "corner in", "split"}).Draw(rt, "kind")
		ring := slices.Clone(rows[k][0])
		var want []string
		switch kind {
		case "missing":
			rows = slices.Delete(rows, k, k+1)
			want = []string{"gap"}
		case "doubled":
			rows = append(rows, rows[k])
			want = []string{"duplicate-geometry", "overlap"}
		case "moved": // over two neighbours or three, leaving an angle
			for i := range ring {
				ring[i][0] += 1.5
				ring[i][1] -= 1.5
			}
			rows[k] = polygon{ring}
			want = []string{"gap", "overlap"}
		case "corner in":
			i := r.IntN(4)
			c := center(ring)
			p := [2]float64{ring[i][0] + (c[0]-ring[i][0])*0.2, ring[i][1] + (c[1]-ring[i][1])*0.2}
			ring[i] = p
			ring[4] = ring[0]
			rows[k] = polygon{ring}
			want = []string{"gap"}
		case "split": // a corner on one side of an edge alone
			a, b := ring[0], ring[1]
			rows[k] = polygon{{a, {(a[0] + b[0]) / 2, (a[1] + b[1]) / 2}, b, ring[2], ring[3], a}}
		}
		if rapid.Bool().Draw(rt, "noise") && kind != "doubled" { // as of a grid of the sender's, below the tolerance
			for i, p := range rows {
				ring := slices.Clone(p[0])
				for k := range ring[:len(ring)-1] {
					ring[k][0] += 0.0006*r.Float64() - 0.0003
					ring[k][1] += 0.0006*r.Float64() - 0.0003
				}
				ring[len(ring)-1] = ring[0]
				rows[i] = polygon{ring}
			}
		}
		tx := stage(t, pool, "rows", rows)
		defer func() { _ = tx.Rollback(context.Background()) }()
		found, _ := checkRows(t, tx, rulesOf("Q06", "Q07", "Q09"), tile)
		var got []string
		for _, f := range found {
			got = append(got, f.Code)
		}
		slices.Sort(got)
		if d := cmp.Diff(want, slices.Compact(got)); d != "" {
			rt.Errorf("%s at row %d (-want +got):\n%s\n%v", kind, k+1, d, found)
		}
	})
}

func center(ring [][2]float64) [2]float64 {
	var c [2]float64
	for _, p := range ring[:4] {
		c[0] += p[0] / 4
		c[1] += p[1] / 4
	}
	return c
}

// star is a polygon with sharp and blunt corners, and sometimes a hole.
func star(r *rand.Rand, x, y, size float64) polygon {
	n := 3 + r.IntN(9)
	var ring [][2]float64
	hole := r.IntN(3) == 0
	for i := range n {
		a := 2 * math.Pi * (float64(i) + 0.8*r.Float64()) / float64(n)
		d := size * (0.4 + 0.6*r.Float64())
		ring = append(ring, [2]float64{x + d*math.Cos(a), y + d*math.Sin(a)})
	}
	ring = append(ring, ring[0])
	p := polygon{ring}
	if hole && n > 6 {
		var h [][2]float64
		for _, q := range ring {
			h = append(h, [2]float64{x + (q[0]-x)*0.3, y + (q[1]-y)*0.3})
		}
		p = append(p, h)
	}
	return p
}

// TestOverlapOracle compares the pairs found with ST_Intersection of all pairs.
func TestOverlapOracle(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 2))
		var rows []polygon
		switch seed % 4 {
		case 0: // anything
			for range 60 {
				rows = append(rows, star(r, 200*r.Float64(), 200*r.Float64(), 5+30*r.Float64()))
			}
		case 1: // a coverage with a patch of another on it, and one row over all
			rows = lattice(r, 8, 8)
			for _, p := range lattice(r, 4, 3) {
				for i := range p[0] {
					p[0][i][0] += 33
					p[0][i][1] += 41
				}
				rows = append(rows, p)
			}
			rows = append(rows, polygon{{{50, 50}, {51, 50}, {51, 300}, {50, 300}, {50, 50}}})
		case 2: // two coverages whose edges lie on each other, of other lengths
			for _, size := range []float64{10, 20} {
				for i := range int(80 / size) {
					for k := range int(80 / size) {
						x, y := size*float64(i), size*float64(k)
						rows = append(rows, polygon{{{x, y}, {x + size, y}, {x + size, y + size}, {x, y + size}, {x, y}}})
					}
				}
			}
		default: // rows that are the same, and rows with many corners
			rows = lattice(r, 5, 5)
			rows = append(rows, rows[3:17]...)
			var big [][2]float64
			for i := range 400 {
				a := 2 * math.Pi * float64(i) / 400
				big = append(big, [2]float64{60 + (50+5*math.Sin(40*a))*math.Cos(a), 60 + (50+5*math.Sin(40*a))*math.Sin(a)})
			}
			rows = append(rows, polygon{append(big, big[0])})
		}
		tx := stage(t, pool, "rows", rows)
		want := allPairs(t, tx)
		for _, tile := range []float64{400, 3_000, 1e6} {
			c := &checker{tx: tx, layer: Layer{Relation: [2]string{"public", "rows"}, Geometry: "MultiPolygon"}, o: Options{Profile: rulesOf("Q06"), TempDir: t.TempDir(), tileBytes: tile}}
			c.defaults()
			for _, spec := range c.o.Profile.Rules {
				c.rules = append(c.rules, &rule{spec: spec, RuleSummary: RuleSummary{Code: spec.Code}})
			}
			c.emit = func(finding.Finding) {}
			if err := c.run(t.Context()); err != nil {
				t.Fatal(err)
			}
			got := map[[2]int64]float64{}
			if n := len(c.pairs.all); n == 0 {
				t.Errorf("seed %d, tiles of %g: no pairs", seed, tile)
			}
			for _, p := range c.pairs.all {
				if _, twice := got[[2]int64{p.a, p.b}]; twice {
					t.Errorf("seed %d, tiles of %g: rows %d and %d are there twice", seed, tile, p.a, p.b)
				}
				got[[2]int64{p.a, p.b}] = p.area
			}
			for k, area := range want {
				// Pairs at the limit may fall on either side of it.
				if area > 0.0101 && math.Abs(got[k]-area) > 2e-4+1e-4*area {
					t.Errorf("seed %d, tiles of %g: rows %v have %.6f m² in common, want %.6f", seed, tile, k, got[k], area)
				}
			}
			for k, area := range got {
				if want[k] < 0.0099 {
					t.Errorf("seed %d, tiles of %g: rows %v have %.6f m² in common, want none", seed, tile, k, area)
				}
			}
			c.clean()
		}
		_ = tx.Rollback(context.Background())
	}
}

func allPairs(t testing.TB, tx pgx.Tx) map[[2]int64]float64 {
	t.Helper()
	rows, err := tx.Query(context.Background(), `SELECT a.fid, b.fid, ST_Area(ST_Intersection(a.geom, b.geom)::geography) FROM public.rows a JOIN public.rows b ON a.fid < b.fid AND ST_Intersects(a.geom, b.geom)`)
	if err != nil {
		t.Fatal(err)
	}
	out := map[[2]int64]float64{}
	var k [2]int64
	var area float64
	if _, err := pgx.ForEachRow(rows, []any{&k[0], &k[1], &area}, func() error {
		out[k] = area
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestGapOracle compares the gaps found with the holes of the union of all rows,
// and what a parent lacks with the difference of the two.
func TestGapOracle(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 3))
		rows := lattice(r, 8, 7)
		for range 6 {
			k := r.IntN(len(rows))
			switch r.IntN(4) {
			case 0, 1:
				rows = slices.Delete(rows, k, k+1)
			case 2:
				ring := slices.Clone(rows[k][0])
				dx, dy := 3*r.Float64()-1.5, 3*r.Float64()-1.5
				for i := range ring {
					ring[i][0] += dx
					ring[i][1] += dy
				}
				rows[k] = polygon{ring}
			default:
				ring := slices.Clone(rows[k][0])
				ring[2][0] += 4*r.Float64() - 2
				ring[2][1] += 4*r.Float64() - 2
				rows[k] = polygon{ring}
			}
		}
		tx := stage(t, pool, "rows", rows)
		put(t, tx, "district", []polygon{
			{{{-10, 10}, {70, 10}, {75, 120}, {-10, 90}, {-10, 10}}},
			{{{70, 10}, {150, 0}, {150, 100}, {75, 120}, {70, 10}}},
		})
		holes := areasOf(t, tx, `SELECT ST_Area(ST_MakePolygon(ST_InteriorRingN(g, n))::geography) FROM (SELECT (ST_Dump(ST_Union(geom))).geom AS g FROM public.rows) u, LATERAL generate_series(1, ST_NumInteriorRings(g)) n`)
		lacks := areasOf(t, tx, `SELECT ST_Area((ST_Dump(ST_Difference((SELECT ST_Union(geom) FROM public.district), (SELECT ST_Union(geom) FROM public.rows)))).geom::geography)`)
		for _, tile := range []float64{400, 3_000, 1e6} {
			found, s := checkRows(t, tx, rulesOf("Q07"), tile)
			compareAreas(t, fmt.Sprintf("seed %d, tiles of %g, gaps (%s)", seed, tile, s.Rules[0].NoteEN), holes, found)
			found, _ = checkRows(t, tx, rulesOf(`Q07 {"parent": "district"}`), tile)
			compareAreas(t, fmt.Sprintf("seed %d, tiles of %g, parent", seed, tile), lacks, found)
			found, _ = checkRows(t, tx, rulesOf(`Q11 {"parent": "district"}`), tile)
			compareAreas(t, fmt.Sprintf("seed %d, tiles of %g, contained", seed, tile), areasOf(t, tx,
				`SELECT ST_Area(ST_Difference(geom, (SELECT ST_Union(geom) FROM public.district))::geography) FROM public.rows`), found)
		}
		_ = tx.Rollback(context.Background())
	}
}

func areasOf(t testing.TB, tx pgx.Tx, query string) []float64 {
	t.Helper()
	rows, err := tx.Query(context.Background(), query)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[float64])
	if err != nil {
		t.Fatal(err)
	}
	all = slices.DeleteFunc(all, func(a float64) bool { return a < 0.02 })
	slices.Sort(all)
	return all
}

// compareAreas compares areas with those that the sentences name.
func compareAreas(t testing.TB, what string, want []float64, found []finding.Finding) {
	t.Helper()
	var got []float64
	for _, f := range found {
		for _, w := range strings.Fields(f.EN) {
			if a, err := strconv.ParseFloat(w, 64); err == nil {
				if a >= 0.02 {
					got = append(got, a)
				}
				break
			}
		}
	}
	slices.Sort(got)
	same := len(got) == len(want)
	for i := 0; same && i < len(got); i++ {
		same = math.Abs(got[i]-want[i]) <= 0.006+1e-4*want[i]
	}
	if !same {
		t.Errorf("%s:\n got %.2f\nwant %.2f", what, got, want)
	}
}
