package tiles

import (
	"bytes"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// Zstd is made once, is smaller than the tile, and of a tag that no other coding has.
func TestEncodedOnce(t *testing.T) {
	t.Parallel()
	s := NewSource(nil, Config{})
	content := bytes.Repeat([]byte("常德市"), 1_000_000)
	tile := s.finish(content, 1)
	tags := map[string]bool{}
	for _, c := range []Coding{GZIP, ZSTD, Identity} {
		b, etag, err := s.Encoded(t.Context(), tile, c)
		if err != nil {
			t.Fatal(err)
		}
		tags[etag] = true
		again, tag, err := s.Encoded(t.Context(), tile, c)
		if err != nil || tag != etag || !bytes.Equal(again, b) {
			t.Errorf("%s: another answer, tag %s and then %s: %v", c, etag, tag, err)
		}
		if c == ZSTD && &again[0] != &b[0] {
			t.Error("zstd is made twice")
		}
		if c == ZSTD {
			d, err := zstd.NewReader(nil, zstd.WithDecoderMaxWindow(8<<20))
			if err != nil {
				t.Fatal(err)
			}
			if raw, err := d.DecodeAll(b, nil); err != nil || !bytes.Equal(raw, content) || len(b) > len(content)/100 {
				t.Errorf("%d bytes are %d: %v", len(b), len(raw), err)
			}
			d.Close()
		}
	}
	if len(tags) != 3 {
		t.Errorf("the tags are %v", tags)
	}
	if b, etag, err := s.Encoded(t.Context(), emptyTile(), ZSTD); len(b) != 0 || etag != emptyTile().ETag || err != nil {
		t.Errorf("an empty tile has %d bytes, tag %s: %v", len(b), etag, err)
	}
}
