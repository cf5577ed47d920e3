package crs

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
)

// Kind is how a transformation works.
type Kind string

// The kinds of a Transformation.
const (
	Plane   Kind = "plane"   // four-parameter similarity between plane systems
	Helmert Kind = "helmert" // seven parameters between geocentric systems (Bursa-Wolf)
	Grid    Kind = "grid"    // shifts on a grid (NTv2)
)

func (k Kind) zh() string {
	return map[Kind]string{Plane: "四参数", Helmert: "七参数", Grid: "格网"}[k]
}

// Converter brings coordinates to longitude and latitude in degrees of CGCS2000
// (EPSG:4490) in place: Projection, *Transformation and Encrypted. Each point is
// stride numbers long, X and Y first; what follows is left alone. A position for
// which it is not defined becomes NaN or nonsense, never a panic. It is safe for
// concurrent use.
type Converter interface {
	Inverse(flat []float64, stride int)
}

// Transformation takes coordinates of a legacy datum or of a city's independent
// system to CGCS2000 by parameters that the operator supplies and that may be
// classified. It never shows them: whatever prints, logs or encodes a
// Transformation gets its id, its kind and the residual of its check points. Only
// Document gives the whole.
//
// It is made by ParseTransformation or ReadTransformation, immutable and safe for
// concurrent use. The zero value makes every coordinate NaN.
type Transformation struct {
	id, zh, en string
	kind       Kind
	datum      family // noDatum: an independent plane system
	epsg       int    // of the source system, 0 for none
	standard   bool
	rms        float64
	checked    int
	// The parameters are captured by functions, where neither fmt nor a debugging
	// dump by reflection reaches them.
	open     func() *steps
	checks   func() []CheckPoint
	document func() []byte
}

// steps is a transformation at work: coordinates in the system of from, brought to
// the system of source, shifted, and projected back from target.
type steps struct {
	kind         Kind
	from, source Projection
	shift        shift
	target       Projection // of a plane transformation
	plane        bool       // the source system has no geographic coordinates
}

// ID names the transformation.
func (t *Transformation) ID() string { return t.id }

// Kind tells how it works.
func (t *Transformation) Kind() Kind { return t.kind }

// Title gives the Chinese and the English title, "" where there is none.
func (t *Transformation) Title() (zh, en string) { return t.zh, t.en }

// Source gives the name of the system it is for, such as "Xi'an 1980" or
// "Xi'an 1980 / 3-degree Gauss-Kruger zone 37", and its EPSG code, 0 for none.
func (t *Transformation) Source() (name string, epsg int) {
	switch {
	case t.epsg != 0:
		return nameOf(t.epsg), t.epsg
	case t.datum == noDatum:
		return "independent plane system", 0
	}
	return t.datum.en(), 0
}

// Default reports whether the operator lets it be used for data of its source
// datum without being named.
func (t *Transformation) Default() bool { return t.standard }

// Document returns the whole document with its parameters, and with the grid file
// inside, as ParseTransformation reads it. It is for the protected store alone.
func (t *Transformation) Document() []byte {
	if t.document == nil {
		return nil
	}
	return t.document()
}

// From returns the transformation for coordinates in another CRS of its source
// datum: one of Xi'an 1980 serves EPSG:2361, 2382, 2333 and 4610 alike. ok is
// false for a code of another datum.
func (t *Transformation) From(epsg int) (bound *Transformation, ok bool) {
	p, is, ok := legacyProjection(epsg)
	if !ok {
		if p, ok = ProjectionOf(epsg); ok {
			is = familyOfEPSG(epsg)
		}
	}
	if !ok || t.open == nil || is != t.datum {
		return nil, false
	}
	return t.bind(p), true
}

// bind returns the transformation for coordinates in a projection of its datum.
func (t *Transformation) bind(from Projection) *Transformation {
	s := *t.open()
	s.from = from
	bound := *t
	bound.open = func() *steps { return &s }
	return &bound
}

// Inverse brings coordinates of the source system (easting, northing in metres or
// longitude, latitude in degrees) to longitude, latitude in degrees of CGCS2000
// (EPSG:4490) in place. Its contract is that of Projection.Inverse; heights are
// left as they are and taken as 0 by seven parameters. A point outside the grid
// becomes NaN.
func (t *Transformation) Inverse(flat []float64, stride int) {
	if stride < 2 {
		return
	}
	if t.open == nil {
		void(flat, stride)
		return
	}
	s := t.open()
	if s.kind == Plane {
		if !s.plane && !s.from.same(s.source) {
			s.from.Inverse(flat, stride)
			s.source.Forward(flat, stride)
		}
	} else {
		s.from.Inverse(flat, stride)
	}
	for i := 0; i+1 < len(flat); i += stride {
		flat[i], flat[i+1] = s.shift.toTarget(flat[i], flat[i+1])
	}
	if s.kind == Plane {
		s.target.Inverse(flat, stride)
	}
}

// Forward is the reverse of Inverse.
func (t *Transformation) Forward(flat []float64, stride int) {
	if stride < 2 {
		return
	}
	if t.open == nil {
		void(flat, stride)
		return
	}
	s := t.open()
	if s.kind == Plane {
		s.target.Forward(flat, stride)
	}
	for i := 0; i+1 < len(flat); i += stride {
		flat[i], flat[i+1] = s.shift.toSource(flat[i], flat[i+1])
	}
	if s.kind == Plane {
		if !s.plane && !s.from.same(s.source) {
			s.source.Inverse(flat, stride)
			s.from.Forward(flat, stride)
		}
	} else {
		s.from.Forward(flat, stride)
	}
}

func void(flat []float64, stride int) {
	for i := 0; i+1 < len(flat); i += stride {
		flat[i], flat[i+1] = math.NaN(), math.NaN()
	}
}

// String gives id, kind and the residual of the check points.
func (t Transformation) String() string {
	if t.checked == 0 {
		return fmt.Sprintf("transformation %s (%s, no check points)", t.id, t.kind)
	}
	return fmt.Sprintf("transformation %s (%s, RMS %.4f m)", t.id, t.kind, t.rms)
}

// GoString is String.
func (t Transformation) GoString() string { return t.String() }

// Format writes String whatever the verb.
func (t Transformation) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// LogValue gives id, kind and the residual of the check points, null for none.
func (t Transformation) LogValue() slog.Value {
	rms := slog.Any("rms", nil)
	if v := t.shownRMS(); v != nil {
		rms = slog.Float64("rms", *v)
	}
	return slog.GroupValue(slog.String("id", t.id), slog.String("kind", string(t.kind)), rms)
}

// MarshalJSON gives id, kind and rms in metres, null without check points.
func (t Transformation) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		ID   string   `json:"id"`
		Kind Kind     `json:"kind"`
		RMS  *float64 `json:"rms"`
	}{t.id, t.kind, t.shownRMS()})
}

// shownRMS is the residual to a tenth of a millimetre, nil without check points.
func (t Transformation) shownRMS() *float64 {
	if t.checked == 0 {
		return nil
	}
	v := math.Round(t.rms*1e4) / 1e4
	return &v
}
