package crs

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"changde/problem"
)

func wktLines(t testing.TB) [][3]string {
	t.Helper()
	b, err := os.ReadFile("testdata/wkt.txt")
	if err != nil {
		t.Fatal(err)
	}
	var out [][3]string
	for _, l := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		if f := strings.SplitN(l, "\t", 3); len(f) == 3 {
			out = append(out, [3]string(f))
		}
	}
	return out
}

func stripCodes(wkt string) string {
	for {
		i := strings.LastIndex(wkt, ",AUTHORITY[")
		if j := strings.LastIndex(wkt, ",ID["); j > i {
			i = j
		}
		if i < 0 {
			return wkt
		}
		wkt = wkt[:i] + wkt[i+strings.IndexByte(wkt[i:], ']')+1:]
	}
}

// Every dialect, with and without the codes, gives the code or the legacy datum.
func TestParseDialects(t *testing.T) {
	t.Parallel()
	for _, l := range wktLines(t) {
		want, _ := strconv.Atoi(l[0])
		for _, text := range []string{l[2], stripCodes(l[2]), strings.NewReplacer("[", "(", "]", ")").Replace(l[2]), strings.ReplaceAll(l[2], ",", " ,\r\n\t")} {
			code, name, _, err := Parse(text)
			if err != nil {
				t.Errorf("%s %s: %v", l[0], l[1], err)
				continue
			}
			if name == "" {
				t.Errorf("%s %s has no name", l[0], l[1])
			}
			_, err = Identify(Evidence{WKT: text})
			switch f := familyOfEPSG(want); {
			case f.legacy():
				var p *problem.Error
				if !errors.As(err, &p) || p.Code != "crs-legacy-datum" || p.Kind != problem.Unsupported {
					t.Errorf("%s %s is not refused as legacy: %v\n%s", l[0], l[1], err, text)
				}
			case f == otherDatum: // 4269: known by its code alone
				if code != want && code != 0 {
					t.Errorf("%s %s parsed as %d", l[0], l[1], code)
				}
			case code != want:
				t.Errorf("%s %s parsed as %d\n%s", l[0], l[1], code, text)
			case err != nil:
				t.Errorf("%s %s: %v", l[0], l[1], err)
			}
		}
	}
}

func TestParseDeliveredFiles(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]int{"xzq_gbk_4525.prj": 4525, "xzq_gbk_nocpg_4546.prj": 4546} {
		b, err := os.ReadFile("testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		code, name, datum, err := Parse(string(b))
		if err != nil || code != want || datum != "D_China_2000" || !strings.HasPrefix(name, "CGCS2000_3_Degree_GK") {
			t.Errorf("%s: %d %q %q %v", file, code, name, datum, err)
		}
	}
}

const cgcsGeog = `GEOGCS["g",DATUM["D_China_2000",SPHEROID["CGCS2000",6378137,298.257222101]],PRIMEM["Greenwich",0],UNIT["Degree",0.0174532925199433]]`

func gk(geog, cm, fe, unit string) string {
	return `PROJCS["city",` + geog + `,PROJECTION["Gauss_Kruger"],PARAMETER["False_Easting",` + fe + `],PARAMETER["Central_Meridian",` + cm + `],UNIT["Meter",` + unit + `]]`
}

func TestParseStructure(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		wkt  string
		want int
	}{
		"own name":                       {gk(cgcsGeog, "111", "500000", "1"), 4546},
		"zone":                           {gk(cgcsGeog, "111.0", "37500000.0", "1.0"), 4525},
		"6 degree zone":                  {gk(cgcsGeog, "111", "19500000", "1"), 4497},
		"6 degree by name":               {strings.Replace(gk(cgcsGeog, "111", "500000", "1"), "city", "CGCS2000_GK_CM_111E", 1), 4508},
		"own meridian":                   {gk(cgcsGeog, "111.5", "500000", "1"), 0},
		"meridian of no zone":            {gk(cgcsGeog, "112", "500000", "1"), 0},
		"kilometres":                     {gk(cgcsGeog, "111", "500", "1000"), 0},
		"own false easting":              {gk(cgcsGeog, "111", "50000", "1"), 0},
		"WGS 84 datum":                   {gk(strings.ReplaceAll(strings.ReplaceAll(cgcsGeog, "D_China_2000", "D_WGS_1984"), "222101", "223563"), "111", "500000", "1"), 4546},
		"datum unknown, ellipsoid tells": {gk(strings.ReplaceAll(cgcsGeog, "D_China_2000", "unknown"), "111", "500000", "1"), 4546},
		"another datum":                  {gk(strings.ReplaceAll(cgcsGeog, "D_China_2000", "D_North_American_1983"), "111", "500000", "1"), 0},
		"another datum with code":        {strings.TrimSuffix(gk(strings.ReplaceAll(cgcsGeog, "D_China_2000", "D_North_American_1983"), "111", "500000", "1"), "]") + `,AUTHORITY["EPSG","26918"]]`, 26918},
		"code contradicts":               {strings.TrimSuffix(gk(cgcsGeog, "111", "500000", "1"), "]") + `,AUTHORITY["EPSG","4547"]]`, 4546},
		"compound":                       {`COMPD_CS["both",` + gk(cgcsGeog, "111", "500000", "1") + `,VERT_CS["h",VERT_DATUM["d",2005],UNIT["m",1]]]`, 4546},
		"bound":                          {`BOUNDCRS[SOURCECRS[` + cgcsGeog + `],TARGETCRS[` + cgcsGeog + `]]`, 4490},
		"web mercator, ESRI":             {`PROJCS["WGS_1984_Web_Mercator_Auxiliary_Sphere",GEOGCS["GCS_WGS_1984",DATUM["D_WGS_1984",SPHEROID["WGS_1984",6378137.0,298.257223563]],PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]],PROJECTION["Mercator_Auxiliary_Sphere"],PARAMETER["False_Easting",0.0],PARAMETER["False_Northing",0.0],PARAMETER["Central_Meridian",0.0],PARAMETER["Standard_Parallel_1",0.0],PARAMETER["Auxiliary_Sphere_Type",0.0],UNIT["Meter",1.0]]`, 3857},
		"byte order mark":                {"\ufeff" + cgcsGeog + "\n\x00", 4490},
		"gradians":                       {strings.ReplaceAll(cgcsGeog, "0.0174532925199433", "0.015707963267949"), 0},
		"Paris":                          {strings.ReplaceAll(cgcsGeog, `"Greenwich",0`, `"Paris",2.33722917`), 0},
	} {
		got, _, _, err := Parse(c.wkt)
		if err != nil || got != c.want {
			t.Errorf("%s: %d, %v; want %d", name, got, err, c.want)
		}
	}
}

func TestParseRubbish(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", " \n", "<!DOCTYPE html><html></html>", "hello", "GEOGCS", "GEOGCS[", `GEOGCS["a`, `GEOGCS["a",]`, `GEOGCS["a")`, `FOO["a"]`, `GEOGCS["a"] x`,
		strings.Repeat("A[", 40) + "1" + strings.Repeat("]", 40), strings.Repeat("x", maxWKTBytes+1), "A[" + strings.Repeat("1,", 5000) + "1]", "+proj=tmerc +lon_0=111",
	} {
		_, _, _, err := Parse(s)
		var p *problem.Error
		if !errors.As(err, &p) || p.Code != "crs-wkt-unreadable" {
			t.Errorf("%.40q: %v", s, err)
		}
	}
}

var (
	box    = [4]float64{110.48, 28.40, 112.30, 30.13}
	lonLat = [][2]float64{{111.69, 29.03}, {111.2, 29.5}, {112.1, 28.8}, {110.6, 30.0}}
)

// as gives the sample in a CRS, swapped when asked.
func as(epsg int, swap bool) [][2]float64 {
	p, _ := ProjectionOf(epsg)
	var out [][2]float64
	for _, q := range lonLat {
		c := []float64{q[0], q[1]}
		p.Forward(c, 2)
		if swap {
			SwapXY(c, 2)
		}
		out = append(out, [2]float64{c[0], c[1]})
	}
	return out
}

func TestIdentify(t *testing.T) {
	t.Parallel()
	prj := func(code string) string {
		for _, l := range wktLines(t) {
			if l[0] == code && l[1] == "wkt_esri" {
				return l[2]
			}
		}
		t.Fatalf("no text for %s", code)
		return ""
	}
	krasovsky := `GEOGCS["GCS_Krasovsky_1940",DATUM["D_Krasovsky_1940",SPHEROID["Krasovsky_1940",6378245.0,298.3]],PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]]`
	mislabelled := strings.ReplaceAll(cgcsGeog, "298.257222101", "298.257")
	mislabelled = strings.ReplaceAll(mislabelled, "6378137", "6378140")
	type want struct {
		epsg    int
		by      string
		swapped bool
		code    string // of the error
		says    string // in EN
	}
	for name, c := range map[string]struct {
		e Evidence
		w want
	}{
		"bare metres":                  {Evidence{Points: as(4546, false)}, want{epsg: 4546, by: "coordinates", says: "cannot tell the datum"}},
		"bare metres, Chinese X first": {Evidence{Points: as(4546, true)}, want{epsg: 4546, by: "coordinates", swapped: true, says: "exchanged"}},
		"bare zone":                    {Evidence{Points: as(4525, false)}, want{epsg: 4525, by: "coordinates"}},
		"bare zone swapped":            {Evidence{Points: as(4525, true)}, want{epsg: 4525, by: "coordinates", swapped: true}},
		"bare 6 degree zone":           {Evidence{Points: as(4497, false)}, want{epsg: 4497, by: "coordinates"}},
		"bare neighbour zone":          {Evidence{Points: as(4526, false)}, want{epsg: 4526, by: "coordinates"}},
		"bare degrees":                 {Evidence{Points: as(4490, false)}, want{epsg: 4490, by: "coordinates"}},
		"bare degrees, latitude first": {Evidence{Points: as(4490, true)}, want{epsg: 4490, by: "coordinates", swapped: true}},
		"bare web mercator":            {Evidence{Points: as(3857, false)}, want{epsg: 3857, by: "coordinates", says: "centimetres"}},
		"bare, neighbour meridian":     {Evidence{Points: as(4547, false)}, want{code: "crs-unknown"}},
		"nothing":                      {Evidence{}, want{code: "crs-unknown"}},
		"prj":                          {Evidence{WKT: prj("4525"), Points: as(4525, false)}, want{epsg: 4525, by: "prj", says: "lies where it should"}},
		"prj, swapped":                 {Evidence{WKT: prj("4546"), Points: as(4546, true)}, want{epsg: 4546, by: "prj", swapped: true}},
		"prj, no rows":                 {Evidence{WKT: prj("4546")}, want{epsg: 4546, by: "prj", says: "no coordinates"}},
		"prj contradicts":              {Evidence{WKT: prj("4546"), Points: as(4525, false)}, want{code: "crs-contradiction", says: "EPSG:4525"}},
		"prj contradicts, swapped":     {Evidence{WKT: prj("4490"), Points: as(4546, true)}, want{code: "crs-contradiction", says: "EPSG:4546 (CGCS2000 / 3-degree Gauss-Kruger CM 111E) with northing first"}},
		"prj contradicts, nowhere":     {Evidence{WKT: prj("4546"), Points: [][2]float64{{5, 5}}}, want{code: "crs-contradiction", says: "no other candidate"}},
		"prj is a web page":            {Evidence{WKT: "<html>404</html>", Points: as(4546, false)}, want{epsg: 4546, by: "coordinates", says: "cannot be read"}},
		"prj Xi'an":                    {Evidence{WKT: prj("2382"), Points: as(4546, false)}, want{code: "crs-legacy-datum", says: "Xi'an 1980"}},
		"prj Beijing":                  {Evidence{WKT: prj("2413"), Points: as(4525, false)}, want{code: "crs-legacy-datum", says: "Beijing 1954"}},
		"prj Krasovsky":                {Evidence{WKT: krasovsky, Points: as(4490, false)}, want{code: "crs-legacy-datum"}},
		"ellipsoid betrays":            {Evidence{WKT: mislabelled, Points: as(4490, false)}, want{code: "crs-legacy-datum"}},
		"user overrules the prj":       {Evidence{User: 4546, WKT: prj("2382"), Points: as(4546, false)}, want{epsg: 4546, by: "user", says: "disagrees"}},
		"user names legacy":            {Evidence{User: 4610, Points: as(4490, false)}, want{code: "crs-legacy-datum"}},
		"user contradicts":             {Evidence{User: 4525, WKT: prj("4546"), Points: as(4546, false)}, want{code: "crs-contradiction", says: "EPSG:4546"}},
		"user nonsense":                {Evidence{User: -4}, want{code: "crs-unknown"}},
		"user passes through":          {Evidence{User: 32649, Points: [][2]float64{{500000, 3200000}}}, want{epsg: 32649, by: "user", says: "not checked"}},
		"srs table":                    {Evidence{EPSG: 4490, Points: as(4490, false)}, want{epsg: 4490, by: "srs"}},
		"srs table legacy":             {Evidence{EPSG: 2361, Points: as(4525, false)}, want{code: "crs-legacy-datum"}},
		"srs and prj differ":           {Evidence{WKT: prj("4525"), EPSG: 4546, Points: as(4546, false)}, want{epsg: 4546, by: "srs", says: "contradicts the coordinates and was not used"}},
		"ESRI code of web mercator":    {Evidence{EPSG: 102100, Points: as(3857, false)}, want{epsg: 3857, by: "srs"}},
		"CRS84":                        {Evidence{SRSName: "urn:ogc:def:crs:OGC:1.3:CRS84", Points: as(4490, false)}, want{epsg: 4326, by: "srs"}},
		"CRS84 but metres":             {Evidence{SRSName: "urn:ogc:def:crs:OGC:1.3:CRS84", Points: as(4546, false)}, want{epsg: 4546, by: "coordinates", says: "GeoJSON without a CRS"}},
		"urn, latitude first":          {Evidence{SRSName: "urn:ogc:def:crs:EPSG::4490", Points: as(4490, true)}, want{epsg: 4490, by: "srs", swapped: true}},
		"http name":                    {Evidence{SRSName: "http://www.opengis.net/def/crs/EPSG/0/4546", Points: as(4546, false)}, want{epsg: 4546, by: "srs"}},
		"gml name":                     {Evidence{SRSName: "http://www.opengis.net/gml/srs/epsg.xml#4326", Points: as(4490, false)}, want{epsg: 4326, by: "srs"}},
		"Chinese name":                 {Evidence{SRSName: "国家2000大地坐标系", Points: as(4490, false)}, want{epsg: 4490, by: "srs"}},
		"Chinese legacy name":          {Evidence{SRSName: "西安80坐标系", Points: as(4490, false)}, want{code: "crs-legacy-datum"}},
		"name of nothing":              {Evidence{SRSName: "地方坐标", Points: as(4546, false)}, want{epsg: 4546, by: "coordinates", says: "not recognised"}},
		"own meridian is not guessed":  {Evidence{WKT: gk(cgcsGeog, "111.5", "500000", "1"), Points: as(4546, false)}, want{code: "crs-unknown", says: "independent"}},
		"own candidates":               {Evidence{Points: as(4547, false), Zones: []int{4547}}, want{epsg: 4547, by: "coordinates"}},
		"a few strays":                 {Evidence{Points: append(repeat(as(4546, false), 10), [2]float64{0, 0})}, want{epsg: 4546, by: "coordinates"}},
		"mostly strays":                {Evidence{Points: append(as(4546, false), repeat([][2]float64{{0, 0}}, 5)...)}, want{code: "crs-unknown"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.e.Box = box
			got, err := Identify(c.e)
			if c.w.code != "" {
				var p *problem.Error
				if !errors.As(err, &p) || p.Code != c.w.code {
					t.Fatalf("got %+v, %v", got, err)
				}
				if p.ZH == "" || !strings.Contains(p.EN, c.w.says) {
					t.Errorf("does not say %q: %v", c.w.says, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.EPSG != c.w.epsg || got.By != c.w.by || got.Swapped != c.w.swapped || got.Name == "" {
				t.Errorf("got %+v, want %+v", got, c.w)
			}
			if !strings.Contains(got.EN, c.w.says) || got.ZH == "" {
				t.Errorf("does not say %q: %s %s", c.w.says, got.ZH, got.EN)
			}
		})
	}
}

func repeat(p [][2]float64, n int) [][2]float64 {
	var out [][2]float64
	for range n {
		out = append(out, p...)
	}
	return out
}

func FuzzParse(f *testing.F) {
	for _, l := range wktLines(f) {
		f.Add(l[2])
	}
	f.Add("<html>")
	f.Add(`GEOGCS["a""b",DATUM["d"]]`)
	f.Add("BOUNDCRS[SOURCECRS[BOUNDCRS[SOURCECRS[A[1]]]]]")
	xian := parsed(f, xianDoc)
	f.Fuzz(func(t *testing.T, s string) {
		code, name, datum, err := Parse(s)
		if err != nil {
			var p *problem.Error
			if !errors.As(err, &p) || p.ZH == "" || p.EN == "" {
				t.Fatalf("not a problem: %v", err)
			}
			return
		}
		if code < 0 || !utf8.ValidString(name) || !utf8.ValidString(datum) || len(name) > 200 {
			t.Fatalf("%d %q %q", code, name, datum)
		}
		ch, err := Identify(Evidence{WKT: s, SRSName: s, Points: lonLat, Box: box})
		if err == nil && (ch.EPSG <= 0 || !utf8.ValidString(ch.ZH)) {
			t.Fatalf("%+v", ch)
		}
		for _, e := range []Evidence{{Named: s, WKT: s}, {Named: xian.ID(), WKT: s, SRSName: s}, {WKT: s, Points: lonLat}, {SRSName: s}} {
			e.Transformations, e.Box = []*Transformation{xian}, box
			ch, err := Identify(e)
			var p *problem.Error
			if err == nil && (!utf8.ValidString(ch.ZH) || ch.ZH == "") || err != nil && !errors.As(err, &p) {
				t.Fatalf("%+v, %v", ch, err)
			}
		}
	})
}
