package dropbox

import (
	"errors"
	"path"
	"strings"
	"testing"

	"changde/problem"
)

// FuzzRules checks that no bytes crash the reader of rules, and that a rule that
// passes can be asked about any name.
func FuzzRules(f *testing.F) {
	f.Add(`[{"Sender":"国土局","Pattern":"dltb*.zip","Dataset":"dltb","CRS":"EPSG:4546"},{}]`, "DLTB_2012.zip")
	f.Add(`[{"Pattern":"[a-"}]`, "a")
	f.Add(`[{"Pattern":"[K-k]*\\"}] []`, "K")
	f.Add(`{"Sender":1}`, "")
	f.Fuzz(func(t *testing.T, text, name string) {
		rules, err := ParseRules([]byte(text), "rules.json")
		if err != nil {
			var p *problem.Error
			if !errors.As(err, &p) || p.ZH == "" || p.EN == "" || p.Where == "" {
				t.Fatalf("not a problem: %v", err)
			}
			return
		}
		Match(rules, Parcel{Sender: "国土局", Name: name})
		for _, r := range rules {
			if _, err := path.Match(strings.ToLower(r.Pattern), strings.ToLower(name)); err != nil {
				t.Fatalf("the pattern %q passes and fails on %q", r.Pattern, name)
			}
		}
	})
}
