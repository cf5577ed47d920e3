package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// The bounds of the map: points that are looked at, positions of the outline, and
// marks that are drawn (near points of a rule share one).
const (
	maxPoints   = 200_000
	maxOutline  = 20_000
	maxMarks    = 1_500
	mapWidth    = 720.0
	minHeight   = 260.0
	maxHeight   = 500.0
	metreDegree = 111_320.0 // metres of a degree of latitude, near enough for a scale bar
)

// spot is a point of the map.
type spot struct {
	lon, lat float64
	rule     int32 // index into the rules of the plot
}

// plot collects the points of the findings.
type plot struct {
	spots []spot
	rules []string
	index map[string]int32
}

func newPlot() *plot { return &plot{index: make(map[string]int32)} }

func (p *plot) add(rule string, place [2]float64) {
	if len(p.spots) >= maxPoints {
		return
	}
	i, ok := p.index[rule]
	if !ok {
		i = int32(len(p.rules))
		p.rules = append(p.rules, rule)
		p.index[rule] = i
	}
	p.spots = append(p.spots, spot{place[0], place[1], i})
}

// overview is the map as the page draws it. Paths are in the units of its view box.
type overview struct {
	Width, Height int
	Outline       string
	Extent        string
	Lines         []gridLine
	Marks         []mark
	Legend        []legend
	ScaleBar      float64
	Plate         float64 // under the scale bar
	ScaleText     string
	Outside       int64 // points that are not within the map
	Beyond        int64 // points that were not looked at
}

type gridLine struct {
	Path, Text string
	X, Y       float64
	Upright    bool // a meridian
}

type mark struct {
	Class, Path, Text string
	radius            float64
}

type legend struct {
	Rule        string
	Class, Path string
	Title       label
	Count       int64 // of the points on the map
}

// view turns longitude and latitude into the units of the map: plate carrée with
// the scale of the middle parallel.
type view struct{ west, north, x, y float64 } // x, y: units of a degree

func (v view) at(lon, lat float64) (float64, float64) {
	return (lon - v.west) * v.x, (v.north - lat) * v.y
}

// draw makes the map; nil when there is nothing to be seen.
func (p *plot) draw(d *Document, placed int64) *overview {
	if len(p.spots) == 0 {
		return nil
	}
	box := p.box(d.Extent)
	o, v := frame(box)
	o.Beyond = placed - int64(len(p.spots))
	if d.Extent != nil {
		x0, y0 := v.at(d.Extent[0], d.Extent[3])
		x1, y1 := v.at(d.Extent[2], d.Extent[1])
		o.Extent = fmt.Sprintf("M%.1f %.1fH%.1fV%.1fH%.1fZ", x0, y0, x1, y1, x0)
	}
	o.Outline = outline(d.Outline, v)
	o.graticule(v)
	o.scale(v)
	p.marks(o, v)
	return o
}

// box is what the map must show: the extent of the data, or else of the points.
func (p *plot) box(extent *[4]float64) [4]float64 {
	if extent != nil {
		return *extent
	}
	b := [4]float64{math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)}
	for _, s := range p.spots {
		b = [4]float64{min(b[0], s.lon), min(b[1], s.lat), max(b[2], s.lon), max(b[3], s.lat)}
	}
	return b
}

// frame fits a map around a box.
func frame(b [4]float64) (*overview, view) {
	const least = 0.002 // degrees, some 200 m
	midLon, midLat := (b[0]+b[2])/2, (b[1]+b[3])/2
	squeeze := max(math.Cos(midLat*math.Pi/180), 0.05)
	w := max(b[2]-b[0], least) * 1.12 * squeeze // in degrees of latitude
	h := max(b[3]-b[1], least) * 1.12
	height := min(max(mapWidth*h/w, minHeight), maxHeight)
	unit := min(mapWidth/w, height/h)
	v := view{x: unit * squeeze, y: unit}
	v.west, v.north = midLon-mapWidth/2/v.x, midLat+height/2/v.y
	return &overview{Width: mapWidth, Height: int(height)}, v
}

// outline is the path of the lines, as far as they go.
func outline(lines [][][2]float64, v view) string {
	var b strings.Builder
	left := maxOutline
	for _, line := range lines {
		for i, c := range line {
			if left--; left < 0 {
				return b.String()
			}
			x, y := v.at(c[0], c[1])
			if math.IsNaN(x+y) || math.Abs(x) > 1e6 || math.Abs(y) > 1e6 {
				break // what is so far away is not drawn
			}
			letter := byte('L')
			if i == 0 {
				letter = 'M'
			}
			b.WriteByte(letter)
			b.WriteString(strconv.FormatFloat(x, 'f', 1, 64))
			b.WriteByte(' ')
			b.WriteString(strconv.FormatFloat(y, 'f', 1, 64))
		}
	}
	return b.String()
}

// graticule draws meridians and parallels at round degrees.
func (o *overview) graticule(v view) {
	step, decimals := 10.0, 0
	for _, s := range []struct {
		step     float64
		decimals int
	}{
		{5, 0}, {2, 0}, {1, 0}, {0.5, 1}, {0.2, 1}, {0.1, 1}, {0.05, 2}, {0.02, 2}, {0.01, 2}, {0.005, 3}, {0.002, 3}, {0.001, 3}, {0.0005, 4},
	} {
		if s.step*v.x < 110 {
			break
		}
		step, decimals = s.step, s.decimals
	}
	w, h := float64(o.Width), float64(o.Height)
	for n := math.Ceil(v.west / step); n*step < v.west+w/v.x && len(o.Lines) < 40; n++ {
		x, _ := v.at(n*step, v.north)
		o.Lines = append(o.Lines, gridLine{
			Path: fmt.Sprintf("M%.1f 0V%d", x, o.Height), Text: degrees(n*step, decimals, "E", "W"), X: x, Y: h - 6, Upright: true,
		})
	}
	south := v.north - h/v.y
	for n := math.Ceil(south / step); n*step < v.north && len(o.Lines) < 80; n++ {
		_, y := v.at(v.west, n*step)
		o.Lines = append(o.Lines, gridLine{
			Path: fmt.Sprintf("M0 %.1fH%d", y, o.Width), Text: degrees(n*step, decimals, "N", "S"), X: 6, Y: y - 4,
		})
	}
}

func degrees(v float64, decimals int, positive, negative string) string {
	if v < 0 {
		v, positive = -v, negative
	}
	return strconv.FormatFloat(v, 'f', decimals, 64) + "°" + positive
}

// scale fits a bar of a round length.
func (o *overview) scale(v view) {
	perMetre := v.y / metreDegree
	length := 1.0
	for _, m := range []float64{2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6} {
		if m*perMetre > 150 {
			break
		}
		length = m
	}
	o.ScaleBar = length * perMetre
	o.Plate = max(o.ScaleBar, 50) + 24
	if length < 1000 {
		o.ScaleText = strconv.FormatFloat(length, 'f', 0, 64) + " m"
	} else {
		o.ScaleText = strconv.FormatFloat(length/1000, 'f', 0, 64) + " km"
	}
}

// pile is the points of one cell of the map, by rule.
type pile struct {
	rules []int32
	sums  []sum
}

type sum struct {
	x, y float64
	n    int64
}

func (p *pile) add(rule int32, x, y float64) {
	i := slices.Index(p.rules, rule)
	if i < 0 {
		i = len(p.rules)
		p.rules, p.sums = append(p.rules, rule), append(p.sums, sum{})
	}
	s := &p.sums[i]
	s.x, s.y, s.n = s.x+x, s.y+y, s.n+1
}

// piles sorts the points that lie on the map into square cells. It gives how many
// marks they make.
func (p *plot) piles(o *overview, v view, edge float64) (map[[2]int32]*pile, int) {
	cells, marks := make(map[[2]int32]*pile), 0
	for _, s := range p.spots {
		x, y := v.at(s.lon, s.lat)
		if x < 0 || y < 0 || x > float64(o.Width) || y > float64(o.Height) {
			continue
		}
		key := [2]int32{int32(x / edge), int32(y / edge)}
		c := cells[key]
		if c == nil {
			c = &pile{}
			cells[key] = c
		}
		before := len(c.rules)
		c.add(s.rule, x, y)
		marks += len(c.rules) - before
	}
	return cells, marks
}

// marks draws the points; those of one rule that fall into one cell are one mark,
// and the rules of a cell stand side by side. The cells grow until there are few
// enough marks.
func (p *plot) marks(o *overview, v view) {
	const smallest, largest, first = 3.2, 10.0, 9.0
	edge := first
	cells, n := p.piles(o, v, edge)
	for n > maxMarks && edge < mapWidth {
		edge *= 1.4
		cells, n = p.piles(o, v, edge)
	}
	counts := make([]int64, len(p.rules))
	on := int64(0)
	for _, c := range cells {
		across := int(math.Ceil(math.Sqrt(float64(len(c.rules)))))
		down := (len(c.rules) + across - 1) / across
		gap := max(edge/float64(across), 2*smallest)
		all := sum{}
		for _, s := range c.sums {
			all = sum{all.x + s.x, all.y + s.y, all.n + s.n}
		}
		order := slices.SortedFunc(slices.Values(c.rules), func(a, b int32) int { return compareRules(p.rules[a], p.rules[b]) })
		for i, rule := range order {
			s := c.sums[slices.Index(c.rules, rule)]
			counts[rule] += s.n
			on += s.n
			x, y, r := s.x/float64(s.n), s.y/float64(s.n), min(5.2+1.6*math.Log10(float64(s.n)), largest)
			if len(order) > 1 {
				x = all.x/float64(all.n) + (float64(i%across)-float64(across-1)/2)*gap
				y = all.y/float64(all.n) + (float64(i/across)-float64(down-1)/2)*gap
				r = max(smallest, min(r, gap/2))
			}
			text := p.rules[rule]
			if s.n > 1 {
				text += " × " + grouped(s.n)
			}
			class, path := symbol(p.rules[rule], x, y, r)
			o.Marks = append(o.Marks, mark{Class: class, Path: path, Text: text, radius: r})
		}
	}
	o.Outside = int64(len(p.spots)) - on
	// The large ones lie below the small ones; the rest makes the order certain.
	slices.SortFunc(o.Marks, func(a, b mark) int {
		return cmp.Or(cmp.Compare(b.radius, a.radius), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Text, b.Text))
	})
	for i, rule := range p.rules {
		if counts[i] == 0 {
			continue
		}
		class, path := symbol(rule, 9, 9, 6)
		zh, en := RuleTitle(rule)
		o.Legend = append(o.Legend, legend{Rule: rule, Class: class, Path: path, Title: label{zh, en}, Count: counts[i]})
	}
	slices.SortFunc(o.Legend, func(a, b legend) int { return compareRules(a.Rule, b.Rule) })
}

// symbol gives each of the twenty rules a form and a colour of its own: rules that
// follow each other differ in form, so that no one needs to tell the colours.
func symbol(rule string, x, y, r float64) (class, path string) {
	n := ruleNumber(rule) - 1
	if n < 0 {
		return "k4", circle(x, y, r)
	}
	class = "k" + strconv.Itoa(n/5%4)
	switch n % 5 {
	case 0:
		return class, circle(x, y, r)
	case 1:
		return class, fmt.Sprintf("M%.1f %.1fh%.1fv%.1fh%.1fz", x-r*0.9, y-r*0.9, r*1.8, r*1.8, -r*1.8)
	case 2:
		return class, fmt.Sprintf("M%.1f %.1fl%.1f %.1fh%.1fz", x, y-r*1.15, r*1.1, r*1.95, -r*2.2)
	case 3:
		return class, fmt.Sprintf("M%.1f %.1fl%.1f %.1fl%.1f %.1fl%.1f %.1fz", x, y-r*1.25, r*1.25, r*1.25, -r*1.25, r*1.25, -r*1.25, -r*1.25)
	}
	a := r * 0.42
	b := r * 1.15
	return class, fmt.Sprintf("M%.1f %.1fh%.1fv%.1fh%.1fv%.1fh%.1fv%.1fh%.1fv%.1fh%.1fv%.1fh%.1fz",
		x-a, y-b, 2*a, b-a, b-a, 2*a, a-b, b-a, -2*a, a-b, a-b, -2*a, b-a)
}

func circle(x, y, r float64) string {
	return fmt.Sprintf("M%.1f %.1fa%.1f %.1f 0 1 0 %.1f 0a%.1f %.1f 0 1 0 %.1f 0z", x-r, y, r, r, 2*r, r, r, -2*r)
}
