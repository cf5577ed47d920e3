package api

import (
	"strconv"
	"testing"

	"changde/catalog"
	"changde/tiles"
)

// What is kept is bounded, and of one snapshot.
func TestKeptIsBounded(t *testing.T) {
	t.Parallel()
	var k kept
	now, later := catalog.NewSnapshot(nil), catalog.NewSnapshot(nil)
	body := make([]byte, 1<<20)
	key := func(n int) keptKey { return keptKey{"/" + strconv.Itoa(n), tiles.GZIP} }
	for n := range 200 {
		k.add(now, key(n), &keptAnswer{body: body})
		k.add(now, key(n), &keptAnswer{body: body})
	}
	if k.bytes > maxKept || len(k.answers) < 60 || len(k.answers) > 64 {
		t.Errorf("%d answers of %d bytes are kept", len(k.answers), k.bytes)
	}
	if k.find(now, key(3)) == nil || k.find(now, keptKey{"/3", tiles.ZSTD}) != nil || k.find(later, key(3)) != nil {
		t.Error("an answer is not found, or is for another request or snapshot")
	}
	k.add(later, key(3), &keptAnswer{body: body})
	if k.find(now, key(4)) != nil || k.find(later, key(4)) != nil || k.find(later, key(3)) == nil || len(k.answers) != 1 {
		t.Errorf("%d answers are kept with another snapshot", len(k.answers))
	}
}
