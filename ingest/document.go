package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"changde/ingest/finding"
	"changde/ingest/report"
	"changde/problem"
)

// ReportFormats are the forms in which a delivery's report is written.
func ReportFormats() []string { return []string{"html", "json", "xlsx", "geojson", "gpkg"} }

// WriteReport writes the report of a delivery with all its stored findings. others
// says where the report is found in other forms, by format.
func (i *Ingester) WriteReport(ctx context.Context, w io.Writer, d *Delivery, format string, others map[string]string) (err error) {
	doc, err := i.document(ctx, d)
	if err != nil {
		return err
	}
	for _, f := range ReportFormats() {
		if where := others[f]; where != "" && f != format {
			doc.Others = append(doc.Others, report.Other{Format: f, Where: where})
		}
	}
	switch format {
	case "html":
		return report.HTML(w, doc)
	case "json":
		return report.JSON(w, doc)
	case "xlsx":
		return report.XLSX(w, doc)
	case "geojson":
		return report.GeoJSON(w, doc)
	case "gpkg":
		dir, err := os.MkdirTemp(i.config.TempDir, "changde-report-")
		if err != nil {
			return fmt.Errorf("write report: %w", err)
		}
		defer os.RemoveAll(dir)
		path := filepath.Join(dir, "findings.gpkg")
		if err := report.GeoPackage(ctx, path, doc); err != nil {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return fmt.Errorf("write report: %w", err)
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		_, err = io.Copy(w, f)
		return err
	}
	return problem.New(problem.Invalid, "report-format", format, "报告格式只能是 html、json、xlsx、geojson 或 gpkg", "a report is one of html, json, xlsx, geojson, gpkg")
}

// document is the report's content.
func (i *Ingester) document(ctx context.Context, d *Delivery) (report.Document, error) {
	doc := report.Document{
		Delivery: d.Report.Delivery, Dataset: d.Dataset, State: d.State, Sender: d.Sender, Owner: d.Owner, Files: d.Files, Bytes: d.Bytes,
		SHA256: d.SHA256, Received: d.StartedAt, Error: d.Error,
		Counts: report.Counts{
			Read: d.Read, Staged: d.Published, Repaired: d.Repaired, Refused: d.Refused, Noted: d.Noted,
			Blocking: d.Blocking, Errors: d.Errors, Warnings: d.Warnings,
		},
		Findings: func(yield func(finding.Finding) error) error {
			return i.EachFinding(ctx, d.Report.Delivery, yield)
		},
	}
	if d.FinishedAt != nil {
		doc.Finished = *d.FinishedAt
	}
	var extent []float64
	err := i.pool.QueryRow(ctx, `SELECT coalesce(d.title_zh, ''), coalesce(d.title_en, ''), coalesce(o.name_zh, ''), coalesce(v.extent, d.extent)
		FROM changde.deliveries v LEFT JOIN changde.datasets d ON d.id = v.dataset LEFT JOIN changde.organisations o ON o.id = v.sender
		WHERE v.id = $1`, d.Report.Delivery).Scan(&doc.TitleZH, &doc.TitleEN, &doc.SenderName, &extent)
	if err != nil {
		return doc, fmt.Errorf("read delivery %d: %w", d.Report.Delivery, err)
	}
	if len(extent) == 4 {
		doc.Extent = &[4]float64{extent[0], extent[1], extent[2], extent[3]}
	}
	if p := d.Plan; p != nil {
		for _, row := range []struct {
			zh, en string
			c      Choice
		}{
			{"格式", "format", p.Format},
			{"编码", "encoding", p.Encoding},
			{"坐标系", "CRS", p.CRS},
			{"几何", "geometry", p.Geometry},
			{"无效几何", "invalid geometry", p.Policy},
			{"图层标准", "layer standard", p.Profile},
			{"目标", "target", p.Target},
		} {
			if row.c.Value != "" {
				doc.Plan = append(doc.Plan, report.Item{NameZH: row.zh, NameEN: row.en, Value: row.c.Value, ZH: row.c.ZH, EN: row.c.EN})
			}
		}
		for _, n := range p.Notes {
			doc.Plan = append(doc.Plan, report.Item{NameZH: "注意", NameEN: "note", ZH: n.ZH, EN: n.EN})
		}
	}
	for _, r := range d.Rules {
		doc.Rules = append(doc.Rules, report.RuleResult{
			Code: r.Rule, Check: r.Check, Severity: r.Severity, Found: r.Found, AtLeast: r.AtLeast, Rows: r.Rows, Seconds: r.Seconds, SkipZH: r.SkipZH, SkipEN: r.SkipEN,
		})
	}
	for _, x := range d.Decisions {
		doc.Decisions = append(doc.Decisions, report.Decision{
			At: x.DecidedAt, Actor: x.Actor, Organisation: x.Organisation, Action: string(x.Action), DocumentNumber: x.Document, Note: x.Note,
		})
	}
	if d.Difference != nil {
		doc.Difference = d.Difference.document(d.Release)
	}
	return doc, nil
}

func (d *Difference) document(release int) *report.Difference {
	out := &report.Difference{
		FromRelease: d.From, ToRelease: release, Added: d.Added, Removed: d.Removed, ChangedGeometry: d.Moved, ChangedAttributes: d.Changed - d.Moved,
		Unchanged: d.Unchanged, SummaryZH: d.ZH, SummaryEN: d.EN,
	}
	for _, f := range d.Fields {
		out.ByField = append(out.ByField, report.FieldChange{Field: f.Field, Rows: f.Rows})
	}
	before := make(map[string]ClassCount)
	for _, c := range d.Before.Classes {
		before[c.Class] = c
	}
	add := func(old, now ClassCount, class string) {
		out.ByClass = append(out.ByClass, report.ClassChange{Class: class, CountBefore: old.Rows, CountAfter: now.Rows, AreaBefore: old.Area, AreaAfter: now.Area})
	}
	for _, c := range d.After.Classes {
		add(before[c.Class], c, c.Class)
		delete(before, c.Class)
	}
	for _, c := range d.Before.Classes {
		if _, gone := before[c.Class]; gone {
			add(c, ClassCount{}, c.Class)
		}
	}
	return out
}
