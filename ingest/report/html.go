package report

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strconv"
	"strings"

	"changde/ingest/finding"
)

// The bounds of the page. What is beyond them is counted, and found in the other
// forms.
const (
	pageFindings = 1_000
	pageFiles    = 40
	pagePlan     = 100
	pageRules    = 100
	pageClasses  = 200
	pageFields   = 200
	pageDecided  = 100
	pageOthers   = 20
	cellText     = 400 // characters
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

// ContentSecurityPolicy is the policy under which the page works: it loads nothing
// and runs nothing, and its own style sheet is known by its hash.
func ContentSecurityPolicy() string {
	sum := sha256.Sum256([]byte(pageCSS))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"
}

// page is what the template is given.
type page struct {
	*Document
	Style   template.CSS
	Policy  string
	Grade   string
	Verdict label
	Counts  Counts
	Rules   []pageRule
	Map     *overview
	Placed  int64
	Groups  []section
	Listed  int64
	Total   int64
}

type pageRule struct {
	RuleResult
	Title  label
	Anchor string // of its findings on the page, empty without
}

// section is the findings of one rule, their texts as they are shown.
type section struct {
	Rule, Anchor string
	Title        label
	Found        int64
	AtLeast      bool
	Findings     []finding.Finding
}

// HTML writes the document as one page that stands alone: no script, no outside
// resource, fit for a screen, a phone and A4 paper. It lists the first 1,000
// findings, shared out fairly among the rules. All of it is written at the end.
func HTML(w io.Writer, d Document) error {
	if err := d.check(); err != nil {
		return err
	}
	counted, points, kept := newTally(), newPlot(), newSample(pageFindings)
	err := d.each(func(f finding.Finding) error {
		rule := counted.add(f)
		if f.Place != nil {
			points.add(rule, *f.Place)
		}
		kept.add(rule, f)
		return nil
	})
	if err != nil {
		return err
	}
	results, counts := counted.results(&d), counted.counts(&d)
	p := page{
		Document: &d, Style: template.CSS(pageCSS), Policy: ContentSecurityPolicy(), Counts: counts,
		Map: points.draw(&d, counted.placed), Placed: counted.placed, Listed: int64(kept.total), Total: max(counts.findings(), counted.total),
	}
	p.Grade, p.Verdict.ZH, p.Verdict.EN = verdict(&d, counts, results)
	anchors := make(map[string]string)
	for _, rule := range slices.SortedFunc(kept.rules(), compareRules) {
		anchor := "findings-" + strconv.Itoa(len(anchors)+1)
		if ruleNumber(rule) > 0 {
			anchor = "findings-" + rule
		}
		anchors[rule] = anchor
		g := section{Rule: rule, Anchor: anchor, Findings: kept.buckets[rule].kept}
		for _, r := range results {
			if r.Code == rule {
				g.Found += r.Found
				g.AtLeast = g.AtLeast || r.AtLeast
				g.Title = r.title()
			}
		}
		if zh, en := RuleTitle(rule); zh != "" {
			g.Title = label{zh, en}
		}
		p.Groups = append(p.Groups, g)
	}
	for _, r := range results {
		p.Rules = append(p.Rules, pageRule{r, r.title(), anchors[r.Code]})
	}
	t, err := template.New("page").Funcs(pageFuncs()).Parse(pageHTML)
	if err != nil {
		return fmt.Errorf("template of the report: %w", err)
	}
	out := bufio.NewWriterSize(w, 64<<10)
	if err := t.Execute(out, p); err != nil {
		return fmt.Errorf("write the report of delivery %d: %w", d.Delivery, err)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write the report of delivery %d: %w", d.Delivery, err)
	}
	return nil
}

// pageFuncs are what the template may call.
func pageFuncs() template.FuncMap {
	headings := 0
	return template.FuncMap{
		"number": func() string {
			headings++
			return [...]string{"一", "二", "三", "四", "五", "六"}[headings-1]
		},
		"text":    func(s string) string { return visible(s, cellText) },
		"short":   func(s string) string { return visible(s, 100) },
		"n":       grouped,
		"size":    size,
		"moment":  moment,
		"seconds": func(s float64) string { return group(strconv.FormatFloat(s, 'f', 3, 64)) },
		"area":    func(v float64) string { return group(strconv.FormatFloat(v, 'f', 2, 64)) },
		"degree":  func(v float64) string { return strconv.FormatFloat(v, 'f', 7, 64) },
		"counted": func(before, after int64) string { return change(float64(before), float64(after), 0) },
		"changed": func(before, after float64) string { return change(before, after, 2) },
		"ncshare": func(before, after int64) string { return share(float64(before), float64(after)) },
		"share":   share,
		"state":   func(s string) label { return named(states, s) },
		"severity": func(s finding.Severity) label {
			return named(severities, s)
		},
		"grade":    func(s string) finding.Severity { return finding.Severity(s) },
		"action":   func(a finding.Action) label { return named(actions, a) },
		"decision": func(s string) label { return named(decisions, s) },
		"form": func(s finding.Severity) string {
			switch s {
			case finding.Block, finding.Error, finding.Warn:
				return string(s)
			}
			return "none"
		},
		"link": func(where string) bool {
			return strings.HasPrefix(where, "https://") || strings.HasPrefix(where, "http://") || strings.HasPrefix(where, "/") && !strings.HasPrefix(where, "//")
		},
		"files":     func(l []string) []string { return l[:min(len(l), pageFiles)] },
		"items":     func(l []Item) []Item { return l[:min(len(l), pagePlan)] },
		"rules":     func(l []pageRule) []pageRule { return l[:min(len(l), pageRules)] },
		"classes":   func(l []ClassChange) []ClassChange { return l[:min(len(l), pageClasses)] },
		"fields":    func(l []FieldChange) []FieldChange { return l[:min(len(l), pageFields)] },
		"decisions": func(l []Decision) []Decision { return l[max(0, len(l)-pageDecided):] },
		"others":    func(l []Other) []Other { return l[:min(len(l), pageOthers)] },
		"more":      func(have, shown int) int64 { return int64(have - shown) },
		"rest":      func(all, shown int64) int64 { return all - shown },
		"either":    func(a, b string) string { return cmp.Or(a, b) },
	}
}

// sample keeps the first findings of each rule, so many in all, and no rule more
// than another while others have any left to show.
type sample struct {
	limit, total int
	buckets      map[string]*bucket
}

type bucket struct {
	kept []finding.Finding
	full bool // gave up one: another would be given up at once
}

func newSample(limit int) *sample { return &sample{limit: limit, buckets: make(map[string]*bucket)} }

// add keeps the finding, or not. A finding that is kept takes the place of the
// last one of the rule that has most.
func (s *sample) add(rule string, f finding.Finding) {
	b := s.buckets[rule]
	if b == nil {
		b = &bucket{}
		s.buckets[rule] = b
	}
	if b.full {
		return
	}
	// As they are shown: what is kept must not hold on to long texts.
	for _, t := range []*string{&f.File, &f.Code, &f.Field, &f.ZH, &f.EN, &f.Before, &f.After} {
		*t = visible(*t, cellText)
	}
	b.kept = append(b.kept, f)
	if s.total++; s.total <= s.limit {
		return
	}
	largest, name := b, rule
	for r, x := range s.buckets {
		if len(x.kept) > len(largest.kept) || len(x.kept) == len(largest.kept) && compareRules(r, name) > 0 {
			largest, name = x, r
		}
	}
	largest.kept = largest.kept[:len(largest.kept)-1]
	largest.full = true
	s.total--
}

// rules gives the rules of which something is kept.
func (s *sample) rules() func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for r, b := range s.buckets {
			if len(b.kept) > 0 && !yield(r) {
				return
			}
		}
	}
}
