package pmtiles

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"changde/problem"
)

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Config){
		"west, south":            func(c *Config) { c.Bounds = [4]float64{112, 28, 110, 30} },
		"not finite":             func(c *Config) { c.Center[0] /= 0 * c.Center[1] },
		"zooms 5 to 4":           func(c *Config) { c.MinZoom, c.MaxZoom = 5, 4 },
		"zooms 0 to 27":          func(c *Config) { c.MaxZoom = 27 },
		"-1 entries":             func(c *Config) { c.MaxEntries = -1 },
		"without vector_layers":  func(c *Config) { c.Metadata = []byte(`{}`) },
		"metadata: json":         func(c *Config) { c.Metadata = []byte(`[]`) },
		"metadata of 17000000 b": func(c *Config) { c.Metadata = make([]byte, 17_000_000) },
	} {
		c := city
		change(&c)
		dir := t.TempDir()
		if _, err := Create(filepath.Join(dir, "a.pmtiles"), c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		if names := filesOf(t, dir); len(names) > 0 {
			t.Errorf("%s: left %q", want, names)
		}
	}
}

func TestWhatCannotBeAdded(t *testing.T) {
	t.Parallel()
	x, y := []byte("x"), []byte("y")
	for name, tt := range map[string]struct {
		most  int
		tiles []tile
		want  string
	}{
		"no id":            {0, []tile{{idCount, x}}, "no such id"},
		"no bytes":         {0, []tile{{1, nil}}, "1 to"},
		"twice at once":    {0, []tile{{1, x}, {1, y}}, "tile 1 comes twice"},
		"twice in a run":   {0, []tile{{5, x}, {6, x}, {7, x}, {6, x}}, "tile 6 comes twice"},
		"twice, far apart": {0, []tile{{5, x}, {9, y}, {2, x}, {9, x}}, "tile 9 comes twice"},
		"too many entries": {2, []tile{{1, x}, {2, y}, {3, x}}, "超过 2 个"},
	} {
		c := city
		c.MaxEntries = tt.most
		dir := t.TempDir()
		w, err := Create(filepath.Join(dir, "a.pmtiles"), c)
		if err != nil {
			t.Fatal(err)
		}
		for _, tile := range tt.tiles {
			err = w.Add(tile.id, tile.bytes)
		}
		if closed := w.Close(); closed == nil || !strings.Contains(closed.Error(), tt.want) || err != nil && !errors.Is(closed, err) {
			t.Errorf("%s: got %v, then %v; want %q", name, err, closed, tt.want)
		}
		if tooLarge := problem.Is(err, problem.TooLarge); tooLarge != (tt.most > 0) {
			t.Errorf("%s: %v, a problem of the kind TooLarge: %t", name, err, tooLarge)
		}
		if names := filesOf(t, dir); len(names) > 0 {
			t.Errorf("%s: left %q", name, names)
		}
	}
}

func TestRunsAreOneEntryOfTheBound(t *testing.T) {
	t.Parallel()
	c := city
	c.MaxEntries = 1
	x := []byte("x")
	check(t, write(t, c, tile{1, x}, tile{2, x}, tile{3, x}), map[uint64][]byte{1: x, 2: x, 3: x})
}

// TestNoArchiveBeforeClose: a writer that dies leaves no file below the name, and
// the one that was there as it was.
func TestNoArchiveBeforeClose(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.pmtiles")
	if err := os.WriteFile(path, []byte("of before"), 0o666); err != nil {
		t.Fatal(err)
	}
	w, err := Create(path, city)
	if err != nil {
		t.Fatal(err)
	}
	for _, tile := range manyTiles(1000) {
		if err := w.Add(tile.id, tile.bytes); err != nil {
			t.Fatal(err)
		}
	}
	names := filesOf(t, filepath.Dir(path))
	if len(names) != 2 || !strings.HasPrefix(names[1], "a.pmtiles.") || !strings.HasSuffix(names[1], ".tmp") {
		t.Errorf("while it is written the folder holds %q", names)
	}
	if err := w.Abort(); err != nil {
		t.Fatal(err)
	}
	onlyFile(t, path)
	if string(readFile(t, path)) != "of before" {
		t.Error("the file of before has changed")
	}
	for _, err := range []error{w.Add(1, []byte("x")), w.Close()} {
		if !errors.Is(err, errClosed) {
			t.Errorf("after Abort: %v", err)
		}
	}
	if err := w.Abort(); err != nil {
		t.Errorf("Abort again: %v", err)
	}
}

// TestKilledWriter: a process that is killed while it writes leaves a file that is
// to be thrown away, and no archive.
func TestKilledWriter(t *testing.T) {
	const variable = "PMTILES_TEST_KILLED"
	if path := os.Getenv(variable); path != "" {
		writeUntilKilled(t, path)
		return
	}
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.pmtiles")
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledWriter$", "-test.timeout=1m")
	cmd.Env = append(os.Environ(), variable+"="+path)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Exited() {
		t.Fatalf("the writer was not killed: %v\n%s", err, out)
	}
	names := filesOf(t, filepath.Dir(path))
	if len(names) != 1 || !strings.HasSuffix(names[0], ".tmp") {
		t.Errorf("the writer left %q", names)
	}
}

func writeUntilKilled(t *testing.T, path string) {
	w, err := Create(path, city)
	if err != nil {
		t.Fatal(err)
	}
	for id := range uint64(1000) {
		if err := w.Add(id, make([]byte, 5000+id)); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := self.Kill(); err != nil {
		t.Fatal(err)
	}
	select {}
}

func TestAfterClose(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.pmtiles")
	w, err := Create(path, city)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.SetMetadata([]byte(`{"vector_layers":[]}`)), w.Add(1, []byte("x")), w.Close(), w.Abort()); err != nil {
		t.Fatal(err)
	}
	onlyFile(t, path)
	if m, err := openFile(t, path).Metadata(); err != nil || string(m) != `{"vector_layers":[]}` {
		t.Errorf("metadata: %s, %v", m, err)
	}
	for _, err := range []error{w.Add(2, []byte("x")), w.Close()} {
		if !errors.Is(err, errClosed) {
			t.Errorf("after Close: %v", err)
		}
	}
	if err := w.SetMetadata([]byte(`{}`)); err == nil {
		t.Error("metadata without layers are taken")
	}
}

// TestArchiveThatCannotHaveItsName: the last step fails, and nothing is left.
func TestArchiveThatCannotHaveItsName(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.pmtiles")
	if err := os.MkdirAll(filepath.Join(path, "a folder of that name"), 0o777); err != nil {
		t.Fatal(err)
	}
	w, err := Create(path, city)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add(1, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err == nil {
		t.Error("the archive took the name of a folder")
	}
	onlyFile(t, path)
}

// TestDiskThatFails: the reason is kept and told, and nothing is left.
func TestDiskThatFails(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.pmtiles")
	w, err := Create(path, city)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.file.Close(); err != nil {
		t.Fatal(err)
	}
	big := make([]byte, 2<<20)
	for _, err := range []error{w.Add(1, big), w.Add(2, []byte("x")), w.Close()} {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("got %v", err)
		}
	}
	if names := filesOf(t, filepath.Dir(path)); len(names) > 0 {
		t.Errorf("left %q", names)
	}
}

func TestAddByManyAtOnce(t *testing.T) {
	t.Parallel()
	tiles := manyTiles(4000)
	path := filepath.Join(t.TempDir(), "a.pmtiles")
	w, err := Create(path, city)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for part := range slices.Chunk(tiles, 1000) {
		group.Go(func() {
			for _, tile := range part {
				if err := w.Add(tile.id, tile.bytes); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	a := openFile(t, path)
	check(t, a, contentsOf(tiles))
	checkClustered(t, a)
}
