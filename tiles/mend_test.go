package tiles

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/paulmach/orb"

	"changde/postgis/postgistest"
)

// path closes a ring given by its coordinates.
func path(xy ...float64) []orb.Point {
	var out []orb.Point
	for i := 0; i+1 < len(xy); i += 2 {
		out = append(out, orb.Point{xy[i], xy[i+1]})
	}
	return append(out, out[0])
}

// rings of an outline, as text.
func (o *outline) String() string {
	var parts []string
	for _, r := range o.rings {
		text := fmt.Sprint(o.at[r.from:r.to])
		if r.hole {
			text = "hole " + text
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}

func TestOutline(t *testing.T) {
	t.Parallel()
	type ring struct {
		path []orb.Point
		hole bool
	}
	tests := []struct {
		name  string
		rings []ring
		sound bool
		want  string
	}{
		{"square", []ring{{path(0, 0, 9, 0, 9, 9, 0, 9), false}}, true, "[[0 0] [9 0] [9 9] [0 9]]"},
		{"turned", []ring{{path(0, 0, 0, 9, 9, 9, 9, 0), false}}, true, "[[0 0] [9 0] [9 9] [0 9]]"},
		{"vertices in line", []ring{{path(0, 0, 4, 0, 9, 0, 9, 9, 5, 5, 0, 0), false}}, true, "[[0 0] [9 0] [9 9]]"},
		{"spike", []ring{{path(0, 0, 9, 0, 9, 4, 20, 4, 9, 4, 9, 9, 0, 9), false}}, true, "[[0 0] [9 0] [9 9] [0 9]]"},
		{"nothing", []ring{{path(0, 0, 0.1, 0, 0.1, 0.1), false}}, true, ""},
		{"a line", []ring{{path(0, 0, 5, 5, 9, 9, 3, 3), false}}, true, ""},
		{"bow tie", []ring{{path(0, 0, 4, 4, 4, 0, 0, 9), false}}, false, "[[0 9] [0 0] [3 3]]"},
		{"pinched at a vertex", []ring{{path(0, 0, 4, 4, 8, 0, 8, 8, 4, 4, 0, 8), false}}, false, "[[0 8] [0 0] [4 4]]; [[4 4] [8 0] [8 8]]"},
		{"hole", []ring{{path(0, 0, 9, 0, 9, 9, 0, 9), false}, {path(2, 2, 5, 2, 5, 5), true}}, true, "[[0 0] [9 0] [9 9] [0 9]]; hole [[2 2] [5 5] [5 2]]"},
		{
			"hole at the edge",
			[]ring{{path(0, 0, 9, 0, 9, 9, 0, 9), false}, {path(0, 2, 5, 2, 5, 5, 0, 5), true}},
			false, "[[0 2] [0 0] [9 0] [9 9] [0 9] [0 5] [5 5] [5 2]]",
		},
		{
			"hole at a corner",
			[]ring{{path(0, 0, 9, 0, 9, 9, 0, 9), false}, {path(0, 0, 5, 2, 5, 5), true}},
			false, "[[0 9] [0 0] [9 0] [9 9]]; hole [[0 0] [5 5] [5 2]]",
		},
		{
			"parts side by side",
			[]ring{{path(0, 0, 5, 0, 5, 5, 0, 5), false}, {path(5, 0, 9, 0, 9, 5, 5, 5), false}},
			false, "[[0 5] [0 0] [5 0] [9 0] [9 5] [5 5]]",
		},
		{
			"parts over each other",
			[]ring{{path(0, 0, 5, 0, 5, 5, 0, 5), false}, {path(3, 3, 9, 3, 9, 9, 3, 9), false}},
			false, "[[0 5] [0 0] [5 0] [5 3] [9 3] [9 9] [3 9] [3 5]]",
		},
	}
	for _, tt := range tests {
		var o outline
		for _, r := range tt.rings {
			o.add(r.path, r.hole)
		}
		if o.sound() != tt.sound {
			t.Errorf("%s: sound is %v", tt.name, !tt.sound)
		}
		var c commands
		o.write(&c)
		if diff := cmp.Diff(tt.want, o.String()); diff != "" {
			t.Errorf("%s: -want +got:\n%s", tt.name, diff)
		}
	}
}

// Whatever rings meet on the grid, what is drawn is valid for PostGIS.
func TestMendedIsValid(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	r := rand.New(rand.NewPCG(7, 7))
	var texts []string
	broken := 0
	for range 2000 {
		var o outline
		scale := []float64{4, 8, 40, 400}[r.IntN(4)]
		for range 1 + r.IntN(4) {
			n := 3 + r.IntN(14)
			var ring []orb.Point
			for range n {
				ring = append(ring, orb.Point{r.Float64() * scale, r.Float64() * scale})
			}
			o.add(append(ring, ring[0]), r.IntN(3) == 0)
		}
		if len(o.rings) == 0 {
			continue
		}
		if !o.sound() {
			broken++
		}
		var c commands
		if !o.write(&c) {
			continue
		}
		var polygons []string
		for _, ring := range o.rings {
			var at []string
			for _, p := range append(append([]vertex{}, o.at[ring.from:ring.to]...), o.at[ring.from]) {
				at = append(at, fmt.Sprintf("%d %d", p[0], p[1]))
			}
			text := "(" + strings.Join(at, ",") + ")"
			if ring.hole && len(polygons) > 0 {
				polygons[len(polygons)-1] += "," + text
			} else {
				polygons = append(polygons, text)
			}
		}
		texts = append(texts, "MULTIPOLYGON(("+strings.Join(polygons, "),(")+"))")
	}
	rows, err := pool.Query(t.Context(), "SELECT w, ST_IsValidReason(w::geometry) FROM unnest($1::text[]) w WHERE NOT ST_IsValid(w::geometry)", texts)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for n := 0; rows.Next() && n < 5; n++ {
		var text, reason string
		if err := rows.Scan(&text, &reason); err != nil {
			t.Fatal(err)
		}
		t.Errorf("%s: %s", reason, text)
	}
	if broken < 1000 || len(texts) < 1400 {
		t.Errorf("%d of %d were broken: the test says little", broken, len(texts))
	}
}
