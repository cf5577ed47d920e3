package changde

import (
	"fmt"
	"strings"
)

// linker hands out assets: each is constructed by at most one project.
type linker struct {
	camera, terminal, node, line, room int
}

// take returns codes of the next few assets of a kind.
func take(next *int, few, limit int, format string) []string {
	var out []string
	for range few {
		if *next < limit {
			*next++
			out = append(out, fmt.Sprintf(format, *next))
		}
	}
	return out
}

// link ties a project to what it built when construction has begun, to what it means
// to build before that, and to the central room that hosts it.
func (l *linker) link(d *draft) {
	if d.Started != "" {
		l.built(d)
	} else if d.Reviewed == "" || d.Reviewed >= "2012" {
		l.planned(d)
	}
	if d.Category == appl || d.Category == servi || d.Category == based {
		d.Links = append(d.Links, Link{"server_rooms", "JF-0001", "uses"})
	}
}

func (l *linker) built(d *draft) {
	add := func(dataset string, keys []string) {
		for _, k := range keys {
			d.Links = append(d.Links, Link{dataset, k, "constructs"})
		}
	}
	switch {
	case strings.Contains(d.NameZH, "视频") || d.Category == infra:
		add("cameras", take(&l.camera, 24, cameraCount, "SX-%05d"))
	case d.Category == termi:
		add("service_terminals", take(&l.terminal, 12, terminalCount, "ZD-%04d"))
	case d.Category == netw:
		add("network_nodes", take(&l.node, 6, coreNodes+urbanNodes, "JD-%04d"))
		add("fibre_lines", take(&l.line, 5, urbanNodes, "XL-%04d"))
	}
}

// planned gives a project not yet begun the assets of its declaration. One asks for
// a server room of its own, which the rules of the city do not admit.
func (l *linker) planned(d *draft) {
	few, kind, what := 0, "", ""
	switch {
	case strings.Contains(d.NameZH, "视频") || d.Category == infra:
		few, kind, what = 6, "camera", "监控点"
	case d.Category == termi:
		few, kind, what = 3, "service_terminal", "终端"
	case d.Category == netw:
		few, kind, what = 2, "network_node", "接入节点"
	case d.Category == based && l.room == 0:
		l.room++
		few, kind, what = 1, "server_room", "自建机房"
	}
	h := textHash(d.NameZH)
	for q := range few {
		h = mix(h + uint64(q))
		lon, lat := 111.66+0.06*unit(h), 29.01+0.05*unit(mix(h))
		g := fmt.Sprintf(`{"type":"Point","coordinates":[%.6f,%.6f]}`, lon, lat)
		if kind == "server_room" {
			e, n := lon+0.00012, lat+0.00008
			g = fmt.Sprintf(`{"type":"Polygon","coordinates":[[[%.6f,%.6f],[%.6f,%.6f],[%.6f,%.6f],[%.6f,%.6f],[%.6f,%.6f]]]}`, lon, lat, e, lat, e, n, lon, n, lon, lat)
		}
		d.NewAssets = append(d.NewAssets, NewAsset{kind, fmt.Sprintf("%s%s%d（合成）", d.Unit, what, q+1), g})
	}
}
