package gdal

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Format is a format read through GDAL.
type Format struct {
	Name       string   // as shown, such as "KML"
	Extensions []string // lower case, with the dot, of the file a person would name
	Parts      []string // of the files that belong to it and stand beside it
	Drivers    []string // of GDAL, the first that is there is used; none: refused, with the way out
}

// The names of the formats.
const (
	FileGDB    = "FileGDB"
	DXF        = "DXF"
	DWG        = "DWG"
	TAB        = "MapInfo TAB"
	MIF        = "MapInfo MIF"
	KML        = "KML"
	KMZ        = "KMZ"
	GPX        = "GPX"
	GML        = "GML"
	FlatGeobuf = "FlatGeobuf"
)

// Formats lists what is recognised. DWG is among them to be refused with a reason.
func Formats() []Format {
	return []Format{
		{FileGDB, []string{".gdb"}, nil, []string{"OpenFileGDB"}},
		{DXF, []string{".dxf"}, nil, []string{"DXF"}},
		{DWG, []string{".dwg"}, nil, nil},
		{TAB, []string{".tab"}, []string{".dat", ".map", ".id", ".ind"}, []string{"MapInfo File"}},
		{MIF, []string{".mif"}, []string{".mid"}, []string{"MapInfo File"}},
		{KML, []string{".kml"}, nil, []string{"LIBKML"}},
		{KMZ, []string{".kmz"}, nil, []string{"LIBKML"}},
		{GPX, []string{".gpx"}, nil, []string{"GPX"}},
		{GML, []string{".gml", ".xml"}, []string{".xsd", ".gfs"}, []string{"GML"}},
		{FlatGeobuf, []string{".fgb"}, nil, []string{"FlatGeobuf"}},
	}
}

func format(name string) Format {
	for _, f := range Formats() {
		if f.Name == name {
			return f
		}
	}
	return Format{}
}

// headSize is how much of a file is looked at to recognise it.
const headSize = 64 << 10

// Recognise tells the format of a file, or of a folder that is a file geodatabase, by
// its name and its first bytes, both of which must agree. It reads 64 KiB at most. A
// zip is recognised only when its first member lies in a folder *.gdb.
func Recognise(path string) (Format, bool) {
	info, err := os.Stat(path)
	if err != nil {
		return Format{}, false
	}
	ext := strings.ToLower(filepath.Ext(path))
	if info.IsDir() {
		if ext == ".gdb" && isGeodatabase(path) {
			return format(FileGDB), true
		}
		return Format{}, false
	}
	if !info.Mode().IsRegular() {
		return Format{}, false
	}
	f, err := os.Open(path)
	if err != nil {
		return Format{}, false
	}
	defer f.Close()
	head := make([]byte, headSize)
	n, err := io.ReadFull(f, head)
	if err != nil && err != io.ErrUnexpectedEOF {
		return Format{}, false
	}
	name := recogniseHead(ext, head[:n])
	return format(name), name != ""
}

// isGeodatabase reports whether a folder has the table every file geodatabase has.
func isGeodatabase(dir string) bool {
	entries, err := os.Open(dir)
	if err != nil {
		return false
	}
	defer entries.Close()
	for range 100 {
		names, err := entries.Readdirnames(1000)
		if slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, "a00000001.gdbtable") }) {
			return true
		}
		if err != nil {
			return false
		}
	}
	return false
}

func recogniseHead(ext string, head []byte) string {
	text := asText(head)
	switch ext {
	case ".zip":
		if folder := zippedGeodatabase(head); folder != "" {
			return FileGDB
		}
	case ".dxf":
		if bytes.HasPrefix(head, []byte(binaryDXF)) || isDXF(text) {
			return DXF
		}
	case ".dwg":
		if bytes.HasPrefix(head, []byte("AC10")) {
			return DWG
		}
	case ".tab":
		if strings.HasPrefix(strings.ToLower(text), "!table") {
			return TAB
		}
	case ".mif":
		if strings.HasPrefix(strings.ToLower(text), "version") {
			return MIF
		}
	case ".kml", ".kmz":
		if bytes.HasPrefix(head, []byte(zipMember)) {
			return KMZ
		}
		if rootElement(text) == "kml" {
			return KML
		}
	case ".gpx":
		if rootElement(text) == "gpx" {
			return GPX
		}
	case ".gml", ".xml":
		return recogniseXML(ext, text)
	case ".fgb":
		if bytes.HasPrefix(head, []byte("fgb")) && len(head) > 8 && bytes.Equal(head[4:7], []byte("fgb")) {
			return FlatGeobuf
		}
	}
	return ""
}

// recogniseXML looks at the root element; any name will do for GML, if its namespace
// is declared near the top.
func recogniseXML(ext, text string) string {
	root := rootElement(text)
	switch {
	case root == "":
		return ""
	case root == "kml" || root == "gpx":
		return "" // the driver goes by the extension, which is wrong here
	case ext == ".gml", strings.Contains(text, "http://www.opengis.net/gml"):
		return GML
	}
	return ""
}

const (
	binaryDXF = "AutoCAD Binary DXF"
	zipMember = "PK\x03\x04"
)

// isDXF reports whether the text begins as a DXF does: comments of group code 999,
// then a section.
func isDXF(text string) bool {
	lines := strings.Split(text[:min(len(text), 16<<10)], "\n")
	for i := 0; i+1 < len(lines); i += 2 {
		switch strings.TrimSpace(lines[i]) {
		case "999":
		case "0":
			return strings.TrimSpace(lines[i+1]) == "SECTION"
		default:
			return false
		}
	}
	return false
}

// asText drops the mark of byte order and leading space, and decodes UTF-16.
func asText(b []byte) string {
	switch {
	case bytes.HasPrefix(b, []byte{0xEF, 0xBB, 0xBF}):
		b = b[3:]
	case len(b) >= 4 && (b[0] == 0xFF && b[1] == 0xFE || b[0] == 0xFE && b[1] == 0xFF):
		var order binary.ByteOrder = binary.LittleEndian
		if b[0] == 0xFE {
			order = binary.BigEndian
		}
		units := make([]uint16, 0, len(b)/2)
		for i := 2; i+1 < len(b); i += 2 {
			units = append(units, order.Uint16(b[i:]))
		}
		return strings.TrimLeft(string(utf16.Decode(units)), " \t\r\n")
	}
	return string(bytes.TrimLeft(b, " \t\r\n"))
}

// rootElement is the local name of the first element, lower case, or nothing.
func rootElement(text string) string {
	for range 1000 {
		text = strings.TrimLeft(text, " \t\r\n")
		if !strings.HasPrefix(text, "<") {
			return ""
		}
		var end string
		switch {
		case strings.HasPrefix(text, "<?"):
			end = "?>"
		case strings.HasPrefix(text, "<!--"):
			end = "-->"
		case strings.HasPrefix(text, "<!"):
			if end = ">"; strings.IndexByte(text, '[') >= 0 && strings.IndexByte(text, '[') < strings.IndexByte(text, '>') {
				end = "]>" // declarations of its own
			}
		default:
			name := text[1:]
			if i := strings.IndexAny(name, " \t\r\n/>"); i >= 0 {
				name = name[:i]
			}
			if i := strings.IndexByte(name, ':'); i >= 0 {
				name = name[i+1:]
			}
			return strings.ToLower(name)
		}
		_, rest, ok := strings.Cut(text, end)
		if !ok {
			return ""
		}
		text = rest
	}
	return ""
}

var geodatabaseFolder = regexp.MustCompile(`^[^/]+(?:/[^/]+)*?\.(?i:gdb)/`)

// zippedGeodatabase is the folder *.gdb that the first member of a zip lies in, or
// nothing. The member's own header is read, not the directory at the end, which may
// be of any size.
func zippedGeodatabase(head []byte) string {
	const fixed = 30
	if len(head) < fixed || !bytes.HasPrefix(head, []byte(zipMember)) {
		return ""
	}
	n := int(binary.LittleEndian.Uint16(head[26:]))
	if len(head) < fixed+n {
		return ""
	}
	name := string(head[fixed : fixed+n])
	i := geodatabaseFolder.FindStringIndex(name)
	if i == nil || !utf8.ValidString(name) || strings.Contains(name, "..") || strings.HasPrefix(name, "/") {
		return ""
	}
	return name[:i[1]-1]
}
