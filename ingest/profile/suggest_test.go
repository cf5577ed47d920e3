package profile

import (
	"strings"
	"testing"

	"changde/ingest/layer"
)

func fieldsOf(p *Profile, chinese bool) []layer.Field {
	var fields []layer.Field
	for _, f := range p.Fields {
		name := f.Name
		if chinese && f.Alias != "" {
			name = f.Alias
		}
		fields = append(fields, layer.Field{Name: name, Type: f.Type})
	}
	return fields
}

func TestSuggest(t *testing.T) {
	t.Parallel()
	lib := builtin(t)
	of := func(id string) []layer.Field {
		p, ok := lib.Profile(id)
		if !ok {
			t.Fatalf("no profile %s", id)
		}
		return fieldsOf(p, false)
	}
	tests := []struct {
		layer, geometry string
		fields          []layer.Field
		want            string // the best, empty for none
	}{
		{"DLTB", "MultiPolygon", of("dltb-3"), "dltb-3"},
		{"DLTB", "Polygon", of("dltb-2"), "dltb-2"},
		{"dltb_2023", "", of("dltb-3"), "dltb-3"},
		{"430702DLTB", "Polygon", of("dltb-3"), "dltb-3"},
		{"常德市地类图斑2023", "Polygon", of("dltb-3"), "dltb-3"},
		{"图层1", "Polygon", of("dltb-3"), "dltb-3"}, // by its fields alone
		{"DLTB", "Polygon", nil, "dltb-2"},         // by its name alone: both, in the order of ids
		{"dltb_2023", "Polygon", nil, "dltb-2"},
		{"430702DLTB", "Polygon", nil, "dltb-2"},
		{"2023年常德市地类图斑_1", "Polygon", nil, "dltb-2"},
		{"PL-PARCEL 2023", "Polygon", nil, "pl-parcel"},
		{"DLTBGX", "Polygon", nil, ""},
		{"XZQ", "Polygon", of("xzq-3"), "xzq-3"},
		{"XZQ", "Polygon", of("xzq-2"), "xzq-2"},
		{"BOUA", "Polygon", of("boua"), "boua"},
		{"HYDL", "LineString", of("hydl"), "hydl"},
		{"HYDA", "Polygon", of("hyda"), "hyda"},
		{"LRDL", "MultiLineString", of("lrdl"), "lrdl"},
		{"RESA", "Polygon", of("resa"), "resa"},
		{"AGNP", "Point", of("agnp"), "agnp"},
		{"宗地", "Polygon", of("zd"), "zd"},
		{"PL_PARCEL", "Polygon", of("pl-parcel"), "pl-parcel"},
		{"紫线", "Polygon", of("pl-purple-line"), "pl-purple-line"},
		{"道路红线", "LineString", of("pl-red-line"), "pl-red-line"},
		{"asset_point", "Point", of("asset-point"), "asset-point"},
		{"asset_line", "LineString", of("asset-line"), "asset-line"},
		{"XZQJX", "LineString", []layer.Field{{Name: "JXLX"}, {Name: "JXXZ"}}, ""}, // a boundary line is no division
		{"", "", nil, ""},
		{"房屋", "Polygon", []layer.Field{{Name: "height"}, {Name: "floors"}}, ""},
	}
	for _, tt := range tests {
		got := lib.Suggest(tt.layer, tt.geometry, tt.fields)
		best := ""
		if len(got) > 0 {
			best = got[0].ProfileID
		}
		if best != tt.want {
			t.Errorf("%s %s: %+v, want %s first", tt.layer, tt.geometry, got, tt.want)
		}
		for i, s := range got {
			if s.ZH == "" || s.EN == "" || s.Score <= 0 || s.Score > 1 || i > 0 && s.Score > got[i-1].Score {
				t.Errorf("%s: %+v", tt.layer, got)
			}
		}
	}
}

// TestSuggestItself: each profile is the best for a layer of its own name, fields
// and geometry, by standard names and by Chinese ones.
func TestSuggestItself(t *testing.T) {
	t.Parallel()
	lib := builtin(t)
	for _, p := range lib.Profiles() {
		for _, chinese := range []bool{false, true} {
			got := lib.Suggest(p.Layers[0], strings.TrimPrefix(p.Geometry, "Multi"), fieldsOf(p, chinese))
			if len(got) == 0 || got[0].ProfileID != p.ID || len(got) > 1 && got[1].Score == got[0].Score {
				t.Errorf("%s: %+v", p.ID, got)
			}
		}
	}
}

func TestSuggestGeometry(t *testing.T) {
	t.Parallel()
	lib := builtin(t)
	p, _ := lib.Profile("dltb-3")
	right := lib.Suggest("DLTB", "Polygon", fieldsOf(p, false))
	wrong := lib.Suggest("DLTB", "Point", fieldsOf(p, false))
	if wrong[0].Score >= right[0].Score/2 || !strings.Contains(wrong[0].ZH, "几何类型不符") {
		t.Errorf("%+v, and with points %+v", right[0], wrong[0])
	}
}
