package shelf

import (
	"sync"
	"time"
)

// A service that does not answer is asked again after firstPause, then after twice as
// long each time, up to lastPause.
const (
	firstPause = time.Second
	lastPause  = 30 * time.Second
)

// rest keeps requests from a service that does not answer: those who want something
// are told so at once, but for one at a time, whose request is a trial.
type rest struct {
	mu    sync.Mutex
	pause time.Duration // 0: it answers
	until time.Time
}

// enter asks whether a request may be made, which takes at most as long as given.
func (r *rest) enter(longest time.Duration) (trial bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pause == 0 {
		return false, nil
	}
	if time.Now().Before(r.until) {
		return false, ErrResting
	}
	r.until = time.Now().Add(longest)
	return true, nil
}

// leave tells how a request went that might be made.
func (r *rest) leave(trial, answered bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case answered:
		r.pause = 0
		return
	case trial:
		r.pause = min(2*r.pause, lastPause)
	case r.pause == 0:
		r.pause = firstPause
	default:
		return // asked before the rest began
	}
	r.until = time.Now().Add(r.pause)
}
