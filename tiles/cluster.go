package tiles

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/paulmach/orb"

	"changde/catalog"
	"changde/postgis"
	"changde/problem"
)

// The bounds of Part.Cluster.
const (
	MinCluster = 8
	MaxCluster = 256
)

// checkCluster refuses clusters of what is no points, and of other sizes.
func (p Part) checkCluster() error {
	if p.Cluster == 0 {
		return nil
	}
	if p.Cluster < MinCluster || p.Cluster > MaxCluster {
		return problem.New(problem.Invalid, "tile-cluster", "cluster",
			fmt.Sprintf("聚合格的边长应为 %d 到 %d 像素的整数", MinCluster, MaxCluster), fmt.Sprintf("the side of a cluster is a whole number of %d to %d pixels", MinCluster, MaxCluster))
	}
	if dimensionOf(p.Release) != 0 {
		return problem.New(problem.Invalid, "tile-cluster", "cluster",
			fmt.Sprintf("只有点数据集可以聚合，%s 的几何类型是 %s；请去掉 cluster", p.Dataset.ID, p.Release.GeometryType),
			fmt.Sprintf("only points can be clustered, and %s is of %s; leave out cluster", p.Dataset.ID, p.Release.GeometryType))
	}
	return nil
}

// clusterKey is the attribute of a cluster: how many points it stands for.
func clusterKey(columns []catalog.Column) string { return freeKey("point_count", columns) }

// grid are the cells of clusters that a tile may show, by the places in degrees where
// they begin and end, ascending. They are counted from the corner of the matrix set, so
// that tiles that share one agree on what is in it.
type grid struct{ lons, lats []float64 }

func newGrid(a Address, pixels int) grid {
	set, _ := Set(a.Set)
	cell := pixels * Extent / pixelsOfTile
	unit := set.width(a.Z) / Extent
	// edges are those of the cells that meet a tile and its margin, along one side of a
	// matrix, whose ends hold what lies beyond.
	edges := func(at, tiles int, begin, end float64, degrees func(units float64) float64) (out []float64) {
		first := max((at*Extent-Buffer)/cell, 0)
		last := (at*Extent+Extent+Buffer)/cell + 1
		for k := first; k <= last; k++ {
			switch {
			case k == 0:
				out = append(out, begin)
			case k*cell >= tiles*Extent:
				return append(out, end)
			default:
				out = append(out, degrees(float64(k*cell)*unit))
			}
		}
		return out
	}
	const beyond = 1 // degree
	g := grid{
		lons: edges(a.Col, set.Columns<<a.Z, -180-beyond, 180+beyond, func(x float64) float64 {
			lon, _ := set.Unproject(set.Left+x, 0)
			return lon
		}),
		lats: edges(a.Row, set.Rows<<a.Z, 90+beyond, -90-beyond, func(y float64) float64 {
			_, lat := set.Unproject(0, set.Top-y)
			return lat
		}),
	}
	slices.Reverse(g.lats)
	return g
}

// box is what the cells cover.
func (g grid) box() catalog.Bounds {
	return catalog.Bounds{g.lons[0], g.lats[0], g.lons[len(g.lons)-1], g.lats[len(g.lats)-1]}
}

// clusterSQL selects for each cell how many points it has, their mean position, and
// where there is one its fid, geom and the columns; the fullest cells first. The mean is
// of whole billionths of a degree, whose sum does not depend on their order.
func (s *selection) clusterSQL(g grid) *postgis.SQL {
	q := new(postgis.SQL).Raw("WITH places AS (SELECT fid, ")
	if s.release.GeometryType == "Point" {
		q.Raw("ST_X(geom) AS lon, ST_Y(geom) AS lat")
	} else {
		q.Raw("ST_X(ST_Centroid(geom)) AS lon, ST_Y(ST_Centroid(geom)) AS lat")
	}
	s.release.From(q).Raw(" AND ")
	s.inBox(q)
	q.Raw("), cells AS (SELECT width_bucket(lon, ").Arg(g.lons).Raw("::float8[]) AS col, width_bucket(lat, ").Arg(g.lats).
		Raw("::float8[]) AS line, count(*) AS n, (sum((lon * 1e9)::bigint) / count(*) / 1e9)::float8 AS lon, " +
			"(sum((lat * 1e9)::bigint) / count(*) / 1e9)::float8 AS lat, min(fid) AS first FROM places GROUP BY 1, 2) " +
			"SELECT cells.n, cells.lon, cells.lat, alone.fid, alone.geom")
	alone := new(postgis.SQL).Raw("SELECT fid, geom")
	for i, c := range s.columns {
		name := "c" + strconv.Itoa(i)
		q.Raw(", alone.").Ident(name)
		catalog.SelectColumn(alone.Raw(", "), c)
		alone.Raw(" AS ").Ident(name)
	}
	s.release.From(alone).Raw(" AND cells.n = 1 AND fid = cells.first")
	return q.Raw(" FROM cells LEFT JOIN LATERAL (").Add(alone).Raw(") alone ON true WHERE cells.col BETWEEN 1 AND ").Int(int64(len(g.lons)) - 1).
		Raw(" AND cells.line BETWEEN 1 AND ").Int(int64(len(g.lats)) - 1).Raw(" ORDER BY cells.n DESC, cells.first")
}

// cluster makes a tile of points in which those of a cell are one, at their mean.
func (s *Source) cluster(ctx context.Context, p Part, a Address) (*Tile, error) {
	g := newGrid(a, p.Cluster)
	sel := s.selection(p, a, 0)
	sel.box = g.box()
	if !sel.edited && (p.Release.Extent == nil || !meet(*p.Release.Extent, sel.box)) {
		return s.finish(nil, 0), nil
	}
	b := clusterer{
		layer:  newLayer(p.Dataset.ID, append(names(sel.columns), clusterKey(sel.columns))),
		shaper: newShaper(a, 0), attrs: attributes(sel.columns), most: rawFactor * s.config.MaxBytes,
	}
	q := sel.clusterSQL(g)
	rows, err := s.pool.Query(ctx, q.String(), append([]any{sel.mode(), formatsOf(b.attrs, 5)}, q.Args()...)...)
	if err != nil {
		return nil, fmt.Errorf("cluster points of %s: %w", p.Dataset.ID, err)
	}
	defer rows.Close()
	for rows.Next() {
		b.add(rows.RawValues())
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("cluster points of %s: %w", p.Dataset.ID, err)
	}
	t := s.pack(b.layer)
	t.Omitted = b.omitted
	for n, stands := range b.stands {
		switch {
		case n >= int(t.Features):
			t.Omitted += stands
		case stands > 1:
			t.Generalized += stands
		}
	}
	return t, nil
}

// clusterer draws clusters into a layer.
type clusterer struct {
	layer   *layer
	shaper  *shaper
	attrs   []attribute
	most    int     // bytes, beyond which nothing is added
	stands  []int64 // by mark: how many points it is
	omitted int64
}

// add takes a row of clusterSQL.
func (b *clusterer) add(raw [][]byte) {
	n := int64(binary.BigEndian.Uint64(raw[0]))
	x, y := b.shaper.plane.exact(math.Float64frombits(binary.BigEndian.Uint64(raw[1])), math.Float64frombits(binary.BigEndian.Uint64(raw[2])))
	at := round(orb.Point{x, y})
	if !b.shaper.box.Contains(orb.Point{float64(at[0]), float64(at[1])}) {
		return // it is in the tile beside
	}
	if b.layer.size() > b.most {
		b.omitted += n
		return
	}
	if n > 1 {
		out := [kinds]commands{}
		out[points].command(moveTo, 1)
		out[points].to(at)
		b.layer.tagInt(len(b.attrs), n)
		b.layer.add(-1, &out)
		b.stands = append(b.stands, n)
		return
	}
	if raw[3] == nil || !b.shaper.shape(raw[4]) {
		b.omitted++
		return
	}
	if b.shaper.empty() {
		return
	}
	for i, a := range b.attrs {
		a.tag(b.layer, i, raw[5+i])
	}
	b.layer.add(int64(binary.BigEndian.Uint64(raw[3])), &b.shaper.out)
	b.stands = append(b.stands, 1)
}
