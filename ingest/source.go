package ingest

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"changde/ingest/charset"
	"changde/ingest/crs"
	"changde/ingest/csv"
	"changde/ingest/geojson"
	"changde/ingest/geopackage"
	"changde/ingest/layer"
	"changde/ingest/shapefile"
	"changde/ingest/vct"
	"changde/problem"
)

// inspectTimeout bounds the look into one GeoPackage.
const inspectTimeout = time.Minute

const formatShapefile = "ESRI Shapefile"

// source is one layer of one file of a delivery: what its format's reader said
// about it, and how to read it.
type source struct {
	format   string
	file     string // as the sender named it
	layer    string
	rows     int64 // as the file declares, 0 unknown
	fields   []layer.Field
	geometry string // OGC name of the type that takes every row
	z        bool
	encoding Choice
	crs      crs.Evidence // without the city's box
	notes    []layer.Fault
	drawn    bool              // of a drawing, which has areas as closed lines
	aliases  map[string]string // titles of fields that the format has, by name
	open     func() (layer.Reader, error)
	close    func() error // lets go of what the look into the file holds, may be nil
}

// differs says why two sources are not sheets of one layer, or nothing.
func (s source) differs(t source) string {
	if s.geometry != t.geometry {
		return s.geometry + " ≠ " + t.geometry
	}
	if len(s.fields) != len(t.fields) {
		return fmt.Sprintf("%d ≠ %d fields", len(s.fields), len(t.fields))
	}
	for i := range s.fields {
		if s.fields[i].Name != t.fields[i].Name || s.fields[i].Type != t.fields[i].Type {
			return fmt.Sprintf("%q ≠ %q", s.fields[i].Name, t.fields[i].Name)
		}
	}
	return ""
}

func layerName(name string) string {
	base := filepath.Base(name)
	return strings.TrimSuffix(base, filepath.Ext(base))
}

func shapefileSources(_ context.Context, f file, r Request) ([]source, error) {
	info, err := shapefile.Inspect(f.path)
	if err != nil {
		return nil, err
	}
	choice, err := charset.Detect(charset.Evidence{User: r.Encoding, CPG: info.CPG, LDID: info.LDID, Sample: info.Sample})
	if err != nil {
		return nil, err
	}
	open := func() (*shapefile.Reader, error) {
		decoder, err := charset.NewDecoder(choice.Name)
		if err != nil {
			return nil, err
		}
		return shapefile.Open(f.path, shapefile.Options{Decode: decoder.Decode})
	}
	// The fields are known once their names are decoded.
	reader, err := open()
	if err != nil {
		return nil, err
	}
	fields, notes := reader.Fields(), reader.Notes()
	if err := reader.Close(); err != nil {
		return nil, fmt.Errorf("close %s: %w", f.name, err)
	}
	return []source{{
		format: formatShapefile, file: f.name, layer: layerName(f.name), rows: info.Records, fields: fields,
		geometry: shapefileGeometry(info.ShapeType), z: info.HasZ,
		encoding: Choice{Value: choice.Name, ZH: choice.ZH, EN: choice.EN},
		crs:      crs.Evidence{WKT: info.PRJ, Points: info.FirstPoints},
		notes:    notes,
		open:     func() (layer.Reader, error) { return open() },
	}}, nil
}

// shapefileGeometry is the column type for a file's shapes: a Polygon record may
// have several outer rings, a PolyLine several parts.
func shapefileGeometry(t shapefile.ShapeType) string {
	switch t {
	case shapefile.Point, shapefile.PointZ, shapefile.PointM:
		return "Point"
	case shapefile.MultiPoint, shapefile.MultiPointZ, shapefile.MultiPointM:
		return "MultiPoint"
	case shapefile.PolyLine, shapefile.PolyLineZ, shapefile.PolyLineM:
		return "MultiLineString"
	case shapefile.Polygon, shapefile.PolygonZ, shapefile.PolygonM:
		return "MultiPolygon"
	}
	return "Geometry"
}

func geopackageSources(ctx context.Context, f file, _ Request) ([]source, error) {
	// A view may never end.
	limited, cancel := context.WithTimeout(ctx, inspectTimeout)
	defer cancel()
	layers, err := geopackage.Inspect(limited, f.path)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return nil, problem.Wrap(err, problem.TooLarge, "inspect-timeout", f.name, "文件在一分钟内未能读完目录；若图层是视图，请导出为表", "the file could not be looked through in a minute; if a layer is a view, export it as a table")
	}
	if err != nil {
		return nil, err
	}
	out := make([]source, 0, len(layers))
	for _, l := range layers {
		out = append(out, source{
			format: "GeoPackage", file: f.name, layer: l.Name, rows: l.Features, fields: l.Fields,
			geometry: geometryOf(l.GeometryType), z: l.HasZ,
			encoding: Choice{Value: "UTF-8", ZH: "GeoPackage 规定文本为 UTF-8", EN: "GeoPackage text is UTF-8 by its standard"},
			crs:      crs.Evidence{EPSG: l.EPSG, SRSName: l.SRSName, WKT: l.WKT, Points: l.FirstPoints},
			notes:    l.Notes,
			open:     func() (layer.Reader, error) { return geopackage.Open(f.path, l.Name) },
		})
	}
	return out, nil
}

func geojsonSources(ctx context.Context, f file, _ Request) ([]source, error) {
	info, err := geojson.Inspect(ctx, f.path)
	if err != nil {
		return nil, err
	}
	types := make([]string, 0, len(info.GeometryTypes))
	for t := range info.GeometryTypes {
		types = append(types, t)
	}
	name := info.CRSName
	if name == "" {
		name = "urn:ogc:def:crs:OGC:1.3:CRS84" // RFC 7946, 4
	}
	encoding := Choice{Value: "UTF-8", ZH: "GeoJSON 规定为 UTF-8（RFC 7946）", EN: "GeoJSON is UTF-8 (RFC 7946)"}
	for _, n := range info.Notes {
		if n.Code == "encoding-gb18030" {
			encoding = Choice{Value: "GB18030", ZH: n.ZH, EN: n.EN}
		}
	}
	return []source{{
		format: "GeoJSON", file: f.name, layer: layerName(f.name), rows: info.Features, fields: info.Fields,
		geometry: geometryOf(types...), z: info.HasZ,
		encoding: encoding,
		crs:      crs.Evidence{SRSName: name, Points: info.FirstPoints},
		notes:    info.Notes,
		open:     func() (layer.Reader, error) { return geojson.Open(f.path, info) },
	}}, nil
}

func csvSources(ctx context.Context, f file, r Request) ([]source, error) {
	info, err := csv.Inspect(ctx, f.path, csv.Options{Encoding: r.Encoding, Geometry: r.geometryColumns()})
	if err != nil {
		return nil, err
	}
	types := make([]string, 0, len(info.GeometryTypes))
	for t := range info.GeometryTypes {
		types = append(types, t)
	}
	geometry := geometryOf(types...)
	if info.Geometry.WKT < 0 {
		geometry = "Point"
	}
	notes := append([]layer.Fault{{Code: "geometry-column", ZH: info.Geometry.ZH, EN: info.Geometry.EN}}, info.Notes...)
	return []source{{
		format: "CSV", file: f.name, layer: layerName(f.name), rows: info.Rows, fields: info.Fields,
		geometry: geometry, z: info.HasZ,
		encoding: Choice{Value: info.Encoding.Name, ZH: info.Encoding.ZH, EN: info.Encoding.EN},
		crs:      crs.Evidence{EPSG: info.EPSG, Points: info.FirstPoints},
		notes:    notes,
		open:     func() (layer.Reader, error) { return csv.Open(f.path, info) },
	}}, nil
}

// geometryColumns are the names in GeometryColumns.
func (r Request) geometryColumns() []string {
	if r.GeometryColumns == "" {
		return nil
	}
	return strings.FieldsFunc(r.GeometryColumns, func(c rune) bool { return c == ',' || c == '，' })
}

func vctSources(ctx context.Context, f file, r Request) ([]source, error) {
	info, err := vct.Inspect(ctx, f.path, vct.Options{Encoding: r.Encoding})
	if err != nil {
		return nil, err
	}
	out := make([]source, 0, len(info.Layers))
	for _, l := range info.Layers {
		types := make([]string, 0, len(l.GeometryTypes))
		for t, n := range l.GeometryTypes {
			if n > 0 {
				types = append(types, t)
			}
		}
		if l.Objects == 0 {
			continue // a table without graphics
		}
		out = append(out, source{
			format: "VCT " + info.Version, file: f.name, layer: l.Name, rows: l.Features, fields: l.Fields,
			geometry: geometryOf(types...), z: info.HasZ,
			encoding: Choice{Value: info.Encoding.Name, ZH: info.Encoding.ZH, EN: info.Encoding.EN},
			crs:      crs.Evidence{EPSG: info.CRS.EPSG, WKT: info.CRS.WKT, Points: l.FirstPoints},
			notes:    info.Notes,
			open:     func() (layer.Reader, error) { return vct.Open(ctx, f.path, info, l.Name) },
		})
	}
	if len(out) == 0 {
		return nil, errors.Join(problem.New(problem.Invalid, "no-layers", f.name, "文件没有图形", "the file has no graphics"), info.Close())
	}
	out[0].close = info.Close
	return out, nil
}
