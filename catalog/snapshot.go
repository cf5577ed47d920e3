package catalog

import (
	"slices"
	"sort"
)

// Reader is who asks. It is the seam to package access, whose Principal
// implements it.
type Reader interface {
	// MayRead reports whether the caller may read what owner shares in this way.
	// owner is empty for the platform's own datasets.
	MayRead(owner string, sharing string) bool
}

// Snapshot is the whole catalog at one moment. It is immutable and may be read
// by many goroutines.
type Snapshot struct {
	datasets map[string]*Dataset
	ordered  []*Dataset // by ID
}

// NewSnapshot makes a snapshot of the datasets.
func NewSnapshot(datasets []*Dataset) *Snapshot {
	s := &Snapshot{datasets: make(map[string]*Dataset, len(datasets)), ordered: datasets}
	sort.Slice(s.ordered, func(i, j int) bool { return s.ordered[i].ID < s.ordered[j].ID })
	for _, d := range datasets {
		s.datasets[d.ID] = d
	}
	return s
}

// For narrows the snapshot to what r may read.
func (s *Snapshot) For(r Reader) View { return View{snapshot: s, reader: r} }

// View is a Snapshot as one caller may see it. The zero value sees nothing.
type View struct {
	snapshot *Snapshot
	reader   Reader
}

// Dataset returns the dataset when it exists, has a release, and the caller may
// read it, with the releases the caller may read. The three failures are one
// answer, so that asking tells nothing.
func (v View) Dataset(id string) (*Dataset, bool) {
	if v.snapshot == nil {
		return nil, false
	}
	return v.narrow(v.snapshot.datasets[id])
}

// Behind reports whether the view is of before a revision of a dataset, which the
// caller may not know; of one that is not there it is not.
func (v View) Behind(id string, revision int64) bool {
	if v.snapshot == nil {
		return false
	}
	d := v.snapshot.datasets[id]
	return d != nil && d.Revision < revision
}

// Datasets returns what the caller may read, ordered by ID.
func (v View) Datasets() []*Dataset {
	if v.snapshot == nil {
		return nil
	}
	var out []*Dataset
	for _, d := range v.snapshot.ordered {
		if d, ok := v.narrow(d); ok {
			out = append(out, d)
		}
	}
	return out
}

// narrow returns the dataset without the releases that the caller may not read;
// without the current one there is no dataset.
func (v View) narrow(d *Dataset) (*Dataset, bool) {
	hidden := func(r *Release) bool { return r.Sharing != "" && !v.may(d, r.Sharing) }
	if d == nil || d.Current == nil || v.reader == nil || !v.may(d, d.Sharing) || hidden(d.Current) {
		return nil, false
	}
	narrowed := *d
	narrowed.may = func(s Sharing) bool { return v.may(d, s) }
	if slices.ContainsFunc(d.Releases, hidden) {
		narrowed.Releases = slices.DeleteFunc(slices.Clone(d.Releases), hidden)
	}
	return &narrowed, true
}

func (v View) may(d *Dataset, sharing Sharing) bool {
	owner := ""
	if d.Owner != nil {
		owner = d.Owner.ID
	}
	return v.reader.MayRead(owner, string(sharing))
}
