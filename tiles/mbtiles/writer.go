// Package mbtiles writes archives of vector tiles in the format MBTiles 1.3: an
// SQLite database of tiles compressed with gzip, for programs that do not read
// PMTiles.
package mbtiles

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/ncruces/go-sqlite3"

	"changde/problem"
)

// MaxZoom is the deepest zoom of an archive.
const MaxZoom = 26

// DefaultMaxTiles is the bound of an archive whose Config names none.
const DefaultMaxTiles = 1 << 24

const (
	maxJSON = 16 << 20
	maxTile = 64 << 20
)

// Config describes an archive to be written.
type Config struct {
	Name string // for people; must not be empty
	// JSON is an object with vector_layers as TileJSON 3 has them.
	JSON []byte
	// Bounds are west, south, east and north in degrees.
	Bounds [4]float64
	// Center is the middle of Bounds when it is not within them. CenterZoom is
	// moved to the nearest zoom that has tiles.
	Center     [2]float64
	CenterZoom int
	// MinZoom and MaxZoom are those of an archive without tiles; otherwise the
	// tiles decide.
	MinZoom, MaxZoom int
	// These are left out when they are empty. Type is overlay or baselayer, Version
	// a number.
	Attribution, Description, Type, Version string
	// MaxTiles bounds the tiles; 0 is DefaultMaxTiles.
	MaxTiles int
}

func (c *Config) check() error {
	b := c.Bounds
	for _, v := range append(b[:], c.Center[:]...) {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("bounds %v or centre %v are not finite", b, c.Center)
		}
	}
	var object struct {
		Layers []json.RawMessage `json:"vector_layers"`
	}
	switch {
	case c.Name == "":
		return errors.New("no name")
	case b[0] < -180 || b[1] < -90 || b[2] > 180 || b[3] > 90 || b[0] > b[2] || b[1] > b[3]:
		return fmt.Errorf("bounds %v are not west, south, east, north in degrees", b)
	case c.MinZoom < 0 || c.MinZoom > c.MaxZoom || c.MaxZoom > MaxZoom:
		return fmt.Errorf("zooms %d to %d are not within 0 to %d", c.MinZoom, c.MaxZoom, MaxZoom)
	case c.MaxTiles < 0:
		return fmt.Errorf("%d tiles at most", c.MaxTiles)
	case len(c.JSON) > maxJSON:
		return fmt.Errorf("JSON of %d bytes, at most %d", len(c.JSON), maxJSON)
	}
	if err := json.Unmarshal(c.JSON, &object); err != nil {
		return fmt.Errorf("JSON: %w", err)
	}
	if object.Layers == nil {
		return errors.New("JSON without vector_layers")
	}
	c.MaxTiles = cmp.Or(c.MaxTiles, DefaultMaxTiles)
	return nil
}

// Writer writes a new archive. It may be used by several goroutines. Tiles may come
// in any order.
type Writer struct {
	mu       sync.Mutex
	path     string // of the archive to be
	temp     string // its name until it is whole
	config   Config
	conn     *sqlite3.Conn
	insert   *sqlite3.Stmt
	err      error // once the archive cannot be finished
	tiles    int
	min, max int // zooms
}

// createSQL begins the file. It has no journal, for until it is whole nobody reads
// it: the program that dies leaves a file to be thrown away. The application_id is
// the one that belongs to the format.
const createSQL = `
PRAGMA application_id = 0x4D504258;
PRAGMA encoding = 'UTF-8';
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA locking_mode = EXCLUSIVE;
BEGIN;
CREATE TABLE metadata (name text, value text);
CREATE TABLE tiles (zoom_level integer, tile_column integer, tile_row integer, tile_data blob);
`

// The index is made when all tiles are there, which is faster than keeping it.
const indexSQL = `
CREATE UNIQUE INDEX name ON metadata (name);
CREATE UNIQUE INDEX tile_index ON tiles (zoom_level, tile_column, tile_row);
COMMIT;
`

// Create begins an archive. The file appears below its name, replacing one that is
// there, when Close has written it whole; until then, and when the program dies, it
// is path.*.tmp.
func Create(path string, c Config) (w *Writer, err error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("create %s: %w", path, err)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", path, err)
	}
	w = &Writer{path: abs, temp: abs + "." + rand.Text() + ".tmp", config: c, min: MaxZoom}
	if err := w.open(); err != nil {
		return nil, errors.Join(w.failed(err), w.abort())
	}
	return w, nil
}

func (w *Writer) open() (err error) {
	defer guard(&err)
	uri := url.URL{Scheme: "file", Path: w.temp}
	if w.conn, err = sqlite3.OpenFlags(uri.String(), sqlite3.OPEN_READWRITE|sqlite3.OPEN_CREATE|sqlite3.OPEN_URI); err != nil {
		return err
	}
	if err := w.conn.Exec(createSQL); err != nil {
		return err
	}
	w.insert, _, err = w.conn.Prepare(`INSERT INTO tiles VALUES (?, ?, ?, ?)`)
	return err
}

// guard turns a panic of the SQLite driver, which is how it reports want of memory,
// into an error.
func guard(err *error) {
	switch r := recover().(type) {
	case nil:
	case error:
		*err = r
	default:
		panic(r)
	}
}

// failed keeps the first reason why the archive cannot be finished.
func (w *Writer) failed(err error) error {
	if errors.Is(err, sqlite3.FULL) {
		err = fmt.Errorf("%w: %w", syscall.ENOSPC, err)
	}
	if w.err == nil {
		w.err = fmt.Errorf("write %s: %w", filepath.Base(w.path), err)
	}
	return w.err
}

// Add adds a tile, compressed with gzip; y grows southwards. The archive keeps no
// reference to tile. A tile that comes twice is an error of Close. Beyond MaxTiles
// the error is problem.TooLarge. After an error the archive cannot be finished.
func (w *Writer) Add(z, x, y int, tile []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	if err := w.add(z, x, y, tile); err != nil {
		return w.failed(err)
	}
	w.tiles++
	w.min, w.max = min(w.min, z), max(w.max, z)
	return nil
}

func (w *Writer) add(z, x, y int, tile []byte) (err error) {
	if z < 0 || z > MaxZoom || x < 0 || y < 0 || x>>z != 0 || y>>z != 0 || len(tile) == 0 || len(tile) > maxTile {
		return fmt.Errorf("tile %d/%d/%d of %d bytes: no such tile, or not 1 to %d bytes", z, x, y, len(tile), maxTile)
	}
	if w.tiles == w.config.MaxTiles {
		return problem.New(problem.TooLarge, "tiles-too-many", filepath.Base(w.path),
			fmt.Sprintf("瓦片超过 %d 个；请缩小范围或降低最大级别", w.config.MaxTiles),
			fmt.Sprintf("more than %d tiles; ask for a smaller area or fewer zooms", w.config.MaxTiles))
	}
	defer guard(&err)
	southUp := 1<<z - 1 - y
	for i, v := range [...]int{z, x, southUp} {
		if err := w.insert.BindInt(i+1, v); err != nil {
			return err
		}
	}
	if err := w.insert.BindBlob(4, tile); err != nil {
		return err
	}
	return w.insert.Exec()
}

var errClosed = errors.New("the archive is closed")

// Abort removes what was written. After Close it does nothing.
func (w *Writer) Abort() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.abort()
}

func (w *Writer) abort() error {
	if w.temp == "" {
		return nil
	}
	w.failed(errClosed)
	err := w.disconnect()
	if gone := os.Remove(w.temp); !errors.Is(gone, os.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	w.temp = ""
	return err
}

func (w *Writer) disconnect() (err error) {
	if w.conn == nil {
		return nil
	}
	defer guard(&err)
	conn := w.conn
	w.conn = nil
	if w.insert != nil {
		err = w.insert.Close()
	}
	return errors.Join(err, conn.Close())
}
