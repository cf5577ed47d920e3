package projects

import (
	"bytes"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/twpayne/go-geom"

	"changde/catalog"
	"changde/postgis"
	"changde/problem"
)

// srid is the reference system of everything that is stored.
const srid = 4490

// A position is longitude and latitude, as the text has them.
type (
	position  = []float64
	positions = []position
)

// parseGeometry reads a GeoJSON geometry (RFC 7946 section 3.1) into EWKB. at is
// the JSON pointer to it. Every position lies in box unless that is zero.
// Whether the geometry is valid (OGC 06-103r4, 6.1.11) is for PostGIS to say.
func parseGeometry(data []byte, at string, box catalog.Bounds) (ewkb []byte, kind string, vertices int, err error) {
	// Each position has its bracket, and no other kind of geometry more brackets
	// than three for each position.
	if bytes.Count(data, []byte{'['}) > 3*maxVertices+3 {
		return nil, "", 0, tooManyVertices(at)
	}
	var g struct {
		Type        string         `json:"type"`
		Coordinates jsontext.Value `json:"coordinates"`
	}
	if err := json.Unmarshal(data, &g, json.RejectUnknownMembers(true)); err != nil {
		return nil, "", 0, jsonProblem(err, at)
	}
	r := geometryReader{at: at + "/coordinates", box: box}
	t := r.geometry(g.Type, g.Coordinates)
	if r.err != nil {
		return nil, "", 0, r.err
	}
	if t == nil {
		return nil, "", 0, problem.New(problem.Unsupported, "geometry-type-unsupported", at+"/type",
			"几何类型应为 Point、LineString、Polygon、MultiPoint、MultiLineString 或 MultiPolygon",
			"the type of a geometry is Point, LineString, Polygon, MultiPoint, MultiLineString or MultiPolygon")
	}
	ewkb, err = postgis.AppendEWKB(nil, t, srid)
	if err != nil {
		return nil, "", 0, fmt.Errorf("encode %s: %w", at, err)
	}
	return ewkb, g.Type, r.vertices, nil
}

func tooManyVertices(at string) error {
	return problem.New(problem.TooLarge, "geometry-vertices", at,
		fmt.Sprintf("一个几何最多 %d 个顶点；请先简化", maxVertices), fmt.Sprintf("a geometry has at most %d vertices; simplify it first", maxVertices))
}

// geometryReader takes coordinates apart until the first fault.
type geometryReader struct {
	at       string
	box      catalog.Bounds
	vertices int
	err      error
}

func (r *geometryReader) geometry(kind string, data jsontext.Value) geom.T {
	if data == nil {
		data = jsontext.Value("null")
	}
	switch kind {
	case "Point":
		var c position
		r.unmarshal(data, &c)
		return geom.NewPointFlat(geom.XY, r.flat(nil, positions{c}, "", 1))
	case "MultiPoint":
		var c positions
		r.unmarshal(data, &c)
		return geom.NewMultiPointFlat(geom.XY, r.flat(nil, c, "", 1))
	case "LineString":
		var c positions
		r.unmarshal(data, &c)
		return geom.NewLineStringFlat(geom.XY, r.flat(nil, c, "", 2))
	case "MultiLineString":
		var c []positions
		r.unmarshal(data, &c)
		flat, ends := r.lines(nil, c, "", 2)
		return geom.NewMultiLineStringFlat(geom.XY, flat, ends)
	case "Polygon":
		var c []positions
		r.unmarshal(data, &c)
		flat, ends := r.lines(nil, c, "", 4)
		return geom.NewPolygonFlat(geom.XY, flat, ends)
	case "MultiPolygon":
		var c [][]positions
		r.unmarshal(data, &c)
		r.some(len(c), "", 1)
		var flat []float64
		var endss [][]int
		for i, rings := range c {
			var ends []int
			flat, ends = r.lines(flat, rings, fmt.Sprintf("/%d", i), 4)
			endss = append(endss, ends)
		}
		return geom.NewMultiPolygonFlat(geom.XY, flat, endss)
	}
	return nil
}

func (r *geometryReader) unmarshal(data jsontext.Value, into any) {
	if err := json.Unmarshal(data, into); err != nil && r.err == nil {
		r.err = jsonProblem(err, r.at)
	}
}

func (r *geometryReader) fail(where, zh, en string) {
	if r.err == nil {
		r.err = problem.New(problem.Invalid, "geometry-coordinates", r.at+where, zh, en)
	}
}

func (r *geometryReader) some(n int, where string, least int) {
	if n < least {
		r.fail(where, fmt.Sprintf("坐标至少要有 %d 个", least), fmt.Sprintf("there must be at least %d here", least))
	}
}

// lines reads the lines of a MultiLineString or, when each has at least four
// positions, the rings of a polygon, which are closed.
func (r *geometryReader) lines(flat []float64, lines []positions, where string, least int) ([]float64, []int) {
	r.some(len(lines), where, 1)
	var ends []int
	for i, line := range lines {
		at := fmt.Sprintf("%s/%d", where, i)
		from := len(flat)
		flat = r.flat(flat, line, at, least)
		if r.err != nil {
			return nil, nil
		}
		if least == 4 && (flat[from] != flat[len(flat)-2] || flat[from+1] != flat[len(flat)-1]) {
			r.fail(at, "环没有闭合：最后一个点必须与第一个点相同", "the ring is not closed: its last position must repeat the first")
			return nil, nil
		}
		ends = append(ends, len(flat))
	}
	return flat, ends
}

func (r *geometryReader) flat(flat []float64, line positions, where string, least int) []float64 {
	if r.err != nil {
		return nil
	}
	r.some(len(line), where, least)
	if r.vertices += len(line); r.vertices > maxVertices && r.err == nil {
		r.err = tooManyVertices(r.at)
	}
	for i, p := range line {
		if r.err != nil {
			return nil
		}
		at := fmt.Sprintf("%s/%d", where, i)
		if where == "" && least == 1 && len(line) == 1 {
			at = "" // a Point
		}
		switch {
		case len(p) != 2:
			r.fail(at, "一个位置应是 [经度, 纬度] 两个数，不带高程", "a position is two numbers, [longitude, latitude], without an altitude")
		case !r.inside(p[0], p[1]):
			r.outside(at, p)
		}
		flat = append(flat, p...)
	}
	return flat
}

func (r *geometryReader) inside(lon, lat float64) bool {
	box := r.box
	if box == (catalog.Bounds{}) {
		box = catalog.Bounds{-180, -90, 180, 90}
	}
	return box.Contains(lon, lat)
}

func (r *geometryReader) outside(at string, p position) {
	zh, en := "请检查坐标系，应为 CGCS2000 经纬度", "check the reference system: CGCS2000 longitude and latitude in degrees"
	if r.inside(p[1], p[0]) {
		zh, en = "经纬度似乎写反了，应为 [经度, 纬度]", "longitude and latitude seem to be swapped: write [longitude, latitude]"
	}
	r.fail(at, fmt.Sprintf("坐标 [%g, %g] 在本市范围之外；%s", p[0], p[1], zh), fmt.Sprintf("the position [%g, %g] lies outside the city; %s", p[0], p[1], en))
}
