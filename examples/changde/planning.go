package changde

import (
	"context"
	"fmt"
	"math"

	"github.com/twpayne/go-geom"

	"changde/ingest/layer"
)

func planningDelivery(file string) Delivery {
	return Delivery{
		Dataset: "planning", TitleZH: "规划地块（合成）", TitleEN: "Planning parcels (synthetic)", File: file, Format: formatGeoJSON, EPSG: 4326,
		Description: "合成的控制性详细规划地块，用地分类依 GB 50137-2011。",
		Owner:       "guihua", Sharing: "internal", BusinessKey: "DKBH", Label: "YDXZMC", Class: "YDXZDM", Attribution: creditMade, Synthetic: true,
	}
}

func planningFields() []layer.Field {
	return []layer.Field{
		text("DKBH", 16), text("YDXZDM", 4), text("YDXZMC", 40), decimal("YDMJ_HA", 10, 4), decimal("RJL", 5, 2),
		whole("JZMD", 3), whole("LDL", 3), whole("JZXG", 4), text("GHDY", 40), text("XZQDM", 6), text("BZ", 20),
	}
}

// writePlanning writes a planning parcel for every quarter between streets in the
// towns, as GeoJSON in longitude, latitude.
func (c *city) writePlanning(ctx context.Context, d *Delivery, blocks []*block) error {
	out, err := create(d, table{name: "planning", fields: planningFields()})
	if err != nil {
		return err
	}
	var f fabric
	values := make([]any, len(out.fields))
	for _, b := range blocks {
		if err := ctx.Err(); err != nil {
			out.abandon()
			return err
		}
		if b.m < 14 {
			continue
		}
		f.load(c, b)
		xs, ys := f.quarters(f.streetX), f.quarters(f.streetY)
		for j := range ys {
			for i := range xs {
				if err := c.planningParcel(out, values, &f, xs[i], ys[j], j*len(xs)+i); err != nil {
					out.abandon()
					return err
				}
			}
		}
	}
	return out.finish()
}

// quarters lists the runs of cells between streets of a side.
func (f *fabric) quarters(street []bool) [][2]int {
	var out [][2]int
	from := 1
	for k := 1; k < f.n; k++ {
		if k == f.n-1 || street[k] {
			if k > from {
				out = append(out, [2]int{from, k})
			}
			from = k + 1
		}
	}
	return out
}

func (c *city) planningParcel(out *output, v []any, f *fabric, x, y [2]int, serial int) error {
	f.flat = f.flat[:0]
	f.walk(x[0], y[0], x[1], y[1])
	p := piece{flat: f.flat, ends: []int{len(f.flat)}}
	at, plane := p.centroid()
	k := c.countyAt(at)
	if k < 0 || c.density(f.b, at) < fringeDensity {
		return nil
	}
	u := c.landUse(f.b, at)
	info := &uses[u]
	h := hash(f.b.key, 0xaa, uint64(serial))
	code, name := info.planCode, info.planName
	if u == school && h%3 == 0 {
		code, name = "A5", "医疗卫生用地"
	}
	if u == commerce && h%4 == 0 {
		code, name = "B2", "商务用地"
	}
	far, cover, green, height := 0.0, int64(0), int64(70), int64(0)
	if info.built {
		far = math.Round((0.8+2.4*unit(h)*min(1.2, c.density(f.b, at)/700))*10) / 10
		cover = 20 + int64(mix(h)%25)
		green = 20 + int64(mix(h+1)%20)
		height = 12 + 6*int64(far*3)
	}
	t, _ := c.division(k, at)
	v[0] = fmt.Sprintf("GH%05d-%04d", f.b.j*latticeW+f.b.i, serial+1)
	v[1], v[2] = code, name
	v[3] = math.Round(plane/scaleSquared(at.x, 29.2*math.Pi/180)) / 1e4
	v[4], v[5], v[6], v[7] = far, cover, green, height
	v[8] = t.name + "单元"
	v[9] = c.counties[k].code
	v[10] = "合成示例"
	return out.add(geom.NewPolygonFlat(geom.XY, f.flat, p.ends), v)
}
