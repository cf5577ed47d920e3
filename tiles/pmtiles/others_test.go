package pmtiles

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// program finds a program that a test compares with.
func program(t *testing.T, name, hint string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("needs %s: %s", name, hint)
	}
	return path
}

// forOthers are the archives that other programs read, with the text of each tile.
func forOthers(t *testing.T) map[string]map[uint64]string {
	t.Helper()
	n := 20_000
	if testing.Short() {
		n = 300
	}
	many := make(map[uint64]string)
	for _, tile := range manyTiles(n) {
		many[tile.id] = string(tile.bytes)
	}
	deep, ok := ID(MaxZoom, 1<<MaxZoom-1, 12345)
	if !ok {
		t.Fatal("no id")
	}
	return map[string]map[uint64]string{
		"many":   many,
		"single": {deep: "the one tile"},
		"none":   {},
	}
}

// zippedFile writes an archive of texts, each compressed.
func zippedFile(t *testing.T, texts map[uint64]string) string {
	t.Helper()
	known := make(map[string][]byte)
	tiles := make([]tile, 0, len(texts))
	for id, text := range texts {
		if known[text] == nil {
			known[text] = zipped(text)
		}
		tiles = append(tiles, tile{id, known[text]})
	}
	a, path := writeFile(t, city, tiles...)
	if leaves := a.Header().Leaves.Length > 0; leaves != (len(texts) > 1000) {
		t.Errorf("%d tiles, leaf directories: %t", len(texts), leaves)
	}
	return path
}

func TestJavaScriptReadsOurArchives(t *testing.T) {
	t.Parallel()
	node := program(t, "node", "Node 20")
	module, err := filepath.Abs("../../web/node_modules/pmtiles/dist/esm/index.js")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(module); err != nil {
		t.Skip("needs the npm package pmtiles: npm ci in web")
	}
	for name, texts := range forOthers(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			compareWithJavaScript(t, node, module, texts)
		})
	}
}

func compareWithJavaScript(t *testing.T, node, module string, texts map[uint64]string) {
	path := zippedFile(t, texts)
	var ask, want strings.Builder
	for id := range first(8) {
		z, x, y, _ := ZXY(id)
		fmt.Fprintln(&ask, z, x, y)
		fmt.Fprintln(&want, answer(texts, id))
	}
	for id := range texts {
		if id >= first(8) {
			z, x, y, _ := ZXY(id)
			fmt.Fprintln(&ask, z, x, y)
			fmt.Fprintln(&want, answer(texts, id))
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, "testdata/read.mjs", module, path)
	cmd.Stdin = strings.NewReader(ask.String())
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, stderr.String())
	}
	head, answers, _ := strings.Cut(string(out), "\n")
	checkHead(t, head)
	lines := bufio.NewScanner(strings.NewReader(answers))
	n := 0
	for line := range strings.Lines(want.String()) {
		if n++; !lines.Scan() || lines.Text()+"\n" != line {
			t.Fatalf("tile of question %d: got %q, want %q", n, lines.Text(), line)
		}
	}
}

// answer is what the JavaScript reader should say of a tile; it decompresses them.
func answer(texts map[uint64]string, id uint64) string {
	text, ok := texts[id]
	if !ok && (len(texts) > 0 || id > 0) {
		return "none"
	}
	return fmt.Sprintf("%x", sha256.Sum256([]byte(text)))
}

func checkHead(t *testing.T, line string) {
	t.Helper()
	var head struct {
		Header struct {
			MinLon, MinLat, MaxLon, MaxLat, CenterLon, CenterLat float64
			TileType, TileCompression                            int
			Clustered                                            bool
		}
		Metadata json.RawMessage
	}
	if err := json.Unmarshal([]byte(line), &head); err != nil {
		t.Fatal(err)
	}
	h := head.Header
	if got := [4]float64{h.MinLon, h.MinLat, h.MaxLon, h.MaxLat}; got != city.Bounds || h.CenterLon != city.Center[0] || h.CenterLat != city.Center[1] {
		t.Errorf("bounds %v, centre %g, %g", got, h.CenterLon, h.CenterLat)
	}
	if h.TileType != 1 || h.TileCompression != 2 || !h.Clustered || string(head.Metadata) != metadata {
		t.Errorf("the reader says %s", line)
	}
}

func TestPMTilesVerifyAccepts(t *testing.T) {
	t.Parallel()
	verify := program(t, "pmtiles", "the command of protomaps/go-pmtiles")
	for name, texts := range forOthers(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			out, err := exec.CommandContext(ctx, verify, "verify", zippedFile(t, texts)).CombinedOutput()
			if text := string(out); err != nil || !strings.Contains(text, "Completed verify") || strings.Contains(strings.ToLower(text), "invalid") {
				t.Errorf("pmtiles verify: %v\n%s", err, text)
			}
		})
	}
}
