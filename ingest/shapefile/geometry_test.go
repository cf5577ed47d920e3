package shapefile

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twpayne/go-geom/encoding/wkt"
)

func rowsOf(n int) [][]string { return slices.Repeat([][]string{{"1"}}, n) }

// read reads records in memory with a one-column table.
func read(t *testing.T, typ ShapeType, records ...[]byte) []string {
	t.Helper()
	shp, shx := makeSHP(typ, records...)
	all, _ := mustRead(t, inMemory(shp, shx, makeDBF(one, rowsOf(len(records))...)), Options{})
	var out []string
	for _, f := range all {
		s := "nil"
		if f.Geom != nil {
			var err error
			if s, err = wkt.Marshal(f.Geom); err != nil {
				t.Fatal(err)
			}
		}
		if len(f.Faults) > 0 {
			s += " | " + strings.Join(codes(f.Faults), " ")
		}
		out = append(out, s)
	}
	return out
}

func TestPolygons(t *testing.T) {
	t.Parallel()
	big, hole := square(0, 0, 10), backwards(square(2, 2, 3))
	island, lake := square(3, 3, 1), backwards(square(20, 20, 2))
	far := square(20, 20, 5)
	const (
		bigT  = "(0 0, 0 10, 10 10, 10 0, 0 0)"
		holeT = "(2 2, 5 2, 5 5, 2 5, 2 2)"
	)
	tests := []struct {
		name  string
		rings [][][2]float64
		want  string
	}{
		{"one ring", [][][2]float64{big}, "POLYGON (" + bigT + ")"},
		{"hole", [][][2]float64{big, hole}, "POLYGON (" + bigT + ", " + holeT + ")"},
		{"hole before its shell", [][][2]float64{hole, big}, "POLYGON (" + bigT + ", " + holeT + ")"},
		{
			"two shells, holes in both, out of order",
			[][][2]float64{lake, big, far, hole},
			"MULTIPOLYGON ((" + bigT + ", " + holeT + "), ((20 20, 20 25, 25 25, 25 20, 20 20), (20 20, 22 20, 22 22, 20 22, 20 20)))",
		},
		{
			"island in a hole",
			[][][2]float64{big, hole, island},
			"MULTIPOLYGON ((" + bigT + ", " + holeT + "), ((3 3, 3 4, 4 4, 4 3, 3 3)))",
		},
		{"one ring the wrong way", [][][2]float64{backwards(big)}, "POLYGON ((0 0, 10 0, 10 10, 0 10, 0 0)) | ring-orientation"},
		{
			"both the wrong way",
			[][][2]float64{backwards(big), backwards(hole)},
			"POLYGON ((0 0, 10 0, 10 10, 0 10, 0 0), (2 2, 2 5, 5 5, 5 2, 2 2)) | ring-orientation",
		},
		{
			"two disjoint the wrong way",
			[][][2]float64{backwards(big), backwards(far)},
			"MULTIPOLYGON (((0 0, 10 0, 10 10, 0 10, 0 0)), ((20 20, 25 20, 25 25, 20 25, 20 20))) | ring-orientation",
		},
		{
			"all counter-clockwise, hole as well",
			[][][2]float64{backwards(big), hole},
			"POLYGON ((0 0, 10 0, 10 10, 0 10, 0 0), " + holeT + ") | ring-orientation",
		},
		{"unclosed", [][][2]float64{big[:4]}, "POLYGON (" + bigT + ") | ring-closed"},
		{"a short ring beside a good one", [][][2]float64{big, hole[:2]}, "POLYGON (" + bigT + ") | ring-dropped ring-closed"},
		{"only short rings", [][][2]float64{hole[:2]}, "nil | geometry-corrupt!"},
		{"empty part", [][][2]float64{big, {}}, "POLYGON (" + bigT + ") | ring-dropped"},
		{"no point at all", [][][2]float64{}, "nil"},
		{"not a number", [][][2]float64{{{0, 0}, {0, nan}, {1, 1}, {0, 0}}}, "nil | geometry-corrupt!"},
		{"infinite", [][][2]float64{{{0, 0}, {0, math.Inf(1)}, {1, 1}, {0, 0}}}, "nil | geometry-corrupt!"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff([]string{tt.want}, read(t, Polygon, partsRecord(Polygon, tt.rings...))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestNotesOncePerFile: what concerns every row of a file is told at the first.
func TestNotesOncePerFile(t *testing.T) {
	t.Parallel()
	rec := partsRecord(Polygon, backwards(square(0, 0, 1)))
	got := read(t, Polygon, rec, rec, rec)
	if !strings.HasSuffix(got[0], "| ring-orientation") || strings.Contains(got[1]+got[2], "|") {
		t.Error(got)
	}
}

// TestTouchingHole: a hole may touch its shell; its other vertices decide.
func TestTouchingHole(t *testing.T) {
	t.Parallel()
	hole := [][2]float64{{0, 5}, {3, 4}, {3, 6}, {0, 5}}
	got := read(t, Polygon, partsRecord(Polygon, square(0, 0, 10), square(-20, 0, 20), hole))
	want := "MULTIPOLYGON (((0 0, 0 10, 10 10, 10 0, 0 0), (0 5, 3 4, 3 6, 0 5)), ((-20 0, -20 20, 0 20, 0 0, -20 0)))"
	if diff := cmp.Diff([]string{want}, got); diff != "" {
		t.Error(diff)
	}
}

func TestLocate(t *testing.T) {
	t.Parallel()
	// A notch from above reaches down to (5, 5).
	ring := appendRing(nil, 2, [][2]float64{{0, 0}, {0, 10}, {4, 10}, {5, 5}, {6, 10}, {10, 10}, {10, 0}, {0, 0}})
	for _, tt := range []struct {
		x, y float64
		want int
	}{
		{1, 1, 1},
		{5, 4, 1},
		{5, 6, -1},
		{-1, 5, -1},
		{11, 5, -1},
		{5, 11, -1},
		{5, -1, -1},
		{2, 5, 1},
		{8, 5, 1},
		{0, 5, 0},
		{10, 5, 0},
		{5, 0, 0},
		{2, 10, 0},
		{5, 10, -1},
		{5, 5, 0},
		{0, 0, 0},
		{10, 10, 0},
		{4.5, 7.5, 0},
		{-1, 10, -1},
		{-1, 0, -1},
	} {
		if got := locate(ring, 2, tt.x, tt.y); got != tt.want {
			t.Errorf("(%v, %v) is %d, want %d", tt.x, tt.y, got, tt.want)
		}
	}
}

func TestRecordTypes(t *testing.T) {
	t.Parallel()
	z := func(typ ShapeType, xy []byte, more ...float64) []byte {
		b := bytes.Clone(xy)
		le.PutUint32(b, uint32(typ))
		for _, v := range more {
			b = appendFloat(b, v)
		}
		return b
	}
	line := partsRecord(PolyLine, [][2]float64{{0, 0}, {1, 1}})
	lines := partsRecord(PolyLine, [][2]float64{{0, 0}, {1, 1}}, [][2]float64{{5, 5}}, [][2]float64{{2, 2}, {3, 3}, {4, 2}})
	multi := append(append(le.AppendUint32(nil, 8), make([]byte, 32)...), 2, 0, 0, 0)
	for _, v := range []float64{1, 2, 3, 4} {
		multi = appendFloat(multi, v)
	}
	none := 10 * noDataM
	tests := []struct {
		name string
		typ  ShapeType
		rec  []byte
		want string
	}{
		{"point", Point, pointRecord(1, 2), "POINT (1 2)"},
		{"point nan", Point, pointRecord(nan, 2), "nil | geometry-corrupt!"},
		{"point short", Point, pointRecord(1, 2)[:12], "nil | geometry-corrupt!"},
		{"pointz", PointZ, z(PointZ, pointRecord(1, 2), 3, none), "POINT Z (1 2 3)"},
		{"pointz without m", PointZ, z(PointZ, pointRecord(1, 2), 3), "POINT Z (1 2 3)"},
		{"pointz with m", PointZ, z(PointZ, pointRecord(1, 2), 3, 4), "POINT Z (1 2 3) | m-dropped"},
		{"pointm", PointM, z(PointM, pointRecord(1, 2), 4), "POINT (1 2) | m-dropped"},
		{"null", Point, []byte{0, 0, 0, 0}, "nil"},
		{"empty record", Point, []byte{}, "nil | geometry-corrupt!"},
		{"multipoint", MultiPoint, multi, "MULTIPOINT (1 2, 3 4)"},
		{"multipointz", MultiPointZ, z(MultiPointZ, multi, 0, 9, 8, 9), "MULTIPOINT Z (1 2 8, 3 4 9)"},
		{"multipointz without z", MultiPointZ, z(MultiPointZ, multi), "nil | geometry-corrupt!"},
		{"line", PolyLine, line, "LINESTRING (0 0, 1 1)"},
		{"lines and a short part", PolyLine, lines, "MULTILINESTRING ((0 0, 1 1), (2 2, 3 3, 4 2)) | part-dropped"},
		{"line of one point", PolyLine, partsRecord(PolyLine, [][2]float64{{5, 5}}), "nil | geometry-corrupt!"},
		{"linez with m", PolyLineZ, z(PolyLineZ, line, 0, 1, 7, 8, 0, 1, 5, none), "LINESTRING Z (0 0 7, 1 1 8) | m-dropped"},
		{"linez without m", PolyLineZ, z(PolyLineZ, line, 0, 1, 7, 8), "LINESTRING Z (0 0 7, 1 1 8)"},
		{"linem no data", PolyLineM, z(PolyLineM, line, none, none, none, none), "LINESTRING (0 0, 1 1)"},
		{"linez nan", PolyLineZ, z(PolyLineZ, line, 0, 1, nan, 8), "nil | geometry-corrupt!"},
		{"another type", Point, line, "LINESTRING (0 0, 1 1) | shape-type-mixed"},
		{"unknown type", Point, z(77, pointRecord(1, 2)), "nil | geometry-corrupt!"},
		{"multipatch", MultiPatch, z(MultiPatch, line), "nil | multipatch-unsupported!"},
		{"too many points", Polygon, put(line, 40, 0x7FFFFFFF), "nil | shape-type-mixed geometry-corrupt!"},
		{"negative points", PolyLine, put(line, 40, 0xFFFFFFFF), "nil | geometry-corrupt!"},
		{"too many parts", PolyLine, put(line, 36, 0x7FFFFFFF), "nil | geometry-corrupt!"},
		{"negative parts", PolyLine, put(line, 36, 0x80000000), "nil | geometry-corrupt!"},
		{"one point too many", PolyLine, put(line, 40, 3), "nil | geometry-corrupt!"},
		{"first part not at 0", PolyLine, put(line, 44, 1), "nil | geometry-corrupt!"},
		{"parts out of order", PolyLine, put(lines, 48, 9), "nil | geometry-corrupt!"},
		{"no parts but points", PolyLine, put(line, 36, 0), "nil | geometry-corrupt!"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff([]string{tt.want}, read(t, tt.typ, tt.rec)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// put overwrites a number in a copy of a record.
func put(b []byte, at int, v uint32) []byte {
	b = bytes.Clone(b)
	le.PutUint32(b[at:], v)
	return b
}

// TestManyRings: nesting stays far from its limit where comparing all with all
// would pass it, and gives up soon where nothing helps.
func TestManyRings(t *testing.T) {
	t.Parallel()
	const n = 5000
	var grid [][][2]float64
	for i := range n {
		x, y := float64(i%100)*10, float64(i/100)*10
		grid = append(grid, square(x, y, 9), backwards(square(x+1, y+1, 3)))
	}
	got := read(t, Polygon, partsRecord(Polygon, grid...))
	if c := strings.Count(got[0], "), ("); c != 2*n-1 || strings.Contains(got[0], "|") {
		t.Errorf("%d rings: %.80s", c, got[0])
	}
	rings := func(parts [][][2]float64) []ring {
		var out []ring
		for _, p := range parts {
			out = append(out, newRing(appendRing(nil, 2, p), 2))
		}
		return out
	}
	if groups, turned, ok := nest(rings(grid), 2, 100*n); !ok || turned || len(groups) != n {
		t.Errorf("%d groups, turned %v, ok %v", len(groups), turned, ok)
	}
	same := slices.Repeat([][][2]float64{square(0, 0, 9)}, n)
	same = append(same, slices.Repeat([][][2]float64{backwards(square(0, 0, 9))}, n)...)
	work := nesting{rings: rings(same), stride: 2, limit: 100 * n}
	if _, _, ok := nest(work.rings, 2, work.limit); ok {
		t.Error("coinciding rings were all compared")
	}
	all := make([]int32, 2*n)
	for i := range all {
		all[i] = int32(i)
	}
	if _, ok := work.parents(all, all); ok || work.work > work.limit+8*n {
		t.Errorf("%d steps, the limit is %d", work.work, work.limit)
	}
}
