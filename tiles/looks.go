package tiles

import (
	"context"
	"strings"
	"sync"
	"time"

	"changde/tiles/shelf"
)

// lookAgain is how long a list of the shelf holds, lookFor how long one may take, and
// lookPatience how long somebody waits for one.
const (
	lookAgain    = 2 * time.Second
	lookFor      = 15 * time.Second
	lookPatience = time.Second
)

// inventory is what archives were on the shelf at a moment.
type inventory struct {
	at    time.Time
	files map[string][]listed // by content
	err   error               // why it is one of before
}

// listed is an archive of which tiles or covers are there.
type listed struct {
	archiveName
	tiles, covers string // what tells their files from others; empty: not there
}

// looks are the lists of the shelf, one for all contents.
type looks struct {
	mu      sync.Mutex
	last    *inventory    // nil before the first
	lapsed  bool          // the shelf was changed since, as this process knows
	looking chan struct{} // closed when the list that is being made is there; nil: none is
}

// lapse has the shelf looked at again before anything of it is used.
func (l *looks) lapse() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lapsed = true
}

// listed gives what is on the shelf, as it was a moment ago. Where the shelf takes long
// to tell, one waits for it at times and the others are given what is known.
func (s *Archives) listed(ctx context.Context) *inventory {
	l := &s.looks
	patience := time.NewTimer(lookPatience)
	defer patience.Stop()
	for {
		l.mu.Lock()
		last, known := l.last, l.last != nil && !l.lapsed
		if known && time.Since(last.at) < lookAgain {
			l.mu.Unlock()
			return last
		}
		mine := l.looking == nil
		if mine {
			l.looking, l.lapsed = make(chan struct{}), false
			go s.look(context.WithoutCancel(ctx), l.looking)
		}
		looking := l.looking
		l.mu.Unlock()
		if known && !mine {
			return last
		}
		select {
		case <-looking:
			continue
		case <-patience.C:
		case <-ctx.Done():
		}
		return l.late()
	}
}

// late gives what is known while a list takes long, for which nobody waits any more.
func (l *looks) late() *inventory {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil {
		l.last = &inventory{err: shelf.ErrUnreachable}
	}
	l.lapsed = false
	return l.last
}

// look makes the next list.
func (s *Archives) look(ctx context.Context, done chan struct{}) {
	defer close(done)
	ctx, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	entries, err := s.shelf.List(ctx)
	if err != nil {
		s.fault(err, "archives of tiles not listed; tiles are made when asked for")
	}
	l := &s.looks
	l.mu.Lock()
	defer l.mu.Unlock()
	l.looking = nil
	next := &inventory{at: time.Now(), err: err}
	if err == nil {
		next.files = byContent(entries)
	} else if l.last != nil {
		next.files = l.last.files
	}
	l.last = next
}

func byContent(entries []shelf.Entry) map[string][]listed {
	out := make(map[string][]listed)
	for _, e := range entries {
		n, ok := parseArchiveName(e.Name)
		if !ok {
			continue
		}
		files := out[n.content]
		i := 0
		for i < len(files) && files[i].archiveName != n {
			i++
		}
		if i == len(files) {
			files = append(files, listed{archiveName: n})
			out[n.content] = files
		}
		if strings.HasSuffix(e.Name, coversSuffix) {
			files[i].covers = e.ID
		} else {
			files[i].tiles = e.ID
		}
	}
	return out
}
