// Package scratch makes folders to work in, which do not outlive the work: what a
// process that died has left is known by that nobody holds it.
package scratch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// tries bounds how often a folder is made anew that a sweep took for one of
// the dead before it was locked.
const tries = 100

// New makes a folder in dir, with a name that begins with prefix, for the length of a
// piece of work. It is locked while it is used: in a container the number of a process
// says nothing, for the next one has the same. remove gives it back.
func New(dir, prefix string) (path string, remove func() error, err error) {
	for range tries {
		if path, err = os.MkdirTemp(dir, prefix); err != nil {
			return "", nil, fmt.Errorf("make a folder to work in: %w", err)
		}
		var held *os.File
		if held, err = hold(path); err == nil {
			return path, func() error { return errors.Join(os.RemoveAll(path), held.Close()) }, nil
		}
	}
	return "", nil, fmt.Errorf("lock a folder to work in: %w", err)
}

// hold locks a folder that is there. A file system without such locks keeps
// its leftovers.
func hold(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errors.Join(err, f.Close())
	}
	mine, err := f.Stat()
	if err == nil {
		var now fs.FileInfo
		if now, err = os.Lstat(path); err == nil && !os.SameFile(mine, now) {
			err = fs.ErrNotExist
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Sweep removes the folders in dir with names that begin with prefix, of processes that
// ended without doing so. Those that are held, and those of other users, stay.
func Sweep(dir, prefix string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), prefix) || !e.IsDir() {
			continue
		}
		if err := sweepFolder(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func sweepFolder(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil // removed just then, or another user's
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return nil // somebody works in it, or there are no locks here
	}
	return os.RemoveAll(path)
}
