package profile

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"

	"changde/ingest/layer"
)

// Suggestion is a profile that a layer of a delivery may follow. Score is from 0
// to 1; ZH and EN give the reason.
type Suggestion struct {
	ProfileID string  `json:"profile"`
	Score     float64 `json:"score"`
	ZH        string  `json:"zh"`
	EN        string  `json:"en"`
}

const (
	maxSuggestions = 10
	leastScore     = 0.2 // below this a profile is not worth a person's look
)

// Suggest returns the profiles that a layer may follow, best first, at most ten:
// by the layer's name (DLTB, dltb_2023, 430702DLTB, 地类图斑), by the share of
// fields that are the profile's, and by the geometry type as the delivery gives it
// (Polygon or MultiPolygon, empty when unknown). Equal scores are in the order of
// the ids.
func (lib *Library) Suggest(layerName, geometry string, fields []layer.Field) []Suggestion {
	var list []Suggestion
	for _, p := range lib.Profiles() {
		if s := suggest(p, layerName, geometry, fields); s.Score >= leastScore {
			list = append(list, s)
		}
	}
	slices.SortStableFunc(list, func(a, b Suggestion) int {
		switch {
		case a.Score > b.Score:
			return -1
		case a.Score < b.Score:
			return 1
		}
		return 0
	})
	return list[:min(len(list), maxSuggestions)]
}

func suggest(p *Profile, layerName, geometry string, fields []layer.Field) Suggestion {
	named, by := nameScore(p, layerName)
	m := Match(p, fields)
	pairs := len(m.Pairs)
	share := 0.0
	if len(p.Fields) > 0 && len(fields) > 0 {
		// What the file has of the profile counts more than what the profile has of
		// the file: bureaux add fields of their own.
		share = 0.7*float64(pairs)/float64(len(p.Fields)) + 0.3*float64(pairs)/float64(len(fields))
	}
	s := Suggestion{ProfileID: p.ID, Score: 0.5*named + 0.5*share}
	var zh, en []string
	if named > 0 {
		zh = append(zh, "图层名含 "+by)
		en = append(en, "the layer's name has "+by)
	}
	zh = append(zh, fmt.Sprintf("标准 %d 个字段中有 %d 个", len(p.Fields), pairs))
	en = append(en, fmt.Sprintf("it has %d of the %d fields", pairs, len(p.Fields)))
	if !sameGeometry(p.Geometry, geometry) {
		s.Score *= 0.3
		zh = append(zh, "几何类型不符（标准为 "+p.Geometry+"）")
		en = append(en, "the geometry type is another (the standard has "+p.Geometry+")")
	}
	s.Score = math.Round(s.Score*1000) / 1000
	s.ZH, s.EN = strings.Join(zh, "，"), strings.Join(en, ", ")
	return s
}

// nameScore says how much of a layer's name is a name of the profile, and which.
func nameScore(p *Profile, layerName string) (score float64, by string) {
	given := fold(strings.TrimSpace(layerName))
	words := nameWords(given)
	for _, name := range p.Layers {
		key := fold(name)
		var s float64
		switch {
		case key == "":
		case given == key:
			s = 1
		case hasRun(words, nameWords(key)):
			s = 0.9
		case isHan(key) && strings.HasSuffix(strings.TrimRightFunc(given, notHan), key):
			s = 0.8
		case isHan(key) && strings.Contains(given, key):
			s = 0.4 // 行政区 is in 行政区界线 too
		}
		if s > score {
			score, by = s, name
		}
	}
	return score, by
}

// nameWords cuts a name where letters, Chinese characters and digits meet, and at
// everything else; digits are left out.
func nameWords(name string) []string {
	var words []string
	kind := 0
	for _, r := range name {
		k := 0
		switch {
		case unicode.Is(unicode.Han, r):
			k = 1
		case unicode.IsLetter(r):
			k = 2
		}
		switch {
		case k != 0 && k == kind:
			words[len(words)-1] += string(r)
		case k != 0:
			words = append(words, string(r))
		}
		kind = k
	}
	return words
}

// hasRun reports whether words has the words of run one after another.
func hasRun(words, run []string) bool {
	for i := range words {
		if len(run) > 0 && i+len(run) <= len(words) && slices.Equal(words[i:i+len(run)], run) {
			return true
		}
	}
	return false
}

func notHan(r rune) bool { return !unicode.Is(unicode.Han, r) }

func isHan(name string) bool { return name != "" && !strings.ContainsFunc(name, notHan) }

// sameGeometry reports whether a layer of a type may follow a profile of another:
// single and multiple are one, and unknown is anything.
func sameGeometry(want, got string) bool {
	got = strings.TrimPrefix(got, "Multi")
	return got == "" || got == "Geometry" || want == "Geometry" || strings.TrimPrefix(want, "Multi") == got
}
