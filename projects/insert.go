package projects

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"changde/catalog"
	"changde/problem"
)

// lastNumber is the greatest NNNN of a code.
const lastNumber = 9999

// name gives the project its code, unless it brought one, and the new assets
// theirs. It runs under the lock of the dataset "projects", and of "assets" when
// there are new ones: no other declaration takes the same.
func (w *writer) name(ctx context.Context, tx pgx.Tx) error {
	if w.c.Code != "" {
		var taken bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM changde.projects WHERE code = $1)`, w.c.Code).Scan(&taken); err != nil {
			return fmt.Errorf("look for the code: %w", err)
		}
		if taken {
			return codeTaken()
		}
		return w.nameAssets(ctx, tx)
	}
	year := w.store.config.Now().Year()
	if w.c.PlanYear != nil {
		year = *w.c.PlanYear
	}
	// Projects are never deleted, so that a free number was never given out. A
	// number that somebody chose far ahead does not end the year.
	err := tx.QueryRow(ctx, `
		SELECT code FROM (SELECT n, format('CD-EG-%s-%s', $1::int, lpad(n::text, 4, '0')) COLLATE "C" AS code FROM generate_series(1, $2::int) n) c
		WHERE NOT EXISTS (SELECT FROM changde.projects p WHERE p.code = c.code) ORDER BY n LIMIT 1`, year, lastNumber).Scan(&w.c.Code)
	if errors.Is(err, pgx.ErrNoRows) {
		return problem.New(problem.Conflict, "codes-used-up", "/code",
			fmt.Sprintf("%d 年度的自动编号已用完；请自行填写 code", year), fmt.Sprintf("the automatic codes of %d are used up; give a code", year))
	}
	if err != nil {
		return fmt.Errorf("make a code: %w", err)
	}
	return w.nameAssets(ctx, tx)
}

func (w *writer) nameAssets(ctx context.Context, tx pgx.Tx) error {
	if len(w.c.assets) == 0 {
		return nil
	}
	prefix := w.c.Code + "-A"
	var given []string
	for _, a := range w.c.assets {
		if a.code != "" {
			given = append(given, a.code)
		}
	}
	rows, err := tx.Query(ctx, `SELECT code FROM changde.assets WHERE code = ANY($1) UNION
		SELECT code FROM changde.assets WHERE code >= $2 COLLATE "C" AND code < $2 || '~' COLLATE "C"`, given, prefix)
	if err != nil {
		return fmt.Errorf("look for the codes of assets: %w", err)
	}
	codes, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("look for the codes of assets: %w", err)
	}
	taken := map[string]bool{}
	for _, c := range codes {
		taken[c] = true
	}
	for _, a := range w.c.assets {
		if taken[a.code] {
			return problem.New(problem.Conflict, "asset-exists", fmt.Sprintf("/assets/%d/code", a.at),
				"资产编号已被使用；已有资产请用 collection 和 key 指认", "the code is taken; name an existing asset by collection and key")
		}
	}
	for _, c := range given {
		taken[c] = true
	}
	n := 0
	for i := range w.c.assets {
		for a := &w.c.assets[i]; a.code == ""; {
			n++
			if c := fmt.Sprintf("%s%03d", prefix, n); !taken[c] {
				a.code = c
			}
		}
	}
	return nil
}

func (w *writer) insertProject(ctx context.Context, tx pgx.Tx, point []byte) error {
	c := w.c
	err := tx.QueryRow(ctx, `
		INSERT INTO changde.projects (rev, code, name_zh, name_en, category, construction_unit, organisation, fund, state, plan_year,
			declared_amount, approved_amount, plan_amount, planned_on, accepted_on, reviewed_on, tender_filed_on,
			construction_started_on, final_accepted_on, acceptance_result, supervised, description, geom, created_by)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::text::numeric, $12::text::numeric, $13::text::numeric,
			$14::text::date, $15::text::date, $16::text::date, $17::text::date, $18::text::date, $19::text::date,
			nullif($20, ''), $21, $22, ST_GeomFromEWKB($23::bytea), $24)
		RETURNING fid`,
		w.touched[projectsDataset].revision, c.Code, c.Name, c.NameEN, c.Category, c.Unit, c.Organisation, c.Fund, c.state, c.PlanYear,
		c.DeclaredAmount, c.ApprovedAmount, c.PlanAmount, c.PlannedOn, c.AcceptedOn, c.ReviewedOn, c.TenderFiledOn,
		c.ConstructionStartedOn, c.FinalAcceptedOn, c.AcceptanceResult, c.Supervised, c.Description, point, w.by).Scan(&w.project)
	if err != nil {
		return fmt.Errorf("write the project: %w", err)
	}
	return nil
}

// insertAssets writes the new assets and makes the project the origin of those
// it constructs, the existing ones too.
func (w *writer) insertAssets(ctx context.Context, tx pgx.Tx) error {
	revision := w.touched[assetsDataset].revision
	if len(w.original) > 0 {
		if _, err := tx.Exec(ctx, `UPDATE changde.assets SET project_fid = $1, rev = $2 WHERE fid = ANY($3)`, w.project, revision, w.original); err != nil {
			return fmt.Errorf("write the origin of assets: %w", err)
		}
	}
	if len(w.c.assets) == 0 {
		return nil
	}
	n := len(w.c.assets)
	codes, types, names, states, attributes := make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	origins := make([]*int64, n)
	role := make(map[string]string, n)
	for i, a := range w.c.assets {
		codes[i], types[i], names[i], states[i], attributes[i] = a.code, a.declared.Type, a.declared.Name, a.declared.Status, a.attributes
		if states[i] == "" {
			states[i] = assetStatus(w.c.state)
		}
		role[a.code] = a.declared.Role
		if role[a.code] == "" {
			role[a.code] = "constructs"
		}
		if role[a.code] == "constructs" {
			origins[i] = &w.project
		}
	}
	rows, err := tx.Query(ctx, `
		INSERT INTO changde.assets (rev, code, type, name, owner_unit, status, project_fid, attributes, geom)
		SELECT $1, t.code, t.type, t.name, $2, t.status, t.origin, t.attributes::jsonb, ST_GeomFromEWKB(t.geom)
		FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::text[], $9::bytea[])
			WITH ORDINALITY AS t(code, type, name, status, origin, attributes, geom, n)
		ORDER BY t.n RETURNING fid, code, name`, revision, w.c.Unit, codes, types, names, states, origins, attributes, w.geometries())
	if err != nil {
		return fmt.Errorf("write the assets: %w", err)
	}
	written, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (linkRow, error) {
		r := linkRow{ref: catalog.FeatureRef{Collection: assetsDataset}}
		err := row.Scan(&r.ref.FID, &r.ref.Key, &r.ref.Title)
		r.role = role[r.ref.Key]
		if w.assets.BusinessKey != "code" {
			r.ref.Key = ""
		}
		return r, err
	})
	if err != nil {
		return fmt.Errorf("write the assets: %w", err)
	}
	w.rows = append(w.rows, written...)
	return nil
}

func (w *writer) insertLinks(ctx context.Context, tx pgx.Tx) error {
	if len(w.rows) == 0 {
		return nil
	}
	n := len(w.rows)
	collections, keys, titles, linkRoles, fids := make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]int64, n)
	for i, r := range w.rows {
		collections[i], keys[i], titles[i], linkRoles[i], fids[i] = r.ref.Collection, r.ref.Key, r.ref.Title, r.role, r.ref.FID
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO changde.project_assets (project_fid, collection, feature_key, fid, role, title)
		SELECT $1, collection, key, fid, role, left(title, $7)
		FROM unnest($2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[]) AS t(collection, key, fid, role, title)`,
		w.project, collections, keys, fids, linkRoles, titles, maxText)
	if err != nil {
		return fmt.Errorf("write the links: %w", err)
	}
	return nil
}
