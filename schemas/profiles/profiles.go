// Package profiles holds the built-in layer standards and code tables as embedded
// files: one JSON file a profile, and in codes one JSON head with a CSV beside it
// for each code table. Package ingest/profile reads them.
package profiles

import "embed"

// FS has the profiles at its top and the folder codes.
//
//go:embed *.json codes/*.json codes/*.csv
var FS embed.FS
