package pmtiles

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const metadata = `{"name":"常德","vector_layers":[{"id":"dltb","fields":{"DLMC":"String"}}]}`

// city is the description of the archives of the tests.
var city = Config{
	Metadata: []byte(metadata), Bounds: [4]float64{110.5, 28.25, 112.25, 30.125}, Center: [2]float64{111.7, 29.05}, CenterZoom: 9, MaxZoom: 14,
}

func newRandom(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7)) }

// zipped makes a tile of a text.
func zipped(text string) []byte { return compress(nil, []byte(text)) }

type tile struct {
	id    uint64
	bytes []byte
}

// write makes an archive of tiles in their order.
func write(t testing.TB, c Config, tiles ...tile) *Archive {
	t.Helper()
	a, _ := writeFile(t, c, tiles...)
	return a
}

func writeFile(t testing.TB, c Config, tiles ...tile) (*Archive, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.pmtiles")
	w, err := Create(path, c)
	if err != nil {
		t.Fatal(err)
	}
	for _, tile := range tiles {
		if err := w.Add(tile.id, tile.bytes); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return openFile(t, path), path
}

func openFile(t testing.TB, path string) *Archive {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	a, err := Open(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// check compares an archive with the tiles it should have, each way of reading.
func check(t *testing.T, a *Archive, want map[uint64][]byte) {
	t.Helper()
	for id, content := range want {
		if got, ok, err := a.Tile(id); err != nil || !ok || !bytes.Equal(got, content) {
			t.Fatalf("tile %d: got %d bytes, %t, %v; want %d bytes", id, len(got), ok, err, len(content))
		}
	}
	for id := range want {
		for _, beside := range []uint64{id - 1, id + 1} {
			if _, there := want[beside]; there {
				continue
			}
			if _, ok, err := a.Tile(beside); ok || err != nil {
				t.Fatalf("tile %d, which was not added: got %t, %v", beside, ok, err)
			}
		}
	}
	var ids []uint64
	if err := a.Each(t.Context(), func(id uint64, tile []byte) error {
		if !bytes.Equal(tile, want[id]) {
			return fmt.Errorf("tile %d has other bytes", id)
		}
		ids = append(ids, id)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if all := slices.Sorted(maps.Keys(want)); !slices.Equal(ids, all) {
		t.Fatalf("Each gives %d tiles, want %d in order", len(ids), len(all))
	}
}

// manyTiles are n tiles of a city: some repeat each other, some lie in runs.
func manyTiles(n int) []tile {
	random := newRandom(2)
	sea := zipped("nothing but water")
	tiles := make([]tile, 0, n)
	for id := uint64(3); len(tiles) < n; id++ {
		switch random.IntN(10) {
		case 0: // a gap
			id += random.Uint64N(50)
		case 1: // a run
			for range random.IntN(30) {
				tiles = append(tiles, tile{id, sea})
				id++
			}
		case 2: // a content of before
			if len(tiles) > 0 {
				tiles = append(tiles, tile{id, tiles[random.IntN(len(tiles))].bytes})
				continue
			}
		}
		own := binary.LittleEndian.AppendUint64(nil, id)
		tiles = append(tiles, tile{id, append(own, "a tile of its own"[:random.IntN(17)]...)})
	}
	return tiles[:n]
}

func contentsOf(tiles []tile) map[uint64][]byte {
	m := make(map[uint64][]byte, len(tiles))
	for _, t := range tiles {
		m[t.id] = t.bytes
	}
	return m
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 500, 100_000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			tiles := manyTiles(n)
			want := contentsOf(tiles)
			a, path := writeFile(t, city, tiles...)
			check(t, a, want)
			checkClustered(t, a)
			if n == 100_000 && a.Header().Leaves.Length == 0 {
				t.Error("there are no leaf directories")
			}

			newRandom(3).Shuffle(n, func(i, j int) { tiles[i], tiles[j] = tiles[j], tiles[i] })
			b, shuffled := writeFile(t, city, tiles...)
			check(t, b, want)
			checkClustered(t, b)
			if !bytes.Equal(readFile(t, path), readFile(t, shuffled)) {
				t.Error("the order of adding shows in the archive")
			}
			onlyFile(t, shuffled)
		})
	}
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// onlyFile checks that nothing is beside a file.
func onlyFile(t *testing.T, path string) {
	t.Helper()
	if names := filesOf(t, filepath.Dir(path)); !slices.Equal(names, []string{filepath.Base(path)}) {
		t.Errorf("the folder holds %q", names)
	}
}

func filesOf(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// checkClustered holds the entries against what the specification says of a
// clustered archive, and the counts of the header against the entries.
func checkClustered(t *testing.T, a *Archive) {
	t.Helper()
	entries := slices.Clone(a.root)
	if entries[0].run == 0 {
		entries = nil
		for _, e := range a.root {
			leaf, err := a.leaf(e)
			if err != nil {
				t.Fatal(err)
			}
			entries = append(entries, leaf...)
		}
	}
	var end, addressed uint64
	offsets := make(map[uint64]bool)
	for i, e := range entries {
		if e.offset > end || e.offset < end && !offsets[e.offset] {
			t.Fatalf("entry %d lies at %d, the contents before end at %d", i, e.offset, end)
		}
		if i > 0 && entries[i-1].joins(e) {
			t.Fatalf("entries %d and %d are one run", i-1, i)
		}
		end = max(end, e.offset+uint64(e.length))
		offsets[e.offset] = true
		addressed += uint64(e.run)
	}
	h := a.Header()
	got := []uint64{h.Addressed, h.Entries, h.Contents, h.Tiles.Length}
	if want := []uint64{addressed, uint64(len(entries)), uint64(len(offsets)), end}; !slices.Equal(got, want) || !h.Clustered {
		t.Errorf("addressed, entries, contents, length: got %d, want %d; clustered: %t", got, want, h.Clustered)
	}
}

func TestArchiveWithoutTiles(t *testing.T) {
	t.Parallel()
	c := city
	c.MinZoom = 3
	a := write(t, c)
	check(t, a, nil)
	if _, ok, err := a.Tile(first(3)); ok || err != nil {
		t.Errorf("a tile is there: %t, %v", ok, err)
	}
	if h := a.Header(); h.MinZoom != 3 || h.MaxZoom != 3 || h.Contents != 1 {
		t.Errorf("the header is %+v", h)
	}
	// One tile that is not empty is a tile.
	check(t, write(t, c, tile{0, zipped("x")}), map[uint64][]byte{0: zipped("x")})
}

func TestContentsAreWrittenOnce(t *testing.T) {
	t.Parallel()
	water, land := []byte("water"), []byte("land")
	a := write(t, city, tile{5, water}, tile{6, water}, tile{7, land}, tile{8, water}, tile{20, water}, tile{21, water}, tile{22, land})
	h := a.Header()
	// 20 ends zoom 2, 21 begins zoom 3: a run ends with its zoom.
	if h.Addressed != 7 || h.Entries != 6 || h.Contents != 2 || h.Tiles.Length != 9 {
		t.Errorf("%d tiles, %d entries, %d contents, %d bytes", h.Addressed, h.Entries, h.Contents, h.Tiles.Length)
	}
	if h.MinZoom != 2 || h.MaxZoom != 3 || h.CenterZoom != 3 {
		t.Errorf("zooms %d to %d, %d at the centre", h.MinZoom, h.MaxZoom, h.CenterZoom)
	}
}

// TestHeaderBytes: each field at its place, as the specification lays it out.
func TestHeaderBytes(t *testing.T) {
	t.Parallel()
	h := Header{
		Root: Section{127, 25}, Metadata: Section{0x0102030405, 7}, Leaves: Section{8, 9}, Tiles: Section{10, 0x1122},
		Addressed: 13, Entries: 12, Contents: 11,
		Clustered: true, InternalCompression: Gzip, TileCompression: Gzip, TileType: MVT,
		MinZoom: 3, MaxZoom: 14, Bounds: [4]float64{-180, -85.5, 111.1234567, 90}, Center: [2]float64{111.7, -0.0000001}, CenterZoom: 9,
	}
	want := strings.Join([]string{
		hex.EncodeToString([]byte("PMTiles")) + "03",
		"7f00000000000000", "1900000000000000",
		"0504030201000000", "0700000000000000",
		"0800000000000000", "0900000000000000",
		"0a00000000000000", "2211000000000000",
		"0d00000000000000", "0c00000000000000", "0b00000000000000",
		"01", "02", "02", "01", "03", "0e",
		"002eb694", "40bc09cd", "07183c42", "00e9a435",
		"09", "40119442", "ffffffff",
	}, "")
	b := h.append(nil)
	if got := hex.EncodeToString(b); got != want {
		t.Errorf("the header:\n got %s\nwant %s", got, want)
	}
	back, err := parseHeader(b, 1<<40)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(h, back); diff != "" {
		t.Errorf("the header when read:\n%s", diff)
	}
}

func TestSectionsFillTheFile(t *testing.T) {
	t.Parallel()
	a, path := writeFile(t, city, manyTiles(50_000)...)
	h := a.Header()
	got := []uint64{h.Root.Offset, h.Tiles.Offset, h.Metadata.Offset, h.Leaves.Offset, h.Leaves.Offset + h.Leaves.Length}
	want := []uint64{127, 16384, 16384 + h.Tiles.Length, h.Metadata.Offset + h.Metadata.Length, uint64(len(readFile(t, path)))}
	if !slices.Equal(got, want) {
		t.Errorf("sections begin at %d, want %d", got, want)
	}
	if m, err := a.Metadata(); err != nil || string(m) != metadata {
		t.Errorf("metadata: %s, %v", m, err)
	}
	if h.Bounds != city.Bounds || h.Center != city.Center {
		t.Errorf("bounds %v, centre %v", h.Bounds, h.Center)
	}
}

func TestBoundsHaveAnArea(t *testing.T) {
	t.Parallel()
	for _, b := range [][4]float64{{111, 29, 111, 29}, {180, 90, 180, 90}, {-180, -90, -180, 90}} {
		c := Config{Metadata: []byte(metadata), Bounds: b}
		h := write(t, c, tile{0, []byte("x")}).Header()
		if g := h.Bounds; g[0] >= g[2] || g[1] >= g[3] || g[0] < -180 || g[2] > 180 || g[3] > 90 {
			t.Errorf("bounds %v became %v", b, g)
		}
		if h.Center[0] < h.Bounds[0] || h.Center[0] > h.Bounds[2] || h.Center[1] < h.Bounds[1] || h.Center[1] > h.Bounds[3] {
			t.Errorf("the centre %v is not within %v", h.Center, h.Bounds)
		}
	}
}
