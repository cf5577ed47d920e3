package tiles

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/paulmach/orb"
	"github.com/paulmach/orb/encoding/mvt"
	"github.com/paulmach/orb/planar"

	"changde/catalog"
	"changde/postgis"
	"changde/postgis/postgistest"
)

// peerSQL is how tile servers ask PostGIS for a tile.
func peerSQL(d *catalog.Dataset, a Address) *postgis.SQL {
	q := new(postgis.SQL).Raw("SELECT ST_AsMVT(t, ").Arg(d.ID).Raw("::text, 4096, 'geom', 'fid') FROM (SELECT fid")
	for _, c := range TileColumns(d, d.Current, MaxTileZoom) {
		q.Raw(", ").Ident(c.Name)
	}
	srid := map[string]int64{"WebMercatorQuad": 3857, "WorldCRS84Quad": 4326, "CGCS2000Quad": 4490}[a.Set]
	q.Raw(", ST_AsMVTGeom(ST_Transform(geom, ").Int(srid).Raw("), ST_TileEnvelope(")
	peerAddress(q, a, srid)
	q.Raw("), 4096, 64, true) AS geom FROM ").Ident(d.Current.Relation[:]...).Raw(" WHERE geom && ST_Transform(ST_TileEnvelope(")
	peerAddress(q, a, srid)
	return q.Raw(", margin => 64.0 / 4096), 4490)) t WHERE geom IS NOT NULL")
}

// peerAddress appends what ST_TileEnvelope takes. It has one tile at level 0, so
// that over degrees the world is the upper half of a square.
func peerAddress(q *postgis.SQL, a Address, srid int64) {
	if srid == 3857 {
		q.Arg(a.Z).Raw(", ").Arg(a.Col).Raw(", ").Arg(a.Row)
		return
	}
	q.Arg(a.Z + 1).Raw(", ").Arg(a.Col).Raw(", ").Arg(a.Row).Raw(", ST_MakeEnvelope(-180, -270, 180, 90, ").Int(srid).Raw(")")
}

func peerTile(t testing.TB, pool *pgxpool.Pool, d *catalog.Dataset, a Address) []byte {
	t.Helper()
	q := peerSQL(d, a)
	var b []byte
	if err := pool.QueryRow(context.Background(), q.String(), q.Args()...).Scan(&b); err != nil {
		t.Fatal(err)
	}
	return b
}

// measures of the features of a layer by id: area, or length, or count of points.
// What stands for gathered features has no id.
func measures(t testing.TB, layers mvt.Layers) map[uint64]float64 {
	t.Helper()
	out := make(map[uint64]float64)
	for _, l := range layers {
		for _, f := range l.Features {
			if f.ID == nil {
				continue
			}
			id := uint64(f.ID.(float64))
			switch g := f.Geometry.(type) {
			case orb.Polygon, orb.MultiPolygon:
				out[id] += planar.Area(g)
			case orb.LineString, orb.MultiLineString:
				out[id] += planar.Length(g)
			case orb.Point:
				out[id]++
			case orb.MultiPoint:
				out[id] += float64(len(g))
			default:
				t.Fatalf("feature %d is a %T", id, g)
			}
		}
	}
	return out
}

// PostGIS's own tiles hold the same features, of the same size within what
// simplifying and rounding may take. What PostGIS keeps and we do not is below a
// few pixels, and counted.
func TestTilesAgreeWithPostGIS(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	s := NewSource(pool, Config{})
	for _, kind := range []string{"MultiPolygon", "MultiLineString", "MultiPoint"} {
		d := seeded(t, pool, kind, 800)
		for _, set := range Sets() {
			drawn := 0
			for z := 12; z <= 17; z++ {
				for _, p := range []orb.Point{{111.66, 29.01}, {111.68, 29.03}, {111.7, 29.05}} {
					x, y := set.Project(p[0], p[1])
					drawn += agree(t, s, d, kind, addressOf(set, x, y, set.Level(z)))
				}
			}
			if drawn < 100 {
				t.Errorf("%s: %d features drawn in %s: this shows nothing", kind, drawn, set.ID)
			}
		}
	}
}

// agree compares a tile with PostGIS's and tells how many features it has.
func agree(t testing.TB, s *Source, d *catalog.Dataset, kind string, a Address) int {
	t.Helper()
	tile := get(t, s, d, a)
	ours := measures(t, decoded(t, tile))
	layers, err := mvt.Unmarshal(peerTile(t, s.pool, d, a))
	if err != nil {
		t.Fatal(err)
	}
	theirs := measures(t, layers)
	if tile.Generalized == 0 && len(ours) != int(tile.Features) {
		t.Errorf("%s %v: %d features, says %d", kind, a, len(ours), tile.Features)
	}
	missing := 0
	for id, want := range theirs {
		got, ok := ours[id]
		perimeter := 8 * math.Sqrt(want) // of no shape here is it more
		if kind != "MultiPolygon" {
			perimeter = 4
		}
		switch {
		case !ok && kind == "MultiPoint":
			t.Errorf("%s %v: point %d is missing", kind, a, id)
		case !ok:
			missing++
		case kind != "MultiPoint" && math.Abs(got-want) > 2*perimeter+8, kind == "MultiPoint" && got != want:
			t.Errorf("%s %v: feature %d measures %v, PostGIS says %v", kind, a, id, got, want)
		}
	}
	for id := range ours {
		if _, ok := theirs[id]; !ok && ours[id] > 64 {
			t.Errorf("%s %v: feature %d of %v is not in PostGIS's tile", kind, a, id, ours[id])
		}
	}
	// A small one in the margin is gathered by the neighbour.
	if a.zoom() >= DetailZoom && int64(missing) > tile.Omitted || tile.OmittedAtLeast {
		t.Errorf("%s %v: %d of PostGIS's features are missing, says %d", kind, a, missing, tile.Omitted)
	}
	if a.zoom() >= 16 && missing > 0 {
		t.Errorf("%s %v: %d features are missing", kind, a, missing)
	}
	return len(ours)
}

// Attributes pass as they are.
func TestAttributesAgreeWithPostGIS(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	d := seeded(t, pool, "MultiPolygon", 300)
	a := at(111.68, 29.03, 14)
	tile, err := NewSource(pool, Config{}).Tile(t.Context(), d, d.Current, a)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := mvt.Unmarshal(peerTile(t, pool, d, a))
	if err != nil {
		t.Fatal(err)
	}
	want := make(map[any]map[string]any)
	for _, f := range theirs[0].Features {
		want[f.ID] = f.Properties
	}
	ours := decoded(t, tile)
	if len(ours) != 1 || ours[0].Name != d.ID || ours[0].Version != 2 || ours[0].Extent != 4096 || len(ours[0].Features) < 20 {
		t.Fatalf("got %d layers", len(ours))
	}
	for _, f := range ours[0].Features {
		for k, v := range f.Properties {
			if want[f.ID][k] != v {
				t.Errorf("feature %v: %s is %v, PostGIS says %v", f.ID, k, v, want[f.ID][k])
			}
		}
		if len(f.Properties) != 4 {
			t.Errorf("feature %v has %v", f.ID, f.Properties)
		}
	}
}

// GDAL reads the tile: as many features, the same ids and classes, in their place.
func TestTilesReadByGDAL(t *testing.T) {
	t.Parallel()
	ogr2ogr, err := exec.LookPath("ogr2ogr")
	if err != nil {
		t.Skip("no ogr2ogr")
	}
	pool := postgistest.New(t)
	s := NewSource(pool, Config{})
	for _, kind := range []string{"MultiPolygon", "MultiLineString", "MultiPoint"} {
		d := seeded(t, pool, kind, 500)
		a := at(111.68, 29.03, 14)
		tile, err := s.Tile(t.Context(), d, d.Current, a)
		if err != nil {
			t.Fatal(err)
		}
		in, out := filepath.Join(t.TempDir(), "tile.mvt"), filepath.Join(t.TempDir(), "out.json")
		if err := os.WriteFile(in, raw(t, tile), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(ogr2ogr, "-f", "GeoJSON", out, "MVT:"+in, "-oo", "CLIP=NO", "-t_srs", "EPSG:4326",
			"-oo", "X="+strconv.Itoa(a.Col), "-oo", "Y="+strconv.Itoa(a.Row), "-oo", "Z="+strconv.Itoa(a.Z), "-preserve_fid")
		if msg, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(msg), "rror") {
			t.Fatalf("ogr2ogr: %v: %s", err, msg)
		}
		b, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Features []struct {
				Properties map[string]any
				Geometry   struct{ Coordinates any }
			}
		}
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatal(err)
		}
		var gotIDs, wantIDs []int64
		box := a.Degrees(Buffer + 1)
		for _, f := range got.Features {
			gotIDs = append(gotIDs, int64(f.Properties["n"].(float64)))
			inside(t, f.Geometry.Coordinates, box)
		}
		for _, f := range decoded(t, tile)[0].Features {
			wantIDs = append(wantIDs, int64(f.ID.(float64)))
		}
		slices.Sort(gotIDs)
		slices.Sort(wantIDs)
		if !slices.Equal(gotIDs, wantIDs) || len(gotIDs) < 30 {
			t.Errorf("%s: GDAL reads %d features %v, want %d", kind, len(gotIDs), gotIDs, len(wantIDs))
		}
	}
}

func inside(t testing.TB, coordinates any, box catalog.Bounds) {
	t.Helper()
	list := coordinates.([]any)
	if lon, ok := list[0].(float64); ok {
		if lat := list[1].(float64); !box.Contains(lon, lat) {
			t.Errorf("GDAL sees %v %v outside %v", lon, lat, box)
		}
		return
	}
	for _, c := range list {
		inside(t, c, box)
	}
}
