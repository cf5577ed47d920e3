package tiles

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/paulmach/orb/encoding/mvt"
	"github.com/paulmach/orb/encoding/wkt"

	"changde/catalog"
	types "changde/ingest/layer"
	"changde/postgis"
	"changde/postgis/postgistest"
	"changde/problem"
)

func get(t testing.TB, s *Source, d *catalog.Dataset, a Address) *Tile {
	t.Helper()
	tile, err := s.Tile(context.Background(), d, d.Current, a)
	if err != nil {
		t.Fatal(err)
	}
	return tile
}

// text is the tile for people: a line for each feature.
func text(t testing.TB, tile *Tile) string {
	t.Helper()
	var b strings.Builder
	for _, l := range decoded(t, tile) {
		fmt.Fprintf(&b, "layer %s version %d extent %d\n", l.Name, l.Version, l.Extent)
		for _, f := range l.Features {
			fmt.Fprintf(&b, "%v %s\n", f.ID, wkt.MarshalString(f.Geometry))
			var keys []string
			for k := range f.Properties {
				keys = append(keys, k)
			}
			slices.Sort(keys)
			for _, k := range keys {
				fmt.Fprintf(&b, "    %s = %T %v\n", k, f.Properties[k], f.Properties[k])
			}
		}
	}
	fmt.Fprintf(&b, "features %d, omitted %d, more %v\n", tile.Features, tile.Omitted, tile.OmittedAtLeast)
	return b.String()
}

func everything(t testing.TB, pool *pgxpool.Pool) *catalog.Dataset {
	t.Helper()
	d := table(t, pool, "everything", "Geometry", []catalog.Column{
		{Name: `"; drop table`, Type: types.Text},
		{Name: "名称", Type: types.Text},
		{Name: "n", Type: types.Integer},
		{Name: "real", Type: types.Real},
		{Name: "金额", Type: types.Decimal},
		{Name: "ok", Type: types.Boolean},
		{Name: "日期", Type: types.Date},
		{Name: "时间", Type: types.Timestamp},
	})
	fill(t, pool, d, new(postgis.SQL).Raw(`INSERT INTO content.everything VALUES
		(1, 'x', '常德市𠮷', 42, 0.1, 12.50, true, '2024-02-29', '2024-02-29 23:59:59.123456+08', 1, ST_GeomFromEWKT('SRID=4490;POINT (111.7 29)')),
		(2, '', NULL, -5, 'NaN', 'NaN', false, 'infinity', '-infinity', 1, ST_GeomFromEWKT('SRID=4490;POLYGON ((111 29, 111 30, 112 30, 112 29, 111 29), (111.2 29.2, 111.8 29.2, 111.8 29.8, 111.2 29.2))')),
		(3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1, NULL),
		(4, 'x', 'y', 0, '-Infinity', 123456789012345678901234567890.123, true, '1969-12-31', '1969-12-31 23:59:59.5+00', 1, ST_GeomFromEWKT('SRID=4490;GEOMETRYCOLLECTION (POINT (111.1 29.1), LINESTRING (111 29, 112 30), POLYGON ((111.5 29, 112 29, 112 29.5, 111.5 29)), POINT (111.9 29.9))')),
		(5, 'x', 'y', 9223372036854775807, 1e300, 0, NULL, NULL, NULL, 1, ST_GeomFromEWKT('SRID=4490;POINT EMPTY')),
		(6, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1, ST_GeomFromEWKT('SRID=4490;MULTIPOINT (111.7000001 29, 111.7 29)')),
		(7, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1, ST_GeomFromEWKT('SRID=4490;LINESTRING (111.7000001 29, 111.7 29)')),
		(8, NULL, 'NaN', NULL, NULL, NULL, NULL, NULL, NULL, 1, ST_SetSRID(ST_MakeLine(ST_MakePoint(111.5, 29.5), ST_MakePoint('NaN', 29.6)), 4490)),
		(9, NULL, 'infinite', NULL, NULL, NULL, NULL, NULL, NULL, 1, ST_SetSRID(ST_MakeLine(ST_MakePoint(111.5, 29.5), ST_MakePoint('Infinity', 29.6)), 4490)),
		(10, NULL, '全球', NULL, NULL, NULL, NULL, NULL, NULL, 1, ST_GeomFromEWKT('SRID=4490;POLYGON ((-180 -90, 180 -90, 180 90, -180 90, -180 -90))')),
		(11, NULL, 'Z', NULL, NULL, NULL, NULL, NULL, NULL, 1, ST_Force2D(ST_GeomFromEWKT('SRID=4490;LINESTRING Z (111 29 5, 111.5 29.5 6)')))`))
	d.Current.Extent = &catalog.Bounds{-180, -90, 180, 90} // not infinite
	return d
}

func TestTileGolden(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	d := everything(t, pool)
	got := text(t, get(t, NewSource(pool, Config{}), d, at(111.7, 29.2, 8)))
	const golden = "testdata/everything.txt"
	if os.Getenv("BLESS") != "" {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// The planet's tile, the last tile and every tile on the way say the same of what
// covers them all, and refuse nothing.
func TestTileOfTheWorld(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	d := everything(t, pool)
	s := NewSource(pool, Config{})
	for _, set := range Sets() {
		for z := 0; z <= MaxZoom; z++ {
			for _, a := range []Address{{set.ID, z, 0, 0}, {set.ID, z, set.Rows<<z - 1, set.Columns<<z - 1}} {
				tile := get(t, s, d, a)
				if !strings.Contains(text(t, tile), "名称 = string 全球") {
					t.Errorf("%v does not show what covers the world:\n%s", a, text(t, tile))
				}
			}
		}
	}
}

func TestTileColumns(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	var columns []catalog.Column
	for i := range 300 {
		columns = append(columns, catalog.Column{Name: fmt.Sprintf("第%d列", i), Type: types.Integer})
	}
	d := table(t, pool, "wide", "Point", columns)
	d.Label, d.Class, d.BusinessKey, d.TimeColumn = "第299列", "第3列", "第100列", "没有"
	fill(t, pool, d, new(postgis.SQL).Raw("INSERT INTO content.wide (fid, ").Ident("第299列").Raw(", geom) VALUES (1, 9, ST_SetSRID(ST_MakePoint(111, 29), 4490))"))
	got := TileColumns(d, d.Current, MaxTileZoom)
	if len(got) != MaxColumns {
		t.Fatalf("%d columns", len(got))
	}
	for i, want := range []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 100, 299} {
		if got[i].Name != fmt.Sprintf("第%d列", want) {
			t.Errorf("column %d is %s", i, got[i].Name)
		}
	}
	f := decoded(t, get(t, NewSource(pool, Config{}), d, at(111, 29, 10)))[0].Features[0]
	if diff := cmp.Diff(map[string]any{"第299列": 9.0}, map[string]any(f.Properties)); diff != "" {
		t.Error(diff)
	}
	few := &catalog.Release{Columns: columns[:16]}
	if diff := cmp.Diff(columns[:16], TileColumns(d, few, MaxTileZoom)); diff != "" {
		t.Error(diff)
	}
}

func TestTileEmpty(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	d := seeded(t, pool, "MultiPoint", 10)
	empty := table(t, pool, "empty", "Point", nil)
	s := NewSource(pool, Config{})
	for _, tile := range []*Tile{get(t, s, d, at(-50, 0, 10)), get(t, s, empty, Address{Set: "WebMercatorQuad"})} {
		if tile.Features != 0 || tile.Gzip != nil || tile.Length != 0 || tile.Omitted != 0 || tile.ETag == "" {
			t.Errorf("%+v", tile)
		}
	}
	if _, err := s.Tile(t.Context(), d, d.Current, Address{"WebMercatorQuad", 3, 8, 0}); !problem.Is(err, problem.NotFound) {
		t.Errorf("outside the matrix: %v", err)
	}
}

// sizes is a dataset of n squares around one place, square i of side i thousandths.
func sizes(t testing.TB, pool *pgxpool.Pool, n int) *catalog.Dataset {
	t.Helper()
	d := table(t, pool, "sizes", "Polygon", []catalog.Column{{Name: "hash", Type: types.Text}})
	fill(t, pool, d, new(postgis.SQL).Raw(`INSERT INTO content.sizes SELECT i, md5(i::text) || md5((-i)::text), 1,
		ST_MakeEnvelope(111.4, 29.2, 111.4 + i * 0.001, 29.2 + i * 0.001, 4490) FROM generate_series(1, `).Int(int64(n)).Raw(") i"))
	return d
}

func drawnIDs(t testing.TB, tile *Tile) []int {
	t.Helper()
	out := []int{}
	for _, l := range decoded(t, tile) {
		for _, f := range l.Features {
			out = append(out, int(f.ID.(float64)))
		}
	}
	return out
}

// What a limit leaves out is the smallest, and it is counted.
func TestTileLimits(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	d := sizes(t, pool, 300)
	a := at(111.5, 29.3, 8)

	tile := get(t, NewSource(pool, Config{}), d, a)
	// A pixel of zoom 8 is 0.00275 degrees: nine squares are below four, and are one.
	if tile.Features != 292 || tile.Generalized != 9 || tile.Omitted != 0 {
		t.Errorf("without a limit: %d features, %d gathered, %d omitted", tile.Features, tile.Generalized, tile.Omitted)
	}
	tile = get(t, NewSource(pool, Config{MaxFeatures: 10}), d, a)
	if diff := cmp.Diff([]int{300, 299, 298, 297, 296, 295, 294, 293, 292, 291}, drawnIDs(t, tile)); diff != "" {
		t.Error(diff)
	}
	if tile.Features != 10 || tile.Omitted != 290 || tile.OmittedAtLeast {
		t.Errorf("by count: %d features, %d omitted", tile.Features, tile.Omitted)
	}
	tile = get(t, NewSource(pool, Config{MaxFeatures: 140, MaxBytes: 5000}), d, a)
	ids := drawnIDs(t, tile)
	if len(tile.Gzip) > 5000 || len(tile.Gzip) < 4000 || ids[0] != 300 || ids[len(ids)-1] != 301-len(ids) || tile.Omitted != int64(300-len(ids)) {
		t.Errorf("by size: %d bytes, %d features, %d omitted, last %d", len(tile.Gzip), tile.Features, tile.Omitted, ids[len(ids)-1])
	}
	// One row always fits.
	if tile = get(t, NewSource(pool, Config{MaxFeatures: 140, MaxBytes: 10}), d, a); tile.Features != 1 || tile.Omitted != 299 {
		t.Errorf("by a size too small: %d features, %d omitted", tile.Features, tile.Omitted)
	}
	// A tile that does not hold the whole extent counts in the database.
	b := at(111.42, 29.22, 12)
	all := get(t, NewSource(pool, Config{}), d, b)
	few := get(t, NewSource(pool, Config{MaxFeatures: 10}), d, b)
	if few.Features != 10 || few.Features+few.Omitted != all.Features+all.Omitted || all.Features < 100 {
		t.Errorf("of %d features: %d, %d omitted", all.Features, few.Features, few.Omitted)
	}
}

// Points are all of one size: the first by fid are drawn. Below DetailZoom they stand
// for the others of their cell.
func TestTileLimitsPoints(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	d := seeded(t, pool, "MultiPoint", 2000)
	a := at(111.68, 29.03, 14)
	all := drawnIDs(t, get(t, NewSource(pool, Config{}), d, a))
	tile := get(t, NewSource(pool, Config{MaxFeatures: 5}), d, a)
	if diff := cmp.Diff(all[:5], drawnIDs(t, tile)); diff != "" || tile.Omitted != int64(len(all)-5) {
		t.Errorf("%s, %d omitted", diff, tile.Omitted)
	}
	tile = get(t, NewSource(pool, Config{MaxFeatures: 5}), d, at(111.68, 29.03, 5))
	if diff := cmp.Diff([]int{1, 2}, drawnIDs(t, tile)); diff != "" || tile.Omitted != 0 || tile.Generalized != 1998 {
		t.Errorf("%s, %d gathered, %d omitted", diff, tile.Generalized, tile.Omitted)
	}
}

// Whatever the limits, every row in the box is drawn or counted.
func TestTileCountsAddUp(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	d := seeded(t, pool, "MultiPolygon", 600)
	for _, limit := range []int{5, 40, 100, 50_000} {
		s := NewSource(pool, Config{MaxFeatures: limit})
		for z := 0; z <= 13; z++ {
			tile := get(t, s, d, at(111.66, 29.01, z))
			if z <= 10 && accounted(t, tile) != 600 || tile.Features > int64(limit) {
				t.Errorf("limit %d zoom %d: %d features, %d gathered, %d omitted", limit, z, tile.Features, tile.Generalized, tile.Omitted)
			}
		}
	}
}

func TestTileEdited(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	run(t, pool, new(postgis.SQL).Raw(`CREATE TABLE changde.works (fid bigint PRIMARY KEY, name varchar(20), rev bigint, geom geometry(Geometry, 4490),
		span real NOT NULL GENERATED ALWAYS AS (coalesce(greatest(ST_XMax(geom) - ST_XMin(geom), ST_YMax(geom) - ST_YMin(geom)), 0)) STORED)`))
	run(t, pool, new(postgis.SQL).Raw(`INSERT INTO changde.works VALUES (1, 'a', 1, NULL), (2, 'b', 1, ST_SetSRID(ST_MakePoint(111, 29), 4490)),
		(3, 'c', 1, ST_MakeEnvelope(110.9, 28.9, 111.1, 29.1, 4490)), (4, 'd', 1, ST_MakeEnvelope(110, 28, 110.000001, 28.000001, 4490))`))
	d := &catalog.Dataset{ID: "works", Kind: catalog.Edited, Current: &catalog.Release{
		Relation: [2]string{"changde", "works"}, GeometryType: "Geometry", Columns: []catalog.Column{{Name: "name", Type: types.Text}},
	}}
	tile := get(t, NewSource(pool, Config{}), d, Address{Set: "WebMercatorQuad"})
	if diff := cmp.Diff([]int{2}, drawnIDs(t, tile)); diff != "" || tile.Omitted != 2 {
		t.Errorf("%s, %d omitted", diff, tile.Omitted)
	}
	tile = get(t, NewSource(pool, Config{MaxFeatures: 1}), d, at(111, 29, 6))
	if diff := cmp.Diff([]int{3}, drawnIDs(t, tile)); diff != "" || tile.Omitted != 2 {
		t.Errorf("%s, %d omitted", diff, tile.Omitted)
	}
}

func TestJoin(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	polygons, lines := seeded(t, pool, "MultiPolygon", 200), seeded(t, pool, "MultiLineString", 200)
	empty := table(t, pool, "empty", "Point", nil)
	s := NewSource(pool, Config{})
	a := at(111.68, 29.03, 12)
	parts := []Part{{Dataset: lines, Release: lines.Current}, {Dataset: empty, Release: empty.Current}, {Dataset: polygons, Release: polygons.Current}}
	joined, err := s.Join(t.Context(), parts, a)
	if err != nil {
		t.Fatal(err)
	}
	one, two := get(t, s, lines, a), get(t, s, polygons, a)
	if got, want := string(raw(t, joined)), string(raw(t, one))+string(raw(t, two)); got != want {
		t.Error("the joined tile is not its parts, one after the other")
	}
	if joined.Features != one.Features+two.Features || joined.Omitted != one.Omitted+two.Omitted || joined.ETag == one.ETag {
		t.Errorf("%+v", joined)
	}
	layers := decoded(t, joined)
	if len(layers) != 2 || layers[0].Name != lines.ID || layers[1].Name != polygons.ID {
		t.Errorf("%d layers", len(layers))
	}
	if single, err := s.Join(t.Context(), parts[:1], a); err != nil || single.ETag != one.ETag {
		t.Errorf("one part: %v", err)
	}
	if none, err := s.Join(t.Context(), []Part{{Dataset: empty, Release: empty.Current}, {Dataset: polygons, Release: polygons.Current}}, at(0, 0, 12)); err != nil || none.Features != 0 || none.Gzip != nil {
		t.Errorf("nothing: %+v, %v", none, err)
	}
	for name, parts := range map[string][]Part{"no part": nil, "a part twice": {parts[0], parts[0]}, "too many": make([]Part, 21)} {
		if _, err := s.Join(t.Context(), parts, a); !problem.Is(err, problem.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// counter counts the queries for rows.
type counter struct {
	mu sync.Mutex
	n  int
}

func (c *counter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if strings.HasPrefix(data.SQL, "SELECT fid") {
		c.mu.Lock()
		c.n++
		c.mu.Unlock()
	}
	return ctx
}

func (c *counter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (c *counter) count() int { c.mu.Lock(); defer c.mu.Unlock(); return c.n }

// counted opens a pool that counts, beside one that does not.
func counted(t *testing.T) (pool *pgxpool.Pool, c *counter) {
	t.Helper()
	plain := postgistest.New(t)
	config := plain.Config()
	c = new(counter)
	config.ConnConfig.Tracer = c
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool, c
}

func TestCacheLoadsOnce(t *testing.T) {
	t.Parallel()
	pool, queries := counted(t)
	d := seeded(t, pool, "MultiPolygon", 100)
	s := NewSource(pool, Config{})
	a := at(111.68, 29.03, 12)
	var wg sync.WaitGroup
	tiles := make([]*Tile, 100)
	for i := range tiles {
		wg.Go(func() {
			tile, err := s.Tile(context.Background(), d, d.Current, a)
			if err != nil {
				t.Error(err)
			}
			tiles[i] = tile
		})
	}
	wg.Wait()
	for _, tile := range tiles {
		if tile != tiles[0] {
			t.Fatal("not the same tile for all")
		}
	}
	if queries.count() != 1 {
		t.Errorf("%d queries", queries.count())
	}
	// Another revision of the same relation, as an edited dataset has, is another tile.
	next := *d
	next.Revision++
	if get(t, s, &next, a) == tiles[0] || queries.count() != 2 {
		t.Errorf("a new revision: %d queries", queries.count())
	}
	if get(t, s, d, a) != tiles[0] || queries.count() != 2 {
		t.Error("the old revision is gone")
	}
}

// A rollback brings an old relation back under a new revision, a delivery brings a
// new relation: no tile of one is ever given for another.
func TestCacheNeverMixesRevisions(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	s := NewSource(pool, Config{})
	a := at(111, 29, 10)
	var datasets []*catalog.Dataset
	for i := range 3 {
		d := table(t, pool, fmt.Sprintf("city_%d", i), "Point", []catalog.Column{{Name: "release", Type: types.Integer}})
		fill(t, pool, d, new(postgis.SQL).Raw("INSERT INTO ").Ident(d.Current.Relation[:]...).Raw(" VALUES (1, ").Int(int64(i)).Raw(", 1, ST_SetSRID(ST_MakePoint(111, 29), 4490))"))
		d.ID, d.Revision = "city", int64(i+1)
		datasets = append(datasets, d)
	}
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 60 {
				n := (i + worker) % 3
				tile, err := s.Tile(context.Background(), datasets[n], datasets[n].Current, a)
				if err != nil {
					t.Error(err)
					return
				}
				if got := decodedValue(tile); got != float64(n) {
					t.Errorf("release %d shows %v", n, got)
				}
			}
		})
	}
	wg.Wait()
}

// Releases of one dataset, asked for as of then, share its revision and nothing else.
func TestCacheNeverMixesReleases(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	s := NewSource(pool, Config{})
	a := at(111, 29, 10)
	d := &catalog.Dataset{ID: "city", Kind: catalog.Delivered, Revision: 7}
	for i := range 3 {
		kept := table(t, pool, fmt.Sprintf("kept_%d", i), "Point", []catalog.Column{{Name: "release", Type: types.Integer}})
		fill(t, pool, kept, new(postgis.SQL).Raw("INSERT INTO ").Ident(kept.Current.Relation[:]...).Raw(" VALUES (1, ").Int(int64(i)).Raw(", 1, ST_SetSRID(ST_MakePoint(111, 29), 4490))"))
		d.Releases = append(d.Releases, kept.Current)
	}
	for i, r := range d.Releases {
		tile, err := s.Tile(t.Context(), d, r, a)
		if err != nil {
			t.Fatal(err)
		}
		if got := decodedValue(tile); got != float64(i) {
			t.Errorf("release %d shows %v", i, got)
		}
	}
}

func decodedValue(tile *Tile) any {
	layers, err := mvt.UnmarshalGzipped(tile.Gzip)
	if err != nil {
		return err
	}
	return layers[0].Features[0].Properties["release"]
}

// locked holds back every reader of the dataset until it is released.
func locked(t *testing.T, pool *pgxpool.Pool, d *catalog.Dataset) (release func()) {
	t.Helper()
	tx, err := pool.Begin(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	q := new(postgis.SQL).Raw("LOCK TABLE ").Ident(d.Current.Relation[:]...).Raw(" IN ACCESS EXCLUSIVE MODE")
	if _, err := tx.Exec(context.Background(), q.String()); err != nil {
		t.Fatal(err)
	}
	return func() { _ = tx.Rollback(context.Background()) }
}

func TestTileTooSlow(t *testing.T) {
	t.Parallel()
	pool, queries := counted(t)
	d := seeded(t, pool, "MultiPolygon", 100)
	s := NewSource(pool, Config{Timeout: 150 * time.Millisecond})
	a := at(111.68, 29.03, 12)
	release := locked(t, pool, d)
	if _, err := s.Tile(t.Context(), d, d.Current, a); !problem.Is(err, problem.Busy) {
		t.Errorf("a tile that takes too long: %v", err)
	}
	if _, err := s.Join(t.Context(), []Part{{Dataset: d, Release: d.Current}, {Dataset: table(t, pool, "other", "Point", nil), Release: &catalog.Release{}}}, a); !problem.Is(err, problem.Busy) {
		t.Errorf("a joined tile that takes too long: %v", err)
	}
	release()
	before := queries.count()
	if tile := get(t, s, d, a); tile.Features == 0 || queries.count() != before+1 {
		t.Errorf("afterwards: %d features, %d queries", tile.Features, queries.count()-before)
	}
}

// The first caller leaves: those who came after it get their tile.
func TestTileSurvivesItsFirstCaller(t *testing.T) {
	t.Parallel()
	pool, queries := counted(t)
	d := seeded(t, pool, "MultiPolygon", 100)
	s := NewSource(pool, Config{})
	a := at(111.68, 29.03, 12)
	release := locked(t, pool, d)
	first, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() { _, err := s.Tile(first, d, d.Current, a); gone <- err }()
	waitFor(t, func() bool { return queries.count() == 1 })
	second := make(chan *Tile)
	go func() { tile, _ := s.Tile(context.Background(), d, d.Current, a); second <- tile }()
	waitFor(t, func() bool {
		s.flights.mu.Lock()
		defer s.flights.mu.Unlock()
		for _, f := range s.flights.running {
			return f.waiting == 2
		}
		return false
	})
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) || problem.Is(err, problem.Busy) {
		t.Errorf("the first caller: %v", err)
	}
	release()
	if tile := <-second; tile == nil || tile.Features == 0 {
		t.Error("the second caller has no tile")
	}
	if queries.count() != 1 {
		t.Errorf("%d queries", queries.count())
	}
}

// All callers leave: the query ends in the database, and nothing is left behind.
func TestTileEndsWithItsCallers(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	d := seeded(t, pool, "MultiPolygon", 100)
	s := NewSource(pool, Config{Timeout: time.Minute})
	a := at(111.68, 29.03, 12)
	release := locked(t, pool, d)
	defer release()
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() { _, err := s.Tile(ctx, d, d.Current, a); gone <- err }()
	waiting := func() int {
		var n int
		if err := pool.QueryRow(context.Background(), "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	// A statement that has not begun cannot be cancelled.
	waitFor(t, func() bool { return waiting() == 1 })
	cancel()
	<-gone
	waitFor(t, func() bool { return waiting() == 0 && len(s.turns.running) == 0 })
}

// Beyond the builds and the queue a caller is told so at once.
func TestTileQueueIsBounded(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	d := seeded(t, pool, "MultiPolygon", 100)
	s := NewSource(pool, Config{Builds: 1, Queue: 2})
	release := locked(t, pool, d)
	errs := make(chan error, 20)
	for i := range 20 {
		go func() {
			_, err := s.Tile(context.Background(), d, d.Current, at(111.68, 29.03, i))
			errs <- err
		}()
	}
	for range 17 {
		if err := <-errs; !problem.Is(err, problem.Busy) {
			t.Errorf("a caller too many: %v", err)
		}
	}
	release()
	for range 3 {
		if err := <-errs; err != nil {
			t.Errorf("a caller in the queue: %v", err)
		}
	}
}

func TestFlightPanics(t *testing.T) {
	t.Parallel()
	f := flights{running: make(map[key]*flight)}
	for range 2 {
		if _, err := f.join(t.Context(), key{}, func(context.Context) (*Tile, error) { panic("no") }); err == nil || !strings.Contains(err.Error(), "panic: no") {
			t.Errorf("%v", err)
		}
	}
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited too long")
		}
	}
}

func TestLevels(t *testing.T) {
	t.Parallel()
	city := &catalog.Bounds{110.5, 28.4, 112.3, 30.1}
	for _, tt := range []struct {
		name string
		r    catalog.Release
		want int
	}{
		{"parcels", catalog.Release{GeometryType: "MultiPolygon", Rows: 2_000_000, Extent: city}, 11},
		{"buildings", catalog.Release{GeometryType: "Polygon", Rows: 800_000, Extent: city}, 11},
		{"counties", catalog.Release{GeometryType: "MultiPolygon", Rows: 9, Extent: city}, 1},
		{"points of interest", catalog.Release{GeometryType: "Point", Rows: 200_000, Extent: city}, 10},
		{"few points", catalog.Release{GeometryType: "Point", Rows: 2000, Extent: city}, 0},
		{"one place", catalog.Release{GeometryType: "Point", Rows: 100_000, Extent: &catalog.Bounds{111, 29, 111, 29}}, MaxTileZoom},
		{"no geometry", catalog.Release{GeometryType: "Point", Rows: 100_000}, 0},
		{"no rows", catalog.Release{GeometryType: "Polygon", Extent: city}, 0},
	} {
		if low, high := Levels(&tt.r); low != tt.want || high != MaxTileZoom {
			t.Errorf("%s: %d to %d, want %d", tt.name, low, high, tt.want)
		}
	}
}
