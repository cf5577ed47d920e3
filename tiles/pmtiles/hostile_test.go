package pmtiles

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"changde/problem"
)

// made is an archive put together by hand, its directories plain.
type made struct {
	root, leaves, tiles, metadata []byte
}

// bytes lays the archive out; change edits the header before.
func (m made) bytes(change func(*Header)) []byte {
	h := Header{InternalCompression: NoCompression, TileCompression: Gzip, TileType: MVT, MaxZoom: 14}
	b := make([]byte, headerSize)
	put := func(part []byte) Section {
		s := Section{uint64(len(b)), uint64(len(part))}
		b = append(b, part...)
		return s
	}
	h.Root, h.Leaves, h.Tiles, h.Metadata = put(m.root), put(m.leaves), put(m.tiles), put(m.metadata)
	if change != nil {
		change(&h)
	}
	copy(b, h.append(nil))
	return b
}

func openBytes(b []byte) (*Archive, error) { return Open(bytes.NewReader(b), int64(len(b))) }

// oneTile is an archive of the tile 7.
var oneTile = made{root: appendDirectory(nil, []entry{{id: 7, length: 4, run: 1}}), tiles: []byte("tile"), metadata: []byte(metadata)}

func TestArchiveWithPlainDirectories(t *testing.T) {
	t.Parallel()
	a, err := openBytes(oneTile.bytes(nil))
	if err != nil {
		t.Fatal(err)
	}
	check(t, a, map[uint64][]byte{7: []byte("tile")})
	if m, err := a.Metadata(); err != nil || string(m) != metadata {
		t.Errorf("metadata: %s, %v", m, err)
	}
}

func TestCorruptHeaders(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*Header)
		bytes  func([]byte) []byte
		kind   problem.Kind
		want   string
	}{
		"short":          {nil, func(b []byte) []byte { return b[:126] }, problem.Invalid, "126"},
		"other magic":    {nil, func(b []byte) []byte { b[3] = 'x'; return b }, problem.Invalid, "PMTiles 标识"},
		"version 2":      {nil, func(b []byte) []byte { b[7] = 2; return b }, problem.Unsupported, "版本为 2"},
		"cut off":        {nil, func(b []byte) []byte { return b[:len(b)-1] }, problem.Invalid, "元数据超出文件末尾"},
		"root elsewhere": {func(h *Header) { h.Root.Offset = 100 }, nil, problem.Invalid, "16384"},
		"no root":        {func(h *Header) { h.Root.Length = 0 }, nil, problem.Invalid, "16384"},
		"root wraps":     {func(h *Header) { h.Root.Offset = 1<<64 - 1 }, nil, problem.Invalid, "根目录超出文件末尾"},
		"tiles beyond":   {func(h *Header) { h.Tiles.Length = 1 << 63 }, nil, problem.Invalid, "瓦片数据超出文件末尾"},
		"leaves beyond":  {func(h *Header) { h.Leaves.Offset = 1 << 40 }, nil, problem.Invalid, "叶目录超出文件末尾"},
		"zstd inside":    {func(h *Header) { h.InternalCompression = Zstd }, nil, problem.Unsupported, "压缩方式 4"},
		"no gzip inside": {func(h *Header) { h.InternalCompression = Gzip }, nil, problem.Invalid, "目录无法读取"},
		"zooms":          {func(h *Header) { h.MinZoom = 15 }, nil, problem.Invalid, "15–14"},
		"deep zooms":     {func(h *Header) { h.MaxZoom = 27 }, nil, problem.Invalid, "0–27"},
	} {
		b := oneTile.bytes(tt.change)
		if tt.bytes != nil {
			b = tt.bytes(b)
		}
		_, err := openBytes(b)
		if !problem.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %v with %q", name, err, tt.kind, tt.want)
		}
	}
}

func TestRootAndMetadataAreBounded(t *testing.T) {
	t.Parallel()
	m := oneTile
	m.root = make([]byte, maxRoot+1)
	if _, err := openBytes(m.bytes(nil)); !problem.Is(err, problem.Invalid) {
		t.Errorf("a root directory beyond its bound: %v", err)
	}
	m = oneTile
	m.metadata = make([]byte, maxMetadata+1)
	if _, err := openBytes(m.bytes(nil)); !problem.Is(err, problem.Invalid) || !strings.Contains(err.Error(), "上限 16777216") {
		t.Errorf("metadata beyond their bound: %v", err)
	}
	m.metadata = compress(nil, m.metadata)
	m.root = compress(nil, m.root)
	a, err := openBytes(m.bytes(func(h *Header) { h.InternalCompression = Gzip }))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Metadata(); !problem.Is(err, problem.Invalid) {
		t.Errorf("metadata that are a bomb: %v", err)
	}
}

// nested is an archive of the tile 7 below leaf directories that lie depth deep.
func nested(depth int) made {
	m := oneTile
	next := m.root
	for range depth {
		offset := len(m.leaves)
		m.leaves = append(m.leaves, next...)
		next = appendDirectory(nil, []entry{{id: 7, offset: uint64(offset), length: uint32(len(next))}})
	}
	m.root = next
	return m
}

func TestLeavesAreFollowedThreeDeep(t *testing.T) {
	t.Parallel()
	for depth := range maxDepth + 1 {
		a, err := openBytes(nested(depth).bytes(nil))
		if err != nil {
			t.Fatal(err)
		}
		check(t, a, map[uint64][]byte{7: []byte("tile")})
	}
	checkRefused(t, "four deep", nested(maxDepth+1), "超过 3 层")
}

// checkRefused opens an archive whose leaf directories are wrong: neither a lookup
// nor Each may give anything but the problem.
func checkRefused(t *testing.T, name string, m made, want string) {
	t.Helper()
	a, err := openBytes(m.bytes(nil))
	if err != nil {
		t.Fatal(err)
	}
	_, _, lookup := a.Tile(7)
	each := a.Each(t.Context(), func(uint64, []byte) error { return nil })
	for way, err := range map[string]error{"Tile": lookup, "Each": each} {
		if !problem.Is(err, problem.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %s: got %v, want %q", name, way, err, want)
		}
	}
}

func TestCorruptLeaves(t *testing.T) {
	t.Parallel()
	m := oneTile
	// A leaf directory that leads to itself.
	self := appendDirectory(nil, []entry{{id: 7, length: 5}})
	m.root, m.leaves = self, self
	checkRefused(t, "a circle", m, "超过 3 层")

	m.root, m.leaves = self, oneTile.root
	m.root = appendDirectory(nil, []entry{{id: 6, length: uint32(len(m.leaves))}})
	checkRefused(t, "another first id", m, "叶目录从 7 开始")

	m.leaves = []byte{9, 9, 9, 9, 9}
	m.root = self
	checkRefused(t, "no directory", m, "目录无法读取")
}

// TestLeavesDoNotOverlap: what Each gives is in order, or it is an error.
func TestLeavesDoNotOverlap(t *testing.T) {
	t.Parallel()
	m := oneTile
	first := appendDirectory(nil, []entry{{id: 7, length: 4, run: 9}})
	second := appendDirectory(nil, []entry{{id: 10, length: 4, run: 1}})
	m.leaves = slices.Concat(first, second)
	m.root = appendDirectory(nil, []entry{{id: 7, length: uint32(len(first))}, {id: 10, offset: uint64(len(first)), length: uint32(len(second))}})
	a, err := openBytes(m.bytes(nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Each(t.Context(), func(uint64, []byte) error { return nil }); !problem.Is(err, problem.Invalid) {
		t.Errorf("got %v", err)
	}
}

func TestEachIsBounded(t *testing.T) {
	t.Parallel()
	m := oneTile
	m.root = appendDirectory(nil, []entry{{id: 7, length: 4, run: maxAddressed + 1}})
	a, err := openBytes(m.bytes(nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Each(t.Context(), func(uint64, []byte) error { return nil }); !problem.Is(err, problem.Invalid) {
		t.Errorf("a run without end: %v", err)
	}
}

// TestHostileSizesTakeNoMemory: what a file claims is not what is allocated.
func TestHostileSizesTakeNoMemory(t *testing.T) {
	m := oneTile
	m.root = append(binary.AppendUvarint(nil, 1<<31), make([]byte, 100)...)
	b := m.bytes(nil)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := openBytes(b)
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; err == nil || took > 1<<20 {
		t.Errorf("%d bytes allocated for a file of %d; %v", took, len(b), err)
	}
}

// shrunk is a file that lost its end after it was opened.
func TestFileThatShrinks(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.pmtiles")
	if err := os.WriteFile(path, oneTile.bytes(nil), 0o666); err != nil {
		t.Fatal(err)
	}
	a := openFile(t, path)
	if err := os.Truncate(path, headerSize); err != nil {
		t.Fatal(err)
	}
	var p *problem.Error
	if _, ok, err := a.Tile(7); ok || err == nil || errors.As(err, &p) {
		t.Errorf("got %t, %v; want an error that is no problem of the caller", ok, err)
	}
}

func FuzzDirectory(f *testing.F) {
	f.Add(appendDirectory(nil, []entry{{id: 5, length: 10, run: 1}, {id: 42, offset: 10, length: 30, run: 3}, {id: 69, length: 10, run: 1}, {id: 80, length: 9}}))
	f.Add([]byte{1, 0, 1, 1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		const tiles, leaves = 1000, 100
		entries, err := parseDirectory(b, tiles, leaves)
		if err != nil {
			return
		}
		if err := checkEntries(entries, tiles, leaves); err != nil {
			t.Fatalf("what was read is wrong: %v", err)
		}
		again, err := parseDirectory(appendDirectory(nil, entries), tiles, leaves)
		if err != nil || !slices.Equal(again, entries) {
			t.Fatalf("%v becomes %v, %v", entries, again, err)
		}
	})
}

func FuzzOpen(f *testing.F) {
	f.Add(oneTile.bytes(nil))
	f.Add(nested(2).bytes(nil))
	f.Add(nested(maxDepth + 1).bytes(nil))
	zippedArchive := made{root: compress(nil, oneTile.root), tiles: zipped(""), metadata: compress(nil, []byte(metadata))}
	f.Add(zippedArchive.bytes(func(h *Header) { h.InternalCompression, h.Addressed = Gzip, 1 }))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := openBytes(b)
		if err != nil {
			return
		}
		_, _ = a.Metadata()
		last, n, stop := uint64(0), 0, errors.New("enough")
		err = a.Each(t.Context(), func(id uint64, tile []byte) error {
			if n > 0 && id <= last {
				t.Fatalf("%d comes after %d", id, last)
			}
			if got, ok, err := a.Tile(id); err != nil || !ok || !bytes.Equal(got, tile) {
				t.Fatalf("tile %d: Each gives %d bytes, Tile %d, %t, %v", id, len(tile), len(got), ok, err)
			}
			if last, n = id, n+1; n == 1000 {
				return stop
			}
			return nil
		})
		var p *problem.Error
		if err != nil && !errors.Is(err, stop) && !errors.As(err, &p) {
			t.Fatalf("an error that is no problem: %v", err)
		}
	})
}
