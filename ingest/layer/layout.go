package layer

import "github.com/twpayne/go-geom"

// Layout gives g the XY or XYZ layout. An ordinate that is missing becomes 0, and
// one that has no place is dropped; changed tells that either happened.
func Layout(g geom.T, z bool) (_ geom.T, changed bool) {
	want := geom.XY
	if z {
		want = geom.XYZ
	}
	if g.Layout() == want {
		return g, false
	}
	if c, ok := g.(*geom.GeometryCollection); ok {
		out := geom.NewGeometryCollection()
		for _, member := range c.Geoms() {
			m, ch := Layout(member, z)
			changed = changed || ch
			// The members share one layout, so Push cannot fail.
			_ = out.Push(m)
		}
		return out, changed
	}
	from, to := g.Layout().Stride(), want.Stride()
	source := g.FlatCoords()
	flat := make([]float64, 0, len(source)/from*to)
	for i := 0; i+from <= len(source); i += from {
		flat = append(flat, source[i], source[i+1])
		if z {
			if g.Layout() == geom.XYZM {
				flat = append(flat, source[i+2])
			} else {
				flat = append(flat, 0)
			}
		}
	}
	scale := func(ends []int) []int {
		out := make([]int, len(ends))
		for i, e := range ends {
			out[i] = e / from * to
		}
		return out
	}
	switch g := g.(type) {
	case *geom.Point:
		return geom.NewPointFlat(want, flat), true
	case *geom.MultiPoint:
		return geom.NewMultiPointFlat(want, flat), true
	case *geom.LineString:
		return geom.NewLineStringFlat(want, flat), true
	case *geom.MultiLineString:
		return geom.NewMultiLineStringFlat(want, flat, scale(g.Ends())), true
	case *geom.Polygon:
		return geom.NewPolygonFlat(want, flat, scale(g.Ends())), true
	case *geom.MultiPolygon:
		endss := make([][]int, len(g.Endss()))
		for i, ends := range g.Endss() {
			endss[i] = scale(ends)
		}
		return geom.NewMultiPolygonFlat(want, flat, endss), true
	}
	return g, false
}
