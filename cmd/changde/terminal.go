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

// showProgress draws a bar on a terminal, and elsewhere prints a line for each
// phase and every few seconds of a long one. done ends the drawing.
func showProgress(w io.Writer) (show func(ingest.Progress), done func()) {
	if isTerminal(w) {
		return progressBar(w)
	}
	var mutex sync.Mutex
	var phase ingest.Phase
	var last time.Time
	return func(p ingest.Progress) {
		mutex.Lock()
		defer mutex.Unlock()
		if p.Phase == phase && time.Since(last) < 5*time.Second {
			return
		}
		phase, last = p.Phase, time.Now()
		switch {
		case p.Phase != ingest.Loading:
			fmt.Fprintln(w, phaseNames[p.Phase])
		case p.Total > 0:
			fmt.Fprintf(w, "%s %d/%d (%d%%)\n", phaseNames[p.Phase], p.Done, p.Total, p.Done*100/max(p.Total, 1))
		default:
			fmt.Fprintf(w, "%s %d\n", phaseNames[p.Phase], p.Done)
		}
	}, func() {}
}

func progressBar(w io.Writer) (show func(ingest.Progress), done func()) {
	writer := progress.NewWriter()
	writer.SetOutputWriter(w)
	writer.SetAutoStop(false)
	writer.SetTrackerPosition(progress.PositionRight)
	writer.SetUpdateFrequency(100 * time.Millisecond)
	writer.Style().Visibility.ETA = true
	go writer.Render()
	var mutex sync.Mutex
	trackers := make(map[ingest.Phase]*progress.Tracker)
	var current *progress.Tracker
	return func(p ingest.Progress) {
			mutex.Lock()
			defer mutex.Unlock()
			t, ok := trackers[p.Phase]
			if !ok {
				if current != nil {
					current.MarkAsDone()
				}
				t = &progress.Tracker{Message: phaseNames[p.Phase], Total: p.Total, Units: progress.UnitsDefault}
				trackers[p.Phase], current = t, t
				writer.AppendTracker(t)
			}
			t.SetValue(p.Done)
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
