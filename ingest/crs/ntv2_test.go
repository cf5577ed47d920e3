package crs

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"changde/problem"
)

// gridSpec is a subgrid to be written: arc-seconds, longitudes positive to the
// east.
type gridSpec struct {
	name, parent             string
	south, north, west, east float64
	step                     float64
	shift                    func(lon, lat float64) (dLon, dLat float64) // arc-seconds
}

// writeNTv2 makes the bytes of a .gsb file.
func writeNTv2(order binary.AppendByteOrder, semiMajor float64, specs ...gridSpec) []byte {
	var b []byte
	name := func(s string) { b = append(b, (s + "        ")[:8]...) }
	count := func(s string, n int) {
		name(s)
		b = order.AppendUint32(b, uint32(n))
		b = append(b, 0, 0, 0, 0)
	}
	text := func(s, v string) {
		name(s)
		name(v)
	}
	real := func(s string, v float64) {
		name(s)
		b = order.AppendUint64(b, math.Float64bits(v))
	}
	count("NUM_OREC", 11)
	count("NUM_SREC", 11)
	count("NUM_FILE", len(specs))
	text("GS_TYPE", "SECONDS")
	text("VERSION", "TEST")
	text("SYSTEM_F", "OLD")
	text("SYSTEM_T", "NEW")
	real("MAJOR_F", semiMajor)
	real("MINOR_F", semiMajor*(1-1/298.3))
	real("MAJOR_T", cgcsA)
	real("MINOR_T", cgcsA*(1-1/cgcsRF))
	for _, s := range specs {
		text("SUB_NAME", s.name)
		text("PARENT", s.parent)
		text("CREATED", "20200101")
		text("UPDATED", "20200101")
		real("S_LAT", s.south)
		real("N_LAT", s.north)
		real("E_LONG", -s.east)
		real("W_LONG", -s.west)
		real("LAT_INC", s.step)
		real("LONG_INC", s.step)
		rows, cols := int(math.Round((s.north-s.south)/s.step))+1, int(math.Round((s.east-s.west)/s.step))+1
		count("GS_COUNT", rows*cols)
		for r := range rows {
			for c := range cols {
				dLon, dLat := s.shift(s.east-float64(c)*s.step, s.south+float64(r)*s.step)
				for _, v := range []float64{dLat, -dLon, 0.1, 0.1} { // positive to the west in the file
					b = order.AppendUint32(b, math.Float32bits(float32(v)))
				}
			}
		}
	}
	name("END")
	return append(b, make([]byte, 8)...)
}

func wave(lon, lat float64) (dLon, dLat float64) {
	return 2 + math.Sin(lon/900)/5, -1 + math.Cos(lat/700)/4
}

// cityGrid has a coarse grid over the city and a finer one of its own shifts
// inside.
func cityGrid(order binary.AppendByteOrder, semiMajor float64) []byte {
	return writeNTv2(order, semiMajor,
		gridSpec{"CITY", "NONE", 28 * 3600, 30.5 * 3600, 110 * 3600, 113 * 3600, 300, wave},
		gridSpec{"TOWN", "CITY", 28.5 * 3600, 29 * 3600, 111 * 3600, 111.75 * 3600, 75, func(lon, lat float64) (float64, float64) {
			a, b := wave(lon, lat)
			return a + 0.01, b - 0.02
		}},
	)
}

func gridTransformation(t testing.TB) *Transformation {
	t.Helper()
	// one smooth grid: where a subgrid begins the shifts may have a step, which no inverse can undo
	b := writeNTv2(binary.LittleEndian, 6378245, gridSpec{"CITY", "NONE", 28 * 3600, 30.5 * 3600, 110 * 3600, 113 * 3600, 300, wave})
	return parsed(t, `{"id":"example-grid","kind":"grid","source":{"datum":"beijing-1954"},"grid":{"base64":%q}}`, base64.StdEncoding.EncodeToString(b))
}

func TestNTv2AgainstPROJ(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	type file struct {
		path                     string
		west, south, east, north float64
	}
	files := []file{}
	for name, order := range map[string]binary.AppendByteOrder{"little.gsb": binary.LittleEndian, "big.gsb": binary.BigEndian} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, cityGrid(order, 6378245), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file{path, 109.9, 27.9, 113.1, 30.6}, file{path, 110.9, 28.4, 111.9, 29.1})
	}
	// Grids of other countries that come with PROJ, where they are installed.
	for _, f := range []file{
		{"/usr/share/proj/BETA2007.gsb", 5, 47, 15.5, 55.5},
		{"/usr/share/proj/ntf_r93.gsb", -5, 42, 9, 51},
		{"/usr/share/proj/CHENYX06a.gsb", 5.8, 45.7, 10.6, 47.9},
		{"/usr/share/proj/nzgd2kgrid0005.gsb", 166, -47, 179, -34},
	} {
		if _, err := os.Stat(f.path); err == nil {
			files = append(files, f)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for _, f := range files {
		b, err := os.ReadFile(f.path)
		if err != nil {
			t.Fatal(err)
		}
		g, err := parseNTv2(b)
		if err != nil {
			t.Errorf("%s: %v", f.path, err)
			continue
		}
		var points [][2]float64
		for range 400 {
			points = append(points, [2]float64{f.west + random.Float64()*(f.east-f.west), f.south + random.Float64()*(f.north-f.south)})
		}
		var got, back []float64
		for _, p := range points {
			x, y := g.toTarget(p[0], p[1])
			got = append(got, x, y)
			x, y = g.toSource(p[0], p[1])
			back = append(back, x, y)
		}
		// PROJ turns shifts into radians in single precision: 1e-10 degrees, a hundredth of a millimetre
		step := fromDeg + " +step %s +proj=hgridshift +grids=" + f.path + toDeg
		compare(t, f.path, got, proj(t, points, "-ct", "+proj=pipeline"+fmt.Sprintf(step, "")), 2e-10)
		if strings.Contains(f.path, "proj") {
			want := proj(t, points, "-ct", "+proj=pipeline"+fmt.Sprintf(step, "+inv"))
			for i, w := range want {
				if g.find(-w[0]*3600, w[1]*3600) == nil { // PROJ also answers with positions just outside
					want[i] = [2]float64{math.NaN(), math.NaN()}
				}
			}
			compare(t, f.path+" inverse", back, want, 2e-10)
		}
	}
}

// The inner grid decides where it lies; outside all of them there is nothing.
func TestNTv2Places(t *testing.T) {
	t.Parallel()
	g, err := parseNTv2(cityGrid(binary.BigEndian, 6378245))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		lon, lat, more float64
	}{{110, 28, 0}, {113, 30.5, 0}, {112, 30, 0}, {111 + 1.0/12, 28 + 7.0/12, 0.01}, {111, 28.5, 0.01}, {111.75, 29, 0.01}} {
		lon, lat := g.toTarget(c.lon, c.lat)
		dLon, dLat := wave(c.lon*3600, c.lat*3600)
		if math.Abs((lon-c.lon)*3600-dLon-c.more) > 1e-5 || math.Abs((lat-c.lat)*3600-dLat+2*c.more) > 1e-5 {
			t.Errorf("at %v %v shifts by %v %v, want %v %v", c.lon, c.lat, (lon-c.lon)*3600, (lat-c.lat)*3600, dLon+c.more, dLat-2*c.more)
		}
	}
	for _, p := range [][2]float64{{109.99, 29}, {113.01, 29}, {111, 27.99}, {111, 30.51}, {-111, 29}, {math.NaN(), 29}, {math.Inf(1), math.Inf(-1)}} {
		if lon, lat := g.toTarget(p[0], p[1]); !math.IsNaN(lon) || !math.IsNaN(lat) {
			t.Errorf("%v becomes %v %v", p, lon, lat)
		}
	}
}

func TestNTv2Rubbish(t *testing.T) {
	t.Parallel()
	good := cityGrid(binary.LittleEndian, 6378245)
	flatGrid := func(specs ...gridSpec) []byte { return writeNTv2(binary.LittleEndian, 6378245, specs...) }
	zero := func(float64, float64) (float64, float64) { return 0, 0 }
	spoil := func(at int, with ...byte) []byte {
		b := append([]byte{}, good...)
		copy(b[at:], with)
		return b
	}
	nan := []byte{0, 0, 0xc0, 0x7f}
	for name, b := range map[string][]byte{
		"empty":            nil,
		"text":             []byte(strings.Repeat("hello", 100)),
		"cut in head":      good[:100],
		"cut in subgrid":   good[:200],
		"cut in nodes":     good[:5000],
		"too long":         make([]byte, maxGridBytes+1),
		"no subgrids":      spoil(40, 0),
		"many subgrids":    spoil(40, 0xff, 0xff),
		"unit":             spoil(56, []byte("GRADIANS")...),
		"name of a line":   spoil(112, []byte("MAJOR_X ")...),
		"name in subgrid":  spoil(176+64, []byte("S_LAX   ")...),
		"lines":            spoil(8, 12),
		"nodes":            spoil(176+168, 1),
		"nodes, huge":      spoil(176+168, 0xff, 0xff, 0xff, 0x7f),
		"a node is no num": spoil(352, nan...),
		"a node is far":    spoil(352, 0, 0, 0, 0x50),
		"step 0":           spoil(176+136, 0, 0, 0, 0, 0, 0, 0, 0),
		"extent":           spoil(176+72, 0, 0, 0, 0, 0, 0, 0xf0, 0x7f),
		"no such parent":   flatGrid(gridSpec{"A", "B", 0, 100, 0, 100, 50, zero}),
		"own parent":       flatGrid(gridSpec{"A", "A", 0, 100, 0, 100, 50, zero}),
		"circle":           flatGrid(gridSpec{"A", "B", 0, 100, 0, 100, 50, zero}, gridSpec{"B", "A", 0, 100, 0, 100, 50, zero}),
		"one name":         flatGrid(gridSpec{"A", "NONE", 0, 100, 0, 100, 50, zero}, gridSpec{"A", "NONE", 0, 100, 0, 100, 50, zero}),
		"beyond parent":    flatGrid(gridSpec{"A", "NONE", 0, 100, 0, 100, 50, zero}, gridSpec{"B", "A", 0, 200, 0, 100, 50, zero}),
		"one row":          flatGrid(gridSpec{"A", "NONE", 0, 0, 0, 150, 50, zero}),
	} {
		_, err := parseNTv2(b)
		var p *problem.Error
		if !errors.As(err, &p) || p.Code != "crs-grid-unreadable" || p.ZH == "" || p.EN == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzNTv2(f *testing.F) {
	zero := func(float64, float64) (float64, float64) { return 1, 1 }
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		f.Add(writeNTv2(order, 6378245, gridSpec{"A", "NONE", 0, 3600, 0, 3600, 1800, zero}, gridSpec{"B", "A", 0, 1800, 0, 1800, 900, zero}))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := parseNTv2(b)
		if err != nil {
			var p *problem.Error
			if !errors.As(err, &p) || p.ZH == "" {
				t.Fatalf("not a problem: %v", err)
			}
			return
		}
		for _, s := range g.roots {
			for _, p := range [][2]float64{{s.east, s.south}, {s.west, s.north}, {(s.east + s.west) / 2, (s.south + s.north) / 2}} {
				lon, lat := g.toTarget(-p[0]/3600, p[1]/3600)
				if !math.IsNaN(lon) && (math.Abs(lon+p[0]/3600) > 1.001 || math.Abs(lat-p[1]/3600) > 1.001) {
					t.Fatalf("%v shifts to %v %v", p, lon, lat)
				}
				g.toSource(-p[0]/3600, p[1]/3600)
			}
		}
	})
}
