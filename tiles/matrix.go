package tiles

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/paulmach/orb"

	"changde/catalog"
	"changde/problem"
)

// MaxZoom is the deepest level that is served.
const MaxZoom = 22

// Extent is the number of units a tile is wide and high (MVT 2.1, 4.1), Buffer
// how far content reaches beyond its edges.
const (
	Extent = 4096
	Buffer = 64
)

// Level is the level whose tiles are as wide as those of WebMercatorQuad at a zoom,
// the first one for zooms that are farther out.
func (m *MatrixSet) Level(zoom int) int { return max(zoom-m.ahead(), 0) }

// ahead is how many levels later WebMercatorQuad has tiles of the same width.
func (m *MatrixSet) ahead() int { return bits.Len(uint(m.Columns)) - 1 }

// width is how wide and high a tile of the level is, in units of the CRS.
func (m *MatrixSet) width(z int) float64 {
	return math.Ldexp(m.Cell*float64(m.TileSize), -z)
}

// degrees is how wide a tile of the level is on the equator.
func (m *MatrixSet) degrees(z int) float64 {
	return math.Ldexp(360/float64(m.Columns), -z)
}

// Address names a tile: its matrix set, its matrix, and the row and column in it,
// counted from the upper left corner.
type Address struct {
	Set         string
	Z, Row, Col int
}

// String gives set/z/row/col, the order of OGC API Tiles.
func (a Address) String() string { return fmt.Sprintf("%s/%d/%d/%d", a.Set, a.Z, a.Row, a.Col) }

// Locate gives the address of a tile by the name of a matrix set, level, row and
// column. It also takes the names that 天地图 has for the grids, MatrixSet.Tianditu,
// and with them its levels. What is outside the matrices is problem.NotFound.
func Locate(set string, level, row, col int) (Address, error) {
	a, first := Address{Set: set, Z: level, Row: row, Col: col}, 0
	for i := range sets {
		if s := &sets[i]; set != "" && s.Tianditu == set {
			a.Set, first = s.ID, s.TiandituFirst
			a.Z -= first
		}
	}
	return a, a.validate(set, first)
}

// Validate answers problem.NotFound for an address outside the matrices.
func (a Address) Validate() error { return a.validate(a.Set, 0) }

// validate tells of the address in the caller's terms: the name of the set and the
// number of its first level.
func (a Address) validate(name string, first int) error {
	s, ok := Set(a.Set)
	if !ok {
		return unknownSet(name, true)
	}
	if last := min(MaxZoom, s.Levels-1); a.Z < 0 || a.Z > last {
		return problem.New(problem.NotFound, "tile-outside", fmt.Sprintf("%s/%d/%d/%d", name, a.Z+first, a.Row, a.Col),
			fmt.Sprintf("级别 %d 不在 %d 到 %d 之间", a.Z+first, first, last+first),
			fmt.Sprintf("level %d is not between %d and %d", a.Z+first, first, last+first))
	}
	if rows, cols := s.Rows<<a.Z, s.Columns<<a.Z; a.Row < 0 || a.Row >= rows || a.Col < 0 || a.Col >= cols {
		return problem.New(problem.NotFound, "tile-outside", fmt.Sprintf("%s/%d/%d/%d", name, a.Z+first, a.Row, a.Col),
			fmt.Sprintf("第 %d 级有 %d 行 %d 列，行列号从 0 起", a.Z+first, rows, cols),
			fmt.Sprintf("level %d has %d rows and %d columns, counted from 0", a.Z+first, rows, cols))
	}
	return nil
}

// zoom is the level of WebMercatorQuad whose tiles are as wide. The address must be
// valid.
func (a Address) zoom() int {
	for i := range sets {
		if sets[i].ID == a.Set {
			return a.Z + sets[i].ahead()
		}
	}
	return a.Z
}

// frame is where positions in units of the tile of zoom 0 lie in the tile: p at
// scale·p - origin, in units of the tile.
func (a Address) frame() (scale float64, origin orb.Point) {
	return math.Ldexp(Extent, a.zoom()), orb.Point{float64(a.Col) * Extent, float64(a.Row) * Extent}
}

// tileOf is the column and row of the tile of a zoom that holds a position in units of
// the tile of zoom 0.
func tileOf(p orb.Point, z int) [2]int {
	n := math.Ldexp(1, z)
	return [2]int{int(math.Floor(p[0] * n)), int(math.Floor(p[1] * n))}
}

// at is the tile of a zoom, a column and a row.
func (m *MatrixSet) at(zoom, col, row int) Address {
	return Address{Set: m.ID, Z: zoom - m.ahead(), Col: col, Row: row}
}

// Bounds are west, south, east and north of the tile in units of the CRS of the
// matrix set, easting first, with a margin of buffer units of Extent. The address
// must be valid.
func (a Address) Bounds(buffer int) [4]float64 {
	s, _ := Set(a.Set)
	w := s.width(a.Z)
	margin := w * float64(buffer) / Extent
	left, top := s.Left+float64(a.Col)*w, s.Top-float64(a.Row)*w
	return [4]float64{left - margin, top - w - margin, left + w + margin, top + margin}
}

// Degrees are the bounds in degrees, longitude first, with a margin of buffer
// units of Extent. With a margin they may reach beyond 180 degrees.
func (a Address) Degrees(buffer int) catalog.Bounds {
	s, _ := Set(a.Set)
	b := a.Bounds(buffer)
	west, south := s.Unproject(b[0], b[1])
	east, north := s.Unproject(b[2], b[3])
	return catalog.Bounds{west, south, east, north}
}
