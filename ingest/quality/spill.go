package quality

import (
	"encoding/binary"
	"fmt"
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

// each gives the content of a bucket block by block; what it gives is valid
// during the call.
func (s *spill) each(n int, f func(block []byte) error) error {
	b := &s.buckets[n]
	block := make([]byte, spillBlock)
	for _, at := range b.blocks {
		if _, err := s.f.ReadAt(block, at); err != nil {
			return fmt.Errorf("read the spill file: %w", err)
		}
		if err := f(block); err != nil {
			return err
		}
	}
	return f(b.buf)
}

// records gives the records of a bucket of areas (appendArea), which say how long
// they are.
func (s *spill) records(n int, f func(record []byte) error) error {
	var part []byte // of a record that goes on in the next block
	return s.each(n, func(block []byte) error {
		for len(block) > 0 {
			size := 16
			head := block
			if len(part) > 0 {
				head = part
			}
			if len(head) >= 16 {
				size = int(binary.LittleEndian.Uint32(head[12:]))
			}
			if len(part) == 0 && len(block) >= size && len(block) >= 16 {
				if err := f(block[:size]); err != nil {
					return err
				}
				block = block[size:]
				continue
			}
			k := min(size-len(part), len(block))
			part = append(part, block[:k]...)
			block = block[k:]
			if len(part) >= 16 && len(part) == int(binary.LittleEndian.Uint32(part[12:])) {
				if err := f(part); err != nil {
					return err
				}
				part = part[:0]
			}
		}
		return nil
	})
}

// drop forgets a bucket whose content was moved.
func (s *spill) drop(n int) { s.buckets[n] = bucket{} }

// close gives the file back; closing again does nothing.
func (s *spill) close() {
	if s.f.Close() == nil {
		_ = os.Remove(s.f.Name()) // it goes with its folder anyway
	}
}
