package tiles

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/paulmach/orb"
	"github.com/paulmach/orb/clip"
	"github.com/paulmach/orb/encoding/mvt"
	"github.com/paulmach/orb/encoding/wkt"
	"github.com/paulmach/orb/planar"
	orbsimplify "github.com/paulmach/orb/simplify"
	"github.com/twpayne/go-geom"
	geomwkt "github.com/twpayne/go-geom/encoding/wkt"
	"pgregory.net/rapid"

	"changde/postgis"
)

func ewkb(t testing.TB, g geom.T) []byte {
	t.Helper()
	b, err := postgis.AppendEWKB(nil, g, 4490)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func fromWKT(t testing.TB, text string) []byte {
	t.Helper()
	g, err := geomwkt.Unmarshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return ewkb(t, g)
}

// drawn gives the shaper's commands back as geometries, by orb's decoder.
func drawn(t testing.TB, s *shaper) []string {
	t.Helper()
	l := newLayer("l", nil)
	l.add(1, &s.out)
	layers, err := mvt.Unmarshal(l.encode(nil, 1))
	if err != nil {
		t.Fatal(err)
	}
	out := []string{}
	for _, f := range layers[0].Features {
		out = append(out, wkt.MarshalString(f.Geometry))
	}
	return out
}

// The whole world is tile 0/0/0: longitude 0, latitude 0 is its middle, and a
// degree of longitude 11.38 units.
func TestShape(t *testing.T) {
	t.Parallel()
	world := Address{Set: "WebMercatorQuad"}
	tests := []struct {
		name, in string
		want     []string
	}{
		{"point", "POINT (0 0)", []string{"POINT(2048 2048)"}},
		{"z is not drawn", "POINT ZM (90 0 5 6)", []string{"POINT(3072 2048)"}},
		{"empty point", "POINT EMPTY", []string{}},
		{"empty polygon", "POLYGON EMPTY", []string{}},
		{"points", "MULTIPOINT (0 0, 90 0)", []string{"MULTIPOINT((2048 2048),(3072 2048))"}},
		{"the pole is at the edge", "POINT (0 90)", []string{"POINT(2048 0)"}},
		{"beyond the pole", "POINT (0 -1000)", []string{"POINT(2048 4096)"}},
		{"beyond the margin", "POINT (190 0)", []string{}},
		{"line", "LINESTRING (0 0, 45 0, 90 0)", []string{"LINESTRING(2048 2048,3072 2048)"}}, // simplified
		{
			"line leaves and comes back", "LINESTRING (0 0, 0 40, 300 40, 300 20, 0 20)",
			[]string{"MULTILINESTRING((2048 2048,2048 1551,4160 1551),(4160 1816,2048 1816))"},
		},
		{"line over the antimeridian", "LINESTRING (170 0, 190 0)", []string{"LINESTRING(3982 2048,4160 2048)"}},
		{"polygon is wound", "POLYGON ((0 0, 90 0, 90 60, 0 60, 0 0))", []string{"POLYGON((2048 2048,2048 1189,3072 1189,3072 2048,2048 2048))"}},
		{"polygon stays wound", "POLYGON ((0 0, 0 60, 90 60, 90 0, 0 0))", []string{"POLYGON((2048 2048,2048 1189,3072 1189,3072 2048,2048 2048))"}},
		{
			"polygon over all", "POLYGON ((-1000 -1000, 1000 -1000, 1000 1000, -1000 1000, -1000 -1000))",
			[]string{"POLYGON((-64 4096,-64 0,4160 0,4160 4096,-64 4096))"},
		},
		{
			"hole", "POLYGON ((0 0, 90 0, 90 60, 0 60, 0 0), (10 10, 80 10, 80 50, 10 50, 10 10))",
			[]string{"POLYGON((2048 2048,2048 1189,3072 1189,3072 2048,2048 2048),(2162 1934,2958 1934,2958 1389,2162 1389,2162 1934))"},
		},
		{
			"hole too small", "POLYGON ((0 0, 90 0, 90 60, 0 60, 0 0), (10 10, 10.01 10, 10.01 10.01, 10 10))",
			[]string{"POLYGON((2048 2048,2048 1189,3072 1189,3072 2048,2048 2048))"},
		},
		{
			"hole of a polygon too small", "MULTIPOLYGON (((0 0, 0.01 0, 0.01 0.01, 0 0), (0 0, 90 0, 90 60, 0 60, 0 0)), ((0 0, 90 0, 90 60, 0 60, 0 0)))",
			[]string{"POLYGON((2048 2048,2048 1189,3072 1189,3072 2048,2048 2048))"},
		},
		{
			"collection", "GEOMETRYCOLLECTION (POINT (0 0), GEOMETRYCOLLECTION (LINESTRING (0 0, 90 0), POINT (90 0)), POLYGON ((0 0, 90 0, 90 60, 0 60, 0 0)))",
			[]string{"MULTIPOINT((2048 2048),(3072 2048))", "LINESTRING(2048 2048,3072 2048)", "POLYGON((2048 2048,2048 1189,3072 1189,3072 2048,2048 2048))"},
		},
	}
	s := newShaper(world, 1)
	s.snap = 1
	for _, tt := range tests {
		if !s.shape(fromWKT(t, tt.in)) {
			t.Errorf("%s: refused", tt.name)
			continue
		}
		if diff := cmp.Diff(tt.want, drawn(t, s)); diff != "" {
			t.Errorf("%s: -want +got:\n%s", tt.name, diff)
		}
	}
	for name, want := range map[string]bool{
		"POLYGON ((0 0, 0.01 0, 0.01 0.01, 0 0))":                       true,  // in the tile, too small
		"LINESTRING (0 0, 0.01 0)":                                      true,  // the same
		"POLYGON ((183 0, 183.01 0, 183.01 0.01, 183 0))":               false, // in the margin
		"POLYGON ((0 0, 90 0, 90 60, 0 60, 0 0))":                       false,
		"MULTIPOLYGON (((185 0, 190 0, 190 5, 185 0)))":                 false,
		"POLYGON ((-170 0, 170 0, 170 0.001, -170 0.001, -170 0))":      true, // a sliver
		"POLYGON ((300 0, 310 0, 310 10, 300 10, 300 0))":               false,
		"LINESTRING (-400 0, -400 80, 400 80.001, 400 0, 300 0, 300 1)": false,
	} {
		s.shape(fromWKT(t, name))
		if s.collapsed != want {
			t.Errorf("%s: collapsed is %v", name, s.collapsed)
		}
	}
}

func TestShapeRefuses(t *testing.T) {
	t.Parallel()
	s := newShaper(Address{Set: "WebMercatorQuad"}, 1)
	bad := func(v float64, at int) []byte {
		b := fromWKT(t, "LINESTRING (0 0, 1 1)")
		binary.LittleEndian.PutUint64(b[13+8*at:], math.Float64bits(v))
		return b
	}
	deep := []byte{1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	for range 100 {
		deep = append([]byte{1, 7, 0, 0, 0, 1, 0, 0, 0}, deep...)
	}
	line := fromWKT(t, "LINESTRING (0 0, 1 1)")
	for name, b := range map[string][]byte{
		"nothing": nil, "NaN longitude": bad(math.NaN(), 0), "NaN latitude": bad(math.NaN(), 3), "infinite": bad(math.Inf(-1), 2), "deep": deep,
		"curve": {1, 8, 0, 0, 0, 0, 0, 0, 0}, "byte order": {9, 1, 0, 0, 0}, "count": {1, 3, 0, 0, 0, 255, 255, 255, 255},
		"too long": append(line[:len(line):len(line)], 0), "too short": line[:len(line)-1],
	} {
		if s.shape(b) {
			t.Errorf("%s: taken", name)
		}
	}
	// The shaper is as good as new afterwards.
	if !s.shape(line) || s.empty() && !s.collapsed {
		t.Error("a good line after bad ones is refused")
	}
}

// star is a simple polygon around a centre, in the tile's own coordinates.
func star(t *rapid.T) orb.Ring {
	n := rapid.IntRange(3, 40).Draw(t, "n")
	x, y := rapid.Float64Range(-500, 4600).Draw(t, "x"), rapid.Float64Range(-500, 4600).Draw(t, "y")
	r := rapid.SliceOfN(rapid.Float64Range(20, 3000), n, n).Draw(t, "radius")
	ring := make(orb.Ring, 0, n+1)
	for i := range n {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / float64(n))
		ring = append(ring, orb.Point{x + r[i]*cos, y + r[i]*sin})
	}
	ring = append(ring, ring[0])
	if rapid.Bool().Draw(t, "turned") {
		ring.Reverse()
	}
	return ring
}

// Whatever goes in, what comes out lies in the margin, is wound as MVT wants, and
// has the area of the clipped polygon within the width of its outline.
func TestShapePolygonProperties(t *testing.T) {
	t.Parallel()
	a := at(111.68, 29.03, 14)
	bounds := a.Bounds(0)
	scale := (bounds[2] - bounds[0]) / Extent
	rapid.Check(t, func(t *rapid.T) {
		ring := star(t)
		var flat []float64
		for _, p := range ring {
			lon, lat := unprojectMercator(bounds[0]+p[0]*scale, bounds[3]-p[1]*scale)
			flat = append(flat, lon, lat)
		}
		in, err := postgis.AppendEWKB(nil, geom.NewPolygonFlat(geom.XY, flat, []int{len(flat)}), 0)
		if err != nil {
			t.Fatal(err)
		}
		s := newShaper(a, 1)
		if !s.shape(in) {
			t.Fatal("refused")
		}
		want := clip.Ring(s.box, ring.Clone())
		area, length := 0.0, 0.0
		if want != nil {
			area, length = math.Abs(planar.Area(want)), planar.Length(want)
		}
		got := 0.0
		for _, g := range ringsOf(t, s.out[polygons].b) {
			a := 0.0
			for i := range g {
				j := (i + 1) % len(g)
				a += (g[i][0]*g[j][1] - g[j][0]*g[i][1]) / 2
				if !s.box.Contains(g[i]) {
					t.Fatalf("%v lies beyond the margin", g[i])
				}
				if g[i] == g[j] {
					t.Fatalf("%v is there twice", g[i])
				}
			}
			if a <= 0 {
				t.Fatalf("an exterior ring has the area %v", a)
			}
			got += a
		}
		if math.Abs(got-area) > 2*length+4 {
			t.Fatalf("area %v, want %v", got, area)
		}
	})
}

// ringsOf reads commands with a reader of its own.
func ringsOf(t interface{ Fatalf(string, ...any) }, b []byte) [][]orb.Point {
	var out [][]orb.Point
	var x, y int64
	next := func() uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			t.Fatalf("commands end early")
		}
		b = b[n:]
		return v
	}
	for len(b) > 0 {
		command := next()
		if command&7 == 7 {
			if command>>3 != 1 || len(out) == 0 || len(out[len(out)-1]) < 3 {
				t.Fatalf("a ring of %v is closed %d times", out, command>>3)
			}
			continue
		}
		if command&7 == 1 {
			if command>>3 != 1 {
				t.Fatalf("a ring starts with %d points", command>>3)
			}
			out = append(out, nil)
		} else if command&7 != 2 {
			t.Fatalf("command %d", command)
		}
		for range command >> 3 {
			dx, dy := next(), next()
			x, y = x+(int64(dx>>1)^-int64(dx&1)), y+(int64(dy>>1)^-int64(dy&1))
			out[len(out)-1] = append(out[len(out)-1], orb.Point{float64(x), float64(y)})
		}
	}
	return out
}

// Not by rapid, which finds vertices that are equally far from a line within
// rounding: either may be kept.
func TestSimplifyAgainstOrb(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1))
	for range 3000 {
		n := r.IntN(60)
		line := make(orb.LineString, n)
		for i := range line {
			line[i] = orb.Point{20 * r.Float64(), 20 * r.Float64()}
		}
		tolerance := []float64{0, 0.5, 1, 4}[r.IntN(4)]
		want := line.Clone()
		if tolerance > 0 {
			want = orbsimplify.DouglasPeucker(tolerance).LineString(line.Clone())
		}
		var s simplifier
		got := orb.LineString(s.line(line.Clone(), tolerance, 0))
		if n > 0 && !got.Equal(want) || len(got) != len(want) {
			t.Fatalf("%v becomes %v, orb says %v", line, got, want)
		}
	}
}

func FuzzShape(f *testing.F) {
	for _, s := range []string{"POINT Z (1 2 3)", "MULTIPOLYGON (((0 0, 0 80, 80 80, 0 0), (5 10, 5 20, 9 20, 5 10)))", "GEOMETRYCOLLECTION (POINT EMPTY, MULTIPOINT (1 2, 3 4), LINESTRING (0 0, 1000 1000))"} {
		f.Add(fromWKT(f, s), uint8(3))
	}
	f.Fuzz(func(t *testing.T, b []byte, z uint8) {
		level := int(z) % (MaxZoom + 1)
		s := newShaper(Address{Set: "WebMercatorQuad", Z: level, Row: 1 << level / 2, Col: 1 << level / 2}, 1)
		if !s.shape(b) || s.empty() {
			return
		}
		l := newLayer("l", nil)
		l.add(1, &s.out)
		if _, err := mvt.Unmarshal(l.encode(nil, 1)); err != nil {
			t.Fatalf("orb cannot read it: %v", err)
		}
	})
}
