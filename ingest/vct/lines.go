package vct

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"changde/problem"
)

const maxLine = 4 << 20 // bytes of one line

// lines reads a file line by line from any place. Lines come without the blanks
// around them and are good until the next call.
type lines struct {
	ctx   context.Context
	src   io.ReaderAt
	where string
	chunk int
	buf   []byte
	base  int64 // place in the file of buf[0]
	pos   int   // next byte
}

func newLines(ctx context.Context, src io.ReaderAt, where string, chunk int) *lines {
	return &lines{ctx: ctx, src: src, where: where, chunk: chunk}
}

// offset is the place of the next line.
func (l *lines) offset() int64 { return l.base + int64(l.pos) }

// shows tells whether a place can be read without reading the file.
func (l *lines) shows(offset int64) bool {
	return offset >= l.base && offset < l.base+int64(len(l.buf))
}

func (l *lines) seek(offset int64) {
	if l.shows(offset) {
		l.pos = int(offset - l.base)
		return
	}
	l.base, l.pos, l.buf = offset, 0, l.buf[:0]
}

// raw returns the next line, which may be blank, and io.EOF behind the last.
func (l *lines) raw() ([]byte, error) {
	searched := 0
	for {
		if i := bytes.IndexByte(l.buf[l.pos+searched:], '\n'); i >= 0 {
			line := l.buf[l.pos : l.pos+searched+i]
			l.pos += searched + i + 1
			return bytes.TrimSpace(line), nil
		}
		searched = len(l.buf) - l.pos
		if searched > maxLine {
			return nil, problem.New(problem.TooLarge, "vct-line", l.where,
				fmt.Sprintf("第 %d 字节起的一行超过 %d MiB，文件可能不是文本", l.offset(), maxLine>>20), fmt.Sprintf("the line at byte %d is longer than %d MiB; the file may not be text", l.offset(), maxLine>>20))
		}
		n, err := l.fill()
		if err != nil {
			return nil, err
		}
		if n == 0 {
			if searched == 0 {
				return nil, io.EOF
			}
			line := l.buf[l.pos:]
			l.pos = len(l.buf)
			return bytes.TrimSpace(line), nil
		}
	}
}

// fill reads on, 0 bytes at the end of the file.
func (l *lines) fill() (int, error) {
	if err := l.ctx.Err(); err != nil {
		return 0, fmt.Errorf("read %s: %w", l.where, err)
	}
	kept := len(l.buf) - l.pos
	if cap(l.buf) < kept+l.chunk {
		grown := make([]byte, kept, 2*kept+l.chunk)
		copy(grown, l.buf[l.pos:])
		l.buf = grown
	} else {
		l.buf = l.buf[:copy(l.buf[:kept], l.buf[l.pos:])]
	}
	l.base += int64(l.pos)
	l.pos = 0
	n, err := l.src.ReadAt(l.buf[kept:kept+l.chunk], l.base+int64(kept))
	l.buf = l.buf[:kept+n]
	if err != nil && err != io.EOF {
		return n, fmt.Errorf("read %s: %w", l.where, err)
	}
	return n, nil
}

// next returns the next line that is neither blank nor within a comment.
func (l *lines) next() ([]byte, error) {
	for {
		line, err := l.raw()
		if err != nil {
			return nil, err
		}
		if len(line) == 0 {
			continue
		}
		if !is(line, "CommentBegin") {
			return line, nil
		}
		for !is(line, "CommentEnd") {
			if line, err = l.raw(); err != nil {
				return nil, err
			}
		}
	}
}

// peek returns the next line without taking it, nil at the end of the file.
func (l *lines) peek() ([]byte, error) {
	at := l.offset()
	line, err := l.next()
	if err == io.EOF {
		line, err = nil, nil
	}
	line = bytes.Clone(line)
	l.seek(at)
	return line, err
}

// is compares a line with a word whatever the case of its letters.
func is(line []byte, word string) bool {
	return len(line) == len(word) && bytes.EqualFold(line, []byte(word))
}
