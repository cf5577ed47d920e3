package pmtiles

import (
	"bytes"
	"encoding/hex"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var compareEntries = cmp.AllowUnexported(entry{})

// TestDirectoryBytes: the example of the specification for ids, and each rule of the
// offsets.
func TestDirectoryBytes(t *testing.T) {
	t.Parallel()
	entries := []entry{
		{id: 5, offset: 0, length: 10, run: 1},
		{id: 42, offset: 10, length: 300, run: 3}, // contiguous
		{id: 69, offset: 0, length: 10, run: 1},   // shared
	}
	const want = "03" + "05251b" + "010301" + "0aac020a" + "010001"
	b := appendDirectory(nil, entries)
	if got := hex.EncodeToString(b); got != want {
		t.Errorf("bytes of the directory:\n got %s\nwant %s", got, want)
	}
	got, err := parseDirectory(b, 310, 0)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(entries, got, compareEntries); diff != "" {
		t.Error(diff)
	}
}

// drawEntries makes a directory that is right.
func drawEntries(t *rapid.T) []entry {
	var entries []entry
	id, offset := uint64(0), uint64(0)
	for range rapid.IntRange(1, 40).Draw(t, "n") {
		id += rapid.Uint64Range(0, 1<<rapid.IntRange(0, 40).Draw(t, "bits")).Draw(t, "gap")
		e := entry{
			id:     id,
			length: rapid.Uint32Range(1, maxTile).Draw(t, "length"),
			run:    rapid.Uint32Range(0, 1<<20).Draw(t, "run"),
			offset: offset,
		}
		if rapid.Bool().Draw(t, "elsewhere") {
			e.offset = rapid.Uint64Range(0, 1<<50).Draw(t, "offset")
		}
		offset = e.offset + uint64(e.length)
		id += uint64(max(e.run, 1))
		entries = append(entries, e)
	}
	return entries
}

func TestDirectoryRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := drawEntries(t)
		b := appendDirectory(nil, want)
		got, err := parseDirectory(b, math.MaxInt64, math.MaxInt64)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Fatal(cmp.Diff(want, got, compareEntries))
		}
		at := rapid.IntRange(0, len(b)-1).Draw(t, "cut")
		if _, err := parseDirectory(b[:at], math.MaxInt64, math.MaxInt64); err == nil {
			t.Fatalf("a directory of %d bytes is read from its first %d", len(b), at)
		}
		last := want[len(want)-1]
		if e, ok := find(got, last.id); !ok || e != last {
			t.Fatalf("found %v, %t for the last id, want %v", e, ok, last)
		}
		if _, ok := find(got, last.id+uint64(last.run)); ok && last.run > 0 {
			t.Fatal("an id beyond the last run is found")
		}
	})
}

func TestDirectoryIsHeldAgainstItsRules(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		bytes string
		want  string
	}{
		"nothing":              {"", "number of entries"},
		"no entries":           {"00", "number of entries"},
		"more entries claimed": {"ffffffff0f00000000", "number of entries"},
		"number without end":   {"01" + "ffffffffffffffffffffff" + "010101", "cut off or too great"},
		"bytes left over":      {"01" + "00" + "01" + "01" + "01" + "00", "after the last entry"},
		"no offset":            {"01" + "00" + "01" + "01" + "00", "no offset"},
		"same id twice":        {"02" + "0100" + "0101" + "0101" + "0101", "out of order"},
		"within a run":         {"02" + "0102" + "0301" + "0101" + "0101", "out of order"},
		"length 0":             {"01" + "00" + "01" + "00" + "01", "length is 0"},
		"beyond the tiles":     {"01" + "00" + "01" + "65" + "01", "end of its section"},
		"beyond the leaves":    {"01" + "00" + "00" + "0b" + "01", "end of its section"},
		"offset wraps":         {"01" + "00" + "01" + "02" + "ffffffffffffffffff01", "cut off or too great"},
		"id beyond the last":   {"01" + "ffffffffffffffff7f" + "01" + "01" + "01", "cut off or too great"},
	} {
		b, err := hex.DecodeString(tt.bytes)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parseDirectory(b, 100, 10); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
}

func TestRunBeyondTheLastID(t *testing.T) {
	t.Parallel()
	b := appendDirectory(nil, []entry{{id: idCount - 2, length: 1, run: 3}})
	if _, err := parseDirectory(b, 1, 0); err == nil || !strings.Contains(err.Error(), "beyond the last id") {
		t.Errorf("got %v", err)
	}
}

func TestDecompressIsBounded(t *testing.T) {
	t.Parallel()
	bomb := compress(nil, make([]byte, 1000))
	if b, err := decompress(Gzip, bomb, 1000); err != nil || len(b) != 1000 {
		t.Errorf("got %d bytes, %v", len(b), err)
	}
	if _, err := decompress(Gzip, bomb, 999); err == nil {
		t.Error("a bomb is decompressed")
	}
	if _, err := decompress(NoCompression, make([]byte, 1000), 999); err == nil {
		t.Error("a plain directory beyond the bound is taken")
	}
	if _, err := decompress(Gzip, bomb[:len(bomb)-5], 1000); err == nil {
		t.Error("gzip that is cut off is taken")
	}
}

// TestRootDirectoryFits: however many entries there are, and however badly they
// compress.
func TestRootDirectoryFits(t *testing.T) {
	t.Parallel()
	random := newRandom(1)
	for _, n := range []int{1, 1000, maxRoot + 1, 300_000} {
		entries := make([]entry, n)
		id := uint64(0)
		for i := range entries {
			id += 1 + random.Uint64N(1<<20)
			entries[i] = entry{id: id, offset: random.Uint64N(1 << 40), length: 1 + random.Uint32N(1<<20), run: 1}
		}
		root, leaves := directories(entries)
		if len(root) > maxRoot {
			t.Errorf("%d entries: a root directory of %d bytes", n, len(root))
		}
		if got := readAll(t, root, leaves); !slices.Equal(got, entries) {
			t.Errorf("%d entries: not the same when read", n)
		}
	}
}

// readAll reads the entries of all directories.
func readAll(t *testing.T, root, leaves []byte) []entry {
	t.Helper()
	read := func(b []byte) []entry {
		raw, err := decompress(Gzip, b, maxDirectory)
		if err != nil {
			t.Fatal(err)
		}
		entries, err := parseDirectory(raw, math.MaxInt64, uint64(len(leaves)))
		if err != nil {
			t.Fatal(err)
		}
		return entries
	}
	var all []entry
	for _, e := range read(root) {
		if e.run > 0 {
			all = append(all, e)
			continue
		}
		all = append(all, read(leaves[e.offset:][:e.length])...)
	}
	return all
}

func TestCompressAppends(t *testing.T) {
	t.Parallel()
	b := compress([]byte("before"), []byte("content"))
	if !bytes.HasPrefix(b, []byte("before")) {
		t.Fatalf("what was before is gone: %q", b)
	}
	if got, err := decompress(Gzip, b[len("before"):], 100); err != nil || string(got) != "content" {
		t.Errorf("got %q, %v", got, err)
	}
}
