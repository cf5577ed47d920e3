package geojson

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/twpayne/go-geom"

	"changde/ingest/layer"
)

// Writer writes one FeatureCollection as a stream. It is used by one goroutine.
type Writer struct {
	w     *bufio.Writer
	buf   []byte
	rows  bool // a feature was written
	err   error
	names struct {
		fields []layer.Field
		json   [][]byte // `"name":` of each
	}
}

// NewWriter begins a FeatureCollection. name becomes its "name" member and crs the
// name in a "crs" member of GeoJSON 2008, such as "urn:ogc:def:crs:EPSG::4490"; both
// are left out when empty. RFC 7946 knows no "crs": leave it empty where X and Y are
// longitude and latitude of WGS 84 (or CGCS2000, which agrees within a few
// centimetres).
func NewWriter(w io.Writer, name, crs string) *Writer {
	out := &Writer{w: bufio.NewWriterSize(w, 64<<10)}
	b := append(out.buf, `{"type":"FeatureCollection"`...)
	if name != "" {
		b = append(b, `,"name":`...)
		b = appendString(b, name)
	}
	if crs != "" {
		b = append(b, `,"crs":{"type":"name","properties":{"name":`...)
		b = appendString(b, crs)
		b = append(b, "}}"...)
	}
	b = append(b, `,"features":[`...)
	_, out.err = out.w.Write(b)
	out.buf = b
	return out
}

// Write adds one feature. g may be nil; X and Y are written as they are, Z is kept,
// M left out, and polygons are wound by the right-hand rule (RFC 7946, 3.1.6).
// values has one entry of the Go type that layer.Type documents for each field, nil
// for null; fields must not be changed between calls that share it. Numbers that are
// not finite are an error. After an error of the io.Writer nothing more is written.
func (w *Writer) Write(g geom.T, fields []layer.Field, values []any) error {
	if w.err != nil {
		return w.err
	}
	if len(fields) != len(values) {
		return fmt.Errorf("geojson: %d values for %d fields", len(values), len(fields))
	}
	b := w.buf[:0]
	if w.rows {
		b = append(b, ',')
	}
	b = append(b, "\n{\"type\":\"Feature\",\"geometry\":"...)
	b, err := appendGeometry(b, g)
	if err != nil {
		return err
	}
	b = append(b, `,"properties":{`...)
	w.setNames(fields)
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, w.names.json[i]...)
		if b, err = appendValue(b, fields[i], v); err != nil {
			return err
		}
	}
	b = append(b, "}}"...)
	w.buf = b
	w.rows = true
	_, w.err = w.w.Write(b)
	return w.err
}

// setNames encodes the names of the fields when they are not those of the last row.
func (w *Writer) setNames(fields []layer.Field) {
	if len(fields) == len(w.names.fields) && (len(fields) == 0 || &fields[0] == &w.names.fields[0]) {
		return
	}
	w.names.fields = fields
	w.names.json = w.names.json[:0]
	for _, f := range fields {
		w.names.json = append(w.names.json, append(appendString(nil, f.Name), ':'))
	}
}

// Close ends the collection and flushes it. It does not close the io.Writer.
func (w *Writer) Close() error {
	if w.err != nil {
		return w.err
	}
	if _, w.err = w.w.WriteString("\n]}\n"); w.err == nil {
		w.err = w.w.Flush()
	}
	if w.err == nil {
		w.err = errors.New("geojson: the writer is closed")
		return nil
	}
	return w.err
}

func appendValue(b []byte, f layer.Field, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case string:
		if f.Type != layer.Decimal {
			return appendString(b, v), nil
		}
		c := cursor{b: []byte(v)}
		if _, err := c.number(); err != nil || c.i != len(v) {
			return b, fmt.Errorf("geojson: field %q: %q is not a decimal number", f.Name, v)
		}
		return append(b, v...), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case float64:
		out, ok := appendFloat(b, v)
		if !ok {
			return b, fmt.Errorf("geojson: field %q: JSON has no number %v", f.Name, v)
		}
		return out, nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case time.Time:
		b = append(b, '"')
		if f.Type == layer.Date {
			b = v.AppendFormat(b, time.DateOnly)
		} else {
			b = v.AppendFormat(b, time.RFC3339Nano)
		}
		return append(b, '"'), nil
	}
	return b, fmt.Errorf("geojson: field %q: values of type %T are not written", f.Name, v)
}

// appendFloat writes the shortest decimal that reads back as v.
func appendFloat(b []byte, v float64) ([]byte, bool) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return b, false
	}
	format := byte('f')
	if abs := math.Abs(v); abs != 0 && (abs < 1e-9 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(b, v, format, -1, 64), true
}

const hexDigits = "0123456789abcdef"

func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				b = append(append(b, s[from:i]...), "\uFFFD"...)
				from = i + n
			}
			i += n
			continue
		}
		if c < 0x20 || c == '"' || c == '\\' {
			b = append(b, s[from:i]...)
			switch c {
			case '"', '\\':
				b = append(b, '\\', c)
			case '\n':
				b = append(b, `\n`...)
			case '\r':
				b = append(b, `\r`...)
			case '\t':
				b = append(b, `\t`...)
			default:
				b = append(b, `\u00`...)
				b = append(b, hexDigits[c>>4], hexDigits[c&15])
			}
			from = i + 1
		}
		i++
	}
	return append(append(b, s[from:]...), '"')
}

func appendGeometry(b []byte, g geom.T) ([]byte, error) {
	if g == nil {
		return append(b, "null"...), nil
	}
	if gc, ok := g.(*geom.GeometryCollection); ok {
		b = append(b, `{"type":"GeometryCollection","geometries":[`...)
		var err error
		for i, part := range gc.Geoms() {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendGeometry(b, part); err != nil {
				return b, err
			}
		}
		return append(b, "]}"...), nil
	}
	c := coordinates{flat: g.FlatCoords(), stride: g.Stride(), dim: 2}
	if g.Layout() == geom.XYZ || g.Layout() == geom.XYZM {
		c.dim = 3
	}
	for _, v := range c.flat {
		// The Z and M that are not written count too: they should not be there.
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return b, fmt.Errorf("geojson: a coordinate is %v", v)
		}
	}
	switch g := g.(type) {
	case *geom.Point:
		b = append(b, `{"type":"Point","coordinates":`...)
		if len(c.flat) == 0 {
			b = append(b, "[]"...)
		} else {
			b = c.position(b, 0)
		}
	case *geom.MultiPoint:
		b = append(b, `{"type":"MultiPoint","coordinates":`...)
		b = c.line(b, 0, len(c.flat))
	case *geom.LineString:
		b = append(b, `{"type":"LineString","coordinates":`...)
		b = c.line(b, 0, len(c.flat))
	case *geom.MultiLineString:
		b = append(b, `{"type":"MultiLineString","coordinates":`...)
		b = c.lines(b, 0, g.Ends(), false)
	case *geom.Polygon:
		b = append(b, `{"type":"Polygon","coordinates":`...)
		b = c.lines(b, 0, g.Ends(), true)
	case *geom.MultiPolygon:
		b = append(b, `{"type":"MultiPolygon","coordinates":[`...)
		from := 0
		for i, ends := range g.Endss() {
			if i > 0 {
				b = append(b, ',')
			}
			b = c.lines(b, from, ends, true)
			if len(ends) > 0 {
				from = ends[len(ends)-1]
			}
		}
		b = append(b, ']')
	default:
		return b, fmt.Errorf("geojson: geometries of type %T are not written", g)
	}
	return append(b, '}'), nil
}

// coordinates writes flat coordinates; dim of the stride numbers of each position
// are written.
type coordinates struct {
	flat        []float64
	stride, dim int
}

func (c coordinates) position(b []byte, i int) []byte {
	for k := range c.dim {
		if k == 0 {
			b = append(b, '[')
		} else {
			b = append(b, ',')
		}
		b, _ = appendFloat(b, c.flat[i+k])
	}
	return append(b, ']')
}

func (c coordinates) line(b []byte, from, to int) []byte {
	b = append(b, '[')
	for i := from; i < to; i += c.stride {
		if i > from {
			b = append(b, ',')
		}
		b = c.position(b, i)
	}
	return append(b, ']')
}

func (c coordinates) reversed(b []byte, from, to int) []byte {
	b = append(b, '[')
	for i := to - c.stride; i >= from; i -= c.stride {
		if i < to-c.stride {
			b = append(b, ',')
		}
		b = c.position(b, i)
	}
	return append(b, ']')
}

// lines writes lines, or the rings of a polygon: the exterior anticlockwise, the
// others clockwise.
func (c coordinates) lines(b []byte, from int, ends []int, rings bool) []byte {
	b = append(b, '[')
	for i, to := range ends {
		if i > 0 {
			b = append(b, ',')
		}
		if area := c.area(from, to); rings && (i == 0 && area < 0 || i > 0 && area > 0) {
			b = c.reversed(b, from, to)
		} else {
			b = c.line(b, from, to)
		}
		from = to
	}
	return append(b, ']')
}

// area is twice the signed area of a ring, positive when it is anticlockwise. The
// sum is taken from the first position so that large eastings do not drown it.
func (c coordinates) area(from, to int) float64 {
	sum := 0.0
	if to-from < 3*c.stride {
		return 0
	}
	x0, y0 := c.flat[from], c.flat[from+1]
	for i := from + c.stride; i+c.stride < to; i += c.stride {
		j := i + c.stride
		sum += (c.flat[i]-x0)*(c.flat[j+1]-y0) - (c.flat[j]-x0)*(c.flat[i+1]-y0)
	}
	return sum
}
