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
	d, _ := b.differ(dataset, from, to)
	return d
}

// differ is between with the features that differ.
func (b bundle) differ(dataset string, from, to int) (*ingest.Difference, []ingest.ChangedFeature) {
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
	out, list, err := b.Between(b.Context(), d, earlier, later)
	if err != nil {
		b.Fatal(err)
	}
	return out, list
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

// A feature that differs is named by its id in the later release, also where that was
// written anew, and says whether it moved. Of many a thousand are listed.
func TestBetweenNamesFeatures(t *testing.T) {
	t.Parallel()
	b := setup(t)
	at := func(k int, x float64, more string) string {
		return fmt.Sprintf(`{"type":"Feature","properties":{"k":"K%d"%s},"geometry":{"type":"Point","coordinates":[%g,29]}}`, k, more, x)
	}
	deliver := func(rows ...string) {
		path := file(t, "p.geojson", `{"type":"FeatureCollection","features":[`+strings.Join(rows, ",")+`]}`)
		b.deliver(ingest.Request{Files: []string{path}, Dataset: "p", Settings: ingest.Settings{BusinessKey: "k"}})
	}
	deliver(at(1, 111.5, ""), at(2, 111.6, ""), at(3, 111.7, ""))
	deliver(at(3, 111.8, `,"new":1`), at(2, 111.6, `,"new":1`), at(4, 111.9, `,"new":1`)) // another field: the content is written anew
	d, list := b.differ("p", 1, 2)
	// K3 was 3 and is 1, K1 was 1, K4 is 3.
	want := "[{changed 1 K3 [] true} {removed 1 K1 [] false} {added 3 K4 [] false}]"
	if got := fmt.Sprint(list); got != want || !d.Listed || d.Moved != 1 || d.Unchanged != 1 {
		t.Errorf("%s, want %s: %+v", got, want, d)
	}
	b.deliver(ingest.Request{Files: []string{points(t, 10)}, Dataset: "q"})
	b.deliver(ingest.Request{Files: []string{points(t, 1011)}, Dataset: "q"})
	if d, list := b.differ("q", 1, 2); len(list) != 1000 || d.Listed || d.Added != 1001 {
		t.Errorf("%d listed of %+v", len(list), d)
	}
}

// Releases of before statistics were kept are compared without areas.
func TestBetweenWithoutStatistics(t *testing.T) {
	t.Parallel()
	b := setup(t)
	path := file(t, "parcels.geojson", parcels)
	b.deliver(ingest.Request{Files: []string{path}, Dataset: "a", Settings: ingest.Settings{Class: "DLMC", BusinessKey: "BSM"}})
	b.deliver(ingest.Request{Files: []string{file(t, "one.geojson", first(parcels))}, Dataset: "a"})
	if _, err := b.pool.Exec(t.Context(), `UPDATE changde.releases SET statistics = NULL WHERE dataset = 'a' AND release = 1`); err != nil {
		t.Fatal(err)
	}
	if d := b.between("a", 1, 2); d.After.Area != 0 || d.After.Classes != nil || d.Before.Rows != 3 || d.After.Rows != 1 {
		t.Errorf("%+v", d)
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
