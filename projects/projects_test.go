package projects_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"changde/access"
	"changde/catalog"
	"changde/postgis"
	"changde/postgis/postgistest"
	"changde/problem"
	"changde/projects"
)

func TestMain(m *testing.M) { postgistest.Main(m) }

var (
	anonymous = access.Principal{}
	land      = access.Principal{Organisation: "land", KeyID: "landkey1"}
	plan      = access.Principal{Organisation: "plan", KeyID: "plankey1"}
	egov      = access.Principal{Organisation: "egov", Admin: true, KeyID: "egovkey1"}
)

// locator finds features by their columns fid, geom, the business key and the
// label, in whatever table the release says.
type locator struct{}

func (locator) Locate(ctx context.Context, q pgx.Tx, view catalog.View, ref catalog.FeatureRef) (catalog.FeatureRef, error) {
	absent := problem.New(problem.NotFound, "feature-not-found", ref.Collection, "没有", "absent")
	d, ok := view.Dataset(ref.Collection)
	if !ok {
		return ref, absent
	}
	sql := new(postgis.SQL).Raw("SELECT fid, ")
	if d.BusinessKey == "" {
		sql.Raw("''")
	} else {
		sql.Ident(d.BusinessKey)
	}
	sql.Raw(", ").Ident(d.Label).Raw(", ARRAY[ST_XMin(geom), ST_YMin(geom), ST_XMax(geom), ST_YMax(geom)] FROM ").Ident(d.Current.Relation[:]...)
	if ref.Key != "" && d.BusinessKey != "" {
		sql.Raw(" WHERE ").Ident(d.BusinessKey).Raw(" = ").Arg(ref.Key)
	} else {
		sql.Raw(" WHERE fid = ").Arg(ref.FID)
	}
	out := catalog.FeatureRef{Collection: d.ID}
	var box []*float64
	err := q.QueryRow(ctx, sql.String(), sql.Args()...).Scan(&out.FID, &out.Key, &out.Title, &box)
	if errors.Is(err, pgx.ErrNoRows) {
		return ref, absent
	}
	if err == nil && box[0] != nil {
		out.Bounds = &catalog.Bounds{*box[0], *box[1], *box[2], *box[3]}
	}
	return out, err
}

// bundle is a city of its own: organisations land, plan and egov; the datasets
// roads (public, keyed by gid), wells (internal) and bunkers (private of land).
type bundle struct {
	t       *testing.T
	pool    *pgxpool.Pool
	store   *projects.Store
	catalog *catalog.Catalog
}

func setup(t *testing.T) *bundle {
	t.Helper()
	t.Parallel()
	pool := postgistest.New(t)
	for _, sql := range []string{
		`INSERT INTO changde.organisations (id, name_zh, admin) VALUES ('land', '国土局', false), ('plan', '规划局', false), ('egov', '电子政务办', true)`,
		`INSERT INTO changde.datasets (id, title_zh, owner, sharing, business_key, label, release, revision) VALUES
			('roads', '道路', NULL, 'public', 'gid', 'name', 1, 7), ('wells', '井', 'plan', 'internal', NULL, 'name', 1, 7), ('bunkers', '库', 'land', 'private', NULL, 'name', 1, 7)`,
		`CREATE TABLE content.roads_1 (fid bigint PRIMARY KEY, gid text, name text, geom geometry(LineString, 4490), span real, rev bigint NOT NULL DEFAULT 7)`,
		`SELECT changde.keep_history('roads_1', 7, NULL)`,
		`INSERT INTO content.roads_1 VALUES (1, 'R1', '武陵大道', 'SRID=4490;LINESTRING(111.60 29.00, 111.70 29.00)'), (2, 'R2', '柳叶大道', 'SRID=4490;LINESTRING(111.70 29.05, 111.80 29.05)'), (3, 'R3', '武陵大道延长', 'SRID=4490;LINESTRING(111.60 29.00, 111.80 29.00)')`,
		`CREATE TABLE content.wells_1 (fid bigint PRIMARY KEY, name text, geom geometry(Point, 4490), span real, rev bigint NOT NULL DEFAULT 7)`,
		`SELECT changde.keep_history('wells_1', 7, NULL)`,
		`INSERT INTO content.wells_1 VALUES (1, '一号井', 'SRID=4490;POINT(111.5011 29.1013)'), (2, '无位置', NULL)`,
		`CREATE TABLE content.bunkers_1 (fid bigint PRIMARY KEY, name text, geom geometry(Point, 4490), span real, rev bigint NOT NULL DEFAULT 7)`,
		`SELECT changde.keep_history('bunkers_1', 7, NULL)`,
		`INSERT INTO content.bunkers_1 VALUES (1, '一号库', 'SRID=4490;POINT(111.9 29.9)')`,
		`INSERT INTO changde.releases (dataset, release, revision, relation, geometry_type, columns, rows)
			SELECT id, 1, 7, 'content.' || id || '_1', 'Geometry', CASE id WHEN 'roads' THEN '[{"name":"gid","type":"text"},{"name":"name","type":"text"}]' ELSE '[{"name":"name","type":"text"}]' END::jsonb, 2
			FROM changde.datasets WHERE id IN ('roads', 'wells', 'bunkers')`,
	} {
		if _, err := pool.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%v in %s", err, sql)
		}
	}
	c, err := catalog.Open(t.Context(), pool, catalog.Config{})
	if err != nil {
		t.Fatal(err)
	}
	config := projects.Config{Box: catalog.Bounds{110.4, 28.3, 112.4, 30.2}, Now: func() time.Time { return time.Date(2012, 9, 5, 0, 0, 0, 0, time.UTC) }}
	return &bundle{t: t, pool: pool, catalog: c, store: projects.New(pool, locator{}, config)}
}

func (b *bundle) view(p access.Principal) catalog.View { return b.catalog.Snapshot().For(p) }

func (b *bundle) declare(p access.Principal, body string) (*projects.Project, error) {
	b.t.Helper()
	d, err := projects.ParseDeclaration([]byte(body))
	if err != nil {
		return nil, err
	}
	return b.store.Declare(b.t.Context(), p, b.view(p), d)
}

func (b *bundle) mustDeclare(p access.Principal, body string) *projects.Project {
	b.t.Helper()
	got, err := b.declare(p, body)
	if err != nil {
		b.t.Fatal(err)
	}
	return got
}

// body is a declaration with the members given, one "name": value each.
func body(members ...string) string {
	base := map[string]string{"name": `"政务云平台"`, "category": `"infrastructure"`, "unit": `"市电子政务办"`, "fund": `"egov_special"`}
	for _, m := range members {
		name, value, _ := strings.Cut(m, ":")
		base[strings.Trim(name, `" `)] = value
	}
	var out []string
	for name, value := range base {
		if value != "" {
			out = append(out, fmt.Sprintf("%q:%s", name, value))
		}
	}
	return "{" + strings.Join(out, ",") + "}"
}

// state is everything that a declaration may change, as one text.
func (b *bundle) state() string {
	b.t.Helper()
	var s string
	err := b.pool.QueryRow(b.t.Context(), `SELECT concat_ws(E'\n',
		(SELECT string_agg(p::text, '|' ORDER BY fid) FROM changde.projects p),
		(SELECT string_agg(a::text, '|' ORDER BY fid) FROM changde.assets a),
		(SELECT string_agg(a::text, '|' ORDER BY a::text) FROM changde.project_assets a),
		(SELECT string_agg(d::text, '|' ORDER BY id) FROM changde.datasets d),
		(SELECT string_agg(r::text, '|' ORDER BY dataset, release) FROM changde.releases r))`).Scan(&s)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

func (b *bundle) scan(into any, sql string, args ...any) {
	b.t.Helper()
	if err := b.pool.QueryRow(b.t.Context(), sql, args...).Scan(into); err != nil {
		b.t.Fatalf("%v in %s", err, sql)
	}
}

func wantProblem(t *testing.T, err error, kind problem.Kind, code, where string) {
	t.Helper()
	var p *problem.Error
	if !errors.As(err, &p) {
		t.Fatalf("error %v, want the problem %s", err, code)
	}
	if p.Kind != kind || p.Code != code || p.Where != where {
		t.Errorf("problem %s %s at %q, want %s %s at %q: %v", p.Kind, p.Code, p.Where, kind, code, where, err)
	}
	if p.ZH == "" || p.EN == "" {
		t.Errorf("%s lacks one of its texts", code)
	}
}

// The migration writes what the catalog reads, can be taken back and made again,
// and gives the views their columns.
func TestMigration(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	ctx := t.Context()
	c, err := catalog.Open(ctx, pool, catalog.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for id, table := range map[string]string{"projects": "projects", "assets": "assets"} {
		d, ok := c.Snapshot().For(egov).Dataset(id)
		if !ok {
			t.Fatalf("no dataset %s", id)
		}
		if d.Kind != catalog.Edited || d.Owner != nil || d.Revision != 1 || d.Current.Rows != 0 || d.Current.Extent != nil || d.Current.Relation != [2]string{"changde", table} {
			t.Errorf("%s: %+v", id, d)
		}
		for _, column := range append(d.Current.Columns, catalog.Column{Name: d.Label}, catalog.Column{Name: d.Class}, catalog.Column{Name: d.BusinessKey}) {
			for _, schema := range []string{"changde", "data"} {
				sql := new(postgis.SQL).Raw("SELECT ").Ident(column.Name).Raw(", rev, geom, fid FROM ").Ident(schema, id)
				if _, err := pool.Exec(ctx, sql.String()); err != nil {
					t.Errorf("%s.%s.%s: %v", schema, id, column.Name, err)
				}
			}
		}
	}
	text, err := os.ReadFile("../schemas/sql/00002_projects.sql")
	if err != nil {
		t.Fatal(err)
	}
	up, down, _ := strings.Cut(string(text), "-- +goose Down")
	for _, sql := range []string{down, up} {
		if _, err := pool.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	var leaks int
	if err := pool.QueryRow(ctx, `SELECT count(*) FROM information_schema.columns WHERE table_schema = 'data' AND column_name LIKE 'created%'`).Scan(&leaks); err != nil || leaks != 0 {
		t.Errorf("%d columns about the declarer in the views, %v", leaks, err)
	}
	for _, wkt := range []string{"POINT EMPTY", "POINT(200 10)", "POINT(NaN 10)", "POINT(Infinity 10)", "POLYGON((0 0,1 1,1 0,0 1,0 0))"} {
		_, err := pool.Exec(ctx, `INSERT INTO changde.assets (rev, code, type, name, status, geom) VALUES (1, 'X-1', 'building', 'x', 'idle', ST_GeomFromText($1, 4490))`, wkt)
		if err == nil {
			t.Errorf("the table took %s", wkt)
		}
	}
}

// The role of the server may do all that the store does.
func TestAsRoleOfTheServer(t *testing.T) {
	b := setup(t)
	pool, err := postgis.Open(t.Context(), postgis.Config{URL: b.pool.Config().ConnString(), Role: "changde_api", MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	var role string
	if err := pool.QueryRow(t.Context(), `SELECT current_user`).Scan(&role); err != nil || role != "changde_api" {
		t.Fatalf("role %q, %v", role, err)
	}
	b.store = projects.New(pool, locator{}, projects.Config{})
	p := b.mustDeclare(land, body(`assets:[{"type":"camera","name":"一","geometry":{"type":"Point","coordinates":[111.7,29]}},{"collection":"roads","key":"R1","role":"uses"}]`))
	if len(p.Assets) != 2 {
		t.Errorf("assets %+v", p.Assets)
	}
	again := fmt.Sprintf(`assets:[{"collection":"assets","id":%d,"role":"upgrades"}]`, p.Assets[0].ID)
	b.mustDeclare(land, body(again))
	if _, err := b.store.Statistics(t.Context(), b.view(anonymous), time.Time{}, time.Time{}); err != nil {
		t.Error(err)
	}
	if _, err := pool.Exec(t.Context(), `DELETE FROM changde.projects`); err == nil {
		t.Error("the role of the server may delete projects")
	}
}
