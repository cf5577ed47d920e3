package report

import (
	"slices"

	"changde/ingest/finding"
)

// tally counts the findings as they stream by.
type tally struct {
	total, placed int64
	grades        map[finding.Severity]int64
	rules         map[string]*ruleTally
}

type ruleTally struct {
	count    int64
	severity finding.Severity // the gravest
}

func newTally() *tally {
	return &tally{grades: make(map[finding.Severity]int64), rules: make(map[string]*ruleTally)}
}

// maxRules bounds the rules that are told apart; the platform has twenty.
const maxRules = 64

const maxRule = 32 // bytes of a code

// otherRule stands for the rules beyond these bounds.
const otherRule = "…"

// add counts a finding and gives the rule it is counted under.
func (t *tally) add(f finding.Finding) string {
	t.total++
	if gravity(f.Severity) > 0 {
		t.grades[f.Severity]++
	}
	if f.Place != nil {
		t.placed++
	}
	rule := f.Rule
	r := t.rules[rule]
	if r == nil && (len(t.rules) >= maxRules || len(rule) > maxRule) {
		rule = otherRule
		r = t.rules[rule]
	}
	if r == nil {
		r = &ruleTally{}
		t.rules[rule] = r
	}
	r.count++
	if gravity(f.Severity) > gravity(r.severity) || r.severity == "" {
		r.severity = f.Severity
	}
	return rule
}

// results are the rules of the document and those that only findings name (the
// loader finds before the rules of the profile are applied), in the order of
// their codes. A rule that is listed once has found at least what was streamed.
func (t *tally) results(d *Document) []RuleResult {
	out := slices.Clone(d.Rules)
	for rule, seen := range t.rules {
		first, entries := -1, 0
		for i, r := range d.Rules {
			if r.Code == rule {
				if first < 0 {
					first = i
				}
				entries++
			}
		}
		switch {
		case entries == 0:
			out = append(out, RuleResult{Code: rule, Severity: seen.severity, Found: seen.count, Kept: seen.count})
		case entries == 1:
			r := &out[first]
			r.Kept = seen.count
			r.Found = max(r.Found, seen.count)
		}
	}
	slices.SortStableFunc(out, func(a, b RuleResult) int { return compareRules(a.Code, b.Code) })
	return out
}

// compareRules orders codes; what stands for other rules comes last.
func compareRules(a, b string) int {
	switch {
	case a == b:
		return 0
	case a == otherRule:
		return 1
	case b == otherRule || a < b:
		return -1
	}
	return 1
}

// counts are the counts of the document, its findings at least as streamed.
func (t *tally) counts(d *Document) Counts {
	c := d.Counts
	c.Blocking = max(c.Blocking, t.grades[finding.Block])
	c.Errors = max(c.Errors, t.grades[finding.Error])
	c.Warnings = max(c.Warnings, t.grades[finding.Warn])
	return c
}

// total is how many findings there are, listed or not.
func (c Counts) findings() int64 { return c.Blocking + c.Errors + c.Warnings }

// verdict is one sentence for whoever decides: what the findings mean.
func verdict(d *Document, c Counts, rules []RuleResult) (grade string, zh, en string) {
	skipped := 0
	for _, r := range rules {
		if (r.SkipZH != "" || r.SkipEN != "") && r.Rows == 0 && r.Found == 0 {
			skipped++
		}
	}
	switch {
	case d.State == "failed" || d.Error != "":
		grade, zh, en = "block", "交付处理失败，没有入库。", "The delivery failed; nothing was taken in."
	case c.Blocking > 0:
		grade = "block"
		zh = "有 " + grouped(c.Blocking) + " 个阻断问题，不能发布，须修改后重新交付。"
		en = plural(c.Blocking, "finding blocks", "findings block") + " the release: mend the data and deliver it again."
	case c.Errors > 0:
		grade = "error"
		zh = "没有阻断问题；有 " + grouped(c.Errors) + " 个错误，由审批人决定。"
		en = "Nothing blocks the release; " + plural(c.Errors, "error is", "errors are") + " for the approver to decide on."
	case c.Warnings > 0:
		grade = "warn"
		zh = "没有阻断问题和错误；有 " + grouped(c.Warnings) + " 个警告。"
		en = "Nothing blocks the release and there are no errors; " + plural(c.Warnings, "warning", "warnings") + "."
	case len(rules) == 0:
		grade, zh, en = "warn", "没有检查规则的结果。", "There are no results of rules."
	default:
		grade, zh, en = "pass", "没有发现问题。", "Nothing was found."
	}
	if c.Refused > 0 {
		zh += "拒绝 " + grouped(c.Refused) + " 行，不在成果中。"
		en += " " + plural(c.Refused, "row was", "rows were") + " refused and not taken in."
	}
	if skipped > 0 {
		zh += "有 " + grouped(int64(skipped)) + " 条规则未能应用，见下表。"
		en += " " + plural(int64(skipped), "rule was", "rules were") + " not applied, see below."
	}
	return grade, zh, en
}

func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(n) + " " + many
}
