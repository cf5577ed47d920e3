package catalog

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	jsonv2 "github.com/go-json-experiment/json"

	"changde/problem"
)

// DetailZoom is the zoom of WebMercatorQuad from which tiles carry all fields that
// they ever do.
const DetailZoom = 14

// The bounds of TileRules.
const (
	maxRank       = 200
	maxRankText   = 100 // characters
	maxTileFields = 14  // with label and class as many as a tile carries
)

// TileRules are how the tiles of a dataset are generalised. The zero value has none.
type TileRules struct {
	// Rank lists values of the class from the most important to the least: where a
	// tile has no room for all, lines and points stay in this order. A value that ends in *
	// is all that begin so. The first that fits counts; what none fits comes last.
	Rank []string `json:"rank,omitempty"`
	// Attributes are the fields that tiles below DetailZoom carry beside label and
	// class.
	Attributes []TileAttributes `json:"attributes,omitempty"`
}

// TileAttributes are fields that tiles carry from a zoom of WebMercatorQuad on.
type TileAttributes struct {
	MinZoom int      `json:"minzoom"`
	Fields  []string `json:"fields"`
}

// IsZero reports whether there are no rules.
func (t TileRules) IsZero() bool { return len(t.Rank) == 0 && len(t.Attributes) == 0 }

// Fields are the fields that tiles carry at a zoom beside label and class, those of
// the lower zooms first.
func (t TileRules) Fields(zoom int) []string {
	sorted := slices.Clone(t.Attributes)
	slices.SortStableFunc(sorted, func(a, b TileAttributes) int { return a.MinZoom - b.MinZoom })
	var out []string
	for _, a := range sorted {
		if a.MinZoom > zoom {
			break
		}
		for _, name := range a.Fields {
			if !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	return out
}

// ParseTileRules reads the JSON form. What is wrong with it is problem.Invalid.
func ParseTileRules(b []byte) (TileRules, error) {
	var t TileRules
	if err := jsonv2.Unmarshal(b, &t, jsonv2.RejectUnknownMembers(true)); err != nil {
		return TileRules{}, problem.Wrap(err, problem.Invalid, "tile-rules", "tiles",
			`瓦片规则不是所需的 JSON；例如 {"rank": ["4201*", "4202*"], "attributes": [{"minzoom": 8, "fields": ["RN"]}]}`,
			`the rules of tiles are not the JSON that is needed, such as {"rank": ["4201*", "4202*"], "attributes": [{"minzoom": 8, "fields": ["RN"]}]}`)
	}
	if len(t.Rank) == 0 {
		t.Rank = nil
	}
	if len(t.Attributes) == 0 {
		t.Attributes = nil
	}
	return t, t.Check()
}

// Check refuses rules beyond the bounds with problem.Invalid.
func (t TileRules) Check() error {
	refuse := func(where, zh, en string) error { return problem.New(problem.Invalid, "tile-rules", where, zh, en) }
	if len(t.Rank) > maxRank {
		return refuse("tiles.rank", fmt.Sprintf("有 %d 个分类值，最多 %d 个", len(t.Rank), maxRank), fmt.Sprintf("there are %d values; at most %d", len(t.Rank), maxRank))
	}
	for i, v := range t.Rank {
		at := fmt.Sprintf("tiles.rank[%d]", i)
		switch {
		case v == "" || utf8.RuneCountInString(v) > maxRankText || strings.ContainsRune(v, 0):
			return refuse(at, fmt.Sprintf("分类值不得为空，最长 %d 个字符", maxRankText), fmt.Sprintf("a value is not empty and has at most %d characters", maxRankText))
		case strings.Contains(strings.TrimSuffix(v, "*"), "*"):
			return refuse(at, "* 只能在末尾", "a * may stand at the end alone")
		case slices.Contains(t.Rank[:i], v):
			return refuse(at, fmt.Sprintf("分类值 %q 重复", v), fmt.Sprintf("the value %q is there twice", v))
		}
	}
	seen := make(map[string]bool)
	for i, a := range t.Attributes {
		at := fmt.Sprintf("tiles.attributes[%d]", i)
		if a.MinZoom < 0 || a.MinZoom >= DetailZoom {
			return refuse(at+".minzoom", fmt.Sprintf("级别应在 0 至 %d 之间；%d 级起瓦片本来就带全部字段", DetailZoom-1, DetailZoom),
				fmt.Sprintf("the zoom must be from 0 to %d: from %d on tiles carry all fields anyway", DetailZoom-1, DetailZoom))
		}
		if len(a.Fields) == 0 {
			return refuse(at+".fields", "应至少有一个字段", "at least one field is needed")
		}
		for _, name := range a.Fields {
			if name == "" || seen[name] {
				return refuse(at+".fields", fmt.Sprintf("字段 %q 为空或重复", name), fmt.Sprintf("the field %q is empty or there twice", name))
			}
			seen[name] = true
		}
	}
	if len(seen) > maxTileFields {
		return refuse("tiles.attributes", fmt.Sprintf("共有 %d 个字段，最多 %d 个", len(seen), maxTileFields), fmt.Sprintf("there are %d fields; at most %d", len(seen), maxTileFields))
	}
	return nil
}

// Only are the rules without the fields for which has is false.
func (t TileRules) Only(has func(field string) bool) TileRules {
	out := TileRules{Rank: t.Rank}
	for _, a := range t.Attributes {
		a.Fields = slices.DeleteFunc(slices.Clone(a.Fields), func(name string) bool { return !has(name) })
		if len(a.Fields) > 0 {
			out.Attributes = append(out.Attributes, a)
		}
	}
	return out
}

// decodeTileRules reads what the catalog holds.
func decodeTileRules(b []byte) (t TileRules, err error) {
	if err := json.Unmarshal(b, &t); err != nil {
		return t, fmt.Errorf("rules of tiles: %w", err)
	}
	return t, nil
}
