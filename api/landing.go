package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"
)

func (s *Server) landing(w http.ResponseWriter, r *request) error {
	w.Header().Add("Vary", "Accept")
	if s.Index != nil && (r.query.Get("f") == "html" || r.query.Get("f") == "" && prefersHTML(r.Header.Get("Accept"))) {
		s.Index(w, r.Request)
		return nil
	}
	base := s.origin(r.Request)
	city := s.config.City
	principal := map[string]any{"organisation": nil, "name": "", "nameEn": "", "role": nil, "operator": false}
	if !r.principal.Anonymous() {
		principal = map[string]any{"organisation": r.principal.Organisation, "name": r.principal.NameZH, "nameEn": r.principal.NameEN, "role": r.principal.Role, "operator": r.principal.Operates()}
	}
	return writeJSON(w, r, mediaJSON, map[string]any{
		"title":       "数字" + strings.TrimSuffix(city.NameZH, "市") + " 空间数据平台",
		"titleEn":     "Digital " + city.NameEN + " spatial data platform",
		"description": "地理空间框架数据、规划数据与电子政务工程项目：矢量瓦片、要素查询、版本与项目 / framework data, planning layers and e-government projects as vector tiles and feature queries",
		"city":        map[string]any{"name": city.NameZH, "nameEn": city.NameEN, "code": city.Code, "bbox": city.Box, "view": city.View},
		"principal":   principal,
		"links": []link{
			{Href: base + "/?f=json", Rel: "self", Type: mediaJSON, Title: "本页 / this document"},
			{Href: base + "/api", Rel: "service-desc", Type: mediaOpenAPI, Title: "接口定义 / API definition"},
			{Href: base + "/conformance", Rel: "conformance", Type: mediaJSON, Title: "符合性声明 / conformance"},
			{Href: base + "/collections", Rel: "data", Type: mediaJSON, Title: "数据集 / collections"},
			{Href: base + "/tiles", Rel: "http://www.opengis.net/def/rel/ogc/1.0/tilesets-vector", Type: mediaJSON, Title: "多数据集瓦片 / tiles of several collections"},
			{Href: base + "/styles", Rel: relStyles, Type: mediaJSON, Title: "样式 / styles"},
			{Href: base + "/tileMatrixSets", Rel: "http://www.opengis.net/def/rel/ogc/1.0/tiling-schemes", Type: mediaJSON, Title: "瓦片矩阵集 / tile matrix sets"},
			{Href: base + "/projects", Rel: "related", Type: mediaJSON, Title: "电子政务工程项目 / e-government projects"},
			{Href: base + "/statistics", Rel: "related", Type: mediaJSON, Title: "项目统计 / project statistics"},
		},
	})
}

// prefersHTML reports whether an Accept header puts text/html before JSON, as
// browsers' do and scripts' do not.
func prefersHTML(accept string) bool {
	html, json := -1.0, -1.0
	for _, part := range strings.Split(accept, ",") {
		media, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		q := 1.0
		if v, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
			if f, err := strconv.ParseFloat(v, 64); err == nil {
				q = f
			}
		}
		switch strings.TrimSpace(media) {
		case "text/html", "application/xhtml+xml":
			html = max(html, q)
		case "application/json", "application/geo+json":
			json = max(json, q)
		}
	}
	return html > 0 && html >= json
}

func (s *Server) conformance(w http.ResponseWriter, r *request) error {
	return writeJSON(w, r, mediaJSON, map[string]any{"conformsTo": []string{
		"http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/core",
		"http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/landing-page",
		"http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/json",
		"http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/oas30",
		"http://www.opengis.net/spec/ogcapi-common-2/1.0/conf/collections",
		"http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
		"http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/oas30",
		"http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
		"http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/queryables",
		"http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/filter",
		"http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/features-filter",
		"http://www.opengis.net/spec/cql2/1.0/conf/cql2-text",
		"http://www.opengis.net/spec/cql2/1.0/conf/basic-cql2",
		"http://www.opengis.net/spec/cql2/1.0/conf/advanced-comparison-operators",
		"http://www.opengis.net/spec/cql2/1.0/conf/basic-spatial-functions",
		"http://www.opengis.net/spec/cql2/1.0/conf/basic-spatial-functions-plus",
		"http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/core",
		"http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/tileset",
		"http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/tilesets-list",
		"http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/geodata-tilesets",
		"http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/dataset-tilesets",
		"http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/collections-selection",
		"http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/mvt",
	}})
}

// health answers that the process lives; ready that its database answers too.
func (s *Server) health(w http.ResponseWriter, r *request) error {
	return send(w, r, mediaJSON, "", "no-store", http.StatusOK, []byte(`{"status":"ok"}`))
}

func (s *Server) ready(w http.ResponseWriter, r *request) error {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	if err := s.Ready(ctx); err != nil {
		s.config.Log.WarnContext(r.Context(), "not ready", "err", err)
		return errNotReady
	}
	return send(w, r, mediaJSON, "", "no-store", http.StatusOK, []byte(`{"status":"ready"}`))
}
