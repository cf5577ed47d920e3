package crs

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"changde/problem"
)

// sample gives the sample of the box in the source system of a converter.
func sample(forward interface{ Forward([]float64, int) }, swap bool) [][2]float64 {
	var out [][2]float64
	for _, q := range lonLat {
		c := []float64{q[0], q[1]}
		forward.Forward(c, 2)
		if swap {
			SwapXY(c, 2)
		}
		out = append(out, [2]float64{c[0], c[1]})
	}
	return out
}

func TestIdentifyNamed(t *testing.T) {
	t.Parallel()
	esri := func(code string) string {
		for _, l := range wktLines(t) {
			if l[0] == code && l[1] == "wkt_esri" {
				return l[2]
			}
		}
		t.Fatalf("no text for %s", code)
		return ""
	}
	beijing := parsed(t, helmertDoc, "position-vector")
	xian := parsed(t, xianDoc)
	second := parsed(t, "%s", strings.NewReplacer("example-xian", "second-xian", "2382", "2383").Replace(xianDoc))
	town := parsed(t, planeDoc, "north-east", "3187654.25", "512345.5", "-1.25", "degree")
	far := parsed(t, "%s", strings.Replace(fmt.Sprintf(planeDoc, "east-north", "450000", "-20000", "0", "degree"), "example-city", "example-far", 1))
	grid := gridTransformation(t)
	from := func(tr *Transformation, epsg int) *Transformation {
		bound, ok := tr.From(epsg)
		if !ok {
			t.Fatalf("%v does not serve %d", tr, epsg)
		}
		return bound
	}
	xianGeog := `GEOGCS["GCS_Xian_1980",DATUM["D_Xian_1980",SPHEROID["Xian_1980",6378140.0,298.257]],PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]]`
	own := GaussKruger{Ellipsoid: IAG1975, CentralMeridian: 111.5, FalseEasting: 60000}
	ownProjection, err := own.Projection()
	if err != nil {
		t.Fatal(err)
	}
	weak := strings.ReplaceAll(strings.ReplaceAll(cgcsGeog, "298.257222101", "298.257"), "6378137", "6378140")
	all := []*Transformation{beijing, xian, town, nil}
	type want struct {
		id, named, by string
		swapped       bool
		code, says    string
	}
	for name, c := range map[string]struct {
		e Evidence
		w want
	}{
		"GCJ-02":                          {Evidence{Named: "GCJ-02", Points: sample(GCJ02, false)}, want{named: "GCJ-02", by: "user", says: "as the user declared"}},
		"GCJ-02, other spelling":          {Evidence{Named: " gcj02 ", Points: sample(GCJ02, false)}, want{named: "GCJ-02", by: "user"}},
		"GCJ-02, latitude first":          {Evidence{Named: "GCJ-02", Points: sample(GCJ02, true)}, want{named: "GCJ-02", by: "user", swapped: true, says: "exchanged"}},
		"BD-09 with label WGS 84":         {Evidence{Named: "BD-09", WKT: esri("4326"), Points: sample(BD09, false)}, want{named: "BD-09", by: "user"}},
		"GCJ-02 with another label":       {Evidence{Named: "GCJ-02", WKT: esri("2382"), Points: sample(GCJ02, false)}, want{named: "GCJ-02", by: "user", says: "disagrees"}},
		"GCJ-02, no rows":                 {Evidence{Named: "GCJ-02"}, want{named: "GCJ-02", by: "user", says: "not checked"}},
		"GCJ-02 but metres":               {Evidence{Named: "GCJ-02", Points: as(4546, false)}, want{code: "crs-contradiction", says: "GCJ-02"}},
		"GCJ-02 and a code":               {Evidence{Named: "GCJ-02", User: 4546}, want{code: "crs-named-conflict"}},
		"GCJ-02 and 4326":                 {Evidence{Named: "GCJ-02", User: 4326, Points: sample(GCJ02, false)}, want{named: "GCJ-02", by: "user"}},
		"GCJ-02 is never guessed":         {Evidence{Points: sample(GCJ02, false)}, want{by: "coordinates"}},
		"label GCJ-02":                    {Evidence{SRSName: "GCJ02", Points: sample(GCJ02, false)}, want{code: "crs-encrypted", says: "name GCJ-02"}},
		"label BD-09 in the .prj":         {Evidence{WKT: strings.Replace(cgcsGeog, `"g"`, `"GCS_BD_09"`, 1), Points: sample(BD09, false)}, want{code: "crs-encrypted", says: "BD-09"}},
		"label GCJ-02, the user knows":    {Evidence{User: 4490, SRSName: "火星坐标系", Points: as(4490, false)}, want{by: "user", says: "GCJ-02"}},
		"a code by name":                  {Evidence{Named: "EPSG:4546", Points: as(4546, false)}, want{by: "user"}},
		"a bare code by name":             {Evidence{Named: "4546", User: 4546, Points: as(4546, false)}, want{by: "user"}},
		"two codes":                       {Evidence{Named: "4546", User: 4525}, want{code: "crs-named-conflict"}},
		"name of nothing":                 {Evidence{Named: "changde-1999", Transformations: all}, want{code: "crs-transformation-unknown", says: "example-beijing, example-xian, example-city"}},
		"name of nothing, none there":     {Evidence{Named: "北京"}, want{code: "crs-transformation-unknown", says: "GCJ-02, BD-09"}},
		"city by name":                    {Evidence{Named: "example-city", Transformations: all, Points: sample(town, false)}, want{id: "example-city", by: "user", says: "the user's choice"}},
		"city, X north":                   {Evidence{Named: "example-far", Transformations: []*Transformation{far}, Points: sample(far, true)}, want{id: "example-far", by: "user", swapped: true}},
		"city, either order fits":         {Evidence{Named: "example-city", Transformations: all, Points: sample(town, false)}, want{id: "example-city", by: "user", says: "in either order"}},
		"city, wrong data":                {Evidence{Named: "example-city", Transformations: all, Points: as(4546, false)}, want{code: "crs-contradiction", says: "example-city"}},
		"city and its .prj":               {Evidence{Named: "example-city", Transformations: all, WKT: gk(cgcsGeog, "111.5", "500000", "1"), Points: sample(town, false)}, want{id: "example-city", by: "user", says: "disagrees"}},
		"city and a code":                 {Evidence{Named: "example-city", User: 2361, Transformations: all}, want{code: "crs-named-conflict"}},
		"city is never guessed":           {Evidence{Transformations: all, Points: sample(town, false)}, want{code: "crs-unknown"}},
		"named, own source":               {Evidence{Named: "example-beijing", Transformations: all, Points: sample(beijing, false)}, want{id: "example-beijing", by: "user", says: "zone 37"}},
		"named, source of the .prj":       {Evidence{Named: "example-beijing", Transformations: all, WKT: esri("2434"), Points: sample(from(beijing, 2434), false)}, want{id: "example-beijing", by: "user"}},
		"named, source of the table":      {Evidence{Named: "example-beijing", Transformations: all, EPSG: 2434, Points: sample(from(beijing, 2434), true)}, want{id: "example-beijing", by: "user", swapped: true, says: "CM 111E"}},
		"named, source of the user":       {Evidence{Named: "example-beijing", User: 4214, Transformations: all, Points: sample(from(beijing, 4214), false)}, want{id: "example-beijing", by: "user"}},
		"named, degrees without label":    {Evidence{Named: "example-beijing", Transformations: all, Points: sample(from(beijing, 4214), false)}, want{id: "example-beijing", by: "user"}},
		"named, no rows":                  {Evidence{Named: "example-beijing", Transformations: all}, want{id: "example-beijing", by: "user", says: "not checked"}},
		"named, code of another datum":    {Evidence{Named: "example-beijing", User: 2382, Transformations: all}, want{code: "crs-named-conflict"}},
		"named, label of another datum":   {Evidence{Named: "example-beijing", Transformations: all, WKT: esri("2382"), Points: sample(beijing, false)}, want{id: "example-beijing", by: "user", says: "disagrees"}},
		"named, zone of another":          {Evidence{Named: "example-beijing", User: 2434, Transformations: all, Points: sample(beijing, false)}, want{code: "crs-contradiction"}},
		"named, plane of no known kind":   {Evidence{Named: "example-grid", Transformations: []*Transformation{grid}, Points: as(4546, false)}, want{code: "crs-unknown", says: "EPSG code of their CRS"}},
		"named grid":                      {Evidence{Named: "example-grid", Transformations: []*Transformation{grid}, Points: sample(grid, false)}, want{id: "example-grid", by: "user", says: "no check points"}},
		"named grid, plane by code":       {Evidence{Named: "example-grid", User: 2413, Transformations: []*Transformation{grid}, Points: sample(from(grid, 2413), false)}, want{id: "example-grid", by: "user"}},
		"default, .prj":                   {Evidence{Transformations: all, WKT: esri("2382"), Points: sample(xian, false)}, want{id: "example-xian", by: "prj", says: "made it the default for Xi'an 1980"}},
		"default, zone of the .prj":       {Evidence{Transformations: all, WKT: esri("2361"), Points: sample(from(xian, 2361), false)}, want{id: "example-xian", by: "prj"}},
		"default, code of the user":       {Evidence{Transformations: all, User: 2361, Points: sample(from(xian, 2361), false)}, want{id: "example-xian", by: "user"}},
		"default, table":                  {Evidence{Transformations: all, EPSG: 4610, Points: sample(from(xian, 4610), true)}, want{id: "example-xian", by: "srs", swapped: true}},
		"default, own meridian":           {Evidence{Transformations: all, WKT: gk(xianGeog, "111.5", "60000", "1"), Points: sample(xian.bind(ownProjection), false)}, want{id: "example-xian", by: "prj"}},
		"default, Chinese name":           {Evidence{Transformations: all, SRSName: "西安80坐标系", Points: sample(from(xian, 4610), false)}, want{id: "example-xian", by: "srs"}},
		"default, contradicts":            {Evidence{Transformations: all, WKT: esri("2382"), Points: sample(from(xian, 2361), false)}, want{code: "crs-contradiction"}},
		"not the default":                 {Evidence{Transformations: []*Transformation{beijing}, WKT: esri("2413"), Points: sample(beijing, false)}, want{code: "crs-legacy-datum", says: "example-beijing"}},
		"default of another datum":        {Evidence{Transformations: []*Transformation{xian}, WKT: esri("2413"), Points: sample(beijing, false)}, want{code: "crs-legacy-datum", says: "changde transformation add FILE"}},
		"default does not serve New":      {Evidence{Transformations: []*Transformation{beijing}, User: 4773}, want{code: "crs-legacy-datum", says: "New Beijing"}},
		"two defaults, one is exact":      {Evidence{Transformations: []*Transformation{second, xian}, WKT: esri("2382"), Points: sample(xian, false)}, want{id: "example-xian", by: "prj"}},
		"two defaults":                    {Evidence{Transformations: []*Transformation{second, xian}, WKT: esri("2361"), Points: sample(from(xian, 2361), false)}, want{code: "crs-legacy-datum", says: "second-xian, example-xian"}},
		"default, ellipsoid alone":        {Evidence{Transformations: all, WKT: weak, Points: sample(from(xian, 4610), false)}, want{code: "crs-legacy-datum", says: "states the datum"}},
		"ellipsoid alone, but named":      {Evidence{Named: "example-xian", Transformations: all, WKT: weak, Points: sample(from(xian, 4610), false)}, want{id: "example-xian", by: "user"}},
		"the user overrules the default":  {Evidence{User: 4546, Transformations: all, WKT: esri("2382"), Points: as(4546, false)}, want{by: "user"}},
		"no transformation where no need": {Evidence{Transformations: all, WKT: esri("4546"), Points: as(4546, false)}, want{by: "prj"}},
		"no transformation for degrees":   {Evidence{Transformations: all, Points: as(4490, false)}, want{by: "coordinates"}},
		"unreadable .prj and a default":   {Evidence{Transformations: all, WKT: "<html>", Points: as(4546, false)}, want{by: "coordinates"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.e.Box = box
			got, err := Identify(c.e)
			if c.w.code != "" {
				var p *problem.Error
				if !errors.As(err, &p) || p.Code != c.w.code || p.ZH == "" || !strings.Contains(p.EN, c.w.says) {
					t.Fatalf("got %+v, %v", got, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.Transformation != c.w.id || got.Named != c.w.named || got.By != c.w.by || got.Swapped != c.w.swapped || got.Name == "" {
				t.Errorf("got %+v", got)
			}
			if !strings.Contains(got.EN, c.w.says) || !strings.Contains(got.ZH, c.w.id) || !strings.Contains(got.ZH, c.w.named) {
				t.Errorf("says %s %s", got.ZH, got.EN)
			}
			if got.Converter == nil {
				t.Fatal("no converter")
			}
			if c.w.id+c.w.named == "" {
				return
			}
			if got.EPSG != 4490 {
				t.Errorf("the converted coordinates are of EPSG:%d", got.EPSG)
			}
			converted := flat(c.e.Points)
			if got.Swapped {
				SwapXY(converted, 2)
			}
			got.Converter.Inverse(converted, 2)
			for i := range converted {
				if d := math.Abs(converted[i] - lonLat[i/2][i%2]); d > 1e-9 {
					t.Errorf("number %d is off by %g degrees", i, d)
				}
			}
		})
	}
}

// Every choice has the converter of its code, and none where only PostGIS can.
func TestChoiceConverter(t *testing.T) {
	t.Parallel()
	for _, epsg := range []int{4490, 4326, 3857, 4497, 4508, 4525, 4546} {
		got, err := Identify(Evidence{User: epsg, Points: as(epsg, false), Box: box})
		want, _ := ProjectionOf(epsg)
		p, ok := got.Converter.(Projection)
		if err != nil || !ok || !p.same(want) {
			t.Errorf("EPSG:%d: %+v, %v", epsg, got, err)
		}
	}
	if got, err := Identify(Evidence{User: 32649}); err != nil || got.Converter != nil {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestListed(t *testing.T) {
	t.Parallel()
	var many []*Transformation
	for i := range 30 {
		many = append(many, parsed(t, "%s", strings.Replace(fmt.Sprintf(helmertDoc, "position-vector"), "example-beijing", fmt.Sprintf("t%d", i), 1)))
	}
	_, err := Identify(Evidence{Named: "none", Transformations: many})
	if err == nil || !strings.Contains(err.Error(), "t19, …") || strings.Contains(err.Error(), "t20") {
		t.Errorf("%v", err)
	}
}
