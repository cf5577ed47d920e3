package crs

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"

	"changde/problem"
)

// The codes of the pairs on Xi'an 1980 and Beijing 1954, to 1e-6 m.
func TestLegacyCodesAgainstPairs(t *testing.T) {
	t.Parallel()
	n := 0
	for _, r := range readCSV(t, "gk_cm111_pairs.csv") {
		lon, lat, north := number(t, r["lon_deg"]), number(t, r["lat_deg"]), number(t, r["northing_x_m"])
		for col, east := range map[string]string{"epsg_cm111_3deg": "easting_y_m_no_zone", "epsg_cm111_6deg": "easting_y_m_no_zone", "epsg_zone37": "easting_y_m_zone37", "epsg_zone19": "easting_y_m_zone19"} {
			code := int(number(t, r[col]))
			p, is, ok := legacyProjection(code)
			if !ok {
				if familyOfEPSG(code) != cgcs2000 {
					t.Errorf("EPSG:%d has no projection", code)
				}
				continue
			}
			if is != familyOfEPSG(int(number(t, r["geographic_epsg"]))) {
				t.Errorf("EPSG:%d is on %s", code, is.en())
			}
			c := []float64{lon, lat, 9}
			p.Forward(c, 3)
			if d := math.Hypot(c[0]-number(t, r[east]), c[1]-north); d > 1e-6 || c[2] != 9 {
				t.Errorf("EPSG:%d of %s is off by %.3g m", code, r["id"], d)
			}
			p.Inverse(c, 3)
			if math.Abs(c[0]-lon) > 1e-11 || math.Abs(c[1]-lat) > 1e-11 {
				t.Errorf("EPSG:%d of %s comes back as %v", code, r["id"], c)
			}
			n++
		}
	}
	if n != 480 {
		t.Errorf("%d pairs compared", n)
	}
}

// Both ends of every run of legacy codes, and what lies between for the city.
func TestLegacyCodesAgainstPROJ(t *testing.T) {
	t.Parallel()
	base := map[family]int{xian1980: 4610, beijing1954: 4214, newBeijing: 4555}
	codes := []int{2361, 2382, 2413, 2434, 4773, 4794}
	for _, r := range legacyRuns {
		if r.step != 0 {
			codes = append(codes, r.first, r.last)
		}
	}
	for _, code := range codes {
		p, is, _ := legacyProjection(code)
		var points [][2]float64
		for i := range 20 {
			points = append(points, [2]float64{p.lon0 + float64(i%5-2)*0.8, 18 + float64(i)*1.7})
		}
		got := flat(points)
		p.Forward(got, 2)
		compare(t, legacyName(code), got, proj(t, points, "-s_srs", fmt.Sprintf("EPSG:%d", base[is]), "-t_srs", fmt.Sprintf("EPSG:%d", code)), 2e-6)
	}
}

func TestGaussKrugerAgainstPROJ(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		g    GaussKruger
		proj string
	}{
		{GaussKruger{Ellipsoid: Krassovsky1940, CentralMeridian: 111.625, FalseEasting: 50000, FalseNorthing: -3000000}, "+lon_0=111.625 +x_0=50000 +y_0=-3000000 +ellps=krass"},
		{GaussKruger{Ellipsoid: IAG1975, CentralMeridian: 111, FalseEasting: 500000, Zone: 37, Scale: 1.00002}, "+lon_0=111 +k_0=1.00002 +x_0=37500000 +ellps=IAU76 +a=6378140 +rf=298.257"},
		{GaussKruger{CentralMeridian: 112.25}, "+lon_0=112.25 +a=6378137 +rf=298.257222101"},
	} {
		p, err := c.g.Projection()
		if err != nil {
			t.Fatal(err)
		}
		got := flat(city())
		p.Forward(got, 2)
		compare(t, c.proj, got, proj(t, city(), "-ct", "+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad +step +proj=tmerc "+c.proj), 2e-6)
	}
}

func TestGaussKrugerRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g := GaussKruger{
			Ellipsoid: Ellipsoid(rapid.IntRange(0, 2).Draw(t, "ellipsoid")), CentralMeridian: rapid.Float64Range(73, 135).Draw(t, "meridian"),
			FalseEasting: rapid.Float64Range(-1e6, 1e6).Draw(t, "fe"), FalseNorthing: rapid.Float64Range(-5e6, 5e6).Draw(t, "fn"),
			Zone: rapid.IntRange(0, 45).Draw(t, "zone"), Scale: rapid.SampledFrom([]float64{0, 1, 0.9996, 1.0003}).Draw(t, "scale"),
		}
		p, err := g.Projection()
		if err != nil {
			t.Fatal(err)
		}
		lon, lat := g.CentralMeridian+rapid.Float64Range(-4, 4).Draw(t, "lon"), rapid.Float64Range(-80, 80).Draw(t, "lat")
		c := []float64{lon, lat, 1}
		p.Forward(c, 3)
		p.Inverse(c, 3)
		if math.Abs(c[0]-lon) > 1e-9/math.Cos(lat*degree) || math.Abs(c[1]-lat) > 1e-10 || c[2] != 1 {
			t.Fatalf("%+v: %v %v came back as %v", g, lon, lat, c)
		}
	})
}

func TestGaussKrugerBounds(t *testing.T) {
	t.Parallel()
	for _, g := range []GaussKruger{
		{Ellipsoid: 3},
		{Ellipsoid: -1},
		{CentralMeridian: 181},
		{CentralMeridian: math.NaN()},
		{FalseEasting: 2e8},
		{FalseNorthing: math.Inf(-1)},
		{Zone: -1},
		{Zone: 121},
		{Scale: 2},
		{Scale: -1},
		{Scale: math.NaN()},
	} {
		_, err := g.Projection()
		var p *problem.Error
		if !errors.As(err, &p) || p.ZH == "" || p.EN == "" || p.Where == "" {
			t.Errorf("%+v: %v", g, err)
		}
	}
}
