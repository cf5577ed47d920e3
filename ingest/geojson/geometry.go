package geojson

import (
	"fmt"

	"changde/ingest/layer"

	"github.com/twpayne/go-geom"
)

// Marks of what was repaired or left out of a geometry.
const (
	noteUnclosed  = 1 << iota // a ring was closed
	noteEmpty                 // the geometry has no coordinates
	notePart                  // an empty part was left out
	noteMixed                 // Z left out, because some positions have none
	noteM                     // the fourth number of positions left out
	noteFlattened             // a collection inside a collection was dissolved
	noteDuplicate             // a member of a feature or geometry appears twice; the last counts
	noteMissing               // the feature has no "geometry" member
)

const maxCollectionDepth = 4

func isGeometryType(name string) bool {
	switch name {
	case "Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon", "GeometryCollection":
		return true
	}
	return false
}

// shape is the parser of geometries (RFC 7946, 3.1). It is used again for each.
type shape struct {
	c     *cursor
	notes int
	// The coordinates in hand: dim numbers for each position.
	flat  []float64
	dim   int
	ends  []int
	endss [][]int
}

// geometry reads a geometry object; one without coordinates is nil. typ is the type
// as the file names it.
func (s *shape) geometry(depth int) (g geom.T, typ string, err *rowError) {
	if s.c.next() != '{' {
		return nil, "", s.c.unexpected("几何对象或 null", "a geometry object or null")
	}
	begin := s.c.i
	s.c.i++
	body := -1 // where coordinates that came before their type begin
	seen, done := 0, false
	for first := true; ; first = false {
		ok, err := s.c.more(first, '}')
		if err != nil {
			return nil, "", err
		}
		if !ok {
			break
		}
		k, err := s.c.key()
		if err != nil {
			return nil, "", err
		}
		switch string(k) {
		case "type":
			if typ != "" {
				s.notes |= noteDuplicate
			}
			at := s.c.i
			if typ, err = s.typeName(); err != nil {
				return nil, "", err
			}
			if !isGeometryType(typ) {
				s.c.i = at
				return nil, "", s.c.fail("geometry-type", fmt.Sprintf("几何类型 %.40q 不是 GeoJSON 的类型（区分大小写）", typ), fmt.Sprintf("geometry type %.40q is no type of GeoJSON (letter case counts)", typ))
			}
			done = false
		case "coordinates", "geometries":
			if seen++; seen > 1 {
				s.notes |= noteDuplicate
			}
			body = s.c.i
			if typ == "" || (typ == "GeometryCollection") != (string(k) == "geometries") {
				err = s.c.skip()
				done = false
			} else {
				g, err = s.body(typ, depth)
				done = true
			}
			if err != nil {
				return nil, "", err
			}
		default:
			if err := s.c.skip(); err != nil {
				return nil, "", err
			}
		}
	}
	after := s.c.i
	switch {
	case typ == "":
		s.c.i = begin
		return nil, "", s.c.fail("geometry-type", `几何对象缺少 "type"`, `the geometry has no "type"`)
	case body < 0:
		s.c.i = begin
		return nil, "", s.c.fail("geometry-coordinates", fmt.Sprintf(`%s 缺少 "%s"`, typ, bodyName(typ)), fmt.Sprintf(`the %s has no "%s"`, typ, bodyName(typ)))
	case !done:
		s.c.i = body
		if g, err = s.body(typ, depth); err != nil {
			return nil, "", err
		}
		s.c.i = after
	}
	return g, typ, nil
}

func bodyName(typ string) string {
	if typ == "GeometryCollection" {
		return "geometries"
	}
	return "coordinates"
}

func (s *shape) typeName() (string, *rowError) {
	if s.c.next() != '"' {
		return "", s.c.unexpected("类型名", "the name of a type")
	}
	raw, err := s.c.str()
	if err != nil {
		return "", err
	}
	name, _ := text(raw)
	return name, nil
}

// body reads the coordinates or members of a geometry of the type.
func (s *shape) body(typ string, depth int) (geom.T, *rowError) {
	if typ == "GeometryCollection" {
		return s.members(depth)
	}
	s.flat, s.dim, s.ends, s.endss = s.flat[:0], 0, s.ends[:0], s.endss[:0]
	if s.c.next() == 'n' {
		if err := s.c.skip(); err != nil {
			return nil, err
		}
		s.notes |= noteEmpty
		return nil, nil
	}
	begin := s.c.i
	var err *rowError
	switch typ {
	case "Point":
		err = s.point()
	case "MultiPoint":
		err = s.positions()
	case "LineString":
		if err = s.positions(); err == nil && len(s.flat) > 0 && len(s.flat) < 2*s.dim {
			s.c.i = begin
			err = s.c.fail("line-too-short", "线少于两个坐标", "the line has fewer than two positions")
		}
	case "MultiLineString", "Polygon":
		err = s.lines(typ == "Polygon")
	case "MultiPolygon":
		err = s.polygons()
	}
	if err != nil {
		return nil, err
	}
	if len(s.flat) == 0 {
		s.notes |= noteEmpty
		return nil, nil
	}
	layout := geom.XY
	if s.dim == 3 {
		layout = geom.XYZ
	}
	flat := append([]float64(nil), s.flat...)
	switch typ {
	case "Point":
		return geom.NewPointFlat(layout, flat), nil
	case "MultiPoint":
		return geom.NewMultiPointFlat(layout, flat), nil
	case "LineString":
		return geom.NewLineStringFlat(layout, flat), nil
	case "MultiLineString":
		return geom.NewMultiLineStringFlat(layout, flat, append([]int(nil), s.ends...)), nil
	case "Polygon":
		return geom.NewPolygonFlat(layout, flat, append([]int(nil), s.ends...)), nil
	}
	return geom.NewMultiPolygonFlat(layout, flat, append([][]int(nil), s.endss...)), nil
}

// members reads the members of a collection, those of collections inside it too.
func (s *shape) members(depth int) (geom.T, *rowError) {
	if depth > maxCollectionDepth {
		return nil, s.c.fail("collection-depth", fmt.Sprintf("GeometryCollection 嵌套超过 %d 层", maxCollectionDepth), fmt.Sprintf("collections are nested more than %d levels deep", maxCollectionDepth))
	}
	if s.c.next() != '[' {
		return nil, s.c.unexpected("几何数组", "an array of geometries")
	}
	s.c.i++
	var parts []geom.T
	for first := true; ; first = false {
		ok, err := s.c.more(first, ']')
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		if s.c.next() == 'n' {
			if _, err := s.c.literal(); err != nil {
				return nil, err
			}
			s.notes |= notePart
			continue
		}
		notes := s.notes
		g, _, err := s.geometry(depth + 1)
		if err != nil {
			return nil, err
		}
		switch g := g.(type) {
		case nil:
			s.notes = s.notes&^noteEmpty | notes&noteEmpty | notePart
		case *geom.GeometryCollection:
			s.notes |= noteFlattened
			parts = append(parts, g.Geoms()...)
		default:
			parts = append(parts, g)
		}
	}
	if len(parts) == 0 {
		s.notes |= noteEmpty
		return nil, nil
	}
	flat, mixed := false, false
	for _, p := range parts {
		flat = flat || p.Layout() == geom.XY
		mixed = mixed || p.Layout() != parts[0].Layout()
	}
	gc := geom.NewGeometryCollection()
	for _, p := range parts {
		if mixed && flat {
			s.notes |= noteMixed
			p, _ = layer.Layout(p, false)
		}
		gc.MustPush(p)
	}
	return gc, nil
}
