package features

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twpayne/go-geom"

	"changde/catalog"
	"changde/features/cql2"
	"changde/ingest/layer"
	"changde/postgis"
)

// The queryables that every release has beside its columns.
const (
	// FIDProperty is the feature's number.
	FIDProperty = "fid"
	// GeometryProperty is the feature's geometry. No column has its name.
	GeometryProperty = "geom"
	// geometryMember is what GeoJSON calls it; it serves where no column has the name.
	geometryMember = "geometry"
)

// Filter is a filter that fits the columns of a release. It never changes.
type Filter struct {
	pool  *pgxpool.Pool
	text  string
	name  string
	where *postgis.SQL
	// shapes are the geometries whose validity only PostGIS can tell, at their places.
	shapes [][]byte
	places []int
}

// Filter reads a filter in CQL2 text and makes it a condition on the release's
// rows. Properties are the columns, FIDProperty and GeometryProperty; a value is
// of the type of the property it is compared with. What is wrong is a
// problem.Invalid that tells the place. Geometries are checked by Check.
func (s *Store) Filter(r *catalog.Release, text string, o cql2.Options) (*Filter, error) {
	n, err := cql2.Parse(text, o)
	if err != nil {
		return nil, err
	}
	b := filterBuilder{release: r, filter: &Filter{pool: s.pool, text: text, name: n.String()}}
	if b.filter.where, err = b.condition(n); err != nil {
		return nil, err
	}
	return b.filter, nil
}

// SQL is the condition, to stand after the AND of Release.From.
func (f *Filter) SQL() *postgis.SQL { return f.where }

// String is the filter's canonical text: filters of one release with the same
// text let the same rows through.
func (f *Filter) String() string { return f.name }

// Check asks PostGIS whether the filter's geometries are valid; an invalid one is
// problem.Invalid. The condition must not be used before.
func (f *Filter) Check(ctx context.Context) error {
	if len(f.shapes) == 0 {
		return nil
	}
	const query = `SELECT i, ST_IsValidReason(ST_GeomFromEWKB(shape)) FROM unnest($1::bytea[]) WITH ORDINALITY shapes(shape, i)
		WHERE NOT ST_IsValid(ST_GeomFromEWKB(shape)) ORDER BY i LIMIT 1`
	var i int
	var reason string
	err := f.pool.QueryRow(ctx, query, f.shapes).Scan(&i, &reason)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return postgis.Fault(ctx, err, "check the geometries of a filter")
	}
	return cql2.Fault(f.text, f.places[i-1], "几何无效（"+reason+"）", "the geometry is not valid: "+reason)
}

// filterBuilder makes conditions of the nodes of a filter.
type filterBuilder struct {
	release *catalog.Release
	filter  *Filter
}

func (b *filterBuilder) fault(n cql2.Node, zh, en string) error {
	return cql2.Fault(b.filter.text, n.Pos(), zh, en)
}

// condition makes the condition of a node, in parentheses where it needs them.
func (b *filterBuilder) condition(n cql2.Node) (*postgis.SQL, error) {
	switch n := n.(type) {
	case cql2.And:
		return b.terms(n.Terms, true)
	case cql2.Or:
		return b.terms(n.Terms, false)
	case cql2.Not:
		term, err := b.condition(n.Term)
		if err != nil {
			return nil, err
		}
		return new(postgis.SQL).Raw("(NOT ").Add(term).Raw(")"), nil
	case cql2.Compare:
		return b.compare(n.Op, n.Left, n.Right)
	case cql2.Between:
		return b.between(n)
	case cql2.In:
		return b.in(n)
	case cql2.Like:
		return b.like(n)
	case cql2.IsNull:
		return b.isNull(n)
	case cql2.Spatial:
		return b.spatial(n)
	case cql2.Bool:
		return new(postgis.SQL).Arg(n.Value).Raw("::boolean"), nil
	}
	return nil, fmt.Errorf("a filter has a condition of type %T", n)
}

func (b *filterBuilder) terms(terms []cql2.Node, all bool) (*postgis.SQL, error) {
	parts := make([]*postgis.SQL, len(terms))
	for i, t := range terms {
		var err error
		if parts[i], err = b.condition(t); err != nil {
			return nil, err
		}
	}
	return junction(parts, all), nil
}

func junction(parts []*postgis.SQL, all bool) *postgis.SQL {
	s := new(postgis.SQL).Raw("(")
	if all {
		s.Join(" AND ", parts...)
	} else {
		s.Join(" OR ", parts...)
	}
	return s.Raw(")")
}

func (b *filterBuilder) between(n cql2.Between) (*postgis.SQL, error) {
	low, err := b.compare(cql2.GreaterEqual, n.Value, n.Low)
	if err != nil {
		return nil, err
	}
	high, err := b.compare(cql2.LessEqual, n.Value, n.High)
	if err != nil {
		return nil, err
	}
	return junction([]*postgis.SQL{low, high}, true), nil
}

func (b *filterBuilder) isNull(n cql2.IsNull) (*postgis.SQL, error) {
	if b.isGeometry(n.Value.Name) {
		return new(postgis.SQL).Raw("(geom IS NULL)"), nil
	}
	c, err := b.column(n.Value)
	if err != nil {
		return nil, err
	}
	s := new(postgis.SQL).Raw("(")
	catalog.SelectColumn(s, c)
	return s.Raw(" IS NULL)"), nil
}

func (b *filterBuilder) like(n cql2.Like) (*postgis.SQL, error) {
	value, err := b.operand(n.Value)
	if err != nil {
		return nil, err
	}
	if value.column.Type != layer.Text {
		return nil, b.fault(n.Value, "LIKE 只用于文字，而字段 "+value.column.Name+" 是"+typeZH(value.column.Type), "LIKE is for text; "+value.column.Name+" is of type "+value.column.Type.String())
	}
	pattern, err := b.operand(n.Pattern)
	if err != nil {
		return nil, err
	}
	s := new(postgis.SQL).Raw("(")
	value.append(s, value.columnSQL())
	s.Raw(" LIKE ")
	pattern.append(s, new(postgis.SQL).Arg(pattern.literal.(cql2.Text).Value).Raw("::text"))
	return s.Raw(")"), nil
}

func (b *filterBuilder) isGeometry(name string) bool {
	_, column := b.release.Column(name)
	return name == GeometryProperty || name == geometryMember && !column
}

func (b *filterBuilder) spatial(n cql2.Spatial) (*postgis.SQL, error) {
	property, shape := n.Left, n.Right
	if _, ok := property.(cql2.Property); !ok {
		property, shape = shape, property
	}
	if other, ok := shape.(cql2.Property); ok {
		return nil, b.fault(other, "另一个参数应为 BBOX(…) 或 WKT 几何", "the other argument must be BBOX(…) or a WKT geometry")
	}
	if p := property.(cql2.Property); !b.isGeometry(p.Name) {
		if _, err := b.column(p); err != nil {
			return nil, err
		}
		return nil, b.fault(p, "字段 "+p.Name+" 不是几何；几何字段为 "+GeometryProperty, "the property "+p.Name+" is no geometry; the geometry is "+GeometryProperty)
	}
	if box, ok := shape.(cql2.Box); ok {
		if !onEarth(box.Value[:]) {
			return nil, b.fault(box, notOnEarthZH, notOnEarthEN)
		}
		return boxTerm(catalog.Bounds(box.Value)), nil
	}
	return b.shape(shape.(cql2.Geometry))
}

const (
	notOnEarthZH = "坐标超出经纬度范围；默认经度在前，纬度在前时请给出 filter-crs"
	notOnEarthEN = "coordinates are outside longitude and latitude; the longitude comes first unless filter-crs says otherwise"
)

func onEarth(flat []float64) bool {
	for i, v := range flat {
		if most := [2]float64{180, 90}[i%2]; math.Abs(v) > most {
			return false
		}
	}
	return true
}

func (b *filterBuilder) shape(n cql2.Geometry) (*postgis.SQL, error) {
	if !shapeOnEarth(n.Value) {
		return nil, b.fault(n, notOnEarthZH, notOnEarthEN)
	}
	shape, err := postgis.AppendEWKB(nil, n.Value, 4490)
	if err != nil {
		return nil, fmt.Errorf("encode a geometry of a filter: %w", err)
	}
	switch n.Value.(type) {
	case *geom.Point, *geom.MultiPoint:
	default:
		b.filter.shapes, b.filter.places = append(b.filter.shapes, shape), append(b.filter.places, n.Pos())
	}
	g := new(postgis.SQL).Raw("ST_GeomFromEWKB(").Arg(shape).Raw("::bytea)")
	return new(postgis.SQL).Raw("(geom && ").Add(g).Raw(" AND ST_Intersects(geom, ").Add(g).Raw("))"), nil
}

func shapeOnEarth(g geom.T) bool {
	c, ok := g.(*geom.GeometryCollection)
	if !ok {
		return onEarth(g.FlatCoords())
	}
	for _, part := range c.Geoms() {
		if !shapeOnEarth(part) {
			return false
		}
	}
	return true
}

// column finds the column of a property.
func (b *filterBuilder) column(p cql2.Property) (catalog.Column, error) {
	if p.Name == FIDProperty {
		return catalog.Column{Name: FIDProperty, Type: layer.Integer}, nil
	}
	if c, ok := b.release.Column(p.Name); ok {
		return c, nil
	}
	if b.isGeometry(p.Name) {
		return catalog.Column{}, b.fault(p, "几何字段只能用于 S_INTERSECTS 和 IS NULL", "the geometry is for S_INTERSECTS and IS NULL only")
	}
	zh, en := "没有这个字段", "there is no such property"
	if near := nearNames(b.release.Columns, p.Name); len(near) > 0 {
		names := strings.Join(near, ", ")
		zh, en = zh+"；相近的有："+names, en+"; similar ones: "+names
	} else {
		zh, en = zh+"；可用字段见数据集的 queryables", en+"; the collection's queryables list what there is"
	}
	return catalog.Column{}, b.fault(p, zh, en)
}
