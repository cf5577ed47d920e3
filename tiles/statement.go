package tiles

import (
	"github.com/jackc/pgx/v5"

	"changde/catalog"
	"changde/postgis"
)

// selection says which rows of a release a tile is made of.
type selection struct {
	release *catalog.Release
	columns []catalog.Column
	filter  *postgis.SQL   // nil: none
	box     catalog.Bounds // of the tile with its margin, degrees
	edited  bool           // rows come and go without a release, so its extent may lag
	dim     int            // as dimensionOf says
	least   float32        // the span in degrees below which rows are left in the database; 0: none
	limit   int
	ranking *ranking // nil: rows have no rank
}

// mode has statements planned with their values each time: a plan for any box suits
// no box. One with a filter may never come again, and is not remembered.
func (s *selection) mode() pgx.QueryExecMode {
	if s.filter != nil {
		return pgx.QueryExecModeDescribeExec
	}
	return pgx.QueryExecModeCacheDescribe
}

// rowsSQL selects fid, span, geom and the columns, in the order of their ranks, the
// largest rows first and those of a size by fid. Points are all of one size, so the primary key gives
// their order; otherwise the index on span gives it wherever the limit or the
// least span, rather than the box, is what keeps rows out.
func (s *selection) rowsSQL() *postgis.SQL {
	q := s.body(new(postgis.SQL).Raw("SELECT fid, span, geom"))
	if s.least > 0 {
		q.Raw(" AND ")
		if s.dim < 0 {
			// A point is never too small, nor is a collection, which may have one.
			q.Raw("(").Add(s.larger()).Raw(" OR GeometryType(geom) LIKE '%POINT%' OR GeometryType(geom) LIKE 'GEOMETRYCOLLECTION%')")
		} else {
			q.Add(s.larger())
		}
	}
	q.Raw(" ORDER BY ")
	if s.ranking != nil {
		s.ranking.sql(q).Raw(", ")
	}
	if s.dim != 0 {
		q.Raw("span DESC, ")
	}
	return q.Raw("fid LIMIT ").Arg(int64(s.limit))
}

// body goes on with the columns, of the rows in the box.
func (s *selection) body(q *postgis.SQL) *postgis.SQL {
	for _, c := range s.columns {
		q.Raw(", ")
		catalog.SelectColumn(q, c)
	}
	s.release.From(q).Raw(" AND ")
	s.inBox(q)
	return q
}

// allSQL selects fid, geom and the columns of the rows in the box in no order, all
// of them when limit is 0.
func (s *selection) allSQL(limit int64) *postgis.SQL {
	q := s.body(new(postgis.SQL).Raw("SELECT fid, geom"))
	if limit > 0 {
		q.Raw(" LIMIT ").Arg(limit)
	}
	return q
}

// countSQL counts the selected rows in the box, whatever their size, up to limit.
func (s *selection) countSQL(limit int64) *postgis.SQL {
	q := s.release.From(new(postgis.SQL).Raw("SELECT count(*) FROM (SELECT")).Raw(" AND ")
	s.inBox(q)
	return q.Raw(" LIMIT ").Arg(limit).Raw(") rows")
}

func (s *selection) larger() *postgis.SQL {
	return new(postgis.SQL).Raw("span >= ").Arg(s.least).Raw("::real")
}

// inBox appends the conditions that rows of any size meet.
func (s *selection) inBox(q *postgis.SQL) {
	q.Raw("geom && ST_MakeEnvelope(").Arg(s.box[0]).Raw("::float8, ").Arg(s.box[1]).Raw("::float8, ").
		Arg(s.box[2]).Raw("::float8, ").Arg(s.box[3]).Raw("::float8, 4490)")
	if s.filter != nil {
		q.Raw(" AND ").Add(s.filter)
	}
}
