// Package shapefile reads and writes ESRI Shapefiles with their dBASE tables,
// streaming and in constant memory (ESRI Shapefile Technical Description, July
// 1998; docs/formats/shapefile.md).
//
// Coordinates are passed as stored, X (easting, longitude) before Y, in whatever
// coordinate reference system the .prj file names; this package looks into
// neither. Text is decoded by a function handed in.
package shapefile

import (
	"fmt"

	"changde/ingest/layer"
	"changde/problem"
)

// ShapeType is the type code of a file or record.
type ShapeType int32

// The shape types.
const (
	Null        ShapeType = 0
	Point       ShapeType = 1
	PolyLine    ShapeType = 3
	Polygon     ShapeType = 5
	MultiPoint  ShapeType = 8
	PointZ      ShapeType = 11
	PolyLineZ   ShapeType = 13
	PolygonZ    ShapeType = 15
	MultiPointZ ShapeType = 18
	PointM      ShapeType = 21
	PolyLineM   ShapeType = 23
	PolygonM    ShapeType = 25
	MultiPointM ShapeType = 28
	MultiPatch  ShapeType = 31
)

// Known reports whether t is a type of the specification.
func (t ShapeType) Known() bool {
	switch t {
	case Null, MultiPatch:
		return true
	}
	switch t.base() {
	case Point, PolyLine, Polygon, MultiPoint:
		return t < 30
	}
	return false
}

// HasZ reports whether records of the type carry Z. They may carry M as well.
func (t ShapeType) HasZ() bool { return t > 10 && t < 20 || t == MultiPatch }

// HasM reports whether records of the type carry M by declaration (the M types).
func (t ShapeType) HasM() bool { return t > 20 && t < 30 }

// base returns the type without Z and M.
func (t ShapeType) base() ShapeType { return t % 10 }

// String returns the name used in the specification.
func (t ShapeType) String() string {
	name := ""
	switch t {
	case Null:
		return "Null"
	case MultiPatch:
		return "MultiPatch"
	}
	if t.Known() {
		switch t.base() {
		case Point:
			name = "Point"
		case PolyLine:
			name = "PolyLine"
		case Polygon:
			name = "Polygon"
		case MultiPoint:
			name = "MultiPoint"
		}
		switch {
		case t.HasZ():
			name += "Z"
		case t.HasM():
			name += "M"
		}
		return name
	}
	return fmt.Sprintf("ShapeType(%d)", int32(t))
}

// Bounds that keep a hostile file from costing more than its own size.
const (
	maxRecord    = 512 << 20 // bytes of one record's content
	maxSidecar   = 64 << 10  // bytes read of .prj and .cpg
	maxSample    = 1 << 20   // bytes of Info.Sample
	maxPoints    = 1000      // points in Info.FirstPoints
	noDataM      = -1e38     // an M below it is "no data"
	headerLength = 100       // bytes of the .shp and .shx headers
)

// Info is what a look at the files tells before anything is decided.
type Info struct {
	ShapeType   ShapeType
	HasZ, HasM  bool  // by the type; Z types may carry M besides
	Records     int64 // rows, deleted ones included
	Box         [4]float64
	PRJ, CPG    string       // raw content up to 64 KiB, "" if the file is missing
	LDID        byte         // language driver id of the DBF
	RawNames    [][]byte     // field names as stored, without padding
	Sample      []byte       // field names and text values as stored, without padding, separated by '\n'
	FirstPoints [][2]float64 // X and Y of the first vertex of up to 1000 features, spread over the file when there is a .shx
	Notes       []layer.Fault
}

// Inspect looks at the shapefile whose .shp is at path. The other files are found
// beside it whatever the case of their names.
//
// A bundle that Open would refuse gives the same *problem.Error.
func Inspect(path string) (*Info, error) {
	fs, err := openFiles(path)
	if err != nil {
		return nil, err
	}
	defer fs.close()
	if err := fs.parse(); err != nil {
		return nil, err
	}
	return fs.inspect()
}

// note makes a note about the whole file.
func note(code, zh, en string) layer.Fault {
	return layer.Fault{Code: code, ZH: zh, EN: en}
}

// truncated is the error for a file that ends within or before a row. What was
// read before is not to be trusted: nobody knows what else is missing.
func truncated(name string, row int64) *problem.Error {
	return problem.New(problem.Invalid, "shapefile-truncated", fmt.Sprintf("%s:%d", name, row),
		fmt.Sprintf("文件在第 %d 条记录处中断（记录超出文件末尾），文件不完整或已损坏；请重新复制或解压后再报送", row),
		fmt.Sprintf("the file breaks off at record %d (the record goes beyond the end of the file): it is incomplete or damaged; copy or unpack it again and resend", row))
}

func mismatch(name string, shp, dbf int64) *problem.Error {
	return problem.New(problem.Invalid, "shapefile-count-mismatch", name,
		fmt.Sprintf("图形有 %d 条而属性表(.dbf)有 %d 条，无法一一对应；请从原软件重新导出 .shp、.shx、.dbf 一并报送", shp, dbf),
		fmt.Sprintf("there are %d shapes but %d rows in the .dbf, so they cannot be paired; export the .shp, .shx and .dbf again together", shp, dbf))
}
