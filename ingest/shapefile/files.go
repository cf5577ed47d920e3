package shapefile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"changde/ingest/layer"
	"changde/problem"
)

// source is one file of the bundle.
type source struct {
	io.ReaderAt
	name string // base name, for messages
	size int64
}

// window reads a source mostly forwards through one buffer.
type window struct {
	src *source
	buf []byte
	at  int64 // offset of buf[0]
}

const windowSize = 256 << 10

// bytes returns n bytes at off, valid until the next call, or
// io.ErrUnexpectedEOF if the source ends before. Nothing beyond the size of the
// source is allocated.
func (w *window) bytes(off int64, n int) ([]byte, error) {
	if off < 0 || n < 0 || off > w.src.size-int64(n) {
		return nil, io.ErrUnexpectedEOF
	}
	if i := off - w.at; i >= 0 && i+int64(n) <= int64(len(w.buf)) {
		return w.buf[i : i+int64(n)], nil
	}
	want := int(min(max(int64(n), windowSize), w.src.size-off))
	if cap(w.buf) < want || cap(w.buf) > 16*windowSize && want <= windowSize {
		w.buf = make([]byte, want)
	}
	w.buf, w.at = w.buf[:want], off
	got, err := w.src.ReadAt(w.buf, off)
	if got < want {
		w.buf = w.buf[:got]
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if got < n {
			return nil, err
		}
	}
	return w.buf[:n], nil
}

// files is an opened bundle. shx is nil when it is missing or unusable.
type files struct {
	shp, shx, dbf *source
	prj, cpg      string
	closers       []io.Closer

	head    header
	table   *table
	records int64
	notes   []layer.Fault
}

func (fs *files) close() error {
	var errs []error
	for _, c := range fs.closers {
		errs = append(errs, c.Close())
	}
	fs.closers = nil
	return errors.Join(errs...)
}

// openFiles opens the .shp at path and finds the files beside it.
func openFiles(path string) (*files, error) {
	fs := new(files)
	ok := false
	defer func() {
		if !ok {
			fs.close()
		}
	}()
	var err error
	if fs.shp, err = fs.open(path); err != nil {
		return nil, err
	}
	beside, err := siblings(path)
	if err != nil {
		return nil, fmt.Errorf("shapefile: look beside %s: %w", filepath.Base(path), err)
	}
	if beside[".dbf"] == "" {
		return nil, problem.New(problem.Invalid, "shapefile-no-dbf", filepath.Base(path),
			"缺少同名的 .dbf 属性表文件，属性会全部丢失；请把 .shp、.shx、.dbf（及 .prj、.cpg）一并报送",
			"the .dbf file with the attributes is missing and they would be lost; send the .shp, .shx and .dbf (and .prj, .cpg) together")
	}
	if fs.dbf, err = fs.open(beside[".dbf"]); err != nil {
		return nil, err
	}
	if beside[".shx"] != "" {
		if fs.shx, err = fs.open(beside[".shx"]); err != nil {
			return nil, err
		}
	}
	for ext, to := range map[string]*string{".prj": &fs.prj, ".cpg": &fs.cpg} {
		if beside[ext] == "" {
			continue
		}
		src, err := fs.open(beside[ext])
		if err != nil {
			return nil, err
		}
		raw := make([]byte, min(src.size, maxSidecar))
		n, err := src.ReadAt(raw, 0)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("shapefile: read %s: %w", src.name, err)
		}
		*to = string(raw[:n])
		if src.size > maxSidecar {
			fs.notes = append(fs.notes, note("sidecar-too-large",
				fmt.Sprintf("%s 超过 64 KiB，只读取了开头部分", src.name), fmt.Sprintf("%s is larger than 64 KiB, only its beginning was read", src.name)))
		}
	}
	ok = true
	return fs, nil
}

func (fs *files) open(path string) (*source, error) {
	// Looked at before it is opened: opening a pipe would wait for ever.
	st, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("shapefile: %w", err)
	}
	if !st.Mode().IsRegular() {
		return nil, problem.New(problem.Invalid, "shapefile-not-a-file", filepath.Base(path),
			"不是普通文件，不能作为 Shapefile 的组成部分读取", "this is not a regular file and cannot be read as part of a shapefile")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("shapefile: %w", err)
	}
	fs.closers = append(fs.closers, f)
	return &source{ReaderAt: f, name: filepath.Base(path), size: st.Size()}, nil
}

// siblings returns the paths of the files beside path by lower-case extension.
// A name that matches exactly goes before one that differs in case.
func siblings(path string) (map[string]string, error) {
	const most = 100_000
	dir, base := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	stem := strings.TrimSuffix(base, filepath.Ext(base))
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	found, rank := map[string]string{}, map[string]int{}
	for seen := 0; seen < most; {
		names, err := d.Readdirnames(1024)
		seen += len(names)
		for _, name := range names {
			raw := filepath.Ext(name)
			ext := strings.ToLower(raw)
			switch ext {
			case ".dbf", ".shx", ".prj", ".cpg":
			default:
				continue
			}
			its := strings.TrimSuffix(name, raw)
			if !strings.EqualFold(its, stem) {
				continue
			}
			score := 1
			if its == stem {
				score += 2
			}
			if raw == ext {
				score++
			}
			if score > rank[ext] || score == rank[ext] && name < filepath.Base(found[ext]) {
				found[ext], rank[ext] = filepath.Join(dir, name), score
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}
