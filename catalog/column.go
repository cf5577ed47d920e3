package catalog

import (
	"changde/ingest/layer"
	"changde/postgis"
)

// AppendType appends the name of the PostgreSQL type that values of t are stored
// in.
func AppendType(s *postgis.SQL, t layer.Type) {
	switch t {
	case layer.Integer:
		s.Raw("bigint")
	case layer.Real:
		s.Raw("double precision")
	case layer.Decimal:
		s.Raw("numeric")
	case layer.Boolean:
		s.Raw("boolean")
	case layer.Date:
		s.Raw("date")
	case layer.Timestamp:
		s.Raw("timestamptz")
	default:
		s.Raw("text")
	}
}

// SelectColumn appends the column as the type the release declares; for a table
// of ours the cast does nothing.
func SelectColumn(s *postgis.SQL, c Column) {
	s.Ident(c.Name).Raw("::")
	AppendType(s, c.Type)
}
