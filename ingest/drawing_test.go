package ingest_test

import (
	"context"
	"fmt"
	"os/exec"
	"testing"

	"golang.org/x/text/encoding/simplifiedchinese"

	"changde/ingest"
	"changde/ingest/gdal"
)

// drawing is a DXF in code page 936 with three lines on the layer 规划绿线: one closed
// by its flag, one by its last position, one open by half a metre; and a text.
func drawing(t *testing.T) string {
	const x, y = 548696.0, 3209402.0
	line := func(flag int, at float64, corners ...[2]float64) string {
		out := fmt.Sprintf("0\nLWPOLYLINE\n100\nAcDbEntity\n8\n规划绿线\n100\nAcDbPolyline\n90\n%d\n70\n%d\n", len(corners), flag)
		for _, c := range corners {
			out += fmt.Sprintf("10\n%f\n20\n%f\n", x+at+c[0], y+c[1])
		}
		return out
	}
	text := "0\nSECTION\n2\nHEADER\n9\n$ACADVER\n1\nAC1015\n9\n$DWGCODEPAGE\n3\nANSI_936\n0\nENDSEC\n0\nSECTION\n2\nENTITIES\n" +
		line(1, 0, [2]float64{0, 0}, [2]float64{100, 0}, [2]float64{100, 100}, [2]float64{0, 100}) +
		line(0, 200, [2]float64{0, 0}, [2]float64{100, 0}, [2]float64{100, 100}, [2]float64{0, 0}) +
		line(0, 400, [2]float64{0, 0}, [2]float64{100, 0}, [2]float64{100, 100}, [2]float64{0, 0.5}) +
		fmt.Sprintf("0\nTEXT\n8\n注记\n10\n%f\n20\n%f\n40\n1\n1\n柳叶湖公园\n0\nENDSEC\n0\nEOF\n", x, y)
	out, err := simplifiedchinese.GBK.NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	return file(t, "绿线.dxf", out)
}

// The closed lines of a drawing are areas where the dataset is of areas, by its
// standard or by its current release; elsewhere they are lines.
func TestClosedLinesOfADrawing(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("ogr2ogr"); err != nil {
		t.Skip("GDAL is not installed")
	}
	b := setup(t)
	b.Ingester = ingest.New(b.pool, ingest.Config{City: changde, TempDir: t.TempDir(), GDAL: func(ctx context.Context) (*gdal.Tool, error) { return gdal.Find(ctx, gdal.Options{}) }})
	path := drawing(t)
	list, err := b.Assign(t.Context(), ingest.Request{Files: []string{path}})
	if err != nil || len(list) != 2 || list[0].Layers[0] != "注记_points" || list[1].Layers[0] != "规划绿线_lines" {
		t.Fatalf("layers %+v, %v", list, err)
	}
	b.deliver(ingest.Request{Files: []string{file(t, "parcels.geojson", parcels)}, Dataset: "areas"})
	for dataset, want := range map[string]struct {
		profile, areas string
		published      int64
	}{
		"areas": {"", "10000 MULTIPOLYGON\n5000 MULTIPOLYGON", 2},
		"green": {"pl-green-line", "10000 MULTIPOLYGON\n5000 MULTIPOLYGON", 2},
		"lines": {"", "0 MULTILINESTRING\n0 MULTILINESTRING\n0 MULTILINESTRING", 3},
	} {
		report, err := b.try(ingest.Request{Files: []string{path}, Dataset: dataset, Layers: []string{"规划绿线_lines"}, EPSG: 4546, Confirm: true, Settings: ingest.Settings{Profile: want.profile}})
		if err != nil || report.Read != 3 || report.Published != want.published {
			t.Errorf("%s: %+v, %v", dataset, report, err)
			continue
		}
		got := b.rows(`SELECT round(ST_Area(ST_Transform(geom, 4546)))::text, GeometryType(geom) FROM data.` + dataset + ` ORDER BY 1`)
		if got != want.areas {
			t.Errorf("%s: %q, want %q", dataset, got, want.areas)
		}
		if want.published == 2 && (report.Codes["line-closed"] != 2 || report.Codes["line-open"] != 1) {
			t.Errorf("%s: found %v", dataset, report.Codes)
		}
	}
}
