package mbtiles

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/ncruces/go-sqlite3"
)

// Close finishes the archive: it is on disk whole and below its name when there is
// no error. Otherwise what was written is removed.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.temp == "" {
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
	w.temp = ""
	w.failed(errClosed)
	return nil
}

func (w *Writer) finish() error {
	if err := w.complete(); err != nil {
		return err
	}
	if err := w.disconnect(); err != nil {
		return err
	}
	if err := syncFile(w.temp); err != nil {
		return err
	}
	if err := os.Rename(w.temp, w.path); err != nil {
		return err
	}
	if err := syncFile(filepath.Dir(w.path)); err != nil {
		return errors.Join(err, os.Remove(w.path))
	}
	return nil
}

// syncFile makes a file or folder last.
func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// complete writes metadata and indexes.
func (w *Writer) complete() (err error) {
	defer guard(&err)
	s, _, err := w.conn.Prepare(`INSERT INTO metadata VALUES (?, ?)`)
	if err != nil {
		return err
	}
	for _, m := range w.metadata() {
		if m.value == "" {
			continue
		}
		if err := cmp.Or(s.BindText(1, m.name), s.BindText(2, m.value), s.Exec()); err != nil {
			return errors.Join(err, s.Close())
		}
	}
	if err := s.Close(); err != nil {
		return err
	}
	if err := w.conn.Exec(indexSQL); errors.Is(err, sqlite3.CONSTRAINT_UNIQUE) {
		return fmt.Errorf("a tile comes twice: %w", err)
	} else if err != nil {
		return err
	}
	return nil
}

type setting struct{ name, value string }

func (w *Writer) metadata() []setting {
	c := w.config
	if w.tiles > 0 {
		c.MinZoom, c.MaxZoom = w.min, w.max
	}
	b := c.Bounds
	if p := c.Center; p[0] < b[0] || p[0] > b[2] || p[1] < b[1] || p[1] > b[3] {
		c.Center = [2]float64{(b[0] + b[2]) / 2, (b[1] + b[3]) / 2}
	}
	zoom := min(max(c.CenterZoom, c.MinZoom), c.MaxZoom)
	return []setting{
		{"name", c.Name},
		{"format", "pbf"},
		{"bounds", numbers(b[:]...)},
		{"center", numbers(c.Center[0], c.Center[1], float64(zoom))},
		{"minzoom", strconv.Itoa(c.MinZoom)},
		{"maxzoom", strconv.Itoa(c.MaxZoom)},
		{"attribution", c.Attribution},
		{"description", c.Description},
		{"type", c.Type},
		{"version", c.Version},
		{"scheme", "tms"},
		{"json", string(c.JSON)},
	}
}

func numbers(values ...float64) string {
	var b strings.Builder
	for i, v := range values {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatFloat(v, 'f', -1, 64))
	}
	return b.String()
}
