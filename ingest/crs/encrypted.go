package crs

import (
	"math"
	"strings"
)

// Encrypted is one of the shifted coordinate systems of Chinese internet maps.
// They have no EPSG code and cannot be told from true coordinates, so they are
// used only where a person declares them. The zero value is none and changes
// nothing.
type Encrypted int

// The systems, longitude and latitude in degrees.
const (
	GCJ02 Encrypted = iota + 1 // 火星坐标系, of the maps of the mainland
	BD09                       // of Baidu's maps: GCJ-02 shifted once more
)

// EncryptedOf reads a declared name: "GCJ-02" or "BD-09", in any case, with or
// without separators; BD09LL is another name of BD-09. BD09MC, Baidu's plane
// coordinates, is not among them.
func EncryptedOf(name string) (Encrypted, bool) {
	switch strings.ToUpper(strings.NewReplacer("-", "", "_", "", " ", "").Replace(name)) {
	case "GCJ02":
		return GCJ02, true
	case "BD09", "BD09LL":
		return BD09, true
	}
	return 0, false
}

// String is the name by which EncryptedOf knows the system.
func (e Encrypted) String() string {
	switch e {
	case GCJ02:
		return "GCJ-02"
	case BD09:
		return "BD-09"
	}
	return ""
}

// encryptedLabel finds the name of a shifted system inside a label of a file.
func encryptedLabel(s string) Encrypted {
	s = squeeze(s)
	switch {
	case strings.Contains(s, "bd09") || strings.Contains(s, "百度坐标"):
		return BD09
	case strings.Contains(s, "gcj02") || strings.Contains(s, "火星坐标"):
		return GCJ02
	}
	return 0
}

// Parameters of the public formula of GCJ-02.
const (
	gcjA  = 6378245.0
	gcjE2 = 0.00669342162296594323
	bdPi  = math.Pi * 3000 / 180
)

// inChina is the rectangle within which the formula shifts coordinates.
func inChina(lon, lat float64) bool {
	return lon >= 72.004 && lon <= 137.8347 && lat >= 0.8293 && lat <= 55.8271
}

// gcjShift is what the formula adds to a true position, in degrees.
func gcjShift(lon, lat float64) (dLon, dLat float64) {
	x, y := lon-105, lat-35
	root := math.Sqrt(math.Abs(x))
	both := (20*math.Sin(6*math.Pi*x) + 20*math.Sin(2*math.Pi*x)) * 2 / 3
	dLat = -100 + 2*x + 3*y + 0.2*y*y + 0.1*x*y + 0.2*root + both +
		(20*math.Sin(math.Pi*y)+40*math.Sin(math.Pi*y/3))*2/3 +
		(160*math.Sin(math.Pi*y/12)+320*math.Sin(math.Pi*y/30))*2/3
	dLon = 300 + x + 2*y + 0.1*x*x + 0.1*x*y + 0.1*root + both +
		(20*math.Sin(math.Pi*x)+40*math.Sin(math.Pi*x/3))*2/3 +
		(150*math.Sin(math.Pi*x/12)+300*math.Sin(math.Pi*x/30))*2/3
	s, c := math.Sincos(lat * degree)
	w2 := 1 - gcjE2*s*s
	w := math.Sqrt(w2)
	return dLon / (gcjA / w * c * degree), dLat / (gcjA * (1 - gcjE2) / (w2 * w) * degree)
}

func toGCJ(lon, lat float64) (float64, float64) {
	if !inChina(lon, lat) {
		return lon, lat
	}
	dLon, dLat := gcjShift(lon, lat)
	return lon + dLon, lat + dLat
}

// The shifts change by less than 4 % of the way (GCJ-02) and 2 % (BD-09), so that
// each round of the inversions below gains more than a digit.
const (
	maxRounds = 30
	settled   = 1e-13 // degrees
)

// invert solves shift(p) = (lon, lat) beginning at a position near p.
func invert(lon, lat, nearLon, nearLat float64, shift func(lon, lat float64) (float64, float64)) (float64, float64) {
	p, q := nearLon, nearLat
	for range maxRounds {
		x, y := shift(p, q)
		dx, dy := lon-x, lat-y
		p, q = p+dx, q+dy
		if math.Abs(dx) < settled && math.Abs(dy) < settled {
			break
		}
	}
	return p, q
}

func fromGCJ(lon, lat float64) (float64, float64) {
	if !inChina(lon, lat) {
		return lon, lat
	}
	return invert(lon, lat, lon, lat, func(lon, lat float64) (float64, float64) {
		dLon, dLat := gcjShift(lon, lat)
		return lon + dLon, lat + dLat
	})
}

func gcjToBD(lon, lat float64) (float64, float64) {
	z := math.Hypot(lon, lat) + 0.00002*math.Sin(lat*bdPi)
	s, c := math.Sincos(math.Atan2(lat, lon) + 0.000003*math.Cos(lon*bdPi))
	return z*c + 0.0065, z*s + 0.006
}

func bdToGCJ(lon, lat float64) (float64, float64) {
	return invert(lon, lat, lon-0.0065, lat-0.006, gcjToBD)
}

// Inverse turns longitude, latitude of the system into those of CGCS2000 (WGS 84
// of the formula, taken as equal) in place, by iteration to better than 1e-9
// degrees. It has the contract of Projection.Inverse: stride numbers a point, what
// follows the first two is left alone. Outside the rectangle of the formula
// (72.004–137.8347°E, 0.8293–55.8271°N) GCJ-02 is not shifted.
func (e Encrypted) Inverse(flat []float64, stride int) {
	if stride < 2 {
		return
	}
	for i := 0; i+1 < len(flat); i += stride {
		switch e {
		case GCJ02:
			flat[i], flat[i+1] = fromGCJ(flat[i], flat[i+1])
		case BD09:
			flat[i], flat[i+1] = fromGCJ(bdToGCJ(flat[i], flat[i+1]))
		}
	}
}

// Forward is the reverse of Inverse.
func (e Encrypted) Forward(flat []float64, stride int) {
	if stride < 2 {
		return
	}
	for i := 0; i+1 < len(flat); i += stride {
		switch e {
		case GCJ02:
			flat[i], flat[i+1] = toGCJ(flat[i], flat[i+1])
		case BD09:
			flat[i], flat[i+1] = gcjToBD(toGCJ(flat[i], flat[i+1]))
		}
	}
}
