package features

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"changde/catalog"
	"changde/postgis"
	"changde/postgis/postgistest"
)

func TestClasses(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	of := func(id, class, statistics string) *catalog.Dataset {
		exec(t, pool, new(postgis.SQL).Raw("INSERT INTO changde.datasets (id, title_zh, sharing) VALUES (").Literal(id).Raw(", ").Literal(id).Raw(", 'public')"))
		for n, s := range map[int64]string{1: `{"column":"k","classes":[{"class":"old"}]}`, 2: statistics} {
			q := new(postgis.SQL).Raw("INSERT INTO changde.releases (dataset, release, revision, relation, geometry_type, rows, columns, statistics) VALUES (").Literal(id).Raw(", ").Int(n).
				Raw(", ").Int(n).Raw(", 'content.x', 'Point', 1, '[]', ")
			if s == "" {
				q.Raw("NULL)")
			} else {
				q.Literal(s).Raw(")")
			}
			exec(t, pool, q)
		}
		return &catalog.Dataset{ID: id, Class: class, Current: &catalog.Release{Number: 2}}
	}
	many := `{"column":"k","classes":[{"class":"z","rows":9},{"class":"","rows":5},{"class":"甲'\"","rows":4},{"class":"a","rows":3},{"class":"…","rows":2}]}`
	datasets := []*catalog.Dataset{
		of("many", "k", many), of("renamed", "other", many), of("none", "k", ""), of("empty", "k", `{"column":"k","classes":null}`), of("bare", "k", `{"rows":1}`),
		of("few", "k", `{"column":"k","classes":[{"class":"b"}]}`),
		{ID: "nosuch", Class: "k", Current: &catalog.Release{Number: 2}},
	}
	s := NewStore(pool, Config{})
	for most, want := range map[int]map[string][]string{
		10: {"many": {"z", `甲'"`, "a"}, "few": {"b"}},
		2:  {"many": {"z", `甲'"`}, "few": {"b"}},
	} {
		got, err := s.Classes(t.Context(), datasets, most)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("at most %d:\n%s", most, diff)
		}
	}
	if got, err := s.Classes(t.Context(), nil, 10); err != nil || len(got) != 0 {
		t.Errorf("of nothing: %v, %v", got, err)
	}
	pool.Close()
	if _, err := s.Classes(t.Context(), datasets, 10); err == nil || !strings.HasPrefix(err.Error(), "read classes: ") {
		t.Errorf("without a database: %v", err)
	}
}
