package crs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"changde/problem"
)

// Bounds of a grid file. A city on a grid of 15 arc-seconds has some 200,000
// nodes, 3 MiB.
const (
	maxGridBytes  = 16 << 20
	maxSubgrids   = 256
	gridRecord    = 16 // bytes, of a header line and of a node
	gridHeader    = 11 * gridRecord
	maxGridShift  = 3600.0  // arc-seconds
	maxGridExtent = 1296000 // arc-seconds
)

// ntv2 is a grid of shifts in latitude and longitude in the NTv2 format of
// Geomatics Canada (the .gsb file of the NTv2 Developer's Guide, 1995). Shifts are
// interpolated bilinearly in the deepest subgrid that holds the point; outside
// all of them it is not defined.
type ntv2 struct {
	roots []*subgrid
	majF  float64 // semi-major axis of the source system in metres, as the file says
}

// subgrid is one rectangle of nodes. Angles are arc-seconds, longitudes positive
// to the WEST, as in the file; nodes run from the south-east corner to the west,
// then northward.
type subgrid struct {
	name, parent             string
	south, north, east, west float64
	dLat, dLon               float64
	rows, cols               int
	shifts                   []float32 // latitude, longitude of each node
	kids                     []*subgrid
}

func gridProblem(zh, en string) *problem.Error {
	return problem.New(problem.Invalid, "crs-grid-unreadable", "",
		"格网文件（NTv2 .gsb）无法采用："+zh, "the grid file (NTv2 .gsb) cannot be used: "+en)
}

// parseNTv2 reads a whole file, in either byte order. Its error is a
// *problem.Error that quotes no shift.
func parseNTv2(b []byte) (*ntv2, error) {
	if len(b) > maxGridBytes {
		return nil, gridProblem(fmt.Sprintf("超过 %d MiB", maxGridBytes>>20), fmt.Sprintf("it is longer than %d MiB", maxGridBytes>>20))
	}
	if len(b) < gridHeader || !bytes.HasPrefix(b, []byte("NUM_OREC")) {
		return nil, gridProblem("文件头不是 NTv2", "its head is not that of NTv2")
	}
	r := &gridReader{b: b, order: binary.LittleEndian}
	if r.order.Uint32(b[8:]) != 11 {
		r.order = binary.BigEndian
	}
	if r.count(0, "NUM_OREC") != 11 || r.count(1, "NUM_SREC") != 11 {
		return nil, gridProblem("文件头行数不是 11", "its headers have not 11 lines")
	}
	n := r.count(2, "NUM_FILE")
	if n < 1 || n > maxSubgrids {
		return nil, gridProblem(fmt.Sprintf("子格网数不在 1 至 %d 之间", maxSubgrids), fmt.Sprintf("its number of subgrids is not from 1 to %d", maxSubgrids))
	}
	unit := map[string]float64{"SECONDS": 1, "MINUTES": 60, "DEGREES": 3600}[r.text(3, "GS_TYPE")]
	if unit == 0 {
		return nil, gridProblem("单位（GS_TYPE）不是 SECONDS、MINUTES、DEGREES", "its unit (GS_TYPE) is not SECONDS, MINUTES or DEGREES")
	}
	g := &ntv2{majF: r.real(7, "MAJOR_F")}
	if r.bad != "" {
		return nil, gridProblem("文件头缺少 "+r.bad, "its header lacks "+r.bad)
	}
	r.b = b[gridHeader:]
	var all []*subgrid
	for i := range n {
		s, err := r.subgrid(unit)
		if err != nil {
			err.ZH = fmt.Sprintf("%s（第 %d 个子格网）", err.ZH, i+1)
			err.EN = fmt.Sprintf("%s (subgrid %d)", err.EN, i+1)
			return nil, err
		}
		all = append(all, s)
	}
	if err := g.nest(all); err != nil {
		return nil, err
	}
	return g, nil
}

// gridReader reads header lines of 16 bytes: a name of 8 and a value of 8.
type gridReader struct {
	b     []byte
	order binary.ByteOrder
	bad   string // the first line that has another name
}

func (r *gridReader) line(i int, name string) []byte {
	l := r.b[i*gridRecord : (i+1)*gridRecord]
	if r.bad == "" && strings.TrimRight(string(l[:8]), " \x00") != name {
		r.bad = name
	}
	return l[8:]
}

func (r *gridReader) count(i int, name string) int {
	return int(r.order.Uint32(r.line(i, name)))
}

func (r *gridReader) text(i int, name string) string {
	return clean(strings.Trim(string(r.line(i, name)), " \x00"))
}

func (r *gridReader) real(i int, name string) float64 {
	return math.Float64frombits(r.order.Uint64(r.line(i, name)))
}

// subgrid reads the next subgrid and moves behind it.
func (r *gridReader) subgrid(unit float64) (*subgrid, *problem.Error) {
	if len(r.b) < gridHeader {
		return nil, gridProblem("文件中断", "the file ends early")
	}
	s := &subgrid{name: r.text(0, "SUB_NAME"), parent: r.text(1, "PARENT")}
	for i, to := range []*float64{&s.south, &s.north, &s.east, &s.west, &s.dLat, &s.dLon} {
		*to = unit * r.real(4+i, [...]string{"S_LAT", "N_LAT", "E_LONG", "W_LONG", "LAT_INC", "LONG_INC"}[i])
		if !(math.Abs(*to) <= maxGridExtent) {
			return nil, gridProblem("范围不是合理的角度", "its extent is no sensible angle")
		}
	}
	n := r.count(10, "GS_COUNT")
	if r.bad != "" {
		return nil, gridProblem("文件头缺少 "+r.bad, "its header lacks "+r.bad)
	}
	r.b = r.b[gridHeader:]
	if n < 4 || n > len(r.b)/gridRecord {
		return nil, gridProblem("节点数与文件长度不符", "its number of nodes disagrees with its length")
	}
	var ok bool
	if s.rows, ok = nodes(s.south, s.north, s.dLat); ok {
		s.cols, ok = nodes(s.east, s.west, s.dLon)
	}
	if !ok || s.rows > n || s.cols > n || s.rows*s.cols != n {
		return nil, gridProblem("范围、间距与节点数不符", "its extent, spacing and number of nodes disagree")
	}
	s.shifts = make([]float32, 2*n)
	for i := range n {
		for k := range 2 {
			v := math.Float32frombits(r.order.Uint32(r.b[i*gridRecord+4*k:]))
			if !(math.Abs(float64(v))*unit <= maxGridShift) {
				return nil, gridProblem("有节点的改正数超过 1 度或不是数", "a node shifts by more than a degree, or by no number")
			}
			s.shifts[2*i+k] = v * float32(unit)
		}
	}
	r.b = r.b[n*gridRecord:]
	return s, nil
}

// nodes is the number of nodes of a side.
func nodes(from, to, step float64) (int, bool) {
	n := math.Round((to - from) / step)
	if !(step > 0 && n >= 1 && n < maxGridBytes) || math.Abs(from+n*step-to) > 1e-3*step {
		return 0, false
	}
	return int(n) + 1, true
}

// nest puts subgrids under their parents.
func (g *ntv2) nest(all []*subgrid) error {
	byName := map[string]*subgrid{}
	for _, s := range all {
		if byName[s.name] != nil {
			return gridProblem("两个子格网同名", "two of its subgrids have one name")
		}
		byName[s.name] = s
	}
	for _, s := range all {
		if s.parent == "" || strings.EqualFold(s.parent, "NONE") {
			g.roots = append(g.roots, s)
			continue
		}
		p := byName[s.parent]
		switch {
		case p == nil:
			return gridProblem("子格网所属的上级不存在", "a subgrid's parent is not there")
		case s.south < p.south-p.dLat/2 || s.north > p.north+p.dLat/2 || s.east < p.east-p.dLon/2 || s.west > p.west+p.dLon/2:
			return gridProblem("子格网超出上级范围", "a subgrid reaches beyond its parent")
		}
		p.kids = append(p.kids, s)
	}
	reached, todo := 0, append([]*subgrid{}, g.roots...)
	for len(todo) > 0 {
		s := todo[len(todo)-1]
		todo = append(todo[:len(todo)-1], s.kids...)
		reached++
	}
	if reached < len(all) {
		return gridProblem("子格网互为上级", "subgrids are parents of one another")
	}
	return nil
}

// holds reports whether a point is inside, or within slack cells of the rim.
func (s *subgrid) holds(west, lat, slack float64) bool {
	return lat >= s.south-slack*s.dLat && lat <= s.north+slack*s.dLat && west >= s.east-slack*s.dLon && west <= s.west+slack*s.dLon
}

// find returns the deepest subgrid that holds a point, nil for none.
func (g *ntv2) find(west, lat float64) *subgrid {
	var found *subgrid
	for list := g.roots; ; {
		var next *subgrid
		for _, s := range list {
			if s.holds(west, lat, 0) {
				next = s
				break
			}
		}
		if next == nil {
			return found
		}
		found, list = next, next.kids
	}
}

// toTarget shifts a position in degrees, longitude positive to the east.
func (g *ntv2) toTarget(lon, lat float64) (float64, float64) {
	west, north := -lon*3600, lat*3600
	s := g.find(west, north)
	if s == nil {
		return math.NaN(), math.NaN()
	}
	return s.shift(lon, lat)
}

// shift interpolates in the cell of a point; beyond the rim it extrapolates.
func (s *subgrid) shift(lon, lat float64) (float64, float64) {
	west, north := -lon*3600, lat*3600
	col, x := cell((west-s.east)/s.dLon, s.cols)
	row, y := cell((north-s.south)/s.dLat, s.rows)
	i := 2 * (row*s.cols + col)
	j := i + 2*s.cols
	mix := func(k int) float64 {
		se, sw := float64(s.shifts[i+k]), float64(s.shifts[i+2+k])
		ne, nw := float64(s.shifts[j+k]), float64(s.shifts[j+2+k])
		return (1-y)*((1-x)*se+x*sw) + y*((1-x)*ne+x*nw)
	}
	return lon - mix(1)/3600, lat + mix(0)/3600
}

// cell splits a position in steps into the cell and the place in it.
func cell(at float64, n int) (int, float64) {
	i := max(0, min(int(at), n-2))
	return i, at - float64(i)
}

// toSource inverts by iteration, which may step over the rim on its way to a
// position inside.
func (g *ntv2) toSource(lon, lat float64) (float64, float64) {
	x, y := invert(lon, lat, lon, lat, func(lon, lat float64) (float64, float64) {
		west, north := -lon*3600, lat*3600
		if s := g.find(west, north); s != nil {
			return s.shift(lon, lat)
		}
		for _, s := range g.roots {
			if s.holds(west, north, 1) {
				return s.shift(lon, lat)
			}
		}
		return math.NaN(), math.NaN()
	})
	const rounding = 1e-9 // degrees: a node of the rim is inside
	for _, s := range g.roots {
		if s.holds(-x*3600, y*3600, rounding*3600/min(s.dLat, s.dLon)) {
			return x, y
		}
	}
	return math.NaN(), math.NaN()
}
