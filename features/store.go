package features

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"changde/catalog"
	"changde/postgis"
	"changde/problem"
)

// Config tunes a Store; its zero value works.
type Config struct {
	// Decimals is how many digits after the point coordinates have, at most 15.
	// Default 8, about a millimetre.
	Decimals int
	// DefaultLimit and MaxLimit bound the features of a page. Default 10 and 10,000.
	DefaultLimit, MaxLimit int
	// MaxBytes ends a page early, with Next set, once its features take so many
	// bytes. Default 64 MiB. One feature always fits.
	MaxBytes int
}

// The bounds that are not for tuning.
const (
	maxOffset  = 1_000_000
	countLimit = 10_000 // how far the matches of a filter are counted
)

// Store reads features. It is safe for many goroutines.
type Store struct {
	pool   *pgxpool.Pool
	config Config
}

// NewStore makes a Store. How long a statement may run is the pool's to say.
func NewStore(pool *pgxpool.Pool, c Config) *Store {
	if c.Decimals <= 0 || c.Decimals > maxDecimals {
		c.Decimals = 8
	}
	if c.DefaultLimit <= 0 {
		c.DefaultLimit = 10
	}
	if c.MaxLimit <= 0 {
		c.MaxLimit = 10_000
	}
	if c.MaxBytes <= 0 {
		c.MaxBytes = 64 << 20
	}
	return &Store{pool: pool, config: c}
}

// Query says which features of a release are asked for. The zero value asks for
// the first page of all.
type Query struct {
	// Bounds keeps the features whose geometry meets the box, edges included
	// (OGC 17-069r4, 7.15.3). West greater than east crosses the antimeridian.
	Bounds *catalog.Bounds
	// From and To keep the features whose time lies between them, both included;
	// nil is open. A dataset without a column of dates or times is not narrowed
	// (7.15.4); in a dataset with one a feature without a time matches nothing.
	From, To *time.Time
	// Filter keeps the features that it lets through; it is one of the same release.
	Filter *Filter
	// Limit is the most features of a page; 0 is Config.DefaultLimit, more than
	// Config.MaxLimit is Config.MaxLimit.
	Limit int
	// AfterFID continues after that feature: what Page.Next says. Depth costs nothing.
	AfterFID *int64
	// Offset skips features, at most 1,000,000. It costs as much as reading them.
	Offset int64
	// NoCount leaves Page.Matched unknown where it would need a query of its own.
	NoCount bool
}

func (q *Query) filtered(timed bool) bool {
	return q.Bounds != nil || q.Filter != nil || timed && (q.From != nil || q.To != nil)
}

// Page says what Items wrote.
type Page struct {
	Returned int
	// Matched is how many features match on all pages; -1 when that is unknown:
	// with a filter, beyond 10,000.
	Matched int64
	// Next is the AfterFID of the next page; nil on the last.
	Next *int64
	// Bounds hold the geometries on the page; nil when there are none.
	Bounds *catalog.Bounds
}

// Items appends a page of features to dst, as GeoJSON Feature objects with a
// comma between them: what belongs inside the brackets of "features". They are
// ordered by fid. link, when not nil, is called inside each object after
// "properties" and appends further members, each with its comma before it.
//
// A box that is no box, a filter with an invalid geometry and an offset beyond its
// bound are problem.Invalid; a query that the statement timeout ends is problem.Busy. The error of a context
// that ends is passed through. After an error dst holds nothing of use beyond
// its original length.
func (s *Store) Items(ctx context.Context, d *catalog.Dataset, r *catalog.Release, q Query, dst []byte, link func(dst []byte, fid int64) []byte) (Page, []byte, error) {
	if err := q.check(); err != nil {
		return Page{}, dst, err
	}
	switch {
	case q.Limit <= 0:
		q.Limit = s.config.DefaultLimit
	case q.Limit > s.config.MaxLimit:
		q.Limit = s.config.MaxLimit
	}
	if q.Filter != nil {
		if err := q.Filter.Check(ctx); err != nil {
			return Page{}, dst, err
		}
	}
	page, dst, err := s.page(ctx, d, r, &q, dst, link)
	if err != nil {
		return Page{}, dst, postgis.Fault(ctx, err, "read features of "+d.ID)
	}
	if page.Matched, err = s.matched(ctx, d, r, &q, page); err != nil {
		return Page{}, dst, postgis.Fault(ctx, err, "count features of "+d.ID)
	}
	return page, dst, nil
}

func (q *Query) check() error {
	if q.Offset < 0 || q.Offset > maxOffset {
		return problem.New(problem.Invalid, "offset-range", "offset",
			fmt.Sprintf("offset 必须在 0 到 %d 之间；更靠后的要素请沿 next 链接逐页读取", maxOffset),
			fmt.Sprintf("offset must be between 0 and %d; follow the next links to read further", maxOffset))
	}
	if b := q.Bounds; b != nil {
		for _, v := range b {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return badBounds()
			}
		}
		if b[1] > b[3] {
			return badBounds()
		}
	}
	return nil
}

func badBounds() error {
	return problem.New(problem.Invalid, "bbox-invalid", "bbox",
		"范围应为 西,南,东,北 四个有限的度数，且南不大于北",
		"the box must be four finite degrees, west,south,east,north, with south not above north")
}

func (s *Store) page(ctx context.Context, d *catalog.Dataset, r *catalog.Release, q *Query, dst []byte, link func([]byte, int64) []byte) (Page, []byte, error) {
	// A page that ends early drops its connection rather than read on.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	props := properties(r.Columns)
	sql := pageSQL(d, r, q)
	rows, err := s.pool.Query(ctx, sql.String(), options(props, q, sql.Args())...)
	if err != nil {
		return Page{}, dst, err
	}
	defer rows.Close()
	w := featureWriter{props: props, decimals: s.config.Decimals, link: link, box: emptyBox()}
	var page Page
	var last int64
	from := len(dst)
	for rows.Next() {
		if page.Returned == q.Limit || page.Returned > 0 && len(dst)-from >= s.config.MaxBytes {
			page.Next = &last
			if page.Returned < q.Limit {
				cancel()
			}
			rows.Close()
			page.Bounds = w.bounds()
			return page, dst, nil
		}
		if page.Returned > 0 {
			dst = append(dst, ',')
		}
		if dst, last, err = w.append(dst, rows.RawValues()); err != nil {
			return Page{}, dst, err
		}
		page.Returned++
	}
	if err := rows.Err(); err != nil {
		return Page{}, dst, err
	}
	page.Bounds = w.bounds()
	return page, dst, nil
}

// options puts pgx's own arguments before those of the statement.
func options(props []property, q *Query, args []any) []any {
	return append([]any{q.mode(), formats(props, 0)}, args...)
}

// mode says what pgx remembers of the statement. One with a condition is planned
// anew with its values each time: a plan made once for all boxes is wrong for the
// small or for the large ones. One with a filter may never come again, and would
// fill the memory of the connections with such.
func (q *Query) mode() pgx.QueryExecMode {
	switch {
	case q == nil || !q.filtered(true):
		return pgx.QueryExecModeCacheStatement
	case q.Filter != nil:
		return pgx.QueryExecModeDescribeExec
	}
	return pgx.QueryExecModeCacheDescribe
}

// featureWriter writes rows of fid, geom and the columns.
type featureWriter struct {
	props    []property
	decimals int
	link     func([]byte, int64) []byte
	box      catalog.Bounds
}

func (w *featureWriter) append(dst []byte, raw [][]byte) ([]byte, int64, error) {
	fid := int64(binary.BigEndian.Uint64(raw[0]))
	dst = append(dst, `{"type":"Feature","id":`...)
	dst = strconv.AppendInt(dst, fid, 10)
	dst = append(dst, `,"geometry":`...)
	if raw[1] == nil {
		dst = append(dst, "null"...)
	} else {
		g := geometryWriter{b: raw[1], decimals: w.decimals, box: w.box}
		var err error
		if dst, err = g.append(dst); err != nil {
			return dst, fid, fmt.Errorf("feature %d: %w", fid, err)
		}
		w.box = g.box
	}
	dst = append(dst, `,"properties":{`...)
	for i := range w.props {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, w.props[i].key...)
		dst = w.props[i].append(dst, raw[2+i])
	}
	dst = append(dst, '}')
	if w.link != nil {
		dst = w.link(dst, fid)
	}
	return append(dst, '}'), fid, nil
}

func (w *featureWriter) bounds() *catalog.Bounds {
	if w.box[0] > w.box[2] {
		return nil
	}
	b := w.box
	return &b
}

// matched tells how many features match, by the page itself where that is enough.
func (s *Store) matched(ctx context.Context, d *catalog.Dataset, r *catalog.Release, q *Query, page Page) (int64, error) {
	if !q.filtered(temporal(d, r)) && d.Kind != catalog.Edited {
		return r.Rows, nil
	}
	if q.AfterFID == nil && page.Next == nil && (page.Returned > 0 || q.Offset == 0) {
		return q.Offset + int64(page.Returned), nil
	}
	if q.NoCount {
		return -1, nil
	}
	sql := countSQL(d, r, q)
	mode := pgx.QueryExecModeCacheDescribe
	if q.Filter != nil {
		mode = q.mode()
	}
	var n int64
	if err := s.pool.QueryRow(ctx, sql.String(), append([]any{mode}, sql.Args()...)...).Scan(&n); err != nil {
		return 0, err
	}
	if n > countLimit {
		return -1, nil
	}
	return n, nil
}
