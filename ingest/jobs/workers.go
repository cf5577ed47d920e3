package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"changde/ingest"
	"changde/schemas"
)

// Config tunes the workers of one process. The zero value works.
type Config struct {
	// Workers is how many jobs run at once. Default GOMAXPROCS.
	Workers int
	// Recover is how often deliveries of dead workers are looked for. Default 10 s.
	Recover time.Duration
	// Snooze is how long a job waits for another delivery of its dataset. Default 3 s.
	Snooze time.Duration
	// StopTimeout is how long jobs may go on when the process is asked to stop;
	// what is not done is begun again elsewhere. Default 10 s.
	StopTimeout time.Duration
	Log         *slog.Logger // default slog.Default()
}

// Run works on jobs until ctx ends. The pool's login must own the platform's
// schemas, and i must have Enqueue and Depot.
func Run(ctx context.Context, pool *pgxpool.Pool, i *ingest.Ingester, c Config) error {
	if c.Workers <= 0 {
		c.Workers = runtime.GOMAXPROCS(0)
	}
	if c.Recover <= 0 {
		c.Recover = 10 * time.Second
	}
	if c.Snooze <= 0 {
		c.Snooze = 3 * time.Second
	}
	if c.StopTimeout <= 0 {
		c.StopTimeout = 10 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, &deliveryWorker{ingester: i, config: c})
	river.AddWorker(workers, &decisionWorker{ingester: i, config: c})
	river.AddWorker(workers, &releaseWorker{pool: pool})
	river.AddWorker(workers, newWebhookWorker(pool))
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		Schema:     schemas.JobsSchema,
		Queues:     map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: c.Workers}},
		Workers:    workers,
		JobTimeout: -1, // a large delivery takes as long as it takes; its lock tells whether its worker lives
		// A job whose worker died is given to another; deliveries are found sooner, by
		// their locks.
		RescueStuckJobsAfter: 2 * time.Minute,
		SoftStopTimeout:      c.StopTimeout,
		Logger:               slog.New(quiet{c.Log.Handler()}),
	})
	if err != nil {
		return fmt.Errorf("start workers: %w", err)
	}
	if err := client.Start(ctx); err != nil {
		return fmt.Errorf("start workers: %w", err)
	}
	ticker := time.NewTicker(c.Recover)
	defer ticker.Stop()
	for {
		if err := i.Recover(ctx); err != nil && ctx.Err() == nil {
			c.Log.Warn("deliveries of dead workers not looked for", "err", err)
		}
		select {
		case <-ctx.Done():
			// The end of Start's context stops the workers, those that run after
			// SoftStopTimeout at the latest.
			select {
			case <-client.Stopped():
			case <-time.After(2 * c.StopTimeout):
			}
			return nil
		case <-ticker.C:
		}
	}
}

// quiet lets only warnings of the queue's own log through.
type quiet struct{ slog.Handler }

// Enabled reports whether the level is worth a line.
func (q quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && q.Handler.Enabled(ctx, level)
}

type deliveryWorker struct {
	river.WorkerDefaults[deliveryArgs]
	ingester *ingest.Ingester
	config   Config
}

// Work processes one delivery.
func (w *deliveryWorker) Work(ctx context.Context, job *river.Job[deliveryArgs]) error {
	id := job.Args.Delivery
	began := time.Now()
	err := w.ingester.Process(ctx, id, nil)
	switch {
	case errors.Is(err, ingest.ErrBusy):
		return river.JobSnooze(w.config.Snooze)
	case errors.Is(err, ingest.ErrNoDelivery):
		return river.JobCancel(err)
	case err != nil && ctx.Err() == nil && job.Attempt >= job.MaxAttempts:
		return errors.Join(err, w.ingester.GiveUp(id, err))
	case err == nil:
		w.config.Log.Info("delivery processed", "delivery", id, "took", time.Since(began).Round(time.Millisecond))
	}
	return err
}

type decisionWorker struct {
	river.WorkerDefaults[decisionArgs]
	ingester *ingest.Ingester
	config   Config
}

// Work carries out one decision. One that the delivery does not allow any more is
// recorded as such and not tried again.
func (w *decisionWorker) Work(ctx context.Context, job *river.Job[decisionArgs]) error {
	err := w.ingester.Carry(ctx, job.Args.Decision, nil)
	switch {
	case errors.Is(err, ingest.ErrBusy):
		return river.JobSnooze(w.config.Snooze)
	case ingest.Refused(err):
		return nil
	}
	return err
}

type releaseWorker struct {
	river.WorkerDefaults[releaseArgs]
	pool *pgxpool.Pool
}

// Work makes a job for each subscriber who may read the dataset.
func (w *releaseWorker) Work(ctx context.Context, job *river.Job[releaseArgs]) error {
	return pgx.BeginFunc(ctx, w.pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT h.id FROM changde.webhooks h JOIN changde.datasets d ON d.id = $1
			LEFT JOIN changde.organisations o ON o.id = h.organisation
			WHERE (h.dataset IS NULL OR h.dataset = d.id)
			AND (d.sharing = 'public' OR d.sharing = 'internal' AND o.id IS NOT NULL OR d.owner = o.id OR o.admin)
			ORDER BY h.id LIMIT 1000`, job.Args.Dataset)
		if err != nil {
			return fmt.Errorf("find subscribers: %w", err)
		}
		hooks, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return fmt.Errorf("find subscribers: %w", err)
		}
		client := river.ClientFromContext[pgx.Tx](ctx)
		for _, hook := range hooks {
			if _, err := client.InsertTx(ctx, tx, webhookArgs{hook, job.Args.Release}, &river.InsertOpts{MaxAttempts: hookAttempts, Priority: 2}); err != nil {
				return fmt.Errorf("put a webhook in the queue: %w", err)
			}
		}
		return nil
	})
}
