package tiles

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// Coding is how the bytes of a tile are compressed, by the name that HTTP has for it
// (RFC 9110, 8.4.1).
type Coding string

// The codings. Tiles are stored in gzip.
const (
	GZIP     Coding = "gzip"
	ZSTD     Coding = "zstd"
	Identity Coding = "identity"
)

// Encoded gives the bytes of a tile in a coding, and their strong entity tag. Gzip is
// there; zstd is made when it is first asked for and kept in memory beside the tile;
// identity is made anew each time. An empty tile has no bytes in any coding.
func (s *Source) Encoded(ctx context.Context, t *Tile, c Coding) (b []byte, etag string, err error) {
	if c == GZIP || t.Features == 0 {
		return t.Gzip, t.ETag, nil
	}
	if c == Identity {
		b, err := appendRaw(nil, t)
		return b, tagged(t, c), err
	}
	// A key of parts does not begin with a quotation mark, and equal tags are equal tiles.
	z, err := s.get(ctx, key{parts: t.ETag, address: Address{Set: string(c)}}, func(context.Context) (*Tile, error) {
		raw, err := appendRaw(nil, t)
		if err != nil {
			return nil, err
		}
		return &Tile{zstd: s.zstd().EncodeAll(raw, make([]byte, 0, len(t.Gzip))), ETag: tagged(t, c)}, nil
	})
	if err != nil {
		return nil, "", err
	}
	return z.zstd, z.ETag, nil
}

// tagged is the tag of a tile in another coding: other bytes have another strong tag
// (RFC 9110, 8.8.3.3).
func tagged(t *Tile, c Coding) string {
	return strings.TrimSuffix(t.ETag, `"`) + "-" + string(c) + `"`
}

// zstdWindow is how far back a match may lie; what browsers allow is 8 MB (RFC 9659).
const zstdWindow = 1 << 20

// newZstd makes an encoder when it is first needed, for it is large.
func newZstd() func() *zstd.Encoder {
	return sync.OnceValue(func() *zstd.Encoder {
		e, err := zstd.NewWriter(nil, zstd.WithWindowSize(zstdWindow), zstd.WithEncoderCRC(false))
		if err != nil {
			panic(fmt.Sprintf("tiles: the options of zstd are constants: %v", err))
		}
		return e
	})
}
