package tiles

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/paulmach/orb"

	"changde/catalog"
	"changde/postgis"
)

// maxPatched is how many rows of a tile are drawn anew into the tile as it was; for
// more all of it is made of the rows.
const maxPatched = 500

// patched draws rows that were changed since the revision base into the tile of then:
// their old shapes are taken out of it and their present ones put in, while all
// others stay as they are encoded. ok is false where that would not give the tile as
// it is cut: where a row that is or was gathered with others shows otherwise than
// before, or the tile had no room for all.
func (s *Archives) patched(ctx context.Context, d *catalog.Dataset, r *catalog.Release, base int64, a Address, t *Tile, changes []change) (_ *Tile, ok bool, err error) {
	dim := dimensionOf(r)
	columns := TileColumns(d, r, a.zoom())
	if a.zoom() < DetailZoom {
		large := changes[:0:0]
		var small []int64
		for _, c := range changes {
			if dim != 2 || math.Ldexp(c.size*pixelsOfTile, a.Z) < 2*drawnPixels {
				small = append(small, c.fid)
			} else {
				large = append(large, c)
			}
		}
		if same, err := s.unseen(ctx, r, base, columns, small); !same || err != nil {
			return nil, false, err
		}
		changes = large
	}
	if len(changes) == 0 {
		return t, true, nil
	}
	fids := make(map[int64]bool, len(changes)) // whether the row is drawn in the tile of before
	var expected []int64
	for _, c := range changes {
		fids[c.fid] = false
		if c.before {
			expected = append(expected, c.fid)
		}
	}
	if len(fids) > maxPatched || t.Omitted > 0 {
		return nil, false, nil
	}
	raw, err := appendRaw(nil, t)
	if err != nil {
		return nil, false, err
	}
	old, kept, ok := parseLayer(raw, fids)
	if t.Features == 0 {
		old = newLayer(d.ID, append(names(columns), generalizedKey(columns)))
	} else if !ok || len(old.keys) != len(columns)+1 {
		return nil, false, nil
	}
	for _, fid := range expected {
		if a.zoom() < DetailZoom && !fids[fid] {
			return nil, false, nil
		}
	}
	set, _ := Set(a.Set)
	w := newCutter(s.source, d, r, set, columns).worker()
	rows, err := w.versions(ctx, a, fids)
	if err != nil {
		return nil, false, err
	}
	attrs := attributes(columns)
	w.shaper.snap = snapAt(a.zoom())
	origin := orb.Point{float64(a.Col) * Extent, float64(a.Row) * Extent}
	for _, row := range rows {
		w.shaper.draw(&row.figure, math.Ldexp(Extent, a.Z), origin)
		if w.shaper.collapsed && w.shaper.empty() && centred(row, a) || dim != 0 && dim != 2 && row.pixels(a.Z) < 1 {
			return nil, false, nil // it is left out, and counted
		}
		if w.shaper.empty() {
			continue
		}
		for i := range attrs {
			attrs[i].tag(old, i, row.values[i])
		}
		old.add(row.fid, &w.shaper.out)
		kept++
	}
	out := s.source.finish(old.encode(nil, len(old.marks)), kept)
	out.Generalized = t.Generalized
	return out, len(out.Gzip) <= s.source.config.MaxBytes, nil
}

// unseen reports whether rows are where they were at the revision base, within a
// millimetre, and what they were, as far as columns tell.
func (s *Archives) unseen(ctx context.Context, r *catalog.Release, base int64, columns []catalog.Column, fids []int64) (same bool, err error) {
	if len(fids) == 0 {
		return true, nil
	}
	if len(fids) > maxPatched {
		return false, nil
	}
	then := *r
	then.Revision = base
	side := func(r *catalog.Release) *postgis.SQL {
		q := new(postgis.SQL).Raw("(SELECT fid, geom")
		for _, c := range columns {
			q.Raw(", ").Ident(c.Name)
		}
		return r.From(q).Raw(" AND fid = ANY(").Arg(fids).Raw("::bigint[]))")
	}
	q := new(postgis.SQL).Raw("SELECT NOT EXISTS (SELECT FROM unnest(").Arg(fids).Raw("::bigint[]) f LEFT JOIN ").Add(side(&then)).Raw(" b ON b.fid = f LEFT JOIN ").
		Add(side(r)).Raw(" n ON n.fid = f WHERE (b.geom IS DISTINCT FROM n.geom AND coalesce(ST_HausdorffDistance(b.geom, n.geom) > 1e-8, true))")
	for _, c := range columns {
		q.Raw(" OR b.").Ident(c.Name).Raw(" IS DISTINCT FROM n.").Ident(c.Name)
	}
	q.Raw(")")
	if err := s.pool.QueryRow(ctx, q.String(), append([]any{pgx.QueryExecModeCacheDescribe}, q.Args()...)...).Scan(&same); err != nil {
		return false, fmt.Errorf("compare changed rows of %s: %w", r.Relation[1], err)
	}
	return same, nil
}

// versions reads rows of a release by their fids, those that meet the tile.
func (w *cutWorker) versions(ctx context.Context, a Address, fids map[int64]bool) ([]*row, error) {
	list := slices.Collect(maps.Keys(fids))
	sel := &selection{release: w.release, columns: w.columns, box: a.Degrees(Buffer)}
	rows, _, err := w.load(ctx, sel, sel.allSQL(0).Raw(" AND fid = ANY(").Arg(list).Raw("::bigint[])"), nil, 0)
	return rows, err
}

// parseLayer reads a tile of one layer of ours into a layer in the making, without
// the features of some ids, of which it notes those that it found. It tells how many
// features' rows are kept.
func parseLayer(tile []byte, without map[int64]bool) (l *layer, kept int64, ok bool) {
	field, body, rest := nextField(tile)
	if field != keyLayer || len(rest) > 0 {
		return nil, 0, false
	}
	l = newLayer("", nil)
	last := int64(-1)
	for len(body) > 0 {
		var value []byte
		start := body
		field, value, body = nextField(body)
		switch field {
		case keyName:
			l.name = string(value)
		case keyFeature:
			id, has := featureID(value)
			if _, gone := without[id]; has && gone {
				without[id] = true
				continue
			}
			// A row of several kinds is several features in turn.
			if !has || id != last {
				kept++
			}
			last = id
			l.body = append(l.body, start[:len(start)-len(body)]...)
		case keyKey:
			l.keys = append(l.keys, string(value))
		case keyValue:
			l.values = append(l.values, start[:len(start)-len(body)]...)
			l.count++
		case keyExtent, keyVersion:
		default:
			return nil, 0, false
		}
	}
	l.use = make([]use, len(l.keys))
	if len(l.body) > 0 {
		l.marks = append(l.marks, mark{len(l.body), len(l.values)})
	}
	return l, kept, l.name != ""
}

// nextField splits off a field: its key and, where it has a length, its bytes. The
// key is 0 for what is no field.
func nextField(b []byte) (key int, value, rest []byte) {
	k, n := binary.Uvarint(b)
	if n <= 0 || k == 0 || k > 1<<10 {
		return 0, nil, nil
	}
	b = b[n:]
	v, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil, nil
	}
	b = b[n:]
	switch k & 7 {
	case 0:
		return int(k), nil, b
	case 2:
		if v <= uint64(len(b)) {
			return int(k), b[:v], b[v:]
		}
	}
	return 0, nil, nil
}

// featureID reads the id of a feature, which ours begin with.
func featureID(b []byte) (id int64, ok bool) {
	if len(b) == 0 || b[0] != keyID {
		return 0, false
	}
	v, n := binary.Uvarint(b[1:])
	return int64(v), n > 0 && v <= math.MaxInt64
}
