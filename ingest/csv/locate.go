package csv

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode"

	"changde/problem"
)

// The names of columns of geometry, in small letters without blanks, underscores,
// hyphens and anything in brackets.
var (
	wktNames    = []string{"wkt", "ewkt", "geom", "geometry", "thegeom", "shape", "wktgeom", "geomwkt", "geometrywkt", "wkbgeometry", "geomtext", "几何", "几何图形", "几何信息", "图形", "空间坐标", "空间位置", "坐标串"}
	heightNames = []string{"高程", "z", "h", "海拔", "大地高", "正常高", "高程值", "z坐标", "坐标z", "pointz", "elevation", "elev", "altitude", "alt"}
)

// pairNames are names of two columns that belong together. The first is X, the
// second Y, but with open ones the values have to tell.
type pairNames struct {
	x, y []string
	open bool // X may be east, as in mathematics and GIS, or north, as in Chinese surveying
	zh   bool // the name is Chinese
}

var pairs = []pairNames{
	{x: []string{"经度", "lon", "lng", "long", "longitude", "东经", "经度坐标", "坐标经度"}, y: []string{"纬度", "lat", "latitude", "北纬", "纬度坐标", "坐标纬度"}},
	{x: []string{"东坐标", "东向坐标", "东", "easting", "east", "横坐标", "pointx"}, y: []string{"北坐标", "北向坐标", "北", "northing", "north", "纵坐标", "pointy"}},
	{x: []string{"x坐标", "坐标x", "x坐标值"}, y: []string{"y坐标", "坐标y", "y坐标值"}, open: true, zh: true},
	{x: []string{"x", "xcoord", "coordx", "xcoordinate"}, y: []string{"y", "ycoord", "coordy", "ycoordinate"}, open: true},
}

// key brings a column's name into the form of the lists.
func key(name string) string {
	var b strings.Builder
	depth := 0
	for _, r := range strings.ToLower(name) {
		switch {
		case strings.ContainsRune("(（[", r):
			depth++
		case strings.ContainsRune(")）]", r):
			depth--
		case depth > 0, unicode.IsSpace(r), r == '_', r == '-':
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// candidate is a pair of columns that may be the coordinates.
type candidate struct {
	x, y int
	pairNames
}

// locate finds the columns of the geometry by their names, and by the first rows
// where names do not tell.
func (info *Info) locate(ctx context.Context, f *os.File, told []string, where string) error {
	sample, err := info.sample(ctx, f, where)
	if err != nil {
		return err
	}
	if len(told) > 0 {
		return info.chosen(told, where, sample)
	}
	var found []candidate
	for _, p := range pairs {
		if x, y := info.find(p.x), info.find(p.y); x >= 0 && y >= 0 {
			found = append(found, candidate{x, y, p})
		}
	}
	g := &info.Geometry
	g.WKT, g.X, g.Y, g.Z = -1, -1, -1, -1
	for i, name := range info.names {
		if !slices.Contains(wktNames, key(name)) {
			continue
		}
		switch sample.geometry(i) {
		case wktText:
			if g.WKT >= 0 {
				return info.ambiguous(g.WKT, i, where)
			}
			g.WKT = i
		case wkbHex:
			return problem.New(problem.Unsupported, "csv-geometry-wkb", where,
				fmt.Sprintf("列 %s 是十六进制 WKB；请导出为 WKT 或 EWKT 文本（PostGIS 用 ST_AsEWKT）", info.names[i]),
				fmt.Sprintf("the column %s holds hexadecimal WKB; export it as WKT or EWKT text (ST_AsEWKT of PostGIS)", info.names[i]))
		}
	}
	switch {
	case g.WKT >= 0:
		g.ZH, g.EN = fmt.Sprintf("几何取自列 %s（WKT）", info.names[g.WKT]), fmt.Sprintf("the geometry is in the column %s (WKT)", info.names[g.WKT])
		for _, c := range found {
			info.unused(c)
		}
	case len(found) > 0:
		c := found[0]
		for _, part := range []struct {
			at    int
			names []string
		}{{c.x, c.pairNames.x}, {c.y, c.pairNames.y}} {
			if other := info.rival(part.at, part.names, sample); other >= 0 {
				return info.ambiguous(part.at, other, where)
			}
		}
		g.X, g.Y, g.Z = c.x, c.y, info.find(heightNames)
		g.ZH = fmt.Sprintf("几何由列 %s（东或经度）和 %s（北或纬度）组成", info.names[c.x], info.names[c.y])
		g.EN = fmt.Sprintf("the geometry is made of the columns %s (east or longitude) and %s (north or latitude)", info.names[c.x], info.names[c.y])
		if c.open {
			info.orient(c, sample)
		}
		info.heights()
		for _, c := range found[1:] {
			info.unused(c)
		}
	default:
		g.ZH, g.EN = "没有几何列：未见 WKT 列或成对的坐标列", "there is no geometry: no column of WKT and no pair of coordinate columns"
	}
	return nil
}

func (info *Info) unused(c candidate) {
	x, y := info.names[c.x], info.names[c.y]
	info.note("geometry-unused", fmt.Sprintf("列 %s、%s 也像坐标，未用作几何，只作属性", x, y), fmt.Sprintf("the columns %s and %s look like coordinates too; they were kept as attributes only", x, y))
}

// orient decides which of an open pair is east.
func (info *Info) orient(c candidate, s *sample) {
	g := &info.Geometry
	x, y := info.names[c.x], info.names[c.y]
	east, north := s.orders(c.x, c.y)
	swap, byValue := north > east, north != east
	if !byValue {
		swap = c.zh
	}
	if swap {
		g.X, g.Y = c.y, c.x
	}
	e, n := info.names[g.X], info.names[g.Y]
	switch {
	case byValue:
		g.ZH = fmt.Sprintf("几何由列 %s、%s 组成；按数值大小判定 %s 为东（或经度）、%s 为北（或纬度）", x, y, e, n)
		g.EN = fmt.Sprintf("the geometry is made of the columns %s and %s; by the size of the values %s is east (or longitude) and %s north (or latitude)", x, y, e, n)
	case c.zh:
		g.ZH = fmt.Sprintf("几何由列 %s、%s 组成；数值不能分辨方向，按测量习惯以 X 为北、Y 为东", x, y)
		g.EN = fmt.Sprintf("the geometry is made of the columns %s and %s; the values do not tell the axes, so X is north and Y east as in Chinese surveying", x, y)
	default:
		g.ZH = fmt.Sprintf("几何由列 %s、%s 组成；数值不能分辨方向，以 X 为东、Y 为北", x, y)
		g.EN = fmt.Sprintf("the geometry is made of the columns %s and %s; the values do not tell the axes, so X is east and Y north", x, y)
	}
	if swap || !byValue {
		info.note("axis-order", g.ZH, g.EN)
	}
}

// sample holds the first rows.
type sample struct{ rows [][]string }

func (info *Info) sample(ctx context.Context, f *os.File, where string) (*sample, error) {
	r, err := info.rows(ctx, f, where)
	if err != nil {
		return nil, err
	}
	s := &sample{}
	size := 0
	for range sampleRows {
		cells, fault, err := r.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if fault != nil {
			continue
		}
		kept := make([]string, len(cells))
		for i, c := range cells {
			// What matters is how a cell begins, and numbers are short.
			kept[i] = strings.Clone(c[:min(len(c), 64)])
			size += len(kept[i])
		}
		s.rows = append(s.rows, kept)
		if size > maxRecord {
			break
		}
	}
	return s, nil
}

const (
	noGeometry = iota
	wktText
	wkbHex
)

// geometry tells whether the values of a column are geometries, by the majority.
func (s *sample) geometry(column int) int {
	text, hex, filled := 0, 0, 0
	for _, row := range s.rows {
		v := trim(row[column])
		if v == "" {
			continue
		}
		filled++
		if _, rest := cutSRID(v); keyword(rest) != "" {
			text++
		} else if len(v) >= 18 && (strings.HasPrefix(v, "00") || strings.HasPrefix(v, "01")) && strings.Trim(strings.ToLower(v), "0123456789abcdef") == "" {
			hex++
		}
	}
	switch {
	case text > 0 && 2*text >= filled:
		return wktText
	case hex > 0 && 2*hex >= filled:
		return wkbHex
	}
	return noGeometry
}

// orders counts the rows in which column a is east of column b, and the reverse, by
// what coordinates in China can be: longitude 73 to 136 and latitude 3 to 54 degrees;
// northing 0.3 to 6 million metres, easting 0.1 to 0.9 million, or with a zone
// number before it at least 10 million.
func (s *sample) orders(a, b int) (east, north int) {
	for _, row := range s.rows {
		x, okX := coordinate(row[a])
		y, okY := coordinate(row[b])
		if !okX || !okY {
			continue
		}
		if eastNorth(x, y) {
			east++
		}
		if eastNorth(y, x) {
			north++
		}
	}
	return east, north
}

func eastNorth(e, n float64) bool {
	switch {
	case e >= 73 && e <= 136 && n >= 3 && n <= 54:
		return true
	case n < 3e5 || n > 6e6:
		return false
	}
	return e >= 1e5 && e <= 9e5 && n > 9e5 || e >= 1e7 && e < 1e8
}
