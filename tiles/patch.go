package tiles

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/jackc/pgx/v5"

	"changde/catalog"
	"changde/postgis"
)

// maxPatched is how many changes are drawn into a tile as it was; for more all of it
// is made of the rows. Where it shows a kept cover, making it of the rows is far
// dearer, or is not possible within the bounds, and maxRegathered holds.
const (
	maxPatched    = 500
	maxRegathered = 50_000
)

// patched draws rows that were changed since the archive's revision into the tile of
// then: their old shapes are taken out of it and their present ones put in, while
// all others stay as they are encoded. ok is false where that would not give the
// tile as it is cut.
func (s *Archives) patched(ctx context.Context, d *catalog.Dataset, r *catalog.Release, from *archive, a Address, t *Tile, changes []change) (_ *Tile, ok bool, err error) {
	p, ok := s.patch(d, r, from, a, t, changes)
	if !ok {
		return nil, false, nil
	}
	if a.zoom() < DetailZoom {
		if same, err := p.unseen(ctx); same || err != nil {
			return t, same, err
		}
		if p.dim != 2 {
			return nil, false, nil
		}
	}
	if ok, err := p.take(ctx, changes); !ok || err != nil {
		return nil, false, err
	}
	out, ok := p.draw()
	return out, ok, nil
}

// patch begins to patch a tile. ok is false where that is not possible.
func (s *Archives) patch(d *catalog.Dataset, r *catalog.Release, from *archive, a Address, t *Tile, changes []change) (_ *patch, ok bool) {
	set, _ := Set(a.Set)
	p := &patch{
		cutWorker: newCutter(s.source, d, r, set, TileColumns(d, r, a.zoom())).worker(),
		address:   a, from: from, tile: t, drawn: make(map[int64]bool, len(changes)),
	}
	for _, c := range changes {
		p.drawn[c.fid] = false
	}
	if a.zoom() < DetailZoom && p.dim == 2 {
		var err error
		if p.cover, p.base, err = s.cover(from, a, &p.classes); err != nil {
			s.fault(err, "cover of a tile not readable; the tile is made of its rows", "file", from.name, "tile", a.String())
			return nil, false
		}
	}
	return p, t.dropped == 0
}

// patch is the state of patched.
type patch struct {
	*cutWorker
	address Address
	from    *archive
	tile    *Tile
	drawn   map[int64]bool // of the changed rows, whether the tile as it was has them

	layer *layer // of the features that stay
	rows  int64  // of these
	now   []*row // the changed rows as they are now
	cover *cover // of what is gathered now; nil from DetailZoom on
	base  int    // the zoom of the blocks that the cover was cut in
}

// take takes what was changed out of the tile and out of its cover, and reads it as
// it is now. ok is false where the tile cannot be patched.
func (p *patch) take(ctx context.Context, changes []change) (ok bool, err error) {
	most, drawnFrom := maxPatched, 0.0
	gathers := p.address.zoom() < DetailZoom
	if gathers {
		drawnFrom = drawnPixels
	}
	if p.cover != nil {
		most, drawnFrom = maxRegathered, p.cover.drawnFrom()
	}
	if len(p.drawn) > most {
		return false, nil
	}
	raw, err := appendRaw(nil, p.tile)
	if err != nil {
		return false, err
	}
	if p.tile.Features == 0 {
		p.layer = newLayer(p.dataset.ID, append(names(p.columns), countKey(p.dataset, p.release, p.address.zoom())))
	} else if p.layer, p.rows, ok = parseLayer(raw, p.drawn, gathers); !ok || len(p.layer.keys) != len(p.columns)+1 {
		return false, nil
	}
	for _, c := range changes {
		// What is not found where something was left out may be what was. The database
		// measures a row a little otherwise.
		if c.before && p.tile.Omitted > p.tile.lost && math.Ldexp(c.size*pixelsOfTile, p.address.zoom()) > drawnFrom*0.999 && !p.drawn[c.fid] {
			return false, nil
		}
	}
	if p.now, err = p.versions(ctx, p.release); err != nil || !gathers {
		return err == nil, err
	}
	if p.cover == nil {
		p.cover, ok, err = p.gathered(ctx, p.address)
		return ok, err
	}
	before, err := p.versions(ctx, stateAt(p.release, p.from.base))
	if err != nil {
		return false, err
	}
	p.cover.without(p.part(p.cover, p.address, p.base, before))
	p.cover.merge(p.part(p.cover, p.address, p.base, p.now), 0, 0, 0)
	return true, nil
}

// draw makes the tile of what stays and of what is now. ok is false where that is
// not all.
func (p *patch) draw() (t *Tile, ok bool) {
	a := p.address
	attrs := attributes(p.columns)
	p.shaper.at(a)
	zoom := a.zoom()
	scale, origin := a.frame()
	for _, row := range p.now {
		if p.cover != nil && row.pixels(zoom) < p.cover.drawnFrom() {
			continue
		}
		p.shaper.draw(&row.figure, scale, origin)
		if p.shaper.collapsed && p.shaper.empty() && centred(row, a) || p.dim != 0 && p.dim != 2 && row.pixels(zoom) < 1 {
			return nil, false // it is left out, and counted
		}
		if p.shaper.empty() {
			continue
		}
		for i := range attrs {
			attrs[i].tag(p.layer, i, row.values[i])
		}
		p.layer.add(row.fid, &p.shaper.out)
		p.rows++
	}
	marks := len(p.layer.marks)
	merged, lost := p.cells(p.layer, p.cover, p.columns, attrs)
	p.rows += int64(len(p.layer.marks) - marks)
	t = p.source.finish(p.layer.encode(nil, len(p.layer.marks)), p.rows)
	t.Generalized, t.Omitted, t.lost = merged, p.tile.Omitted-p.tile.lost+lost, lost
	return t, len(t.Gzip) <= p.source.config.MaxBytes
}

// unseen reports whether the changed rows are where they were at the archive's
// revision, within a millimetre, and what they were, as far as the tile tells.
func (p *patch) unseen(ctx context.Context) (same bool, err error) {
	if len(p.drawn) > maxPatched {
		return false, nil
	}
	r, fids, columns := p.release, slices.Collect(maps.Keys(p.drawn)), p.columns
	if p.dim == 1 {
		columns = joinColumns(p.dataset, r, nil)
	}
	side := func(r *catalog.Release) *postgis.SQL {
		q := new(postgis.SQL).Raw("(SELECT fid, geom")
		for _, c := range columns {
			q.Raw(", ").Ident(c.Name)
		}
		return r.From(q).Raw(" AND fid = ANY(").Arg(fids).Raw("::bigint[]))")
	}
	q := new(postgis.SQL).Raw("SELECT NOT EXISTS (SELECT FROM unnest(").Arg(fids).Raw("::bigint[]) f LEFT JOIN ").Add(side(stateAt(r, p.from.base))).Raw(" b ON b.fid = f LEFT JOIN ").
		Add(side(r)).Raw(" n ON n.fid = f WHERE (b.geom IS DISTINCT FROM n.geom")
	if p.dim != 1 { // by less than a millimetre lines are not joined
		q.Raw(" AND coalesce(ST_HausdorffDistance(b.geom, n.geom) > 1e-8, true)")
	}
	q.Raw(")")
	for _, c := range columns {
		q.Raw(" OR b.").Ident(c.Name).Raw(" IS DISTINCT FROM n.").Ident(c.Name)
	}
	q.Raw(")")
	if err := p.source.pool.QueryRow(ctx, q.String(), append([]any{pgx.QueryExecModeCacheDescribe}, q.Args()...)...).Scan(&same); err != nil {
		return false, fmt.Errorf("compare changed rows of %s: %w", r.Relation[1], err)
	}
	return same, nil
}

// versions reads the changed rows as they are in a release, those that meet the tile.
func (p *patch) versions(ctx context.Context, r *catalog.Release) ([]*row, error) {
	sel := &selection{release: r, columns: p.columns, box: p.address.Degrees(Buffer)}
	rows, _, err := p.load(ctx, sel, sel.allSQL(0).Raw(" AND fid = ANY(").Arg(slices.Collect(maps.Keys(p.drawn))).Raw("::bigint[])"), nil, 0)
	return rows, err
}

// parseLayer reads a tile of one layer of ours into a layer in the making, without
// the features of some ids, of which it notes those that it found, and, where cells
// are drawn anew, without those that have no id. It tells how many rows are kept.
func parseLayer(tile []byte, without map[int64]bool, cells bool) (l *layer, kept int64, ok bool) {
	p, ok := parseTile(tile)
	if !ok {
		return nil, 0, false
	}
	l = newLayer(p.name, p.keys)
	last := int64(-1)
	for _, feature := range p.features {
		id, has := featureID(feature)
		if !has && cells {
			continue
		}
		if _, gone := without[id]; has && gone {
			without[id] = true
			continue
		}
		// A row of several kinds is several features in turn.
		if !has || id != last {
			kept++
		}
		last = id
		l.body = append(binary.AppendUvarint(append(l.body, keyFeature), uint64(len(feature))), feature...)
	}
	for _, value := range p.values {
		l.values = append(l.values, value...)
	}
	l.count = uint32(len(p.values))
	if len(l.body) > 0 {
		l.marks = append(l.marks, mark{len(l.body), len(l.values)})
	}
	return l, kept, true
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
