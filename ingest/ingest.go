// Package ingest turns deliveries into releases: inspect, plan, load, check,
// publish, roll back. A delivery becomes a release whole, or leaves nothing.
package ingest

import (
	"log/slog"
	"os"

	"github.com/jackc/pgx/v5/pgxpool"

	"changde/catalog"
)

// Config tunes an Ingester. City is required; the zero value of the rest works.
type Config struct {
	City catalog.City
	// TempDir holds unpacked archives while they are read. Default os.TempDir().
	TempDir string
	// Keep is how many different contents of a dataset are kept for rollback, the
	// current one included. Default 5.
	Keep int
	// MaxFindings bounds the findings kept for one delivery; beyond it they are
	// only counted. Default 100,000.
	MaxFindings int
	Log         *slog.Logger // default slog.Default()
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
	if config.TempDir == "" {
		config.TempDir = os.TempDir()
	}
	if config.Keep <= 0 {
		config.Keep = 5
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

// Request is one delivery to one dataset. Files are what the sender sent: an
// archive, a GeoPackage, a GeoJSON, a .shp with its companions; several files of
// one layer (map sheets) are read one after the other.
type Request struct {
	Files    []string
	Dataset  string
	Sender   string // organisation, may be empty
	Layer    string // which layer, when the files hold several
	Encoding string // overrules the evidence, may be empty
	EPSG     int    // overrules the evidence, 0 for none
	Policy   Policy // default Repair
	Settings Settings
}

// NoColumn takes the place of a column's name in Settings to say that there is
// none.
const NoColumn = "-"

// Settings describe the dataset. On the first delivery they create it; later a
// field that is set replaces the stored one.
type Settings struct {
	TitleZH, TitleEN, Description string
	Owner                         string // organisation
	Sharing                       catalog.Sharing
	BusinessKey                   string
	Label, Class, TimeColumn      string
	Attribution                   string
	Synthetic                     *bool
	Box                           *catalog.Bounds
	Aliases                       map[string]string // column titles by column name
}
