package profile

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestCodesCounts holds the tables to the numbers of classes that the standards
// themselves state.
func TestCodesCounts(t *testing.T) {
	t.Parallel()
	lib := builtin(t)
	tests := []struct {
		id    string
		depth map[int]int // characters of a code: how many
	}{
		{"gbt21010-2007", map[int]int{2: 12, 3: 57}},
		{"gbt21010-2017", map[int]int{2: 12, 4: 73}},
	}
	for _, tt := range tests {
		c, ok := lib.Codes(tt.id)
		if !ok {
			t.Fatalf("no table %s", tt.id)
		}
		got := map[int]int{}
		for row := range c.Each() {
			got[len(row.Code)]++
		}
		if diff := cmp.Diff(tt.depth, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.id, diff)
		}
	}
	c, _ := lib.Codes("gb50137-2011") // 8, 35 and 42 classes of urban land
	got := map[int]int{}
	for row := range c.Each() {
		if !strings.ContainsAny(row.Code[:1], "HE") {
			got[len(row.Code)]++
		}
	}
	if diff := cmp.Diff(map[int]int{1: 8, 2: 35, 3: 42}, got); diff != "" {
		t.Errorf("gb50137-2011 (-want +got):\n%s", diff)
	}
	c, _ = lib.Codes("plan-2023")
	top := 0
	for row := range c.Each() {
		if row.Parent == "" {
			top++
		}
	}
	if top != 24 {
		t.Errorf("plan-2023 has %d top classes, want 24", top)
	}
	c, _ = lib.Codes("divisions-changde")
	counties, towns := 0, 0
	for row := range c.Each() {
		switch len(row.Code) {
		case 6:
			counties++
		case 9:
			towns++
		}
	}
	if counties != 10 || towns != 178 {
		t.Errorf("Changde has %d counties and %d townships, want 10 and 178", counties, towns)
	}
}

func TestCodesJudge(t *testing.T) {
	t.Parallel()
	lib := builtin(t)
	water := Field{Within: []string{"2"}}
	tests := []struct {
		table, geometry string
		field           Field
		code            string
		want            Verdict
	}{
		{"survey-3", "MultiPolygon", Field{}, "0101", Accepted},
		{"survey-3", "MultiPolygon", Field{}, "09", Accepted}, // has no finer class
		{"survey-3", "MultiPolygon", Field{}, "01", Heading},
		{"survey-3", "MultiPolygon", Field{}, "08H2A", Accepted},
		{"survey-3", "MultiPolygon", Field{}, "0801", Unlisted},
		{"survey-3", "MultiPolygon", Field{}, "", Unlisted},
		{"survey-2", "MultiPolygon", Field{}, "203", Accepted},
		{"survey-2", "MultiPolygon", Field{}, "051", Unlisted},
		{"gbt13923-2006", "MultiLineString", water, "210101", Accepted},
		{"gbt13923-2006", "MultiLineString", water, "214300", Accepted}, // by its class 210000
		{"gbt13923-2006", "MultiLineString", water, "2101010", Accepted},
		{"gbt13923-2006", "MultiLineString", water, "210000", Heading},
		{"gbt13923-2006", "MultiLineString", water, "420101", Misplaced},
		{"gbt13923-2006", "MultiLineString", water, "230101", Mismatched}, // lakes are areas
		{"gbt13923-2006", "MultiLineString", water, "990000", Unlisted},
		{"gbt13923-2006", "MultiLineString", water, "21010", Unlisted},
		{"gbt13923-2006", "MultiLineString", water, "2101ab", Unlisted},
		{"gbt13923-2006", "Geometry", water, "230101", Accepted},
		{"gbt13923-2022", "Point", Field{}, "310200", Accepted},
		{"gbt13923-2022", "Point", Field{}, "910200", Unlisted},
		{"divisions-changde", "Point", Field{}, "430702", Accepted},
		{"divisions-changde", "Point", Field{}, "430700", Accepted},
		{"divisions-changde", "Point", Field{}, "430702001", Accepted},
		{"divisions-changde", "Point", Field{}, "430702001004", Accepted}, // a village
		{"divisions-changde", "Point", Field{}, "430702000000", Accepted},
		{"divisions-changde", "Point", Field{}, "4307020010040000000", Accepted},
		{"divisions-changde", "Point", Field{}, "430702999", Unlisted},
		{"divisions-changde", "Point", Field{}, "430799", Unlisted},
		{"divisions-changde", "Point", Field{}, "110101", Unlisted},
		{"qsxz-3", "MultiPolygon", Field{}, "30", Accepted},
		{"qsxz-3", "MultiPolygon", Field{}, "99", Doubtful},
		{"gb50137-2011", "MultiPolygon", Field{}, "R", Accepted}, // a plan may say no more
		{"gb50137-2011", "MultiPolygon", Field{}, "R21", Accepted},
		{"gb50137-2011", "MultiPolygon", Field{}, "C2", Unlisted}, // of the edition of 1990
		{"czcsxm", "MultiPolygon", Field{}, "203A", Accepted},
		{"plan-2023", "MultiPolygon", Field{}, "060101", Accepted},
	}
	for _, tt := range tests {
		c, ok := lib.Codes(tt.table)
		if !ok {
			t.Fatalf("no table %s", tt.table)
		}
		if got := c.Judge(tt.field, tt.geometry, tt.code); got != tt.want {
			t.Errorf("%s %s %q: %q, want %q", tt.table, tt.geometry, tt.code, got, tt.want)
		}
		if valid := c.Valid(tt.code); valid != (tt.want == Accepted || tt.want == Misplaced || tt.want == Mismatched) {
			t.Errorf("%s %q: valid is %t", tt.table, tt.code, valid)
		}
	}
}

func TestCodesNamesAndPaths(t *testing.T) {
	t.Parallel()
	lib := builtin(t)
	c, _ := lib.Codes("survey-3")
	for code, want := range map[string]string{"0101": "水田", "05H1": "商业服务业设施用地", "0810A": "广场用地", "0303": "红树林地", "1301": ""} {
		if got := c.Name(code); got != want {
			t.Errorf("%s is %q, want %q", code, got, want)
		}
	}
	c, _ = lib.Codes("gbt13923-2006")
	var path []string
	for _, row := range c.Path("240101") {
		path = append(path, row.Code+" "+row.Name)
	}
	if diff := cmp.Diff([]string{"200000 水系", "240000 水库", "240100 库区", "240101 水库"}, path); diff != "" {
		t.Errorf("path (-want +got):\n%s", diff)
	}
	c, _ = lib.Codes("plan-2023")
	row, _ := c.Get("0703")
	if diff := cmp.Diff([]string{"0702"}, row.Maps); diff != "" || row.Name != "农村宅基地" {
		t.Errorf("0703 %s maps to %v", row.Name, row.Maps)
	}
}

// TestPlanMapKeepsNames: a class of the plan that maps to a class of the survey has
// its name, or one of those listed as the same under another name.
func TestPlanMapKeepsNames(t *testing.T) {
	t.Parallel()
	lib := builtin(t)
	plan, _ := lib.Codes("plan-2023")
	survey, _ := lib.Codes("survey-3")
	same := map[string]string{
		"02": "种植园用地", "0203": "橡胶园", "1206": "轨道交通用地", "1706": "冰川及永久积雪",
	}
	for row := range plan.Each() {
		for _, to := range row.Maps {
			if want := or(same[row.Code], row.Name); survey.Name(to) != want {
				t.Errorf("%s %s maps to %s %s", row.Code, row.Name, to, survey.Name(to))
			}
		}
	}
}

func TestCodesOnADay(t *testing.T) {
	t.Parallel()
	c, found, err := DecodeCodes(
		strings.NewReader(`{"id": "a", "title": {"zh": "甲", "en": "a"}, "edition": "1"}`),
		strings.NewReader("code,name,from,to\n1,旧,,2023-01-01\n2,新,2023-01-01,\n"))
	if err != nil || len(found) > 0 {
		t.Fatal(err, found)
	}
	before, after := time.Date(2022, 12, 31, 23, 0, 0, 0, time.UTC), time.Date(2023, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		code string
		day  time.Time
		want bool
	}{{"1", before, true}, {"1", after, false}, {"2", before, false}, {"2", after, true}, {"3", after, false}} {
		if got := c.ValidOn(tt.code, tt.day); got != tt.want {
			t.Errorf("%s on %s: %t", tt.code, tt.day.Format(time.DateOnly), got)
		}
	}
}

func TestDecodeCodesRefuses(t *testing.T) {
	t.Parallel()
	const head = `{"id": "a", "title": {"zh": "甲", "en": "a"}, "edition": "1"}`
	tests := []struct{ name, head, rows, want string }{
		{"parent missing", head, "code,name,parent\n1,甲,9\n", "$.rows[0].parent code-parent"},
		{"ring", head, "code,name,parent\n1,甲,2\n2,乙,1\n", "$.rows[0].parent code-parent"},
		{"twice", head, "code,name\n1,甲\n1,乙\n", "$.rows[1] code-duplicate"},
		{"no name", head, "code,name\n1,\n", "$.rows[0] code-empty"},
		{"group", head, "code,name,group\n1,甲,yes\n", "$.rows[0] code-group"},
		{"geometry", head, "code,name,geometry\n1,甲,X\n", "$.rows[0] code-geometry"},
		{"date", head, "code,name,from\n1,甲,2023-13-01\n", "$.rows[0] code-date"},
		{"maps to nothing", head, "code,name,maps\n1,甲,2\n", "$.rows[0] code-maps"},
		{"unknown column", head, "code,name,colour\n1,甲,2\n", "codes-column"},
		{"column twice", head, "code,name,name\n1,甲,2\n", "codes-column"},
		{"no code column", head, "name\n甲\n", "codes-column"},
		{"empty", head, "", "codes-not-csv"},
		{"ragged", head, "code,name\n1\n", "codes-not-csv"},
		{"GBK", head, "code,name\n1,\xcb\xae\xcc\xef\n", "codes-not-csv"},
		{"unknown member", `{"id": "a", "title": {"zh": "甲", "en": "a"}, "edition": "1", "x": 1}`, "code,name\n1,甲\n", "$.x member-unknown"},
		{"open", `{"id": "a", "title": {"zh": "甲", "en": "a"}, "edition": "1", "open": {"lengths": [0], "prefix": 0}}`, "code,name\n1,甲\n", "$.open codes-open"},
	}
	for _, tt := range tests {
		_, found, err := DecodeCodes(strings.NewReader(tt.head), strings.NewReader(tt.rows))
		if got := firstIssue(t, found, err); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
