package mbtiles

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ncruces/go-sqlite3"
	"github.com/paulmach/orb"
	"github.com/paulmach/orb/encoding/mvt"
	"github.com/paulmach/orb/geojson"
	"github.com/paulmach/orb/maptile"

	"changde/problem"
)

const layers = `{"vector_layers":[{"id":"wells","description":"","minzoom":0,"maxzoom":14,"fields":{"名称":"String"}}]}`

var city = Config{
	Name: "常德", JSON: []byte(layers), Bounds: [4]float64{110.5, 28.25, 112.25, 30.125}, Center: [2]float64{111.7, 29.05}, CenterZoom: 16,
	Attribution: "国土局", Type: "overlay", Version: "3", MaxZoom: 14,
}

type tile struct {
	z, x, y int
	bytes   string
}

func create(t testing.TB, c Config) (*Writer, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "常 德?.mbtiles")
	w, err := Create(path, c)
	if err != nil {
		t.Fatal(err)
	}
	return w, path
}

func write(t testing.TB, c Config, tiles ...tile) string {
	t.Helper()
	w, path := create(t, c)
	for _, tile := range tiles {
		if err := w.Add(tile.z, tile.x, tile.y, []byte(tile.bytes)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// query returns the rows of a statement, their columns joined by a bar.
func query(t testing.TB, path, sql string) []string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	plain := filepath.Join(t.TempDir(), "a.db")
	if err := os.WriteFile(plain, b, 0o600); err != nil {
		t.Fatal(err)
	}
	conn, err := sqlite3.Open(plain)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	s, _, err := conn.Prepare(sql)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var rows []string
	for s.Step() {
		var row []string
		for i := range s.ColumnCount() {
			row = append(row, s.ColumnText(i))
		}
		rows = append(rows, strings.Join(row, "|"))
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	return rows
}

func compare(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s:\n%s", what, diff)
	}
}

func TestTablesOfTheSpecification(t *testing.T) {
	t.Parallel()
	// 11/327/791 is the example of the specification.
	path := write(t, city, tile{11, 327, 791, "b"}, tile{0, 0, 0, "a"}, tile{3, 7, 0, "c"}, tile{3, 0, 7, "a"})
	compare(t, "tiles", query(t, path, `SELECT zoom_level, tile_column, tile_row, tile_data FROM tiles ORDER BY 1, 2`),
		"0|0|0|a", "3|0|0|a", "3|7|7|c", "11|327|1256|b")
	compare(t, "metadata", query(t, path, `SELECT name, value FROM metadata`),
		"name|常德", "format|pbf", "bounds|110.5,28.25,112.25,30.125", "center|111.7,29.05,11", "minzoom|0", "maxzoom|11",
		"attribution|国土局", "type|overlay", "version|3", "scheme|tms", "json|"+layers)
	compare(t, "indexes", query(t, path, `SELECT sql FROM sqlite_master WHERE type = 'index' ORDER BY name`),
		"CREATE UNIQUE INDEX name ON metadata (name)", "CREATE UNIQUE INDEX tile_index ON tiles (zoom_level, tile_column, tile_row)")
	compare(t, "type of the data", query(t, path, `SELECT DISTINCT typeof(tile_data) FROM tiles`), "blob")
	compare(t, "check", query(t, path, `PRAGMA integrity_check`), "ok")
	compare(t, "id of the format", query(t, path, `PRAGMA application_id`), fmt.Sprint(0x4D504258))
	if names := filesOf(t, filepath.Dir(path)); !slices.Equal(names, []string{filepath.Base(path)}) {
		t.Errorf("the folder holds %q", names)
	}
}

func TestArchiveWithoutTiles(t *testing.T) {
	t.Parallel()
	c := city
	c.MinZoom, c.Center = 4, [2]float64{}
	path := write(t, c)
	compare(t, "metadata", query(t, path, `SELECT value FROM metadata WHERE name IN ('center', 'minzoom', 'maxzoom') ORDER BY name`), "111.375,29.1875,14", "14", "4")
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

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Config){
		"no name":               func(c *Config) { c.Name = "" },
		"west, south":           func(c *Config) { c.Bounds[3] = 91 },
		"not finite":            func(c *Config) { c.Bounds[0] = math.NaN() },
		"zooms 0 to 27":         func(c *Config) { c.MaxZoom = 27 },
		"-1 tiles":              func(c *Config) { c.MaxTiles = -1 },
		"without vector_layers": func(c *Config) { c.JSON = []byte(`{}`) },
		"JSON: unexpected end":  func(c *Config) { c.JSON = nil },
		"JSON of 16777217":      func(c *Config) { c.JSON = make([]byte, maxJSON+1) },
	} {
		c := city
		change(&c)
		dir := t.TempDir()
		if _, err := Create(filepath.Join(dir, "a.mbtiles"), c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		if names := filesOf(t, dir); len(names) > 0 {
			t.Errorf("%s: left %q", want, names)
		}
	}
}

func TestWhatCannotBeAdded(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		most  int
		tiles []tile
		want  string
	}{
		"no zoom":   {0, []tile{{27, 0, 0, "x"}}, "no such tile"},
		"no column": {0, []tile{{3, 8, 0, "x"}}, "no such tile"},
		"no row":    {0, []tile{{3, 0, -1, "x"}}, "no such tile"},
		"no bytes":  {0, []tile{{3, 0, 0, ""}}, "1 to"},
		"twice":     {0, []tile{{3, 1, 2, "x"}, {3, 1, 3, "x"}, {3, 1, 2, "y"}}, "a tile comes twice"},
		"too many":  {2, []tile{{3, 1, 1, "x"}, {3, 1, 2, "x"}, {3, 1, 3, "x"}}, "超过 2 个"},
	} {
		c := city
		c.MaxTiles = tt.most
		w, path := create(t, c)
		var err error
		for _, tile := range tt.tiles {
			err = w.Add(tile.z, tile.x, tile.y, []byte(tile.bytes))
		}
		if closed := w.Close(); closed == nil || !strings.Contains(closed.Error(), tt.want) || err != nil && !errors.Is(closed, err) {
			t.Errorf("%s: got %v, then %v; want %q", name, err, closed, tt.want)
		}
		if tooLarge := problem.Is(err, problem.TooLarge); tooLarge != (tt.most > 0) {
			t.Errorf("%s: %v, a problem of the kind TooLarge: %t", name, err, tooLarge)
		}
		if names := filesOf(t, filepath.Dir(path)); len(names) > 0 {
			t.Errorf("%s: left %q", name, names)
		}
	}
}

// TestNoArchiveBeforeClose: a writer that dies leaves no file below the name, and
// the one that was there as it was.
func TestNoArchiveBeforeClose(t *testing.T) {
	t.Parallel()
	w, path := create(t, city)
	if err := os.WriteFile(path, []byte("of before"), 0o666); err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		if err := w.Add(10, i, 5, bytes.Repeat([]byte("tile"), 500)); err != nil {
			t.Fatal(err)
		}
	}
	base := filepath.Base(path)
	names := filesOf(t, filepath.Dir(path))
	if len(names) != 2 || names[0] != base || !strings.HasPrefix(names[1], base+".") || !strings.HasSuffix(names[1], ".tmp") {
		t.Errorf("while it is written the folder holds %q", names)
	}
	if err := w.Abort(); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "of before" {
		t.Errorf("the file of before: %q, %v", b, err)
	}
	if names := filesOf(t, filepath.Dir(path)); len(names) != 1 {
		t.Errorf("Abort left %q", names)
	}
	for _, err := range []error{w.Add(1, 0, 0, []byte("x")), w.Close()} {
		if !errors.Is(err, errClosed) {
			t.Errorf("after Abort: %v", err)
		}
	}
}

func TestAfterClose(t *testing.T) {
	t.Parallel()
	w, path := create(t, city)
	if err := errors.Join(w.Add(1, 0, 0, []byte("x")), w.Close(), w.Abort()); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{w.Add(1, 0, 1, []byte("x")), w.Close()} {
		if !errors.Is(err, errClosed) {
			t.Errorf("after Close: %v", err)
		}
	}
	compare(t, "tiles", query(t, path, `SELECT count(*) FROM tiles`), "1")
}

// TestArchiveThatCannotHaveItsName: the last step fails, and nothing is left.
func TestArchiveThatCannotHaveItsName(t *testing.T) {
	t.Parallel()
	w, path := create(t, city)
	if err := os.MkdirAll(filepath.Join(path, "a folder of that name"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err == nil {
		t.Error("the archive took the name of a folder")
	}
	if names := filesOf(t, filepath.Dir(path)); len(names) != 1 {
		t.Errorf("the folder holds %q", names)
	}
	if _, err := Create(filepath.Join(path, "no such folder", "a.mbtiles"), city); err == nil {
		t.Error("an archive is created in a folder that is not there")
	}
}

// TestFullDisk: what SQLite says of a full disk is told as the system tells it.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	w, path := create(t, city)
	if err := w.conn.Exec(`PRAGMA max_page_count = 10`); err != nil {
		t.Fatal(err)
	}
	err := w.Add(3, 1, 1, make([]byte, 100_000))
	if !errors.Is(err, syscall.ENOSPC) || !errors.Is(err, sqlite3.FULL) {
		t.Errorf("got %v", err)
	}
	if err := w.Close(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Close: %v", err)
	}
	if names := filesOf(t, filepath.Dir(path)); len(names) > 0 {
		t.Errorf("left %q", names)
	}
}

// TestGDALReadsOurArchives: its driver finds the layer, the field and each point
// where it is.
func TestGDALReadsOurArchives(t *testing.T) {
	t.Parallel()
	ogrinfo, err := exec.LookPath("ogrinfo")
	if err != nil {
		if testing.Short() {
			t.Skip("needs GDAL's ogrinfo")
		}
		t.Fatal("GDAL's ogrinfo is not installed: apt-get install gdal-bin")
	}
	w, path := create(t, city)
	for name, at := range map[string]orb.Point{"柳叶湖": {111.72, 29.08}, "石门": {111.375, 29.583}} {
		a := maptile.At(at, 10)
		f := geojson.NewFeature(at)
		f.Properties["名称"] = name
		l := mvt.NewLayer("wells", geojson.NewFeatureCollection().Append(f))
		l.Version = 2
		l.ProjectToTile(a)
		b, err := mvt.MarshalGzipped(mvt.Layers{l})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Add(10, int(a.X), int(a.Y), b); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, ogrinfo, "-ro", "-al", path)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	text := string(out)
	if err != nil || strings.Contains(text, "ERROR") || strings.Contains(text, "Warning") {
		t.Fatalf("ogrinfo: %v\n%s", err, text)
	}
	for _, want := range []string{"`MBTiles'", "Layer name: wells", "Feature Count: 2", "名称 (String) = 柳叶湖", "名称 (String) = 石门", "POINT (124366", "POINT (123982"} {
		if !strings.Contains(text, want) {
			t.Errorf("ogrinfo does not say %q:\n%s", want, text)
		}
	}
}

func BenchmarkAdd(b *testing.B) {
	const n = 23_425
	content := bytes.Repeat([]byte("0123456789ab"), 1000)
	for b.Loop() {
		w, _ := create(b, city)
		for i := range n {
			if err := w.Add(14, i%200, i/200, content); err != nil {
				b.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "tiles/s")
}
