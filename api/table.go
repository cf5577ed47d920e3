package api

import (
	"net/http"

	"changde/features/cql2"
	"changde/tiles"
	"changde/tiles/sprite"
	"changde/tiles/style"
)

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
	pAsOf        = parameter{name: "as-of", zh: "该时刻的状态（RFC 3339）", en: "the state as of that time (RFC 3339)", schema: map[string]any{"type": "string"}}
	pSince       = parameter{name: "since", zh: "修订号或上一页的标记：其后的变化", en: "a revision, or the mark of the page before: the changes after it", schema: map[string]any{"type": "string"}}
	pFromRelease = parameter{name: "from", zh: "较早的版本，默认 to 的前一版", en: "the earlier release, by default the one before to", schema: map[string]any{"type": "integer", "minimum": 1}}
	pToRelease   = parameter{name: "to", zh: "较晚的版本，默认当前版", en: "the later release, the current one by default", schema: map[string]any{"type": "integer", "minimum": 1}}
	pDocument    = parameter{name: "document", zh: "文号", en: "document number", schema: map[string]any{"type": "string", "maxLength": 200}}
	pNote        = parameter{name: "note", zh: "说明", en: "note", schema: map[string]any{"type": "string", "maxLength": 2000}}
	pRepeat      = parameter{name: "repeat", zh: "文件与以前的交付相同也照样入库", en: "load files that were delivered before", schema: map[string]any{"type": "boolean"}}
	pDataset     = parameter{name: "dataset", zh: "数据集", en: "dataset", schema: map[string]any{"type": "string"}}
	pState       = parameter{name: "state", zh: "状态", en: "state", schema: map[string]any{"type": "string", "enum": []string{"receiving", "received", "inspected", "loading", "checked", "awaiting", "released", "rejected", "withdrawn", "failed", "split"}}}
	pNext        = parameter{name: "next", zh: "上一页 next 链接中的翻页标记", en: "the mark in the next link of the page before", schema: map[string]any{"type": "string"}}
	pRelease     = parameter{name: "release", zh: "版本号，默认当前版", en: "release number, the current one by default", schema: map[string]any{"type": "integer", "minimum": 1}}
	pRevision    = parameter{name: "rev", zh: "修订号；与当前一致时响应可长期缓存", en: "revision; where it is the current one the answer may be cached for good", schema: map[string]any{"type": "string"}}
	pCollections = parameter{
		name: "collections", zh: "数据集标识，逗号分隔，最多 20 个", en: "collection ids, comma-separated, at most 20",
		schema: map[string]any{"type": "array", "items": map[string]any{"type": "string"}, "maxItems": maxCollections},
	}
	pDrawn = parameter{
		name: "collections", zh: "数据集标识，逗号分隔，最多 100 个；缺省为您可见的全部", en: "collection ids, comma-separated, at most 100; all that you see without it",
		schema: map[string]any{"type": "array", "items": map[string]any{"type": "string"}, "maxItems": maxDrawn},
	}
	pStyleGrid = parameter{
		name: "tileMatrixSet", zh: "瓦片的格网；CGCS2000Quad 的瓦片按天地图 c 的级别编号，使 {z} 与样式的级别一致", en: "the grid of the tiles; those of CGCS2000Quad are numbered as 天地图's c, so that {z} counts as the zoom of a style does",
		schema: map[string]any{"type": "string", "enum": styleGrids(), "default": defaultSet},
	}
	pFilter = parameter{
		name: "filter", zh: "过滤条件（CQL2 文本），例如 地类编码 IN ('0101', '0102') AND 面积 > 1000", en: "filter in CQL2 text, such as DLBM IN ('0101', '0102') AND area > 1000",
		schema: map[string]any{"type": "string", "maxLength": cql2.MaxText},
	}
	pFilterOfAll = parameter{
		name: "filter", zh: "过滤条件（CQL2 文本），用于每个数据集；其中的字段须为各数据集共有", en: "filter in CQL2 text, on each collection; its properties must be there in all of them",
		schema: map[string]any{"type": "string", "maxLength": cql2.MaxText},
	}
	pFilterLang = parameter{name: "filter-lang", zh: "过滤条件的语言", en: "the language of the filter", schema: map[string]any{"type": "string", "enum": []string{langCQL2Text}, "default": langCQL2Text}}
	pFilterCRS  = parameter{
		name: "filter-crs", zh: "过滤条件中几何的坐标系；EPSG 的两个纬度在前", en: "reference system of the geometries in the filter; in those of EPSG the latitude comes first",
		schema: map[string]any{"type": "string", "format": "uri", "enum": []string{crs84, crs4490, crs4326}, "default": crs84},
	}
	pProperties = parameter{
		name: "properties", zh: "瓦片所带的字段，逗号分隔", en: "the properties that the tile carries, comma-separated",
		schema: map[string]any{"type": "array", "items": map[string]any{"type": "string"}, "maxItems": tiles.MaxColumns},
	}
	pCluster = parameter{
		name: "cluster", zh: "点聚合格的边长，像素（瓦片宽 512）；格内多于一点的画为一点，字段 point_count 为点数。仅用于点数据集", en: "the side in pixels, of which a tile has 512, of cells whose points are drawn as one, with their number as point_count; collections of points only",
		schema: map[string]any{"type": "integer", "minimum": tiles.MinCluster, "maximum": tiles.MaxCluster},
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
	mapbox := func(r route) route { r.media = style.Media; return r }
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
			pLimit(defaultLimit, s.config.MaxLimit), pBBox, pDatetime, pFilter, pFilterLang, pFilterCRS, pOffset, pNext, pRelease, pAsOf)),
		func() route {
			r := get("/collections/{collection}/queryables", "getQueryables", tagFeatures, "过滤条件可用的字段", "the properties that a filter may name", "queryables", s.queryables, pRelease, pAsOf)
			r.media = mediaSchema
			return r
		}(),
		geojson(get("/collections/{collection}/items/{feature}", "getItem", tagFeatures, "一个要素", "one feature", "feature", s.item, pRelease, pAsOf)),
		{
			method: http.MethodPost, pattern: "/collections/{collection}/items", id: "insertItem", tag: tagFeatures, zh: "新增要素（可编辑的数据集）", en: "insert a feature (editable datasets)",
			body: "writtenFeature", response: "written", status: http.StatusCreated, query: []parameter{pDocument, pNote}, handle: s.insertItem,
		},
		{
			method: http.MethodPut, pattern: "/collections/{collection}/items/{feature}", id: "replaceItem", tag: tagFeatures, zh: "替换要素；If-Match 为读取时的修订号", en: "replace a feature; If-Match is the revision that was read",
			body: "writtenFeature", response: "written", query: []parameter{pDocument, pNote}, handle: s.replaceItem,
		},
		{
			method: http.MethodDelete, pattern: "/collections/{collection}/items/{feature}", id: "deleteItem", tag: tagFeatures, zh: "删除要素", en: "delete a feature",
			response: "written", query: []parameter{pDocument, pNote}, handle: s.deleteItem,
		},
		get("/collections/{collection}/items/{feature}/history", "getItemHistory", tagReleases, "要素的各个历史状态", "the versions of a feature", "history", s.history),
		get("/collections/{collection}/changes", "getChanges", tagReleases, "某修订之后的逐条变化", "changes after a revision, one by one", "changes", s.changes, pSince, pLimit(defaultChanges, maxChanges)),
		get("/collections/{collection}/items/{feature}/projects", "getItemProjects", tagProjects, "要素的相关项目", "projects of a feature", "featureProjects", s.itemProjects, pRelease, pAsOf),

		get("/collections/{collection}/tiles", "getTilesets", tagTiles, "瓦片集列表", "tilesets", "tilesets", s.tilesets),
		get("/collections/{collection}/tiles/{tileMatrixSet}", "getTileset", tagTiles, "一个瓦片集", "one tileset", "tileset", s.tilesets),
		mvt(get("/collections/{collection}/tiles"+tilePattern, "getTile", tagTiles, "矢量瓦片", "vector tile", "", s.tile, pFilter, pFilterLang, pFilterCRS, pProperties, pCluster, pRelease, pAsOf, pRevision)),
		func() route {
			r := get("/collections/{collection}/tiles/{tileMatrixSet}/archive.pmtiles", "getTilesArchive", tagTiles, "全部瓦片的档案（PMTiles），可按字节范围读取", "archive of all tiles (PMTiles), whole or by ranges of bytes", "", s.archive)
			r.media, r.compressed = mediaPMTiles, true
			return r
		}(),
		get("/collections/{collection}/tilejson", "getTileJSON", tagTiles, "数据集的 TileJSON", "TileJSON of one collection", "tilejson", s.tilejson),
		get("/tiles", "getDatasetTilesets", tagTiles, "多数据集瓦片集列表", "tilesets of several collections", "tilesets", s.tilesetsOfSeveral, pCollections),
		get("/tiles/{tileMatrixSet}", "getDatasetTileset", tagTiles, "多数据集的一个瓦片集", "one tileset of several collections", "tileset", s.tilesetsOfSeveral, pCollections),
		mvt(get("/tiles"+tilePattern, "getDatasetTile", tagTiles, "多数据集矢量瓦片，每个数据集一层", "vector tile of several collections, a layer each", "", s.tilesOfSeveral, pCollections, pFilterOfAll, pFilterLang, pFilterCRS, pRevision)),
		get("/tilejson", "getDatasetTileJSON", tagTiles, "多数据集 TileJSON", "TileJSON of several collections", "tilejson", s.tilejsonOfSeveral, pCollections),
		get("/collections/{collection}/styles", "getStyles", tagTiles, "数据集的样式列表", "styles of one collection", "styles", s.styles),
		mapbox(get("/collections/{collection}/styles/{style}", "getStyle", tagTiles, "数据集的 MapLibre 样式", "MapLibre style of one collection", "style", s.style, pStyleGrid)),
		get("/styles", "getDatasetStyles", tagTiles, "全市样式列表", "styles of the city", "styles", s.stylesOfSeveral),
		mapbox(get("/styles/{style}", "getDatasetStyle", tagTiles, "全市或多数据集的 MapLibre 样式", "MapLibre style of the city, or of several collections", "style", s.styleOfSeveral, pDrawn, pStyleGrid)),
		get("/sprites/{sprite}.json", "getSprite", tagTiles, "样式的图标在图片中的位置", "where the icons of the styles are on the picture", "sprite", s.spriteIndex),
		func() route {
			r := get("/sprites/{sprite}.png", "getSpritePicture", tagTiles, "样式的图标图片", "the picture of the icons of the styles", "", s.spritePicture)
			r.media = sprite.MediaPNG
			return r
		}(),
		get("/tileMatrixSets", "getTileMatrixSets", tagTiles, "瓦片矩阵集列表", "tile matrix sets", "tileMatrixSets", s.matrixSets),
		get("/tileMatrixSets/{tileMatrixSet}", "getTileMatrixSet", tagTiles, "瓦片矩阵集", "one tile matrix set", "tileMatrixSet", s.matrixSet),

		get("/datasets/{collection}/releases", "getReleases", tagReleases, "数据集的版本", "releases of a dataset", "releases", s.releases),
		get("/datasets/{collection}/differences", "getDifferences", tagReleases, "两个版本的差异", "the difference of two releases", "differences", s.differences, pFromRelease, pToRelease),
		get("/deliveries", "getDeliveries", tagReleases, "与您单位有关的交付", "the deliveries that concern your organisation", "deliveries", s.listDeliveries, pLimit(defaultDeliveries, maxDeliveries), pNext, pDataset, pState),
		{
			method: http.MethodPost, pattern: "/deliveries", id: "createDelivery", tag: tagReleases, zh: "新建交付，随后上传文件并提交", en: "make a delivery, to which files are uploaded before it is submitted",
			body: "deliveryRequest", response: "delivery", status: http.StatusCreated, handle: s.createDelivery,
		},
		get("/deliveries/{delivery}/files", "getUploads", tagReleases, "各文件已到达的字节数", "how many bytes of each file have arrived", "uploads", s.listUploads),
		get("/deliveries/{delivery}/files/{file}", "getUpload", tagReleases, "文件已到达的字节数", "how many bytes of a file have arrived", "upload", s.uploaded),
		{
			method: http.MethodPut, pattern: "/deliveries/{delivery}/files/{file}", id: "putUpload", tag: tagReleases, zh: "上传整个文件", en: "upload a whole file",
			bytes: true, response: "upload", handle: s.upload,
		},
		{
			method: http.MethodPatch, pattern: "/deliveries/{delivery}/files/{file}", id: "patchUpload", tag: tagReleases, zh: "从 Upload-Offset 处续传", en: "go on with an upload at Upload-Offset",
			bytes: true, response: "upload", handle: s.upload,
		},
		{
			method: http.MethodPost, pattern: "/deliveries/{delivery}/submit", id: "submitDelivery", tag: tagReleases, zh: "提交交付", en: "submit a delivery",
			response: "delivery", status: http.StatusAccepted, query: []parameter{pRepeat}, handle: s.submitDelivery,
		},
		{
			method: http.MethodPost, pattern: "/deliveries/{delivery}/layers", id: "splitDelivery", tag: tagReleases, zh: "指定各图层的数据集", en: "say which dataset each layer goes into",
			body: "layers", response: "delivery", status: http.StatusAccepted, handle: s.splitDelivery,
		},
		{
			method: http.MethodPost, pattern: "/deliveries/{delivery}/decisions", id: "decideDelivery", tag: tagReleases, zh: "审批、退回、撤回、重试或取消", en: "approve, reject, withdraw, retry or cancel",
			body: "decide", response: "delivery", status: http.StatusAccepted, handle: s.decideDelivery,
		},
		func() route {
			r := get("/deliveries/{delivery}/events", "watchDelivery", tagReleases, "交付进度（服务器推送事件）", "the progress of a delivery (server-sent events)", "", s.watchDelivery)
			r.media, r.compressed = "text/event-stream", true
			return r
		}(),
		func() route {
			r := get("/deliveries/{delivery}/report", "getDeliveryReport", tagReleases, "交付报告：网页、JSON、工作簿、问题点", "the report of a delivery: page, JSON, workbook, points of the findings", "", s.deliveryReport)
			r.reports = true
			return r
		}(),
		geojson(get("/deliveries/{delivery}/changes", "getDeliveryChanges", tagReleases, "交付的逐个变化，变更的要素附变化字段的原值与新值（before、after）", "the features that a delivery changes; a changed one with the values of its changed fields before and after", "featureCollection", s.deliveryChanges, pLimit(defaultLimit, s.config.MaxLimit), pBBox, pOffset, pNext)),
		mvt(get("/deliveries/{delivery}/changes/tiles"+tilePattern, "getDeliveryChangesTile", tagReleases, "交付变化的矢量瓦片", "vector tile of what a delivery changes", "", s.deliveryChangesTile)),
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
