package shelf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Folder is a Shelf in a folder that all machines see. Its files can be read to the
// end after they were replaced or removed. Files are made in the folder itself, with
// names that end in .tmp: <name>.<anything>.tmp.
type Folder struct{ dir string }

// OpenFolder opens a shelf in a folder, which is made when it is missing.
func OpenFolder(dir string) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("shelf: make the folder: %w", err)
	}
	return &Folder{dir}, nil
}

// List implements Shelf. A folder that is gone has no files.
func (f *Folder) List(ctx context.Context) ([]Entry, error) {
	d, err := os.Open(f.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("shelf: list: %w", err)
	}
	defer d.Close()
	var out []Entry
	for {
		names, err := d.Readdirnames(1024)
		for _, name := range names {
			info, err := os.Stat(filepath.Join(f.dir, name))
			if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() || checkName(name) != nil {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("shelf: list: %w", err)
			}
			if out = append(out, Entry{Name: name, Size: info.Size(), Modified: info.ModTime(), ID: idOf(info)}); len(out) > maxList {
				return nil, listTooLong(f.dir)
			}
		}
		if err == nil {
			err = ctx.Err()
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("shelf: list: %w", err)
		}
	}
	slices.SortFunc(out, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// idOf tells a file from those that had its name before: while it is open no other
// can have its place on the disk.
func idOf(info fs.FileInfo) string {
	at := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%d-%d-%d", at.Ino, info.Size(), info.ModTime().UnixNano())
}

// Open implements Shelf.
func (f *Folder) Open(_ context.Context, name string) (File, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	file, err := os.Open(filepath.Join(f.dir, name))
	if err != nil {
		return nil, fmt.Errorf("shelf: %w", err)
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", name)
	}
	if err != nil {
		return nil, fmt.Errorf("shelf: open: %w", errors.Join(err, file.Close()))
	}
	return &folderFile{file, info.Size(), info.ModTime(), idOf(info)}, nil
}

type folderFile struct {
	*os.File
	size     int64
	modified time.Time
	id       string
}

// Size implements File.
func (f *folderFile) Size() int64 { return f.size }

// Modified implements File.
func (f *folderFile) Modified() time.Time { return f.modified }

// ID implements File.
func (f *folderFile) ID() string { return f.id }

// Scratch implements Shelf: it is the folder, so that a file needs only another name.
func (f *Folder) Scratch() (string, func() error, error) {
	return f.dir, func() error { return nil }, nil
}

// Put implements Shelf.
func (f *Folder) Put(ctx context.Context, name, path string) error {
	if err := errors.Join(checkName(name), ctx.Err()); err != nil {
		return err
	}
	to := filepath.Join(f.dir, name)
	if err := syncPath(path); err != nil {
		return fmt.Errorf("shelf: put %s: %w", name, err)
	}
	if err := os.Rename(path, to); err != nil {
		return fmt.Errorf("shelf: put %s: %w", name, err)
	}
	if err := syncPath(f.dir); err != nil {
		return fmt.Errorf("shelf: put %s: %w", name, errors.Join(err, os.Remove(to)))
	}
	return nil
}

// syncPath makes a file, or the names in a folder, outlast the machine.
func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Remove implements Shelf.
func (f *Folder) Remove(_ context.Context, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(f.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("shelf: %w", err)
	}
	return nil
}

// abandoned is how long nothing has been written to a file that no process is at.
const abandoned = time.Hour

// Sweep implements Shelf. A file that was begun is left when nothing was written to it
// for an hour.
func (f *Folder) Sweep(ctx context.Context, suffixes ...string) error {
	entries, err := f.List(ctx)
	if err != nil {
		return err
	}
	for _, e := range entries {
		begun := slices.ContainsFunc(suffixes, func(s string) bool { return strings.Contains(e.Name, s+".") })
		if begun && strings.HasSuffix(e.Name, ".tmp") && time.Since(e.Modified) > abandoned {
			if err := f.Remove(ctx, e.Name); err != nil {
				return err
			}
		}
	}
	return nil
}
