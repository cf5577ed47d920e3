package pmtiles

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Close finishes the archive: it is on disk whole and below its name when there is
// no error. Otherwise what was written is removed.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.file == nil {
		return w.err
	}
	if w.err == nil {
		if err := w.finish(); err != nil {
			w.failed(err)
		}
	}
	if w.err != nil {
		return errors.Join(w.err, w.abort())
	}
	w.file, w.entries = nil, nil
	w.err = fmt.Errorf("write %s: %w", filepath.Base(w.path), errClosed)
	return nil
}

func (w *Writer) finish() error {
	if len(w.entries) == 0 {
		if err := w.addNothing(); err != nil {
			return err
		}
	}
	if err := w.out.Flush(); err != nil {
		return err
	}
	contents := len(w.contents)
	w.contents = nil
	if !w.ascending {
		if err := w.cluster(contents); err != nil {
			return err
		}
	}
	root, leaves := directories(w.entries)
	metadata := compress(nil, w.config.Metadata)
	h := w.header()
	h.Root = Section{headerSize, uint64(len(root))}
	h.Tiles = Section{rootEnd, w.end}
	h.Metadata = Section{rootEnd + w.end, uint64(len(metadata))}
	h.Leaves = Section{h.Metadata.Offset + h.Metadata.Length, uint64(len(leaves))}
	h.Contents = uint64(contents)
	if err := writeAt(w.file, int64(h.Metadata.Offset), metadata, leaves); err != nil {
		return err
	}
	if err := writeAt(w.file, 0, h.append(nil), root); err != nil {
		return err
	}
	return w.publish()
}

func writeAt(f *os.File, at int64, parts ...[]byte) error {
	for _, b := range parts {
		if _, err := f.WriteAt(b, at); err != nil {
			return err
		}
		at += int64(len(b))
	}
	return nil
}

// addNothing adds a tile without layers: directories without entries are not
// allowed, and readers refuse them.
func (w *Writer) addNothing() error {
	nothing := compress(nil, nil)
	if _, err := w.out.Write(nothing); err != nil {
		return err
	}
	w.end = uint64(len(nothing))
	w.contents[contentKey{}] = 0
	return w.enter(entry{id: first(w.config.MinZoom), length: uint32(len(nothing)), run: 1})
}

// header makes the header but for the places of the sections.
func (w *Writer) header() Header {
	h := Header{
		Addressed: w.addressed, Entries: uint64(len(w.entries)), Clustered: true,
		InternalCompression: Gzip, TileCompression: Gzip, TileType: MVT,
		MinZoom: zoom(w.entries[0].id), MaxZoom: zoom(w.entries[len(w.entries)-1].id),
		Bounds: widened(w.config.Bounds), Center: w.config.Center,
	}
	if w.config.Opaque {
		h.TileType, h.TileCompression = UnknownType, UnknownCompression
	}
	b := h.Bounds
	if c := h.Center; c[0] < b[0] || c[0] > b[2] || c[1] < b[1] || c[1] > b[3] {
		h.Center = [2]float64{(b[0] + b[2]) / 2, (b[1] + b[3]) / 2}
	}
	h.CenterZoom = min(max(w.config.CenterZoom, h.MinZoom), h.MaxZoom)
	return h
}

// widened gives bounds an area, without which maps may show no tile, for data that
// are one point.
func widened(b [4]float64) [4]float64 {
	const unit = 1.0 / degree
	for i, most := range [...]float64{180, 90} {
		if b[i+2]-b[i] >= unit {
			continue
		}
		if b[i]+unit > most {
			b[i] -= unit
		} else {
			b[i+2] = b[i] + unit
		}
	}
	return b
}

// cluster writes the contents again, in the order of the ids.
func (w *Writer) cluster(contents int) error {
	slices.SortFunc(w.entries, func(a, b entry) int { return cmp.Compare(a.id, b.id) })
	for i := 1; i < len(w.entries); i++ {
		if before := w.entries[i-1]; w.entries[i].id < before.id+uint64(before.run) {
			return fmt.Errorf("tile %d comes twice", w.entries[i].id)
		}
	}
	f, err := createTemp(w.path)
	if err != nil {
		return err
	}
	if err := w.moveTo(f, contents); err != nil {
		return errors.Join(err, discard(f))
	}
	old := w.file
	w.file = f
	w.entries = merge(w.entries)
	return discard(old)
}

func (w *Writer) moveTo(f *os.File, contents int) error {
	out := tilesOf(f)
	moved := make(map[uint64]uint64, contents)
	var end uint64
	var buf []byte
	for i := range w.entries {
		e := &w.entries[i]
		to, known := moved[e.offset]
		if !known {
			to = end
			moved[e.offset] = to
			buf = slices.Grow(buf[:0], int(e.length))[:e.length]
			if _, err := w.file.ReadAt(buf, rootEnd+int64(e.offset)); err != nil {
				return err
			}
			if _, err := out.Write(buf); err != nil {
				return err
			}
			end += uint64(e.length)
		}
		e.offset = to
	}
	return out.Flush()
}

// merge joins the entries in order that continue each other.
func merge(entries []entry) []entry {
	out := entries[:1]
	for _, e := range entries[1:] {
		if last := &out[len(out)-1]; last.joins(e) {
			last.run += e.run
		} else {
			out = append(out, e)
		}
	}
	return out
}

// leafEntries is the least number of entries of a leaf directory but the last: a
// reader fetches one for each tile that it has no directory for.
const leafEntries = 4096

// directories encodes the root directory, which has its bound, and the leaf
// directories where not all entries fit in the root.
func directories(entries []entry) (root, leaves []byte) {
	var raw []byte
	if len(entries) <= maxRoot {
		raw = appendDirectory(raw, entries)
		if root = compress(nil, raw); len(root) <= maxRoot {
			return root, nil
		}
	}
	for size := max(leafEntries, len(entries)/2500); ; size += size / 4 {
		leaves = leaves[:0]
		var pointers []entry
		for part := range slices.Chunk(entries, size) {
			raw = appendDirectory(raw[:0], part)
			start := len(leaves)
			leaves = compress(leaves, raw)
			pointers = append(pointers, entry{id: part[0].id, offset: uint64(start), length: uint32(len(leaves) - start)})
		}
		raw = appendDirectory(raw[:0], pointers)
		if root = compress(root[:0], raw); len(root) <= maxRoot {
			return root, leaves
		}
	}
}

// publish makes the finished file last below its name.
func (w *Writer) publish() error {
	if err := cmp.Or(w.file.Sync(), w.file.Close()); err != nil {
		return err
	}
	if err := os.Rename(w.file.Name(), w.path); err != nil {
		return err
	}
	if err := syncDir(filepath.Dir(w.path)); err != nil {
		return errors.Join(err, os.Remove(w.path))
	}
	return nil
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
