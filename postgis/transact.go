package postgis

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Beginner starts transactions: a pool, or one of its connections.
type Beginner interface {
	Begin(ctx context.Context) (pgx.Tx, error)
}

// How long, and how often, the fate of a transaction is asked for.
const (
	fateTimeout = 15 * time.Second
	fatePause   = 100 * time.Millisecond
)

// Transact runs f in a transaction of from and commits it when f returns nil, as
// pgx.BeginFunc does. Where the connection is lost before the commit is answered,
// the database is asked through pool what became of it: a change that was made is
// no error, so that nobody makes it twice.
func Transact(ctx context.Context, pool *pgxpool.Pool, from Beginner, f func(pgx.Tx) error) error {
	var xid string
	done := false
	err := pgx.BeginFunc(ctx, from, func(tx pgx.Tx) error {
		if err := f(tx); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, "SELECT pg_current_xact_id()::text").Scan(&xid); err != nil {
			return err
		}
		done = true
		return nil
	})
	if err == nil || !done || errors.Is(err, pgx.ErrTxCommitRollback) {
		return err
	}
	if committed(ctx, pool, xid) {
		return nil
	}
	return err
}

// committed reports whether the database knows that a transaction was committed.
// One whose session has not noticed yet that its client is gone is waited for.
func committed(ctx context.Context, pool *pgxpool.Pool, xid string) bool {
	// The caller's context may be what broke the connection.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fateTimeout)
	defer cancel()
	for {
		var status *string
		err := pool.QueryRow(ctx, "SELECT pg_xact_status($1::text::xid8)", xid).Scan(&status)
		if err == nil && (status == nil || *status != "in progress") {
			return status != nil && *status == "committed"
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(fatePause):
		}
	}
}
