package postgis_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"changde/postgis"
	"changde/postgis/postgistest"
	"changde/problem"
)

const patience = 20 * time.Second

func receive[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("no %s after %s", what, patience)
		panic("unreachable")
	}
}

func TestListenComesBack(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	const channel = `更新"channel`
	payloads, begun, ended := make(chan string, 10), make(chan struct{}, 10), make(chan error, 1)
	go func() {
		ended <- postgis.Listen(ctx, pool, channel, func(p string) { payloads <- p }, func() { begun <- struct{}{} })
	}()
	receive(t, begun, "start")
	say := func(payload string) {
		t.Helper()
		if _, err := pool.Exec(ctx, `SELECT pg_notify($1, $2)`, channel, payload); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, payloads, "notification"); got != payload {
			t.Errorf("got %q, want %q", got, payload)
		}
	}
	say("地块 1")
	for range 3 {
		var killed int
		err := pool.QueryRow(ctx, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
			WHERE datname = current_database() AND query LIKE 'LISTEN%'`).Scan(&killed)
		if err != nil || killed != 1 {
			t.Fatalf("killed %d listeners (%v), want 1", killed, err)
		}
		receive(t, begun, "new start")
		say("地块 2")
	}
	if n := pool.Stat().AcquiredConns(); n != 0 {
		t.Errorf("%d connections of the pool are taken, want none", n)
	}
	cancel()
	if err := receive(t, ended, "end"); err != nil {
		t.Errorf("ended with %v, want nil", err)
	}
}

func TestListenWaitsForTheDatabase(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	// A pool that lost its server: the listener must keep trying, and end with ctx.
	away := pool.Config()
	away.ConnConfig.Host, away.ConnConfig.Port, away.ConnConfig.Fallbacks = "127.0.0.1", 1, nil
	lost, err := pgxpool.NewWithConfig(ctx, away)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(lost.Close)
	short, stop := context.WithTimeout(ctx, time.Second)
	defer stop()
	began := time.Now()
	err = postgis.Listen(short, lost, "x", func(string) {}, func() { t.Error("listening has begun") })
	if err != nil || time.Since(began) < 900*time.Millisecond {
		t.Errorf("ended with %v after %s, want nil after a second", err, time.Since(began))
	}
}

func TestListenRefusesNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "a\x00b", string(make([]byte, 64))} {
		if err := postgis.Listen(t.Context(), nil, name, nil, nil); !problem.Is(err, problem.Invalid) {
			t.Errorf("%q: got %v, want a problem", name, err)
		}
	}
}
