package shapefile

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"changde/ingest/layer"
)

// dbfWriter writes the table as dBASE III.
type dbfWriter struct {
	out     *output
	opts    WriteOptions
	columns []column
	fid     bool // the table has no field but a row number
	row     []byte
	scratch []byte
}

// Defaults for fields that declare no width.
const (
	defaultText     = 254
	defaultInteger  = 18
	defaultReal     = 15
	defaultDecimal  = 19
	defaultDecimals = 6
	timestampLayout = "2006-01-02 15:04:05"
)

// newDBFWriter lays out the columns. A Timestamp becomes text, for dBASE III has
// no such type.
func newDBFWriter(o WriteOptions) (*dbfWriter, error) {
	d := &dbfWriter{opts: o}
	fields := o.Fields
	if len(fields) == 0 {
		d.fid = true
		fields = []layer.Field{{Name: "FID", Type: layer.Integer, Width: 10}}
	}
	size := 1
	for _, f := range fields {
		name, err := o.Encode(f.Name)
		if err != nil {
			return nil, fmt.Errorf("shapefile: field %q: %w", f.Name, err)
		}
		if len(name) == 0 || len(name) > 10 {
			return nil, fmt.Errorf("shapefile: the name of field %q has %d bytes, a DBF takes 1 to 10", f.Name, len(name))
		}
		c := column{raw: append([]byte(nil), name...), name: f.Name, off: size, width: f.Width, decimals: f.Decimals, typ: f.Type, kind: 'N'}
		widest := 20
		switch f.Type {
		case layer.Text:
			c.kind, c.decimals, widest = 'C', 0, 254
			c.width = either(f.Width, defaultText)
		case layer.Integer:
			c.decimals = 0
			c.width = either(f.Width, defaultInteger)
		case layer.Real:
			if f.Width == 0 && f.Decimals == 0 {
				c.decimals = defaultDecimals
			}
			c.width, widest = either(f.Width, defaultReal), 32
		case layer.Decimal:
			c.width, widest = either(f.Width, defaultDecimal), 32
		case layer.Boolean:
			c.kind, c.width, c.decimals = 'L', 1, 0
		case layer.Date:
			c.kind, c.width, c.decimals = 'D', 8, 0
		case layer.Timestamp:
			c.kind, c.width, c.decimals = 'C', len(timestampLayout), 0
		default:
			return nil, fmt.Errorf("shapefile: field %q has the unknown type %s", f.Name, f.Type)
		}
		if c.width < 1 || c.width > widest || c.decimals < 0 || c.decimals > 0 && c.decimals > c.width-2 {
			return nil, fmt.Errorf("shapefile: field %q: width %d with %d decimals is not possible", f.Name, c.width, c.decimals)
		}
		size += c.width
		d.columns = append(d.columns, c)
	}
	if start := 33 + 32*len(d.columns); start > math.MaxUint16 || size > math.MaxUint16 {
		return nil, errors.New("shapefile: the fields are too many or too wide for a DBF (65,535 bytes)")
	}
	d.row = make([]byte, size)
	return d, nil
}

func either(declared, otherwise int) int {
	if declared == 0 {
		return otherwise
	}
	return declared
}

// header is the table header for no rows yet.
func (d *dbfWriter) header() []byte {
	h := make([]byte, 32, 33+32*len(d.columns))
	h[0] = 3
	h[1], h[2], h[3] = 126, 1, 1 // a fixed date, so that the same rows give the same bytes
	le.PutUint16(h[8:], uint16(33+32*len(d.columns)))
	le.PutUint16(h[10:], uint16(len(d.row)))
	h[29] = d.opts.LDID
	for _, c := range d.columns {
		var f [32]byte
		copy(f[:10], c.raw)
		f[11], f[16], f[17] = c.kind, byte(c.width), byte(c.decimals)
		h = append(h, f[:]...)
	}
	return append(h, 0x0D)
}

// finish writes the number of rows into the header and closes.
func (d *dbfWriter) finish(rows int64) error {
	h := d.header()
	le.PutUint32(h[4:], uint32(rows))
	return d.out.finish(h)
}

// encode returns the bytes of a row, valid until the next call.
func (d *dbfWriter) encode(values []any, number int64) ([]byte, error) {
	if d.fid && len(values) == 0 {
		values = []any{number}
	}
	if len(values) != len(d.columns) {
		return nil, fmt.Errorf("there are %d values for %d fields", len(values), len(d.columns))
	}
	d.row[0] = ' '
	for i := range d.columns {
		c := &d.columns[i]
		cell := d.row[c.off : c.off+c.width]
		var err error
		switch {
		case values[i] == nil:
			blank(cell)
			if c.kind == 'L' {
				cell[0] = '?'
			}
		case c.kind == 'N':
			err = d.number(cell, c, values[i])
		default:
			err = d.other(cell, c, values[i])
		}
		if err != nil {
			return nil, fmt.Errorf("field %q: %w", c.name, err)
		}
	}
	return d.row, nil
}

func (d *dbfWriter) number(cell []byte, c *column, v any) error {
	b := d.scratch[:0]
	switch v := v.(type) {
	case int64:
		b = strconv.AppendInt(b, v, 10)
		if c.decimals > 0 {
			b = append(b, '.')
			for range c.decimals {
				b = append(b, '0')
			}
		}
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return errors.New("the number is not finite")
		}
		b = strconv.AppendFloat(b, v, 'f', c.decimals, 64)
	case string:
		n, ok := scan([]byte(v))
		if !ok || n.exp > maxExponent || n.exp < -maxExponent {
			return fmt.Errorf("%q is not a decimal number", v)
		}
		var fits bool
		if b, fits = fraction(append(b, n.decimal()...), c.decimals); !fits {
			return fmt.Errorf("%q has more than %d decimals", v, c.decimals)
		}
	default:
		return mismatched(v, c)
	}
	d.scratch = b
	if _, whole := v.(int64); c.typ == layer.Integer && !whole || c.typ == layer.Decimal && notText(v) {
		return mismatched(v, c)
	}
	if len(b) > len(cell) {
		return fmt.Errorf("%s is longer than the width %d", b, c.width)
	}
	pad := len(cell) - len(b)
	blank(cell[:pad])
	copy(cell[pad:], b)
	return nil
}

func notText(v any) bool {
	_, ok := v.(string)
	return !ok
}

func mismatched(v any, c *column) error {
	return fmt.Errorf("a %T is no value of type %s", v, c.typ)
}

// fraction brings a decimal number to the declared number of decimals. It reports
// false when digits other than zero would be lost.
func fraction(b []byte, decimals int) ([]byte, bool) {
	point := len(b)
	for i, c := range b {
		if c == '.' {
			point = i
		}
	}
	have := max(0, len(b)-point-1)
	for ; have > decimals; have-- {
		if b[len(b)-1] != '0' {
			return b, false
		}
		b = b[:len(b)-1]
	}
	if decimals == 0 {
		return b[:min(point, len(b))], true
	}
	if point == len(b) {
		b = append(b, '.')
	}
	for ; have < decimals; have++ {
		b = append(b, '0')
	}
	return b, true
}

func (d *dbfWriter) other(cell []byte, c *column, v any) error {
	b := d.scratch[:0]
	var ok bool
	switch c.typ {
	case layer.Text:
		var s string
		if s, ok = v.(string); ok {
			raw, err := d.opts.Encode(s)
			if err != nil {
				return err
			}
			if len(raw) > len(cell) {
				return fmt.Errorf("the text has %d bytes, the field takes %d", len(raw), c.width)
			}
			blank(cell[copy(cell, raw):])
			return nil
		}
	case layer.Boolean:
		var yes bool
		if yes, ok = v.(bool); ok {
			cell[0] = 'F'
			if yes {
				cell[0] = 'T'
			}
			return nil
		}
	case layer.Date, layer.Timestamp:
		var t time.Time
		if t, ok = v.(time.Time); ok {
			if t.Year() < 1 || t.Year() > 9999 {
				return fmt.Errorf("the year %d cannot be written", t.Year())
			}
			format := "20060102"
			if c.typ == layer.Timestamp {
				format = timestampLayout
			}
			b = t.UTC().AppendFormat(b, format)
			d.scratch = b
			blank(cell[copy(cell, b):])
			return nil
		}
	}
	return mismatched(v, c)
}

func blank(b []byte) {
	for i := range b {
		b[i] = ' '
	}
}
