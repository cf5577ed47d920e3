package tiles

import (
	"context"
	"fmt"
	"math"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/paulmach/orb"
	"github.com/paulmach/orb/clip"
	"github.com/paulmach/orb/encoding/mvt"
	"github.com/paulmach/orb/encoding/wkb"
	"github.com/paulmach/orb/planar"

	"changde/catalog"
	types "changde/ingest/layer"
	"changde/postgis"
	"changde/postgis/postgistest"
)

// cadastre is a dataset of side times side parcels in eight classes that cover the ground
// without gaps; their corners lie anywhere.
func cadastre(t testing.TB, pool *pgxpool.Pool, side int64) *catalog.Dataset {
	t.Helper()
	d := table(t, pool, "cadastre", "MultiPolygon", []catalog.Column{{Name: "no", Type: types.Text}, {Name: "class", Type: types.Text}, {Name: "area", Type: types.Real}})
	d.Class, d.Label = "class", "no"
	q := new(postgis.SQL).Raw(`WITH corner AS (SELECT i, j, ST_MakePoint(111.6 + 0.0008 * (i + 0.8 * (abs(hashint8(1000 * i + j) % 1000) / 1000.0)),
		28.9 + 0.0007 * (j + 0.8 * (abs(hashint8(7 + 1000 * j + i) % 1000) / 1000.0))) AS p FROM generate_series(0, `).Int(side).Raw(`) i, generate_series(0, `).Int(side).Raw(`) j)
		INSERT INTO content.cadastre SELECT 1 + a.i * 1000 + a.j, 'P' || a.i || '-' || a.j, 'C' || (abs(hashint8(a.i * 31 + a.j / 3)) % 8)::text, 0, 1,
			ST_Multi(ST_SetSRID(ST_MakePolygon(ST_MakeLine(ARRAY[a.p, b.p, c.p, d.p, a.p])), 4490))
		FROM corner a JOIN corner b ON b.i = a.i + 1 AND b.j = a.j JOIN corner c ON c.i = a.i + 1 AND c.j = a.j + 1 JOIN corner d ON d.i = a.i AND d.j = a.j + 1`)
	fill(t, pool, d, q)
	return d
}

// heap keeps the tiles of a Cut.
type heap struct {
	mu    sync.Mutex
	tiles map[Address]*Tile
}

// Add implements Sink.
func (s *heap) Add(a Address, t *Tile) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tiles[a] != nil {
		return fmt.Errorf("%s comes twice", a)
	}
	s.tiles[a] = t
	return nil
}

func cutAll(t testing.TB, pool *pgxpool.Pool, d *catalog.Dataset, c Config) *heap {
	t.Helper()
	s := &heap{tiles: make(map[Address]*Tile)}
	n, err := Cut(t.Context(), pool, d, d.Current, ArchiveZoom, c, s)
	if err != nil || int(n) != len(s.tiles) {
		t.Fatalf("%d tiles, says %d: %v", len(s.tiles), n, err)
	}
	return s
}

// areaInside is the area of a geometry in the tile proper.
func areaInside(g orb.Geometry) float64 {
	return planar.Area(clip.Geometry(orb.Bound{Max: orb.Point{Extent, Extent}}, orb.Clone(g)))
}

// A city of 20,000 parcels: every geometry of every tile is valid, the parcels of a
// tile leave no gap and no overlap, each class keeps its area at low zooms, and from
// DetailZoom on a tile has the features of ST_AsMVT.
func TestCutCity(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	d := cadastre(t, pool, 141)
	s := cutAll(t, pool, d, Config{})
	truth := classAreas(t, pool, d)
	var all [][]byte
	zooms := make(map[int]map[string]float64)
	var ground [ArchiveZoom + 1]float64
	for a, tile := range s.tiles {
		if len(tile.Gzip) > 500_000 || a.Z >= 6 && tile.Omitted != 0 {
			t.Errorf("%s: %d bytes, %d left out", a, len(tile.Gzip), tile.Omitted)
		}
		if zooms[a.Z] == nil {
			zooms[a.Z] = make(map[string]float64)
		}
		ids := make(map[uint64]float64)
		merged := int64(0)
		for _, f := range decoded(t, tile)[0].Features {
			b, err := wkb.Marshal(f.Geometry)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, b)
			area := areaInside(f.Geometry)
			ground[a.Z] += area
			zooms[a.Z][f.Properties["class"].(string)] += area
			if f.ID != nil {
				ids[uint64(f.ID.(float64))] += planar.Area(f.Geometry)
			} else {
				merged += int64(f.Properties["generalized"].(float64))
			}
		}
		if merged != tile.Generalized {
			t.Errorf("%s: %d features gathered, says %d", a, merged, tile.Generalized)
		}
		if a.Z >= DetailZoom && len(s.tiles) > 0 {
			layers, err := mvt.Unmarshal(peerTile(t, pool, d, a))
			if err != nil {
				t.Fatal(err)
			}
			for id := range measures(t, layers) {
				if _, ok := ids[id]; !ok {
					t.Errorf("%s: ST_AsMVT has feature %d", a, id)
				}
			}
		}
	}
	whole := 0.0
	for _, v := range truth {
		whole += v
	}
	for z, areas := range zooms {
		// In square units at this zoom.
		scale := math.Ldexp(Extent, z)
		if want := whole * scale * scale; math.Abs(ground[z]-want) > 0.001*want+64*4 {
			t.Errorf("z%d: the parcels cover %.0f, want %.0f", z, ground[z], want)
		}
		for class, v := range truth {
			if want := v * scale * scale; math.Abs(areas[class]-want) > 0.02*want+64*8 {
				t.Errorf("z%d: class %s has %.0f, want %.0f", z, class, areas[class], want)
			}
		}
	}
	invalid(t, pool, all)
}

// classAreas are in square units of the tile of zoom 0.
func classAreas(t testing.TB, pool *pgxpool.Pool, d *catalog.Dataset) map[string]float64 {
	t.Helper()
	rows, err := pool.Query(context.Background(), "SELECT class, sum(ST_Area(ST_Transform(geom, 3857))) / power(40075016.68557849, 2) FROM content.cadastre GROUP BY 1")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	out := make(map[string]float64)
	for rows.Next() {
		var class string
		var area float64
		if err := rows.Scan(&class, &area); err != nil {
			t.Fatal(err)
		}
		out[class] = area
	}
	return out
}

// invalid tells of geometries that GEOS does not find valid.
func invalid(t testing.TB, pool *pgxpool.Pool, all [][]byte) {
	t.Helper()
	rows, err := pool.Query(context.Background(), "SELECT ST_AsText(g), ST_IsValidReason(g) FROM unnest($1::bytea[]) b, ST_GeomFromWKB(b) g WHERE NOT ST_IsValid(g) LIMIT 5", all)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var text, reason string
		if err := rows.Scan(&text, &reason); err != nil {
			t.Fatal(err)
		}
		t.Errorf("%s: %.300s", reason, text)
	}
	if rows.Err() != nil || len(all) < 1000 {
		t.Errorf("%d geometries, %v: the test says little", len(all), rows.Err())
	}
}

// Where a tile would be too large its detail falls, and nothing is left out.
func TestCutWithinBound(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	d := cadastre(t, pool, 60)
	const most = 20_000
	fell := false
	for a, tile := range cutAll(t, pool, d, Config{MaxBytes: most}).tiles {
		if len(tile.Gzip) > most {
			t.Errorf("%s has %d bytes", a, len(tile.Gzip))
		}
		if a.Z >= 7 && a.Z < DetailZoom && tile.Omitted > 0 {
			t.Errorf("%s: %d left out", a, tile.Omitted)
		}
		fell = fell || a.Z == DetailZoom-1 && tile.Generalized > 100
	}
	if !fell {
		t.Error("the bound was never reached: the test says nothing")
	}
}

// Points are thinned by cells, and each is counted.
func TestCutPoints(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	d := table(t, pool, "dots", "Point", []catalog.Column{{Name: "n", Type: types.Integer}})
	fill(t, pool, d, new(postgis.SQL).Raw("INSERT INTO content.dots SELECT i, i, 1, ST_SetSRID(ST_MakePoint(111.6 + 0.2 * random(), 28.9 + 0.2 * random()), 4490) FROM setseed(0.3), generate_series(1, 30000) i"))
	for a, tile := range cutAll(t, pool, d, Config{}).tiles {
		if a.Z > 8 {
			continue
		}
		stands := 0.0
		for _, f := range decoded(t, tile)[0].Features {
			if n, ok := f.Properties["generalized"].(float64); ok {
				stands += n
			} else {
				stands++
			}
		}
		if stands != 30000 || tile.Features > 20_000 || tile.Generalized+tile.Features != 30000 {
			t.Errorf("%s: %d points stand for %.0f", a, tile.Features, stands)
		}
	}
}
