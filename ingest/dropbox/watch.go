package dropbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"changde/problem"
)

const (
	tempPrefix = "changde-dropbox-"
	maxWait    = 10 * time.Minute // between two attempts at a parcel that we fail to receive
	settleTime = 30 * time.Minute // for moving a parcel once its outcome is known
)

// Watch looks at the box again and again and hands each complete parcel to
// receive, with its rule and with its files as copies on this machine, which are
// removed when receive returns. It returns nil when ctx ends, and an error only
// for bad rules or an unusable TempDir: what goes wrong with the box is logged and
// tried again.
//
// Receive returns the id of the delivery it made. A *problem.Error refuses the
// parcel, unless its kind is problem.Busy; any other error leaves it in the box for
// another attempt, each later than the one before up to 10 minutes. While receive
// runs, its context ends when the claim is lost.
//
// Any number of watchers may share a box: a parcel goes to one of them. When that
// one is killed before it has recorded the outcome, another hands the parcel over
// again, with the same Parcel.ID: receive makes one delivery for one ID.
func Watch(ctx context.Context, box Box, rules []Rule, receive func(context.Context, Parcel) (int64, error), config Config) error {
	if err := CheckRules(rules); err != nil {
		return err
	}
	config = config.withDefaults()
	if config.TempDir == "" {
		config.TempDir = os.TempDir()
	}
	if err := sweepTemp(config.TempDir); err != nil {
		return fmt.Errorf("dropbox: %w", err)
	}
	w := watcher{box: box, rules: rules, receive: receive, config: config, failures: make(map[string]failure)}
	tick := time.NewTicker(config.Poll)
	defer tick.Stop()
	for ctx.Err() == nil {
		w.look(ctx)
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	return nil
}

type watcher struct {
	box      Box
	rules    []Rule
	receive  func(context.Context, Parcel) (int64, error)
	config   Config
	failures map[string]failure // by Parcel.ID
}

type failure struct {
	count int
	next  time.Time
}

// look handles what is in the box.
func (w *watcher) look(ctx context.Context) {
	parcels, err := w.box.Scan(ctx)
	if err != nil && ctx.Err() == nil {
		w.config.Log.Error("drop box: scan", "error", err)
	}
	present := make(map[string]failure)
	for _, p := range parcels {
		id := p.ID
		if f, ok := w.failures[id]; ok {
			present[id] = f
			if time.Now().Before(f.next) {
				continue
			}
		}
		if ctx.Err() != nil {
			return
		}
		err := w.handle(ctx, p)
		switch {
		case err == nil:
			delete(present, id)
			continue
		case ctx.Err() != nil:
			return
		case errors.Is(err, ErrChanged) || errors.Is(err, ErrLost):
			w.config.Log.Info("drop box: parcel left", "sender", p.Sender, "parcel", p.Name, "reason", err)
			continue
		}
		f := w.failures[id]
		f.count++
		f.next = time.Now().Add(min(maxWait, w.config.Poll<<min(f.count-1, 10)))
		present[id] = f
		w.config.Log.Error("drop box: parcel not received, it will be tried again", "sender", p.Sender, "parcel", p.Name, "attempt", f.count, "error", err)
	}
	w.failures = present
}

// handle takes one parcel from claim to settlement.
func (w *watcher) handle(ctx context.Context, p Parcel) error {
	claimed, err := w.box.Claim(ctx, &p)
	if err != nil || !claimed {
		return err
	}
	held, stop := w.hold(ctx, &p)
	defer stop()
	outcome := Outcome{}
	if recorded := p.recorded(); recorded != nil {
		outcome = *recorded
	} else if outcome, err = w.deliver(held, &p); err != nil {
		if cause := context.Cause(held); errors.Is(cause, ErrLost) {
			return cause
		}
		stop()
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		return errors.Join(err, w.box.Release(late, &p))
	}
	// What has been received is moved even when this watcher is told to end.
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	if err := w.box.Settle(late, &p, outcome); err != nil {
		return err
	}
	log := w.config.Log.With("sender", p.Sender, "parcel", p.Name)
	if outcome.Problem != nil {
		log.Warn("drop box: parcel refused", "code", outcome.Problem.Code, "error", outcome.Problem)
	} else {
		log.Info("drop box: parcel received", "delivery", outcome.Delivery)
	}
	return nil
}

// deliver fetches a parcel and has it received.
func (w *watcher) deliver(ctx context.Context, p *Parcel) (Outcome, error) {
	if p.Fault != nil {
		return Outcome{Problem: p.Fault}, nil
	}
	dir, err := os.MkdirTemp(w.config.TempDir, fmt.Sprintf("%s%d-", tempPrefix, os.Getpid()))
	if err != nil {
		return Outcome{}, fmt.Errorf("dropbox: %w", err)
	}
	defer os.RemoveAll(dir)
	var id int64
	paths, err := w.box.Fetch(ctx, p, dir)
	if err == nil {
		given := *p
		given.Paths, given.Rule = paths, Match(w.rules, *p)
		id, err = w.receive(ctx, given)
	}
	var refused *problem.Error
	switch {
	case err == nil && ctx.Err() != nil && errors.Is(context.Cause(ctx), ErrLost):
		return Outcome{}, ErrLost
	case err == nil:
		return Outcome{Delivery: id}, nil
	case ctx.Err() == nil && errors.As(err, &refused) && refused.Kind != problem.Busy:
		return Outcome{Problem: refused}, nil
	}
	return Outcome{}, err
}

// hold renews a claim until it is stopped. The context it returns ends, with cause
// ErrLost, when the claim is another's or could not be renewed in time.
func (w *watcher) hold(ctx context.Context, p *Parcel) (held context.Context, stop func()) {
	held, cancel := context.WithCancelCause(ctx)
	var wait sync.WaitGroup
	quit := make(chan struct{})
	wait.Go(func() {
		tick := time.NewTicker(w.config.Lease / 4)
		defer tick.Stop()
		last := time.Now()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
			}
			// A settlement goes on after ctx has ended, and so does its claim.
			renew, done := context.WithTimeout(context.WithoutCancel(ctx), w.config.Lease/4)
			err := w.box.Renew(renew, p)
			done()
			switch {
			case err == nil:
				last = time.Now()
			case errors.Is(err, ErrLost), time.Since(last) > w.config.Lease*3/4:
				cancel(errors.Join(ErrLost, err))
				return
			}
		}
	})
	var once sync.Once
	return held, func() {
		once.Do(func() {
			close(quit)
			wait.Wait()
			cancel(nil)
		})
	}
}

// sweepTemp removes the folders of watchers that were killed on this machine.
func sweepTemp(dir string) error {
	found, err := filepath.Glob(filepath.Join(dir, tempPrefix+"*"))
	if err != nil {
		return err
	}
	for _, path := range found {
		number, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(path), tempPrefix), "-")
		pid, err := strconv.Atoi(number)
		// Signal 0 asks whether the process is there; only ESRCH says that it is not.
		if err != nil || !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			continue
		}
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	return nil
}
