package api

import "net/http"

// The parameters that several operations share.
func pLimit(fallback, max int) parameter {
	return parameter{
		name: "limit", zh: "每页条数，超过上限按上限", en: "entries of a page; above the maximum means the maximum",
		schema: map[string]any{"type": "integer", "minimum": 1, "maximum": max, "default": fallback},
	}
}

var (
	pBBox = parameter{
		name: "bbox", zh: "范围：西,南,东,北（度，CRS84）", en: "box: west,south,east,north (degrees, CRS84)",
		schema: map[string]any{"type": "array", "oneOf": []any{map[string]any{"minItems": 4, "maxItems": 4}, map[string]any{"minItems": 6, "maxItems": 6}}, "items": map[string]any{"type": "number"}},
	}
	pDatetime    = parameter{name: "datetime", zh: "时刻或区间（RFC 3339），按数据集的时间字段", en: "instant or interval (RFC 3339), on the dataset's time column", schema: map[string]any{"type": "string"}}
	pOffset      = parameter{name: "offset", zh: "跳过的要素数；深处请用 next", en: "features to skip; use next for depth", schema: map[string]any{"type": "integer", "minimum": 0, "maximum": 1000000}}
	pNext        = parameter{name: "next", zh: "上一页 next 链接中的翻页标记", en: "the mark in the next link of the page before", schema: map[string]any{"type": "string"}}
	pRelease     = parameter{name: "release", zh: "版本号，默认当前版", en: "release number, the current one by default", schema: map[string]any{"type": "integer", "minimum": 1}}
	pRevision    = parameter{name: "rev", zh: "修订号；与当前一致时响应可长期缓存", en: "revision; where it is the current one the answer may be cached for good", schema: map[string]any{"type": "string"}}
	pCollections = parameter{
		name: "collections", zh: "数据集标识，逗号分隔，最多 20 个", en: "collection ids, comma-separated, at most 20",
		schema: map[string]any{"type": "array", "items": map[string]any{"type": "string"}, "maxItems": maxCollections},
	}
	pFrom = parameter{name: "from", zh: "起始日期，含当日", en: "first day", schema: map[string]any{"type": "string", "format": "date"}}
	pTo   = parameter{name: "to", zh: "截止日期，含当日", en: "last day", schema: map[string]any{"type": "string", "format": "date"}}
	pStep = parameter{
		name: "step", zh: "环节；from、to 按该环节的日期", en: "step; from and to are on its date",
		schema: map[string]any{"type": "string", "enum": []string{"planned", "accepted", "reviewed", "tender_filed", "construction_started", "final_accepted"}},
	}
	pResult = parameter{
		name: "result", zh: "验收结果，可多个，逗号分隔", en: "acceptance results, comma-separated",
		schema: map[string]any{"type": "array", "items": map[string]any{"type": "string", "enum": []string{"pass_first", "pass_after_rectify", "fail"}}},
	}
	pSupervised = parameter{name: "supervised", zh: "是否有监理合同", en: "with a supervision contract or without", schema: map[string]any{"type": "boolean"}}
	pSearch     = parameter{name: "q", zh: "名称、编号或单位中的文字", en: "text in the name, code or unit", schema: map[string]any{"type": "string", "maxLength": 100}}
)

const (
	tagCore     = "core"
	tagFeatures = "features"
	tagTiles    = "tiles"
	tagReleases = "releases"
	tagProjects = "projects"
)

const tilePattern = "/{tileMatrixSet}/{tileMatrix}/{tileRow}/{tileCol}"

// table lists every operation.
func (s *Server) table() []route {
	get := func(pattern, id, tag, zh, en, response string, handle func(http.ResponseWriter, *request) error, query ...parameter) route {
		return route{method: http.MethodGet, pattern: pattern, id: id, tag: tag, zh: zh, en: en, response: response, query: query, handle: handle}
	}
	geojson := func(r route) route { r.media = mediaGeoJSON; return r }
	mvt := func(r route) route { r.media, r.compressed = mediaMVT, true; return r }
	return []route{
		get("/", "getLandingPage", tagCore, "平台首页", "landing page", "landing", s.landing),
		get("/conformance", "getConformance", tagCore, "符合性声明", "conformance", "conformance", s.conformance),
		func() route {
			r := get("/api", "getAPI", tagCore, "接口定义", "API definition", "openapi", s.openapi)
			r.media = mediaOpenAPI
			return r
		}(),
		get("/healthz", "getHealth", tagCore, "进程存活", "the process lives", "status", s.health),
		get("/readyz", "getReady", tagCore, "可以服务", "the service is ready", "status", s.ready),

		get("/collections", "getCollections", tagFeatures, "数据集列表", "collections", "collections", s.collections),
		get("/collections/{collection}", "getCollection", tagFeatures, "一个数据集", "one collection", "collection", s.collection),
		geojson(get("/collections/{collection}/items", "getItems", tagFeatures, "要素查询", "features", "featureCollection", s.items,
			pLimit(defaultLimit, s.config.MaxLimit), pBBox, pDatetime, pOffset, pNext, pRelease)),
		geojson(get("/collections/{collection}/items/{feature}", "getItem", tagFeatures, "一个要素", "one feature", "feature", s.item, pRelease)),
		get("/collections/{collection}/items/{feature}/projects", "getItemProjects", tagProjects, "要素的相关项目", "projects of a feature", "featureProjects", s.itemProjects),

		get("/collections/{collection}/tiles", "getTilesets", tagTiles, "瓦片集列表", "tilesets", "tilesets", s.tilesets),
		get("/collections/{collection}/tiles/{tileMatrixSet}", "getTileset", tagTiles, "一个瓦片集", "one tileset", "tileset", s.tilesets),
		mvt(get("/collections/{collection}/tiles"+tilePattern, "getTile", tagTiles, "矢量瓦片", "vector tile", "", s.tile, pRelease, pRevision)),
		get("/collections/{collection}/tilejson", "getTileJSON", tagTiles, "数据集的 TileJSON", "TileJSON of one collection", "tilejson", s.tilejson),
		get("/tiles", "getDatasetTilesets", tagTiles, "多数据集瓦片集列表", "tilesets of several collections", "tilesets", s.tilesetsOfSeveral, pCollections),
		get("/tiles/{tileMatrixSet}", "getDatasetTileset", tagTiles, "多数据集的一个瓦片集", "one tileset of several collections", "tileset", s.tilesetsOfSeveral, pCollections),
		mvt(get("/tiles"+tilePattern, "getDatasetTile", tagTiles, "多数据集矢量瓦片，每个数据集一层", "vector tile of several collections, a layer each", "", s.tilesOfSeveral, pCollections, pRevision)),
		get("/tilejson", "getDatasetTileJSON", tagTiles, "多数据集 TileJSON", "TileJSON of several collections", "tilejson", s.tilejsonOfSeveral, pCollections),
		get("/tileMatrixSets", "getTileMatrixSets", tagTiles, "瓦片矩阵集列表", "tile matrix sets", "tileMatrixSets", s.matrixSets),
		get("/tileMatrixSets/{tileMatrixSet}", "getTileMatrixSet", tagTiles, "瓦片矩阵集", "one tile matrix set", "tileMatrixSet", s.matrixSet),

		get("/datasets/{collection}/releases", "getReleases", tagReleases, "数据集的版本", "releases of a dataset", "releases", s.releases),
		get("/deliveries/{delivery}", "getDelivery", tagReleases, "交付报告（所属单位、交付单位与平台管理单位可见）", "report of a delivery (for its owner, sender and the platform's operators)", "delivery", s.delivery, pLimit(defaultFindings, maxFindings)),

		{
			method: http.MethodPost, pattern: "/projects", id: "declareProject", tag: tagProjects, zh: "登记电子政务工程项目及其资产", en: "declare an e-government project and its assets",
			body: "declaration", response: "project", status: http.StatusCreated, handle: s.declareProject,
		},
		get("/projects", "getProjects", tagProjects, "项目列表", "projects", "projects", s.listProjects, pLimit(defaultProjects, maxProjects), pNext, pSearch, pStep, pFrom, pTo, pResult, pSupervised),
		get("/projects/{project}", "getProject", tagProjects, "一个项目及其资产", "one project with its assets", "project", s.project),
		get("/assets/{asset}", "getAsset", tagProjects, "项目资产及其项目", "a project asset with its projects", "asset", s.asset),
		get("/statistics", "getStatistics", tagProjects, "项目统计（按环节日期）", "project statistics (by the date of each step)", "statistics", s.statistics, pFrom, pTo),
	}
}
