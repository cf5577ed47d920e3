package vct

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strconv"
)

// point reads what follows the head of a point: its type (1 independent, 2 node, 3
// directed, 4 cluster), perhaps the number of positions, and the positions.
func (p *parser) point() (*badObject, error) {
	typ, b, err := p.integer(1000, "点的特征类型", "the type of point")
	if b != nil || err != nil {
		return b, err
	}
	p.o.node = typ == 2
	flat, b, err := p.maybeCounted(1)
	if b != nil || err != nil {
		return b, err
	}
	p.add(flat)
	// Skimming keeps the first position only, so the number is not in flat.
	p.o.multi = typ == 4 || typ != 3 && p.o.positions > 1
	if typ == 3 && !p.h.modern {
		if next, err := p.l.peek(); err != nil {
			return nil, err
		} else if coordinates(next) {
			_, _, err := p.line()
			return nil, err
		}
	}
	return nil, nil
}

// polyline reads what follows the head of a line. In 2007: type 1 with segments of
// direct coordinates, or 100 with other lines. In 1999: the type of curve and its
// positions.
func (p *parser) polyline() (*badObject, error) {
	typ, b, err := p.integer(1000, "线的特征类型", "the type of line")
	if b != nil || err != nil {
		return b, err
	}
	if typ == 100 {
		return p.references()
	}
	if !p.h.modern {
		if typ != 1 {
			p.o.curve = typ
		}
		return p.vertices()
	}
	n, b, err := p.integer(maxParts, "线段条数", "the number of segments")
	for i := 0; b == nil && err == nil && i < n; i++ {
		b, err = p.segment()
	}
	return b, err
}

// vertices reads a counted list of positions as a part of the object.
func (p *parser) vertices() (*badObject, error) {
	flat, b, err := p.counted()
	if b == nil && err == nil {
		p.add(flat)
	}
	return b, err
}

// segment reads a segment of a line: 11 vertices, 12 an arc of three points.
func (p *parser) segment() (*badObject, error) {
	typ, b, err := p.integer(1000, "线段类型", "the type of segment")
	if b != nil || err != nil {
		return b, err
	}
	switch typ {
	case 11:
		return p.vertices()
	case 12:
		flat, b, err := p.maybeCounted(3)
		if b != nil || err != nil {
			return b, err
		}
		return p.arc(flat, false), nil
	}
	return curveUnsupported(typ), nil
}

func curveUnsupported(typ int) *badObject {
	return bad("curve-unsupported", fmt.Sprintf("曲线类型 %d 不支持；请在原软件中打散为折线再导出", typ), fmt.Sprintf("curves of type %d are not supported; break them into straight segments before the export", typ))
}

// polygon reads what follows the head of a polygon.
func (p *parser) polygon() (*badObject, error) {
	if !p.h.modern {
		return p.polygon1999()
	}
	typ, b, err := p.integer(1000, "面的特征类型", "the type of polygon")
	if b != nil || err != nil {
		return b, err
	}
	if b, err := p.label(); b != nil || err != nil {
		return b, err
	}
	switch typ {
	case 1:
		n, b, err := p.integer(maxParts, "圈数", "the number of rings")
		for i := 0; b == nil && err == nil && i < n; i++ {
			b, err = p.ring()
		}
		return b, err
	case 100:
		of, b, err := p.integer(1000, "间接坐标面的构成类型", "the kind of parts")
		if b != nil || err != nil {
			return b, err
		}
		if of != 21 && of != 22 {
			return bad("object-syntax", fmt.Sprintf("间接坐标面的构成类型 %d 应为 21 或 22", of), fmt.Sprintf("the kind of parts %d is neither 21 nor 22", of)), nil
		}
		p.o.areas = of == 22
		return p.references()
	}
	return bad("object-syntax", fmt.Sprintf("面的特征类型 %d 应为 1 或 100", typ), fmt.Sprintf("the type of polygon %d is neither 1 nor 100", typ)), nil
}

// label passes the position at which a polygon is labelled. It is no evidence of
// where the polygon is: programs write zeros there.
func (p *parser) label() (*badObject, error) {
	line, b, err := p.line()
	if b != nil || err != nil {
		return b, err
	}
	if !coordinates(line) {
		return bad("object-syntax", fmt.Sprintf("标识点坐标 %.60q 无法读懂", line), fmt.Sprintf("the label point %.60q cannot be read", line)), nil
	}
	return nil, nil
}

// ring reads a ring of direct coordinates: 11 vertices, 12 a circle through three
// points, 13 a circle by centre and radius.
func (p *parser) ring() (*badObject, error) {
	typ, b, err := p.integer(1000, "圈的类型", "the type of ring")
	if b != nil || err != nil {
		return b, err
	}
	switch typ {
	case 11:
		return p.vertices()
	case 12:
		flat, b, err := p.maybeCounted(3)
		if b != nil || err != nil {
			return b, err
		}
		return p.arc(flat, true), nil
	case 13:
		centre, b, err := p.maybeCounted(1)
		if b != nil || err != nil {
			return b, err
		}
		line, b, err := p.line()
		if b != nil || err != nil {
			return b, err
		}
		r, err := strconv.ParseFloat(string(line), 64)
		if err != nil || !(r > 0) || math.IsInf(r, 0) {
			return bad("object-syntax", fmt.Sprintf("半径 %.40q 不是正数", line), fmt.Sprintf("the radius %.40q is no positive number", line)), nil
		}
		if !p.skim {
			p.o.stroked = true
			p.add(circle(centre, r, p.h.dim))
		}
		return nil, nil
	}
	return curveUnsupported(typ), nil
}

// polygon1999 reads the label point and then, without topology, rings that each begin
// with their number of positions, the last followed by 0; else the lines.
func (p *parser) polygon1999() (*badObject, error) {
	next, err := p.l.peek()
	if err != nil {
		return nil, err
	}
	if !coordinates(next) { // a type, which some programs write
		if _, b, err := p.line(); b != nil || err != nil {
			return b, err
		}
	}
	if b, err := p.label(); b != nil || err != nil {
		return b, err
	}
	direct := p.h.topo == 0
	if p.h.topo < 0 {
		if direct, err = p.second(func(line []byte) bool { return coordinates(line) && bytes.IndexByte(line, '.') >= 0 }); err != nil {
			return nil, err
		}
	}
	if !direct {
		return p.references()
	}
	for n := 0; ; n++ {
		flat, b, err := p.counted()
		if b != nil || err != nil {
			return b, err
		}
		p.add(flat)
		next, err := p.l.peek()
		if err != nil {
			return nil, err
		}
		if len(next) == 1 && next[0] == '0' {
			_, b, err := p.line()
			return b, err
		}
		more, err := p.second(coordinates)
		if err != nil || !more {
			return nil, err
		}
		if n == maxParts {
			return bad("object-size", fmt.Sprintf("圈数超过 %d", maxParts), fmt.Sprintf("more than %d rings", maxParts)), nil
		}
	}
}

// second tests the line after the next.
func (p *parser) second(test func(line []byte) bool) (bool, error) {
	at := p.l.offset()
	defer p.l.seek(at)
	if _, err := p.l.next(); err != nil {
		return false, notEOF(err)
	}
	line, err := p.l.next()
	if err != nil {
		return false, notEOF(err)
	}
	return test(line), nil
}

func notEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

// references reads the number of parts and their identifiers, mostly eight on a line.
// Whether the zeros between rings count is told differently, so that reading goes on
// while there are fewer parts than announced and more lines of them.
func (p *parser) references() (*badObject, error) {
	count, b, err := p.integer(maxRefs, "构成对象的个数", "the number of parts")
	if b != nil || err != nil {
		return b, err
	}
	all, parts := 0, 0
	for {
		if all >= count {
			more, err := p.moreReferences(parts < count)
			if err != nil || !more {
				return nil, err
			}
		}
		line, b, err := p.line()
		if b != nil || err != nil {
			return b, err
		}
		for cell := range bytes.SplitSeq(line, []byte(",")) {
			cell = bytes.TrimSpace(cell)
			if len(cell) == 0 {
				continue
			}
			id, err := strconv.ParseInt(string(cell), 10, 64)
			if err != nil || id == math.MinInt64 {
				return bad("object-syntax", fmt.Sprintf("构成对象的标识码 %.40q 不是整数", cell), fmt.Sprintf("the identifier %.40q of a part is no integer", cell)), nil
			}
			if all++; id != 0 {
				parts++
			}
			if all > 2*maxRefs {
				return bad("object-size", "构成对象过多", "too many parts"), nil
			}
			if !p.skim || len(p.o.refs) == 0 {
				p.o.refs = append(p.o.refs, id)
			}
		}
	}
}

// moreReferences tells whether the next line is one more of parts: in the layout of
// 2007 anything but the final 0, before it a list, or one number which no feature
// code follows.
func (p *parser) moreReferences(short bool) (bool, error) {
	next, err := p.l.peek()
	if err != nil || !short || next == nil || is(next, p.end) {
		return false, err
	}
	if p.h.modern {
		return len(next) != 1 || next[0] != '0', nil
	}
	if bytes.IndexByte(next, ',') >= 0 {
		return true, nil
	}
	if _, err := strconv.ParseInt(string(next), 10, 64); err != nil {
		return false, nil
	}
	head, err := p.second(func(line []byte) bool { return p.known(string(line)) })
	return !head, err
}

// annotation reads a text. In 2007: 1 for one position, 2 for a number of them; the
// text; the positions, each with an angle. In 1999: font, colour, style, size,
// spacing; the text; the number of positions; the positions.
func (p *parser) annotation() (*badObject, error) {
	before := 5
	if p.h.modern {
		before = 1
	}
	for range before {
		if _, b, err := p.line(); b != nil || err != nil {
			return b, err
		}
	}
	line, b, err := p.line()
	if b != nil || err != nil {
		return b, err
	}
	if !p.skim {
		p.o.text, _ = p.enc.decode(line)
	}
	flat, b, err := p.maybeCounted(1)
	if b != nil || err != nil {
		return b, err
	}
	p.add(flat)
	return nil, nil
}
