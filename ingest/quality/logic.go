package quality

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"

	"changde/ingest/profile"
)

// logic is Q15. Each of its checks names the columns it looks at, and gives a
// function of their values.
func (c *checker) logic(s *scan, r *rule) error {
	v, err := r.spec.Parameters(c.o.Profile)
	if err != nil {
		return err
	}
	var check func(fid int64, v [][]byte)
	var names []string
	bind := func(fields ...string) bool {
		for _, f := range fields {
			col, ok := c.column(f)
			if !ok {
				c.missing(r, f)
				return false
			}
			names = append(names, col.Name)
		}
		return true
	}
	switch p := v.(type) {
	case profile.NameOfCodeParams:
		if bind(p.Code, p.Name) {
			check = c.nameOfCode(r, p, names)
		}
	case profile.RequiredWhenParams:
		if bind(p.Field, p.When) {
			check = c.requiredWhen(r, p, names)
		}
	case profile.ValueWhenParams:
		if bind(p.Field, p.When) {
			check = c.valueWhen(r, p, names)
		}
	case profile.ProductParams:
		if bind(append([]string{p.Result}, p.Factors...)...) && len(names) > 1 {
			check = c.product(r, p, names)
		}
	case profile.DifferenceParams:
		if bind(p.Result, p.Minuend, p.Subtrahend) {
			check = c.difference(r, p, names)
		}
	}
	if check == nil {
		return nil
	}
	at := make([]int, len(names))
	for i, n := range names {
		at[i] = s.column(n)
	}
	values := make([][]byte, len(at))
	s.each(r, false, func(w *row) error {
		for i, k := range at {
			values[i] = bytes.TrimSpace(w.values[k])
		}
		check(w.fid, values)
		return nil
	})
	return nil
}

// nameOfCode is nil when there is no such table. A code the table has not is the
// matter of Q14.
func (c *checker) nameOfCode(r *rule, p profile.NameOfCodeParams, names []string) func(int64, [][]byte) {
	table := p.Codes
	if table == "" {
		if f, ok := c.o.Profile.Field(p.Code); ok {
			table = f.Codes
		}
	}
	of, ok := c.names(r, table)
	if !ok {
		r.skip(r.NoteZH, r.NoteEN)
		return nil
	}
	return func(fid int64, v [][]byte) {
		if len(v[0]) == 0 {
			return
		}
		name, ok := of(string(v[0]))
		if ok && name != string(v[1]) && c.found(r) {
			c.tell(r, fid, "code-name-mismatch", names[1], nil,
				fmt.Sprintf("%s 为 %s，%s 应为“%s”而不是“%s”", names[0], shown(v[0]), names[1], name, shown(v[1])),
				fmt.Sprintf("%s is %s, so that %s should be %q and not %q", names[0], shown(v[0]), names[1], name, shown(v[1])))
		}
	}
}

func (c *checker) requiredWhen(r *rule, p profile.RequiredWhenParams, names []string) func(int64, [][]byte) {
	return func(fid int64, v [][]byte) {
		if len(v[1]) > 0 && len(v[0]) == 0 && profile.Among(string(v[1]), p.In) && c.found(r) {
			c.tell(r, fid, "required-when", names[0], nil, fmt.Sprintf("%s 为 %s 时必须填写 %s", names[1], shown(v[1]), names[0]),
				fmt.Sprintf("%s must be filled in, for %s is %s", names[0], names[1], shown(v[1])))
		}
	}
}

func (c *checker) valueWhen(r *rule, p profile.ValueWhenParams, names []string) func(int64, [][]byte) {
	due := strings.Join(p.Value, "、")
	return func(fid int64, v [][]byte) {
		if len(v[1]) > 0 && profile.Among(string(v[1]), p.In) && !slices.Contains(p.Value, string(v[0])) && c.found(r) {
			c.tell(r, fid, "value-when", names[0], nil, fmt.Sprintf("%s 为 %s 时 %s 应为“%s”而不是“%s”", names[1], shown(v[1]), names[0], due, shown(v[0])),
				fmt.Sprintf("%s should be %q and not %q, for %s is %s", names[0], strings.Join(p.Value, ", "), shown(v[0]), names[1], shown(v[1])))
		}
	}
}

// product leaves out rows of which a number is missing.
func (c *checker) product(r *rule, p profile.ProductParams, names []string) func(int64, [][]byte) {
	formula := names[0] + " = " + strings.Join(names[1:], " × ")
	return func(fid int64, v [][]byte) {
		want := 1.0
		for _, f := range v[1:] {
			n, ok := number(f)
			if !ok {
				return
			}
			want *= n
		}
		c.agree(r, fid, "product-mismatch", names[0], formula, v[0], want, p.Tolerance)
	}
}

// difference takes a missing subtrahend for zero.
func (c *checker) difference(r *rule, p profile.DifferenceParams, names []string) func(int64, [][]byte) {
	formula := names[0] + " = " + names[1] + " − " + names[2]
	return func(fid int64, v [][]byte) {
		a, ok := number(v[1])
		b, given := number(v[2])
		if ok && (given || len(v[2]) == 0) {
			c.agree(r, fid, "difference-mismatch", names[0], formula, v[0], a-b, p.Tolerance)
		}
	}
}

// agree tells when a number is not what a formula gives.
func (c *checker) agree(r *rule, fid int64, code, field, formula string, given []byte, want, tolerance float64) {
	n, ok := number(given)
	// What was written with two decimals is not exact in binary.
	if !ok || math.Abs(n-want) <= tolerance+1e-12*math.Abs(want)+1e-9 || !c.found(r) {
		return
	}
	c.tell(r, fid, code, field, nil, fmt.Sprintf("不满足 %s：应为 %.2f，实为 %s", formula, want, shown(given)),
		fmt.Sprintf("%s does not hold: %.2f is due, %s is given", formula, want, shown(given)))
}
