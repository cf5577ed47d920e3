package report

import (
	"bytes"
	"testing"
)

func TestGolden(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(*bytes.Buffer) error{
		"parcels.html":    func(b *bytes.Buffer) error { return HTML(b, parcels()) },
		"parcels.json":    func(b *bytes.Buffer) error { return JSON(b, parcels()) },
		"parcels.geojson": func(b *bytes.Buffer) error { return GeoJSON(b, parcels()) },
		"empty.json":      func(b *bytes.Buffer) error { return JSON(b, Document{Delivery: 7, Dataset: "wells", State: "loading"}) },
		"empty.html":      func(b *bytes.Buffer) error { return HTML(b, Document{Delivery: 7, Dataset: "wells", State: "loading"}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			if err := write(&b); err != nil {
				t.Fatal(err)
			}
			golden(t, name, b.Bytes())
		})
	}
}
