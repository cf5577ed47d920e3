package report

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"changde/ingest/finding"
)

// TestGDALReadsThePoints: GeoPackage and GeoJSON hold the same points with the same
// attributes, in CGCS2000.
func TestGDALReadsThePoints(t *testing.T) {
	t.Parallel()
	ogrinfo, ogr2ogr := tool(t, "ogrinfo"), tool(t, "ogr2ogr")
	path := filepath.Join(t.TempDir(), "points.gpkg")
	d := parcels()
	if err := GeoPackage(t.Context(), path, d); err != nil {
		t.Fatal(err)
	}
	info, err := exec.Command(ogrinfo, "-so", path, PointLayer).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, info)
	}
	for _, want := range []string{
		"Geometry: Point", "Feature Count: 12", `ID["EPSG",4490]`, "Extent: (111.642000, 28.988100) - (111.944400, 29.081100)",
		"row: Integer64", "rule: String", "title: String", "severity: String", "text_zh: String", "before: String",
	} {
		if !strings.Contains(string(info), want) {
			t.Errorf("ogrinfo does not say %q:\n%s", want, info)
		}
	}
	if strings.Contains(string(info), "Warning") {
		t.Errorf("ogrinfo warns:\n%s", info)
	}
	fromPackage, err := exec.Command(ogr2ogr, "-f", "GeoJSON", "-lco", "COORDINATE_PRECISION=12", "/vsistdout/", path, PointLayer).Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr(err))
	}
	var written bytes.Buffer
	if err := GeoJSON(&written, d); err != nil {
		t.Fatal(err)
	}
	type collection struct {
		Features []struct {
			Properties map[string]any
			Geometry   struct {
				Type        string
				Coordinates [2]float64
			}
		}
	}
	var want, got collection
	for _, x := range []struct {
		b    []byte
		into *collection
	}{{written.Bytes(), &want}, {fromPackage, &got}} {
		if err := json.Unmarshal(x.b, x.into); err != nil {
			t.Fatal(err)
		}
	}
	if len(want.Features) != 12 {
		t.Fatalf("%d points in the GeoJSON", len(want.Features))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-GeoJSON +GeoPackage):\n%s", diff)
	}
}

func TestPointsWithHostileTexts(t *testing.T) {
	t.Parallel()
	ogrinfo := tool(t, "ogrinfo")
	for _, s := range hostile {
		path := filepath.Join(t.TempDir(), "points.gpkg")
		if err := GeoPackage(t.Context(), path, told(s, false)); err != nil {
			t.Fatalf("%.40q: %v", s, err)
		}
		out, err := exec.Command(ogrinfo, "-so", path, PointLayer).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "Feature Count: 12") {
			t.Errorf("%.40q: %v\n%s", s, err, out)
		}
		var b bytes.Buffer
		if err := GeoJSON(&b, told(s, false)); err != nil || !json.Valid(b.Bytes()) {
			t.Errorf("%.40q: %v, valid %t", s, err, json.Valid(b.Bytes()))
		}
	}
}

func TestNoPoints(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "points.gpkg")
	if err := GeoPackage(t.Context(), path, Document{Delivery: 7}); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tool(t, "ogrinfo"), "-so", path, PointLayer).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Feature Count: 0") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestGeoPackageEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	d := many(10_000)
	all, n := d.Findings, 0
	d.Findings = func(yield func(finding.Finding) error) error {
		return all(func(f finding.Finding) error {
			if n++; n == 100 {
				cancel()
			}
			return yield(f)
		})
	}
	path := filepath.Join(t.TempDir(), "points.gpkg")
	if err := GeoPackage(ctx, path, d); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if n > 200 {
		t.Errorf("%d findings were read after the end", n)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file is left: %v", err)
	}
}
