package crs

import (
	"math"
	"strconv"
	"strings"
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
	newBeijing
	pulkovo
)

// legacy reports whether coordinates on the datum need a transformation that
// only an operator can supply.
func (f family) legacy() bool { return f >= xian1980 && f <= pulkovo }

// ellipsoid is the one a family's coordinates lie on.
func (f family) ellipsoid() Ellipsoid {
	switch f {
	case xian1980:
		return IAG1975
	case beijing1954, newBeijing, pulkovo:
		return Krassovsky1940
	}
	return CGCS2000
}

// zh and en name a family to a person.
func (f family) zh() string {
	return [...]string{"其他基准", "未说明基准", "CGCS2000 国家大地坐标系", "WGS 84", "1980 西安坐标系", "1954 北京坐标系", "新 1954 北京坐标系", "普尔科沃坐标系"}[f]
}

func (f family) en() string {
	return [...]string{"another datum", "no datum", "CGCS2000", "WGS 84", "Xi'an 1980", "Beijing 1954", "New Beijing", "Pulkovo"}[f]
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
	{"newbeijing", newBeijing},
	{"新北京54", newBeijing},
	{"新54", newBeijing},
	{"新1954", newBeijing},
	{"beijing1954", beijing1954},
	{"beijing54", beijing1954},
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
	if r, ok := legacyRun(epsg); ok {
		return r.is
	}
	in := func(lo, hi int) bool { return epsg >= lo && epsg <= hi }
	switch {
	case epsg == 4284 || epsg == 4200 || epsg == 4178 || epsg == 4179 || in(28402, 28432) || in(28462, 28492) || in(20002, 20032):
		return pulkovo
	case epsg == epsgCGCS2000 || in(epsgZone6, epsgLastGauss) || epsg == 4479 || epsg == 4480:
		return cgcs2000
	case epsg == epsgWGS84 || epsg == epsgMercator || in(32601, 32660) || in(32701, 32760):
		return wgs84
	}
	return otherDatum
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
