package vct

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"changde/ingest/layer"
	"changde/problem"
)

// scanner makes the pass over a file.
type scanner struct {
	*schema
	info     *Info
	head     *head
	l        *lines
	builders [kinds]*builder
	easting  float64
	counts   map[string]int // of notes that are counted, by their key
	order    []counted      // such notes in the order of their first appearance
	rowsSeen bool
}

type counted struct{ key, code, zh, en string }

func (s *scanner) note(code, zh, en string) {
	const most = 200
	if len(s.info.Notes) < most {
		s.info.Notes = append(s.info.Notes, layer.Fault{Code: code, ZH: zh, EN: en})
	}
}

// count counts a note whose texts are formats with the number. Texts of the file in
// them must be escaped.
func (s *scanner) count(key, code, zh, en string) {
	if s.counts[key]++; s.counts[key] == 1 {
		s.order = append(s.order, counted{key, code, zh, en})
	}
}

func escape(s string) string { return strings.ReplaceAll(s, "%", "%%") }

// scan reads all sections.
func (s *scanner) scan() error {
	for first := true; ; first = false {
		line, err := s.l.next()
		if err == io.EOF && !first {
			return nil
		}
		if first && (err == io.EOF || err == nil && !is(bytes.TrimPrefix(line, []byte("\xef\xbb\xbf")), "HeadBegin")) {
			return problem.New(problem.Invalid, "vct-head", s.l.where,
				"文件不以 HeadBegin 开头，不是 GB/T 17798 的 VCT 文本（也可能是 Idrisi 的同名格式）", "the file does not begin with HeadBegin: it is not VCT text of GB/T 17798 (Idrisi has a format of the same name)")
		}
		if err != nil {
			return err
		}
		if first {
			if s.head, err = readHead(s.l, s.info.Encoding); err != nil {
				return err
			}
			continue
		}
		if err := s.part(string(line)); err != nil {
			return err
		}
	}
}

// part reads the section that begins with a line.
func (s *scanner) part(begin string) error {
	n := len(begin) - len("Begin")
	if n <= 0 || !strings.EqualFold(begin[n:], "Begin") {
		s.count("line-unknown", "line-unknown", "段与段之间有 %d 行不能识别，已略过", "%d lines between the sections are not known and were passed over")
		return nil
	}
	name := begin[:n]
	switch strings.ToLower(name) {
	case "featurecode":
		return s.featureCodes()
	case "tablestructure":
		return s.tableStructures()
	case "attribute":
		return s.attributes()
	case "topology", "nodetopology", "edgetopology", "style", "representation", "constant":
		// The topology repeats what the lines of the polygons tell; symbols are not data.
		return s.section(name+"End", func([]byte) error { return nil })
	}
	if k := parseKind(name); k != noKind {
		return s.objects(k)
	}
	filled := false
	if err := s.section(name+"End", func([]byte) error { filled = true; return nil }); err != nil {
		return err
	}
	if filled {
		s.note("section-unread", fmt.Sprintf("数据段 %.40s 不支持，未读入", name), fmt.Sprintf("the section %.40s is not supported and was not read", name))
	}
	return nil
}

// objects reads a section of graphics.
func (s *scanner) objects(k kind) error {
	p := parser{l: s.l, h: s.head, enc: s.info.Encoding, skim: true, known: s.knownCode}
	end := kindNames[k] + "End"
	for {
		at := s.l.offset()
		line, err := s.l.next()
		if err == io.EOF {
			return truncated(s.l, end)
		}
		if err != nil {
			return err
		}
		if is(line, end) {
			return nil
		}
		s.l.seek(at)
		o, b, err := p.parse(k)
		if err != nil {
			return err
		}
		if b != nil {
			s.count(kindNames[k], "object-unreadable", kindNames[k]+" 段有 %d 个对象无法读懂，第一个："+escape(b.zh)+fmt.Sprintf("（第 %d 字节起）", o.offset),
				"%d objects of the section "+kindNames[k]+" cannot be read; the first: "+escape(b.en)+fmt.Sprintf(" (from byte %d)", o.offset))
		}
		if o.code != "" && (b == nil || b.code != "object-cut") {
			if err := s.object(k, o, b == nil); err != nil {
				return err
			}
		}
		if b != nil {
			if err := p.resync(); err != nil {
				return err
			}
		}
	}
}

func (s *scanner) knownCode(code string) bool {
	if _, ok := s.codes[code]; ok {
		return true
	}
	return s.info.known[code]
}

// object enters an object into the index. One that cannot be read is entered too, so
// that the row it belongs to is told why.
func (s *scanner) object(k kind, o *object, good bool) error {
	i, ok := s.codes[o.code]
	if !ok {
		i = noLayer
		if good && len(s.info.known) < maxLayers {
			s.info.known[o.code] = true
		}
		if k != polylines && good {
			s.count("code-unknown", "code-unknown", "有 %d 个对象的要素代码未在要素类型参数中定义，未读入", "%d objects have feature codes that are not among the feature codes of the file; they were not read")
		}
		if k != polylines {
			return nil
		}
	}
	if err := s.builders[k].add(o.id, o.offset, i); err != nil {
		return err
	}
	if o.hasFirst && s.easting == 0 {
		s.easting = o.first[0]
	}
	if i == noLayer {
		return nil
	}
	l := s.layers[i]
	l.kinds[k] = true
	l.Objects++
	switch k {
	case polylines:
		l.GeometryTypes["MultiLineString"]++
	case polygons:
		l.GeometryTypes["MultiPolygon"]++
	default:
		if o.multi {
			l.GeometryTypes["MultiPoint"]++
		} else {
			l.GeometryTypes["Point"]++
		}
	}
	switch {
	case len(l.FirstPoints)+len(l.refs) >= maxFirstPoints:
	case o.hasFirst:
		l.FirstPoints = append(l.FirstPoints, o.first)
	case len(o.refs) > 0 && !o.areas:
		id := o.refs[0]
		l.refs = append(l.refs, max(id, -id))
	}
	return nil
}

// attributes reads AttributeBegin: the name of a table, its rows, TableEnd.
func (s *scanner) attributes() error {
	s.rowsSeen = true
	var l *LayerInfo
	named := false
	return s.section("AttributeEnd", func(line []byte) error {
		if is(line, "TableEnd") {
			l, named = nil, false
			return nil
		}
		if name, ok := s.tableName(line); ok || !named {
			named = true
			if !ok {
				l = nil
				s.count("table-unknown", "table-unknown", "有 %d 个属性表未在属性数据结构中定义，未读入", "%d attribute tables have no structure in the file and were not read")
				return nil
			}
			l = s.layers[name]
			l.parts = append(l.parts, s.l.offset())
			return nil
		}
		if l != nil {
			l.Rows++
		}
		return nil
	})
}

// tableName tells whether a line of the attributes is the name of a table.
func (s *scanner) tableName(line []byte) (int, bool) {
	if len(line) > maxName || bytes.Contains(line, []byte(s.head.separator)) {
		return 0, false
	}
	text, _ := s.info.Encoding.decode(line)
	i, ok := s.byName[strings.ToLower(text)]
	return i, ok
}

// finish completes the Info when all is indexed.
func (s *scanner) finish(l *lines) error {
	info := s.info
	info.head, info.Head, info.Version, info.Modern = s.head, s.head.keys, s.head.get("version"), s.head.modern
	info.HasZ = s.head.dim == 3
	for code := range s.codes {
		info.known[code] = true
	}
	p := parser{l: l, h: s.head, enc: info.Encoding, skim: true, known: func(c string) bool { return info.known[c] }}
	find := cursor{x: info.indexes[polylines]}
	for _, layer := range s.layers {
		for _, id := range layer.refs {
			e, at, err := find.lookup(id, noLayer, nil)
			if err != nil {
				return err
			}
			if at < 0 {
				continue
			}
			l.seek(e.offset())
			o, b, err := p.parse(polylines)
			if err != nil {
				return err
			}
			if b == nil && o.hasFirst {
				layer.FirstPoints = append(layer.FirstPoints, o.first)
			}
		}
		layer.refs = nil
		for k, types := range [kinds][]string{{"Point", "MultiPoint"}, {"MultiLineString"}, {"MultiPolygon"}, {"Point"}} {
			// A layer without objects has the type that its feature code declares.
			if layer.kinds[k] && !slices.ContainsFunc(types, func(t string) bool { return layer.GeometryTypes[t] > 0 }) {
				layer.GeometryTypes[types[0]] = 0
			}
		}
		layer.Features = max(layer.Rows, layer.Objects)
		if layer.table == nil {
			layer.table = &table{name: layer.Name}
			if layer.Objects > 0 {
				s.note("table-missing", fmt.Sprintf("图层 %s 没有属性数据结构", layer.Name), fmt.Sprintf("the layer %s has no table structure", layer.Name))
			}
		}
		for _, c := range layer.table.columns {
			layer.Fields = append(layer.Fields, c.Field)
		}
		if layer.kinds[annotations] {
			layer.Fields = append(layer.Fields, annotationField(layer.Fields))
		}
	}
	info.Layers = s.layers
	for _, c := range s.order {
		s.note(c.code, fmt.Sprintf(c.zh, s.counts[c.key]), fmt.Sprintf(c.en, s.counts[c.key]))
	}
	if !s.rowsSeen {
		s.note("attributes-none", "文件没有属性数据段 AttributeBegin", "the file has no section AttributeBegin")
	}
	if s.head.swap {
		s.note("axis-order", "文件头写明 X 轴向北、Y 轴向东，坐标已对调为先东后北", "the head says that X points north and Y east; the two were exchanged")
	}
	info.CRS = s.head.crs(s.easting)
	return nil
}

// annotationField is the field for the texts of annotations.
func annotationField(fields []layer.Field) layer.Field {
	name := "annotation"
	for slices.ContainsFunc(fields, func(f layer.Field) bool { return strings.EqualFold(f.Name, name) }) {
		name += "_"
	}
	return layer.Field{Name: name}
}
