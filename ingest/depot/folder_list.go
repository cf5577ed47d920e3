package depot

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// Remove implements Store. An upload that is being written to is problem
// "depot-busy".
func (f *Folder) Remove(ctx context.Context, name string) error {
	id, file, err := splitName(name)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if there, err := f.exists(filepath.Join(partialDir, id, file)); err != nil {
		return diskError(err, "remove", name)
	} else if there {
		w, _, err := f.lock(name)
		if err != nil {
			return err
		}
		defer w.Close()
	}
	// The state goes first: it must never be taken for that of a later upload.
	for _, dir := range []string{stateDir, partialDir, filesDir} {
		if err := f.root.Remove(filepath.Join(dir, id, file)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return diskError(err, "remove", name)
		}
	}
	for _, dir := range []string{stateDir, partialDir, filesDir} {
		f.root.Remove(filepath.Join(dir, id)) // refused while it has other files
	}
	return nil
}

// List implements Store.
func (f *Folder) List(ctx context.Context, prefix string) ([]Entry, error) {
	if err := checkPrefix(prefix); err != nil {
		return nil, err
	}
	want, start, one := strings.Cut(prefix, "/")
	found := make(map[string]Entry)
	for _, dir := range []string{partialDir, filesDir} { // the second wins: a seal moves files there
		ids := []string{want}
		if !one {
			var err error
			if ids, err = f.readDir(dir, maxList+1); err != nil {
				return nil, err
			}
		}
		for _, id := range ids {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if !strings.HasPrefix(id, want) {
				continue
			}
			files, err := f.readDir(filepath.Join(dir, id), maxList+1)
			if err != nil {
				return nil, err
			}
			for _, file := range files {
				name := id + "/" + file
				info, err := f.root.Lstat(filepath.Join(dir, id, file))
				if err != nil || !strings.HasPrefix(file, start) {
					continue // the former: gone in between
				}
				found[name] = Entry{Name: name, Size: info.Size(), Sealed: dir == filesDir, Modified: info.ModTime()}
			}
			if len(found) > maxList {
				return nil, listTooLong(prefix)
			}
		}
	}
	out := make([]Entry, 0, len(found))
	for _, e := range found {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}
