package tiles

import (
	"encoding/json"
	"fmt"
	"math"

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

// MatrixSet is a tile matrix set (OGC 17-083r4): a grid of tiles for each level,
// all of one origin, where level z+1 has twice the rows and columns of level z.
// A set over degrees, such as CGCS2000Quad, differs in its data alone.
type MatrixSet struct {
	ID            string
	Title         string
	URI           string
	CRS           string   // URI of the coordinate reference system
	Axes          []string // in the order of the CRS
	ScaleSet      string   // URI of the well-known scale set
	Levels        int      // how many are defined; 0 to MaxZoom are served
	TileSize      int      // pixels, wide and high
	Columns, Rows int      // tiles at level 0
	Cell          float64  // size of a pixel at level 0, in units of the CRS
	Metres        float64  // of one unit of the CRS at the equator
	Left, Top     float64  // the origin, in units of the CRS, easting first

	// Project turns degrees into units of the CRS, easting first. It takes any
	// finite position and gives a finite one.
	Project func(lon, lat float64) (x, y float64)
	// Unproject is its inverse.
	Unproject func(x, y float64) (lon, lat float64)
}

// mercator is half the circumference of the sphere of EPSG:3857 in metres.
const mercator = math.Pi * 6378137

// maxLatitude is where the square of EPSG:3857 ends.
const maxLatitude = 85.0511287798066

// pixel is the size in metres that OGC takes a pixel to have.
const pixel = 0.00028

// Sets returns the matrix sets that are served.
func Sets() []MatrixSet {
	return []MatrixSet{{
		ID:       "WebMercatorQuad",
		Title:    "Google Maps Compatible for the World",
		URI:      "http://www.opengis.net/def/tilematrixset/OGC/1.0/WebMercatorQuad",
		CRS:      "http://www.opengis.net/def/crs/EPSG/0/3857",
		Axes:     []string{"X", "Y"},
		ScaleSet: "http://www.opengis.net/def/wkss/OGC/1.0/GoogleMapsCompatible",
		Levels:   25,
		TileSize: 256,
		Columns:  1,
		Rows:     1,
		Cell:     2 * mercator / 256,
		Metres:   1,
		Left:     -mercator, Top: mercator,
		Project:   projectMercator,
		Unproject: unprojectMercator,
	}}
}

// Set returns the matrix set of that ID.
func Set(id string) (MatrixSet, bool) {
	for _, s := range Sets() {
		if s.ID == id {
			return s, true
		}
	}
	return MatrixSet{}, false
}

// projectMercator clamps latitudes beyond the square to its edge, which is also
// where the poles, infinitely far, come to lie.
func projectMercator(lon, lat float64) (x, y float64) {
	lat = min(max(lat, -maxLatitude), maxLatitude)
	sin := math.Sin(lat * (math.Pi / 180))
	return lon * (mercator / 180), 6378137 * 0.5 * math.Log((1+sin)/(1-sin))
}

func unprojectMercator(x, y float64) (lon, lat float64) {
	return x * (180 / mercator), math.Atan(math.Sinh(y/6378137)) * (180 / math.Pi)
}

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

// Validate answers problem.NotFound for an address outside the matrices.
func (a Address) Validate() error {
	s, ok := Set(a.Set)
	if !ok {
		return problem.New(problem.NotFound, "tile-matrix-set-unknown", a.Set,
			"没有这个瓦片矩阵集；可用的有 WebMercatorQuad", "there is no such tile matrix set; WebMercatorQuad is there")
	}
	if a.Z < 0 || a.Z > min(MaxZoom, s.Levels-1) {
		return problem.New(problem.NotFound, "tile-outside", a.String(),
			fmt.Sprintf("级别 %d 不在 0 到 %d 之间", a.Z, MaxZoom), fmt.Sprintf("level %d is not between 0 and %d", a.Z, MaxZoom))
	}
	if rows, cols := s.Rows<<a.Z, s.Columns<<a.Z; a.Row < 0 || a.Row >= rows || a.Col < 0 || a.Col >= cols {
		return problem.New(problem.NotFound, "tile-outside", a.String(),
			fmt.Sprintf("第 %d 级有 %d 行 %d 列，行列号从 0 起", a.Z, rows, cols),
			fmt.Sprintf("level %d has %d rows and %d columns, counted from 0", a.Z, rows, cols))
	}
	return nil
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

type matrixJSON struct {
	ID               string     `json:"id"`
	ScaleDenominator float64    `json:"scaleDenominator"`
	CellSize         float64    `json:"cellSize"`
	CornerOfOrigin   string     `json:"cornerOfOrigin"`
	PointOfOrigin    [2]float64 `json:"pointOfOrigin"`
	TileWidth        int        `json:"tileWidth"`
	TileHeight       int        `json:"tileHeight"`
	MatrixWidth      int        `json:"matrixWidth"`
	MatrixHeight     int        `json:"matrixHeight"`
}

type boxJSON struct {
	LowerLeft   [2]float64 `json:"lowerLeft"`
	UpperRight  [2]float64 `json:"upperRight"`
	CRS         string     `json:"crs"`
	OrderedAxes []string   `json:"orderedAxes"`
}

type matrixSetJSON struct {
	ID                string       `json:"id"`
	Title             string       `json:"title"`
	URI               string       `json:"uri"`
	CRS               string       `json:"crs"`
	OrderedAxes       []string     `json:"orderedAxes"`
	WellKnownScaleSet string       `json:"wellKnownScaleSet,omitempty"`
	BoundingBox       boxJSON      `json:"boundingBox"`
	TileMatrices      []matrixJSON `json:"tileMatrices"`
}

// MarshalJSON gives the tile matrix set as OGC 17-083r4, 7.1 and annex C encode
// it. A set whose CRS has northing first gives its points so.
func (m MatrixSet) MarshalJSON() ([]byte, error) {
	point := func(x, y float64) [2]float64 {
		if len(m.Axes) > 0 && (m.Axes[0] == "Lat" || m.Axes[0] == "Y") {
			return [2]float64{y, x}
		}
		return [2]float64{x, y}
	}
	w := m.width(0)
	out := matrixSetJSON{
		ID: m.ID, Title: m.Title, URI: m.URI, CRS: m.CRS, OrderedAxes: m.Axes, WellKnownScaleSet: m.ScaleSet,
		BoundingBox: boxJSON{
			LowerLeft:  point(m.Left, m.Top-w*float64(m.Rows)),
			UpperRight: point(m.Left+w*float64(m.Columns), m.Top),
			CRS:        m.CRS, OrderedAxes: m.Axes,
		},
	}
	for z := range m.Levels {
		cell := math.Ldexp(m.Cell, -z)
		out.TileMatrices = append(out.TileMatrices, matrixJSON{
			ID: fmt.Sprint(z), ScaleDenominator: cell * m.Metres / pixel, CellSize: cell,
			CornerOfOrigin: "topLeft", PointOfOrigin: point(m.Left, m.Top),
			TileWidth: m.TileSize, TileHeight: m.TileSize, MatrixWidth: m.Columns << z, MatrixHeight: m.Rows << z,
		})
	}
	return json.Marshal(out)
}
