package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"changde/catalog"
	"changde/ingest"
	"changde/tiles"
	"changde/tiles/pmtiles"
)

// archived is a world where archives of some datasets are cut.
func archived(t testing.TB, datasets ...string) (*world, *tiles.Archives) {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "tiles")
	w := newWorldWith(t, folder)
	archives, err := tiles.OpenArchives(w.pool, folder, slog.New(slog.DiscardHandler))
	check(t, err)
	for _, id := range datasets {
		d := w.dataset(t, id)
		check(t, archives.Build(t.Context(), d, d.Current, 0))
	}
	return w, archives
}

func (w *world) dataset(t testing.TB, id string) *catalog.Dataset {
	t.Helper()
	d, ok := w.catalog.Snapshot().For(everything{}).Dataset(id)
	if !ok {
		t.Fatalf("there is no dataset %s", id)
	}
	return d
}

const archiveOf = "/tiles/WebMercatorQuad/archive.pmtiles"

// An archive is read whole and by ranges, by those who may read its tiles, and holds
// these tiles.
func TestArchiveDownload(t *testing.T) {
	t.Parallel()
	w, _ := archived(t, "wells")
	target := "/collections/wells" + archiveOf
	whole := w.get(t, water, target)
	tag := whole.header.Get("ETag")
	for name, want := range map[string]string{
		"Content-Type": "application/vnd.pmtiles", "Accept-Ranges": "bytes", "Cache-Control": "private, no-cache", "Changde-Release": "1",
		"Content-Length": fmt.Sprint(len(whole.body)), "Content-Disposition": `attachment; filename="wells.pmtiles"`, "Content-Encoding": "",
	} {
		if got := whole.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if whole.status != http.StatusOK || len(tag) < 10 || strings.HasPrefix(tag, "W/") {
		t.Fatalf("status %d, tag %s: %.200s", whole.status, tag, whole.body)
	}
	a, err := pmtiles.Open(bytes.NewReader(whole.body), int64(len(whole.body)))
	check(t, err)
	tile := w.get(t, water, "/collections/wells/tiles/"+address, header{"Accept-Encoding": "gzip"})
	id, _ := pmtiles.ID(8, 207, 106)
	if b, ok, err := a.Tile(id); err != nil || !ok || !bytes.Equal(b, tile.body) {
		t.Errorf("the tile of the archive has %d bytes, the tile %d: %v, %v", len(b), len(tile.body), ok, err)
	}
	size := len(whole.body)
	for _, c := range []struct {
		headers  header
		status   int
		from, to int
	}{
		{header{"Range": "bytes=0-126"}, 206, 0, 127},
		{header{"Range": "bytes=127-16383"}, 206, 127, min(16384, size)},
		{header{"Range": "bytes=-9"}, 206, size - 9, size},
		{header{"Range": fmt.Sprintf("bytes=%d-", size-1)}, 206, size - 1, size},
		{header{"Range": "bytes=5-8", "If-Range": tag}, 206, 5, 9},
		{header{"Range": "bytes=5-8", "If-Range": `"other"`}, 200, 0, size},
		{header{"Range": "lines=1-2"}, 200, 0, size},
		{header{"Range": "bytes=9-1"}, 416, 0, 0},
		{header{"Range": fmt.Sprintf("bytes=%d-", size)}, 416, 0, 0},
		{header{"If-None-Match": tag}, 304, 0, 0},
		{header{"If-None-Match": tag, "Range": "bytes=5-8"}, 304, 0, 0},
		{header{"If-Match": `"other"`}, 412, 0, 0},
	} {
		a := w.get(t, water, target, c.headers)
		if a.status != c.status || a.status < 300 && !bytes.Equal(a.body, whole.body[c.from:c.to]) {
			t.Errorf("%v: status %d, %d bytes", c.headers, a.status, len(a.body))
		}
		if want := fmt.Sprintf("bytes %d-%d/%d", c.from, c.to-1, size); c.status == 206 && a.header.Get("Content-Range") != want {
			t.Errorf("%v: Content-Range %q, want %q", c.headers, a.header.Get("Content-Range"), want)
		}
		if c.status == 416 && (problemOf(t, a) != "range-outside" || c.headers["Range"] != "bytes=9-1" && a.header.Get("Content-Range") != fmt.Sprintf("bytes */%d", size)) {
			t.Errorf("%v: %s, Content-Range %q", c.headers, a.body, a.header.Get("Content-Range"))
		}
	}
	if a := w.do(t, http.MethodHead, water, target, nil); a.status != 200 || len(a.body) != 0 || a.header.Get("Content-Length") != fmt.Sprint(size) || a.header.Get("ETag") != tag {
		t.Errorf("HEAD: status %d, %v", a.status, a.header)
	}
	// Who may not read the collection is told what everybody is told of what there is not.
	hidden, none := w.get(t, anonymous, target), w.get(t, anonymous, "/collections/nosuch"+archiveOf)
	if hidden.status != http.StatusNotFound || problemOf(t, hidden) != problemOf(t, none) {
		t.Errorf("the public: status %d: %.200s", hidden.status, hidden.body)
	}
	if a := w.get(t, anonymous, target, header{"If-None-Match": tag}); a.status != http.StatusNotFound {
		t.Errorf("the public with the tag: status %d", a.status)
	}
}

// There is an archive only while it shows the dataset as it is, and the tileset leads
// to it then.
func TestArchiveOnlyAsItIs(t *testing.T) {
	t.Parallel()
	w, archives := archived(t, "wells", "counties")
	linked := func(d string) bool {
		t.Helper()
		links := w.get(t, water, "/collections/"+d+"/tiles/WebMercatorQuad").json(t)["links"].([]any)
		for _, l := range links {
			if l := l.(map[string]any); l["rel"] == "enclosure" {
				a := w.get(t, water, strings.TrimPrefix(l["href"].(string), w.server.URL))
				if a.status != 200 || float64(len(a.body)) != l["length"] || l["type"] != "application/vnd.pmtiles" {
					t.Errorf("%s: the link %v leads to status %d, %d bytes", d, l, a.status, len(a.body))
				}
				return true
			}
		}
		return false
	}
	if !linked("wells") || !linked("counties") || linked("pipes") {
		t.Error("the links are not those of the archives")
	}
	for d, code := range map[string]string{"pipes": "archive-behind", "projects": "archive-none"} {
		if a := w.get(t, egov, "/collections/"+d+archiveOf); a.status != http.StatusNotFound || problemOf(t, a) != code {
			t.Errorf("%s: status %d: %s", d, a.status, a.body)
		}
	}
	for set, code := range map[string]string{"CGCS2000Quad": "archive-none", "nosuch": "tile-matrix-set-unknown"} {
		if a := w.get(t, water, "/collections/wells/tiles/"+set+"/archive.pmtiles"); a.status != http.StatusNotFound || problemOf(t, a) != code {
			t.Errorf("%s: status %d: %s", set, a.status, a.body)
		}
	}
	before := w.get(t, water, "/collections/wells"+archiveOf)
	behind := func(after string) {
		t.Helper()
		check(t, w.catalog.Reload(t.Context()))
		if a := w.get(t, water, "/collections/wells"+archiveOf); a.status != http.StatusNotFound || problemOf(t, a) != "archive-behind" || linked("wells") {
			t.Errorf("after %s: status %d: %.200s", after, a.status, a.body)
		}
	}
	yes := true
	check(t, w.ingester.Describe(t.Context(), "wells", ingest.Settings{Label: "编号", Editable: &yes}))
	behind("another label")
	check(t, w.ingester.Describe(t.Context(), "wells", ingest.Settings{Label: "名称"}))
	check(t, w.catalog.Reload(t.Context()))
	if a := w.get(t, water, "/collections/wells"+archiveOf); a.status != http.StatusOK || a.header.Get("ETag") != before.header.Get("ETag") {
		t.Errorf("as it was: status %d, tag %s, before %s", a.status, a.header.Get("ETag"), before.header.Get("ETag"))
	}
	if a := w.do(t, http.MethodDelete, water, "/collections/wells/items/3", nil, header{"If-Match": fmt.Sprint(w.dataset(t, "wells").Revision)}); a.status != http.StatusOK {
		t.Fatalf("DELETE: status %d: %s", a.status, a.body)
	}
	behind("an edit")
	w.deliver(t, ingest.Request{Files: []string{wells(t, wellCount-1, 1)}, Dataset: "wells", Sender: water})
	behind("a release")
	d := w.dataset(t, "wells")
	check(t, archives.Build(t.Context(), d, d.Current, d.Revision))
	time.Sleep(3 * time.Second) // until the folder is looked at again
	a := w.get(t, water, "/collections/wells"+archiveOf, header{"If-None-Match": before.header.Get("ETag")})
	if a.status != http.StatusOK || a.header.Get("ETag") == before.header.Get("ETag") || a.header.Get("Changde-Release") != "2" || !linked("wells") {
		t.Errorf("cut anew: status %d, tag %s", a.status, a.header.Get("ETag"))
	}
}

func TestArchiveWithoutFolder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if a := w.get(t, anonymous, "/collections/counties"+archiveOf); a.status != http.StatusNotFound || problemOf(t, a) != "archive-none" {
		t.Errorf("status %d: %s", a.status, a.body)
	}
}

// The JavaScript reader takes the archive by its URL.
func TestJavaScriptReadsArchiveByURL(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("needs Node 20")
	}
	module, err := filepath.Abs("../web/node_modules/pmtiles/dist/esm/index.js")
	check(t, err)
	if _, err := os.Stat(module); err != nil {
		t.Skip("needs the npm package pmtiles: npm ci in web")
	}
	w, _ := archived(t, "wells")
	var ask strings.Builder
	var want []int
	for z := range 16 {
		for _, a := range []string{"207 106", "0 0"} {
			var col, row int
			_, err := fmt.Sscan(a, &col, &row)
			check(t, err)
			if z >= 8 {
				col, row = col<<(z-8), row<<(z-8)
			} else {
				col, row = col>>(8-z), row>>(8-z)
			}
			fmt.Fprintln(&ask, z, col, row)
			want = append(want, len(w.get(t, water, fmt.Sprintf("/collections/wells/tiles/WebMercatorQuad/%d/%d/%d", z, row, col)).body))
		}
	}
	cmd := exec.CommandContext(t.Context(), node, "testdata/archive.mjs", module, w.server.URL+"/collections/wells"+archiveOf, w.keys[water])
	cmd.Stdin = strings.NewReader(ask.String())
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, stderr.String())
	}
	head, answers, _ := strings.Cut(string(out), "\n")
	var of struct{ MinZoom, MaxZoom, TileType int }
	check(t, json.Unmarshal([]byte(head), &of))
	if of.MaxZoom != tiles.ArchiveZoom || of.TileType != 1 {
		t.Errorf("the header is %s", head)
	}
	seen := 0
	for i, line := range strings.Fields(answers) {
		if line != fmt.Sprint(want[i]) {
			t.Errorf("tile %d has %s bytes, want %d", i, line, want[i])
		}
		if line != "0" {
			seen++
		}
	}
	if seen < 10 || len(strings.Fields(answers)) != len(want) {
		t.Errorf("%d tiles are seen: the test says little", seen)
	}
}
