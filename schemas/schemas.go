// Package schemas holds the contracts of the platform as embedded files. Its
// SQL migrations (folder sql) make the tables of the platform in a database.
package schemas

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"changde/problem"
)

//go:embed sql/*.sql
var files embed.FS

// The wait for another process that migrates the same database: tries, one a
// second.
const lockTries = 600

// Status is how far a database has come: the last migration applied to it, 0
// for none, and the last one this program knows.
type Status struct {
	Current int64
	Target  int64
}

// Ready reports whether the database is exactly what this program expects.
func (s Status) Ready() bool { return s.Current == s.Target }

// Check is nil when the database is ready, and otherwise a *problem.Error of
// kind Conflict that says which side is behind and what to run.
func (s Status) Check() error {
	switch {
	case s.Current > s.Target:
		return problem.New(problem.Conflict, "database-newer", "",
			fmt.Sprintf("数据库结构为第 %d 版，本程序只认识到第 %d 版；请改用更新的 changde", s.Current, s.Target),
			fmt.Sprintf("the database is at version %d, this program knows only up to %d; use a newer changde", s.Current, s.Target))
	case s.Current < s.Target:
		return problem.New(problem.Conflict, "database-older", "",
			fmt.Sprintf("数据库结构为第 %d 版，本程序需要第 %d 版；请先运行 changde migrate", s.Current, s.Target),
			fmt.Sprintf("the database is at version %d, this program needs %d; run changde migrate first", s.Current, s.Target))
	}
	return nil
}

// Hash identifies the migrations by their names and content, in 16 hexadecimal
// digits.
func Hash() (string, error) {
	names, err := fs.Glob(files, "sql/*.sql")
	if err != nil {
		return "", fmt.Errorf("list the migrations: %w", err)
	}
	h := sha256.New()
	for _, name := range names {
		b, err := files.ReadFile(name)
		if err != nil {
			return "", fmt.Errorf("read a migration: %w", err)
		}
		fmt.Fprintf(h, "%s %d\n", name, len(b))
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}

// Migrate brings the database of a libpq URL to the version this program
// expects, each migration in a transaction. Several processes may call it at
// once: they take turns by an advisory lock. The login must own the database,
// and be allowed to create the extension postgis unless it is there.
//
// A database newer than the program, and a login without the rights, are a
// *problem.Error.
func Migrate(ctx context.Context, url string) error {
	db, err := open(url)
	if err != nil {
		return err
	}
	defer db.Close()
	s, err := status(ctx, db)
	if err != nil {
		return err
	}
	if s.Current > s.Target {
		return s.Check()
	}
	if s.Ready() {
		return migrateJobs(ctx, url)
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, lockTries))
	if err != nil {
		return fmt.Errorf("make the migration lock: %w", err)
	}
	sub, err := fs.Sub(files, "sql")
	if err != nil {
		return fmt.Errorf("open the migrations: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, sub,
		goose.WithSessionLocker(locker), goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	if _, err := p.Up(ctx); err != nil {
		return explain(err)
	}
	return migrateJobs(ctx, url)
}

// Version asks a database how far it has come. It changes nothing and needs no
// more than the right to read the table goose_db_version.
func Version(ctx context.Context, url string) (Status, error) {
	db, err := open(url)
	if err != nil {
		return Status{}, err
	}
	defer db.Close()
	return status(ctx, db)
}

func open(url string) (*sql.DB, error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, problem.Wrap(err, problem.Invalid, "database-url", "DATABASE_URL",
			"数据库地址无法解析；格式如 postgres://用户:口令@主机:5432/数据库",
			"the database address cannot be read; write it like postgres://user:password@host:5432/database")
	}
	return stdlib.OpenDB(*cfg, stdlib.OptionAfterConnect(publicFirst)), nil
}

// publicFirst keeps the table of versions in one place: for a user named changde
// the schema changde comes before public from the moment the first migration
// makes it. The rest of the path may lead to PostGIS.
func publicFirst(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, `SELECT set_config('search_path', 'public, ' || current_setting('search_path'), false)`)
	if err != nil {
		return fmt.Errorf("set the search path: %w", err)
	}
	return nil
}

func status(ctx context.Context, db *sql.DB) (Status, error) {
	var s Status
	var err error
	if s.Target, err = target(); err != nil {
		return s, err
	}
	var exists bool
	if err := db.QueryRowContext(ctx, `SELECT to_regclass('goose_db_version') IS NOT NULL`).Scan(&exists); err != nil {
		return s, fmt.Errorf("ask the version of the database: %w", err)
	}
	if !exists {
		return s, nil
	}
	if err := db.QueryRowContext(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version`).Scan(&s.Current); err != nil {
		return s, fmt.Errorf("ask the version of the database: %w", err)
	}
	return s, nil
}

// target is the number of the last migration file.
func target() (int64, error) {
	names, err := fs.Glob(files, "sql/*.sql")
	if err != nil {
		return 0, fmt.Errorf("list the migrations: %w", err)
	}
	var last int64
	for _, name := range names {
		n, err := goose.NumericComponent(path.Base(name))
		if err != nil {
			return 0, fmt.Errorf("read the number of %s: %w", name, err)
		}
		last = max(last, n)
	}
	return last, nil
}

// explain tells a refused right and a missing PostGIS from a fault of the
// platform.
func explain(err error) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return fmt.Errorf("migrate: %w", err)
	}
	switch {
	case pg.Code == "42501":
		return problem.Wrap(err, problem.Forbidden, "migrate-rights", "",
			"数据库登录没有建立平台结构的权限（"+pg.Message+"）；请用数据库所有者登录，并由管理员先执行 CREATE EXTENSION postgis",
			"the login may not make the platform's tables ("+pg.Message+"); log in as the owner of the database, and have an administrator run CREATE EXTENSION postgis first")
	case strings.Contains(pg.Message, `extension "postgis" is not available`),
		pg.Code == "58P01" && strings.Contains(pg.Message, "postgis"):
		return problem.Wrap(err, problem.Unsupported, "postgis-missing", "",
			"数据库服务器没有安装 PostGIS；在服务器上安装，例如 sudo apt-get install postgresql-postgis",
			"the database server has no PostGIS; install it there, for example sudo apt-get install postgresql-postgis")
	}
	return fmt.Errorf("migrate: %w", err)
}
