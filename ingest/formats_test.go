package ingest_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/text/encoding/simplifiedchinese"

	"changde/ingest"
	"changde/ingest/gdal"
	"changde/problem"
)

// The same three wells arrive from each text format as the same rows.
func TestTextFormats(t *testing.T) {
	t.Parallel()
	b := setup(t)
	gbk := func(text string) string {
		out, err := simplifiedchinese.GBK.NewEncoder().String(text)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	put := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, path := range map[string]string{
		"lon/lat, GBK":      put("井.csv", gbk("编号,名称,经度,纬度\r\n0101,一号井,111.5,29.0\r\n0102,二号井,111.6,29.1\r\n0103,三号井,111.7,29.2\r\n")),
		"WKT, tabs, BOM":    put("wells.tsv", "\ufeff编号\t名称\twkt\n0101\t一号井\tPOINT(111.5 29.0)\n0102\t二号井\tPOINT(111.6 29.1)\n0103\t三号井\tPOINT(111.7 29.2)\n"),
		"CGCS2000 / CM 111": put("wells.txt", "编号;名称;东坐标;北坐标\n0101;一号井;548696.22;3209402.19\n0102;二号井;558386.16;3220541.92\n0103;三号井;568056.69;3231690.67\n"),
	} {
		report := b.deliver(ingest.Request{Files: []string{path}, Dataset: "wells"})
		if report.Read != 3 || report.Published != 3 {
			t.Errorf("%s: %+v", name, report)
		}
		got := b.rows(`SELECT "编号", "名称", round(ST_X(geom)::numeric, 2)::text, round(ST_Y(geom)::numeric, 2)::text FROM data.wells ORDER BY 1`)
		if want := "0101 一号井 111.50 29.00\n0102 二号井 111.60 29.10\n0103 三号井 111.70 29.20"; got != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
	}
}

// A VCT file holds several layers; each goes where its name says.
func TestVCTLayers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	files, err := filepath.Glob("vct/testdata/*.vct")
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	loaded := 0
	for _, path := range files {
		list, err := b.Assign(t.Context(), ingest.Request{Files: []string{path}})
		if err != nil {
			continue // hostile ones have tests of their own
		}
		for _, a := range list {
			dataset := "v" + strings.ToLower(strings.Map(func(r rune) rune {
				if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
					return r
				}
				return -1
			}, a.Layers[0]))
			report, err := b.try(ingest.Request{Files: []string{path}, Layers: a.Layers, Dataset: dataset, Confirm: true})
			if err != nil {
				t.Logf("%s %v: %v", path, a.Layers, err)
				continue
			}
			if report.Read == 0 || report.Published+report.Refused != report.Read {
				t.Errorf("%s %v: %+v", path, a.Layers, report)
			}
			loaded++
		}
	}
	if loaded == 0 {
		t.Error("no layer of any VCT file was loaded")
	}
}

// The counties arrive alike from the formats that GDAL converts.
func TestForeignFormats(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ogr2ogr, err := exec.LookPath("ogr2ogr")
	if err != nil {
		t.Skip("GDAL is not installed")
	}
	dir := t.TempDir()
	write := func(name, driver, epsg string, args ...string) string {
		path := filepath.Join(dir, name)
		args = append([]string{"-f", driver, "-t_srs", "EPSG:" + epsg, "-nlt", "PROMOTE_TO_MULTI", "-oo", "ENCODING=GBK", path, countiesZone}, args...)
		if out, err := exec.Command(ogr2ogr, args...).CombinedOutput(); err != nil {
			t.Fatalf("ogr2ogr %s: %v\n%s", name, err, out)
		}
		return path
	}
	kml := write("县.kml", "KML", "4326")
	if _, err := b.Plan(t.Context(), ingest.Request{Files: []string{kml}, Dataset: "x"}); !problem.Is(err, problem.Unsupported) || !strings.Contains(err.Error(), "gdal-bin") {
		t.Errorf("without GDAL: %v", err)
	}
	found := sync.OnceValues(func() (*gdal.Tool, error) { return gdal.Find(context.Background(), gdal.Options{}) })
	b.Ingester = ingest.New(b.pool, ingest.Config{City: changde, TempDir: t.TempDir(), GDAL: func(context.Context) (*gdal.Tool, error) { return found() }})
	for path, epsg := range map[string]int{
		kml:                                  0,
		write("县.fgb", "FlatGeobuf", "4490"): 0,
		write("xzq.gdb", "OpenFileGDB", "4490", "-nln", "行政区"):                    0,
		write("县.gml", "GML", "4326"):                                             0,
		write("xzq.dxf", "DXF", "4546", "-nlt", "MULTILINESTRING", "-select", ""): 4546,
	} {
		dataset := "d" + strings.TrimPrefix(filepath.Ext(path), ".")
		report, err := b.try(ingest.Request{Files: []string{path}, Dataset: dataset, EPSG: epsg})
		if err != nil || report.Published < 9 {
			t.Errorf("%s: %+v, %v", path, report, err)
			continue
		}
		if epsg != 0 {
			continue // outlines alone
		}
		if got := b.rows(`SELECT round((sum(ST_Area(ST_Transform(geom, 4546))) / 1e6)::numeric, 1)::text FROM data.` + dataset); got != "18174.2" {
			t.Errorf("%s: %s km², want 18174.2", path, got)
		}
		if names := b.rows(`SELECT count(*) FROM data.` + dataset + ` d WHERE to_jsonb(d)::text LIKE '%武陵区%'`); names != "1" {
			t.Errorf("%s: names are lost", path)
		}
	}
}
