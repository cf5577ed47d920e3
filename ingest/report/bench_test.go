package report

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"changde/ingest/finding"
)

func benchmark(b *testing.B, write func(Document) error) {
	const n = 100_000
	b.ReportAllocs()
	for b.Loop() {
		if err := write(many(n)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "findings/s")
}

func BenchmarkHTML(b *testing.B) {
	benchmark(b, func(d Document) error { return HTML(io.Discard, d) })
}

func BenchmarkJSON(b *testing.B) {
	benchmark(b, func(d Document) error { return JSON(io.Discard, d) })
}

func BenchmarkXLSX(b *testing.B) {
	benchmark(b, func(d Document) error { return XLSX(io.Discard, d) })
}

func BenchmarkGeoJSON(b *testing.B) {
	benchmark(b, func(d Document) error { return GeoJSON(io.Discard, d) })
}

func BenchmarkGeoPackage(b *testing.B) {
	path := filepath.Join(b.TempDir(), "points.gpkg")
	benchmark(b, func(d Document) error { return GeoPackage(b.Context(), path, d) })
}

// TestMemoryIsBounded: ten times as many findings need about the same memory, but
// for the workbook, which is kept compressed until it is written.
func TestMemoryIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("collects garbage over and over")
	}
	const few, lots = 10_000, 100_000
	for _, tt := range []struct {
		form  string
		limit uint64 // MiB that may be added
	}{{"HTML", 12}, {"JSON", 2}, {"XLSX", 48}, {"GeoJSON", 2}, {"GeoPackage", 6}} {
		peak := func(n int) uint64 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			before, most := m.HeapAlloc, uint64(0)
			look := func() {
				runtime.GC()
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
			}
			d := many(n)
			all, i := d.Findings, 0
			d.Findings = func(yield func(finding.Finding) error) error {
				return all(func(f finding.Finding) error {
					if i++; i%(n/5) == 0 {
						look()
					}
					return yield(f)
				})
			}
			if tt.form == "GeoPackage" {
				if err := GeoPackage(t.Context(), filepath.Join(t.TempDir(), fmt.Sprint(n, ".gpkg")), d); err != nil {
					t.Fatal(err)
				}
			} else if err := forms[tt.form](t, looking{look}, d); err != nil {
				t.Fatal(err)
			}
			if most < before {
				return 0
			}
			return most - before
		}
		a, b := peak(few), peak(lots)
		t.Logf("%-10s %5.1f MiB for %d, %5.1f MiB for %d", tt.form, float64(a)/(1<<20), few, float64(b)/(1<<20), lots)
		if b > a+tt.limit<<20 {
			t.Errorf("%s: %d bytes for %d findings, %d for %d", tt.form, a, few, b, lots)
		}
	}
}

// looking looks at the memory now and then while something is written.
type looking struct{ look func() }

func (l looking) Write(p []byte) (int, error) {
	if len(p) > 32<<10 {
		l.look()
	}
	return len(p), nil
}

// TestWorkbookLeavesNoFiles: what the workbook puts aside is removed.
func TestWorkbookLeavesNoFiles(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	seen := 0
	d := many(60_000)
	all := d.Findings
	d.Findings = func(yield func(finding.Finding) error) error {
		return all(func(f finding.Finding) error {
			err := yield(f)
			if f.Row == 60_000 {
				left, _ := os.ReadDir(dir)
				seen = len(left)
			}
			return err
		})
	}
	if err := XLSX(io.Discard, d); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 || seen == 0 {
		t.Errorf("%d files while writing, %d after, %v", seen, len(left), err)
	}
}
