package tiles

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"changde/catalog"
	"changde/tiles/pmtiles"
	"changde/tiles/shelf"
)

// Archives are the cut tiles of contents on a shelf, one file for a content at a
// revision: <content>@<revision>.pmtiles, revision 0 being the content as it was
// first released. A file is never changed; it is safe for many goroutines, and for
// many processes that share the shelf.
type Archives struct {
	pool   *pgxpool.Pool
	shelf  shelf.Shelf
	log    *slog.Logger
	source *Source // that draws what changed
	codec  *coverCodec

	cutting chan struct{} // holds one while tiles are cut

	looks looks
	swept time.Time // when leftovers were looked for, by Tend

	mu       sync.Mutex
	contents map[string]*shelved // by content
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

// OpenArchives keeps archives in a folder, which is made when it is not there.
func OpenArchives(pool *pgxpool.Pool, dir string, log *slog.Logger) (*Archives, error) {
	folder, err := shelf.OpenFolder(dir)
	if err != nil {
		return nil, err
	}
	return NewArchives(pool, folder, log), nil
}

// NewArchives keeps archives on a shelf.
func NewArchives(pool *pgxpool.Pool, on shelf.Shelf, log *slog.Logger) *Archives {
	return &Archives{pool: pool, shelf: on, log: log, source: NewSource(pool, Config{}), codec: newCoverCodec(), cutting: make(chan struct{}, 1), contents: make(map[string]*shelved)}
}

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
	c := serving(archives, d, r, gridOf(a.Set), of.zoom())
	if c == nil {
		return nil, false, nil
	}
	hit, changes, all, err := c.touched.hit(ctx, s.pool, r, of)
	if err != nil || hit && (!all || of != a) {
		return nil, false, err
	}
	t, ok, err = s.read(c, of)
	if ok && err == nil && of != a {
		return s.source.enlarged(t, of, a)
	}
	if !hit || !ok || err != nil {
		return t, ok, err
	}
	return s.patched(ctx, d, r, c, a, t, changes)
}

// serving is the archive of a grid that shows the latest state of a release, of those
// that reach a zoom; nil where there is none. Older ones, which stand after it, have
// been touched by as much and more since.
func serving(archives []*archive, d *catalog.Dataset, r *catalog.Release, grid string, zoom int) *archive {
	want := stateOf(d, r, archiveName{grid: grid})
	for _, c := range archives {
		if c.base <= r.Revision && c.maxZoom >= zoom && c.state.serves(want) {
			return c
		}
	}
	return nil
}

func (s *Archives) read(c *archive, a Address) (*Tile, bool, error) {
	id, ok := pmtiles.ID(a.zoom(), a.Col, a.Row)
	if !ok {
		return nil, false, nil
	}
	b, found, err := c.tiles.Tile(id)
	if err != nil {
		// The database has the rows all the same.
		s.fault(err, "archive of tiles not readable", "file", c.name)
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
// which it takes all its processors, and memory for some blocks of Config.BlockRows and
// for what is large above them.
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
	return s.put(ctx, n, config, func(tiles, covers *pmtiles.Writer) error {
		cut, err := newCut(s.pool, d, r, matrixSet(n.grid), ArchiveZoom, s.source.config, archiveSink{tiles})
		if err != nil {
			return err
		}
		cut.keep = func(a Address, c *cover) error {
			id, _ := pmtiles.ID(a.zoom(), a.Col, a.Row)
			return covers.Add(id, s.codec.encode(c, cut.classes.all(), cut.base))
		}
		_, err = cut.all(ctx)
		return err
	})
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
