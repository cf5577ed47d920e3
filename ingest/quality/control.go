package quality

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/jackc/pgx/v5"

	"changde/catalog"
	"changde/ingest/profile"
	"changde/postgis"
)

// mostUnits bounds the codes of units in a layer, and the units of the control
// dataset.
const mostUnits = 100_000

// controlRelative is the default of profile.ControlParams.Relative.
const controlRelative = 1e-6

// unit is one for which the areas of the rows are added up.
type unit struct {
	code    string
	control float64 // square metres
	sum     float64
	rows    int64
}

// control adds up the areas of the rows by the code of their unit while the layer
// is read, and returns what compares them with the control areas. The areas have
// their edges straight in authalic latitude; of an edge that two rows share the
// error cancels out.
func (c *checker) control(s *scan, r *rule, p profile.AreaParams) (func(context.Context) error, error) {
	nothing := func(context.Context) error { return nil }
	if p.Control == nil {
		return nothing, nil
	}
	col, ok := c.column(p.Control.Unit)
	switch {
	case c.o.Current != nil:
		r.note("差异或追加交付不核对控制面积", "control areas are not compared in a delivery of changes or additions")
		return nothing, nil
	case !ok:
		r.note("未交付字段 "+p.Control.Unit+"，没有核对控制面积", "the field "+p.Control.Unit+" was not delivered: control areas were not compared")
		return nothing, nil
	}
	var relation [2]string
	var columns []catalog.Column
	found := false
	if c.o.Neighbour != nil {
		relation, columns, found = c.o.Neighbour(p.Control.Dataset)
	}
	if !found {
		r.note(fmt.Sprintf("数据集 %s 还没有发布的版本，没有核对控制面积", p.Control.Dataset),
			fmt.Sprintf("dataset %s has no release: control areas were not compared", p.Control.Dataset))
		return nothing, nil
	}
	sums := map[string]*unit{}
	full := false // there are more codes than are kept
	at := s.column(col.Name)
	s.each(r, true, func(w *row) error {
		if !w.shape.areal() {
			return nil
		}
		code := string(bytes.TrimSpace(w.values[at]))
		u := sums[code]
		if u == nil {
			if full = full || len(sums) >= mostUnits; full {
				return nil
			}
			u = &unit{code: code}
			sums[code] = u
		}
		area, _ := w.shape.surface()
		u.sum += area
		u.rows++
		return nil
	})
	return func(ctx context.Context) error {
		if full {
			r.note(fmt.Sprintf("%s 的代码多于 %d 个，没有核对控制面积", col.Name, mostUnits), fmt.Sprintf("%s has more than %d codes: control areas were not compared", col.Name, mostUnits))
			return nil
		}
		other := checker{layer: Layer{Relation: relation, Columns: columns}}
		units, err := c.units(ctx, r, &other, p.Control)
		if err != nil || units == nil {
			return err
		}
		c.tellSums(r, p, col.Name, units, sums)
		return nil
	}, nil
}

// note tells of a part of a rule that was not applied.
func (r *rule) note(zh, en string) {
	if r.NoteZH == "" {
		r.NoteZH, r.NoteEN = zh, en
	}
}

// units reads the control areas by the code of the unit; several features of one
// code are one unit. Nil: they cannot be read, as is noted.
func (c *checker) units(ctx context.Context, r *rule, other *checker, p *profile.ControlParams) (map[string]*unit, error) {
	missing := func(field string) (map[string]*unit, error) {
		r.note(fmt.Sprintf("数据集 %s 没有字段 %s，没有核对控制面积", p.Dataset, field), fmt.Sprintf("dataset %s has no field %s: control areas were not compared", p.Dataset, field))
		return nil, nil
	}
	code, ok := other.column(p.Code)
	if !ok {
		return missing(p.Code)
	}
	q := new(postgis.SQL).Raw("SELECT btrim(").Ident(code.Name).Raw("::text) AS code, sum(")
	if p.Area == "" {
		q.Raw("ST_Area(geom::geography)")
	} else {
		area, ok := other.column(p.Area)
		if !ok {
			return missing(p.Area)
		}
		q.Ident(area.Name).Raw("::float8")
	}
	q.Raw(") FROM ").Ident(other.layer.Relation[0], other.layer.Relation[1]).Raw(" WHERE btrim(").Ident(code.Name).
		Raw("::text) <> '' GROUP BY 1 ORDER BY 1 LIMIT ").Int(mostUnits)
	rows, err := c.tx.Query(ctx, q.String())
	if err != nil {
		return nil, fmt.Errorf("read control areas: %w", err)
	}
	units := map[string]*unit{}
	var name string
	var area *float64
	_, err = pgx.ForEachRow(rows, []any{&name, &area}, func() error {
		if area != nil {
			units[name] = &unit{code: name, control: *area}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read control areas: %w", err)
	}
	return units, nil
}

// tellSums compares each unit with what its rows add up to, and tells how many rows
// are of none.
func (c *checker) tellSums(r *rule, p profile.AreaParams, field string, units, sums map[string]*unit) {
	var lost int64
	for _, s := range sums {
		of := 0
		for n := len(s.code); n > 0; n-- {
			if u := units[s.code[:n]]; u != nil { // a town and its county are each a unit
				u.sum += s.sum
				u.rows += s.rows
				of++
			}
		}
		if of == 0 {
			lost += s.rows
		}
	}
	all := make([]*unit, 0, len(units))
	for _, u := range units {
		all = append(all, u)
	}
	slices.SortFunc(all, func(a, b *unit) int { return cmp.Compare(a.code, b.code) })
	relative := cmp.Or(p.Control.Relative, controlRelative)
	for _, u := range all {
		off := u.sum - u.control
		if math.Abs(off) <= max(p.Absolute, relative*u.control) || !c.found(r) {
			continue
		}
		c.tell(r, 0, "area-sum-mismatch", field, nil,
			fmt.Sprintf("单位 %s 的 %d 行面积合计 %.2f 平方米，控制面积 %.2f 平方米，相差 %+.2f", cut(u.code, 100), u.rows, u.sum, u.control, off),
			fmt.Sprintf("the rows of unit %s (%d) add up to %.2f m², its control area is %.2f m²: %+.2f", cut(u.code, 100), u.rows, u.sum, u.control, off))
	}
	if lost > 0 && c.found(r) {
		c.tell(r, 0, "area-unit-unknown", field, nil, fmt.Sprintf("有 %d 行的 %s 不属于数据集 %s 的任何单位，未计入控制面积", lost, field, p.Control.Dataset),
			fmt.Sprintf("the %s of %d rows is of no unit of dataset %s: they are in no sum", field, lost, p.Control.Dataset))
	}
}
