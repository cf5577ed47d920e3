package pmtiles

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxDepth is the number of leaf directories below each other that are followed.
// One is usual.
const maxDepth = 3

// maxAddressed bounds the tiles that Each gives.
const maxAddressed = 1 << 30

// Archive reads an archive. It may be used by several goroutines. What is wrong in
// the file is a *problem.Error, of the kind Invalid or Unsupported: a server that
// opens archives of its own must not lay it at a caller's door.
type Archive struct {
	r      io.ReaderAt
	header Header
	root   []entry
	leaves cache
	empty  bool
}

// Open reads the header and the root directory of an archive of size bytes in r,
// which the archive goes on reading. The file must not change.
func Open(r io.ReaderAt, size int64) (*Archive, error) {
	if size < headerSize {
		return nil, corrupt("header", fmt.Sprintf("文件只有 %d 字节，不足一个文件头", size), fmt.Sprintf("the file has %d bytes, less than a header", size))
	}
	var b [headerSize]byte
	if err := readFull(r, b[:], 0); err != nil {
		return nil, fmt.Errorf("read header: %w", err)
	}
	h, err := parseHeader(b[:], size)
	if err != nil {
		return nil, err
	}
	a := &Archive{r: r, header: h}
	if a.root, err = a.directory(h.Root, "root directory"); err != nil {
		return nil, err
	}
	a.empty, err = a.holdsNothing()
	return a, err
}

// OpenFile opens the archive in a file, which the caller closes when it needs the
// archive no more.
func OpenFile(path string) (*Archive, *os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	a, err := Open(f, info.Size())
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return a, f, nil
}

// Header returns the header.
func (a *Archive) Header() Header { return a.header }

// holdsNothing recognises an archive that was written without tiles.
func (a *Archive) holdsNothing() (bool, error) {
	h := a.header
	e := a.root[0]
	if h.Addressed != 1 || len(a.root) != 1 || e.run != 1 || e.length > 64 {
		return false, nil
	}
	b, err := a.section(Section{h.Tiles.Offset + e.offset, uint64(e.length)})
	if err != nil {
		return false, fmt.Errorf("read tile: %w", err)
	}
	content, err := decompress(Gzip, b, 1)
	return err == nil && len(content) == 0, nil
}

// readFull reads all of b.
func readFull(r io.ReaderAt, b []byte, at int64) error {
	n, err := r.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// section reads a part of the file that is known to lie within it.
func (a *Archive) section(s Section) ([]byte, error) {
	b := make([]byte, s.Length)
	return b, readFull(a.r, b, int64(s.Offset))
}

// directory reads a directory.
func (a *Archive) directory(s Section, name string) ([]entry, error) {
	if s.Length > maxDirectory {
		return nil, corrupt(name, fmt.Sprintf("目录长 %d 字节，上限 %d", s.Length, maxDirectory), fmt.Sprintf("a directory of %d bytes, at most %d are read", s.Length, maxDirectory))
	}
	b, err := a.section(s)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	var entries []entry
	if b, err = decompress(a.header.InternalCompression, b, maxDirectory); err == nil {
		entries, err = parseDirectory(b, a.header.Tiles.Length, a.header.Leaves.Length)
	}
	if err != nil {
		return nil, corrupt(fmt.Sprintf("%s at byte %d", name, s.Offset), fmt.Sprintf("目录无法读取（%v）", err), fmt.Sprintf("the directory cannot be read: %v", err))
	}
	return entries, nil
}

// leaf reads the leaf directory of an entry of the directory above. Its first id is
// that of the entry, so that no two entries lead to one leaf directory.
func (a *Archive) leaf(e entry) ([]entry, error) {
	s := Section{a.header.Leaves.Offset + e.offset, uint64(e.length)}
	entries, err := a.directory(s, "leaf directory")
	if err != nil {
		return nil, err
	}
	if entries[0].id != e.id {
		return nil, corrupt(fmt.Sprintf("leaf directory at byte %d", s.Offset),
			fmt.Sprintf("叶目录从 %d 开始，上级目录写的是 %d", entries[0].id, e.id),
			fmt.Sprintf("the leaf directory begins with %d, the one above says %d", entries[0].id, e.id))
	}
	return entries, nil
}

// Metadata returns the metadata, a JSON object unless somebody wrote another thing.
func (a *Archive) Metadata() ([]byte, error) {
	b, err := a.section(a.header.Metadata)
	if err != nil {
		return nil, fmt.Errorf("read metadata: %w", err)
	}
	if b, err = decompress(a.header.InternalCompression, b, maxMetadata); err != nil {
		return nil, corrupt("metadata", fmt.Sprintf("元数据无法读取（%v）", err), fmt.Sprintf("the metadata cannot be read: %v", err))
	}
	return b, nil
}

// TileAt says where in the file the bytes of a tile lie, compressed as the header
// says. It is not ok for a tile that the archive does not have.
func (a *Archive) TileAt(id uint64) (offset int64, length int, ok bool, err error) {
	if a.empty {
		return 0, 0, false, nil
	}
	entries := a.root
	for depth := 0; ; depth++ {
		e, ok := find(entries, id)
		if !ok {
			return 0, 0, false, nil
		}
		if e.run > 0 {
			return int64(a.header.Tiles.Offset + e.offset), int(e.length), true, nil
		}
		if depth == maxDepth {
			return 0, 0, false, tooDeep(e)
		}
		if entries, ok = a.leaves.get(e.offset, e.id); !ok {
			if entries, err = a.leaf(e); err != nil {
				return 0, 0, false, err
			}
			a.leaves.put(e.offset, entries)
		}
	}
}

func tooDeep(e entry) error {
	return corrupt(fmt.Sprintf("leaf directory of tile %d", e.id), fmt.Sprintf("叶目录超过 %d 层", maxDepth), fmt.Sprintf("leaf directories lie more than %d deep", maxDepth))
}

// Tile returns the bytes of a tile, compressed as the header says.
func (a *Archive) Tile(id uint64) (tile []byte, ok bool, err error) {
	offset, length, ok, err := a.TileAt(id)
	if !ok || err != nil {
		return nil, false, err
	}
	tile = make([]byte, length)
	if err := readFull(a.r, tile, offset); err != nil {
		return nil, false, fmt.Errorf("read tile %d: %w", id, err)
	}
	return tile, true, nil
}

// Each calls fn with every tile in the order of the ids, until it returns an error,
// which Each returns too. tile is good until fn returns, which must not change it. An
// archive that claims more
// than a thousand million tiles is refused with problem.Invalid.
func (a *Archive) Each(ctx context.Context, fn func(id uint64, tile []byte) error) error {
	if a.empty {
		return nil
	}
	w := walk{Archive: a, ctx: ctx, fn: fn}
	return w.directory(a.root, idCount, 0)
}

// walk is one run of Each.
type walk struct {
	*Archive
	ctx   context.Context
	fn    func(id uint64, tile []byte) error
	given uint64
	buf   []byte
	held  entry // whose content is in buf
}

// directory gives the tiles of a directory, which must end before id end.
func (w *walk) directory(entries []entry, end uint64, depth int) error {
	for i, e := range entries {
		next := end
		if i+1 < len(entries) {
			next = entries[i+1].id
		}
		if e.run > 0 {
			if err := w.run(e, next); err != nil {
				return err
			}
			continue
		}
		if err := w.ctx.Err(); err != nil {
			return err
		}
		if depth == maxDepth {
			return tooDeep(e)
		}
		leaf, err := w.leaf(e)
		if err != nil {
			return err
		}
		if err := w.directory(leaf, next, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// run gives the tiles of an entry.
func (w *walk) run(e entry, end uint64) error {
	if e.id+uint64(e.run) > end {
		return corrupt(fmt.Sprintf("tile %d", e.id), "叶目录与下一个目录重叠", "a leaf directory overlaps the next")
	}
	if w.given += uint64(e.run); w.given > maxAddressed {
		return corrupt("directories", fmt.Sprintf("瓦片超过 %d 个", maxAddressed), fmt.Sprintf("more than %d tiles", maxAddressed))
	}
	if e.offset != w.held.offset || e.length != w.held.length {
		if cap(w.buf) < int(e.length) {
			w.buf = make([]byte, e.length+e.length/4)
		}
		w.buf = w.buf[:e.length]
		w.held = e
		if err := readFull(w.r, w.buf, int64(w.header.Tiles.Offset+e.offset)); err != nil {
			return fmt.Errorf("read tile %d: %w", e.id, err)
		}
	}
	for i := range uint64(e.run) {
		if i&1023 == 0 {
			if err := w.ctx.Err(); err != nil {
				return err
			}
		}
		if err := w.fn(e.id+i, w.buf); err != nil {
			return err
		}
	}
	return nil
}
