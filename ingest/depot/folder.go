package depot

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// The folders of a Folder. Each but tmp holds <delivery id>/<file name>.
const (
	filesDir   = "files"   // sealed
	partialDir = "partial" // under way
	stateDir   = "state"   // folderState of either
	tmpDir     = "tmp"
)

// step is how much an Append writes between two looks at the free space.
const step = 16 << 20

// Folder is a Store in a folder that all machines concerned see at the same path,
// on a disk or on NFS. It needs flock(2) and an atomic rename.
type Folder struct {
	path   string
	root   *os.Root
	config Config
}

// OpenFolder opens the store at path and makes the folder when it is missing.
func OpenFolder(path string, config Config) (*Folder, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("depot: %w", err)
	}
	if err := os.MkdirAll(abs, 0o700); err != nil {
		return nil, fmt.Errorf("depot: %w", err)
	}
	root, err := os.OpenRoot(abs)
	if err != nil {
		return nil, fmt.Errorf("depot: %w", err)
	}
	for _, dir := range []string{filesDir, partialDir, stateDir, tmpDir} {
		if err := root.MkdirAll(dir, 0o700); err != nil {
			root.Close()
			return nil, fmt.Errorf("depot: %w", err)
		}
	}
	f := &Folder{path: abs, root: root, config: config.withDefaults()}
	return f, f.sweep()
}

// sweep removes what processes that were killed left in tmp.
func (f *Folder) sweep() error {
	names, err := f.readDir(tmpDir, maxList)
	if err != nil {
		return err
	}
	for _, name := range names {
		path := filepath.Join(tmpDir, name)
		if info, err := f.root.Lstat(path); err != nil || time.Since(info.ModTime()) < 24*time.Hour {
			continue
		}
		if err := f.root.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return diskError(err, "sweep", path)
		}
	}
	return nil
}

// Begin implements Store.
func (f *Folder) Begin(ctx context.Context, name string) error {
	id, file, err := splitName(name)
	if err != nil {
		return err
	}
	partial := filepath.Join(partialDir, id, file)
	for range 3 { // Remove of a sibling may take an empty folder away in between
		if err := ctx.Err(); err != nil {
			return err
		}
		for _, dir := range []string{filesDir, partialDir, stateDir} {
			if err := f.root.MkdirAll(filepath.Join(dir, id), 0o700); err != nil {
				return diskError(err, "begin", name)
			}
		}
		switch done, err := f.exists(filepath.Join(filesDir, id, file)); {
		case err != nil:
			return diskError(err, "begin", name)
		case done:
			return sealed(name)
		}
		switch there, err := f.exists(partial); {
		case err != nil:
			return diskError(err, "begin", name)
		case there:
			return nil
		}
		if err := f.checkFiles(id); err != nil {
			return err
		}
		if err := f.checkFree(); err != nil {
			return err
		}
		w, err := f.root.OpenFile(partial, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		switch {
		case errors.Is(err, fs.ErrExist):
			return nil
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return diskError(err, "begin", name)
		}
		if err := cmp.Or(w.Sync(), w.Close(), f.syncDir(filepath.Join(partialDir, id)), f.syncDir(partialDir)); err != nil {
			return diskError(err, "begin", name)
		}
		return nil
	}
	return busy(name)
}

// checkFiles tests the bound on the files of a delivery. Uploads that begin at the
// same moment may go beyond it by their number.
func (f *Folder) checkFiles(id string) error {
	n := 0
	for _, dir := range []string{filesDir, partialDir} {
		names, err := f.readDir(filepath.Join(dir, id), f.config.MaxFiles+1)
		if err != nil {
			return err
		}
		n += len(names)
	}
	if n >= f.config.MaxFiles {
		return tooManyFiles(id, f.config.MaxFiles)
	}
	return nil
}

// Append implements Store.
func (f *Folder) Append(ctx context.Context, name string, offset int64, r io.Reader, most int64) (int64, error) {
	w, size, err := f.lock(name)
	if err != nil {
		return 0, err
	}
	defer w.Close()
	if offset != size {
		return size, wrongOffset(name, size)
	}
	sum, err := f.resumeHash(ctx, w, name, size)
	if err != nil {
		return size, err
	}
	if _, err := w.Seek(size, io.SeekStart); err != nil {
		return size, diskError(err, "append to", name)
	}
	n, err := f.copy(ctx, w, r, sum, name, size, most)
	if n == 0 {
		return size, err
	}
	if serr := w.Sync(); serr != nil {
		// What a failed sync left on the disk is unknown: it is to be sent again.
		return size, errors.Join(diskError(serr, "append to", name), w.Truncate(size))
	}
	if serr := f.saveState(name, folderState{Size: size + n, Hash: marshalHash(sum)}); serr != nil && err == nil {
		err = serr
	}
	return size + n, err
}

// copy writes what r has and hashes it, and returns how much was written.
func (f *Folder) copy(ctx context.Context, w io.Writer, r io.Reader, sum hash.Hash, name string, size, most int64) (int64, error) {
	room, limit := f.config.bound(size, most)
	r = contextReader{ctx, r}
	buf := make([]byte, 256<<10)
	var n, checked int64
	for {
		if n >= checked {
			if err := f.checkFree(); err != nil {
				return n, err
			}
			checked = n + step
		}
		// One byte more than there is room for shows that r has too much.
		k, rerr := r.Read(buf[:min(int64(len(buf)), room-n+1)])
		over := n+int64(k) > room
		if over {
			k--
		}
		k, werr := w.Write(buf[:k])
		sum.Write(buf[:k])
		n += int64(k)
		switch {
		case werr != nil:
			return n, diskError(werr, "append to", name)
		case over:
			return n, tooLarge(name, limit)
		case rerr == io.EOF:
			return n, nil
		case rerr != nil:
			return n, fmt.Errorf("depot: receive %s: %w", name, rerr)
		}
	}
}

// lock opens an upload under way for this call alone.
func (f *Folder) lock(name string) (*os.File, int64, error) {
	id, file, err := splitName(name)
	if err != nil {
		return nil, 0, err
	}
	path := filepath.Join(partialDir, id, file)
	w, err := f.root.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		switch done, err := f.exists(filepath.Join(filesDir, id, file)); {
		case err != nil:
			return nil, 0, diskError(err, "open", name)
		case done:
			return nil, 0, sealed(name)
		}
		return nil, 0, unknown(name)
	}
	if err != nil {
		return nil, 0, diskError(err, "open", name)
	}
	if err := flock(w); err != nil {
		w.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, 0, busy(name)
		}
		return nil, 0, diskError(err, "lock", name)
	}
	// Whoever had the lock before may have sealed or removed the file.
	mine, err := w.Stat()
	if err == nil {
		var now fs.FileInfo
		if now, err = f.root.Lstat(path); err == nil && os.SameFile(mine, now) {
			return w, mine.Size(), nil
		}
	}
	w.Close()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, 0, diskError(err, "lock", name)
	}
	return nil, 0, busy(name)
}

// Size implements Store.
func (f *Folder) Size(ctx context.Context, name string) (int64, error) {
	id, file, err := splitName(name)
	if err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	// A seal in between moves the file from the first place to the second.
	for _, dir := range []string{partialDir, filesDir} {
		info, err := f.root.Lstat(filepath.Join(dir, id, file))
		if err == nil {
			return info.Size(), nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return 0, diskError(err, "look at", name)
		}
	}
	return 0, unknown(name)
}

// Seal implements Store.
func (f *Folder) Seal(ctx context.Context, name string) (int64, []byte, error) {
	id, file, err := splitName(name)
	if err != nil {
		return 0, nil, err
	}
	path := filepath.Join(filesDir, id, file)
	if done, err := f.exists(path); err != nil {
		return 0, nil, diskError(err, "seal", name)
	} else if done {
		return f.sealedSum(ctx, name, path)
	}
	w, size, err := f.lock(name)
	if err != nil {
		return 0, nil, err
	}
	defer w.Close()
	sum, err := f.resumeHash(ctx, w, name, size)
	if err != nil {
		return 0, nil, err
	}
	state := folderState{Size: size, Hash: marshalHash(sum), SHA256: sum.Sum(nil)}
	if err := w.Sync(); err != nil {
		return 0, nil, diskError(err, "seal", name)
	}
	if err := f.saveState(name, state); err != nil {
		return 0, nil, err
	}
	if err := f.root.Rename(filepath.Join(partialDir, id, file), path); err != nil {
		return 0, nil, diskError(err, "seal", name)
	}
	if err := cmp.Or(w.Chmod(0o400), f.syncDir(filepath.Dir(path)), f.syncDir(filesDir), f.syncDir(filepath.Join(partialDir, id))); err != nil {
		return 0, nil, diskError(err, "seal", name)
	}
	return size, state.SHA256, nil
}

// sealedSum returns what a seal returned before, by hashing again when the record
// of it is lost.
func (f *Folder) sealedSum(ctx context.Context, name, path string) (int64, []byte, error) {
	r, err := f.root.Open(path)
	if err != nil {
		return 0, nil, diskError(err, "seal", name)
	}
	defer r.Close()
	info, err := r.Stat()
	if err != nil {
		return 0, nil, diskError(err, "seal", name)
	}
	state, err := f.loadState(name)
	if err == nil && len(state.SHA256) == sha256.Size && state.Size == info.Size() {
		return state.Size, state.SHA256, nil
	}
	sum, err := f.resumeHash(ctx, r, name, info.Size())
	if err != nil {
		return 0, nil, err
	}
	state = folderState{Size: info.Size(), Hash: marshalHash(sum), SHA256: sum.Sum(nil)}
	return state.Size, state.SHA256, f.saveState(name, state)
}

// Fetch implements Store: it returns the stored file itself.
func (f *Folder) Fetch(ctx context.Context, name, _ string) (string, error) {
	id, file, err := splitName(name)
	if err != nil {
		return "", err
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	info, err := f.root.Lstat(filepath.Join(filesDir, id, file))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if there, err := f.exists(filepath.Join(partialDir, id, file)); err != nil {
			return "", diskError(err, "fetch", name)
		} else if there {
			return "", unsealed(name)
		}
		return "", unknown(name)
	case err != nil:
		return "", diskError(err, "fetch", name)
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("depot: fetch %s: not a regular file", name)
	}
	if state, err := f.loadState(name); err == nil && state.Size != info.Size() {
		return "", fmt.Errorf("depot: fetch %s: it has %d bytes, sealed were %d", name, info.Size(), state.Size)
	}
	return filepath.Join(f.path, filesDir, id, file), nil
}

// readDir returns at most n names of a folder, none when there is no such folder.
func (f *Folder) readDir(path string, n int) ([]string, error) {
	d, err := f.root.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, diskError(err, "list", path)
	}
	defer d.Close()
	names, err := d.Readdirnames(n)
	if err != nil && err != io.EOF && !errors.Is(err, fs.ErrNotExist) {
		return nil, diskError(err, "list", path)
	}
	return names, nil
}

func (f *Folder) exists(path string) (bool, error) {
	_, err := f.root.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (f *Folder) checkFree() error { return checkFree(f.path, f.config.MinFree, 0) }

// checkFree tests that the disk of path keeps least bytes free when more are
// written.
func checkFree(path string, least, more int64) error {
	if least < 0 {
		return nil
	}
	var st syscall.Statfs_t
	if err := syscall.Statfs(path, &st); err != nil {
		return fmt.Errorf("depot: ask for free space: %w", err)
	}
	free := int64(st.Bavail) * int64(st.Bsize)
	if free-more < least {
		return full(fmt.Errorf("depot: %s free, %s needed beside %s kept free", bytesText(free), bytesText(more), bytesText(least)))
	}
	return nil
}

func (f *Folder) syncDir(path string) error {
	d, err := f.root.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// A process that is being started holds, for a moment, what its parent held when
// it was forked: a lock that is taken is asked for again so often.
const (
	lockTries = 20
	lockPause = 10 * time.Millisecond
)

func flock(f *os.File) error {
	for try := 1; ; try++ {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) || try == lockTries {
			return err
		}
		time.Sleep(lockPause)
	}
}
