package tiles

import (
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"changde/catalog"
	types "changde/ingest/layer"
)

// MaxColumns is how many attributes a tile carries.
const MaxColumns = 16

// DetailZoom is the zoom from which tiles of lines and polygons carry more than
// label and class, and what the dataset's rules of tiles name. Farther out features are
// many and small: their attributes would take the room that their shapes need.
const DetailZoom = catalog.DetailZoom

// TileColumns are the attributes that a tile of the release carries at a zoom, in
// the order of the release: all when there are at most 16; otherwise the label,
// the class, those of the dataset's rules, the business key and the time, and of the
// others the first. Below DetailZoom a tile carries the label, the class and what the
// rules name for the zoom alone; without rules that is so of lines and polygons
// that have a label or a class. What a tile carries at a zoom it carries at those
// beyond.
func TileColumns(d *catalog.Dataset, r *catalog.Release, zoom int) []catalog.Column {
	ruled := len(d.Tiles.Attributes) > 0
	if zoom < DetailZoom && (ruled || dimensionOf(r) > 0) {
		named := d.Tiles.Fields(zoom)
		few := slices.DeleteFunc(slices.Clone(r.Columns), func(c catalog.Column) bool {
			return c.Name != d.Label && c.Name != d.Class && !slices.Contains(named, c.Name)
		})
		if ruled || len(few) > 0 {
			return few
		}
	}
	if len(r.Columns) <= MaxColumns {
		return r.Columns
	}
	chosen := make([]bool, len(r.Columns))
	left := MaxColumns
	first := slices.Concat([]string{d.Label, d.Class}, d.Tiles.Fields(DetailZoom), []string{d.BusinessKey, d.TimeColumn})
	for _, name := range first {
		i := slices.IndexFunc(r.Columns, func(c catalog.Column) bool { return c.Name == name })
		if i >= 0 && !chosen[i] && left > 0 {
			chosen[i] = true
			left--
		}
	}
	out := make([]catalog.Column, 0, MaxColumns)
	for i, c := range r.Columns {
		if !chosen[i] && left == 0 {
			continue
		}
		if !chosen[i] {
			left--
		}
		out = append(out, c)
	}
	return out
}

// MaxTileZoom is the deepest zoom a map asks for; beyond it the client enlarges
// tiles, whose grid is 4 cm by then.
const MaxTileZoom = 18

// Levels are the zooms of WebMercatorQuad between which tiles of the release are
// worth asking for, the minzoom and maxzoom of its TileJSON. They follow from the
// number of rows and the extent:
//
//   - minimum: the first zoom at which a tile over the extent has on average at
//     most 30,000 rows, nearly all of which Config.MaxBytes has room for, and at
//     which, unless the rows are points, a feature that took an equal share of the
//     extent would be at least one pixel of a 512-pixel tile wide;
//   - maximum: MaxTileZoom.
//
// Tiles outside these zooms can be had all the same, thinned as Tile says.
func Levels(r *catalog.Release) (minimum, maximum int) {
	if r.Extent == nil || r.Rows <= 0 {
		return 0, MaxTileZoom
	}
	width, height := r.Extent[2]-r.Extent[0], r.Extent[3]-r.Extent[1]
	share := math.Sqrt(max(width, 0) * max(height, 0) / float64(r.Rows))
	if share == 0 { // rows along a meridian or a parallel
		share = max(width, height) / float64(r.Rows)
	}
	for z := range MaxTileZoom {
		tile := math.Ldexp(360, -z)
		tiles := max(width/tile, 1) * max(height/tile, 1)
		if float64(r.Rows)/tiles <= comfortable && (dimensionOf(r) == 0 || share >= tile/pixelsOfTile) {
			return z, MaxTileZoom
		}
	}
	return MaxTileZoom, MaxTileZoom
}

// Levels are the levels of the matrix set between which tiles of a release of the
// dataset are worth asking for. With archives of the set, which show small features
// together, they begin where the extent is some pixels wide; without, they are those
// of the function Levels.
func (s *Source) Levels(set MatrixSet, d *catalog.Dataset, r *catalog.Release) (minimum, maximum int) {
	if s.config.Archives == nil || !slices.Contains(gridsOf(d), gridOf(set.ID)) || !r.Versioned() || r.Extent == nil {
		minimum, maximum = Levels(r)
		return set.Level(minimum), set.Level(maximum)
	}
	e := r.Extent
	side := max(e[2]-e[0], e[3]-e[1]) / 360 * pixelsOfTile
	for minimum < ArchiveZoom && math.Ldexp(side, minimum) < seenPixels {
		minimum++
	}
	return set.Level(minimum), set.Level(MaxTileZoom)
}

// seenPixels is how wide a dataset is on the map before one looks at it.
const seenPixels = 16

// comfortable is how many rows a tile holds with few left out.
const comfortable = 30_000

// pixelsOfTile is the width in pixels at which a map shows a tile: vector tiles
// are drawn at 512.
const pixelsOfTile = 512

// dimensionOf is 0 for a release of points, 1 for lines, 2 for polygons and -1
// when its type does not tell.
func dimensionOf(r *catalog.Release) int {
	name := strings.TrimPrefix(strings.ToLower(r.GeometryType), "multi")
	switch {
	case strings.HasPrefix(name, "point"):
		return 0
	case strings.HasPrefix(name, "linestring"):
		return 1
	case strings.HasPrefix(name, "polygon"):
		return 2
	}
	return -1
}

// attribute carries one column from a row to a layer. What depends on settings of
// the session travels in binary; for text the two formats are the same bytes.
type attribute struct {
	typ    types.Type
	format int16
}

func attributes(columns []catalog.Column) []attribute {
	out := make([]attribute, len(columns))
	for i, c := range columns {
		out[i] = attribute{typ: c.Type, format: 1}
		if c.Type == types.Decimal || c.Type == types.Text {
			out[i].format = 0
		}
	}
	return out
}

// formatsOf are the formats of a statement that begins with some fixed columns, in
// binary, and goes on with the attributes.
func formatsOf(attrs []attribute, fixed int) pgx.QueryResultFormats {
	out := make(pgx.QueryResultFormats, 0, fixed+len(attrs))
	for range fixed {
		out = append(out, pgx.BinaryFormatCode)
	}
	for _, a := range attrs {
		out = append(out, a.format)
	}
	return out
}

// tag adds the value to the row in the making: whole numbers as int or sint,
// reals and decimals as double, truth as bool, dates and times as ISO 8601 text.
// NULL, NaN and the infinities are left out.
func (a attribute) tag(l *layer, key int, raw []byte) {
	if raw == nil {
		return
	}
	switch a.typ {
	case types.Integer:
		l.tagInt(key, int64(binary.BigEndian.Uint64(raw)))
	case types.Real:
		l.tagDouble(key, math.Float64frombits(binary.BigEndian.Uint64(raw)))
	case types.Decimal:
		// A number beyond the range of a double comes as an infinity with its error.
		v, _ := strconv.ParseFloat(string(raw), 64)
		l.tagDouble(key, v)
	case types.Boolean:
		l.tagBool(key, raw[0] != 0)
	case types.Date:
		if days := int32(binary.BigEndian.Uint32(raw)); days != math.MaxInt32 && days != math.MinInt32 {
			t := time.Unix(epochUnix, 0).UTC().AddDate(0, 0, int(days))
			l.tagString(key, t.AppendFormat(l.text[:0], time.DateOnly))
		}
	case types.Timestamp:
		if us := int64(binary.BigEndian.Uint64(raw)); us != math.MaxInt64 && us != math.MinInt64 {
			t := time.Unix(epochUnix+us/1e6, us%1e6*1e3).UTC() // Unix takes a negative part of a second
			l.tagString(key, t.AppendFormat(l.text[:0], "2006-01-02T15:04:05.999999Z"))
		}
	default:
		l.tagString(key, raw)
	}
}

// epochUnix is 2000-01-01, where PostgreSQL counts days and microseconds from.
const epochUnix = 946684800
