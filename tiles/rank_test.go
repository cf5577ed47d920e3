package tiles

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"changde/catalog"
	types "changde/ingest/layer"
	"changde/postgis"
	"changde/postgis/postgistest"
)

// The rank of a value is the place of the first rule that fits, and the database finds
// the same.
func TestRanking(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	r := rand.New(rand.NewPCG(8, 8))
	text := func() string {
		return []string{"", "4", "42", "420", "4201", "43", "国", "国道", "1", "10"}[r.IntN(10)]
	}
	for range 30 {
		d := &catalog.Dataset{Class: "class"}
		rel := &catalog.Release{Columns: []catalog.Column{{Name: "class", Type: []types.Type{types.Text, types.Integer}[r.IntN(2)]}}}
		for range 1 + r.IntN(6) {
			if v := text() + []string{"", "*"}[r.IntN(2)]; v != "" && !slices.Contains(d.Tiles.Rank, v) {
				d.Tiles.Rank = append(d.Tiles.Rank, v)
			}
		}
		k := rankingOf(d, rel)
		if k == nil {
			continue
		}
		for range 20 {
			v := text()
			raw := []byte(v)
			typ := "text"
			if rel.Columns[0].Type == types.Integer {
				n := r.Int64N(450)
				v, raw, typ = fmt.Sprint(n), binary.BigEndian.AppendUint64(nil, uint64(n)), "bigint"
			}
			want := len(d.Tiles.Rank)
			for n, rule := range d.Tiles.Rank {
				if prefix, ok := bytes.CutSuffix([]byte(rule), []byte("*")); ok && bytes.HasPrefix([]byte(v), prefix) || rule == v {
					want = n
					break
				}
			}
			if got := k.of(raw); int(got) != want {
				t.Errorf("%q of %q has rank %d, want %d", v, d.Tiles.Rank, got, want)
			}
			q := k.sql(new(postgis.SQL).Raw("SELECT ")).Raw(" FROM (SELECT ").Literal(v)
			if typ == "bigint" {
				q.Raw("::bigint")
			}
			var got int
			if err := pool.QueryRow(t.Context(), q.Raw(" AS class) v").String(), q.Args()...).Scan(&got); err != nil || got != want {
				t.Errorf("%q of %q has rank %d in the database, want %d: %v", v, d.Tiles.Rank, got, want, err)
			}
		}
		if k.of(nil) != k.last {
			t.Errorf("NULL has rank %d", k.of(nil))
		}
	}
	if rankingOf(&catalog.Dataset{Class: "class"}, &catalog.Release{Columns: []catalog.Column{{Name: "class"}}}) != nil {
		t.Error("without rules there is a ranking")
	}
}

// Where a bound bites, lines go by rank and then by size, whether the tile is cut, or
// made of all rows, or of the first that the database gives; what is left out is
// counted.
func TestLinesFallByRank(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	list := network(5, 40)
	d := networked(t, pool, list)
	d.Tiles.Rank = []string{"C3", "C1*"}
	rank := map[string]int{"C3": 0, "C1": 1, "C0": 2, "C2": 2}
	a := at(111.64, 28.93, 8)
	for _, tt := range []struct {
		name   string
		config Config
	}{
		{"many features", Config{MaxFeatures: 700}},
		{"many bytes", Config{MaxBytes: 1500}},
		{"rows that are not all read", Config{MaxFeatures: 60}},
	} {
		tile := get(t, NewSource(pool, tt.config), d, a)
		counts := make(map[int]int)
		most := 0
		for _, f := range decoded(t, tile)[0].Features {
			k := rank[f.Properties["class"].(string)]
			if k < most && tt.config.MaxFeatures != 700 {
				t.Errorf("%s: rank %d comes after %d", tt.name, k, most)
			}
			most = max(most, k)
			counts[k]++
		}
		if counts[0] == 0 {
			t.Errorf("%s: there are none of the first rank: %v", tt.name, counts)
		}
		if tt.config.MaxFeatures == 700 {
			if counts[2] == 0 || accounted(t, tile) != int64(len(list)) {
				t.Errorf("%s: %d omitted, %v", tt.name, tile.Omitted, counts)
			}
			continue
		}
		if tile.Omitted == 0 || counts[2] > 0 {
			t.Errorf("%s: %d omitted, %v", tt.name, tile.Omitted, counts)
		}
		if want := int64(len(list)); accounted(t, tile) != want {
			t.Errorf("%s: the tile tells of %d rows of %d", tt.name, accounted(t, tile), want)
		}
	}
	c := Config{MaxBytes: 1500}
	for a, want := range cutFrom(t, pool, d, c, 10).tiles {
		if a.Z < DetailZoom {
			if got := get(t, NewSource(pool, c), d, a); !bytes.Equal(raw(t, got), raw(t, want)) || got.Omitted != want.Omitted {
				t.Fatalf("%s has %d features, %d omitted; cut it has %d, %d", a, got.Features, got.Omitted, want.Features, want.Omitted)
			}
		}
	}
}

// Of the points of a cell the first by rank stays, in tiles that are cut and in those
// made of rows.
func TestPointsThinnedByRank(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	d := table(t, pool, "names", "Point", []catalog.Column{{Name: "class", Type: types.Text}, {Name: "name", Type: types.Text}, {Name: "code", Type: types.Text}})
	d.Class, d.Label = "class", "name"
	fill(t, pool, d, new(postgis.SQL).Raw("INSERT INTO content.names SELECT i, CASE WHEN i % 500 = 0 THEN 'town' ELSE 'village' END, 'N' || i, 'c', 1, ST_SetSRID(ST_MakePoint(111.6 + 0.2 * random(), 28.9 + 0.2 * random()), 4490) FROM setseed(0.3), generate_series(1, 20000) i"))
	a := at(111.7, 29, 7)
	towns := func() (n int) {
		tile := get(t, NewSource(pool, Config{}), d, a)
		if again := cutFrom(t, pool, d, Config{}, 9).tiles[a]; !bytes.Equal(raw(t, tile), raw(t, again)) {
			t.Error("the tile is cut otherwise than made of rows")
		}
		for _, f := range decoded(t, tile)[0].Features {
			if f.Properties["class"] == "town" {
				n++
			}
		}
		if accounted(t, tile) != 20000 || tile.Features > 2000 {
			t.Errorf("%d points tell of %d rows", tile.Features, accounted(t, tile))
		}
		return n
	}
	before := towns()
	d.Tiles.Rank = []string{"town"}
	if after := towns(); after <= 2*before || after < 30 {
		t.Errorf("%d towns of 40 are seen, %d where nothing is ranked", after, before)
	}
}

// A tile carries the fields that the rules name from their zooms on.
func TestColumnsByRule(t *testing.T) {
	t.Parallel()
	var columns []catalog.Column
	for n := range 30 {
		columns = append(columns, catalog.Column{Name: fmt.Sprintf("f%02d", n)})
	}
	d := &catalog.Dataset{Label: "f01", Class: "f29", BusinessKey: "f28", TimeColumn: "f27"}
	r := &catalog.Release{GeometryType: "MultiLineString", Columns: columns}
	of := func(zoom int) string {
		var out []string
		for _, c := range TileColumns(d, r, zoom) {
			out = append(out, c.Name[1:])
		}
		return fmt.Sprint(out)
	}
	if got := of(13); got != "[01 29]" {
		t.Errorf("without rules: %s", got)
	}
	d.Tiles.Attributes = []catalog.TileAttributes{{MinZoom: 10, Fields: []string{"f20", "f05"}}, {MinZoom: 8, Fields: []string{"f26", "missing"}}}
	for zoom, want := range map[int]string{
		0: "[01 29]", 7: "[01 29]", 8: "[01 26 29]", 9: "[01 26 29]", 10: "[01 05 20 26 29]", 13: "[01 05 20 26 29]",
		14: "",
	} {
		got := of(zoom)
		if zoom == 14 {

			if n := len(TileColumns(d, r, zoom)); n != MaxColumns {
				t.Errorf("zoom 14: %d columns", n)
			}
			for _, c := range TileColumns(d, r, 13) {
				if !slices.Contains(TileColumns(d, r, 14), c) {
					t.Errorf("zoom 14 lacks %s", c.Name)
				}
			}
			continue
		}
		if got != want {
			t.Errorf("zoom %d: %s, want %s", zoom, got, want)
		}
	}
	d.Label, d.Class = "", ""
	if got := of(0); got != "[]" {
		t.Errorf("with rules alone: %s", got)
	}
	r.GeometryType = "Point"
	if got := of(8); got != "[26]" {
		t.Errorf("points with rules: %s", got)
	}
	d.Tiles.Attributes = nil
	if n := len(TileColumns(d, r, 0)); n != MaxColumns {
		t.Errorf("points without rules carry %d columns", n)
	}
}

// Lines are joined where they agree in what the rules have tiles carry, and an archive
// of other rules is not served.
func TestRulesOfTiles(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	d := networked(t, pool, network(6, 15))
	run(t, pool, new(postgis.SQL).Raw("UPDATE content.net SET n = fid % 2"))
	released(t, pool, d)
	d.Tiles.Attributes = []catalog.TileAttributes{{MinZoom: 9, Fields: []string{"n"}}}
	archives := openArchives(t, pool)
	if err := archives.Build(t.Context(), d, d.Current, 0); err != nil {
		t.Fatal(err)
	}
	served := func(d *catalog.Dataset) bool {
		_, ok, err := archives.Tile(t.Context(), d, d.Current, at(111.61, 28.91, 8))
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	if !served(d) {
		t.Error("the archive is not served")
	}
	for _, rules := range []catalog.TileRules{{}, {Rank: []string{"C1"}, Attributes: d.Tiles.Attributes}, {Attributes: []catalog.TileAttributes{{MinZoom: 8, Fields: []string{"n"}}}}} {
		other := *d
		other.Tiles = rules
		if served(&other) {
			t.Errorf("the archive is served for %v", rules)
		}
	}
	for _, z := range []int{8, 9} {
		joined := 0
		for _, f := range decoded(t, get(t, NewSource(pool, Config{}), d, at(111.61, 28.91, z)))[0].Features {
			if _, ok := f.Properties["n"]; ok != (z == 9) {
				t.Errorf("zoom %d: %v", z, f.Properties)
			}
			if f.ID == nil {
				joined++
			}
		}
		if joined == 0 {
			t.Errorf("zoom %d: nothing is joined", z)
		}
	}
}
