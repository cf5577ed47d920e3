package gdal

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// polyline is an entity of a drawing, with the flag that closes it.
func polyline(layer string, closed bool, coords ...float64) string {
	flag := map[bool]int{true: 1}[closed]
	out := fmt.Sprintf("  0\r\nLWPOLYLINE\r\n100\r\nAcDbEntity\r\n  8\r\n%s\r\n100\r\nAcDbPolyline\r\n 90\r\n%d\r\n 70\r\n%d\r\n", layer, len(coords)/2, flag)
	for i := 0; i < len(coords); i += 2 {
		out += fmt.Sprintf(" 10\r\n%f\r\n 20\r\n%f\r\n", coords[i], coords[i+1])
	}
	return out
}

// entities is a drawing of them in code page 936.
func entities(parts ...string) string {
	return "  0\r\nSECTION\r\n  2\r\nHEADER\r\n  9\r\n$ACADVER\r\n  1\r\nAC1015\r\n  9\r\n$DWGCODEPAGE\r\n  3\r\nANSI_936\r\n  0\r\nENDSEC\r\n  0\r\nSECTION\r\n  2\r\nENTITIES\r\n" +
		strings.Join(parts, "") + "  0\r\nENDSEC\r\n  0\r\nEOF\r\n"
}

func inserted(layer string, x float64) string {
	return fmt.Sprintf("  0\r\nPOINT\r\n  8\r\n%s\r\n 10\r\n%f\r\n 20\r\n3200000\r\n", layer, x)
}

// A drawing is divided by CAD layer and kind of geometry, whatever the layers are called.
func TestDrawingIsDivided(t *testing.T) {
	t.Parallel()
	real(t)
	square := []float64{500000, 3200000, 500100, 3200000, 500100, 3200100}
	solid := "  0\r\nSOLID\r\n  8\r\n绿线\r\n 10\r\n0\r\n 20\r\n0\r\n 11\r\n1\r\n 21\r\n0\r\n 12\r\n0\r\n 22\r\n1\r\n 13\r\n1\r\n 23\r\n1\r\n"
	text := entities(polyline("规划红线", true, square...), polyline("绿线", false, square...), inserted("绿线", 5), polyline("规划红线", false, square...), solid, inserted("it's", 7), inserted("IT'S", 8))
	r := mustConvert(t, write(t, t.TempDir(), "图.dxf", gbk(t, text)), "")
	got := []string{}
	for _, l := range r.Layers {
		_, features := rows(t, r, l.Name)
		if int64(len(features)) != l.Features {
			t.Errorf("%s has %d rows, want %d", l.Name, len(features), l.Features)
		}
		got = append(got, fmt.Sprint(l.Name, " ", l.Source, " ", l.Geometry, " ", l.Features))
	}
	want := []string{
		"IT'S_points IT'S_points POINT 1", "it's_points_2 it's_points POINT 1", "绿线_points 绿线_points POINT 1", "绿线_lines 绿线_lines MULTILINESTRING 1",
		"绿线_polygons 绿线_polygons MULTIPOLYGON 1", "规划红线_lines 规划红线_lines MULTILINESTRING 2",
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A drawing of very many CAD layers is divided by kind of geometry alone, and nothing is lost.
func TestDrawingOfManyLayers(t *testing.T) {
	t.Parallel()
	real(t)
	var parts []string
	for i := range maxParts + 50 {
		parts = append(parts, inserted(fmt.Sprintf("L%d", i), float64(i)))
	}
	parts = append(parts, polyline("L1", true, 0, 0, 1, 0, 1, 1))
	r := mustConvert(t, write(t, t.TempDir(), "many.dxf", entities(parts...)), "")
	if len(r.Layers) != 2 || r.Layers[0].Name != "points" || r.Layers[0].Features != maxParts+50 || r.Layers[1].Name != "lines" || r.Layers[1].Features != 1 {
		t.Errorf("layers %+v", r.Layers)
	}
	if !slices.Contains(noteCodes(r), "drawing-layers") {
		t.Errorf("notes %v", noteCodes(r))
	}
}
