package tiles

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"

	"changde/tiles/pmtiles"
)

var errEnough = errors.New("no more tiles are wanted")

// spilled reads the tiles of one dataset in the order of their ids.
type spilled struct {
	file *os.File
	next func() (uint64, []byte, bool)
	stop func()
	err  error // why there are no more

	id   uint64
	tile []byte // good until next is called
	ok   bool
}

func openSpilled(ctx context.Context, path string) (*spilled, error) {
	a, f, err := pmtiles.OpenFile(path)
	if err != nil {
		return nil, err
	}
	s := &spilled{file: f}
	s.next, s.stop = iter.Pull2(func(yield func(uint64, []byte) bool) {
		s.err = a.Each(ctx, func(id uint64, tile []byte) error {
			if !yield(id, tile) {
				return errEnough
			}
			return nil
		})
	})
	return s, nil
}

func (s *spilled) advance() error {
	s.id, s.tile, s.ok = s.next()
	if !s.ok {
		return s.err
	}
	return nil
}

func (s *spilled) close() error {
	s.stop()
	return s.file.Close()
}

// join makes the pack of the archives of its datasets, whose tiles are at most total,
// and tells how many it has.
func (e *exporter) join(ctx context.Context, files []string, total int64) (tiles int64, err error) {
	var all []*spilled
	defer func() {
		for _, s := range all {
			err = errors.Join(err, s.close())
		}
	}()
	for _, f := range files {
		s, err := openSpilled(ctx, f)
		if err != nil {
			return 0, fmt.Errorf("read what was spilled: %w", err)
		}
		all = append(all, s)
		if err := s.advance(); err != nil {
			return 0, fmt.Errorf("read what was spilled: %w", err)
		}
	}
	w, err := e.create()
	if err != nil {
		return 0, err
	}
	if tiles, err = e.merge(all, w, total); err == nil {
		err = e.checkFile() // it may have come meanwhile
	}
	if err != nil {
		return 0, errors.Join(err, w.Abort())
	}
	return tiles, w.Close()
}

// merge writes the tiles in the order of their ids, those of one id as one.
func (e *exporter) merge(all []*spilled, w archiveWriter, total int64) (tiles int64, err error) {
	const every = 1024
	source := NewSource(e.pool, e.config) // for its compressor
	var raw []byte
	for read := int64(0); ; tiles++ {
		if tiles%every == 0 {
			e.Progress(Progress{Done: read, Total: total})
		}
		here := lowest(all)
		if len(here) == 0 {
			return tiles, nil
		}
		tile := here[0].tile
		if len(here) > 1 {
			raw = raw[:0]
			for _, s := range here {
				if raw, err = appendRaw(raw, &Tile{Gzip: s.tile, Features: 1}); err != nil {
					return tiles, err
				}
			}
			tile = source.finish(raw, 1).Gzip
		}
		if err := w.Add(here[0].id, tile); err != nil {
			return tiles, err
		}
		for _, s := range here {
			if err := s.advance(); err != nil {
				return tiles, fmt.Errorf("read what was spilled: %w", err)
			}
			read++
		}
	}
}

// lowest are those whose tile has the lowest id, in their order.
func lowest(all []*spilled) []*spilled {
	var here []*spilled
	for _, s := range all {
		switch {
		case !s.ok:
		case len(here) == 0 || s.id < here[0].id:
			here = append(here[:0], s)
		case s.id == here[0].id:
			here = append(here, s)
		}
	}
	return here
}
