// Package crs finds which coordinate reference system a delivered layer is in,
// by evidence, and projects the CGCS2000 Gauss-Krueger family in Go.
//
// Coordinates in flat arrays are X then Y throughout: easting then northing in
// metres, or longitude then latitude in degrees, whatever axis order the CRS
// definition or the file has. Degrees are of CGCS2000 (EPSG:4490), which equals
// WGS 84 within a few centimetres.
package crs

import (
	"fmt"
	"math"
	"strings"

	"changde/problem"
)

// Choice is the CRS of a layer and why. By is the evidence that decided: "user",
// "prj", "srs" or "coordinates". Swapped says that the file stores northing,
// easting or latitude, longitude: apply SwapXY before anything else. ZH and EN are
// a sentence or more for the report, with every contradiction found.
type Choice struct {
	EPSG    int
	Name    string
	By      string
	Swapped bool
	ZH, EN  string
}

// Evidence is what is known about a layer. Every member may be missing.
type Evidence struct {
	User    int          // EPSG code a person named, 0 for none
	WKT     string       // text of the .prj, may be rubbish
	EPSG    int          // code in the file's own tables (GeoPackage, FlatGeobuf), 0 for none
	SRSName string       // "urn:ogc:def:crs:OGC:1.3:CRS84", "EPSG:4490", ...
	Points  [][2]float64 // sample coordinates as stored; the first 10,000 are used
	Box     [4]float64   // where the data must lie: west, south, east, north, degrees; zero for no test
	Zones   []int        // codes to try on bare coordinates; nil means 4546, 4525, 4490
}

const (
	boxMargin  = 0.2 // degrees
	fitShare   = 0.5 // of the sample must lie inside: a row outside is refused by itself
	maxSamples = 10000
)

// claim is one statement about the CRS.
type claim struct {
	epsg    int
	by      string
	zh, en  string // where it stands: "用户指定", ".prj"
	name    string
	lonLat  bool // the implicit CRS of GeoJSON, which coordinates may overrule
	datum   family
	unknown bool // parsed, but of no code
}

// Identify decides. What is stated is believed in the order user, .prj, the
// file's own tables, unless the coordinates prove it wrong. Its error is a
// *problem.Error: the datum is a legacy one ("crs-legacy-datum"), nothing tells
// the CRS ("crs-unknown"), or what is stated contradicts the coordinates
// ("crs-contradiction").
func Identify(e Evidence) (Choice, error) {
	if len(e.Points) > maxSamples {
		e.Points = e.Points[:maxSamples]
	}
	if e.Zones == nil {
		e.Zones = []int{4546, 4525, epsgCGCS2000}
	}
	claims, notes, err := gather(e)
	if err != nil {
		return Choice{}, err
	}
	for _, c := range claims {
		if c.by == "user" {
			continue // a person's word stands above the labels in the file
		}
		if c.datum.legacy() && claims[0].by != "user" {
			return Choice{}, legacyError(c)
		}
	}
	if len(claims) > 0 {
		if claims[0].datum.legacy() {
			return Choice{}, legacyError(claims[0])
		}
		return e.stated(claims, notes)
	}
	return e.bare(notes)
}

// gather lists the claims, strongest first, and notes on evidence that could not
// be read.
func gather(e Evidence) ([]claim, []note, error) {
	var claims []claim
	var notes []note
	if e.User != 0 {
		if e.User < 0 || e.User > 999999 {
			return nil, nil, problem.New(problem.Invalid, "crs-unknown", "", fmt.Sprintf("EPSG 代码 %d 不存在，请指明 1024 到 999999 之间的代码，如 4546", e.User),
				fmt.Sprintf("EPSG code %d does not exist; name one between 1024 and 999999, such as 4546", e.User))
		}
		claims = append(claims, claim{epsg: e.User, by: "user", zh: "用户指定", en: "the user", name: nameOf(e.User), datum: familyOfEPSG(e.User)})
	}
	if strings.Trim(e.WKT, " \t\r\n\x00") != "" {
		d, err := describe(e.WKT)
		if err != nil {
			notes = append(notes, note{zh: "坐标系文本（.prj）无法读懂，未采用", en: "the CRS text (.prj) cannot be read and was not used"})
		} else {
			c := claim{epsg: d.epsg, by: "prj", zh: "坐标系文本 " + d.name, en: "the CRS text " + d.name, name: d.name, datum: d.family, unknown: d.epsg == 0}
			if d.epsg != 0 {
				if _, ok := ProjectionOf(d.epsg); ok {
					c.name = nameOf(d.epsg)
				}
				if f := familyOfEPSG(d.epsg); f.legacy() {
					c.datum = f
				}
			}
			if d.structure && d.stated != 0 && d.stated != d.epsg {
				notes = append(notes, note{
					zh: fmt.Sprintf("坐标系文本写明代码 %d，但其投影参数属于 %d，以参数为准", d.stated, d.epsg),
					en: fmt.Sprintf("the CRS text states code %d but its parameters are those of %d, which were taken", d.stated, d.epsg),
				})
			}
			claims = append(claims, c)
		}
	}
	if e.EPSG > 0 {
		code := canonical("EPSG", e.EPSG)
		claims = append(claims, claim{epsg: code, by: "srs", zh: fmt.Sprintf("文件坐标系表 EPSG:%d", e.EPSG), en: fmt.Sprintf("the file's CRS table, EPSG:%d", e.EPSG), name: nameOf(code), datum: familyOfEPSG(code)})
	}
	if e.SRSName != "" {
		code, lonLat, ok := srsCode(e.SRSName)
		shown := clean(e.SRSName)
		if !ok {
			switch f := familyOfName(e.SRSName); f {
			case cgcs2000, wgs84: // a name without a code tells the datum only when nothing projected is in it
				if _, err := describe(e.SRSName); err != nil && !projectedName(e.SRSName) {
					code, ok = epsgCGCS2000, true
					if f == wgs84 {
						code = epsgWGS84
					}
				}
			case xian1980, beijing1954, pulkovo:
				return append(claims, claim{by: "srs", zh: "坐标系名称 " + shown, en: "the CRS name " + shown, datum: f}), notes, nil
			}
		}
		if ok {
			claims = append(claims, claim{epsg: code, by: "srs", zh: "坐标系名称 " + shown, en: "the CRS name " + shown, name: nameOf(code), lonLat: lonLat, datum: familyOfEPSG(code)})
		} else {
			notes = append(notes, note{zh: "坐标系名称“" + shown + "”无法识别，未采用", en: "the CRS name \"" + shown + "\" is not recognised and was not used"})
		}
	}
	return claims, notes, nil
}

// projectedName reports whether a CRS name speaks of a projection.
func projectedName(s string) bool {
	s = squeeze(s)
	for _, w := range []string{"gk", "gauss", "utm", "mercator", "zone", "degree", "cm", "高斯", "度带"} {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}

type note struct{ zh, en string }

// stated decides between claims.
func (e Evidence) stated(claims []claim, notes []note) (Choice, error) {
	first := claims[0]
	if first.unknown && len(claims) == 1 {
		return Choice{}, problem.New(problem.Invalid, "crs-unknown", "",
			fmt.Sprintf("%s不是可识别的坐标系（可能是城市独立坐标系或自定义中央子午线），不作猜测；请指明 EPSG 代码，或先转换为 CGCS2000", first.zh),
			fmt.Sprintf("%s is no CRS known here (perhaps a city's independent system or an own central meridian) and is not guessed; name the EPSG code, or transform to CGCS2000 first", first.en))
	}
	var used *claim
	var swapped, tested bool
	for i := range claims {
		c := &claims[i]
		if c.unknown {
			continue
		}
		if used != nil {
			if c.epsg != used.epsg && !c.lonLat && !equalCode(c.epsg, used.epsg) {
				notes = append(notes, note{zh: fmt.Sprintf("%s（EPSG:%d）与之不一致，未采用", c.zh, c.epsg), en: fmt.Sprintf("%s (EPSG:%d) disagrees and was not used", c.en, c.epsg)})
			}
			continue
		}
		fits, swap, can := e.fits(c.epsg)
		if can && !fits {
			if c.by == "user" {
				return e.contradicted(claims[:1], notes)
			}
			notes = append(notes, note{zh: fmt.Sprintf("%s（EPSG:%d）与坐标矛盾，未采用", c.zh, c.epsg), en: fmt.Sprintf("%s (EPSG:%d) contradicts the coordinates and was not used", c.en, c.epsg)})
			continue
		}
		used, swapped, tested = c, swap, can
	}
	if used == nil {
		return e.contradicted(claims, notes)
	}
	if first.by == "user" {
		for _, c := range claims[1:] {
			if c.datum.legacy() && c.unknown {
				notes = append(notes, note{zh: c.zh + "属" + c.datum.zh() + "，与用户指定不一致", en: c.en + " is on " + c.datum.en() + ", which disagrees with the user"})
			}
		}
	}
	ch := Choice{EPSG: used.epsg, Name: used.name, By: used.by, Swapped: swapped}
	ch.ZH = fmt.Sprintf("坐标系为 %s（EPSG:%d），依据：%s", ch.Name, ch.EPSG, used.zh)
	ch.EN = fmt.Sprintf("the CRS is %s (EPSG:%d), by %s", ch.Name, ch.EPSG, used.en)
	switch {
	case tested:
		ch.ZH += "；抽样坐标落在应有范围内"
		ch.EN += "; the sample lies where it should"
	case len(e.Points) == 0:
		ch.ZH += "；没有坐标可供核对"
		ch.EN += "; there are no coordinates to check it against"
	default:
		ch.ZH += "；未用坐标核对"
		ch.EN += "; not checked against the coordinates"
	}
	return ch.finish(notes), nil
}

// equalCode reports whether two codes place coordinates alike.
func equalCode(a, b int) bool {
	return a == b || samePlace(a, b) || (a == epsgCGCS2000 || a == epsgWGS84) && (b == epsgCGCS2000 || b == epsgWGS84)
}

// finish adds the sentences that do not depend on who decided.
func (ch Choice) finish(notes []note) Choice {
	if ch.Swapped {
		ch.ZH += "；文件先存北坐标（纬度）后存东坐标（经度），已对调"
		ch.EN += "; the file stores northing or latitude first, the two are exchanged"
	}
	if familyOfEPSG(ch.EPSG) == wgs84 {
		ch.ZH += "；WGS 84 与 CGCS2000 相差在厘米级，视为一致"
		ch.EN += "; WGS 84 and CGCS2000 differ by centimetres and are taken as equal"
	}
	for _, n := range notes {
		ch.ZH += "；" + n.zh
		ch.EN += "; " + n.en
	}
	ch.ZH += "。"
	ch.EN += "."
	return ch
}

// contradicted says what the coordinates would fit instead. The implicit CRS of
// GeoJSON gives way to them; an explicit statement does not.
func (e Evidence) contradicted(claims []claim, notes []note) (Choice, error) {
	epsg, swapped, found := e.search()
	implicit := true
	var said []string
	var saidEN []string
	for _, c := range claims {
		implicit = implicit && c.lonLat
		if !c.unknown {
			said = append(said, fmt.Sprintf("%s（EPSG:%d）", c.zh, c.epsg))
			saidEN = append(saidEN, fmt.Sprintf("%s (EPSG:%d)", c.en, c.epsg))
		} else {
			said, saidEN = append(said, c.zh), append(saidEN, c.en)
		}
	}
	if implicit && found {
		ch := Choice{EPSG: epsg, Name: nameOf(epsg), By: "coordinates", Swapped: swapped}
		ch.ZH = fmt.Sprintf("坐标系为 %s（EPSG:%d），依据：坐标本身。GeoJSON 未声明坐标系时应为经纬度，但其坐标不是", ch.Name, epsg)
		ch.EN = fmt.Sprintf("the CRS is %s (EPSG:%d), by the coordinates themselves: GeoJSON without a CRS should be longitude and latitude, but these are not", ch.Name, epsg)
		return ch.finish([]note{datumNote}), nil
	}
	zh := "声明的坐标系与坐标矛盾：按" + strings.Join(said, "、") + "解释，坐标落在应有范围（" + e.boxText() + "）之外" + e.firstText()
	en := "the stated CRS contradicts the coordinates: read as " + strings.Join(saidEN, ", ") + " they lie outside the area (" + e.boxText() + ")" + e.firstText()
	if found {
		s := [2]string{}
		if swapped {
			s = [2]string{"（先北后东）", " with northing first"}
		}
		zh += fmt.Sprintf("；按 EPSG:%d（%s）%s解释则在范围内，若确系该坐标系请指明", epsg, nameOf(epsg), s[0])
		en += fmt.Sprintf("; read as EPSG:%d (%s)%s they lie inside: name that code if it is right", epsg, nameOf(epsg), s[1])
	} else {
		zh += "；按其他候选坐标系解释也不在范围内，请核对数据是否属于本市，或指明坐标系"
		en += "; no other candidate puts them inside: check that the data belong to this city, or name the CRS"
	}
	return Choice{}, problem.New(problem.Invalid, "crs-contradiction", "", zh, en)
}

var datumNote = note{zh: "坐标本身不能区分基准，按 CGCS2000 处理，如为旧基准请说明", en: "coordinates cannot tell the datum: CGCS2000 is assumed, say so if it is an older one"}

// bare decides from coordinates alone.
func (e Evidence) bare(notes []note) (Choice, error) {
	epsg, swapped, found := e.search()
	if !found {
		zh, en := "没有坐标系说明，坐标本身也不能判定"+e.firstText(), "nothing states the CRS and the coordinates do not tell it"+e.firstText()
		if len(e.Points) == 0 {
			zh, en = "没有坐标系说明，也没有坐标可供判断", "nothing states the CRS and there are no coordinates to tell it"
		}
		for _, n := range notes {
			zh += "；" + n.zh
			en += "; " + n.en
		}
		return Choice{}, problem.New(problem.Invalid, "crs-unknown", "", zh+"。请指明 EPSG 代码，或补交 .prj", en+"; name the EPSG code, or add the .prj")
	}
	ch := Choice{EPSG: epsg, Name: nameOf(epsg), By: "coordinates", Swapped: swapped}
	ch.ZH = fmt.Sprintf("坐标系为 %s（EPSG:%d），依据：坐标本身，未见坐标系说明；按此解释抽样坐标落在应有范围内", ch.Name, epsg)
	ch.EN = fmt.Sprintf("the CRS is %s (EPSG:%d), by the coordinates themselves, as nothing states it; read so, the sample lies where it should", ch.Name, epsg)
	return ch.finish(append(notes, datumNote)), nil
}

// search finds the first candidate under which the sample lies in the box.
func (e Evidence) search() (epsg int, swapped, found bool) {
	if e.Box == ([4]float64{}) {
		return 0, false, false
	}
	candidates := append([]int{}, e.Zones[:min(len(e.Zones), 64)]...)
	candidates = append(candidates, epsgCGCS2000, epsgMercator)
	// A zone number in front of the easting names its own code.
	for c := epsgZone3; c < epsgCM3; c++ {
		candidates = append(candidates, c)
	}
	for c := epsgZone6; c < epsgCM6; c++ {
		candidates = append(candidates, c)
	}
	for _, c := range candidates {
		if ok, swap, _ := e.fits(c); ok {
			return c, swap, true
		}
	}
	return 0, false, false
}

// fits reports whether the sample lies in the box under a code, in either axis
// order; can is false when it cannot be tested.
func (e Evidence) fits(epsg int) (ok, swapped, can bool) {
	p, known := ProjectionOf(epsg)
	if !known || len(e.Points) == 0 || e.Box == ([4]float64{}) {
		return false, false, false
	}
	flat := make([]float64, 0, 2*len(e.Points))
	for _, pt := range e.Points {
		flat = append(flat, pt[0], pt[1])
	}
	if e.share(p, flat) >= fitShare {
		return true, false, true
	}
	flat = flat[:0]
	for _, pt := range e.Points {
		flat = append(flat, pt[1], pt[0])
	}
	if e.share(p, flat) >= fitShare {
		return true, true, true
	}
	return false, false, true
}

// share is the part of the points inside the box; flat is overwritten.
func (e Evidence) share(p Projection, flat []float64) float64 {
	p.Inverse(flat, 2)
	in := 0
	for i := 0; i+1 < len(flat); i += 2 {
		x, y := flat[i], flat[i+1]
		if x >= e.Box[0]-boxMargin && x <= e.Box[2]+boxMargin && y >= e.Box[1]-boxMargin && y <= e.Box[3]+boxMargin {
			in++
		}
	}
	return float64(in) / float64(len(flat)/2)
}

func (e Evidence) boxText() string {
	return fmt.Sprintf("%.2f–%.2f°E, %.2f–%.2f°N", e.Box[0], e.Box[2], e.Box[1], e.Box[3])
}

// firstText shows one coordinate, so that a person sees what is meant.
func (e Evidence) firstText() string {
	for _, p := range e.Points {
		if !math.IsNaN(p[0]) && !math.IsNaN(p[1]) {
			return fmt.Sprintf(" [%.8g, %.8g]", p[0], p[1])
		}
	}
	return ""
}
