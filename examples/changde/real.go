package changde

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/twpayne/go-geom"

	"changde/ingest/layer"
	"changde/ingest/shapefile"
)

// writeCounties writes the real counties as the land bureau would: GBK Shapefile,
// zone 37.
func (c *city) writeCounties(ctx context.Context, d *Delivery) error {
	fs, err := readFeatures("counties.geojson")
	if err != nil {
		return err
	}
	out, err := create(d, table{name: "XZQ", kind: shapefile.Polygon, fields: []layer.Field{text("XZQDM", 6), text("XZQMC", 30), text("SJMC", 30), text("BZ", 40)}})
	if err != nil {
		return err
	}
	out.degrees = true
	for _, f := range fs {
		if err := ctx.Err(); err != nil {
			out.abandon()
			return err
		}
		var polys [][][][]float64
		if err := json.Unmarshal(f.Geometry.Coordinates, &polys); err != nil {
			out.abandon()
			return err
		}
		var flat []float64
		var endss [][]int
		for _, poly := range polys {
			var ends []int
			for _, ring := range poly {
				start := len(flat)
				for _, p := range ring {
					flat = append(flat, p[0], p[1])
				}
				if outer := len(ends) == 0; outer == anticlockwise(flat[start:]) {
					reverse(flat[start:]) // a Shapefile wants outer rings clockwise, holes the other way
				}
				ends = append(ends, len(flat))
			}
			endss = append(endss, ends)
		}
		row := []any{str(f.Properties, "adcode"), str(f.Properties, "name"), str(f.Properties, "city"), "非标准地图，仅为示意"}
		if err := out.add(geom.NewMultiPolygonFlat(geom.XY, flat, endss), row); err != nil {
			out.abandon()
			return err
		}
	}
	return out.finish()
}

// anticlockwise reports the turn of a closed ring.
func anticlockwise(flat []float64) bool {
	sum := 0.0
	for k := 2; k+3 < len(flat); k += 2 {
		sum += (flat[k]-flat[0])*(flat[k+3]-flat[1]) - (flat[k+2]-flat[0])*(flat[k+1]-flat[1])
	}
	return sum > 0
}

// writePlaces writes the real place names as GeoPackage.
func (c *city) writePlaces(ctx context.Context, d *Delivery) error {
	fs, err := readFeatures("places.geojson")
	if err != nil {
		return err
	}
	out, err := create(d, table{name: "places", gtype: "POINT", fields: []layer.Field{
		whole("geonameid", 0), text("name", 0), text("name_zh", 0), text("names_zh", 0),
		text("fcode", 0), whole("population", 0), whole("dem", 0),
		{Name: "moddate", Type: layer.Date},
	}})
	if err != nil {
		return err
	}
	out.degrees = true
	for i, f := range fs {
		var xy []float64
		if err := json.Unmarshal(f.Geometry.Coordinates, &xy); err != nil || len(xy) < 2 {
			out.abandon()
			return fmt.Errorf("places.geojson feature %d has no point: %w", i, err)
		}
		number := func(key string) any { n, _ := f.Properties[key].(float64); return int64(n) }
		day, err := time.Parse(time.DateOnly, str(f.Properties, "moddate"))
		if err != nil {
			out.abandon()
			return fmt.Errorf("places.geojson feature %d: %w", i, err)
		}
		row := []any{number("geonameid"), str(f.Properties, "name"), str(f.Properties, "name_zh"), str(f.Properties, "names_zh"), str(f.Properties, "fcode"), number("population"), number("dem"), day}
		if err := out.add(geom.NewPointFlat(geom.XY, xy[:2]), row); err != nil {
			out.abandon()
			return err
		}
	}
	return out.finish()
}

func (c *city) writeRivers(ctx context.Context, d *Delivery) error {
	return writeLines(d, "rivers.geojson", "river_id", "R")
}

func (c *city) writeLakes(ctx context.Context, d *Delivery) error {
	return writeLines(d, "lakes.geojson", "lake_id", "L")
}

// writeLines copies a real line layer, giving each line an id by its order.
func writeLines(d *Delivery, name, key, prefix string) error {
	fs, err := readFeatures(name)
	if err != nil {
		return err
	}
	out, err := create(d, table{name: d.Dataset, fields: []layer.Field{text(key, 0), whole("level", 0)}})
	if err != nil {
		return err
	}
	out.degrees = true
	for i, f := range fs {
		var line [][]float64
		if err := json.Unmarshal(f.Geometry.Coordinates, &line); err != nil {
			out.abandon()
			return err
		}
		flat := make([]float64, 0, 2*len(line))
		for _, p := range line {
			flat = append(flat, p[0], p[1])
		}
		level, _ := f.Properties["level"].(float64)
		if err := out.add(geom.NewLineStringFlat(geom.XY, flat), []any{fmt.Sprintf("%s%03d", prefix, i+1), int64(level)}); err != nil {
			out.abandon()
			return err
		}
	}
	return out.finish()
}
