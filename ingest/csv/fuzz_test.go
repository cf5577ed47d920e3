package csv

import (
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"changde/ingest/layer"
	"changde/problem"
)

// FuzzReader checks that no bytes crash the reader, that every row comes, that the
// schema of the first pass fits the second, and that what is wrong comes as a problem.
func FuzzReader(f *testing.F) {
	_, texts := sections(f, "testdata/tables.txt")
	for _, s := range texts {
		f.Add([]byte(s))
	}
	f.Add([]byte("\xff\xfea\x00,\x00b\x00"))
	f.Add([]byte("\xc3\xfb\xb3\xc6,lon,lat\n\xb3\xa3\xb5\xc2,1,2\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<14 {
			return
		}
		path := write(t, string(data))
		info, err := Inspect(t.Context(), path, Options{})
		if err != nil {
			if _, ok := errors.AsType[*problem.Error](err); !ok {
				t.Fatalf("not a problem: %v", err)
			}
			return
		}
		r, err := Open(path, info)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		var n int64
		for {
			feature, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			n++
			lost := false
			for _, fault := range feature.Faults {
				lost = lost || fault.Lost
				if fault.Code == "type-mismatch" {
					t.Fatalf("the schema does not fit row %d: %+v", n, fault)
				}
			}
			for i, v := range feature.Values {
				if s, ok := v.(string); ok && (info.Fields[i].Type != layer.Text || !utf8.ValidString(s) || strings.Contains(s, "\x00")) {
					t.Fatalf("%s %q", info.Fields[i].Type, s)
				}
			}
			if !lost && feature.Geom != nil && (feature.Geom.Empty() || !finite(feature.Geom) || hasM(feature.Geom)) {
				t.Fatalf("geometry %v", feature.Geom)
			}
		}
		if n != info.Rows {
			t.Fatalf("%d rows, %d inspected", n, info.Rows)
		}
	})
}
