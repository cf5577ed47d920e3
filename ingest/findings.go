package ingest

import (
	"context"
	"fmt"
	"sort"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/twpayne/go-geom"

	"changde/postgis"
)

// Action is what was done with the row of a finding.
type Action string

// The actions.
const (
	Refused  Action = "refused"  // the row is not in the release
	Repaired Action = "repaired" // its geometry was mended
	Noted    Action = "noted"    // it is in the release as the finding says
)

// Finding is one thing about one row that the sender must be told.
type Finding struct {
	Row    int64       `json:"row"` // in the file, from 1
	File   string      `json:"file,omitempty"`
	Code   string      `json:"code"`
	Action Action      `json:"action"`
	Field  string      `json:"field,omitempty"`
	ZH     string      `json:"zh"`
	EN     string      `json:"en"`
	Place  *[2]float64 `json:"place,omitempty"` // longitude, latitude
}

// findings collects a delivery's findings from several goroutines: rows are
// counted by action and findings by code, and the first findings kept.
type findings struct {
	mutex  sync.Mutex
	max    int
	kept   []Finding
	counts map[Action]int64
	codes  map[string]int64
}

func newFindings(max int) *findings {
	return &findings{max: max, counts: make(map[Action]int64), codes: make(map[string]int64)}
}

// add takes all that was found of one row at once. The row counts once, under
// the gravest action.
func (f *findings) add(row ...Finding) {
	if len(row) == 0 {
		return
	}
	f.mutex.Lock()
	defer f.mutex.Unlock()
	gravest := Noted
	for _, found := range row {
		if found.Action == Refused || found.Action == Repaired && gravest == Noted {
			gravest = found.Action
		}
		f.codes[found.Code]++
		if len(f.kept) >= f.max {
			continue
		}
		if found.File != "" {
			found.ZH, found.EN = found.File+"："+found.ZH, found.File+": "+found.EN
		}
		f.kept = append(f.kept, found)
	}
	f.counts[gravest]++
}

func (f *findings) count(a Action) int64 {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return f.counts[a]
}

// save writes the findings in the order of rows.
func (f *findings) save(ctx context.Context, tx pgx.Tx, delivery int64) error {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	sort.SliceStable(f.kept, func(i, j int) bool { return f.kept[i].Row < f.kept[j].Row })
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"changde", "findings"},
		[]string{"delivery", "n", "row_number", "code", "action", "field", "reason_zh", "reason_en", "place"},
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
			return []any{delivery, int32(n + 1), k.Row, k.Code, string(k.Action), cleanText(k.Field), cleanText(k.ZH), cleanText(k.EN), place}, nil
		}))
	if err != nil {
		return fmt.Errorf("save findings of delivery %d: %w", delivery, err)
	}
	return nil
}
