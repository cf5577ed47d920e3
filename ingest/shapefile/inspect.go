package shapefile

import (
	"bytes"
	"fmt"
	"math"
)

// sampleBlocks is the number of places of the table that the sample is taken from.
const sampleBlocks = 64

// inspect fills an Info from parsed files.
func (fs *files) inspect() (*Info, error) {
	info := &Info{
		ShapeType: fs.head.typ, HasZ: fs.head.typ.HasZ(), HasM: fs.head.typ.HasM(),
		Records: fs.records, Box: fs.head.box, PRJ: fs.prj, CPG: fs.cpg, LDID: fs.table.ldid, Notes: fs.notes,
	}
	for _, c := range fs.table.columns {
		info.RawNames = append(info.RawNames, c.raw)
	}
	var err error
	if info.Sample, err = fs.sample(); err != nil {
		return nil, err
	}
	if info.FirstPoints, err = fs.points(); err != nil {
		return nil, err
	}
	return info, nil
}

// sample gathers field names and text values from blocks of rows spread over the
// table. When that shows nothing but ASCII, it looks further for values that are
// not: a layer may hold a few Chinese names among thousands of codes.
func (fs *files) sample() ([]byte, error) {
	s := sampler{}
	for _, c := range fs.table.columns {
		s.add(c.raw)
	}
	w := window{src: fs.dbf}
	blocks := min(sampleBlocks, fs.records)
	for i := range blocks {
		share := (i + 1) * maxSample / blocks
		last := (i + 1) * fs.records / blocks
		last = min(last, i*fs.records/blocks+windowSize/int64(fs.table.rowSize)+1)
		for row := i * fs.records / blocks; row < last && int64(len(s.out)) < share; row++ {
			if err := fs.sampleRow(&w, row, &s); err != nil {
				return nil, err
			}
		}
	}
	const lookFurther = 64 << 20
	s.onlyNonASCII = true
	for row := int64(0); row < min(fs.records, lookFurther/int64(fs.table.rowSize)) && !s.nonASCII && len(s.out) < maxSample; row++ {
		if err := fs.sampleRow(&w, row, &s); err != nil {
			return nil, err
		}
	}
	return s.out, nil
}

// sampler joins values with line feeds.
type sampler struct {
	out          []byte
	nonASCII     bool
	onlyNonASCII bool
}

func (s *sampler) add(v []byte) {
	v = trim(v)
	ascii := true
	for _, c := range v {
		if c >= 0x80 {
			ascii = false
			break
		}
	}
	// Half of the room is kept for values that tell something.
	if len(v) == 0 || ascii && (s.onlyNonASCII || len(s.out) > maxSample/2) || len(s.out)+len(v) >= maxSample {
		return
	}
	s.nonASCII = s.nonASCII || !ascii
	if len(s.out) > 0 {
		s.out = append(s.out, '\n')
	}
	s.out = append(s.out, v...)
}

func (fs *files) sampleRow(w *window, row int64, s *sampler) error {
	b, err := w.bytes(fs.table.start+row*int64(fs.table.rowSize), fs.table.rowSize)
	if err != nil {
		return fmt.Errorf("shapefile: read %s, record %d: %w", fs.dbf.name, row+1, err)
	}
	for i := range fs.table.columns {
		c := &fs.table.columns[i]
		if c.kind != 'C' {
			continue
		}
		v := b[c.off : c.off+c.width]
		if i := bytes.IndexByte(v, 0); i >= 0 {
			v = v[:i]
		}
		s.add(v)
	}
	return nil
}

// points reads the first vertex of up to maxPoints features. Records that make no
// sense are passed over; Open and Next will tell of them.
func (fs *files) points() ([][2]float64, error) {
	var points [][2]float64
	shx, shp := window{src: fs.shx}, window{src: fs.shp}
	pos := int64(headerLength)
	n := min(fs.records, maxPoints)
	if fs.shx == nil {
		n = fs.records
	}
	for i := int64(0); i < n && len(points) < maxPoints; i++ {
		if fs.shx != nil {
			e, err := shx.bytes(headerLength+8*(i*fs.records/n), 8)
			if err != nil {
				return nil, fmt.Errorf("shapefile: read %s: %w", fs.shx.name, err)
			}
			pos = 2 * int64(be.Uint32(e))
		}
		var b [52]byte
		var got int
		if fs.shx != nil {
			got, _ = fs.shp.ReadAt(b[:], pos)
		} else if head, err := shp.bytes(pos, int(min(int64(len(b)), fs.shp.size-pos))); err == nil {
			got = copy(b[:], head) // in step: the window reads ahead
		}
		if p, ok := fs.firstPoint(b[:got], pos); ok {
			points = append(points, p)
		}
		if fs.shx == nil && got < 8 {
			break
		}
		pos += 8 + 2*int64(be.Uint32(b[4:]))
	}
	return points, nil
}

// firstPoint finds the first vertex of the record at pos, whose first bytes are b.
func (fs *files) firstPoint(b []byte, pos int64) (p [2]float64, ok bool) {
	if len(b) < 12 {
		return p, false
	}
	typ := ShapeType(le.Uint32(b[8:]))
	if !typ.Known() || typ == Null || typ == MultiPatch {
		return p, false
	}
	size := 2 * int64(be.Uint32(b[4:]))
	at := int64(12)
	switch typ.base() {
	case MultiPoint:
		at = 8 + 40
	case PolyLine, Polygon:
		if len(b) < 52 {
			return p, false
		}
		at = 8 + 44 + 4*int64(le.Uint32(b[44:]))
	}
	if at+16 > 8+size {
		return p, false
	}
	var xy [16]byte
	if n, _ := fs.shp.ReadAt(xy[:], pos+at); n < len(xy) {
		return p, false
	}
	p = [2]float64{math.Float64frombits(le.Uint64(xy[:])), math.Float64frombits(le.Uint64(xy[8:]))}
	return p, floats(make([]float64, 2), xy[:])
}
