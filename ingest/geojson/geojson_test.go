package geojson

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
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

func write(t testing.TB, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "in.geojson")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// dump describes everything that Inspect and the reader say about a file.
func dump(t testing.TB, path string) string {
	t.Helper()
	var b strings.Builder
	fail := func(err error) string {
		p, ok := errors.AsType[*problem.Error](err)
		if !ok {
			t.Fatalf("not a problem: %v", err)
		}
		fmt.Fprintf(&b, "ERROR %s %s\n", p.Code, p.EN)
		return b.String()
	}
	info, err := Inspect(t.Context(), path)
	if err != nil {
		return fail(err)
	}
	for _, f := range info.Fields {
		fmt.Fprintf(&b, "%s %s\n", f.Name, f.Type)
	}
	for _, n := range info.Notes {
		fmt.Fprintf(&b, "note %s\n", n.Code)
	}
	if info.CRSName != "" {
		fmt.Fprintf(&b, "crs %s\n", info.CRSName)
	}
	fmt.Fprintf(&b, "%d rows, %v, z %v, seq %v, box %v\n", info.Features, info.GeometryTypes, info.HasZ, info.Seq, info.Box)
	r, err := Open(path, info)
	if err != nil {
		return fail(err)
	}
	defer r.Close()
	var rows int64
	for {
		f, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fail(err)
		}
		rows++
		if f.Row != rows {
			t.Errorf("row %d follows %d", f.Row, rows-1)
		}
		b.WriteString(row(t, info.Fields, f))
	}
	if rows != info.Features {
		t.Errorf("%d rows read, %d inspected", rows, info.Features)
	}
	return b.String()
}

func row(t testing.TB, fields []layer.Field, f *layer.Feature) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "%d", f.Row)
	lost := false
	for _, fault := range f.Faults {
		if fault.Lost {
			lost = true
			fmt.Fprintf(&b, " LOST %s: %s", fault.Code, fault.EN)
		}
		if fault.ZH == "" || fault.EN == "" || fault.Row != f.Row {
			t.Errorf("incomplete fault %+v", fault)
		}
	}
	if !lost {
		if f.Geom == nil {
			b.WriteString(" nil")
		} else {
			s, err := wkt.Marshal(f.Geom)
			if err != nil {
				t.Fatal(err)
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
	}
	for _, fault := range f.Faults {
		if !fault.Lost {
			b.WriteString(" note " + fault.Code)
			if fault.Field != "" {
				fmt.Fprintf(&b, "(%s)", fault.Field)
			}
		}
	}
	b.WriteByte('\n')
	return b.String()
}

// section is one file of a text with lines "-- name --" before each.
type section struct{ name, text string }

func sections(t *testing.T, path string) []section {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil && !*update {
		t.Fatal(err)
	}
	var out []section
	for line := range strings.Lines(string(b)) {
		if name, ok := strings.CutPrefix(line, "-- "); ok && strings.HasSuffix(name, " --\n") {
			out = append(out, section{name: strings.TrimSuffix(name, " --\n")})
		} else if len(out) > 0 {
			out[len(out)-1].text += line
		}
	}
	return out
}

func TestRows(t *testing.T) {
	t.Parallel()
	want := make(map[string]string)
	for _, s := range sections(t, "testdata/rows.want.txt") {
		want[s.name] = s.text
	}
	cases := sections(t, "testdata/rows.txt")
	if len(cases) < 20 {
		t.Fatalf("%d cases", len(cases))
	}
	out := "The dumps of rows.txt.\n\n"
	for _, s := range cases {
		got := dump(t, write(t, []byte(s.text)))
		out += "-- " + s.name + " --\n" + got
		if diff := cmp.Diff(want[s.name], got); diff != "" && !*update {
			t.Errorf("%s: %s", s.name, diff)
		}
	}
	if *update {
		if err := os.WriteFile("testdata/rows.want.txt", []byte(out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

const oneFeature = `{"type":"Feature","geometry":{"type":"Point","coordinates":[111.6,29]},"properties":{"县":"澧县"}}`

func TestForms(t *testing.T) {
	t.Parallel()
	gbk, err := simplifiedchinese.GBK.NewEncoder().String(`{"type":"FeatureCollection","features":[{"type":"Feature","geometry":null,"properties":{"名称":"誠{昞}镕","代码":"常德市"}}]}`)
	if err != nil {
		t.Fatal(err)
	}
	many := strings.Repeat(`{"type":"Feature","geometry":null,"properties":{"a":"常德市武陵区"}},`, 50)
	tests := []struct{ name, in, want string }{
		{"byte order mark", "\ufeff" + oneFeature, "县 text\n1 rows, map[Point:1], z false, seq false, box [111.6 29 111.6 29]\n1 POINT (111.6 29) 县=\"澧县\"\n"},
		{"text sequence", "\x1e" + oneFeature + "\n\x1e\n\x1e" + oneFeature + "\n", "县 text\n2 rows, map[Point:2], z false, seq true, box [111.6 29 111.6 29]\n1 POINT (111.6 29) 县=\"澧县\"\n2 POINT (111.6 29) 县=\"澧县\"\n"},
		{
			"text sequence with a record cut off and one with garbage behind it",
			"\x1e{\"type\"\n\x1e" + oneFeature + " {\n\x1e{]\n\x1e" + oneFeature + "\n",
			"县 text\n5 rows, map[Point:2], z false, seq true, box [111.6 29 111.6 29]\n" +
				"1 LOST json-syntax: the record at byte 1 is not a whole JSON value\n2 POINT (111.6 29) 县=\"澧县\"\n" +
				"3 LOST json-syntax: the record at byte " + fmt.Sprint(11+len(oneFeature)) + " is not a whole JSON value\n4 LOST json-syntax: the record at byte " + fmt.Sprint(14+len(oneFeature)) + " is not a whole JSON value\n5 POINT (111.6 29) 县=\"澧县\"\n",
		},
		{"text sequence cut off at its end", "\x1e" + oneFeature + "\n\x1e{\"type\":", "ERROR geojson-truncated the file ends too early, perhaps the upload was cut off; send it again (byte " + fmt.Sprint(11+len(oneFeature)) + ", feature 2)\n"},
		{"GBK with brackets and backslashes inside characters", gbk, "名称 text\n代码 text\nnote encoding-gb18030\n1 rows, map[], z false, seq false, box [0 0 0 0]\n1 nil 名称=\"誠{昞}镕\" 代码=\"常德市\"\n"},
		{
			"one broken character in a UTF-8 file", `{"type":"FeatureCollection","features":[` + many + "{\"type\":\"Feature\",\"geometry\":null,\"properties\":{\"a\":\"常德\xe5\xb8\"}}]}",
			"last: 51 nil a=\"常德\ufffd\ufffd\" note text-not-utf8(a)\n",
		},
		{"UTF-16", "\xff\xfe{\x00}\x00", "ERROR geojson-encoding the file is encoded in UTF-16; GeoJSON is UTF-8 (RFC 7946): save it as UTF-8\n"},
		{"UTF-16 without mark", "{\x00}\x00", "ERROR geojson-encoding the file is encoded in UTF-16/UTF-32; GeoJSON is UTF-8 (RFC 7946): save it as UTF-8\n"},
		{"neither UTF-8 nor GB18030", "{\"a\":\"\xff\xff\xff\"}", "ERROR geojson-encoding the file is neither UTF-8 nor GB18030/GBK; save it as UTF-8\n"},
		{"unescaped line break", `{"type":"Feature","geometry":null,"properties":{"a":"x` + "\n" + `y"}}`, "1 rows, map[], z false, seq false, box [0 0 0 0]\n1 LOST json-syntax: an unescaped control character, such as a line break or tab, in a string (byte 54)\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := dump(t, write(t, []byte(tt.in)))
			if want, ok := strings.CutPrefix(tt.want, "last: "); ok {
				if !strings.HasSuffix(got, "\n"+want) {
					t.Errorf("got ...%q", got[max(0, len(got)-200):])
				}
				return
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// writeRepeated makes a file of part, n times, between head and tail.
func writeRepeated(t *testing.T, head, part string, n int, tail string) string {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "big.geojson"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := bytes.Repeat([]byte(part), min(n, 1<<20/len(part)))
	io.WriteString(f, head)
	for rest := n * len(part); rest > 0; rest -= len(block) {
		f.Write(block[:min(rest, len(block))])
	}
	if _, err := io.WriteString(f, tail); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

func TestBounds(t *testing.T) {
	t.Parallel()
	var fields strings.Builder
	for i := range maxFields + 1 {
		fmt.Fprintf(&fields, `"p%d":1,`, i)
	}
	const head = `{"type":"FeatureCollection","features":[{"type":"Feature","geometry":`
	tests := []struct {
		name string
		path string
		code string
	}{
		{"a million brackets", writeRepeated(t, head, "[", 1_000_000, ""), "geojson-depth"},
		{"a million brackets in a foreign member", writeRepeated(t, `{"x":`, "[", 1_000_000, ""), "geojson-depth"},
		{"a million brackets in a foreign member of a collection", writeRepeated(t, `{"type":"FeatureCollection","x":`, `{"a":`, 1_000_000, ""), "geojson-depth"},
		{"a feature of 65 MiB", writeRepeated(t, head+`null,"properties":{"a":"`, "x", 65<<20, `"}}]}`), "geojson-feature-size"},
		{"a lone feature of 65 MiB", writeRepeated(t, `{"properties":{"a":"`, "x", 65<<20, `"},"type":"Feature"}`), "geojson-feature-size"},
		{"a number of 2 MiB", writeRepeated(t, `{"type":"FeatureCollection","x":`, "1", 2<<20, `}`), "geojson-feature-size"},
		{"properties", writeRepeated(t, head+`null,"properties":{`, fields.String(), 1, `"z":1}}]}`), "geojson-fields"},
		{"length of a name", writeRepeated(t, head+`null,"properties":{"`, "k", maxKey+1, `":1}}]}`), "geojson-name-length"},
		{"length of a foreign name", writeRepeated(t, `{"`, "k", 5<<20, `":1}`), "geojson-name-length"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			start := time.Now()
			_, err := Inspect(t.Context(), tt.path)
			p, ok := errors.AsType[*problem.Error](err)
			if !ok || p.Code != tt.code || p.Kind != problem.TooLarge || p.Where != "big.geojson" {
				t.Fatalf("got %v", err)
			}
			if d := time.Since(start); d > 5*time.Second {
				t.Errorf("took %v", d)
			}
		})
	}
}

// A foreign member of any size is passed over in constant memory.
func TestLargeForeignMember(t *testing.T) {
	t.Parallel()
	path := writeRepeated(t, `{"type":"FeatureCollection","x":[0`, ",1234567", 10<<20, `],"features":[`+oneFeature+`]}`)
	info, err := Inspect(t.Context(), path)
	if err != nil || info.Features != 1 {
		t.Fatal(info, err)
	}
}

func TestInspectStopsWithContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Inspect(ctx, write(t, []byte(oneFeature))); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestUnreadable(t *testing.T) {
	t.Parallel()
	_, err := Inspect(t.Context(), filepath.Join(t.TempDir(), "none.geojson"))
	if p, ok := errors.AsType[*problem.Error](err); !ok || p.Code != "geojson-unreadable" {
		t.Error(err)
	}
}

// A file that changes between Inspect and Open is reported, not trusted.
func TestChangedFile(t *testing.T) {
	t.Parallel()
	path := write(t, []byte(`{"type":"Feature","geometry":null,"properties":{"a":1}}`))
	info, err := Inspect(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(`{"type":"Feature","geometry":null,"properties":{"b":1,"a":"x"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := Open(path, info)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	f, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := row(t, info.Fields, f), "1 nil note property-unknown(b) note type-mismatch(a)\n"; got != want {
		t.Errorf("got %q", got)
	}
}

// The loss of M is told once, at the first row concerned.
func TestMIsToldOnce(t *testing.T) {
	t.Parallel()
	const p = `{"type":"Point","coordinates":[1,2,3,4]}`
	got := dump(t, write(t, []byte(p+"\n"+p)))
	if want := "2 rows, map[Point:2], z true, seq true, box [1 2 1 2]\n1 POINT Z (1 2 3) note m-dropped\n2 POINT Z (1 2 3)\n"; got != want {
		t.Errorf("got %s", got)
	}
}

// Chunks end anywhere: what is read must not depend on where.
func TestChunkBoundaries(t *testing.T) {
	t.Parallel()
	data := []byte(`{"type":"FeatureCollection","features":[` + oneFeature + `,` + strings.Replace(oneFeature, "澧县", `\"\\澧`, 1) + `],"crs":{"type":"name","properties":{"name":"EPSG:4490"}}}` + "\n")
	for size := 1; size < len(data); size++ {
		d, err := openDocument(t.Context(), &chunks{data, size}, 0, "x")
		if err != nil {
			t.Fatal(size, err)
		}
		var p parsed
		var got []string
		for {
			r, err := d.next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(size, err)
			}
			if err := p.parse(r.b, false); err != nil {
				t.Fatal(size, err)
			}
			s, _ := text(p.props[0].raw)
			got = append(got, fmt.Sprint(r.offset, s))
		}
		want := []string{"40澧县", fmt.Sprint(41+len(oneFeature), `"\澧`)}
		if diff := cmp.Diff(want, got); diff != "" || d.crs != "EPSG:4490" {
			t.Fatalf("chunks of %d: %s %s", size, d.crs, diff)
		}
	}
}

type chunks struct {
	data []byte
	size int
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.data[:min(c.size, len(c.data))])
	c.data = c.data[n:]
	return n, nil
}

func TestFirstPoints(t *testing.T) {
	t.Parallel()
	info, err := Inspect(t.Context(), write(t, parcels(maxFirstPoints+5)))
	if err != nil {
		t.Fatal(err)
	}
	if len(info.FirstPoints) != maxFirstPoints || info.FirstPoints[0] != [2]float64{110.5, 28.5} {
		t.Error(len(info.FirstPoints), info.FirstPoints[0])
	}
}

func TestFloat(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"0", "-0", "1", "-1.5", "111.78830880000001", "0.1", "9007199254740993", "9007199254740991", "123456789012345678", "0.000000000000000001",
		"1e22", "1e23", "1.7976931348623157e308", "4.9e-324", "1e-400", "0.30000000000000004", "2.2250738585072011e-308", "999999999999999999",
	} {
		c := cursor{b: []byte(s + "]")}
		got, err := c.float()
		if err != nil || c.i != len(s) {
			t.Errorf("%s: %v", s, err)
			continue
		}
		var want float64
		if _, err := fmt.Sscan(s, &want); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%s: got %v, want %v", s, got, want)
		}
	}
	for _, s := range []string{"", "-", "01", "1.", ".5", "+1", "1e", "1e+", "--1", "1.2.3", "0x10", "NaN", "Infinity", "1_0", "1a"} {
		c := cursor{b: []byte(s + "]")}
		if v, err := c.float(); err == nil {
			t.Errorf("%q: got %v", s, v)
		}
	}
}
