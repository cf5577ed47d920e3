package catalog

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"changde/ingest/layer"
	"changde/postgis"
)

// Channel is the PostgreSQL notification channel on which every change of the
// catalog is told, in the transaction that makes it. The payload is the dataset.
const Channel = "changde_catalog"

// Config tunes a Catalog; its zero value works.
type Config struct {
	// Refresh is how often the catalog is read again in case a notification was
	// lost. Default 30 s.
	Refresh time.Duration
	// MaxAge is for how long a snapshot is good while the database cannot be read:
	// who may see what could have changed meanwhile. Default 2 min.
	MaxAge time.Duration
	Log    *slog.Logger // default slog.Default()
}

// Catalog keeps the current Snapshot. It is safe for many goroutines.
type Catalog struct {
	pool    *pgxpool.Pool
	config  Config
	current atomic.Pointer[Snapshot]
	readAt  atomic.Int64 // Unix nanoseconds of the last successful read
	reading sync.Mutex   // one reload at a time, so that an older one never replaces a newer
}

// Open reads the catalog once. Call Watch to follow its changes.
func Open(ctx context.Context, pool *pgxpool.Pool, config Config) (*Catalog, error) {
	if config.Refresh <= 0 {
		config.Refresh = 30 * time.Second
	}
	if config.MaxAge <= 0 {
		config.MaxAge = 2 * time.Minute
	}
	if config.Log == nil {
		config.Log = slog.Default()
	}
	c := &Catalog{pool: pool, config: config}
	if err := c.Reload(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// Snapshot returns the catalog as last read.
func (c *Catalog) Snapshot() *Snapshot { return c.current.Load() }

// Stale reports whether the catalog could not be read for longer than MaxAge.
func (c *Catalog) Stale() bool {
	return time.Since(time.Unix(0, c.readAt.Load())) > max(c.config.MaxAge, 2*c.config.Refresh)
}

// Reload reads the catalog. A caller that has just committed a change and must
// see it calls Reload; others are told by Watch.
func (c *Catalog) Reload(ctx context.Context) error {
	c.reading.Lock()
	defer c.reading.Unlock()
	return c.reload(ctx)
}

func (c *Catalog) reload(ctx context.Context) error {
	began := time.Now()
	s, err := read(ctx, c.pool)
	if err != nil {
		return fmt.Errorf("read catalog: %w", err)
	}
	c.current.Store(s)
	c.readAt.Store(began.UnixNano())
	return nil
}

// ReloadSince reads the catalog unless that was begun at a time or later. Callers who
// ask at once share a read.
func (c *Catalog) ReloadSince(ctx context.Context, t time.Time) error {
	c.reading.Lock()
	defer c.reading.Unlock()
	if c.readAt.Load() >= t.UnixNano() {
		return nil
	}
	return c.reload(ctx)
}

// Watch follows the catalog's changes until ctx ends.
func (c *Catalog) Watch(ctx context.Context) error {
	changed := make(chan struct{}, 1)
	signal := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	go func() {
		ticker := time.NewTicker(c.config.Refresh)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			case <-changed:
			}
			if err := c.Reload(ctx); err != nil && ctx.Err() == nil {
				c.config.Log.Warn("catalog not reloaded", "err", err)
			}
		}
	}()
	return postgis.Listen(ctx, c.pool, Channel, func(string) { signal() }, signal)
}

// One statement, so that datasets and releases are of one moment.
const readSQL = `
SELECT d.id, d.title_zh, d.title_en, d.description,
       o.id, o.name_zh, o.name_en,
       d.sharing, d.kind, d.box,
       coalesce(d.business_key, ''), coalesce(d.label, ''), coalesce(d.class, ''), coalesce(d.time_column, ''),
       d.attribution, d.synthetic, d.profile, d.approval, d.editable, d.tiles, d.grids, d.release, d.revision, d.rows, d.extent,
       r.release, r.revision, coalesce(r.delivery, 0), coalesce(r.restores, 0),
       r.relation, r.geometry_type, r.columns, r.rows, r.extent, r.released_at, r.note, r.sharing
FROM changde.datasets d
LEFT JOIN changde.organisations o ON o.id = d.owner
LEFT JOIN changde.releases r ON r.dataset = d.id AND r.relation IS NOT NULL
ORDER BY d.id, r.release`

type releaseRow struct {
	number     *int
	revision   *int64
	delivery   int64
	restores   int
	relation   *string
	geometry   *string
	columns    []byte
	rows       *int64
	extent     []float64
	releasedAt *time.Time
	note       *string
	sharing    *Sharing
}

func read(ctx context.Context, pool *pgxpool.Pool) (*Snapshot, error) {
	rows, err := pool.Query(ctx, readSQL)
	if err != nil {
		return nil, err
	}
	var datasets []*Dataset
	var last *Dataset
	_, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (struct{}, error) {
		var d Dataset
		var owner, nameZH, nameEN *string
		var box []float64
		var current int
		var rowCount int64
		var extent []float64
		var rules []byte
		var r releaseRow
		if err := row.Scan(&d.ID, &d.TitleZH, &d.TitleEN, &d.Description,
			&owner, &nameZH, &nameEN, &d.Sharing, &d.Kind, &box,
			&d.BusinessKey, &d.Label, &d.Class, &d.TimeColumn,
			&d.Attribution, &d.Synthetic, &d.Profile, &d.Approval, &d.Editable, &rules, &d.Grids, &current, &d.Revision, &rowCount, &extent,
			&r.number, &r.revision, &r.delivery, &r.restores,
			&r.relation, &r.geometry, &r.columns, &r.rows, &r.extent, &r.releasedAt, &r.note, &r.sharing); err != nil {
			return struct{}{}, err
		}
		if last == nil || last.ID != d.ID {
			if owner != nil {
				d.Owner = &Organisation{ID: *owner, NameZH: *nameZH, NameEN: *nameEN}
			}
			d.Box = bounds(box)
			var err error
			if d.Tiles, err = decodeTileRules(rules); err != nil {
				return struct{}{}, fmt.Errorf("dataset %s: %w", d.ID, err)
			}
			last = &d
			datasets = append(datasets, last)
		}
		if r.number == nil {
			return struct{}{}, nil
		}
		release, err := r.release()
		if err != nil {
			return struct{}{}, fmt.Errorf("dataset %s release %d: %w", d.ID, *r.number, err)
		}
		last.Releases = append(last.Releases, release)
		if release.Number == current {
			last.Current = release
			if release.Versioned() {
				state := *release
				state.Revision, state.Rows, state.Extent = d.Revision, rowCount, bounds(extent)
				last.Current = &state
			}
		}
		return struct{}{}, nil
	})
	if err != nil {
		return nil, err
	}
	return NewSnapshot(datasets), nil
}

func (r *releaseRow) release() (*Release, error) {
	columns, err := DecodeColumns(r.columns)
	if err != nil {
		return nil, err
	}
	relation, err := splitRelation(*r.relation)
	if err != nil {
		return nil, err
	}
	return &Release{
		Number: *r.number, Revision: *r.revision, Delivery: r.delivery, Restores: r.restores,
		Relation: relation, GeometryType: *r.geometry, Columns: columns, Rows: *r.rows,
		Extent: bounds(r.extent), ReleasedAt: *r.releasedAt, Note: *r.note, Sharing: *r.sharing,
	}, nil
}

func bounds(v []float64) *Bounds {
	if len(v) != 4 {
		return nil
	}
	return &Bounds{v[0], v[1], v[2], v[3]}
}

// splitRelation takes "schema.table" apart. Both are the platform's own names
// and contain no dot.
func splitRelation(s string) ([2]string, error) {
	for i := range s {
		if s[i] == '.' {
			return [2]string{s[:i], s[i+1:]}, nil
		}
	}
	return [2]string{}, fmt.Errorf("relation %q has no schema", s)
}

type columnJSON struct {
	Name  string `json:"name"`
	Alias string `json:"alias,omitempty"`
	Type  string `json:"type"`
}

// EncodeColumns gives the form in which changde.releases.columns holds them.
func EncodeColumns(columns []Column) ([]byte, error) {
	out := make([]columnJSON, len(columns))
	for i, c := range columns {
		out[i] = columnJSON{Name: c.Name, Alias: c.Alias, Type: c.Type.String()}
	}
	return json.Marshal(out)
}

// DecodeColumns reads what EncodeColumns wrote.
func DecodeColumns(b []byte) ([]Column, error) {
	var in []columnJSON
	if err := json.Unmarshal(b, &in); err != nil {
		return nil, fmt.Errorf("columns: %w", err)
	}
	out := make([]Column, len(in))
	for i, c := range in {
		t, ok := layer.ParseType(c.Type)
		if !ok {
			return nil, fmt.Errorf("column %q has the unknown type %q", c.Name, c.Type)
		}
		out[i] = Column{Name: c.Name, Alias: c.Alias, Type: t}
	}
	return out, nil
}
