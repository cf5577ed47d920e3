package projects

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"changde/catalog"
	"changde/postgis"
	"changde/problem"
)

// The columns of a Summary, in the order of scanSummary.
const summaryColumns = `p.code, p.name_zh, p.name_en, p.construction_unit, p.organisation, p.category, p.fund, p.state,
	p.declared_amount::text, p.approved_amount::text, p.plan_amount::text, p.plan_year,
	p.planned_on::text, p.accepted_on::text, p.reviewed_on::text, p.tender_filed_on::text,
	p.construction_started_on::text, p.final_accepted_on::text, p.acceptance_result, p.supervised, p.description,
	ST_X(p.geom), ST_Y(p.geom)`

// scanSummary reads the columns of a Summary; before are the places of what was
// selected before them.
func scanSummary(row pgx.Row, s *Summary, before ...any) error {
	var lon, lat *float64
	err := row.Scan(append(before, &s.Code, &s.Name, &s.NameEN, &s.Unit, &s.Organisation, &s.Category, &s.Fund, &s.State,
		&s.DeclaredAmount, &s.ApprovedAmount, &s.PlanAmount, &s.PlanYear,
		&s.PlannedOn, &s.AcceptedOn, &s.ReviewedOn, &s.TenderFiledOn,
		&s.ConstructionStartedOn, &s.FinalAcceptedOn, &s.AcceptanceResult, &s.Supervised, &s.Description, &lon, &lat)...)
	if err == nil && lon != nil && lat != nil {
		s.BBox = &catalog.Bounds{*lon, *lat, *lon, *lat}
	}
	return err
}

// Project returns the project of that code with the assets that the view shows,
// by collection and key, all as of one moment. Its BBox holds those that are
// present, or else the project's point. A code that is not there is
// problem.NotFound.
func (s *Store) Project(ctx context.Context, view catalog.View, code string) (*Project, error) {
	if _, ok := view.Dataset(projectsDataset); !ok || !projectCode.MatchString(code) {
		return nil, projectNotFound("")
	}
	p := new(Project)
	err := pgx.BeginTxFunc(ctx, s.pool, reading, func(tx pgx.Tx) error {
		err := scanSummary(tx.QueryRow(ctx, "SELECT p.fid, "+summaryColumns+" FROM changde.projects p WHERE p.code = $1", code), &p.Summary, &p.FID)
		if errors.Is(err, pgx.ErrNoRows) {
			return projectNotFound(code)
		}
		if err != nil {
			return err
		}
		p.Assets, err = s.linked(ctx, tx, view, p.FID)
		return err
	})
	if err != nil {
		return nil, postgis.Fault(ctx, err, "read a project")
	}
	var all *catalog.Bounds
	for i := range p.Assets {
		all = grow(all, p.Assets[i].BBox)
	}
	if all != nil {
		p.BBox = all
	}
	return p, nil
}

func grow(a, b *catalog.Bounds) *catalog.Bounds {
	switch {
	case b == nil:
		return a
	case a == nil:
		c := *b
		return &c
	}
	return &catalog.Bounds{min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])}
}

// holds reports whether a link by row number still means the row it was made for:
// a later release of a delivered dataset numbers its rows anew.
func holds(view catalog.View, collection string, linked time.Time) bool {
	return !linked.Before(linkedSince(view, collection))
}

// linkedSince is the time from which links by row number hold.
func linkedSince(view catalog.View, collection string) time.Time {
	if d, ok := view.Dataset(collection); ok && d.Kind == catalog.Delivered {
		return d.Current.ReleasedAt
	}
	return time.Time{}
}

// currentRelation is the content that a dataset's current release is in.
func currentRelation(view catalog.View, collection string) [2]string {
	if d, ok := view.Dataset(collection); ok {
		return d.Current.Relation
	}
	return [2]string{}
}

// linked reads the links of a project into the datasets of the view.
func (s *Store) linked(ctx context.Context, tx pgx.Tx, view catalog.View, project int64) ([]Asset, error) {
	var visible []string
	for _, d := range view.Datasets() {
		visible = append(visible, d.ID)
	}
	rows, err := tx.Query(ctx, `
		SELECT collection, fid, feature_key, role, title, created_at FROM changde.project_assets
		WHERE project_fid = $1 AND collection = ANY($2) ORDER BY collection, feature_key, fid, role`, project, visible)
	if err != nil {
		return nil, err
	}
	var linkedAt []time.Time
	assets, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (a Asset, err error) {
		var at time.Time
		err = row.Scan(&a.Collection, &a.ID, &a.Key, &a.Role, &a.Title, &at)
		linkedAt = append(linkedAt, at)
		return a, err
	})
	if err != nil {
		return nil, err
	}
	for i := range assets {
		a := &assets[i]
		if a.Key == "" && !holds(view, a.Collection, linkedAt[i]) {
			continue
		}
		ref, err := s.features.Locate(ctx, tx, view, catalog.FeatureRef{Collection: a.Collection, FID: a.ID, Key: a.Key})
		if problem.Is(err, problem.NotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("locate %s/%d: %w", a.Collection, a.ID, err)
		}
		a.ID, a.BBox, a.Present = ref.FID, ref.Bounds, true
		if ref.Title != "" {
			a.Title = ref.Title
		}
	}
	return assets, nil
}

// OfFeature returns the feature that ref names, as Features.Locate completes it,
// and what projects do with it, by code and role, at most 1,000. A feature that is not there and one that the view does not show are
// problem.NotFound, as Features.Locate says; a view without the dataset
// "projects" has none.
func (s *Store) OfFeature(ctx context.Context, view catalog.View, ref catalog.FeatureRef) (found catalog.FeatureRef, links []Link, err error) {
	links = []Link{}
	err = pgx.BeginTxFunc(ctx, s.pool, reading, func(tx pgx.Tx) (err error) {
		// A link made by key holds for the feature of that key, whatever its fid is.
		if found, err = s.features.Locate(ctx, tx, view, ref); err != nil {
			return err
		}
		if _, ok := view.Dataset(projectsDataset); !ok {
			return nil
		}
		// A number of a row names it in the current release alone.
		current := ref.Release == nil || ref.Release.Relation == currentRelation(view, found.Collection)
		rows, err := tx.Query(ctx, `
			SELECT p.code, p.name_zh, p.name_en, p.construction_unit, p.state, a.role
			FROM changde.project_assets a JOIN changde.projects p ON p.fid = a.project_fid
			WHERE a.collection = $1 AND (a.feature_key = $2 AND $2 <> '' OR a.feature_key = '' AND a.fid = $3 AND a.created_at >= $4 AND $5)
			GROUP BY p.code, p.name_zh, p.name_en, p.construction_unit, p.state, a.role
			ORDER BY p.code, a.role LIMIT 1000`, found.Collection, found.Key, found.FID, linkedSince(view, found.Collection), current)
		if err != nil {
			return err
		}
		links, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Link])
		return err
	})
	if err != nil {
		return found, nil, postgis.Fault(ctx, err, "read the projects of a feature")
	}
	return found, links, nil
}
