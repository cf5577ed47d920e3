package tiles

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"changde/catalog"
	"changde/tiles/pmtiles"
)

// Archives are the cut tiles of contents in a folder, one file for a content at a
// revision: <content>@<revision>.pmtiles, revision 0 being the content as it was
// first released. A file is never changed; it is safe for many goroutines, and for
// many processes that share the folder.
type Archives struct {
	pool   *pgxpool.Pool
	dir    string
	log    *slog.Logger
	source *Source // that draws what changed
	codec  *coverCodec

	cutting chan struct{} // holds one while tiles are cut

	mu       sync.Mutex
	contents map[string]*shelved // by content
}

// shelved are the archives of one content.
type shelved struct {
	looked   time.Time
	archives []*archive // of the latest revision first
}

// archive is one open file.
type archive struct {
	name    string
	file    *os.File
	tiles   *pmtiles.Archive
	state   state
	maxZoom int
	base    int64 // the revision that it shows
	touched *touched

	coverFile *os.File
	covers    *pmtiles.Archive // nil: there are none
}

// state is what the tiles of an archive depend on beside the rows; it stands in the
// archive's metadata as the member "changde".
type state struct {
	Dataset     string            `json:"dataset"`
	Content     string            `json:"content"`
	Grid        string            `json:"grid,omitempty"`
	Revision    int64             `json:"revision"`
	Columns     []string          `json:"columns"`
	Class       string            `json:"class"`
	Label       string            `json:"label"`
	BusinessKey string            `json:"businessKey"`
	TimeColumn  string            `json:"timeColumn"`
	Tiles       catalog.TileRules `json:"tiles,omitzero"`
	Cutter      int               `json:"cutter"`
}

// cutterVersion changes when tiles are cut otherwise than before: archives of
// another version are not served.
const cutterVersion = 3

// stateOf is the state of an archive of a release.
func stateOf(d *catalog.Dataset, r *catalog.Release, n archiveName) state {
	return state{
		Dataset: d.ID, Content: r.Relation[1], Grid: n.grid, Revision: n.revision, Columns: names(r.Columns),
		Class: d.Class, Label: d.Label, BusinessKey: d.BusinessKey, TimeColumn: d.TimeColumn, Tiles: d.Tiles, Cutter: cutterVersion,
	}
}

// serves reports whether an archive of this state shows what is wanted, revision
// aside.
func (s state) serves(o state) bool {
	return s.Dataset == o.Dataset && s.Content == o.Content && s.Grid == o.Grid && slices.Equal(s.Columns, o.Columns) && s.Class == o.Class && s.Label == o.Label &&
		s.BusinessKey == o.BusinessKey && s.TimeColumn == o.TimeColumn && reflect.DeepEqual(s.Tiles, o.Tiles) && s.Cutter == o.Cutter
}

// OpenArchives uses a folder, which is made when it is not there.
func OpenArchives(pool *pgxpool.Pool, dir string, log *slog.Logger) (*Archives, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder of tiles: %w", err)
	}
	return &Archives{pool: pool, dir: dir, log: log, source: NewSource(pool, Config{}), codec: newCoverCodec(), cutting: make(chan struct{}, 1), contents: make(map[string]*shelved)}, nil
}

// path is a file of an archive.
func (s *Archives) path(n archiveName, suffix string) string {
	return filepath.Join(s.dir, n.String()+suffix)
}

// lookAgain is how long a list of the folder holds.
const lookAgain = 2 * time.Second

// Tile gives a tile from an archive. ok is false where none holds the tile as it is
// at the release's revision.
func (s *Archives) Tile(ctx context.Context, d *catalog.Dataset, r *catalog.Release, a Address) (t *Tile, ok bool, err error) {
	if !r.Versioned() || a.zoom() > overZoom {
		return nil, false, nil
	}
	of := a.above(ArchiveZoom) // the tile of the archive that shows it
	archives, err := s.of(ctx, d, r)
	if err != nil {
		return nil, false, err
	}
	want := stateOf(d, r, archiveName{grid: gridOf(a.Set)})
	for _, c := range archives {
		if c.base > r.Revision || of.zoom() > c.maxZoom || !c.state.serves(want) {
			continue
		}
		hit, changes, all, err := c.touched.hit(ctx, s.pool, r, of)
		if err != nil {
			return nil, false, err
		}
		if hit && (!all || of != a) {
			// An older archive has been touched by as much.
			return nil, false, nil
		}
		t, ok, err := s.read(c, of)
		if ok && err == nil && of != a {
			return s.source.enlarged(t, of, a)
		}
		if !hit || !ok || err != nil {
			return t, ok, err
		}
		return s.patched(ctx, d, r, c, a, t, changes)
	}
	return nil, false, nil
}

func (s *Archives) read(c *archive, a Address) (*Tile, bool, error) {
	id, ok := pmtiles.ID(a.zoom(), a.Col, a.Row)
	if !ok {
		return nil, false, nil
	}
	b, found, err := c.tiles.Tile(id)
	if err != nil {
		// The database has the rows all the same.
		s.log.Error("archive of tiles not readable", "file", c.name, "err", err)
		return nil, false, nil
	}
	if !found {
		return emptyTile(), true, nil
	}
	t, ok := unstamped(b)
	if !ok {
		s.log.Error("archive of tiles of another origin", "file", c.name)
	}
	return t, ok, nil
}

// of gives the archives of a release's content, opening those that are new.
func (s *Archives) of(ctx context.Context, d *catalog.Dataset, r *catalog.Release) ([]*archive, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	content := r.Relation[1]
	c := s.contents[content]
	if c == nil {
		c = new(shelved)
		s.contents[content] = c
	}
	if time.Since(c.looked) < lookAgain {
		return c.archives, nil
	}
	files, err := filepath.Glob(filepath.Join(s.dir, content+"@*"+archiveSuffix))
	if err != nil {
		return nil, fmt.Errorf("look for archives of %s: %w", content, err)
	}
	archives := make([]*archive, 0, len(files))
	var unknown error
	for _, path := range files {
		name := filepath.Base(path)
		n, ok := parseArchiveName(name)
		if !ok || n.content != content {
			continue
		}
		if i := slices.IndexFunc(c.archives, func(a *archive) bool { return a.name == name }); i >= 0 && c.archives[i].same(path) {
			archives = append(archives, c.archives[i])
			continue
		}
		base := n.revision
		if base == 0 {
			if base, err = s.first(ctx, d.ID, r.Relation[0]+"."+content); err != nil {
				unknown = err
				continue
			}
		}
		a, err := openArchive(path, n, base)
		if err != nil {
			s.log.Error("archive of tiles not opened", "file", name, "err", err)
			continue
		}
		archives = append(archives, a)
	}
	slices.SortFunc(archives, func(a, b *archive) int { return int(b.base - a.base) })
	// Files that are gone are closed when nobody reads them any more, by the collector.
	c.archives, c.looked = archives, time.Now()
	if len(archives) == 0 {
		return nil, unknown
	}
	return archives, nil
}

// same reports whether the file at a path is the one that is open.
func (a *archive) same(path string) bool {
	there, err := os.Stat(path)
	if err != nil {
		return false
	}
	here, err := a.file.Stat()
	return err == nil && os.SameFile(there, here)
}

// remove removes an archive, which may be gone already.
func (s *Archives) remove(n archiveName) error {
	for _, suffix := range []string{archiveSuffix, coversSuffix} {
		if err := os.Remove(s.path(n, suffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove an archive: %w", err)
		}
	}
	return nil
}

// first is the revision in which a content was released, which its table shows from
// then on.
func (s *Archives) first(ctx context.Context, dataset, relation string) (n int64, err error) {
	err = s.pool.QueryRow(ctx, "SELECT coalesce(min(revision), 0) FROM changde.revisions WHERE dataset = $1 AND relation = $2 AND kind <> 'settings'", dataset, relation).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("find the first revision of %s: %w", relation, err)
	}
	return n, nil
}

func openArchive(path string, n archiveName, base int64) (_ *archive, err error) {
	a := &archive{name: filepath.Base(path), base: base, touched: newTouched(base, matrixSet(n.grid))}
	if a.tiles, a.file, err = pmtiles.OpenFile(path); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
		}
	}()
	if a.state, a.maxZoom, err = stateIn(a.tiles); err != nil {
		return nil, err
	}
	a.covers, a.coverFile, err = pmtiles.OpenFile(strings.TrimSuffix(path, archiveSuffix) + coversSuffix)
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

func (a *archive) close() error {
	err := a.file.Close()
	if a.coverFile != nil {
		err = errors.Join(err, a.coverFile.Close())
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

// cover reads the kept cover of a tile; nil where there was no need for one.
func (s *Archives) cover(a *archive, at Address, known *classes) (c *cover, base int, err error) {
	if a.covers == nil {
		return nil, 0, errors.New("the archive has no covers")
	}
	id, _ := pmtiles.ID(at.zoom(), at.Col, at.Row)
	b, found, err := a.covers.Tile(id)
	if err != nil || !found {
		return nil, 0, err
	}
	return s.codec.decode(b, at.zoom(), known)
}

// Build cuts the tiles of a release into archives, one for each grid of the dataset.
// revision is the one that they show, 0 for a content that is not released yet. Each
// archive is there whole, or not at all. A process cuts one content at a time, for
// which it takes all its processors, and memory as Config.BlockRows says.
func (s *Archives) Build(ctx context.Context, d *catalog.Dataset, r *catalog.Release, revision int64) error {
	for _, grid := range gridsOf(d) {
		if err := s.build(ctx, d, r, archiveName{content: r.Relation[1], grid: grid, revision: revision}); err != nil {
			return err
		}
	}
	return nil
}

func (s *Archives) build(ctx context.Context, d *catalog.Dataset, r *catalog.Release, n archiveName) error {
	select {
	case s.cutting <- struct{}{}:
		defer func() { <-s.cutting }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	metadata, err := json.Marshal(map[string]any{
		"name": d.TitleZH, "attribution": d.Attribution, "minzoom": 0, "maxzoom": ArchiveZoom,
		"vector_layers": []VectorLayer{VectorLayerOf(d, r, 0, ArchiveZoom)},
		"changde":       stateOf(d, r, n),
	})
	if err != nil {
		return fmt.Errorf("describe the archive: %w", err)
	}
	config := pmtiles.Config{Metadata: metadata, MaxZoom: ArchiveZoom, Bounds: [4]float64{-180, -85, 180, 85}}
	if e := r.Extent; e != nil {
		config.Bounds = [4]float64{max(e[0], -180), max(e[1], -90), min(e[2], 180), min(e[3], 90)}
	}
	tiles, err := pmtiles.Create(s.path(n, archiveSuffix), config)
	if err != nil {
		return err
	}
	config.Opaque = true
	covers, err := pmtiles.Create(s.path(n, coversSuffix), config)
	if err != nil {
		return errors.Join(err, tiles.Abort())
	}
	cut, err := newCut(s.pool, d, r, matrixSet(n.grid), ArchiveZoom, s.source.config, archiveSink{tiles})
	if err == nil {
		cut.keep = func(a Address, c *cover) error {
			id, _ := pmtiles.ID(a.zoom(), a.Col, a.Row)
			return covers.Add(id, s.codec.encode(c, cut.classes.all(), cut.base))
		}
		_, err = cut.all(ctx)
	}
	if err != nil {
		return errors.Join(err, covers.Abort(), tiles.Abort())
	}
	// Covers without their tiles do no harm; tiles with those of others would.
	if err := covers.Close(); err != nil {
		return errors.Join(err, tiles.Abort())
	}
	return tiles.Close()
}

// archiveSink writes tiles with their counts.
type archiveSink struct{ w *pmtiles.Writer }

// Add implements Sink.
func (s archiveSink) Add(a Address, t *Tile) error {
	id, ok := pmtiles.ID(a.zoom(), a.Col, a.Row)
	if !ok {
		return fmt.Errorf("tile %s has no place in an archive", a)
	}
	return s.w.Add(id, stamped(t))
}

// files lists the archives of the folder by content, of those whose tiles or covers
// are there.
func (s *Archives) files() (map[string][]archiveName, error) {
	entries, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list archives of tiles: %w", err)
	}
	out := make(map[string][]archiveName)
	for _, e := range entries {
		if n, ok := parseArchiveName(e.Name()); ok && !slices.Contains(out[n.content], n) {
			out[n.content] = append(out[n.content], n)
		}
	}
	return out, nil
}
