package tiles

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestPlaneIsTheProjection(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := anyAddress(t)
		p := newPlane(a)
		box := a.Degrees(Buffer)
		for range 20 {
			lon := rapid.Float64Range(-180, 180).Draw(t, "lon")
			lat := rapid.OneOf(rapid.Float64Range(box[1], box[3]), rapid.Float64Range(-90, 90)).Draw(t, "lat")
			x, y := p.at(lon, lat)
			wantX, wantY := p.exact(lon, lat)
			if math.Abs(y-wantY) > 1e-4 || math.Abs(x-wantX) > 1e-4+1e-12*math.Abs(wantX) {
				t.Fatalf("%v: %v %v is at %v %v, want %v %v", a, lon, lat, x, y, wantX, wantY)
			}
		}
	})
	// At the zooms that matter the polynomial serves.
	for _, s := range Sets() {
		x, y := s.Project(111.7, 29)
		for z := s.Level(7); z <= MaxZoom; z++ {
			if p := newPlane(addressOf(s, x, y, z)); p.south > p.north {
				t.Errorf("%s level %d: the polynomial is refused", s.ID, z)
			}
		}
	}
}
