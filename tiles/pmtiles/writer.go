package pmtiles

import (
	"bufio"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync"

	"changde/problem"
)

// DefaultMaxEntries is the bound of an archive whose Config names none.
const DefaultMaxEntries = 1 << 24

// mostEntries is the greatest bound; the root directory can tell of more leaf
// directories than these need.
const mostEntries = 1 << 28

// maxMetadata bounds the metadata in bytes, compressed or not.
const maxMetadata = 16 << 20

// Config describes an archive to be written.
type Config struct {
	// Metadata is a JSON object with vector_layers as TileJSON 3 has them, and
	// whatever else readers of the archive may know. SetMetadata replaces it.
	Metadata []byte
	// Bounds are west, south, east and north in degrees.
	Bounds [4]float64
	// Center is the middle of Bounds when it is not within them. CenterZoom is
	// moved to the nearest zoom that has tiles.
	Center     [2]float64
	CenterZoom int
	// MinZoom and MaxZoom are those of an archive without tiles; otherwise the
	// tiles decide.
	MinZoom, MaxZoom int
	// Opaque tells that the tiles are no vector tiles, nor gzip.
	Opaque bool
	// MaxEntries bounds the entries of the directories, each of which takes some
	// hundred bytes of memory until Close: tiles that follow each other and have
	// one content are one entry. 0 is DefaultMaxEntries.
	MaxEntries int
}

func (c *Config) check() error {
	b := c.Bounds
	for _, v := range append(b[:], c.Center[:]...) {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("bounds %v or centre %v are not finite", b, c.Center)
		}
	}
	if b[0] < -180 || b[1] < -90 || b[2] > 180 || b[3] > 90 || b[0] > b[2] || b[1] > b[3] {
		return fmt.Errorf("bounds %v are not west, south, east, north in degrees", b)
	}
	if c.MinZoom < 0 || c.MinZoom > c.MaxZoom || c.MaxZoom > MaxZoom {
		return fmt.Errorf("zooms %d to %d are not within 0 to %d", c.MinZoom, c.MaxZoom, MaxZoom)
	}
	if c.MaxEntries < 0 || c.MaxEntries > mostEntries {
		return fmt.Errorf("%d entries at most, not 0 to %d", c.MaxEntries, mostEntries)
	}
	if c.MaxEntries == 0 {
		c.MaxEntries = DefaultMaxEntries
	}
	return checkMetadata(c.Metadata)
}

func checkMetadata(b []byte) error {
	var object struct {
		Layers []json.RawMessage `json:"vector_layers"`
	}
	if len(b) > maxMetadata {
		return fmt.Errorf("metadata of %d bytes, at most %d", len(b), maxMetadata)
	}
	if err := json.Unmarshal(b, &object); err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	if object.Layers == nil {
		return errors.New("metadata without vector_layers")
	}
	return nil
}

// contentKey knows a content: by half of its SHA-256, for who delivers data must
// not be able to make two tiles one, and its length.
type contentKey struct {
	hash   [16]byte
	length uint32
}

// Writer writes a new archive. It may be used by several goroutines. Tiles may come
// in any order; when they come in the order of their ids, each is written once,
// otherwise Close writes them again in that order, for which it needs their room on
// disk twice.
type Writer struct {
	mu     sync.Mutex
	path   string // of the archive to be
	config Config
	file   *os.File // below another name until it is whole
	out    *bufio.Writer
	err    error // once the archive cannot be finished

	entries   []entry
	contents  map[contentKey]uint64 // where each content lies
	end       uint64                // of the tile data
	addressed uint64
	ascending bool
}

// Create begins an archive. The file appears below its name, replacing one that is
// there, when Close has written it whole; until then, and when the program dies, it
// is path.*.tmp.
func Create(path string, c Config) (*Writer, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("create %s: %w", path, err)
	}
	w := &Writer{path: path, config: c, contents: make(map[contentKey]uint64), ascending: true}
	f, err := createTemp(path)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", path, err)
	}
	w.file, w.out = f, tilesOf(f)
	return w, nil
}

// createTemp creates path.*.tmp with the rights that a new file has.
func createTemp(path string) (*os.File, error) {
	f, err := os.OpenFile(path+"."+rand.Text()+".tmp", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(rootEnd, 0); err != nil {
		return nil, errors.Join(err, discard(f))
	}
	return f, nil
}

// discard closes and removes a file, either of which may be done already.
func discard(f *os.File) error {
	err := f.Close()
	if errors.Is(err, os.ErrClosed) {
		err = nil
	}
	if gone := os.Remove(f.Name()); !errors.Is(gone, os.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return err
}

func tilesOf(f *os.File) *bufio.Writer { return bufio.NewWriterSize(f, 1<<20) }

// SetMetadata replaces the metadata of the Config.
func (w *Writer) SetMetadata(b []byte) error {
	if err := checkMetadata(b); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(w.path), err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.config.Metadata = b
	return nil
}

// Add adds a tile, compressed with gzip. The archive keeps no reference to tile. An
// id that comes twice is an error of Close. Beyond MaxEntries the error is
// problem.TooLarge. After an error the archive cannot be finished.
func (w *Writer) Add(id uint64, tile []byte) error {
	if id >= idCount || len(tile) == 0 || len(tile) > maxTile {
		return w.fail(fmt.Errorf("tile %d of %d bytes: no such id, or not 1 to %d bytes", id, len(tile), maxTile))
	}
	sum := sha256.Sum256(tile)
	key := contentKey{hash: [16]byte(sum[:]), length: uint32(len(tile))}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	offset, known := w.contents[key]
	if !known {
		offset = w.end
		if _, err := w.out.Write(tile); err != nil {
			return w.failed(err)
		}
		w.end += uint64(len(tile))
		w.contents[key] = offset
	}
	return w.enter(entry{id: id, offset: offset, length: key.length, run: 1})
}

// enter takes an entry of one tile into the directory.
func (w *Writer) enter(e entry) error {
	w.addressed++
	if n := len(w.entries); n > 0 {
		last := &w.entries[n-1]
		if last.joins(e) {
			last.run++
			return nil
		}
		if e.id < last.id+uint64(last.run) {
			w.ascending = false
		}
	}
	if len(w.entries) == w.config.MaxEntries {
		return w.failed(problem.New(problem.TooLarge, "tiles-too-many", filepath.Base(w.path),
			fmt.Sprintf("不同的瓦片超过 %d 个；请缩小范围或降低最大级别", w.config.MaxEntries),
			fmt.Sprintf("more than %d different tiles; ask for a smaller area or fewer zooms", w.config.MaxEntries)))
	}
	w.entries = append(w.entries, e)
	return nil
}

// joins tells whether next continues the run of e. A run ends with its zoom, so that
// the first id of the last one tells the deepest zoom.
func (e entry) joins(next entry) bool {
	return next.id == e.id+uint64(e.run) && next.offset == e.offset && next.length == e.length &&
		zoom(next.id) == zoom(e.id) && uint64(e.run)+uint64(next.run) <= math.MaxUint32
}

func (w *Writer) fail(err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failed(err)
}

// failed keeps the first reason why the archive cannot be finished.
func (w *Writer) failed(err error) error {
	if w.err == nil {
		w.err = fmt.Errorf("write %s: %w", filepath.Base(w.path), err)
	}
	return w.err
}

var errClosed = errors.New("the archive is closed")

// Abort removes what was written. After Close it does nothing.
func (w *Writer) Abort() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.abort()
}

func (w *Writer) abort() error {
	if w.file == nil {
		return nil
	}
	err := discard(w.file)
	w.file, w.contents, w.entries = nil, nil, nil
	w.failed(errClosed)
	return err
}
