package pmtiles

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sort"
	"sync"

	"github.com/klauspost/compress/gzip"
)

const (
	// maxDirectory bounds a directory, in bytes before compression. An entry takes
	// four at least.
	maxDirectory = 4 << 20
	// maxTile bounds one tile in bytes as stored.
	maxTile = 64 << 20
)

// entry says where run tiles from id on have their common content, within the
// tile data; or, when run is 0, where the leaf directory lies that begins with id,
// within the leaf directories.
type entry struct {
	id     uint64
	offset uint64
	length uint32
	run    uint32
}

// appendDirectory writes entries, which are in ascending order, uncompressed.
func appendDirectory(b []byte, entries []entry) []byte {
	b = binary.AppendUvarint(b, uint64(len(entries)))
	last := uint64(0)
	for _, e := range entries {
		b = binary.AppendUvarint(b, e.id-last)
		last = e.id
	}
	for _, e := range entries {
		b = binary.AppendUvarint(b, uint64(e.run))
	}
	for _, e := range entries {
		b = binary.AppendUvarint(b, uint64(e.length))
	}
	for i, e := range entries {
		if i > 0 && e.offset == entries[i-1].offset+uint64(entries[i-1].length) {
			b = append(b, 0)
		} else {
			b = binary.AppendUvarint(b, e.offset+1)
		}
	}
	return b
}

// varints takes numbers from the front of b; err is kept once there is one.
type varints struct {
	b   []byte
	err error
}

func (v *varints) next(most uint64) uint64 {
	if v.err != nil {
		return 0
	}
	n, size := binary.Uvarint(v.b)
	if size <= 0 || n > most {
		v.err = errNumber
		return 0
	}
	v.b = v.b[size:]
	return n
}

var errNumber = errors.New("a number is cut off or too great")

// parseDirectory reads an uncompressed directory. The entries are in ascending
// order, do not overlap, and lie within sections of those lengths.
func parseDirectory(b []byte, tiles, leaves uint64) ([]entry, error) {
	v := varints{b: b}
	n := v.next(uint64(len(b)) / 4)
	if v.err != nil || n == 0 {
		return nil, fmt.Errorf("the number of entries is wrong")
	}
	entries := make([]entry, n)
	last := uint64(0)
	for i := range entries {
		last += v.next(idCount - 1 - last)
		entries[i].id = last
	}
	for i := range entries {
		entries[i].run = uint32(v.next(math.MaxUint32))
	}
	for i := range entries {
		entries[i].length = uint32(v.next(maxTile))
	}
	next := uint64(0)
	for i := range entries {
		e := &entries[i]
		if o := v.next(math.MaxInt64); o > 0 {
			e.offset = o - 1
		} else if e.offset = next; i == 0 && v.err == nil {
			return nil, fmt.Errorf("the first entry has no offset")
		}
		next = e.offset + uint64(e.length)
	}
	if v.err != nil {
		return nil, v.err
	}
	if len(v.b) > 0 {
		return nil, fmt.Errorf("%d bytes after the last entry", len(v.b))
	}
	return entries, checkEntries(entries, tiles, leaves)
}

func checkEntries(entries []entry, tiles, leaves uint64) error {
	free := uint64(0) // the first id that no entry before has
	for i, e := range entries {
		section := tiles
		if e.run == 0 {
			section = leaves
		}
		switch {
		case e.id < free:
			return fmt.Errorf("entry %d: id %d is out of order", i, e.id)
		case e.length == 0:
			return fmt.Errorf("entry %d: the length is 0", i)
		case e.offset > section || section-e.offset < uint64(e.length):
			return fmt.Errorf("entry %d: beyond the end of its section", i)
		}
		free = e.id + uint64(max(e.run, 1))
	}
	if free > idCount {
		return fmt.Errorf("the last entry runs beyond the last id")
	}
	return nil
}

// find returns the entry that tells of an id: one whose run holds it, or the leaf
// directory where it must be.
func find(entries []entry, id uint64) (entry, bool) {
	i := sort.Search(len(entries), func(i int) bool { return entries[i].id > id })
	if i == 0 {
		return entry{}, false
	}
	e := entries[i-1]
	return e, e.run == 0 || id-e.id < uint64(e.run)
}

var zippers = sync.Pool{New: func() any {
	z, err := gzip.NewWriterLevel(nil, gzip.BestCompression)
	if err != nil {
		panic(err) // there is no such level
	}
	return z
}}

// compress appends b in gzip.
func compress(dst, b []byte) []byte {
	buf := bytes.NewBuffer(dst)
	z := zippers.Get().(*gzip.Writer)
	defer zippers.Put(z)
	z.Reset(buf)
	_, err := z.Write(b)
	if err = cmp.Or(err, z.Close()); err != nil {
		panic(err) // a buffer takes all
	}
	return buf.Bytes()
}

var unzippers = sync.Pool{New: func() any { return new(gzip.Reader) }}

// decompress undoes an internal compression. It gives most bytes at most.
func decompress(c Compression, b []byte, most int) ([]byte, error) {
	if c == NoCompression {
		if len(b) > most {
			return nil, fmt.Errorf("more than %d bytes", most)
		}
		return b, nil
	}
	z := unzippers.Get().(*gzip.Reader)
	defer unzippers.Put(z)
	if err := z.Reset(bytes.NewReader(b)); err != nil {
		return nil, fmt.Errorf("decompress: %w", err)
	}
	out := bytes.NewBuffer(slices.Grow([]byte(nil), min(4*len(b), most)))
	if n, err := io.Copy(out, io.LimitReader(z, int64(most)+1)); err != nil {
		return nil, fmt.Errorf("decompress: %w", err)
	} else if n > int64(most) {
		return nil, fmt.Errorf("more than %d bytes when decompressed", most)
	}
	return out.Bytes(), nil
}
