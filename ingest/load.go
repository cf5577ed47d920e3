package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/twpayne/go-geom"
	"golang.org/x/sync/errgroup"

	"changde/catalog"
	"changde/ingest/crs"
	"changde/ingest/finding"
	"changde/ingest/layer"
	"changde/postgis"
	"changde/problem"
)

// storageSRID is the CRS of every dataset: CGCS2000, longitude first in the bytes.
const storageSRID = 4490

// batchRows and batchBytes bound the rows that travel together between
// goroutines.
const (
	batchRows  = 256
	batchBytes = 1 << 20
)

// loader streams a plan's rows into its content table. Reading is one goroutine
// (files are read in order), encoding several, the COPY one connection.
type loader struct {
	plan      *Plan
	converter crs.Converter
	inGo      bool // the coordinates are converted here; otherwise PostGIS transforms
	srid      int
	found     *findings
	odd       []finding.Finding // what the last comparison found beyond the usual
	progress  func(Progress)
	sheets    []sheet
	gauge     *gauge // of the rows as they were loaded
	untouched int64  // rows that had been repaired or refused when they were
	gist      bool   // the staged table has its spatial index
	indexed   bool   // it has what readers need
}

// sheet is where a file's rows begin among the fids.
type sheet struct {
	base int64
	file string
}

func newLoader(p *Plan, found *findings, progress func(Progress)) *loader {
	l := &loader{plan: p, found: found, srid: storageSRID, progress: progress}
	l.converter, l.inGo = p.converter, p.converter != nil
	if !l.inGo {
		l.srid = p.epsg
	}
	return l
}

// batch is rows on their way; chunk receives them encoded, in order of batches.
type batch struct {
	file     string // named in findings when the delivery has several files
	base     int64  // added to a row's number to make its fid
	features []*layer.Feature
	chunk    chan chunk
}

type chunk struct {
	bytes []byte
	err   error
}

// load creates the content table inside tx and fills it. It returns the number
// of rows read.
func (l *loader) load(ctx context.Context, tx pgx.Tx, table string) (read int64, err error) {
	if _, err := tx.Exec(ctx, l.tableSQL(table)); err != nil {
		return 0, fmt.Errorf("create content table: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	workers := runtime.GOMAXPROCS(0)
	gauges := make([]*gauge, workers)
	work := make(chan *batch, workers)
	order := make(chan *batch, 4*workers)
	group.Go(func() error {
		defer close(work)
		defer close(order)
		n, err := l.read(ctx, work, order)
		read = n
		return err
	})
	for n := range gauges {
		gauges[n] = newGauge(l.plan)
		group.Go(func() error {
			encoder := newRowEncoder(l.plan.columns)
			var ewkb []byte
			for b := range work {
				var c chunk
				c, ewkb = l.encode(b, encoder, gauges[n], ewkb)
				b.chunk <- c
			}
			return nil
		})
	}
	group.Go(func() error {
		begun, ended := false, false
		reader := &chunkReader{next: func() ([]byte, error) {
			if !begun {
				begun = true
				return copyHeader, nil
			}
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case b, ok := <-order:
				if !ok {
					if ended {
						return nil, io.EOF
					}
					ended = true
					return copyTrailer, nil
				}
				var c chunk
				select {
				case <-ctx.Done(): // b may never have reached a worker
					return nil, ctx.Err()
				case c = <-b.chunk:
				}
				l.progress(Progress{Phase: Loading, Done: b.base + b.features[len(b.features)-1].Row, Total: l.plan.Rows})
				return c.bytes, c.err
			}
		}}
		if _, err := tx.Conn().PgConn().CopyFrom(ctx, reader, l.copySQL(table)); err != nil {
			var pg *pgconn.PgError
			if errors.As(err, &pg) && strings.HasPrefix(pg.Code, "54") { // program_limit_exceeded
				return problem.Wrap(err, problem.TooLarge, "row-too-wide", pg.Where, "该行的字段太多、太长，超过数据库一行的上限（约 8 kB，长文本除外）；请拆分字段", "the row has too many or too long fields for a row of the database (about 8 kB, long texts aside); split the fields")
			}
			return fmt.Errorf("copy rows: %w", err)
		}
		return nil
	})
	err = group.Wait()
	l.gauge = newGauge(l.plan)
	for _, g := range gauges {
		l.gauge.join(g)
	}
	l.untouched = l.found.altered()
	return read, err
}

func (l *loader) read(ctx context.Context, work, order chan<- *batch) (int64, error) {
	var base int64
	for _, s := range l.plan.delivery.sources {
		file := ""
		if len(l.plan.delivery.sources) > 1 {
			file = s.file
		}
		l.sheets = append(l.sheets, sheet{base: base, file: file})
		rows, err := l.readSource(ctx, s, file, base, work, order)
		base += rows
		if err != nil {
			return base, at(err, s.file)
		}
	}
	return base, nil
}

// rowOf gives the row in its file, and the file where there are several, of a
// fid. It may be called once load has returned.
func (l *loader) rowOf(fid int64) (row int64, file string) {
	for n := len(l.sheets) - 1; n >= 0; n-- {
		if fid > l.sheets[n].base {
			return fid - l.sheets[n].base, l.sheets[n].file
		}
	}
	return fid, ""
}

func (l *loader) readSource(ctx context.Context, s source, file string, base int64, work, order chan<- *batch) (last int64, err error) {
	reader, err := s.open()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	send := func(b *batch) error {
		for _, to := range []chan<- *batch{order, work} {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case to <- b:
			}
		}
		return nil
	}
	b := &batch{file: file, base: base, chunk: make(chan chunk, 1)}
	bytes := 0
	for {
		f, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return last, err
		}
		last = f.Row
		b.features = append(b.features, f)
		bytes += size(f)
		if len(b.features) == batchRows || bytes > batchBytes {
			if err := send(b); err != nil {
				return last, err
			}
			bytes = 0
			b = &batch{file: file, base: base, chunk: make(chan chunk, 1), features: make([]*layer.Feature, 0, batchRows)}
		}
	}
	if len(b.features) > 0 {
		return last, send(b)
	}
	return last, nil
}

// size is about what a feature takes in memory.
func size(f *layer.Feature) int {
	n := 0
	if f.Geom != nil {
		eachFlat(f.Geom, func(flat []float64, _ int) { n += 8 * len(flat) })
	}
	for _, v := range f.Values {
		if s, ok := v.(string); ok {
			n += len(s)
		}
	}
	return n
}

func (l *loader) encode(b *batch, encoder *rowEncoder, measured *gauge, ewkb []byte) (chunk, []byte) {
	var c chunk
	for _, f := range b.features {
		op, values, ok := l.operation(b, f)
		if !ok || !l.conform(b, f, values) {
			continue
		}
		g, e, ok := l.accept(b, f, op)
		if !ok {
			continue
		}
		ewkb = ewkb[:0]
		if g != nil {
			var err error
			if ewkb, err = postgis.AppendEWKB(ewkb, g, l.srid); err != nil {
				l.refuse(b, f, "geometry-unstorable", "几何无法存入数据库："+err.Error(), "the geometry cannot be stored: "+err.Error())
				continue
			}
		}
		if c.bytes, c.err = encoder.append(c.bytes, b.base+f.Row, values, ewkb, spanOf(e), op); c.err != nil {
			return c, ewkb
		}
		measured.add(b.base+f.Row, values, g, e)
	}
	return c, ewkb
}

// spanOf is the larger side of an extent in degrees, rounded up to five binary
// digits: neighbours, which are often about equal, then lie together in the index on
// it, and writing a part of the city again touches a part of the index.
func spanOf(e [4]float64) float32 {
	const low = 1<<19 - 1 // the digits of a float32 beyond the five
	v := math.Float32bits(float32(max(e[2]-e[0], e[3]-e[1], 0)))
	return math.Float32frombits((v + low) &^ low)
}

// operations are the ways in which a row of a differential delivery says what it is.
var operations = map[string]byte{
	"i": 'I', "u": 'U', "d": 'D', "insert": 'I', "update": 'U', "delete": 'D', "a": 'I', "m": 'U', "add": 'I', "modify": 'U',
	"增": 'I', "改": 'U', "删": 'D', "新增": 'I', "增加": 'I', "变更": 'U', "修改": 'U', "删除": 'D', "灭失": 'D',
}

// operation gives what a row of a differential delivery does, 0 in others, and
// the values without the field that says so.
func (l *loader) operation(b *batch, f *layer.Feature) (op byte, values []any, ok bool) {
	at := l.plan.changeField
	if at < 0 || at >= len(f.Values) {
		return 0, f.Values, true
	}
	given := strings.TrimSpace(fmt.Sprint(f.Values[at]))
	op = operations[strings.ToLower(given)]
	if op == 0 {
		l.refuse(b, f, "change-flag", fmt.Sprintf("变更标识 %q 不是 I、U、D（增、改、删）", cut(given, 100)), fmt.Sprintf("the change flag %q is none of I, U, D", cut(given, 100)))
		return 0, nil, false
	}
	return op, slices.Delete(slices.Clone(f.Values), at, at+1), true
}

// accept brings a row's geometry into the column's type and CRS, or refuses the
// row; what a person must be told of the row is found in either case. A row that
// deletes needs no geometry.
func (l *loader) accept(b *batch, f *layer.Feature, op byte) (_ geom.T, e [4]float64, ok bool) {
	if op == 'D' {
		return nil, e, true
	}
	r := row{loader: l, feature: f, file: b.file}
	g, e, ok := r.examine()
	l.found.add(r.found...)
	return g, e, ok
}

func (l *loader) refuse(b *batch, f *layer.Feature, code, zh, en string) {
	l.found.add(finding.Finding{Row: f.Row, File: b.file, Code: code, Action: finding.Refused, ZH: zh, EN: en})
}

// row is one row under examination.
type row struct {
	*loader
	feature *layer.Feature
	file    string
	found   []finding.Finding
}

func (r *row) tell(action finding.Action, code, zh, en string, place *[2]float64) {
	r.found = append(r.found, finding.Finding{Row: r.feature.Row, File: r.file, Code: code, Action: action, ZH: zh, EN: en, Place: place})
}

// examine gives the geometry as it is stored and, where it was brought to the
// storage CRS here, its extent.
func (r *row) examine() (_ geom.T, e [4]float64, ok bool) {
	lost := false
	for _, fault := range r.feature.Faults {
		action := finding.Noted
		if fault.Lost {
			action, lost = finding.Refused, true
		}
		r.tell(action, fault.Code, fault.ZH, fault.EN, nil)
		r.found[len(r.found)-1].Field = fault.Field
	}
	if lost {
		return nil, e, false
	}
	given := r.feature.Geom
	if given == nil || given.Empty() {
		r.tell(finding.Refused, "geometry-missing", "该行没有几何", "the row has no geometry", nil)
		return nil, e, false
	}
	g, fits := r.shape(given)
	if !fits {
		return nil, e, false
	}
	g, changed := layer.Layout(g, r.plan.z)
	if changed {
		r.tell(finding.Noted, "ordinates-changed", "坐标维数与图层不同：缺少的高程记为 0，多余的 M 值舍去",
			"the row's dimensions differ from the layer's: a missing height becomes 0, an M value is dropped", nil)
	}
	stored := extent(g)
	eachFlat(g, func(flat []float64, stride int) {
		if r.plan.swapped {
			crs.SwapXY(flat, stride)
		}
		if r.inGo {
			r.converter.Inverse(flat, stride)
		}
	})
	if !r.inGo {
		if !finite(stored) {
			r.tell(finding.Refused, "coordinates-not-finite", "坐标含 NaN 或无穷大", "a coordinate is NaN or infinite", nil)
			return nil, e, false
		}
		return g, e, true
	}
	e = extent(g)
	box := r.plan.box
	if !box.Contains(e[0], e[1]) || !box.Contains(e[2], e[3]) {
		zh, en := outside(stored, e, box)
		r.tell(finding.Refused, "outside-box", zh, en, placeOf(e))
		return nil, e, false
	}
	return g, e, true
}

// shape makes the geometry one of the column's type, or refuses the row.
func (r *row) shape(given geom.T) (geom.T, bool) {
	g, fits := fit(given, r.plan.geometry)
	if fits {
		return g, true
	}
	if r.plan.closes {
		areas, gap := closed(given)
		if areas != nil {
			r.tell(finding.Noted, "line-closed", "闭合的折线作为面入库", "the closed line is loaded as an area", nil)
			return areas, true
		}
		if !math.IsNaN(gap) {
			r.tell(finding.Refused, "line-open",
				fmt.Sprintf("折线不闭合（首尾相距 %.4g 图形单位）或不足三个顶点，不能作为面；请在图中闭合", gap),
				fmt.Sprintf("the line's ends are %.4g units apart, or it has fewer than three vertices, so it is no area; close it in the drawing", gap), nil)
			return nil, false
		}
	}
	r.tell(finding.Refused, "geometry-type",
		fmt.Sprintf("几何类型 %s 与图层类型 %s 不符", typeName(given), r.plan.geometry),
		fmt.Sprintf("the geometry is a %s in a layer of %s", typeName(given), r.plan.geometry), nil)
	return nil, false
}

func outside(stored, e [4]float64, box catalog.Bounds) (zh, en string) {
	if !finite(stored) {
		return "坐标含 NaN 或无穷大", "a coordinate is NaN or infinite"
	}
	return fmt.Sprintf("坐标（%.3f, %.3f）换算为经度 %.6f 纬度 %.6f，超出数据集范围 %s", stored[0], stored[1], e[0], e[1], boxText(box)),
		fmt.Sprintf("the coordinates (%.3f, %.3f) are longitude %.6f latitude %.6f, outside the dataset's box %s", stored[0], stored[1], e[0], e[1], boxText(box))
}

func boxText(b catalog.Bounds) string {
	return fmt.Sprintf("[%g, %g, %g, %g]", b[0], b[1], b[2], b[3])
}

func finite(e [4]float64) bool {
	for _, v := range e {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return false
		}
	}
	return true
}

// placeOf returns the middle of e when it is a place on the globe.
func placeOf(e [4]float64) *[2]float64 {
	lon, lat := (e[0]+e[2])/2, (e[1]+e[3])/2
	if !(math.Abs(lon) <= 180 && math.Abs(lat) <= 90) {
		return nil
	}
	return &[2]float64{lon, lat}
}

func typeName(g geom.T) string {
	return strings.TrimPrefix(fmt.Sprintf("%T", g), "*geom.")
}

func geometryType(s *postgis.SQL, geometry string, z bool, srid int) {
	s.Raw("geometry(").Ident(geometry + map[bool]string{true: "Z"}[z]).Raw(", ").Int(int64(srid)).Raw(")")
}

func (l *loader) tableSQL(table string) string {
	s := new(postgis.SQL)
	s.Raw("CREATE TABLE ").Ident("content", table).Raw(" (fid bigint NOT NULL")
	for _, c := range l.plan.columns {
		s.Raw(", ").Ident(c.Name).Raw(" ")
		catalog.AppendType(s, c.Type)
	}
	s.Raw(", geom ")
	geometryType(s, l.plan.geometry, l.plan.z, l.srid)
	if l.plan.changeField >= 0 {
		return s.Raw(", span real NOT NULL, hash bigint, op text NOT NULL)").String()
	}
	// The room left in each page takes the next version of its rows.
	return s.Raw(" NOT NULL, span real NOT NULL, hash bigint) WITH (fillfactor = 90)").String()
}

func (l *loader) copySQL(table string) string {
	s := new(postgis.SQL)
	// The table is of this transaction, so its rows need no second writing when they
	// are first read.
	return s.Raw("COPY ").Ident("content", table).Raw(" FROM STDIN (FORMAT binary, FREEZE)").String()
}
