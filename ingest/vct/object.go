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
