package ingest_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"changde/ingest"
	"changde/ingest/profile"
)

// squares writes a GeoJSON of parcels of about 20 m, one beside the
// other; where gives the place and width of each in parcels, op its change flag.
func squares(t testing.TB, where map[int][2]float64, op map[int]string) string {
	var features []string
	for k := range 20 {
		at, ok := where[k]
		if !ok && op[k] != "D" {
			continue
		}
		flag, shape := "", "null"
		if op != nil {
			flag = fmt.Sprintf(`,"变更类型":%q`, op[k])
		}
		if ok {
			w, e := 111.5+at[0]*0.0002, 111.5+(at[0]+at[1])*0.0002
			shape = fmt.Sprintf(`{"type":"Polygon","coordinates":[[[%[1]v,29],[%[2]v,29],[%[2]v,29.0002],[%[1]v,29.0002],[%[1]v,29]]]}`, w, e)
		}
		features = append(features, fmt.Sprintf(`{"type":"Feature","properties":{"k":"K%d"%s},"geometry":%s}`, k, flag, shape))
	}
	return file(t, "squares.geojson", `{"type":"FeatureCollection","features":[`+strings.Join(features, ",")+`]}`)
}

// A delivery of changes, or of rows to append, is checked together with what
// stays beside it; a fault of before is not told again.
func TestChangesAreCheckedBesideTheRest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	library, err := profile.Load(fstest.MapFS{"mesh.json": {Data: []byte(`{"id": "mesh", "title": {"zh": "网格", "en": "mesh"}, "geometry": "MultiPolygon",
		"businessKey": "k", "fields": [{"name": "k", "type": "text"}], "rules": [{"code": "Q06"}, {"code": "Q07"}]}`)}})
	if err != nil {
		t.Fatal(err)
	}
	b.Ingester = ingest.New(b.pool, ingest.Config{City: changde, TempDir: t.TempDir(), Library: library})
	b.deliver(ingest.Request{
		Files: []string{squares(t, map[int][2]float64{0: {0, 1}, 1: {1, 1}, 2: {2, 1}, 3: {2.5, 1}}, nil)}, Dataset: "p",
		Settings: ingest.Settings{BusinessKey: "k", Profile: "mesh"},
	})
	overlaps := func(r *ingest.Report) string {
		return b.rows(`SELECT row_number, code, reason_zh ~ '当前版本的要素' FROM changde.findings WHERE delivery = $1 AND rule = 'Q06' ORDER BY n`, r.Delivery)
	}
	changed := b.deliver(ingest.Request{
		Files:   []string{squares(t, map[int][2]float64{0: {0, 1.5}, 5: {10, 1}}, map[int]string{0: "U", 3: "D", 5: "I"})},
		Dataset: "p", Mode: ingest.Changes, Confirm: true,
	})
	if got, want := overlaps(changed), "1 overlap true"; got != want {
		t.Errorf("changes over a row that stays: %q, want %q", got, want)
	}
	appended := b.deliver(ingest.Request{
		Files: []string{squares(t, map[int][2]float64{6: {10.5, 1}, 7: {20, 1}}, nil)}, Dataset: "p", Mode: ingest.Append, Confirm: true,
	})
	if got, want := overlaps(appended), "1 overlap true"; got != want {
		t.Errorf("rows appended over one that is there: %q, want %q", got, want)
	}
}
