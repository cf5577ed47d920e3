package api

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"changde/catalog"
	"changde/features"
	"changde/features/cql2"
	"changde/ingest/layer"
	"changde/problem"
	"changde/tiles"
)

const (
	langCQL2Text   = "cql2-text"
	crs4490        = "http://www.opengis.net/def/crs/EPSG/0/4490"
	crs4326        = "http://www.opengis.net/def/crs/EPSG/0/4326"
	mediaSchema    = "application/schema+json"
	relQueryables  = "http://www.opengis.net/def/rel/ogc/1.0/queryables"
	schemaLanguage = "https://json-schema.org/draft/2020-12/schema"
)

// latitudeFirst are the values of filter-crs, each with the order of its axes.
// Degrees are the same in all of them: they differ by less than their accuracy.
var latitudeFirst = map[string]bool{crs84: false, crs4490: true, crs4326: true}

// filter reads the filter of a request for rows of a release; nil when there is
// none (OGC API - Features Part 3).
func (s *Server) filter(r *request, rel *catalog.Release) (*features.Filter, error) {
	if r.query.Has("filter-lang") && r.query.Get("filter-lang") != langCQL2Text {
		return nil, invalid("filter-lang", "这里只有 "+langCQL2Text, "only "+langCQL2Text+" is understood here")
	}
	crs := crs84
	if r.query.Has("filter-crs") {
		crs = r.query.Get("filter-crs")
	}
	first, ok := latitudeFirst[crs]
	if !ok {
		known := strings.Join([]string{crs84, crs4490, crs4326}, ", ")
		return nil, invalid("filter-crs", "可用的坐标系："+known, "the reference systems are: "+known)
	}
	if !r.query.Has("filter") {
		return nil, nil
	}
	return s.Features.Filter(rel, r.query.Get("filter"), cql2.Options{LatitudeFirst: first})
}

// tilePart is what of a release the request wants in a tile.
func (s *Server) tilePart(r *request, d *catalog.Dataset, rel *catalog.Release) (tiles.Part, error) {
	p := tiles.Part{Dataset: d, Release: rel}
	f, err := s.filter(r, rel)
	if err != nil {
		return p, err
	}
	if f != nil {
		p.Filter = f
	}
	if p.Columns, err = chosenColumns(r, rel); err != nil {
		return p, err
	}
	p.Cluster, err = clusterSide(r)
	return p, err
}

// clusterSide reads the cluster parameter; 0 when it is absent.
func clusterSide(r *request) (int, error) {
	if !r.query.Has("cluster") {
		return 0, nil
	}
	n, err := strconv.Atoi(r.query.Get("cluster"))
	if err != nil || n < tiles.MinCluster || n > tiles.MaxCluster {
		return 0, invalid("cluster", fmt.Sprintf("应为 %d 到 %d 的整数：聚合格的边长，像素", tiles.MinCluster, tiles.MaxCluster),
			fmt.Sprintf("must be a whole number of %d to %d: the side of a cluster's cell in pixels", tiles.MinCluster, tiles.MaxCluster))
	}
	return n, nil
}

// partOfSeveral is what of a dataset the request wants in a tile of several: the rows
// that the one filter lets through, which must fit each of them: OGC API - Features
// Part 3 lets a filter of several collections name what all of them have.
func (s *Server) partOfSeveral(r *request, d *catalog.Dataset) (tiles.Part, error) {
	p := tiles.Part{Dataset: d, Release: d.Current}
	f, err := s.filter(r, d.Current)
	var wrong *problem.Error
	if errors.As(err, &wrong) && wrong.Where == "filter" {
		return p, problem.Wrap(err, wrong.Kind, wrong.Code, wrong.Where,
			"数据集 "+d.ID+"："+wrong.ZH+"（条件对所列的每个数据集都须成立，用 collections 只列适用的）",
			"collection "+d.ID+": "+wrong.EN+" (the filter must fit each collection; name those it is for by collections)")
	}
	if err != nil {
		return p, err
	}
	if f != nil {
		p.Filter = f
	}
	return p, nil
}

// chosenColumns reads the properties parameter, in the order of the release; nil
// when it is absent, none when it is empty.
func chosenColumns(r *request, rel *catalog.Release) ([]catalog.Column, error) {
	if !r.query.Has("properties") {
		return nil, nil
	}
	wanted := map[string]bool{}
	if text := r.query.Get("properties"); text != "" {
		for _, name := range strings.Split(text, ",") {
			if _, ok := rel.Column(name); !ok {
				return nil, invalid("properties", fmt.Sprintf("没有字段“%.100s”；可用字段见数据集的 queryables", name), fmt.Sprintf("there is no property “%.100s”; the collection's queryables list what there is", name))
			}
			wanted[name] = true
		}
	}
	if len(wanted) > tiles.MaxColumns {
		return nil, invalid("properties", fmt.Sprintf("瓦片最多带 %d 个字段", tiles.MaxColumns), fmt.Sprintf("a tile carries at most %d properties", tiles.MaxColumns))
	}
	chosen := make([]catalog.Column, 0, len(wanted))
	for _, c := range rel.Columns {
		if wanted[c.Name] {
			chosen = append(chosen, c)
		}
	}
	return chosen, nil
}

// queryables answers the properties that a filter may name, as JSON Schema (OGC
// API - Features Part 3, clause 6).
func (s *Server) queryables(w http.ResponseWriter, r *request) error {
	d, err := r.dataset()
	if err != nil {
		return err
	}
	rel, err := s.release(r, d)
	if err != nil {
		return err
	}
	properties := map[string]any{
		features.FIDProperty:      map[string]any{"title": "要素标识 / id of the feature", "type": "integer", "x-ogc-role": "id"},
		features.GeometryProperty: map[string]any{"title": "几何 / geometry", "format": geometryFormat(rel.GeometryType), "x-ogc-role": "primary-geometry"},
	}
	for _, c := range rel.Columns {
		p := schemaOf(c.Type)
		if c.Alias != "" {
			p["title"] = c.Alias
		}
		if c.Name == d.TimeColumn && (c.Type == layer.Date || c.Type == layer.Timestamp) {
			p["x-ogc-role"] = "primary-instant"
		}
		properties[c.Name] = p
	}
	stamp(w, d, rel)
	return writeJSON(w, r, mediaSchema, map[string]any{
		"$schema": schemaLanguage, "$id": pageURL(s.origin(r.Request)+"/collections/"+d.ID+"/queryables", r.query, nil),
		"type": "object", "title": d.TitleZH, "properties": properties, "additionalProperties": false,
	}, d)
}

// geometryFormat is the format that OGC API - Features Part 5 gives the type.
func geometryFormat(geometryType string) string {
	switch t := strings.ToLower(geometryType); t {
	case "point", "multipoint", "linestring", "multilinestring", "polygon", "multipolygon":
		return "geometry-" + t
	}
	return "geometry-any"
}
