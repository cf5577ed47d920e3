package quality

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/twpayne/go-geom"

	"changde/ingest/finding"
	"changde/ingest/profile"
	"changde/postgis"
	"changde/postgis/postgistest"
	"changde/problem"
)

// TestSurface compares our area with that of PostGIS, whose edges are geodesics:
// the two differ by no more than the bound, and the bound is small.
func TestSurface(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	r := rand.New(rand.NewPCG(7, 7))
	for i := range 300 {
		size := math.Pow(10, 1+3*r.Float64()) // 10 m to 10 km
		p := star(r, 1e5*(2*r.Float64()-1), 1e5*(2*r.Float64()-1), size)
		var ewkb []byte
		var want float64
		err := pool.QueryRow(t.Context(), `SELECT ST_AsEWKB(g, 'NDR'), ST_Area(g::geography) FROM ST_GeomFromText($1, 4490) g`, p.wkt()).Scan(&ewkb, &want)
		if err != nil {
			t.Fatal(err)
		}
		var s shape
		if err := s.parse(ewkb); err != nil {
			t.Fatal(err)
		}
		area, bound := s.surface()
		if math.Abs(area-want) > bound {
			t.Errorf("polygon %d of %.0f m: %.6f m², want %.6f within %.6f", i, size, area, want, bound)
		}
		if size < 100 && bound > 0.05 {
			t.Errorf("polygon %d of %.0f m: the bound is %.3f m²", i, size, bound)
		}
	}
}

// TestUnderIsSymmetric: the plain and the sweeping sum agree.
func TestUnderIsSymmetric(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(8, 8))
	for range 200 {
		of := func(n int) []edge {
			var e []edge
			for range n {
				x := r.Float64()
				e = append(e, edge{x, r.Float64(), x + 0.01 + r.Float64(), r.Float64(), float64(1 - 2*r.IntN(2))})
			}
			return e
		}
		a, b := of(1+r.IntN(60)), of(1+r.IntN(60))
		plain := under(a, b)
		if swept := sweepUnder(a, b); math.Abs(plain-swept) > 1e-9 {
			t.Fatalf("swept %g, plain %g", swept, plain)
		}
	}
}

// TestCommon compares what two rows have in common within a rectangle with
// ST_Intersection, for rows as they are and thinned to the rectangle.
func TestCommon(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	r := rand.New(rand.NewPCG(9, 9))
	var in intersector
	for i := range 400 {
		many := i%4 == 0 // corners, so that chunks and sweeping are used
		draw := func() polygon {
			p := star(r, 60*r.Float64(), 60*r.Float64(), 10+40*r.Float64())
			if many {
				var fine [][2]float64
				for k := range p[0][1:] {
					a, b := p[0][k], p[0][k+1]
					for n := range 60 {
						u, bend := float64(n)/60, 0.0
						if n%2 == 1 {
							bend = 0.3
						}
						fine = append(fine, [2]float64{a[0] + u*(b[0]-a[0]) + bend, a[1] + u*(b[1]-a[1])})
					}
				}
				p = polygon{append(fine, fine[0])}
			}
			return p
		}
		a, b := draw(), draw()
		x, y := 80*r.Float64()-20, 80*r.Float64()-20
		rect := polygon{{{x, y}, {x + 40, y}, {x + 40, y + 30}, {x, y + 30}, {x, y}}}
		var ewkb [3][]byte
		var want float64
		err := pool.QueryRow(t.Context(), `SELECT ST_AsEWKB(a, 'NDR'), ST_AsEWKB(b, 'NDR'), ST_AsEWKB(r, 'NDR'), ST_Area(ST_Intersection(ST_Intersection(ST_MakeValid(a), ST_MakeValid(b)), r))
			FROM ST_GeomFromText($1, 4490) a, ST_GeomFromText($2, 4490) b, ST_GeomFromText($3, 4490) r WHERE ST_IsValid(a) AND ST_IsValid(b)`, a.wkt(), b.wkt(), rect.wkt()).Scan(&ewkb[0], &ewkb[1], &ewkb[2], &want)
		if errors.Is(err, pgx.ErrNoRows) {
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		var s shape
		if err := s.parse(ewkb[2]); err != nil {
			t.Fatal(err)
		}
		within := s.box
		for name, thin := range map[string]*box{"whole": nil, "thinned": &within} {
			sp, err := (&checker{o: Options{TempDir: t.TempDir()}}).newSpill(1)
			if err != nil {
				t.Fatal(err)
			}
			for n := range 2 {
				if err := s.parse(ewkb[n]); err != nil {
					t.Fatal(err)
				}
				if err := sp.write(0, appendArea(nil, int64(n+1), &s, false, thin)); err != nil {
					t.Fatal(err)
				}
			}
			var one tile
			if err := one.load(sp, 0, within, nil); err != nil || len(one.areas) != 2 {
				t.Fatalf("%d rows, %v", len(one.areas), err)
			}
			got := in.common(&one, &one.areas[0], &one.areas[1], within)
			if math.Abs(got-want) > 1e-6*want+1e-17 {
				t.Errorf("pair %d, %s: %g, want %g", i, name, got, want)
			}
			sp.close()
		}
	}
}

func TestWidth(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ area, round, want float64 }{
		{20, 24, 2}, {100, 40, 10}, {math.Pi, 2 * math.Pi, math.Pi / 2}, {0.1, 200.002, 0.001},
	} {
		if got := width(tt.area, tt.round); math.Abs(got-tt.want) > 1e-6 {
			t.Errorf("width(%g, %g) = %g, want %g", tt.area, tt.round, got, tt.want)
		}
	}
}

func TestParseDay(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"2024": "2024", "202402": "2024-02", "2024-02": "2024-02", "20240229": "2024-02-29", "2024/02/29": "2024-02-29",
		"2024.02.29": "2024-02-29", "2024-02-29 10:00:00+08": "2024-02-29", "2024-02-29T10:00:00Z": "2024-02-29",
		"": "", "20": "", "2023-02-29": "", "202413": "", "2024-1-1": "", "２０２４": "", "2024-": "2024", "-2024": "", "202402290": "",
		"2024--02": "", "去年": "",
	} {
		got := ""
		if d, ok := parseDay([]byte(in)); ok {
			got = d.String()
		}
		if got != want {
			t.Errorf("parseDay(%q) = %q, want %q", in, got, want)
		}
	}
}

// TestScanInPieces: however the server cuts the data, the rows are the same.
func TestScanInPieces(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	conn, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	var whole bytes.Buffer
	_, err = conn.Conn().PgConn().CopyTo(t.Context(), &whole, `COPY (SELECT n::bigint, CASE WHEN n % 3 = 0 THEN NULL ELSE repeat('x', n) END, ST_Buffer(ST_SetSRID(ST_MakePoint(111, 29), 4490), n * 1e-5) FROM generate_series(1, 40) n) TO STDOUT (FORMAT binary)`)
	if err != nil {
		t.Fatal(err)
	}
	read := func(size int, b []byte) (string, error) {
		c := &checker{}
		s := c.newScan()
		s.column("a")
		var out strings.Builder
		s.each(nil, true, func(w *row) error {
			fmt.Fprintf(&out, "%d %q %d %.7f\n", w.fid, w.values[0], len(w.shape.xy), w.shape.box.x1)
			return nil
		})
		for len(b) > 0 {
			k := min(size, len(b))
			if _, err := s.Write(b[:k]); err != nil {
				return "", err
			}
			b = b[k:]
		}
		if !s.done {
			return "", errCopy
		}
		return out.String(), nil
	}
	want, err := read(whole.Len(), whole.Bytes())
	if err != nil || strings.Count(want, "\n") != 40 {
		t.Fatalf("%v\n%s", err, want)
	}
	for _, size := range []int{1, 2, 7, 100, 4096} {
		got, err := read(size, whole.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("in pieces of %d (-want +got):\n%s", size, d)
		}
	}
	for name, b := range map[string][]byte{
		"cut": whole.Bytes()[:whole.Len()-3], "text": []byte("1\tx\\N\n2\tx\t0\n and more of it"), "tail": append(bytes.Clone(whole.Bytes()), 0),
	} {
		if _, err := read(64, b); !errors.Is(err, errCopy) {
			t.Errorf("%s: %v, want %v", name, err, errCopy)
		}
	}
}

// FuzzShape: no bytes make the parser panic, and it reads what the decoder reads.
func FuzzShape(f *testing.F) {
	for _, g := range []geom.T{
		geom.NewPointFlat(geom.XY, []float64{111, 29}), geom.NewPointEmpty(geom.XYZ),
		geom.NewLineStringFlat(geom.XYZ, []float64{111, 29, 1, 112, 29, 1}),
		geom.NewMultiPolygonFlat(geom.XY, []float64{0, 0, 4, 0, 4, 4, 0, 0, 1, 1, 2, 1, 2, 2, 1, 1}, [][]int{{8, 16}}),
		geom.NewGeometryCollection().MustPush(geom.NewPointFlat(geom.XY, []float64{1, 2}), geom.NewLineStringFlat(geom.XY, []float64{0, 0, 1, 1})),
	} {
		b, err := postgis.AppendEWKB(nil, g, 4490)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var s shape
		err := s.parse(b)
		if g, known := postgis.DecodeEWKB(b); known == nil {
			// As the server would send it: little-endian.
			if little, fault := postgis.AppendEWKB(nil, g, 4490); fault == nil {
				var same shape
				if fault := same.parse(little); fault != nil {
					t.Errorf("the decoder reads what the parser does not: %x", little)
				}
			}
		}
		if err == nil {
			s.look(0.001, 0.99)
			s.hash()
			s.surface()
			s.last()
			record := appendArea(nil, 1, &s, false, &box{0, 0, 1, 1})
			var back shape
			if fid, union := back.record(record); fid != 1 || union {
				t.Errorf("the record says %d, %t", fid, union)
			}
		}
	})
}

// TestMostFindings: what is beyond the bound is counted and not emitted.
func TestMostFindings(t *testing.T) {
	t.Parallel()
	tx := stage(t, postgistest.New(t), "rows", lattice(rand.New(rand.NewPCG(1, 1)), 5, 5))
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	if _, err := tx.Exec(t.Context(), `INSERT INTO public.rows SELECT fid + 100, geom FROM public.rows`); err != nil {
		t.Fatal(err)
	}
	p := rulesOf(`Q08 {"area": 1e6}`, "Q09", "Q06", "Q99", "Q20")
	n := map[string]int{}
	s, err := Check(t.Context(), tx, Layer{Relation: [2]string{"public", "rows"}, Geometry: "MultiPolygon"}, Options{Profile: p, MaxFindings: 7, TempDir: t.TempDir()},
		func(f finding.Finding) { n[f.Rule]++ })
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]int{"Q08": 7, "Q09": 7, "Q06": 7}, n); d != "" {
		t.Errorf("emitted (-want +got):\n%s", d)
	}
	var found []int64
	for _, r := range s.Rules {
		found = append(found, r.Found)
		if skipped := r.SkippedZH != "" && r.SkippedEN != ""; skipped != (r.Code == "Q99" || r.Code == "Q20") {
			t.Errorf("%s is skipped: %q", r.Code, r.SkippedEN)
		}
		if r.Rows != 50 && r.SkippedZH == "" {
			t.Errorf("%s looked at %d rows, want 50", r.Code, r.Rows)
		}
	}
	if d := cmp.Diff([]int64{50, 25, 25, 0, 0}, found); d != "" {
		t.Errorf("found (-want +got):\n%s", d)
	}
}

func TestBadParameters(t *testing.T) {
	t.Parallel()
	tx := stage(t, postgistest.New(t), "rows", nil)
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	for _, r := range []string{`Q06 {"tolerance": "wide"}`, `Q07 {"father": "xzq"}`, `Q05 {"x": 1}`, `Q18 {"earliest": "long ago", "field": "x"}`} {
		_, err := Check(t.Context(), tx, Layer{Relation: [2]string{"public", "rows"}, Geometry: "MultiPolygon"}, Options{Profile: rulesOf(r)}, func(finding.Finding) {})
		var p *problem.Error
		if !errors.As(err, &p) || p.Kind != problem.Invalid || p.ZH == "" || p.Where == "" {
			t.Errorf("%s: %v, want a problem", r, err)
		}
	}
}

// TestEmptyLayer: every rule takes a layer without rows, and one without columns.
func TestEmptyLayer(t *testing.T) {
	t.Parallel()
	tx := stage(t, postgistest.New(t), "rows", nil)
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	if _, err := tx.Exec(t.Context(), `CREATE TABLE public.xzq (geom geometry)`); err != nil {
		t.Fatal(err)
	}
	lib, err := profile.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range lib.Profiles() {
		found, s := checkRows(t, tx, p, 1000)
		if len(s.Rules) != len(p.Rules) {
			t.Errorf("%s: %d rules, want %d", p.ID, len(s.Rules), len(p.Rules))
		}
		for _, f := range found {
			if f.Row != 0 {
				t.Errorf("%s: a finding in row %d of none", p.ID, f.Row)
			}
		}
	}
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	tx := stage(t, postgistest.New(t), "rows", lattice(rand.New(rand.NewPCG(1, 1)), 20, 20))
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	ctx, cancel := context.WithCancel(t.Context())
	p := rulesOf(`Q08 {"area": 1e6}`, "Q06")
	_, err := Check(ctx, tx, Layer{Relation: [2]string{"public", "rows"}, Geometry: "MultiPolygon"}, Options{Profile: p, TempDir: t.TempDir()}, func(finding.Finding) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want %v", err, context.Canceled)
	}
}

func TestSanity(t *testing.T) {
	t.Parallel()
	codes := func(f []finding.Finding) string {
		var out []string
		for _, g := range f {
			if g.ZH == "" || g.EN == "" || g.Rule != "Q20" {
				t.Errorf("%+v", g)
			}
			out = append(out, g.Code+" "+string(g.Severity))
		}
		return strings.Join(out, ", ")
	}
	for _, tt := range []struct {
		before, after Counts
		limits        profile.ChangeParams
		severity      finding.Severity
		want          string
	}{
		{Counts{0, 0}, Counts{100, 5}, profile.ChangeParams{}, "", ""},
		{Counts{100, 1000}, Counts{120, 1010}, profile.ChangeParams{}, "", ""},
		{Counts{100, 1000}, Counts{79, 1000}, profile.ChangeParams{}, "", "count-changed warn"},
		{Counts{100, 1000}, Counts{121, 989}, profile.ChangeParams{}, finding.Block, "count-changed block, area-changed block"},
		{Counts{100, 1000}, Counts{150, 1100}, profile.ChangeParams{Count: 0.5, Area: 0.2}, "", ""},
		{Counts{100, 1000}, Counts{0, 0}, profile.ChangeParams{}, "", "count-changed warn, area-changed warn"},
	} {
		if got := codes(Sanity(tt.before, tt.after, tt.limits, tt.severity)); got != tt.want {
			t.Errorf("%v to %v: %q, want %q", tt.before, tt.after, got, tt.want)
		}
	}
}

// TestDrift: a corner on a long edge of another row is on it where the rows were
// drawn, and centimetres off in longitude and latitude. That is no fault; a strip
// that is wider is one.
func TestDrift(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	for strip, want := range map[float64]int{0: 0, 0.2: 1} {
		tx := stage(t, pool, "rows", nil)
		// In EPSG:4525: one row of 2 km, three beside it, the middle one moved off.
		if _, err := tx.Exec(t.Context(), `INSERT INTO public.rows SELECT n, ST_Multi(ST_Transform(ST_GeomFromText(w, 4525), 4490)) FROM unnest($1::text[]) WITH ORDINALITY u(w, n)`, []string{
			"POLYGON((37500000 3200000,37502000 3200000,37502000 3200500,37500000 3200500,37500000 3200000))",
			"POLYGON((37500000 3199000,37500900 3199000,37500900 3200000,37500000 3200000,37500000 3199000))",
			fmt.Sprintf("POLYGON((37500900 3199000,37501100 3199000,37501100 %[1]f,37500900 %[1]f,37500900 3199000))", 3200000-strip),
			"POLYGON((37501100 3199000,37502000 3199000,37502000 3200000,37501100 3200000,37501100 3199000))",
		}); err != nil {
			t.Fatal(err)
		}
		var holes int
		if err := tx.QueryRow(t.Context(), `SELECT ST_NumInteriorRings(ST_Union(geom)) FROM public.rows`).Scan(&holes); err != nil {
			t.Fatal(err)
		}
		found, _ := checkRows(t, tx, rulesOf("Q06", "Q07"), 1e6)
		if len(found) != want {
			t.Errorf("a strip of %g m, %d holes: %v", strip, holes, found)
		}
		_ = tx.Rollback(context.Background())
	}
}

func TestMetadataElements(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, e := range Elements() {
		if seen[e.ID] || e.ID == "" || e.ZH == "" || e.EN == "" {
			t.Errorf("%+v", e)
		}
		seen[e.ID] = true
	}
	if _, err := json.Marshal(Elements()); err != nil {
		t.Error(err)
	}
}
