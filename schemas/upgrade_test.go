package schemas_test

import (
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"changde/postgis/postgistest"
	"changde/schemas"
)

// A content of before its changes were listed gets the list when it is migrated.
func TestContentsListTheirChanges(t *testing.T) {
	t.Parallel()
	link := postgistest.URL(t)
	config, err := pgx.ParseConfig(link)
	if err != nil {
		t.Fatal(err)
	}
	db := stdlib.OpenDB(*config)
	defer db.Close()
	p, err := goose.NewProvider(goose.DialectPostgres, db, os.DirFS("sql"), goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.DownTo(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	exec(t, link, `
		INSERT INTO changde.datasets (id, title_zh) VALUES ('p', '点');
		INSERT INTO changde.deliveries (dataset, files, bytes, sha256, state, plan, relation) VALUES ('p', '{}', 0, '', 'released', '{}', 'p_d1');
		CREATE TABLE content.p_d1 (fid bigint PRIMARY KEY, geom geometry(Point, 4490), rev bigint NOT NULL DEFAULT 4);
		SELECT changde.keep_history('p_d1', 4, NULL);
		INSERT INTO content.p_d1 (fid, rev) VALUES (1, 4), (2, 6), (5, 5);
		INSERT INTO content.p_d1_h (fid, rev, until) VALUES (2, 4, 5), (2, 5, 6), (3, 4, 6);
		INSERT INTO changde.releases (dataset, release, revision, delivery, relation, geometry_type, columns, rows, sharing)
		SELECT 'p', 1, 4, id, 'content.p_d1', 'Point', '[]', 3, 'public' FROM changde.deliveries`)
	if err := schemas.Migrate(t.Context(), link); err != nil {
		t.Fatal(err)
	}
	var changes, indexes string
	if err := db.QueryRowContext(t.Context(), `SELECT string_agg(rev || ':' || fid, ' ' ORDER BY rev, fid) FROM content.p_d1_c`).Scan(&changes); err != nil {
		t.Fatal(err)
	}
	if want := "5:2 5:5 6:2 6:3"; changes != want {
		t.Errorf("changes %s, want %s", changes, want)
	}
	if err := db.QueryRowContext(t.Context(), `SELECT string_agg(indexname, ' ') FROM pg_indexes WHERE tablename = 'p_d1'`).Scan(&indexes); err != nil || indexes != "p_d1_pkey" {
		t.Errorf("indexes %s, %v", indexes, err)
	}
}
