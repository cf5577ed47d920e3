package geojson

import (
	"fmt"

	"github.com/twpayne/go-geom"

	"changde/ingest/layer"
)

// kind is what JSON says a value is.
type kind uint8

const (
	null kind = iota
	truth
	falsehood
	number
	str    // raw is what is between the quotes
	nested // an object or array
)

// property is one member of a feature's properties. Its bytes belong to the row.
type property struct {
	key  []byte // as in the file, escapes unresolved
	kind kind
	raw  []byte
}

// parsed is one row understood. It is used again for each.
type parsed struct {
	shape
	c     cursor
	geom  geom.T
	typ   string // of the geometry, empty without one
	id    property
	hasID bool
	props []property
}

// parse reads a feature, or where bare is true a geometry in its place.
func (p *parsed) parse(b []byte, bare bool) *rowError {
	p.c = cursor{b: b}
	p.shape.c = &p.c
	p.notes, p.geom, p.typ, p.hasID, p.props = 0, nil, "", false, p.props[:0]
	if p.c.next() != '{' {
		return p.notFeature(0, "不是对象", "is not an object")
	}
	p.c.i++
	typ, geometries, properties := "", 0, 0
	for first := true; ; first = false {
		ok, err := p.c.more(first, '}')
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		k, err := p.c.key()
		if err != nil {
			return err
		}
		switch string(k) {
		case "type":
			if typ, err = p.typeName(); err == nil && bare && isGeometryType(typ) {
				p.c.i = 0
				p.geom, p.typ, err = p.geometry(1)
				return err
			}
		case "geometry":
			geometries++
			err = p.geometryMember()
		case "properties":
			properties++
			p.props = p.props[:0]
			err = p.propertiesMember()
		case "id":
			p.id, err = p.value()
			p.hasID = err == nil && p.id.kind != null
		default:
			err = p.c.skip()
		}
		if err != nil {
			return err
		}
	}
	if typ == "" {
		return p.notFeature(0, `缺少 "type":"Feature"`, `has no "type":"Feature"`)
	}
	if typ != "Feature" {
		return p.notFeature(0, fmt.Sprintf(`的 "type" 是 %.40q，应为 "Feature"`, typ), fmt.Sprintf(`is of type %.40q, not "Feature"`, typ))
	}
	if geometries > 1 || properties > 1 {
		p.notes |= noteDuplicate
	}
	if geometries == 0 {
		p.notes |= noteMissing
	}
	return nil
}

func (p *parsed) notFeature(at int, zh, en string) *rowError {
	return &rowError{at, "not-a-feature", "要素" + zh, "the feature " + en}
}

func (p *parsed) geometryMember() *rowError {
	p.geom, p.typ = nil, ""
	if p.c.next() == 'n' {
		_, err := p.c.literal()
		return err
	}
	var err *rowError
	p.geom, p.typ, err = p.geometry(1)
	return err
}

func (p *parsed) propertiesMember() *rowError {
	switch p.c.next() {
	case 'n':
		_, err := p.c.literal()
		return err
	case '{':
	default:
		return p.c.fail("properties-not-object", `"properties" 不是对象`, `"properties" is not an object`)
	}
	p.c.i++
	for first := true; ; first = false {
		if ok, err := p.c.more(first, '}'); err != nil || !ok {
			return err
		}
		k, err := p.c.key()
		if err != nil {
			return err
		}
		v, err := p.value()
		if err != nil {
			return err
		}
		v.key = k
		p.props = append(p.props, v)
	}
}

// value reads a value of any kind.
func (p *parsed) value() (property, *rowError) {
	switch ch := p.c.next(); ch {
	case '"':
		raw, err := p.c.str()
		return property{kind: str, raw: raw}, err
	case '{', '[':
		from := p.c.i
		err := p.c.skip()
		return property{kind: nested, raw: p.c.b[from:p.c.i]}, err
	case 't', 'f', 'n':
		first, err := p.c.literal()
		k := null
		switch first {
		case 't':
			k = truth
		case 'f':
			k = falsehood
		}
		return property{kind: k}, err
	default:
		raw, err := p.c.number()
		return property{kind: number, raw: raw}, err
	}
}

// geometryNotes are the texts of the marks.
var geometryNotes = [...]struct {
	mark         int
	code, zh, en string
}{
	{noteUnclosed, "ring-closed", "环未闭合，已补上首点", "a ring was not closed; its first position was added at the end"},
	{noteEmpty, "geometry-empty", "几何没有坐标，按空几何处理", "the geometry has no coordinates and is taken as none"},
	{notePart, "part-empty", "略去了没有坐标的部分", "parts without coordinates were left out"},
	{noteMixed, "z-mixed", "部分坐标没有高程，该几何只保留平面坐标", "some positions have no height; the geometry keeps X and Y only"},
	{noteM, "m-dropped", "坐标的第四个数被略去", "the fourth number of positions was left out"},
	{noteFlattened, "collection-flattened", "嵌套的 GeometryCollection 已展开", "collections inside the collection were dissolved"},
	{noteDuplicate, "duplicate-member", "成员重复出现，取最后一个", "a member appears twice; the last one counts"},
	{noteMissing, "geometry-missing", `要素没有 "geometry" 成员，按空几何处理`, `the feature has no "geometry" member; it is taken as null`},
}

// faults turns marks into notes on a row.
func faults(row int64, marks int, out []layer.Fault) []layer.Fault {
	if marks == 0 {
		return out
	}
	for _, n := range geometryNotes {
		if marks&n.mark != 0 {
			out = append(out, layer.Fault{Row: row, Code: n.code, ZH: n.zh, EN: n.en})
		}
	}
	return out
}

var textNotes = [...]struct {
	mark         int
	code, zh, en string
}{
	{textNUL, "text-nul", "文本中的 NUL 字符已去掉", "NUL characters were taken out of the text"},
	{textUTF8, "text-not-utf8", "文本中不合法的 UTF-8 字节已换成 U+FFFD", "bytes that are not UTF-8 were replaced by U+FFFD"},
	{textSurrogate, "text-surrogate", "文本中不成对的代理项已换成 U+FFFD", "half a surrogate pair was replaced by U+FFFD"},
}

func textFaults(row int64, field string, marks int, out []layer.Fault) []layer.Fault {
	if marks == 0 {
		return out
	}
	for _, n := range textNotes {
		if marks&n.mark != 0 {
			out = append(out, layer.Fault{Row: row, Field: field, Code: n.code, ZH: n.zh, EN: n.en})
		}
	}
	return out
}
