package schemas_test

import (
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"changde/postgis/postgistest"
	"changde/problem"
	"changde/schemas"
)

func TestMain(m *testing.M) { postgistest.Main(m) }

func exec(t *testing.T, link, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), link)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func wantProblem(t *testing.T, err error, code string) {
	t.Helper()
	var p *problem.Error
	if !errors.As(err, &p) || p.Code != code {
		t.Errorf("got %v, want the problem %s", err, code)
	}
}

func TestMigrateTogether(t *testing.T) {
	t.Parallel()
	// The user of the test server is named like a schema of the platform.
	link := postgistest.Empty(t) + "&search_path=%22%24user%22%2C%20public"
	before, err := schemas.Version(t.Context(), link)
	if err != nil {
		t.Fatal(err)
	}
	if before.Current != 0 || before.Target == 0 || before.Ready() {
		t.Errorf("before: %+v", before)
	}
	wantProblem(t, before.Check(), "database-older")
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if err := schemas.Migrate(t.Context(), link); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	after, err := schemas.Version(t.Context(), link)
	if err != nil {
		t.Fatal(err)
	}
	if !after.Ready() || after.Check() != nil {
		t.Errorf("after: %+v, %v", after, after.Check())
	}
	exec(t, link, `SELECT fid FROM (SELECT 1 AS fid) x, changde.organisations`)
	if err := schemas.Migrate(t.Context(), link); err != nil {
		t.Errorf("once more: %v", err)
	}
}

func TestMigrateRefusesNewerDatabase(t *testing.T) {
	t.Parallel()
	link := postgistest.URL(t)
	exec(t, link, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (90000, true)`)
	wantProblem(t, schemas.Migrate(t.Context(), link), "database-newer")
}

func TestMigrateWithoutRights(t *testing.T) {
	t.Parallel()
	link := postgistest.Empty(t)
	name := "weak_" + link[strings.LastIndex(link, "/changde_test_")+len("/changde_test_"):][:12]
	exec(t, link, `CREATE ROLE `+name+` LOGIN`)
	t.Cleanup(func() { dropRole(t, link, name) })
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("user", name)
	u.RawQuery = q.Encode()
	wantProblem(t, schemas.Migrate(t.Context(), u.String()), "migrate-rights")
}

func dropRole(t *testing.T, link, name string) {
	conn, err := pgx.Connect(t.Context(), link)
	if err == nil {
		_, err = conn.Exec(t.Context(), `DROP ROLE `+name)
	}
	if err != nil {
		t.Logf("drop the role: %v", err)
	}
}

func TestMigrateExplainsURL(t *testing.T) {
	t.Parallel()
	wantProblem(t, schemas.Migrate(t.Context(), "postgres://u:p@h:port/x"), "database-url")
}

func TestHashIsStable(t *testing.T) {
	t.Parallel()
	a, err := schemas.Hash()
	if err != nil {
		t.Fatal(err)
	}
	if b, err := schemas.Hash(); err != nil || a != b || len(a) != 16 {
		t.Errorf("%q then %q (%v), want the same 16 digits", a, b, err)
	}
}
