package csv

import (
	"strings"
	"testing"

	"changde/problem"
)

// Where two columns could be the same part of the geometry a person says which.
func TestAmbiguousGeometry(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		data, told string
		want       string // of the dump; an error begins with ERROR
	}{
		"numbered":      {"经度,纬度,经度2\n111.5,29.1,112.5\n", "", "ERROR csv-geometry-ambiguous the columns 经度 and 经度2"},
		"two languages": {"lon,lat,经度,纬度\n111.5,29.1,111.6,29.1\n", "", "ERROR csv-geometry-ambiguous the columns 经度 and lon"},
		"repeated":      {"x,y,x\n567214,3212790,567300\n", "", "ERROR csv-geometry-ambiguous the columns x and x_2"},
		"north":         {"lon,lat,lat_2\n111.5,29.1,29.2\n", "", "ERROR csv-geometry-ambiguous the columns lat and lat_2"},
		"wkt":           {"geom,wkt\nPOINT(111.5 29.1),POINT(111.6 29.1)\n", "", "ERROR csv-geometry-ambiguous the columns geom and wkt"},
		"told":          {"经度,纬度,经度2\n111.5,29.1,112.5\n", "经度2，纬度", "POINT (112.5 29.1)"},
		"told wkt":      {"geom,wkt\nPOINT(111.5 29.1),POINT(111.6 29.1)\n", "wkt", "POINT (111.6 29.1)"},
		"told anything": {"a,b,x,y\n112.5,29.2,111.5,29.1\n", "a,b", "POINT (112.5 29.2)"},
		"told height":   {"a,b,高程\n112.5,29.2,35\n", "a,b", "POINT Z (112.5 29.2 35)"},
		"unknown":       {"lon,lat\n111.5,29.1\n", "lon,c", `ERROR csv-geometry-columns the column "c" named as geometry is not in the table`},
		"twice":         {"lon,lat\n111.5,29.1\n", "lon,lon", "ERROR csv-geometry-columns"},
		"three":         {"lon,lat,h\n111.5,29.1,3\n", "lon,lat,h", "ERROR csv-geometry-columns name one column of WKT"},
		"no wkt":        {"lon,lat\n111.5,29.1\n", "lon", "ERROR csv-geometry-columns the column lon is no WKT"},
		// What is no rival: the same values, no coordinates, nothing.
		"same values": {"lon,lat,经度\n111.5,29.1,111.5\n", "", "POINT (111.5 29.1)"},
		"words":       {"lon,lat,east\n111.5,29.1,是\n", "", "POINT (111.5 29.1)"},
		"blank":       {"lon,lat,lon2\n111.5,29.1,\n", "", "POINT (111.5 29.1)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := Options{}
			if tt.told != "" {
				o.Geometry = strings.FieldsFunc(tt.told, func(c rune) bool { return c == ',' || c == '，' })
			}
			if got := dump(t, write(t, tt.data), o); !strings.Contains(got, tt.want) {
				t.Errorf("%s\nwant %s", got, tt.want)
			}
		})
	}
	if _, err := Inspect(t.Context(), write(t, "lon,lat,lon2\n1,2,3\n"), Options{}); !problem.Is(err, problem.Invalid) {
		t.Errorf("an ambiguous table is %v", err)
	}
}
