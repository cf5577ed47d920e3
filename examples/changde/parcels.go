package changde

import (
	"context"
	"fmt"
	"math"

	"github.com/twpayne/go-geom"

	"changde/ingest/layer"
	"changde/ingest/shapefile"
)

func dltbDelivery(file string) Delivery {
	return Delivery{
		Dataset: "dltb", TitleZH: "地类图斑（合成）", TitleEN: "Land-use parcels (synthetic)", File: file, Format: formatShapefile, EPSG: 4525,
		Description: "合成的第三次国土调查地类图斑，字段依 TD/T 1057-2020；面积为椭球面积。不反映真实权属与地类。",
		Owner:       "guotu", Sharing: "public", BusinessKey: "BSM", Label: "DLMC", Class: "DLBM", Profile: "dltb-3", Attribution: creditMade, Synthetic: true,
	}
}

// dltbFields are those of DLTB in TD/T 1057-2020 that the synthesis can fill.
func dltbFields() []layer.Field {
	return []layer.Field{
		text("BSM", 18), text("YSDM", 10), text("TBYBH", 18), text("TBBH", 8), text("DLBM", 5), text("DLMC", 60), text("QSXZ", 2),
		text("QSDWDM", 19), text("QSDWMC", 60), text("ZLDWDM", 19), text("ZLDWMC", 60), decimal("TBMJ", 15, 2), text("KCDLBM", 5),
		decimal("KCXS", 6, 4), decimal("KCMJ", 15, 2), decimal("TBDLMJ", 15, 2), text("GDLX", 2), text("GDPDJB", 2),
		text("CZCSXM", 4), whole("SJNF", 4), text("BZ", 20),
	}
}

func round2(v float64) float64 { return math.Round(v*100) / 100 }

// writeParcels writes the land-use survey in EPSG:4525.
func (c *city) writeParcels(ctx context.Context, d *Delivery, blocks []*block) error {
	out, err := create(d, table{name: "DLTB", kind: shapefile.Polygon, fields: dltbFields()})
	if err != nil {
		return err
	}
	numbers := map[string]int{} // of parcels in a village
	values := make([]any, len(out.fields))
	var f fabric
	for n, b := range blocks {
		if err := ctx.Err(); err != nil {
			out.abandon()
			return err
		}
		f.load(c, b)
		phi := c.latitude(b)
		err := f.pieces(func(p *piece) error {
			at, plane := p.centroid()
			k := c.countyAt(at)
			if k < 0 {
				return nil
			}
			t, v := c.division(k, at)
			numbers[v.code]++
			c.dltbRow(values, &f, p, at, plane/scaleSquared(at.x, phi), k, t, v, numbers[v.code])
			return out.addPlane(shape(p.flat, p.ends), values)
		})
		if err != nil {
			out.abandon()
			return fmt.Errorf("block %d: %w", n, err)
		}
	}
	return out.finish()
}

// shape turns a ring list around: a Shapefile wants the outer ring clockwise.
func shape(flat []float64, ends []int) *geom.Polygon {
	start := 0
	for _, e := range ends {
		reverse(flat[start:e])
		start = e
	}
	return geom.NewPolygonFlat(geom.XY, flat, ends)
}

// latitude of the middle of a block, radians.
func (c *city) latitude(b *block) float64 {
	ll := []float64{b.centre.x, b.centre.y}
	c.plane.Inverse(ll, 2)
	return ll[1] * math.Pi / 180
}

// dltbRow fills one row; area is on the ellipsoid.
func (c *city) dltbRow(v []any, f *fabric, p *piece, at point, area float64, k int, t *township, vil *village, number int) {
	u := c.pieceUse(f, p.kind, at)
	info := &uses[u]
	h := hash(f.b.key, 0x55, uint64(p.serial))
	code := c.counties[k].code
	unit19 := vil.code + "0000000"
	ownership, owner := "30", t.name+vil.name
	town := f.urban || u == commerce || u == housing || u == office || u == school || u == utility || u == park || u == industry || u == storage
	if town || u == riverWater || u == highway {
		ownership, owner = "20", c.counties[k].name
	}
	var settled any // CZCSXM, for built-up classes alone
	switch {
	case u == villageHousing:
		settled = "203"
	case info.built || u == park || u == townRoad:
		settled = "202"
		if code == "430702" || code == "430703" {
			settled = "201"
		}
	}
	tbmj := round2(area)
	var lessCode, farm, grade any
	share := 0.0
	if u == paddy || u == dryField {
		farm, grade = "PD", "1"
		if slope := c.hills(at); u == dryField && slope > 0.3 {
			farm, grade = "TT", "3"
			share = 0.04 + math.Round(unit(h)*800)/10000
			lessCode = "1203"
		} else if slope > 0.25 {
			grade = "2"
		}
	}
	less := round2(tbmj * share)
	cellNo := f.b.j*latticeW + f.b.i
	v[0] = fmt.Sprintf("%s21%05d%05d", code, cellNo, p.serial)
	v[1] = "2001010100"
	v[2] = nil
	v[3] = fmt.Sprintf("%d", number)
	v[4], v[5] = info.code, info.name
	v[6] = ownership
	v[7], v[8], v[9], v[10] = unit19, owner, unit19, t.name+vil.name
	v[11] = tbmj
	v[12], v[13], v[14], v[15] = lessCode, share, less, round2(tbmj-less)
	v[16], v[17] = farm, grade
	v[18] = settled
	v[19] = int64(2022)
	v[20] = "合成示例"
}
