package ingest

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"changde/catalog"
	"changde/postgis"
)

// maxListedNow bounds the features listed by Between.
const maxListedNow = 1000

// ChangedFeature is one feature of a difference.
type ChangedFeature struct {
	Kind   string   `json:"kind"`             // added, removed, changed
	FID    int64    `json:"fid"`              // in the later release; of a removed one in the earlier
	Key    string   `json:"key,omitempty"`    // the business key, of a removed one too
	Fields []string `json:"fields,omitempty"` // changed fields
	Moved  bool     `json:"moved,omitempty"`  // the geometry changed
}

// Between compares two releases of a dataset, from the earlier to the later or
// back, both of which the caller may see, and lists up to 1,000 of the features
// that differ.
func (i *Ingester) Between(ctx context.Context, d *catalog.Dataset, from, to *catalog.Release) (*Difference, []ChangedFeature, error) {
	side := func(r *catalog.Release) *postgis.SQL {
		q := new(postgis.SQL).Raw("(SELECT *")
		return r.FromAll(q).Raw(")")
	}
	s := &sides{a: side(from), b: side(to), comparer: Full, columns: (&base{columns: from.Columns}).shared(to.Columns)}
	if from.Relation == to.Relation {
		// Rows of one content are the same row by their fid, and those that neither
		// revision touched need not be read.
		s.touched = new(postgis.SQL).Raw("SELECT fid FROM ").Ident(from.Relation[0], from.Relation[1]+catalog.ChangesSuffix).
			Raw(" WHERE rev > ").Int(min(from.Revision, to.Revision)).Raw(" AND rev <= ").Int(max(from.Revision, to.Revision))
		s.key = "fid"
	}
	for _, c := range s.columns {
		if s.key == "" && c.Name == d.BusinessKey {
			s.key = c.Name
		}
	}
	out := &Difference{From: from.Number, To: to.Number, Schema: datasetSettings{geometry: from.GeometryType, columns: from.Columns}.driftTo(to.GeometryType, to.Columns)}
	out.Before.Rows, out.After.Rows = from.Rows, to.Rows
	var list []ChangedFeature
	err := pgx.BeginFunc(ctx, i.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL jit = off; SET LOCAL random_page_cost = 1.1"); err != nil {
			return err
		}
		if err := s.match(ctx, tx); err != nil {
			return err
		}
		if err := s.leaveTwins(ctx, tx); err != nil {
			return err
		}
		if err := s.describe(ctx, tx); err != nil {
			return err
		}
		if err := s.count(ctx, tx, out); err != nil {
			return err
		}
		if err := out.weigh(ctx, tx, d.ID); err != nil {
			return err
		}
		q := new(postgis.SQL).Raw("SELECT kind, coalesce(b, a), coalesce(")
		for _, side := range []struct {
			release *catalog.Release
			rows    *postgis.SQL
			fid     string
		}{{to, s.b, "b"}, {from, s.a, "a"}} {
			if _, ok := side.release.Column(d.BusinessKey); ok && d.BusinessKey != "" {
				q.Raw("(SELECT t.").Ident(d.BusinessKey).Raw("::text FROM ").Add(side.rows).Raw(" t WHERE t.fid = c.").Ident(side.fid).Raw("), ")
			}
		}
		q.Raw("''), coalesce(fields, '{}'), kind = 'changed' AND moved FROM changes c ORDER BY coalesce(b, a), kind LIMIT ").Int(maxListedNow)
		rows, err := tx.Query(ctx, q.String(), q.Args()...)
		if err != nil {
			return fmt.Errorf("list differences: %w", err)
		}
		list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[ChangedFeature])
		return err
	})
	if err != nil {
		return nil, nil, postgis.Fault(ctx, err, fmt.Sprintf("compare releases %d and %d of %s", from.Number, to.Number, d.ID))
	}
	out.Unchanged = from.Rows - out.Removed - out.Changed
	out.Listed = out.Added+out.Removed+out.Changed <= maxListedNow
	out.summarise()
	return out, list, nil
}

// weigh reads the areas and classes of both releases as they were counted when they
// were made. Areas of which one is not known, and classes by different fields, are
// not compared.
func (d *Difference) weigh(ctx context.Context, tx pgx.Tx, dataset string) error {
	for _, side := range []struct {
		release int
		into    *Statistics
	}{{d.From, &d.Before}, {d.To, &d.After}} {
		var data []byte
		err := tx.QueryRow(ctx, "SELECT coalesce(statistics, '{}') FROM changde.releases WHERE dataset = $1 AND release = $2", dataset, side.release).Scan(&data)
		if err != nil {
			return fmt.Errorf("read statistics of release %d: %w", side.release, err)
		}
		rows := side.into.Rows
		if err := json.Unmarshal(data, side.into); err != nil {
			return fmt.Errorf("statistics of release %d: %w", side.release, err)
		}
		known := string(data) != "{}"
		side.into.Rows = rows
		if !known {
			d.Before.Area, d.After.Area, d.Before.Classes, d.After.Classes = 0, 0, nil, nil
			return nil
		}
	}
	if d.Before.Column != d.After.Column {
		d.Before.Classes, d.After.Classes = nil, nil
	}
	d.foldAlike()
	return nil
}
