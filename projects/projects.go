// Package projects keeps the city's e-government construction projects and links
// each to the geographic features it builds and uses: declaration, lists, the
// way from a feature back to its projects, and the figures of the yearly report.
//
// Money is exact decimal yuan. Coordinates are longitude and latitude in degrees,
// EPSG:4490. Dates are calendar days of the city.
//
// Whatever is asked is answered for a catalog.View: without the dataset
// "projects" in it there are no projects, and a link to a feature of a dataset
// that is not in it does not exist, in lists, counts and boxes alike.
package projects

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"changde/catalog"
	"changde/problem"
)

// The datasets that this package writes.
const (
	projectsDataset = "projects"
	assetsDataset   = "assets"
)

// Features finds a feature of any dataset. Package features implements it.
type Features interface {
	// Locate completes a reference, on the transaction q. A feature that is not
	// there and one of a dataset that the view does not show are one and the same
	// problem.NotFound.
	Locate(ctx context.Context, q pgx.Tx, view catalog.View, ref catalog.FeatureRef) (catalog.FeatureRef, error)
}

// Config tunes a Store; its zero value works.
type Config struct {
	// Box is where new assets may stand, edges included: the city's box. The box
	// of the dataset "assets", where it has one, goes before it. Zero: anywhere.
	Box catalog.Bounds
	// Coarse is the grid, in degrees, to which a project's point is snapped when
	// it is derived from assets that not every reader of the project may see.
	// Default 0.02, about 2 km.
	Coarse float64
	// Now is the clock that gives a code its year. Default time.Now.
	Now func() time.Time
}

// Store reads and writes projects. It is safe for many goroutines.
type Store struct {
	pool     *pgxpool.Pool
	features Features
	config   Config
}

// New makes a Store.
func New(pool *pgxpool.Pool, f Features, c Config) *Store {
	if c.Coarse <= 0 {
		c.Coarse = 0.02
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Store{pool: pool, features: f, config: c}
}

// Summary is a project without its assets.
type Summary struct {
	Code                  string          `json:"code"`
	Name                  string          `json:"name"`
	NameEN                string          `json:"nameEn"`
	Unit                  string          `json:"unit"`         // 建设单位
	Organisation          string          `json:"organisation"` // who declared it, by id
	Category              string          `json:"category"`
	Fund                  string          `json:"fund"`
	State                 string          `json:"state"`
	DeclaredAmount        *Amount         `json:"declaredAmount"`
	ApprovedAmount        *Amount         `json:"approvedAmount"`
	PlanAmount            *Amount         `json:"planAmount"`
	PlanYear              *int            `json:"planYear"`
	PlannedOn             *Date           `json:"plannedOn"`
	AcceptedOn            *Date           `json:"acceptedOn"`
	ReviewedOn            *Date           `json:"reviewedOn"`
	TenderFiledOn         *Date           `json:"tenderFiledOn"`
	ConstructionStartedOn *Date           `json:"constructionStartedOn"`
	FinalAcceptedOn       *Date           `json:"finalAcceptedOn"`
	AcceptanceResult      *string         `json:"acceptanceResult"`
	Supervised            bool            `json:"supervised"`
	Description           string          `json:"description"`
	BBox                  *catalog.Bounds `json:"bbox"` // of the project's point; of a Project: of the assets that the caller may see
}

// Project is a project with the assets that the caller may see.
type Project struct {
	FID int64 `json:"id"` // its feature in the dataset "projects"
	Summary
	Assets []Asset `json:"assets"`
}

// Asset is one link of a project to a feature. Present is false when the current
// release of the dataset no longer has the feature; Title is then what it was
// called when it was linked, and ID what it was.
type Asset struct {
	Collection string          `json:"collection"`
	ID         int64           `json:"id"`
	Key        string          `json:"key,omitempty"`
	Role       string          `json:"role"`
	Title      string          `json:"title"`
	Present    bool            `json:"present"`
	BBox       *catalog.Bounds `json:"bbox"`
}

// Link is a feature's project and what it does with the feature.
type Link struct {
	Code   string `json:"code"`
	Name   string `json:"name"`
	NameEN string `json:"nameEn"`
	Unit   string `json:"unit"`
	State  string `json:"state"`
	Role   string `json:"role"`
}

func projectNotFound(where string) error {
	return problem.New(problem.NotFound, "project-not-found", where, "没有这个项目", "there is no such project")
}

// reading is how a request that asks several questions gets one moment's answers.
var reading = pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
