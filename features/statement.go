package features

import (
	"time"

	"changde/catalog"
	"changde/ingest/layer"
	"changde/postgis"
)

// selectFeatures begins a statement whose rows featureWriter writes: fid, geom and
// the columns.
func selectFeatures(columns []catalog.Column) *postgis.SQL {
	s := new(postgis.SQL).Raw("SELECT fid, geom")
	for _, c := range columns {
		s.Raw(", ")
		catalog.SelectColumn(s, c)
	}
	return s
}

// pageSQL selects fid, geom and the columns of a page and of one row more, which
// tells whether there is a next page.
//
// The order is that of the primary key, so that PostgreSQL may walk it from
// AfterFID and stop after the page; for a small box it reads the spatial index
// and sorts the few rows instead. The choice is the planner's, who is told the
// box itself (see options).
func pageSQL(d *catalog.Dataset, r *catalog.Release, q *Query) *postgis.SQL {
	s := selectFeatures(r.Columns)
	r.From(s)
	where(s, d, r, q, true)
	s.Raw(" ORDER BY fid LIMIT ").Arg(int64(q.Limit) + 1)
	if q.Offset > 0 {
		s.Raw(" OFFSET ").Arg(q.Offset)
	}
	return s
}

// countSQL counts the rows that match on all pages, up to one more than countLimit.
func countSQL(d *catalog.Dataset, r *catalog.Release, q *Query) *postgis.SQL {
	s := r.From(new(postgis.SQL).Raw("SELECT count(*) FROM (SELECT"))
	where(s, d, r, q, false)
	return s.Raw(" LIMIT ").Int(countLimit + 1).Raw(") matches")
}

func where(s *postgis.SQL, d *catalog.Dataset, r *catalog.Release, q *Query, keyset bool) {
	var terms []*postgis.SQL
	if keyset && q.AfterFID != nil {
		terms = append(terms, new(postgis.SQL).Raw("fid > ").Arg(*q.AfterFID))
	}
	if q.Bounds != nil {
		terms = append(terms, boxTerm(*q.Bounds))
	}
	if c, ok := timeColumn(d, r); ok {
		if q.From != nil {
			terms = append(terms, timeTerm(c, *q.From, true))
		}
		if q.To != nil {
			terms = append(terms, timeTerm(c, *q.To, false))
		}
	}
	if q.Filter != nil {
		terms = append(terms, q.Filter.SQL())
	}
	for _, t := range terms {
		s.Raw(" AND ").Add(t)
	}
}

// boxTerm is true for geometries that meet the box.
func boxTerm(b catalog.Bounds) *postgis.SQL {
	if b[0] <= b[2] {
		return meets(b)
	}
	east, west := b, b
	east[2], west[0] = 180, -180
	return new(postgis.SQL).Raw("(").Add(meets(east)).Raw(" OR ").Add(meets(west)).Raw(")")
}

func meets(b catalog.Bounds) *postgis.SQL {
	box := box(b)
	return new(postgis.SQL).Raw("(geom && ").Add(box).Raw(" AND ST_Intersects(geom, ").Add(box).Raw("))")
}

// box is the box as a geometry. A box without an area is not a polygon that
// GEOS could intersect with: it is the point or the line it has shrunk to.
func box(b catalog.Bounds) *postgis.SQL {
	s := new(postgis.SQL)
	switch {
	case b[0] == b[2] && b[1] == b[3]:
		return s.Raw("ST_SetSRID(ST_MakePoint(").Arg(b[0]).Raw("::float8, ").Arg(b[1]).Raw("::float8), 4490)")
	case b[0] == b[2] || b[1] == b[3]:
		return s.Raw("ST_SetSRID(ST_MakeLine(ST_MakePoint(").Arg(b[0]).Raw("::float8, ").Arg(b[1]).
			Raw("::float8), ST_MakePoint(").Arg(b[2]).Raw("::float8, ").Arg(b[3]).Raw("::float8)), 4490)")
	}
	return s.Raw("ST_MakeEnvelope(").Arg(b[0]).Raw("::float8, ").Arg(b[1]).Raw("::float8, ").
		Arg(b[2]).Raw("::float8, ").Arg(b[3]).Raw("::float8, 4490)")
}

// timeColumn is the column that datetime filters on, when the dataset names one
// and it holds dates or times.
func timeColumn(d *catalog.Dataset, r *catalog.Release) (catalog.Column, bool) {
	if d.TimeColumn == "" {
		return catalog.Column{}, false
	}
	c, ok := r.Column(d.TimeColumn)
	return c, ok && (c.Type == layer.Date || c.Type == layer.Timestamp)
}

func temporal(d *catalog.Dataset, r *catalog.Release) bool {
	_, ok := timeColumn(d, r)
	return ok
}

// timeTerm compares with one end of an interval. A date is a whole day, of which
// any moment will do.
func timeTerm(c catalog.Column, t time.Time, from bool) *postgis.SQL {
	s := new(postgis.SQL).Ident(c.Name)
	if from {
		s.Raw(" >= ")
	} else {
		s.Raw(" <= ")
	}
	if c.Type == layer.Date {
		return s.Arg(t.UTC().Format(time.DateOnly)).Raw("::text::date")
	}
	return s.Arg(t.UTC()).Raw("::timestamptz")
}
