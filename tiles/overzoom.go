package tiles

import (
	"encoding/binary"
	"math"

	"github.com/paulmach/orb"
)

// overZoom is the deepest zoom whose tiles are made of the archive's last level: there
// one of its units is one pixel of a 512-pixel tile.
const overZoom = ArchiveZoom + 3

// above is the tile of a zoom that holds this one; the tile itself where it is no
// deeper.
func (a Address) above(zoom int) Address {
	if d := a.zoom() - zoom; d > 0 {
		a.Z, a.Row, a.Col = a.Z-d, a.Row>>d, a.Col>>d
	}
	return a
}

// enlarged makes the tile at a of the tile t at of, which holds it: what lies in it and
// its margin, with ids and attributes as they are. Positions keep the grid of t. ok is
// false where t does not show each feature, and where it cannot be read.
func (s *Source) enlarged(t *Tile, of, a Address) (_ *Tile, ok bool, err error) {
	if t.Omitted > 0 || t.Generalized > 0 {
		return nil, false, nil
	}
	if t.Features == 0 {
		return t, true, nil
	}
	raw, err := appendRaw(nil, t)
	if err != nil {
		return nil, false, err
	}
	parsed, ok := parseTile(raw)
	if !ok {
		return nil, false, nil
	}
	d := a.Z - of.Z
	scale := math.Ldexp(1, d)
	origin := orb.Point{float64(a.Col-of.Col<<d) * Extent, float64(a.Row-of.Row<<d) * Extent}
	w := newShaper(a, 0)
	l := newLayer(parsed.name, parsed.keys)
	values := make([]uint32, len(parsed.values)) // one more than the number in l; 0: not there
	rows, last := int64(0), int64(-1)
	for _, b := range parsed.features {
		f, ok := parseFeature(b)
		if !ok || !w.figure.unfold(f.kind, f.geometry) {
			return nil, false, nil
		}
		w.draw(&w.figure, scale, origin)
		if w.empty() {
			continue
		}
		if !l.retag(f.tags, parsed.values, values) {
			return nil, false, nil
		}
		l.add(f.id, &w.out)
		// A row of several kinds is several features in turn.
		if f.id < 0 || f.id != last {
			rows++
		}
		last = f.id
	}
	out := s.finish(l.encode(nil, len(l.marks)), rows)
	return out, len(out.Gzip) <= s.config.MaxBytes, nil
}

// retag gives the row that add will add the tags of a feature of another layer with the
// same keys, whose values are fields ready to be written. known tells which of these
// the layer has. It reports false for tags that name no key or value.
func (l *layer) retag(tags []byte, values [][]byte, known []uint32) bool {
	for len(tags) > 0 {
		key, n := binary.Uvarint(tags)
		if n <= 0 {
			return false
		}
		value, m := binary.Uvarint(tags[n:])
		if m <= 0 || key >= uint64(len(l.keys)) || value >= uint64(len(values)) {
			return false
		}
		tags = tags[n+m:]
		if known[value] == 0 {
			l.values = append(l.values, values[value]...)
			l.count++
			known[value] = l.count
		}
		l.tags = binary.AppendUvarint(binary.AppendUvarint(l.tags, key), uint64(known[value]-1))
	}
	return true
}

// parsedTile are the parts of a tile of one layer, in the tile's memory.
type parsedTile struct {
	name     string
	keys     []string
	values   [][]byte // with their field's key and length
	features [][]byte
}

// parseTile reads a tile of one layer of ours.
func parseTile(tile []byte) (p parsedTile, ok bool) {
	field, body, rest := nextField(tile)
	if field != keyLayer || len(rest) > 0 {
		return p, false
	}
	for len(body) > 0 {
		var value []byte
		start := body
		field, value, body = nextField(body)
		switch field {
		case keyName:
			p.name = string(value)
		case keyFeature:
			p.features = append(p.features, value)
		case keyKey:
			p.keys = append(p.keys, string(value))
		case keyValue:
			p.values = append(p.values, start[:len(start)-len(body)])
		case keyExtent, keyVersion:
		default:
			return p, false
		}
	}
	return p, p.name != ""
}

// parsedFeature is a feature of a tile, in the tile's memory.
type parsedFeature struct {
	id             int64 // -1 for none
	kind           int
	tags, geometry []byte
}

// parseFeature reads a feature of ours, whose fields each stand once.
func parseFeature(b []byte) (f parsedFeature, ok bool) {
	f.id, f.kind = -1, -1
	for len(b) > 0 {
		switch b[0] {
		case keyID, keyType:
			v, n := binary.Uvarint(b[1:])
			if n <= 0 || v > math.MaxInt64 {
				return f, false
			}
			if b[0] == keyID {
				f.id = int64(v)
			} else {
				f.kind = int(min(v, kinds+1)) - 1
			}
			b = b[1+n:]
		case keyTags, keyGeometry:
			field, value, rest := nextField(b)
			switch field {
			case keyTags:
				f.tags = value
			case keyGeometry:
				f.geometry = value
			default:
				return f, false
			}
			b = rest
		default:
			return f, false
		}
	}
	return f, f.kind >= 0 && f.kind < kinds
}

// unfold takes the geometry of a feature of a tile, in units of the tile. It reports
// false for what a tile of ours does not hold; the figure is then of no use.
func (f *figure) unfold(kind int, geometry []byte) bool {
	f.at, f.parts, f.bound = f.at[:0], f.parts[:0], emptyBound()
	g := reading{b: geometry}
	for len(g.b) > 0 && !g.corrupt {
		from := len(f.at)
		count := g.expect(moveTo)
		if kind == points {
			for range count {
				f.at = append(f.at, g.position())
				f.end(part{kind: points, from: len(f.at) - 1})
			}
			continue
		}
		f.at = append(f.at, g.position())
		for range g.expect(lineTo) {
			f.at = append(f.at, g.position())
		}
		if count != 1 || len(f.at)-from < 2 {
			return false
		}
		p := part{kind: kind, from: from}
		if kind == polygons {
			g.expect(closePath)
			f.at = append(f.at, f.at[from])
			p.hole = ringArea(f.at[from:]) < 0
		}
		f.end(p)
	}
	return !g.corrupt && len(f.parts) > 0
}

// reading is an MVT geometry (4.3) that is read.
type reading struct {
	b       []byte
	x, y    int64
	corrupt bool
}

func (g *reading) varint() uint64 {
	v, n := binary.Uvarint(g.b)
	if n <= 0 || v > math.MaxUint32 {
		g.corrupt, g.b = true, nil
		return 0
	}
	g.b = g.b[n:]
	return v
}

// expect reads a command and gives its count, 0 where another stands there or where
// there is no room for so many positions.
func (g *reading) expect(id uint64) int {
	v := g.varint()
	if v&7 != id || id != closePath && v>>3 > uint64(len(g.b)/2) {
		g.corrupt, g.b = true, nil
		return 0
	}
	return int(v >> 3)
}

// position reads one position, which a tile of ours has nowhere beyond its margin.
func (g *reading) position() orb.Point {
	x, y := g.varint(), g.varint()
	g.x += int64(x>>1) ^ -int64(x&1)
	g.y += int64(y>>1) ^ -int64(y&1)
	if min(g.x, g.y) < -Buffer || max(g.x, g.y) > Extent+Buffer {
		g.corrupt, g.b = true, nil
	}
	return orb.Point{float64(g.x), float64(g.y)}
}
