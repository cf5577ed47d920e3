package report

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/twpayne/go-geom"

	"changde/ingest/finding"
	"changde/ingest/geojson"
	"changde/ingest/geopackage"
	"changde/ingest/layer"
)

// PointLayer is the name of the layer of findings that have a place.
const PointLayer = "错误点"

const srid = 4490

// pointFields are the attributes of a point.
func pointFields() []layer.Field {
	return []layer.Field{
		{Name: "row", Type: layer.Integer},
		{Name: "file", Type: layer.Text},
		{Name: "rule", Type: layer.Text},
		{Name: "title", Type: layer.Text},
		{Name: "code", Type: layer.Text},
		{Name: "severity", Type: layer.Text},
		{Name: "action", Type: layer.Text},
		{Name: "field", Type: layer.Text},
		{Name: "text_zh", Type: layer.Text},
		{Name: "text_en", Type: layer.Text},
		{Name: "before", Type: layer.Text},
		{Name: "after", Type: layer.Text},
	}
}

// points streams the findings that have a place as rows of a layer. The point and
// the values are used again for each.
func (d *Document) points(f func(geom.T, []any) error) error {
	values := make([]any, len(pointFields()))
	point := geom.NewPoint(geom.XY).SetSRID(srid)
	orNull := func(s string) any {
		if s == "" {
			return nil
		}
		return s
	}
	return d.each(func(x finding.Finding) error {
		if x.Place == nil {
			return nil
		}
		title, _ := RuleTitle(x.Rule)
		values[0] = nil
		if x.Row > 0 {
			values[0] = x.Row
		}
		for i, s := range []string{
			x.File, x.Rule, title, x.Code, string(x.Severity), string(x.Action), x.Field, x.ZH, x.EN, x.Before, x.After,
		} {
			values[i+1] = orNull(s)
		}
		copy(point.FlatCoords(), x.Place[:])
		return f(point, values)
	})
}

// GeoJSON writes the findings that have a place as points of one
// FeatureCollection (RFC 7946), X longitude and Y latitude of EPSG:4490. After an
// error what was written is not valid JSON.
func GeoJSON(w io.Writer, d Document) error {
	if err := d.check(); err != nil {
		return err
	}
	out := geojson.NewWriter(w, PointLayer, "")
	fields := pointFields()
	if err := d.points(func(g geom.T, values []any) error { return out.Write(g, fields, values) }); err != nil {
		return err
	}
	return out.Close()
}

// GeoPackage writes the findings that have a place as points of a GeoPackage in
// EPSG:4490. A file that is there is replaced; after an error there is none.
func GeoPackage(ctx context.Context, path string, d Document) (err error) {
	if err := d.check(); err != nil {
		return err
	}
	w, err := geopackage.Create(path, geopackage.Table{
		Name: PointLayer, EPSG: srid, GeometryType: "Point", Fields: pointFields(), LastChange: d.Finished,
	})
	if err != nil {
		return fmt.Errorf("report of delivery %d: %w", d.Delivery, err)
	}
	err = d.points(func(g geom.T, values []any) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return w.Write(g, values)
	})
	if closed := w.Close(); err == nil {
		err = closed
	}
	if err != nil {
		if gone := os.Remove(path); gone != nil && !errors.Is(gone, os.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	return err
}
