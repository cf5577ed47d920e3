package gdal

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// drawing is a DXF of one text and one circle.
func drawing(version, page, layer, text string) string {
	return "  0\r\nSECTION\r\n  2\r\nHEADER\r\n  9\r\n$ACADVER\r\n  1\r\n" + version + "\r\n  9\r\n$DWGCODEPAGE\r\n  3\r\n" + page +
		"\r\n  0\r\nENDSEC\r\n  0\r\nSECTION\r\n  2\r\nENTITIES\r\n  0\r\nTEXT\r\n  5\r\n1F\r\n  8\r\n" + layer +
		"\r\n 10\r\n5.0\r\n 20\r\n6.0\r\n 30\r\n7.5\r\n 40\r\n1.0\r\n  1\r\n" + text +
		"\r\n  0\r\nCIRCLE\r\n  5\r\n20\r\n  8\r\n" + layer + "\r\n 10\r\n500000.0\r\n 20\r\n3200000.0\r\n 30\r\n7.5\r\n 40\r\n10.0\r\n  0\r\nENDSEC\r\n  0\r\nEOF\r\n"
}

// Text of drawings is read by what they declare, unless the bytes are clearly
// something else, and escapes become characters.
func TestDXF(t *testing.T) {
	t.Parallel()
	real(t)
	const layer, text = "地类图斑", "武陵区政府驻地"
	for _, tt := range []struct{ name, content, encoding, layer, text, reason string }{
		{"ANSI_936", gbk(t, drawing("AC1015", "ANSI_936", layer, text)), "GB18030", layer, text, "agrees"},
		{"second byte a backslash", gbk(t, drawing("AC1015", "ANSI_936", "誠信U+4E00", text)), "GB18030", "誠信U+4E00", text, "agrees"},
		{"2007 with an old code page", drawing("AC1021", "ANSI_936", layer, text), "UTF-8", layer, text, "agrees"},
		{"2018", drawing("AC1032", "ANSI_1252", layer, text), "UTF-8", layer, text, "agrees"},
		{"2007 that is GBK", gbk(t, drawing("AC1021", "ANSI_936", layer, text)), "GB18030", layer, text, "clearly GB18030"},
		{"1252 that is GBK", gbk(t, drawing("AC1015", "ANSI_1252", layer, text)), "GB18030", layer, text, "clearly GB18030"},
		{"936 that is UTF-8", drawing("AC1018", "ANSI_936", layer, text), "UTF-8", layer, text, "clearly UTF-8"},
		{"1252", strings.ReplaceAll(drawing("AC1015", "ANSI_1252", "L", "Caf\xe9 5 m\xb2"), "x", "x"), "windows-1252", "L", "Café 5 m²", "agrees"},
		{"escapes", drawing("AC1015", "ANSI_1252", `A\U+5C42`, `\U+6B66\U+9675 \U+D867\U+DE3D \M+5CEE4 \U+0041`), "windows-1252", "A层", `武陵 𩸽 武 \U+0041`, "ASCII"},
		{"no page", gbk(t, strings.ReplaceAll(drawing("AC1015", "x", layer, text), "$DWGCODEPAGE", "$OTHER")), "GB18030", layer, text, "declares no encoding"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := mustConvert(t, write(t, t.TempDir(), "图.dxf", tt.content), "")
			if len(r.Layers) != 2 || r.Layers[0].Name != tt.layer+"_points" || r.Layers[0].CRS != "" || r.Layers[0].Features != 1 || r.Layers[0].Geometry != "POINT" ||
				r.Layers[1].Name != tt.layer+"_lines" || r.Layers[1].Geometry != "MULTILINESTRING" {
				t.Fatalf("layers %+v", r.Layers)
			}
			if r.Encoding.Name != tt.encoding || !strings.Contains(r.Encoding.EN, tt.reason) {
				t.Errorf("encoding %+v", r.Encoding)
			}
			fields, features := rows(t, r, tt.layer+"_points")
			_, circles := rows(t, r, tt.layer+"_lines")
			got := values(fields, features[0])
			if got["Layer"] != tt.layer || got["Text"] != tt.text {
				t.Errorf("got %q %q", got["Layer"], got["Text"])
			}
			if c := features[0].Geom.FlatCoords(); !cmp.Equal(c, []float64{5, 6, 7.5}) {
				t.Errorf("coordinates %v", c)
			}
			if n := len(circles[0].Geom.FlatCoords()) / 3; n < 360 || n > 364 {
				t.Errorf("the circle has %d positions", n)
			}
		})
	}
	_, err := convert(t, write(t, t.TempDir(), "b.dxf", binaryDXF+"\r\n\x1a\x00..."), "")
	if code(err) != "dxf-binary" {
		t.Error(err)
	}
	_, err = convert(t, write(t, t.TempDir(), "b.dwg", "AC1032 ..."), "")
	if code(err) != "dwg" {
		t.Error(err)
	}
	_, err = convert(t, write(t, t.TempDir(), "c.dxf", drawing("AC1015", "ANSI_936", "a", "b")), "klingon")
	if code(err) != "charset-unknown" {
		t.Error(err)
	}
}

// mapInfo makes a MIF and its MID of one row under a charset.
func mapInfo(t *testing.T, dir, charset, column, value string) string {
	t.Helper()
	head := "Version 300\r\n"
	if charset != "" {
		head += `Charset "` + charset + `"` + "\r\n"
	}
	write(t, dir, "图斑.MID", `"`+value+`",7`+"\r\n")
	return write(t, dir, "图斑.mif", head+"Delimiter \",\"\r\nCoordSys NonEarth Units \"m\" Bounds (0, 0) (1000000, 4000000)\r\nColumns 2\r\n  "+column+" Char(20)\r\n  n Integer\r\nData\r\n\r\nPoint 500000 3200000\r\n")
}

func TestMapInfoCharset(t *testing.T) {
	t.Parallel()
	real(t)
	const column, value = "地类名称", "水浇地和旱地"
	for _, tt := range []struct{ name, charset, column, value, user, encoding, reason string }{
		{"declared", "WindowsSimpChinese", gbk(t, column), gbk(t, value), "", "GB18030", "agrees"},
		{"neutral and GBK", "Neutral", gbk(t, column), gbk(t, value), "", "GB18030", "declares no encoding"},
		{"neutral and UTF-8", "Neutral", column, value, "", "UTF-8", "declares no encoding"},
		{"none and GBK", "", gbk(t, column), gbk(t, value), "", "GB18030", "declares no encoding"},
		{"Chinese that is UTF-8", "WindowsSimpChinese", column, value, "", "UTF-8", "clearly UTF-8"},
		{"Latin that is GBK", "WindowsLatin1", gbk(t, column), gbk(t, value), "", "GB18030", "clearly GB18030"},
		{"UTF-8", "UTF-8", column, value, "", "UTF-8", "agrees"},
		{"a person says", "Neutral", gbk(t, column), gbk(t, value), "gbk", "GB18030", "user's choice"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := mustConvert(t, mapInfo(t, t.TempDir(), tt.charset, tt.column, tt.value), tt.user)
			if r.Encoding.Name != tt.encoding || !strings.Contains(r.Encoding.EN, tt.reason) {
				t.Errorf("encoding %+v", r.Encoding)
			}
			if len(r.Layers) != 1 || r.Layers[0].Name != "图斑" || r.Layers[0].CRS != "" || r.Layers[0].Geometry != "POINT" {
				t.Fatalf("layers %+v", r.Layers)
			}
			fields, features := rows(t, r, "图斑")
			if d := cmp.Diff(map[string]any{column: value, "n": int64(7)}, values(fields, features[0])); d != "" {
				t.Error(d, r.Notes)
			}
		})
	}
}

// A TAB whose charset says nothing is read by the values of its .dat.
func TestTABCharset(t *testing.T) {
	t.Parallel()
	real(t)
	dir := t.TempDir()
	ogr(t, "ogr2ogr", "-f", "MapInfo File", filepath.Join(dir, "k.tab"), counties(t, dir), "-lco", "ENCODING=CP936", "-nln", "k")
	b, err := os.ReadFile(filepath.Join(dir, "k.tab"))
	if err != nil {
		t.Fatal(err)
	}
	path := write(t, dir, "k.tab", strings.ReplaceAll(string(b), "WindowsSimpChinese", "Neutral"))
	r := mustConvert(t, path, "")
	fields, features := rows(t, r, "k")
	if got := values(fields, features[0])["mc"]; got != "武陵区" || r.Encoding.Name != "GB18030" {
		t.Errorf("got %q, %+v", got, r.Encoding)
	}
	if err := os.Remove(filepath.Join(dir, "k.dat")); err != nil {
		t.Fatal(err)
	}
	if _, err := convert(t, path, ""); code(err) != "mapinfo-parts" {
		t.Error(err)
	}
}

const placemarks = `<?xml version="1.0" encoding="%s"?>
<kml xmlns="http://www.opengis.net/kml/2.2"><Document><name>常德</name>
<!-- <Data name="注释"> --><description><![CDATA[<Data name="引文">]]></description>
<Folder><name>地块</name><Placemark><name>甲</name><ExtendedData><Data name="名称"><value>扩展</value></Data><Data name="name"><value>另名</value></Data><Data name="面积"><value>12.5</value></Data><Data name="fid"><value>a7</value></Data></ExtendedData><Point><coordinates>111.1,29.2,33.5</coordinates></Point></Placemark></Folder>
<Folder><name>地块</name><Placemark><name>乙</name><LineString><coordinates>111,29 112,30</coordinates></LineString></Placemark>
<Placemark><name>丙</name><MultiGeometry><LineString><coordinates>111,29 112,30</coordinates></LineString><LineString><coordinates>111,29 112,30</coordinates></LineString></MultiGeometry></Placemark></Folder>
<Folder><name>-al</name><Placemark><name>丁</name><Point><coordinates>111,29</coordinates></Point></Placemark><Placemark><name>戊</name><Polygon><outerBoundaryIs><LinearRing><coordinates>0,0 1,0 1,1 0,0</coordinates></LinearRing></outerBoundaryIs></Polygon></Placemark></Folder>
<Folder><name>空</name></Folder>
</Document></kml>`

// Names of fields and layers are kept, the encoding may be GBK, and each layer has
// the one type that takes its geometries.
func TestKML(t *testing.T) {
	t.Parallel()
	real(t)
	utf := fmt.Sprintf(placemarks, "UTF-8")
	for _, tt := range []struct{ name, content, encoding string }{
		{"UTF-8", utf, "UTF-8"},
		{"GBK", gbk(t, fmt.Sprintf(placemarks, "GBK")), "GB18030"},
		{"GB2312", gbk(t, fmt.Sprintf(placemarks, "gb2312")), "GB18030"},
		{"GBK that says UTF-8", gbk(t, utf), "GB18030"},
		{"UTF-16", inUTF16(fmt.Sprintf(placemarks, "UTF-16")), "utf-16le"},
		{"BOM", "\uFEFF" + utf, "UTF-8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := mustConvert(t, write(t, t.TempDir(), "地.kml", tt.content), "")
			if r.Encoding.Name != tt.encoding {
				t.Errorf("encoding %+v", r.Encoding)
			}
			var got []string
			for _, l := range r.Layers {
				got = append(got, fmt.Sprintf("%s < %s %s %d %s", l.Name, l.Source, l.Geometry, l.Features, l.CRS))
			}
			want := []string{"地块 < 地块 POINT 1 EPSG:4326", "地块 (#2) < 地块 (#2) MULTILINESTRING 2 EPSG:4326", "_-al < -al GEOMETRY 2 EPSG:4326"}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff([]string{"layer-empty", "layer-renamed"}, noteCodes(r)); d != "" {
				t.Error(d, r.Notes)
			}
			fields, features := rows(t, r, "地块")
			m := values(fields, features[0])
			for k, v := range map[string]any{"Name": "甲", "name_2": "另名", "名称": "扩展", "面积": "12.5", "fid": "a7"} {
				if m[k] != v {
					t.Errorf("%s is %v in %v", k, m[k], m)
				}
			}
			if c := features[0].Geom.FlatCoords(); !cmp.Equal(c, []float64{111.1, 29.2, 33.5}) {
				t.Errorf("coordinates %v", c)
			}
		})
	}
}

func inUTF16(s string) string {
	b := []byte{0xFF, 0xFE}
	for _, r := range s {
		b = append(b, byte(r), byte(r>>8))
	}
	return string(b)
}

func TestGPX(t *testing.T) {
	t.Parallel()
	real(t)
	content := `<?xml version="1.0" encoding="GBK"?><gpx version="1.1" creator="巡查" xmlns="http://www.topografix.com/GPX/1/1"><wpt lat="29" lon="111"><ele>30</ele><time>2026-01-02T03:04:05Z</time><name>界桩</name></wpt><trk><name>轨迹</name><trkseg><trkpt lat="29" lon="111"><ele>1</ele><time>2026-01-02T03:04:05Z</time></trkpt><trkpt lat="29.1" lon="111.1"><ele>2</ele></trkpt></trkseg></trk></gpx>`
	r := mustConvert(t, write(t, t.TempDir(), "x.gpx", gbk(t, content)), "")
	var names []string
	for _, l := range r.Layers {
		names = append(names, l.Name)
	}
	if d := cmp.Diff([]string{"waypoints", "tracks"}, names); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"gpx-points"}, noteCodes(r)); d != "" {
		t.Error(d)
	}
	fields, features := rows(t, r, "tracks")
	if values(fields, features[0])["name"] != "轨迹" || !cmp.Equal(features[0].Geom.FlatCoords(), []float64{111, 29, 1, 111.1, 29.1, 2}) {
		t.Errorf("track %v %v", values(fields, features[0]), features[0].Geom.FlatCoords())
	}
	fields, features = rows(t, r, "waypoints")
	m := values(fields, features[0])
	if m["name"] != "界桩" || m["ele"] != 30.0 || m["time"] != time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) {
		t.Errorf("waypoint %v", m)
	}
}

// Files made to do harm, read by the real GDAL, end as a problem or as nothing but
// their own rows.
func TestHostileFiles(t *testing.T) {
	t.Parallel()
	real(t)
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked = append(asked, r.URL.Path) }))
	secret := write(t, t.TempDir(), "secret.kml", fmt.Sprintf(placemarks, "UTF-8"))
	laughs := `<?xml version="1.0"?><!DOCTYPE kml [<!ENTITY a "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa">`
	for c := 'b'; c < 'k'; c++ {
		laughs += fmt.Sprintf(`<!ENTITY %c "%s">`, c, strings.Repeat(fmt.Sprintf("&%c;", c-1), 10))
	}
	laughs += `]><kml xmlns="http://www.opengis.net/kml/2.2"><Document><name>&j;</name></Document></kml>`
	block := "  0\nSECTION\n  2\nBLOCKS\n"
	for i := range 12 {
		block += fmt.Sprintf("  0\nBLOCK\n  8\n0\n  2\nB%d\n 10\n0\n 20\n0\n", i)
		for range 10 {
			if i == 0 {
				block += "  0\nCIRCLE\n  8\n0\n 10\n0\n 20\n0\n 40\n1\n"
			} else {
				block += fmt.Sprintf("  0\nINSERT\n  8\n0\n  2\nB%d\n 10\n0\n 20\n0\n", i-1)
			}
		}
		block += "  0\nENDBLK\n"
	}
	bomb := block + "  0\nENDSEC\n  0\nSECTION\n  2\nENTITIES\n  0\nINSERT\n  8\n0\n  2\nB11\n 10\n0\n 20\n0\n  0\nENDSEC\n  0\nEOF\n"
	for _, tt := range []struct{ name, content, want string }{
		{"laughs.kml", laughs, "gdal-failed"},
		{"bomb.dxf", bomb, "gdal-cpu gdal-memory gdal-size gdal-timeout gdal-failed"},
		{"entity.kml", `<?xml version="1.0"?><!DOCTYPE kml [<!ENTITY x SYSTEM "file://` + secret + `">]><kml xmlns="http://www.opengis.net/kml/2.2"><Document>&x;</Document></kml>`, "gdal-failed gdal-empty"},
		{"link.kml", `<kml xmlns="http://www.opengis.net/kml/2.2"><Document><NetworkLink><Link><href>` + server.URL + `/a.kml</href></Link></NetworkLink></Document></kml>`, "gdal-failed gdal-empty"},
		{"schema.gml", `<?xml version="1.0"?><ogr:FeatureCollection xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="http://a ` + server.URL + `/a.xsd" xmlns:ogr="http://a" xmlns:gml="http://www.opengis.net/gml"><gml:featureMember xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="` + server.URL + `/b.gml"/></ogr:FeatureCollection>`, "gdal-failed gdal-empty"},
		{"vrt.gml", `<OGRVRTDataSource><OGRVRTLayer name="x"><SrcDataSource>` + secret + `</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>`, "gdal-failed"},
		{"curl.tab", "!table\n!version 300\n!charset Neutral\n\nDefinition Table\n  Type LINKED Charset \"Neutral\"\n  Fields 1\n    a Char (10) ;\nbegin_metadata\n\"\\TABLE\" = \"" + server.URL + "\"\nend_metadata\n", "mapinfo-parts gdal-failed"},
		{"cut.fgb", "fgb\x03fgb\x00\xff\xff\x00\x00", "gdal-failed gdal-empty"},
		{"big.fgb", "fgb\x03fgb\x00\xff\xff\xff\x7f" + strings.Repeat("\xff", 1000), "gdal-failed gdal-empty"},
		{"cut.kml", fmt.Sprintf(placemarks, "UTF-8")[:900], "gdal-failed gdal-empty"},
		{"cut.kmz", zipMember + strings.Repeat("\x00", 100), "gdal-failed"},
		{"empty.dxf", "0\nSECTION\n2\nENTITIES\n0\nENDSEC\n0\nEOF\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tool := real(t)
			dir := t.TempDir()
			path := write(t, dir, tt.name, tt.content)
			f, ok := Recognise(path)
			if !ok {
				t.Fatal("not recognised")
			}
			r, err := tool.Convert(t.Context(), Source{Path: path, Dir: dir, Format: f}, filepath.Join(t.TempDir(), "x.gpkg"), Limits{CPU: 5 * time.Second, Time: 20 * time.Second, Memory: 1 << 30, Size: 64 << 20})
			if err == nil && tt.want == "" {
				return
			}
			if err == nil || code(err) == "" || !strings.Contains(tt.want, code(err)) {
				t.Errorf("got %+v, %v", r, err)
				return
			}
			if strings.Contains(err.Error(), dir) || strings.Contains(err.Error(), filepath.Dir(secret)) {
				t.Errorf("the message tells where things are: %v", err)
			}
			t.Log(err)
		})
	}
	t.Cleanup(func() {
		server.Close()
		if len(asked) > 0 {
			t.Errorf("the network was asked for %v", asked)
		}
	})
}

// The layers of the lock hold one by one, and the deeds are real: without the lock
// they succeed.
func TestEachLayerAlone(t *testing.T) {
	t.Parallel()
	whole := evilTool(t).sandbox
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tcp.Close() })
	secret := write(t, t.TempDir(), "secret", "x")
	for _, tt := range []struct {
		name    string
		sandbox Sandbox
		deed    []string
		refused bool
	}{
		{"none", Sandbox{}, []string{"read", secret}, false},
		{"none", Sandbox{}, []string{"chmod", secret}, false},
		{"none", Sandbox{}, []string{"connect", "tcp", tcp.Addr().String()}, false},
		{"none", Sandbox{}, []string{"fork"}, false},
		{"none", Sandbox{}, []string{"kill"}, false},
		{"none", Sandbox{}, []string{"limit"}, false},
		{"landlock", Sandbox{Landlock: whole.Landlock}, []string{"read", secret}, true},
		{"landlock", Sandbox{Landlock: whole.Landlock}, []string{"connect", "tcp", tcp.Addr().String()}, whole.Landlock >= 4},
		{"landlock", Sandbox{Landlock: whole.Landlock}, []string{"kill"}, whole.Landlock >= 6},
		{"namespace", Sandbox{Namespace: true}, []string{"connect", "tcp", tcp.Addr().String()}, true},
		{"filter", Sandbox{Filter: true}, []string{"connect", "tcp", tcp.Addr().String()}, true},
		{"filter", Sandbox{Filter: true}, []string{"fork"}, true},
		{"filter", Sandbox{Filter: true}, []string{"kill"}, true},
		{"filter", Sandbox{Filter: true}, []string{"limit"}, true},
	} {
		t.Run(tt.name+" "+tt.deed[0], func(t *testing.T) {
			t.Parallel()
			if tt.sandbox.Namespace && !whole.Namespace || tt.sandbox.Filter && !whole.Filter {
				t.Skip("this machine has no such layer")
			}
			tool := *evilTool(t)
			tool.sandbox, tool.weak = tt.sandbox, true
			dir, out := t.TempDir(), t.TempDir()
			path := write(t, dir, "evil.fgb", "fgb\x03fgb\x00"+strings.Join(tt.deed, " "))
			_, err := tool.Convert(t.Context(), Source{Path: path, Dir: dir, Format: format(FlatGeobuf)}, filepath.Join(out, "x.gpkg"), Limits{Processes: 100})
			if err == nil || strings.Contains(err.Error(), "refused") != tt.refused || strings.Contains(err.Error(), "it was possible") == tt.refused {
				t.Errorf("got %v", err)
			}
			tool.weak = false
			if tt.sandbox.Landlock == 0 {
				if _, err := tool.Convert(t.Context(), Source{Path: path, Dir: dir, Format: format(FlatGeobuf)}, filepath.Join(out, "x.gpkg"), Limits{}); code(err) != "gdal-sandbox" {
					t.Errorf("without Landlock: %v", err)
				}
			}
		})
	}
}

func TestRecognise(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "a.gdb"), 0o700); err != nil {
		t.Fatal(err)
	}
	if f, ok := Recognise(filepath.Join(dir, "a.gdb")); ok {
		t.Errorf("an empty folder is %v", f)
	}
	write(t, filepath.Join(dir, "a.gdb"), "a00000001.gdbtable", "")
	if f, ok := Recognise(filepath.Join(dir, "a.gdb")); !ok || f.Name != FileGDB {
		t.Errorf("a geodatabase is %v", f)
	}
	for _, tt := range []struct{ name, content, want string }{
		{"a.DXF", "999\r\nby hand\r\n  0\r\nSECTION\r\n", DXF},
		{"a.dxf", "  0\nLINE\n", ""},
		{"a.dxf", binaryDXF + "\r\n\x1a\x00", DXF},
		{"a.dwg", "AC1018", DWG},
		{"a.tab", "!Table\n", TAB},
		{"a.tab", "name\tvalue\n", ""},
		{"a.mif", "VERSION 300\n", MIF},
		{"a.mid", "1,2\n", ""},
		{"a.kml", "\uFEFF<?xml version='1.0'?>\n<!-- <gpx> --><k:kml>", KML},
		{"a.kml", inUTF16("<kml>"), KML},
		{"a.kml", zipMember, KMZ},
		{"a.kmz", zipMember, KMZ},
		{"a.kml", "<!DOCTYPE kml [<!ENTITY a '<b>'>]><kml>", KML},
		{"a.kml", "<!DOCTYPE kml [<kml>", ""},
		{"a.kml", "<html>", ""},
		{"a.gpx", "<!DOCTYPE gpx><gpx/>", GPX},
		{"a.gml", "<x/>", GML},
		{"a.xml", "<x/>", ""},
		{"a.xml", `<x xmlns:gml="http://www.opengis.net/gml/3.2">`, GML},
		{"a.gml", "<kml>", ""},
		{"a.fgb", "fgb\x03fgb\x00\x01", FlatGeobuf},
		{"a.fgb", "fgb", ""},
		{"a.txt", "fgb\x03fgb\x00\x01", ""},
		{"a.zip", zipMember + strings.Repeat("\x00", 22) + "\x09\x00\x00\x00x.gdb/a/b", FileGDB},
		{"a.zip", zipMember + strings.Repeat("\x00", 22) + "\x0c\x00\x00\x00../x.gdb/a/b", ""},
		{"a.zip", zipMember + strings.Repeat("\x00", 22) + "\xff\xff\x00\x00x.gdb/a/b", ""},
		{"a.kml", "", ""},
	} {
		f, ok := Recognise(write(t, dir, tt.name, tt.content))
		if f.Name != tt.want || ok != (tt.want != "") {
			t.Errorf("%s %.30q is %q", tt.name, tt.content, f.Name)
		}
	}
}

func FuzzRecognise(f *testing.F) {
	for _, s := range []string{"<kml>", "999\n\n0\nSECTION", zipMember, "\xff\xfe<\x00", "!table", "<?xml?><!---->"} {
		f.Add(".kml", []byte(s))
		f.Add(".xml", []byte(s))
	}
	f.Add(".zip", []byte(zipMember+strings.Repeat("\x00", 22)+"\x09\x00\x00\x00x.gdb/a/b"))
	f.Fuzz(func(t *testing.T, ext string, head []byte) {
		name := recogniseHead(ext, head)
		if name != "" && format(name).Name == "" {
			t.Errorf("%q is no format", name)
		}
	})
}

func FuzzInfo(f *testing.F) {
	f.Add("Layer name: x\nGeometry: None\nLayer SRS WKT:\n(unknown)\na: String (0.0), alternative name=\"b\", domain name=c\n")
	f.Add("Layer name: \nLayer SRS WKT:\nGEOGCRS[\"x\",\n    ID[\"EPSG\",4490]]\nFeature Count: 99999999999999999999\n")
	f.Fuzz(func(t *testing.T, s string) {
		for _, l := range parseInfo(s) {
			if l.crs(); len(l.fields) > maxFields {
				t.Error("too many fields")
			}
			taken := map[string]bool{}
			if name := tableName(l.name, taken); name == "" || strings.ContainsRune(refusedFirst, rune(name[0])) || !utf8.ValidString(name) {
				t.Errorf("table %q", name)
			}
		}
		parseDomain("x", s)
		parseRows(s)
		job{}.words([]byte(s))
	})
}

// What the edits of text make of any input stays UTF-8, and a KML without Data
// elements stays as it is.
func FuzzText(f *testing.F) {
	f.Add([]byte(fmt.Sprintf(placemarks, "UTF-8")))
	f.Add([]byte(`<Data name='中"文'/><Data name="x<`))
	f.Add([]byte("\\U+4E00\\U+D83D\\U+DE00 \\M+5CEE4 \\M+9FFFF\n"))
	f.Add([]byte("\xb5\xd8\\U+56FD\x81\x30\x81\x30"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var s survey
		s.Write(b)
		s.end()
		if _, err := decide("", "936", "", &s); err != nil {
			t.Error(err)
		}
		if (s.badRunes == 0) != utf8.Valid(b) {
			t.Errorf("%d bad characters, valid %v", s.badRunes, utf8.Valid(b))
		}
		for _, edit := range []func(*bufio.Writer, *bytes.Reader) error{
			func(w *bufio.Writer, r *bytes.Reader) error { return copyDXF(w, decoded(r, gb18030Name)) },
			func(w *bufio.Writer, r *bytes.Reader) error { return new(conversion).copyKML(w, decoded(r, utf8Name)) },
		} {
			var out bytes.Buffer
			w := bufio.NewWriter(&out)
			if err := edit(w, bytes.NewReader(b)); err != nil {
				t.Error(err)
			}
			if err := w.Flush(); err != nil || !utf8.Valid(out.Bytes()) {
				t.Errorf("not UTF-8: %q", out.Bytes())
			}
		}
	})
}
