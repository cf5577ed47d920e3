package postgis_test

import (
	"bytes"
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/twpayne/go-geom"

	"changde/postgis"
	"changde/postgis/postgistest"
	"changde/problem"
)

func TestPoolPassesGeometryInBinary(t *testing.T) {
	t.Parallel()
	ctx, pool := t.Context(), postgistest.New(t)
	if _, err := pool.Exec(ctx, `CREATE TABLE parcels (fid bigint, geom geometry(PointZ, 4490))`); err != nil {
		t.Fatal(err)
	}
	const n = 1000
	points := make([][]byte, n)
	for i := range points {
		b, err := postgis.AppendEWKB(nil, geom.NewPointFlat(geom.XYZ, []float64{111 + float64(i)/n, 29, float64(i)}), 4490)
		if err != nil {
			t.Fatal(err)
		}
		points[i] = b
	}
	copied, err := pool.CopyFrom(ctx, pgx.Identifier{"parcels"}, []string{"fid", "geom"},
		pgx.CopyFromSlice(n, func(i int) ([]any, error) { return []any{int64(i), points[i]}, nil }))
	if err != nil || copied != n {
		t.Fatalf("copied %d rows: %v", copied, err)
	}
	rows, err := pool.Query(ctx, `SELECT geom FROM parcels ORDER BY fid`)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(points, got); d != "" {
		t.Errorf("COPY changed the points:\n%s", d)
	}
	var found int
	if err := pool.QueryRow(ctx, `SELECT count(*) FROM parcels WHERE geom = $1`, points[7]).Scan(&found); err != nil || found != 1 {
		t.Errorf("found %d rows by geometry (%v), want 1", found, err)
	}
	var array [][]byte
	if err := pool.QueryRow(ctx, `SELECT array_agg(g) FROM unnest($1::geometry[]) g`, points[:3]).Scan(&array); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(points[:3], array); d != "" {
		t.Errorf("the array changed:\n%s", d)
	}
	var geography []byte
	if err := pool.QueryRow(ctx, `SELECT $1::geography`, points[0]).Scan(&geography); err != nil || !bytes.Equal(geography, points[0]) {
		t.Errorf("geography came as %x (%v), want %x", geography, err, points[0])
	}
	if _, err := pool.Exec(ctx, `INSERT INTO parcels VALUES (0, $1)`, []byte("nonsense")); err == nil {
		t.Error("nonsense was taken for a geometry")
	}
}

func TestPoolOpenedBeforeTheExtension(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool, err := postgis.Open(ctx, postgis.Config{URL: postgistest.Empty(t), MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	if _, err := pool.Exec(ctx, `CREATE SCHEMA gis; CREATE EXTENSION postgis SCHEMA gis`); err != nil {
		t.Fatal(err)
	}
	var b []byte
	if err := pool.QueryRow(ctx, `SELECT gis.ST_MakePoint(1, 2)`).Scan(&b); err != nil {
		t.Fatal(err)
	}
	if g, err := postgis.DecodeEWKB(b); err != nil {
		t.Errorf("a connection made before the extension: %v, %v", g, err)
	}
}

func TestPoolSettings(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool, err := postgis.Open(ctx, postgis.Config{
		URL: postgistest.URL(t), Role: "changde_api", StatementTimeout: 50 * time.Millisecond, MaxConns: 2, ApplicationName: "测试",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	var role, name string
	if err := pool.QueryRow(ctx, `SELECT current_user, current_setting('application_name')`).Scan(&role, &name); err != nil {
		t.Fatal(err)
	}
	if role != "changde_api" {
		t.Errorf("the role is %s, want changde_api", role)
	}
	if name == "" || pool.Config().MaxConns != 2 {
		t.Errorf("application %q and %d connections, want a name and 2", name, pool.Config().MaxConns)
	}
	var refused *pgconn.PgError
	if _, err := pool.Exec(ctx, `CREATE TABLE changde.intruder ()`); !errors.As(err, &refused) || refused.Code != "42501" {
		t.Errorf("the role made a table: %v", err)
	}
	if _, err := pool.Exec(ctx, `SELECT pg_sleep(5)`); !errors.As(err, &refused) || refused.Code != "57014" {
		t.Errorf("the statement was not ended: %v", err)
	}
}

func TestPoolWithoutTheRole(t *testing.T) {
	t.Parallel()
	pool, err := postgis.Open(t.Context(), postgis.Config{URL: postgistest.URL(t), Role: `no "such" role`})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	var same bool
	if err := pool.QueryRow(t.Context(), `SELECT current_user = session_user`).Scan(&same); err != nil || !same {
		t.Errorf("the role changed (%v)", err)
	}
}

func TestOpenExplains(t *testing.T) {
	t.Parallel()
	good := postgistest.URL(t)
	u, err := url.Parse(good)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/no_such_database"
	tests := []struct{ name, url, code string }{
		{"nonsense", "postgres://user:secret@host:port/x", "database-url"},
		{"nobody there", "postgres://user:secret@127.0.0.1:1/x?connect_timeout=2", "database-unreachable"},
		{"no socket", "postgres:///x?host=/nowhere&user=u", "database-unreachable"},
		{"no database", u.String(), "database-unknown"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			_, err := postgis.Open(ctx, postgis.Config{URL: tt.url})
			var p *problem.Error
			if !errors.As(err, &p) || p.Code != tt.code {
				t.Fatalf("got %v, want the problem %s", err, tt.code)
			}
			if strings.Contains(err.Error(), "secret") || strings.Contains(p.Err.Error(), "secret") {
				t.Errorf("the password is in %v", err)
			}
		})
	}
}
