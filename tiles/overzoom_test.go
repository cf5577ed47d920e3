package tiles

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/paulmach/orb"
	"github.com/paulmach/orb/encoding/wkb"

	"changde/catalog"
	types "changde/ingest/layer"
	"changde/postgis"
	"changde/postgis/postgistest"
)

// strokes are n lines over the box of seeded, each of many vertices.
func strokes(t testing.TB, pool *pgxpool.Pool, n int) *catalog.Dataset {
	t.Helper()
	d := table(t, pool, "strokes", "LineString", []catalog.Column{{Name: "n", Type: types.Integer}})
	fill(t, pool, d, new(postgis.SQL).Raw(`INSERT INTO content.strokes SELECT i, i, 1, ST_SetSRID(ST_MakeLine(ARRAY(SELECT
		ST_MakePoint(111.65 + 0.06 * abs(hashint8(i) % 997) / 997.0 + 0.00004 * k, 29.0 + 0.06 * abs(hashint8(i + 7) % 991) / 991.0 + 0.0001 * sin(k / 3.0 + i))
		FROM generate_series(0, 20 + i % 50) k)), 4490) FROM generate_series(1, `).Int(int64(n)).Raw(") i"))
	return d
}

// A tile beyond the archive's last level that nothing has touched is made of the tile
// there, and shows what one made of the rows shows: the same features with the same
// attributes, valid, each vertex within half a unit of the last level.
func TestTilesEnlarged(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	archives := openArchives(t, pool)
	plain := NewSource(pool, Config{})
	var all [][]byte
	for _, d := range []*catalog.Dataset{
		seeded(t, pool, "MultiPolygon", 3000), seeded(t, pool, "MultiLineString", 1500), seeded(t, pool, "MultiPoint", 3000), strokes(t, pool, 800), cadastre(t, pool, 30),
	} {
		released(t, pool, d)
		if err := archives.Build(t.Context(), d, d.Current, 0); err != nil {
			t.Fatal(err)
		}
		r, e := rand.New(rand.NewPCG(5, 5)), d.Current.Extent
		drawn := 0
		for range 250 {
			a := at(e[0]+r.Float64()*(e[2]-e[0]), e[1]+r.Float64()*(e[3]-e[1]), ArchiveZoom+1+r.IntN(overZoom-ArchiveZoom))
			got, ok, err := archives.Tile(t.Context(), d, d.Current, a)
			if err != nil || !ok {
				t.Fatalf("%s %s: %v, %v", d.ID, a, ok, err)
			}
			want := get(t, plain, d, a)
			drawn += sameEnlarged(t, d.ID, a, got, want)
			for _, l := range decoded(t, got) {
				for _, f := range l.Features {
					b, err := wkb.Marshal(f.Geometry)
					if err != nil {
						t.Fatal(err)
					}
					all = append(all, b)
				}
			}
		}
		if drawn < 250 {
			t.Errorf("%s: %d features are compared: the test says little", d.ID, drawn)
		}
	}
	invalid(t, pool, all)
}

// What an edit has touched is made of the rows beyond the last level too, and what it
// has not is not.
func TestEnlargedAfterEdits(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	d := cadastre(t, pool, 40)
	released(t, pool, d)
	archives := openArchives(t, pool)
	if err := archives.Build(t.Context(), d, d.Current, 0); err != nil {
		t.Fatal(err)
	}
	source, plain := NewSource(pool, Config{Archives: archives}), NewSource(pool, Config{})
	r, e := rand.New(rand.NewPCG(3, 3)), d.Current.Extent
	for revision := int64(2); revision < 6; revision++ {
		edit(t, pool, r, revision)
	}
	d = later(d, 5)
	kept, made := 0, 0
	for range 400 {
		a := at(e[0]+r.Float64()*(e[2]-e[0]), e[1]+r.Float64()*(e[3]-e[1]), ArchiveZoom+1+r.IntN(MaxZoom-ArchiveZoom))
		_, ok, err := archives.Tile(t.Context(), d, d.Current, a)
		if err != nil || ok && a.Z > overZoom {
			t.Fatalf("%s: %v, %v", a, ok, err)
		}
		got, want := get(t, source, d, a), get(t, plain, d, a)
		switch {
		case ok:
			kept++
			sameEnlarged(t, d.ID, a, got, want)
		case got.ETag != want.ETag:
			t.Errorf("%s is not made of the rows", a)
		case a.Z <= overZoom:
			made++
		}
	}
	if kept < 50 || made < 20 {
		t.Errorf("%d tiles of the archive, %d of rows: the test says little", kept, made)
	}
}

// A tile that nothing has touched needs no database, also when nobody has asked for one
// before.
func TestArchivesWithoutDatabase(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	d := cadastre(t, pool, 20)
	released(t, pool, d)
	own, err := pgxpool.NewWithConfig(t.Context(), pool.Config())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(own.Close)
	archives := openArchives(t, own)
	if err := archives.Build(t.Context(), d, d.Current, 0); err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{
		"INSERT INTO content.cadastre_h SELECT t.*, 2 FROM content.cadastre t WHERE fid = 1", "INSERT INTO content.cadastre_c VALUES (2, 1)",
		"UPDATE content.cadastre SET area = 7, rev = 2 WHERE fid = 1",
	} {
		if _, err := pool.Exec(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	d = later(d, 2)
	archives.prepare(t.Context(), catalog.NewSnapshot([]*catalog.Dataset{d}))
	own.Close()
	archives.looks.lapse() // the folder is looked at again
	source := NewSource(own, Config{Archives: archives})
	e := d.Current.Extent
	for z := DetailZoom; z <= overZoom; z++ {
		a := at(e[2]-0.001, e[3]-0.001, z)
		if got := get(t, source, d, a); got.Features == 0 {
			t.Errorf("%s is empty", a)
		}
	}
	// What was touched does.
	if _, err := source.Tile(t.Context(), d, d.Current, at(e[0]+0.0005, e[1]+0.0005, overZoom)); err == nil {
		t.Error("a tile that was touched is made without the database")
	}
}

// shown are the features of a tile by id.
func shown(t testing.TB, tile *Tile) map[uint64]*mvtFeature {
	t.Helper()
	out := make(map[uint64]*mvtFeature)
	for _, l := range decoded(t, tile) {
		for _, f := range l.Features {
			id := uint64(f.ID.(float64))
			if out[id] != nil {
				t.Fatalf("feature %d is there twice", id)
			}
			out[id] = &mvtFeature{f.Properties, f.Geometry}
		}
	}
	if len(out) != int(tile.Features) {
		t.Errorf("%d features, says %d", len(out), tile.Features)
	}
	return out
}

type mvtFeature struct {
	properties map[string]any
	geometry   orb.Geometry
}

// sameEnlarged compares an enlarged tile with the one of the rows and tells how many
// features are in both.
func sameEnlarged(t testing.TB, id string, a Address, got, want *Tile) (both int) {
	t.Helper()
	ours, theirs := shown(t, got), shown(t, want)
	// Half a unit each way, and the rounding of both tiles.
	unit := math.Ldexp(1, a.Z-ArchiveZoom)
	most := math.Sqrt2 * (unit/2 + 1)
	inner := orb.Bound{Min: orb.Point{most - Buffer, most - Buffer}, Max: orb.Point{Extent + Buffer - most, Extent + Buffer - most}}
	for n, f := range theirs {
		g := ours[n]
		if g == nil {
			if b := f.geometry.Bound(); b.Intersects(orb.Bound{Max: orb.Point{Extent, Extent}}) {
				t.Errorf("%s %s: feature %d of the rows is not there: %v", id, a, n, b)
			}
			continue
		}
		both++
		if diff := cmp.Diff(f.properties, g.properties, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s %s: feature %d:\n%s", id, a, n, diff)
		}
		tolerance := most
		if lineal(g.geometry) {
			tolerance += math.Sqrt2 * unit // which lines are simplified by
		}
		for _, p := range vertices(g.geometry) {
			if v := away(f.geometry, p); inner.Contains(p) && v > most {
				t.Fatalf("%s %s: a vertex of feature %d is %.2f away, may be %.2f", id, a, n, v, most)
			}
		}
		for _, p := range vertices(f.geometry) {
			if v := away(g.geometry, p); inner.Contains(p) && v > tolerance {
				t.Fatalf("%s %s: feature %d does not pass by a vertex of the rows, but %.2f away, may be %.2f", id, a, n, v, tolerance)
			}
		}
	}
	for n, g := range ours {
		if theirs[n] == nil && g.geometry.Bound().Intersects(orb.Bound{Min: orb.Point{most, most}, Max: orb.Point{Extent - most, Extent - most}}) {
			t.Errorf("%s %s: feature %d is not in the rows' tile", id, a, n)
		}
	}
	return both
}

func lineal(g orb.Geometry) bool {
	switch g.(type) {
	case orb.LineString, orb.MultiLineString:
		return true
	}
	return false
}

func vertices(g orb.Geometry) (out []orb.Point) {
	switch g := g.(type) {
	case orb.Point:
		return []orb.Point{g}
	case orb.MultiPoint:
		return g
	case orb.LineString:
		return g
	case orb.MultiLineString:
		for _, l := range g {
			out = append(out, l...)
		}
	case orb.Polygon:
		for _, r := range g {
			out = append(out, r...)
		}
	case orb.MultiPolygon:
		for _, p := range g {
			out = append(out, vertices(p)...)
		}
	}
	return out
}

// away is how far a place is from the points, lines or borders of a geometry.
func away(g orb.Geometry, p orb.Point) float64 {
	least := math.Inf(1)
	path := func(line []orb.Point) {
		for i := 1; i < len(line); i++ {
			least = min(least, math.Sqrt(squareDistance(p, line[i-1], line[i])))
		}
	}
	switch g := g.(type) {
	case orb.LineString:
		path(g)
	case orb.MultiLineString:
		for _, l := range g {
			path(l)
		}
	case orb.Polygon:
		for _, r := range g {
			path(r)
		}
	case orb.MultiPolygon:
		for _, q := range g {
			least = min(least, away(q, p))
		}
	default:
		for _, q := range vertices(g) {
			least = min(least, math.Hypot(p[0]-q[0], p[1]-q[1]))
		}
	}
	return least
}

func FuzzEnlarged(f *testing.F) {
	l := newLayer("l", []string{"k"})
	l.tagInt(0, 5)
	l.add(7, &[kinds]commands{points: {b: []byte{9, 2, 2}}})
	l.add(8, &[kinds]commands{lines: {b: []byte{9, 2, 2, 18, 200, 8, 3, 2, 2}}})
	l.add(9, &[kinds]commands{polygons: {b: []byte{9, 0, 0, 26, 200, 40, 0, 0, 200, 40, 199, 40, 0, 15}}})
	s := NewSource(nil, Config{})
	f.Add(l.encode(nil, 3))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, ok, err := s.enlarged(s.finish(b, 3), Address{Set: "WebMercatorQuad", Z: 15}, Address{Set: "WebMercatorQuad", Z: 18, Row: 1})
		if err != nil {
			t.Fatal(err)
		}
		if ok && got.Features > 0 {
			// What comes of it is a tile of ours again.
			again, err := appendRaw(nil, got)
			if p, ok := parseTile(again); err != nil || !ok || len(p.features) < int(got.Features) {
				t.Errorf("%d features: %x", got.Features, again)
			}
		}
	})
}

// A tile that does not show every feature is not enlarged, nor is one that would be too
// large or that cannot be read.
func TestNotEnlarged(t *testing.T) {
	t.Parallel()
	s := NewSource(nil, Config{MaxBytes: 200})
	l := newLayer("l", []string{"k"})
	for n := range int64(3) {
		l.tagInt(0, 1<<40+n)
		l.add(n, &[kinds]commands{points: {b: []byte{9, 2, 2}}})
	}
	of, a := Address{Set: "WebMercatorQuad", Z: ArchiveZoom}, Address{Set: "WebMercatorQuad", Z: overZoom}
	whole := l.encode(nil, 3)
	noise := make([]byte, 1000)
	for i := range noise {
		noise[i] = byte(rand.N(256))
	}
	big := newLayer("l", []string{"k"})
	big.tagString(0, noise)
	big.add(1, &[kinds]commands{points: {b: []byte{9, 2, 2}}})
	for name, c := range map[string]struct {
		tile *Tile
		want bool
	}{
		"all features":      {s.finish(whole, 3), true},
		"none":              {emptyTile(), true},
		"some left out":     {func() *Tile { t := s.finish(whole, 3); t.Omitted = 1; return t }(), false},
		"some gathered":     {func() *Tile { t := s.finish(whole, 3); t.Generalized = 1; return t }(), false},
		"too large":         {s.finish(big.encode(nil, 1), 1), false},
		"cut short":         {s.finish(whole[:len(whole)-4], 3), false},
		"not a tile":        {s.finish([]byte("x"), 1), false},
		"outside the tile":  {s.finish(pointAt(9000), 1), false},
		"not a geometry":    {s.finish(bytes.Replace(whole, []byte{9, 2, 2}, []byte{9, 2, 0x82}, 1), 3), false},
		"a key of no layer": {s.finish(bytes.Replace(whole, []byte{keyTags, 2, 0, 0}, []byte{keyTags, 2, 9, 0}, 1), 3), false},
	} {
		got, ok, err := s.enlarged(c.tile, of, a)
		if ok != c.want || err != nil || ok && got.Features != c.tile.Features {
			t.Errorf("%s: %v, %v", name, ok, err)
		}
	}
}

// pointAt is a tile with a point.
func pointAt(x int32) []byte {
	var c commands
	c.command(moveTo, 1)
	c.to(vertex{x, 0})
	l := newLayer("l", nil)
	l.add(1, &[kinds]commands{points: c})
	return l.encode(nil, 1)
}
