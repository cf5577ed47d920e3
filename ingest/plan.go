package ingest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"changde/catalog"
	"changde/ingest/crs"
	"changde/ingest/finding"
	"changde/ingest/layer"
	"changde/problem"
)

// maxColumns bounds a dataset's attributes; PostgreSQL's own bound is 1,600.
const maxColumns = 1000

// Choice is something the plan settled, with its reason.
type Choice struct {
	Value string `json:"value"`
	ZH    string `json:"zh"`
	EN    string `json:"en"`
}

// ColumnPlan says which column a field goes into.
type ColumnPlan struct {
	Field  string `json:"field"`
	Column string `json:"column"`
	Type   string `json:"type"`
	ZH     string `json:"zh,omitempty"` // why the name or type is not the field's own
	EN     string `json:"en,omitempty"`
}

// Note is something a person should read before accepting the plan.
type Note struct {
	ZH string `json:"zh"`
	EN string `json:"en"`
}

// Plan is what will be done with a delivery and why. It is made by
// Ingester.Plan, read by a person, and carried out once by Ingester.Run. Close
// removes what was unpacked for it.
type Plan struct {
	Dataset  string   `json:"dataset"`
	Release  int      `json:"currentRelease"` // 0: none yet
	Files    []string `json:"files"`
	Bytes    int64    `json:"bytes"`
	SHA256   string   `json:"sha256"`
	Layers   []string `json:"layers"`
	Rows     int64    `json:"rows"` // as the files declare
	Format   Choice   `json:"format"`
	Encoding Choice   `json:"encoding"`
	CRS      Choice   `json:"crs"`
	Geometry Choice   `json:"geometry"`
	Policy   Choice   `json:"policy"`
	Target   Choice   `json:"target"`
	Profile  Choice   `json:"profile"`
	// Transformation is the operator's that is used, without its parameters.
	Transformation *TransformationUse `json:"transformation,omitempty"`
	Columns        []ColumnPlan       `json:"columns"`
	Notes          []Note             `json:"notes"`
	// Assignments are, of a delivery that names no dataset, where its layers go.
	Assignments []Assignment `json:"assignments,omitempty"`

	delivery  *delivery
	request   Request
	box       catalog.Bounds
	epsg      int
	converter crs.Converter // nil: PostGIS transforms
	swapped   bool
	geometry  string
	z         bool
	closes    bool // closed lines are taken for areas
	columns   []catalog.Column
	settings  datasetSettings
	drift     []Note // fields that differ from the current release's
	// changeField is the index of the field that says what a row of Changes does, -1
	// in other modes. It is no column.
	changeField int
	standard    *standard
	conversions []layer.Type      // by column, -1 for none
	found       []finding.Finding // of the layer as a whole
}

// Close removes the files unpacked for the plan. It may be called twice.
func (p *Plan) Close() error { return p.delivery.close() }

// Plan looks into a delivery and says what would be done with it. Nothing is
// written to the database.
func (i *Ingester) Plan(ctx context.Context, r Request) (_ *Plan, err error) {
	if r.Policy == "" {
		r.Policy = Repair
	}
	if r.Mode == "" {
		r.Mode = Full
	}
	settings, err := i.settings(ctx, r)
	if err != nil {
		return nil, err
	}
	d, err := openDelivery(ctx, r, i.config)
	if err != nil {
		return nil, i.space(err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	if d.sources, err = choose(d.sources, r.Layers); err != nil {
		return nil, err
	}
	first := d.sources[0]
	p := &Plan{
		Dataset: r.Dataset, Release: settings.release, Files: d.names, Bytes: d.bytes, SHA256: fmt.Sprintf("%x", d.sha256),
		Encoding: first.encoding,
		delivery: d, request: r, settings: settings,
		box: settings.box(i.config.City), geometry: first.geometry, z: first.z,
	}
	for _, s := range d.sources {
		p.Layers = append(p.Layers, s.layer)
		p.Rows += s.rows
		for _, n := range s.notes {
			p.note(n.ZH, n.EN)
		}
	}
	p.Format = Choice{Value: first.format, ZH: "文件 " + fileList(d.sources), EN: "file " + fileList(d.sources)}
	transformations, err := i.transformations(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.identify(i.config.City, transformations); err != nil {
		return nil, err
	}
	if p.converter == nil {
		if err := i.transformable(ctx, p.epsg); err != nil {
			return nil, err
		}
	}
	if err := p.findChangeField(first.fields); err != nil {
		return nil, err
	}
	i.closeLines(p, first)
	if err := i.applyProfile(p, first.fields); err != nil {
		return nil, err
	}
	if err := p.mapColumns(first.fields); err != nil {
		return nil, err
	}
	if r.Mode != Full && settings.release > 0 {
		p.geometry, p.z = settings.geometry, settings.z // the rows go into the table there is
	}
	p.decideGeometry()
	p.describeTarget()
	if err := p.checkMode(); err != nil {
		return nil, err
	}
	if r.Encoding != "" && (first.format == "GeoPackage" || first.format == "GeoJSON") {
		p.note(fmt.Sprintf("%s 的编码由格式规定，未采用 --encoding %s", first.format, r.Encoding), fmt.Sprintf("the format settles the encoding of %s; --encoding %s is not used", first.format, r.Encoding))
	}
	if len(d.ignored) > 0 {
		names := strings.Join(d.ignored[:min(len(d.ignored), 10)], ", ")
		p.note(fmt.Sprintf("未使用 %d 个文件：%s", len(d.ignored), names), fmt.Sprintf("%d files are not used: %s", len(d.ignored), names))
	}
	return p, nil
}

func (p *Plan) note(zh, en string) { p.Notes = append(p.Notes, Note{ZH: zh, EN: en}) }

func fileList(sources []source) string {
	names := make([]string, 0, 4)
	for i, s := range sources {
		if i == 3 && len(sources) > 4 {
			names = append(names, fmt.Sprintf("… (%d)", len(sources)))
			break
		}
		names = append(names, s.file)
	}
	return strings.Join(names, ", ")
}

// identify settles the coordinate reference system; all sheets must agree.
func (p *Plan) identify(city catalog.City, transformations []*crs.Transformation) error {
	named := ""
	for n, s := range p.delivery.sources {
		e := s.crs
		e.User, e.Named, e.Box, e.Zones, e.Transformations = p.request.EPSG, p.request.CRS, p.box, city.CRS, transformations
		choice, err := crs.Identify(e)
		if err != nil {
			return at(err, s.file)
		}
		if n == 0 {
			p.epsg, p.swapped, p.converter, named = choice.EPSG, choice.Swapped, choice.Converter, choice.Named+choice.Transformation
			p.CRS = Choice{Value: fmt.Sprintf("EPSG:%d %s", choice.EPSG, choice.Name), ZH: choice.ZH, EN: choice.EN}
			p.Transformation = useOf(choice.Transformation, transformations)
			continue
		}
		if choice.EPSG != p.epsg || choice.Swapped != p.swapped || choice.Named+choice.Transformation != named {
			return problem.New(problem.Invalid, "sheets-crs-differ", s.file,
				fmt.Sprintf("各分幅坐标系不同：EPSG:%d 与 EPSG:%d，请统一后再交付，或分次交付", p.epsg, choice.EPSG),
				fmt.Sprintf("the sheets differ in CRS: EPSG:%d and EPSG:%d; unify them, or deliver them one by one", p.epsg, choice.EPSG))
		}
	}
	return nil
}

// transformable refuses a code that neither we nor PostGIS know.
func (i *Ingester) transformable(ctx context.Context, epsg int) error {
	var known bool
	if err := i.pool.QueryRow(ctx, "SELECT EXISTS (SELECT FROM spatial_ref_sys WHERE srid = $1)", epsg).Scan(&known); err != nil {
		return fmt.Errorf("look for CRS: %w", err)
	}
	if !known {
		return problem.New(problem.Invalid, "crs-unknown", fmt.Sprintf("EPSG:%d", epsg), "PostGIS 没有这个坐标系代码，请核对", "PostGIS knows no CRS of this code; check it")
	}
	return nil
}

// at names the file in a problem that does not name a place yet.
func at(err error, where string) error {
	var p *problem.Error
	if errors.As(err, &p) && p.Where == "" {
		named := *p
		named.Where = where
		return &named
	}
	return err
}

// reserved are the names a content table uses itself and PostgreSQL's system
// columns.
var reserved = map[string]bool{
	"fid": true, "geom": true, "rev": true, "span": true, "hash": true, "until": true, "op": true,
	"tableoid": true, "xmin": true, "cmin": true, "xmax": true, "cmax": true, "ctid": true,
}

// maxIdentifier is PostgreSQL's bound on a name, in bytes.
const maxIdentifier = 63

func (p *Plan) mapColumns(fields []layer.Field) error {
	if len(fields) > maxColumns {
		return problem.New(problem.TooLarge, "too-many-fields", "",
			fmt.Sprintf("图层有 %d 个字段，最多 %d 个", len(fields), maxColumns),
			fmt.Sprintf("the layer has %d fields; at most %d are taken", len(fields), maxColumns))
	}
	taken := make(map[string]bool)
	for name := range reserved {
		taken[name] = true
	}
	for n, f := range fields {
		if n == p.changeField {
			p.Columns = append(p.Columns, ColumnPlan{Field: f.Name, ZH: "变更标识，不入库", EN: "says what the row does; not stored"})
			continue
		}
		name, alias, typ, conversion := f.Name, p.delivery.sources[0].aliases[f.Name], f.Type, layer.Type(-1)
		if std, ok := p.standard.column(n); ok {
			name, alias = std.Name, std.Alias
			if std.Type != f.Type && convertible(f.Type, std.Type) {
				typ, conversion = std.Type, std.Type
			}
		}
		if to, ok := p.settledType(name, typ); ok {
			p.note(fmt.Sprintf("字段 %s 在文件中为 %s，按当前版的 %s 入库", name, typ, to), fmt.Sprintf("the field %s is %s in the file and is loaded as the current release's %s", name, typ, to))
			typ, conversion = to, to
		}
		c := ColumnPlan{Field: f.Name, Column: columnName(name, n, taken), Type: typ.String()}
		taken[strings.ToLower(c.Column)] = true
		switch {
		case c.Column != name:
			c.ZH = "字段名重复、为保留名、过长或为空，已改名"
			c.EN = "renamed: the field's name is taken, reserved, too long or empty"
		case c.Column != f.Name:
			c.ZH, c.EN = "按标准取全名", "its full name by the standard"
		}
		if given := p.request.Settings.Aliases[c.Column]; given != "" {
			alias = given
		}
		p.Columns = append(p.Columns, c)
		p.columns = append(p.columns, catalog.Column{Name: c.Column, Alias: alias, Type: typ})
		p.conversions = append(p.conversions, conversion)
	}
	return p.settings.checkColumns(p.columns)
}

// settledType is the type that a field has in the current release where the file
// has another whose values fit: a format without types must not change those of
// the dataset. In a full delivery every value must fit; in one of changes a row
// that does not is refused.
func (p *Plan) settledType(name string, typ layer.Type) (layer.Type, bool) {
	for _, c := range p.settings.columns {
		if c.Name != name || c.Type == typ {
			continue
		}
		safe := typ == layer.Integer && (c.Type == layer.Real || c.Type == layer.Decimal || c.Type == layer.Text) ||
			typ == layer.Real && c.Type == layer.Decimal || typ == layer.Date && c.Type == layer.Timestamp
		return c.Type, safe || p.request.Mode != Full && convertible(typ, c.Type)
	}
	return typ, false
}

// columnName gives a field the name of its column: its own where PostgreSQL can
// take it, compared without regard to case because SQL tools do.
func columnName(name string, n int, taken map[string]bool) string {
	if name == "" {
		name = fmt.Sprintf("field_%d", n+1)
	}
	base := cut(name, maxIdentifier)
	for k := 1; taken[strings.ToLower(base)]; k++ {
		suffix := "_"
		if k > 1 {
			suffix = fmt.Sprintf("_%d", k)
		}
		base = cut(name, maxIdentifier-len(suffix)) + suffix
	}
	return base
}

// cut shortens s to at most n bytes at the border of a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

func (p *Plan) decideGeometry() {
	value := p.geometry
	if p.z {
		value += " Z"
	}
	p.Geometry = Choice{Value: value, ZH: "按文件声明的几何类型；单部件并入多部件类型，一列一型", EN: "as the file declares; single parts go into the multi type, one type for the column"}
	if p.geometry == "Geometry" {
		p.Geometry.ZH, p.Geometry.EN = "图层含不同维数的几何，按通用类型存放", "the layer mixes dimensions; the general type takes them"
	}
	if p.closes {
		p.Geometry.ZH, p.Geometry.EN = "目标为面，图形中闭合的折线作为面入库并逐行记入报告，不闭合的拒收",
			"the dataset is of areas: closed lines of the drawing are loaded as areas with a report line, others are refused"
	}
	if p.request.Policy == Repair {
		p.Policy = Choice{Value: string(Repair), ZH: "无效几何用 ST_MakeValid（结构法）修复并逐行记入报告；修复后为空则拒收", EN: "invalid geometry is mended by ST_MakeValid (structure) with a report line; refused when nothing is left"}
	} else {
		p.Policy = Choice{Value: string(Refuse), ZH: "无效几何拒收并逐行记入报告", EN: "invalid geometry is refused with a report line"}
	}
}

func (p *Plan) describeTarget() {
	s := p.settings
	if s.release == 0 {
		p.Target = Choice{Value: p.Dataset, ZH: fmt.Sprintf("第一版，共享方式 %s", s.sharing), EN: fmt.Sprintf("first release, sharing %s", s.sharing)}
		return
	}
	p.Target = Choice{Value: p.Dataset}
	switch p.request.Mode {
	case Changes:
		p.Target.ZH = fmt.Sprintf("对当前第 %d 版（%d 行）增、改、删", s.release, s.rows)
		p.Target.EN = fmt.Sprintf("inserts, updates and deletes rows of release %d (%d rows)", s.release, s.rows)
	case Append:
		p.Target.ZH = fmt.Sprintf("追加到当前第 %d 版（%d 行）", s.release, s.rows)
		p.Target.EN = fmt.Sprintf("appends to release %d (%d rows)", s.release, s.rows)
	default:
		p.Target.ZH = fmt.Sprintf("全量交付，取代当前第 %d 版（%d 行）；变化不多时只写入变化的行，旧版随时可查可回退", s.release, s.rows)
		p.Target.EN = fmt.Sprintf("all rows, in place of release %d (%d rows); where little changed only that is written; the old one can be read and restored", s.release, s.rows)
	}
	p.drift = s.driftTo(p.geometry, p.columns)
	p.Notes = append(p.Notes, p.drift...)
	if s.sha256 == p.SHA256 {
		p.note(fmt.Sprintf("文件与当前第 %d 版的交付相同", s.release), fmt.Sprintf("the files are those of release %d", s.release))
	}
}

// driftTo says how the delivery's fields differ from the current release's.
func (s datasetSettings) driftTo(geometry string, columns []catalog.Column) []Note {
	var out []Note
	if s.geometry != geometry {
		out = append(out, Note{ZH: fmt.Sprintf("几何类型改变：%s → %s", s.geometry, geometry), EN: fmt.Sprintf("the geometry type changes: %s → %s", s.geometry, geometry)})
	}
	before := make(map[string]catalog.Column)
	for _, c := range s.columns {
		before[c.Name] = c
	}
	for _, c := range columns {
		old, ok := before[c.Name]
		delete(before, c.Name)
		switch {
		case !ok:
			out = append(out, Note{ZH: "新增字段 " + c.Name, EN: "added field " + c.Name})
		case old.Type != c.Type:
			out = append(out, Note{ZH: fmt.Sprintf("字段 %s 类型改变：%s → %s", c.Name, old.Type, c.Type), EN: fmt.Sprintf("field %s changes type: %s → %s", c.Name, old.Type, c.Type)})
		}
	}
	for _, c := range s.columns {
		if _, gone := before[c.Name]; gone {
			out = append(out, Note{ZH: "当前版有而本次没有的字段 " + c.Name, EN: "field of the current release that this delivery lacks: " + c.Name})
		}
	}
	return out
}
