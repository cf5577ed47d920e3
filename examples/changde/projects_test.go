package changde

import (
	"encoding/json"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type window struct{ from, to string }

var (
	firstHalf  = window{"2012-01-01", "2012-06-30"}
	threeYears = window{"2009-07-01", "2012-06-30"}
)

func (w window) has(date string) bool { return date != "" && date >= w.from && date <= w.to }

// total counts and adds up, in units of 10,000 yuan.
func total(t *testing.T, ps []Project, keep func(Project) bool, amount func(Project) string) (n int, sum string) {
	t.Helper()
	r := new(big.Rat)
	for _, p := range ps {
		if !keep(p) {
			continue
		}
		n++
		v, ok := new(big.Rat).SetString(amount(p))
		if !ok {
			t.Fatalf("%s: amount %q", p.Code, amount(p))
		}
		r.Add(r, v)
	}
	s := r.Quo(r, big.NewRat(10000, 1)).FloatString(4)
	return n, strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

func TestProjectsFigures(t *testing.T) {
	t.Parallel()
	ps := Projects()
	declared := func(p Project) string { return p.Declared }
	approved := func(p Project) string { return p.Approved }
	one := func(Project) string { return "0" }
	type figure struct {
		Count int
		Sum   string
	}
	got := map[string]figure{}
	put := func(name string, keep func(Project) bool, amount func(Project) string) {
		n, s := total(t, ps, keep, amount)
		got[name] = figure{n, s}
	}
	put("plan 2012", func(p Project) bool { return p.PlanYear == 2012 }, func(p Project) string { return p.PlanAmount })
	put("accepted", func(p Project) bool { return firstHalf.has(p.Accepted) }, declared)
	put("reviewed, declared", func(p Project) bool { return firstHalf.has(p.Reviewed) }, declared)
	put("reviewed, approved", func(p Project) bool { return firstHalf.has(p.Reviewed) }, approved)
	put("tender filings", func(p Project) bool { return firstHalf.has(p.TenderFiled) }, one)
	put("passed at once", func(p Project) bool { return firstHalf.has(p.Final) && p.Result == "pass_first" }, one)
	put("passed after rectification", func(p Project) bool { return firstHalf.has(p.Final) && p.Result == "pass_after_rectify" }, one)
	put("three years, declared", func(p Project) bool { return threeYears.has(p.Reviewed) }, declared)
	put("three years, approved", func(p Project) bool { return threeYears.has(p.Reviewed) }, approved)
	put("three years, begun", func(p Project) bool { return threeYears.has(p.Started) }, one)
	put("three years, supervised", func(p Project) bool { return threeYears.has(p.Started) && p.Supervised }, one)
	put("final not passed", func(p Project) bool {
		return p.Final != "" && p.Result != "pass_first" && p.Result != "pass_after_rectify"
	}, one)
	want := map[string]figure{
		"plan 2012": {20, "1326.9"}, "accepted": {27, "11140"}, "reviewed, declared": {17, "7909"}, "reviewed, approved": {17, "4728"},
		"tender filings": {13, "0"}, "passed at once": {16, "0"}, "passed after rectification": {3, "0"},
		"three years, declared": {117, "43000"}, "three years, approved": {117, "27000"}, "three years, begun": {38, "0"}, "three years, supervised": {34, "0"},
		"final not passed": {0, "0"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestProjectsAreConsistent(t *testing.T) {
	t.Parallel()
	ps := Projects()
	if d := cmp.Diff(ps, Projects()); d != "" {
		t.Errorf("two calls differ: %s", d)
	}
	amount := func(s string) *big.Rat {
		r, ok := new(big.Rat).SetString(s)
		if !ok {
			return new(big.Rat)
		}
		return r
	}
	codes, names, built, fresh := map[string]bool{}, map[string]bool{}, map[Link]bool{}, 0
	units := map[string]bool{}
	for _, p := range ps {
		if codes[p.Code] || names[p.NameZH] {
			t.Errorf("%s %s is there twice", p.Code, p.NameZH)
		}
		codes[p.Code], names[p.NameZH], units[p.Unit] = true, true, true
		last := ""
		for i, d := range []string{p.Accepted, p.Reviewed, p.TenderFiled, p.Started, p.Final} {
			if d == "" {
				continue
			}
			if len(d) != 10 || d <= last || d > "2012-06-30" {
				t.Errorf("%s: step %d on %q after %q", p.Code, i, d, last)
			}
			last = d
		}
		if p.Started != "" && p.TenderFiled == "" || p.TenderFiled != "" && p.Reviewed == "" || (p.Final != "") != (p.Result != "") || p.Final != "" && p.Started == "" {
			t.Errorf("%s leaves a step out", p.Code)
		}
		if (p.Approved != "") != (p.Reviewed != "") {
			t.Errorf("%s: approved %q, reviewed %q", p.Code, p.Approved, p.Reviewed)
		}
		if amount(p.Declared).Sign() <= 0 || amount(p.Approved).Cmp(amount(p.Declared)) >= 0 || amount(p.PlanAmount).Cmp(amount(p.Declared)) > 0 {
			t.Errorf("%s: declared %s, approved %s, plan %s", p.Code, p.Declared, p.Approved, p.PlanAmount)
		}
		if p.Started != "" && !p.Supervised && amount(p.Approved).Cmp(big.NewRat(500000, 1)) >= 0 {
			t.Errorf("%s of %s needs supervision", p.Code, p.Approved)
		}
		if (p.PlanYear != 0) != (p.Fund == "egov_special") || p.Fund == "egov_special" && slices.Contains(selfFunded, p.Unit) {
			t.Errorf("%s: fund %s, plan %d", p.Code, p.Fund, p.PlanYear)
		}
		if !strings.HasPrefix(p.Description, "合成示例") {
			t.Errorf("%s is not labelled: %s", p.Code, p.Description)
		}
		for _, l := range p.Links {
			if l.Role == "constructs" {
				if built[l] {
					t.Errorf("%s constructs %v, which another did", p.Code, l)
				}
				built[l] = true
			}
		}
		for _, a := range p.NewAssets {
			fresh++
			if !json.Valid([]byte(a.GeoJSON)) {
				t.Errorf("%s: %s", p.Code, a.GeoJSON)
			}
		}
	}
	if len(ps) != 130 || len(units) < 60 || len(built) < 100 || fresh < 20 {
		t.Errorf("%d projects, %d units, %d built, %d declared assets", len(ps), len(units), len(built), fresh)
	}
}
