package vct

import (
	"fmt"

	"github.com/twpayne/go-geom"
)

// maxNesting is how deep lines may be made of lines and polygons of polygons.
const maxNesting = 4

// assembly makes the geometry of an object, gathering the parts that it names.
type assembly struct {
	r        *Reader
	layout   geom.Layout
	gap      float64
	vertices int
	fetched  int

	odd, closed, stroked, dropped bool
}

func (a *assembly) build(k kind, o *object) (geom.T, *badObject, error) {
	a.stroked = a.stroked || o.stroked
	switch k {
	case points:
		return a.points(o), nil, nil
	case annotations:
		if len(o.paths) == 0 || len(o.paths[0]) == 0 {
			return nil, nil, nil
		}
		return geom.NewPointFlat(a.layout, o.paths[0][:a.layout.Stride()]), nil, nil
	case polylines:
		paths, b, err := a.line(o, 0)
		if b != nil || err != nil || len(paths) == 0 {
			return nil, b, err
		}
		if len(paths) == 1 {
			return geom.NewLineStringFlat(a.layout, paths[0]), nil, nil
		}
		var flat []float64
		var ends []int
		for _, p := range paths {
			flat = append(flat, p...)
			ends = append(ends, len(flat))
		}
		return geom.NewMultiLineStringFlat(a.layout, flat, ends), nil, nil
	}
	rings, b, err := a.rings(o, 0)
	if b != nil || err != nil || len(rings) == 0 {
		return nil, b, err
	}
	g, ok := nest(rings, a.layout)
	if !ok {
		return nil, bad("geometry-too-complex", "圈过多，不能在合理时间内判明嵌套关系", "there are too many rings to find out in reasonable time which contain which"), nil
	}
	return g, nil, nil
}

func (a *assembly) points(o *object) geom.T {
	if len(o.paths) == 0 || len(o.paths[0]) == 0 {
		return nil
	}
	if o.multi {
		return geom.NewMultiPointFlat(a.layout, o.paths[0])
	}
	return geom.NewPointFlat(a.layout, o.paths[0][:a.layout.Stride()])
}

// spend counts vertices, of which one line may be used again and again.
func (a *assembly) spend(flat []float64) *badObject {
	if a.vertices += len(flat) / a.layout.Stride(); a.vertices > maxVertices {
		return bad("geometry-too-large", fmt.Sprintf("图形超过 %d 个顶点", maxVertices), fmt.Sprintf("the geometry has more than %d vertices", maxVertices))
	}
	return nil
}

// line returns the connected paths of a line.
func (a *assembly) line(o *object, depth int) ([][]float64, *badObject, error) {
	if o.curve != 0 {
		return nil, curveUnsupported(o.curve), nil
	}
	a.stroked = a.stroked || o.stroked
	segments := o.paths
	if len(o.refs) > 0 {
		var b *badObject
		var err error
		if segments, b, err = a.parts(o.refs, depth); b != nil || err != nil {
			return nil, b, err
		}
	}
	stride := a.layout.Stride()
	var paths [][]float64
	for _, s := range segments {
		if b := a.spend(s); b != nil {
			return nil, b, nil
		}
		if len(s) < 2*stride {
			return nil, bad("line-too-short", "线少于两个点", "a line has less than two vertices"), nil
		}
		if n := len(paths); n > 0 && meets(paths[n-1], len(paths[n-1])-stride, s, 0, a.gap) {
			paths[n-1] = append(paths[n-1], s[stride:]...)
		} else {
			paths = append(paths, s)
		}
	}
	return paths, nil, nil
}

// parts returns the lines of identifiers, those with a negative one turned round.
func (a *assembly) parts(refs []int64, depth int) ([][]float64, *badObject, error) {
	if depth == maxNesting {
		return nil, bad("geometry-nested", fmt.Sprintf("对象的间接构成超过 %d 层", maxNesting), fmt.Sprintf("objects are made of others more than %d deep", maxNesting)), nil
	}
	var out [][]float64
	for _, ref := range refs {
		if ref == 0 {
			continue
		}
		o, b, err := a.fetch(polylines, max(ref, -ref))
		if b != nil || err != nil {
			return nil, b, err
		}
		paths, b, err := a.line(o, depth+1)
		if b != nil || err != nil {
			return nil, b, err
		}
		if len(paths) != 1 {
			return nil, bad("line-broken", fmt.Sprintf("构成面的线 %d 不连续", max(ref, -ref)), fmt.Sprintf("the line %d that bounds the polygon is not connected", max(ref, -ref))), nil
		}
		p := paths[0]
		if ref < 0 {
			p = reverse(p, a.layout.Stride())
		}
		out = append(out, p)
	}
	return out, nil, nil
}

// fetch reads an object that another names.
func (a *assembly) fetch(k kind, id int64) (*object, *badObject, error) {
	if a.fetched++; a.fetched > 2*maxRefs {
		return nil, bad("geometry-too-large", fmt.Sprintf("图形的构成对象超过 %d 个", 2*maxRefs), fmt.Sprintf("the geometry has more than %d parts", 2*maxRefs)), nil
	}
	e, at, err := a.r.find[k].lookup(id, noLayer, nil)
	if err != nil {
		return nil, nil, err
	}
	if at < 0 {
		return nil, bad("part-missing", fmt.Sprintf("构成对象 %d 不存在", id), fmt.Sprintf("the part %d does not exist", id)), nil
	}
	o, b, err := a.r.object(k, e)
	if b != nil {
		b = bad(b.code, fmt.Sprintf("构成对象 %d：%s", id, b.zh), fmt.Sprintf("part %d: %s", id, b.en))
	}
	return o, b, err
}

// rings returns the closed rings of a polygon.
func (a *assembly) rings(o *object, depth int) ([][]float64, *badObject, error) {
	a.stroked = a.stroked || o.stroked
	if len(o.refs) > 0 {
		return a.indirect(o, depth)
	}
	stride := a.layout.Stride()
	var out [][]float64
	for _, ring := range o.paths {
		if b := a.spend(ring); b != nil {
			return nil, b, nil
		}
		if len(ring) >= 3*stride {
			var closed bool
			ring, closed = closeRing(ring, stride, a.gap)
			a.closed = a.closed || closed
		}
		if len(ring) < 4*stride {
			a.dropped = a.dropped || len(ring) > 0
			continue
		}
		out = append(out, ring)
	}
	if len(out) == 0 && a.dropped {
		return nil, bad("ring-too-short", "面没有四点以上的圈", "the polygon has no ring of four vertices or more"), nil
	}
	return out, nil, nil
}

// indirect joins the lines or polygons that a polygon names.
func (a *assembly) indirect(o *object, depth int) ([][]float64, *badObject, error) {
	if depth == maxNesting {
		return nil, bad("geometry-nested", fmt.Sprintf("对象的间接构成超过 %d 层", maxNesting), fmt.Sprintf("objects are made of others more than %d deep", maxNesting)), nil
	}
	var out [][]float64
	if o.areas {
		for _, ref := range o.refs {
			if ref == 0 {
				continue
			}
			part, b, err := a.fetch(polygons, max(ref, -ref))
			if b != nil || err != nil {
				return nil, b, err
			}
			rings, b, err := a.rings(part, depth+1)
			if b != nil || err != nil {
				return nil, b, err
			}
			out = append(out, rings...)
			if len(out) > maxParts {
				return nil, bad("object-size", fmt.Sprintf("圈数超过 %d", maxParts), fmt.Sprintf("more than %d rings", maxParts)), nil
			}
		}
		return out, nil, nil
	}
	for from := 0; from < len(o.refs); {
		to := from
		for to < len(o.refs) && o.refs[to] != 0 {
			to++
		}
		if to > from {
			lines, b, err := a.parts(o.refs[from:to], depth)
			if b != nil || err != nil {
				return nil, b, err
			}
			rings, odd, ok := chain(lines, a.layout.Stride(), a.gap)
			a.odd = a.odd || odd
			if !ok {
				return nil, bad("ring-open", fmt.Sprintf("由 %d 条线构成的圈不闭合（首条线 %d）", to-from, o.refs[from]), fmt.Sprintf("the %d lines of a ring do not close (the first is %d)", to-from, o.refs[from])), nil
			}
			out = append(out, rings...)
		}
		from = to + 1
	}
	return out, nil, nil
}
