package vct

import (
	"context"
	"strings"
	"testing"
)

func TestCRS(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		head    string
		easting float64
		epsg    int
		has     string // in the WKT
	}{
		"zone 37 by parameters":     {"Spheroid:CGCS2000,6378137.0,298.257222101\nParameters:111,1,37500000,0,3,37", 37567890, 4525, `"False_Easting",37500000`},
		"no zone":                   {"Spheroid:CGCS2000\nParameters:111,0,,,1.0,500000,0,3,37", 567890, 4546, `"Central_Meridian",111`},
		"nine parameters":           {"Spheroid:CGCS2000\nParameters:111,,,,1.0,37500000,0.0,3,37", 0, 4525, ""},
		"zone 19, six degrees":      {"Spheroid:CGCS2000\nParameters:111,0,,,1,19500000,0,6,19", 19567890, 4497, ""},
		"six degrees without zone":  {"Spheroid:CGCS2000\nParameters:111,0,,,1,500000,0,6,", 567890, 4508, ""},
		"meridian DDDMMSS":          {"Spheroid:CGCS2000\nParameters:1110000.0", 567890, 4546, ""},
		"own meridian":              {"Spheroid:CGCS2000\nParameters:1114000", 567890, 0, `"Central_Meridian",111.66666666666667`},
		"by the coordinates":        {"Spheroid:CGCS2000", 37567890, 4525, ""},
		"degrees":                   {"CoordinateSystemType:D\nSpheroid:CGCS2000,6378137.0,298.257222101", 111.7, 4490, `GEOGCS["GCS_China_Geodetic_Coordinate_System_2000",DATUM["D_China_2000",SPHEROID["CGCS2000",6378137,298.257222101]]`},
		"degrees by unit":           {"XYUnit:D\nSpheroid:WGS84", 111.7, 4326, "D_WGS_1984"},
		"Xian 1980 by axis":         {"Spheroid:某椭球\nParameters:6378140,6356755\nMeridinan:111", 500000, 0, "D_Xian_1980"},
		"Beijing 1954":              {"Spheroid:Krassovsky,6378245,298.3\nParameters:111", 500000, 0, "D_Beijing_1954"},
		"a newer name goes first":   {"Spheroid:IAG 2000\nMeridian:111", 500000, 4546, ""},
		"no spheroid":               {"Parameters:111", 500000, 0, ""},
		"no meridian":               {"Spheroid:CGCS2000", 567890, 0, ""},
		"full-width colon and list": {"Spheroid：CGCS2000，6378137，298.257222101\nParameters：111，1，37500000，0，3，37", 37567890, 4525, ""},
	} {
		l := newLines(context.Background(), strings.NewReader(c.head+"\nHeadEnd\n"), "test", 64)
		h, err := readHead(l, Encoding{})
		if err != nil {
			t.Fatal(err)
		}
		got := h.crs(c.easting)
		if got.EPSG != c.epsg || !strings.Contains(got.WKT, c.has) || got.ZH == "" || got.EN == "" {
			t.Errorf("%s: %+v", name, got)
		}
		if (got.WKT == "") != (name == "no spheroid" || name == "no meridian") {
			t.Errorf("%s: WKT %q", name, got.WKT)
		}
	}
}

func TestLayout(t *testing.T) {
	t.Parallel()
	for head, modern := range map[string]bool{
		"Version:3.0": true, "Version: GB/T 17798-2007": true, "Version:1.0": false, "Version:GB/T 17798-1999": false,
		"Version:2.0\nTopo:1": false, "Version:2.0\nXYUnit:M\nCoordinateSystemType:P": true, "Version:2.0": false,
	} {
		h, err := readHead(newLines(context.Background(), strings.NewReader(head+"\nHeadEnd\n"), "test", 64), Encoding{})
		if err != nil || h.modern != modern {
			t.Errorf("%q: modern %v, %v", head, h.modern, err)
		}
	}
}

// TestAxes checks that declared axes are followed.
func TestAxes(t *testing.T) {
	t.Parallel()
	got := dump(t, write(t, file("XAxisDirection:N\nYAxisDirection:E\n", "LineBegin\n1\nL1\nx\n1\n1\n11\n2\n3200000,500000\n3200001,500002\n0\nLineEnd\n")))
	if !strings.Contains(got, "LINESTRING (500000 3200000, 500002 3200001)") || !strings.Contains(got, "note axis-order") {
		t.Error(got)
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	rows := "TableStructureBegin\nT,7\nI,Int4\nF,Float,8,2\nN,Numeric,20,4\nB,Boolean\nD,Date\nS,Datetime\nX,Blob\n0\nTableStructureEnd\nAttributeBegin\nT\n" +
		"1,7,1.5,12345678901234567890.1234,T,20260102,2026-01-02 08:30:00,ab\n" +
		"2,,,,,,,\n" +
		"3,7.00,-1e3,1,否,2026年1月2日,20260102083000,\n" +
		"4,7.5,x,1e3,maybe,20261301,2026-01-02 25:00,\n" +
		"TableEnd\nAttributeEnd\n"
	got := dump(t, write(t, file("", rows)))
	for _, want := range []string{
		`1 nil I=7 F=1.5 N="12345678901234567890.1234" B=true D=2026-01-02T00:00:00Z S=2026-01-02T00:30:00Z X="ab"`,
		"2 nil\n", `3 nil I=7 F=-1000 N="1" B=false D=2026-01-02T00:00:00Z S=2026-01-02T00:30:00Z` + "\n",
		"4 nil note value-unreadable(I) note value-unreadable(F) note value-unreadable(N) note value-unreadable(B) note value-unreadable(D) note value-unreadable(S)\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}
