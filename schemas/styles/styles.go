// Package styles holds what maps are coloured by as embedded files: in palettes a
// JSON file for each table of classes, themes.json, which says what dataset is drawn
// in which manner and by which palette, and in icons what points are drawn with.
// Packages tiles/style and tiles/sprite read them.
package styles

import "embed"

// FS has themes.json at its top and the folders palettes and icons.
//
//go:embed themes.json palettes/*.json icons/*.svg
var FS embed.FS
