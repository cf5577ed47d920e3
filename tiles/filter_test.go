package tiles

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"changde/catalog"
	"changde/postgis"
	"changde/postgis/postgistest"
	"changde/problem"
)

// classFilter keeps the rows of one class.
type classFilter struct {
	class string
	fault error
	asked *int
}

func (f classFilter) SQL() *postgis.SQL {
	return new(postgis.SQL).Raw("class = ").Arg(f.class).Raw("::text")
}

func (f classFilter) String() string { return f.class }

func (f classFilter) Check(context.Context) error {
	if f.asked != nil {
		*f.asked++
	}
	return f.fault
}

// A tile of a filter holds, counts and omits only what the filter lets through,
// whatever of the same release was cached before.
func TestTileFiltered(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	d := seeded(t, pool, "MultiPolygon", 2000)
	ctx := t.Context()
	for _, c := range []struct{ z, most int }{{0, 0}, {0, 100}, {10, 0}, {10, 50}, {14, 0}} {
		s := NewSource(pool, Config{MaxFeatures: c.most})
		a := at(111.68, 29.03, c.z)
		whole, err := s.Tile(ctx, d, d.Current, a)
		if err != nil {
			t.Fatal(err)
		}
		var drawn, rows int64
		for class := range 5 {
			name := fmt.Sprintf("C%d", class)
			p := Part{Dataset: d, Release: d.Current, Filter: classFilter{class: name}}
			tile, err := s.Join(ctx, []Part{p}, a)
			if err != nil {
				t.Fatal(err)
			}
			drawn, rows = drawn+tile.Features, rows+accounted(t, tile)
			for _, l := range decoded(t, tile) {
				for _, f := range l.Features {
					if got, ok := f.Properties["class"]; ok && got != name {
						t.Fatalf("%s: a feature of %v in the tile of %s", a, got, name)
					}
					if f.ID == nil {
						continue
					}
					if id := int(f.ID.(float64)); id%5 != class {
						t.Fatalf("%s: feature %d in the tile of %s", a, id, name)
					}
				}
			}
			if again, err := s.Join(ctx, []Part{p}, a); err != nil || again != tile {
				t.Errorf("%s of %s is not cached: %v", a, name, err)
			}
		}
		if want := accounted(t, whole); rows != want || c.most == 0 && c.z >= DetailZoom && drawn != whole.Features || rows == 0 {
			t.Errorf("%s: classes draw %d and account for %d, the whole for %d and %d", a, drawn, rows, whole.Features, want)
		}
	}
}

func TestTileFilterIsChecked(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	d := seeded(t, pool, "MultiPoint", 50)
	s := NewSource(pool, Config{})
	a := at(111.68, 29.03, 12)
	asked := 0
	wrong := problem.New(problem.Invalid, "filter-invalid", "filter", "错", "wrong")
	bad := Part{Dataset: d, Release: d.Current, Filter: classFilter{"C1", wrong, &asked}}
	for range 2 {
		if _, err := s.Join(t.Context(), []Part{bad}, a); !errors.Is(err, error(wrong)) {
			t.Errorf("a wrong filter: %v", err)
		}
	}
	if asked != 2 {
		t.Errorf("a wrong filter was asked for %d times", asked)
	}
	good := Part{Dataset: d, Release: d.Current, Filter: classFilter{"C1", nil, &asked}}
	for range 3 {
		if _, err := s.Join(t.Context(), []Part{good}, a); err != nil {
			t.Error(err)
		}
	}
	if asked != 3 {
		t.Errorf("a cached tile asked for its filter: %d", asked)
	}
}

func TestTileColumnsChosen(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	d := seeded(t, pool, "MultiPolygon", 500)
	s := NewSource(pool, Config{})
	a := at(111.68, 29.03, 12)
	for _, names := range [][]string{{}, {"n"}, {"编号", "area"}} {
		columns := []catalog.Column{}
		for _, c := range d.Current.Columns {
			if slices.Contains(names, c.Name) {
				columns = append(columns, c)
			}
		}
		tile, err := s.Join(t.Context(), []Part{{Dataset: d, Release: d.Current, Columns: columns}}, a)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range decoded(t, tile) {
			for _, f := range l.Features {
				if f.ID == nil { // has its class alone, where that is chosen
					continue
				}
				if len(f.Properties) != len(names) {
					t.Fatalf("%v are chosen, and a feature has %v", names, f.Properties)
				}
				for _, n := range names {
					if _, ok := f.Properties[n]; !ok {
						t.Fatalf("%s is chosen, and a feature has %v", n, f.Properties)
					}
				}
			}
		}
	}
}

// Different parts have different keys, whatever is written in their filters and
// column names.
func TestPartKeys(t *testing.T) {
	t.Parallel()
	r := &catalog.Release{Revision: 3, Relation: [2]string{"content", "x"}}
	d := &catalog.Dataset{ID: "x", Revision: 4}
	column := func(names ...string) []catalog.Column {
		out := []catalog.Column{}
		for _, n := range names {
			out = append(out, catalog.Column{Name: n})
		}
		return out
	}
	seen := map[string]int{}
	for i, p := range []Part{
		{},
		{Columns: column()},
		{Columns: column("a")},
		{Columns: column("a", "b")},
		{Columns: column(`a" "b`)},
		{Filter: classFilter{class: "a"}},
		{Filter: classFilter{class: "a\" columns \"b"}},
		{Filter: classFilter{class: "a"}, Columns: column("b")},
		{Filter: classFilter{class: "a\nx"}},
	} {
		p.Dataset, p.Release = d, r
		k := p.key()
		if j, ok := seen[k]; ok {
			t.Errorf("parts %d and %d have one key %q", i, j, k)
		}
		seen[k] = i
		if strings.Contains(k, "\n") {
			t.Errorf("the key %q has a line feed", k)
		}
	}
}
