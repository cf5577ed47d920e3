// Package crs finds which coordinate reference system a delivered layer is in,
// by evidence, projects the Gauss-Krueger family in Go, and takes legacy datums and
// independent systems to CGCS2000 by parameters an operator supplies.
//
// Coordinates in flat arrays are X then Y throughout: easting then northing in
// metres, or longitude then latitude in degrees, whatever axis order the CRS
// definition or the file has. Degrees are of CGCS2000 (EPSG:4490), which equals
// WGS 84 within a few centimetres.
package crs

import (
	"fmt"
	"strings"

	"changde/problem"
)

// Choice is the CRS of a layer and why. By is the evidence that decided: "user",
// "prj", "srs" or "coordinates". Swapped says that the file stores northing,
// easting or latitude, longitude: apply SwapXY before anything else, then Converter.
// ZH and EN are a sentence or more for the report, with every contradiction found.
//
// With Named or Transformation the code is 4490, of the coordinates that Converter
// makes; before it they are in no CRS that a code could stand for.
type Choice struct {
	EPSG           int
	Name           string
	By             string
	Swapped        bool
	Named          string    // "GCJ-02" or "BD-09", declared by a person
	Transformation string    // id of the operator's transformation in use
	Converter      Converter // to degrees of CGCS2000; nil when only PostGIS can
	ZH, EN         string
}

// Evidence is what is known about a layer. Every member may be missing.
type Evidence struct {
	User    int          // EPSG code a person named, 0 for none
	Named   string       // what a person named otherwise: "GCJ-02", "BD-09", the id of a transformation, or "EPSG:4546"
	WKT     string       // text of the .prj, may be rubbish
	EPSG    int          // code in the file's own tables (GeoPackage, FlatGeobuf), 0 for none
	SRSName string       // "urn:ogc:def:crs:OGC:1.3:CRS84", "EPSG:4490", ...
	Points  [][2]float64 // sample coordinates as stored; the first 10,000 are used
	Box     [4]float64   // where the data must lie: west, south, east, north, degrees; zero for no test
	Zones   []int        // codes to try on bare coordinates; nil means 4546, 4525, 4490

	// Transformations are those the operator has added. One is used when Named is its
	// id, or when the data are on a legacy datum for which it alone is the default.
	Transformations []*Transformation
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
	weak    bool // datum is told by an ellipsoid alone
	from    Projection
	known   bool // from is the projection of a legacy datum
}

// claimOf is a claim of a code.
func claimOf(epsg int, by, zh, en string) claim {
	from, _, known := legacyProjection(epsg)
	return claim{epsg: epsg, by: by, zh: zh, en: en, name: nameOf(epsg), datum: familyOfEPSG(epsg), from: from, known: known}
}

// Identify decides. What is stated is believed in the order user, .prj, the
// file's own tables, unless the coordinates prove it wrong. Its error is a
// *problem.Error: the datum is a legacy one without a transformation to use
// ("crs-legacy-datum"), nothing tells the CRS ("crs-unknown"), what is stated
// contradicts the coordinates ("crs-contradiction"), the label is of a shifted
// system that nobody declared ("crs-encrypted"), the name is that of no
// transformation ("crs-transformation-unknown") or does not go with the code named
// ("crs-named-conflict").
func Identify(e Evidence) (Choice, error) {
	if len(e.Points) > maxSamples {
		e.Points = e.Points[:maxSamples]
	}
	if e.Zones == nil {
		e.Zones = []int{4546, 4525, epsgCGCS2000}
	}
	e.Named = strings.TrimSpace(e.Named)
	if code, _, ok := srsCode(e.Named); ok {
		if e.User != 0 && e.User != code {
			return Choice{}, conflict(e)
		}
		e.User, e.Named = code, ""
	}
	claims, notes, err := gather(e)
	if err != nil {
		return Choice{}, err
	}
	if e.Named != "" {
		return e.named(claims, notes)
	}
	if label := encryptedLabel(e.SRSName + " " + e.WKT[:min(len(e.WKT), maxWKTBytes)]); label != 0 {
		if e.User == 0 {
			return Choice{}, encryptedError(label)
		}
		notes = append(notes, note{
			zh: "文件的坐标系标注为 " + label.String() + "，与用户指定不一致，未采用",
			en: "the file's label says " + label.String() + ", which disagrees with the user and was not used",
		})
	}
	for _, c := range claims {
		if c.by == "user" {
			continue // a person's word stands above the labels in the file
		}
		if c.datum.legacy() && claims[0].by != "user" {
			return e.legacy(c, claims, notes)
		}
	}
	if len(claims) > 0 {
		if claims[0].datum.legacy() {
			return e.legacy(claims[0], claims, notes)
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
		claims = append(claims, claimOf(e.User, "user", "用户指定", "the user"))
	}
	if strings.Trim(e.WKT, " \t\r\n\x00") != "" {
		d, err := describe(e.WKT)
		if err != nil {
			notes = append(notes, note{zh: "坐标系文本（.prj）无法读懂，未采用", en: "the CRS text (.prj) cannot be read and was not used"})
		} else {
			c := claim{epsg: d.epsg, by: "prj", zh: "坐标系文本 " + d.name, en: "the CRS text " + d.name, name: d.name, datum: d.family, unknown: d.epsg == 0, weak: d.weak, from: d.source, known: d.known}
			if d.epsg != 0 {
				if _, ok := ProjectionOf(d.epsg); ok {
					c.name = nameOf(d.epsg)
				}
				if from, f, known := legacyProjection(d.epsg); f.legacy() {
					if f != c.datum || !c.known {
						c.from, c.known = from, known
					}
					c.datum = f
				} else if f := familyOfEPSG(d.epsg); f.legacy() {
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
		claims = append(claims, claimOf(code, "srs", fmt.Sprintf("文件坐标系表 EPSG:%d", e.EPSG), fmt.Sprintf("the file's CRS table, EPSG:%d", e.EPSG)))
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
			case xian1980, beijing1954, newBeijing, pulkovo:
				return append(claims, claim{by: "srs", zh: "坐标系名称 " + shown, en: "the CRS name " + shown, name: shown, datum: f}), notes, nil
			}
		}
		if ok {
			c := claimOf(code, "srs", "坐标系名称 "+shown, "the CRS name "+shown)
			c.lonLat = lonLat
			claims = append(claims, c)
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
