package changde

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Project is one e-government construction project of the sample, made up, with
// what has happened to it by 30 June 2012. Amounts are yuan as decimal strings, ""
// where there is none; dates are YYYY-MM-DD, "" where the step has not been taken.
type Project struct {
	Code        string // CD-EG-2012-0001
	NameZH      string
	NameEN      string
	Category    string // infrastructure, base_database, application, network, security, terminal, service
	Unit        string // construction unit
	Fund        string // egov_special, dept_budget, superior_grant, self_raised
	PlanYear    int    // of the annual plan that lists it, 0 for none
	PlanAmount  string
	Declared    string
	Approved    string
	Accepted    string // 受理
	Reviewed    string // 评审
	TenderFiled string // 招标文件备案
	Started     string // 开工
	Final       string // 竣工验收
	Result      string // pass_first, pass_after_rectify, "" before the acceptance
	Supervised  bool   // 监理
	Description string
	Links       []Link
	NewAssets   []NewAsset
}

// Link ties a project to the feature of a dataset of the sample whose business key
// has the value Key. Role is constructs or uses.
type Link struct{ Dataset, Key, Role string }

// NewAsset is something a project means to build. Type is server_room, camera,
// network_node, fibre_line or service_terminal; GeoJSON is a geometry in longitude,
// latitude.
type NewAsset struct{ Type, Name, GeoJSON string }

// The figures of the sample, in units of 10,000 yuan (plan: 1,000 yuan), are those a
// report of the first half of 2012 gives.
const (
	threeYearDeclared = 43000
	threeYearCut      = 16000
	halfDeclared      = 11140
	halfReviewedIn    = 7909
	halfReviewedOut   = 4728
	plan2012          = 13269
	planItems         = 20
)

// draft is a project before its texts are written; amounts in 10,000 yuan.
type draft struct {
	Project
	declared, approved int
	earlier            bool // declared before 2012
}

// Projects returns the 130 projects of the sample, in order of acceptance. They
// do not depend on Options and are the same at each call.
func Projects() []Project {
	earlier, reviewed, waiting := timeline()
	price(earlier, reviewed, waiting)
	all := slices.Concat(earlier, reviewed, waiting)
	plan(all)
	slices.SortStableFunc(all, func(a, b *draft) int { return cmp.Compare(a.Accepted, b.Accepted) })
	var l linker
	serial := map[string]int{}
	out := make([]Project, 0, len(all))
	for _, d := range all {
		year := d.Accepted[:4]
		serial[year]++
		d.Code = fmt.Sprintf("CD-EG-%s-%04d", year, serial[year])
		d.Declared = yuan(d.declared * 10)
		if d.approved > 0 {
			d.Approved = yuan(d.approved * 10)
		}
		d.Description = "合成示例：" + d.NameZH + "，单位为常见机构名称，项目内容、金额与日期均为虚构。"
		l.link(d)
		out = append(out, d.Project)
	}
	return out
}

// yuan formats an amount given in 1,000 yuan.
func yuan(thousand int) string { return strconv.Itoa(thousand) + "000.00" }

// day is a date some days after a start.
func day(start string, days int) string {
	t, err := time.Parse(time.DateOnly, start)
	if err != nil {
		return "" // the starts are constants below
	}
	return t.AddDate(0, 0, days).Format(time.DateOnly)
}

// timeline gives every project its subject and its dates: 100 reviewed before 2012,
// 17 reviewed in the first half of 2012, 13 accepted in it and not yet reviewed.
func timeline() (earlier, reviewed, waiting []*draft) {
	next := 0
	start := func() *draft {
		at := next * 37 % (2 * len(departments)) // mixes the departments over the years
		next++
		dep := departments[at/2]
		s := dep.subjects[at%2]
		return &draft{Project: Project{Unit: dep.unit, NameZH: dep.unit + s.name + "项目", NameEN: fmt.Sprintf("%s project %03d (synthetic)", strings.ReplaceAll(s.category, "_", " "), at+1), Category: s.category}}
	}
	for k := range 100 {
		d := start()
		d.earlier = true
		d.Reviewed = day("2009-07-06", 9*k)
		d.Accepted = day(d.Reviewed, -18-k%13)
		switch {
		case k <= 33 && k%3 == 0:
			d.TenderFiled, d.Started, d.Final = day(d.Reviewed, 40), day(d.Reviewed, 85), day(d.Reviewed, 325)
			d.Result = "pass_first"
			if k == 15 {
				d.Result = "pass_after_rectify"
			}
			d.Supervised = k != 9 && k != 18 && k != 27 && k != 33
		case k <= 90 && k%3 == 0:
			n := (k - 36) / 3
			d.TenderFiled, d.Started, d.Final = day(d.Reviewed, 35), day(d.Reviewed, 70), day("2012-01-10", 9*n)
			d.Result = "pass_first"
			if n == 5 || n == 11 || n == 16 {
				d.Result = "pass_after_rectify"
			}
			d.Supervised = true
		case k%3 == 0:
			d.TenderFiled, d.Started = day(d.Reviewed, 85), day(d.Reviewed, 125)
			d.Supervised = true
		case k%3 == 1 && k <= 88:
			d.TenderFiled = day(d.Reviewed, 40)
		}
		earlier = append(earlier, d)
	}
	for n := range 17 {
		d := start()
		d.Reviewed = day("2012-01-18", 9*n)
		d.Accepted = day(d.Reviewed, -25)
		if n < 3 {
			d.earlier = true
			d.Accepted = day("2011-12-05", 7*n)
		}
		if n < 10 {
			d.TenderFiled = day(d.Reviewed, 20)
		}
		if n < 4 {
			d.Started = day(d.TenderFiled, 40)
			d.Supervised = true
		}
		reviewed = append(reviewed, d)
	}
	for n := range 13 {
		d := start()
		d.Accepted = day("2012-03-05", 9*n)
		waiting = append(waiting, d)
	}
	return earlier, reviewed, waiting
}

// typical is the usual size of a project by category, in 10,000 yuan.
var typical = map[string]int{infra: 620, based: 420, appl: 330, netw: 380, secur: 210, termi: 190, servi: 160}

// price shares the totals out. Projects built without supervision are the small
// ones below 500,000 yuan.
func price(earlier, reviewed, waiting []*draft) {
	size := func(d *draft) int { return typical[d.Category] * int(60+textHash(d.NameZH)%80) }
	// what the three reviewed early in 2012 but accepted in 2011 asked for
	fixed := []int{309, 402, 389}
	for i, v := range fixed {
		reviewed[i].declared = v
	}
	rest := earlier
	left := threeYearDeclared - halfReviewedIn
	leftOut := threeYearDeclared - threeYearCut - halfReviewedOut
	var built []*draft
	for _, d := range rest {
		if d.Started != "" && !d.Supervised {
			d.declared, d.approved = 58, 38
			left, leftOut = left-58, leftOut-38
			continue
		}
		built = append(built, d)
	}
	set := func(list []*draft, total int, weight func(*draft) int, put func(*draft, int)) {
		w := make([]int, len(list))
		for i, d := range list {
			w[i] = weight(d)
		}
		for i, v := range portions(total, w) {
			put(list[i], v)
		}
	}
	declared := func(d *draft, v int) { d.declared = v }
	approved := func(d *draft, v int) { d.approved = v }
	ratio := func(d *draft) int { return d.declared * int(54+textHash(d.Unit+d.NameZH)%20) }
	set(built, left, size, declared)
	set(built, leftOut, ratio, approved)
	set(reviewed[3:], halfReviewedIn-1100, size, declared)
	set(reviewed, halfReviewedOut, ratio, approved)
	set(waiting, halfDeclared-(halfReviewedIn-1100), size, declared)
}

// portions divides a total by weights into whole numbers that add up to it.
func portions(total int, weights []int) []int {
	sum := 0
	for _, w := range weights {
		sum += w
	}
	out := make([]int, len(weights))
	done, acc := 0, 0
	for i, w := range weights {
		acc += w
		upTo := int(int64(total) * int64(acc) / int64(sum))
		out[i] = upTo - done
		done = upTo
	}
	return out
}

// textHash is a fixed hash of a name.
func textHash(s string) uint64 {
	h := uint64(17)
	for _, b := range []byte(s) {
		h = mix(h ^ uint64(b))
	}
	return h
}

// Units that are not fully funded by the city and so cannot have the special fund.
var selfFunded = []string{"常德职业技术学院", "常德市第一人民医院", "常德市住房公积金管理中心", "常德市供销合作社", "常德市地方税务局", "常德市气象局", "常德市地震局"}

// plan picks the fund of every project, and the 20 smallest eligible ones of 2012
// for the annual plan of the special fund.
func plan(all []*draft) {
	var eligible []*draft
	for _, d := range all {
		switch {
		case slices.Contains(selfFunded, d.Unit):
			d.Fund = "self_raised"
		case d.Category == infra:
			d.Fund = "superior_grant"
		default:
			d.Fund = "dept_budget"
		}
		if d.Fund != "self_raised" {
			if d.Reviewed == "" || d.Reviewed >= "2012" {
				eligible = append(eligible, d)
			} else if d.declared < 160 {
				d.Fund, d.PlanAmount = "egov_special", yuan(d.approved*10)
				d.PlanYear, _ = strconv.Atoi(d.Reviewed[:4])
			}
		}
	}
	slices.SortStableFunc(eligible, func(a, b *draft) int { return cmp.Compare(a.declared, b.declared) })
	eligible = eligible[:planItems]
	w := make([]int, len(eligible))
	for i, d := range eligible {
		w[i] = d.declared + 120 // the larger ones get a smaller part of what they asked for
	}
	for i, v := range portions(plan2012, w) {
		d := eligible[i]
		d.Fund, d.PlanYear, d.PlanAmount = "egov_special", 2012, yuan(v)
	}
}
