package cql2

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twpayne/go-geom"

	"changde/problem"
)

// same compares filters without their places.
var same = cmp.Options{
	cmp.FilterPath(func(p cmp.Path) bool { return p.Last().Type() == reflect.TypeFor[At]() }, cmp.Ignore()),
	cmp.Transformer("wkt", func(g geom.T) string { return string(appendWKT(nil, g)) }),
}

func TestCanonical(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, want string }{
		// Those of the specification that the subset has.
		{`avg(windSpeed) IS NULL OR 1=1`, ``},
		{`city='Toronto'`, `"city" = 'Toronto'`},
		{`balance<=5`, `"balance" <= 5`},
		{`windSpeed<>100.0`, `"windSpeed" <> 100`},
		{`taxes <= 500`, `"taxes" <= 500`},
		{`updated >= TIMESTAMP('2012-08-10T05:30:00.000Z')`, `"updated" >= TIMESTAMP('2012-08-10T05:30:00Z')`},
		{`updated > DATE('2012-08-10')`, `"updated" > DATE('2012-08-10')`},
		{`built = DATE('2012-02-29') and swimming_pool=true`, `"built" = DATE('2012-02-29') AND "swimming_pool" = TRUE`},
		{`swimming_pool=true AND (floors>5 OR material LIKE 'brick%' OR material LIKE '%brick')`, `"swimming_pool" = TRUE AND ("floors" > 5 OR "material" LIKE 'brick%' OR "material" LIKE '%brick')`},
		{`(floors>5 AND material='brick') OR swimming_pool=true`, `"floors" > 5 AND "material" = 'brick' OR "swimming_pool" = TRUE`},
		{`NOT (floors<5) OR swimming_pool=true`, `NOT "floors" < 5 OR "swimming_pool" = TRUE`},
		{`(owner LIKE 'Mike%' OR owner LIKE '% Mike%') and floors<4`, `("owner" LIKE 'Mike%' OR "owner" LIKE '% Mike%') AND "floors" < 4`},
		{`name LIKE 'Smith%'`, `"name" LIKE 'Smith%'`},
		{`name NOT LIKE 'Mc%' `, `"name" NOT LIKE 'Mc%'`},
		{`depth BETWEEN 100.0 and 150.0`, `"depth" BETWEEN 100 AND 150`},
		{`cityName IN ('Toronto','Frankfurt','Tokyo','New York')`, `"cityName" IN ('Toronto', 'Frankfurt', 'Tokyo', 'New York')`},
		{`category NOT IN (1,2,3,4)`, `"category" NOT IN (1, 2, 3, 4)`},
		{`geometry IS NOT NULL`, `"geometry" IS NOT NULL`},
		{`CASEI(road_class) IN (CASEI('Οδος'),CASEI('Straße'))`, `CASEI("road_class") IN (CASEI('Οδος'), CASEI('Straße'))`},
		{`casei(provider) Like casei('coo_%')`, `CASEI("provider") LIKE CASEI('coo_%')`},
		{`S_INTERSECTS(geom,POINT(36.319836 32.288087))`, `S_INTERSECTS("geom", POINT(36.319836 32.288087))`},
		{`S_INTERSECTS(geometry,POLYGON((-10.0 -10.0,10.0 -10.0,10.0 10.0,-10.0 -10.0)))`, `S_INTERSECTS("geometry", POLYGON((-10 -10, 10 -10, 10 10, -10 -10)))`},
		{`s_intersects(bbox(-128.098193, -1.1, -99999.0, 180.0, 90.0, 100000.0), geometry)`, `S_INTERSECTS(BBOX(-128.098193, -1.1, 180, 90), "geometry")`},
		{`S_INTERSECTS(geom, MULTIPOINT(12 54, 8 55))`, `S_INTERSECTS("geom", MULTIPOINT((12 54), (8 55)))`},
		{
			`S_INTERSECTS(geom, GEOMETRYCOLLECTION(POINT Z (1 2 3),LINESTRING(1 2 0,3 4 0), MULTILINESTRING((1 2,3 4),(5 6,7 8)), MULTIPOLYGON(((0 0,1 0,1 1,0 0)),((2 2,3 2,3 3,2 2)))))`,
			`S_INTERSECTS("geom", GEOMETRYCOLLECTION(POINT(1 2), LINESTRING(1 2, 3 4), MULTILINESTRING((1 2, 3 4), (5 6, 7 8)), MULTIPOLYGON(((0 0, 1 0, 1 1, 0 0)), ((2 2, 3 2, 3 3, 2 2)))))`,
		},
		// Chinese names and texts, quotes and escapes.
		{`地类名称 = '水田'`, `"地类名称" = '水田'`},
		{`"面积（亩）">=1e3`, `"面积（亩）" >= 1e3`},
		{`"a ""b"" c" = 1`, `"a ""b"" c" = 1`},
		{`owner = 'O''Neil'`, `"owner" = 'O''Neil'`},
		{`owner = 'O\'Neil'`, `"owner" = 'O''Neil'`},
		{`a = '\\'x'`, `"a" = '\\'x'`},
		{`a LIKE '50\%'`, `"a" LIKE '50\%'`},
		// The ways to write the same.
		{"a\n=\t+007.50E+03", `"a" = 7.5e3`},
		{`a = -.0`, `"a" = 0`},
		{`5 < a`, `5 < "a"`},
		{`not not not a = 1`, `NOT "a" = 1`},
		{`not (a not between 1 and 2)`, `"a" BETWEEN 1 AND 2`},
		{`NOT a IN (1)`, `"a" NOT IN (1)`},
		{`NOT (a = 1 AND b = 2)`, `NOT ("a" = 1 AND "b" = 2)`},
		{`a=1 and (b=2 and (c=3))`, `"a" = 1 AND "b" = 2 AND "c" = 3`},
		{`a=1 or b=2 and c=3`, `"a" = 1 OR "b" = 2 AND "c" = 3`},
		{`((true))`, `TRUE`},
		{`"and" = false`, `"and" = FALSE`},
		{`point = 1 AND date = 'x'`, `"point" = 1 AND "date" = 'x'`},
	}
	for _, tt := range tests {
		n, err := Parse(tt.text, Options{})
		if tt.want == "" {
			if err == nil {
				t.Errorf("%s is taken as %s", tt.text, n)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		if n.String() != tt.want {
			t.Errorf("%s\n is %s\nnot %s", tt.text, n, tt.want)
		}
		again, err := Parse(n.String(), Options{})
		if err != nil {
			t.Errorf("%s does not parse again: %v", n, err)
			continue
		}
		if diff := cmp.Diff(n, again, same); diff != "" {
			t.Errorf("%s parses again as another filter:\n%s", n, diff)
		}
	}
}

func TestLatitudeFirst(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`S_INTERSECTS(g, LINESTRING(29 111, 30 112))`: `S_INTERSECTS("g", LINESTRING(111 29, 112 30))`,
		`S_INTERSECTS(g, BBOX(29, 111, 30, 112))`:     `S_INTERSECTS("g", BBOX(111, 29, 112, 30))`,
	} {
		if n, err := Parse(text, Options{LatitudeFirst: true}); err != nil || n.String() != want {
			t.Errorf("%s is %v, %v", text, n, err)
		}
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text      string
		character int
		near      string
		zh, en    string
	}{
		{``, 1, ``, "此处应为 字段", "expected a property"},
		{`水田 =`, 5, ``, "此处应为 字段", "expected a property"},
		{`水田 = = 1`, 6, `= 1`, "此处应为 字段", "expected a property"},
		{`a = 1 b = 2`, 7, `b = 2`, "AND、OR 或结尾", "AND, OR or the end"},
		{`(a = 1`, 7, ``, "AND、OR 或 )", "AND, OR or )"},
		{`swimming AND a = 1`, 1, `swimming AND a =…`, `"swimming" = TRUE`, `"swimming" = TRUE`},
		{`NOT 'x'`, 8, ``, "IS NULL", "IS NULL"},
		{`NOT (a)`, 6, `a)`, "不是条件", "no condition"},
		{`a + 1 = 2`, 3, `+ 1 = 2`, "算术", "arithmetic"},
		{`a ~ 1`, 3, `~ 1`, "没有意义", "means nothing"},
		{`a != 1`, 3, `!= 1`, "<>", "<>"},
		{`a ＝ 1`, 3, `＝ 1`, "全角", "full-width"},
		{`a = ‘x’`, 5, `‘x’`, "全角", "full-width"},
		{`a = 'x`, 5, `'x`, "单引号", "closing quote"},
		{`a = 'x\'`, 5, `'x\'`, "单引号", "closing quote"},
		{`"a = 1`, 1, `"a = 1`, "双引号", "double quote"},
		{`"" = 1`, 1, `"" = 1`, "没有字段名", "no name"},
		{`a = 12abc`, 5, `12abc`, "数后面", "runs into"},
		{`a = 1e999`, 5, `1e999`, "范围", "range"},
		{`a = 1e1000`, 5, `1e1000`, "指数", "exponent"},
		{`a = - b`, 7, `b`, "应为 数", "a number"},
		{`a = NULL`, 5, `NULL`, "保留字", "reserved"},
		{`a IS 1`, 6, `1`, "应为 NULL", "expected NULL"},
		{`'a' IS NULL`, 1, `'a' IS NULL`, "IS NULL 前", "before IS NULL"},
		{`a NOT = 1`, 7, `= 1`, "LIKE、BETWEEN 或 IN", "LIKE, BETWEEN or IN"},
		{`a LIKE b`, 8, `b`, "模式", "a pattern"},
		{`'a' LIKE 'b'`, 1, `'a' LIKE 'b'`, "LIKE 前", "before LIKE"},
		{`a LIKE 'b\'`, 8, `'b\'`, "单引号", "closing quote"},
		{`a BETWEEN 1 OR 2`, 13, `OR 2`, "应为 AND", "expected AND"},
		{`a IN ()`, 7, `)`, "应为 字段", "expected a property"},
		{`a IN (1 2)`, 9, `2)`, ", 或 )", ", or )"},
		{`a = DATE('2012-02-30')`, 10, `'2012-02-30')`, "日期", "a date"},
		{`a = DATE('0000-01-01')`, 10, `'0000-01-01')`, "日期", "a date"},
		{`a = TIMESTAMP('2012-01-01T00:00:00+08:00')`, 15, `'2012-01-01T00:0…`, "时刻", "an instant"},
		{`a = TIMESTAMP('2012-01-01T00:00:00.1234567Z')`, 15, `'2012-01-01T00:0…`, "微秒", "microsecond"},
		{`S_WITHIN(g, POINT(1 2))`, 1, `S_WITHIN(g, POIN…`, "没有这个函数", "no such function"},
		{`S_INTERSECTS(g)`, 15, `)`, "应为 ,", "expected ,"},
		{`S_INTERSECTS(g, 5)`, 17, `5)`, "WKT", "WKT"},
		{`S_INTERSECTS(POINT(1 2), POINT(1 2))`, 1, `S_INTERSECTS(POI…`, "几何字段", "geometry property"},
		{`S_INTERSECTS(g, POINT(1))`, 24, `))`, "应为 数", "a number"},
		{`S_INTERSECTS(g, POINT EMPTY)`, 17, `POINT EMPTY)`, "", ""},
		{`S_INTERSECTS(g, LINESTRING(1 2))`, 27, `(1 2))`, "2 个位置", "2 positions"},
		{`S_INTERSECTS(g, POLYGON((0 0,1 0,0 0)))`, 25, `(0 0,1 0,0 0)))`, "4 个位置", "4 positions"},
		{`S_INTERSECTS(g, POLYGON((0 0,1 0,1 1,0 1)))`, 25, `(0 0,1 0,1 1,0 1…`, "闭合", "closed"},
		{`S_INTERSECTS(g, BBOX(1,2,3))`, 17, `BBOX(1,2,3))`, "4 个或 6 个", "4 or 6"},
		{`S_INTERSECTS(g, BBOX(1,2,3,4,5,6,7))`, 33, `,7))`, "", ""},
		{`S_INTERSECTS(g, BBOX(1,9,3,4))`, 17, `BBOX(1,9,3,4))`, "南纬度", "south"},
		{`g = POINT(1 2)`, 5, `POINT(1 2)`, "文字、数", "a text, a number"},
		{`(a = 1) = TRUE`, 2, `a = 1) = TRUE`, "文字、数", "a text, a number"},
		{`CASEI(5) = 'a'`, 7, `5) = 'a'`, "CASEI 中", "in CASEI"},
		{`a = 1; DROP TABLE x`, 6, `; DROP TABLE x`, "没有意义", "means nothing"},
	}
	for _, tt := range tests {
		n, err := Parse(tt.text, Options{})
		var e *Error
		var p *problem.Error
		if !errors.As(err, &e) || !errors.As(err, &p) || p.Kind != problem.Invalid || p.Where != "filter" {
			t.Errorf("%s: %v, %v", tt.text, n, err)
			continue
		}
		if strings.Contains(tt.text, "EMPTY") || strings.Contains(tt.text, "7))") { // where it is said matters little
			continue
		}
		if e.Character != tt.character || e.Near != tt.near || !strings.Contains(e.ZH, tt.zh) || !strings.Contains(e.EN, tt.en) {
			t.Errorf("%s: %d %q %v", tt.text, e.Character, e.Near, err)
		}
		if e.Near != "" && (!strings.Contains(p.ZH, e.Near) || !strings.Contains(p.EN, fmt.Sprint(e.Character))) {
			t.Errorf("%s: the place is not told: %v", tt.text, p)
		}
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	within := func(n int) string { return strings.Repeat("(", n) + "a=1" + strings.Repeat(")", n) }
	nots := func(n int) string { return strings.Repeat("NOT ", n) + "a=1" }
	values := func(n int) string { return "a IN (1" + strings.Repeat(",1", n-1) + ")" }
	terms := func(n int) string { return "a=1" + strings.Repeat(" OR a=1", n-1) }
	collections := func(n int) string {
		return "S_INTERSECTS(g," + strings.Repeat("GEOMETRYCOLLECTION(", n) + "POINT(1 2)" + strings.Repeat(")", n) + ")"
	}
	long := func(n int) string { return "a='" + strings.Repeat("x", n-4) + "'" }
	tests := []struct {
		name string
		of   func(int) string
		most int
	}{
		{"parentheses", within, MaxDepth},
		{"NOTs", nots, MaxDepth},
		{"values", values, MaxValues},
		{"terms", terms, (MaxNodes - 1) / 3},
		{"collections", collections, MaxDepth - 1},
		{"text", long, MaxText},
	}
	for _, tt := range tests {
		if _, err := Parse(tt.of(tt.most), Options{}); err != nil {
			t.Errorf("%d %s: %.200v", tt.most, tt.name, err)
		}
		if _, err := Parse(tt.of(tt.most+1), Options{}); !problem.Is(err, problem.Invalid) {
			t.Errorf("%d %s: %v", tt.most+1, tt.name, err)
		}
	}
	for _, s := range []string{"a = 'x\x00'", "a = '\xff'", "CASEI" + strings.Repeat("(CASEI", 60)} {
		if _, err := Parse(s, Options{}); !problem.Is(err, problem.Invalid) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// The bound on positions is beyond what the bound on the text lets in.
func TestPositions(t *testing.T) {
	t.Parallel()
	p := &parser{positions: MaxPositions, text: "1 2"}
	if err := p.next(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.position(nil); !problem.Is(err, problem.Invalid) {
		t.Errorf("one position more: %v", err)
	}
}

func TestOperators(t *testing.T) {
	t.Parallel()
	for op := Equal; op <= GreaterEqual; op++ {
		if op.Turned().Turned() != op {
			t.Errorf("%s turned twice is %s", op, op.Turned().Turned())
		}
	}
	if Less.Turned() != Greater || LessEqual.Turned() != GreaterEqual || Equal.Turned() != Equal {
		t.Error("an operator turns wrongly")
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`a = 1`, `"地类" NOT IN ('水田', '旱地') OR NOT (x BETWEEN -1 AND +2e3 AND y IS NOT NULL)`,
		`S_INTERSECTS(geom, MULTIPOLYGON(((0 0,1 0,1 1,0 0)),((2 2,3 2,3 3,2 2))))`, `CASEI(a) LIKE CASEI('%\_''\'')`,
		`t >= TIMESTAMP('2012-09-05T08:30:00.25Z') AND DATE('2012-09-05') > d`, `S_INTERSECTS(BBOX(1,2,3,4), g)`, `NOT NOT TRUE`,
	} {
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, s string, latitudeFirst bool) {
		n, err := Parse(s, Options{LatitudeFirst: latitudeFirst})
		if err != nil {
			if !problem.Is(err, problem.Invalid) {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		canonical := n.String()
		if len(canonical) > MaxText {
			return
		}
		again, err := Parse(canonical, Options{})
		if err != nil {
			t.Fatalf("%q is %q, which does not parse: %v", s, canonical, err)
		}
		if diff := cmp.Diff(n, again, same); diff != "" || again.String() != canonical {
			t.Fatalf("%q is %q, which is another filter:\n%s", s, canonical, diff)
		}
	})
}
