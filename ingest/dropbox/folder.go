package dropbox

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Folder is a Box in a folder that SFTP, a file share or people fill. The service
// needs the right to write in it and in the senders' folders. Links are not
// followed anywhere below it, devices and sockets are ignored.
type Folder struct {
	config Config
	root   *os.File
	taken  *os.File
	watch  watchdog // over parcels and claims
	round  atomic.Int64
}

// OpenFolder opens the box at path, which must exist. The claims of its watchers
// are in .taken there.
func OpenFolder(path string, config Config) (*Folder, error) {
	root, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, fmt.Errorf("dropbox: %w", err)
	}
	taken, err := mkdirAt(root, takenName, 0o700)
	if err != nil {
		root.Close()
		return nil, fmt.Errorf("dropbox: %w", err)
	}
	return &Folder{config: config.withDefaults(), root: root, taken: taken}, nil
}

// Close frees the handles of the box.
func (f *Folder) Close() error { return errors.Join(f.root.Close(), f.taken.Close()) }

// Scan implements Box. Completeness is judged by what this Folder has seen: the
// first Scan finds parcels with markers only.
func (f *Folder) Scan(ctx context.Context) ([]Parcel, error) {
	round := int(f.round.Add(1))
	claims, errs := f.claims(round)
	var out []Parcel
	senders, err := f.list(f.root, maxSenders)
	if err != nil {
		return nil, fmt.Errorf("dropbox: list the box: %w", err)
	}
	for _, s := range senders {
		if err := ctx.Err(); err != nil {
			return out, err
		}
		if !s.dir || litter(s.name) {
			continue
		}
		parcels, err := f.sender(s, round)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = errors.Join(errs, fmt.Errorf("dropbox: sender %s: %w", s.name, err))
		}
		out = append(out, parcels...)
	}
	f.watch.forget(round - 1)
	out, err = claims.apply(out, f.abandoned)
	return out, errors.Join(errs, err)
}

// list describes the entries of a folder without those that are special.
func (f *Folder) list(dir *os.File, most int) ([]entry, error) {
	d, err := openDirAgain(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := namesIn(d, most+1)
	if err != nil {
		return nil, err
	}
	if len(names) > most {
		return nil, fmt.Errorf("more than %d entries; move some away", most)
	}
	slices.Sort(names)
	out := make([]entry, 0, len(names))
	for _, name := range names {
		e, special, err := statAt(d, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if !special {
			out = append(out, e)
		}
	}
	return out, nil
}

// openDirAgain opens a folder with a reading position of its own.
func openDirAgain(dir *os.File) (*os.File, error) {
	fd, err := retry(func() (int, error) {
		return unix.Openat(int(dir.Fd()), ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: dir.Name(), Err: err}
	}
	return os.NewFile(uintptr(fd), dir.Name()), nil
}

// sender lists the complete parcels of a sender.
func (f *Folder) sender(s entry, round int) ([]Parcel, error) {
	dir, err := openDirAt(f.root, s.raw)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	entries, err := f.list(dir, maxEntries)
	if err != nil {
		return nil, err
	}
	var out []Parcel
	var errs error
	for _, g := range groups(entries) {
		p, err := f.parcel(dir, s, g)
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				errs = errors.Join(errs, fmt.Errorf("%s: %w", g.name, err))
			}
			continue
		}
		still := f.watch.still(p.place, p.print, round)
		if len(p.Files) == 0 && p.Fault == nil { // an empty folder, perhaps about to be filled
			continue
		}
		if f.config.complete(g, still) {
			out = append(out, p)
		}
	}
	return out, errs
}

// parcel describes a group as a parcel.
func (f *Folder) parcel(dir *os.File, s entry, g group) (Parcel, error) {
	p := Parcel{Sender: s.name, Name: g.name, place: digest(s.raw, g.place), sender: s.raw}
	print := []string{}
	note := func(path string, e entry) {
		print = append(print, path, fmt.Sprint(e.size), e.mark, e.touch)
	}
	for _, e := range g.entries {
		p.entries = append(p.entries, e.raw)
		note(e.raw, e)
		if !e.dir {
			p.Files = append(p.Files, fileOf(e, e.raw, e.name))
			continue
		}
		p.Folder = true
		w := walk{config: f.config, p: &p, note: note}
		if err := w.folder(dir, e.raw, e.raw, e.name, 1); err != nil {
			return p, err
		}
	}
	for _, m := range g.markers {
		p.entries = append(p.entries, m.raw)
	}
	if p.Fault != nil { // it is not listed whole, and goes as it is
		p.Files, print = nil, nil
	}
	f.config.identify(&p)
	p.print = digest(print...)
	return p, nil
}

func fileOf(e entry, raw, name string) File {
	return File{Name: name, Size: e.size, Modified: e.modified, raw: raw, mark: e.mark}
}

// walk looks through a folder that is a parcel.
type walk struct {
	config Config
	p      *Parcel
	note   func(path string, e entry)
	count  int
}

func (w *walk) folder(parent *os.File, raw, path, name string, depth int) error {
	if depth > w.config.MaxDepth {
		w.p.Fault = tooDeep(name, w.config.MaxDepth)
		return nil
	}
	dir, err := openDirAt(parent, raw)
	if err != nil {
		return err
	}
	defer dir.Close()
	names, err := namesIn(dir, w.config.MaxFiles-w.count+1)
	if err != nil {
		return err
	}
	if w.count += len(names); w.count > w.config.MaxFiles {
		w.p.Fault = tooMany(w.p.Name, w.config.MaxFiles)
		return nil
	}
	slices.Sort(names)
	for _, n := range names {
		e, special, err := statAt(dir, n)
		if err != nil {
			return err
		}
		sub := path + "/" + n
		w.note(sub, e)
		switch {
		case w.p.Fault != nil:
			return nil
		case special || litter(e.name) && !e.dir || strings.EqualFold(e.name, "__MACOSX"):
		case e.dir:
			if err := w.folder(dir, n, sub, name+"/"+e.name, depth+1); err != nil {
				return err
			}
		default:
			w.p.Files = append(w.p.Files, fileOf(e, sub, name+"/"+e.name))
		}
	}
	return nil
}

// Fetch implements Box.
func (f *Folder) Fetch(ctx context.Context, p *Parcel, dir string) ([]string, error) {
	sender, err := openDirAt(f.root, p.sender)
	if err != nil {
		return nil, changed(err, p)
	}
	defer sender.Close()
	paths := make([]string, len(p.Files))
	for i := range p.Files {
		file := &p.Files[i]
		if paths[i], err = target(dir, file.Name); err != nil {
			return nil, fmt.Errorf("dropbox: fetch %s/%s: %w", p.Sender, file.Name, err)
		}
		if err := f.fetch(ctx, sender, file, paths[i]); err != nil {
			return nil, changed(err, p)
		}
	}
	return paths, nil
}

// target makes the folders for a file's copy.
func target(dir, name string) (string, error) {
	if p := checkName(name); p != nil {
		return "", p
	}
	path := filepath.Join(dir, filepath.FromSlash(name))
	return path, os.MkdirAll(filepath.Dir(path), 0o700)
}

// changed turns what a sender causes by going on into ErrChanged.
func changed(err error, p *Parcel) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOTDIR) {
		err = errors.Join(ErrChanged, err)
	}
	return fmt.Errorf("dropbox: fetch %s/%s: %w", p.Sender, p.Name, err)
}

func (f *Folder) fetch(ctx context.Context, sender *os.File, file *File, path string) error {
	r, err := openAt(sender, file.raw, unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer r.Close()
	before, ordinary, err := statFile(r)
	if err != nil {
		return err
	}
	if !ordinary || before.size != file.Size || before.mark != file.mark {
		return ErrChanged
	}
	n, sum, err := copyOut(ctx, r, path, file.Size)
	if err != nil {
		return err
	}
	after, _, err := statFile(r)
	if err != nil {
		return err
	}
	if n != file.Size || after.size != file.Size || after.mark != before.mark || after.touch != before.touch {
		return ErrChanged
	}
	file.SHA256 = sum
	return nil
}

// copyOut writes a new file from r, of which it reads at most one byte more than
// most.
func copyOut(ctx context.Context, r io.Reader, path string, most int64) (int64, []byte, error) {
	w, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, nil, err
	}
	var sum hash.Hash = sha256.New()
	n, err := io.CopyBuffer(io.MultiWriter(w, sum), contextReader{ctx, io.LimitReader(r, most+1)}, make([]byte, 256<<10))
	return n, sum.Sum(nil), cmp.Or(err, w.Close())
}

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

// encode writes a record for a claim.
func encode(r *record) ([]byte, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("dropbox: record of %s: %w", r.Name, err)
	}
	return b, nil
}
