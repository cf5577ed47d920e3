// Package catalog knows what datasets the city has, which release of each is
// current, and who may see them. Every request reads one immutable Snapshot of
// it, narrowed to a View for the caller: code that holds a View cannot reach a
// dataset its caller may not read.
package catalog

import (
	"time"

	"changde/ingest/layer"
)

// Sharing says who may read a dataset.
type Sharing string

// The kinds of sharing (domain: 无条件共享, 有条件共享, 不予共享, thinned to what
// a key can decide).
const (
	Public   Sharing = "public"   // everybody
	Internal Sharing = "internal" // any organisation of the city, by its key
	Private  Sharing = "private"  // the owner alone
)

// Kind says how a dataset changes.
type Kind string

// The kinds of datasets.
const (
	Delivered Kind = "delivered" // by releases of deliveries
	Edited    Kind = "edited"    // row by row through the API
)

// Approval says what a checked delivery waits for before it is released.
type Approval string

// The kinds of approval.
const (
	Automatic  Approval = "automatic" // nothing, unless a rule blocks it or its changes must be confirmed
	ByApproval Approval = "approval"  // an approver's decision
	FourEyes   Approval = "four-eyes" // the decision of an approver who is not the sender
)

// Bounds are west, south, east, north in degrees, EPSG:4490, longitude first.
type Bounds [4]float64

// Column is an attribute of a dataset's rows. Name is the column in PostgreSQL,
// as the delivery named it; Alias is the title for people, may be empty.
type Column struct {
	Name  string
	Alias string
	Type  layer.Type
	JSON  bool // a column of jsonb, read as the JSON it is; no dataset has one
}

// Organisation is a dataset's owner.
type Organisation struct {
	ID     string
	NameZH string
	NameEN string
}

// CGCS2000Quad is the tile matrix set that Dataset.Grids may name.
const CGCS2000Quad = "CGCS2000Quad"

// Dataset is one dataset with its releases. It is immutable: a change makes
// another Dataset in another Snapshot.
type Dataset struct {
	ID          string
	TitleZH     string
	TitleEN     string
	Description string
	Owner       *Organisation // nil: the platform itself
	Sharing     Sharing
	Kind        Kind
	Box         *Bounds // where coordinates may lie; nil: the city's box
	BusinessKey string  // column whose value names a feature across releases, may be empty
	Label       string  // column shown on the map, may be empty
	Class       string  // column the legend follows, may be empty
	TimeColumn  string  // column that datetime filters on, may be empty
	Attribution string
	Synthetic   bool
	Profile     string   // layer standard the deliveries are checked by, may be empty
	Approval    Approval // what a checked delivery waits for
	Editable    bool     // delivered rows may be changed through the API as well
	Tiles       TileRules
	Grids       []string // matrix sets beside WebMercatorQuad whose tiles are cut before a release

	// Revision grows by one with every committed change. A revision names one
	// state of the dataset for ever, so caches are keyed by it.
	Revision int64
	// Current is the release that readers see, with the edits made through the API
	// since: its Revision is the dataset's. Nil before the first.
	Current *Release
	// Releases holds the releases whose content is still kept, oldest first, each as
	// it was released.
	Releases []*Release

	may func(Sharing) bool // of the view the dataset was taken from; nil lets in
}

// MayRead reports whether the caller, in whose view the dataset was found, may read
// a state of it that was shared in this way when it came to be.
func (d *Dataset) MayRead(s Sharing) bool { return d.may == nil || d.may(s) }

// Release is one state of a dataset that was published.
type Release struct {
	Number   int
	Revision int64
	Delivery int64 // 0 for a release that no delivery made
	Restores int   // the release that a rollback brought back, else 0
	// Relation is the schema and name of the table that holds the rows, which is
	// never renamed. Together with Revision it names the rows for ever: read them
	// through From.
	Relation     [2]string
	GeometryType string // OGC name: Point, MultiLineString, MultiPolygon, Geometry, ...
	Columns      []Column
	Rows         int64
	Extent       *Bounds // nil when no row has a geometry
	ReleasedAt   time.Time
	Note         string
	// Unpublished is true of rows that are loaded but not released: they have no
	// history yet.
	Unpublished bool
	// Sharing is how the dataset was shared when the release was made. Who reads
	// the release must be let in by both, so that opening a dataset does not open
	// what was released before. Empty: as the dataset.
	Sharing Sharing
}

// Column returns the column of that exact name.
func (r *Release) Column(name string) (Column, bool) {
	for _, c := range r.Columns {
		if c.Name == name {
			return c, true
		}
	}
	return Column{}, false
}

// Release returns a release whose content is still kept.
func (d *Dataset) Release(number int) (*Release, bool) {
	for _, r := range d.Releases {
		if r.Number == number {
			return r, true
		}
	}
	return nil, false
}
