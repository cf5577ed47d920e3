package crs

import (
	"fmt"
	"strings"

	"changde/problem"
)

type note struct{ zh, en string }

// stated decides between claims.
func (e Evidence) stated(claims []claim, notes []note) (Choice, error) {
	first := claims[0]
	if first.unknown && len(claims) == 1 {
		return Choice{}, problem.New(problem.Invalid, "crs-unknown", "",
			fmt.Sprintf("%s不是可识别的坐标系（可能是城市独立坐标系或自定义中央子午线），不作猜测；请指明 EPSG 代码，或指名运行单位配置的转换（changde transformation add 文件），或先转换为 CGCS2000", first.zh),
			fmt.Sprintf("%s is no CRS known here (perhaps a city's independent system or an own central meridian) and is not guessed; name the EPSG code, or a transformation the operator has added (changde transformation add FILE), or transform to CGCS2000 first", first.en))
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

// finish adds what does not depend on who decided.
func (ch Choice) finish(notes []note) Choice {
	if p, ok := ProjectionOf(ch.EPSG); ok && ch.Converter == nil {
		ch.Converter = p
	}
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
