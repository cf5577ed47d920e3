package csv

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/twpayne/go-geom"
	"github.com/twpayne/go-geom/encoding/wkt"

	"changde/ingest/layer"
)

// keywords are the WKT words of the types that are read (OGC 06-103r4, 7.2), longer
// ones first where one begins with another.
var keywords = [...]string{"POINT", "LINESTRING", "POLYGON", "MULTIPOINT", "MULTILINESTRING", "MULTIPOLYGON", "GEOMETRYCOLLECTION"}

var typeNames = [...]string{"Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon", "GeometryCollection"}

// keyword returns the type that a WKT begins with, "" for none.
func keyword(s string) string {
	n := letters(s)
	for i, k := range keywords {
		if len(k) <= n && strings.EqualFold(s[:len(k)], k) {
			switch strings.ToUpper(s[len(k):n]) {
			case "", "Z", "M", "ZM":
				return typeNames[i]
			}
		}
	}
	return ""
}

func letters(s string) int {
	n := 0
	for n < len(s) && (s[n]|0x20 >= 'a' && s[n]|0x20 <= 'z') {
		n++
	}
	return n
}

// cutSRID takes "SRID=4490;" off an EWKT. A malformed one stays and is then no
// keyword.
func cutSRID(s string) (srid int, rest string) {
	if len(s) < 6 || !strings.EqualFold(s[:5], "SRID=") {
		return 0, s
	}
	number, rest, ok := strings.Cut(s[5:], ";")
	if !ok {
		return 0, s
	}
	srid, err := strconv.Atoi(strings.TrimSpace(number))
	if err != nil || srid < 0 || srid > 999999 {
		return 0, s
	}
	return srid, strings.TrimLeft(rest, " \t\r\n")
}

// glance is what the beginning of a geometry tells.
type glance struct {
	typ   string
	point *[2]float64
	z     bool
	srid  int
	lost  bool // the geometry cannot be read, as far as this look goes
}

// peek looks at the geometry of a row without reading all of it: the first pass over
// a file does not need every vertex.
func (info *Info) peek(cells []string) glance {
	g := info.Geometry
	if g.WKT < 0 {
		if g.X < 0 {
			return glance{}
		}
		p, faults := info.point(cells)
		if p == nil {
			return glance{lost: len(faults) > 0}
		}
		flat := p.FlatCoords()
		return glance{typ: "Point", point: &[2]float64{flat[0], flat[1]}, z: len(flat) > 2}
	}
	s := trim(cells[g.WKT])
	if s == "" {
		return glance{}
	}
	srid, s := cutSRID(s)
	out := glance{typ: keyword(s), srid: srid}
	if out.typ == "" {
		return glance{lost: true}
	}
	start := strings.IndexByte(s, '(')
	if start < 0 {
		return glance{}
	}
	tag := strings.ToUpper(s[:start])
	if out.typ == "GeometryCollection" {
		if i := strings.IndexAny(s[start:], "0123456789"); i >= 0 {
			tag = strings.ToUpper(s[:start+i])
		}
	}
	out.z = strings.Contains(tag, " Z") || strings.HasSuffix(strings.TrimSpace(tag), "Z") || strings.Contains(tag, "ZM")
	first := strings.IndexAny(s[start:], "+-.0123456789")
	if first < 0 {
		return out
	}
	position := s[start+first:]
	if end := strings.IndexAny(position, ",)"); end >= 0 {
		position = position[:end]
	}
	numbers := strings.Fields(position[:min(len(position), 256)])
	if len(numbers) >= 2 {
		x, errX := strconv.ParseFloat(numbers[0], 64)
		y, errY := strconv.ParseFloat(numbers[1], 64)
		if errX == nil && errY == nil {
			out.point = &[2]float64{x, y}
		}
	}
	out.z = out.z || len(numbers) == 4 || len(numbers) == 3 && !strings.HasSuffix(strings.TrimRight(tag, " ("), "M")
	return out
}

// geometry reads the geometry of a row.
func (info *Info) geometry(cells []string) (geom.T, []layer.Fault) {
	g := info.Geometry
	if g.WKT < 0 {
		if g.X < 0 {
			return nil, nil
		}
		p, faults := info.point(cells)
		if p == nil {
			return nil, faults
		}
		return p, faults
	}
	name := info.names[g.WKT]
	s := trim(cells[g.WKT])
	if s == "" {
		return nil, nil
	}
	lost := func(code, zh, en string) (geom.T, []layer.Fault) {
		return nil, []layer.Fault{{Field: name, Code: code, Lost: true, ZH: zh, EN: en}}
	}
	_, s = cutSRID(s)
	if keyword(s) == "" {
		return lost("wkt-type", fmt.Sprintf("%.40q 不是 WKT 几何", s), fmt.Sprintf("%.40q is no WKT geometry", s))
	}
	if depth(s) > maxDepth {
		return lost("wkt-depth", fmt.Sprintf("WKT 括号嵌套超过 %d 层", maxDepth), fmt.Sprintf("the parentheses of the WKT are nested more than %d deep", maxDepth))
	}
	t, err := wkt.Unmarshal(s)
	if err != nil {
		return lost("wkt-invalid", "WKT 有误："+reason(err), "the WKT is wrong: "+reason(err))
	}
	if t.Empty() {
		return nil, nil
	}
	if !finite(t) {
		return lost("coordinate-not-number", "坐标不是有限的数", "a coordinate is not a finite number")
	}
	var faults []layer.Fault
	if hasM(t) {
		var z bool
		if c, ok := t.(*geom.GeometryCollection); ok {
			for _, m := range c.Geoms() {
				z = z || m.Layout().ZIndex() >= 0
			}
		} else {
			z = t.Layout().ZIndex() >= 0
		}
		t, _ = layer.Layout(t, z)
		faults = append(faults, layer.Fault{Field: name, Code: "m-dropped", ZH: "M 值未保留", EN: "M values were dropped"})
	}
	return t, faults
}

func depth(s string) int {
	d, most := 0, 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '(':
			d++
			most = max(most, d)
		case ')':
			d--
		}
	}
	return most
}

// reason is the first line of a parser's message: the others draw the input.
func reason(err error) string {
	s, _, _ := strings.Cut(err.Error(), "\n")
	if len(s) > 200 {
		s = s[:200]
	}
	return strings.ToValidUTF8(s, "")
}

func finite(t geom.T) bool {
	if c, ok := t.(*geom.GeometryCollection); ok {
		for _, m := range c.Geoms() {
			if !finite(m) {
				return false
			}
		}
		return true
	}
	for _, v := range t.FlatCoords() {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return false
		}
	}
	return true
}

func hasM(t geom.T) bool {
	if c, ok := t.(*geom.GeometryCollection); ok {
		for _, m := range c.Geoms() {
			if hasM(m) {
				return true
			}
		}
		return false
	}
	return t.Layout().MIndex() >= 0
}

// point makes the point of a row from its columns of coordinates. It is nil without
// a fault when the row has none.
func (info *Info) point(cells []string) (*geom.Point, []layer.Fault) {
	g := info.Geometry
	xs, ys := trim(cells[g.X]), trim(cells[g.Y])
	if xs == "" && ys == "" {
		return nil, nil
	}
	var flat []float64
	for i, s := range [...]string{xs, ys} {
		column := [...]int{g.X, g.Y}[i]
		if s == "" {
			return nil, []layer.Fault{{Field: info.names[column], Code: "coordinate-missing", Lost: true, ZH: "两个坐标只填了一个", EN: "only one of the two coordinates is given"}}
		}
		v, ok := coordinate(s)
		if !ok {
			return nil, []layer.Fault{{Field: info.names[column], Code: "coordinate-not-number", Lost: true, ZH: fmt.Sprintf("坐标 %.40q 不是数", s), EN: fmt.Sprintf("the coordinate %.40q is no number", s)}}
		}
		flat = append(flat, v)
	}
	if g.Z < 0 {
		return geom.NewPointFlat(geom.XY, flat), nil
	}
	s := trim(cells[g.Z])
	if s == "" {
		return geom.NewPointFlat(geom.XY, flat), nil
	}
	z, ok := coordinate(s)
	if !ok {
		return geom.NewPointFlat(geom.XY, flat), []layer.Fault{{Field: info.names[g.Z], Code: "height-not-number", ZH: fmt.Sprintf("高程 %.40q 不是数，未采用", s), EN: fmt.Sprintf("the height %.40q is no number and was not used", s)}}
	}
	return geom.NewPointFlat(geom.XYZ, append(flat, z)), nil
}

// coordinate reads a number, or degrees, minutes and seconds such as 111°41′30.5″.
func coordinate(s string) (float64, bool) {
	s = trim(s)
	v, err := strconv.ParseFloat(s, 64)
	if err == nil || errors.Is(err, strconv.ErrRange) {
		return v, err == nil && !math.IsNaN(v) && !math.IsInf(v, 0) && !strings.ContainsAny(s, "xX_pP")
	}
	return sexagesimal(s)
}

// marks end degrees, minutes and seconds.
var marks = [3][]string{{"°", "度", "º"}, {"′", "'", "分", "’"}, {"″", "\"", "秒", "''", "′′", "”", "’’"}}

func sexagesimal(s string) (float64, bool) {
	sign := 1.0
	s = strings.TrimLeft(s, "东北EeNn经纬: ")
	if rest := strings.TrimRight(s, "EeNn "); rest != s {
		s = rest
	}
	if strings.HasPrefix(s, "-") {
		sign, s = -1, s[1:]
	}
	total, scale := 0.0, 1.0
	for i, group := range marks {
		at, mark := -1, ""
		for _, m := range group {
			if k := strings.Index(s, m); k >= 0 && (at < 0 || k < at || k == at && len(m) > len(mark)) {
				at, mark = k, m
			}
		}
		if at < 0 {
			if i == 0 || s != "" {
				return 0, false
			}
			break
		}
		part := strings.TrimSpace(s[:at])
		if part == "" || strings.Trim(part, "0123456789.") != "" {
			return 0, false
		}
		v, err := strconv.ParseFloat(part, 64)
		if err != nil || i > 0 && v >= 60 || i == 0 && v > 180 {
			return 0, false
		}
		total += v / scale
		scale *= 60
		if s = strings.TrimSpace(s[at+len(mark):]); s == "" {
			break
		}
	}
	return sign * total, s == ""
}
