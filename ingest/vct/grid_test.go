package vct

import (
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/twpayne/go-geom"
)

func gridFile(t testing.TB, n int, modern bool, skip func(int) bool) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "grid.vct")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := grid(f, n, modern, skip); err != nil {
		t.Fatal(err)
	}
	return path
}

// area does not depend on which way the rings run.
func area(p *geom.Polygon) float64 {
	total := math.Abs(p.LinearRing(0).Area())
	for i := 1; i < p.NumLinearRings(); i++ {
		total -= math.Abs(p.LinearRing(i).Area())
	}
	return total
}

// TestGrid checks every parcel of a file with shared sides and lakes by its area, which
// the attributes hold, and that nothing grows with the number of parcels.
func TestGrid(t *testing.T) {
	for _, modern := range []bool{true, false} {
		t.Run(fmt.Sprint("modern ", modern), func(t *testing.T) {
			const n = 300 // 180,600 sides and 45,000 lakes: the index goes to disk when it is halved
			path := gridFile(t, n, modern, nil)
			info, err := Inspect(t.Context(), path, Options{TempDir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			defer info.Close()
			if len(info.Notes) != 0 || info.CRS.EPSG != 4525 || len(info.Layers) != 1 {
				t.Errorf("%+v %+v", info.Notes, info.CRS)
			}
			l := info.Layers[0]
			if l.Rows != n*n*3/2 || l.Objects != l.Rows || len(l.FirstPoints) != maxFirstPoints {
				t.Errorf("%d rows, %d objects, %d points", l.Rows, l.Objects, len(l.FirstPoints))
			}
			r, err := Open(t.Context(), path, info, "dltb")
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			total, rows := 0.0, int64(0)
			for {
				f, err := r.Next()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if len(f.Faults) != 0 {
					t.Fatalf("%+v", f.Faults)
				}
				got := area(f.Geom.(*geom.Polygon))
				if got != f.Values[2].(float64) {
					t.Fatalf("row %d: area %v, values %v", f.Row, got, f.Values)
				}
				total += got
				if rows++; rows == l.Rows/2 {
					var m runtime.MemStats
					runtime.GC()
					if runtime.ReadMemStats(&m); m.HeapAlloc > 32<<20 {
						t.Errorf("%d bytes in use", m.HeapAlloc)
					}
				}
			}
			if rows != l.Rows || total != n*n*100 {
				t.Errorf("%d rows, total %v", rows, total)
			}
		})
	}
}

// TestUnmatched checks that objects without a row and rows without an object both come.
func TestUnmatched(t *testing.T) {
	t.Parallel()
	path := gridFile(t, 4, true, func(id int) bool { return id%3 == 0 })
	info, err := Inspect(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer info.Close()
	missing, total := 0, 0.0
	for _, f := range read(t, path, info, "DLTB") {
		for _, fault := range f.Faults {
			if fault.Code != "attributes-missing" || f.Values[0] != nil {
				t.Errorf("%+v", f)
			}
			missing++
		}
		total += area(f.Geom.(*geom.Polygon))
	}
	if want := int(info.Layers[0].Objects - info.Layers[0].Rows); missing != want || want == 0 || total != 1600 {
		t.Errorf("%d objects without a row, want %d; total area %v", missing, want, total)
	}
}

// TestLarge prints figures for a file of the size in VCT_GRID, parcels a side.
func TestLarge(t *testing.T) {
	var n int
	if _, err := fmt.Sscan(os.Getenv("VCT_GRID"), &n); err != nil {
		t.Skip("VCT_GRID is not set")
	}
	path := gridFile(t, n, true, nil)
	stat, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	info, err := Inspect(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer info.Close()
	inspected := time.Since(start)
	r, err := Open(t.Context(), path, info, "DLTB")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	start = time.Now()
	rows := 0
	for ; ; rows++ {
		if _, err := r.Next(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	t.Logf("%d MB, %d rows: inspected in %v, read in %v; %d MB from the system", stat.Size()>>20, rows, inspected, time.Since(start), m.Sys>>20)
}
