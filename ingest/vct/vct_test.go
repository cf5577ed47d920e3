package vct

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twpayne/go-geom/encoding/wkt"
	"golang.org/x/text/encoding/simplifiedchinese"

	"changde/ingest/layer"
	"changde/problem"
)

var update = flag.Bool("update", false, "rewrite golden files")

func write(t testing.TB, data string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "in.vct")
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func fixture(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".vct"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func gbk(t testing.TB, s string) string {
	t.Helper()
	s, err := simplifiedchinese.GBK.NewEncoder().String(s)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// dump describes everything that Inspect and the readers say about a file.
func dump(t testing.TB, path string) string {
	t.Helper()
	var b strings.Builder
	info, err := Inspect(t.Context(), path, Options{TempDir: t.TempDir()})
	if err != nil {
		p, ok := errors.AsType[*problem.Error](err)
		if !ok {
			t.Fatalf("not a problem: %v", err)
		}
		if p.ZH == "" || p.EN == "" || p.Where == "" {
			t.Errorf("incomplete problem %+v", p)
		}
		fmt.Fprintf(&b, "ERROR %s %s\n", p.Code, p.EN)
		return b.String()
	}
	defer info.Close()
	fmt.Fprintf(&b, "version %s, modern %v, %s, EPSG:%d, z %v\n%s\n%s\n", info.Version, info.Modern, info.Encoding.Name, info.CRS.EPSG, info.HasZ, info.CRS.EN, info.CRS.WKT)
	for _, n := range info.Notes {
		fmt.Fprintf(&b, "note %s: %s\n", n.Code, n.EN)
		if n.ZH == "" || strings.Contains(n.ZH+n.EN, "%!") {
			t.Errorf("note %+v", n)
		}
	}
	for _, l := range info.Layers {
		fmt.Fprintf(&b, "\n== %s %s %v %v: %d rows, %d objects, %d features\n", l.Name, l.Title, l.Codes, l.GeometryTypes, l.Rows, l.Objects, l.Features)
		for i, f := range l.Fields {
			if i > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(&b, "%s %s", f.Name, f.Type)
			if f.Width > 0 {
				fmt.Fprintf(&b, "(%d,%d)", f.Width, f.Decimals)
			}
		}
		if len(l.FirstPoints) > 0 {
			fmt.Fprintf(&b, "\npoints %.8g", l.FirstPoints)
		}
		b.WriteByte('\n')
		for _, f := range read(t, path, info, l.Name) {
			b.WriteString(line(t, l.Fields, f))
		}
	}
	return b.String()
}

func read(t testing.TB, path string, info *Info, name string) []*layer.Feature {
	t.Helper()
	r, err := Open(t.Context(), path, info, name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var out []*layer.Feature
	for {
		f, err := r.Next()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, f)
		if f.Row != int64(len(out)) || len(f.Values) != len(r.Fields()) {
			t.Errorf("%s: row %d with %d values as the %dth", name, f.Row, len(f.Values), len(out))
		}
	}
}

func line(t testing.TB, fields []layer.Field, f *layer.Feature) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "%d", f.Row)
	for _, fault := range f.Faults {
		if fault.ZH == "" || fault.EN == "" || fault.Row != f.Row {
			t.Errorf("incomplete fault %+v", fault)
		}
		if fault.Lost {
			fmt.Fprintf(&b, " LOST %s: %s\n", fault.Code, fault.EN)
			return b.String()
		}
	}
	if f.Geom == nil {
		b.WriteString(" nil")
	} else {
		s, err := wkt.Marshal(f.Geom)
		if err != nil {
			t.Fatal(err)
		}
		if len(s) > 400 {
			s = fmt.Sprintf("%s ... %d vertices", s[:60], len(f.Geom.FlatCoords())/f.Geom.Stride())
		}
		b.WriteString(" " + s)
	}
	for i, v := range f.Values {
		switch v := v.(type) {
		case nil:
		case time.Time:
			fmt.Fprintf(&b, " %s=%s", fields[i].Name, v.Format(time.RFC3339Nano))
		case string:
			fmt.Fprintf(&b, " %s=%q", fields[i].Name, v)
		default:
			fmt.Fprintf(&b, " %s=%v", fields[i].Name, v)
		}
	}
	for _, fault := range f.Faults {
		fmt.Fprintf(&b, " note %s", fault.Code)
		if fault.Field != "" {
			fmt.Fprintf(&b, "(%s)", fault.Field)
		}
	}
	b.WriteByte('\n')
	return b.String()
}

func TestFiles(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"modern", "classic", "direct"} {
		text := fixture(t, name)
		got := dump(t, write(t, gbk(t, text)))
		golden := filepath.Join("testdata", name+".want.txt")
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), got); d != "" {
			t.Errorf("%s (-want +got)\n%s", name, d)
		}
		utf8 := dump(t, write(t, "\ufeff"+strings.ReplaceAll(text, "\n", "\r\n")))
		place := regexp.MustCompile(`byte \d+`)
		if d := cmp.Diff(place.ReplaceAllString(strings.Replace(got, "GB18030", "UTF-8", 1), ""), place.ReplaceAllString(utf8, "")); d != "" {
			t.Errorf("%s in UTF-8 with CRLF (-want +got)\n%s", name, d)
		}
	}
}
