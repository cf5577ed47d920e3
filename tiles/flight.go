package tiles

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"

	"changde/problem"
)

// flights lets callers who want the same thing at once wait for one load of it.
// A load belongs to no caller: it goes on while somebody waits, and is cancelled
// when the last one leaves.
type flights struct {
	mu      sync.Mutex
	running map[key]*flight
}

type flight struct {
	done    chan struct{}
	cancel  context.CancelFunc
	waiting int // guarded by flights.mu
	tile    *Tile
	err     error
}

// join waits for the load of k, which it starts when there is none. It returns
// early, with the context's error, when ctx ends.
func (f *flights) join(ctx context.Context, k key, load func(context.Context) (*Tile, error)) (*Tile, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("tile %s: %w", k.address, err)
	}
	f.mu.Lock()
	c, ok := f.running[k]
	if !ok {
		loading, cancel := context.WithCancel(context.WithoutCancel(ctx))
		c = &flight{done: make(chan struct{}), cancel: cancel}
		f.running[k] = c
		go func() {
			defer cancel()
			defer close(c.done)
			defer f.forget(k, c)
			// Nothing above this goroutine would keep a panic from ending the process.
			defer func() {
				if p := recover(); p != nil {
					c.err = fmt.Errorf("tile %s: panic: %v\n%s", k.address, p, debug.Stack())
				}
			}()
			c.tile, c.err = load(loading)
		}()
	}
	c.waiting++
	f.mu.Unlock()

	select {
	case <-c.done:
		return c.tile, c.err
	case <-ctx.Done():
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if c.waiting--; c.waiting == 0 {
		// Nobody may board a flight that is being called off.
		if f.running[k] == c {
			delete(f.running, k)
		}
		c.cancel()
	}
	return nil, fmt.Errorf("tile %s: %w", k.address, context.Cause(ctx))
}

func (f *flights) forget(k key, c *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.running[k] == c {
		delete(f.running, k)
	}
}

// turns lets a number of builds run at once and a number wait.
type turns struct {
	running chan struct{}
	waiting chan struct{}
}

func (t *turns) init(builds, queue int) {
	t.running = make(chan struct{}, builds)
	t.waiting = make(chan struct{}, queue)
}

// take waits for a turn. When too many wait already it is problem.Busy.
func (t *turns) take(ctx context.Context) error {
	select {
	case t.running <- struct{}{}:
		return nil
	default:
	}
	select {
	case t.waiting <- struct{}{}:
		defer func() { <-t.waiting }()
	default:
		return problem.New(problem.Busy, "tiles-busy", "",
			"正在生成的瓦片过多；请稍后重试", "too many tiles are being made; try again shortly")
	}
	select {
	case t.running <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for a turn: %w", context.Cause(ctx))
	}
}

func (t *turns) give() { <-t.running }
