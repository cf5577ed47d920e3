package quality

import (
	"context"
	"fmt"
	"math"

	"changde/ingest/profile"
	"changde/postgis"
)

// dangles is Q10: ends of lines that meet no line but come near one.
func (c *checker) dangles(r *rule) (func(context.Context) error, error) {
	p, err := profile.Params[profile.DangleParams](c.o.Profile, r.spec)
	if err != nil {
		return nil, err
	}
	if !c.linear {
		r.skip("图层不是线", "the layer has no lines")
		return nil, nil
	}
	return func(ctx context.Context) error {
		if err := c.ends(ctx, c.layer.Relation, false); err != nil {
			return err
		}
		x, y := reach(p.Tolerance, "e.geom")
		q := new(postgis.SQL).Raw("SELECT e.fid, ST_X(e.geom), ST_Y(e.geom), n.fid, ST_X(n.p), ST_Y(n.p) FROM quality_ends e, LATERAL (SELECT ST_Expand(e.geom, ").
			Add(x).Raw(", ").Add(y).Raw(") AS box OFFSET 0) b, LATERAL (SELECT t.fid, ST_ClosestPoint(ST_Force2D(t.geom), e.geom) AS p FROM ").
			Ident(c.layer.Relation[0], c.layer.Relation[1]).
			Raw(" t WHERE t.geom && b.box AND t.fid <> e.fid AND ST_Dimension(t.geom) = 1 UNION ALL SELECT o.fid, o.geom FROM quality_ends o WHERE o.geom && b.box AND o.fid = e.fid AND o.n <> e.n) n ORDER BY e.fid, e.n, n.fid")
		return c.nearest(ctx, q, func(e end) {
			if e.near <= c.tol.Topology || e.near > p.Tolerance || e.fid < 0 && e.other < 0 || !c.found(r) {
				return
			}
			if e.fid < 0 {
				zh, en := c.name(e.fid, e.other)
				c.tell(r, e.other, "dangle", "", &[2]float64{e.x, e.y}, fmt.Sprintf("%s的端点距本行 %.3f 米而未与之相接", zh, e.near),
					fmt.Sprintf("an end of %s is %.3f m from this row and does not meet it", en, e.near))
				return
			}
			zh, en := c.name(e.other, e.fid)
			if e.other == e.fid {
				zh, en = "自身的另一端", "its own other end"
			}
			c.tell(r, e.fid, "dangle", "", &[2]float64{e.x, e.y}, fmt.Sprintf("端点距%s %.3f 米而未与之相接", zh, e.near),
				fmt.Sprintf("an end is %.3f m from %s and does not meet it", e.near, en))
		})
	}, nil
}

// reach is SQL for how many degrees a length in metres is at a geometry, with a
// tenth to spare: the distance itself is computed afterwards. The geometry is a
// name of the caller's own.
func reach(length float64, geometry string) (x, y *postgis.SQL) {
	x = new(postgis.SQL).Arg(1.1 * length / 111_320).Raw("::float8 / greatest(cos(radians(ST_YMax(")
	if geometry == "e.geom" {
		x.Raw("e.geom")
	} else {
		x.Raw("t.geom")
	}
	x.Raw("))), 0.01)")
	return x, new(postgis.SQL).Arg(1.1 * length / 110_574).Raw("::float8")
}

// ends fills the temporary table quality_ends with the ends of the open lines of
// a relation; borders says that it is quality_borders, with a sheet.
func (c *checker) ends(ctx context.Context, relation [2]string, borders bool) error {
	q := new(postgis.SQL).Raw("INSERT INTO quality_ends SELECT t.fid, row_number() OVER (), ")
	if borders {
		q.Raw("t.sheet, e FROM quality_borders")
	} else {
		q.Raw("0, e FROM ").Ident(relation[0], relation[1])
	}
	q.Raw(" t, LATERAL ST_Dump(ST_Force2D(t.geom)) d, LATERAL (VALUES (ST_StartPoint(d.geom)), (ST_EndPoint(d.geom))) v(e) WHERE GeometryType(d.geom) = 'LINESTRING' AND NOT ST_IsClosed(d.geom)")
	for _, step := range []struct {
		what string
		q    *postgis.SQL
	}{
		{"make a table of ends", new(postgis.SQL).Raw("DROP TABLE IF EXISTS pg_temp.quality_ends; CREATE TEMP TABLE quality_ends (fid bigint, n bigint, sheet int, geom geometry(Point, 4490)) ON COMMIT DROP")},
		{"list the ends", q},
		{"index the ends", new(postgis.SQL).Raw("CREATE INDEX ON quality_ends USING gist (geom); ANALYZE quality_ends")},
	} {
		if _, err := c.tx.Exec(ctx, step.q.String()); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	return nil
}

// end is an end of a line, or another place, and what is nearest to it.
type end struct {
	fid, other int64
	x, y, near float64
}

// nearest runs a query of places, each beside one candidate, the candidates of a
// place one after the other, and gives each place with the nearest of them.
func (c *checker) nearest(ctx context.Context, q *postgis.SQL, f func(end)) error {
	rows, err := c.tx.Query(ctx, q.String(), q.Args()...)
	if err != nil {
		return fmt.Errorf("find what is near: %w", err)
	}
	defer rows.Close()
	var last end
	some := false
	for rows.Next() {
		var e end
		var px, py float64
		if err := rows.Scan(&e.fid, &e.x, &e.y, &e.other, &px, &py); err != nil {
			return fmt.Errorf("find what is near: %w", err)
		}
		e.near = metres(e.x, e.y, px, py)
		if some && e.fid == last.fid && e.x == last.x && e.y == last.y {
			if e.near < last.near {
				last = e
			}
			continue
		}
		if some {
			f(last)
		}
		last, some = e, true
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("find what is near: %w", err)
	}
	if some {
		f(last)
	}
	return nil
}

// metres is the distance of two places that are near each other.
func metres(x0, y0, x1, y1 float64) float64 {
	kx, ky := scale((y0 + y1) / 2)
	return math.Hypot((x1-x0)*kx, (y1-y0)*ky)
}
