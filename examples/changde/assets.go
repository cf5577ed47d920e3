package changde

import (
	"context"
	"fmt"
	"math"

	"github.com/twpayne/go-geom"

	"changde/ingest/layer"
	"changde/ingest/shapefile"
)

// How many assets there are, whatever the scale.
const (
	roomCount     = 46
	cabinetCount  = 640
	cameraCount   = 2400
	terminalCount = 260
)

// assetLayer is one asset dataset: what it is and how it is written.
type assetLayer struct {
	Delivery
	table table
	rows  func(add func(g geom.T, own ...any) error) error
}

// common are the attributes every asset has; own attributes follow.
func common(own ...layer.Field) []layer.Field {
	return append([]layer.Field{
		text("asset_code", 16), text("name", 60), text("subtype", 24), text("owner_unit", 60), text("status", 8), text("address", 80),
		text("division", 12), whole("build_year", 4), decimal("cost", 14, 2), text("geom_src", 8),
	}, own...)
}

// write creates the file.
func (a assetLayer) write(ctx context.Context, d *Delivery) error {
	a.table.name = d.Dataset
	out, err := create(d, a.table)
	if err != nil {
		return err
	}
	err = a.rows(func(g geom.T, own ...any) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return out.add(g, own)
	})
	if err != nil {
		out.abandon()
		return err
	}
	return out.finish()
}

// layers lists the asset datasets.
func (n *network) layers(file func(string) string) []assetLayer {
	d := func(id, zh, en, name, format string, epsg int, sharing, about string) Delivery {
		return Delivery{
			Dataset: id, TitleZH: zh + "（合成）", TitleEN: en + " (synthetic)", File: file(name), Format: format, EPSG: epsg, Owner: "egov", Sharing: sharing,
			BusinessKey: "asset_code", Label: "name", Class: "subtype", Description: about, Attribution: creditMade, Synthetic: true,
		}
	}
	return []assetLayer{
		{
			d("server_rooms", "机房", "Server rooms", "server_rooms.gpkg", formatGeoPackage, 4490, "internal", "合成的政务机房：市中心机房与部门机房。"),
			table{gtype: "POLYGON", fields: common(decimal("area_m2", 8, 1), whole("racks", 4), whole("racks_free", 4), decimal("power_kw", 8, 1), decimal("used_kw", 8, 1), text("level", 2), text("domain", 12))},
			n.rooms,
		},
		{
			d("cabinets", "机柜与光交箱", "Cabinets", "cabinets.zip", formatShapefile, 4546, "internal", "合成的机柜与光缆交接箱。"),
			table{kind: shapefile.Point, fields: common(whole("u_total", 4), whole("u_free", 4), whole("ports", 5), text("room_code", 16), text("node_code", 16))},
			n.cabinets,
		},
		{
			d("fibre_lines", "政务光缆", "Fibre lines", "fibre_lines.gpkg", formatGeoPackage, 4490, "internal", "合成的政务网光缆，沿道路在节点之间敷设。"),
			table{gtype: "LINESTRING", fields: common(whole("cores", 4), whole("cores_used", 4), text("from_node", 16), text("to_node", 16), text("route", 8), decimal("length_m", 10, 1))},
			n.fibres,
		},
		{
			d("network_nodes", "网络节点", "Network nodes", "network_nodes.geojson", formatGeoJSON, 4326, "internal", "合成的政务网核心、汇聚与接入节点。"),
			table{fields: common(text("domain", 12), whole("ports", 5), text("uplink", 16))},
			n.nodeRows,
		},
		{
			d("cameras", "视频监控点", "Cameras", "cameras.zip", formatShapefile, 4525, "internal", "合成的视频监控点，位于路口与道路旁。"),
			table{kind: shapefile.Point, fields: common(text("purpose", 12), whole("azimuth", 3), whole("fov", 3), whole("range_m", 4), text("device_id", 20))},
			n.cameras,
		},
		{
			d("service_terminals", "公共服务终端", "Public service terminals", "service_terminals.geojson", formatGeoJSON, 4326, "public", "合成的政务服务自助终端与便民服务点。"),
			table{fields: common(text("services", 80), text("hours", 24), whole("radius_m", 5))},
			n.terminals,
		},
	}
}

// base gives the common attributes in order.
func (n *network) base(code, name, subtype, owner string, p point, h uint64, cost float64) []any {
	k := max(0, n.c.countyAt(p))
	t, v := n.c.division(k, p)
	status := "在用"
	if h%23 == 0 {
		status = "闲置"
	}
	return []any{code, name, subtype, owner, status, n.c.counties[k].name + t.name + v.name, v.code, int64(2004 + h>>8%8), round2(cost), "图上"}
}

// department is the owner of the q-th thing of a kind.
func department(q uint64) string { return departments[q%uint64(len(departments))].unit }

// roomPoint is where the q-th server room stands: near the centre for the first
// two, in the built-up area for the rest.
func (n *network) roomPoint(q int) point {
	if q < 2 {
		p := n.nodes[q].at.point()
		return point{p.x + 60, p.y + 60}
	}
	b := n.inner[hash(n.c.seed, 0xc1, uint64(q))%uint64(len(n.inner))]
	h := hash(n.c.seed, 0xc2, uint64(q))
	return b.at(60+880*unit(h), 60+880*unit(mix(h)))
}

func (n *network) rooms(add func(geom.T, ...any) error) error {
	for q := range roomCount {
		h := hash(n.c.seed, 0xc3, uint64(q))
		p := n.roomPoint(q)
		unitName := department(uint64(q - 2 + len(departments)))
		name, sub, level, racks := unitName+"机房", "部门机房", "C", int64(4+h%12)
		if q < 2 {
			unitName = "常德市电子政务办公室"
			name, sub, level, racks = [...]string{"常德市电子政务中心机房", "常德市电子政务灾备机房"}[q], "中心机房", "B", int64(120-60*q)
		}
		area := float64(racks)*3.2 + 30
		w, d := math.Sqrt(area*1.6), math.Sqrt(area/1.6)
		flat := []float64{p.x, p.y, p.x + w, p.y, p.x + w, p.y + d, p.x, p.y + d, p.x, p.y}
		power := float64(racks) * 3.5
		row := n.base(fmt.Sprintf("JF-%04d", q+1), name, sub, unitName, p, h|1, float64(racks)*42000+180000)
		row = append(row, math.Round(area*10)/10, racks, int64(float64(racks)*0.5*unit(h)), power, math.Round(power*(0.3+0.5*unit(mix(h)))*10)/10, level, []string{"政务外网", "政务内网", "部门专网"}[h>>20%3])
		if err := add(geom.NewPolygonFlat(geom.XY, flat, []int{len(flat)}), row...); err != nil {
			return err
		}
	}
	return nil
}

func (n *network) cabinets(add func(geom.T, ...any) error) error {
	for q := range cabinetCount {
		h := hash(n.c.seed, 0xd1, uint64(q))
		var row []any
		var p point
		if q < 200 { // racks in the server rooms
			room := q % roomCount
			o := n.roomPoint(room)
			slot := float64(q/roomCount) * 1.2
			p = point{o.x + 1 + slot, o.y + 1.5}
			row = n.base(fmt.Sprintf("JG-%05d", q+1), fmt.Sprintf("机柜%03d", q+1), "机柜", department(uint64(room)), p, h|1, 16000)
			row = append(row, int64(42), int64(h>>32%30), int64(0), fmt.Sprintf("JF-%04d", room+1), nil)
		} else { // cross-connects beside nodes
			k := (q - 200) % len(n.nodes)
			o := n.nodes[k].at.point()
			ang := float64(q) * 2.4
			p = point{o.x + 12*math.Cos(ang), o.y + 12*math.Sin(ang)}
			row = n.base(fmt.Sprintf("JG-%05d", q+1), fmt.Sprintf("光交箱%03d", q-199), "光交箱", "常德市电子政务办公室", p, h, 9000)
			row = append(row, nil, nil, []int64{144, 288, 576}[h>>32%3], nil, n.nodes[k].id)
		}
		if err := add(geom.NewPointFlat(geom.XY, []float64{p.x, p.y}), row...); err != nil {
			return err
		}
	}
	return nil
}

func (n *network) fibres(add func(geom.T, ...any) error) error {
	for q, k := range n.cables {
		h := hash(n.c.seed, 0xe1, uint64(q))
		a, b := n.nodes[k.from], n.nodes[k.to]
		flat := n.line(k)
		length := 0.0
		for v := 0; v+3 < len(flat); v += 2 {
			length += math.Hypot(flat[v+2]-flat[v], flat[v+3]-flat[v+1])
		}
		cores, sub := int64(24), "接入光缆"
		if b.level != "接入" {
			cores, sub = 144, "骨干光缆"
		} else if h%3 == 0 {
			cores = 48
		}
		row := n.base(fmt.Sprintf("XL-%04d", q+1), a.name+"至"+b.name, sub, "常德市电子政务办公室", b.at.point(), h|1, length*38)
		row = append(row, cores, int64(float64(cores)*(0.2+0.6*unit(h))), a.id, b.id, []string{"管道", "架空", "直埋"}[h>>20%3], math.Round(length*10)/10)
		if err := add(geom.NewLineStringFlat(geom.XY, flat), row...); err != nil {
			return err
		}
	}
	return nil
}

func (n *network) nodeRows(add func(geom.T, ...any) error) error {
	for q, k := range n.nodes {
		h := hash(n.c.seed, 0xf1, uint64(q))
		p := k.at.point()
		cost := map[string]float64{"核心": 2600000, "汇聚": 420000, "接入": 38000}[k.level]
		row := n.base(k.id, k.name, k.level+"节点", "常德市电子政务办公室", p, h|1, cost)
		var up any
		if k.parent >= 0 {
			up = n.nodes[k.parent].id
		}
		row = append(row, []string{"政务外网", "政务外网", "政务内网"}[h>>20%3], map[string]int64{"核心": 384, "汇聚": 96, "接入": 24}[k.level], up)
		if err := add(geom.NewPointFlat(geom.XY, []float64{p.x, p.y}), row...); err != nil {
			return err
		}
	}
	return nil
}

// roadside is a place beside a border road, by the density of the city.
func (n *network) roadside(inner []*block, h uint64) point {
	b := inner[h%uint64(len(inner))]
	s := spot{b.i, b.j, int(mix(h) % uint64(edgePoints+1))}
	if mix(h+7)%3 == 0 { // at a corner of the lattice: a junction
		s.step = 0
	}
	p := s.point()
	return point{p.x + 6 + 6*unit(mix(h+1)), p.y + 6 + 6*unit(mix(h+2))}
}

func (n *network) cameras(add func(geom.T, ...any) error) error {
	inner := n.c.pick(260_000)
	seen := map[point]bool{}
	for q := range cameraCount {
		h := hash(n.c.seed, 0x1a1, uint64(q))
		p := n.roadside(inner, h)
		for seen[p] || n.c.countyAt(p) < 0 {
			h = mix(h)
			p = n.roadside(inner, h)
		}
		seen[p] = true
		owner, purpose := "常德市公安局", "治安"
		switch h >> 24 % 10 {
		case 0, 1, 2:
			owner, purpose = "常德市交通运输局", "交通"
		case 3:
			owner, purpose = "常德市城市管理局", "城管"
		case 4:
			owner, purpose = "常德市教育局", "校园"
		case 5:
			owner, purpose = "常德市水利局", "水利"
		}
		sub := []string{"枪机", "球机"}[h>>40%2]
		code := n.c.counties[max(0, n.c.countyAt(p))].code
		row := n.base(fmt.Sprintf("SX-%05d", q+1), fmt.Sprintf("%s监控%04d", purpose, q+1), sub, owner, p, h, 12000+6000*unit(h))
		row = append(row, purpose, int64(h>>44%360), int64(60+h>>50%60), int64(40+h>>52%160), fmt.Sprintf("%s00001321%06d", code, q+1))
		if err := add(geom.NewPointFlat(geom.XY, []float64{p.x, p.y}), row...); err != nil {
			return err
		}
	}
	return nil
}

func (n *network) terminals(add func(geom.T, ...any) error) error {
	type seat struct {
		name string
		at   point
	}
	var seatsOf []seat
	for _, k := range n.c.counties {
		seatsOf = append(seatsOf, seat{k.name + "政务服务中心", k.seat})
	}
	for _, k := range n.c.counties {
		for _, t := range k.townships {
			seatsOf = append(seatsOf, seat{t.name + "便民服务中心", t.at})
		}
	}
	inner := n.c.pick(100_000)
	for q := range terminalCount {
		h := hash(n.c.seed, 0x1b1, uint64(q))
		var s seat
		if q < len(seatsOf) {
			s = seatsOf[q]
			s.at = point{s.at.x + 20 + 40*unit(h), s.at.y + 20 + 40*unit(mix(h))}
		} else {
			s = seat{syllables(h) + "社区服务站", n.roadside(inner, h)}
		}
		sub := []string{"自助终端", "自助终端", "信息屏"}[h%3]
		row := n.base(fmt.Sprintf("ZD-%04d", q+1), s.name+sub, sub, "常德市电子政务办公室", s.at, h, 26000)
		list := []string{"社保查询", "公积金查询", "办事预约", "缴费", "证照打印"}
		row = append(row, list[h%5]+"、"+list[(h+2)%5], []string{"09:00-17:00", "00:00-24:00"}[h>>9%2], []int64{500, 800, 1000}[h>>12%3])
		if err := add(geom.NewPointFlat(geom.XY, []float64{s.at.x, s.at.y}), row...); err != nil {
			return err
		}
	}
	return nil
}
