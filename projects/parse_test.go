package projects_test

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"changde/projects"
)

func TestAmounts(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`"0"`: "0.00", `0`: "0.00", `0.1`: "0.10", `"12.34"`: "12.34", `9999999999999999.99`: "9999999999999999.99", `1326.9`: "1326.90",
		`"1,000"`: "", `"01"`: "", `"1."`: "", `".5"`: "", `"+1"`: "", `-0`: "", `"1 "`: "", `""`: "", `1.0e2`: "", `"\u0031"`: "", `"１"`: "", `{}`: "", `[1]`: "",
	} {
		var got projects.Amount
		err := json.Unmarshal([]byte(in), &got)
		if string(got) != want || (err != nil) != (want == "") {
			t.Errorf("%s is %q, %v; want %q", in, got, err, want)
		}
	}
}

// An amount is the number that was written, whatever the form.
func TestAmountsAreExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`(0|[1-9][0-9]{0,15})(\.[0-9]{1,2})?`).Draw(t, "amount")
		a, err := projects.ParseAmount(s)
		if err != nil {
			t.Fatal(err)
		}
		in, _ := new(big.Rat).SetString(s)
		out, ok := new(big.Rat).SetString(string(a))
		if !ok || in.Cmp(out) != 0 {
			t.Fatalf("%s became %s", s, a)
		}
	})
}

func FuzzParseDeclaration(f *testing.F) {
	for _, s := range []string{
		body(), `{}`, `[]`, `null`, body(`assets:[{"collection":"roads","id":1,"role":"uses"}]`), body(`declaredAmount:1.5`, `acceptedOn:"2012-01-01"`),
		body(`assets:[{"type":"building","name":"x","geometry":{"type":"MultiPolygon","coordinates":[[[[111,29],[111.1,29],[111.1,29.1],[111,29]]]]},"attributes":{"a":1}}]`),
		strings.Repeat("[", 40), `{"name":"\ud800"}`, `{"a":"\\\""}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := projects.ParseDeclaration(b)
		if err != nil {
			wantAnyProblem(t, err)
			return
		}
		if err := projects.Check(&d); err != nil {
			wantAnyProblem(t, err)
		}
	})
}

// FuzzGeometry sees that what passes is geometry PostGIS could read.
func FuzzGeometry(f *testing.F) {
	for _, s := range []string{
		point(111, 29), `{"type":"MultiPoint","coordinates":[[111,29],[111,29.5]]}`, `{"type":"LineString","coordinates":[[111,29],[111,29.5]]}`,
		`{"type":"MultiLineString","coordinates":[[[111,29],[111,29.5]],[]]}`, `{"type":"Polygon","coordinates":[[[111,29],[111.1,29],[111.1,29.1],[111,29]]]}`,
		`{"type":"MultiPolygon","coordinates":[[],[[[111,29]]]]}`, `{"type":"Point","coordinates":null}`, `{"type":"Polygon","coordinates":[null]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := projects.CheckGeometry(b); err != nil {
			wantAnyProblem(t, err)
		}
	})
}
