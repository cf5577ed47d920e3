package crs

import (
	"math"
	"strconv"
	"strings"
)

// description is what a WKT text says.
type description struct {
	epsg      int // by structure, or by the stated code when the structure is of no known kind
	stated    int // AUTHORITY or ID of the whole CRS, 0 without
	name      string
	datum     string
	family    family
	structure bool // epsg was found from projection and parameters
	weak      bool // the datum is told by an ellipsoid alone, or the ellipsoid is another's
	source    Projection
	known     bool // source is the projection of a legacy datum
}

// Parse reads the text of a CRS: WKT 1 as ESRI and the OGC (01-009) write it, or
// WKT 2 (ISO 19162). It recognises the CGCS2000 family, WGS 84, UTM and Web
// Mercator by their structure (projection, datum, central meridian, false easting,
// unit); for anything else epsg is the code the text states, 0 without one. name
// and datum are as written. The error is a *problem.Error when the text is no
// CRS. A text on a legacy datum is parsed like any other; Identify alone asks for a
// transformation.
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
	d.weak = strings.Contains(squeeze(d.datum), "1940") // of Krassovsky, as if it were a datum
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
			f := familyOfEllipsoid(a, rf)
			if f.legacy() && !d.family.legacy() {
				d.family = f // the ellipsoid is what the coordinates were computed on, whatever the label
				d.weak = true
			} else if d.family.legacy() && f != otherDatum && f.ellipsoid() != d.family.ellipsoid() {
				d.weak = true
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
	if d.family.legacy() && greenwich(geog) {
		d.source, d.known = legacySource(root, geog, d.family)
	}
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
		if !inDegrees(geog) {
			return 0
		}
		if f == cgcs2000 {
			return epsgCGCS2000
		}
		return epsgWGS84
	}
	method, p, ok := conversion(root)
	if !ok {
		return 0
	}
	name := squeeze(root.name())
	switch method {
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

// legacySource finds the projection of a text on a legacy datum.
func legacySource(root, geog *node, f family) (Projection, bool) {
	if root == geog {
		return Projection{}, inDegrees(geog)
	}
	method, p, ok := conversion(root)
	switch method {
	case "transversemercator", "gausskruger", "gausskrueger", "gaussboaga":
	default:
		return Projection{}, false
	}
	if !ok || p.lat0 != 0 {
		return Projection{}, false
	}
	q, err := GaussKruger{Ellipsoid: f.ellipsoid(), CentralMeridian: p.lon0, FalseEasting: p.fe, FalseNorthing: p.fn, Scale: p.scale}.Projection()
	return q, err == nil && p.scale != 0
}

func inDegrees(geog *node) bool {
	u := geog.child("UNIT", "ANGLEUNIT")
	if u == nil {
		return true
	}
	v, ok := u.number(1)
	return ok && math.Abs(v-degree) <= 1e-9
}

// conversion reads the squeezed name of the method and the parameters; false for
// another unit than the metre or a parameter that is not understood.
func conversion(root *node) (method string, p parameters, ok bool) {
	if u := root.child("UNIT", "LENGTHUNIT"); u != nil {
		if v, ok := u.number(1); !ok || v != 1 {
			return "", p, false
		}
	}
	holder, method := root, root.child("PROJECTION").name()
	if c := root.child("CONVERSION"); c != nil {
		holder, method = c, c.child("METHOD", "PROJECTION").name()
	}
	p = parameters{scale: 1}
	ok = p.read(holder)
	return squeeze(method), p, ok
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
