package ingest

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/twpayne/go-geom"

	"changde/ingest/finding"
	"changde/postgis"
)

// ruleOf names the rule (domain 4.10) that a finding of the loader falls under.
// What is not listed is a matter of reading the file, Q01.
var ruleOf = map[string]string{
	"geometry-type": "Q02",
	"outside-box":   "Q03", "coordinates-not-finite": "Q03",
	"geometry-missing": "Q04", "geometry-invalid": "Q04", "ordinates-changed": "Q04", "geometry-unstorable": "Q04", "geometry-corrupt": "Q04",
	"insert-present": "Q12", "update-missing": "Q12", "delete-missing": "Q12", "key-duplicate": "Q12", "key-missing": "Q12",
	"change-flag": "Q12", "count-changed": "Q20", "area-changed": "Q20", "rows-turned-over": "Q20",
}

// graded gives a finding of the loader its rule and severity.
func graded(f finding.Finding) finding.Finding {
	if f.Rule == "" {
		f.Rule = ruleOf[f.Code]
	}
	if f.Rule == "" {
		f.Rule = "Q01"
	}
	if f.Severity == "" {
		f.Severity = finding.Warn
		if f.Action == finding.Refused {
			f.Severity = finding.Error
		}
	}
	return f
}

// findings collects a delivery's findings from several goroutines: rows are
// counted by action and findings by code, and the first findings kept.
type findings struct {
	mutex  sync.Mutex
	max    int
	kept   []finding.Finding
	counts map[finding.Action]int64
	codes  map[string]int64
	grades map[finding.Severity]int64
	rules  map[string]int64
}

func newFindings(max int) *findings {
	return &findings{
		max: max, counts: make(map[finding.Action]int64), codes: make(map[string]int64), grades: make(map[finding.Severity]int64),
		rules: make(map[string]int64),
	}
}

// gravest is the action under which a row counts of which all this was found.
func gravest(row []finding.Finding) finding.Action {
	most := finding.Noted
	for _, f := range row {
		if f.Action == finding.Refused || f.Action == finding.Repaired && most == finding.Noted {
			most = f.Action
		}
	}
	return most
}

// add takes all that was found of one row at once. The row counts once, under
// the gravest action.
func (f *findings) add(row ...finding.Finding) {
	if len(row) == 0 {
		return
	}
	f.mutex.Lock()
	defer f.mutex.Unlock()
	for _, found := range row {
		found = graded(found)
		f.codes[found.Code]++
		f.grades[found.Severity]++
		f.rules[found.Rule]++
		if len(f.kept) >= f.max {
			continue
		}
		f.kept = append(f.kept, found)
	}
	f.counts[gravest(row)]++
}

// withdraw takes back what one add was given.
func (f *findings) withdraw(row ...finding.Finding) {
	if len(row) == 0 {
		return
	}
	f.mutex.Lock()
	defer f.mutex.Unlock()
	for _, found := range row {
		found = graded(found)
		f.grades[found.Severity]--
		f.rules[found.Rule]--
		if f.codes[found.Code]--; f.codes[found.Code] == 0 {
			delete(f.codes, found.Code)
		}
		if n := slices.Index(f.kept, found); n >= 0 {
			f.kept = slices.Delete(f.kept, n, n+1)
		}
	}
	f.counts[gravest(row)]--
}

func (f *findings) count(a finding.Action) int64 {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return f.counts[a]
}

// altered counts the rows that were repaired or refused.
func (f *findings) altered() int64 {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return f.counts[finding.Repaired] + f.counts[finding.Refused]
}

// save writes the findings in the order of rows, in the place of those that were
// saved before.
func (f *findings) save(ctx context.Context, tx pgx.Tx, delivery int64) error {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if _, err := tx.Exec(ctx, "DELETE FROM changde.findings WHERE delivery = $1", delivery); err != nil {
		return fmt.Errorf("save findings of delivery %d: %w", delivery, err)
	}
	sort.SliceStable(f.kept, func(i, j int) bool { return f.kept[i].Row < f.kept[j].Row })
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"changde", "findings"},
		[]string{"delivery", "n", "row_number", "file", "rule", "code", "severity", "action", "field", "reason_zh", "reason_en", "before", "after", "place"},
		pgx.CopyFromSlice(len(f.kept), func(n int) ([]any, error) {
			k := f.kept[n]
			var place []byte
			if k.Place != nil {
				var err error
				point := geom.NewPointFlat(geom.XY, k.Place[:])
				if place, err = postgis.AppendEWKB(nil, point, storageSRID); err != nil {
					return nil, err
				}
			}
			return []any{
				delivery, int32(n + 1), k.Row, cleanText(k.File), k.Rule, k.Code, string(k.Severity), string(k.Action), cleanText(k.Field),
				cleanText(k.ZH), cleanText(k.EN), cleanText(k.Before), cleanText(k.After), place,
			}, nil
		}))
	if err != nil {
		return fmt.Errorf("save findings of delivery %d: %w", delivery, err)
	}
	return nil
}

// Finding is what was found of a delivery.
type Finding = finding.Finding
