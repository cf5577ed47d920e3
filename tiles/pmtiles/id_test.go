package pmtiles

import (
	"testing"

	"pgregory.net/rapid"
)

func TestIDsOfTheSpecification(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		z, x, y int
		id      uint64
	}{
		{0, 0, 0, 0},
		{1, 0, 0, 1},
		{1, 0, 1, 2},
		{1, 1, 1, 3},
		{1, 1, 0, 4},
		{2, 0, 0, 5},
		{12, 3423, 1763, 19078479},
	} {
		if id, ok := ID(tt.z, tt.x, tt.y); id != tt.id || !ok {
			t.Errorf("ID(%d, %d, %d) = %d, %t, want %d", tt.z, tt.x, tt.y, id, ok, tt.id)
		}
	}
	if last, _ := ID(MaxZoom, 1<<MaxZoom-1, 0); last != idCount-1 {
		t.Errorf("the last id is %d, want %d", last, idCount-1)
	}
}

func TestNoID(t *testing.T) {
	t.Parallel()
	for _, a := range [][3]int{{-1, 0, 0}, {27, 0, 0}, {0, 1, 0}, {3, 8, 0}, {3, 0, 8}, {3, -1, 0}, {3, 0, -1}} {
		if _, ok := ID(a[0], a[1], a[2]); ok {
			t.Errorf("the tile %v has an id", a)
		}
	}
	for _, id := range []uint64{idCount, 1 << 63, 1<<64 - 1} {
		if _, _, _, ok := ZXY(id); ok {
			t.Errorf("the id %d has a tile", id)
		}
	}
}

func TestZXYIsTheInverseOfID(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		z := rapid.IntRange(0, MaxZoom).Draw(t, "z")
		x := rapid.IntRange(0, 1<<z-1).Draw(t, "x")
		y := rapid.IntRange(0, 1<<z-1).Draw(t, "y")
		id, ok := ID(z, x, y)
		if gz, gx, gy, gok := ZXY(id); !ok || !gok || gz != z || gx != x || gy != y {
			t.Fatalf("%d/%d/%d has the id %d, which is %d/%d/%d (%t, %t)", z, x, y, id, gz, gx, gy, ok, gok)
		}
	})
}

// TestTheCurveIsOne: ids count up without a gap, and within a zoom each tile lies
// beside the one before.
func TestTheCurveIsOne(t *testing.T) {
	t.Parallel()
	var lz, lx, ly int
	for id := range first(9) {
		z, x, y, _ := ZXY(id)
		if back, _ := ID(z, x, y); back != id {
			t.Fatalf("%d is %d/%d/%d, which has the id %d", id, z, x, y, back)
		}
		if step := max(x-lx, lx-x) + max(y-ly, ly-y); id > 0 && z == lz && step != 1 {
			t.Fatalf("from %d to %d the curve goes %d tiles", id-1, id, step)
		}
		lz, lx, ly = z, x, y
	}
}
