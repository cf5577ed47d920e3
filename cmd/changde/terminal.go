package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	"golang.org/x/term"

	"changde/ingest"
)

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

var phaseNames = map[ingest.Phase]string{
	ingest.Loading:    "读取入库 load",
	ingest.Checking:   "检查修复 check",
	ingest.Rules:      "质量规则 rules",
	ingest.Comparing:  "比对 compare",
	ingest.Indexing:   "建立索引 index",
	ingest.Tiling:     "切瓦片 tiles",
	ingest.Publishing: "发布 publish",
}

// showProgress shows how far a run of ingest is, by its phases.
func showProgress(w io.Writer) (show func(ingest.Progress), done func()) {
	count, done := showCount(w)
	return func(p ingest.Progress) { count(phaseNames[p.Phase], p.Done, p.Total) }, done
}

// showCount draws a bar for each step on a terminal, and elsewhere prints a line for
// each step and every few seconds of a long one. total is 0 when it is not known. show
// may be called by several goroutines; done ends the drawing.
func showCount(w io.Writer) (show func(step string, n, total int64), done func()) {
	if isTerminal(w) {
		return progressBar(w)
	}
	var mutex sync.Mutex
	var current string
	var last time.Time
	return func(step string, n, total int64) {
		mutex.Lock()
		defer mutex.Unlock()
		if step == current && time.Since(last) < 5*time.Second {
			return
		}
		current, last = step, time.Now()
		switch {
		case total > 0:
			fmt.Fprintf(w, "%s %d/%d (%d%%)\n", step, n, total, n*100/total)
		case n > 0:
			fmt.Fprintf(w, "%s %d\n", step, n)
		default:
			fmt.Fprintln(w, step)
		}
	}, func() {}
}

func progressBar(w io.Writer) (show func(step string, n, total int64), done func()) {
	writer := progress.NewWriter()
	writer.SetOutputWriter(w)
	writer.SetAutoStop(false)
	writer.SetTrackerPosition(progress.PositionRight)
	writer.SetUpdateFrequency(100 * time.Millisecond)
	writer.Style().Visibility.ETA = true
	go writer.Render()
	var mutex sync.Mutex
	trackers := make(map[string]*progress.Tracker)
	var current *progress.Tracker
	return func(step string, n, total int64) {
			mutex.Lock()
			defer mutex.Unlock()
			t, ok := trackers[step]
			if !ok {
				if current != nil {
					current.MarkAsDone()
				}
				t = &progress.Tracker{Message: step, Total: total, Units: progress.UnitsDefault}
				trackers[step], current = t, t
				writer.AppendTracker(t)
			}
			t.UpdateTotal(total)
			t.SetValue(n)
		}, func() {
			mutex.Lock()
			if current != nil {
				current.MarkAsDone()
			}
			mutex.Unlock()
			time.Sleep(150 * time.Millisecond) // the last frame
			writer.Stop()
		}
}
