package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"changde/ingest/finding"
)

// forms are all that can be written of a document, as bytes.
var forms = map[string]func(*testing.T, io.Writer, Document) error{
	"HTML":    func(_ *testing.T, w io.Writer, d Document) error { return HTML(w, d) },
	"JSON":    func(_ *testing.T, w io.Writer, d Document) error { return JSON(w, d) },
	"XLSX":    func(_ *testing.T, w io.Writer, d Document) error { return XLSX(w, d) },
	"GeoJSON": func(_ *testing.T, w io.Writer, d Document) error { return GeoJSON(w, d) },
	"GeoPackage": func(t *testing.T, w io.Writer, d Document) error {
		path := filepath.Join(t.TempDir(), "points.gpkg")
		if err := GeoPackage(t.Context(), path, d); err != nil {
			if _, gone := os.Stat(path); !errors.Is(gone, os.ErrNotExist) {
				t.Errorf("a file is left after an error: %v", gone)
			}
			return err
		}
		b, err := os.ReadFile(path)
		if err == nil {
			_, err = w.Write(b)
		}
		return err
	},
}

func TestRuleTitle(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 20; n++ {
		if zh, en := RuleTitle(fmt.Sprintf("Q%02d", n)); zh == "" || en == "" {
			t.Errorf("Q%02d has no title: %q, %q", n, zh, en)
		}
	}
	for _, code := range []string{"", "Q", "Q0", "Q00", "Q21", "Q99", "q01", "Q1", "Q001", "Qaa", "Q-1"} {
		if zh, en := RuleTitle(code); zh+en != "" {
			t.Errorf("%q has a title: %q, %q", code, zh, en)
		}
	}
	if zh, _ := RuleTitle("Q06"); zh != "层内无重叠" {
		t.Errorf("Q06 is %q", zh)
	}
}

func TestErrorsReachTheCaller(t *testing.T) {
	t.Parallel()
	broken := errors.New("the connection is gone")
	d := parcels()
	d.Findings = func(yield func(finding.Finding) error) error {
		for i := range 10 {
			if err := yield(place("Q06", "overlap", finding.Error, int64(i+1), 111.7, 29, "", "")); err != nil {
				return err
			}
		}
		return broken
	}
	for name, write := range forms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := write(t, io.Discard, d); !errors.Is(err, broken) || !strings.Contains(err.Error(), "41") {
				t.Errorf("findings that break off: got %v", err)
			}
			if name != "GeoPackage" {
				if err := write(t, full{}, many(200)); !errors.Is(err, errFull) {
					t.Errorf("a disk that is full: got %v", err)
				}
			}
		})
	}
}

type full struct{}

var errFull = errors.New("no space left")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestDocumentsThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*Document){
		"area":      func(d *Document) { d.Difference.ByClass[0].AreaAfter = math.NaN() },
		"seconds":   func(d *Document) { d.Rules[0].Seconds = math.Inf(1) },
		"extent":    func(d *Document) { d.Extent = &[4]float64{111, 29, 110, 30} },
		"projected": func(d *Document) { d.Extent = &[4]float64{495_000, 3_190_000, 510_000, 3_210_000} },
		"nan":       func(d *Document) { d.Extent = &[4]float64{math.NaN(), 29, 110, 30} },
	} {
		for form, write := range forms {
			d := parcels()
			spoil(&d)
			if err := write(t, io.Discard, d); err == nil || !strings.Contains(err.Error(), "delivery 41") {
				t.Errorf("%s, %s: got %v", name, form, err)
			}
		}
	}
}

// TestPlacesThatAreNoneAreDropped: what is not on earth is in the list and not on
// the map.
func TestPlacesThatAreNoneAreDropped(t *testing.T) {
	t.Parallel()
	d := parcels()
	d.Findings = stream(
		place("Q03", "outside-box", finding.Block, 1, math.NaN(), 29, "甲", "first"),
		place("Q03", "outside-box", finding.Block, 2, 495_000, 3_190_000, "乙", "second"),
		place("Q03", "outside-box", finding.Block, 3, math.Inf(1), 0, "丙", "third"),
		place("Q03", "outside-box", finding.Block, 4, 111.7, 29.05, "丁", "fourth"),
	)
	var b bytes.Buffer
	if err := GeoJSON(&b, d); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), `"Point"`); n != 1 || !strings.Contains(b.String(), "fourth") {
		t.Errorf("%d points:\n%s", n, b.String())
	}
	b.Reset()
	if err := HTML(&b, d); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"甲", "乙", "丙", "丁", "共 1 个错误点"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	b.Reset()
	if err := JSON(&b, d); err != nil {
		t.Fatal(err)
	}
	if got := len(decode(t, b.Bytes()).Findings); got != 4 {
		t.Errorf("the JSON has %d findings", got)
	}
}

// read is a document as a reader of the JSON sees it.
type read struct {
	Document
	Findings []finding.Finding `json:"findings"`
}

func decode(t *testing.T, b []byte) read {
	t.Helper()
	var r read
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		t.Fatalf("%v in\n%s", err, b)
	}
	return r
}

func TestJSONReadsBack(t *testing.T) {
	t.Parallel()
	for name, d := range map[string]Document{"parcels": parcels(), "none": {Delivery: 3}, "many": many(3_000)} {
		var b bytes.Buffer
		if err := JSON(&b, d); err != nil {
			t.Fatal(err)
		}
		got := decode(t, b.Bytes())
		want := read{Document: d.filled()}
		if err := d.each(func(f finding.Finding) error { want.Findings = append(want.Findings, f); return nil }); err != nil {
			t.Fatal(err)
		}
		if want.Findings == nil {
			want.Findings = []finding.Finding{}
		}
		want.Document.Findings, want.Outline = nil, nil
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// hostile texts want to be markup, formulas, other lines, other directions.
var hostile = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `</style></title><svg onload=alert(1)>`, `javascript:alert(1)`, `{{.}}`, "'-alert(1)-'",
	"=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(1)", "\t=1", "\u202e\u0645\u0631\u062d\u0628\u0627 rtl\u200f", "a\x00b\x01\x1b[31m\x7f\u0085\u2028", "\xff\xfe\xb3\xa3",
	"\ufeff\u200b\u00ad", "]]><!--", "\r\nSet-Cookie: a", "_x0041_", strings.Repeat("长", 350_000), strings.Repeat("<", 1<<20),
}

// fill sets every text of v, and of what it holds, to s.
func fill(v reflect.Value, s string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(s)
	case reflect.Pointer:
		if !v.IsNil() {
			fill(v.Elem(), s)
		}
	case reflect.Slice:
		for i := range v.Len() {
			fill(v.Index(i), s)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i), s)
		}
	}
}

// told is the document of parcels with every text the same, but for the codes of
// the rules where they are kept.
func told(s string, codes bool) Document {
	d := parcels()
	var all []finding.Finding
	_ = d.each(func(f finding.Finding) error { all = append(all, f); return nil })
	fill(reflect.ValueOf(&d).Elem(), s)
	for i := range all {
		rule := all[i].Rule
		fill(reflect.ValueOf(&all[i]).Elem(), s)
		if codes {
			all[i].Rule = rule
		}
	}
	if codes {
		for i, r := range parcels().Rules {
			d.Rules[i].Code = r.Code
		}
	}
	d.Findings = stream(all...)
	return d
}

// TestHostileTextsAreText: whatever the texts, the page has the same elements.
func TestHostileTextsAreText(t *testing.T) {
	t.Parallel()
	tag := regexp.MustCompile(`<[A-Za-z/!][^>]*>`)
	anchors := regexp.MustCompile(`findings-\w+`)
	tags := func(d Document) ([]string, string) {
		var b bytes.Buffer
		if err := HTML(&b, d); err != nil {
			t.Fatal(err)
		}
		return tag.FindAllString(anchors.ReplaceAllString(b.String(), "findings-1"), -1), b.String()
	}
	want, _ := tags(told("harmless", true))
	for _, s := range hostile {
		name := s[:min(len(s), 40)]
		got, page := tags(told(s, true))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q changes the elements of the page:\n%s", name, diff)
		}
		got, other := tags(told(s, false))
		for _, tag := range got {
			if !strings.HasPrefix(tag, "<path ") && !slices.Contains(want, tag) {
				t.Errorf("%q as the code of a rule makes an element %s", name, tag)
			}
		}
		for _, page := range []string{page, other} {
			if len(page) > 1<<20 {
				t.Errorf("%q makes a page of %d bytes", name, len(page))
			}
			if i := strings.IndexFunc(page, func(r rune) bool {
				return r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r == 0x85 || r == 0x202e || r == 0x200b || r == 0x2028
			}); i >= 0 {
				t.Errorf("%q: the page holds an invisible %q", name, page[i:i+4])
			}
		}
	}
}

func TestVisible(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in    string
		limit int
		want  string
	}{
		{"", 5, ""},
		{"常德市武陵区", 6, "常德市武陵区"},
		{"常德市武陵区", 3, "常德市… [共 6 字 / 6 characters]"},
		{"a\u202eb", 9, "a[U+202E]b"},
		{"a\r\nb\rc\n", 9, "a\nb\nc\n"},
		{"\x00\x1b\u200b\ufeff\U000e0041", 9, "[U+0000][U+001B][U+200B][U+FEFF][U+E0041]"},
		{"\ufdd0\U0001ffff", 9, "[U+FDD0][U+1FFFF]"},
		{"\xff常", 9, "\ufffd常"},
		{"\ue000㐀𠀀", 9, "\ue000㐀𠀀"}, // rare characters of names, private ones among them
	} {
		if got := visible(tt.in, tt.limit); got != tt.want {
			t.Errorf("%q cut at %d: got %q, want %q", tt.in, tt.limit, got, tt.want)
		}
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ got, want string }{
		{grouped(0), "0"},
		{grouped(999), "999"},
		{grouped(1000), "1,000"},
		{grouped(-1234567), "-1,234,567"},
		{grouped(math.MinInt64), "-9,223,372,036,854,775,808"},
		{change(5, 5, 0), "0"},
		{change(5, 5.001, 2), "0"},
		{change(1000, 2500, 0), "+1,500"},
		{change(2500.5, 1000, 2), "−1,500.50"},
		{share(0, 5), ""},
		{share(5, 5), ""},
		{share(200, 201), "+0.50 %"},
		{share(1e9, 1e9+1), "±0.00 %"},
		{share(10, 0), "−100.00 %"},
		{size(0), "0 B"},
		{size(1023), "1023 B"},
		{size(1536), "1.5 KiB"},
		{size(48_511_932), "46.3 MiB"},
		{size(1 << 50), "1024.0 TiB"},
		{moment(time.Time{}), ""},
		{moment(time.Date(2026, 12, 31, 16, 0, 0, 0, time.UTC)), "2027-01-01 00:00:00"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	applied, skipped := RuleResult{Code: "Q06", Rows: 5}, RuleResult{Code: "Q07", SkipZH: "无", SkipEN: "none"}
	for _, tt := range []struct {
		d       Document
		c       Counts
		rules   []RuleResult
		grade   string
		zh, not string
	}{
		{Document{}, Counts{}, []RuleResult{applied}, "pass", "没有发现问题。", "未能应用"},
		{Document{}, Counts{}, nil, "warn", "没有检查规则的结果。", "没有发现问题"},
		{Document{}, Counts{}, []RuleResult{applied, skipped}, "pass", "1 条规则未能应用", "拒绝"},
		{Document{}, Counts{Warnings: 2}, []RuleResult{applied}, "warn", "2 个警告", "审批人"},
		{Document{}, Counts{Warnings: 2, Errors: 1200}, []RuleResult{applied}, "error", "1,200 个错误", "不能发布"},
		{Document{}, Counts{Warnings: 2, Errors: 1, Blocking: 1, Refused: 3}, []RuleResult{applied}, "block", "拒绝 3 行", "审批人"},
		{Document{State: "failed"}, Counts{}, nil, "block", "失败", "没有发现"},
		{Document{Error: "disk full"}, Counts{}, []RuleResult{applied}, "block", "失败", "没有发现"},
	} {
		grade, zh, en := verdict(&tt.d, tt.c, tt.rules)
		if grade != tt.grade || !strings.Contains(zh, tt.zh) || strings.Contains(zh, tt.not) || en == "" {
			t.Errorf("%+v: %s, %s, %s", tt, grade, zh, en)
		}
	}
}

// TestSampleIsFair: the page shows the first findings of each rule, as many in all
// as it may, and no rule has fewer than another unless it has no more.
func TestSampleIsFair(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 40).Draw(t, "limit")
		in := rapid.SliceOfN(rapid.IntRange(1, 6), 0, 200).Draw(t, "rules")
		s := newSample(limit)
		all := make(map[string][]int64)
		for i, r := range in {
			rule := fmt.Sprintf("Q%02d", r)
			all[rule] = append(all[rule], int64(i))
			s.add(rule, finding.Finding{Row: int64(i)})
		}
		total, most := 0, 0
		for rule, b := range s.buckets {
			total += len(b.kept)
			most = max(most, len(b.kept))
			for i, f := range b.kept {
				if f.Row != all[rule][i] {
					t.Fatalf("%s: finding %d is that of row %d, not the first ones %v", rule, i, f.Row, all[rule])
				}
			}
		}
		if total != min(limit, len(in)) || total != s.total {
			t.Fatalf("%d are kept of %d, at most %d; counted %d", total, len(in), limit, s.total)
		}
		for rule, found := range all {
			if n := len(s.buckets[rule].kept); n < most-1 && n < len(found) {
				t.Fatalf("%s has %d of %d, another rule %d", rule, n, len(found), most)
			}
		}
	})
}

func TestTallyOfRules(t *testing.T) {
	t.Parallel()
	d := Document{Rules: []RuleResult{
		{Code: "Q15", Check: "name-of-code", Found: 9, Kept: 1},
		{Code: "Q15", Check: "product", Found: 4, Kept: 2},
		{Code: "Q06", Found: 5_000_000},
		{Code: "Q04"},
	}}
	c := newTally()
	for _, f := range []finding.Finding{
		{Rule: "Q04", Severity: finding.Warn},
		{Rule: "Q04", Severity: finding.Block},
		{Rule: "Q06", Severity: finding.Error},
		{Rule: "Q15"},
		{Rule: "Q01", Severity: finding.Warn},
		{Rule: strings.Repeat("Q", 1<<20), Severity: "odd"},
	} {
		c.add(f)
	}
	want := []RuleResult{
		{Code: "Q01", Severity: finding.Warn, Found: 1, Kept: 1},
		{Code: "Q04", Found: 2, Kept: 2},
		{Code: "Q06", Found: 5_000_000, Kept: 1},
		{Code: "Q15", Check: "name-of-code", Found: 9, Kept: 1},
		{Code: "Q15", Check: "product", Found: 4, Kept: 2},
		{Code: otherRule, Severity: "odd", Found: 1, Kept: 1},
	}
	if diff := cmp.Diff(want, c.results(&d)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if d.Rules[3].Found != 0 {
		t.Error("the document was changed")
	}
	for i := range 500 {
		c.add(finding.Finding{Rule: fmt.Sprint("R", i)})
	}
	if len(c.rules) > maxRules+1 {
		t.Errorf("%d rules are told apart", len(c.rules))
	}
}

func TestPageIsOfOnePolicy(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := HTML(&b, parcels()); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	// html/template writes what is not a letter or a digit as a character reference.
	if want := strings.NewReplacer("'", "&#39;", "+", "&#43;").Replace(ContentSecurityPolicy()); !strings.Contains(page, want) {
		t.Errorf("the page does not name its policy %s", want)
	}
	_, rest, _ := strings.Cut(page, "<style>")
	if style, _, _ := strings.Cut(rest, "</style>"); style != pageCSS {
		t.Error("the style sheet in the page is not the one of the policy's hash")
	}
	for _, never := range []string{" style=", "<script", " src=", "url(", "@import", " onload", "http://", "https://"} {
		if strings.Contains(page, never) {
			t.Errorf("the page holds %q", never)
		}
	}
	ids := regexp.MustCompile(` id="([^"]+)"`).FindAllStringSubmatch(page, -1)
	var known []string
	for _, id := range ids {
		if slices.Contains(known, id[1]) {
			t.Errorf("id %q is there twice", id[1])
		}
		known = append(known, id[1])
	}
	for _, link := range regexp.MustCompile(`(?:href="#|aria-labelledby=")([^"]+)"`).FindAllStringSubmatch(page, -1) {
		if !slices.Contains(known, link[1]) {
			t.Errorf("a link leads to %q, which is not there", link[1])
		}
	}
}
