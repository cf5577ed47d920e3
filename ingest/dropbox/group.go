package dropbox

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"
)

// entry is a thing in a sender's folder.
type entry struct {
	raw      string // name as stored
	name     string
	dir      bool
	size     int64
	modified time.Time
	mark     string // changes when the content does
	touch    string // changes when anything about it does
}

// group is what may be a parcel: the entries that belong together.
type group struct {
	place   string // tells it from others of the sender, whatever it holds
	name    string
	entries []entry
	markers []entry
	marked  bool
	lacking bool // a part is missing or still under way
}

// groups sorts the entries of a sender's folder into what belongs together.
func groups(entries []entry) []group {
	byPlace := make(map[string]*group)
	at := func(place string) *group {
		if byPlace[place] == nil {
			byPlace[place] = &group{place: place}
		}
		return byPlace[place]
	}
	var marks []entry
	var coming []string
	for _, e := range entries {
		if litter(e.name) {
			continue
		}
		final, under := unfinished(e.name)
		_, isMark := marker(e.name)
		switch {
		case e.dir:
			at(strings.ToLower(e.name) + "/").entries = []entry{e}
		case under:
			coming = append(coming, final)
		case isMark:
			marks = append(marks, e)
		default:
			place := strings.ToLower(e.name)
			if base, _, of := splitSet(e.name); of != nil {
				place = base + of.main
			}
			g := at(place)
			g.entries = append(g.entries, e)
		}
	}
	for _, m := range marks {
		of, _ := marker(m.name)
		for _, g := range standsFor(byPlace, of) {
			g.marked = true
			g.markers = append(g.markers, m)
		}
	}
	for _, name := range coming {
		for _, g := range standsFor(byPlace, name) {
			g.lacking = true
		}
	}
	out := make([]group, 0, len(byPlace))
	for _, g := range byPlace {
		g.finish()
		out = append(out, *g)
	}
	slices.SortFunc(out, func(a, b group) int { return cmp.Compare(a.place, b.place) })
	return out
}

// standsFor finds the groups a name means: a file's, a set's by any of its files
// or by the base name, or a folder's.
func standsFor(byPlace map[string]*group, name string) []*group {
	lower := strings.ToLower(name)
	places := []string{lower, lower + "/"}
	if base, _, of := splitSet(name); of != nil {
		places = append(places, base+of.main)
	}
	for _, s := range sets {
		places = append(places, lower+s.main)
	}
	slices.Sort(places)
	var out []*group
	for _, p := range slices.Compact(places) {
		if g := byPlace[p]; g != nil {
			out = append(out, g)
		}
	}
	return out
}

// finish names the group and tells whether a set has what it needs.
func (g *group) finish() {
	slices.SortFunc(g.entries, func(a, b entry) int { return cmp.Compare(a.raw, b.raw) })
	g.name = g.entries[0].name
	_, _, of := splitSet(g.name)
	if g.entries[0].dir || of == nil {
		return
	}
	has := make(map[string]bool)
	for _, e := range g.entries {
		_, ext, _ := splitSet(e.name)
		has[ext] = true
		if ext == of.main {
			g.name = e.name
		}
	}
	g.lacking = g.lacking || !has[of.main]
	for _, ext := range of.needs {
		g.lacking = g.lacking || !has[ext]
	}
}

// watchdog tells for how long things have stayed as they are, by the clock of this
// process alone: clocks of servers and senders may be wrong.
type watchdog struct {
	mu   sync.Mutex
	seen map[string]sighting
}

type sighting struct {
	print string
	since time.Time
	round int
}

// still returns how long the thing at a place has had this print. rounds number
// the looks at the whole; forget drops what a round did not see.
func (w *watchdog) still(place, print string, round int) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seen == nil {
		w.seen = make(map[string]sighting)
	}
	s, ok := w.seen[place]
	if !ok || s.print != print {
		s = sighting{print: print, since: time.Now()}
	}
	s.round = max(s.round, round)
	w.seen[place] = s
	return time.Since(s.since)
}

func (w *watchdog) forget(before int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for place, s := range w.seen {
		if s.round < before {
			delete(w.seen, place)
		}
	}
}

// complete decides whether a group that stayed as it is for so long is a parcel.
func (c Config) complete(g group, still time.Duration) bool {
	switch {
	case g.marked:
		return true
	case c.Settle < 0:
		return false
	case g.lacking:
		return still >= max(c.Patience, c.Settle)
	}
	return still >= c.Settle
}
