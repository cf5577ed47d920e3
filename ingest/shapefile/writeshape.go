package shapefile

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/twpayne/go-geom"
)

// shape appends the content of a record to rec and widens the box of the file.
func (w *Writer) shape(rec []byte, g geom.T) ([]byte, error) {
	if g == nil || len(g.FlatCoords()) == 0 {
		return le.AppendUint32(rec, uint32(Null)), nil
	}
	typ, layout := w.opts.Type, g.Layout()
	if typ.HasZ() != (layout.ZIndex() >= 0) || typ.HasM() && layout.MIndex() < 0 || typ < 10 && layout.MIndex() >= 0 {
		return rec, fmt.Errorf("a geometry of layout %s does not fit the shape type %s", layout, typ)
	}
	for _, v := range g.FlatCoords() {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return rec, errors.New("a coordinate is not a finite number")
		}
	}
	rec = le.AppendUint32(rec, uint32(typ))
	stride := layout.Stride()
	switch g := g.(type) {
	case *geom.Point:
		if typ.base() == Point {
			return w.writePoint(rec, layout, g.FlatCoords()), nil
		}
	case *geom.MultiPoint:
		if typ.base() == MultiPoint {
			for i := range g.NumPoints() {
				if g.Point(i).Empty() {
					return rec, errors.New("an empty point within a multipoint cannot be written")
				}
			}
			return w.writePoints(rec, layout, g.FlatCoords(), nil), nil
		}
	case *geom.LineString:
		if typ.base() == PolyLine {
			return w.writePoints(rec, layout, g.FlatCoords(), []int{len(g.FlatCoords())}), nil
		}
	case *geom.MultiLineString:
		if typ.base() == PolyLine {
			return w.writePoints(rec, layout, g.FlatCoords(), g.Ends()), nil
		}
	case *geom.Polygon:
		if typ.base() == Polygon {
			flat := orient(g.FlatCoords(), stride, [][]int{g.Ends()})
			return w.writePoints(rec, layout, flat, g.Ends()), nil
		}
	case *geom.MultiPolygon:
		if typ.base() == Polygon {
			var ends []int
			for _, e := range g.Endss() {
				ends = append(ends, e...)
			}
			return w.writePoints(rec, layout, orient(g.FlatCoords(), stride, g.Endss()), ends), nil
		}
	}
	return rec, fmt.Errorf("a %T does not fit the shape type %s", g, typ)
}

// orient returns the coordinates with shells clockwise and holes
// counter-clockwise, the same slice if they are.
func orient(flat []float64, stride int, endss [][]int) []float64 {
	copied := false
	from := 0
	for _, ends := range endss {
		for i, to := range ends {
			if to-from > stride {
				if area := signedArea(flat[from:to], stride); i == 0 && area > 0 || i > 0 && area < 0 {
					if !copied {
						flat, copied = append([]float64(nil), flat...), true
					}
					turn(flat[from:to], stride)
				}
			}
			from = to
		}
	}
	return flat
}

// turn reverses the order of the points.
func turn(flat []float64, stride int) {
	for i, j := 0, len(flat)-stride; i < j; i, j = i+stride, j-stride {
		for k := range stride {
			flat[i+k], flat[j+k] = flat[j+k], flat[i+k]
		}
	}
}

func appendFloat(b []byte, v float64) []byte { return le.AppendUint64(b, math.Float64bits(v)) }

func (w *Writer) writePoint(rec []byte, layout geom.Layout, c []float64) []byte {
	w.box = w.box.join(box{c[0], c[1], c[0], c[1]})
	rec = appendFloat(appendFloat(rec, c[0]), c[1])
	if i := layout.ZIndex(); i >= 0 {
		w.z.add(c[i])
		rec = appendFloat(rec, c[i])
	}
	switch i := layout.MIndex(); {
	case i >= 0:
		w.m.add(c[i])
		rec = appendFloat(rec, c[i])
	case w.opts.Type == PointZ:
		rec = appendFloat(rec, 10*noDataM) // a PointZ always has an M
	}
	return rec
}

// writePoints appends box, counts, part offsets, coordinates, Z and M. ends are the
// ends of the parts in flat, nil for a multipoint.
func (w *Writer) writePoints(rec []byte, layout geom.Layout, flat []float64, ends []int) []byte {
	stride := layout.Stride()
	n := len(flat) / stride
	ends = slices.Compact(slices.Clone(ends)) // parts without a point are left out
	if len(ends) > 0 && ends[0] == 0 {
		ends = ends[1:]
	}
	b := box{flat[0], flat[1], flat[0], flat[1]}
	for i := stride; i < len(flat); i += stride {
		x, y := flat[i], flat[i+1]
		b = box{min(b.minX, x), min(b.minY, y), max(b.maxX, x), max(b.maxY, y)}
	}
	w.box = w.box.join(b)
	for _, v := range [...]float64{b.minX, b.minY, b.maxX, b.maxY} {
		rec = appendFloat(rec, v)
	}
	if ends != nil {
		rec = le.AppendUint32(rec, uint32(len(ends)))
	}
	rec = le.AppendUint32(rec, uint32(n))
	from := 0
	for _, end := range ends {
		rec = le.AppendUint32(rec, uint32(from/stride))
		from = end
	}
	for i := 0; i < len(flat); i += stride {
		rec = appendFloat(appendFloat(rec, flat[i]), flat[i+1])
	}
	if i := layout.ZIndex(); i >= 0 {
		rec = w.writeMeasure(rec, flat[i:], stride, &w.z)
	}
	if i := layout.MIndex(); i >= 0 {
		rec = w.writeMeasure(rec, flat[i:], stride, &w.m)
	}
	return rec
}

// writeMeasure appends the range and the values of Z or M.
func (w *Writer) writeMeasure(rec []byte, flat []float64, stride int, all *span) []byte {
	s := emptySpan()
	for i := 0; i < len(flat); i += stride {
		s.add(flat[i])
	}
	all.add(s.min)
	all.add(s.max)
	rec = appendFloat(appendFloat(rec, s.min), s.max)
	for i := 0; i < len(flat); i += stride {
		rec = appendFloat(rec, flat[i])
	}
	return rec
}
