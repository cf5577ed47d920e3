// Package geopackage reads and writes the vector features of OGC GeoPackages (OGC
// 12-128r17, version 1.3) with ncruces/go-sqlite3. A delivered file is opened as
// immutable and is never trusted: names are quoted, blobs are bounded by their own
// length, SQL in views runs against a clock.
//
// Coordinates are X (longitude, easting) before Y whatever the CRS (clause 2.1.3).
// docs/formats/geopackage.md lists what is read, the bounds and the odd cases.
package geopackage

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/ncruces/go-sqlite3"

	"changde/ingest/layer"
	"changde/problem"
)

// The bounds.
const (
	maxLayers      = 1000
	maxColumns     = 1000
	maxCell        = 64 << 20 // bytes of one row
	maxFirstPoints = 1000
)

// Layer describes one feature table or view of a GeoPackage.
type Layer struct {
	Name           string // of the table
	Identifier     string // the title in gpkg_contents
	EPSG           int    // 0 when the CRS is undefined (srs_id -1 and 0) or not one of EPSG
	SRSName        string
	WKT            string // empty when the definition is "undefined"
	GeometryColumn string
	GeometryType   string // as declared, upper case, such as MULTIPOLYGON or GEOMETRY
	HasZ, HasM     bool   // of the values where the declaration leaves it open
	Fields         []layer.Field
	Features       int64         // rows counted
	Box            *[4]float64   // min X, min Y, max X, max Y as declared, nil without; it is not checked
	FirstPoints    [][2]float64  // the first position of the first 1,000 usable geometries
	Notes          []layer.Fault // about the layer as a whole, such as columns that are left out; Row is 0

	srsID     int64
	zOptional bool // gpkg_geometry_columns allows heights and does not demand them
	columns   []column
	table     string // the name as the schema spells it
}

// column is a column that becomes a field.
type column struct {
	name  string
	field layer.Field
}

// Inspect lists the feature layers in the order of gpkg_contents, counts their rows
// and looks at the first geometries. Tiles and tables of attributes without geometry
// are not listed. What is wrong with the file is a *problem.Error.
func Inspect(ctx context.Context, path string) (layers []Layer, err error) {
	d, err := openDatabase(ctx, path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if cerr := d.Close(); err == nil && cerr != nil {
			layers, err = nil, d.mend(cerr)
		}
	}()
	layers, err = d.layers()
	if err != nil {
		return nil, err
	}
	for i := range layers {
		l := &layers[i]
		if err := d.describe(l); err != nil {
			return nil, err
		}
		if err := d.look(l); err != nil {
			return nil, err
		}
	}
	return layers, nil
}

// layers reads gpkg_contents and gpkg_geometry_columns.
func (d *database) layers() ([]Layer, error) {
	tables := make(map[string]bool)
	err := d.query(`SELECT lower(name) FROM sqlite_schema WHERE type IN ('table', 'view') AND lower(name) IN ('gpkg_contents', 'gpkg_geometry_columns', 'gpkg_spatial_ref_sys', 'geometry_columns')`, nil,
		func(s *sqlite3.Stmt) error {
			tables[s.ColumnText(0)] = true
			return nil
		})
	if err != nil {
		return nil, err
	}
	switch {
	case tables["gpkg_contents"] && tables["gpkg_geometry_columns"] && tables["gpkg_spatial_ref_sys"]:
	case tables["geometry_columns"]:
		return nil, problem.New(problem.Unsupported, "geopackage-spatialite", d.where,
			"这是 SpatiaLite 数据库，不是 GeoPackage，请先转换（ogr2ogr -f GPKG）", "this is a SpatiaLite database, not a GeoPackage; convert it first (ogr2ogr -f GPKG)")
	case tables["gpkg_contents"]:
		return nil, d.noLayers()
	default:
		return nil, problem.New(problem.Invalid, "geopackage-tables", d.where,
			"是 SQLite 数据库，但没有 gpkg_contents 等表，不是 GeoPackage", "a SQLite database without gpkg_contents and its companions: not a GeoPackage")
	}
	var layers []Layer
	seen := make(map[string]bool)
	err = d.query(`SELECT c.table_name, c.identifier, c.min_x, c.min_y, c.max_x, c.max_y,
			g.column_name, g.geometry_type_name, g.srs_id, g.z, g.m, c.srs_id
		FROM gpkg_contents AS c LEFT JOIN gpkg_geometry_columns AS g ON g.table_name = c.table_name COLLATE NOCASE
		WHERE c.data_type = 'features'`, nil,
		func(s *sqlite3.Stmt) error {
			if len(layers) == maxLayers {
				return problem.New(problem.TooLarge, "geopackage-layers", d.where, fmt.Sprintf("图层超过 %d 个", maxLayers), fmt.Sprintf("more than %d layers", maxLayers))
			}
			l := Layer{
				Name: cellText(s, 0), Identifier: cellText(s, 1), GeometryColumn: cellText(s, 6),
				GeometryType: strings.ToUpper(cellText(s, 7)), srsID: s.ColumnInt64(8),
				HasZ: s.ColumnInt64(9) != 0, HasM: s.ColumnInt64(10) != 0,
			}
			where := d.where + ": " + l.Name
			if s.ColumnType(6) == sqlite3.NULL || l.GeometryColumn == "" {
				return problem.New(problem.Invalid, "geopackage-geometry-column", where,
					"gpkg_contents 登记为要素图层，gpkg_geometry_columns 却没有其几何字段", "the layer is in gpkg_contents, but its geometry column is not in gpkg_geometry_columns")
			}
			key := strings.ToLower(l.Name)
			if seen[key] {
				return problem.New(problem.Invalid, "geopackage-geometry-column", where,
					"同一图层登记了多次，或有多个几何字段", "the layer is registered more than once, or has several geometry columns")
			}
			seen[key] = true
			l.Box = box(s)
			if s.ColumnType(11) != sqlite3.NULL && s.ColumnInt64(11) != l.srsID {
				l.note("", "srs-disagree",
					fmt.Sprintf("gpkg_contents 的 srs_id（%d）与 gpkg_geometry_columns（%d）不同，采用后者", s.ColumnInt64(11), l.srsID),
					fmt.Sprintf("the srs_id in gpkg_contents (%d) differs from that in gpkg_geometry_columns (%d), which is used", s.ColumnInt64(11), l.srsID))
			}
			l.zOptional = s.ColumnInt64(9) == 2
			layers = append(layers, l)
			return nil
		})
	if err == nil && len(layers) == 0 {
		err = d.noLayers()
	}
	return layers, err
}

func (d *database) noLayers() error {
	return problem.New(problem.Invalid, "geopackage-empty", d.where,
		"GeoPackage 中没有要素图层（瓦片与无几何的属性表不读取）", "the GeoPackage has no feature layer (tiles and attribute tables are not read)")
}

// box reads the declared bounds, which are columns 2 to 5.
func box(s *sqlite3.Stmt) *[4]float64 {
	var out [4]float64
	for i := range out {
		if t := s.ColumnType(i + 2); t != sqlite3.INTEGER && t != sqlite3.FLOAT {
			return nil
		}
		v := s.ColumnFloat(i + 2)
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil
		}
		out[i] = v
	}
	return &out
}

func (l *Layer) note(field, code, zh, en string) {
	l.Notes = append(l.Notes, layer.Fault{Field: field, Code: code, ZH: zh, EN: en})
}

// cellText reads a text of the GeoPackage's own tables.
func cellText(s *sqlite3.Stmt, col int) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s.ColumnText(col), "\x00", ""), "\uFFFD")
}

// describe adds what the schema says about a layer.
func (d *database) describe(l *Layer) error {
	where := d.where + ": " + l.Name
	kind, sql := "", ""
	err := d.query(`SELECT name, type, coalesce(sql, '') FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE AND type IN ('table', 'view')`, []string{l.Name},
		func(s *sqlite3.Stmt) error {
			l.table, kind, sql = s.ColumnText(0), s.ColumnText(1), s.ColumnText(2)
			return nil
		})
	if err != nil {
		return err
	}
	if kind == "" {
		return problem.New(problem.Invalid, "geopackage-table-missing", where,
			"gpkg_contents 登记了该图层，数据库中却没有这个表", "the layer is in gpkg_contents, but the database has no such table")
	}
	if strings.Contains(strings.ToUpper(sql[:min(len(sql), 64)]), "VIRTUAL") && kind == "table" {
		return problem.New(problem.Unsupported, "geopackage-virtual-table", where,
			"图层是虚拟表，不予读取，请导出为普通表", "the layer is a virtual table, which is not read; export it as an ordinary one")
	}
	if err := d.describeColumns(l, kind == "view", where); err != nil {
		return err
	}
	return d.describeSRS(l)
}

func (d *database) describeColumns(l *Layer, view bool, where string) error {
	geometry, n := "", 0
	err := d.query(`SELECT name, type, pk, hidden FROM pragma_table_xinfo(?1)`, []string{l.table},
		func(s *sqlite3.Stmt) error {
			n++
			if n > maxColumns {
				return problem.New(problem.TooLarge, "geopackage-columns", where, fmt.Sprintf("字段超过 %d 个", maxColumns), fmt.Sprintf("more than %d columns", maxColumns))
			}
			raw, declared, pk := s.ColumnText(0), cellText(s, 1), s.ColumnInt64(2)
			switch {
			case strings.EqualFold(raw, l.GeometryColumn) && geometry == "":
				geometry = raw
				return nil
			case s.ColumnInt64(3) == 1: // of a virtual table
				return nil
			case strings.EqualFold(raw, "fid") && (pk > 0 || (view && n == 1)):
				return nil
			}
			f, ok := declaredField(cellText(s, 0), declared)
			if !ok {
				l.note(f.Name, "column-skipped", fmt.Sprintf("字段类型为 %.60s，不读取", declared), fmt.Sprintf("a column of type %.60s is not read", declared))
				return nil
			}
			l.columns = append(l.columns, column{raw, f})
			l.Fields = append(l.Fields, f)
			return nil
		})
	if err != nil {
		return err
	}
	if geometry == "" {
		return problem.New(problem.Invalid, "geopackage-geometry-column", where,
			fmt.Sprintf("表中没有登记的几何字段 %q", l.GeometryColumn), fmt.Sprintf("the table has no geometry column %q, which is registered", l.GeometryColumn))
	}
	l.GeometryColumn = geometry
	return nil
}

// describeSRS reads the row of gpkg_spatial_ref_sys, clause 1.1.2.
func (d *database) describeSRS(l *Layer) error {
	found := false
	err := d.query(`SELECT srs_name, organization, organization_coordsys_id, definition FROM gpkg_spatial_ref_sys WHERE srs_id = CAST(?1 AS INTEGER)`, []string{fmt.Sprint(l.srsID)},
		func(s *sqlite3.Stmt) error {
			found = true
			l.SRSName = cellText(s, 0)
			if id := s.ColumnInt64(2); strings.EqualFold(cellText(s, 1), "EPSG") && id > 0 && id <= math.MaxInt32 {
				l.EPSG = int(id)
			}
			if wkt := cellText(s, 3); !strings.EqualFold(strings.TrimSpace(wkt), "undefined") {
				l.WKT = wkt
			}
			return nil
		})
	if err != nil {
		return err
	}
	if !found {
		l.note("", "srs-missing", fmt.Sprintf("gpkg_spatial_ref_sys 没有 srs_id %d", l.srsID), fmt.Sprintf("gpkg_spatial_ref_sys has no srs_id %d", l.srsID))
	}
	if l.srsID == 0 || l.srsID == -1 {
		l.EPSG, l.WKT = 0, ""
	}
	return nil
}

// look counts the rows and takes the first points.
func (d *database) look(l *Layer) error {
	if err := d.query(`SELECT count(*) FROM `+quote(l.table), nil, func(s *sqlite3.Stmt) error {
		l.Features = s.ColumnInt64(0)
		return nil
	}); err != nil {
		return err
	}
	if l.zOptional {
		l.HasZ = false
	}
	var w wkbReader
	stop := errors.New("enough")
	err := d.query(`SELECT `+quote(l.GeometryColumn)+` FROM `+quote(l.table), nil, func(s *sqlite3.Stmt) error {
		if s.ColumnType(0) == sqlite3.BLOB {
			blob := s.ColumnRawBlob(0)
			if len(l.FirstPoints) < maxFirstPoints {
				if g, _, err := w.parse(blob, int32(l.srsID)); err == nil && g != nil {
					flat := firstFlat(g)
					l.FirstPoints = append(l.FirstPoints, [2]float64{flat[0], flat[1]})
				}
			}
			l.HasZ = l.HasZ || (l.zOptional && blobHasZ(blob))
		}
		if len(l.FirstPoints) == maxFirstPoints && (!l.zOptional || l.HasZ) {
			return stop
		}
		return nil
	})
	if err == stop {
		err = nil
	}
	return err
}
