package profile

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/simplifiedchinese"
	"pgregory.net/rapid"

	"changde/ingest/layer"
	"changde/ingest/shapefile"
)

// titled is a profile as a bureau writes one: Chinese names longer than a DBF holds.
func titled() *Profile {
	return &Profile{ID: "a", Geometry: "Point", Fields: []Field{
		{Name: "BSM", Alias: "标识码", Type: layer.Text, Length: 18, Mandatory: true},
		{Name: "XZQHDM", Alias: "行政区划代码", Type: layer.Text, Length: 12, Mandatory: true}, // 行政区划代 in GBK, 行政区 in UTF-8
		{Name: "KCDLBM", Alias: "扣除地类编码", Type: layer.Text, Length: 5},
		{Name: "KCDLMJ", Alias: "扣除地类面积", Type: layer.Real}, // 扣除地类面 in GBK, 扣除地 in UTF-8 as the one above
		{Name: "MS", Alias: "A级描述说明", Type: layer.Text},     // ten bytes end within a character
		{Name: "SL", Alias: "数量", Type: layer.Integer, Names: []string{"总计数"}},
		{Name: "LONGENGLISHNAME", Type: layer.Date},
		{Name: "BZ", Alias: "备注", Type: layer.Text},
	}}
}

// say writes a mapping for a person.
func say(p *Profile, fields []layer.Field, m Mapping) string {
	var b strings.Builder
	for _, x := range m.Pairs {
		fmt.Fprintf(&b, "%s = %s by %s, %s: %s / %s\n", p.Fields[x.Field].Name, fields[x.Source].Name, x.How, x.Converts, x.ZH, x.EN)
	}
	for _, x := range m.Missing {
		fmt.Fprintf(&b, "%s missing, mandatory %t\n", p.Fields[x.Field].Name, x.Mandatory)
	}
	for _, x := range m.Extra {
		fmt.Fprintf(&b, "%s extra\n", fields[x].Name)
	}
	for _, x := range m.Ambiguous {
		fmt.Fprintf(&b, "ambiguous: %s / %s\n", x.ZH, x.EN)
	}
	return b.String()
}

// readDBF reads the fields of a table whose names are in GBK or UTF-8.
func readDBF(t *testing.T, path, encoding string) []layer.Field {
	t.Helper()
	o := shapefile.Options{}
	if encoding == "GBK" {
		o.Decode = func(b []byte) (string, int, int) {
			// The bytes of half a character at the end are dropped, as charset does.
			for n := len(b); ; n-- {
				s, err := simplifiedchinese.GB18030.NewDecoder().Bytes(b[:n])
				if err == nil && !strings.ContainsRune(string(s), '\uFFFD') || n == 0 {
					return string(s), len(b) - n, 0
				}
			}
		}
	}
	r, err := shapefile.Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	return r.Fields()
}

// patchNames puts raw bytes in the place of the field names of a DBF: cut in the
// middle of a character, as programs do that count bytes.
func patchNames(t *testing.T, path string, names [][]byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		at := 32 + 32*i
		clear(b[at : at+11])
		copy(b[at:at+10], name)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestMatchRealDBF: names that a real table of ten bytes has cut.
func TestMatchRealDBF(t *testing.T) {
	t.Parallel()
	p := titled()
	full := []string{"标识码", "行政区划代码", "扣除地类编码", "扣除地类面积", "A级描述说明", "总计数", "LONGENGLISHNAME", "自定字段"}
	for _, encoding := range []string{"GBK", "UTF-8"} {
		dir := t.TempDir()
		path := filepath.Join(dir, "a.shp")
		var fields []layer.Field
		var names [][]byte
		for i, name := range full {
			fields = append(fields, layer.Field{Name: fmt.Sprintf("F%d", i), Type: layer.Text, Width: 20})
			raw := []byte(name)
			if encoding == "GBK" {
				var err error
				if raw, err = simplifiedchinese.GBK.NewEncoder().Bytes(raw); err != nil {
					t.Fatal(err)
				}
			}
			names = append(names, raw)
		}
		w, err := shapefile.Create(path, shapefile.WriteOptions{Type: shapefile.Point, Fields: fields})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		patchNames(t, strings.TrimSuffix(path, ".shp")+".dbf", names)
		got := readDBF(t, path, encoding)
		golden(t, "match-"+strings.ToLower(encoding)+".txt", say(p, got, Match(p, got)))
	}
}

// TestMatchGDAL: names that GDAL has cut when it wrote the table.
func TestMatchGDAL(t *testing.T) {
	t.Parallel()
	ogr, err := exec.LookPath("ogr2ogr")
	if err != nil {
		t.Skip("ogr2ogr is not installed")
	}
	lib := builtin(t)
	p, _ := lib.Profile("dltb-3")
	// The table has the Chinese titles of the standard for names, whole.
	var b strings.Builder
	b.WriteString(`{"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [[[111,29],[111,29.1],[111.1,29.1],[111,29]]]}, "properties": {`)
	for i, f := range p.Fields {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q: \"1\"", f.Alias)
	}
	b.WriteString(`}}]}`)
	dir := t.TempDir()
	source := filepath.Join(dir, "a.geojson")
	if err := os.WriteFile(source, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "b.shp")
	if text, err := exec.Command(ogr, "-f", "ESRI Shapefile", "-lco", "ENCODING=GBK", out, source).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	fields := readDBF(t, out, "GBK")
	m := Match(p, fields)
	cuts := 0
	for _, x := range m.Pairs {
		if x.How == ByCut {
			cuts++
		}
		if !strings.HasPrefix(p.Fields[x.Field].Alias, fields[x.Source].Name) {
			t.Errorf("%s is not the beginning of %s", fields[x.Source].Name, p.Fields[x.Field].Alias)
		}
	}
	if len(m.Pairs) != len(p.Fields) || len(m.Extra)+len(m.Missing)+len(m.Ambiguous) > 0 || cuts < 10 {
		t.Errorf("%d of %d fields, %d by a cut name\n%s", len(m.Pairs), len(p.Fields), cuts, say(p, fields, m))
	}
}

func TestMatchStandardNames(t *testing.T) {
	t.Parallel()
	lib := builtin(t)
	for _, p := range lib.Profiles() {
		var fields []layer.Field
		for _, f := range p.Fields {
			fields = append(fields, layer.Field{Name: strings.ToLower(f.Name), Type: f.Type, Width: f.Length})
		}
		m := Match(p, fields)
		if !m.Complete() || len(m.Pairs) != len(p.Fields) || len(m.Extra) > 0 {
			t.Errorf("%s: %s", p.ID, say(p, fields, m))
		}
	}
}

func TestMatchTable(t *testing.T) {
	t.Parallel()
	p := titled()
	text := func(names ...string) (fields []layer.Field) {
		for _, n := range names {
			fields = append(fields, layer.Field{Name: n, Type: layer.Text})
		}
		return fields
	}
	tests := []struct {
		name   string
		fields []layer.Field
		want   []string // what say must contain
		not    string
	}{
		{"case, width and spaces", text(" bsm", "ｘｚｑｈｄｍ"), []string{"BSM =  bsm by name", "XZQHDM = ｘｚｑｈｄｍ by name"}, "extra"},
		{"the name goes before the title", text("标识码", "BSM"), []string{"BSM = BSM by name", "标识码 extra"}, "ambiguous"},
		{"other name", text("总计数"), []string{"SL = 总计数 by other"}, "extra"},
		{"two columns of one name", text("BSM", "bsm"), []string{"ambiguous: 文件中的字段 BSM、bsm"}, "BSM missing"},
		{"five characters are one field only", text("扣除地类编"), []string{"KCDLBM = 扣除地类编 by cut"}, "ambiguous"},
		{"three characters are two", text("扣除地"), []string{"扣除地 与标准字段 KCDLBM、KCDLMJ 有多种对应可能"}, "KCDLBM ="},
		{"three that are two, one known", text("扣除地", "KCDLBM"), []string{"KCDLBM = KCDLBM by name", "KCDLMJ = 扣除地 by cut"}, "ambiguous"},
		{"half a character dropped", text("A级描述说"), []string{"MS = A级描述说 by cut"}, "extra"},
		{"GDAL makes cut names differ", text("扣除地类编", "扣除地类_1"), []string{"扣除地类_1 extra"}, "ambiguous"},
		{"English", text("LONGENGLIS"), []string{"LONGENGLISHNAME = LONGENGLIS by cut, row"}, "extra"},
		{"too short for a cut", text("行政", "LONGENG"), []string{"行政 extra", "LONGENG extra"}, "by cut"},
		{
			"types",
			[]layer.Field{{Name: "BSM", Type: layer.Integer}, {Name: "SL", Type: layer.Boolean}, {Name: "LONGENGLISHNAME", Type: layer.Real}, {Name: "KCDLMJ", Type: layer.Decimal}},
			[]string{"BSM = BSM by name, row: 字段名相同；文件类型 integer", "SL = SL by name, row", "LONGENGLISHNAME = LONGENGLISHNAME by name, wrong", "KCDLMJ = KCDLMJ by name, row"},
			"safe",
		},
		{
			"widths",
			[]layer.Field{{Name: "BSM", Type: layer.Text, Width: 20}, {Name: "XZQHDM", Type: layer.Text, Width: 6}},
			[]string{"文件宽 20，标准长 18，值可能超长", "文件宽 6，标准长 12，值可能已被截断"},
			"extra",
		},
		{"nothing", nil, []string{"BSM missing, mandatory true", "BZ missing, mandatory false"}, "="},
		{"empty name", text(""), []string{" extra"}, "="},
	}
	for _, tt := range tests {
		got := say(p, tt.fields, Match(p, tt.fields))
		for _, want := range tt.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: no %q in\n%s", tt.name, want, got)
			}
		}
		if strings.Contains(got, tt.not) {
			t.Errorf("%s: %q in\n%s", tt.name, tt.not, got)
		}
	}
}

// TestMatchProperties: every field and source is told of once, and the order of
// the file's fields changes nothing.
func TestMatchProperties(t *testing.T) {
	t.Parallel()
	names := rapid.SampledFrom([]string{
		"BSM", "bsm", "标识码", "行政区划代码", "行政区划代", "行政区", "行政区划名称", "行政区划名", "扣除地类编码", "扣除地类面积", "扣除地", "扣除地类", "A", "LONGENGLISHNAME",
		"LONGENGLIS", "LONGENGLISHNAMX", "",
	})
	rapid.Check(t, func(t *rapid.T) {
		p := &Profile{}
		for range rapid.IntRange(0, 6).Draw(t, "fields") {
			p.Fields = append(p.Fields, Field{Name: names.Draw(t, "name"), Alias: names.Draw(t, "alias"), Names: rapid.SliceOfN(names, 0, 2).Draw(t, "names")})
		}
		var fields []layer.Field
		for range rapid.IntRange(0, 6).Draw(t, "sources") {
			fields = append(fields, layer.Field{Name: names.Draw(t, "source"), Width: len(fields) + 1})
		}
		m := Match(p, fields)
		seenF, seenS := map[int]int{}, map[int]int{}
		for _, x := range m.Pairs {
			seenF[x.Field]++
			seenS[x.Source]++
		}
		for _, x := range m.Missing {
			seenF[x.Field]++
		}
		for _, x := range m.Extra {
			seenS[x]++
		}
		for _, x := range m.Ambiguous {
			if len(x.Fields) == 0 || len(x.Sources) == 0 || len(x.Fields)+len(x.Sources) < 3 {
				t.Fatalf("%+v is not ambiguous", x)
			}
			for _, f := range x.Fields {
				seenF[f]++
			}
			for _, s := range x.Sources {
				seenS[s]++
			}
		}
		for i := range p.Fields {
			if seenF[i] != 1 {
				t.Fatalf("field %d is told of %d times", i, seenF[i])
			}
		}
		for i := range fields {
			if seenS[i] != 1 {
				t.Fatalf("source %d is told of %d times", i, seenS[i])
			}
		}
		order := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)).Perm(len(fields))
		mixed := make([]layer.Field, len(fields))
		for i, to := range order {
			mixed[to] = fields[i]
		}
		if diff := cmp.Diff(known(m, fields), known(Match(p, mixed), mixed)); diff != "" {
			t.Fatalf("-order +other order:\n%s", diff)
		}
	})
}

// known is what a mapping says, with sources named by their width, which the test
// gives each one.
func known(m Mapping, fields []layer.Field) []string {
	var all []string
	for _, x := range m.Pairs {
		all = append(all, fmt.Sprint("pair ", x.Field, fields[x.Source].Width, x.How))
	}
	for _, x := range m.Extra {
		all = append(all, fmt.Sprint("extra ", fields[x].Width))
	}
	for _, x := range m.Ambiguous {
		var widths []int
		for _, s := range x.Sources {
			widths = append(widths, fields[s].Width)
		}
		slices.Sort(widths)
		all = append(all, fmt.Sprint("ambiguous ", x.Fields, widths))
	}
	slices.Sort(all)
	return all
}

func BenchmarkSuggest(b *testing.B) {
	lib := builtin(b)
	p, _ := lib.Profile("dltb-3")
	var fields []layer.Field
	for _, f := range p.Fields {
		fields = append(fields, layer.Field{Name: f.Alias, Type: f.Type})
	}
	for b.Loop() {
		lib.Suggest("DLTB", "Polygon", fields)
	}
}

func BenchmarkBuiltin(b *testing.B) {
	for b.Loop() {
		builtin(b)
	}
}
