package projects

import (
	"context"
	"fmt"
	"math/big"
	"time"

	"changde/catalog"
	"changde/postgis"
)

// Statistics are the figures of a period. Every figure carries the query of the
// list that it counts.
type Statistics struct {
	From       *Date    `json:"from"` // first day; null: open
	To         *Date    `json:"to"`   // last day, included; null: open
	Figures    []Figure `json:"figures"`
	Sentence   string   `json:"sentence"`
	SentenceEN string   `json:"sentenceEn"`
}

// Figure is one figure. Count is how many projects Query lists. A rate is in per
// cent with two decimals, rounded half away from zero, and null when what it
// would be divided by is zero; where it is a share of projects, Base is how many
// they are and BaseQuery lists them.
type Figure struct {
	ID        string   `json:"id"`
	Title     string   `json:"title"`
	TitleEN   string   `json:"titleEn"`
	Count     int64    `json:"count"`
	Base      *int64   `json:"base,omitempty"`
	Amounts   *Amounts `json:"amounts,omitempty"`
	Rate      *string  `json:"rate"`
	Query     Query    `json:"query"`
	BaseQuery *Query   `json:"baseQuery,omitempty"`
}

// Amounts are totals in yuan, exact, with two decimals; empty where the figure
// has no such total.
type Amounts struct {
	Declared string `json:"declared,omitempty"`
	Approved string `json:"approved,omitempty"`
	Plan     string `json:"plan,omitempty"`
	Cut      string `json:"cut,omitempty"`
}

// definition is how a figure is made: of the projects that query lists, in the
// period; the rate is their share of what base lists, or the cut.
type definition struct {
	id, zh, en string
	query      Query
	base       *Query
	plan       bool // has a total of plan amounts
	declared   bool
	approved   bool // has totals of approved amounts and of cuts
	cutRate    bool
}

func yes() *bool { b := true; return &b }

// definitions are K-01 to K-09. The period is that of the step the figure counts,
// so that a project accepted in June and reviewed in July is in two half-years.
func definitions() []definition {
	concluded := Query{Step: FinalAccepted}
	return []definition{
		{id: "K-01", zh: "计划项目", en: "Planned projects", query: Query{Step: Planned}, plan: true},
		{id: "K-02", zh: "受理项目", en: "Declarations accepted", query: Query{Step: Accepted}, declared: true},
		{id: "K-03", zh: "评审完成项目", en: "Projects reviewed", query: Query{Step: Reviewed}, declared: true, approved: true},
		{id: "K-04", zh: "审减率", en: "Cut rate", query: Query{Step: Reviewed}, declared: true, approved: true, cutRate: true},
		{id: "K-05", zh: "招标文件备案", en: "Tender documents filed", query: Query{Step: TenderFiled}},
		{
			id: "K-06", zh: "一次性验收合格率", en: "Passed acceptance the first time",
			query: Query{Step: FinalAccepted, Results: []string{"pass_first"}}, base: &concluded,
		},
		{
			id: "K-07", zh: "整改合格占比", en: "Passed acceptance after rectification",
			query: Query{Step: FinalAccepted, Results: []string{"pass_after_rectify"}}, base: &concluded,
		},
		{
			id: "K-08", zh: "项目监理率", en: "Supervision rate",
			query: Query{Step: ConstructionStarted, Supervised: yes()}, base: &Query{Step: ConstructionStarted},
		},
		{
			id: "K-09", zh: "竣工验收合格率", en: "Acceptance pass rate",
			query: Query{Step: FinalAccepted, Results: []string{"pass_first", "pass_after_rectify"}}, base: &concluded,
		},
	}
}

// Statistics computes the figures of the days from to to, both included, in
// their own location; zero is open. They are of one moment.
//
// K-04 is weighted, (Σ declared − Σ approved) / Σ declared over the projects
// reviewed, not the mean of their rates. K-06, K-07 and K-09 are shares of the
// acceptances concluded, K-08 of the projects that entered construction.
//
// A period that ends before it begins is problem.Invalid; a view without the
// dataset "projects" gives problem.NotFound.
func (s *Store) Statistics(ctx context.Context, view catalog.View, from, to time.Time) (*Statistics, error) {
	if _, ok := view.Dataset(projectsDataset); !ok {
		return nil, projectNotFound("")
	}
	if err := period(from, to); err != nil {
		return nil, err
	}
	defs := definitions()
	within := func(q Query) Query {
		q.From, q.To = from, to
		return q
	}
	// One statement over the table, so that all figures are of one moment.
	sql := new(postgis.SQL).Raw("SELECT ")
	counts, bases := make([]int64, len(defs)), make([]int64, len(defs))
	declared, approved, plan := make([]string, len(defs)), make([]string, len(defs)), make([]string, len(defs))
	var into []any
	for i, d := range defs {
		q := within(d.query)
		if i > 0 {
			sql.Raw(", ")
		}
		sql.Raw("count(*) FILTER (WHERE ").Add(q.where()).Raw("), count(*) FILTER (WHERE ")
		if d.base == nil {
			sql.Raw("false")
		} else {
			b := within(*d.base)
			sql.Add(b.where())
		}
		sql.Raw("), coalesce(sum(p.declared_amount) FILTER (WHERE ").Add(q.where()).
			Raw("), 0.00)::text, coalesce(sum(p.approved_amount) FILTER (WHERE ").Add(q.where()).
			Raw("), 0.00)::text, coalesce(sum(p.plan_amount) FILTER (WHERE ").Add(q.where()).Raw("), 0.00)::text")
		into = append(into, &counts[i], &bases[i], &declared[i], &approved[i], &plan[i])
	}
	sql.Raw(" FROM changde.projects p")
	if err := s.pool.QueryRow(ctx, sql.String(), sql.Args()...).Scan(into...); err != nil {
		return nil, postgis.Fault(ctx, err, "compute statistics")
	}
	out := &Statistics{From: dateOf(from), To: dateOf(to)}
	for i, d := range defs {
		f := Figure{ID: d.id, Title: d.zh, TitleEN: d.en, Count: counts[i], Query: within(d.query)}
		if err := f.total(d, declared[i], approved[i], plan[i]); err != nil {
			return nil, fmt.Errorf("compute %s: %w", d.id, err)
		}
		if d.base != nil {
			b := within(*d.base)
			f.Base, f.BaseQuery = &bases[i], &b
			f.Rate = percent(big.NewRat(counts[i], 1), big.NewRat(bases[i], 1))
		}
		out.Figures = append(out.Figures, f)
	}
	var err error
	if out.Sentence, out.SentenceEN, err = sentences(out, from, to); err != nil {
		return nil, fmt.Errorf("write the sentence: %w", err)
	}
	return out, nil
}

func (f *Figure) total(d definition, declared, approved, plan string) error {
	if !d.plan && !d.declared {
		return nil
	}
	f.Amounts = new(Amounts)
	if d.plan {
		f.Amounts.Plan = plan
	}
	if d.declared {
		f.Amounts.Declared = declared
	}
	if !d.approved {
		return nil
	}
	whole, err := sum(declared)
	if err != nil {
		return err
	}
	rest, err := sum(approved)
	if err != nil {
		return err
	}
	cut := new(big.Rat).Sub(whole, rest)
	f.Amounts.Approved, f.Amounts.Cut = approved, cut.FloatString(2)
	if d.cutRate {
		f.Rate = percent(cut, whole)
	}
	return nil
}

func dateOf(t time.Time) *Date {
	if t.IsZero() {
		return nil
	}
	d := Date(day(t))
	return &d
}
