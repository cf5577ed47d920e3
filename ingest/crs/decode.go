package crs

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"changde/problem"
)

// The bounds of a transformation document.
const (
	maxDocument    = 24 << 20 // bytes, most of them a grid file in base64
	maxCommas      = 50000    // as many members and items
	maxCheckPoints = 1000
	maxTitle       = 200
	maxTranslation = 10000.0 // metres
	maxRotation    = 60.0    // arc-seconds
	maxPPM         = 1000.0
	maxPlane       = 1e9 // metres, of a coordinate
)

var idForm = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

// datums are the names a document has for the datum of its source.
var datums = map[string]family{
	"beijing-1954": beijing1954,
	"new-beijing":  newBeijing,
	"xian-1980":    xian1980,
	"cgcs2000":     cgcs2000,
	"independent":  noDatum,
}

// ParseTransformation reads a transformation from its JSON form
// (docs/formats/crs.md), a grid file being inside it. It is strict: unknown and
// repeated members, wrong types and values out of bounds are one *problem.Error
// ("transformation-invalid", "transformation-not-json") with the place of each, as
// in "$.helmert.rx". No error quotes a parameter. Check points with great
// residuals are no error: see Residuals.
func ParseTransformation(document []byte) (*Transformation, error) {
	return readTransformation(document, nil)
}

// ReadTransformation reads a document from a folder, and the grid file it names,
// which lies beside it.
func ReadTransformation(folder fs.FS, name string) (*Transformation, error) {
	b, err := readBounded(folder, name, maxDocument)
	if err != nil {
		return nil, err
	}
	dir, err := fs.Sub(folder, path.Dir(name))
	if err != nil {
		return nil, fmt.Errorf("open the folder of %s: %w", name, err)
	}
	return readTransformation(b, dir)
}

func readBounded(folder fs.FS, name string, limit int64) ([]byte, error) {
	f, err := folder.Open(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return nil, problem.Wrap(err, problem.NotFound, "transformation-file", clean(name), "文件不存在", "there is no such file")
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	defer f.Close() // read only
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if int64(len(b)) > limit {
		return nil, problem.New(problem.TooLarge, "transformation-file", clean(name), fmt.Sprintf("文件超过 %d MiB", limit>>20), fmt.Sprintf("the file is longer than %d MiB", limit>>20))
	}
	return b, nil
}

func readTransformation(document []byte, folder fs.FS) (*Transformation, error) {
	raw, err := readJSON(document)
	if err != nil {
		return nil, err
	}
	out := &faults{}
	o, ok := openObject("$", raw, out)
	if !ok {
		return nil, out.err()
	}
	d := decoder{t: &Transformation{}, s: &steps{}, folder: folder}
	d.head(o)
	d.source(o)
	d.kind(o)
	points := d.checkPoints(o)
	o.close()
	if err := out.err(); err != nil {
		return nil, err
	}
	// What the document consists of is kept out of reach of reflection.
	t, s := d.t, *d.s
	s.from = s.source
	whole := d.whole(raw)
	t.open = func() *steps { return &s }
	t.checks = func() []CheckPoint { return append([]CheckPoint{}, points...) }
	t.document = func() []byte { return bytes.Clone(whole) }
	r := t.Residuals(nil)
	t.rms, t.checked = r.RMS, r.Checked
	return t, nil
}

// readJSON reads one value. The cause of a syntax error may quote the document,
// so it is not kept.
func readJSON(b []byte) (jsontext.Value, error) {
	if len(b) > maxDocument || bytes.Count(b, []byte(",")) > maxCommas {
		return nil, problem.New(problem.TooLarge, "transformation-too-large", "",
			fmt.Sprintf("文件超过 %d MiB 或成员过多", maxDocument>>20), fmt.Sprintf("the document is longer than %d MiB or has too many members", maxDocument>>20))
	}
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	var v jsontext.Value
	err := json.Unmarshal(b, &v)
	if err == nil {
		return v, nil
	}
	where := ""
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		if at := int(syntax.ByteOffset); at >= 0 && at <= len(b) {
			where = fmt.Sprintf("第 %[1]d 行 line %[1]d", 1+bytes.Count(b[:at], []byte("\n")))
		}
		if errors.Is(syntax, jsontext.ErrDuplicateName) {
			return nil, problem.New(problem.Invalid, "transformation-not-json", where, "有成员重复出现，请只保留一个", "a member is there twice; keep one")
		}
	}
	return nil, problem.New(problem.Invalid, "transformation-not-json", where, "不是合法的 JSON（UTF-8 编码）", "this is not valid JSON in UTF-8")
}

// decoder fills a transformation from its document.
type decoder struct {
	t        *Transformation
	s        *steps
	folder   fs.FS
	gridFile []byte // to be put inside the document
}

func (d *decoder) head(o object) {
	t := d.t
	t.id = o.text("id", 63, true)
	if t.id != "" && !idForm.MatchString(t.id) {
		o.out.add(o.at("id"), "编号只能用小写字母、数字和连字符，以字母开头，如 example-1990", "the id has lower-case letters, digits and dashes and begins with a letter, such as example-1990")
	}
	if _, taken := EncryptedOf(t.id); taken {
		o.out.add(o.at("id"), "编号与 GCJ-02、BD-09 混淆，请另取", "the id is the name of GCJ-02 or BD-09; take another")
	}
	if title, ok := o.object("title", false); ok {
		t.zh, t.en = title.text("zh", maxTitle, true), title.text("en", maxTitle, true)
		title.close()
	}
	t.kind = Kind(o.oneOf("kind", true, string(Plane), string(Helmert), string(Grid)))
	t.standard = o.flag("default")
}

// source reads the system the coordinates are in.
func (d *decoder) source(o object) {
	src, ok := o.object("source", true)
	if !ok {
		return
	}
	defer src.close()
	t := d.t
	t.datum = datums[src.oneOf("datum", true, "beijing-1954", "new-beijing", "xian-1980", "cgcs2000", "independent")]
	if t.datum == otherDatum {
		return
	}
	if t.standard && !t.datum.legacy() {
		o.out.add(o.at("default"), "只有北京 54、新北京 54、西安 80 的转换可设为默认，其他须逐次指名", "only a transformation of Beijing 1954, New Beijing or Xi'an 1980 can be the default; others are named each time")
	}
	d.s.plane = t.datum == noDatum
	switch {
	case d.s.plane:
		if src.has("epsg") || src.has("projection") {
			o.out.add(src.path, "独立平面坐标系没有 epsg 与 projection", "an independent plane system has no epsg and no projection")
			src.take("epsg", false)
			src.take("projection", false)
		}
		if t.kind == Helmert || t.kind == Grid {
			o.out.add(src.at("datum"), "独立平面坐标系只能用四参数（plane）；若其投影与椭球已知，请写明基准与 projection", "an independent plane system takes kind plane alone; if its projection and ellipsoid are known, name the datum and the projection")
		}
	case src.has("epsg"):
		if src.has("projection") {
			o.out.add(src.path, "epsg 与 projection 只能有其一", "there is epsg or projection, not both")
			src.take("projection", false)
		}
		before := len(o.out.paths)
		t.epsg = src.whole("epsg", 1024, 32767, true)
		p, is, known := legacyProjection(t.epsg)
		if !known {
			if p, known = ProjectionOf(t.epsg); known {
				is = familyOfEPSG(t.epsg)
			}
		}
		if len(o.out.paths) == before && (!known || is != t.datum) {
			o.out.add(src.at("epsg"), "该代码不属于所写的基准", "the code is none of the datum named")
		}
		d.s.source = p
	case src.has("projection"):
		d.s.source = readProjection(src, t.datum.ellipsoid())
	}
	if t.kind == Plane && !d.s.plane && d.s.source.method == geographic {
		o.out.add(src.path, "四参数用于平面坐标：请写明 epsg 或 projection，或 independent", "a plane transformation starts from plane coordinates: name an epsg or a projection, or independent")
	}
}

// readProjection reads a member "projection" on an ellipsoid.
func readProjection(parent object, e Ellipsoid) Projection {
	o, ok := parent.object("projection", true)
	if !ok {
		return Projection{}
	}
	defer o.close()
	g := GaussKruger{
		Ellipsoid: e, CentralMeridian: o.number("centralMeridian", -maxDegree, maxDegree, true),
		FalseEasting: o.number("falseEasting", -maxFalse, maxFalse, true), FalseNorthing: o.number("falseNorthing", -maxFalse, maxFalse, false),
		Zone: o.whole("zone", 0, maxZone, false),
	}
	if o.has("scale") {
		g.Scale = o.number("scale", minScale, maxScale, true)
	}
	p, err := g.Projection()
	if err != nil {
		o.out.add(o.path, "投影参数超出范围", "a parameter of the projection is out of bounds")
	}
	return p
}

// kind reads the parameters of the kind; those of another are unknown members.
func (d *decoder) kind(o object) {
	d.s.kind = d.t.kind
	switch d.t.kind {
	case Plane:
		if p, ok := o.object("plane", true); ok {
			d.s.shift = readSimilarity(p)
		}
		d.target(o)
	case Helmert:
		if h, ok := o.object("helmert", true); ok {
			d.s.shift = readHelmert(h, d.t.datum.ellipsoid())
		}
	case Grid:
		if g, ok := o.object("grid", true); ok {
			d.grid(g)
		}
	}
}

// target reads the plane system a similarity leads to.
func (d *decoder) target(o object) {
	dst, ok := o.object("target", true)
	if !ok {
		return
	}
	defer dst.close()
	switch {
	case dst.has("epsg") && dst.has("projection"):
		o.out.add(dst.path, "epsg 与 projection 只能有其一", "there is epsg or projection, not both")
		dst.take("epsg", false)
		dst.take("projection", false)
	case dst.has("projection"):
		d.s.target = readProjection(dst, CGCS2000)
	default:
		before := len(o.out.paths)
		p, known := ProjectionOf(dst.whole("epsg", 1024, 32767, true))
		if len(o.out.paths) == before && (!known || p.method != gauss) {
			o.out.add(dst.at("epsg"), "应为 CGCS2000 高斯-克吕格投影的代码（4491 至 4554），如 4546", "must be a code of CGCS2000 Gauss-Krueger (4491 to 4554), such as 4546")
		}
		d.s.target = p
	}
}

func readSimilarity(o object) shift {
	defer o.close()
	northFirst := o.oneOf("axes", true, "east-north", "north-east") == "north-east"
	dx, dy := o.number("dx", -maxPlane, maxPlane, true), o.number("dy", -maxPlane, maxPlane, true)
	unit := map[string]float64{"arc-second": degree / 3600, "degree": degree, "radian": 1}[o.oneOf("rotationUnit", true, "arc-second", "degree", "radian")]
	most := 360.0
	if unit > 0 {
		most = math.Ceil(2 * math.Pi / unit)
	}
	rotation := o.number("rotation", -most, most, true)
	return newSimilarity(northFirst, dx, dy, rotation*unit, o.number("scale", minScale, maxScale, true))
}

func readHelmert(o object, from Ellipsoid) shift {
	defer o.close()
	frame := o.oneOf("convention", true, "position-vector", "coordinate-frame") == "coordinate-frame"
	var t, r [3]float64
	for i, axis := range []string{"x", "y", "z"} {
		t[i] = o.number("t"+axis, -maxTranslation, maxTranslation, true)
		r[i] = o.number("r"+axis, -maxRotation, maxRotation, true)
	}
	return newHelmert(from, CGCS2000, frame, t, r, o.number("scale", -maxPPM, maxPPM, true))
}

// grid reads the grid file, inside the document or beside it.
func (d *decoder) grid(o object) {
	defer o.close()
	member, b := "base64", []byte(nil)
	if o.has("file") && !o.has("base64") {
		member = "file"
		name := o.text("file", 255, true)
		switch {
		case name == "":
			return
		case d.folder == nil:
			o.out.add(o.at("file"), "格网文件须在文档之内（base64），或与文档同在一个文件夹中读取", "the grid file must be inside the document (base64), or be read from the folder of the document")
			return
		case !fs.ValidPath(name) || strings.ContainsAny(name, `/\`):
			o.out.add(o.at("file"), "应为同一文件夹中的文件名", "must be the name of a file in the same folder")
			return
		}
		var err error
		if b, err = readBounded(d.folder, name, maxGridBytes); err != nil {
			o.out.add(o.at("file"), fmt.Sprintf("文件不存在、无法读取或超过 %d MiB", maxGridBytes>>20), fmt.Sprintf("the file is not there, cannot be read or is longer than %d MiB", maxGridBytes>>20))
			return
		}
		d.gridFile = b
	} else {
		raw, ok := o.take("base64", true)
		if !ok {
			return
		}
		var s string
		err := json.Unmarshal(raw, &s)
		if err == nil {
			b, err = base64.StdEncoding.DecodeString(s)
		}
		if err != nil {
			o.out.add(o.at("base64"), "不是 base64 文字", "this is no base64 text")
			return
		}
	}
	g, err := parseNTv2(b)
	var p *problem.Error
	if errors.As(err, &p) {
		o.out.add(o.at(member), p.ZH, p.EN)
		return
	}
	if a, _ := d.t.datum.ellipsoid().axes(); g.majF != 0 && !(math.Abs(g.majF-a) < 1) && d.t.datum != otherDatum {
		o.out.add(o.at(member), "格网文件的源椭球（MAJOR_F）与所写的基准不符", "the source ellipsoid of the grid file (MAJOR_F) is not that of the datum named")
	}
	d.s.shift = g
}

// whole is the document with the grid file inside.
func (d *decoder) whole(raw jsontext.Value) []byte {
	v := raw.Clone()
	if d.gridFile != nil {
		var members map[string]jsontext.Value
		inside, err := json.Marshal(map[string]string{"base64": base64.StdEncoding.EncodeToString(d.gridFile)})
		if err == nil && json.Unmarshal(v, &members) == nil {
			members["grid"] = inside
			if b, err := json.Marshal(members, json.Deterministic(true)); err == nil {
				v = b
			}
		}
	}
	_ = v.Compact() // it was read as JSON above
	return v
}
