package features

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"changde/access"
	"changde/catalog"
	"changde/ingest/layer"
	"changde/postgis"
	"changde/problem"
)

// Edit is a change of one feature of an editable dataset. Feature is a GeoJSON
// Feature in EPSG:4490 (longitude first); nil deletes.
type Edit struct {
	FID     int64 // 0 inserts
	Feature []byte
	// Expect, when it is not 0, is the revision that the caller has seen: the edit is
	// refused when the feature was changed since.
	Expect                              int64
	Actor, Organisation, Document, Note string
	Box                                 catalog.Bounds // where coordinates may lie
}

// maxFeature bounds a feature that is written, in bytes, and maxText one value.
const (
	maxFeature = 4 << 20
	maxText    = 1 << 20
)

// Write carries out an edit as a revision of its own: readers, tiles and feeds see
// it from then on, every release before stays as it is. It answers with the fid
// and the revision.
//
// A dataset that is not editable is problem.Forbidden; a feature that is not
// there problem.NotFound; one that is not of the dataset's form problem.Invalid;
// a business key that is taken, a feature changed since Expect and a dataset
// released meanwhile are problem.Conflict.
func (s *Store) Write(ctx context.Context, d *catalog.Dataset, e Edit) (fid, revision int64, err error) {
	if !d.Editable || !d.Current.Versioned() {
		return 0, 0, problem.New(problem.Forbidden, "not-editable", d.ID,
			"该数据集只接受交付，不能逐个编辑；所属单位可用 changde dataset set --editable 开放", "the dataset takes deliveries only; its owner can open it with changde dataset set --editable")
	}
	w := editor{dataset: d, edit: e, release: d.Current}
	if e.Feature != nil {
		if err := w.parse(); err != nil {
			return 0, 0, err
		}
	}
	err = postgis.Transact(ctx, s.pool, s.pool, func(tx pgx.Tx) error { return w.run(ctx, tx) })
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &pg) && pg.Code == "23505":
		return 0, 0, problem.Wrap(err, problem.Conflict, "business-key-duplicate", d.BusinessKey, "业务主键已被另一要素使用："+pg.Detail, "the business key is another feature's: "+pg.Detail)
	case errors.As(err, &pg) && (pg.Code == "XX000" || strings.HasPrefix(pg.Code, "22") && pg.Code != "22021" && pg.Code != "22P05"):
		return 0, 0, problem.Wrap(err, problem.Invalid, "geometry-invalid", "geometry", "几何无法读取："+pg.Message, "the geometry cannot be read: "+pg.Message)
	}
	return w.fid, w.revision, postgis.Fault(ctx, err, "edit "+d.ID)
}

// editor is one edit at work.
type editor struct {
	dataset  *catalog.Dataset
	release  *catalog.Release
	edit     Edit
	geometry []byte
	values   []any // by column
	fid      int64
	revision int64
}

// parse reads the feature and brings its properties to the columns' types.
func (w *editor) parse() error {
	if len(w.edit.Feature) > maxFeature {
		return problem.New(problem.TooLarge, "feature-large", "", fmt.Sprintf("要素最多 %d 字节", maxFeature), fmt.Sprintf("a feature has at most %d bytes", maxFeature))
	}
	var f struct {
		Type       string                     `json:"type"`
		Geometry   json.RawMessage            `json:"geometry"`
		Properties map[string]json.RawMessage `json:"properties"`
	}
	if err := json.Unmarshal(w.edit.Feature, &f); err != nil || f.Type != "Feature" {
		return problem.New(problem.Invalid, "feature-invalid", "", "请求体应为一个 GeoJSON Feature", "the body must be a GeoJSON Feature")
	}
	if len(f.Geometry) == 0 || bytes.Equal(f.Geometry, []byte("null")) {
		return problem.New(problem.Invalid, "geometry-missing", "geometry", "要素没有几何", "the feature has no geometry")
	}
	w.geometry = f.Geometry
	for _, c := range w.release.Columns {
		raw, given := f.Properties[c.Name]
		delete(f.Properties, c.Name)
		if !given {
			w.values = append(w.values, nil)
			continue
		}
		v, err := value(raw, c.Type)
		if err != nil {
			return problem.Wrap(err, problem.Invalid, "property-invalid", c.Name,
				fmt.Sprintf("属性 %s 应为 %s 类型：%v", c.Name, c.Type, err), fmt.Sprintf("the property %s must be of type %s: %v", c.Name, c.Type, err))
		}
		w.values = append(w.values, v)
	}
	for name := range f.Properties {
		return problem.New(problem.Invalid, "property-unknown", name, "数据集没有这个字段", "the dataset has no such field")
	}
	return nil
}

// value reads a property as a column's type.
func value(raw json.RawMessage, t layer.Type) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one value")
	}
	switch v := v.(type) {
	case nil:
		return nil, nil
	case bool:
		if t == layer.Boolean {
			return v, nil
		}
	case json.Number:
		switch t {
		case layer.Integer:
			return v.Int64()
		case layer.Real:
			f, err := v.Float64()
			if err == nil && math.IsInf(f, 0) {
				err = errors.New("out of range")
			}
			return f, err
		case layer.Decimal:
			if len(v) > 1000 {
				return nil, errors.New("too many digits")
			}
			return string(v), nil
		}
	case string:
		if len(v) > maxText || !utf8.ValidString(v) || strings.IndexByte(v, 0) >= 0 {
			return nil, errors.New("text too long or with characters that cannot be stored")
		}
		switch t {
		case layer.Text:
			return v, nil
		case layer.Date:
			return time.Parse(time.DateOnly, v)
		case layer.Timestamp:
			return time.Parse(time.RFC3339Nano, v)
		}
	}
	return nil, fmt.Errorf("%s is another type", clip(string(raw)))
}

func clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}

func (w *editor) run(ctx context.Context, tx pgx.Tx) error {
	d := w.dataset
	if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '10s'"); err != nil {
		return err
	}
	var relation *string
	var editable bool
	var rows int64
	var extent []float64
	err := tx.QueryRow(ctx, "SELECT revision + 1, relation, editable, rows, extent FROM changde.datasets WHERE id = $1 FOR UPDATE", d.ID).
		Scan(&w.revision, &relation, &editable, &rows, &extent)
	if err != nil {
		return err
	}
	if relation == nil || *relation != w.release.Relation[0]+"."+w.release.Relation[1] || !editable {
		return problem.New(problem.Conflict, "release-changed", d.ID, "数据集刚刚发布了新版本，请重新读取后再编辑", "the dataset was released just then; read it again and edit")
	}
	kind := "insert"
	if w.edit.FID != 0 {
		kind = "update"
		if w.edit.Feature == nil {
			kind = "delete"
			rows--
		}
		if err := w.supersede(ctx, tx); err != nil {
			return err
		}
	} else {
		rows++
	}
	if w.edit.Feature != nil {
		box, err := w.insert(ctx, tx)
		if err != nil {
			return err
		}
		if len(extent) == 4 {
			extent = []float64{min(extent[0], box[0]), min(extent[1], box[1]), max(extent[2], box[2]), max(extent[3], box[3])}
		} else {
			extent = box[:]
		}
	}
	q := new(postgis.SQL).Raw("INSERT INTO ").Ident(w.release.Relation[0], w.release.Relation[1]+catalog.ChangesSuffix).Raw(" VALUES (").Int(w.revision).Raw(", ").Int(w.fid).Raw(")")
	if _, err := tx.Exec(ctx, q.String()); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "UPDATE changde.datasets SET revision = $2, rows = $3, extent = $4, updated_at = now() WHERE id = $1", d.ID, w.revision, rows, extent); err != nil {
		return err
	}
	e := w.edit
	if _, err := (catalog.Revision{
		Dataset: d.ID, Number: w.revision, Kind: "edit", Relation: w.release.Relation[1],
		Actor: e.Actor, Organisation: e.Organisation, Document: e.Document, Note: e.Note,
	}).Record(ctx, tx); err != nil {
		return err
	}
	if err := (access.Act{Actor: e.Actor, Organisation: e.Organisation, Action: kind, Object: "feature:" + d.ID + "/" + strconv.FormatInt(w.fid, 10), Detail: map[string]any{"revision": w.revision}}).Record(ctx, tx); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, "SELECT pg_notify($1, $2)", catalog.Channel, d.ID)
	return err
}

// supersede makes the feature's present row history.
func (w *editor) supersede(ctx context.Context, tx pgx.Tx) error {
	w.fid = w.edit.FID
	content := w.release.Relation
	var rev int64
	q := new(postgis.SQL).Raw("WITH gone AS (DELETE FROM ").Ident(content[:]...).Raw(" t WHERE fid = ").Arg(w.fid).
		Raw(" RETURNING t.*), kept AS (INSERT INTO ").Ident(content[0], content[1]+catalog.HistorySuffix).Raw(" SELECT gone.*, ").Int(w.revision).
		Raw(" FROM gone) SELECT rev FROM gone")
	err := tx.QueryRow(ctx, q.String(), q.Args()...).Scan(&rev)
	if errors.Is(err, pgx.ErrNoRows) {
		return absent(w.dataset.ID, strconv.FormatInt(w.fid, 10))
	}
	if err != nil {
		return err
	}
	if w.edit.Expect != 0 && rev > w.edit.Expect {
		return problem.New(problem.Conflict, "feature-changed", strconv.FormatInt(w.fid, 10),
			fmt.Sprintf("要素在修订 %d 中已被他人改动，请重新读取", rev), fmt.Sprintf("the feature was changed in revision %d; read it again", rev))
	}
	return nil
}

// insert writes the row and returns its box.
func (w *editor) insert(ctx context.Context, tx pgx.Tx) (box [4]float64, err error) {
	content := w.release.Relation
	if w.fid == 0 {
		q := new(postgis.SQL).Raw("SELECT greatest((SELECT max(fid) FROM ").Ident(content[:]...).Raw("), (SELECT max(fid) FROM ").
			Ident(content[0], content[1]+catalog.HistorySuffix).Raw("), 0) + 1")
		if err := tx.QueryRow(ctx, q.String()).Scan(&w.fid); err != nil {
			return box, err
		}
	}
	var kind, reason string
	var ewkb []byte
	err = tx.QueryRow(ctx, `SELECT GeometryType(g), CASE WHEN ST_IsEmpty(g) THEN 'empty' ELSE ST_IsValidReason(g) END,
		coalesce(ST_XMin(g), 0), coalesce(ST_YMin(g), 0), coalesce(ST_XMax(g), 0), coalesce(ST_YMax(g), 0), ST_AsEWKB(g)
		FROM (SELECT ST_SetSRID(ST_GeomFromGeoJSON($1), 4490) AS g) f`, string(w.geometry)).Scan(&kind, &reason, &box[0], &box[1], &box[2], &box[3], &ewkb)
	if err != nil {
		return box, err
	}
	b := w.edit.Box
	switch {
	case reason != "Valid Geometry":
		return box, problem.New(problem.Invalid, "geometry-invalid", "geometry", "几何无效："+reason, "the geometry is invalid: "+reason)
	case box[0] < b[0] || box[1] < b[1] || box[2] > b[2] || box[3] > b[3]:
		return box, problem.New(problem.Invalid, "outside-box", "geometry", fmt.Sprintf("坐标超出数据集范围 %v", b), fmt.Sprintf("the coordinates are outside the dataset's box %v", b))
	}
	want := strings.ToUpper(w.release.GeometryType)
	multi := strings.HasPrefix(want, "MULTI") && want == "MULTI"+kind
	if want != "GEOMETRY" && kind != want && !multi {
		return box, problem.New(problem.Invalid, "geometry-type", "geometry", fmt.Sprintf("几何为 %s，数据集为 %s", kind, w.release.GeometryType), fmt.Sprintf("the geometry is a %s in a dataset of %s", kind, w.release.GeometryType))
	}
	q := new(postgis.SQL).Raw("INSERT INTO ").Ident(content[:]...).Raw(" (fid")
	for _, c := range w.release.Columns {
		q.Raw(", ").Ident(c.Name)
	}
	q.Raw(", geom, span, rev) VALUES (").Arg(w.fid)
	for n, c := range w.release.Columns {
		q.Raw(", ")
		if c.Type == layer.Decimal {
			q.Arg(w.values[n]).Raw("::text::numeric")
			continue
		}
		q.Arg(w.values[n]).Raw("::")
		catalog.AppendType(q, c.Type)
	}
	q.Raw(", ")
	if multi {
		q.Raw("ST_Multi(").Arg(ewkb).Raw("::geometry)")
	} else {
		q.Arg(ewkb).Raw("::geometry")
	}
	q.Raw(", ").Arg(float32(max(box[2]-box[0], box[3]-box[1]))).Raw(", ").Int(w.revision).Raw(")")
	_, err = tx.Exec(ctx, q.String(), q.Args()...)
	return box, err
}
