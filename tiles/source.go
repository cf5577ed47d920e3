package tiles

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/maypok86/otter/v2"
	"golang.org/x/sync/errgroup"

	"changde/catalog"
	"changde/postgis"
	"changde/problem"
)

// Config tunes a Source; its zero value works.
type Config struct {
	// MaxFeatures is the most rows a layer draws; of more the largest are drawn.
	// Default 50,000.
	MaxFeatures int
	// MaxBytes is the most a layer takes after gzip; the smallest rows are left out
	// until it is kept. One row always fits. Default 500 kB.
	MaxBytes int
	// BlockRows is about how many rows a Cut takes into memory at once, for each
	// processor. Default 200,000.
	BlockRows int
	// Timeout bounds the making of a tile, waiting for its turn included. Default 5 s.
	Timeout time.Duration
	// CacheBytes bounds the tiles kept in memory. Default 256 MiB.
	CacheBytes int64
	// Builds is how many tiles are made at once. Default twice GOMAXPROCS.
	Builds int
	// Archives hold tiles that are cut already. Nil: all are made when they are asked
	// for.
	Archives *Archives
	// Queue is how many tiles may wait for their turn. Default 256.
	Queue int
}

const defaultMaxFeatures = 50_000

// maxParts is the most datasets of one tile.
const maxParts = 20

// Source makes tiles and keeps them. It is safe for many goroutines.
type Source struct {
	pool    *pgxpool.Pool
	config  Config
	cache   *otter.Cache[key, *Tile]
	flights flights
	turns   turns
	writers sync.Pool // *gzip.Writer
	zstd    func() *zstd.Encoder
}

// key names one tile for ever: a relation is never renamed, a release's revision
// is one state of its rows and a dataset's one state of its settings.
type key struct {
	parts   string
	address Address
}

// Part is a dataset and the release of it that a tile shows, and what of it.
type Part struct {
	Dataset *catalog.Dataset
	Release *catalog.Release
	// Filter keeps the rows that it lets through; nil: all.
	Filter Filter
	// Columns are the attributes that the tile carries, at most MaxColumns of the
	// release's; nil: those of TileColumns.
	Columns []catalog.Column
	// Cluster is the side of the cells, in pixels of a 512-pixel tile, whose points are
	// drawn as one with their number; 0: none are. It is within MinCluster to MaxCluster,
	// and for points alone.
	Cluster int
}

// Filter says which rows of a release are shown. It is the seam to package
// features, whose Filter implements it.
type Filter interface {
	// SQL is a condition on the rows of Release.From.
	SQL() *postgis.SQL
	// String names the condition: of one release, filters of the same name are the
	// same.
	String() string
	// Check is asked before the condition is used; its error is passed on.
	Check(ctx context.Context) error
}

// NewSource makes a Source.
func NewSource(pool *pgxpool.Pool, c Config) *Source {
	if c.MaxFeatures <= 0 {
		c.MaxFeatures = defaultMaxFeatures
	}
	if c.MaxBytes <= 0 {
		c.MaxBytes = 500_000
	}
	if c.BlockRows <= 0 {
		c.BlockRows = 200_000
	}
	if c.Timeout <= 0 {
		c.Timeout = 5 * time.Second
	}
	if c.CacheBytes <= 0 {
		c.CacheBytes = 256 << 20
	}
	if c.Builds <= 0 {
		c.Builds = 2 * runtime.GOMAXPROCS(0)
	}
	if c.Queue <= 0 {
		c.Queue = 256
	}
	s := &Source{pool: pool, config: c, zstd: newZstd()}
	s.cache = otter.Must(&otter.Options[key, *Tile]{
		MaximumWeight: uint64(c.CacheBytes),
		Weigher: func(k key, t *Tile) uint32 {
			const overhead = 400 // of the entry, the Tile and the key
			return uint32(min(len(k.parts)+len(t.Gzip)+len(t.zstd)+overhead, math.MaxUint32))
		},
	})
	s.turns.init(c.Builds, c.Queue)
	s.flights.running = make(map[key]*flight)
	return s
}

// Tile gives the tile of a release at an address, from memory or from the
// database. Callers who ask for the same tile at once share one query, which goes
// on while any of them waits.
//
// An address outside the matrix set is problem.NotFound. A tile that takes longer
// than Config.Timeout or than the pool lets a statement run, and one for which
// too many already wait, is problem.Busy; such a failure is not kept. The error
// of a context that ends is passed through.
func (s *Source) Tile(ctx context.Context, d *catalog.Dataset, r *catalog.Release, a Address) (*Tile, error) {
	if err := a.Validate(); err != nil {
		return nil, err
	}
	return s.one(ctx, Part{Dataset: d, Release: r}, a)
}

func (s *Source) one(ctx context.Context, p Part, a Address) (*Tile, error) {
	if err := p.checkCluster(); err != nil {
		return nil, err
	}
	return s.get(ctx, key{p.key(), a}, func(ctx context.Context) (*Tile, error) {
		if s.config.Archives != nil && p.Filter == nil && p.Columns == nil && p.Cluster == 0 {
			if t, ok, err := s.config.Archives.Tile(ctx, p.Dataset, p.Release, a); ok || err != nil {
				return t, err
			}
		}
		if err := s.turns.take(ctx); err != nil {
			return nil, err
		}
		defer s.turns.give()
		if p.Filter != nil {
			if err := p.Filter.Check(ctx); err != nil {
				return nil, err
			}
		}
		return s.build(ctx, p, a)
	})
}

// Join gives one tile with a layer for each part, in their order. Parts without
// anything in the tile have no layer in it. There are 1 to 20 parts, each of
// another dataset; anything else is problem.Invalid. Otherwise it is as Tile.
func (s *Source) Join(ctx context.Context, parts []Part, a Address) (*Tile, error) {
	if len(parts) == 0 || len(parts) > maxParts {
		return nil, problem.New(problem.Invalid, "tile-parts", "collections",
			fmt.Sprintf("一个瓦片可含 1 到 %d 个数据集，这里有 %d 个", maxParts, len(parts)),
			fmt.Sprintf("a tile has 1 to %d collections; here are %d", maxParts, len(parts)))
	}
	if err := a.Validate(); err != nil {
		return nil, err
	}
	if len(parts) == 1 {
		return s.one(ctx, parts[0], a)
	}
	keys := make([]string, len(parts))
	seen := make(map[string]bool, len(parts))
	for i, p := range parts {
		if seen[p.Dataset.ID] {
			return nil, problem.New(problem.Invalid, "tile-parts", "collections",
				fmt.Sprintf("数据集 %s 重复出现", p.Dataset.ID), fmt.Sprintf("collection %s is there twice", p.Dataset.ID))
		}
		seen[p.Dataset.ID] = true
		keys[i] = p.key()
	}
	// A key of one part has no line feed in it.
	return s.get(ctx, key{strings.Join(keys, "\n"), a}, func(ctx context.Context) (*Tile, error) {
		return s.join(ctx, parts, a)
	})
}

func (s *Source) join(ctx context.Context, parts []Part, a Address) (*Tile, error) {
	tiles := make([]*Tile, len(parts))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for i, p := range parts {
		group.Go(func() (err error) {
			tiles[i], err = s.one(ctx, p, a)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var raw []byte
	out := Tile{}
	for _, t := range tiles {
		var err error
		if raw, err = appendRaw(raw, t); err != nil {
			return nil, err
		}
		out.Features += t.Features
		out.Omitted += t.Omitted
		out.Generalized += t.Generalized
		out.OmittedAtLeast = out.OmittedAtLeast || t.OmittedAtLeast
	}
	joined := s.finish(raw, out.Features)
	joined.Omitted, joined.OmittedAtLeast, joined.Generalized = out.Omitted, out.OmittedAtLeast, out.Generalized
	return joined, nil
}

// appendRaw appends the tile without its compression.
func appendRaw(dst []byte, t *Tile) ([]byte, error) {
	if t.Features == 0 {
		return dst, nil
	}
	r, err := gzip.NewReader(bytes.NewReader(t.Gzip))
	if err != nil {
		return dst, fmt.Errorf("read a tile again: %w", err)
	}
	buf := bytes.NewBuffer(dst)
	buf.Grow(t.Length + bytes.MinRead)
	if _, err := io.Copy(buf, r); err != nil {
		return dst, fmt.Errorf("read a tile again: %w", err)
	}
	return buf.Bytes(), nil
}

// key has the dataset's ID too, which is the layer's name, and its revision, for
// the settings decide what is drawn. Filter and columns are quoted, so that
// nothing in them passes for another part of the key.
func (p Part) key() string {
	d, r := p.Dataset, p.Release
	k := d.ID + " " + strconv.FormatInt(d.Revision, 10) + " " + strconv.FormatInt(r.Revision, 10) + " " + r.Relation[0] + "." + r.Relation[1]
	if p.Filter != nil {
		k += " filter " + strconv.Quote(p.Filter.String())
	}
	if p.Columns != nil {
		k += " columns"
		for _, c := range p.Columns {
			k += " " + strconv.Quote(c.Name)
		}
	}
	if p.Cluster != 0 {
		k += " cluster " + strconv.Itoa(p.Cluster)
	}
	return k
}

// get reads the cache or joins or starts the flight that will fill it.
func (s *Source) get(ctx context.Context, k key, load func(context.Context) (*Tile, error)) (*Tile, error) {
	if t, ok := s.cache.GetIfPresent(k); ok {
		return t, nil
	}
	return s.flights.join(ctx, k, func(ctx context.Context) (*Tile, error) {
		// It may have been made between the look and the flight.
		if t, ok := s.cache.GetIfPresent(k); ok {
			return t, nil
		}
		ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
		defer cancel()
		t, err := load(ctx)
		if err != nil {
			return nil, s.fault(ctx, k, err)
		}
		s.cache.Set(k, t)
		return t, nil
	})
}

// fault gives an error of a load the form that callers are promised.
func (s *Source) fault(ctx context.Context, k key, err error) error {
	var p *problem.Error
	if errors.As(err, &p) {
		return err
	}
	var pg *pgconn.PgError
	if errors.Is(ctx.Err(), context.DeadlineExceeded) || errors.As(err, &pg) && pg.Code == "57014" { // query_canceled
		return problem.Wrap(err, problem.Busy, "tile-too-slow", k.address.String(),
			"瓦片未能在时限内生成；请放大地图，或稍后重试",
			"the tile could not be made in the time allowed; zoom in, or try again later")
	}
	return postgis.Fault(ctx, err, "make tile "+k.address.String())
}
