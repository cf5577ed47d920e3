package gdal

import (
	"regexp"
	"strconv"
	"strings"
)

// Layer is one layer of the source as GDAL sees it, and of the GeoPackage.
type Layer struct {
	Name     string // of the table in the GeoPackage
	Source   string // of the layer in the source
	Geometry string // in the GeoPackage, upper case, such as MULTIPOLYGON or GEOMETRY
	Features int64
	CRS      string // "EPSG:4546", else the name the source gives it; empty: the source does not say, and a person must
	Fields   []Field
}

// Field is what GDAL knows of a field beside its values.
type Field struct {
	Name   string
	Alias  string // of a file geodatabase, empty if it has none
	Type   string // as GDAL calls it, such as String, Integer64, DateTime
	Width  int
	Domain string // the name of a Domain of the result, empty if none
}

// Domain is a code table of a file geodatabase. It has no values when it is a range.
type Domain struct {
	Name   string
	Values []Coded
}

// Coded is a code and its meaning.
type Coded struct{ Code, Text string }

// Bounds of what is kept of a source's description.
const (
	maxLayers  = 1000
	maxFields  = 2000
	maxDomains = 200
	maxValues  = 10000
)

// info is a layer of ogrinfo's description.
type info struct {
	name     string
	features int64
	geometry string // "Unknown (any)", "None", "3D Multi Polygon", "Compound Curve" ...
	srs      []string
	fields   []Field
}

// fieldLine is such as `DLBM: String (5.0), alternative name="地类编码", domain name=地类`.
// A name may hold anything; the type and the width of a field follow the last of
// their form.
var (
	fieldLine  = regexp.MustCompile(`^(.+): ([A-Z][A-Za-z0-9]*(?:\([A-Za-z0-9]+\))?) \((\d+)\.(\d+)\)(.*)$`)
	aliasPart  = regexp.MustCompile(`, alternative name="(.*?)"(?:, |$)`)
	domainPart = regexp.MustCompile(`, domain name=(.+)$`)
)

// parseInfo reads the output of ogrinfo -so -al -noextent. What a hostile name makes
// of the text is wrong at worst; nothing of it is trusted further than as a name.
func parseInfo(text string) []info {
	var out []info
	var l *info
	inSRS := false
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		if name, ok := strings.CutPrefix(line, "Layer name: "); ok {
			out = append(out, info{name: name, features: -1})
			l, inSRS = &out[len(out)-1], false
			continue
		}
		if l == nil {
			continue
		}
		switch {
		case line == "Layer SRS WKT:":
			inSRS = true
		case strings.HasPrefix(line, "Data axis to CRS axis mapping"):
			inSRS = false
		case inSRS && (strings.HasPrefix(line, " ") || len(l.srs) == 0):
			l.srs = append(l.srs, line)
		case l.features < 0 && strings.HasPrefix(line, "Feature Count: "):
			l.features, _ = strconv.ParseInt(line[len("Feature Count: "):], 10, 64)
		case l.geometry == "" && strings.HasPrefix(line, "Geometry: "):
			l.geometry = line[len("Geometry: "):]
		default:
			inSRS = false
			if m := fieldLine.FindStringSubmatch(line); m != nil && len(l.fields) < maxFields {
				l.fields = append(l.fields, newField(m))
			}
		}
	}
	return out
}

func newField(m []string) Field {
	f := Field{Name: m[1], Type: m[2]}
	f.Width, _ = strconv.Atoi(m[3])
	if a := aliasPart.FindStringSubmatch(m[5]); a != nil && a[1] != f.Name {
		f.Alias = a[1]
	}
	if d := domainPart.FindStringSubmatch(m[5]); d != nil {
		f.Domain = d[1]
	}
	return f
}

// Roots of WKT that are no place on the earth, and the line with the code, which
// stands at the first level.
var (
	identifier = regexp.MustCompile(`^    ID\["EPSG",(\d+)\]`)
	quoted     = regexp.MustCompile(`^[A-Z]+\["([^"]*)"`)
)

// crs names the layer's CRS, nothing when the source has none or one that is a sheet
// of paper.
func (l info) crs() string {
	if len(l.srs) == 0 || strings.HasPrefix(l.srs[0], "(unknown)") || strings.HasPrefix(l.srs[0], "ENGCRS") || strings.HasPrefix(l.srs[0], "LOCAL_CS") {
		return ""
	}
	for _, line := range l.srs {
		if m := identifier.FindStringSubmatch(line); m != nil {
			return "EPSG:" + m[1]
		}
	}
	if m := quoted.FindStringSubmatch(l.srs[0]); m != nil {
		return m[1]
	}
	return ""
}

// flat reports whether the layer is a table without geometry.
func (l info) flat() bool { return l.geometry == "None" }

// parseDomain reads one domain of ogrinfo -fielddomain.
func parseDomain(name, text string) Domain {
	d := Domain{Name: name}
	values := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if line == "  Coded values:" {
			values = true
			continue
		}
		rest, indented := strings.CutPrefix(line, "    ")
		if !values {
			continue
		}
		if !indented || len(d.Values) == maxValues {
			break
		}
		code, meaning, _ := strings.Cut(rest, ": ")
		d.Values = append(d.Values, Coded{Code: code, Text: meaning})
	}
	return d
}

// answerLine is a value in the answer to a query, such as "  n (Integer) = 12".
var answerLine = regexp.MustCompile(`^  ([a-z]) \([A-Za-z0-9]+\) = (.*)$`)

// parseRows reads the rows that ogrinfo -q -sql prints; the columns have names of
// one small letter.
func parseRows(text string) []map[string]string {
	var out []map[string]string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if strings.HasPrefix(line, "OGRFeature(") {
			out = append(out, map[string]string{})
		} else if m := answerLine.FindStringSubmatch(line); m != nil && len(out) > 0 {
			out[len(out)-1][m[1]] = m[2]
		}
	}
	return out
}
