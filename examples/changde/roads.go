package changde

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/twpayne/go-geom"

	"changde/ingest/layer"
)

func roadsDelivery(file string) Delivery {
	return Delivery{
		Dataset: "roads", TitleZH: "道路（合成）", TitleEN: "Roads (synthetic)", File: file, Format: formatGeoPackage, EPSG: 4490,
		Description: "合成的道路中线，在交叉口断开，首尾相接成网。",
		Owner:       "guotu", Sharing: "public", BusinessKey: "road_id", Label: "name", Class: "class",
		Rank:        []string{trunk.code, primary.code, secondary.code, countyRoad.code, tertiary.code, townshipRoad.code, residential.code, track.code},
		Attribution: creditMade, Synthetic: true,
	}
}

func roadFields() []layer.Field {
	return []layer.Field{
		text("road_id", 20), text("name", 40), text("class", 16), text("class_zh", 16), whole("lanes", 2),
		decimal("width_m", 5, 1), text("surface", 10), decimal("length_m", 10, 2), text("xzqdm", 6),
	}
}

// roadClass is a rank of road: code, Chinese name, lanes, width.
type roadClass struct {
	code, name string
	lanes      int64
	width      float64
}

var (
	trunk        = roadClass{"trunk", "国道", 6, 24}
	primary      = roadClass{"primary", "主干路", 6, 24}
	secondary    = roadClass{"secondary", "次干路", 4, 18}
	tertiary     = roadClass{"tertiary", "支路", 2, 9}
	residential  = roadClass{"residential", "街巷", 2, 7}
	countyRoad   = roadClass{"county", "县道", 2, 8}
	townshipRoad = roadClass{"township", "乡道", 2, 6}
	track        = roadClass{"track", "村道", 1, 4}
)

// lineClass is the rank of the border road along lattice line k.
func lineClass(k int, urban bool) roadClass {
	switch {
	case k%12 == 0:
		return trunk
	case k%4 == 0 && urban:
		return primary
	case k%4 == 0:
		return countyRoad
	case k%2 == 0 && urban:
		return secondary
	case urban:
		return tertiary
	case k%2 == 0:
		return townshipRoad
	}
	return track
}

// lineName is the name of the border road along lattice line k; along is 0 for a
// road to the east, 1 to the north.
func lineName(k, along int, rc roadClass) string {
	n := syllables(hash(0x4a, uint64(k), uint64(along)))
	switch rc.code {
	case "trunk", "primary":
		return n + "大道"
	case "secondary", "tertiary":
		return n + "路"
	case "county":
		return n + "公路"
	}
	return n + "线"
}

// cross returns the offsets along a border line at which streets of the blocks on
// both sides meet it, its ends included, in order.
func (c *city) cross(out []float64, i, j, along int, f *fabric) []float64 {
	out = append(out[:0], 0, blockSize)
	add := func(b *block) {
		if b == nil {
			return
		}
		f.b, f.n, f.urban = b, b.m+b.s+2, b.m >= 21
		if along == 0 {
			f.x, f.streetX = f.lines(f.x[:0], f.streetX[:0], 0x11)
			out = f.middles(f.x, f.streetX, out)
		} else {
			f.y, f.streetY = f.lines(f.y[:0], f.streetY[:0], 0x22)
			out = f.middles(f.y, f.streetY, out)
		}
	}
	add(c.blockAt(i, j))
	add(c.blockAt(i-along, j-1+along))
	slices.Sort(out)
	return slices.Compact(out)
}

// roadWriter carries what all roads of the layer share.
type roadWriter struct {
	c      *city
	out    *output
	f, g   fabric
	stops  []float64
	values []any
}

// writeRoads writes the network in EPSG:4490: border roads of the blocks and the
// streets within them, split at every crossing.
func (c *city) writeRoads(ctx context.Context, d *Delivery, blocks []*block) error {
	out, err := create(d, table{name: "roads", gtype: "LINESTRING", fields: roadFields()})
	if err != nil {
		return err
	}
	w := &roadWriter{c: c, out: out, values: make([]any, len(roadFields()))}
	chosen := map[[2]int]bool{}
	for _, b := range blocks {
		chosen[[2]int{b.i, b.j}] = true
	}
	for _, b := range blocks {
		if err := ctx.Err(); err != nil {
			out.abandon()
			return err
		}
		err := w.border(b.i, b.j, 0)
		if err == nil {
			err = w.border(b.i, b.j, 1)
		}
		if err == nil && !chosen[[2]int{b.i, b.j + 1}] {
			err = w.border(b.i, b.j+1, 0)
		}
		if err == nil && !chosen[[2]int{b.i + 1, b.j}] {
			err = w.border(b.i+1, b.j, 1)
		}
		if err == nil {
			err = w.streets(b)
		}
		if err != nil {
			out.abandon()
			return err
		}
	}
	return out.finish()
}

// linePoint gives the plane point at an offset along border line (i,j).
func linePoint(i, j, along int, t float64) point {
	u, v := originE+float64(i)*blockSize, originN+float64(j)*blockSize
	if along == 0 {
		return bend(u+t, v)
	}
	return bend(u, v+t)
}

// border writes the south (along 0) or west (along 1) border of block i, j.
func (w *roadWriter) border(i, j, along int) error {
	w.stops = w.c.cross(w.stops, i, j, along, &w.g)
	line := j
	if along == 1 {
		line = i
	}
	urban := false
	for _, b := range []*block{w.c.blockAt(i, j), w.c.blockAt(i-along, j-1+along)} {
		urban = urban || b != nil && b.m >= 21
	}
	rc := lineClass(line, urban)
	name := lineName(line, along, rc)
	for k := range len(w.stops) - 1 {
		a, b := w.stops[k], w.stops[k+1]
		p := linePoint(i, j, along, a)
		flat := []float64{p.x, p.y}
		for t := math.Floor(a/edgeStep)*edgeStep + edgeStep; t < b; t += edgeStep {
			p = linePoint(i, j, along, t)
			flat = append(flat, p.x, p.y)
		}
		p = linePoint(i, j, along, b)
		flat = append(flat, p.x, p.y)
		if err := w.road(flat, i, j, 1+along, k, name, rc); err != nil {
			return err
		}
	}
	return nil
}

// streets writes the streets inside a block, from border to border.
func (w *roadWriter) streets(b *block) error {
	f := &w.f
	f.load(w.c, b)
	rc, suffix := residential, "巷"
	if !f.urban {
		rc, suffix = track, "村道"
	}
	xs := f.middles(f.x, f.streetX, nil)
	ys := f.middles(f.y, f.streetY, nil)
	serial := 0
	lay := func(mine float64, others, lines []float64, along int, name string) error {
		from := 0.0
		for _, to := range append(slices.Clone(others), blockSize) {
			var flat []float64
			add := func(t float64) {
				p := b.at(t, mine)
				if along == 1 {
					p = b.at(mine, t)
				}
				flat = append(flat, p.x, p.y)
			}
			add(from)
			for _, t := range lines {
				if t > from+15 && t < to-15 {
					add(t)
				}
			}
			add(to)
			serial++
			if err := w.road(flat, b.i, b.j, 3, serial, name, rc); err != nil {
				return err
			}
			from = to
		}
		return nil
	}
	for k, y := range ys {
		if err := lay(y, xs, f.x, 0, syllables(hash(b.key, 0x88, uint64(k)))+suffix); err != nil {
			return err
		}
	}
	for k, x := range xs {
		if err := lay(x, ys, f.y, 1, syllables(hash(b.key, 0x89, uint64(k)))+suffix); err != nil {
			return err
		}
	}
	return nil
}

// road writes one segment unless it leaves the city, or lies in a river and is too
// small for a bridge.
func (w *roadWriter) road(flat []float64, i, j, part, serial int, name string, rc roadClass) error {
	n := len(flat)
	mid := point{(flat[0] + flat[n-2]) / 2, (flat[1] + flat[n-1]) / 2}
	k := w.c.countyAt(mid)
	if k < 0 {
		return nil
	}
	if rc.lanes < 4 && w.c.water(w.c.rivers[[2]int{i, j}], mid) {
		return nil
	}
	length := 0.0
	for v := 0; v+3 < n; v += 2 {
		length += math.Hypot(flat[v+2]-flat[v], flat[v+3]-flat[v+1])
	}
	surface := "沥青"
	switch rc.code {
	case "track", "residential", "township":
		surface = "水泥"
	}
	v := w.values
	v[0] = fmt.Sprintf("DL%05d%d%04d", j*latticeW+i, part, serial)
	v[1], v[2], v[3], v[4], v[5], v[6] = name, rc.code, rc.name, rc.lanes, rc.width, surface
	v[7] = round2(length / math.Sqrt(scaleSquared(mid.x, 29.2*math.Pi/180)))
	v[8] = w.c.counties[k].code
	return w.out.add(geom.NewLineStringFlat(geom.XY, flat), v)
}
