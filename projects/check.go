package projects

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"changde/catalog"
	"changde/problem"
)

// The codes of the domain. The table of a name gives its Chinese term.
var (
	categories = map[string]string{
		"infrastructure": "基础设施", "base_database": "基础数据库", "application": "应用系统", "network": "网络",
		"security": "安全", "terminal": "终端", "service": "服务",
	}
	funds = map[string]string{
		"egov_special": "电子政务专项资金", "digital_changde_special": "数字常德建设专项资金", "dept_budget": "部门预算",
		"superior_grant": "上级补助", "bond": "债券", "self_raised": "自筹", "other": "其他",
	}
	results = map[string]string{"pass_first": "一次性合格", "pass_after_rectify": "整改合格", "fail": "不合格"}
	roles   = map[string]string{
		"constructs": "建设", "upgrades": "改扩建", "replaces": "替代", "uses": "使用", "hosts": "承载",
		"contributes_layer": "提供图层", "consumes_layer": "调用图层",
	}
	statuses = map[string]string{
		"declared": "拟建", "approved": "已批", "building": "在建", "in_use": "在用", "idle": "闲置", "retired": "停用",
	}
	// What geometry an asset of the type has: points, lines, areas, or any.
	assetTypes = map[string]shape{
		"server_room": points | areas, "cabinet": points, "line": lines, "duct": lines, "network_node": points,
		"camera": points, "pole": points, "sensor": points, "base_station": points, "service_terminal": points,
		"hosting_slot": anyShape, "data_layer": areas, "information_system": anyShape, "building": areas, "land_parcel": areas,
	}
)

type shape uint8

const (
	points shape = 1 << iota
	lines
	areas
	anyShape = points | lines | areas
)

func shapeOf(kind string) shape {
	switch strings.TrimPrefix(kind, "Multi") {
	case "Point":
		return points
	case "LineString":
		return lines
	}
	return areas
}

var (
	projectCode = regexp.MustCompile(`^[A-Z0-9][A-Z0-9-]{2,40}$`)
	assetCode   = regexp.MustCompile(`^[A-Z0-9][A-Z0-9-]{2,60}$`)
)

// newAsset is an asset to be written.
type newAsset struct {
	at         int // index in the declaration
	declared   *AssetDeclaration
	code       string // as declared, else made when the project has its code
	ewkb       []byte
	attributes string
}

// link is an existing feature to be linked.
type link struct {
	at   int
	ref  catalog.FeatureRef
	role string
}

// checked is a declaration that is right in itself.
type checked struct {
	*Declaration
	state  string
	assets []newAsset
	links  []link
}

func invalid(code, where, zh, en string) error {
	return problem.New(problem.Invalid, code, where, zh, en)
}

// check sees that a declaration is right in itself; box is where new assets may
// stand. It asks nobody.
func check(d *Declaration, box catalog.Bounds) (*checked, error) {
	c := &checked{Declaration: d, state: state(d)}
	for _, step := range []func() error{c.codes, c.texts, c.money, c.dates, func() error { return c.listed(box) }} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *checked) codes() error {
	if c.Code != "" && !projectCode.MatchString(c.Code) {
		return invalid("project-code", "/code",
			"项目编号由大写字母、数字和“-”组成，3 到 41 个字符，不以“-”开头；不填则自动编号",
			"a project's code has upper-case letters, digits and -, 3 to 41 of them, and does not begin with -; leave it out to be given one")
	}
	if c.PlanYear != nil && (*c.PlanYear < 1990 || *c.PlanYear > 2100) {
		return invalid("plan-year", "/planYear", "计划年度应在 1990 到 2100 之间", "the plan year lies between 1990 and 2100")
	}
	for _, m := range []struct {
		where, value string
		of           map[string]string
		optional     bool
	}{
		{"/category", c.Category, categories, false},
		{"/fund", c.Fund, funds, false},
		{"/acceptanceResult", c.AcceptanceResult, results, true},
	} {
		if err := oneOf(m.where, m.value, m.of, m.optional); err != nil {
			return err
		}
	}
	return nil
}

func oneOf(where, value string, of map[string]string, optional bool) error {
	if _, ok := of[value]; ok || optional && value == "" {
		return nil
	}
	var zh, en []string
	for _, k := range slices.Sorted(maps.Keys(of)) {
		zh, en = append(zh, k+" "+of[k]), append(en, k)
	}
	return invalid("code-unknown", where, "应为以下之一："+strings.Join(zh, "、"), "must be one of: "+strings.Join(en, ", "))
}

func (c *checked) texts() error {
	for _, t := range []struct {
		where, value string
		most         int
		required     bool
	}{
		{"/name", c.Name, maxText, true},
		{"/nameEn", c.NameEN, maxText, false},
		{"/unit", c.Unit, maxText, true},
		{"/organisation", c.Organisation, maxText, false},
		{"/description", c.Description, maxDescription, false},
	} {
		if err := text(t.where, t.value, t.most, t.required, t.most == maxDescription); err != nil {
			return err
		}
	}
	return nil
}

func text(where, s string, most int, required, paragraphs bool) error {
	bad := func(r rune) bool {
		return unicode.IsControl(r) && !(paragraphs && (r == '\n' || r == '\r' || r == '\t'))
	}
	switch {
	case strings.TrimSpace(s) == "" && (required || s != ""):
		return invalid("text-empty", where, "必须填写", "must be given")
	case len(s) > most*utf8.UTFMax || utf8.RuneCountInString(s) > most:
		return problem.New(problem.TooLarge, "text-long", where, fmt.Sprintf("最长 %d 个字", most), fmt.Sprintf("at most %d characters", most))
	case !utf8.ValidString(s) || strings.ContainsFunc(s, bad):
		return invalid("text-characters", where, "含有控制字符或无效的 UTF-8", "has control characters or invalid UTF-8")
	}
	return nil
}

func (c *checked) money() error {
	for where, a := range map[string]*Amount{"/declaredAmount": c.DeclaredAmount, "/approvedAmount": c.ApprovedAmount, "/planAmount": c.PlanAmount} {
		if a != nil && !a.valid() {
			_, err := ParseAmount(string(*a))
			if err == nil {
				err = invalid("amount-form", "", "金额应写作两位小数", "an amount has two decimals")
			}
			p := err.(*problem.Error)
			return problem.New(p.Kind, p.Code, where, p.ZH, p.EN)
		}
	}
	if c.ApprovedAmount == nil {
		return nil
	}
	if c.DeclaredAmount == nil {
		return invalid("amount-missing", "/declaredAmount", "有审定金额就必须有申报金额", "a project with an approved amount must have a declared one")
	}
	if c.ApprovedAmount.fen() > c.DeclaredAmount.fen() {
		return invalid("rule-m2", "/approvedAmount",
			fmt.Sprintf("违反规则 M2：审定金额 %s 元不得大于申报金额 %s 元", *c.ApprovedAmount, *c.DeclaredAmount),
			fmt.Sprintf("against rule M2: the approved amount of %s yuan must not exceed the declared %s", *c.ApprovedAmount, *c.DeclaredAmount))
	}
	return nil
}

// dates sees that the steps come one after the other, and that each has what its
// figure counts: otherwise a sum would leave a project out that its count has.
func (c *checked) dates() error {
	type step struct {
		name string
		date *Date
	}
	order := []step{
		{"acceptedOn", c.AcceptedOn},
		{"reviewedOn", c.ReviewedOn},
		{"tenderFiledOn", c.TenderFiledOn},
		{"constructionStartedOn", c.ConstructionStartedOn},
		{"finalAcceptedOn", c.FinalAcceptedOn},
	}
	for _, s := range append(order, step{"plannedOn", c.PlannedOn}) {
		if s.date != nil && !s.date.valid() {
			_, err := ParseDate(string(*s.date))
			p := err.(*problem.Error)
			return problem.New(p.Kind, p.Code, "/"+s.name, p.ZH, p.EN)
		}
	}
	last := step{}
	for _, s := range order {
		if s.date == nil {
			continue
		}
		if last.date != nil && *s.date < *last.date {
			return invalid("date-order", "/"+s.name,
				fmt.Sprintf("%s（%s）不能早于 %s（%s）", s.name, *s.date, last.name, *last.date),
				fmt.Sprintf("%s (%s) cannot be before %s (%s)", s.name, *s.date, last.name, *last.date))
		}
		last = s
	}
	switch {
	case c.AcceptedOn != nil && c.DeclaredAmount == nil:
		return invalid("amount-missing", "/declaredAmount", "已受理的项目必须有申报金额", "a project that was accepted has a declared amount")
	case c.ReviewedOn != nil && c.ApprovedAmount == nil:
		return invalid("amount-missing", "/approvedAmount", "评审完的项目必须有申报金额和审定金额", "a project that was reviewed has a declared and an approved amount")
	case c.PlannedOn != nil && c.PlanAmount == nil:
		return invalid("amount-missing", "/planAmount", "列入计划的项目必须有计划资金", "a project in the plan has a plan amount")
	case (c.FinalAcceptedOn != nil) != (c.AcceptanceResult != ""):
		return invalid("acceptance-result", "/acceptanceResult",
			"竣工验收日期 finalAcceptedOn 与验收结论 acceptanceResult 必须同时填写", "finalAcceptedOn and acceptanceResult are given together")
	}
	return nil
}

// state is how far the dates say a project has come, in the codes of the
// domain's lifecycle.
func state(d *Declaration) string {
	switch {
	case d.FinalAcceptedOn != nil && d.AcceptanceResult == "fail":
		return "accept_failed"
	case d.FinalAcceptedOn != nil:
		return "accepted_final"
	case d.ConstructionStartedOn != nil:
		return "building"
	case d.TenderFiledOn != nil:
		return "tender_filed"
	case d.ReviewedOn != nil:
		return "budget_approved"
	case d.PlannedOn != nil:
		return "planned"
	case d.AcceptedOn != nil:
		return "accepted"
	}
	return "declared"
}

// assetStatus is the status of what a project in the state constructs.
func assetStatus(state string) string {
	switch state {
	case "accepted_final":
		return "in_use"
	case "building", "accept_failed":
		return "building"
	case "budget_approved", "tender_filed":
		return "approved"
	}
	return "declared"
}

func (c *checked) listed(box catalog.Bounds) error {
	if len(c.Assets) > maxAssets {
		return problem.New(problem.TooLarge, "assets-many", "/assets",
			fmt.Sprintf("一次最多登记 %d 项资产", maxAssets), fmt.Sprintf("a declaration has at most %d assets", maxAssets))
	}
	codes := map[string]bool{}
	vertices := 0
	for i := range c.Assets {
		a := &c.Assets[i]
		at := fmt.Sprintf("/assets/%d", i)
		existing := a.Collection != "" || a.ID != nil || a.Key != ""
		fresh := a.Type != "" || a.Name != "" || a.Code != "" || a.Status != "" || a.Geometry != nil || a.Attributes != nil
		if existing == fresh {
			return invalid("asset-form", at,
				"一项资产要么指向已有要素（collection、id 或 key、role），要么是新资产（type、name、geometry 等），不能混用",
				"an asset is either an existing feature (collection, id or key, role) or a new one (type, name, geometry, ...), not both")
		}
		if err := oneOf(at+"/role", a.Role, roles, fresh); err != nil {
			return err
		}
		if existing {
			l, err := reference(a, i, at)
			if err != nil {
				return err
			}
			c.links = append(c.links, l)
			continue
		}
		n, used, err := described(a, i, at, box)
		if err != nil {
			return err
		}
		if n.code != "" && codes[n.code] {
			return invalid("asset-code-twice", at+"/code", "资产编号在本次申报中重复", "the asset's code stands twice in this declaration")
		}
		codes[n.code] = true
		if vertices += used; vertices > maxAllVertices {
			return problem.New(problem.TooLarge, "geometry-vertices", at+"/geometry",
				fmt.Sprintf("一次申报的几何合计最多 %d 个顶点", maxAllVertices), fmt.Sprintf("the geometries of a declaration have at most %d vertices together", maxAllVertices))
		}
		c.assets = append(c.assets, n)
	}
	return nil
}

func reference(a *AssetDeclaration, i int, at string) (link, error) {
	switch {
	case a.Collection == "":
		return link{}, invalid("asset-collection", at+"/collection", "请写明要素所在的数据集", "name the dataset of the feature")
	case a.Collection == projectsDataset:
		return link{}, invalid("asset-collection", at+"/collection", "项目不能作为另一项目的资产", "a project cannot be an asset of another")
	case (a.ID == nil) == (a.Key == ""):
		return link{}, invalid("asset-reference", at, "id 和 key 必须且只能填写一个", "give either id or key")
	case a.ID != nil && *a.ID <= 0:
		return link{}, invalid("asset-reference", at+"/id", "id 是正整数", "an id is a positive whole number")
	}
	if err := text(at+"/key", a.Key, maxText, false, false); err != nil {
		return link{}, err
	}
	l := link{at: i, ref: catalog.FeatureRef{Collection: a.Collection, Key: a.Key}, role: a.Role}
	if a.ID != nil {
		l.ref.FID = *a.ID
	}
	return l, nil
}

func described(a *AssetDeclaration, i int, at string, box catalog.Bounds) (n newAsset, vertices int, err error) {
	allowed, known := assetTypes[a.Type]
	switch {
	case a.Type == "survey_mark":
		return n, 0, problem.New(problem.Unsupported, "asset-type-classified", at+"/type",
			"永久性测量标志的坐标涉密，本平台不予登记", "the coordinates of survey marks are classified and are not kept on this platform")
	case !known:
		return n, 0, invalid("asset-type", at+"/type", "资产类型应为以下之一："+strings.Join(slices.Sorted(maps.Keys(assetTypes)), "、"),
			"the type of an asset is one of: "+strings.Join(slices.Sorted(maps.Keys(assetTypes)), ", "))
	case a.Code != "" && !assetCode.MatchString(a.Code):
		return n, 0, invalid("asset-code", at+"/code", "资产编号由大写字母、数字和“-”组成，3 到 61 个字符，不以“-”开头；不填则自动编号",
			"an asset's code has upper-case letters, digits and -, 3 to 61 of them, and does not begin with -; leave it out to be given one")
	case a.Geometry == nil:
		return n, 0, invalid("geometry-missing", at+"/geometry", "请给出资产的位置（GeoJSON 几何）", "give the asset's place, a GeoJSON geometry")
	}
	if err := oneOf(at+"/status", a.Status, statuses, true); err != nil {
		return n, 0, err
	}
	if err := text(at+"/name", a.Name, maxText, true, false); err != nil {
		return n, 0, err
	}
	n = newAsset{at: i, declared: a, code: a.Code}
	var kind string
	if n.ewkb, kind, vertices, err = parseGeometry(a.Geometry, at+"/geometry", box); err != nil {
		return n, 0, err
	}
	if shapeOf(kind)&allowed == 0 {
		return n, 0, invalid("geometry-type", at+"/geometry/type",
			fmt.Sprintf("类型为 %s 的资产不能用 %s 表示", a.Type, kind), fmt.Sprintf("an asset of type %s is no %s", a.Type, kind))
	}
	n.attributes, err = attributes(a.Attributes, at+"/attributes")
	return n, vertices, err
}

// attributes sees that data is one flat JSON object that jsonb can hold.
func attributes(data []byte, at string) (string, error) {
	if data == nil {
		return "{}", nil
	}
	if len(data) > maxAttributeBytes {
		return "", problem.New(problem.TooLarge, "attributes-large", at, fmt.Sprintf("属性超过 %d 字节", maxAttributeBytes), fmt.Sprintf("the attributes are longer than %d bytes", maxAttributeBytes))
	}
	var members map[string]jsontext.Value
	if err := json.Unmarshal(data, &members); err != nil {
		return "", jsonProblem(err, at)
	}
	if members == nil {
		return "", invalid("attributes-form", at, "属性应为 JSON 对象", "attributes are a JSON object")
	}
	if len(members) > maxAttributes {
		return "", problem.New(problem.TooLarge, "attributes-many", at, fmt.Sprintf("最多 %d 个属性", maxAttributes), fmt.Sprintf("at most %d attributes", maxAttributes))
	}
	for name, value := range members {
		if err := text(at, name, maxAttributeName, true, false); err != nil {
			return "", err
		}
		where := at + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
		switch value.Kind() {
		case '"':
			var s string
			if err := json.Unmarshal(value, &s); err != nil {
				return "", jsonProblem(err, where)
			}
			if err := text(where, s+"x", maxAttributeText+1, false, true); err != nil { // an attribute may be empty
				return "", err
			}
		case '0':
			var f float64
			if err := json.Unmarshal(value, &f); err != nil || len(value) > 30 {
				return "", invalid("attribute-number", where, "数字超出范围或位数过多", "the number is out of range or has too many digits")
			}
		case '{', '[':
			return "", invalid("attribute-type", where, "属性值应为文字、数字、布尔值或空值", "an attribute is a text, a number, a boolean or null")
		}
	}
	return string(bytes.TrimSpace(data)), nil
}
