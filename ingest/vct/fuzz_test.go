package vct

import (
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/twpayne/go-geom"

	"changde/ingest/layer"
	"changde/problem"
)

// FuzzReader checks that no bytes crash the reader, that values are of their types and
// geometries are whole, and that what is wrong comes as a problem.
func FuzzReader(f *testing.F) {
	for _, name := range []string{"modern", "classic", "direct"} {
		f.Add([]byte(fixture(f, name)))
	}
	var b strings.Builder
	if err := grid(&b, 2, false, nil); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(b.String()))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<14 {
			return
		}
		path := write(t, string(data))
		info, err := Inspect(t.Context(), path, Options{})
		if err != nil {
			if _, ok := errors.AsType[*problem.Error](err); !ok {
				t.Fatalf("not a problem: %v", err)
			}
			return
		}
		defer info.Close()
		for _, l := range info.Layers {
			r, err := Open(t.Context(), path, info, l.Name)
			if err != nil {
				t.Fatal(err)
			}
			var n int64
			for {
				feature, err := r.Next()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				n++
				for i, v := range feature.Values {
					if s, ok := v.(string); ok && (!utf8.ValidString(s) || strings.Contains(s, "\x00")) {
						t.Fatalf("%q", s)
					}
					if v, ok := v.(float64); ok && (r.Fields()[i].Type != layer.Real || math.IsNaN(v) || math.IsInf(v, 0)) {
						t.Fatalf("%v as %s", v, r.Fields()[i].Type)
					}
				}
				check(t, feature.Geom)
			}
			r.Close()
			if n < l.Features {
				t.Fatalf("%s: %d rows, %d expected", l.Name, n, l.Features)
			}
		}
	})
}

func check(t *testing.T, g geom.T) {
	if g == nil {
		return
	}
	for _, v := range g.FlatCoords() {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			t.Fatalf("coordinate %v", v)
		}
	}
	ring := func(r *geom.LinearRing) {
		flat, s := r.FlatCoords(), r.Stride()
		if len(flat) < 4*s || flat[0] != flat[len(flat)-s] || flat[1] != flat[len(flat)-s+1] {
			t.Fatalf("ring %v", flat)
		}
	}
	switch g := g.(type) {
	case *geom.Polygon:
		for i := range g.NumLinearRings() {
			ring(g.LinearRing(i))
		}
	case *geom.MultiPolygon:
		for i := range g.NumPolygons() {
			for j := range g.Polygon(i).NumLinearRings() {
				ring(g.Polygon(i).LinearRing(j))
			}
		}
	case *geom.LineString:
		if g.NumCoords() < 2 {
			t.Fatalf("line %v", g.FlatCoords())
		}
	}
}
