package crs

import (
	"fmt"
	"strings"

	"changde/problem"
)

// named decides for what a person named other than by a code.
func (e Evidence) named(claims []claim, notes []note) (Choice, error) {
	if system, ok := EncryptedOf(e.Named); ok {
		return e.encrypted(system, claims, notes)
	}
	var t *Transformation
	var ids []string
	for _, c := range e.Transformations {
		if c == nil {
			continue
		}
		if c.id == e.Named {
			t = c
		}
		ids = append(ids, c.id)
	}
	if t == nil {
		shown := clean(e.Named)
		return Choice{}, problem.New(problem.Invalid, "crs-transformation-unknown", "",
			fmt.Sprintf("没有名为“%s”的坐标系或转换；可用 EPSG 代码、GCJ-02、BD-09%s", shown, listed("，或转换 ", ids, "、")),
			fmt.Sprintf("there is no CRS or transformation named \"%s\"; there are EPSG codes, GCJ-02, BD-09%s", shown, listed(" and the transformations ", ids, ", ")))
	}
	source := claim{by: "user", zh: "用户指名该转换", en: "the user's choice"}
	if e.User != 0 {
		if _, ok := t.From(e.User); !ok {
			return Choice{}, conflict(e)
		}
		source.name = nameOf(e.User)
		if source.from, _, source.known = legacyProjection(e.User); !source.known {
			source.from, source.known = ProjectionOf(e.User)
		}
	}
	for _, c := range claims {
		switch {
		case c.by == "user":
		case c.datum != t.datum:
			notes = append(notes, aside(c))
		case c.known && !source.known:
			source.from, source.known, source.name = c.from, true, c.name
		}
	}
	return e.transformed(t, source, notes)
}

func listed(before string, ids []string, comma string) string {
	if len(ids) == 0 {
		return ""
	}
	const most = 20
	if len(ids) > most {
		ids = append(append([]string{}, ids[:most]...), "…")
	}
	return before + strings.Join(ids, comma)
}

func conflict(e Evidence) error {
	return problem.New(problem.Invalid, "crs-named-conflict", "",
		fmt.Sprintf("指名的“%s”与指明的代码 EPSG:%d 不能同用：代码须是该转换的源坐标系，GCJ-02、BD-09 不带代码。请只留其一", clean(e.Named), e.User),
		fmt.Sprintf("\"%s\" and the code EPSG:%d do not go together: the code must be of the transformation's source datum, and GCJ-02 and BD-09 take none; name one of the two", clean(e.Named), e.User))
}

func aside(c claim) note {
	return note{zh: c.zh + "与之不一致，未采用", en: c.en + " disagrees and was not used"}
}

// encrypted is the choice of a shifted system that a person declared.
func (e Evidence) encrypted(system Encrypted, claims []claim, notes []note) (Choice, error) {
	if e.User != 0 && e.User != epsgCGCS2000 && e.User != epsgWGS84 {
		return Choice{}, conflict(e)
	}
	fits, swapped, can := e.fitsBy(system)
	if can && !fits {
		return Choice{}, e.misplaced(system.String())
	}
	for _, c := range claims {
		if c.epsg != epsgCGCS2000 && c.epsg != epsgWGS84 { // files of these systems are labelled so, for want of a code
			notes = append(notes, aside(c))
		}
	}
	ch := Choice{EPSG: epsgCGCS2000, Name: "CGCS2000 from " + system.String(), By: "user", Swapped: swapped, Named: system.String(), Converter: system}
	ch.ZH = fmt.Sprintf("坐标为 %s（用户声明），入库时逐点换算到 CGCS2000（EPSG:4490）%s", system, checkedZH(can))
	ch.EN = fmt.Sprintf("the coordinates are %s, as the user declared, and are converted to CGCS2000 (EPSG:4490) point by point%s", system, checkedEN(can))
	return ch.finish(notes), nil
}

func checkedZH(can bool) string {
	if can {
		return "；换算后抽样坐标落在应有范围内"
	}
	return "；未用坐标核对"
}

func checkedEN(can bool) string {
	if can {
		return "; converted, the sample lies where it should"
	}
	return "; not checked against the coordinates"
}

func (e Evidence) misplaced(name string) error {
	return problem.New(problem.Invalid, "crs-contradiction", "",
		fmt.Sprintf("指明的坐标系与坐标矛盾：按 %s 换算后，坐标落在应有范围（%s）之外%s；请核对坐标系、带号与转换", name, e.boxText(), e.firstText()),
		fmt.Sprintf("the CRS named contradicts the coordinates: converted from %s they lie outside the area (%s)%s; check the CRS, the zone and the transformation", name, e.boxText(), e.firstText()))
}

// legacy is the choice for a claim of a legacy datum: the transformation that the
// operator made the default for it, else an error that says what there is.
func (e Evidence) legacy(c claim, claims []claim, notes []note) (Choice, error) {
	var serving, defaults, exact []*Transformation
	for _, t := range e.Transformations {
		if t == nil || t.open == nil || t.datum != c.datum {
			continue
		}
		serving = append(serving, t)
		if t.standard {
			defaults = append(defaults, t)
			if c.known && t.open().source.same(c.from) {
				exact = append(exact, t)
			}
		}
	}
	if len(exact) == 1 {
		defaults = exact
	}
	if c.weak || len(defaults) != 1 {
		return Choice{}, legacyError(c, serving)
	}
	for _, other := range claims {
		if other.datum != c.datum {
			notes = append(notes, aside(other))
		}
	}
	source := c
	source.zh += "，运行单位将该转换设为" + c.datum.zh() + "的默认转换"
	source.en += ", and the operator made it the default for " + c.datum.en()
	return e.transformed(defaults[0], source, notes)
}

// transformed is the choice of a transformation. source is where the coordinates
// come from: its projection where known, else that of the transformation, or
// degrees where they can be nothing else.
func (e Evidence) transformed(t *Transformation, source claim, notes []note) (Choice, error) {
	name, _ := t.Source()
	nameZH := name
	own := t.open().source
	switch {
	case source.known:
		name, t = source.name, t.bind(source.from)
		nameZH = name
	case t.datum == noDatum:
		nameZH = "独立平面坐标系"
	case e.degrees():
		name, nameZH, t = t.datum.en(), t.datum.zh(), t.bind(Projection{})
	case own.method == geographic && len(e.Points) > 0:
		return Choice{}, problem.New(problem.Invalid, "crs-unknown", "",
			fmt.Sprintf("转换 %s 用于%s，但坐标是平面坐标，其投影未知%s；请一并指明源坐标系的 EPSG 代码（如 2361）", t.id, t.datum.zh(), e.firstText()),
			fmt.Sprintf("the transformation %s is for %s, but the coordinates are plane ones of an unknown projection%s; name the EPSG code of their CRS as well (such as 2361)", t.id, t.datum.en(), e.firstText()))
	}
	fits, swapped, can := e.fitsBy(t)
	if can && !fits {
		return Choice{}, e.misplaced(fmt.Sprintf("%s (%s)", name, t.id))
	}
	if can && !swapped && e.share(t, e.flat(true)) >= fitShare {
		notes = append(notes, note{
			zh: "两种坐标轴次序换算后都在范围内，按文件次序（先东后北）处理；若文件先存北坐标，请对调后再交付",
			en: "in either order of axes the sample lies inside; the file's order is taken as easting first: if it stores northing first, exchange the two and deliver again",
		})
	}
	zh, en := "无检查点", "no check points"
	if t.checked > 0 {
		zh, en = fmt.Sprintf("%d 个检查点均方根残差 %.3f 米", t.checked, t.rms), fmt.Sprintf("RMS %.3f m on %d check points", t.rms, t.checked)
	}
	ch := Choice{EPSG: epsgCGCS2000, Name: "CGCS2000 from " + name, By: source.by, Swapped: swapped, Transformation: t.id, Converter: t}
	ch.ZH = fmt.Sprintf("坐标为 %s，经转换 %s（%s，%s）换算到 CGCS2000（EPSG:4490），依据：%s%s", nameZH, t.id, t.kind.zh(), zh, source.zh, checkedZH(can))
	ch.EN = fmt.Sprintf("the coordinates, in %s, are taken to CGCS2000 (EPSG:4490) by the transformation %s (%s, %s), by %s%s", name, t.id, t.kind, en, source.en, checkedEN(can))
	return ch.finish(notes), nil
}

// legacyError refuses a claim of a legacy datum.
func legacyError(c claim, serving []*Transformation) error {
	zh := "由运行单位添加测绘主管部门提供的转换（changde transformation add 文件）并指名"
	en := "have the operator add a transformation supplied by the surveying authority (changde transformation add FILE) and name its id"
	if len(serving) > 0 {
		ids := make([]string, 0, len(serving))
		for _, t := range serving {
			ids = append(ids, t.id)
		}
		zh = "指名运行单位配置的转换" + listed("：", ids, "、") + "（未指名时只采用唯一的默认转换，且基准须由名称或代码写明）"
		en = "name one of the operator's transformations" + listed(": ", ids, ", ") + " (unnamed, only a single default is used, and only when a name or code states the datum)"
	}
	return problem.New(problem.Unsupported, "crs-legacy-datum", "",
		fmt.Sprintf("数据为%s（依据：%s），不能直接入库：换算到 CGCS2000 需要转换参数，PostGIS/PROJ 没有，会原样返回坐标而不报错，位置将偏移数十米。"+
			"请%s，或先由测绘单位转换为 CGCS2000 再提交；若坐标系标注有误，请指明正确的 EPSG 代码", c.datum.zh(), c.zh, zh),
		fmt.Sprintf("the data are on %s (by %s) and cannot be loaded as they are: the way to CGCS2000 needs transformation parameters, which PostGIS and PROJ have not; "+
			"they shift the coordinates by nothing and say nothing, which leaves them tens of metres off. "+
			"Please %s, or have them transformed to CGCS2000 first; if the label is wrong, name the right EPSG code", c.datum.en(), c.en, en))
}

// encryptedError refuses a label of a shifted system that nobody declared.
func encryptedError(label Encrypted) error {
	return problem.New(problem.Invalid, "crs-encrypted", "",
		fmt.Sprintf("文件的坐标系标注提到 %[1]s。加偏坐标只在声明后换算，不作猜测：确为 %[1]s 请指名 %[1]s，否则请指明 EPSG 代码", label),
		fmt.Sprintf("the file's CRS label speaks of %[1]s; shifted coordinates are converted only when declared and never guessed: name %[1]s if they are, else the EPSG code", label))
}
