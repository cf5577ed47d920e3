package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"changde/problem"
)

// Assignment is which dataset a layer of a delivery goes into, and why. Layers
// that go into one dataset are sheets of one layer.
type Assignment struct {
	Layers   []string `json:"layers"`
	Format   string   `json:"format"`
	Geometry string   `json:"geometry"`
	Rows     int64    `json:"rows"`
	Dataset  string   `json:"dataset"` // empty: nobody can tell
	Profile  string   `json:"profile,omitempty"`
	New      bool     `json:"new"` // the dataset does not exist yet
	ZH       string   `json:"zh"`
	EN       string   `json:"en"`

	remembered Request
}

// sureScore is how well a layer must fit a standard to be taken for it.
const sureScore = 0.5

// dated is a date at the end of a layer's name, and district the code of a
// division before it.
var (
	dated    = regexp.MustCompile(`[ _.-]?(19|20)[0-9]{2}([ _.-]?[0-9]{1,2}){0,2}$`)
	district = regexp.MustCompile(`^[0-9]{6}[ _.-]?`)
)

// layerPattern is the name of a layer without what changes from delivery to
// delivery: "DLTB_2012_09" and "430702dltb201210" are one, "survey2" and "survey3"
// are two.
func layerPattern(name string) string {
	bare := strings.Trim(district.ReplaceAllString(dated.ReplaceAllString(strings.ToLower(name), ""), ""), " _-.")
	if bare == "" {
		return strings.ToLower(name)
	}
	return bare
}

// Assign looks into a delivery and says which dataset each of its layers goes
// into: as the sender's earlier deliveries went, by the dataset of the layer's
// name, by the standard that the layer follows. Nothing is written.
func (i *Ingester) Assign(ctx context.Context, r Request) (_ []Assignment, err error) {
	d, err := openDelivery(ctx, r, i.config)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	var out []Assignment
	for _, s := range d.sources {
		a, err := i.assign(ctx, r.Sender, s)
		if err != nil {
			return nil, err
		}
		at := slices.IndexFunc(out, func(o Assignment) bool { return a.Dataset != "" && o.Dataset == a.Dataset })
		if at < 0 {
			out = append(out, a)
			continue
		}
		if !slices.Contains(out[at].Layers, s.layer) {
			out[at].Layers = append(out[at].Layers, s.layer)
		}
		out[at].Rows += s.rows
	}
	return out, nil
}

func (i *Ingester) assign(ctx context.Context, sender string, s source) (Assignment, error) {
	a := Assignment{Layers: []string{s.layer}, Format: s.format, Geometry: s.geometry, Rows: s.rows}
	var request []byte
	err := pgx.ErrNoRows
	if sender != "" {
		err = i.pool.QueryRow(ctx, "SELECT dataset, request FROM changde.mappings WHERE sender = $1 AND pattern = $2", sender, layerPattern(s.layer)).Scan(&a.Dataset, &request)
	}
	if err == nil {
		a.ZH, a.EN = "与该单位上次交付相同", "as in the sender's last delivery"
		return a, json.Unmarshal(request, &a.remembered)
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return a, fmt.Errorf("look for the sender's earlier deliveries: %w", err)
	}
	suggested := i.config.Library.Suggest(s.layer, s.geometry, s.fields)
	if len(suggested) > 0 && suggested[0].Score >= sureScore {
		a.Profile = suggested[0].ProfileID
	}
	id := strings.ToLower(strings.ReplaceAll(layerPattern(s.layer), "-", "_"))
	var named, followed *string
	err = i.pool.QueryRow(ctx, `SELECT (SELECT id FROM changde.datasets WHERE id = $1 AND kind = 'delivered' AND release > 0),
		(SELECT min(id) FROM changde.datasets WHERE profile = $2 AND $2 <> '' AND release > 0 HAVING count(*) = 1)`, id, a.Profile).Scan(&named, &followed)
	if err != nil {
		return a, fmt.Errorf("look for the dataset of layer %s: %w", s.layer, err)
	}
	switch {
	case named != nil:
		a.Dataset, a.Profile = *named, ""
		a.ZH, a.EN = "与数据集同名", "the dataset has the layer's name"
	case followed != nil:
		a.Dataset = *followed
		a.ZH, a.EN = "图层符合该数据集的标准："+suggested[0].ZH, "the layer follows the dataset's standard: "+suggested[0].EN
	case a.Profile != "" && validID(id):
		a.Dataset, a.New = id, true
		a.ZH, a.EN = "新数据集，按标准 "+a.Profile+"："+suggested[0].ZH, "a new dataset by the standard "+a.Profile+": "+suggested[0].EN
	default:
		a.ZH, a.EN = "无从判断，请指定数据集", "nothing tells; name the dataset"
	}
	return a, nil
}

// Apply completes a request by the assignment.
func (a Assignment) Apply(r Request) Request {
	r.Dataset, r.Layers = a.Dataset, a.Layers
	if r.Encoding == "" {
		r.Encoding = a.remembered.Encoding
	}
	if r.EPSG == 0 && r.CRS == "" {
		r.EPSG, r.CRS = a.remembered.EPSG, a.remembered.CRS
	}
	if a.New && r.Settings.Profile == "" {
		r.Settings.Profile = a.Profile
	}
	return r
}

// remember keeps how the sender's layers were read and where they went.
func remember(ctx context.Context, tx pgx.Tx, id int64) error {
	var sender, dataset string
	var plan, request []byte
	err := tx.QueryRow(ctx, "SELECT coalesce(sender, ''), dataset, plan, request FROM changde.deliveries WHERE id = $1", id).Scan(&sender, &dataset, &plan, &request)
	if err != nil {
		return fmt.Errorf("read delivery %d: %w", id, err)
	}
	var p struct{ Layers []string }
	var r Request
	if err := errors.Join(json.Unmarshal(plan, &p), json.Unmarshal(request, &r)); err != nil {
		return fmt.Errorf("plan of delivery %d: %w", id, err)
	}
	kept, err := json.Marshal(Request{Encoding: r.Encoding, EPSG: r.EPSG, CRS: r.CRS})
	if err != nil {
		return fmt.Errorf("encode mapping: %w", err)
	}
	if sender == "" {
		return nil
	}
	for _, name := range p.Layers {
		if _, err := tx.Exec(ctx, `INSERT INTO changde.mappings (sender, pattern, dataset, request) VALUES ($1, $2, $3, $4)
			ON CONFLICT (sender, pattern) DO UPDATE SET dataset = EXCLUDED.dataset, request = EXCLUDED.request, used_at = now()`,
			sender, layerPattern(name), dataset, kept); err != nil {
			return fmt.Errorf("remember layer %s: %w", name, err)
		}
	}
	return nil
}

// distribute finds out where a delivery without a dataset goes. Where every layer
// is known it becomes one delivery for each dataset; otherwise it waits, with what
// is known, for somebody to say (Split).
func (i *Ingester) distribute(ctx context.Context, conn *pgxpool.Conn, id int64, r Request) error {
	assignments, err := i.Assign(ctx, r)
	if err != nil {
		return err
	}
	known := !slices.ContainsFunc(assignments, func(a Assignment) bool { return a.Dataset == "" || a.New })
	if known {
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return i.split(ctx, tx, id, r, assignments) })
	}
	plan, err := json.Marshal(map[string]any{"assignments": assignments})
	if err != nil {
		return fmt.Errorf("encode assignments: %w", err)
	}
	_, err = conn.Exec(ctx, `UPDATE changde.deliveries SET state = 'inspected', plan = $2, error = $3 WHERE id = $1`, id, plan,
		"请指定各图层的数据集 / name the dataset of each layer")
	if err != nil {
		return fmt.Errorf("record inspected delivery %d: %w", id, err)
	}
	return nil
}

// split makes a delivery for each assignment, which read the files of the one.
func (i *Ingester) split(ctx context.Context, tx pgx.Tx, id int64, r Request, assignments []Assignment) error {
	if i.config.Enqueue == nil {
		return errNoWorkers
	}
	for _, a := range assignments {
		applied := a.Apply(r)
		if err := i.authorize(ctx, tx, &applied); err != nil {
			return err
		}
		request, err := json.Marshal(applied)
		if err != nil {
			return fmt.Errorf("encode request: %w", err)
		}
		if err := ensure(ctx, tx, a.Dataset); err != nil {
			return err
		}
		var child int64
		err = tx.QueryRow(ctx, `INSERT INTO changde.deliveries (dataset, sender, files, bytes, sha256, state, relation, request, depot, parent, mode, actor, actors, document, note)
			SELECT $2, sender, files, bytes, sha256, 'received', '', $3, true, coalesce(parent, id), mode, actor, actors, document, note FROM changde.deliveries WHERE id = $1 RETURNING id`,
			id, a.Dataset, request).Scan(&child)
		if err != nil {
			return fmt.Errorf("split delivery %d: %w", id, err)
		}
		if err := i.config.Enqueue(ctx, tx, Job{Delivery: child}); err != nil {
			return err
		}
	}
	plan, err := json.Marshal(map[string]any{"assignments": assignments})
	if err != nil {
		return fmt.Errorf("encode assignments: %w", err)
	}
	_, err = tx.Exec(ctx, "UPDATE changde.deliveries SET state = 'split', plan = $2, error = NULL, finished_at = now() WHERE id = $1", id, plan)
	if err != nil {
		return fmt.Errorf("split delivery %d: %w", id, err)
	}
	return nil
}

// Split says which dataset each layer of an inspected delivery goes into; layers
// that are not named are left out.
func (i *Ingester) Split(ctx context.Context, id int64, datasets map[string]string, by Decider) error {
	if len(datasets) == 0 || len(datasets) > 1000 {
		return problem.New(problem.Invalid, "layers-missing", fmt.Sprint(id), "请给出 1 到 1000 个图层各自的数据集", "name the datasets of 1 to 1000 layers")
	}
	return pgx.BeginFunc(ctx, i.pool, func(tx pgx.Tx) error {
		var state, sender string
		var plan, request []byte
		err := tx.QueryRow(ctx, "SELECT state, coalesce(sender, ''), coalesce(plan, '{}'), request FROM changde.deliveries WHERE id = $1 FOR UPDATE", id).Scan(&state, &sender, &plan, &request)
		if errors.Is(err, pgx.ErrNoRows) || err == nil && !by.Admin && (!by.Contributor || by.Organisation == "" || by.Organisation != sender) {
			return ErrNoDelivery
		}
		if err != nil {
			return fmt.Errorf("read delivery %d: %w", id, err)
		}
		if state != StateInspected {
			return problem.New(problem.Conflict, "delivery-state", fmt.Sprint(id), "交付不在等待指定数据集的状态", "the delivery does not wait for its datasets to be named")
		}
		var found struct{ Assignments []Assignment }
		var r Request
		if err := errors.Join(json.Unmarshal(plan, &found), json.Unmarshal(request, &r)); err != nil {
			return fmt.Errorf("plan of delivery %d: %w", id, err)
		}
		chosen, err := i.choices(ctx, found.Assignments, datasets, r, by)
		if err != nil {
			return err
		}
		r.Standing = by.standing()
		return i.split(ctx, tx, id, r, chosen)
	})
}

// choices turns what a person says of the layers into assignments.
func (i *Ingester) choices(ctx context.Context, found []Assignment, datasets map[string]string, r Request, by Decider) ([]Assignment, error) {
	var out []Assignment
	for _, name := range slices.Sorted(maps.Keys(datasets)) {
		dataset := datasets[name]
		at := slices.IndexFunc(found, func(a Assignment) bool { return slices.Contains(a.Layers, name) })
		if at < 0 {
			return nil, problem.New(problem.Invalid, "layer-unknown", name, "交付中没有这个图层", "the delivery has no such layer")
		}
		request := r
		request.Dataset, request.Standing = dataset, by.standing()
		if err := i.checkRequest(ctx, &request); err != nil {
			return nil, err
		}
		a := found[at]
		a.Layers, a.Dataset, a.ZH, a.EN = []string{name}, dataset, "由交付人指定", "as the sender says"
		if same := slices.IndexFunc(out, func(o Assignment) bool { return o.Dataset == dataset }); same >= 0 {
			out[same].Layers = append(out[same].Layers, name)
			continue
		}
		out = append(out, a)
	}
	return out, nil
}
