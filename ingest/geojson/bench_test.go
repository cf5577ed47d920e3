package geojson

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// parcels makes a FeatureCollection of n polygons of eleven positions with the
// attributes of a land parcel.
func parcels(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"type":"FeatureCollection","name":"parcels","features":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		x, y := 110.5+float64(i%1000)*0.0013, 28.5+float64(i/1000)*0.0007
		fmt.Fprintf(&b, "\n"+`{"type":"Feature","properties":{"BSM":%d,"DLBM":"0101","DLMC":"水田","TBMJ":%.2f,"QSDWMC":"桃源县漳江街道","SJNF":"2020-01-01"},"geometry":{"type":"Polygon","coordinates":[[`, 430725000000+i, float64(i%977)*1.37)
		for k := range 11 {
			if k > 0 {
				b.WriteByte(',')
			}
			d := float64(k % 10)
			fmt.Fprintf(&b, "[%.8f,%.8f]", x+d*0.0001, y+d*d*0.00001)
		}
		b.WriteString("]]}}")
	}
	b.WriteString("\n]}\n")
	return b.Bytes()
}

func benchmarkFile(b *testing.B) (string, int64) {
	b.Helper()
	data := parcels(50_000)
	path := filepath.Join(b.TempDir(), "parcels.geojson")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		b.Fatal(err)
	}
	return path, int64(len(data))
}

func BenchmarkInspect(b *testing.B) {
	path, size := benchmarkFile(b)
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Inspect(b.Context(), path); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReader(b *testing.B) {
	path, size := benchmarkFile(b)
	info, err := Inspect(b.Context(), path)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		r, err := Open(path, info)
		if err != nil {
			b.Fatal(err)
		}
		for {
			if _, err := r.Next(); err == io.EOF {
				break
			} else if err != nil {
				b.Fatal(err)
			}
		}
		r.Close()
	}
}

func BenchmarkWriter(b *testing.B) {
	path, size := benchmarkFile(b)
	info, err := Inspect(b.Context(), path)
	if err != nil {
		b.Fatal(err)
	}
	r, err := Open(path, info)
	if err != nil {
		b.Fatal(err)
	}
	f, err := r.Next()
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		w := NewWriter(io.Discard, "parcels", "")
		for range 50_000 {
			if err := w.Write(f.Geom, r.Fields(), f.Values); err != nil {
				b.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
