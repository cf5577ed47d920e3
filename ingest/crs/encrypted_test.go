package crs

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestGCJ02AgainstPairs(t *testing.T) {
	t.Parallel()
	rows := readCSV(t, "gcj02_formula_pairs.csv")
	if len(rows) < 4 {
		t.Fatalf("%d pairs", len(rows))
	}
	for _, r := range rows {
		w := [2]float64{number(t, r["wgs_lon"]), number(t, r["wgs_lat"])}
		g := [2]float64{number(t, r["gcj_lon"]), number(t, r["gcj_lat"])}
		f := []float64{w[0], w[1], 5}
		GCJ02.Forward(f, 3)
		i := []float64{g[0], g[1], 5}
		GCJ02.Inverse(i, 3)
		for k := range 2 {
			if math.Abs(f[k]-g[k]) > 1e-12 || math.Abs(i[k]-w[k]) > 1e-12 {
				t.Errorf("%s: forward off by %.2g, inverse by %.2g degrees", r["source"], f[k]-g[k], i[k]-w[k])
			}
		}
		if f[2] != 5 || i[2] != 5 {
			t.Errorf("the height is %v, %v", f[2], i[2])
		}
	}
}

// The inverse is exact on both sides: true position to shifted and back, and a
// shifted position to true and back, anywhere in the rectangle but its rim, where
// the formula itself has a step.
func TestEncryptedRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := rapid.SampledFrom([]Encrypted{GCJ02, BD09}).Draw(t, "system")
		lon := rapid.OneOf(rapid.Float64Range(72.1, 137.7), rapid.Float64Range(104.999, 105.001)).Draw(t, "lon")
		lat := rapid.Float64Range(0.9, 55.7).Draw(t, "lat")
		c := []float64{lon, lat, 1, 2}
		e.Forward(c, 4)
		if d := math.Hypot(c[0]-lon, c[1]-lat); d == 0 || d > 0.03 {
			t.Fatalf("%v shifts by %g degrees", e, d)
		}
		e.Inverse(c, 4)
		if math.Abs(c[0]-lon) > 1e-9 || math.Abs(c[1]-lat) > 1e-9 || c[2] != 1 || c[3] != 2 {
			t.Fatalf("%v: %v %v came back as %v", e, lon, lat, c)
		}
		c = []float64{lon, lat}
		e.Inverse(c, 2)
		e.Forward(c, 2)
		if math.Abs(c[0]-lon) > 1e-9 || math.Abs(c[1]-lat) > 1e-9 {
			t.Fatalf("%v: shifted %v %v came back as %v", e, lon, lat, c)
		}
	})
}

func TestEncryptedOutsideChina(t *testing.T) {
	t.Parallel()
	for _, p := range [][2]float64{{72, 30}, {137.84, 30}, {110, 0.8}, {110, 55.9}, {-110, 30}, {0, 0}, {math.NaN(), 30}, {110, math.Inf(1)}, {math.Inf(-1), math.NaN()}} {
		c := []float64{p[0], p[1]}
		GCJ02.Inverse(c, 2)
		GCJ02.Forward(c, 2)
		for k := range 2 {
			if c[k] != p[k] && !(math.IsNaN(c[k]) && math.IsNaN(p[k])) {
				t.Errorf("%v became %v", p, c)
			}
		}
		BD09.Inverse(c, 2) // only must end
	}
	none := []float64{111, 29}
	Encrypted(0).Inverse(none, 2)
	GCJ02.Inverse(none, 1)
	GCJ02.Inverse(none[:1], 2)
	if none[0] != 111 || none[1] != 29 {
		t.Errorf("changed to %v", none)
	}
}

// Baidu's formula takes a position on the Tian'anmen square about 1.2 km off.
func TestBD09(t *testing.T) {
	t.Parallel()
	c := []float64{116.404, 39.915}
	x, y := gcjToBD(c[0], c[1]) // a published pair of the formula
	if math.Abs(x-116.41036949371029) > 1e-9 || math.Abs(y-39.92133699351022) > 1e-9 {
		t.Errorf("BD-09 of %v is %.14f %.14f", c, x, y)
	}
}

func TestEncryptedOf(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]Encrypted{"GCJ-02": GCJ02, "gcj02": GCJ02, "gcj_02": GCJ02, "BD-09": BD09, "bd09ll": BD09, "BD09MC": 0, "": 0, "4490": 0} {
		if got, ok := EncryptedOf(name); got != want || ok != (want != 0) {
			t.Errorf("%q is %v, %v", name, got, ok)
		}
	}
	for _, e := range []Encrypted{GCJ02, BD09} {
		if got, _ := EncryptedOf(e.String()); got != e {
			t.Errorf("%v is read as %v", e, got)
		}
	}
}
