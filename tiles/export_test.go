package tiles

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/ncruces/go-sqlite3"
	"github.com/paulmach/orb"
	"github.com/paulmach/orb/planar"

	"changde/catalog"
	types "changde/ingest/layer"
	"changde/postgis"
	"changde/postgis/postgistest"
	"changde/problem"
	"changde/tiles/pmtiles"
)

// streets are lines that cross the cadastre from end to end.
func streets(t testing.TB, pool *pgxpool.Pool) *catalog.Dataset {
	t.Helper()
	d := table(t, pool, "streets", "LineString", []catalog.Column{{Name: "name", Type: types.Text}})
	d.Attribution = "规划局"
	fill(t, pool, d, new(postgis.SQL).Raw(`INSERT INTO content.streets SELECT i, 'R' || i, 1, ST_SetSRID(ST_MakeLine(ARRAY[
		ST_MakePoint(111.59, 28.89 + 0.001 * i), ST_MakePoint(111.62, 28.892 + 0.001 * i), ST_MakePoint(111.66, 28.89 + 0.001 * i)]), 4490) FROM generate_series(1, 40) i`))
	return d
}

// dots are points all over the cadastre.
func dots(t testing.TB, pool *pgxpool.Pool) *catalog.Dataset {
	t.Helper()
	d := table(t, pool, "dots", "Point", []catalog.Column{{Name: "n", Type: types.Integer}})
	fill(t, pool, d, new(postgis.SQL).Raw("INSERT INTO content.dots SELECT i, i, 1, ST_SetSRID(ST_MakePoint(111.6 + 0.05 * random(), 28.9 + 0.04 * random()), 4490) FROM setseed(0.3), generate_series(1, 3000) i"))
	return d
}

func partsOf(datasets ...*catalog.Dataset) []Part {
	var parts []Part
	for _, d := range datasets {
		parts = append(parts, Part{Dataset: d, Release: d.Current})
	}
	return parts
}

// packed are the tiles of a PMTiles pack without compression, and its metadata.
func packed(t testing.TB, path string) (tiles map[Address][]byte, h pmtiles.Header, metadata packMetadata) {
	t.Helper()
	a, f, err := pmtiles.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := a.Metadata()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &metadata); err != nil {
		t.Fatal(err)
	}
	tiles = make(map[Address][]byte)
	if err := a.Each(t.Context(), func(id uint64, tile []byte) error {
		z, x, y, _ := pmtiles.ZXY(id)
		tiles[Address{"WebMercatorQuad", z, y, x}] = plain(t, tile)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return tiles, a.Header(), metadata
}

func plain(t testing.TB, tile []byte) []byte {
	t.Helper()
	b, err := appendRaw(nil, &Tile{Gzip: tile, Features: 1})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sqlTiles are the tiles of an MBTiles pack, as any program that knows SQLite reads
// them, and its metadata.
func sqlTiles(t testing.TB, path string) (tiles map[Address][]byte, metadata map[string]string) {
	t.Helper()
	db, err := sqlite3.OpenFlags(path, sqlite3.OPEN_READONLY)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	each := func(query string, row func(*sqlite3.Stmt)) {
		s, _, err := db.Prepare(query)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for s.Step() {
			row(s)
		}
		if s.Err() != nil {
			t.Fatal(s.Err())
		}
	}
	tiles, metadata = make(map[Address][]byte), make(map[string]string)
	each("SELECT zoom_level, tile_column, (1 << zoom_level) - 1 - tile_row, tile_data FROM tiles", func(s *sqlite3.Stmt) {
		tiles[Address{"WebMercatorQuad", s.ColumnInt(0), s.ColumnInt(2), s.ColumnInt(1)}] = plain(t, s.ColumnBlob(3, nil))
	})
	each("SELECT name, value FROM metadata", func(s *sqlite3.Stmt) { metadata[s.ColumnText(0)] = s.ColumnText(1) })
	return tiles, metadata
}

// Three datasets in one pack: in either format each tile has the layers of its
// datasets as they are cut alone.
func TestExport(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	land := cadastre(t, pool, 60)
	land.Attribution = "国土局"
	all := []*catalog.Dataset{land, streets(t, pool), dots(t, pool)}
	const low, high = 7, 14
	want := make(map[Address][]byte)
	for _, d := range all {
		for a, tile := range cutAll(t, pool, d, Config{}).tiles {
			if a.Z >= low && a.Z <= high {
				want[a] = append(want[a], raw(t, tile)...)
			}
		}
	}
	dir := t.TempDir()
	pack := Pack{Path: filepath.Join(dir, "city.pmtiles"), Parts: partsOf(all...), MinZoom: low, MaxZoom: high, Generator: "changde"}
	got, err := Export(t.Context(), pool, pack, Config{})
	if err != nil {
		t.Fatal(err)
	}
	have, header, metadata := packed(t, pack.Path)
	sameTiles(t, have, want)
	if info, err := os.Stat(pack.Path); err != nil || int(got.Tiles) != len(want) || got.Bytes != info.Size() || len(got.Layers) != 3 || header.MinZoom != low || header.MaxZoom != high {
		t.Errorf("says %+v, %v; header %+v", got, err, header)
	}
	e := *catalog.Union(catalog.Union(land.Current.Extent, all[1].Current.Extent), all[2].Current.Extent)
	for i := range e {
		if math.Abs(header.Bounds[i]-e[i]) > 1e-6 {
			t.Errorf("bounds %v, want %v", header.Bounds, e)
			break
		}
	}
	if diff := cmp.Diff(packMetadata{
		Name: "cadastre、streets、dots", Description: "cadastre 第 1 版 release 1；streets 第 1 版 release 1；dots 第 1 版 release 1", Attribution: "国土局; 规划局",
		Type: "overlay", Generator: "changde",
		VectorLayers: []VectorLayer{
			{ID: "cadastre", Description: "cadastre", Fields: map[string]string{"no": "text", "class": "text", "area": "real", "generalized": "integer"}, MinZoom: low, MaxZoom: high},
			{ID: "streets", Description: "streets", Fields: map[string]string{"name": "text", "generalized": "integer"}, MinZoom: low, MaxZoom: high},
			{ID: "dots", Description: "dots", Fields: map[string]string{"n": "integer", "generalized": "integer"}, MinZoom: low, MaxZoom: high},
		},
		Datasets: []packedDataset{{ID: "cadastre", Title: "cadastre", Release: 1, Revision: 1}, {ID: "streets", Title: "streets", Release: 1, Revision: 1}, {ID: "dots", Title: "dots", Release: 1, Revision: 1}},
	}, metadata); diff != "" {
		t.Error(diff)
	}

	pack.Path = filepath.Join(dir, "city.mbtiles")
	if _, err := Export(t.Context(), pool, pack, Config{}); err != nil {
		t.Fatal(err)
	}
	have, settings := sqlTiles(t, pack.Path)
	sameTiles(t, have, want)
	var object packMetadata
	if err := json.Unmarshal([]byte(settings["json"]), &object); err != nil || cmp.Diff(metadata, object) != "" || settings["name"] != metadata.Name ||
		settings["minzoom"] != "7" || settings["maxzoom"] != "14" || settings["attribution"] != "国土局; 规划局" {
		t.Errorf("metadata %v, %v", settings, err)
	}
	if left := listing(t, dir); !slices.Equal(left, []string{"city.mbtiles", "city.pmtiles"}) {
		t.Errorf("the folder has %v", left)
	}
}

func sameTiles(t testing.TB, have, want map[Address][]byte) {
	t.Helper()
	joined := 0
	for a, b := range want {
		if !bytes.Equal(have[a], b) {
			t.Errorf("%s has %d bytes, want %d", a, len(have[a]), len(b))
		}
		if bytes.Contains(b, []byte("cadastre")) && bytes.Contains(b, []byte("streets")) && bytes.Contains(b, []byte("dots")) {
			joined++
		}
	}
	if len(have) != len(want) || joined < 10 {
		t.Errorf("%d tiles, want %d; %d have all layers", len(have), len(want), joined)
	}
}

func listing(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// A pack of a box has every tile that meets it and nothing that lies beyond it, and
// what lies in it is all there.
func TestExportBox(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	land, roads, points := cadastre(t, pool, 60), streets(t, pool), dots(t, pool)
	box := catalog.Bounds{111.61123, 28.90817, 111.62931, 28.92345}
	// The margin of the tiles west of the box reaches into it.
	box[0] = at(box[0], box[1], 15).Degrees(0)[0] + 1e-6
	pack := Pack{Path: filepath.Join(t.TempDir(), "box.pmtiles"), Parts: partsOf(land, roads, points), Box: &box, MaxZoom: 15}
	if _, err := Export(t.Context(), pool, pack, Config{}); err != nil {
		t.Fatal(err)
	}
	have, header, metadata := packed(t, pack.Path)
	for i := range box {
		if math.Abs(header.Bounds[i]-box[i]) > 1e-6 {
			t.Errorf("bounds %v, want the box", header.Bounds)
		}
	}
	if metadata.Box == nil || *metadata.Box != box {
		t.Errorf("the metadata do not tell the box: %v", metadata.Box)
	}
	set, _ := Set("WebMercatorQuad")
	ids, areas := make(map[string]map[uint64]bool), make(map[int]float64)
	for a, b := range have {
		if proper := a.Degrees(0); !meet(proper, box) {
			t.Errorf("%s does not meet the box", a)
		}
		n := math.Ldexp(1, a.Z)
		w := set.width(0)
		for _, l := range decodedRaw(t, b) {
			for _, f := range l.Features {
				g := f.Geometry.Bound()
				west, north := set.Unproject(set.Left+(float64(a.Col)+(g.Min[0]+Buffer)/Extent)*w/n, set.Top-(float64(a.Row)+(g.Min[1]+Buffer)/Extent)*w/n)
				east, south := set.Unproject(set.Left+(float64(a.Col)+(g.Max[0]-Buffer)/Extent)*w/n, set.Top-(float64(a.Row)+(g.Max[1]-Buffer)/Extent)*w/n)
				if west < box[0] || east > box[2] || south < box[1] || north > box[3] {
					t.Errorf("%s: a shape of %s reaches beyond the box: %v", a, l.Name, g)
				}
				if l.Name == "cadastre" {
					areas[a.Z] += areaInside(f.Geometry) / (n * n * Extent * Extent)
				}
				if f.ID != nil && a.Z == 15 {
					if ids[l.Name] == nil {
						ids[l.Name] = make(map[uint64]bool)
					}
					ids[l.Name][uint64(f.ID.(float64))] = true
				}
			}
		}
	}
	low, high := at(box[0], box[3], 15), at(box[2], box[1], 15)
	for row := low.Row; row <= high.Row; row++ {
		for col := low.Col; col <= high.Col; col++ {
			if have[Address{"WebMercatorQuad", 15, row, col}] == nil {
				t.Errorf("tile 15/%d/%d, which the parcels cover, is not there", row, col)
			}
		}
	}
	minX, maxY := (&cutter{set: set}).world(box[0], box[1])
	maxX, minY := (&cutter{set: set}).world(box[2], box[3])
	whole := (maxX - minX) * (maxY - minY)
	for z := 8; z <= 15; z++ {
		// Half a cell along the edge of the box.
		if slack := 4 / math.Ldexp(Extent, z) * 2 * (maxX - minX + maxY - minY); math.Abs(areas[z]-whole) > slack+0.01*whole {
			t.Errorf("z%d: the parcels cover %.4g, want %.4g", z, areas[z], whole)
		}
	}
	for _, d := range []*catalog.Dataset{land, roads, points} {
		// A parcel of which less than a unit lies in the box may not be seen.
		rows, err := pool.Query(t.Context(), new(postgis.SQL).Raw("SELECT fid FROM ").Ident(d.Current.Relation[:]...).Raw(` p, ST_MakeEnvelope($1, $2, $3, $4, 4490) b
			WHERE ST_Intersects(geom, b) AND (ST_Dimension(geom) < 2 OR ST_Area(ST_Intersection(geom, b)) > 1e-9)`).String(), box[0], box[1], box[2], box[3])
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for rows.Next() {
			var fid int64
			if err := rows.Scan(&fid); err != nil {
				t.Fatal(err)
			}
			if n++; !ids[d.ID][uint64(fid)] {
				t.Errorf("%d of %s is not there", fid, d.ID)
			}
		}
		if rows.Err() != nil || n < 10 {
			t.Errorf("%d of %s, %v: the test says little", n, d.ID, rows.Err())
		}
	}
}

// What is trimmed keeps its holes and its kinds.
func TestTrim(t *testing.T) {
	t.Parallel()
	box := orb.Bound{Min: orb.Point{0, 0}, Max: orb.Point{10, 10}}
	square := func(a, b float64) []orb.Point { return []orb.Point{{a, a}, {b, a}, {b, b}, {a, b}, {a, a}} }
	figureOf := func(parts ...part) *figure {
		f := &figure{bound: emptyBound()}
		for _, p := range parts {
			f.take(p, map[int][]orb.Point{points: {{20, 20}}, lines: {{-5, 5}, {5, 5}, {5, 15}, {6, 15}, {6, 5}}, polygons: square(-5, 5)}[p.kind])
		}
		return f
	}
	a := &area{world: box}
	f := figureOf(part{kind: polygons}, part{kind: lines}, part{kind: points})
	if !a.trim(f) || len(f.parts) != 3 || f.parts[0].kind != polygons || f.parts[1].kind != lines || f.parts[2].kind != lines ||
		math.Abs(planar.Area(orb.Ring(f.at[f.parts[0].from:f.parts[0].to]))) != 25 || f.bound != (orb.Bound{Max: orb.Point{6, 10}}) {
		t.Errorf("trimmed %+v", f)
	}
	if a.trim(figureOf(part{kind: points})) {
		t.Error("a point beyond the box is left")
	}
	if (*area)(nil).trim(&figure{}) {
		t.Error("nothing is left of nothing")
	}
	gone := &figure{bound: emptyBound()}
	gone.take(part{kind: polygons}, square(20, 40))
	gone.take(part{kind: polygons, hole: true}, square(25, 30))
	if a.trim(gone) || len(gone.at) != 0 {
		t.Errorf("of what lies beyond is left %+v", gone)
	}
}

func TestExportRefuses(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	d := dots(t, pool)
	none := table(t, pool, "none", "Point", nil)
	dir := t.TempDir()
	taken := filepath.Join(dir, "taken.pmtiles")
	if err := os.WriteFile(taken, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder.mbtiles"), 0o700); err != nil {
		t.Fatal(err)
	}
	before := listing(t, dir)
	for name, c := range map[string]struct {
		change func(*Pack)
		kind   problem.Kind
		code   string
	}{
		"format":      {func(p *Pack) { p.Path = filepath.Join(dir, "new.zip") }, problem.Invalid, "export-format"},
		"no dataset":  {func(p *Pack) { p.Parts = nil }, problem.Invalid, "export-datasets"},
		"twice":       {func(p *Pack) { p.Parts = partsOf(d, d) }, problem.Invalid, "export-datasets"},
		"zooms":       {func(p *Pack) { p.MinZoom = 9 }, problem.Invalid, "export-zoom"},
		"too deep":    {func(p *Pack) { p.MaxZoom = MaxTileZoom + 1 }, problem.Invalid, "export-zoom"},
		"box":         {func(p *Pack) { p.Box = &catalog.Bounds{112, 29, 111, 30} }, problem.Invalid, "export-box"},
		"not a box":   {func(p *Pack) { p.Box = &catalog.Bounds{math.NaN(), 29, 111, 30} }, problem.Invalid, "export-box"},
		"taken":       {func(p *Pack) { p.Path = taken }, problem.Conflict, "export-file"},
		"folder":      {func(p *Pack) { p.Path, p.Replace = filepath.Join(dir, "folder.mbtiles"), true }, problem.Conflict, "export-file"},
		"nowhere":     {func(p *Pack) { p.Path = filepath.Join(dir, "no", "new.pmtiles") }, problem.Invalid, "export-folder"},
		"in a file":   {func(p *Pack) { p.Path = filepath.Join(taken, "new.pmtiles") }, problem.Invalid, "export-folder"},
		"empty":       {func(p *Pack) { p.Parts = partsOf(none) }, problem.NotFound, "export-empty"},
		"box outside": {func(p *Pack) { p.Box = &catalog.Bounds{10, 50, 11, 51} }, problem.NotFound, "export-empty"},
	} {
		pack := Pack{Path: filepath.Join(dir, "new.pmtiles"), Parts: partsOf(d), MaxZoom: 8}
		c.change(&pack)
		_, err := Export(t.Context(), pool, pack, Config{})
		var p *problem.Error
		if !errors.As(err, &p) || p.Kind != c.kind || p.Code != c.code || p.ZH == "" || p.EN == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if after := listing(t, dir); !slices.Equal(after, before) {
		t.Errorf("the folder has %v, had %v", after, before)
	}
	pack := Pack{Path: taken, Replace: true, Parts: partsOf(d), MaxZoom: 8}
	if _, err := Export(t.Context(), pool, pack, Config{}); err != nil {
		t.Fatal(err)
	}
	if have, _, _ := packed(t, taken); len(have) < 9 {
		t.Errorf("the new pack has %d tiles", len(have))
	}
}

// Whenever an export is cancelled, nothing stays but what was there before.
func TestExportCancelled(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	parts := partsOf(cadastre(t, pool, 30), dots(t, pool))
	for _, format := range []string{"pmtiles", "mbtiles"} {
		for name, when := range map[string]func(Progress) bool{
			"in the first cut":  func(p Progress) bool { return p.Dataset == "cadastre" },
			"in the second cut": func(p Progress) bool { return p.Dataset == "dots" && p.Done > 0 },
			"in the writing":    func(p Progress) bool { return p.Dataset == "" },
		} {
			dir := t.TempDir()
			path := filepath.Join(dir, "city."+format)
			if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			_, err := Export(ctx, pool, Pack{Path: path, Replace: true, Parts: parts, MaxZoom: 13, Progress: func(p Progress) {
				if when(p) {
					cancel()
				}
			}}, Config{})
			cancel()
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s, %s: %v", format, name, err)
			}
			if b, err := os.ReadFile(path); err != nil || string(b) != "old" || len(listing(t, dir)) != 1 {
				t.Errorf("%s, %s: the folder has %v, %v", format, name, listing(t, dir), err)
			}
		}
	}
}
