package changde

import (
	"embed"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"changde/ingest/crs"
)

//go:embed data/*.geojson data/*.csv data/README.md
var data embed.FS

type point struct{ x, y float64 }

func (p point) dist(q point) float64 { return math.Hypot(p.x-q.x, p.y-q.y) }

type county struct {
	code, name string
	rings      [][]float64 // EPSG:4546
	seat       point
	townships  []township
}

// township is a division of township level with its seat, which decides the
// division code of the land around it.
type township struct {
	code, name string
	at         point
	villages   []village
}

type village struct{ code, name string }

// town is a place that draws people: amp parcels per square kilometre at its centre
// falling off with s metres.
type town struct {
	at     point
	amp, s float64
}

// segment is a piece of a county ring or river.
type segment struct {
	ax, ay, bx, by float64
	owner          int     // county index
	width          float64 // of a river, metres from the middle to the bank
}

// city is the frame everything is generated in. It is immutable once loaded.
type city struct {
	seed     uint64
	counties []county
	towns    []town
	edges    [latticeH][]segment // county ring segments by row of blocks
	rivers   map[[2]int][]segment
	blocks   []*block // row by row
	outward  []*block // the same, by distance from the centre
	lattice  [latticeW][latticeH]*block
	plane    crs.Projection
}

type feature struct {
	Properties map[string]any `json:"properties"`
	Geometry   struct {
		Type        string          `json:"type"`
		Coordinates json.RawMessage `json:"coordinates"`
	} `json:"geometry"`
}

func readFeatures(name string) ([]feature, error) {
	b, err := data.ReadFile("data/" + name)
	if err != nil {
		return nil, err
	}
	var fc struct{ Features []feature }
	if err := json.Unmarshal(b, &fc); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return fc.Features, nil
}

func readTable(name string) ([][]string, error) {
	b, err := data.ReadFile("data/" + name)
	if err != nil {
		return nil, err
	}
	rows, err := csv.NewReader(strings.NewReader(string(b))).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return rows[1:], nil
}

func str(p map[string]any, key string) string { s, _ := p[key].(string); return s }

func loadCity(seed uint64) (*city, error) {
	c := &city{seed: mix(seed ^ 0xcdcd), rivers: map[[2]int][]segment{}}
	c.plane, _ = crs.ProjectionOf(planeCode)
	for _, load := range []func() error{c.loadCounties, c.loadPlaces, c.loadRivers} {
		if err := load(); err != nil {
			return nil, err
		}
	}
	c.layBlocks()
	return c, nil
}

// flatten projects a GeoJSON line into EPSG:4546.
func (c *city) flatten(line [][]float64) []float64 {
	flat := make([]float64, 0, 2*len(line))
	for _, p := range line {
		flat = append(flat, p[0], p[1])
	}
	c.plane.Forward(flat, 2)
	return flat
}

func row(y float64) int { return max(0, min(latticeH-1, int((y-originN)/blockSize))) }

func (c *city) loadCounties() error {
	list, err := readFeatures("counties.geojson")
	if err != nil {
		return err
	}
	for i, f := range list {
		var polys [][][][]float64
		if err := json.Unmarshal(f.Geometry.Coordinates, &polys); err != nil {
			return fmt.Errorf("counties.geojson feature %d: %w", i, err)
		}
		k := county{code: str(f.Properties, "adcode"), name: str(f.Properties, "name")}
		for _, poly := range polys {
			for _, ring := range poly {
				flat := c.flatten(ring)
				k.rings = append(k.rings, flat)
				for v := 0; v+3 < len(flat); v += 2 {
					s := segment{ax: flat[v], ay: flat[v+1], bx: flat[v+2], by: flat[v+3], owner: i}
					for r := row(min(s.ay, s.by)); r <= row(max(s.ay, s.by)); r++ {
						c.edges[r] = append(c.edges[r], s)
					}
				}
			}
		}
		c.counties = append(c.counties, k)
	}
	return nil
}

// countyAt returns the index of the county that holds the point, -1 outside.
func (c *city) countyAt(p point) int {
	var odd [16]bool
	for _, s := range c.edges[row(p.y)] {
		if (s.ay > p.y) != (s.by > p.y) && p.x < s.ax+(p.y-s.ay)/(s.by-s.ay)*(s.bx-s.ax) {
			odd[s.owner&15] = !odd[s.owner&15]
		}
	}
	for i := range c.counties {
		if odd[i] {
			return i
		}
	}
	return -1
}

// stem is a township's name without its rank, so that 株木山乡 finds 株木山街道.
func stem(name string) string {
	for _, suffix := range []string{"街道", "镇", "乡", "农场", "林场"} {
		if s, ok := strings.CutSuffix(name, suffix); ok && len(s) > 3 {
			return s
		}
	}
	return name
}

// The county seats by the id of their place.
var seats = map[int64]string{
	1791121: "430702", 6644139: "430703", 1817952: "430721", 1808887: "430722", 1802812: "430723",
	1803382: "430724", 1793105: "430725", 1795139: "430726", 1805379: "430781",
}

func (c *city) loadPlaces() error {
	list, err := readFeatures("places.geojson")
	if err != nil {
		return err
	}
	place := map[[2]string]point{} // county code, stem
	for _, f := range list {
		var xy []float64
		if err := json.Unmarshal(f.Geometry.Coordinates, &xy); err != nil || len(xy) < 2 {
			return fmt.Errorf("places.geojson: a place has no point: %w", err)
		}
		flat := c.flatten([][]float64{xy})
		at := point{flat[0], flat[1]}
		id, _ := f.Properties["geonameid"].(float64)
		h := hash(uint64(id))
		t := town{at: at, amp: 130 + 260*unit(h)*unit(mix(h)), s: 500 + 500*unit(mix(h+1))}
		if code, ok := seats[int64(id)]; ok {
			t.amp, t.s = 850+200*unit(h), 1700+500*unit(mix(h+1))
			switch code {
			case "430702":
				t.amp, t.s = 1050, 3600
			case "430703":
				t.amp, t.s = 600, 2000
			}
			for i := range c.counties {
				if c.counties[i].code == code {
					c.counties[i].seat = at
				}
			}
		}
		c.towns = append(c.towns, t)
		if k := c.countyAt(at); k >= 0 {
			for _, n := range strings.Split(str(f.Properties, "names_zh")+";"+str(f.Properties, "name_zh"), ";") {
				if n != "" {
					place[[2]string{c.counties[k].code, stem(n)}] = at
				}
			}
		}
	}
	return c.loadDivisions(place)
}

// loadDivisions gives each county its townships and villages, at the places found.
func (c *city) loadDivisions(place map[[2]string]point) error {
	townships, err := readTable("townships.csv")
	if err != nil {
		return err
	}
	villages, err := readTable("villages.csv")
	if err != nil {
		return err
	}
	byTownship := map[string][]village{}
	for _, v := range villages {
		byTownship[v[2]] = append(byTownship[v[2]], village{v[0], v[1]})
	}
	for _, r := range townships {
		if len(byTownship[r[0]]) == 0 {
			continue
		}
		for i := range c.counties {
			k := &c.counties[i]
			if k.code != r[2] {
				continue
			}
			at, ok := place[[2]string{k.code, stem(r[1])}]
			if !ok {
				at = c.somewhere(k, r[0], strings.HasSuffix(r[1], "街道"))
			}
			k.townships = append(k.townships, township{r[0], r[1], at, byTownship[r[0]]})
		}
	}
	for _, k := range c.counties {
		if len(k.townships) == 0 || k.seat == (point{}) {
			return fmt.Errorf("%s has no townships or no seat", k.name)
		}
	}
	return nil
}

// somewhere gives a township whose seat is not among the places one in its county:
// a street (街道) near the county seat, any other anywhere.
func (c *city) somewhere(k *county, code string, street bool) point {
	lo, hi := point{math.Inf(1), math.Inf(1)}, point{math.Inf(-1), math.Inf(-1)}
	for _, r := range k.rings {
		for v := 0; v < len(r); v += 2 {
			lo = point{min(lo.x, r[v]), min(lo.y, r[v+1])}
			hi = point{max(hi.x, r[v]), max(hi.y, r[v+1])}
		}
	}
	if street {
		const near = 4500
		lo = point{max(lo.x, k.seat.x-near), max(lo.y, k.seat.y-near)}
		hi = point{min(hi.x, k.seat.x+near), min(hi.y, k.seat.y+near)}
	}
	h := textHash(code)
	for range 500 {
		h = mix(h)
		p := point{lo.x + unit(h)*(hi.x-lo.x), lo.y + unit(mix(h^1))*(hi.y-lo.y)}
		if i := c.countyAt(p); i >= 0 && c.counties[i].code == k.code {
			return p
		}
	}
	return k.seat
}

// Half widths of rivers by level, metres: 沅江 and 澧水 are level 1 and 2.
var riverWidth = map[int]float64{1: 280, 2: 170, 3: 70, 4: 40}

func (c *city) loadRivers() error {
	list, err := readFeatures("rivers.geojson")
	if err != nil {
		return err
	}
	cellOf := func(v, origin float64) int { return int(math.Floor((v - origin) / blockSize)) }
	for i, f := range list {
		var line [][]float64
		if err := json.Unmarshal(f.Geometry.Coordinates, &line); err != nil {
			return fmt.Errorf("rivers.geojson feature %d: %w", i, err)
		}
		level, _ := f.Properties["level"].(float64)
		flat := c.flatten(line)
		w := riverWidth[int(level)]
		for v := 0; v+3 < len(flat); v += 2 {
			s := segment{ax: flat[v], ay: flat[v+1], bx: flat[v+2], by: flat[v+3], width: w}
			const reach = 700 // beyond a bank and the bending of the lattice
			for bi := cellOf(min(s.ax, s.bx)-reach, originE); bi <= cellOf(max(s.ax, s.bx)+reach, originE); bi++ {
				for bj := cellOf(min(s.ay, s.by)-reach, originN); bj <= cellOf(max(s.ay, s.by)+reach, originN); bj++ {
					c.rivers[[2]int{bi, bj}] = append(c.rivers[[2]int{bi, bj}], s)
				}
			}
		}
	}
	return nil
}

// water reports whether a point lies in one of the rivers. The banks are ragged by
// noise.
func (c *city) water(near []segment, p point) bool {
	for _, s := range near {
		dx, dy := s.bx-s.ax, s.by-s.ay
		t := 0.0
		if l := dx*dx + dy*dy; l > 0 {
			t = max(0, min(1, ((p.x-s.ax)*dx+(p.y-s.ay)*dy)/l))
		}
		d := math.Hypot(s.ax+t*dx-p.x, s.ay+t*dy-p.y)
		if d < s.width*1.3 && d < s.width*(0.75+0.5*noise(c.seed^0x7a7e, p.x, p.y, 600)) {
			return true
		}
	}
	return false
}
