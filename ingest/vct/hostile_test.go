package vct

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"changde/problem"
)

// file puts sections behind a head in the layout of 2007 with a layer of polygons P and
// one of lines L.
func file(head, sections string) string {
	return "HeadBegin\nVersion:3.0\n" + head + "HeadEnd\nFeatureCodeBegin\nP1,面,Polygon,P\nL1,线,Line,L\nFeatureCodeEnd\n" +
		"TableStructureBegin\nP,1\nA,Char,9\n0\nL,1\nA,Char,9\n0\nTableStructureEnd\n" + sections
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ data, code string }{
		"empty":           {"", "vct-head"},
		"idrisi":          {"\x01\x00\x00\x00abc", "vct-encoding"},
		"no head":         {"FeatureCodeBegin\nFeatureCodeEnd\n", "vct-head"},
		"head cut":        {"HeadBegin\nVersion:3.0\n", "vct-truncated"},
		"head endless":    {"HeadBegin\n" + strings.Repeat("a:b\n", maxHead+1), "vct-head"},
		"line":            {file("", strings.Repeat("x", maxLine+2<<20)), "vct-line"},
		"offset":          {file("Offset:1,0\n", ""), "vct-offset"},
		"unit":            {file("XYUnit:K\n", ""), "vct-unit"},
		"axes":            {file("XAxisDirection:W\n", ""), "vct-axes"},
		"variant":         {file("DataMark:LANDUSE-DAT\n", ""), "vct-variant"},
		"points cut":      {file("", "PointBegin\n1\nP1\n"), "vct-truncated"},
		"polygon cut":     {file("", "PolygonBegin\n1\nP1\nx\n100\n0,0\n21\n3\n1,2"), "vct-truncated"},
		"attributes cut":  {file("", "AttributeBegin\nP\n1,2\n"), "vct-truncated"},
		"comment endless": {file("", "PointBegin\nCommentBegin\nx\n"), "vct-truncated"},
		"fields":          {file("", "TableStructureBegin\nQ,1001\nTableStructureEnd\n"), "vct-fields"},
		"name":            {file("", "FeatureCodeBegin\n7,"+strings.Repeat("n", maxName+1)+",Point\nFeatureCodeEnd\n"), "vct-name-length"},
	} {
		_, err := Inspect(t.Context(), write(t, c.data), Options{})
		if p, ok := errors.AsType[*problem.Error](err); !ok || p.Code != c.code || p.ZH == "" || p.Where == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	var many strings.Builder
	for i := range maxLayers {
		fmt.Fprintf(&many, "%d,a%d,Point\n", i, i)
	}
	_, err := Inspect(t.Context(), write(t, file("", "FeatureCodeBegin\n"+many.String()+"FeatureCodeEnd\n")), Options{})
	if p, ok := errors.AsType[*problem.Error](err); !ok || p.Code != "vct-layers" {
		t.Errorf("layers: %v", err)
	}
	if _, err := Inspect(t.Context(), filepath.Join(t.TempDir(), "absent.vct"), Options{}); !problem.Is(err, problem.Invalid) {
		t.Errorf("absent: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	path := write(t, file("", ""))
	if _, err := Inspect(ctx, path, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	info, err := Inspect(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path, info, "absent"); !problem.Is(err, problem.NotFound) {
		t.Errorf("no such layer: %v", err)
	}
}

// TestHostile checks objects that would cost more than they are long.
func TestHostile(t *testing.T) {
	t.Parallel()
	line := func(id int, body string) string { return fmt.Sprintf("%d\nL1\nx\n%s\n0\n", id, body) }
	polygon := func(id int, body string) string { return fmt.Sprintf("%d\nP1\nx\n%s\n0\n", id, body) }
	ofItself := func(n int, id string) string {
		return fmt.Sprintf("%d\n%s", n, strings.TrimSuffix(strings.Repeat(id+",", n), ","))
	}
	sections := "LineBegin\n" +
		line(1, "1\n1\n11\n2000000000\n0,0") +
		line(2, "100\n1\n2") + // made of itself
		line(3, "100\n2000000000\n3") +
		line(4, "1\n1\n11\n3\n0,0\n1,1\n2,0") +
		line(5, "100\n"+ofItself(1000, "6")) +
		line(6, "100\n"+ofItself(1000, "7")) +
		line(7, "100\n"+ofItself(1000, "4")) +
		line(8, "1\n0") +
		line(9, "1\n1\n11\n0") +
		line(10, "1\n1\n11\n2\n0,0\n1e999,1") +
		line(11, "1\n1\n11\n2\n0,0\nnan,1") +
		line(-12, "1\n1\n11\n2\n0,0\n1,1") +
		"LineEnd\nPolygonBegin\n" +
		polygon(1, "100\n0,0\n22\n1\n1") +
		polygon(2, "100\n0,0\n22\n"+ofItself(1000, "3")) +
		polygon(3, "100\n0,0\n22\n"+ofItself(1000, "4")) +
		polygon(4, "100\n0,0\n22\n"+ofItself(1000, "5")) +
		polygon(5, "1\n0,0\n0") +
		polygon(6, "1\n0,0\n2000000000") +
		polygon(7, "100\n0,0\n21\n1\n9223372036854775807") +
		polygon(8, "100\n0,0\n21\n1\n-9223372036854775808") +
		polygon(9, "100\n0,0\n21\n0") +
		polygon(10, "7\n0,0\n21\n0") +
		polygon(11, "1\n0,0\n1\n12\n0,0\n1,1\n2,2") +
		polygon(12, "100\n0,0\n21\n1\n0") +
		"PolygonEnd\n"
	start := time.Now()
	got := dump(t, write(t, file("", sections)))
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("took %v", took)
	}
	for _, want := range []string{
		"object 1: the number of positions 2000000000 is more than",
		"object 2: objects are made of others more than 4 deep",
		"object 3: the number of parts 2000000000 is more than",
		"4 LINESTRING (0 0, 1 1, 2 0)",
		"object 10: the position \"1e999,1\"", "object 11: the position \"nan,1\"",
		"object 1: objects are made of others more than 4 deep",
		"object 2: the geometry has more than 2000000 parts",
		"object 6: the number of rings", "object 7: the part 9223372036854775807 does not exist",
		"object 8: the identifier \"-9223372036854775808\" of a part is no integer",
		"object 10: the type of polygon 7", "object 11: the three positions of the circle lie on a line",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q", want)
		}
	}
	if t.Failed() {
		t.Log(got)
	}
}

// TestTruncated cuts whole files at every line: that is a problem or a shorter file,
// never a crash, and the rows before the cut are the same.
func TestTruncated(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"modern", "classic", "direct"} {
		text := fixture(t, name)
		refused := 0
		parts := strings.SplitAfter(text, "\n")
		for i := range parts {
			path := write(t, strings.Join(parts[:i], ""))
			info, err := Inspect(t.Context(), path, Options{})
			if err != nil {
				if _, ok := errors.AsType[*problem.Error](err); !ok {
					t.Fatalf("%s to line %d: %v", name, i, err)
				}
				refused++
				continue
			}
			for _, l := range info.Layers {
				read(t, path, info, l.Name)
			}
		}
		if refused < len(parts)*8/10 {
			t.Errorf("%s: only %d of %d cuts are told", name, refused, len(parts))
		}
	}
}

// TestDamaged takes single lines out of whole files: the other objects stay what they
// were, whatever the line was.
func TestDamaged(t *testing.T) {
	t.Parallel()
	for _, modern := range []bool{true, false} {
		var b strings.Builder
		if err := grid(&b, 3, modern, nil); err != nil {
			t.Fatal(err)
		}
		parts := strings.SplitAfter(b.String(), "\n")
		from := 0
		for !strings.HasPrefix(parts[from], "PolygonBegin") {
			from++
		}
		for i := from + 1; !strings.HasPrefix(parts[i], "PolygonEnd"); i++ {
			path := write(t, strings.Join(parts[:i], "")+strings.Join(parts[i+1:], ""))
			info, err := Inspect(t.Context(), path, Options{})
			if err != nil {
				t.Fatalf("modern %v, without line %d: %v", modern, i, err)
			}
			whole := 0
			for _, f := range read(t, path, info, "DLTB") {
				if len(f.Faults) == 0 && f.Geom != nil {
					whole++
				}
			}
			// 14 parcels and lakes; what is left of a broken one may take the next with it.
			if whole < 12 {
				t.Errorf("modern %v, without line %d %q: %d parcels are whole", modern, i, parts[i], whole)
			}
		}
	}
}
