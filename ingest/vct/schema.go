package vct

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"changde/ingest/layer"
	"changde/problem"
)

const (
	maxLayers = 2000
	maxFields = 1000 // of one table
	maxName   = 1 << 10
)

// kind is what a section of objects holds.
type kind int

const (
	points kind = iota
	polylines
	polygons
	annotations
	kinds
	noKind kind = -1
)

var kindNames = [kinds]string{"Point", "Line", "Polygon", "Annotation"}

// parseKind reads the geometry type of a feature code.
func parseKind(s string) kind {
	for k, n := range kindNames {
		if strings.EqualFold(s, n) {
			return kind(k)
		}
	}
	return noKind
}

// column is a field of a table.
type column struct {
	layer.Field
}

// table is an attribute table as TableStructure describes it.
type table struct {
	name    string
	columns []column
}

// schema holds the feature codes and tables of a file.
type schema struct {
	layers []*LayerInfo
	codes  map[string]int // feature code -> layer
	byName map[string]int // lower case -> layer
}

func newSchema() *schema {
	return &schema{codes: make(map[string]int), byName: make(map[string]int)}
}

// cells splits a line of the head parts by the separator.
func (s *scanner) cells(line []byte) []string {
	text, _ := s.info.Encoding.decode(line)
	parts := strings.Split(text, s.head.separator)
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

// featureCodes reads FeatureCodeBegin: code, name, type, colours in the layouts before
// 2007, table, and perhaps more.
func (s *scanner) featureCodes() error {
	return s.section("FeatureCodeEnd", func(line []byte) error {
		c := s.cells(line)
		if len(c) < 3 || c[0] == "" {
			if len(c) > 1 {
				s.count("feature-code", "feature-code", "要素类型参数中有 %d 行无法读懂", "%d lines of the feature codes could not be read")
			}
			return nil
		}
		k := parseKind(c[2])
		if k == noKind {
			s.note("geometry-type", fmt.Sprintf("要素 %.40s 的几何类型 %.40q 不支持，该要素未读入", c[1], c[2]), fmt.Sprintf("the geometry type %.40q of the features %.40s is not supported; they were not read", c[2], c[1]))
			return nil
		}
		name := ""
		for _, v := range c[3:] {
			if _, err := strconv.Atoi(v); err != nil && v != "" {
				name = v
				break
			}
		}
		if name == "" {
			name = c[1]
		}
		if name == "" {
			name = c[0]
		}
		l, err := s.layer(name)
		if err != nil {
			return err
		}
		if _, taken := s.codes[c[0]]; taken {
			return nil
		}
		info := s.layers[l]
		s.codes[c[0]] = l
		if len(info.Codes) == 0 {
			info.Title = c[1]
		}
		info.Codes = append(info.Codes, c[0])
		info.kinds[k] = true
		return nil
	})
}

// layer finds or makes the layer of a name.
func (s *scanner) layer(name string) (int, error) {
	if len(name) > maxName {
		return 0, problem.New(problem.TooLarge, "vct-name-length", s.l.where, fmt.Sprintf("名称超过 %d 字节：%.40q", maxName, name), fmt.Sprintf("a name is longer than %d bytes: %.40q", maxName, name))
	}
	low := strings.ToLower(name)
	if i, ok := s.byName[low]; ok {
		return i, nil
	}
	if len(s.layers) == maxLayers {
		return 0, problem.New(problem.TooLarge, "vct-layers", s.l.where, fmt.Sprintf("图层超过 %d 个", maxLayers), fmt.Sprintf("more than %d layers", maxLayers))
	}
	s.byName[low] = len(s.layers)
	s.layers = append(s.layers, &LayerInfo{Name: name, GeometryTypes: make(map[string]int64)})
	return len(s.layers) - 1, nil
}

// tableStructures reads TableStructureBegin: for each table its name and number of
// fields, and a line for each field; the layout of 2007 ends a table with 0.
func (s *scanner) tableStructures() error {
	left := 0
	var t *table
	return s.section("TableStructureEnd", func(line []byte) error {
		c := s.cells(line)
		if len(c) == 1 && c[0] == "0" {
			left = 0
			return nil
		}
		if left == 0 {
			if len(c) < 2 {
				s.count("table-structure", "table-structure", "属性数据结构中有 %d 行无法读懂", "%d lines of the table structures could not be read")
				return nil
			}
			n, err := strconv.Atoi(c[1])
			if err != nil || n < 0 {
				s.count("table-structure", "table-structure", "属性数据结构中有 %d 行无法读懂", "%d lines of the table structures could not be read")
				return nil
			}
			if n > maxFields {
				return problem.New(problem.TooLarge, "vct-fields", s.l.where, fmt.Sprintf("表 %.40s 的字段超过 %d 个", c[0], maxFields), fmt.Sprintf("the table %.40s has more than %d fields", c[0], maxFields))
			}
			i, err := s.layer(c[0])
			if err != nil {
				return err
			}
			info := s.layers[i]
			if info.table != nil {
				s.note("table-duplicate", fmt.Sprintf("表 %s 的结构重复，取第一个", info.Name), fmt.Sprintf("the structure of the table %s stands twice; the first counts", info.Name))
				t = &table{}
			} else {
				info.table = &table{name: c[0]}
				t = info.table
			}
			left = n
			return nil
		}
		left--
		t.columns = append(t.columns, s.column(t, c))
		return nil
	})
}

// column reads "name,type[,width[,decimals]]".
func (s *scanner) column(t *table, c []string) column {
	f := column{Field: layer.Field{Name: c[0]}}
	if f.Name == "" {
		f.Name = fmt.Sprintf("field_%d", len(t.columns)+1)
	}
	number := func(i int) int {
		if i < len(c) {
			if n, err := strconv.Atoi(c[i]); err == nil && n >= 0 && n < 1<<31 {
				return n
			}
		}
		return 0
	}
	f.Width, f.Decimals = number(2), number(3)
	typ := ""
	if len(c) > 1 {
		typ = strings.ToLower(c[1])
	}
	switch {
	case strings.HasPrefix(typ, "int") || typ == "smallint" || typ == "bigint" || typ == "long" || typ == "short":
		f.Type = layer.Integer
	case typ == "float" || typ == "double" || typ == "real":
		f.Type = layer.Real
	case typ == "numeric" || typ == "decimal":
		if f.Type = layer.Real; f.Width > 15 {
			f.Type = layer.Decimal // a double keeps 15 significant digits exactly
		}
	case typ == "date":
		f.Type = layer.Date
	case typ == "datetime":
		f.Type = layer.Timestamp
	case typ == "boolean" || typ == "bool":
		f.Type = layer.Boolean
	case typ == "char" || typ == "varchar" || typ == "text" || typ == "string" || typ == "time":
	case typ == "varbin" || typ == "blob":
		s.note("field-binary", fmt.Sprintf("表 %s 的二进制字段 %s 只读入其文本", t.name, f.Name), fmt.Sprintf("of the binary field %[2]s of the table %[1]s only the text was read", t.name, f.Name))
	default:
		s.note("field-type-unknown", fmt.Sprintf("表 %s 字段 %s 的类型 %.40q 不认识，按文本读取", t.name, f.Name, typ), fmt.Sprintf("the type %.40q of the field %s of the table %s is not known; it is read as text", typ, f.Name, t.name))
	}
	return f
}

// section calls f for each line up to the one that ends the section.
func (s *scanner) section(end string, f func(line []byte) error) error {
	for {
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
		if err := f(line); err != nil {
			return err
		}
	}
}
