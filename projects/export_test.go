package projects

import (
	"fmt"

	"changde/catalog"
	"changde/postgis"
)

var testBox = catalog.Bounds{110, 28, 113, 31}

// Check checks a declaration as Declare does before it asks the database.
func Check(d *Declaration) error {
	_, err := check(d, testBox)
	return err
}

// CheckGeometry parses a geometry and reads back what it became.
func CheckGeometry(b []byte) error {
	ewkb, _, n, err := parseGeometry(b, "", testBox)
	if err != nil {
		return err
	}
	g, err := postgis.DecodeEWKB(ewkb)
	if err != nil {
		return fmt.Errorf("what was written cannot be read: %w", err)
	}
	flat := g.FlatCoords()
	if len(flat) != 2*n || n == 0 || g.SRID() != srid {
		return fmt.Errorf("%d numbers for %d vertices, SRID %d", len(flat), n, g.SRID())
	}
	for i := 0; i < len(flat); i += 2 {
		if !testBox.Contains(flat[i], flat[i+1]) {
			return fmt.Errorf("vertex %d lies outside the box", i/2)
		}
	}
	return nil
}
