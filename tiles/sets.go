package tiles

import (
	"math"
	"slices"
	"strings"

	"changde/problem"
)

// MatrixSet is a tile matrix set (OGC 17-083r4): a grid of tiles for each level,
// all of one origin, where level z+1 has twice the rows and columns of level z.
type MatrixSet struct {
	ID            string
	Title         string
	URI           string   // empty: the OGC has not registered the set
	CRS           string   // URI of the coordinate reference system
	Axes          []string // in the order of the CRS
	ScaleSet      string   // URI of the well-known scale set, which is for one CRS; empty: none
	Levels        int      // how many are defined; 0 to MaxZoom are served
	TileSize      int      // pixels, wide and high
	Columns, Rows int      // tiles at level 0
	Cell          float64  // size of a pixel at level 0, in units of the CRS
	Metres        float64  // of one unit of the CRS at the equator
	Left, Top     float64  // the origin, in units of the CRS, easting first

	// Same is the ID of another set whose tiles are the same; empty: there is none.
	Same string

	// Tianditu is the name of the grid at 天地图, the national map service, where
	// level 0 has the number TiandituFirst; empty: it has no such grid.
	Tianditu      string
	TiandituFirst int

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

// degree is the length in metres that OGC takes a degree to have, on the equator of
// both WGS 84 and CGCS2000.
const degree = math.Pi * 6378137 / 180

var sets = [...]MatrixSet{
	{
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
		Tianditu: "w", TiandituFirst: 0,
		Project:   projectMercator,
		Unproject: unprojectMercator,
	},
	{
		ID:       "WorldCRS84Quad",
		Title:    "CRS84 for the World",
		URI:      "http://www.opengis.net/def/tilematrixset/OGC/1.0/WorldCRS84Quad",
		CRS:      "http://www.opengis.net/def/crs/OGC/1.3/CRS84",
		Axes:     []string{"Lon", "Lat"},
		ScaleSet: "http://www.opengis.net/def/wkss/OGC/1.0/GoogleCRS84Quad",
		Levels:   24,
		TileSize: 256,
		Columns:  2,
		Rows:     1,
		Cell:     180.0 / 256,
		Metres:   degree,
		Left:     -180, Top: 90,
		Same:      "CGCS2000Quad",
		Project:   projectDegrees,
		Unproject: unprojectDegrees,
	},
	{
		ID:       "CGCS2000Quad",
		Title:    "CGCS2000 for the World",
		CRS:      "http://www.opengis.net/def/crs/EPSG/0/4490",
		Axes:     []string{"Lat", "Lon"},
		Levels:   24,
		TileSize: 256,
		Columns:  2,
		Rows:     1,
		Cell:     180.0 / 256,
		Metres:   degree,
		Left:     -180, Top: 90,
		Tianditu: "c", TiandituFirst: 1,
		Project:   projectDegrees,
		Unproject: unprojectDegrees,
	},
}

// Sets returns the matrix sets that are served. Their axes must not be changed.
func Sets() []MatrixSet { return slices.Clone(sets[:]) }

// Set returns the matrix set of that ID.
func Set(id string) (MatrixSet, bool) {
	for i := range sets {
		if sets[i].ID == id {
			return sets[i], true
		}
	}
	return MatrixSet{}, false
}

// Find is Set with problem.NotFound, which names the sets there are.
func Find(id string) (MatrixSet, error) {
	s, ok := Set(id)
	if !ok {
		return s, unknownSet(id, false)
	}
	return s, nil
}

// SetNames are the names by which Locate knows the matrix sets: their IDs, and then
// the names of 天地图.
func SetNames() []string {
	var ids, names []string
	for i := range sets {
		ids = append(ids, sets[i].ID)
		if sets[i].Tianditu != "" {
			names = append(names, sets[i].Tianditu)
		}
	}
	return append(ids, names...)
}

func unknownSet(id string, tianditu bool) error {
	names := SetNames()
	if !tianditu {
		names = names[:len(sets)]
	}
	return problem.New(problem.NotFound, "tile-matrix-set-unknown", id,
		"没有这个瓦片矩阵集；可用的有 "+strings.Join(names, "、"), "there is no such tile matrix set; there are "+strings.Join(names, ", "))
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

// projectDegrees clamps latitudes beyond a pole to it.
func projectDegrees(lon, lat float64) (x, y float64) { return lon, min(max(lat, -90), 90) }

func unprojectDegrees(x, y float64) (lon, lat float64) { return x, y }
