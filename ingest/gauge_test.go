package ingest_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"changde/ingest"
)

// What is measured while rows are loaded is what PostGIS measures of the table.
func TestStatisticsAreThoseOfPostGIS(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var features []string
	for n := range 500 {
		x, y, side := 111.3+0.002*float64(n%50), 28.6+0.01*float64(n/50), 0.0019
		ring := func(x, y, s float64) string {
			return fmt.Sprintf("[[%[1]g,%[2]g],[%[3]g,%[2]g],[%[3]g,%[4]g],[%[1]g,%[4]g],[%[1]g,%[2]g]]", x, y, x+s, y+s)
		}
		rings := ring(x, y, side)
		if n%7 == 0 {
			rings += "," + ring(x+side/4, y+side/4, side/2)
		}
		class := fmt.Sprintf(`"%d"`, n%4)
		if n%11 == 0 {
			class = "null"
		}
		features = append(features, fmt.Sprintf(`{"type":"Feature","properties":{"k":"K%d","dl":%s},"geometry":{"type":"Polygon","coordinates":[%s]}}`, n, class, rings))
	}
	path := filepath.Join(t.TempDir(), "plots.geojson")
	if err := os.WriteFile(path, []byte(`{"type":"FeatureCollection","features":[`+strings.Join(features, ",")+`]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	b.deliver(ingest.Request{Files: []string{path}, Dataset: "p", Settings: ingest.Settings{BusinessKey: "k", Class: "dl"}})
	var got ingest.Statistics
	var stored []byte
	var extent []float64
	if err := b.pool.QueryRow(t.Context(), "SELECT statistics, extent FROM changde.releases WHERE dataset = 'p'").Scan(&stored, &extent); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(stored, &got); err != nil {
		t.Fatal(err)
	}
	if got.Rows != 500 || len(got.Classes) != 5 {
		t.Fatalf("%d rows in %d classes, want 500 in 5", got.Rows, len(got.Classes))
	}
	rows, err := b.pool.Query(t.Context(), "SELECT coalesce(dl, ''), count(*), sum(ST_Area(geom::geography)) FROM data.p GROUP BY 1 ORDER BY 2 DESC, 1")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for n := 0; rows.Next(); n++ {
		var want ingest.ClassCount
		if err := rows.Scan(&want.Class, &want.Rows, &want.Area); err != nil {
			t.Fatal(err)
		}
		c := got.Classes[n]
		if c.Class != want.Class || c.Rows != want.Rows || math.Abs(c.Area-want.Area) > 2e-5*want.Area {
			t.Errorf("class %d is %+v, PostGIS has %+v", n, c, want)
		}
	}
	var box string
	if err := b.pool.QueryRow(t.Context(), "SELECT array[ST_XMin(e), ST_YMin(e), ST_XMax(e), ST_YMax(e)]::text FROM (SELECT ST_Extent(geom) e FROM data.p) x").Scan(&box); err != nil {
		t.Fatal(err)
	}
	if given := strings.ReplaceAll(fmt.Sprint(extent), " ", ","); strings.Trim(given, "[]") != strings.Trim(box, "{}") {
		t.Errorf("extent %s, PostGIS has %s", given, box)
	}
}
