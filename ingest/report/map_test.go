package report

import (
	"bytes"
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"
)

// TestMapHoldsEveryPoint: each point is in the legend, off the map or beyond the
// bound; the marks are few and drawn within the map.
func TestMapHoldsEveryPoint(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var d Document
		if rapid.Bool().Draw(t, "extent") {
			west, south := rapid.Float64Range(-180, 180).Draw(t, "west"), rapid.Float64Range(-90, 90).Draw(t, "south")
			d.Extent = &[4]float64{west, south, rapid.Float64Range(west, 180).Draw(t, "east"), rapid.Float64Range(south, 90).Draw(t, "north")}
		}
		span := rapid.SampledFrom([]float64{0, 1e-7, 0.01, 1, 90}).Draw(t, "span")
		midLon, midLat := rapid.Float64Range(-180+span, 180-span).Draw(t, "lon"), rapid.Float64Range(-90+span, 90-span).Draw(t, "lat")
		if span == 90 {
			midLon, midLat = 0, 0
		}
		n := rapid.IntRange(1, 3_000).Draw(t, "points")
		p := newPlot()
		for i := range n {
			a := float64(i) * 2.4
			p.add(fmt.Sprintf("Q%02d", 1+i%23), [2]float64{midLon + span*math.Cos(a)*float64(i)/float64(n), midLat + span*math.Sin(a)*float64(i)/float64(n)})
		}
		o := p.draw(&d, int64(n+5))
		total := o.Outside + o.Beyond
		for _, l := range o.Legend {
			total += l.Count
		}
		if total != int64(n+5) || o.Beyond != 5 {
			t.Fatalf("%d points became %d: %d outside, %d beyond", n+5, total, o.Outside, o.Beyond)
		}
		if d.Extent == nil && o.Outside > 0 {
			t.Fatalf("%d points are off a map of the points", o.Outside)
		}
		if len(o.Marks) > maxMarks || len(o.Lines) > 80 {
			t.Fatalf("%d marks, %d lines", len(o.Marks), len(o.Lines))
		}
		if o.Height < minHeight || o.Height > maxHeight || !(o.ScaleBar > 0 && o.ScaleBar < mapWidth/2) {
			t.Fatalf("a map %d high with a bar of %v", o.Height, o.ScaleBar)
		}
		for _, m := range o.Marks {
			var x, y float64
			if _, err := fmt.Sscanf(m.Path, "M%f %f", &x, &y); err != nil {
				t.Fatal(err)
			}
			if x < -80 || y < -80 || x > mapWidth+80 || y > float64(o.Height)+80 || m.radius < 3 || m.radius > 10 {
				t.Fatalf("the mark %+v", m)
			}
		}
	})
}

// TestMapPlacesPoints: the corners of the extent lie where they should, and a
// degree of longitude is shorter than one of latitude.
func TestMapPlacesPoints(t *testing.T) {
	t.Parallel()
	box := [4]float64{111, 28, 113, 30}
	o, v := frame(box)
	x, y := v.at(112, 29)
	if math.Abs(x-mapWidth/2) > 1e-6 || math.Abs(y-float64(o.Height)/2) > 1 {
		t.Errorf("the middle is at %v, %v of %d, %d", x, y, o.Width, o.Height)
	}
	x0, y0 := v.at(111, 30)
	x1, y1 := v.at(113, 28)
	if x0 >= x1 || y0 >= y1 {
		t.Errorf("north west is at %v, %v and south east at %v, %v", x0, y0, x1, y1)
	}
	if got, want := (x1-x0)/(y1-y0), math.Cos(29*math.Pi/180); math.Abs(got-want) > 1e-9 {
		t.Errorf("width by height is %v, want %v", got, want)
	}
	o.scale(v)
	if metres := o.ScaleBar / v.y * metreDegree; fmt.Sprintf("%.0f km", metres/1000) != o.ScaleText {
		t.Errorf("the bar is %v m and says %s", metres, o.ScaleText)
	}
}

// TestMapIsTheSameEachTime: the order of a Go map does not show.
func TestMapIsTheSameEachTime(t *testing.T) {
	t.Parallel()
	var first bytes.Buffer
	if err := HTML(&first, many(3_000)); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		var again bytes.Buffer
		if err := HTML(&again, many(3_000)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first.Bytes(), again.Bytes()) {
			t.Fatal("two pages of one document differ")
		}
	}
}

func TestOutlineIsBounded(t *testing.T) {
	t.Parallel()
	_, v := frame([4]float64{111, 28, 113, 30})
	line := make([][2]float64, 3*maxOutline)
	for i := range line {
		line[i] = [2]float64{112, 29}
	}
	if got, most := len(outline([][][2]float64{line, line}, v)), maxOutline*16; got > most {
		t.Errorf("a path of %d bytes", got)
	}
	if got := outline([][][2]float64{{{112, 29}, {math.NaN(), 29}, {113, 29}}, {}, {{math.Inf(1), 0}}}, v); got != "M360.0 250.0" {
		t.Errorf("got %q", got)
	}
}

// TestRulesDifferInForm: neighbours have another form, and no two rules the same
// form and colour.
func TestRulesDifferInForm(t *testing.T) {
	t.Parallel()
	seen, last := make(map[string]string), ""
	for n := 1; n <= 20; n++ {
		rule := fmt.Sprintf("Q%02d", n)
		class, path := symbol(rule, 0, 0, 5)
		if other, ok := seen[class+path]; ok {
			t.Errorf("%s looks like %s", rule, other)
		}
		if path == last {
			t.Errorf("%s has the form of the rule before", rule)
		}
		seen[class+path], last = rule, path
	}
}
