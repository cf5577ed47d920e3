package quality

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"changde/postgis"
)

// row is one row while the layer is read. It is valid during the call.
type row struct {
	fid    int64
	values [][]byte // as PostgreSQL writes them as text, by scan.column; nil is null
	shape  *shape
}

// scan reads the layer once and hands each row to all who asked.
type scan struct {
	c       *checker
	columns []string
	shapes  bool
	checks  []func(*row) error
	whole   []func(*row) error // those that see the rows beside the layer too
	rules   []*rule

	row     row
	shape   shape
	pending []byte
	header  bool
	done    bool
}

func (c *checker) newScan() *scan {
	s := &scan{c: c}
	s.row.shape = &s.shape
	return s
}

// column asks for a column and returns its place in row.values.
func (s *scan) column(name string) int {
	for i, n := range s.columns {
		if n == name {
			return i
		}
	}
	s.columns = append(s.columns, name)
	return len(s.columns) - 1
}

// each asks that f sees every row of the layer.
func (s *scan) each(r *rule, shapes bool, f func(*row) error) {
	s.shapes = s.shapes || shapes
	s.checks = append(s.checks, f)
	s.rules = append(s.rules, r)
}

// all asks that f sees the shape of every row, also of those beside the layer.
func (s *scan) all(r *rule, f func(*row) error) {
	s.shapes = true
	s.whole = append(s.whole, f)
	s.rules = append(s.rules, r)
}

// run reads the layer.
func (s *scan) run(ctx context.Context) error {
	q := new(postgis.SQL)
	if len(s.checks)+len(s.whole) == 0 {
		q.Raw("SELECT count(*) FROM ").Ident(s.c.layer.Relation[0], s.c.layer.Relation[1]).Raw(" WHERE fid > 0")
		return s.c.tx.QueryRow(ctx, q.String()).Scan(&s.c.rows)
	}
	start := time.Now()
	q.Raw("COPY (SELECT fid")
	for _, n := range s.columns {
		q.Raw(", ").Ident(n).Raw("::text")
	}
	if s.shapes {
		q.Raw(", geom")
	}
	q.Raw(" FROM ").Ident(s.c.layer.Relation[0], s.c.layer.Relation[1]).Raw(") TO STDOUT (FORMAT binary)")
	if _, err := s.c.tx.Conn().PgConn().CopyTo(ctx, s, q.String()); err != nil {
		return err
	}
	if !s.done {
		return errCopy
	}
	for _, r := range s.rules {
		if r != nil {
			r.Elapsed = time.Since(start)
		}
	}
	return nil
}

var (
	errCopy    = errors.New("the server's COPY data are not in the binary format")
	copyHeader = []byte("PGCOPY\n\xff\r\n\x00")
)

// Write takes the binary format of COPY (PostgreSQL documentation, COPY, "Binary
// Format") in pieces of any length.
func (s *scan) Write(p []byte) (int, error) {
	b := p
	if len(s.pending) > 0 {
		s.pending = append(s.pending, p...)
		b = s.pending
	}
	used, err := s.take(b)
	if err != nil {
		return 0, err
	}
	rest := b[used:]
	if len(rest) > 0 && len(s.pending) > 0 {
		rest = bytes.Clone(rest)
	}
	s.pending = append(s.pending[:0], rest...)
	return len(p), nil
}

// take reads the whole rows of b and returns how much that was.
func (s *scan) take(b []byte) (int, error) {
	at := 0
	if !s.header {
		if len(b) < 19 {
			return 0, nil
		}
		extra := int(binary.BigEndian.Uint32(b[15:]))
		if !bytes.HasPrefix(b, copyHeader) || extra < 0 || extra > 1<<20 {
			return 0, errCopy
		}
		if len(b) < 19+extra {
			return 0, nil
		}
		s.header, at = true, 19+extra
	}
	for !s.done {
		n, err := s.one(b[at:])
		if err != nil || n == 0 {
			return at, err
		}
		at += n
	}
	if at != len(b) {
		return at, errCopy
	}
	return at, nil
}

// one reads one row, 0 when it is not all there.
func (s *scan) one(b []byte) (int, error) {
	if len(b) < 2 {
		return 0, nil
	}
	n := int(int16(binary.BigEndian.Uint16(b)))
	if n == -1 {
		s.done = true
		return 2, nil
	}
	want := 1 + len(s.columns)
	if s.shapes {
		want++
	}
	if n != want {
		return 0, errCopy
	}
	at := 2
	s.row.values = s.row.values[:0]
	var ewkb []byte
	for i := range n {
		if len(b)-at < 4 {
			return 0, nil
		}
		size := int(int32(binary.BigEndian.Uint32(b[at:])))
		at += 4
		if size < -1 {
			return 0, errCopy
		}
		var v []byte
		if size >= 0 {
			if len(b)-at < size {
				return 0, nil
			}
			v = b[at : at+size : at+size]
			at += size
		}
		switch {
		case i == 0:
			switch size { // fid is bigint, or the integer of a foreign table
			case 8:
				s.row.fid = int64(binary.BigEndian.Uint64(v))
			case 4:
				s.row.fid = int64(int32(binary.BigEndian.Uint32(v)))
			default:
				return 0, errCopy
			}
		case i <= len(s.columns):
			s.row.values = append(s.row.values, v)
		default:
			ewkb = v
		}
	}
	s.shape.xy, s.shape.paths, s.shape.parts, s.shape.box = s.shape.xy[:0], s.shape.paths[:0], 0, emptyBox()
	if ewkb != nil {
		if err := s.shape.parse(ewkb); err != nil {
			return 0, fmt.Errorf("row %d: %w", s.row.fid, err)
		}
	}
	for _, f := range s.whole {
		if err := f(&s.row); err != nil {
			return 0, err
		}
	}
	if s.row.fid < 0 {
		return at, nil
	}
	s.c.rows++
	for _, f := range s.checks {
		if err := f(&s.row); err != nil {
			return 0, err
		}
	}
	return at, nil
}
