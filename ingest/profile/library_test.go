package profile

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"changde/ingest/finding"
	"changde/ingest/layer"
	"changde/problem"
)

func folder(files map[string]string) fstest.MapFS {
	m := fstest.MapFS{}
	for name, text := range files {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}

const codesHead = `{"id": "mine", "title": {"zh": "甲", "en": "a"}, "edition": "1"}`

func TestOverlay(t *testing.T) {
	t.Parallel()
	lib := builtin(t)
	before := len(lib.Profiles())
	over, err := lib.Overlay(folder(map[string]string{
		"a-1.json":            small,
		"dltb-3.json":         strings.Replace(small, `"a-1"`, `"dltb-3"`, 1),
		"profile.schema.json": "{}",
		"README.md":           "not a profile",
		"codes/mine.json":     codesHead,
		"codes/mine.csv":      "code,name\n1,甲\n",
	}))
	if err != nil {
		t.Fatal(err)
	}
	if p, ok := over.Profile("a-1"); !ok || p.TitleZH != "甲" {
		t.Error("a-1 is not there")
	}
	if p, _ := over.Profile("dltb-3"); p.TitleZH != "甲" {
		t.Error("dltb-3 is not replaced")
	}
	if c, ok := over.Codes("mine"); !ok || c.Name("1") != "甲" {
		t.Error("the table is not there")
	}
	if got := len(over.Profiles()); got != before+1 {
		t.Errorf("%d profiles, want %d", got, before+1)
	}
	if p, _ := lib.Profile("dltb-3"); p.TitleZH == "甲" || len(lib.Profiles()) != before {
		t.Error("the library below has changed")
	}
}

func TestOverlayRefuses(t *testing.T) {
	t.Parallel()
	lib := builtin(t)
	tests := []struct {
		name        string
		files       map[string]string
		code, where string
	}{
		{"file name", map[string]string{"b.json": small}, "profile-file-name", "b.json"},
		{"form", map[string]string{"a-1.json": strings.Replace(small, `"MultiPolygon"`, `3`, 1)}, "profile-invalid", "a-1.json"},
		{"fit", map[string]string{"a-1.json": strings.Replace(small, `["01*"]`, `["0199"]`, 1)}, "profile-unfit", "a-1.json"},
		{"not JSON", map[string]string{"a-1.json": "x"}, "profile-not-json", "a-1.json 第 1 行 line 1"},
		{"no CSV", map[string]string{"codes/mine.json": codesHead}, "codes-no-csv", "codes/mine.csv"},
		{"codes name", map[string]string{"codes/b.json": codesHead, "codes/b.csv": "code,name\n1,甲\n"}, "profile-file-name", "codes/b.json"},
		{"maps to an unknown table", map[string]string{
			"codes/mine.json": strings.Replace(codesHead, `"edition"`, `"mapsTo": "x", "edition"`, 1), "codes/mine.csv": "code,name\n1,甲\n",
		}, "codes-unknown", "mine"},
		{"maps to an unknown code", map[string]string{
			"codes/mine.json": strings.Replace(codesHead, `"edition"`, `"mapsTo": "survey-3", "edition"`, 1), "codes/mine.csv": "code,name,maps\n1,甲,0101 0199\n",
		}, "code-maps", "mine 1"},
		// A table that takes the place of another may not lose codes that profiles name.
		{"table that breaks a profile", map[string]string{
			"codes/survey-3.json": strings.Replace(codesHead, `"mine"`, `"survey-3"`, 1), "codes/survey-3.csv": "code,name\n1,甲\n",
		}, "code-maps", "plan-2023 01"},
	}
	for _, tt := range tests {
		_, err := lib.Overlay(folder(tt.files))
		var p *problem.Error
		if !errors.As(err, &p) || p.Code != tt.code || !strings.HasPrefix(p.Where, tt.where) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestLoadEmpty(t *testing.T) {
	t.Parallel()
	lib, err := Load(fstest.MapFS{})
	if err != nil || len(lib.Profiles()) != 0 {
		t.Error(lib, err)
	}
	if _, ok := lib.Profile("dltb-3"); ok {
		t.Error("an empty library has a profile")
	}
}

func TestParamsDefaults(t *testing.T) {
	t.Parallel()
	p := &Profile{BusinessKey: "BSM", TimeColumn: "RQ", Tolerance: Tolerance{Topology: 0.05, Area: 3}}
	tests := []struct {
		rule Rule
		want any
	}{
		{Rule{Code: NoOverlap}, OverlapParams{Tolerance: 0.05, Area: 3}},
		{Rule{Code: NoOverlap, Params: []byte(`{"area": 0}`)}, OverlapParams{Tolerance: 0.05}},
		{Rule{Code: NoGap}, GapParams{}},
		{Rule{Code: NoGap, Params: []byte(`{"parent": null}`)}, GapParams{}},
		{Rule{Code: NoGap, Params: []byte(`{"parent": "xzq"}`)}, GapParams{Parent: "xzq"}},
		{Rule{Code: NoSliver}, SliverParams{Area: 1, Thinness: 0.01}},
		{Rule{Code: NoDuplicate}, DuplicateParams{Distance: 0.05, Spike: 1}},
		{Rule{Code: NoDangle}, DangleParams{Tolerance: 1}},
		{Rule{Code: KeyUnique}, UniqueParams{Field: "BSM"}},
		{Rule{Code: AreaAgrees}, AreaParams{Absolute: 0.5, Relative: 0.0001}},
		{Rule{Code: EdgesMatch}, EdgeParams{Tolerance: 0.05}},
		{Rule{Code: Current}, CurrentParams{Field: "RQ", Earliest: "1949-10-01"}},
		{Rule{Code: ChangeSane}, ChangeParams{Count: 0.2, Area: 0.01}},
		{
			Rule{Code: AttributesAgree, Check: ValueWhen, Params: []byte(`{"field": "a", "value": "1", "when": "b", "in": ["2*"]}`)},
			ValueWhenParams{Field: "a", Value: Values{"1"}, When: "b", In: []string{"2*"}},
		},
		{
			Rule{Code: AttributesAgree, Check: ValueWhen, Params: []byte(`{"field": "a", "value": ["1", "2"], "when": "b", "in": ["2"]}`)},
			ValueWhenParams{Field: "a", Value: Values{"1", "2"}, When: "b", In: []string{"2"}},
		},
		{Rule{Code: FileOpens}, nil},
	}
	for _, tt := range tests {
		got, err := tt.rule.Parameters(p)
		if err != nil {
			t.Errorf("%s: %v", tt.rule.Code, err)
		} else if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.rule.Code, diff)
		}
	}
	if v, err := Params[OverlapParams](&Profile{}, Rule{Code: NoOverlap}); err != nil || v != (OverlapParams{Tolerance: 0.001, Area: 0.01}) {
		t.Error(v, err)
	}
	if _, err := Params[GapParams](p, Rule{Code: NoOverlap}); err == nil {
		t.Error("parameters of another rule were given")
	}
	if day, err := (CurrentParams{Earliest: "1949-10-01"}).EarliestDate(); err != nil || day != time.Date(1949, 10, 1, 0, 0, 0, 0, time.UTC) {
		t.Error(day, err)
	}
}

func TestRulesKnown(t *testing.T) {
	t.Parallel()
	want := map[finding.Severity]int{finding.Block: 6, finding.Error: 8, finding.Warn: 6}
	got := map[finding.Severity]int{}
	for _, code := range []string{
		"Q01", "Q02", "Q03", "Q04", "Q05", "Q06", "Q07", "Q08", "Q09", "Q10",
		"Q11", "Q12", "Q13", "Q14", "Q15", "Q16", "Q17", "Q18", "Q19", "Q20",
	} {
		got[DefaultSeverity(code)]++
		if zh, en := RuleTitle(code); zh == "" || en == "" {
			t.Errorf("%s has no title", code)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if DefaultSeverity("Q00") != "" || DefaultSeverity("") != "" {
		t.Error("an unknown rule has a severity")
	}
}

func TestAmong(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		value string
		want  bool
	}{{"0101", true}, {"01", true}, {"09", true}, {"0901", false}, {"", false}, {"1", false}} {
		if got := Among(tt.value, []string{"01*", "09"}); got != tt.want {
			t.Errorf("%q: %t", tt.value, got)
		}
	}
}

// TestDerive: whatever the fields of a file are called, the profile derived from
// them passes Check, is written and read the same, and knows every field of it.
func TestDerive(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var fields []layer.Field
		for range rapid.IntRange(0, 8).Draw(t, "fields") {
			fields = append(fields, layer.Field{
				Name: rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"a", "A", "名称", " b"})).Draw(t, "name"), Type: layer.Type(rapid.IntRange(0, 6).Draw(t, "type")),
				Width: rapid.IntRange(-1, 3000).Draw(t, "width"), Decimals: rapid.IntRange(-1, 40).Draw(t, "decimals"),
			})
		}
		p := Derive("free-1", rapid.String().Draw(t, "title"), rapid.String().Draw(t, "layer"), rapid.SampledFrom([]string{"", "Point", "Polygon", "GeometryCollection"}).Draw(t, "geometry"), fields)
		for _, f := range p.Fields {
			if rapid.Bool().Draw(t, "key") && !p.SetBusinessKey(f.Name) {
				t.Fatalf("no field %q", f.Name)
			}
		}
		found := Check(p, nil)
		if Failed(found) {
			t.Fatal(found)
		}
		q, found, err := Decode(strings.NewReader(string(encoded2(t, p))))
		if err != nil || len(found) > 0 {
			t.Fatal(err, found)
		}
		if diff := cmp.Diff(p, q); diff != "" {
			t.Fatalf("-derived +read:\n%s", diff)
		}
	})
	p := Derive("free-1", "", "", "Polygon", []layer.Field{{Name: "BSM", Type: layer.Text, Width: 18}, {Name: "bsm"}, {Name: "面积", Type: layer.Real, Width: 15, Decimals: 2}})
	if p.TitleZH != "free-1" || p.Geometry != "MultiPolygon" || len(p.Fields) != 2 || p.Fields[1].Decimals != 2 {
		t.Errorf("%+v", p)
	}
	if !p.SetBusinessKey("bsm") || p.BusinessKey != "BSM" || !p.Fields[0].Mandatory || p.SetBusinessKey("x") {
		t.Errorf("%+v", p)
	}
	var codes []string
	for _, r := range p.Rules {
		codes = append(codes, r.Code)
	}
	if got := strings.Join(codes, " "); got != "Q01 Q02 Q03 Q04 Q08 Q09 Q18 Q20 Q12" {
		t.Error(got)
	}
}

func encoded2(t *rapid.T, p *Profile) []byte {
	var b strings.Builder
	if err := Encode(&b, p); err != nil {
		t.Fatal(err)
	}
	return []byte(b.String())
}

func TestCutNames(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, gbk, utf8 string }{
		{"行政区划代码", "行政区划代", "行政区"},
		{"A行政区划代码", "A行政区划", "A行政区"},
		{"LONGENGLISHNAME", "LONGENGLIS", "LONGENGLIS"},
		{"BSM", "BSM", "BSM"},
		{"", "", ""},
		{"𠀀𠀀𠀀", "𠀀𠀀", "𠀀𠀀"}, // four bytes each in GB 18030 and in UTF-8
	} {
		if got := cutGBK(tt.name, 10); got != tt.gbk {
			t.Errorf("%s in GBK: %q", tt.name, got)
		}
		if got := cutUTF8(tt.name, 10); got != tt.utf8 {
			t.Errorf("%s in UTF-8: %q", tt.name, got)
		}
	}
}
