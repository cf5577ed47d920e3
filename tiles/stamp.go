package tiles

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// A tile of an archive tells its counts in the extra field of its gzip header (RFC
// 1952, 2.3.1.1), which every reader of gzip passes over.
const (
	gzipHeader = 10
	flagExtra  = 1 << 2
)

// stampID names the counts among the fields of the extra field.
var stampID = [2]byte{'c', 'D'}

// stamped gives the bytes of a tile with its counts: features, gathered, omitted, and of
// these lost and dropped.
func stamped(t *Tile) []byte {
	var counts []byte
	for _, n := range []int64{t.Features, t.Generalized, t.Omitted, t.lost, t.dropped} {
		counts = binary.AppendUvarint(counts, uint64(n))
	}
	out := make([]byte, 0, len(t.Gzip)+6+len(counts))
	out = append(out, t.Gzip[:gzipHeader]...)
	out[3] |= flagExtra
	out = binary.LittleEndian.AppendUint16(out, uint16(4+len(counts)))
	out = append(out, stampID[0], stampID[1])
	out = binary.LittleEndian.AppendUint16(out, uint16(len(counts)))
	out = append(out, counts...)
	return append(out, t.Gzip[gzipHeader:]...)
}

// unstamped makes a tile of what stamped gave; ok is false for other bytes.
func unstamped(b []byte) (t *Tile, ok bool) {
	if len(b) < gzipHeader+6+8 || b[0] != 0x1f || b[1] != 0x8b || b[3] != flagExtra {
		return nil, false
	}
	size := int(binary.LittleEndian.Uint16(b[gzipHeader:]))
	field := b[gzipHeader+2:]
	if size < 4 || len(field) < size || [2]byte(field) != stampID || int(binary.LittleEndian.Uint16(field[2:])) != size-4 {
		return nil, false
	}
	counts := field[4:size]
	sum := sha256.Sum256(b)
	t = &Tile{Gzip: b, Length: int(binary.LittleEndian.Uint32(b[len(b)-4:])), ETag: `"` + hex.EncodeToString(sum[:16]) + `"`}
	for _, to := range []*int64{&t.Features, &t.Generalized, &t.Omitted, &t.lost, &t.dropped} {
		n, size := binary.Uvarint(counts)
		if size <= 0 || n > 1<<40 {
			return nil, false
		}
		*to, counts = int64(n), counts[size:]
	}
	return t, len(counts) == 0
}
