package features

import (
	"errors"
	"math"
	"testing"

	"changde/catalog"
	"changde/ingest/layer"
	"changde/problem"
)

// FuzzEdit checks that a feature that is written has a value of its type for each
// column, or is refused as the caller's.
func FuzzEdit(f *testing.F) {
	for _, text := range []string{
		`{"type":"Feature","geometry":{"type":"Point","coordinates":[111.5,29]},"properties":{"名称":"井","n":7,"x":1.5,"d":12345678901234567890.12,"b":true,"day":"2012-09-05","at":"2012-09-05T08:00:00+08:00"}}`,
		`{"type":"Feature","geometry":null,"properties":{}}`,
		`{"type":"Feature","geometry":{},"properties":{"n":1e30,"x":1e999,"名称":"\u0000","other":1}}`,
		`{"type":"Feature","geometry":{},"properties":{"day":"2012-02-30","n":"7","b":null}}`,
	} {
		f.Add([]byte(text))
	}
	columns := []catalog.Column{
		{Name: "名称", Type: layer.Text},
		{Name: "n", Type: layer.Integer},
		{Name: "x", Type: layer.Real},
		{Name: "d", Type: layer.Decimal},
		{Name: "b", Type: layer.Boolean},
		{Name: "day", Type: layer.Date},
		{Name: "at", Type: layer.Timestamp},
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		w := editor{release: &catalog.Release{Columns: columns}, edit: Edit{Feature: data}}
		if err := w.parse(); err != nil {
			var p *problem.Error
			if !errors.As(err, &p) || p.Kind != problem.Invalid && p.Kind != problem.TooLarge || p.ZH == "" || p.EN == "" {
				t.Fatalf("not the caller's problem: %v", err)
			}
			return
		}
		if len(w.values) != len(columns) || len(w.geometry) == 0 {
			t.Fatalf("%d values of %d, geometry %q", len(w.values), len(columns), w.geometry)
		}
		if x, ok := w.values[2].(float64); ok && (math.IsNaN(x) || math.IsInf(x, 0)) {
			t.Fatalf("a number is %v", x)
		}
	})
}
