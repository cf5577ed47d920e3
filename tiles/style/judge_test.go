package style

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// ask is a question about a style: what a layer's property is for a feature.
type ask struct {
	Style      string         `json:"style"`
	Layer      string         `json:"layer"`
	Key        string         `json:"key"`
	Properties map[string]any `json:"properties"`
	Zoom       float64        `json:"zoom"`
}

// judge asks the validator and the expressions of MapLibre.
func judge(t *testing.T, styles map[string]*Style, asks []ask) (faults map[string][]string, answers []any) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("needs node: Node 20")
	}
	module, err := filepath.Abs("../../web/node_modules/@maplibre/maplibre-gl-style-spec/dist/index.mjs")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(module); err != nil {
		t.Skip("needs the npm package @maplibre/maplibre-gl-style-spec: npm ci in web")
	}
	if asks == nil {
		asks = []ask{}
	}
	in, err := json.Marshal(map[string]any{"styles": styles, "asks": asks})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, "testdata/judge.mjs", module)
	cmd.Stdin = bytes.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, stderr.String())
	}
	var verdict struct {
		Faults  map[string][]string
		Answers []any
	}
	if err := json.Unmarshal(out, &verdict); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return verdict.Faults, verdict.Answers
}

func TestStylesAreValid(t *testing.T) {
	t.Parallel()
	b := builtin(t)
	styles := map[string]*Style{
		"city": b.Make("city", ofCity(), true, nil, sprites), "profiles": b.Make("profiles", ofProfiles(t), false, nil, sprites), "nothing": b.Make("nothing", nil, true, nil, sprites),
	}
	for _, d := range slices.Concat(ofCity(), ofProfiles(t), whatever()) {
		styles[d.Dataset.ID] = b.Make(d.Dataset.TitleZH, []Drawn{d}, false, nil, sprites)
		bare := *d.Dataset
		bare.Label, bare.Class = "", ""
		styles[d.Dataset.ID+" bare"] = b.Make(bare.TitleZH, []Drawn{{Dataset: &bare, Tiles: d.Tiles, MaxZoom: 18}}, false, nil, sprites)
	}
	styles["control"] = &Style{Version: 8, Sources: map[string]Source{}, Layers: []Layer{{ID: "a", Type: "fill", Source: "none", Paint: map[string]any{"fill-color": "mauvish"}}}}
	faults, _ := judge(t, styles, nil)
	if len(faults) != len(styles) || len(faults["control"]) == 0 {
		t.Fatalf("%d of %d styles judged, a faulty one: %v", len(faults), len(styles), faults["control"])
	}
	delete(faults, "control")
	for name, found := range faults {
		for _, fault := range found {
			t.Errorf("%s: %s", name, fault)
		}
	}
}

func TestFeaturesAreDrawnByTheirClass(t *testing.T) {
	t.Parallel()
	b := builtin(t)
	standards := b.Make("profiles", ofProfiles(t), false, nil, sprites)
	styles := map[string]*Style{
		"city": b.Make("city", ofCity(), false, nil, sprites), "profiles": standards,
		"parts": b.Make("parts", []Drawn{drawn(dataset("parts", "Point", "", "部件名称"))}, false, nil, sprites),
		"soil":  b.Make("soil", []Drawn{drawn(dataset("soil", "MultiPolygon", "", "土种"), "黄壤", "红壤")}, false, nil, sprites),
	}
	classes := func(style, id, zh string) string {
		t.Helper()
		for _, c := range styles[style].Metadata.Legends[id].Classes {
			if c.ZH == zh {
				return c.Color
			}
		}
		t.Fatalf("%s has no class %s", id, zh)
		return ""
	}
	type fields = map[string]any
	var asks []ask
	var want []any
	add := func(style, layer, key string, properties fields, zoom float64, answer any) {
		asks, want = append(asks, ask{style, layer, key, properties, zoom}), append(want, answer)
	}
	for _, c := range []struct{ style, id, field, value, class string }{
		{"city", "dltb", "DLBM", "0101", "耕地"},
		{"city", "dltb", "DLBM", "0301K", "林地"},
		{"city", "dltb", "DLBM", "05H1", "商业服务业用地"},
		{"city", "dltb", "DLBM", "0508", "仓储用地"},
		{"city", "dltb", "DLBM", "0810a", "广场用地"},
		{"city", "dltb", "DLBM", "0306", "湿地"},
		{"city", "dltb", "DLBM", "1202", "设施农用地"},
		{"city", "dltb", "DLBM", "99", "未分类"},
		{"profiles", "dltb-2", "DLBM", "203", "农村宅基地"},
		{"profiles", "dltb-2", "DLBM", "204", "采矿用地"},
		{"profiles", "zd", "DLBM", "0803", "科教文卫用地"},
		{"city", "planning", "YDXZDM", "R2", "居住用地"},
		{"city", "planning", "YDXZDM", "A35", "科研用地"},
		{"city", "planning", "YDXZDM", "E1", "水域"},
		{"city", "planning", "YDXZDM", "E2", "农林用地"},
		{"city", "planning", "YDXZDM", "G3", "广场用地"},
		{"profiles", "pl-parcel", "YDDM", "U1", "公用设施用地"},
		{"soil", "soil", "土种", "红壤", "红壤"},
		{"soil", "soil", "土种", "未见", "其他"},
	} {
		add(c.style, c.id+":fill", "fill-color", fields{c.field: c.value}, 10, rgba(classes(c.style, c.id, c.class)))
	}
	add("city", "dltb:fill", "fill-color", fields{"DLBM": "0101", "generalized": 40}, 8, rgba(classes("city", "dltb", "耕地")))
	add("city", "dltb:fill", "fill-color", fields{}, 10, rgba(classes("city", "dltb", "未分类")))
	add("city", "rivers:line", "line-width", fields{"level": 1}, 10, 2.4)
	add("city", "rivers:line", "line-width", fields{"level": 4}, 10, 0.96)
	add("profiles", "hydl:line", "line-width", fields{"GB": "2102001"}, 10, 1.12)
	add("city", "roads:line", "line-color", fields{"class": "Trunk"}, 10, rgba(classes("city", "roads", "国道、快速路")))
	add("profiles", "lrdl:line", "line-color", fields{"GB": "420201"}, 10, rgba(classes("profiles", "lrdl", "省道")))
	add("city", "roads:line", "filter", fields{"class": "trunk"}, 9, true)
	add("city", "roads:line", "filter", fields{"class": "track"}, 9, false)
	add("city", "roads:line", "filter", fields{"class": "track"}, 12, true)
	add("city", "places:names", "filter", fields{"fcode": "PPLA4"}, 8, false)
	add("city", "places:names", "text-size", fields{"fcode": "PPLA3"}, 13, 15.0)
	add("city", "dltb:edge", "filter", fields{"DLBM": "0101"}, 13, true)
	add("city", "dltb:edge", "filter", fields{"DLBM": "0101", "generalized": 40}, 13, false)
	add("city", "dltb:fill", "filter", fields{"DLBM": "0101", "generalized": 40}, 8, true)
	add("city", "cameras:icon", "icon-image", fields{"subtype": "球机"}, 14, "camera")
	add("city", "assets:icon", "icon-image", fields{"type": "base_station"}, 14, "base-station")
	add("city", "assets:icon", "icon-image", fields{"type": "building"}, 14, "asset")
	add("city", "places:dot", "icon-image", fields{"fcode": "PPLA3"}, 14, "seat-county")
	add("profiles", "agnp:dot", "icon-image", fields{"CLASS": "CA"}, 14, "government")
	add("parts", "parts:icon", "icon-image", fields{"部件名称": "上水井盖"}, 14, "manhole")
	add("parts", "parts:icon", "icon-image", fields{"部件名称": "交通信号灯"}, 14, "signal")
	add("parts", "parts:icon", "icon-image", fields{}, 14, "asset")
	_, answers := judge(t, styles, asks)
	for i, got := range answers {
		if c, ok := got.(map[string]any); ok && c["name"] != nil {
			got = c["name"] // of an image
		} else if ok {
			got = fmt.Sprintf("%.4f %.4f %.4f", c["r"], c["g"], c["b"])
		}
		if f, ok := got.(float64); ok {
			got = float64(int(f*1e6+0.5)) / 1e6
		}
		if got != want[i] {
			t.Errorf("%+v: %v, want %v", asks[i], got, want[i])
		}
	}
	if len(answers) != len(asks) {
		t.Errorf("%d answers to %d questions", len(answers), len(asks))
	}
}

// rgba is a colour as the expressions of MapLibre give it.
func rgba(hex string) string {
	var r, g, b int
	_, _ = fmt.Sscanf(hex, "#%02x%02x%02x", &r, &g, &b)
	return fmt.Sprintf("%.4f %.4f %.4f", float64(r)/255, float64(g)/255, float64(b)/255)
}
