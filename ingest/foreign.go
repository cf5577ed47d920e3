package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"changde/ingest/crs"
	"changde/ingest/gdal"
	"changde/ingest/layer"
	"changde/problem"
)

// foreign makes the reader of a format that GDAL converts, nil for a file that it
// does not take.
func (d *delivery) foreign(f file) func(context.Context, file, Request) ([]source, error) {
	format, ok := gdal.Recognise(f.path)
	if !ok {
		return nil
	}
	return func(ctx context.Context, f file, r Request) ([]source, error) { return d.convert(ctx, f, format, r) }
}

// convert brings a source to a GeoPackage in the delivery's own folder, and
// describes its layers.
func (d *delivery) convert(ctx context.Context, f file, format gdal.Format, r Request) ([]source, error) {
	if d.config.GDAL == nil {
		return nil, at(gdal.ErrMissing, f.name)
	}
	tool, err := d.config.GDAL(ctx)
	if err != nil {
		return nil, at(err, f.name)
	}
	dir, err := d.scratch()
	if err != nil {
		return nil, err
	}
	if dir, err = os.MkdirTemp(dir, "gdal-"); err != nil {
		return nil, fmt.Errorf("make a folder to convert into: %w", err)
	}
	source := gdal.Source{Format: format, Encoding: r.Encoding, Name: f.name}
	// Only the source and its parts are there for the child to read.
	if source.Dir, err = os.MkdirTemp(dir, "source-"); err != nil {
		return nil, fmt.Errorf("make a folder to convert from: %w", err)
	}
	if source.Path, err = isolate(f.path, format, source.Dir); err != nil {
		return nil, err
	}
	result, err := tool.Convert(ctx, source, filepath.Join(dir, "converted.gpkg"), gdal.Limits{})
	if err != nil {
		return nil, at(err, f.name)
	}
	sources, err := geopackageSources(ctx, file{name: f.name, path: result.Path}, r)
	if err != nil {
		return nil, err
	}
	for n := range sources {
		s := &sources[n]
		s.format = fmt.Sprintf("%s (GDAL %s)", result.Format, result.Version)
		s.drawn = format.Name == gdal.DXF
		s.encoding = Choice{Value: result.Encoding.Name, ZH: result.Encoding.ZH, EN: result.Encoding.EN}
		s.notes = append(append([]layer.Fault{}, result.Notes...), s.notes...)
		for _, l := range result.Layers {
			if l.Name != s.layer {
				continue
			}
			if l.CRS == "" { // a drawing does not say
				s.crs = crs.Evidence{Points: s.crs.Points}
			}
			s.layer = l.Source
			for _, field := range l.Fields {
				if field.Alias != "" {
					if s.aliases == nil {
						s.aliases = make(map[string]string)
					}
					s.aliases[field.Name] = field.Alias
				}
			}
		}
	}
	return sources, nil
}

// isolate puts a file and the parts that belong to it, or a file geodatabase, into
// a folder of their own.
func isolate(path string, format gdal.Format, dir string) (string, error) {
	if format.Name == gdal.FileGDB {
		return isolateFolder(path, filepath.Join(dir, filepath.Base(path)))
	}
	base := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return "", fmt.Errorf("read the folder of %s: %w", filepath.Base(path), err)
	}
	for _, e := range entries {
		name := e.Name()
		ext := strings.ToLower(filepath.Ext(name))
		part := false
		for _, p := range format.Parts {
			part = part || p == ext && strings.EqualFold(strings.TrimSuffix(name, filepath.Ext(name)), base)
		}
		if !e.Type().IsRegular() || name != filepath.Base(path) && !part {
			continue
		}
		if err := place(filepath.Join(filepath.Dir(path), name), filepath.Join(dir, name)); err != nil {
			return "", err
		}
	}
	return filepath.Join(dir, filepath.Base(path)), nil
}

func isolateFolder(from, to string) (string, error) {
	entries, err := os.ReadDir(from)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", filepath.Base(from), err)
	}
	if err := os.Mkdir(to, 0o700); err != nil {
		return "", fmt.Errorf("make a folder to convert from: %w", err)
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		if err := place(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return "", err
		}
	}
	return to, nil
}

// place links a file, or copies it where it cannot be linked.
func place(from, to string) (err error) {
	if os.Link(from, to) == nil {
		return nil
	}
	in, err := os.Open(from)
	if err != nil {
		return problem.Wrap(err, problem.Invalid, "file-unreadable", filepath.Base(from), "文件不可读", "the file cannot be read")
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("copy %s: %w", filepath.Base(from), err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err := io.Copy(out, in); err != nil {
		return fmt.Errorf("copy %s: %w", filepath.Base(from), err)
	}
	return nil
}
