package tiles

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/paulmach/orb/encoding/wkb"

	"changde/catalog"
	"changde/postgis"
	"changde/postgis/postgistest"
	"changde/problem"
)

// The matrices are those of OGC 17-083r4, annex D, to the digits it prints; those
// of CGCS2000Quad are WorldCRS84Quad's, with the latitude first.
func TestMatrices(t *testing.T) {
	t.Parallel()
	published := readMatrices(t)
	published["CGCS2000Quad"] = nil
	for _, m := range published["WorldCRS84Quad"] {
		m.PointOfOrigin[0], m.PointOfOrigin[1] = m.PointOfOrigin[1], m.PointOfOrigin[0]
		published["CGCS2000Quad"] = append(published["CGCS2000Quad"], m)
	}
	near := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) <= 1e-9*math.Abs(b) })
	for _, s := range Sets() {
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var got matrixSetJSON
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatal(err)
		}
		if len(got.TileMatrices) < 24 {
			t.Errorf("%s has %d levels", s.ID, len(got.TileMatrices))
		}
		if diff := cmp.Diff(published[s.ID], got.TileMatrices, near); diff != "" {
			t.Errorf("%s: -want +got:\n%s", s.ID, diff)
		}
	}
}

func readMatrices(t *testing.T) map[string][]matrixJSON {
	t.Helper()
	f, err := os.Open("testdata/matrices.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := make(map[string][]matrixJSON)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		var set string
		m := matrixJSON{CornerOfOrigin: "topLeft"}
		if _, err := fmt.Sscan(lines.Text(), &set, &m.ID, &m.ScaleDenominator, &m.CellSize, &m.PointOfOrigin[0], &m.PointOfOrigin[1],
			&m.TileWidth, &m.TileHeight, &m.MatrixWidth, &m.MatrixHeight); err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		out[set] = append(out[set], m)
	}
	return out
}

// What a set says of itself, its matrices apart.
func TestMatrixSetJSON(t *testing.T) {
	t.Parallel()
	got := ""
	for _, s := range Sets() {
		s.Levels = 1
		b, err := json.MarshalIndent(s, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		got += string(b) + "\n"
	}
	const golden = "testdata/sets.json"
	if os.Getenv("BLESS") != "" {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestLocate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		set             string
		level, row, col int
		want            Address // none: not found
		says            string
	}{
		{set: "CGCS2000Quad", level: 7, row: 43, col: 207, want: Address{"CGCS2000Quad", 7, 43, 207}},
		{set: "c", level: 8, row: 43, col: 207, want: Address{"CGCS2000Quad", 7, 43, 207}},
		{set: "c", level: 1, row: 0, col: 1, want: Address{"CGCS2000Quad", 0, 0, 1}},
		{set: "c", level: 23, row: 1<<22 - 1, col: 1<<23 - 1, want: Address{"CGCS2000Quad", 22, 1<<22 - 1, 1<<23 - 1}},
		{set: "w", level: 8, row: 106, col: 207, want: Address{"WebMercatorQuad", 8, 106, 207}},
		{set: "w", level: 1, row: 1, col: 1, want: Address{"WebMercatorQuad", 1, 1, 1}},
		{set: "c", level: 0, says: "c/0/0/0: 级别 0 不在 1 到 23 之间 / level 0 is not between 1 and 23"},
		{set: "c", level: 24, says: "c/24/0/0: 级别 24 不在 1 到 23 之间 / level 24 is not between 1 and 23"},
		{set: "c", level: 1, row: 1, says: "c/1/1/0: 第 1 级有 1 行 2 列，行列号从 0 起 / level 1 has 1 rows and 2 columns, counted from 0"},
		{set: "c", level: math.MinInt, says: "not between 1 and 23"},
		{set: "w", level: 23, says: "level 23 is not between 0 and 22"},
		{set: "", says: "there are WebMercatorQuad, WorldCRS84Quad, CGCS2000Quad, w, c"},
		{set: "C", level: 1, says: "可用的有 WebMercatorQuad、WorldCRS84Quad、CGCS2000Quad、w、c"},
	} {
		a, err := Locate(tt.set, tt.level, tt.row, tt.col)
		var p *problem.Error
		if tt.says == "" {
			if err != nil || a != tt.want {
				t.Errorf("%s/%d/%d/%d is %v, %v", tt.set, tt.level, tt.row, tt.col, a, err)
			}
		} else if !errors.As(err, &p) || p.Kind != problem.NotFound || !strings.Contains(p.Where+": "+p.ZH+" / "+p.EN, tt.says) {
			t.Errorf("%s/%d/%d/%d: %v", tt.set, tt.level, tt.row, tt.col, err)
		}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	for _, want := range Sets() {
		if s, err := Find(want.ID); err != nil || s.ID != want.ID {
			t.Errorf("%s: %v, %v", want.ID, s.ID, err)
		}
	}
	_, err := Find("c")
	if !problem.Is(err, problem.NotFound) || !strings.Contains(err.Error(), "WebMercatorQuad, WorldCRS84Quad, CGCS2000Quad") || strings.Contains(err.Error(), ", c") {
		t.Errorf("c is a name for tiles alone: %v", err)
	}
}

// Archives, which are of WebMercatorQuad, let its levels begin earlier, and no other's.
func TestLevelsOfSets(t *testing.T) {
	t.Parallel()
	r := &catalog.Release{
		Relation: [2]string{"content", "parcels_d1"}, GeometryType: "MultiPolygon", Rows: 2_000_000, Extent: &catalog.Bounds{110.5, 28.4, 112.3, 30.1},
	}
	got := make(map[string][2]int)
	for name, s := range map[string]*Source{"rows": {}, "archives": {config: Config{Archives: &Archives{}}}} {
		for _, set := range Sets() {
			low, high := s.Levels(set, new(catalog.Dataset), r)
			got[name+" "+set.ID] = [2]int{low, high}
			if low, high := s.Levels(set, &catalog.Dataset{Grids: []string{catalog.CGCS2000Quad}}, r); low != got[name+" "+set.ID][0] {
				got["asked for "+name+" "+set.ID] = [2]int{low, high}
			}
		}
	}
	want := map[string][2]int{
		"rows WebMercatorQuad": {11, 18}, "rows WorldCRS84Quad": {10, 17}, "rows CGCS2000Quad": {10, 17},
		"archives WebMercatorQuad": {3, 18}, "archives WorldCRS84Quad": {10, 17}, "archives CGCS2000Quad": {10, 17},
		"asked for archives WorldCRS84Quad": {2, 17}, "asked for archives CGCS2000Quad": {2, 17},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// Along the rim of the world, at 180 degrees and at the poles, spiky polygons
// are valid at every level, and over degrees no ground is lost.
func TestTilesOfTheRim(t *testing.T) {
	t.Parallel()
	pool := postgistest.New(t)
	d := table(t, pool, "rim", "Geometry", nil)
	fill(t, pool, d, new(postgis.SQL).Raw(`INSERT INTO content.rim SELECT i, 1, ST_Intersection(ST_MakeEnvelope(-180, -90, 180, 90, 4490), star) FROM (
		SELECT i, ST_SetSRID(ST_MakePolygon(ST_MakeLine(ST_MakePoint(x + radius * cos(turn), y + radius * sin(turn)) ORDER BY k)), 4490) AS star FROM (
			SELECT i, k, x, y, (CASE k % 2 WHEN 0 THEN 1 ELSE 0.2 END) * size AS radius, 2 * pi() * (k % 40) / 40 AS turn FROM (
				SELECT i, 0.2 + 6 * r[3] * r[3] AS size,
					CASE i % 4 WHEN 0 THEN 180 WHEN 1 THEN -180 ELSE 360 * r[1] - 180 END AS x,
					CASE i % 4 WHEN 2 THEN 90 WHEN 3 THEN -90 ELSE 180 * r[2] - 90 END AS y
				FROM (SELECT i, ARRAY[random(), random(), random()] r FROM setseed(0.3), generate_series(1, 400) i) a
			) places, generate_series(0, 40) k
		) vertices GROUP BY i
	) stars`))
	var truth float64
	if err := pool.QueryRow(t.Context(), "SELECT sum(ST_Area(geom)) FROM content.rim").Scan(&truth); err != nil {
		t.Fatal(err)
	}
	s := NewSource(pool, Config{})
	var all [][]byte
	for _, set := range Sets() {
		for z := 0; z <= MaxZoom; z++ {
			ground := 0.0
			for _, a := range rim(set, z) {
				tile := get(t, s, d, a)
				if tile.Features == 0 {
					continue
				}
				for _, f := range decoded(t, tile)[0].Features {
					b, err := wkb.Marshal(f.Geometry)
					if err != nil {
						t.Fatal(err)
					}
					all = append(all, b)
					ground += areaInside(f.Geometry)
				}
			}
			side := set.degrees(z) / Extent // of a unit, in degrees
			// The rows of mercator end before the poles. From level 4 on the middle is left out.
			if ground *= side * side; z < 4 && set.ahead() > 0 && math.Abs(ground-truth) > 0.01*truth {
				t.Errorf("%s level %d: %.1f square degrees, want %.1f", set.ID, z, ground, truth)
			}
		}
	}
	invalid(t, pool, all)
}

// rim are the tiles on the edges of a level: all of them at the first levels,
// then those at the corners and in the middle of the edges.
func rim(s MatrixSet, z int) []Address {
	rows, cols := s.Rows<<z, s.Columns<<z
	var out []Address
	if z < 4 {
		for row := range rows {
			for col := range cols {
				out = append(out, Address{s.ID, z, row, col})
			}
		}
		return out
	}
	for _, row := range []int{0, rows / 2, rows - 1} {
		for _, col := range []int{0, cols / 3, cols - 1} {
			out = append(out, Address{s.ID, z, row, col})
		}
	}
	return out
}
