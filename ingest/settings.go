package ingest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"changde/catalog"
	"changde/ingest/quality"
	"changde/problem"
)

// maxTitle bounds a dataset's titles together, in characters.
const maxTitle = 400

// datasetSettings are the stored settings of a dataset with those of the request
// laid over them.
type datasetSettings struct {
	exists      bool
	release     int
	rows        int64
	geometry    string
	z           bool
	columns     []catalog.Column
	sha256      string
	sharing     catalog.Sharing
	declaredBox *catalog.Bounds
	businessKey string
	storedKey   string
	grids       []string // matrix sets that are cut before a release beside WebMercatorQuad
	approval    catalog.Approval
	// storedApproval is the dataset's before the delivery, empty for a new one.
	storedApproval catalog.Approval
	profile        string
	timeColumn     string
	tiles          catalog.TileRules
	tileFields     []string          // that the request gives
	named          map[string]string // role -> column, of the columns settings name
}

const settingsSQL = `
SELECT d.kind, d.release, d.sharing, d.box, d.grids, coalesce(d.business_key, ''), coalesce(d.label, ''), coalesce(d.class, ''), coalesce(d.time_column, ''),
       d.approval, d.profile, d.tiles, d.rows, coalesce(r.geometry_type, ''), coalesce(r.columns, '[]'), coalesce(encode(v.sha256, 'hex'), ''),
       coalesce((SELECT postgis_typmod_dims(atttypmod) FROM pg_attribute WHERE attrelid = to_regclass(d.relation) AND attname = 'geom'), 2) > 2
FROM changde.datasets d
LEFT JOIN changde.releases r ON r.dataset = d.id AND r.release = d.release
LEFT JOIN changde.deliveries v ON v.id = r.delivery
WHERE d.id = $1`

func (i *Ingester) settings(ctx context.Context, r Request) (datasetSettings, error) {
	if !validID(r.Dataset) {
		return datasetSettings{}, problem.New(problem.Invalid, "dataset-id", r.Dataset,
			"数据集标识须以小写字母开头，只含小写字母、数字与下划线，最长 41 个字符",
			"a dataset's id begins with a lower-case letter and has only lower-case letters, digits and underscores, at most 41")
	}
	set := r.Settings
	s := datasetSettings{sharing: catalog.Internal, named: make(map[string]string)}
	var kind catalog.Kind
	var box []float64
	var key, label, class, timeColumn string
	var columns []byte
	err := i.pool.QueryRow(ctx, settingsSQL, r.Dataset).Scan(&kind, &s.release, &s.sharing, &box, &s.grids, &key, &label, &class, &timeColumn,
		&s.approval, &s.profile, &s.tiles, &s.rows, &s.geometry, &columns, &s.sha256, &s.z)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
	case err != nil:
		return s, fmt.Errorf("read dataset %s: %w", r.Dataset, err)
	case kind != catalog.Delivered:
		return s, problem.New(problem.Conflict, "dataset-edited", r.Dataset,
			"该数据集由接口编辑，不接受文件交付", "this dataset is edited through the API and takes no deliveries")
	case s.release > 0:
		s.exists = true
		if s.columns, err = catalog.DecodeColumns(columns); err != nil {
			return s, fmt.Errorf("dataset %s: %w", r.Dataset, err)
		}
		if len(box) == 4 {
			s.declaredBox = &catalog.Bounds{box[0], box[1], box[2], box[3]}
		}
	default: // the row a failed first delivery left: nothing was ever decided
		s.sharing, key, label, class, timeColumn, s.tiles = catalog.Internal, "", "", "", "", catalog.TileRules{}
	}
	if set.Sharing != "" {
		s.sharing = set.Sharing
	}
	switch s.sharing {
	case catalog.Public, catalog.Internal, catalog.Private:
	default:
		return s, problem.New(problem.Invalid, "sharing-unknown", string(s.sharing),
			"共享方式只能是 public、internal 或 private", "sharing is one of public, internal, private")
	}
	if set.Box != nil {
		if !set.Box.Valid() {
			return s, problem.New(problem.Invalid, "box-invalid", "box",
				"坐标范围须为 西,南,东,北（度），西小于东、南小于北", "a box is west,south,east,north in degrees, west below east and south below north")
		}
		s.declaredBox = set.Box
	}
	for role, id := range map[string]string{"owner": set.Owner, "sender": r.Sender} {
		if err := i.registered(ctx, role, id); err != nil {
			return s, err
		}
	}
	if n := utf8.RuneCountInString(set.TitleZH + set.TitleEN); n > maxTitle {
		return s, problem.New(problem.TooLarge, "title-long", "title", fmt.Sprintf("名称共 %d 个字，最多 %d 个", n, maxTitle), fmt.Sprintf("the titles have %d characters; at most %d", n, maxTitle))
	}
	s.storedKey, s.businessKey = key, setting(set.BusinessKey, key)
	s.profile = setting(set.Profile, s.profile)
	if s.release > 0 {
		s.storedApproval = s.approval
	}
	if err := checkMetadata(set.Metadata); err != nil {
		return s, err
	}
	if set.Tiles != nil {
		if err := set.Tiles.Check(); err != nil {
			return s, err
		}
		s.tiles, s.tileFields = *set.Tiles, set.Tiles.Fields(catalog.DetailZoom)
	}
	if err := checkGrids(set.Grids); err != nil {
		return s, err
	}
	switch {
	case len(set.Grids) == 0:
	case set.Grids[0] == NoGrid:
		s.grids = nil
	default:
		s.grids = set.Grids
	}
	if set.Approval != "" {
		s.approval = set.Approval
	}
	switch s.approval {
	case "":
		s.approval = catalog.Automatic
	case catalog.Automatic, catalog.ByApproval, catalog.FourEyes:
	default:
		return s, problem.New(problem.Invalid, "approval-unknown", string(s.approval),
			"审批方式只能是 automatic、approval 或 four-eyes", "approval is one of automatic, approval, four-eyes")
	}
	s.timeColumn = setting(set.TimeColumn, timeColumn)
	for role, name := range map[string]string{
		"business-key": s.businessKey, "label": setting(set.Label, label),
		"class": setting(set.Class, class), "time": s.timeColumn,
	} {
		if name != "" {
			s.named[role] = name
		}
	}
	return s, nil
}

// checkMetadata refuses elements that the core metadata does not have.
func checkMetadata(given map[string]string) error {
	known := make(map[string]bool)
	var names []string
	for _, e := range quality.Elements() {
		known[e.ID] = true
		names = append(names, e.ID)
	}
	for name, value := range given {
		if !known[name] {
			return problem.New(problem.Invalid, "metadata-unknown", name, "没有这项元数据；可用："+strings.Join(names, "、"), "there is no such element; there are: "+strings.Join(names, ", "))
		}
		if utf8.RuneCountInString(value) > maxNote {
			return problem.New(problem.TooLarge, "metadata-long", name, fmt.Sprintf("每项最多 %d 字", maxNote), fmt.Sprintf("an element has at most %d characters", maxNote))
		}
	}
	return nil
}

// registered refuses an organisation that is not there.
func (i *Ingester) registered(ctx context.Context, role, id string) error {
	if id == "" {
		return nil
	}
	var known bool
	if err := i.pool.QueryRow(ctx, "SELECT EXISTS (SELECT FROM changde.organisations WHERE id = $1)", cleanText(id)).Scan(&known); err != nil {
		return fmt.Errorf("look for organisation: %w", err)
	}
	if !known {
		return problem.New(problem.Invalid, role+"-unknown", id, "单位未登记，请先执行 changde org add", "the organisation is not registered; run changde org add first")
	}
	return nil
}

// setting is what a setting will be: as given, NoColumn for none, or as stored.
func setting(given, stored string) string {
	switch given {
	case "":
		return stored
	case NoColumn:
		return ""
	}
	return given
}

// box returns where the dataset's coordinates may lie.
func (s datasetSettings) box(city catalog.City) catalog.Bounds {
	if s.declaredBox != nil {
		return *s.declaredBox
	}
	return city.Box
}

// checkColumns refuses settings that name columns the delivery does not have.
func (s datasetSettings) checkColumns(columns []catalog.Column) error {
	for role, name := range s.named {
		found := false
		for _, c := range columns {
			found = found || c.Name == name
		}
		if !found {
			return problem.New(problem.Invalid, "column-missing", name,
				fmt.Sprintf("数据集设置指定了字段 %q（%s），数据中没有该字段；用 --%s 指定另一字段，或 --%s=- 取消", name, role, role, role),
				fmt.Sprintf("the dataset's settings name the field %q (%s), which the data lack; name another with --%s, or none with --%s=-", name, role, role, role))
		}
	}
	for _, name := range s.tileFields {
		if !slices.ContainsFunc(columns, func(c catalog.Column) bool { return c.Name == name }) {
			return problem.New(problem.Invalid, "column-missing", name,
				fmt.Sprintf("瓦片规则要带字段 %q，数据中没有该字段；改正 --tile-rules，或用 --tile-rules=- 取消", name),
				fmt.Sprintf("the rules of tiles name the field %q, which the data lack; mend --tile-rules, or give none with --tile-rules=-", name))
		}
	}
	return nil
}

func validID(id string) bool {
	if len(id) == 0 || len(id) > 41 || id[0] < 'a' || id[0] > 'z' {
		return false
	}
	for _, c := range []byte(id) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}
