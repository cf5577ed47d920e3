// Package styles holds what maps are coloured by as embedded files: in palettes a
// JSON file for each table of classes, and themes.json, which says what dataset is
// drawn in which manner and by which palette. Package tiles/style reads them.
package styles

import "embed"

// FS has themes.json at its top and the folder palettes.
//
//go:embed themes.json palettes/*.json
var FS embed.FS
