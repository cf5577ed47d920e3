package api_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// ogrinfo runs GDAL as a client of the server.
func ogrinfo(t testing.TB, args ...string) string {
	t.Helper()
	program, err := exec.LookPath("ogrinfo")
	if err != nil {
		if testing.Short() {
			t.Skip("needs GDAL's ogrinfo")
		}
		t.Fatal("GDAL's ogrinfo is not installed: apt-get install gdal-bin")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1", "GDAL_HTTP_TIMEOUT=20", "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("ogrinfo %v: %v\n%s", args, err, out)
	}
	if strings.Contains(string(out), "ERROR") || strings.Contains(string(out), "Warning") {
		t.Errorf("ogrinfo %v complains:\n%s", args, out)
	}
	return string(out)
}

func layerNames(out string) []string {
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^\d+: (\S+)`).FindAllStringSubmatch(out, -1) {
		names = append(names, m[1])
	}
	slices.Sort(names)
	return names
}

func TestGDALReadsTheAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	source := "OAPIF:" + w.server.URL
	if diff := cmp.Diff(visible(anonymous), layerNames(ogrinfo(t, "-ro", source))); diff != "" {
		t.Errorf("layers that GDAL finds without a key:\n%s", diff)
	}
	key := "GDAL_HTTP_HEADERS=Authorization: Bearer " + w.keys[water]
	if diff := cmp.Diff(visible(water), layerNames(ogrinfo(t, "--config", "GDAL_HTTP_HEADERS", strings.TrimPrefix(key, "GDAL_HTTP_HEADERS="), "-ro", source))); diff != "" {
		t.Errorf("layers that GDAL finds with the key of %s:\n%s", water, diff)
	}
	out := ogrinfo(t, "-ro", "-geom=SUMMARY", source, "counties")
	if !strings.Contains(out, fmt.Sprintf("Feature Count: %d", countyRows)) {
		t.Errorf("GDAL counts otherwise:\n%s", out)
	}
	// The names are those GDAL reads in the delivery itself.
	name := regexp.MustCompile(`(?m)^  name \(String\) = (.+)$`)
	read := func(out string) []string {
		var names []string
		for _, m := range name.FindAllStringSubmatch(out, -1) {
			names = append(names, m[1])
		}
		slices.Sort(names)
		return names
	}
	want := read(ogrinfo(t, "-ro", "-geom=NO", "testdata/xzq_gbk_4525.shp", "-al", "--config", "SHAPE_ENCODING", "GBK"))
	if diff := cmp.Diff(want, read(out)); diff != "" || len(want) != countyRows || !slices.Contains(want, "武陵区") {
		t.Errorf("names of the counties (want %v):\n%s", want, diff)
	}
	// All pages of a layer, and a box.
	out = ogrinfo(t, "-ro", "-geom=NO", "--config", "GDAL_HTTP_HEADERS", strings.TrimPrefix(key, "GDAL_HTTP_HEADERS="), "-oo", "PAGE_SIZE=50", source, "wells")
	if got := strings.Count(out, "OGRFeature("); got != wellCount {
		t.Errorf("GDAL reads %d wells on pages of 50, want %d", got, wellCount)
	}
	out = ogrinfo(t, "-ro", "-geom=NO", "-spat", "111.49", "28.89", "111.51", "28.91", "--config", "GDAL_HTTP_HEADERS", strings.TrimPrefix(key, "GDAL_HTTP_HEADERS="), source, "wells")
	if got := strings.Count(out, "OGRFeature("); got != 1 || !strings.Contains(out, "水井1号") {
		t.Errorf("GDAL reads %d wells in the box, want the first:\n%s", got, out)
	}
}
