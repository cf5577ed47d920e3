package crs

import (
	"fmt"
	"math"
	"os/exec"
	"strings"
	"testing"
)

// proj runs points through gdaltransform, which hands them to PROJ.
func proj(t testing.TB, points [][2]float64, args ...string) [][2]float64 {
	t.Helper()
	if _, err := exec.LookPath("gdaltransform"); err != nil {
		if testing.Short() {
			t.Skip("gdaltransform is not installed")
		}
		t.Fatal(err)
	}
	var in strings.Builder
	for _, p := range points {
		fmt.Fprintf(&in, "%.17g %.17g\n", p[0], p[1])
	}
	cmd := exec.Command("gdaltransform", append([]string{"-output_xy"}, args...)...)
	cmd.Stdin = strings.NewReader(in.String())
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("gdaltransform %v: %v", args, err)
	}
	var got [][2]float64
	for _, l := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		f := strings.Fields(l)
		if len(f) != 2 || f[1] == "failed." { // "transformation failed."
			got = append(got, [2]float64{math.NaN(), math.NaN()})
			continue
		}
		got = append(got, [2]float64{number(t, f[0]), number(t, f[1])})
	}
	if len(got) != len(points) {
		t.Fatalf("gdaltransform gives %d points of %d", len(got), len(points))
	}
	return got
}

// city is a net of points over the area, in degrees.
func city() [][2]float64 {
	var out [][2]float64
	for i := range 9 {
		for j := range 9 {
			out = append(out, [2]float64{110.4 + 0.25*float64(i), 28.3 + 0.23*float64(j)})
		}
	}
	return out
}

func flat(points [][2]float64) []float64 {
	var out []float64
	for _, p := range points {
		out = append(out, p[0], p[1])
	}
	return out
}

// compare tells the greatest difference and fails above the limit, which is in
// the unit of the numbers. Both must fail at the same points.
func compare(t *testing.T, what string, got []float64, want [][2]float64, limit float64) {
	t.Helper()
	var worst float64
	for i, w := range want {
		for k := range 2 {
			g := got[2*i+k]
			if math.IsNaN(w[k]) || math.IsNaN(g) {
				if math.IsNaN(w[k]) != math.IsNaN(g) {
					t.Errorf("%s: point %d is %v, PROJ has %v", what, i, g, w[k])
				}
				continue
			}
			worst = max(worst, math.Abs(g-w[k]))
		}
	}
	if worst > limit {
		t.Errorf("%s: differs from PROJ by %.3g", what, worst)
	}
	t.Logf("%s: worst difference %.2g", what, worst)
}
