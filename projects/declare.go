package projects

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"changde/access"
	"changde/catalog"
	"changde/postgis"
	"changde/problem"
)

// Declare writes a project with its assets and links, all of it or nothing, and
// returns it as the caller sees it.
//
//	category: infrastructure base_database application network security terminal service
//	fund: egov_special digital_changde_special dept_budget superior_grant bond self_raised other
//	acceptanceResult: pass_first pass_after_rectify fail
//	role: constructs upgrades replaces uses hosts contributes_layer consumes_layer
//	status: declared approved building in_use idle retired
//	type: server_room cabinet line duct network_node camera pole sensor base_station
//	      service_terminal hosting_slot data_layer information_system building land_parcel
//
// A new asset is a feature of the dataset "assets"; that dataset and "projects"
// get a new revision in the transaction.
//
// What is wrong is a *problem.Error whose Where is the JSON pointer to it:
// Unauthenticated and Forbidden for who may not declare, NotFound for who does
// not see the dataset "projects", Invalid, TooLarge and Unsupported for what is
// said, Conflict for a code that is taken and for an asset that another project
// constructs, Busy when it may be tried again. A feature that is not there and
// one that the caller may not see are the same problem.
func (s *Store) Declare(ctx context.Context, p access.Principal, view catalog.View, d Declaration) (*Project, error) {
	if !p.MayDeclareProjects() {
		return nil, problem.New(problem.Unauthenticated, "key-needed", "",
			"登记项目需要单位的钥匙", "declaring a project needs the key of an organisation")
	}
	dataset, ok := view.Dataset(projectsDataset)
	if !ok {
		return nil, projectNotFound("")
	}
	box := s.config.Box
	assets, ok := view.Dataset(assetsDataset)
	if ok && assets.Box != nil {
		box = *assets.Box
	}
	c, err := check(&d, box)
	if err != nil {
		return nil, err
	}
	if len(c.assets) > 0 && !ok {
		return nil, featureUnknown(c.assets[0].at)
	}
	if c.Organisation == "" {
		c.Organisation = p.Organisation
	}
	if !p.MayDeclareFor(c.Organisation) {
		return nil, problem.New(problem.Forbidden, "organisation-other", "/organisation",
			"只有平台管理单位可以替其他单位登记项目", "only the administrators of the platform declare projects for another organisation")
	}
	w := writer{store: s, view: view, dataset: dataset, assets: assets, c: c, by: p.KeyID}
	if err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return w.write(ctx, tx) }); err != nil {
		return nil, postgis.Fault(ctx, explain(err), "declare a project")
	}
	return s.Project(ctx, view, c.Code)
}

func featureUnknown(at int) error {
	return problem.New(problem.Invalid, "feature-unknown", fmt.Sprintf("/assets/%d", at),
		"没有这个要素，或您无权使用它所在的数据集", "there is no such feature, or its dataset is not for you")
}

// explain names what the database refuses though it was looked for before.
func explain(err error) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return err
	}
	switch pg.ConstraintName {
	case "projects_organisation_fkey":
		return problem.Wrap(err, problem.Invalid, "organisation-unknown", "/organisation", "该单位未登记", "no organisation with this id is registered")
	case "projects_code_key":
		return codeTaken()
	case "assets_code_key":
		return problem.Wrap(err, problem.Conflict, "asset-exists", "/assets", "资产编号已被使用", "the code of an asset is taken")
	case "project_assets_origin_idx":
		return problem.Wrap(err, problem.Conflict, "asset-constructed", "/assets", "资产已由另一项目建设", "an asset is constructed by another project already")
	}
	return err
}

func codeTaken() error {
	return problem.New(problem.Conflict, "project-exists", "/code",
		"该项目编号已登记；如果是重复提交，无需再次登记", "a project with this code is declared already; if this is a repeated request, nothing more is to be done")
}

// maxKeyBytes is what fits into an index of PostgreSQL beside the rest.
const maxKeyBytes = 1000

// writer is one declaration on its way into the database.
type writer struct {
	store   *Store
	view    catalog.View
	dataset *catalog.Dataset // projects
	assets  *catalog.Dataset // nil when the caller does not see it
	c       *checked
	by      string

	touched  map[string]locked
	project  int64
	original []int64 // fids of existing assets that the project constructs
	rows     []linkRow
}

// locked is a dataset that the transaction holds, with the revision it makes.
type locked struct {
	release  int
	revision int64
}

// linkRow is a row of changde.project_assets.
type linkRow struct {
	ref  catalog.FeatureRef
	role string
}

// write does what only reads first, so that the datasets are locked as short as
// can be.
func (w *writer) write(ctx context.Context, tx pgx.Tx) error {
	if err := w.valid(ctx, tx); err != nil {
		return err
	}
	if err := w.locate(ctx, tx); err != nil {
		return err
	}
	point, err := w.point(ctx, tx)
	if err != nil {
		return err
	}
	if err := w.lock(ctx, tx); err != nil {
		return err
	}
	if err := w.unconstructed(ctx, tx); err != nil {
		return err
	}
	if err := w.name(ctx, tx); err != nil {
		return err
	}
	if err := w.insertProject(ctx, tx, point); err != nil {
		return err
	}
	if err := w.insertAssets(ctx, tx); err != nil {
		return err
	}
	if err := w.insertLinks(ctx, tx); err != nil {
		return err
	}
	return w.tell(ctx, tx)
}

// valid lets PostGIS judge the new geometries.
func (w *writer) valid(ctx context.Context, tx pgx.Tx) error {
	if len(w.c.assets) == 0 {
		return nil
	}
	var n int
	var reason string
	err := tx.QueryRow(ctx, `
		SELECT n, ST_IsValidReason(g) FROM (
			SELECT n, ST_GeomFromEWKB(b) AS g FROM unnest($1::bytea[]) WITH ORDINALITY AS t(b, n)) t
		WHERE NOT ST_IsValid(g) ORDER BY n LIMIT 1`, w.geometries()).Scan(&n, &reason)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("check geometries: %w", err)
	}
	return invalid("geometry-invalid", fmt.Sprintf("/assets/%d/geometry", w.c.assets[n-1].at),
		"几何无效："+reason+"；请在制图软件中修正", "the geometry is not valid: "+reason+"; mend it in a mapping program")
}

func (w *writer) geometries() [][]byte {
	out := make([][]byte, len(w.c.assets))
	for i := range w.c.assets {
		out[i] = w.c.assets[i].ewkb
	}
	return out
}

// locate finds the existing features, for the caller's view, in this transaction.
func (w *writer) locate(ctx context.Context, tx pgx.Tx) error {
	seen := map[linkRow]bool{}
	for _, l := range w.c.links {
		ref, err := w.store.features.Locate(ctx, tx, w.view, l.ref)
		if problem.Is(err, problem.NotFound) {
			return featureUnknown(l.at)
		}
		if err != nil {
			return fmt.Errorf("locate asset %d: %w", l.at, err)
		}
		if len(ref.Key) > maxKeyBytes {
			return problem.New(problem.Unsupported, "key-long", fmt.Sprintf("/assets/%d", l.at),
				"该要素的业务主键过长，不能建立关联", "the business key of this feature is too long to be linked")
		}
		same := linkRow{ref: catalog.FeatureRef{Collection: ref.Collection, FID: ref.FID, Key: ref.Key}, role: l.role}
		if seen[same] {
			return invalid("asset-twice", fmt.Sprintf("/assets/%d", l.at),
				"同一要素以同一关系出现了两次", "the same feature stands there twice in the same role")
		}
		seen[same] = true
		w.rows = append(w.rows, linkRow{ref: ref, role: l.role})
	}
	return nil
}

// point derives the place of the project: the centroid of the union of its
// assets. An asset that fewer may see than the project gives no more than a cell
// of a grid, and one of a private dataset nothing: what the point shows, every
// reader of the project may know.
func (w *writer) point(ctx context.Context, tx pgx.Tx) ([]byte, error) {
	byDataset := map[string][]int64{}
	for _, r := range w.rows {
		if r.ref.Bounds != nil {
			byDataset[r.ref.Collection] = append(byDataset[r.ref.Collection], r.ref.FID)
		}
	}
	coarse := false
	shown := func(d *catalog.Dataset) bool {
		switch {
		case d.Sharing == catalog.Public, d.Sharing == w.dataset.Sharing && d.Sharing == catalog.Internal:
			return true
		case d.Sharing == catalog.Internal:
			coarse = true
			return true
		}
		return false
	}
	var parts []*postgis.SQL
	for id, fids := range byDataset {
		d, ok := w.view.Dataset(id)
		if !ok || !shown(d) {
			continue
		}
		parts = append(parts, d.Current.From(new(postgis.SQL).Raw("SELECT ST_Force2D(geom) AS g")).Raw(" AND fid = ANY(").Arg(fids).Raw("::bigint[])"))
	}
	if len(w.c.assets) > 0 && shown(w.assets) {
		parts = append(parts, new(postgis.SQL).Raw("SELECT ST_GeomFromEWKB(unnest(").Arg(w.geometries()).Raw("::bytea[])) AS g"))
	}
	if len(parts) == 0 {
		return nil, nil
	}
	cell := 0.0 // leaves the point as it is
	if coarse {
		cell = w.store.config.Coarse
	}
	q := new(postgis.SQL).Raw("SELECT ST_SnapToGrid(ST_Centroid(ST_Union(g)), ").Arg(cell).Raw("::float8) FROM (").Join(" UNION ALL ", parts...).Raw(") parts")
	var point []byte
	if err := tx.QueryRow(ctx, q.String(), q.Args()...).Scan(&point); err != nil {
		return nil, fmt.Errorf("derive the project's point: %w", err)
	}
	return point, nil
}

// lock takes the datasets to be changed, always in the order of their names.
func (w *writer) lock(ctx context.Context, tx pgx.Tx) error {
	ids := []string{projectsDataset}
	for _, r := range w.rows {
		if r.ref.Collection == assetsDataset && r.role == "constructs" {
			w.original = append(w.original, r.ref.FID)
		}
	}
	if len(w.c.assets) > 0 || len(w.original) > 0 {
		ids = append(ids, assetsDataset)
	}
	slices.Sort(ids)
	if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '10s'"); err != nil {
		return err
	}
	w.touched = map[string]locked{}
	for _, id := range ids {
		var s locked
		if err := tx.QueryRow(ctx, `
			UPDATE changde.datasets SET revision = revision + 1, updated_at = now() WHERE id = $1 RETURNING release, revision`, id).
			Scan(&s.release, &s.revision); err != nil {
			return fmt.Errorf("lock dataset %s: %w", id, err)
		}
		w.touched[id] = s
	}
	return nil
}

// unconstructed sees that an existing asset to be constructed is not constructed
// by another project.
func (w *writer) unconstructed(ctx context.Context, tx pgx.Tx) error {
	if len(w.original) == 0 {
		return nil
	}
	var fid int64
	err := tx.QueryRow(ctx, `SELECT fid FROM changde.assets WHERE fid = ANY($1) AND project_fid IS NOT NULL LIMIT 1`, w.original).Scan(&fid)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for the origin of assets: %w", err)
	}
	for i, r := range w.rows {
		if r.ref.Collection == assetsDataset && r.ref.FID == fid && r.role == "constructs" {
			return problem.New(problem.Conflict, "asset-constructed", fmt.Sprintf("/assets/%d", w.c.links[i].at),
				"该资产已由另一项目建设；请改用 upgrades 或 uses", "this asset is constructed by another project already; say upgrades or uses")
		}
	}
	return fmt.Errorf("asset %d is constructed and was not asked for", fid)
}

// tell keeps the releases' figures right and tells every server.
func (w *writer) tell(ctx context.Context, tx pgx.Tx) error {
	added := map[string]int{projectsDataset: 1, assetsDataset: len(w.c.assets)}
	for _, id := range slices.Sorted(maps.Keys(w.touched)) {
		q := new(postgis.SQL).Raw(`
			WITH e AS (SELECT ST_Extent(geom) AS b FROM `).Ident("changde", id).Raw(` WHERE rev = `).Arg(w.touched[id].revision).Raw(`)
			UPDATE changde.releases r SET rows = r.rows + `).Arg(added[id]).Raw(`, extent = CASE
				WHEN e.b IS NULL THEN r.extent
				WHEN r.extent IS NULL THEN ARRAY[ST_XMin(e.b), ST_YMin(e.b), ST_XMax(e.b), ST_YMax(e.b)]
				ELSE ARRAY[least(r.extent[1], ST_XMin(e.b)), least(r.extent[2], ST_YMin(e.b)),
					greatest(r.extent[3], ST_XMax(e.b)), greatest(r.extent[4], ST_YMax(e.b))] END
			FROM e WHERE r.dataset = `).Arg(id).Raw(` AND r.release = `).Arg(w.touched[id].release)
		tag, err := tx.Exec(ctx, q.String(), q.Args()...)
		if err != nil {
			return fmt.Errorf("keep the figures of %s: %w", id, err)
		}
		if tag.RowsAffected() != 1 {
			return fmt.Errorf("dataset %s has no release %d", id, w.touched[id].release)
		}
		if _, err := tx.Exec(ctx, "SELECT pg_notify($1, $2)", catalog.Channel, id); err != nil {
			return fmt.Errorf("notify: %w", err)
		}
	}
	return nil
}
