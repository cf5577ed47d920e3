package ingest_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"changde/catalog"
	"changde/ingest"
	"changde/postgis"
	"changde/postgis/postgistest"
	"changde/problem"
)

var changde = catalog.City{
	NameZH: "常德市", NameEN: "Changde", Code: "430700",
	Box: catalog.Bounds{110.3, 28.3, 112.5, 30.3}, View: catalog.Bounds{111.6, 28.96, 111.78, 29.1}, CRS: []int{4525, 4546, 4490},
}

// bundle is a database with an ingester.
type bundle struct {
	testing.TB
	pool *pgxpool.Pool
	*ingest.Ingester
}

func setup(t testing.TB) bundle {
	t.Helper()
	pool := postgistest.New(t)
	return bundle{t, pool, ingest.New(pool, ingest.Config{City: changde, TempDir: t.TempDir(), Keep: 3})}
}

// deliver plans and runs a request that is expected to succeed; changes of any
// size are confirmed.
func (b bundle) deliver(r ingest.Request) *ingest.Report {
	b.Helper()
	r.Confirm = true
	report, err := b.try(r)
	if err != nil {
		b.Fatalf("deliver %v: %v", r.Files, err)
	}
	return report
}

func (b bundle) try(r ingest.Request) (*ingest.Report, error) {
	b.Helper()
	plan, err := b.Plan(b.Context(), r)
	if err != nil {
		return nil, err
	}
	return b.Run(b.Context(), plan, nil)
}

// rows reads a query's rows as text, one line each.
func (b bundle) rows(sql string, args ...any) string {
	b.Helper()
	rows, err := b.pool.Query(b.Context(), sql, args...)
	if err != nil {
		b.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
		values, err := row.Values()
		return strings.TrimSuffix(fmt.Sprintln(values...), "\n"), err
	})
	if err != nil {
		b.Fatalf("%s: %v", sql, err)
	}
	return strings.Join(lines, "\n")
}

func file(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	countiesZone = "shapefile/testdata/xzq_gbk_4525.shp"
	countiesCM   = "shapefile/testdata/xzq_gbk_nocpg_4546.shp"
)

// The same counties come in two projections with and without a .cpg: they must
// arrive as the same names and shapes. The areas are those of the source of the
// data, computed by another program.
func TestCountiesInEachFormat(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for path, layers := range map[string][]string{
		countiesZone: nil, countiesCM: nil, "geopackage/testdata/changde_4490.gpkg": {"xzq"}, "../examples/changde/data/counties.geojson": nil,
	} {
		report := b.deliver(ingest.Request{Files: []string{path}, Dataset: "xzq", Layers: layers})
		if report.Read != 9 || report.Published != 9 || report.Refused != 0 {
			t.Errorf("%s: report %+v", path, report)
		}
		got := b.rows(`SELECT name, adcode FROM data.xzq ORDER BY adcode`)
		want := "武陵区 430702\n鼎城区 430703\n安乡县 430721\n汉寿县 430722\n澧县 430723\n临澧县 430724\n桃源县 430725\n石门县 430726\n津市市 430781"
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: names (-want +got):\n%s", path, diff)
		}
		if got := b.rows(`SELECT round((sum(ST_Area(ST_Transform(geom, 4546))) / 1e6)::numeric, 1)::text FROM data.xzq`); got != "18174.2" {
			t.Errorf("%s: %s km², want 18174.2", path, got)
		}
	}
	// Whatever the projection they came in, corners differ by less than 1 mm.
	b.deliver(ingest.Request{Files: []string{countiesZone}, Dataset: "zone"})
	for _, other := range []ingest.Request{{Files: []string{countiesCM}}, {Files: []string{"geopackage/testdata/changde_4490.gpkg"}, Layers: []string{"xzq"}}} {
		other.Dataset = "other"
		b.deliver(other)
		moved := b.rows(`SELECT max(ST_HausdorffDistance(ST_Transform(a.geom, 4546), ST_Transform(b.geom, 4546))) FROM data.zone a JOIN data.other b USING (adcode)`)
		if d, err := strconv.ParseFloat(moved, 64); err != nil || d > 0.001 {
			t.Errorf("%v: the counties are %s m away from those of the zone's file", other.Files, moved)
		}
	}
}

const parcels = `{"type":"FeatureCollection","features":[
{"type":"Feature","properties":{"BSM":"1","DLMC":"水田"},"geometry":{"type":"Polygon","coordinates":[[[111.60,29.00],[111.61,29.00],[111.61,29.01],[111.60,29.01],[111.60,29.00]]]}},
{"type":"Feature","properties":{"BSM":"2","DLMC":"旱地"},"geometry":{"type":"Polygon","coordinates":[[[111.62,29.00],[111.64,29.02],[111.64,29.00],[111.62,29.02],[111.62,29.00]]]}},
{"type":"Feature","properties":{"BSM":"3","DLMC":"林地"},"geometry":null},
{"type":"Feature","properties":{"BSM":"4","DLMC":"园地"},"geometry":{"type":"Polygon","coordinates":[[[121.60,29.00],[121.61,29.00],[121.61,29.01],[121.60,29.01],[121.60,29.00]]]}},
{"type":"Feature","properties":{"BSM":"5","DLMC":"路"},"geometry":{"type":"Polygon","coordinates":[[[111.65,29.00],[111.66,29.00],[111.65,29.00],[111.65,29.00]]]}},
{"type":"Feature","properties":{"BSM":"6","DLMC":"水塘"},"geometry":{"type":"Polygon","coordinates":[[[111.70,29.00],[111.71,29.00],[111.71,29.01],[111.70,29.01],[111.70,29.00]]]}}
]}`

// Every row that is not published as it came has a finding that says why and
// where; the counts add up.
func TestReportNamesEveryRow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	report := b.deliver(ingest.Request{Files: []string{file(t, "dltb.geojson", parcels)}, Dataset: "dltb", Settings: ingest.Settings{BusinessKey: "BSM"}})
	if got := report.Published + report.Refused; got != report.Read || report.Read != 6 {
		t.Errorf("read %d, published %d, refused %d do not add up", report.Read, report.Published, report.Refused)
	}
	want := strings.Join([]string{
		"2 geometry-invalid repaired true",
		"3 geometry-missing refused false",
		"4 outside-box refused true",
		"5 geometry-invalid refused true",
	}, "\n")
	got := b.rows(`SELECT row_number, code, action, place IS NOT NULL FROM changde.findings WHERE delivery = $1 ORDER BY n`, report.Delivery)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	if got := b.rows(`SELECT "BSM" FROM data.dltb ORDER BY fid`); got != "1\n2\n6" {
		t.Errorf("published %q", got)
	}
	if got := b.rows(`SELECT bool_and(ST_IsValid(geom)), bool_and(span > 0) FROM content.dltb_d1`); got != "true true" {
		t.Errorf("published geometries are valid and measured: %s", got)
	}
	stored, err := b.Delivery(t.Context(), report.Delivery, 100)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(report.Findings, stored.Findings); diff != "" {
		t.Errorf("findings as stored (-run +stored):\n%s", diff)
	}
}

// A first delivery that fails decides nothing: not the sharing, not the owner.
func TestFailedFirstDeliverySettlesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	empty := file(t, "x.geojson", `{"type":"FeatureCollection","features":[]}`)
	if _, err := b.try(ingest.Request{Files: []string{empty}, Dataset: "p", Settings: ingest.Settings{Sharing: catalog.Public, TitleZH: "失败"}}); err == nil {
		t.Fatal("an empty delivery is released")
	}
	b.deliver(ingest.Request{Files: []string{points(t, 2)}, Dataset: "p"})
	if got := b.rows(`SELECT title_zh, sharing FROM changde.datasets WHERE id = 'p'`); got != "p internal" {
		t.Errorf("the dataset is %q", got)
	}
	if _, err := b.Rollback(t.Context(), "p", 0, ingest.Decider{}); !problem.Is(err, problem.Conflict) || !strings.Contains(err.Error(), "第一版") {
		t.Errorf("rollback of the first release: %v", err)
	}
}

// Dates at the ends of the calendar arrive as they are: 9999-12-31 is how many
// registers write "until further notice".
func TestDatesFarAway(t *testing.T) {
	t.Parallel()
	b := setup(t)
	feature := func(date string) string {
		return strings.Replace(point(1), `"n":1`, `"d":"`+date+`"`, 1)
	}
	want := []string{"0001-01-01", "1700-02-28", "1999-12-31", "2000-01-01", "2000-01-02", "2012-09-05", "9999-12-31"}
	features := make([]string, len(want))
	for i, d := range want {
		features[i] = feature(d)
	}
	b.deliver(ingest.Request{Files: []string{file(t, "d.geojson", `{"type":"FeatureCollection","features":[`+strings.Join(features, ",")+`]}`)}, Dataset: "d"})
	if diff := cmp.Diff(strings.Join(want, "\n"), b.rows(`SELECT to_char(d, 'YYYY-MM-DD') FROM data.d ORDER BY fid`)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Opening a dataset does not open what was released while it was closed, and
// bringing such a release back closes the dataset.
func TestReleasesKeepTheirSharing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deliver(ingest.Request{Files: []string{points(t, 1)}, Dataset: "p", Settings: ingest.Settings{Sharing: catalog.Private}})
	b.deliver(ingest.Request{Files: []string{points(t, 2)}, Dataset: "p", Settings: ingest.Settings{Sharing: catalog.Public}})
	seen := func() []int {
		known, err := catalog.Open(t.Context(), b.pool, catalog.Config{})
		if err != nil {
			t.Fatal(err)
		}
		d, ok := known.Snapshot().For(anyone{}).Dataset("p")
		if !ok {
			return nil
		}
		var out []int
		for _, r := range d.Releases {
			out = append(out, r.Number)
		}
		return out
	}
	if diff := cmp.Diff([]int{2}, seen()); diff != "" {
		t.Errorf("everybody sees releases (-want +got):\n%s", diff)
	}
	if _, err := b.Rollback(t.Context(), "p", 1, ingest.Decider{}); err != nil {
		t.Fatal(err)
	}
	if got := seen(); got != nil {
		t.Errorf("a private release brought back shows everybody %v", got)
	}
	if err := b.Describe(t.Context(), "p", ingest.Settings{Sharing: catalog.Public}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{2, 3}, seen()); diff != "" {
		t.Errorf("opened on purpose, everybody sees (-want +got):\n%s", diff)
	}
}

// A setting is cleared by "-", and one that the data no longer bear out is told.
func TestSettingsAreCleared(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deliver(ingest.Request{Files: []string{points(t, 1)}, Dataset: "p", Settings: ingest.Settings{Label: "n", BusinessKey: "n"}})
	other := file(t, "o.geojson", strings.ReplaceAll(`{"type":"FeatureCollection","features":[`+point(1)+`]}`, `"n"`, `"m"`))
	if _, err := b.Plan(t.Context(), ingest.Request{Files: []string{other}, Dataset: "p"}); err == nil || !strings.Contains(err.Error(), "=-") {
		t.Errorf("a delivery without the label: %v", err)
	}
	b.deliver(ingest.Request{Files: []string{other}, Dataset: "p", Settings: ingest.Settings{Label: ingest.NoColumn, BusinessKey: ingest.NoColumn}})
	if got := b.rows(`SELECT label IS NULL, business_key IS NULL FROM changde.datasets WHERE id = 'p'`); got != "true true" {
		t.Errorf("label and key are gone: %s", got)
	}
}

// A folder is the files in it; two folders are two deliveries.
func TestFolders(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for n := 1; n <= 2; n++ {
		dir := t.TempDir()
		if err := os.Rename(points(t, n), filepath.Join(dir, "points.geojson")); err != nil {
			t.Fatal(err)
		}
		if r := b.deliver(ingest.Request{Files: []string{dir}, Dataset: "p"}); r.Published != int64(n) {
			t.Errorf("folder %d: %d rows", n, r.Published)
		}
	}
	if got := b.rows(`SELECT count(DISTINCT sha256), min(bytes) > 0 FROM changde.deliveries`); got != "2 true" {
		t.Errorf("hashes and sizes: %s", got)
	}
}

func TestRefusePolicy(t *testing.T) {
	t.Parallel()
	b := setup(t)
	report := b.deliver(ingest.Request{Files: []string{file(t, "dltb.geojson", parcels)}, Dataset: "dltb", Policy: ingest.Refuse})
	if report.Repaired != 0 || report.Published != 2 || report.Refused != 4 {
		t.Errorf("report %+v", report)
	}
}

func point(n int) string {
	return fmt.Sprintf(`{"type":"Feature","properties":{"n":%d},"geometry":{"type":"Point","coordinates":[%g,29.0]}}`, n, 111.5+float64(n)/1e4)
}

// points is a GeoJSON file of n points.
func points(t testing.TB, n int) string {
	features := make([]string, n)
	for i := range features {
		features[i] = point(i + 1)
	}
	return file(t, "points.geojson", `{"type":"FeatureCollection","features":[`+strings.Join(features, ",")+`]}`)
}

func TestRollbackAndRetention(t *testing.T) {
	t.Parallel()
	b := setup(t)
	count := func() string { return b.rows(`SELECT count(*) FROM data.p`) }
	for n := 1; n <= 3; n++ {
		b.deliver(ingest.Request{Files: []string{points(t, n)}, Dataset: "p"})
	}
	if got, err := b.Rollback(t.Context(), "p", 0, ingest.Decider{Note: "常政发〔2012〕1号"}); err != nil || got.Release != 4 || got.Cleared != nil {
		t.Fatalf("rollback: %+v, %v", got, err)
	}
	if got := count(); got != "2" {
		t.Errorf("after rollback %s rows, want 2", got)
	}
	if _, err := b.Rollback(t.Context(), "p", 0, ingest.Decider{}); err != nil {
		t.Fatalf("roll the rollback back: %v", err)
	}
	if got := count(); got != "3" {
		t.Errorf("after rolling the rollback back %s rows, want 3", got)
	}
	if _, err := b.Rollback(t.Context(), "p", 1, ingest.Decider{}); err != nil {
		t.Fatalf("rollback to release 1: %v", err)
	}
	for n := 4; n <= 6; n++ {
		b.deliver(ingest.Request{Files: []string{points(t, n)}, Dataset: "p"})
	}
	if _, err := b.Rollback(t.Context(), "p", 2, ingest.Decider{}); !problem.Is(err, problem.Conflict) {
		t.Errorf("rollback to a release whose content is dropped: %v", err)
	}
	if _, err := b.Rollback(t.Context(), "p", 99, ingest.Decider{}); !problem.Is(err, problem.Conflict) {
		t.Errorf("rollback to a release that never was: %v", err)
	}
	if _, err := b.Rollback(t.Context(), "nothing", 0, ingest.Decider{}); !problem.Is(err, problem.NotFound) {
		t.Errorf("rollback of no dataset: %v", err)
	}
	if got := b.rows(`SELECT count(*) FROM pg_tables WHERE schemaname = 'content' AND tablename !~ '_[hc]$'`); got != "3" {
		t.Errorf("%s contents are kept, want 3", got)
	}
	if got := b.rows(`SELECT release, revision FROM changde.datasets WHERE id = 'p'`); got != "9 9" {
		t.Errorf("release and revision %s, want 9 9", got)
	}
}

// A release that lacks the fields which the settings name takes the settings with
// it: the dataset can be described and delivered as before.
func TestRollbackClearsSettings(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deliver(ingest.Request{Files: []string{points(t, 2)}, Dataset: "p"})
	other := file(t, "o.geojson", `{"type":"FeatureCollection","features":[`+strings.ReplaceAll(point(1), `"n":`, `"m":1,"n":`)+`]}`)
	b.deliver(ingest.Request{Files: []string{other}, Dataset: "p", Settings: ingest.Settings{Label: "m", Class: "n", BusinessKey: "m", TitleZH: "点"}})
	got, err := b.Rollback(t.Context(), "p", 1, ingest.Decider{})
	want := ingest.Restored{Release: 3, Cleared: []ingest.Cleared{{Setting: "business-key", Field: "m"}, {Setting: "label", Field: "m"}}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("the rollback, %v (-want +got):\n%s", err, diff)
	}
	if got := b.rows(`SELECT business_key IS NULL, label IS NULL, class, title_zh FROM changde.datasets WHERE id = 'p'`); got != "true true n 点" {
		t.Errorf("the settings are %s", got)
	}
	if got := b.rows(`SELECT detail->'cleared'->1->>'setting' FROM changde.audit WHERE action = 'rollback'`); got != "label" {
		t.Errorf("the audit says %q", got)
	}
	if err := b.Describe(t.Context(), "p", ingest.Settings{TitleEN: "points"}); err != nil {
		t.Errorf("describe after the rollback: %v", err)
	}
	b.deliver(ingest.Request{Files: []string{points(t, 3)}, Dataset: "p"})
}

// Settings take a revision of their own, so that no cache keeps what they change.
func TestDescribeTakesARevision(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deliver(ingest.Request{Files: []string{points(t, 2)}, Dataset: "p"})
	if err := b.Describe(t.Context(), "p", ingest.Settings{TitleZH: "点", Sharing: catalog.Private, Label: "n"}); err != nil {
		t.Fatal(err)
	}
	if got := b.rows(`SELECT title_zh, sharing, label, release, revision FROM changde.datasets WHERE id = 'p'`); got != "点 private n 1 2" {
		t.Errorf("the dataset is %q", got)
	}
	if err := b.Describe(t.Context(), "p", ingest.Settings{BusinessKey: "n"}); !problem.Is(err, problem.Conflict) {
		t.Errorf("a business key without a delivery: %v", err)
	}
	for _, set := range []struct {
		grids []string
		want  string
	}{{[]string{catalog.CGCS2000Quad}, "{CGCS2000Quad}"}, {nil, "{CGCS2000Quad}"}, {[]string{ingest.NoGrid}, "{}"}} {
		if err := b.Describe(t.Context(), "p", ingest.Settings{Grids: set.grids}); err != nil {
			t.Fatal(err)
		}
		if got := b.rows(`SELECT grids::text FROM changde.datasets WHERE id = 'p'`); got != set.want {
			t.Errorf("after %q the grids are %s", set.grids, got)
		}
	}
	b.deliver(ingest.Request{Files: []string{points(t, 3)}, Dataset: "p", Settings: ingest.Settings{BusinessKey: "n"}})
	if got := b.rows(`SELECT title_zh, sharing, business_key, release, revision FROM changde.datasets WHERE id = 'p'`); got != "点 private n 2 6" {
		t.Errorf("after a delivery the dataset is %q", got)
	}
}

// What a reader holds stays readable as it is while releases pass over it.
func TestReaderKeepsItsRelease(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deliver(ingest.Request{Files: []string{points(t, 2)}, Dataset: "p", Settings: ingest.Settings{Sharing: catalog.Public}})
	known, err := catalog.Open(t.Context(), b.pool, catalog.Config{})
	if err != nil {
		t.Fatal(err)
	}
	d, ok := known.Snapshot().For(anyone{}).Dataset("p")
	if !ok {
		t.Fatal("the dataset is not in the catalog")
	}
	b.deliver(ingest.Request{Files: []string{points(t, 5)}, Dataset: "p"})
	q := d.Current.From(new(postgis.SQL).Raw("SELECT count(*)"))
	if got := b.rows(q.String()); got != "2" || d.Current.Rows != 2 {
		t.Errorf("the held release has %s rows, want 2", got)
	}
}

type anyone struct{}

func (anyone) MayRead(_, sharing string) bool { return sharing == "public" }

func TestTwoDeliveriesAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deliver(ingest.Request{Files: []string{points(t, 1)}, Dataset: "p"})
	failed := make(chan error, 2)
	for n := range 2 {
		path := points(t, 10+n)
		go func() {
			_, err := b.try(ingest.Request{Files: []string{path}, Dataset: "p", Confirm: true})
			failed <- err
		}()
	}
	for range 2 {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	if got := b.rows(`SELECT release, revision FROM changde.datasets WHERE id = 'p'`); got != "3 3" {
		t.Errorf("release and revision %s, want 3 3", got)
	}
	if got := b.rows(`SELECT count(*) = (SELECT rows FROM changde.releases WHERE dataset = 'p' AND release = 3) FROM data.p`); got != "true" {
		t.Error("the current rows are not those of the last release")
	}
}

func TestCancelledRunLeavesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deliver(ingest.Request{Files: []string{points(t, 2)}, Dataset: "p"})
	plan, err := b.Plan(t.Context(), ingest.Request{Files: []string{points(t, 5000)}, Dataset: "p"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = b.Run(ctx, plan, func(p ingest.Progress) {
		if p.Phase == ingest.Checking {
			cancel()
		}
	})
	if err == nil {
		t.Fatal("a cancelled run reports success")
	}
	if got := b.rows(`SELECT count(*) FROM data.p`); got != "2" {
		t.Errorf("%s rows are served, want the 2 of before", got)
	}
	if got := b.rows(`SELECT state FROM changde.deliveries ORDER BY id`); got != "released\nfailed" {
		t.Errorf("deliveries are %q", got)
	}
	if got := b.rows(`SELECT string_agg(tablename, ' ' ORDER BY tablename) FROM pg_tables WHERE schemaname = 'content'`); got != "p_d1 p_d1_c p_d1_h" {
		t.Errorf("content tables are %s, want those of release 1", got)
	}
}
