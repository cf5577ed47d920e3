package crs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

// The numbers of these documents are made up.
const (
	helmertDoc = `{"id": "example-beijing", "title": {"zh": "示例", "en": "Example"}, "kind": "helmert",
		"source": {"datum": "beijing-1954", "epsg": 2413},
		"helmert": {"convention": %q, "tx": 11.125, "ty": -113.25, "tz": -42.5, "rx": 0.75, "ry": -1.5, "rz": 2.25, "scale": -3.5}}`
	planeDoc = `{"id": "example-city", "kind": "plane", "source": {"datum": "independent"}, "target": {"epsg": 4546},
		"plane": {"axes": %q, "dx": %s, "dy": %s, "rotation": %s, "rotationUnit": %q, "scale": 1.0000123}}`
	xianDoc = `{"id": "example-xian", "kind": "plane", "default": true, "source": {"datum": "xian-1980", "epsg": 2382}, "target": {"epsg": 4525},
		"plane": {"axes": "east-north", "dx": 37000112.5, "dy": -7.25, "rotation": 1.5, "rotationUnit": "arc-second", "scale": 1.000001}}`
)

func parsed(t testing.TB, format string, args ...any) *Transformation {
	t.Helper()
	got, err := ParseTransformation(fmt.Appendf(nil, format, args...))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

const (
	krass    = "+ellps=krass"
	china    = "+a=6378137 +rf=298.257222101"
	toDeg    = " +step +proj=unitconvert +xy_in=rad +xy_out=deg"
	fromDeg  = " +step +proj=unitconvert +xy_in=deg +xy_out=rad"
	sevenPar = " +step +proj=helmert +x=11.125 +y=-113.25 +z=-42.5 +rx=0.75 +ry=-1.5 +rz=2.25 +s=-3.5 +convention="
)

func TestHelmertAgainstPROJ(t *testing.T) {
	t.Parallel()
	for convention, name := range map[string]string{"position-vector": "position_vector", "coordinate-frame": "coordinate_frame"} {
		whole := parsed(t, helmertDoc, convention)
		for epsg, first := range map[int]string{
			2413: " +step +inv +proj=tmerc +lon_0=111 +x_0=37500000 " + krass,
			2434: " +step +inv +proj=tmerc +lon_0=111 +x_0=500000 " + krass,
			4214: fromDeg,
		} {
			tr, ok := whole.From(epsg)
			if !ok {
				t.Fatalf("does not serve EPSG:%d", epsg)
			}
			p, _, _ := legacyProjection(epsg)
			c := flat(city())
			p.Forward(c, 2)
			var points [][2]float64
			for i := 0; i < len(c); i += 2 {
				points = append(points, [2]float64{c[i], c[i+1]})
			}
			tr.Inverse(c, 2)
			pipeline := "+proj=pipeline" + first + " +step +proj=cart " + krass + sevenPar + name + " +step +inv +proj=cart " + china + toDeg
			compare(t, fmt.Sprintf("%s from EPSG:%d", convention, epsg), c, proj(t, points, "-ct", pipeline), 2e-12)
			if epsg == 2413 {
				own := flat(points)
				whole.Inverse(own, 2)
				if !reflect.DeepEqual(own, c) {
					t.Error("EPSG:2413 is not the source of its own")
				}
			}
		}
	}
	// +towgs84 is the position vector.
	tr, _ := parsed(t, helmertDoc, "position-vector").From(4214)
	c := flat(city())
	tr.Inverse(c, 2)
	compare(t, "towgs84", c, proj(t, city(),
		"-s_srs", "+proj=longlat "+krass+" +towgs84=11.125,-113.25,-42.5,0.75,-1.5,2.25,-3.5 +no_defs",
		"-t_srs", "+proj=longlat "+china+" +towgs84=0,0,0,0,0,0,0 +no_defs"), 1e-9)
	if d := math.Abs(c[0] - city()[0][0]); d < 1e-4 {
		t.Errorf("the shift is %g degrees: nothing is tested", d)
	}
}

// The published Krassovsky-to-WGS 84 case of EPSG guidance note 7-2, method 9606:
// position vector of WGS 72 to WGS 84, in geocentric metres.
func TestHelmertPublished(t *testing.T) {
	t.Parallel()
	for _, frame := range []bool{false, true} {
		rz := 0.554
		if frame {
			rz = -rz
		}
		h := newHelmert(CGCS2000, CGCS2000, frame, [3]float64{0, 0, 4.5}, [3]float64{0, 0, rz}, 0.219)
		x, y, z := 3657660.66, 255768.55, 5201382.11
		got := [3]float64{h.tx + h.m*(x-h.rz*y+h.ry*z), h.ty + h.m*(h.rz*x+y-h.rx*z), h.tz + h.m*(-h.ry*x+h.rx*y+z)}
		for i, want := range [3]float64{3657660.78, 255778.43, 5201387.75} {
			if math.Abs(got[i]-want) > 0.006 {
				t.Errorf("frame %v: ordinate %d is %.3f, want %.2f", frame, i, got[i], want)
			}
		}
	}
}

// In either order of axes against PROJ's affine transformation.
func TestPlaneAgainstPROJ(t *testing.T) {
	t.Parallel()
	const dx, dy, scale = 512345.5, 3187654.25, 1.0000123
	angle := -1.25 * degree
	s, c := scale*math.Sin(angle), scale*math.Cos(angle)
	var points [][2]float64
	for _, p := range city() {
		points = append(points, [2]float64{(p[0] - 111.4) * 9e4, (p[1] - 29.2) * 1.1e5})
	}
	for axes, affine := range map[string]string{
		// E' = dx + c·E − s·N, N' = dy + s·E + c·N
		"east-north": fmt.Sprintf("+xoff=%.17g +yoff=%.17g +s11=%.17g +s12=%.17g +s21=%.17g +s22=%.17g", dx, dy, c, -s, s, c),
		// X north: N' = dy + c·N − s·E, E' = dx + s·N + c·E
		"north-east": fmt.Sprintf("+xoff=%.17g +yoff=%.17g +s11=%.17g +s12=%.17g +s21=%.17g +s22=%.17g", dx, dy, c, s, -s, c),
	} {
		x, y := "512345.5", "3187654.25"
		if axes == "north-east" {
			x, y = y, x
		}
		for unit, rotation := range map[string]string{"degree": "-1.25", "arc-second": "-4500", "radian": strconv.FormatFloat(angle, 'g', -1, 64)} {
			tr := parsed(t, planeDoc, axes, x, y, rotation, unit)
			got := flat(points)
			tr.Inverse(got, 2)
			compare(t, axes+" "+unit, got, proj(t, points, "-ct", "+proj=pipeline +step +proj=affine "+affine+" +step +inv +proj=tmerc +lon_0=111 +x_0=500000 "+china+toDeg), 2e-12)
		}
	}
}

// A similarity between planes serves every CRS of its source datum.
func TestPlaneFromOthersOfItsDatum(t *testing.T) {
	t.Parallel()
	tr := parsed(t, xianDoc)
	want := flat(city())
	own, _, _ := legacyProjection(2382)
	own.Forward(want, 2)
	tr.Inverse(want, 2)
	for _, epsg := range []int{2361, 2333, 2344, 2383, 4610} {
		bound, ok := tr.From(epsg)
		if !ok {
			t.Fatalf("does not serve EPSG:%d", epsg)
		}
		got := flat(city())
		p, _, _ := legacyProjection(epsg)
		p.Forward(got, 2)
		bound.Inverse(got, 2)
		for i := range got {
			if math.Abs(got[i]-want[i]) > 1e-11 {
				t.Fatalf("EPSG:%d gives %v, want %v", epsg, got[i], want[i])
			}
		}
	}
	for _, epsg := range []int{2434, 4214, 4490, 4546, 3857, 0, 32649} {
		if _, ok := tr.From(epsg); ok {
			t.Errorf("serves EPSG:%d", epsg)
		}
	}
}

func TestTransformationRoundTrip(t *testing.T) {
	t.Parallel()
	grid := gridTransformation(t)
	rapid.Check(t, func(t *rapid.T) {
		f := func(name string, lo, hi float64) string {
			return strconv.FormatFloat(rapid.Float64Range(lo, hi).Draw(t, name), 'f', 9, 64)
		}
		var doc string
		lon, lat := rapid.Float64Range(110.5, 112.2).Draw(t, "lon"), rapid.Float64Range(28.5, 30.1).Draw(t, "lat")
		switch rapid.IntRange(0, 2).Draw(t, "kind") {
		case 0:
			doc = fmt.Sprintf(`{"id":"a","kind":"helmert","source":{"datum":"xian-1980","projection":{"centralMeridian":%s,"falseEasting":500000,"zone":37}},
				"helmert":{"convention":"coordinate-frame","tx":%s,"ty":%s,"tz":%s,"rx":%s,"ry":%s,"rz":%s,"scale":%s}}`, f("m", 110, 113),
				f("tx", -500, 500), f("ty", -500, 500), f("tz", -500, 500), f("rx", -30, 30), f("ry", -30, 30), f("rz", -30, 30), f("s", -50, 50))
		case 1:
			doc = fmt.Sprintf(`{"id":"a","kind":"plane","source":{"datum":"independent"},"target":{"projection":{"centralMeridian":%s,"falseEasting":%s}},
				"plane":{"axes":%q,"dx":%s,"dy":%s,"rotation":%s,"rotationUnit":"degree","scale":%s}}`, f("m", 110, 113), f("fe", 0, 1e6),
				rapid.SampledFrom([]string{"east-north", "north-east"}).Draw(t, "axes"), f("dx", -1e6, 1e6), f("dy", -1e7, 1e7), f("r", -180, 180), f("s", 0.99, 1.01))
		}
		tr := grid
		if doc != "" {
			var err error
			if tr, err = ParseTransformation([]byte(doc)); err != nil {
				t.Fatal(err)
			}
		}
		c := []float64{lon, lat, 5, 6}
		tr.Forward(c, 4)
		tr.Inverse(c, 4)
		if math.Abs(c[0]-lon) > 1e-10 || math.Abs(c[1]-lat) > 1e-10 || c[2] != 5 || c[3] != 6 {
			t.Fatalf("%v: %.12f %.12f came back as %.12f", tr, lon, lat, c)
		}
	})
}

func TestTransformationConcurrently(t *testing.T) {
	t.Parallel()
	tr := parsed(t, helmertDoc, "position-vector")
	want := flat(city())
	tr.Forward(want, 2)
	tr.Inverse(want, 2)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			c := flat(city())
			tr.Forward(c, 2)
			bound, _ := tr.From(2434)
			_ = bound.Residuals(nil)
			tr.Inverse(c, 2)
			if !reflect.DeepEqual(c, want) {
				t.Error("differs from run to run")
			}
		})
	}
	group.Wait()
}

func TestTransformationEdges(t *testing.T) {
	t.Parallel()
	tr := parsed(t, helmertDoc, "position-vector")
	c := []float64{1, 2, 3}
	tr.Inverse(c, 1)
	tr.Forward(c, 0)
	tr.Inverse(c[:1], 2)
	if c[0] != 1 || c[1] != 2 || c[2] != 3 {
		t.Errorf("changed to %v", c)
	}
	for _, bad := range []float64{math.NaN(), math.Inf(1), 1e300, -1e18} {
		b := []float64{bad, bad, 4}
		tr.Inverse(b, 3)
		tr.Forward(b, 3)
		if b[2] != 4 {
			t.Errorf("%v became %v", bad, b)
		}
	}
	var zero Transformation
	c = []float64{111, 29, 7}
	zero.Inverse(c, 3)
	if !math.IsNaN(c[0]) || !math.IsNaN(c[1]) || c[2] != 7 {
		t.Errorf("the zero value gives %v", c)
	}
	if _, ok := zero.From(2361); ok || zero.Document() != nil || zero.Residuals(nil).Checked != 0 || zero.String() == "" {
		t.Error("the zero value is something")
	}
}

// Whatever shows a transformation shows no parameter: each is a number that is
// nowhere else.
func TestTransformationIsNotShown(t *testing.T) {
	t.Parallel()
	doc := `{"id":"example","kind":"helmert","source":{"datum":"xian-1980","projection":{"centralMeridian":113.777,"falseEasting":677777}},
		"helmert":{"convention":"position-vector","tx":17.777,"ty":27.777,"tz":37.777,"rx":7.777,"ry":8.777,"rz":9.777,"scale":6.777},
		"checkPoints":[{"name":"P1","source":{"east":577777,"north":3177777},"target":{"lon":112.777,"lat":28.777}}]}`
	tr := parsed(t, "%s", doc)
	point := CheckPoint{Name: "P1", Source: [2]float64{577777, 3177777}}
	choice, err := Identify(Evidence{Named: "example", User: 2361, Transformations: []*Transformation{tr}})
	if err != nil {
		t.Fatal(err)
	}
	type holder struct {
		hidden Transformation
		Shown  *Transformation
		Any    any
	}
	var out bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&out, nil))
	text := slog.New(slog.NewTextHandler(&out, nil))
	for _, v := range []any{tr, *tr, []*Transformation{tr}, holder{*tr, tr, *tr}, &holder{*tr, tr, tr}, map[string]any{"t": *tr}, point, &point, []CheckPoint{point}, choice, &choice, Evidence{Transformations: []*Transformation{tr}}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%g", "%f", "%t", "%10.3v"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(b)
		logger.Info("x", "v", v)
		text.Info("x", "v", v)
	}
	wrong := "%p" // fmt passes by every method for this one
	fmt.Fprintf(&out, wrong+wrong, *tr, holder{*tr, tr, *tr})
	dump(&out, reflect.ValueOf(holder{*tr, tr, choice}), 0)
	if !strings.Contains(out.String(), "example") {
		t.Error("not even the id is shown")
	}
	for _, secret := range []string{"777", "4.77e"} {
		if i := strings.Index(out.String(), secret); i >= 0 {
			t.Errorf("a parameter is shown: …%s…", out.String()[max(0, i-80):min(out.Len(), i+40)])
		}
	}
	if b := string(tr.Document()); !strings.Contains(b, "37.777") {
		t.Error("the document lacks its parameters")
	}
	if b, _ := json.Marshal(tr); !strings.HasPrefix(string(b), `{"id":"example","kind":"helmert","rms":`) || strings.Count(string(b), ":") != 3 {
		t.Errorf("encoded as %s", b)
	}
}

// dump prints all that reflection reaches, as debuggers' printers do.
func dump(w *bytes.Buffer, v reflect.Value, depth int) {
	if depth > 12 || !v.IsValid() {
		return
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		dump(w, v.Elem(), depth+1)
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Field(i)
			if f.CanAddr() {
				f = reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem()
			}
			dump(w, f, depth+1)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			dump(w, v.Index(i), depth+1)
		}
	case reflect.Float64:
		fmt.Fprintf(w, "%.17g\n", v.Float())
	case reflect.String:
		fmt.Fprintln(w, v.String())
	}
}

func BenchmarkTransformation(b *testing.B) {
	for _, tr := range []*Transformation{parsed(b, helmertDoc, "position-vector"), parsed(b, xianDoc), gridTransformation(b)} {
		b.Run(string(tr.Kind()), func(b *testing.B) {
			src := make([]float64, 20000)
			for i := 0; i < len(src); i += 2 {
				src[i], src[i+1] = 110.5+float64(i)*8e-5, 28.5+float64(i)*7e-5
			}
			tr.Forward(src, 2)
			c := make([]float64, len(src))
			for b.Loop() {
				copy(c, src)
				tr.Inverse(c, 2)
			}
			b.ReportMetric(float64(b.N)*10000/b.Elapsed().Seconds()/1e6, "Mpoints/s")
		})
	}
}
