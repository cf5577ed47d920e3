package tiles

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/paulmach/orb"
	"github.com/paulmach/orb/encoding/mvt"
	"github.com/paulmach/orb/maptile"

	"changde/catalog"
	types "changde/ingest/layer"
	"changde/postgis"
	"changde/postgis/postgistest"
)

func TestMain(m *testing.M) { postgistest.Main(m) }

// table makes a content table with the columns and returns its dataset; fill
// inserts its rows.
func table(t testing.TB, pool *pgxpool.Pool, id, geometryType string, columns []catalog.Column) *catalog.Dataset {
	t.Helper()
	q := new(postgis.SQL).Raw("CREATE TABLE ").Ident("content", id).Raw(" (fid bigint PRIMARY KEY")
	for _, c := range columns {
		q.Raw(", ").Ident(c.Name).Raw(" ")
		catalog.AppendType(q, c.Type)
	}
	q.Raw(", rev bigint NOT NULL DEFAULT 1, geom geometry(").Ident(geometryType).Raw(", 4490), span real GENERATED ALWAYS AS (coalesce(greatest(ST_XMax(geom) - ST_XMin(geom), ST_YMax(geom) - ST_YMin(geom)), 0)::real) STORED)")
	run(t, pool, q)
	run(t, pool, new(postgis.SQL).Raw("CREATE INDEX ON ").Ident("content", id).Raw(" USING gist (geom)"))
	run(t, pool, new(postgis.SQL).Raw("CREATE INDEX ON ").Ident("content", id).Raw(" (span DESC)"))
	run(t, pool, new(postgis.SQL).Raw("SELECT changde.keep_history(").Literal(id).Raw(", 1, NULL)"))
	r := &catalog.Release{Number: 1, Revision: 1, Relation: [2]string{"content", id}, GeometryType: geometryType, Columns: columns}
	return &catalog.Dataset{
		ID: id, TitleZH: id, Sharing: catalog.Public, Kind: catalog.Delivered, Revision: 1, Current: r,
		Releases: []*catalog.Release{r},
	}
}

// fill runs an INSERT and brings the release's numbers up to date.
func fill(t testing.TB, pool *pgxpool.Pool, d *catalog.Dataset, insert *postgis.SQL) {
	t.Helper()
	run(t, pool, insert)
	relation := d.Current.Relation
	run(t, pool, new(postgis.SQL).Raw("ANALYZE ").Ident(relation[:]...))
	q := new(postgis.SQL).Raw("SELECT count(*), min(ST_XMin(geom)), min(ST_YMin(geom)), max(ST_XMax(geom)), max(ST_YMax(geom)) FROM ").Ident(relation[:]...)
	var b [4]*float64
	if err := pool.QueryRow(context.Background(), q.String()).Scan(&d.Current.Rows, &b[0], &b[1], &b[2], &b[3]); err != nil {
		t.Fatal(err)
	}
	if b[0] != nil {
		d.Current.Extent = &catalog.Bounds{*b[0], *b[1], *b[2], *b[3]}
	}
}

func run(t testing.TB, pool *pgxpool.Pool, q *postgis.SQL) {
	t.Helper()
	if _, err := pool.Exec(context.Background(), q.String(), q.Args()...); err != nil {
		t.Fatalf("%s: %v", q.String(), err)
	}
}

// seeded are n shapes of the kind over the box of Changde's centre, from a fixed
// seed: tall and wide ones, with holes and in parts.
func seeded(t testing.TB, pool *pgxpool.Pool, kind string, n int) *catalog.Dataset {
	t.Helper()
	d := table(t, pool, "seeded_"+strings.ToLower(kind), kind, []catalog.Column{
		{Name: "编号", Type: types.Text}, {Name: "class", Type: types.Text}, {Name: "area", Type: types.Real}, {Name: "n", Type: types.Integer},
	})
	q := new(postgis.SQL).Raw("INSERT INTO ").Ident(d.Current.Relation[:]...).Raw(" SELECT i, 'S' || i, 'C' || i % 5, i / 3.0, i, 1, ")
	switch kind {
	case "MultiPoint":
		q.Raw("ST_Multi(ST_SetSRID(ST_MakePoint(x, y), 4490))")
	case "MultiLineString":
		q.Raw("ST_Multi(ST_SetSRID(ST_MakeLine(ARRAY[ST_MakePoint(x, y), ST_MakePoint(x + s, y + s / 3), ST_MakePoint(x + s / 2, y + s)]), 4490))")
	default:
		q.Raw("ST_Multi(ST_Difference(ST_Buffer(ST_SetSRID(ST_MakePoint(x, y), 4490), s, 3), CASE WHEN i % 3 = 0 THEN ST_Buffer(ST_SetSRID(ST_MakePoint(x, y), 4490), s / 2, 2) ELSE ST_GeomFromText('POLYGON EMPTY', 4490) END))")
	}
	q.Raw(" FROM (SELECT i, 111.65 + 0.06 * r[1] AS x, 29.0 + 0.06 * r[2] AS y, 0.00005 + 0.001 * power(r[3], 4) AS s FROM (SELECT i, ARRAY[random(), random(), random()] r FROM setseed(0.5), generate_series(1, ").
		Int(int64(n)).Raw(") i) a) b")
	fill(t, pool, d, q)
	return d
}

// at is the address of the WebMercatorQuad tile that holds a position.
func at(lon, lat float64, z int) Address {
	t := maptile.At(orb.Point{lon, lat}, maptile.Zoom(z))
	return Address{Set: "WebMercatorQuad", Z: z, Row: int(t.Y), Col: int(t.X)}
}

// raw is the tile without its compression.
func raw(t testing.TB, tile *Tile) []byte {
	t.Helper()
	b, err := appendRaw(nil, tile)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) != tile.Length {
		t.Fatalf("a tile of %d bytes says %d", len(b), tile.Length)
	}
	return b
}

// accounted is how many rows a tile draws, gathers or says it leaves out.
func accounted(t testing.TB, tile *Tile) int64 {
	t.Helper()
	rows := tile.Omitted + tile.Generalized
	for _, l := range decoded(t, tile) {
		for _, f := range l.Features {
			if f.ID != nil {
				rows++
			}
		}
	}
	return rows
}

// decoded is the tile as orb reads it, in the tile's units.
func decoded(t testing.TB, tile *Tile) mvt.Layers {
	t.Helper()
	return decodedRaw(t, raw(t, tile))
}

func decodedRaw(t testing.TB, tile []byte) mvt.Layers {
	t.Helper()
	layers, err := mvt.Unmarshal(tile)
	if err != nil {
		t.Fatal(err)
	}
	return layers
}
