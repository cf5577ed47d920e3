package dropbox

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The functions here work below an open folder and follow no symbolic link in any
// part of a path: a sender may put one anywhere at any moment.

// openAt opens a path below dir.
func openAt(dir *os.File, path string, flags int, mode uint32) (*os.File, error) {
	at := dir
	for {
		part, rest, more := strings.Cut(path, "/")
		f := flags
		if more {
			f = unix.O_RDONLY | unix.O_DIRECTORY
		}
		if part == "" || part == "." || part == ".." {
			return nil, &fs.PathError{Op: "open", Path: part, Err: fs.ErrInvalid}
		}
		fd, err := retry(func() (int, error) {
			return unix.Openat(int(at.Fd()), part, f|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, mode)
		})
		if at != dir {
			at.Close()
		}
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: part, Err: err}
		}
		at = os.NewFile(uintptr(fd), part)
		if !more {
			return at, nil
		}
		path = rest
	}
}

func openDirAt(dir *os.File, path string) (*os.File, error) {
	return openAt(dir, path, unix.O_RDONLY|unix.O_DIRECTORY, 0)
}

// parentAt opens the folder of a path below dir, and returns the last part.
func parentAt(dir *os.File, path string) (*os.File, string, error) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		d, err := dupDir(dir)
		return d, path, err
	}
	d, err := openDirAt(dir, path[:i])
	return d, path[i+1:], err
}

func dupDir(dir *os.File) (*os.File, error) {
	fd, err := unix.FcntlInt(dir.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "dup", Path: dir.Name(), Err: err}
	}
	return os.NewFile(uintptr(fd), dir.Name()), nil
}

// retry repeats a call that a signal interrupted.
func retry[T any](call func() (T, error)) (T, error) {
	for {
		v, err := call()
		if !errors.Is(err, unix.EINTR) {
			return v, err
		}
	}
}

// mkdirAt makes a folder, which may exist, and opens it.
func mkdirAt(dir *os.File, name string, mode uint32) (*os.File, error) {
	if err := unix.Mkdirat(int(dir.Fd()), name, mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, &fs.PathError{Op: "mkdir", Path: name, Err: err}
	}
	return openDirAt(dir, name)
}

func renameAt(from *os.File, name string, to *os.File, newName string) error {
	if err := unix.Renameat(int(from.Fd()), name, int(to.Fd()), newName); err != nil {
		return &os.LinkError{Op: "rename", Old: name, New: newName, Err: err}
	}
	return nil
}

func removeAt(dir *os.File, name string, folder bool) error {
	flags := 0
	if folder {
		flags = unix.AT_REMOVEDIR
	}
	if err := unix.Unlinkat(int(dir.Fd()), name, flags); err != nil {
		return &fs.PathError{Op: "remove", Path: name, Err: err}
	}
	return nil
}

// stat describes what a name in a folder is, of a link the link itself. special is
// what is neither a file nor a folder.
func statAt(dir *os.File, name string) (e entry, special bool, err error) {
	var st unix.Stat_t
	if err := unix.Fstatat(int(dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return entry{}, false, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	e = entryOf(name, &st)
	return e, !e.dir && st.Mode&unix.S_IFMT != unix.S_IFREG, nil
}

func entryOf(name string, st *unix.Stat_t) entry {
	modified := time.Unix(st.Mtim.Unix())
	changed := time.Unix(st.Ctim.Unix())
	e := entry{raw: name, name: decodeName(name), dir: st.Mode&unix.S_IFMT == unix.S_IFDIR, size: st.Size, modified: modified, mark: fmt.Sprint(modified.UnixNano())}
	e.touch = fmt.Sprint(changed.UnixNano(), st.Ino)
	if e.dir {
		e.size, e.mark, e.touch = 0, "", "" // its contents tell
	}
	return e
}

// statFile describes an open file, and reports whether it is an ordinary one.
func statFile(f *os.File) (entry, bool, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return entry{}, false, &fs.PathError{Op: "stat", Path: f.Name(), Err: err}
	}
	return entryOf(f.Name(), &st), st.Mode&unix.S_IFMT == unix.S_IFREG, nil
}

// namesIn returns at most n names of a folder.
func namesIn(dir *os.File, n int) ([]string, error) {
	names, err := dir.Readdirnames(n)
	if err == io.EOF {
		err = nil
	}
	return names, err
}

// writeAt makes a file that must not exist, and syncs it.
func writeAt(dir *os.File, name string, content []byte, mode uint32) error {
	w, err := openAt(dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = w.Write(content)
	return errors.Join(err, w.Sync(), w.Close())
}

func readAt(dir *os.File, path string, limit int64) ([]byte, error) {
	r, err := openAt(dir, path, unix.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, limit))
}
