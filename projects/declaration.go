package projects

import (
	stdjson "encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"changde/problem"
)

// The bounds of a declaration.
const (
	// MaxDeclarationBytes is the longest JSON text that ParseDeclaration reads.
	MaxDeclarationBytes = 8 << 20
	maxAssets           = 1000
	maxVertices         = 10_000  // of one geometry
	maxAllVertices      = 100_000 // of all geometries
	maxDepth            = 16
	maxObjects          = 1 + 3*maxAssets // the declaration; each asset, its geometry, its attributes
	maxText             = 200             // runes of a name
	maxDescription      = 4000            // runes
	maxAttributes       = 50
	maxAttributeName    = 60   // runes
	maxAttributeText    = 1000 // runes
	maxAttributeBytes   = 65_536
)

// Declaration is what an organisation says of a project: the body of a request.
// Amounts are yuan. The codes of category, fund, result, role, type and status
// are listed at Declare.
type Declaration struct {
	// Code names the project for ever: ^[A-Z0-9][A-Z0-9-]{2,40}$. Empty: the next
	// free CD-EG-YYYY-NNNN, of PlanYear or else the current year.
	Code string `json:"code"`
	// Organisation declares the project. Empty: the caller's. Only an organisation
	// that administers the platform may name another.
	Organisation string `json:"organisation"`

	Name                  string             `json:"name"`
	NameEN                string             `json:"nameEn"`
	Category              string             `json:"category"`
	Unit                  string             `json:"unit"` // 建设单位
	Fund                  string             `json:"fund"`
	Description           string             `json:"description"`
	PlanYear              *int               `json:"planYear"`
	DeclaredAmount        *Amount            `json:"declaredAmount"`
	ApprovedAmount        *Amount            `json:"approvedAmount"`
	PlanAmount            *Amount            `json:"planAmount"`
	PlannedOn             *Date              `json:"plannedOn"`
	AcceptedOn            *Date              `json:"acceptedOn"`
	ReviewedOn            *Date              `json:"reviewedOn"`
	TenderFiledOn         *Date              `json:"tenderFiledOn"`
	ConstructionStartedOn *Date              `json:"constructionStartedOn"`
	FinalAcceptedOn       *Date              `json:"finalAcceptedOn"`
	AcceptanceResult      string             `json:"acceptanceResult"`
	Supervised            bool               `json:"supervised"`
	Assets                []AssetDeclaration `json:"assets"`
}

// AssetDeclaration is either an existing feature (Collection with ID or Key, and
// Role) or a new asset (Type, Name, Geometry and what else is known of it).
type AssetDeclaration struct {
	Role string `json:"role"` // of a new asset: constructs when empty

	Collection string `json:"collection"`
	ID         *int64 `json:"id"`
	Key        string `json:"key"` // value of the dataset's business key

	Type   string `json:"type"`
	Name   string `json:"name"`
	Code   string `json:"code"`   // empty: made from the project's
	Status string `json:"status"` // empty: follows from the project's state
	// Geometry is a GeoJSON geometry (RFC 7946) in longitude and latitude: Point,
	// LineString, Polygon or a Multi form, without altitudes.
	Geometry stdjson.RawMessage `json:"geometry"`
	// Attributes is a JSON object of texts, numbers, booleans and nulls.
	Attributes stdjson.RawMessage `json:"attributes"`
}

// ParseDeclaration reads a declaration from JSON (RFC 8259). Members that are
// not known, that come twice or have another type are problem.Invalid, with the
// JSON pointer (RFC 6901) as Where; texts beyond the bounds problem.TooLarge.
// What the members say is for Declare to check.
func ParseDeclaration(data []byte) (Declaration, error) {
	if len(data) > MaxDeclarationBytes {
		return Declaration{}, problem.New(problem.TooLarge, "declaration-large", "",
			fmt.Sprintf("申报内容超过 %d 字节", MaxDeclarationBytes), fmt.Sprintf("the declaration is longer than %d bytes", MaxDeclarationBytes))
	}
	if err := bounded(data, maxDepth, maxObjects); err != nil {
		return Declaration{}, err
	}
	var d Declaration
	if err := json.Unmarshal(data, &d, json.RejectUnknownMembers(true)); err != nil {
		return Declaration{}, jsonProblem(err, "")
	}
	return d, nil
}

// bounded walks over JSON without building anything and refuses what would be
// deep or have many objects.
func bounded(data []byte, depth, objects int) error {
	level, inText := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inText && c == '\\':
			i++
		case c == '"':
			inText = !inText
		case inText:
		case c == '{', c == '[':
			level++
			if c == '{' {
				objects--
			}
			if level > depth || objects < 0 {
				return problem.New(problem.TooLarge, "declaration-structure", "",
					fmt.Sprintf("申报内容嵌套超过 %d 层，或资产超过 %d 项；请检查结构或分次登记", maxDepth, maxAssets),
					fmt.Sprintf("the declaration is nested deeper than %d or has more than %d assets; check its structure or declare in parts", maxDepth, maxAssets))
			}
		case c == '}', c == ']':
			level--
		}
	}
	return nil
}

// jsonProblem says where in the text an error of the JSON package lies; at is
// the pointer to the text itself.
func jsonProblem(err error, at string) error {
	var semantic *json.SemanticError
	var syntactic *jsontext.SyntacticError
	switch {
	case errors.As(err, &semantic):
		where := at + pointer(semantic.JSONPointer)
		var p *problem.Error
		if errors.As(err, &p) {
			return problem.New(p.Kind, p.Code, where, p.ZH, p.EN)
		}
		if errors.Is(err, json.ErrUnknownName) {
			return problem.Wrap(err, problem.Invalid, "member-unknown", where,
				"没有这个字段；请检查拼写和大小写", "there is no such member; check its spelling and case")
		}
		return problem.Wrap(err, problem.Invalid, "member-type", where,
			"字段的类型不对："+kinds[semantic.JSONKind.String()]+"不能用在这里", "the member has the wrong type: "+article[semantic.JSONKind.String()]+" cannot stand here")
	case errors.As(err, &syntactic):
		where := at + pointer(syntactic.JSONPointer)
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return problem.Wrap(err, problem.Invalid, "member-twice", where, "同一字段出现了两次", "the member stands there twice")
		}
		return problem.Wrap(err, problem.Invalid, "json-syntax", where,
			fmt.Sprintf("不是有效的 JSON，第 %d 字节附近", syntactic.ByteOffset), fmt.Sprintf("not valid JSON, near byte %d", syntactic.ByteOffset))
	}
	return problem.Wrap(err, problem.Invalid, "json-syntax", at, "不是有效的 JSON", "not valid JSON")
}

// pointer shortens what a caller made long.
func pointer(p jsontext.Pointer) string {
	const most = 200
	if len(p) > most {
		return strings.ToValidUTF8(string(p[:most]), "") + "..."
	}
	return string(p)
}

// How RFC 8259 calls the kinds of values, and what they are called here.
var (
	kinds   = map[string]string{"null": "空值", "false": "布尔值", "true": "布尔值", "string": "文字", "number": "这个数字", "{": "对象", "[": "数组", "object": "对象", "array": "数组"}
	article = map[string]string{"null": "null", "false": "a boolean", "true": "a boolean", "string": "a text", "number": "this number", "{": "an object", "[": "a list", "object": "an object", "array": "a list"}
)
