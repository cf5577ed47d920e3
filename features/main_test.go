package features

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"changde/catalog"
	"changde/ingest/layer"
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
	exec(t, pool, q)
	exec(t, pool, new(postgis.SQL).Raw("CREATE INDEX ON ").Ident("content", id).Raw(" USING gist (geom)"))
	exec(t, pool, new(postgis.SQL).Raw("CREATE INDEX ON ").Ident("content", id).Raw(" (span DESC)"))
	exec(t, pool, new(postgis.SQL).Raw("SELECT changde.keep_history(").Literal(id).Raw(", 1, NULL)"))
	r := &catalog.Release{Number: 1, Revision: 1, Relation: [2]string{"content", id}, GeometryType: geometryType, Columns: columns}
	return &catalog.Dataset{
		ID: id, TitleZH: id, Sharing: catalog.Public, Kind: catalog.Delivered, Revision: 1, Current: r,
		Releases: []*catalog.Release{r},
	}
}

// fill runs an INSERT and brings the release's numbers up to date.
func fill(t testing.TB, pool *pgxpool.Pool, d *catalog.Dataset, insert *postgis.SQL) {
	t.Helper()
	exec(t, pool, insert)
	relation := d.Current.Relation
	exec(t, pool, new(postgis.SQL).Raw("ANALYZE ").Ident(relation[:]...))
	q := new(postgis.SQL).Raw("SELECT count(*), min(ST_XMin(geom)), min(ST_YMin(geom)), max(ST_XMax(geom)), max(ST_YMax(geom)) FROM ").Ident(relation[:]...)
	var b [4]*float64
	if err := pool.QueryRow(context.Background(), q.String()).Scan(&d.Current.Rows, &b[0], &b[1], &b[2], &b[3]); err != nil {
		t.Fatal(err)
	}
	if b[0] != nil {
		d.Current.Extent = &catalog.Bounds{*b[0], *b[1], *b[2], *b[3]}
	}
}

func exec(t testing.TB, pool *pgxpool.Pool, q *postgis.SQL) {
	t.Helper()
	if _, err := pool.Exec(context.Background(), q.String(), q.Args()...); err != nil {
		t.Fatalf("%s: %v", q.String(), err)
	}
}

// parcels are n squares in rows of side, about 20 m wide, in the order of fid
// from the south-west.
func parcels(t testing.TB, pool *pgxpool.Pool, n, side int) *catalog.Dataset {
	t.Helper()
	d := table(t, pool, fmt.Sprintf("parcels_%d", n), "MultiPolygon", []catalog.Column{
		{Name: "地块编号", Type: layer.Text},
		{Name: "DLMC", Type: layer.Text},
		{Name: "面积", Type: layer.Real},
		{Name: "登记日期", Type: layer.Date},
		{Name: "owner", Type: layer.Text},
		{Name: "n", Type: layer.Integer},
	})
	d.BusinessKey, d.Label, d.TimeColumn = "地块编号", "DLMC", "登记日期"
	fill(t, pool, d, new(postgis.SQL).Raw("INSERT INTO ").Ident(d.Current.Relation[:]...).
		Raw(` SELECT i, 'P' || lpad(i::text, 8, '0'), (array['水田','旱地','林地','住宅用地'])[1 + i % 4], i / 7.0, date '2020-01-01' + (i % 1000), '单位' || i % 50, i % 1000, 1,
			ST_Multi(ST_Buffer(ST_SetSRID(ST_MakePoint(111 + (i % `).Int(int64(side)).Raw(`) * 0.0003, 28.5 + (i / `).Int(int64(side)).Raw(`) * 0.0003), 4490), 0.0001, 2))
			FROM generate_series(1, `).Int(int64(n)).Raw(") i"))
	return d
}
