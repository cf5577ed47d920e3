package quality

import (
	"context"
	"fmt"

	"changde/catalog"
	"changde/ingest/profile"
	"changde/postgis"
)

// The bounds of Q17: files whose edges are compared, and runs of rows of one file.
const (
	mostSheets = 200
	mostRuns   = 1_000
	// sheetReach is how far in metres from the edge of another file a place is
	// expected to match something there, where the tolerance is not larger.
	sheetReach = 1.0
)

// run is rows of one file, one after the other.
type run struct {
	low, high int64
	sheet     int
}

// sheets tells the files of a layer apart, by runs of rows.
type sheets struct {
	numbers map[string]int
	runs    []run
	last    string
	full    bool
}

func (s *sheets) add(fid int64, file string) {
	if n := len(s.runs); n > 0 && file == s.last && fid > s.runs[n-1].high {
		s.runs[n-1].high = fid
		return
	}
	number, ok := s.numbers[file]
	if !ok {
		number = len(s.numbers) + 1
		s.numbers[file] = number
	}
	if len(s.runs) >= mostRuns || len(s.numbers) > mostSheets {
		s.full = true
		return
	}
	s.runs, s.last = append(s.runs, run{fid, fid, number}), file
}

// edges is Q17.
func (c *checker) edges(s *scan, r *rule) (func(context.Context) error, error) {
	p, err := profile.Params[profile.EdgeParams](c.o.Profile, r.spec)
	if err != nil {
		return nil, err
	}
	if !c.areal && !c.linear {
		r.skip("图层不是线或面", "the layer has neither lines nor polygons")
		return nil, nil
	}
	files := sheets{numbers: map[string]int{}}
	s.each(r, false, func(w *row) error {
		if !files.full {
			_, file := c.layer.RowOf(w.fid)
			files.add(w.fid, file)
		}
		return nil
	})
	return func(ctx context.Context) error {
		switch {
		case files.full:
			r.skip(fmt.Sprintf("文件多于 %d 个或行序混杂", mostSheets), fmt.Sprintf("there are more than %d files, or their rows are mixed", mostSheets))
			return nil
		case len(files.numbers) < 2 && c.o.Before == nil && c.o.Current == nil:
			r.skip("交付只有一个文件，之前也没有内容", "the delivery has one file, and there is no content before it")
			return nil
		}
		wide := max(sheetReach, 10*p.Tolerance)
		if err := c.borders(ctx, &files, wide); err != nil {
			return fmt.Errorf("collect the rows at the edges: %w", err)
		}
		tell := func(e end) {
			if e.near <= p.Tolerance || e.near > wide || !c.found(r) {
				return
			}
			zh, en := "上一版本的要素", "a feature of the release before"
			if e.other > 0 || c.o.Current != nil {
				zh, en = c.name(e.other, e.fid)
			}
			c.tell(r, e.fid, "edge-unmatched", "", &[2]float64{e.x, e.y}, fmt.Sprintf("接边处与%s相差 %.3f 米", zh, e.near),
				fmt.Sprintf("at the edge it is %.3f m off %s", e.near, en))
		}
		if c.linear {
			if err := c.ends(ctx, [2]string{}, true); err != nil {
				return err
			}
			x, y := reach(wide, "e.geom")
			q := new(postgis.SQL).Raw("SELECT e.fid, ST_X(e.geom), ST_Y(e.geom), o.fid, ST_X(o.geom), ST_Y(o.geom) FROM quality_ends e JOIN quality_ends o ON o.geom && ST_Expand(e.geom, ").
				Add(x).Raw(", ").Add(y).Raw(") AND o.sheet <> e.sheet WHERE e.fid > 0 ORDER BY e.fid, e.n, o.fid")
			if err := c.nearest(ctx, q, tell); err != nil {
				return err
			}
		}
		if c.areal {
			return c.nearest(ctx, c.corners(wide), tell)
		}
		return nil
	}, nil
}

// corners is the query of the corners of polygons near a polygon of another file,
// with the nearest place on it, where what lies between the two is covered by no
// row or by several.
func (c *checker) corners(wide float64) *postgis.SQL {
	x, y := reach(wide, "t.geom")
	return new(postgis.SQL).Raw("SELECT fid, ST_X(v), ST_Y(v), other, ST_X(p), ST_Y(p) FROM (SELECT t.fid, v.path, v.geom AS v, o.fid AS other, ST_ClosestPoint(ST_Boundary(o.geom), v.geom) AS p FROM quality_borders t JOIN quality_borders o ON o.sheet <> t.sheet AND o.geom && ST_Expand(t.geom, ").
		Add(x).Raw(", ").Add(y).Raw("), LATERAL ST_DumpPoints(t.geom) v WHERE t.fid > 0 AND ST_Dimension(t.geom) = 2 AND ST_Dimension(o.geom) = 2 AND v.geom && ST_Expand(o.geom::box2d::geometry, ").
		Arg(1.1 * wide / 80_000).Raw("::float8)) v WHERE ST_DWithin(v, p, ").Arg(1.1 * wide / 80_000).
		Raw("::float8) AND (SELECT count(*) FROM quality_borders m WHERE m.geom && ST_Centroid(ST_MakeLine(v, p)) AND ST_Contains(m.geom, ST_Centroid(ST_MakeLine(v, p)))) <> 1 ORDER BY fid, v, other")
}

// borders fills the temporary table quality_borders with the rows that lie near
// what another file covers; those of the content before have negative numbers.
func (c *checker) borders(ctx context.Context, files *sheets, wide float64) error {
	name := c.layer.Relation
	var low, high []int64
	var number []int32
	for _, one := range files.runs {
		low, high, number = append(low, one.low), append(high, one.high), append(number, int32(one.sheet))
	}
	x, y := reach(2*wide, "t.geom")
	steps := []*postgis.SQL{
		new(postgis.SQL).Raw("DROP TABLE IF EXISTS pg_temp.quality_borders, pg_temp.quality_sheets, pg_temp.quality_extents"),
		new(postgis.SQL).Raw("CREATE TEMP TABLE quality_sheets (low bigint, high bigint, sheet int) ON COMMIT DROP"),
		new(postgis.SQL).Raw("CREATE TEMP TABLE quality_extents (sheet int, geom geometry) ON COMMIT DROP"),
		new(postgis.SQL).Raw("CREATE TEMP TABLE quality_borders (fid bigint, sheet int, geom geometry) ON COMMIT DROP"),
		new(postgis.SQL).Raw("INSERT INTO quality_sheets SELECT * FROM unnest(").Arg(low).Raw("::bigint[], ").Arg(high).Raw("::bigint[], ").Arg(number).Raw("::int[])"),
		new(postgis.SQL).Raw("INSERT INTO quality_extents SELECT s.sheet, ST_SetSRID(ST_Extent(t.geom)::geometry, 4490) FROM ").Ident(name[0], name[1]).
			Raw(" t JOIN quality_sheets s ON t.fid BETWEEN s.low AND s.high GROUP BY s.sheet"),
	}
	switch {
	case c.o.Current != nil:
		steps = append(steps, new(postgis.SQL).Raw("INSERT INTO quality_sheets SELECT min(fid), -1, 0 FROM quality_layer WHERE fid < 0 HAVING count(*) > 0"),
			new(postgis.SQL).Raw("INSERT INTO quality_extents SELECT 0, ST_SetSRID(ST_Extent(geom)::geometry, 4490) FROM quality_layer WHERE fid < 0 HAVING count(*) > 0"))
	case len(files.numbers) < 2 && c.o.Before != nil:
		steps = append(steps, c.before())
	}
	steps = append(steps,
		new(postgis.SQL).Raw("INSERT INTO quality_borders SELECT t.fid, s.sheet, ST_Force2D(t.geom) FROM ").Ident(name[0], name[1]).
			Raw(" t JOIN quality_sheets s ON t.fid BETWEEN s.low AND s.high WHERE EXISTS (SELECT FROM quality_extents e WHERE e.sheet <> s.sheet AND e.geom && ST_Expand(t.geom, ").Add(x).Raw(", ").Add(y).Raw("))"),
		new(postgis.SQL).Raw("CREATE INDEX ON quality_borders USING gist (geom)"),
		new(postgis.SQL).Raw("ANALYZE quality_borders"),
	)
	for _, q := range steps {
		if _, err := c.tx.Exec(ctx, q.String(), q.Args()...); err != nil {
			return err
		}
	}
	return nil
}

// before puts what stays of the content before, beside the layer, into
// quality_borders, as a sheet of its own: the features whose key the layer does
// not bring again; without a key those whose inside it does not meet.
func (c *checker) before() *postgis.SQL {
	old := checker{layer: *c.o.Before}
	q := new(postgis.SQL).Raw("WITH b AS (INSERT INTO quality_borders SELECT -row_number() OVER (), 0, ST_Force2D(b.geom) FROM ").
		Ident(old.layer.Relation[0], old.layer.Relation[1]).Raw(" b, quality_extents e WHERE b.geom && ST_Expand(e.geom, 0.001) AND NOT EXISTS (SELECT FROM ").
		Ident(c.layer.Relation[0], c.layer.Relation[1])
	was, ok := catalog.Column{}, false
	now, have := c.column(c.o.Profile.BusinessKey)
	if have {
		was, ok = old.column(c.o.Profile.BusinessKey)
	}
	if ok {
		q.Raw(" t WHERE btrim(t.").Ident(now.Name).Raw("::text) = btrim(b.").Ident(was.Name).Raw("::text)")
	} else {
		q.Raw(" t WHERE t.geom && b.geom AND ST_Relate(t.geom, b.geom, 'T********')")
	}
	return q.Raw(") RETURNING geom) INSERT INTO quality_extents SELECT 0, ST_SetSRID(ST_Extent(geom)::geometry, 4490) FROM b HAVING count(*) > 0")
}
