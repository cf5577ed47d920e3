package tiles

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"changde/catalog"
	"changde/postgis"
	"changde/problem"
	"changde/tiles/mbtiles"
	"changde/tiles/pmtiles"
)

// Pack is a file of tiles to be written by Export.
type Pack struct {
	// Path ends in .pmtiles or .mbtiles, which tells the format.
	Path string
	// Replace allows a file of that name to be replaced.
	Replace bool
	// Parts are 1 to 20 datasets, each with the release that is exported. Their
	// Filter, Columns and Cluster must not be set.
	Parts []Part
	// Box is the area of which the pack may tell; nil: all.
	Box *catalog.Bounds
	// MinZoom and MaxZoom are within 0 to MaxTileZoom.
	MinZoom, MaxZoom int
	// Generator names the program, for the metadata.
	Generator string
	// Progress is told how far the export is, from several goroutines. May be nil.
	Progress func(Progress)
}

// Progress tells how far an export is.
type Progress struct {
	Dataset string // that is cut; empty while the layers are joined
	// Done and Total count parts of the work, of equal area or size; Total is 0 while
	// it is not known.
	Done, Total int64
}

// Packed tells what an export wrote.
type Packed struct {
	Tiles, Bytes int64
	Layers       []PackedLayer
}

// PackedLayer tells of one dataset of a pack.
type PackedLayer struct {
	Dataset string
	Tiles   int64
	// Thinned is how many tiles leave features out, as Tile.Omitted tells.
	Thinned int64
}

// Export writes the tiles of WebMercatorQuad of one or several datasets to a file, a
// layer for each dataset: those of Cut, those of the same address joined. The file
// appears when it is whole; when Export fails or ctx ends nothing stays behind. While
// it works it needs about three times the room of the file in the file's folder.
//
// With a box the pack has the tiles that meet the box, and in them only what lies in
// the box: shapes are cut off at its edge before anything else is made of them. What
// rounding to a tile's grid and the cells of gathered polygons add is within the margin of
// a tile.
//
// What is wrong with the Pack is problem.Invalid, or problem.Conflict for a file that
// is there already; a pack that would have no tiles is problem.NotFound. More tiles
// than an archive takes are problem.TooLarge, a full disk is problem.Busy.
func Export(ctx context.Context, pool *pgxpool.Pool, p Pack, c Config) (*Packed, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	if p.Progress == nil {
		p.Progress = func(Progress) {}
	}
	e := exporter{Pack: p, pool: pool, config: c}
	packed, err := e.run(ctx)
	if err != nil {
		return nil, e.fault(ctx, err)
	}
	return packed, nil
}

// Check tells beforehand what Export refuses a Pack for.
func (p *Pack) Check() error {
	invalid := func(code, where, zh, en string) error { return problem.New(problem.Invalid, code, where, zh, en) }
	if !strings.HasSuffix(p.Path, ".pmtiles") && !strings.HasSuffix(p.Path, ".mbtiles") {
		return invalid("export-format", p.Path, "文件名须以 .pmtiles 或 .mbtiles 结尾", "the name of the file must end in .pmtiles or .mbtiles")
	}
	if len(p.Parts) == 0 || len(p.Parts) > maxParts {
		return invalid("export-datasets", "", fmt.Sprintf("一个离线包可含 1 到 %d 个数据集，这里有 %d 个", maxParts, len(p.Parts)),
			fmt.Sprintf("a pack has 1 to %d datasets; here are %d", maxParts, len(p.Parts)))
	}
	seen := make(map[string]bool)
	for _, part := range p.Parts {
		if part.Filter != nil || part.Columns != nil || part.Cluster != 0 {
			return fmt.Errorf("export %s: a pack has no filter, no choice of columns and no clusters", part.Dataset.ID)
		}
		if seen[part.Dataset.ID] {
			return invalid("export-datasets", part.Dataset.ID, "这个数据集重复出现", "this dataset is there twice")
		}
		seen[part.Dataset.ID] = true
	}
	if p.MinZoom < 0 || p.MinZoom > p.MaxZoom || p.MaxZoom > MaxTileZoom {
		return invalid("export-zoom", fmt.Sprintf("%d-%d", p.MinZoom, p.MaxZoom), fmt.Sprintf("级别应在 0 到 %d 之间，先小后大", MaxTileZoom),
			fmt.Sprintf("zooms are within 0 to %d, the smaller first", MaxTileZoom))
	}
	if p.Box != nil && !p.Box.Valid() {
		return invalid("export-box", fmt.Sprint(*p.Box), "范围应为 西,南,东,北（度），西小于东，南小于北", "the box must be west,south,east,north in degrees, west before east and south before north")
	}
	return p.checkFile()
}

// checkFile refuses a name that is taken, or that nothing can replace.
func (p *Pack) checkFile() error {
	info, err := os.Lstat(p.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return folderFault(err, p.Path)
	case !info.Mode().IsRegular():
		return problem.New(problem.Conflict, "export-file", p.Path, "这个名字已属于文件夹或特殊文件；请换一个文件名", "the name belongs to a folder or a special file; choose another")
	case !p.Replace:
		return problem.New(problem.Conflict, "export-file", p.Path, "文件已存在；请换一个文件名，或用 --force 覆盖", "the file exists already; choose another name, or replace it with --force")
	}
	return nil
}

// folderFault tells of a folder in which no file can be made; another error it passes on.
func folderFault(err error, path string) error {
	for _, known := range []error{fs.ErrNotExist, fs.ErrPermission, syscall.ENOTDIR, syscall.EROFS, syscall.ENAMETOOLONG} {
		if errors.Is(err, known) {
			return problem.Wrap(err, problem.Invalid, "export-folder", path, "无法在此处建立文件；请检查文件夹是否存在、可写", "no file can be made here; see that the folder exists and can be written to")
		}
	}
	return err
}

// exporter is one run of Export.
type exporter struct {
	Pack
	pool   *pgxpool.Pool
	config Config
}

func (e *exporter) fault(ctx context.Context, err error) error {
	if ctx.Err() == nil && (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)) {
		err = problem.Wrap(err, problem.Busy, "disk-full", filepath.Dir(e.Path),
			"磁盘已满，未写出任何文件；请清理空间后重试，或缩小范围、减少级别",
			"the disk is full and no file was written; make room and try again, or ask for a smaller area or fewer zooms")
	}
	return postgis.Fault(ctx, err, "export "+filepath.Base(e.Path))
}

func (e *exporter) run(ctx context.Context) (packed *Packed, err error) {
	folder, err := os.MkdirTemp(filepath.Dir(e.Path), "."+filepath.Base(e.Path)+".*.parts")
	if err != nil {
		return nil, folderFault(err, e.Path)
	}
	defer func() {
		if gone := os.RemoveAll(folder); gone != nil && err == nil {
			err = fmt.Errorf("remove what was spilled: %w", gone)
		}
	}()
	packed = &Packed{}
	var files []string
	for i, part := range e.Parts {
		file := filepath.Join(folder, fmt.Sprint(i)+".pmtiles")
		layer, err := e.cut(ctx, part, file)
		if err != nil {
			return nil, err
		}
		packed.Tiles += layer.Tiles
		packed.Layers = append(packed.Layers, layer)
		files = append(files, file)
	}
	if packed.Tiles == 0 {
		return nil, e.nothing()
	}
	if packed.Tiles, err = e.join(ctx, files, packed.Tiles); err != nil {
		return nil, err
	}
	info, err := os.Stat(e.Path)
	if err != nil {
		return nil, err
	}
	packed.Bytes = info.Size()
	return packed, nil
}

// nothing says why a pack would be empty.
func (e *exporter) nothing() error {
	where := "数据集中没有图形"
	at := "the datasets have no shapes"
	if b := e.extent(); b != nil {
		where = fmt.Sprintf("数据的范围是 %.4f,%.4f,%.4f,%.4f", b[0], b[1], b[2], b[3])
		at = fmt.Sprintf("the data lie within %.4f,%.4f,%.4f,%.4f", b[0], b[1], b[2], b[3])
	}
	return problem.New(problem.NotFound, "export-empty", filepath.Base(e.Path), "所选范围和级别内没有瓦片，未写出文件；"+where, "there are no tiles in this area at these zooms and no file was written; "+at)
}

// extent is the box around all parts.
func (e *exporter) extent() *catalog.Bounds {
	var all *catalog.Bounds
	for _, p := range e.Parts {
		all = catalog.Union(all, p.Release.Extent)
	}
	return all
}

// cut writes the tiles of one dataset to an archive.
func (e *exporter) cut(ctx context.Context, p Part, file string) (PackedLayer, error) {
	w, err := pmtiles.Create(file, pmtiles.Config{Metadata: []byte(`{"vector_layers":[]}`), MaxZoom: e.MaxZoom})
	if err != nil {
		return PackedLayer{}, err
	}
	sink := &shelfOf{w: w, minZoom: e.MinZoom}
	t, err := newCut(e.pool, p.Dataset, p.Release, matrixSet(""), e.MaxZoom, e.config, sink)
	if err != nil {
		return PackedLayer{}, errors.Join(err, w.Abort())
	}
	if e.Box != nil {
		t.limit(*e.Box)
		sink.within = func(a Address) bool { return t.meets(a) }
	}
	e.Progress(Progress{Dataset: p.Dataset.ID})
	t.step = func(done, of int64) { e.Progress(Progress{Dataset: p.Dataset.ID, Done: done, Total: of}) }
	if _, err := t.all(ctx); err != nil {
		return PackedLayer{}, errors.Join(err, w.Abort())
	}
	return PackedLayer{Dataset: p.Dataset.ID, Tiles: sink.tiles.Load(), Thinned: sink.thinned.Load()}, w.Close()
}

// shelfOf takes the tiles of a Cut that belong in a pack.
type shelfOf struct {
	w       *pmtiles.Writer
	minZoom int
	within  func(Address) bool // nil: all are

	tiles, thinned atomic.Int64
}

// Add implements Sink.
func (s *shelfOf) Add(a Address, t *Tile) error {
	if a.Z < s.minZoom || s.within != nil && !s.within(a) {
		return nil
	}
	id, ok := pmtiles.ID(a.Z, a.Col, a.Row)
	if !ok {
		return fmt.Errorf("%s has no place in an archive", a)
	}
	s.tiles.Add(1)
	if t.Omitted > 0 {
		s.thinned.Add(1)
	}
	return s.w.Add(id, t.Gzip)
}

// archiveWriter is what the formats have in common.
type archiveWriter interface {
	Add(id uint64, tile []byte) error
	Close() error
	Abort() error
}

// mbWriter writes MBTiles by the ids of PMTiles.
type mbWriter struct{ *mbtiles.Writer }

// Add implements archiveWriter.
func (w mbWriter) Add(id uint64, tile []byte) error {
	z, x, y, _ := pmtiles.ZXY(id) // an archive gave the id
	return w.Writer.Add(z, x, y, tile)
}

// create begins the pack.
func (e *exporter) create() (archiveWriter, error) {
	metadata, err := json.Marshal(e.metadata())
	if err != nil {
		return nil, fmt.Errorf("write metadata: %w", err)
	}
	b := [4]float64{-180, -maxLatitude, 180, maxLatitude}
	if extent := e.extent(); extent != nil {
		b = *extent
		if e.Box != nil && meet(*extent, *e.Box) {
			b = intersection(*extent, *e.Box)
		}
	}
	b = [4]float64{max(b[0], -180), max(b[1], -90), min(b[2], 180), min(b[3], 90)}
	center := [2]float64{(b[0] + b[2]) / 2, (b[1] + b[3]) / 2}
	zoom := e.centerZoom(b)
	if strings.HasSuffix(e.Path, ".pmtiles") {
		return pmtiles.Create(e.Path, pmtiles.Config{Metadata: metadata, Bounds: b, Center: center, CenterZoom: zoom, MinZoom: e.MinZoom, MaxZoom: e.MaxZoom})
	}
	w, err := mbtiles.Create(e.Path, mbtiles.Config{
		Name: Title(e.datasets()), JSON: metadata, Bounds: b, Center: center, CenterZoom: zoom, MinZoom: e.MinZoom, MaxZoom: e.MaxZoom,
		Attribution: Attribution(e.datasets()), Description: e.description(), Type: "overlay",
	})
	if err != nil {
		return nil, err
	}
	return mbWriter{w}, nil
}

// centerZoom is the deepest zoom at which a box is at most two tiles wide and high.
func (e *exporter) centerZoom(b [4]float64) int {
	z := e.MinZoom
	for z < e.MaxZoom && max(b[2]-b[0], b[3]-b[1]) <= 2*math.Ldexp(360, -(z+1)) {
		z++
	}
	return z
}

func (e *exporter) datasets() []*catalog.Dataset {
	out := make([]*catalog.Dataset, len(e.Parts))
	for i, p := range e.Parts {
		out[i] = p.Dataset
	}
	return out
}

// packMetadata is the metadata of a pack. What a reader of TileJSON does not know is
// ours.
type packMetadata struct {
	Name         string          `json:"name"`
	Description  string          `json:"description"`
	Attribution  string          `json:"attribution,omitempty"`
	Type         string          `json:"type"`
	Generator    string          `json:"generator"`
	VectorLayers []VectorLayer   `json:"vector_layers"`
	Datasets     []packedDataset `json:"datasets"`
	Box          *catalog.Bounds `json:"box,omitempty"` // outside which there is nothing
}

// packedDataset tells of what state the tiles are.
type packedDataset struct {
	ID         string    `json:"id"`
	Title      string    `json:"title"`
	Release    int       `json:"release"`
	Revision   int64     `json:"revision"`
	ReleasedAt time.Time `json:"releasedAt"`
	Synthetic  bool      `json:"synthetic,omitempty"`
}

func (e *exporter) metadata() packMetadata {
	m := packMetadata{
		Name: Title(e.datasets()), Description: e.description(), Attribution: Attribution(e.datasets()), Type: "overlay",
		Generator: e.Generator, Box: e.Box,
	}
	for _, p := range e.Parts {
		d, r := p.Dataset, p.Release
		m.VectorLayers = append(m.VectorLayers, VectorLayerOf(d, r, e.MinZoom, e.MaxZoom))
		m.Datasets = append(m.Datasets, packedDataset{d.ID, d.TitleZH, r.Number, r.Revision, r.ReleasedAt, d.Synthetic})
	}
	return m
}

// description names the releases, for people.
func (e *exporter) description() string {
	var of []string
	for _, p := range e.Parts {
		of = append(of, fmt.Sprintf("%s 第 %d 版 release %d", p.Dataset.ID, p.Release.Number, p.Release.Number))
	}
	return strings.Join(of, "；")
}
