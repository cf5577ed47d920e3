package tiles

import (
	"slices"
	"strconv"
	"strings"

	"changde/catalog"
)

// The tiles of an archive are in a file with the one suffix, their covers in one with
// the other.
const (
	archiveSuffix = ".pmtiles"
	coversSuffix  = ".covers"
)

// archiveName names an archive: <content>@<revision>, and for another grid than
// WebMercatorQuad +<grid>.
type archiveName struct {
	content  string
	grid     string // the ID of a MatrixSet, empty for WebMercatorQuad
	revision int64
}

// String is the name of its files without a suffix.
func (n archiveName) String() string {
	name := n.content + "@" + strconv.FormatInt(n.revision, 10)
	if n.grid != "" {
		name += "+" + n.grid
	}
	return name
}

// parseArchiveName reads the name of a file of tiles or covers.
func parseArchiveName(file string) (n archiveName, ok bool) {
	file, ok = strings.CutSuffix(file, archiveSuffix)
	if !ok {
		if file, ok = strings.CutSuffix(file, coversSuffix); !ok {
			return n, false
		}
	}
	at := strings.LastIndexByte(file, '@')
	if at < 1 {
		return n, false
	}
	revision, grid, other := strings.Cut(file[at+1:], "+")
	if other && (grid == "" || gridOf(grid) != grid) {
		return n, false
	}
	n = archiveName{content: file[:at], grid: grid}
	var err error
	n.revision, err = strconv.ParseInt(revision, 10, 64)
	return n, err == nil && n.revision >= 0
}

// gridOf is the grid whose archives hold the tiles of a matrix set: that of another
// set where its tiles are the same.
func gridOf(set string) string {
	s, _ := Set(set)
	switch {
	case s.ID == "WebMercatorQuad":
		return ""
	case s.Same != "":
		return s.Same
	}
	return s.ID
}

// matrixSet is the set of a grid as gridOf gives it.
func matrixSet(grid string) MatrixSet {
	if grid == "" {
		grid = "WebMercatorQuad"
	}
	s, _ := Set(grid)
	return s
}

// gridsOf are the grids in which a dataset's tiles are cut.
func gridsOf(d *catalog.Dataset) []string {
	grids := []string{""}
	for _, set := range d.Grids {
		if g := gridOf(set); g != "" && !slices.Contains(grids, g) {
			grids = append(grids, g)
		}
	}
	return grids
}
