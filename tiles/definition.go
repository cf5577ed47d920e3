package tiles

import (
	"encoding/json"
	"fmt"
	"math"
)

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
	URI               string       `json:"uri,omitempty"`
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
