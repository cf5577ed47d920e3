package ingest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"golang.org/x/sync/errgroup"

	"changde/ingest/archive"
	"changde/problem"
	"changde/scratch"
)

// maxFiles bounds the files of one delivery, those of unpacked archives included.
const maxFiles = 4000

// delivery is a Request's files, unpacked and looked into. close removes what
// was unpacked.
type delivery struct {
	config  Config
	dir     string       // folder of unpacked archives, empty when there is none
	remove  func() error // of dir
	names   []string
	bytes   int64
	sha256  []byte
	sources []source
	closers []func() error // of what the look into the files holds
	ignored []string       // files no reader takes, shown in the plan
}

func (d *delivery) close() error {
	var err error
	for _, c := range d.closers {
		err = errors.Join(err, c())
	}
	d.closers = nil
	if d.dir == "" {
		return err
	}
	err = errors.Join(err, d.remove())
	d.dir = ""
	return err
}

// scratch is the folder of what is unpacked or converted for the delivery.
func (d *delivery) scratch() (string, error) {
	if d.dir != "" {
		return d.dir, nil
	}
	dir, remove, err := scratch.New(d.config.TempDir, tempPrefix)
	if err != nil {
		return "", err
	}
	d.dir, d.remove = dir, remove
	return dir, nil
}

// file is one file on disk under the name its sender knows it by.
type file struct {
	name string
	path string
}

func openDelivery(ctx context.Context, r Request, config Config) (_ *delivery, err error) {
	if len(r.Files) == 0 {
		return nil, problem.New(problem.Invalid, "no-files", "", "没有给出交付文件", "no delivery file is given")
	}
	d := &delivery{config: config}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	files, err := d.expand(ctx, r.Files)
	if err != nil {
		return nil, err
	}
	// Both read all of the files, and neither waits for the other.
	group, both := errgroup.WithContext(ctx)
	group.Go(func() error { return d.digest(both, r.Files, files) })
	group.Go(func() error { return d.look(ctx, files, r) }) // sources may keep it
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return d, nil
}

// expand lists the delivery's files, with archives unpacked and folders opened.
func (d *delivery) expand(ctx context.Context, paths []string) ([]file, error) {
	var out []file
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, problem.Wrap(err, problem.Invalid, "file-unreadable", path,
				"文件不存在或不可读，请检查路径与权限", "the file does not exist or cannot be read; check the path and its permissions")
		}
		d.names = append(d.names, filepath.Base(path))
		switch {
		case info.IsDir() && isGeodatabase(path):
			out = append(out, file{name: filepath.Base(path), path: path})
		case info.IsDir():
			entries, err := os.ReadDir(path)
			if err != nil {
				return nil, problem.Wrap(err, problem.Invalid, "folder-unreadable", path, "文件夹不可读", "the folder cannot be read")
			}
			for _, e := range entries {
				if e.Type().IsRegular() || e.IsDir() && isGeodatabase(e.Name()) {
					out = append(out, file{name: e.Name(), path: filepath.Join(path, e.Name())})
				}
			}
		case !info.Mode().IsRegular():
			return nil, problem.New(problem.Invalid, "not-a-file", path, "不是普通文件", "not a regular file")
		case isZip(path):
			folder, err := d.scratch()
			if err != nil {
				return nil, err
			}
			dir := filepath.Join(folder, fmt.Sprint(len(d.names)))
			if err := os.Mkdir(dir, 0o700); err != nil {
				return nil, fmt.Errorf("make a folder to unpack into: %w", err)
			}
			members, err := archive.Unpack(ctx, path, dir, archive.Limits{})
			if err != nil {
				return nil, err
			}
			seen := make(map[string]bool)
			for _, m := range members {
				f := file{name: m.Name, path: m.Path}
				if inside, rest := cutGeodatabase(m.Name); inside != "" {
					// A file geodatabase is a folder.
					f = file{name: inside, path: strings.TrimSuffix(m.Path, rest)}
				}
				if !seen[f.name] {
					seen[f.name] = true
					out = append(out, f)
				}
			}
		default:
			out = append(out, file{name: filepath.Base(path), path: path})
		}
		if len(out) > maxFiles {
			return nil, problem.New(problem.TooLarge, "too-many-files", path,
				fmt.Sprintf("一次交付最多 %d 个文件", maxFiles), fmt.Sprintf("a delivery may hold at most %d files", maxFiles))
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].name < out[j].name })
	return out, nil
}

// digest hashes the files as sent, companions of a .shp and files of a folder
// included: it is how the same delivery is recognised again.
func (d *delivery) digest(ctx context.Context, paths []string, files []file) error {
	sums := make(map[string][]byte)
	for _, path := range paths {
		parts := []string{path}
		if slices.Contains([]string{".shp", ".tab", ".mif", ".gml"}, strings.ToLower(filepath.Ext(path))) {
			parts = companions(path)
		}
		if isGeodatabase(path) {
			if entries, err := os.ReadDir(path); err == nil {
				for _, e := range entries {
					parts = append(parts, filepath.Join(path, e.Name()))
				}
			}
		}
		for _, f := range files {
			if filepath.Dir(f.path) == filepath.Clean(path) {
				parts = append(parts, f.path)
			}
		}
		for _, part := range parts {
			if sums[part] != nil {
				continue
			}
			sum, n, err := hashFile(ctx, part)
			if err != nil {
				return fmt.Errorf("hash %s: %w", part, err)
			}
			if sum != nil {
				sums[part] = sum
				d.bytes += n
			}
		}
	}
	d.sha256 = combine(sums)
	return nil
}

// combine gives the hash of a delivery: that of its file, and of several files
// that of the sorted list of names and hashes.
func combine(sums map[string][]byte) []byte {
	if len(sums) == 1 {
		for _, sum := range sums {
			return sum
		}
	}
	lines := make([]string, 0, len(sums))
	for path, sum := range sums {
		lines = append(lines, fmt.Sprintf("%s %x\n", filepath.Base(path), sum))
	}
	slices.Sort(lines)
	out := sha256.Sum256([]byte(strings.Join(lines, "")))
	return out[:]
}

// hashFile returns nothing for a folder.
func hashFile(ctx context.Context, path string) ([]byte, int64, error) {
	if info, err := os.Stat(path); err != nil || info.IsDir() {
		return nil, 0, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.CopyBuffer(struct{ io.Writer }{h}, contextReader{ctx, f}, make([]byte, 1<<20))
	return h.Sum(nil), n, err
}

// contextReader ends a long read when its context ends.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// companions lists a .shp and the files beside it with the same base name.
func companions(shp string) []string {
	base := strings.TrimSuffix(filepath.Base(shp), filepath.Ext(shp))
	entries, err := os.ReadDir(filepath.Dir(shp))
	if err != nil {
		return []string{shp}
	}
	var out []string
	for _, e := range entries {
		name := e.Name()
		if e.Type().IsRegular() && strings.EqualFold(strings.TrimSuffix(name, filepath.Ext(name)), base) && isCompanion(name) {
			out = append(out, filepath.Join(filepath.Dir(shp), name))
		}
	}
	return out
}

func isCompanion(name string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".shp", ".shx", ".dbf", ".prj", ".cpg", ".tab", ".dat", ".map", ".id", ".ind", ".mif", ".mid", ".gml", ".xsd", ".gfs":
		return true
	}
	return false
}

func isGeodatabase(name string) bool { return strings.EqualFold(filepath.Ext(name), ".gdb") }

// cutGeodatabase cuts the name of a zip's member behind the folder of a file
// geodatabase it lies in; inside is empty when it lies in none.
func cutGeodatabase(name string) (inside, rest string) {
	at := strings.Index(strings.ToLower(name), ".gdb/")
	if at < 0 {
		return "", ""
	}
	return name[:at+len(".gdb")], name[at+len(".gdb"):]
}

func isZip(path string) bool {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".zip":
		return true
	case ".shp", ".gpkg", ".geojson", ".json", ".kmz":
		return false
	}
	return bytes.HasPrefix(head(path), []byte("PK\x03\x04"))
}

// head returns the first bytes of a file, fewer when it is shorter or unreadable.
func head(path string) []byte {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	b := make([]byte, 64)
	n, _ := io.ReadFull(f, b)
	return b[:n]
}

// look opens each file far enough to describe its layers.
func (d *delivery) look(ctx context.Context, files []file, r Request) error {
	bases := make(map[string]bool)
	for _, f := range files {
		if slices.Contains([]string{".shp", ".tab", ".mif", ".gml"}, strings.ToLower(filepath.Ext(f.name))) {
			bases[strings.ToLower(strings.TrimSuffix(f.name, filepath.Ext(f.name)))] = true
		}
	}
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		format := formatOf(f)
		if format == nil {
			format = d.foreign(f)
		}
		switch {
		case format != nil:
			sources, err := format(ctx, f, r)
			if err != nil {
				return err
			}
			for _, s := range sources {
				if s.close != nil {
					d.closers = append(d.closers, s.close)
				}
			}
			d.sources = append(d.sources, sources...)
		case strings.EqualFold(filepath.Ext(f.name), ".dbf") && !bases[strings.ToLower(strings.TrimSuffix(f.name, filepath.Ext(f.name)))]:
			return problem.New(problem.Invalid, "shapefile-without-shp", f.name,
				"只有 .dbf，没有同名的 .shp：请把 .shp、.shx、.dbf、.prj 一起交付",
				"there is a .dbf but no .shp of the same name: send .shp, .shx, .dbf and .prj together")
		case !bases[strings.ToLower(strings.TrimSuffix(f.name, filepath.Ext(f.name)))]:
			d.ignored = append(d.ignored, f.name)
		}
	}
	if len(d.sources) > 0 {
		return nil
	}
	return problem.New(problem.Unsupported, "format-unknown", strings.Join(d.names, ", "),
		"没有可识别的空间数据。支持：Shapefile（.shp 及同名 .shx .dbf .prj .cpg，或打成 .zip）、GeoPackage（.gpkg）、GeoJSON（.geojson .json）、CSV（WKT 或经纬度列）、VCT（.vct）；装有 GDAL 时还有 FileGDB、DXF、MapInfo TAB/MIF、KML/KMZ、GPX、GML、FlatGeobuf",
		"no spatial data is recognised. Supported: Shapefile (.shp with .shx .dbf .prj .cpg, or zipped), GeoPackage (.gpkg), GeoJSON (.geojson .json), CSV (a WKT column or longitude and latitude), VCT (.vct); where GDAL is installed FileGDB, DXF, MapInfo TAB/MIF, KML/KMZ, GPX, GML, FlatGeobuf too")
}

// formatOf returns what looks into the file, by its name, else by its first bytes.
func formatOf(f file) func(context.Context, file, Request) ([]source, error) {
	switch strings.ToLower(filepath.Ext(f.name)) {
	case ".shp":
		return shapefileSources
	case ".gpkg":
		return geopackageSources
	case ".geojson", ".json", ".geojsonl", ".geojsons", ".ndjson":
		return geojsonSources
	case ".csv", ".tsv", ".txt":
		if ext := strings.ToLower(filepath.Ext(f.name)); ext != ".txt" || looksTabular(f.path) {
			return csvSources
		}
		return nil
	case ".vct":
		return vctSources
	case ".dbf", ".shx", ".prj", ".cpg":
		return nil
	}
	b := head(f.path)
	switch {
	case bytes.HasPrefix(b, []byte("SQLite format 3\x00")):
		return geopackageSources
	case bytes.HasPrefix(b, []byte{0, 0, 0x27, 0x0a}):
		return shapefileSources
	case bytes.HasPrefix(bytes.TrimLeft(b, "\xef\xbb\xbf \t\r\n"), []byte("{")):
		return geojsonSources
	case bytes.HasPrefix(bytes.ToLower(bytes.TrimLeft(b, "\xef\xbb\xbf \t\r\n")), []byte("headbegin")):
		return vctSources
	}
	return nil
}

// looksTabular reports whether the first line of a text file has a delimiter: a
// readme has none.
func looksTabular(path string) bool {
	line, _, _ := bytes.Cut(head(path), []byte("\n"))
	return bytes.ContainsAny(line, ",\t;|")
}

// choose narrows the layers found to those the request means. Several layers
// are one delivery only when they have the same fields and geometry: sheets.
func choose(sources []source, want []string) ([]source, error) {
	if len(want) > 0 {
		var out []source
		for _, s := range sources {
			if slices.Contains(want, s.layer) {
				out = append(out, s)
			}
		}
		for _, w := range want {
			if !slices.ContainsFunc(out, func(s source) bool { return s.layer == w }) {
				return nil, problem.New(problem.Invalid, "layer-unknown", w,
					"交付中没有这个图层，有："+layerList(sources), "the delivery has no such layer; it has: "+layerList(sources))
			}
		}
		sources = out
	}
	for _, s := range sources[1:] {
		if reason := s.differs(sources[0]); reason != "" {
			return nil, problem.New(problem.Invalid, "several-layers", s.file,
				"交付含多个不同的图层，请用 --layer 指定一个："+layerList(sources)+"（"+reason+"）",
				"the delivery holds several different layers; name one with --layer: "+layerList(sources)+" ("+reason+")")
		}
	}
	return sources, nil
}

func layerList(sources []source) string {
	names := make([]string, 0, len(sources))
	for i, s := range sources {
		if i == 20 {
			names = append(names, "…")
			break
		}
		names = append(names, s.layer)
	}
	return strings.Join(names, ", ")
}
