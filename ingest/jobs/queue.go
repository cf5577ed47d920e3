// Package jobs hands the work of ingest to workers through a queue in PostgreSQL
// (River), so that any number of processes on any machines may share it.
package jobs

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"changde/ingest"
	"changde/schemas"
)

// deliveryArgs ask for a delivery to be processed.
type deliveryArgs struct {
	Delivery int64 `json:"delivery"`
}

// Kind names the job in the queue for ever.
func (deliveryArgs) Kind() string { return "delivery" }

// decisionArgs ask for a decision to be carried out.
type decisionArgs struct {
	Decision int64 `json:"decision"`
}

// Kind names the job in the queue for ever.
func (decisionArgs) Kind() string { return "decision" }

// releaseArgs ask for the subscribers of a release to be told.
type releaseArgs struct {
	ingest.Release
}

// Kind names the job in the queue for ever.
func (releaseArgs) Kind() string { return "release" }

// webhookArgs ask for one subscriber to be told.
type webhookArgs struct {
	Webhook int64          `json:"webhook"`
	Event   ingest.Release `json:"event"`
}

// Kind names the job in the queue for ever.
func (webhookArgs) Kind() string { return "webhook" }

const (
	maxAttempts  = 8
	hookAttempts = 12 // about a day with the queue's growing pauses
	lastPriority = 4
)

// Queue takes jobs. It is safe for many goroutines.
type Queue struct {
	client *river.Client[pgx.Tx]
}

// NewQueue opens the queue for putting jobs in. The server's role may do that.
func NewQueue(pool *pgxpool.Pool) (*Queue, error) {
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{Schema: schemas.JobsSchema})
	if err != nil {
		return nil, fmt.Errorf("open the job queue: %w", err)
	}
	return &Queue{client}, nil
}

// Enqueue puts a job in when tx commits. It is what ingest.Config.Enqueue wants.
func (q *Queue) Enqueue(ctx context.Context, tx pgx.Tx, job ingest.Job) error {
	args, options := river.JobArgs(nil), river.InsertOpts{MaxAttempts: maxAttempts}
	switch {
	case job.Delivery != 0:
		args, options.Priority = deliveryArgs{job.Delivery}, min(max(job.Priority, 1), lastPriority)
	case job.Decision != 0:
		args = decisionArgs{job.Decision}
	case job.Released != nil:
		args = releaseArgs{*job.Released}
	default:
		return errors.New("put a job in the queue: it asks for nothing")
	}
	if _, err := q.client.InsertTx(ctx, tx, args, &options); err != nil {
		return fmt.Errorf("put a %s job in the queue: %w", args.Kind(), err)
	}
	return nil
}
