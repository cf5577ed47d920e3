package gdal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"changde/ingest/layer"
	"changde/problem"
)

// Source is the data source to convert.
type Source struct {
	Path     string // a file, or the folder of a file geodatabase, within Dir
	Dir      string // the delivery: the only folder of data the child may read
	Format   Format // of Recognise
	Encoding string // of the text, as a person chose; empty: decided by declaration and content
	Name     string // in messages; empty: the last part of Path
}

// Encoding is how the text was read, with the reason.
type Encoding struct{ Name, ZH, EN string }

// Result is a GeoPackage made of a source.
type Result struct {
	Path     string
	Format   string
	Driver   string
	Version  string // of GDAL
	Encoding Encoding
	Layers   []Layer
	Domains  []Domain
	Notes    []layer.Fault // what a person must be told; Row is 0
}

// conversion is the work on one source.
type conversion struct {
	tool   *Tool
	source Source
	limits Limits
	driver string
	work   string // our folder; in and out are folders in it
	in     string // what we made of the source, readable
	out    string // writable
	from   staged
	hide   []string
	notes  []layer.Fault
}

// Convert makes the GeoPackage dst of a source. dst must not exist; a hidden folder is
// made beside it for the time of the work, and nothing else is written. The layers keep
// their names where a GeoPackage allows, fields keep names and types, geometry keeps
// its heights; curves become lines.
//
// Errors about the source are of *problem.Error, each with a code of its own: gdal-failed
// (GDAL says why), -crash, -killed, -timeout, -cpu, -memory, -size, -empty. It is
// wholly undone on error.
func (t *Tool) Convert(ctx context.Context, source Source, dst string, limits Limits) (*Result, error) {
	c := conversion{tool: t, source: source, limits: limits.filled()}
	if err := c.check(dst); err != nil {
		return nil, err
	}
	work, err := os.MkdirTemp(filepath.Dir(dst), ".gdal-")
	if err != nil {
		return nil, fmt.Errorf("convert %s: %w", c.source.Name, err)
	}
	defer os.RemoveAll(work)
	c.work, c.in, c.out = work, filepath.Join(work, "in"), filepath.Join(work, "out")
	c.hide = []string{c.out, c.in, work, c.source.Dir, filepath.Dir(dst)}
	for _, dir := range []string{c.in, c.out} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return nil, fmt.Errorf("convert %s: %w", c.source.Name, err)
		}
	}
	limited, cancel := context.WithTimeoutCause(ctx, c.limits.Time, errLate)
	defer cancel()
	result, made, err := c.convert(limited)
	if err != nil {
		if ctx.Err() == nil && limited.Err() != nil {
			err = job{limits: c.limits, name: c.source.Name}.failure(output{state: state{late: true}})
		}
		return nil, err
	}
	// The child could have made anything in its folder.
	if info, err := os.Lstat(made); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("convert %s: GDAL made no file", c.source.Name)
	}
	if err := os.Rename(made, dst); err != nil {
		return nil, fmt.Errorf("convert %s: %w", c.source.Name, err)
	}
	result.Path = dst
	return result, nil
}

// check makes the paths real and refuses what is not there to be converted.
func (c *conversion) check(dst string) error {
	s := &c.source
	if s.Name == "" {
		s.Name = filepath.Base(s.Path)
	}
	if s.Format.Name == DWG {
		return problem.New(problem.Unsupported, "dwg", s.Name,
			"不读 DWG：GDAL 只认识 2000 版，且会丢失实体；请在 CAD 软件中另存为 DXF（2000 至 2018 均可）后交付",
			"DWG is not read: GDAL knows only that of release 2000 and loses entities; save it as DXF (2000 to 2018) in the CAD program")
	}
	if c.driver = c.tool.driver(s.Format); c.driver == "" {
		return problem.New(problem.Unsupported, "gdal-driver", s.Name,
			fmt.Sprintf("本机的 GDAL %s 没有 %s 驱动，不能读取 %s", c.tool.version, strings.Join(s.Format.Drivers, "/"), s.Format.Name),
			fmt.Sprintf("GDAL %s on this machine has no driver %s and cannot read %s", c.tool.version, strings.Join(s.Format.Drivers, "/"), s.Format.Name))
	}
	var err error
	if s.Dir, err = realPath(s.Dir); err == nil {
		s.Path, err = realPath(s.Path)
	}
	if err != nil {
		return fmt.Errorf("convert %s: %w", s.Name, err)
	}
	if rel, err := filepath.Rel(s.Dir, s.Path); err != nil || rel == "." || !filepath.IsLocal(rel) {
		return fmt.Errorf("convert %s: it does not lie in the folder of its delivery", s.Name)
	}
	out, err := realPath(filepath.Dir(dst))
	if err != nil {
		return fmt.Errorf("convert %s: %w", s.Name, err)
	}
	if _, err := os.Lstat(filepath.Join(out, filepath.Base(dst))); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("convert %s: the file to make exists already", s.Name)
	}
	return nil
}

func realPath(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(path)
}

// program runs a program of GDAL on the folders of this conversion.
func (c *conversion) program(ctx context.Context, path, driver, dir string, args ...string) (string, error) {
	o, err := c.tool.run(ctx, job{
		program: path, args: args, dir: dir, read: []string{c.source.Dir, c.in}, out: c.out,
		skip: c.tool.others(driver), config: c.from.config, limits: c.limits, hide: c.hide, name: c.source.Name,
	})
	if err != nil {
		return "", err
	}
	c.warnings(o.stderr)
	return string(o.stdout), nil
}

// maxWarnings bounds what is passed on of GDAL's warnings.
const maxWarnings = 20

// warnings passes on what GDAL said although it went on.
func (c *conversion) warnings(stderr []byte) {
	n := 0
	for line := range strings.Lines(job{hide: c.hide}.clean(string(stderr))) {
		line = cut(strings.TrimSpace(line), maxWords)
		if !strings.HasPrefix(line, "Warning ") && !strings.HasPrefix(line, "ERROR ") {
			continue
		}
		f := layer.Fault{Code: "gdal-warning", ZH: "GDAL 提示：" + line, EN: "GDAL says: " + line}
		if n++; n <= maxWarnings && !slices.Contains(c.notes, f) {
			c.notes = append(c.notes, f)
		}
	}
}

func (c *conversion) note(code, zh, en string) {
	c.notes = append(c.notes, layer.Fault{Code: code, ZH: zh, EN: en})
}

// convert does the work and returns the file made in the writable folder.
func (c *conversion) convert(ctx context.Context) (*Result, string, error) {
	if err := c.stage(ctx); err != nil {
		return nil, "", err
	}
	text, err := c.program(ctx, c.tool.ogrinfo, c.driver, c.from.dir, append([]string{"-ro", "-so", "-al", "-noextent", "-nomd", c.from.path}, c.from.open...)...)
	if err != nil {
		return nil, "", err
	}
	layers := parseInfo(text)
	if len(layers) > maxLayers {
		return nil, "", problem.New(problem.TooLarge, "gdal-layers", c.source.Name,
			fmt.Sprintf("文件有 %d 个图层，上限为 %d 个", len(layers), maxLayers), fmt.Sprintf("the file has %d layers, the bound is %d", len(layers), maxLayers))
	}
	plan, err := c.plan(layers)
	if err != nil {
		return nil, "", err
	}
	first := filepath.Join(c.out, "1.gpkg")
	if err := c.write(ctx, plan, first); err != nil {
		return nil, "", err
	}
	settle := c.settle
	if c.source.Format.Name == DXF {
		settle = c.divide
	}
	made, err := settle(ctx, plan, first)
	if err != nil {
		return nil, "", err
	}
	r := &Result{Format: c.source.Format.Name, Driver: c.driver, Version: c.tool.version, Encoding: c.from.encoding}
	for _, p := range plan.layers {
		r.Layers = append(r.Layers, Layer{Name: p.name, Source: p.info.name, Geometry: p.geometry, Features: p.rows, CRS: p.info.crs(), Fields: p.fields()})
	}
	if r.Domains, err = c.domains(ctx, layers); err != nil {
		return nil, "", err
	}
	r.Notes = append(c.from.notes, c.notes...)
	return r, made, nil
}

// domains asks for the code tables that the fields name.
func (c *conversion) domains(ctx context.Context, layers []info) ([]Domain, error) {
	var names []string
	for _, l := range layers {
		for _, f := range l.fields {
			if f.Domain != "" && !slices.Contains(names, f.Domain) && len(names) < maxDomains {
				names = append(names, f.Domain)
			}
		}
	}
	var out []Domain
	for _, name := range names {
		text, err := c.program(ctx, c.tool.ogrinfo, c.driver, c.from.dir, "-ro", "-fielddomain", name, c.from.path)
		if err != nil {
			return nil, err
		}
		out = append(out, parseDomain(name, text))
	}
	return out, nil
}
