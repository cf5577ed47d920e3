package changde

import (
	"context"
	"fmt"
	"math"

	"changde/ingest/layer"
	"changde/ingest/shapefile"
)

func buildingsDelivery(file string) Delivery {
	return Delivery{
		Dataset: "buildings", TitleZH: "房屋（合成）", TitleEN: "Buildings (synthetic)", File: file, Format: formatShapefile, EPSG: 4546,
		Description: "合成的房屋轮廓，中文字段名，GBK 编码且没有 .cpg 文件（许多单位交来的数据就是这样）。",
		Owner:       "guotu", Sharing: "public", BusinessKey: "房屋编号", Label: "名称", Class: "用途", Attribution: creditMade, Synthetic: true,
	}
}

func buildingFields() []layer.Field {
	return []layer.Field{
		text("房屋编号", 18), text("名称", 40), text("用途", 10), whole("层数", 3), text("结构", 12), decimal("高度", 7, 1),
		decimal("建筑面积", 12, 2), whole("建成年份", 4), text("地址", 60), text("区划代码", 6),
	}
}

const buildingsPerParcel = 0.4

// Outlines in a unit square, anticlockwise, closed.
var outlines = [][]float64{
	{0, 0, 1, 0, 1, 1, 0, 1, 0, 0},
	{0, 0, 1, 0, 1, .5, .6, .5, .6, 1, 0, 1, 0, 0},
	{0, 0, 1, 0, 1, 1, .7, 1, .7, .4, .3, .4, .3, 1, 0, 1, 0, 0},
	{.3, 0, .7, 0, .7, .3, 1, .3, 1, .7, .7, .7, .7, 1, .3, 1, .3, .7, 0, .7, 0, .3, .3, .3, .3, 0},
}

// site is a parcel on which houses may stand.
type site struct {
	serial     int
	i, j       int
	county     int
	use        use
	at         point
	width, len float64
}

const housesPerSite = 16

// writeBuildings writes the building stock in EPSG:4546. Where a block has too few
// sites for its share, what is over goes to the next blocks.
func (c *city) writeBuildings(ctx context.Context, d *Delivery, blocks []*block) error {
	out, err := create(d, table{name: "FW", kind: shapefile.Polygon, fields: buildingFields(), nocpg: true})
	if err != nil {
		return err
	}
	var f fabric
	var sites []site
	owed := 0.0
	values := make([]any, len(out.fields))
	for n, b := range blocks {
		if err := ctx.Err(); err != nil {
			out.abandon()
			return err
		}
		f.load(c, b)
		sites = sites[:0]
		parcels := 0
		err := f.pieces(func(p *piece) error {
			at, area := p.centroid()
			k := c.countyAt(at)
			if k < 0 {
				return nil
			}
			parcels++
			if p.kind != cell {
				return nil
			}
			if u := c.landUse(b, at); uses[u].built {
				w := f.x[p.i1] - f.x[p.i0]
				sites = append(sites, site{serial: p.serial, i: p.i0, j: p.j0, county: k, use: u, at: at, width: w, len: area / w})
			}
			return nil
		})
		if err != nil {
			out.abandon()
			return err
		}
		owed += buildingsPerParcel * float64(parcels)
		each := 0.0
		if len(sites) > 0 {
			each = min(housesPerSite, owed/float64(len(sites)))
		}
		acc := unit(b.key^0x66) * min(each, 1)
		for s := range sites {
			acc += each
			count := int(acc)
			acc -= float64(count)
			owed -= float64(count)
			if err := c.house(out, values, &f, &sites[s], count); err != nil {
				out.abandon()
				return fmt.Errorf("block %d: %w", n, err)
			}
		}
	}
	return out.finish()
}

// house puts count buildings in a regular grid within a parcel, away from its edges.
func (c *city) house(out *output, v []any, f *fabric, s *site, count int) error {
	if count == 0 {
		return nil
	}
	side := int(math.Ceil(math.Sqrt(float64(count))))
	a, b, e, g := f.corner(s.i, s.j), f.corner(s.i+1, s.j), f.corner(s.i+1, s.j+1), f.corner(s.i, s.j+1)
	for q := range count {
		h := hash(f.b.key, 0x77, uint64(s.serial), uint64(q))
		const margin = 0.14
		slot := (1 - 2*margin) / float64(side)
		u0, v0 := margin+slot*float64(q%side), margin+slot*float64(q/side)
		// a footprint of bounded size, in shares of the parcel
		wide, deep := 12+16*unit(h), 9+9*unit(mix(h+1))
		if s.use == industry || s.use == storage {
			wide, deep = 24+30*unit(h), 18+16*unit(mix(h+1))
		} else if s.use == villageHousing {
			wide, deep = 9+5*unit(h), 8+4*unit(mix(h+1))
		}
		du, dv := min(slot*0.86, wide/s.width), min(slot*0.86, deep/s.len)
		u0 += (slot - du) * unit(mix(h+2))
		v0 += (slot - dv) * unit(mix(h+3))
		form := 0
		if r := mix(h+4) % 10; r >= 5 && s.use != villageHousing {
			form = [...]int{1, 1, 1, 2, 3}[r-5]
		}
		o := outlines[form]
		flat := make([]float64, len(o))
		for k := 0; k < len(o); k += 2 {
			x, y := u0+o[k]*du, v0+o[k+1]*dv
			flat[k] = (1-y)*((1-x)*a.x+x*b.x) + y*((1-x)*g.x+x*e.x)
			flat[k+1] = (1-y)*((1-x)*a.y+x*b.y) + y*((1-x)*g.y+x*e.y)
		}
		c.houseRow(v, f.b, s, q, h, areaOf(flat))
		if err := out.addPlane(shape(flat, []int{len(flat)}), v); err != nil {
			return err
		}
	}
	return nil
}

// areaOf a closed ring in the plane.
func areaOf(flat []float64) float64 {
	sum := 0.0
	for k := 2; k+3 < len(flat); k += 2 {
		sum += (flat[k]-flat[0])*(flat[k+3]-flat[1]) - (flat[k+2]-flat[0])*(flat[k+1]-flat[1])
	}
	return math.Abs(sum) / 2
}

func (c *city) houseRow(v []any, b *block, s *site, q int, h uint64, ground float64) {
	kind, floors := "住宅", int64(2+mix(h+5)%5)
	switch s.use {
	case housing:
		floors = []int64{6, 6, 7, 7, 11, 18, 26}[mix(h+5)%7]
		if c.density(b, s.at) < 600 {
			floors = 3 + floors%5
		}
	case commerce:
		kind, floors = "商业", []int64{2, 3, 4, 5, 6, 12, 22}[mix(h+5)%7]
	case industry:
		kind, floors = "工业", 1+int64(mix(h+5)%3)
	case storage:
		kind, floors = "仓储", 1
	case office:
		kind, floors = "办公", 4+int64(mix(h+5)%9)
	case school:
		kind, floors = "科教文卫", 3+int64(mix(h+5)%4)
	case utility:
		kind, floors = "公用设施", 1+int64(mix(h+5)%2)
	case villageHousing:
		kind, floors = "农房", 1+int64(mix(h+5)%3)
	}
	structure := "砖混"
	if floors > 7 {
		structure = "钢筋混凝土"
	} else if kind == "工业" || kind == "仓储" {
		structure = "钢结构"
	}
	t, vil := c.division(s.county, s.at)
	no := 1 + s.serial%199
	v[0] = fmt.Sprintf("%s%05d%05d%02d", c.counties[s.county].code, b.j*latticeW+b.i, s.serial, q)
	v[1] = nil
	if kind != "农房" && kind != "住宅" {
		v[1] = syllables(h) + kind + "楼"
	} else if kind == "住宅" {
		v[1] = syllables(hash(b.key, uint64(s.i/5), uint64(s.j/5))) + fmt.Sprintf("小区%d栋", 1+(s.serial+q)%60)
	}
	v[2], v[3], v[4] = kind, floors, structure
	v[5] = math.Round((float64(floors)*3.1+0.6)*10) / 10
	v[6] = round2(ground * float64(floors))
	v[7] = int64(1985 + mix(h+6)%27)
	v[8] = fmt.Sprintf("%s%s%d号", t.name, vil.name, no)
	v[9] = c.counties[s.county].code
}

var syllable = []string{"安", "平", "泰", "和", "沅", "澧", "柳", "桃", "朗", "穿", "紫", "德", "芷", "兰", "桂", "竹", "龙", "凤", "金", "银", "鼎", "武", "阳", "长", "青", "白", "云", "清", "永", "新", "福", "康"}

// syllables makes a name of two syllables.
func syllables(h uint64) string {
	h = mix(h + 0x99)
	n := uint64(len(syllable))
	a, b := h%n, h>>16%n
	if a == b {
		b = (b + 1) % n
	}
	return syllable[a] + syllable[b]
}
