package csv

import (
	"fmt"
	"slices"
	"strings"

	"changde/problem"
)

// chosen takes the columns that a person named as the geometry.
func (info *Info) chosen(names []string, where string, s *sample) error {
	g := &info.Geometry
	g.WKT, g.X, g.Y, g.Z = -1, -1, -1, -1
	var at []int
	for _, name := range names {
		i := slices.Index(info.names, name)
		if i < 0 {
			i = slices.IndexFunc(info.names, func(n string) bool { return strings.EqualFold(n, strings.TrimSpace(name)) })
		}
		if i < 0 || slices.Contains(at, i) {
			return problem.New(problem.Invalid, "csv-geometry-columns", where,
				fmt.Sprintf("指定为几何的列 %q 不在表中，或写了两次；表中有 %s", name, list(info.names)),
				fmt.Sprintf("the column %q named as geometry is not in the table, or is named twice; there are %s", name, list(info.names)))
		}
		at = append(at, i)
	}
	switch len(at) {
	case 1:
		if s.geometry(at[0]) != wktText {
			return problem.New(problem.Invalid, "csv-geometry-columns", where,
				fmt.Sprintf("列 %s 不是 WKT；坐标请指定两列，东（经度）在前：X,Y", names[0]),
				fmt.Sprintf("the column %s is no WKT; of coordinates name two columns, east (longitude) first: X,Y", names[0]))
		}
		g.WKT = at[0]
		g.ZH, g.EN = fmt.Sprintf("几何取自指定的列 %s（WKT）", names[0]), fmt.Sprintf("the geometry is in the column %s (WKT), as told", names[0])
	case 2:
		g.X, g.Y, g.Z = at[0], at[1], info.find(heightNames)
		g.ZH = fmt.Sprintf("几何由指定的列 %s（东或经度）和 %s（北或纬度）组成", names[0], names[1])
		g.EN = fmt.Sprintf("the geometry is made of the columns %s (east or longitude) and %s (north or latitude), as told", names[0], names[1])
		info.heights()
	default:
		return problem.New(problem.Invalid, "csv-geometry-columns", where,
			"几何列须指定一列 WKT，或两列坐标（X,Y）", "name one column of WKT as the geometry, or two of coordinates (X,Y)")
	}
	return nil
}

// list names columns, the first of many.
func list(names []string) string {
	const most = 30
	if len(names) > most {
		return strings.Join(names[:most], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}

// find is the first column with one of the names, -1 for none.
func (info *Info) find(names []string) int {
	for _, n := range names {
		if i := slices.IndexFunc(info.names, func(name string) bool { return key(name) == n }); i >= 0 {
			return i
		}
	}
	return -1
}

func (info *Info) heights() {
	if g := &info.Geometry; g.Z >= 0 {
		g.ZH += fmt.Sprintf("，高程取自列 %s", info.names[g.Z])
		g.EN += fmt.Sprintf(", heights are in %s", info.names[g.Z])
	}
}

// rival is a column that could as well be the one chosen, by its name or its name
// with a number, and with other values; -1 for none.
func (info *Info) rival(chosen int, names []string, s *sample) int {
	for i, name := range info.names {
		k := key(name)
		if i == chosen || !slices.Contains(names, k) && !slices.Contains(names, strings.TrimRight(k, "0123456789")) {
			continue
		}
		if s.differ(chosen, i) {
			return i
		}
	}
	return -1
}

// differ says whether most of column b are coordinates, and not all those of a.
func (s *sample) differ(a, b int) bool {
	filled, numbers, other := 0, 0, false
	for _, row := range s.rows {
		if trim(row[b]) == "" {
			continue
		}
		filled++
		v, ok := coordinate(row[b])
		if !ok {
			continue
		}
		numbers++
		w, ok := coordinate(row[a])
		other = other || !ok || v != w
	}
	return other && 2*numbers >= filled
}

// ambiguous refuses a table of which two columns could be the same part of the
// geometry.
func (info *Info) ambiguous(a, b int, where string) error {
	x, y := info.names[a], info.names[b]
	return problem.New(problem.Invalid, "csv-geometry-ambiguous", where,
		fmt.Sprintf("列 %s 与 %s 都像几何，数值不同，不能替人决定；请用 --geometry-columns（接口 geometryColumns）指定，如 经度,纬度（东在前），或改列名", x, y),
		fmt.Sprintf("the columns %s and %s both look like the geometry and differ; name the ones that are it with --geometry-columns (geometryColumns of the interface), such as lon,lat (east first), or rename one", x, y))
}
