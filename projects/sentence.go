package projects

import (
	"fmt"
	"strings"
	"time"
)

// sentences tell the figures as the yearly report does, amounts in 万元
// (10,000 yuan) with at most two decimals. What did not happen in the period is
// left out; a rate without a base too.
func sentences(s *Statistics, from, to time.Time) (zh, en string, err error) {
	f := make(map[string]*Figure, len(s.Figures))
	for i := range s.Figures {
		f[s.Figures[i].ID] = &s.Figures[i]
	}
	money := func(yuan string) string {
		r, e := sum(yuan)
		if e != nil {
			err = e
			return ""
		}
		return tenThousands(r)
	}
	var z, e []string
	say := func(when bool, textZH, textEN string) {
		if when {
			z, e = append(z, textZH), append(e, textEN)
		}
	}
	plan, accepted, reviewed, filed := f["K-01"], f["K-02"], f["K-03"], f["K-05"]
	first, rectified, passed, supervised := f["K-06"], f["K-07"], f["K-09"], f["K-08"]
	if plan.Count > 0 {
		m := money(plan.Amounts.Plan)
		say(true, fmt.Sprintf("列入计划项目%d个，计划资金%s万元", plan.Count, m),
			fmt.Sprintf("%s put into the plan with %s × 10,000 yuan", number(plan.Count, "project"), m))
	}
	if accepted.Count > 0 {
		m := money(accepted.Amounts.Declared)
		say(true, fmt.Sprintf("受理项目%d个，申报总金额%s万元", accepted.Count, m),
			fmt.Sprintf("%s accepted, declared at %s × 10,000 yuan", number(accepted.Count, "project"), m))
	}
	if reviewed.Count > 0 {
		d, a := money(reviewed.Amounts.Declared), money(reviewed.Amounts.Approved)
		rateZH, rateEN := "", ""
		if r := f["K-04"].Rate; r != nil {
			rateZH, rateEN = "，审减率"+trimZeros(*r)+"%", ", a cut of "+trimZeros(*r)+"%"
		}
		say(true, fmt.Sprintf("评审完成项目%d个，申报总金额%s万元，审定金额%s万元%s", reviewed.Count, d, a, rateZH),
			fmt.Sprintf("%s reviewed, declared at %s and approved at %s × 10,000 yuan%s", number(reviewed.Count, "project"), d, a, rateEN))
	}
	say(filed.Count > 0, fmt.Sprintf("招标文件备案%d个", filed.Count), fmt.Sprintf("%s filed", number(filed.Count, "tender document")))
	if concluded := *passed.Base; concluded > 0 {
		partsZH, partsEN := []string{}, []string{}
		for _, p := range []struct {
			n      int64
			zh, en string
		}{
			{first.Count, "一次性合格", "the first time"}, {rectified.Count, "整改合格", "after rectification"}, {concluded - passed.Count, "不合格", "failed"},
		} {
			if p.n > 0 {
				partsZH, partsEN = append(partsZH, fmt.Sprintf("%s%d个", p.zh, p.n)), append(partsEN, fmt.Sprintf("%d %s", p.n, p.en))
			}
		}
		say(true, fmt.Sprintf("竣工验收%d个，其中%s，合格率%s%%", concluded, strings.Join(partsZH, "、"), trimZeros(*passed.Rate)),
			fmt.Sprintf("%s concluded (%s), of which %s%% passed", number(concluded, "completion acceptance"), strings.Join(partsEN, ", "), trimZeros(*passed.Rate)))
	}
	if supervised.Rate != nil {
		say(true, fmt.Sprintf("开工项目%d个，监理率%s%%", *supervised.Base, trimZeros(*supervised.Rate)),
			fmt.Sprintf("%s started construction, %s%% under supervision", number(*supervised.Base, "project"), trimZeros(*supervised.Rate)))
	}
	if len(z) == 0 {
		say(true, "没有发生任何项目环节", "no project took a step")
	}
	periodZH, periodEN := periodName(from, to)
	return periodZH + "：" + strings.Join(z, "；") + "。", periodEN + ": " + strings.Join(e, "; ") + ".", err
}

func number(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// periodName calls a whole year, half-year, quarter or month by its name.
func periodName(from, to time.Time) (zh, en string) {
	const dayZH = "2006年1月2日"
	switch {
	case from.IsZero() && to.IsZero():
		return "历年合计", "All years"
	case from.IsZero():
		return "截至" + to.Format(dayZH), "Up to " + day(to)
	case to.IsZero():
		return "自" + from.Format(dayZH) + "起", "From " + day(from) + " on"
	}
	y, m := from.Year(), from.Month()
	months := int(to.Month()) - int(m) + 1
	whole := from.Day() == 1 && to.Year() == y && to.AddDate(0, 0, 1).Day() == 1
	switch {
	case whole && months == 12:
		return fmt.Sprintf("%d年", y), fmt.Sprintf("%d", y)
	case whole && months == 6 && m == time.January:
		return fmt.Sprintf("%d年上半年", y), fmt.Sprintf("First half of %d", y)
	case whole && months == 6 && m == time.July:
		return fmt.Sprintf("%d年下半年", y), fmt.Sprintf("Second half of %d", y)
	case whole && months == 3 && m%3 == 1:
		q := (int(m) + 2) / 3
		return fmt.Sprintf("%d年第%d季度", y, q), fmt.Sprintf("Quarter %d of %d", q, y)
	case whole && months == 1:
		return fmt.Sprintf("%d年%d月", y, m), fmt.Sprintf("%s %d", m, y)
	}
	return from.Format(dayZH) + "至" + to.Format(dayZH), day(from) + " to " + day(to)
}
