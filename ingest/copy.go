package ingest

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/zeebo/xxh3"

	"changde/catalog"
	"changde/ingest/layer"
)

// The binary format of COPY (PostgreSQL documentation, COPY, "Binary Format"):
// a header, for each row the number of fields and for each field its length and
// bytes, and a trailer. It is written here, not by the driver, so that several
// goroutines can encode rows for one connection.
var (
	copyHeader  = []byte("PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	copyTrailer = []byte{0xff, 0xff}
)

// postgresEpoch is day 0 of PostgreSQL's binary dates and timestamps.
var postgresEpoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// day is a day in seconds.
const day = 24 * 60 * 60

// rowEncoder appends rows in the binary format of COPY. It is used by one
// goroutine.
type rowEncoder struct {
	types []layer.Type
	// numeric encodes Decimal values, whose format is pgtype's own business.
	numeric *pgtype.Map
}

func newRowEncoder(columns []catalog.Column) *rowEncoder {
	e := &rowEncoder{numeric: pgtype.NewMap()}
	for _, c := range columns {
		e.types = append(e.types, c.Type)
	}
	return e
}

// append adds one row: fid, the values, the geometry as EWKB (NULL when empty),
// span, the hash of values and geometry, and op in a differential delivery.
func (e *rowEncoder) append(dst []byte, fid int64, values []any, ewkb []byte, span float32, op byte) ([]byte, error) {
	if len(values) != len(e.types) {
		return dst, fmt.Errorf("row %d has %d values for %d fields", fid, len(values), len(e.types))
	}
	fields := len(values) + 4
	if op != 0 {
		fields++
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(fields))
	dst = appendInt64(dst, fid)
	content := len(dst)
	var err error
	for n, v := range values {
		if dst, err = e.value(dst, e.types[n], v); err != nil {
			return dst, fmt.Errorf("row %d, field %d: %w", fid, n+1, err)
		}
	}
	if len(ewkb) == 0 {
		dst = binary.BigEndian.AppendUint32(dst, math.MaxUint32)
	} else {
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(ewkb)))
		dst = append(dst, ewkb...)
	}
	// The hash tells whether a row changed: rows that differ agree in it once in 2^64.
	sum := xxh3.Hash(dst[content:])
	dst = binary.BigEndian.AppendUint32(dst, 4)
	dst = binary.BigEndian.AppendUint32(dst, math.Float32bits(span))
	dst = appendInt64(dst, int64(sum))
	if op != 0 {
		dst = binary.BigEndian.AppendUint32(dst, 1)
		dst = append(dst, op)
	}
	return dst, nil
}

func appendInt64(dst []byte, v int64) []byte {
	dst = binary.BigEndian.AppendUint32(dst, 8)
	return binary.BigEndian.AppendUint64(dst, uint64(v))
}

func (e *rowEncoder) value(dst []byte, t layer.Type, v any) ([]byte, error) {
	if v == nil {
		return binary.BigEndian.AppendUint32(dst, math.MaxUint32), nil
	}
	switch v := v.(type) {
	case string:
		if t == layer.Decimal {
			return e.decimal(dst, v)
		}
		if t == layer.Text {
			v = cleanText(v)
			dst = binary.BigEndian.AppendUint32(dst, uint32(len(v)))
			return append(dst, v...), nil
		}
	case int64:
		if t == layer.Integer {
			return appendInt64(dst, v), nil
		}
	case float64:
		if t == layer.Real {
			return appendInt64(dst, int64(math.Float64bits(v))), nil
		}
	case bool:
		if t == layer.Boolean {
			b := byte(0)
			if v {
				b = 1
			}
			return append(binary.BigEndian.AppendUint32(dst, 1), b), nil
		}
	case time.Time:
		switch t {
		case layer.Date:
			// Not by Sub: a Duration ends after 292 years.
			seconds := v.Unix() - postgresEpoch.Unix()
			days := int32((seconds - (seconds%day+day)%day) / day)
			dst = binary.BigEndian.AppendUint32(dst, 4)
			return binary.BigEndian.AppendUint32(dst, uint32(days)), nil
		case layer.Timestamp:
			return appendInt64(dst, v.UnixMicro()-postgresEpoch.UnixMicro()), nil
		}
	}
	return dst, fmt.Errorf("a %T is no value of type %s", v, t)
}

func (e *rowEncoder) decimal(dst []byte, v string) ([]byte, error) {
	var n pgtype.Numeric
	if err := n.Scan(v); err != nil {
		return dst, fmt.Errorf("decimal %q: %w", v, err)
	}
	at := len(dst)
	dst = binary.BigEndian.AppendUint32(dst, 0)
	dst, err := e.numeric.Encode(pgtype.NumericOID, pgtype.BinaryFormatCode, n, dst)
	if err != nil {
		return dst, fmt.Errorf("decimal %q: %w", v, err)
	}
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return dst, nil
}

// cleanText makes sure that one odd byte cannot fail the whole COPY: PostgreSQL's
// text takes neither NUL nor invalid UTF-8.
func cleanText(s string) string {
	if utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
}

// chunkReader is the stream of chunks as COPY reads it.
type chunkReader struct {
	next func() ([]byte, error) // io.EOF after the last
	rest []byte
}

func (c *chunkReader) Read(p []byte) (int, error) {
	for len(c.rest) == 0 {
		b, err := c.next()
		if err != nil {
			return 0, err
		}
		c.rest = b
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

var _ io.Reader = (*chunkReader)(nil)
