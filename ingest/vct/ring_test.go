package vct

import (
	"math"
	"testing"

	"github.com/twpayne/go-geom"
	"pgregory.net/rapid"
)

// TestChain cuts a ring into lines, turns and shuffles them, and joins them again.
func TestChain(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(4, 40).Draw(t, "vertices")
		ring := make([]float64, 0, 2*n+2)
		for i := range n {
			a := 2 * math.Pi * float64(i) / float64(n)
			ring = append(ring, 37500000+100*math.Cos(a), 3200000+100*math.Sin(a))
		}
		ring = append(ring, ring[:2]...)
		var lines [][]float64
		for from := 0; from < n; {
			to := min(n, from+rapid.IntRange(1, n).Draw(t, "length"))
			l := append([]float64(nil), ring[2*from:2*to+2]...)
			if rapid.Bool().Draw(t, "turn") {
				l = reverse(l, 2)
			}
			lines = append(lines, l)
			from = to
		}
		shuffled := rapid.Permutation(lines).Draw(t, "order")
		rings, _, ok := chain(shuffled, 2, gapMetres)
		if !ok || len(rings) != 1 || len(rings[0]) != len(ring) {
			t.Fatalf("%v rings %v", ok, rings)
		}
		if got, want := measure(rings[0], 2).area, measure(ring, 2).area; math.Abs(got-want) > 1e-6 {
			t.Fatalf("area %v, want %v", got, want)
		}
		if len(lines) > 1 {
			if _, _, ok := chain(shuffled[1:], 2, gapMetres); ok {
				t.Fatal("a ring without one of its lines closes")
			}
		}
	})
}

func square(x, y, side float64) []float64 {
	return []float64{x, y, x + side, y, x + side, y + side, x, y + side, x, y}
}

func TestNest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rings    [][]float64
		polygons []int // rings of each
	}{
		"one":                          {[][]float64{square(0, 0, 10)}, []int{1}},
		"hole first":                   {[][]float64{square(2, 2, 2), square(0, 0, 10)}, []int{2}},
		"island in a lake":             {[][]float64{square(2, 2, 6), square(0, 0, 10), square(4, 4, 2)}, []int{2, 1}},
		"two beside":                   {[][]float64{square(0, 0, 10), square(20, 0, 10)}, []int{1, 1}},
		"beside, touching":             {[][]float64{square(0, 0, 10), square(10, 0, 5)}, []int{1, 1}},
		"hole touching a side":         {[][]float64{square(0, 0, 10), square(0, 2, 5)}, []int{2}},
		"hole touching with each node": {[][]float64{square(0, 0, 10), {5, 0, 10, 5, 5, 10, 0, 5, 5, 0}}, []int{2}},
		"box inside, ring not":         {[][]float64{{0, 0, 10, 0, 10, 1, 1, 1, 1, 10, 0, 10, 0, 0}, square(4, 4, 2)}, []int{1, 1}},
	} {
		g, ok := nest(c.rings, geom.XY)
		if !ok {
			t.Fatal(name)
		}
		var got []int
		switch g := g.(type) {
		case *geom.Polygon:
			got = []int{g.NumLinearRings()}
		case *geom.MultiPolygon:
			for i := range g.NumPolygons() {
				got = append(got, g.Polygon(i).NumLinearRings())
			}
		}
		if len(got) != len(c.polygons) {
			t.Errorf("%s: %v, want %v", name, got, c.polygons)
			continue
		}
		for i := range got {
			if got[i] != c.polygons[i] {
				t.Errorf("%s: %v, want %v", name, got, c.polygons)
			}
		}
	}
}

// TestArc checks that every vertex of an arc lies on its circle and that it goes the
// way of the middle point.
func TestArc(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := rapid.Float64Range(1, 1000).Draw(t, "radius")
		a := rapid.Float64Range(-math.Pi, math.Pi).Draw(t, "start")
		turn := rapid.Float64Range(0.1, 6).Draw(t, "turn")
		if rapid.Bool().Draw(t, "clockwise") {
			turn = -turn
		}
		at := func(a float64) []float64 { return []float64{500000 + r*math.Cos(a), 3200000 + r*math.Sin(a)} }
		middle := rapid.Float64Range(0.2, 0.8).Draw(t, "middle")
		p := parser{h: &head{dim: 2}, o: &object{}}
		flat := append(append(at(a), at(a+turn*middle)...), at(a+turn)...)
		if b := p.arc(flat, false); b != nil {
			t.Fatal(b)
		}
		got, length := p.o.paths[0], 0.0
		for i := 0; i < len(got); i += 2 {
			if d := math.Hypot(got[i]-500000, got[i+1]-3200000); math.Abs(d-r) > 1e-4*r {
				t.Fatalf("vertex %d is %v from the centre, radius %v", i/2, d, r)
			}
			if i > 0 {
				length += math.Hypot(got[i]-got[i-2], got[i+1]-got[i-1])
			}
		}
		if want := r * math.Abs(turn); math.Abs(length-want) > 1e-3*want {
			t.Fatalf("length %v, want %v", length, want)
		}
		if got[0] != flat[0] || got[len(got)-1] != flat[5] {
			t.Fatal("the ends moved")
		}
	})
}
