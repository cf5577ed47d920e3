package crs

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"changde/problem"
)

func TestReadTransformation(t *testing.T) {
	t.Parallel()
	tr, err := ReadTransformation(os.DirFS("testdata"), "transformations/example-xian.json")
	if err != nil {
		t.Fatal(err)
	}
	zh, en := tr.Title()
	name, epsg := tr.Source()
	if tr.ID() != "example-xian" || tr.Kind() != Helmert || !tr.Default() || zh == "" || en == "" || epsg != 2361 || name != "Xi'an 1980 / 3-degree Gauss-Kruger zone 37" {
		t.Errorf("read %v %q %q %q %d", tr, zh, en, name, epsg)
	}
	if n := len(tr.Residuals(nil).Points); n != 2 {
		t.Errorf("%d check points", n)
	}
	bound, ok := tr.From(2382)
	if !ok {
		t.Fatal("does not serve EPSG:2382")
	}
	if diff := cmp.Diff(tr.Residuals(nil), bound.Residuals(nil)); diff != "" {
		t.Errorf("the check points move with the CRS of the data: %s", diff)
	}
	again, err := ParseTransformation(tr.Document())
	if err != nil || again.String() != tr.String() {
		t.Errorf("its document is read as %v, %v", again, err)
	}
}

func TestReadTransformationWithGrid(t *testing.T) {
	t.Parallel()
	grid := cityGrid(binary.BigEndian, 6378140)
	doc := `{"id": "grid-1", "kind": "grid", "source": {"datum": "xian-1980"}, "grid": {"file": "city.gsb"}, "checkPoints": [
		{"name": "in", "source": {"lon": 111.1, "lat": 29.5}, "target": {"lon": 111.1, "lat": 29.5}},
		{"name": "out", "source": {"lon": 120, "lat": 29.5}, "target": {"lon": 111.1, "lat": 29.5}}]}`
	folder := fstest.MapFS{
		"a/t.json": {Data: []byte(doc)}, "a/city.gsb": {Data: grid}, "t.json": {Data: []byte(doc)},
		"up.json":  {Data: []byte(strings.Replace(doc, "city.gsb", "../city.gsb", 1))},
		"sub.json": {Data: []byte(strings.Replace(doc, "city.gsb", "a/city.gsb", 1))},
		"large":    {Data: make([]byte, maxDocument+1)},
	}
	tr, err := ReadTransformation(folder, "a/t.json")
	if err != nil {
		t.Fatal(err)
	}
	r := tr.Residuals(nil)
	if r.Checked != 1 || len(r.Points) != 2 || !r.Points[1].Outside || r.Points[0].Outside || r.RMS < 10 || r.RMS > 100 || r.Worst != r.RMS {
		t.Errorf("residuals %+v", r)
	}
	whole, err := ParseTransformation(tr.Document())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, whole.Residuals(nil)); diff != "" {
		t.Error(diff)
	}
	if _, err := ParseTransformation([]byte(doc)); err == nil || !strings.Contains(err.Error(), "$.grid.file") {
		t.Errorf("a file is found without a folder: %v", err)
	}
	for name, says := range map[string]string{"t.json": "$.grid.file", "up.json": "same folder", "sub.json": "same folder", "none.json": "no such file", "../x": "no such file", "large": "longer than"} {
		_, err := ReadTransformation(folder, name)
		var p *problem.Error
		if !errors.As(err, &p) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Each fault is found at its place, and nothing of the document is quoted.
func TestParseTransformationFaults(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("testdata/transformations/example-xian.json")
	if err != nil {
		t.Fatal(err)
	}
	good := string(b)
	plane := fmt.Sprintf(planeDoc, "east-north", "1", "2", "3", "degree")
	grid := `{"id":"g","kind":"grid","source":{"datum":"beijing-1954"},"grid":{"base64":"%s"}}`
	wrong := base64.StdEncoding.EncodeToString(cityGrid(binary.LittleEndian, cgcsA))
	for name, c := range map[string]struct {
		doc, old, with, at string
	}{
		"id missing":            {good, `"id": "example-xian",`, ``, "$.id"},
		"id form":               {good, `"example-xian"`, `"Example"`, "$.id"},
		"id of GCJ-02":          {good, `"example-xian"`, `"gcj-02"`, "$.id"},
		"kind":                  {good, `"kind": "helmert"`, `"kind": "magic"`, "$.kind"},
		"title":                 {good, `"zh": "示例`, `"cn": "示例`, "$.title.zh"},
		"member unknown":        {good, `"id"`, `"note": 4711, "id"`, "$"},
		"source missing":        {good, `"source": {"datum": "xian-1980", "epsg": 2361},`, ``, "$.source"},
		"datum":                 {good, `"xian-1980"`, `"xian-80"`, "$.source.datum"},
		"code of another datum": {good, `2361`, `2413`, "$.source.epsg"},
		"code of nothing":       {good, `2361`, `32649`, "$.source.epsg"},
		"code no number":        {good, `2361`, `"2361"`, "$.source.epsg"},
		"epsg and projection":   {good, `2361`, `2361, "projection": {"centralMeridian": 111, "falseEasting": 0}`, "$.source"},
		"convention":            {good, `"coordinate-frame"`, `"bursa"`, "$.helmert.convention"},
		"convention missing":    {good, `"convention": "coordinate-frame",`, ``, "$.helmert.convention"},
		"parameter missing":     {good, `"tx": 1,`, ``, "$.helmert.tx"},
		"parameter a text":      {good, `"tx": 1`, `"tx": "4711.5"`, "$.helmert.tx"},
		"parameter far":         {good, `"ty": 2`, `"ty": 47119.5`, "$.helmert.ty"},
		"rotation far":          {good, `"rx": 0.1`, `"rx": 4711`, "$.helmert.rx"},
		"scale far":             {good, `"scale": 0.5`, `"scale": 4711.5`, "$.helmert.scale"},
		"infinite":              {good, `"tz": 3`, `"tz": 4711e4711`, "$.helmert.tz"},
		"parameters twice":      {good, `"helmert": {`, `"plane": {}, "helmert": {`, "$"},
		"parameters no object":  {plane, `"plane": {`, `"plane": 4711, "x": {`, "$.plane"},
		"check point form":      {good, `"east": 37500000`, `"lon": 4711`, "$.checkPoints[0].source.east"},
		"check point target":    {good, `"lat": 28.9135`, `"lat": 4711`, "$.checkPoints[0].target.lat"},
		"check point code":      {good, `4546`, `2361`, "$.checkPoints[1].target.epsg"},
		"check point no object": {good, `{"name": "A",`, `4711, {"name": "A",`, "$.checkPoints[0]"},
		"check points no list":  {plane, `"kind"`, `"checkPoints": 4711, "kind"`, "$.checkPoints"},
		"default no boolean":    {good, `"default": true`, `"default": "yes"`, "$.default"},
		"default of a city":     {plane, `"kind"`, `"default": true, "kind"`, "$.default"},
		"axes missing":          {plane, `"axes": "east-north",`, ``, "$.plane.axes"},
		"axes":                  {plane, `"east-north"`, `"xy"`, "$.plane.axes"},
		"unit":                  {plane, `"degree"`, `"gon"`, "$.plane.rotationUnit"},
		"turns":                 {plane, `"rotation": 3`, `"rotation": 4711`, "$.plane.rotation"},
		"plane scale in ppm":    {plane, `1.0000123`, `47.11`, "$.plane.scale"},
		"target missing":        {plane, `"target": {"epsg": 4546},`, ``, "$.target"},
		"target geographic":     {plane, `4546`, `4490`, "$.target.epsg"},
		"target legacy":         {plane, `4546`, `2361`, "$.target.epsg"},
		"target twice":          {plane, `4546`, `4546, "projection": {"centralMeridian": 111, "falseEasting": 0}`, "$.target"},
		"target meridian":       {plane, `"epsg": 4546`, `"projection": {"centralMeridian": 4711, "falseEasting": 0}`, "$.target.projection.centralMeridian"},
		"target zone":           {plane, `"epsg": 4546`, `"projection": {"centralMeridian": 111, "falseEasting": 0, "zone": 4.5}`, "$.target.projection.zone"},
		"target no object":      {plane, `{"epsg": 4546}`, `4711`, "$.target"},
		"city with a code":      {plane, `"independent"`, `"independent", "epsg": 2361`, "$.source"},
		"city by helmert":       {good, `"datum": "xian-1980", "epsg": 2361`, `"datum": "independent"`, "$.default"},
		"plane from degrees":    {plane, `"independent"`, `"xian-1980", "epsg": 4610`, "$.source"},
		"grid missing":          {grid, `"grid":{"base64":"%s"}`, `"grid":{}`, "$.grid.base64"},
		"grid no base64":        {grid, `%s`, `4711!`, "$.grid.base64"},
		"grid no grid":          {grid, `%s`, `aGVsbG8=`, "$.grid.base64"},
		"grid, file no text":    {grid, `"base64":"%s"`, `"file":4711`, "$.grid.file"},
		"grid both":             {grid, `"base64":"%s"`, `"file":"a","base64":"` + wrong + `"`, "$.grid.base64"},
		"grid of another datum": {grid, `%s`, wrong, "$.grid.base64"},
		"no object":             {"4711", ``, ``, "$"},
	} {
		if !strings.Contains(c.doc, c.old) {
			t.Fatalf("%s: nothing to spoil", name)
		}
		_, err := ParseTransformation([]byte(strings.Replace(c.doc, c.old, c.with, 1)))
		var p *problem.Error
		if !errors.As(err, &p) || p.Code != "transformation-invalid" || p.Kind != problem.Invalid {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if p.Where != c.at || p.ZH == "" || p.EN == "" {
			t.Errorf("%s: found at %s: %v", name, p.Where, err)
		}
		if strings.Contains(err.Error(), "4711") || p.Err != nil {
			t.Errorf("%s: quotes the document: %v", name, err)
		}
	}
	// several at once
	_, err = ParseTransformation([]byte(`{"id": "A", "kind": "helmert", "source": {"datum": "xian-1980"}, "helmert": {"tx": 1}}`))
	if n := strings.Count(err.Error(), "$."); n < 12 {
		t.Errorf("tells %d places: %v", n, err)
	}
}

func TestParseTransformationRubbish(t *testing.T) {
	t.Parallel()
	for name, doc := range map[string]string{
		"empty": "", "no JSON": "4711 4711", "cut": `{"id": "4711`, "twice": `{"id": "a", "id": "4711"}`, "not UTF-8": "{\"id\": \"\xff4711\"}",
		"deep": strings.Repeat("[", 20000),
	} {
		_, err := ParseTransformation([]byte(doc))
		var p *problem.Error
		if !errors.As(err, &p) || p.Code != "transformation-not-json" || p.Err != nil || strings.Contains(err.Error(), "4711") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, doc := range map[string][]byte{"long": make([]byte, maxDocument+1), "many members": []byte("[" + strings.Repeat("0,", maxCommas+1) + "0]")} {
		_, err := ParseTransformation(doc)
		if !problem.Is(err, problem.TooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The example of the documentation is read as it stands.
func TestDocumentedExamples(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/formats/crs.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllSubmatch(page, -1)
	if len(blocks) < 2 {
		t.Fatalf("%d examples", len(blocks))
	}
	for _, b := range blocks {
		tr, err := ParseTransformation(b[1])
		if err != nil {
			t.Errorf("%v\n%s", err, b[1])
			continue
		}
		if r := tr.Residuals(nil); r.Checked > 0 && r.Worst > 0.05 {
			t.Errorf("%v: %+v", tr, r)
		}
	}
}

func TestResiduals(t *testing.T) {
	t.Parallel()
	tr := parsed(t, planeDoc, "east-north", "0", "0", "0", "degree")
	scale := 1.0000123
	at := func(e, n float64) [2]float64 { return [2]float64{e / scale, n / scale} }
	r := tr.Residuals([]CheckPoint{
		{Name: "exact", Source: at(560000, 3200000), Target: [2]float64{560000, 3200000}, EPSG: 4546},
		{Name: "east by 3, north by 4", Source: at(500003, 3200004), Target: [2]float64{500000, 3200000}, EPSG: 4546},
		{Name: "zone", Source: at(500000, 3200000), Target: [2]float64{37500000, 3200000}, EPSG: 4525},
		{Name: "unknown code", Source: at(500000, 3200000), Target: [2]float64{37500000, 3200000}, EPSG: 32649},
		{Name: "nonsense", Source: [2]float64{math.NaN(), 0}, Target: [2]float64{111, 29}},
	})
	if r.Checked != 3 || len(r.Points) != 5 || !r.Points[3].Outside || !r.Points[4].Outside {
		t.Fatalf("%+v", r)
	}
	if p := r.Points[1]; math.Abs(p.East-3) > 1e-3 || math.Abs(p.North-4) > 1e-3 || math.Abs(p.Distance-5) > 1e-3 {
		t.Errorf("%+v", p)
	}
	if r.Points[0].Distance > 1e-6 || r.Points[2].Distance > 1e-6 || math.Abs(r.RMS-5/math.Sqrt(3)) > 1e-3 || math.Abs(r.Worst-5) > 1e-3 {
		t.Errorf("%+v", r)
	}
	if b, err := json.Marshal(r); err != nil || !bytes.Contains(b, []byte(`"name":"exact"`)) {
		t.Errorf("%s, %v", b, err)
	}
	if r := tr.Residuals(nil); r.Checked != 0 || r.RMS != 0 || r.Points == nil {
		t.Errorf("of no points: %+v", r)
	}
}

func FuzzParseTransformation(f *testing.F) {
	b, err := os.ReadFile("testdata/transformations/example-xian.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(fmt.Appendf(nil, planeDoc, "north-east", "1", "2", "3", "radian"))
	f.Add([]byte(xianDoc))
	f.Add([]byte(`{"id":"g","kind":"grid","source":{"datum":"beijing-1954","projection":{"centralMeridian":111,"falseEasting":0,"zone":37,"scale":1}},"grid":{"base64":"TlVN"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		tr, err := ParseTransformation(b)
		if err != nil {
			var p *problem.Error
			if !errors.As(err, &p) || p.ZH == "" || p.EN == "" || !utf8.ValidString(p.EN) {
				t.Fatalf("not a problem: %v", err)
			}
			return
		}
		again, err := ParseTransformation(tr.Document())
		if err != nil || again.String() != tr.String() {
			t.Fatalf("its document is read as %v, %v", again, err)
		}
		if r := tr.Residuals(nil); math.IsNaN(r.RMS) || math.IsInf(r.RMS, 0) {
			t.Fatalf("%+v", r)
		}
		if _, err := json.Marshal(tr); err != nil {
			t.Fatal(err)
		}
		c := []float64{500000, 3200000, 1, 111, 29, 2}
		tr.Inverse(c, 3)
		tr.Forward(c, 3)
	})
}
