package profile

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// golden compares a text with the one in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-file +now); when this is meant, run go test ./ingest/profile -update\n%s", path, diff)
	}
}

// TestListing shows every built-in profile to a person.
func TestListing(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for _, p := range builtin(t).Profiles() {
		fmt.Fprintf(&b, "%s  %s / %s\n", p.ID, p.TitleZH, p.TitleEN)
		fmt.Fprintf(&b, "  %s; %s; layers %s\n", or(p.Standard, "(own)"), p.Geometry, strings.Join(p.Layers, ", "))
		fmt.Fprintf(&b, "  key %s, label %s, class %s, time %s, area %s; tolerance %g m, %g m, %g m2\n", or(p.BusinessKey, "-"), or(p.Label, "-"),
			or(p.Class, "-"), or(p.TimeColumn, "-"), or(p.AreaField, "-"), p.Tolerance.Grid, p.Tolerance.Topology, p.Tolerance.Area)
		for _, f := range p.Fields {
			kind := f.Type.String()
			if f.Length > 0 {
				kind += fmt.Sprintf(" %d", f.Length)
			}
			if f.Decimals > 0 {
				kind += fmt.Sprintf(".%d", f.Decimals)
			}
			var notes []string
			if f.Mandatory {
				notes = append(notes, "M")
			}
			if f.Codes != "" {
				notes = append(notes, f.Codes+strings.Join(append([]string{""}, f.Within...), " "))
			}
			if f.Min != nil || f.Max != nil {
				notes = append(notes, bound(f.Min)+".."+bound(f.Max))
			}
			if f.Uncertain != "" {
				notes = append(notes, "?")
			}
			fmt.Fprintf(&b, "    %s\n", strings.TrimRight(fmt.Sprintf("%-13s %-12s %s  %s", f.Name, kind, f.Alias, strings.Join(notes, ", ")), " "))
		}
		var rules []string
		for _, r := range p.Rules {
			s := r.Code
			if r.Check != "" {
				s += " " + r.Check
			}
			if r.Severity != DefaultSeverity(r.Code) {
				s += " (" + string(r.Severity) + ")"
			}
			if len(r.Params) > 0 {
				s += " " + string(r.Params)
			}
			if r.Check != "" || len(r.Params) > 0 {
				s = "\n    " + s
			}
			rules = append(rules, s)
		}
		fmt.Fprintf(&b, "  rules %s\n\n", strings.ReplaceAll(strings.Join(rules, " "), " \n", "\n"))
	}
	golden(t, "profiles.txt", b.String())
}

// TestCodesListing shows what code tables there are and how large.
func TestCodesListing(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for _, c := range builtin(t).CodeTables() {
		groups, unsure := 0, 0
		for row := range c.Each() {
			if row.Group {
				groups++
			}
			if row.Uncertain != "" {
				unsure++
			}
		}
		fmt.Fprintf(&b, "%-18s %4d codes, %2d headings, %2d uncertain; %s; %s", c.ID, c.Len(), groups, unsure, c.TitleZH, c.Edition)
		if c.Open != nil {
			fmt.Fprintf(&b, "; open %v", *c.Open)
		}
		if c.Partial {
			b.WriteString("; partial")
		}
		if c.MapsTo != "" {
			b.WriteString("; maps to " + c.MapsTo)
		}
		if c.Source != "" {
			b.WriteString("; from " + c.Source)
		}
		b.WriteString("\n")
	}
	golden(t, "codes.txt", b.String())
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func bound(v *float64) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(*v)
}
