package profile

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"changde/ingest/layer"
)

// IDs of profiles, code tables and datasets in parameters.
var (
	idForm      = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	datasetForm = regexp.MustCompile(`^[a-z][a-z0-9_]{0,40}$`)
)

// Geometries are the geometry types a profile may have.
func Geometries() []string {
	return []string{"Point", "MultiPoint", "MultiLineString", "MultiPolygon", "Geometry"}
}

// Check tells what in a profile does not fit together: names that are not there,
// codes without a table, bounds the wrong way round, rules with parameters that
// make no sense, names that are one when a DBF cuts them. Code tables are looked
// up in lib; a nil lib leaves that out. It takes every Profile, also one made by
// hand, and needs no database.
func Check(p *Profile, lib *Library) []Issue {
	c := checker{p: p, lib: lib, names: map[string]int{}}
	c.head()
	c.fields()
	c.roles()
	c.collisions()
	c.rules()
	c.tiles()
	return c.out.list
}

type checker struct {
	p     *Profile
	lib   *Library
	names map[string]int // folded field name: index
	out   issues
}

func (c *checker) head() {
	p := c.p
	if !idForm.MatchString(p.ID) || len(p.ID) > maxID {
		c.out.error("$.id", "profile-id", "编号只能用小写字母、数字和连字符，以字母开头，最长 63，如 dltb-3",
			"the id has lower-case letters, digits and dashes, begins with a letter, at most 63, such as dltb-3")
	}
	if p.TitleZH == "" || p.TitleEN == "" {
		c.out.error("$.title", "title-missing", "缺少中文或英文名称", "the Chinese or the English title is missing")
	}
	if !slices.Contains(Geometries(), p.Geometry) {
		c.out.error("$.geometry", "geometry-type", "几何类型只能是 "+strings.Join(Geometries(), "、"),
			"the geometry type is one of "+strings.Join(Geometries(), ", "))
	}
	seen := map[string]bool{}
	for i, name := range p.Layers {
		path := fmt.Sprintf("$.layers[%d]", i)
		if name == "" || strings.TrimSpace(name) != name {
			c.out.error(path, "layer-name", "图层名为空或首尾有空格", "the layer name is empty or has spaces around it")
		}
		if seen[fold(name)] {
			c.out.error(path, "layer-duplicate", "图层名 "+cite(name)+" 重复", "the layer name "+cite(name)+" is there twice")
		}
		seen[fold(name)] = true
	}
	for name, v := range map[string]float64{"grid": p.Tolerance.Grid, "topology": p.Tolerance.Topology, "area": p.Tolerance.Area} {
		if v < 0 || v > maxTolerance || math.IsNaN(v) {
			c.out.error("$.tolerance."+name, "number-out-of-range", "容差不得为负或过大", "a tolerance is neither negative nor huge")
		}
	}
	if len(p.Fields) > maxFields {
		c.out.error("$.fields", "list-too-long", fmt.Sprintf("字段超过 %d 个", maxFields), fmt.Sprintf("there are more than %d fields", maxFields))
	}
	if len(p.Rules) > maxRules {
		c.out.error("$.rules", "list-too-long", fmt.Sprintf("规则超过 %d 条", maxRules), fmt.Sprintf("there are more than %d rules", maxRules))
	}
}

func (c *checker) fields() {
	for i, f := range c.p.Fields {
		at := fmt.Sprintf("$.fields[%d]", i)
		if strings.TrimSpace(f.Name) != f.Name || f.Name == "" || utf8.RuneCountInString(f.Name) > maxName ||
			!utf8.ValidString(f.Name) || strings.ContainsFunc(f.Name, unicode.IsControl) {
			c.out.error(at+".name", "field-name", "字段名为空、过长、首尾有空格或含控制字符",
				"the field name is empty, too long, has spaces around it or control characters")
		}
		if first, twice := c.names[fold(f.Name)]; twice {
			c.out.error(at+".name", "field-duplicate", fmt.Sprintf("字段名 %s 与 fields[%d] 重复（不分大小写）", cite(f.Name), first),
				fmt.Sprintf("the field name %s is that of fields[%d] (case does not count)", cite(f.Name), first))
		} else {
			c.names[fold(f.Name)] = i
		}
		if f.Length < 0 || f.Length > maxLength || f.Decimals < 0 || f.Decimals > maxDecimals {
			c.out.error(at+".length", "field-length", "长度或小数位数超出范围", "the length or the number of decimals is out of range")
		}
		c.numbers(at, f)
		c.domain(at, f)
	}
}

// numeric reports whether values of the type have an order of numbers.
func numeric(t layer.Type) bool { return t == layer.Integer || t == layer.Real || t == layer.Decimal }

func (c *checker) numbers(at string, f Field) {
	if f.Decimals > 0 && !numeric(f.Type) || f.Decimals > 0 && f.Type == layer.Integer {
		c.out.error(at+".decimals", "field-decimals", "只有实数字段有小数位数", "only fields of real numbers have decimals")
	}
	if f.Length > 0 && f.Decimals > 0 && f.Decimals >= f.Length {
		c.out.error(at+".decimals", "field-decimals", "小数位数应小于长度", "there must be fewer decimals than digits")
	}
	if f.Length > 0 && !numeric(f.Type) && f.Type != layer.Text {
		c.out.error(at+".length", "field-length", "日期与布尔字段没有长度", "date and boolean fields have no length")
	}
	if (f.Min != nil || f.Max != nil) && !numeric(f.Type) {
		c.out.error(at, "field-bounds", "只有数字字段有 min 与 max", "only fields of numbers have min and max")
	}
	if f.Min != nil && f.Max != nil && *f.Min > *f.Max {
		c.out.error(at+".min", "field-bounds", "min 大于 max", "min is greater than max")
	}
}

func (c *checker) domain(at string, f Field) {
	if f.Codes == "" {
		if len(f.Within) > 0 {
			c.out.error(at+".within", "field-within", "within 只能与 codes 同用", "within needs codes")
		}
		return
	}
	if f.Type != layer.Text && f.Type != layer.Integer {
		c.out.error(at+".codes", "field-codes-type", "代码字段应为 text 或 integer", "a field of codes is text or integer")
	}
	if c.lib == nil {
		return
	}
	codes, ok := c.lib.Codes(f.Codes)
	if !ok {
		c.out.error(at+".codes", "codes-unknown", "没有代码表 "+cite(f.Codes), "there is no code table "+cite(f.Codes))
		return
	}
	if f.Type == layer.Text && f.Length > 0 {
		if code, ok := codes.longest(f.Length); ok {
			c.out.error(at+".length", "field-length-codes", fmt.Sprintf("代码 %s 长于字段长度 %d", cite(code), f.Length),
				fmt.Sprintf("the code %s is longer than the field (%d)", cite(code), f.Length))
		}
	}
	for i, prefix := range f.Within {
		if !codes.begins(prefix) {
			c.out.error(fmt.Sprintf("%s.within[%d]", at, i), "field-within", "代码表中没有以 "+cite(prefix)+" 开头的代码",
				"no code of the table begins with "+cite(prefix))
		}
	}
}

func (c *checker) field(name string) (Field, bool) {
	i, ok := c.names[fold(name)]
	if !ok {
		return Field{}, false
	}
	return c.p.Fields[i], true
}

// roles checks the members of the profile that name a field.
func (c *checker) roles() {
	p := c.p
	for _, role := range []struct{ member, name string }{
		{"businessKey", p.BusinessKey}, {"label", p.Label}, {"class", p.Class}, {"timeColumn", p.TimeColumn}, {"areaField", p.AreaField},
	} {
		if role.name == "" {
			continue
		}
		f, ok := c.field(role.name)
		at := "$." + role.member
		switch {
		case !ok:
			c.out.error(at, "field-unknown", "没有字段 "+cite(role.name), "there is no field "+cite(role.name))
		case role.member == "areaField" && !numeric(f.Type):
			c.out.error(at, "field-type", "面积字段应为数字", "the area field must be of numbers")
		case role.member == "timeColumn" && f.Type != layer.Date && f.Type != layer.Timestamp:
			c.out.error(at, "field-type", "时间字段应为 date 或 timestamp", "the time column must be a date or a timestamp")
		case role.member == "businessKey" && !f.Mandatory:
			c.out.warn(at, "key-optional", "业务主键字段应设为必填", "the field of the business key should be mandatory")
		}
	}
}

// tiles checks how the layer is generalised.
func (c *checker) tiles() {
	t := c.p.Tiles
	if len(t.Rank) > 0 {
		c.some("$.tiles.rank", t.Rank)
		if f, ok := c.field(c.p.Class); ok {
			c.known("$.tiles.rank", f, t.Rank)
		} else {
			c.out.error("$.tiles.rank", "tiles-class", "没有 class，排序不起作用", "without a class there is nothing to rank")
		}
		for i, v := range t.Rank {
			if slices.Contains(t.Rank[:i], v) {
				c.out.error(fmt.Sprintf("$.tiles.rank[%d]", i), "tiles-twice", "值 "+cite(v)+" 重复", "the value "+cite(v)+" is there twice")
			}
		}
	}
	seen := map[string]bool{}
	for i, a := range t.Attributes {
		at := fmt.Sprintf("$.tiles.attributes[%d].fields", i)
		if len(a.Fields) == 0 {
			c.out.error(at, "member-missing", "应至少有一个字段", "at least one field is needed")
		}
		for n, name := range a.Fields {
			f, ok := c.named(fmt.Sprintf("%s[%d]", at, n), name)
			if ok && seen[f.Name] {
				c.out.error(fmt.Sprintf("%s[%d]", at, n), "tiles-twice", "字段 "+cite(name)+" 重复", "the field "+cite(name)+" is there twice")
			}
			seen[f.Name] = true
		}
	}
	if len(seen) > maxTileNames {
		c.out.error("$.tiles.attributes", "list-too-long", fmt.Sprintf("字段超过 %d 个", maxTileNames), fmt.Sprintf("there are more than %d fields", maxTileNames))
	}
}

// collisions warns of names that are one when a DBF in GBK cuts them.
func (c *checker) collisions() {
	seen := map[string]string{}
	for i, f := range c.p.Fields {
		done := map[string]bool{}
		for _, name := range append([]string{f.Name, f.Alias}, f.Names...) {
			key := fold(cutGBK(name, dbfName))
			if name == "" || done[key] {
				continue
			}
			done[key] = true
			if other, ok := seen[key]; ok {
				c.out.warn(fmt.Sprintf("$.fields[%d]", i), "names-collide",
					fmt.Sprintf("名称 %s 截断为 10 字节后与 %s 相同，Shapefile 中无法区分", cite(name), cite(other)),
					fmt.Sprintf("the name %s, cut to 10 bytes, is that of %s: a shapefile cannot tell them apart", cite(name), cite(other)))
				continue
			}
			seen[key] = name
		}
	}
}
