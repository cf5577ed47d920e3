package tiles

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/maptile"
	"github.com/paulmach/orb/project"
	"pgregory.net/rapid"

	"changde/problem"
)

func anyAddress(t *rapid.T) Address {
	z := rapid.IntRange(0, MaxZoom).Draw(t, "z")
	return Address{
		Set: "WebMercatorQuad", Z: z,
		Row: rapid.IntRange(0, 1<<z-1).Draw(t, "row"), Col: rapid.IntRange(0, 1<<z-1).Draw(t, "col"),
	}
}

func TestAddressAgainstOrb(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := anyAddress(t)
		want := maptile.New(uint32(a.Col), uint32(a.Row), maptile.Zoom(a.Z)).Bound()
		got := a.Degrees(0)
		for i, v := range []float64{want.Min[0], want.Min[1], want.Max[0], want.Max[1]} {
			if math.Abs(got[i]-v) > 1e-9 {
				t.Fatalf("%v: %v, orb says %v", a, got, want)
			}
		}
		// The children share the parent's edges and its area.
		if a.Z < MaxZoom {
			b, c := a.Bounds(0), Address{a.Set, a.Z + 1, 2*a.Row + 1, 2 * a.Col}.Bounds(0)
			if math.Abs(c[0]-b[0]) > 1e-6 || math.Abs(c[1]-b[1]) > 1e-6 || math.Abs(c[2]-(b[0]+b[2])/2) > 1e-6 {
				t.Fatalf("%v: %v, its south-western child %v", a, b, c)
			}
		}
		// The margin is the same share of every tile.
		b, m := a.Bounds(0), a.Bounds(Buffer)
		if got, want := (m[2]-m[0])/(b[2]-b[0]), 1+2.0*Buffer/Extent; math.Abs(got-want) > 1e-6 {
			t.Fatalf("%v: with its margin %v as wide, want %v", a, got, want)
		}
	})
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
		{Address{"CGCS2000Quad", 0, 0, 0}, false},
	}
	for _, tt := range tests {
		if err := tt.a.Validate(); tt.ok != (err == nil) || err != nil && !problem.Is(err, problem.NotFound) {
			t.Errorf("%v: %v", tt.a, err)
		}
	}
}

// The numbers are those of OGC 17-083r4, annex D.1.
func TestMatrixSetJSON(t *testing.T) {
	t.Parallel()
	s, _ := Set("WebMercatorQuad")
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		ID, URI, CRS string
		OrderedAxes  []string
		TileMatrices []struct {
			ID                                               string
			ScaleDenominator, CellSize                       float64
			PointOfOrigin                                    [2]float64
			TileWidth, TileHeight, MatrixWidth, MatrixHeight int
		}
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	near := func(a, b float64) bool { return math.Abs(a-b) <= 1e-11*math.Abs(b) }
	if got.ID != "WebMercatorQuad" || got.URI == "" || got.CRS != "http://www.opengis.net/def/crs/EPSG/0/3857" || len(got.OrderedAxes) != 2 || len(got.TileMatrices) != 25 {
		t.Fatalf("%s", b)
	}
	for z, want := range map[int]struct{ scale, cell float64 }{
		0: {559082264.028717, 156543.033928041}, 1: {279541132.014358, 78271.5169640204}, 10: {545978.773465544, 152.874056570353},
		18: {2132.72958384978, 0.597164283477939}, 24: {33.3238997476529, 0.00933069192934280},
	} {
		m := got.TileMatrices[z]
		if !near(m.ScaleDenominator, want.scale) || !near(m.CellSize, want.cell) || !near(m.PointOfOrigin[0], -20037508.3427892) ||
			!near(m.PointOfOrigin[1], 20037508.3427892) || m.TileWidth != 256 || m.MatrixWidth != 1<<z || m.MatrixHeight != 1<<z {
			t.Errorf("level %d: %+v", z, m)
		}
	}
}
