package quality

import (
	"context"
	"fmt"

	"github.com/twpayne/go-geom"

	"changde/ingest/profile"
	"changde/postgis"
)

// Current is the content that a layer adds to or changes row by row. Its rows
// near those that change are judged together with them, and only what has to do
// with a row that changes is told.
type Current struct {
	// Relation is schema and table. It has fid bigint, positive and indexed, and
	// geom in EPSG:4490 with a spatial index.
	Relation [2]string
	// Key is the column of both tables by which a row of the layer takes the place
	// of a current one. Empty: the layer only adds.
	Key string
	// Operation is the column of the layer that holds 'D' in a row that only removes
	// the current one. Empty: there is none.
	Operation string
}

// besides makes temporary tables, and lets the checker judge quality_layer in place
// of the layer: its rows, and those around that stay, with negative numbers and no
// values. quality_changed has the shapes the layer brings and takes away, by the
// row that does so; quality_replaced the current rows that do not stay.
func (c *checker) besides(ctx context.Context) error {
	cur, staged := c.o.Current, c.layer.Relation
	x, y := reach(c.farthest(), "t.geom")
	var columns postgis.SQL
	for _, col := range c.layer.Columns {
		columns.Raw(", ").Ident(col.Name)
	}
	kept := new(postgis.SQL)
	if cur.Operation != "" {
		kept.Raw(" WHERE b.").Ident(cur.Operation).Raw(" <> 'D'")
	}
	replaced := new(postgis.SQL).Raw("CREATE TEMP TABLE quality_replaced (fid bigint PRIMARY KEY) ON COMMIT DROP")
	was, removed := new(postgis.SQL), new(postgis.SQL).Raw("false")
	if cur.Operation != "" {
		removed = new(postgis.SQL).Raw("b.").Ident(cur.Operation).Raw(" = 'D'")
	}
	if cur.Key != "" {
		match := new(postgis.SQL).Raw(" FROM ").Ident(staged[0], staged[1]).Raw(" b JOIN ").Ident(cur.Relation[0], cur.Relation[1]).
			Raw(" a ON a.").Ident(cur.Key).Raw(" = b.").Ident(cur.Key)
		replaced.Raw("; INSERT INTO quality_replaced SELECT DISTINCT a.fid").Add(match)
		was.Raw(" UNION ALL SELECT b.fid, ").Add(removed).Raw(", ST_Force2D(a.geom)").Add(match).Raw(" WHERE b.geom IS DISTINCT FROM a.geom")
	}
	steps := []*postgis.SQL{
		new(postgis.SQL).Raw("DROP TABLE IF EXISTS pg_temp.quality_layer, pg_temp.quality_changed, pg_temp.quality_replaced"),
		replaced,
		new(postgis.SQL).Raw("CREATE TEMP TABLE quality_changed ON COMMIT DROP AS SELECT b.fid, false AS removed, ST_Force2D(b.geom) AS geom FROM ").
			Ident(staged[0], staged[1]).Raw(" b").Add(kept).Add(was),
		new(postgis.SQL).Raw("CREATE INDEX ON quality_changed USING gist (geom); ANALYZE quality_changed; ANALYZE quality_replaced"),
		new(postgis.SQL).Raw("CREATE TEMP TABLE quality_layer ON COMMIT DROP AS SELECT b.fid, b.geom::geometry AS geom").Add(&columns).Raw(" FROM ").
			Ident(staged[0], staged[1]).Raw(" b").Add(kept),
		besideSQL(cur, x, y),
		new(postgis.SQL).Raw("CREATE INDEX ON quality_layer USING gist (geom); ANALYZE quality_layer"),
	}
	for _, q := range steps {
		if _, err := c.tx.Exec(ctx, q.String(), q.Args()...); err != nil {
			return fmt.Errorf("collect the current rows beside those that change: %w", err)
		}
	}
	c.layer.Relation = [2]string{"pg_temp", "quality_layer"}
	return nil
}

// besideSQL adds the current rows near a change that stay. For each change the
// spatial index is asked, so that the cost is that of the changes. Around what is
// taken away it is asked as far again, for a gap may have been beside it.
func besideSQL(cur *Current, x, y *postgis.SQL) *postgis.SQL {
	return new(postgis.SQL).Raw("WITH near AS MATERIALIZED (SELECT DISTINCT n.fid FROM quality_changed t, LATERAL (SELECT a.fid FROM ").
		Ident(cur.Relation[0], cur.Relation[1]).Raw(" a WHERE a.geom && ST_Expand(t.geom, ").Add(x).Raw(" + CASE WHEN t.removed THEN ST_XMax(t.geom) - ST_XMin(t.geom) ELSE 0 END, ").Add(y).
		Raw(" + CASE WHEN t.removed THEN ST_YMax(t.geom) - ST_YMin(t.geom) ELSE 0 END) OFFSET 0) n WHERE NOT EXISTS (SELECT FROM quality_replaced r WHERE r.fid = n.fid)) INSERT INTO quality_layer (fid, geom) SELECT -a.fid, a.geom FROM near n JOIN ").
		Ident(cur.Relation[0], cur.Relation[1]).Raw(" a ON a.fid = n.fid")
}

// farthest is how far in metres from a change a rule looks at other rows.
func (c *checker) farthest() float64 {
	far := 1.0
	for _, r := range c.rules {
		// Parameters that do not fit are refused when the rule begins.
		switch v, _ := r.spec.Parameters(c.o.Profile); p := v.(type) {
		case profile.DangleParams:
			far = max(far, p.Tolerance)
		case profile.EdgeParams:
			far = max(far, 2*max(sheetReach, 10*p.Tolerance))
		}
	}
	return far
}

// touching is the changes that touch a geometry, i.geom of the statement, along an
// edge and not in a corner alone: within the tolerance of it they cover more than
// they could beside a corner.
func (c *checker) touching() *postgis.SQL {
	near := new(postgis.SQL).Arg(c.tol.Topology / 80_000).Raw("::float8")
	return new(postgis.SQL).Raw("quality_changed z WHERE z.geom && ST_Expand(i.geom, ").Add(near).Raw(") AND ST_DWithin(z.geom, i.geom, ").Add(near).
		Raw(") AND ST_Area(ST_Intersection(ST_Buffer(i.geom, ").Add(near).Raw("), z.geom)) > 20 * ").Add(near).Raw(" ^ 2")
}

// gapBeside is what is left of a gap among the rows near changes when all current
// rows in it are taken away: the pieces that touch a change, and the row that
// makes the first. A row of 0 says that there is none. Not ok: there is too much
// in the gap to take away.
func (c *checker) gapBeside(ctx context.Context, g *cycle, tolerance float64) (row int64, area, wide float64, place [2]float64, ok bool, err error) {
	xy := append(append([]float64(nil), g.xy...), g.xy[0], g.xy[1])
	if len(xy) < 8 {
		return 0, 0, 0, place, true, nil
	}
	ewkb, err := postgis.AppendEWKB(nil, geom.NewPolygonFlat(geom.XY, xy, []int{len(xy)}), 4490)
	if err != nil {
		return 0, 0, 0, place, false, err
	}
	gap := new(postgis.SQL).Raw("ST_GeomFromEWKB(").Arg(ewkb).Raw(")")
	name, cur := c.layer.Relation, c.o.Current.Relation
	rows := func(place *postgis.SQL) *postgis.SQL {
		return new(postgis.SQL).Raw("SELECT geom FROM ").Ident(name[0], name[1]).Raw(" WHERE geom && ").Add(place).
			Raw(" UNION ALL SELECT a.geom FROM ").Ident(cur[0], cur[1]).Raw(" a WHERE a.geom && ").Add(place).
			Raw(" AND NOT EXISTS (SELECT FROM quality_replaced r WHERE r.fid = a.fid)")
	}
	inside := rows(gap)
	near := c.tol.Topology / 80_000
	// Most gaps among the rows near changes are full of rows that stay. Where those
	// cover the gap along each change that touches it, what is left does not touch one.
	q := new(postgis.SQL).Raw("WITH i AS MATERIALIZED (SELECT ST_MakeValid(").Add(gap).Raw(") AS geom), t AS MATERIALIZED (SELECT EXISTS (SELECT FROM i, LATERAL (SELECT ST_Intersection(i.geom, ST_Buffer(z.geom, ").
		Arg(4 * near).Raw("::float8)) AS geom FROM ").Add(c.touching()).Raw(" OFFSET 0) s WHERE ST_Area(ST_Difference(s.geom, coalesce((SELECT ST_Union(ST_Force2D(n.geom)) FROM (").Add(rows(new(postgis.SQL).Raw("s.geom"))).
		Raw(") n), 'SRID=4490;POLYGON EMPTY'::geometry))) > ").Arg(near * near).
		Raw("::float8) AS touched) SELECT touched, touched AND (SELECT count(*) <= ").Int(mostAround).Raw(" FROM (").Add(inside).Raw(" LIMIT ").Int(mostAround + 1).Raw(") n) FROM t")
	var touched, few bool
	if err := c.tx.QueryRow(ctx, q.String(), q.Args()...).Scan(&touched, &few); err != nil || !few {
		return 0, 0, 0, place, !touched, err
	}
	// What is enclosed within rows inside the gap is another gap.
	q = new(postgis.SQL).Raw("WITH g AS MATERIALIZED (SELECT ST_MakeValid(").Add(gap).Raw(") AS geom), u AS MATERIALIZED (SELECT ST_Union(ST_Force2D(geom)) AS geom FROM (").Add(inside).
		Raw(") n), d AS MATERIALIZED (SELECT (ST_Dump(ST_CollectionExtract(CASE WHEN u.geom IS NULL THEN g.geom ELSE ST_Difference(g.geom, u.geom) END, 3))).geom FROM g, u), i AS MATERIALIZED (SELECT min(row) AS row, ST_Collect(i.geom) AS geom, ").
		Arg(tolerance + drift(g.longest, g.at[1])).Raw("::float8 AS t FROM g, d i, LATERAL (SELECT min(z.fid) AS row FROM ").Add(c.touching()).
		Raw(") z WHERE row IS NOT NULL AND ST_Length(ST_Intersection(ST_Boundary(g.geom), ST_Buffer(i.geom, ").Arg(near).Raw("::float8))) > 20 * ").Arg(near).
		Raw("::float8) SELECT coalesce(i.row, 0), ").
		Add(thickColumns()).Raw(" FROM i, ").Add(thick())
	var t thickPart
	if err := c.tx.QueryRow(ctx, q.String(), q.Args()...).Scan(append([]any{&row}, t.targets()...)...); err != nil {
		return 0, 0, 0, place, false, err
	}
	if area, err = t.area(); err != nil {
		return 0, 0, 0, place, false, err
	}
	return row, area, t.wide, t.place, true, nil
}

// tellGapBeside tells a gap that touches a change.
func (c *checker) tellGapBeside(ctx context.Context, r *rule, g *cycle, tolerance, least float64) error {
	if r.kept >= c.o.MaxFindings || g.xy == nil {
		// The gap may be none of the delivery's.
		r.AtLeast = true
		return nil
	}
	row, area, wide, place, ok, err := c.gapBeside(ctx, g, tolerance)
	switch {
	case err != nil:
		return fmt.Errorf("compare a gap with the rows around it: %w", err)
	case !ok:
		r.AtLeast = true
		return nil
	case row == 0 || area <= least || !c.found(r):
		return nil
	}
	c.tell(r, row, "gap", "", &place, fmt.Sprintf("旁边有 %.2f 平方米的缝隙没有被任何行覆盖，平均宽 %.3f 米", area, wide),
		fmt.Sprintf("beside this row %.2f m² are covered by no row, %.3f m wide on average", area, wide))
	return nil
}

// windowed fills the temporary table quality_window with what of the parents lies
// in the bounds of a change.
func (c *checker) windowed(ctx context.Context, parent [2]string) ([2]string, error) {
	parent, err := c.divided(ctx, parent, true)
	if err != nil {
		return parent, err
	}
	q := new(postgis.SQL).Raw("DROP TABLE IF EXISTS pg_temp.quality_window; CREATE TEMP TABLE quality_window ON COMMIT DROP AS SELECT ST_CollectionExtract(ST_Intersection(p.geom, w.geom), 3) AS geom FROM (SELECT (ST_Dump(ST_Union(ST_Envelope(geom)))).geom FROM quality_changed) w JOIN ").
		Ident(parent[0], parent[1]).Raw(" p ON p.geom && w.geom; DELETE FROM quality_window WHERE ST_IsEmpty(geom)")
	if _, err := c.tx.Exec(ctx, q.String()); err != nil {
		return parent, fmt.Errorf("cut the parents to what changes: %w", err)
	}
	return [2]string{"pg_temp", "quality_window"}, nil
}
