package ingest_test

import (
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
