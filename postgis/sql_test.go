package postgis_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"changde/postgis"
	"changde/postgis/postgistest"
)

func TestSQLText(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("地", 22) // 66 bytes
	part := new(postgis.SQL).Ident("名称").Raw(" = ").Arg("常德")
	tests := []struct {
		name string
		sql  *postgis.SQL
		want string
		args []any
	}{
		{"empty", new(postgis.SQL), "", nil},
		{"text", new(postgis.SQL).Raw("SELECT 1"), "SELECT 1", nil},
		{"qualified", new(postgis.SQL).Ident("data", "地块"), `"data"."地块"`, nil},
		{"quote in a name", new(postgis.SQL).Ident(`a"; DROP TABLE x; --`), `"a""; DROP TABLE x; --"`, nil},
		{"empty name", new(postgis.SQL).Ident(""), `""`, nil},
		{"no name", new(postgis.SQL).Ident(), `""`, nil},
		{"name with NUL", new(postgis.SQL).Ident("a\x00b"), `""`, nil},
		{"name too long", new(postgis.SQL).Ident(long), `""`, nil},
		{"list", new(postgis.SQL).Idents([]string{"a", "b c"}), `"a", "b c"`, nil},
		{"arguments", new(postgis.SQL).Raw("a = ").Arg(1).Raw(" AND b = ").Arg("x"), "a = $1 AND b = $2", []any{1, "x"}},
		{"added", new(postgis.SQL).Arg(0).Raw(" ").Add(part).Raw(" ").Arg(2), `$1 "名称" = $2 $3`, []any{0, "常德", 2}},
		{"joined", new(postgis.SQL).Join(" AND ", part, part), `"名称" = $1 AND "名称" = $2`, []any{"常德", "常德"}},
		{"literal", new(postgis.SQL).Literal("it's"), `'it''s'`, nil},
		{"literal with backslash", new(postgis.SQL).Literal(`\'; --`), ` E'\\''; --'`, nil},
		{"literal with NUL", new(postgis.SQL).Literal("a\x00"), `""`, nil},
		{"number", new(postgis.SQL).Raw("geometry(Point, ").Int(4490).Raw(")"), "geometry(Point, 4490)", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.sql.String(); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if d := cmp.Diff(tt.args, tt.sql.Args()); d != "" {
				t.Errorf("arguments (-want +got):\n%s", d)
			}
		})
	}
}

func TestSQLAddToItself(t *testing.T) {
	t.Parallel()
	s := new(postgis.SQL).Arg("a")
	s.Add(s)
	if got := s.String(); got != "$1$2" {
		t.Errorf("got %s, want $1$2", got)
	}
}

// hostile are names and texts that would end a quotation in one dialect or other.
var hostile = []string{
	`plain`, `with space`, `Ünïcode`, `地块"面积`, `"`, `""`, `'`, `''`, `\`, `\'`, `\"`, `a"b'c\d`,
	`"; DROP TABLE witness; --`, `'; DROP TABLE witness; --`, `\'; DROP TABLE witness; --`, `$1`, `$$`, `/*`, `--`,
	"line\nbreak", "tab\t", "\u202e", `E'\''`, `U&"\0041"`, strings.Repeat("x", 63),
}

func TestSQLKeepsHostileNamesAndTexts(t *testing.T) {
	t.Parallel()
	ctx, pool := t.Context(), postgistest.New(t)
	if _, err := pool.Exec(ctx, "CREATE TABLE witness (); CREATE SCHEMA h"); err != nil {
		t.Fatal(err)
	}
	for _, name := range hostile {
		for _, q := range []*postgis.SQL{
			new(postgis.SQL).Raw("CREATE TABLE ").Ident("h", name).Raw(" (").Ident(name).Raw(" text)"),
			new(postgis.SQL).Raw("INSERT INTO ").Ident("h", name).Raw(" VALUES (").Arg(name).Raw(")"),
			new(postgis.SQL).Raw("COMMENT ON TABLE ").Ident("h", name).Raw(" IS ").Literal(name),
		} {
			if _, err := pool.Exec(ctx, q.String(), q.Args()...); err != nil {
				t.Fatalf("%q: %s: %v", name, q, err)
			}
		}
		q := new(postgis.SQL).Raw("SELECT ").Ident(name).Raw(", ").Literal(name).
			Raw(`, (SELECT obj_description(oid, 'pg_class') FROM pg_class WHERE relnamespace = 'h'::regnamespace AND relname = `).Arg(name).
			Raw(") FROM ").Ident("h", name)
		var value, literal, comment string
		if err := pool.QueryRow(ctx, q.String(), q.Args()...).Scan(&value, &literal, &comment); err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		if value != name || literal != name || comment != name {
			t.Errorf("%q came back as %q, %q and %q", name, value, literal, comment)
		}
	}
	var whole bool
	if err := pool.QueryRow(ctx, "SELECT to_regclass('witness') IS NOT NULL").Scan(&whole); err != nil || !whole {
		t.Errorf("the witness table is gone (%v)", err)
	}
}

func TestSQLThatCannotBeWrittenFails(t *testing.T) {
	t.Parallel()
	ctx, pool := t.Context(), postgistest.New(t)
	// The server would cut the first name to the second.
	if _, err := pool.Exec(ctx, new(postgis.SQL).Raw("CREATE TABLE ").Ident(strings.Repeat("x", 63)).Raw(" ()").String()); err != nil {
		t.Fatal(err)
	}
	for _, q := range []*postgis.SQL{
		new(postgis.SQL).Raw("SELECT FROM ").Ident(strings.Repeat("x", 64)),
		new(postgis.SQL).Raw("SELECT FROM ").Ident("a\x00"),
		new(postgis.SQL).Raw("SELECT FROM ").Ident(),
		new(postgis.SQL).Raw("SELECT ").Literal("a\x00"),
	} {
		if _, err := pool.Exec(ctx, q.String()); err == nil {
			t.Errorf("%s was executed", q)
		}
	}
}
