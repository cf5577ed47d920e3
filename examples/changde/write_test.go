package changde

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"changde/problem"
)

var update = flag.Bool("update", false, "write the golden files")

// small is the sample at scale 0.001, written once for all tests of this package.
var small = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "changde-sample-")
	if err != nil {
		return "", err
	}
	smallDeliveries, err = Write(context.Background(), Options{Scale: 0.001, Seed: 1, Dir: dir})
	return dir, err
})

var smallDeliveries []Delivery

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := small(); err == nil && strings.Contains(dir, "changde-sample-") {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

func smallSample(t *testing.T) (string, []Delivery) {
	t.Helper()
	dir, err := small()
	if err != nil {
		t.Fatal(err)
	}
	return dir, smallDeliveries
}

// content hashes what a file holds: the entries of a zip, else its bytes.
func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	if filepath.Ext(path) != ".zip" {
		h.Write(b)
	} else {
		z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range z.File {
			r, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(h, f.Name)
			if _, err := io.Copy(h, r); err != nil {
				t.Fatal(err)
			}
			r.Close()
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil))[:16]
}

func TestWriteTwiceGivesTheSameBytes(t *testing.T) {
	t.Parallel()
	dir, list := smallSample(t)
	again, other := t.TempDir(), t.TempDir()
	second, err := Write(t.Context(), Options{Scale: 0.001, Seed: 1, Dir: again})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Write(t.Context(), Options{Scale: 0.001, Seed: 2, Dir: other}); err != nil {
		t.Fatal(err)
	}
	for i, d := range list {
		name := filepath.Base(d.File)
		a, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(second[i].File)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a, b) {
			t.Errorf("%s differs between two runs", name)
		}
		if c, _ := os.ReadFile(filepath.Join(other, name)); bytes.Equal(a, c) == d.Synthetic {
			t.Errorf("%s: synthetic %v, but another seed gives the same bytes: %v", name, d.Synthetic, !d.Synthetic)
		}
	}
	left, err := os.ReadDir(again)
	if err != nil || len(left) != len(list) {
		t.Errorf("%d files for %d deliveries: %v", len(left), len(list), err)
	}
}

// The golden file is what a person would check of a delivery list. The bytes of
// GeoPackages depend on the SQLite version and are left out.
func TestWriteGolden(t *testing.T) {
	t.Parallel()
	_, list := smallSample(t)
	var b strings.Builder
	for _, d := range list {
		sum := "-"
		if d.Format != formatGeoPackage {
			sum = content(t, d.File)
		}
		fmt.Fprintf(&b, "%-18s %-10s %d %6d %-8s %-8s %-10s %-10s %s %s\n", d.Dataset, d.Format, d.EPSG, d.Features, d.Owner, d.Sharing, d.BusinessKey, d.Class, sum, d.TitleZH)
	}
	const golden = "testdata/scale-0.001.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), b.String()); d != "" {
		t.Errorf("run with -update when this is meant:\n%s", d)
	}
}

func TestDeliveries(t *testing.T) {
	t.Parallel()
	_, list := smallSample(t)
	owners := map[string]bool{}
	for _, o := range Organisations() {
		owners[o.ID] = true
	}
	seen := map[string]bool{}
	for _, d := range list {
		if seen[d.Dataset] || !owners[d.Owner] || d.Features == 0 || d.TitleEN == "" || d.BusinessKey == "" || d.Attribution == "" {
			t.Errorf("%+v", d)
		}
		seen[d.Dataset] = true
		if d.Synthetic != strings.Contains(d.TitleZH, "合成") || d.Synthetic != strings.Contains(d.Attribution, "合成") {
			t.Errorf("%s: synthetic %v is not what title and credit say: %s %s", d.Dataset, d.Synthetic, d.TitleZH, d.Attribution)
		}
	}
	if len(list) != 14 {
		t.Errorf("%d deliveries", len(list))
	}
	real := map[string]int{"xzq": 9, "places": 162, "rivers": 81, "lakes": 10}
	for _, d := range list {
		if n, ok := real[d.Dataset]; ok && d.Features != n {
			t.Errorf("%s has %d features, want %d", d.Dataset, d.Features, n)
		}
	}
}

// GDAL opens every file, counts the same and sees the CRS.
func TestFilesOpenInGDAL(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("ogrinfo"); err != nil {
		if testing.Short() {
			t.Skip("ogrinfo is not installed")
		}
		t.Fatal(err)
	}
	_, list := smallSample(t)
	for _, d := range list {
		path := d.File
		if d.Format == formatShapefile {
			path = "/vsizip/" + path
		}
		out, err := exec.Command("ogrinfo", "-ro", "-so", "-al", path).CombinedOutput()
		s := string(out)
		if err != nil || strings.Contains(s, "ERROR") || !strings.Contains(s, fmt.Sprintf("Feature Count: %d\n", d.Features)) {
			t.Errorf("%s: %v\n%s", d.Dataset, err, s)
		}
		want := map[int]string{4326: "WGS 84", 4490: "China Geodetic Coordinate System 2000", 4525: "37500000", 4546: "\"False easting\",500000"}[d.EPSG]
		if !strings.Contains(s, want) {
			t.Errorf("%s: GDAL does not see EPSG:%d\n%s", d.Dataset, d.EPSG, s)
		}
	}
}

// The buildings are delivered without a word on their encoding.
func TestBuildingsHideTheirEncoding(t *testing.T) {
	t.Parallel()
	dir, _ := smallSample(t)
	z, err := zip.OpenReader(filepath.Join(dir, "buildings.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	for _, f := range z.File {
		switch filepath.Ext(f.Name) {
		case ".cpg":
			t.Error("there is a .cpg")
		case ".dbf":
			r, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			head := make([]byte, 64)
			if _, err := io.ReadFull(r, head); err != nil {
				t.Fatal(err)
			}
			r.Close()
			if head[29] != 0 || !bytes.HasPrefix(head[32:], []byte{0xb7, 0xbf, 0xce, 0xdd}) { // 房屋 in GBK
				t.Errorf("language driver %d, first field %x", head[29], head[32:43])
			}
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	t.Parallel()
	var p *problem.Error
	if _, err := Write(t.Context(), Options{Scale: 1.5, Dir: t.TempDir()}); !errors.As(err, &p) || p.Code != "sample-scale" {
		t.Errorf("scale 1.5: %v", err)
	}
	if _, err := Write(t.Context(), Options{Scale: 0.001, Dir: "/no/such/folder"}); !errors.As(err, &p) || p.Code != "sample-folder" {
		t.Errorf("no folder: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	if _, err := Write(ctx, Options{Scale: 0.01, Dir: dir}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	list, _ := os.ReadDir(dir)
	for _, e := range list {
		if e.IsDir() {
			t.Errorf("%s is left behind", e.Name())
		}
	}
}

func TestDataIsCredited(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("data/README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(readme, []byte("非标准地图，仅为示意")) {
		t.Error("the README does not say that the map is no standard map")
	}
	files, err := os.ReadDir("data")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if f.Name() != "README.md" && !bytes.Contains(readme, []byte("| `"+f.Name()+"` |")) {
			t.Errorf("%s has no row in the README", f.Name())
		}
	}
}
