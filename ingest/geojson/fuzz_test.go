package geojson

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"changde/ingest/layer"
	"changde/problem"
)

// FuzzReader checks that no bytes crash the reader, that it says the same twice,
// that every usable row can be written, and that what is wrong comes as a problem.
func FuzzReader(f *testing.F) {
	b, err := os.ReadFile("testdata/rows.txt")
	if err != nil {
		f.Fatal(err)
	}
	for part := range strings.SplitSeq(string(b), "\n-- ") {
		if _, text, ok := strings.Cut(part, " --\n"); ok {
			f.Add([]byte(text))
		}
	}
	f.Add([]byte("\x1e" + oneFeature + "\n\x1e{"))
	f.Add([]byte("\ufeff" + oneFeature))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		path := filepath.Join(t.TempDir(), "a.geojson")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		info, err := Inspect(t.Context(), path)
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
		var out bytes.Buffer
		w := NewWriter(&out, "a", "")
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
				if fault.Code == "type-mismatch" || fault.Code == "property-unknown" {
					t.Fatalf("the schema does not fit row %d: %+v", n, fault)
				}
			}
			for i, v := range feature.Values {
				if s, ok := v.(string); ok && info.Fields[i].Type == layer.Text && (!utf8.ValidString(s) || strings.Contains(s, "\x00")) {
					t.Fatalf("text %q", s)
				}
			}
			if !lost {
				if err := w.Write(feature.Geom, r.Fields(), feature.Values); err != nil {
					t.Fatal(err)
				}
			}
		}
		if n != info.Features {
			t.Fatalf("%d rows, %d inspected", n, info.Features)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if !json.Valid(out.Bytes()) {
			t.Fatalf("written: %s", out.Bytes())
		}
	})
}

// FuzzCursor compares the syntax that the parser accepts with encoding/json, and its
// strings.
func FuzzCursor(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5e3,true,null,"\u00e9\ud83d\ude00"]}`, `[01]`, `"\x"`, `{"a":1,}`, `-`, `1.e5`, `"\ud83d"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := newStream(context.Background(), bytes.NewReader(data), 0)
		if _, err := s.peek(); err != nil {
			return
		}
		b, _, err := s.value()
		if err != nil {
			return
		}
		c := cursor{b: b}
		skipErr := c.skip()
		got := skipErr == nil && c.i == len(b)
		if want := json.Valid(b); got != want {
			t.Fatalf("%q: accepted %v, encoding/json %v (%v)", b, got, want, skipErr)
		}
		if got && b[0] == '"' {
			var want string
			if err := json.Unmarshal(b, &want); err != nil {
				t.Fatal(err)
			}
			have, _ := text(b[1 : len(b)-1])
			if want := strings.ReplaceAll(want, "\x00", ""); have != want && !strings.Contains(want, "\uFFFD") {
				t.Fatalf("%q: %q, want %q", b, have, want)
			}
		}
		if got && (b[0] == '-' || b[0]-'0' <= 9) {
			var want float64
			c := cursor{b: b}
			have, err := c.float()
			if jerr := json.Unmarshal(b, &want); (jerr == nil) != (err == nil) || (err == nil && have != want) {
				t.Fatalf("%q: %v %v, want %v %v", b, have, err, want, jerr)
			}
		}
	})
}
