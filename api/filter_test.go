package api_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/paulmach/orb/encoding/mvt"

	"changde/ingest"
)

func filtered(target, filter string, more ...string) string {
	q := url.Values{"filter": {filter}}
	for i := 0; i < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	return target + "?" + q.Encode()
}

// Pages of a filter hold what the same condition in SQL finds, the links keep the
// filter, and the count honours it.
func TestItemsFiltered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	relation := w.relation(t, "wells")
	const triangle = "POLYGON((111.5 28.9, 111.8 28.9, 111.5 29.1, 111.5 28.9))"
	for filter, condition := range map[string]string{
		`类别 = '农用'`: `"类别" = '农用'`,
		`类别 IN ('农用','工业') AND 深度 BETWEEN 10 AND 40`:              `"类别" IN ('农用','工业') AND "深度" BETWEEN 10 AND 40`,
		`"名称" LIKE '水井1_号' OR NOT 深度 < 60`:                        `"名称" LIKE '水井1_号' OR "深度" >= 60`,
		`建成日期 >= DATE('2011-03-01') AND 编号 <> 'W00100'`:           `"建成日期" >= '2011-03-01' AND "编号" <> 'W00100'`,
		`S_INTERSECTS(geom, ` + triangle + `) AND 类别 IS NOT NULL`: `ST_Intersects(geom, ST_GeomFromText('` + triangle + `', 4490))`,
		`S_INTERSECTS(geometry, BBOX(111.5, 28.9, 111.6, 29))`:    `ST_Intersects(geom, ST_MakeEnvelope(111.5, 28.9, 111.6, 29, 4490))`,
	} {
		want := w.idsOf(t, "SELECT fid FROM "+relation+" WHERE "+condition+" ORDER BY fid")
		target := filtered("/collections/wells/items", filter, "limit", "5", "filter-lang", "cql2-text")
		got, pages := w.walk(t, water, target)
		if !slices.Equal(got, want) || len(want) == 0 || len(want) == wellCount {
			t.Errorf("%s: %v, want %v", filter, got, want)
		}
		first := w.page(t, water, target)
		if first.matched != float64(len(want)) {
			t.Errorf("%s: %v match, want %d", filter, first.matched, len(want))
		}
		if pages > 1 && !strings.Contains(first.next, "filter="+url.QueryEscape(filter)) {
			t.Errorf("%s: the next page is %s", filter, first.next)
		}
	}
	// With the other parameters.
	want := w.idsOf(t, "SELECT fid FROM "+relation+` WHERE "类别" = '农用' AND geom && ST_MakeEnvelope(111.5, 28.9, 111.7, 29, 4490) AND "建成日期" <= '2011-02-01' ORDER BY fid`)
	if got, _ := w.walk(t, water, filtered("/collections/wells/items", `类别 = '农用'`, "bbox", "111.5,28.9,111.7,29", "datetime", "../2011-02-01", "limit", "2")); !slices.Equal(got, want) || len(want) < 3 {
		t.Errorf("with a box and a time: %v, want %v", got, want)
	}
}

// relation is the table of a dataset's current rows.
func (w *world) relation(t testing.TB, dataset string) string {
	t.Helper()
	d, ok := w.catalog.Snapshot().For(everything{}).Dataset(dataset)
	if !ok {
		t.Fatalf("there is no dataset %s", dataset)
	}
	return fmt.Sprintf("%q.%q", d.Current.Relation[0], d.Current.Relation[1])
}

// everything may read everything.
type everything struct{}

func (everything) MayRead(string, string) bool { return true }

// The latitude comes first where the reference system says so.
func TestFilterCRS(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const items = "/collections/wells/items"
	want := w.page(t, water, filtered(items, `S_INTERSECTS(geom, BBOX(111.5, 28.9, 111.6, 29))`)).matched
	if want == nil || want == 0.0 {
		t.Fatalf("%v match", want)
	}
	for crs, filter := range map[string]string{
		"http://www.opengis.net/def/crs/OGC/1.3/CRS84": `S_INTERSECTS(geom, BBOX(111.5, 28.9, 111.6, 29))`,
		"http://www.opengis.net/def/crs/EPSG/0/4490":   `S_INTERSECTS(geom, BBOX(28.9, 111.5, 29, 111.6))`,
		"http://www.opengis.net/def/crs/EPSG/0/4326":   `S_INTERSECTS(geom, POLYGON((28.9 111.5, 29 111.5, 29 111.6, 28.9 111.6, 28.9 111.5)))`,
	} {
		if got := w.page(t, water, filtered(items, filter, "filter-crs", crs)).matched; got != want {
			t.Errorf("%s: %v match, want %v", crs, got, want)
		}
	}
}

func decodedTile(t testing.TB, a answer) mvt.Layers {
	t.Helper()
	if a.status == http.StatusNoContent {
		return nil
	}
	if a.status != http.StatusOK {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	layers, err := mvt.Unmarshal(a.body)
	check(t, err)
	return layers
}

// A filtered tile holds only what the filter lets through, whatever was cached
// before; the chosen properties are what it carries.
func TestTilesFiltered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const tile = "/collections/wells/tiles/WebMercatorQuad/0/0/0"
	whole := decodedTile(t, w.get(t, water, tile))
	if len(whole) != 1 || len(whole[0].Features) != wellCount {
		t.Fatalf("%d layers", len(whole))
	}
	tags := map[string]bool{}
	for _, class := range []string{"民用", "农用", "工业", "无"} {
		a := w.get(t, water, filtered(tile, `类别='`+class+`'`))
		n := 0
		for _, l := range decodedTile(t, a) {
			for _, f := range l.Features {
				n++
				if f.Properties["类别"] != class {
					t.Errorf("%s: a feature of %v", class, f.Properties["类别"])
				}
			}
		}
		want := len(w.idsOf(t, "SELECT fid FROM "+w.relation(t, "wells")+` WHERE "类别" = $1`, class))
		if n != want {
			t.Errorf("%s: %d features, want %d", class, n, want)
		}
		tags[a.header.Get("ETag")] = true
		// The same in other words is the same tile.
		if same := w.get(t, water, filtered(tile, `( "类别"  =  '`+class+`')`)); same.header.Get("ETag") != a.header.Get("ETag") {
			t.Errorf("%s in other words is another tile", class)
		}
	}
	if len(tags) != 4 {
		t.Errorf("four filters have %d tiles", len(tags))
	}
	for properties, want := range map[string][]string{"": {}, "深度": {"深度"}, "名称,编号": {"名称", "编号"}} {
		for _, f := range decodedTile(t, w.get(t, water, tile+"?properties="+url.QueryEscape(properties)))[0].Features {
			if len(f.Properties) != len(want) || slices.ContainsFunc(want, func(n string) bool { return f.Properties[n] == nil }) {
				t.Fatalf("properties=%s: %v", properties, f.Properties)
			}
		}
	}
}

func TestFilterRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const items, tile = "/collections/counties/items", "/collections/counties/tiles/WebMercatorQuad/8/106/207"
	for _, target := range []string{items, tile} {
		for _, c := range []struct{ filter, zh, en string }{
			{"", "在结尾处", "at the end"},
			{"name", "不是条件", "no condition"},
			{"name = ", "在结尾处", "at the end"},
			{"nmae = 'x'", "相近的有：name", "similar ones: name"},
			{"rev = 1", "没有这个字段", "no such property"},
			{"name = 5", "第 8 个字符", "at character 8"},
			{"name = 'x'; DROP TABLE changde.keys", "没有意义", "means nothing"},
			{"name = 'x' OR 1=1", "至少应有一个字段", "must be a property"},
			{"S_INTERSECTS(geom, POINT(29 111))", "filter-crs", "filter-crs"},
			{"S_INTERSECTS(geom, POLYGON((110 28, 113 31, 113 28, 110 31, 110 28)))", "几何无效", "not valid"},
			{"name = '" + strings.Repeat("x", 17<<10) + "'", "最长", "at most"},
			{strings.Repeat("(", 60) + "name = 'x'" + strings.Repeat(")", 60), "嵌套", "levels"},
			{"name IN ('x'" + strings.Repeat(",'x'", 1000) + ")", "IN 最多", "at most"},
		} {
			a := w.get(t, anonymous, filtered(target, c.filter))
			v := a.json(t)
			zh, _ := v["detail"].(string)
			en, _ := v["detailEn"].(string)
			if a.status != http.StatusBadRequest || problemOf(t, a) != "filter-invalid" || v["where"] != "filter" || !strings.Contains(zh, c.zh) || !strings.Contains(en, c.en) {
				t.Errorf("%s %.60s: status %d: %.300s", target, c.filter, a.status, a.body)
			}
		}
		for _, more := range []string{"filter-lang=cql2-json", "filter-lang=", "filter-crs=EPSG:4490", "filter-crs=http://www.opengis.net/def/crs/EPSG/0/3857"} {
			if a := w.get(t, anonymous, target+"?"+more); a.status != http.StatusBadRequest || problemOf(t, a) != "parameter-invalid" {
				t.Errorf("%s?%s: status %d: %s", target, more, a.status, a.body)
			}
		}
	}
	for _, properties := range []string{"nmae", "name,", "geom", "rev", ",", strings.Repeat("x", 5000)} {
		if a := w.get(t, anonymous, tile+"?properties="+properties); a.status != http.StatusBadRequest || problemOf(t, a) != "parameter-invalid" {
			t.Errorf("properties=%.50s: status %d: %s", properties, a.status, a.body)
		}
	}
	// Of what the caller may not see a wrong filter tells nothing.
	if a := w.get(t, anonymous, "/collections/pipes/items?filter=nowhere%3D1"); a.status != http.StatusNotFound {
		t.Errorf("a hidden collection: status %d: %s", a.status, a.body)
	}
	var left int
	check(t, w.pool.QueryRow(t.Context(), "SELECT count(*) FROM changde.keys").Scan(&left))
	if left == 0 {
		t.Error("the keys are gone")
	}
}

// idsIn are the features of each layer of a tile.
func idsIn(t testing.TB, a answer) map[string][]int64 {
	t.Helper()
	out := map[string][]int64{}
	for _, l := range decodedTile(t, a) {
		for _, f := range l.Features {
			out[l.Name] = append(out[l.Name], int64(f.ID.(float64)))
		}
		slices.Sort(out[l.Name])
	}
	return out
}

// One filter is for every collection of a tile, each of which it must fit.
func TestTilesOfSeveralFiltered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := "/tiles/" + address
	whole := idsIn(t, w.get(t, water, at+"?collections=wells,pipes"))
	for _, filter := range []string{`编号 LIKE '%01'`, `fid <= 7`, `S_INTERSECTS(geom, BBOX(111.5, 28.9, 111.6, 28.95))`, `编号 = 'W00003'`, `编号 = 'none'`} {
		want := map[string][]int64{}
		for _, d := range []string{"wells", "pipes"} {
			for l, ids := range idsIn(t, w.get(t, water, filtered("/collections/"+d+"/tiles/"+address, filter))) {
				want[l] = ids
			}
		}
		got := idsIn(t, w.get(t, water, filtered(at, filter, "collections", "wells,pipes")))
		if diff := cmp.Diff(want, got); diff != "" || len(got["wells"]) == len(whole["wells"]) || len(got["pipes"]) == len(whole["pipes"]) {
			t.Errorf("%s: %v\n%s", filter, got, diff)
		}
	}
	if got := idsIn(t, w.get(t, water, at+"?collections=wells,pipes")); !cmp.Equal(got, whole) || len(whole) != 2 {
		t.Errorf("without the filter: %v, before %v", got, whole)
	}
	// The axes are those of filter-crs for all.
	const crs4490 = "http://www.opengis.net/def/crs/EPSG/0/4490"
	a := w.get(t, water, filtered(at, `S_INTERSECTS(geom, BBOX(28.9, 111.5, 28.95, 111.6))`, "collections", "wells,pipes", "filter-crs", crs4490))
	if got := idsIn(t, a); len(got["wells"]) == 0 || len(got["pipes"]) == 0 {
		t.Errorf("latitude first: %v", got)
	}
	for _, c := range []struct {
		caller, collections, filter string
		status                      int
		code, en                    string
	}{
		{water, "wells,pipes", `深度 > 3`, 400, "filter-invalid", "collection pipes: "},
		{water, "pipes,wells", `深度 > 3`, 400, "filter-invalid", "collection pipes: "},
		{water, "wells,pipes", `编号 = 3`, 400, "filter-invalid", "collection wells: "},
		{water, "wells,pipes", ``, 400, "filter-invalid", "collection wells: "},
		{water, "wells,pipes", `S_INTERSECTS(geom, POLYGON((110 28, 113 31, 113 28, 110 31, 110 28)))`, 400, "filter-invalid", "not valid"},
		{land, "wells,pipes", `编号 = 'x'`, 404, "collection-not-found", ""},
		{land, "wells,pipes", `深度 > `, 404, "collection-not-found", ""}, // the same whatever the filter
	} {
		a := w.get(t, c.caller, filtered(at, c.filter, "collections", c.collections))
		en, _ := a.json(t)["detailEn"].(string)
		if a.status != c.status || problemOf(t, a) != c.code || !strings.Contains(en, c.en) {
			t.Errorf("%s %s %s: status %d: %s", c.caller, c.collections, c.filter, a.status, a.body)
		}
	}
	if a := w.get(t, water, filtered(at, `编号 = 'x'`, "collections", "wells", "filter-lang", "sql")); a.status != 400 {
		t.Errorf("another language: status %d", a.status)
	}
}

// What a filter may name is what the queryables list, of the release asked for.
func TestQueryables(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.get(t, water, "/collections/wells/queryables")
	if a.header.Get("Content-Type") != "application/schema+json" {
		t.Errorf("media type %q", a.header.Get("Content-Type"))
	}
	v := a.json(t)
	if v["$id"] != w.server.URL+"/collections/wells/queryables" {
		t.Errorf("the schema is %v", v["$id"])
	}
	properties := v["properties"].(map[string]any)
	for name, p := range properties {
		of := p.(map[string]any)
		if a := w.get(t, water, filtered("/collections/wells/items", `"`+name+`" IS NOT NULL`)); a.status != http.StatusOK {
			t.Errorf("the queryable %s: %s", name, a.body)
		}
		if of["type"] == nil && of["format"] != "geometry-point" {
			t.Errorf("the queryable %s is %v", name, of)
		}
	}
	if len(properties) != 7 || properties["建成日期"].(map[string]any)["x-ogc-role"] != "primary-instant" || properties["fid"].(map[string]any)["x-ogc-role"] != "id" {
		t.Errorf("the queryables are %v", properties)
	}
	w.deliver(t, ingest.Request{Files: []string{changedWells(t)}, Dataset: "wells", Sender: water})
	if old := w.get(t, water, "/collections/wells/queryables?release=1").json(t)["properties"].(map[string]any); len(old) != len(properties) {
		t.Errorf("the queryables of release 1 are %v", old)
	}
}

// The platform's own tables, whose columns are not all of the types the release
// declares, can be filtered as well.
func TestFilterOfOwnTables(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.declare(t)
	for _, d := range []string{"projects", "assets"} {
		for name, p := range w.get(t, egov, "/collections/"+d+"/queryables").json(t)["properties"].(map[string]any) {
			of := p.(map[string]any)
			filter := `"` + name + `" IS NULL OR "` + name + `" `
			switch {
			case of["format"] == "date":
				filter += `>= DATE('2000-01-01')`
			case of["format"] == "date-time":
				filter += `>= TIMESTAMP('2000-01-01T00:00:00Z')`
			case of["type"] == "string":
				filter += `LIKE '%'`
			case of["type"] == "boolean":
				filter += `IN (TRUE, FALSE)`
			case of["type"] == nil:
				filter = `geom IS NULL OR S_INTERSECTS(geom, BBOX(-180, -90, 180, 90))`
			default:
				filter += `>= 0`
			}
			all := w.page(t, egov, "/collections/"+d+"/items").ids
			if got := w.page(t, egov, filtered("/collections/"+d+"/items", filter)).ids; !slices.Equal(got, all) || len(all) == 0 {
				t.Errorf("%s: %s: %v, want %v", d, filter, got, all)
			}
		}
	}
}
