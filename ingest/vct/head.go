package vct

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"changde/problem"
)

const maxHead = 1000 // lines of the head

// CRS is what the head says about the coordinate reference system.
type CRS struct {
	EPSG   int    // of CGCS2000 and WGS 84, 0 when the head does not tell one for certain
	WKT    string // OGC 01-009 text of what the head says, "" when it says too little
	ZH, EN string
}

// head is the file's head as far as reading depends on it.
type head struct {
	keys      map[string]string // in lower case -> value
	modern    bool              // laid out as GB/T 17798-2007, else as the edition of 1999
	topo      int               // of the 1999 layout: 0 direct coordinates, 1 and 2 lines; -1 not stated
	dim       int
	separator string
	swap      bool // X points north
}

// readHead reads to HeadEnd. The encoding is needed for full-width colons and names.
func readHead(l *lines, e Encoding) (*head, error) {
	h := &head{keys: make(map[string]string), topo: -1, dim: 2, separator: ","}
	for n := 0; ; n++ {
		line, err := l.next()
		if err == io.EOF {
			return nil, truncated(l, "HeadEnd")
		}
		if err != nil {
			return nil, err
		}
		if is(line, "HeadEnd") {
			break
		}
		if n == maxHead {
			return nil, problem.New(problem.TooLarge, "vct-head", l.where, fmt.Sprintf("文件头超过 %d 行，可能缺少 HeadEnd", maxHead), fmt.Sprintf("the head has more than %d lines; HeadEnd may be missing", maxHead))
		}
		s, _ := e.decode(line)
		s = strings.Replace(s, "：", ":", 1)
		key, value, ok := strings.Cut(s, ":")
		if !ok {
			continue
		}
		h.keys[strings.ToLower(strings.TrimSpace(key))] = strings.TrimSpace(value)
	}
	return h, h.check(l.where)
}

// get returns the value of the first key that is there.
func (h *head) get(keys ...string) string {
	for _, k := range keys {
		if v := h.keys[k]; v != "" {
			return v
		}
	}
	return ""
}

func (h *head) has(keys ...string) bool {
	for _, k := range keys {
		if _, ok := h.keys[k]; ok {
			return true
		}
	}
	return false
}

// check interprets what reading depends on.
func (h *head) check(where string) error {
	version := h.get("version")
	switch {
	case strings.Contains(version, "2007") || strings.HasPrefix(version, "3"):
		h.modern = true
	case strings.Contains(version, "1999") || strings.HasPrefix(version, "1"):
	default:
		// 2.0 is both TD/T 1016-2007, laid out as in 1999, and an edition of the standard;
		// the keys tell them apart.
		h.modern = h.has("coordinatesystemtype", "xyunit", "extentmin") && !h.has("topo")
	}
	if n, err := strconv.Atoi(h.get("topo")); err == nil && n >= 0 && n <= 2 {
		h.topo = n
	}
	if h.get("dim") == "3" {
		h.dim = 3
	}
	if s := h.get("separator"); s != "" {
		h.separator = s
	}
	if strings.EqualFold(h.get("datamark"), "LANDUSE-DAT") {
		return problem.New(problem.Unsupported, "vct-variant", where,
			"数据标识 LANDUSE-DAT 是一种早期的变体，其记录次序不同；请用原软件另导出为标准的 VCT", "the data mark LANDUSE-DAT is an early variant whose records are ordered differently; export standard VCT from the original program")
	}
	switch unit := strings.ToUpper(h.get("xyunit", "unit")); unit {
	case "", "M", "D":
	default:
		return problem.New(problem.Unsupported, "vct-unit", where,
			fmt.Sprintf("平面坐标单位 %.20q 不支持；请以米（M）或十进制度（D）导出", unit), fmt.Sprintf("the unit %.20q of the coordinates is not supported; export in metres (M) or decimal degrees (D)", unit))
	}
	for part := range strings.SplitSeq(strings.ReplaceAll(h.get("offset"), "，", ","), ",") {
		if v, err := strconv.ParseFloat(strings.TrimSpace(part), 64); err == nil && v != 0 {
			return problem.New(problem.Unsupported, "vct-offset", where,
				"文件头的坐标偏移量 Offset 不为零，各软件对其正负号的解释不一；请以偏移量为 0 导出", "the head has an Offset of coordinates that is not zero, whose sign programs understand differently; export with an offset of 0")
		}
	}
	x, y := strings.ToUpper(h.get("xaxisdirection")), strings.ToUpper(h.get("yaxisdirection"))
	switch {
	case (x == "" || x == "E") && (y == "" || y == "N"):
	case x == "N" && (y == "" || y == "E"):
		h.swap = true
	default:
		return problem.New(problem.Unsupported, "vct-axes", where,
			fmt.Sprintf("坐标轴方向 X=%.10q、Y=%.10q 不支持；请以 X 向东、Y 向北导出", x, y), fmt.Sprintf("the axis directions X=%.10q, Y=%.10q are not supported; export with X east and Y north", x, y))
	}
	return nil
}

// datum is a geodetic datum of mainland China with its ellipsoid, and the EPSG codes
// of its Gauss-Kruger zones, 0 where this package names none.
type datum struct {
	name             string
	words            []string // of the spheroid in a head, lower case without blanks
	a, f             float64
	geographic       int
	zone3, cm3       int // code of zone 25, of the meridian 75
	zone6, cm6       int // code of zone 13, of the meridian 75
	spheroid, geogcs string
}

// The words of a newer datum go before those of an older one that they contain.
var datums = []datum{
	{
		name: "CGCS2000", words: []string{"2000", "cgcs"}, a: 6378137, f: 298.257222101, geographic: 4490, zone3: 4513, cm3: 4534, zone6: 4491, cm6: 4502,
		spheroid: "CGCS2000", geogcs: "GCS_China_Geodetic_Coordinate_System_2000\",DATUM[\"D_China_2000",
	},
	{name: "WGS 84", words: []string{"wgs"}, a: 6378137, f: 298.257223563, geographic: 4326, spheroid: "WGS_1984", geogcs: "GCS_WGS_1984\",DATUM[\"D_WGS_1984"},
	{name: "Xian 1980", words: []string{"iag", "1980", "西安", "xian", "75"}, a: 6378140, f: 298.257, spheroid: "Xian_1980", geogcs: "GCS_Xian_1980\",DATUM[\"D_Xian_1980"},
	{name: "Beijing 1954", words: []string{"krass", "克拉索夫斯基", "1954", "北京54", "beijing"}, a: 6378245, f: 298.3, spheroid: "Krasovsky_1940", geogcs: "GCS_Beijing_1954\",DATUM[\"D_Beijing_1954"},
}

// datum tells the datum by the numbers of the ellipsoid where they are of one datum
// only, else by its name.
func (h *head) datum() *datum {
	for _, n := range append(h.numbers("spheroid"), h.numbers("parameters")...) {
		for i := range datums {
			d := &datums[i]
			if n == d.a && d.a != 6378137 || n == d.f && d.a == 6378137 {
				return d
			}
		}
	}
	name, _, _ := strings.Cut(strings.ReplaceAll(h.get("spheroid"), "，", ","), ",")
	name = strings.ToLower(strings.ReplaceAll(name+h.get("horizontalcrs"), " ", ""))
	for i := range datums {
		for _, w := range datums[i].words {
			if strings.Contains(name, w) {
				return &datums[i]
			}
		}
	}
	return nil
}

// numbers are the numbers of a value that is a list.
func (h *head) numbers(key string) []float64 {
	var out []float64
	for part := range strings.SplitSeq(strings.ReplaceAll(h.get(key), "，", ","), ",") {
		if v, err := strconv.ParseFloat(strings.TrimSpace(part), 64); err == nil && !math.IsNaN(v) && !math.IsInf(v, 0) {
			out = append(out, v)
		}
	}
	return out
}

// crs describes the coordinate reference system. easting is one of the file, to see
// whether it carries a zone number, 0 if none is known.
func (h *head) crs(easting float64) CRS {
	d := h.datum()
	if d == nil {
		return CRS{ZH: "文件头没有写明可识别的参考椭球，坐标系不明", EN: "the head names no ellipsoid that is known, so the CRS is unknown"}
	}
	degrees := strings.EqualFold(h.get("coordinatesystemtype"), "D") || strings.EqualFold(h.get("xyunit", "unit"), "D")
	geogcs := fmt.Sprintf("GEOGCS[\"%s\",SPHEROID[\"%s\",%s,%s]],PRIMEM[\"Greenwich\",0],UNIT[\"Degree\",0.0174532925199433]]",
		d.geogcs, d.spheroid, plain(d.a), plain(d.f))
	if degrees {
		return CRS{
			EPSG: d.geographic, WKT: geogcs,
			ZH: "文件头：" + d.name + " 经纬度", EN: "head: " + d.name + " longitude and latitude",
		}
	}
	zone := 0
	if easting >= 1e7 && easting < 1e8 {
		zone = int(easting / 1e6)
	}
	meridian, falseEasting, width := h.projection()
	if zone == 0 && falseEasting >= 1e6 {
		zone = int(falseEasting / 1e6)
	}
	if meridian == 0 && zone > 0 {
		if zone >= 25 {
			meridian = float64(3 * zone)
		} else {
			meridian = float64(6*zone - 3)
		}
	}
	if meridian < 70 || meridian > 140 {
		return CRS{ZH: "文件头：" + d.name + " 投影坐标，未写明中央子午线", EN: "head: " + d.name + ", projected, but without a central meridian"}
	}
	switch {
	case zone >= 25 && zone <= 45:
		width = 3
	case zone >= 13 && zone <= 23:
		width = 6
	case width != 6:
		width = 3
	}
	falseEasting = 500000 + 1e6*float64(zone)
	c := CRS{
		WKT: fmt.Sprintf("PROJCS[\"%s_%d_Degree_GK_CM_%s\",%s,PROJECTION[\"Gauss_Kruger\"],PARAMETER[\"False_Easting\",%s],PARAMETER[\"False_Northing\",0],PARAMETER[\"Central_Meridian\",%s],PARAMETER[\"Scale_Factor\",1],PARAMETER[\"Latitude_Of_Origin\",0],UNIT[\"Meter\",1]]",
			strings.ReplaceAll(d.name, " ", "_"), width, plain(meridian), geogcs, plain(falseEasting), plain(meridian)),
		ZH: fmt.Sprintf("文件头：%s 高斯-克吕格，中央子午线 %s°", d.name, plain(meridian)),
		EN: fmt.Sprintf("head: %s Gauss-Kruger, central meridian %s°", d.name, plain(meridian)),
	}
	if zone > 0 {
		c.ZH += fmt.Sprintf("，带号 %d", zone)
		c.EN += fmt.Sprintf(", zone %d", zone)
	}
	c.EPSG = d.code(meridian, zone, width)
	return c
}

// projection finds the central meridian, the false easting and the width of the zones
// in the head, 0 for what is not there. The list of parameters has no fixed length in
// practice, but begins with the meridian and holds one false easting.
func (h *head) projection() (meridian, falseEasting float64, width int) {
	list := h.numbers("parameters")
	for i, v := range list {
		switch {
		case i == 0 && v >= 70 && v <= 140:
			meridian = v
		case i == 0 && v >= 700000 && v <= 1400000: // degrees, minutes, seconds as DDDMMSS
			d := math.Floor(v / 10000)
			m := math.Floor((v - d*10000) / 100)
			meridian = d + m/60 + (v-d*10000-m*100)/3600
		case v >= 1e5 && math.Mod(v, 1e6) == 500000:
			falseEasting = v
		case falseEasting > 0 && (v == 3 || v == 6):
			width = int(v)
		}
	}
	if meridian == 0 {
		// "Meridinan" is how TD/T 1016 spells it.
		if v, err := strconv.ParseFloat(h.get("meridinan", "meridian", "centralmeridian"), 64); err == nil && v >= 70 && v <= 140 {
			meridian = v
		}
	}
	return meridian, falseEasting, width
}

func (d *datum) code(meridian float64, zone, width int) int {
	if d.zone3 == 0 || meridian != math.Trunc(meridian) {
		return 0
	}
	m := int(meridian)
	switch {
	case width == 3 && m%3 == 0 && m >= 75 && m <= 135:
		if zone == 0 {
			return d.cm3 + (m-75)/3
		}
		if 3*zone == m {
			return d.zone3 + zone - 25
		}
	case width == 6 && m%6 == 3 && m >= 75 && m <= 135:
		if zone == 0 {
			return d.cm6 + (m-75)/6
		}
		if 6*zone-3 == m {
			return d.zone6 + zone - 13
		}
	}
	return 0
}

func plain(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func truncated(l *lines, end string) error {
	return problem.New(problem.Invalid, "vct-truncated", l.where,
		fmt.Sprintf("文件在 %s 之前就结束了（共 %d 字节），不完整；请重新复制或导出", end, l.offset()), fmt.Sprintf("the file ends before %s (after %d bytes): it is incomplete; copy or export it again", end, l.offset()))
}
