package changde

// use is a class of land: an index into uses.
type use int

const (
	paddy use = iota
	dryField
	orchard
	tea
	wood
	shrub
	commerce
	storage
	industry
	housing
	villageHousing
	office
	school
	utility
	park
	highway
	townRoad
	farmRoad
	riverWater
	pond
	farmFacility
)

// uses gives code and name of a class (third national land survey, TD/T 1055-2019),
// its class in the city plan (GB 50137-2011), and whether houses stand on it.
var uses = [...]struct {
	code, name         string
	planCode, planName string
	built              bool
}{
	paddy:          {"0101", "水田", "E2", "农林用地", false},
	dryField:       {"0103", "旱地", "E2", "农林用地", false},
	orchard:        {"0201", "果园", "E2", "农林用地", false},
	tea:            {"0202", "茶园", "E2", "农林用地", false},
	wood:           {"0301", "乔木林地", "E2", "农林用地", false},
	shrub:          {"0305", "灌木林地", "E2", "农林用地", false},
	commerce:       {"05H1", "商业服务业设施用地", "B1", "商业用地", true},
	storage:        {"0508", "物流仓储用地", "W1", "一类物流仓储用地", true},
	industry:       {"0601", "工业用地", "M1", "一类工业用地", true},
	housing:        {"0701", "城镇住宅用地", "R2", "二类居住用地", true},
	villageHousing: {"0702", "农村宅基地", "R2", "二类居住用地", true},
	office:         {"08H1", "机关团体新闻出版用地", "A1", "行政办公用地", true},
	school:         {"08H2", "科教文卫用地", "A3", "教育科研用地", true},
	utility:        {"0809", "公用设施用地", "U1", "供应设施用地", true},
	park:           {"0810", "公园与绿地", "G1", "公园绿地", false},
	highway:        {"1003", "公路用地", "S1", "城市道路用地", false},
	townRoad:       {"1004", "城镇村道路用地", "S1", "城市道路用地", false},
	farmRoad:       {"1006", "农村道路", "E2", "农林用地", false},
	riverWater:     {"1101", "河流水面", "E1", "水域", false},
	pond:           {"1104", "坑塘水面", "E1", "水域", false},
	farmFacility:   {"1202", "设施农用地", "E2", "农林用地", false},
}

// Densities, in parcels per square kilometre before calibration, at which a town
// ends and its fringe ends.
const (
	townDensity   = 330
	fringeDensity = 150
)

// landUse is the class of the land at a place: rivers where the real ones run,
// towns around the real places, and patches of noise for the rest.
func (c *city) landUse(b *block, p point) use {
	if len(b.rivers) > 0 && c.water(b.rivers, p) {
		return riverWater
	}
	d := c.density(b, p) * (0.5 + fbm(c.seed^0x01, p.x, p.y, 2600))
	zone := fbm(c.seed^0x02, p.x, p.y, 420)
	spot := noise(c.seed^0x03, p.x, p.y, 230)
	if d > townDensity {
		return c.townUse(p, d, zone, spot)
	}
	if d > fringeDensity {
		switch {
		case zone > 0.66:
			return industry
		case zone < 0.25:
			return storage
		case spot > 0.6:
			return villageHousing
		}
	} else if noise(c.seed^0x04, p.x, p.y, 330) > 0.84 {
		return villageHousing
	}
	return c.countryUse(p, zone, spot)
}

// townUse is the class within a town: public uses in spots of their own, commerce
// and industry where the zoning noise is low and high.
func (c *city) townUse(p point, d, zone, spot float64) use {
	switch {
	case spot > 0.9:
		return park
	case noise(c.seed^0x07, p.x, p.y, 310) > 0.83:
		return school
	case noise(c.seed^0x08, p.x, p.y, 280) > 0.86:
		return office
	case noise(c.seed^0x09, p.x, p.y, 190) > 0.94:
		return utility
	case zone < 0.26+0.12*min(1, d/1050):
		return commerce
	case zone > 0.62 && d < 750:
		return industry
	}
	return housing
}

// countryUse is the class outside towns and villages: the plain is paddy with
// ponds and dry fields, the hills are woods with fields in the valleys.
func (c *city) countryUse(p point, zone, spot float64) use {
	h := c.hills(p) + 0.25*(noise(c.seed^0x05, p.x, p.y, 1300)-0.5)
	valley := fbm(c.seed^0x0a, p.x, p.y, 2400)
	switch {
	case h < 0.5 && fbm(c.seed^0x06, p.x, p.y, 520) > 0.74:
		return pond
	case spot > 0.975:
		return farmFacility
	case h > 0.60 && valley < 0.32:
		if zone > 0.55 {
			return dryField
		}
		return paddy
	case h > 0.60 && zone > 0.66:
		return shrub
	case h > 0.60 && zone < 0.24:
		return tea
	case h > 0.60:
		return wood
	case h > 0.52 && zone < 0.4:
		return tea
	case h > 0.52:
		return shrub
	case h > 0.40 && zone > 0.62, h <= 0.40 && valley > 0.72:
		return orchard
	case h > 0.36 && zone < 0.42, zone > 0.70, valley < 0.25:
		return dryField
	}
	return paddy
}

// pieceUse is the class of a parcel of a fabric whose centroid is at p.
func (c *city) pieceUse(f *fabric, k kind, p point) use {
	switch k {
	case cell:
		return c.landUse(f.b, p)
	case ring:
		if f.urban {
			return townRoad
		}
		if f.b.i%4 == 0 || f.b.j%4 == 0 {
			return highway
		}
		return farmRoad
	}
	if len(f.b.rivers) > 0 && c.water(f.b.rivers, p) {
		return riverWater // streets end at the bank; only border roads have bridges
	}
	if f.urban {
		return townRoad
	}
	return farmRoad
}
