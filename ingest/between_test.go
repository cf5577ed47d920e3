package ingest_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"changde/catalog"
	"changde/ingest"
)

// between compares two releases of a dataset as a reader of all does.
func (b bundle) between(dataset string, from, to int) *ingest.Difference {
	b.Helper()
	known, err := catalog.Open(b.Context(), b.pool, catalog.Config{})
	if err != nil {
		b.Fatal(err)
	}
	d, ok := known.Snapshot().For(everything{}).Dataset(dataset)
	if !ok {
		b.Fatalf("no dataset %s", dataset)
	}
	earlier, ok1 := d.Release(from)
	later, ok2 := d.Release(to)
	if !ok1 || !ok2 {
		b.Fatalf("releases %d and %d are not both kept", from, to)
	}
	out, _, err := b.Between(b.Context(), d, earlier, later)
	if err != nil {
		b.Fatal(err)
	}
	return out
}

// The difference of two releases has the areas and classes of both, where they were
// counted by the same field.
func TestBetweenHasAreasAndClasses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	path := file(t, "parcels.geojson", parcels)
	b.deliver(ingest.Request{Files: []string{path}, Dataset: "p", Settings: ingest.Settings{Class: "DLMC", BusinessKey: "BSM"}})
	b.deliver(ingest.Request{Files: []string{file(t, "one.geojson", first(parcels))}, Dataset: "p"})
	d := b.between("p", 1, 2)
	if len(d.Before.Classes) != 3 || len(d.After.Classes) != 1 || d.After.Column != "DLMC" || d.Before.Rows != 3 || d.After.Rows != 1 {
		t.Errorf("classes: %+v, %+v", d.Before, d.After)
	}
	// A hundredth of a degree square at 29° north.
	if want := 1.07994e6; math.Abs(d.After.Area-want) > 0.001*want || d.Before.Area < 2*d.After.Area {
		t.Errorf("areas %.0f → %.0f, want the later %.0f", d.Before.Area, d.After.Area, want)
	}
	b.deliver(ingest.Request{Files: []string{path}, Dataset: "p", Settings: ingest.Settings{Class: "BSM"}})
	if d := b.between("p", 2, 3); len(d.Before.Classes)+len(d.After.Classes) != 0 || d.Before.Area == 0 {
		t.Errorf("classes by another field: %+v, %+v", d.Before, d.After)
	}
}

// first is a collection with its first feature alone.
func first(collection string) string {
	lines := strings.Split(collection, "\n")
	return lines[0] + "\n" + strings.TrimSuffix(lines[1], ",") + "\n]}"
}

// Classes beyond those that are counted one by one are counted together, which says
// how many they are and makes no class seem to come or go.
func TestManyClasses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	several := func(n int, twice string) string {
		features := make([]string, n)
		for i := range features {
			features[i] = strings.Replace(point(i+1), `"n":`, fmt.Sprintf(`"k":%d,"n":`, i+1), 1)
		}
		text := `{"type":"FeatureCollection","features":[` + strings.Join(features, ",") + `]}`
		return file(t, "c.geojson", strings.Replace(text, fmt.Sprintf(`"k":%d,"n":%d}`, n, n), fmt.Sprintf(`"k":%d,"n":%s}`, n, twice), 1))
	}
	b.deliver(ingest.Request{Files: []string{several(1500, "1500")}, Dataset: "p", Settings: ingest.Settings{Class: "n", BusinessKey: "k"}})
	// The last of the folded classes joins another, which is the largest then.
	report := b.deliver(ingest.Request{Files: []string{several(1500, "1499")}, Dataset: "p"})
	d := report.Difference
	if !d.InPlace || d.Changed != 1 {
		t.Fatalf("%+v", d)
	}
	for _, d := range []*ingest.Difference{d, b.between("p", 1, 2)} {
		before, after := make(map[string]int64), make(map[string]int64)
		for _, c := range d.Before.Classes {
			before[c.Class] = c.Rows
		}
		for _, c := range d.After.Classes {
			after[c.Class] = c.Rows
			if _, both := before[c.Class]; !both {
				t.Errorf("class %s seems to come", c.Class)
			}
		}
		var rows [2]int64
		for class, n := range before {
			rows[0], rows[1] = rows[0]+n, rows[1]+after[class]
		}
		if len(before) != len(after) || rows != [2]int64{1500, 1500} {
			t.Errorf("%d and %d classes, of %d rows", len(before), len(after), rows)
		}
	}
	if got := b.rows(`SELECT statistics->>'folded', statistics->'classes'->0->>'class' FROM changde.releases WHERE dataset = 'p' ORDER BY release`); got != "501 1\n500 1499" {
		t.Errorf("the releases say %q", got)
	}
}
