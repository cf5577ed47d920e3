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

// appendValues appends the changed fields c.fields of one side as a JSON object, each
// value as its text, cut where it is long; NULL for rows that did not change so. A
// value is written only where its field changed.
func (s *sides) appendValues(q *postgis.SQL, side string, column func(q *postgis.SQL, side, name string)) {
	fields := new(postgis.SQL).Raw("c.fields[1:").Int(maxShownFields).Raw("]")
	q.Raw("CASE WHEN c.kind = 'changed' AND c.fields <> '{}' THEN jsonb_object(").Add(fields).
		Raw(", ARRAY(SELECT CASE WHEN length(v) > ").Int(maxShownText).Raw(" THEN left(v, ").Int(maxShownText - 1).Raw(") || '…' ELSE v END FROM (SELECT CASE f")
	for _, c := range s.columns {
		q.Raw(" WHEN ").Literal(c.Name).Raw(" THEN ")
		if c.Type == layer.Timestamp {
			// As the features are written, whatever the session's zone.
			q.Raw("to_json(")
			column(q, side, c.Name)
			q.Raw(" AT TIME ZONE 'UTC')#>>'{}' || 'Z'")
			continue
		}
		column(q, side, c.Name)
		q.Raw("::text")
	}
	// Without the barriers a value would be written as often as it is looked at.
	q.Raw(" END AS v FROM (SELECT unnest(").Add(fields).Raw(") AS f OFFSET 0) n OFFSET 0) u)) END")
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
