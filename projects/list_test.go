package projects_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"changde/problem"
	"changde/projects"
)

var listAll = projects.Query{}

func (b *bundle) list(q projects.Query) ([]string, projects.Page) {
	b.t.Helper()
	page, err := b.store.List(b.t.Context(), b.view(anonymous), q)
	if err != nil {
		b.t.Fatal(err)
	}
	codes := []string{}
	for _, p := range page.Projects {
		codes = append(codes, p.Code)
	}
	return codes, page
}

func date(s string) time.Time {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return t
}

func TestList(t *testing.T) {
	b := setup(t)
	b.mustDeclare(land, body(`code:"P-001"`, `name:"100% 覆盖"`, `unit:"教育局"`))
	b.mustDeclare(land, body(`code:"P-002"`, `name:"a_b\\c"`, `nameEn:"Cloud"`, `declaredAmount:5`, `acceptedOn:"2012-06-30"`))
	b.mustDeclare(land, body(`code:"P-003"`, `declaredAmount:5`, `acceptedOn:"2012-07-01"`, `supervised:true`))
	b.mustDeclare(land, body(`code:"P-004"`, `finalAcceptedOn:"2012-07-01"`, `acceptanceResult:"fail"`))
	h1 := projects.Query{Step: projects.Accepted, From: date("2012-01-01"), To: date("2012-06-30")}
	yes := true
	for name, tt := range map[string]struct {
		q    projects.Query
		want []string
	}{
		"all":            {listAll, []string{"P-001", "P-002", "P-003", "P-004"}},
		"percent":        {projects.Query{Search: "0%"}, []string{"P-001"}},
		"percent alone":  {projects.Query{Search: "%"}, []string{"P-001"}},
		"underscore":     {projects.Query{Search: "_"}, []string{"P-002"}},
		"backslash":      {projects.Query{Search: `\`}, []string{"P-002"}},
		"quote":          {projects.Query{Search: `'`}, []string{}},
		"unit":           {projects.Query{Search: "教育"}, []string{"P-001"}},
		"english":        {projects.Query{Search: "cLOUD"}, []string{"P-002"}},
		"code":           {projects.Query{Search: "p-00"}, []string{"P-001", "P-002", "P-003", "P-004"}},
		"accepted":       {projects.Query{Step: projects.Accepted}, []string{"P-002", "P-003"}},
		"last day of H1": {h1, []string{"P-002"}},
		"from":           {projects.Query{Step: projects.Accepted, From: date("2012-07-01")}, []string{"P-003"}},
		"to":             {projects.Query{Step: projects.Accepted, To: date("2012-06-29")}, []string{}},
		"result":         {projects.Query{Results: []string{"fail", "pass_first"}}, []string{"P-004"}},
		"supervised":     {projects.Query{Supervised: &yes}, []string{"P-003"}},
	} {
		got, page := b.list(tt.q)
		if !slices.Equal(got, tt.want) || page.Matched != int64(len(tt.want)) || page.Next != "" {
			t.Errorf("%s: %v of %d, next %q, want %v", name, got, page.Matched, page.Next, tt.want)
		}
	}
	var paged []string
	q := projects.Query{Limit: 3}
	for pages := 1; ; pages++ {
		got, page := b.list(q)
		if page.Matched != 4 {
			t.Errorf("page %d says %d match", pages, page.Matched)
		}
		paged = append(paged, got...)
		if q.After = page.Next; q.After == "" {
			if pages != 2 {
				t.Errorf("%d pages", pages)
			}
			break
		}
	}
	if !slices.Equal(paged, []string{"P-001", "P-002", "P-003", "P-004"}) {
		t.Errorf("paged %v", paged)
	}
}

func TestQueryForms(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ query, code, where string }{
		{"step=built", "query-step", "step"},
		{"from=2012-01-01", "query-step", "step"},
		{"step=accepted&from=2012-02-30", "date-form", "from"},
		{"step=accepted&from=2012-02-02&to=2012-02-01", "query-period", "from"},
		{"result=pass", "query-result", "result"},
		{"supervised=1", "query-supervised", "supervised"},
		{"limit=0", "query-limit", "limit"},
		{"limit=x", "query-limit", "limit"},
		{"after=%27", "query-after", "after"},
		{"q=%00", "query-search", "q"},
		{"q=%ff", "query-search", "q"},
	} {
		v, err := url.ParseQuery(tt.query)
		if err != nil {
			t.Fatal(err)
		}
		_, err = projects.ParseQuery(v)
		wantProblem(t, err, problem.Invalid, tt.code, tt.where)
	}
	_, err := projects.ParseQuery(url.Values{"q": {strings.Repeat("长", 101)}})
	wantProblem(t, err, problem.Invalid, "query-search", "q")

	const whole = "after=P-1&from=2012-01-01&limit=7&q=%E5%B8%B8&result=pass_first%2Cfail&step=final_accepted&supervised=false&to=2012-06-30"
	v, _ := url.ParseQuery(whole)
	q, err := projects.ParseQuery(v)
	if err != nil {
		t.Fatal(err)
	}
	if got := q.Values().Encode(); got != whole {
		t.Errorf("round trip %s", got)
	}
}

func FuzzParseQuery(f *testing.F) {
	f.Add("step=accepted&from=2012-01-01&to=2012-06-30&result=fail,pass_first&supervised=true&limit=3&after=P-1&q=x")
	f.Fuzz(func(t *testing.T, s string) {
		v, err := url.ParseQuery(s)
		if err != nil {
			return
		}
		q, err := projects.ParseQuery(v)
		if err != nil {
			wantAnyProblem(t, err)
			return
		}
		again, err := projects.ParseQuery(q.Values())
		if err != nil || !cmp.Equal(q, again, cmpopts.EquateEmpty()) {
			t.Errorf("%q comes back as %+v, %v", s, again, err)
		}
	})
}

func wantAnyProblem(t *testing.T, err error) {
	t.Helper()
	if p, ok := err.(*problem.Error); !ok || p.ZH == "" || p.EN == "" || p.Code == "" {
		t.Errorf("no problem but %T %v", err, err)
	}
}

// figures writes the figures as lines that a person can read, and sees that each
// agrees with the list it opens.
func (b *bundle) figures(from, to string) string {
	b.t.Helper()
	var f, u time.Time
	if from != "" {
		f = date(from)
	}
	if to != "" {
		u = date(to)
	}
	s, err := b.store.Statistics(b.t.Context(), b.view(anonymous), f, u)
	if err != nil {
		b.t.Fatal(err)
	}
	var out strings.Builder
	for _, f := range s.Figures {
		fmt.Fprintf(&out, "%s %d", f.ID, f.Count)
		if f.Base != nil {
			fmt.Fprintf(&out, "/%d", *f.Base)
			if _, page := b.list(*f.BaseQuery); page.Matched != *f.Base {
				b.t.Errorf("%s: its base query lists %d", f.ID, page.Matched)
			}
		}
		if f.Amounts != nil {
			a := f.Amounts
			fmt.Fprintf(&out, " d=%s a=%s p=%s c=%s", a.Declared, a.Approved, a.Plan, a.Cut)
		}
		if f.Rate != nil {
			fmt.Fprintf(&out, " %s%%", *f.Rate)
		}
		out.WriteByte('\n')
		// Through the URL, as the portal goes.
		text, err := json.Marshal(f.Query)
		if err != nil {
			b.t.Fatal(err)
		}
		var encoded string
		if err := json.Unmarshal(text, &encoded); err != nil {
			b.t.Fatal(err)
		}
		v, err := url.ParseQuery(encoded)
		if err != nil {
			b.t.Fatal(err)
		}
		q, err := projects.ParseQuery(v)
		if err != nil {
			b.t.Fatal(err)
		}
		if got, page := b.list(q); page.Matched != f.Count || int64(len(got)) != f.Count {
			b.t.Errorf("%s counts %d and lists %d: %v", f.ID, f.Count, page.Matched, got)
		}
	}
	return out.String() + s.Sentence + "\n" + s.SentenceEN + "\n"
}

func TestStatistics(t *testing.T) {
	b := setup(t)
	none := b.figures("2012-01-01", "2012-06-30")
	if want := `K-01 0 d= a= p=0.00 c=
K-02 0 d=0.00 a= p= c=
K-03 0 d=0.00 a=0.00 p= c=0.00
K-04 0 d=0.00 a=0.00 p= c=0.00
K-05 0
K-06 0/0
K-07 0/0
K-08 0/0
K-09 0/0
2012年上半年：没有发生任何项目环节。
First half of 2012: no project took a step.
`; none != want {
		t.Errorf("nothing:\n%s", cmp.Diff(want, none))
	}

	for _, members := range [][]string{
		// Rates 10% and 90%: their mean is 50%, the weighted rate 18%.
		{`declaredAmount:"9000000.00"`, `approvedAmount:"8100000.00"`, `acceptedOn:"2012-01-01"`, `reviewedOn:"2012-06-30"`},
		{`declaredAmount:"1000000.00"`, `approvedAmount:"100000.00"`, `acceptedOn:"2011-12-31"`, `reviewedOn:"2012-01-01"`},
		// Accepted in June, reviewed in July: in different periods.
		{`declaredAmount:"0.01"`, `approvedAmount:"0.00"`, `acceptedOn:"2012-06-30"`, `reviewedOn:"2012-07-01"`},
		// Declared at nothing: counts, and weighs nothing.
		{`declaredAmount:0`, `approvedAmount:0`, `acceptedOn:"2012-03-01"`, `reviewedOn:"2013-03-01"`},
		{`planAmount:"13269000.00"`, `plannedOn:"2012-02-01"`, `planYear:2012`},
		{`tenderFiledOn:"2012-06-30"`, `constructionStartedOn:"2012-06-30"`, `supervised:true`},
		{`tenderFiledOn:"2012-01-01"`, `constructionStartedOn:"2012-03-01"`, `finalAcceptedOn:"2012-06-01"`, `acceptanceResult:"pass_first"`, `supervised:true`},
		{`constructionStartedOn:"2012-01-01"`, `finalAcceptedOn:"2012-06-30"`, `acceptanceResult:"pass_after_rectify"`},
		// Rectified across the year's end: counts when it is concluded.
		{`constructionStartedOn:"2011-12-31"`, `finalAcceptedOn:"2013-01-05"`, `acceptanceResult:"pass_after_rectify"`, `supervised:true`},
		{`finalAcceptedOn:"2012-02-29"`, `acceptanceResult:"fail"`},
		{`declaredAmount:"5.55"`},
	} {
		b.mustDeclare(land, body(members...))
	}
	for _, tt := range []struct{ from, to, want string }{
		{"2012-01-01", "2012-06-30", `K-01 1 d= a= p=13269000.00 c=
K-02 3 d=9000000.01 a= p= c=
K-03 2 d=10000000.00 a=8200000.00 p= c=1800000.00
K-04 2 d=10000000.00 a=8200000.00 p= c=1800000.00 18.00%
K-05 2
K-06 1/3 33.33%
K-07 1/3 33.33%
K-08 2/3 66.67%
K-09 2/3 66.67%
2012年上半年：列入计划项目1个，计划资金1326.9万元；受理项目3个，申报总金额900万元；评审完成项目2个，申报总金额1000万元，审定金额820万元，审减率18%；招标文件备案2个；竣工验收3个，其中一次性合格1个、整改合格1个、不合格1个，合格率66.67%；开工项目3个，监理率66.67%。
First half of 2012: 1 project put into the plan with 1326.9 × 10,000 yuan; 3 projects accepted, declared at 900 × 10,000 yuan; 2 projects reviewed, declared at 1000 and approved at 820 × 10,000 yuan, a cut of 18%; 2 tender documents filed; 3 completion acceptances concluded (1 the first time, 1 after rectification, 1 failed), of which 66.67% passed; 3 projects started construction, 66.67% under supervision.
`},
		{"2012-07-01", "2012-12-31", `K-01 0 d= a= p=0.00 c=
K-02 0 d=0.00 a= p= c=
K-03 1 d=0.01 a=0.00 p= c=0.01
K-04 1 d=0.01 a=0.00 p= c=0.01 100.00%
K-05 0
K-06 0/0
K-07 0/0
K-08 0/0
K-09 0/0
2012年下半年：评审完成项目1个，申报总金额0万元，审定金额0万元，审减率100%。
Second half of 2012: 1 project reviewed, declared at 0 and approved at 0 × 10,000 yuan, a cut of 100%.
`},
		{"2013-01-01", "2013-03-31", `K-01 0 d= a= p=0.00 c=
K-02 0 d=0.00 a= p= c=
K-03 1 d=0.00 a=0.00 p= c=0.00
K-04 1 d=0.00 a=0.00 p= c=0.00
K-05 0
K-06 0/1 0.00%
K-07 1/1 100.00%
K-08 0/0
K-09 1/1 100.00%
2013年第1季度：评审完成项目1个，申报总金额0万元，审定金额0万元；竣工验收1个，其中整改合格1个，合格率100%。
Quarter 1 of 2013: 1 project reviewed, declared at 0 and approved at 0 × 10,000 yuan; 1 completion acceptance concluded (1 after rectification), of which 100% passed.
`},
	} {
		if got := b.figures(tt.from, tt.to); got != tt.want {
			t.Errorf("%s to %s:\n%s", tt.from, tt.to, cmp.Diff(tt.want, got))
		}
	}
	if got := b.figures("", ""); !strings.Contains(got, "历年合计：") || !strings.Contains(got, "K-02 4 ") {
		t.Errorf("all years:\n%s", got)
	}
	_, err := b.store.Statistics(t.Context(), b.view(anonymous), date("2012-02-02"), date("2012-02-01"))
	wantProblem(t, err, problem.Invalid, "query-period", "from")
}

// The figures of the essay of 2012, from a set that has its totals (万元).
func TestStatisticsOfTheEssay(t *testing.T) {
	b := setup(t)
	// n projects that share a total of hundreds of yuan; the last takes the rest.
	shares := func(n int, total int64) []string {
		out := make([]string, n)
		each := total / int64(n) / 10_000 * 10_000
		for i := range out {
			if i == n-1 {
				each = total - each*int64(n-1)
			}
			out[i] = fmt.Sprintf("%d.00", each)
		}
		return out
	}
	for _, a := range shares(20, 13_269_000) {
		b.mustDeclare(egov, body(`plannedOn:"2012-03-15"`, `planAmount:"`+a+`"`))
	}
	declared, approved := shares(17, 79_090_000), shares(17, 47_280_000)
	for i := range declared {
		b.mustDeclare(egov, body(`declaredAmount:"`+declared[i]+`"`, `approvedAmount:"`+approved[i]+`"`, `acceptedOn:"2012-02-01"`, `reviewedOn:"2012-05-01"`))
	}
	for _, a := range shares(10, 111_400_000-79_090_000) {
		b.mustDeclare(egov, body(`declaredAmount:"`+a+`"`, `acceptedOn:"2012-06-30"`))
	}
	for range 13 {
		b.mustDeclare(egov, body(`tenderFiledOn:"2012-04-01"`))
	}
	for i := range 19 {
		result := "pass_first"
		if i >= 16 {
			result = "pass_after_rectify"
		}
		b.mustDeclare(egov, body(`constructionStartedOn:"2012-01-04"`, fmt.Sprintf(`supervised:%v`, i < 17), `finalAcceptedOn:"2012-06-01"`, `acceptanceResult:"`+result+`"`))
	}
	want := `K-01 20 d= a= p=13269000.00 c=
K-02 27 d=111400000.00 a= p= c=
K-03 17 d=79090000.00 a=47280000.00 p= c=31810000.00
K-04 17 d=79090000.00 a=47280000.00 p= c=31810000.00 40.22%
K-05 13
K-06 16/19 84.21%
K-07 3/19 15.79%
K-08 17/19 89.47%
K-09 19/19 100.00%
2012年上半年：列入计划项目20个，计划资金1326.9万元；受理项目27个，申报总金额11140万元；评审完成项目17个，申报总金额7909万元，审定金额4728万元，审减率40.22%；招标文件备案13个；竣工验收19个，其中一次性合格16个、整改合格3个，合格率100%；开工项目19个，监理率89.47%。
First half of 2012: 20 projects put into the plan with 1326.9 × 10,000 yuan; 27 projects accepted, declared at 11140 × 10,000 yuan; 17 projects reviewed, declared at 7909 and approved at 4728 × 10,000 yuan, a cut of 40.22%; 13 tender documents filed; 19 completion acceptances concluded (16 the first time, 3 after rectification), of which 100% passed; 19 projects started construction, 89.47% under supervision.
`
	if got := b.figures("2012-01-01", "2012-06-30"); got != want {
		t.Error(cmp.Diff(want, got))
	}
}
