package ingest_test

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"changde/ingest"
)

// cell is a feature of the tests: a key, a class, a remark, and where it lies in
// steps of a thousandth of a degree.
type cell struct {
	k            int
	class, note  string
	x, y         float64
	flag         string // of a differential delivery, empty in others
	extraColumns string
}

func cells(t testing.TB, rows ...cell) string {
	var features []string
	for _, s := range rows {
		x, y, side := 111.3+s.x*0.001, 28.6+s.y*0.001, 0.0009+1e-7*float64(s.k%10)
		flag := ""
		if s.flag != "" {
			flag = fmt.Sprintf(`,"bgzt":%q`, s.flag)
		}
		features = append(features, fmt.Sprintf(`{"type":"Feature","properties":{"k":"K%d","dl":%q,"note":%q%s%s},"geometry":{"type":"Polygon","coordinates":[[[%[6]g,%[7]g],[%[8]g,%[7]g],[%[8]g,%[9]g],[%[6]g,%[9]g],[%[6]g,%[7]g]]]}}`,
			s.k, s.class, s.note, s.extraColumns, flag, x, y, x+side, y+side))
	}
	return file(t, "cells.geojson", `{"type":"FeatureCollection","features":[`+strings.Join(features, ",")+`]}`)
}

// grid are 100 cells, ten a row, of four classes.
func grid() []cell {
	var out []cell
	for n := range 100 {
		out = append(out, cell{k: n, class: fmt.Sprint(n % 4), note: "甲", x: float64(n % 10), y: float64(n / 10)})
	}
	return out
}

// checkStatistics compares the last release's statistics and extent, which a
// difference brings up to date, with the rows there are.
func (b bundle) checkStatistics() {
	b.Helper()
	var stored []byte
	var extent []float64
	var rows int64
	if err := b.pool.QueryRow(b.Context(), "SELECT statistics, extent, rows FROM changde.releases WHERE dataset = 'p' ORDER BY release DESC LIMIT 1").Scan(&stored, &extent, &rows); err != nil {
		b.Fatal(err)
	}
	var got ingest.Statistics
	if err := json.Unmarshal(stored, &got); err != nil {
		b.Fatal(err)
	}
	classes, total := make(map[string]ingest.ClassCount), int64(0)
	found, err := b.pool.Query(b.Context(), "SELECT coalesce(dl, ''), count(*), sum(ST_Area(geom::geography)) FROM data.p GROUP BY 1")
	if err != nil {
		b.Fatal(err)
	}
	defer found.Close()
	for found.Next() {
		var c ingest.ClassCount
		if err := found.Scan(&c.Class, &c.Rows, &c.Area); err != nil {
			b.Fatal(err)
		}
		classes[c.Class] = c
		total += c.Rows
	}
	if got.Rows != total || rows != total || len(got.Classes) != len(classes) {
		b.Errorf("statistics tell %d rows in %d classes, the release %d rows; there are %d in %d", got.Rows, len(got.Classes), rows, total, len(classes))
	}
	for _, c := range got.Classes {
		want := classes[c.Class]
		if c.Rows != want.Rows || math.Abs(c.Area-want.Area) > 2e-5*want.Area {
			b.Errorf("statistics tell %+v, PostGIS %+v", c, want)
		}
	}
	box := b.rows("SELECT ST_XMin(e), ST_YMin(e), ST_XMax(e), ST_YMax(e) FROM (SELECT ST_Extent(geom) e FROM data.p) x")
	if given := strings.Trim(fmt.Sprint(extent), "[]"); given != box {
		b.Errorf("the extent is told as %s, PostGIS has %s", given, box)
	}
}

// What a differential delivery changes is listed with its values, and statistics
// and extent are those of the rows afterwards, whatever changed of them.
func TestChangesAreListedAndCounted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deliver(ingest.Request{Files: []string{cells(t, grid()...)}, Dataset: "p", Settings: ingest.Settings{BusinessKey: "k", Class: "dl", Label: "note"}})
	b.checkStatistics()
	changes := func(rows ...cell) *ingest.Report {
		t.Helper()
		report := b.deliver(ingest.Request{Files: []string{cells(t, rows...)}, Dataset: "p", Mode: ingest.Changes})
		b.checkStatistics()
		return report
	}
	at := func(k int) cell { return grid()[k] }
	edit := func(k int, flag string, f func(*cell)) cell {
		s := at(k)
		s.flag = flag
		f(&s)
		return s
	}
	report := changes(
		edit(11, "U", func(s *cell) { s.note = "乙" }),
		edit(12, "U", func(s *cell) { s.class = "9" }),
		edit(13, "U", func(s *cell) { s.x += 0.1 }),
		edit(14, "U", func(*cell) {}),
		edit(0, "D", func(s *cell) { s.note = "不在了" }),
		cell{k: 200, class: "1", note: "新", x: 12, y: 3, flag: "I"},
	)
	d := report.Difference
	if d.Added != 1 || d.Removed != 1 || d.Changed != 3 || d.Moved != 1 || d.Unchanged != 96 || !d.InPlace {
		t.Errorf("difference %+v", d)
	}
	if got := fmt.Sprint(d.Fields); got != "[{dl 1} {note 1}]" {
		t.Errorf("changed fields %s", got)
	}
	list := fmt.Sprintf("difference.d%d", report.Delivery)
	want := `removed K0 甲 <nil> false 1 <nil> - -
changed K11 乙 note false 12 1 {"note": "甲"} {"note": "乙"}
changed K12 甲 dl false 13 2 {"dl": "0"} {"dl": "9"}
changed K13 甲  true 14 3 - -
added K200 新 <nil> false <nil> 6 - -`
	if got := b.rows(`SELECT kind, key, label, fields, moved, before_fid, row_number, coalesce(before::text, '-'), coalesce(after::text, '-') FROM ` + list + ` ORDER BY key`); got != want {
		t.Errorf("listed is\n%s\nwant\n%s", got, want)
	}
	if got := b.rows(`SELECT count(*), count(DISTINCT l.fid), bool_and(l.geom = p.geom) FROM ` + list + ` l JOIN data.p p ON p.k = l.key`); got != "4 4 true" {
		t.Errorf("the shapes of the list: %s", got)
	}
	var columns []string
	for _, c := range ingest.DifferenceColumns(true) {
		columns = append(columns, c.Name)
	}
	checkList := func(id int64) {
		t.Helper()
		got := b.rows(`SELECT string_agg(attname, ' ' ORDER BY attname) FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND NOT attname = ANY($2)`,
			fmt.Sprintf("difference.d%d", id), columns)
		if got != "fid geom span" {
			t.Errorf("the list has the columns %s beside those it shows", got)
		}
	}
	checkList(report.Delivery)
	// The outermost goes, and one that only looks so is edited.
	changes(cell{k: 200, class: "1", x: 12, y: 3, flag: "D"}, edit(99, "U", func(s *cell) { s.note = "丙" }))
	// What somebody has to decide on is written later, where the rows may lie elsewhere.
	var many []cell
	for k := 40; k < 70; k++ {
		many = append(many, edit(k, "D", func(*cell) {}))
	}
	many = append(many, edit(80, "U", func(s *cell) { s.note = "丁" }))
	report, err := b.try(ingest.Request{Files: []string{cells(t, many...)}, Dataset: "p", Mode: ingest.Changes})
	if err != nil || report.State != ingest.StateAwaiting {
		t.Fatalf("%+v, %v", report, err)
	}
	checkList(report.Delivery)
	if _, err := b.pool.Exec(t.Context(), "VACUUM FULL content.p_d1"); err != nil {
		t.Fatal(err)
	}
	if err := b.Decide(t.Context(), report.Delivery, ingest.Approve, ingest.Decider{Actor: "k", Admin: true}); err != nil {
		t.Fatal(err)
	}
	b.checkStatistics()
	if got := b.rows(`SELECT count(*), max(note) FILTER (WHERE k = 'K80') FROM data.p`); got != "69 丁" {
		t.Errorf("approved: %s", got)
	}
}

// A business key that a differential delivery names twice blocks it, whatever the
// type of the key.
func TestChangesNameARowOnce(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"k", "number"} {
		b := setup(t)
		rows := grid()
		for n := range rows {
			rows[n].extraColumns = fmt.Sprintf(`,"number":%d.5`, n)
		}
		b.deliver(ingest.Request{Files: []string{cells(t, rows...)}, Dataset: "p", Settings: ingest.Settings{BusinessKey: key}})
		twice := []cell{rows[5], rows[6], rows[5]}
		for n := range twice {
			twice[n].flag, twice[n].note = "U", fmt.Sprint(n)
		}
		report, err := b.try(ingest.Request{Files: []string{cells(t, twice...)}, Dataset: "p", Mode: ingest.Changes, Confirm: true})
		if err == nil || report.Codes["key-duplicate"] != 2 {
			t.Errorf("a %s that is named twice: %v, findings %v", key, err, report.Codes)
		}
		twice = twice[:2]
		if report := b.deliver(ingest.Request{Files: []string{cells(t, twice...)}, Dataset: "p", Mode: ingest.Changes}); report.Difference.Changed != 2 {
			t.Errorf("by %s %d rows changed, want 2", key, report.Difference.Changed)
		}
	}
}

// The span of neighbours of about one size is one, no less than the shape's and
// hardly more; and the rows of a load need not be written again when they are read.
func TestRowsLieReady(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deliver(ingest.Request{Files: []string{cells(t, grid()...)}, Dataset: "p", Settings: ingest.Settings{BusinessKey: "k"}})
	got := b.rows(`SELECT count(DISTINCT span), bool_and(span::float8 BETWEEN s * 0.999999 AND s * 1.07) FROM
		(SELECT span, greatest(ST_XMax(geom) - ST_XMin(geom), ST_YMax(geom) - ST_YMin(geom)) AS s FROM content.p_d1) r`)
	if got != "1 true" {
		t.Errorf("spans: %s", got)
	}
	if got := b.rows(`SELECT relpages > 0 AND relallvisible = relpages FROM pg_class WHERE oid = 'content.p_d1'::regclass`); got != "true" {
		t.Errorf("all pages are visible to all: %s", got)
	}
}

// A differential delivery that another release overtakes is compared with that one:
// the rows have moved since it was compared first.
func TestChangesAreOvertaken(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deliver(ingest.Request{Files: []string{cells(t, grid()...)}, Dataset: "p", Settings: ingest.Settings{BusinessKey: "k", Class: "dl"}})
	edit := func(note string) ingest.Request {
		rows := grid()[20:25]
		for n := range rows {
			rows[n].flag, rows[n].note = "U", note
		}
		return ingest.Request{Files: []string{cells(t, rows...)}, Dataset: "p", Mode: ingest.Changes, Confirm: true}
	}
	b.deliver(edit("乙"))
	report, err := b.run(edit("丙"), ingest.Publishing, func() {
		if _, err := b.Rollback(t.Context(), "p", 1, ingest.Decider{}); err != nil {
			t.Error(err)
		}
	})
	if err != nil || report.Release != 4 || report.Difference.From != 3 || report.Difference.Changed != 5 {
		t.Fatalf("%+v, %v", report, err)
	}
	b.checkStatistics()
	if got := b.rows(`SELECT before->>'note', after->>'note', count(*) FROM difference.d3 GROUP BY 1, 2`); got != "甲 丙 5" {
		t.Errorf("listed: %s", got)
	}
	if got := b.rows(`SELECT note, count(*) FROM data.p GROUP BY 1 ORDER BY 2`); got != "丙 5\n甲 95" {
		t.Errorf("the rows are %s", got)
	}
	if got := b.rows(`SELECT count(*), count(DISTINCT (fid, rev)) FROM content.p_d1_h`); got != "15 15" {
		t.Errorf("the history: %s", got)
	}
}
