package quality

import "changde/postgis"

// thick is a lateral subquery of the polygons of i.geom that have a place wider
// than i.t metres, with how wide they are. A polygon whose mean width is more has
// one; otherwise it may be a hairline but for one place, and is worn away by half
// of i.t from all sides to see what is left. The metres of a degree are the series
// of the ellipsoid, to a millimetre.
func thick() *postgis.SQL {
	return new(postgis.SQL).Raw(`LATERAL (SELECT ST_Collect(d.geom) AS geom, max(m.wide) AS wide FROM ST_Dump(i.geom) d,
		LATERAL (SELECT radians(ST_YMin(d.geom)) AS y OFFSET 0) y,
		LATERAL (SELECT ST_Scale(ST_Translate(ST_Force2D(d.geom), -ST_XMin(d.geom), -ST_YMin(d.geom)), 111412.84 * cos(y) - 93.5 * cos(3 * y) + 0.118 * cos(5 * y), 111132.92 - 559.82 * cos(2 * y) + 1.175 * cos(4 * y)) AS g OFFSET 0) s,
		LATERAL (SELECT CASE WHEN 2 * ST_Area(s.g) > i.t * ST_Perimeter(s.g) THEN s.g WHEN ST_NPoints(s.g) > 5 THEN ST_Buffer(s.g, -i.t / 2, 'join=mitre') END AS left,
			CASE WHEN 2 * ST_Area(s.g) > i.t * ST_Perimeter(s.g) THEN 0 ELSE i.t END AS worn OFFSET 0) l,
		LATERAL (SELECT ST_Area(l.left) AS a, ST_Perimeter(l.left) / 2 AS h OFFSET 0) q,
		LATERAL (SELECT l.worn + CASE WHEN q.h * q.h > 4 * q.a THEN 2 * q.a / (q.h + sqrt(q.h * q.h - 4 * q.a)) ELSE q.h / 2 END AS wide) m
		WHERE ST_Dimension(d.geom) = 2 AND NOT ST_IsEmpty(l.left)) k, LATERAL (SELECT ST_PointOnSurface(k.geom) AS p OFFSET 0) o`)
}

// thickColumns is what thickPart reads.
func thickColumns() *postgis.SQL {
	return new(postgis.SQL).Raw("ST_AsEWKB(k.geom, 'NDR'), k.wide, ST_X(o.p), ST_Y(o.p)")
}

// thickPart is a row of thick: NULL where nothing is that wide.
type thickPart struct {
	ewkb  []byte
	w     *float64
	x, y  *float64
	shape shape
	wide  float64
	place [2]float64
}

func (t *thickPart) targets() []any { return []any{&t.ewkb, &t.w, &t.x, &t.y} }

// area is that of the polygons in square metres, and fills wide and place.
func (t *thickPart) area() (float64, error) {
	if t.ewkb == nil || t.w == nil || t.x == nil || t.y == nil {
		return 0, nil
	}
	t.wide, t.place = *t.w, [2]float64{*t.x, *t.y}
	if err := t.shape.parse(t.ewkb); err != nil {
		return 0, err
	}
	area, _ := t.shape.surface()
	return area, nil
}
