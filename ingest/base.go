package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"changde/catalog"
	"changde/ingest/finding"
)

// base is the current content that a delivery is compared with.
type base struct {
	release    int
	revision   int64 // of the last change of rows
	relation   string
	columns    []catalog.Column
	geometry   string // as PostgreSQL writes the column's type
	rows       int64
	extent     *catalog.Bounds
	statistics Statistics // of the release
	edited     bool       // rows were changed through the API since the release
}

// current reads the base of a dataset; nil when it has no release.
func current(ctx context.Context, tx pgx.Tx, dataset string) (*base, error) {
	var b base
	var relation *string
	var columns, statistics []byte
	var extent []float64
	var released int64
	err := tx.QueryRow(ctx, `
		SELECT d.release, r.revision, coalesce((SELECT max(revision) FROM changde.revisions v WHERE v.dataset = d.id AND v.kind <> 'settings'), 0),
		       d.relation, r.columns, d.rows, d.extent, coalesce(r.statistics, '{}'),
		       (SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = to_regclass(d.relation) AND attname = 'geom')
		FROM changde.datasets d JOIN changde.releases r ON r.dataset = d.id AND r.release = d.release
		WHERE d.id = $1 AND d.relation IS NOT NULL`, dataset).
		Scan(&b.release, &released, &b.revision, &relation, &columns, &b.rows, &extent, &statistics, &b.geometry)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the current release of %s: %w", dataset, err)
	}
	b.relation = (*relation)[len("content."):]
	if b.columns, err = catalog.DecodeColumns(columns); err != nil {
		return nil, err
	}
	if len(extent) == 4 {
		b.extent = &catalog.Bounds{extent[0], extent[1], extent[2], extent[3]}
	}
	if err := json.Unmarshal(statistics, &b.statistics); err != nil {
		return nil, fmt.Errorf("statistics of %s: %w", dataset, err)
	}
	b.edited = b.revision != released
	return &b, nil
}

// same reports whether rows of the delivery fit the table of the base.
func (b *base) same(geometry string, z bool, columns []catalog.Column) bool {
	if z {
		geometry += "Z"
	}
	if b.geometry != fmt.Sprintf("geometry(%s,%d)", geometry, storageSRID) || len(b.columns) != len(columns) {
		return false
	}
	types := make(map[string]catalog.Column)
	for _, c := range b.columns {
		types[c.Name] = c
	}
	for _, c := range columns {
		if old, ok := types[c.Name]; !ok || old.Type != c.Type {
			return false
		}
	}
	return true
}

// ordered gives the columns of a delivery in the order of the base, which has the
// same.
func (b *base) ordered(columns []catalog.Column) []catalog.Column {
	out := make([]catalog.Column, 0, len(columns))
	for _, old := range b.columns {
		for _, c := range columns {
			if c.Name == old.Name {
				out = append(out, c)
			}
		}
	}
	return out
}

// lost finds the fields that a delivery drops or retypes: readers may build on
// them, so a person confirms it.
func (b *base) lost(columns []catalog.Column) []finding.Finding {
	now := make(map[string]catalog.Column)
	for _, c := range columns {
		now[c.Name] = c
	}
	var out []finding.Finding
	for _, old := range b.columns {
		c, ok := now[old.Name]
		f := finding.Finding{Rule: "Q20", Severity: finding.Warn, Action: finding.Noted, Field: old.Name}
		switch {
		case !ok:
			f.Code, f.ZH, f.EN = "field-dropped", "当前版的字段 "+old.Name+" 在本次交付中没有，须人确认", "the delivery lacks the field "+old.Name+" of the current release: a person must confirm it"
		case c.Type != old.Type:
			f.Code = "field-retyped"
			f.ZH = fmt.Sprintf("字段 %s 由 %s 变为 %s，须人确认", old.Name, old.Type, c.Type)
			f.EN = fmt.Sprintf("the field %s goes from %s to %s: a person must confirm it", old.Name, old.Type, c.Type)
		default:
			continue
		}
		out = append(out, f)
	}
	return out
}

// shared are the columns that both have, by name and type.
func (b *base) shared(columns []catalog.Column) []catalog.Column {
	var out []catalog.Column
	for _, c := range columns {
		for _, old := range b.columns {
			if old.Name == c.Name && old.Type == c.Type {
				out = append(out, c)
			}
		}
	}
	return out
}

func (b *base) column(name string) (catalog.Column, bool) {
	for _, c := range b.columns {
		if c.Name == name {
			return c, true
		}
	}
	return catalog.Column{}, false
}
