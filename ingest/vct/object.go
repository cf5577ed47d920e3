package vct

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strconv"
)

const (
	maxVertices = 10_000_000 // of one geometry
	maxRefs     = 1_000_000  // lines of one polygon
	maxParts    = 100_000    // rings or segments of one object
	maxTrailing = 1000       // lines behind an object that are passed to find its end
)

// object is one record of a section of graphics.
type object struct {
	id        int64
	code      string
	offset    int64
	paths     [][]float64 // points, segments or rings with direct coordinates
	refs      []int64     // identifiers of parts; 0 ends a ring, a negative line runs backwards
	areas     bool        // refs are polygons, not lines
	node      bool        // a point that is a node
	positions int         // of the last path
	multi     bool        // several points
	curve     int         // type of a curve that is not read, 0 for none
	stroked   bool        // an arc became a line of many vertices
	text      string      // of an annotation
	first     [2]float64  // a position, with hasFirst
	hasFirst  bool
}

// badObject says why a record cannot be read.
type badObject struct{ code, zh, en string }

func bad(code, zh, en string) *badObject { return &badObject{code, zh, en} }

// parser reads objects. When skim is set only their extent in the file, their heads
// and one position are learned.
type parser struct {
	l    *lines
	h    *head
	enc  Encoding
	skim bool

	o     *object
	end   string // the word that ends the section
	known func(code string) bool
}

// parse reads the object at the lines' place.
func (p *parser) parse(k kind) (*object, *badObject, error) {
	p.o = &object{offset: p.l.offset()}
	p.end = kindNames[k] + "End"
	b, err := p.record(k)
	if err != nil || b != nil {
		return p.o, b, err
	}
	if p.h.modern {
		b, err = p.finish(k)
	} else {
		b, err = p.finish1999(k)
	}
	return p.o, b, err
}

func (p *parser) record(k kind) (*badObject, error) {
	line, b, err := p.line()
	if b != nil || err != nil {
		return b, err
	}
	if p.o.id, err = strconv.ParseInt(string(line), 10, 64); err != nil || p.o.id < 0 {
		return bad("object-id", fmt.Sprintf("对象标识码 %.40q 不是非负整数", line), fmt.Sprintf("the identifier %.40q is no integer from 0", line)), nil
	}
	if line, b, err = p.line(); b != nil || err != nil {
		return b, err
	}
	if len(line) > maxName {
		return bad("object-code", "要素代码过长", "the feature code is too long"), nil
	}
	p.o.code = string(line)
	// The name of the layer in 1999, the code of the symbol in 2007.
	if _, b, err = p.line(); b != nil || err != nil {
		return b, err
	}
	switch k {
	case points:
		return p.point()
	case polylines:
		return p.polyline()
	case polygons:
		return p.polygon()
	}
	return p.annotation()
}

// line takes the next line of the object.
func (p *parser) line() ([]byte, *badObject, error) {
	at := p.l.offset()
	line, err := p.l.next()
	if err == io.EOF {
		return nil, nil, truncated(p.l, p.end)
	}
	if err != nil {
		return nil, nil, err
	}
	if is(line, p.end) {
		p.l.seek(at)
		return nil, bad("object-cut", "对象在本段结束处中断", "the object is cut off by the end of the section"), nil
	}
	return line, nil, nil
}

// integer takes a line that is a number from 0 to most.
func (p *parser) integer(most int, zh, en string) (int, *badObject, error) {
	at := p.l.offset()
	line, b, err := p.line()
	if b != nil || err != nil {
		return 0, b, err
	}
	n, err := strconv.Atoi(string(line))
	if err != nil || n < 0 {
		p.l.seek(at)
		return 0, bad("object-syntax", fmt.Sprintf("%s %.40q 不是非负整数", zh, line), fmt.Sprintf("%s %.40q is no integer from 0", en, line)), nil
	}
	if n > most {
		p.l.seek(at)
		return 0, bad("object-size", fmt.Sprintf("%s %d 超过 %d", zh, n, most), fmt.Sprintf("%s %d is more than %d", en, n, most)), nil
	}
	return n, nil, nil
}

// finish takes the 0 that ends an object in the layout of 2007.
func (p *parser) finish(k kind) (*badObject, error) {
	for n := 0; ; n++ {
		line, b, err := p.line()
		if b != nil || err != nil {
			return b, err
		}
		if len(line) == 1 && line[0] == '0' {
			return nil, nil
		}
		// Points and texts may be followed by directions.
		if k != points && k != annotations || n == maxTrailing {
			return bad("object-trailing", fmt.Sprintf("对象之后应为结束标志 0，却是 %.40q", line), fmt.Sprintf("%.40q stands where the 0 that ends the object should be", line)), nil
		}
	}
}

// finish1999 passes the topology of an object and makes sure that no position is
// left over, since nothing marks the end of an object in that layout.
func (p *parser) finish1999(k kind) (*badObject, error) {
	if p.h.topo == 2 {
		switch {
		case k == polylines: // first and last node, left and right polygon
			return p.integers(4)
		case k == points && p.o.node: // the lines that meet there
			return p.references()
		}
	}
	next, err := p.l.peek()
	if err != nil {
		return nil, err
	}
	if coordinates(next) {
		return bad("object-count", "坐标多于所写的点数", "there are more positions than the number says"), nil
	}
	return nil, nil
}

// integers passes n lines of one number each, if they are there.
func (p *parser) integers(n int) (*badObject, error) {
	at := p.l.offset()
	for range n {
		line, b, err := p.line()
		if err != nil {
			return nil, err
		}
		if b != nil {
			p.l.seek(at)
			return nil, nil
		}
		if _, err := strconv.ParseInt(string(line), 10, 64); err != nil {
			p.l.seek(at)
			return nil, nil
		}
	}
	return nil, nil
}

// coordinates tells whether a line is a position.
func coordinates(line []byte) bool {
	if bytes.IndexByte(line, ',') < 0 {
		return false
	}
	_, n := position(line)
	return n >= 2
}

// position reads up to three numbers; n is how many there are, 0 if one is none.
func position(line []byte) (v [3]float64, n int) {
	for n < 3 {
		cell, rest, more := bytes.Cut(line, []byte(","))
		f, err := strconv.ParseFloat(string(bytes.TrimSpace(cell)), 64)
		if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			if n >= 2 && len(bytes.TrimSpace(cell)) == 0 {
				return v, n
			}
			return v, 0
		}
		v[n] = f
		n++
		if !more {
			break
		}
		line = rest
	}
	return v, n
}

// take adds a position to flat.
func (p *parser) take(line []byte, flat []float64) ([]float64, *badObject) {
	v, n := position(line)
	if n < 2 {
		return flat, bad("coordinate-not-number", fmt.Sprintf("坐标 %.60q 不是用逗号分隔的数", line), fmt.Sprintf("the position %.60q is not numbers with commas between them", line))
	}
	if p.h.swap {
		v[0], v[1] = v[1], v[0]
	}
	if !p.o.hasFirst {
		p.o.first, p.o.hasFirst = [2]float64{v[0], v[1]}, true
	}
	if p.h.dim == 3 {
		return append(flat, v[0], v[1], v[2]), nil
	}
	return append(flat, v[0], v[1]), nil
}

// path takes n positions.
func (p *parser) path(n int) ([]float64, *badObject, error) {
	p.o.positions = n
	var flat []float64
	for i := range n {
		at := p.l.offset()
		line, b, err := p.line()
		if b != nil || err != nil {
			return nil, b, err
		}
		if p.skim && i > 0 && bytes.IndexByte(line, ',') >= 0 {
			continue
		}
		if flat, b = p.take(line, flat); b != nil {
			p.l.seek(at) // it may be the end of the object
			return nil, b, nil
		}
	}
	return flat, nil, nil
}

// counted takes a number and as many positions.
func (p *parser) counted() ([]float64, *badObject, error) {
	n, b, err := p.integer(maxVertices, "点数", "the number of positions")
	if b != nil || err != nil {
		return nil, b, err
	}
	return p.path(n)
}

// maybeCounted takes n positions, before which their number may stand.
func (p *parser) maybeCounted(n int) ([]float64, *badObject, error) {
	next, err := p.l.peek()
	if err != nil {
		return nil, nil, err
	}
	if bytes.IndexByte(next, ',') < 0 {
		return p.counted()
	}
	return p.path(n)
}

func (p *parser) add(path []float64) {
	if !p.skim {
		p.o.paths = append(p.o.paths, path)
	}
}

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
		flat, b, err := p.counted()
		if b == nil && err == nil {
			p.add(flat)
		}
		return b, err
	}
	n, b, err := p.integer(maxParts, "线段条数", "the number of segments")
	for i := 0; b == nil && err == nil && i < n; i++ {
		b, err = p.segment()
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
		flat, b, err := p.counted()
		if b == nil && err == nil {
			p.add(flat)
		}
		return b, err
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
		flat, b, err := p.counted()
		if b == nil && err == nil {
			p.add(flat)
		}
		return b, err
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

// headFollows tells whether the section ends or something like the head of an object
// comes: an identifier, then a code. A 0 within an object is not followed by that.
func (p *parser) headFollows() (bool, error) {
	next, err := p.l.peek()
	if err != nil || next == nil || is(next, p.end) {
		return true, err
	}
	if id, err := strconv.ParseInt(string(next), 10, 64); err != nil || id <= 0 {
		return false, nil
	}
	return p.second(func(line []byte) bool { return bytes.IndexByte(line, ',') < 0 && !(len(line) == 1 && line[0] == '0') })
}

// resync passes what is left of a broken object: up to the 0 that ends it, or to
// what looks like the head of another.
func (p *parser) resync() error {
	for {
		at := p.l.offset()
		line, err := p.l.next()
		if err == io.EOF {
			return truncated(p.l, p.end)
		}
		if err != nil {
			return err
		}
		if is(line, p.end) {
			p.l.seek(at)
			return nil
		}
		if p.h.modern {
			if len(line) == 1 && line[0] == '0' {
				if head, err := p.headFollows(); err != nil || head {
					return err
				}
			}
			continue
		}
		if _, err := strconv.ParseInt(string(line), 10, 64); err != nil {
			continue
		}
		if next, err := p.l.peek(); err != nil {
			return err
		} else if next != nil && p.known(string(next)) {
			p.l.seek(at)
			return nil
		}
	}
}
