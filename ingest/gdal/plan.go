package gdal

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"changde/problem"
)

// planned is a layer that will be in the GeoPackage.
type planned struct {
	info
	name     string            // of the table
	rename   map[string]string // field of the source by the name it is staged under
	rows     int64
	geometry string
	promote  string // what settle makes of all its geometries, empty: they stay
	curves   int64
}

// plan is which layers go over, and the columns of our own.
type plan struct {
	layers []*planned
	all    bool // every layer of the source goes over under its own name
	fid    string
	geom   string
}

// plan decides which layers go over and under which names.
func (c *conversion) plan(layers []info) (*plan, error) {
	p := &plan{all: true}
	taken := map[string]bool{}
	columns := map[string]bool{}
	var empty, flat []string
	for _, l := range layers {
		if reason := c.leaveOut(l); reason != "" {
			p.all = false
			if reason == "flat" {
				flat = append(flat, l.name)
			} else if reason == "empty" {
				empty = append(empty, l.name)
			}
			continue
		}
		name := tableName(l.name, taken)
		if name != l.name {
			p.all = false
			c.note("layer-renamed", fmt.Sprintf("图层 %q 改名为 %q", l.name, name), fmt.Sprintf("layer %q is called %q", l.name, name))
		}
		pl := &planned{info: l, name: name, rename: c.from.renames(l)}
		if len(pl.rename) > 0 {
			p.all = false
		}
		for _, f := range pl.fields() {
			columns[strings.ToLower(f.Name)] = true
		}
		p.layers = append(p.layers, pl)
	}
	if len(flat) > 0 {
		list := cut(strings.Join(flat, ", "), 300)
		c.note("table-without-geometry", fmt.Sprintf("%d 个表没有几何，未导入：%s", len(flat), list), fmt.Sprintf("%d tables have no geometry and are left out: %s", len(flat), list))
	}
	if len(empty) > 0 && c.source.Format.Name != GPX {
		list := cut(strings.Join(empty, ", "), 300)
		c.note("layer-empty", fmt.Sprintf("%d 个图层没有要素，已略去：%s", len(empty), list), fmt.Sprintf("%d layers are empty and left out: %s", len(empty), list))
	}
	if len(p.layers) == 0 {
		zh, en := "文件中没有带几何的图层，或图层都是空的", "the file has no layer with geometry, or all are empty"
		for _, n := range c.notes {
			if n.Code == "gdal-warning" {
				zh, en = zh+"；"+n.ZH, en+"; "+n.EN
				break
			}
		}
		return nil, problem.New(problem.Invalid, "gdal-empty", c.source.Name, zh, en)
	}
	p.fid = unused(columns, "fid", "ogc_fid", "gpkg_fid")
	columns[p.fid] = true
	p.geom = unused(columns, "geom", "geometry", "gpkg_geom")
	return p, nil
}

// leaveOut says why a layer does not go over: "flat", "empty", "points" or nothing.
func (c *conversion) leaveOut(l info) string {
	switch {
	case l.flat():
		return "flat"
	case c.source.Format.Name == GPX && (l.name == "track_points" || l.name == "route_points"):
		if l.features > 0 {
			c.note("gpx-points", fmt.Sprintf("%s 的 %d 个点只作为线的顶点导入（含高程），各点的时间等属性未导入", l.name, l.features),
				fmt.Sprintf("the %d %s are taken as positions of lines, with height; their times and other attributes are left out", l.features, l.name))
		}
		return "points"
	case l.features == 0 && slices.Contains([]string{GPX, KML, KMZ}, c.source.Format.Name):
		// These formats always have the same layers, or one for each folder.
		return "empty"
	}
	return ""
}

// fields are the layer's fields under the names they have in the GeoPackage.
func (p *planned) fields() []Field {
	out := slices.Clone(p.info.fields)
	for i, f := range out {
		if name, ok := p.rename[f.Name]; ok {
			out[i].Name = name
		}
	}
	return out
}

// refusedFirst are the characters GDAL refuses at the head of a table's name.
const refusedFirst = "`~!@#$%^&*()+-={}|[]\\:\";'<>?,./"

// tableName is a name that a GeoPackage takes and that no other table has, letters
// of either case being equal to SQLite.
func tableName(name string, taken map[string]bool) string {
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return '_'
		}
		return r
	}, name)
	if name == "" || strings.ContainsRune(refusedFirst, rune(name[0])) || strings.HasPrefix(strings.ToLower(name), "gpkg") ||
		strings.HasPrefix(strings.ToLower(name), "sqlite_") || strings.HasPrefix(strings.ToLower(name), "rtree_") {
		name = "_" + name
	}
	base := name
	for i := 2; taken[strings.ToLower(name)]; i++ {
		name = base + "_" + strconv.Itoa(i)
	}
	taken[strings.ToLower(name)] = true
	return name
}

func unused(taken map[string]bool, names ...string) string {
	for _, n := range names {
		if !taken[n] {
			return n
		}
	}
	for i := 2; ; i++ {
		if n := names[0] + "_" + strconv.Itoa(i); !taken[n] {
			return n
		}
	}
}

// base are the arguments of every run of ogr2ogr that writes.
func (p *plan) base(dst string, update bool) []string {
	args := []string{"-f", "GPKG"}
	if update {
		args = append(args, "-update")
	}
	return append(args, "-gt", "65536", "-nomd", "-lco", "SPATIAL_INDEX=NO", "-lco", "FID="+p.fid, "-lco", "GEOMETRY_NAME="+p.geom, dst)
}

// write makes the first GeoPackage, with the geometries as they are.
func (c *conversion) write(ctx context.Context, p *plan, dst string) error {
	if p.all {
		_, err := c.program(ctx, c.tool.ogr2ogr, c.driver, c.from.dir, append(append(p.base(dst, false), c.from.open...), c.from.path)...)
		return err
	}
	var plain []string
	var odd []*planned
	for _, l := range p.layers {
		if l.name == l.info.name && len(l.rename) == 0 {
			plain = append(plain, l.name)
		} else {
			odd = append(odd, l)
		}
	}
	update := false
	if len(plain) > 0 {
		if _, err := c.program(ctx, c.tool.ogr2ogr, c.driver, c.from.dir, append(append(append(p.base(dst, false), c.from.open...), c.from.path), plain...)...); err != nil {
			return err
		}
		update = true
	}
	for _, l := range odd {
		args := append(append(p.base(dst, update), c.from.open...), c.from.path, "-nln", l.name, "-dialect", "OGRSQL", "-sql", l.query())
		if _, err := c.program(ctx, c.tool.ogr2ogr, c.driver, c.from.dir, args...); err != nil {
			return err
		}
		update = true
	}
	return nil
}

// query selects all of a layer of the source, with its fields' own names. OGR SQL
// quotes with a backslash.
func (p *planned) query() string {
	quote := func(s string) string {
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
	}
	if len(p.rename) == 0 {
		return "SELECT * FROM " + quote(p.info.name)
	}
	var list []string
	for _, f := range p.info.fields {
		s := quote(f.Name)
		if to, ok := p.rename[f.Name]; ok {
			s += " AS " + quote(to)
		}
		list = append(list, s)
	}
	return "SELECT " + strings.Join(list, ", ") + " FROM " + quote(p.info.name)
}

// kind is how many geometries of one type a layer has.
type kind struct {
	code uint32 // of ISO WKB without the thousands
	z    bool
	n    int64
}

// The families of types, by the code of WKB.
var (
	polygons = []uint32{3, 6}
	lines    = []uint32{2, 5}
	points   = []uint32{1}
	many     = []uint32{1, 4}
)

func isCurve(code uint32) bool { return code >= 8 && code <= 14 }

// linear is the type a curve becomes.
func linear(code uint32) uint32 {
	switch code {
	case 8, 9, 13:
		return 2
	case 10:
		return 3
	case 11:
		return 5
	case 12, 14:
		return 6
	}
	return code
}

// settle looks at what was written. Where a layer of no declared type has one family
// of types, it gets the type that takes them all; curves are made lines. If nothing is
// to be done the file stays as it is.
func (c *conversion) settle(ctx context.Context, p *plan, first string) (string, error) {
	kinds, err := c.kinds(ctx, p, first)
	if err != nil {
		return "", err
	}
	groups := map[string][]*planned{}
	var order []string
	change := false
	for i, l := range p.layers {
		c.conclude(l, kinds[i])
		change = change || l.promote != ""
		if groups[l.promote] == nil {
			order = append(order, l.promote)
		}
		groups[l.promote] = append(groups[l.promote], l)
	}
	if !change {
		return first, nil
	}
	second := filepath.Join(c.out, "2.gpkg")
	for i, promote := range order {
		args := p.base(second, i > 0)
		if promote != "" {
			args = append(args, "-nlt", promote)
		}
		args = append(args, "1.gpkg")
		if len(order) > 1 {
			for _, l := range groups[promote] {
				args = append(args, l.name)
			}
		}
		if _, err := c.program(ctx, c.tool.ogr2ogr, "GPKG", c.out, args...); err != nil {
			return "", err
		}
	}
	return second, nil
}

// conclude finds the type of a layer's column and tells of curves.
func (c *conversion) conclude(l *planned, kinds []kind) {
	l.decide(kinds)
	if l.curves > 0 {
		c.note("curve-linearised", fmt.Sprintf("图层 %q 有 %d 个曲线类型的几何，已按每段弧不超过 1° 圆心角折线化", l.name, l.curves),
			fmt.Sprintf("layer %q has %d geometries of the curve types; they are made lines with a vertex at each degree of arc", l.name, l.curves))
	}
}

// decide finds the type of a layer's column.
func (p *planned) decide(kinds []kind) {
	types := map[uint32]bool{}
	z, flat, collections := false, false, false
	for _, k := range kinds {
		p.rows += k.n
		if k.code == 0 {
			continue
		}
		if isCurve(k.code) {
			p.curves += k.n
		}
		types[linear(k.code)] = true
		collections = collections || k.code == 7
		z, flat = z || k.z, flat || !k.z
	}
	within := func(family []uint32) bool {
		for t := range types {
			if !slices.Contains(family, t) {
				return false
			}
		}
		return len(types) > 0
	}
	found := "GEOMETRY"
	switch {
	case within(polygons):
		found = "MULTIPOLYGON"
	case within(lines):
		found = "MULTILINESTRING"
	case within(points):
		found = "POINT"
	case within(many):
		found = "MULTIPOINT"
	}
	declared := strings.ToUpper(strings.NewReplacer(" ", "", "3D", "", "Measured", "").Replace(p.info.geometry))
	open := strings.HasPrefix(declared, "UNKNOWN") || strings.HasPrefix(declared, "GEOMETRY") && !strings.HasPrefix(declared, "GEOMETRYCOLLECTION")
	switch {
	case open && found != "GEOMETRY" && !(z && flat):
		p.geometry, p.promote = found, found
		if z {
			p.promote += "Z"
		}
	case p.curves > 0 || collections:
		p.geometry, p.promote = declared, "CONVERT_TO_LINEAR"
	default:
		p.geometry = declared
	}
	if open && p.geometry == declared {
		p.geometry = "GEOMETRY"
	}
	p.geometry = strings.NewReplacer("CURVEPOLYGON", "POLYGON", "MULTISURFACE", "MULTIPOLYGON", "MULTICURVE", "MULTILINESTRING", "COMPOUNDCURVE", "LINESTRING", "CIRCULARSTRING", "LINESTRING").Replace(p.geometry)
}

// quoteName quotes a name for SQLite.
func quoteName(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// headOf is the expression for the byte order and type of the WKB in a column of
// geometries, in hexadecimal digits. The low half of the flags, which stand at byte 4,
// tells the length of the envelope before it.
func headOf(column string) string {
	g := quoteName(column)
	return fmt.Sprintf(`coalesce(hex(substr(%s, CASE substr(hex(substr(%s, 4, 1)), 2, 1)
		WHEN '0' THEN 9 WHEN '1' THEN 9 WHEN '2' THEN 41 WHEN '3' THEN 41 WHEN '8' THEN 73 WHEN '9' THEN 73 ELSE 57 END, 5)), '')`, g, g)
}

// kinds counts the types of each layer's geometries by the head of their WKB. An
// empty answer for a layer means it has no rows.
func (c *conversion) kinds(ctx context.Context, p *plan, path string) ([][]kind, error) {
	const chunk = 100 // SQLite joins 500 at most
	out := make([][]kind, len(p.layers))
	for from := 0; from < len(p.layers); from += chunk {
		var parts []string
		for i := from; i < min(from+chunk, len(p.layers)); i++ {
			parts = append(parts, fmt.Sprintf("SELECT %d AS l, %s AS g, count(*) AS n FROM %s GROUP BY 2", i, headOf(p.geom), quoteName(p.layers[i].name)))
		}
		text, err := c.program(ctx, c.tool.ogrinfo, "GPKG", c.out, "-ro", "-q", filepath.Base(path), "-sql", strings.Join(parts, " UNION ALL "))
		if err != nil {
			return nil, err
		}
		for _, row := range parseRows(text) {
			i, err := strconv.Atoi(row["l"])
			n, err2 := strconv.ParseInt(row["n"], 10, 64)
			if err != nil || err2 != nil || i < 0 || i >= len(out) || n < 0 {
				return nil, fmt.Errorf("convert %s: GDAL answered a count with %q", c.source.Name, row)
			}
			out[i] = append(out[i], newKind(row["g"], n))
		}
	}
	return out, nil
}

// newKind reads the byte order and type of WKB, in hexadecimal digits.
func newKind(head string, n int64) kind {
	b, err := hex.DecodeString(head)
	if err != nil || len(b) != 5 {
		return kind{n: n} // no geometry
	}
	code := binary.BigEndian.Uint32(b[1:])
	if b[0] == 1 {
		code = binary.LittleEndian.Uint32(b[1:])
	}
	k := kind{code: code & 0x0FFFFFFF % 1000, n: n}
	thousands := code & 0x0FFFFFFF / 1000
	k.z = code&0x80000000 != 0 || thousands == 1 || thousands == 3
	return k
}
