package ingest

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"changde/catalog"
	"changde/ingest/finding"
	"changde/ingest/quality"
)

// Rules is the phase in which the quality rules of a profile are applied.
const Rules Phase = "rules"

// maxRuleFindings bounds what is kept of one rule; all are counted.
const maxRuleFindings = 10_000

// inspectQuality applies the rules of the dataset's profile to the staged rows.
func (i *Ingester) inspectQuality(ctx context.Context, tx pgx.Tx, l *loader, table string) ([]RuleResult, error) {
	p := l.plan
	if p.standard == nil {
		return nil, nil
	}
	l.progress(Progress{Phase: Rules})
	if !l.gist {
		if _, err := tx.Exec(ctx, l.gistSQL(table).String()); err != nil {
			return nil, fmt.Errorf("index: %w", err)
		}
	}
	beside, err := l.beside(ctx, tx)
	if err != nil {
		return nil, err
	}
	metadata, err := l.metadata(ctx, tx)
	if err != nil {
		return nil, err
	}
	scratch, err := p.delivery.scratch() // swept when this process dies
	if err != nil {
		return nil, err
	}
	summary, err := quality.Check(ctx, tx, quality.Layer{
		Relation: [2]string{"content", table}, Columns: p.columns, Geometry: p.geometry, Z: p.z, RowOf: l.rowOf,
	}, quality.Options{
		Profile: p.standard.profile, Library: i.config.Library, Today: time.Now(), MaxFindings: maxRuleFindings, Metadata: metadata, TempDir: scratch, Current: beside,
		Neighbour: func(dataset string) ([2]string, []catalog.Column, bool) {
			b, err := current(ctx, tx, dataset)
			if err != nil || b == nil {
				return [2]string{}, nil, false
			}
			return [2]string{"content", b.relation}, b.columns, true
		},
	}, func(f finding.Finding) { l.found.add(f) })
	if err != nil {
		return nil, fmt.Errorf("apply quality rules: %w", err)
	}
	out := make([]RuleResult, 0, len(summary.Rules))
	for _, r := range summary.Rules {
		out = append(out, RuleResult{
			Rule: r.Code, Check: r.Check, Severity: r.Severity, Found: r.Found, AtLeast: r.AtLeast, Rows: r.Rows,
			Seconds: math.Round(r.Elapsed.Seconds()*1000) / 1000, SkipZH: cmp.Or(r.SkippedZH, r.NoteZH), SkipEN: cmp.Or(r.SkippedEN, r.NoteEN),
		})
	}
	return out, nil
}

// beside is what a delivery of changes is judged together with, nil for one that
// brings the whole dataset.
func (l *loader) beside(ctx context.Context, tx pgx.Tx) (*quality.Current, error) {
	p := l.plan
	if p.request.Mode == Full {
		return nil, nil
	}
	b, err := current(ctx, tx, p.Dataset)
	if err != nil || b == nil {
		return nil, err
	}
	c := &quality.Current{Relation: [2]string{"content", b.relation}}
	if p.request.Mode == Changes {
		c.Key, c.Operation = p.settings.businessKey, "op"
	}
	return c, nil
}

// metadata is the core metadata of the dataset as it will be: what its owner says,
// and what the platform knows itself. It is nil for a dataset whose owner keeps
// none.
func (l *loader) metadata(ctx context.Context, tx pgx.Tx) (map[string]string, error) {
	set := l.plan.request.Settings
	given := make(map[string]string)
	var title, abstract, owner string
	err := tx.QueryRow(ctx, "SELECT metadata, title_zh, description, coalesce(owner, '') FROM changde.datasets WHERE id = $1", l.plan.Dataset).
		Scan(&given, &title, &abstract, &owner)
	if err != nil {
		return nil, fmt.Errorf("read metadata of %s: %w", l.plan.Dataset, err)
	}
	for name, value := range set.Metadata {
		given[name] = value
		if value == NoColumn {
			delete(given, name)
		}
	}
	if len(given) == 0 {
		return nil, nil
	}
	today := time.Now().Format(time.DateOnly)
	for name, value := range map[string]string{
		"title": cmp.Or(set.TitleZH, title), "abstract": cmp.Or(set.Description, abstract), "responsible": cmp.Or(set.Owner, owner),
		"contact": cmp.Or(set.Owner, owner), "date": today, "stamp": today, "language": "zh", "charset": "UTF-8", "crs": "EPSG:4490",
	} {
		if given[name] == "" {
			given[name] = value
		}
	}
	return given, nil
}
