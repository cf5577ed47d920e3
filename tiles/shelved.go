package tiles

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"changde/catalog"
	"changde/tiles/pmtiles"
	"changde/tiles/shelf"
)

// shelved are the archives of one content.
type shelved struct {
	known atomic.Pointer[[]*archive] // of the latest revision first; nil before the first look

	mu      sync.Mutex // held while archives are opened
	list    *inventory // that the archives are of
	trouble error      // why one of them is not open
}

func (c *shelved) archives() []*archive {
	if known := c.known.Load(); known != nil {
		return *known
	}
	return nil
}

// unreached is why the archives are not known, where the shelf does not answer.
func (c *shelved) unreached() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if errors.Is(c.trouble, shelf.ErrUnreachable) {
		return c.trouble
	}
	return nil
}

// archive is one open file, with its covers.
type archive struct {
	name    string
	file    shelf.File
	tiles   *pmtiles.Archive
	state   state
	maxZoom int
	base    int64 // the revision that it shows
	touched *touched

	coverFile shelf.File
	covers    *pmtiles.Archive // nil: there are none
}

// is reports whether the files on the shelf are those that are open.
func (a *archive) is(f listed) bool {
	covers := ""
	if a.coverFile != nil {
		covers = a.coverFile.ID()
	}
	return a.file.ID() == f.tiles && covers == f.covers
}

// of gives the archives of a release's content, opening those that are new. While
// another opens them it gives those of before.
func (s *Archives) of(ctx context.Context, d *catalog.Dataset, r *catalog.Release) ([]*archive, error) {
	list := s.listed(ctx)
	c := s.content(r.Relation[1])
	if !c.mu.TryLock() {
		if known := c.known.Load(); known != nil {
			return *known, nil
		}
		c.mu.Lock()
	}
	defer c.mu.Unlock()
	if c.list == list {
		return c.archives(), nil
	}
	archives := make([]*archive, 0, len(list.files[r.Relation[1]]))
	var unknown error
	c.trouble = list.err
	for _, f := range list.files[r.Relation[1]] {
		if f.tiles == "" {
			continue
		}
		a, err := s.again(ctx, d, r, f, c.archives())
		switch {
		case errors.Is(err, errFirst):
			unknown = err
		case err != nil:
			s.fault(err, "archive of tiles not opened", "file", f.String()+archiveSuffix)
			c.trouble = cmp.Or(c.trouble, err)
		default:
			archives = append(archives, a)
		}
	}
	slices.SortFunc(archives, func(a, b *archive) int { return int(b.base - a.base) })
	// Files that are gone are closed when nobody reads them any more, by the collector.
	c.known.Store(&archives)
	c.list = list
	if len(archives) == 0 {
		return nil, unknown
	}
	return archives, nil
}

func (s *Archives) content(name string) *shelved {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.contents[name]
	if c == nil {
		c = new(shelved)
		s.contents[name] = c
	}
	return c
}

// again gives the archive in a file, which may be open.
func (s *Archives) again(ctx context.Context, d *catalog.Dataset, r *catalog.Release, f listed, open []*archive) (*archive, error) {
	name := f.String() + archiveSuffix
	i := slices.IndexFunc(open, func(a *archive) bool { return a.name == name })
	if i >= 0 && open[i].is(f) {
		return open[i], nil
	}
	base := f.revision
	if base == 0 {
		var err error
		if base, err = s.first(ctx, d.ID, r.Relation[0]+"."+f.content); err != nil {
			return nil, fmt.Errorf("%w of %s: %w", errFirst, r.Relation[1], err)
		}
	}
	// Who asked may go away, but others want it too.
	a, err := s.open(context.WithoutCancel(ctx), f, base)
	if err == nil && i >= 0 && open[i].base == base {
		a.touched = open[i].touched // of the same content since the same revision
	}
	return a, err
}

var errFirst = errors.New("find the first revision")

// first is the revision in which a content was released, which its table shows from
// then on.
func (s *Archives) first(ctx context.Context, dataset, relation string) (n int64, err error) {
	err = s.pool.QueryRow(ctx, "SELECT coalesce(min(revision), 0) FROM changde.revisions WHERE dataset = $1 AND relation = $2 AND kind <> 'settings'", dataset, relation).Scan(&n)
	if err != nil {
		return 0, err
	}
	return n, nil
}

func (s *Archives) open(ctx context.Context, f listed, base int64) (_ *archive, err error) {
	a := &archive{name: f.String() + archiveSuffix, base: base, touched: newTouched(base, matrixSet(f.grid))}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
		}
	}()
	if a.tiles, a.file, err = s.openFile(ctx, a.name); err != nil {
		return nil, err
	}
	if a.state, a.maxZoom, err = stateIn(a.tiles); err != nil || f.covers == "" {
		return a, err
	}
	a.covers, a.coverFile, err = s.openFile(ctx, f.String()+coversSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return a, nil
	}
	if err != nil {
		return nil, fmt.Errorf("covers: %w", err)
	}
	state, _, err := stateIn(a.covers)
	if err != nil {
		return nil, fmt.Errorf("covers: %w", err)
	}
	if !state.serves(a.state) || state.Revision != a.state.Revision {
		a.covers = nil // of tiles that are being cut, or were to be
	}
	return a, nil
}

func (s *Archives) openFile(ctx context.Context, name string) (*pmtiles.Archive, shelf.File, error) {
	f, err := s.shelf.Open(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	a, err := pmtiles.Open(f, f.Size())
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return a, f, nil
}

func (a *archive) close() (err error) {
	for _, f := range []shelf.File{a.file, a.coverFile} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return err
}

// stateIn reads what an archive's metadata say.
func stateIn(tiles *pmtiles.Archive) (_ state, maxZoom int, err error) {
	b, err := tiles.Metadata()
	if err != nil {
		return state{}, 0, err
	}
	var metadata struct {
		MaxZoom int   `json:"maxzoom"`
		State   state `json:"changde"`
	}
	if err := json.Unmarshal(b, &metadata); err != nil {
		return state{}, 0, fmt.Errorf("metadata: %w", err)
	}
	return metadata.State, metadata.MaxZoom, nil
}

// fault logs why a file of the shelf was not read. That the shelf does not answer is
// logged once, not for each tile.
func (s *Archives) fault(err error, what string, args ...any) {
	if errors.Is(err, shelf.ErrResting) {
		return
	}
	if errors.Is(err, shelf.ErrChanged) {
		s.looks.lapse()
	}
	s.log.Error(what, append(args, "err", err)...)
}

// put writes an archive and its covers with fill, and puts both on the shelf.
func (s *Archives) put(ctx context.Context, n archiveName, config pmtiles.Config, fill func(tiles, covers *pmtiles.Writer) error) (err error) {
	dir, done, err := s.shelf.Scratch()
	if err != nil {
		return fmt.Errorf("make archives of tiles: %w", err)
	}
	defer func() { err = errors.Join(err, done()) }()
	tiles, err := begin(dir, n.String()+archiveSuffix, config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tiles.discard()) }()
	config.Opaque = true
	covers, err := begin(dir, n.String()+coversSuffix, config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, covers.discard()) }()
	if err := fill(tiles.Writer, covers.Writer); err != nil {
		return err
	}
	defer s.looks.lapse()
	// Covers without their tiles do no harm; tiles with those of others would.
	for _, f := range []*begun{covers, tiles} {
		if err := f.Close(); err != nil {
			return err
		}
		if err := s.shelf.Put(ctx, f.name, f.path); err != nil {
			return err
		}
	}
	return nil
}

// begun is a file that is made to be put on the shelf.
type begun struct {
	*pmtiles.Writer
	name, path string
}

func begin(dir, name string, config pmtiles.Config) (*begun, error) {
	path := filepath.Join(dir, name+"."+rand.Text()+".tmp")
	w, err := pmtiles.Create(path, config)
	return &begun{w, name, path}, err
}

// discard removes the file unless it was put.
func (b *begun) discard() error {
	err := b.Abort()
	if gone := os.Remove(b.path); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return err
}

// remove removes an archive, which may be gone already.
func (s *Archives) remove(ctx context.Context, n archiveName) error {
	defer s.looks.lapse()
	for _, suffix := range []string{archiveSuffix, coversSuffix} {
		if err := s.shelf.Remove(ctx, n.String()+suffix); err != nil {
			return err
		}
	}
	return nil
}
