package style

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"changde/catalog"
	"changde/ingest/layer"
	"changde/ingest/profile"
)

// sprites is where the tests say that icons are.
const sprites = "http://127.0.0.1/sprites"

func builtin(t *testing.T) *Book {
	t.Helper()
	b, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// dataset makes a dataset whose label and class are columns of its release, and
// more columns.
func dataset(id, geometry, label, class string, more ...string) *catalog.Dataset {
	r := &catalog.Release{Number: 1, GeometryType: geometry, Rows: 10, Extent: &catalog.Bounds{111, 28, 112, 30}}
	for _, name := range append([]string{label, class}, more...) {
		if name != "" {
			r.Columns = append(r.Columns, catalog.Column{Name: name, Type: layer.Text})
		}
	}
	return &catalog.Dataset{ID: id, TitleZH: id + "题", TitleEN: id, Label: label, Class: class, Current: r, Revision: 7}
}

func drawn(d *catalog.Dataset, classes ...string) Drawn {
	return Drawn{Dataset: d, Tiles: "http://127.0.0.1/collections/" + d.ID + "/tiles/WebMercatorQuad/{z}/{y}/{x}?rev=7", MinZoom: 3, MaxZoom: 18, Classes: classes}
}

// ofProfiles has a dataset of every built-in layer standard.
func ofProfiles(t *testing.T) []Drawn {
	t.Helper()
	lib, err := profile.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	var out []Drawn
	for _, p := range lib.Profiles() {
		d := dataset(p.ID, p.Geometry, p.Label, p.Class)
		d.Profile = p.ID
		out = append(out, drawn(d))
	}
	return out
}

// ofCity has the datasets of the sample city as they are declared.
func ofCity() []Drawn {
	parcels := dataset("dltb", "MultiPolygon", "DLMC", "DLBM", "BSM")
	parcels.Profile = "dltb-3"
	out := []Drawn{
		drawn(dataset("xzq", "MultiPolygon", "XZQMC", "XZQMC")), drawn(dataset("places", "Point", "name_zh", "fcode")),
		drawn(dataset("rivers", "MultiLineString", "", "level")), drawn(dataset("lakes", "MultiPolygon", "", "level")),
		drawn(dataset("roads", "MultiLineString", "name", "class")), drawn(parcels),
		drawn(dataset("buildings", "MultiPolygon", "名称", "用途")), drawn(dataset("planning", "MultiPolygon", "YDXZMC", "YDXZDM")),
		drawn(dataset("projects", "Point", "name_zh", "category")), drawn(dataset("assets", "Geometry", "name", "type")),
	}
	for _, id := range []string{"server_rooms", "cabinets", "fibre_lines", "network_nodes", "cameras", "service_terminals"} {
		out = append(out, drawn(dataset(id, "Geometry", "name", "subtype")))
	}
	return out
}

// whatever are datasets that nobody foresaw.
func whatever() []Drawn {
	return []Drawn{
		drawn(dataset("soil", "MultiPolygon", "", "土种"), "黄壤", "红壤", `"quoted"`), drawn(dataset("bare", "Geometry", "", "")),
		drawn(dataset("generalized", "MultiLineString", "generalized", "generalized_")), drawn(dataset("marked", "MultiPolygon", "n", "k", "generalized")),
		drawn(dataset("unknown", "MultiPolygon", "n", "k")),
	}
}

func find(t *testing.T, s *Style, id string) Layer {
	t.Helper()
	i := slices.IndexFunc(s.Layers, func(l Layer) bool { return l.ID == id })
	if i < 0 {
		t.Fatalf("no layer %s in %v", id, s.Layers)
	}
	return s.Layers[i]
}

func encoded(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestEveryProfileHasATheme(t *testing.T) {
	t.Parallel()
	b := builtin(t)
	known := map[string]bool{}
	for _, d := range ofProfiles(t) {
		known[d.Dataset.Profile] = true
		if b.themeOf(d.Dataset) == nil {
			t.Errorf("the standard %s is drawn by no theme", d.Dataset.Profile)
		}
	}
	for _, theme := range b.themes {
		for _, id := range theme.Profiles {
			if !known[id] {
				t.Errorf("a theme is of the standard %s, which there is not", id)
			}
		}
	}
}

func TestPalettesCoverTheirCodeTables(t *testing.T) {
	t.Parallel()
	b := builtin(t)
	lib, err := profile.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	byID := map[string]*palette{}
	for _, theme := range b.themes {
		byID[theme.Palette] = theme.palette
	}
	for table, id := range map[string]string{
		"survey-2": "survey", "survey-3": "survey", "gbt21010-2007": "survey", "gbt21010-2017": "survey", "plan-2023": "plan-2023", "gb50137-2011": "gb50137",
	} {
		codes, ok := lib.Codes(table)
		if !ok || byID[id] == nil {
			t.Fatalf("no table %s or no palette %s", table, id)
		}
		for code := range codes.Each() {
			if !slices.ContainsFunc(byID[id].Classes, func(c Class) bool {
				return slices.ContainsFunc(c.Codes, func(prefix string) bool { return strings.HasPrefix(code.Code, prefix) })
			}) {
				t.Errorf("palette %s has no colour for %s %s of %s", id, code.Code, code.Name, table)
			}
		}
	}
}

func TestThemeIsByProfileThenIdThenField(t *testing.T) {
	t.Parallel()
	b := builtin(t)
	roadsByName := dataset("roads", "MultiLineString", "n", "DLBM")
	byProfile := dataset("roads", "MultiPolygon", "n", "k")
	byProfile.Profile = "dltb-3"
	gone := dataset("old", "MultiPolygon", "n", "k")
	gone.Class = "DLBM" // the release lacks it
	for _, c := range []struct {
		d    *catalog.Dataset
		want string
	}{
		{byProfile, "areas"},
		{roadsByName, "roads"},
		{dataset("parcels_2020", "MultiPolygon", "n", "dlbm"), "areas"},
		{dataset("future", "MultiPolygon", "n", "YDYHFLDM"), "plan"},
		{gone, ""},
		{dataset("soil", "MultiPolygon", "n", "k"), ""},
	} {
		got := ""
		if theme := b.themeOf(c.d); theme != nil {
			got = theme.Manner
		}
		if got != c.want {
			t.Errorf("%s of %q with class %s: %q, want %q", c.d.ID, c.d.Profile, c.d.Class, got, c.want)
		}
		if foreseen := b.Foreseen(c.d); foreseen != (c.want != "" || c.d == gone) {
			t.Errorf("%s foreseen: %t", c.d.ID, foreseen)
		}
	}
}

func TestWhatWasGatheredHasNoOutlineAndNoName(t *testing.T) {
	t.Parallel()
	b := builtin(t)
	s := b.Make("x", slices.Concat(ofCity(), whatever()), false, nil, sprites)
	for id, want := range map[string]string{
		"dltb:fill": `["==",["geometry-type"],"Polygon"]`, "dltb:edge": `["all",["==",["geometry-type"],"Polygon"],["!",["has","generalized"]]]`,
		"dltb:names": `["!",["has","generalized"]]`, "soil:edge": `["all",["==",["geometry-type"],"Polygon"],["!",["has","generalized"]]]`,
		"generalized:names": `["!",["has","generalized__"]]`,
	} {
		if got := encoded(t, find(t, s, id).Filter); got != want {
			t.Errorf("%s: filter %s, want %s", id, got, want)
		}
	}
	// Here the mark is also a column, which every feature has from zoom 14 on.
	if l := find(t, s, "marked:edge"); l.MinZoom != 14 || strings.Contains(encoded(t, l.Filter), "has") {
		t.Errorf("outlines begin at %v with the filter %s", l.MinZoom, encoded(t, l.Filter))
	}
}

func TestNothingIsAskedOfOthers(t *testing.T) {
	t.Parallel()
	s := builtin(t).Make("x", slices.Concat(ofCity(), whatever(), ofProfiles(t)), true, nil, sprites)
	text := encoded(t, s)
	for _, word := range []string{`"glyphs"`, "text-font"} {
		if strings.Contains(text, word) {
			t.Errorf("the style has %s", word)
		}
	}
	if n := strings.Count(text, "http://127.0.0.1/"); n != len(s.Sources)+1 || n != strings.Count(text, "://") {
		t.Errorf("%d addresses for %d sources and the sprite", n, len(s.Sources))
	}
}

func TestOrderOfTheCity(t *testing.T) {
	t.Parallel()
	b := builtin(t)
	s := b.Make("x", slices.Concat(ofCity(), whatever()), true, &catalog.Bounds{111.3, 28.8, 112.0, 29.3}, sprites)
	at := func(id string) int { return slices.IndexFunc(s.Layers, func(l Layer) bool { return l.ID == id }) }
	order := []string{"paper", "xzq:fill", "dltb:fill", "planning:fill", "lakes:fill", "buildings:fill", "roads:casing", "roads:line", "xzq:line", "places:dot", "cameras:point", "cameras:icon", "dltb:names", "roads:names", "places:names", "xzq:names"}
	for i, id := range order {
		if at(id) < 0 || i > 0 && at(id) < at(order[i-1]) {
			t.Errorf("%s is not above what comes before it: %v", id, s.Layers)
		}
		if i > 0 && find(t, s, id).Metadata.Order < find(t, s, order[i-1]).Metadata.Order {
			t.Errorf("%s says that it is not above %s", id, order[i-1])
		}
	}
	for id, want := range map[string]any{"planning:fill": "none", "soil:under": "none", "bare:point": nil, "dltb:fill": nil, "roads:line": nil} {
		if got := find(t, s, id).Layout["visibility"]; got != want {
			t.Errorf("%s: visibility %v, want %v", id, got, want)
		}
	}
	if l := find(t, s, "cameras:point"); l.MinZoom != 11 {
		t.Errorf("the city has cameras from zoom %v", l.MinZoom)
	}
	if l := find(t, s, "cameras:icon"); l.MinZoom != 12.5 {
		t.Errorf("the city has icons of cameras from zoom %v", l.MinZoom)
	}
	if s.Center == nil || *s.Center != [2]float64{111.65, 29.05} || s.Zoom < 9 || s.Zoom > 11 {
		t.Errorf("the map begins at %v, zoom %v", s.Center, s.Zoom)
	}
	// What is hidden in one style is not in the next.
	again := b.Make("x", slices.Concat(ofCity(), whatever()), false, nil, sprites)
	for _, l := range again.Layers {
		if l.Layout["visibility"] != nil || l.ID == "cameras:point" && l.MinZoom != 0 {
			t.Errorf("%s is hidden where it was asked for", l)
		}
	}
}

func TestLegends(t *testing.T) {
	t.Parallel()
	s := builtin(t).Make("x", slices.Concat(ofCity(), whatever()), false, nil, sprites)
	legend := s.Metadata.Legends["dltb"]
	if legend.Column != "DLBM" || legend.Match != "prefix" || legend.Classes[0].ZH != "耕地" || !strings.Contains(legend.Source, "制图规范") {
		t.Errorf("legend of dltb: %+v", legend)
	}
	fill := encoded(t, find(t, s, "dltb:fill").Paint)
	for _, c := range legend.Classes {
		if !strings.Contains(fill, `"`+c.Color+`"`) {
			t.Errorf("%s is %s in the legend alone", c.ZH, c.Color)
		}
	}
	soil := s.Metadata.Legends["soil"].Classes
	if len(soil) != 4 || soil[0].ZH != "黄壤" || soil[3].ZH != "其他" {
		t.Errorf("legend of soil: %+v", soil)
	}
	if l := s.Metadata.Legends["bare"]; l.Classes != nil || l.Icon != "" || len(l.Color) != 7 {
		t.Errorf("legend of one colour: %+v", l)
	}
	if l := s.Metadata.Legends["cameras"]; l.Classes != nil || l.Icon != "camera" || l.Color != "#4a4e69" {
		t.Errorf("legend of one icon: %+v", l)
	}
	if l := s.Metadata.Legends["assets"]; l.Icon != "" || l.Color != "" || l.Classes[0].Icon != "server-room" {
		t.Errorf("legend of icons by class: %+v", l)
	}
}

func TestSameNameSameColour(t *testing.T) {
	t.Parallel()
	b := builtin(t)
	one, two := b.any.of([]string{"红壤", "黄壤"}), b.any.of([]string{"水稻土", "红壤"})
	if one.Classes[0].Color != two.Classes[1].Color {
		t.Errorf("红壤 is %s and %s", one.Classes[0].Color, two.Classes[1].Color)
	}
	colors := map[string]bool{}
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		colors[b.any.hue(name)] = true
	}
	if len(colors) < 4 {
		t.Errorf("eight names have %d colours", len(colors))
	}
}

func TestMix(t *testing.T) {
	t.Parallel()
	for share, want := range map[float64]string{1: "#ff0080", 0: "#000000", 0.5: "#800040"} {
		if got := mix("#ff0080", "#000000", share); got != want {
			t.Errorf("%v: %s, want %s", share, got, want)
		}
	}
}

func TestFaultyBooksAreRefused(t *testing.T) {
	t.Parallel()
	const dot = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 18 18"><circle cx="9" cy="9" r="4" fill="#ffffff"/></svg>`
	const anyPalette = `{"id":"any","match":"value","hues":["#112233"],"classes":[],"other":{"zh":"其他","en":"Other","color":"#112233"}}`
	table := func(match, codes, color string) string {
		return `{"id":"p","match":"` + match + `","classes":[{"codes":[` + codes + `],"zh":"甲","en":"A","color":"` + color + `"}],"other":{"zh":"乙","en":"B","color":"#112233"}}`
	}
	good := table("prefix", `"1"`, "#112233")
	for name, c := range map[string]struct{ palette, themes, want string }{
		"good":            {good, `[{"manner":"areas","palette":"p","profiles":["x"]},{"manner":"assets","color":"#112233","icon":"dot"}]`, ""},
		"no such icon":    {good, `[{"manner":"assets","color":"#112233","icon":"dash"}]`, `no icon "dash"`},
		"icon of a class": {strings.Replace(good, `"en":"A"`, `"en":"A","icon":"dash"`, 1), `[]`, `palette p: there is no icon "dash"`},
		"unused icon":     {good, `[]`, "the icon dot"},
		"icon and table":  {good, `[{"manner":"assets","palette":"p","icon":"dot"}]`, "icons are those of palette p"},
		"colour":          {table("prefix", `"1"`, "red"), `[]`, "class 0"},
		"twice":           {table("prefix", `"1","1"`, "#112233"), `[]`, `"1"`},
		"match":           {table("regex", `"1"`, "#112233"), `[]`, `"regex"`},
		"Chinese prefix":  {table("prefix", `"水"`, "#112233"), `[]`, `"水"`},
		"lower prefix":    {table("prefix", `"r"`, "#112233"), `[]`, `"r"`},
		"upper part":      {table("part", `"Trunk"`, "#112233"), `[]`, `"Trunk"`},
		"member":          {`{"id":"p","colour":"x"}`, `[]`, "colour"},
		"file":            {strings.Replace(good, `"p"`, `"q"`, 1), `[]`, "holds the palette q"},
		"manner":          {good, `[{"manner":"pretty","palette":"p"}]`, `"pretty"`},
		"palette":         {good, `[{"manner":"areas","palette":"none"}]`, "no palette none"},
		"both":            {good, `[{"manner":"areas","palette":"p","color":"#112233"}]`, "needs a palette or a colour"},
		"two themes":      {good, `[{"manner":"areas","palette":"p","profiles":["x"]},{"manner":"plan","palette":"p","profiles":["x"]}]`, "in two themes"},
		"no theme colour": {good, `[{"manner":"areas","color":"red"}]`, `"red"`},
	} {
		_, err := load(fstest.MapFS{
			"palettes/any.json": {Data: []byte(anyPalette)}, "palettes/p.json": {Data: []byte(c.palette)}, "themes.json": {Data: []byte(c.themes)}, "icons/dot.svg": {Data: []byte(dot)},
		})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := load(fstest.MapFS{"palettes/p.json": {Data: []byte(good)}, "themes.json": {Data: []byte("[]")}}); err == nil {
		t.Error("a book without the palette any")
	}
}
