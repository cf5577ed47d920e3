package ingest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/text/encoding/simplifiedchinese"

	"changde/ingest"
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
