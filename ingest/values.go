package ingest

import (
	"changde/catalog"
	"changde/ingest/layer"
	"changde/postgis"
)

// Bounds of the values that a listed change shows: fields of a feature, and
// characters of a value.
const (
	maxShownFields = 50
	maxShownText   = 200
)

// appendValues appends the fields that differ between the rows x and y as a JSON
// object of their values on one side, each as its text, cut where it is long; NULL
// for rows that did not change so. A value is written only where its field changed,
// and without a query within, which would keep the rows from several processes.
func (s *sides) appendValues(q *postgis.SQL, side string, column func(q *postgis.SQL, side, name string)) {
	q.Raw("CASE WHEN c.kind = 'changed' AND c.fields <> '{}' THEN jsonb_object((NULL::text[]")
	for _, c := range s.columns {
		q.Raw(" || CASE WHEN ")
		column(q, "x", c.Name)
		q.Raw(" IS DISTINCT FROM ")
		column(q, "y", c.Name)
		q.Raw(" THEN ARRAY[").Literal(c.Name).Raw(", ")
		value := new(postgis.SQL)
		column(value, side, c.Name)
		switch c.Type {
		case layer.Timestamp:
			// As the features are written, whatever the session's zone.
			q.Raw("to_json(").Add(value).Raw(" AT TIME ZONE 'UTC')#>>'{}' || 'Z'")
		case layer.Text:
			q.Raw("CASE WHEN length(").Add(value).Raw(") > ").Int(maxShownText).Raw(" THEN left(").Add(value).Raw(", ").Int(maxShownText - 1).
				Raw(") || '…' ELSE ").Add(value).Raw(" END")
		default:
			q.Add(value).Raw("::text")
		}
		q.Raw("] END")
	}
	q.Raw(")[1:").Int(2 * maxShownFields).Raw("]) END")
}

// DifferenceColumns are the attributes of a listed difference; values tells whether
// those before and after are among them (Difference.Values).
func DifferenceColumns(values bool) []catalog.Column {
	columns := []catalog.Column{
		{Name: "kind", Alias: "变化"},
		{Name: "key", Alias: "业务主键"},
		{Name: "label", Alias: "名称"},
		{Name: "fields", Alias: "变化字段"},
		{Name: "moved", Alias: "图形变化", Type: layer.Boolean},
		{Name: "before_fid", Alias: "原要素", Type: layer.Integer},
		{Name: "row_number", Alias: "交付行号", Type: layer.Integer},
	}
	if values {
		columns = append(columns, catalog.Column{Name: "before", Alias: "原值", JSON: true}, catalog.Column{Name: "after", Alias: "新值", JSON: true})
	}
	return columns
}
