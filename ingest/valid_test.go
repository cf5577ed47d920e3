package ingest

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/twpayne/go-geom"

	"changde/postgis"
	"changde/postgis/postgistest"
)

// shapes makes rings of many kinds about a place in the city: stars and grids whose
// vertices repeat, touch and cross as often as not, and quiet ones.
func shapes(r *rand.Rand) geom.T {
	n := 3 + r.IntN(12)
	flat := make([]float64, 0, 2*n+2)
	kind := r.IntN(4)
	for i := range n {
		angle := 2 * math.Pi * float64(i) / float64(n)
		switch kind {
		case 0: // star-shaped about its middle: simple unless it is cut
			d := 1e-3 * (0.3 + r.Float64())
			flat = append(flat, 111.7+d*math.Cos(angle), 29+d*math.Sin(angle))
		case 1: // on a coarse grid: vertices on edges, spikes
			flat = append(flat, 111.7+1e-3*float64(r.IntN(4)), 29+1e-3*float64(r.IntN(4)))
		case 2:
			flat = append(flat, 111.7+r.Float64(), 29+r.Float64())
		default: // a strip so thin that rounding matters
			flat = append(flat, 111.7+1e-3*math.Cos(angle), 29+1e-15*float64(r.IntN(5))+1e-14*math.Sin(angle))
		}
	}
	flat = append(flat, flat[0], flat[1])
	if r.IntN(5) == 0 {
		return geom.NewLineStringFlat(geom.XY, flat)
	}
	return geom.NewPolygonFlat(geom.XY, flat, []int{len(flat)})
}

// What is surely valid is valid for PostGIS, and what is quiet is not left to it.
func TestSurelyValidIsValid(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	r := rand.New(rand.NewPCG(1, 4))
	var all [][]byte
	var sure []bool
	counts := make(map[bool]int)
	for range 20_000 {
		g := shapes(r)
		ewkb, err := postgis.AppendEWKB(nil, g, 4490)
		if err != nil {
			t.Fatal(err)
		}
		all, sure = append(all, ewkb), append(sure, surelyValid(g))
		counts[sure[len(sure)-1]]++
	}
	rows, err := pool.Query(t.Context(), "SELECT n, ST_AsText(g), ST_IsValid(g) FROM unnest($1::bytea[]) WITH ORDINALITY u(b, n), ST_GeomFromEWKB(b) g", all)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	left := 0
	for rows.Next() {
		var n int
		var text string
		var valid bool
		if err := rows.Scan(&n, &text, &valid); err != nil {
			t.Fatal(err)
		}
		if sure[n-1] && !valid {
			t.Errorf("surely valid, but not for PostGIS: %s", text)
		}
		if valid && !sure[n-1] {
			left++
		}
	}
	if rows.Err() != nil || counts[true] < 5000 || counts[false] < 5000 {
		t.Errorf("%v: %d are surely valid, %d not: the test says nothing", rows.Err(), counts[true], counts[false])
	}
	if left > 1500 {
		t.Errorf("%d valid shapes are left to PostGIS", left)
	}
}

func FuzzSurelyValid(f *testing.F) {
	f.Add([]byte{0, 0, 3, 0, 3, 3}, true)
	f.Add([]byte{0, 0, 3, 3, 3, 0, 0, 3}, true)
	f.Fuzz(func(t *testing.T, b []byte, polygon bool) {
		if len(b) < 2 || len(b) > 600 {
			return
		}
		var flat []float64
		for i := 0; i+1 < len(b); i += 2 {
			flat = append(flat, float64(b[i]), float64(b[i+1]))
		}
		flat = append(flat, flat[0], flat[1])
		if !polygon {
			surelyValid(geom.NewLineStringFlat(geom.XY, flat))
			return
		}
		if !surelyValid(geom.NewPolygonFlat(geom.XY, flat, []int{len(flat)})) {
			return
		}
		// The same ring the other way about, and begun elsewhere, is as valid.
		n := len(flat) / 2
		turned := make([]float64, 0, len(flat))
		for i := n - 1; i >= 0; i-- {
			turned = append(turned, flat[2*i], flat[2*i+1])
		}
		if !surelyValid(geom.NewPolygonFlat(geom.XY, turned, []int{len(turned)})) {
			t.Errorf("%v is valid, reversed it is not", flat)
		}
	})
}
