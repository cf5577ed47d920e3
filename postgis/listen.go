package postgis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"changde/problem"
)

// The times of Listen: the first and the longest wait before connecting again,
// and how long a silent connection is trusted before it is asked for a sign.
const (
	listenBackoff    = 100 * time.Millisecond
	listenMaxBackoff = 5 * time.Second
	listenSilence    = 30 * time.Second
)

// Listen waits for the notifications of a channel until ctx ends, then returns
// nil. It uses a connection of its own, made with the pool's settings, and takes
// none from the pool. When the connection is lost it connects again, with
// growing waits of at most 5 s.
//
// PostgreSQL keeps nothing for a listener that is away: reconnected is called
// each time listening has begun, the first time too, so that the caller reads
// afresh what it may have missed. handle and reconnected are called one at a
// time on the caller's goroutine; reconnected may be nil. A channel name that
// PostgreSQL cannot hold is a *problem.Error.
func Listen(ctx context.Context, pool *pgxpool.Pool, channel string, handle func(payload string), reconnected func()) error {
	if channel == "" || len(channel) > maxIdentifier || strings.IndexByte(channel, 0) >= 0 {
		return problem.New(problem.Invalid, "channel-name", channel,
			"通知频道名须为 1 至 63 字节", "the name of a notification channel has 1 to 63 bytes")
	}
	wait := listenBackoff
	for ctx.Err() == nil {
		began, err := listenOnce(ctx, pool, channel, handle, reconnected)
		if ctx.Err() != nil || err == nil {
			break
		}
		if began {
			wait = listenBackoff
		}
		// Half of the wait is chance, so that many listeners do not come back at once.
		timer := time.NewTimer(wait/2 + rand.N(wait/2))
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C:
		}
		wait = min(2*wait, listenMaxBackoff)
	}
	return nil
}

// listenOnce listens over one connection until it fails; began tells whether it
// got as far as listening.
func listenOnce(ctx context.Context, pool *pgxpool.Pool, channel string, handle func(string), reconnected func()) (began bool, err error) {
	conn, err := pgx.ConnectConfig(ctx, pool.Config().ConnConfig)
	if err != nil {
		return false, fmt.Errorf("connect: %w", err)
	}
	defer func() {
		// ctx may have ended; the farewell gets a moment of its own.
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		conn.Close(closing)
	}()
	if _, err := conn.Exec(ctx, new(SQL).Raw("LISTEN ").Ident(channel).String()); err != nil {
		return false, fmt.Errorf("listen: %w", err)
	}
	if reconnected != nil {
		reconnected()
	}
	for {
		waiting, cancel := context.WithTimeout(ctx, listenSilence)
		n, err := conn.WaitForNotification(waiting)
		cancel()
		switch {
		case err == nil:
			handle(n.Payload)
		case ctx.Err() != nil:
			return true, ctx.Err()
		case errors.Is(err, context.DeadlineExceeded) && !conn.IsClosed():
			if err := ping(ctx, conn); err != nil {
				return true, err
			}
		default:
			return true, fmt.Errorf("wait for a notification: %w", err)
		}
	}
}

// ping finds a connection whose other end vanished without a word.
func ping(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if err := conn.Ping(ctx); err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	return nil
}
