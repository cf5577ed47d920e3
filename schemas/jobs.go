package schemas

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// JobsSchema is where the job queue keeps its tables, which its own library makes.
const JobsSchema = "jobs"

// jobsLock is the advisory lock of whoever migrates the jobs. The library takes
// none, and two that grant at once would fail on each other's rows.
const jobsLock = 0x6a6f6273

// migrateJobs brings the tables of the queue up to date and grants them to the
// server's role. Several processes take turns.
func migrateJobs(ctx context.Context, url string) error {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("migrate jobs: %w", err)
	}
	config.MaxConns = 2
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("migrate jobs: %w", err)
	}
	defer pool.Close()
	turn, err := pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("migrate jobs: %w", err)
	}
	defer turn.Release()
	if _, err := turn.Exec(ctx, "SELECT set_config('lock_timeout', $1, false)", fmt.Sprintf("%ds", lockTries)); err != nil {
		return fmt.Errorf("migrate jobs: %w", err)
	}
	// The lock goes with the connection, which ends with the pool.
	if _, err := turn.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(jobsLock)); err != nil {
		return fmt.Errorf("wait for another who migrates jobs: %w", err)
	}
	m, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Schema: JobsSchema, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		return fmt.Errorf("migrate jobs: %w", err)
	}
	if _, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("migrate jobs: %w", err)
	}
	if _, err := pool.Exec(ctx, "SELECT changde.grant_jobs()"); err != nil {
		return fmt.Errorf("grant jobs: %w", err)
	}
	return nil
}
