package geopackage

import (
	"fmt"
	"strings"
	"time"

	"changde/ingest/layer"
	"changde/problem"
)

// Table describes a layer to be written.
type Table struct {
	Name         string
	EPSG         int    // 0: another CRS of the given name and WKT, or an undefined one without
	SRSName, WKT string // of the CRS; for EPSG:4326 and 4490 they may be left out
	GeometryType string // OGC name, such as MultiPolygon; empty for Geometry
	Fields       []layer.Field
	// LastChange is the table's date of change. Zero is 1970, so that equal input
	// makes equal bytes.
	LastChange time.Time
}

// createSQL makes the tables of clauses 1.1.2, 1.1.3 and 2.1.5 with the three rows that
// gpkg_spatial_ref_sys must have. A file that is being written needs no protection from
// a crash: it is written again.
const createSQL = `
PRAGMA page_size = 4096; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;
PRAGMA application_id = 0x47504B47; PRAGMA user_version = 10300;
BEGIN;
CREATE TABLE gpkg_spatial_ref_sys (
	srs_name TEXT NOT NULL, srs_id INTEGER NOT NULL PRIMARY KEY, organization TEXT NOT NULL,
	organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL, description TEXT);
CREATE TABLE gpkg_contents (
	table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL, identifier TEXT UNIQUE, description TEXT DEFAULT '',
	last_change DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
	min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE, srs_id INTEGER,
	CONSTRAINT fk_gc_r_srs_id FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys (srs_id));
CREATE TABLE gpkg_geometry_columns (
	table_name TEXT NOT NULL, column_name TEXT NOT NULL, geometry_type_name TEXT NOT NULL,
	srs_id INTEGER NOT NULL, z TINYINT NOT NULL, m TINYINT NOT NULL,
	CONSTRAINT pk_geom_cols PRIMARY KEY (table_name, column_name), CONSTRAINT uk_gc_table_name UNIQUE (table_name),
	CONSTRAINT fk_gc_tn FOREIGN KEY (table_name) REFERENCES gpkg_contents (table_name),
	CONSTRAINT fk_gc_srs FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys (srs_id));
INSERT INTO gpkg_spatial_ref_sys VALUES
	('Undefined Cartesian SRS', -1, 'NONE', -1, 'undefined', NULL),
	('Undefined geographic SRS', 0, 'NONE', 0, 'undefined', NULL),
	('WGS 84 geodetic', 4326, 'EPSG', 4326, '` + wgs84 + `', NULL);
`

const (
	wgs84    = `GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563,AUTHORITY["EPSG","7030"]],AUTHORITY["EPSG","6326"]],PRIMEM["Greenwich",0,AUTHORITY["EPSG","8901"]],UNIT["degree",0.0174532925199433,AUTHORITY["EPSG","9122"]],AUTHORITY["EPSG","4326"]]`
	cgcs2000 = `GEOGCS["China Geodetic Coordinate System 2000",DATUM["China_2000",SPHEROID["CGCS2000",6378137,298.257222101,AUTHORITY["EPSG","1024"]],AUTHORITY["EPSG","1043"]],PRIMEM["Greenwich",0,AUTHORITY["EPSG","8901"]],UNIT["degree",0.0174532925199433,AUTHORITY["EPSG","9122"]],AUTHORITY["EPSG","4490"]]`

	undefinedCartesian = -1
	firstOwnSRS        = 100_000 // srs_id of the first CRS that is not one of EPSG
)

// srs inserts the CRS of a table unless it is there, and returns its srs_id.
func (w *Writer) srs(t Table) (int32, error) {
	name, wkt, organization, id := t.SRSName, t.WKT, "EPSG", int32(t.EPSG)
	switch {
	case t.EPSG < 0 || t.EPSG > 1<<30:
		return 0, problem.New(problem.Invalid, "geopackage-srs", t.Name, fmt.Sprintf("EPSG 代码 %d 无效", t.EPSG), fmt.Sprintf("%d is no EPSG code", t.EPSG))
	case t.EPSG == 4326:
		return id, nil
	case t.EPSG == 4490:
		name, wkt = orElse(name, "China Geodetic Coordinate System 2000"), orElse(wkt, cgcs2000)
	case t.EPSG == 0 && wkt == "":
		return undefinedCartesian, nil
	case t.EPSG == 0:
		organization = "NONE"
		for id = firstOwnSRS; ; id++ {
			known, taken := w.own[id]
			if taken && known == wkt {
				return id, nil
			}
			if !taken {
				w.own[id] = wkt
				break
			}
		}
	}
	return id, w.run(`INSERT INTO gpkg_spatial_ref_sys VALUES (?, ?, ?, ?, ?, NULL) ON CONFLICT DO NOTHING`,
		orElse(name, fmt.Sprintf("%s:%d", organization, id)), int64(id), organization, int64(id), orElse(wkt, "undefined"))
}

func orElse(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

// declaredType is the SQL type of a field's column. GeoPackage has no exact decimals: up
// to 15 digits a DOUBLE gives the same digits back, beyond that they are kept as text.
func declaredType(f layer.Field) string {
	switch f.Type {
	case layer.Integer:
		return "INTEGER"
	case layer.Real:
		return "DOUBLE"
	case layer.Decimal:
		if exactAsDouble(f) {
			return "DOUBLE"
		}
	case layer.Boolean:
		return "BOOLEAN"
	case layer.Date:
		return "DATE"
	case layer.Timestamp:
		return "DATETIME"
	case layer.Text:
		if f.Width > 0 {
			return fmt.Sprintf("TEXT(%d)", f.Width)
		}
	}
	return "TEXT"
}

func exactAsDouble(f layer.Field) bool { return f.Width > 0 && f.Width <= 15 }

// check refuses names that SQLite or GeoPackage would take amiss.
func (t Table) check() error {
	refuse := func(where, zh, en string) error {
		return problem.New(problem.Invalid, "geopackage-name", where, zh, en)
	}
	lower := strings.ToLower(t.Name)
	if t.Name == "" || strings.ContainsRune(t.Name, 0) || len(t.Name) > 1<<10 {
		return refuse(t.Name, "图层名为空、过长或含 NUL 字符", "the name of the layer is empty, too long or contains NUL")
	}
	for _, prefix := range []string{"gpkg_", "sqlite_", "rtree_"} {
		if strings.HasPrefix(lower, prefix) {
			return refuse(t.Name, fmt.Sprintf("图层名不得以 %s 开头", prefix), fmt.Sprintf("the name of a layer must not begin with %s", prefix))
		}
	}
	if len(t.Fields) > maxColumns {
		return problem.New(problem.TooLarge, "geopackage-columns", t.Name, fmt.Sprintf("字段超过 %d 个", maxColumns), fmt.Sprintf("more than %d columns", maxColumns))
	}
	seen := make(map[string]bool)
	for _, f := range t.Fields {
		key := asciiLower(f.Name)
		if f.Name == "" || strings.ContainsRune(f.Name, 0) || len(f.Name) > 1<<10 {
			return refuse(t.Name, "字段名为空、过长或含 NUL 字符", "the name of a field is empty, too long or contains NUL")
		}
		if seen[key] {
			return refuse(t.Name, fmt.Sprintf("字段名 %q 重复（不分大小写）", f.Name), fmt.Sprintf("the field name %q appears twice (letter case does not count)", f.Name))
		}
		seen[key] = true
	}
	return nil
}

// asciiLower folds a name as SQLite compares names.
func asciiLower(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}

// free returns the first of the names that no field has.
func (t Table) free(names ...string) string {
	taken := make(map[string]bool)
	for _, f := range t.Fields {
		taken[asciiLower(f.Name)] = true
	}
	for _, n := range names {
		if !taken[n] {
			return n
		}
	}
	for i := 1; ; i++ {
		if n := fmt.Sprintf("%s_%d", names[0], i); !taken[n] {
			return n
		}
	}
}
