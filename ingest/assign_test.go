package ingest_test

import (
	"strings"
	"testing"

	"changde/ingest"
)

const twoLayers = "geopackage/testdata/changde_4490.gpkg"

// The layers of a delivery find their datasets: by name at first, then as the
// sender's last delivery went.
func TestLayersFindTheirDatasets(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.org("land", "plan")
	told := func(sender string) string {
		list, err := b.Assign(t.Context(), ingest.Request{Files: []string{twoLayers}, Sender: sender})
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, a := range list {
			out = append(out, strings.Join(a.Layers, "+")+"→"+a.Dataset)
		}
		return strings.Join(out, " ")
	}
	if got := told("land"); got != "xzq→ places→" && got != "xzq→xzq places→" {
		t.Errorf("at first %q", got)
	}
	b.deliver(ingest.Request{Files: []string{twoLayers}, Layers: []string{"xzq"}, Dataset: "counties", Sender: "land"})
	b.deliver(ingest.Request{Files: []string{twoLayers}, Layers: []string{"places"}, Dataset: "places", Sender: "land"})
	if got, want := told("land"), "xzq→counties places→places"; got != want {
		t.Errorf("the sender's next delivery goes %q, want %q", got, want)
	}
	if got := told("plan"); !strings.HasSuffix(got, "places→places") || strings.Contains(got, "counties") {
		t.Errorf("another sender's goes %q", got)
	}
	list, err := b.Assign(t.Context(), ingest.Request{Files: []string{twoLayers}, Sender: "land"})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range list {
		if report := b.deliver(a.Apply(ingest.Request{Files: []string{twoLayers}, Sender: "land"})); report.Release != 2 {
			t.Errorf("%v: %+v", a.Layers, report)
		}
	}
}
