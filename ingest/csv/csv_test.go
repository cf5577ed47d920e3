package csv

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twpayne/go-geom/encoding/wkt"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"

	"changde/ingest/layer"
	"changde/problem"
)

var update = flag.Bool("update", false, "rewrite golden files")

func write(t testing.TB, data string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "in.csv")
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// dump describes everything that Inspect and the reader say about a file.
func dump(t testing.TB, path string, o Options) string {
	t.Helper()
	var b strings.Builder
	fail := func(err error) string {
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
	info, err := Inspect(t.Context(), path, o)
	if err != nil {
		return fail(err)
	}
	for i, f := range info.Fields {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s %s", f.Name, f.Type)
	}
	fmt.Fprintf(&b, "\n%d rows, %q, %s, %v, z %v", info.Rows, info.Delimiter, info.Encoding.Name, info.GeometryTypes, info.HasZ)
	if info.EPSG != 0 {
		fmt.Fprintf(&b, ", EPSG:%d", info.EPSG)
	}
	if len(info.FirstPoints) > 0 {
		fmt.Fprintf(&b, ", points %v", info.FirstPoints)
	}
	fmt.Fprintf(&b, "\n%s\n", info.Geometry.EN)
	for _, n := range info.Notes {
		fmt.Fprintf(&b, "note %s: %s\n", n.Code, n.EN)
	}
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
		if f.Row != rows || len(f.Values) != len(info.Fields) {
			t.Errorf("row %d with %d values follows %d", f.Row, len(f.Values), rows-1)
		}
		b.WriteString(line(t, info.Fields, f))
	}
	if rows != info.Rows {
		t.Errorf("%d rows read, %d inspected", rows, info.Rows)
	}
	return b.String()
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
			fmt.Fprintf(&b, " LOST %s(%s): %s\n", fault.Code, fault.Field, fault.EN)
			return b.String()
		}
	}
	b.WriteString(" nil")
	if f.Geom != nil {
		s, err := wkt.Marshal(f.Geom)
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(strings.TrimSuffix(" "+s, " nil"))
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
		fmt.Fprintf(&b, " note %s(%s)", fault.Code, fault.Field)
	}
	return strings.Replace(b.String(), " nil ", " ", 1) + "\n"
}

// sections cuts a text with lines "-- name --" before each part.
func sections(t testing.TB, path string) (names, texts []string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for part := range strings.SplitSeq("\n"+string(b), "\n-- ") {
		if name, text, ok := strings.Cut(part, " --\n"); ok {
			names, texts = append(names, name), append(texts, text)
		} else if name, ok := strings.CutSuffix(part, " --"); ok {
			names, texts = append(names, name), append(texts, "")
		}
	}
	return names, texts
}

func TestTables(t *testing.T) {
	t.Parallel()
	names, texts := sections(t, "testdata/tables.txt")
	var b strings.Builder
	for i, name := range names {
		fmt.Fprintf(&b, "-- %s --\n%s", name, dump(t, write(t, texts[i]), Options{}))
	}
	const golden = "testdata/tables.want.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), b.String()); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

// TestEncodings checks that one table says the same in every encoding.
func TestEncodings(t *testing.T) {
	t.Parallel()
	const text = "编号,名称,经度,纬度\r\n0101,常德市武陵区𠮷,111.7,29.0\r\n0102,\"丹洲,乡\",111.6,29.1\r\n"
	gb, err := simplifiedchinese.GB18030.NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	wide := func(e unicode.Endianness) string {
		s, err := unicode.UTF16(e, unicode.UseBOM).NewEncoder().String(text)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	want := strings.Replace(dump(t, write(t, text), Options{}), "UTF-8", "X", 1)
	for name, data := range map[string]string{"UTF-8": "\ufeff" + text, "GB18030": gb, "UTF-16LE": wide(unicode.LittleEndian), "UTF-16BE": wide(unicode.BigEndian)} {
		if got := strings.Replace(dump(t, write(t, data), Options{}), name, "X", 1); got != want {
			t.Errorf("%s\n%s\nwant\n%s", name, got, want)
		}
	}
	if got := strings.Replace(dump(t, write(t, gb), Options{Encoding: "GBK"}), "GBK", "X", 1); got != want {
		t.Errorf("by choice\n%s\nwant\n%s", got, want)
	}
}

func TestEncodingRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ data, user, code string }{
		{"a,b\n\xff\xff\xff\xff,1\n", "", "csv-encoding"},
		{"a\x00b\x00", "", "csv-encoding"},
		{"a,b\n1,2\n", "klingon", "csv-encoding"},
	} {
		_, err := Inspect(t.Context(), write(t, c.data), Options{Encoding: c.user})
		if p, ok := errors.AsType[*problem.Error](err); !ok || p.Code != c.code {
			t.Errorf("%q: %v", c.data, err)
		}
	}
	// A damaged byte in a text of much UTF-8 is one note, not GB18030.
	info, err := Inspect(t.Context(), write(t, "名称,b\n常德\xff市,1\n"), Options{})
	if err != nil || info.Encoding.Name != "UTF-8" || !strings.Contains(info.Encoding.EN, "1 bytes") {
		t.Errorf("%+v %v", info, err)
	}
}

// TestHostile checks that no bound is passed and nothing grows with a hostile file.
func TestHostile(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ data, code string }{
		"quote never closed": {"a,b\n1,\"" + strings.Repeat("x", maxRecord+1<<20), "csv-row-size"},
		"one line":           {strings.Repeat("x", maxRecord+1<<20), "csv-row-size"},
		"columns":            {strings.Repeat("a,", maxFields+1) + "b\n", "csv-fields"},
		"name":               {strings.Repeat("a", maxName+1) + ",b\n1,2\n", "csv-name-length"},
		"header quote":       {"a,\"b\n1,2\n", "csv-header"},
	} {
		_, err := Inspect(t.Context(), write(t, c.data), Options{})
		if p, ok := errors.AsType[*problem.Error](err); !ok || p.Code != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	deep := strings.Repeat("GEOMETRYCOLLECTION(", maxDepth+1) + "POINT(1 2)" + strings.Repeat(")", maxDepth+1)
	got := dump(t, write(t, "wkt,k\nPOINT(1 2),1\n"+deep+",2\n"), Options{})
	if !strings.Contains(got, "2 LOST wkt-depth(wkt)") {
		t.Error(got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Inspect(ctx, write(t, "a,b\n1,2\n"), Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := Inspect(t.Context(), filepath.Join(t.TempDir(), "absent.csv"), Options{}); !problem.Is(err, problem.Invalid) {
		t.Errorf("absent: %v", err)
	}
}

// TestConstantMemory reads many rows and looks at what stays.
func TestConstantMemory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "in.csv")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(f, "code,name,lon,lat")
	const n = 200_000
	for i := range n {
		fmt.Fprintf(f, "%019d,%s,%f,%f\n", i, strings.Repeat("常德", 40), 111+float64(i)/n, 29.0)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := Inspect(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if info.Rows != n || len(info.FirstPoints) != maxFirstPoints || info.Fields[0].Type != layer.Text {
		t.Fatalf("%d rows, %d points, %v", info.Rows, len(info.FirstPoints), info.Fields[0])
	}
	r, err := Open(path, info)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var m runtime.MemStats
	for i := range n {
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
		if i == n/2 {
			runtime.GC()
			if runtime.ReadMemStats(&m); m.HeapAlloc > 16<<20 {
				t.Errorf("%d bytes in use after %d rows", m.HeapAlloc, i)
			}
		}
	}
}

func TestSexagesimal(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]float64{
		`111°41′30″`: 111 + 41.5/60, `29°1'12.6"`: 29 + 1.21/60, `111度30分`: 111.5, `东经111°`: 111, `111.5°E`: 111.5,
		`-0°30′0″`: -0.5, `29°1'12''N`: 29.02, `1e3`: 1000,
	} {
		if got, ok := coordinate(s); !ok || math.Abs(got-want) > 1e-12 {
			t.Errorf("%s: %v %v, want %v", s, got, ok, want)
		}
	}
	for _, s := range []string{"", "°", "29°61′", "29°1′60″", "29°1", "29°1′2″3", "x", "nan", "inf", "1e999", "0x10", "1_000", "200°", "29°′5″", "29°-1′"} {
		if v, ok := coordinate(s); ok {
			t.Errorf("%q reads as %v", s, v)
		}
	}
}

// TestOgr compares geometries and rows with what GDAL reads from the same file.
func TestOgr(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("ogr2ogr"); err != nil {
		if testing.Short() {
			t.Skip("no ogr2ogr")
		}
		t.Fatal(err)
	}
	const text = "WKT,id,name\n\"POLYGON((0 0,10 0,10 10,0 10,0 0),(2 2,2 4,4 4,4 2,2 2))\",1,\"甲,\n乙\"\n\"MULTILINESTRING((0 0,1.5 1),(2 2,3 3e2))\",2,\"say \"\"hi\"\"\"\n\"POINT Z (1 2 3)\",3,丙\n"
	path := write(t, text)
	out := filepath.Join(t.TempDir(), "out.csv")
	cmd := exec.CommandContext(t.Context(), "ogr2ogr", "-f", "CSV", out, path, "-lco", "GEOMETRY=AS_WKT", "-oo", "GEOM_POSSIBLE_NAMES=WKT", "-oo", "KEEP_GEOM_COLUMNS=NO")
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	want, got := dump(t, path, Options{}), dump(t, out, Options{})
	// GDAL writes every value as text, and so do we read the file again.
	if _, got, _ = strings.Cut(got, "\n"); !strings.HasSuffix(want, got) {
		t.Errorf("%s\nGDAL\n%s", want, got)
	}
}

func BenchmarkReader(b *testing.B) {
	var s strings.Builder
	s.WriteString("BSM,DLBM,MJ,wkt\n")
	for i := range 20000 {
		fmt.Fprintf(&s, "43070211%011d,0101,%d.25,\"POLYGON((%d.123456 29.1,111.2 29.1,111.2 29.2,111.1 29.25,111.05 29.2,%d.123456 29.1))\"\n", i, i, i%100, i%100)
	}
	path := write(b, s.String())
	b.SetBytes(int64(s.Len()))
	for b.Loop() {
		info, err := Inspect(b.Context(), path, Options{})
		if err != nil {
			b.Fatal(err)
		}
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
