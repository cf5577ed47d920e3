package quality

import (
	"bytes"
	"context"
	"fmt"
	"hash/maphash"

	"changde/ingest/profile"
	"changde/postgis"
)

// keys is Q12.
func (c *checker) keys(s *scan, r *rule) (func(context.Context) error, error) {
	p, err := profile.Params[profile.UniqueParams](c.o.Profile, r.spec)
	if err != nil {
		return nil, err
	}
	if p.Field == "" {
		r.skip("图层标准没有业务主键", "the profile names no business key")
		return nil, nil
	}
	col, ok := c.column(p.Field)
	if !ok {
		c.missing(r, p.Field)
		return nil, nil
	}
	twins, err := c.newTwins()
	if err != nil {
		return nil, err
	}
	at, seed := s.column(col.Name), maphash.MakeSeed()
	s.each(r, false, func(w *row) error {
		v := bytes.TrimSpace(w.values[at])
		if len(v) > 0 {
			return twins.add(maphash.Bytes(seed, v), w.fid)
		}
		if c.found(r) {
			c.tell(r, w.fid, "key-missing", col.Name, nil, fmt.Sprintf("业务主键 %s 为空", col.Name), fmt.Sprintf("the business key %s is empty", col.Name))
		}
		return nil
	})
	return func(ctx context.Context) error {
		defer twins.close()
		groups, err := twins.groups()
		if err != nil {
			return err
		}
		if err := c.tellKeys(ctx, r, groups, col.Name); err != nil {
			return err
		}
		return c.tellReused(ctx, r, col.Name)
	}, nil
}

// tellKeys tells all rows of each key that several have.
func (c *checker) tellKeys(ctx context.Context, r *rule, groups [][]int64, field string) error {
	var rows []int64
	for _, g := range groups {
		if room := c.o.MaxFindings - r.kept - len(rows); room > 0 {
			rows = append(rows, g[:min(len(g), room)]...)
		}
	}
	values := make(map[int64]string, len(rows))
	if len(rows) > 0 {
		q := new(postgis.SQL).Raw("SELECT fid, btrim(").Ident(field).Raw("::text) FROM ").Ident(c.layer.Relation[0], c.layer.Relation[1]).
			Raw(" WHERE fid = ANY(").Arg(rows).Raw(")")
		got, err := c.tx.Query(ctx, q.String(), q.Args()...)
		if err != nil {
			return fmt.Errorf("read keys: %w", err)
		}
		defer got.Close()
		for got.Next() {
			var fid int64
			var v string
			if err := got.Scan(&fid, &v); err != nil {
				return fmt.Errorf("read keys: %w", err)
			}
			values[fid] = v
		}
		if err := got.Err(); err != nil {
			return fmt.Errorf("read keys: %w", err)
		}
	}
	for _, g := range groups {
		for i, fid := range g {
			if !c.found(r) {
				continue
			}
			other := g[0]
			if i == 0 {
				other = g[1]
			}
			zh, en := c.name(other, fid)
			if len(g) > 2 {
				zh, en = fmt.Sprintf("%s等 %d 行", zh, len(g)-1), fmt.Sprintf("%s and %d more", en, len(g)-2)
			}
			c.tell(r, fid, "key-duplicate", field, nil, fmt.Sprintf("业务主键 %s“%s”与%s相同", field, shown([]byte(values[fid])), zh),
				fmt.Sprintf("the business key %s %q is also that of %s", field, shown([]byte(values[fid])), en))
		}
	}
	return nil
}

// tellReused tells the rows whose key named something elsewhere in the content
// before.
func (c *checker) tellReused(ctx context.Context, r *rule, field string) error {
	if c.o.Before == nil {
		return nil
	}
	old := checker{layer: *c.o.Before}
	was, ok := old.column(field)
	if !ok {
		return nil
	}
	q := new(postgis.SQL).Raw("SELECT t.fid, btrim(t.").Ident(field).Raw("::text), ST_X(s), ST_Y(s) FROM ").Ident(c.layer.Relation[0], c.layer.Relation[1]).
		Raw(" t JOIN ").Ident(old.layer.Relation[0], old.layer.Relation[1]).Raw(" b ON btrim(b.").Ident(was.Name).Raw("::text) = btrim(t.").Ident(field).
		Raw("::text), LATERAL ST_PointOnSurface(t.geom) s WHERE btrim(t.").Ident(field).Raw("::text) <> '' AND NOT b.geom && ST_Expand(t.geom, 1e-6) ORDER BY t.fid")
	rows, err := c.tx.Query(ctx, q.String(), q.Args()...)
	if err != nil {
		return fmt.Errorf("compare keys with the content before: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var fid int64
		var v string
		var place [2]float64
		if err := rows.Scan(&fid, &v, &place[0], &place[1]); err != nil {
			return fmt.Errorf("compare keys with the content before: %w", err)
		}
		if c.found(r) {
			c.tell(r, fid, "key-reused", field, &place, fmt.Sprintf("业务主键 %s“%s”在上一版本中属于别处的要素", field, shown([]byte(v))),
				fmt.Sprintf("the business key %s %q named a feature elsewhere in the release before", field, shown([]byte(v))))
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("compare keys with the content before: %w", err)
	}
	return nil
}
