package projects

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"changde/catalog"
	"changde/postgis"
	"changde/problem"
)

// Step is a step of a project that has a date.
type Step string

// The steps.
const (
	Planned             Step = "planned"              // put into the annual plan 列入计划
	Accepted            Step = "accepted"             // accepted for handling 受理
	Reviewed            Step = "reviewed"             // review concluded 评审完成
	TenderFiled         Step = "tender_filed"         // tender document filed 招标文件备案
	ConstructionStarted Step = "construction_started" // 开工
	FinalAccepted       Step = "final_accepted"       // completion acceptance concluded 竣工验收
)

var steps = []Step{Planned, Accepted, Reviewed, TenderFiled, ConstructionStarted, FinalAccepted}

const (
	defaultLimit = 50
	maxLimit     = 1000
	maxSearch    = 100 // runes
)

// Query says which projects are asked for. The zero value asks for the first
// page of all. In a URL it is q, step, from, to, result, supervised, limit and
// after; ParseQuery and Values go between the two forms.
type Query struct {
	Search     string    // part of the code, a name or the construction unit, letter case aside
	Step       Step      // only projects with a date for the step
	From, To   time.Time // days that the date of Step lies between, both included; zero is open
	Results    []string  // only these acceptance results; empty: any
	Supervised *bool     // only with, or only without, a supervision contract
	Limit      int       // of a page: 50 when 0, at most 1,000
	After      string    // continue after this code
}

// ParseQuery reads the parameters of a URL; others than those of Query are the
// caller's to look at. A value of the wrong form is problem.Invalid.
func ParseQuery(v url.Values) (Query, error) {
	q := Query{Search: v.Get("q"), Step: Step(v.Get("step")), After: v.Get("after")}
	for name, into := range map[string]*time.Time{"from": &q.From, "to": &q.To} {
		if s := v.Get(name); s != "" {
			d, err := ParseDate(s)
			if err != nil {
				p := err.(*problem.Error)
				return Query{}, problem.New(p.Kind, p.Code, name, p.ZH, p.EN)
			}
			*into, _ = time.Parse(time.DateOnly, string(d))
		}
	}
	if s := v.Get("result"); s != "" {
		q.Results = strings.Split(s, ",")
	}
	if s := v.Get("supervised"); s != "" {
		b := s == "true"
		if !b && s != "false" {
			return Query{}, invalid("query-supervised", "supervised", "supervised 应为 true 或 false", "supervised is true or false")
		}
		q.Supervised = &b
	}
	if s := v.Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return Query{}, invalid("query-limit", "limit", "limit 应为正整数", "limit is a positive whole number")
		}
		q.Limit = n
	}
	return q, q.check()
}

// Values is the inverse of ParseQuery.
func (q Query) Values() url.Values {
	v := url.Values{}
	set := func(name, value string) {
		if value != "" {
			v.Set(name, value)
		}
	}
	set("q", q.Search)
	set("step", string(q.Step))
	set("after", q.After)
	set("result", strings.Join(q.Results, ","))
	for name, t := range map[string]time.Time{"from": q.From, "to": q.To} {
		if !t.IsZero() {
			v.Set(name, t.Format(time.DateOnly))
		}
	}
	if q.Supervised != nil {
		v.Set("supervised", strconv.FormatBool(*q.Supervised))
	}
	if q.Limit != 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	return v
}

// MarshalJSON writes the query of a URL as a text.
func (q Query) MarshalJSON() ([]byte, error) { return json.Marshal(q.Values().Encode()) }

func (q *Query) check() error {
	switch {
	case utf8.RuneCountInString(q.Search) > maxSearch:
		return invalid("query-search", "q", fmt.Sprintf("检索词最长 %d 个字", maxSearch), fmt.Sprintf("a search has at most %d characters", maxSearch))
	case !utf8.ValidString(q.Search) || strings.IndexByte(q.Search, 0) >= 0:
		return invalid("query-search", "q", "检索词不是有效的 UTF-8", "the search is not valid UTF-8")
	case q.Step != "" && !slices.Contains(steps, q.Step):
		return invalid("query-step", "step", fmt.Sprintf("step 应为以下之一：%v", steps), fmt.Sprintf("step is one of %v", steps))
	case q.Step == "" && (!q.From.IsZero() || !q.To.IsZero()):
		return invalid("query-step", "step", "有 from 或 to 时必须给出 step，即哪一环节的日期", "with from or to, step says which date is meant")
	case q.After != "" && !projectCode.MatchString(q.After):
		return invalid("query-after", "after", "after 应为上一页的项目编号", "after is a project's code, as the page before gave it")
	}
	for _, r := range q.Results {
		if _, ok := results[r]; !ok {
			return invalid("query-result", "result", "result 应为 pass_first、pass_after_rectify、fail 之一或其组合", "result is pass_first, pass_after_rectify, fail, or several with commas between them")
		}
	}
	return period(q.From, q.To)
}

func period(from, to time.Time) error {
	if !from.IsZero() && !to.IsZero() && day(from) > day(to) {
		return invalid("query-period", "from", "起始日期晚于截止日期", "the first day is after the last")
	}
	return nil
}

// day is the calendar day of t where t is.
func day(t time.Time) string { return t.Format(time.DateOnly) }

// Page is part of a list, by code.
type Page struct {
	Projects []Summary `json:"projects"`
	Matched  int64     `json:"numberMatched"` // on all pages
	Next     string    `json:"next,omitempty"`
}

// List returns a page of the projects that match, by code, and how many there
// are, both as of one moment. A query of the wrong form is problem.Invalid or
// TooLarge; a view without the dataset "projects" gives problem.NotFound.
func (s *Store) List(ctx context.Context, view catalog.View, q Query) (Page, error) {
	if _, ok := view.Dataset(projectsDataset); !ok {
		return Page{}, projectNotFound("")
	}
	if err := q.check(); err != nil {
		return Page{}, err
	}
	switch {
	case q.Limit <= 0:
		q.Limit = defaultLimit
	case q.Limit > maxLimit:
		q.Limit = maxLimit
	}
	var page Page
	err := pgx.BeginTxFunc(ctx, s.pool, reading, func(tx pgx.Tx) error {
		count := new(postgis.SQL).Raw("SELECT count(*) FROM changde.projects p WHERE ").Add(q.where())
		if err := tx.QueryRow(ctx, count.String(), count.Args()...).Scan(&page.Matched); err != nil {
			return err
		}
		list := new(postgis.SQL).Raw("SELECT " + summaryColumns + " FROM changde.projects p WHERE ").Add(q.where()).
			Raw(" AND p.code > ").Arg(q.After).Raw(` ORDER BY p.code LIMIT `).Arg(q.Limit + 1)
		rows, err := tx.Query(ctx, list.String(), list.Args()...)
		if err != nil {
			return err
		}
		page.Projects, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (s Summary, err error) {
			err = scanSummary(row, &s)
			return s, err
		})
		return err
	})
	if err != nil {
		return Page{}, postgis.Fault(ctx, err, "list projects")
	}
	if len(page.Projects) > q.Limit {
		page.Projects = page.Projects[:q.Limit]
		page.Next = page.Projects[q.Limit-1].Code
	}
	return page, nil
}

var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// where is the condition on changde.projects p, whatever the page. Lists and
// figures have it from here, so that a figure and the list it opens agree.
func (q *Query) where() *postgis.SQL {
	var terms []*postgis.SQL
	if q.Search != "" {
		pattern := "%" + likeEscaper.Replace(q.Search) + "%"
		terms = append(terms, new(postgis.SQL).Raw("(p.code ILIKE ").Arg(pattern).Raw(" OR p.name_zh ILIKE ").Arg(pattern).
			Raw(" OR p.name_en ILIKE ").Arg(pattern).Raw(" OR p.construction_unit ILIKE ").Arg(pattern).Raw(")"))
	}
	if q.Step != "" {
		date := new(postgis.SQL).Ident("p", string(q.Step)+"_on")
		terms = append(terms, new(postgis.SQL).Add(date).Raw(" IS NOT NULL"))
		if !q.From.IsZero() {
			terms = append(terms, new(postgis.SQL).Add(date).Raw(" >= ").Arg(day(q.From)).Raw("::text::date"))
		}
		if !q.To.IsZero() {
			terms = append(terms, new(postgis.SQL).Add(date).Raw(" <= ").Arg(day(q.To)).Raw("::text::date"))
		}
	}
	if len(q.Results) > 0 {
		terms = append(terms, new(postgis.SQL).Raw("p.acceptance_result = ANY(").Arg(q.Results).Raw("::text[])"))
	}
	if q.Supervised != nil {
		terms = append(terms, new(postgis.SQL).Raw("p.supervised = ").Arg(*q.Supervised))
	}
	if len(terms) == 0 {
		return new(postgis.SQL).Raw("true")
	}
	return new(postgis.SQL).Join(" AND ", terms...)
}
