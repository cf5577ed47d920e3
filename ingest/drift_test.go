package ingest_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"changde/ingest"
	"changde/problem"
)

// The plan of a delivery whose fields are not those of before says which came, went
// and changed their type; what is lost or changed waits for a person, what is added
// does not.
func TestFieldsDrift(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const row = `{"type":"FeatureCollection","features":[{"type":"Feature","properties":{%s},"geometry":{"type":"Point","coordinates":[111.5,29]}}]}`
	deliver := func(properties string) (*ingest.Report, error) {
		return b.try(ingest.Request{Files: []string{file(t, "p.geojson", fmt.Sprintf(row, properties))}, Dataset: "p", Settings: ingest.Settings{BusinessKey: "名称"}})
	}
	if report, err := deliver(`"名称":"井","n":1`); err != nil || report.Release != 1 {
		t.Fatalf("%+v, %v", report, err)
	}
	if report, err := deliver(`"名称":"井","n":1,"水深":2.5`); err != nil || report.State != ingest.StateReleased || len(report.Difference.Schema) != 1 {
		t.Errorf("an added field: %+v, %v", report, err)
	}
	if got := b.rows(`SELECT "名称", n, "水深" FROM data.p`); got != "井 1 2.5" {
		t.Errorf("the row is %q", got)
	}
	// One field took another's name, one is a text now: nothing of it goes unsaid.
	report, err := deliver(`"名称":"井","n":"一","水位":2.5`)
	if err != nil || report.State != ingest.StateAwaiting || report.Codes["field-dropped"] != 1 || report.Codes["field-retyped"] != 1 || len(report.Difference.Schema) != 3 {
		t.Errorf("fields renamed and retyped: %+v, %v", report, err)
	}
	if got := b.rows(`SELECT "名称", n, "水深" FROM data.p`); got != "井 1 2.5" {
		t.Errorf("before it is decided the row is %q", got)
	}
	if err := b.Decide(t.Context(), report.Delivery, ingest.Approve, ingest.Decider{Admin: true}); err != nil {
		t.Fatal(err)
	}
	if got := b.rows(`SELECT "名称", n, "水位" FROM data.p`); got != "井 一 2.5" {
		t.Errorf("the row is %q", got)
	}
}

// A layer that lost its geometry is refused, whichever format it comes in, and the
// one that has it stays.
func TestGeometryLost(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deliver(ingest.Request{Files: []string{points(t, 5)}, Dataset: "p"})
	for name, text := range map[string]string{
		"p.csv":      "名称,编号\n井,1\n泉,2\n",
		"p.geojson":  `{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"n":1},"geometry":null}]}`,
		"p.geojsonl": `{"type":"Feature","properties":{"n":1}}` + "\n",
	} {
		_, err := b.try(ingest.Request{Files: []string{file(t, name, text)}, Dataset: "p", Confirm: true})
		var p *problem.Error
		if !errors.As(err, &p) || p.Kind == problem.Busy || p.ZH == "" || p.EN == "" {
			t.Errorf("%s without geometry: %v", name, err)
		} else {
			t.Logf("%s: %v", name, p)
		}
	}
	dbf := t.TempDir()
	for _, ext := range []string{"dbf", "prj", "cpg"} {
		data, err := os.ReadFile("shapefile/testdata/xzq_gbk_4525." + ext)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dbf, "p."+ext), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.try(ingest.Request{Files: []string{dbf}, Dataset: "p", Confirm: true}); !problem.Is(err, problem.Invalid) {
		t.Errorf("a table without its shapes: %v", err)
	}
	if got := b.rows(`SELECT release, rows FROM changde.datasets WHERE id = 'p'`); got != "1 5" {
		t.Errorf("the dataset is %q", got)
	}
}
