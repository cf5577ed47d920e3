package gdal

import (
	"context"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// maxParts bounds the layers made of one drawing: each is a run over all its entities.
const maxParts = 100

// families are the kinds of geometry that a drawing's layers are divided by; what is of
// none of them, such as a block of lines and texts, is mixed.
var families = []struct {
	name  string
	codes []uint32
}{
	{"points", many},
	{"lines", lines},
	{"polygons", polygons},
	{"mixed", nil},
}

// family is the index in families of a type of geometry.
func family(code uint32) int {
	for i, f := range families {
		if slices.Contains(f.codes, linear(code)) {
			return i
		}
	}
	return len(families) - 1
}

// share is what one layer of the result takes of a drawing.
type share struct {
	layer  string // hexadecimal digits of the CAD layer's name; unused where all are taken
	family int
	kinds  []kind
	heads  []string // of the geometries, as headOf gives them
}

// divide makes layers of the one in which GDAL hands a drawing over: one for each CAD
// layer and kind of geometry, such as 规划红线_lines, or one for each kind where the
// drawing has too many CAD layers.
func (c *conversion) divide(ctx context.Context, p *plan, first string) (string, error) {
	if len(p.layers) != 1 || p.layers[0].features == 0 {
		return c.settle(ctx, p, first)
	}
	all := p.layers[0]
	byLayer := slices.ContainsFunc(all.fields(), func(f Field) bool { return f.Name == "Layer" })
	shares, err := c.shares(ctx, p, first, byLayer)
	if err != nil {
		return "", err
	}
	if len(shares) > maxParts {
		c.note("drawing-layers", fmt.Sprintf("图中的 CAD 图层过多（按几何类型分后超过 %d 个），只按几何类型分为点、线、面", maxParts),
			fmt.Sprintf("the drawing has too many CAD layers (more than %d by kind of geometry); it is divided into points, lines and polygons alone", maxParts))
		byLayer = false
		if shares, err = c.shares(ctx, p, first, false); err != nil {
			return "", err
		}
	}
	second := filepath.Join(c.out, "2.gpkg")
	taken := map[string]bool{}
	p.layers = nil
	for i, s := range shares {
		l := &planned{info: all.info}
		l.info.name = families[s.family].name
		if byLayer {
			l.info.name = decodeName(s.layer) + "_" + l.info.name
		}
		l.name = tableName(l.info.name, taken)
		c.conclude(l, s.kinds)
		p.layers = append(p.layers, l)
		args := p.base(second, i > 0)
		if l.promote != "" {
			args = append(args, "-nlt", l.promote)
		}
		args = append(args, "1.gpkg", all.name, "-nln", l.name, "-where", s.condition(p.geom, byLayer))
		if _, err := c.program(ctx, c.tool.ogr2ogr, "GPKG", c.out, args...); err != nil {
			return "", err
		}
	}
	return second, nil
}

// shares finds what the entities divide into. It stops soon after maxParts.
func (c *conversion) shares(ctx context.Context, p *plan, first string, byLayer bool) ([]share, error) {
	layer := "''"
	if byLayer {
		layer = "hex(Layer)"
	}
	// A share has few types of geometry: with and without heights, alone and multiple.
	query := fmt.Sprintf("SELECT %s AS l, %s AS g, count(*) AS n FROM %s GROUP BY 1, 2 ORDER BY 1, 2 LIMIT %d", layer, headOf(p.geom), quoteName(p.layers[0].name), 20*maxParts)
	text, err := c.program(ctx, c.tool.ogrinfo, "GPKG", c.out, "-ro", "-q", filepath.Base(first), "-sql", query)
	if err != nil {
		return nil, err
	}
	var out []share
	for _, row := range parseRows(text) {
		n, err := strconv.ParseInt(row["n"], 10, 64)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("divide %s: GDAL answered a count with %q", c.source.Name, row)
		}
		k := newKind(row["g"], n)
		layer, of := strings.TrimSpace(row["l"]), family(k.code)
		at := slices.IndexFunc(out, func(p share) bool { return p.layer == layer && p.family == of })
		if at < 0 {
			if len(out) > maxParts {
				return out, nil
			}
			at = len(out)
			out = append(out, share{layer: layer, family: of})
		}
		out[at].kinds = append(out[at].kinds, k)
		out[at].heads = append(out[at].heads, strings.TrimSpace(row["g"]))
	}
	slices.SortStableFunc(out, func(a, b share) int {
		if a.layer != b.layer {
			return strings.Compare(a.layer, b.layer)
		}
		return a.family - b.family
	})
	return out, nil
}

// condition selects the rows of a share.
func (p share) condition(geom string, byLayer bool) string {
	where := fmt.Sprintf("%s IN ('%s')", headOf(geom), strings.Join(p.heads, "', '"))
	if byLayer {
		where += fmt.Sprintf(" AND hex(Layer) = '%s'", p.layer)
	}
	return where
}

// decodeName reads the hexadecimal digits of a CAD layer's name.
func decodeName(digits string) string {
	b, err := hex.DecodeString(digits)
	if err != nil || len(b) == 0 {
		return "0" // the layer of what has none
	}
	return strings.ToValidUTF8(string(b), "�")
}
