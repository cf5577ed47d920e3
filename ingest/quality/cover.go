package quality

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"

	"changde/ingest/profile"
	"changde/postgis"
)

// mostCells bounds the cells in which PostGIS is asked what is not covered, and
// cellBatch how many at a time; fullCell is how many rows a cell may have then.
const (
	mostCells = 20_000
	cellBatch = 200
	fullCell  = 48
	mostDepth = 14
)

// parents is the polygons of another dataset in the tiles of the layer.
func (c *checker) parents(ctx context.Context, relation [2]string) (*tiles, error) {
	spill, err := c.newSpill(len(c.tiles.tiling.tiles))
	if err != nil {
		return nil, err
	}
	p := &tiles{c: c, tiling: c.tiles.tiling, spill: spill, margin: c.tiles.margin, lat: c.tiles.lat, whole: emptyBox()}
	q := new(postgis.SQL).Raw("SELECT ST_AsEWKB(ST_Force2D(geom), 'NDR') FROM ").Ident(relation[0], relation[1]).Raw(" WHERE geom IS NOT NULL")
	rows, err := c.tx.Query(ctx, q.String())
	if err == nil {
		var s shape
		for n := int64(1); rows.Next() && err == nil; n++ {
			var ewkb []byte
			if err = rows.Scan(&ewkb); err == nil {
				if err = s.parse(ewkb); err == nil {
					err = p.put(n, &s, false)
				}
			}
		}
		rows.Close()
		if err == nil {
			err = rows.Err()
		}
	}
	if err != nil {
		spill.close()
		return nil, fmt.Errorf("read the dataset to compare with: %w", err)
	}
	return p, nil
}

// coverer compares rows with the parents in one tile after the other.
type coverer struct {
	in               intersector
	tolerance, least float64
	cells            []cell
	outside          []deficit
}

// cell is where something is missing, and the longest edge there, in metres.
type cell struct {
	box
	edge float64
}

// deficit is how much of a row, in square metres, no parent covers in one tile.
type deficit struct {
	fid  int64
	area float64
	wide float64 // metres: how wide it must be
}

// uncovered is Q07 with a parent: what the rows do not cover of it.
func (c *checker) uncovered(ctx context.Context, r *rule, parent *[2]string, dirty map[int64]bool, tolerance, least float64) error {
	p, err := c.parents(ctx, *parent)
	if err != nil {
		return err
	}
	defer p.spill.close()
	workers := make([]coverer, c.o.Workers)
	var mu sync.Mutex
	var cells []cell
	err = c.tiles.both(ctx, p, dirty, func(w int, t, p *tile) error {
		v := &workers[w]
		v.least, v.cells = least, v.cells[:0]
		if b := p.bounds().cut(t.box); b.x0 < b.x1 && b.y0 < b.y1 {
			v.look(t, p, b, allOf(t), allOf(p), 0)
		}
		mu.Lock()
		cells = append(cells, v.cells...)
		mu.Unlock()
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(cells, func(a, b cell) int { return cmp.Or(cmp.Compare(a.x0, b.x0), cmp.Compare(a.y0, b.y0)) })
	if len(cells) > mostCells {
		cells, r.AtLeast = cells[:mostCells], true
		r.NoteZH, r.NoteEN = "未覆盖之处过多，只检查了一部分", "too much is not covered; only a part was looked at"
	}
	return c.tellUncovered(ctx, r, *parent, cells, tolerance, least)
}

func (t *tile) bounds() box {
	b := emptyBox()
	for i := range t.areas {
		b.add(t.areas[i].box.x0, t.areas[i].box.y0)
		b.add(t.areas[i].box.x1, t.areas[i].box.y1)
	}
	return b
}

func allOf(t *tile) []int32 {
	out := make([]int32, len(t.areas))
	for i := range out {
		out[i] = int32(i)
	}
	return out
}

// look compares what parents and rows cover of r, and goes into quarters where
// something is missing, down to cells of few rows.
func (v *coverer) look(t, p *tile, r box, rows, parents []int32, depth int) {
	rows, parents = those(t, rows, r), those(p, parents, r)
	if len(parents) == 0 {
		return
	}
	kx, ky := scale((r.y0 + r.y1) / 2)
	k := kx * ky
	need := v.covered(p, parents, r)
	if need*k <= v.least/16 {
		return
	}
	if len(rows) > 0 {
		have := 0.0
		if whole := (r.x1 - r.x0) * (r.y1 - r.y0); need >= whole*(1-1e-12) {
			have = v.covered(t, rows, r)
		} else {
			have = v.shared(t, p, rows, parents, r)
		}
		if (need-have)*k <= v.least/16 {
			return
		}
		if len(rows) > fullCell && depth < mostDepth {
			x, y := (r.x0+r.x1)/2, (r.y0+r.y1)/2
			for _, q := range [4]box{{r.x0, r.y0, x, y}, {x, r.y0, r.x1, y}, {r.x0, y, x, r.y1}, {x, y, r.x1, r.y1}} {
				v.look(t, p, q, rows, parents, depth+1)
			}
			return
		}
	}
	one := cell{box: r}
	for _, i := range rows {
		one.edge = max(one.edge, t.longest(&t.areas[i], r))
	}
	for _, i := range parents {
		one.edge = max(one.edge, p.longest(&p.areas[i], r))
	}
	v.cells = append(v.cells, one)
}

func those(t *tile, of []int32, r box) []int32 {
	var out []int32
	for _, i := range of {
		if t.areas[i].box.meets(r) {
			out = append(out, i)
		}
	}
	return out
}

// covered is the area in square degrees of the rows in r.
func (v *coverer) covered(t *tile, of []int32, r box) float64 {
	sum := 0.0
	for _, i := range of {
		sum += v.in.within(t, &t.areas[i], r)
	}
	return sum
}

// shared is the area in square degrees that rows and parents have in common in r.
func (v *coverer) shared(t, p *tile, rows, parents []int32, r box) float64 {
	sum := 0.0
	for _, i := range parents {
		v.in.b = v.in.clip(v.in.b[:0], p, &p.areas[i], r)
		for _, k := range rows {
			v.in.a = v.in.clip(v.in.a[:0], t, &t.areas[k], r)
			sum += under(v.in.a, v.in.b)
		}
	}
	return sum
}

// tellUncovered asks PostGIS what is not covered in the cells, puts the pieces
// together and tells those that are neither small nor thin.
func (c *checker) tellUncovered(ctx context.Context, r *rule, parent [2]string, cells []cell, tolerance, least float64) error {
	if len(cells) == 0 {
		return nil
	}
	parent, err := c.divided(ctx, parent, true)
	if err != nil {
		return err
	}
	if _, err := c.tx.Exec(ctx, `DROP TABLE IF EXISTS pg_temp.quality_uncovered; CREATE TEMP TABLE quality_uncovered (geom geometry, t float8) ON COMMIT DROP`); err != nil {
		return fmt.Errorf("make a table of what is not covered: %w", err)
	}
	name := c.layer.Relation
	for some := range slices.Chunk(cells, cellBatch) {
		var x0, y0, x1, y1, wide []float64
		for _, b := range some {
			x0, y0, x1, y1, wide = append(x0, b.x0), append(y0, b.y0), append(x1, b.x1), append(y1, b.y1), append(wide, tolerance+drift(b.edge, b.y0))
		}
		q := new(postgis.SQL).Raw("INSERT INTO quality_uncovered SELECT d, t FROM (SELECT ST_MakeEnvelope(x0, y0, x1, y1, 4490) AS e, t FROM unnest(").
			Arg(x0).Raw("::float8[], ").Arg(y0).Raw("::float8[], ").Arg(x1).Raw("::float8[], ").Arg(y1).Raw("::float8[], ").Arg(wide).
			Raw("::float8[]) c(x0, y0, x1, y1, t)) c, LATERAL (SELECT ST_Union(ST_Intersection(ST_Force2D(p.geom), e)) AS need FROM ").Ident(parent[0], parent[1]).
			Raw(" p WHERE p.geom && e) p, LATERAL (SELECT ST_Union(ST_Force2D(t.geom)) AS have FROM ").Ident(name[0], name[1]).
			Raw(" t WHERE t.geom && e) t, LATERAL (SELECT ST_CollectionExtract(CASE WHEN have IS NULL THEN need ELSE ST_Difference(need, have) END, 3) AS d) d WHERE NOT ST_IsEmpty(d)")
		if _, err := c.tx.Exec(ctx, q.String(), q.Args()...); err != nil {
			return fmt.Errorf("find what is not covered: %w", err)
		}
	}
	q := new(postgis.SQL).Raw("WITH i AS MATERIALIZED (SELECT g AS geom, (SELECT max(t) FROM quality_uncovered q WHERE q.geom && g) AS t FROM (SELECT (ST_Dump(ST_Union(geom))).geom AS g FROM quality_uncovered) u) SELECT ").
		Add(thickColumns()).Raw(" FROM i, ").Add(thick()).Raw(" WHERE k.geom IS NOT NULL")
	if c.o.Current != nil {
		q.Raw(" AND EXISTS (SELECT FROM ").Add(c.touching()).Raw(")")
	}
	q.Raw(" ORDER BY 3, 4")
	rows, err := c.tx.Query(ctx, q.String(), q.Args()...)
	if err != nil {
		return fmt.Errorf("put together what is not covered: %w", err)
	}
	var t thickPart
	_, err = pgx.ForEachRow(rows, t.targets(), func() error {
		area, err := t.area()
		if err == nil && area > least && c.found(r) {
			place := t.place
			c.tell(r, 0, "gap", "", &place, fmt.Sprintf("有 %.2f 平方米没有被任何行覆盖，平均宽 %.3f 米", area, t.wide),
				fmt.Sprintf("%.2f m² are covered by no row, %.3f m wide on average", area, t.wide))
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("put together what is not covered: %w", err)
	}
	return nil
}

// contained is Q11.
func (c *checker) contained(ctx context.Context, s *scan, r *rule) (func(context.Context) error, error) {
	p, err := profile.Params[profile.ContainParams](c.o.Profile, r.spec)
	if err != nil {
		return nil, err
	}
	if p.Parent == "" {
		r.skip("规则没有指明上级数据集", "the rule names no parent dataset")
		return nil, nil
	}
	parent, ok := c.parent(r, p.Parent)
	if !ok {
		return nil, nil
	}
	tolerance, least := c.tol.Topology, c.tol.Area
	if c.areal {
		if _, err := c.tiled(ctx, s, r); err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context) error {
		if c.areal {
			if err := c.tellSpilling(ctx, r, *parent, p.Parent, tolerance, least); err != nil {
				return err
			}
		}
		return c.tellOutside(ctx, r, *parent, p.Parent, tolerance)
	}, nil
}

// tellSpilling tells the polygons that are not within the parents.
func (c *checker) tellSpilling(ctx context.Context, r *rule, parent [2]string, dataset string, tolerance, least float64) error {
	p, err := c.parents(ctx, parent)
	if err != nil {
		return err
	}
	defer p.spill.close()
	workers := make([]coverer, c.o.Workers)
	err = c.tiles.both(ctx, p, nil, func(w int, t, p *tile) error {
		workers[w].tolerance, workers[w].least = tolerance, least
		workers[w].compare(t, p)
		return nil
	})
	if err != nil {
		return err
	}
	var all []deficit
	for i := range workers {
		all = append(all, workers[i].outside...)
	}
	slices.SortFunc(all, func(a, b deficit) int { return cmp.Or(cmp.Compare(a.fid, b.fid), cmp.Compare(b.area, a.area)) })
	k := 0
	for _, d := range all {
		if k > 0 && all[k-1].fid == d.fid {
			all[k-1].area += d.area
			all[k-1].wide = max(all[k-1].wide, d.wide)
			continue
		}
		all[k] = d
		k++
	}
	all = slices.DeleteFunc(all[:k], func(d deficit) bool { return d.area <= least })
	if len(all) > 0 {
		if parent, err = c.divided(ctx, parent, false); err != nil {
			return err
		}
	}
	for len(all) > 0 && r.kept < c.o.MaxFindings {
		n := min(len(all), 2_000)
		if err := c.tellSpillingOf(ctx, r, all[:n], parent, dataset, least); err != nil {
			return err
		}
		all = all[n:]
	}
	r.Found += int64(len(all))
	return nil
}

// dividedAt is how many corners a piece of a parent may have.
const dividedAt = 128

// divided fills the temporary table quality_parent with the parents, all or those
// around the layer, in small pieces, for it is their few corners near a row that
// matter.
func (c *checker) divided(ctx context.Context, parent [2]string, all bool) ([2]string, error) {
	for _, q := range []*postgis.SQL{
		new(postgis.SQL).Raw("DROP TABLE IF EXISTS pg_temp.quality_parent; CREATE TEMP TABLE quality_parent (geom geometry) ON COMMIT DROP"),
		new(postgis.SQL).Raw("INSERT INTO quality_parent SELECT ST_Subdivide(ST_CollectionExtract(ST_Force2D(p.geom), 3), ").Arg(dividedAt).Raw(") FROM ").
			Ident(parent[0], parent[1]).Raw(" p, (SELECT ST_SetSRID(ST_Extent(geom)::geometry, 4490) AS e FROM ").
			Ident(c.layer.Relation[0], c.layer.Relation[1]).Raw(") t WHERE ").Arg(all).Raw(" OR p.geom && ST_Expand(t.e, 0.1)"),
		new(postgis.SQL).Raw("CREATE INDEX ON quality_parent USING gist (geom); ANALYZE quality_parent"),
	} {
		if _, err := c.tx.Exec(ctx, q.String(), q.Args()...); err != nil {
			return parent, fmt.Errorf("divide the parents: %w", err)
		}
	}
	return [2]string{"pg_temp", "quality_parent"}, nil
}

// compare finds the rows of a tile that are not within the parents.
func (v *coverer) compare(t, p *tile) {
	if b := t.bounds().cut(t.box); b.x0 < b.x1 && b.y0 < b.y1 {
		if whole := (b.x1 - b.x0) * (b.y1 - b.y0); v.covered(p, those(p, allOf(p), b), b) >= whole*(1-1e-12) {
			return
		}
	}
	every := allOf(p)
	for i := range t.areas {
		a := &t.areas[i]
		b := a.box.cut(t.box)
		if a.fid < 0 || b.x0 >= b.x1 || b.y0 >= b.y1 {
			continue
		}
		kx, ky := scale((b.y0 + b.y1) / 2)
		need := v.in.within(t, a, b)
		near := those(p, every, b)
		have := v.shared(t, p, []int32{int32(i)}, near, b)
		if d := (need - have) * kx * ky; d > v.least/16 {
			edge := t.longest(a, b)
			for _, k := range near {
				edge = max(edge, p.longest(&p.areas[k], b))
			}
			v.outside = append(v.outside, deficit{a.fid, d, v.tolerance + drift(edge, b.y0)})
		}
	}
}

func (c *checker) tellSpillingOf(ctx context.Context, r *rule, of []deficit, parent [2]string, dataset string, least float64) error {
	fids := make([]int64, len(of))
	wide := make([]float64, len(of))
	for i, d := range of {
		fids[i], wide[i] = d.fid, d.wide
	}
	q := new(postgis.SQL).Raw("WITH i AS MATERIALIZED (SELECT t.fid, t.t, ST_CollectionExtract(CASE WHEN have IS NULL THEN t.geom ELSE ST_Difference(t.geom, have) END, 3) AS geom FROM (SELECT r.fid, v.t, ST_Force2D(r.geom) AS geom FROM unnest(").
		Arg(fids).Raw("::bigint[], ").Arg(wide).Raw("::float8[]) v(fid, t) JOIN ").Ident(c.layer.Relation[0], c.layer.Relation[1]).Raw(" r ON r.fid = v.fid WHERE r.fid = ANY(").Arg(fids).
		Raw(")) t, LATERAL (SELECT ST_Union(ST_Force2D(p.geom)) AS have FROM ").Ident(parent[0], parent[1]).
		Raw(" p WHERE p.geom && t.geom) p) SELECT i.fid, ").Add(thickColumns()).Raw(" FROM i, ").Add(thick()).Raw(" WHERE k.geom IS NOT NULL ORDER BY i.fid")
	rows, err := c.tx.Query(ctx, q.String(), q.Args()...)
	if err != nil {
		return fmt.Errorf("find what is outside: %w", err)
	}
	var fid int64
	var t thickPart
	_, err = pgx.ForEachRow(rows, append([]any{&fid}, t.targets()...), func() error {
		area, err := t.area()
		if err == nil && area > least && c.found(r) {
			place := t.place
			c.tell(r, fid, "not-contained", "", &place, fmt.Sprintf("有 %.2f 平方米在 %s 之外，平均宽 %.3f 米", area, dataset, t.wide),
				fmt.Sprintf("%.2f m² lie outside %s, %.3f m wide on average", area, dataset, t.wide))
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("find what is outside: %w", err)
	}
	return nil
}

// tellOutside tells the points and lines that are not within the parents.
func (c *checker) tellOutside(ctx context.Context, r *rule, parent [2]string, dataset string, tolerance float64) error {
	parent, err := c.divided(ctx, parent, false)
	if err != nil {
		return err
	}
	q := new(postgis.SQL).Raw("SELECT t.fid, ST_Dimension(t.geom), coalesce(ST_Length(rest::geography), 0), ST_X(s), ST_Y(s) FROM ").
		Ident(c.layer.Relation[0], c.layer.Relation[1]).Raw(" t, LATERAL (SELECT CASE WHEN ST_Dimension(t.geom) = 0 THEN t.geom ELSE coalesce(ST_Difference(ST_Force2D(t.geom), (SELECT ST_Union(ST_Force2D(p.geom)) FROM ").
		Ident(parent[0], parent[1]).Raw(" p WHERE p.geom && t.geom)), ST_Force2D(t.geom)) END AS rest OFFSET 0) d, LATERAL ST_PointOnSurface(rest) s WHERE t.fid > 0 AND ST_Dimension(t.geom) < 2 AND NOT EXISTS (SELECT FROM ").
		Ident(parent[0], parent[1]).Raw(" p WHERE p.geom && t.geom AND ST_Covers(p.geom, t.geom)) AND NOT ST_IsEmpty(rest) ORDER BY t.fid")
	rows, err := c.tx.Query(ctx, q.String(), q.Args()...)
	if err != nil {
		return fmt.Errorf("find what is outside: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var fid int64
		var dimension int
		var long float64
		var place [2]float64
		if err := rows.Scan(&fid, &dimension, &long, &place[0], &place[1]); err != nil {
			return fmt.Errorf("find what is outside: %w", err)
		}
		if dimension == 1 && long <= tolerance || !c.found(r) {
			continue
		}
		zh, en := fmt.Sprintf("在 %s 之外", dataset), fmt.Sprintf("lies outside %s", dataset)
		if dimension == 1 {
			zh, en = fmt.Sprintf("有 %.2f 米在 %s 之外", long, dataset), fmt.Sprintf("%.2f m lie outside %s", long, dataset)
		}
		c.tell(r, fid, "not-contained", "", &place, zh, en)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("find what is outside: %w", err)
	}
	return nil
}
