package changde

import (
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/twpayne/go-geom"

	"changde/ingest/crs"
)

var testCity = sync.OnceValues(func() (*city, error) { return loadCity(1) })

func frameOf(t testing.TB) *city {
	t.Helper()
	c, err := testCity()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// sampleBlocks are blocks of every kind: the dense centre and each 97th of the rest.
func sampleBlocks(c *city) []*block {
	list := c.pick(5000)
	for k := 0; k < len(c.blocks); k += 97 {
		list = append(list, c.blocks[k])
	}
	return list
}

// crosses reports whether two closed segments cross or touch.
func crosses(a, b, c, d point) bool {
	turn := func(p, q, r point) float64 { return (q.x-p.x)*(r.y-p.y) - (q.y-p.y)*(r.x-p.x) }
	return turn(a, b, c)*turn(a, b, d) <= 0 && turn(c, d, a)*turn(c, d, b) <= 0
}

// simple reports whether a closed ring touches itself only where neighbours meet.
func simple(flat []float64) bool {
	at := func(k int) point { return point{flat[2*k], flat[2*k+1]} }
	n := len(flat)/2 - 1
	for i := range n {
		if at(i) == at(i+1) {
			return false
		}
		for j := i + 2; j < n; j++ {
			if i == 0 && j == n-1 {
				continue
			}
			if crosses(at(i), at(i+1), at(j), at(j+1)) {
				return false
			}
		}
	}
	return true
}

// The parcels of a block are simple rings turning left, and fill it: their areas add
// up to that of its border.
func TestFabricCoversItsBlock(t *testing.T) {
	t.Parallel()
	c := frameOf(t)
	var f fabric
	vertices, pieces := 0, 0
	for _, b := range sampleBlocks(c) {
		f.load(c, b)
		sum, n := 0.0, 0
		err := f.pieces(func(p *piece) error {
			_, area := p.centroid()
			sum += area
			n++
			start := 0
			for k, end := range p.ends {
				r := p.flat[start:end]
				if !simple(r) || anticlockwise(r) != (k == 0) {
					t.Errorf("block %d,%d piece %d ring %d is not valid: %v", b.i, b.j, p.serial, k, r)
				}
				start = end
			}
			if area < 20 {
				t.Errorf("block %d,%d piece %d has %.1f m2", b.i, b.j, p.serial, area)
			}
			vertices += len(p.flat) / 2
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		var border []float64
		for _, p := range f.border {
			border = append(border, p.x, p.y)
		}
		border = append(border, border[0], border[1])
		if want := areaOf(border); math.Abs(sum-want) > 1e-4 || n != b.parcels() {
			t.Errorf("block %d,%d: %d pieces of %.6f m2, want %d of %.6f", b.i, b.j, n, sum, b.parcels(), want)
		}
		pieces += n
	}
	if mean := float64(vertices) / float64(pieces); mean < 8 || mean > 14 {
		t.Errorf("%.1f vertices a parcel", mean)
	}
}

// Neighbouring blocks have the same vertices on their common border.
func TestFabricBordersMeet(t *testing.T) {
	t.Parallel()
	c := frameOf(t)
	var f, g fabric
	for _, b := range sampleBlocks(c) {
		east := c.blockAt(b.i+1, b.j)
		if east == nil {
			continue
		}
		f.load(c, b)
		g.load(c, east)
		for k := range edgePoints + 1 {
			p, q := f.border[edgePoints+k], g.border[(4*edgePoints-k)%(4*edgePoints)]
			if p.dist(q) > 1e-9 {
				t.Fatalf("block %d,%d point %d: %v and %v", b.i, b.j, k, p, q)
			}
		}
	}
}

// captured runs a writer against memory.
func captured(t *testing.T, epsg int, fields int, run func(*output) error) (geoms []geom.T, rows [][]any) {
	t.Helper()
	o := &output{d: &Delivery{EPSG: epsg}}
	o.inv, _ = crs.ProjectionOf(planeCode)
	o.fwd, _ = crs.ProjectionOf(epsg)
	o.write = func(g geom.T, v []any) error {
		switch g := g.(type) {
		case *geom.Polygon:
			geoms = append(geoms, g.Clone())
		case *geom.LineString:
			geoms = append(geoms, g.Clone())
		case *geom.Point:
			geoms = append(geoms, g.Clone())
		}
		if len(v) != fields {
			t.Fatalf("%d values for %d fields", len(v), fields)
		}
		rows = append(rows, append([]any{}, v...))
		return nil
	}
	if err := run(o); err != nil {
		t.Fatal(err)
	}
	return geoms, rows
}

// equalArea is the area of a ring of degrees on the ellipsoid, by the cylindrical
// equal-area projection: independent of Gauss-Krueger and its scale.
func equalArea(lonlat []float64) float64 {
	const a, fl = 6378137.0, 1 / 298.257222101
	const e2 = fl * (2 - fl)
	e := math.Sqrt(e2)
	flat := make([]float64, len(lonlat))
	for k := 0; k < len(flat); k += 2 {
		s := math.Sin(lonlat[k+1] * math.Pi / 180)
		q := (1 - e2) * (s/(1-e2*s*s) + math.Atanh(e*s)/e)
		flat[k], flat[k+1] = a*lonlat[k]*math.Pi/180, a*q/2
	}
	return areaOf(flat)
}

func TestParcelRows(t *testing.T) {
	t.Parallel()
	c := frameOf(t)
	fields := dltbFields()
	column := map[string]int{}
	for i, f := range fields {
		column[f.Name] = i
	}
	var f fabric
	far := c.blocks[len(c.blocks)/3]
	for _, b := range c.blocks {
		if b.inside == 1 && b.centre.x > far.centre.x {
			far = b // the easternmost has the largest scale
		}
	}
	ids := map[string]bool{}
	kinds := map[string]int{}
	geoms, rows := captured(t, 4525, len(fields), func(o *output) error {
		values := make([]any, len(fields))
		for _, b := range append(sampleBlocks(c), far) {
			f.load(c, b)
			phi := c.latitude(b)
			if err := f.pieces(func(p *piece) error {
				at, plane := p.centroid()
				k := c.countyAt(at)
				if k < 0 {
					return nil
				}
				town, v := c.division(k, at)
				c.dltbRow(values, &f, p, at, plane/scaleSquared(at.x, phi), k, town, v, 1)
				return o.addPlane(shape(p.flat, p.ends), values)
			}); err != nil {
				return err
			}
		}
		return nil
	})
	p, _ := crs.ProjectionOf(4525)
	for n, row := range rows {
		get := func(name string) any { return row[column[name]] }
		id := get("BSM").(string)
		if len(id) != 18 || (ids[id] && n < len(rows)/2) {
			t.Errorf("BSM %s is not unique", id)
		}
		ids[id] = true
		kinds[get("DLBM").(string)]++
		if dw := get("QSDWDM").(string); len(dw) != 19 || dw[:6] != id[:6] {
			t.Errorf("%s lies in %s", id, dw)
		}
		tb, kx, km, net := get("TBMJ").(float64), get("KCXS").(float64), get("KCMJ").(float64), get("TBDLMJ").(float64)
		if math.Abs(km-tb*kx) > 0.0051 || math.Abs(net-(tb-km)) > 1e-6 || net <= 0 {
			t.Errorf("%s: TBMJ %v KCXS %v KCMJ %v TBDLMJ %v", id, tb, kx, km, net)
		}
		flat := append([]float64{}, geoms[n].FlatCoords()...)
		if flat[0] < 37e6 || flat[0] > 38e6 {
			t.Fatalf("%s lies at %v", id, flat[:2])
		}
		p.Inverse(flat, 2)
		area, start := 0.0, 0
		for k, end := range geoms[n].Ends() {
			a := equalArea(flat[start:end])
			if k > 0 {
				a = -a
			}
			area += a
			start = end
		}
		if math.Abs(area-tb) > max(0.02, 2e-5*tb) {
			t.Errorf("%s: TBMJ %.2f, on the ellipsoid %.2f", id, tb, area)
		}
		built := uses[useOf(get("DLBM").(string))].built
		if s, _ := get("CZCSXM").(string); built && s == "" {
			t.Errorf("%s of %s has no CZCSXM", id, get("DLBM"))
		}
	}
	if len(kinds) < 15 {
		t.Errorf("only %d land classes: %v", len(kinds), kinds)
	}
}

func useOf(code string) int {
	for i := range uses {
		if uses[i].code == code {
			return i
		}
	}
	return 0
}

// Houses stand inside their parcel and do not touch each other.
func TestHousesStandInTheirParcel(t *testing.T) {
	t.Parallel()
	c := frameOf(t)
	var f fabric
	houses := 0
	for _, b := range sampleBlocks(c)[:12] {
		f.load(c, b)
		if err := f.pieces(func(p *piece) error {
			at, area := p.centroid()
			if p.kind != cell || !uses[c.landUse(b, at)].built || c.countyAt(at) < 0 {
				return nil
			}
			w := f.x[p.i1] - f.x[p.i0]
			s := site{serial: p.serial, i: p.i0, j: p.j0, county: c.countyAt(at), use: c.landUse(b, at), at: at, width: w, len: area / w}
			parcel := append([]float64{}, p.flat...)
			geoms, _ := captured(t, 4546, len(buildingFields()), func(o *output) error {
				return c.house(o, make([]any, len(buildingFields())), &f, &s, 1+p.serial%5)
			})
			for i, g := range geoms {
				flat := g.FlatCoords()
				for k := 0; k < len(flat); k += 2 {
					if !holds(parcel, point{flat[k], flat[k+1]}) {
						t.Errorf("block %d,%d parcel %d: house %d leaves it", b.i, b.j, p.serial, i)
					}
				}
				for _, h := range geoms[:i] {
					if touch(flat, h.FlatCoords()) {
						t.Errorf("block %d,%d parcel %d: two houses touch", b.i, b.j, p.serial)
					}
				}
				houses++
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if houses < 1000 {
		t.Errorf("only %d houses", houses)
	}
}

func holds(ring []float64, p point) bool {
	odd := false
	for k := 0; k+3 < len(ring); k += 2 {
		ax, ay, bx, by := ring[k], ring[k+1], ring[k+2], ring[k+3]
		if (ay > p.y) != (by > p.y) && p.x < ax+(p.y-ay)/(by-ay)*(bx-ax) {
			odd = !odd
		}
	}
	return odd
}

func touch(a, b []float64) bool {
	at := func(r []float64, k int) point { return point{r[k], r[k+1]} }
	for i := 0; i+3 < len(a); i += 2 {
		for j := 0; j+3 < len(b); j += 2 {
			if crosses(at(a, i), at(a, i+2), at(b, j), at(b, j+2)) {
				return true
			}
		}
	}
	return holds(a, at(b, 0)) || holds(b, at(a, 0))
}

// The roads form one network: all but a few segments hang together.
func TestRoadsAreConnected(t *testing.T) {
	t.Parallel()
	c := frameOf(t)
	blocks := c.pick(30_000)
	geoms, rows := captured(t, 4490, len(roadFields()), func(o *output) error {
		w := &roadWriter{c: c, out: o, values: make([]any, len(roadFields()))}
		for _, b := range blocks {
			for _, err := range []error{w.border(b.i, b.j, 0), w.border(b.i, b.j, 1), w.streets(b)} {
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
	parent := map[[2]float64][2]float64{}
	var find func(p [2]float64) [2]float64
	find = func(p [2]float64) [2]float64 {
		q, ok := parent[p]
		if !ok || q == p {
			parent[p] = p
			return p
		}
		r := find(q)
		parent[p] = r
		return r
	}
	ids := map[any]bool{}
	for i, g := range geoms {
		f := g.FlatCoords()
		a, b := [2]float64{f[0], f[1]}, [2]float64{f[len(f)-2], f[len(f)-1]}
		parent[find(a)] = find(b)
		if ids[rows[i][0]] {
			t.Errorf("road_id %v twice", rows[i][0])
		}
		ids[rows[i][0]] = true
	}
	size := map[[2]float64]int{}
	best := 0
	for _, g := range geoms {
		f := g.FlatCoords()
		r := find([2]float64{f[0], f[1]})
		size[r]++
		best = max(best, size[r])
	}
	if share := float64(best) / float64(len(geoms)); share < 0.98 {
		t.Errorf("the largest of %d parts has %.1f %% of %d segments", len(size), share*100, len(geoms))
	}
}

// Cables end at their nodes and follow the border roads; every asset a project names
// exists.
func TestNetworkAndLinks(t *testing.T) {
	t.Parallel()
	c := frameOf(t)
	n := c.network()
	for _, k := range n.cables {
		flat := n.line(k)
		a, b := n.nodes[k.from].at.point(), n.nodes[k.to].at.point()
		if (point{flat[0], flat[1]}).dist(a) > 1e-6 || (point{flat[len(flat)-2], flat[len(flat)-1]}).dist(b) > 1e-6 {
			t.Errorf("cable %s-%s does not end at its nodes", n.nodes[k.from].id, n.nodes[k.to].id)
		}
		for v := 0; v+3 < len(flat); v += 2 {
			if d := math.Hypot(flat[v+2]-flat[v], flat[v+3]-flat[v+1]); d > 60 || d == 0 {
				t.Fatalf("cable %s-%s jumps %.1f m", n.nodes[k.from].id, n.nodes[k.to].id, d)
			}
		}
	}
	if len(n.cables) != len(n.nodes)-1 {
		t.Errorf("%d cables for %d nodes", len(n.cables), len(n.nodes))
	}
	keys := map[Link]bool{}
	datasets := map[string]bool{"xzq": true, "places": true, "rivers": true, "lakes": true, "roads": true, "dltb": true, "buildings": true, "planning": true}
	for _, l := range n.layers(func(s string) string { return s }) {
		datasets[l.Dataset] = true
		_, rows := captured(t, l.EPSG, len(l.table.fields), func(o *output) error {
			return l.rows(func(g geom.T, own ...any) error { return o.add(g, own) })
		})
		for _, r := range rows {
			k := Link{Dataset: l.Dataset, Key: r[0].(string)}
			if keys[k] {
				t.Errorf("%v twice", k)
			}
			keys[k] = true
			if d := r[6].(string); len(d) != 12 || !strings.HasPrefix(d, "4307") {
				t.Errorf("%v lies in %s", k, d)
			}
		}
	}
	for _, p := range Projects() {
		for _, l := range p.Links {
			if !datasets[l.Dataset] || l.Key != "" && !keys[Link{Dataset: l.Dataset, Key: l.Key}] {
				t.Errorf("%s names %v, which does not exist", p.Code, l)
			}
		}
	}
}

func BenchmarkParcels(b *testing.B) {
	c := frameOf(b)
	var f fabric
	blocks := c.pick(20_000)
	n := 0
	for b.Loop() {
		for _, bl := range blocks {
			f.load(c, bl)
			_ = f.pieces(func(p *piece) error {
				at, _ := p.centroid()
				c.pieceUse(&f, p.kind, at)
				n++
				return nil
			})
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "parcels/s")
}
