// Package postgistest gives each test a fresh PostGIS database with the
// platform's tables in it.
//
// A test binary starts one throwaway server the first time a test asks, and
// copies each database from a migrated template. TEST_DATABASE_URL names another
// server instead; its login must be a superuser. The package of the tests says
//
//	func TestMain(m *testing.M) { postgistest.Main(m) }
package postgistest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"changde/postgis"
	"changde/schemas"
)

const (
	folderPrefix = "changde-test-"
	// templateLock is the advisory lock under which the template is made.
	templateLock = 7306482
	// maxConns bounds the pool of one test, for many run at once.
	maxConns = 4
	// startTimeout is generous: a busy machine starts many servers at once.
	startTimeout = 2 * time.Minute
)

// shared is the server of this test binary. It must be a variable, for TestMain
// and the tests have no other way to meet.
var shared server

type server struct {
	once     sync.Once
	main     bool
	err      error
	base     string // a URL whose database is replaced
	template string
	cluster  *postgis.Cluster
	folder   string
}

// Main runs the tests and ends the process with their result, after it has
// stopped the server and removed its folder. It is the whole of TestMain.
func Main(m *testing.M) {
	shared.main = true
	code := m.Run()
	if err := shared.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "postgistest:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// New opens a pool of at most four connections on a fresh database with the
// platform's tables. Both are gone after the test. Under -short the test is
// skipped. Parallel tests may all call it.
func New(t testing.TB) *pgxpool.Pool {
	t.Helper()
	link := URL(t)
	pool, err := postgis.Open(t.Context(), postgis.Config{URL: link, MaxConns: maxConns, ApplicationName: "changde test"})
	if err != nil {
		t.Fatalf("open the test database: %v", err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// URL is the connection URI of a fresh database with the platform's tables, for
// tests that start the program. The database is dropped after the test.
func URL(t testing.TB) string {
	t.Helper()
	return create(t, true)
}

// Empty is the connection URI of a fresh database with nothing in it, not even
// the extension postgis. It is dropped after the test.
func Empty(t testing.TB) string {
	t.Helper()
	return create(t, false)
}

func create(t testing.TB, migrated bool) string {
	t.Helper()
	if testing.Short() {
		t.Skip("needs PostGIS; skipped under -short")
	}
	if !shared.main {
		t.Fatal("TestMain of this package must call postgistest.Main")
	}
	shared.once.Do(shared.start)
	if shared.err != nil {
		t.Fatalf("start PostGIS for the tests: %v", shared.err)
	}
	name := "changde_test_" + strings.ToLower(rand.Text()[:12])
	from := "template0"
	if migrated {
		from = shared.template
	}
	q := new(postgis.SQL).Raw("CREATE DATABASE ").Ident(name).Raw(" TEMPLATE ").Ident(from)
	if err := shared.exec(t.Context(), q); err != nil {
		t.Fatalf("create the test database: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
		defer cancel()
		q := new(postgis.SQL).Raw("DROP DATABASE IF EXISTS ").Ident(name).Raw(" WITH (FORCE)")
		if err := shared.exec(ctx, q); err != nil {
			t.Errorf("drop the test database: %v", err)
		}
	})
	return shared.url(name)
}

func (s *server) start() {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	s.err = s.startContext(ctx)
}

func (s *server) startContext(ctx context.Context) error {
	s.base = os.Getenv("TEST_DATABASE_URL")
	if s.base == "" {
		removeStale()
		folder, err := os.MkdirTemp("", folderPrefix)
		if err != nil {
			return fmt.Errorf("make a folder for the server: %w", err)
		}
		s.folder = folder
		// As root the server runs under another user, who passes through here.
		if err := os.Chmod(folder, 0o711); err != nil {
			return fmt.Errorf("open the folder to the server: %w", err)
		}
		if s.cluster, err = postgis.StartCluster(ctx, postgis.ClusterConfig{Dir: folder}); err != nil {
			return err
		}
		s.base = s.cluster.URL()
	}
	if !strings.HasPrefix(s.base, "postgres://") && !strings.HasPrefix(s.base, "postgresql://") {
		return errors.New("TEST_DATABASE_URL must be a URL such as postgres://user:password@host:5432/postgres")
	}
	return s.makeTemplate(ctx)
}

// makeTemplate makes the template named by the hash of the migrations, once for
// each server however many test binaries share it. That it is marked as a
// template says that it is finished.
func (s *server) makeTemplate(ctx context.Context) error {
	hash, err := schemas.Hash()
	if err != nil {
		return err
	}
	s.template = "changde_template_" + hash
	conn, err := pgx.Connect(ctx, s.base)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	// The lock ends with the connection.
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, templateLock); err != nil {
		return fmt.Errorf("lock the template: %w", err)
	}
	var finished bool
	err = conn.QueryRow(ctx, `SELECT coalesce((SELECT datistemplate FROM pg_database WHERE datname = $1), false)`, s.template).Scan(&finished)
	if err != nil {
		return fmt.Errorf("look for the template: %w", err)
	}
	if finished {
		return nil
	}
	for _, q := range []*postgis.SQL{
		new(postgis.SQL).Raw("DROP DATABASE IF EXISTS ").Ident(s.template).Raw(" WITH (FORCE)"),
		new(postgis.SQL).Raw("CREATE DATABASE ").Ident(s.template).Raw(" TEMPLATE template0"),
	} {
		if _, err := conn.Exec(ctx, q.String()); err != nil {
			return fmt.Errorf("create the template: %w", err)
		}
	}
	if err := schemas.Migrate(ctx, s.url(s.template)); err != nil {
		return fmt.Errorf("migrate the template: %w", err)
	}
	// No connection is allowed, for one would keep it from being copied.
	q := new(postgis.SQL).Raw("ALTER DATABASE ").Ident(s.template).Raw(" WITH IS_TEMPLATE true ALLOW_CONNECTIONS false")
	if _, err := conn.Exec(ctx, q.String()); err != nil {
		return fmt.Errorf("finish the template: %w", err)
	}
	return nil
}

func (s *server) exec(ctx context.Context, q *postgis.SQL) error {
	conn, err := pgx.Connect(ctx, s.base)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, q.String())
	return err
}

// url is the base with another database; startContext has seen that it parses.
func (s *server) url(database string) string {
	u, err := url.Parse(s.base)
	if err != nil {
		return s.base
	}
	u.Path = "/" + database
	return u.String()
}

func (s *server) stop() error {
	var err error
	if s.cluster != nil {
		ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
		defer cancel()
		err = s.cluster.Stop(ctx)
	}
	if s.folder != "" {
		err = errors.Join(err, os.RemoveAll(s.folder))
	}
	return err
}
