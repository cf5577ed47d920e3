package quality

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"changde/catalog"
	"changde/ingest/finding"
	"changde/ingest/layer"
	"changde/ingest/profile"
)

func TestMeasure(t *testing.T) {
	url := os.Getenv("QM_URL")
	if url == "" {
		t.Skip()
	}
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	tx, _ := conn.Begin(ctx)
	defer tx.Rollback(ctx)
	tx.Exec(ctx, "SET LOCAL work_mem='64MB'")
	if q := os.Getenv("QM_SQL"); q != "" {
		if _, err := tx.Exec(ctx, q); err != nil {
			t.Fatal(err)
		}
	}
	lib, err := profile.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	p, _ := lib.Profile("dltb-3")
	pp := *p
	var rules []profile.Rule
	for _, r := range p.Rules {
		if only := os.Getenv("QM_RULES"); only == "" || strings.Contains(only, r.Code) {
			if par := os.Getenv("QM_PARENT"); r.Code == "Q07" && par != "" {
				r.Params = json.RawMessage(`{"parent":"xzq"}`)
			}
			rules = append(rules, r)
		}
	}
	pp.Rules = rules
	var cols []catalog.Column
	for _, n := range strings.Fields("BSM YSDM TBYBH TBBH DLBM DLMC QSXZ QSDWDM QSDWMC ZLDWDM ZLDWMC TBMJ KCDLBM KCXS KCMJ TBDLMJ GDLX GDPDJB CZCSXM SJNF BZ") {
		cols = append(cols, catalog.Column{Name: n, Type: layer.Text})
	}
	peak := uint64(0)
	stop := make(chan bool)
	go func() {
		s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}}
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
				metrics.Read(s)
				peak = max(peak, s[0].Value.Uint64())
			}
		}
	}()
	start := time.Now()
	shown := map[string]int{}
	sum, err := Check(ctx, tx, Layer{Relation: [2]string{"public", "dltb"}, Columns: cols, Geometry: "MultiPolygon"}, Options{Profile: &pp, Library: lib, Metadata: nil,
		Neighbour: func(d string) ([2]string, []catalog.Column, bool) { return [2]string{"public", d}, nil, true }},
		func(f finding.Finding) {
			if shown[f.Rule+f.Code]++; shown[f.Rule+f.Code] <= 3 {
				fmt.Println(f.Row, f.Rule, f.Code, f.ZH, f.EN, f.Place != nil)
			}
		})
	if err != nil {
		t.Fatal(err)
	}
	close(stop)
	for _, r := range sum.Rules {
		fmt.Println(r.Code, r.Check, r.Severity, "found", r.Found, "rows", r.Rows, r.Elapsed, r.SkippedEN, r.NoteEN)
	}
	status, _ := os.ReadFile("/proc/self/status")
	for _, l := range strings.Split(string(status), "\n") {
		if strings.HasPrefix(l, "VmHWM") {
			fmt.Println(l)
		}
	}
	fmt.Println("TOTAL", time.Since(start), "peak MiB", peak>>20)
}
