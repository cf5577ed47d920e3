package cql2

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/twpayne/go-geom"
)

// tags are the geometries of WKT.
var tags = map[string]func(*parser) (geom.T, error){
	"POINT":              (*parser).point,
	"LINESTRING":         (*parser).line,
	"POLYGON":            (*parser).polygon,
	"MULTIPOINT":         (*parser).points,
	"MULTILINESTRING":    (*parser).lines,
	"MULTIPOLYGON":       (*parser).polygons,
	"GEOMETRYCOLLECTION": nil, // which would refer to itself
}

// heighted reports whether the next token is a geometry with its Z before the
// parenthesis.
func (p *parser) heighted() bool {
	if _, ok := tags[strings.ToUpper(p.token.value)]; !ok {
		return false
	}
	after := strings.TrimLeft(p.text[p.token.to:], " \t\r\n")
	return len(after) > 1 && (after[0] == 'Z' || after[0] == 'z') && strings.HasPrefix(strings.TrimLeft(after[1:], " \t\r\n"), "(")
}

// geometry reads a geometry whose tag is the next token.
func (p *parser) geometry() (geom.T, error) {
	word := strings.ToUpper(p.token.value)
	read, ok := tags[word]
	if p.token.kind != name || !ok {
		return nil, p.expected("POINT、LINESTRING、POLYGON 等几何", "a geometry: POINT, LINESTRING, POLYGON, …")
	}
	if err := p.next(); err != nil {
		return nil, err
	}
	if _, err := p.take("Z"); err != nil {
		return nil, err
	}
	if word == "GEOMETRYCOLLECTION" {
		return p.collection()
	}
	return read(p)
}

func (p *parser) collection() (geom.T, error) {
	up, err := p.deeper()
	if err != nil {
		return nil, err
	}
	defer up()
	c := geom.NewGeometryCollection()
	err = p.list(func() error {
		g, err := p.geometry()
		if err != nil {
			return err
		}
		return c.Push(g)
	})
	return c, err
}

// list reads items in parentheses with commas between them.
func (p *parser) list(item func() error) error {
	if err := p.must("("); err != nil {
		return err
	}
	for {
		if err := item(); err != nil {
			return err
		}
		ok, err := p.take(",")
		if err != nil {
			return err
		}
		if !ok {
			break
		}
	}
	if !p.token.is(")") {
		return p.expected(", 或 )", ", or )")
	}
	return p.next()
}

func (p *parser) point() (geom.T, error) {
	if err := p.must("("); err != nil {
		return nil, err
	}
	flat, err := p.position(nil)
	if err != nil {
		return nil, err
	}
	return geom.NewPointFlat(geom.XY, flat), p.must(")")
}

func (p *parser) line() (geom.T, error) {
	flat, err := p.run(nil, false)
	if err != nil {
		return nil, err
	}
	return geom.NewLineStringFlat(geom.XY, flat), nil
}

func (p *parser) polygon() (geom.T, error) {
	flat, ends, err := p.runs(nil, true)
	if err != nil {
		return nil, err
	}
	return geom.NewPolygonFlat(geom.XY, flat, ends), nil
}

// points reads the positions of a multipoint, each in parentheses of its own or,
// as many write them, without.
func (p *parser) points() (geom.T, error) {
	var flat []float64
	err := p.list(func() (err error) {
		own, err := p.take("(")
		if err != nil {
			return err
		}
		if flat, err = p.position(flat); err != nil || !own {
			return err
		}
		return p.must(")")
	})
	if err != nil {
		return nil, err
	}
	return geom.NewMultiPointFlat(geom.XY, flat), nil
}

func (p *parser) lines() (geom.T, error) {
	flat, ends, err := p.runs(nil, false)
	if err != nil {
		return nil, err
	}
	return geom.NewMultiLineStringFlat(geom.XY, flat, ends), nil
}

func (p *parser) polygons() (geom.T, error) {
	var flat []float64
	var all [][]int
	err := p.list(func() (err error) {
		var ends []int
		flat, ends, err = p.runs(flat, true)
		all = append(all, ends)
		return err
	})
	if err != nil {
		return nil, err
	}
	return geom.NewMultiPolygonFlat(geom.XY, flat, all), nil
}

// runs appends lines or rings and tells where each ends.
func (p *parser) runs(flat []float64, rings bool) (_ []float64, ends []int, err error) {
	err = p.list(func() (err error) {
		flat, err = p.run(flat, rings)
		ends = append(ends, len(flat))
		return err
	})
	return flat, ends, err
}

// run appends a line or a ring.
func (p *parser) run(flat []float64, ring bool) ([]float64, error) {
	from, first := p.token.from, len(flat)
	err := p.list(func() (err error) {
		flat, err = p.position(flat)
		return err
	})
	if err != nil {
		return nil, err
	}
	added := flat[first:]
	n := len(added)
	switch {
	case ring && n < 8:
		return nil, p.fault(from, "环至少要有 4 个位置", "a ring has 4 positions at least")
	case ring && (added[0] != added[n-2] || added[1] != added[n-1]):
		return nil, p.fault(from, "环没有闭合：最后一个位置应与第一个相同", "the ring is not closed: its last position must be the first")
	case n < 4:
		return nil, p.fault(from, "线至少要有 2 个位置", "a line has 2 positions at least")
	}
	return flat, nil
}

// position appends a longitude and a latitude; a height is read and dropped.
func (p *parser) position(flat []float64) ([]float64, error) {
	p.positions++
	if p.positions > MaxPositions {
		return nil, p.fault(p.token.from, fmt.Sprintf("几何超过 %d 个位置", MaxPositions), fmt.Sprintf("the geometries have more than %d positions", MaxPositions))
	}
	var v [2]float64
	for i := range v {
		var err error
		if v[i], err = p.ordinate(); err != nil {
			return nil, err
		}
	}
	if p.token.kind == number || p.token.is("-") || p.token.is("+") {
		if _, err := p.ordinate(); err != nil {
			return nil, err
		}
	}
	if p.options.LatitudeFirst {
		v[0], v[1] = v[1], v[0]
	}
	return append(flat, v[:]...), nil
}

func (p *parser) ordinate() (float64, error) {
	s, err := p.number()
	if err != nil {
		return 0, err
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, fmt.Errorf("read a number again: %w", err)
	}
	return f, nil
}

// box reads the numbers of BBOX: four, or six with heights, which are dropped.
func (p *parser) box(at At) (Node, error) {
	var v []float64
	for {
		f, err := p.ordinate()
		if err != nil {
			return nil, err
		}
		v = append(v, f)
		ok, err := p.take(",")
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		if len(v) == 6 {
			return nil, p.expected(")", ")")
		}
	}
	if len(v) != 4 && len(v) != 6 {
		return nil, p.fault(int(at), fmt.Sprintf("BBOX 应有 4 个或 6 个数，这里有 %d 个", len(v)), fmt.Sprintf("BBOX takes 4 or 6 numbers; here are %d", len(v)))
	}
	half := len(v) / 2
	b := [4]float64{v[0], v[1], v[half], v[half+1]}
	if p.options.LatitudeFirst {
		b = [4]float64{b[1], b[0], b[3], b[2]}
	}
	if b[1] > b[3] {
		return nil, p.fault(int(at), "BBOX 的南纬度大于北纬度；请检查坐标次序", "the south of BBOX is above its north; check the order of the coordinates")
	}
	return Box{at, b}, nil
}
