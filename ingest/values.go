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

// appendValues appends the changed fields of one side as a JSON object, each value as
// text; NULL where nothing but the geometry changed, or the feature came or went.
func (s *sides) appendValues(q *postgis.SQL, side string) {
	names, values := new(postgis.SQL), new(postgis.SQL)
	for i, c := range s.columns {
		if i > 0 {
			names.Raw(", ")
			values.Raw(", ")
		}
		names.Literal(c.Name)
		if c.Type == layer.Timestamp {
			// As the features are written, whatever the session's zone.
			values.Raw("to_json(").Ident(side, c.Name).Raw(" AT TIME ZONE 'UTC')#>>'{}' || 'Z'")
			continue
		}
		values.Ident(side, c.Name).Raw("::text")
	}
	fields := new(postgis.SQL).Raw("c.fields[1:").Int(maxShownFields).Raw("]")
	q.Raw("CASE WHEN c.kind = 'changed' AND c.fields <> '{}' THEN jsonb_object(").Add(fields).
		Raw(", ARRAY(SELECT CASE WHEN length(v) > ").Int(maxShownText).Raw(" THEN left(v, ").Int(maxShownText - 1).Raw(") || '…' ELSE v END FROM (SELECT w.v[array_position(ARRAY[").
		Add(names).Raw("]::text[], f)] AS v FROM (SELECT ARRAY[").Add(values).
		// Without the barriers the array would be made for each of its elements.
		Raw("]::text[] AS v OFFSET 0) w, unnest(").Add(fields).Raw(") f OFFSET 0) u)) END")
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
