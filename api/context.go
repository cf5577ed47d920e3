package api

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// opened is the context of a request: its id, and the limit of the time for it. The
// limit costs something only where somebody waits, which for an answer that is in
// memory nobody does.
type opened struct {
	context.Context
	id    string
	until time.Time // zero: no limit

	once    sync.Once
	limited atomic.Pointer[limited]
}

type limited struct {
	context.Context
	cancel context.CancelFunc
}

type openedKey struct{}

// limit sets the clock. A zero limit is the context's own.
func (c *opened) limit() context.Context {
	if c.until.IsZero() {
		return c.Context
	}
	c.once.Do(func() {
		var l limited
		l.Context, l.cancel = context.WithDeadline(c.Context, c.until)
		c.limited.Store(&l)
	})
	return c.limited.Load()
}

// close lets go of the clock. What still waits then is ended by the server, with the
// request.
func (c *opened) close() {
	if l := c.limited.Load(); l != nil {
		l.cancel()
	}
}

// Deadline implements context.Context.
func (c *opened) Deadline() (time.Time, bool) { return c.limit().Deadline() }

// Done implements context.Context.
func (c *opened) Done() <-chan struct{} { return c.limit().Done() }

// Err implements context.Context.
func (c *opened) Err() error { return c.limit().Err() }

// Value implements context.Context.
func (c *opened) Value(key any) any {
	if key == (openedKey{}) {
		return c
	}
	if l := c.limited.Load(); l != nil {
		return l.Value(key)
	}
	return c.Context.Value(key)
}

func requestID(ctx context.Context) string {
	if c, ok := ctx.Value(openedKey{}).(*opened); ok {
		return c.id
	}
	return ""
}
