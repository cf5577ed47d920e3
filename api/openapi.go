package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"changde/catalog"
	"changde/ingest/layer"
	"changde/schemas"
	"changde/tiles"
)

// apiVersion is the version of the interface, not of the program.
const apiVersion = "1.0.0"

const mediaProblem = "application/problem+json"

// definition is an OpenAPI 3.0.3 document. All but the server is made once from
// the table of routes.
type definition struct {
	OpenAPI    string                `json:"openapi"`
	Info       definitionInfo        `json:"info"`
	Servers    []definitionServer    `json:"servers"`
	Tags       []definitionTag       `json:"tags"`
	Security   []map[string][]string `json:"security"`
	Paths      json.RawMessage       `json:"paths"`
	Components json.RawMessage       `json:"components"`
}

type definitionInfo struct {
	Title       string `json:"title"`
	Description string `json:"description"`
	Version     string `json:"version"`
}

type definitionServer struct {
	URL string `json:"url"`
}

type definitionTag struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

// openapi answers the definition of the API (OGC API - Features Part 1, 7.3).
func (s *Server) openapi(w http.ResponseWriter, r *request) error {
	d, err := s.define()
	if err != nil {
		return err
	}
	d.Servers = []definitionServer{{s.origin(r.Request)}}
	return writeJSON(w, r, mediaOpenAPI, d)
}

// define makes the document of the routes, without its server.
func define(city catalog.City, routes []route) (definition, error) {
	d := definition{
		OpenAPI: "3.0.3",
		Info: definitionInfo{
			Title: "数字" + strings.TrimSuffix(city.NameZH, "市") + " 空间数据平台 / Digital " + city.NameEN + " spatial data platform",
			Description: "地理空间框架数据、规划数据与电子政务工程项目：矢量瓦片、要素查询、版本与项目。坐标为经度、纬度（EPSG:4490，即 CRS84 次序）。" +
				"未列出的查询参数会被拒绝；出错时返回 application/problem+json，中英文对照。\n\n" +
				"Framework data, planning layers and e-government projects: vector tiles, feature queries, releases and projects. " +
				"Coordinates are longitude, latitude (EPSG:4490, in the order of CRS84). " +
				"Query parameters that are not listed are refused; errors are application/problem+json in Chinese and English.",
			Version: apiVersion,
		},
		Tags: []definitionTag{
			{tagCore, "平台 / the platform itself"},
			{tagFeatures, "数据集与要素 / collections and features"},
			{tagTiles, "矢量瓦片 / vector tiles"},
			{tagReleases, "版本与交付 / releases and deliveries"},
			{tagProjects, "电子政务工程项目 / e-government projects"},
		},
		// The empty one comes first: public data needs no key.
		Security: []map[string][]string{{}, {"bearer": {}}, {"header": {}}, {"query": {}}},
	}
	paths := map[string]map[string]any{}
	for _, r := range routes {
		if paths[r.pattern] == nil {
			paths[r.pattern] = map[string]any{}
		}
		paths[r.pattern][strings.ToLower(r.method)] = operation(r)
	}
	components, err := components()
	if err != nil {
		return d, err
	}
	if d.Paths, err = json.Marshal(paths); err != nil {
		return d, fmt.Errorf("encode the paths: %w", err)
	}
	if d.Components, err = json.Marshal(components); err != nil {
		return d, fmt.Errorf("encode the components: %w", err)
	}
	return d, nil
}

func components() (map[string]any, error) {
	all := map[string]any{}
	for _, name := range schemas.JSONNames() {
		b, ok := schemas.JSON(name)
		if !ok || !json.Valid(b) {
			return nil, fmt.Errorf("the schema %s is not JSON", name)
		}
		all[name] = json.RawMessage(b)
	}
	text := map[string]any{"type": "string"}
	header := func(zh, en string, schema map[string]any) map[string]any {
		return map[string]any{"description": zh + " / " + en, "schema": schema}
	}
	return map[string]any{
		"schemas": all,
		"headers": map[string]any{
			"ETag":            header("内容标识，用于 If-None-Match", "tag of the content, for If-None-Match", text),
			"Cache-Control":   header("缓存方式；private 的响应不得进入共享缓存", "how to cache; what is private must not reach a shared cache", text),
			"X-Request-Id":    header("请求编号，向平台反映问题时请给出", "number of the request, to be given when reporting a fault", text),
			"Retry-After":     header("多少秒后再试", "seconds to wait before trying again", map[string]any{"type": "integer"}),
			"Link":            header("下一页（RFC 8288）", "the next page (RFC 8288)", text),
			"Content-Range":   header("所发送的字节与文件长度（RFC 9110，14.4）", "the bytes that are sent, and the length of the file (RFC 9110, 14.4)", text),
			"Location":        header("登记结果的地址", "where what was declared is found", text),
			releaseHeader:     header("响应所用的版本；多数据集时为“标识=版本”列表", "the release shown; for several collections a list of id=release", text),
			revisionHeader:    header("数据集的修订号", "revision of the dataset", map[string]any{"type": "integer"}),
			uploadOffset:      header("文件已到达的字节数", "how many bytes of the file have arrived", map[string]any{"type": "integer"}),
			generalizedHeader: header("未逐一绘出、按分类合并的要素数", "features that are not drawn one by one but gathered by class", text),
			omittedHeader:     header("因过小、过多而未画的要素数；“>=”表示至少", "features left out for being too small or too many; >= means at least", text),
		},
		"responses": map[string]any{
			"NotModified":   map[string]any{"description": "未改变 / not modified", "headers": headers("ETag", "Cache-Control", "X-Request-Id", releaseHeader, revisionHeader, omittedHeader, generalizedHeader)},
			"BadRequest":    problemResponse("请求有误 / the request is wrong"),
			"KeyInvalid":    problemResponse("密钥无效 / the key is not valid"),
			"Forbidden":     problemResponse("无权操作 / not permitted"),
			"NotFound":      problemResponse("未找到，或不对您开放 / not found, or not shared with you"),
			"Precondition":  problemResponse("不是请求所指的文件 / not the file that the request names"),
			"Range":         problemResponse("字节范围不在文件之内 / the range lies outside the file", "Content-Range"),
			"NotAcceptable": problemResponse("没有可接受的编码 / no coding that is acceptable"),
			"Conflict":      problemResponse("与现状冲突 / in conflict with the present state"),
			"TooLarge":      problemResponse("超出上限 / beyond a bound"),
			"MediaType":     problemResponse("内容类型不支持 / unsupported media type"),
			"Refused":       problemResponse("按规则不予接受 / refused by rule"),
			"Internal":      problemResponse("平台内部错误 / a fault of the platform"),
			"Busy":          problemResponse("暂时繁忙 / busy for the moment", "Retry-After"),
		},
		"securitySchemes": map[string]any{
			"bearer": map[string]any{"type": "http", "scheme": "bearer", "description": "单位密钥 / organisation key"},
			"header": map[string]any{"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "单位密钥 / organisation key"},
			"query": map[string]any{
				"type": "apiKey", "in": "query", "name": "tk",
				"description": "单位密钥，供不能设置请求头的客户端 / organisation key, for clients that cannot set a header",
			},
		},
	}, nil
}

func problemResponse(description string, more ...string) map[string]any {
	return map[string]any{
		"description": description,
		"headers":     headers(append([]string{"X-Request-Id"}, more...)...),
		"content":     content(mediaProblem, "problem"),
	}
}

func headers(names ...string) map[string]any {
	out := make(map[string]any, len(names))
	for _, n := range names {
		out[n] = ref("headers", n)
	}
	return out
}

func ref(kind, name string) map[string]any {
	return map[string]any{"$ref": "#/components/" + kind + "/" + name}
}

func content(media, schema string) map[string]any {
	of := map[string]any{"type": "string", "format": "binary"}
	if schema != "" {
		of = ref("schemas", schema)
	}
	return map[string]any{media: map[string]any{"schema": of}}
}

func operation(r route) map[string]any {
	parameters := []any{}
	for _, m := range pathParameter.FindAllStringSubmatch(r.pattern, -1) {
		parameters = append(parameters, describePathParameter(m[1], r.pattern))
	}
	for _, p := range append(r.always(), r.query...) {
		described := map[string]any{"name": p.name, "in": "query", "required": false, "description": p.zh + " / " + p.en, "schema": p.schema}
		if p.schema["type"] == "array" {
			described["style"], described["explode"] = "form", false
		}
		parameters = append(parameters, described)
	}
	if r.bytes {
		parameters = append(parameters, map[string]any{
			"name": uploadOffset, "in": "header", "required": r.method == http.MethodPatch,
			"description": "这些字节在文件中的起点 / where in the file these bytes begin", "schema": map[string]any{"type": "integer", "minimum": 0},
		})
	}
	if r.method == http.MethodGet && strings.HasPrefix(r.pattern, "/collections/{collection}") {
		parameters = append(parameters, map[string]any{
			"name": revisionHeader, "in": "header", "required": false,
			"description": "已见过的修订号；响应不会比它更旧 / a revision that was seen; the answer is not older", "schema": map[string]any{"type": "integer", "minimum": 0},
		})
	}
	op := map[string]any{
		"operationId": r.id,
		"tags":        []string{r.tag},
		"summary":     r.zh,
		"description": r.en,
		"parameters":  parameters,
		"responses":   responses(r),
	}
	if r.body != "" {
		op["requestBody"] = map[string]any{"required": true, "content": content(mediaJSON, r.body)}
	}
	if r.bytes {
		op["requestBody"] = map[string]any{"required": true, "content": content("application/octet-stream", "")}
	}
	return op
}

// responses are the answers a route can give. They follow from what it takes: a
// path can be wrong, a body too large, and only what is read can be unchanged.
func responses(r route) map[string]any {
	media := r.media
	if media == "" {
		media = mediaJSON
	}
	status := r.status
	if status == 0 {
		status = http.StatusOK
	}
	named := []string{"X-Request-Id", "Cache-Control"}
	cached := r.method == http.MethodGet && r.response != "status" && r.response != "upload" && r.response != "uploads" && r.media != "text/event-stream" && !r.reports
	if cached {
		named = append(named, "ETag")
	}
	ofOne := strings.Contains(r.pattern, "{collection}") || r.response == "featureCollection" || r.tag == tagProjects || r.response == "asset"
	if ofOne {
		named = append(named, releaseHeader, revisionHeader)
	}
	if media == mediaMVT {
		named = append(named, omittedHeader, generalizedHeader)
		if !ofOne {
			named = append(named, releaseHeader)
		}
	}
	if r.response == "upload" {
		named = append(named, uploadOffset)
	}
	if r.takes("next") || r.takes("since") {
		named = append(named, "Link")
	}
	if status == http.StatusCreated || status == http.StatusAccepted {
		named = append(named, "Location")
	}
	body := content(media, r.response)
	if r.reports {
		body = map[string]any{}
		for _, media := range reportMedia {
			bare, _, _ := strings.Cut(media, ";")
			maps.Copy(body, content(bare, ""))
		}
		// JSON is no string.
		body[mediaJSON] = map[string]any{"schema": map[string]any{"type": "object"}}
		body[mediaGeoJSON] = map[string]any{"schema": map[string]any{"type": "object"}}
	}
	out := map[string]any{
		strconv.Itoa(status): map[string]any{"description": r.zh + " / " + r.en, "headers": headers(named...), "content": body},
		"400":                ref("responses", "BadRequest"),
		"401":                ref("responses", "KeyInvalid"),
		"500":                ref("responses", "Internal"),
		"503":                ref("responses", "Busy"),
	}
	if media == mediaMVT {
		out["204"] = map[string]any{"description": "瓦片内没有要素 / the tile is empty", "headers": headers(named...)}
		out["406"] = ref("responses", "NotAcceptable")
	}
	if media == mediaPMTiles {
		out["206"] = map[string]any{"description": "所请求的字节 / the bytes that were asked for", "headers": headers(append(named, "Content-Range")...), "content": body}
		out["412"] = ref("responses", "Precondition")
		out["416"] = ref("responses", "Range")
	}
	if cached {
		out["304"] = ref("responses", "NotModified")
	}
	if strings.Contains(r.pattern, "{") || r.takes(pCollections.name) || r.tag == tagProjects {
		out["404"] = ref("responses", "NotFound")
	}
	if r.takes("since") {
		out["409"] = ref("responses", "Conflict")
	}
	if r.method != http.MethodGet {
		out["403"] = ref("responses", "Forbidden")
		out["409"] = ref("responses", "Conflict")
		out["413"] = ref("responses", "TooLarge")
		out["415"] = ref("responses", "MediaType")
		out["422"] = ref("responses", "Refused")
	}
	return out
}

func (r route) takes(parameter string) bool {
	for _, p := range r.query {
		if p.name == parameter {
			return true
		}
	}
	return false
}

var pathParameter = regexp.MustCompile(`\{(\w+)\}`)

func describePathParameter(name, pattern string) map[string]any {
	whole := map[string]any{"type": "string", "pattern": "^[0-9]+$"}
	var zh, en string
	var schema map[string]any
	switch name {
	case "collection":
		zh, en, schema = "数据集标识", "id of the collection", map[string]any{"type": "string"}
	case "feature":
		zh, en, schema = "要素标识（fid）", "id of the feature (fid)", whole
	case "tileMatrixSet":
		zh, en = "瓦片矩阵集", "tile matrix set"
		names := tiles.SetNames()
		if strings.Contains(pattern, "{tileMatrix}") {
			zh, en = zh+"；c、w 按天地图的级别编号", en+"; c and w have the levels of 天地图"
		} else {
			names = names[:len(tiles.Sets())]
		}
		schema = map[string]any{"type": "string", "enum": names}
	case "tileMatrix":
		zh, en, schema = "级别", "level", whole
	case "tileRow":
		zh, en, schema = "行，自上而下从 0 起", "row, from 0 at the top", whole
	case "tileCol":
		zh, en, schema = "列，自左而右从 0 起", "column, from 0 at the left", whole
	case "delivery":
		zh, en, schema = "交付编号", "number of the delivery", whole
	case "file":
		zh, en, schema = "文件名", "name of the file", map[string]any{"type": "string", "maxLength": 255}
	case "project":
		zh, en, schema = "项目编号", "code of the project", map[string]any{"type": "string"}
	case "style":
		zh, en, schema = "样式", "style", map[string]any{"type": "string", "enum": []string{defaultStyle}}
	case "sprite":
		zh, en, schema = "图标集：default、default@2x，或样式所写的名称", "sheet: default, default@2x, or as a style calls it", map[string]any{"type": "string", "pattern": "^default(-[0-9a-f]+)?(@2x)?$"}
	case "asset":
		zh, en, schema = "资产编号或 fid", "code or fid of the asset", map[string]any{"type": "string"}
	default:
		zh, en, schema = name, name, map[string]any{"type": "string"}
	}
	return map[string]any{"name": name, "in": "path", "required": true, "description": zh + " / " + en, "schema": schema}
}

// schemaOf is the JSON Schema of a column's values as the API writes them, null
// apart.
func schemaOf(t layer.Type) map[string]any {
	switch t {
	case layer.Integer:
		return map[string]any{"type": "integer"}
	case layer.Real, layer.Decimal:
		return map[string]any{"type": "number"}
	case layer.Boolean:
		return map[string]any{"type": "boolean"}
	case layer.Date:
		return map[string]any{"type": "string", "format": "date"}
	case layer.Timestamp:
		return map[string]any{"type": "string", "format": "date-time"}
	}
	return map[string]any{"type": "string"}
}
