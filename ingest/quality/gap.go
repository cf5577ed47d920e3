package quality

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"sync/atomic"

	"github.com/twpayne/go-geom"

	"changde/ingest/profile"
	"changde/postgis"
)

// The bounds of Q07: rows that overlap are replaced by their union before what
// they leave open is followed; a gap is compared with the rows around it.
const (
	mostUnited  = 2_000  // rows in one union
	mostDirty   = 50_000 // rows in all unions, and overlaps they are made from
	mostAround  = 5_000  // rows around one gap
	unitedBatch = 500
)

// gaps is Q07.
func (c *checker) gaps(ctx context.Context, s *scan, r *rule) (func(context.Context) error, error) {
	p, err := profile.Params[profile.GapParams](c.o.Profile, r.spec)
	if err != nil {
		return nil, err
	}
	if !c.areal {
		r.skip("图层不是面", "the layer has no polygons")
		return nil, nil
	}
	tolerance, least := c.tol.Topology, c.tol.Area
	parent, ok := c.parent(r, p.Parent)
	if !ok {
		return nil, nil
	}
	if err := c.wantPairs(ctx, s, r); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		if parent != nil && c.o.Current != nil {
			window, err := c.windowed(ctx, *parent)
			if err != nil {
				return err
			}
			parent = &window
		}
		dirty, err := c.unite(ctx, r)
		if err != nil {
			return err
		}
		r.Rows = c.tiles.count
		if parent != nil {
			return c.uncovered(ctx, r, parent, dirty, tolerance, least)
		}
		return c.enclosed(ctx, r, dirty, tolerance, least)
	}, nil
}

// parent finds the dataset a rule compares with. False: the rule is skipped.
func (c *checker) parent(r *rule, name string) (*[2]string, bool) {
	if name == "" {
		return nil, true
	}
	if c.o.Neighbour != nil {
		if relation, _, ok := c.o.Neighbour(name); ok {
			return &relation, true
		}
	}
	r.skip(fmt.Sprintf("数据集 %s 还没有发布的版本", name), fmt.Sprintf("dataset %s has no release", name))
	return nil, false
}

// unite puts the union of rows that overlap into the tiles, once, and returns the
// rows it stands for.
func (c *checker) unite(ctx context.Context, r *rule) (map[int64]bool, error) {
	if err := c.findPairs(ctx); err != nil {
		return nil, err
	}
	if c.dirty != nil {
		return c.dirty, nil
	}
	c.dirty = map[int64]bool{}
	few := c.pairs.all[:min(len(c.pairs.all), mostDirty)]
	clusters := clustered(few)
	var fids []int64
	var group []int64
	left := len(c.pairs.all) - len(few)
	for i, one := range clusters {
		if len(one) > mostUnited || len(c.dirty)+len(one) > mostDirty {
			left += len(one)
			continue
		}
		for _, fid := range one {
			c.dirty[fid] = true
			fids, group = append(fids, fid), append(group, one[0])
		}
		if len(fids) >= unitedBatch || i == len(clusters)-1 {
			if err := c.putUnions(ctx, fids, group); err != nil {
				return nil, err
			}
			fids, group = fids[:0], group[:0]
		}
	}
	if err := c.putUnions(ctx, fids, group); err != nil {
		return nil, err
	}
	if left > 0 || c.pairs.full {
		r.NoteZH = fmt.Sprintf("重叠过多，有 %d 行或处未能合并，其旁的缝隙可能没有全部找到；请先改正重叠", left)
		r.NoteEN = fmt.Sprintf("too much overlaps: %d rows or overlaps were not merged, and gaps beside them may be missed; mend the overlaps first", left)
	}
	return c.dirty, nil
}

// clustered groups the rows of pairs that hang together, each group sorted, by
// its first row.
func clustered(all []pair) [][]int64 {
	root := map[int64]int64{}
	find := func(v int64) int64 {
		for {
			p, ok := root[v]
			if !ok || p == v {
				return v
			}
			if g, ok := root[p]; ok {
				root[v] = g
			}
			v = p
		}
	}
	for _, p := range all {
		a, b := find(p.a), find(p.b)
		root[max(a, b)] = min(a, b)
		root[min(a, b)] = min(a, b)
	}
	groups := map[int64][]int64{}
	for v := range root {
		groups[find(v)] = append(groups[find(v)], v)
	}
	out := make([][]int64, 0, len(groups))
	for _, g := range groups {
		slices.Sort(g)
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b []int64) int { return cmp.Compare(a[0], b[0]) })
	return out
}

func (c *checker) putUnions(ctx context.Context, fids, group []int64) error {
	if len(fids) == 0 {
		return nil
	}
	q := new(postgis.SQL).Raw("SELECT g.first, ST_AsEWKB(ST_Union(ST_Force2D(t.geom)), 'NDR') FROM unnest(").Arg(fids).Raw("::bigint[], ").Arg(group).
		Raw("::bigint[]) g(fid, first) JOIN ").Ident(c.layer.Relation[0], c.layer.Relation[1]).
		Raw(" t ON t.fid = g.fid WHERE t.fid = ANY(").Arg(fids).Raw(") GROUP BY g.first ORDER BY g.first")
	rows, err := c.tx.Query(ctx, q.String(), q.Args()...)
	if err != nil {
		return fmt.Errorf("unite rows: %w", err)
	}
	defer rows.Close()
	var s shape
	for rows.Next() {
		var first int64
		var ewkb []byte
		if err := rows.Scan(&first, &ewkb); err != nil {
			return fmt.Errorf("unite rows: %w", err)
		}
		if err := s.parse(ewkb); err != nil {
			return fmt.Errorf("unite rows: %w", err)
		}
		if err := c.tiles.put(first, &s, true); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("unite rows: %w", err)
	}
	return nil
}

// enclosed finds the gaps that rows surround.
func (c *checker) enclosed(ctx context.Context, r *rule, dirty map[int64]bool, tolerance, least float64) error {
	var budget atomic.Int64
	budget.Store(mostPositions)
	tracers := make([]tracer, c.o.Workers)
	kx, ky := scale(c.tiles.lat)
	for i := range tracers {
		tracers[i] = tracer{
			tolerance: tolerance, least: least, mesh: mesh{known: c.tiles.margin * 0.75}, kx: kx, ky: ky,
			lon: (c.tiles.whole.x0 + c.tiles.whole.x1) / 2, q: authalic((c.tiles.whole.y0 + c.tiles.whole.y1) / 2), budget: &budget,
		}
	}
	if err := c.tiles.each(ctx, dirty, func(w int, t *tile) error { return tracers[w].trace(ctx, t) }); err != nil {
		return err
	}
	var cycles []cycle
	var chains []chain
	for i := range tracers {
		cycles = append(cycles, tracers[i].cycles...)
		chains = append(chains, tracers[i].chains...)
	}
	cycles = append(cycles, joined(chains, least, tolerance)...)
	slices.SortFunc(cycles, func(a, b cycle) int {
		return cmp.Or(cmp.Compare(a.fid, b.fid), cmp.Compare(a.at[0], b.at[0]), cmp.Compare(a.at[1], b.at[1]))
	})
	for i := range cycles {
		// Rows that are there twice surround a gap twice.
		if i > 0 && cycles[i].at == cycles[i-1].at && math.Abs(cycles[i].twice-cycles[i-1].twice) <= least {
			continue
		}
		if c.o.Current != nil {
			if err := c.tellGapBeside(ctx, r, &cycles[i], tolerance, least); err != nil {
				return err
			}
			continue
		}
		if err := c.tellGap(ctx, r, &cycles[i], tolerance, least); err != nil {
			return err
		}
	}
	return nil
}

// joined makes cycles of the chains of all tiles.
func joined(chains []chain, least, tolerance float64) []cycle {
	by := make(map[[4]float64][]int, len(chains))
	for i := range chains {
		by[chains[i].enter] = append(by[chains[i].enter], i)
	}
	done := make([]bool, len(chains))
	var out []cycle
	var members []int
	for first := range chains {
		if done[first] {
			continue
		}
		c := cycle{fid: math.MaxInt64}
		members = members[:0]
		i, closed := first, false
		for {
			done[i] = true
			members = append(members, i)
			m := &chains[i]
			c.twice += m.twice
			c.round += m.round
			c.count += m.count
			c.fid = min(c.fid, m.fid)
			c.lost = c.lost || m.lost
			if m.longest > c.longest {
				c.longest, c.at = m.longest, m.at
			}
			if m.leave == chains[first].enter {
				closed = true
				break
			}
			next := -1
			for _, k := range by[m.leave] {
				if !done[k] {
					next = k
					break
				}
			}
			if next < 0 {
				break
			}
			i = next
		}
		var significant bool
		if significant, c.doubtful = c.judge(least, tolerance); !significant || !closed {
			continue
		}
		if !c.lost {
			for _, k := range members {
				c.xy = append(c.xy, chains[k].xy...)
			}
		}
		out = append(out, c)
	}
	return out
}

// tellGap compares a gap with all rows around it, for others may lie in it, and
// tells what is left of it.
func (c *checker) tellGap(ctx context.Context, r *rule, g *cycle, tolerance, least float64) error {
	area, wide, place := g.twice/2, width(g.twice/2, g.round), g.at
	islands := true
	if r.kept < c.o.MaxFindings && g.xy != nil {
		ok, err := c.compareGap(ctx, g, tolerance, &area, &wide, &place)
		if err != nil {
			return fmt.Errorf("compare a gap with the rows around it: %w", err)
		}
		islands = !ok
		if ok && area <= least {
			return nil
		}
	}
	if islands && g.doubtful || !c.found(r) {
		return nil
	}
	zh, en := fmt.Sprintf("旁边有 %.2f 平方米的缝隙没有被任何行覆盖，平均宽 %.3f 米", area, wide), fmt.Sprintf("beside this row %.2f m² are covered by no row, %.3f m wide on average", area, wide)
	if islands {
		zh, en = zh+"（其中的孤岛未扣除）", en+" (islands within included)"
	}
	c.tell(r, g.fid, "gap", "", &place, zh, en)
	return nil
}

func (c *checker) compareGap(ctx context.Context, g *cycle, tolerance float64, area, wide *float64, place *[2]float64) (bool, error) {
	xy := append(slices.Clone(g.xy), g.xy[0], g.xy[1])
	if len(xy) < 8 {
		return false, nil
	}
	ewkb, err := postgis.AppendEWKB(nil, geom.NewPolygonFlat(geom.XY, xy, []int{len(xy)}), 4490)
	if err != nil {
		return false, err
	}
	name := c.layer.Relation
	q := new(postgis.SQL).Raw("SELECT count(*) FROM (SELECT FROM ").Ident(name[0], name[1]).Raw(" WHERE geom && ST_GeomFromEWKB(").Arg(ewkb).
		Raw(") LIMIT ").Arg(mostAround + 1).Raw(") n")
	var n int
	if err := c.tx.QueryRow(ctx, q.String(), q.Args()...).Scan(&n); err != nil || n > mostAround {
		return false, err
	}
	q = new(postgis.SQL).Raw("WITH g AS MATERIALIZED (SELECT ST_MakeValid(ST_GeomFromEWKB(").Arg(ewkb).
		Raw(")) AS geom), u AS MATERIALIZED (SELECT ST_Union(ST_Force2D(geom)) AS geom FROM ").Ident(name[0], name[1]).
		Raw(" WHERE geom && ST_GeomFromEWKB(").Arg(ewkb).
		Raw(")), i AS MATERIALIZED (SELECT ST_CollectionExtract(CASE WHEN u.geom IS NULL THEN g.geom ELSE ST_Difference(g.geom, u.geom) END, 3) AS geom, ").
		Arg(tolerance + drift(g.longest, g.at[1])).Raw("::float8 AS t FROM g, u) SELECT ").Add(thickColumns()).Raw(" FROM i, ").Add(thick())
	var t thickPart
	if err := c.tx.QueryRow(ctx, q.String(), q.Args()...).Scan(t.targets()...); err != nil {
		return false, err
	}
	if *area, err = t.area(); err != nil {
		return false, err
	}
	*wide, *place = t.wide, t.place
	return true, nil
}
