package crs

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"changde/problem"
)

// family is what a datum, by its name or ellipsoid, is to this package.
type family int

const (
	otherDatum family = iota
	noDatum           // none named, or one named "unknown"
	cgcs2000
	wgs84
	xian1980
	beijing1954
	pulkovo
)

// legacy reports whether coordinates on the datum need a transformation that
// only an operator can supply.
func (f family) legacy() bool { return f == xian1980 || f == beijing1954 || f == pulkovo }

// zh and en name a family to a person.
func (f family) zh() string {
	return [...]string{"其他基准", "未说明基准", "CGCS2000 国家大地坐标系", "WGS 84", "1980 西安坐标系", "1954 北京坐标系", "普尔科沃坐标系"}[f]
}

func (f family) en() string {
	return [...]string{"another datum", "no datum", "CGCS2000", "WGS 84", "Xi'an 1980", "Beijing 1954", "Pulkovo"}[f]
}

// squeeze keeps letters, digits and non-ASCII of a name, in lower case, so that
// "D_China_2000", "China 2000" and "china-2000" compare as one.
func squeeze(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x80 && (r < '0' || r > '9') && (r < 'a' || r > 'z') {
			return -1
		}
		return r
	}, strings.ToLower(s))
}

// datumNames are parts of squeezed names, the first that occurs decides.
var datumNames = []struct {
	part string
	is   family
}{
	{"china2000", cgcs2000},
	{"cgcs2000", cgcs2000},
	{"chinageodeticcoordinatesystem2000", cgcs2000},
	{"国家大地坐标系", cgcs2000},
	{"国家2000", cgcs2000},
	{"xian1980", xian1980},
	{"xian80", xian1980},
	{"西安80", xian1980},
	{"西安1980", xian1980},
	{"1980西安", xian1980},
	{"80西安", xian1980},
	{"beijing1954", beijing1954},
	{"beijing54", beijing1954},
	{"newbeijing", beijing1954},
	{"peking1954", beijing1954},
	{"北京54", beijing1954},
	{"北京1954", beijing1954},
	{"1954北京", beijing1954},
	{"54北京", beijing1954},
	{"krasovsky1940", beijing1954},
	{"krassovsky1940", beijing1954},
	{"krassowsky1940", beijing1954},
	{"pulkovo", pulkovo},
	{"wgs1984", wgs84},
	{"wgs84", wgs84},
	{"worldgeodeticsystem1984", wgs84},
}

func familyOfName(name string) family {
	s := squeeze(name)
	for _, d := range datumNames {
		if strings.Contains(s, d.part) {
			return d.is
		}
	}
	for _, vague := range []string{"unknown", "unnamed", "undefined", "custom", "notspecified", "userdefined", "basedon"} {
		if strings.Contains(s, vague) {
			return noDatum
		}
	}
	if s == "" {
		return noDatum
	}
	return otherDatum
}

func familyOfEllipsoid(a, rf float64) family {
	near := func(a0, rf0 float64) bool { return math.Abs(a-a0) < 0.01 && math.Abs(rf-rf0) < 1e-6 }
	switch {
	case near(cgcsA, cgcsRF):
		return cgcs2000
	case near(cgcsA, 298.257223563):
		return wgs84
	case near(6378140, 298.257):
		return xian1980
	case near(6378245, 298.3):
		return beijing1954
	}
	return otherDatum
}

// familyOfEPSG classifies a code; the runs are those of the EPSG data set.
func familyOfEPSG(epsg int) family {
	in := func(lo, hi int) bool { return epsg >= lo && epsg <= hi }
	switch {
	case epsg == 4610 || in(2327, 2390):
		return xian1980
	case epsg == 4214 || in(2401, 2442) || in(21413, 21423) || in(21453, 21463) || in(21473, 21483),
		epsg == 4555 || in(4568, 4589) || in(4652, 4656) || in(4766, 4800) || epsg == 4812 || epsg == 4822:
		return beijing1954
	case epsg == 4284 || epsg == 4200 || epsg == 4178 || epsg == 4179 || in(28402, 28432) || in(28462, 28492) || in(20002, 20032):
		return pulkovo
	case epsg == epsgCGCS2000 || in(epsgZone6, epsgLastGauss) || epsg == 4479 || epsg == 4480:
		return cgcs2000
	case epsg == epsgWGS84 || epsg == epsgMercator || in(32601, 32660) || in(32701, 32760):
		return wgs84
	}
	return otherDatum
}

// description is what a WKT text says.
type description struct {
	epsg      int // by structure, or by the stated code when the structure is of no known kind
	stated    int // AUTHORITY or ID of the whole CRS, 0 without
	name      string
	datum     string
	family    family
	structure bool // epsg was found from projection and parameters
}

// Parse reads the text of a CRS: WKT 1 as ESRI and the OGC (01-009) write it, or
// WKT 2 (ISO 19162). It recognises the CGCS2000 family, WGS 84, UTM and Web
// Mercator by their structure (projection, datum, central meridian, false easting,
// unit); for anything else epsg is the code the text states, 0 without one. name
// and datum are as written. The error is a *problem.Error when the text is no
// CRS. A text on a legacy datum is parsed like any other; Identify refuses it.
func Parse(wkt string) (epsg int, name string, datum string, err error) {
	d, err := describe(wkt)
	if err != nil {
		return 0, "", "", err
	}
	return d.epsg, d.name, d.datum, nil
}

func describe(wkt string) (description, error) {
	root, err := parseWKT(wkt)
	if err != nil {
		return description{}, err
	}
	for range maxWKTDepth {
		switch root.key {
		case "BOUNDCRS":
			if c := root.child("SOURCECRS"); c != nil && len(c.kids) > 0 {
				root = c.kids[0]
				continue
			}
		case "COMPD_CS", "COMPOUNDCRS":
			if c := root.child("PROJCS", "PROJCRS", "PROJECTEDCRS", "GEOGCS", "GEOGCRS", "GEOGRAPHICCRS", "GEODCRS", "GEODETICCRS", "BOUNDCRS"); c != nil {
				root = c
				continue
			}
		}
		break
	}
	d := description{name: root.name(), stated: stated(root)}
	var geog *node
	switch root.key {
	case "PROJCS", "PROJCRS", "PROJECTEDCRS":
		geog = root.child("GEOGCS", "BASEGEOGCRS", "BASEGEODCRS", "GEOGCRS", "GEODCRS")
	case "GEOGCS", "GEOGCRS", "GEOGRAPHICCRS", "GEODCRS", "GEODETICCRS":
		geog = root
	case "GEOCCS", "LOCAL_CS", "ENGCRS", "ENGINEERINGCRS", "VERT_CS", "VERTCRS", "FITTED_CS", "DERIVEDPROJCRS":
		d.family = noDatum
		d.epsg = d.stated
		return d, nil
	default:
		return description{}, unreadable("关键字 "+root.key+" 不是坐标系", "the keyword "+root.key+" is no CRS")
	}
	datum := geog.child("DATUM", "ENSEMBLE", "GEODETICDATUM", "TRF")
	d.datum = datum.name()
	d.family = familyOfName(d.datum)
	if d.family == noDatum {
		// an unnamed datum may still be told by the name of its geographic CRS
		if f := familyOfName(geog.name()); f != otherDatum {
			d.family = f
		}
	}
	if el := datum.child("SPHEROID", "ELLIPSOID"); el != nil {
		a, okA := el.number(0 + 1)
		rf, okF := el.number(1 + 1)
		if okA && okF {
			if f := familyOfEllipsoid(a, rf); f.legacy() && !d.family.legacy() {
				d.family = f // the ellipsoid is what the coordinates were computed on, whatever the label
			} else if d.family == noDatum && f != otherDatum {
				d.family = f
			}
		}
	}
	if d.family == noDatum && d.stated != 0 {
		d.family = familyOfEPSG(d.stated)
	}
	if greenwich(geog) {
		d.epsg = structural(root, geog, d.family)
	}
	d.structure = d.epsg != 0
	if d.epsg == 0 {
		d.epsg = d.stated
	} else if d.stated != d.epsg && samePlace(d.stated, d.epsg) {
		d.epsg = d.stated
	}
	return d, nil
}

// stated reads AUTHORITY["EPSG","4546"] or ID["EPSG",4546] of an element.
func stated(n *node) int {
	a := n.child("AUTHORITY", "ID")
	if a == nil {
		return 0
	}
	code, err := strconv.Atoi(a.valueAt(1))
	if err != nil || code <= 0 || code > 999999 {
		return 0
	}
	return canonical(a.valueAt(0), code)
}

// canonical maps the codes other registers use for Web Mercator, and drops codes
// of registers other than EPSG and ESRI's copies of it.
func canonical(register string, code int) int {
	switch code {
	case 102100, 102113, 3785, 900913:
		return epsgMercator
	}
	if strings.EqualFold(register, "EPSG") || strings.EqualFold(register, "ESRI") && code < 32768 {
		return code
	}
	return 0
}

func greenwich(geog *node) bool {
	pm := geog.child("PRIMEM")
	if pm == nil {
		return true
	}
	lon, ok := pm.number(1)
	return ok && lon == 0
}

// samePlace reports whether two codes of the family describe the same
// projection, as the 3-degree and 6-degree codes of one meridian do.
func samePlace(a, b int) bool {
	lonA, feA, okA := gaussOf(a)
	lonB, feB, okB := gaussOf(b)
	return okA && okB && lonA == lonB && feA == feB
}

// structural finds the EPSG code from projection and parameters, 0 when they are
// of no kind known here.
func structural(root, geog *node, f family) int {
	if f != cgcs2000 && f != wgs84 {
		return 0
	}
	if root == geog {
		if u := geog.child("UNIT", "ANGLEUNIT"); u != nil {
			if v, ok := u.number(1); !ok || math.Abs(v-degree) > 1e-9 {
				return 0
			}
		}
		if f == cgcs2000 {
			return epsgCGCS2000
		}
		return epsgWGS84
	}
	if u := root.child("UNIT", "LENGTHUNIT"); u != nil {
		if v, ok := u.number(1); !ok || v != 1 {
			return 0
		}
	}
	holder, method := root, root.child("PROJECTION").name()
	if c := root.child("CONVERSION"); c != nil {
		holder, method = c, c.child("METHOD", "PROJECTION").name()
	}
	p := parameters{scale: 1}
	if !p.read(holder) {
		return 0
	}
	name := squeeze(root.name())
	switch squeeze(method) {
	case "transversemercator", "gausskruger", "gausskrueger", "gaussboaga":
		return gaussCode(p, name, f)
	case "mercatorauxiliarysphere", "popularvisualisationpseudomercator":
		if p == (parameters{scale: 1}) {
			return epsgMercator
		}
	case "mercator", "mercator1sp", "mercatorvarianta":
		if p == (parameters{scale: 1}) && (strings.Contains(name, "pseudomercator") || strings.Contains(name, "webmercator")) {
			return epsgMercator
		}
	}
	return 0
}

type parameters struct{ lon0, lat0, fe, fn, scale float64 }

// read fills the parameters; false when one has no number, an unknown unit, or
// is not zero where this package would ignore it.
func (p *parameters) read(n *node) bool {
	for _, k := range n.kids {
		if k.key != "PARAMETER" {
			continue
		}
		v, ok := k.number(1)
		if !ok || math.IsNaN(v) || math.IsInf(v, 0) {
			return false
		}
		if u := k.child("LENGTHUNIT", "SCALEUNIT"); u != nil {
			if f, ok := u.number(1); !ok || f != 1 {
				return false
			}
		}
		if u := k.child("ANGLEUNIT"); u != nil {
			if f, ok := u.number(1); !ok || math.Abs(f-degree) > 1e-9 {
				return false
			}
		}
		switch squeeze(k.name()) {
		case "centralmeridian", "longitudeofnaturalorigin", "longitudeoforigin", "longitudeofcenter":
			p.lon0 = v
		case "latitudeoforigin", "latitudeofnaturalorigin", "latitudeofcenter":
			p.lat0 = v
		case "falseeasting":
			p.fe = v
		case "falsenorthing":
			p.fn = v
		case "scalefactor", "scalefactoratnaturalorigin":
			p.scale = v
		default: // Auxiliary_Sphere_Type, Standard_Parallel_1, ...
			if v != 0 {
				return false
			}
		}
	}
	return true
}

// gaussCode finds the code of a transverse Mercator projection.
func gaussCode(p parameters, name string, f family) int {
	if p.lat0 != 0 || p.lon0 != math.Trunc(p.lon0) || math.Abs(p.lon0) > 180 {
		return 0
	}
	lon := int(p.lon0)
	if p.scale == 0.9996 {
		if f != wgs84 || p.fe != 500000 || (lon+183)%6 != 0 {
			return 0
		}
		zone := (lon + 183) / 6
		switch {
		case zone < 1 || zone > 60:
			return 0
		case p.fn == 0:
			return 32600 + zone
		case p.fn == 1e7:
			return 32700 + zone
		}
		return 0
	}
	if p.scale != 1 || p.fn != 0 {
		return 0
	}
	// Where the 3-degree and the 6-degree code are one projection, the name tells
	// which was meant.
	six := !strings.Contains(name, "3degree") && (strings.Contains(name, "gkcm") || strings.Contains(name, "gausskrugercm"))
	for _, start := range [][2]int{{epsgCM3, epsgLastGauss}, {epsgCM6, epsgZone3 - 1}, {epsgZone3, epsgCM3 - 1}, {epsgZone6, epsgCM6 - 1}} {
		for code := start[0]; code <= start[1]; code++ {
			lon0, fe, _ := gaussOf(code)
			if lon0 != p.lon0 || fe != p.fe {
				continue
			}
			if six && start[0] == epsgCM3 && (lon-75)%6 == 0 {
				return epsgCM6 + (lon-75)/6
			}
			return code
		}
	}
	return 0
}

// srsCode reads the name of a CRS as GeoJSON, GML, GeoPackage and OGC services
// write it. lonLat is true for CRS84, whose axes are longitude, latitude.
func srsCode(s string) (epsg int, lonLat bool, ok bool) {
	if len(s) > 512 {
		return 0, false, false
	}
	s = strings.Trim(strings.TrimSpace(s), "[]<>")
	up := strings.ToUpper(s)
	if strings.HasSuffix(up, "CRS84") || strings.HasSuffix(up, "CRS84H") {
		return epsgWGS84, true, true
	}
	i := strings.LastIndexAny(s, ":/#")
	code, err := strconv.Atoi(s[i+1:])
	if err == nil && code > 0 && code < 1000000 {
		register := "EPSG"
		if i >= 0 && strings.Contains(up[:i], "ESRI") {
			register = "ESRI"
		} else if i >= 0 && !strings.Contains(up[:i], "EPSG") && up[:i] != "SRID" {
			return 0, false, false
		}
		c := canonical(register, code)
		return c, false, c != 0
	}
	return 0, false, false
}

// legacyError refuses a claim of a legacy datum.
func legacyError(c claim) error {
	return problem.New(problem.Unsupported, "crs-legacy-datum", "",
		fmt.Sprintf("数据为%s（依据：%s），不能直接入库：换算到 CGCS2000 需要测绘主管部门提供、由运行单位配置的转换参数，"+
			"PostGIS/PROJ 没有这些参数，会原样返回坐标而不报错，位置将偏移数十米。请先由测绘单位转换为 CGCS2000 再提交；若坐标系标注有误，请指明正确的 EPSG 代码", c.datum.zh(), c.zh),
		fmt.Sprintf("the data are on %s (by %s) and cannot be loaded as they are: the way to CGCS2000 needs transformation parameters supplied by the operator; "+
			"PostGIS and PROJ have none, shift the coordinates by nothing and say nothing, which leaves them tens of metres off. "+
			"Have them transformed to CGCS2000 first; if the label is wrong, name the right EPSG code", c.datum.en(), c.en))
}
