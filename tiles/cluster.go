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

// newGrid is the grid of cells of a width in units of the tile.
func newGrid(a Address, cell int) grid {
	set, _ := Set(a.Set)
	unit := set.width(a.Z) / Extent
	// edges are those of the cells that meet a tile and its margin, along one side of a
	// matrix, whose ends hold what lies beyond.
	edges := func(at, tiles int, begin, end float64, degrees func(units float64) float64) (out []float64) {
		first := max((at*Extent-Buffer-1)/cell, 0) // a unit more, for rounding
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

// rankSpan is more than any fid, so that a rank and a fid make one number.
const rankSpan = 1 << 52

// clusterSQL selects for each cell how many points it has, their mean position, and
// of the first of them, by rank and then by fid, the fid, geom and the columns. The mean
// is of whole billionths of a degree, whose sum does not depend on their order. With
// alone only points that have their cell for themselves are given so, and the fullest
// cells come first; otherwise those of the first points.
func (s *selection) clusterSQL(g grid, alone bool) *postgis.SQL {
	q := new(postgis.SQL).Raw("WITH places AS (SELECT fid")
	if s.ranking != nil {
		s.ranking.sql(q.Raw(" + ")).Raw(" * ").Int(rankSpan).Raw("::bigint")
	}
	if s.release.GeometryType == "Point" {
		q.Raw(" AS first, ST_X(geom) AS lon, ST_Y(geom) AS lat")
	} else {
		q.Raw(" AS first, ST_X(ST_Centroid(geom)) AS lon, ST_Y(ST_Centroid(geom)) AS lat")
	}
	s.release.From(q).Raw(" AND ")
	s.inBox(q)
	q.Raw("), cells AS (SELECT width_bucket(lon, ").Arg(g.lons).Raw("::float8[]) AS col, width_bucket(lat, ").Arg(g.lats).
		Raw("::float8[]) AS line, count(*) AS n, (sum((lon * 1e9)::bigint) / count(*) / 1e9)::float8 AS lon, " +
			"(sum((lat * 1e9)::bigint) / count(*) / 1e9)::float8 AS lat, min(first) AS first FROM places GROUP BY 1, 2) " +
			"SELECT cells.n, cells.lon, cells.lat, one.fid, one.geom")
	one := new(postgis.SQL).Raw("SELECT fid, geom")
	for i, c := range s.columns {
		name := "c" + strconv.Itoa(i)
		q.Raw(", one.").Ident(name)
		catalog.SelectColumn(one.Raw(", "), c)
		one.Raw(" AS ").Ident(name)
	}
	s.release.From(one).Raw(" AND fid = cells.first % ").Int(rankSpan).Raw("::bigint")
	if alone {
		one.Raw(" AND cells.n = 1")
	}
	q.Raw(" FROM cells LEFT JOIN LATERAL (").Add(one).Raw(") one ON true WHERE cells.col BETWEEN 1 AND ").Int(int64(len(g.lons)) - 1).
		Raw(" AND cells.line BETWEEN 1 AND ").Int(int64(len(g.lats)) - 1).Raw(" ORDER BY ")
	if alone {
		q.Raw("cells.n DESC, ")
	}
	return q.Raw("cells.first")
}

// cluster makes a tile of points in which those of a cell are one, at their mean.
func (s *Source) cluster(ctx context.Context, p Part, a Address) (*Tile, error) {
	return s.cells(ctx, p, a, clusterer{grid: newGrid(a, p.Cluster*Extent/pixelsOfTile)})
}

// sieve makes a tile of points below DetailZoom as thin does, where they are too many
// to be read.
func (s *Source) sieve(ctx context.Context, p Part, a Address) (*Tile, error) {
	return s.cells(ctx, p, a, clusterer{grid: newGrid(a, thinCell), thins: true})
}

func (s *Source) cells(ctx context.Context, p Part, a Address, b clusterer) (*Tile, error) {
	sel := s.selection(p, a, 0)
	if !b.thins { // of the points that the tile shows alone
		sel.box = b.grid.box()
	}
	if !sel.edited && (p.Release.Extent == nil || !meet(*p.Release.Extent, sel.box)) {
		return s.finish(nil, 0), nil
	}
	key := clusterKey(sel.columns)
	if b.thins {
		key = generalizedKey(sel.columns)
		if p.Columns == nil {
			key = countKey(p.Dataset, p.Release, a.zoom())
		}
	}
	b.layer = newLayer(p.Dataset.ID, append(names(sel.columns), key))
	b.shaper, b.attrs = newShaper(a, 0), attributes(sel.columns)
	b.maxRows, b.maxBytes = s.config.MaxFeatures, rawFactor*s.config.MaxBytes
	q := sel.clusterSQL(b.grid, !b.thins)
	rows, err := s.pool.Query(ctx, q.String(), append([]any{sel.mode(), formatsOf(b.attrs, 5)}, q.Args()...)...)
	if err != nil {
		return nil, fmt.Errorf("read cells of points of %s: %w", p.Dataset.ID, err)
	}
	defer rows.Close()
	for rows.Next() {
		b.add(rows.RawValues())
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read cells of points of %s: %w", p.Dataset.ID, err)
	}
	t := s.pack(b.layer)
	t.Omitted = b.omitted
	for n, r := range b.drawn {
		if n < int(t.Features) {
			t.Generalized += r.gathered()
		} else {
			t.Omitted += r.count()
		}
	}
	return t, nil
}

// clusterer draws cells of points into a layer.
type clusterer struct {
	grid     grid
	thins    bool // a cell is its first point, not a cluster
	layer    *layer
	shaper   *shaper
	attrs    []attribute
	maxRows  int
	maxBytes int
	drawn    []row // by mark, without their shapes
	omitted  int64
}

// add takes a row of clusterSQL.
func (b *clusterer) add(raw [][]byte) {
	r := row{fid: -1, stands: int32(min(binary.BigEndian.Uint64(raw[0]), math.MaxInt32))}
	if r.stands > 1 && !b.thins {
		b.center(raw[1], raw[2])
	} else if raw[3] == nil || !b.shaper.shape(raw[4]) {
		b.omitted += r.count()
		return
	} else {
		r.fid = int64(binary.BigEndian.Uint64(raw[3]))
	}
	if b.shaper.empty() {
		return // it is in the tile beside
	}
	if len(b.drawn) >= b.maxRows || b.layer.size() > b.maxBytes {
		b.omitted += r.count()
		return
	}
	if r.fid >= 0 {
		for i, a := range b.attrs {
			a.tag(b.layer, i, raw[5+i])
		}
	}
	if r.stands > 1 {
		b.layer.tagInt(len(b.attrs), r.count())
	}
	b.layer.add(r.fid, &b.shaper.out)
	b.drawn = append(b.drawn, r)
}

// center draws a point at a position in degrees.
func (b *clusterer) center(lon, lat []byte) {
	for i := range b.shaper.out {
		b.shaper.out[i] = commands{b: b.shaper.out[i].b[:0]}
	}
	x, y := b.shaper.plane.exact(math.Float64frombits(binary.BigEndian.Uint64(lon)), math.Float64frombits(binary.BigEndian.Uint64(lat)))
	if at := round(orb.Point{x, y}); b.shaper.box.Contains(orb.Point{float64(at[0]), float64(at[1])}) {
		c := &b.shaper.out[points]
		c.command(moveTo, 1)
		c.to(at)
	}
}
