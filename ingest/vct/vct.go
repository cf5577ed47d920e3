// Package vct reads the Chinese spatial data exchange format VCT (GB/T 17798-1999
// and -2007, and the profiles of the land surveys, TD/T 1016-2007 and after), a text
// format that holds many layers with shared boundaries in one file. Memory does not
// grow with the file: an index of its objects lies on disk when it is large.
//
// Coordinates are returned X (east) before Y (north), which is how the format stores
// them unless its head says otherwise. docs/formats/vct.md lists every layout that is
// read, the bounds and the odd cases.
package vct

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"changde/ingest/layer"
	"changde/problem"
)

const maxFirstPoints = 10000

// Options says how to read a file; the zero value finds out.
type Options struct {
	Encoding string // a name of the WHATWG Encoding Standard such as "gb18030", empty to detect
	TempDir  string // where a large index of objects is kept, empty for the system's
}

// Info is what one pass over a file tells about it. Close it when the readers opened
// with it are closed; a large index otherwise stays on disk until the garbage
// collector finds it.
type Info struct {
	Head     map[string]string // the head's keys in lower case
	Version  string            // as the head has it
	Modern   bool              // laid out as GB/T 17798-2007, else as the edition of 1999
	CRS      CRS
	HasZ     bool
	Layers   []*LayerInfo
	Encoding Encoding
	Notes    []layer.Fault // about the file as a whole; Row is 0

	head    *head
	indexes [kinds]*index
	known   map[string]bool // feature codes, for telling where an object begins
}

// LayerInfo describes one layer: an attribute table with the objects of all feature
// codes that name it.
type LayerInfo struct {
	Name   string   // of the table, or of the feature where it has none
	Title  string   // the name of the first feature code
	Codes  []string // feature codes
	Fields []layer.Field
	// GeometryTypes counts the objects: "Point" and "MultiPoint", "MultiLineString" for
	// all lines and "MultiPolygon" for all polygons, of which some will be single. A type
	// that is declared but has no object counts 0; a plain table has none.
	GeometryTypes map[string]int64
	Rows          int64 // of the attribute table
	Objects       int64 // of the sections of graphics
	// Features is the larger of Rows and Objects. When identifiers do not match there are
	// more: Reader returns rows without an object as well as objects without a row.
	Features    int64
	FirstPoints [][2]float64 // a position of each of the first 10,000 objects

	table *table
	kinds [kinds]bool
	parts []int64 // places of the first rows of each part of the table
	refs  []int64 // lines whose first position belongs to FirstPoints
}

// Inspect reads the whole file. Objects that cannot be read are noted; Reader reports
// the rows concerned. What makes the file unreadable is a *problem.Error.
func Inspect(ctx context.Context, path string, o Options) (*Info, error) {
	where := filepath.Base(path)
	f, err := openFile(path, where)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info := &Info{known: make(map[string]bool)}
	if info.Encoding, err = detect(ctx, f, o.Encoding, where); err != nil {
		return nil, err
	}
	s := &scanner{info: info, schema: newSchema(), l: newLines(ctx, f, where, 256<<10), counts: make(map[string]int)}
	for k := range s.builders {
		s.builders[k] = &builder{dir: o.TempDir, where: where}
		defer s.builders[k].abandon()
	}
	if err := s.scan(); err != nil {
		return nil, err
	}
	for k, b := range s.builders {
		if info.indexes[k], err = b.finish(); err != nil {
			info.Close()
			return nil, err
		}
	}
	if err := s.finish(newLines(ctx, f, where, 8<<10)); err != nil {
		info.Close()
		return nil, err
	}
	return info, nil
}

// Close lets go of the index. Readers opened with the Info must not be used after.
func (info *Info) Close() error {
	for _, x := range info.indexes {
		if x != nil {
			x.close()
		}
	}
	return nil
}

// layer finds a layer by its name.
func (info *Info) layer(name string) (int, bool) {
	i := slices.IndexFunc(info.Layers, func(l *LayerInfo) bool { return l.Name == name })
	if i < 0 {
		i = slices.IndexFunc(info.Layers, func(l *LayerInfo) bool { return strings.EqualFold(l.Name, name) })
	}
	return i, i >= 0
}

func openFile(path, where string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, problem.Wrap(err, problem.Invalid, "vct-unreadable", where,
			"文件不存在或不可读，请检查路径与权限", "the file does not exist or cannot be read; check the path and its permissions")
	}
	return f, nil
}

// Open begins to read a layer of a file that Inspect has described. info is not
// changed and may serve several readers at once.
func Open(ctx context.Context, path string, info *Info, name string) (*Reader, error) {
	if info == nil {
		return nil, errors.New("vct: Open needs the Info of Inspect")
	}
	where := filepath.Base(path)
	i, ok := info.layer(name)
	if !ok {
		return nil, problem.New(problem.NotFound, "vct-layer", where, fmt.Sprintf("文件中没有图层 %.40q", name), fmt.Sprintf("the file has no layer %.40q", name))
	}
	f, err := openFile(path, where)
	if err != nil {
		return nil, err
	}
	return newReader(ctx, f, info, i, where), nil
}
