package tiles

import (
	"math"
	"testing"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/maptile"
	"github.com/paulmach/orb/project"
	"pgregory.net/rapid"

	"changde/problem"
)

func anyAddress(t *rapid.T) Address {
	return anyAddressOf(t, rapid.SampledFrom(Sets()).Draw(t, "set"))
}

func anyAddressOf(t *rapid.T, s MatrixSet) Address {
	z := rapid.IntRange(0, MaxZoom).Draw(t, "z")
	return Address{
		Set: s.ID, Z: z,
		Row: rapid.IntRange(0, s.Rows<<z-1).Draw(t, "row"), Col: rapid.IntRange(0, s.Columns<<z-1).Draw(t, "col"),
	}
}

func TestAddressAgainstOrb(t *testing.T) {
	t.Parallel()
	mercator, _ := Set("WebMercatorQuad")
	rapid.Check(t, func(t *rapid.T) {
		a := anyAddressOf(t, mercator)
		want := maptile.New(uint32(a.Col), uint32(a.Row), maptile.Zoom(a.Z)).Bound()
		got := a.Degrees(0)
		for i, v := range []float64{want.Min[0], want.Min[1], want.Max[0], want.Max[1]} {
			if math.Abs(got[i]-v) > 1e-9 {
				t.Fatalf("%v: %v, orb says %v", a, got, want)
			}
		}
	})
}

// The tiles of a level lie edge to edge, and four tile one of the level above.
func TestAddressBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := anyAddress(t)
		s, _ := Set(a.Set)
		if err := a.Validate(); err != nil {
			t.Fatal(err)
		}
		b := a.Bounds(0)
		width := b[2] - b[0]
		same := func(got, want float64) bool { return math.Abs(got-want) <= 1e-6*width }
		if !same(b[3]-b[1], width) {
			t.Fatalf("%v is no square: %v", a, b)
		}
		// What lies in a tile leads back to it.
		x := b[0] + width*rapid.Float64Range(0.01, 0.99).Draw(t, "x")
		y := b[1] + width*rapid.Float64Range(0.01, 0.99).Draw(t, "y")
		if got := addressOf(s, x, y, a.Z); got != a {
			t.Fatalf("%v %v of %v lies in %v", x, y, a, got)
		}
		for _, c := range []struct{ side, opposite, row, col int }{{2, 0, 0, 1}, {1, 3, 1, 0}} {
			beside := Address{a.Set, a.Z, a.Row + c.row, a.Col + c.col}
			if beside.Validate() == nil && !same(beside.Bounds(0)[c.opposite], b[c.side]) {
				t.Fatalf("%v does not touch %v", a, beside)
			}
		}
		for n := range 4 {
			child := Address{a.Set, a.Z + 1, 2*a.Row + n/2, 2*a.Col + n%2}
			if a.Z < MaxZoom && child.Validate() != nil {
				t.Fatalf("%v has no child %v", a, child)
			}
			c := child.Bounds(0)
			left, top := b[0]+width/2*float64(n%2), b[3]-width/2*float64(n/2)
			if !same(c[0], left) || !same(c[3], top) || !same(c[2], left+width/2) || !same(c[1], top-width/2) {
				t.Fatalf("%v is at %v, its child %v at %v", a, b, child, c)
			}
		}
		// The margin is the same share of every tile.
		m := a.Bounds(Buffer)
		if got, want := (m[2]-m[0])/width, 1+2.0*Buffer/Extent; math.Abs(got-want) > 1e-6 {
			t.Fatalf("%v: with its margin %v as wide, want %v", a, got, want)
		}
		// A level and the zoom it stands for have tiles of one width in degrees.
		if got, want := s.degrees(a.Z), 360/math.Ldexp(1, a.zoom()); got != want || s.Level(a.zoom()) != a.Z {
			t.Fatalf("%v is %v degrees wide, want %v", a, got, want)
		}
	})
}

// addressOf is the tile of the level that holds a place in units of the CRS.
func addressOf(s MatrixSet, x, y float64, z int) Address {
	width := s.width(z)
	return Address{s.ID, z, int(math.Floor((s.Top - y) / width)), int(math.Floor((x - s.Left) / width))}
}

func TestProjection(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		lon, lat := rapid.Float64Range(-180, 180).Draw(t, "lon"), rapid.Float64Range(-85.05, 85.05).Draw(t, "lat")
		x, y := projectMercator(lon, lat)
		want := project.WGS84.ToMercator(orb.Point{lon, lat})
		if math.Hypot(x-want[0], y-want[1]) > 1e-6 {
			t.Fatalf("%v %v is at %v %v, orb says %v", lon, lat, x, y, want)
		}
		lon2, lat2 := unprojectMercator(x, y)
		if math.Abs(lon-lon2) > 1e-9 || math.Abs(lat-lat2) > 1e-9 {
			t.Fatalf("%v %v comes back as %v %v", lon, lat, lon2, lat2)
		}
	})
	// Over degrees a position is its own.
	for _, p := range [][4]float64{{111.7, 29, 111.7, 29}, {-180, 90, -180, 90}, {180, -90, 180, -90}, {0, 90.5, 0, 90}, {0, -math.MaxFloat64, 0, -90}} {
		if x, y := projectDegrees(p[0], p[1]); x != p[2] || y != p[3] {
			t.Errorf("%v %v is at %v %v", p[0], p[1], x, y)
		}
	}
	for _, lat := range []float64{90, 100, 85.0511287798066, math.MaxFloat64} {
		if _, y := projectMercator(0, lat); math.Abs(y-mercator) > 1e-3 {
			t.Errorf("latitude %v is at %v", lat, y)
		}
		if _, y := projectMercator(0, -lat); math.Abs(y+mercator) > 1e-3 {
			t.Errorf("latitude %v is at %v", -lat, y)
		}
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	const set = "WebMercatorQuad"
	tests := []struct {
		a  Address
		ok bool
	}{
		{Address{set, 0, 0, 0}, true},
		{Address{set, 22, 1<<22 - 1, 1<<22 - 1}, true},
		{Address{set, 22, 1 << 22, 0}, false},
		{Address{set, 23, 0, 0}, false},
		{Address{set, -1, 0, 0}, false},
		{Address{set, 1, 2, 0}, false},
		{Address{set, 1, 0, 2}, false},
		{Address{set, 1, -1, 0}, false},
		{Address{set, 1, 0, -1}, false},
		{Address{set, math.MaxInt, 0, 0}, false},
		{Address{"", 0, 0, 0}, false},
		{Address{"CGCS2000Quad", 0, 0, 1}, true},
		{Address{"CGCS2000Quad", 0, 1, 0}, false},
		{Address{"CGCS2000Quad", 0, 0, 2}, false},
		{Address{"CGCS2000Quad", 22, 1<<22 - 1, 1<<23 - 1}, true},
		{Address{"CGCS2000Quad", 22, 1 << 22, 0}, false},
		{Address{"CGCS2000Quad", 23, 0, 0}, false},
		{Address{"WorldCRS84Quad", 1, 1, 3}, true},
		{Address{"WorldCRS84Quad", 1, 1, 4}, false},
		{Address{"WorldCRS84Quad", 1, 2, 3}, false},
		{Address{"c", 1, 0, 0}, false}, // a name of Locate
	}
	for _, tt := range tests {
		if err := tt.a.Validate(); tt.ok != (err == nil) || err != nil && !problem.Is(err, problem.NotFound) {
			t.Errorf("%v: %v", tt.a, err)
		}
	}
}
