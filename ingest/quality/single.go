package quality

import (
	"context"
	"fmt"
	"math"
	"strconv"

	"changde/ingest/profile"
	"changde/postgis"
)

// multipart is Q05.
func (c *checker) multipart(s *scan, r *rule) error {
	if err := c.none(r); err != nil {
		return err
	}
	s.each(r, true, func(w *row) error {
		if w.shape.parts > 1 && c.found(r) {
			p := w.shape.last()
			c.tell(r, w.fid, "multipart", "", &p, fmt.Sprintf("由 %d 个部分组成，本图层要求每行一个部分", w.shape.parts),
				fmt.Sprintf("has %d parts, and the layer asks for rows of one part", w.shape.parts))
		}
		return nil
	})
	return nil
}

// last is a position of the last part of a shape.
func (s *shape) last() [2]float64 {
	for i := len(s.paths) - 1; i >= 0; i-- {
		if p := s.paths[i]; p.kind != holePath {
			return [2]float64{s.xy[p.from], s.xy[p.from+1]}
		}
	}
	return [2]float64{}
}

// slivers is Q08.
func (c *checker) slivers(s *scan, r *rule) error {
	p, err := profile.Params[profile.SliverParams](c.o.Profile, r.spec)
	if err != nil {
		return err
	}
	if !c.areal {
		r.skip("图层不是面", "the layer has no polygons")
		return nil
	}
	s.each(r, true, func(w *row) error {
		sh := w.shape
		for i := 0; i < len(sh.paths); {
			k := i + 1
			for k < len(sh.paths) && sh.paths[k].kind == holePath {
				k++
			}
			if sh.paths[i].kind == shellPath {
				if area, thinness := sh.polygon(i, k); area < p.Area || thinness < p.Thinness {
					if c.found(r) {
						at := sh.paths[i].from
						place := [2]float64{sh.xy[at], sh.xy[at+1]}
						c.tell(r, w.fid, "sliver", "", &place, fmt.Sprintf("碎面：面积 %.2f 平方米，狭长度 4πA/P² = %.4f", area, thinness),
							fmt.Sprintf("a sliver: %.2f m², thinness 4πA/P² = %.4f", area, thinness))
					}
					break
				}
			}
			i = k
		}
		return nil
	})
	return nil
}

// polygon is the area in square metres and the thinness 4πA/P² of the polygon
// whose rings are paths[i:k].
func (s *shape) polygon(i, k int) (area, thinness float64) {
	y := s.xy[s.paths[i].from+1]
	kx, ky := scale(y)
	round := 0.0
	for n := i; n < k; n++ {
		xy := s.xy[s.paths[n].from:s.paths[n].to]
		a := math.Abs(twice(xy)) / 2 * kx * ky
		if n > i {
			a = -a
		}
		area += a
		l, _ := length(xy, kx, ky)
		round += l
	}
	return area, 4 * math.Pi * area / (round * round)
}

// vertices is Q09.
func (c *checker) vertices(s *scan, r *rule) (func(context.Context) error, error) {
	p, err := profile.Params[profile.DuplicateParams](c.o.Profile, r.spec)
	if err != nil {
		return nil, err
	}
	near, cos := p.Distance, math.Cos(p.Spike*radians)
	twins, err := c.newTwins()
	if err != nil {
		return nil, err
	}
	s.all(r, func(w *row) error {
		if len(w.shape.paths) > 0 {
			return twins.add(w.shape.hash(), w.fid)
		}
		return nil
	})
	s.each(r, true, func(w *row) error {
		v := w.shape.look(near, cos)
		if v.same > 0 && c.found(r) {
			c.tell(r, w.fid, "duplicate-vertex", "", &v.sameAt, fmt.Sprintf("有 %d 个重复的节点", v.same), fmt.Sprintf("repeated positions: %d", v.same))
		}
		if v.close > 0 && c.found(r) {
			c.tell(r, w.fid, "vertex-close", "", &v.closeAt,
				fmt.Sprintf("有 %d 处相邻节点间距小于 %g 米，最小 %.4f 米", v.close, near, v.closest),
				fmt.Sprintf("consecutive positions closer than %[2]g m: %[1]d, the closest %.4[3]f m", v.close, near, v.closest))
		}
		if v.spikes > 0 && c.found(r) {
			angle := math.Acos(min(1, v.sharpest)) / radians
			c.tell(r, w.fid, "spike", "", &v.spikeAt, fmt.Sprintf("有 %d 个尖角，最小角 %.2f 度", v.spikes, angle),
				fmt.Sprintf("spikes: %d, the sharpest of %.2f degrees", v.spikes, angle))
		}
		return nil
	})
	return func(ctx context.Context) error {
		defer twins.close()
		groups, err := twins.groups()
		if err != nil {
			return err
		}
		return c.tellTwins(ctx, r, groups)
	}, nil
}

// looks is what Q09 sees in one row.
type looks struct {
	same, close, spikes      int
	sameAt, closeAt, spikeAt [2]float64
	closest, sharpest        float64 // metres; cosine
}

func (s *shape) look(near, cos float64) looks {
	v := looks{closest: math.Inf(1), sharpest: -1}
	if len(s.xy) < 4 {
		return v
	}
	kx, ky := scale(s.xy[1])
	for _, p := range s.paths {
		xy := s.xy[p.from:p.to]
		n := len(xy)
		if p.kind == pointPath || n < 4 {
			continue
		}
		// The edge before the first position, for a ring the last one.
		var px, py float64
		if closed := p.kind >= shellPath || n > 4 && xy[0] == xy[n-2] && xy[1] == xy[n-1]; closed {
			px, py = (xy[n-2]-xy[n-4])*kx, (xy[n-1]-xy[n-3])*ky
			for i := n - 4; px == 0 && py == 0 && i >= 2; i -= 2 {
				px, py = (xy[i]-xy[i-2])*kx, (xy[i+1]-xy[i-1])*ky
			}
		}
		for i := 2; i < n; i += 2 {
			x, y := (xy[i]-xy[i-2])*kx, (xy[i+1]-xy[i-1])*ky
			d := x*x + y*y
			if d == 0 {
				if v.same++; v.same == 1 {
					v.sameAt = [2]float64{xy[i], xy[i+1]}
				}
				continue
			}
			if d < near*near {
				v.close++
				if l := math.Sqrt(d); l < v.closest {
					v.closest, v.closeAt = l, [2]float64{xy[i], xy[i+1]}
				}
			}
			if dot := -(px*x + py*y); dot > 0 {
				if l := math.Sqrt((px*px + py*py) * d); dot > cos*l {
					v.spikes++
					if dot/l > v.sharpest {
						v.sharpest, v.spikeAt = dot/l, [2]float64{xy[i-2], xy[i-1]}
					}
				}
			}
			px, py = x, y
		}
	}
	return v
}

// hash is the same for shapes of the same points, lines and rings, wherever they
// start, whichever way they run and in whatever order.
func (s *shape) hash() uint64 {
	h := uint64(0)
	at := func(i int) uint64 {
		return mix(math.Float64bits(s.xy[i]+0)*3 ^ mix(math.Float64bits(s.xy[i+1]+0)))
	}
	for _, p := range s.paths {
		if p.kind == pointPath || p.to-p.from == 2 {
			h += at(p.from)
			continue
		}
		last := at(p.from)
		for i := p.from + 2; i < p.to; i += 2 {
			me := at(i)
			if me != last {
				h += mix((last ^ me) + 5*(last+me))
			}
			last = me
		}
	}
	return h
}

// tellTwins tells the rows whose geometry another row has, all but the first of
// each group.
func (c *checker) tellTwins(ctx context.Context, r *rule, groups [][]int64) error {
	for len(groups) > 0 && r.kept < c.o.MaxFindings {
		var first, other []int64
		k := 0
		for k < len(groups) && len(other) < verified {
			for _, fid := range groups[k][1:] {
				if fid < 0 {
					continue
				}
				first, other = append(first, groups[k][0]), append(other, fid)
			}
			k++
		}
		groups = groups[k:]
		name := c.layer.Relation
		q := new(postgis.SQL).Raw("WITH r AS MATERIALIZED (SELECT fid, geom FROM ").Ident(name[0], name[1]).
			Raw(" WHERE fid = ANY(").Arg(append(append([]int64(nil), first...), other...)).Raw(")) SELECT p.a, p.b, ST_X(s), ST_Y(s) FROM unnest(").
			Arg(first).Raw("::bigint[], ").Arg(other).
			Raw("::bigint[]) p(a, b) JOIN r x ON x.fid = p.a JOIN r y ON y.fid = p.b, LATERAL ST_PointOnSurface(y.geom) s WHERE ST_Equals(x.geom, y.geom) ORDER BY p.b")
		rows, err := c.tx.Query(ctx, q.String(), q.Args()...)
		if err != nil {
			return fmt.Errorf("compare geometries: %w", err)
		}
		for rows.Next() {
			var a, b int64
			var place [2]float64
			if err := rows.Scan(&a, &b, &place[0], &place[1]); err != nil {
				rows.Close()
				return fmt.Errorf("compare geometries: %w", err)
			}
			if c.found(r) {
				zh, en := c.name(a, b)
				c.tell(r, b, "duplicate-geometry", "", &place, "几何与"+zh+"相同", "has the geometry of "+en)
			}
		}
		if err := rows.Err(); err != nil {
			return fmt.Errorf("compare geometries: %w", err)
		}
	}
	for _, g := range groups {
		for _, fid := range g[1:] {
			if fid > 0 {
				r.Found++
			}
		}
	}
	return nil
}

// stored is a row whose area is to be computed by PostGIS.
type stored struct {
	fid  int64
	area float64
}

// mostStored bounds them; a mismatch beyond it is counted by our own figure.
const mostStored = 200_000

// areas is Q16.
func (c *checker) areas(s *scan, r *rule) (func(context.Context) error, error) {
	p, err := profile.Params[profile.AreaParams](c.o.Profile, r.spec)
	if err != nil {
		return nil, err
	}
	absolute, relative := p.Absolute, p.Relative
	if !c.areal {
		r.skip("图层不是面", "the layer has no polygons")
		return nil, nil
	}
	if c.o.Profile.AreaField == "" {
		r.skip("图层标准没有面积字段", "the profile names no area field")
		return nil, nil
	}
	col, ok := c.column(c.o.Profile.AreaField)
	if !ok {
		c.missing(r, c.o.Profile.AreaField)
		return nil, nil
	}
	at := s.column(col.Name)
	sums, err := c.control(s, r, p)
	if err != nil {
		return nil, err
	}
	var doubtful []stored
	s.each(r, true, func(w *row) error {
		v, ok := number(w.values[at])
		if !ok {
			return nil
		}
		area, bound := w.shape.surface()
		off := math.Abs(v - area)
		if off <= max(absolute, relative*(area-bound))-bound {
			return nil
		}
		if len(doubtful) < mostStored {
			doubtful = append(doubtful, stored{w.fid, v})
		} else if off > max(absolute, relative*area) {
			r.Found++
		}
		return nil
	})
	return func(ctx context.Context) error {
		for len(doubtful) > 0 {
			k := min(len(doubtful), verified)
			if err := c.tellAreas(ctx, r, doubtful[:k], col.Name, absolute, relative); err != nil {
				return err
			}
			doubtful = doubtful[k:]
		}
		return sums(ctx)
	}, nil
}

func (c *checker) tellAreas(ctx context.Context, r *rule, of []stored, field string, absolute, relative float64) error {
	fids, areas := make([]int64, len(of)), make([]float64, len(of))
	for i, v := range of {
		fids[i], areas[i] = v.fid, v.area
	}
	q := new(postgis.SQL).Raw("SELECT t.fid, v.area, a, ST_X(s), ST_Y(s) FROM unnest(").Arg(fids).Raw("::bigint[], ").Arg(areas).
		Raw("::float8[]) v(fid, area) JOIN ").Ident(c.layer.Relation[0], c.layer.Relation[1]).
		Raw(" t ON t.fid = v.fid, LATERAL ST_Area(t.geom::geography) a, LATERAL ST_PointOnSurface(t.geom) s WHERE t.fid = ANY(").Arg(fids).
		Raw(") AND abs(v.area - a) > greatest(").Arg(absolute).Raw("::float8, ").Arg(relative).Raw("::float8 * a) ORDER BY t.fid")
	rows, err := c.tx.Query(ctx, q.String(), q.Args()...)
	if err != nil {
		return fmt.Errorf("compute areas: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var fid int64
		var has, is float64
		var place [2]float64
		if err := rows.Scan(&fid, &has, &is, &place[0], &place[1]); err != nil {
			return fmt.Errorf("compute areas: %w", err)
		}
		if c.found(r) {
			c.tell(r, fid, "area-mismatch", field, &place,
				fmt.Sprintf("%s 为 %.2f 平方米，椭球面积为 %.2f 平方米，相差 %.2f", field, has, is, has-is),
				fmt.Sprintf("%s says %.2f m², the area on the ellipsoid is %.2f m², a difference of %.2f", field, has, is, has-is))
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("compute areas: %w", err)
	}
	return nil
}

// number reads a number; false for blank, and for what is none.
func number(v []byte) (float64, bool) {
	if v == nil {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(v), 64)
	return f, err == nil && !math.IsNaN(f) && !math.IsInf(f, 0)
}

// missing says that a rule has no column to look at.
func (c *checker) missing(r *rule, field string) {
	r.skip(fmt.Sprintf("交付中没有字段 %s", field), fmt.Sprintf("the delivery has no field %s", field))
}
