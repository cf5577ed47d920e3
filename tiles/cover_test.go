package tiles

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/clip"

	"changde/postgis/postgistest"
)

// quilt is a patchwork of quadrilaterals over a tile and beyond it: neighbours share
// their corners, which lie anywhere.
func quilt(r *rand.Rand, step float64, classes int, each func(f *figure, class int32)) {
	n := int((Extent+2*Buffer)/step) + 2
	corners := make([][]orb.Point, n+1)
	for i := range corners {
		for j := range n + 1 {
			x, y := float64(j)*step-Buffer-step/2, float64(i)*step-Buffer-step/2
			corners[i] = append(corners[i], orb.Point{x + (r.Float64()-0.5)*step*0.8, y + (r.Float64()-0.5)*step*0.8})
		}
	}
	for i := range n {
		for j := range n {
			at := []orb.Point{corners[i][j], corners[i][j+1], corners[i+1][j+1], corners[i+1][j], corners[i][j]}
			f := &figure{at: at, parts: []part{{kind: polygons, to: 5}}, bound: orb.MultiPoint(at).Bound()}
			f.parts[0].bound = f.bound
			each(f, int32(r.IntN(classes)*r.IntN(2)))
		}
	}
}

// inTile is the area that lies in the tile.
func inTile(f *figure) float64 {
	clipped := clip.Ring(orb.Bound{Max: orb.Point{Extent, Extent}}, orb.Ring(f.at).Clone())
	area := 0.0
	for i := 1; i < len(clipped); i++ {
		area += clipped[i-1][0]*clipped[i][1] - clipped[i][0]*clipped[i-1][1]
	}
	return math.Abs(area / 2)
}

// The shares of a patchwork are its areas, and what is made of them keeps the area
// of each class, leaves no cell empty, and is valid for PostGIS.
func TestCoverKeepsAreas(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	for _, step := range []float64{5, 23.7} {
		r := rand.New(rand.NewPCG(3, uint64(step)))
		const classes = 7
		c := newCover(9, coverSide)
		truth := make([]float64, classes)
		figures := int64(0)
		quilt(r, step, classes, func(f *figure, class int32) {
			c.add(f, 1, orb.Point{}, class)
			truth[class] += inTile(f)
		})
		for _, n := range c.counts {
			figures += n
		}
		if want := Extent * Extent / (step * step); math.Abs(float64(figures)-want) > 0.01*want+10 {
			t.Errorf("step %v: %d polygons counted, want about %.0f", step, figures, want)
		}
		c.settle()
		whole := make(map[uint32]float64)
		for _, s := range c.shares {
			whole[s.cell()] += float64(s.area) / float64(c.cell)
		}
		for cell, area := range whole {
			if math.Abs(area-1) > 1e-3 {
				t.Fatalf("step %v: cell %d is covered to %v", step, cell, area)
			}
		}
		grid := c.allot()
		got := make([]float64, classes)
		cell := math.Pow(Extent/coverSide, 2)
		for _, k := range grid {
			if k == 0 {
				t.Fatalf("step %v: a cell is empty", step)
			}
			got[k-1] += cell
		}
		for k := range truth {
			if math.Abs(got[k]-truth[k]) > 0.002*truth[k]+2*cell {
				t.Errorf("step %v: class %d has %.0f, want %.0f", step, k, got[k], truth[k])
			}
		}
		ct := contour{grid: grid, side: c.side, unit: Extent / coverSide}
		for k, geometry := range ct.draw(classes) {
			text, area := polygonText(t, geometry.b)
			if math.Abs(area-got[k]) > 1 {
				t.Errorf("step %v: class %d is drawn with %v, has %v", step, k, area, got[k])
			}
			var reason string
			if err := pool.QueryRow(t.Context(), "SELECT ST_IsValidReason($1::text::geometry)", text).Scan(&reason); err != nil || reason != "Valid Geometry" {
				t.Errorf("step %v: class %d: %s, %v", step, k, reason, err)
			}
		}
	}
}

// A cover made of those of the four tiles below has their areas.
func TestCoverAbove(t *testing.T) {
	t.Parallel()
	above := newCover(9, coverSide)
	want := 0.0
	for n := range 4 {
		c := newCover(10, coverSide)
		r := rand.New(rand.NewPCG(9, uint64(n)))
		quilt(r, 40, 3, func(f *figure, class int32) {
			if class > 0 {
				c.add(f, 1, orb.Point{}, class)
			}
		})
		c.settle()
		for _, s := range c.shares {
			want += float64(s.area)
		}
		above.merge(c, 1, n%2, n/2)
	}
	above.settle()
	got := 0.0
	for _, s := range above.shares {
		if float64(s.area) > 1.001*float64(above.cell) {
			t.Fatalf("a class takes %v of a cell", s.area)
		}
		got += float64(s.area)
	}
	if got != want {
		t.Errorf("the areas are %v, want %v", got, want)
	}
}

// Half of the ground is built on: half of the cells are, and they lie together.
func TestCoverOfScatteredPolygons(t *testing.T) {
	t.Parallel()
	c := newCover(9, coverSide)
	r := rand.New(rand.NewPCG(5, 5))
	truth := 0.0
	for range 20_000 {
		x, y, s := r.Float64()*Extent, r.Float64()*Extent, 2+8*r.Float64()
		at := []orb.Point{{x, y}, {x + s, y}, {x + s, y + s}, {x, y + s}, {x, y}}
		f := &figure{at: at, parts: []part{{kind: polygons, to: 5}}, bound: orb.MultiPoint(at).Bound()}
		c.add(f, 1, orb.Point{}, 0)
		truth += inTile(f)
	}
	c.settle()
	on := 0
	for _, k := range c.allot() {
		if k > 0 {
			on++
		}
	}
	if got := float64(on) * 64; math.Abs(got-truth) > 0.02*truth {
		t.Errorf("%v is built on, want %v", got, truth)
	}
}

// polygonText reads an MVT geometry as WKT, with its area.
func polygonText(t *testing.T, b []byte) (text string, area float64) {
	t.Helper()
	var polygons []string
	for _, g := range ringsOf(t, b) {
		a := 0.0
		var at []string
		for i := range g {
			j := (i + 1) % len(g)
			a += (g[i][0]*g[j][1] - g[j][0]*g[i][1]) / 2
			at = append(at, fmt.Sprint(g[i][0], g[i][1]))
		}
		ring := "(" + strings.Join(append(at, at[0]), ",") + ")"
		area += a
		if a < 0 {
			polygons[len(polygons)-1] += "," + ring
		} else {
			polygons = append(polygons, ring)
		}
	}
	return "MULTIPOLYGON((" + strings.Join(polygons, "),(") + "))", area
}
