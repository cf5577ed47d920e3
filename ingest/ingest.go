// Package ingest turns deliveries into releases: inspect, plan, load, check,
// publish, roll back. A delivery becomes a release whole, or leaves nothing.
package ingest

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"changde/catalog"
	"changde/ingest/depot"
	"changde/ingest/gdal"
	"changde/ingest/profile"
)

// Config tunes an Ingester. City is required; the zero value of the rest works.
type Config struct {
	City catalog.City
	// TempDir holds unpacked archives while they are read. Default os.TempDir().
	TempDir string
	// Keep is how many different contents of a dataset are kept for rollback and for
	// reading as of then, the current one included. A release that changes rows in
	// place makes no other content. Default 0, which keeps all.
	Keep int
	// MaxFindings bounds the findings kept for one delivery; beyond it they are
	// only counted. Default 100,000.
	MaxFindings int
	// GDAL finds the tool that converts formats without a reader here. Nil: they are
	// refused, with what to install. The program must call gdal.RunChild first.
	GDAL func(context.Context) (*gdal.Tool, error)
	// Library holds the layer standards. Nil: those that are built in.
	Library *profile.Library
	// Depot keeps the files of deliveries that wait for a worker. Nil: deliveries are
	// loaded from where they are.
	Depot depot.Store
	// KeepFiles is how long the files of a delivery that has ended stay in the depot.
	// Default 30 days.
	KeepFiles time.Duration
	// MaxUpload bounds the bytes of one uploaded file. Default: the depot's bound.
	MaxUpload int64
	// Enqueue hands a job to the workers, in the transaction that makes it. Nil:
	// there are none, and only what is done at once can be done.
	Enqueue func(ctx context.Context, tx pgx.Tx, job Job) error
	// Tiles makes the tiles of a content ready before it is released. Nil: they are
	// made when they are asked for.
	Tiles TileBuilder
	Log   *slog.Logger // default slog.Default()
}

// TileBuilder is the seam to package tiles, whose Archives implement it.
type TileBuilder interface {
	// Build makes all tiles of a release; revision is 0 for one that is not published.
	Build(ctx context.Context, d *catalog.Dataset, r *catalog.Release, revision int64) error
}

// Job is work for a worker: one of its members is set.
type Job struct {
	Delivery int64    // process a delivery that was received
	Priority int      // of a delivery, 1 first to 4
	Decision int64    // carry out a decision
	Released *Release // tell the subscribers of a release
}

// Release is the news of a release.
type Release struct {
	Dataset  string `json:"dataset"`
	Release  int    `json:"release"`
	Revision int64  `json:"revision"`
}

// announce makes the job that tells subscribers.
func (i *Ingester) announce(ctx context.Context, tx pgx.Tx, dataset string, release int, revision int64) error {
	if i.config.Enqueue == nil {
		return nil
	}
	var heard bool
	if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM changde.webhooks)").Scan(&heard); err != nil || !heard {
		return err
	}
	return i.config.Enqueue(ctx, tx, Job{Released: &Release{dataset, release, revision}})
}

// Ingester loads deliveries. It is safe for several goroutines and several
// processes at once: deliveries of one dataset are published one after another.
type Ingester struct {
	pool   *pgxpool.Pool
	config Config
}

// New makes an Ingester. To load and to release, the pool's login must own the
// platform's schemas; reports and lists can be read by the server's role.
func New(pool *pgxpool.Pool, config Config) *Ingester {
	if config.Library == nil {
		library, err := profile.Builtin()
		if err != nil {
			panic(err) // the standards are part of the program, and its tests read them
		}
		config.Library = library
	}
	if config.TempDir == "" {
		config.TempDir = os.TempDir()
	}
	if config.KeepFiles <= 0 {
		config.KeepFiles = 30 * 24 * time.Hour
	}
	if config.MaxFindings <= 0 {
		config.MaxFindings = 100_000
	}
	if config.Log == nil {
		config.Log = slog.Default()
	}
	return &Ingester{pool: pool, config: config}
}

// Policy says what happens to a row whose geometry is invalid.
type Policy string

// The policies.
const (
	Repair Policy = "repair" // mended by PostGIS, with a finding; refused when nothing is left
	Refuse Policy = "refuse" // left out, with a finding
)

// Mode says what a delivery's rows are.
type Mode string

// The modes.
const (
	Full    Mode = "full"    // all rows of the dataset
	Changes Mode = "changes" // rows inserted, updated and deleted, as a field says
	Append  Mode = "append"  // rows that come to those there are
)

// Standing is what whoever delivers may do for the sender.
type Standing string

// The standings of those who are no operators.
const (
	AsContributor Standing = "contributor"
	AsApprover    Standing = "approver"
)

// Request is one delivery to one dataset. Files are what the sender sent: an
// archive, a GeoPackage, a GeoJSON, a .shp with its companions; several files of
// one layer (map sheets) are read one after the other. Its JSON form is what a
// delivery that waits keeps of it.
type Request struct {
	Files   []string `json:"-"`
	Dataset string   `json:"dataset,omitempty"`
	Sender  string   `json:"sender,omitempty"` // organisation, may be empty
	// Layers are the layers meant, when the files hold several; more than one are
	// sheets of one layer.
	Layers   []string `json:"layers,omitempty"`
	Encoding string   `json:"encoding,omitempty"` // overrules the evidence, may be empty
	EPSG     int      `json:"crs,omitempty"`      // overrules the evidence, 0 for none
	// CRS names what EPSG has no code for: GCJ-02, BD-09, or an operator's
	// transformation by its id.
	CRS    string `json:"crsName,omitempty"`
	Policy Policy `json:"invalid,omitempty"` // default Repair
	Mode   Mode   `json:"mode,omitempty"`    // default Full
	// ChangeField holds I, U or D (or 增, 改, 删) in a delivery of Changes. Empty
	// looks for the usual names.
	ChangeField string `json:"changeField,omitempty"`
	// GeometryColumns names the columns of a text table that are its geometry: one of
	// WKT, or "X,Y" with east (longitude) first. Empty looks for the usual names.
	GeometryColumns string `json:"geometryColumns,omitempty"`

	Actor    string `json:"actor,omitempty"`    // who delivers: a key's id, or a login of the console
	Document string `json:"document,omitempty"` // number of the covering letter (文号)
	Note     string `json:"note,omitempty"`
	// Repeat accepts files that were delivered before.
	Repeat bool `json:"repeat,omitempty"`
	// Priority is 1 (first) to 4 for a delivery that waits for a worker; 0 is 2.
	Priority int `json:"priority,omitempty"`
	// Parcel is what the source calls the delivery, so that it is received once.
	Parcel string `json:"parcel,omitempty"`
	// Standing is what the sender's key may do. Empty: the request is an operator's.
	Standing Standing `json:"standing,omitempty"`
	// Foreign tells that the sender does not own the dataset: whatever its approval,
	// the owner decides.
	Foreign bool `json:"foreign,omitempty"`
	// Confirm accepts changes beyond the usual (Q20) beforehand.
	Confirm  bool     `json:"confirm,omitempty"`
	Settings Settings `json:"settings,omitzero"`
}

// NoColumn takes the place of a column's name in Settings to say that there is
// none.
const NoColumn = "-"

// NoGrid takes back the grids that are cut.
const NoGrid = "-"

// Settings describe the dataset. On the first delivery they create it; later a
// field that is set replaces the stored one.
type Settings struct {
	TitleZH     string            `json:"titleZh,omitempty"`
	TitleEN     string            `json:"titleEn,omitempty"`
	Description string            `json:"description,omitempty"`
	Owner       string            `json:"owner,omitempty"` // organisation
	Sharing     catalog.Sharing   `json:"sharing,omitempty"`
	BusinessKey string            `json:"businessKey,omitempty"`
	Label       string            `json:"label,omitempty"`
	Class       string            `json:"class,omitempty"`
	TimeColumn  string            `json:"timeColumn,omitempty"`
	Attribution string            `json:"attribution,omitempty"`
	Synthetic   *bool             `json:"synthetic,omitempty"`
	Box         *catalog.Bounds   `json:"box,omitempty"`
	Aliases     map[string]string `json:"aliases,omitempty"` // column titles by column name
	Profile     string            `json:"profile,omitempty"` // layer standard, NoColumn for none
	Approval    catalog.Approval  `json:"approval,omitempty"`
	Editable    *bool             `json:"editable,omitempty"`
	// Tiles are how tiles are generalised; rules without anything remove those there
	// are.
	Tiles *catalog.TileRules `json:"tiles,omitempty"`
	// Grids are the tile matrix sets beside WebMercatorQuad that are cut before a
	// release, catalog.CGCS2000Quad; NoGrid alone for none.
	Grids []string `json:"grids,omitempty"`
	// Metadata are elements of the core metadata by name (topic, secrecy, scale,
	// lineage, contact, ...); "-" removes one. Once a dataset has any, rule Q19 asks
	// for all that are mandatory.
	Metadata map[string]string `json:"metadata,omitempty"`
}
