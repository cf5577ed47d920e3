package ingest_test

import (
	"fmt"
	"strings"
	"testing"

	"changde/ingest"
)

// A listed change has the values before and after of the changed fields alone, as
// text, and of bounded length and number.
func TestChangedValuesAreListed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	row := func(k int, properties string) string {
		return fmt.Sprintf(`{"type":"Feature","properties":{"k":%d,%s},"geometry":{"type":"Point","coordinates":[111.5,29.%d]}}`, k, properties, k)
	}
	deliver := func(rows ...string) *ingest.Report {
		path := file(t, "p.geojson", `{"type":"FeatureCollection","features":[`+strings.Join(rows, ",")+`]}`)
		return b.deliver(ingest.Request{Files: []string{path}, Dataset: "p", Settings: ingest.Settings{BusinessKey: "k"}})
	}
	const same = `"name":"城东","area":1.5,"seen":"2012-05-01T08:00:00+08:00","stays":"x"`
	many := func(v string) string {
		var out []string
		for i := range 60 {
			out = append(out, fmt.Sprintf(`"f%02d":%q`, i, v))
		}
		return strings.Join(out, ",")
	}
	fill := "," + many("a")
	deliver(row(1, same+fill), row(2, same+fill), row(3, same+fill), row(4, same+fill), row(5, same+fill))
	long := strings.Repeat("长", 300)
	report := deliver(row(1, `"name":null,"area":2.25,"seen":"2012-05-02T00:00:00Z","stays":"x"`+fill), row(2, `"name":"`+long+`","area":1.5,"seen":"2012-05-01T00:00:00Z","stays":"x"`+fill),
		row(4, same+","+many("b")), strings.Replace(row(5, same+fill), "29.5", "29.6", 1), row(6, same+fill))
	if !report.Difference.Values {
		t.Errorf("%+v", report.Difference)
	}
	list := fmt.Sprintf("difference.d%d", report.Delivery)
	got := b.rows(`SELECT kind, key, coalesce(before::text, '-'), coalesce(after::text, '-') FROM ` + list + ` WHERE key NOT IN ('2', '4') ORDER BY key`)
	want := `changed 1 {"area": "1.5", "name": "城东", "seen": "2012-05-01T00:00:00Z"} {"area": "2.25", "name": null, "seen": "2012-05-02T00:00:00Z"}
removed 3 - -
changed 5 - -
added 6 - -`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := b.rows(`SELECT length(after->>'name'), right(after->>'name', 2), after - 'name' FROM ` + list + ` WHERE key = '2'`); got != "200 长… map[]" {
		t.Errorf("a long value: %s", got)
	}
	if got := b.rows(`SELECT (SELECT count(*) FROM jsonb_object_keys(before)), (SELECT count(*) FROM jsonb_each_text(after) WHERE value = 'b') FROM ` + list + ` WHERE key = '4'`); got != "50 50" {
		t.Errorf("many fields: %s", got)
	}
}
