package quality

import (
	"fmt"
	"io"
	"os"
)

// spillBlock is the unit of writing; each bucket keeps one in memory.
const spillBlock = 32 << 10

// spill is a file of many buckets of bytes, each written front to back while the
// others are, and read afterwards. One goroutine writes; several may read.
type spill struct {
	f       *os.File
	end     int64
	buckets []bucket
}

type bucket struct {
	blocks []int64
	buf    []byte
	size   int64
}

// add makes another bucket and returns its number.
func (s *spill) add() int {
	s.buckets = append(s.buckets, bucket{})
	return len(s.buckets) - 1
}

func (s *spill) write(n int, p []byte) error {
	b := &s.buckets[n]
	b.size += int64(len(p))
	for len(p) > 0 {
		if b.buf == nil {
			b.buf = make([]byte, 0, spillBlock)
		}
		k := min(len(p), spillBlock-len(b.buf))
		b.buf = append(b.buf, p[:k]...)
		p = p[k:]
		if len(b.buf) == spillBlock {
			if _, err := s.f.WriteAt(b.buf, s.end); err != nil {
				return fmt.Errorf("write the spill file: %w", err)
			}
			b.blocks = append(b.blocks, s.end)
			s.end += spillBlock
			b.buf = b.buf[:0]
		}
	}
	return nil
}

// read appends the whole bucket to dst[:0]; what it held stays.
func (s *spill) read(n int, dst []byte) ([]byte, error) {
	b := &s.buckets[n]
	if int64(cap(dst)) < b.size {
		dst = make([]byte, 0, b.size)
	}
	dst = dst[:0]
	for _, at := range b.blocks {
		k := len(dst)
		dst = dst[:k+spillBlock]
		if _, err := io.ReadFull(io.NewSectionReader(s.f, at, spillBlock), dst[k:]); err != nil {
			return nil, fmt.Errorf("read the spill file: %w", err)
		}
	}
	return append(dst, b.buf...), nil
}

// drop forgets a bucket whose content was moved.
func (s *spill) drop(n int) { s.buckets[n] = bucket{} }

func (s *spill) close() {
	if s != nil {
		_ = s.f.Close() // the file is removed with its folder
		_ = os.Remove(s.f.Name())
	}
}
