package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"changde/postgis"
	"changde/postgis/postgistest"
	"changde/s3/s3test"
	"changde/tiles"
	"changde/tiles/shelf"
)

// squares writes named squares side by side, as GeoJSON; op is the change flag.
func squares(t *testing.T, dir string, from, to int, name, op string) string {
	t.Helper()
	var features []string
	for n := from; n < to; n++ {
		x, y := 111.6+0.002*float64(n%40), 29+0.002*float64(n/40)
		features = append(features, fmt.Sprintf(`{"type":"Feature","properties":{"k":"K%d","name":%q,"op":%q},"geometry":{"type":"Polygon","coordinates":[[[%[4]g,%[5]g],[%[6]g,%[5]g],[%[6]g,%[7]g],[%[4]g,%[7]g],[%[4]g,%[5]g]]]}}`,
			n, name, op, x, y, x+0.0019, y+0.0019))
	}
	path := filepath.Join(dir, name+".geojson")
	text := `{"type":"FeatureCollection","features":[` + strings.Join(features, ",") + `]}`
	if op == "" {
		text = strings.ReplaceAll(text, `,"op":""`, "")
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The archive that is cut before a release is of the rules of tiles that the release
// has, given or of its layer standard, so that its first reader finds it.
func TestTilesAreCutByTheirRules(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	places := filepath.Join(dir, "agnp.geojson")
	text := `{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"CLASS":"AI","NAME":"镇","GNID":"430701","XZNAME":"常德"},"geometry":{"type":"Point","coordinates":[111.61,29.01]}}]}`
	if err := os.WriteFile(places, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, delivery := range map[string][]string{
		"given":    {squares(t, dir, 0, 50, "given", ""), "--class", "name", "--tile-rules", `{"rank": ["given"], "attributes": [{"minzoom": 8, "fields": ["k"]}]}`},
		"standard": {places, "--profile", "agnp"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, folder := program{t, postgistest.URL(t)}, filepath.Join(t.TempDir(), "tiles")
			p.expect(0, nil, append([]string{"--tiles", folder, "ingest", "--dataset", "p", "--yes", "--confirm"}, delivery...)...)
			pool, err := postgis.Open(t.Context(), postgis.Config{URL: p.url})
			if err != nil {
				t.Fatal(err)
			}
			defer pool.Close()
			d := currentOf(t, pool)
			if d.Tiles.IsZero() {
				t.Error("the dataset has no rules")
			}
			if _, ok, err := archivesIn(t, pool, folder).Tile(t.Context(), d, d.Current, tiles.Address{Set: "WebMercatorQuad", Z: 10, Row: 425, Col: 829}); err != nil || !ok {
				t.Errorf("the first reader does not find the archive: %v", err)
			}
		})
	}
}

// The tiles of a new content are there when it is released; those of a changed one
// are cut again; those of one that is gone are removed.
func TestTilesAreCut(t *testing.T) {
	t.Parallel()
	p := program{t, postgistest.URL(t)}
	dir, folder := t.TempDir(), filepath.Join(t.TempDir(), "tiles")
	files := func() string {
		entries, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return strings.Join(names, " ")
	}
	p.expect(0, []string{"第 1 版"}, "--tiles", folder, "ingest", squares(t, dir, 0, 900, "first", ""), "--dataset", "p", "--yes", "--business-key", "k", "--label", "name")
	if got := files(); got != "p_d1@0.covers p_d1@0.pmtiles" {
		t.Fatalf("archives %q", got)
	}
	pool, err := postgis.Open(t.Context(), postgis.Config{URL: p.url, MaxConns: 12})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	archives, err := tiles.OpenArchives(pool, folder, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	a := tiles.Address{Set: "WebMercatorQuad", Z: 14, Row: 6811, Col: 13272}
	served := func() (fromArchive bool, features int64) {
		t.Helper()
		d := currentOf(t, pool)
		_, fromArchive, err = archives.Tile(t.Context(), d, d.Current, a)
		if err != nil {
			t.Fatal(err)
		}
		tile, err := tiles.NewSource(pool, tiles.Config{Archives: archives}).Tile(t.Context(), d, d.Current, a)
		if err != nil {
			t.Fatal(err)
		}
		return fromArchive, tile.Features
	}
	whole, features := served()
	if !whole || features == 0 {
		t.Fatalf("the first reader has %d features, of the archive: %v", features, whole)
	}
	p.expect(0, []string{"第 2 版"}, "--tiles", folder, "ingest", squares(t, dir, 0, 400, "second", "D"), "--dataset", "p", "--yes", "--mode", "changes", "--confirm")
	if _, fewer := served(); fewer >= features {
		t.Errorf("after the deletion %d of %d features", fewer, features)
	}
	// What a process that died had begun.
	for name, age := range map[string]time.Duration{"p_d1@2.pmtiles.A.tmp": 2 * time.Hour, "p_d1@2.pmtiles.B.tmp": 0} {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- archives.Tend(ctx) }()
	until := func(what string, done func() bool) {
		t.Helper()
		for end := time.Now().Add(60 * time.Second); !done(); time.Sleep(100 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: %s", what, files())
			}
		}
	}
	until("the changed content is not cut again", func() bool { return strings.Contains(files(), "p_d1@2.pmtiles") })
	p.expect(0, []string{"已修改"}, "dataset", "set", "p", "--grid", "CGCS2000Quad")
	p.expect(0, []string{"CGCS2000Quad"}, "dataset", "show", "p")
	until("the tiles of degrees are not cut", func() bool { return strings.Contains(files(), "+CGCS2000Quad.pmtiles") })
	// A content with other fields replaces it, and the old one is not kept.
	p.expect(0, []string{"第 3 版"}, "--tiles", folder, "--keep", "1", "ingest", squares(t, dir, 0, 900, "third", "x"), "--dataset", "p", "--yes", "--confirm")
	until("archives of a dropped content stay", func() bool {
		return files() == "p_d1@2.pmtiles.B.tmp p_d3@0+CGCS2000Quad.covers p_d3@0+CGCS2000Quad.pmtiles p_d3@0.covers p_d3@0.pmtiles"
	})
	p.expect(0, []string{"已修改"}, "dataset", "set", "p", "--grid=-")
	until("tiles of degrees stay", func() bool { return files() == "p_d1@2.pmtiles.B.tmp p_d3@0.covers p_d3@0.pmtiles" })
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// The tiles of a release stand in a bucket where --tiles names one, and what is wrong in
// the address is said before anything is loaded.
func TestTilesInABucket(t *testing.T) {
	p := program{t, postgistest.URL(t)}
	file, address := squares(t, t.TempDir(), 0, 100, "first", ""), s3test.Address(t, nil)
	ingest := func(address string) []string {
		return []string{"--tiles", address, "ingest", file, "--dataset", "p", "--yes", "--business-key", "k"}
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	p.expect(2, []string{"缺少 S3 密钥", "AWS_ACCESS_KEY_ID"}, ingest(address)...)
	keys := s3test.Keys()
	t.Setenv("AWS_ACCESS_KEY_ID", keys.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", keys.SecretKey)
	p.expect(2, []string{"lookup", "endpoint"}, ingest(address+"&bucket=b")...)
	p.expect(0, []string{"第 1 版"}, ingest(address)...)
	on, err := shelf.Open(address, shelf.Config{Credentials: keys})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := on.List(t.Context())
	if err != nil || len(entries) != 2 || entries[0].Name != "p_d1@0.covers" || entries[1].Name != "p_d1@0.pmtiles" {
		t.Errorf("in the bucket are %+v, %v", entries, err)
	}
}
