package api_test

import (
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/ncruces/go-sqlite3/driver"

	"changde/access"
	"changde/api"
	"changde/catalog"
	"changde/features"
	"changde/ingest"
	"changde/ingest/depot"
	"changde/ingest/jobs"
	"changde/postgis"
	"changde/postgis/postgistest"
	"changde/projects"
	"changde/tiles"
	"changde/tiles/style"
)

func TestMain(m *testing.M) { postgistest.Main(m) }

// The callers. Each has a key in world.keys, but the anonymous.
const (
	anonymous = ""
	land      = "land"
	water     = "water"
	egov      = "egov" // administers the platform
	revoked   = "revoked"
	malformed = "malformed"
	// Keys of the water bureau with other roles.
	reader      = "reader"
	contributor = "contributor"
)

var city = catalog.City{
	NameZH: "常德市", NameEN: "Changde", Code: "430700",
	Box:  catalog.Bounds{110.4, 28.3, 112.4, 30.2},
	View: catalog.Bounds{111.3, 28.8, 112.0, 29.3},
	CRS:  []int{4525, 4546, 4490},
}

// world is a platform with some data in it, and a server on it.
type world struct {
	pool     *pgxpool.Pool
	catalog  *catalog.Catalog
	access   *access.Store
	ingester *ingest.Ingester
	depot    depot.Store
	projects *projects.Store
	keys     map[string]string
	server   *httptest.Server
	busy     atomic.Int64 // requests being answered
	contract *contract
	forget   func() // empties the server's caches
}

const (
	wellCount  = 137
	plotCount  = 40
	pipeCount  = 25
	countyRows = 9
)

// newWorld makes the platform:
//
//	counties  public    land   9 polygons, a GBK Shapefile in CGCS2000 / 3-degree zone 37
//	wells     internal  water  137 points, GeoJSON, with a time column
//	plots     private   land   40 polygons, GeoPackage
//	pipes     private   water  25 lines, GeoPackage
//	sketches  public    land   declared, never released
//
// and the platform's own projects (public) and assets (internal).
func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldWith(t, "")
}

// newWorldWith makes the platform with a folder of archives, which is empty at first.
func newWorldWith(t testing.TB, folder string) *world {
	t.Helper()
	ctx := t.Context()
	w := &world{pool: postgistest.New(t), keys: map[string]string{malformed: "cd_not-a-key"}}
	quiet := slog.New(slog.DiscardHandler)
	w.access = access.NewStore(w.pool)
	for _, o := range []access.Organisation{
		{ID: land, NameZH: "市国土资源局", NameEN: "Land bureau"},
		{ID: water, NameZH: "市水利局", NameEN: "Water bureau"},
		{ID: egov, NameZH: "市电子政务办", NameEN: "E-government office", Admin: true},
	} {
		check(t, w.access.AddOrganisation(ctx, o))
	}
	for _, org := range []string{land, water, egov} {
		plain, _, err := w.access.CreateKey(ctx, org, "test", access.Approver, time.Time{})
		check(t, err)
		w.keys[org] = plain
	}
	for name, role := range map[string]access.Role{reader: access.Reader, contributor: access.Contributor} {
		plain, _, err := w.access.CreateKey(ctx, water, name, role, time.Time{})
		check(t, err)
		w.keys[name] = plain
	}
	plain, key, err := w.access.CreateKey(ctx, water, "gone", access.Reader, time.Time{})
	check(t, err)
	check(t, w.access.RevokeKey(ctx, key.ID))
	w.keys[revoked] = plain

	w.ingester = ingest.New(w.pool, ingest.Config{City: city, TempDir: t.TempDir(), Log: quiet})
	w.deliver(t, ingest.Request{
		Files: []string{"testdata/xzq_gbk_4525.shp"}, Dataset: "counties", Sender: land,
		Settings: ingest.Settings{
			TitleZH: "县级行政区", TitleEN: "Counties", Owner: land, Sharing: catalog.Public, BusinessKey: "adcode", Label: "name",
			Aliases: map[string]string{"name": "名称"}, Attribution: "常德市国土资源局",
		},
	})
	w.deliver(t, ingest.Request{
		Files: []string{wells(t, wellCount, 0)}, Dataset: "wells", Sender: water,
		Settings: ingest.Settings{TitleZH: "水井", TitleEN: "Wells", Owner: water, Sharing: catalog.Internal, BusinessKey: "编号", Label: "名称", Class: "类别", TimeColumn: "建成日期"},
	})
	w.deliver(t, ingest.Request{
		Files: []string{geoPackage(t, "plots", plotCount, plot)}, Dataset: "plots", Sender: land,
		Settings: ingest.Settings{TitleZH: "地块", TitleEN: "Plots", Owner: land, Sharing: catalog.Private, BusinessKey: "编号"},
	})
	w.deliver(t, ingest.Request{
		Files: []string{geoPackage(t, "pipes", pipeCount, pipe)}, Dataset: "pipes", Sender: water,
		Settings: ingest.Settings{TitleZH: "管线", TitleEN: "Pipes", Owner: water, Sharing: catalog.Private, BusinessKey: "编号"},
	})
	_, err = w.pool.Exec(ctx, `INSERT INTO changde.datasets (id, title_zh, owner, sharing) VALUES ('sketches', '草稿', 'land', 'public')`)
	check(t, err)

	w.catalog, err = catalog.Open(ctx, w.pool, catalog.Config{Log: quiet})
	check(t, err)
	// The server works with the rights of its role, as it does in service.
	pool, err := postgis.Open(ctx, postgis.Config{URL: w.pool.Config().ConnString(), Role: "changde_api", MaxConns: 4})
	check(t, err)
	t.Cleanup(pool.Close)
	queue, err := jobs.NewQueue(pool)
	check(t, err)
	w.depot, err = depot.Open(t.TempDir(), depot.Config{MinFree: -1})
	check(t, err)
	store := features.NewStore(pool, features.Config{})
	w.projects = projects.New(pool, store, projects.Config{Box: city.Box})
	book, err := style.Builtin()
	check(t, err)
	var cut tiles.Config
	if folder != "" {
		cut.Archives, err = tiles.OpenArchives(pool, folder, quiet)
		check(t, err)
	}
	services := api.Services{
		Catalog: w.catalog, Access: access.NewStore(pool), Features: store, Styles: book,
		Ingest:   ingest.New(pool, ingest.Config{City: city, Depot: w.depot, Enqueue: queue.Enqueue, Log: quiet}),
		Projects: w.projects, Pool: pool, Ready: pool.Ping,
	}
	var handler atomic.Value // http.Handler
	w.forget = func() {
		services.Tiles = tiles.NewSource(pool, cut)
		handler.Store(api.New(api.Config{City: city, Log: slog.New(errorsOf(t))}, services))
	}
	w.forget()
	w.server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.busy.Add(1)
		defer w.busy.Add(-1)
		handler.Load().(http.Handler).ServeHTTP(rw, r)
	}))
	t.Cleanup(w.server.Close)
	w.contract = readContract(t, w.server)
	return w
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// errorsOf is a log handler for which an error of the server is a failed test.
func errorsOf(t testing.TB) slog.Handler {
	return slog.NewTextHandler(failWriter{t}, &slog.HandlerOptions{Level: slog.LevelError})
}

type failWriter struct{ t testing.TB }

func (f failWriter) Write(b []byte) (int, error) {
	f.t.Errorf("the server logs: %s", b)
	return len(b), nil
}

// deliver plans and runs a delivery, and makes the catalog see it.
func (w *world) deliver(t testing.TB, r ingest.Request) *ingest.Report {
	t.Helper()
	r.Confirm = true
	p, err := w.ingester.Plan(t.Context(), r)
	check(t, err)
	report, err := w.ingester.Run(t.Context(), p, nil)
	check(t, err)
	if report.State != "released" || report.Refused != 0 {
		t.Fatalf("delivery of %s: %+v", r.Dataset, report)
	}
	if w.catalog != nil {
		check(t, w.catalog.Reload(t.Context()))
	}
	return report
}

func place(i int) (lon, lat float64) {
	return 111.5 + float64(i%20)*0.02, 28.9 + float64(i/20)*0.02
}

// wells writes n points as GeoJSON, the i-th built on the i-th day of 2011, and
// shifted by as many days.
func wells(t testing.TB, n, shift int) string {
	t.Helper()
	type feature struct {
		Type       string         `json:"type"`
		Geometry   map[string]any `json:"geometry"`
		Properties map[string]any `json:"properties"`
	}
	var list []feature
	for i := range n {
		lon, lat := place(i)
		list = append(list, feature{"Feature", map[string]any{"type": "Point", "coordinates": []float64{lon, lat}}, map[string]any{
			"编号": fmt.Sprintf("W%05d", i+1), "名称": fmt.Sprintf("水井%d号", i+1), "类别": []string{"民用", "农用", "工业"}[i%3],
			"深度": float64(i)*0.5 + 3.25, "建成日期": time.Date(2011, 1, 1+i+shift, 0, 0, 0, 0, time.UTC).Format(time.DateOnly),
		}})
	}
	body, err := json.Marshal(map[string]any{"type": "FeatureCollection", "features": list})
	check(t, err)
	path := filepath.Join(t.TempDir(), "wells.geojson")
	check(t, os.WriteFile(path, body, 0o600))
	return path
}

// wkb is a little-endian geometry of the type and the numbers of its parts.
func wkb(kind uint32, parts ...any) []byte {
	b := binary.LittleEndian.AppendUint32([]byte{1}, kind)
	for _, p := range parts {
		switch v := p.(type) {
		case int:
			b = binary.LittleEndian.AppendUint32(b, uint32(v))
		case float64:
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
		}
	}
	return b
}

func plot(i int) (kind string, geometry []byte) {
	x, y := place(i)
	const d = 0.005
	return "POLYGON", wkb(3, 1, 5, x, y, x+d, y, x+d, y+d, x, y+d, x, y)
}

func pipe(i int) (kind string, geometry []byte) {
	x, y := place(i)
	return "LINESTRING", wkb(2, 2, x, y, x+0.01, y+0.01)
}

// geoPackage writes n features of one table (OGC 12-128r18).
func geoPackage(t testing.TB, table string, n int, shape func(i int) (string, []byte)) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), table+".gpkg")
	db, err := sql.Open("sqlite3", "file:"+filepath.ToSlash(path))
	check(t, err)
	defer db.Close()
	db.SetMaxOpenConns(1)
	kind, _ := shape(0)
	for _, q := range []string{
		`PRAGMA application_id = 0x47504B47`, `PRAGMA user_version = 10300`,
		`CREATE TABLE gpkg_spatial_ref_sys (srs_name TEXT NOT NULL, srs_id INTEGER PRIMARY KEY, organization TEXT NOT NULL, organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL, description TEXT)`,
		`INSERT INTO gpkg_spatial_ref_sys VALUES ('undefined cartesian', -1, 'NONE', -1, 'undefined', ''), ('undefined geographic', 0, 'NONE', 0, 'undefined', ''),
			('CGCS2000', 4490, 'EPSG', 4490, 'GEOGCS["China Geodetic Coordinate System 2000",DATUM["China_2000",SPHEROID["CGCS2000",6378137,298.257222101]],PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433],AUTHORITY["EPSG","4490"]]', '')`,
		`CREATE TABLE gpkg_contents (table_name TEXT PRIMARY KEY, data_type TEXT NOT NULL, identifier TEXT UNIQUE, description TEXT DEFAULT '', last_change DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')), min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE, srs_id INTEGER)`,
		`CREATE TABLE gpkg_geometry_columns (table_name TEXT NOT NULL, column_name TEXT NOT NULL, geometry_type_name TEXT NOT NULL, srs_id INTEGER NOT NULL, z TINYINT NOT NULL, m TINYINT NOT NULL, PRIMARY KEY (table_name, column_name))`,
		`INSERT INTO gpkg_contents (table_name, data_type, identifier, srs_id) VALUES ('` + table + `', 'features', '` + table + `', 4490)`,
		`INSERT INTO gpkg_geometry_columns VALUES ('` + table + `', 'geom', '` + kind + `', 4490, 0, 0)`,
		`CREATE TABLE "` + table + `" (fid INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, geom ` + kind + `, "编号" TEXT, "面积" DOUBLE)`,
	} {
		if _, err := db.Exec(q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	for i := range n {
		_, g := shape(i)
		header := binary.LittleEndian.AppendUint32([]byte{'G', 'P', 0, 1}, 4490)
		_, err := db.Exec(`INSERT INTO "`+table+`" (geom, "编号", "面积") VALUES (?, ?, ?)`, append(header, g...), fmt.Sprintf("%s-%03d", strings.ToUpper(table), i+1), float64(i)+0.5)
		check(t, err)
	}
	return path
}
